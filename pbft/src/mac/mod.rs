//! `pbft-mac`: PBFT as it was published, with authenticators instead of signatures.
//!
//! Sources: OSDI §4; for the view change, which cannot rest on certificates here, Castro & Liskov, *Practical Byzantine
//! Fault Tolerance and Proactive Recovery*, TOCS 2002 ("TOCS"), §4.5, restated for any number of replicas; for the
//! requests, Clement et al., *Making Byzantine Fault Tolerant Systems Tolerate Byzantine Faults*, NSDI 2009.
//!
//! # What differs from `pbft`
//!
//! PRE-PREPARE, PREPARE, COMMIT and REPLY carry no signature. A receiver believes that they are the sender's, because the frames of
//! a link carry tags (message authentication codes) under a key that only its two ends have. It cannot show them to others, who might
//! as well believe that the receiver, which has the same key, made them. So nothing may rest on a bundle of them:
//!
//! | in `pbft` | in `pbft-mac` |
//! | --- | --- |
//! | a certificate of `q` COMMITs decides, whoever sends it | `f+1` replicas that say that a slot is decided as the same ([`Statements`]) |
//! | two proposals of one slot, sent to all, make everybody leave the view | whoever received both leaves; the others when their timers run out |
//! | a VIEW-CHANGE holds prepared certificates | it *claims* what was prepared (`P`) and what was pre-prepared (`Q`): [`SlotReport`] |
//! | `q` VIEW-CHANGEs always make a NEW-VIEW | they may leave open what to propose: then the commander waits for more |
//! | a NEW-VIEW holds signed proposals | it holds the VIEW-CHANGEs, and everybody computes what is proposed |
//! | a replica that decided a slot does not vote for it again in the next view | it does: the others may need its vote |
//!
//! VIEW-CHANGE, NEW-VIEW and CHECKPOINT stay signed, as others must be shown them. So do bundles of requests: of a client's
//! authenticator that holds for some replicas only, nobody could say who is to blame, and a request that half of the
//! replicas accept makes views change for nothing (Clement et al., §3). `pbft-mac-requests`, at the end, shows it.
//!
//! # What a new view proposes
//!
//! Let `V` be the VIEW-CHANGEs for the view, `q` of them or more. For each slot `n` above the highest checkpoint that `V` proves, a claim
//! `(n, d, v)` out of some `P` is chosen if
//!
//! * **(A1)** `q` of `V` have a low watermark below `n` and claim to have prepared for `n` nothing, or something in a view below `v`, or
//!   `d` in `v`; and
//! * **(A2)** `f+1` of `V` say that they pre-prepared `d` for `n` in view `v` or a later one.
//!
//! Of several such claims the one of the highest view counts, and of one view that of the smaller digest. If there is none,
//! and `q` of `V` have a low watermark below `n` and claim nothing for `n`, it is the null request. Else `V` does not suffice.
//!
//! # Why it is safe
//!
//! Within a view as in `pbft` (see the documentation of the crate): that argument takes votes as received, and shows them to nobody.
//!
//! *Claim.* If a slot is committed with digest `d` in view `w`, every NEW-VIEW of a view `v > w` that reaches the slot proposes `d`.
//! *Induction over `v`*; assume it for the views between `w` and `v`, so that in these no honest replica pre-prepares another
//! digest (nor do they later: a replica votes for no other digest than the one that its view began with, and for nothing below its
//! stable checkpoint, even where it was too far behind to keep it). At least `q − f` honest replicas sent COMMIT for `d` in `w`: they were prepared, and what each of them claims since then
//! is of view `w` or a later one, hence for `d`. Any `q` replicas hold one of them, as `q + (q − f) > n`.
//!
//! 1. *The null request is not chosen for want of claims*: among any `q` of `V` is one that claims `d`.
//! 2. *No other digest is chosen.* Let `(n, d', v')` with `d' ≠ d` meet (A1). Among those `q` is one that claims `d` in a view `≥ w`, so
//!    this view is below `v'`, hence `v' > w`. By (A2) somebody honest pre-prepared `d'` in view `v'` or a later one, above
//!    `w`: which the assumption excludes.
//! 3. Something is proposed for the slot at all, as by 1 and 2 a NEW-VIEW without it cannot be made of any `V`.
//!
//! A replica whose checkpoint covers the slot claims nothing of it, but then the slot lies at or below the highest proven checkpoint.
//! A decision by `f+1` statements is one that an honest replica has made.
//!
//! # Why it is live
//!
//! Let `V` hold the VIEW-CHANGEs of all honest replicas, of which there are `q` at least. Let `(n, d, v)` be the claim of the highest view that an
//! honest one makes. No other honest replica claims another digest in `v`, so (A1) holds. It was prepared in `v`, so `q − f ≥ f+1` honest
//! replicas pre-prepared `d` in `v` or later, and (A2) holds, unless they have forgotten: of each slot a replica reports [`MOST_PRE_PREPARED`] digests
//! at most, so that a VIEW-CHANGE stays small. It forgets what it only pre-prepared after as many later views began without the claims of those
//! who prepared, and each proposed another digest for the slot that nobody prepared: then a slot may stay open until a checkpoint covers it, or a `V` without that claim suffices. If no honest replica claims anything, the null request can be chosen.
//!
//! A digest that is chosen is one whose batch an honest replica holds, and sends to whoever asks: one of (A2) holds it, or was commander and proposed
//! it as it had been chosen before.
//!
//! # Requests with tags: `pbft-mac-requests`
//!
//! The same, but a bundle of requests has a tag for each replica in place of its signature ([`kernel::Authenticator::Tags`]), as in OSDI §4.
//! A replica can check one of them, its own.
//!
//! * Requests that are not authentic here are not taken from whoever hands them over.
//! * A proposal with such requests is *doubted*: it is kept, and not voted for, until `f+1` replicas have voted for it in its view, the
//!   commander's proposal among these votes. Then it is accepted as any other. One of a view that has not begun here is not even kept, as a
//!   view begins with all proposals that are there.
//! * What a view begins with is not doubted, nor is a batch that is fetched, which is wanted for its digest.
//! * When a view begins, each replica watches over the requests of its own gateway alone; of those that it knows of from others it has told the new commander.
//!   Whoever has made a request sends it to all again, and that copy replaces one that came by others.
//!
//! *No request is executed that its gateway or client, if honest, has not made.* What is executed was committed, so an
//! honest replica had accepted a proposal with it. Take the first honest replica that accepted, proposed or took into a new view a batch with this request, in whatever view and slot.
//!
//! * It was a backup, and its own tag held: then the request is authentic, as nobody but the author and this replica has the key.
//! * It was a backup, and `f+1` replicas had voted for the batch in that view: one of them is honest, and had accepted or proposed it before.
//! * It began a view with the batch: by (A2), `f+1` replicas say that they pre-prepared it, one of them is honest, and had accepted it, proposed it or taken it into a new view before. A
//!   proposal that is only doubted nobody reports.
//! * It proposed a batch of its own choice. It has requests from whoever handed them over, and then its own tag held; or out of a batch that it, or `f+1` by
//!   their votes, had accepted before.
//!
//! All but the first and the handing over contradict that it was the first.
//!
//! *Agreement* rests on votes alone, so that nothing changes.
//!
//! *What is lost is liveness while a faulty client goes on* (Clement et al., §3): requests with tags that hold for the commander alone are proposed, and doubted
//! by all others. The slot stays open, later ones are decided and wait for it, and timers replace an honest commander. Nobody is to blame, as a commander that invents requests looks
//! the same. Tags that hold for some backups alone have a similar effect: these watch over what nobody executes, and leave the view. A faulty replica that passes on another's requests can change
//! their tags, too. Each such request costs one view change at most for each commander that proposes it, as nobody watches over it in the next view; when no more come, an honest commander stays.

mod choice;
mod reports;

pub use reports::{MOST_PRE_PREPARED, SlotReport, Statements};

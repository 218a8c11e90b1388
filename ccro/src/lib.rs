//! CCRO: replicas talk through one communication node instead of to each other.
//!
//! Source: Yu et al., *A Blockchain Communication Resource Optimization
//! Consensus Method*, BIOTC 2022 ("CCRO paper"); the fast path after Golan
//! Gueta et al., *SBFT*, DSN 2019.
//!
//! Three flows, never mixed up:
//!
//! * [`Replica`] (`ccro`): PBFT's votes, quorums, checkpoints; only *who carries
//!   the votes* differs. As safe as PBFT.
//! * The same in a cluster of another name (`ccro-aggregate`): PREPAREs and COMMITs are shares of a BLS signature
//!   ([`kernel::shares`]), and a certificate has one sum of them. See the end.
//! * [`paper::Replica`] (`ccro-paper`): the round as published. Not
//!   Byzantine-safe, and not crash-safe without synchrony.
//!
//! # `ccro`: roles and messages
//!
//! | upon | condition | a replica does |
//! | --- | --- | --- |
//! | requests | as in PBFT | PRE-PREPARE, naming a `communication_node`, to all |
//! | PRE-PREPARE | as in PBFT | PREPARE to the communication node alone; start the fallback timer |
//! | PREPAREs at the communication node | all `n` | FastCertificate to all: committed |
//! | | `q`, and `fast_wait` over, or only replicas missing that let it run out before (ADR 0004) | PreparedCertificate to all |
//! | PreparedCertificate | accepted its digest | COMMIT to the communication node alone |
//! | COMMITs at the communication node | `q` | CommittedCertificate to all |
//! | Fast- or CommittedCertificate | – | the slot is committed |
//! | fallback timer | not committed | own votes for the slot to all (*fallback vote*) |
//! | a fallback vote | holds a certificate for the slot | answer with the highest |
//! | | not committed | own votes to all; later COMMITs to all: plain PBFT |
//! | fallback timer, or `f+1` fallback votes, at the commander | policy `separate` | name the next node in ring order from now on |
//!
//! # Why it is safe
//!
//! A certificate is a bundle of PBFT's own signed votes, checked vote by vote at
//! admission, so receiving it proves what receiving each vote would. Within a
//! view every step of PBFT's argument (see [`pbft`]) therefore holds with
//! "received in a certificate" for "received", with one proviso: a faulty voter may
//! have told this replica something else before, so that it could not make the
//! certificate of the votes that it counts. One that it acts upon is therefore kept
//! whole, and reported by its VIEW-CHANGE. A FastCertificate holds the votes
//! of all honest replicas: no other digest can gather `q` votes in that view.
//! Across views, VIEW-CHANGEs report votes beside certificates, because a
//! fast-committed digest may have no prepared certificate anywhere: rule (b) of
//! [`pbft::new_view`], with the whole induction.
//!
//! # `ccro-aggregate`
//!
//! Roles, messages and rules are those of `ccro`; what a certificate is made of differs. A share of a vote is a signature of phase, view, slot
//! and digest, the same bytes for all who vote alike. The communication node adds the shares up: a certificate holds the commander's signed
//! proposal (where it is one of the votes; in the sum of votes to accept, the commander must not be), the set of the other voters, and the sum of their shares. A sum holds if and only if each of these voters has signed: shares
//! are unforgeable, and keys count only with a proof of possession, so that nobody can choose a key that cancels others'. So receiving a certificate proves
//! what receiving each vote would, as in `ccro`, and the argument above is the same, with one difference: *a sum cannot be taken apart*.
//!
//! * A replica counts the votes that it learns of by a sum, and keeps the certificate. It makes certificates only of shares that it has
//!   received singly or made itself, and its own votes are always of that kind. A share that comes after the sum is kept; a communication
//!   node that lacks some sends on the certificate that it got.
//! * What it owes to the next view it can show all the same. It knows of votes by a sum only together with the certificate of a quorum of them for the same digest, view and
//!   slot, which it keeps whole and reports (`P`); its own last vote to accept (`Q`) is its own share.
//! * Fallback votes are shares, too, each checked as a sum of one.
//!
//! Where shares are checked: at admission, those of all messages that came together in one check, each multiplied by a random factor: else two invalid shares
//! could cancel each other, be let in, and spoil every sum with one of them, for which the communication node would be blamed. If the check fails,
//! halves are searched, so an invalid share among `k` is found in at most `2 log2 k` more checks, and its sender counted as one who votes badly.

mod config;
pub mod paper;
mod replica;
pub(crate) mod trust;

pub use config::{CommunicationPolicy, Config, ParsePolicyError};
pub use replica::{Replica, Timer};
pub use trust::TrustTable;

//! Leaving a view and beginning the next (OSDI §4.4).
//!
//! | upon | condition | a replica does |
//! | --- | --- | --- |
//! | the resend timer | a slot that it accepted is not decided, and others complain of it as well or have left the view | watch over the requests in it |
//! | half the request timer | its oldest request is not executed | send it to all, who then watch over it too |
//! | the request timer | still not | VIEW-CHANGE for the next view to all |
//! | two proposals of the commander for one slot | – | the proof to all (not in `pbft-mac`), VIEW-CHANGE |
//! | started again with its journal | commander of its view (`pbft`) | VIEW-CHANGE: it may have proposed what it does not know of |
//! | the commander's VIEW-CHANGE | for a later view | VIEW-CHANGE for the next view: this one has nobody who proposes |
//! | proposals | late again and again ([`crate::pace`]) | VIEW-CHANGE |
//! | slots executed | others' requests go first, or batches have room for what waits, again and again ([`crate::fairness`]) | VIEW-CHANGE |
//! | `f+1` VIEW-CHANGEs for later views | – | join the smallest of them |
//! | `q` VIEW-CHANGEs for the view it wants or later ones | – | start the NEW-VIEW timer, doubled for each view that failed |
//! | the NEW-VIEW timer | the view did not begin | VIEW-CHANGE for the view after |
//! | `q` VIEW-CHANGEs for one view | commander of it | NEW-VIEW to all |
//! | NEW-VIEW | every VIEW-CHANGE in it valid, proposals as computed here | the view begins: PREPARE for what is proposed |
//! | VIEW-CHANGE for a view that began here, or a sign of life from an earlier one | – | answer with the NEW-VIEW |
//! | the view begins | a slot of it is not decided here | ask all for what they know: who has decided it answers with the certificate (in `pbft-mac`: says so) |
//!
//! From the moment that a replica sends VIEW-CHANGE it casts no vote below the view
//! that it wants. It still *learns* in the view that it left: who suspects a live
//! commander alone would otherwise fall behind until the others follow.
//!
//! # A replica that suspects the commander alone
//!
//! A commander may serve all but one replica. That replica sends VIEW-CHANGE, the
//! others see no reason to, and it may stay alone for ever. It must not vote, but its
//! clients must be served. So until `q` replicas want its view or a later one, it keeps
//! every duty that takes no vote:
//!
//! | upon | a replica that suspects alone does |
//! | --- | --- |
//! | requests of its own gateway | send them to all at once: nobody else may have a reason to watch |
//! | another gateway's requests | watch over them and pass them on, to the commander of the view that it left |
//! | half the request timer, again and again | send the oldest request that is not executed to all |
//! | resend timer | VIEW-CHANGE, requests, fetches, progress as ever |
//! | two proposals of the commander for one slot | the proof to all |
//! | something executed | the timers return to their base, as in a view |
//!
//! # Why it is live
//!
//! Let at most `f` replicas be faulty, let messages between the others arrive, and
//! let the request timer `T` exceed what a view with an honest commander takes to
//! execute a request. Let a request reach the replica of an honest gateway.
//!
//! 1. After `T/2` every honest replica watches over it: its gateway's replica has sent
//!    it to all, whether it is in the view or has left it alone.
//! 2. After another `T` whoever is honest has executed it or has left the view. There are
//!    `2f+1` honest replicas at least, so `f+1` have done the one or the other. If
//!    `f+1` have executed it, the client has its answer. If `f+1` have left, all join
//!    them, and `q` VIEW-CHANGEs reach everybody.
//! 3. Each view that follows begins within its NEW-VIEW timer and serves within its
//!    request timer, or is left. At most `f` commanders in a row are faulty. The timer
//!    doubles with each of them, so `f` of them cost less than `2T(2^f − 1)`.
//! 4. The view of an honest commander then serves it within `T`, unless that is started again meanwhile: then all follow
//!    it into the next view.
//!
//! Nothing in this depends on when a client asks again. The bound,
//! `2.5T + 2T(2^f − 1)`, is judged in the simulator (`sim::oracles::service`).
//!
//! # Deviations from the paper
//!
//! Three. A replica follows the commander of its view alone when that leaves it (ADR 39). The NEW-VIEW timer starts on `q` VIEW-CHANGEs for
//! the wanted view *or later ones*: a replica that may vote only in later views
//! (see [`crate::recovery`]) then does not keep the others waiting. And a replica
//! that has decided a slot does not vote for it again in the new view: it answers
//! with the final certificate, which is worth more (not so in `pbft-mac`, see [`crate::mac`]).

use crate::core::{Core, PbftProtocol, Timer, Votes};
use crate::mac::SlotReport;
use crate::message::{Message, NewView, ViewChange, Vote, may_be_forgotten};
use crate::new_view::Outline;
use kernel::{
    Application, Authentication, Batch, Cluster, Context, Digest, Mark, Micros, Phase, Reason, ReplicaId,
    Seq, Tallied, View, ViewMark, Weakening, weakened,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which view a replica is in, and what it knows of later ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Views {
    /// The last view that began here.
    pub(crate) active: View,
    /// The view that this replica wants; `active` unless it has left that one.
    pub(crate) wanted: View,
    /// The VIEW-CHANGE for the highest view of each replica.
    changes: BTreeMap<ReplicaId, Arc<ViewChange>>,
    /// What began the active view; none in view 0.
    began_by: Option<Arc<NewView>>,
    /// What the active view began with: a digest for each slot, in ascending order.
    began_with: Vec<(Seq, Digest)>,
    /// Views in a row that did not begin or brought no progress.
    failed: u32,
    /// What the view timer waits for, if it runs.
    waits_for: Option<Wait>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Wait {
    /// Something to be executed, in halves of the request timer. Also runs in a replica
    /// that suspects the commander alone.
    Execution { of: Awaited, halves: u8 },
    /// The beginning of this view.
    NewView(View),
}

/// What a commander owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Awaited {
    /// The execution of this bundle.
    Bundle(Digest),
    /// Null requests, which a replica that lost its memory needs.
    Null,
}

impl Views {
    /// Whether this replica has left the active view.
    pub(crate) fn is_changing(&self) -> bool {
        self.wanted != self.active
    }

    /// Whether votes of `view` are recorded: those of the view it is in, and of
    /// the view it wants.
    pub(crate) fn takes_votes_of(&self, view: View) -> bool {
        view == self.active || view == self.wanted
    }

    /// Whether the active view began with this digest for the slot.
    pub(crate) fn began_with(&self, seq: Seq, digest: Digest) -> bool {
        self.began_with.binary_search(&(seq, digest)).is_ok()
    }

    /// Whether the active view did not begin with another digest for the slot.
    pub(crate) fn agrees_with_beginning(&self, seq: Seq, digest: Digest) -> bool {
        let place = self.began_with.binary_search_by_key(&seq, |(seq, _)| *seq);
        place.is_err()
            || place.is_ok_and(|place| self.began_with[place].1 == digest)
            || weakened(Weakening::BeginningForgotten)
    }

    /// Whether this replica has left the active view, and no quorum is known to want
    /// the same.
    pub(crate) fn suspects_alone(&self) -> bool {
        let quorum = matches!(self.waits_for, Some(Wait::NewView(_)));
        self.is_changing() && !quorum && !weakened(Weakening::LoneSuspectRests)
    }

    /// The view whose commander can be expected to take requests.
    pub(crate) fn serving(&self) -> View {
        if self.suspects_alone() { self.active } else { self.wanted }
    }

    /// Something was executed: the timers return to their base.
    pub(crate) fn progressed(&mut self) {
        if !self.is_changing() || self.suspects_alone() {
            self.failed = 0;
        }
    }

    /// Replicas that have left the active view for a later one.
    pub(crate) fn leaving(&self) -> impl Iterator<Item = ReplicaId> {
        self.changes.iter().filter(|(_, change)| change.view > self.active).map(|(author, _)| *author)
    }

    /// Replicas that want `view`, or with `later` a later one as well.
    fn wanting(&self, view: View, later: bool) -> usize {
        self.changes.values().filter(|change| change.view == view || (later && change.view > view)).count()
    }

    /// The VIEW-CHANGEs of `f+1` replicas for the highest views that so many want.
    pub(crate) fn highest_weak_quorum(&self, needed: usize) -> Vec<Arc<ViewChange>> {
        let mut changes: Vec<_> = self.changes.values().cloned().collect();
        changes.sort_by_key(|change| (std::cmp::Reverse(change.view), change.author));
        if changes.len() < needed {
            return vec![];
        }
        changes.truncate(needed);
        changes.sort_by_key(|change| change.author);
        changes
    }
}

/// The view timer doubles at most so often.
const MOST_DOUBLINGS: u32 = 6;

impl<A: Application> Core<A> {
    // ---- The timer ----

    /// Keeps the request timer on the oldest request that is not executed, unless a
    /// quorum is leaving the view: then the NEW-VIEW timer runs.
    pub(crate) fn watch_requests<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) {
        if self.views.is_changing() && !self.views.suspects_alone() {
            return;
        }
        let oldest = self.requests.oldest().map(|bundle| Awaited::Bundle(bundle.digest()));
        let owed = oldest.or(self.null_owed.then_some(Awaited::Null));
        let watched = match self.views.waits_for {
            Some(Wait::Execution { of, .. }) => Some(of),
            _ => None,
        };
        if owed == watched {
            return;
        }
        self.views.waits_for = owed.map(|of| Wait::Execution { of, halves: 0 });
        match owed {
            Some(_) => cx.set_timer(Timer::View.into(), self.half_a_request_timer()),
            None => cx.cancel_timer(Timer::View.into()),
        }
    }

    fn view_timer(&self) -> Micros {
        let doublings = if weakened(Weakening::TimerNeverDoubled) { 0 } else { self.views.failed };
        Micros(self.config.request_after.0 << doublings.min(MOST_DOUBLINGS))
    }

    /// A replica that suspects alone asks nobody for another view when it runs out, so
    /// there it does not grow.
    fn half_a_request_timer(&self) -> Micros {
        let whole = if self.views.is_changing() { self.config.request_after } else { self.view_timer() };
        Micros(whole.0 / 2)
    }

    /// The view timer ran out.
    pub fn expire_view<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) {
        match self.views.waits_for.take() {
            None => {}
            Some(Wait::NewView(_)) => {
                self.views.failed += 1;
                self.leave_for(cx, self.views.wanted.next());
            }
            Some(Wait::Execution { of, halves }) => {
                self.stop_watching_executed();
                let oldest = self.requests.oldest().filter(|oldest| of == Awaited::Bundle(oldest.digest()));
                if oldest.is_none() && of != Awaited::Null {
                    return; // Executed in another bundle: the next one is watched.
                }
                if halves > 0 && !self.views.is_changing() {
                    self.leave_for(cx, self.views.wanted.next());
                    return;
                }
                if let Some(oldest) = oldest {
                    cx.send_all(Message::Requests(Arc::clone(oldest)));
                }
                self.views.waits_for = Some(Wait::Execution { of, halves: 1 });
                cx.set_timer(Timer::View.into(), self.half_a_request_timer());
            }
        }
    }

    /// Requests may have been executed as part of another bundle, or by a state
    /// that was taken over.
    pub(crate) fn stop_watching_executed(&mut self) {
        for bundle in self.requests.all_watched() {
            if self.execution.replies_again(&bundle).is_some() {
                self.requests.stop_watching(&bundle);
            }
        }
    }

    // ---- Leaving ----

    /// The commander made two proposals for one slot.
    pub(crate) fn accuse<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        first: Option<Vote>,
        second: &Vote,
    ) {
        cx.reject(from, Some(second.seq), Reason::ConflictingProposal);
        let Some(first) = first.filter(|_| !weakened(Weakening::SecondProposalAccepted)) else {
            return;
        };
        let shown = second.view == self.views.wanted || second.view == self.views.serving();
        if shown && !cx.cluster.has_tags() {
            cx.send_all(Message::Conflict { first: Box::new(first), second: Box::new(second.clone()) });
        }
        if second.view == self.views.wanted {
            self.leave_for(cx, self.views.wanted.next());
        }
    }

    /// A peer proves that a commander made two proposals for one slot.
    pub(crate) fn take_conflict<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>, view: View) {
        if view == self.views.wanted {
            self.leave_for(cx, view.next());
        }
    }

    /// This replica is as its journal says. Where its proposals and PREPAREs did not wait for that, it may have voted for another
    /// proposal of a slot than the one that it comes to know now. So a commander leaves its view, and any other casts no PREPARE there up
    /// to the high watermark.
    pub(crate) fn resume<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) {
        if !may_be_forgotten(cx.cluster) {
            return;
        }
        if !weakened(Weakening::ResumedBackupPrepares) {
            self.may_have_prepared = Some((self.view(), self.high_watermark()));
        }
        let is_commander = cx.cluster.commander(self.view()) == cx.id() && !self.views.is_changing();
        if is_commander && !weakened(Weakening::ResumedCommanderProposes) {
            self.leave_for_next(cx);
        }
    }

    /// Sends VIEW-CHANGE for the view after the one that this replica wants.
    pub(crate) fn leave_for_next<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) {
        self.leave_for(cx, self.views.wanted.next());
    }

    /// Sends VIEW-CHANGE for `view`, or for the first later one that this replica
    /// may vote in.
    pub(crate) fn leave_for<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>, view: View) {
        let Some(view) = self.recovery.may_want(view) else {
            return;
        };
        let earlier = std::mem::replace(&mut self.views.wanted, view);
        if earlier != self.views.active {
            self.forget_rounds(cx);
        }
        self.views.waits_for = None;
        cx.cancel_timer(Timer::View.into());
        cx.mark(Mark::View(ViewMark::LeftFor { view }));
        let change = Arc::new(self.view_change(cx));
        let (prepared, voted) = change.reported();
        cx.mark(Mark::View(ViewMark::Reported { stable: self.checkpoints.stable(), prepared, voted }));
        cx.send_all(Message::ViewChange(Arc::clone(&change)));
        self.views.changes.insert(cx.id(), change);
        self.await_new_view(cx);
    }

    fn view_change<P: PbftProtocol>(&self, cx: &Context<'_, P>) -> ViewChange {
        let wanted = self.views.wanted;
        let stable = self.checkpoints.proof().cloned();
        if cx.cluster.has_tags() {
            return ViewChange::sign_reports(cx.cluster, cx.signer, wanted, stable, self.reports(cx));
        }
        let (mut prepared, mut voted) = (Vec::new(), Vec::new());
        for (seq, slot) in self.slots.range(self.checkpoints.stable().next()..) {
            prepared.extend(slot.highest_prepared(cx.cluster, *seq));
            if self.votes == Votes::Collected {
                let vote = slot.last_vote(cx.id(), *seq);
                let left_out = weakened(Weakening::CommanderNotReported);
                voted.extend(vote.filter(|vote| !(left_out && vote.phase == Phase::PrePrepare)));
            }
        }
        ViewChange::sign(cx.cluster, cx.signer, wanted, stable, prepared, voted)
    }

    /// What a VIEW-CHANGE claims (`pbft-mac`).
    fn reports<P: PbftProtocol>(&self, cx: &Context<'_, P>) -> Vec<SlotReport> {
        let slots = self.slots.range(self.checkpoints.stable().next()..);
        let mut reports: Vec<_> =
            slots.filter_map(|(seq, slot)| slot.report(cx.cluster, cx.id(), *seq)).collect();
        if weakened(Weakening::CommanderNotReported) {
            for report in &mut reports {
                report.pre_prepared.retain(|(_, view)| cx.cluster.commander(*view) != cx.id());
            }
        }
        reports
    }

    /// Takes a peer's VIEW-CHANGE.
    pub(crate) fn take_view_change<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        change: Arc<ViewChange>,
    ) {
        if !change.is_within(self.config.checkpoint_interval) {
            cx.reject(from, None, Reason::MalformedViewChange);
            return;
        }
        if change.view <= self.views.active {
            self.bring_into_view(cx, change.author, View(change.view.0 - 1));
            return;
        }
        let known = self.views.changes.get(&change.author);
        if known.is_some_and(|known| known.view >= change.view) {
            return; // Sent again, or overtaken by a later one.
        }
        self.views.changes.insert(change.author, change);
        let later = self.views.changes.values().map(|change| change.view);
        let mut later: Vec<View> = later.filter(|view| *view > self.views.wanted).collect();
        later.sort_unstable();
        if later.len() >= cx.cluster.weak_quorum() {
            self.leave_for(cx, later[0]);
        } else {
            self.follow_commander(cx);
            self.await_new_view(cx);
        }
    }

    /// Leaves the view if its commander has left it: nobody else proposes in it. Its VIEW-CHANGE may have come before the view
    /// began here.
    pub(crate) fn follow_commander<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) {
        let commander = cx.cluster.commander(self.views.active);
        let has_left =
            self.views.changes.get(&commander).is_some_and(|change| change.view > self.views.active);
        if has_left && !self.views.is_changing() {
            self.leave_for_next(cx);
        }
    }

    /// Starts the NEW-VIEW timer once a quorum wants this view or a later one.
    fn await_new_view<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) {
        let wanted = self.views.wanted;
        let quorum = self.views.wanting(wanted, true) >= cx.cluster.quorum();
        let runs = matches!(self.views.waits_for, Some(Wait::NewView(_)));
        if self.views.is_changing() && quorum && !runs {
            self.views.waits_for = Some(Wait::NewView(wanted));
            cx.set_timer(Timer::View.into(), self.view_timer());
        }
    }

    /// Sends this replica's VIEW-CHANGE again while the view has not begun.
    pub(crate) fn change_view_again<P: PbftProtocol>(&self, cx: &mut Context<'_, P>) {
        if let Some(change) = self.views.changes.get(&cx.id()).filter(|_| self.views.is_changing()) {
            cx.send_all(Message::ViewChange(Arc::clone(change)));
        }
    }

    /// A peer is in `view`: if that is an earlier one, it gets what began this one.
    pub(crate) fn bring_into_view<P: PbftProtocol>(
        &self,
        cx: &mut Context<'_, P>,
        peer: ReplicaId,
        view: View,
    ) {
        if let Some(new_view) = self.views.began_by.as_ref().filter(|new_view| new_view.view > view) {
            cx.send(peer, Message::NewView(Arc::clone(new_view)));
        }
    }

    // ---- Beginning ----

    /// Whether this replica is commander of the view that it wants, and a quorum
    /// wants the same.
    pub fn may_begin_view<P: PbftProtocol>(&self, cx: &Context<'_, P>) -> bool {
        let wanted = self.views.wanted;
        self.views.is_changing()
            && cx.cluster.commander(wanted) == cx.id()
            && self.views.wanting(wanted, false) >= cx.cluster.quorum()
    }

    /// As commander: begins the view, with `node` as communication node of what is
    /// proposed again. Returns the slots that the flow votes for.
    pub fn begin_view<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        node: Option<ReplicaId>,
    ) -> Vec<Seq> {
        let view = self.views.wanted;
        let same = self.views.changes.values().filter(|change| change.view == view).cloned();
        let mut changes: Vec<_> = same.collect();
        if !cx.cluster.has_tags() {
            changes.sort_by_key(|change| (change.author != cx.id(), change.author));
            changes.truncate(cx.cluster.quorum());
            changes.sort_by_key(|change| change.author);
        }
        let Some(outline) = Outline::of(cx.cluster, &changes) else {
            return vec![]; // More VIEW-CHANGEs will tell.
        };
        self.adopt_checkpoint(cx, &outline);
        let sign = |(seq, digest): &(Seq, Digest)| {
            Vote::sign(cx.cluster, cx.signer, Phase::PrePrepare, (view, *seq, *digest), node)
        };
        let proposals: Vec<Vote> = outline.slots.iter().map(sign).collect();
        for header in &proposals {
            let Vote { phase, view, seq, digest, .. } = *header;
            cx.mark(Mark::Voted { phase, view: Some(view), seq, digest });
        }
        let sent = if cx.cluster.has_tags() { vec![] } else { proposals.clone() };
        let new_view = Arc::new(NewView::sign(cx.cluster, cx.signer, view, changes, sent));
        cx.send_all(Message::NewView(Arc::clone(&new_view)));
        self.install(cx, &outline, new_view, &proposals)
    }

    /// Takes a NEW-VIEW. Returns the slots that the flow votes for.
    pub(crate) fn take_new_view<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        new_view: &Arc<NewView>,
    ) -> Vec<Seq> {
        let view = new_view.view;
        if view <= self.views.active || view < self.views.wanted {
            return vec![]; // Known, or too late.
        }
        let outline = Outline::of(cx.cluster, &new_view.view_changes);
        let Some(outline) = outline.filter(|outline| self.is_sound(cx.cluster, new_view, outline)) else {
            cx.reject(from, None, Reason::MalformedViewChange);
            return vec![];
        };
        self.adopt_checkpoint(cx, &outline);
        let proposals = match cx.cluster.authentication() {
            Authentication::Signatures => new_view.proposals.clone(),
            Authentication::Tags => outline.proposals(cx.cluster, view),
        };
        self.install(cx, &outline, Arc::clone(new_view), &proposals)
    }

    /// The highest checkpoint proven is adopted first: what is proposed, and voted
    /// for, lies within its watermarks.
    fn adopt_checkpoint<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>, outline: &Outline) {
        if let Some(stable) = &outline.stable {
            self.take_stable(cx, Arc::clone(stable));
        }
    }

    /// Whether a NEW-VIEW proposes what its VIEW-CHANGEs demand, the naming of
    /// communication nodes apart.
    fn is_sound(&self, cluster: &Cluster, new_view: &NewView, outline: &Outline) -> bool {
        let interval = self.config.checkpoint_interval;
        let names = |header: &Vote| header.communication_node.is_some() == (self.votes == Votes::Collected);
        let proposed: Vec<(Seq, Digest)> = new_view.proposals.iter().map(|h| (h.seq, h.digest)).collect();
        new_view.view_changes.iter().all(|change| change.is_within(interval))
            && new_view.proposals.iter().all(names)
            && (cluster.has_tags() || proposed == outline.slots || weakened(Weakening::NewViewNotRecomputed))
    }

    fn install<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        outline: &Outline,
        new_view: Arc<NewView>,
        proposals: &[Vote],
    ) -> Vec<Seq> {
        let view = new_view.view;
        self.views.wanted = view;
        self.views.active = view;
        self.views.waits_for = None;
        for change in &new_view.view_changes {
            self.views.changes.entry(change.author).or_insert_with(|| Arc::clone(change));
        }
        self.views.changes.retain(|_, change| change.view >= view);
        self.views.began_by = Some(Arc::clone(&new_view));
        self.views.began_with = proposals.iter().map(|header| (header.seq, header.digest)).collect();
        self.resend.reset();
        let was_unfair = self.fairness.begin_view(cx.now);
        self.pace.begin_view(was_unfair);
        cx.cancel_timer(Timer::View.into());
        self.forget_rounds(cx);
        cx.mark(Mark::View(ViewMark::ViewBegan { view }));
        if weakened(Weakening::SessionsLost) {
            self.execution.forget_sessions();
        }
        let low = outline.stable.as_ref().map_or(Seq(0), |stable| stable.seq);
        self.last_proposed = outline.slots.last().map_or(low, |(seq, _)| *seq);
        let accepted = self.adopt_proposals(cx, proposals);
        self.hand_over_requests(cx);
        if cx.cluster.requests_have_tags() {
            // What is authentic here and nowhere else would make this replica impatient with every commander. Whoever
            // has made a request sends it to all again.
            self.requests.watch_only_those_of(cx.id());
        }
        self.follow_commander(cx);
        accepted
    }

    fn forget_rounds<P: PbftProtocol>(&mut self, cx: &Context<'_, P>) {
        let kept = [self.views.active, self.views.wanted];
        for (seq, slot) in &mut self.slots {
            slot.forget_rounds(cx.cluster, cx.id(), *seq, &kept);
        }
    }

    /// Takes over the proposals of a NEW-VIEW, and those that came before it.
    fn adopt_proposals<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>, proposals: &[Vote]) -> Vec<Seq> {
        let mut slots = Vec::new();
        for header in proposals {
            let seq = header.seq;
            // A commander far behind keeps what it proposes all the same: that is its
            // vote, and it owes it to the next view.
            let beyond = seq > self.highest_kept() && header.author != cx.id();
            if seq < self.oldest_kept() || beyond {
                continue;
            }
            let round = self.open(cx.cluster, header.view, seq);
            let first = round.header.clone();
            if round.record(header) == Tallied::Contradiction {
                self.accuse(cx, header.author, first, header);
                return vec![];
            }
            slots.push(seq);
        }
        let early = self.slots.range(self.last_proposed.next()..);
        let has_header = |seq: &Seq| self.round(*seq).is_some_and(|round| round.header.is_some());
        slots.extend(early.map(|(seq, _)| *seq).filter(has_header));
        let decided_too = cx.cluster.has_tags() && !weakened(Weakening::DecidedNotVotedAgain);
        slots.retain(|seq| decided_too || !self.is_committed(*seq));
        for seq in slots.iter().filter(|seq| !self.is_committed(**seq)) {
            // Whoever has decided the slot answers so.
            cx.send_all(Message::Stuck { seq: *seq, complaint: false, votes: vec![] });
        }
        slots.retain(|seq| self.is_acceptable(cx, *seq));
        let proposed = |core: &Self, seq: Seq| Some((seq, core.round(seq)?.header.as_ref()?.digest));
        let mut proposed: Vec<_> = slots.iter().filter_map(|seq| proposed(self, *seq)).collect();
        proposed.retain(|(seq, digest)| self.may_accept(*seq, *digest));
        for (seq, digest) in &proposed {
            self.mark_accepted(cx, *seq, *digest);
        }
        proposed.into_iter().map(|(seq, _)| seq).collect()
    }

    /// Whether a proposal's batch is here; if it is not, all are asked for it.
    fn is_acceptable<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>, seq: Seq) -> bool {
        let Some(digest) = self.round(seq).and_then(|round| Some(round.header.as_ref()?.digest)) else {
            return false;
        };
        let batches = &mut self.slots.entry(seq).or_default().batches;
        if digest == Batch::default().digest() {
            batches.entry(digest).or_default();
        }
        let held = batches.contains_key(&digest);
        if !held {
            cx.send_all(Message::Fetch { seq, digest });
        }
        held
    }

    /// Requests go to the new commander.
    fn hand_over_requests<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) {
        let commander = cx.cluster.commander(self.views.active);
        if commander != cx.id() {
            self.requests.forget_waiting();
            for bundle in self.requests.all_watched() {
                cx.send(commander, Message::Requests(bundle));
            }
            return;
        }
        let waiting = self.requests.take_waiting();
        self.requests.forget_waiting();
        let view = self.views.active;
        for slot in self.slots.range(self.last_executed().next()..).map(|(_, slot)| slot) {
            let header = slot.rounds.get(&view).and_then(|round| round.header.as_ref());
            if let Some(batch) = header.and_then(|header| slot.batches.get(&header.digest)) {
                self.requests.note_proposed(batch);
            }
        }
        for bundle in self.requests.all_watched().into_iter().chain(waiting) {
            // What does not fit is sent again by its gateway.
            let _ = self.requests.enqueue(bundle);
        }
    }
}

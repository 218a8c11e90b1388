//! What got lost is sent again: votes and proposals of slots that are stuck,
//! requests, checkpoints, VIEW-CHANGEs, and how far this replica has come.

use crate::core::{Core, PbftProtocol, Timer};
use crate::message::Message;
use crate::slot::Slot;
use kernel::{
    Application, Batch, Cluster, Context, Digest, Micros, ReplicaId, Seq, View, Weakening, weakened,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// When what may be lost is sent again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Resend {
    /// What was executed when the timer was started, if it runs.
    since: Option<Seq>,
    /// Nothing waits here: it runs only because peers lag behind.
    background: bool,
    /// How often it expired in a row without progress; the wait doubles each time.
    without_progress: u32,
    /// How far peers say that they have executed.
    peers_executed: BTreeMap<ReplicaId, Seq>,
    /// What this replica announced to its peers last.
    announced: Seq,
    /// The highest view that a vote was seen of which this replica knows nothing.
    unknown_view: View,
    /// Who has complained that a slot is stuck.
    complaints: BTreeMap<Seq, BTreeSet<ReplicaId>>,
}

impl Resend {
    /// A view begins: whatever is lost in it is sent again soon.
    pub(crate) fn reset(&mut self) {
        self.without_progress = 0;
    }

    /// A vote of a view that this replica is not in.
    pub(crate) fn note_view(&mut self, view: View) {
        self.unknown_view = self.unknown_view.max(view);
    }
}

/// The resend timer doubles at most so often.
const MOST_DOUBLINGS: u32 = 5;
/// Slots that a replica asks for at once when it is behind.
const SLOTS_ASKED: usize = 32;

impl<A: Application> Core<A> {
    /// A peer says in which view it is and how far it has executed. One that is in
    /// an earlier view gets what began this one.
    pub(crate) fn take_progress<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        view: View,
        executed: Seq,
    ) {
        let known = self.resend.peers_executed.entry(from).or_default();
        *known = executed.max(*known);
        if executed < self.last_executed() {
            cx.send(from, Message::Progress { view: self.view(), executed: self.last_executed() });
        }
        self.resend.note_view(view);
        self.bring_into_view(cx, from, view);
    }

    /// The slot that at least one honest peer has executed.
    fn executed_by_peers(&self, cluster: &Cluster) -> Seq {
        let mut by_peer: Vec<Seq> = self.resend.peers_executed.values().copied().collect();
        by_peer.sort_unstable_by(|a, b| b.cmp(a));
        let executed = by_peer.get(cluster.f()).copied().unwrap_or_default();
        executed.min(self.highest_kept())
    }

    /// The last slot that is begun for sure.
    pub(crate) fn last_begun(&self, cluster: &Cluster) -> Seq {
        let weak = cluster.weak_quorum();
        let by_votes = self.slots.iter().rev().find(|(_, slot)| slot.is_begun(weak)).map(|(seq, _)| *seq);
        let next = Some(self.last_executed().next()).filter(|next| self.is_known(cluster, *next));
        by_votes.into_iter().chain(next).fold(self.executed_by_peers(cluster), Seq::max)
    }

    /// Whether `f+1` replicas know of a slot, whatever they know: they have voted in it, or say that they have executed
    /// it. One of them is honest; a single one may have invented it. Asked only of the slot to be executed next: faulty
    /// replicas can vote in all slots ahead, and to count in each of them who knows of it would take long.
    fn is_known(&self, cluster: &Cluster, seq: Seq) -> bool {
        let has_executed = |peer| self.resend.peers_executed.get(&peer).is_some_and(|done| *done >= seq);
        let knows = |slot: &Slot, peer| slot.has_vote_of(peer) || has_executed(peer);
        self.slots.get(&seq).is_some_and(|slot| {
            cluster.replicas().filter(|peer| knows(slot, *peer)).count() >= cluster.weak_quorum()
        })
    }

    /// Whether anything is begun and not finished: requests, slots, checkpoints,
    /// a view change, a recovery, the way out of being behind.
    fn has_work(&self, cluster: &Cluster, id: ReplicaId) -> bool {
        self.requests.any_watched()
            || self.views.is_changing()
            || self.resend.unknown_view > self.views.wanted
            || self.recovery.is_pending()
            || self.checkpoints.stable() > self.last_executed()
            || self.has_diverged()
            || self.last_begun(cluster) > self.last_executed()
            || !self.checkpoints.unstable_votes_of(id).is_empty()
            || self.resend.announced < self.last_executed()
    }

    /// Peers that never said that they have executed as much.
    fn lagging(&self, cluster: &Cluster, id: ReplicaId) -> Vec<ReplicaId> {
        let executed = self.last_executed();
        let lags = |peer: &ReplicaId| self.resend.peers_executed.get(peer).is_none_or(|seq| *seq < executed);
        cluster.replicas().filter(|peer| *peer != id && executed > Seq(0) && lags(peer)).collect()
    }

    /// Starts the timers that have a reason to run and do not.
    pub fn watch<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) {
        self.keep_pace(cx);
        self.watch_requests(cx);
        let runs = self.resend.since.is_some();
        if (runs && !self.resend.background) || weakened(Weakening::NothingSentAgain) {
            return;
        }
        let has_work = self.has_work(cx.cluster, cx.id());
        if !has_work && (runs || self.lagging(cx.cluster, cx.id()).is_empty()) {
            return;
        }
        if runs || has_work == self.resend.background {
            self.resend.without_progress = 0;
        }
        self.resend.background = !has_work;
        self.resend.since = Some(self.last_executed());
        // Replicas that leave a view must find each other before timers grow.
        let doublings =
            if self.views.is_changing() { 0 } else { self.resend.without_progress.min(MOST_DOUBLINGS) };
        cx.set_timer(Timer::Resend.into(), Micros(self.config.resend_after.0 << doublings));
    }

    /// The resend timer ran out. Sends this gateway's requests again that have
    /// waited that long. If nothing was executed either: sends everything again
    /// that its peers may lack, asks again for what it lacks itself, watches over what
    /// is proposed in slots that are stuck, and returns these.
    pub fn stuck<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) -> Vec<Seq> {
        let executed = self.last_executed();
        let progressed = self.resend.since.take() != Some(executed);
        self.resend.without_progress = if progressed { 0 } else { self.resend.without_progress + 1 };
        self.submit_again(cx);
        self.recover_again(cx);
        let is_behind = self.executed_by_peers(cx.cluster).0 > executed.0 + self.config.window;
        let is_elsewhere = self.views.is_changing() || self.resend.unknown_view > self.views.wanted;
        if progressed && !is_behind && !is_elsewhere {
            return vec![];
        }
        self.change_view_again(cx);
        self.fetch_state(cx);
        if self.resend.announced < executed || self.resend.unknown_view > self.views.wanted {
            // Quiet again: whoever missed the last slots learns of them, and whoever
            // is in a later view brings this replica there.
            self.resend.announced = executed;
            self.resend.unknown_view = View(0);
            cx.send_all(Message::Progress { view: self.view(), executed });
        } else {
            for peer in self.lagging(cx.cluster, cx.id()) {
                cx.send(peer, Message::Progress { view: self.view(), executed });
            }
        }
        for vote in self.checkpoints.unstable_votes_of(cx.id()) {
            cx.send_all(Message::Checkpoint(vote));
        }
        self.fetch_again(cx);
        let first = executed.next();
        let last = self.last_begun(cx.cluster);
        let slots = (first.0..=last.0).take(SLOTS_ASKED).map(Seq);
        let slots: Vec<Seq> = slots.filter(|seq| !self.is_committed(*seq)).collect();
        self.resend.complaints = self.resend.complaints.split_off(&first);
        slots.iter().for_each(|seq| self.watch_over_slot(cx, *seq));
        slots
    }

    /// A peer complains that a slot is stuck there.
    pub fn note_complaint(&mut self, from: ReplicaId, seq: Seq) {
        if seq > self.last_executed() && seq <= self.highest_kept() {
            self.resend.complaints.entry(seq).or_default().insert(from);
        }
    }

    /// A stuck slot may hold requests that nobody watches over any more: their clients had their answers before
    /// all replicas stopped, and none of them remembers that it had executed them. This replica has received them, so it
    /// owes the commander no more patience than for others (OSDI §4.4). But if it is merely behind, or was cut off, the commander
    /// is not to blame: so somebody honest must be stuck as well, or have left the view, and no state on its way.
    fn watch_over_slot<P: PbftProtocol>(&mut self, cx: &Context<'_, P>, seq: Seq) {
        let complaints = self.resend.complaints.get(&seq).into_iter().flatten().copied();
        let others: BTreeSet<ReplicaId> =
            complaints.chain(self.views.leaving()).filter(|peer| *peer != cx.id()).collect();
        let is_behind = seq <= self.checkpoints.stable() || self.transfer.is_some();
        if is_behind || others.len() < cx.cluster.f().max(1) {
            return;
        }
        let round = self.slots.get(&seq).and_then(|slot| slot.rounds.get(&self.views.active));
        let accepted = round.and_then(|round| round.accepted_header()).map(|header| header.digest);
        let Some(slot) = self.slots.get(&seq) else { return };
        let proposed = accepted.into_iter().chain(self.shown_by_votes(cx.cluster, seq));
        let batches: Vec<Arc<Batch>> =
            proposed.filter_map(|digest| slot.batches.get(&digest)).cloned().collect();
        for bundle in batches.iter().flat_map(|batch| &batch.bundles) {
            // What does not fit is left to those who watch over it.
            let _ = self.requests.watch(bundle);
        }
    }

    /// Asks again for batches that are decided or proposed and not here.
    fn fetch_again<P: PbftProtocol>(&self, cx: &mut Context<'_, P>) {
        for (seq, slot) in self.slots.range(self.last_executed().next()..).take(SLOTS_ASKED) {
            let proposed =
                self.round(*seq).and_then(|round| round.header.as_ref()).map(|header| header.digest);
            let wanted: BTreeSet<Digest> = match slot.committed {
                Some((_, decided)) => [decided].into(),
                None => proposed.into_iter().chain(self.shown_by_votes(cx.cluster, *seq)).collect(),
            };
            for digest in wanted.into_iter().filter(|digest| !slot.batches.contains_key(digest)) {
                cx.send_all(Message::Fetch { seq: *seq, digest });
            }
        }
    }

    fn submit_again<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) {
        let commander = cx.cluster.commander(self.views.serving());
        for bundle in self.requests.overdue() {
            // Other gateways' replicas do so for them.
            if bundle.gateway() == cx.id() || cx.cluster.is_client(bundle.gateway()) {
                cx.send(commander, Message::Requests(Arc::clone(&bundle)));
            }
        }
    }
}

//! What a node does when a round does not come to its end, or came to it without
//! this node: requests on their way, timers, catching up.

use super::message::{Message, Statement, Step};
use super::replica::{Replica, Timer, max_faulty, view};
use super::stores::{PER_FETCH, Stores};
use crate::trust::TrustTable;
use kernel::{
    Application, Bundle, Context, Effect, Mark, Micros, Reason, ReplicaId, ReplyBundle, Seq, Snapshot,
    ViewMark,
};
use pbft::Execution;
use std::sync::Arc;

/// Messages of so many rounds ahead are kept; a node further behind fetches.
const ROUNDS_AHEAD: u64 = 64;
/// A wait is doubled so many times at most.
const MOST_DOUBLINGS: u32 = 4;

impl<A: Application> Replica<A> {
    pub(super) fn start(&mut self, cx: &mut Context<'_, Self>) {
        if self.returns {
            self.fetching = Some(Seq(self.current.0 + PER_FETCH - 1));
            cx.send_all(Message::Fetch { next: self.current });
        }
    }

    // ---- Requests ----

    /// Takes a bundle that the host hands over: its own gateway's, or a client's, which
    /// speaks to all nodes itself.
    pub(super) fn submit(&mut self, cx: &mut Context<'_, Self>, bundle: Arc<Bundle>) {
        let client = (bundle.gateway() != cx.id()).then_some(bundle.gateway());
        self.take_requests(cx, client, bundle);
    }

    /// Keeps requests until they are executed, and passes them to the commander;
    /// `from` is none for those of this node's own gateway.
    pub(super) fn take_requests(
        &mut self,
        cx: &mut Context<'_, Self>,
        from: Option<ReplicaId>,
        bundle: Arc<Bundle>,
    ) {
        if let Some((seq, replies)) = self.execution.replies_again(&bundle) {
            if from.is_none() {
                // Its gateway asks because the replies were lost: all have them.
                cx.send_all(Message::Requests(Arc::clone(&bundle)));
            }
            if !replies.is_empty() {
                let to = bundle.gateway();
                let view = view(self.round(cx.cluster).attempt);
                let bundle = ReplyBundle::sign(cx.cluster, cx.signer, view, seq, to, vec![], replies);
                cx.push(Effect::Reply { to, bundle });
            }
            return;
        }
        if self.waiting.is_full() {
            cx.reject(from.unwrap_or(cx.id()), None, Reason::Overloaded);
            return;
        }
        let is_new = self.waiting.insert(&bundle);
        let commander = self.roles(cx.cluster).commander;
        if from.is_none() || (is_new && from != Some(commander)) {
            cx.send(commander, Message::Requests(bundle));
        }
    }

    /// Passes all that waits to a new commander.
    pub(super) fn hand_over(&mut self, cx: &mut Context<'_, Self>) {
        let commander = self.roles(cx.cluster).commander;
        for bundle in self.waiting.iter() {
            cx.send(commander, Message::Requests(Arc::clone(bundle)));
        }
    }

    // ---- Nodes that are down ----

    /// Keeps the timer running while there is work, from the beginning of each
    /// attempt.
    pub(super) fn watch(&mut self, cx: &mut Context<'_, Self>) {
        let (seq, is_idle) = (self.current, self.waiting.is_empty());
        let round = self.round(cx.cluster);
        let (attempt, is_commander) = (round.attempt, round.roles().commander == cx.id());
        let wanted = (round.block.is_some() || !is_idle).then_some((seq, attempt));
        if wanted == self.watched {
            return;
        }
        self.watched = wanted;
        if wanted.is_some() {
            let after = if is_commander { self.round_after } else { self.commander_after };
            cx.set_timer(Timer::Round, Micros(after.0 << attempt.failures().min(MOST_DOUBLINGS)));
        } else {
            cx.cancel_timer(Timer::Round);
        }
    }

    /// The commander finds the communication node down and runs the round again
    /// with the next in trust; when that was so with `f+2` of them, it must be
    /// itself whom nobody follows, and it steps aside. All others find the commander
    /// down; if they are wrong, nothing holds the two apart.
    pub(super) fn give_up(&mut self, cx: &mut Context<'_, Self>) {
        self.watched = None;
        let next = self.current;
        let round = self.round(cx.cluster);
        let before = round.roles();
        let tried = usize::from(round.attempt.replacements) + 1;
        if before.commander == cx.id() && tried < max_faulty(cx.cluster.n) + 2 {
            let attempt = round.attempt.replaced();
            round.enter(attempt);
            let (from, to) = (before.communication_node, round.roles().communication_node);
            cx.mark(Mark::View(ViewMark::Rotated { from, to }));
        } else {
            let attempt = round.attempt.taken_over();
            round.enter(attempt);
            cx.mark(Mark::View(ViewMark::LeftFor { view: view(attempt) }));
            // It may be that only its STORE was lost.
            cx.send(before.commander, Message::Fetch { next });
            self.hand_over(cx);
        }
    }

    // ---- Messages that come too early, and rounds that were missed ----

    pub(super) fn is_early(&self, header: &Statement) -> bool {
        let carries_attempt = matches!(header.step, Step::Request | Step::Store | Step::Reply);
        header.seq > self.current
            || header.seq == self.current
                && !carries_attempt
                && self.rounds.get(&self.current).is_some_and(|round| header.attempt > round.attempt)
    }

    pub(super) fn keep_early(&mut self, cx: &mut Context<'_, Self>, from: ReplicaId, message: Message) {
        let Some(header) = message.header() else {
            return;
        };
        let seq = header.seq;
        if seq > self.current {
            if self.ahead.is_none() {
                cx.set_timer(Timer::CatchUp, self.round_after);
            }
            if self.ahead.is_none_or(|(highest, _)| seq > highest) {
                self.ahead = Some((seq, from));
            }
        }
        let most = 4 * usize::from(cx.cluster.n);
        if seq.0 > self.current.0 + ROUNDS_AHEAD {
            cx.reject(from, Some(seq), Reason::OutsideWindow);
            return;
        }
        let early = self.early.entry(seq).or_default();
        if early.len() < most {
            early.push((from, message));
        }
    }

    /// Takes what came early and is due by now.
    pub(super) fn take_early(&mut self, cx: &mut Context<'_, Self>) {
        self.early = self.early.split_off(&self.current);
        while let Some((from, message)) = self.next_early() {
            self.take(cx, from, message);
            self.begin(cx);
        }
    }

    fn next_early(&mut self) -> Option<(ReplicaId, Message)> {
        let early = self.early.get(&self.current)?;
        let is_due =
            |(_, message): &(ReplicaId, Message)| message.header().is_some_and(|h| !self.is_early(h));
        let due = early.iter().position(is_due)?;
        let taken = self.early.get_mut(&self.current).map(|early| early.remove(due));
        self.early.retain(|_, early| !early.is_empty());
        taken
    }

    /// A later round became known some time ago, and this node is not there yet.
    pub(super) fn catch_up(&mut self, cx: &mut Context<'_, Self>) {
        if let Some((seq, from)) = self.ahead.take()
            && seq > self.current
        {
            self.fetch(cx, from);
        }
    }

    fn fetch(&mut self, cx: &mut Context<'_, Self>, from: ReplicaId) {
        self.fetching = Some(Seq(self.current.0 + PER_FETCH - 1));
        cx.send(from, Message::Fetch { next: self.current });
    }

    /// Asks for more once all is here that was asked for.
    pub(super) fn fetch_on(&mut self, cx: &mut Context<'_, Self>, from: ReplicaId) {
        if self.fetching.is_some_and(|last| self.current > last) {
            self.fetch(cx, from);
        }
    }

    /// Sends the STOREs from round `next` on, or this node's state where that is
    /// too long ago.
    pub(super) fn serve(&mut self, cx: &mut Context<'_, Self>, to: ReplicaId, next: Seq) {
        let last = self.execution.last();
        if self.stores.reach_back_to(next) {
            for store in self.stores.from(next) {
                cx.send(to, store.clone());
            }
        } else if next <= last && last.next() == self.current {
            let trust = Arc::clone(&self.trust);
            let state = self.execution.snapshot().to_bytes();
            cx.send(to, Message::state(cx.cluster, cx.signer, last, trust, state));
        }
    }

    /// Takes over another node's state, on its word: this flow has no proofs.
    pub(super) fn take_state(
        &mut self,
        cx: &mut Context<'_, Self>,
        from: ReplicaId,
        header: &Statement,
        trust: Arc<TrustTable>,
        state: &[u8],
    ) {
        if self.fetching.is_none() || header.seq < self.current {
            return;
        }
        let state = Snapshot::from_bytes(state).and_then(|state| Execution::restore(&state));
        let Some(execution) = state.filter(|state: &Execution<A>| state.last() == header.seq) else {
            cx.reject(from, None, Reason::DigestMismatch);
            return;
        };
        cx.mark(Mark::StateAdopted { seq: header.seq, chain: execution.chain() });
        self.waiting.retain(|bundle| execution.replies_again(bundle).is_none());
        self.execution = execution;
        self.current = header.seq.next();
        self.trust = trust;
        self.rounds.clear();
        self.stores = Stores::default();
        self.mark_roles(cx);
        self.fetch(cx, from);
    }
}

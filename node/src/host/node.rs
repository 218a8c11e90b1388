//! What the tasks of one node share, grouped by who writes it.

use super::client_links::ClientLinks;
use super::counters::{ArrivalCounters, CounterReport, Counters};
use super::gateway::{Gateway, Outcome};
use super::inbox::{FromClient, Inbox, Incoming};
use super::reported_tallies::ReportedTallies;
use super::slot_log::{LogReport, SlotLog};
use crate::api::JournalReport;
use crate::carried::{Carried, extension_ns};
use crate::clock::now_ns;
use crate::config::{LinkConditions, NodeConfig};
use crate::links::handshake::LinkIdentity;
use crate::links::outgoing::Link;
use crate::process::{process_cpu_us, process_memory_bytes};
use crate::tally::Tally;
use adversary::{Adversary, Behaviour};
use client::Busy;
use journal::{Progress, When};
use kernel::{
    Admission, Digest, Keyring, Micros, Operation, Path, Protocol, Reading, ReplicaId, Seq, Signer, Status,
};
use prometheus_client::metrics::histogram::Histogram;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};

/// One node. The event loop steps its replica; all others read the node, or queue
/// work for the loop by the methods here.
pub(crate) struct Node<P: Protocol> {
    pub(crate) config: NodeConfig,
    pub(crate) signer: Signer,
    pub(crate) link_identity: Rc<LinkIdentity>,
    /// By id; none to itself.
    pub(crate) links: Vec<Option<Rc<Link>>>,
    /// Of clients with keys of their own.
    pub(crate) client_links: Rc<ClientLinks>,
    /// Written by both halves of the links.
    carried: Rc<Carried>,
    pub(super) engine: Engine<P>,
    pub(super) arrivals: Arrivals<P::Message>,
    pub(super) controls: Controls,
    /// Clients open requests; the event loop does the rest.
    pub(super) gateway: RefCell<Gateway>,
    /// Tells the event loop that there is work.
    pub(super) wake: Arc<Notify>,
    /// Becomes true when it is to accept no more.
    stopping: watch::Sender<bool>,
    /// When this node began, for conditions and measurements of time.
    started_ns: u64,
    /// The time that its replica was lent before that, by its journal.
    elapsed_before: Micros,
    /// How far its journal is, if it keeps one.
    journal: Option<Progress>,
    /// Written by the event loop: effects that wait for the disk.
    effects_waiting: Cell<usize>,
}

/// Written by the event loop.
pub(super) struct Engine<P: Protocol> {
    pub(super) replica: RefCell<Adversary<P>>,
    pub(super) admission: RefCell<Admission>,
    pub(super) counters: RefCell<Counters>,
    pub(super) slot_log: RefCell<SlotLog>,
    pub(super) reported_tallies: RefCell<ReportedTallies>,
}

/// Written by the readers of links.
pub(super) struct Arrivals<M> {
    pub(super) inbox: Inbox<Incoming<M>>,
    pub(super) from_clients: Inbox<FromClient>,
    pub(super) counters: RefCell<ArrivalCounters>,
}

/// Written by whoever experiments with the running node.
pub(super) struct Controls {
    /// What the network does to messages now.
    pub(super) link_conditions: RefCell<LinkConditions>,
    /// Behaviours that the event loop has not put on the replica yet.
    pub(super) new_behaviours: RefCell<Option<Vec<Behaviour>>>,
    /// It has now.
    pub(super) behaviours_set: Notify,
}

impl<P: Protocol> Node<P> {
    /// A node whose replica was lent `began.elapsed` before it was started, which was at `started_ns`.
    pub(crate) fn new(
        config: NodeConfig,
        keyring: Keyring,
        signer: Signer,
        (replica, began, started_ns): (Adversary<P>, When, u64),
        journal: Option<Progress>,
        wake: Arc<Notify>,
    ) -> Node<P> {
        let carried = Rc::<Carried>::default();
        // Where there are no slots, that counts requests.
        let status = replica.status(&config.cluster);
        let executed = status.views.map_or(Seq(0), |_| status.last_executed);
        let link = |id| (id != config.id).then(|| Rc::new(Link::new(Rc::clone(&carried))));
        let links = config.cluster.replicas().map(link).collect();
        let gateway = Gateway::new(
            config.id,
            config.faulty_tolerated + 1,
            config.timeout_us.saturating_mul(1000),
            config.remind_after_us.saturating_mul(1000),
            client::first_session(Duration::from_micros(began.unix_us)),
        );
        let own = (config.id, &config.secret);
        let link_identity = LinkIdentity::new(config.cluster.id, config.configuration, own, keyring.clone());
        Node {
            link_identity: Rc::new(link_identity),
            links,
            client_links: Rc::default(),
            carried,
            engine: Engine {
                replica: RefCell::new(replica),
                admission: RefCell::new(Admission::new(config.cluster.clone(), keyring).of_receiver(&signer)),
                counters: RefCell::default(),
                slot_log: RefCell::new(SlotLog::after(executed.0, config.slots_kept)),
                reported_tallies: RefCell::new(ReportedTallies::new(usize::from(config.cluster.n))),
            },
            signer,
            arrivals: Arrivals {
                inbox: Inbox::new(),
                from_clients: Inbox::new(),
                counters: RefCell::default(),
            },
            controls: Controls {
                link_conditions: RefCell::new(config.link.clone()),
                new_behaviours: RefCell::default(),
                behaviours_set: Notify::new(),
            },
            gateway: RefCell::new(gateway),
            wake,
            stopping: watch::Sender::new(false),
            started_ns,
            elapsed_before: began.elapsed,
            journal,
            effects_waiting: Cell::default(),
            config,
        }
    }

    /// Why requests of its own clients would not be proposed, and what to do; none if they would.
    pub(crate) fn takes_no_requests(&self) -> Option<&'static str> {
        if self.engine.replica.borrow().takes_requests(self.config.id) {
            return None;
        }
        // Without views there is nothing that could tell when what it may have said is over.
        let lost_its_memory = self.replica_status().recovering;
        Some(match lost_its_memory {
            true => {
                "it lost its memory and takes part no more, as it cannot know what it has said; give it back its \
                 journal (--data-dir), or ask another one"
            }
            false => {
                "it is no member, or it leaves; ask a member (GET /api/v1/members lists them), or have members let it \
                 join (POST /api/v1/members)"
            }
        })
    }

    /// Accepts no more from clients; what was accepted goes on.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Whether it accepts no more.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Completes when it accepts no more.
    pub(crate) fn until_stopping(&self) -> impl Future<Output = ()> + use<P> {
        let mut stopping = self.stopping.subscribe();
        async move {
            // An error means that the node is gone.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }

    /// Time since the node began, the times before it was last started included.
    pub(super) fn elapsed(&self) -> Micros {
        Micros(self.elapsed_before.0 + now_ns().saturating_sub(self.started_ns) / 1000)
    }

    /// When so much time will have passed, on the clock of [`now_ns`].
    pub(super) fn at_ns(&self, elapsed: Micros) -> u64 {
        let after_us = elapsed.0.saturating_sub(self.elapsed_before.0);
        self.started_ns.saturating_add(after_us.saturating_mul(1000))
    }

    /// What the journal has taken in.
    pub(crate) fn journal_report(&self) -> Option<JournalReport> {
        let (to, journal) = (self.config.journal.as_ref()?, self.journal.as_ref()?);
        Some(JournalReport {
            durability: to.durability,
            bytes: journal.bytes(),
            writes: journal.writes(),
            effects_waiting: self.effects_waiting.get() as u64,
            failure: journal.failure().map(str::to_owned),
        })
    }

    /// So many effects wait for the disk.
    pub(super) fn set_effects_waiting(&self, count: usize) {
        self.effects_waiting.set(count);
    }

    /// Whether the journal has failed, so that the node promises nothing more.
    pub(crate) fn has_lost_its_journal(&self) -> bool {
        self.journal.as_ref().is_some_and(|journal| journal.failure().is_some())
    }

    /// Whether the node is cut off by fault injection.
    pub(crate) fn is_offline(&self) -> bool {
        self.engine.replica.borrow().is_offline(&self.config.cluster, self.elapsed())
    }

    /// Takes a client's request in; its outcome comes through the channel.
    pub(crate) fn submit(
        &self,
        operation: Operation,
        wants_evidence: bool,
    ) -> Result<oneshot::Receiver<Outcome>, Busy> {
        let outcome = self.gateway.borrow_mut().open(operation, now_ns(), wants_evidence)?;
        self.wake.notify_one();
        Ok(outcome)
    }

    /// Requests whose clients wait.
    pub(crate) fn requests_in_flight(&self) -> usize {
        self.gateway.borrow().in_flight()
    }

    /// Consensus times of this node's clients, seconds; how many of their requests were not decided in time, and how
    /// many were, and refused by the application.
    pub(crate) fn latencies(&self) -> (Histogram, u64, u64) {
        let gateway = self.gateway.borrow();
        (gateway.latencies(), gateway.timed_out(), gateway.refused())
    }

    /// The application has answered a decided request otherwise than asked.
    pub(crate) fn note_refused(&self) {
        self.gateway.borrow_mut().note_refused();
    }

    /// Bytes that came in from a peer.
    pub(crate) fn count_arrived_bytes(&self, bytes: usize) {
        self.arrivals.counters.borrow_mut().bytes += bytes as u64;
    }

    /// Something came in from a peer that never got as far as a message.
    pub(crate) fn count_unreadable(&self, what: &'static str) {
        self.arrivals.counters.borrow_mut().unreadable(what);
    }

    /// Bytes that came in from a peer and belong to a large frame.
    pub(crate) fn count_carried(&self, bytes: usize) {
        self.carried.add(bytes);
    }

    /// What the links have carried so far of large frames.
    pub(super) fn carried(&self) -> u64 {
        self.carried.total()
    }

    /// How much longer to wait than `wait_ns`, in nanoseconds, for the sake of what the
    /// links have carried since they had carried `before`, and of what they have yet to
    /// carry.
    pub(super) fn extension_ns(&self, wait_ns: u64, before: u64) -> u64 {
        let waiting: u64 = self.links.iter().flatten().map(|link| link.large_bytes_waiting()).sum();
        extension_ns(wait_ns, self.carried.total() - before + waiting)
    }

    /// Queues a peer's frame for the event loop, which is not woken by it.
    pub(crate) fn push_frame(&self, incoming: Incoming<P::Message>) {
        let bytes = incoming.bytes;
        self.arrivals.inbox.push(incoming, bytes);
    }

    /// Queues a client's bundle for the event loop, which is not woken by it.
    pub(crate) fn push_bundle(&self, incoming: FromClient) {
        let bytes = incoming.bytes;
        self.arrivals.from_clients.push(incoming, bytes);
    }

    /// Waits until more bundles of clients may be pushed.
    pub(crate) async fn until_bundles_have_space(&self) {
        self.arrivals.from_clients.until_it_has_space().await;
    }

    /// Wakes the event loop.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until more frames may be pushed.
    pub(crate) async fn until_inbox_has_space(&self) {
        self.arrivals.inbox.until_it_has_space().await;
    }

    /// A peer has shown that it is there.
    pub(crate) fn peer_is_up(&self, peer: ReplicaId) {
        if let Some(Some(link)) = self.links.get(usize::from(peer.0)) {
            link.try_now();
        }
    }

    /// The behaviours on the replica.
    pub(crate) fn behaviours(&self) -> Vec<Behaviour> {
        self.engine.replica.borrow().behaviours().to_vec()
    }

    /// Replaces the behaviours, and returns when the event loop has done so.
    pub(crate) async fn set_behaviours(&self, behaviours: Vec<Behaviour>) {
        let is_set = self.controls.behaviours_set.notified();
        self.controls.new_behaviours.replace(Some(behaviours));
        self.wake.notify_one();
        is_set.await;
    }

    /// What the network does to messages now.
    pub(crate) fn link_conditions(&self) -> LinkConditions {
        self.controls.link_conditions.borrow().clone()
    }

    /// Changes what the network does to messages.
    pub(crate) fn set_link_conditions(&self, conditions: LinkConditions) {
        self.controls.link_conditions.replace(conditions);
        // It notes that, if it is recorded.
        self.wake.notify_one();
    }

    /// Whether the network lets nothing through to and from this peer.
    pub(super) fn is_cut(&self, peer: ReplicaId) -> bool {
        self.controls.link_conditions.borrow().cut.contains(&peer)
    }

    /// What the replica says of itself.
    pub(crate) fn replica_status(&self) -> Status {
        self.engine.replica.borrow().status(&self.config.cluster)
    }

    /// A digest of all that the replica has executed.
    pub(crate) fn state_digest(&self) -> Option<Digest> {
        self.engine.replica.borrow().state_digest()
    }

    /// What the replica's own state answers to an operation that only reads.
    pub(crate) fn query(&self, operation: &Operation) -> Option<Reading> {
        self.engine.replica.borrow().query(operation)
    }

    /// How a slot was committed here.
    pub(crate) fn path(&self, seq: Seq) -> Option<Path> {
        self.engine.slot_log.borrow().path(seq)
    }

    /// The votes that a node has received for a slot: this node's by now, another's as
    /// it said in its reply.
    pub(crate) fn tally_of(&self, id: ReplicaId, seq: Seq) -> Option<Tally> {
        match id == self.config.id {
            true => Some(self.engine.slot_log.borrow().tally(seq)),
            false => self.engine.reported_tallies.borrow().get(seq, id),
        }
    }

    /// The records of the slots `from..=to`.
    pub(crate) fn log(&self, from: u64, to: u64) -> LogReport {
        let slot_log = self.engine.slot_log.borrow();
        LogReport {
            id: self.config.id.0,
            last_executed: self.replica_status().last_executed.0,
            executed_before: slot_log.executed_before(),
            truncated: slot_log.is_truncated(),
            rows: slot_log.rows(from, to),
        }
    }

    /// Everything that is counted.
    pub(crate) fn counters(&self) -> CounterReport {
        let mut report = self.engine.counters.borrow().report(&self.arrivals.counters.borrow());
        let votes = self.engine.slot_log.borrow().totals();
        report.votes_correct = votes.correct;
        report.votes_corrupt = votes.corrupt;
        report.signatures_made = self.signer.signatures_made() + self.signer.shares_made();
        let admission = self.engine.admission.borrow();
        report.signatures_checked = admission.signatures_checked() + admission.shares_checked().0;
        let unknown: u64 = self.links.iter().flatten().map(|link| link.not_authenticated()).sum();
        if unknown > 0 {
            report.rejected.insert("peer not authenticated".to_owned(), unknown);
        }
        report.dropped_messages += self.links.iter().flatten().map(|link| link.dropped()).sum::<u64>();
        report.dropped_messages += self.client_links.dropped();
        if let Some(journal) = &self.journal {
            (report.syncs, report.sync_us) = journal.syncs();
        }
        if !self.config.shares_process {
            report.cpu_us = process_cpu_us();
            report.memory_bytes = process_memory_bytes();
        }
        report
    }
}

//! Replicas with small settings and symbolic keys, and what others say to them.

use super::*;
use kernel::Micros;
use kernel::keys::symbolic;
use pbft::Execution;

pub(super) type Effects = Vec<Effect<Pbft>>;

/// The checkpoint interval of a small bench: its watermarks are 8 slots apart.
pub(super) const INTERVAL: u64 = 4;

pub(super) fn small_config() -> Config {
    Config { checkpoint_interval: INTERVAL, ..Config::for_cluster(4) }
}

pub(super) fn small(id: usize) -> Bench {
    bench_of(id, Replica::new(small_config(), OpaqueLog::default()))
}

pub(super) fn bench_of(id: usize, replica: Pbft) -> Bench {
    let (signers, keyring) = symbolic(1, 4);
    let cluster = Cluster::new(ClusterId::derive("effects", 1), "pbft", 4);
    Bench { cluster, signers, keyring, id, replica }
}

/// The digest of the null request.
pub(super) fn null() -> Digest {
    Batch::default().digest()
}

impl Bench {
    pub(super) fn step_at(&mut self, now: Micros, input: Input<Pbft>) -> Effects {
        let (mut effects, mut choose) = (Vec::new(), SeededChoice::new(1));
        let cx = Context::new(&self.cluster, &self.signers[self.id], &mut choose, &mut effects);
        self.replica.step(&mut cx.at(now), input);
        effects
    }

    pub(super) fn deliver_at(&mut self, now: Micros, from: u16, message: Message) -> Effects {
        let mut admission = Admission::new(self.cluster.clone(), self.keyring.clone());
        let message = admission.admit(ReplicaId(from), message).unwrap();
        self.step_at(now, Input::Deliver { from: ReplicaId(from), message })
    }

    /// A person asks for another commander.
    pub(super) fn ask_for_next_view(&mut self) -> Effects {
        let (mut effects, mut choose) = (Vec::new(), SeededChoice::new(1));
        let mut cx = Context::new(&self.cluster, &self.signers[self.id], &mut choose, &mut effects);
        self.replica.ask_for_next_view(&mut cx);
        effects
    }

    pub(super) fn expire(&mut self, timer: Timer) -> Effects {
        self.step(Input::Expire(timer))
    }

    /// The bundle of a gateway with one request.
    pub(super) fn bundle(&self, gateway: u16, number: u64, counter: u64) -> Arc<Bundle> {
        self.bundle_of(gateway, &[(number, counter)])
    }

    /// The bundle of a gateway with requests of these sessions and counters.
    pub(super) fn bundle_of(&self, gateway: u16, requests: &[(u64, u64)]) -> Arc<Bundle> {
        let request = |(number, counter): &(u64, u64)| Request {
            session: SessionId { gateway: ReplicaId(gateway), number: *number },
            counter: *counter,
            operation: Operation::new(b"pay"),
        };
        let requests = requests.iter().map(request).collect();
        Arc::new(Bundle::sign(&self.cluster, &self.signers[usize::from(gateway)], requests))
    }

    pub(super) fn vote_on(&self, author: u16, phase: Phase, about: (u64, u64, Digest)) -> Vote {
        let (view, seq, digest) = about;
        let signer = &self.signers[usize::from(author)];
        Vote::sign(&self.cluster, signer, phase, (View(view), Seq(seq), digest), None)
    }

    /// The proposal of a view's commander.
    pub(super) fn proposal_in(&self, view: u64, seq: u64, batch: &Arc<Batch>) -> Message {
        let commander = self.cluster.commander(View(view));
        let signer = &self.signers[usize::from(commander.0)];
        Message::propose(&self.cluster, signer, View(view), Seq(seq), Arc::clone(batch), None).1
    }

    pub(super) fn certificate(
        &self,
        kind: CertificateKind,
        authors: [u16; 3],
        about: (u64, u64, Digest),
    ) -> Arc<Certificate> {
        let (view, seq, digest) = about;
        let commander = self.cluster.commander(View(view)).0;
        let vote = |author: u16| {
            let phase = match kind {
                CertificateKind::Committed => Phase::Commit,
                _ if author == commander => Phase::PrePrepare,
                _ => Phase::Prepare,
            };
            (ReplicaId(author), self.vote_on(author, phase, about).signature)
        };
        let (view, seq, votes) = (View(view), Seq(seq), authors.map(vote).into());
        Arc::new(Certificate { kind, view, seq, digest, communication_node: None, votes, sum: None })
    }

    /// The other three decide.
    pub(super) fn committed(&self, about: (u64, u64, Digest)) -> Message {
        let others: Vec<u16> = (0..4).filter(|id| usize::from(*id) != self.id).collect();
        let others = others.try_into().unwrap();
        Message::Certificate(self.certificate(CertificateKind::Committed, others, about))
    }

    /// Null requests are decided in these slots. Returns what came of the last one.
    pub(super) fn decide_null(&mut self, slots: std::ops::RangeInclusive<u64>) -> Effects {
        let mut last = Vec::new();
        for seq in slots {
            let certificate = self.committed((0, seq, null()));
            last = self.deliver(0, certificate);
        }
        last
    }

    pub(super) fn checkpoint(&self, author: u16, seq: u64, state: Digest) -> Message {
        let signer = &self.signers[usize::from(author)];
        Message::Checkpoint(CheckpointVote::sign(&self.cluster, signer, Seq(seq), state))
    }

    pub(super) fn stable(&self, seq: u64, state: Digest) -> Arc<StableCheckpoint> {
        let others = (0..4).filter(|id| *id != self.id);
        let sign = |id: usize| {
            let vote = CheckpointVote::sign(&self.cluster, &self.signers[id], Seq(seq), state);
            (vote.author, vote.signature)
        };
        Arc::new(StableCheckpoint { seq: Seq(seq), state, votes: others.map(sign).collect() })
    }

    /// A VIEW-CHANGE that reports nothing.
    pub(super) fn change(&self, author: u16, view: u64) -> Arc<ViewChange> {
        self.change_with(author, view, None, vec![])
    }

    pub(super) fn change_with(
        &self,
        author: u16,
        view: u64,
        stable: Option<Arc<StableCheckpoint>>,
        prepared: Vec<Arc<Certificate>>,
    ) -> Arc<ViewChange> {
        let signer = &self.signers[usize::from(author)];
        Arc::new(ViewChange::sign(&self.cluster, signer, View(view), stable, prepared, vec![]))
    }

    /// A peer sends its VIEW-CHANGE, which reports nothing.
    pub(super) fn deliver_change(&mut self, author: u16, view: u64) -> Effects {
        let change = self.change(author, view);
        self.deliver(author, Message::ViewChange(change))
    }

    /// The NEW-VIEW that proposes these digests.
    pub(super) fn new_view(
        &self,
        changes: Vec<Arc<ViewChange>>,
        proposals: &[(u64, Digest)],
    ) -> Arc<NewView> {
        let view = changes[0].view;
        let signer = &self.signers[usize::from(self.cluster.commander(view).0)];
        let sign = |(seq, digest): &(u64, Digest)| {
            Vote::sign(&self.cluster, signer, Phase::PrePrepare, (view, Seq(*seq), *digest), None)
        };
        let proposals = proposals.iter().map(sign).collect();
        Arc::new(NewView::sign(&self.cluster, signer, view, changes, proposals))
    }

    /// The commander of a view sends a NEW-VIEW of replicas 0, 1 and 2 that proposes nothing.
    pub(super) fn deliver_new_view(&mut self, view: u64) -> Effects {
        let changes = [0, 1, 2].map(|author| self.change(author, view)).to_vec();
        let new_view = self.new_view(changes, &[]);
        let commander = self.cluster.commander(View(view)).0;
        self.deliver(commander, Message::NewView(new_view))
    }

    /// The VIEW-CHANGE of this replica, which reports nothing.
    pub(super) fn own_change(&self, view: u64) -> Arc<ViewChange> {
        self.change(self.id as u16, view)
    }
}

/// The mark of a vote that got here.
pub(super) fn heard(vote: &Vote) -> Effect<Pbft> {
    heard_as(vote, false)
}

pub(super) fn heard_as(vote: &Vote, contradicts: bool) -> Effect<Pbft> {
    let Vote { seq, digest, author, phase, .. } = *vote;
    Effect::Mark(Mark::VoteReceived { seq, digest, author, phase, contradicts })
}

/// What a replica does that casts this vote.
pub(super) fn cast(vote: &Vote) -> [Effect<Pbft>; 2] {
    let Vote { seq, digest, view, phase, .. } = *vote;
    let mark = Mark::Voted { phase, view: Some(view), seq, digest };
    [Effect::Mark(mark), to_all(Message::Vote(vote.clone()))]
}

pub(super) fn to_one(to: u16, message: Message) -> Effect<Pbft> {
    Effect::Send { to: To::One(ReplicaId(to)), message }
}

pub(super) fn refused(from: u16, reason: Reason) -> Effect<Pbft> {
    Effect::Reject(Rejection { from: ReplicaId(from), seq: None, corrupt_vote: false, reason })
}

pub(super) fn accepted(seq: u64, digest: Digest) -> Effect<Pbft> {
    Effect::Mark(Mark::Accepted { seq: Seq(seq), digest })
}

pub(super) fn decided((view, seq, digest): (u64, u64, Digest)) -> Effect<Pbft> {
    let view = Some(View(view));
    Effect::Mark(Mark::Committed { view, seq: Seq(seq), digest, path: Path::Direct })
}

pub(super) fn view_timer(after: u64) -> Effect<Pbft> {
    Effect::SetTimer { timer: Timer::View, after: Micros(after) }
}

pub(super) fn resend_timer() -> Effect<Pbft> {
    Effect::SetTimer { timer: Timer::Resend, after: Config::for_cluster(4).resend_after }
}

pub(super) fn stuck(seq: u64) -> Effect<Pbft> {
    to_all(Message::Stuck { seq: Seq(seq), complaint: false, votes: vec![] })
}

/// What a replica does that leaves for a view, with nothing to report.
pub(super) fn left_for(change: &Arc<ViewChange>) -> Effects {
    let stable = change.low_watermark();
    let prepared = change.prepared.iter().map(|c| (c.seq, c.view, c.digest)).collect();
    vec![
        Effect::CancelTimer(Timer::View),
        Effect::Mark(Mark::View(ViewMark::LeftFor { view: change.view })),
        Effect::Mark(Mark::View(ViewMark::Reported { stable, prepared, voted: vec![] })),
        to_all(Message::ViewChange(Arc::clone(change))),
    ]
}

/// What a replica does first when a view begins.
pub(super) fn began(view: u64) -> [Effect<Pbft>; 2] {
    let mark = Mark::View(ViewMark::ViewBegan { view: View(view) });
    [Effect::CancelTimer(Timer::View), Effect::Mark(mark)]
}

/// The digest of the state after so many null requests.
pub(super) fn state_after(last: u64) -> Digest {
    let bench = small(0);
    let mut execution = Execution::new(OpaqueLog::default());
    let (mut effects, mut choose) = (Effects::new(), SeededChoice::new(1));
    let mut cx = Context::new(&bench.cluster, &bench.signers[0], &mut choose, &mut effects);
    for seq in 1..=last {
        execution.execute(&mut cx, View(0), Seq(seq), null(), &Batch::default());
    }
    execution.digest()
}

/// The state that a replica votes for at a checkpoint.
pub(super) fn state_in(effects: &Effects) -> Digest {
    let state = effects.iter().find_map(|effect| match effect {
        Effect::Send { to: To::All, message: Message::Checkpoint(vote) } => Some(vote.state),
        _ => None,
    });
    state.expect("a checkpoint is due")
}

//! Executing decided batches: in order, each request at most once, replies by
//! gateway.

use crate::sessions::{Answer, Sessions};
use kernel::{
    Application, Batch, Bundle, Chunk, Context, Digest, Mark, Operation, Protocol, Reading, Reply,
    ReplyBundle, Seq, Snapshot, View,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::collections::BTreeMap;

/// In front of every snapshot: what it is, and in which form.
const HEAD: &str = "state/2";

/// The executed part of the log, as far as it matters for what comes next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Execution<A> {
    last: Seq,
    /// Chain over all executed digests.
    chain: Digest,
    application: A,
    /// The last request of each session and its result.
    sessions: Sessions,
}

/// As a snapshot, whose chunks are those of the states that a replica keeps.
impl<A: Application> Serialize for Execution<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.clone().snapshot().serialize(serializer)
    }
}

impl<'de, A: Application> Deserialize<'de> for Execution<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Execution<A>, D::Error> {
        let snapshot = Snapshot::deserialize(deserializer)?;
        Execution::restore(&snapshot).ok_or_else(|| D::Error::custom("no state of this application"))
    }
}

impl<A: Application> Execution<A> {
    /// Nothing executed yet.
    pub fn new(application: A) -> Execution<A> {
        Execution { last: Seq(0), chain: Digest::ZERO, application, sessions: Sessions::default() }
    }

    /// The last slot executed.
    pub fn last(&self) -> Seq {
        self.last
    }

    /// The application.
    pub fn application(&self) -> &A {
        &self.application
    }

    /// Digest of the log, the application and the session table, as
    /// [`Execution::snapshot`] gives it: for tests and curious people, as it costs a copy.
    pub fn digest(&self) -> Digest {
        self.clone().snapshot().digest()
    }

    /// The chain over all executed digests.
    pub fn chain(&self) -> Digest {
        self.chain
    }

    /// The whole state: first a chunk that says where it stands and how many chunks
    /// are the application's, then those, then the session table.
    pub fn snapshot(&mut self) -> Snapshot {
        let (application, sessions) = (self.application.snapshot(), self.sessions.snapshot());
        let head = (HEAD, self.last, self.chain, application.len() as u64);
        let head = Chunk::new(&postcard::to_stdvec(&head).expect("a state is plain data"));
        Snapshot::new(std::iter::once(head).chain(application).chain(sessions).collect())
    }

    /// The state that a snapshot holds; none if it is not one.
    pub fn restore(snapshot: &Snapshot) -> Option<Execution<A>> {
        Execution::read(snapshot, A::restore)
    }

    /// The same. What is in this state as well need not be read again.
    pub fn restore_over(&self, snapshot: &Snapshot) -> Option<Execution<A>> {
        Execution::read(snapshot, |chunks| self.application.restore_over(chunks))
    }

    fn read(snapshot: &Snapshot, application: impl FnOnce(&[Chunk]) -> Option<A>) -> Option<Execution<A>> {
        let (head, rest) = snapshot.chunks().split_first()?;
        let (version, last, chain, of_application): (&str, Seq, Digest, u64) =
            postcard::from_bytes(head.bytes()).ok()?;
        let (of_application, sessions) = rest.split_at_checked(usize::try_from(of_application).ok()?)?;
        (version == HEAD).then_some(())?;
        Some(Execution {
            last,
            chain,
            application: application(of_application)?,
            sessions: Sessions::restore(sessions)?,
        })
    }

    /// What an adversary does to its own replica: flips the lowest bit of the last byte
    /// of the application's state that can be flipped so that it is still a state.
    pub fn corrupt(&mut self) {
        let chunks = self.application.snapshot();
        for (place, chunk) in chunks.iter().enumerate().rev() {
            let mut bytes = chunk.bytes().to_vec();
            for at in (0..bytes.len()).rev() {
                bytes[at] ^= 1;
                let mut corrupted = chunks.clone();
                corrupted[place] = Chunk::new(&bytes);
                if let Some(application) = A::restore(&corrupted) {
                    self.application = application;
                    return;
                }
                bytes[at] ^= 1;
            }
        }
    }

    /// What the application answers to an operation that only reads.
    pub fn query(&self, operation: &Operation) -> Option<Reading> {
        let output = self.application.query(operation)?;
        Some(Reading { as_of: self.last, output })
    }

    /// What a deliberate weakening does: every client's past is forgotten.
    pub(crate) fn forget_sessions(&mut self) {
        self.sessions.clear();
    }

    /// Executes the next slot. Returns the replies, one bundle per gateway.
    pub fn execute<P: Protocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        view: View,
        seq: Seq,
        digest: Digest,
        batch: &Batch,
    ) -> Vec<ReplyBundle> {
        debug_assert_eq!(seq, self.last.next(), "execution follows sequence numbers");
        self.last = seq;
        self.chain = self.chain.chain(&digest);
        let mut replies: BTreeMap<_, (Vec<Digest>, Vec<Reply>)> = BTreeMap::new();
        let mut requests = 0;
        for bundle in &batch.bundles {
            let (bundles, to_gateway) = replies.entry(bundle.gateway()).or_default();
            let executed = self.execute_bundle(cx, seq, bundle, to_gateway);
            if executed == bundle.requests().len() {
                bundles.push(bundle.digest());
            }
            requests += executed;
        }
        cx.mark(Mark::Executed { seq, digest, requests, chain: self.chain });
        let sign = |(gateway, (bundles, replies))| {
            ReplyBundle::sign(cx.cluster, cx.signer, view, seq, gateway, bundles, replies)
        };
        replies.into_iter().filter(|(_, (_, replies))| !replies.is_empty()).map(sign).collect()
    }

    /// Executes what was not executed before; returns how many that were.
    fn execute_bundle<P: Protocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        seq: Seq,
        bundle: &Bundle,
        replies: &mut Vec<Reply>,
    ) -> usize {
        let gateway = bundle.gateway();
        let mut executed = 0;
        for request in bundle.requests() {
            let result = match self.sessions.get(gateway, request.session.number) {
                None if self.sessions.is_forgotten(gateway, request.session.number) => continue,
                Some(answer) if answer.counter > request.counter => continue,
                Some(answer) if answer.counter == request.counter => answer.result.clone(),
                _ => {
                    executed += 1;
                    cx.mark(Mark::Applied {
                        seq: Some(seq),
                        session: request.session,
                        counter: request.counter,
                    });
                    let result = self.application.execute(&request.operation);
                    let answer = Answer { counter: request.counter, seq, result: result.clone() };
                    self.sessions.insert(gateway, request.session.number, answer);
                    result
                }
            };
            replies.push(Reply { session: request.session, counter: request.counter, result });
        }
        self.sessions.forget_oldest(gateway);
        executed
    }

    /// The replies to a bundle whose requests were all executed already, from
    /// the session table (OSDI §4.1), and the slot of the first; none if some
    /// request is new. No replies at all where every session has asked for more
    /// since, or is forgotten.
    pub fn replies_again(&self, bundle: &Bundle) -> Option<(Seq, Vec<Reply>)> {
        let (mut first, mut replies) = (Seq(0), Vec::new());
        for request in bundle.requests() {
            let (gateway, session) = (bundle.gateway(), request.session.number);
            if self.sessions.is_forgotten(gateway, session) {
                continue;
            }
            let answer = self.sessions.get(gateway, session);
            let answer = answer.filter(|answer| answer.counter >= request.counter)?;
            if answer.counter == request.counter {
                if replies.is_empty() {
                    first = answer.seq;
                }
                let result = answer.result.clone();
                replies.push(Reply { session: request.session, counter: request.counter, result });
            }
        }
        Some((first, replies))
    }
}

//! Executing decided batches: in order, each request at most once, replies by
//! gateway.

use kernel::{
    Application, Batch, Bundle, Context, Digest, Mark, Operation, Protocol, ReplicaId, Reply, ReplyBundle,
    Seq, View,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A gateway has at most so many sessions; beyond, its oldest is forgotten, on
/// all replicas alike.
const MOST_SESSIONS: usize = 65_536;

/// The last request of a session, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Answer {
    counter: u64,
    seq: Seq,
    result: Operation,
}

/// The executed part of the log, as far as it matters for what comes next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Execution<A> {
    last: Seq,
    /// Chain over all executed digests.
    chain: Digest,
    application: A,
    /// The last request of each session and its result.
    sessions: BTreeMap<ReplicaId, BTreeMap<u64, Answer>>,
}

impl<A: Application> Execution<A> {
    /// Nothing executed yet.
    pub fn new(application: A) -> Execution<A> {
        Execution { last: Seq(0), chain: Digest::ZERO, application, sessions: BTreeMap::new() }
    }

    /// The last slot executed.
    pub fn last(&self) -> Seq {
        self.last
    }

    /// Digest of the log, the application and the session table.
    pub fn digest(&self) -> Digest {
        let sessions = postcard::to_stdvec(&self.sessions).expect("sessions are plain data");
        self.chain.chain(&self.application.digest()).chain(&Digest::of(&sessions))
    }

    /// The chain over all executed digests.
    pub fn chain(&self) -> Digest {
        self.chain
    }

    /// The whole state as bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        let fields = (self.last, self.chain, self.application.snapshot(), &self.sessions);
        postcard::to_stdvec(&fields).expect("a state is plain data")
    }

    /// The state that a snapshot holds; none if it is not one.
    pub fn restore(snapshot: &[u8]) -> Option<Execution<A>> {
        let (last, chain, application, sessions): (Seq, Digest, Vec<u8>, _) =
            postcard::from_bytes(snapshot).ok()?;
        Some(Execution { last, chain, application: A::restore(&application)?, sessions })
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
        let mut replies: BTreeMap<_, Vec<Reply>> = BTreeMap::new();
        let mut requests = 0;
        for bundle in &batch.bundles {
            let to_gateway = replies.entry(bundle.gateway()).or_default();
            requests += self.execute_bundle(cx, seq, bundle, to_gateway);
        }
        cx.mark(Mark::Executed { seq, digest, requests, chain: self.chain });
        let sign = |(gateway, replies)| ReplyBundle::sign(cx.cluster, cx.signer, view, seq, gateway, replies);
        replies.into_iter().filter(|(_, replies)| !replies.is_empty()).map(sign).collect()
    }

    /// Executes what was not executed before; returns how many that were.
    fn execute_bundle<P: Protocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        seq: Seq,
        bundle: &Bundle,
        replies: &mut Vec<Reply>,
    ) -> usize {
        let sessions = self.sessions.entry(bundle.gateway()).or_default();
        let mut executed = 0;
        for request in bundle.requests() {
            let result = match sessions.get(&request.session.number) {
                Some(answer) if answer.counter > request.counter => continue,
                Some(answer) if answer.counter == request.counter => answer.result.clone(),
                _ => {
                    executed += 1;
                    cx.mark(Mark::Applied { seq, session: request.session, counter: request.counter });
                    let result = self.application.execute(&request.operation);
                    let answer = Answer { counter: request.counter, seq, result: result.clone() };
                    sessions.insert(request.session.number, answer);
                    result
                }
            };
            replies.push(Reply { session: request.session, counter: request.counter, result });
        }
        while sessions.len() > MOST_SESSIONS {
            sessions.pop_first();
        }
        executed
    }

    /// The replies to a bundle whose requests were all executed already, from
    /// the session table (OSDI §4.1), and the slot of the first; none if some
    /// request is new. No replies at all where every client has asked for more
    /// since.
    pub fn replies_again(&self, bundle: &Bundle) -> Option<(Seq, Vec<Reply>)> {
        let (mut first, mut replies) = (Seq(0), Vec::new());
        let sessions = self.sessions.get(&bundle.gateway())?;
        for request in bundle.requests() {
            let answer = sessions.get(&request.session.number).filter(|a| a.counter >= request.counter)?;
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

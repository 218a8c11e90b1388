//! Executing decided batches: in order, each request at most once, replies by
//! gateway.

use kernel::{
    Application, Batch, Bundle, Context, Digest, Mark, Operation, Protocol, Reply, ReplyBundle, Seq,
    SessionId, View,
};
use std::collections::BTreeMap;

/// The executed part of the log, as far as it matters for what comes next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Execution<A> {
    last: Seq,
    /// Chain over all executed digests.
    chain: Digest,
    application: A,
    /// The last request of each session and its result.
    sessions: BTreeMap<SessionId, (u64, Operation)>,
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
            requests += self.execute_bundle(bundle, to_gateway);
        }
        cx.mark(Mark::Executed { seq, digest, requests, chain: self.chain });
        let sign = |(gateway, replies)| ReplyBundle::sign(cx.cluster, cx.signer, view, seq, gateway, replies);
        replies.into_iter().filter(|(_, replies)| !replies.is_empty()).map(sign).collect()
    }

    /// Executes what was not executed before; returns how many that were.
    fn execute_bundle(&mut self, bundle: &Bundle, replies: &mut Vec<Reply>) -> usize {
        let mut executed = 0;
        for request in bundle.requests() {
            let known = self.sessions.get(&request.session);
            let result = match known {
                Some((counter, _)) if *counter > request.counter => continue,
                Some((counter, result)) if *counter == request.counter => result.clone(),
                _ => {
                    executed += 1;
                    let result = self.application.execute(&request.operation);
                    let entry = (request.counter, result.clone());
                    self.sessions.insert(request.session, entry);
                    result
                }
            };
            replies.push(Reply { session: request.session, counter: request.counter, result });
        }
        executed
    }

    /// The replies to a bundle whose requests were all executed already, from
    /// the session table (OSDI §4.1); none if some request is new. No replies
    /// at all where every client has asked for more since.
    pub fn replies_again(&self, bundle: &Bundle) -> Option<Vec<Reply>> {
        let mut replies = Vec::new();
        for request in bundle.requests() {
            match self.sessions.get(&request.session) {
                Some((counter, result)) if *counter == request.counter => replies.push(Reply {
                    session: request.session,
                    counter: request.counter,
                    result: result.clone(),
                }),
                Some((counter, _)) if *counter > request.counter => {}
                _ => return None,
            }
        }
        Some(replies)
    }
}

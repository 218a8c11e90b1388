//! What proves a result to somebody who was not there: the request as its gateway or client signed
//! it (or tagged it, which proves nothing, but replicas sign that they have executed it), and the replies of `f+1` replicas as they signed them.
//!
//! A faulty gateway cannot make a request out to be another: each reply names the bundle
//! that the request was in, by digest, and only if none of its requests had been executed
//! before ([`ReplyBundle::bundles`]). What it can do is to ask something else than its client
//! wanted; the evidence then says so.

use kernel::{Bundle, Cluster, Keyring, Operation, Output, ReplicaId, ReplyBundle, Seq, SessionId, View};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What proves one result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The session in which it was asked.
    pub session: SessionId,
    /// Which of the session's requests it was.
    pub counter: u64,
    /// The requests that were signed together, this one among them.
    pub requests: Arc<Bundle>,
    /// Replies to them, of different replicas.
    pub replies: Vec<Arc<ReplyBundle>>,
}

/// What evidence proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// What was asked.
    pub operation: Operation,
    /// What came of it.
    pub result: Output,
    /// The slot that ordered the request.
    pub seq: Seq,
    /// The view of the replica that was the latest when it replied.
    pub view: View,
    /// The replicas that have signed this.
    pub replicas: Vec<ReplicaId>,
}

/// Why evidence proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotProven {
    /// It is about a request that it does not hold.
    #[error("the signed requests do not hold request {counter} of session {}", .session.number)]
    NoRequest {
        /// The session.
        session: SessionId,
        /// Which of its requests.
        counter: u64,
    },
    /// The gateway did not sign the requests.
    #[error("the signature of {gateway} under the requests does not hold")]
    RequestsNotSigned {
        /// Whose signature it should be.
        gateway: ReplicaId,
    },
    /// Too few replicas have signed the same result.
    #[error("{found} of {needed} replicas have signed the same result{}", others(refused))]
    TooFew {
        /// Replicas that have.
        found: usize,
        /// How many are needed.
        needed: usize,
        /// What is wrong with the other replies.
        refused: Vec<String>,
    },
}

fn others(refused: &[String]) -> String {
    if refused.is_empty() { String::new() } else { format!(": {}", refused.join("; ")) }
}

impl Evidence {
    /// Checks every signature with the keys of `keyring` (of replicas, and behind them of
    /// clients), and that `needed` replicas have signed the same result in the same slot.
    ///
    /// # Errors
    ///
    /// If it proves nothing, and why.
    pub fn check(&self, cluster: &Cluster, keyring: &Keyring, needed: usize) -> Result<Proven, NotProven> {
        let Evidence { session, counter, requests, replies } = self;
        let is_it = |request: &&kernel::Request| request.session == *session && request.counter == *counter;
        let request = requests.requests().iter().find(is_it).filter(|_| requests.is_well_formed(cluster));
        let Some(request) = request else {
            return Err(NotProven::NoRequest { session: *session, counter: *counter });
        };
        // Tags prove nothing here, and need not: replicas sign that they have executed requests of this digest.
        if requests.claim(cluster).is_some_and(|claim| !keyring.verify(&claim)) {
            return Err(NotProven::RequestsNotSigned { gateway: requests.gateway() });
        }
        let mut agreeing: BTreeMap<(Seq, &Output), BTreeMap<ReplicaId, View>> = BTreeMap::new();
        let mut refused = Vec::new();
        for bundle in replies {
            match self.result_in(bundle, cluster, keyring) {
                Ok(result) => {
                    agreeing.entry((bundle.seq, result)).or_default().insert(bundle.replica, bundle.view);
                }
                Err(why) => refused.push(format!("the reply of {} {why}", bundle.replica)),
            }
        }
        let most = agreeing.into_iter().max_by_key(|(_, replicas)| replicas.len());
        match most {
            Some(((seq, result), replicas)) if replicas.len() >= needed => Ok(Proven {
                operation: request.operation.clone(),
                result: result.clone(),
                seq,
                view: replicas.values().copied().max().unwrap_or_default(),
                replicas: replicas.into_keys().collect(),
            }),
            most => {
                let found = most.map_or(0, |(_, replicas)| replicas.len());
                Err(NotProven::TooFew { found, needed, refused })
            }
        }
    }

    fn result_in<'a>(
        &self,
        bundle: &'a ReplyBundle,
        cluster: &Cluster,
        keyring: &Keyring,
    ) -> Result<&'a Output, &'static str> {
        if !cluster.contains(bundle.replica) {
            return Err("is not a replica's");
        }
        if bundle.has_tag(cluster) {
            return Err(
                "is authenticated for its gateway alone, as in pbft-mac; ask with a client's key instead",
            );
        }
        if !keyring.verify(&bundle.claim(cluster)) {
            return Err("has a signature that does not hold");
        }
        if bundle.gateway != self.requests.gateway() || !bundle.bundles.contains(&self.requests.digest()) {
            return Err("is not to these requests");
        }
        let mut replies = bundle.replies.iter();
        let reply = replies.find(|reply| reply.session == self.session && reply.counter == self.counter);
        Ok(&reply.ok_or("does not hold this request's result")?.result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::keys::seeded;
    use kernel::{ClusterId, Reply, Request, Signer};

    const N: u16 = 4;

    struct Bench {
        cluster: Cluster,
        signers: Vec<Signer>,
        keyring: Keyring,
    }

    fn bench() -> Bench {
        let (signers, keyring) = seeded(3, N);
        Bench { cluster: Cluster::new(ClusterId::derive("evidence", 1), "pbft", N), signers, keyring }
    }

    const SESSION: SessionId = SessionId { gateway: ReplicaId(0), number: 8 };

    fn request(text: &str) -> Request {
        Request { session: SESSION, counter: 3, operation: Operation::new(text.as_bytes()) }
    }

    impl Bench {
        fn requests(&self, text: &str) -> Arc<Bundle> {
            let other = Request { session: SessionId { number: 9, ..SESSION }, ..request("other") };
            Arc::new(Bundle::sign(&self.cluster, &self.signers[0], vec![other, request(text)]))
        }

        fn reply(&self, replica: usize, requests: &Bundle, result: &str) -> Arc<ReplyBundle> {
            let reply = Reply { session: SESSION, counter: 3, result: Output::new(result.as_bytes()) };
            let (cluster, signer) = (&self.cluster, &self.signers[replica]);
            let bundles = vec![requests.digest()];
            Arc::new(ReplyBundle::sign(cluster, signer, View(0), Seq(5), ReplicaId(0), bundles, vec![reply]))
        }

        fn evidence(&self, results: [&str; 2]) -> Evidence {
            let requests = self.requests("put");
            let replies = [1, 3].iter().zip(results);
            let replies = replies.map(|(replica, result)| self.reply(*replica, &requests, result)).collect();
            Evidence { session: SESSION, counter: 3, requests, replies }
        }

        fn check(&self, evidence: &Evidence) -> Result<Proven, NotProven> {
            evidence.check(&self.cluster, &self.keyring, 2)
        }
    }

    fn too_few(checked: Result<Proven, NotProven>) -> String {
        match checked {
            Err(NotProven::TooFew { found: 0 | 1, needed: 2, refused }) => refused.join("; "),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn enough_signed_replies_prove_a_result_to_anybody() {
        let bench = bench();
        let evidence = bench.evidence(["done", "done"]);
        let proven = Proven {
            operation: Operation::new(b"put"),
            result: Output::new(b"done"),
            seq: Seq(5),
            view: View(0),
            replicas: vec![ReplicaId(1), ReplicaId(3)],
        };
        assert_eq!(bench.check(&evidence), Ok(proven.clone()));
        let text = serde_json::to_string(&evidence).unwrap();
        let read: Evidence = serde_json::from_str(&text).unwrap();
        assert_eq!(bench.check(&read), Ok(proven));
    }

    #[test]
    fn replies_that_differ_or_repeat_or_are_forged_prove_nothing() {
        let bench = bench();
        assert_eq!(too_few(bench.check(&bench.evidence(["done", "refused"]))), "");
        let mut twice = bench.evidence(["done", "done"]);
        twice.replies[1] = twice.replies[0].clone();
        assert_eq!(too_few(bench.check(&twice)), "");
        let mut forged = bench.evidence(["done", "done"]);
        Arc::make_mut(&mut forged.replies[1]).replies[0].result = Output::new(b"forged");
        assert_eq!(too_few(bench.check(&forged)), "the reply of 3 has a signature that does not hold");
        let mut renamed = bench.evidence(["done", "done"]);
        Arc::make_mut(&mut renamed.replies[0]).replica = ReplicaId(N);
        assert_eq!(too_few(bench.check(&renamed)), "the reply of 4 is not a replica's");
    }

    #[test]
    fn a_request_cannot_be_made_out_to_be_another() {
        let bench = bench();
        let mut evidence = bench.evidence(["done", "done"]);
        evidence.requests = bench.requests("get");
        let why = too_few(bench.check(&evidence));
        assert_eq!(why, "the reply of 1 is not to these requests; the reply of 3 is not to these requests");
        let mut evidence = bench.evidence(["done", "done"]);
        evidence.counter = 4;
        let missing = NotProven::NoRequest { session: SESSION, counter: 4 };
        assert_eq!(bench.check(&evidence), Err(missing));
        let mut evidence = bench.evidence(["done", "done"]);
        let text = serde_json::to_string(&*evidence.requests).unwrap().replace("text:put", "text:get");
        evidence.requests = serde_json::from_str(&text).unwrap();
        let unsigned = NotProven::RequestsNotSigned { gateway: ReplicaId(0) };
        assert_eq!(bench.check(&evidence), Err(unsigned));
    }
}

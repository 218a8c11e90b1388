//! The simplest thing that looks like consensus: node 0 orders what it is
//! handed, everyone believes it, executes, votes and replies. A request whose
//! text is `slow` is ordered when a timer runs out.

use kernel::{
    Batch, Bundle, Choose, Claim, Class, Cluster, Context, Digest, Effect, Falsify, Forgery, Input, Mark,
    Micros, Output, Path, Phase, Protocol, Reason, ReplicaId, Reply, ReplyBundle, Seq, Signature, Signer,
    Status, Subject, View, ViewStatus, Wire,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

const COMMANDER: ReplicaId = ReplicaId(0);

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Relay {
    last: u64,
    chain: Option<Digest>,
    slow: BTreeMap<u64, Arc<Bundle>>,
    slow_count: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Message {
    Requests(Arc<Bundle>),
    Order { seq: Seq, bundle: Arc<Bundle>, signature: Signature },
    Vote { seq: Seq, digest: Digest, author: ReplicaId, signature: Signature },
}

fn statement(cluster: &Cluster, what: &str, seq: Seq, digest: &Digest) -> Vec<u8> {
    [what.as_bytes(), &cluster.id.0, &seq.0.to_le_bytes(), &digest.0].concat()
}

fn digest_of(bundle: &Arc<Bundle>) -> Digest {
    Batch { bundles: vec![Arc::clone(bundle)] }.digest()
}

pub(crate) fn vote(cluster: &Cluster, signer: &Signer, seq: Seq, digest: Digest) -> Message {
    Message::Vote {
        seq,
        digest,
        author: signer.id(),
        signature: signer.sign(&statement(cluster, "vote", seq, &digest)),
    }
}

impl Wire for Message {
    fn kind(&self) -> &'static str {
        match self {
            Message::Requests(_) => "request",
            Message::Order { .. } => "order",
            Message::Vote { .. } => "vote",
        }
    }

    fn class(&self) -> Class {
        match self {
            Message::Requests(_) => Class::Request,
            Message::Order { .. } => Class::Proposal,
            Message::Vote { .. } => Class::Vote,
        }
    }

    fn seq(&self) -> Option<Seq> {
        match self {
            Message::Requests(_) => None,
            Message::Order { seq, .. } | Message::Vote { seq, .. } => Some(*seq),
        }
    }

    fn claims(&self, _from: ReplicaId, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        let of_bundle = |bundle: &Bundle| bundle.claim(cluster).expect("it is signed");
        match self {
            Message::Requests(bundle) if !bundle.is_well_formed(cluster) => Err(Reason::MalformedRequests),
            Message::Requests(bundle) => Ok(vec![of_bundle(bundle)]),
            Message::Order { seq, bundle, signature } => {
                let bytes = statement(cluster, "order", *seq, &digest_of(bundle));
                let order = Claim { author: COMMANDER, bytes, signature: *signature };
                Ok(vec![of_bundle(bundle), order])
            }
            Message::Vote { seq, digest, author, signature } => Ok(vec![Claim {
                author: *author,
                bytes: statement(cluster, "vote", *seq, digest),
                signature: *signature,
            }]),
        }
    }
}

impl Falsify for Message {
    const KINDS: &'static [&'static str] = &["request", "order", "vote"];

    fn falsified(&self, cluster: &Cluster, signer: &Signer) -> Message {
        match self {
            Message::Vote { seq, .. } => vote(cluster, signer, *seq, Digest::of(b"lie")),
            other => other.clone(),
        }
    }

    // This relay's commander neither equivocates nor is there anything to forge.
    fn alternative(&self, _cluster: &Cluster, _signer: &Signer) -> Option<Message> {
        None
    }

    fn subject(&self) -> Option<Subject> {
        None
    }

    fn with_value(&self, _: Digest, _: &[Message], _: &Cluster, _: &Signer) -> Option<Message> {
        None
    }

    fn forged(&self, _: Forgery, _: &Cluster, _: &Signer) -> Option<Message> {
        None
    }

    fn needless_view_changes(_: View, _: &Cluster, _: &Signer) -> Vec<Message> {
        vec![]
    }

    fn noise(near: Seq, _: &mut dyn Choose, cluster: &Cluster, signer: &Signer) -> Message {
        vote(cluster, signer, near, Digest::of(b"noise"))
    }
}

type Cx<'a> = Context<'a, Relay>;

impl Relay {
    fn take(&mut self, cx: &mut Cx<'_>, bundle: Arc<Bundle>) {
        if cx.id() != COMMANDER {
            cx.send(COMMANDER, Message::Requests(bundle));
        } else if bundle.requests().iter().any(|request| *request.operation.0 == *b"slow") {
            self.slow_count += 1;
            self.slow.insert(self.slow_count, bundle);
            cx.set_timer(self.slow_count, Micros(1_500));
        } else {
            self.order(cx, bundle);
        }
    }

    fn order(&mut self, cx: &mut Cx<'_>, bundle: Arc<Bundle>) {
        let (seq, digest) = (Seq(self.last + 1), digest_of(&bundle));
        let signature = cx.signer.sign(&statement(cx.cluster, "order", seq, &digest));
        cx.mark(Mark::Proposed {
            view: Some(View(0)),
            seq,
            digest,
            requests: bundle.requests().len(),
            communication_node: None,
        });
        cx.send_all(Message::Order { seq, bundle: Arc::clone(&bundle), signature });
        self.execute(cx, seq, &bundle);
    }

    fn execute(&mut self, cx: &mut Cx<'_>, seq: Seq, bundle: &Arc<Bundle>) {
        let digest = digest_of(bundle);
        let chain = self.chain.unwrap_or(Digest::ZERO).chain(&digest);
        (self.last, self.chain) = (seq.0, Some(chain));
        cx.mark(Mark::Committed { view: Some(View(0)), seq, digest, path: Path::Direct });
        cx.mark(Mark::Executed { seq, digest, requests: bundle.requests().len(), chain });
        let reply = |request: &kernel::Request| Reply {
            session: request.session,
            counter: request.counter,
            result: Output(request.operation.0.clone()),
        };
        let replies = bundle.requests().iter().map(reply).collect();
        let bundle =
            ReplyBundle::sign(cx.cluster, cx.signer, View(0), seq, bundle.gateway(), vec![], replies);
        cx.push(Effect::Reply { to: bundle.gateway, bundle });
    }
}

impl Protocol for Relay {
    type Message = Message;
    type Timer = u64;

    fn step(&mut self, cx: &mut Cx<'_>, input: Input<Relay>) {
        match input {
            Input::Start | Input::Resume => {}
            Input::Submit(bundle) => self.take(cx, bundle),
            Input::Expire(number) => {
                if let Some(bundle) = self.slow.remove(&number) {
                    self.order(cx, bundle);
                }
            }
            Input::Deliver { from, message } => match message.into_inner() {
                Message::Requests(bundle) => self.take(cx, bundle),
                Message::Order { seq, .. } if seq.0 != self.last + 1 => {
                    cx.reject(from, Some(seq), Reason::OutsideWindow);
                }
                Message::Order { seq, bundle, .. } => {
                    let digest = digest_of(&bundle);
                    cx.mark(Mark::Accepted { seq, digest });
                    let (author, phase) = (COMMANDER, Phase::PrePrepare);
                    cx.mark(Mark::VoteReceived { seq, digest, author, phase, contradicts: false });
                    let own = vote(cx.cluster, cx.signer, seq, digest);
                    cx.send_all(own);
                    self.execute(cx, seq, &bundle);
                }
                Message::Vote { seq, digest, author, .. } => {
                    let phase = Phase::Prepare;
                    cx.mark(Mark::VoteReceived { seq, digest, author, phase, contradicts: false });
                }
            },
        }
    }

    fn status(&self, _cluster: &Cluster) -> Status {
        Status {
            last_executed: Seq(self.last),
            requests_waiting: self.slow.len(),
            membership: None,
            views: Some(ViewStatus {
                changing_view: false,
                view: View(0),
                commander: COMMANDER,
                communication_node: None,
                stable_checkpoint: Seq(0),
                trust_milli: vec![],
            }),
            ..Status::default()
        }
    }
}

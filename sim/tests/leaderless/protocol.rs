//! Secure broadcast, as small as it gets, with a register on top: a gateway sends its
//! requests to all, everyone answers with a signed echo, and a quorum of echoes, sent
//! to all, is the proof on which each replica applies them, in the order of each
//! source. No views, no slots, no commander.

use kernel::wire::{Forgery, Subject};
use kernel::{
    Application, Bundle, Choose, Chunk, Claim, Class, Cluster, Context, Digest, Effect, Falsify, Input, Mark,
    Operation, Output, Protocol, Reading, Reason, ReplicaId, Reply, ReplyBundle, Seq, Signature, Signer,
    Status, View, VoteSet, Wire,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

// ---- The application: a register ----

/// What is asked: `Set` changes the state, `Get` only reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Command {
    Set(u32),
    Get,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Done,
    Is(u32),
    Malformed,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Register(pub(crate) u32);

pub(crate) fn operation(command: Command) -> Operation {
    Operation::new(&postcard::to_stdvec(&command).unwrap())
}

pub(crate) fn output(answer: Answer) -> Output {
    Output::new(&postcard::to_stdvec(&answer).unwrap())
}

impl Application for Register {
    fn execute(&mut self, operation: &Operation) -> Output {
        output(match postcard::from_bytes(&operation.0) {
            Ok(Command::Set(value)) => {
                self.0 = value;
                Answer::Done
            }
            Ok(Command::Get) => Answer::Is(self.0),
            Err(_) => Answer::Malformed,
        })
    }

    fn query(&self, operation: &Operation) -> Option<Output> {
        match postcard::from_bytes(&operation.0) {
            Ok(Command::Get) => Some(output(Answer::Is(self.0))),
            _ => None,
        }
    }

    fn snapshot(&mut self) -> Vec<Chunk> {
        vec![Chunk::new(&self.0.to_le_bytes())]
    }

    fn restore(chunks: &[Chunk]) -> Option<Register> {
        let [chunk] = chunks else { return None };
        Some(Register(u32::from_le_bytes(chunk.bytes().try_into().ok()?)))
    }
}

// ---- The protocol ----

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Message {
    /// A source's requests.
    Requests(Arc<Bundle>),
    /// The sender vouches for the requests with this digest.
    Echo(Digest, Signature),
    /// A quorum of echoes.
    Proof(Digest, Vec<(ReplicaId, Signature)>),
}

fn statement(cluster: &Cluster, digest: &Digest) -> Vec<u8> {
    [b"echo/1".as_slice(), &cluster.id.0, &digest.0].concat()
}

impl Wire for Message {
    fn kind(&self) -> &'static str {
        match self {
            Message::Requests(_) => "requests",
            Message::Echo(..) => "echo",
            Message::Proof(..) => "proof",
        }
    }

    fn class(&self) -> Class {
        match self {
            Message::Requests(_) => Class::Proposal,
            Message::Echo(..) => Class::Vote,
            Message::Proof(..) => Class::Certificate,
        }
    }

    fn seq(&self) -> Option<Seq> {
        None
    }

    fn claims(&self, from: ReplicaId, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        let echo = |(author, signature): (ReplicaId, Signature), digest: &Digest| Claim {
            author,
            bytes: statement(cluster, digest),
            signature,
        };
        match self {
            Message::Requests(bundle) if bundle.is_well_formed(cluster) && bundle.gateway() == from => {
                Ok(bundle.claim(cluster).into_iter().collect())
            }
            Message::Requests(_) => Err(Reason::MalformedRequests),
            Message::Echo(digest, signature) => Ok(vec![echo((from, *signature), digest)]),
            Message::Proof(digest, echoes) => {
                let distinct: std::collections::BTreeSet<_> = echoes.iter().map(|echo| echo.0).collect();
                if distinct.len() < cluster.quorum() || distinct.len() != echoes.len() {
                    return Err(Reason::MalformedCertificate);
                }
                Ok(echoes.iter().map(|one| echo(*one, digest)).collect())
            }
        }
    }
}

impl Falsify for Message {
    const KINDS: &'static [&'static str] = &["requests", "echo", "proof"];

    fn falsified(&self, cluster: &Cluster, signer: &Signer) -> Message {
        match self {
            Message::Echo(digest, _) => {
                let other = digest.chain(digest);
                Message::Echo(other, signer.sign(&statement(cluster, &other)))
            }
            other => other.clone(),
        }
    }

    fn alternative(&self, _: &Cluster, _: &Signer) -> Option<Message> {
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
        unreachable!("there are no views that one could ask for")
    }

    fn noise(_: Seq, _: &mut dyn Choose, cluster: &Cluster, signer: &Signer) -> Message {
        Message::Echo(Digest::ZERO, signer.sign(&statement(cluster, &Digest::ZERO)))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Leaderless {
    pub(crate) register: Register,
    pub(crate) executed: u64,
    bundles: BTreeMap<Digest, Arc<Bundle>>,
    /// The requests that this replica vouched for: one for each counter of a session.
    vouched: BTreeMap<(u16, u64, u64), Digest>,
    echoes: BTreeMap<Digest, VoteSet>,
    proven: BTreeMap<Digest, bool>,
    next: BTreeMap<(u16, u64), u64>,
}

type Cx<'a> = Context<'a, Leaderless>;

impl Leaderless {
    fn take(&mut self, cx: &mut Cx<'_>, bundle: Arc<Bundle>) {
        let digest = bundle.digest();
        for request in bundle.requests() {
            let key = (request.session.gateway.0, request.session.number, request.counter);
            if *self.vouched.entry(key).or_insert(digest) != digest {
                return cx.reject(bundle.gateway(), None, Reason::ConflictingProposal);
            }
        }
        let (source, signature) = (bundle.gateway(), cx.signer.sign(&statement(cx.cluster, &digest)));
        self.bundles.insert(digest, bundle);
        if source == cx.id() {
            self.count(cx, source, digest, signature);
        } else {
            cx.send(source, Message::Echo(digest, signature));
        }
        self.apply(cx);
    }

    /// The source counts the echoes, and sends the proof to all.
    fn count(&mut self, cx: &mut Cx<'_>, from: ReplicaId, digest: Digest, signature: Signature) {
        let echoes = self.echoes.entry(digest).or_default();
        echoes.insert(from, digest, signature);
        if echoes.count(&digest) == cx.cluster.quorum() && self.bundles.contains_key(&digest) {
            cx.send_all(Message::Proof(digest, echoes.of(&digest)));
            self.proven.entry(digest).or_insert(false);
            self.apply(cx);
        }
    }

    /// Applies what is proven and next in its sessions.
    fn apply(&mut self, cx: &mut Cx<'_>) {
        let is_next = |next: &BTreeMap<(u16, u64), u64>, bundle: &Bundle| {
            bundle.requests().iter().all(|r| {
                let session = (r.session.gateway.0, r.session.number);
                r.counter == next.get(&session).copied().unwrap_or(1)
            })
        };
        loop {
            let ready = self.proven.iter().find(|(digest, applied)| {
                !**applied && self.bundles.get(*digest).is_some_and(|bundle| is_next(&self.next, bundle))
            });
            let Some(digest) = ready.map(|(digest, _)| *digest) else { return };
            self.proven.insert(digest, true);
            let bundle = Arc::clone(&self.bundles[&digest]);
            let mut replies = Vec::new();
            for request in bundle.requests() {
                let (session, counter) = (request.session, request.counter);
                self.next.insert((session.gateway.0, session.number), counter + 1);
                self.executed += 1;
                cx.mark(Mark::Applied { seq: None, session, counter });
                let result = self.register.execute(&request.operation);
                replies.push(Reply { session, counter, result });
            }
            let as_of = Seq(self.executed);
            let bundle =
                ReplyBundle::sign(cx.cluster, cx.signer, View(0), as_of, bundle.gateway(), vec![], replies);
            cx.push(Effect::Reply { to: bundle.gateway, bundle });
        }
    }
}

impl Protocol for Leaderless {
    type Message = Message;
    type Timer = u8;

    fn step(&mut self, cx: &mut Context<'_, Self>, input: Input<Self>) {
        match input {
            Input::Submit(bundle) => {
                cx.send_all(Message::Requests(Arc::clone(&bundle)));
                self.take(cx, bundle);
            }
            Input::Deliver { from, message } => match message.into_inner() {
                Message::Requests(bundle) => self.take(cx, bundle),
                Message::Echo(digest, signature) => self.count(cx, from, digest, signature),
                Message::Proof(digest, _) => {
                    self.proven.entry(digest).or_insert(false);
                    self.apply(cx);
                }
            },
            Input::Start | Input::Resume | Input::Expire(_) => {}
        }
    }

    fn status(&self, _: &Cluster) -> Status {
        let proven = self.proven.values().filter(|applied| **applied).count();
        Status {
            last_executed: Seq(self.executed),
            slots_in_flight: self.bundles.len() - proven.min(self.bundles.len()),
            ..Status::default()
        }
    }

    fn query(&self, operation: &Operation) -> Option<Reading> {
        let output = self.register.query(operation)?;
        Some(Reading { as_of: Seq(self.executed), output })
    }
}

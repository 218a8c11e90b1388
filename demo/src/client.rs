//! The client: it signs what it asks, sends it to all replicas, and accepts a result that
//! `f+1` of them have signed.

use std::sync::Arc;

use apps::BankOperation;
use client::ReplyCollector;
use kernel::{Admission, Bundle, Cluster, Operation, ReplicaId, ReplyBundle, Request, SessionId, Signer};

use crate::command::Command;
use crate::envelope::{Content, Envelope};
use crate::names::name;
use crate::node::{Out, Setup};
use crate::operation::{in_words, result_in_words};

/// A request and what came of it.
#[derive(Clone, Debug)]
struct Asked {
    operation: Operation,
    bundle: Arc<Bundle>,
    collector: ReplyCollector,
    result: Option<String>,
}

/// The client and its person.
#[derive(Clone, Debug)]
pub struct Client {
    cluster: Cluster,
    signer: Signer,
    admission: Admission,
    first_session: u64,
    asked: Vec<Asked>,
    out: Vec<Out>,
}

impl Client {
    /// A client that has asked nothing yet.
    pub fn new(setup: &Setup) -> Client {
        let (signer, keyring) = setup.keys(setup.client());
        let cluster = setup.cluster.clone();
        let admission = Admission::new(cluster.clone(), keyring);
        let (first_session, asked, out) = (setup.first_session, Vec::new(), Vec::new());
        Client { cluster, signer, admission, first_session, asked, out }
    }

    /// Takes what there is to be done.
    pub fn take_out(&mut self) -> Vec<Out> {
        std::mem::take(&mut self.out)
    }

    fn say(&mut self, line: impl Into<String>) {
        self.out.push(Out::Line(line.into()));
    }

    /// Does what the person says.
    pub fn act(&mut self, command: &Command) {
        match command {
            Command::Send(operation) => self.send(operation),
            Command::List | Command::Status => self.list(),
            Command::Progress => self.send_again(),
            Command::As(_) | Command::Help(_) | Command::Quit => {}
            Command::Tx { .. } => self.say("proposes nothing; the client's command is \"send\" (§4.1)"),
            Command::Data => self.say(
                "holds no accounts; \"send account=alice,operation=balance\" asks for one, and \"data\" at a replica shows them",
            ),
            _ => self.say("is no replica: it neither votes nor fails here; its commands are send, list, progress, help and quit"),
        }
    }

    fn send(&mut self, operation: &BankOperation) {
        let number = self.first_session + self.asked.len() as u64;
        let session = SessionId { gateway: self.signer.id(), number };
        let operation = operation.encode();
        let request = Request { session, counter: 1, operation: operation.clone() };
        let bundle = Arc::new(Bundle::sign(&self.cluster, &self.signer, vec![request]));
        let collector = ReplyCollector::new(self.cluster.weak_quorum());
        self.say(format!(
            "sends request {} to all replicas, signed: {}. The commander's \"progress\" proposes it",
            self.asked.len() + 1,
            in_words(&operation)
        ));
        self.post(&bundle);
        self.asked.push(Asked { operation, bundle, collector, result: None });
    }

    fn post(&mut self, bundle: &Arc<Bundle>) {
        for replica in self.cluster.replicas() {
            let content = Content::Request(Arc::clone(bundle));
            let started = (self.first_session, None);
            let envelope = Envelope::sign(&self.cluster, &self.signer, replica, started, content);
            self.out.push(Out::Envelope(Box::new(envelope)));
        }
    }

    fn send_again(&mut self) {
        let open = self.asked.iter().filter(|asked| asked.result.is_none());
        let open: Vec<Arc<Bundle>> = open.map(|asked| Arc::clone(&asked.bundle)).collect();
        self.say(match open.len() {
            0 => "waits for no answer".to_owned(),
            count => format!(
                "sends {count} unanswered request(s) again: what was executed is answered from the replicas' session table, never executed twice (§4.1)"
            ),
        });
        open.iter().for_each(|bundle| self.post(bundle));
    }

    fn list(&mut self) {
        if self.asked.is_empty() {
            self.say("has asked nothing yet; \"send account=alice,amount=100,operation=deposit\"");
        }
        let needed = self.cluster.weak_quorum();
        let lines: Vec<String> = (1..)
            .zip(&self.asked)
            .map(|(number, asked)| {
                let (agreeing, differing) = asked.collector.agreeing_and_not();
                let replies = match differing {
                    0 => format!("REPLYs: {agreeing}"),
                    _ => format!("REPLYs that agree: {agreeing}, that differ: {differing}"),
                };
                let result = match &asked.result {
                    Some(result) => result.clone(),
                    None => format!("no result yet ({needed} that agree are needed)"),
                };
                format!("request {number}, {}: {result}; {replies}", in_words(&asked.operation))
            })
            .collect();
        lines.into_iter().for_each(|line| self.say(line));
    }

    /// Takes an envelope: only replies are for a client, and only signatures count.
    pub fn receive(&mut self, envelope: Envelope) {
        let from = name(&self.cluster, envelope.from);
        if envelope.to != self.signer.id() || !self.admission.check(&envelope.claim(&self.cluster)) {
            self.say(format!(
                "refused an envelope in the name of {from}: bad signature; nothing follows from it"
            ));
            return;
        }
        if let Content::Reply(bundle) = envelope.content {
            self.receive_reply(envelope.from, &bundle);
        }
    }

    fn receive_reply(&mut self, from: ReplicaId, bundle: &ReplyBundle) {
        let author = name(&self.cluster, bundle.replica);
        let claim = bundle.claim(&self.cluster);
        let signed = self.cluster.contains(bundle.replica) && self.admission.check(&claim);
        if bundle.gateway != self.signer.id() || !signed {
            let from = name(&self.cluster, from);
            self.say(format!(
                "refused a REPLY in the name of {author}, which {from} sent: {author} has not signed it"
            ));
            return;
        }
        for reply in &bundle.replies {
            let place = reply.session.number.checked_sub(self.first_session);
            let place = place.and_then(|place| usize::try_from(place).ok());
            let Some(place) = place.filter(|place| *place < self.asked.len()) else { continue };
            self.count(place, bundle.replica, &reply.result);
        }
    }

    fn count(&mut self, place: usize, replica: ReplicaId, output: &kernel::Output) {
        let needed = self.cluster.weak_quorum();
        let asked = &mut self.asked[place];
        let accepted = asked.collector.add(replica, output, ()).is_some();
        let said = result_in_words(&asked.operation, output);
        let (number, from) = (place + 1, name(&self.cluster, replica));
        if let Some(result) = &asked.result {
            if *result != said {
                self.say(format!("REPLY from {from} for request {number} differs from the result: {said}; it changes nothing"));
            }
            return;
        }
        let agreeing = asked.collector.count(output);
        self.say(format!(
            "REPLY from {from} for request {number}: {said}: {agreeing} of the {needed} needed say so"
        ));
        if accepted {
            self.asked[place].result = Some(said.clone());
            self.say(format!(
                "result of request {number}: {said}. f+1 = {needed} replicas have signed it, so an honest one has executed it (§4.1)"
            ));
        }
    }
}

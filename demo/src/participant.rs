//! What is common to all who sit at a prompt: a replica's person or the client.

use kernel::{Cluster, ReplicaId};
use pbft::Timer;

use crate::client::Client;
use crate::command::Command;
use crate::envelope::Envelope;
use crate::names::name;
use crate::node::{Node, Out, Setup};

/// A participant.
#[derive(Clone, Debug)]
pub enum Participant {
    /// A replica and its person.
    Node(Box<Node>),
    /// The client.
    Client(Box<Client>),
}

impl Participant {
    /// The participant `id`.
    pub fn new(setup: Setup, id: ReplicaId, recovering: bool) -> Participant {
        if id == setup.client() {
            Participant::Client(Box::new(Client::new(&setup)))
        } else {
            Participant::Node(Box::new(Node::new(setup, id, recovering)))
        }
    }

    /// The replica; none if it is the client.
    pub fn node(&self) -> Option<&Node> {
        if let Participant::Node(node) = self { Some(node) } else { None }
    }

    /// Whether it is a commander that is up.
    pub fn may_propose(&self) -> bool {
        self.node().is_some_and(|node| !node.is_down() && node.view().1 == node.id())
    }

    /// Does what the person says.
    pub fn act(&mut self, command: &Command) {
        match self {
            Participant::Node(node) => node.act(command),
            Participant::Client(client) => client.act(command),
        }
    }

    /// Takes an envelope.
    pub fn receive(&mut self, envelope: Envelope) {
        match self {
            Participant::Node(node) => node.receive(envelope),
            Participant::Client(client) => client.receive(envelope),
        }
    }

    /// A timer ran out.
    pub fn expire(&mut self, timer: Timer) {
        if let Participant::Node(node) = self {
            node.expire(timer);
        }
    }

    /// Takes what there is to be done.
    pub fn take_out(&mut self) -> Vec<Out> {
        match self {
            Participant::Node(node) => node.take_out(),
            Participant::Client(client) => client.take_out(),
        }
    }

    /// What stands before the cursor: who it is, and whether it is the commander.
    pub fn prompt(&self, cluster: &Cluster) -> String {
        let Participant::Node(node) = self else { return "client> ".into() };
        let own = name(cluster, node.id());
        let (view, commander) = node.view();
        if node.is_down() {
            format!("{own} (down)> ")
        } else if commander == node.id() {
            format!("{own} (commander, view {view})> ")
        } else {
            format!("{own} (view {view})> ")
        }
    }
}

/// What comes of a line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// To be shown.
    pub lines: Vec<String>,
    /// The demo ends.
    pub quits: bool,
}

impl Answer {
    /// One line.
    pub fn of(line: impl Into<String>) -> Answer {
        Answer { lines: vec![line.into()], quits: false }
    }
}

/// What is asked for with a bare `tx`.
pub const ASKS_FOR_DATA: &str = "data> ";

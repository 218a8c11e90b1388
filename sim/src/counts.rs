//! What nodes send and receive: by node, by kind and by role.

use kernel::ReplicaId;
use std::collections::BTreeMap;

/// Messages and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// How many.
    pub messages: u64,
    /// Their size together.
    pub bytes: u64,
}

/// What one node sent and received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Sent: of the agreement.
    pub agreement_out: Volume,
    /// Sent: everything else.
    pub other_out: Volume,
    /// Received: of the agreement.
    pub agreement_in: Volume,
    /// Received: everything else.
    pub other_in: Volume,
    /// Messages sent, by kind.
    pub out_by_kind: Vec<(&'static str, Volume)>,
    /// Messages that were not let in or not acted upon.
    pub rejected: u64,
}

/// The part that a node plays at the moment at which it sends or receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It leads the view.
    Commander,
    /// It collects the votes.
    CommunicationNode,
    /// Both at once.
    Both,
    /// Neither.
    Other,
}

/// What the nodes of one role sent and received together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoleTraffic {
    /// Sent.
    pub out: Volume,
    /// Received.
    pub into: Volume,
}

/// Who leads and who collects, as far as the marks tell.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Roles {
    pub(crate) commander: Option<ReplicaId>,
    pub(crate) communication_node: Option<ReplicaId>,
}

/// All counts of a run.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    pub(crate) by_kind: BTreeMap<&'static str, Volume>,
    pub(crate) by_role: BTreeMap<Role, RoleTraffic>,
    pub(crate) by_node: Vec<Traffic>,
    pub(crate) delivered: u64,
}

/// A message as the counts see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CountedMessage {
    pub(crate) kind: &'static str,
    pub(crate) agreement: bool,
    pub(crate) bytes: usize,
}

impl Volume {
    fn add(&mut self, messages: u64, bytes: usize) {
        self.messages += messages;
        self.bytes += messages * bytes as u64;
    }
}

impl Roles {
    pub(crate) fn of(&self, id: ReplicaId) -> Role {
        match (self.commander == Some(id), self.communication_node == Some(id)) {
            (true, true) => Role::Both,
            (true, false) => Role::Commander,
            (false, true) => Role::CommunicationNode,
            (false, false) => Role::Other,
        }
    }
}

impl Counts {
    pub(crate) fn new(n: u16) -> Counts {
        Counts {
            by_kind: BTreeMap::new(),
            by_role: BTreeMap::new(),
            by_node: vec![Traffic::default(); usize::from(n)],
            delivered: 0,
        }
    }

    /// `copies` of a message leave a node.
    pub(crate) fn sent(&mut self, role: Role, from: ReplicaId, copies: u64, message: CountedMessage) {
        let CountedMessage { kind, agreement, bytes } = message;
        self.by_kind.entry(kind).or_default().add(copies, bytes);
        self.by_role.entry(role).or_default().out.add(copies, bytes);
        let node = &mut self.by_node[usize::from(from.0)];
        let total = if agreement { &mut node.agreement_out } else { &mut node.other_out };
        total.add(copies, bytes);
        match node.out_by_kind.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, volume)) => volume.add(copies, bytes),
            None => node.out_by_kind.push((kind, Volume { messages: copies, bytes: copies * bytes as u64 })),
        }
    }

    /// A message reaches a node.
    pub(crate) fn received(&mut self, role: Role, to: ReplicaId, message: CountedMessage) {
        self.delivered += 1;
        self.by_role.entry(role).or_default().into.add(1, message.bytes);
        let node = &mut self.by_node[usize::from(to.0)];
        let total = if message.agreement { &mut node.agreement_in } else { &mut node.other_in };
        total.add(1, message.bytes);
    }
}

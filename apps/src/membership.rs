//! What clients ask of a cluster whose members change.

use crate::codec;
use kernel::{Operation, Output, ReplicaId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What an operation of the membership begins with, so that it is no operation of the data.
const MARK: &[u8; 16] = b"membership/1\0\0\0\0";

/// What changes from one generation to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// This node becomes a member.
    Join(ReplicaId),
    /// This member is none any more.
    Leave(ReplicaId),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Join(node) => write!(f, "node {node} joins"),
            Change::Leave(node) => write!(f, "node {node} leaves"),
        }
    }
}

impl Change {
    /// Whom it is about.
    pub fn node(self) -> ReplicaId {
        match self {
            Change::Join(node) | Change::Leave(node) => node,
        }
    }
}

/// What a client asks of the membership, whatever the application is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MembershipOperation {
    /// The node that is asked is in favour of a change.
    Ask(Change),
    /// What it makes of that: it has seen this generation, so it is not about a change before that.
    AskSince(Change, u64),
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MembershipOutput {
    /// All members know that the node is in favour. Whether and when the change comes depends on the others.
    Asked,
    /// Nothing was done.
    Refused(MembershipRefusal),
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum MembershipRefusal {
    /// These bytes are no operation of the membership.
    #[error("this is no operation of the membership")]
    NotAnOperation,
    /// The cluster has no such node.
    #[error("the cluster has no node {0}")]
    UnknownNode(ReplicaId),
    /// Who is to join is there.
    #[error("node {0} is a member already")]
    IsMember(ReplicaId),
    /// Who is to leave is not there.
    #[error("node {0} is no member")]
    NoMember(ReplicaId),
    /// Nobody would be left.
    #[error("node {0} is the only member")]
    LastMember(ReplicaId),
}

impl MembershipOperation {
    /// As it is broadcast.
    pub fn encode(&self) -> Operation {
        let bytes = codec::operation(self).0;
        Operation::new(&[&MARK[..], &bytes].concat())
    }

    /// What these bytes ask of the membership; none if they are for the application.
    pub fn decode(operation: &Operation) -> Option<Result<MembershipOperation, MembershipRefusal>> {
        let bytes = operation.0.strip_prefix(MARK)?;
        Some(codec::read(bytes).ok_or(MembershipRefusal::NotAnOperation))
    }
}

impl MembershipOutput {
    /// As it is answered.
    pub fn encode(&self) -> Output {
        codec::output(self)
    }

    /// What was answered; none if these bytes are no answer of the membership.
    pub fn decode(output: &Output) -> Option<MembershipOutput> {
        codec::read(&output.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_whom_it_is_about() {
        let changes = [Change::Join(ReplicaId(4)), Change::Leave(ReplicaId(7))];
        assert_eq!(changes.map(Change::node), [ReplicaId(4), ReplicaId(7)]);
        assert_eq!(changes.map(|change| change.to_string()), ["node 4 joins", "node 7 leaves"]);
    }

    #[test]
    fn an_operation_of_the_membership_is_none_of_the_data() {
        let ask = MembershipOperation::AskSince(Change::Join(ReplicaId(4)), 7);
        assert_eq!(MembershipOperation::decode(&ask.encode()), Some(Ok(ask)));
        assert_eq!(MembershipOperation::decode(&Operation::new(b"hello")), None);
        let torn = Operation::new(&ask.encode().0[..17]);
        assert_eq!(MembershipOperation::decode(&torn), Some(Err(MembershipRefusal::NotAnOperation)));
    }
}

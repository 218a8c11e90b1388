//! Who the members are, and who has asked for a change.
//!
//! A cluster's nodes are all listed with their keys. Which of them are members changes: one joins or leaves with each
//! generation that begins so. A change is agreed upon once `f+1` members have asked for it, of which one is honest;
//! who wants to leave asks alone. Asking is an operation like others: it is broadcast, and applied.

use crate::generation::Generation;
use apps::{Change, MembershipRefusal};
use kernel::{ReplicaId, cluster};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The members of a generation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Members(BTreeSet<ReplicaId>);

impl Members {
    /// These nodes.
    pub(crate) fn new(members: impl IntoIterator<Item = ReplicaId>) -> Members {
        Members(members.into_iter().collect())
    }

    /// Whether a node is one of them.
    pub fn contains(&self, node: ReplicaId) -> bool {
        self.0.contains(&node)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = ReplicaId> {
        self.0.iter().copied()
    }

    /// How many make a quorum.
    pub fn quorum(&self) -> usize {
        cluster::quorum(self.0.len() as u16)
    }

    /// So many that one of them is honest.
    pub(crate) fn weak_quorum(&self) -> usize {
        cluster::max_faulty(self.0.len() as u16) + 1
    }

    /// Who suggests the generation of this number in a round.
    pub(crate) fn leader(&self, number: u64, round: u64) -> ReplicaId {
        let place = number.wrapping_add(round) % self.0.len() as u64;
        self.iter().nth(place as usize).expect("there is a member")
    }

    /// Why a change makes no sense.
    pub(crate) fn refusal(&self, change: Change, nodes: u16) -> Option<MembershipRefusal> {
        let node = change.node();
        match change {
            _ if node.0 >= nodes => Some(MembershipRefusal::UnknownNode(node)),
            Change::Join(_) if self.contains(node) => Some(MembershipRefusal::IsMember(node)),
            Change::Leave(_) if !self.contains(node) => Some(MembershipRefusal::NoMember(node)),
            Change::Leave(_) if self.0.len() == 1 => Some(MembershipRefusal::LastMember(node)),
            _ => None,
        }
    }

    /// The members after a change.
    pub(crate) fn after(&self, change: Option<Change>) -> Members {
        let mut members = self.clone();
        match change {
            Some(Change::Join(node)) => drop(members.0.insert(node)),
            Some(Change::Leave(node)) => drop(members.0.remove(&node)),
            None => {}
        }
        members
    }
}

/// Who were the members of each generation so far.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Membership {
    /// Each from the generation on in which it began, the first from 0 on.
    members: Vec<(u64, Members)>,
    /// The current generation.
    pub(crate) generation: u64,
}

impl Membership {
    pub(crate) fn new(members: Members) -> Membership {
        Membership { members: vec![(0, members)], generation: 0 }
    }

    /// The current members.
    pub(crate) fn members(&self) -> &Members {
        &self.members.last().expect("there is a first generation").1
    }

    /// The members of a generation; none of one that is not known yet.
    pub(crate) fn of(&self, generation: u64) -> Option<&Members> {
        let began = self.members.iter().rev().find(|(from, _)| *from <= generation);
        began.filter(|_| generation <= self.generation).map(|(_, members)| members)
    }

    /// A generation begins.
    pub(crate) fn begin(&mut self, generation: &Generation) {
        let members = Members::new(generation.members.iter().copied());
        self.generation = generation.number;
        if members != *self.members() {
            self.members.push((generation.number, members));
        }
    }

    /// The last generation that began with other members.
    pub(crate) fn last_change(&self) -> u64 {
        self.members.last().map_or(0, |(from, _)| *from)
    }

    /// Whether others were members before a generation.
    pub(crate) fn changed_in(&self, generation: u64) -> bool {
        self.members.iter().any(|(from, _)| *from == generation)
    }

    /// The generation in which a node became what it is, a member or none.
    fn since(&self, node: ReplicaId) -> u64 {
        let is_member = self.members().contains(node);
        let other = self.members.iter().rev().take_while(|(_, members)| members.contains(node) == is_member);
        other.last().map_or(0, |(from, _)| *from)
    }

    /// The first change that is agreed upon, if any.
    pub(crate) fn agreed(&self, asked: &Asked, nodes: u16) -> Option<Change> {
        asked.0.keys().copied().find(|change| self.is_agreed(asked, *change, nodes))
    }

    /// Whether enough members have asked for a change.
    pub(crate) fn is_agreed(&self, asked: &Asked, change: Change, nodes: u16) -> bool {
        let members = self.members();
        let askers = members.iter().filter(|member| self.has_asked(asked, *member, change)).count();
        let leaves_itself =
            change == Change::Leave(change.node()) && self.has_asked(asked, change.node(), change);
        members.refusal(change, nodes).is_none() && (leaves_itself || askers >= members.weak_quorum())
    }

    /// Whether a member has asked for a change since the node that it is about became what it is.
    pub(crate) fn has_asked(&self, asked: &Asked, member: ReplicaId, change: Change) -> bool {
        let when = asked.0.get(&change).and_then(|askers| askers.get(&member));
        when.is_some_and(|generation| *generation >= self.since(change.node()))
    }
}

impl Membership {
    /// The changes that members have asked for and that have not come, each with who has asked.
    pub(crate) fn open(&self, asked: &Asked, nodes: u16) -> Vec<(Change, Vec<ReplicaId>)> {
        let members = self.members();
        let makes_sense = |change: &Change| members.refusal(*change, nodes).is_none();
        let changes = asked.0.keys().copied().filter(makes_sense);
        let with_askers = changes.map(|change| {
            (
                change,
                members.iter().filter(|member| self.has_asked(asked, *member, change)).collect::<Vec<_>>(),
            )
        });
        with_askers.filter(|(_, askers)| !askers.is_empty()).collect()
    }
}

/// Who has asked for which change, and in which generation last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Asked(BTreeMap<Change, BTreeMap<ReplicaId, u64>>);

impl Asked {
    pub(crate) fn apply(&mut self, actor: ReplicaId, change: Change, generation: u64) {
        let asked = self.0.entry(change).or_default().entry(actor).or_default();
        *asked = generation.max(*asked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Digest;

    fn nodes(ids: &[u16]) -> Members {
        Members::new(ids.iter().copied().map(ReplicaId))
    }

    fn begun(membership: &mut Membership, number: u64, ids: &[u16]) {
        let members = ids.iter().copied().map(ReplicaId).collect();
        let changed = membership.last_change();
        membership.begin(&Generation { number, changed, members, cut: vec![], state: Digest::ZERO });
    }

    #[test]
    fn the_members_of_each_generation_are_known() {
        let mut membership = Membership::new(nodes(&[0, 1, 2, 3]));
        begun(&mut membership, 1, &[0, 1, 2, 3]);
        begun(&mut membership, 2, &[0, 1, 2, 3, 4]);
        begun(&mut membership, 7, &[1, 2, 3, 4]);
        let of =
            |generation| membership.of(generation).map(|members| members.iter().map(|id| id.0).collect());
        let expected: [Option<Vec<u16>>; 6] = [
            Some(vec![0, 1, 2, 3]),
            Some(vec![0, 1, 2, 3]),
            Some(vec![0, 1, 2, 3, 4]),
            Some(vec![0, 1, 2, 3, 4]),
            Some(vec![1, 2, 3, 4]),
            None,
        ];
        assert_eq!([0, 1, 2, 6, 7, 8].map(of), expected);
        assert_eq!([0, 1, 4, 5].map(|node| membership.since(ReplicaId(node))), [7, 0, 2, 0]);
    }

    #[test]
    fn a_change_is_agreed_upon_by_those_who_asked_since_the_node_became_what_it_is() {
        let mut membership = Membership::new(nodes(&[0, 1, 2, 3]));
        let mut asked = Asked::default();
        let (join, leave) = (Change::Join(ReplicaId(4)), Change::Leave(ReplicaId(2)));
        asked.apply(ReplicaId(0), join, 0);
        asked.apply(ReplicaId(4), join, 0);
        assert_eq!(membership.agreed(&asked, 6), None, "one member of four, and one that is none");
        asked.apply(ReplicaId(1), join, 0);
        assert_eq!(membership.agreed(&asked, 6), Some(join));
        assert_eq!(membership.agreed(&asked, 4), None, "there is no such node");
        begun(&mut membership, 1, &[0, 1, 2, 3, 4]);
        assert_eq!(membership.agreed(&asked, 6), None, "it is one");
        begun(&mut membership, 2, &[0, 1, 2, 3]);
        assert_eq!(membership.agreed(&asked, 6), None, "that was about its first time");
        asked.apply(ReplicaId(0), join, 2);
        asked.apply(ReplicaId(3), join, 3);
        assert_eq!(membership.agreed(&asked, 6), Some(join));
        asked.apply(ReplicaId(1), leave, 0);
        assert!(!membership.is_agreed(&asked, leave, 6));
        asked.apply(ReplicaId(2), leave, 0);
        assert!(membership.is_agreed(&asked, leave, 6), "it asks itself");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let four = nodes(&[0, 1, 2, 3]);
        let node = ReplicaId;
        for (members, change, refusal) in [
            (&four, Change::Join(node(3)), Some(MembershipRefusal::IsMember(node(3)))),
            (&four, Change::Join(node(5)), None),
            (&four, Change::Join(node(6)), Some(MembershipRefusal::UnknownNode(node(6)))),
            (&four, Change::Leave(node(5)), Some(MembershipRefusal::NoMember(node(5)))),
            (&four, Change::Leave(node(3)), None),
            (&nodes(&[1]), Change::Leave(node(1)), Some(MembershipRefusal::LastMember(node(1)))),
        ] {
            assert_eq!(members.refusal(change, 6), refusal, "{change:?}");
        }
    }
}

//! A set to which everybody adds and from which everybody removes: a removal takes away what its actor had seen, so
//! what somebody else adds at the same time stays (Bieniusa et al., *An Optimized Conflict-Free
//! Replicated Set*, 2012; the data type is that of the crate `crdts`).

use crate::data::DataType;
use crdts::{CmRDT, Dot, VClock, orswot};
use kernel::{Operation, Output, ReplicaId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::hash::{Hash, Hasher};

/// Bytes of a member of the set, at most.
pub const MAX_MEMBER_BYTES: usize = 1000;

/// What the set is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SetOperation {
    /// Adds a member, which may be there already.
    Add(String),
    /// Removes a member that is there.
    Remove(String),
    /// Reads whether a member is there.
    Contains(String),
    /// Reads all members.
    List,
    /// What an actor makes of [`SetOperation::Remove`]: these additions of a member are removed.
    RemoveSeen(String, Vec<Addition>),
}

/// The additions of a member by one actor, up to its nth addition to the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Addition {
    /// Who added.
    pub actor: ReplicaId,
    /// Which of its additions.
    pub count: u64,
}

/// What the set answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SetOutput {
    /// It was added.
    Added,
    /// What its actor had seen of it was removed.
    Removed,
    /// Whether it is there, as far as the member of the cluster that answers has got.
    Contains(bool),
    /// All that are there, as far as that one has got.
    Members(Vec<String>),
    /// Nothing was done.
    Refused(SetRefusal),
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum SetRefusal {
    /// These bytes are no operation of a set that can be broadcast.
    #[error("this is no operation of the set")]
    NotAnOperation,
    /// It is too long.
    #[error("a member of the set has at most {MAX_MEMBER_BYTES} bytes")]
    TooLong,
    /// It is not in the set, so there is nothing to remove.
    #[error("it is not in the set")]
    NotThere,
    /// Additions are to be removed that were never seen.
    #[error("what was never added cannot be removed")]
    NeverSeen,
}

impl SetOperation {
    /// As it is broadcast.
    pub fn encode(&self) -> Operation {
        Operation::new(&postcard::to_stdvec(self).expect("an operation is plain data"))
    }

    fn decode(operation: &Operation) -> Result<SetOperation, SetRefusal> {
        postcard::from_bytes(&operation.0).map_err(|_| SetRefusal::NotAnOperation)
    }
}

impl SetOutput {
    /// As it is answered.
    pub fn encode(&self) -> Output {
        Output::new(&postcard::to_stdvec(self).expect("an output is plain data"))
    }

    /// What a member answered; none if these bytes are no answer of a set.
    pub fn decode(output: &Output) -> Option<SetOutput> {
        postcard::from_bytes(&output.0).ok()
    }
}

fn refused(refusal: SetRefusal) -> Output {
    SetOutput::Refused(refusal).encode()
}

/// The set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orswot(orswot::Orswot<String, ReplicaId>);

/// The maps inside have no order, so it is written in one: how many additions of each actor were applied, and those of
/// each member that are in the set.
impl Serialize for Orswot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let clock: Vec<Addition> = additions(&self.0.clock());
        let members = self.members().into_iter().map(|member| (self.additions(&member), member));
        (clock, members.collect::<Vec<_>>()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Orswot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Orswot, D::Error> {
        let (clock, members) = <(Vec<Addition>, Vec<(Vec<Addition>, String)>)>::deserialize(deserializer)?;
        let of_member = |(seen, member): &(Vec<Addition>, String)| -> Vec<(Addition, Vec<String>)> {
            seen.iter().map(|addition| (*addition, vec![member.clone()])).collect()
        };
        let mut all: Vec<(Addition, Vec<String>)> = members.iter().flat_map(of_member).collect();
        // An addition with a lower number than one before is taken for known.
        all.sort();
        all.extend(clock.into_iter().map(|last| (last, vec![])));
        let mut set = orswot::Orswot::new();
        for (Addition { actor, count }, members) in all {
            set.apply(orswot::Op::Add { dot: Dot::new(actor, count), members });
        }
        Ok(Orswot(set))
    }
}

fn additions(clock: &VClock<ReplicaId>) -> Vec<Addition> {
    clock.iter().map(|Dot { actor, counter }| Addition { actor: *actor, count: counter }).collect()
}

impl Orswot {
    /// All members, sorted.
    pub fn members(&self) -> Vec<String> {
        let mut members: Vec<String> = self.0.iter().map(|context| context.val.clone()).collect();
        members.sort();
        members
    }

    /// The additions of a member that are in the set.
    fn additions(&self, member: &String) -> Vec<Addition> {
        additions(&self.0.contains(member).rm_clock)
    }

    /// How many additions of an actor were applied.
    fn count(&self, actor: ReplicaId) -> u64 {
        self.0.clock().get(&actor)
    }

    fn check(&self, operation: &Operation) -> Result<(), SetRefusal> {
        match SetOperation::decode(operation)? {
            SetOperation::Add(member) if member.len() > MAX_MEMBER_BYTES => Err(SetRefusal::TooLong),
            SetOperation::Add(_) => Ok(()),
            SetOperation::RemoveSeen(_, additions) => {
                let were_seen = additions.iter().all(|addition| addition.count <= self.count(addition.actor));
                if were_seen && !additions.is_empty() { Ok(()) } else { Err(SetRefusal::NeverSeen) }
            }
            _ => Err(SetRefusal::NotAnOperation),
        }
    }
}

/// The maps inside have no order, so what is hashed is put in one.
impl Hash for Orswot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.clock().hash(state);
        for member in self.members() {
            self.additions(&member).hash(state);
            member.hash(state);
        }
    }
}

impl DataType for Orswot {
    fn prepare(&self, _: ReplicaId, asked: &Operation) -> Result<Option<Operation>, Output> {
        let Ok(SetOperation::Remove(member)) = SetOperation::decode(asked) else { return Ok(None) };
        let additions = self.additions(&member);
        if additions.is_empty() {
            return Err(refused(SetRefusal::NotThere));
        }
        Ok(Some(SetOperation::RemoveSeen(member, additions).encode()))
    }

    fn validate(&self, _: ReplicaId, operation: &Operation) -> Result<(), Output> {
        self.check(operation).map_err(refused)
    }

    fn apply(&mut self, actor: ReplicaId, operation: &Operation) -> Output {
        let output = match SetOperation::decode(operation) {
            Ok(SetOperation::Add(member)) => {
                // Operations of an actor come in its order, so all members count alike.
                let dot = Dot::new(actor, self.count(actor) + 1);
                self.0.apply(orswot::Op::Add { dot, members: vec![member] });
                SetOutput::Added
            }
            Ok(SetOperation::RemoveSeen(member, additions)) => {
                let dots = additions.iter().map(|addition| Dot::new(addition.actor, addition.count));
                let clock: VClock<ReplicaId> = dots.collect();
                self.0.apply(orswot::Op::Rm { clock, members: vec![member] });
                SetOutput::Removed
            }
            _ => SetOutput::Refused(SetRefusal::NotAnOperation),
        };
        output.encode()
    }

    fn query(&self, operation: &Operation) -> Option<Output> {
        let output = match SetOperation::decode(operation) {
            Ok(SetOperation::Contains(member)) => SetOutput::Contains(self.0.contains(&member).val),
            Ok(SetOperation::List) => SetOutput::Members(self.members()),
            _ => return None,
        };
        Some(output.encode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What was written is read again, and equal sets are written alike.
        #[test]
        fn it_is_written_in_one_way(steps in prop::collection::vec((0..3_u16, 0..4_u8, any::<bool>()), 0..40)) {
            let mut set = Orswot::default();
            for (actor, member, adds) in steps {
                let (actor, member) = (ReplicaId(actor), member.to_string());
                let asked = if adds { SetOperation::Add(member) } else { SetOperation::Remove(member) }.encode();
                if let Ok(meant) = set.prepare(actor, &asked) {
                    set.apply(actor, &meant.unwrap_or(asked));
                }
            }
            let bytes = postcard::to_stdvec(&set).unwrap();
            let read: Orswot = postcard::from_bytes(&bytes).unwrap();
            prop_assert_eq!(&read, &set);
            prop_assert_eq!(postcard::to_stdvec(&read).unwrap(), bytes);
        }
    }
}

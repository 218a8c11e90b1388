//! A set of texts.

use crate::codec;
use crate::kv::MAX_LISTED;
use crate::table::{Table, Value};
use kernel::{Application, Chunk, Operation, Output};
use serde::{Deserialize, Serialize};

/// A member of the set has at most so many bytes.
pub const MAX_MEMBER_BYTES: usize = 256;

/// What a client asks of the set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetOperation {
    /// Puts a member in, which may be there already.
    Add {
        /// The member.
        member: String,
    },
    /// Takes a member out that is there.
    Remove {
        /// The member.
        member: String,
    },
    /// Is it in the set?
    Contains {
        /// The member.
        member: String,
    },
    /// Which members begin so?
    List {
        /// What they begin with; all if it is empty.
        prefix: String,
        /// Only members after this one.
        after: Option<String>,
        /// At most so many, and at most [`MAX_LISTED`].
        limit: u32,
    },
}

/// What the set answers. Additions and removals are answered alike with and without consensus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetOutput {
    /// It is in the set now. Whether it was before is not said: without consensus, additions by others have no order
    /// with this one.
    Added,
    /// It was taken out. Without consensus, what others add at the same time stays.
    Removed,
    /// Whether it is in the set.
    Contains(bool),
    /// To a list.
    Listed {
        /// In their order.
        members: Vec<String>,
        /// Whether there are more after the last one.
        more: bool,
    },
    /// It was not done.
    Refused(SetRefusal),
}

/// Why an operation is not done. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SetRefusal {
    /// These bytes are no operation of a set.
    #[error("this is no operation of a set")]
    NotAnOperation,
    /// The member is empty or too long.
    #[error("a member of the set has 1 to {MAX_MEMBER_BYTES} bytes")]
    BadMember,
    /// It is not there, so it cannot be taken out.
    #[error("it is not in the set, so it cannot be removed")]
    NotAMember,
    /// Without consensus, the node that is asked takes out what it has seen.
    #[error(
        "this node does not see it in the set, so it cannot remove it; ask a node that does, or this one again later"
    )]
    NotSeen,
    /// There is no order in which it could be read.
    #[error("without consensus a read has no place in an order; ask for what one node has, below /local")]
    NoOrder,
}

impl SetOperation {
    /// As it is ordered.
    pub fn encode(&self) -> Operation {
        codec::operation(self)
    }

    /// What these bytes ask for.
    ///
    /// # Errors
    ///
    /// What the set answers to them as well.
    pub fn decode(operation: &Operation) -> Result<SetOperation, SetRefusal> {
        let operation: SetOperation = codec::read(&operation.0).ok_or(SetRefusal::NotAnOperation)?;
        operation.check()?;
        Ok(operation)
    }

    /// Whether the member can be one.
    ///
    /// # Errors
    ///
    /// [`SetRefusal::BadMember`] if not.
    pub fn check(&self) -> Result<(), SetRefusal> {
        match self {
            SetOperation::Add { member }
            | SetOperation::Remove { member }
            | SetOperation::Contains { member }
                if !(1..=MAX_MEMBER_BYTES).contains(&member.len()) =>
            {
                Err(SetRefusal::BadMember)
            }
            _ => Ok(()),
        }
    }
}

impl SetOutput {
    /// As it is answered.
    pub fn encode(&self) -> Output {
        codec::output(self)
    }

    /// What a replica answered; none if these bytes are no answer of a set.
    pub fn decode(output: &Output) -> Option<SetOutput> {
        codec::read(&output.0)
    }

    /// The answer to a list: the first of these members, which are in their order.
    pub fn listed<'a>(members: impl Iterator<Item = &'a str>, limit: u32) -> SetOutput {
        let mut rest = members.peekable();
        let listed = rest.by_ref().take(limit.min(MAX_LISTED) as usize).map(String::from).collect();
        SetOutput::Listed { members: listed, more: rest.peek().is_some() }
    }
}

/// Nothing belongs to a member but its being there.
impl Value for () {
    fn bytes(&self) -> usize {
        0
    }
}

/// The set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Set {
    members: Table<()>,
}

impl Set {
    fn contains(&self, member: &str) -> bool {
        self.members.get(member).is_some()
    }

    /// The answer to an operation that only reads; none for any other.
    fn read(&self, operation: &SetOperation) -> Option<SetOutput> {
        match operation {
            SetOperation::Contains { member } => Some(SetOutput::Contains(self.contains(member))),
            SetOperation::List { prefix, after, limit } => {
                let members = self.members.with_prefix(prefix, after.as_deref());
                Some(SetOutput::listed(members.map(|(member, ())| member.as_str()), *limit))
            }
            SetOperation::Add { .. } | SetOperation::Remove { .. } => None,
        }
    }

    fn apply(&mut self, operation: &SetOperation) -> SetOutput {
        match operation {
            SetOperation::Add { member } => {
                self.members.insert(member, ());
                SetOutput::Added
            }
            SetOperation::Remove { member } => match self.members.remove(member) {
                Some(()) => SetOutput::Removed,
                None => SetOutput::Refused(SetRefusal::NotAMember),
            },
            SetOperation::Contains { .. } | SetOperation::List { .. } => {
                self.read(operation).unwrap_or(SetOutput::Refused(SetRefusal::NotAnOperation))
            }
        }
    }
}

impl Application for Set {
    fn execute(&mut self, operation: &Operation) -> Output {
        let output = SetOperation::decode(operation).map(|operation| self.apply(&operation));
        output.unwrap_or_else(SetOutput::Refused).encode()
    }

    fn query(&self, operation: &Operation) -> Option<Output> {
        let operation = SetOperation::decode(operation).ok()?;
        self.read(&operation).map(|output| output.encode())
    }

    fn snapshot(&mut self) -> Vec<Chunk> {
        self.members.snapshot()
    }

    fn restore(chunks: &[Chunk]) -> Option<Set> {
        Some(Set { members: Table::restore(chunks, None)? })
    }

    fn restore_over(&self, chunks: &[Chunk]) -> Option<Set> {
        Some(Set { members: Table::restore(chunks, Some(&self.members))? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn add(member: &str) -> SetOperation {
        SetOperation::Add { member: member.into() }
    }

    fn remove(member: &str) -> SetOperation {
        SetOperation::Remove { member: member.into() }
    }

    fn contains(member: &str) -> SetOperation {
        SetOperation::Contains { member: member.into() }
    }

    fn list(prefix: &str, after: Option<&str>, limit: u32) -> SetOperation {
        SetOperation::List { prefix: prefix.into(), after: after.map(Into::into), limit }
    }

    fn listed(members: &[&str], more: bool) -> SetOutput {
        SetOutput::Listed { members: members.iter().map(|member| String::from(*member)).collect(), more }
    }

    fn ask(set: &mut Set, operation: &SetOperation) -> SetOutput {
        SetOutput::decode(&set.execute(&operation.encode())).unwrap()
    }

    #[test]
    fn every_operation_has_its_answer() {
        use SetOutput::{Added, Contains, Refused, Removed};
        let longest = "x".repeat(MAX_MEMBER_BYTES);
        let too_long = longest.clone() + "x";
        let mut set = Set::default();
        for (operation, answer) in [
            (remove("apple"), Refused(SetRefusal::NotAMember)),
            (contains("apple"), Contains(false)),
            (list("", None, 10), listed(&[], false)),
            (add("apple"), Added),
            (add("apple"), Added),
            (contains("apple"), Contains(true)),
            (add("pear"), Added),
            (add("apricot"), Added),
            (list("", None, 10), listed(&["apple", "apricot", "pear"], false)),
            (list("ap", None, 10), listed(&["apple", "apricot"], false)),
            (list("ap", None, 1), listed(&["apple"], true)),
            (list("ap", Some("apple"), 1), listed(&["apricot"], false)),
            (list("", Some("apricot"), 10), listed(&["pear"], false)),
            (list("", None, 0), listed(&[], true)),
            (remove("apple"), Removed),
            (remove("apple"), Refused(SetRefusal::NotAMember)),
            (contains("apple"), Contains(false)),
            (add(""), Refused(SetRefusal::BadMember)),
            (remove(""), Refused(SetRefusal::BadMember)),
            (contains(""), Refused(SetRefusal::BadMember)),
            (add(&longest), Added),
            (add(&too_long), Refused(SetRefusal::BadMember)),
            (list("x", None, 10), listed(&[&longest], false)),
        ] {
            assert_eq!(ask(&mut set, &operation), answer, "{operation:?}");
        }
        let nonsense = set.execute(&Operation::new(b"hello"));
        assert_eq!(SetOutput::decode(&nonsense), Some(Refused(SetRefusal::NotAnOperation)));
    }

    #[test]
    fn so_many_are_listed_at_once_and_no_more() {
        let mut set = Set::default();
        for number in 0..=MAX_LISTED {
            ask(&mut set, &add(&format!("{number:04}")));
        }
        let SetOutput::Listed { members, more } = ask(&mut set, &list("", None, u32::MAX)) else { panic!() };
        assert_eq!((members.len(), more), (MAX_LISTED as usize, true));
        assert_eq!(
            ask(&mut set, &list("", members.last().map(|last| &**last), 10)),
            listed(&["1000"], false)
        );
    }

    fn operations() -> impl Strategy<Value = SetOperation> {
        let member = || (0..5_u8).prop_map(|number| number.to_string());
        prop_oneof![
            member().prop_map(|member| SetOperation::Add { member }),
            member().prop_map(|member| SetOperation::Remove { member }),
            member().prop_map(|member| SetOperation::Contains { member }),
            (member(), 0..5_u32).prop_map(|(after, limit)| list("", Some(&after), limit)),
        ]
    }

    proptest! {
        #[test]
        fn it_is_a_set(operations in proptest::collection::vec(operations(), 0..100)) {
            let (mut set, mut model) = (Set::default(), BTreeSet::new());
            for operation in operations {
                let read = set.query(&operation.encode());
                let before = set.clone();
                let answer = ask(&mut set, &operation);
                let expected = match &operation {
                    SetOperation::Add { member } => {
                        model.insert(member.clone());
                        SetOutput::Added
                    }
                    SetOperation::Remove { member } if model.remove(member) => SetOutput::Removed,
                    SetOperation::Remove { .. } => SetOutput::Refused(SetRefusal::NotAMember),
                    SetOperation::Contains { member } => SetOutput::Contains(model.contains(member)),
                    SetOperation::List { after, limit, .. } => {
                        let later = model.iter().filter(|member| Some(*member) > after.as_ref());
                        let members: Vec<String> = later.clone().take(*limit as usize).cloned().collect();
                        SetOutput::Listed { more: later.count() > members.len(), members }
                    }
                };
                prop_assert_eq!(&answer, &expected);
                if let Some(read) = read {
                    prop_assert_eq!(SetOutput::decode(&read), Some(answer));
                    prop_assert_eq!(&set, &before, "a read changes nothing");
                }
            }
            prop_assert_eq!(Set::restore(&set.snapshot()), Some(set));
        }
    }
}

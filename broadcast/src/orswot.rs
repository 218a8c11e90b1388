//! A set to which everybody adds and from which everybody removes, without consensus: a removal takes away what its actor
//! had seen, so what somebody else adds at the same time stays (Bieniusa et al., *An Optimized Conflict-Free Replicated
//! Set*, 2012). It leaves nothing behind of what was removed.
//!
//! It takes the operations of the set that consensus replicates ([`SetOperation`]). What was seen is said by clocks
//! of the crate `crdts`, and the set is as its `Orswot`, which tests compare it with. That one keeps its members
//! without an order, and copies all of them; members of a cluster copy their data for each batch that they validate.

use crate::data::DataType;
use crate::shared_map::SharedMap;
use apps::{SetOperation, SetOutput, SetRefusal};
use crdts::{CmRDT as _, Dot, VClock};
use kernel::{Operation, Output, ReplicaId};
use serde::{Deserialize, Serialize};

/// For each actor, the latest of its additions, which are numbered from 1.
type Additions = VClock<ReplicaId>;

/// What is broadcast.
enum Change {
    /// A member is added.
    Add(String),
    /// These additions of a member are removed, and those by the same actors before them.
    Remove(String, Additions),
}

/// Stands in front of a removal that says what was seen: no [`SetOperation`] begins so.
const REMOVAL: u8 = 0xff;

impl Change {
    /// A removal as it is broadcast.
    fn removal(member: &str, seen: &Additions) -> Operation {
        let removal = postcard::to_stdvec(&(REMOVAL, member, seen));
        Operation::new(&removal.expect("a removal is plain data"))
    }

    fn decode(operation: &Operation) -> Result<Change, SetRefusal> {
        if operation.0.first() == Some(&REMOVAL) {
            let removal = postcard::take_from_bytes::<(u8, String, Additions)>(&operation.0);
            return match removal {
                Ok(((_, member, seen), [])) => Ok(Change::Remove(member, seen)),
                _ => Err(SetRefusal::NotAnOperation),
            };
        }
        match SetOperation::decode(operation)? {
            SetOperation::Add { member } => Ok(Change::Add(member)),
            // An actor says what it has seen, or refuses.
            SetOperation::Remove { .. } => Err(SetRefusal::NotSeen),
            // What is in the set depends on what others do, which has no order with this.
            SetOperation::Contains { .. } | SetOperation::List { .. } => Err(SetRefusal::NoOrder),
        }
    }
}

/// The set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Orswot {
    /// All additions that were applied.
    applied: Additions,
    /// For each member the additions that keep it in the set: one at least. Members of the cluster try operations on
    /// copies.
    members: SharedMap<Additions>,
}

impl Orswot {
    /// All members, in their order.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(member, _)| member)
    }

    fn check(&self, operation: &Operation) -> Result<(), SetRefusal> {
        let Change::Remove(_, seen) = Change::decode(operation)? else { return Ok(()) };
        // Of an actor that never added anything, nothing can have been seen.
        let was_applied = |dot: Dot<&ReplicaId>| (1..=self.applied.get(dot.actor)).contains(&dot.counter);
        if !seen.is_empty() && seen.iter().all(was_applied) { Ok(()) } else { Err(SetRefusal::NotSeen) }
    }

    fn add(&mut self, actor: ReplicaId, member: &str) {
        // Operations of an actor come in its order, so all members of the cluster number alike.
        let addition = self.applied.inc(actor);
        self.applied.apply(addition);
        self.members.get_mut(member).apply(addition);
    }

    /// Nothing of what was seen is still to come: members of the cluster wait for the batches that a removal builds on.
    fn remove(&mut self, member: &str, seen: &Additions) {
        let Some(additions) = self.members.get(member) else { return };
        let left = additions.clone_without(seen);
        if left.is_empty() {
            self.members.remove(member);
        } else {
            *self.members.get_mut(member) = left;
        }
    }
}

impl DataType for Orswot {
    /// Puts what was seen into a removal.
    fn prepare(&self, _: ReplicaId, asked: &Operation) -> Result<Option<Operation>, Output> {
        let Ok(SetOperation::Remove { member }) = SetOperation::decode(asked) else { return Ok(None) };
        let seen = self.members.get(&member).ok_or(SetOutput::Refused(SetRefusal::NotSeen));
        seen.map(|seen| Some(Change::removal(&member, seen))).map_err(|refused| refused.encode())
    }

    fn validate(&self, _: ReplicaId, operation: &Operation) -> Result<(), Output> {
        self.check(operation).map_err(|refusal| SetOutput::Refused(refusal).encode())
    }

    fn apply(&mut self, actor: ReplicaId, operation: &Operation) -> Output {
        let output = match Change::decode(operation) {
            Ok(Change::Add(member)) => {
                self.add(actor, &member);
                SetOutput::Added
            }
            Ok(Change::Remove(member, seen)) => {
                self.remove(&member, &seen);
                SetOutput::Removed
            }
            Err(refusal) => SetOutput::Refused(refusal),
        };
        output.encode()
    }

    fn query(&self, operation: &Operation) -> Option<Output> {
        let output = match SetOperation::decode(operation).ok()? {
            SetOperation::Contains { member } => SetOutput::Contains(self.members.get(&member).is_some()),
            SetOperation::List { prefix, after, limit } => {
                let members = self.members.with_prefix(&prefix, after.as_deref());
                SetOutput::listed(members.map(|(member, _)| member), limit)
            }
            SetOperation::Add { .. } | SetOperation::Remove { .. } => return None,
        };
        Some(output.encode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn add(member: &str) -> Operation {
        SetOperation::Add { member: member.into() }.encode()
    }

    fn remove(member: &str) -> Operation {
        SetOperation::Remove { member: member.into() }.encode()
    }

    fn contains(member: &str) -> Operation {
        SetOperation::Contains { member: member.into() }.encode()
    }

    fn list(prefix: &str, after: Option<&str>, limit: u32) -> Operation {
        SetOperation::List { prefix: prefix.into(), after: after.map(Into::into), limit }.encode()
    }

    fn additions(of: &[(u16, u64)]) -> Additions {
        of.iter().map(|(actor, count)| Dot::new(ReplicaId(*actor), *count)).collect()
    }

    fn refused(refusal: SetRefusal) -> SetOutput {
        SetOutput::Refused(refusal)
    }

    /// What a member of the cluster answers its own client, and the operation that all apply if it is no refusal.
    fn ask(set: &Orswot, actor: u16, asked: &Operation) -> Result<Operation, SetOutput> {
        let decode = |output: Output| SetOutput::decode(&output).unwrap();
        let meant = set.prepare(ReplicaId(actor), asked).map_err(decode)?.unwrap_or_else(|| asked.clone());
        set.validate(ReplicaId(actor), &meant).map_err(decode)?;
        Ok(meant)
    }

    fn apply(set: &mut Orswot, actor: u16, operation: &Operation) -> SetOutput {
        SetOutput::decode(&set.apply(ReplicaId(actor), operation)).unwrap()
    }

    #[test]
    fn every_operation_has_its_answer() {
        let mut set = Orswot::default();
        for (actor, asked, answer) in [
            (0, remove("apple"), refused(SetRefusal::NotSeen)),
            (0, add("apple"), SetOutput::Added),
            (1, add("apple"), SetOutput::Added),
            (1, add("apple"), SetOutput::Added),
            (2, remove("apple"), SetOutput::Removed),
            (2, remove("apple"), refused(SetRefusal::NotSeen)),
            (2, add("pear"), SetOutput::Added),
            (0, add("apricot"), SetOutput::Added),
            (0, add(""), refused(SetRefusal::BadMember)),
            (0, remove(""), refused(SetRefusal::BadMember)),
            (0, contains("pear"), refused(SetRefusal::NoOrder)),
            (0, list("", None, 1), refused(SetRefusal::NoOrder)),
            (0, Operation::new(b"hello"), refused(SetRefusal::NotAnOperation)),
        ] {
            let answered = ask(&set, actor, &asked).map(|meant| apply(&mut set, actor, &meant));
            assert_eq!(answered.unwrap_or_else(|refused| refused), answer, "{asked:?}");
        }
        let listed = |members: &[&str], more| SetOutput::Listed {
            members: members.iter().map(|member| String::from(*member)).collect(),
            more,
        };
        for (asked, answer) in [
            (contains("pear"), SetOutput::Contains(true)),
            (contains("apple"), SetOutput::Contains(false)),
            (list("", None, 10), listed(&["apricot", "pear"], false)),
            (list("", None, 1), listed(&["apricot"], true)),
            (list("", Some("apricot"), 10), listed(&["pear"], false)),
            (list("ap", None, 10), listed(&["apricot"], false)),
        ] {
            assert_eq!(set.query(&asked).and_then(|output| SetOutput::decode(&output)), Some(answer));
        }
        assert_eq!(set.query(&add("apple")), None, "it is no question");
    }

    #[test]
    fn an_actor_removes_what_it_has_seen_and_nothing_else() {
        let mut set = Orswot::default();
        for (actor, member) in [(0, "apple"), (1, "apple"), (0, "pear"), (0, "apple")] {
            apply(&mut set, actor, &add(member));
        }
        let seen = additions(&[(0, 3), (1, 1)]);
        let removal = ask(&set, 2, &remove("apple")).unwrap();
        assert_eq!(removal, Change::removal("apple", &seen));
        apply(&mut set, 1, &add("apple"));
        assert_eq!(apply(&mut set, 2, &removal), SetOutput::Removed);
        assert_eq!(set.members().collect::<Vec<_>>(), ["apple", "pear"]);
        assert_eq!(set.members.get("apple"), Some(&additions(&[(1, 2)])), "what it had not seen");
        assert_eq!(apply(&mut set, 3, &removal), SetOutput::Removed, "it is answered alike in any order");
        let removal = ask(&set, 0, &remove("apple")).unwrap();
        apply(&mut set, 0, &removal);
        assert_eq!(set.members.get("apple"), None, "nothing is left of it");
    }

    /// A faulty actor may claim to have seen anything.
    #[test]
    fn what_cannot_have_been_seen_is_not_removed() {
        let mut set = Orswot::default();
        apply(&mut set, 0, &add("apple"));
        let not_seen = Err(refused(SetRefusal::NotSeen).encode());
        for (seen, valid) in [
            (additions(&[(0, 1)]), Ok(())),
            (additions(&[]), not_seen.clone()),
            (additions(&[(0, 2)]), not_seen.clone()),
            (additions(&[(0, 1), (1, 1)]), not_seen.clone()),
            (VClock { dots: [(ReplicaId(7), 0)].into() }, not_seen.clone()),
        ] {
            assert_eq!(set.validate(ReplicaId(3), &Change::removal("apple", &seen)), valid, "{seen}");
        }
        assert_eq!(
            set.validate(ReplicaId(3), &remove("apple")),
            not_seen,
            "it does not say what it has seen"
        );
        let mut longer = Change::removal("apple", &additions(&[(0, 1)])).0.to_vec();
        longer.push(0);
        for bytes in [&longer[..], &longer[..3], &[REMOVAL]] {
            let refused = Err(refused(SetRefusal::NotAnOperation).encode());
            assert_eq!(set.validate(ReplicaId(3), &Operation::new(bytes)), refused);
        }
    }

    /// The set of the crate `crdts`, for what members do in any order that respects what they have seen.
    type Model = crdts::Orswot<String, ReplicaId>;

    /// Members of a cluster of three, each with its set and the model of it, and what each has applied of each actor.
    #[derive(Default)]
    struct Members {
        sets: [(Orswot, Model); 3],
        applied: [[usize; 3]; 3],
        /// Of each actor, with what it had applied of others.
        done: [Vec<([usize; 3], Operation)>; 3],
    }

    impl Members {
        fn ask(&mut self, member: usize, asked: &Operation) {
            if let Ok(meant) = ask(&self.sets[member].0, member as u16, asked) {
                self.done[member].push((self.applied[member], meant));
                self.take(member, member);
            }
        }

        /// The next operation of an actor, if all that it depends on is there.
        fn take(&mut self, member: usize, actor: usize) -> bool {
            let Some((after, operation)) = self.done[actor].get(self.applied[member][actor]) else {
                return false;
            };
            if (0..3).any(|other| self.applied[member][other] < after[other]) {
                return false;
            }
            let (set, model) = &mut self.sets[member];
            model.apply(match Change::decode(operation).unwrap() {
                Change::Add(text) => {
                    let dot = model.clock().inc(ReplicaId(actor as u16));
                    crdts::orswot::Op::Add { dot, members: vec![text] }
                }
                Change::Remove(text, clock) => crdts::orswot::Op::Rm { clock, members: vec![text] },
            });
            apply(set, actor as u16, operation);
            self.applied[member][actor] += 1;
            true
        }

        fn are_as_the_model(&self) -> bool {
            self.sets.iter().all(|(set, model)| {
                let mut of_model: Vec<_> =
                    model.iter().map(|it| (it.val.as_str(), model.contains(it.val).rm_clock)).collect();
                of_model.sort_by_key(|(member, _)| *member);
                let of_set = set.members.iter().map(|(member, additions)| (member, additions.clone()));
                set.applied == model.clock() && of_set.eq(of_model)
            })
        }
    }

    proptest! {
        #[test]
        fn it_is_the_set_of_crdts(steps in prop::collection::vec((0..3_usize, 0..3_usize, 0..3_u8, any::<bool>()), 0..80)) {
            let mut members = Members::default();
            for (member, actor, text, adds) in steps {
                let text = text.to_string();
                match (member == actor, adds) {
                    (true, true) => members.ask(member, &add(&text)),
                    (true, false) => members.ask(member, &remove(&text)),
                    (false, _) => drop(members.take(member, actor)),
                }
                prop_assert!(members.are_as_the_model());
            }
            while (0..9).any(|pair| members.take(pair / 3, pair % 3)) {}
            prop_assert!(members.are_as_the_model());
            prop_assert_eq!(&members.sets[0].0, &members.sets[1].0);
            prop_assert_eq!(&members.sets[0].0, &members.sets[2].0);
        }
    }
}

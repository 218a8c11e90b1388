//! What one key of a key-value store does, written anew: it shares no code with the store
//! that it judges.

use porcupine_rs::Model;

use super::operation::{Answer, Call};

/// One key that has a value or none.
#[derive(Clone, Debug)]
pub(super) struct Key;

/// What was asked, and what was answered if that is known.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) call: Call,
    pub(super) answer: Option<Answer>,
}

impl Model for Key {
    type State = Option<String>;
    type Op = Step;
    type Metadata = ();

    fn init() -> Option<String> {
        None
    }

    fn step(state: &Option<String>, step: &Step) -> (bool, Option<String>) {
        let (answer, next) = match &step.call {
            Call::Get => (Answer::Value { value: state.clone() }, state.clone()),
            Call::Put { value } => (Answer::Stored { created: state.is_none() }, Some(value.clone())),
            Call::Delete => (Answer::Deleted { existed: state.is_some() }, None),
            Call::CompareAndSwap { expected, new } => {
                let swapped = state == expected;
                let next = if swapped { new.clone() } else { state.clone() };
                (Answer::Compared { swapped, current: next.clone() }, next)
            }
        };
        (step.answer.as_ref().is_none_or(|given| *given == answer), next)
    }
}

//! `amnesia` and `twins`: more than one instance of the replica, one after the
//! other or side by side. And `diverge`, which like `amnesia` happens once.

use super::{Adversary, Instance, Which};
use crate::behaviour::{Act, Behaviour};
use crate::outgoing::names;
use crate::trigger::{MessageTraits, Moment};
use kernel::{Class, Context, Effect, Input, Protocol, ReplicaId, To, Wire as _};

impl<P: Protocol> Adversary<P> {
    pub(super) fn another_copy(&mut self) -> Instance<P> {
        let number = self.instances;
        self.instances += 1;
        Instance { number, replica: P::clone(&self.initial.0) }
    }

    /// `amnesia`, `diverge`: whether what happens once, having sent a message, happens
    /// after this one. Only a vote is worth forgetting.
    pub(super) fn happens_once(&mut self, cx: &Context<'_, Self>, act: &Act, effect: &Effect<P>) -> bool {
        let Effect::Send { to, message } = effect else {
            return false;
        };
        let is_on = self.behaviours.iter().any(|behaviour| behaviour.act == *act);
        if !is_on || (*act == Act::Amnesia && message.class() != Class::Vote) {
            return false;
        }
        let moment = self.moment(cx.cluster, cx.now);
        let traits = MessageTraits { seq: message.seq(), kind: message.kind() };
        let happens = |(place, behaviour): &(usize, &Behaviour)| {
            let when = &behaviour.when;
            let concerns = match to {
                To::All => true,
                To::One(id) => when.concerns(*id),
            };
            let is_due = when.holds(moment) && when.covers(traits) && concerns;
            behaviour.act == *act && is_due && !self.begun.contains(place)
        };
        let place = self.behaviours.iter().enumerate().find(happens).map(|(place, _)| place);
        place.is_some_and(|place| self.begun.insert(place))
    }

    /// `twins`: the peers of the second copy.
    pub(super) fn belongs_to_second(&self, peer: ReplicaId) -> bool {
        let mut twins = self.behaviours.iter().filter_map(|behaviour| match &behaviour.act {
            Act::Twins(peers) => Some(peers),
            _ => None,
        });
        twins.next().is_some_and(|peers| names(peers, peer))
    }

    /// `twins`: starts or stops the second copy.
    pub(super) fn keep_twin(&mut self, cx: &mut Context<'_, Self>, moment: Moment) {
        let wanted = self
            .behaviours
            .iter()
            .any(|behaviour| matches!(behaviour.act, Act::Twins(_)) && behaviour.when.holds(moment));
        if !wanted {
            self.second = None;
        } else if self.second.is_none() {
            self.second = Some(Box::new(self.another_copy()));
            self.step_copy(cx, Which::Second, Input::Start);
        }
    }
}

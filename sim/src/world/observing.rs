//! Who is told what happens, and which copies are to be lost.

use super::{Body, Envelope, World};
use crate::links::Arrivals;
use kernel::{Content, Observation, Observer, Protocol, ReplicaId};
use std::collections::BTreeMap;

/// What is done to one copy of a message, against what the network does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alteration {
    /// It is lost.
    Lose,
    /// It arrives so many nanoseconds later.
    Delay(u64),
    /// It arrives a second time, as long after the first as that took. A reply does not:
    /// the second would count for nothing.
    Duplicate,
}

/// The observer, the ordinals of copies, and what is done to single copies.
pub(super) struct Observing<M> {
    observer: Option<Observer<M>>,
    includes_messages: bool,
    altered: BTreeMap<u64, Alteration>,
    next_copy: u64,
}

impl<M> Default for Observing<M> {
    fn default() -> Observing<M> {
        Observing { observer: None, includes_messages: false, altered: BTreeMap::new(), next_copy: 0 }
    }
}

impl<M> Observing<M> {
    /// Numbers so many copies, and returns the first number.
    pub(super) fn number_copies(&mut self, copies: u32) -> u64 {
        let first = self.next_copy;
        self.next_copy += u64::from(copies);
        first
    }

    /// Whether departures and arrivals are observed.
    pub(super) fn includes_messages(&self) -> bool {
        self.includes_messages
    }

    /// Whether neither messages are observed nor copies altered.
    pub(super) fn is_plain(&self) -> bool {
        !self.includes_messages && self.altered.is_empty()
    }

    /// When a copy arrives that would arrive then.
    pub(super) fn alter(&self, copy: u64, depart_ns: u64, arrivals: Arrivals) -> Arrivals {
        match (self.altered.get(&copy), arrivals) {
            (Some(Alteration::Lose), _) => [None, None],
            (Some(Alteration::Delay(by_ns)), arrivals) => {
                arrivals.map(|arrival| arrival.map(|at_ns| at_ns.saturating_add(*by_ns)))
            }
            (Some(Alteration::Duplicate), [Some(at_ns), None]) => [Some(at_ns), Some(2 * at_ns - depart_ns)],
            (_, arrivals) => arrivals,
        }
    }

    /// Whether one of so many copies from `first` on is altered.
    pub(super) fn alters_any(&self, first: u64, copies: u32) -> bool {
        !self.altered.is_empty() && self.altered.range(first..first + u64::from(copies)).next().is_some()
    }
}

impl<P: Protocol> World<P> {
    /// Calls `observer` with all marks and rejections from now on. One observer at a
    /// time.
    pub fn observe(&mut self, observer: Observer<P::Message>) {
        self.observation.observer = Some(observer);
        self.observation.includes_messages = false;
    }

    /// The same, and with the departure and arrival of every copy of every message
    /// and reply. The run stays the same, delivery by delivery.
    pub fn observe_all(&mut self, observer: Observer<P::Message>) {
        self.observe(observer);
        self.observation.includes_messages = true;
    }

    /// Does something to the copy of this ordinal (see [`Observation::Departed`]) when it
    /// leaves its sender. Everything before that stays as it was.
    pub fn alter_copy(&mut self, copy: u64, alteration: Alteration) {
        self.observation.altered.insert(copy, alteration);
    }

    pub(super) fn notify(&mut self, id: ReplicaId, observation: Observation<'_, P::Message>) {
        if let Some(observer) = &mut self.observation.observer {
            observer(self.now_ns, id, observation);
        }
    }

    /// The ordinal of the copy for `to` of the message at `key`.
    pub(super) fn copy_to(&mut self, key: u32, to: ReplicaId) -> u64 {
        let sent = self.envelopes.get_mut(key);
        match &sent.envelope {
            Envelope::Message { from, is_to_all: true, .. } => {
                sent.first_copy + u64::from(to.0) - u64::from(to > *from)
            }
            _ => sent.first_copy,
        }
    }

    pub(super) fn observe_departure(
        &mut self,
        depart_ns: u64,
        (from, to): (ReplicaId, ReplicaId),
        key: u32,
        arrivals_ns: &[u64],
    ) {
        let copy = self.copy_to(key, to);
        let content = content(&self.envelopes.get_mut(key).envelope);
        if let (Some(content), Some(observer)) = (content, &mut self.observation.observer) {
            let arrivals_ns = Some(arrivals_ns);
            observer(depart_ns, from, Observation::Departed { copy, to, content, arrivals_ns });
        }
    }

    pub(super) fn observe_arrival(&mut self, to: ReplicaId, key: u32) {
        let copy = Some(self.copy_to(key, to));
        let envelope = &self.envelopes.get_mut(key).envelope;
        let from = match envelope {
            Envelope::Message { from, .. } | Envelope::Reply { from, .. } if *from != to => *from,
            _ => return,
        };
        if let (Some(content), Some(observer)) = (content(envelope), &mut self.observation.observer) {
            observer(self.now_ns, to, Observation::Arrived { copy, from, content });
        }
    }
}

/// What an envelope carries from node to node.
fn content<P: Protocol>(envelope: &Envelope<P>) -> Option<Content<'_, P::Message>> {
    match envelope {
        Envelope::Message { body: Body::Raw(message) | Body::Refused(Some(message), _), .. } => {
            Some(Content::Message(message))
        }
        Envelope::Message { body: Body::Admitted(message), .. } => Some(Content::Message(message.get())),
        Envelope::Reply { bundle, .. } => Some(Content::Reply(bundle)),
        _ => None,
    }
}

//! Who is told what happens, and which copies are to be lost.

use super::{Body, Envelope, World};
use kernel::{Content, Observation, Observer, Protocol, ReplicaId};
use std::collections::BTreeSet;

/// The observer, the ordinals of copies, and the copies that are to be lost.
pub(super) struct Observing<M> {
    observer: Option<Observer<M>>,
    includes_messages: bool,
    lost: BTreeSet<u64>,
    next_copy: u64,
}

impl<M> Default for Observing<M> {
    fn default() -> Observing<M> {
        Observing { observer: None, includes_messages: false, lost: BTreeSet::new(), next_copy: 0 }
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

    /// Whether neither messages are observed nor copies lost.
    pub(super) fn is_plain(&self) -> bool {
        !self.includes_messages && self.lost.is_empty()
    }

    pub(super) fn loses(&self, copy: u64) -> bool {
        self.lost.contains(&copy)
    }

    /// Whether one of so many copies from `first` on is to be lost.
    pub(super) fn loses_any(&self, first: u64, copies: u32) -> bool {
        !self.lost.is_empty() && self.lost.range(first..first + u64::from(copies)).next().is_some()
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

    /// Loses the copy of this ordinal (see [`Observation::Departed`]) when it leaves
    /// its sender. Everything before that stays as it was without the loss.
    pub fn lose_copy(&mut self, copy: u64) {
        self.observation.lost.insert(copy);
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

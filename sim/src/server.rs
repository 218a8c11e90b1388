//! Nodes as servers: each works on one thing at a time, on a core of its own or
//! on cores that all share.

use kernel::ReplicaId;
use std::collections::VecDeque;

/// What a node is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It has nothing to do.
    Idle,
    /// It has work and waits for a core.
    Ready,
    /// It has a core.
    Working,
}

/// The work of all nodes.
#[derive(Clone, Debug)]
pub(crate) struct Servers {
    queues: Vec<VecDeque<u32>>,
    states: Vec<State>,
    /// Nodes that wait for a core, in the order in which they began to.
    ready: VecDeque<ReplicaId>,
    free_cores: usize,
}

impl Servers {
    pub(crate) fn new(n: u16, cores: Option<u16>) -> Servers {
        Servers {
            queues: vec![VecDeque::new(); usize::from(n)],
            states: vec![State::Idle; usize::from(n)],
            ready: VecDeque::new(),
            free_cores: usize::from(cores.unwrap_or(n)),
        }
    }

    /// Something waits for a node.
    pub(crate) fn queue(&mut self, id: ReplicaId, envelope: u32) {
        self.queues[usize::from(id.0)].push_back(envelope);
        self.wait(id);
    }

    fn wait(&mut self, id: ReplicaId) {
        let place = usize::from(id.0);
        if self.states[place] == State::Idle && !self.queues[place].is_empty() {
            self.states[place] = State::Ready;
            self.ready.push_back(id);
        }
    }

    /// A node that can begin, and with what: at most so much of what waits for it.
    pub(crate) fn next(&mut self, most: usize) -> Option<(ReplicaId, Vec<u32>)> {
        while self.free_cores > 0 {
            let id = self.ready.pop_front()?;
            self.states[usize::from(id.0)] = State::Idle;
            let waiting = &mut self.queues[usize::from(id.0)];
            if !waiting.is_empty() {
                let envelopes = waiting.drain(..most.min(waiting.len())).collect();
                self.free_cores -= 1;
                self.states[usize::from(id.0)] = State::Working;
                return Some((id, envelopes));
            }
        }
        None
    }

    /// A node has finished what it was at.
    pub(crate) fn done(&mut self, id: ReplicaId) {
        self.free_cores += 1;
        self.states[usize::from(id.0)] = State::Idle;
        self.wait(id);
    }

    /// Forgets what waits for a node.
    pub(crate) fn clear(&mut self, id: ReplicaId) -> VecDeque<u32> {
        std::mem::take(&mut self.queues[usize::from(id.0)])
    }
}

//! What the nodes said of the votes that they had received when they replied.

use crate::tally::Tally;
use kernel::{ReplicaId, Seq};

/// Replies come within moments of a slot's decision: so many slots, the latest, are
/// enough.
const SLOTS_KEPT: usize = 256;

/// The tallies that came with replies, for the latest slots.
#[derive(Debug)]
pub(crate) struct ReportedTallies {
    nodes: usize,
    /// A ring; the place of a slot follows from its sequence number.
    slots: Vec<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    seq: Seq,
    by_node: Vec<Option<Tally>>,
}

impl ReportedTallies {
    /// For a cluster of so many nodes.
    pub(crate) fn new(nodes: usize) -> ReportedTallies {
        let slots = std::iter::repeat_with(Slot::default).take(SLOTS_KEPT).collect();
        ReportedTallies { nodes, slots }
    }

    /// Takes the tally that came with a reply whose signature holds.
    pub(crate) fn note(&mut self, seq: Seq, replica: ReplicaId, tally: Tally) {
        let nodes = self.nodes;
        let slot = &mut self.slots[place(seq)];
        if slot.seq != seq {
            slot.seq = seq;
            slot.by_node.clear();
            slot.by_node.resize(nodes, None);
        }
        slot.set(replica, tally);
    }

    /// Takes the tally that came with a late reply, whose signature nobody checks.
    /// It can add to what is known of a slot and opens no other.
    pub(crate) fn note_late(&mut self, seq: Seq, replica: ReplicaId, tally: Tally) {
        let slot = &mut self.slots[place(seq)];
        if slot.seq == seq {
            slot.set(replica, tally);
        }
    }

    /// A node's tally of a slot.
    pub(crate) fn get(&self, seq: Seq, replica: ReplicaId) -> Option<Tally> {
        let slot = &self.slots[place(seq)];
        let is_known = slot.seq == seq;
        is_known.then(|| slot.by_node.get(usize::from(replica.0)).copied().flatten()).flatten()
    }
}

impl Slot {
    fn set(&mut self, replica: ReplicaId, tally: Tally) {
        if let Some(known) = self.by_node.get_mut(usize::from(replica.0)) {
            *known = Some(tally);
        }
    }
}

fn place(seq: Seq) -> usize {
    (seq.0 % SLOTS_KEPT as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_replies_add_to_a_known_slot_and_open_none() {
        let tally = |correct| Tally { correct, corrupt: 1 };
        let mut reported = ReportedTallies::new(4);
        reported.note_late(Seq(7), ReplicaId(1), tally(1));
        assert_eq!(reported.get(Seq(7), ReplicaId(1)), None);
        reported.note(Seq(7), ReplicaId(0), tally(2));
        reported.note_late(Seq(7), ReplicaId(1), tally(3));
        reported.note_late(Seq(7), ReplicaId(9), tally(3));
        let get = |reported: &ReportedTallies, seq, id| reported.get(Seq(seq), ReplicaId(id));
        assert_eq!(get(&reported, 7, 0), Some(tally(2)));
        assert_eq!(get(&reported, 7, 1), Some(tally(3)));
        assert_eq!((get(&reported, 7, 2), get(&reported, 7, 9)), (None, None));

        let later = 7 + SLOTS_KEPT as u64;
        reported.note_late(Seq(later), ReplicaId(2), tally(4));
        assert_eq!((get(&reported, 7, 0), get(&reported, later, 2)), (Some(tally(2)), None));
        reported.note(Seq(later), ReplicaId(2), tally(4));
        assert_eq!((get(&reported, 7, 0), get(&reported, later, 0)), (None, None));
        assert_eq!(get(&reported, later, 2), Some(tally(4)));
    }
}

//! Nodes with disks: what their replicas are given is written before anything that they promise because of it leaves.

use super::{Envelope, World};
use crate::disk::{Disk, DiskFault, NodeDisk, Synced, Write};
use crate::trace::Change;
use journal::Noted;
use kernel::{Effect, Input, Micros, Protocol, ReplicaId};

impl<P: Protocol> World<P> {
    /// Gives every node an empty disk, with its replica as it is on it.
    pub(super) fn begin_journals(&mut self, disk: &Disk, faults: &[(u16, DiskFault)]) {
        disk.check().unwrap_or_else(|error| panic!("{error}"));
        for (id, node) in self.cluster.replicas().zip(&mut self.nodes) {
            let own: Vec<DiskFault> =
                faults.iter().filter(|(faulty, _)| *faulty == id.0).map(|(_, fault)| *fault).collect();
            if own.iter().any(|fault| fault.is_for_ever()) {
                self.trace.faulty.insert(id.0);
            }
            let mut disk = NodeDisk::new(id, disk.clone(), own);
            disk.begin(node.replica.clone(), Micros(0));
            node.disk = Some(disk);
        }
    }

    /// Mends all disks but those that stay as they are for ever, and makes all as fast as this. A node whose
    /// disk is just failing stops.
    ///
    /// # Panics
    ///
    /// If it cannot be meant: check it first.
    pub fn mend_disks(&mut self, speed: &Disk) {
        speed.check().unwrap_or_else(|error| panic!("{error}"));
        for id in self.cluster.replicas() {
            let Some(disk) = &mut self.nodes[usize::from(id.0)].disk else { continue };
            disk.set_speed(speed.clone());
            if !disk.mend() {
                self.stop(id);
            }
        }
    }

    /// Whether no mark or message of this node waits for its disk.
    pub fn is_safe(&self, id: u16) -> bool {
        self.nodes[usize::from(id)].disk.as_ref().is_none_or(NodeDisk::is_at_rest)
    }

    /// Has what the node's replica was given written, if its disk has time.
    pub(super) fn write_journal(&mut self, id: ReplicaId) {
        let node = &mut self.nodes[usize::from(id.0)];
        let Some(disk) = &mut node.disk else { return };
        let timers = || node.timers.iter().map(|(timer, (_, after))| (*timer, *after)).collect();
        let now = Micros(self.now_ns / 1000);
        match disk.write(&mut self.disk_choose, &node.replica, timers, now) {
            Write::Nothing => {}
            Write::Later => self.schedule(1000 * Noted::WRITTEN_WITHIN.0, id, Envelope::Look),
            Write::Begun { write, synced_after_ns } => {
                self.schedule(synced_after_ns, id, Envelope::Synced { write });
                self.release_held(id);
            }
        }
    }

    /// Has what was noted written if it has waited for long.
    pub(super) fn look(&mut self, id: ReplicaId) {
        if let Some(disk) = &mut self.nodes[usize::from(id.0)].disk {
            disk.looks();
            if !self.iteration.is_on {
                self.write_journal(id);
            }
        }
    }

    /// A disk is done with a write.
    pub(super) fn synced(&mut self, id: ReplicaId, write: u64) {
        let Some(disk) = &mut self.nodes[usize::from(id.0)].disk else { return };
        match disk.synced(&mut self.disk_choose, write) {
            Synced::Stale => {}
            // As a real node, it takes part in nothing more until it is started again.
            Synced::Failed => self.stop(id),
            Synced::Safe { saved_after_ns } => {
                if let (Some(after_ns), Some(save)) = (saved_after_ns, disk.saving()) {
                    self.schedule(after_ns, id, Envelope::Saved { save });
                }
                self.release_held(id);
                if !self.iteration.is_on {
                    self.write_journal(id);
                }
            }
        }
    }

    /// A replica has been saved.
    pub(super) fn saved(&mut self, id: ReplicaId, save: u64) {
        if let Some(disk) = &mut self.nodes[usize::from(id.0)].disk {
            disk.saved(save);
        }
    }

    /// Carries out what waited for the disk.
    fn release_held(&mut self, id: ReplicaId) {
        while let Some(effect) = self.nodes[usize::from(id.0)].disk.as_mut().and_then(NodeDisk::release) {
            self.carry_out(id, effect);
        }
    }

    pub(super) fn stop_journal(&mut self, id: ReplicaId) {
        if let Some(disk) = &mut self.nodes[usize::from(id.0)].disk {
            disk.stop();
        }
    }

    /// Starts a node with what is on its disk. False if that cannot be.
    pub(super) fn resume(&mut self, id: ReplicaId) -> bool {
        let now_ns = self.now_ns;
        let node = &mut self.nodes[usize::from(id.0)];
        let Some(disk) = &mut node.disk else { return false };
        let resumed = match disk.resume(&self.cluster, &node.signer) {
            Ok(resumed) => resumed,
            Err(_) if disk.lies() => return false,
            Err(reason) => panic!("replica {id} cannot go on from its journal: {reason}"),
        };
        let behaviours = node.replica.behaviours().to_vec();
        let is_as_it_was = resumed.replica.behaviours() == behaviours;
        node.replica = resumed.replica;
        node.timers.clear();
        node.down = false;
        node.up_since_ns = now_ns;
        let executed = node.replica.status(&self.cluster).last_executed;
        node.log.retain(|entry| entry.seq <= executed.0);
        self.change(id, Change::Resumed);
        for (timer, after) in resumed.timers {
            self.carry_out(id, Effect::SetTimer { timer, after });
        }
        for mark in resumed.marks {
            self.carry_out(id, Effect::Mark(mark));
        }
        if !is_as_it_was {
            self.set_behaviours(id, behaviours);
        }
        // It may have proposed something all the same: that waits for nothing.
        if !resumed.was_started {
            self.step(id, Input::Start);
        }
        self.step(id, Input::Resume);
        self.spent_ns = 0;
        true
    }
}

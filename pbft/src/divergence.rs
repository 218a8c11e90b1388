//! A replica whose state is not the one that a quorum vouched for: a bit of its memory
//! flipped, or its application is not deterministic.
//!
//! It notices when a checkpoint is stable with another digest than its own state had
//! after that slot, and says so ([`Mark::Diverged`]). From then on
//!
//! | it does not | until it has taken over the proven state |
//! | --- | --- |
//! | execute | and hence send no REPLY and no CHECKPOINT |
//! | answer requests from its session table | a bundle is treated as not executed |
//! | serve its states | they are forgotten, with its CHECKPOINT votes that are not stable |
//! | give its application to readers | [`Core::application`] is none |
//!
//! and asks for the proven state at once ([`crate::transfer`]). That may lie behind what it
//! had executed: it goes back, and executes the decided slots after it once more.
//!
//! # What it may still vote
//!
//! It lost its state, not its memory of what it said. Proposals, votes, certificates, `P`
//! and `Q` follow from signed messages and batches alone; nothing in them was computed by
//! the application. Its votes are as good as before, and to withhold them would cost a
//! quorum where another replica is down. Its replies and CHECKPOINTs were wrong from the
//! moment of the damage to that of its discovery; for this it counts as one of the `f`, as
//! does its CHECKPOINT for a slot that it votes for again, with another digest, after it
//! was healed: others keep the first one.

use crate::core::{Core, PbftProtocol};
use kernel::{Application, Context, Digest, Mark, Weakening, weakened};
use serde::{Deserialize, Serialize};

/// Whether this replica's state is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Divergence {
    is_present: bool,
    /// How often it was found.
    found: u64,
}

impl Divergence {
    /// The state is the proven one again.
    pub(crate) fn heal(&mut self) {
        self.is_present = false;
    }
}

impl<A: Application> Core<A> {
    /// Whether this replica's state contradicts a stable checkpoint, and the proven
    /// state has not been taken over yet.
    pub fn has_diverged(&self) -> bool {
        self.divergence.is_present
    }

    /// How often that was found since this replica began.
    pub fn divergences(&self) -> u64 {
        self.divergence.found
    }

    /// The application, for reading; none while its state is known to be wrong.
    pub fn application(&self) -> Option<&A> {
        (!self.has_diverged()).then(|| self.execution.application())
    }

    /// Flips a bit of the application's state. Only an adversary does so, to its own
    /// replica.
    pub fn corrupt_state(&mut self) {
        self.execution.corrupt();
    }

    /// Compares this replica's state after the stable checkpoint with the proven one.
    pub(crate) fn compare_state<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) {
        let Some(proof) = self.checkpoints.proof() else {
            return;
        };
        let (seq, proven) = (proof.seq, proof.state);
        let own = self.states.get(seq).map(|state| state.digest());
        let noticed = |own: &Digest| *own != proven && !weakened(Weakening::DivergenceNotNoticed);
        if let Some(own) = own.filter(noticed) {
            cx.mark(Mark::Diverged { seq, own, proven });
            self.divergence.is_present = true;
            self.divergence.found += 1;
            self.states.forget_all();
            self.checkpoints.withdraw(cx.id());
            self.fetch_state(cx);
        }
    }
}

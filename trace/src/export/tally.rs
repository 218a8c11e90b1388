//! Which votes a node has for what, counted from a trace.

use crate::{Line, MarkRecord, VotePhase};
use std::collections::{BTreeMap, BTreeSet};

/// The authors of the votes that a node has, by node, slot, value and step.
#[derive(Default)]
pub(super) struct Tally {
    authors: BTreeMap<(u16, u64, u32, Step), BTreeSet<u16>>,
}

/// What a quorum is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// To accept the proposal; the proposal is its commander's vote.
    Prepare,
    /// To decide.
    Commit,
}

/// A vote that counts, and how many there are with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) t: u64,
    pub(super) node: u16,
    pub(super) seq: u64,
    pub(super) value: u32,
    pub(super) step: Step,
    pub(super) votes: usize,
}

impl Tally {
    /// Takes the next line; says how many votes there are if it brings a new one.
    pub(super) fn take(&mut self, line: &Line) -> Option<Counted> {
        let (t, node, author, phase, seq, value) = match line {
            Line::Vote { t, node, author, phase, seq, value, .. } => {
                (*t, *node, *author, *phase, *seq, *value)
            }
            Line::Mark { t, node, mark: MarkRecord::Voted { phase, seq, value, .. } } => {
                (*t, *node, *node, *phase, *seq, *value)
            }
            Line::Mark { t, node, mark: MarkRecord::Proposed { seq, value, .. } } => {
                (*t, *node, *node, VotePhase::PrePrepare, *seq, *value)
            }
            _ => return None,
        };
        let step = if phase == VotePhase::Commit { Step::Commit } else { Step::Prepare };
        let authors = self.authors.entry((node, seq, value, step)).or_default();
        let is_new = authors.insert(author);
        is_new.then_some(Counted { t, node, seq, value, step, votes: authors.len() })
    }
}

//! Journals, played again: one step by step, or those of a cluster as a recorded run.

mod play;
pub mod run;
pub mod steps;

pub use play::FolderOf;

//! How well the simulator predicts real nodes on this machine: costs measured, cells
//! measured, the same cells simulated, and both side by side.

pub mod run;

//! The same replicas in virtual time: cells of a plan with the result files of real
//! ones, and swarms of seeds from which everything is drawn.

pub mod all;
pub mod cell;
pub mod memory;
mod print;
pub mod rows;
pub mod simulation;
pub mod swarm;
mod trace;

//! Running a plan on real nodes: one cell, all cells into a folder that can be resumed,
//! outages under load, and the rows that come of it.

pub mod all;
pub mod audit;
pub mod cell;
mod display;
pub mod endure;
pub mod journals;
pub mod outage;
pub mod rows;

pub use all::Experiment;

//! Starts clusters of localhost HTTP nodes, drives decisions through them under
//! faults, measures, and reports.
//!
//! | folder | what it holds |
//! | --- | --- |
//! | [`commands`] | each command: what was typed joined with what runs it |
//! | [`cli`] | what the user typed, and the plan that it asks for |
//! | [`plan`] | what is to be run: cells, faults, outages, protocols |
//! | [`config`] | the configuration file of a cluster, and its key files |
//! | [`cluster`] | real nodes: processes and tasks, ports, limits, what can be read off them |
//! | [`load`] | the load generator |
//! | [`history`] | histories of concurrent clients, and whether they are linearizable |
//! | [`experiment`] | one cell, all cells, resume, outages |
//! | [`simulate`] | the same in virtual time; swarms |
//! | [`check`] | every interleaving of small scopes |
//! | [`costs`] | what work costs on this machine, and the floor |
//! | [`demo`] | the demo of manual voting |
//! | [`mod@bench`] | whether a build is faster or slower than another |
//! | [`predict`] | how well the simulator predicts real nodes |
//! | [`results`] | what came out: rows, the folder, statistics |
//! | [`report`] | what is shown |
//! | [`base`] | printing, progress, signals, exit codes |
//!
//! `tests/layers.rs` says which folder may use which.

pub mod base;
pub mod bench;
pub mod check;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod config;
pub mod costs;
pub mod demo;
pub mod experiment;
pub mod history;
pub mod load;
pub mod plan;
pub mod predict;
pub mod replay;
pub mod report;
pub mod results;
pub mod simulate;
pub mod view;

pub use commands::{main, main_of};

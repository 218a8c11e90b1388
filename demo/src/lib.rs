//! The demo of manual voting: PBFT's real replicas, whose votes wait for a person. Without IO: lines
//! and envelopes go in, lines and envelopes come out.
//!
//! | file | what it does |
//! | --- | --- |
//! | [`node`], [`telling`], [`acts`] | a replica and its person: what waits; what is told; what the person does |
//! | [`client`], [`participant`] | the client; what is common to both |
//! | [`command`], [`operation`], [`names`], [`help`] | what is typed, and what it means |
//! | [`envelope`] | what travels between participants |
//! | [`local`], [`lines`] | all participants in one terminal |
//! | [`console`] | one participant, with a terminal of its own |
//! | [`lesson`], [`lessons`] | scripts that explain themselves |
//!
//! Its hosts are in `harness`: one terminal for all, or one for each participant, over HTTP.

pub mod acts;
pub mod client;
pub mod command;
pub mod console;
pub mod envelope;
pub mod help;
pub mod lesson;
pub mod lessons;
pub mod lines;
pub mod local;
pub mod names;
pub mod node;
pub mod operation;
pub mod participant;
pub mod tally;
pub mod telling;

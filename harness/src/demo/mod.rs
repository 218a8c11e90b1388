//! The hosts of the demo of manual voting: where its lines come from, and how its envelopes
//! travel. The demo itself is the crate `demo`.
//!
//! | file | what it does |
//! | --- | --- |
//! | [`together`] | one terminal for all participants; plays lessons |
//! | [`terminal`], [`server`] | a terminal for each participant; envelopes over HTTP |
//! | [`prompt`] | a terminal with editing, history and completion, or a pipe |

pub mod prompt;
pub mod server;
pub mod terminal;
pub mod together;

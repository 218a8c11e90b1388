//! The load generator: requests by HTTP to given gateways or by a client with a key to
//! all replicas, closed or open loop, and a sample of each. Knows neither clusters nor
//! experiments.
//!
//! Closed loop: every client has one request in flight.
//! Open loop: requests are due at fixed intervals whatever becomes of earlier
//! ones, and times count from when a request was *due*, so that a stall shows
//! in every request that it delays (no coordinated omission).
//!
//! Clients share a few HTTP/2 connections: requests and answers that are in
//! transit together then cost one system call together, which is most of what they
//! cost (ADR 10).
//!
//! Everything runs on the calling thread; only the pacer of the open loop has
//! a thread of its own, because the runtime's timers tick in milliseconds.

mod bodies;
mod http;
mod keyed;
mod progress;
mod run;
mod samples;
mod sender;
mod spec;

pub use bodies::Bodies;
pub use progress::{GiveUpRule, Progress};
pub use run::{prepare, run};
pub use samples::{Answer, Decision, LoadResult, Sample};
pub use spec::{LoadSpec, Targets};

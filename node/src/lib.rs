//! One replica over HTTP.
//!
//! The replica itself is a pure state machine; this crate gives it sockets, a
//! clock and clients. Everything runs on one thread: tasks share plain cells and
//! there is no lock. One task, the event loop, steps the replica and carries out
//! what it wants done; all others only queue work for it and wake it.
//!
//! | module | what it does |
//! | --- | --- |
//! | `api` | what a node answers over HTTP: the types, for itself and its users |
//! | `carried` | what the links carry, and what that means for timers |
//! | `config` | what a node is told at start |
//! | `clock`, `process` | monotonic nanoseconds; CPU time and memory |
//! | `links` | peer links: frames, and the outgoing half with its queue and reconnection |
//! | `host` | steps the replica: event loop, inbox, timers, gateway, slot log, counters |
//! | `http` | how clients, experimenters and peers reach the node: one module per resource |
//! | `part_file` | the file into which a node notes what it does |
//! | `run` | puts these together |
//! | `tally` | votes of one slot, counted |
//! | `link_latency` | measures what a message over a peer link costs |

pub mod api;
mod carried;
mod clock;
mod config;
mod host;
mod http;
mod link_latency;
mod links;
mod part_file;
mod process;
mod run;
mod tally;

pub use clock::now_ns;
pub use config::{
    DEFAULT_MAX_DATA_BYTES, DEFAULT_READ_LIMIT_US, Encoding, JournalTo, LinkConditions, NodeConfig, RecordTo,
};
pub use host::slot_log::{SERVICE_SLOTS_KEPT, SLOTS_KEPT, SlotLog};
pub use http::coalesced::Coalesced;
pub use http::local_tasks::LocalTasks;
pub use http::own_hosts::{Foreign, OwnHosts};
pub use http::server::MAX_STREAMS;
pub use http::status::role;
pub use link_latency::{LinkCostPlan, LinkCostReport, LinkCosts, measure_posts, measure_streaming};
pub use links::frame::{Frame, FrameError, FrameReader, MAX_FRAME_BYTES, decode, encode};
pub use links::tags::Tags;
pub use process::{process_cpu_us, process_memory_bytes};
pub use run::{run, run_observed};
pub use tally::Tally;

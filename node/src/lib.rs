//! One replica over HTTP.
//!
//! The replica itself is a pure state machine; this crate gives it sockets, a
//! clock and clients. Everything runs on one thread: tasks share plain cells and
//! there is no lock. One task, the host, steps the replica and carries out what
//! it wants done; all others only queue work for it and wake it.
//!
//! | module | what it does |
//! | --- | --- |
//! | `config` | what a node is told at start |
//! | `clock` | monotonic nanoseconds, comparable across the machine's processes |
//! | `frame` | frames on a peer link, binary or JSON, and cutting a stream into them |
//! | `link` | the outgoing half of a peer link: queue, streaming request, reconnection |
//! | `inbox` | the incoming half: frames waiting for the host, with back-pressure |
//! | `gateway` | clients' requests: sessions, bundling, collecting replies, deadlines |
//! | `timers` | the replica's timers and the one alarm that wakes the host |
//! | `slots` | the record of each slot, built from marks: times, path, tallies |
//! | `counters` | messages, bytes, rejections, CPU time, memory |
//! | `replica_host` | the loop that steps the replica |
//! | `connections` | connections that come in: limits, and hyper's own refusals explained |
//! | `server` | the HTTP interface |
//! | `answer` | what a client is told |
//! | `hop` | measures one hop of a peer link, and of the way that was not chosen |

mod answer;
mod clock;
mod config;
mod connections;
mod counters;
mod fetch;
mod frame;
mod gateway;
mod hop;
mod inbox;
mod link;
mod local_tasks;
mod replica_host;
mod server;
mod slots;
mod status;
mod timers;

pub use clock::now_ns;
pub use config::{DEFAULT_MAX_DATA_BYTES, DEFAULT_READ_LIMIT_US, Encoding, LinkConditions, NodeConfig};
pub use counters::{CounterReport, process_cpu_us, process_memory_bytes};
pub use frame::{Frame, FrameError, FrameReader, MAX_FRAME_BYTES, decode, encode};
pub use hop::{HopFigures, HopPlan, HopReport, measure_posts, measure_streaming};
pub use local_tasks::LocalTasks;
pub use replica_host::run;
pub use server::{CLUSTER_HEADER, FROM_HEADER};
pub use slots::{LogReport, SLOTS_KEPT, SlotLog, SlotRow, Tally};
pub use status::{PeerReport, StatusReport, role};

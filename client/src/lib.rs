//! A client of the cluster, as a pure state machine: without the feature `driver` it has no
//! clock, socket or task.
//!
//! A client owns a key and opens sessions under it. Each session has one request
//! outstanding at a time. Requests that come together are signed as one bundle and handed
//! to a replica; a result is accepted when `f+1` replicas agree on it (PBFT, OSDI §4.1).
//!
//! | part | decides |
//! | --- | --- |
//! | [`Sessions`] | which session a request gets, when its result is accepted, when its time is up, when its bundle is handed over again |
//! | [`Submissions`] | which requests are bundled together, and when |
//! | [`ReplyCollector`] | whether enough replicas agree on a result |
//! | [`Evidence`] | whether what is shown of a result proves it to others |
//! | [`link`] | how bundles and replies travel between a client with a key and a node |
//!
//! The gateway of a real node and the clients of the simulator are hosts of it: both
//! lend it the time, sign its bundles and carry them. So is `driver`, a client with a key
//! of its own for any program, behind the feature of that name.

mod collector;
#[cfg(feature = "driver")]
pub mod driver;
mod evidence;
pub mod link;
mod reminders;
mod sessions;
mod submissions;

pub use collector::ReplyCollector;
pub use evidence::{Evidence, NotProven, Proven};
pub use sessions::{Accepted, Busy, Limits, MAX_IN_FLIGHT, MAX_IN_FLIGHT_BYTES, Sessions, first_session};
pub use submissions::Submissions;

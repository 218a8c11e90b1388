//! The replica's host: the event loop that steps a replica, and what it needs for
//! that. It knows nothing of how clients and experimenters reach the node.

pub(crate) mod client_links;
pub(crate) mod counters;
pub(crate) mod event_loop;
pub(crate) mod gateway;
pub(crate) mod inbox;
pub(crate) mod journal;
mod late;
pub(crate) mod node;
mod recording;
mod refusal_log;
pub(crate) mod reported_tallies;
pub(crate) mod slot_log;
mod timers;

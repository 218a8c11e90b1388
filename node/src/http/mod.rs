//! The HTTP interface of a node: one module for each resource, and what they share.
//! It reads the node and queues work for its event loop.

mod apps;
mod body;
mod client_link;
pub(crate) mod coalesced;
mod connections;
mod endpoints;
mod faults;
mod interface;
mod link_head;
mod links;
pub(crate) mod local_tasks;
mod log;
mod metrics;
mod openapi;
mod ordering;
pub(crate) mod own_hosts;
mod peer;
mod preprepare;
mod rates;
mod response;
mod router;
pub(crate) mod server;
mod state;
pub(crate) mod status;
mod tallies;
mod text;
mod unfinished;

pub(crate) use peer::link_target;
pub(crate) use server::serve;

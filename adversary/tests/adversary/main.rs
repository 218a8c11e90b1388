//! Every behaviour: its exact effects, and that it does no harm within `f`.

mod bench;
mod carrying;
mod collusion;
mod copies;
mod forging;
mod safety;
mod triggers;

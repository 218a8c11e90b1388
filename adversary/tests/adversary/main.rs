//! Every behaviour: its exact effects, and that it does no harm within `f`.

mod bench;
mod carrying;
mod collusion;
mod forging;
mod instances;
mod requests;
mod safety;
mod triggers;

//! Whole nodes on ephemeral ports, talked to over HTTP.

mod clients;
mod connections;
mod peers;
mod support;

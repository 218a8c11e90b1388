//! Whole nodes on ephemeral ports, talked to over HTTP.

mod client_links;
mod clients;
mod connections;
mod peers;
mod support;

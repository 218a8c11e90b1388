//! Whole nodes on ephemeral ports, talked to over HTTP.

mod client_links;
mod clients;
mod connections;
mod peers;
#[allow(dead_code, reason = "shared with the tests of journals, which need more of it")]
mod support;

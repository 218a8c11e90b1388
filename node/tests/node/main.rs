//! Whole nodes on ephemeral ports, talked to over HTTP.

mod clients;
mod peers;
mod support;

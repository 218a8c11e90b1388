//! Peer links: what travels on them, and their outgoing half.

pub(crate) mod frame;
pub(crate) mod handshake;
pub(crate) mod outgoing;
pub(crate) mod tags;

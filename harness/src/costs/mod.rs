//! What work costs on this machine, measured without any protocol: signatures, links,
//! the load generator; and from these the least time for a decision.

pub mod floor;
pub mod overhead;
pub mod work;

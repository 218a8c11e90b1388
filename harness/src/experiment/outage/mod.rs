//! Kills, restarts and cuts while requests keep coming, and what clients see of them.
//!
//! Clients of a killed gateway are lost with it, whatever the protocol does. So the
//! load goes to other nodes, and it is they whose service is measured.

pub mod aftermath;
pub mod driver;
pub mod recorded;
pub mod verdict;

//! What is to be run: a plan's grid of cells, with faults, outages, protocols and
//! their settings. Knows neither the command line nor how anything is run.

pub mod cell;
pub mod faults;
pub mod grid;
pub mod outage;
pub mod protocols;
pub mod trace;

pub use cell::{Cell, Load, MAX_PAYLOAD_BYTES, OPEN_LOOP_IN_FLIGHT};
pub use grid::Plan;
pub use protocols::{Communication, Gateway, Placement, ProtocolName, Via};

//! Clusters of real nodes: processes and tasks, ports, limits of the machine, and what
//! can be read off running nodes. Knows neither load nor experiments.

pub mod configured;
pub mod http;
pub mod limits;
pub mod node;
pub mod observe;
pub mod pinning;
pub mod ports;
mod processes;
pub mod procfs;
pub mod recording;
pub mod running;
pub mod spec;
mod tasks;
pub mod up;

pub use running::Cluster;
pub use spec::{ClusterSpec, Journals, nodes_up};

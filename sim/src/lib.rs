//! The simulated world: the replicas that run on HTTP nodes, with the same
//! adversaries around them, under virtual time and a seeded network.
//!
//! The same seed gives the same run, delivery by delivery ([`World::digest`]), on
//! every machine. The [`oracles`] judge what happened and share no code with what
//! they judge.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `setup`, `network`, `regions`, `costs` | what people describe: cluster, network, work |
//! | `world` | the world itself: events happen, replicas step, effects are carried out |
//! | `queue`, `links`, `server` | the event queue, the links, the processors of the nodes |
//! | `disk` | the disk of a node and the journal on it |
//! | `clients` | requests, sessions and results; clients that ask by themselves |
//! | `trace`, `counts`, `digest` | what happened: for judges, in numbers, in one hash |
//! | [`oracles`] | one property each, judged from a trace |
//! | `checker` | every interleaving of small scopes; not in WebAssembly, which has no threads |
//! | [`swarm`] | worlds drawn from seeds, and what is left of those that break a property |

#[cfg(not(target_family = "wasm"))]
pub mod checker;
mod clients;
mod costs;
mod counts;
mod digest;
mod disk;
mod links;
mod network;
pub mod oracles;
mod queue;
mod regions;
mod server;
mod setup;
pub mod swarm;
mod trace;
mod world;

pub use clients::{Load, Operations, Pace, numbered_operation};
pub use costs::{BadCosts, Costs, IterationCosts};
pub use counts::{Role, RoleTraffic, Traffic, Volume};
pub use disk::{Disk, DiskFault};
pub use network::{BadNetwork, Delay, LinkRule, Network, Partition};
pub use regions::NAMED;
pub use setup::{Memory, Setup, Signatures};
pub use trace::{Change, Executed, Lifecycle, Outcome, Stamped, Submitted, Trace};
pub use world::{Alteration, Intervention, World};

//! What a replica was given, written down before anything that it promises because of that leaves.
//!
//! A replica is a function of its inputs (`kernel::record`). So its journal holds its
//! inputs, with the times lent and the choices drawn, and a replica that is given them
//! again is the one that stopped. It works for every protocol, without code of theirs
//! (ADR 30).
//!
//! | module | what it does |
//! | --- | --- |
//! | [`entry`] | one input as it is written |
//! | [`batch`] | what is written and synced at a time, with its checksum; what is left after a loss of power |
//! | [`noted`] | entries that wait until they are written together |
//! | [`held`] | effects that wait until the inputs behind them are safe |
//! | [`mod@replay`] | a replica is given again what it was given |
//! | [`header`] | whose file it is; the first line of each |
//! | `blocks` | a file that is written in whole blocks |
//! | [`folder`] | the files of one replica: what was there, opened and checked |
//! | [`writer`] | the thread that writes and syncs |
//!
//! The first five do no IO: the simulator uses them with a disk of its own.

pub mod batch;
mod blocks;
pub mod entry;
pub mod folder;
pub mod header;
pub mod held;
pub mod noted;
pub mod replay;
pub mod writer;

pub use entry::Entry;
pub use folder::{Folder, FolderError, Found};
pub use header::{Identity, PROGRAM, When};
pub use held::Held;
pub use noted::Noted;
pub use replay::{Replayed, replay};
pub use writer::{Durability, Progress, Size, Writer};

use kernel::Protocol;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A replica that can be saved as a whole.
pub trait Durable: Protocol<Timer: Send> + Serialize + DeserializeOwned + Send + 'static {}
impl<P> Durable for P where P: Protocol<Timer: Send> + Serialize + DeserializeOwned + Send + 'static {}

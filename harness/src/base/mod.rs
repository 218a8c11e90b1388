//! What every layer uses: printing, progress, signals, exit codes and new folders. Knows nothing of the
//! rest of this program.

pub mod console;
pub mod exit;
pub mod folder;
pub mod progress;
pub mod server;
pub mod stop;

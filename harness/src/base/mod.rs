//! What every layer uses: printing, progress, signals and the exit codes. Knows nothing of the
//! rest of this program.

pub mod console;
pub mod exit;
pub mod progress;
pub mod server;
pub mod stop;

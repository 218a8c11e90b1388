//! What every layer uses: printing, Ctrl-C and the exit codes. Knows nothing of the
//! rest of this program.

pub mod console;
pub mod exit;
pub mod stop;

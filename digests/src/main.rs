//! Prints the digests as this platform computes them: what is to be pinned.
//!
//! In WebAssembly without a system interface nothing can be printed. There the exit
//! code, which the module's `main` returns, is the number of the first line that is not
//! as pinned, or 0: see `wasm/check.mjs`.

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    if cfg!(target_family = "wasm") {
        return ExitCode::from(digests::first_difference().map_or(0, |difference| difference.number));
    }
    for line in digests::computed() {
        if let Err(error) = writeln!(std::io::stdout(), "{line}") {
            eprintln!("the digests cannot be written: {error}; free the disk or choose another file");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

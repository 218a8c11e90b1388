//! Flags of `view`.

use std::path::PathBuf;

use clap::Args;

/// Flags of `view`.
#[derive(Clone, Debug, Args)]
pub struct ViewArgs {
    /// A trace, as --trace writes it, or a folder with the journals of nodes; without one the page plays what is chosen
    /// there
    #[arg(value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Write the page with the run into one file, to be opened from disk or mailed, and end
    #[arg(long, value_name = "FILE.html")]
    pub export: Option<PathBuf>,
    /// Port of the page on 127.0.0.1 [default: a free one]
    #[arg(long, value_name = "PORT", conflicts_with = "export", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
}

//! The format, the recorder and the exporters, from outside.

mod export;
mod generated;
mod recorder;
mod runs;
mod text;

//! What the page asks of Rust: plays a scenario, checks a trace. The same replicas as on
//! real nodes, in a browser.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`scenario`] | what a person asks for |
//! | [`lessons`] | runs with explanations |
//! | [`ask`] | questions of the page and their answers, as JSON |
//! | `exports` | the same through WebAssembly's memory |

pub mod ask;
mod exports;
pub mod lessons;
pub mod scenario;
#[cfg(not(target_family = "wasm"))]
pub mod sources;

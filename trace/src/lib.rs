//! What happened in a run, message by message: a file that simulated and real clusters
//! write alike, and that a page, charts and people read.
//!
//! A trace is UTF-8 text, a JSON object in each line: first a [`Header`], then [`Line`]s
//! in the order of their times, then an [`End`]. It is complete: which messages were sent
//! and when they arrived, each vote that counted where, what each replica said of itself,
//! what its application held. Contents of messages are written once, however many
//! copies there are.
//!
//! | module | what it does |
//! | --- | --- |
//! | `format` | the lines |
//! | `recorder` | makes a trace of what an observer is told |
//! | `contents` | what the application of a replica holds |
//! | `part`, `merge` | what one real node notes while it runs; one trace of the parts of all |
//! | `words` | operations and results in words |
//! | `text` | writes a trace, and reads one that somebody brings |
//! | `export` | charts and other forms of it, and a summary for people |

mod contents;
pub mod export;
mod format;
mod merge;
mod part;
mod recorder;
mod text;
mod words;

pub use contents::{Contents, Held, MAX_ENTRIES};
pub use format::{
    Clock, End, FORMAT, Header, Line, MarkRecord, Message, NodeChange, StateChange, VERSION, VotePhase,
};
pub use merge::{BadPart, Part, merge};
pub use part::PartWriter;
pub use recorder::{About, Ending, Recorder};
pub use text::BadTrace;
pub use words::{operation, output};

/// A whole trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// What ran.
    pub header: Header,
    /// What happened, in the order of time; values and contents before the lines that
    /// name them.
    pub lines: Vec<Line>,
    /// How it ended.
    pub end: End,
}

//! A trace as text.

use crate::Trace;
use crate::format::{End, FORMAT, Header, Line, VERSION};
use serde::de::DeserializeOwned;
use std::io::{self, Write};

/// A text that is no trace, or not a whole one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTrace {
    /// It is something else.
    #[error(
        "this is no trace: its first line does not say \"format\": \"{FORMAT}\"; give a file that --trace has written"
    )]
    NoTrace,
    /// It was written by another version of this program.
    #[error(
        "this trace has version {0} of the format, and only version {VERSION} can be read; record the run again with this program, or read it with the one that wrote it"
    )]
    OtherVersion(u64),
    /// The last line is missing.
    #[error(
        "this trace was cut short after line {0}: its last line, which says how many there are, is missing; copy the whole file, or record the run again"
    )]
    CutShort(usize),
    /// There are more or fewer lines than the last one says.
    #[error(
        "this trace has {found} lines between the first and the last, and the last says {said}; copy the whole file again"
    )]
    OtherLength {
        /// Lines that there are.
        found: usize,
        /// Lines that there should be.
        said: usize,
    },
    /// A line cannot be read.
    #[error("line {line} cannot be read: {problem}")]
    BadLine {
        /// Its number, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}

impl Trace {
    /// Writes it.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        fn line(out: &mut impl Write, value: &impl serde::Serialize) -> io::Result<()> {
            serde_json::to_writer(&mut *out, value)?;
            out.write_all(b"\n")
        }
        line(&mut out, &self.header)?;
        self.lines.iter().try_for_each(|value| line(&mut out, value))?;
        line(&mut out, &self.end)?;
        out.flush()
    }

    /// The whole text.
    pub fn to_text(&self) -> String {
        let mut bytes = Vec::new();
        self.write(&mut bytes).expect("memory takes all that is written to it");
        String::from_utf8(bytes).expect("JSON is UTF-8")
    }

    /// Reads what was written, and checks that every line names only what there is.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Trace, BadTrace> {
        let all = text.lines().count();
        let mut rest = (1..).zip(text.lines());
        let header = rest.next().ok_or(BadTrace::NoTrace).and_then(|(_, line)| header(line))?;
        let mut lines = Vec::with_capacity(all.saturating_sub(2));
        while let Some((at, line)) = rest.next() {
            match read::<Line>(at, line) {
                Ok(line) => lines.push(line),
                Err(error) => {
                    if let Some(end) = end(line) {
                        return match rest.next() {
                            Some((at, _)) => Err(bad(at, "nothing may follow the line that ends a trace")),
                            None => Trace { header, lines, end }.checked(),
                        };
                    }
                    // A line that was cut in the middle is no JSON.
                    let is_cut = at == all && !text.ends_with('\n');
                    return Err(if is_cut { BadTrace::CutShort(at - 1) } else { error });
                }
            }
        }
        Err(BadTrace::CutShort(lines.len() + 1))
    }

    /// The trace, if each line names only nodes, values and contents that there are, and
    /// nothing is earlier than what stands above it.
    fn checked(self) -> Result<Trace, BadTrace> {
        if self.end.lines != self.lines.len() {
            return Err(BadTrace::OtherLength { found: self.lines.len(), said: self.end.lines });
        }
        let mut seen = Seen { nodes: self.header.nodes, values: 0, contents: 0, t: 0 };
        for (at, line) in (2..).zip(&self.lines) {
            seen.take(line).map_err(|problem| bad(at, &problem))?;
        }
        if self.end.t < seen.t {
            return Err(bad(self.lines.len() + 2, "the run ends before the time of the line above it"));
        }
        Ok(self)
    }
}

/// What the lines of a trace have said so far.
struct Seen {
    nodes: u16,
    values: u32,
    contents: u32,
    t: u64,
}

impl Seen {
    /// Takes the next line; says what is wrong with it.
    fn take(&mut self, line: &Line) -> Result<(), String> {
        match line {
            Line::Value { id, .. } => next("value", &mut self.values, *id)?,
            Line::Content { id, .. } => next("content", &mut self.contents, *id)?,
            Line::Message(message) => declared("content", self.contents, message.content)?,
            _ => {}
        }
        line.value().map_or(Ok(()), |value| declared("value", self.values, value))?;
        let nodes = self.nodes;
        if let Some(node) = line.nodes().find(|node| *node >= nodes) {
            return Err(format!("it names node {node}, and there are {nodes}, from 0"));
        }
        let t = line.t().unwrap_or(self.t);
        if t < self.t {
            return Err("its time is before that of the line above it".into());
        }
        self.t = t;
        Ok(())
    }
}

/// Counts a definition, whose numbers have no gaps.
fn next(what: &str, count: &mut u32, id: u32) -> Result<(), String> {
    if id != *count {
        return Err(format!("it defines {what} {id}, and the next one is {count}"));
    }
    *count += 1;
    Ok(())
}

fn declared(what: &str, count: u32, id: u32) -> Result<(), String> {
    if id < count { Ok(()) } else { Err(format!("it names {what} {id}, which has no line before it")) }
}

fn bad(line: usize, problem: &str) -> BadTrace {
    BadTrace::BadLine { line, problem: problem.into() }
}

fn header(line: &str) -> Result<Header, BadTrace> {
    let value: serde_json::Value = serde_json::from_str(line).map_err(|error| {
        let is_cut = error.is_eof() && line.contains(&format!("\"format\":\"{FORMAT}\""));
        if is_cut { BadTrace::CutShort(0) } else { BadTrace::NoTrace }
    })?;
    if value["format"] != FORMAT {
        return Err(BadTrace::NoTrace);
    }
    // Read first: another version may have another form.
    match value["version"].as_u64() {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => return Err(BadTrace::OtherVersion(version)),
        None => return Err(bad(1, "its version is no whole number")),
    }
    let header: Header = serde_json::from_value(value).map_err(|error| bad(1, &error.to_string()))?;
    if header.nodes == 0 {
        return Err(bad(1, "nodes is 0; a cluster has at least one replica"));
    }
    if let Some(node) = header.faults.keys().find(|node| **node >= header.nodes) {
        return Err(bad(1, &format!("faults names node {node}, and there are {}, from 0", header.nodes)));
    }
    Ok(header)
}

/// The last line of a trace, if it is that.
fn end(line: &str) -> Option<End> {
    serde_json::from_str(line).ok().filter(|end: &End| end.end)
}

fn read<T: DeserializeOwned>(at: usize, line: &str) -> Result<T, BadTrace> {
    serde_json::from_str(line).map_err(|error| bad(at, &error.to_string()))
}

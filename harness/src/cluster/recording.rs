//! The recording of a run of real nodes: each writes a part of it, and in the end they
//! are put together (ADR 27).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use flows::job::FlowName;
use node::RecordTo;
use tempfile::TempDir;
use trace::{About, Clock, Part, Trace};

use super::running::Cluster;
use super::spec::ClusterSpec;
use crate::plan::trace::TraceTo;

/// A run that is recorded.
#[derive(Debug)]
pub struct Recording {
    file: PathBuf,
    parts: TempDir,
    limit_bytes: u64,
}

/// A run that was recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Where it is.
    pub file: PathBuf,
    /// How many lines it has.
    pub lines: usize,
    /// What is missing in it.
    pub missing: Vec<String>,
}

impl Recording {
    /// A recording that is to be in `file`; all nodes together record at most so many bytes.
    ///
    /// # Errors
    /// If no file can be written there.
    pub fn begin(file: &Path, limit_bytes: u64) -> Result<Recording> {
        ensure!(!file.is_dir(), "--trace {} is a folder; give the name of a file in it", file.display());
        let name = file.file_name().with_context(|| {
            format!("--trace {} names no file; give one such as run.trace", file.display())
        })?;
        let parts = tempfile::Builder::new()
            .prefix(&format!("{}-parts-", name.to_string_lossy()))
            .tempdir_in(TraceTo::folder(file))
            .with_context(|| {
                format!(
                    "cannot write to {}; give --trace a file in a folder that exists and is writable",
                    file.display()
                )
            })?;
        Ok(Recording { file: file.to_path_buf(), parts, limit_bytes })
    }

    /// What each of so many nodes is told.
    pub fn of_nodes(&self, nodes: u16) -> RecordTo {
        let limit_bytes = self.limit_bytes / u64::from(nodes.max(1));
        // Nodes that are processes have the working folder of this one.
        RecordTo { folder: self.parts.path().to_path_buf(), limit_bytes }
    }

    /// Ends all nodes and writes the trace.
    ///
    /// # Errors
    /// If what the nodes have recorded cannot be read, or the file cannot be written.
    pub fn finish(self, cluster: &mut Cluster, spec: &ClusterSpec, title: String) -> Result<Recorded> {
        cluster.stop();
        let Recording { file, parts, .. } = self;
        let read = read(parts.path())?;
        // The disk may be full of them.
        drop(parts);
        let trace = trace::merge(&spec.identity(), about(spec, title), read, cluster.killed());
        write(&trace, &file)?;
        Ok(Recorded { file, lines: trace.lines.len(), missing: trace.header.notes })
    }
}

/// Writes a trace.
///
/// # Errors
/// If the file cannot be written.
pub fn write(trace: &Trace, file: &Path) -> Result<()> {
    let written = File::create(file).and_then(|out| trace.write(BufWriter::new(out)));
    written
        .with_context(|| format!("cannot write {}; make room, or give --trace another file", file.display()))
}

fn read(folder: &Path) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let what = || format!("cannot read what the nodes have recorded in {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(what)? {
        let text = entry.and_then(|entry| std::fs::read(entry.path())).with_context(what)?;
        parts.extend(Part::parse(&text)?);
    }
    Ok(parts)
}

impl Recorded {
    /// What was recorded and what is missing, for people.
    pub fn sentences(&self) -> Vec<String> {
        let first = format!("Trace: {} ({} lines)", self.file.display(), self.lines);
        let missing = self.missing.iter().map(|what| format!("  missing in it: {what}"));
        [first].into_iter().chain(missing).collect()
    }
}

fn about(spec: &ClusterSpec, title: String) -> About {
    let f = spec.protocol.tolerates(spec.nodes);
    let of_node = |(id, faults): (u16, &crate::plan::faults::NodeFaults)| {
        let faults: Vec<String> = faults.behaviours.iter().map(ToString::to_string).collect();
        (!faults.is_empty()).then_some((id, faults))
    };
    let faults: BTreeMap<u16, Vec<String>> = (0..).zip(&spec.faults.nodes).filter_map(of_node).collect();
    About {
        title,
        app: spec.app,
        f,
        quorum: FlowName::from(spec.protocol).quorum(&spec.identity()),
        clock: Clock::Real,
        faults,
        scenario: None,
    }
}

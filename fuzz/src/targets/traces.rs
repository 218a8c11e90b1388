//! Recorded runs.

use super::text;
use crate::{Limit, Target};
use ::apps::AppName;
use kernel::{Cluster, ClusterId};
use std::collections::BTreeMap;
use trace::export::{self, Selection};
use trace::{About, Clock, Part, Trace, merge};

/// Traces.
pub static TRACES: Target = Target {
    name: "traces",
    reads: "traces, as harness trace and the page read them; every chart of them",
    run: traces,
    limit: Limit { bytes: 16 << 20, per_byte: 4096 },
    tries: 100,
};

fn traces(input: &[u8]) -> bool {
    let Some(text) = text(input) else { return false };
    let trace = match Trace::parse(text) {
        Ok(trace) => trace,
        Err(error) => return error.to_string().is_empty(),
    };
    let again = Trace::parse(&trace.to_text());
    assert_eq!(again.as_ref(), Ok(&trace), "it is read as it was written");
    charts(&trace);
    true
}

/// Whatever is in a trace that can be read, it can be shown.
fn charts(trace: &Trace) {
    let some = Selection { seq: Some(1..3), from_ns: 1_000, until_ns: Some(1_000_000) };
    assert!(!export::summary(trace).is_empty());
    for selection in [Selection::default(), some] {
        for chart in [export::msc, export::mermaid, export::svg, export::chrome] {
            if let Err(error) = chart(trace, &selection) {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

/// What single nodes have recorded.
pub static TRACE_PARTS: Target = Target {
    name: "trace_parts",
    reads: "what recorded nodes have written, as the harness puts it together; nodes that were killed write half \
            lines",
    run: trace_parts,
    limit: Limit { bytes: 16 << 20, per_byte: 1024 },
    tries: 200,
};

/// The first byte says who was killed; parts are separated by an empty line. True if all can be
/// read.
fn trace_parts(input: &[u8]) -> bool {
    const SEPARATOR: &[u8] = b"\n\n";
    let Some((killed, mut rest)) = input.split_first() else { return false };
    let mut parts = Vec::new();
    let mut all = true;
    while !rest.is_empty() {
        let end =
            rest.windows(SEPARATOR.len()).position(|two| two == SEPARATOR).map_or(rest.len(), |at| at + 1);
        let (text, after) = rest.split_at(end);
        rest = after.trim_ascii_start();
        match Part::parse(text) {
            Ok(part) => parts.extend(part),
            Err(error) => all = error.to_string().is_empty(),
        }
    }
    let cluster = Cluster::new(ClusterId::derive("fuzz", 0), "pbft", 4);
    let killed: Vec<(u64, u16)> =
        (*killed != 0).then(|| (u64::from(*killed) * 1_000, u16::from(killed % 4))).into_iter().collect();
    let some = !parts.is_empty();
    let about = About {
        title: "fuzz".into(),
        app: AppName::Kv,
        f: 1,
        quorum: 3,
        clock: Clock::Real,
        faults: BTreeMap::new(),
        scenario: None,
    };
    let trace = merge(&cluster, about, parts, &killed);
    let _ = trace.to_text();
    all && some
}

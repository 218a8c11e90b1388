//! Who is who in a chart.

use super::labels::plain;
use crate::{Line, MarkRecord, Trace};

/// What stands at the lane of each node: its number, its role when the chart begins, and
/// whether it misbehaves from the start.
pub(super) fn names(trace: &Trace, at: u64) -> Vec<String> {
    let commander = commander(trace, at);
    let communication_node = communication_node(trace, at);
    let name = |node: u16| {
        let mut name = format!("node {node}");
        if commander == Some(node) {
            name += ", commander";
        }
        if communication_node == Some(node) {
            name += ", communication node";
        }
        if let Some(faults) = trace.header.faults.get(&node) {
            name += &format!(", faulty: {}", faults.join(", "));
        }
        plain(&name)
    };
    (0..trace.header.nodes).map(name).collect()
}

fn commander(trace: &Trace, at: u64) -> Option<u16> {
    near(trace, at, |line| match line {
        Line::State { state, .. } => state.commander,
        Line::Mark { node, mark: MarkRecord::Proposed { view: Some(_), .. }, .. } => Some(*node),
        _ => None,
    })
}

fn communication_node(trace: &Trace, at: u64) -> Option<u16> {
    near(trace, at, |line| match line {
        Line::State { state, .. } => state.communication_node,
        Line::Mark { mark: MarkRecord::Proposed { communication_node, .. }, .. } => *communication_node,
        _ => None,
    })
}

/// What the last line until this time says that says anything; if there is none, the
/// first one after it.
fn near<T>(trace: &Trace, at: u64, says: impl Fn(&Line) -> Option<T>) -> Option<T> {
    let split = trace.lines.partition_point(|line| line.t().is_none_or(|t| t <= at));
    let (before, after) = trace.lines.split_at(split);
    before.iter().rev().find_map(&says).or_else(|| after.iter().find_map(&says))
}

//! What message sequence charts show, row by row; the same for every notation.

use super::labels::{self, Labels};
use super::{ExportError, Selection, roles};
use crate::{Line, Message, Trace};
use std::collections::BTreeMap;

/// A chart with more arrows is a carpet.
const MOST_ARROWS: usize = 500;

/// A message sequence chart.
pub(super) struct Chart {
    pub(super) title: String,
    /// The names of the nodes.
    pub(super) nodes: Vec<String>,
    /// In the order of time.
    pub(super) rows: Vec<Row>,
}

/// Who sends, receives or does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Party {
    /// All of them.
    Clients,
    Node(u16),
}

/// What stands side by side.
pub(super) enum Row {
    /// The copies of a message, where it leaves.
    Arrows { from: Party, label: String, to: Vec<(Party, Fate)> },
    /// Something that one of them does.
    Note { at: Party, text: String, is_fault: bool },
    /// Something that concerns all.
    Everywhere(String),
}

/// What becomes of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Arrives,
    ArrivesTwice,
    Lost,
}

/// The chart of what is chosen.
pub(super) fn chart(trace: &Trace, selection: &Selection) -> Result<Chart, ExportError> {
    let lines = selection.lines_at_most(trace, MOST_ARROWS)?;
    let begins = lines.first().and_then(|line| line.t()).unwrap_or(0);
    let rows = Rows { labels: Labels::of(trace), gateways: gateways(trace) };
    Ok(Chart {
        title: labels::plain(&trace.header.title),
        nodes: roles::names(trace, begins),
        rows: lines.into_iter().filter_map(|line| rows.of(line)).collect(),
    })
}

/// Whom each request was given to.
pub(super) fn gateways(trace: &Trace) -> BTreeMap<u64, u16> {
    let asked = trace.lines.iter().filter_map(|line| match line {
        Line::Request { request, gateway, .. } => Some((*request, *gateway)),
        _ => None,
    });
    asked.collect()
}

struct Rows<'a> {
    labels: Labels<'a>,
    gateways: BTreeMap<u64, u16>,
}

impl Rows<'_> {
    fn of(&self, line: &Line) -> Option<Row> {
        let note = |at, text, is_fault| Some(Row::Note { at, text, is_fault });
        match line {
            Line::Message(message) => Some(self.arrows(message)),
            Line::Mark { node, mark, .. } => note(Party::Node(*node), labels::of_mark(mark)?, false),
            Line::Rejected { node, from, reason, offence: true, .. } => {
                let text = labels::plain(&format!("refuses a message of {from}: {reason}"));
                note(Party::Node(*node), text, true)
            }
            Line::Node { node, change, .. } => note(Party::Node(*node), labels::change(change), true),
            Line::Network { change, .. } => {
                Some(Row::Everywhere(labels::plain(&format!("network: {change}"))))
            }
            Line::Request { t, gateway, asks, .. } => {
                let label = format!("{} {}", labels::time(*t), labels::content(asks));
                let to = vec![(Party::Node(*gateway), Fate::Arrives)];
                Some(Row::Arrows { from: Party::Clients, label, to })
            }
            Line::Answer { t, request, seq, result, .. } => {
                let label = format!("{} answer s{seq} {}", labels::time(*t), labels::content(result));
                match self.gateways.get(request) {
                    Some(gateway) => {
                        let to = vec![(Party::Clients, Fate::Arrives)];
                        Some(Row::Arrows { from: Party::Node(*gateway), label, to })
                    }
                    None => note(Party::Clients, label, false),
                }
            }
            Line::TimedOut { request, .. } => {
                note(Party::Clients, format!("no answer in time to request {request}"), true)
            }
            _ => None,
        }
    }

    fn arrows(&self, message: &Message) -> Row {
        let to = message.to.iter().map(|(to, arrivals)| {
            let fate = match arrivals.len() {
                0 => Fate::Lost,
                1 => Fate::Arrives,
                _ => Fate::ArrivesTwice,
            };
            (Party::Node(*to), fate)
        });
        let label = format!("{} {}", labels::time(message.t), self.labels.message(message));
        Row::Arrows { from: Party::Node(message.from), label, to: to.collect() }
    }
}

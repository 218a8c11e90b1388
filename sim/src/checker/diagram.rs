//! A run as a sequence diagram that a person can follow.

use super::model::{Action, Cut, World};
use super::scope::{Checkable, Names};
use super::table::{Event, Table};
use kernel::{Mark, ReplicaId, ViewMark};
use stateright::Path;
use std::fmt::Write as _;

/// What happens in a run, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceDiagram {
    participants: Vec<String>,
    lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    Arrow { from: usize, to: usize, what: String },
    Note { at: usize, what: String },
}

impl SequenceDiagram {
    /// In Mermaid's language.
    pub fn mermaid(&self) -> String {
        let mut text = String::from("sequenceDiagram\n");
        for (i, name) in self.participants.iter().enumerate() {
            let _ = writeln!(text, "    participant n{i} as {name}");
        }
        for line in &self.lines {
            let _ = match line {
                Line::Arrow { from, to, what } => writeln!(text, "    n{from}->>n{to}: {what}"),
                Line::Note { at, what } => writeln!(text, "    Note over n{at}: {what}"),
            };
        }
        text
    }

    /// One line for each delivery and each thing that it brings about.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            let _ = match line {
                Line::Arrow { from, to, what } => {
                    writeln!(text, "{} → {}: {what}", self.participants[*from], self.participants[*to])
                }
                Line::Note { at, what } => writeln!(text, "    {} {what}", self.participants[*at]),
            };
        }
        text
    }

    /// Messages delivered in the run.
    pub fn deliveries(&self) -> usize {
        self.lines.iter().filter(|line| matches!(line, Line::Arrow { .. })).count()
    }
}

/// Draws a run.
pub(crate) fn draw<P: Checkable>(world: &World<P>, path: Path<Cut, Action>) -> SequenceDiagram {
    let mut diagram = SequenceDiagram { participants: participants(&world.table()), lines: Vec::new() };
    for (cut, action) in path.into_vec() {
        let Some(action) = action else {
            continue;
        };
        let mut here = cut[action.node];
        for event in world.events(&cut, &action) {
            let table = &mut *world.table();
            if let Event::Deliver(envelope) = event {
                let delivered = table.envelope(envelope);
                let what = (table.scope.describe)(&delivered.message, &table.scope.names);
                let holds = |local: &u32| table.local(*local).sent.contains(&envelope);
                let from = cut.iter().position(holds);
                let from = from.unwrap_or_else(|| faulty_participant(table, delivered.from));
                diagram.lines.push(Line::Arrow { from, to: action.node, what });
            } else if let Event::Expire(timer) = event {
                diagram.lines.push(Line::Note { at: action.node, what: format!("timer {timer:?} expires") });
            }
            let (_, marks) = table.play(here, event);
            let notes = marks.iter().filter_map(|mark| note(&table.scope.names, mark));
            diagram.lines.extend(notes.map(|what| Line::Note { at: action.node, what }));
            here = table.step(here, event);
        }
    }
    diagram
}

/// The nodes that run, then the faulty ones.
fn participants<P: Checkable>(table: &Table<P>) -> Vec<String> {
    let nodes = &table.scope.nodes;
    let running = nodes.iter().enumerate().map(|(i, node)| {
        let copies = nodes.iter().filter(|other| other.id == node.id).count();
        let copy = nodes[..i].iter().filter(|other| other.id == node.id).count();
        let copy_name = if copies > 1 { ["a", "b", "c", "d"][copy % 4] } else { "" };
        let faulty = if node.honest { "" } else { " (faulty)" };
        format!("replica {}{copy_name}{faulty}", node.id)
    });
    running.chain(table.scope.faulty.iter().map(|id| format!("replica {id} (faulty)"))).collect()
}

fn faulty_participant<P: Checkable>(table: &Table<P>, id: ReplicaId) -> usize {
    let place = table.scope.faulty.iter().position(|other| *other == id);
    table.scope.nodes.len() + place.unwrap_or(0)
}

/// What a mark means to a reader of the diagram; none for what the arrows tell.
fn note(names: &Names, mark: &Mark) -> Option<String> {
    let name = |digest| names.of(digest);
    Some(match mark {
        Mark::Voted { phase, view, seq, digest } => {
            let view = view.map_or(String::new(), |view| format!("view {view}, "));
            format!("votes {phase:?} for {} ({view}slot {seq})", name(digest))
        }
        Mark::Committed { seq, digest, .. } => format!("decides slot {seq}: {}", name(digest)),
        Mark::Executed { seq, digest, requests, .. } => {
            format!("executes slot {seq}: {} ({requests} requests)", name(digest))
        }
        Mark::View(ViewMark::LeftFor { view }) => format!("leaves for view {view}"),
        Mark::View(ViewMark::ViewBegan { view }) => format!("begins view {view}"),
        Mark::View(ViewMark::FellBack { seq, .. }) => format!("falls back on slot {seq}"),
        _ => return None,
    })
}

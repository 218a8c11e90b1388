//! The two kinds of bar charts: outcomes and votes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use plotters::style::RGBColor;

use super::draw::{
    Align, Area, Axis, Frame, Key, MUTED, TEXT, bar, base_line, heading, is_marked, legend, protocol_colour,
    text, y_axis,
};

/// Counts of decided, timeout, error, violation for each protocol.
pub(super) type Shares = BTreeMap<(usize, String), [u64; 4]>;

const OUTCOME_COLOURS: [(&str, RGBColor); 4] = [
    ("decided", RGBColor(0x56, 0xb4, 0xe9)),
    ("timeout", RGBColor(0xe6, 0x9f, 0x00)),
    ("error", RGBColor(0x99, 0x99, 0x99)),
    ("violation", RGBColor(0x88, 0x11, 0x33)),
];

/// Stacked bars of outcome shares: a group per number of faulty nodes and fault,
/// a bar per protocol.
pub(super) fn draw_outcomes(area: &Area, about: &str, groups: &[(&(usize, String), &Shares)]) -> Result<()> {
    let frame = Frame { left: 86, top: 62, right: 690, bottom: 348 };
    heading(area, "Outcomes by number of faulty nodes", about)?;
    let mut axis = Axis::from_zero(1.0, "share of requests (%)");
    axis.ticks = (0..=5).map(|i| (f64::from(i) / 5.0, format!("{}", i * 20))).collect();
    y_axis(area, frame, &axis)?;
    let slot = f64::from(frame.right - frame.left) / groups.len().max(1) as f64;
    let mut protocols = BTreeSet::new();
    for (place, ((faulty, fault), shares)) in groups.iter().enumerate() {
        let left = f64::from(frame.left) + slot * place as f64;
        let width = (slot * 0.8 / shares.len().max(1) as f64).min(46.0);
        let start = left + (slot - width * shares.len() as f64) / 2.0;
        for (i, ((rank, protocol), counts)) in shares.iter().enumerate() {
            let x = (start + width * i as f64) as i32;
            stack(area, frame, (x, x + width as i32 - 3), protocol, counts)?;
            protocols.insert((*rank, protocol.as_str()));
        }
        let middle = (left + slot / 2.0) as i32;
        text(area, &faulty.to_string(), (middle, frame.bottom + 24), 13.0, Align::Middle, TEXT)?;
        let fault = if fault == "none" { "no faults" } else { fault };
        fault_label(area, fault, (middle, frame.bottom + 41), slot)?;
    }
    base_line(area, frame)?;
    let middle = (frame.left + frame.right) / 2;
    let title = "number of faulty nodes, and the faults as given";
    text(area, title, (middle, 424), 12.0, Align::Middle, TEXT)?;
    let colours = OUTCOME_COLOURS.iter().map(|(name, colour)| Key::colour(name, *colour));
    legend(area, (706, 76), &colours.collect::<Vec<_>>())?;
    text(area, "strip under the bar:", (712, 184), 11.0, Align::Left, MUTED)?;
    let keys: Vec<Key> = protocols.iter().map(|(_, p)| Key::protocol(p, false)).collect();
    legend(area, (706, 206), &keys)
}

/// Several faults at once go to lines of their own; what does not fit is cut.
fn fault_label(area: &Area, fault: &str, (x, y): (i32, i32), width: f64) -> Result<()> {
    let fits = ((width / 6.2) as usize).max(4);
    for (row, part) in fault.split('+').take(2).enumerate() {
        let cut = match part.char_indices().nth(fits) {
            Some((end, _)) => format!("{}…", &part[..end]),
            None => part.to_string(),
        };
        text(area, &cut, (x, y + 14 * row as i32), 11.0, Align::Middle, MUTED)?;
    }
    Ok(())
}

/// One stacked bar with its protocol's strip beneath.
fn stack(
    area: &Area,
    frame: Frame,
    (left, right): (i32, i32),
    protocol: &str,
    counts: &[u64; 4],
) -> Result<()> {
    let total = counts.iter().sum::<u64>().max(1) as f64;
    let mut below = 0.0;
    for (count, (_, colour)) in counts.iter().zip(OUTCOME_COLOURS) {
        if *count == 0 {
            continue;
        }
        let (low, high) = (below / total, (below + *count as f64) / total);
        // One violation in a million must still be seen.
        let top = frame.y(high).min(frame.y(low) - 2);
        bar(area, (left, top), (right, frame.y(low)), colour, is_marked(protocol))?;
        below += *count as f64;
    }
    let strip = (frame.bottom + 4, frame.bottom + 11);
    bar(area, (left, strip.0), (right, strip.1), protocol_colour(protocol), is_marked(protocol))
}

/// Votes that one node received.
#[derive(Default, Clone, Copy)]
pub(super) struct Tally {
    pub(super) correct: u64,
    pub(super) corrupt: u64,
    pub(super) faulty: bool,
}

const CORRECT: RGBColor = RGBColor(0x00, 0x9e, 0x73);
const CORRUPT: RGBColor = RGBColor(0x88, 0x11, 0x33);

/// Correct and corrupt votes of every node, a panel per protocol.
pub(super) fn draw_votes(area: &Area, about: &str, panels: &[(&str, &BTreeMap<u32, Tally>)]) -> Result<()> {
    heading(area, "Votes received per node", about)?;
    let most = |t: &Tally| t.correct.max(t.corrupt);
    let max = panels.iter().flat_map(|(_, nodes)| nodes.values().map(most)).max().unwrap_or(0);
    let mut axis = Axis::from_zero(max as f64, "");
    for (place, (protocol, nodes)) in panels.iter().enumerate() {
        let top = 74 + 170 * place as i32;
        let frame = Frame { left: 86, top, right: 690, bottom: top + 112 };
        axis.title = "votes".into();
        y_axis(area, frame, &axis)?;
        votes_panel(area, frame, &axis, nodes)?;
        base_line(area, frame)?;
        let about = if is_marked(protocol) { "  (not Byzantine-safe)" } else { "" };
        let name = format!("{protocol}{about}");
        text(area, &name, (frame.left, top - 12), 12.0, Align::Left, protocol_colour(protocol))?;
    }
    let bottom = 74 + 170 * panels.len() as i32;
    text(area, "node id (* faulty node)", (388, bottom - 8), 12.0, Align::Middle, TEXT)?;
    let keys = [Key::colour("correct votes", CORRECT), Key::colour("corrupt votes", CORRUPT)];
    legend(area, (700, 84), &keys)
}

/// Two bars for each node.
fn votes_panel(area: &Area, frame: Frame, axis: &Axis, nodes: &BTreeMap<u32, Tally>) -> Result<()> {
    let slot = f64::from(frame.right - frame.left) / nodes.len().max(1) as f64;
    let width = (slot * 0.38).clamp(1.0, 36.0);
    // As many labels as fit.
    let every = (30.0 / slot).ceil().max(1.0) as usize;
    for (place, (node, tally)) in nodes.iter().enumerate() {
        let middle = f64::from(frame.left) + slot * (place as f64 + 0.5);
        let bars = [(tally.correct, CORRECT, -width), (tally.corrupt, CORRUPT, 0.0)];
        for (count, colour, offset) in bars.into_iter().filter(|(count, ..)| *count > 0) {
            let left = (middle + offset).round() as i32;
            let top = frame.y(axis.place(count as f64)).min(frame.bottom - 1);
            let right = left + (width as i32 - 1).max(1);
            bar(area, (left, top), (right, frame.bottom), colour, false)?;
        }
        if place % every == 0 || (tally.faulty && slot > 14.0) {
            let label = if tally.faulty { format!("{node}*") } else { node.to_string() };
            text(area, &label, (middle as i32, frame.bottom + 14), 11.0, Align::Middle, TEXT)?;
        }
    }
    Ok(())
}

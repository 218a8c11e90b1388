//! What clients saw of kills, restarts and cuts.

use std::collections::BTreeMap;

use super::{Finding, Weight, name};
use crate::report::figures::id;
use crate::report::format::duration;
use crate::report::material::Material;
use crate::report::words::{count, list};
use crate::results::schema::{EventKind, EventRow};
use crate::results::statistics::quantile;

/// A sentence for each kind of event.
pub(super) fn findings(material: &Material) -> Vec<Finding> {
    let mut kinds: BTreeMap<EventKind, Vec<&EventRow>> = BTreeMap::new();
    for event in material.rows.events {
        kinds.entry(event.event).or_default().push(event);
    }
    kinds.iter().map(|(kind, events)| sentence(*kind, events)).collect()
}

fn sentence(kind: EventKind, events: &[&EventRow]) -> Finding {
    let mut by_cell: Vec<(&str, Vec<&EventRow>)> = Vec::new();
    for event in events {
        match by_cell.iter_mut().find(|(cell, _)| *cell == event.cell) {
            Some((_, of_cell)) => of_cell.push(event),
            None => by_cell.push((&event.cell, vec![event])),
        }
    }
    // What they waited for is the answer after the start, which a time without an answer would count from the kill.
    let (value, waited): (fn(&EventRow) -> Option<u64>, &str) = match kind {
        EventKind::RestartAll => (|event| event.service_after_us, "the first answer came after"),
        _ => (|event| event.gap_us, "clients had no answer for"),
    };
    let gaps = by_cell.iter().filter_map(|(_, events)| median(events, value, by_cell.len() > 1));
    let gaps: Vec<String> = gaps.collect();
    let after = match kind {
        EventKind::Kill => "After a node was killed",
        EventKind::Restart => "When it was started again",
        EventKind::Cut => "When links were cut",
        EventKind::Heal => "When they healed",
        EventKind::KillAll => "After all nodes were killed",
        EventKind::RestartAll => "After all nodes were started again",
    };
    let gaps = match gaps.is_empty() {
        true => "no answer came any more".to_string(),
        false => format!("{waited} {}", list(&gaps)),
    };
    let undecided: u64 = events.iter().map(|event| event.undecided).sum();
    let lost = match undecided {
        0 => "every request was decided".to_string(),
        some => format!(
            "{} not decided",
            if some == 1 { "1 request was".into() } else { format!("{} were", count(some, "request")) }
        ),
    };
    let never = events.iter().filter(|event| event.service_after_us.is_none()).count();
    let never = match never {
        0 => String::new(),
        some => format!("; after {some} of {} events service did not come back", events.len()),
    };
    let text = format!("{after}, {gaps}; {lost}{never}.");
    let cells = by_cell.iter().map(|(cell, _)| (*cell).to_string()).collect();
    Finding::new(Weight::Headline, id::GAPS, text, cells)
}

/// `418 ms with PBFT at n = 4 (median of 3; 451 ms at worst)`.
fn median(events: &[&EventRow], value: impl Fn(&EventRow) -> Option<u64>, several: bool) -> Option<String> {
    let mut gaps: Vec<u64> = events.iter().filter_map(|event| value(event)).collect();
    gaps.sort_unstable();
    let first = events.first()?;
    let median = duration(quantile(&gaps, 0.5).map(|us| us as f64));
    let worst = duration(gaps.last().map(|us| *us as f64));
    let spread = match gaps.len() {
        0 => return None,
        1 => String::new(),
        number => format!(" (median of {number}; {worst} at worst)"),
    };
    let nodes = if several { format!(" at n = {}", first.nodes) } else { String::new() };
    Some(format!("{median} with {}{nodes}{spread}", name(&first.protocol)))
}

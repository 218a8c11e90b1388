//! Outages: what clients saw of each kind of event, in numbers and over time.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};

use super::format::duration;
use crate::results::schema::{EventKind, EventRow};
use crate::results::statistics::quantile;

/// All events of one kind in one cell.
#[derive(Clone, Debug, PartialEq)]
pub struct OutageSummary {
    /// The cell.
    pub cell: String,
    /// What was done.
    pub event: EventKind,
    /// How often.
    pub count: usize,
    /// Longest time without an answer: of each event, sorted.
    pub gap_us: Vec<u64>,
    /// From the event to the answer that ended it: of each event after which one
    /// came, sorted.
    pub service_after_us: Vec<u64>,
    /// Late answers.
    pub late: u64,
    /// Requests that were not decided.
    pub undecided: u64,
    /// The highest view reached.
    pub view: Option<u64>,
    /// The 99th percentile of the response times after each event, sorted.
    pub p99_us: Vec<u64>,
    /// Until the node had executed what the others had, sorted.
    pub caught_up_us: Vec<u64>,
    /// Until it took part again, sorted.
    pub voting_us: Vec<u64>,
}

/// Events of the same kind together, cells in the order in which they ran.
pub fn summarise(events: &[EventRow]) -> Vec<OutageSummary> {
    let mut cells: Vec<&str> = Vec::new();
    let mut groups: BTreeMap<(usize, EventKind), Vec<&EventRow>> = BTreeMap::new();
    for event in events {
        let place = cells.iter().position(|cell| *cell == event.cell).unwrap_or_else(|| {
            cells.push(&event.cell);
            cells.len() - 1
        });
        groups.entry((place, event.event)).or_default().push(event);
    }
    let summary = |((place, event), rows): (&(usize, EventKind), &Vec<&EventRow>)| {
        let sorted = |value: fn(&EventRow) -> Option<u64>| {
            let mut values: Vec<u64> = rows.iter().filter_map(|row| value(row)).collect();
            values.sort_unstable();
            values
        };
        OutageSummary {
            cell: cells[*place].to_owned(),
            event: *event,
            count: rows.len(),
            gap_us: sorted(|row| row.gap_us),
            service_after_us: sorted(|row| row.service_after_us),
            late: rows.iter().map(|row| row.late).sum(),
            undecided: rows.iter().map(|row| row.undecided).sum(),
            view: rows.iter().filter_map(|row| row.view).max(),
            p99_us: sorted(|row| row.p99_us),
            caught_up_us: sorted(|row| row.caught_up_us),
            voting_us: sorted(|row| row.voting_us),
        }
    };
    groups.iter().map(summary).collect()
}

/// The head of the table.
pub const HEADER: [&str; 11] = [
    "cell",
    "event",
    "times",
    "no answer for",
    "served after",
    "late",
    "undecided",
    "view",
    "p99",
    "caught up after",
    "votes after",
];

impl OutageSummary {
    /// The fields as people read them: medians and, where there are several, the
    /// worst.
    pub fn fields(&self) -> [String; 11] {
        let served = match self.count - self.service_after_us.len() {
            0 => spread(&self.service_after_us),
            never => format!("{}, {never} never", spread(&self.service_after_us)),
        };
        [
            self.cell.clone(),
            self.event.name().into(),
            self.count.to_string(),
            spread(&self.gap_us),
            served,
            self.late.to_string(),
            self.undecided.to_string(),
            self.view.map_or_else(String::new, |view| view.to_string()),
            spread(&self.p99_us),
            spread(&self.caught_up_us),
            spread(&self.voting_us),
        ]
    }
}

/// Median, and the worst if it is another.
fn spread(sorted: &[u64]) -> String {
    let Some(last) = sorted.last() else { return String::new() };
    let median = duration(quantile(sorted, 0.5).map(|us| us as f64));
    match sorted.len() {
        1 => median,
        _ => format!("{median} (≤ {})", duration(Some(*last as f64))),
    }
}

/// The table for the terminal; empty without an event.
pub fn render(outages: &[OutageSummary]) -> String {
    if outages.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(HEADER);
    outages.iter().for_each(|outage| {
        table.add_row(outage.fields());
    });
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\nMedian (≤ worst) over the events; what clients saw counts until the next event.\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::build;
    use crate::results::{files, testdata};

    fn event(repetition: u32, event: EventKind, at_us: u64, gap_us: u64, served: Option<u64>) -> EventRow {
        EventRow {
            cell: "pbft-4-none-r1000".into(),
            repetition,
            protocol: "pbft".into(),
            nodes: 4,
            event,
            node: "0".into(),
            at_us,
            gap_us: Some(gap_us),
            service_after_us: served,
            late: 3,
            undecided: 1,
            view: Some(u64::from(repetition)),
            p99_us: Some(7_000 + at_us),
            caught_up_us: None,
            voting_us: (event == EventKind::Restart).then_some(5_000),
        }
    }

    #[test]
    fn events_of_a_kind_are_put_together_and_drawn() {
        let dir = tempfile::tempdir().unwrap();
        let mut data = testdata::Data::default();
        let spec = testdata::CellSpec::new("pbft", 4, "none");
        data.add(&testdata::CellSpec { rate: Some(1000.0), repetitions: 3, ..spec });
        let cell = data.cells[0].cell.clone();
        data.write(dir.path());
        let mut events = vec![
            event(0, EventKind::Kill, 50_000, 400_000, Some(390_000)),
            event(0, EventKind::Restart, 150_000, 2_000, Some(1_000)),
            event(1, EventKind::Kill, 50_000, 600_000, None),
            event(2, EventKind::Kill, 50_000, 500_000, Some(510_000)),
            // Of a repetition that never finished.
            event(9, EventKind::Kill, 50_000, 9_000_000, Some(9_000_000)),
        ];
        events.iter_mut().for_each(|event| event.cell.clone_from(&cell));
        files::write_rows(dir.path(), &events).unwrap();
        let report = build(dir.path()).unwrap();
        let [kill, restart] = report.outages.as_slice() else { panic!("{:?}", report.outages) };
        assert_eq!((kill.count, kill.late, kill.undecided, kill.view), (3, 9, 3, Some(2)));
        assert_eq!(kill.gap_us, [400_000, 500_000, 600_000]);
        let fields = kill.fields();
        assert_eq!(
            (fields[3].as_str(), fields[4].as_str()),
            ("500 ms (≤ 600 ms)", "390 ms (≤ 510 ms), 1 never")
        );
        assert_eq!((restart.fields()[8].as_str(), restart.fields()[10].as_str()), ("157 ms", "5.00 ms"));
        let svg = std::fs::read_to_string(dir.path().join("plots/answers-around-events.svg")).unwrap();
        assert!(svg.contains("kill of node 0; no answer for 400 ms") && svg.contains(">restart</text>"));
        let svg = std::fs::read_to_string(dir.path().join("plots/response-over-time.svg")).unwrap();
        assert!(svg.contains("kill 0") && svg.contains("restart 0"));
        let page = std::fs::read_to_string(dir.path().join("report.html")).unwrap();
        assert!(page.contains("500 ms (≤ 600 ms)"));
        assert!(super::super::table::render(&report).contains("390 ms (≤ 510 ms), 1 never"));
    }
}

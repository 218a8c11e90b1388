//! Outages: what clients saw of each kind of event, in numbers and over time.

use std::collections::BTreeMap;

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};

use super::draw::{
    Align, Area, Axis, Frame, MUTED, TEXT, base_line, bounds, heading, is_marked, line, picture,
    protocol_colour, text, x_axis, y_axis,
};
use super::format::duration;
use super::plots::{OUTAGES, Plot};
use crate::results::files::file_name;
use crate::results::schema::{EventKind, EventRow, SampleRow};
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
            caught_up_us: sorted(|row| row.caught_up_us),
            voting_us: sorted(|row| row.voting_us),
        }
    };
    groups.iter().map(summary).collect()
}

/// The head of the table.
pub const HEADER: [&str; 10] = [
    "cell",
    "event",
    "times",
    "no answer for",
    "served after",
    "late",
    "undecided",
    "view",
    "caught up after",
    "votes after",
];

impl OutageSummary {
    /// The fields as people read them: medians and, where there are several, the
    /// worst.
    pub fn fields(&self) -> [String; 10] {
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

/// One picture for each repetition of each cell that has events.
pub fn draw(events: &[EventRow], samples: &[SampleRow]) -> Result<Vec<Plot>> {
    let mut runs: BTreeMap<(u32, &str), Vec<&EventRow>> = BTreeMap::new();
    for event in events {
        runs.entry((event.repetition, &event.cell)).or_default().push(event);
    }
    let mut by_run: BTreeMap<(u32, &str), Vec<&SampleRow>> = BTreeMap::new();
    for sample in samples {
        by_run.entry((sample.repetition, &sample.cell)).or_default().push(sample);
    }
    let mut plots = Vec::new();
    for (run, events) in &runs {
        let (repetition, cell) = run;
        let Some(samples) = by_run.get(run) else { continue };
        let title = format!("{cell}, repetition {repetition}: service over time");
        let svg = picture((860, 560), |area| draw_run(area, &title, events, samples))?;
        let file = file_name(&format!("outage-{cell}-{repetition}"), "svg");
        plots.push(Plot { file, section: OUTAGES, title, svg });
    }
    Ok(plots)
}

/// Points to draw at most in a line.
const POINTS: u64 = 400;
const LEAST_BUCKET_US: u64 = 50_000;

fn draw_run(area: &Area, title: &str, events: &[&EventRow], samples: &[&SampleRow]) -> Result<()> {
    let protocol = samples.first().map_or("", |sample| sample.protocol.as_str());
    let answered: Vec<(u64, u64, u64)> = samples
        .iter()
        .filter_map(|s| s.response_us.map(|us| (s.intended_us, us, s.intended_us + us)))
        .collect();
    let due = samples.iter().map(|sample| sample.intended_us);
    let answers = answered.iter().map(|(.., at)| *at);
    let end = due.chain(answers).chain(events.iter().map(|event| event.at_us)).max().unwrap_or(0);
    let bucket = LEAST_BUCKET_US.max(end / POINTS);
    let buckets = (end / bucket + 1) as usize;
    let mut rate = vec![0u64; buckets];
    let mut slowest = vec![0u64; buckets];
    for (due, took, at) in answered {
        rate[(at / bucket) as usize] += 1;
        let worst = &mut slowest[(due / bucket) as usize];
        *worst = (*worst).max(took);
    }
    let middle = |place: usize| (place as f64 + 0.5) * bucket as f64 / 1e6;
    let per_s = |count: u64| count as f64 * 1e6 / bucket as f64;
    let rates: Vec<(f64, f64)> =
        rate.iter().enumerate().map(|(place, count)| (middle(place), per_s(*count))).collect();
    let times: Vec<(f64, f64)> = slowest
        .iter()
        .enumerate()
        .filter(|(_, us)| **us > 0)
        .map(|(place, us)| (middle(place), *us as f64 / 1e3))
        .collect();

    let subtitle = format!("in steps of {} ms; lines mark events", bucket / 1000);
    heading(area, title, &subtitle)?;
    let x = Axis::from_zero(end as f64 / 1e6, "seconds since the load began");
    let (low, high) = bounds(times.iter().map(|point| point.1)).unwrap_or((1.0, 1.0));
    let most = rates.iter().map(|point| point.1).fold(0.0, f64::max);
    let above = Frame { left: 86, top: 84, right: 830, bottom: 270 };
    let below = Frame { left: 86, top: 310, right: 830, bottom: 500 };
    let panels = [
        (above, Axis::from_zero(most, "answers per second"), rates),
        (below, Axis::log(low, high, "slowest response by due time (ms)"), times),
    ];
    for (frame, y, points) in panels {
        y_axis(area, frame, &y)?;
        base_line(area, frame)?;
        for event in events {
            let at = frame.x(x.place(event.at_us as f64 / 1e6));
            line(area, vec![(at, frame.top), (at, frame.bottom)], MUTED, 1, true)?;
        }
        let points = points.iter().map(|(px, py)| (frame.x(x.place(*px)), frame.y(y.place(*py))));
        let points: Vec<(i32, i32)> = points.collect();
        if points.len() > 1 {
            line(area, points, protocol_colour(protocol), 2, is_marked(protocol))?;
        }
    }
    x_axis(area, below, &x)?;
    labels(area, above, &x, events)
}

/// Names of the events over their lines, as far as there is room.
fn labels(area: &Area, frame: Frame, x: &Axis, events: &[&EventRow]) -> Result<()> {
    let mut free_from = i32::MIN;
    for event in events {
        let at = frame.x(x.place(event.at_us as f64 / 1e6));
        let name = format!("{} {}", event.event.name(), event.node);
        if at >= free_from {
            text(area, &name, (at + 3, frame.top - 8), 11.0, Align::Left, TEXT)?;
            free_from = at + name.chars().count() as i32 * 6 + 8;
        }
    }
    Ok(())
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
        assert_eq!(restart.fields()[9], "5.00 ms");
        let plot = dir.path().join("plots").join(file_name(&format!("outage-{cell}-0"), "svg"));
        let svg = std::fs::read_to_string(plot).unwrap();
        assert!(svg.contains("kill 0") && svg.contains("restart 0") && svg.contains("answers per second"));
        let page = std::fs::read_to_string(dir.path().join("report.html")).unwrap();
        assert!(page.contains("500 ms (≤ 600 ms)"));
        assert!(super::super::table::render(&report).contains("390 ms (≤ 510 ms), 1 never"));
    }
}

//! Outages: the answers around each event, and response times over the whole load.

use std::collections::{BTreeMap, HashMap};

use super::{id, microseconds};
use crate::report::figure::{Data, Figure, PANEL_WIDTH, Panel};
use crate::report::format::duration;
use crate::report::line_chart::{LineChart, Point, Series, Shape};
use crate::report::material::Material;
use crate::report::scale::{Scale, bounds};
use crate::report::style::{class_of, name_of};
use crate::report::svg::Element;
use crate::results::schema::{EventKind, EventRow, SampleRow};
use crate::results::statistics::quantile;
use crate::results::summary::protocol_rank;

const LEFT: f64 = 96.0;
const RIGHT: f64 = PANEL_WIDTH - 52.0;
const ROW: f64 = 18.0;
const TOP: f64 = 24.0;
/// Most events of a kind that are drawn.
const MOST_ROWS: usize = 40;
/// Steps in which a whole load is drawn.
const STEPS: u64 = 150;

/// A run of a cell.
type RunKey<'a> = (&'a str, u32);

fn by_run<'a>(material: &Material<'a>) -> HashMap<RunKey<'a>, Vec<&'a SampleRow>> {
    let mut runs: HashMap<RunKey, Vec<&SampleRow>> = HashMap::new();
    for sample in material.rows.samples {
        runs.entry((&sample.cell, sample.repetition)).or_default().push(sample);
    }
    runs
}

/// The answers around each event; `None` without an event.
pub(super) fn gaps(material: &Material) -> Option<Figure> {
    let mut kinds: BTreeMap<EventKind, Vec<&EventRow>> = BTreeMap::new();
    for event in material.rows.events {
        kinds.entry(event.event).or_default().push(event);
    }
    let longest = material.rows.events.iter().filter_map(|event| event.gap_us).max()?;
    let after_s = (longest as f64 * 1.7 / 1e6).clamp(0.2, 20.0);
    let axis = Scale::linear(-after_s * 0.4, after_s, 6);
    let runs = by_run(material);
    let mut data = Data::new(&[
        "cell",
        "repetition",
        "event",
        "node",
        "at_us",
        "gap_us",
        "service_after_us",
        "late",
        "undecided",
    ]);
    for event in material.rows.events {
        data.push(vec![
            event.cell.clone(),
            event.repetition.to_string(),
            event.event.name().into(),
            event.node.clone(),
            event.at_us.to_string(),
            microseconds(event.gap_us),
            microseconds(event.service_after_us),
            event.late.to_string(),
            event.undecided.to_string(),
        ]);
    }
    let panels = kinds.iter().map(|(kind, events)| strips(*kind, events, &runs, &axis)).collect();
    Some(Figure {
        id: id::GAPS,
        title: "Answers to clients around each event".into(),
        caption: "A row for each event, aligned at the moment of the event; each stroke is a moment in which an \
                  answer came. Shaded, and in figures at the right: the longest time without any answer. After a \
                  gap, requests that waited are answered together."
            .into(),
        panels,
        omitted: 0,
        data,
    })
}

fn strips(
    kind: EventKind,
    events: &[&EventRow],
    runs: &HashMap<RunKey, Vec<&SampleRow>>,
    axis: &Scale,
) -> Panel {
    let mut events = events.to_vec();
    events.sort_by_key(|event| {
        (protocol_rank(&event.protocol), event.cell.clone(), event.repetition, event.at_us)
    });
    let shown = &events[..events.len().min(MOST_ROWS)];
    let title = match events.len() - shown.len() {
        0 => kind.name().to_string(),
        more => format!("{}, the first {MOST_ROWS} (and {more} more)", kind.name()),
    };
    let x = |seconds: f64| LEFT + axis.place(seconds) * (RIGHT - LEFT);
    let bottom = TOP + ROW * shown.len() as f64;
    let mut content = Element::group("").child(Element::text("h", (0.0, 13.0), &title));
    for (value, label) in &axis.ticks {
        content.push(Element::line("g", (x(*value), TOP), (x(*value), bottom)));
        content.push(Element::text("m c", (x(*value), bottom + 13.0), label));
    }
    content.push(Element::line("ref", (x(0.0), TOP - 2.0), (x(0.0), bottom)));
    for (place, event) in shown.iter().enumerate() {
        let samples = runs.get(&(event.cell.as_str(), event.repetition)).map_or(&[][..], Vec::as_slice);
        content.push(strip(event, samples, TOP + ROW * place as f64, axis, &x));
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    let caption = format!("seconds from the {}", kind.name());
    content.push(Element::text("m c", (middle, bottom + 28.0), &caption));
    Panel { title, height: bottom + 34.0, content }
}

fn strip(
    event: &EventRow,
    samples: &[&SampleRow],
    top: f64,
    axis: &Scale,
    x: &dyn Fn(f64) -> f64,
) -> Element {
    let seconds = |us: u64| (us as f64 - event.at_us as f64) / 1e6;
    let (from, until) = axis.ends();
    let mut columns: Vec<u32> = samples
        .iter()
        .filter_map(|sample| Some(seconds(sample.intended_us + sample.response_us?)))
        .filter(|at| (from..=until).contains(at))
        .map(|at| x(at).round() as u32)
        .collect();
    columns.sort_unstable();
    columns.dedup();
    let strokes = columns.iter().map(|column| format!("M{column} {}v11", top + 3.0)).collect::<String>();
    let gap = duration(event.gap_us.map(|us| us as f64));
    let tip = format!(
        "{}, repetition {}: {} of node {}; no answer for {gap}, {} late and {} undecided requests",
        event.cell,
        event.repetition,
        event.event.name(),
        event.node,
        event.late,
        event.undecided
    );
    let mut drawn = Element::group(class_of(&event.protocol)).tip(&tip);
    drawn.push(Element::rect("hit", (0.0, top), (PANEL_WIDTH, ROW)));
    let name = format!("{} #{}", name_of(&event.protocol), event.repetition);
    drawn.push(Element::text("n", (0.0, top + 12.5), &name));
    if let Some(gap) = event.gap_us {
        let end = event.service_after_us.map_or(until, |after| after as f64 / 1e6).min(until);
        let begin = (end - gap as f64 / 1e6).max(from);
        drawn.push(Element::rect("gap", (x(begin), top + 2.0), (x(end) - x(begin), 13.0)));
    }
    drawn.push(Element::new("path").class("l thin").with("d", strokes));
    drawn.child(Element::text("e", (PANEL_WIDTH - 1.0, top + 12.5), &gap))
}

/// Response times over the whole load; `None` without an event.
pub(super) fn service(material: &Material) -> Option<Figure> {
    let mut events: BTreeMap<(usize, &str, u32), Vec<&EventRow>> = BTreeMap::new();
    for event in material.rows.events {
        let key = (protocol_rank(&event.protocol), event.cell.as_str(), event.repetition);
        events.entry(key).or_default().push(event);
    }
    let runs = by_run(material);
    let mut data = Data::new(&[
        "cell",
        "repetition",
        "due_from_us",
        "answered",
        "undecided",
        "least_us",
        "median_us",
        "greatest_us",
    ]);
    let drawn: Vec<(&Vec<&EventRow>, Timeline)> = events
        .iter()
        .filter_map(|((_, cell, repetition), of_run)| {
            Some((of_run, Timeline::of(runs.get(&(*cell, *repetition))?)))
        })
        .collect();
    let steps = || drawn.iter().flat_map(|run| &run.1.steps);
    let (low, high) = bounds(
        steps().filter_map(|s| s.spread).flat_map(|s| [s.0, s.2]).filter(|us| *us > 0).map(|us| us as f64),
    )?;
    let end_s = drawn.iter().map(|run| run.1.end_us).max()? as f64 / 1e6;
    let y = Scale::log(low / 1000.0, high / 1000.0, 1.2, 6);
    let mut panels = Vec::new();
    for (events, timeline) in &drawn {
        let Some(first) = events.first() else { continue };
        timeline.push(&mut data, first);
        let chart = LineChart {
            title: format!("{}, repetition {}", first.cell, first.repetition),
            x: Scale::linear(0.0, end_s, 6),
            x_title: "seconds since the load began, by when the request was due".into(),
            y: y.clone(),
            y_title: "response (ms)".into(),
            height: 190.0,
            names: 8.0,
            verticals: events
                .iter()
                .map(|event| (event.at_us as f64 / 1e6, format!("{} {}", event.event.name(), event.node)))
                .collect(),
            series: timeline.series(&first.protocol),
        };
        panels.push(chart.draw());
    }
    Some(Figure {
        id: id::SERVICE,
        title: "Response time over the load (from the intended start)".into(),
        caption:
            "Line: the median of the requests due at that time; band: least to greatest. Red strokes at the \
                  top: requests that were not decided. Dashed: events. All panels share their axes."
                .into(),
        panels,
        omitted: 0,
        data,
    })
}

/// A load in steps.
struct Timeline {
    steps: Vec<Step>,
    end_us: u64,
}

struct Step {
    from_us: u64,
    answered: usize,
    undecided: usize,
    /// Least, median and greatest response time, microseconds.
    spread: Option<(u64, u64, u64)>,
}

impl Timeline {
    fn of(samples: &[&SampleRow]) -> Self {
        let end_us = samples.iter().map(|sample| sample.intended_us).max().unwrap_or(0);
        let length = (end_us / STEPS + 1).max(10_000);
        let mut responses: Vec<(Vec<u64>, usize)> = vec![Default::default(); (end_us / length + 1) as usize];
        for sample in samples {
            let (answered, undecided) = &mut responses[(sample.intended_us / length) as usize];
            match sample.response_us {
                Some(us) => answered.push(us),
                None => *undecided += 1,
            }
        }
        let step = |(place, (mut answered, undecided)): (usize, (Vec<u64>, usize))| {
            answered.sort_unstable();
            let median = quantile(&answered, 0.5);
            Step {
                from_us: place as u64 * length,
                answered: answered.len(),
                undecided,
                spread: median.and_then(|median| Some((*answered.first()?, median, *answered.last()?))),
            }
        };
        Timeline { steps: responses.into_iter().enumerate().map(step).collect(), end_us }
    }

    /// Adds its steps to the figure's data.
    fn push(&self, data: &mut Data, run: &EventRow) {
        for step in &self.steps {
            data.push(vec![
                run.cell.clone(),
                run.repetition.to_string(),
                step.from_us.to_string(),
                step.answered.to_string(),
                step.undecided.to_string(),
                microseconds(step.spread.map(|s| s.0)),
                microseconds(step.spread.map(|s| s.1)),
                microseconds(step.spread.map(|s| s.2)),
            ]);
        }
    }

    /// A line for each stretch in which there were answers, and the undecided.
    fn series(&self, protocol: &str) -> Vec<Series> {
        let new = |shape| Series { protocol: protocol.into(), name: String::new(), points: vec![], shape };
        let mut series = vec![new(Shape::Curve)];
        let mut undecided = new(Shape::Strokes);
        for step in &self.steps {
            let x = step.from_us as f64 / 1e6;
            if step.undecided > 0 {
                let tip = format!("{} undecided requests due at {x:.2} s", step.undecided);
                undecided.points.push(Point { x, y: 0.0, interval: None, tip });
            }
            match (step.spread, series.last_mut()) {
                (Some((least, median, greatest)), Some(curve)) => {
                    let [least, y, greatest] = [least, median, greatest].map(super::milliseconds);
                    let interval = Some((least, greatest));
                    curve.points.push(Point { x, y, interval, tip: String::new() });
                }
                (None, Some(curve)) if !curve.points.is_empty() => series.push(new(Shape::Curve)),
                _ => {}
            }
        }
        series.push(undecided);
        series
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::testdata::{CellSpec, Data as Made};

    #[test]
    fn a_time_without_requests_breaks_the_line() {
        let mut made = Made::default();
        made.add(&CellSpec { rate: Some(100.0), requests: 200, ..CellSpec::new("pbft", 4, "none") });
        for sample in &mut made.samples {
            sample.intended_us = sample.request * 10_000;
            if (50..70).contains(&sample.request) {
                (sample.response_us, sample.consensus_us) = (None, None);
            }
        }
        let timeline = Timeline::of(&made.samples.iter().collect::<Vec<_>>());
        let undecided: usize = timeline.steps.iter().map(|step| step.undecided).sum();
        assert_eq!(undecided, 20);
        let series = timeline.series("pbft");
        let curves = series.iter().filter(|series| series.shape == Shape::Curve).count();
        assert_eq!(curves, 2, "one before and one after");
        assert!(series.iter().any(|series| series.shape == Shape::Strokes && !series.points.is_empty()));
    }
}

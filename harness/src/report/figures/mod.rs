//! The figures of a result: few, and each shows one question whole. A figure without
//! data is not drawn.

mod cost;
mod distribution;
mod durability;
mod load;
mod outage;
mod outcomes;
pub(super) mod prediction;
mod ratio;
mod scaling;
mod time;
mod votes;

pub(super) use durability::comparisons;
pub(super) use load::{Course, courses};

use super::figure::{Figure, field};
use super::format::{digits, duration};
use super::material::Material;
use crate::results::schema::{SummaryRow, basis_words};

/// The figures' names: anchors of the page, file names in `plots/`.
pub(super) mod id {
    pub(in crate::report) const RATIO: &str = "ratio-to-pbft";
    pub(in crate::report) const TIME: &str = "time-to-decide";
    pub(in crate::report) const DISTRIBUTION: &str = "latency-percentiles";
    pub(in crate::report) const MESSAGES: &str = "messages-by-nodes";
    pub(in crate::report) const TIME_BY_NODES: &str = "time-by-nodes";
    pub(in crate::report) const COST: &str = "cost-per-decision";
    pub(in crate::report) const DURABILITY: &str = "durability";
    pub(in crate::report) const LOAD: &str = "throughput";
    pub(in crate::report) const OUTCOMES: &str = "outcomes-and-paths";
    pub(in crate::report) const VOTES: &str = "votes-by-node";
    pub(in crate::report) const GAPS: &str = "answers-around-events";
    pub(in crate::report) const SERVICE: &str = "response-over-time";
    pub(in crate::report) const PREDICTION: &str = "predicted-and-measured";
}

/// Every figure that these rows have data for, in the order of the page.
pub(super) fn all(material: &Material) -> Vec<Figure> {
    let drawn = [
        outage::gaps(material),
        outage::service(material),
        ratio::figure(material),
        time::figure(material),
        distribution::figure(material),
        load::figure(material),
        durability::figure(material),
        scaling::messages(material),
        scaling::time(material),
        cost::figure(material),
        outcomes::figure(material),
        votes::figure(material),
    ];
    drawn.into_iter().flatten().filter(|figure| !figure.panels.is_empty()).map(Figure::limited).collect()
}

/// The first columns of figures that show medians.
const MEDIAN_HEADER: [&str; 8] =
    ["cell", "protocol", "nodes", "fault", "basis", "p50_us", "p50_low_us", "p50_high_us"];

/// A row's values in those.
fn median_fields(row: &SummaryRow) -> [String; 8] {
    [
        row.cell.clone(),
        row.protocol.clone(),
        row.nodes.to_string(),
        row.fault.clone(),
        row.latency_basis.clone(),
        microseconds(row.p50_us),
        microseconds(row.p50_low_us),
        microseconds(row.p50_high_us),
    ]
}

/// A time as a figure's data have it: empty where there is none.
fn microseconds(us: Option<u64>) -> String {
    field(us.map(|us| us as f64))
}

/// Microseconds as milliseconds.
fn milliseconds(us: u64) -> f64 {
    us as f64 / 1000.0
}

/// What the latencies of these rows count from.
fn basis<'a>(rows: impl Iterator<Item = &'a SummaryRow>) -> &'static str {
    let mut bases: Vec<&str> = rows.map(|row| row.latency_basis.as_str()).collect();
    bases.sort_unstable();
    bases.dedup();
    match bases.as_slice() {
        [one] => basis_words(one),
        _ => "consensus time; response time from the intended start in open loops",
    }
}

/// An interval of durations such as `1.80–2.01 ms`.
fn duration_interval(low: Option<u64>, high: Option<u64>) -> String {
    match (low, high) {
        (Some(low), Some(high)) => {
            let (low, high) = (duration(Some(low as f64)), duration(Some(high as f64)));
            match (low.split_once(' '), high.split_once(' ')) {
                (Some((from, unit)), Some((_, same))) if unit == same => format!("{from}–{high}"),
                _ => format!("{low}–{high}"),
            }
        }
        _ => String::new(),
    }
}

/// An interval of numbers such as `0.51–0.62`.
pub(super) fn interval(low: f64, high: f64) -> String {
    format!("{}–{}", digits(low), digits(high))
}

/// Protocol, setting and what is said of them: the beginning of every tip.
fn about(row: &SummaryRow, title: &str, label: &str) -> String {
    super::material::join(&[&row.protocol, title, label])
}

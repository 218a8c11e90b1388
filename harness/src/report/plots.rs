//! Which pictures a result gives. A plot without data is not drawn.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::bars::{Shares, Tally, draw_outcomes, draw_votes};
use super::draw::{Axis, Series, bounds, line_chart, picture};
use crate::results::files::file_name;
use crate::results::schema::{CellRow, NodeRow, SampleRow, SummaryRow};
use crate::results::setting::{Setting, Variant, settings};
use crate::results::statistics::quantile;
use crate::results::summary::{faulty_count, protocol_rank};

/// A finished picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// Its file name in `plots/`.
    pub file: String,
    /// The section of the report it belongs to.
    pub section: &'static str,
    /// What it shows, in words.
    pub title: String,
    /// The SVG document.
    pub svg: String,
}

/// The rows that plots are made of.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Requests.
    pub samples: &'a [SampleRow],
    /// Nodes.
    pub nodes: &'a [NodeRow],
    /// Cells and repetitions.
    pub cells: &'a [CellRow],
    /// Cells, all repetitions together.
    pub summary: &'a [SummaryRow],
}

/// Pictures of [`super::outages`].
pub(super) const OUTAGES: &str = "Outages";
const LATENCY: &str = "Latency";
const SCALING: &str = "Scaling";
const LOAD: &str = "Throughput";
const OUTCOMES: &str = "Outcomes";
const VOTES: &str = "Votes";

/// The sections in the order of the report.
pub const SECTIONS: [&str; 6] = [OUTAGES, LATENCY, SCALING, LOAD, OUTCOMES, VOTES];

/// Draws every picture that these rows have data for.
pub fn draw_all(input: Input) -> Result<Vec<Plot>> {
    let context = Context::new(input);
    let mut plots = context.latency()?;
    plots.extend(context.by_nodes()?);
    plots.extend(context.throughput()?);
    plots.extend(context.outcomes()?);
    plots.extend(context.votes()?);
    Ok(plots)
}

/// The rows and what is needed again and again: each cell's setting and all
/// variants, so that labels name only what differs.
struct Context<'a> {
    input: Input<'a>,
    settings: BTreeMap<&'a str, Setting>,
    variants: BTreeSet<Variant>,
}

fn plot(section: &'static str, name: &str, title: String, svg: String) -> Plot {
    let name = name.replace("/s", "-per-s").replace([' ', ','], "-").replace("--", "-");
    Plot { file: file_name(&name, "svg"), section, title, svg }
}

/// Joins what is not empty.
fn join(parts: &[&str], separator: &str) -> String {
    parts.iter().filter(|p| !p.is_empty()).copied().collect::<Vec<_>>().join(separator)
}

fn milliseconds(us: u64) -> f64 {
    us as f64 / 1000.0
}

fn fault_words(fault: &str) -> String {
    if fault == "none" { "no faults".into() } else { fault.into() }
}

impl<'a> Context<'a> {
    fn new(input: Input<'a>) -> Self {
        let settings = settings(input.cells);
        let variants = settings.values().map(|s| s.variant.clone()).collect();
        Context { input, settings, variants }
    }

    fn label(&self, variant: &Variant) -> String {
        variant.label(&self.variants)
    }

    /// The summary rows of each setting, in the order of tables.
    fn by_setting(&self) -> Vec<(&Setting, Vec<&'a SummaryRow>)> {
        let mut groups: Vec<(&Setting, Vec<&SummaryRow>)> = Vec::new();
        for row in self.input.summary {
            let Some(setting) = self.settings.get(row.cell.as_str()) else {
                continue;
            };
            match groups.iter_mut().find(|(s, _)| *s == setting) {
                Some((_, rows)) => rows.push(row),
                None => groups.push((setting, vec![row])),
            }
        }
        groups
    }

    /// Latency percentiles, one picture per setting.
    fn latency(&self) -> Result<Vec<Plot>> {
        let mut by_cell: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for sample in self.input.samples {
            if let Some(latency) = sample.latency_us() {
                by_cell.entry(&sample.cell).or_default().push(latency);
            }
        }
        by_cell.values_mut().for_each(|values| values.sort_unstable());
        let mut plots = Vec::new();
        for (setting, rows) in self.by_setting() {
            let series: Vec<Series> = rows
                .iter()
                .filter_map(|row| {
                    let points = percentile_curve(by_cell.get(row.cell.as_str())?);
                    Some(Series { protocol: row.protocol.clone(), points })
                })
                .collect();
            let values = series.iter().flat_map(|s| s.points.iter().map(|p| p.1));
            let Some((low, high)) = bounds(values.filter(|v| *v > 0.0)) else {
                continue;
            };
            let most = rows.iter().map(|row| row.decided).max().unwrap_or(0);
            let variant = self.label(&setting.variant);
            let subtitle = join(
                &[
                    &format!("n = {}", setting.nodes),
                    &fault_words(&setting.fault),
                    &variant,
                    "decided requests only",
                ],
                ", ",
            );
            let (what, y) = match setting.variant.rate_per_s() {
                Some(_) => ("Response time percentiles", "response time from intended send (ms)"),
                None => ("Consensus time percentiles", "consensus time (ms)"),
            };
            let x = Axis::percentiles(most as usize, "percentile of decided requests");
            let svg = line_chart((what, &subtitle), &x, &Axis::log(low, high, y), &series, false)?;
            let nodes = format!("n{}", setting.nodes);
            let name = join(&["latency", &nodes, &setting.fault, &variant], "-");
            plots.push(plot(LATENCY, &name, format!("{what}: {subtitle}"), svg));
        }
        Ok(plots)
    }

    /// Median latency and messages per decision against `n`.
    fn by_nodes(&self) -> Result<Vec<Plot>> {
        let mut groups: BTreeMap<(bool, String, Variant), Vec<&SummaryRow>> = BTreeMap::new();
        for row in self.input.summary {
            let Some(setting) = self.settings.get(row.cell.as_str()) else {
                continue;
            };
            for class in fault_classes(row) {
                let key = (class != "none", class, setting.variant.clone());
                groups.entry(key).or_default().push(row);
            }
        }
        let mut plots = Vec::new();
        for ((_, fault, variant), rows) in &groups {
            let label = self.label(variant);
            let latency = |row: &SummaryRow| row.p50_us.map(milliseconds);
            let messages = |row: &SummaryRow| row.messages_per_decision;
            let about = join(&[&fault_words(fault), &label], ", ");
            let charts: [(&str, &str, &str, Value); 2] = [
                (
                    "latency-by-nodes",
                    "Median latency against the number of nodes",
                    "median latency (ms)",
                    &latency,
                ),
                (
                    "messages-by-nodes",
                    "Agreement messages against the number of nodes",
                    "agreement messages per decision",
                    &messages,
                ),
            ];
            for (name, title, y, value) in charts {
                let x = |row: &SummaryRow| f64::from(row.nodes);
                let labels = (title, about.as_str(), "nodes n", y);
                if let Some(svg) = chart_over(rows, &x, value, labels)? {
                    let name = join(&[name, fault, &label], "-");
                    plots.push(plot(SCALING, &name, format!("{title}: {about}"), svg));
                }
            }
        }
        plots.sort_by_key(|plot| plot.file.starts_with("messages"));
        Ok(plots)
    }

    /// Throughput against payload, batch and clients, where they vary.
    fn throughput(&self) -> Result<Vec<Plot>> {
        type Part = (&'static str, &'static str, fn(&mut Variant) -> &mut u64);
        let parts: [Part; 3] = [
            ("payload", "payload (bytes)", |v| &mut v.payload_bytes),
            ("batch", "most requests in a slot", |v| &mut v.batch_max),
            ("clients", "requests in flight", |v| &mut v.clients),
        ];
        let mut plots = Vec::new();
        for (name, x_title, part) in parts {
            // Cells alike in all but this part form one picture.
            let mut groups: BTreeMap<Setting, Vec<&SummaryRow>> = BTreeMap::new();
            for row in self.input.summary {
                let Some(setting) = self.settings.get(row.cell.as_str()) else {
                    continue;
                };
                let mut rest = setting.clone();
                *part(&mut rest.variant) = 0;
                groups.entry(rest).or_default().push(row);
            }
            let rests: BTreeSet<Variant> = groups.keys().map(|s| s.variant.clone()).collect();
            for (rest, rows) in &groups {
                let x = |row: &SummaryRow| {
                    let variant = self.settings.get(row.cell.as_str()).map(|s| s.variant.clone());
                    variant.map_or(0.0, |mut v| *part(&mut v) as f64)
                };
                let title = format!("Throughput against {name}");
                let label = rest.variant.label(&rests);
                let nodes = format!("n = {}", rest.nodes);
                let about = join(&[&nodes, &fault_words(&rest.fault), &label], ", ");
                let labels = (title.as_str(), about.as_str(), x_title, "decided requests per second");
                let value = |row: &SummaryRow| row.throughput_per_s;
                if let Some(svg) = chart_over(rows, &x, &value, labels)? {
                    let nodes = format!("n{}", rest.nodes);
                    let name = join(&["throughput-by", name, &nodes, &rest.fault, &label], "-");
                    plots.push(plot(LOAD, &name, format!("{title}: {about}"), svg));
                }
            }
        }
        Ok(plots)
    }

    /// Outcome shares by number of faulty nodes, per number of nodes.
    fn outcomes(&self) -> Result<Vec<Plot>> {
        let mut by_nodes: BTreeMap<u32, BTreeMap<(usize, String), Shares>> = BTreeMap::new();
        for row in self.input.summary.iter().filter(|row| row.requests > 0) {
            // Where repetitions drew different nodes, the lists are as long.
            let faulty = faulty_count(row.faulty.split('|').next().unwrap_or_default());
            let protocols =
                by_nodes.entry(row.nodes).or_default().entry((faulty, row.fault.clone())).or_default();
            let counts = protocols.entry((protocol_rank(&row.protocol), row.protocol.clone())).or_default();
            let more = [row.decided, row.timeouts, row.errors, row.violations];
            counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
        }
        let mut plots = Vec::new();
        for (nodes, groups) in &by_nodes {
            let groups: Vec<_> = groups.iter().collect();
            let pages = groups.chunks(6).collect::<Vec<_>>();
            for (page, groups) in pages.iter().enumerate() {
                let part = match pages.len() {
                    1 => String::new(),
                    pages => format!("part {} of {pages}", page + 1),
                };
                let about = join(&[&format!("n = {nodes}"), "all loads together", &part], ", ");
                let svg = picture((860, 440), |area| draw_outcomes(area, &about, groups))?;
                let name = join(&["outcomes", &format!("n{nodes}"), &part], "-");
                plots.push(plot(OUTCOMES, &name, format!("Outcomes by faulty nodes: {about}"), svg));
            }
        }
        Ok(plots)
    }

    /// Votes received by every node, a panel per protocol.
    fn votes(&self) -> Result<Vec<Plot>> {
        let mut tallies: BTreeMap<&str, BTreeMap<u32, Tally>> = BTreeMap::new();
        for row in self.input.nodes {
            let tally = tallies.entry(&row.cell).or_default().entry(row.node).or_default();
            tally.correct += row.correct;
            tally.corrupt += row.corrupt;
            tally.faulty |= row.faults != "none" && !row.faults.is_empty();
        }
        let mut plots = Vec::new();
        for (setting, rows) in self.by_setting() {
            let panels: Vec<(&str, &BTreeMap<u32, Tally>)> = rows
                .iter()
                .filter_map(|row| Some((row.protocol.as_str(), tallies.get(row.cell.as_str())?)))
                .filter(|(_, nodes)| nodes.values().any(|t| t.correct + t.corrupt > 0))
                .collect();
            if panels.is_empty() {
                continue;
            }
            let variant = self.label(&setting.variant);
            let nodes = format!("n = {}", setting.nodes);
            let about = join(&[&nodes, &fault_words(&setting.fault), &variant, "all repetitions"], ", ");
            let height = 110 + 170 * panels.len() as u32;
            let svg = picture((860, height), |area| draw_votes(area, &about, &panels))?;
            let nodes = format!("n{}", setting.nodes);
            let name = join(&["votes", &nodes, &setting.fault, &variant], "-");
            plots.push(plot(VOTES, &name, format!("Votes received per node: {about}"), svg));
        }
        Ok(plots)
    }
}

type Value<'f> = &'f dyn Fn(&SummaryRow) -> Option<f64>;

/// Lines of a value over another, one per protocol; `None` unless some
/// protocol has two different places on the horizontal axis.
fn chart_over(
    rows: &[&SummaryRow],
    x: &dyn Fn(&SummaryRow) -> f64,
    value: Value,
    (title, about, x_title, y_title): (&str, &str, &str, &str),
) -> Result<Option<String>> {
    let mut lines: BTreeMap<(usize, &str), Vec<(f64, f64)>> = BTreeMap::new();
    for row in rows {
        if let Some(y) = value(row).filter(|y| y.is_finite()) {
            let line = lines.entry((protocol_rank(&row.protocol), &row.protocol)).or_default();
            line.push((x(row), y));
        }
    }
    for points in lines.values_mut() {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    if !lines.values().any(|points| points.first().map(|p| p.0) != points.last().map(|p| p.0)) {
        return Ok(None);
    }
    let mut places: Vec<f64> = lines.values().flatten().map(|p| p.0).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let spread = places.last().unwrap_or(&1.0) / places.first().unwrap_or(&1.0);
    let x_axis = Axis::at_values(&places, spread > 6.0, x_title);
    let values = || lines.values().flatten().map(|p| p.1);
    let (low, high) = bounds(values()).unwrap_or((0.0, 1.0));
    let y_axis = if low > 0.0 && high / low > 12.0 {
        Axis::log(low, high, y_title)
    } else {
        Axis::from_zero(high, y_title)
    };
    let series: Vec<Series> = lines
        .into_iter()
        .map(|((_, protocol), points)| Series { protocol: protocol.to_string(), points })
        .collect();
    line_chart((title, about), &x_axis, &y_axis, &series, true).map(Some)
}

/// The groups of pictures against `n` that a cell belongs to: its own fault,
/// and "f KIND" where exactly as many are faulty as the flow tolerates, so
/// that `offline:1` at n = 4 and `offline:2` at n = 7 meet.
fn fault_classes(row: &SummaryRow) -> Vec<String> {
    let mut classes = vec![row.fault.clone()];
    if let Some((kind, count)) = row.fault.split_once(':')
        && count.parse() == Ok(row.f)
        && row.f > 0
    {
        classes.push(format!("f {kind}"));
    }
    classes
}

/// Points of `1 / (1 - p)` and milliseconds, the maximum as the last.
fn percentile_curve(sorted: &[u64]) -> Vec<(f64, f64)> {
    const PER_DECADE: f64 = 32.0;
    let count = sorted.len() as f64;
    let mut points = Vec::new();
    for step in 0.. {
        let x = 10f64.powf(f64::from(step) / PER_DECADE);
        if x >= count {
            break;
        }
        points.extend(quantile(sorted, 1.0 - 1.0 / x).map(|us| (x, milliseconds(us))));
    }
    points.extend(sorted.last().map(|us| (count.max(1.0), milliseconds(*us))));
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::summary::summarise;
    use crate::results::testdata::{self, CellSpec, Data};

    fn plots_of(data: &Data) -> Vec<Plot> {
        let summary = summarise(&data.samples, &data.nodes, &data.cells, &[]);
        let input =
            Input { samples: &data.samples, nodes: &data.nodes, cells: &data.cells, summary: &summary };
        draw_all(input).unwrap()
    }

    fn files(plots: &[Plot], section: &str) -> Vec<String> {
        plots.iter().filter(|p| p.section == section).map(|p| p.file.clone()).collect()
    }

    #[test]
    fn a_comparison_gives_each_picture_once() {
        let plots = plots_of(&testdata::standard());
        assert_eq!(files(&plots, LOAD), [""; 0]);
        assert_eq!(files(&plots, OUTCOMES), ["outcomes-n4.svg", "outcomes-n7.svg", "outcomes-n10.svg"]);
        let scaling = files(&plots, SCALING);
        for file in [
            "latency-by-nodes-none.svg",
            "latency-by-nodes-f-offline.svg",
            "messages-by-nodes-f-malicious.svg",
        ] {
            assert!(scaling.contains(&file.to_string()), "{file} not in {scaling:?}");
        }
        let latency = files(&plots, LATENCY);
        assert!(latency.contains(&"latency-n4-none.svg".to_string()));
        // Two offline of four: nothing was decided, so there is no latency.
        assert!(!latency.iter().any(|f| f.starts_with("latency-n4-offline:2")), "{latency:?}");
        let mut names: Vec<_> = plots.iter().map(|p| &p.file).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), plots.len());
    }

    #[test]
    fn throughput_is_drawn_over_what_varies() {
        let mut data = Data::default();
        for clients in [1, 8, 64] {
            data.add(&CellSpec { clients, ..CellSpec::new("ccro", 4, "none") });
        }
        assert_eq!(files(&plots_of(&data), LOAD), ["throughput-by-clients-n4-none.svg"]);
    }

    #[test]
    fn no_data_one_request_and_zeros_do_not_panic() {
        assert_eq!(plots_of(&Data::default()), []);
        let mut data = Data::default();
        data.add(&CellSpec { requests: 1, ..CellSpec::new("pbft", 1, "none") });
        assert!(files(&plots_of(&data), LATENCY).len() == 1);
        data.set_latencies("pbft-1-none", &[&[0]]);
        data.nodes.iter_mut().for_each(|n| (n.correct, n.corrupt) = (0, 0));
        data.cells.iter_mut().for_each(|c| c.measured_s = 0.0);
        let plots = plots_of(&data);
        assert!(files(&plots, LATENCY).is_empty() && files(&plots, VOTES).is_empty());
        data.add(&CellSpec { requests: 0, decided: false, ..CellSpec::new("pbft", 200, "none") });
        assert_eq!(files(&plots_of(&data), OUTCOMES), ["outcomes-n1.svg"]);
    }

    #[test]
    fn the_curve_ends_at_the_maximum_and_never_falls() {
        let values: Vec<u64> = (1..=1000).map(|v| v * 1000).collect();
        let curve = percentile_curve(&values);
        assert_eq!(curve[0], (1.0, 1.0));
        assert_eq!(curve.last(), Some(&(1000.0, 1000.0)));
        assert!(curve.contains(&(10.0, 900.0)) && curve.contains(&(100.0, 990.0)));
        assert!(curve.windows(2).all(|w| w[0].1 <= w[1].1));
        assert_eq!(percentile_curve(&[]), []);
        assert_eq!(percentile_curve(&[2000]), [(1.0, 2.0)]);
    }
}

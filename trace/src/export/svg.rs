//! A space-time diagram as SVG.

use super::labels::{self, Labels};
use super::sequence::gateways;
use super::tally::{Counted, Step, Tally};
use super::{ExportError, Selection, roles};
use crate::{Line, MarkRecord, Message, NodeChange, Trace};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A diagram with more arrows is a carpet.
const MOST_ARROWS: usize = 3000;
/// Left of the lanes, for names.
const LEFT: f64 = 190.0;
const RIGHT: f64 = 40.0;
/// Above the first lane, for the title.
const TOP: f64 = 70.0;
/// From lane to lane.
const LANE: f64 = 74.0;
/// Height of a full quorum.
const QUORUM: f64 = 20.0;
/// Colours of kinds of messages; more kinds share the last one.
const COLOURS: usize = 8;
const STYLE: &str = include_str!("svg.css");

/// The part of a trace as a space-time diagram: time runs to the right, each node has a
/// lane, a message is an arrow from when it leaves to when it arrives, and the votes that
/// a node has fill a bar on its lane.
///
/// # Errors
///
/// If it would have too many arrows, or nothing in it.
pub fn svg(trace: &Trace, selection: &Selection) -> Result<String, ExportError> {
    let lines = selection.lines_at_most(trace, MOST_ARROWS)?;
    let mut diagram = Diagram::new(trace, &lines);
    diagram.down_times();
    diagram.view_changes();
    diagram.messages(&lines);
    diagram.requests(&lines);
    diagram.quorums(&lines);
    diagram.events(&lines);
    Ok(diagram.finish())
}

struct Diagram<'a> {
    trace: &'a Trace,
    labels: Labels<'a>,
    /// Its first and its last moment.
    span: (u64, u64),
    width: f64,
    /// The colour of each kind, in the order in which they appear.
    kinds: BTreeMap<&'a str, usize>,
    body: String,
}

impl<'a> Diagram<'a> {
    fn new(trace: &'a Trace, lines: &[&'a Line]) -> Diagram<'a> {
        let moments: Vec<u64> = lines.iter().flat_map(|line| moments(line)).collect();
        let first = moments.iter().copied().min().unwrap_or(0);
        let last = moments.iter().copied().max().unwrap_or(0).max(first.saturating_add(1));
        let mut distinct: Vec<u64> = moments;
        distinct.sort_unstable();
        distinct.dedup();
        let mut kinds = BTreeMap::new();
        for line in lines {
            if let Line::Message(message) = line {
                let next = kinds.len().min(COLOURS - 1);
                kinds.entry(message.kind.as_str()).or_insert(next);
            }
        }
        let width = (distinct.len() as f64 * 24.0).clamp(900.0, 8000.0);
        let labels = Labels::of(trace);
        Diagram { trace, labels, span: (first, last), width, kinds, body: String::new() }
    }

    /// Where a moment is.
    fn x(&self, t: u64) -> f64 {
        let (first, last) = self.span;
        LEFT + self.width * (t.saturating_sub(first) as f64 / (last - first).max(1) as f64).min(1.0)
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        self.body.write_fmt(element).expect("memory takes all that is written to it");
        self.body.push('\n');
    }

    /// A part of a node's lane, from a moment to another, as far as it is shown.
    fn stretch(&mut self, class: &str, node: u16, (from, to): (u64, u64), tip: &str) {
        let (first, last) = self.span;
        if to < first || from > last {
            return;
        }
        let (x, y) = (self.x(from), lane(node) - 14.0);
        let width = (self.x(to) - x).max(1.0);
        self.put(format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="28"><title>{}</title></rect>"#,
            escaped(tip)
        ));
    }

    /// Nodes that are down, also since before what is chosen.
    fn down_times(&mut self) {
        let edges = self.trace.lines.iter().filter_map(|line| match line {
            Line::Node { t, node, change: NodeChange::Crashed } => Some((*t, *node, Some(String::new()))),
            Line::Node { t, node, change: NodeChange::Restarted } => Some((*t, *node, None)),
            _ => None,
        });
        for (node, span, _) in spans(edges) {
            self.stretch("down", node, span, &format!("node {node} is down"));
        }
    }

    /// From when a node leaves a view until it begins another.
    fn view_changes(&mut self) {
        let edges = self.trace.lines.iter().filter_map(|line| match line {
            Line::Mark { t, node, mark: MarkRecord::LeftFor { view } } => {
                Some((*t, *node, Some(view.to_string())))
            }
            Line::Mark { t, node, mark: MarkRecord::ViewBegan { .. } } => Some((*t, *node, None)),
            // What it wanted is forgotten.
            Line::Node { t, node, .. } => Some((*t, *node, None)),
            _ => None,
        });
        for (node, span, view) in spans(edges) {
            self.stretch("change", node, span, &format!("node {node} changes to view {view}"));
        }
    }

    fn messages(&mut self, lines: &[&Line]) {
        for line in lines {
            let Line::Message(message) = line else { continue };
            let colour = self.kinds.get(message.kind.as_str()).copied().unwrap_or(0);
            for (to, arrivals) in &message.to {
                for arrival in arrivals {
                    self.arrow(colour, message, *to, *arrival);
                }
                if arrivals.is_empty() {
                    self.lost(colour, message, *to);
                }
            }
        }
    }

    fn arrow(&mut self, colour: usize, message: &Message, to: u16, arrives: u64) {
        let label = self.labels.message(message);
        let (left, arrived) = (labels::time(message.t), labels::time(arrives));
        let tip = format!("{label} from {} to {to}, {left} to {arrived}", message.from);
        let (begin, end) = ((self.x(message.t), lane(message.from)), (self.x(arrives), lane(to)));
        self.line(&format!("k{colour}"), begin, end, &tip);
    }

    fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64), tip: &str) {
        self.put(format_args!(
            r#"<line class="a {class}" marker-end="url(#{class})" x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}"><title>{}</title></line>"#,
            from.0,
            from.1,
            to.0,
            to.1,
            escaped(tip)
        ));
    }

    /// A copy that never arrives: an arrow that ends on its way.
    fn lost(&mut self, colour: usize, message: &Message, to: u16) {
        let (x, from) = (self.x(message.t), lane(message.from));
        let middle = from + (lane(to) - from) * 0.4;
        let end = x + 14.0;
        let tip = format!("{} from {} to {to} does not arrive", self.labels.message(message), message.from);
        self.put(format_args!(
            r#"<g class="lost k{colour}"><title>{}</title><path d="M{x:.1} {from:.1}L{end:.1} {middle:.1}m-4 -4l8 8m0 -8l-8 8"/></g>"#,
            escaped(&tip)
        ));
    }

    /// What clients ask and are answered.
    fn requests(&mut self, lines: &[&Line]) {
        let gateways = gateways(self.trace);
        for line in lines {
            match line {
                Line::Request { t, request, gateway, asks } => {
                    let tip = format!("request {request} at {}: {}", labels::time(*t), labels::content(asks));
                    let x = self.x(*t);
                    self.line("client", (x, clients()), (x, lane(*gateway)), &tip);
                }
                Line::Answer { t, request, seq, result, .. } => {
                    let Some(gateway) = gateways.get(request) else { continue };
                    let what = labels::content(result);
                    let tip = format!("answer to {request} from slot {seq} at {}: {what}", labels::time(*t));
                    let x = self.x(*t);
                    self.line("client", (x, lane(*gateway)), (x, clients()), &tip);
                }
                _ => {}
            }
        }
    }

    /// How full each quorum is, whenever a vote comes in.
    fn quorums(&mut self, lines: &[&Line]) {
        let (Some(first), Some(last)) = (lines.first().and_then(|l| l.t()), lines.last().and_then(|l| l.t()))
        else {
            return;
        };
        let slots: BTreeSet<u64> = lines.iter().filter_map(|line| line.seq()).collect();
        let mut tally = Tally::default();
        // Of several at one moment, the last.
        let mut bars: BTreeMap<(u64, u16, u64, Step), Counted> = BTreeMap::new();
        for counted in self.trace.lines.iter().filter_map(|line| tally.take(line)) {
            if (first..=last).contains(&counted.t) && slots.contains(&counted.seq) {
                bars.insert((counted.t, counted.node, counted.seq, counted.step), counted);
            }
        }
        for counted in bars.into_values() {
            self.bar(counted);
        }
    }

    fn bar(&mut self, counted: Counted) {
        let Counted { t, node, seq, value, step, votes } = counted;
        let quorum = self.trace.header.quorum.max(1);
        let fill = QUORUM * (votes as f64 / quorum as f64).min(1.0);
        let (name, offset) = match step {
            Step::Prepare => ("prepare", -7.0),
            Step::Commit => ("commit", 2.0),
        };
        let (x, y) = (self.x(t) + offset, lane(node) - 3.0);
        let full = if votes >= quorum { " full" } else { "" };
        let value = self.labels.value(value);
        let tip = format!("node {node} has {votes} of {quorum} votes to {name} {value} in slot {seq}");
        let (top, fill_top) = (y - QUORUM, y - fill);
        self.put(format_args!(
            r#"<g class="quorum {name}{full}"><title>{}</title><rect class="frame" x="{x:.1}" y="{top:.1}" width="5" height="{QUORUM}"/><rect class="fill" x="{x:.1}" y="{fill_top:.1}" width="5" height="{fill:.1}"/></g>"#,
            escaped(&tip)
        ));
    }

    /// What else happens at nodes.
    fn events(&mut self, lines: &[&Line]) {
        for line in lines {
            match line {
                Line::Mark { t, node, mark: mark @ MarkRecord::Committed { .. } } => {
                    self.dot("decided", *t, *node, labels::of_mark(mark));
                }
                Line::Mark { t, node, mark: mark @ MarkRecord::ViewBegan { view } } => {
                    self.dot("view", *t, *node, labels::of_mark(mark));
                    let (x, y) = (self.x(*t) + 3.0, lane(*node) + 24.0);
                    self.put(format_args!(r#"<text class="s" x="{x:.1}" y="{y:.1}">view {view}</text>"#));
                }
                Line::Mark { t, node, mark } => {
                    if let Some(text) = labels::of_mark(mark) {
                        self.dot("event", *t, *node, Some(text));
                    }
                }
                Line::Node { t, node, change } => {
                    let text = labels::change(change);
                    let (x, y) = (self.x(*t) + 5.0, lane(*node) + 24.0);
                    self.put(format_args!(
                        r#"<text class="s bad" x="{x:.1}" y="{y:.1}">{}</text>"#,
                        escaped(&text)
                    ));
                    self.dot("fault", *t, *node, Some(text));
                }
                Line::Rejected { t, node, from, reason, offence: true, .. } => {
                    let text = labels::plain(&format!("refuses a message of {from}: {reason}"));
                    self.dot("fault", *t, *node, Some(text));
                }
                Line::Network { t, change } => self.network(*t, &labels::plain(change)),
                _ => {}
            }
        }
    }

    fn network(&mut self, t: u64, change: &str) {
        let (x, bottom) = (self.x(t), self.bottom());
        self.put(format_args!(
            r#"<line class="net" x1="{x:.1}" y1="{:.1}" x2="{x:.1}" y2="{bottom:.1}"/><text class="s bad" x="{:.1}" y="{:.1}">{}</text>"#,
            TOP - 14.0,
            x + 3.0,
            TOP - 16.0,
            escaped(change)
        ));
    }

    fn dot(&mut self, class: &str, t: u64, node: u16, text: Option<String>) {
        let (x, y) = (self.x(t), lane(node));
        let tip = format!("node {node} at {}: {}", labels::time(t), text.unwrap_or_default());
        self.put(format_args!(
            r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="4"><title>{}</title></circle>"#,
            escaped(&tip)
        ));
    }

    fn bottom(&self) -> f64 {
        lane(self.trace.header.nodes.saturating_sub(1)) + 34.0
    }

    /// Lanes and names below what was drawn, axis and legend around it.
    fn finish(mut self) -> String {
        let drawn = std::mem::take(&mut self.body);
        self.markers();
        self.lanes();
        self.axis();
        self.body += &drawn;
        self.legend();
        let (width, height) = (LEFT + self.width + RIGHT, self.bottom() + 84.0);
        let title = escaped(&labels::plain(&self.trace.header.title));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"trace\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n\
             <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n\
             <text class=\"h\" x=\"12\" y=\"26\">{title}</text>\n{}</svg>\n",
            self.body
        )
    }

    fn markers(&mut self) {
        let classes = (0..COLOURS).map(|colour| format!("k{colour}")).chain(["client".to_owned()]);
        self.body += "<defs>\n";
        for class in classes {
            self.put(format_args!(
                r#"<marker id="{class}" class="{class}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0.8L8 4L0 7.2z"/></marker>"#
            ));
        }
        self.body += "</defs>\n";
    }

    fn lanes(&mut self) {
        let names = roles::names(self.trace, self.span.0);
        let lanes = names.iter().zip(0..).map(|(name, node)| (name.clone(), lane(node)));
        let all: Vec<(String, f64)> = [("clients".to_owned(), clients())].into_iter().chain(lanes).collect();
        let end = LEFT + self.width;
        for (name, y) in all {
            self.put(format_args!(
                r#"<line class="lane" x1="{LEFT}" y1="{y:.1}" x2="{end:.1}" y2="{y:.1}"/>"#
            ));
            // What a node is stands below its number.
            let mut parts = name.splitn(2, ", ");
            let (number, role) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            self.put(format_args!(r#"<text x="12" y="{:.1}">{}</text>"#, y + 4.0, escaped(number)));
            if !role.is_empty() {
                self.put(format_args!(
                    r#"<text class="s" x="12" y="{:.1}">{}</text>"#,
                    y + 18.0,
                    escaped(role)
                ));
            }
        }
    }

    /// Times at round numbers.
    fn axis(&mut self) {
        let (first, last) = self.span;
        let most = (self.width / 90.0) as u64;
        let step = round_step((last - first) / most.max(1));
        let y = self.bottom();
        let mut t = first.div_ceil(step).saturating_mul(step);
        while t <= last {
            let x = self.x(t);
            let label = labels::time(t);
            self.put(format_args!(
                r#"<line class="tick" x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{y:.1}"/><text class="s c" x="{x:.1}" y="{:.1}">{label}</text>"#,
                y + 14.0
            ));
            let Some(next) = t.checked_add(step) else { break };
            t = next;
        }
    }

    fn legend(&mut self) {
        let y = self.bottom() + 40.0;
        let mut x = 12.0;
        let mut kinds: Vec<(&str, usize)> =
            self.kinds.iter().map(|(kind, colour)| (*kind, *colour)).collect();
        kinds.sort_by_key(|(_, colour)| *colour);
        for (kind, colour) in kinds {
            let (from, to, text) = (x, x + 20.0, x + 26.0);
            self.put(format_args!(
                r#"<line class="a k{colour}" marker-end="url(#k{colour})" x1="{from:.1}" y1="{:.1}" x2="{to:.1}" y2="{:.1}"/><text class="s" x="{text:.1}" y="{y:.1}">{}</text>"#,
                y - 4.0,
                y - 4.0,
                escaped(&labels::plain(kind))
            ));
            x = text + 7.0 * kind.chars().count() as f64 + 16.0;
        }
        let y = y + 22.0;
        self.put(format_args!(
            r#"<circle class="decided" cx="18" cy="{:.1}" r="4"/><text class="s" x="28" y="{y:.1}">decided</text><circle class="fault" cx="98" cy="{:.1}" r="4"/><text class="s" x="108" y="{y:.1}">fault</text><rect class="change" x="158" y="{:.1}" width="18" height="12"/><text class="s" x="182" y="{y:.1}">changes view</text><rect class="down" x="282" y="{:.1}" width="18" height="12"/><text class="s" x="306" y="{y:.1}">down</text><text class="s" x="358" y="{y:.1}">bars: votes that a node has, left to prepare, right to commit; solid when they are a quorum</text>"#,
            y - 4.0,
            y - 4.0,
            y - 10.0,
            y - 10.0
        ));
    }
}

/// Of moments at which something begins at a node (with what it is about) or ends there:
/// from when to when it lasts. It has no end if the run has none for it.
fn spans(edges: impl Iterator<Item = (u64, u16, Option<String>)>) -> Vec<(u16, (u64, u64), String)> {
    let mut open: BTreeMap<u16, (u64, String)> = BTreeMap::new();
    let mut over = Vec::new();
    for (t, node, about) in edges {
        match about {
            Some(about) => open.entry(node).or_insert((t, String::new())).1 = about,
            None => over.extend(open.remove(&node).map(|(from, about)| (node, (from, t), about))),
        }
    }
    over.extend(open.into_iter().map(|(node, (from, about))| (node, (from, u64::MAX), about)));
    over
}

/// When something is drawn for this line.
fn moments(line: &Line) -> Vec<u64> {
    match line {
        Line::State { .. } | Line::App { .. } => Vec::new(),
        Line::Message(message) => {
            let arrivals = message.to.iter().flat_map(|(_, times)| times.iter().copied());
            [message.t].into_iter().chain(arrivals).collect()
        }
        _ => line.t().into_iter().collect(),
    }
}

fn clients() -> f64 {
    TOP
}

fn lane(node: u16) -> f64 {
    TOP + LANE * (f64::from(node) + 1.0)
}

/// The next of 1, 2 and 5 times a power of ten.
fn round_step(least: u64) -> u64 {
    let mut power: u64 = 1;
    loop {
        for factor in [1, 2, 5] {
            let step = power.saturating_mul(factor);
            if step >= least {
                return step;
            }
        }
        power = power.saturating_mul(10);
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

//! Charts of rows: groups of labelled rows along one horizontal axis, with the value
//! of each row in figures at its right end.

use super::figure::{PANEL_WIDTH, Panel};
use super::scale::Scale;
use super::style::{class_of, is_marked, marker, name_of};
use super::svg::Element;
use super::words::wrap;

const LEFT: f64 = 84.0;
const ROW: f64 = 17.0;
const TOP: f64 = 24.0;
const AXIS: f64 = 34.0;
/// Width of a character of a label, about.
const CHARACTER: f64 = 6.2;

/// A panel of rows.
pub(super) struct RowChart {
    /// What sets the panel apart.
    pub(super) title: String,
    /// The axis that all rows share.
    pub(super) axis: Scale,
    /// What is on the axis, with its unit.
    pub(super) axis_title: String,
    /// A value to compare with.
    pub(super) reference: Option<f64>,
    /// Room for the figures at the right end, in pixels.
    pub(super) values: f64,
    /// The rows.
    pub(super) groups: Vec<Group>,
}

/// Rows under one heading.
pub(super) struct Group {
    pub(super) label: String,
    pub(super) rows: Vec<Row>,
}

/// One row.
pub(super) struct Row {
    pub(super) protocol: String,
    /// What stands at the right end.
    pub(super) value: String,
    /// What the pointer brings up.
    pub(super) tip: String,
    pub(super) marks: Vec<Mark>,
}

/// What is drawn in a row.
pub(super) enum Mark {
    /// The protocol's marker; hollow where not significant.
    Point { at: f64, filled: bool },
    /// A confidence interval.
    Interval(f64, f64),
    /// A thin line from a value to another with an end to it.
    Reach(f64, f64),
    /// A short upright line.
    Tick(f64),
    /// A bar from a value to another, filled as the class says; with a text inside if
    /// there is room.
    Bar { from: f64, to: f64, class: &'static str, label: &'static str },
}

impl RowChart {
    /// The panel as a picture.
    pub(super) fn draw(&self) -> Panel {
        let mut content = Element::group("").child(Element::text("h", (0.0, 13.0), &self.title));
        let mut y = TOP;
        let mut rows = Element::group("");
        for group in &self.groups {
            if !group.label.is_empty() {
                let lines = wrap(&group.label, ((PANEL_WIDTH - 4.0) / CHARACTER) as usize, 2);
                for line in lines {
                    rows.push(Element::text("b", (0.0, y + 12.0), &line));
                    y += ROW;
                }
            }
            for row in &group.rows {
                rows.push(self.row(row, y));
                y += ROW;
            }
            y += 6.0;
        }
        content.push(self.axis(y));
        content.push(rows);
        Panel { title: self.title.clone(), height: y + AXIS, content }
    }

    fn right(&self) -> f64 {
        PANEL_WIDTH - self.values
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + self.axis.place(value) * (self.right() - LEFT)
    }

    fn axis(&self, bottom: f64) -> Element {
        let mut axis = Element::group("");
        for (value, label) in &self.axis.ticks {
            let x = self.x(*value);
            axis.push(Element::line("g", (x, TOP), (x, bottom)));
            axis.push(Element::text("m c", (x, bottom + 13.0), label));
        }
        if let Some(reference) = self.reference {
            let x = self.x(reference);
            axis.push(Element::line("ref", (x, TOP - 2.0), (x, bottom)));
        }
        axis.push(Element::line("x", (LEFT, bottom), (self.right(), bottom)));
        let middle = (LEFT + self.right()) / 2.0;
        axis.child(Element::text("m c", (middle, bottom + 28.0), &self.axis_title))
    }

    fn row(&self, row: &Row, top: f64) -> Element {
        let middle = top + ROW / 2.0;
        let mut drawn = Element::group(class_of(&row.protocol)).tip(&row.tip);
        drawn.push(Element::rect("hit", (0.0, top), (PANEL_WIDTH, ROW)));
        drawn.push(Element::text("n", (8.0, middle + 4.0), &name_of(&row.protocol)));
        for mark in &row.marks {
            self.mark(&mut drawn, &row.protocol, mark, middle);
        }
        drawn.child(Element::text("e", (PANEL_WIDTH - 1.0, middle + 4.0), &row.value))
    }

    fn mark(&self, into: &mut Element, protocol: &str, mark: &Mark, y: f64) {
        match *mark {
            Mark::Point { at, filled } => into.push(marker(protocol, (self.x(at), y), filled)),
            Mark::Interval(low, high) => {
                into.push(Element::line("l w", (self.x(low), y), (self.x(high), y)));
            }
            Mark::Reach(from, to) => {
                let (from, to) = (self.x(from), self.x(to));
                let line = if is_marked(protocol) { "l thin j" } else { "l thin" };
                into.push(Element::line(line, (from, y), (to, y)));
                into.push(Element::line("l", (to, y - 4.0), (to, y + 4.0)));
            }
            Mark::Tick(at) => {
                let x = self.x(at);
                into.push(Element::line("x", (x, y - 7.0), (x, y + 7.0)));
            }
            Mark::Bar { from, to, class, label } => {
                // One violation in a million must still be seen.
                let (from, to) = (self.x(from), self.x(to).max(self.x(from) + 1.5));
                into.push(Element::rect(class, (from, y - 6.5), (to - from, 13.0)));
                if label.chars().count() as f64 * CHARACTER + 6.0 < to - from {
                    let text = if class == "a" { "inv" } else { "" };
                    into.push(Element::text(text, (from + 4.0, y + 4.0), label));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_shows_its_name_its_value_and_its_tip() {
        let row = |protocol: &str, at: f64| Row {
            protocol: protocol.into(),
            value: format!("{at} ms"),
            tip: format!("{protocol} took {at} ms"),
            marks: vec![
                Mark::Interval(at * 0.9, at * 1.1),
                Mark::Reach(at, at * 2.0),
                Mark::Point { at, filled: true },
                Mark::Tick(0.5),
            ],
        };
        let chart = RowChart {
            title: "n = 4".into(),
            axis: Scale::log(1.0, 10.0, 1.1, 5),
            axis_title: "ms".into(),
            reference: Some(1.0),
            values: 60.0,
            groups: vec![Group {
                label: "f = 1 <offline>".into(),
                rows: vec![row("pbft", 2.0), row("ccro-paper", 3.0)],
            }],
        };
        let panel = chart.draw();
        let text = panel.inline("time");
        let page = roxmltree::Document::parse(&text).unwrap();
        let texts: Vec<&str> =
            page.descendants().filter(|n| n.has_tag_name("text")).filter_map(|n| n.text()).collect();
        for expected in ["n = 4", "f = 1 <offline>", "pbft", "ccro-paper *", "2 ms", "3 ms", "ms", "5"] {
            assert!(texts.contains(&expected), "{expected} not in {texts:?}");
        }
        let tips: Vec<&str> =
            page.descendants().filter(|n| n.has_tag_name("title")).filter_map(|n| n.text()).collect();
        assert_eq!(tips, ["pbft took 2 ms", "ccro-paper took 3 ms"]);
        assert!(panel.height > 80.0 && panel.height < 140.0, "{}", panel.height);
    }

    #[test]
    fn the_smallest_share_is_seen_and_only_wide_bars_are_labelled() {
        let bar = |from, to, label| Mark::Bar { from, to, class: "violation", label };
        let chart = RowChart {
            title: String::new(),
            axis: Scale::from_zero(100.0, 4),
            axis_title: String::new(),
            reference: None,
            values: 0.0,
            groups: vec![Group {
                label: String::new(),
                rows: vec![Row {
                    protocol: "pbft".into(),
                    value: String::new(),
                    tip: String::new(),
                    marks: vec![bar(0.0, 0.0001, "tiny"), bar(0.0, 90.0, "wide")],
                }],
            }],
        };
        let text = chart.draw().inline("outcomes");
        assert!(text.contains(r#"width="1.5""#) && text.contains("wide") && !text.contains("tiny"), "{text}");
    }
}

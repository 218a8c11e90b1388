//! A figure: panels side by side with one caption, and the numbers in it as CSV.

use super::style::{FIGURE_CSS, patterns};
use super::svg::Element;

/// The width of every panel: what a phone shows without making it smaller.
pub(super) const PANEL_WIDTH: f64 = 400.0;

/// Panels beside each other in a saved picture.
const COLUMNS: usize = 3;

/// Most panels of a figure: with thousands a page gets slow, and nobody looks at them.
pub(super) const MOST_PANELS: usize = 24;

/// One of a figure's small multiples.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Panel {
    /// What sets it apart from the others.
    pub(super) title: String,
    /// In pixels; the width is [`PANEL_WIDTH`].
    pub(super) height: f64,
    /// What is drawn.
    pub(super) content: Element,
}

/// A figure of the report.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    /// Its name: the anchor on the page, and the files' name in `plots/`.
    pub(super) id: &'static str,
    /// What it shows.
    pub(super) title: String,
    /// How it is read.
    pub(super) caption: String,
    /// The panels.
    pub(super) panels: Vec<Panel>,
    /// Panels that would have been too many.
    pub(super) omitted: usize,
    /// The numbers in it, exactly as drawn.
    pub(super) data: Data,
}

/// A small table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Data {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Data {
    /// A table with these columns.
    pub(super) fn new(header: &[&'static str]) -> Self {
        Data { header: header.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: Vec<String>) {
        debug_assert_eq!(row.len(), self.header.len());
        self.rows.push(row);
    }

    /// The table as CSV with its header.
    pub(super) fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        // Writing to memory cannot fail, and all rows are as long as the header.
        let _ = writer.write_record(&self.header);
        for row in &self.rows {
            let _ = writer.write_record(row);
        }
        writer.into_inner().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

/// A number of a figure's data; empty where there is none.
pub(super) fn field(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

impl Panel {
    /// The panel as an SVG of its own, for the page.
    pub(super) fn inline(&self, figure: &str) -> String {
        let label =
            if self.title.is_empty() { figure.to_string() } else { format!("{figure}: {}", self.title) };
        Element::new("svg")
            .class("fig")
            .with("viewBox", format!("0 0 {PANEL_WIDTH} {:.0}", self.height))
            .with("role", "img")
            .with("aria-label", label)
            .child(self.content.clone())
            .to_string()
    }
}

impl Figure {
    /// Limits the panels to what fits a page.
    pub(super) fn limited(mut self) -> Self {
        self.omitted = self.panels.len().saturating_sub(MOST_PANELS);
        self.panels.truncate(MOST_PANELS);
        self
    }

    /// The whole figure as one SVG document with its title and style.
    pub(super) fn standalone(&self) -> String {
        let columns = self.panels.len().clamp(1, COLUMNS);
        let (gap, top) = (16.0, 40.0);
        let mut content = Element::group("");
        let mut y = top;
        for row in self.panels.chunks(columns) {
            for (place, panel) in row.iter().enumerate() {
                let x = gap + place as f64 * (PANEL_WIDTH + gap);
                let moved = Element::new("g").with("transform", format!("translate({x} {y:.0})"));
                content.push(moved.child(panel.content.clone()));
            }
            y += row.iter().map(|panel| panel.height).fold(0.0, f64::max) + gap;
        }
        let width = gap + columns as f64 * (PANEL_WIDTH + gap);
        Element::new("svg")
            .with("xmlns", "http://www.w3.org/2000/svg")
            .class("fig")
            .with("viewBox", format!("0 0 {width} {y:.0}"))
            .at("width", width)
            .at("height", y.round())
            .with("role", "img")
            .with("aria-label", self.title.as_str())
            .with_style(FIGURE_CSS)
            .child(patterns())
            .child(Element::rect("paper-bg", (0.0, 0.0), (width, y)))
            .child(Element::text("h", (gap, 24.0), &self.title))
            .child(content)
            .to_string()
    }
}

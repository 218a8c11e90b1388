//! The report page: one file, nothing loaded from elsewhere, and all of it readable
//! without its script.

use std::path::Path;

use anyhow::{Context, Result, bail};
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde::Serialize;
use serde_json::Value as Json;

use super::figure::Figure;
use super::findings::{Finding, Weight};
use super::html_table::Table;
use super::method::Method;
use super::style::{FIGURE_CSS, patterns};

const TEMPLATE: &str = include_str!("template.html");
const PAGE_CSS: &str = include_str!("page.css");
const PAGE_JS: &str = include_str!("page.js");

/// Most bytes of a figure's data on the page; what is longer is in `plots/` alone.
const INLINE_DATA: usize = 60_000;

/// What a page says.
pub(super) struct Page<'a> {
    /// Its heading.
    pub(super) title: String,
    /// What was run, in a sentence or two.
    pub(super) lead: String,
    pub(super) findings: &'a [Finding],
    pub(super) warnings: Vec<Doubt>,
    pub(super) figures: &'a [Figure],
    pub(super) summary: Table,
    pub(super) table_notes: Vec<String>,
    pub(super) outages: Option<Table>,
    pub(super) method: Method,
    pub(super) notes: &'a [String],
    pub(super) conditions: Option<Table>,
    pub(super) machine: Option<&'a Json>,
}

/// What makes a number doubtful, and which.
pub(super) struct Doubt {
    /// The cell; `None` if all are meant.
    pub(super) cell: Option<String>,
    pub(super) text: String,
}

/// Reads `dir/machine.json`; `None` without such a file.
pub fn read_machine(dir: &Path) -> Result<Option<Json>> {
    let path = dir.join("machine.json");
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let json: Json = serde_json::from_str(&text)
        .with_context(|| format!("{} is not JSON; repair or delete it", path.display()))?;
    if !json.is_object() {
        bail!("{} is not a JSON object; repair or delete it", path.display());
    }
    Ok(Some(json))
}

#[derive(Serialize)]
struct ShownFinding {
    text: String,
    weight: &'static str,
    figure: &'static str,
    /// The figure's number; 0 if it is not drawn.
    number: usize,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct ShownFigure {
    id: &'static str,
    title: String,
    caption: String,
    panels: Vec<Value>,
    omitted: usize,
    data: String,
}

#[derive(Serialize)]
struct Fact {
    key: String,
    value: String,
}

impl Page<'_> {
    /// The page as text.
    pub(super) fn render(&self) -> Result<String> {
        let mut environment = Environment::new();
        // The name's ending switches the escaping of HTML on.
        environment.add_template("report.html", TEMPLATE).context("the report's template")?;
        let template = environment.get_template("report.html").context("the report's template")?;
        let values = context! {
            title => self.title.as_str(),
            lead => self.lead.as_str(),
            page_css => Value::from_safe_string(PAGE_CSS.into()),
            figure_css => Value::from_safe_string(FIGURE_CSS.into()),
            page_js => Value::from_safe_string(PAGE_JS.into()),
            patterns => Value::from_safe_string(patterns().to_string()),
            findings => serialised(self.shown_findings()),
            warnings => serialised(self.warnings.iter().map(Doubt::words).collect::<Vec<_>>()),
            figures => serialised(self.figures.iter().map(figure).collect::<Vec<_>>()),
            summary => serialised(&self.summary),
            table_notes => serialised(&self.table_notes),
            outages => serialised(&self.outages),
            method => serialised(&self.method),
            notes => serialised(self.notes),
            conditions => serialised(&self.conditions),
            machine => serialised(self.machine.map(facts).unwrap_or_default()),
        };
        template.render(values).context("cannot fill in the report's template")
    }

    fn shown_findings(&self) -> Vec<ShownFinding> {
        self.findings.iter().map(|finding| self.finding(finding)).collect()
    }

    fn finding(&self, finding: &Finding) -> ShownFinding {
        let number = self.figures.iter().position(|figure| Some(figure.id) == finding.figure);
        let about = |doubt: &&Doubt| doubt.cell.as_ref().is_some_and(|cell| finding.cells.contains(cell));
        ShownFinding {
            text: finding.text.clone(),
            weight: match finding.weight {
                Weight::Alarm => "alarm",
                Weight::Headline => "headline",
                Weight::Detail => "detail",
            },
            figure: finding.figure.unwrap_or_default(),
            number: number.map_or(0, |place| place + 1),
            warnings: self.warnings.iter().filter(about).map(Doubt::words).collect(),
        }
    }
}

fn serialised(value: impl Serialize) -> Value {
    Value::from(Serde(value))
}

impl Doubt {
    fn words(&self) -> String {
        match &self.cell {
            Some(cell) if !self.text.contains(cell.as_str()) => format!("{cell}: {}", self.text),
            _ => self.text.clone(),
        }
    }
}

/// A figure as the template needs it. Its SVG is ours and already escaped.
fn figure(figure: &Figure) -> ShownFigure {
    let data = figure.data.csv();
    ShownFigure {
        id: figure.id,
        title: figure.title.clone(),
        caption: figure.caption.clone(),
        panels: figure.panels.iter().map(|panel| Value::from_safe_string(panel.inline(&figure.title))).collect(),
        omitted: figure.omitted,
        data: if data.len() <= INLINE_DATA { data } else { String::new() },
    }
}

/// Keys and values of a JSON object, nested keys joined by a dot.
fn facts(machine: &Json) -> Vec<Fact> {
    fn walk(key: &str, value: &Json, into: &mut Vec<Fact>) {
        match value {
            Json::Object(map) => {
                for (name, value) in map {
                    let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                    walk(&key, value, into);
                }
            }
            Json::String(text) => into.push(Fact { key: key.into(), value: text.clone() }),
            other => into.push(Fact { key: key.into(), value: other.to_string() }),
        }
    }
    let mut pairs = Vec::new();
    walk("", machine, &mut pairs);
    pairs
}

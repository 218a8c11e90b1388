//! What was found, in sentences made from the data. Each names its numbers and the
//! figure that shows them; what is not significant is called so.

mod comparison;
mod load;
mod outage;
mod outcome;
mod prediction;

use super::material::Material;
use crate::results::schema::PredictionRow;

/// Most sentences of a kind: the rest is in the figures and the table.
const MOST: usize = 8;

/// One sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The sentence.
    pub text: String,
    /// The figure that shows it.
    pub figure: Option<&'static str>,
    /// The cells that it is about.
    pub cells: Vec<String>,
    /// How much it weighs.
    pub weight: Weight,
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Safety was lost: before all else.
    Alarm,
    /// What the terminal shows too.
    Headline,
    /// What only the page has room for.
    Detail,
}

impl Finding {
    fn new(weight: Weight, figure: &'static str, text: String, cells: Vec<String>) -> Self {
        Finding { text, figure: Some(figure), cells, weight }
    }
}

/// What cells showed, the most important first.
pub(super) fn of_cells(material: &Material) -> Vec<Finding> {
    let mut findings = outcome::violations(material);
    if material.rows.cells.iter().any(|cell| cell.placement == "simulated") {
        findings.push(Finding {
            text: "All times are virtual: these cells were played in the simulator, on the network described in \
                   network.toml."
                .into(),
            figure: None,
            cells: vec![],
            weight: Weight::Headline,
        });
    }
    findings.extend(outage::findings(material));
    findings.extend(comparison::findings(material));
    findings.extend(load::findings(material));
    findings.extend(outcome::decided(material));
    findings.extend(outcome::floor(material));
    findings
}

/// What `harness predict` showed.
pub(super) fn of_predictions(predictions: &[PredictionRow]) -> Vec<Finding> {
    prediction::findings(predictions)
}

/// A protocol's name in a sentence.
fn name(protocol: &str) -> String {
    match protocol {
        "pbft" | "ccro" => protocol.to_uppercase(),
        _ => protocol.to_string(),
    }
}

/// At most [`MOST`] of these, and how many more there are.
fn limited(mut findings: Vec<Finding>, figure: &'static str) -> Vec<Finding> {
    if findings.len() > MOST + 1 {
        let more = findings.split_off(MOST);
        let cells = more.iter().flat_map(|finding| finding.cells.clone()).collect();
        let text = format!("{} more such findings are in the figure and in the table.", more.len());
        findings.push(Finding::new(Weight::Detail, figure, text, cells));
    }
    findings
}

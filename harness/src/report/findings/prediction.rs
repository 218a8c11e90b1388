//! How well the simulator predicted what was measured.

use super::{Finding, Weight};
use crate::report::figures::id;
use crate::report::format::{digits, percent};
use crate::results::schema::PredictionRow;

/// More of the machine in the hands of others than this spoils the comparison.
const DISTURBED: f64 = 0.05;

/// One sentence, and one more where the machine was not quiet.
pub(super) fn findings(predictions: &[PredictionRow]) -> Vec<Finding> {
    let cells: Vec<String> = predictions.iter().map(|row| row.cell.clone()).collect();
    let good = predictions.iter().filter(|row| row.within_30_percent).count();
    let mut ratios: Vec<(f64, &str)> =
        predictions.iter().filter_map(|row| Some((row.ratio?, row.cell.as_str()))).collect();
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (Some(least), Some(greatest)) = (ratios.first(), ratios.last()) else { return vec![] };
    let mut text =
        format!("{good} of {} medians are predicted within 30 % of what was measured; ", predictions.len());
    text += &format!(
        "predicted ÷ measured goes from {} ({}) to {} ({}).",
        digits(least.0),
        least.1,
        digits(greatest.0),
        greatest.1
    );
    let mut findings = vec![Finding::new(Weight::Headline, id::PREDICTION, text, cells.clone())];
    let foreign = predictions.iter().filter_map(|row| row.foreign_cpu_share).fold(0.0, f64::max);
    if foreign > DISTURBED {
        let text = format!(
            "Other programs used up to {} of the CPU: this does not judge the model; repeat it on a quiet machine.",
            percent(foreign)
        );
        findings.push(Finding::new(Weight::Headline, id::PREDICTION, text, cells));
    }
    findings
}

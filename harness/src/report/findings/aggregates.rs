//! Where aggregate certificates pay: `ccro-aggregate` beside `ccro`.

use std::collections::BTreeMap;

use super::{Finding, Weight, limited, name, without_faults_under};
use crate::report::figures::id;
use crate::report::format::digits;
use crate::report::material::{Group, Material};
use crate::report::words::list;
use crate::results::schema::SummaryRow;
use crate::results::setting::Variant;

const AGGREGATES: &str = "ccro-aggregate";
const LISTS: &str = "ccro";

/// Both rows of one number of nodes, without faults.
struct Pair<'a> {
    nodes: u32,
    aggregates: &'a SummaryRow,
    lists: &'a SummaryRow,
}

impl Pair<'_> {
    /// `6.60 × the CPU time and 0.84 × the bytes at n = 4`.
    fn clause(&self) -> Option<String> {
        let ratio = |of: fn(&SummaryRow) -> Option<f64>| {
            Some(digits(of(self.aggregates)? / of(self.lists).filter(|value| *value > 0.0)?))
        };
        let cpu = ratio(|row| row.cpu_us_per_decision)?;
        let bytes = ratio(|row| row.bytes_per_decision)
            .map_or_else(String::new, |bytes| format!(" and {bytes} × the bytes"));
        Some(format!("{cpu} × the CPU time{bytes} at n = {}", self.nodes))
    }

    /// Whether each repetition took less CPU time than each of the other protocol did.
    fn saves(&self, material: &Material) -> bool {
        let range = |row: &SummaryRow| {
            let whole = row.cpu_us_per_decision.map(|us| (us, us));
            material.range(&row.cell, |repetition| repetition.cpu_us_per_decision).or(whole)
        };
        let ranges = range(self.aggregates).zip(range(self.lists));
        ranges.is_some_and(|((_, most), (least, _))| most < least)
    }
}

/// A sentence for each load under which both were measured without faults.
pub(super) fn findings(material: &Material) -> Vec<Finding> {
    let groups = material.groups();
    let mut by_load: BTreeMap<&Variant, Vec<Pair>> = BTreeMap::new();
    for group in groups.iter().filter(|group| group.setting.fault == "none") {
        let pairs = by_load.entry(&group.setting.variant).or_default();
        pairs.extend(pair(group));
    }
    let sentences = by_load.into_iter().filter_map(|(variant, mut pairs)| {
        pairs.sort_by_key(|pair| pair.nodes);
        sentence(&pairs, material, &material.label(variant))
    });
    limited(sentences.collect(), id::COST)
}

fn pair<'a>(group: &Group<'a>) -> Option<Pair<'a>> {
    Some(Pair { nodes: group.setting.nodes, aggregates: group.row(AGGREGATES)?, lists: group.row(LISTS)? })
}

fn sentence(pairs: &[Pair], material: &Material, label: &str) -> Option<Finding> {
    let told: Vec<(&Pair, String)> = pairs.iter().filter_map(|pair| Some((pair, pair.clause()?))).collect();
    if told.is_empty() {
        return None;
    }
    let clauses: Vec<String> = told.iter().map(|(_, clause)| clause.clone()).collect();
    let saving = told.iter().filter(|(pair, _)| pair.saves(material));
    let saving: Vec<String> = saving.map(|(pair, _)| format!("n = {}", pair.nodes)).collect();
    let saving = if saving.is_empty() {
        "At none of these sizes did it take less CPU time in every repetition".to_owned()
    } else {
        format!("In every repetition it took less CPU time at {}", list(&saving))
    };
    let condition = without_faults_under(label);
    let text = format!(
        "{condition}, a decision of {} takes, compared with {}, {}. {saving}.",
        name(AGGREGATES),
        name(LISTS),
        clauses.join("; "),
    );
    let cells = told.iter().flat_map(|(pair, _)| [pair.aggregates.cell.clone(), pair.lists.cell.clone()]);
    Some(Finding::new(Weight::Headline, id::COST, text, cells.collect()))
}

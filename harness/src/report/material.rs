//! The rows of a result, arranged for figures and findings.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::words::{fault_class, fault_words};
use crate::results::repetitions::{self, Repetition};
use crate::results::schema::{CellRow, EventRow, NodeRow, SampleRow, SummaryRow};
use crate::results::setting::{Setting, Variant, settings};

/// The rows that figures and findings are made of.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    /// Requests.
    pub(super) samples: &'a [SampleRow],
    /// Nodes.
    pub(super) nodes: &'a [NodeRow],
    /// Cells and repetitions.
    pub(super) cells: &'a [CellRow],
    /// Kills, restarts and cuts.
    pub(super) events: &'a [EventRow],
    /// Cells, all repetitions together.
    pub(super) summary: &'a [SummaryRow],
}

/// The rows and what is needed again and again.
pub(super) struct Material<'a> {
    pub(super) rows: Rows<'a>,
    settings: BTreeMap<&'a str, Setting>,
    variants: BTreeSet<Variant>,
    /// Latencies of decided requests by cell and repetition, ascending.
    latencies: HashMap<&'a str, BTreeMap<u32, Vec<u64>>>,
    repetitions: HashMap<&'a str, Vec<Repetition>>,
}

/// Cells that are alike in all but the protocol.
#[derive(Clone)]
pub(super) struct Group<'a> {
    /// What they have in common.
    pub(super) setting: &'a Setting,
    /// One for each protocol, in the order of tables.
    pub(super) rows: Vec<&'a SummaryRow>,
}

impl<'a> Group<'a> {
    /// The cell of this protocol.
    pub(super) fn row(&self, protocol: &str) -> Option<&'a SummaryRow> {
        self.rows.iter().copied().find(|row| row.protocol == protocol)
    }
}

/// Groups that are drawn in one panel.
pub(super) struct Sheet<'a> {
    /// What sets the panel apart.
    pub(super) title: String,
    /// The groups with what sets each apart from the others.
    pub(super) groups: Vec<(String, Group<'a>)>,
}

impl<'a> Material<'a> {
    /// Arranges the rows.
    pub(super) fn new(rows: Rows<'a>) -> Self {
        let settings = settings(rows.cells);
        let mut latencies: HashMap<&str, BTreeMap<u32, Vec<u64>>> = HashMap::new();
        for sample in rows.samples {
            if let Some(latency) = sample.latency_us() {
                let of_cell = latencies.entry(&sample.cell).or_default();
                of_cell.entry(sample.repetition).or_default().push(latency);
            }
        }
        latencies.values_mut().flat_map(BTreeMap::values_mut).for_each(|values| values.sort_unstable());
        Material {
            rows,
            variants: settings.values().map(|setting| setting.variant.clone()).collect(),
            settings,
            latencies,
            repetitions: repetitions::by_cell(rows.nodes, rows.cells),
        }
    }

    /// What a variant differs in from the others of this result.
    pub(super) fn label(&self, variant: &Variant) -> String {
        variant.label(&self.variants)
    }

    /// How many loads, placements and links there are.
    pub(super) fn variants(&self) -> &BTreeSet<Variant> {
        &self.variants
    }

    /// The setting of a row's cell.
    pub(super) fn setting(&self, row: &SummaryRow) -> Option<&Setting> {
        self.settings.get(row.cell.as_str())
    }

    /// The latencies of each repetition of a cell, ascending.
    pub(super) fn latencies(&self, cell: &str) -> Vec<&[u64]> {
        let of_cell = self.latencies.get(cell).into_iter().flat_map(BTreeMap::values);
        of_cell.map(Vec::as_slice).collect()
    }

    /// Least and greatest of a value over the repetitions of a cell.
    pub(super) fn range(&self, cell: &str, value: impl Fn(&Repetition) -> Option<f64>) -> Option<(f64, f64)> {
        repetitions::range(self.repetitions.get(cell)?, value)
    }

    /// The cells of each setting, in the order of tables.
    pub(super) fn groups(&'a self) -> Vec<Group<'a>> {
        let mut groups: Vec<Group> = Vec::new();
        let mut places: HashMap<&Setting, usize> = HashMap::new();
        for row in self.rows.summary {
            let Some(setting) = self.settings.get(row.cell.as_str()) else { continue };
            let place = *places.entry(setting).or_insert_with(|| {
                groups.push(Group { setting, rows: Vec::new() });
                groups.len() - 1
            });
            groups[place].rows.push(row);
        }
        groups
    }

    /// The groups by panel: by nodes and load, faults below each other; where there is
    /// one kind of fault only, loads below each other; where there is one load too, sizes.
    pub(super) fn sheets(&'a self) -> Vec<Sheet<'a>> {
        let groups = self.groups();
        let classes: BTreeSet<String> =
            groups.iter().map(|group| fault_class(&group.setting.fault, group.setting.nodes)).collect();
        let by_load = classes.len() == 1 && self.variants.len() > 1;
        let by_nodes = classes.len() == 1 && self.variants.len() == 1 && groups.len() > 3;
        let mut sheets: Vec<Sheet> = Vec::new();
        for group in groups {
            let (fault, load) = (group.setting.fault_words(), self.label(&group.setting.variant));
            let nodes = format!("n = {}", group.setting.nodes);
            let (title, label) = match (by_load, group.setting.fault.as_str()) {
                _ if by_nodes => (fault_class(&group.setting.fault, group.setting.nodes), nodes),
                (true, "none") => (nodes, load),
                (true, _) => (join(&[&nodes, &fault]), load),
                (false, _) => (join(&[&nodes, &load]), fault),
            };
            match sheets.iter_mut().find(|sheet| sheet.title == title) {
                Some(sheet) => sheet.groups.push((label, group)),
                None => sheets.push(Sheet { title, groups: vec![(label, group)] }),
            }
        }
        // The same order in all panels, whatever the number of nodes.
        for sheet in &mut sheets {
            let class = |group: &Group| fault_class(&group.setting.fault, group.setting.nodes);
            sheet.groups.sort_by_cached_key(|(_, group)| (group.setting.fault != "none", class(group)));
        }
        sheets
    }
}

impl Setting {
    /// The faults in words.
    pub(super) fn fault_words(&self) -> String {
        fault_words(&self.fault, self.nodes)
    }
}

/// Joins what is not empty.
pub(super) fn join(parts: &[&str]) -> String {
    parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::summary::summarise;
    use crate::results::testdata::{self, CellSpec, Data};

    fn titles(data: &Data) -> Vec<(String, Vec<String>)> {
        let summary = summarise(&data.samples, &data.nodes, &data.cells, &[]);
        let rows = Rows {
            samples: &data.samples,
            nodes: &data.nodes,
            cells: &data.cells,
            events: &[],
            summary: &summary,
        };
        let material = Material::new(rows);
        let labels = |sheet: &Sheet| sheet.groups.iter().map(|(label, _)| label.clone()).collect();
        material.sheets().iter().map(|sheet| (sheet.title.clone(), labels(sheet))).collect()
    }

    #[test]
    fn faults_are_below_each_other_and_sizes_side_by_side() {
        let sheets = titles(&testdata::standard());
        assert_eq!(
            sheets.iter().map(|sheet| sheet.0.as_str()).collect::<Vec<_>>(),
            ["n = 4", "n = 7", "n = 10"]
        );
        assert_eq!(sheets[1].1, ["no faults", "f = 2 malicious", "f = 2 offline"]);
    }

    #[test]
    fn sizes_are_below_each_other_where_only_they_vary() {
        let mut data = Data::default();
        for nodes in [4, 7, 10, 13] {
            data.add(&CellSpec::new("ccro", nodes, "none"));
        }
        let labels = ["n = 4", "n = 7", "n = 10", "n = 13"].map(String::from).to_vec();
        assert_eq!(titles(&data), [("no faults".to_string(), labels)]);
    }

    #[test]
    fn loads_are_below_each_other_where_only_they_vary() {
        let mut data = Data::default();
        for clients in [1, 8] {
            data.add(&CellSpec { clients, ..CellSpec::new("ccro", 4, "none") });
        }
        assert_eq!(
            titles(&data),
            [("n = 4".to_string(), vec!["clients 1".to_string(), "clients 8".to_string()])]
        );
    }
}

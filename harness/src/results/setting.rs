//! What makes two cells comparable: everything but the protocol.

use std::collections::{BTreeMap, BTreeSet};

use super::schema::CellRow;

/// Everything about a cell but its protocol: cells with the same setting are
/// compared with each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Setting {
    /// Number of nodes `n`.
    pub nodes: u32,
    /// The faults as given.
    pub fault: String,
    /// What distinguishes cells beyond nodes and faults.
    pub variant: Variant,
}

/// Load, placement and links of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variant {
    /// What is replicated.
    pub app: String,
    /// Bytes of `data` in each request.
    pub payload_bytes: u64,
    /// Most requests that one slot orders.
    pub batch_max: u64,
    /// Requests in flight at most.
    pub clients: u64,
    /// Intended requests per second, as bits: positive floats sort like them.
    rate_bits: Option<u64>,
    via: String,
    /// What the nodes' journals outlived.
    pub durability: String,
    placement: String,
    link_delay_us: u64,
    link_loss_bits: u64,
}

impl Setting {
    /// The setting of a cell.
    pub fn of(row: &CellRow) -> Self {
        Setting {
            nodes: row.nodes,
            fault: row.fault.clone(),
            variant: Variant {
                app: row.app.clone(),
                payload_bytes: row.payload_bytes,
                batch_max: row.batch_max,
                clients: row.clients,
                rate_bits: row.rate_per_s.map(f64::to_bits),
                via: row.via.clone(),
                durability: row.durability.clone(),
                placement: row.placement.clone(),
                link_delay_us: row.link_delay_us,
                link_loss_bits: row.link_loss.to_bits(),
            },
        }
    }
}

impl Variant {
    /// Intended requests per second; `None` in a closed loop.
    pub fn rate_per_s(&self) -> Option<f64> {
        self.rate_bits.map(f64::from_bits)
    }

    /// Whether delay or loss was injected on the links.
    pub(crate) fn has_shaped_links(&self) -> bool {
        self.link_delay_us > 0 || f64::from_bits(self.link_loss_bits) > 0.0
    }

    fn parts(&self) -> [String; 10] {
        [
            self.app.clone(),
            format!("payload {} B", self.payload_bytes),
            format!("batch {}", self.batch_max),
            format!("clients {}", self.clients),
            match self.rate_per_s() {
                Some(rate) => format!("{rate}/s"),
                None => "closed loop".into(),
            },
            format!("via {}", self.via),
            format!("durability {}", self.durability),
            self.placement.clone(),
            format!("link delay {} µs", self.link_delay_us),
            format!("link loss {}", f64::from_bits(self.link_loss_bits)),
        ]
    }

    /// The parts in which `all` are alike.
    pub(crate) fn common(all: &BTreeSet<Variant>) -> Vec<String> {
        let Some(first) = all.first().map(Variant::parts) else { return vec![] };
        let alike = |part: &usize| all.iter().all(|variant| variant.parts()[*part] == first[*part]);
        (0..first.len()).filter(alike).map(|part| first[part].clone()).collect()
    }

    /// Names the parts in which `all` differ among themselves; empty if they
    /// are all alike.
    pub fn label(&self, all: &BTreeSet<Variant>) -> String {
        let own = self.parts();
        let differs = |part: &usize| all.iter().any(|v| v.parts()[*part] != own[*part]);
        let parts: Vec<_> = (0..own.len()).filter(differs).map(|p| own[p].clone()).collect();
        parts.join(", ")
    }
}

/// What of a cell's load and links may be varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Varied {
    Clients,
    Rate,
    Payload,
    Batch,
    LinkDelay,
}

impl Varied {
    pub(crate) const ALL: [Varied; 5] =
        [Varied::Clients, Varied::Rate, Varied::Payload, Varied::Batch, Varied::LinkDelay];

    /// What stands after a number in a sentence.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Varied::Clients => "requests in flight",
            Varied::Rate => "requests due per second",
            Varied::Payload => "bytes of payload",
            Varied::Batch => "requests in a slot at most",
            Varied::LinkDelay => "µs of link delay",
        }
    }

    /// What stands at an axis.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Varied::Clients => "requests in flight",
            Varied::Rate => "requests due per second",
            Varied::Payload => "payload (bytes)",
            Varied::Batch => "most requests in a slot",
            Varied::LinkDelay => "link delay (µs)",
        }
    }
}

impl Setting {
    /// The setting but for this part, and the part's value; `None` where it has none.
    pub(crate) fn without(&self, varied: Varied) -> (Setting, Option<f64>) {
        let mut rest = self.clone();
        let variant = &mut rest.variant;
        let value = match varied {
            Varied::Clients => Some(std::mem::take(&mut variant.clients) as f64),
            Varied::Rate => variant.rate_bits.take().map(f64::from_bits),
            Varied::Payload => Some(std::mem::take(&mut variant.payload_bytes) as f64),
            Varied::Batch => Some(std::mem::take(&mut variant.batch_max) as f64),
            Varied::LinkDelay => Some(std::mem::take(&mut variant.link_delay_us) as f64),
        };
        (rest, value)
    }
}

/// The settings of all cells that have a row in `cells.csv`, by name.
pub fn settings(cells: &[CellRow]) -> BTreeMap<&str, Setting> {
    cells.iter().map(|row| (row.cell.as_str(), Setting::of(row))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::testdata::{CellSpec, Data};

    #[test]
    fn labels_name_only_what_differs() {
        let mut data = Data::default();
        data.add(&CellSpec::new("pbft", 4, "none"));
        data.add(&CellSpec { clients: 8, rate: Some(50.0), ..CellSpec::new("ccro", 4, "none") });
        let settings = settings(&data.cells);
        let all: BTreeSet<Variant> = settings.values().map(|s| s.variant.clone()).collect();
        assert_eq!(settings["pbft-4-none"].variant.label(&all), "clients 1, closed loop");
        assert_eq!(settings["ccro-4-none-c8"].variant.label(&all), "clients 8, 50/s");
        let alone = BTreeSet::from([settings["pbft-4-none"].variant.clone()]);
        assert_eq!(settings["pbft-4-none"].variant.label(&alone), "");
    }
}

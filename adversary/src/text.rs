//! Times and lists of ids, as people write them.

use kernel::{Micros, ReplicaId};

pub(crate) fn parse_time(text: &str) -> Option<Micros> {
    let (number, scale) = if let Some(number) = text.strip_suffix("us") {
        (number, 1.0)
    } else if let Some(number) = text.strip_suffix("ms") {
        (number, 1e3)
    } else {
        (text.strip_suffix('s')?, 1e6)
    };
    let micros = number.parse::<f64>().ok()? * scale;
    // An hour is longer than any experiment here and far from overflow.
    (0.0..=3.6e9).contains(&micros).then_some(Micros(micros as u64))
}

pub(crate) fn display_time(time: Micros) -> String {
    match time.0 {
        us if us % 1000 == 0 => format!("{}ms", us / 1000),
        us => format!("{us}us"),
    }
}

/// Ids in ascending order, none twice.
pub(crate) fn parse_ids(text: &str) -> Option<Vec<ReplicaId>> {
    let mut ids: Vec<ReplicaId> =
        text.split(';').map(|id| id.parse().ok().map(ReplicaId)).collect::<Option<_>>()?;
    ids.sort_unstable();
    ids.dedup();
    Some(ids)
}

pub(crate) fn display_ids(ids: &[ReplicaId]) -> String {
    ids.iter().map(ReplicaId::to_string).collect::<Vec<_>>().join(";")
}

/// A probability in millionths.
pub(crate) fn parse_probability(text: &str) -> Option<u32> {
    let probability = text.parse::<f64>().ok()?;
    (0.0..=1.0).contains(&probability).then_some((probability * 1e6).round() as u32)
}

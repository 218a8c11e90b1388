//! What work costs in virtual time.

use serde::{Deserialize, Serialize};

/// What nodes spend on their work. A node is a server with one queue: what comes
/// while it works waits. All zero, the default, means that work takes no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Costs {
    /// Making a signature, microseconds.
    pub sign_us: f64,
    /// Checking one, microseconds.
    pub verify_us: f64,
    /// Sending one message to one node, or receiving one, microseconds.
    pub per_message_us: f64,
    /// On top of that, for each of its bytes, nanoseconds.
    pub per_byte_ns: f64,
    /// Cores that all nodes share, as on one machine; none where each node has
    /// one to itself.
    pub cores: Option<u16>,
}

/// Costs that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cost {key} is {value}; {way_out}")]
pub struct BadCosts {
    key: &'static str,
    value: String,
    way_out: &'static str,
}

/// A second for one signature or message is more than anything here takes.
const MOST_US: f64 = 1e6;

impl Costs {
    /// Whether work takes no time at all.
    pub fn is_free(&self) -> bool {
        [self.sign_us, self.verify_us, self.per_message_us, self.per_byte_ns].iter().all(|cost| *cost == 0.0)
    }

    /// Refuses what cannot be meant.
    pub fn check(&self) -> Result<(), BadCosts> {
        let costs = [
            ("sign_us", self.sign_us),
            ("verify_us", self.verify_us),
            ("per_message_us", self.per_message_us),
            ("per_byte_ns", self.per_byte_ns),
        ];
        if let Some((key, cost)) = costs.into_iter().find(|(_, cost)| !(0.0..=MOST_US).contains(cost)) {
            let way_out = "give a number from 0 to 1000000";
            return Err(BadCosts { key, value: cost.to_string(), way_out });
        }
        if self.cores == Some(0) {
            let way_out = "give at least 1, or leave it out for a core per node";
            return Err(BadCosts { key: "cores", value: "0".into(), way_out });
        }
        Ok(())
    }

    /// One end of a message's way, in nanoseconds.
    pub(crate) fn message_ns(&self, bytes: usize) -> u64 {
        (self.per_message_us * 1e3 + self.per_byte_ns * bytes as f64).round() as u64
    }

    pub(crate) fn signing_ns(&self, signatures: u64) -> u64 {
        (self.sign_us * 1e3 * signatures as f64).round() as u64
    }

    pub(crate) fn verifying_ns(&self, signatures: u64) -> u64 {
        (self.verify_us * 1e3 * signatures as f64).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_costs_are_refused_by_name() {
        assert_eq!(Costs::default().check(), Ok(()));
        let negative = Costs { verify_us: -1.0, ..Costs::default() }.check().unwrap_err().to_string();
        assert!(negative.contains("verify_us is -1") && negative.contains("from 0"), "{negative}");
        assert!(Costs { per_byte_ns: f64::NAN, ..Costs::default() }.check().is_err());
        assert!(Costs { cores: Some(0), ..Costs::default() }.check().is_err());
    }
}

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
    /// Making a tag of a message or of requests, or checking one, in flows that have tags: microseconds, …
    pub tag_us: f64,
    /// … and for each byte of the message, nanoseconds.
    pub tag_per_byte_ns: f64,
    /// Making a share of a sum of signatures, in flows that have them, microseconds.
    pub share_sign_us: f64,
    /// Checking a share or a sum, microseconds.
    pub share_verify_us: f64,
    /// Between an answer and the request that a closed loop's client sends next,
    /// microseconds: a wait, of which no node's time is taken.
    pub client_us: f64,
    /// Cores that all nodes share, as on one machine; none where each node has
    /// one to itself.
    pub cores: Option<u16>,
    /// What is paid once for all that a node handles together. None: a node
    /// handles one thing after the other, and each for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iteration: Option<IterationCosts>,
}

/// Costs of iterations of the event loop: a node that gets to work takes all that waits for it, checks
/// the signatures of all messages in one batch, and sends at the end, on each link
/// all at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IterationCosts {
    /// An iteration, whatever is in it, microseconds: the node is woken up, looks what there
    /// is, and goes to rest again.
    pub per_iteration_us: f64,
    /// Writing to one link in an iteration, or reading from one, whatever passes over
    /// it, microseconds.
    pub per_chunk_us: f64,
    /// A batch of two or more signatures, whatever their number, microseconds …
    pub batch_us: f64,
    /// … and each signature in it. One alone takes `verify_us`.
    pub batch_verify_us: f64,
    /// Each share or sum that is checked together with another one, microseconds. The first takes `share_verify_us`.
    pub batch_share_us: f64,
}

/// What a node takes in one iteration at most, as real nodes do.
pub(crate) const PER_ITERATION: usize = 64;

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
        let signatures = [self.sign_us, self.verify_us, self.share_sign_us, self.share_verify_us];
        let each = signatures.into_iter().chain([self.per_message_us, self.per_byte_ns]);
        self.iteration.is_none() && each.into_iter().all(|cost| cost == 0.0)
    }

    /// What messages cost where each has a tag, or none has. The same is paid at both ends: one makes the tag, the other
    /// makes it again and compares.
    pub(crate) fn with_tags(self, has_tags: bool) -> Costs {
        let (tag_us, tag_per_byte_ns) =
            if has_tags { (self.tag_us, self.tag_per_byte_ns) } else { (0.0, 0.0) };
        let per_message_us = self.per_message_us + tag_us;
        Costs {
            per_message_us,
            per_byte_ns: self.per_byte_ns + tag_per_byte_ns,
            tag_us,
            tag_per_byte_ns,
            ..self
        }
    }

    /// Refuses what cannot be meant.
    pub fn check(&self) -> Result<(), BadCosts> {
        let iteration = self.iteration.unwrap_or_default();
        let costs = [
            ("sign_us", self.sign_us),
            ("verify_us", self.verify_us),
            ("per_message_us", self.per_message_us),
            ("per_byte_ns", self.per_byte_ns),
            ("tag_us", self.tag_us),
            ("tag_per_byte_ns", self.tag_per_byte_ns),
            ("share_sign_us", self.share_sign_us),
            ("share_verify_us", self.share_verify_us),
            ("client_us", self.client_us),
            ("per_iteration_us", iteration.per_iteration_us),
            ("per_chunk_us", iteration.per_chunk_us),
            ("batch_us", iteration.batch_us),
            ("batch_verify_us", iteration.batch_verify_us),
            ("batch_share_us", iteration.batch_share_us),
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

    /// One end of a message's transmission, in nanoseconds.
    pub(crate) fn message_ns(&self, bytes: usize) -> u64 {
        (self.per_message_us * 1e3 + self.per_byte_ns * bytes as f64).round() as u64
    }

    pub(crate) fn signing_ns(&self, signatures: u64) -> u64 {
        (self.sign_us * 1e3 * signatures as f64).round() as u64
    }

    pub(crate) fn sharing_ns(&self, shares: u64) -> u64 {
        (self.share_sign_us * 1e3 * shares as f64).round() as u64
    }

    /// Checking shares and sums that came together.
    pub(crate) fn verifying_shares_ns(&self, shares: u64) -> u64 {
        let us = match self.iteration {
            Some(iteration) if shares > 1 => {
                self.share_verify_us + iteration.batch_share_us * (shares - 1) as f64
            }
            _ => self.share_verify_us * shares as f64,
        };
        (us * 1e3).round() as u64
    }

    /// Making or checking tags of requests: each is of a digest, which is short.
    pub(crate) fn tagging_ns(&self, tags: u64) -> u64 {
        (self.tag_us * 1e3 * tags as f64).round() as u64
    }

    /// Checking signatures that came together.
    pub(crate) fn verifying_ns(&self, signatures: u64) -> u64 {
        let us = match self.iteration {
            Some(iteration) if signatures > 1 => {
                iteration.batch_us + iteration.batch_verify_us * signatures as f64
            }
            _ => self.verify_us * signatures as f64,
        };
        (us * 1e3).round() as u64
    }

    pub(crate) fn iteration_ns(&self) -> u64 {
        self.iteration.map_or(0, |iteration| (iteration.per_iteration_us * 1e3).round() as u64)
    }

    /// Writing to a link, or reading from one.
    pub(crate) fn chunk_ns(&self) -> u64 {
        self.iteration.map_or(0, |iteration| (iteration.per_chunk_us * 1e3).round() as u64)
    }

    pub(crate) fn client_ns(&self) -> u64 {
        (self.client_us * 1e3).round() as u64
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
        let iteration = IterationCosts { per_chunk_us: -1.0, ..IterationCosts::default() };
        assert!(Costs { iteration: Some(iteration), ..Costs::default() }.check().is_err());
    }

    #[test]
    fn work_is_free_only_if_nothing_costs_anything() {
        assert!(Costs::default().is_free());
        for costs in [
            Costs { sign_us: 1.0, ..Costs::default() },
            Costs { verify_us: 1.0, ..Costs::default() },
            Costs { share_sign_us: 1.0, ..Costs::default() },
            Costs { share_verify_us: 1.0, ..Costs::default() },
            Costs { per_message_us: 1.0, ..Costs::default() },
            Costs { per_byte_ns: 1.0, ..Costs::default() },
            Costs { iteration: Some(IterationCosts::default()), ..Costs::default() },
        ] {
            assert!(!costs.is_free(), "{costs:?}");
        }
    }

    #[test]
    fn signatures_checked_together_share_what_a_batch_costs() {
        let alone = Costs { verify_us: 40.0, ..Costs::default() };
        assert_eq!([1, 2, 16].map(|count| alone.verifying_ns(count)), [40_000, 80_000, 640_000]);
        let iteration = IterationCosts { batch_us: 20.0, batch_verify_us: 25.0, ..IterationCosts::default() };
        let batched = Costs { iteration: Some(iteration), ..alone };
        assert_eq!([0, 1, 2, 16].map(|count| batched.verifying_ns(count)), [0, 40_000, 70_000, 420_000]);
        let alone = Costs { share_sign_us: 2.0, share_verify_us: 1000.0, ..Costs::default() };
        assert_eq!([0, 1, 3].map(|count| alone.verifying_shares_ns(count)), [0, 1_000_000, 3_000_000]);
        assert_eq!(alone.sharing_ns(3), 6_000);
        let iteration = IterationCosts { batch_share_us: 10.0, ..IterationCosts::default() };
        let batched = Costs { iteration: Some(iteration), ..alone };
        assert_eq!([0, 1, 3].map(|count| batched.verifying_shares_ns(count)), [0, 1_000_000, 1_020_000]);
    }
}

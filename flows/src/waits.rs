//! How long replicas wait for what: one derivation for every host, from the size of
//! the cluster and from the network.
//!
//! The waits of [`pbft::Config::for_cluster`] and [`ccro::Config::for_cluster`] are for
//! a network without delay. On top of them, every wait outlasts the messages that may
//! still be under way when it ends.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sim::{Delay, Network};

/// What the waits need to know of the links between nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Links {
    /// How long a message may usually travel on the slowest link, jitter included,
    /// microseconds.
    pub delay_us: u64,
    /// How long a node's line is busy with one full proposal to all others, microseconds.
    pub sending_us: u64,
    /// Probability that a message is lost.
    pub loss: f64,
}

/// The waits of one replica, microseconds. The wait for a NEW-VIEW is the request timer,
/// doubled with every view that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// How long CCRO's communication node waits for all votes.
    pub fast_wait_us: u64,
    /// After how long a CCRO replica sends its votes to all.
    pub fallback_after_us: u64,
    /// After how long without progress a replica sends its votes again.
    pub resend_after_us: u64,
    /// How long a replica waits for a request before it asks for another commander.
    pub request_after_us: u64,
}

impl Links {
    /// Links with the same delay and loss everywhere, and lines that are never full.
    pub fn uniform(delay_us: u64, loss: f64) -> Links {
        Links { delay_us, sending_us: 0, loss }
    }

    /// Those of a network between `n` nodes, where a proposal carries so many bytes.
    pub fn of(network: &Network, n: u16, proposal_bytes: usize) -> Links {
        // Two sigma: 98 of 100 messages are faster.
        let sigma = |delay: &Delay| match delay {
            Delay::LogNormal { sigma, .. } => *sigma,
            Delay::Constant(_) | Delay::Uniform(..) => 0.0,
        };
        let of_links = network.links.iter().filter_map(|link| link.delay.as_ref()).map(sigma);
        let general = if network.regions.is_empty() { sigma(&network.delay) } else { network.jitter };
        let spread = (2.0 * of_links.fold(general, f64::max)).exp();
        let held_back_us = if network.reordering > 0.0 { network.reordering_us } else { 0.0 };
        let single = network.links.iter().filter_map(|link| link.bandwidth_mbit_s);
        let line_us = network.bandwidth_mbit_s.map_or(0.0, |mbit_s| f64::from(n - 1) / mbit_s);
        let slowest_us = single.map(|mbit_s| 1.0 / mbit_s).fold(line_us, f64::max);
        Links {
            delay_us: (network.slowest_us(n) as f64 * spread + held_back_us) as u64,
            sending_us: (8.0 * proposal_bytes as f64 * slowest_us) as u64,
            // A quorum does not depend on single links.
            loss: network.loss,
        }
    }

    /// How often a message may have to be sent again until one in a thousand
    /// decisions at most waits for more: each needs about `n` messages in a row.
    fn repeats(&self, n: u16) -> u64 {
        const MOST: u64 = 4;
        let mut missing = f64::from(n) * self.loss;
        let mut repeats = 0;
        while missing > 0.001 && repeats < MOST {
            missing *= self.loss;
            repeats += 1;
        }
        repeats
    }
}

impl Waits {
    /// Those that suit `n` nodes on these links.
    pub fn suiting(n: u16, links: &Links) -> Waits {
        let alone = ccro::Config::for_cluster(n);
        let (delay_us, sending_us) = (links.delay_us, links.sending_us);
        // A plan that was not checked yet may hold any number.
        let sum = |alone_us: u64, delays: u64, sendings: u64| {
            let travelling_us = delay_us.saturating_mul(delays);
            alone_us.saturating_add(travelling_us).saturating_add(sending_us.saturating_mul(sendings))
        };
        let resend_after_us = sum(alone.pbft.resend_after.0, 8, 2);
        let again_us = resend_after_us.saturating_mul(links.repeats(n));
        Waits {
            // The slowest vote is at most a round trip behind the fastest.
            fast_wait_us: sum(alone.fast_wait.0, 2, 1),
            // A slot takes five delays through a communication node …
            fallback_after_us: sum(alone.fallback_after.0, 6, 1),
            // … and what is sent again should not overtake what is under way.
            resend_after_us,
            // Longer than the fallback and all that follows it, and than what has to
            // be sent again.
            request_after_us: sum(alone.pbft.request_after.0, 16, 2).saturating_add(again_us),
        }
    }

    /// How long a gateway should wait for a request at least: it outlives a dead
    /// commander, whose successor serves within two request timers; not longer, because
    /// every undecided request costs as much time.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_micros(self.request_after_us.saturating_mul(3))
    }

    /// After how long without an answer a gateway hands a request to its replica again: a
    /// commander that is dead is replaced by then. At most half of what its client
    /// waits, so that there is time for an answer.
    pub fn remind_after_us(&self, timeout_us: u64) -> u64 {
        (self.request_after_us.saturating_mul(3) / 2).min(timeout_us / 2).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(n: u16, links: Links) -> [u64; 4] {
        let waits = Waits::suiting(n, &links);
        [waits.fast_wait_us, waits.fallback_after_us, waits.resend_after_us, waits.request_after_us]
    }

    #[test]
    fn without_a_network_the_size_alone_counts() {
        assert_eq!(waits(4, Links::default()), [6_000, 60_000, 180_000, 400_000]);
        assert_eq!(waits(10, Links::default()), [12_000, 120_000, 300_000, 700_000]);
    }

    #[test]
    fn every_wait_outlasts_the_messages_under_way() {
        assert_eq!(waits(4, Links::uniform(20_000, 0.0)), [46_000, 180_000, 340_000, 720_000]);
        assert_eq!(waits(4, Links::uniform(200_000, 0.0)), [406_000, 1_260_000, 1_780_000, 3_600_000]);
        let timeout = Waits::suiting(4, &Links::uniform(200_000, 0.0)).request_timeout();
        assert_eq!(timeout, Duration::from_millis(10_800));
    }

    #[test]
    fn reminders_follow_the_request_timer_and_not_the_patience_of_clients() {
        let waits = Waits::suiting(4, &Links::default());
        let [short, usual, long] = [300_000, 1_200_000, 60_000_000].map(|us| waits.remind_after_us(us));
        assert_eq!([short, usual, long], [150_000, 600_000, 600_000]);
    }

    #[test]
    fn the_request_timer_outlasts_what_is_sent_again_for_loss() {
        // 4 x 0.05^3 is below one in a thousand: two repeats of 180 ms.
        assert_eq!(waits(4, Links::uniform(0, 0.05)), [6_000, 60_000, 180_000, 760_000]);
        assert_eq!(waits(4, Links::uniform(0, 0.01)), [6_000, 60_000, 180_000, 580_000]);
        // Where nothing arrives, no wait helps.
        assert_eq!(waits(4, Links::uniform(0, 1.0)), [6_000, 60_000, 180_000, 1_120_000]);
    }

    #[test]
    fn jitter_reordering_and_full_lines_count() {
        let network = Network {
            delay: Delay::LogNormal { median_us: 1000.0, sigma: 0.5 },
            reordering: 0.1,
            reordering_us: 500.0,
            bandwidth_mbit_s: Some(100.0),
            ..Network::constant(0)
        };
        let links = Links::of(&network, 4, 1_000_000);
        // 1000 x e, and 500; a proposal of 8 Mbit to three others.
        assert_eq!(links, Links { delay_us: 3_218, sending_us: 240_000, loss: 0.0 });
        assert_eq!(waits(4, links), [252_436, 319_308, 685_744, 931_488]);
        assert_eq!(Links::of(&Network::constant(20_000), 4, 100), Links::uniform(20_000, 0.0));
    }
}

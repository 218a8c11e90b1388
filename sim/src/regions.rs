//! Delays between cloud regions, and the networks that have a name.
//!
//! Source: IBM Cloud Docs, "Network latency dashboards" of VPC, average latency
//! between regions and between the zones of a region, 3 February to 3 March 2024
//! (github.com/ibm-cloud-docs/vpc, `_include-segments/network-latency.md`, commit
//! 009bede4). The figures are round trips in milliseconds; a message takes half
//! of one. Inside a region, the mean of its three pairs of zones.

use crate::network::{Delay, Network};

const NAMES: [&str; 10] = [
    "dallas",
    "toronto",
    "washington",
    "frankfurt",
    "london",
    "madrid",
    "osaka",
    "sydney",
    "tokyo",
    "sao-paulo",
];

/// From the row to the column and back, milliseconds.
const ROUND_TRIP_MS: [[f64; 10]; 10] = [
    [1.96, 34., 32., 123., 113., 118., 149., 185., 142., 144.],
    [34., 1.79, 19., 92., 82., 107., 170., 215., 162., 130.],
    [32., 19., 0.85, 98., 75., 87., 174., 215., 167., 119.],
    [123., 92., 98., 0.83, 12., 29., 242., 260., 237., 196.],
    [113., 82., 75., 12., 2.08, 26., 253., 272., 247., 186.],
    [118., 107., 87., 29., 26., 0.70, 268., 281., 260., 205.],
    [149., 170., 174., 245., 255., 268., 1.68, 124., 9., 293.],
    [185., 215., 214., 260., 271., 285., 124., 1.75, 117., 329.],
    [141., 164., 167., 237., 246., 259., 9., 117., 1.75, 286.],
    [145., 128., 120., 196., 185., 206., 292., 326., 285., 2.31],
];

/// The regions of the table.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter()
}

/// The place of a region in the table.
pub(crate) fn index(name: &str) -> Option<usize> {
    NAMES.iter().position(|known| *known == name)
}

/// Half of a round trip, in microseconds.
pub(crate) fn one_way_us(from: usize, to: usize) -> f64 {
    ROUND_TRIP_MS[from][to] * 1e3 / 2.0
}

/// The networks that have a name.
pub const NAMED: [&str; 6] = ["localhost", "lan", "wan", "lossy", "five-continents", "world"];

impl Network {
    /// A network by its name, one of [`NAMED`].
    ///
    /// * `localhost`: 20 to 40 microseconds, as a loopback connection takes.
    /// * `lan`: log-normal around 150 microseconds, lines of 10 Gbit/s.
    /// * `wan`: log-normal around 20 milliseconds, lines of 1 Gbit/s.
    /// * `lossy`: a LAN that loses 5 % of all messages, doubles and holds back 2 %.
    /// * `five-continents`: nodes round robin in Dallas, São Paulo, Frankfurt, Tokyo
    ///   and Sydney, lines of 1 Gbit/s, 2 % jitter.
    /// * `world`: the same with all ten regions of the table.
    pub fn named(name: &str) -> Option<Network> {
        let log_normal = |median_us, sigma| Delay::LogNormal { median_us, sigma };
        let spread = |regions: &[&str]| Network {
            bandwidth_mbit_s: Some(1_000.0),
            regions: regions.iter().map(|region| (*region).to_owned()).collect(),
            jitter: 0.02,
            ..Network::of(name, Delay::Constant(0.0))
        };
        Some(match name {
            "localhost" => Network::of(name, Delay::Uniform(20.0, 40.0)),
            "lan" => {
                Network { bandwidth_mbit_s: Some(10_000.0), ..Network::of(name, log_normal(150.0, 0.3)) }
            }
            "wan" => {
                Network { bandwidth_mbit_s: Some(1_000.0), ..Network::of(name, log_normal(20_000.0, 0.2)) }
            }
            "lossy" => Network {
                loss: 0.05,
                duplication: 0.02,
                reordering: 0.02,
                ..Network::of(name, log_normal(150.0, 0.3))
            },
            "five-continents" => spread(&["dallas", "sao-paulo", "frankfurt", "tokyo", "sydney"]),
            "world" => spread(&NAMES),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_network_can_be_used_and_written_down() {
        for name in NAMED {
            let network = Network::named(name).unwrap();
            network.check(1000).unwrap();
            assert_eq!(Network::parse(&network.to_toml()).unwrap(), network, "{name}");
        }
        assert_eq!(Network::named("moon"), None);
    }

    #[test]
    fn both_ways_take_about_as_long() {
        for (from, row) in ROUND_TRIP_MS.iter().enumerate() {
            for (to, there) in row.iter().enumerate() {
                let back = ROUND_TRIP_MS[to][from];
                assert!((there - back).abs() <= 4.0 && *there > 0.0, "{} {}", NAMES[from], NAMES[to]);
            }
        }
    }
}

//! The only source of randomness.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A source of decisions: seeded in a node or a simulation, enumerated in a
/// checker.
pub trait Choose {
    /// A number in `0..bound`; `bound` is at least 1.
    fn below(&mut self, bound: u64) -> u64;

    /// True with `probability` (0 to 1), in steps of a millionth.
    fn chance(&mut self, probability: f64) -> bool {
        const STEPS: u64 = 1_000_000;
        (self.below(STEPS) as f64) < probability * STEPS as f64
    }
}

/// Choices drawn from a seed: the same seed, the same choices, on every machine.
#[derive(Clone, Debug)]
pub struct SeededChoice(ChaCha8Rng);

impl SeededChoice {
    /// Choices for `seed`.
    pub fn new(seed: u64) -> SeededChoice {
        SeededChoice(ChaCha8Rng::seed_from_u64(seed))
    }

    /// `count` distinct numbers of `from`, in ascending order.
    pub fn draw(&mut self, mut from: Vec<u16>, count: usize) -> Vec<u16> {
        let mut drawn = Vec::with_capacity(count);
        while drawn.len() < count && !from.is_empty() {
            drawn.push(from.swap_remove(self.below(from.len() as u64) as usize));
        }
        drawn.sort_unstable();
        drawn
    }
}

impl Choose for SeededChoice {
    fn below(&mut self, bound: u64) -> u64 {
        // Modulo bias is below 2^-32 for every bound in use here.
        self.0.next_u64() % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_is_distinct_and_repeatable() {
        let draw = |seed| SeededChoice::new(seed).draw((0..10).collect(), 4);
        assert_eq!(draw(7), draw(7));
        let mut distinct = draw(7);
        distinct.dedup();
        assert_eq!(distinct.len(), 4);
        assert_eq!(SeededChoice::new(1).draw(vec![3], 5), [3]);
    }

    #[test]
    fn chance_follows_its_probability() {
        let mut choice = SeededChoice::new(1);
        let hits = (0..10_000).filter(|_| choice.chance(0.25)).count();
        assert!((2_200..2_800).contains(&hits), "{hits}");
        assert!((0..1000).all(|_| !choice.chance(0.0)));
        assert!((0..1000).all(|_| choice.chance(1.0)));
    }
}

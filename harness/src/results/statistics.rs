//! Percentiles, means and the bootstrap interval of a ratio of medians.
//!
//! Percentiles are exact and by nearest rank: the `q` quantile of `m` sorted
//! values is the one at rank `ceil(q * m)`, counted from 1 (at least 1). It is
//! always a value that was measured; nothing is interpolated.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How many times the bootstrap draws anew.
pub const RESAMPLES: usize = 1000;

/// Most requests that one bootstrap draw takes from a cell, all repetitions
/// together.
pub const DRAW_CAP: usize = 2000;

/// The nearest-rank quantile of ascending values, `q` from 0 to 1; `None` of
/// nothing.
pub fn quantile(sorted: &[u64], q: f64) -> Option<u64> {
    Some(sorted[rank(sorted.len(), q)?])
}

/// Index of the nearest-rank quantile among `length` ascending values.
fn rank(length: usize, q: f64) -> Option<usize> {
    let last = length.checked_sub(1)?;
    let ordinal = (q * length as f64).ceil().max(1.0) as usize;
    Some((ordinal - 1).min(last))
}

/// The arithmetic mean; `None` of nothing.
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.into_iter().fold((0.0, 0u64), |(s, c), v| (s + v, c + 1));
    (count > 0).then(|| sum / count as f64)
}

/// The 95 % bootstrap interval of `median(a) / median(b)`.
///
/// `pairs` holds, for each repetition that both cells ran, the latencies of
/// the first and of the second cell. Two levels are drawn with replacement:
/// repetitions, the same ones for both cells, so that a drift of the machine
/// between repetitions cancels; then requests inside each drawn repetition,
/// for each cell by itself. The interval is the 2.5 to 97.5 percentile of
/// [`RESAMPLES`] such ratios. The seed is fixed: the same data give the same
/// interval.
///
/// Cost: a draw takes at most about [`DRAW_CAP`] requests of each cell, spread
/// over the repetitions in proportion to their sizes. With more data than that
/// the interval is the one that `DRAW_CAP` requests would give: somewhat wider
/// than necessary, never narrower. A pair of cells so costs some tens of
/// milliseconds, however many samples there are.
///
/// Where the machine drifts much between repetitions, the interval is on the
/// wide side too: which repetitions were drawn decides whose requests are at
/// the middle. With few repetitions the interval knows little about what changes between
/// runs, with one repetition nothing at all.
///
/// `None` if one of the cells has no decided request in more than half of the
/// draws, or its median is zero.
pub fn ratio_interval(pairs: &[(&[u64], &[u64])], seed: u64) -> Option<(f64, f64)> {
    if pairs.is_empty() {
        return None;
    }
    let scale = |total: usize| (DRAW_CAP as f64 / total.max(1) as f64).min(1.0);
    let scale_a = scale(pairs.iter().map(|(a, _)| a.len()).sum());
    let scale_b = scale(pairs.iter().map(|(_, b)| b.len()).sum());
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut pool_a, mut pool_b) = (Vec::new(), Vec::new());
    let mut ratios = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        pool_a.clear();
        pool_b.clear();
        for _ in 0..pairs.len() {
            let (a, b) = pairs[random.random_range(0..pairs.len())];
            draw(a, scale_a, &mut pool_a, &mut random);
            draw(b, scale_b, &mut pool_b, &mut random);
        }
        if let (Some(a), Some(b @ 1..)) = (median_of(&mut pool_a), median_of(&mut pool_b)) {
            ratios.push(a as f64 / b as f64);
        }
    }
    if ratios.len() < RESAMPLES / 2 {
        return None;
    }
    ratios.sort_by(f64::total_cmp);
    let low = ratios[rank(ratios.len(), 0.025)?];
    let high = ratios[rank(ratios.len(), 0.975)?];
    Some((low, high))
}

/// Adds `scale * values.len()` values, drawn with replacement, to the pool.
fn draw(values: &[u64], scale: f64, pool: &mut Vec<u64>, random: &mut ChaCha8Rng) {
    if values.is_empty() {
        return;
    }
    let count = ((values.len() as f64 * scale).round() as usize).max(1);
    pool.extend((0..count).map(|_| values[random.random_range(0..values.len())]));
}

/// The nearest-rank median; reorders the values.
fn median_of(values: &mut [u64]) -> Option<u64> {
    let index = rank(values.len(), 0.5)?;
    Some(*values.select_nth_unstable(index).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_rank() {
        let ten: Vec<u64> = (1..=10).map(|v| v * 10).collect();
        assert_eq!(quantile(&ten, 0.0), Some(10));
        assert_eq!(quantile(&ten, 0.5), Some(50));
        assert_eq!(quantile(&ten, 0.51), Some(60));
        assert_eq!(quantile(&ten, 0.9), Some(90));
        assert_eq!(quantile(&ten, 0.99), Some(100));
        assert_eq!(quantile(&ten, 1.0), Some(100));
        let thousand: Vec<u64> = (1..=1000).collect();
        assert_eq!(quantile(&thousand, 0.999), Some(999));
        assert_eq!(quantile(&thousand, 0.99), Some(990));
        assert_eq!(quantile(&[7, 9, 11], 0.5), Some(9));
        assert_eq!(quantile(&[7, 9], 0.5), Some(7));
        assert_eq!(quantile(&[7], 0.999), Some(7));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn the_mean_of_nothing_is_nothing() {
        assert_eq!(mean([]), None);
        assert_eq!(mean([1.0, 2.0, 6.0]), Some(3.0));
    }

    #[test]
    fn constant_samples_have_an_exact_ratio() {
        let (a, b) = ([300u64; 20], [200u64; 7]);
        assert_eq!(ratio_interval(&[(&a, &b), (&a, &b)], 1), Some((1.5, 1.5)));
    }

    /// Each repetition drifts by a factor that both cells share: the ratio is
    /// exactly 2 in each, and pairing must make the interval see that.
    #[test]
    fn drift_shared_by_both_cells_cancels() {
        let a: Vec<Vec<u64>> = [100, 400, 900].map(|v| vec![2 * v; 50]).to_vec();
        let b: Vec<Vec<u64>> = [100, 400, 900].map(|v| vec![v; 50]).to_vec();
        let pairs: Vec<(&[u64], &[u64])> = a.iter().zip(&b).map(|(a, b)| (&a[..], &b[..])).collect();
        assert_eq!(ratio_interval(&pairs, 1), Some((2.0, 2.0)));
    }

    /// Two repetitions with ratios 1 and 3, constant inside: a draw holds both
    /// once (half of the draws) or one of them twice (a quarter each). So the
    /// interval must reach from 1 to 3.
    #[test]
    fn the_spread_between_repetitions_enters() {
        let (one, three) = (vec![100u64; 9], vec![300u64; 9]);
        assert_eq!(ratio_interval(&[(&one, &one), (&three, &one)], 5), Some((1.0, 3.0)));
    }

    #[test]
    fn nothing_decided_gives_no_interval() {
        assert_eq!(ratio_interval(&[], 1), None);
        assert_eq!(ratio_interval(&[(&[], &[5])], 1), None);
        assert_eq!(ratio_interval(&[(&[5], &[0])], 1), None);
        // One of four repetitions has an answer: most draws include it.
        assert_eq!(ratio_interval(&[(&[6], &[3]), (&[], &[3]), (&[], &[3])], 1), Some((2.0, 2.0)));
    }

    #[test]
    fn the_same_seed_gives_the_same_interval_and_large_cells_are_capped() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let a: Vec<u64> = (0..200_000).map(|_| random.random_range(800..1600)).collect();
        let b: Vec<u64> = (0..200_000).map(|_| random.random_range(400..800)).collect();
        let first = ratio_interval(&[(&a, &b)], 9).unwrap();
        assert_eq!(Some(first), ratio_interval(&[(&a, &b)], 9));
        assert!(first.0 > 1.9 && first.0 < 2.0 && first.1 > 2.0 && first.1 < 2.1, "{first:?}");
    }

    /// The true ratio is 1.5. Over many experiments the interval must hold it
    /// about 95 times in 100: clearly fewer, or always, would be a wrong
    /// interval. The drift is common to both cells; each run adds its own.
    #[test]
    fn the_interval_covers_the_truth_about_as_often_as_it_says() {
        let experiments = 150;
        let mut held = 0;
        for seed in 0..experiments {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut run = |scale: f64| -> Vec<u64> {
                let own = random.random_range(0.97..1.03);
                (0..60).map(|_| (scale * own * random.random_range(800.0..1200.0)) as u64).collect()
            };
            let reps: Vec<(Vec<u64>, Vec<u64>)> = (0..12)
                .map(|r| {
                    let drift = 1.0 + 0.01 * f64::from(r);
                    (run(15.0 * drift), run(10.0 * drift))
                })
                .collect();
            let pairs: Vec<(&[u64], &[u64])> = reps.iter().map(|(a, b)| (&a[..], &b[..])).collect();
            let (low, high) = ratio_interval(&pairs, seed).unwrap();
            held += u64::from(low <= 1.5 && 1.5 <= high);
        }
        let share = held as f64 / experiments as f64;
        assert!((0.88..0.995).contains(&share), "covered {share}");
    }
}

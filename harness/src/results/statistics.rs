//! Percentiles, means and the bootstrap interval of a ratio of medians.
//!
//! Percentiles are exact and by nearest rank: the `q` quantile of `m` sorted
//! values is the one at rank `ceil(q * m)`, counted from 1 (at least 1). It is
//! always a value that was measured; nothing is interpolated.

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
/// `pairs` holds, for each repetition that both cells ran, the ascending latencies
/// of the first and of the second cell. Two levels are drawn with replacement:
/// repetitions, the same ones for both cells, so that a drift of the machine
/// between repetitions cancels; then requests inside each drawn repetition,
/// for each cell by itself. The interval is the 2.5 to 97.5 percentile of
/// [`RESAMPLES`] such ratios. `results/README.md` gives every step, so that others
/// compute the same interval from the same files.
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
    let (total_a, total_b) = (
        pairs.iter().map(|(a, _)| a.len()).sum::<usize>(),
        pairs.iter().map(|(_, b)| b.len()).sum::<usize>(),
    );
    let mut random = SplitMix64(seed);
    let (mut pool_a, mut pool_b) = (Vec::new(), Vec::new());
    let mut ratios = Vec::with_capacity(RESAMPLES);
    for _ in 0..if pairs.is_empty() { 0 } else { RESAMPLES } {
        pool_a.clear();
        pool_b.clear();
        for _ in 0..pairs.len() {
            let (a, b) = pairs[random.index(pairs.len())];
            draw(a, total_a, &mut pool_a, &mut random);
            draw(b, total_b, &mut pool_b, &mut random);
        }
        if let (Some(a), Some(b @ 1..)) = (select(&mut pool_a, 0.5), select(&mut pool_b, 0.5)) {
            ratios.push(a as f64 / b as f64);
        }
    }
    if ratios.len() < RESAMPLES / 2 {
        return None;
    }
    ratios.sort_by(f64::total_cmp);
    Some((ratios[rank(ratios.len(), 0.025)?], ratios[rank(ratios.len(), 0.975)?]))
}

/// The 95 % bootstrap intervals of these quantiles of one cell, all from the same
/// draws. `runs` holds the ascending latencies of each repetition; they are drawn as
/// for [`ratio_interval`]. `None` where nothing was decided.
pub fn quantile_intervals<const N: usize>(
    runs: &[&[u64]],
    quantiles: [f64; N],
    seed: u64,
) -> Option<[(u64, u64); N]> {
    let total: usize = runs.iter().map(|run| run.len()).sum();
    if total == 0 {
        return None;
    }
    let mut random = SplitMix64(seed);
    let mut pool = Vec::new();
    let mut drawn: [Vec<u64>; N] = std::array::from_fn(|_| Vec::with_capacity(RESAMPLES));
    for _ in 0..RESAMPLES {
        pool.clear();
        for _ in 0..runs.len() {
            draw(runs[random.index(runs.len())], total, &mut pool, &mut random);
        }
        for (values, q) in drawn.iter_mut().zip(quantiles) {
            values.extend(select(&mut pool, q));
        }
    }
    let mut ends = [(0, 0); N];
    for (ends, values) in ends.iter_mut().zip(&mut drawn) {
        values.sort_unstable();
        *ends = (quantile(values, 0.025)?, quantile(values, 0.975)?);
    }
    Some(ends)
}

/// Adds values drawn with replacement to the pool: as many as there are, or the
/// repetition's part of [`DRAW_CAP`] where the cell has `total` and that is more.
fn draw(values: &[u64], total: usize, pool: &mut Vec<u64>, random: &mut SplitMix64) {
    let count = match values.len() {
        0 => 0,
        length if total <= DRAW_CAP => length,
        length => ((2 * length * DRAW_CAP + total) / (2 * total)).max(1),
    };
    pool.extend((0..count).map(|_| values[random.index(values.len())]));
}

/// The random numbers of the bootstrap: `SplitMix64`, which is four lines in any
/// language, so that the intervals can be computed again outside this program.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `length`.
    fn index(&mut self, length: usize) -> usize {
        ((u128::from(self.next()) * length as u128) >> 64) as usize
    }
}

/// The nearest-rank quantile; reorders the values.
fn select(values: &mut [u64], q: f64) -> Option<u64> {
    let index = rank(values.len(), q)?;
    Some(*values.select_nth_unstable(index).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// The first outputs that the generator's author publishes for seed 1234567.
    #[test]
    fn the_random_numbers_are_those_of_splitmix64() {
        let mut random = SplitMix64(1_234_567);
        let first: [u64; 3] = std::array::from_fn(|_| random.next());
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
        assert!((0..1000).all(|_| random.index(7) < 7));
        let drawn: std::collections::BTreeSet<usize> = (0..1000).map(|_| random.index(7)).collect();
        assert_eq!(drawn.len(), 7);
    }

    #[test]
    fn intervals_of_quantiles_hold_what_varies() {
        let constant = [[300u64; 20], [300; 20]];
        let runs: Vec<&[u64]> = constant.iter().map(|run| &run[..]).collect();
        assert_eq!(quantile_intervals(&runs, [0.5, 0.99], 1), Some([(300, 300), (300, 300)]));
        // Two repetitions, constant inside: a draw has both or one of them twice.
        let (low, high) = ([100u64; 9], [400u64; 9]);
        assert_eq!(quantile_intervals(&[&low, &high], [0.5], 1), Some([(100, 400)]));
        assert_eq!(quantile_intervals(&[&[], &[]], [0.5], 1), None);
        assert_eq!(quantile_intervals(&[], [0.5], 1), None);
        // Some repetitions without an answer leave the others.
        assert_eq!(quantile_intervals(&[&low, &[]], [0.5], 1), Some([(100, 100)]));
    }

    #[test]
    fn the_interval_of_a_median_narrows_with_the_requests() {
        let width = |count: u64| {
            let values: Vec<u64> = (0..count).map(|i| 1000 + 1000 * i / count).collect();
            let [(low, high)] = quantile_intervals(&[&values], [0.5], 3).unwrap();
            assert!(low < 1500 && 1500 < high, "{low} {high}");
            high - low
        };
        let (few, many) = (width(50), width(2000));
        assert!(few > 200 && many < 60, "{few} {many}");
        // Beyond the cap a draw is no larger: never narrower than it should be.
        assert!(width(200_000) > 20);
    }

    #[test]
    fn quantiles_are_nearest_rank() {
        let ten: Vec<u64> = (1..=10).map(|v| v * 10).collect();
        assert_eq!(quantile(&ten, 0.0), Some(10));
        assert_eq!(quantile(&ten, 0.5), Some(50));
        assert_eq!(quantile(&ten, 0.51), Some(60));
        assert_eq!(quantile(&ten, 0.9), Some(90));
        assert_eq!(quantile(&ten, 0.91), Some(100));
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

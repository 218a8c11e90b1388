//! Scales: from values to places, with the ticks on them.

/// A scale of one axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    log: bool,
    /// Values with the text that stands at them.
    pub(super) ticks: Vec<(f64, String)>,
}

impl Scale {
    /// From zero to a little beyond `max`, with at most `steps` round steps.
    pub(super) fn from_zero(max: f64, steps: u32) -> Self {
        let max = if max.is_finite() && max > 0.0 { max } else { 1.0 };
        Scale::linear(0.0, max * 1.04, steps)
    }

    /// From `low` to `high` as they are, with round ticks between.
    pub(super) fn linear(low: f64, high: f64, steps: u32) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        let step = round_step((high - low) / f64::from(steps.max(1)));
        let first = (low / step - 1e-9).ceil();
        let ticks = (0..=200)
            .map(|i| (first + f64::from(i)) * step)
            .take_while(|v| *v <= high + step * 1e-6)
            .map(|v| (v, number(v)))
            .collect();
        Scale { low, high, log: false, ticks }
    }

    /// Logarithmic, by the factor `room` beyond the given values on both sides. At
    /// most about `most` ticks.
    pub(super) fn log(min: f64, max: f64, room: f64, most: usize) -> Self {
        let min = if min.is_finite() && min > 0.0 { min } else { 0.001 };
        let max = if max.is_finite() { max.max(min) } else { min };
        let (low, high) = (min / room, max * room);
        let candidates: [&[f64]; 5] = [
            &[1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
            &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0],
            &[1.0, 2.0, 5.0],
            &[1.0, 3.0],
            &[1.0],
        ];
        let mut values = Vec::new();
        for steps in candidates {
            values = log_values(low, high, steps);
            if values.len() <= most {
                break;
            }
        }
        // Of very many decades only each second, third, … is named.
        let every = values.len().div_ceil(most.max(1)).max(1);
        let ticks = values.into_iter().step_by(every).map(|v| (v, number(v))).collect();
        Scale { low, high, log: true, ticks }
    }

    /// Percentiles of `count` values at `1 / (1 - p)`, logarithmic: every decade is
    /// another nine.
    pub(super) fn percentiles(count: u64) -> Self {
        let high = (count as f64).max(10.0) * 1.1;
        let mut ticks = vec![(1.0, "0".to_string()), (2.0, "50 %".to_string())];
        let mut place = 10f64;
        while place <= high {
            let nines = place.log10().round() as usize;
            let digits = nines.saturating_sub(2);
            ticks.push((place, format!("{:.digits$} %", 100.0 - 100.0 / place)));
            place *= 10.0;
        }
        Scale { low: 1.0, high, log: true, ticks }
    }

    /// Ticks exactly at these values, with room on both sides.
    pub(super) fn at_values(values: &[f64], log: bool) -> Self {
        let (min, max) = bounds(values.iter().copied()).unwrap_or((0.0, 1.0));
        let ticks = values.iter().map(|v| (*v, number(*v))).collect();
        let log = log && min > 0.0;
        let (low, high) = if log {
            let room = (max / min).powf(0.07).max(1.15);
            (min / room, max * room)
        } else {
            let room = ((max - min) * 0.08).max(0.5);
            (min - room, max + room)
        };
        Scale { low, high, log, ticks }
    }

    /// 0 at the low end, 1 at the high end; what is beyond is put at the end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = if self.log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        if place.is_finite() { place.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The least and the greatest value on the scale.
    pub(super) fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }
}

fn log_values(low: f64, high: f64, steps: &[f64]) -> Vec<f64> {
    let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let values = decades.flat_map(|d| steps.iter().map(move |s| s * 10f64.powi(d)));
    values.filter(|v| (low..=high).contains(v)).collect()
}

/// Least and greatest finite value.
pub(super) fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|v| v.is_finite()).fold(None, |bounds, v| match bounds {
        None => Some((v, v)),
        Some((low, high)) => Some((v.min(low), v.max(high))),
    })
}

/// 1, 2 or 5 times a power of ten, at or above `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let lead = [1.0, 2.0, 5.0, 10.0].into_iter().find(|lead| lead * power >= step * 0.999_999);
    lead.unwrap_or(10.0) * power
}

/// A number as an axis shows it: without the dust of floating point, thousands set
/// apart.
pub(super) fn number(value: f64) -> String {
    if value.abs() < 10_000.0 {
        return format!("{}", (value * 1e6).round() / 1e6);
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn linear_scales_have_round_ticks() {
        let scale = Scale::from_zero(84.0, 5);
        assert_eq!(labels(&scale), ["0", "20", "40", "60", "80"]);
        assert_eq!((scale.place(0.0), scale.place(43.68), scale.place(1e9)), (0.0, 0.5, 1.0));
        assert_eq!(labels(&Scale::from_zero(0.0, 3)), ["0", "0.5", "1"]);
        assert_eq!(labels(&Scale::from_zero(f64::NAN, 1)), ["0"]);
        assert_eq!(labels(&Scale::linear(-0.5, 1.5, 4)), ["-0.5", "0", "0.5", "1", "1.5"]);
    }

    #[test]
    fn logarithmic_ticks_are_few_and_round() {
        assert_eq!(labels(&Scale::log(0.5, 2.0, 1.0, 6)), ["0.5", "0.7", "1", "1.5", "2"]);
        assert_eq!(labels(&Scale::log(1.0, 1000.0, 1.0, 4)), ["1", "10", "100", "1000"]);
        let scale = Scale::log(1.0, 100.0, 1.0, 8);
        assert!((scale.place(10.0) - 0.5).abs() < 1e-12);
        for (min, max) in [(1e-9, 1e12), (5.0, 5.0), (0.0, f64::INFINITY), (1.0, 1.01)] {
            let scale = Scale::log(min, max, 1.1, 6);
            assert!(scale.ticks.len() <= 6, "{scale:?}");
            assert!(scale.ticks.iter().all(|(v, _)| (0.0..=1.0).contains(&scale.place(*v))));
        }
    }

    #[test]
    fn percentiles_go_as_far_as_there_are_requests() {
        assert_eq!(labels(&Scale::percentiles(300)), ["0", "50 %", "90 %", "99 %"]);
        assert_eq!(labels(&Scale::percentiles(20_000)).last(), Some(&"99.99 %"));
        assert_eq!(Scale::percentiles(0).place(1.0), 0.0);
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(number(0.1 + 0.2), "0.3");
        assert_eq!(number(9_999.0), "9999");
        assert_eq!(number(1_234_567.0), "1\u{202f}234\u{202f}567");
    }
}

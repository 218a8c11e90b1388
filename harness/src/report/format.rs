//! Numbers as people read them, for the terminal and the page.

use crate::results::schema::SummaryRow;

/// What stands for "there is no such value".
pub(super) const NONE: &str = "–";

/// Microseconds with three digits and the unit that suits them.
pub(crate) fn duration(us: Option<f64>) -> String {
    let Some(us) = us.filter(|us| us.is_finite()) else {
        return NONE.into();
    };
    match us {
        us if us < 999.5 => format!("{} µs", digits(us)),
        us if us < 999_500.0 => format!("{} ms", digits(us / 1e3)),
        us => format!("{} s", digits(us / 1e6)),
    }
}

/// Three significant digits, or all before the point, thousands set apart.
pub(crate) fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        v if v >= 99.95 => super::scale::number(value.round()),
        v if v >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A count for each decision: whole where it is whole.
pub(super) fn per_decision(value: f64) -> String {
    if (value - value.round()).abs() < 0.005 { super::scale::number(value.round()) } else { digits(value) }
}

/// The same for a value that may be missing.
pub(super) fn optional(value: Option<f64>) -> String {
    value.filter(|v| v.is_finite()).map_or_else(|| NONE.into(), digits)
}

/// A share of 0 to 1 in percent. Only the whole is `100 %` and only nothing is
/// `0 %`: a single lost request must not vanish by rounding.
pub(super) fn percent(share: f64) -> String {
    match share {
        s if s <= 0.0 => "0 %".into(),
        s if s >= 1.0 => "100 %".into(),
        s if s < 0.001 => "<0.1 %".into(),
        s if s > 0.999 => ">99.9 %".into(),
        s => format!("{:.1} %", s * 100.0),
    }
}

/// The outcomes that occurred with their shares, such as `decided 100 %`.
pub(super) fn outcomes(row: &SummaryRow) -> Vec<String> {
    let counts = [
        ("decided", row.decided),
        ("timeout", row.timeouts),
        ("error", row.errors),
        ("VIOLATION", row.violations),
    ];
    let share = |count: u64| percent(count as f64 / row.requests as f64);
    let parts: Vec<String> = counts
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name} {}", share(count)))
        .collect();
    if parts.is_empty() { vec!["no requests".into()] } else { parts }
}

/// The ratio to PBFT with its interval, such as `1.12 [1.08, 1.15]`.
pub(super) fn ratio(row: &SummaryRow) -> String {
    let Some(ratio) = row.ratio_to_pbft else {
        return NONE.into();
    };
    match (row.ratio_low, row.ratio_high) {
        _ if row.protocol == crate::results::summary::BASELINE => digits(ratio),
        (Some(low), Some(high)) => {
            format!("{} [{}, {}]", digits(ratio), digits(low), digits(high))
        }
        _ => digits(ratio),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_choose_their_unit() {
        assert_eq!(duration(Some(7.0)), "7.00 µs");
        assert_eq!(duration(Some(912.0)), "912 µs");
        assert_eq!(duration(Some(999.9)), "1.00 ms");
        assert_eq!(duration(Some(12_345.0)), "12.3 ms");
        assert_eq!(duration(Some(2_500_000.0)), "2.50 s");
        assert_eq!(duration(None), NONE);
        assert_eq!((per_decision(84.0), per_decision(27.96)), ("84".into(), "28.0".into()));
        assert_eq!(digits(31_234.0), "31\u{202f}234");
    }

    #[test]
    fn a_lost_request_does_not_vanish() {
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.999_999), ">99.9 %");
        assert_eq!(percent(0.000_001), "<0.1 %");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.125), "12.5 %");
    }
}

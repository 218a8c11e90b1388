//! Validity: what was accepted was asked for, and as often as it was asked for.

use crate::trace::Outcome;
use std::collections::HashSet;

/// Judges accepted results: every one belongs to a submitted request, none was
/// accepted twice, and no two requests were given the same place in the log
/// (the opaque log's result starts with the place).
pub fn check(submitted: usize, accepted: &[Outcome]) -> Result<(), String> {
    let (mut requests, mut places) = (HashSet::new(), HashSet::new());
    for outcome in accepted {
        if outcome.request >= submitted {
            return Err(format!("request {} was never submitted", outcome.request));
        }
        if !requests.insert(outcome.request) {
            return Err(format!("request {} was accepted twice", outcome.request));
        }
        let place = outcome.result.split(' ').next().unwrap_or_default().to_owned();
        if !places.insert(place.clone()) {
            return Err(format!("two requests were executed at place {place}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_not_asked_for_and_what_was_done_twice() {
        let outcome =
            |request, result: &str| Outcome { request, result: result.into(), seq: kernel::Seq(1), at_us: 0 };
        assert_eq!(check(2, &[outcome(0, "1 x"), outcome(1, "2 y")]), Ok(()));
        assert!(check(1, &[outcome(1, "1 x")]).is_err());
        assert!(check(2, &[outcome(0, "1 x"), outcome(0, "2 x")]).is_err());
        assert!(check(2, &[outcome(0, "1 x"), outcome(1, "1 y")]).is_err());
    }
}

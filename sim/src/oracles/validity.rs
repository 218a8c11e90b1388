//! Validity: what is applied was asked for, at most once, in the order of its
//! session; what a client accepts is the answer to a request that was applied.

use crate::trace::{Submitted, Trace};
use kernel::{Mark, SessionId};
use std::collections::{HashMap, HashSet};

/// Judges a run. The error names the first breach.
pub fn check(trace: &Trace) -> Result<(), String> {
    let submitted: HashSet<(SessionId, u64)> =
        trace.submitted.iter().map(|request| (request.session, request.counter)).collect();
    let applied = check_applied(trace, &submitted)?;
    check_accepted(trace)?;
    check_answers(trace, &applied)
}

/// Where each request was applied. Slots are the same on all honest replicas, so
/// one request in two slots was applied twice by whoever has both, wherever
/// each of them got its state from.
fn check_applied(
    trace: &Trace,
    submitted: &HashSet<(SessionId, u64)>,
) -> Result<HashMap<(SessionId, u64), u64>, String> {
    let mut slots: HashMap<(SessionId, u64), u64> = HashMap::new();
    let mut latest: HashMap<SessionId, (u64, u64)> = HashMap::new();
    for stamped in trace.honest_marks() {
        let Mark::Applied { seq, session, counter } = stamped.mark else {
            continue;
        };
        let (replica, request) = (stamped.replica, (session, counter));
        if trace.is_honest(session.gateway) && !submitted.contains(&request) {
            return Err(format!("replica {replica} applied {request:?}, which nobody asked for"));
        }
        let Some(seq) = seq else {
            continue;
        };
        let slot = *slots.entry(request).or_insert(seq.0);
        if slot != seq.0 {
            return Err(format!("{request:?} was applied in slots {slot} and {seq} (replica {replica})"));
        }
        let (highest, place) = latest.entry(session).or_insert((counter, seq.0));
        if counter > *highest && seq.0 >= *place {
            (*highest, *place) = (counter, seq.0);
        } else if (counter < *highest && seq.0 > *place) || (counter > *highest && seq.0 < *place) {
            return Err(format!("{session:?}: request {highest} in slot {place}, {counter} in slot {seq}"));
        }
    }
    Ok(slots)
}

/// Judges what clients accepted: each belongs to a submitted request, none was
/// accepted twice, and no two requests have one place in the log, where results name it.
pub fn check_accepted(trace: &Trace) -> Result<(), String> {
    let (mut requests, mut places) = (HashSet::new(), HashMap::new());
    for outcome in &trace.accepted {
        let request = outcome.request;
        if request >= trace.submitted.len() {
            return Err(format!("request {request} was accepted and never submitted"));
        }
        if !requests.insert(request) {
            return Err(format!("request {request} was accepted twice"));
        }
        if !trace.results_are_places {
            continue;
        }
        let place = outcome.result.0.split(|byte| *byte == b' ').next().unwrap_or_default();
        if let Some(other) = places.insert(place, request) {
            let place = String::from_utf8_lossy(place);
            return Err(format!("requests {other} and {request} were both answered with place {place}"));
        }
    }
    Ok(())
}

fn check_answers(trace: &Trace, applied: &HashMap<(SessionId, u64), u64>) -> Result<(), String> {
    for outcome in &trace.accepted {
        let Submitted { session, counter, request, .. } = trace.submitted[outcome.request];
        if !applied.contains_key(&(session, counter)) {
            return Err(format!("request {request} was accepted and no honest replica applied it"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::oracles::testing::trace;

    #[test]
    fn each_request_once_and_then_its_answer() {
        let run = trace(4).submit(7, 1).submit(7, 2).submit(8, 1).apply(0, 1, 7, 1).apply(1, 1, 7, 1);
        let run = run.accept(0, "1 x").apply(0, 2, 7, 2).apply(0, 2, 8, 1).accept(1, "2 y").apply(1, 2, 7, 2);
        assert_eq!(check(&run), Ok(()));
    }

    #[test]
    fn what_nobody_asked_for_is_a_breach_unless_its_gateway_is_faulty() {
        let run = trace(4).apply(1, 1, 7, 1);
        assert!(check(&run).unwrap_err().contains("nobody asked for"));
        assert_eq!(check(&run.faulty(&[0])), Ok(()));
    }

    #[test]
    fn a_request_in_two_slots_and_a_session_backwards_are_breaches() {
        let twice = trace(4).submit(7, 1).apply(0, 1, 7, 1).apply(0, 3, 7, 1);
        assert!(check(&twice).unwrap_err().contains("in slots 1 and 3"));
        let elsewhere = trace(4).submit(7, 1).apply(0, 1, 7, 1).apply(1, 3, 7, 1);
        assert!(check(&elsewhere).is_err());
        let backwards = trace(4).submit(7, 1).submit(7, 2).apply(0, 1, 7, 2).apply(0, 2, 7, 1);
        assert!(check(&backwards).is_err());
    }

    #[test]
    fn an_answer_needs_a_request_that_was_applied_and_a_place_of_its_own() {
        let asked = || trace(4).submit(7, 1).submit(8, 1).apply(1, 1, 7, 1).apply(1, 1, 8, 1);
        assert!(check(&asked().accept(2, "1 x")).unwrap_err().contains("never submitted"));
        assert!(check(&asked().accept(0, "1 x").accept(0, "1 x")).unwrap_err().contains("twice"));
        assert!(check(&asked().accept(0, "1 x").accept(1, "1 x")).unwrap_err().contains("place 1"));
        assert!(check(&trace(4).submit(7, 1).accept(0, "1 x")).unwrap_err().contains("no honest replica"));
    }
}

//! What clients saw of an outage, and whether what was acknowledged to them still holds.

use std::collections::BTreeMap;

use super::driver::Event;
use crate::load::{Answer, Decision, Sample};
use crate::plan::Cell;
use crate::plan::faults::join_ids;
use crate::results::schema::EventRow;
use crate::results::statistics::quantile;

/// What clients saw from one event to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Impact {
    gap_us: Option<u64>,
    service_after_us: Option<u64>,
    late: u64,
    undecided: u64,
    view: Option<u64>,
    p99_us: Option<u64>,
}

/// The rows of `events.csv`.
pub fn event_rows(
    cell: &Cell,
    repetition: u32,
    events: &[Event],
    samples: &[Sample],
    late_us: u64,
) -> Vec<EventRow> {
    let answers = answers(samples);
    let row = |(number, event): (usize, &Event)| {
        let until = events.get(number + 1).map_or(u64::MAX, |next| next.at_us);
        let impact = impact(samples, &answers, event.at_us..until, late_us);
        EventRow {
            cell: cell.name.clone(),
            repetition,
            protocol: cell.protocol.to_string(),
            nodes: cell.nodes.into(),
            event: event.kind,
            node: join_ids(&event.nodes),
            at_us: event.at_us,
            gap_us: impact.gap_us,
            service_after_us: impact.service_after_us,
            late: impact.late,
            undecided: impact.undecided,
            view: impact.view,
            p99_us: impact.p99_us,
            caught_up_us: event.caught_up_us,
            voting_us: event.voting_us,
        }
    };
    events.iter().enumerate().map(row).collect()
}

/// When each accepted answer came, in that order, and the decision in it.
fn answers(samples: &[Sample]) -> Vec<(u64, &Sample, &Decision)> {
    let mut answers: Vec<_> = samples
        .iter()
        .filter_map(|sample| match &sample.answer {
            Answer::Decided(decision) => Some((sample.intended_us + sample.response_us?, sample, decision)),
            _ => None,
        })
        .collect();
    answers.sort_by_key(|(at, ..)| *at);
    answers
}

fn impact(
    samples: &[Sample],
    answers: &[(u64, &Sample, &Decision)],
    window: std::ops::Range<u64>,
    late_us: u64,
) -> Impact {
    let within = || answers.iter().filter(|(at, ..)| window.contains(at));
    let undecided = samples.iter().filter(|sample| {
        window.contains(&sample.intended_us) && !matches!(sample.answer, Answer::Decided(_))
    });
    // From the start over all answers to the end: the end is when the last
    // request was due, if nobody was answered any more.
    let end = samples.iter().map(|sample| sample.intended_us).chain(answers.iter().map(|(at, ..)| *at)).max();
    let points: Vec<(u64, bool)> = [(0, false)]
        .into_iter()
        .chain(answers.iter().map(|(at, ..)| (*at, true)))
        .chain(end.map(|end| (end, false)))
        .collect();
    // The gap in which the event came counts in full; so does the one in which
    // the next came.
    let longest = points
        .windows(2)
        .map(|pair| (pair[0].0, pair[1]))
        .filter(|(from, (to, _))| *to >= window.start && *from < window.end)
        .max_by_key(|(from, (to, _))| to - from);
    let mut times: Vec<u64> = within().filter_map(|(_, sample, _)| sample.response_us).collect();
    times.sort_unstable();
    Impact {
        p99_us: quantile(&times, 0.99),
        gap_us: longest.map(|(from, (to, _))| to - from),
        service_after_us: longest
            .filter(|(_, (_, answered))| *answered)
            .map(|(_, (to, _))| to - window.start),
        late: within().filter(|(_, sample, _)| sample.response_us > Some(late_us)).count() as u64,
        undecided: undecided.count() as u64,
        view: within().map(|(.., decision)| decision.view).max(),
    }
}

/// Whether every acknowledged request still has the place in the log that its
/// answer named, and no other request has it. `last` is the answer to a request
/// posted after all others; `posted` counts all requests that were ever sent.
pub fn check_places(samples: &[Sample], last: Option<&Decision>, posted: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut places: BTreeMap<u64, &Decision> = BTreeMap::new();
    for (_, _, decision) in answers(samples) {
        let Some(place) = place(&decision.result) else {
            wrong.push(format!("slot {}: the result {:?} names no place", decision.seq, decision.result));
            continue;
        };
        if let Some(other) = places.insert(place, decision) {
            wrong.push(format!(
                "place {place} was acknowledged twice: in slot {} as {:?} and in slot {} as {:?}",
                other.seq, other.result, decision.seq, decision.result
            ));
        }
    }
    for ((place, one), (next, other)) in places.iter().zip(places.iter().skip(1)) {
        if one.seq > other.seq {
            wrong.push(format!(
                "place {place} is in slot {} and the later place {next} in slot {}",
                one.seq, other.seq
            ));
        }
    }
    let highest = places.keys().next_back().copied().unwrap_or(0);
    if let Some(end) = last.and_then(|last| place(&last.result)) {
        if end <= highest {
            wrong
                .push(format!("place {highest} was acknowledged, and a later request got place {end}: lost"));
        }
        if end > posted {
            wrong.push(format!("{end} requests were executed and only {posted} posted: doubled"));
        }
    }
    wrong
}

/// The place in the log that a result of [`apps::OpaqueLog`] names.
fn place(result: &str) -> Option<u64> {
    result.split_once(' ')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(intended_ms: u64, response_ms: u64, seq: u64, result: &str) -> Sample {
        let decision = Decision {
            seq,
            consensus_us: 1.0,
            received_ns: 0,
            replies: 2,
            view: seq / 10,
            result: result.into(),
        };
        Sample {
            gateway: 0,
            intended_us: intended_ms * 1000,
            sent_us: None,
            response_us: Some(response_ms * 1000),
            answer: Answer::Decided(decision),
        }
    }

    fn undecided(intended_ms: u64) -> Sample {
        let answer = Answer::Timeout { replies: None };
        Sample { response_us: None, answer, ..decided(intended_ms, 0, 0, "") }
    }

    fn seen(samples: &[Sample], window: std::ops::Range<u64>) -> Impact {
        let window = window.start * 1000..window.end.saturating_mul(1000);
        impact(samples, &answers(samples), window, 100_000)
    }

    #[test]
    fn the_gap_goes_from_the_last_answer_before_to_the_first_after() {
        let samples = [
            decided(0, 1, 1, "1 a"),
            decided(10, 1, 2, "2 b"),
            // Killed at 15.
            decided(20, 391, 11, "3 c"),
            undecided(30),
            decided(450, 1, 12, "4 d"),
            decided(460, 1, 13, "5 e"),
        ];
        let impact = seen(&samples, 15..u64::MAX);
        assert_eq!((impact.gap_us, impact.service_after_us), (Some(400_000), Some(396_000)));
        assert_eq!((impact.late, impact.undecided, impact.view), (1, 1, Some(1)));
        let before = seen(&samples, 0..15);
        assert_eq!((before.late, before.undecided, before.view), (0, 0, Some(0)));
        assert_eq!(seen(&samples, 455..u64::MAX).gap_us, Some(10_000));
    }

    #[test]
    fn service_that_never_comes_back_has_a_gap_and_no_end() {
        let samples = [decided(0, 1, 1, "1 a"), decided(10, 1, 1, "2 b"), undecided(20), undecided(900)];
        let impact = seen(&samples, 15..u64::MAX);
        assert_eq!((impact.gap_us, impact.service_after_us), (Some(889_000), None));
        assert_eq!((impact.undecided, impact.view), (2, None));
        let nothing = seen(&[undecided(5)], 1..u64::MAX);
        assert_eq!((nothing.gap_us, nothing.undecided), (Some(5_000), 1));
    }

    #[test]
    fn a_place_belongs_to_one_request_and_is_never_given_again() {
        let good = [decided(0, 1, 1, "1 a"), decided(1, 1, 1, "2 b"), undecided(2), decided(3, 1, 4, "4 d")];
        let end = |result: &str| match decided(0, 0, 9, result).answer {
            Answer::Decided(decision) => decision,
            _ => unreachable!(),
        };
        assert_eq!(check_places(&good, Some(&end("5 e")), 5), Vec::<String>::new());
        let says = |samples: &[Sample], last: &str, posted, expected: &str| {
            let wrong = check_places(samples, Some(&end(last)), posted);
            assert!(wrong.len() == 1 && wrong[0].contains(expected), "{wrong:?}");
        };
        says(&good, "4 z", 5, "lost");
        says(&good, "6 f", 5, "doubled");
        says(&[good[0].clone(), decided(5, 1, 2, "1 x")], "5 e", 5, "acknowledged twice");
        says(&[decided(0, 1, 8, "1 a"), decided(1, 1, 7, "2 b")], "5 e", 5, "in slot 8");
        says(&[decided(0, 1, 8, "nonsense")], "5 e", 5, "names no place");
    }
}

//! What was acknowledged stays: a request that a client accepted an answer to stands, at the end,
//! once in the log of every honest replica, at the place that the answer named. No crash takes it
//! away, of however many replicas at once, where they have disks.

use super::moments::Moment;
use crate::trace::Trace;
use kernel::{Mark, ReplicaId, SessionId};
use std::collections::{BTreeMap, HashMap, HashSet};

type Request = (SessionId, u64);

/// Judges a run at whose end all honest replicas have executed the same.
pub fn check(trace: &Trace) -> Result<(), String> {
    let log = log(trace)?;
    let in_order =
        log.iter().flat_map(|(slot, requests)| requests.iter().map(move |request| (*request, *slot)));
    let places: HashMap<Request, (usize, u64)> =
        (1..).zip(in_order).map(|(place, (request, slot))| (request, (place, slot))).collect();
    let ends = ends(trace);
    for outcome in &trace.accepted {
        let asked = &trace.submitted[outcome.request];
        let (number, request) = (asked.request, (asked.session, asked.counter));
        let Some((place, slot)) = places.get(&request) else {
            return Err(format!("request {number} was acknowledged and stands in no log at the end"));
        };
        if trace.results_are_places && !outcome.result.0.starts_with(format!("{place} ").as_bytes()) {
            let answer = String::from_utf8_lossy(&outcome.result.0);
            return Err(format!(
                "request {number} was acknowledged with {answer:?} and stands at place {place} at the end"
            ));
        }
        if let Some((replica, end)) = ends.iter().find(|(_, end)| *end < slot) {
            return Err(format!(
                "request {number} was acknowledged in slot {slot}, and the log of replica {replica} ends at {end}"
            ));
        }
    }
    Ok(())
}

/// The requests of each slot, in order, by the word of the first honest replica that executed it.
fn log(trace: &Trace) -> Result<BTreeMap<u64, Vec<Request>>, String> {
    let mut log: BTreeMap<u64, (ReplicaId, Vec<Request>)> = BTreeMap::new();
    let mut seen = HashSet::new();
    for stamped in trace.honest_marks() {
        let Mark::Applied { seq: Some(seq), session, counter } = stamped.mark else { continue };
        let (first, requests) = log.entry(seq.0).or_insert((stamped.replica, Vec::new()));
        let request = (session, counter);
        if *first == stamped.replica && !requests.contains(&request) {
            requests.push(request);
            if !seen.insert(request) {
                return Err(format!("{request:?} was executed twice, in slot {seq} at last"));
            }
        }
    }
    Ok(log.into_iter().map(|(slot, (_, requests))| (slot, requests)).collect())
}

/// The last slot of each honest replica.
fn ends(trace: &Trace) -> BTreeMap<ReplicaId, u64> {
    let mut ends: BTreeMap<ReplicaId, u64> = trace.honest().into_iter().map(|id| (id, 0)).collect();
    for moment in trace.honest_moments() {
        match moment {
            Moment::Restarted(replica) => ends.insert(replica, 0),
            Moment::Marked(replica, Mark::Executed { seq, .. } | Mark::StateAdopted { seq, .. }) => {
                ends.insert(replica, seq.0)
            }
            Moment::Marked(..) => None,
        };
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::oracles::testing::trace;
    use crate::trace::Trace;

    fn executed(run: Trace, slot: u64, session: u64, name: &str) -> Trace {
        (0..4).fold(run, |run, id| run.apply(id, slot, session, 1).execute(id, slot, name, name))
    }

    #[test]
    fn what_was_acknowledged_stands_where_the_answer_says() {
        let run = executed(executed(trace(4).submit(7, 1).submit(8, 1), 1, 7, "a"), 2, 8, "ab");
        assert_eq!(check(&run.clone().accept(0, "1 x").accept(1, "2 y")), Ok(()));
        assert!(check(&run.clone().accept(0, "2 x")).unwrap_err().contains("stands at place 1"));
        assert!(check(&run.clone().submit(9, 1).accept(2, "3 z")).unwrap_err().contains("in no log"));
        let forgot = run.clone().accept(1, "2 y").restart(3).apply(3, 1, 7, 1).execute(3, 1, "a", "a");
        assert!(check(&forgot).unwrap_err().contains("the log of replica 3 ends at 1"));
        let twice = executed(run, 3, 7, "abc");
        assert!(check(&twice).unwrap_err().contains("executed twice"));
    }
}

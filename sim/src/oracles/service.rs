//! Bounded service: once the network is well and at most `f` nodes are faulty, a
//! request that reaches the replica of an honest gateway is answered within a number
//! of request timers. What a client waits until it asks again plays no part in it.
//!
//! With `T` the request timer and `b` the number of views that may fail in a row, the
//! bound is
//!
//! `(5/2)·T + Σ 2·min(64T, T·2^i)` for `i` from 0 to `b − 1`:
//!
//! * `T/2` until the gateway's replica has sent the request to all;
//! * `T` until all honest replicas that have not executed it have left the view;
//! * for each view that fails, `T·2^i` until it begins and `T·2^i` until it is left;
//! * `T` for the view of an honest commander, which is longer than it needs.
//!
//! `b` is `f`, as faulty nodes are commanders `f` times in a row at most, and 2 more
//! where nodes lost their memory, because these vote again only two views later.
//!
//! Just after the network has healed, timers are still as long as failures before have
//! made them: no longer than all the time that had passed by then, as every doubling
//! takes a timer that ran out. Lost messages are sent again by a timer that has grown
//! in the same way. Several requests are on their way then: each that came earlier may
//! take as long. And a reply that was lost is sent again only when the gateway asks again.

//! # Pace
//!
//! A single request may take a request timer; when clients ask again and again, most may
//! not. A commander may keep what waits for the limit of `pbft::pace`, at most a quarter
//! of the request timer, half of it once the limit has doubled for one that was replaced.
//! Where decisions are fast, it is an eighth for each slot: that counts where batches are so
//! small that a request waits for several slots before its own.
//! One that exceeds it is replaced before requests that follow each other have waited for
//! 10 request timers. This is judged with at most one faulty node.

use crate::trace::Trace;
use std::collections::HashMap;

/// What the bound is made of; times in virtual microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The request timer `T`.
    pub request_timer_us: u64,
    /// The resend timer.
    pub resend_after_us: u64,
    /// `b`: views that may fail one after the other.
    pub failing_views: u32,
    /// Requests that may be on their way at once.
    pub bundles: u64,
    /// After how long gateways hand requests over again, as long as anything may be lost.
    pub remind_after_us: u64,
    /// When the network was well again.
    pub healed_us: u64,
    /// From when on no timer was any longer than at the start; none if that was not
    /// waited for.
    pub settled_us: Option<u64>,
}

/// Timers double at most so often: the request timer and the resend timer.
const DOUBLINGS: (u32, u32) = (6, 5);
/// A gateway's reminders likewise.
const REMINDER_DOUBLINGS: u32 = 3;
/// For the messages themselves, which take 100 µs each in a network that is well.
const MESSAGES_US: u64 = 5_000;

impl Terms {
    /// The bound for a request that is submitted when no timer has grown.
    pub fn when_settled_us(&self) -> u64 {
        self.grown_from_us(self.request_timer_us) + MESSAGES_US
    }

    /// The bound for a request that waits when the network heals, counted from then,
    /// or is submitted soon after.
    pub fn when_healed_us(&self) -> u64 {
        let grown = |base: u64, doublings: u32| (base << doublings).min(self.healed_us + base);
        let timer = self.grown_from_us(grown(self.request_timer_us, DOUBLINGS.0));
        let resends = 2 * grown(self.resend_after_us, DOUBLINGS.1);
        let reminder = grown(self.remind_after_us, REMINDER_DOUBLINGS);
        self.bundles.max(1) * (timer + resends) + reminder + MESSAGES_US
    }

    fn grown_from_us(&self, timer_us: u64) -> u64 {
        let longest = self.request_timer_us << DOUBLINGS.0;
        let failing = (0..self.failing_views).map(|i| 2 * (timer_us << i.min(DOUBLINGS.0)).min(longest));
        timer_us * 5 / 2 + failing.sum::<u64>()
    }
}

/// Whether every request of an honest gateway was answered within the bound, in a run
/// that went on for that long.
pub fn check(trace: &Trace, terms: &Terms) -> Result<(), String> {
    let accepted: HashMap<usize, u64> =
        trace.accepted.iter().map(|outcome| (outcome.request, outcome.at_us)).collect();
    for request in trace.submitted.iter().filter(|request| trace.is_honest(request.gateway)) {
        let since_us = request.at_us.max(terms.healed_us);
        let settled = terms.settled_us.is_some_and(|settled_us| request.at_us >= settled_us);
        let bound_us = if settled { terms.when_settled_us() } else { terms.when_healed_us() };
        let answered_us = accepted.get(&request.request);
        if answered_us.is_none_or(|at_us| at_us.saturating_sub(since_us) > bound_us) {
            let (number, gateway, timer_us) = (request.request, request.gateway, terms.request_timer_us);
            let what = answered_us.map_or("no answer".to_owned(), |at_us| format!("an answer at {at_us} us"));
            return Err(format!(
                "request {number} of gateway {gateway}, due since {since_us} us, has {what}; with a request \
                 timer of {timer_us} us it must have one within {bound_us} us"
            ));
        }
    }
    Ok(())
}

/// Requests that a client made one after the other, when no timer had grown and the
/// network was well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// How many.
    pub requests: u64,
    /// Slots one after the other that hold a request of each client.
    pub slots: u64,
    /// How long they took together.
    pub took_us: u64,
}

/// Whether requests were answered at a fair pace.
pub fn at_fair_pace(row: Row, request_timer_us: u64) -> Result<(), String> {
    let Row { requests, slots, took_us } = row;
    let commander_us = (request_timer_us / 4).max(slots * request_timer_us / 8);
    let bound_us = requests * (commander_us + MESSAGES_US / 5) + 10 * request_timer_us;
    if took_us <= bound_us {
        return Ok(());
    }
    Err(format!(
        "{requests} requests one after the other took {took_us} us; with a request timer of {request_timer_us} us \
         they must take at most {bound_us} us together"
    ))
}

#[cfg(test)]
mod tests {
    use super::{Row, Terms, at_fair_pace, check};
    use crate::oracles::testing::trace;

    const TERMS: Terms = Terms {
        request_timer_us: 100_000,
        resend_after_us: 40_000,
        failing_views: 1,
        bundles: 1,
        remind_after_us: 0,
        healed_us: 0,
        settled_us: Some(0),
    };

    #[test]
    fn the_bound_is_a_number_of_request_timers() {
        assert_eq!(TERMS.when_settled_us(), 455_000);
        assert_eq!(Terms { failing_views: 0, ..TERMS }.when_settled_us(), 255_000);
        assert_eq!(Terms { failing_views: 3, ..TERMS }.when_settled_us(), 1_655_000);
        // Timers grow to 64 times at most: 2.5 + 2 (1 + 2 + ... + 64 + 64).
        assert_eq!(Terms { failing_views: 8, ..TERMS }.when_settled_us(), 250_000 + 2 * 19_100_000 + 5_000);
    }

    #[test]
    fn what_failed_before_healing_counts_afterwards() {
        let healed = Terms { healed_us: 300_000, ..TERMS };
        // Timers have grown to 0.4 s and 0.34 s.
        assert_eq!(healed.when_healed_us(), 1_000_000 + 800_000 + 680_000 + 5_000);
        assert_eq!(Terms { bundles: 2, ..healed }.when_healed_us(), 2 * 2_480_000 + 5_000);
    }

    #[test]
    fn a_request_may_be_slow_and_all_may_not() {
        let row = |slots, took_us| at_fair_pace(Row { requests: 60, slots, took_us }, 100_000);
        for (slots, bound_us) in [(1, 2_560_000), (2, 2_560_000), (4, 4_060_000)] {
            assert_eq!(row(slots, bound_us), Ok(()));
            assert!(row(slots, bound_us + 1).unwrap_err().contains(&format!("at most {bound_us} us")));
        }
    }

    #[test]
    fn a_late_answer_and_none_are_breaches() {
        let run = (0..4).fold(trace(4).submit(7, 1), |run, id| run.execute(id, 1, "a", "a"));
        assert!(check(&run, &TERMS).unwrap_err().contains("no answer"));
        assert_eq!(check(&run.clone().faulty(&[0]), &TERMS), Ok(()));
        let answered = run.accept(0, "1 x");
        assert_eq!(check(&answered, &TERMS), Ok(()));
        let mut late = answered;
        late.accepted[0].at_us = late.submitted[0].at_us + 455_001;
        assert!(check(&late, &TERMS).unwrap_err().contains("within 455000 us"));
        late.accepted[0].at_us -= 1;
        assert_eq!(check(&late, &TERMS), Ok(()));
    }
}

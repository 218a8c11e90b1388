//! Required progress: how long a commander may let requests wait while it has nothing to
//! wait for itself. What waits for longest, while others are served, is the part of
//! [`crate::fairness`].
//!
//! Without it, a commander that proposes just before the request timer runs out is never
//! replaced. Aardvark (Clement et al., NSDI 2009) demands of a commander what recent views
//! delivered; Prime (Amir et al., TDSC 2011) bounds the time from a request to its proposal
//! by what the network allows. Here, a backup measures both with the same clock:
//!
//! * *idle time*: bundles are watched over here, which were not executed as part of others,
//!   and no slot is accepted that is not executed. It ends with the next proposal whose
//!   batch is here. An honest commander proposes at once, so it is about two message
//!   delays, whatever the load: what waits behind slots in flight does not count.
//! * *decision time*: from a proposal to its execution. That is two or more message delays
//!   among a quorum, on the same machines and under the same load. Its moving average is
//!   what idle time is compared with.
//!
//! | upon | condition | a backup does |
//! | --- | --- | --- |
//! | idle time ends | above the limit | the commander is *late*: add how many times above, at most 4, to its score |
//! | | within it | take from the score a quarter of how many limits have passed since it last changed, at most 1 |
//! | a score of 4 | – | send its gateway's requests to all at once, so that all measure the same |
//! | a score of 16 | – | VIEW-CHANGE |
//! | a view begins | the score was not 0 | the score is 0, the limit doubles, 3 times at most |
//! | 64 proposals in time | – | the limit halves, if it was doubled |
//!
//! The limit is 8 decision times, but no less than the share of the request timer that
//! [`crate::Config::late_share`] names and no more than twice that: a slow commander makes
//! decisions slow as well, where others accept its proposals only when they have fetched
//! the batch. To it comes a time for the bytes that are waiting.
//!
//! *Safety*: all that follows from it is a VIEW-CHANGE, which any replica may send at any
//! time.
//!
//! *Liveness*: where all commanders are equally slow, because the network or the
//! machine is, decisions are slow too and the limit grows with them; where it does not,
//! at most three view changes later it is as long as the request timer, which rules
//! alone then.
//!
//! *What it bounds*: a commander that is late by `x` limits is replaced after
//! at most `16 / min(x, 4)` late proposals of its own, more if it is in time in between. Being
//! in time makes up for being late by the time that it lasts, not by the number of
//! proposals: where small slots follow each other, many that are in time take no longer than
//! the one that was late. Four times as long in time as late makes up for it.

use crate::core::{Core, PbftProtocol};
use kernel::{Application, Context, Micros, Seq, Weakening, weakened};
use serde::{Deserialize, Serialize};

/// What a replica has measured of commanders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Pace {
    /// Since when requests wait here and nothing is in flight.
    idle_since: Option<Micros>,
    /// The slot whose decision is timed, and since when.
    timed: Option<(Seq, Micros)>,
    /// Moving average of decision times.
    decision: Micros,
    /// How late the commander was of late.
    score: Score,
    /// How often the limit was doubled.
    doublings: u32,
    /// Proposals in time since the score was last raised or the limit changed.
    timely: u32,
}

/// How often, and how far, a commander exceeded a limit of late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Score {
    /// In parts of [`ONE`].
    points: u64,
    changed: Micros,
}

/// The unit of scores: what they change by is a fraction of it.
const ONE: u64 = 1000;
/// A commander with this score is watched by all.
const SUSPICIOUS: u64 = 4 * ONE;
/// One with this score is left.
const TOO_HIGH: u64 = 16 * ONE;
/// What one late proposal adds at most, in limits.
const MOST_AT_ONCE: u64 = 4;
/// So many limits in time take 1 from a score.
const LIMITS_IN_TIME: u64 = 4;
/// Idle time may be so many decision times.
const DECISION_TIMES: u64 = 8;
/// For a byte that waits, nanoseconds: 10 MB/s.
const PER_BYTE_NS: u64 = 100;
/// The limit doubles at most so often.
const MOST_DOUBLINGS: u32 = 3;
/// Proposals in time after which the limit is halved again.
const TIMELY: u32 = 64;

impl Score {
    /// The highest one, in whole numbers, with which requests go to the commander alone.
    pub(crate) fn below_suspicion(now: Micros) -> Score {
        Score { points: SUSPICIOUS - ONE, changed: now }
    }

    /// Whether the commander exceeded a limit of late.
    pub(crate) fn is_raised(self) -> bool {
        self.points > 0
    }

    /// Whether requests go to all at once, so that all see how long they wait.
    pub(crate) fn is_suspicious(self) -> bool {
        self.points >= SUSPICIOUS
    }

    /// Whether the commander is to be left.
    pub(crate) fn is_too_high(self) -> bool {
        self.points >= TOO_HIGH
    }

    /// Something took `late`, which is above the limit.
    fn raise(&mut self, now: Micros, late: Micros, limit: Micros) {
        self.points += ONE * (late.0 / limit.0.max(1)).clamp(1, MOST_AT_ONCE);
        self.changed = now;
    }

    /// Something was in time.
    fn lower(&mut self, now: Micros, limit: Micros) {
        let in_time = now.0.saturating_sub(self.changed.0);
        let points = (ONE * in_time / (LIMITS_IN_TIME * limit.0).max(1)).min(ONE);
        self.points = self.points.saturating_sub(points);
        self.changed = now;
    }
}

impl Pace {
    /// Whether requests go to all at once, so that all see how long they wait.
    pub(crate) fn is_suspicious(&self) -> bool {
        self.score.is_suspicious()
    }

    /// A view begins: its commander has a clean record. If the last one `was_late`, by
    /// this measure or another, the limit may be too tight.
    pub(crate) fn begin_view(&mut self, was_late: bool) {
        if was_late || self.score.is_raised() {
            self.doublings = (self.doublings + 1).min(MOST_DOUBLINGS);
            self.timely = 0;
        }
        self.score = Score::default();
        self.idle_since = None;
        self.timed = None;
    }

    /// A decision took so long.
    fn decided_after(&mut self, time: Micros) {
        self.decision = match self.decision.0 {
            0 => time,
            average => Micros((7 * average + time.0) / 8),
        };
    }

    /// Something took so long that it was `late`, or was in time.
    pub(crate) fn note(&mut self, score: &mut Score, now: Micros, late: Option<Micros>, limit: Micros) {
        if let Some(time) = late {
            score.raise(now, time, limit);
            self.timely = 0;
            return;
        }
        score.lower(now, limit);
        self.timely += 1;
        if self.timely >= TIMELY {
            self.timely = 0;
            self.doublings = self.doublings.saturating_sub(1);
        }
    }

    /// Idle time ended after so long. True if the commander is too slow.
    fn proposed_after(&mut self, now: Micros, idle: Micros, limit: Micros) -> bool {
        let mut score = self.score;
        self.note(&mut score, now, (idle > limit).then_some(idle), limit);
        self.score = score;
        score.is_too_high()
    }
}

impl<A: Application> Core<A> {
    /// Whether this replica holds its commander to anything. A checker, which lends no
    /// time, has nothing measured.
    pub(crate) fn measures_commander<P: PbftProtocol>(&self, cx: &Context<'_, P>) -> bool {
        let is_other = cx.cluster.commander(self.view()) != cx.id();
        is_other && cx.now != Micros(0) && !self.views.is_changing() && self.config.late_share > 0
    }

    /// Measures the commander, at the end of each step, and leaves one that is too slow or
    /// unfair.
    pub(crate) fn keep_pace<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) {
        if !self.measures_commander(cx) {
            self.pace.idle_since = None;
            self.pace.timed = None;
            return;
        }
        let is_unfair = std::mem::take(&mut self.fairness.is_unfair);
        let is_slow = self.is_too_slow(cx) && !weakened(Weakening::SlowCommanderKept);
        if (is_slow || is_unfair) && self.limit() < self.config.request_after {
            self.leave_for(cx, self.view().next());
        }
    }

    /// Measures idle and decision times. True if idle time ended and the commander has
    /// been late too often.
    fn is_too_slow<P: PbftProtocol>(&mut self, cx: &Context<'_, P>) -> bool {
        let since = |then: Micros| Micros(cx.now.0.saturating_sub(then.0));
        if let Some((_, begun)) = self.pace.timed.filter(|(seq, _)| *seq <= self.execution.last()) {
            self.pace.timed = None;
            self.pace.decided_after(since(begun));
        }
        let next = self.last_executed().next();
        let in_flight = self.slots.range(next..).any(|(_, slot)| slot.is_accepted());
        // What was executed as part of other bundles is nothing that the commander could propose.
        if self.pace.idle_since.is_none() && !in_flight {
            self.stop_watching_executed();
        }
        if self.requests.any_watched() && !in_flight {
            self.pace.idle_since.get_or_insert(cx.now);
            return false;
        }
        let Some(idle_since) = self.pace.idle_since.take() else {
            return false;
        };
        if self.slots.get(&next).is_some_and(|slot| slot.is_accepted()) {
            self.pace.timed = Some((next, cx.now));
        }
        let limit = self.limit();
        self.pace.proposed_after(cx.now, since(idle_since), limit)
    }

    /// Idle time up to which a commander is in time.
    pub(crate) fn limit(&self) -> Micros {
        let share = self.config.request_after.0 / self.config.late_share.max(1);
        let limit = (DECISION_TIMES * self.pace.decision.0).clamp(share, 2 * share) << self.pace.doublings;
        Micros(limit + self.requests.watched_bytes() as u64 * PER_BYTE_NS / 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_DOUBLINGS, ONE, Pace, TIMELY};
    use kernel::Micros;

    const LIMIT: Micros = Micros(100);

    /// A pace in a test: idle times one after the other, with nothing between them.
    fn after(pace: &mut Pace, now: &mut Micros, idle: u64) -> bool {
        now.0 += idle;
        pace.proposed_after(*now, Micros(idle), LIMIT)
    }

    #[test]
    fn who_is_far_too_late_four_times_is_too_slow() {
        let (mut pace, mut now) = (Pace::default(), Micros(1));
        let verdicts = [400, 1000, 500, 450].map(|idle| after(&mut pace, &mut now, idle));
        assert_eq!(verdicts, [false, false, false, true]);
    }

    #[test]
    fn four_times_as_long_in_time_as_late_makes_up_for_it() {
        let (mut pace, mut now) = (Pace::default(), Micros(1));
        for _ in 0..1000 {
            assert!(!after(&mut pace, &mut now, 4 * LIMIT.0));
            for _ in 0..16 {
                assert!(!after(&mut pace, &mut now, LIMIT.0));
            }
        }
    }

    #[test]
    fn many_short_proposals_in_time_do_not_make_up_for_a_late_one() {
        let (mut pace, mut now) = (Pace::default(), Micros(1));
        let mut late = 0;
        while !after(&mut pace, &mut now, 3 * LIMIT.0) {
            late += 1;
            for _ in 0..5 {
                assert!(!after(&mut pace, &mut now, LIMIT.0 / 10));
            }
        }
        // Each adds 3 and half a limit in time takes an eighth off.
        assert_eq!(late, 5);
    }

    #[test]
    fn a_long_time_without_requests_makes_up_for_no_more_than_one() {
        let (mut pace, mut now) = (Pace::default(), Micros(1));
        after(&mut pace, &mut now, 4 * LIMIT.0);
        now.0 += 1_000_000 * LIMIT.0;
        after(&mut pace, &mut now, LIMIT.0);
        assert_eq!(pace.score.points, 3 * ONE);
    }

    #[test]
    fn the_limit_relaxes_where_a_view_change_did_not_help_and_returns() {
        let (mut pace, mut now) = (Pace::default(), Micros(1));
        for doublings in [1, 2, 3, 3] {
            after(&mut pace, &mut now, 10 * LIMIT.0);
            pace.begin_view(false);
            assert_eq!((pace.doublings, pace.score.is_raised()), (doublings, false));
        }
        for _ in 0..TIMELY {
            after(&mut pace, &mut now, LIMIT.0);
        }
        assert_eq!(pace.doublings, MOST_DOUBLINGS - 1);
    }

    #[test]
    fn decision_times_are_averaged() {
        let mut pace = Pace::default();
        pace.decided_after(Micros(80));
        pace.decided_after(Micros(160));
        assert_eq!(pace.decision, Micros(90));
    }
}

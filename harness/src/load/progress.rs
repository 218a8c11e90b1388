//! The state of a load that is under way.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::samples::{Answer, LoadResult, Sample};
use super::spec::LoadSpec;
use crate::plan::Load;

/// There is room for so many samples from the start.
const FIRST_SAMPLES: u64 = 1 << 20;

/// The running state of a load. Lives outside the load's future, so that what
/// was measured survives when that is dropped.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    last_answer: Cell<Duration>,
    samples: RefCell<Vec<Sample>>,
    gateways: RefCell<BTreeMap<u16, GatewayLoad>>,
    rule: RefCell<GiveUpRule>,
    cut_short: RefCell<Option<String>>,
}

/// What one gateway has to do.
#[derive(Debug, Default)]
struct GatewayLoad {
    in_flight: usize,
    /// It gets no new requests (open loop).
    is_spared: bool,
}

/// When to end a cell early: it goes nowhere.
#[derive(Clone, Debug)]
pub struct GiveUpRule {
    after: u64,
    after_progress: u64,
    decided: bool,
    undecided_in_a_row: u64,
}

impl GiveUpRule {
    /// Gives up after `after` undecided requests in a row if none was decided
    /// before, and after ten times as many if some were, but never just because
    /// one moment hit all `in_flight` requests. 0: never.
    pub fn new(after: u64, in_flight: u64) -> GiveUpRule {
        GiveUpRule {
            after,
            after_progress: (10 * after).max(2 * in_flight),
            decided: false,
            undecided_in_a_row: 0,
        }
    }

    /// Takes one result and says why to give up, if so.
    pub fn observe(&mut self, decided: bool) -> Option<String> {
        if decided {
            self.decided = true;
            self.undecided_in_a_row = 0;
            return None;
        }
        self.undecided_in_a_row += 1;
        let limit = if self.decided { self.after_progress } else { self.after };
        (self.after > 0 && self.undecided_in_a_row >= limit).then(|| {
            let before = if self.decided { "" } else { ", none decided before" };
            format!("cut short: {} undecided in a row{before}", self.undecided_in_a_row)
        })
    }
}

impl Progress {
    /// Nothing sent yet; time starts now.
    pub fn new(spec: &LoadSpec) -> Rc<Progress> {
        let in_flight = match spec.load {
            Load::Closed { clients } => clients,
            Load::Open { .. } => spec.max_in_flight,
        };
        Rc::new(Progress {
            started: Instant::now(),
            last_answer: Cell::default(),
            samples: RefCell::new(Vec::with_capacity(spec.requests.min(FIRST_SAMPLES) as usize)),
            gateways: RefCell::default(),
            rule: RefCell::new(GiveUpRule::new(spec.give_up_after, in_flight as u64)),
            cut_short: RefCell::default(),
        })
    }

    /// Everything so far. What is still unanswered becomes an error with this
    /// explanation.
    pub fn finish(&self, unanswered: &str) -> LoadResult {
        let mut samples = self.samples.take();
        for sample in &mut samples {
            if sample.answer == Answer::Pending {
                sample.answer = Answer::Error(unanswered.to_string());
            }
        }
        LoadResult { samples, elapsed: self.last_answer.get(), cut_short: self.cut_short.take() }
    }

    /// When the load began.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// From now on, this gateway gets no new requests in an open loop, as long
    /// as there is another; or gets them again.
    pub fn spare(&self, gateway: u16, is_spared: bool) {
        self.gateways.borrow_mut().entry(gateway).or_default().is_spared = is_spared;
    }

    pub(super) fn is_spared(&self, gateway: u16) -> bool {
        self.gateways.borrow().get(&gateway).is_some_and(|gateway| gateway.is_spared)
    }

    /// Requests that this gateway has not answered yet.
    pub fn in_flight(&self, gateway: u16) -> usize {
        self.gateways.borrow().get(&gateway).map_or(0, |gateway| gateway.in_flight)
    }

    /// Whether a request came to nothing.
    pub fn has_errors(&self) -> bool {
        self.samples.borrow().iter().any(|sample| matches!(sample.answer, Answer::Error(_)))
    }

    /// Ends the load before its time.
    pub(super) fn cut_short(&self, why: String) {
        self.cut_short.borrow_mut().get_or_insert(why);
    }

    pub(super) fn is_over(&self) -> bool {
        self.cut_short.borrow().is_some()
    }

    pub(super) fn due(&self, gateway: u16, intended_us: Option<u64>) -> usize {
        self.gateways.borrow_mut().entry(gateway).or_default().in_flight += 1;
        let mut samples = self.samples.borrow_mut();
        let intended_us = intended_us.unwrap_or_else(|| micros(self.started.elapsed()));
        samples.push(Sample {
            gateway,
            intended_us,
            sent_us: None,
            response_us: None,
            answer: Answer::Pending,
        });
        samples.len() - 1
    }

    pub(super) fn sent(&self, request: usize) {
        self.samples.borrow_mut()[request].sent_us = Some(micros(self.started.elapsed()));
    }

    pub(super) fn answered(&self, request: usize, answer: Answer) {
        let now = self.started.elapsed();
        self.last_answer.set(now);
        let decided = matches!(answer, Answer::Decided(_));
        let sample = &mut self.samples.borrow_mut()[request];
        if let Some(gateway) = self.gateways.borrow_mut().get_mut(&sample.gateway) {
            gateway.in_flight -= 1;
        }
        sample.answer = answer;
        sample.response_us = decided.then(|| micros(now).saturating_sub(sample.intended_us));
        if let Some(reason) = self.rule.borrow_mut().observe(decided) {
            self.cut_short(reason);
        }
    }
}

pub(super) fn micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_undecided_at_the_start_end_a_cell() {
        let mut rule = GiveUpRule::new(2, 1);
        assert_eq!(rule.observe(false), None);
        let reason = rule.observe(false).unwrap();
        assert_eq!(reason, "cut short: 2 undecided in a row, none decided before");
    }

    #[test]
    fn after_a_decision_more_patience_is_shown() {
        let mut rule = GiveUpRule::new(2, 1);
        rule.observe(false);
        rule.observe(true);
        for _ in 0..19 {
            assert_eq!(rule.observe(false), None);
        }
        assert!(rule.observe(false).unwrap().starts_with("cut short: 20 "));
        let mut crowded = GiveUpRule::new(2, 512);
        crowded.observe(true);
        assert!((0..1023).all(|_| crowded.observe(false).is_none()));
        assert!(crowded.observe(false).is_some());
        let mut never = GiveUpRule::new(0, 1);
        assert!((0..1000).all(|_| never.observe(false).is_none()));
    }
}

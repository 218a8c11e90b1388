//! The replica's timers, and the one alarm that wakes the host.

use kernel::Micros;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use tokio::net::unix::pipe::Receiver;

/// Timers that can be set anew and cancelled. Both only leave a stale entry
/// behind in the heap, told by its generation.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    current: BTreeMap<T, Running>,
    heap: BinaryHeap<Reverse<(u64, u64, T)>>,
    generation: u64,
}

/// A timer that runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running {
    generation: u64,
    due_ns: u64,
    /// What it was set for.
    pub(crate) wait_ns: u64,
    /// What the links had carried when it was set.
    pub(crate) carried_before: u64,
}

impl<T: Copy + Ord> Timers<T> {
    pub(crate) fn new() -> Timers<T> {
        Timers { current: BTreeMap::new(), heap: BinaryHeap::new(), generation: 0 }
    }

    /// Starts `timer` at `now_ns`, or starts it anew, when the links have carried so
    /// many bytes.
    pub(crate) fn set(&mut self, timer: T, after: Micros, now_ns: u64, carried: u64) {
        self.generation += 1;
        let wait_ns = after.0.saturating_mul(1000);
        let due_ns = now_ns.saturating_add(wait_ns);
        let running = Running { generation: self.generation, due_ns, wait_ns, carried_before: carried };
        self.current.insert(timer, running);
        self.heap.push(Reverse((due_ns, self.generation, timer)));
        // Timers set and cancelled for every slot must not pile up.
        if self.heap.len() > 2 * self.current.len() + 64 {
            let current = &self.current;
            self.heap.retain(|Reverse((_, generation, timer))| is_current(current, timer, *generation));
        }
    }

    /// Forgets `timer`, if it is running.
    pub(crate) fn cancel(&mut self, timer: T) {
        self.current.remove(&timer);
    }

    /// The timers that run, and for how long each was set.
    pub(crate) fn running(&self) -> BTreeMap<T, Micros> {
        self.current.iter().map(|(timer, running)| (*timer, Micros(running.wait_ns / 1000))).collect()
    }

    /// The next timer that ran out by `now_ns`; of several, the earliest due. One that is
    /// due, but for which `extension` names more nanoseconds than have passed, runs on.
    pub(crate) fn pop_due(&mut self, now_ns: u64, extension: impl Fn(&T, &Running) -> u64) -> Option<T> {
        loop {
            if self.next_due()? > now_ns {
                return None;
            }
            let Reverse((_, generation, timer)) = self.heap.pop()?;
            let running = self.current.get(&timer)?;
            let due_ns = running.due_ns.saturating_add(extension(&timer, running));
            if due_ns <= now_ns {
                self.current.remove(&timer);
                return Some(timer);
            }
            self.heap.push(Reverse((due_ns, generation, timer)));
        }
    }

    /// When the next timer runs out, in nanoseconds.
    pub(crate) fn next_due(&mut self) -> Option<u64> {
        while let Some(Reverse((due, generation, timer))) = self.heap.peek() {
            if is_current(&self.current, timer, *generation) {
                return Some(*due);
            }
            self.heap.pop();
        }
        None
    }
}

fn is_current<T: Ord>(current: &BTreeMap<T, Running>, timer: &T, generation: u64) -> bool {
    current.get(timer).is_some_and(|running| running.generation == generation)
}

/// Wakes the event loop at a point in time. A timer of the operating system's, because
/// tokio's own are rounded up to whole milliseconds and slots take less than one.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: TimerFd,
    /// The same timer once more: it is waited for and read like a pipe.
    rings: Receiver,
    armed_for: Option<u64>,
}

impl Alarm {
    pub(crate) fn new() -> io::Result<Alarm> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        let same = File::from(timer.as_fd().try_clone_to_owned()?);
        Ok(Alarm { timer, rings: Receiver::from_file_unchecked(same)?, armed_for: None })
    }

    /// Rings at `due_ns` at the latest. An alarm armed for earlier stays: one
    /// idle ring costs less than arming it anew for every step.
    pub(crate) fn arm(&mut self, due_ns: Option<u64>) -> io::Result<()> {
        let Some(due) = due_ns else { return Ok(()) };
        if self.armed_for.is_some_and(|armed| armed <= due) {
            return Ok(());
        }
        // Zero would disarm it.
        let due = due.max(1);
        let at = TimeSpec::new((due / 1_000_000_000) as i64, (due % 1_000_000_000) as i64);
        self.timer.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
        self.armed_for = Some(due);
        Ok(())
    }

    /// Waits for the ring.
    pub(crate) async fn rung(&mut self) -> io::Result<()> {
        loop {
            self.rings.readable().await?;
            match self.rings.try_read(&mut [0; 8]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => {
                    self.armed_for = None;
                    return outcome.map(drop);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now_ns;

    fn none<T>(_: &T, _: &Running) -> u64 {
        0
    }

    #[test]
    fn timers_run_out_in_order_and_once() {
        let mut timers = Timers::new();
        timers.set('b', Micros(20), 0, 0);
        timers.set('a', Micros(10), 0, 0);
        timers.set('c', Micros(20), 0, 0);
        assert_eq!(timers.next_due(), Some(10_000));
        assert_eq!(timers.pop_due(9_999, none), None);
        assert_eq!(timers.pop_due(10_000, none), Some('a'));
        assert_eq!(timers.pop_due(10_000, none), None);
        assert_eq!(timers.pop_due(99_000, none), Some('b'), "set before c, due with it");
        assert_eq!(timers.pop_due(99_000, none), Some('c'));
        assert_eq!((timers.pop_due(u64::MAX, none), timers.next_due()), (None, None));
    }

    #[test]
    fn a_timer_set_anew_runs_out_at_its_new_time_only() {
        let mut timers = Timers::new();
        timers.set('a', Micros(10), 0, 0);
        timers.set('a', Micros(10), 5_000, 0);
        assert_eq!(timers.pop_due(10_000, none), None);
        assert_eq!(timers.next_due(), Some(15_000));
        timers.set('a', Micros(1), 5_000, 0);
        assert_eq!(timers.pop_due(6_000, none), Some('a'));
        assert_eq!(timers.pop_due(u64::MAX, none), None);
    }

    #[test]
    fn a_cancelled_timer_stays_silent_until_set_again() {
        let mut timers = Timers::new();
        timers.set('a', Micros(10), 0, 0);
        timers.cancel('a');
        timers.cancel('z');
        assert_eq!((timers.next_due(), timers.pop_due(u64::MAX, none)), (None, None));
        timers.set('a', Micros(30), 0, 0);
        assert_eq!(timers.pop_due(10_000, none), None);
        assert_eq!(timers.pop_due(30_000, none), Some('a'));
    }

    #[test]
    fn stale_entries_do_not_pile_up() {
        let mut timers = Timers::new();
        for slot in 0..100_000u64 {
            timers.set(slot, Micros(u64::MAX), slot, 0);
            timers.cancel(slot);
        }
        assert!(timers.heap.len() <= 65, "{}", timers.heap.len());
        assert_eq!(timers.next_due(), None);
    }

    #[test]
    fn a_timer_with_an_extension_runs_on_until_that_is_over_or_it_is_cancelled() {
        let mut timers = Timers::new();
        timers.set('a', Micros(10), 0, 7);
        timers.set('b', Micros(10), 0, 9);
        let extension = |timer: &char, running: &Running| {
            assert_eq!(running.wait_ns, 10_000);
            if *timer == 'a' { running.carried_before * 1_000 } else { 0 }
        };
        assert_eq!(timers.pop_due(10_000, extension), Some('b'));
        assert_eq!(timers.pop_due(10_000, extension), None);
        assert_eq!(timers.next_due(), Some(17_000));
        assert_eq!(timers.pop_due(16_999, extension), None);
        // The extension counts from when it was due, not from when that was noticed.
        assert_eq!(timers.pop_due(17_000, |_, _| 8_000), None);
        assert_eq!(timers.pop_due(18_000, |_, _| 8_000), Some('a'));
        timers.set('c', Micros(10), 0, 0);
        assert_eq!(timers.pop_due(10_000, |_, _| 5_000), None);
        timers.cancel('c');
        assert_eq!((timers.next_due(), timers.pop_due(u64::MAX, none)), (None, None));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_alarm_rings_for_the_earliest_time_and_can_be_armed_again() {
        let mut alarm = Alarm::new().unwrap();
        alarm.arm(None).unwrap();
        let start = now_ns();
        let due = start + 3_000_000;
        alarm.arm(Some(start + 3_600_000_000_000)).unwrap();
        alarm.arm(Some(due)).unwrap();
        alarm.arm(Some(due + 1_000_000_000)).unwrap();
        alarm.rung().await.unwrap();
        assert!(now_ns() >= due, "never early");
        alarm.arm(Some(0)).unwrap();
        alarm.rung().await.unwrap();
    }
}

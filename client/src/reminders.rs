//! Bundles that may have to be handed over again.

use kernel::{Bundle, Request};
use std::collections::VecDeque;
use std::sync::Arc;

/// The wait doubles with every reminder, at most so often.
const MOST_DOUBLINGS: u32 = 3;

/// In the order of time.
#[derive(Debug, Default)]
pub(crate) struct Reminders {
    waiting: VecDeque<Reminder>,
}

#[derive(Debug)]
struct Reminder {
    due_ns: u64,
    /// When it is due if the links carry nothing large.
    first_due_ns: u64,
    /// How long it waits until then.
    wait_ns: u64,
    doublings: u32,
    /// What the links had carried when it was handed over.
    carried_before: u64,
    bundle: Arc<Bundle>,
}

impl Reminders {
    pub(crate) fn add(&mut self, bundle: Arc<Bundle>, now_ns: u64, wait_ns: u64, carried: u64) {
        self.insert(Reminder::new(bundle, now_ns, wait_ns, 0, carried));
    }

    /// The next bundle that is due and has a request that `is_open`; it is due again
    /// after twice the time. What the links carry puts it off, as
    /// [`crate::Sessions::overdue`] says.
    pub(crate) fn pop_due(
        &mut self,
        now_ns: u64,
        carried: u64,
        is_open: impl Fn(&Request) -> bool,
        extension: impl Fn(u64, u64) -> u64,
    ) -> Option<Arc<Bundle>> {
        loop {
            self.drop_closed(&is_open);
            let mut reminder = self.waiting.pop_front_if(|reminder| reminder.due_ns <= now_ns)?;
            let more_ns = extension(reminder.wait_ns, reminder.carried_before).min(reminder.wait_ns / 2);
            reminder.due_ns = reminder.first_due_ns + more_ns;
            if reminder.due_ns > now_ns {
                self.insert(reminder);
                continue;
            }
            let Reminder { wait_ns, doublings, bundle, .. } = reminder;
            let (wait_ns, doublings) =
                if doublings < MOST_DOUBLINGS { (2 * wait_ns, doublings + 1) } else { (wait_ns, doublings) };
            self.insert(Reminder::new(Arc::clone(&bundle), now_ns, wait_ns, doublings, carried));
            return Some(bundle);
        }
    }

    /// When the next one is due, as far as is known now.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.waiting.front().map(|reminder| reminder.due_ns)
    }

    /// Forgets those in front of the queue that need no reminder any more.
    pub(crate) fn drop_closed(&mut self, is_open: impl Fn(&Request) -> bool) {
        while let Some(reminder) = self.waiting.front()
            && !reminder.bundle.requests().iter().any(&is_open)
        {
            self.waiting.pop_front();
        }
    }

    fn insert(&mut self, reminder: Reminder) {
        let place = self.waiting.partition_point(|other| other.due_ns <= reminder.due_ns);
        self.waiting.insert(place, reminder);
    }
}

impl Reminder {
    fn new(bundle: Arc<Bundle>, now_ns: u64, wait_ns: u64, doublings: u32, carried: u64) -> Reminder {
        let due_ns = now_ns.saturating_add(wait_ns);
        Reminder { due_ns, first_due_ns: due_ns, wait_ns, doublings, carried_before: carried, bundle }
    }
}

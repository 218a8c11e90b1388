//! The task that holds a client's state.

use super::connection::{Event, keep_connected};
use super::{Command, Decision, Failure, Seen, Setup};
use crate::link::{self, FromClient, MAX_CLIENT_FRAME_BYTES};
use crate::{Accepted, Limits, Sessions, Submissions, first_session};
use bytes::Bytes;
use kernel::{Bundle, Claim, Keyring, ReplicaId, ReplyBundle, Signer, View};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Who waits for a result.
pub(super) type Asked = oneshot::Sender<Result<Decision, Failure>>;

/// Events and commands handled in one iteration.
const PER_ITERATION: usize = 1_024;
/// Events that wait; beyond, connections are not read on.
const MOST_EVENTS: usize = 1_024;
const LIMITS: Limits = Limits::NODE;
/// Between two looks when nothing is due.
const IDLE: Duration = Duration::from_secs(3_600);

/// A client's state, and its connections.
pub(super) struct Driver {
    setup: Arc<Setup>,
    signer: Signer,
    keyring: Keyring,
    commands: mpsc::UnboundedReceiver<Command>,
    events: mpsc::Receiver<Event>,
    /// End with the driver.
    connections: JoinSet<()>,
    sessions: Sessions<Asked, Arc<ReplyBundle>>,
    submissions: Submissions,
    /// By replica; none while there is no link.
    links: Vec<Option<mpsc::Sender<Bytes>>>,
    /// Which replicas have taken the link, or not, at least once.
    tried: BTreeSet<ReplicaId>,
    last_error: String,
    /// The latest view in which each replica replied.
    views: Vec<View>,
    /// Until then, requests go to all at once: one had to be sent again.
    to_all_until_ns: u64,
    began: Instant,
    refused: u64,
    reminders: u64,
}

impl Driver {
    pub(super) fn new(setup: Setup, keyring: Keyring, commands: mpsc::UnboundedReceiver<Command>) -> Driver {
        let setup = Arc::new(setup);
        let (sender, events) = mpsc::channel(MOST_EVENTS);
        let mut connections = JoinSet::new();
        for node in setup.cluster.replicas() {
            connections.spawn(keep_connected(Arc::clone(&setup), node, sender.clone()));
        }
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let remind_after_ns = nanoseconds(setup.remind_after);
        let n = usize::from(setup.cluster.n);
        Driver {
            signer: Signer::new(setup.id, &setup.secret).sharing_keys(&keyring),
            keyring,
            commands,
            events,
            connections,
            sessions: Sessions::new(
                setup.id,
                setup.replies_needed,
                first_session(since_epoch),
                remind_after_ns,
                LIMITS,
            ),
            submissions: Submissions::default(),
            links: vec![None; n],
            tried: BTreeSet::new(),
            last_error: String::new(),
            views: vec![View(0); n],
            to_all_until_ns: 0,
            began: Instant::now(),
            refused: 0,
            reminders: 0,
            setup,
        }
    }

    /// Runs until no handle is left.
    pub(super) async fn run(mut self) {
        loop {
            let first_try = (!self.may_submit()).then(|| nanoseconds(self.setup.remind_after));
            let deadline = self.sessions.next_deadline().into_iter().chain(first_try).min();
            let due =
                deadline.map_or_else(|| Instant::now() + IDLE, |ns| self.began + Duration::from_nanos(ns));
            let mut replies = Vec::new();
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.take_command(command),
                    None => return self.connections.shutdown().await,
                },
                Some(event) = self.events.recv() => self.take_event(event, &mut replies),
                () = tokio::time::sleep_until(due.into()) => {}
            }
            loop {
                self.take_waiting(&mut replies);
                self.count_replies(std::mem::take(&mut replies));
                self.expire();
                self.submit();
                self.remind();
                if self.submissions.is_empty() || !self.may_submit() {
                    break;
                }
                // More may come for the same bundle.
                tokio::task::yield_now().await;
            }
        }
    }

    fn now_ns(&self) -> u64 {
        nanoseconds(self.began.elapsed())
    }

    // ---- What comes in ----

    fn take_waiting(&mut self, replies: &mut Vec<ReplyBundle>) {
        for _ in 0..PER_ITERATION {
            let Ok(command) = self.commands.try_recv() else { break };
            self.take_command(command);
        }
        for _ in 0..PER_ITERATION {
            let Ok(event) = self.events.try_recv() else { break };
            self.take_event(event, replies);
        }
    }

    fn take_command(&mut self, command: Command) {
        match command {
            Command::Submit(operation, asked) => {
                if !self.sessions.has_room(operation.0.len()) {
                    let _ = asked.send(Err(Failure::Busy));
                    return;
                }
                let deadline_ns = self.now_ns().saturating_add(nanoseconds(self.setup.timeout));
                // Never refused: there is room.
                if let Ok(request) = self.sessions.open(operation, Some(deadline_ns), asked) {
                    self.submissions.push(request);
                }
            }
            Command::Seen(asked) => {
                let seen = Seen {
                    connected: self.connected(),
                    view: self.view(),
                    refused: self.refused,
                    reminders: self.reminders,
                    last_error: self.last_error.clone(),
                };
                let _ = asked.send(seen);
            }
        }
    }

    fn take_event(&mut self, event: Event, replies: &mut Vec<ReplyBundle>) {
        match event {
            Event::Up(node, link) => {
                self.tried.insert(node);
                self.links[usize::from(node.0)] = Some(link);
            }
            Event::Down(node, error) => {
                self.tried.insert(node);
                self.links[usize::from(node.0)] = None;
                self.last_error = format!("node {node}: {error}");
            }
            Event::Replies(more) => replies.extend(more),
        }
    }

    // ---- Replies ----

    /// Counts the replies that are wanted and whose signature holds.
    fn count_replies(&mut self, mut replies: Vec<ReplyBundle>) {
        let cluster = &self.setup.cluster;
        let total = replies.len();
        replies.retain(|reply| reply.gateway == self.setup.id && cluster.contains(reply.replica));
        self.refused += (total - replies.len()) as u64;
        replies.retain(|reply| self.sessions.awaits(reply));
        let claims: Vec<Claim> = replies.iter().map(|reply| reply.claim(cluster)).collect();
        let all_hold = self.keyring.verify_all(claims.iter());
        for (reply, claim) in replies.into_iter().zip(claims) {
            if !all_hold && !self.keyring.verify(&claim) {
                self.refused += 1;
                continue;
            }
            let view = &mut self.views[usize::from(reply.replica.0)];
            *view = reply.view.max(*view);
            let reply = Arc::new(reply);
            for accepted in self.sessions.add(&reply, Arc::clone(&reply)) {
                answer(accepted);
            }
        }
    }

    fn expire(&mut self) {
        let now = self.now_ns();
        let (connected, setup, last_error) = (self.connected(), &self.setup, &self.last_error);
        self.sessions.expire(now, |asked, replies| {
            // What is set aside no longer waits for anybody.
            let (nobody, _) = oneshot::channel();
            let failure = Failure::TimedOut {
                after: setup.timeout,
                replies,
                needed: setup.replies_needed,
                connected,
                n: usize::from(setup.cluster.n),
                last_error: match last_error.as_str() {
                    said if !said.is_empty() && connected < usize::from(setup.cluster.n) => {
                        format!("; {said}")
                    }
                    _ => String::new(),
                },
            };
            let _ = std::mem::replace(asked, nobody).send(Err(failure));
        });
    }

    // ---- What goes out ----

    /// Requests wait until every node has taken the link or not: without links, replies
    /// cannot come, and a reminder would cost more time. They do not wait for longer than
    /// that.
    fn may_submit(&self) -> bool {
        self.tried.len() == self.links.len() || self.now_ns() >= nanoseconds(self.setup.remind_after)
    }

    fn submit(&mut self) {
        if !self.may_submit() {
            return;
        }
        for requests in self.submissions.take(self.setup.batch_max) {
            let bundle = Arc::new(Bundle::sign(&self.setup.cluster, &self.signer, requests));
            let now = self.now_ns();
            self.sessions.handed_over(&bundle, now, 0);
            if now < self.to_all_until_ns {
                self.send_to_all(&bundle);
            } else {
                self.send_to_commander(&bundle);
            }
        }
    }

    /// Requests that have no result for too long go to all.
    fn remind(&mut self) {
        let now = self.now_ns();
        while let Some(bundle) = self.sessions.overdue(now, 0, |_, _| 0) {
            self.reminders += 1;
            self.to_all_until_ns = now.saturating_add(nanoseconds(self.setup.remind_after));
            self.send_to_all(&bundle);
        }
    }

    /// To the commander, or if it has no link to the next node that has: a backup passes
    /// it on.
    fn send_to_commander(&self, bundle: &Bundle) {
        let Some(frame) = frame(bundle) else { return };
        let cluster = &self.setup.cluster;
        let mut node = cluster.commander(self.view());
        for _ in cluster.replicas() {
            if let Some(link) = &self.links[usize::from(node.0)]
                && link.try_send(frame.clone()).is_ok()
            {
                return;
            }
            node = cluster.next(node);
        }
    }

    fn send_to_all(&self, bundle: &Bundle) {
        let Some(frame) = frame(bundle) else { return };
        for link in self.links.iter().flatten() {
            // A node that takes nothing now is reminded of it later.
            let _ = link.try_send(frame.clone());
        }
    }

    /// The latest view that enough replicas have replied in to believe it.
    fn view(&self) -> View {
        let mut views = self.views.clone();
        views.sort_unstable_by(|a, b| b.cmp(a));
        views[self.setup.replies_needed - 1]
    }

    fn connected(&self) -> usize {
        self.links.iter().flatten().count()
    }
}

fn frame(bundle: &Bundle) -> Option<Bytes> {
    // A bundle of the largest operation fits.
    link::encode(&FromClient::Requests(bundle), MAX_CLIENT_FRAME_BYTES).ok().map(Bytes::from)
}

fn answer(accepted: Accepted<Asked, Arc<ReplyBundle>>) {
    // After its time nobody waits for it.
    let Some(evidence) = accepted.proof(|reply| Some(reply)) else { return };
    let Accepted { of, seq, view, result, differing, .. } = accepted;
    let _ = of.send(Ok(Decision { result, seq, view, differing, evidence }));
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

//! Requests at their time: closed loop and open loop.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::progress::{Progress, micros};
use super::sender::Sender;
use super::spec::LoadSpec;
use crate::plan::Load;

/// Sends all requests and waits for their answers. Must run in a `LocalSet`.
pub async fn run(spec: &LoadSpec, progress: &Rc<Progress>) {
    let sender = match Sender::new(spec) {
        Ok(sender) => Rc::new(sender),
        Err(error) => return progress.cut_short(format!("no request could be sent: {error:#}")),
    };
    match spec.load {
        Load::Closed { clients } => closed(spec, clients, sender, progress).await,
        Load::Open { rate_per_s } => open(spec, rate_per_s, sender, progress).await,
    }
}

/// Does what must be done before the requests of this load can be. Must run in a `LocalSet`.
///
/// # Errors
///
/// If it cannot be sent or was not decided in time.
pub async fn prepare(spec: &LoadSpec) -> Result<()> {
    Sender::new(spec)?.prepare().await
}

async fn closed(spec: &LoadSpec, clients: usize, sender: Rc<Sender>, progress: &Rc<Progress>) {
    let ids = spec.targets.ids();
    let next = Rc::new(Cell::new(0));
    let mut running = JoinSet::new();
    for client in 0..clients.min(spec.requests as usize) {
        let (sender, progress, next) = (Rc::clone(&sender), Rc::clone(progress), Rc::clone(&next));
        let target = client % ids.len();
        let (requests, id) = (spec.requests, ids[target]);
        let number = client / ids.len();
        running.spawn_local(async move {
            while next.get() < requests && !progress.is_over() {
                next.set(next.get() + 1);
                let request = progress.due(id, None);
                let answer = sender.exchange(request, target, number, &progress).await;
                progress.answered(request, answer);
            }
        });
    }
    while running.join_next().await.is_some() {}
}

async fn open(spec: &LoadSpec, rate_per_s: f64, sender: Rc<Sender>, progress: &Rc<Progress>) {
    let ids = spec.targets.ids();
    let interval = Duration::from_secs_f64(1.0 / rate_per_s);
    let mut due = pace(progress.started(), interval, spec.requests);
    let in_flight = Rc::new(Semaphore::new(spec.max_in_flight.max(1)));
    let mut running = JoinSet::new();
    let mut begun = 0;
    while let Some(due_by_now) = due.recv().await {
        while begun < due_by_now && !progress.is_over() {
            let target = next_target(&ids, begun, progress);
            let intended = interval.mul_f64(begun as f64);
            let request = progress.due(ids[target], Some(micros(intended)));
            begun += 1;
            let (sender, progress) = (Rc::clone(&sender), Rc::clone(progress));
            let in_flight = Rc::clone(&in_flight);
            running.spawn_local(async move {
                let _permit = in_flight.acquire().await;
                let answer = sender.exchange(request, target, request, &progress).await;
                progress.answered(request, answer);
            });
        }
        while running.try_join_next().is_some() {}
        if progress.is_over() {
            break;
        }
    }
    while running.join_next().await.is_some() {}
}

/// Gateways are used round robin; one that is spared is passed over.
fn next_target(ids: &[u16], request: u64, progress: &Progress) -> usize {
    let order = (0..ids.len()).map(|offset| (request as usize + offset) % ids.len());
    let mut usable = order.clone().filter(|place| !progress.is_spared(ids[*place]));
    usable.next().unwrap_or(request as usize % ids.len())
}

/// A thread that tells how many requests are due by now, whenever more are.
fn pace(started: Instant, interval: Duration, requests: u64) -> mpsc::UnboundedReceiver<u64> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let mut due = 0;
        while due < requests {
            let next = started + interval.mul_f64(due as f64);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            let passed = started.elapsed().as_secs_f64() / interval.as_secs_f64();
            due = (passed as u64 + 1).max(due + 1).min(requests);
            if sender.send(due).is_err() {
                return;
            }
        }
    });
    receiver
}

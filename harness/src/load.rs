//! The load generator.
//!
//! Closed loop: every client has one request in flight.
//! Open loop: requests are due at fixed intervals whatever becomes of earlier
//! ones, and times count from when a request was *due*, so that a stall shows
//! in every request that it delays (no coordinated omission).
//!
//! Clients share a few HTTP/2 connections: requests and answers that are on their
//! way together then cost one system call together, which is most of what they
//! cost (ADR 10).
//!
//! Everything runs on the calling thread; only the pacer of the open loop has
//! a thread of its own, because the runtime's timers tick in milliseconds.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use kernel::{Choose, SeededChoice};
use node::LocalTasks;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::{JoinSet, spawn_local};

use crate::plan::Load;

/// Beyond the nodes' own timeout, before an answer counts as missing.
const GRACE: Duration = Duration::from_secs(2);

/// Requests in flight at most in an open loop. Those beyond wait, and their
/// waiting counts.
pub const OPEN_LOOP_IN_FLIGHT: usize = 4096;

/// What to send, where and how.
#[derive(Clone, Debug)]
pub struct LoadSpec {
    /// The nodes to post to, in turn.
    pub gateways: Vec<(u16, SocketAddr)>,
    /// How requests come.
    pub load: Load,
    /// See [`OPEN_LOOP_IN_FLIGHT`].
    pub max_in_flight: usize,
    /// Connections to each gateway, which its requests share.
    pub connections: usize,
    /// How many requests.
    pub requests: u64,
    /// Bytes of data in each.
    pub payload_bytes: usize,
    /// Seed of the data.
    pub seed: u64,
    /// The nodes' request timeout.
    pub timeout: Duration,
    /// See [`crate::plan::Plan::give_up_after`].
    pub give_up_after: u64,
}

/// How one request was answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Not yet.
    Pending,
    /// By `f+1` matching replies.
    Decided(Decision),
    /// By the gateway's word that it was not decided in time.
    Timeout {
        /// Matching replies that the gateway held.
        replies: Option<u64>,
    },
    /// Not at all, or not as it should be.
    Error(String),
}

/// A gateway's answer to a decided request.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Decision {
    /// The slot.
    pub seq: u64,
    /// Receipt to `f+1`st reply, microseconds.
    pub consensus_us: f64,
    /// When the gateway received the request, nanoseconds on CLOCK_MONOTONIC.
    pub received_ns: u64,
    /// Matching replies.
    pub replies: u64,
    /// The view in which a replica executed it.
    pub view: u64,
    /// What the application answered.
    pub result: String,
}

/// One request, times in microseconds since the load began.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The node that it was posted to.
    pub gateway: u16,
    /// When it was due.
    pub intended_us: u64,
    /// When it was sent.
    pub sent_us: Option<u64>,
    /// From `intended_us` to the complete answer; only if decided.
    pub response_us: Option<u64>,
    /// How it was answered.
    pub answer: Answer,
}

/// What came of a load.
#[derive(Clone, Debug, Default)]
pub struct LoadResult {
    /// All requests that were due, in order.
    pub samples: Vec<Sample>,
    /// From the first request's due time to the last answer.
    pub elapsed: Duration,
    /// Why it ended before all requests were sent.
    pub cut_short: Option<String>,
}

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
            samples: RefCell::default(),
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

    fn is_spared(&self, gateway: u16) -> bool {
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

    fn is_over(&self) -> bool {
        self.cut_short.borrow().is_some()
    }

    fn due(&self, gateway: u16, intended_us: Option<u64>) -> usize {
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

    fn sent(&self, request: usize) {
        self.samples.borrow_mut()[request].sent_us = Some(micros(self.started.elapsed()));
    }

    fn answered(&self, request: usize, answer: Answer) {
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
            self.cut_short.borrow_mut().get_or_insert(reason);
        }
    }
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}

/// Sends all requests and waits for their answers. Must run in a `LocalSet`.
pub async fn run(spec: &LoadSpec, progress: &Rc<Progress>) {
    let sender = Rc::new(Sender::new(spec));
    match spec.load {
        Load::Closed { clients } => closed(spec, clients, sender, progress).await,
        Load::Open { rate_per_s } => open(spec, rate_per_s, sender, progress).await,
    }
}

async fn closed(spec: &LoadSpec, clients: usize, sender: Rc<Sender>, progress: &Rc<Progress>) {
    let next = Rc::new(Cell::new(0));
    let mut running = JoinSet::new();
    for client in 0..clients.min(spec.requests as usize) {
        let (sender, progress, next) = (Rc::clone(&sender), Rc::clone(progress), Rc::clone(&next));
        let gateway = client % spec.gateways.len();
        let (requests, id) = (spec.requests, spec.gateways[gateway].0);
        let turn = client / spec.gateways.len();
        running.spawn_local(async move {
            while next.get() < requests && !progress.is_over() {
                next.set(next.get() + 1);
                let request = progress.due(id, None);
                let answer = sender.exchange(request, gateway, turn, &progress).await;
                progress.answered(request, answer);
            }
        });
    }
    while running.join_next().await.is_some() {}
}

async fn open(spec: &LoadSpec, rate_per_s: f64, sender: Rc<Sender>, progress: &Rc<Progress>) {
    let interval = Duration::from_secs_f64(1.0 / rate_per_s);
    let mut due = pace(progress.started, interval, spec.requests);
    let in_flight = Rc::new(Semaphore::new(spec.max_in_flight.max(1)));
    let mut running = JoinSet::new();
    let mut begun = 0;
    while let Some(due_by_now) = due.recv().await {
        while begun < due_by_now && !progress.is_over() {
            let gateway = next_gateway(&spec.gateways, begun, progress);
            let intended = interval.mul_f64(begun as f64);
            let request = progress.due(spec.gateways[gateway].0, Some(micros(intended)));
            begun += 1;
            let (sender, progress) = (Rc::clone(&sender), Rc::clone(progress));
            let in_flight = Rc::clone(&in_flight);
            running.spawn_local(async move {
                let _permit = in_flight.acquire().await;
                let answer = sender.exchange(request, gateway, request, &progress).await;
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

/// Gateways take turns; one that is spared is passed over.
fn next_gateway(gateways: &[(u16, SocketAddr)], request: u64, progress: &Progress) -> usize {
    let turns = (0..gateways.len()).map(|offset| (request as usize + offset) % gateways.len());
    let mut usable = turns.clone().filter(|turn| !progress.is_spared(gateways[*turn].0));
    usable.next().unwrap_or(request as usize % gateways.len())
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

/// Makes requests and reads answers.
struct Sender {
    bodies: Bodies,
    gateways: Vec<Target>,
    limit: Duration,
}

/// A gateway, and the connections to it: opened when first needed, and again
/// after they broke.
struct Target {
    address: SocketAddr,
    uri: Uri,
    connections: Vec<Mutex<Option<SendRequest<Full<Bytes>>>>>,
}

impl Sender {
    fn new(spec: &LoadSpec) -> Sender {
        let target = |address: SocketAddr| Target {
            address,
            uri: format!("http://{address}/preprepare").parse().expect("an address makes a valid URI"),
            connections: (0..spec.connections.max(1)).map(|_| Mutex::default()).collect(),
        };
        Sender {
            bodies: Bodies::new(spec.payload_bytes, spec.seed),
            gateways: spec.gateways.iter().map(|(_, address)| target(*address)).collect(),
            limit: spec.timeout + GRACE,
        }
    }

    /// One request and its answer. Connections take turns.
    async fn exchange(&self, request: usize, gateway: usize, turn: usize, progress: &Progress) -> Answer {
        let exchange = self.try_exchange(request, &self.gateways[gateway], turn, progress);
        match tokio::time::timeout(self.limit, exchange).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Answer::Error(format!("{error:#}")),
            Err(_) => Answer::Error(format!("no answer from the gateway within {:?}", self.limit)),
        }
    }

    async fn try_exchange(
        &self,
        request: usize,
        gateway: &Target,
        turn: usize,
        progress: &Progress,
    ) -> Result<Answer> {
        let mut connection = gateway.connection(turn).await?;
        let message = Request::post(gateway.uri.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("prefer", HeaderValue::from_static("return=minimal"))
            .body(Full::new(self.bodies.body(request as u64)))?;
        progress.sent(request);
        let response = connection.send_request(message).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        read_answer(status, &body)
    }
}

impl Target {
    async fn connection(&self, turn: usize) -> Result<SendRequest<Full<Bytes>>> {
        let mut connection = self.connections[turn % self.connections.len()].lock().await;
        if let Some(open) = connection.as_ref().filter(|open| !open.is_closed()) {
            return Ok(open.clone());
        }
        Ok(connection.insert(connect(self.address).await?).clone())
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http2::Builder::new(LocalTasks::default())
        .timer(TokioTimer::new())
        .initial_max_send_streams(usize::MAX)
        .handshake(TokioIo::new(stream))
        .await?;
    spawn_local(async move {
        // A broken connection shows at the requests that were on it.
        let _ = connection.await;
    });
    Ok(sender)
}

fn read_answer(status: StatusCode, body: &[u8]) -> Result<Answer> {
    #[derive(Deserialize)]
    struct Undecided {
        replies: Option<u64>,
    }
    match status {
        StatusCode::OK => Ok(Answer::Decided(serde_json::from_slice(body)?)),
        StatusCode::GATEWAY_TIMEOUT => {
            Ok(Answer::Timeout { replies: serde_json::from_slice::<Undecided>(body)?.replies })
        }
        _ => {
            let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
            bail!("the gateway answered {status}: {text}")
        }
    }
}

/// Request bodies: the same random printable text, stamped with the request's
/// number as far as there is room, so that requests differ.
#[derive(Clone, Debug)]
pub struct Bodies {
    template: Arc<[u8]>,
    stamp_bytes: usize,
}

const BODY_START: &[u8] = b"{\"data\":\"";
const BODY_END: &[u8] = b"\"}";
/// 64 characters that JSON takes as they are.
const STAMP: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";

impl Bodies {
    /// Bodies whose data has exactly `payload_bytes` bytes.
    pub fn new(payload_bytes: usize, seed: u64) -> Bodies {
        let printable: Vec<u8> = (b' '..=b'~').filter(|c| !b"\"\\".contains(c)).collect();
        let mut choice = SeededChoice::new(seed);
        let mut template = BODY_START.to_vec();
        template.extend((0..payload_bytes).map(|_| printable[choice.below(printable.len() as u64) as usize]));
        template.extend_from_slice(BODY_END);
        Bodies { template: template.into(), stamp_bytes: payload_bytes.min(6) }
    }

    /// The body of one request.
    pub fn body(&self, request: u64) -> Bytes {
        let mut body = self.template.to_vec();
        let mut rest = request;
        for byte in &mut body[BODY_START.len()..BODY_START.len() + self.stamp_bytes] {
            *byte = STAMP[(rest % 64) as usize];
            rest /= 64;
        }
        body.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_exactly_the_payload_and_differ() {
        for payload in [1, 5, 6, 100, 1_000_000] {
            let bodies = Bodies::new(payload, 7);
            let data = |request| -> String {
                let json: serde_json::Value = serde_json::from_slice(&bodies.body(request)).unwrap();
                json["data"].as_str().unwrap().to_string()
            };
            assert_eq!(data(0).len(), payload);
            assert_ne!(data(0), data(1));
            assert_eq!(data(3), data(3));
        }
        assert_ne!(Bodies::new(100, 1).body(0), Bodies::new(100, 2).body(0));
    }

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

    #[test]
    fn an_undecided_answer_never_has_a_time() {
        let body = br#"{"outcome":"timeout","error":"x","replies":1,"consensus_us":5.0}"#;
        let answer = read_answer(StatusCode::GATEWAY_TIMEOUT, body).unwrap();
        assert_eq!(answer, Answer::Timeout { replies: Some(1) });
        assert!(read_answer(StatusCode::OK, b"{}").is_err());
        let busy = read_answer(StatusCode::SERVICE_UNAVAILABLE, b"{\"error\":\"offline\"}").unwrap_err();
        assert!(busy.to_string().contains("503") && busy.to_string().contains("offline"));
    }
}

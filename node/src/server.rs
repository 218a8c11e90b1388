//! The HTTP interface of a node.

use crate::answer::{self, NodeTally};
use crate::clock::now_ns;
use crate::config::{Encoding, LinkConditions};
use crate::connections::{self, Connections, Explained, Visit};
use crate::frame::{FrameError, FrameReader, decode};
use crate::gateway::{Busy, MAX_IN_FLIGHT, MAX_IN_FLIGHT_BYTES, Outcome};
use crate::inbox::Incoming;
use crate::local_tasks::LocalTasks;
use crate::replica_host::Shared;
use crate::slots::LogReport;
use crate::{fetch, status};
use adversary::{Behaviour, KNOWN, REPLY};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming as IncomingBody};
use hyper::header::{ACCEPT, ALLOW, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use kernel::{Falsify, Operation, Protocol, ReplicaId, Seq};
use serde::Deserialize;
use std::borrow::Cow;
use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Header of a peer's request: the cluster it belongs to, in hexadecimal.
pub const CLUSTER_HEADER: &str = "x-cluster";
/// Header of a peer's request: the peer's id.
pub const FROM_HEADER: &str = "x-from";

/// JSON around and inside `data` (escapes, other keys) may add this much.
const BODY_ALLOWANCE_BYTES: usize = 64 << 10;
const MAX_CONTROL_BODY_BYTES: usize = 64 << 10;
/// Of a body that is too large, this much more is read before the answer.
const MAX_DISCARDED_BYTES: usize = 64 << 20;
const PREFER: HeaderName = HeaderName::from_static("prefer");
const CROWDED: &str = "this node has as many connections as it takes; close some, or try again later";
const PATHS: &str = "GET /status, POST /preprepare, GET /log?from=A&to=B, GET or POST /faults, GET or POST /links, POST /peer";

type Answer = Response<Full<Bytes>>;

/// A refusal: status and what is wrong.
struct Refusal(StatusCode, String);

impl Refusal {
    fn bad(error: impl Into<String>) -> Refusal {
        Refusal(StatusCode::BAD_REQUEST, error.into())
    }
}

/// Accepts connections for ever.
pub(crate) async fn serve<P>(
    shared: Rc<Shared<P>>,
    listener: TcpListener,
    tasks: &mut JoinSet<()>,
) -> Infallible
where
    P: Protocol + 'static,
    P::Message: Falsify,
{
    let peers = shared.links.len() - 1;
    let connections = Connections::new(shared.config.max_clients, peers);
    loop {
        while tasks.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Most likely out of descriptors: others must close first.
                tracing::warn!(%error, "cannot accept a connection; `ulimit -n` may be too low");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        let Some(visit) = connections.admit() else {
            // Not even listened to: it is told once, if it can be told at once.
            let _ = stream.try_write(&connections::raw_answer(StatusCode::SERVICE_UNAVAILABLE, CROWDED));
            continue;
        };
        tasks.spawn_local(converse(Rc::clone(&shared), stream, visit));
    }
}

/// How HTTP/2 begins (RFC 9113, section 3.4), as no request of HTTP/1.1 does.
const HTTP2: &[u8] = b"PRI ";
/// An HTTP/2 connection may have as many requests in flight as the gateway takes
/// from all.
const MAX_STREAMS: u32 = MAX_IN_FLIGHT as u32;
/// Bodies that come in on an HTTP/2 connection and are not read yet.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// One connection, from its first request to its end.
async fn converse<P>(shared: Rc<Shared<P>>, stream: TcpStream, visit: Visit)
where
    P: Protocol + 'static,
    P::Message: Falsify,
{
    let limit = visit.read_limit(shared.config.read_limit());
    let mut start = [0; HTTP2.len()];
    // Whoever says nothing, or is gone already, is owed no answer.
    let Ok(Ok(bytes)) = tokio::time::timeout(limit, stream.peek(&mut start)).await else { return };
    match &start[..bytes] == HTTP2 {
        true => converse_http2(shared, stream, visit, limit).await,
        false => converse_http1(&shared, stream, &visit, limit).await,
    }
}

async fn converse_http1<P: Protocol>(shared: &Shared<P>, stream: TcpStream, visit: &Visit, limit: Duration)
where
    P::Message: Falsify,
{
    let service =
        service_fn(|request| async move { Ok::<_, Infallible>(route(shared, visit, request).await) });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limit);
    let mut connection = http.serve_connection(Explained::new(stream), service);
    let Err(error) = (&mut connection).await else { return };
    tracing::debug!(%error, "connection ended");
    let parts = connection.into_parts();
    // Whoever has begun a request is told; whoever was idle would take it for
    // the answer to his next.
    let late = error.is_timeout() && !parts.read_buf.is_empty();
    let words = late.then(|| {
        let error = format!("the request's head did not come within {limit:?}");
        connections::raw_answer(StatusCode::REQUEST_TIMEOUT, &error)
    });
    connections::close(parts.io, words).await;
}

/// Many requests at once on one connection, which is closed once there was none
/// for as long as an idle HTTP/1.1 connection is kept.
async fn converse_http2<P>(shared: Rc<Shared<P>>, stream: TcpStream, visit: Visit, limit: Duration)
where
    P: Protocol + 'static,
    P::Message: Falsify,
{
    let tasks = LocalTasks::default();
    let visit = Rc::new(visit);
    let service = service_fn(|request| {
        let (shared, visit) = (Rc::clone(&shared), Rc::clone(&visit));
        async move { Ok::<_, Infallible>(route(&shared, &visit, request).await) }
    });
    let mut http = http2::Builder::new(tasks.clone());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    loop {
        let begun = tasks.begun();
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            () = tokio::time::sleep(limit) => {}
        }
        if tasks.begun() == begun && tasks.running() == 0 {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(limit, connection).await;
            return;
        }
    }
}

async fn route<P: Protocol>(shared: &Shared<P>, visit: &Visit, request: Request<IncomingBody>) -> Answer
where
    P::Message: Falsify,
{
    let path = request.uri().path();
    if visit.is_spare() && path != "/peer" {
        let mut answer = json(StatusCode::SERVICE_UNAVAILABLE, answer::error_json(CROWDED));
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        return answer;
    }
    // On the heap is what would make the future of every request large.
    let answered = match (path, request.method()) {
        ("/preprepare", &Method::POST) => preprepare(shared, request).await,
        ("/peer", &Method::POST) => Box::pin(peer(shared, visit, request)).await,
        ("/status", &Method::GET) => Ok(json_of(&status::report(shared))),
        ("/log", &Method::GET) => log(shared, &request),
        ("/faults", &Method::GET) => Ok(faults(shared)),
        ("/faults", &Method::POST) => Box::pin(set_faults(shared, request)).await,
        ("/links", &Method::GET) => Ok(json_of(&*shared.link_conditions.borrow())),
        ("/links", &Method::POST) => Box::pin(set_links(shared, request)).await,
        ("/preprepare" | "/peer", _) => Ok(wrong_method(&request, "POST")),
        ("/status" | "/log", _) => Ok(wrong_method(&request, "GET")),
        ("/faults" | "/links", _) => Ok(wrong_method(&request, "GET, POST")),
        _ => Err(Refusal(StatusCode::NOT_FOUND, format!("there is no {path}; this node has {PATHS}"))),
    };
    answered.unwrap_or_else(|Refusal(status, error)| json(status, answer::error_json(&error)))
}

fn json(status: StatusCode, body: String) -> Answer {
    with_type(status, "application/json", body)
}

fn with_type(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

fn json_of(value: &impl serde::Serialize) -> Answer {
    match serde_json::to_string(value) {
        Ok(body) => json(StatusCode::OK, body),
        Err(error) => json(
            StatusCode::INTERNAL_SERVER_ERROR,
            answer::error_json(&format!("the answer cannot be written: {error}")),
        ),
    }
}

fn wrong_method(request: &Request<IncomingBody>, allowed: &'static str) -> Answer {
    let error = format!("{} takes {allowed}, not {}", request.uri().path(), request.method());
    let mut answer = json(StatusCode::METHOD_NOT_ALLOWED, answer::error_json(&error));
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

fn has(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    headers.get_all(name).iter().any(|value| value.to_str().is_ok_and(|value| value.contains(wanted)))
}

/// The whole body, if it comes in time, is no larger than `limit` bytes and all
/// that come in now leave room for it.
async fn read_body<P: Protocol>(
    shared: &Shared<P>,
    body: IncomingBody,
    limit: usize,
) -> Result<Bytes, Refusal>
where
    P::Message: Falsify,
{
    let within = shared.config.read_limit();
    let reading = read_all(body, limit, &shared.unfinished_bodies);
    tokio::time::timeout(within, reading).await.unwrap_or_else(|_| {
        let error = format!("the body did not come within {within:?}");
        Err(Refusal(StatusCode::REQUEST_TIMEOUT, error))
    })
}

async fn read_all(
    mut body: IncomingBody,
    limit: usize,
    unfinished_bodies: &Cell<usize>,
) -> Result<Bytes, Refusal> {
    let mut unfinished = Unfinished::new(unfinished_bodies, MAX_IN_FLIGHT_BYTES);
    let mut first = Bytes::new();
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::bad(format!("the body broke off: {error}")))?;
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        if whole.len() + first.len() + chunk.len() > limit {
            Box::pin(discard(body)).await;
            return Err(too_large(limit));
        }
        // Nearly every request comes in one piece, which need not be copied.
        if first.is_empty() && whole.is_empty() {
            first = chunk;
        } else {
            whole.extend_from_slice(&std::mem::take(&mut first));
            whole.extend_from_slice(&chunk);
        }
        unfinished.update(first.len() + whole.len());
        if unfinished.is_too_much() {
            let error = format!(
                "the bodies that come in now have more than {MAX_IN_FLIGHT_BYTES} bytes; try again later"
            );
            return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, error));
        }
    }
    Ok(if whole.is_empty() { first } else { whole.into() })
}

fn too_large(limit: usize) -> Refusal {
    Refusal(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is too large; the limit is {limit} bytes"))
}

/// Reads on to the end, within bounds: a client that is cut off while it sends
/// would not get to see the answer.
async fn discard(mut body: IncomingBody) {
    let mut discarded = 0;
    while let Some(Ok(frame)) = body.frame().await {
        discarded += frame.data_ref().map_or(0, Bytes::len);
        if discarded > MAX_DISCARDED_BYTES {
            return;
        }
    }
}

const HOW_TO_ASK: &str = "send JSON such as {\"data\": \"hello\"}";

/// The operation in a client's request: a string's own bytes, anything else as
/// compact JSON.
fn parse_data(body: &[u8], max_data_bytes: usize) -> Result<Operation, Refusal> {
    #[derive(Deserialize)]
    struct Text<'a> {
        #[serde(borrow)]
        data: Cow<'a, str>,
    }
    let data = match serde_json::from_slice::<Text<'_>>(body) {
        Ok(text) => text.data,
        Err(_) => Cow::Owned(parse_other_data(body)?),
    };
    if data.is_empty() {
        return Err(Refusal::bad(format!("data is empty; {HOW_TO_ASK}")));
    }
    if data.len() > max_data_bytes {
        let bytes = data.len();
        return Err(Refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("data has {bytes} bytes; the limit is {max_data_bytes} bytes"),
        ));
    }
    Ok(Operation::new(data.as_bytes()))
}

fn parse_other_data(body: &[u8]) -> Result<String, Refusal> {
    if body.is_empty() {
        return Err(Refusal::bad(format!("the body is empty; {HOW_TO_ASK}")));
    }
    let value: serde_json::Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::bad(format!("the body is not JSON: {error}; {HOW_TO_ASK}")))?;
    match value.get("data") {
        None | Some(serde_json::Value::Null) => {
            Err(Refusal::bad(format!("the body has no data; {HOW_TO_ASK}")))
        }
        Some(serde_json::Value::String(text)) => Ok(text.clone()),
        Some(data) => Ok(data.to_string()),
    }
}

fn offline() -> Refusal {
    Refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        "this node is offline by fault injection; ask another one, or POST {\"faults\": []} to /faults"
            .to_owned(),
    )
}

async fn preprepare<P: Protocol>(
    shared: &Shared<P>,
    request: Request<IncomingBody>,
) -> Result<Answer, Refusal>
where
    P::Message: Falsify,
{
    if shared.is_offline() {
        return Err(offline());
    }
    let is_minimal = has(request.headers(), &PREFER, "return=minimal");
    let is_text = has(request.headers(), &ACCEPT, "text/plain");
    let max_data_bytes = shared.config.max_data_bytes;
    let limit = max_data_bytes + BODY_ALLOWANCE_BYTES;
    // What is announced as far too large is not even waited for.
    if request.body().size_hint().lower() > MAX_DISCARDED_BYTES as u64 {
        return Err(too_large(limit));
    }
    let body = read_body(shared, request.into_body(), limit).await?;
    let operation = parse_data(&body, max_data_bytes)?;
    let opened = shared.gateway.borrow_mut().open(operation, now_ns());
    let outcome = opened.map_err(|Busy| {
        Refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("too many requests are in flight (at most {MAX_IN_FLIGHT}); try again later"),
        )
    })?;
    shared.wake.notify_one();
    // The gateway answers every request, at the latest when its time is up.
    let outcome = outcome.await.unwrap_or(Outcome::TimedOut { replies: 0 });
    let style = Style { is_minimal, is_text };
    Ok(answer_with(shared, outcome, style).await)
}

struct Style {
    is_minimal: bool,
    is_text: bool,
}

async fn answer_with<P: Protocol>(shared: &Shared<P>, outcome: Outcome, style: Style) -> Answer
where
    P::Message: Falsify,
{
    let protocol = &shared.config.cluster.protocol;
    let (slot, replies) = match &outcome {
        Outcome::Decided(decided) => (decided.seq, decided.replies),
        // The slot that the cluster is stuck at is the one to look into.
        Outcome::TimedOut { replies } => (next_slot(shared), *replies),
    };
    let nodes: Option<Vec<NodeTally>> = match style.is_minimal {
        true => None,
        false => Some(Box::pin(fetch::tallies(shared, slot)).await),
    };
    let nodes = nodes.as_deref();
    let (status, body) = match outcome {
        Outcome::Decided(decided) if style.is_text => {
            let text = answer::decided_text(protocol, &decided, nodes.unwrap_or_default());
            (StatusCode::OK, text)
        }
        Outcome::Decided(decided) => {
            let path = shared.slots.borrow().path(decided.seq);
            let body = answer::decided_json(protocol, shared.config.id, path, &decided, nodes);
            (StatusCode::OK, body)
        }
        Outcome::TimedOut { .. } => {
            let error = timeout_error(shared, replies);
            let body = match style.is_text {
                true => answer::timeout_text(protocol, &error, nodes.unwrap_or_default()),
                false => answer::timeout_json(&error, replies, nodes.map(|_| slot.0), nodes),
            };
            (StatusCode::GATEWAY_TIMEOUT, body)
        }
    };
    match style.is_text {
        true => with_type(status, "text/plain; charset=utf-8", body),
        false => json(status, body),
    }
}

fn next_slot<P: Protocol>(shared: &Shared<P>) -> Seq
where
    P::Message: Falsify,
{
    shared.replica.borrow().status(&shared.config.cluster).last_executed.next()
}

fn timeout_error<P: Protocol>(shared: &Shared<P>, replies: usize) -> String
where
    P::Message: Falsify,
{
    let report = status::report(shared);
    format!(
        "not decided within {:?}: {replies} of {} matching replies. Node {} has executed up to slot {}, is in \
         view {} under commander {} and reaches {} of {} peers. Look at GET /status of the commander and of the \
         faulty nodes; a longer timeout or fewer faults (at most {} are tolerated) may help",
        shared.config.timeout(),
        report.f + 1,
        report.id,
        report.replica.last_executed,
        report.replica.view,
        report.replica.commander,
        report.peers_reachable,
        report.peers_expected,
        report.f,
    )
}

fn log<P: Protocol>(shared: &Shared<P>, request: &Request<IncomingBody>) -> Result<Answer, Refusal>
where
    P::Message: Falsify,
{
    if request.headers().contains_key(FROM_HEADER) && shared.is_offline() {
        return Err(offline());
    }
    let (mut from, mut to) = (0, u64::MAX);
    for part in request.uri().query().unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
        let known = match part.split_once('=') {
            Some(("from", value)) => Some((&mut from, value)),
            Some(("to", value)) => Some((&mut to, value)),
            _ => None,
        };
        let parsed = known.and_then(|(bound, value)| Some((bound, value.parse().ok()?)));
        let Some((bound, value)) = parsed else {
            return Err(Refusal::bad(format!(
                "{part:?} is not understood; ask for /log?from=A&to=B with whole sequence numbers"
            )));
        };
        *bound = value;
    }
    let slots = shared.slots.borrow();
    let status = shared.replica.borrow().status(&shared.config.cluster);
    Ok(json_of(&LogReport {
        id: shared.config.id.0,
        last_executed: status.last_executed.0,
        truncated: slots.is_truncated(),
        rows: slots.rows(from, to),
    }))
}

fn faults<P: Protocol>(shared: &Shared<P>) -> Answer
where
    P::Message: Falsify,
{
    let replica = shared.replica.borrow();
    json_of(&serde_json::json!({ "faults": replica.behaviours() }))
}

async fn set_faults<P: Protocol>(
    shared: &Shared<P>,
    request: Request<IncomingBody>,
) -> Result<Answer, Refusal>
where
    P::Message: Falsify,
{
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        faults: Vec<Behaviour>,
    }
    let body = read_body(shared, request.into_body(), MAX_CONTROL_BODY_BYTES).await?;
    let wanted: Wanted = serde_json::from_slice(&body).map_err(|error| {
        Refusal::bad(format!(
            "{error}; send JSON such as {{\"faults\": [\"malicious\", \"delay=5ms\"]}}, and [] for an honest node; \
             known: {KNOWN}"
        ))
    })?;
    for fault in &wanted.faults {
        let kinds: Vec<&str> = P::Message::KINDS.iter().copied().chain([REPLY]).collect();
        if let Some(problem) = fault.problem(shared.config.cluster.n, &kinds) {
            return Err(Refusal::bad(format!("fault \"{fault}\": {problem}")));
        }
    }
    shared.replica.borrow_mut().set_behaviours(wanted.faults);
    shared.roused.set(true);
    shared.wake.notify_one();
    Ok(faults(shared))
}

async fn set_links<P: Protocol>(shared: &Shared<P>, request: Request<IncomingBody>) -> Result<Answer, Refusal>
where
    P::Message: Falsify,
{
    let body = read_body(shared, request.into_body(), MAX_CONTROL_BODY_BYTES).await?;
    let wanted: LinkConditions = serde_json::from_slice(&body).map_err(|error| {
        Refusal::bad(format!(
            "{error}; send JSON such as {{\"cut\": [2, 3], \"delay_us\": 500, \"loss\": 0.1}}; what is left out is \
             not injected, and {{}} heals the links"
        ))
    })?;
    wanted.check(&shared.config.cluster).map_err(|error| Refusal::bad(error.to_string()))?;
    let answer = json_of(&wanted);
    shared.link_conditions.replace(wanted);
    Ok(answer)
}

/// A peer link: a stream of frames that ends when either side has had enough.
async fn peer<P: Protocol>(
    shared: &Shared<P>,
    visit: &Visit,
    request: Request<IncomingBody>,
) -> Result<Answer, Refusal>
where
    P::Message: Falsify,
{
    // A link is a connection of its own, and is counted as one.
    if request.version() == Version::HTTP_2 {
        let error = "peer links speak HTTP/1.1, one on each connection".to_owned();
        return Err(Refusal(StatusCode::HTTP_VERSION_NOT_SUPPORTED, error));
    }
    let refused = |(name, error): (&'static str, String)| {
        shared.counters.borrow_mut().unreadable(name);
        Refusal::bad(error)
    };
    let (from, encoding) = introduce(shared, request.headers()).map_err(refused)?;
    let Some(_link) = visit.as_link() else {
        let error = "this node has more peer links than peers already; close some".to_owned();
        return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, error));
    };
    if let Some(Some(back)) = shared.links.get(usize::from(from.0)) {
        back.try_now();
    }
    let mut reader = FrameReader::new(encoding);
    let mut unfinished = Unfinished::new(&shared.unfinished, MAX_UNFINISHED_BYTES);
    let mut body = request.into_body();
    // A peer that dies ends its stream with an error; that is no news here.
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        shared.counters.borrow_mut().received.bytes += chunk.len() as u64;
        reader.feed(&chunk);
        read_frames(shared, from, &mut reader).map_err(|error| refused((error.name(), error.to_string())))?;
        unfinished.update(reader.pending());
        if unfinished.is_too_much() {
            let error = "all peer links together have too much of unfinished frames; finish or close some";
            return Err(refused(("unfinished frames", error.to_owned())));
        }
        shared.inbox.room().await;
    }
    match reader.pending() {
        0 => Ok(json(StatusCode::OK, "{}".to_owned())),
        bytes => {
            let error = FrameError::Truncated { bytes };
            Err(refused((error.name(), error.to_string())))
        }
    }
}

/// Bytes of unfinished frames that all links may hold together; beyond, a link
/// with a large one is closed. Two of the largest frames fit.
const MAX_UNFINISHED_BYTES: usize = 128 << 20;

/// What one link or one body holds of what has not come in whole; given back
/// when that ends.
struct Unfinished<'a> {
    all: &'a Cell<usize>,
    all_max: usize,
    own: usize,
}

impl Unfinished<'_> {
    fn new(all: &Cell<usize>, all_max: usize) -> Unfinished<'_> {
        Unfinished { all, all_max, own: 0 }
    }

    fn update(&mut self, own: usize) {
        self.all.set(self.all.get() - self.own + own);
        self.own = own;
    }

    /// Whoever has little of it is not to blame.
    fn is_too_much(&self) -> bool {
        self.all.get() > self.all_max && self.own > 64 << 10
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.update(0);
    }
}

fn read_frames<P: Protocol>(
    shared: &Shared<P>,
    from: ReplicaId,
    reader: &mut FrameReader,
) -> Result<(), FrameError>
where
    P::Message: Falsify,
{
    let encoding = reader.encoding();
    let mut any = false;
    while let Some(payload) = reader.next_frame()? {
        let bytes = payload.len();
        match decode(payload, encoding) {
            Ok(frame) => {
                any = true;
                shared.inbox.push(Incoming { from, frame, bytes });
            }
            // The next frame's place is known, so the link can go on.
            Err(error) => shared.counters.borrow_mut().unreadable(error.name()),
        }
    }
    if any {
        shared.wake.notify_one();
    }
    Ok(())
}

/// Reads who is at the other end of a peer link.
fn introduce<P: Protocol>(
    shared: &Shared<P>,
    headers: &HeaderMap,
) -> Result<(ReplicaId, Encoding), (&'static str, String)>
where
    P::Message: Falsify,
{
    let cluster = &shared.config.cluster;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if text(CLUSTER_HEADER) != cluster.id.to_string() {
        let error = format!("header {CLUSTER_HEADER} must name this node's cluster, {}", cluster.id);
        return Err(("other cluster", error));
    }
    let from = text(FROM_HEADER).parse().map(ReplicaId).ok();
    let from = from.filter(|from| cluster.contains(*from) && *from != shared.config.id);
    let Some(from) = from else {
        let error = format!(
            "header {FROM_HEADER} must be the id of another node of the cluster, 0 to {}",
            cluster.n - 1
        );
        return Err(("stranger", error));
    };
    let Some(encoding) = Encoding::of_content_type(text(CONTENT_TYPE.as_str())) else {
        let error = format!(
            "content type must be {} or {}",
            Encoding::Binary.content_type(),
            Encoding::Json.content_type()
        );
        return Err(("unknown encoding", error));
    };
    Ok((from, encoding))
}

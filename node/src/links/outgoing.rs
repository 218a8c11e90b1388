//! The outgoing half of a peer link: one long-lived HTTP request, whose body is
//! a stream of frames.
//!
//! Frames queue up here and the body takes all that is queued in one chunk each
//! time the connection can write: under load, many frames share one system call
//! and one wake-up of the receiver.

use super::handshake::{End, LinkIdentity, Transcript};
use super::tags::{Secret, Tags};
use crate::carried::{Carried, SMALL_BYTES};
use crate::config::Encoding;
use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use client::link::Nonce;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame as BodyFrame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use kernel::{Digest, ReplicaId, Signature};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpUserTimeout;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// Bytes that wait for a connected peer at most; beyond, the newest is dropped.
const MAX_QUEUED_BYTES: usize = 64 << 20;
/// Bytes that wait for a client at most; beyond, its link is ended.
const MAX_QUEUED_FOR_CLIENT: usize = 16 << 20;
/// Bytes kept for an unreachable peer; beyond, the oldest are dropped.
const MAX_KEPT_BYTES: usize = 4 << 20;
/// Frames are joined into chunks of about this size; larger ones go alone, in pieces.
const CHUNK_BYTES: usize = SMALL_BYTES;
/// A piece of a large frame: what the connection takes at a time counts as carried.
const PIECE_BYTES: usize = 256 << 10;

const FIRST_RETRY: Duration = Duration::from_millis(10);
const LAST_RETRY: Duration = Duration::from_millis(500);
/// A connection that lasted this long was a good one.
const GOOD_CONNECTION: Duration = Duration::from_secs(1);

/// How long a peer may take to answer a new connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A peer whose host takes nothing that is sent for so long is gone, though nothing says so. (A process that is stopped for
/// a while is not: its host takes what it has room for.)
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// How long the other end of a new connection may take to show who it is.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Header of a handshake: the nonce of the end that sends it, in hexadecimal.
pub(crate) const NONCE_HEADER: &str = "x-nonce";
/// Header of a handshake: the signature of the end that sends it, in hexadecimal.
pub(crate) const SIGNATURE_HEADER: &str = "x-signature";
/// Header of a handshake: what the end that sends it gives to the exchange of keys, in hexadecimal.
pub(crate) const SHARE_HEADER: &str = "x-key-share";

/// Whom a link goes to, and the head of the request that opens it.
#[derive(Clone, Debug)]
pub(crate) struct LinkTarget {
    pub(crate) address: SocketAddr,
    pub(crate) head: Parts,
    /// None where it does not matter who is at the other end.
    pub(crate) handshake: Option<Handshake>,
}

/// How a link's ends show each other who they are.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    pub(crate) identity: Rc<LinkIdentity>,
    pub(crate) peer: ReplicaId,
    /// The head of the request that asks for the peer's nonce, without this end's.
    pub(crate) hello: Parts,
    /// How frames are written, where they have tags.
    pub(crate) tagged: Option<Encoding>,
}

/// What is sent to one peer, or on one link of a client.
#[derive(Debug)]
pub(crate) struct Link {
    queue: RefCell<Queue>,
    /// Whether it ends when more than [`MAX_QUEUED_FOR_CLIENT`] wait.
    is_client: bool,
    peer_is_up: Notify,
    /// The connection is at its end, for new keys.
    renews: Notify,
    carried: Rc<Carried>,
    /// Connections to somebody who was not shown to be the peer.
    not_authenticated: Cell<u64>,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// What is left of a large frame that is being written.
    begun: Bytes,
    is_connected: bool,
    /// Makes the tags on this connection, where frames have any.
    tags: Option<Tags>,
    /// The connection is at its end, as its keys are.
    renews: bool,
    /// What is queued is the last.
    is_ended: bool,
    writer: Option<Waker>,
    dropped: u64,
}

impl Link {
    /// A link that is not connected yet, and adds what it carries to `carried`.
    pub(crate) fn new(carried: Rc<Carried>) -> Link {
        Link {
            queue: RefCell::default(),
            is_client: false,
            peer_is_up: Notify::new(),
            renews: Notify::new(),
            carried,
            not_authenticated: Cell::new(0),
        }
    }

    /// A client's link, which is open until it ends. What it carries puts no timer off.
    pub(crate) fn of_client() -> Link {
        let link = Link { is_client: true, ..Link::new(Rc::default()) };
        link.set_connected(true);
        link
    }

    /// Ends a client's link with what is queued.
    pub(crate) fn end(&self) {
        let mut queue = self.queue.borrow_mut();
        queue.is_ended = true;
        if let Some(writer) = queue.writer.take() {
            drop(queue);
            writer.wake();
        }
    }

    /// Ends it at once, as the client does not read.
    fn break_off(&self) {
        let mut queue = self.queue.borrow_mut();
        queue.frames.clear();
        queue.bytes = 0;
        drop(queue);
        self.end();
    }

    /// The stream of what is sent.
    pub(crate) fn body(self: &Rc<Link>) -> LinkBody {
        LinkBody { link: Some(Rc::clone(self)) }
    }

    /// Bytes of large frames that a connected peer has not taken yet.
    pub(crate) fn large_bytes_waiting(&self) -> u64 {
        let queue = self.queue.borrow();
        if !queue.is_connected {
            return 0;
        }
        let large = queue.frames.iter().map(Bytes::len).filter(|bytes| *bytes > SMALL_BYTES);
        (queue.begun.len() + large.sum::<usize>()) as u64
    }

    /// Queues a frame. Never waits: what does not fit is dropped and counted.
    pub(crate) fn push(&self, frame: Bytes) {
        let mut queue = self.queue.borrow_mut();
        if self.is_client && queue.bytes + frame.len() > MAX_QUEUED_FOR_CLIENT {
            queue.dropped += 1;
            drop(queue);
            self.break_off();
            return;
        }
        if queue.is_connected && queue.bytes + frame.len() > MAX_QUEUED_BYTES {
            queue.dropped += 1;
            return;
        }
        queue.bytes += frame.len();
        queue.frames.push_back(frame);
        if queue.is_connected {
            if let Some(writer) = queue.writer.take() {
                drop(queue);
                writer.wake();
            }
        } else {
            queue.drop_oldest();
        }
    }

    /// Whether the peer takes messages now.
    pub(crate) fn is_connected(&self) -> bool {
        self.queue.borrow().is_connected
    }

    /// The peer has shown that it is there: no use in waiting any longer before
    /// the next attempt.
    pub(crate) fn try_now(&self) {
        if !self.is_connected() {
            self.peer_is_up.notify_one();
        }
    }

    /// Connections that ended because their other end was not shown to be the peer.
    pub(crate) fn not_authenticated(&self) -> u64 {
        self.not_authenticated.get()
    }

    /// Messages dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.queue.borrow().dropped
    }

    fn set_connected(&self, is_connected: bool) {
        self.connect(is_connected, None);
    }

    fn connect(&self, is_connected: bool, tags: Option<Tags>) {
        let mut queue = self.queue.borrow_mut();
        queue.is_connected = is_connected;
        queue.tags = tags;
        queue.renews = false;
        queue.writer = None;
        // A frame that was cut off is lost.
        queue.begun = Bytes::new();
        if !is_connected {
            queue.drop_oldest();
        }
    }

    /// Keeps a connection to the peer for ever.
    pub(crate) async fn run(self: Rc<Link>, target: LinkTarget) {
        let mut retry = FIRST_RETRY;
        let mut last_reason = String::new();
        loop {
            let began = Instant::now();
            let ended = self.stream_once(&target).await;
            if std::mem::take(&mut self.queue.borrow_mut().renews) {
                // Nothing is lost, and nothing is wrong: what is queued waits for the next connection.
                continue;
            }
            let was_up = self.is_connected();
            self.set_connected(false);
            last_reason = self.log_end(&target, ended, was_up, last_reason);
            if began.elapsed() >= GOOD_CONNECTION {
                retry = FIRST_RETRY;
            }
            tokio::select! {
                () = tokio::time::sleep(retry) => {}
                () = self.peer_is_up.notified() => {}
            }
            retry = (retry * 2).min(LAST_RETRY);
        }
    }

    /// One connection: from connecting to its end.
    async fn stream_once(self: &Rc<Link>, target: &LinkTarget) -> anyhow::Result<()> {
        let stream = loop {
            tokio::select! {
                biased;
                stream = tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(target.address)) => {
                    break stream.with_context(|| format!("no answer within {CONNECT_LIMIT:?}"))??;
                }
                // It has come back meanwhile, and knows nothing of this attempt.
                () = self.peer_is_up.notified() => {}
            }
        };
        stream.set_nodelay(true)?;
        setsockopt(&stream, TcpUserTimeout, &(SILENCE_LIMIT.as_millis() as u32))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let streaming = async {
            let (mut head, mut tags) = (target.head.clone(), None);
            if let Some(handshake) = &target.handshake {
                let greeted = tokio::time::timeout(HANDSHAKE_LIMIT, self.greet(&mut sender, handshake));
                let greeted = greeted.await.context("the peer did not show in time who it is")??;
                let signature;
                (signature, tags) = greeted;
                head.headers.insert(SIGNATURE_HEADER, HeaderValue::from_str(&signature.to_string())?);
                tracing::info!(peer = %handshake.peer, address = %target.address, "peer link is up");
            }
            self.connect(true, tags);
            let body = self.body();
            let answer = tokio::select! {
                answer = sender.send_request(Request::from_parts(head, body)) => answer?,
                // Nothing is sent any more that would show that the peer is gone.
                () = async {
                    self.renews.notified().await;
                    tokio::time::sleep(HANDSHAKE_LIMIT).await;
                } => anyhow::bail!("the peer did not end the link in time"),
            };
            Err(refusal("the peer ended the link", answer).await)
        };
        // The peer answers only when it wants no more; whatever ends first ends
        // the link.
        tokio::select! {
            ended = connection => Ok(ended?),
            refused = streaming => refused,
        }
    }

    /// Lets the peer show who it is, and returns what shows it who this node is, and what makes the tags of frames.
    async fn greet(
        &self,
        sender: &mut SendRequest<LinkBody>,
        handshake: &Handshake,
    ) -> anyhow::Result<(Signature, Option<Tags>)> {
        let Handshake { identity, peer, hello, tagged } = handshake;
        let opener_nonce: Nonce = rand::random();
        let secret = tagged.map(|encoding| (encoding, Secret::new()));
        let mut head = hello.clone();
        let in_hexadecimal = |bytes| HeaderValue::from_str(&Digest(bytes).to_string());
        head.headers.insert(NONCE_HEADER, in_hexadecimal(opener_nonce)?);
        if let Some((_, (_, share))) = &secret {
            head.headers.insert(SHARE_HEADER, in_hexadecimal(*share)?);
        }
        let answer = sender.send_request(Request::from_parts(head, LinkBody { link: None })).await?;
        if !answer.status().is_success() {
            return Err(refusal("the peer refuses this node", answer).await);
        }
        let header =
            |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let acceptor_nonce = header(NONCE_HEADER).parse::<Digest>();
        let shown = header(SIGNATURE_HEADER).parse::<Signature>();
        let theirs = header(SHARE_HEADER).parse::<Digest>().map(|share| share.0).unwrap_or_default();
        if let (Ok(Digest(acceptor_nonce)), Ok(shown)) = (acceptor_nonce, shown) {
            let shares = secret.as_ref().map(|(_, (_, share))| [*share, theirs]);
            let transcript =
                Transcript { opener: identity.own(), acceptor: *peer, opener_nonce, acceptor_nonce, shares };
            if identity.is_authentic(End::Acceptor, &transcript, shown) {
                let tags = match secret {
                    Some((encoding, (secret, _))) => Some(
                        secret
                            .tags(theirs, (identity, &transcript), encoding)
                            .context("no key can come of the peer's share")?,
                    ),
                    None => None,
                };
                // Whatever else the answer holds must be read before the next request.
                let _ = answer.into_body().collect().await;
                sender.ready().await?;
                return Ok((identity.sign(End::Opener, &transcript), tags));
            }
        }
        self.not_authenticated.set(self.not_authenticated.get() + 1);
        anyhow::bail!("who answers there is not the peer: its signature does not hold")
    }

    /// Logs why a link is not up, unless that was the last reason too, and returns it.
    fn log_end(
        &self,
        target: &LinkTarget,
        ended: anyhow::Result<()>,
        was_up: bool,
        last_reason: String,
    ) -> String {
        let Some(Handshake { peer, .. }) = &target.handshake else { return last_reason };
        let why =
            ended.map_or_else(|error| format!("{error:#}"), |()| "the connection was closed".to_owned());
        if was_up {
            tracing::info!(%peer, address = %target.address, why, "peer link is down");
        } else if why != last_reason {
            tracing::info!(%peer, address = %target.address, why, "peer link is not up; it is tried again and again");
        }
        why
    }
}

/// What an answer that ends a link says.
async fn refusal(what: &str, answer: Response<Incoming>) -> anyhow::Error {
    const MOST_BYTES: usize = 4 << 10;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
    let text = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default();
    anyhow::anyhow!("{what} with status {status}: {text}")
}

impl Queue {
    fn drop_oldest(&mut self) {
        while self.bytes > MAX_KEPT_BYTES {
            let Some(oldest) = self.frames.pop_front() else {
                return;
            };
            self.bytes -= oldest.len();
            self.dropped += 1;
        }
    }

    /// The next chunk: small frames joined, or a piece of a large one.
    fn next_chunk(&mut self, carried: &Carried) -> Option<Bytes> {
        if !self.begun.is_empty() {
            return Some(self.next_piece(carried));
        }
        let first = self.frames.pop_front()?;
        self.bytes -= first.len();
        if first.len() > SMALL_BYTES {
            let Some(tags) = &mut self.tags else {
                self.begun = first;
                return Some(self.next_piece(carried));
            };
            let (head, left_out) = tags.head(&first);
            self.begun = first.slice(left_out..);
            return Some(head);
        }
        let fits = |frames: &VecDeque<Bytes>, bytes: usize| {
            frames.front().is_some_and(|next| bytes + next.len() <= CHUNK_BYTES)
        };
        if !fits(&self.frames, first.len()) && self.tags.is_none() {
            return Some(first);
        }
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES.min(first.len() + self.bytes));
        self.append(&mut chunk, &first);
        while fits(&self.frames, chunk.len()) {
            let Some(next) = self.frames.pop_front() else {
                break;
            };
            self.bytes -= next.len();
            self.append(&mut chunk, &next);
        }
        Some(chunk.freeze())
    }

    fn append(&mut self, chunk: &mut BytesMut, frame: &[u8]) {
        let mut left_out = 0;
        if let Some(tags) = &mut self.tags {
            let head;
            (head, left_out) = tags.head(frame);
            chunk.extend_from_slice(&head);
        }
        chunk.extend_from_slice(&frame[left_out..]);
    }

    /// Whether the connection ends here, between two frames, for the next one to have new keys.
    fn ends_for_new_keys(&mut self) -> bool {
        self.renews |= self.begun.is_empty() && self.tags.as_ref().is_some_and(Tags::are_expired);
        self.renews
    }

    fn next_piece(&mut self, carried: &Carried) -> Bytes {
        let piece = self.begun.split_to(self.begun.len().min(PIECE_BYTES));
        carried.add(piece.len());
        piece
    }
}

/// The endless body of a link's request, or of the answer that is a client's link; empty
/// where there is no link yet.
#[derive(Debug)]
pub(crate) struct LinkBody {
    link: Option<Rc<Link>>,
}

impl Body for LinkBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        let Some(link) = &self.link else { return Poll::Ready(None) };
        let mut queue = link.queue.borrow_mut();
        if queue.ends_for_new_keys() {
            link.renews.notify_one();
            return Poll::Ready(None);
        }
        match queue.next_chunk(&link.carried) {
            Some(chunk) => Poll::Ready(Some(Ok(BodyFrame::data(chunk)))),
            None if queue.is_ended => Poll::Ready(None),
            None => {
                queue.writer = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.link.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.link.is_none() { SizeHint::with_exact(0) } else { SizeHint::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::tags::tests::{both_ends, with_tag};

    fn frame(bytes: usize) -> Bytes {
        Bytes::from(vec![0; bytes])
    }

    fn chunks(link: &Link) -> Vec<usize> {
        let mut queue = link.queue.borrow_mut();
        std::iter::from_fn(|| queue.next_chunk(&link.carried).map(|chunk| chunk.len())).collect()
    }

    #[test]
    fn small_frames_share_a_chunk_and_large_ones_go_alone() {
        let link = Link::new(Rc::default());
        link.set_connected(true);
        for bytes in [10, 20, 30, CHUNK_BYTES, 5, CHUNK_BYTES - 5, 1] {
            link.push(frame(bytes));
        }
        assert_eq!(chunks(&link), [60, CHUNK_BYTES, CHUNK_BYTES, 1]);
        assert_eq!(link.queue.borrow().bytes, 0);
    }

    #[test]
    fn frames_get_tags_as_they_leave_and_wait_for_new_keys_when_these_have_expired() {
        let large = frame(2 * PIECE_BYTES);
        let [mut expected, tags] = both_ends(Encoding::Binary, 4);
        let key_of_next = both_ends(Encoding::Binary, 4);
        // Both ends make the same tags: the other end's stand in for what is expected.
        let link = Rc::new(Link::new(Rc::default()));
        link.connect(true, Some(tags));
        for next in [frame(10), frame(20), large.clone(), frame(30), frame(40)] {
            link.push(next);
        }
        let mut body = link.body();
        let mut next = || {
            let mut cx = Context::from_waker(Waker::noop());
            match Pin::new(&mut body).poll_frame(&mut cx) {
                Poll::Pending => None,
                Poll::Ready(chunk) => Some(chunk.map(|chunk| chunk.unwrap().into_data().unwrap())),
            }
        };
        let two = [with_tag(&mut expected, &frame(10)), with_tag(&mut expected, &frame(20))].concat();
        assert_eq!(next().unwrap().unwrap(), two);
        let whole = with_tag(&mut expected, &large);
        let mut came = Vec::new();
        while came.len() < whole.len() {
            came.extend(next().unwrap().unwrap());
        }
        assert!(came == whole, "a large one has its tag before it");
        // The last two share a chunk, after which the keys have expired.
        link.push(frame(50));
        assert!(next().unwrap().is_some());
        assert_eq!(next(), Some(None), "the connection ends");
        let [tags, _] = key_of_next;
        link.push(frame(60));
        link.connect(true, Some(tags));
        assert!(next().unwrap().is_some(), "with new keys the rest goes on");
    }

    #[test]
    fn a_full_queue_drops_the_newest() {
        let link = Link::new(Rc::default());
        link.set_connected(true);
        link.push(frame(MAX_QUEUED_BYTES - 1));
        link.push(frame(1));
        link.push(frame(1));
        assert_eq!(link.dropped(), 1);
        let chunks = chunks(&link);
        assert_eq!((chunks.iter().sum::<usize>(), chunks.last()), (MAX_QUEUED_BYTES, Some(&1)));
    }

    #[test]
    fn a_client_that_does_not_read_loses_its_link() {
        let link = Rc::new(Link::of_client());
        let mut body = link.body();
        let mut next = || {
            let mut cx = Context::from_waker(Waker::noop());
            match Pin::new(&mut body).poll_frame(&mut cx) {
                Poll::Pending => None,
                Poll::Ready(frame) => Some(frame.map(|frame| frame.unwrap().into_data().unwrap().len())),
            }
        };
        link.push(frame(7));
        assert_eq!((next(), next()), (Some(Some(7)), None));
        link.push(frame(MAX_QUEUED_FOR_CLIENT));
        link.push(frame(1));
        assert_eq!((next(), link.dropped()), (Some(None), 1), "the rest is of no use");

        let link = Rc::new(Link::of_client());
        link.push(frame(7));
        link.end();
        let mut cx = Context::from_waker(Waker::noop());
        let mut body = link.body();
        assert!(matches!(Pin::new(&mut body).poll_frame(&mut cx), Poll::Ready(Some(_))));
        assert!(
            matches!(Pin::new(&mut body).poll_frame(&mut cx), Poll::Ready(None)),
            "what was queued goes first"
        );
    }

    #[test]
    fn a_large_frame_is_written_in_pieces_that_count_as_carried() {
        let link = Link::new(Rc::default());
        link.push(frame(CHUNK_BYTES));
        link.push(frame(2 * PIECE_BYTES + 1));
        assert_eq!(link.large_bytes_waiting(), 0, "nobody takes them");
        link.set_connected(true);
        assert_eq!(link.large_bytes_waiting(), 2 * PIECE_BYTES as u64 + 1);
        let next = || link.queue.borrow_mut().next_chunk(&link.carried).map(|chunk| chunk.len());
        assert_eq!((next(), link.carried.total()), (Some(CHUNK_BYTES), 0), "a small one");
        assert_eq!((next(), link.carried.total()), (Some(PIECE_BYTES), PIECE_BYTES as u64));
        link.push(frame(3));
        assert_eq!((next(), next(), next(), next()), (Some(PIECE_BYTES), Some(1), Some(3), None));
        assert_eq!((link.large_bytes_waiting(), link.carried.total()), (0, 2 * PIECE_BYTES as u64 + 1));

        link.push(frame(2 * PIECE_BYTES));
        assert_eq!(next(), Some(PIECE_BYTES));
        link.set_connected(false);
        link.set_connected(true);
        assert_eq!(next(), None, "no frame begins in its middle");
    }

    #[test]
    fn an_unreachable_peer_costs_the_oldest() {
        let link = Link::new(Rc::default());
        link.push(frame(3));
        link.push(frame(MAX_KEPT_BYTES - 1));
        assert_eq!(link.dropped(), 1);
        link.push(frame(1));
        assert_eq!((link.dropped(), link.queue.borrow().bytes), (1, MAX_KEPT_BYTES));

        link.set_connected(true);
        link.push(frame(7));
        assert_eq!(link.dropped(), 1, "connected, more is kept");
        link.set_connected(false);
        assert_eq!(link.dropped(), 2, "disconnected, no longer");
    }
}

//! One connection to each node, opened again when it ends.

use super::Setup;
use crate::link::{
    CLIENT_HEADER, CLUSTER_HEADER, CONTENT_TYPE as STREAM, FrameReader, FromClient, FromNode, Introduction,
    MAX_CLIENT_FRAME_BYTES, MAX_NODE_FRAME_BYTES, PATH, decode, encode,
};
use anyhow::{Context as _, bail};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use kernel::{Bundle, ReplicaId, ReplyBundle, Signer};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Frames that wait for a node to take them; beyond, they are dropped, and its turn comes
/// with a reminder.
const MOST_QUEUED: usize = 1_024;
/// Frames are joined into chunks of about this size.
const CHUNK_BYTES: usize = 64 << 10;
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const FIRST_RETRY: Duration = Duration::from_millis(20);
const LAST_RETRY: Duration = Duration::from_secs(1);
/// A connection that lasted this long was a good one.
const GOOD_CONNECTION: Duration = Duration::from_secs(1);
/// Of a refusal, so much is read.
const MOST_REFUSAL_BYTES: usize = 4 << 10;

/// What a connection tells.
#[derive(Debug)]
pub(super) enum Event {
    /// There is a link, and frames for it go here.
    Up(ReplicaId, mpsc::Sender<Bytes>),
    /// There is none, and why.
    Down(ReplicaId, String),
    /// Replies came on it.
    Replies(Vec<ReplyBundle>),
}

/// Keeps a connection to a node until the client ends.
pub(super) async fn keep_connected(setup: Arc<Setup>, node: ReplicaId, events: mpsc::Sender<Event>) {
    let mut retry = FIRST_RETRY;
    loop {
        let began = Instant::now();
        let ended = stream_once(&setup, node, &events).await;
        let why = ended.map_or_else(|error| format!("{error:#}"), |()| "the link ended".to_owned());
        if events.send(Event::Down(node, why)).await.is_err() {
            return;
        }
        if began.elapsed() >= GOOD_CONNECTION {
            retry = FIRST_RETRY;
        }
        tokio::time::sleep(retry).await;
        retry = (retry * 2).min(LAST_RETRY);
    }
}

/// One connection: from connecting to its end.
async fn stream_once(setup: &Setup, node: ReplicaId, events: &mpsc::Sender<Event>) -> anyhow::Result<()> {
    let address = setup.addresses[usize::from(node.0)];
    let connecting = tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(address)).await;
    let stream = connecting
        .map_err(|_| anyhow::anyhow!("it does not answer"))
        .and_then(|stream| Ok(stream?))
        .with_context(|| format!("cannot connect to {address}"))?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let (frames, queue) = mpsc::channel(MOST_QUEUED);
    let request = Request::post(PATH)
        .header(HOST, address.to_string())
        .header(CONTENT_TYPE, STREAM)
        .header(CLUSTER_HEADER, setup.cluster.id.to_string())
        .header(CLIENT_HEADER, setup.id.0)
        .body(Frames { queue, next: None })?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        let (status, body) = (answer.status(), answer.into_body());
        if status != StatusCode::OK {
            bail!("it refuses the link with status {status}: {}", refusal(body).await);
        }
        let mut reader = Reader { body, frames: FrameReader::new(MAX_NODE_FRAME_BYTES) };
        introduce(setup, node, &mut reader, &frames).await?;
        events.send(Event::Up(node, frames)).await?;
        read(reader, events).await
    };
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        exchanged = &mut exchange => exchanged,
        // What came before its end, such as a refusal, is still to be read.
        _ = connection => exchange.await,
    }
}

/// What a node sends.
struct Reader {
    body: Incoming,
    frames: FrameReader,
}

impl Reader {
    /// Takes in more; false at the end of the stream.
    async fn more(&mut self) -> anyhow::Result<bool> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(chunk) = frame?.into_data() {
                self.frames.feed(&chunk);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn next(&mut self) -> anyhow::Result<Option<FromNode>> {
        Ok(self.frames.next_frame()?.map(decode).transpose()?)
    }
}

/// Shows the node who this client is, as its first frame asks.
async fn introduce(
    setup: &Setup,
    node: ReplicaId,
    reader: &mut Reader,
    frames: &mpsc::Sender<Bytes>,
) -> anyhow::Result<()> {
    let nonce = loop {
        match reader.next()? {
            Some(FromNode::Challenge(nonce)) => break nonce,
            Some(FromNode::Ended(why)) => bail!("it ended the link: {why}"),
            Some(FromNode::Reply(_)) => bail!("it does not ask who this client is"),
            None if reader.more().await? => {}
            None => bail!("it ended the link at once"),
        }
    };
    let introduction = Introduction { cluster: setup.cluster.id, node, client: setup.id, nonce };
    let signature = introduction.sign(&Signer::new(setup.id, &setup.secret));
    let frame = encode(&FromClient::<Bundle>::Introduction(signature), MAX_CLIENT_FRAME_BYTES)?;
    frames.send(frame.into()).await?;
    Ok(())
}

async fn read(mut reader: Reader, events: &mpsc::Sender<Event>) -> anyhow::Result<()> {
    while reader.more().await? {
        let mut replies = Vec::new();
        while let Some(frame) = reader.next()? {
            match frame {
                FromNode::Reply(reply) => replies.push(reply),
                FromNode::Challenge(_) => bail!("it asks again who this client is"),
                FromNode::Ended(why) => bail!("it ended the link: {why}"),
            }
        }
        if !replies.is_empty() {
            events.send(Event::Replies(replies)).await?;
        }
    }
    Ok(())
}

async fn refusal(mut body: Incoming) -> String {
    let mut text = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        text.extend_from_slice(frame.data_ref().map_or(&[], |chunk| chunk));
        if text.len() > MOST_REFUSAL_BYTES {
            break;
        }
    }
    text.truncate(MOST_REFUSAL_BYTES);
    String::from_utf8_lossy(&text).into_owned()
}

/// The body of a link's request: what is queued for the node.
struct Frames {
    queue: mpsc::Receiver<Bytes>,
    /// Did not fit into the last chunk.
    next: Option<Bytes>,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let first = match self.next.take() {
            Some(next) => next,
            None => match ready!(self.queue.poll_recv(cx)) {
                Some(first) => first,
                None => return Poll::Ready(None),
            },
        };
        let mut chunk = BytesMut::new();
        while let Ok(more) = self.queue.try_recv() {
            if chunk.is_empty() {
                chunk.extend_from_slice(&first);
            }
            if chunk.len() + more.len() > CHUNK_BYTES {
                self.next = Some(more);
                break;
            }
            chunk.extend_from_slice(&more);
        }
        let chunk = if chunk.is_empty() { first } else { chunk.freeze() };
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }
}

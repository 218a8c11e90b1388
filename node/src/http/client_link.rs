//! `/client`: the links of clients with keys of their own. The request's body is a stream
//! of their bundles, the answer's a stream of the replies.

use super::interface::Interface;
use super::link_head::{Fault, check_cluster, check_version, refuse, text};
use super::response::{Answer, AnswerBody, Refusal, offline};
use super::unfinished::{MAX_UNFINISHED_BYTES, Unfinished};
use crate::clock::now_ns;
use crate::host::client_links::LINKS_PER_CLIENT;
use crate::host::inbox::FromClient as Incoming;
use crate::host::node::Node;
use crate::links::frame::FrameError;
use crate::links::outgoing::Link;
use bytes::Bytes;
use client::link::{
    CLIENT_HEADER, CONTENT_TYPE as STREAM, FrameReader, FromClient, FromNode, LinkError,
    MAX_CLIENT_FRAME_BYTES, MAX_NODE_FRAME_BYTES, Nonce, decode, encode,
};
use http_body_util::BodyExt as _;
use hyper::body::Incoming as Body;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Request, Response};
use kernel::{Bundle, Protocol, ReplicaId, ReplyBundle, Weakening, weakened};
use std::rc::Rc;
use std::sync::Arc;

/// Opens a link: the answer begins at once, and goes on until either side ends it.
pub(super) fn post<P: Protocol + 'static>(
    interface: &Rc<Interface<P>>,
    request: Request<Body>,
) -> Result<Answer, Refusal> {
    let node = &interface.node;
    if node.is_offline() {
        return Err(offline());
    }
    check_version(request.version(), "client")?;
    let client = identify(node, request.headers()).map_err(|fault| refuse(node, fault))?;
    let mut open = node.client_links.open(client);
    let opener = Opener { client, nonce: rand::random(), link: Rc::clone(open.link()) };
    push(&opener.link, FromNode::Challenge(opener.nonce));
    let reading = read(Rc::clone(interface), opener, request.into_body());
    open.reads_by(tokio::task::spawn_local(reading).abort_handle());
    let mut answer = Response::new(AnswerBody::link(open));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(STREAM));
    Ok(answer)
}

/// Somebody who says to be a client.
struct Opener {
    client: ReplicaId,
    /// What the client's key is to sign.
    nonce: Nonce,
    link: Rc<Link>,
}

/// Reads the client's frames. When its body ends, it has nothing more to ask, and still
/// gets its replies; when it breaks a rule, the link ends and says why.
async fn read<P: Protocol>(interface: Rc<Interface<P>>, opener: Opener, body: Body) {
    let node = &interface.node;
    // What a client with a key holds on all of its links keeps no other client out.
    let share = MAX_UNFINISHED_BYTES / (node.config.client_keys.len().max(1) * LINKS_PER_CLIENT);
    let mut stream = Stream {
        body,
        frames: FrameReader::new(MAX_CLIENT_FRAME_BYTES),
        unfinished: Unfinished::new(&interface.unfinished_client_frames, MAX_UNFINISHED_BYTES, share),
    };
    let limit = node.config.read_limit();
    let admitted = tokio::time::timeout(limit, admit(node, &opener, &mut stream)).await;
    let ended = match admitted.unwrap_or_else(|_| Err(End::because("no introduction", NOT_INTRODUCED))) {
        Ok(()) => read_requests(&interface, opener.client, &mut stream).await,
        Err(end) => Err(end),
    };
    match ended {
        Ok(()) => {}
        // It went away in the middle, and reads nothing any more.
        Err(End::Gone) => opener.link.end(),
        Err(End::Fault { kind, why }) => {
            node.count_unreadable(kind);
            push(&opener.link, FromNode::Ended(why));
            opener.link.end();
        }
    }
}

/// Bytes of a first frame that is still incomplete. A whole one has fewer: strangers are not to hold memory.
const MAX_INTRODUCTION_BYTES: usize = 1024;
const NOT_INTRODUCED: &str = "the first frame must show that this is the client's key";

/// Why a link is not read on.
enum End {
    Gone,
    Fault { kind: &'static str, why: String },
}

impl End {
    fn because(kind: &'static str, why: impl Into<String>) -> End {
        End::Fault { kind, why: why.into() }
    }
}

impl From<LinkError> for End {
    fn from(error: LinkError) -> End {
        let why = error.to_string();
        End::Fault { kind: FrameError::from(error).name(), why }
    }
}

/// What comes in on a link.
struct Stream<'a> {
    body: Body,
    frames: FrameReader,
    unfinished: Unfinished<'a>,
}

impl Stream<'_> {
    /// Takes in more; false at the end of the body.
    async fn more<P: Protocol>(&mut self, node: &Node<P>) -> Result<bool, End> {
        self.unfinished.update(self.frames.pending());
        if self.unfinished.is_too_much() {
            return Err(End::because(
                "unfinished frames",
                "all that comes in now is too much; try again later",
            ));
        }
        while let Some(frame) = self.body.frame().await {
            if let Ok(chunk) = frame.map_err(|_| End::Gone)?.into_data() {
                node.count_arrived_bytes(chunk.len());
                self.frames.feed(&chunk);
                return Ok(true);
            }
        }
        match self.frames.pending() {
            0 => Ok(false),
            bytes => {
                let why = format!("the stream ended inside a frame, after {bytes} bytes of it");
                Err(End::because("truncated frame", why))
            }
        }
    }
}

/// Reads the first frame, and lets the opener have the client's replies if it has the
/// client's key.
async fn admit<P: Protocol>(node: &Node<P>, opener: &Opener, stream: &mut Stream<'_>) -> Result<(), End> {
    let payload = loop {
        if let Some(payload) = stream.frames.next_frame()? {
            break payload;
        }
        if stream.frames.pending() > MAX_INTRODUCTION_BYTES || !stream.more(node).await? {
            return Err(End::because("no introduction", NOT_INTRODUCED));
        }
    };
    let client = opener.client;
    match decode(payload)? {
        FromClient::<Bundle>::Introduction(signature)
            if node.link_identity.is_client(client, opener.nonce, signature)
                || weakened(Weakening::LinkNotAuthenticated) => {}
        _ => return Err(End::because("link not authenticated", NOT_INTRODUCED)),
    }
    if node.client_links.admit(client, &opener.link) {
        return Ok(());
    }
    let why = format!("client {client} has {LINKS_PER_CLIENT} links to this node; close some");
    Err(End::because("too many links", why))
}

async fn read_requests<P: Protocol>(
    interface: &Interface<P>,
    client: ReplicaId,
    stream: &mut Stream<'_>,
) -> Result<(), End> {
    let node = &interface.node;
    loop {
        let mut requests = 0;
        while let Some(payload) = stream.frames.next_frame()? {
            let FromClient::Requests(bundle) = decode::<FromClient>(payload)? else {
                return Err(End::because("second introduction", "who this is, is known already"));
            };
            requests += bundle.requests().len();
            node.push_bundle(Incoming { client, bundle: Arc::new(bundle), bytes: payload.len() });
        }
        if requests > 0 {
            node.wake();
        }
        node.until_bundles_have_space().await;
        // Who sends more than it may is read more slowly.
        let pause = interface.rates.pause(client, requests, now_ns());
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        if !stream.more(node).await? {
            return Ok(());
        }
    }
}

fn push(link: &Link, frame: FromNode<&ReplyBundle>) {
    if let Ok(frame) = encode(&frame, MAX_NODE_FRAME_BYTES) {
        link.push(Bytes::from(frame));
    }
}

/// Reads who says to open a link.
fn identify<P: Protocol>(node: &Node<P>, headers: &HeaderMap) -> Result<ReplicaId, Fault> {
    let cluster = &node.config.cluster;
    check_cluster(node, headers)?;
    if text(headers, CONTENT_TYPE.as_str()) != STREAM {
        return Err(("unknown encoding", format!("content type must be {STREAM}")));
    }
    let client = text(headers, CLIENT_HEADER).parse().map(ReplicaId).ok();
    client.filter(|client| cluster.is_client(*client)).ok_or_else(|| {
        let error = match cluster.clients {
            0 => "this cluster has no clients with keys; add some to its configuration".to_owned(),
            _ => format!(
                "header {CLIENT_HEADER} must be a client's id, {} to {}",
                cluster.n,
                cluster.submitters() - 1
            ),
        };
        ("no client", error)
    })
}

//! `/peer`: the peer links, by which nodes send each other frames.

use super::connections::{Greeted, Permit};
use super::endpoints::{PEER, PEER_HELLO};
use super::interface::Interface;
use super::link_head::{Fault, check_cluster, check_version, refuse, text};
use super::response::{Answer, Refusal, json};
use super::unfinished::{MAX_UNFINISHED_BYTES, Unfinished};
use crate::api::LinkEnded;
use crate::carried::SMALL_BYTES;
use crate::config::Encoding;
use crate::host::inbox::Incoming as IncomingFrame;
use crate::host::node::Node;
use crate::links::frame::{FrameError, FrameReader, decode};
use crate::links::handshake::{End, Transcript};
use crate::links::outgoing::{Handshake, LinkTarget, NONCE_HEADER, SHARE_HEADER, SIGNATURE_HEADER};
use crate::links::tags::{Secret, Tags};
use client::link::CLUSTER_HEADER;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode};
use kernel::{Digest, Protocol, ReplicaId, Weakening, weakened};
use std::rc::Rc;

/// Header of a peer's request: the peer's id.
pub(super) const FROM_HEADER: &str = "x-from";

/// Header of a peer's first request: the digest of its configuration, in hexadecimal.
const CONFIGURATION_HEADER: &str = "x-configuration";

/// How this node opens its link to a peer.
pub(crate) fn link_target<P: Protocol>(
    node: &Node<P>,
    peer: ReplicaId,
) -> Result<LinkTarget, hyper::http::Error> {
    let config = &node.config;
    let address = config.addresses[usize::from(peer.0)];
    let request = |path| {
        Request::post(path)
            .header(HOST, address.to_string())
            .header(CONTENT_TYPE, config.encoding.content_type())
            .header(CLUSTER_HEADER, config.cluster.id.to_string())
            .header(FROM_HEADER, config.id.0)
    };
    let hello = request(PEER_HELLO).header(CONFIGURATION_HEADER, config.configuration.to_string()).body(())?;
    let tagged = config.cluster.has_tags().then_some(config.encoding);
    let identity = Rc::clone(&node.link_identity);
    let handshake = Handshake { identity, peer, hello: hello.into_parts().0, tagged };
    let head = request(PEER).body(())?.into_parts().0;
    Ok(LinkTarget { address, head, handshake: Some(handshake) })
}

/// The first request of a peer on a connection: it is answered with a nonce, and a
/// signature that shows who this node is.
pub(super) fn hello<P: Protocol>(
    interface: &Interface<P>,
    permit: &Permit,
    request: &Request<Incoming>,
) -> Result<Answer, Refusal> {
    let node = &*interface.node;
    check_version(request.version(), "peer")?;
    let refused = |fault| refuse(node, fault);
    let headers = request.headers();
    let (opener, encoding) = identify(node, headers).map_err(refused)?;
    if text(headers, CONFIGURATION_HEADER) != node.config.configuration.to_string() {
        node.count_unreadable("other configuration");
        let error =
            "this node was given another configuration; give all nodes the same file and flags".to_owned();
        return Err(Refusal(StatusCode::FORBIDDEN, error));
    }
    let Ok(Digest(opener_nonce)) = text(headers, NONCE_HEADER).parse() else {
        return Err(refused(("no nonce", format!("header {NONCE_HEADER} must be 32 bytes in hexadecimal"))));
    };
    let mut transcript = Transcript {
        opener,
        acceptor: node.config.id,
        opener_nonce,
        acceptor_nonce: rand::random(),
        shares: None,
    };
    let mut secret = None;
    if node.config.cluster.has_tags() {
        let Ok(Digest(theirs)) = text(headers, SHARE_HEADER).parse() else {
            return Err(refused(no_share()));
        };
        let (own_secret, own) = Secret::new();
        transcript.shares = Some([theirs, own]);
        secret = Some((own_secret, encoding));
    }
    let signature = node.link_identity.sign(End::Acceptor, &transcript);
    permit.greeted.replace(Some(Greeted { transcript, secret }));
    let mut answer = json(StatusCode::OK, &LinkEnded {});
    let share = transcript.shares.map(|[_, share]| (SHARE_HEADER, Digest(share).to_string()));
    let shown = [
        (NONCE_HEADER, Digest(transcript.acceptor_nonce).to_string()),
        (SIGNATURE_HEADER, signature.to_string()),
    ];
    for (name, value) in shown.into_iter().chain(share) {
        let value = HeaderValue::from_str(&value).expect("hexadecimal digits are plain text");
        answer.headers_mut().insert(name, value);
    }
    Ok(answer)
}

fn no_share() -> Fault {
    let error = format!("header {SHARE_HEADER} must be an X25519 public key, 32 bytes in hexadecimal");
    ("no key share", error)
}

/// The key of a connection whose opener has shown who it is. None if its share is one with which everybody would know it.
fn agreed_tags<P: Protocol>(
    node: &Node<P>,
    transcript: &Transcript,
    secret: Secret,
    encoding: Encoding,
) -> Option<Tags> {
    let [theirs, _] = transcript.shares?;
    secret.tags(theirs, (&node.link_identity, transcript), encoding)
}

/// Refuses a link whose opener did not show, on this very connection, that it is `from`. What it showed counts once.
/// Returns what checks the tags of its frames.
fn authenticate<P: Protocol>(
    node: &Node<P>,
    permit: &Permit,
    from: ReplicaId,
    headers: &HeaderMap,
) -> Result<Option<Tags>, Refusal> {
    let shown = text(headers, SIGNATURE_HEADER).parse();
    match (permit.greeted.take(), shown) {
        (Some(Greeted { transcript, secret }), Ok(shown))
            if transcript.opener == from
                && node.link_identity.is_authentic(End::Opener, &transcript, shown) =>
        {
            let Some((secret, encoding)) = secret else { return Ok(None) };
            let tags = agreed_tags(node, &transcript, secret, encoding);
            return tags.map(Some).ok_or_else(|| refuse(node, no_share()));
        }
        _ if weakened(Weakening::LinkNotAuthenticated) => return Ok(None),
        _ => {}
    }
    node.count_unreadable("link not authenticated");
    let error = format!(
        "header {SIGNATURE_HEADER} must show that this connection's opener is node {from}; POST {PEER_HELLO} first"
    );
    Err(Refusal(StatusCode::FORBIDDEN, error))
}

/// A peer link: a stream of frames that ends when either side has had enough.
pub(super) async fn post<P: Protocol>(
    interface: &Interface<P>,
    permit: &Permit,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let node = &*interface.node;
    check_version(request.version(), "peer")?;
    let refused = |fault| refuse(node, fault);
    let (from, encoding) = identify(node, request.headers()).map_err(refused)?;
    let mut tags = authenticate(node, permit, from, request.headers())?;
    let link = permit.as_link(from);
    node.peer_is_up(from);
    let mut reader = FrameReader::new(encoding);
    let share = MAX_UNFINISHED_BYTES / interface.node.links.len();
    let mut unfinished = Unfinished::new(&interface.unfinished_frames, MAX_UNFINISHED_BYTES, share);
    let mut body = request.into_body();
    let replaced = link.until_replaced();
    tokio::pin!(replaced);
    loop {
        let arrived = tokio::select! {
            biased;
            arrived = body.frame() => arrived,
            () = &mut replaced => {
                return Err(refused(("link replaced", "newer links of this peer have taken its place".to_owned())));
            }
        };
        // A peer that dies ends its stream with an error; that is no news here.
        let Some(Ok(frame)) = arrived else { break };
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        node.count_arrived_bytes(chunk.len());
        reader.feed(&chunk);
        let arrived = chunk.len();
        read_frames(node, from, &mut reader, tags.as_mut())
            .map_err(|error| refused((error.name(), error.to_string())))?;
        unfinished.update(reader.pending());
        if reader.pending() > SMALL_BYTES {
            node.count_carried(arrived);
        }
        if unfinished.is_too_much() {
            let error = "all peer links together have too much of unfinished frames; finish or close some";
            return Err(refused(("unfinished frames", error.to_owned())));
        }
        node.until_inbox_has_space().await;
    }
    match reader.pending() {
        0 => Ok(json(StatusCode::OK, &LinkEnded {})),
        bytes => {
            let error = FrameError::Truncated { bytes };
            Err(refused((error.name(), error.to_string())))
        }
    }
}

fn read_frames<P: Protocol>(
    node: &Node<P>,
    from: ReplicaId,
    reader: &mut FrameReader,
    mut tags: Option<&mut Tags>,
) -> Result<(), FrameError> {
    let encoding = reader.encoding();
    let mut any = false;
    while let Some(payload) = reader.next_frame()? {
        let bytes = payload.len();
        let content = match &mut tags {
            Some(tags) => tags.open(payload).ok_or(FrameError::BadTag)?,
            None => payload,
        };
        match decode(content, encoding) {
            Ok(frame) => {
                any = true;
                node.push_frame(IncomingFrame { from, frame, bytes });
            }
            // The next frame's place is known, so the link can go on.
            Err(error) => node.count_unreadable(error.name()),
        }
    }
    if any {
        node.wake();
    }
    Ok(())
}

/// Reads who says to be at the other end of a peer link.
fn identify<P: Protocol>(node: &Node<P>, headers: &HeaderMap) -> Result<(ReplicaId, Encoding), Fault> {
    let cluster = &node.config.cluster;
    check_cluster(node, headers)?;
    let from = text(headers, FROM_HEADER).parse().map(ReplicaId).ok();
    let from = from.filter(|from| cluster.contains(*from) && *from != node.config.id);
    let Some(from) = from else {
        let error = format!(
            "header {FROM_HEADER} must be the id of another node of the cluster, 0 to {}",
            cluster.n - 1
        );
        return Err(("no member", error));
    };
    let Some(encoding) = Encoding::of_content_type(text(headers, CONTENT_TYPE.as_str())) else {
        let error = format!(
            "content type must be {} or {}",
            Encoding::Binary.content_type(),
            Encoding::Json.content_type()
        );
        return Err(("unknown encoding", error));
    };
    Ok((from, encoding))
}

//! `/client`: the links of clients with keys of their own. The request's body is a stream
//! of their bundles, the answer's a stream of the replies.

use super::interface::Interface;
use super::link_head::{Fault, check_cluster, check_version, refuse, text};
use super::response::{Answer, AnswerBody, Refusal, offline};
use super::unfinished::Unfinished;
use crate::host::client_links::LINKS_PER_CLIENT;
use crate::host::inbox::FromClient as Incoming;
use crate::host::node::Node;
use crate::links::frame::FrameError;
use crate::links::outgoing::Link;
use bytes::Bytes;
use client::MAX_IN_FLIGHT_BYTES;
use client::link::{
    CLIENT_HEADER, CONTENT_TYPE as STREAM, FrameReader, FromClient, FromNode, LinkError,
    MAX_CLIENT_FRAME_BYTES, MAX_NODE_FRAME_BYTES, decode, encode,
};
use http_body_util::BodyExt as _;
use hyper::body::Incoming as Body;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Request, Response, StatusCode};
use kernel::{Protocol, ReplicaId, ReplyBundle};
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
    let Some(mut open) = node.client_links.open(client) else {
        let error = format!("client {client} has {LINKS_PER_CLIENT} links to this node; close some");
        return Err(Refusal(StatusCode::TOO_MANY_REQUESTS, error));
    };
    let reading = read(Rc::clone(interface), client, Rc::clone(open.link()), request.into_body());
    open.reads_by(tokio::task::spawn_local(reading).abort_handle());
    let mut answer = Response::new(AnswerBody::link(open));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(STREAM));
    Ok(answer)
}

/// Reads the client's frames. When its body ends, it has nothing more to ask, and still
/// gets its replies; when it breaks a rule, the link ends and says why.
async fn read<P: Protocol>(interface: Rc<Interface<P>>, client: ReplicaId, link: Rc<Link>, mut body: Body) {
    let node = &interface.node;
    let mut reader = FrameReader::new(MAX_CLIENT_FRAME_BYTES);
    let mut unfinished = Unfinished::new(&interface.unfinished_bodies, MAX_IN_FLIGHT_BYTES);
    while let Some(frame) = body.frame().await {
        // It went away in the middle, and reads nothing any more.
        let Ok(frame) = frame else {
            return link.end();
        };
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        node.count_arrived_bytes(chunk.len());
        reader.feed(&chunk);
        if let Err(error) = read_frames(node, client, &mut reader) {
            let why = error.to_string();
            node.count_unreadable(FrameError::from(error).name());
            return end(&link, why);
        }
        unfinished.update(reader.pending());
        if unfinished.is_too_much() {
            node.count_unreadable("unfinished frames");
            return end(&link, "all that comes in now is too much; try again later".to_owned());
        }
        node.until_bundles_have_space().await;
    }
    if reader.pending() > 0 {
        node.count_unreadable("truncated frame");
        end(&link, format!("the stream ended inside a frame, after {} bytes of it", reader.pending()));
    }
}

fn read_frames<P: Protocol>(
    node: &Node<P>,
    client: ReplicaId,
    reader: &mut FrameReader,
) -> Result<(), LinkError> {
    let mut any = false;
    while let Some(payload) = reader.next_frame()? {
        let FromClient::Requests(bundle) = decode(payload)?;
        node.push_bundle(Incoming { client, bundle: Arc::new(bundle), bytes: payload.len() });
        any = true;
    }
    if any {
        node.wake();
    }
    Ok(())
}

fn end(link: &Link, why: String) {
    if let Ok(frame) = encode(&FromNode::<&ReplyBundle>::Ended(why), MAX_NODE_FRAME_BYTES) {
        link.push(Bytes::from(frame));
    }
    link.end();
}

/// Reads who opens a link. What it sends is signed, so that it gains nothing by another's
/// name but that one's replies.
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

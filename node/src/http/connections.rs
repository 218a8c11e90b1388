//! Connections that come in: how many there may be, how long they may say
//! nothing, and what is told to those whose request hyper refuses by itself.
//!
//! Peers and clients come to the same port. Clients may have so many
//! connections; beyond, a few spare ones are taken all the same, for a moment and
//! for peers only, so that clients cannot keep a peer's link from coming back.
//! A link takes its place once its opener has shown who it is.

use crate::api::ErrorAnswer;
use crate::config::Encoding;
use crate::links::handshake::Transcript;
use crate::links::tags::Secret;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::rt::ReadBufCursor;
use hyper_util::rt::TokioIo;
use kernel::ReplicaId;
use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// How long a spare connection may take to say that it is a peer's.
const SPARE_READ_LIMIT: Duration = Duration::from_secs(2);
/// What a refused client still sends is read for so long, because an answer to
/// somebody who is still writing would be lost.
const LINGER: Duration = Duration::from_secs(1);

/// Counts what is open.
#[derive(Debug)]
pub(crate) struct Connections {
    clients_max: usize,
    links_max: usize,
    clients: Cell<usize>,
    /// The oldest first.
    links: RefCell<Vec<OpenLink>>,
}

/// A peer link that came in.
#[derive(Clone, Debug)]
struct OpenLink {
    peer: ReplicaId,
    /// Told when newer ones of the same peer take its place.
    is_replaced: Rc<Notify>,
}

/// A peer whose old link is not known to be dead yet may open another. When it opens more, the oldest ends: so no peer
/// can take the places of others, and none is kept out by links that it has lost.
const LINKS_PER_PEER: usize = 2;

/// What the ends of a link agree upon before the first frame.
#[derive(Debug)]
pub(crate) struct Greeted {
    pub(crate) transcript: Transcript,
    /// This end's part in the exchange of keys, in flows whose frames have tags.
    pub(crate) secret: Option<(Secret, Encoding)>,
}

/// One connection, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    of: Rc<Connections>,
    is_spare: bool,
    /// Who is at the other end.
    pub(crate) client: IpAddr,
    /// What a peer that opens a link here has to sign; counts once.
    pub(crate) greeted: RefCell<Option<Greeted>>,
}

/// A connection while it is a peer link.
#[derive(Debug)]
pub(crate) struct LinkPermit<'a> {
    of: &'a Connections,
    link: OpenLink,
}

impl Connections {
    /// For a node with so many peers.
    pub(crate) fn new(clients_max: usize, peers: usize) -> Rc<Connections> {
        let links_max = LINKS_PER_PEER * peers + 2;
        Rc::new(Connections { clients_max, links_max, clients: Cell::default(), links: RefCell::default() })
    }

    /// Connections that are not peer links.
    pub(crate) fn clients(&self) -> usize {
        self.clients.get()
    }

    /// A new connection; none if there are too many to even listen to it.
    pub(crate) fn admit(self: &Rc<Connections>, client: IpAddr) -> Option<Permit> {
        let clients = self.clients.get();
        if clients >= self.clients_max + self.links_max {
            return None;
        }
        self.clients.set(clients + 1);
        Some(Permit {
            of: Rc::clone(self),
            is_spare: clients >= self.clients_max,
            client,
            greeted: RefCell::default(),
        })
    }
}

impl Permit {
    /// Whether only a peer may have it.
    pub(crate) fn is_spare(&self) -> bool {
        self.is_spare
    }

    /// How long it may take to send a request's head, or be idle.
    pub(crate) fn read_limit(&self, limit: Duration) -> Duration {
        if self.is_spare { limit.min(SPARE_READ_LIMIT) } else { limit }
    }

    /// From now on, for as long as the guard lives, it is a link of this peer and takes
    /// no client's place.
    pub(crate) fn as_link(&self, peer: ReplicaId) -> LinkPermit<'_> {
        let Connections { clients, links, .. } = &*self.of;
        let mut links = links.borrow_mut();
        let mut of_peer = (0..links.len()).filter(|place| links[*place].peer == peer);
        if let (Some(oldest), true) = (of_peer.next(), of_peer.count() + 1 >= LINKS_PER_PEER) {
            links.remove(oldest).is_replaced.notify_one();
        }
        let link = OpenLink { peer, is_replaced: Rc::default() };
        links.push(link.clone());
        clients.set(clients.get() - 1);
        LinkPermit { of: &self.of, link }
    }
}

impl LinkPermit<'_> {
    /// Completes when newer links of the same peer have taken its place.
    pub(crate) async fn until_replaced(&self) {
        self.link.is_replaced.notified().await;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.of.clients.set(self.of.clients.get() - 1);
    }
}

impl Drop for LinkPermit<'_> {
    fn drop(&mut self) {
        self.of.links.borrow_mut().retain(|link| !Rc::ptr_eq(&link.is_replaced, &self.link.is_replaced));
        self.of.clients.set(self.of.clients.get() + 1);
    }
}

/// A whole answer with an error in it, for where hyper does not write it.
pub(crate) fn raw_answer(status: StatusCode, error: &str) -> Bytes {
    let body = serde_json::to_string(&ErrorAnswer { error: error.into() }).unwrap_or_default();
    let retry = if status == StatusCode::SERVICE_UNAVAILABLE { "retry-after: 1\r\n" } else { "" };
    let text = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{retry}connection: close\r\n\r\n{body}",
        body.len()
    );
    text.into()
}

/// Tells a client whose connection failed why, and closes it so that it can
/// read that.
pub(crate) async fn close(mut stream: Explained, final_answer: Option<Bytes>) {
    let closing = async {
        if let Some(answer) = final_answer {
            stream.0.inner_mut().write_all(&answer).await?;
        }
        let stream = stream.0.inner_mut();
        stream.shutdown().await?;
        let mut discarded = [0; 16 << 10];
        while stream.read(&mut discarded).await? > 0 {}
        io::Result::Ok(())
    };
    // A client that does not read is not waited for.
    let _ = tokio::time::timeout(LINGER, closing).await;
}

/// A connection on which the answers that hyper gives by itself (to what is no
/// HTTP, to a head or a path that is too long) have a body that says what is
/// wrong: hyper's own have none, and it has no way to give it one.
#[derive(Debug)]
pub(crate) struct Explained(TokioIo<TcpStream>, Bytes);

impl Explained {
    pub(crate) fn new(stream: TcpStream) -> Explained {
        Explained(TokioIo::new(stream), Bytes::new())
    }

    /// Writes what is left of an explanation.
    fn poll_explain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.1.is_empty() {
            let written = ready!(Pin::new(self.0.inner_mut()).poll_write(cx, &self.1))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.1 = self.1.slice(written..);
        }
        Poll::Ready(Ok(()))
    }
}

/// What to write instead of an answer that hyper gives by itself. Ours all name
/// the type of their content.
fn explanation(answer: &[u8]) -> Option<Bytes> {
    let status = answer.strip_prefix(b"HTTP/1.1 4")?;
    if answer.windows(13).any(|part| part.eq_ignore_ascii_case(b"content-type:")) {
        return None;
    }
    let (status, error) = match status.get(..2)? {
        b"00" => (StatusCode::BAD_REQUEST, "this is no HTTP/1.1 request"),
        b"14" => {
            (StatusCode::URI_TOO_LONG, "the path is too long; the longest has a key of 1,024 bytes behind it")
        }
        b"31" => (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "the request's head is too large; send at most 100 headers",
        ),
        _ => return None,
    };
    Some(raw_answer(status, error))
}

impl hyper::rt::Read for Explained {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl hyper::rt::Write for Explained {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(explanation) = explanation(bytes) {
            self.1 = explanation;
            return Poll::Ready(Ok(bytes.len()));
        }
        hyper::rt::Write::poll_write(Pin::new(&mut self.0), cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_explain(cx))?;
        hyper::rt::Write::poll_flush(Pin::new(&mut self.0), cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_explain(cx))?;
        hyper::rt::Write::poll_shutdown(Pin::new(&mut self.0), cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // An answer without a body is one part.
        match parts {
            [only] => self.poll_write(cx, only),
            _ => hyper::rt::Write::poll_write_vectored(Pin::new(&mut self.0), cx, parts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn clients_beyond_the_limit_get_spare_places_and_then_none() {
        let connections = Connections::new(2, 3);
        let clients: Vec<Permit> = (0..2).map(|_| connections.admit(HERE).unwrap()).collect();
        assert!(clients.iter().all(|permit| !permit.is_spare()));
        let spare: Vec<Permit> = (0..8).map(|_| connections.admit(HERE).unwrap()).collect();
        assert!(spare.iter().all(Permit::is_spare));
        assert!(connections.admit(HERE).is_none());
        assert_eq!(spare[0].read_limit(Duration::MAX), SPARE_READ_LIMIT);

        let links: Vec<LinkPermit<'_>> =
            (0..).zip(&spare).map(|(number, permit)| permit.as_link(ReplicaId(number % 4))).collect();
        assert!(connections.admit(HERE).unwrap().is_spare(), "links take no client's place");
        drop(links);
        drop((spare, clients));
        assert_eq!((connections.clients.get(), connections.links.borrow().len()), (0, 0));
        assert!(!connections.admit(HERE).unwrap().is_spare());
    }

    #[test]
    fn a_peer_takes_no_place_but_its_own() {
        let connections = Connections::new(10, 3);
        let permits: Vec<Permit> = (0..6).map(|_| connections.admit(HERE).unwrap()).collect();
        let link = |place: usize, peer| permits[place].as_link(ReplicaId(peer));
        let is_replaced = |link: &LinkPermit<'_>| {
            let replaced = std::pin::pin!(link.until_replaced());
            replaced.poll(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
        };
        let (of_another, first, second) = (link(0, 1), link(1, 2), link(2, 2));
        assert!(![&of_another, &first, &second].into_iter().any(is_replaced));
        let third = link(3, 2);
        assert!(is_replaced(&first) && ![&of_another, &second, &third].into_iter().any(is_replaced));
        drop(second);
        let fourth = link(4, 2);
        assert!(!is_replaced(&third), "there was room");
        let fifth = link(5, 2);
        assert!(is_replaced(&third) && ![&of_another, &fourth, &fifth].into_iter().any(is_replaced));
        drop((of_another, first, third, fourth, fifth));
        assert_eq!((connections.clients(), connections.links.borrow().len()), (6, 0));
    }

    #[test]
    fn only_answers_without_content_are_explained() {
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n";
        let answer = String::from_utf8(explanation(bare).unwrap().to_vec()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 431 ") && answer.ends_with('}'), "{answer}");
        assert_eq!(explanation(&raw_answer(StatusCode::BAD_REQUEST, "no")), None);
        assert_eq!(explanation(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), None);
    }
}

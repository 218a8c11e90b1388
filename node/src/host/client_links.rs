//! The links of clients with keys of their own that are open now.

use crate::links::outgoing::{Link, LinkBody};
use bytes::Bytes;
use kernel::ReplicaId;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use tokio::task::AbortHandle;

/// Links that one client may have to this node at a time: as many programs can use its key.
pub(crate) const LINKS_PER_CLIENT: usize = 16;

/// By client.
#[derive(Debug, Default)]
pub(crate) struct ClientLinks {
    open: RefCell<BTreeMap<ReplicaId, Vec<Rc<Link>>>>,
    /// Frames that clients who did not read have lost, on links that are closed.
    dropped: Cell<u64>,
}

/// A link that is open for as long as this lives.
#[derive(Debug)]
pub(crate) struct OpenLink {
    of: Rc<ClientLinks>,
    client: ReplicaId,
    link: Rc<Link>,
    body: LinkBody,
    /// The task that reads what the client sends.
    reading: Option<AbortHandle>,
}

impl ClientLinks {
    /// Opens a link to somebody who says to be this client. It gets no replies before it is
    /// admitted.
    pub(crate) fn open(self: &Rc<ClientLinks>, client: ReplicaId) -> OpenLink {
        let link = Rc::new(Link::of_client());
        let body = link.body();
        OpenLink { of: Rc::clone(self), client, link, body, reading: None }
    }

    /// From now on the link gets the client's replies, unless the client has as many links
    /// as it may. Returns whether it does.
    pub(crate) fn admit(&self, client: ReplicaId, link: &Rc<Link>) -> bool {
        let mut open = self.open.borrow_mut();
        let links = open.entry(client).or_default();
        let has_room = links.len() < LINKS_PER_CLIENT;
        if has_room {
            links.push(Rc::clone(link));
        }
        has_room
    }

    /// Whether the client has any link here.
    pub(crate) fn is_linked(&self, client: ReplicaId) -> bool {
        self.open.borrow().contains_key(&client)
    }

    /// Sends a frame on all links of a client. Returns on how many that is.
    pub(crate) fn send(&self, client: ReplicaId, frame: &Bytes) -> u64 {
        // A link that ends because of this takes itself out later.
        let links = self.open.borrow().get(&client).cloned().unwrap_or_default();
        links.iter().for_each(|link| link.push(frame.clone()));
        links.len() as u64
    }

    /// Frames that were not taken by their clients.
    pub(crate) fn dropped(&self) -> u64 {
        let open = self.open.borrow();
        self.dropped.get() + open.values().flatten().map(|link| link.dropped()).sum::<u64>()
    }
}

impl OpenLink {
    /// The task that reads what the client sends ends with the link.
    pub(crate) fn reads_by(&mut self, task: AbortHandle) {
        self.reading = Some(task);
    }

    /// The link.
    pub(crate) fn link(&self) -> &Rc<Link> {
        &self.link
    }

    /// The stream of what is sent.
    pub(crate) fn body(&mut self) -> &mut LinkBody {
        &mut self.body
    }
}

impl Drop for OpenLink {
    fn drop(&mut self) {
        if let Some(reading) = &self.reading {
            reading.abort();
        }
        let mut open = self.of.open.borrow_mut();
        if let Some(links) = open.get_mut(&self.client) {
            links.retain(|link| !Rc::ptr_eq(link, &self.link));
            if links.is_empty() {
                open.remove(&self.client);
            }
        }
        self.of.dropped.set(self.of.dropped.get() + self.link.dropped());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_so_many_links_and_all_get_what_is_sent() {
        let links = Rc::<ClientLinks>::default();
        let (one, other) = (ReplicaId(4), ReplicaId(5));
        let admitted = |client| {
            let open = links.open(client);
            links.admit(client, open.link()).then_some(open)
        };
        let waiting = links.open(one);
        let open: Vec<OpenLink> = (0..LINKS_PER_CLIENT).map(|_| admitted(one).unwrap()).collect();
        assert!(admitted(one).is_none());
        assert!(admitted(other).is_some(), "and is closed again");
        let frame = Bytes::from_static(b"reply");
        assert_eq!((links.send(one, &frame), links.send(other, &frame)), (LINKS_PER_CLIENT as u64, 0));
        drop(open);
        assert!(!links.is_linked(one) && links.admit(one, waiting.link()));
    }
}

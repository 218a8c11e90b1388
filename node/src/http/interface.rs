//! What the tasks of the HTTP interface share.

use super::own_hosts::OwnHosts;
use super::rates::Rates;
use crate::host::node::Node;
use kernel::Protocol;
use std::cell::Cell;
use std::rc::Rc;

/// The HTTP interface of one node.
pub(super) struct Interface<P: Protocol> {
    pub(super) node: Rc<Node<P>>,
    pub(super) own_hosts: OwnHosts,
    pub(super) rates: Rates,
    /// Bytes of frames that have begun to come in, over all peer links.
    pub(super) unfinished_frames: Cell<usize>,
    /// Bytes of clients' frames that have begun to come in, over all links of clients with keys.
    pub(super) unfinished_client_frames: Cell<usize>,
    /// Bytes of bodies that have begun to come in, over all connections.
    pub(super) unfinished_bodies: Cell<usize>,
}

impl<P: Protocol> Interface<P> {
    pub(super) fn new(node: Rc<Node<P>>, own_hosts: OwnHosts) -> Interface<P> {
        let rates = Rates::new(node.config.requests_per_s);
        Interface {
            node,
            own_hosts,
            rates,
            unfinished_frames: Cell::new(0),
            unfinished_client_frames: Cell::new(0),
            unfinished_bodies: Cell::new(0),
        }
    }
}

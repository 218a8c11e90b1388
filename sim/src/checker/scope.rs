//! What is to be explored.

use kernel::{Bundle, Cluster, Digest, Protocol, ReplicaId, SessionId, Signer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A protocol that can be checked: its parts may go to the checker's thread.
pub trait Checkable:
    Protocol<Message: Send + Sync + 'static, Timer: Send + Sync + 'static> + Send + Sync + 'static
{
}
impl<P> Checkable for P where
    P: Protocol<Message: Send + Sync + 'static, Timer: Send + Sync + 'static> + Send + Sync + 'static
{
}

/// One running replica.
pub struct Node<P> {
    /// Its identity; twins share one.
    pub id: ReplicaId,
    /// The replica, before it was started.
    pub replica: P,
    /// Whether it is one of those that must agree.
    pub honest: bool,
    /// What its gateway hands over, in this order, at the beginning.
    pub submits: Vec<Arc<Bundle>>,
}

/// Short names of digests.
#[derive(Clone, Debug, Default)]
pub struct Names(pub BTreeMap<Digest, String>);

impl Names {
    /// The name of a digest, or its beginning.
    pub fn of(&self, digest: &Digest) -> String {
        self.0.get(digest).cloned().unwrap_or_else(|| format!("{digest:?}"))
    }
}

/// A message that a faulty replica makes up.
pub struct Forged<M> {
    /// The faulty replica that sends it.
    pub from: ReplicaId,
    /// To whom; none for everybody.
    pub to: Option<ReplicaId>,
    /// The message.
    pub message: M,
}

/// All that faulty replicas may send, given the messages that reached them.
pub type Forger<M> = Box<dyn FnMut(&[&M]) -> Vec<Forged<M>> + Send>;

/// A delivery that happens before the search begins: the first message in the
/// node's inbox that fits.
pub struct Opening<M> {
    /// From this replica, if it matters.
    pub from: Option<ReplicaId>,
    /// To which of the running nodes.
    pub node: usize,
    /// Which message.
    pub fits: Box<dyn Fn(&M) -> bool + Send>,
}

/// Runs one step of a replica; tests switch a rule off around it.
pub type Around = Box<dyn Fn(&mut dyn FnMut()) + Send>;

/// A small world: who runs, who forges what, which timers may expire.
pub struct Scope<P: Checkable> {
    /// The cluster.
    pub cluster: Cluster,
    /// The replicas that run. Faulty ones that only forge messages are not among them.
    pub nodes: Vec<Node<P>>,
    /// Identities whose messages are forged.
    pub faulty: BTreeSet<ReplicaId>,
    /// See [`Forger`].
    pub forge: Forger<P::Message>,
    /// How often one timer of one replica may expire.
    pub max_expirations: fn(&P::Timer) -> u8,
    /// How many timers may expire in one run, over all replicas.
    pub expirations: u8,
    /// Messages that the network of this scope always loses.
    pub lost: fn(&P::Message) -> bool,
    /// A message without the composition of the quorums in it; what
    /// [`Search::OneQuorum`](super::Search::OneQuorum) goes by.
    pub abstraction: fn(&P::Message) -> P::Message,
    /// What a vote is counted for; none for what is no vote. Also for
    /// [`Search::OneQuorum`](super::Search::OneQuorum).
    pub topic: fn(&P::Message) -> Option<Digest>,
    /// Requests that exist.
    pub asked: BTreeSet<(SessionId, u64)>,
    /// What batches are called in a sequence diagram.
    pub names: Names,
    /// How a message reads in a sequence diagram.
    pub describe: fn(&P::Message, &Names) -> String,
    /// What has happened before the search begins, in this order.
    pub openings: Vec<Opening<P::Message>>,
    /// See [`Around`].
    pub around: Around,
}

impl<P: Checkable> Scope<P> {
    /// A scope without faulty replicas, timers or losses.
    pub fn new(cluster: Cluster, nodes: Vec<Node<P>>) -> Scope<P> {
        let bundles = nodes.iter().flat_map(|node| &node.submits);
        let asked = bundles.flat_map(|bundle| requests_of(bundle)).collect();
        Scope {
            cluster,
            nodes,
            faulty: BTreeSet::new(),
            forge: Box::new(|_| vec![]),
            max_expirations: |_| 0,
            expirations: 0,
            lost: |_| false,
            abstraction: P::Message::clone,
            topic: |_| None,
            asked,
            names: Names::default(),
            describe: |message, _| kernel::Wire::kind(message).to_owned(),
            openings: Vec::new(),
            around: Box::new(|step| step()),
        }
    }
}

/// The requests of a bundle.
pub fn requests_of(bundle: &Bundle) -> impl Iterator<Item = (SessionId, u64)> {
    bundle.requests().iter().map(|request| (request.session, request.counter))
}

/// The signers of a checked cluster; a forger takes those of its faulty replicas.
pub fn signers(cluster: &Cluster) -> Vec<Signer> {
    kernel::keys::symbolic(KEY_SEED, cluster.n).0
}

pub(crate) const KEY_SEED: u64 = 0;

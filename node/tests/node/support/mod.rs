//! A trivial protocol, and clusters of nodes that run it.

pub(crate) mod http;
pub(crate) mod relay;

use self::http::get_json;
use self::relay::{Message, Relay};
use adversary::{Adversary, Behaviour};
use journal::Durability;
use kernel::keys::{key_pairs, seeded};
use kernel::{Cluster, ClusterId, Digest, Observation, Observer, ReplicaId, Signer};
use node::{DEFAULT_MAX_DATA_BYTES, DEFAULT_READ_LIMIT_US, Encoding, JournalTo, LinkConditions, NodeConfig};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::{JoinHandle, LocalSet};

pub(crate) const SEED: u64 = 11;

/// What a test may want to change.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    pub(crate) encoding: Encoding,
    pub(crate) link: LinkConditions,
    pub(crate) app: apps::AppName,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) max_data_bytes: Option<usize>,
    pub(crate) max_clients: Option<usize>,
    /// Whether the flow's frames have tags, and its messages no signatures.
    pub(crate) has_tags: bool,
    /// Clients with keys.
    pub(crate) clients: u16,
    pub(crate) read_limit_ms: Option<u64>,
    pub(crate) requests_per_s: Option<u32>,
    /// Behaviours by node, at the start.
    pub(crate) faults: Vec<(usize, &'static str)>,
    /// Whether departures and arrivals are counted.
    pub(crate) is_observed: bool,
    /// Nodes that `start` is called for later.
    pub(crate) late: Vec<usize>,
    /// Nodes that keep a journal, in a folder of their own below this one.
    pub(crate) journals: Option<(PathBuf, Vec<usize>)>,
}

pub(crate) struct TestCluster {
    pub(crate) cluster: Cluster,
    pub(crate) addresses: Vec<SocketAddr>,
    listeners: Vec<Option<TcpListener>>,
    setup: Setup,
    /// How often each was observed, by node.
    pub(crate) observations: Rc<RefCell<BTreeMap<(u16, String), u64>>>,
    tasks: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl TestCluster {
    pub(crate) async fn start(n: u16, setup: Setup) -> TestCluster {
        let listeners: Vec<_> = (0..n).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        // A flow has tags because of its name.
        let protocol = if setup.has_tags { "pbft-mac" } else { "relay" };
        let mut cluster = TestCluster {
            cluster: Cluster::new(ClusterId::derive("test", SEED), protocol, n).with_clients(setup.clients),
            addresses: listeners.iter().map(|l| l.local_addr().unwrap()).collect(),
            listeners: listeners.into_iter().map(Some).collect(),
            observations: Rc::default(),
            tasks: Vec::new(),
            setup,
        };
        let late = cluster.setup.late.clone();
        // Nobody listens there until the node is started.
        late.iter().for_each(|id| cluster.listeners[*id] = None);
        let reachable = usize::from(n) - 1 - late.len();
        for id in (0..usize::from(n)).filter(|id| !late.contains(id)) {
            cluster.start_node(id);
        }
        for id in (0..usize::from(n)).filter(|id| !late.contains(id)) {
            cluster.until(id, |status| status["peers_reachable"] == reachable).await;
        }
        cluster
    }

    pub(crate) fn config(&self, id: usize) -> NodeConfig {
        let n = usize::from(self.cluster.n);
        let pairs = key_pairs(SEED, self.cluster.submitters() as u16);
        NodeConfig {
            cluster: self.cluster.clone(),
            id: ReplicaId(id as u16),
            secret: pairs[id].0,
            public_keys: pairs[..n].iter().map(|(_, public)| *public).collect(),
            share_keys: vec![],
            client_keys: pairs[n..].iter().map(|(_, public)| *public).collect(),
            addresses: self.addresses.clone(),
            app: self.setup.app,
            faulty_tolerated: self.cluster.f(),
            batch_max: 16,
            timeout_us: self.setup.timeout_ms.unwrap_or(20_000) * 1000,
            link: self.setup.link.clone(),
            encoding: self.setup.encoding,
            seed: SEED,
            max_data_bytes: self.setup.max_data_bytes.unwrap_or(DEFAULT_MAX_DATA_BYTES),
            max_clients: self.setup.max_clients.unwrap_or(1_000),
            read_limit_us: self.setup.read_limit_ms.map_or(DEFAULT_READ_LIMIT_US, |ms| ms * 1000),
            remind_after_us: self.setup.timeout_ms.unwrap_or(20_000) * 500,
            settle_us: 100_000,
            shares_process: true,
            configuration: configuration(),
            requests_per_s: self.setup.requests_per_s,
            slots_kept: node::SLOTS_KEPT,
            fault_injection: true,
            recording: None,
            journal: self.journal(id),
        }
    }

    fn journal(&self, id: usize) -> Option<JournalTo> {
        let (folder, nodes) = self.setup.journals.as_ref()?;
        let folder = folder.join(format!("node-{id}"));
        let settings = "those of a test".to_owned();
        nodes.contains(&id).then_some(JournalTo { folder, durability: Durability::Fsync, settings })
    }

    /// Ends a node without any notice, as a kill does; returns when it is gone.
    pub(crate) async fn kill_node(&mut self, id: usize) {
        let task = &mut self.tasks[id];
        task.abort();
        let ended = task.await;
        assert!(ended.is_err_and(|error| error.is_cancelled()));
    }

    /// Starts it again, on its port.
    pub(crate) fn start_again(&mut self, id: usize) {
        self.start_node(id);
        self.tasks.swap_remove(id);
    }

    /// The same; returns when it has found all others.
    pub(crate) async fn restart_node(&mut self, id: usize) {
        self.start_again(id);
        let reachable = usize::from(self.cluster.n) - 1;
        self.until(id, |status| status["peers_reachable"] == reachable).await;
    }

    pub(crate) fn start_node(&mut self, id: usize) {
        let faults: Vec<Behaviour> = self
            .setup
            .faults
            .iter()
            .filter(|(node, _)| *node == id)
            .map(|(_, fault)| fault.parse().unwrap())
            .collect();
        let replica = Adversary::new(Relay::default(), faults);
        let listener = self.listeners[id].take();
        let listener = listener.unwrap_or_else(|| TcpListener::bind(self.addresses[id]).unwrap());
        let observations = Rc::clone(&self.observations);
        let note = move |_at: u64, node: ReplicaId, observation: Observation<'_, Message>| {
            let what = match observation {
                Observation::Departed { content, arrivals_ns: None, .. } => format!("out {}", content.kind()),
                Observation::Departed { content, .. } => format!("lost {}", content.kind()),
                Observation::Arrived { content, .. } => format!("in {}", content.kind()),
                Observation::Mark(_) | Observation::Rejection(_) => return,
            };
            *observations.borrow_mut().entry((node.0, what)).or_default() += 1;
        };
        let observer: Option<Observer<Message>> = self.setup.is_observed.then(|| Box::new(note) as _);
        let node =
            node::run_observed(self.config(id), replica, listener, observer, || {}, std::future::pending());
        self.tasks.push(tokio::task::spawn_local(node));
    }

    /// Starts a second node in the place of this one, on another port.
    pub(crate) async fn second_of(&self, id: usize) -> anyhow::Result<()> {
        let (replica, listener) =
            (Adversary::new(Relay::default(), vec![]), TcpListener::bind("127.0.0.1:0").unwrap());
        node::run(self.config(id), replica, listener, || {}, std::future::pending()).await
    }

    /// The signer of a node, or of a client.
    pub(crate) fn signer(&self, id: usize) -> Signer {
        seeded(SEED, self.cluster.submitters() as u16).0.swap_remove(id)
    }

    pub(crate) async fn status(&self, id: usize) -> Value {
        get_json(self.addresses[id], "/status").await
    }

    /// Waits until a node's status is as wanted.
    pub(crate) async fn until(&self, id: usize, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..2_000 {
            let status = self.status(id).await;
            if wanted(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("node {id} never got there: {}", self.status(id).await);
    }

    /// Every task of every node is still running.
    pub(crate) fn assert_unharmed(&self) {
        assert!(self.tasks.iter().all(|task| !task.is_finished()));
    }
}

/// What all nodes of a test are told alike.
pub(crate) fn configuration() -> Digest {
    Digest::of(b"the configuration of a test")
}

/// Runs a test where nodes can run.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

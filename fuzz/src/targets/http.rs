//! What comes by HTTP: whole connections to a node, and bodies.

use crate::choices::Choices;
use crate::{Limit, Target};
use adversary::Adversary;
use apps::{AppName, Service};
use kernel::keys::key_pairs;
use kernel::{Cluster, ClusterId, Digest, Falsify as _, ReplicaId};
use node::api::{self, bank, kv, set};
use node::{Encoding, LinkConditions, NodeConfig};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::net::{SocketAddr, TcpListener};
use std::sync::Once;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;
use tokio::time::timeout;

/// Connections to a node.
pub static CONNECTIONS: Target = Target {
    name: "connections",
    reads: "the bytes of a connection to a node: HTTP/1.1 or HTTP/2, heads, query strings and bodies of every resource",
    run: connections,
    limit: Limit { bytes: 32 << 20, per_byte: 1024 },
    tries: 200,
};

/// The first byte says which application the node runs. True if a request was answered as asked.
fn connections(input: &[u8]) -> bool {
    thread_local! {
        /// A runtime cannot end with its thread: it needs what ends then, too.
        static NODES: RefCell<ManuallyDrop<Option<Nodes>>> = const { RefCell::new(ManuallyDrop::new(None)) };
    }
    let mut choices = Choices::new(input);
    let app = match choices.byte() {
        b'k' => 0,
        b'b' => 1,
        b's' => 3,
        _ => 2,
    };
    NODES.with_borrow_mut(|kept| {
        let mut nodes = kept.take().unwrap_or_else(Nodes::start);
        let answer = nodes.answer(app, choices.rest());
        assert!(!PANICKED.get(), "a task of the node has panicked");
        // What was put into them must not fill the memory.
        if nodes.asked < Nodes::MOST_ASKED {
            **kept = Some(nodes);
        }
        answer.windows(OK.len()).filter(|part| part == &OK).count() > 1
    })
}

/// How an answer begins. One is that to [`LAST_REQUEST`].
const OK: &[u8] = b"HTTP/1.1 200";
/// A name of every node here.
const HOST: &str = "127.0.0.1";
/// What ends a connection, if the input has left it open and ready for a request.
const LAST_REQUEST: &[u8] = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";

thread_local! {
    /// Whether anything has panicked on this thread: the tasks of a node end alone.
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICKED.set(true);
            before(info);
        }));
    });
}

/// Nodes that are clusters of their own, one for each application, on this thread.
struct Nodes {
    runtime: Runtime,
    tasks: LocalSet,
    addresses: Vec<SocketAddr>,
    asked: usize,
}

impl Nodes {
    const MOST_ASKED: usize = 5_000;
    /// For an answer to begin; an input whose request is not whole has none.
    const ANSWER_LIMIT: Duration = Duration::from_millis(4);
    /// For a node to close what its client has ended.
    const END_LIMIT: Duration = Duration::from_secs(20);

    fn start() -> Nodes {
        note_panics();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let tasks = LocalSet::new();
        let apps = [AppName::Kv, AppName::Bank, AppName::Opaque, AppName::Set];
        let addresses = runtime.block_on(tasks.run_until(async { apps.map(start_node).to_vec() }));
        Nodes { runtime, tasks, addresses, asked: 0 }
    }

    /// Sends an input, and reads all that is answered.
    fn answer(&mut self, app: usize, input: &[u8]) -> Vec<u8> {
        self.asked += 1;
        let exchange = exchange(self.addresses[app], input);
        let answered = self.runtime.block_on(self.tasks.run_until(exchange));
        answered.expect("a node answers, or closes the connection")
    }
}

async fn exchange(address: SocketAddr, input: &[u8]) -> std::io::Result<Vec<u8>> {
    let socket = TcpSocket::new_v4()?;
    // Else the ports of this machine would be used up soon.
    socket.set_zero_linger()?;
    let mut stream = socket.connect(address).await?;
    let (mut reading, mut writing) = stream.split();
    // A node that has heard enough reads no more.
    let mut all = input.to_vec();
    all.extend_from_slice(LAST_REQUEST);
    let _ = timeout(Nodes::ANSWER_LIMIT, writing.write_all(&all)).await;
    let mut answer = Vec::new();
    let mut piece = vec![0; 64 << 10];
    let mut limit = Nodes::ANSWER_LIMIT;
    loop {
        match timeout(limit, reading.read(&mut piece)).await {
            Ok(Ok(0) | Err(_)) => return Ok(answer),
            Ok(Ok(bytes)) => answer.extend_from_slice(&piece[..bytes]),
            Err(_) if limit == Nodes::END_LIMIT => return Err(std::io::ErrorKind::TimedOut.into()),
            Err(_) => {
                limit = Nodes::END_LIMIT;
                let _ = writing.shutdown().await;
            }
        }
    }
}

/// Starts a node that decides alone. Returns where it listens.
fn start_node(app: AppName) -> SocketAddr {
    let listener = TcpListener::bind((HOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let replica = pbft::Replica::new(pbft::Config::for_cluster(1), Service::new(app));
    let node =
        node::run(config(app), Adversary::new(replica, vec![]), listener, || {}, std::future::pending());
    tokio::task::spawn_local(async { node.await.expect("the configuration fits together") });
    address
}

fn config(app: AppName) -> NodeConfig {
    let keys = key_pairs(1, 2);
    NodeConfig {
        cluster: Cluster::new(ClusterId::derive("fuzz", 1), "pbft", 1).with_clients(1),
        id: ReplicaId(0),
        secret: keys[0].0,
        public_keys: vec![keys[0].1],
        client_keys: vec![keys[1].1],
        share_keys: vec![],
        // The port that need not be named: inputs do not know the real one.
        addresses: vec![SocketAddr::new(HOST.parse().expect("it is an address"), 80)],
        app,
        faulty_tolerated: 0,
        batch_max: 16,
        timeout_us: 1_000_000,
        link: LinkConditions::default(),
        encoding: Encoding::Binary,
        seed: 1,
        max_data_bytes: node::DEFAULT_MAX_DATA_BYTES,
        max_clients: 100,
        read_limit_us: 1_000_000,
        remind_after_us: 500_000,
        settle_us: 1_000,
        shares_process: true,
        configuration: Digest::of(b"fuzz"),
        requests_per_s: None,
        slots_kept: 64,
        // A node that was made faulty would answer the next inputs otherwise.
        fault_injection: false,
        recording: None,
        journal: None,
    }
}

/// Bodies of requests and answers.
pub static BODIES: Target = Target {
    name: "bodies",
    reads: "bodies that a node is posted, and answers that the harness, its clients and other nodes read, all as JSON",
    run: bodies,
    limit: Limit { bytes: 4 << 20, per_byte: 256 },
    tries: 3_000,
};

/// The first byte says what is expected.
fn bodies(input: &[u8]) -> bool {
    const KINDS: [fn(&[u8]) -> bool; 30] = [
        |body| is::<kv::Put<'_>>(body),
        |body| is::<kv::CompareAndSwap<'_>>(body),
        |body| is::<bank::Open<'_>>(body),
        |body| is::<bank::Payment<'_>>(body),
        |body| is::<bank::Transfer<'_>>(body),
        |body| is::<api::Data<'_>>(body),
        is_faults,
        |body| is::<LinkConditions>(body),
        |body| is::<api::Decided<'_>>(body),
        |body| is::<api::Undecided<'_>>(body),
        |body| is::<api::StatusReport>(body),
        |body| is::<api::LogReport>(body),
        |body| is::<api::StateReport>(body),
        |body| is::<api::Readiness>(body),
        |body| is::<api::ErrorAnswer<'_>>(body),
        |body| is::<kv::Value<'_>>(body),
        |body| is::<kv::Stored<'_>>(body),
        |body| is::<kv::Deleted<'_>>(body),
        |body| is::<kv::Compared<'_>>(body),
        |body| is::<kv::Listed>(body),
        |body| is::<kv::LocalValue<'_>>(body),
        |body| is::<bank::Balance<'_>>(body),
        |body| is::<api::Refused<'_>>(body),
        |body| is::<set::Add<'_>>(body),
        |body| is::<set::Added<'_>>(body),
        |body| is::<set::Removed<'_>>(body),
        |body| is::<set::Contains<'_>>(body),
        |body| is::<set::Members>(body),
        |body| is::<set::LocalContains<'_>>(body),
        |body| is::<set::LocalMembers>(body),
    ];
    let Some((kind, body)) = input.split_first() else { return false };
    KINDS[usize::from(*kind) % KINDS.len()](body)
}

fn is<'a, T: Deserialize<'a> + Serialize>(body: &'a [u8]) -> bool {
    match serde_json::from_slice::<T>(body) {
        Ok(value) => serde_json::to_vec(&value).is_ok(),
        Err(error) => error.to_string().is_empty(),
    }
}

fn is_faults(body: &[u8]) -> bool {
    let Ok(api::Faults { faults }) = serde_json::from_slice(body) else { return false };
    faults.iter().for_each(|fault| {
        let _ = fault.problem(4, pbft::Message::KINDS);
    });
    true
}

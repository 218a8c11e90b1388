//! Clients with keys of their own at real nodes that run PBFT and the key-value store.

use std::cell::RefCell;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use adversary::{Adversary, Behaviour};
use apps::{AppName, KvOperation, KvOutput, Service};
use client::driver::{Client, Decision, Failure, Setup};
use client::link::{
    FrameReader, FromClient, FromNode, Introduction, MAX_CLIENT_FRAME_BYTES, MAX_NODE_FRAME_BYTES, Nonce,
    decode, encode,
};
use harness::history::{Answer, Call, Operation, Returned, judge};
use kernel::keys::{Keyring, PublicKey, key_pairs};
use kernel::weakening::{Weakening, assert_detected};
use kernel::{Bundle, Cluster, ClusterId, Digest, ReplicaId, Request, SessionId, Signer};
use node::{Encoding, LinkConditions, NodeConfig};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet, LocalSet};

const N: u16 = 4;
const SEED: u64 = 7;
/// As long as nothing that is right takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Nodes {
    cluster: Cluster,
    addresses: Vec<SocketAddr>,
    nodes: RefCell<Vec<JoinHandle<anyhow::Result<()>>>>,
}

/// Four nodes and two clients; each node with the behaviours named for it.
fn start(faults: &[(u16, &str)]) -> Nodes {
    let cluster = Cluster::new(ClusterId::derive("client", SEED), "pbft", N).with_clients(2);
    let listeners: Vec<_> = (0..N).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<_> = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
    let pairs = key_pairs(SEED, N + 2);
    let public: Vec<_> = pairs.iter().map(|(_, public)| *public).collect();
    let node = |(id, listener): (u16, TcpListener)| {
        let config = NodeConfig {
            cluster: cluster.clone(),
            id: ReplicaId(id),
            secret: pairs[usize::from(id)].0,
            public_keys: public[..4].to_vec(),
            share_keys: vec![],
            client_keys: public[4..].to_vec(),
            addresses: addresses.clone(),
            app: AppName::Kv,
            faulty_tolerated: 1,
            batch_max: 64,
            timeout_us: 20_000_000,
            remind_after_us: 1_000_000,
            link: LinkConditions::default(),
            encoding: Encoding::Binary,
            seed: SEED,
            max_data_bytes: 1 << 20,
            max_clients: 100,
            read_limit_us: 60_000_000,
            requests_per_s: None,
            settle_us: 100_000,
            shares_process: true,
            slots_kept: node::SLOTS_KEPT,
            fault_injection: true,
            recording: None,
            journal: None,
            configuration: Digest::of(b"the configuration of a test"),
        };
        let behaviours: Vec<Behaviour> =
            faults.iter().filter(|(node, _)| *node == id).map(|(_, fault)| fault.parse().unwrap()).collect();
        let replica = pbft::Replica::new(pbft::Config::for_cluster(N), Service::new(AppName::Kv));
        let replica = Adversary::new(replica, behaviours);
        tokio::task::spawn_local(node::run(config, replica, listener, || {}, std::future::pending()))
    };
    let nodes = (0..).zip(listeners).map(node).collect();
    Nodes { addresses, nodes: RefCell::new(nodes), cluster }
}

impl Nodes {
    fn setup(&self, client: u16) -> Setup {
        let pairs = key_pairs(SEED, N + 2);
        let public = pairs[..4].iter().map(|(_, public)| *public).collect();
        let (secret, _) = pairs[usize::from(client)];
        let mut setup =
            Setup::new(self.cluster.clone(), ReplicaId(client), secret, public, self.addresses.clone());
        setup.timeout = PATIENCE;
        setup
    }

    async fn client(&self, id: u16) -> Client {
        let client = Client::connect(self.setup(id)).unwrap();
        let connected = async {
            while client.seen().await.unwrap().connected < usize::from(N) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, connected).await.expect("all nodes take the link");
        client
    }

    /// Of the nodes and the clients.
    fn public_keys(&self) -> Vec<PublicKey> {
        key_pairs(SEED, N + 2).iter().map(|(_, public)| *public).collect()
    }

    fn kill(&self, id: usize) {
        self.nodes.borrow()[id].abort();
    }

    async fn status(&self, id: usize) -> Value {
        let mut stream = TcpStream::connect(self.addresses[id]).await.unwrap();
        let head =
            format!("GET /status HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.addresses[id]);
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

async fn put(client: &Client, key: &str, value: &str) -> Decision {
    let operation = KvOperation::Put { key: key.to_owned(), value: value.to_owned() };
    client.submit(operation.encode()).await.unwrap()
}

async fn get(client: &Client, key: &str) -> Option<String> {
    let operation = KvOperation::Get { key: key.to_owned() };
    let decision = client.submit(operation.encode()).await.unwrap();
    match KvOutput::decode(&decision.result) {
        Some(KvOutput::Value(value)) => value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_one_client_puts_another_gets_with_proof() {
    run(async {
        let nodes = start(&[]);
        let (one, other) = (nodes.client(4).await, nodes.client(5).await);
        let decision = put(&one, "a", "1").await;
        assert_eq!(get(&other, "a").await.as_deref(), Some("1"));
        // f+1 replicas have signed it, and this can be checked by anybody.
        let keyring = Keyring::new(&nodes.public_keys()).unwrap();
        let proven = decision.evidence.check(&nodes.cluster, &keyring, 2).unwrap();
        assert_eq!((proven.result, proven.seq), (decision.result, decision.seq));
        let asked = KvOperation::decode(&proven.operation).unwrap();
        assert_eq!(asked, KvOperation::Put { key: "a".to_owned(), value: "1".to_owned() });
        assert_eq!(proven.replicas.len(), 2);
        // Many at once.
        let puts = (0..200).map(|k| {
            let one = one.clone();
            tokio::spawn(async move { put(&one, &format!("k{k}"), "v").await.seq })
        });
        for put in puts.collect::<Vec<_>>() {
            put.await.unwrap();
        }
        assert_eq!(get(&other, "k199").await.as_deref(), Some("v"));
        assert_eq!(one.seen().await.unwrap().refused, 0);
    });
}

#[test]
fn a_node_that_lies_in_its_replies_is_outvoted() {
    run(async {
        for liar in 0..N {
            let nodes = start(&[(liar, "malicious")]);
            let client = nodes.client(4).await;
            put(&client, "a", "1").await;
            assert_eq!(get(&client, "a").await.as_deref(), Some("1"), "node {liar} lies");
        }
    });
}

#[test]
fn the_first_reply_is_a_lie_and_not_believed() {
    run(async {
        let late = "delay=300ms[kind=reply]";
        let nodes = start(&[(0, late), (1, late), (2, late), (3, "malicious")]);
        let client = nodes.client(4).await;
        put(&client, "a", "1").await;
        assert_eq!(get(&client, "a").await.as_deref(), Some("1"));
    });
}

/// What a client asks in its turn: about two keys, which all clients share.
fn call(client: u32, turn: u32) -> (String, Call) {
    let value = |turn| format!("{client}.{turn}");
    let call = match (client + turn) % 4 {
        0 | 1 => Call::Get,
        2 => Call::Put { value: value(turn) },
        _ => Call::CompareAndSwap { expected: Some(value(turn - turn.min(1))), new: Some(value(turn)) },
    };
    (format!("key {}", turn % 2), call)
}

fn operation(key: &str, call: &Call) -> KvOperation {
    let key = key.to_owned();
    match call.clone() {
        Call::Get => KvOperation::Get { key },
        Call::Put { value } => KvOperation::Put { key, value },
        Call::Delete => KvOperation::Delete { key },
        Call::CompareAndSwap { expected, new } => KvOperation::CompareAndSwap { key, expected, new },
    }
}

fn answer(output: Option<KvOutput>) -> Answer {
    match output {
        Some(KvOutput::Value(value)) => Answer::Value { value },
        Some(KvOutput::Stored { created }) => Answer::Stored { created },
        Some(KvOutput::Compared { swapped, current }) => Answer::Compared { swapped, current },
        other => panic!("no honest node says {other:?}"),
    }
}

#[test]
fn what_clients_with_keys_see_beside_a_lying_node_is_linearizable() {
    run(async {
        for liar in [0, 3] {
            let nodes = start(&[(liar, "malicious")]);
            let began = Instant::now();
            let now_ns = move || began.elapsed().as_nanos() as u64;
            let mut running = JoinSet::new();
            for client in 0..8 {
                let keyed = nodes.client(4 + client as u16 % 2).await;
                running.spawn(async move {
                    let mut seen = Vec::new();
                    for turn in 0..40 {
                        let (key, call) = call(client, turn);
                        let called_ns = now_ns();
                        let decision = keyed.submit(operation(&key, &call).encode()).await.unwrap();
                        let answer = answer(KvOutput::decode(&decision.result));
                        let returned = Some(Returned { at_ns: now_ns(), answer });
                        seen.push(Operation { client, node: liar, key, call, called_ns, returned });
                    }
                    seen
                });
            }
            let history = running.join_all().await.concat();
            let judged = judge(&history, PATIENCE);
            assert!(judged.holds() && judged.operations == 320 && judged.unanswered == 0, "{judged:?}");
            // A lie about one answer would have been noticed.
            let mut changed = history;
            let read = changed.iter().position(|operation| operation.call == Call::Get).unwrap();
            changed[read].returned.as_mut().unwrap().answer = Answer::Value { value: Some("lie".to_owned()) };
            assert!(!judge(&changed, PATIENCE).holds());
        }
    });
}

#[test]
fn what_too_few_have_signed_is_no_result() {
    run(async {
        let nodes = start(&[(1, "offline"), (2, "offline"), (3, "malicious")]);
        let mut setup = nodes.setup(4);
        setup.timeout = Duration::from_millis(500);
        let client = Client::connect(setup).unwrap();
        let operation = KvOperation::Put { key: "a".into(), value: "1".into() }.encode();
        let failure = client.submit(operation).await.unwrap_err();
        assert!(matches!(failure, Failure::TimedOut { replies: 0, needed: 2, n: 4, .. }), "{failure}");
        assert!(failure.to_string().contains("offline by fault injection"), "{failure}");
    });
}

#[test]
fn this_check_fails_without_its_rule() {
    assert_detected(&[(Weakening::FewerRepliesAccepted, the_first_reply_is_a_lie_and_not_believed)]);
}

#[test]
fn the_commander_is_killed_and_the_client_carries_on() {
    run(async {
        let nodes = start(&[]);
        let client = nodes.client(4).await;
        put(&client, "a", "1").await;
        nodes.kill(0);
        put(&client, "b", "2").await;
        assert_eq!(get(&client, "a").await.as_deref(), Some("1"));
        assert_eq!(get(&client, "b").await.as_deref(), Some("2"));
        let seen = client.seen().await.unwrap();
        assert!(seen.view.0 >= 1 && seen.connected < usize::from(N), "{seen:?}");
    });
}

async fn write_chunk(stream: &mut TcpStream, bytes: &[u8]) {
    let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    stream.write_all(&chunk).await.unwrap();
}

/// The first frame of a node's answer, which is the first chunk.
async fn challenge(stream: &mut TcpStream) -> Nonce {
    let mut came = Vec::new();
    loop {
        assert!(stream.read_buf(&mut came).await.unwrap() > 0, "{}", String::from_utf8_lossy(&came));
        let body = came.windows(4).position(|end| end == b"\r\n\r\n").map(|end| end + 4);
        let chunk =
            body.and_then(|body| Some(body + 2 + came[body..].windows(2).position(|end| end == b"\r\n")?));
        let mut reader = FrameReader::new(MAX_NODE_FRAME_BYTES);
        reader.feed(chunk.map_or(&[], |chunk| &came[chunk..]));
        if let Some(payload) = reader.next_frame().unwrap() {
            match decode::<FromNode>(payload).unwrap() {
                FromNode::Challenge(nonce) => return nonce,
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_bundle_that_is_replayed_or_doubled_is_executed_once() {
    run(async {
        let nodes = start(&[]);
        let client = nodes.client(4).await;
        let setup = nodes.setup(5);
        // By hand, so that it can be sent again: compare-and-swap shows how often it happened.
        let request = |counter: u64, expected: Option<&str>, new: &str| Request {
            session: SessionId { gateway: ReplicaId(5), number: 1 },
            counter,
            operation: KvOperation::CompareAndSwap {
                key: "a".into(),
                expected: expected.map(str::to_owned),
                new: Some(new.to_owned()),
            }
            .encode(),
        };
        let signer = Signer::new(ReplicaId(5), &setup.secret);
        let sign = |request: Request| {
            let bundle = Bundle::sign(&nodes.cluster, &signer, vec![request]);
            encode(&FromClient::Requests(&bundle), MAX_CLIENT_FRAME_BYTES).unwrap()
        };
        let first = sign(request(1, None, "x"));
        let doubled = sign(request(1, Some("x"), "doubled"));
        let second = sign(request(2, Some("x"), "y"));
        let back = sign(request(1, Some("y"), "replayed"));
        let mut links = Vec::new();
        for address in &nodes.addresses {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let head = format!(
                "POST /client HTTP/1.1\r\nhost: {address}\r\ntransfer-encoding: chunked\r\nx-cluster: {}\r\n\
                 x-client: 5\r\ncontent-type: application/octet-stream\r\n\r\n",
                nodes.cluster.id
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let nonce = challenge(&mut stream).await;
            let (cluster, node) = (nodes.cluster.id, ReplicaId(links.len() as u16));
            let shown = Introduction { cluster, node, client: ReplicaId(5), nonce }.sign(&signer);
            let frame = FromClient::<Bundle>::Introduction(shown);
            write_chunk(&mut stream, &encode(&frame, MAX_CLIENT_FRAME_BYTES).unwrap()).await;
            links.push(stream);
        }
        let send = async |links: &mut Vec<TcpStream>, frames: &[&Vec<u8>]| {
            for link in links {
                for bytes in frames {
                    write_chunk(link, bytes).await;
                }
            }
        };
        let until = async |value: &str| {
            let arrived = async {
                while get(&client, "a").await.as_deref() != Some(value) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(PATIENCE, arrived).await.unwrap_or_else(|_| panic!("never {value}"));
        };
        send(&mut links, &[&first, &first]).await;
        until("x").await;
        send(&mut links, &[&doubled, &first]).await;
        send(&mut links, &[&second]).await;
        until("y").await;
        send(&mut links, &[&back, &first, &doubled, &second]).await;
        put(&client, "b", "after").await;
        assert_eq!(get(&client, "a").await.as_deref(), Some("y"));
        for node in 0..4 {
            assert_eq!(nodes.status(node).await["counters"]["rejected"].get("bad signature"), None);
        }
    });
}

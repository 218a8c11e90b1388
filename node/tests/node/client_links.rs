//! Links of clients with keys of their own.

use crate::support::http::{Answer, ask, send};
use crate::support::{Setup, TestCluster, run};
use client::link::{
    FrameReader, FromClient, FromNode, Introduction, MAX_CLIENT_FRAME_BYTES, MAX_NODE_FRAME_BYTES, decode,
    encode,
};
use kernel::weakening::{Weakening, assert_detected};
use kernel::{Admission, Bundle, Keyring, Operation, ReplicaId, ReplyBundle, Request, SessionId, Signature};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const CLIENT: u16 = 4;

fn setup() -> Setup {
    Setup { clients: 2, ..Setup::default() }
}

fn headers(cluster: &TestCluster, client: &str) -> String {
    format!(
        "x-cluster: {}\r\nx-client: {client}\r\ncontent-type: application/octet-stream\r\n",
        cluster.cluster.id
    )
}

/// A bundle of one request in a session of this client's, signed by whom it says.
fn bundle(cluster: &TestCluster, client: u16, signer: u16, number: u64, text: &str) -> Vec<u8> {
    let session = SessionId { gateway: ReplicaId(client), number };
    let request = Request { session, counter: 1, operation: Operation::new(text.as_bytes()) };
    let mut bundle = Bundle::sign(&cluster.cluster, &cluster.signer(usize::from(signer)), vec![request]);
    if signer != client {
        let mut json = serde_json::to_value(&bundle).unwrap();
        json["gateway"] = client.into();
        bundle = serde_json::from_value(json).unwrap();
    }
    encode(&FromClient::Requests(&bundle), MAX_CLIENT_FRAME_BYTES).unwrap()
}

fn shown(signature: Signature) -> Vec<u8> {
    encode(&FromClient::<Bundle>::Introduction(signature), MAX_CLIENT_FRAME_BYTES).unwrap()
}

/// A link to a node.
struct Link {
    stream: TcpStream,
    /// What came, from the answer's head on.
    came: Vec<u8>,
    reader: FrameReader,
}

impl Link {
    async fn open(cluster: &TestCluster, node: usize) -> Link {
        Link::introduced(cluster, node, CLIENT, CLIENT).await
    }

    async fn open_as(cluster: &TestCluster, node: usize, client: u16) -> Link {
        let address = cluster.addresses[node];
        let head = format!(
            "POST /client HTTP/1.1\r\nhost: {address}\r\ntransfer-encoding: chunked\r\n{}\r\n",
            headers(cluster, &client.to_string())
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut link = Link { stream, came: Vec::new(), reader: FrameReader::new(MAX_NODE_FRAME_BYTES) };
        while !link.came.windows(4).any(|end| end == b"\r\n\r\n") {
            assert!(link.read().await, "no answer: {:?}", String::from_utf8_lossy(&link.came));
        }
        let end = link.came.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(link.came.drain(..end).collect()).unwrap().to_lowercase();
        assert!(head.starts_with("http/1.1 200") && head.contains("chunked"), "{head}");
        link
    }

    /// Opens a link and shows that it is this client's, with the key of `signer`.
    async fn introduced(cluster: &TestCluster, node: usize, client: u16, signer: u16) -> Link {
        let mut link = Link::open_as(cluster, node, client).await;
        let Some(FromNode::Challenge(nonce)) = link.next().await else { panic!("no challenge") };
        let introduction = Introduction {
            cluster: cluster.cluster.id,
            node: ReplicaId(node as u16),
            client: ReplicaId(client),
            nonce,
        };
        link.send(&shown(introduction.sign(&cluster.signer(signer.into())))).await;
        link
    }

    /// Why the link has ended.
    async fn end(&mut self) -> String {
        match self.next().await {
            Some(FromNode::Ended(why)) => why,
            other => panic!("it goes on: {other:?}"),
        }
    }

    async fn read(&mut self) -> bool {
        let limit = Duration::from_secs(20);
        let read = tokio::time::timeout(limit, self.stream.read_buf(&mut self.came)).await;
        read.expect("something within 20 s").is_ok_and(|bytes| bytes > 0)
    }

    async fn send(&mut self, bytes: &[u8]) {
        let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        self.stream.write_all(&chunk).await.unwrap();
    }

    /// The next frame; none when the link has ended.
    async fn next(&mut self) -> Option<FromNode> {
        loop {
            if let Some(payload) = self.reader.next_frame().unwrap() {
                return Some(decode(payload).unwrap());
            }
            // One chunk: its length in hexadecimal, its bytes.
            let line = self.came.windows(2).position(|end| end == b"\r\n");
            let length = line.map(|line| {
                usize::from_str_radix(std::str::from_utf8(&self.came[..line]).unwrap(), 16).unwrap()
            });
            match (line, length) {
                (Some(_), Some(0)) => return None,
                (Some(line), Some(length)) if self.came.len() >= line + 2 + length + 2 => {
                    self.reader.feed(&self.came[line + 2..line + 2 + length]);
                    self.came.drain(..line + 2 + length + 2);
                }
                _ if self.read().await => {}
                _ => return None,
            }
        }
    }

    async fn reply(&mut self) -> ReplyBundle {
        match self.next().await {
            Some(FromNode::Reply(reply)) => reply,
            other => panic!("no reply: {other:?}"),
        }
    }
}

#[test]
fn every_node_replies_on_its_own_link_to_what_one_was_asked() {
    run(async {
        let cluster = TestCluster::start(4, setup()).await;
        let mut links = Vec::new();
        for node in 0..4 {
            links.push(Link::open(&cluster, node).await);
        }
        links[2].send(&bundle(&cluster, CLIENT, CLIENT, 7, "pay")).await;
        let keys = cluster.config(0).public_keys;
        let mut admission = Admission::new(cluster.cluster.clone(), Keyring::new(&keys).unwrap());
        for (node, link) in (0..).zip(&mut links) {
            let reply = link.reply().await;
            assert_eq!((reply.replica, reply.gateway), (ReplicaId(node), ReplicaId(CLIENT)));
            assert!(admission.check(&reply.claim(&cluster.cluster)));
            let [result] = &reply.replies[..] else { panic!("{reply:?}") };
            assert_eq!((result.session.number, &*result.result.0), (7, b"pay".as_slice()));
        }
        let status = cluster.status(0).await;
        assert_eq!(status["counters"]["rejected"], json!({}));
        // Two in one write, in one frame's time, and on a link that has seen others.
        let two =
            [bundle(&cluster, CLIENT, CLIENT, 8, "a"), bundle(&cluster, CLIENT, CLIENT, 9, "b")].concat();
        links[0].send(&two).await;
        let results =
            [links[3].reply().await, links[3].reply().await].map(|bundle| bundle.replies[0].session.number);
        assert_eq!(results, [8, 9]);
        // A link that is gone is no trouble.
        drop(links);
        assert_eq!(ask(cluster.addresses[1], "b").await.status, 200);
        cluster.assert_unharmed();
    });
}

#[test]
fn what_is_not_the_client_s_own_is_a_counted_drop() {
    run(async {
        let cluster = TestCluster::start(4, setup()).await;
        let mut link = Link::open(&cluster, 0).await;
        let badly_signed = bundle(&cluster, CLIENT, 5, 1, "steal");
        let another_s = bundle(&cluster, 5, 5, 1, "smuggle");
        let a_node_s = bundle(&cluster, 1, 1, 1, "smuggle");
        for frame in [&badly_signed, &another_s, &a_node_s] {
            link.send(frame).await;
        }
        let counted = json!({ "bad signature": 1, "author not entitled": 2 });
        let status = cluster.until(0, |status| status["counters"]["rejected"] == counted).await;
        assert_eq!(
            (&status["last_executed"], &status["counters"]["messages_in"]["request"]),
            (&json!(0), &json!(3))
        );
        // The link goes on.
        link.send(&bundle(&cluster, CLIENT, CLIENT, 2, "pay")).await;
        assert_eq!(link.reply().await.replies[0].session.number, 2);
        cluster.assert_unharmed();
    });
}

#[test]
fn who_is_no_client_is_refused_and_told_why() {
    run(async {
        let cluster = TestCluster::start(4, setup()).await;
        let node = cluster.addresses[0];
        let open = async |headers: &str| -> Answer { send(node, "POST /client", headers, b"").await };
        for id in ["3", "6", "me", "70000", ""] {
            let answer = open(&headers(&cluster, id)).await;
            let error = answer.json()["error"].as_str().unwrap().to_owned();
            assert!(answer.status == 400 && error.contains("a client's id, 4 to 5"), "{id}: {error}");
        }
        let foreign = headers(&cluster, "4").replace(&cluster.cluster.id.to_string(), &"00".repeat(16));
        let answer = open(&foreign).await;
        assert!(answer.status == 400 && answer.body.contains("x-cluster"));
        assert!(!answer.body.contains(&cluster.cluster.id.to_string()), "{}", answer.body);
        let answer = open(&headers(&cluster, "4").replace("octet-stream", "json")).await;
        assert!(answer.status == 400 && answer.body.contains("application/octet-stream"));
        let counted = json!({ "other cluster": 1, "no client": 5, "unknown encoding": 1 });
        assert_eq!(cluster.status(0).await["counters"]["rejected"], counted);
        let answer = send(node, "GET /client", "", b"").await;
        assert!(answer.status == 405 && answer.body.contains("POST"), "{}", answer.body);

        let without = TestCluster::start(1, Setup::default()).await;
        let answer = send(without.addresses[0], "POST /client", &headers(&without, "1"), b"").await;
        assert!(answer.status == 400 && answer.body.contains("no clients with keys"), "{}", answer.body);
        cluster.assert_unharmed();
    });
}

#[test]
fn a_link_with_garbage_or_too_large_a_frame_ends_and_says_why() {
    run(async {
        let cluster = TestCluster::start(2, setup()).await;
        let garbage = vec![3, 0, 0, 0, 9, 9, 9];
        let oversized = (MAX_CLIENT_FRAME_BYTES as u32 + 1).to_le_bytes().to_vec();
        for (bytes, says) in [(garbage, "decoded"), (oversized, "too large")] {
            let mut link = Link::introduced(&cluster, 0, 2, 2).await;
            link.send(&bytes).await;
            let why = link.end().await;
            assert!(why.contains(says), "{why}");
            assert_eq!(link.next().await, None);
        }
        let counted = json!({ "undecodable frame": 1, "oversized frame": 1 });
        assert_eq!(cluster.status(0).await["counters"]["rejected"], counted);
        cluster.assert_unharmed();
    });
}

#[test]
fn a_client_has_so_many_links_and_one_that_is_closed_makes_room() {
    run(async {
        let cluster = TestCluster::start(4, setup()).await;
        let mut links = Vec::new();
        for _ in 0..16 {
            links.push(Link::open(&cluster, 0).await);
        }
        let mut one_more = Link::open(&cluster, 0).await;
        assert!(one_more.end().await.contains("16 links"));
        links.pop();
        for number in 0..1_000 {
            let mut link = Link::open(&cluster, 0).await;
            link.send(&bundle(&cluster, CLIENT, CLIENT, number, "pay")).await;
            match link.next().await {
                Some(FromNode::Reply(_)) => return cluster.assert_unharmed(),
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        panic!("no place is given back");
    });
}

#[test]
fn what_one_client_does_not_finish_keeps_no_other_out() {
    run(async {
        let cluster = TestCluster::start(1, setup()).await;
        let (greedy, other) = (1, 2);
        let large = "x".repeat(23 << 20);
        let unfinished = bundle(&cluster, greedy, greedy, 1, &large);
        let (start, last) = unfinished.split_at(unfinished.len() - 1);
        let mut links = Vec::new();
        for _ in 0..5 {
            let mut link = Link::introduced(&cluster, 0, greedy, greedy).await;
            link.send(start).await;
            links.push(link);
        }
        cluster
            .until(0, |status| status["counters"]["bytes_in"].as_u64() > Some(5 * start.len() as u64))
            .await;
        let mut one_more = Link::introduced(&cluster, 0, greedy, greedy).await;
        // It is cut off while it sends, or after that.
        let _ = one_more.stream.write_all(format!("{:x}\r\n", start.len()).as_bytes()).await;
        let _ = one_more.stream.write_all(start).await;
        assert!(one_more.end().await.contains("too much"));
        // Others are served: large requests on links with keys, and large bodies.
        let mut link = Link::introduced(&cluster, 0, other, other).await;
        link.send(&bundle(&cluster, other, other, 1, &"y".repeat(3 << 20))).await;
        assert_eq!(link.reply().await.replies[0].result.0.len(), 3 << 20);
        assert_eq!(ask(cluster.addresses[0], &"z".repeat(1 << 20)).await.status, 200);
        // And what was within the limit still is.
        links[0].send(last).await;
        cluster.until(0, |status| status["last_executed"] == 3).await;
        cluster.assert_unharmed();
    });
}

#[test]
fn a_stranger_holds_no_memory() {
    run(async {
        let cluster = TestCluster::start(1, setup()).await;
        let mut stranger = Link::open_as(&cluster, 0, 1).await;
        assert!(matches!(stranger.next().await, Some(FromNode::Challenge(_))));
        let large = bundle(&cluster, 1, 1, 1, &"x".repeat(1 << 20));
        stranger.send(&large[..2048]).await;
        assert!(stranger.end().await.contains("client's key"));
        cluster.assert_unharmed();
    });
}

/// A stranger without the client's key gets none of its replies and none of its links.
fn strangers_get_nothing() {
    run(async {
        let cluster = TestCluster::start(4, setup()).await;
        let mut own = Link::open(&cluster, 0).await;
        let mut strangers = vec![
            Link::introduced(&cluster, 0, CLIENT, CLIENT + 1).await,
            Link::open_as(&cluster, 0, CLIENT).await,
        ];
        // Shown to another node before.
        let mut at_other = Link::open_as(&cluster, 1, CLIENT).await;
        let Some(FromNode::Challenge(nonce)) = at_other.next().await else { panic!("no challenge") };
        let (id, client) = (cluster.cluster.id, ReplicaId(CLIENT));
        let introduction = Introduction { cluster: id, node: ReplicaId(1), client, nonce };
        let signature = introduction.sign(&cluster.signer(CLIENT.into()));
        let mut relayed = Link::open_as(&cluster, 0, CLIENT).await;
        relayed.next().await;
        relayed.send(&shown(signature)).await;
        strangers.push(relayed);
        // Asks before it shows anything.
        let mut hasty = Link::open_as(&cluster, 0, CLIENT).await;
        hasty.next().await;
        hasty.send(&bundle(&cluster, CLIENT, CLIENT, 1, "pay")).await;
        assert!(hasty.end().await.contains("client's key"));
        for stranger in [0, 2] {
            assert!(strangers[stranger].end().await.contains("client's key"));
        }
        own.send(&bundle(&cluster, CLIENT, CLIENT, 2, "pay")).await;
        assert_eq!(own.reply().await.replies[0].session.number, 2);
        let counted = json!({ "link not authenticated": 3 });
        assert_eq!(cluster.status(0).await["counters"]["rejected"], counted);
        // The one that shows nothing has no reply waiting.
        assert!(matches!(strangers[1].next().await, Some(FromNode::Challenge(_))));
        let nothing = tokio::time::timeout(Duration::from_millis(200), strangers[1].next()).await;
        assert!(nothing.is_err(), "{nothing:?}");
        cluster.assert_unharmed();
    });
}

#[test]
fn strangers_get_none_of_a_client_s_replies_or_links() {
    strangers_get_nothing();
}

#[test]
fn the_check_of_strangers_fails_without_its_rule() {
    assert_detected(&[(Weakening::LinkNotAuthenticated, strangers_get_nothing)]);
}

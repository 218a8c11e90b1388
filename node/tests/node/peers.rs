//! What peers can and cannot do to a node.

use crate::support::http::{Answer, ask, post, read_answer, send};
use crate::support::relay::{Message, vote};
use crate::support::{SEED, Setup, TestCluster, configuration, run};
use kernel::{
    Bundle, Claim, Digest, Operation, Output, ReplicaId, Reply, ReplyBundle, Request, Seq, SessionId,
    Signature, View, Weakening,
};
use node::{Encoding, Frame, MAX_FRAME_BYTES, Tally, encode};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const BINARY: &str = "content-type: application/octet-stream\r\n";

/// What node 1 sends on a link to node 0.
async fn stream(cluster: &TestCluster, headers: &str, body: &[u8]) -> Answer {
    let mut opening = Opening::greet(cluster, 1).await;
    let signature = opening.signature(cluster, 1);
    opening.stream(cluster, &format!("x-signature: {signature}\r\n{headers}"), body).await
}

const NONCE: [u8; 32] = [7; 32];

/// A connection to node 0 on which somebody has said to be a node.
struct Opening {
    connection: TcpStream,
    from: u16,
    answer: Answer,
    /// What this end gave to the exchange of keys, where frames have tags.
    share: Option<[u8; 32]>,
}

impl Opening {
    async fn greet(cluster: &TestCluster, from: u16) -> Opening {
        Opening::greet_with(cluster, from, configuration()).await
    }

    async fn greet_with(cluster: &TestCluster, from: u16, configuration: Digest) -> Opening {
        Opening::greet_for_keys(cluster, from, configuration, None).await
    }

    async fn greet_for_keys(
        cluster: &TestCluster,
        from: u16,
        configuration: Digest,
        share: Option<[u8; 32]>,
    ) -> Opening {
        let node = cluster.addresses[0];
        let with_share = share.map(|share| format!("x-key-share: {}\r\n", Digest(share))).unwrap_or_default();
        let mut connection = TcpStream::connect(node).await.unwrap();
        let head = format!(
            "POST /peer/hello HTTP/1.1\r\nhost: {node}\r\nx-cluster: {}\r\nx-from: {from}\r\n{BINARY}\
             x-configuration: {configuration}\r\nx-nonce: {}\r\n{with_share}content-length: 0\r\n\r\n",
            cluster.cluster.id,
            Digest(NONCE)
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let answer = read_answer(&mut connection).await;
        Opening { connection, from, answer, share }
    }

    fn acceptor_nonce(&self) -> [u8; 32] {
        self.answer.header("x-nonce").parse::<Digest>().unwrap().0
    }

    /// What both ends sign.
    fn statement(&self, cluster: &TestCluster, domain: &str) -> Vec<u8> {
        let configuration = configuration();
        let shares = self.share.map(|own| [own, self.acceptor_share()].concat()).unwrap_or_default();
        [
            domain.as_bytes(),
            &cluster.cluster.id.0,
            &configuration.0,
            &self.from.to_le_bytes(),
            &0u16.to_le_bytes(),
            &NONCE,
            &self.acceptor_nonce(),
            &shares,
        ]
        .concat()
    }

    fn acceptor_share(&self) -> [u8; 32] {
        self.answer.header("x-key-share").parse::<Digest>().unwrap().0
    }

    /// The opener's signature with the key of some node.
    fn signature(&self, cluster: &TestCluster, signer: usize) -> Signature {
        cluster.signer(signer).sign(&self.statement(cluster, "link-opener/1"))
    }

    /// Opens the stream, and reads the answer.
    async fn stream(&mut self, cluster: &TestCluster, headers: &str, body: &[u8]) -> Answer {
        let head = format!(
            "POST /peer HTTP/1.1\r\nhost: {}\r\nx-cluster: {}\r\n{headers}content-length: {}\r\n\r\n",
            cluster.addresses[0],
            cluster.cluster.id,
            body.len()
        );
        // The node may answer before it has read everything.
        let _ = self.connection.write_all(&[head.as_bytes(), body].concat()).await;
        read_answer(&mut self.connection).await
    }
}

#[test]
fn both_ends_of_a_link_show_who_they_are() {
    run(async {
        let cluster = TestCluster::start(4, Setup::default()).await;
        let opening = Opening::greet(&cluster, 1).await;
        assert_eq!(opening.answer.status, 200, "{}", opening.answer.body);
        let keyring = kernel::keys::seeded(SEED, 4).1;
        let claim = |domain: &str| Claim {
            author: ReplicaId(0),
            bytes: opening.statement(&cluster, domain),
            signature: opening.answer.header("x-signature").parse().unwrap(),
        };
        assert!(keyring.verify(&claim("link-acceptor/1")) && !keyring.verify(&claim("link-opener/1")));
        let other = Opening::greet(&cluster, 1).await;
        assert_ne!(opening.acceptor_nonce(), other.acceptor_nonce(), "a nonce is used once");
    });
}

#[test]
fn whoever_does_not_show_that_it_is_the_peer_gets_no_frame_in() {
    run(strangers_are_refused());
}

async fn strangers_are_refused() {
    let cluster = TestCluster::start(4, Setup::default()).await;
    let node = cluster.addresses[0];
    let body = frame(&vote(&cluster.cluster, &cluster.signer(1), Seq(1), Digest::of(b"x")));
    let named = format!("x-from: 1\r\n{BINARY}");
    let with = |signature: &str| format!("x-signature: {signature}\r\n{named}");
    let cluster = &cluster;
    let refused = async |opening: &mut Opening, headers: String, what: &str| {
        let answer = opening.stream(cluster, &headers, &body).await;
        assert_eq!(answer.status, 403, "{what}: {}", answer.body);
        assert!(answer.body.contains("/peer/hello"), "{what}: {}", answer.body);
    };

    // A stranger that only says who it is.
    let headers = format!("x-cluster: {}\r\n{named}", cluster.cluster.id);
    let answer = send(node, "POST /peer", &headers, &body).await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    refused(&mut Opening::greet(cluster, 1).await, named.clone(), "no signature").await;
    let mut opening = Opening::greet(cluster, 1).await;
    let acceptors = opening.answer.header("x-signature").to_owned();
    refused(&mut opening, with(&acceptors), "the acceptor's own signature").await;
    let mut opening = Opening::greet(cluster, 1).await;
    let signature = opening.signature(cluster, 2).to_string();
    refused(&mut opening, with(&signature), "another node's key").await;
    let mut opening = Opening::greet(cluster, 2).await;
    let signature = opening.signature(cluster, 2).to_string();
    refused(&mut opening, with(&signature), "another node's name").await;

    // A handshake counts once, and on its own connection.
    let mut recorded = Opening::greet(cluster, 1).await;
    let signature = recorded.signature(cluster, 1).to_string();
    refused(&mut Opening::greet(cluster, 1).await, with(&signature), "replayed elsewhere").await;
    assert_eq!(recorded.stream(cluster, &with(&signature), &[]).await.status, 200);
    refused(&mut recorded, with(&signature), "replayed").await;

    let other = Opening::greet_with(cluster, 1, Digest::of(b"another")).await;
    assert!(other.answer.status == 403 && other.answer.body.contains("another configuration"));
    let status = cluster.status(0).await;
    assert_eq!(
        status["counters"]["rejected"],
        json!({ "link not authenticated": 7, "other configuration": 1 })
    );
    assert_eq!(status["counters"]["messages_in"], json!({}), "no frame came in");
    cluster.assert_unharmed();
}

#[test]
fn these_checks_fail_without_their_rules() {
    kernel::weakening::assert_detected(&[(Weakening::LinkNotAuthenticated, || {
        run(strangers_are_refused());
    })]);
}

#[test]
fn who_only_listens_at_a_peer_s_address_gets_nothing() {
    run(async {
        let setup = Setup { late: vec![3], ..Setup::default() };
        let cluster = TestCluster::start(4, setup).await;
        let listener = tokio::net::TcpListener::bind(cluster.addresses[3]).await.unwrap();
        let impostor = async {
            let mut seen = Vec::new();
            for _ in 0..6 {
                let (mut connection, _) = listener.accept().await.unwrap();
                let mut bytes = vec![0; 4096];
                let read = connection.read(&mut bytes).await.unwrap();
                seen.extend_from_slice(&bytes[..read]);
                let signature = Signature([5; 64]);
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nx-nonce: {}\r\nx-signature: {signature}\r\ncontent-length: 0\r\n\r\n",
                    Digest(NONCE)
                );
                connection.write_all(answer.as_bytes()).await.unwrap();
                // Whatever else it is told, until the node hangs up.
                let _ = connection.read_to_end(&mut seen).await;
            }
            String::from_utf8_lossy(&seen).into_owned()
        };
        let (seen, answer) = tokio::join!(impostor, ask(cluster.addresses[0], "a"));
        assert_eq!(answer.status, 200);
        assert!(seen.contains("POST /peer/hello") && !seen.contains("POST /peer HTTP"), "{seen}");
        let status = cluster.until(0, |s| s["counters"]["rejected"]["peer not authenticated"] != Value::Null);
        assert_eq!(status.await["peers_reachable"], 2);
        cluster.assert_unharmed();
    });
}

/// A connection to node 0 on which node 1 has greeted, and the key that both ends have.
async fn with_key(cluster: &TestCluster) -> (Opening, [u8; 32]) {
    let secret = x25519_dalek::EphemeralSecret::random_from_rng(&mut rand::rng());
    let share = x25519_dalek::PublicKey::from(&secret).to_bytes();
    let opening = Opening::greet_for_keys(cluster, 1, configuration(), Some(share)).await;
    assert_eq!(opening.answer.status, 200, "{}", opening.answer.body);
    let shared = secret.diffie_hellman(&opening.acceptor_share().into());
    let agreed = [&shared.as_bytes()[..], &opening.statement(cluster, "link-opener/1")].concat();
    let key = blake3::derive_key("tags on the frames of a peer link, 1", &agreed);
    (opening, key)
}

/// The frame of this number on a link, with its tag.
fn with_tag(key: &[u8; 32], number: u64, frame: &[u8]) -> Vec<u8> {
    let content = &frame[4..];
    let tag = blake3::keyed_hash(key, &[&number.to_le_bytes()[..], content].concat());
    let length = (content.len() + 16) as u32;
    [&length.to_le_bytes()[..], &tag.as_bytes()[..16], content].concat()
}

#[test]
fn frames_whose_tags_do_not_hold_end_their_link_and_nothing_else() {
    run(async {
        let cluster = TestCluster::start(4, Setup { has_tags: true, ..Setup::default() }).await;
        assert_eq!(ask(cluster.addresses[0], "a").await.status, 200, "nodes agree on keys");
        let body = frame(&vote(&cluster.cluster, &cluster.signer(1), Seq(9), Digest::of(b"x")));
        let before = cluster.status(0).await["counters"]["messages_in"]["vote"].as_u64().unwrap();
        let cluster = &cluster;
        let send = async |mut opening: Opening, bytes: &[u8]| {
            let headers = format!("x-signature: {}\r\nx-from: 1\r\n{BINARY}", opening.signature(cluster, 1));
            opening.stream(cluster, &headers, bytes).await
        };
        let (opening, key) = with_key(cluster).await;
        let two = [with_tag(&key, 0, &body), with_tag(&key, 1, &body)].concat();
        assert_eq!(send(opening, &two).await.status, 200);
        let arrived =
            |count: u64| move |status: &Value| status["counters"]["messages_in"]["vote"] == before + count;
        cluster.until(0, arrived(2)).await;

        let (opening, old) = with_key(cluster).await;
        drop(opening);
        for case in ["another key", "a wrong number", "once more", "a changed frame", "no tag"] {
            let (opening, key) = with_key(cluster).await;
            let first = with_tag(&key, 0, &body);
            let bytes = match case {
                "another key" => with_tag(&old, 0, &body),
                "a wrong number" => with_tag(&key, 1, &body),
                "once more" => [&first[..], &first].concat(),
                "a changed frame" => [&first[..first.len() - 1], &[first[first.len() - 1] ^ 1]].concat(),
                _ => body.clone(),
            };
            let answer = send(opening, &bytes).await;
            assert!(answer.status == 400 && answer.body.contains("tag"), "{case}: {}", answer.body);
        }
        let status = cluster.until(0, arrived(3)).await;
        assert_eq!(status["counters"]["rejected"], json!({ "bad tag": 5 }), "only the first of two was read");

        let without = Opening::greet_for_keys(cluster, 1, configuration(), None).await.answer;
        let weak =
            send(Opening::greet_for_keys(cluster, 1, configuration(), Some([0; 32])).await, &body).await;
        for answer in [without, weak] {
            assert!(answer.status == 400 && answer.body.contains("x-key-share"), "{}", answer.body);
        }
        // The shares are part of what is signed: nobody in between can put in their own.
        let (mut opening, _) = with_key(cluster).await;
        opening.share = Some([9; 32]);
        let body = with_tag(&old, 0, &body);
        assert_eq!(send(opening, &body).await.status, 403);
        assert_eq!(ask(cluster.addresses[0], "b").await.status, 200);
        cluster.assert_unharmed();
    });
}

#[test]
fn nodes_with_tags_serve_in_both_encodings() {
    for encoding in [Encoding::Binary, Encoding::Json] {
        run(async {
            let cluster = TestCluster::start(4, Setup { has_tags: true, encoding, ..Setup::default() }).await;
            for id in 0..4 {
                assert_eq!(ask(cluster.addresses[id], "a").await.status, 200, "{encoding:?}");
            }
            assert_eq!(cluster.status(0).await["counters"]["rejected"], json!({}));
            // What is counted is what is sent, with the tags.
            let counters = &cluster.status(1).await["counters"];
            let vote = vote(&cluster.cluster, &cluster.signer(1), Seq(1), Digest::of(b"x"));
            let plain = encode(&Frame::Protocol(&vote), encoding).unwrap().len() as u64;
            let tag = if encoding == Encoding::Binary { 16 } else { 33 };
            let sent = counters["messages_out"]["vote"].as_u64().unwrap();
            assert!(sent > 0, "{counters}");
            assert_eq!(counters["bytes_out_by_kind"]["vote"], sent * (plain + tag), "{encoding:?}");
            let answer = post(cluster.addresses[0], "/preprepare?evidence=true", r#"{ "data": "a" }"#).await;
            assert!(answer.status == 400 && answer.body.contains("no evidence"), "{}", answer.body);
            cluster.assert_unharmed();
        });
    }
}

fn frame(message: &Message) -> Vec<u8> {
    encode(&Frame::Protocol(message), Encoding::Binary).unwrap().to_vec()
}

#[test]
fn who_is_no_member_is_refused() {
    run(async {
        let cluster = TestCluster::start(4, Setup::default()).await;
        let node = cluster.addresses[0];
        let foreign = format!("x-cluster: {}\r\nx-from: 1\r\n{BINARY}", "00".repeat(16));
        for (headers, says) in [(foreign.as_str(), "cluster"), ("", "cluster")] {
            let answer = send(node, "POST /peer", headers, b"").await;
            assert_eq!(answer.status, 400);
            assert!(answer.json()["error"].as_str().unwrap().contains(says));
            assert!(!answer.body.contains(&cluster.cluster.id.to_string()), "{}", answer.body);
        }
        for from in ["x-from: 4\r\n", "x-from: 0\r\n", "x-from: me\r\n", "x-from: 70000\r\n", ""] {
            let headers = format!("x-cluster: {}\r\n{from}{BINARY}", cluster.cluster.id);
            let answer = send(node, "POST /peer", &headers, b"").await;
            assert_eq!(answer.status, 400, "{from}");
            assert!(answer.json()["error"].as_str().unwrap().contains("x-from"));
        }
        let answer = stream(&cluster, "x-from: 1\r\ncontent-type: text/html\r\n", b"").await;
        assert!(answer.status == 400 && answer.body.contains("application/x-ndjson"));
        let rejected = cluster.status(0).await["counters"]["rejected"].clone();
        assert_eq!(rejected, json!({ "other cluster": 2, "no member": 5, "unknown encoding": 1 }));
        assert_eq!(ask(node, "a").await.status, 200);
        cluster.assert_unharmed();
    });
}

#[test]
fn garbage_is_counted_and_what_follows_it_is_read() {
    run(async {
        let cluster = TestCluster::start(4, Setup::default()).await;
        let from = format!("x-from: 1\r\n{BINARY}");
        let good = frame(&vote(&cluster.cluster, &cluster.signer(1), Seq(1), Digest::of(b"x")));
        let garbage = [&[3, 0, 0, 0, 9, 9, 9], good.as_slice()].concat();
        assert_eq!(stream(&cluster, &from, &garbage).await.status, 200);
        let truncated = stream(&cluster, &from, &good[..good.len() - 1]).await;
        assert!(truncated.status == 400 && truncated.body.contains("ended inside a frame"));
        let oversized = stream(&cluster, &from, &(MAX_FRAME_BYTES as u32 + 1).to_le_bytes()).await;
        assert!(oversized.status == 400 && oversized.body.contains("too large"), "{}", oversized.body);
        let json = "x-from: 1\r\ncontent-type: application/x-ndjson\r\n";
        assert_eq!(stream(&cluster, json, b"{}\n\nnonsense\n").await.status, 200);
        let counted = json!({ "undecodable frame": 3, "truncated frame": 1, "oversized frame": 1 });
        let status = cluster.until(0, |status| status["counters"]["messages_in"]["vote"] == 1).await;
        assert_eq!(status["counters"]["rejected"], counted);
        assert_eq!(ask(cluster.addresses[0], "a").await.status, 200);
        cluster.assert_unharmed();
    });
}

#[test]
fn bad_signatures_count_against_their_slot_and_nothing_else() {
    run(async {
        let cluster = TestCluster::start(4, Setup::default()).await;
        assert_eq!(ask(cluster.addresses[0], "a").await.status, 200);
        cluster.until(0, |status| status["counters"]["votes_correct"] == 3).await;
        let forged = Message::Vote {
            seq: Seq(1),
            digest: Digest::of(b"x"),
            author: ReplicaId(2),
            signature: Signature([1; 64]),
        };
        let absurd = Message::Vote {
            seq: Seq(u64::MAX),
            digest: Digest::of(b"x"),
            author: ReplicaId(2),
            signature: Signature([1; 64]),
        };
        let session = SessionId { gateway: ReplicaId(3), number: 1 };
        let request = Request { session, counter: 1, operation: Operation::new(b"theirs") };
        let foreign = Bundle::sign(&cluster.cluster, &cluster.signer(1), vec![request]);
        let unsigned_for = Message::Requests(Arc::new(foreign));
        let body = [frame(&forged), frame(&unsigned_for), frame(&absurd)].concat();
        assert_eq!(stream(&cluster, &format!("x-from: 1\r\n{BINARY}"), &body).await.status, 200);
        let counted = json!({ "bad signature": 2, "malformed requests": 1 });
        let status = cluster.until(0, |status| status["counters"]["rejected"] == counted).await;
        assert_eq!(status["counters"]["votes_corrupt"], 1);
        assert_eq!((&status["counters"]["votes_correct"], &status["last_executed"]), (&json!(3), &json!(1)));
        cluster.assert_unharmed();
    });
}

#[test]
fn forged_replies_decide_nothing() {
    run(async {
        let cluster = TestCluster::start(4, Setup::default()).await;
        let session = SessionId { gateway: ReplicaId(0), number: 1 };
        let reply = Reply { session, counter: 1, result: Output::new(b"lie") };
        let sign = |gateway| {
            ReplyBundle::sign(
                &cluster.cluster,
                &cluster.signer(1),
                View(0),
                Seq(1),
                gateway,
                vec![],
                vec![reply.clone()],
            )
        };
        let stray = sign(ReplicaId(3));
        let unknown = sign(ReplicaId(0));
        let mut body = Vec::new();
        for bundle in [&stray, &unknown] {
            body.extend(
                encode::<Message>(&Frame::Reply { bundle, votes: Tally::default() }, Encoding::Binary)
                    .unwrap(),
            );
        }
        assert_eq!(stream(&cluster, &format!("x-from: 1\r\n{BINARY}"), &body).await.status, 200);
        let status = cluster.until(0, |status| status["counters"]["messages_in"]["reply"] == 2).await;
        assert_eq!(status["counters"]["rejected"], json!({ "author not entitled": 1 }));
        assert_eq!(status["counters"]["signatures_checked"], 0, "nobody waits for these replies");
        assert_eq!(ask(cluster.addresses[0], "a").await.status, 200);
    });
}

#[test]
fn a_peer_that_comes_late_gets_what_was_kept_for_it() {
    run(async {
        let setup = Setup { late: vec![3], ..Setup::default() };
        let mut cluster = TestCluster::start(4, setup).await;
        for data in ["a", "b"] {
            assert_eq!(ask(cluster.addresses[1], data).await.status, 200);
        }
        cluster.start_node(3);
        let status = cluster.until(3, |status| status["last_executed"] == 2).await;
        assert_eq!(status["counters"]["dropped_messages"], 0);
    });
}

#[test]
fn a_configuration_that_does_not_fit_together_is_refused() {
    run(async {
        let cluster = TestCluster::start(1, Setup::default()).await;
        let good = cluster.config(0);
        let mut no_member = good.clone();
        no_member.id = ReplicaId(1);
        let mut addresses = good.clone();
        addresses.addresses.clear();
        let mut key = good.clone();
        key.secret = kernel::keys::SecretKey([9; 32]);
        let mut loss = good;
        loss.link.loss = 1.5;
        for (config, says) in [
            (no_member, "not in a cluster of 1"),
            (addresses, "1 addresses"),
            (key, "secret key is not that of node 0"),
            (loss, "not a probability"),
        ] {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let replica = adversary::Adversary::new(crate::support::relay::Relay::default(), vec![]);
            let error =
                node::run(config, replica, listener, || panic!("not ready"), async {}).await.unwrap_err();
            assert!(format!("{error:#}").contains(says), "{error:#}");
        }
        assert_eq!(ask(cluster.addresses[0], "alone").await.status, 200);
    });
}

/// Writes pieces of a frame that never ends, a little at a time.
async fn trickle(cluster: &TestCluster) {
    let node = cluster.addresses[0];
    let opening = Opening::greet(cluster, 1).await;
    let head = format!(
        "POST /peer HTTP/1.1\r\nhost: {node}\r\nx-cluster: {}\r\nx-from: 1\r\nx-signature: {}\r\n{BINARY}\
         content-length: {MAX_FRAME_BYTES}\r\n\r\n",
        cluster.cluster.id,
        opening.signature(cluster, 1)
    );
    let mut stream = opening.connection;
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&(MAX_FRAME_BYTES as u32 - 4).to_le_bytes()).await.unwrap();
    for _ in 0..MAX_FRAME_BYTES / 2 / (100 << 10) {
        stream.write_all(&[0; 100 << 10]).await.unwrap();
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_large_frame_that_is_arriving_lets_timers_run_on_but_not_for_ever() {
    run(async {
        let cluster = TestCluster::start(4, Setup::default()).await;
        // Its order waits for a timer; nothing large is under way.
        assert_eq!(ask(cluster.addresses[0], "slow").await.status, 200);
        assert_eq!(cluster.status(0).await["counters"]["timers_extended"], 0);
        let asked = async {
            let mut extended = json!(0);
            while extended == 0 {
                assert_eq!(ask(cluster.addresses[0], "slow").await.status, 200);
                extended = cluster.status(0).await["counters"]["timers_extended"].clone();
            }
        };
        tokio::select! {
            () = asked => {}
            () = trickle(&cluster) => panic!("no timer has taken note of half a frame"),
        }
        assert_eq!(ask(cluster.addresses[0], "slow").await.status, 200);
        cluster.assert_unharmed();
    });
}

#[test]
fn an_observer_sees_every_departure_and_arrival_and_nobody_else_notices() {
    run(async {
        let cluster = TestCluster::start(4, Setup { is_observed: true, ..Setup::default() }).await;
        for data in ["a", "b", "c"] {
            assert_eq!(ask(cluster.addresses[1], data).await.status, 200);
        }
        cluster.until(1, |status| status["counters"]["messages_in"]["reply"] == 9).await;
        for id in 0..4 {
            cluster.until(id, |status| status["counters"]["votes_correct"] == 9).await;
        }
        // Nothing is under way any more.
        for id in 0..4 {
            let status = cluster.status(id).await;
            for (counter, name) in [("messages_out", "out"), ("messages_in", "in")] {
                for (kind, count) in status["counters"][counter].as_object().unwrap() {
                    let key = (id as u16, format!("{name} {kind}"));
                    let observed = cluster.observations.borrow().get(&key).copied();
                    assert_eq!(observed, count.as_u64(), "node {id}: {name} {kind}");
                }
            }
        }
        post(cluster.addresses[0], "/links", "{\"cut\": [3]}").await;
        assert_eq!(ask(cluster.addresses[0], "d").await.status, 200);
        assert_eq!(cluster.observations.borrow().get(&(0, "lost order".to_owned())), Some(&1));
        cluster.assert_unharmed();
    });
}

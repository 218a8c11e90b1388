//! Clients that are slow, too many, or speak no HTTP.

use crate::support::http::{Answer, ask, send, send_raw};
use crate::support::{Setup, TestCluster, run};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn error(answer: &Answer) -> String {
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    answer.json()["error"].as_str().unwrap().to_owned()
}

/// Sends a part of a request and waits for the other side to close.
async fn stall(address: SocketAddr, part: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(part.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[test]
fn what_hyper_refuses_by_itself_is_explained_as_well() {
    run(async {
        let cluster = TestCluster::start(2, Setup::default()).await;
        let long = |bytes: usize| "x".repeat(bytes);
        let cases = [
            (
                format!("GET /status HTTP/1.1\r\nhost: t\r\nbig: {}\r\n\r\n", long(600_000)),
                431,
                "head is too large",
            ),
            (format!("GET /status HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(150)), 431, "at most 100 headers"),
            (format!("GET /{} HTTP/1.1\r\nhost: t\r\n\r\n", long(70_000)), 414, "path is too long"),
            ("hello, node\r\n\r\n".to_owned(), 400, "no HTTP/1.1 request"),
            ("GET /status HTTP/1.1\r\nno header\r\n\r\n".to_owned(), 400, "no HTTP/1.1 request"),
        ];
        for (request, status, says) in cases {
            let answer = send_raw(cluster.addresses[0], request.as_bytes()).await;
            assert_eq!(answer.status, status, "{says}");
            assert!(error(&answer).contains(says), "{}", answer.body);
        }
        cluster.assert_unharmed();
    });
}

#[test]
fn slow_and_silent_clients_are_sent_away() {
    run(async {
        let setup = Setup { read_limit_ms: Some(30), ..Setup::default() };
        let cluster = TestCluster::start(2, setup).await;
        let node = cluster.addresses[0];
        for (part, says) in [
            ("POST /prepre", "head did not come"),
            ("POST /preprepare HTTP/1.1\r\nhost: t\r\ncontent-length: 50\r\n\r\n{\"da", "body did not come"),
            ("POST /faults HTTP/1.1\r\nhost: t\r\ncontent-length: 50\r\n\r\n{", "body did not come"),
        ] {
            let answer = stall(node, part).await;
            assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains(says), "{part}: {answer}");
        }
        assert_eq!(stall(node, "").await, "", "idle clients would take it for their next answer");
        let then_idle = stall(node, "GET /faults HTTP/1.1\r\nhost: t\r\n\r\n").await;
        assert!(
            then_idle.starts_with("HTTP/1.1 200 ") && then_idle.ends_with("{\"faults\":[]}"),
            "{then_idle}"
        );
        // The peer link has been silent for longer than any client may be.
        assert_eq!(ask(node, "a").await.status, 200);
        assert_eq!(cluster.status(0).await["peers_reachable"], 1);
    });
}

#[test]
fn clients_cannot_take_the_places_of_peers() {
    run(async {
        let setup = Setup { max_clients: Some(3), late: vec![1], ..Setup::default() };
        let mut cluster = TestCluster::start(2, setup).await;
        let node = cluster.addresses[0];
        let mut idle = Vec::new();
        for _ in 0..3 {
            idle.push(TcpStream::connect(node).await.unwrap());
        }
        let crowded = ask(node, "a").await;
        assert_eq!(crowded.status, 503);
        assert!(error(&crowded).contains("as many connections"), "{}", crowded.body);
        let not_a_peer = send(node, "POST /peer", "x-cluster: 00\r\n", b"").await;
        assert_eq!(not_a_peer.status, 400, "a peer is listened to: {}", not_a_peer.body);

        cluster.start_node(1);
        cluster.until(1, |status| status["peers_reachable"] == 1).await;
        // Through node 1, node 0 decides: the link has come through the crowd.
        assert_eq!(ask(cluster.addresses[1], "b").await.status, 200);
        drop(idle);
        cluster.until(1, |_| true).await;
        assert_eq!(ask(node, "c").await.status, 200);
        cluster.assert_unharmed();
    });
}

//! Clients that are slow, too many, or speak no HTTP.

use crate::support::http::{Answer, ask, send, send_raw};
use crate::support::{Setup, TestCluster, run};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

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
fn a_client_that_asks_too_fast_is_told_to_wait() {
    run(async {
        let setup = Setup { requests_per_s: Some(3), ..Setup::default() };
        let cluster = TestCluster::start(1, setup).await;
        let node = cluster.addresses[0];
        let mut refused = None;
        // More than there are in a second, unless the machine takes a third of one for each.
        for _ in 0..100 {
            let answer = send(node, "GET /faults", "", b"").await;
            if answer.status != 200 {
                refused = Some(answer);
                break;
            }
        }
        let refused = refused.expect("one of a hundred is too many");
        assert_eq!((refused.status, refused.header("retry-after")), (429, "1"));
        assert!(refused.body.contains("limits.requests_per_s"), "{}", refused.body);
        for path in ["/health", "/ready", "/metrics"] {
            assert_eq!(send(node, &format!("GET {path}"), "", b"").await.status, 200, "{path}");
        }
    });
}

#[test]
fn what_hyper_refuses_by_itself_is_explained_as_well() {
    run(async {
        let cluster = TestCluster::start(2, Setup::default()).await;
        let host = cluster.addresses[0];
        let long = |bytes: usize| "x".repeat(bytes);
        let cases = [
            (
                format!("GET /status HTTP/1.1\r\nhost: {host}\r\nbig: {}\r\n\r\n", long(600_000)),
                431,
                "head is too large",
            ),
            (format!("GET /status HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(150)), 431, "at most 100 headers"),
            (format!("GET /{} HTTP/1.1\r\nhost: {host}\r\n\r\n", long(70_000)), 414, "path is too long"),
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
            ("POST /prepre".to_owned(), "head did not come"),
            (
                format!("POST /preprepare HTTP/1.1\r\nhost: {node}\r\ncontent-length: 50\r\n\r\n{{\"da"),
                "body did not come",
            ),
            (
                format!("POST /faults HTTP/1.1\r\nhost: {node}\r\ncontent-length: 50\r\n\r\n{{"),
                "body did not come",
            ),
        ] {
            let answer = stall(node, &part).await;
            assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains(says), "{part}: {answer}");
        }
        assert_eq!(stall(node, "").await, "", "idle clients would take it for their next answer");
        let then_idle = stall(node, &format!("GET /faults HTTP/1.1\r\nhost: {node}\r\n\r\n")).await;
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

/// An HTTP/2 connection to a node; what is sent on it goes by its clones.
struct Http2 {
    host: String,
    sender: http2::SendRequest<Full<Bytes>>,
}

async fn http2(address: SocketAddr) -> Http2 {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) =
        http2::handshake(node::LocalTasks::default(), TokioIo::new(stream)).await.unwrap();
    tokio::task::spawn_local(connection);
    Http2 { host: address.to_string(), sender }
}

impl Http2 {
    /// Posts to a path: status and body of the answer.
    async fn post(&self, path: &str, body: &str) -> (u16, String) {
        let uri = format!("http://{}{path}", self.host);
        self.send(Request::post(uri).body(Full::from(body.to_owned())).unwrap()).await
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> (u16, String) {
        let answer = self.sender.clone().send_request(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

#[test]
fn many_requests_share_an_http2_connection() {
    run(async {
        let setup = Setup { max_data_bytes: Some(1000), max_clients: Some(2), ..Setup::default() };
        let cluster = TestCluster::start(2, setup).await;
        let connection = Rc::new(http2(cluster.addresses[0]).await);
        let mut asked = JoinSet::new();
        for number in 0..300 {
            let connection = Rc::clone(&connection);
            let body = format!("{{\"data\": {number}}}");
            asked.spawn_local(async move { connection.post("/preprepare", &body).await });
        }
        for (status, body) in asked.join_all().await {
            assert_eq!(status, 200, "{body}");
            assert!(body.contains("\"outcome\":\"decided\""), "{body}");
        }
        let too_long = format!("{{\"data\": \"{}\"}}", "x".repeat(1001));
        assert_eq!(connection.post("/preprepare", &too_long).await.0, 413);
        assert_eq!(connection.post("/nowhere", "").await.0, 404);
        let (status, error) = connection.post("/peer", "").await;
        assert_eq!(status, 505, "{error}");
        assert!(error.contains("HTTP/1.1"), "{error}");
        cluster.assert_unharmed();
    });
}

#[test]
fn an_http2_connection_without_requests_is_closed_and_one_with_requests_is_not() {
    run(async {
        let setup = Setup { read_limit_ms: Some(50), link: slow_link(), ..Setup::default() };
        let cluster = TestCluster::start(2, setup).await;
        let busy = http2(cluster.addresses[0]).await;
        // Longer under way than an idle connection may be.
        let (status, body) = busy.post("/preprepare", "{\"data\": 1}").await;
        assert_eq!(status, 200, "{body}");
        let mut idle = http2(cluster.addresses[0]).await;
        let closed = async {
            while idle.sender.ready().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), closed).await.expect("the node closes it");
        cluster.assert_unharmed();
    });
}

/// Every message takes longer than the read limit of the test.
fn slow_link() -> node::LinkConditions {
    node::LinkConditions { delay_us: 150_000, ..node::LinkConditions::default() }
}

#[test]
fn a_foreign_page_or_name_reaches_no_path() {
    run(async {
        let cluster = TestCluster::start(2, Setup::default()).await;
        let node = cluster.addresses[0];
        let http2 = http2(node).await;
        let port = node.port();
        let paths = [
            "GET /status",
            "HEAD /status",
            "GET /log",
            "GET /faults",
            "POST /faults",
            "OPTIONS /faults",
            "GET /links",
            "POST /links",
            "POST /preprepare",
            "POST /peer",
            "GET /nowhere",
        ];
        for path in paths {
            let body = "{\"faults\":[\"malicious\"],\"data\":\"a\"}";
            for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "file://"] {
                let headers = format!("content-type: text/plain\r\norigin: {origin}\r\n");
                let answer = send(node, path, &headers, body.as_bytes()).await;
                assert_eq!(answer.status, 403, "{path} {origin}: {}", answer.body);
                assert!(!answer.head.contains("access-control"), "{}", answer.head);
            }
            let rebound =
                format!("{path} HTTP/1.1\r\nhost: evil.example:{port}\r\nconnection: close\r\n\r\n");
            let answer = send_raw(node, rebound.as_bytes()).await;
            assert_eq!(answer.status, 421, "{path}: {}", answer.body);
            if !path.starts_with("HEAD") {
                assert!(error(&answer).contains(&node.to_string()), "{}", answer.body);
            }
            let (method, path) = path.split_once(' ').unwrap();
            let request = |host: &str| Request::builder().method(method).uri(format!("http://{host}{path}"));
            let from_page = request(&node.to_string()).header("origin", "http://evil.example");
            assert_eq!(http2.send(from_page.body(Full::from(body)).unwrap()).await.0, 403, "{path}");
            let rebound = request(&format!("evil.example:{port}"));
            assert_eq!(http2.send(rebound.body(Full::from(body)).unwrap()).await.0, 421, "{path}");
        }
        assert_eq!(cluster.status(0).await["faults"], serde_json::json!([]));
        assert_eq!(cluster.status(0).await["last_executed"], 0);
        // As the curl lines of the README send it, and from the node's own page.
        let form = "content-type: application/x-www-form-urlencoded\r\n";
        let own = format!("{form}origin: http://{node}\r\n");
        for headers in [form, &own] {
            assert_eq!(send(node, "POST /preprepare", headers, b"{\"data\": \"a\"}").await.status, 200);
        }
        for host in [format!("localhost:{port}"), format!("[::1]:{port}"), node.to_string()] {
            let request = format!("GET /status HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
            assert_eq!(send_raw(node, request.as_bytes()).await.status, 200, "{host}");
        }
        cluster.assert_unharmed();
    });
}

#[test]
fn head_is_get_without_a_body_and_options_names_the_methods() {
    run(async {
        let cluster = TestCluster::start(2, Setup::default()).await;
        let node = cluster.addresses[0];
        for path in ["/status", "/log", "/faults", "/links", "/log?from=x"] {
            let get = send(node, &format!("GET {path}"), "", b"").await;
            let head = send(node, &format!("HEAD {path}"), "", b"").await;
            assert_eq!((head.status, head.body.as_str()), (get.status, ""), "{path}");
            assert!(head.head.contains("content-type: application/json"), "{}", head.head);
            if path != "/status" {
                let length = format!("content-length: {}", get.body.len());
                assert!(head.head.contains(&length) && get.head.contains(&length), "{}", head.head);
            }
        }
        let uri = format!("http://{node}/faults");
        let head = Request::head(uri).body(Full::default()).unwrap();
        assert_eq!(http2(node).await.send(head).await, (200, String::new()));
        for path in ["/preprepare", "/peer"] {
            let head = send(node, &format!("HEAD {path}"), "", b"").await;
            assert_eq!((head.status, head.body.as_str()), (405, ""));
            assert!(head.head.contains("allow: post, options"), "{}", head.head);
        }
        for (path, allowed) in [("/status", "get, head, options"), ("/faults", "get, head, post, options")] {
            let options = send(node, &format!("OPTIONS {path}"), "", b"").await;
            assert_eq!((options.status, options.body.as_str()), (204, ""));
            assert!(options.head.contains(&format!("allow: {allowed}\r\n")), "{}", options.head);
        }
        assert_eq!(send(node, "OPTIONS /nowhere", "", b"").await.status, 404);
        cluster.assert_unharmed();
    });
}

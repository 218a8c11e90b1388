//! What clients see of a cluster of nodes.

use crate::support::http::{ask, get_json, post, send, send_raw};
use crate::support::relay::Relay;
use crate::support::{Setup, TestCluster, run};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;

#[test]
fn every_node_answers_with_the_decision_and_everyone_s_tally() {
    run(async {
        let cluster = TestCluster::start(4, Setup::default()).await;
        for (id, data) in ["zero", "slow", "\"quoted\"", "drei\u{fc}"].into_iter().enumerate() {
            let body = json!({ "data": data }).to_string();
            let answer = post(cluster.addresses[id], "/preprepare?settle=5000", &body).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert!(answer.head.contains("content-type: application/json"));
            let json = answer.json();
            assert_eq!((&json["outcome"], &json["protocol"]), (&json!("decided"), &json!("relay")));
            assert_eq!(
                (&json["node"], &json["seq"], &json["result"]),
                (&json!(id), &json!(id + 1), &json!(data))
            );
            assert_eq!(
                (&json["path"], &json["view"], &json["replies"]),
                (&json!("direct"), &json!(0), &json!(2))
            );
            assert!(json["consensus_us"].as_f64().unwrap() > 0.0);
            assert!(json["received_ns"].as_u64().unwrap() < node::now_ns());
            // A backup: the proposal and two votes. The commander: three votes.
            let tallies: Vec<Value> =
                (0..4).map(|node| json!({ "node": node, "correct": 3, "corrupt": 0 })).collect();
            assert_eq!((&json["nodes"], &json["not_answered"]), (&json!(tallies), &json!([])));
        }
        let data = post(cluster.addresses[1], "/preprepare", "{\"data\": {\"b\": 1, \"a\": [2]}}").await;
        assert_eq!(data.json()["result"], "{\"a\":[2],\"b\":1}");
    });
}

/// The first lines of the requests that come to an address where no node is.
fn overhear(address: SocketAddr) -> Rc<RefCell<Vec<String>>> {
    let listener = std::net::TcpListener::bind(address).unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let lines = Rc::<RefCell<Vec<String>>>::default();
    let received = Rc::clone(&lines);
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let received = Rc::clone(&received);
            tokio::task::spawn_local(async move {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                received.borrow_mut().push(line);
                // Keeps the connection, and never answers.
                std::future::pending::<()>().await;
            });
        }
    });
    lines
}

#[test]
fn an_answer_asks_nobody_and_names_who_has_not_replied() {
    run(async {
        let cluster = TestCluster::start(4, Setup { late: vec![3], ..Setup::default() }).await;
        let requests = overhear(cluster.addresses[3]);
        let was_asked = || requests.borrow().iter().any(|line| line.starts_with("GET /log?from=1&to=1 "));
        let answer = ask(cluster.addresses[1], "a").await;
        let json = answer.json();
        let answered: Vec<u64> =
            json["nodes"].as_array().unwrap().iter().map(|tally| tally["node"].as_u64().unwrap()).collect();
        let not_answered: Vec<u64> = serde_json::from_value(json["not_answered"].clone()).unwrap();
        assert!(answered.contains(&1) && answered.len() >= 2, "two replies decide: {answered:?}");
        assert!(not_answered.contains(&3), "{not_answered:?}");
        let mut all = [answered, not_answered].concat();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3]);
        // Whoever listens there is no peer, and is greeted again and again.
        while !requests.borrow().iter().any(|line| line.starts_with("POST /peer/hello ")) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert!(!was_asked(), "{:?}", requests.borrow());

        let settled = post(cluster.addresses[0], "/preprepare?settle=50", "{\"data\":\"b\"}").await.json();
        let seq = settled["seq"].as_u64().unwrap();
        assert_eq!(settled["not_answered"], json!([3]));
        assert_eq!(settled["nodes"][2], json!({ "node": 2, "correct": 2, "corrupt": 0 }));
        let asked = format!("GET /log?from={seq}&to={seq} ");
        assert!(requests.borrow().iter().any(|line| line.starts_with(&asked)), "{:?}", requests.borrow());
    });
}

#[test]
fn the_classic_text() {
    run(async {
        let cluster = TestCluster::start(4, Setup::default()).await;
        let text =
            send(cluster.addresses[0], "POST /preprepare", "accept: text/plain\r\n", b"{\"data\":\"b\"}")
                .await;
        assert_eq!(text.status, 200);
        assert!(text.head.contains("content-type: text/plain"), "{}", text.head);
        let lines: Vec<&str> = text.body.lines().collect();
        let time = lines[0].strip_prefix("RELAY Consensus Time: ").and_then(|l| l.strip_suffix('s')).unwrap();
        assert!(time.parse::<f64>().is_ok() && time.split_once('.').unwrap().1.len() == 6, "{time}");
        assert_eq!(lines[1..], [0, 1, 2, 3].map(|id| format!("Node {id} -> 3 Correct 0 Corrupt")));
    });
}

#[test]
fn counters_and_log_say_exactly_what_happened() {
    for encoding in [node::Encoding::Binary, node::Encoding::Json] {
        run(async move {
            let setup = Setup { encoding, ..Setup::default() };
            let cluster = TestCluster::start(4, setup).await;
            for data in ["a", "b", "c"] {
                assert_eq!(ask(cluster.addresses[1], data).await.status, 200);
            }
            let mut statuses = Vec::new();
            for id in 0..4 {
                let votes = |status: &Value| status["counters"]["votes_correct"] == 9;
                statuses.push(cluster.until(id, votes).await);
            }
            let counter = |id: usize, name: &str| statuses[id]["counters"][name].clone();
            assert_eq!(counter(0, "messages_out"), json!({ "order": 9, "reply": 3 }));
            assert_eq!(counter(1, "messages_out"), json!({ "request": 3, "vote": 9 }));
            assert_eq!(counter(2, "messages_out"), json!({ "vote": 9, "reply": 3 }));
            assert_eq!(counter(1, "messages_in"), json!({ "order": 3, "vote": 6, "reply": 9 }));
            assert_eq!(
                (counter(0, "agreement_messages_out"), counter(0, "other_messages_out")),
                (json!(9), json!(3))
            );
            assert_eq!(
                (counter(1, "agreement_messages_in"), counter(1, "other_messages_in")),
                (json!(9), json!(9))
            );
            let all = |name| (0..4).map(|id| counter(id, name).as_u64().unwrap()).sum::<u64>();
            assert_eq!(all("bytes_out"), all("bytes_in"));
            for id in 0..4 {
                assert_eq!((counter(id, "rejected"), counter(id, "dropped_messages")), (json!({}), json!(0)));
                assert_eq!(
                    (counter(id, "votes_corrupt"), counter(id, "decided_slots")),
                    (json!(0), json!(3))
                );
                assert_eq!(counter(id, "cpu_us"), Value::Null, "the test's nodes share a process");
            }
            let role = |id: usize| statuses[id]["role"].as_str().unwrap().to_owned();
            assert_eq!((role(0), role(3)), ("commander".to_owned(), "replica".to_owned()));
            assert_eq!(statuses[3]["quorum"], 3);

            let mut chains = Vec::new();
            for id in 0..4 {
                let log = get_json(cluster.addresses[id], "/log?from=2&to=3").await;
                assert_eq!((&log["last_executed"], &log["truncated"]), (&json!(3), &json!(false)));
                let rows = log["rows"].as_array().unwrap();
                assert_eq!(rows.iter().map(|row| &row["seq"]).collect::<Vec<_>>(), [2, 3]);
                assert_eq!(rows[0]["proposed_ns"].is_null(), id != 0);
                assert!(rows[0]["committed_ns"].is_u64() && rows[0]["executed_ns"].is_u64());
                assert_eq!((&rows[0]["requests"], &rows[0]["correct"]), (&json!(1), &json!(3)));
                chains.push(rows[1]["chain"].clone());
            }
            assert!(chains[0].is_string() && chains.iter().all(|chain| *chain == chains[0]));
        });
    }
}

#[test]
fn bad_input_is_answered_with_what_is_wrong_and_harms_nobody() {
    run(async {
        let setup = Setup { max_data_bytes: Some(1_000), ..Setup::default() };
        let cluster = TestCluster::start(4, setup).await;
        let node = cluster.addresses[1];
        let long = |bytes: usize| format!("{{\"data\":\"{}\"}}", "x".repeat(bytes));
        let cases: Vec<(&str, String, u16, &str)> = vec![
            ("POST /preprepare", String::new(), 400, "the body is empty"),
            ("POST /preprepare", "hello".into(), 400, "not JSON"),
            ("POST /preprepare", "{\"data\":".into(), 400, "not JSON"),
            ("POST /preprepare", "{}".into(), 400, "no data"),
            ("POST /preprepare", "[1]".into(), 400, "no data"),
            ("POST /preprepare", "{\"data\":null}".into(), 400, "no data"),
            ("POST /preprepare", "{\"data\":\"\"}".into(), 400, "data is empty"),
            ("POST /preprepare", "[".repeat(10_000), 400, "not JSON"),
            ("POST /preprepare", long(1_001), 413, "the limit is 1000 bytes"),
            ("POST /preprepare", long(20_000_000), 413, "limit is"),
            ("POST /preprepare?settle=x", "{\"data\":\"a\"}".into(), 400, "?settle=MS"),
            ("POST /preprepare?settle=-1", "{\"data\":\"a\"}".into(), 400, "?settle=MS"),
            ("POST /preprepare?settle=20001", "{\"data\":\"a\"}".into(), 400, "from 0 to 20000"),
            ("POST /preprepare?wait=1", "{\"data\":\"a\"}".into(), 400, "?settle=MS"),
            ("GET /preprepare", String::new(), 405, "takes POST, OPTIONS, not GET"),
            ("DELETE /status", String::new(), 405, "takes GET, HEAD, OPTIONS, not DELETE"),
            ("PUT /faults", String::new(), 405, "takes GET, HEAD, POST, OPTIONS, not PUT"),
            ("GET /peer", String::new(), 405, "takes POST"),
            ("GET /nonsense", String::new(), 404, "POST /preprepare"),
            ("GET /log?from=x", String::new(), 400, "/log?from=A&to=B"),
            ("GET /log?since=1", String::new(), 400, "since=1"),
            ("POST /faults", "{\"faults\":[\"lazy\"]}".into(), 400, "known: offline"),
            ("POST /faults", "{\"faults\":[\"partial=4\"]}".into(), 400, "there is no node 4"),
            ("PUT /links", String::new(), 405, "takes GET, HEAD, POST, OPTIONS, not PUT"),
            ("POST /links", "{\"cut\":[4]}".into(), 400, "ids run from 0 to 3"),
            ("POST /links", "{\"loss\":1.5}".into(), 400, "goes from 0 to 1"),
            ("POST /links", "{\"cuts\":[1]}".into(), 400, "\"cut\": [2, 3]"),
            ("POST /faults", "{\"fault\":[]}".into(), 400, "\"faults\""),
            ("POST /faults", "x".repeat(100_000), 413, "limit is 65536 bytes"),
        ];
        for (request, body, status, says) in cases {
            let answer = send(node, request, "", body.as_bytes()).await;
            assert_eq!(answer.status, status, "{request}: {}", answer.body);
            let error = answer.json()["error"].as_str().unwrap().to_owned();
            assert!(error.contains(says), "{request}: {error}");
            assert_eq!(answer.head.contains("\r\nallow: "), status == 405, "{}", answer.head);
        }
        let chunked = format!(
            "POST /preprepare HTTP/1.1\r\nhost: {node}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        let pieces =
            [chunked.as_bytes(), b"8\r\n{\"data\":\r\n", b"4\r\n\"ab\"\r\n", b"1\r\n}\r\n0\r\n\r\n"].concat();
        assert_eq!(send_raw(node, &pieces).await.status, 200);
        assert_eq!(
            send(node, "POST /preprepare", "", long(1_000).as_bytes()).await.status,
            200,
            "the limit itself"
        );
        assert_eq!(send_raw(node, b"\x00\x01\x02 not http\r\n\r\n").await.status, 400);
        cluster.assert_unharmed();
    });
}

#[test]
fn a_node_with_wrong_votes_is_outvoted_and_counted() {
    run(async {
        let setup = Setup { faults: vec![(2, "malicious")], ..Setup::default() };
        let cluster = TestCluster::start(4, setup).await;
        let answer = post(cluster.addresses[1], "/preprepare?settle=5000", "{\"data\":\"truth\"}").await;
        let json = answer.json();
        assert_eq!((&json["outcome"], &json["result"]), (&json!("decided"), &json!("truth")));
        let tally = |node: u64, correct: u64, corrupt: u64| json!({ "node": node, "correct": correct, "corrupt": corrupt });
        assert_eq!(json["nodes"], json!([tally(0, 2, 1), tally(1, 2, 1), tally(2, 3, 0), tally(3, 2, 1)]));
        assert_eq!(cluster.status(2).await["faults"], json!(["malicious"]));
    });
}

#[test]
fn an_offline_node_serves_the_experimenter_and_nobody_else() {
    run(async {
        let cluster = TestCluster::start(4, Setup::default()).await;
        let node = cluster.addresses[3];
        let set = post(node, "/faults", "{\"faults\":[\"offline\"]}").await;
        assert_eq!((set.status, set.json()), (200, json!({ "faults": ["offline"] })));
        assert_eq!(ask(node, "a").await.status, 503);
        assert_eq!(send(node, "GET /log?from=1&to=1", "x-from: 0\r\n", b"").await.status, 503);
        let answer = post(cluster.addresses[0], "/preprepare?settle=50", "{\"data\":\"b\"}").await.json();
        assert_eq!(answer["not_answered"], json!([3]));
        assert_eq!(answer["nodes"][0], json!({ "node": 0, "correct": 2, "corrupt": 0 }));
        assert_eq!(get_json(node, "/faults").await, json!({ "faults": ["offline"] }));
        assert_eq!(get_json(node, "/log").await["rows"], json!([]));
        let set = post(node, "/faults", "{\"faults\":[\"delay=1ms\",\"drop=0\"]}").await;
        assert_eq!(set.json(), json!({ "faults": ["delay=1ms", "drop=0"] }));
        assert_eq!(ask(cluster.addresses[1], "c").await.status, 200);
        cluster.assert_unharmed();
    });
}

#[test]
fn an_undecided_request_is_answered_with_what_is_known_and_never_a_time() {
    run(async {
        let setup = Setup { timeout_ms: Some(60), faults: vec![(0, "offline")], ..Setup::default() };
        let cluster = TestCluster::start(4, setup).await;
        let node = cluster.addresses[1];
        let answer = post(node, "/preprepare", "{\"data\":\"a\"}").await;
        let json = answer.json();
        assert_eq!((answer.status, &json["outcome"], &json["replies"]), (504, &json!("timeout"), &json!(0)));
        assert_eq!(json["nodes"], json!([{ "node": 1, "correct": 0, "corrupt": 0 }]));
        assert_eq!((&json["not_answered"], &json["undecided_slot"]), (&json!([0, 2, 3]), &json!(1)));
        let error = json["error"].as_str().unwrap();
        assert!(error.contains("0 of 2 matching replies") && error.contains("commander 0"), "{error}");
        assert!(!answer.body.contains("consensus_"), "{}", answer.body);
        let text = send(node, "POST /preprepare", "accept: text/plain\r\n", b"{\"data\":\"b\"}").await;
        assert_eq!(text.status, 504);
        assert!(
            !text.body.contains("Consensus Time") && text.body.contains("Node 0 -> no answer"),
            "{}",
            text.body
        );
        assert_eq!(cluster.status(1).await["requests_in_flight"], 0);
        post(cluster.addresses[0], "/faults", "{\"faults\":[]}").await;
        assert_eq!(ask(node, "c").await.status, 200);
    });
}

#[test]
fn a_lossy_link_loses_and_a_slow_one_delivers() {
    run(async {
        let link = node::LinkConditions { loss: 1.0, ..Default::default() };
        let setup = Setup { timeout_ms: Some(60), link, ..Setup::default() };
        let cluster = TestCluster::start(4, setup).await;
        assert_eq!(ask(cluster.addresses[0], "a").await.status, 504);
        // At half the timeout the gateway asked again.
        assert_eq!(cluster.status(0).await["counters"]["messages_out"], json!({ "order": 6 }));
        assert_eq!(cluster.status(1).await["counters"]["bytes_in"], 0);
    });
    run(async {
        let link = node::LinkConditions { delay_us: 300, ..Default::default() };
        let cluster = TestCluster::start(4, Setup { link, ..Setup::default() }).await;
        let asked: Vec<_> = (0..40)
            .map(|i| {
                let node = cluster.addresses[i % 4];
                tokio::task::spawn_local(async move { ask(node, &i.to_string()).await.status })
            })
            .collect();
        for asked in asked {
            assert_eq!(asked.await.unwrap(), 200);
        }
    });
}

#[test]
fn a_node_that_is_shut_down_is_gone_and_can_be_started_again() {
    run(async {
        let cluster = TestCluster::start(1, Setup::default()).await;
        let mut config = cluster.config(0);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        config.addresses = vec![address];
        for listener in [listener].into_iter().map(Some).chain([None]) {
            let listener = listener.unwrap_or_else(|| std::net::TcpListener::bind(address).unwrap());
            let replica = adversary::Adversary::new(Relay::default(), vec![]);
            let (ready, is_ready) = tokio::sync::oneshot::channel();
            let use_it = async {
                is_ready.await.unwrap();
                assert_eq!(ask(address, "a").await.status, 200);
            };
            let ready = || ready.send(()).unwrap();
            node::run(config.clone(), replica, listener, ready, use_it).await.unwrap();
        }
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
    });
}

#[test]
fn links_are_cut_and_healed_while_the_nodes_run() {
    run(async {
        let cluster = TestCluster::start(4, Setup { timeout_ms: Some(300), ..Setup::default() }).await;
        let node = cluster.addresses[1];
        assert_eq!(get_json(node, "/links").await, json!({ "delay_us": 0, "loss": 0.0, "cut": [] }));
        // Told to one side, neither direction delivers; the links stay up.
        assert_eq!(post(cluster.addresses[0], "/links", "{\"cut\": [1, 2]}").await.status, 200);
        assert_eq!(ask(node, "to the commander").await.status, 504);
        let from_commander = ask(cluster.addresses[3], "a").await;
        assert_eq!((from_commander.status, from_commander.json()["seq"].clone()), (200, json!(1)));
        let status = cluster.status(1).await;
        assert_eq!((&status["last_executed"], &status["peers_reachable"]), (&json!(0), &json!(3)));

        assert_eq!(post(cluster.addresses[0], "/links", "{\"delay_us\": 100}").await.status, 200);
        let slow = get_json(cluster.addresses[0], "/links").await;
        assert_eq!(slow, json!({ "delay_us": 100, "loss": 0.0, "cut": [] }));
        assert_eq!(ask(cluster.addresses[3], "b").await.json()["seq"], 2);
        cluster.until(1, |status| status["counters"]["messages_in"]["order"] == 1).await;
        cluster.assert_unharmed();
    });
}

//! The load generator against a made-up gateway that follows a script.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use harness::load::{self, Answer, LoadResult, LoadSpec, Progress, Targets};
use harness::plan::Load;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};

/// What the gateway does with the requests that reach it, numbered by arrival.
#[derive(Clone, Copy)]
enum Script {
    /// Decide at once.
    Decide,
    /// Say that it was not decided in time.
    TimeOut,
    /// Hold the answers from `first` on until request `last` has arrived.
    HoldFromTo { first: u64, last: u64 },
    /// Close the connection in the middle of the first `count` requests.
    HangUp { count: u64 },
}

struct Gateway {
    script: Script,
    arrived: watch::Sender<u64>,
    in_flight: Cell<usize>,
    most_in_flight: Cell<usize>,
    payloads: RefCell<Vec<usize>>,
}

impl Gateway {
    async fn answer(
        self: Rc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, std::io::Error> {
        // What a plain client sends, and nothing else.
        let headers: Vec<&str> = request.headers().keys().map(|name| name.as_str()).collect();
        assert_eq!(headers, ["content-type", "content-length"]);
        assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/preprepare"));
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        self.payloads.borrow_mut().push(json["data"].as_str().unwrap().len());
        let number = *self.arrived.borrow();
        self.arrived.send_modify(|arrived| *arrived += 1);
        self.in_flight.set(self.in_flight.get() + 1);
        self.most_in_flight.set(self.most_in_flight.get().max(self.in_flight.get()));
        // Lets all that is on its way arrive before the first is answered.
        tokio::task::yield_now().await;
        let answer = self.decide(number).await;
        self.in_flight.set(self.in_flight.get() - 1);
        answer
    }

    async fn decide(&self, number: u64) -> Result<Response<Full<Bytes>>, std::io::Error> {
        const DECIDED: &str = r#"{"outcome":"decided","protocol":"pbft","node":0,"seq":7,"view":0,"path":"direct",
            "consensus_time_s":0.000013,"consensus_us":12.5,"received_ns":1,"replies":2,"result":"7 00",
            "nodes":[{"node":0,"correct":6,"corrupt":0}],"not_answered":[1,2,3]}"#;
        const TIMEOUT: &str = r#"{"outcome":"timeout","error":"nobody","replies":1,"undecided_slot":7,"nodes":[],
            "not_answered":[0,1,2,3],"consensus_us":3.0}"#;
        match self.script {
            Script::HoldFromTo { first, last } if number >= first => {
                let mut arrived = self.arrived.subscribe();
                arrived.wait_for(|arrived| *arrived > last).await.unwrap();
            }
            Script::TimeOut => {
                let mut response = Response::new(Full::new(Bytes::from(TIMEOUT)));
                *response.status_mut() = hyper::StatusCode::GATEWAY_TIMEOUT;
                return Ok(response);
            }
            Script::HangUp { count } if number < count => return Err(std::io::Error::other("hangs up")),
            _ => {}
        }
        Ok(Response::new(Full::new(Bytes::from(DECIDED))))
    }
}

fn spec(address: SocketAddr, load: Load, requests: u64) -> LoadSpec {
    LoadSpec {
        targets: Targets::Gateways { nodes: vec![(0, address)], connections: 4 },
        load,
        max_in_flight: 4096,
        requests,
        app: apps::AppName::Opaque,
        payload_bytes: 100,
        fill_bytes: 0,
        seed: 1,
        timeout: Duration::from_secs(30),
        give_up_after: 2,
    }
}

/// Runs one load against one script.
fn drive(
    script: Script,
    load: Load,
    requests: u64,
    change: impl FnOnce(&mut LoadSpec),
) -> (LoadResult, Rc<Gateway>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let gateway = Rc::new(Gateway {
            script,
            arrived: watch::Sender::new(0),
            in_flight: Cell::new(0),
            most_in_flight: Cell::new(0),
            payloads: RefCell::default(),
        });
        let serving = Rc::clone(&gateway);
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let gateway = Rc::clone(&serving);
                spawn_local(async move {
                    let answer = service_fn(move |request| Rc::clone(&gateway).answer(request));
                    let _ = hyper::server::conn::http2::Builder::new(node::LocalTasks::default())
                        .serve_connection(TokioIo::new(stream), answer)
                        .await;
                });
            }
            Ok::<(), Infallible>(())
        });
        let mut spec = spec(address, load, requests);
        change(&mut spec);
        let progress = Progress::new(&spec);
        load::run(&spec, &progress).await;
        (progress.finish("not answered"), gateway)
    })
}

#[test]
fn a_closed_loop_keeps_as_many_in_flight_as_there_are_clients() {
    let (result, gateway) = drive(Script::Decide, Load::Closed { clients: 5 }, 200, |_| {});
    assert_eq!(result.samples.len(), 200);
    assert!(result.samples.iter().all(|sample| matches!(sample.answer, Answer::Decided(_))));
    assert!(result.samples.iter().all(|sample| sample.response_us.is_some()));
    assert_eq!(gateway.most_in_flight.get(), 5);
    assert_eq!(gateway.payloads.borrow().len(), 200);
    assert!(gateway.payloads.borrow().iter().all(|bytes| *bytes == 100));
    assert_eq!(result.cut_short, None);
}

#[test]
fn one_client_never_has_two_requests_in_flight() {
    let (result, gateway) = drive(Script::Decide, Load::Closed { clients: 1 }, 20, |_| {});
    assert_eq!(gateway.most_in_flight.get(), 1);
    for pair in result.samples.windows(2) {
        assert!(pair[1].intended_us >= pair[0].intended_us + pair[0].response_us.unwrap());
    }
}

#[test]
fn in_an_open_loop_a_stall_shows_in_every_request_that_it_delays() {
    let (first, last) = (10, 40);
    let load = Load::Open { rate_per_s: 2000.0 };
    // On one connection requests arrive in the order in which they are sent.
    let (result, _) = drive(Script::HoldFromTo { first, last }, load, 60, |spec| {
        if let Targets::Gateways { connections, .. } = &mut spec.targets {
            *connections = 1;
        }
    });
    assert_eq!(result.samples.len(), 60);
    for (number, sample) in result.samples.iter().enumerate() {
        // Due every 500 us exactly, stall or not.
        assert_eq!(sample.intended_us, number as u64 * 500);
        assert!(sample.sent_us.unwrap() >= sample.intended_us);
    }
    // Nothing held could be answered before the request that frees it was due.
    let freed_us = result.samples[last as usize].intended_us;
    let held = &result.samples[first as usize..last as usize];
    let waited = held.iter().filter(|s| s.intended_us + s.response_us.unwrap() >= freed_us).count();
    assert_eq!(waited, held.len());
}

#[test]
fn requests_that_wait_for_a_free_place_keep_their_due_time() {
    let load = Load::Open { rate_per_s: 10_000.0 };
    let (result, gateway) = drive(Script::Decide, load, 100, |spec| spec.max_in_flight = 1);
    assert_eq!(gateway.most_in_flight.get(), 1);
    assert_eq!(result.samples.len(), 100);
    for (number, sample) in result.samples.iter().enumerate() {
        assert_eq!(sample.intended_us, number as u64 * 100);
        let answered_us = sample.intended_us + sample.response_us.unwrap();
        assert!(answered_us >= sample.sent_us.unwrap());
    }
}

#[test]
fn timeouts_have_no_time_and_end_a_cell_in_which_nothing_is_decided() {
    let (result, _) = drive(Script::TimeOut, Load::Closed { clients: 1 }, 100, |_| {});
    assert_eq!(result.samples.len(), 2);
    for sample in &result.samples {
        assert_eq!(sample.answer, Answer::Timeout { replies: Some(1) });
        assert_eq!(sample.response_us, None);
    }
    assert!(result.cut_short.unwrap().contains("2 undecided in a row"));
    let (all, _) = drive(Script::TimeOut, Load::Closed { clients: 1 }, 30, |spec| spec.give_up_after = 0);
    assert_eq!(all.samples.len(), 30);
}

#[test]
fn a_broken_connection_is_an_error_and_the_next_request_opens_another() {
    let (result, _) = drive(Script::HangUp { count: 1 }, Load::Closed { clients: 1 }, 5, |_| {});
    assert!(matches!(result.samples[0].answer, Answer::Error(_)));
    assert_eq!(result.samples[0].response_us, None);
    let decided = result.samples.iter().filter(|s| matches!(s.answer, Answer::Decided(_))).count();
    assert_eq!((result.samples.len(), decided), (5, 4));
}

#[test]
fn a_dead_gateway_is_an_error_for_each_request() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (result, _) = drive(Script::Decide, Load::Closed { clients: 1 }, 50, |spec| {
        spec.targets = Targets::Gateways { nodes: vec![(3, unused)], connections: 4 };
    });
    assert_eq!(result.samples.len(), 2);
    for sample in &result.samples {
        assert!(matches!(&sample.answer, Answer::Error(text) if text.contains("refused")), "{sample:?}");
        assert_eq!((sample.gateway, sample.response_us, sample.sent_us), (3, None, None));
    }
}

//! What the load generator adds by itself.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::{Context, Result};
use apps::AppName;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use node::LocalTasks;
use tokio::task::LocalSet;

use crate::base::console::say;
use crate::base::exit::NotMeasured;
use crate::cluster::ports;
use crate::cluster::procfs::this_thread_cpu_us;
use crate::load::{self, Answer, LoadSpec, Progress, Targets};
use crate::plan::{Load, Plan};

/// What one load cost.
#[derive(Clone, Copy, Debug)]
pub struct Overhead {
    /// CPU time of the load generator per request, microseconds.
    pub cpu_us_per_request: f64,
    /// Requests per second against a server that answers at once.
    pub rate_per_s: f64,
    /// Median time from sending to the complete answer, microseconds.
    pub p50_us: u64,
}

/// Measures with each number of clients, and prints it.
pub async fn print_each(clients: &[usize], payload: usize, requests: u64) -> Result<()> {
    check_payload(payload)?;
    if requests == 0 || clients.is_empty() || clients.contains(&0) {
        anyhow::bail!("--requests and --clients take numbers from 1 up, such as --clients 1,512");
    }
    say(format_args!(
        "The load generator against a server that answers at once ({} bytes of data):",
        payload
    ));
    let address = answer_at_once().context(NotMeasured)?;
    for clients in clients {
        let overhead = measure(address, *clients, payload, requests).await.context(NotMeasured)?;
        say(format_args!(
            "  {clients:>5} clients: {:.1} us of CPU per request in the load generator, {:.0} requests/s, p50 {} us \
             (server included)",
            overhead.cpu_us_per_request, overhead.rate_per_s, overhead.p50_us
        ));
    }
    Ok(())
}

/// Refuses a payload that no node would take.
pub fn check_payload(bytes: usize) -> Result<()> {
    let most = node::DEFAULT_MAX_DATA_BYTES;
    if !(1..=most).contains(&bytes) {
        anyhow::bail!("--payload takes 1 to {most} bytes, not {bytes}");
    }
    Ok(())
}

/// Sends requests to a server that answers at once.
pub async fn measure(
    address: SocketAddr,
    clients: usize,
    payload_bytes: usize,
    requests: u64,
) -> Result<Overhead> {
    let spec = LoadSpec {
        targets: Targets::Gateways {
            nodes: vec![(0, address)],
            connections: Plan::default().connections.min(clients),
        },
        load: Load::Closed { clients },
        max_in_flight: clients,
        requests,
        app: AppName::Opaque,
        payload_bytes,
        fill_bytes: 0,
        seed: 1,
        timeout: Duration::from_secs(10),
        give_up_after: 2,
    };
    let warm_up = LoadSpec { requests: requests.min(1000), ..spec.clone() };
    load::run(&warm_up, &Progress::new(&warm_up)).await;
    let progress = Progress::new(&spec);
    let before = this_thread_cpu_us();
    load::run(&spec, &progress).await;
    let used = this_thread_cpu_us().zip(before).map_or(0, |(after, before)| after - before);
    let result = progress.finish("no answer");
    if let Some(Answer::Error(error)) =
        result.samples.iter().map(|s| &s.answer).find(|a| matches!(a, Answer::Error(_)))
    {
        anyhow::bail!("a request failed: {error}");
    }
    let mut times: Vec<u64> = result.samples.iter().filter_map(|sample| sample.response_us).collect();
    times.sort_unstable();
    Ok(Overhead {
        cpu_us_per_request: used as f64 / requests as f64,
        rate_per_s: requests as f64 / result.elapsed.as_secs_f64(),
        p50_us: times.get(times.len().saturating_sub(1) / 2).copied().unwrap_or(0),
    })
}

/// A server on a thread of its own, which ends with this process.
pub fn answer_at_once() -> Result<SocketAddr> {
    let listener: TcpListener = ports::bind_free(1)?.remove(0);
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("answers".into()).spawn(move || {
        let tasks = LocalSet::new();
        tasks.block_on(&runtime, async {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::task::spawn_local(async move {
                    let serve = http2::Builder::new(LocalTasks::default())
                        .serve_connection(TokioIo::new(stream), service_fn(answer));
                    // The client closed its connection.
                    let _ = serve.await;
                });
            }
        });
    })?;
    Ok(address)
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    const ANSWER: &str = "{\"outcome\":\"decided\",\"protocol\":\"pbft\",\"node\":0,\"seq\":1,\"view\":0,\
        \"path\":\"direct\",\"consensus_time_s\":0.000001,\"consensus_us\":1.0,\"received_ns\":1,\"replies\":2,\
        \"result\":\"\",\"nodes\":[{\"node\":0,\"correct\":6,\"corrupt\":0},{\"node\":1,\"correct\":5,\"corrupt\":0}],\
        \"not_answered\":[2,3]}";
    // Taken in whole, as a node does.
    let _ = request.into_body().collect().await;
    Ok(Response::new(Full::new(Bytes::from_static(ANSWER.as_bytes()))))
}

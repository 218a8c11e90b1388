//! What a client that is not ours gets, beside what `compare` shows: response times of
//! `POST /preprepare` with a JSON body and no header of ours, one request at a time, at
//! the commander of a cluster of four processes.
//!
//! The load generator of `compare`, the HTTP library ureq and ApacheBench (`ab`) take
//! turns at the same cluster. Prints the median of each and its ratio to the load
//! generator's, over all rounds; asserts no time.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use apps::AppName;
use harness::cluster::{Cluster, ClusterSpec, observe};
use harness::load::{self, Answer, Bodies, LoadSpec, Progress, Targets};
use harness::plan::{Load, Plan, ProtocolName};
use tokio::task::LocalSet;

const NODES: u16 = 4;
const PAYLOAD_BYTES: usize = 100;
const SEED: u64 = 1;
const ROUNDS: usize = 7;
const REQUESTS: u64 = 1000;
const WARM_UP: u64 = 300;
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends so many requests to a node, and returns the median of their response times,
/// microseconds.
type Client<'a> = (&'static str, &'a dyn Fn(SocketAddr, u64) -> Result<f64>);

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let body = folder.path().join("body.json");
    std::fs::write(&body, Bodies::new(AppName::Opaque, PAYLOAD_BYTES, SEED, &[0]).body(0, 0))?;
    let with_ab = |address, requests| apache_bench(address, requests, &body);
    let mut clients: Vec<Client> = vec![("load generator", &load_generator), ("ureq", &ureq_client)];
    match Command::new("ab").arg("-V").output() {
        Ok(_) => clients.push(("ab", &with_ab)),
        Err(_) => println!("ab is not installed (apt-get install apache2-utils), so it is left out\n"),
    }
    println!(
        "p50 of the response time, {NODES} nodes, {PAYLOAD_BYTES} bytes, one request at a time, \
         {ROUNDS} rounds of {REQUESTS} requests:"
    );
    for protocol in [ProtocolName::Pbft, ProtocolName::Ccro] {
        let rounds = measure(protocol, &clients)?;
        print(protocol, &clients, &rounds);
    }
    Ok(())
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// The median of each client in each round.
fn measure(protocol: ProtocolName, clients: &[Client]) -> Result<Vec<Vec<f64>>> {
    let plan = Plan { protocols: vec![protocol], nodes: vec![NODES], seed: SEED, ..Plan::default() };
    let cell = plan.cells()?.remove(0);
    let executable = PathBuf::from(env!("CARGO_BIN_EXE_harness"));
    let spec = ClusterSpec { executable, ..ClusterSpec::of(&plan, &cell) };
    let cluster = LocalSet::new().block_on(&runtime()?, start(&spec))?;
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let requests = if round == 0 { WARM_UP } else { REQUESTS };
        let mut medians = vec![0.0; clients.len()];
        // Each begins in turn, so that a drift of the machine hits all alike.
        for place in (0..clients.len()).map(|place| (place + round) % clients.len()) {
            let (name, send) = clients[place];
            medians[place] = send(cluster.addresses()[0], requests).context(name)?;
        }
        rounds.push(medians);
    }
    rounds.remove(0);
    Ok(rounds)
}

async fn start(spec: &ClusterSpec) -> Result<Cluster> {
    let cluster = Cluster::start(spec).await?;
    let all: Vec<u16> = (0..NODES).collect();
    ensure!(observe::wait_connected(cluster.addresses(), &all, TIMEOUT).await, "the nodes do not connect");
    Ok(cluster)
}

fn print(protocol: ProtocolName, clients: &[Client], rounds: &[Vec<f64>]) {
    println!("\n{protocol}");
    for (place, (name, _)) in clients.iter().enumerate() {
        let of_client = |values: &dyn Fn(&Vec<f64>) -> f64| {
            let mut all: Vec<f64> = rounds.iter().map(values).collect();
            let middle = median(&mut all);
            (middle, all[0], all[all.len() - 1])
        };
        let (p50, low, high) = of_client(&|round| round[place]);
        print!("  {name:<15} {p50:>6.0} µs ({low:.0} to {high:.0})");
        if place > 0 {
            let (ratio, low, high) = of_client(&|round| round[place] / round[0]);
            print!("   {ratio:.2} of the load generator's ({low:.2} to {high:.2})");
        }
        println!();
    }
}

/// The lower of the two in the middle, as in all results. Sorts the values.
fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[(values.len() - 1) / 2]
}

/// As in `compare`.
fn load_generator(address: SocketAddr, requests: u64) -> Result<f64> {
    let spec = LoadSpec {
        targets: Targets::Gateways { nodes: vec![(0, address)], connections: 1 },
        load: Load::Closed { clients: 1 },
        max_in_flight: 1,
        requests,
        app: AppName::Opaque,
        payload_bytes: PAYLOAD_BYTES,
        fill_bytes: 0,
        seed: SEED,
        timeout: TIMEOUT,
        give_up_after: 1,
    };
    let progress = Progress::new(&spec);
    LocalSet::new().block_on(&runtime()?, load::run(&spec, &progress));
    let mut times = Vec::new();
    for sample in progress.finish("no answer").samples {
        match (&sample.answer, sample.response_us) {
            (Answer::Decided(_), Some(us)) => times.push(us as f64),
            (answer, _) => bail!("a request was not decided: {answer:?}"),
        }
    }
    Ok(median(&mut times))
}

/// A library that nothing else here uses: HTTP/1.1, one connection.
fn ureq_client(address: SocketAddr, requests: u64) -> Result<f64> {
    let agent = ureq::Agent::new_with_defaults();
    let bodies = Bodies::new(AppName::Opaque, PAYLOAD_BYTES, SEED, &[0]);
    let url = format!("http://{address}/preprepare");
    let mut times = Vec::new();
    for request in 0..requests {
        let body = bodies.body(request, 0);
        let sent = Instant::now();
        // What is not 200 is an error.
        let mut answer = agent.post(&url).content_type("application/json").send(&body[..])?;
        answer.body_mut().read_to_string()?;
        times.push(sent.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(&mut times))
}

/// ApacheBench: HTTP/1.0, one connection that is kept.
fn apache_bench(address: SocketAddr, requests: u64, body: &Path) -> Result<f64> {
    let percentiles = body.with_extension("csv");
    let output = Command::new("ab")
        .args(["-q", "-l", "-k", "-c", "1", "-T", "application/json", "-n", &requests.to_string()])
        .arg("-p")
        .arg(body)
        .arg("-e")
        .arg(&percentiles)
        .arg(format!("http://{address}/preprepare"))
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let all_decided = said.contains("Failed requests:        0") && !said.contains("Non-2xx");
    ensure!(output.status.success() && all_decided, "{said}{}", String::from_utf8_lossy(&output.stderr));
    let table = std::fs::read_to_string(&percentiles)?;
    let p50 =
        table.lines().find_map(|line| line.strip_prefix("50,")).context("no 50 % in the table of ab")?;
    Ok(p50.trim().parse::<f64>()? * 1e3)
}

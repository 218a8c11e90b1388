//! `harness client`.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use apps::{AppName, BankOutput, KvOutput, SetOutput, workload};
use client::driver::{Client, Failure, Setup};
use kernel::{Operation, Output, ReplicaId};
use tokio::task::spawn_local;

use super::verify;
use crate::base::console::{say, warn};
use crate::base::exit::{NO, NOT_LIVE};
use crate::cli::client::{Asked, ClientArgs, ClientCommand};
use crate::config::{ClusterConfig, key_file};
use crate::results::statistics::quantile;

/// How long `status` and `bench` wait for links.
const CONNECTING: Duration = Duration::from_secs(2);

/// Runs the command and returns the exit code.
pub async fn run(args: ClientArgs) -> Result<u8> {
    let config = args.cluster()?;
    let asked = args.command.asked();
    ensure!(
        asked.is_some() || args.evidence.is_none(),
        "--evidence is about one answer, which this command does not have; leave it out"
    );
    if let ClientCommand::Verify { file } = &args.command {
        return verify::run(file, &config);
    }
    if let Some(asked) = &asked {
        asked.check(config.app)?;
    }
    let client = Client::connect(setup(&args, &config)?)?;
    match (asked, &args.command) {
        (Some(asked), _) => ask(&client, &asked, args.evidence.as_deref()).await,
        (None, ClientCommand::Bench { requests, clients, payload }) => {
            bench(&client, config.app, *requests, *clients, *payload).await
        }
        (None, _) => status(&client, &config).await,
    }
}

fn setup(args: &ClientArgs, config: &ClusterConfig) -> Result<Setup> {
    let (place, name) = args.client(config)?;
    let n = config.n();
    let secret = key_file::read(&args.key_file(name))?;
    ensure!(
        secret.public_key() == config.clients[usize::from(place)].public_key,
        "the secret key is not that of client {name:?}; give the client's own key file with --key"
    );
    ensure!(
        args.timeout > 0.0 && args.timeout <= 3600.0,
        "--timeout is {}; it must be more than 0 and at most 3600 seconds",
        args.timeout
    );
    let public_keys = config.nodes.iter().map(|node| node.public_key).collect();
    let addresses = config.nodes.iter().map(|node| node.address).collect();
    let mut setup = Setup::new(config.identity(), ReplicaId(n + place), secret, public_keys, addresses);
    setup.replies_needed = config.protocol.tolerates(n) + 1;
    setup.timeout = Duration::from_secs_f64(args.timeout);
    let remind_after_us = config.options.waits.remind_after_us(config.timeout_us);
    setup.remind_after = Duration::from_micros(remind_after_us.max(1)).min(setup.timeout / 2);
    setup.batch_max = config.options.batch_max;
    Ok(setup)
}

async fn ask(client: &Client, asked: &Asked, evidence: Option<&Path>) -> Result<u8> {
    let operation = match asked {
        Asked::Kv(operation) => {
            operation.check()?;
            operation.encode()
        }
        Asked::Bank(operation) => {
            operation.check()?;
            operation.encode()
        }
        Asked::Set(operation) => {
            operation.check()?;
            operation.encode()
        }
    };
    let decision = match client.submit(operation).await {
        Ok(decision) => decision,
        Err(failure) => return no_result(&failure),
    };
    if let Some(file) = evidence {
        fs::write(file, serde_json::to_vec(&decision.evidence)?).with_context(|| {
            format!("the request was decided, and its evidence cannot be written to {}", file.display())
        })?;
    }
    match asked {
        Asked::Kv(_) => show_kv(&decision.result),
        Asked::Bank(_) => show_bank(&decision.result),
        Asked::Set(_) => show_set(&decision.result),
    }
}

fn no_result(failure: &Failure) -> Result<u8> {
    match failure {
        Failure::TimedOut { .. } => {
            warn(format_args!("error: {failure}; it may still be executed, once"));
            Ok(NOT_LIVE)
        }
        other => bail!("{other}"),
    }
}

fn show_kv(result: &Output) -> Result<u8> {
    match KvOutput::decode(result).context("the nodes answer what is no answer of a key-value store")? {
        KvOutput::Value(Some(value)) => say(value),
        KvOutput::Value(None) => return no("the key has no value"),
        KvOutput::Stored { created: true } => say("created"),
        KvOutput::Stored { created: false } => say("replaced"),
        KvOutput::Deleted { existed: true } => say("deleted"),
        KvOutput::Deleted { existed: false } => return no("the key has no value"),
        KvOutput::Compared { swapped: true, .. } => say("swapped"),
        KvOutput::Compared { swapped: false, current } => match current {
            Some(value) => return no(&format!("not swapped: the value is {value:?}")),
            None => return no("not swapped: the key has no value"),
        },
        KvOutput::Listed { entries, more } => {
            entries.iter().for_each(|(key, value)| say(format_args!("{key}\t{value}")));
            if let (true, Some((last, _))) = (more, entries.last()) {
                warn(format_args!("there are more; ask with --after {last:?}"));
            }
        }
        KvOutput::Refused(refusal) => return no(&refusal.to_string()),
    }
    Ok(0)
}

fn show_bank(result: &Output) -> Result<u8> {
    match BankOutput::decode(result).context("the nodes answer what is no answer of a bank")? {
        BankOutput::Opened => say("opened"),
        BankOutput::Balance(amount) => say(amount),
        BankOutput::Done => say("done"),
        BankOutput::Refused(refusal) => return no(&refusal.to_string()),
    }
    Ok(0)
}

fn show_set(result: &Output) -> Result<u8> {
    match SetOutput::decode(result).context("the nodes answer what is no answer of a set")? {
        SetOutput::Added => say("added"),
        SetOutput::Removed => say("removed"),
        SetOutput::Contains(true) => say("yes"),
        SetOutput::Contains(false) => return no("it is not in the set"),
        SetOutput::Listed { members, more } => {
            members.iter().for_each(say);
            if let (true, Some(last)) = (more, members.last()) {
                warn(format_args!("there are more; ask with --after {last:?}"));
            }
        }
        SetOutput::Refused(refusal) => return no(&refusal.to_string()),
    }
    Ok(0)
}

fn no(why: &str) -> Result<u8> {
    warn(why);
    Ok(NO)
}

/// Waits for a moment until every node takes the link; returns how many do.
async fn connected(client: &Client, n: usize) -> Result<usize> {
    let began = Instant::now();
    loop {
        let connected = client.seen().await?.connected;
        if connected == n || began.elapsed() > CONNECTING {
            return Ok(connected);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn status(client: &Client, config: &ClusterConfig) -> Result<u8> {
    let (n, needed) = (usize::from(config.n()), config.protocol.tolerates(config.n()) + 1);
    let connected = connected(client, n).await?;
    say(format_args!("{connected} of {n} nodes take this client's link; a result needs {needed} of them"));
    if connected < n {
        warn(format_args!("a node without a link says: {}", client.seen().await?.last_error));
    }
    Ok(if connected < needed { NOT_LIVE } else { 0 })
}

/// The request of a benchmark.
fn operation(app: AppName, request: u64, payload: usize) -> Operation {
    match app {
        AppName::Opaque => Operation::new(&vec![b'x'; payload]),
        AppName::Kv => workload::put(request, payload).encode(),
        AppName::Bank => workload::transfer(request, 0, &[0]).encode(),
        AppName::Set => workload::addition(request).encode(),
    }
}

async fn bench(client: &Client, app: AppName, requests: u64, clients: u64, payload: usize) -> Result<u8> {
    ensure!(requests > 0 && clients > 0, "--requests and --clients must be at least 1");
    if app == AppName::Bank {
        for step in workload::preparation(&[0]) {
            for (_, operation) in step {
                if let Err(failure) = client.submit(operation.encode()).await {
                    return no_result(&failure);
                }
            }
        }
    }
    let next = Rc::new(Cell::new(0));
    let began = Instant::now();
    let senders: Vec<_> = (0..clients.min(requests))
        .map(|_| {
            let (client, next) = (client.clone(), Rc::clone(&next));
            spawn_local(async move {
                let (mut times, mut failures) = (Vec::new(), Vec::new());
                while next.get() < requests {
                    let request = next.replace(next.get() + 1);
                    let began = Instant::now();
                    match client.submit(operation(app, request, payload)).await {
                        Ok(_) => times.push(began.elapsed().as_nanos() as u64),
                        Err(failure) => failures.push(failure),
                    }
                }
                (times, failures)
            })
        })
        .collect();
    let (mut times, mut failures) = (Vec::new(), Vec::new());
    for sender in senders {
        let (more_times, more_failures) = sender.await?;
        times.extend(more_times);
        failures.extend(more_failures);
    }
    let took = began.elapsed();
    show_times(&mut times, took);
    if let Some(failure) = failures.first() {
        warn(format_args!("{} requests have no result; the first: {failure}", failures.len()));
        return Ok(NOT_LIVE);
    }
    Ok(0)
}

/// `times` are nanoseconds.
fn show_times(times: &mut [u64], took: Duration) {
    times.sort_unstable();
    say(format_args!(
        "{} requests decided in {:.2} s: {:.0} a second",
        times.len(),
        took.as_secs_f64(),
        times.len() as f64 / took.as_secs_f64()
    ));
    for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)] {
        if let Some(time_ns) = quantile(times, share) {
            say(format_args!("{name:>6} {:.2} ms", time_ns as f64 / 1e6));
        }
    }
}

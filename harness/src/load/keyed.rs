//! Requests under a key of their own, and replies that are checked here.

use std::time::Instant;

use anyhow::{Context as _, Result};
use client::driver::{Client, Failure, Setup};
use kernel::Output;
use tokio::task::JoinSet;

use super::bodies::Bodies;
use super::progress::Progress;
use super::samples::{Answer, Decision};
use super::spec::LoadSpec;

/// A client with a key, connected to all replicas.
pub(super) struct Replicas {
    id: u16,
    client: Client,
    bodies: Bodies,
}

impl Replicas {
    pub(super) fn new(spec: &LoadSpec, setup: &Setup) -> Result<Replicas> {
        let bodies = Bodies::new(spec.app, spec.payload_bytes, spec.seed, &spec.targets.ids());
        let client = Client::connect(Setup { timeout: spec.timeout, ..setup.clone() })?;
        Ok(Replicas { client, id: setup.id.0, bodies })
    }

    /// One request and its answer. Consensus time is that of the client: from when it has
    /// the request to the reply that completes the quorum.
    pub(super) async fn exchange(&self, request: usize, progress: &Progress) -> Answer {
        let operation = self.bodies.operation(request as u64, self.id);
        progress.sent(request);
        let (received_ns, began) = (node::now_ns(), Instant::now());
        match self.client.submit(operation).await {
            Ok(decision) => Answer::Decided(Decision {
                seq: decision.seq.0,
                consensus_us: began.elapsed().as_nanos() as f64 / 1e3,
                received_ns,
                replies: decision.evidence.replies.len() as u64,
                view: decision.view.0,
                result: readable(&decision.result),
            }),
            Err(Failure::TimedOut { replies, .. }) => Answer::Timeout { replies: Some(replies as u64) },
            Err(failure) => Answer::Error(failure.to_string()),
        }
    }

    pub(super) async fn prepare(&self) -> Result<()> {
        for stage in self.bodies.operations_before() {
            let mut running = JoinSet::new();
            for operation in stage {
                let client = self.client.clone();
                running.spawn(async move { client.submit(operation).await });
            }
            while let Some(decided) = running.join_next().await {
                decided?.context("not all that the requests need was decided")?;
            }
        }
        Ok(())
    }
}

fn readable(result: &Output) -> String {
    String::from_utf8_lossy(&result.0).into_owned()
}

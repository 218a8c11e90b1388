//! The two ways in which requests are sent.

use anyhow::Result;

use super::http::Gateways;
use super::keyed::Replicas;
use super::progress::Progress;
use super::samples::Answer;
use super::spec::{LoadSpec, Targets};

/// Makes requests and reads answers.
pub(super) enum Sender {
    Gateways(Gateways),
    Replicas(Replicas),
}

impl Sender {
    pub(super) fn new(spec: &LoadSpec) -> Result<Sender> {
        Ok(match &spec.targets {
            Targets::Gateways { nodes, connections } => {
                Sender::Gateways(Gateways::new(spec, nodes, *connections))
            }
            Targets::Replicas(setup) => Sender::Replicas(Replicas::new(spec, setup)?),
        })
    }

    /// One request and its answer. `target` is its place in [`Targets::ids`]; connections
    /// are used round robin, by `number`.
    pub(super) async fn exchange(
        &self,
        request: usize,
        target: usize,
        number: usize,
        progress: &Progress,
    ) -> Answer {
        match self {
            Sender::Gateways(gateways) => gateways.exchange(request, target, number, progress).await,
            Sender::Replicas(replicas) => replicas.exchange(request, progress).await,
        }
    }

    /// Does what must be done before the requests, and waits for it to be decided.
    pub(super) async fn prepare(&self) -> Result<()> {
        match self {
            Sender::Gateways(gateways) => gateways.prepare().await,
            Sender::Replicas(replicas) => replicas.prepare().await,
        }
    }
}

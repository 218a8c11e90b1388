//! One simulated run of one flow: what it is made of, and how it is played. The command
//! line and the page play the same jobs, delivery by delivery.

use crate::options::Options;
use adversary::Behaviour;
use apps::{AppName, Service, workload};
use broadcast::{Data, DataType as _};
use kernel::{Cluster, ClusterId, Operation, Protocol, ReplicaId};
use sim::{Costs, Load, Network, Operations, Pace, Setup, Signatures, World};
use std::collections::BTreeSet;
use std::str::FromStr;

/// A member of a secure broadcast, with whatever is replicated.
pub type Member = broadcast::Replica<Data>;

/// A flow, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowName {
    /// Classic PBFT.
    Pbft,
    /// PBFT with authenticators instead of signatures.
    PbftMac,
    /// The same, with authenticators on requests as well.
    PbftMacRequests,
    /// CCRO with certificates.
    Ccro,
    /// CCRO with aggregate certificates: signatures of votes that add up to one.
    CcroAggregate,
    /// CCRO as published.
    CcroPaper,
    /// Secure broadcast.
    Broadcast,
}

impl FlowName {
    /// All of them.
    pub const ALL: [FlowName; 7] = [
        FlowName::Pbft,
        FlowName::PbftMac,
        FlowName::PbftMacRequests,
        FlowName::Ccro,
        FlowName::CcroAggregate,
        FlowName::CcroPaper,
        FlowName::Broadcast,
    ];

    /// As it is typed.
    pub fn as_str(self) -> &'static str {
        match self {
            FlowName::Pbft => "pbft",
            FlowName::PbftMac => "pbft-mac",
            FlowName::PbftMacRequests => "pbft-mac-requests",
            FlowName::Ccro => "ccro",
            FlowName::CcroAggregate => "ccro-aggregate",
            FlowName::CcroPaper => "ccro-paper",
            FlowName::Broadcast => "broadcast",
        }
    }

    /// Faulty nodes that it tolerates among so many.
    pub fn tolerates(self, nodes: u16) -> usize {
        match self {
            FlowName::CcroPaper => ccro::paper::max_faulty(nodes),
            _ => kernel::cluster::max_faulty(nodes),
        }
    }

    /// Votes that decide: the published flow has its own `f`, and decides on `2f+1` of it.
    pub fn quorum(self, cluster: &Cluster) -> usize {
        match self {
            FlowName::CcroPaper => 2 * self.tolerates(cluster.n) + 1,
            _ => cluster.quorum(),
        }
    }

    /// The smallest cluster that it runs in.
    pub fn least_nodes(self) -> u16 {
        match self {
            FlowName::CcroPaper => 3,
            _ => 1,
        }
    }

    /// Whether there is an order of all requests, which applications with one state for all need.
    pub fn orders_everything(self) -> bool {
        self != FlowName::Broadcast
    }

    /// Refuses an application that cannot be had so.
    ///
    /// # Errors
    ///
    /// What would do.
    pub fn check_app(self, app: AppName) -> Result<(), String> {
        match self.orders_everything() || Data::new(app).is_some() {
            true => Ok(()),
            false => Err(format!(
                "{} gives requests of different nodes no order, which {app} needs; it replicates opaque, a log for each \
                 node, bank, with an owner for each account, and orswot, a set",
                self.as_str()
            )),
        }
    }
}

/// There is no flow of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no protocol; there are pbft, pbft-mac, pbft-mac-requests, ccro, ccro-aggregate, ccro-paper and broadcast"
)]
pub struct UnknownFlow(String);

impl FromStr for FlowName {
    type Err = UnknownFlow;

    fn from_str(text: &str) -> Result<FlowName, UnknownFlow> {
        FlowName::ALL.into_iter().find(|flow| flow.as_str() == text).ok_or_else(|| UnknownFlow(text.into()))
    }
}

/// What clients ask for.
#[derive(Clone, Debug)]
pub enum Asked {
    /// So many requests of a kind that the application is prepared for.
    Workload {
        /// Requests.
        requests: u64,
        /// Bytes that each carries, where the application lets one choose.
        payload_bytes: usize,
    },
    /// These, of an application in which nothing was done yet.
    Operations(Vec<Operation>),
}

/// All that one run is made of.
#[derive(Clone, Debug)]
pub struct Job {
    /// The flow.
    pub flow: FlowName,
    /// Replicas.
    pub nodes: u16,
    /// Everything random comes from it.
    pub seed: u64,
    /// What is replicated.
    pub app: AppName,
    /// What happens to messages in transit.
    pub network: Network,
    /// What work costs.
    pub costs: Costs,
    /// What signatures are made of.
    pub signatures: Signatures,
    /// Nodes that misbehave from the start, and how.
    pub faults: Vec<(u16, Vec<Behaviour>)>,
    /// Nodes that are down from the start.
    pub crashed: Vec<u16>,
    /// What replicas are configured with. A bundle holds as many requests as a slot orders.
    pub options: Options,
    /// The nodes that take requests, in turn.
    pub gateways: Vec<u16>,
    /// When requests come.
    pub pace: Pace,
    /// What they ask for.
    pub asked: Asked,
    /// How long a client waits for an answer.
    pub timeout_us: u64,
}

/// Something to be done with the world of a job, whatever its protocol.
pub trait Visitor {
    /// What comes of it.
    type Out;

    /// Does it.
    fn visit<P: Protocol + 'static>(self, world: World<P>) -> Self::Out;
}

impl Job {
    /// Faulty nodes that are tolerated.
    pub fn f(&self) -> usize {
        self.flow.tolerates(self.nodes)
    }

    /// Nodes that misbehave or are down from the start.
    fn faulty(&self) -> usize {
        let misbehaving = self.faults.iter().filter(|(_, behaviours)| !behaviours.is_empty());
        let ids = misbehaving.map(|(id, _)| id).chain(&self.crashed);
        ids.collect::<BTreeSet<_>>().len()
    }

    /// The world in which nothing has happened yet.
    ///
    /// # Panics
    ///
    /// If the network or the costs cannot be meant: check them first.
    pub fn visit<V: Visitor>(&self, visitor: V) -> V::Out {
        let (pbft, ccro) = (self.options.pbft(self.nodes), self.options.ccro(self.nodes));
        let (broadcast, nodes) = (self.options.broadcast(), self.nodes);
        let app = self.service();
        let setup = self.setup();
        match self.flow {
            FlowName::Pbft | FlowName::PbftMac | FlowName::PbftMacRequests => {
                visitor.visit(World::new(setup, move |_, memory| match memory {
                    sim::Memory::Fresh => pbft::Replica::new(pbft.clone(), app.clone()),
                    sim::Memory::Lost => pbft::Replica::recovering(pbft.clone(), app.clone()),
                }))
            }
            FlowName::Ccro | FlowName::CcroAggregate => {
                visitor.visit(World::new(setup, move |_, memory| match memory {
                    sim::Memory::Fresh => ccro::Replica::new(ccro.clone(), app.clone()),
                    sim::Memory::Lost => ccro::Replica::recovering(ccro.clone(), app.clone()),
                }))
            }
            FlowName::CcroPaper => {
                visitor.visit(World::new(setup, move |_, _| ccro::paper::Replica::new(&pbft, app.clone())))
            }
            FlowName::Broadcast => {
                let data = self.data();
                visitor.visit(World::new(setup, move |_, memory| match memory {
                    sim::Memory::Fresh => Member::new(broadcast.clone(), nodes, data.clone()),
                    sim::Memory::Lost => Member::recovering(broadcast.clone(), nodes, data.clone()),
                }))
            }
        }
    }

    fn service(&self) -> Service {
        match &self.asked {
            Asked::Workload { .. } => workload::prepared(self.app, &self.gateways),
            Asked::Operations(_) => Service::new(self.app),
        }
    }

    /// What members of a secure broadcast begin with.
    fn data(&self) -> Data {
        let mut data = Data::new(self.app).expect("the application was checked");
        if let (AppName::Bank, Asked::Workload { .. }) = (self.app, &self.asked) {
            for (owner, operation) in workload::preparation(&self.gateways).iter().flatten() {
                data.apply(ReplicaId(*owner), &operation.encode());
            }
        }
        data
    }

    /// The cluster.
    pub fn cluster(&self) -> Cluster {
        Cluster::new(ClusterId::derive("simulate", self.seed), self.flow.as_str(), self.nodes)
    }

    fn setup(&self) -> Setup {
        Setup {
            network: self.network.clone(),
            replies_needed: self.f() + 1,
            faults: self.faults.clone(),
            signatures: self.signatures,
            costs: self.costs,
            bundle_max: self.options.batch_max,
            results_are_places: self.app == AppName::Opaque && self.flow.orders_everything(),
            remind_after_us: self.options.waits.remind_after_us(self.timeout_us),
            ..Setup::new(self.cluster(), self.seed)
        }
    }

    /// Requests in all.
    pub fn requests(&self) -> u64 {
        match &self.asked {
            Asked::Workload { requests, .. } => *requests,
            Asked::Operations(operations) => operations.len() as u64,
        }
    }

    /// What the requests ask for.
    pub fn operations(&self) -> Operations {
        match (&self.asked, self.app) {
            (Asked::Operations(operations), _) => {
                let operations = operations.clone();
                Operations::new(move |request, _| operations[request as usize].clone())
            }
            (Asked::Workload { payload_bytes, .. }, AppName::Opaque) => Operations::numbered(*payload_bytes),
            (Asked::Workload { payload_bytes, .. }, AppName::Kv) => {
                let bytes = *payload_bytes;
                Operations::new(move |request, _| workload::put(request, bytes).encode())
            }
            (Asked::Workload { .. }, AppName::Set) => {
                Operations::new(|request, _| workload::addition(request).encode())
            }
            (Asked::Workload { .. }, AppName::Bank) => {
                let owners = self.gateways.clone();
                Operations::new(move |request, gateway| {
                    workload::transfer(request, gateway.0, &owners).encode()
                })
            }
        }
    }

    fn load(&self) -> Load {
        Load {
            gateways: self.gateways.clone(),
            pace: self.pace,
            requests: self.requests(),
            operations: self.operations(),
            timeout_us: self.timeout_us,
        }
    }

    /// Plays a world of this job from the first request to its end: until every request is
    /// answered or given up, then as long again as late answers may take, and until what is
    /// under way has arrived. `stopped` is asked before every event. Says when the load
    /// was over, if it was.
    pub fn play<P: Protocol>(
        &self,
        world: &mut World<P>,
        mut stopped: impl FnMut(&World<P>) -> bool,
    ) -> Option<LoadOver> {
        self.crashed.iter().for_each(|id| world.crash(ReplicaId(*id)));
        world.offer(self.load());
        let over = advance(world, &mut stopped, u64::MAX / 2_000, World::load_is_over)?;
        let load_over = LoadOver { at_us: world.now_us(), worked_us: world.worked_us() };
        let all_accepted = |world: &World<P>| world.accepted().len() == world.submitted();
        if over && self.faulty() <= self.f() && !all_accepted(world) {
            // What is undecided gets its chance: late is not never.
            advance(world, &mut stopped, 20 * self.timeout_us, all_accepted)?;
        }
        Some(load_over)
    }

    /// Lets what is under way arrive, so that all logs and counts are complete.
    pub fn settle<P: Protocol>(&self, world: &mut World<P>, mut stopped: impl FnMut(&World<P>) -> bool) {
        // Who was left behind with nobody asking for anything more gets it when timers run out.
        let resent_us =
            if self.flow.orders_everything() { 0 } else { 4 * self.options.waits.resend_after_us };
        let settling_us = 10 * self.network.slowest_us(self.nodes) + 50_000 + resent_us;
        advance(world, &mut stopped, settling_us, |_| false);
    }
}

/// The end of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOver {
    /// When every request was answered or given up, virtual microseconds.
    pub at_us: u64,
    /// What all nodes had spent on their work by then, microseconds.
    pub worked_us: u64,
}

/// Runs until `done` or for so long; says whether it was done. None if it was stopped.
fn advance<P: Protocol>(
    world: &mut World<P>,
    stopped: &mut impl FnMut(&World<P>) -> bool,
    at_most_us: u64,
    done: impl Fn(&World<P>) -> bool,
) -> Option<bool> {
    let mut is_stopped = false;
    let over = world.run_until(
        |world| {
            is_stopped = stopped(world);
            is_stopped || done(world)
        },
        at_most_us,
    );
    (!is_stopped).then_some(over)
}

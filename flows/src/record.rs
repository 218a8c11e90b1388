//! Plays a job and notes everything in a trace: another future of the same run, if it is
//! edited.

use crate::job::{FlowName, Job, Visitor};
use adversary::Behaviour;
use apps::AppName;
use kernel::{Cluster, ClusterId, Protocol, ReplicaId, Status};
use sim::swarm::{Flow, Schedule, Verdict};
use sim::{Alteration, Change, Intervention, Operations, World};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use trace::{About, Clock, Contents, Ending, Held, NodeChange, Recorder, Trace};

/// Something done to a run that is not part of its job.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Something happens at a time, virtual microseconds.
    At(u64, Intervention),
    /// Something happens to a copy of a message, by its ordinal in the run.
    Copy(u64, Alteration),
}

/// A recording ends when it has so many copies of messages.
pub const MOST_COPIES: usize = 500_000;

/// What is noted with a run, beside the run.
#[derive(Clone, Debug)]
pub struct Recorded<'a> {
    /// The run.
    pub job: &'a Job,
    /// What is done to it.
    pub edits: &'a [Edit],
    /// When the recording ends at the latest, virtual microseconds.
    pub limit_us: u64,
    /// See [`trace::Header::title`].
    pub title: String,
    /// See [`trace::Header::scenario`].
    pub scenario: Option<serde_json::Value>,
}

impl Recorded<'_> {
    /// Plays the run. The same edits give the same trace.
    ///
    /// # Panics
    ///
    /// If an edit names a node that there is not, or a network that cannot be meant.
    pub fn play(self) -> Trace {
        self.job.visit(self)
    }

    fn about(&self) -> About {
        let faulty = self.job.faults.iter().filter(|(_, behaviours)| !behaviours.is_empty());
        About {
            title: self.title.clone(),
            app: self.job.app,
            f: self.job.f(),
            quorum: self.job.flow.quorum(&self.job.cluster()),
            clock: Clock::Virtual,
            faults: faulty.map(|(id, behaviours)| (*id, in_words(behaviours))).collect(),
            scenario: self.scenario.clone(),
        }
    }
}

impl Visitor for Recorded<'_> {
    type Out = Trace;

    fn visit<P: Protocol + 'static>(self, mut world: World<P>) -> Trace {
        let recorder = Rc::new(RefCell::new(Recorder::new(&world.trace().cluster, self.about())));
        observe(&mut world, &recorder);
        for edit in self.edits {
            match edit {
                Edit::At(at_us, intervention) => world.plan(*at_us, intervention.clone()),
                Edit::Copy(copy, alteration) => world.alter_copy(*copy, *alteration),
            }
        }
        let mut watch = Watch {
            operations: Some(self.job.operations()),
            edits: self.edits,
            edited: vec![false; self.edits.len()],
            limit_us: self.limit_us,
            ..Watch::new(Rc::clone(&recorder), self.job.app)
        };
        self.job.play(&mut world, |world| watch.look(world));
        self.job.settle(&mut world, |world| watch.look(world));
        watch.look(&world);
        let ending = Ending {
            digest: Some(world.digest()),
            stopped: watch.stopped.take(),
            violation: world.judge().err(),
        };
        let ended_ns = world.now_us() * 1000;
        drop((world, watch));
        finish(recorder, ended_ns, ending)
    }
}

/// Lets a recorder observe all that happens in a world.
fn observe<P: Protocol + 'static>(world: &mut World<P>, recorder: &Rc<RefCell<Recorder<P::Message>>>) {
    let observer = Rc::clone(recorder);
    world.observe_all(Box::new(move |t, id, seen| observer.borrow_mut().observe(t, id, seen)));
}

/// The trace of a recorder that nobody else uses any more.
fn finish<M: kernel::Falsify>(recorder: Rc<RefCell<Recorder<M>>>, t: u64, ending: Ending) -> Trace {
    Rc::into_inner(recorder).expect("its world is gone").into_inner().finish(t, ending)
}

/// Plays a schedule of the swarm, and notes everything.
pub fn schedule<P: Protocol + 'static>(
    flow: &Flow<P>,
    schedule: &Schedule,
    title: String,
) -> (Verdict, Trace) {
    let name: FlowName = flow.name.parse().expect("a flow is called by its name");
    let cluster = Cluster::new(ClusterId::derive("swarm", schedule.seed), flow.name, schedule.nodes);
    let at_once = schedule.faults.iter().filter(|fault| fault.from_us == 0);
    let app = if name.orders_everything() { AppName::Opaque } else { AppName::Bank };
    let about = About {
        title,
        app,
        f: (flow.tolerates)(schedule.nodes),
        quorum: name.quorum(&cluster),
        clock: Clock::Virtual,
        faults: at_once.map(|fault| (fault.node, in_words(&fault.behaviours))).collect(),
        scenario: None,
    };
    let recorder = Rc::new(RefCell::new(Recorder::new(&cluster, about)));
    let prepare = |world: &mut World<P>| observe(world, &recorder);
    let mut watch = Watch::new(Rc::clone(&recorder), app);
    let verdict = sim::swarm::watch(flow, schedule, prepare, |world| {
        watch.look(world);
    });
    let ending = Ending {
        digest: Some(verdict.digest),
        stopped: watch.stopped.take(),
        violation: verdict.violation.as_ref().map(ToString::to_string),
    };
    drop(watch);
    let ended_ns = verdict.ended_us * 1000;
    (verdict, finish(recorder, ended_ns, ending))
}

fn in_words(behaviours: &[Behaviour]) -> Vec<String> {
    behaviours.iter().map(ToString::to_string).collect()
}

/// Looks at a world after each event, and notes what an observer is not told.
struct Watch<'a, M> {
    recorder: Rc<RefCell<Recorder<M>>>,
    contents: Contents,
    /// What the requests ask for, where that is known by their numbers.
    operations: Option<Operations>,
    edits: &'a [Edit],
    limit_us: u64,
    submitted: usize,
    accepted: usize,
    timed_out: usize,
    lifecycle: usize,
    /// Edits that happened.
    edited: Vec<bool>,
    stopped: Option<String>,
}

impl<'a, M: kernel::Falsify> Watch<'a, M> {
    fn new(recorder: Rc<RefCell<Recorder<M>>>, app: AppName) -> Watch<'a, M> {
        Watch {
            recorder,
            contents: Contents::new(app),
            operations: None,
            edits: &[],
            limit_us: u64::MAX,
            submitted: 0,
            accepted: 0,
            timed_out: 0,
            lifecycle: 0,
            edited: Vec::new(),
            stopped: None,
        }
    }

    /// Says whether the recording ends here.
    fn look<P: Protocol<Message = M>>(&mut self, world: &World<P>) -> bool {
        self.clients(world);
        self.interventions(world);
        self.replicas(world);
        if self.stopped.is_none() && world.now_us() > self.limit_us {
            let limit_ms = self.limit_us / 1000;
            self.stopped = Some(format!("the recording ends after {limit_ms} ms, the limit that was given"));
        }
        if self.stopped.is_none() && self.recorder.borrow().copies() > MOST_COPIES {
            self.stopped = Some(format!(
                "the recording ends after {MOST_COPIES} messages, the most that a recording of a simulation holds"
            ));
        }
        self.stopped.is_some()
    }

    fn clients<P: Protocol<Message = M>>(&mut self, world: &World<P>) {
        let mut recorder = self.recorder.borrow_mut();
        let trace = world.trace();
        for asked in &trace.submitted[self.submitted..] {
            let operation =
                self.operations.as_ref().map(|operations| operations.of(asked.request as u64, asked.gateway));
            operation.iter().for_each(|operation| self.contents.learn(operation));
            recorder.request(asked.at_us * 1000, asked.request as u64, asked.gateway, operation.as_ref());
        }
        for outcome in &trace.accepted[self.accepted..] {
            let place = (outcome.seq.0, outcome.view.0);
            recorder.answer(outcome.at_us * 1000, outcome.request as u64, place, &outcome.result);
        }
        for request in &trace.timed_out[self.timed_out..] {
            recorder.timed_out(world.now_us() * 1000, *request as u64);
        }
        self.submitted = trace.submitted.len();
        self.accepted = trace.accepted.len();
        self.timed_out = trace.timed_out.len();
    }

    fn interventions<P: Protocol<Message = M>>(&mut self, world: &World<P>) {
        let mut recorder = self.recorder.borrow_mut();
        for change in &world.trace().lifecycle[self.lifecycle..] {
            let t = change.at_us * 1000;
            let what = match change.change {
                Change::Crashed => NodeChange::Crashed,
                Change::Restarted | Change::Resumed => NodeChange::Restarted,
            };
            recorder.change(t, change.replica, what);
            recorder.app(t, change.replica, 0, BTreeMap::new());
        }
        self.lifecycle = world.trace().lifecycle.len();
        for (edit, is_done) in self.edits.iter().zip(&mut self.edited) {
            let Edit::At(at_us, intervention) = edit else { continue };
            if *is_done || *at_us > world.now_us() {
                continue;
            }
            *is_done = true;
            match intervention {
                Intervention::Behave(id, behaviours) => {
                    let faults = in_words(behaviours);
                    recorder.change(at_us * 1000, *id, NodeChange::Behaves { faults });
                }
                Intervention::Network(network) => recorder.network(at_us * 1000, &network.to_toml()),
                Intervention::Crash(_) | Intervention::Restart(_) => {}
            }
        }
    }

    fn replicas<P: Protocol<Message = M>>(&mut self, world: &World<P>) {
        let mut recorder = self.recorder.borrow_mut();
        let t = world.now_us() * 1000;
        for id in recorder.take_touched() {
            let status: Status = world.replica(id.0).status(&world.trace().cluster);
            if recorder.state(t, id, &status) && !world.is_down(id.0) {
                self.read(&mut recorder, t, id, world);
            }
        }
    }

    fn read<P: Protocol<Message = M>>(
        &self,
        recorder: &mut Recorder<M>,
        t: u64,
        id: ReplicaId,
        world: &World<P>,
    ) {
        let replica = world.replica(id.0);
        if let Held::Entries { as_of, entries } = self.contents.read(|operation| replica.query(operation)) {
            recorder.app(t, id, as_of, entries);
        }
    }
}

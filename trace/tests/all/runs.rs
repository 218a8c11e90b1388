//! Small runs of PBFT in the simulator, recorded.

use apps::{AppName, KvOperation, KvStore};
use kernel::{Cluster, ClusterId, Observer, Protocol as _, ReplicaId};
use sim::{Memory, Setup, World};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use trace::{About, Clock, Ending, Header, NodeChange, Recorder, Trace};

type Replica = pbft::Replica<KvStore>;
type Message = <Replica as kernel::Protocol>::Message;

/// A world that is recorded while it runs.
pub(crate) struct Run {
    pub(crate) world: World<Replica>,
    recorder: Rc<RefCell<Recorder<Message>>>,
    asked: usize,
    answered: usize,
}

impl Run {
    /// Four replicas, a constant delay of 100 microseconds.
    pub(crate) fn new(faults: &[(u16, &str)]) -> Run {
        let cluster = Cluster::new(ClusterId::derive("pbft", 5), "pbft", 4);
        let about = About {
            title: "four nodes, no faults".into(),
            app: AppName::Kv,
            f: 1,
            quorum: 3,
            clock: Clock::Virtual,
            faults: faults.iter().map(|(node, fault)| (*node, vec![(*fault).into()])).collect(),
            scenario: None,
        };
        let recorder = Rc::new(RefCell::new(Recorder::new(&cluster, about)));
        let faults = faults.iter().map(|(node, fault)| (*node, vec![fault.parse().expect("a fault")]));
        let setup = Setup { faults: faults.collect(), results_are_places: false, ..Setup::new(cluster, 5) };
        let mut world = World::new(setup, |_, memory| {
            let config = pbft::Config { checkpoint_interval: 8, ..pbft::Config::for_cluster(4) };
            match memory {
                Memory::Fresh => Replica::new(config, KvStore::default()),
                Memory::Lost => Replica::recovering(config, KvStore::default()),
            }
        });
        let noted = Rc::clone(&recorder);
        let observer: Observer<Message> =
            Box::new(move |t, node, observation| noted.borrow_mut().observe(t, node, observation));
        world.observe_all(observer);
        Run { world, recorder, asked: 0, answered: 0 }
    }

    fn now_ns(&self) -> u64 {
        self.world.now_us() * 1000
    }

    /// A client of this gateway puts a value.
    pub(crate) fn put(&mut self, gateway: u16, key: &str, value: &str) {
        let operation = KvOperation::Put { key: key.into(), value: value.into() }.encode();
        let (t, gateway) = (self.now_ns(), ReplicaId(gateway));
        self.recorder.borrow_mut().request(t, self.asked as u64, gateway, Some(&operation));
        self.asked += 1;
        self.world.submit(gateway, &operation.0);
    }

    pub(crate) fn run(&mut self, for_us: u64) {
        self.world.run(for_us);
        self.note();
    }

    pub(crate) fn crash(&mut self, node: u16) {
        self.world.crash(ReplicaId(node));
        self.recorder.borrow_mut().change(self.now_ns(), ReplicaId(node), NodeChange::Crashed);
    }

    pub(crate) fn restart(&mut self, node: u16) {
        self.recorder.borrow_mut().change(self.now_ns(), ReplicaId(node), NodeChange::Restarted);
        self.world.restart(ReplicaId(node));
    }

    /// What the replicas say of themselves, and what clients were answered.
    fn note(&mut self) {
        let (t, mut recorder) = (self.now_ns(), self.recorder.borrow_mut());
        let cluster = Cluster::new(ClusterId::derive("pbft", 5), "pbft", 4);
        for node in cluster.replicas() {
            recorder.state(t, node, &self.world.replica(node.0).status(&cluster));
        }
        for outcome in &self.world.accepted()[self.answered..] {
            let place = (outcome.seq.0, outcome.view.0);
            let result = &outcome.result;
            recorder.answer(outcome.at_us * 1000, outcome.request as u64, place, result);
        }
        self.answered = self.world.accepted().len();
    }

    pub(crate) fn finish(self) -> Trace {
        let (t, digest) = (self.now_ns(), self.world.digest());
        drop(self.world);
        let recorder = Rc::into_inner(self.recorder).expect("the observer is gone").into_inner();
        recorder.finish(t, Ending { digest: Some(digest), ..Ending::default() })
    }
}

/// One decided request.
pub(crate) fn one_put() -> Trace {
    let mut run = Run::new(&[]);
    run.put(1, "key", "a \"value\"; of #2\n<end>");
    run.run(10_000);
    run.finish()
}

/// The run of the documentation.
pub(crate) fn example() -> Trace {
    let mut run = Run::new(&[]);
    run.put(1, "test_key", "test_value");
    run.run(500);
    run.finish()
}

/// The commander crashes with a request on its way, and is restarted later.
pub(crate) fn view_change() -> Trace {
    let mut run = Run::new(&[]);
    run.put(1, "one", "1");
    run.run(450);
    run.crash(0);
    run.put(1, "two", "2");
    run.run(1_000_000);
    run.restart(0);
    run.run(1_000_000);
    run.finish()
}

/// A commander that contradicts itself.
pub(crate) fn equivocation() -> Trace {
    let mut run = Run::new(&[(0, "equivocate")]);
    run.put(1, "key", "value");
    run.run(1_000_000);
    run.finish()
}

/// A header of four replicas.
pub(crate) fn header() -> Header {
    Header {
        format: trace::FORMAT.into(),
        version: trace::VERSION,
        protocol: "pbft".into(),
        app: "kv".into(),
        nodes: 4,
        f: 1,
        quorum: 3,
        clock: Clock::Virtual,
        title: "by hand".into(),
        faults: BTreeMap::new(),
        notes: Vec::new(),
        scenario: None,
    }
}

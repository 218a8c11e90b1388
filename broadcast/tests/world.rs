//! Members in the simulated world: what it costs, and what holds whatever the network and `f` members do.

use adversary::Behaviour;
use apps::{
    BankOperation, BankOutput, BankRefusal, Change, MembershipOperation, MembershipOutput, MembershipRefusal,
    SetOperation, SetOutput, SetRefusal,
};
use broadcast::{
    Bank, Batch, Config, Counter, CounterOperation, CounterOutput, DataType, Message, Orswot, Proof, Replica,
    Validation,
};
use kernel::weakening::assert_detected;
use kernel::{
    Bundle, Cluster, ClusterId, Content, Digest, GenerationMark, Mark, Observation, Operation, Protocol as _,
    ReplicaId, Signature, Weakening,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use sim::{Network, Setup, World, oracles};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

type Member<D = Bank> = Replica<D>;

fn setup(n: u16, seed: u64) -> Setup {
    let cluster = Cluster::new(ClusterId::derive("broadcast", seed), "broadcast", n);
    let mut setup = Setup::new(cluster, seed);
    setup.record = true;
    setup.results_are_places = false;
    setup
}

fn world(setup: Setup) -> World<Member> {
    world_of(setup)
}

fn world_of<D: DataType + Default + 'static>(setup: Setup) -> World<Member<D>> {
    configured(setup, Config::default())
}

fn configured<D: DataType + Default + 'static>(setup: Setup, config: Config) -> World<Member<D>> {
    let n = setup.cluster.n;
    World::new(setup, move |_, _| Member::new(config.clone(), n, D::default()))
}

fn open(account: &str) -> Operation {
    BankOperation::Open { account: account.into() }.encode()
}

fn deposit(account: &str, amount: u64) -> Operation {
    BankOperation::Deposit { account: account.into(), amount }.encode()
}

/// An account of the actor's with money in it.
fn funded(actor: u16, balance: u64) -> Vec<Operation> {
    vec![open(&a_of(actor)), deposit(&a_of(actor), balance)]
}

/// The account `a` of an actor.
fn a_of(actor: u16) -> String {
    format!("{actor}/a")
}

fn withdraw(account: &str, amount: u64) -> Operation {
    BankOperation::Withdraw { account: account.into(), amount }.encode()
}

fn read(account: &str) -> Operation {
    BankOperation::Balance { account: account.into() }.encode()
}

fn transfer(from: &str, to: &str, amount: u64) -> Operation {
    BankOperation::Transfer { from: from.into(), to: to.into(), amount }.encode()
}

fn ask<D: DataType + 'static>(world: &mut World<Member<D>>, gateway: u16, operations: &[Operation]) {
    let bytes: Vec<&[u8]> = operations.iter().map(|operation| &*operation.0).collect();
    world.submit_all(ReplicaId(gateway), &bytes);
}

fn set_answers(world: &World<Member<Orswot>>) -> Vec<SetOutput> {
    world.accepted().iter().map(|outcome| SetOutput::decode(&outcome.result).unwrap()).collect()
}

/// A removal takes away what its actor had seen: what another one adds at the same time stays.
#[test]
fn what_is_added_at_the_same_time_as_it_is_removed_stays() {
    let mut world = world_of::<Orswot>(setup(4, 1));
    let (add, remove) = (add("x"), remove("x"));
    let mut expected = Vec::new();
    for (at_once, answers, members) in [
        (vec![(0, &remove)], vec![SetOutput::Refused(SetRefusal::NotSeen)], 0),
        (vec![(0, &add)], vec![SetOutput::Added], 1),
        (vec![(1, &remove), (2, &add)], vec![SetOutput::Removed, SetOutput::Added], 1),
        (vec![(3, &remove)], vec![SetOutput::Removed], 0),
        (vec![(2, &remove)], vec![SetOutput::Refused(SetRefusal::NotSeen)], 0),
    ] {
        for (gateway, operation) in at_once {
            ask(&mut world, gateway, std::slice::from_ref(operation));
        }
        world.run(100_000);
        expected.extend(answers);
        let mut accepted = set_answers(&world);
        accepted.sort_by_key(|answer| format!("{answer:?}"));
        let mut sorted = expected.clone();
        sorted.sort_by_key(|answer| format!("{answer:?}"));
        assert_eq!(accepted, sorted);
        (0..4).for_each(|member| assert_eq!(world.replica(member).data().members().count(), members));
    }
    // What comes in one batch is seen by what comes after it.
    ask(&mut world, 0, &[add.clone(), remove.clone(), remove]);
    world.run(100_000);
    let [.., one, other, last] = &set_answers(&world)[..] else { panic!() };
    let refused = SetOutput::Refused(SetRefusal::NotSeen);
    assert_eq!([one, other, last], [&SetOutput::Added, &SetOutput::Removed, &refused]);
    assert!(world.caught().is_empty(), "to ask for it is no offence");
}

fn add(member: &str) -> Operation {
    SetOperation::Add { member: member.into() }.encode()
}

fn remove(member: &str) -> Operation {
    SetOperation::Remove { member: member.into() }.encode()
}

fn answers(world: &World<Member>) -> Vec<BankOutput> {
    let mut accepted: Vec<_> = world.accepted().iter().collect();
    accepted.sort_by_key(|outcome| outcome.request);
    accepted.iter().map(|outcome| BankOutput::decode(&outcome.result).unwrap()).collect()
}

#[test]
fn an_operation_takes_three_messages_for_every_other_member() {
    for n in [1, 2, 4, 7, 10, 31] {
        let mut world = world(setup(n, 1));
        ask(&mut world, 0, &funded(0, 100));
        world.run(5_000_000);
        assert_eq!(answers(&world), [BankOutput::Opened, BankOutput::Done]);
        assert_eq!(world.agreement_messages(), 3 * (u64::from(n) - 1), "n = {n}");
        for member in 0..n {
            assert_eq!(world.replica(member).data().total(), 100);
            assert_eq!(world.replica(member).batches_kept(), 1, "until the next checkpoint");
        }
        assert!(world.is_idle(), "n = {n}: nothing more is sent");
    }
}

#[test]
fn an_invalid_operation_is_refused_with_a_reason_everywhere_alike() {
    let refused = BankOutput::Refused;
    let mut world = world(setup(4, 1));
    let mut expected = Vec::new();
    for (gateway, operation, answer) in [
        (0, open("0/a"), BankOutput::Opened),
        (0, deposit("0/a", 100), BankOutput::Done),
        (1, open("1/a"), BankOutput::Opened),
        (1, deposit("1/a", 5), BankOutput::Done),
        (0, open("0/a"), refused(BankRefusal::AccountExists)),
        (0, open("1/b"), refused(BankRefusal::NotTheOwner { owner: 1 })),
        (0, open("alice"), refused(BankRefusal::NoOwner)),
        (0, open(""), refused(BankRefusal::BadName)),
        (0, deposit("0/b", 1), refused(BankRefusal::UnknownAccount { receiver: false })),
        (0, deposit("b", 1), refused(BankRefusal::NoOwner)),
        (0, transfer("0/a", "1/a", 101), refused(BankRefusal::Overdraft { balance: 100 })),
        (0, transfer("0/a", "1/a", 60), BankOutput::Done),
        (0, transfer("1/a", "0/a", 60), refused(BankRefusal::NotTheOwner { owner: 1 })),
        (0, transfer("0/a", "a", 1), refused(BankRefusal::NoOwner)),
        (1, transfer("1/a", "2/a", 1), refused(BankRefusal::UnknownAccount { receiver: true })),
        (2, transfer("2/a", "1/a", 1), refused(BankRefusal::UnknownAccount { receiver: false })),
        (1, transfer("1/a", "1/a", 1), refused(BankRefusal::SameAccount)),
        (1, transfer("1/a", "0/a", 65), BankOutput::Done),
        (2, deposit("1/a", 3), BankOutput::Done),
        (1, withdraw("1/a", 4), refused(BankRefusal::Overdraft { balance: 3 })),
        (1, withdraw("1/a", 3), BankOutput::Done),
        (0, withdraw("1/a", 0), refused(BankRefusal::NotTheOwner { owner: 1 })),
        (0, read("0/a"), refused(BankRefusal::NoOrder)),
        (3, Operation::new(b"hello"), refused(BankRefusal::NotAnOperation)),
    ] {
        ask(&mut world, gateway, &[operation]);
        world.run(100_000);
        expected.push(answer);
        assert_eq!(answers(&world), expected);
    }
    let balance =
        |owner| BankOutput::decode(&world.replica(2).query(&read(&a_of(owner))).unwrap().output).unwrap();
    assert_eq!(balance(0), BankOutput::Balance(105));
    assert_eq!(balance(1), BankOutput::Balance(0));
    assert_eq!(balance(3), BankOutput::Refused(BankRefusal::UnknownAccount { receiver: false }));
    assert!(world.caught().is_empty(), "to ask for it is no offence");
}

/// What may be valid only together with what is before it in the same batch.
#[test]
fn operations_of_one_batch_build_on_each_other() {
    let mut world = world(setup(4, 1));
    let pay = || transfer("0/a", "0/b", 7);
    ask(&mut world, 0, &[open("0/a"), open("0/b"), deposit("0/a", 10), pay(), pay()]);
    world.run(100_000);
    let overdraft = BankOutput::Refused(BankRefusal::Overdraft { balance: 3 });
    let (opened, done) = (BankOutput::Opened, BankOutput::Done);
    assert_eq!(answers(&world), [opened.clone(), opened, done.clone(), done, overdraft]);
    assert_eq!(world.replica(3).applied(ReplicaId(0)).0, 1, "one batch");
}

/// A run with everything that may go wrong.
#[derive(Clone, Debug)]
struct Case {
    seed: u64,
    nodes: u16,
    loss: f64,
    duplication: f64,
    delays_us: (u64, u64),
    /// Of the last nodes, `f` at most.
    faults: Vec<&'static str>,
    /// Which honest member asks, two numbers for what it asks for, and how long it waits before.
    asks: Vec<(u16, u16, u64, u64)>,
    /// A member that is cut off for a while, with the faulty ones.
    cut: Option<u16>,
    /// So many batches make a checkpoint.
    interval: u64,
    /// Nodes that are no members at first.
    waiting: u16,
    /// After so many requests, members ask for a change: who joins or leaves, by a number.
    changes: Vec<(usize, u16)>,
}

const FAULTS: [&str; 10] = [
    "offline",
    "malicious",
    "equivocate",
    "withhold",
    "partial",
    "forge=signature",
    "forge=short",
    "forge=repeated",
    "forge=mixed",
    "flood=100",
];

fn cases() -> impl Strategy<Value = Case> {
    let nodes = prop::sample::select(vec![4_u16, 5, 7]);
    nodes.prop_flat_map(|nodes| {
        let f = kernel::cluster::max_faulty(nodes);
        let faults = prop::collection::vec(prop::sample::select(&FAULTS[..]), 0..=f);
        let asks = prop::collection::vec((0..nodes, 0..nodes, 0..80_u64, 0..20_000_u64), 1..30);
        let interval = prop::sample::select(vec![1_u64, 2, 5, 20, 1024]);
        let network = (0.0..0.3, 0.0..0.2, (10..500_u64, 500..20_000_u64));
        let changes = prop::collection::vec((0..30_usize, any::<u16>()), 0..4);
        let config = (interval, 0..3_u16, changes);
        (any::<u64>(), network, faults, asks, any::<Option<u16>>(), config).prop_map(
            move |(seed, (loss, duplication, delays_us), faults, asks, cut, (interval, waiting, changes))| {
                Case {
                    interval,
                    waiting,
                    changes,
                    seed,
                    nodes,
                    loss,
                    duplication,
                    delays_us,
                    faults,
                    asks,
                    cut: cut.map(|node| node % nodes),
                }
            },
        )
    })
}

fn network(case: &Case) -> Network {
    let mut network = Network::uniform(case.delays_us.0, case.delays_us.1);
    (network.loss, network.duplication, network.reordering) = (case.loss, case.duplication, case.loss);
    network
}

/// A data type in a case: what is asked for, what holds of it at each honest member at any time, and what of all in the
/// end.
trait Checked: DataType + Default + 'static {
    /// What a member asks for at first.
    fn begin(actor: u16) -> Vec<Operation>;
    /// An operation of an actor, by two numbers.
    fn operation(case: &Case, actor: u16, whom: u16, number: u64) -> Operation;
    fn always(&self) -> Result<(), String> {
        Ok(())
    }
    fn finally(&self, case: &Case) -> Result<(), String>;
}

impl Checked for Bank {
    fn begin(actor: u16) -> Vec<Operation> {
        funded(actor, 100)
    }

    /// Others pay those that are faulty as well, which may have opened no account.
    fn operation(case: &Case, actor: u16, whom: u16, number: u64) -> Operation {
        transfer(&a_of(actor), &a_of(whom % case.nodes), number)
    }

    fn always(&self) -> Result<(), String> {
        let below_zero = self.balances().find(|(_, balance)| *balance < 0);
        below_zero.map_or(Ok(()), |(account, balance)| Err(format!("{balance} is in account {account}")))
    }

    fn finally(&self, case: &Case) -> Result<(), String> {
        let (total, opened) = (self.total(), 100 * i128::from(case.honest()));
        if total == opened { Ok(()) } else { Err(format!("{total} is in all accounts, and was {opened}")) }
    }
}

impl Checked for Orswot {
    fn begin(_: u16) -> Vec<Operation> {
        vec![add("0")]
    }

    fn operation(_: &Case, _: u16, whom: u16, number: u64) -> Operation {
        let member = (number % 4).to_string();
        if whom.is_multiple_of(2) { add(&member) } else { remove(&member) }
    }

    /// What was added and of which nothing was ever removed is there; what was never added is not.
    fn finally(&self, case: &Case) -> Result<(), String> {
        let asked = |add| case.asks.iter().filter(move |ask| (ask.1 % 2 == 0) == add);
        for number in 0..4 {
            let is = |(_, _, of, _): &(u16, u16, u64, u64)| of % 4 == number;
            let (added, removed) = (number == 0 || asked(true).any(is), asked(false).any(is));
            let is_there = self.members().any(|member| member == number.to_string());
            if (added && !removed && !is_there) || (!added && is_there) {
                return Err(format!(
                    "{number} is in the set: {is_there}; added: {added}, removed: {removed}"
                ));
            }
        }
        Ok(())
    }
}

impl Checked for Counter {
    fn begin(_: u16) -> Vec<Operation> {
        vec![CounterOperation::Add(1).encode()]
    }

    fn operation(_: &Case, _: u16, whom: u16, number: u64) -> Operation {
        CounterOperation::Add(number as i64 - i64::from(whom)).encode()
    }

    fn finally(&self, case: &Case) -> Result<(), String> {
        let added: i128 = case.asks.iter().map(|ask| i128::from(ask.2) - i128::from(ask.1)).sum();
        let expected = CounterOutput::Is(added + i128::from(case.honest()));
        let read =
            self.query(&CounterOperation::Read.encode()).and_then(|output| CounterOutput::decode(&output));
        if read == Some(expected) { Ok(()) } else { Err(format!("it reads {read:?} and not {expected:?}")) }
    }
}

impl Case {
    /// Members at first that are honest. Those that are not have the ids after them, and those that wait the last.
    fn honest(&self) -> u16 {
        self.nodes - self.faults.len() as u16
    }

    fn is_honest(&self, node: u16) -> bool {
        node < self.honest() || node >= self.nodes
    }

    fn everyone(&self) -> u16 {
        self.nodes + self.waiting
    }

    /// The change that is asked for with this number, if there may be such: not more than `f` of those who are left are
    /// faulty, and those who ask for something stay.
    fn change(&self, members: &BTreeSet<u16>, number: u16) -> Option<Change> {
        let node = number % self.everyone();
        let after = if members.contains(&node) {
            members.iter().copied().filter(|member| *member != node).collect()
        } else {
            members.iter().copied().chain([node]).collect::<BTreeSet<u16>>()
        };
        let faulty = after.iter().filter(|member| !self.is_honest(**member)).count();
        let asks = |ask: &(u16, u16, u64, u64)| ask.0 % self.honest() == node;
        let may_be = faulty <= kernel::cluster::max_faulty(after.len() as u16) && !self.asks.iter().any(asks);
        let change = if members.contains(&node) { Change::Leave } else { Change::Join };
        may_be.then_some(change(ReplicaId(node)))
    }
}

/// Plays a case, and checks what must hold of its data all the time; and in the end that all requests of honest members
/// are answered, in their order, that all of them have the same, and that the members are those that were agreed upon.
fn holds<D: Checked>(case: &Case) -> Result<(), String> {
    let mut setup = setup(case.everyone(), case.seed);
    setup.network = network(case);
    let honest = case.honest();
    for (node, fault) in (honest..).zip(&case.faults) {
        setup.faults.push((node, vec![fault.parse::<Behaviour>().map_err(|error| error.to_string())?]));
    }
    if let Some(cut) = case.cut {
        let partition = sim::Partition { groups: vec![vec![cut]], from_us: 5_000, until_us: 400_000 };
        setup.network.partitions.push(partition);
    }
    let config = Config { checkpoint_interval: case.interval, members: case.nodes, ..Config::default() };
    let mut world = configured::<D>(setup, config);
    let named = named_dependencies(&mut world);
    let mut members: BTreeSet<u16> = (0..case.nodes).collect();
    for member in 0..honest {
        ask(&mut world, member, &D::begin(member));
    }
    for (number, (from, whom, amount, pause_us)) in case.asks.iter().enumerate() {
        world.run(*pause_us);
        let actor = from % honest;
        ask(&mut world, actor, &[D::operation(case, actor, *whom, *amount)]);
        for (_, change) in case.changes.iter().filter(|(after, _)| *after == number) {
            ask_for_change(&mut world, case, &mut members, *change);
        }
        always(&world, case)?;
    }
    for _ in 0..100 {
        world.run(20_000);
        always(&world, case)?;
    }
    world.set_network(&Network::default());
    world.run(40_000_000);
    let (answered, asked) = (world.accepted().len(), world.submitted());
    if answered < asked {
        return Err(format!("{answered} of {asked} requests are answered"));
    }
    all_are_members(&mut world, case, &members)?;
    oracles::source_order::check(world.trace())?;
    oracles::source_order::converged(world.trace())?;
    follow(&world, case, &named.borrow())?;
    always(&world, case)?;
    let caught: Vec<u16> = world.caught().into_iter().filter(|caught| case.is_honest(*caught)).collect();
    if !caught.is_empty() {
        return Err(format!("honest members {caught:?} are said to offend"));
    }
    same(&world, case)?;
    world.replica(0).data().finally(case)
}

/// What batches say that they depend on, by digest.
type Named = Rc<RefCell<BTreeMap<Digest, Vec<(ReplicaId, u64)>>>>;

fn named_dependencies<D: DataType + 'static>(world: &mut World<Member<D>>) -> Named {
    let named = Named::default();
    let sink = Rc::clone(&named);
    world.observe_all(Box::new(move |_, _, observation| {
        if let Observation::Departed { content: Content::Message(message), .. } = observation
            && let Message::Propose(batch) | Message::Proven(batch, _) = message
        {
            sink.borrow_mut().insert(batch.digest(), batch.after.clone());
        }
    }));
    named
}

/// Causality: whoever applies a batch has applied its actor's one before and all that it names. (Of a member that took over a
/// state it is not known from then on.)
fn follow<D: DataType + 'static>(
    world: &World<Member<D>>,
    case: &Case,
    named: &BTreeMap<Digest, Vec<(ReplicaId, u64)>>,
) -> Result<(), String> {
    let mut applied: BTreeMap<(ReplicaId, ReplicaId), u64> = BTreeMap::new();
    let mut adopted: BTreeSet<ReplicaId> = BTreeSet::new();
    for stamped in world.trace().marks.iter().filter(|stamped| case.is_honest(stamped.replica.0)) {
        let replica = stamped.replica;
        match &stamped.mark {
            Mark::Generation(GenerationMark::Adopted { .. }) => drop(adopted.insert(replica)),
            Mark::Committed { seq, digest, .. } if !adopted.contains(&replica) => {
                let (n, place) = (u64::from(case.everyone()), seq.0 - 1);
                let (actor, number) = (ReplicaId((place % n) as u16), place / n + 1);
                let before = |(of, number): &(ReplicaId, u64)| {
                    applied.get(&(replica, *of)).copied().unwrap_or_default() >= *number
                };
                let after = named.get(digest).ok_or("a batch was applied that nobody sent")?;
                if !after.iter().all(before) || !before(&(actor, number - 1)) {
                    return Err(format!("member {replica} applied batch {number} of {actor} too early"));
                }
                applied.insert((replica, actor), number);
            }
            _ => {}
        }
    }
    Ok(())
}

/// The honest members ask for a change, and wait for it. Of an honest one who is to leave either the others ask so, or it does.
fn ask_for_change<D: Checked>(
    world: &mut World<Member<D>>,
    case: &Case,
    members: &mut BTreeSet<u16>,
    number: u16,
) {
    let Some(change) = case.change(members, number) else { return };
    let operation = MembershipOperation::Ask(change).encode();
    if let Change::Leave(node) = change {
        answer_first(world, node);
    }
    let is_honest = |member: &&u16| case.is_honest(**member);
    let asks = |member: &&u16| match change {
        // Alone, or not at all.
        Change::Leave(node) if case.is_honest(node.0) => (**member == node.0) == number.is_multiple_of(3),
        _ => true,
    };
    for member in members.iter().filter(is_honest).filter(asks) {
        ask(world, *member, std::slice::from_ref(&operation));
    }
    match change {
        Change::Join(node) => members.insert(node.0),
        Change::Leave(node) => members.remove(&node.0),
    };
    let has_come = |world: &World<Member<D>>| {
        let asked = members.iter().filter(|member| case.is_honest(**member));
        let mut generations = asked.map(|member| world.replica(*member).generation().1);
        generations.all(|they| they.iter().map(|id| id.0).eq(members.iter().copied()))
    };
    // The network may be bad.
    assert!(world.run_until(has_come, 600_000_000), "{change:?} does not come: {case:?}");
}

/// What a member has asked for is answered before it leaves: afterwards nobody would do it.
fn answer_first<D: Checked>(world: &mut World<Member<D>>, node: ReplicaId) {
    let asked = world.trace().submitted.iter().filter(|submitted| submitted.gateway == node);
    let asked: BTreeSet<usize> = asked.map(|submitted| submitted.request).collect();
    let is_answered = |world: &World<Member<D>>| {
        let answered = world.accepted().iter().filter(|outcome| asked.contains(&outcome.request));
        answered.count() == asked.len()
    };
    assert!(world.run_until(is_answered, 600_000_000), "{node} is not answered before it leaves");
}

/// Everybody knows who the members are, and each honest one of them can still ask for something.
fn all_are_members<D: Checked>(
    world: &mut World<Member<D>>,
    case: &Case,
    members: &BTreeSet<u16>,
) -> Result<(), String> {
    for node in (0..case.everyone()).filter(|node| case.is_honest(*node)) {
        let (generation, they) = world.replica(node).generation();
        if !they.iter().map(|id| id.0).eq(members.iter().copied()) {
            return Err(format!("node {node}, generation {generation}: {they:?} instead of {members:?}"));
        }
    }
    let asked = world.accepted().len();
    let honest: Vec<u16> = members.iter().copied().filter(|member| case.is_honest(*member)).collect();
    for member in &honest {
        let again = MembershipOperation::Ask(Change::Join(ReplicaId(*member))).encode();
        ask(world, *member, &[again]);
    }
    world.run(40_000_000);
    let answers = &world.accepted()[asked..];
    let refused = |member| MembershipOutput::Refused(MembershipRefusal::IsMember(ReplicaId(member))).encode();
    let expected: BTreeSet<Vec<u8>> = honest.iter().map(|member| refused(*member).0.to_vec()).collect();
    let answers: BTreeSet<Vec<u8>> = answers.iter().map(|answer| answer.result.0.to_vec()).collect();
    if answers == expected {
        Ok(())
    } else {
        Err(format!("{} of {} members are answered", answers.len(), honest.len()))
    }
}

/// All honest members have applied the same of each actor, and have the same data.
fn same<D: Checked>(world: &World<Member<D>>, case: &Case) -> Result<(), String> {
    let first = world.replica(0);
    for member in (1..case.everyone()).filter(|node| case.is_honest(*node)) {
        let member = world.replica(member);
        if let Some(actor) =
            (0..case.everyone()).map(ReplicaId).find(|actor| member.applied(*actor) != first.applied(*actor))
        {
            return Err(format!("members differ in what they have applied of {actor}"));
        }
        if member.data() != first.data() {
            return Err("members have applied the same, and their data differ".into());
        }
    }
    Ok(())
}

fn always<D: Checked>(world: &World<Member<D>>, case: &Case) -> Result<(), String> {
    let hold =
        |member| world.replica(member).data().always().map_err(|breach| format!("member {member}: {breach}"));
    (0..case.everyone()).filter(|node| case.is_honest(*node)).try_for_each(hold)
}

/// Two thousand cases of each property, or as many as `PROPTEST_CASES` says, or `QUICKCHECK_TESTS`.
fn config() -> ProptestConfig {
    let asked = ["PROPTEST_CASES", "QUICKCHECK_TESTS"].map(|name| std::env::var(name).ok()?.parse().ok());
    ProptestConfig::with_cases(asked.into_iter().flatten().next().unwrap_or(2_000))
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn money_is_conserved_and_spent_once_whatever_f_members_and_the_network_do(case in cases()) {
        prop_assert_eq!(holds::<Bank>(&case), Ok(()));
    }

    #[test]
    fn sets_converge_whatever_f_members_and_the_network_do(case in cases()) {
        prop_assert_eq!(holds::<Orswot>(&case), Ok(()));
    }

    #[test]
    fn counters_count_everything_once_whatever_f_members_and_the_network_do(case in cases()) {
        prop_assert_eq!(holds::<Counter>(&case), Ok(()));
    }
}

/// Its proof reaches one member, and then it dies: that one gives it to the others.
#[test]
fn an_actor_that_dies_half_way_leaves_nobody_behind() {
    let mut world = world(setup(4, 3));
    ask(&mut world, 0, &funded(0, 100));
    let applied =
        |world: &World<Member>| [1, 2, 3].map(|member| world.replica(member).applied(ReplicaId(0)).0);
    // Proposals arrive after 100 us, validations after 200, proofs after 300.
    world.run(150);
    let cut_off = sim::Partition { groups: vec![vec![2, 3]], from_us: 0, until_us: 1_000_000 };
    world.set_network(&Network { partitions: vec![cut_off], ..Network::default() });
    world.run(200);
    assert_eq!(applied(&world), [1, 0, 0]);
    world.crash(ReplicaId(0));
    world.run(10_000_000);
    assert_eq!(applied(&world), [1, 1, 1]);
    assert_eq!(world.replica(1).batches_kept(), 1, "the one that is down may come back");
}

/// A faulty actor has its account drawn on twice: one payment is shown to one member, the other to the rest, and then
/// each to those that have not seen it. It collects every validation it can get, and shows whatever it has as a proof.
/// Honest members must not come to differ.
fn double_spend() {
    let setup = setup(4, 11);
    let cluster = setup.cluster.clone();
    let (signers, _) = kernel::keys::symbolic(setup.seed, cluster.n);
    let spender = &signers[3];
    let mut world = world(setup);
    for member in 0..4 {
        ask(&mut world, member, &funded(member, 100));
    }
    world.run(1_000_000);
    world.set_behaviours(spender.id(), vec!["offline".parse().unwrap()]);

    let pay = |to: u16, session: u64| {
        let session = kernel::SessionId { gateway: spender.id(), number: 1_000 + session };
        let request = kernel::Request { session, counter: 1, operation: transfer("3/a", &a_of(to), 80) };
        let bundle = Arc::new(Bundle::sign(&cluster, spender, vec![request]));
        let after = (0..3).map(|owner| (ReplicaId(owner), 1)).collect();
        Arc::new(Batch::sign(&cluster, spender, 2, after, vec![bundle], vec![]))
    };
    let payments = [pay(0, 1), pay(1, 2)];
    let collected: Rc<RefCell<BTreeMap<(Digest, ReplicaId), Signature>>> = Rc::default();
    let sink = Rc::clone(&collected);
    world.observe_all(Box::new(move |_, member, observation| {
        if let Observation::Departed { content: Content::Message(Message::Validated(one)), .. } = observation
            && one.number == 2
        {
            sink.borrow_mut().insert((one.digest, member), one.signature);
        }
    }));
    for (first, second) in [(0, 1), (1, 0)] {
        world.inject(spender.id(), ReplicaId(0), Message::Propose(Arc::clone(&payments[first])));
        for member in [1, 2] {
            world.inject(spender.id(), ReplicaId(member), Message::Propose(Arc::clone(&payments[second])));
        }
        world.run(10_000);
    }
    for (batch, members) in payments.iter().zip([vec![0], vec![1, 2]]) {
        let (number, digest) = (batch.number, batch.digest());
        let own = Validation::sign(&cluster, spender, (spender.id(), number, digest), 0).signature;
        let of_others = collected.borrow();
        let of_others = of_others.iter().filter(|((of, _), _)| *of == digest);
        let mut validations: Vec<_> =
            of_others.map(|((_, author), signature)| (*author, *signature)).collect();
        validations.push((spender.id(), own));
        let proof = Arc::new(Proof { actor: spender.id(), number, digest, generation: 0, validations });
        for member in members {
            let proven = Message::Proven(Arc::clone(batch), Arc::clone(&proof));
            world.inject(spender.id(), ReplicaId(member), proven);
        }
    }
    world.run(5_000_000);
    let of_spender = |member: u16| world.replica(member).applied(spender.id());
    assert!(
        (1..3).all(|member| of_spender(member) == of_spender(0)),
        "members have applied different payments"
    );
    assert!((1..3).all(|member| world.replica(member).data() == world.replica(0).data()));
    (0..3).try_for_each(|member| world.replica(member).data().always()).unwrap();
}

#[test]
fn money_is_spent_once_even_by_an_actor_that_equivocates() {
    double_spend();
}

/// So many cases, the same each time.
fn drawn(count: usize) -> Vec<Case> {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    (0..count).map(|_| cases().new_tree(&mut runner).unwrap().current()).collect()
}

fn all_drawn_hold() {
    for case in drawn(300) {
        holds::<Bank>(&case).unwrap();
    }
}

#[test]
fn these_checks_fail_without_their_rules() {
    all_drawn_hold();
    assert_detected(&[
        (Weakening::QuorumOneLess, double_spend),
        (Weakening::ProofNotChecked, double_spend),
        (Weakening::NumberNotChecked, double_spend),
        (Weakening::DependencyNotChecked, all_drawn_hold),
    ]);
}

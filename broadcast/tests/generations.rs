//! Generations of members in the simulated world: what begins, what is forgotten, who is left behind, and what cannot
//! be proven twice.

use apps::{BankOperation, Change, MembershipOperation, MembershipOutput, MembershipRefusal};
use broadcast::{
    Bank, Batch, Conclusion, Config, DataType as _, Decision, Generation, Message, OnGeneration, Proof,
    Replica, Validation,
};
use kernel::weakening::assert_detected;
use kernel::{
    Bundle, Cluster, ClusterId, Content, Digest, GenerationMark, Mark, Observation, Operation, Protocol as _,
    Reason, ReplicaId, Request, SessionId, Signature, Signer, Weakening,
};
use sim::{Network, Partition, Setup, World, oracles};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

type Member = Replica<Bank>;

/// So many nodes, of which the first `members` are such, with 100 on the account of each.
fn world(nodes: u16, members: u16, checkpoint_interval: u64) -> World<Member> {
    let cluster = Cluster::new(ClusterId::derive("generations", 7), "broadcast", nodes);
    let mut setup = Setup::new(cluster, 7);
    (setup.record, setup.results_are_places) = (true, false);
    let config = Config { members, checkpoint_interval, ..Config::default() };
    World::new(setup, move |_, _| {
        let mut bank = Bank::default();
        for owner in 0..nodes {
            let account = account(owner);
            let deposit = BankOperation::Deposit { account: account.clone(), amount: 100 };
            for operation in [BankOperation::Open { account }, deposit] {
                bank.apply(ReplicaId(owner), &operation.encode());
            }
        }
        Member::new(config.clone(), nodes, bank)
    })
}

fn account(owner: u16) -> String {
    format!("{owner}/a")
}

fn pay(from: u16, to: u16, amount: u64) -> Operation {
    BankOperation::Transfer { from: account(from), to: account(to), amount }.encode()
}

fn ask(world: &mut World<Member>, gateway: u16, operation: &Operation) {
    world.submit_all(ReplicaId(gateway), &[&operation.0]);
}

fn ask_for(world: &mut World<Member>, gateway: u16, change: Change) {
    ask(world, gateway, &MembershipOperation::Ask(change).encode());
}

fn join(node: u16) -> Change {
    Change::Join(ReplicaId(node))
}

fn leave(node: u16) -> Change {
    Change::Leave(ReplicaId(node))
}

fn generation(world: &World<Member>, node: u16) -> (u64, Vec<u16>) {
    let (number, members) = world.replica(node).generation();
    (number, members.iter().map(|id| id.0).collect())
}

/// The nodes have applied the same, and have the same data.
fn assert_same(world: &World<Member>, nodes: &[u16]) {
    let first = world.replica(nodes[0]);
    for node in nodes {
        let other = world.replica(*node);
        assert_eq!(other.state_digest(), first.state_digest(), "node {node}");
        assert_eq!(other.data(), first.data(), "node {node}");
        assert_eq!(generation(world, *node), generation(world, nodes[0]), "node {node}");
    }
}

fn cut_off(world: &mut World<Member>, node: u16) {
    let alone = Partition { groups: vec![vec![node]], from_us: 0, until_us: u64::MAX };
    world.set_network(&Network { partitions: vec![alone], ..Network::default() });
}

/// Everybody pays everybody in turn, one payment after the other.
fn pay_around(world: &mut World<Member>, payers: &[u16], rounds: u64) {
    for round in 0..rounds {
        for payer in payers {
            ask(world, *payer, &pay(*payer, payers[0], round % 3));
            world.run(20_000);
        }
    }
}

fn adopted(world: &World<Member>, node: u16) -> bool {
    let of_node = world.trace().marks.iter().filter(|stamped| stamped.replica == ReplicaId(node));
    of_node
        .map(|stamped| &stamped.mark)
        .any(|mark| matches!(mark, Mark::Generation(GenerationMark::Adopted { .. })))
}

#[test]
fn a_checkpoint_begins_a_generation_and_what_is_before_the_last_but_one_is_forgotten() {
    let mut world = world(4, 4, 4);
    pay_around(&mut world, &[0, 1, 2, 3], 10);
    world.run(1_000_000);
    assert_eq!(world.accepted().len(), 40);
    assert_eq!(generation(&world, 0), (10, vec![0, 1, 2, 3]), "one for each four batches");
    for node in 0..4 {
        assert!(world.replica(node).batches_kept() <= 8, "{}", world.replica(node).batches_kept());
    }
    assert_same(&world, &[0, 1, 2, 3]);
    assert!(world.is_idle(), "and nothing more is sent");
}

#[test]
fn who_was_cut_off_for_long_takes_over_a_state_and_goes_on() {
    let mut world = world(4, 4, 4);
    // So many accounts that their state has several chunks.
    let opened: Vec<Operation> = (0..200)
        .map(|number| BankOperation::Open { account: format!("0/{number}{}", "x".repeat(240)) }.encode())
        .collect();
    for part in opened.chunks(20) {
        let bytes: Vec<&[u8]> = part.iter().map(|operation| &*operation.0).collect();
        world.submit_all(ReplicaId(0), &bytes);
        world.run(50_000);
    }
    cut_off(&mut world, 3);
    // It has asked for something, which it will be answered.
    ask(&mut world, 3, &pay(3, 0, 7));
    pay_around(&mut world, &[0, 1, 2], 30);
    let behind = generation(&world, 3).0;
    assert!(generation(&world, 0).0 >= behind + 5);
    assert!(!adopted(&world, 3));
    world.set_network(&Network::default());
    world.run(5_000_000);
    assert!(adopted(&world, 3), "what it lacks is gone");
    pay_around(&mut world, &[3, 1], 2);
    world.run(1_000_000);
    assert_eq!(world.accepted().len(), world.submitted());
    assert_same(&world, &[0, 1, 2, 3]);
    oracles::source_order::check(world.trace()).unwrap();
    assert_eq!(world.caught(), [0_u16; 0]);
}

/// A node that was not there at all is let in, gets what there is, and counts from then on.
#[test]
fn a_node_joins_and_the_quorum_follows() {
    let mut world = world(5, 4, 8);
    cut_off(&mut world, 4);
    pay_around(&mut world, &[0, 1, 2, 3], 5);
    ask_for(&mut world, 0, join(4));
    world.run(1_000_000);
    assert_eq!(generation(&world, 0).1, [0, 1, 2, 3], "one of four is not enough");
    ask_for(&mut world, 2, join(4));
    world.run(1_000_000);
    assert_eq!(generation(&world, 0).1, [0, 1, 2, 3, 4]);
    assert_eq!(world.replica(0).generation().1.quorum(), 4);
    world.set_network(&Network::default());
    world.run(5_000_000);
    assert!(adopted(&world, 4));
    // Four of five decide, so that it is needed now.
    world.crash(ReplicaId(1));
    pay_around(&mut world, &[4, 0], 3);
    world.run(5_000_000);
    assert_eq!(world.accepted().len(), world.submitted());
    assert_same(&world, &[0, 2, 3, 4]);
}

#[test]
fn a_member_leaves_by_its_own_word_and_its_batches_stay() {
    let mut world = world(5, 5, 8);
    pay_around(&mut world, &[0, 1, 2, 3, 4], 2);
    assert!(world.replica(4).takes_requests(ReplicaId(4)));
    ask(&mut world, 4, &pay(4, 0, 50));
    ask_for(&mut world, 4, leave(4));
    world.run(1_000_000);
    assert_eq!(generation(&world, 0).1, [0, 1, 2, 3]);
    assert!(!world.replica(4).takes_requests(ReplicaId(4)));
    let asked = world.submitted();
    assert_eq!(world.accepted().len(), asked);
    ask(&mut world, 4, &pay(4, 0, 1));
    pay_around(&mut world, &[0, 1], 2);
    assert_eq!((world.accepted().len(), world.submitted()), (asked + 4, asked + 5), "it takes no requests");
    // It goes on to see what the others do.
    world.run(2_000_000);
    assert_same(&world, &[0, 1, 2, 3, 4]);
    // And may come back.
    for member in [0, 1] {
        ask_for(&mut world, member, join(4));
    }
    world.run(2_000_000);
    ask(&mut world, 4, &pay(4, 0, 1));
    world.run(2_000_000);
    assert_eq!(world.accepted().len(), world.submitted(), "what it was asked meanwhile as well");
    assert_same(&world, &[0, 1, 2, 3, 4]);
}

#[test]
fn a_change_that_makes_no_sense_is_refused_with_the_reason() {
    let mut world = world(5, 4, 100);
    let node = ReplicaId;
    let mut expected = Vec::new();
    for (change, refusal) in [
        (join(3), MembershipRefusal::IsMember(node(3))),
        (leave(4), MembershipRefusal::NoMember(node(4))),
        (join(5), MembershipRefusal::UnknownNode(node(5))),
        (leave(9), MembershipRefusal::UnknownNode(node(9))),
    ] {
        ask_for(&mut world, 1, change);
        world.run(200_000);
        expected.push(MembershipOutput::Refused(refusal));
    }
    ask(&mut world, 1, &Operation::new(b"membership/1\0\0\0\0\xff"));
    world.run(200_000);
    expected.push(MembershipOutput::Refused(MembershipRefusal::NotAnOperation));
    let answers: Vec<_> =
        world.accepted().iter().map(|it| MembershipOutput::decode(&it.result).unwrap()).collect();
    assert_eq!(answers, expected);
    assert_eq!(generation(&world, 0), (0, vec![0, 1, 2, 3]));
}

/// What was signed in earlier generations, and whom for.
type Signed = Rc<RefCell<BTreeMap<(Digest, u64), BTreeMap<ReplicaId, Signature>>>>;

/// A faulty actor with two payments of one number, that keeps what members sign for them.
struct Spender {
    signer: Signer,
    cluster: Cluster,
    payments: [Arc<Batch>; 2],
    signed: Signed,
}

impl Spender {
    fn new(world: &mut World<Member>, id: u16) -> Spender {
        let cluster = world.trace().cluster.clone();
        let signer = kernel::keys::symbolic(7, cluster.n).0.remove(id.into());
        world.set_behaviours(signer.id(), vec!["offline".parse().unwrap()]);
        let payment = |to: u16| {
            let session = SessionId { gateway: signer.id(), number: 1_000 + u64::from(to) };
            let request = Request { session, counter: 1, operation: pay(id, to, 80) };
            let bundle = Arc::new(Bundle::sign(&cluster, &signer, vec![request]));
            Arc::new(Batch::sign(&cluster, &signer, 1, vec![], vec![bundle], vec![]))
        };
        let payments = [payment(0), payment(1)];
        let signed = Signed::default();
        let sink = Rc::clone(&signed);
        world.observe_all(Box::new(move |_, member, observation| {
            if let Observation::Departed { content: Content::Message(Message::Validated(one)), .. } =
                observation
                && one.actor == ReplicaId(id)
            {
                let of_batch = (one.digest, one.generation);
                sink.borrow_mut().entry(of_batch).or_default().insert(member, one.signature);
            }
        }));
        Spender { signer, cluster, payments, signed }
    }

    fn show(&self, world: &mut World<Member>, payment: usize, to: &[u16]) {
        for node in to {
            let propose = Message::Propose(Arc::clone(&self.payments[payment]));
            world.inject(self.signer.id(), ReplicaId(*node), propose);
        }
        world.run(100_000);
    }

    /// Shows whatever it has as a proof, with signatures of `others` whose keys it has.
    fn prove(
        &self,
        world: &mut World<Member>,
        payment: usize,
        generation: u64,
        others: &[Signer],
        to: &[u16],
    ) {
        let batch = &self.payments[payment];
        let (actor, number, digest) = (batch.actor, batch.number, batch.digest());
        let mut of_all = self.signed.borrow().get(&(digest, generation)).cloned().unwrap_or_default();
        for signer in others.iter().chain([&self.signer]) {
            let own = Validation::sign(&self.cluster, signer, (actor, number, digest), generation);
            of_all.insert(signer.id(), own.signature);
        }
        let validations = of_all.into_iter().collect();
        let proof = Arc::new(Proof { actor, number, digest, generation, validations });
        for node in to {
            let proven = Message::Proven(Arc::clone(batch), Arc::clone(&proof));
            world.inject(self.signer.id(), ReplicaId(*node), proven);
        }
    }
}

/// Two members sign a payment in the first generation, and its actor keeps the proof. After two changes there is a
/// quorum without them.
fn two_generations_spend() {
    let mut world = world(6, 4, 100);
    let spender = Spender::new(&mut world, 3);
    spender.show(&mut world, 0, &[0, 1]);
    for node in [4, 5] {
        for member in [0, 1, 2] {
            ask_for(&mut world, member, join(node));
        }
        world.run(2_000_000);
    }
    assert_eq!(generation(&world, 5), (2, vec![0, 1, 2, 3, 4, 5]));
    assert_eq!(world.replica(5).generation().1.quorum(), 4);
    spender.show(&mut world, 1, &[2, 4, 5]);
    spender.prove(&mut world, 0, 0, &[], &[0]);
    spender.prove(&mut world, 1, 2, &[], &[2, 4, 5]);
    world.run(5_000_000);
    assert_same(&world, &[0, 1, 2, 4, 5]);
    assert_eq!(world.replica(2).applied(ReplicaId(3)).0, 1, "the first one counts");
}

#[test]
fn what_was_signed_before_is_honoured_after_two_changes() {
    two_generations_spend();
}

/// Nodes that are no members sign for whatever an actor likes.
fn strangers_sign() {
    let mut world = world(7, 4, 100);
    let spender = Spender::new(&mut world, 3);
    let mut signers = kernel::keys::symbolic(7, 7).0;
    let strangers: Vec<Signer> = signers.drain(4..6).collect();
    spender.show(&mut world, 0, &[0, 1]);
    spender.prove(&mut world, 1, 0, &strangers, &[2]);
    spender.prove(&mut world, 0, 0, &[], &[0]);
    world.run(5_000_000);
    assert_same(&world, &[0, 1, 2]);
    assert_eq!(world.caught(), [3]);
}

#[test]
fn only_members_of_its_generation_prove_a_batch() {
    strangers_sign();
}

#[test]
fn these_checks_fail_without_their_rules() {
    assert_detected(&[
        (Weakening::UnfinishedForgotten, two_generations_spend),
        (Weakening::GenerationNotChecked, strangers_sign),
    ]);
}

/// A node tells one that was away of the second change alone, by conclusions of members whom that one knows.
#[test]
fn a_change_that_is_left_out_is_asked_for() {
    let mut world = world(6, 4, 100);
    let said: Rc<RefCell<BTreeMap<ReplicaId, Conclusion>>> = Rc::default();
    let suggested: Rc<RefCell<Option<Generation>>> = Rc::default();
    let (sink, last) = (Rc::clone(&said), Rc::clone(&suggested));
    world.observe_all(Box::new(move |_, member, observation| {
        let Observation::Departed { content: Content::Message(Message::Generation(on)), .. } = observation
        else {
            return;
        };
        match &**on {
            OnGeneration::Suggest(suggestion) => *last.borrow_mut() = Some(suggestion.generation.clone()),
            OnGeneration::Conclude(conclusion) => drop(sink.borrow_mut().insert(member, conclusion.clone())),
            _ => {}
        }
    }));
    cut_off(&mut world, 5);
    for node in [4, 5] {
        for member in [0, 1, 2] {
            ask_for(&mut world, member, join(node));
        }
        world.run(2_000_000);
    }
    assert_eq!((generation(&world, 0).0, generation(&world, 5).0), (2, 0));
    let said = said.borrow();
    let of_second = said.iter().filter(|(id, it)| id.0 < 4 && it.ballot.number == 2);
    let conclusions: Vec<_> = of_second.map(|(id, it)| (*id, it.report.clone(), it.signature)).collect();
    assert_eq!(conclusions.len(), 4, "a quorum of the first members, and of those of generation 1");
    let second = Decision { generation: suggested.borrow().clone().unwrap(), round: 0, conclusions };
    let began = |decisions| Message::Generation(Arc::new(OnGeneration::Began(decisions)));
    drop(said);
    world.inject(ReplicaId(3), ReplicaId(5), began(vec![second]));
    world.run(10_000);
    assert_eq!(generation(&world, 5), (0, vec![0, 1, 2, 3]));
    assert!(world.caught().is_empty(), "an honest node may leave it out, if it takes it for known");
    world.set_network(&Network::default());
    world.run(5_000_000);
    assert_same(&world, &[0, 1, 2, 4, 5]);
}

/// Both of two members want to leave, and one of them must stay.
#[test]
fn the_last_member_goes_on_even_if_it_has_asked_to_leave() {
    let mut world = world(2, 2, 100);
    ask_for(&mut world, 0, leave(0));
    ask_for(&mut world, 1, leave(1));
    world.run(2_000_000);
    let (_, members) = generation(&world, 0);
    let [last] = members[..] else { panic!("{members:?}") };
    ask(&mut world, last, &pay(last, 1 - last, 5));
    world.run(2_000_000);
    assert_eq!(world.accepted().len(), 3);
    assert_same(&world, &[0, 1]);
}

/// A validation of the generation before does not count, and is told so.
#[test]
fn a_validation_of_another_generation_is_refused() {
    let mut world = world(5, 4, 100);
    let refused: Rc<RefCell<Vec<(u16, Reason)>>> = Rc::default();
    let sink = Rc::clone(&refused);
    world.observe_all(Box::new(move |_, member, observation| {
        if let Observation::Rejection(rejection) = observation {
            sink.borrow_mut().push((member.0, rejection.reason));
        }
    }));
    for member in [0, 1] {
        ask_for(&mut world, member, join(4));
    }
    world.run(1_000_000);
    assert_eq!(generation(&world, 0).0, 1);
    // The payment is on its way when an old signature of node 2's for it arrives.
    cut_off(&mut world, 0);
    ask(&mut world, 0, &pay(0, 1, 5));
    world.run(1_000);
    let cluster = world.trace().cluster.clone();
    let signers = kernel::keys::symbolic(7, 5).0;
    let about = (ReplicaId(0), world.replica(0).applied(ReplicaId(0)).0 + 1, Digest::ZERO);
    let old = Validation::sign(&cluster, &signers[2], about, 0);
    world.set_network(&Network::default());
    world.inject(ReplicaId(2), ReplicaId(0), Message::Validated(old));
    world.run(300);
    assert!(refused.borrow().contains(&(0, Reason::WrongGeneration)), "{:?}", refused.borrow());
    world.run(1_000_000);
    assert_eq!(world.accepted().len(), world.submitted());
}

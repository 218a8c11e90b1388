//! What a member does upon each input, exactly.

use apps::{BankOperation, BankOutput, BankRefusal};
use broadcast::{Bank, Batch, Config, Message, Progress, Proof, Remark, Replica, Timer, Validation, slot};
use kernel::{
    Admission, Bundle, Cluster, ClusterId, Context, Digest, Effect, Input, Mark, Micros, Operation, Output,
    Phase, Protocol as _, Reason, Rejection, ReplicaId, Request, SeededChoice, SessionId, Signer, To,
    Verified, Wire as _,
};
use std::sync::Arc;

type Member = Replica<Bank>;

/// Member 0 of four, and the keys of all.
struct Bench {
    cluster: Cluster,
    signers: Vec<Signer>,
    admission: Admission,
    member: Member,
    choose: SeededChoice,
}

impl Bench {
    fn new() -> Bench {
        let cluster = Cluster::new(ClusterId([7; 16]), "broadcast", 4);
        let (signers, keyring) = kernel::keys::symbolic(1, 4);
        let admission = Admission::new(cluster.clone(), keyring);
        let member = Member::new(Config::default(), 4, Bank::default());
        Bench { cluster, signers, admission, member, choose: SeededChoice::new(1) }
    }

    fn step(&mut self, input: Input<Member>) -> Vec<Effect<Member>> {
        let mut effects = Vec::new();
        let mut cx = Context::new(&self.cluster, &self.signers[0], &mut self.choose, &mut effects);
        self.member.step(&mut cx, input);
        effects
    }

    /// Delivers a message that must be admitted.
    fn deliver(&mut self, from: u16, message: Message) -> Vec<Effect<Member>> {
        self.admit(from, &message).unwrap();
        let message = Verified::admitted_before(message);
        self.step(Input::Deliver { from: ReplicaId(from), message })
    }

    fn admit(&mut self, from: u16, message: &Message) -> Result<(), Reason> {
        let admitted = self.admission.admit_all(vec![(ReplicaId(from), message.clone())]).remove(0);
        admitted.map(|_| ()).map_err(|rejection| rejection.reason)
    }

    fn bundle(&self, actor: u16, counter: u64, asked: Asked) -> Arc<Bundle> {
        let request = |(number, operation)| {
            let session = SessionId { gateway: ReplicaId(actor), number };
            Request { session, counter, operation }
        };
        let requests = (1..).zip(asked.operations(actor)).map(request).collect();
        Arc::new(Bundle::sign(&self.cluster, &self.signers[usize::from(actor)], requests))
    }

    fn batch(&self, actor: u16, number: u64, after: &[(u16, u64)], operation: Asked) -> Arc<Batch> {
        let after = after.iter().map(|(actor, number)| (ReplicaId(*actor), *number)).collect();
        let bundles = vec![self.bundle(actor, number, operation)];
        let signer = &self.signers[usize::from(actor)];
        Arc::new(Batch::sign(&self.cluster, signer, number, after, bundles, vec![]))
    }

    fn validation(&self, of: u16, batch: &Batch) -> Validation {
        let signer = &self.signers[usize::from(of)];
        Validation::sign(&self.cluster, signer, (batch.actor, batch.number, batch.digest()), 0)
    }

    fn proof(&self, batch: &Batch, of: &[u16]) -> Arc<Proof> {
        let validations =
            of.iter().map(|of| (ReplicaId(*of), self.validation(*of, batch).signature)).collect();
        Arc::new(Proof {
            actor: batch.actor,
            number: batch.number,
            digest: batch.digest(),
            generation: 0,
            validations,
        })
    }
}

/// What an actor asks for.
enum Asked {
    /// An account of this name with 100 in it.
    Open(String),
    /// A payment from its account `a` to that of another.
    Pay(u16, u64),
    Bytes(usize),
}

impl Asked {
    fn operations(&self, actor: u16) -> Vec<Operation> {
        match self {
            Asked::Open(name) => {
                let account = format!("{actor}/{name}");
                let deposit = BankOperation::Deposit { account: account.clone(), amount: 100 };
                vec![BankOperation::Open { account }.encode(), deposit.encode()]
            }
            Asked::Pay(to, amount) => {
                let (from, to) = (format!("{actor}/a"), format!("{to}/a"));
                vec![BankOperation::Transfer { from, to, amount: *amount }.encode()]
            }
            Asked::Bytes(bytes) => vec![Operation::new(&vec![0; *bytes])],
        }
    }
}

fn open(name: &str) -> Asked {
    Asked::Open(name.into())
}

fn pay(to: u16, amount: u64) -> Asked {
    Asked::Pay(to, amount)
}

/// What a node says that has applied so much, in the first generation.
fn having(applied: Vec<u64>) -> Progress {
    Progress { generation: 0, applied, chunks: 0 }
}

fn sent(to: u16, message: Message) -> Effect<Member> {
    Effect::Send { to: To::One(ReplicaId(to)), message }
}

/// All but marks.
fn unmarked(effects: Vec<Effect<Member>>) -> Vec<Effect<Member>> {
    effects.into_iter().filter(|effect| !matches!(effect, Effect::Mark(_))).collect()
}

fn refused(from: u16, reason: Reason) -> Vec<Effect<Member>> {
    vec![Effect::Reject(Rejection { from: ReplicaId(from), seq: None, corrupt_vote: false, reason })]
}

/// The kinds of what was sent, and to whom; `None` is all.
fn kinds(effects: &[Effect<Member>]) -> Vec<(Option<u16>, &'static str)> {
    let sends = effects.iter().filter_map(|effect| match effect {
        Effect::Send { to: To::All, message } => Some((None, message.kind())),
        Effect::Send { to: To::One(to), message } => Some((Some(to.0), message.kind())),
        _ => None,
    });
    sends.collect()
}

fn applied(effects: &[Effect<Member>]) -> Vec<(u16, u64)> {
    let marks = effects.iter().filter_map(|effect| match effect {
        Effect::Mark(Mark::Applied { session, counter, .. }) => Some((session.gateway.0, *counter)),
        _ => None,
    });
    let mut batches: Vec<_> = marks.collect();
    // A batch that opens an account has two requests.
    batches.dedup();
    batches
}

#[test]
fn a_proposal_is_validated_once_and_again_if_it_comes_again() {
    let mut bench = Bench::new();
    let batch = bench.batch(1, 1, &[], open("a"));
    let answer = vec![sent(1, Message::Validated(bench.validation(0, &batch)))];
    let effects = bench.deliver(1, Message::Propose(Arc::clone(&batch)));
    let (seq, digest) = (slot(4, ReplicaId(1), 1), batch.digest());
    let voted = Mark::Voted { phase: Phase::Prepare, view: None, seq, digest };
    assert_eq!(effects[..2], [Mark::Accepted { seq, digest }, voted].map(Effect::Mark));
    assert_eq!(effects[2..], answer);
    assert_eq!(bench.deliver(1, Message::Propose(batch)), answer, "it is accepted once");
    let other = bench.batch(1, 1, &[], open("b"));
    assert_eq!(bench.deliver(1, Message::Propose(other)), refused(1, Reason::ConflictingProposal));
}

#[test]
fn an_invalid_operation_is_refused_and_another_one_with_its_number_is_not() {
    let mut bench = Bench::new();
    let invalid = bench.batch(1, 1, &[], pay(2, 1));
    assert_eq!(bench.deliver(1, Message::Propose(invalid)), refused(1, Reason::InvalidOperation));
    let valid = bench.batch(1, 1, &[], open("a"));
    assert_eq!(kinds(&bench.deliver(1, Message::Propose(valid))), [(Some(1), "validated")]);
}

#[test]
fn a_proposal_waits_for_what_it_depends_on_and_for_the_one_before() {
    let mut bench = Bench::new();
    let (first, second) = (bench.batch(1, 1, &[], open("a")), bench.batch(1, 2, &[(2, 1)], pay(2, 60)));
    let of_other = bench.batch(2, 1, &[], open("a"));
    assert_eq!(bench.deliver(1, Message::Propose(Arc::clone(&second))), []);
    let proven = |bench: &mut Bench, batch: &Arc<Batch>| {
        let proof = bench.proof(batch, &[1, 2, 3]);
        bench.deliver(batch.actor.0, Message::Proven(Arc::clone(batch), proof))
    };
    assert_eq!(applied(&proven(&mut bench, &first)), [(1, 1)]);
    let effects = proven(&mut bench, &of_other);
    assert_eq!((applied(&effects), kinds(&effects)), (vec![(2, 1)], vec![(Some(1), "validated")]));
    // Too far ahead: something is missing here.
    let fourth = bench.batch(1, 4, &[], pay(2, 1));
    assert_eq!(kinds(&bench.deliver(1, Message::Propose(fourth))), [(Some(1), "fetch")]);
}

/// A faulty actor has not said what its payment builds on: a member that has not validated it waits all the same.
#[test]
fn a_proven_payment_waits_until_there_is_the_money() {
    let mut bench = Bench::new();
    let batches = [
        bench.batch(1, 1, &[], open("a")),
        bench.batch(2, 1, &[], open("a")),
        bench.batch(1, 2, &[(2, 1)], pay(2, 100)),
        bench.batch(2, 2, &[(1, 1)], pay(1, 150)),
    ];
    let proven = |bench: &mut Bench, place: usize| {
        let proof = bench.proof(&batches[place], &[1, 2, 3]);
        let message = Message::Proven(Arc::clone(&batches[place]), proof);
        applied(&bench.deliver(3, message))
    };
    assert_eq!(proven(&mut bench, 0), [(1, 1)]);
    assert_eq!(proven(&mut bench, 1), [(2, 1)]);
    assert_eq!(proven(&mut bench, 3), [], "there is only 100");
    assert_eq!(proven(&mut bench, 2), [(1, 2), (2, 2)]);
    let balances: Vec<i128> = bench.member.data().balances().map(|(_, balance)| balance).collect();
    assert_eq!(balances, [150, 50]);
}

#[test]
fn an_actor_proves_with_a_quorum_and_replies_when_it_has_applied() {
    let mut bench = Bench::new();
    let bundle = bench.bundle(0, 1, open("a"));
    let effects = unmarked(bench.step(Input::Submit(Arc::clone(&bundle))));
    let Effect::Send { to: To::All, message: Message::Propose(batch) } = &effects[0] else {
        panic!("{effects:?}")
    };
    let batch = Arc::clone(batch);
    assert_eq!((batch.number, &batch.bundles, &batch.remarks), (1, &vec![Arc::clone(&bundle)], &vec![]));
    assert_eq!(effects[1..], [Effect::SetTimer { timer: Timer::Validations, after: Micros(20_000) }]);

    let validated = |bench: &mut Bench, of: u16| {
        let validation = bench.validation(of, &batch);
        bench.deliver(of, Message::Validated(validation))
    };
    let (seq, digest) = (slot(4, ReplicaId(0), 1), batch.digest());
    let (author, phase) = (ReplicaId(2), Phase::Prepare);
    let received = Mark::VoteReceived { seq, digest, author, phase, contradicts: false };
    assert_eq!(validated(&mut bench, 2), [Effect::Mark(received)]);
    assert_eq!(validated(&mut bench, 2), [], "it counts once");
    // Whoever has answered is not asked again.
    let again = bench.step(Input::Expire(Timer::Validations));
    assert_eq!(kinds(&again), [(Some(1), "propose"), (Some(3), "propose")]);
    assert_eq!(again[2], Effect::SetTimer { timer: Timer::Validations, after: Micros(40_000) });
    let mut wrong = bench.validation(3, &batch);
    wrong = Validation::sign(&bench.cluster, &bench.signers[3], (wrong.actor, wrong.number, Digest::ZERO), 0);
    let rejection =
        Rejection { from: ReplicaId(3), seq: Some(seq), corrupt_vote: true, reason: Reason::ConflictingVote };
    assert_eq!(bench.deliver(3, Message::Validated(wrong)), [Effect::Reject(rejection)]);

    let late = |bench: &Bench| {
        [0, 9].map(|actor| {
            let mut validation = bench.validation(1, &batch);
            validation.actor = ReplicaId(actor);
            bench.member.may_wait(&bench.cluster, &Message::Validated(validation))
        })
    };
    assert_eq!(late(&bench), [false, false]);
    let effects = validated(&mut bench, 3);
    assert_eq!(late(&bench), [true, false], "of what is applied, and not of nobody's");
    assert_eq!(kinds(&effects), [(None, "proof")]);
    assert_eq!(applied(&effects), [(0, 1)]);
    let Some(Effect::Reply { to: ReplicaId(0), bundle: reply }) =
        effects.iter().find(|effect| matches!(effect, Effect::Reply { .. }))
    else {
        panic!("{effects:?}")
    };
    assert_eq!(BankOutput::decode(&reply.replies[0].result), Some(BankOutput::Opened));
    assert_eq!(reply.bundles, [bundle.digest()]);
    assert!(effects.contains(&Effect::CancelTimer(Timer::Validations)));
    assert_eq!(validated(&mut bench, 1), [], "it is too late to be needed");
    // Asked again, all answer again what they have answered.
    let effects = bench.step(Input::Submit(bundle));
    assert_eq!(kinds(&effects), [(None, "remind")]);
    assert!(matches!(&effects[0], Effect::Reply { bundle, .. } if bundle.replies == reply.replies));
}

#[test]
fn what_comes_while_a_batch_is_on_its_way_is_the_next_batch() {
    let mut bench = Bench::new();
    for counter in 1..=3 {
        let bundle = bench.bundle(0, counter, open(&counter.to_string()));
        let effects = unmarked(bench.step(Input::Submit(bundle)));
        assert_eq!(effects.len(), if counter == 1 { 2 } else { 0 });
    }
    let first = bench.member.status(&bench.cluster);
    assert_eq!((first.slots_in_flight, first.requests_waiting), (1, 2 * 2));
    let of_another = bench.bundle(1, 1, open("a"));
    assert_eq!(bench.step(Input::Submit(of_another)), refused(1, Reason::NotEntitled));
}

#[test]
fn a_batch_is_not_larger_than_what_members_let_in() {
    let mut bench = Bench::new();
    let large = |bench: &Bench, counter| bench.bundle(0, counter, Asked::Bytes(5 << 20));
    let mut proposed = bench.step(Input::Submit(bench.bundle(0, 1, open("a"))));
    for counter in 2..=4 {
        bench.step(Input::Submit(large(&bench, counter)));
    }
    for number in 1..=4 {
        let batch = proposed.iter().find_map(|effect| match effect {
            Effect::Send { message: Message::Propose(batch), .. } => Some(Arc::clone(batch)),
            _ => None,
        });
        let batch = batch.unwrap();
        assert_eq!((batch.number, batch.bundles.len()), (number, 1));
        bench.admit(0, &Message::Propose(Arc::clone(&batch))).unwrap();
        let proof = bench.proof(&batch, &[1, 2, 3]);
        proposed = bench.deliver(1, Message::Proven(batch, proof));
    }
}

#[test]
fn a_refusal_is_the_actors_and_travels_with_the_batch() {
    let mut bench = Bench::new();
    let effects = bench.step(Input::Submit(bench.bundle(0, 1, pay(1, 5))));
    let Effect::Send { message: Message::Propose(batch), .. } = &effects[0] else { panic!("{effects:?}") };
    let unknown = BankOutput::Refused(BankRefusal::UnknownAccount { receiver: false }).encode();
    assert_eq!(batch.remarks, [(0, Remark::Refused(unknown))]);
}

#[test]
fn members_that_lack_something_get_it_in_an_order_in_which_it_can_be_applied() {
    let mut bench = Bench::new();
    let batches = [bench.batch(2, 1, &[], open("a")), bench.batch(1, 1, &[(2, 1)], open("a"))];
    for batch in &batches {
        let proof = bench.proof(batch, &[1, 2, 3]);
        bench.deliver(3, Message::Proven(Arc::clone(batch), proof));
    }
    let served = bench.deliver(3, Message::Fetch(having(vec![0; 4])));
    let of: Vec<u16> = served
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send { message: Message::Proven(batch, _), .. } => Some(batch.actor.0),
            _ => None,
        })
        .collect();
    assert_eq!(of, [2, 1], "what the other one depends on comes first");
    assert_eq!(served.last(), Some(&sent(3, Message::Applied(having(vec![0, 1, 1, 0])))));
    // Who has all is only told so.
    assert_eq!(kinds(&bench.deliver(1, Message::Fetch(having(vec![0, 1, 1, 0])))), [(Some(1), "applied")]);

    // The first announcement is to all; later ones ask those alone that may lack something, less and less often.
    let announced = bench.step(Input::Expire(Timer::Announce));
    assert_eq!(kinds(&announced), [(None, "applied")]);
    assert_eq!(announced[1], Effect::SetTimer { timer: Timer::Announce, after: Micros(40_000) });
    let announced = bench.step(Input::Expire(Timer::Announce));
    assert_eq!(kinds(&announced), [(Some(2), "fetch"), (Some(3), "fetch")]);
    for member in 2..4 {
        bench.deliver(member, Message::Applied(having(vec![0, 1, 1, 0])));
    }
    assert_eq!(bench.step(Input::Expire(Timer::Announce)), []);
    assert_eq!(bench.member.batches_kept(), 2);
}

/// A faulty actor has not named what its batch builds on, and has many more behind it: what was applied first is served
/// first all the same, so whoever lacks all of it can apply it.
#[test]
fn what_a_faulty_actor_does_not_name_is_served_before_its_batch() {
    let mut bench = Bench::new();
    let mut batches = vec![
        bench.batch(1, 1, &[], open("a")),
        bench.batch(2, 1, &[], open("a")),
        bench.batch(2, 2, &[(1, 1)], pay(1, 9)),
    ];
    batches.push(bench.batch(1, 2, &[], pay(2, 109)));
    batches.extend((3..300).map(|number| bench.batch(1, number, &[], open(&number.to_string()))));
    for batch in &batches {
        let proof = bench.proof(batch, &[1, 2, 3]);
        bench.deliver(3, Message::Proven(Arc::clone(batch), proof));
    }
    let served = bench.deliver(3, Message::Fetch(having(vec![0; 4])));
    let first = served.iter().filter_map(|effect| match effect {
        Effect::Send { message: Message::Proven(batch, _), .. } => Some((batch.actor.0, batch.number)),
        _ => None,
    });
    assert_eq!(first.take(4).collect::<Vec<_>>(), [(1, 1), (2, 1), (2, 2), (1, 2)]);
    // Who claims to have more than there is gets nothing, and is asked for it.
    assert_eq!(
        kinds(&bench.deliver(3, Message::Fetch(having(vec![u64::MAX; 4])))),
        [(Some(3), "applied"), (Some(3), "fetch")]
    );
}

/// Each request is answered once, however often it is named.
#[test]
fn a_reminder_does_not_multiply_answers() {
    let mut bench = Bench::new();
    let batch = bench.batch(1, 1, &[], open("a"));
    let proof = bench.proof(&batch, &[1, 2, 3]);
    bench.deliver(3, Message::Proven(Arc::clone(&batch), proof));
    let again = vec![batch.bundles[0].requests()[0].clone(); 1_000];
    let reminder = Arc::new(Bundle::sign(&bench.cluster, &bench.signers[1], again));
    let effects = bench.deliver(1, Message::Remind(reminder));
    assert!(
        matches!(&effects[..], [Effect::Reply { bundle, .. }] if bundle.replies.len() == 1),
        "{effects:?}"
    );
}

#[test]
fn who_is_behind_asks_one_member_at_a_time() {
    let mut bench = Bench::new();
    let ahead = || Message::Applied(having(vec![0, 5, 0, 0]));
    let asks = bench.deliver(2, ahead());
    assert_eq!(kinds(&asks), [(Some(2), "fetch")]);
    assert_eq!(asks[1], Effect::SetTimer { timer: Timer::Fetch, after: Micros(20_000) });
    assert_eq!(bench.deliver(3, ahead()), [], "an answer is waited for");
    assert_eq!(kinds(&bench.step(Input::Expire(Timer::Fetch))), [(Some(3), "fetch")], "the next one");
    assert_eq!(kinds(&bench.step(Input::Expire(Timer::Fetch))), [(Some(2), "fetch")]);
}

#[test]
fn what_is_not_sound_is_not_let_in() {
    let mut bench = Bench::new();
    let batch = bench.batch(1, 1, &[], open("a"));
    let proof = |of: &[u16]| bench.proof(&batch, of);
    let (good, short, repeated) = (proof(&[1, 2, 3]), proof(&[1, 2]), proof(&[1, 2, 2]));
    let foreign = Arc::new(Proof { digest: Digest::ZERO, ..Proof::clone(&good) });
    let unsigned = Arc::new(Batch { number: 2, ..Batch::clone(&batch) });
    let of_itself = {
        let after = vec![(ReplicaId(1), 1)];
        Arc::new(Batch::sign(&bench.cluster, &bench.signers[1], 1, after, batch.bundles.clone(), vec![]))
    };
    let of_another = {
        let bundles = vec![bench.bundle(2, 1, open("a"))];
        Arc::new(Batch::sign(&bench.cluster, &bench.signers[1], 1, vec![], bundles, vec![]))
    };
    let twice_after = {
        let after = vec![(ReplicaId(2), 1), (ReplicaId(2), 1)];
        Arc::new(Batch::sign(&bench.cluster, &bench.signers[1], 1, after, batch.bundles.clone(), vec![]))
    };
    let remarked = |remarks: Vec<(u32, Remark)>| {
        let bundles = batch.bundles.clone();
        Arc::new(Batch::sign(&bench.cluster, &bench.signers[1], 1, vec![], bundles, remarks))
    };
    let refusal = |bytes: usize| Remark::Refused(Output::new(&vec![0; bytes]));
    let (of_nothing, too_long) = (remarked(vec![(2, refusal(1))]), remarked(vec![(0, refusal(1_025))]));
    let (twice_said, fine) =
        (remarked(vec![(0, refusal(1)), (0, refusal(1))]), remarked(vec![(0, refusal(1_024))]));
    let number_zero = {
        let bundles = batch.bundles.clone();
        Arc::new(Batch::sign(&bench.cluster, &bench.signers[1], 0, vec![], bundles, vec![]))
    };
    let other_requests = {
        let bundles = vec![bench.bundle(1, 1, open("b"))];
        Arc::new(Batch { bundles, ..Batch::clone(&batch) })
    };
    let of_two = bench.validation(2, &batch);
    let bundle = Arc::clone(&batch.bundles[0]);
    for (from, message, verdict) in [
        (1, Message::Propose(Arc::clone(&batch)), Ok(())),
        (2, Message::Propose(Arc::clone(&batch)), Err(Reason::NotEntitled)),
        (1, Message::Propose(unsigned), Err(Reason::BadSignature)),
        (1, Message::Propose(other_requests), Err(Reason::BadSignature)),
        (1, Message::Propose(of_itself), Err(Reason::MalformedRequests)),
        (1, Message::Propose(of_another), Err(Reason::MalformedRequests)),
        (1, Message::Propose(number_zero), Err(Reason::MalformedRequests)),
        (1, Message::Propose(twice_after), Err(Reason::MalformedRequests)),
        (1, Message::Propose(of_nothing), Err(Reason::MalformedRequests)),
        (1, Message::Propose(too_long), Err(Reason::MalformedRequests)),
        (1, Message::Propose(twice_said), Err(Reason::MalformedRequests)),
        (1, Message::Propose(fine), Ok(())),
        (2, Message::Validated(of_two.clone()), Ok(())),
        (3, Message::Validated(of_two), Err(Reason::BadSignature)),
        (3, Message::Proof(Arc::clone(&good)), Ok(())),
        (1, Message::Proof(repeated), Err(Reason::MalformedCertificate)),
        (1, Message::Proof(Arc::clone(&foreign)), Err(Reason::BadSignature)),
        (3, Message::Proven(Arc::clone(&batch), Arc::clone(&good)), Ok(())),
        (3, Message::Proven(Arc::clone(&batch), foreign), Err(Reason::DigestMismatch)),
        (1, Message::Applied(having(vec![0; 3])), Err(Reason::MalformedRequests)),
        (1, Message::Fetch(having(vec![0; 5])), Err(Reason::MalformedRequests)),
        (1, Message::Remind(Arc::clone(&bundle)), Ok(())),
        (2, Message::Remind(bundle), Err(Reason::MalformedRequests)),
    ] {
        assert_eq!(bench.admit(from, &message), verdict, "{message:?} from {from}");
    }
    // How many it takes depends on the generation.
    for message in [Message::Proof(Arc::clone(&short)), Message::Proven(batch, short)] {
        assert_eq!(bench.deliver(1, message), refused(1, Reason::MalformedCertificate));
    }
    let later = Proof { generation: 1, ..Proof::clone(&good) };
    assert_eq!(bench.admit(1, &Message::Proof(Arc::new(later))), Err(Reason::BadSignature));
}

/// It may have vouched for another batch of this number, and used these numbers of its own, before it forgot.
#[test]
fn a_member_that_lost_its_memory_applies_and_says_nothing() {
    let mut bench = Bench::new();
    bench.member = Member::recovering(Config::default(), 4, Bank::default());
    assert!(bench.member.status(&bench.cluster).recovering);
    let batch = bench.batch(1, 1, &[], open("a"));
    assert_eq!(bench.deliver(1, Message::Propose(Arc::clone(&batch))), []);
    assert_eq!(bench.step(Input::Submit(bench.bundle(0, 1, open("a")))), []);
    assert_eq!(bench.member.status(&bench.cluster).requests_waiting, 0, "it would keep them for ever");
    let proof = bench.proof(&batch, &[1, 2, 3]);
    assert_eq!(applied(&bench.deliver(1, Message::Proof(proof))), [(1, 1)]);
}

#[test]
fn slots_of_actors_stand_side_by_side() {
    let slots = |actor| [1, 2, 3].map(|number| slot(4, ReplicaId(actor), number).0);
    assert_eq!([slots(0), slots(3)], [[1, 5, 9], [4, 8, 12]]);
}

/// Asking costs less than answering: who asks again and again is told what there is, and given no more.
#[test]
fn who_asks_again_at_once_is_given_nothing_more_for_a_while() {
    let mut bench = Bench::new();
    let batch = bench.batch(1, 1, &[], open("a"));
    let proof = bench.proof(&batch, &[1, 2, 3]);
    bench.deliver(1, Message::Proven(batch, proof));
    let fetch = |bench: &mut Bench, from| kinds(&bench.deliver(from, Message::Fetch(having(vec![0; 4]))));
    let given = |to| vec![(Some(to), "proven"), (Some(to), "applied")];
    assert_eq!(fetch(&mut bench, 2), given(2));
    assert_eq!(fetch(&mut bench, 2), [(Some(2), "applied")]);
    assert_eq!(fetch(&mut bench, 3), given(3), "others do not wait for it");
    assert_eq!(bench.step(Input::Expire(Timer::Serve)), []);
    assert_eq!(fetch(&mut bench, 2), given(2));
}

/// What waits is bounded: a client whose request is lost asks again.
#[test]
fn so_many_requests_wait_and_no_more() {
    let mut bench = Bench::new();
    let bundle = |bench: &Bench, first: u64, requests: u64| {
        let request = |number| Request {
            session: SessionId { gateway: ReplicaId(0), number },
            counter: 1,
            operation: Operation::new(b"x"),
        };
        let requests = (first..first + requests).map(request).collect();
        Arc::new(Bundle::sign(&bench.cluster, &bench.signers[0], requests))
    };
    // The first is on its way, and the others wait for it.
    bench.step(Input::Submit(bundle(&bench, 0, 1)));
    for place in 0..64 {
        bench.step(Input::Submit(bundle(&bench, 1 + 1_024 * place, 1_024)));
    }
    let waiting = |bench: &Bench| bench.member.status(&bench.cluster).requests_waiting;
    assert_eq!(waiting(&bench), 65_536);
    bench.step(Input::Submit(bundle(&bench, 100_000, 1)));
    assert_eq!(waiting(&bench), 65_536);
}

/// An answer is bounded by its bytes as well: whoever lacks much gets it piece by piece.
#[test]
fn not_much_more_than_eight_mebibytes_are_given_at_once() {
    let mut bench = Bench::new();
    let refusal = || Remark::Refused(BankOutput::Refused(BankRefusal::NotAnOperation).encode());
    for number in 1..=4 {
        let bundles = vec![bench.bundle(1, number, Asked::Bytes(3 << 20))];
        let remarks = vec![(0, refusal())];
        let batch = Batch::sign(&bench.cluster, &bench.signers[1], number, vec![], bundles, remarks);
        let proof = bench.proof(&batch, &[1, 2, 3]);
        bench.deliver(3, Message::Proven(Arc::new(batch), proof));
    }
    let given = |bench: &mut Bench, has: u64| {
        bench.step(Input::Expire(Timer::Serve));
        kinds(&bench.deliver(2, Message::Fetch(having(vec![0, has, 0, 0]))))
    };
    let (proven, applied) = ((Some(2), "proven"), (Some(2), "applied"));
    assert_eq!(given(&mut bench, 0), [proven, proven, proven, applied]);
    assert_eq!(given(&mut bench, 3), [proven, applied]);
}

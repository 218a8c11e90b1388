//! Scopes of secure broadcast: two actors, one of whom pays the same money to two others.

use std::collections::BTreeSet;
use std::sync::Arc;

use apps::BankOperation;
use broadcast::{Bank, Batch, Config, Message, Proof, Replica, Validation};
use flows::{account, funded};
use kernel::{Bundle, Cluster, Digest, ReplicaId, Request, SessionId, Signature, Signer, Wire as _};
use sim::checker::{Forged, Names, Scope, requests_of, signers};

use super::forge::choose;
use super::scopes::{cluster, honest};

/// A member with a bank.
pub type Member = Replica<Bank>;

const N: u16 = 4;
const SPENDER: ReplicaId = ReplicaId(3);
const PAYER: ReplicaId = ReplicaId(0);
/// Two of these are more than there is.
const PAYMENT: u64 = 80;

/// A faulty actor has two batches for each of these numbers, with a payment to another member in each. It shows any of
/// them to anybody, votes for everything, and proves whatever it can. An honest actor pays it meanwhile.
pub fn double_spend(numbers: &[u64]) -> Scope<Member> {
    let cluster = cluster("broadcast", N);
    let member = Member::new(Config::default(), N, funded(N));
    let mut nodes = honest((0..N).filter(|id| *id != SPENDER.0), &member);
    let paid = pay(&cluster, PAYER, SPENDER, 1);
    nodes[usize::from(PAYER.0)].submits = vec![Arc::clone(&paid)];
    let mut scope = Scope::new(cluster, nodes);
    let spends: Vec<Arc<Batch>> = numbers.iter().flat_map(|number| spends(&scope.cluster, *number)).collect();
    let honest_batch = batch(&scope.cluster, PAYER, 1, paid);
    let named = spends.iter().chain([&honest_batch]).zip(["A", "B", "C", "D"].into_iter().cycle());
    let named = named.map(|(batch, name)| (batch.digest(), format!("{name} by {}", batch.actor)));
    scope.names = Names(named.collect());
    let bundles = spends.iter().flat_map(|batch| &batch.bundles);
    scope.asked.extend(bundles.flat_map(|bundle| requests_of(bundle)));
    scope.describe = describe;
    scope.lost = |message| matches!(message, Message::Applied(_) | Message::Fetch(_) | Message::Remind(_));
    scope.abstraction = gist;
    scope.topic = topic;
    scope.faulty = BTreeSet::from([SPENDER]);
    let spender = Spender { signer: signers(&scope.cluster).remove(SPENDER.0.into()), spends, honest_batch };
    let forged_in = scope.cluster.clone();
    scope.forge = Box::new(move |received| spender.forge(&forged_in, received));
    scope
}

/// A payment, in a session of its own.
fn pay(cluster: &Cluster, from: ReplicaId, to: ReplicaId, session: u64) -> Arc<Bundle> {
    let transfer = BankOperation::Transfer { from: account(from.0), to: account(to.0), amount: PAYMENT };
    let session = SessionId { gateway: from, number: session };
    let request = Request { session, counter: 1, operation: transfer.encode() };
    Arc::new(Bundle::sign(cluster, &signers(cluster)[usize::from(from.0)], vec![request]))
}

fn batch(cluster: &Cluster, actor: ReplicaId, number: u64, bundle: Arc<Bundle>) -> Arc<Batch> {
    let signer = &signers(cluster)[usize::from(actor.0)];
    Arc::new(Batch::sign(cluster, signer, number, vec![], vec![bundle], vec![]))
}

fn spends(cluster: &Cluster, number: u64) -> [Arc<Batch>; 2] {
    [0, 1].map(|to| {
        batch(cluster, SPENDER, number, pay(cluster, SPENDER, ReplicaId(to), 10 * number + u64::from(to)))
    })
}

/// What the faulty actor may say.
struct Spender {
    signer: Signer,
    spends: Vec<Arc<Batch>>,
    honest_batch: Arc<Batch>,
}

impl Spender {
    fn forge(&self, cluster: &Cluster, received: &[&Message]) -> Vec<Forged<Message>> {
        let mut said: Vec<Message> =
            self.spends.iter().map(|batch| Message::Propose(Arc::clone(batch))).collect();
        said.push(Message::Validated(self.validation(cluster, &self.honest_batch)));
        for batch in &self.spends {
            for proof in self.proofs(cluster, batch, received).map(Arc::new) {
                said.push(Message::Proof(Arc::clone(&proof)));
                said.push(Message::Proven(Arc::clone(batch), proof));
            }
        }
        said.into_iter().map(|message| Forged { from: SPENDER, to: None, message }).collect()
    }

    fn validation(&self, cluster: &Cluster, batch: &Batch) -> Validation {
        Validation::sign(cluster, &self.signer, (batch.actor, batch.number, batch.digest()), 0)
    }

    /// Every proof that can be made of the validations that came, with as few of them as do. And, to see that proofs are
    /// checked, one of its own word alone.
    fn proofs(&self, cluster: &Cluster, batch: &Batch, received: &[&Message]) -> impl Iterator<Item = Proof> {
        let (actor, number, digest) = (batch.actor, batch.number, batch.digest());
        let own = (SPENDER, self.validation(cluster, batch).signature);
        // A validation does not say whose it is; symbolic signatures are the same each time.
        let of_another = |signer: &Signer| {
            let validation = Validation::sign(cluster, signer, (actor, number, digest), 0);
            let author = (signer.id(), validation.signature);
            let has_come = received.contains(&&Message::Validated(validation));
            has_come.then_some(author)
        };
        let others: Vec<(ReplicaId, Signature)> = signers(cluster).iter().filter_map(of_another).collect();
        let needed = cluster.quorum() - 1;
        choose(&others, needed).into_iter().chain([vec![]]).map(move |mut validations| {
            validations.push(own);
            Proof { actor, number, digest, generation: 0, validations }
        })
    }
}

/// A message without the composition of its quorum.
fn gist(message: &Message) -> Message {
    let gist_of = |proof: &Proof| Arc::new(Proof { validations: vec![], ..proof.clone() });
    match message {
        Message::Proof(proof) => Message::Proof(gist_of(proof)),
        Message::Proven(batch, proof) => Message::Proven(Arc::clone(batch), gist_of(proof)),
        other => other.clone(),
    }
}

/// What a validation is counted for.
fn topic(message: &Message) -> Option<Digest> {
    match message {
        Message::Validated(validation) => Some(validation.digest),
        _ => None,
    }
}

fn describe(message: &Message, names: &Names) -> String {
    match message {
        Message::Propose(batch) => format!("PROPOSE {} (number {})", names.of(&batch.digest()), batch.number),
        Message::Validated(validation) => format!("VALIDATED {}", names.of(&validation.digest)),
        Message::Proof(proof) | Message::Proven(_, proof) => {
            let by: Vec<String> = proof.validations.iter().map(|(author, _)| author.to_string()).collect();
            let kind = message.kind().to_uppercase();
            format!("{kind} {} (number {}) by {}", names.of(&proof.digest), proof.number, by.join(" "))
        }
        other => other.kind().to_uppercase(),
    }
}

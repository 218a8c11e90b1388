//! Behaviours of a node that lies on its own account: `malicious`, `equivocate`
//! without accomplices, `forge`.

use crate::behaviour::Split;
use crate::outgoing::{Outgoing, Speech, recipients};
use kernel::{Choose, Class, Cluster, Falsify, Forgery, ReplicaId, ReplyBundle, Signer, To};

/// `malicious`: a wrong value, correctly signed.
pub(crate) fn falsify<M: Falsify>(outgoing: Outgoing<M>, cluster: &Cluster, signer: &Signer) -> Outgoing<M> {
    let speech = match outgoing.speech {
        Speech::Message(message) => Speech::Message(match message.class() {
            // Its proposals are left alone, and others' requests it cannot sign.
            Class::Request | Class::Proposal => message,
            _ => message.falsified(cluster, signer),
        }),
        Speech::Reply(bundle) => Speech::Reply(bundle.falsified(cluster, signer)),
    };
    Outgoing { speech, ..outgoing }
}

/// `equivocate`: another story for some.
pub(crate) fn equivocate<M: Falsify>(
    split: Split,
    outgoing: Outgoing<M>,
    cluster: &Cluster,
    signer: &Signer,
) -> Vec<Outgoing<M>> {
    let Speech::Message(message) = &outgoing.speech else {
        return vec![outgoing];
    };
    let lie = match message.class() {
        // None that it may sign, if it passes on another's proposal.
        Class::Proposal => message
            .alternative(cluster, signer)
            .filter(|proposal| proposal.claims(signer.id(), cluster).is_ok()),
        Class::Vote | Class::Certificate | Class::Checkpoint | Class::ViewChange => {
            Some(message.falsified(cluster, signer))
        }
        _ => None,
    };
    let Some(lie) = lie.filter(|lie| lie != message) else {
        return vec![outgoing];
    };
    let victim = cluster.next(signer.id());
    let is_lied_to = |id: ReplicaId| match split {
        Split::Halves => id.0 % 2 == 1,
        Split::Victim => id == victim,
    };
    let mut audience = recipients(cluster, signer.id(), outgoing.to);
    if let (To::One(id), Class::Vote) = (outgoing.to, message.class()) {
        // A vote for one collector alone would contradict nothing: the other
        // story goes to somebody else.
        let other = cluster.replicas().find(|o| *o != signer.id() && is_lied_to(*o) != is_lied_to(id));
        audience.extend(other);
    }
    let told = |id: ReplicaId| {
        let message = if is_lied_to(id) { lie.clone() } else { message.clone() };
        Outgoing { to: To::One(id), speech: Speech::Message(message), hold: outgoing.hold }
    };
    audience.into_iter().map(told).collect()
}

/// `forge`: a counterfeit of the kind given, or of any that there is.
pub(crate) fn forge<M: Falsify>(
    kind: Option<Forgery>,
    outgoing: Outgoing<M>,
    cluster: &Cluster,
    signer: &Signer,
    choose: &mut dyn Choose,
) -> Outgoing<M> {
    let kinds: Vec<Forgery> =
        Forgery::ALL.into_iter().filter(|k| kind.is_none_or(|kind| kind == *k)).collect();
    let counterfeit = |forgery: &Forgery| match &outgoing.speech {
        Speech::Message(message) => message.forged(*forgery, cluster, signer).map(Speech::Message),
        Speech::Reply(bundle) => forged_reply(bundle, *forgery, cluster).map(Speech::Reply),
    };
    let mut counterfeits: Vec<Speech<M>> = kinds.iter().filter_map(counterfeit).collect();
    match counterfeits.len() {
        0 => outgoing,
        1 => Outgoing { speech: counterfeits.remove(0), ..outgoing },
        many => {
            let chosen = choose.below(many as u64) as usize;
            Outgoing { speech: counterfeits.remove(chosen), ..outgoing }
        }
    }
}

fn forged_reply(bundle: &ReplyBundle, forgery: Forgery, cluster: &Cluster) -> Option<ReplyBundle> {
    match forgery {
        Forgery::Signature => Some(ReplyBundle { signature: bundle.signature.spoilt(), ..bundle.clone() }),
        Forgery::Name => Some(ReplyBundle { replica: cluster.next(bundle.replica), ..bundle.clone() }),
        Forgery::Short | Forgery::Repeated | Forgery::Mixed => None,
    }
}

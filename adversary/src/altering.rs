//! Behaviours that change what a message says: `malicious`, `equivocate` without
//! colluding nodes, `forge`, `bad-state`.

use crate::behaviour::{Split, StateFault};
use crate::outgoing::{Content, Outgoing, recipients};
use kernel::{Choose, Class, Cluster, Falsify, Forgery, ReplicaId, ReplyBundle, Signer, StateForgery, To};

/// `malicious`: a wrong value, correctly signed.
pub(crate) fn falsify<M: Falsify>(outgoing: Outgoing<M>, cluster: &Cluster, signer: &Signer) -> Outgoing<M> {
    let content = match outgoing.content {
        Content::Message(message) => Content::Message(match message.class() {
            // Its proposals are left alone, and others' requests it cannot sign.
            Class::Request | Class::Proposal => message,
            _ => message.falsified(cluster, signer),
        }),
        Content::Reply(bundle) => Content::Reply(bundle.falsified(cluster, signer)),
    };
    Outgoing { content, ..outgoing }
}

/// `equivocate`: another value for some recipients.
pub(crate) fn equivocate<M: Falsify>(
    split: Split,
    outgoing: Outgoing<M>,
    cluster: &Cluster,
    signer: &Signer,
) -> Vec<Outgoing<M>> {
    let Content::Message(message) = &outgoing.content else {
        return vec![outgoing];
    };
    let other = match message.class() {
        // None that it may sign, if it passes on another's proposal.
        Class::Proposal => message
            .alternative(cluster, signer)
            .filter(|proposal| proposal.claims(signer.id(), cluster).is_ok()),
        Class::Vote | Class::Certificate | Class::Checkpoint | Class::ViewChange => {
            Some(message.falsified(cluster, signer))
        }
        _ => None,
    };
    let Some(other) = other.filter(|other| other != message) else {
        return vec![outgoing];
    };
    let victim = cluster.next(signer.id());
    let gets_other = |id: ReplicaId| match split {
        Split::Halves => id.0 % 2 == 1,
        Split::Victim => id == victim,
    };
    let mut audience = recipients(cluster, signer.id(), outgoing.to);
    if let (To::One(id), Class::Vote) = (outgoing.to, message.class()) {
        // A vote for one collector alone would contradict nothing: the other
        // value goes to somebody else.
        let second = cluster.replicas().find(|o| *o != signer.id() && gets_other(*o) != gets_other(id));
        audience.extend(second);
    }
    let sent = |id: ReplicaId| {
        let message = if gets_other(id) { other.clone() } else { message.clone() };
        Outgoing { to: To::One(id), content: Content::Message(message), hold: outgoing.hold }
    };
    audience.into_iter().map(sent).collect()
}

/// `bad-state`: a part of its state that is of no use, or none at all.
pub(crate) fn misserve<M: Falsify>(
    fault: Option<StateFault>,
    outgoing: Outgoing<M>,
    choose: &mut dyn Choose,
) -> Vec<Outgoing<M>> {
    let Content::Message(message) = &outgoing.content else {
        return vec![outgoing];
    };
    if message.misserved(StateForgery::Bit).is_none() {
        return vec![outgoing];
    }
    let forgeries = StateForgery::ALL;
    let fault = fault.unwrap_or_else(|| {
        let chosen = choose.below(forgeries.len() as u64 + 1) as usize;
        forgeries.get(chosen).map_or(StateFault::Silence, |forgery| StateFault::Forged(*forgery))
    });
    match fault {
        StateFault::Silence => vec![],
        StateFault::Forged(forgery) => {
            let forged = message.misserved(forgery).into_iter();
            forged
                .map(|message| Outgoing { content: Content::Message(message), ..outgoing.clone() })
                .collect()
        }
    }
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
    let counterfeit = |forgery: &Forgery| match &outgoing.content {
        Content::Message(message) => message.forged(*forgery, cluster, signer).map(Content::Message),
        Content::Reply(bundle) => forged_reply(bundle, *forgery, cluster).map(Content::Reply),
    };
    let mut counterfeits: Vec<Content<M>> = kinds.iter().filter_map(counterfeit).collect();
    match counterfeits.len() {
        0 => outgoing,
        1 => Outgoing { content: counterfeits.remove(0), ..outgoing },
        many => {
            let chosen = choose.below(many as u64) as usize;
            Outgoing { content: counterfeits.remove(chosen), ..outgoing }
        }
    }
}

fn forged_reply(bundle: &ReplyBundle, forgery: Forgery, cluster: &Cluster) -> Option<ReplyBundle> {
    match forgery {
        Forgery::Signature => Some(ReplyBundle { signature: bundle.signature.corrupted(), ..bundle.clone() }),
        Forgery::Name => Some(ReplyBundle { replica: cluster.next(bundle.replica), ..bundle.clone() }),
        Forgery::Short | Forgery::Repeated | Forgery::Mixed => None,
    }
}

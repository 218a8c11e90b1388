//! Clients with keys of their own.

use crate::by_hand::Hand;
use ccro::paper::{Attempt, Message, Statement, Step};
use kernel::{Admission, Digest, Effect, Input, Reason, ReplicaId, Seq, To};
use std::sync::Arc;

const CLIENT: u16 = 4;

#[test]
fn a_client_s_request_is_answered_once_executed_and_passed_on_before() {
    let mut run = Hand::with_clients(4, 1);
    let bundle = run.bundle(CLIENT, b"a");
    let submit = |run: &mut Hand, id: u16| run.step(id, Input::Submit(Arc::clone(&bundle)));
    let effects = submit(&mut run, 2);
    let forward = Effect::Send { to: To::One(ReplicaId(0)), message: Message::Requests(Arc::clone(&bundle)) };
    assert_eq!(effects[0], forward);
    assert_eq!(submit(&mut run, 2), [], "it waits, and the client tells the others");
    run.deliver(|_| true);
    assert!(run.logs.iter().all(|log| log.len() == 1), "{:?}", run.logs);
    for id in 0..4 {
        let effects = submit(&mut run, id);
        assert!(
            matches!(&effects[..], [Effect::Reply { to: ReplicaId(CLIENT), bundle }]
                if bundle.replica == ReplicaId(id)),
            "{effects:?}"
        );
    }
}

#[test]
fn a_client_is_no_node_whatever_it_signs() {
    let run = Hand::with_clients(4, 1);
    let signer = &run.signers[usize::from(CLIENT)];
    let mut admission = Admission::new(run.cluster.clone(), run.keyring.clone());
    let statement =
        |step| Statement::sign(&run.cluster, signer, step, (Seq(1), Attempt::default()), Digest::ZERO);
    let messages = [
        Message::Step(statement(Step::Prepare)),
        Message::Step(statement(Step::Commit)),
        Message::Reply { header: statement(Step::Reply), bundles: vec![] },
        Message::Block { header: statement(Step::Request), batch: Arc::default() },
        Message::store(&run.cluster, signer, (Seq(1), Attempt::default()), Arc::default(), Arc::default()),
        Message::state(&run.cluster, signer, Seq(1), Arc::default(), vec![]),
    ];
    for message in messages {
        let refused = admission.admit(ReplicaId(3), message.clone()).map_err(|refused| refused.reason);
        assert_eq!(refused, Err(Reason::NotEntitled), "{message:?}");
    }
}

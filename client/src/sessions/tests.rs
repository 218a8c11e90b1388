use super::*;
use kernel::{Cluster, ClusterId, Reply, Signature, Signer};

const NEEDED: usize = 2;
const TIMEOUT: u64 = 1_000;
const REMIND: u64 = 300;

fn sessions() -> Sessions<&'static str> {
    Sessions::new(ReplicaId(0), NEEDED, 100, REMIND, Limits::NODE)
}

fn open(sessions: &mut Sessions<&'static str>, name: &'static str, now: u64) -> Request {
    sessions.open(Operation::new(name.as_bytes()), Some(now + TIMEOUT), name).unwrap()
}

fn reply(replica: u16, request: &Request, result: &str) -> ReplyBundle {
    let reply =
        Reply { session: request.session, counter: request.counter, result: Output::new(result.as_bytes()) };
    ReplyBundle {
        view: View(2),
        seq: Seq(9),
        replica: ReplicaId(replica),
        gateway: ReplicaId(0),
        bundles: vec![],
        replies: vec![reply],
        signature: Signature([0; 64]),
    }
}

fn expired(sessions: &mut Sessions<&'static str>, now: u64) -> Vec<(&'static str, usize)> {
    let mut given_up = Vec::new();
    sessions.expire(now, |of, replies| given_up.push((*of, replies)));
    given_up
}

#[test]
fn a_request_is_decided_by_enough_matching_replies_of_distinct_replicas() {
    let mut sessions = sessions();
    let request = open(&mut sessions, "a", 50);
    assert_eq!((request.session.number, request.counter), (100, 1));
    assert!(sessions.awaits(&reply(3, &request, "lie")));
    for (replica, result) in [(3, "lie"), (1, "ok"), (1, "ok"), (3, "ok")] {
        assert_eq!(sessions.add(&reply(replica, &request, result), ()), [], "one counts once");
    }
    let accepted = Accepted {
        of: "a",
        session: request.session,
        counter: 1,
        is_in_time: true,
        seq: Seq(9),
        view: View(2),
        result: Output::new(b"ok"),
        replies: 2,
        differing: 1,
        requests: None,
        evidence: vec![(), ()],
    };
    assert_eq!(sessions.add(&reply(2, &request, "ok"), ()), [accepted]);
    let late = reply(0, &request, "ok");
    assert!(!sessions.awaits(&late));
    assert_eq!(sessions.add(&late, ()), []);
    assert_eq!((sessions.in_flight(), sessions.next_deadline()), (0, None));
}

#[test]
fn replies_to_sessions_of_others_do_not_count() {
    let mut sessions = sessions();
    let mut request = open(&mut sessions, "a", 0);
    request.session.gateway = ReplicaId(1);
    for replica in 0..4 {
        let bundle = reply(replica, &request, "ok");
        assert!(!sessions.awaits(&bundle));
        assert_eq!(sessions.add(&bundle, ()), []);
    }
}

#[test]
fn a_session_is_used_again_with_the_next_counter_once_it_is_free() {
    let mut sessions = sessions();
    let first = open(&mut sessions, "a", 0);
    let second = open(&mut sessions, "b", 0);
    assert_eq!(second.session.number, 101);
    for replica in [1, 2] {
        sessions.add(&reply(replica, &first, "ok"), ());
    }
    let third = open(&mut sessions, "c", 2);
    assert_eq!((third.session.number, third.counter), (100, 2));
    assert_eq!(sessions.add(&reply(3, &first, "ok"), ()), []);
    assert_eq!(sessions.waiting(first.session, 1), None);
    assert_eq!(sessions.waiting(third.session, 2), Some(&"c"));
    for replica in [1, 2] {
        sessions.add(&reply(replica, &second, "ok"), ());
    }
    let fourth = sessions.open_new(Operation::new(b"d"), None, "d").unwrap();
    assert_eq!((fourth.session.number, fourth.counter), (102, 1), "although 101 is free");
}

#[test]
fn a_request_out_of_time_is_given_up_and_keeps_its_session_until_its_replies_come() {
    let mut sessions = sessions();
    let request = open(&mut sessions, "a", 0);
    sessions.add(&reply(1, &request, "ok"), ());
    assert_eq!(sessions.next_deadline(), Some(TIMEOUT));
    assert_eq!(expired(&mut sessions, TIMEOUT - 1), []);
    assert_eq!(expired(&mut sessions, TIMEOUT), [("a", 1)]);
    assert_eq!((sessions.in_flight(), sessions.in_flight_bytes), (0, 0));
    assert_eq!(sessions.next_deadline(), None);

    assert_eq!(open(&mut sessions, "b", 2_000).session.number, 101, "100 is set aside");
    let accepted = sessions.add(&reply(2, &request, "ok"), ());
    assert!(!accepted[0].is_in_time);
    assert_eq!(sessions.in_flight(), 1, "a is not taken off twice");
    let again = open(&mut sessions, "c", 2_002);
    assert_eq!((again.session.number, again.counter), (100, 2));
}

#[test]
fn requests_set_aside_are_given_up_beyond_a_limit() {
    let mut sessions = sessions();
    for _ in 0..Limits::NODE.set_aside + 10 {
        open(&mut sessions, "a", 0);
        expired(&mut sessions, TIMEOUT);
    }
    assert_eq!(sessions.pending.len(), Limits::NODE.set_aside);
    assert_eq!((sessions.free.len(), sessions.deadlines.len()), (0, 0));
}

#[test]
fn too_many_requests_or_bytes_in_flight_are_refused() {
    let mut sessions = sessions();
    let half = Operation::new(&vec![0; MAX_IN_FLIGHT_BYTES / 2]);
    let first = sessions.open(half.clone(), Some(TIMEOUT), "a").unwrap();
    sessions.open(half, Some(TIMEOUT), "b").unwrap();
    for replica in [1, 2] {
        sessions.add(&reply(replica, &first, "ok"), ());
    }
    let more = Operation::new(&vec![0; MAX_IN_FLIGHT_BYTES / 2 + 1]);
    assert_eq!(sessions.open(more, Some(TIMEOUT), "c"), Err(Busy));
    assert_eq!(open(&mut sessions, "d", 0).session.number, 100, "the free session was not lost");
    expired(&mut sessions, TIMEOUT);
    (0..MAX_IN_FLIGHT).for_each(|_| drop(open(&mut sessions, "", 0)));
    assert_eq!(sessions.open(Operation::new(b""), None, ""), Err(Busy));
}

/// Opens a request and hands its bundle over.
fn hand_over(
    sessions: &mut Sessions<&'static str>,
    signer: &Signer,
    name: &'static str,
    now: u64,
) -> (Arc<Bundle>, Request) {
    let cluster = Cluster::new(ClusterId([0; 16]), "pbft", 4);
    let request = sessions.open(Operation::new(name.as_bytes()), None, name).unwrap();
    let bundle = Arc::new(Bundle::sign(&cluster, signer, vec![request.clone()]));
    sessions.handed_over(&bundle, now, 0);
    (bundle, request)
}

const NOTHING_CARRIED: fn(u64, u64) -> u64 = |_, _| 0;

#[test]
fn a_bundle_without_an_answer_is_handed_over_again_and_again_after_longer_waits() {
    let (signers, _) = kernel::keys::seeded(1, 4);
    let mut sessions = sessions();
    let (_, answered) = hand_over(&mut sessions, &signers[0], "answered", 0);
    for replica in 0..4 {
        sessions.add(&reply(replica, &answered, "ok"), ());
    }
    let (bundle, request) = hand_over(&mut sessions, &signers[0], "waits", 10);
    let mut due = 10;
    for wait in [REMIND, 2 * REMIND, 4 * REMIND, 8 * REMIND, 8 * REMIND] {
        due += wait;
        assert_eq!(sessions.next_deadline(), Some(due));
        assert_eq!(sessions.overdue(due - 1, 0, NOTHING_CARRIED), None);
        assert_eq!(sessions.overdue(due, 0, NOTHING_CARRIED).as_ref(), Some(&bundle));
        assert_eq!(sessions.overdue(due, 0, NOTHING_CARRIED), None, "once");
    }
    for replica in 0..4 {
        sessions.add(&reply(replica, &request, "ok"), ());
    }
    assert_eq!(sessions.overdue(u64::MAX, 0, NOTHING_CARRIED), None);
    assert_eq!(sessions.next_deadline(), None);
}

#[test]
fn a_bundle_out_of_time_is_not_handed_over_again() {
    let (signers, cluster) = (kernel::keys::seeded(1, 4).0, Cluster::new(ClusterId([0; 16]), "pbft", 4));
    let mut sessions = sessions();
    let request = open(&mut sessions, "a", 0);
    let bundle = Arc::new(Bundle::sign(&cluster, &signers[0], vec![request]));
    sessions.handed_over(&bundle, TIMEOUT - REMIND, 0);
    expired(&mut sessions, TIMEOUT);
    assert_eq!(sessions.overdue(TIMEOUT, 0, NOTHING_CARRIED), None);
}

#[test]
fn what_the_links_carry_puts_a_reminder_off_by_half_its_wait_at_most() {
    let (signers, _) = kernel::keys::seeded(1, 4);
    let mut sessions = sessions();
    let (first, _) = hand_over(&mut sessions, &signers[0], "first", 20);
    let (second, _) = hand_over(&mut sessions, &signers[0], "second", 21);
    assert_eq!(sessions.overdue(21 + REMIND, 0, |_, _| 1), Some(first));
    assert_eq!(sessions.overdue(21 + REMIND, 0, |_, _| u64::MAX), None);
    let put_off = 21 + REMIND + REMIND / 2;
    assert_eq!(sessions.next_deadline(), Some(put_off));
    assert_eq!(sessions.overdue(put_off, 0, |_, _| u64::MAX), Some(second));
}

#[test]
fn a_session_that_replicas_may_have_forgotten_is_not_used_again() {
    let mut sessions: Sessions<&'static str> = Sessions::new(ReplicaId(0), NEEDED, 100, REMIND, Limits::NONE);
    let answer = |sessions: &mut Sessions<&'static str>, request: &Request| {
        assert_eq!([1, 2].map(|replica| sessions.add(&reply(replica, request, "ok"), ()).len()), [0, 1]);
    };
    let first = open(&mut sessions, "a", 0);
    answer(&mut sessions, &first);
    for _ in 1..SESSIONS_KEPT {
        sessions.open_new(Operation::new(b""), None, "more").unwrap();
    }
    let again = open(&mut sessions, "b", 0);
    assert_eq!((again.session.number, again.counter), (100, 2), "the oldest of those kept");
    answer(&mut sessions, &again);
    sessions.open_new(Operation::new(b""), None, "one too many").unwrap();
    let other = open(&mut sessions, "c", 0);
    assert_eq!((other.session.number, other.counter), (101 + SESSIONS_KEPT as u64, 1));
}

#[test]
fn what_is_set_aside_keeps_no_operations_in_memory() {
    let (signers, _) = kernel::keys::seeded(1, 1);
    let cluster = Cluster::new(ClusterId::derive("sessions", 1), "pbft", 1);
    let mut sessions = sessions();
    let request = open(&mut sessions, "a", 0);
    let bundle = Arc::new(Bundle::sign(&cluster, &signers[0], vec![request.clone()]));
    let kept = Arc::downgrade(&bundle);
    sessions.handed_over(&bundle, 0, 0);
    drop(bundle);
    assert!(kept.upgrade().is_some(), "it may have to be handed over again");
    assert_eq!(expired(&mut sessions, TIMEOUT), [("a", 0)]);
    // Reminders of it go with the next bundle.
    let next = open(&mut sessions, "b", TIMEOUT);
    sessions.handed_over(&Arc::new(Bundle::sign(&cluster, &signers[0], vec![next])), TIMEOUT, 0);
    assert!(kept.upgrade().is_none());
    sessions.add(&reply(1, &request, "ok"), ());
    let late = sessions.add(&reply(2, &request, "ok"), ());
    assert!(matches!(&late[..], [Accepted { of: "a", is_in_time: false, requests: None, .. }]), "{late:?}");
}

//! What the applications promise to those who use them, with exact values.

use apps::{
    AppName, Bank, BankOperation, BankOutput, KvOperation, KvOutput, KvRefusal, KvStore, MAX_KEY_BYTES,
    MAX_VALUE_BYTES, MembershipOutput, MembershipRefusal, OpaqueLog, Service, Set, SetOperation, SetOutput,
    workload,
};
use kernel::{Application, Chunk, Digest, Operation, Output, ReplicaId};

fn put(key: &str, value: &str) -> Operation {
    KvOperation::Put { key: key.into(), value: value.into() }.encode()
}

fn get(key: &str) -> Operation {
    KvOperation::Get { key: key.into() }.encode()
}

fn deposit(account: &str, amount: u64) -> [Operation; 2] {
    let (account, again) = (String::from(account), String::from(account));
    [BankOperation::Open { account }.encode(), BankOperation::Deposit { account: again, amount }.encode()]
}

fn balance(account: &str) -> Operation {
    BankOperation::Balance { account: account.into() }.encode()
}

fn store(entries: &[(&str, &str)]) -> KvStore {
    let mut store = KvStore::default();
    for (key, value) in entries {
        store.execute(&put(key, value));
    }
    store
}

#[test]
fn a_question_is_answered_as_if_it_were_ordered() {
    let mut bank = Bank::default();
    deposit("a", 5).iter().for_each(|operation| drop(bank.execute(operation)));
    let answer = bank.query(&balance("a")).unwrap();
    assert_eq!(BankOutput::decode(&answer), Some(BankOutput::Balance(5)));
    assert_eq!(bank.query(&balance("b")), Some(bank.execute(&balance("b"))));
    assert_eq!(bank.query(&deposit("a", 1)[1]), None, "it is no question");

    let mut service = Service::new(AppName::Kv);
    service.execute(&put("k", "v"));
    assert_eq!(service.query(&get("k")), Some(service.clone().execute(&get("k"))));
    assert_eq!(service.query(&put("k", "w")), None);
}

#[test]
fn a_state_that_is_taken_over_is_the_whole_one_whatever_was_there_before() {
    let mut after = Bank::default();
    deposit("a", 5).iter().chain(&deposit("b", 7)).for_each(|operation| drop(after.execute(operation)));
    let mut before = Bank::default();
    deposit("a", 5).iter().for_each(|operation| drop(before.execute(operation)));
    assert_eq!(before.restore_over(&after.snapshot()), Some(after));

    let mut after = store(&[("a", "1"), ("b", "2")]);
    assert_eq!(store(&[("a", "1"), ("c", "3")]).restore_over(&after.snapshot()), Some(after));

    let set = |members: &[&str]| {
        let mut set = Set::default();
        for member in members {
            set.execute(&SetOperation::Add { member: String::from(*member) }.encode());
        }
        set
    };
    let mut after = set(&["a", "b"]);
    assert_eq!(set(&["a", "c"]).restore_over(&after.snapshot()), Some(after));

    for (one, other) in
        [(AppName::Kv, AppName::Kv), (AppName::Bank, AppName::Kv), (AppName::Kv, AppName::Opaque)]
    {
        let (mut before, mut after) = (Service::new(one), Service::new(other));
        before.execute(&put("a", "1"));
        after.execute(&put("b", "2"));
        assert_eq!(before.restore_over(&after.snapshot()), Some(after), "{one} and {other}");
        assert_eq!(before.restore_over(&[]), None);
    }
}

/// Large values that begin alike have the same first chunk, and are not the same.
#[test]
fn what_is_taken_from_the_state_before_is_what_comes() {
    let large = |last: &str| "x".repeat(3 * Chunk::MOST_BYTES) + last;
    let before = store(&[("a", &large("1")), ("b", "2")]);
    for last in ["2", "longer", ""] {
        let mut after = store(&[("a", &large(last)), ("b", "2")]);
        let mut kept = before.clone();
        kept.snapshot();
        assert_eq!(kept.restore_over(&after.snapshot()), Some(after), "ends with {last:?}");
    }
}

#[test]
fn what_was_read_is_not_written_anew() {
    let large = "x".repeat(2 * Chunk::MOST_BYTES);
    let mut written = store(&[("a", &large), ("b", "2"), ("c", "3")]);
    let chunks = written.snapshot();
    let mut read = KvStore::restore(&chunks).unwrap();
    let again = read.snapshot();
    assert_eq!(again, chunks);
    let are_shared = chunks.iter().zip(&again).all(|(one, other)| std::ptr::eq(one.bytes(), other.bytes()));
    assert!(are_shared, "the same bytes in memory");
}

#[test]
fn chunks_with_more_or_less_than_they_say_hold_nothing() {
    let chunk = store(&[("a", "1")]).snapshot()[0].bytes().to_vec();
    let length = u64::from_le_bytes(*chunk.first_chunk().unwrap());
    let changed = |length: u64, more: &[u8]| {
        let bytes = [&length.to_le_bytes(), &chunk[8..], more].concat();
        KvStore::restore(&[Chunk::new(&bytes)])
    };
    assert_eq!(changed(length, b""), Some(store(&[("a", "1")])));
    assert_eq!(changed(length + 1, b"x"), None, "there is something behind the entries");
    assert_eq!(changed(length, b"x"), None, "there is something behind what it says");
    assert_eq!(changed(length + 1, b""), None);
    assert_eq!(changed(length - 1, b""), None);
}

#[test]
fn keys_and_values_are_as_long_as_they_may_be_and_no_longer() {
    let of = |key: usize, value: usize| {
        KvOperation::Put { key: "k".repeat(key), value: "v".repeat(value) }.check()
    };
    assert_eq!(of(MAX_KEY_BYTES, MAX_VALUE_BYTES), Ok(()));
    assert_eq!(of(MAX_KEY_BYTES + 1, 0), Err(KvRefusal::LongKey));
    assert_eq!(of(1, MAX_VALUE_BYTES + 1), Err(KvRefusal::LongValue));
    assert_eq!(of(0, 0), Err(KvRefusal::EmptyKey));
}

/// A list ends once it has a mebibyte.
#[test]
fn a_list_ends_where_it_is_full() {
    let half = "v".repeat((1 << 19) - 1);
    let listed = |entries: &[(&str, &str)]| {
        let list = KvOperation::List { prefix: String::new(), after: None, limit: 10 };
        match KvOutput::decode(&store(entries).query(&list.encode()).unwrap()) {
            Some(KvOutput::Listed { entries, more }) => (entries.len(), more),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(listed(&[("a", &half), ("b", &half), ("c", "")]), (2, true), "exactly full");
    assert_eq!(
        listed(&[("a", &half), ("b", &half[1..]), ("c", ""), ("d", "")]),
        (3, true),
        "room for one byte"
    );
    assert_eq!(listed(&[("a", &half), ("b", &half)]), (2, false));
}

#[test]
fn the_longest_log_can_be_counted_on() {
    let state = |length: u64| Chunk::new(&[length.to_le_bytes().as_slice(), &Digest::ZERO.0].concat());
    let mut log = OpaqueLog::restore(&[state(u64::MAX / 2)]).unwrap();
    let result = log.execute(&Operation::new(b"one more"));
    assert!(result.0.starts_with(b"9223372036854775808 ") && result.0.len() == 19 + 1 + 16, "{result:?}");
    assert_eq!(OpaqueLog::restore(&[state(u64::MAX / 2 + 1)]), None);
    assert!(OpaqueLog::restore(&[state(3)]).is_some());
}

/// The first numbers that splitmix64 gives from the seed 0, as its author has published them.
const PUBLISHED: [u64; 4] =
    [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f, 0xf88b_b8a8_724c_81ec];
/// What its state grows by.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

#[test]
fn keys_are_drawn_by_splitmix64() {
    for (place, number) in (0..).zip(PUBLISHED) {
        let KvOperation::Put { key, .. } = workload::put(STEP.wrapping_mul(place), 1) else { panic!() };
        assert_eq!(key, format!("key {}", number % 10_000));
    }
}

/// Eleven characters say which request it is, the next ones are drawn.
#[test]
fn values_are_numbered_and_then_drawn() {
    let digits = |number: u64| {
        let digit = |place: u32| workload::CHARACTERS[((number >> (6 * place)) & 63) as usize];
        String::from_utf8((0..11).map(digit).collect()).unwrap()
    };
    let value = |request, bytes| match workload::put(request, bytes) {
        KvOperation::Put { value, .. } => value,
        other => panic!("{other:?}"),
    };
    assert_eq!(value(5, 3), "500");
    let request = STEP ^ 11;
    assert_eq!(value(request, 22), digits(request) + &digits(PUBLISHED[1]));
    let request = STEP ^ 22;
    assert_eq!(value(request, 33)[22..], digits(PUBLISHED[1]));
}

#[test]
fn what_only_reads_of_a_set_is_answered_without_being_ordered() {
    let mut set = Set::default();
    let member = || "apple".to_owned();
    let add = SetOperation::Add { member: member() }.encode();
    let contains = SetOperation::Contains { member: member() }.encode();
    assert_eq!(set.query(&contains), Some(SetOutput::Contains(false).encode()));
    assert_eq!(set.query(&add), None);
    assert_eq!(set.execute(&add), SetOutput::Added.encode());
    assert_eq!(set.query(&contains), Some(SetOutput::Contains(true).encode()));
}

#[test]
fn an_answer_of_the_membership_is_read_as_it_was_given() {
    let answers =
        [MembershipOutput::Asked, MembershipOutput::Refused(MembershipRefusal::LastMember(ReplicaId(3)))];
    for answer in answers {
        assert_eq!(MembershipOutput::decode(&answer.encode()), Some(answer));
    }
    assert_eq!(MembershipOutput::decode(&Output::new(b"hello, world")), None);
}

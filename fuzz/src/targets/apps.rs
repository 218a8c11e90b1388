//! What applications read: operations of clients, results, states.

use crate::choices::Choices;
use crate::{Limit, Target};
use ::apps::{
    AppName, Bank, BankOperation, BankOutput, KvOperation, KvOutput, KvStore, OpaqueLog, Service, Set,
    SetOperation, SetOutput,
};
use broadcast::{DataType as _, Orswot};
use kernel::{Application, Chunk, Operation, Output, ReplicaId};

/// Operations and results.
pub static OPERATIONS: Target = Target {
    name: "operations",
    reads: "operations of clients, which every replica executes, and results of replicas",
    run: operations,
    limit: Limit { bytes: 4 << 20, per_byte: 64 },
    tries: 3_000,
};

/// True if the bytes are an operation of the key-value store, of the bank or of the set.
fn operations(input: &[u8]) -> bool {
    let operation = Operation::new(input);
    let (kv, bank) = (KvOperation::decode(&operation), BankOperation::decode(&operation));
    if let Ok(kv) = &kv {
        assert_eq!(kv.encode(), operation, "an operation has one encoding");
    }
    if let Ok(bank) = &bank {
        assert_eq!(bank.encode(), operation, "an operation has one encoding");
    }
    let set = SetOperation::decode(&operation);
    if let Ok(set) = &set {
        assert_eq!(set.encode(), operation, "an operation has one encoding");
    }
    for app in AppName::ALL {
        let mut service = Service::new(app);
        let read = service.query(&operation);
        let before = read.is_some().then(|| service.clone());
        let output = service.execute(&operation);
        if let (Some(read), Some(before)) = (read, before) {
            assert_eq!((read, before), (output.clone(), service), "to read changes nothing");
        }
        match app {
            AppName::Opaque => {}
            AppName::Kv => assert!(KvOutput::decode(&output).is_some(), "it answers what it can read"),
            AppName::Bank => assert!(BankOutput::decode(&output).is_some(), "it answers what it can read"),
            AppName::Set => assert!(SetOutput::decode(&output).is_some(), "it answers what it can read"),
        }
    }
    let output = Output::new(input);
    broadcast_set(&operation);
    let _ = (KvOutput::decode(&output), BankOutput::decode(&output), SetOutput::decode(&output));
    for app in AppName::ALL {
        let _ = (trace::operation(app, &operation), trace::output(app, &output));
    }
    kv.is_ok() || bank.is_ok() || set.is_ok()
}

/// A set without consensus reads what an actor says that it has seen as well.
fn broadcast_set(operation: &Operation) {
    let (mut set, actor) = (Orswot::default(), ReplicaId(1));
    set.apply(ReplicaId(0), &SetOperation::Add { member: "apple".into() }.encode());
    let meant = match set.prepare(actor, operation) {
        Ok(meant) => meant.unwrap_or_else(|| operation.clone()),
        Err(refused) => return assert!(SetOutput::decode(&refused).is_some(), "it answers what it can read"),
    };
    if set.validate(actor, &meant).is_ok() {
        let output = SetOutput::decode(&set.apply(actor, &meant));
        assert!(matches!(output, Some(SetOutput::Added | SetOutput::Removed)), "what is valid is done");
    }
    let _ = set.query(operation);
}

/// States of applications.
pub static SNAPSHOTS: Target = Target {
    name: "snapshots",
    reads: "the states of the applications, in chunks",
    run: snapshots,
    limit: Limit { bytes: 4 << 20, per_byte: 256 },
    tries: 2_000,
};

/// The first byte says which application; then chunks, the length of each in front, in two
/// bytes.
fn snapshots(input: &[u8]) -> bool {
    let mut choices = Choices::new(input);
    let app = choices.byte();
    let mut rest = choices.rest();
    let mut chunks = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length)).min(after.len());
        let (chunk, after) = after.split_at(length);
        chunks.push(Chunk::new(chunk));
        rest = after;
    }
    match app % 5 {
        0 => restored::<OpaqueLog>(&chunks),
        1 => restored::<KvStore>(&chunks),
        2 => restored::<Bank>(&chunks),
        4 => restored::<Set>(&chunks),
        _ => restored::<Service>(&chunks),
    }
}

fn restored<A: Application>(chunks: &[Chunk]) -> bool {
    let Some(mut state) = A::restore(chunks) else { return false };
    let written = state.snapshot();
    assert!(written.iter().all(|chunk| (1..=Chunk::MOST_BYTES).contains(&chunk.bytes().len())));
    let mut again = A::restore(&written).expect("what was written can be read");
    assert_eq!(again, state);
    assert_eq!(again.snapshot(), written, "equal states have equal chunks");
    assert_eq!(state.restore_over(chunks).as_ref(), Some(&state));
    state.execute(&Operation::new(b"hello"));
    true
}

//! What applications read: operations of clients, results, states.

use crate::choices::Choices;
use crate::{Limit, Target};
use ::apps::{AppName, Bank, BankOperation, BankOutput, KvOperation, KvOutput, KvStore, OpaqueLog, Service};
use kernel::{Application, Chunk, Operation, Output};

/// Operations and results.
pub static OPERATIONS: Target = Target {
    name: "operations",
    reads: "operations of clients, which every replica executes, and results of replicas",
    run: operations,
    limit: Limit { bytes: 4 << 20, per_byte: 64 },
    tries: 3_000,
};

/// True if the bytes are an operation of the key-value store or of the bank.
fn operations(input: &[u8]) -> bool {
    let operation = Operation::new(input);
    let (kv, bank) = (KvOperation::decode(&operation), BankOperation::decode(&operation));
    if let Ok(kv) = &kv {
        assert_eq!(kv.encode(), operation, "an operation has one encoding");
    }
    if let Ok(bank) = &bank {
        assert_eq!(bank.encode(), operation, "an operation has one encoding");
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
        }
    }
    let output = Output::new(input);
    let _ = (KvOutput::decode(&output), BankOutput::decode(&output), trace::output(AppName::Kv, &output));
    let _ = (trace::operation(AppName::Kv, &operation), trace::operation(AppName::Bank, &operation));
    kv.is_ok() || bank.is_ok()
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
    match app % 4 {
        0 => restored::<OpaqueLog>(&chunks),
        1 => restored::<KvStore>(&chunks),
        2 => restored::<Bank>(&chunks),
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

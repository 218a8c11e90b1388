//! Writes the seeds that are made from the crates' own types, and small ones of files that
//! the repository has anyway: `cargo run -p fuzz --example seeds`. To be run when a format
//! changes; seeds of other names, such as finds, stay.

use std::fs;
use std::path::{Path, PathBuf};

use adversary::Adversary;
use anyhow::{Context as _, Result};
use apps::{
    AppName, Bank, BankOperation, BankOutput, KvOperation, KvOutput, KvStore, OpaqueLog, Service, Set,
    SetOperation, SetOutput,
};
use broadcast::{DataType as _, Orswot};
use ccro::paper;
use client::Evidence;
use client::link::{FromClient, FromNode};
use demo::envelope::{Content, Envelope};
use fuzz::targets::examples::Bench;
use fuzz::targets::{demo as demo_target, peers};
use journal::entry::{self, Entry, Given};
use kernel::{
    Application, Batch, Bundle, Chunk, Context, Effect, Input, Keyring, Micros, Operation, Output, Protocol,
    ReplicaId, Reply, ReplyBundle, Request, SeededChoice, Seq, SessionId, Signature, Signer, Verified, View,
};
use node::{Encoding, Frame, Tally};
use pbft::Execution;
use serde::Serialize;

/// The names of what this writes begin so.
const MADE: &str = "made-";

fn main() -> Result<()> {
    write("peer_frames", frames())?;
    write("tagged_frames", tagged_frames())?;
    write("client_frames", client_frames())?;
    write("messages", messages())?;
    write("states", states())?;
    write("evidence", vec![evidence()])?;
    write("cluster_files", cluster_files())?;
    write("operations", operations())?;
    write("snapshots", snapshots())?;
    write("demo", vec![envelopes()])?;
    write("journals", journals())?;
    write("journal_entries", journal_entries())?;
    write("saved_replicas", saved_replicas())?;
    write("questions", questions())?;
    write("lessons", repository("viewer/lessons", "toml")?)?;
    write("plans", repository("harness/plans", "toml")?)?;
    write("schedules", repository("harness/tests/schedules", "toml")?)?;
    write("traces", traces()?)
}

/// Writes the made seeds of a target anew.
fn write(target: &str, seeds: Vec<Vec<u8>>) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&folder)?;
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(MADE)) {
            fs::remove_file(path)?;
        }
    }
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(folder.join(format!("{MADE}{number:02}")), seed)?;
    }
    println!("{target}: {} seeds", seeds.len());
    Ok(())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files of a folder of the repository.
fn repository(folder: &str, extension: &str) -> Result<Vec<Vec<u8>>> {
    let folder = root().join(folder);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    paths.iter().map(|path| fs::read(path).with_context(|| path.display().to_string())).collect()
}

/// What stands in front of the bytes of a target that chooses, then the bytes.
fn chosen(choices: &[u8], bytes: &[u8]) -> Vec<u8> {
    [choices, bytes].concat()
}

fn frames() -> Vec<Vec<u8>> {
    let bench = Bench::new("ccro");
    let messages = bench.messages();
    let mut streams = Vec::new();
    for (kind, encoding) in [(0, Encoding::Binary), (1, Encoding::Json)] {
        let encode =
            |message| node::encode(&Frame::Protocol(message), encoding).expect("it is not too large");
        for message in &messages {
            streams.push(chosen(&[kind, 63], &encode(message)));
        }
        let reply = bench.reply(1, &bench.bundle(2, b"pay"), b"1 a");
        let votes = Tally { correct: 3, corrupt: 1 };
        let reply = node::encode::<pbft::Message>(&Frame::Reply { bundle: &reply, votes }, encoding);
        streams.push(chosen(&[kind, 7], &reply.expect("it is not too large")));
        let several: Vec<u8> = messages.iter().take(5).flat_map(encode).collect();
        streams.push(chosen(&[kind, 255], &several));
        let with_tags = ["pbft-mac", "pbft-mac-requests"].map(|flow| Bench::new(flow).tagged_messages());
        for message in with_tags.into_iter().flatten() {
            let frame = node::encode(&Frame::Protocol(&message), encoding).expect("it is not too large");
            streams.push(chosen(&[kind, 63], &frame));
        }
        for message in Bench::new("broadcast").broadcast_messages() {
            let frame = node::encode(&Frame::Protocol(&message), encoding).expect("it is not too large");
            streams.push(chosen(&[kind + 4, 63], &frame));
        }
        for message in paper_messages() {
            let frame = node::encode(&Frame::Protocol(&message), encoding).expect("it is not too large");
            streams.push(chosen(&[kind + 2, 63], &frame));
        }
    }
    streams
}

/// What replicas of the published flow say at the beginning.
fn paper_messages() -> Vec<paper::Message> {
    let bench = Bench::new("ccro-paper");
    let config = pbft::Config::for_cluster(4);
    let mut messages = Vec::new();
    let mut replica = paper::Replica::new(&config, OpaqueLog::default());
    for input in [Input::Start, Input::Submit(bench.bundle(0, b"pay"))] {
        let (mut choose, mut effects) = (SeededChoice::new(1), Vec::new());
        let mut cx = Context::new(&bench.cluster, &bench.signers[0], &mut choose, &mut effects);
        replica.step(&mut cx, input);
        messages.extend(effects.into_iter().filter_map(|effect| match effect {
            Effect::Send { message, .. } => Some(message),
            _ => None,
        }));
    }
    messages
}

/// Encoding, cut, how many frames; then of each its length, its word and what happens to it, with what that needs.
fn tagged_frames() -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for encoding in [0, 1] {
        for (event, more) in [(0, &b""[..]), (1, b"abcd"), (2, b""), (3, b""), (4, &[9, 1])] {
            let first = [&[4][..], b"word", &[event], more].concat();
            let second = [&[3][..], "\u{e9}\n".as_bytes(), &[0]].concat();
            inputs.push(chosen(&[encoding, 15, 2], &[first, second].concat()));
        }
    }
    inputs
}

fn client_frames() -> Vec<Vec<u8>> {
    let bench = Bench::new("pbft");
    let bundle = bench.bundle(4, b"pay");
    let from_client = [
        client::link::encode(&FromClient::<Bundle>::Introduction(Signature([7; 64])), 1 << 20),
        client::link::encode(&FromClient::Requests(&*bundle), 1 << 20),
    ];
    let from_node = [
        client::link::encode(&FromNode::<ReplyBundle>::Challenge([3; 32]), 1 << 20),
        client::link::encode(&FromNode::Reply(bench.reply(1, &bundle, b"1 a")), 1 << 20),
        client::link::encode(&FromNode::<ReplyBundle>::Ended("why".into()), 1 << 20),
    ];
    let mut streams = Vec::new();
    for (kind, frames) in [(0, from_client.to_vec()), (1, from_node.to_vec())] {
        let frames: Vec<Vec<u8>> = frames.into_iter().map(|frame| frame.expect("it is small")).collect();
        streams.push(chosen(&[kind, 99], &frames.concat()));
        streams.extend(frames.iter().map(|frame| chosen(&[kind, 15], frame)));
    }
    streams
}

/// Flow, message, sender, encoding, whether the proposal is known: nothing is changed.
fn messages() -> Vec<Vec<u8>> {
    let messages = Bench::new("pbft").messages().len() as u8;
    let mut inputs = Vec::new();
    for number in 0..messages {
        for flow in [0, 1, 5] {
            inputs.push(vec![flow, number, 1, number & 1, 1]);
        }
    }
    for number in 0..Bench::new("broadcast").broadcast_messages().len() as u8 {
        inputs.extend([0, 1].map(|from| vec![2, number, from, number & 1, 1]));
    }
    for number in 0..Bench::new("pbft-mac").tagged_messages().len() as u8 {
        for flow in [3, 4] {
            inputs.extend([0, 1].map(|from| vec![flow, number, from, number & 1, 1]));
        }
    }
    inputs.push(vec![0, 2, 1, 0, 1, 3, 0, 4]);
    inputs
}

fn filled_kv() -> KvStore {
    let mut store = KvStore::default();
    for key in 0..70 {
        store.execute(&KvOperation::Put { key: format!("k{key}"), value: "v".into() }.encode());
    }
    store.execute(&KvOperation::Put { key: "large".into(), value: "x".repeat(4096) }.encode());
    store
}

fn filled_bank() -> Bank {
    let mut bank = Bank::default();
    for account in ["alice", "bob"] {
        bank.execute(&BankOperation::Open { account: account.into() }.encode());
        bank.execute(&BankOperation::Deposit { account: account.into(), amount: 300 }.encode());
    }
    bank
}

fn filled_set() -> Set {
    let mut set = Set::default();
    for member in ["apple", "pear"] {
        set.execute(&SetOperation::Add { member: member.into() }.encode());
    }
    set
}

fn states() -> Vec<Vec<u8>> {
    let mut kv = Service::new(AppName::Kv);
    kv.execute(&KvOperation::Put { key: "k".into(), value: "v".into() }.encode());
    let mut bank = Service::new(AppName::Bank);
    bank.execute(&BankOperation::Open { account: "alice".into() }.encode());
    let whole = |service| Execution::new(service).snapshot().to_bytes();
    let part = Bench::new("pbft").state().prove(1).expect("it has three chunks");
    vec![whole(Service::new(AppName::Opaque)), whole(kv), whole(bank), bytes_of(&part), with_sessions()]
}

/// A state after a request: its session table is not empty.
fn with_sessions() -> Vec<u8> {
    let bench = Bench::new("pbft");
    let mut state = Execution::new(Service::new(AppName::Kv));
    let put = KvOperation::Put { key: "k".into(), value: "v".into() }.encode();
    let batch = Batch { bundles: vec![bench.bundle(2, &put.0)] };
    let (mut choose, mut effects) = (SeededChoice::new(1), Vec::new());
    let mut cx = Context::<flows::Pbft>::new(&bench.cluster, &bench.signers[1], &mut choose, &mut effects);
    state.execute(&mut cx, View(0), Seq(1), batch.digest(), &batch);
    state.snapshot().to_bytes()
}

fn bytes_of(value: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("it is plain data")
}

fn evidence() -> Vec<u8> {
    let config = peers::cluster();
    let cluster = config.identity();
    let (signers, _): (Vec<Signer>, Keyring) = kernel::keys::seeded(1, 4);
    let session = SessionId { gateway: ReplicaId(0), number: 1 };
    let operation = KvOperation::Put { key: "k".into(), value: "v".into() }.encode();
    let bundle = Bundle::sign(&cluster, &signers[0], vec![Request { session, counter: 1, operation }]);
    let mut store = KvStore::default();
    let result = store.execute(&bundle.requests()[0].operation);
    let reply = |replica: usize| {
        let reply = Reply { session, counter: 1, result: result.clone() };
        let bundles = vec![bundle.digest()];
        ReplyBundle::sign(&cluster, &signers[replica], View(0), Seq(1), ReplicaId(0), bundles, vec![reply])
            .into()
    };
    let evidence =
        Evidence { session, counter: 1, replies: vec![reply(1), reply(2)], requests: bundle.into() };
    serde_json::to_vec(&evidence).expect("it is plain data")
}

fn cluster_files() -> Vec<Vec<u8>> {
    let least = peers::cluster_file();
    let all = "communication = \"trust\"\nfast_path = false\nnodes = 4\nclients = 1\n\
               [timers]\nlink_delay_ms = 0.5\ntimeout_ms = 2000\nrequest_timer_ms = 400\nresend_after_ms = 100\n\
               fast_wait_ms = 1\nfallback_after_ms = 20\nread_limit_ms = 60000\n\
               [limits]\nbatch = 256\nwindow = 4\nmax_data_bytes = 1000\nmax_connections = 100\nrequests_per_s = 10\n";
    let (head, nodes) = least.split_once("[[node]]").expect("there are nodes");
    let key = kernel::keys::key_pairs(2, 1)[0].1;
    let head = head.replace("pbft", "ccro");
    let client = format!("[[client]]\nname = \"alice\"\npublic_key = \"{key}\"\n");
    let full = format!("{head}{all}[[node]]{nodes}{client}");
    vec![least.into_bytes(), full.into_bytes()]
}

fn operations() -> Vec<Vec<u8>> {
    let text = |text: &str| text.to_owned();
    let kv = [
        KvOperation::Get { key: text("k") },
        KvOperation::Put { key: text("k"), value: text("v") },
        KvOperation::Delete { key: text("k") },
        KvOperation::CompareAndSwap { key: text("k"), expected: None, new: Some(text("v")) },
        KvOperation::List { prefix: text("k"), after: Some(text("k1")), limit: 10 },
    ];
    let bank = [
        BankOperation::Open { account: text("alice") },
        BankOperation::Deposit { account: text("alice"), amount: 300 },
        BankOperation::Withdraw { account: text("alice"), amount: 300 },
        BankOperation::Transfer { from: text("alice"), to: text("bob"), amount: u64::MAX },
        BankOperation::Balance { account: text("alice") },
    ];
    let set = [
        SetOperation::Add { member: text("apple") },
        SetOperation::Remove { member: text("apple") },
        SetOperation::Contains { member: text("apple") },
        SetOperation::List { prefix: text("a"), after: Some(text("apple")), limit: 10 },
    ];
    let outputs = [
        bytes_of(&KvOutput::Listed { entries: vec![(text("k"), text("v"))], more: true }),
        bytes_of(&KvOutput::Compared { swapped: true, current: Some(text("v")) }),
        bytes_of(&BankOutput::Balance(300)),
        bytes_of(&SetOutput::Listed { members: vec![text("apple")], more: true }),
        removal_of_what_was_seen(),
    ];
    let operations = kv.iter().map(KvOperation::encode).chain(bank.iter().map(BankOperation::encode));
    let operations = operations.chain(set.iter().map(SetOperation::encode));
    operations.map(|operation: Operation| operation.0.to_vec()).chain(outputs).collect()
}

/// As it is broadcast.
fn removal_of_what_was_seen() -> Vec<u8> {
    let (mut set, member) = (Orswot::default(), || "apple".to_owned());
    set.apply(ReplicaId(0), &SetOperation::Add { member: member() }.encode());
    let removal = set.prepare(ReplicaId(1), &SetOperation::Remove { member: member() }.encode());
    removal.ok().flatten().expect("it was seen").0.to_vec()
}

fn snapshots() -> Vec<Vec<u8>> {
    let service = |app| {
        let mut service = Service::new(app);
        service.execute(&KvOperation::Put { key: "k".into(), value: "v".into() }.encode());
        service.snapshot()
    };
    let mut seeds = vec![
        chunks(0, &OpaqueLog::default().snapshot()),
        chunks(1, &filled_kv().snapshot()),
        chunks(1, &KvStore::default().snapshot()),
        chunks(2, &filled_bank().snapshot()),
        chunks(4, &filled_set().snapshot()),
    ];
    seeds.extend(AppName::ALL.map(|app| chunks(3, &service(app))));
    seeds
}

/// As the target reads them.
fn chunks(app: u8, chunks: &[Chunk]) -> Vec<u8> {
    let mut bytes = vec![app];
    for chunk in chunks {
        bytes.extend((chunk.bytes().len() as u16).to_le_bytes());
        bytes.extend(chunk.bytes());
    }
    bytes
}

fn envelopes() -> Vec<u8> {
    let setup = demo_target::setup();
    let operation = BankOperation::Deposit { account: "alice".into(), amount: 100 }.encode();
    let client = setup.client();
    let session = SessionId { gateway: client, number: 1 };
    let (signer, _) = setup.keys(client);
    let bundle = Bundle::sign(&setup.cluster, &signer, vec![Request { session, counter: 1, operation }]);
    let bundle = std::sync::Arc::new(bundle);
    let (commander, _) = setup.keys(ReplicaId(0));
    let batch = Batch { bundles: vec![std::sync::Arc::clone(&bundle)] };
    let (_, proposal) =
        pbft::Message::propose(&setup.cluster, &commander, View(0), Seq(1), batch.into(), None);
    let reply = Reply { session, counter: 1, result: Output::new(b"1") };
    let reply = ReplyBundle::sign(
        &setup.cluster,
        &commander,
        View(0),
        Seq(1),
        client,
        vec![bundle.digest()],
        vec![reply],
    );
    let envelopes = [
        Envelope::sign(&setup.cluster, &signer, ReplicaId(1), (7, None), Content::Request(bundle)),
        Envelope::sign(&setup.cluster, &commander, ReplicaId(1), (8, Some(7)), Content::Message(proposal)),
        Envelope::sign(&setup.cluster, &commander, client, (8, Some(7)), Content::Reply(reply)),
    ];
    let mut lines: Vec<String> =
        envelopes.iter().map(|envelope| serde_json::to_string(envelope).expect("it is plain data")).collect();
    lines.extend(
        ["prepare yes", "ack commit slot 1", "status", "data", "view change", "help"].map(String::from),
    );
    lines.join("\n").into_bytes()
}

/// To begin, a bundle, each message of the bench, faults; then all of it. The messages and timers of CCRO are those of PBFT.
fn journal_entries() -> Vec<Vec<u8>> {
    type Replica = Adversary<flows::Pbft>;
    let bench = Bench::new("pbft");
    let mut inputs: Vec<Input<Replica>> = vec![Input::Start, Input::Submit(bench.bundle(2, b"pay"))];
    inputs.extend(
        bench.messages().into_iter().map(|message| Input::Deliver {
            from: ReplicaId(1),
            message: Verified::admitted_before(message),
        }),
    );
    inputs.push(Input::Resume);
    let mut given: Vec<Given<Replica>> = inputs.into_iter().map(Given::Input).collect();
    given.push(Given::Faults(vec!["withhold".into()]));
    let write = |given| {
        let mut bytes = Vec::new();
        entry::write(&mut bytes, &Entry { given, now: Micros(70), choices: vec![(10, 3)] });
        bytes
    };
    let mut entries: Vec<Vec<u8>> = given.into_iter().map(write).collect();
    entries.push(entries.concat());
    let mut seeds: Vec<Vec<u8>> =
        (0..).zip(&entries).map(|(number, entries)| chosen(&[number % 2], entries)).collect();
    seeds.push(chosen(&[3], &broadcast_entries()));
    seeds
}

/// A member is given everything once.
fn broadcast_entries() -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in Bench::new("broadcast").broadcast_messages() {
        let message = Verified::admitted_before(message);
        let given: Given<Adversary<flows::Broadcast>> =
            Given::Input(Input::Deliver { from: ReplicaId(1), message });
        entry::write(&mut bytes, &Entry { given, now: Micros(70), choices: vec![] });
    }
    bytes
}

fn saved_replicas() -> Vec<Vec<u8>> {
    let config = pbft::Config::for_cluster(4);
    vec![
        chosen(&[0], &saved("pbft", pbft::Replica::new(config.clone(), OpaqueLog::default()))),
        chosen(&[1], &saved("ccro", ccro::Replica::new(ccro::Config::for_cluster(4), OpaqueLog::default()))),
        chosen(&[2], &saved("ccro-paper", paper::Replica::new(&config, OpaqueLog::default()))),
        chosen(&[3], &saved("broadcast", flows::Broadcast::new(Default::default(), 4, Default::default()))),
    ]
}

/// A replica that has taken a request, as it is saved.
fn saved<P: journal::Durable>(protocol: &str, mut replica: P) -> Vec<u8> {
    let bench = Bench::new(protocol);
    for input in [Input::Start, Input::Submit(bench.bundle(0, b"pay"))] {
        let (mut choose, mut effects) = (SeededChoice::new(1), Vec::new());
        let mut cx = Context::new(&bench.cluster, &bench.signers[0], &mut choose, &mut effects);
        replica.step(&mut cx, input);
    }
    let mut bytes = Vec::new();
    let timers = std::collections::BTreeMap::new();
    journal::replay::save::<P, P>(&mut bytes, &replica, &timers, Micros(7)).expect("memory takes it");
    bytes
}

/// Files as the target reads them: how each is made, its generation, what is cut from its end, its bytes.
fn journals() -> Vec<Vec<u8>> {
    let file = |kind: u8, generation: u8, cut: u8, bytes: &[u8]| {
        let mut file = vec![kind, generation, cut];
        file.extend((bytes.len() as u16).to_le_bytes());
        file.extend(bytes);
        file
    };
    let batches = b"\x07entries\x04more";
    let (replica, inputs, raw) = (0, 1, 3);
    vec![
        file(replica, 1, 0, b"the first"),
        [file(replica, 1, 0, b"the first"), file(inputs, 1, 0, batches), file(inputs, 2, 3, batches)]
            .concat(),
        [file(replica, 2, 0, b"a later one"), file(inputs, 2, 0, batches), file(inputs, 1, 0, b"")].concat(),
        [file(replica, 1, 0, b"the first"), file(raw, 1, 0, b"{\"journal\":2}\n")].concat(),
        [file(replica, 1, 0, b"the first"), file(raw, 1, 0, b"{\"journal\":1,\"prog")].concat(),
    ]
}

fn questions() -> Vec<Vec<u8>> {
    let scenario = serde_json::json!({
        "protocol": "ccro", "nodes": 4, "app": "kv", "operations": ["put k v", "get k"], "limit_ms": 500,
        "faults": { "1": ["withhold"] }, "network": "lan", "communication": "separate",
        "edits": [{ "edit": "crash", "at_us": 100, "node": 2 }, { "edit": "lose", "copy": 3 }]
    });
    let questions = [
        serde_json::json!({ "do": "play", "scenario": { "protocol": "pbft", "nodes": 4, "limit_ms": 500 } }),
        serde_json::json!({ "do": "play", "scenario": scenario }),
        serde_json::json!({ "do": "check", "trace": "{}" }),
        serde_json::json!({ "do": "export", "trace": "{}", "as": "svg" }),
        serde_json::json!({ "do": "lessons" }),
        serde_json::json!({ "do": "lesson", "name": "own", "text": "title = \"a\"" }),
    ];
    questions.iter().map(|question| question.to_string().into_bytes()).collect()
}

fn traces() -> Result<Vec<Vec<u8>>> {
    Ok(vec![fs::read(root().join("docs/one-decision.trace"))?])
}

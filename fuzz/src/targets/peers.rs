//! What peers send, and clients with keys: frames, messages, states, signed answers.

use super::examples::{Bench, N};
use super::text;
use crate::choices::Choices;
use crate::{Limit, Target};
use ::apps::{OpaqueLog, Service};
use ccro::paper;
use client::link::{self, FromClient, FromNode, MAX_CLIENT_FRAME_BYTES, MAX_NODE_FRAME_BYTES};
use harness::commands::verify::verify;
use harness::config::{ClusterConfig, Settings};
use kernel::keys::{key_pairs, symbolic};
use kernel::{
    Admission, Choose as _, Context, Input, Keyring, Protocol, ReplicaId, SeededChoice, Signer, Snapshot,
    Wire,
};
use node::{Encoding, Frame, FrameReader, Tags, decode, encode};
use pbft::{Execution, Message};
use serde::{Serialize, de::DeserializeOwned};

/// The bytes of a link between nodes.
pub static PEER_FRAMES: Target = Target {
    name: "peer_frames",
    reads: "what comes on POST /peer: frames of a flow's messages and of replies, binary or as lines of JSON, cut \
            into pieces as the network likes",
    run: peer_frames,
    limit: Limit { bytes: 4 << 20, per_byte: 64 },
    tries: 3_000,
};

/// The first byte says which encoding and flow, the second how the stream is cut.
fn peer_frames(input: &[u8]) -> bool {
    let mut choices = Choices::new(input);
    let kind = choices.byte();
    let encoding = if kind & 1 == 0 { Encoding::Binary } else { Encoding::Json };
    let piece = usize::from(choices.byte()) + 1;
    match kind >> 1 & 3 {
        0 => frames::<Message>(encoding, piece, choices.rest()),
        1 => frames::<paper::Message>(encoding, piece, choices.rest()),
        _ => frames::<broadcast::Message>(encoding, piece, choices.rest()),
    }
}

/// True if all frames can be read and nothing is left.
fn frames<M: Wire>(encoding: Encoding, piece: usize, stream: &[u8]) -> bool {
    let mut reader = FrameReader::new(encoding);
    let (mut read, mut all) = (0, true);
    for piece in stream.chunks(piece) {
        reader.feed(piece);
        loop {
            match reader.next_frame() {
                Ok(Some(payload)) => match decode::<M>(payload, encoding) {
                    Ok(_) => read += 1,
                    Err(error) => all = !is_sentence(&error),
                },
                Ok(None) => break,
                Err(error) => return !is_sentence(&error),
            }
        }
    }
    all && read > 0 && reader.pending() == 0
}

/// Frames of a link whose frames have tags, which somebody changes on their way.
pub static TAGGED_FRAMES: Target = Target {
    name: "tagged_frames",
    reads: "what comes on POST /peer of pbft-mac: frames with tags, changed, left out, repeated, or of somebody who \
            has no key",
    run: tagged_frames,
    limit: Limit { bytes: 4 << 20, per_byte: 64 },
    tries: 3_000,
};

/// The first bytes say which encoding, how the stream is cut, and what happens to how many frames. True if all
/// frames came as they were sent.
fn tagged_frames(input: &[u8]) -> bool {
    let mut choices = Choices::new(input);
    let encoding = if choices.byte() & 1 == 0 { Encoding::Binary } else { Encoding::Json };
    let piece = usize::from(choices.byte()) + 1;
    let (mut sender, mut receiver) = (Tags::new([7; 32], encoding), Tags::new([7; 32], encoding));
    let mut sent = Vec::new();
    let mut stream = Vec::new();
    for _ in 0..choices.byte() % 8 {
        let length = usize::from(choices.byte());
        let word = String::from_utf8_lossy(choices.take(length)).into_owned();
        let frame = encode(&Frame::Protocol(&word), encoding).expect("a short word has a frame");
        let (head, left_out) = sender.head(&frame);
        let tagged = [&head, &frame[left_out..]].concat();
        sent.push(Frame::Protocol(word));
        match choices.byte() % 8 {
            1 => stream.extend(choices.take(length)),
            2 => stream.extend([&tagged[..], &tagged].concat()),
            3 => {}
            4 => {
                let place = choices.index(tagged.len()).expect("a frame is never empty");
                let mut changed = tagged;
                changed[place] ^= choices.byte();
                stream.extend(changed);
            }
            _ => stream.extend(tagged),
        }
    }
    stream.extend(choices.rest());
    let came = opened(&mut receiver, encoding, piece, &stream);
    assert!(came.len() <= sent.len() && came == sent[..came.len()], "{came:?} came, but {sent:?} were sent");
    !sent.is_empty() && came.len() == sent.len()
}

/// The frames up to the first one whose tag does not hold.
fn opened(tags: &mut Tags, encoding: Encoding, piece: usize, stream: &[u8]) -> Vec<Frame<String>> {
    let mut reader = FrameReader::new(encoding);
    let mut came = Vec::new();
    for piece in stream.chunks(piece) {
        reader.feed(piece);
        while let Ok(Some(payload)) = reader.next_frame() {
            let Some(content) = tags.open(payload) else { return came };
            came.push(decode(content, encoding).expect("it was encoded so"));
        }
    }
    came
}

/// Every error can be shown.
fn is_sentence(error: &impl ToString) -> bool {
    !error.to_string().is_empty()
}

/// The bytes of a link between a client with a key and a node, both ways.
pub static CLIENT_FRAMES: Target = Target {
    name: "client_frames",
    reads: "what comes on POST /client, and what a client with a key is answered there: frames of bundles and of \
            replies",
    run: client_frames,
    limit: Limit { bytes: 4 << 20, per_byte: 64 },
    tries: 3_000,
};

/// The first byte says which way, the second how the stream is cut.
fn client_frames(input: &[u8]) -> bool {
    let mut choices = Choices::new(input);
    let from_client = choices.byte() & 1 == 0;
    let piece = usize::from(choices.byte()) + 1;
    let most = if from_client { MAX_CLIENT_FRAME_BYTES } else { MAX_NODE_FRAME_BYTES };
    let mut reader = link::FrameReader::new(most);
    let (mut read, mut all) = (0, true);
    for piece in choices.rest().chunks(piece) {
        reader.feed(piece);
        loop {
            let decoded = match reader.next_frame() {
                Ok(Some(payload)) if from_client => link::decode::<FromClient>(payload).map(drop),
                Ok(Some(payload)) => link::decode::<FromNode>(payload).map(drop),
                Ok(None) => break,
                Err(error) => return !is_sentence(&error),
            };
            match decoded {
                Ok(()) => read += 1,
                Err(error) => all = !is_sentence(&error),
            }
        }
    }
    all && read > 0 && reader.pending() == 0
}

/// A valid message that was changed, from its bytes to a replica's effects.
pub static MESSAGES: Target = Target {
    name: "messages",
    reads: "messages of PBFT, CCRO and secure broadcast: valid ones, correctly signed, whose bytes are changed; what \
            is admitted is given to a replica",
    run: messages,
    limit: Limit { bytes: 8 << 20, per_byte: 4096 },
    tries: 3_000,
};

/// A replica of each flow, and messages for it.
struct Admitted<P: Protocol> {
    bench: Bench,
    replica: P,
    /// The second one is a proposal of replica 0.
    messages: Vec<P::Message>,
}

impl<P: Protocol> Admitted<P> {
    fn new(protocol: &str, replica: P, messages: fn(&Bench) -> Vec<P::Message>) -> Admitted<P> {
        let bench = Bench::new(protocol);
        let messages = messages(&bench);
        let mut ready = Admitted { bench, replica, messages };
        ready.step(Input::Start);
        ready
    }

    fn step(&mut self, input: Input<P>) {
        step(&mut self.replica, &self.bench, 2, input);
    }

    /// Gives the replica a changed message. True if it was admitted.
    fn deliver(&self, choices: &mut Choices<'_>) -> bool {
        let Some(message) = choices.one_of(&self.messages) else { return false };
        let from = ReplicaId(choices.below(u64::from(N)) as u16);
        let as_json = choices.byte() & 1 == 1;
        let mut replica = self.replica.clone();
        let admission = Admission::new(self.bench.cluster.clone(), self.bench.keyring.clone());
        let mut admission = admission.of_receiver(&self.bench.signers[2]);
        // It may know the proposal that the message is about.
        if choices.byte() & 1 == 1 {
            let proposal =
                admission.admit(ReplicaId(0), self.messages[1].clone()).expect("it is a valid one");
            let input = Input::Deliver { from: ReplicaId(0), message: proposal };
            step(&mut replica, &self.bench, 2, input);
        }
        let Some(message) = changed(message, as_json, choices) else { return false };
        let Ok(message) = admission.admit(from, message) else { return false };
        step(&mut replica, &self.bench, 2, Input::Deliver { from, message });
        let _ = replica.status(&self.bench.cluster);
        true
    }
}

/// Steps a replica, and drops what it wants done.
fn step<P: Protocol>(replica: &mut P, bench: &Bench, id: usize, input: Input<P>) {
    let (mut choose, mut effects) = (SeededChoice::new(1), Vec::new());
    let mut cx = Context::new(&bench.cluster, &bench.signers[id], &mut choose, &mut effects);
    replica.step(&mut cx, input);
}

/// The message with some of its bytes changed, if it still is one.
fn changed<M: Serialize + DeserializeOwned>(
    message: &M,
    as_json: bool,
    choices: &mut Choices<'_>,
) -> Option<M> {
    let mut bytes = if as_json {
        serde_json::to_vec(message).expect("messages are plain data")
    } else {
        postcard::to_stdvec(message).expect("messages are plain data")
    };
    while !choices.is_over() {
        let place = choices.index(bytes.len())?;
        match choices.byte() % 4 {
            0 => bytes[place] = choices.byte(),
            1 => bytes[place] ^= 1 << (choices.byte() % 8),
            2 => bytes.insert(place, choices.byte()),
            _ => drop(bytes.remove(place)),
        }
    }
    if as_json { serde_json::from_slice(&bytes).ok() } else { link::decode(&bytes).ok() }
}

fn messages(input: &[u8]) -> bool {
    thread_local! {
        static PBFT: Admitted<flows::Pbft> = Admitted::new(
            "pbft",
            pbft::Replica::new(pbft::Config::for_cluster(N), OpaqueLog::default()),
            Bench::messages,
        );
        static PBFT_MAC: Admitted<flows::Pbft> = Admitted::new(
            "pbft-mac",
            pbft::Replica::new(pbft::Config::for_cluster(N), OpaqueLog::default()),
            Bench::tagged_messages,
        );
        static PBFT_MAC_REQUESTS: Admitted<flows::Pbft> = Admitted::new(
            "pbft-mac-requests",
            pbft::Replica::new(pbft::Config::for_cluster(N), OpaqueLog::default()),
            Bench::tagged_messages,
        );
        static CCRO: Admitted<flows::Ccro> = Admitted::new(
            "ccro",
            ccro::Replica::new(ccro::Config::for_cluster(N), OpaqueLog::default()),
            Bench::messages,
        );
        static CCRO_AGGREGATE: Admitted<flows::Ccro> = Admitted::new(
            "ccro-aggregate",
            ccro::Replica::new(ccro::Config::for_cluster(N), OpaqueLog::default()),
            Bench::messages,
        );
        static BROADCAST: Admitted<flows::Broadcast> = Admitted::new(
            "broadcast",
            broadcast::Replica::new(broadcast::Config::default(), N, broadcast::Bank::default()),
            Bench::broadcast_messages,
        );
    }
    let mut choices = Choices::new(input);
    match choices.byte() % 6 {
        0 => PBFT.with(|pbft| pbft.deliver(&mut choices)),
        1 => CCRO.with(|ccro| ccro.deliver(&mut choices)),
        2 => BROADCAST.with(|broadcast| broadcast.deliver(&mut choices)),
        3 => PBFT_MAC.with(|pbft| pbft.deliver(&mut choices)),
        4 => PBFT_MAC_REQUESTS.with(|pbft| pbft.deliver(&mut choices)),
        _ => CCRO_AGGREGATE.with(|ccro| ccro.deliver(&mut choices)),
    }
}

/// States that peers serve.
pub static STATES: Target = Target {
    name: "states",
    reads: "a replica's state as peers serve it, whole or in proven chunks: its chunks, the session table and the \
            application's",
    run: states,
    limit: Limit { bytes: 4 << 20, per_byte: 256 },
    tries: 2_000,
};

fn states(input: &[u8]) -> bool {
    let part = link::decode::<kernel::ProvenChunk>(input);
    if let Ok(part) = &part {
        let _ = part.verify(&Bench::new("pbft").state().digest());
        assert!(part.siblings().count() <= part.path.len(), "more siblings than the proof has");
    }
    let Some(snapshot) = Snapshot::from_bytes(input) else { return part.is_ok() };
    assert!(snapshot.nodes().count() >= snapshot.chunks().len());
    for index in [0, snapshot.extent().chunks / 2, snapshot.extent().chunks, u64::MAX] {
        let proven = snapshot.prove(index);
        assert_eq!(proven.is_some(), index < snapshot.extent().chunks);
        assert!(proven.is_none_or(|part| part.verify(&snapshot.digest()).is_some()), "a proof does not hold");
    }
    let Some(mut state) = Execution::<Service>::restore(&snapshot) else { return false };
    // It may have been written otherwise, but from then on it is the same.
    let written = state.snapshot();
    let again = Execution::<Service>::restore(&written).expect("what was written can be read");
    assert_eq!(again.digest(), state.digest());
    let over = state.restore_over(&written).expect("what was written can be read");
    assert_eq!(over.digest(), state.digest());
    true
}

/// Signed answers.
pub static EVIDENCE: Target = Target {
    name: "evidence",
    reads: "answers with evidence, as harness client verify reads them",
    run: evidence,
    limit: Limit { bytes: 4 << 20, per_byte: 256 },
    tries: 300,
};

/// The configuration of the cluster whose nodes sign evidence, as a file: these are real signatures.
pub fn cluster_file() -> String {
    let mut text = String::from(
        "cluster_id = \"00112233445566778899aabbccddeeff\"\nprotocol = \"pbft\"\napp = \"kv\"\n",
    );
    for (id, (_, key)) in key_pairs(1, N).iter().enumerate() {
        text += &format!("[[node]]\naddress = \"127.0.0.1:{}\"\npublic_key = \"{key}\"\n", 8000 + id);
    }
    text
}

/// The same.
pub fn cluster() -> ClusterConfig {
    let settings = Settings::parse(&cluster_file()).expect("it is written as it should be");
    ClusterConfig::of(settings).expect("every rule holds")
}

/// True if it proves something.
fn evidence(input: &[u8]) -> bool {
    thread_local! {
        static CLUSTER: ClusterConfig = cluster();
    }
    let Some(text) = text(input) else { return false };
    match CLUSTER.with(|cluster| verify(text, cluster)) {
        Ok(Ok(_)) => true,
        Ok(Err(why)) => !is_sentence(&why),
        Err(error) => !is_sentence(&error),
    }
}

/// Symbolic signers and their keyring, for plays of `n` replicas.
pub(super) fn keys(n: u16) -> (Vec<Signer>, Keyring) {
    symbolic(0, n)
}

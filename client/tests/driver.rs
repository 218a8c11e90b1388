//! The client as tasks, at nodes that do what each test says.

use client::driver::{Client, Failure, Seen, Setup, SetupError};
use client::link::{
    CLIENT_HEADER, CLUSTER_HEADER, FrameReader, FromClient, FromNode, Introduction, MAX_CLIENT_FRAME_BYTES,
    decode, encode,
};
use kernel::keys::{Keyring, PublicKey, key_pairs};
use kernel::{
    Bundle, Cluster, ClusterId, Operation, Output, ReplicaId, Reply, ReplyBundle, Seq, Signer, View,
};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

const N: u16 = 4;
const SEED: u64 = 9;
/// As long as nothing that is right takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const NONCE: [u8; 32] = [5; 32];

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    /// Takes the link, and passes requests on to all, each of which replies in this view.
    Serve(u64),
    /// The same, once so many milliseconds have passed.
    ServeAfter(u64),
    /// Takes the link, and neither passes anything on nor replies.
    Nothing,
    /// Replies, but passes nothing on.
    ReplyOnly,
    /// Replies with another result.
    Lie,
    /// Replies with a signature that does not hold.
    Forge,
    /// Replies as somebody who is no replica.
    Pretend,
    /// Replies to another client.
    Misdirect,
    /// Ends each link once it has come about.
    Drop,
    /// The same with the first one alone; on others, it does nothing.
    DropFirst,
    /// Answers the request for a link with this status and so much text.
    Refuse(&'static str, usize),
    /// The same, and never ends the text.
    RefuseForEver,
    /// Says these things instead of what it should.
    Say(Says),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    NothingAtAll,
    EndedAtOnce,
    ReplyFirst,
    ChallengeAgain,
    EndedLater,
}

/// The nodes that there are, and what has come to them.
struct Nodes {
    cluster: Cluster,
    addresses: Vec<SocketAddr>,
    came: Arc<Mutex<Came>>,
}

#[derive(Default)]
struct Came {
    /// The node, and the requests of the bundle.
    bundles: Vec<(u16, usize)>,
    /// Links that each node has taken.
    links: [usize; N as usize],
    /// Links that the client has ended.
    ended: usize,
    /// Bytes of each chunk of the streams.
    chunks: Vec<usize>,
}

fn cluster() -> Cluster {
    Cluster::new(ClusterId::derive("driver", SEED), "pbft", N).with_clients(1)
}

fn signer(id: u16) -> Signer {
    Signer::new(ReplicaId(id), &key_pairs(SEED, N + 2)[usize::from(id)].0)
}

fn public_keys() -> Vec<PublicKey> {
    key_pairs(SEED, N + 1).iter().map(|(_, public)| *public).collect()
}

async fn start(does: [Does; 4]) -> Nodes {
    let came = Arc::<Mutex<Came>>::default();
    let (passed_on, _) = broadcast::channel::<Arc<Bundle>>(1_000);
    let mut addresses = Vec::new();
    for (id, does) in (0..).zip(does) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.push(listener.local_addr().unwrap());
        let (came, passed_on) = (Arc::clone(&came), passed_on.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                came.lock().unwrap().links[usize::from(id)] += 1;
                let node = Node { id, does, came: Arc::clone(&came), passed_on: passed_on.clone() };
                // A client that is gone ends it.
                tokio::spawn(async move { node.link(stream).await });
            }
        });
    }
    Nodes { cluster: cluster(), addresses, came }
}

struct Node {
    id: u16,
    does: Does,
    came: Arc<Mutex<Came>>,
    passed_on: broadcast::Sender<Arc<Bundle>>,
}

/// Writes a refusal, all but its end: the text comes in two chunks.
async fn refuse(stream: &mut TcpStream, status: &str, bytes: usize) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    for chunk in [bytes / 2, bytes - bytes / 2].into_iter().filter(|bytes| *bytes > 0) {
        stream.write_all(format!("{chunk:x}\r\n{}\r\n", "n".repeat(chunk)).as_bytes()).await?;
    }
    Ok(())
}

impl Node {
    async fn link(self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut read = Vec::new();
        let head = loop {
            read.push(stream.read_u8().await?);
            if read.ends_with(b"\r\n\r\n") {
                break String::from_utf8(std::mem::take(&mut read)).unwrap();
            }
        };
        assert!(head.contains(&format!("{CLUSTER_HEADER}: {}\r\n", cluster().id)), "{head}");
        assert!(head.contains(&format!("{CLIENT_HEADER}: {N}\r\n")), "{head}");
        if let Does::ServeAfter(ms) = self.does {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        if let Does::Refuse(status, bytes) = self.does {
            refuse(&mut stream, status, bytes).await?;
            return stream.write_all(b"0\r\n\r\n").await;
        }
        if self.does == Does::RefuseForEver {
            refuse(&mut stream, "403 Forbidden", 5 << 10).await?;
            return std::future::pending().await;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
        match self.does {
            Does::Say(Says::NothingAtAll) => return stream.write_all(b"0\r\n\r\n").await,
            Does::Say(Says::EndedAtOnce) => {
                return say(&mut stream, &FromNode::Ended("too many".into())).await;
            }
            Does::Say(Says::ReplyFirst) => {
                let bundle = Bundle::sign(&cluster(), &signer(N), vec![]);
                return say(&mut stream, &FromNode::Reply(self.reply(&bundle))).await;
            }
            _ => say(&mut stream, &FromNode::Challenge(NONCE)).await?,
        }
        let (mut from_client, mut to_client) = stream.into_split();
        let mut frames = FrameReader::new(MAX_CLIENT_FRAME_BYTES);
        let mut replies = self.passed_on.subscribe();
        let mut bytes = Vec::new();
        let mut is_introduced = false;
        loop {
            let mut chunk = vec![0; 1 << 16];
            tokio::select! {
                count = from_client.read(&mut chunk) => match count? {
                    0 => {
                        self.came.lock().unwrap().ended += 1;
                        return Ok(());
                    }
                    count => bytes.extend_from_slice(&chunk[..count]),
                },
                Ok(bundle) = replies.recv() => {
                    if !matches!(self.does, Does::Nothing | Does::DropFirst) {
                        say(&mut to_client, &FromNode::Reply(self.reply(&bundle))).await?;
                    }
                }
            }
            while let Some(chunk) = take_chunk(&mut bytes) {
                self.came.lock().unwrap().chunks.push(chunk.len());
                frames.feed(&chunk);
            }
            while let Some(payload) = frames.next_frame().unwrap() {
                match decode::<FromClient>(payload).unwrap() {
                    FromClient::Introduction(signature) => {
                        let (node, client) = (ReplicaId(self.id), ReplicaId(N));
                        let introduction = Introduction { cluster: cluster().id, node, client, nonce: NONCE };
                        assert!(Keyring::new(&public_keys()).unwrap().verify(&introduction.claim(signature)));
                        is_introduced = true;
                        match self.does {
                            Does::Drop => return Ok(()),
                            Does::DropFirst if self.came.lock().unwrap().links[usize::from(self.id)] == 1 => {
                                return Ok(());
                            }
                            Does::Say(Says::ChallengeAgain) => {
                                return say(&mut to_client, &FromNode::Challenge(NONCE)).await;
                            }
                            Does::Say(Says::EndedLater) => {
                                return say(&mut to_client, &FromNode::Ended("later".into())).await;
                            }
                            _ => {}
                        }
                    }
                    FromClient::Requests(bundle) => {
                        assert!(is_introduced);
                        self.came.lock().unwrap().bundles.push((self.id, bundle.requests().len()));
                        if matches!(self.does, Does::Serve(_) | Does::ServeAfter(_)) {
                            self.passed_on.send(Arc::new(bundle)).unwrap();
                        }
                    }
                }
            }
        }
    }

    fn reply(&self, bundle: &Bundle) -> ReplyBundle {
        let result = if self.does == Does::Lie { b"lie".as_slice() } else { b"done" };
        let reply = |request: &kernel::Request| Reply {
            session: request.session,
            counter: request.counter,
            result: Output::new(result),
        };
        let replies = bundle.requests().iter().map(reply).collect();
        let view = if let Does::Serve(view) = self.does { View(view) } else { View(0) };
        let id = if self.does == Does::Pretend { N + 1 } else { self.id };
        let gateway = if self.does == Does::Misdirect { ReplicaId(N + 1) } else { ReplicaId(N) };
        let digests = vec![bundle.digest()];
        let mut reply = ReplyBundle::sign(&cluster(), &signer(id), view, Seq(7), gateway, digests, replies);
        if self.does == Does::Forge {
            reply.signature = reply.signature.corrupted();
        }
        reply
    }
}

async fn say(stream: &mut (impl tokio::io::AsyncWrite + Unpin), frame: &FromNode) -> std::io::Result<()> {
    let frame = encode(frame, 1 << 20).unwrap();
    let head = format!("{:x}\r\n", frame.len());
    stream.write_all(&[head.as_bytes(), &frame, b"\r\n"].concat()).await
}

/// The next whole chunk of a chunked body.
fn take_chunk(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    let length = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
    let whole = end + 2 + length + 2;
    if bytes.len() < whole {
        return None;
    }
    let chunk = bytes[end + 2..end + 2 + length].to_vec();
    bytes.drain(..whole);
    Some(chunk)
}

impl Nodes {
    fn setup(&self) -> Setup {
        let (secret, _) = key_pairs(SEED, N + 1)[usize::from(N)];
        let public = public_keys()[..usize::from(N)].to_vec();
        let mut setup =
            Setup::new(self.cluster.clone(), ReplicaId(N), secret, public, self.addresses.clone());
        (setup.timeout, setup.remind_after) = (PATIENCE, PATIENCE);
        setup
    }

    fn client(&self) -> Client {
        Client::connect(self.setup()).unwrap()
    }

    fn bundles(&self) -> Vec<(u16, usize)> {
        self.came.lock().unwrap().bundles.clone()
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("in time") });
}

/// What the client has seen, once it has seen what it must.
async fn seen(client: &Client, until: impl Fn(&Seen) -> bool) -> Seen {
    loop {
        let seen = client.seen().await.unwrap();
        if until(&seen) {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn operation() -> Operation {
    Operation::new(b"do it")
}

#[test]
fn a_request_goes_to_the_commander_alone_and_comes_back_with_its_proof() {
    run(async {
        let nodes = start([Does::Serve(0); 4]).await;
        let client = nodes.client();
        let decision = client.submit(operation()).await.unwrap();
        assert_eq!((&*decision.result.0, decision.seq, decision.view), (&b"done"[..], Seq(7), View(0)));
        let keyring = Keyring::new(&public_keys()).unwrap();
        let proven = decision.evidence.check(&nodes.cluster, &keyring, 2).unwrap();
        assert_eq!((proven.operation, proven.replicas.len()), (operation(), 2));
        assert_eq!(nodes.bundles(), [(0, 1)]);
        let expected = Seen { connected: 4, ..Seen::default() };
        assert_eq!(seen(&client, |seen| seen.connected == 4).await, expected);
    });
}

/// It is the commander of the view in which enough replicas have replied.
#[test]
fn the_next_request_goes_to_the_commander_that_replies_tell_of() {
    run(async {
        for (views, next) in [([2, 2, 0, 0], 2), ([2, 0, 0, 0], 0), ([3, 2, 1, 0], 2)] {
            let nodes = start(views.map(Does::Serve)).await;
            let client = nodes.client();
            client.submit(operation()).await.unwrap();
            // Replies that were not needed tell of views as well.
            seen(&client, |seen| seen.view == View(next)).await;
            client.submit(operation()).await.unwrap();
            assert_eq!(nodes.bundles(), [(0, 1), (next as u16, 1)], "{views:?}");
        }
    });
}

#[test]
fn without_a_link_to_the_commander_it_goes_to_the_next_node_that_has_one() {
    run(async {
        let nodes =
            start([Does::Refuse("503 Busy", 2), Does::Refuse("503 Busy", 2), Does::Serve(0), Does::Serve(0)])
                .await;
        let client = nodes.client();
        client.submit(operation()).await.unwrap();
        assert_eq!(nodes.bundles(), [(2, 1)]);
    });
}

/// Requests wait for links, which may take a while: those sent before would be lost.
#[test]
fn requests_wait_until_every_node_has_taken_the_link_or_not() {
    run(async {
        let nodes =
            start([Does::ServeAfter(50), Does::ServeAfter(100), Does::Refuse("503 Busy", 0), Does::Serve(0)])
                .await;
        let client = nodes.client();
        client.submit(operation()).await.unwrap();
        let seen = client.seen().await.unwrap();
        assert_eq!((seen.connected, seen.reminders), (3, 0));
        assert_eq!(nodes.bundles(), [(0, 1)]);
    });
}

/// But no longer than until they would be sent again.
#[test]
fn a_node_that_never_answers_holds_up_nothing_for_ever() {
    run(async {
        let nodes = start([Does::Serve(0), Does::Serve(0), Does::Serve(0), Does::ServeAfter(1 << 40)]).await;
        let setup = Setup { remind_after: Duration::from_millis(100), ..nodes.setup() };
        let client = Client::connect(setup).unwrap();
        client.submit(operation()).await.unwrap();
        assert_eq!(client.seen().await.unwrap().connected, 3);
    });
}

/// The commander keeps the first request to itself. Then all are asked at once for a while.
#[test]
fn what_has_no_result_goes_to_all_and_so_do_the_next_ones() {
    run(async {
        let nodes = start([Does::ReplyOnly, Does::Serve(0), Does::ReplyOnly, Does::ReplyOnly]).await;
        let setup = Setup { remind_after: Duration::from_millis(300), ..nodes.setup() };
        let client = Client::connect(setup).unwrap();
        client.submit(operation()).await.unwrap();
        assert_eq!(client.seen().await.unwrap().reminders, 1);
        let mut first = nodes.bundles();
        first.sort_unstable();
        client.submit(operation()).await.unwrap();
        let all = |came: Vec<(u16, usize)>| came.iter().map(|(node, _)| *node).collect::<Vec<_>>();
        // Those that were not needed may still be on their way.
        assert!(all(first).starts_with(&[0, 0]), "to the commander, and to it again with all others");
        seen(&client, |_| nodes.bundles().iter().filter(|(node, _)| *node == 3).count() == 2).await;
        // On a busy machine it may be too late, and the commander is tried again.
        for _ in 0..20 {
            let before = client.seen().await.unwrap().reminders;
            client.submit(operation()).await.unwrap();
            if client.seen().await.unwrap().reminders == before {
                return;
            }
        }
        panic!("each goes to the commander alone at first");
    });
}

#[test]
fn replies_that_do_not_hold_are_counted_and_not_believed() {
    run(async {
        for does in [Does::Forge, Does::Pretend, Does::Misdirect] {
            let nodes = start([does, Does::Serve(0), Does::Serve(0), Does::Serve(0)]).await;
            // A node that only replies passes nothing on; ask until another one is asked.
            let setup = Setup { remind_after: Duration::from_millis(100), ..nodes.setup() };
            let client = Client::connect(setup).unwrap();
            let decision = client.submit(operation()).await.unwrap();
            assert_eq!(&*decision.result.0, b"done");
            let replicas: Vec<u16> = decision.evidence.replies.iter().map(|reply| reply.replica.0).collect();
            assert!(!replicas.contains(&0) && !replicas.contains(&(N + 1)), "{does:?}: {replicas:?}");
            // A forged one is looked at only while it is wanted.
            if does != Does::Forge {
                seen(&client, |seen| seen.refused > 0).await;
            }
        }
        let nodes = start([Does::Serve(0), Does::Forge, Does::Forge, Does::Forge]).await;
        let client = nodes.client();
        let asking = client.submit(operation());
        tokio::select! {
            _ = asking => panic!("there is one reply that holds"),
            seen = seen(&client, |seen| seen.refused == 3) => assert_eq!(seen.refused, 3),
        }
    });
}

#[test]
fn a_lie_is_counted_beside_the_result() {
    run(async {
        let nodes = start([Does::Lie, Does::Serve(0), Does::Nothing, Does::Serve(0)]).await;
        let setup = Setup { remind_after: Duration::from_millis(100), ..nodes.setup() };
        let client = Client::connect(setup).unwrap();
        let decision = client.submit(operation()).await.unwrap();
        assert_eq!(&*decision.result.0, b"done");
        assert!(decision.differing <= 1);
        let replicas: Vec<u16> = decision.evidence.replies.iter().map(|reply| reply.replica.0).collect();
        assert!(replicas == [1, 3] || replicas == [3, 1], "{replicas:?}");
    });
}

#[test]
fn a_request_without_enough_replies_says_what_it_had() {
    run(async {
        let nodes = start([Does::Serve(0), Does::Nothing, Does::Nothing, Does::Nothing]).await;
        let setup = Setup { timeout: Duration::from_millis(200), ..nodes.setup() };
        let client = Client::connect(setup.clone()).unwrap();
        let failure = client.submit(operation()).await.unwrap_err();
        let expected = Failure::TimedOut {
            after: setup.timeout,
            replies: 1,
            needed: 2,
            connected: 4,
            n: 4,
            last_error: String::new(),
        };
        assert_eq!(failure, expected);

        let nodes =
            start([Does::Refuse("403 Forbidden", 3), Does::Nothing, Does::Nothing, Does::Nothing]).await;
        let setup = Setup { timeout: Duration::from_millis(200), ..nodes.setup() };
        let client = Client::connect(setup).unwrap();
        seen(&client, |seen| seen.connected == 3).await;
        let failure = client.submit(operation()).await.unwrap_err().to_string();
        assert!(failure.contains("0 of 2 matching replies, 3 of 4 nodes connected; node 0: it refuses the link with status 403 Forbidden: nnn"), "{failure}");
    });
}

#[test]
fn what_once_ended_a_link_is_not_named_as_the_reason_where_all_nodes_are_connected() {
    run(async {
        let nodes = start([Does::DropFirst, Does::Nothing, Does::Nothing, Does::Nothing]).await;
        let setup = Setup { timeout: Duration::from_millis(200), ..nodes.setup() };
        let client = Client::connect(setup.clone()).unwrap();
        seen(&client, |seen| seen.connected == 4 && !seen.last_error.is_empty()).await;
        let expected = Failure::TimedOut {
            after: setup.timeout,
            replies: 0,
            needed: 2,
            connected: 4,
            n: 4,
            last_error: String::new(),
        };
        assert_eq!(client.submit(operation()).await.unwrap_err(), expected);
    });
}

#[test]
fn what_ends_a_link_is_said() {
    run(async {
        for (does, said) in [
            (Does::Say(Says::NothingAtAll), "it ended the link at once"),
            (Does::Say(Says::EndedAtOnce), "it ended the link: too many"),
            (Does::Say(Says::ReplyFirst), "it does not ask who this client is"),
            (Does::Say(Says::ChallengeAgain), "it asks again who this client is"),
            (Does::Say(Says::EndedLater), "it ended the link: later"),
        ] {
            let nodes = start([does, Does::Serve(0), Does::Serve(0), Does::Serve(0)]).await;
            let client = nodes.client();
            let seen = seen(&client, |seen| !seen.last_error.is_empty()).await;
            assert_eq!(seen.last_error, format!("node 0: {said}"));
        }
        let mut nodes = start([Does::Serve(0); 4]).await;
        // Nobody listens there any more.
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        nodes.addresses[2] = free;
        let seen = seen(&nodes.client(), |seen| !seen.last_error.is_empty()).await;
        assert!(
            seen.last_error.starts_with(&format!("node 2: cannot connect to {free}: ")),
            "{}",
            seen.last_error
        );
    });
}

#[test]
fn of_a_refusal_so_much_is_read_and_no_more() {
    run(async {
        let refusals = [10, 4 << 10, 1 << 20].map(|bytes| Does::Refuse("403 Forbidden", bytes));
        let read = [10, 4 << 10, 4 << 10, 4 << 10];
        for (does, read) in refusals.into_iter().chain([Does::RefuseForEver]).zip(read) {
            let nodes = start([Does::Serve(0), does, Does::Serve(0), Does::Serve(0)]).await;
            let seen = seen(&nodes.client(), |seen| !seen.last_error.is_empty()).await;
            let expected =
                format!("node 1: it refuses the link with status 403 Forbidden: {}", "n".repeat(read));
            assert_eq!(seen.last_error, expected);
        }
    });
}

#[test]
fn a_link_that_ends_is_opened_again_and_again() {
    run(async {
        let nodes = start([Does::Drop, Does::Serve(0), Does::Serve(0), Does::Serve(0)]).await;
        let client = nodes.client();
        seen(&client, |_| nodes.came.lock().unwrap().links[0] >= 4).await;
        assert_eq!(nodes.came.lock().unwrap().links[1..], [1, 1, 1]);
    });
}

#[test]
fn a_client_without_handles_ends_its_links() {
    run(async {
        let nodes = start([Does::Serve(0); 4]).await;
        let client = nodes.client();
        seen(&client, |seen| seen.connected == 4).await;
        assert_eq!(nodes.came.lock().unwrap().ended, 0);
        drop(client);
        while nodes.came.lock().unwrap().ended < 4 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(nodes.came.lock().unwrap().links, [1; 4]);
    });
}

/// Frames that wait together leave together, in chunks of about 64 KiB.
#[test]
fn frames_are_joined_into_chunks() {
    run(async {
        let nodes = start([Does::Serve(0); 4]).await;
        let setup = Setup { batch_max: 1, ..nodes.setup() };
        let client = Client::connect(setup).unwrap();
        seen(&client, |seen| seen.connected == 4).await;
        nodes.came.lock().unwrap().chunks.clear();
        let asks = (0..6).map(|_| client.submit(Operation::new(&vec![b'x'; 30_000])));
        let asks: Vec<_> = asks.map(Box::pin).collect();
        for outcome in join_all(asks).await {
            outcome.unwrap();
        }
        let chunks = nodes.came.lock().unwrap().chunks.clone();
        assert_eq!(nodes.bundles().len(), 6);
        assert!(chunks.iter().all(|bytes| *bytes <= 64 << 10), "{chunks:?}");
        assert!(chunks.iter().any(|bytes| *bytes > 60_000), "{chunks:?}");
    });
}

async fn join_all<F: Future + Unpin>(mut futures: Vec<F>) -> Vec<F::Output> {
    let mut done: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, done) in futures.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = std::pin::Pin::new(future).poll(cx)
            {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[test]
fn the_largest_operation_is_taken_and_no_larger_one() {
    run(async {
        let nodes = start([Does::Serve(0); 4]).await;
        let client = nodes.client();
        let most = 16 << 20;
        let failure = client.submit(Operation::new(&vec![0; most + 1])).await.unwrap_err();
        assert_eq!(failure, Failure::TooLarge { bytes: most + 1, most });
        client.submit(Operation::new(&vec![0; most])).await.unwrap();
    });
}

#[test]
fn a_setup_that_does_not_fit_together_is_refused() {
    run(async {
        let nodes = start([Does::Serve(0); 4]).await;
        let refused = |change: fn(&mut Setup)| {
            let mut setup = nodes.setup();
            change(&mut setup);
            Client::connect(setup).err().map(|error| error.to_string()).unwrap_or_default()
        };
        let no_client = "3 is no client's id; this cluster has 1 clients, whose ids begin with 4";
        assert_eq!(refused(|setup| setup.id = ReplicaId(3)), no_client);
        let missing = "4 replicas have 4 public keys and addresses; there are 3 and 4";
        assert_eq!(refused(|setup| setup.public_keys.truncate(3)), missing);
        let missing = "4 replicas have 4 public keys and addresses; there are 4 and 3";
        assert_eq!(refused(|setup| setup.addresses.truncate(3)), missing);
        for needed in [0, 5] {
            let mut setup = nodes.setup();
            setup.replies_needed = needed;
            let error = Client::connect(setup).unwrap_err();
            assert!(matches!(error, SetupError::Replies { needed: n, n: 4 } if n == needed), "{error}");
        }
        let zero = "timeout, remind_after and batch_max must be more than 0";
        assert_eq!(refused(|setup| setup.batch_max = 0), zero);
        assert_eq!(refused(|setup| setup.timeout = Duration::ZERO), zero);
        assert_eq!(refused(|setup| setup.remind_after = Duration::ZERO), zero);
        assert_eq!(refused(|_| {}), "");
    });
}

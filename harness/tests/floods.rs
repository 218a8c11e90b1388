//! Clients that mean harm to a node: while they go on, its memory stays bounded and others are served.
//!
//! The node is a process of its own, so that its memory is its own. What floods it writes raw bytes: no client library
//! would.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

#[path = "support/http.rs"]
mod http;

use http::{ask, until_ready};

/// Far less than a flood would take if what is flooded were kept, and more than it takes: 16 MiB of answers may wait to be
/// read on a connection, and 64 MiB of a body that is too large are read.
const MOST_BYTES: u64 = 96 << 20;
/// A write that takes longer is one that the node has stopped reading.
const PATIENCE: Duration = Duration::from_millis(500);

/// Four nodes, each a process.
struct Nodes {
    _folder: tempfile::TempDir,
    first_port: u16,
    running: Vec<Child>,
}

impl Nodes {
    fn start() -> Nodes {
        let folder = tempfile::tempdir().unwrap();
        let first_port = harness::cluster::ports::bind_free(1).unwrap()[0].local_addr().unwrap().port();
        let harness = || Command::new(env!("CARGO_BIN_EXE_harness"));
        let port = first_port.to_string();
        let init = harness()
            .args(["init", "--nodes", "4", "--app", "kv", "--port", &port, "--dir"])
            .arg(folder.path())
            .output();
        assert!(init.unwrap().status.success());
        let node = |id: u16| {
            let mut node = harness();
            node.args(["node", "--id", &id.to_string(), "--config"]).arg(folder.path().join("cluster.toml"));
            node.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        let nodes = Nodes { running: (0..4).map(node).collect(), _folder: folder, first_port };
        for port in first_port..first_port + 4 {
            drop(connect(port));
            until_ready(port);
        }
        nodes
    }

    fn flooded(&self) -> u16 {
        self.first_port + 1
    }

    /// Of the flooded node, in bytes, as Linux says.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running[1].id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        1024 * line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    }

    /// A client of the node that is flooded, and one of another.
    fn serve_others(&self, flood: &str) {
        for port in [self.flooded(), self.first_port] {
            (0..5).for_each(|key| put(port, &format!("{flood}-{key}"), "v"));
        }
    }
}

fn put(port: u16, key: &str, value: &str) {
    let body = format!("{{\"key\": \"{key}\", \"value\": \"{value}\"}}");
    // Where other programs keep the machine busy it may take longer than a node waits for an answer.
    let mut answers = (0..15).map(|_| ask(port, "POST", "/api/v1/kv", &body));
    let (status, answer) = answers.find(|(status, _)| *status != 504).expect("an answer");
    assert_eq!(status, 200, "{key}: {answer}");
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for node in &mut self.running {
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

fn connect(port: u16) -> TcpStream {
    // It may not listen yet, and its queue of connections may be full.
    let stream = (0..500).find_map(|_| {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok();
        stream.or_else(|| {
            std::thread::sleep(Duration::from_millis(20));
            None
        })
    });
    let stream = stream.expect("it listens");
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Writes `bytes` so many times, or until the node reads no more or has closed. Nothing is read. Returns how often.
fn write_times(stream: &mut TcpStream, bytes: &[u8], times: usize) -> usize {
    for time in 0..times {
        if let Err(error) = stream.write_all(bytes) {
            use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, WouldBlock};
            let expected = [BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, WouldBlock];
            assert!(expected.contains(&error.kind()), "{error}");
            return time;
        }
    }
    times
}

// ---- HTTP/2 frames (RFC 9113) ----

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The head of a request without further fields (RFC 7541: indexed fields, and literals that are not indexed).
fn head(method: &str, path: &str, host: &str) -> Vec<u8> {
    let method = if method == "GET" { 0x82 } else { 0x83 };
    let mut head = vec![method, 0x86, 0x04, path.len() as u8];
    head.extend(path.bytes());
    head.extend([0x01, host.len() as u8]);
    head.extend(host.bytes());
    head
}

/// An HTTP/2 connection that has begun.
fn http2(port: u16) -> TcpStream {
    let mut stream = connect(port);
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).unwrap();
    stream
}

/// The streams of a client, one after the other.
fn streams() -> impl Iterator<Item = u32> {
    (1..).step_by(2)
}

// ---- The floods: each returns connections that stay open ----

fn half_open(port: u16) -> Vec<TcpStream> {
    let one = |number: usize| {
        let mut stream = connect(port);
        write_times(&mut stream, [&b"POST /prepre"[..], b"", b"PRI * HT"][number % 3], 1);
        stream
    };
    (0..300).map(one).collect()
}

/// Bodies that come a byte at a time.
fn slow_bodies(port: u16) -> Vec<TcpStream> {
    let head = format!("POST /api/v1/kv HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 1000\r\n\r\n");
    let mut all: Vec<TcpStream> = (0..100).map(|_| connect(port)).collect();
    all.iter_mut().for_each(|stream| assert_eq!(write_times(stream, head.as_bytes(), 1), 1));
    for _ in 0..5 {
        all.iter_mut().for_each(|stream| {
            write_times(stream, b" ", 1);
        });
        std::thread::sleep(Duration::from_millis(20));
    }
    all
}

fn endless_chunks(port: u16) -> Vec<TcpStream> {
    let head =
        format!("POST /api/v1/kv HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = [b"10000\r\n", &vec![b' '; 1 << 16][..], b"\r\n"].concat();
    let mut all = Vec::new();
    for _ in 0..10 {
        let mut stream = connect(port);
        write_times(&mut stream, head.as_bytes(), 1);
        assert!(write_times(&mut stream, &chunk, 4096) < 4096, "256 MiB of chunks are not read to the end");
        all.push(stream);
    }
    all
}

fn many_headers(port: u16) -> Vec<TcpStream> {
    let mut stream = connect(port);
    write_times(&mut stream, format!("GET /status HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n").as_bytes(), 1);
    write_times(&mut stream, b"X-More: and more\r\n", 5_000_000);
    vec![stream]
}

/// Requests in a row on connections from which nothing is read.
fn pipelining(port: u16) -> Vec<TcpStream> {
    let request = format!("GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n").repeat(100);
    let mut all: Vec<TcpStream> = (0..20).map(|_| connect(port)).collect();
    let written: usize = all.iter_mut().map(|stream| write_times(stream, request.as_bytes(), 1000)).sum();
    assert!(written < 20_000, "a node that cannot write its answers reads no more requests");
    all
}

/// Streams that are given up as soon as they are begun (CVE-2023-44487).
fn rapid_reset(port: u16) -> Vec<TcpStream> {
    let (mut stream, head) = (http2(port), head("GET", "/log", &format!("127.0.0.1:{port}")));
    for id in streams().take(100_000) {
        let headers = frame(HEADERS, END_HEADERS | END_STREAM, id, &head);
        if write_times(&mut stream, &[headers, frame(RST_STREAM, 0, id, &8_u32.to_be_bytes())].concat(), 1)
            == 0
        {
            break;
        }
    }
    vec![stream]
}

/// Frames that ask for an answer each (CVE-2019-9512, CVE-2019-9515), and none is read.
fn settings_and_pings(port: u16) -> Vec<TcpStream> {
    let (mut settings, mut pings) = (http2(port), http2(port));
    write_times(&mut settings, &frame(SETTINGS, 0, 0, &[]).repeat(1000), 5_000);
    write_times(&mut pings, &frame(PING, 0, 0, &[7; 8]).repeat(1000), 5_000);
    vec![settings, pings]
}

/// A head that never ends (CVE-2024-27316).
fn continuations(port: u16) -> Vec<TcpStream> {
    let (mut stream, head) = (http2(port), head("GET", "/status", &format!("127.0.0.1:{port}")));
    write_times(&mut stream, &frame(HEADERS, END_STREAM, 1, &head), 1);
    let field = [&[0x00, 0x01, b'x', 0x7f, 0x81, 0x7d][..], &[b'y'; 16_000]].concat();
    write_times(&mut stream, &frame(CONTINUATION, 0, 1, &field), 20_000);
    vec![stream]
}

/// Requests whose bodies never begin, as many as a connection may have.
fn bodies_never_begun(port: u16) -> Vec<TcpStream> {
    let (mut stream, head) = (http2(port), head("POST", "/api/v1/kv", &format!("127.0.0.1:{port}")));
    for id in streams().take(60_000) {
        if write_times(&mut stream, &frame(HEADERS, END_HEADERS, id, &head), 1) == 0 {
            break;
        }
    }
    vec![stream]
}

/// Tiny frames of bodies that never end, for requests that cannot be answered before.
fn bodies_in_tiny_frames(port: u16) -> Vec<TcpStream> {
    let (mut stream, head) = (http2(port), head("POST", "/api/v1/kv", &format!("127.0.0.1:{port}")));
    for id in streams().take(2_000) {
        write_times(&mut stream, &frame(HEADERS, END_HEADERS, id, &head), 1);
        write_times(&mut stream, &frame(DATA, 0, id, b" "), 20);
    }
    vec![stream]
}

/// Large answers, for which there is room in the windows of HTTP/2, and of which nothing is read (CVE-2019-9517).
fn answers_never_read(port: u16) -> Vec<TcpStream> {
    let head = head("GET", "/api/v1/kv/local?key=large", &format!("127.0.0.1:{port}"));
    let mut stream = http2(port);
    let window = [&[0, 4][..], &0x7fff_ffff_u32.to_be_bytes()].concat();
    write_times(&mut stream, &frame(SETTINGS, 0, 0, &window), 1);
    write_times(&mut stream, &frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes()), 1);
    // All at once, so that the node has read many before it answers the first.
    let requests = streams().take(50_000).flat_map(|id| frame(HEADERS, END_HEADERS | END_STREAM, id, &head));
    write_times(&mut stream, &requests.collect::<Vec<u8>>(), 1);
    vec![stream]
}

type Flood = fn(u16) -> Vec<TcpStream>;

const FLOODS: [(&str, Flood); 11] = [
    ("half-open", half_open),
    ("slow-bodies", slow_bodies),
    ("endless-chunks", endless_chunks),
    ("many-headers", many_headers),
    ("pipelining", pipelining),
    ("rapid-reset", rapid_reset),
    ("settings-and-pings", settings_and_pings),
    ("continuations", continuations),
    ("bodies-never-begun", bodies_never_begun),
    ("bodies-in-tiny-frames", bodies_in_tiny_frames),
    ("answers-never-read", answers_never_read),
];

#[test]
fn floods_neither_fill_a_nodes_memory_nor_keep_others_from_it() {
    for (name, flood) in FLOODS {
        let nodes = Nodes::start();
        nodes.serve_others("before");
        // What the value takes on its way is not the flood's.
        put(nodes.flooded(), "large", &"v".repeat(300_000));
        let before = nodes.memory();
        let flooding = std::thread::scope(|scope| {
            let flooding = scope.spawn(|| flood(nodes.flooded()));
            nodes.serve_others(name);
            flooding.join().unwrap()
        });
        nodes.serve_others(name);
        // The kernel counts pages per core and sums them roughly: the mark may be a few pages lower.
        let more = nodes.memory().saturating_sub(before);
        println!("{name}: {} KiB more", more >> 10);
        assert!(more < MOST_BYTES, "{name}: {} MiB more", more >> 20);
        drop(flooding);
        nodes.serve_others(name);
    }
}

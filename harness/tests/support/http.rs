//! Asking nodes over HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// Status and body of a node's answer.
pub(crate) fn text(port: u16, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer[9..12].parse().unwrap(), answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// The same, of an answer in JSON.
pub(crate) fn ask(port: u16, method: &str, path: &str, body: &str) -> (u16, Value) {
    let (status, body) = text(port, method, path, body);
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
}

/// Asks until the node is ready; the test's runner ends what never is.
pub(crate) fn until_ready(port: u16) {
    while ask(port, "GET", "/ready", "").0 != 200 {
        std::thread::sleep(Duration::from_millis(20));
    }
}

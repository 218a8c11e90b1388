//! An HTTP client that can also misbehave: it writes bytes and reads bytes.

use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// A header; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or_default().trim()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Sends one request as it stands and reads the answer to the end.
pub(crate) async fn send_raw(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

/// Reads one answer from a connection that stays open.
pub(crate) async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            let answer = Answer { status, head: head.to_lowercase(), body: body.to_owned() };
            if body.len() >= answer.header("content-length").parse().unwrap() {
                return answer;
            }
        }
        let read = stream.read_buf(&mut bytes).await.unwrap();
        assert!(read > 0, "the answer ended early: {text:?}");
    }
}

/// One request on a connection of its own; `headers` end with `\r\n` each.
pub(crate) async fn send(address: SocketAddr, method_and_path: &str, headers: &str, body: &[u8]) -> Answer {
    let mut request = format!(
        "{method_and_path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(body);
    send_raw(address, &request).await
}

pub(crate) async fn get_json(address: SocketAddr, path: &str) -> Value {
    let answer = send(address, &format!("GET {path}"), "", b"").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

pub(crate) async fn post(address: SocketAddr, path: &str, body: &str) -> Answer {
    send(address, &format!("POST {path}"), "", body.as_bytes()).await
}

/// A client's request.
pub(crate) async fn ask(address: SocketAddr, data: &str) -> Answer {
    let body = serde_json::json!({ "data": data }).to_string();
    post(address, "/preprepare", &body).await
}

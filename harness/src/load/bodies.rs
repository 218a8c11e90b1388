//! The bodies of requests.

use std::sync::Arc;

use bytes::Bytes;
use kernel::{Choose, SeededChoice};

/// Request bodies: the same random printable text, stamped with the request's
/// number as far as there is room, so that requests differ.
#[derive(Clone, Debug)]
pub struct Bodies {
    template: Arc<[u8]>,
    stamp_bytes: usize,
}

const BODY_START: &[u8] = b"{\"data\":\"";
const BODY_END: &[u8] = b"\"}";
/// 64 characters that JSON takes as they are.
const STAMP: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";

impl Bodies {
    /// Bodies whose data has exactly `payload_bytes` bytes.
    pub fn new(payload_bytes: usize, seed: u64) -> Bodies {
        let printable: Vec<u8> = (b' '..=b'~').filter(|c| !b"\"\\".contains(c)).collect();
        let mut choice = SeededChoice::new(seed);
        let mut template = BODY_START.to_vec();
        template.extend((0..payload_bytes).map(|_| printable[choice.below(printable.len() as u64) as usize]));
        template.extend_from_slice(BODY_END);
        Bodies { template: template.into(), stamp_bytes: payload_bytes.min(6) }
    }

    /// The body of one request.
    pub fn body(&self, request: u64) -> Bytes {
        let mut body = self.template.to_vec();
        let mut rest = request;
        for byte in &mut body[BODY_START.len()..BODY_START.len() + self.stamp_bytes] {
            *byte = STAMP[(rest % 64) as usize];
            rest /= 64;
        }
        body.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_exactly_the_payload_and_differ() {
        for payload in [1, 5, 6, 100, 1_000_000] {
            let bodies = Bodies::new(payload, 7);
            let data = |request| -> String {
                let json: serde_json::Value = serde_json::from_slice(&bodies.body(request)).unwrap();
                json["data"].as_str().unwrap().to_string()
            };
            assert_eq!(data(0).len(), payload);
            assert_ne!(data(0), data(1));
            assert_eq!(data(3), data(3));
        }
        assert_ne!(Bodies::new(100, 1).body(0), Bodies::new(100, 2).body(0));
    }
}

//! The link of a client with a key of its own to a node: one long `POST` over HTTP/1.1, whose
//! body is a stream of the client's frames, and whose answer is a stream of the node's.
//!
//! A frame is the payload's length as a little-endian `u32`, then the postcard bytes of a
//! [`FromClient`] or [`FromNode`]. The node's first frame is a challenge, and the client's
//! first shows that it has the client's key: nobody else gets its replies or uses up its
//! links. What the other frames hold is signed by whom it is from, so that the link need
//! not be trusted.

use kernel::{Bundle, Claim, ClusterId, MAX_BUNDLE_BYTES, ReplicaId, ReplyBundle, Signature, Signer};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The path of the request.
pub const PATH: &str = "/client";
/// Header of the request: the cluster that the client means, in hexadecimal.
pub const CLUSTER_HEADER: &str = "x-cluster";
/// Header of the request: the client's id.
pub const CLIENT_HEADER: &str = "x-client";
/// The content type of both streams.
pub const CONTENT_TYPE: &str = "application/octet-stream";
/// The largest payload of a client's frame, in bytes: a bundle fits in.
pub const MAX_CLIENT_FRAME_BYTES: usize = MAX_BUNDLE_BYTES + 1024;
/// The largest payload of a node's frame, in bytes.
pub const MAX_NODE_FRAME_BYTES: usize = 64 << 20;

const HEADER_BYTES: usize = 4;

/// A number that is used once.
pub type Nonce = [u8; 32];

/// What a client shows to a node that wants to know who it is.
#[derive(Clone, Copy, Debug)]
pub struct Introduction {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node: what is shown to one is worth nothing to another.
    pub node: ReplicaId,
    /// The client.
    pub client: ReplicaId,
    /// The node's number for this link.
    pub nonce: Nonce,
}

impl Introduction {
    /// Signs it as the client.
    pub fn sign(&self, signer: &Signer) -> Signature {
        signer.sign(&self.statement())
    }

    /// The signature to be checked.
    pub fn claim(&self, signature: Signature) -> Claim {
        Claim { author: self.client, bytes: self.statement(), signature }
    }

    fn statement(&self) -> Vec<u8> {
        let Introduction { cluster, node, client, nonce } = self;
        let domain = b"client-link/1".as_slice();
        [domain, &cluster.0, &node.0.to_le_bytes(), &client.0.to_le_bytes(), nonce].concat()
    }
}

/// What a client sends. `B` is a reference where it is only written.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum FromClient<B = Bundle> {
    /// The first frame: [`Introduction::sign`] of the node's challenge.
    Introduction(Signature),
    /// Requests, signed by the client.
    Requests(B),
}

/// What a node sends. `R` is a reference where it is only written.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum FromNode<R = ReplyBundle> {
    /// The first frame: what the client is to sign.
    Challenge(Nonce),
    /// Results, signed by a replica: this node's, or another's that it passes on.
    Reply(R),
    /// The node ends the link, and why.
    Ended(String),
}

/// A frame that cannot be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It is too large.
    #[error("a frame of {bytes} bytes is too large; the limit is {most} bytes")]
    Oversized {
        /// Its payload.
        bytes: usize,
        /// The largest that is taken.
        most: usize,
    },
    /// Its bytes mean nothing.
    #[error("a frame cannot be decoded: {0}")]
    Undecodable(String),
}

/// Writes a frame, its length included.
pub fn encode(frame: &impl Serialize, most: usize) -> Result<Vec<u8>, LinkError> {
    let mut bytes = postcard::to_extend(frame, vec![0; HEADER_BYTES])
        .map_err(|error| LinkError::Undecodable(error.to_string()))?;
    let length = bytes.len() - HEADER_BYTES;
    if length > most {
        return Err(LinkError::Oversized { bytes: length, most });
    }
    bytes[..HEADER_BYTES].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(bytes)
}

/// Reads a frame's payload, as [`FrameReader`] cuts it out.
pub fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, LinkError> {
    match postcard::take_from_bytes(payload) {
        Ok((frame, [])) => Ok(frame),
        Ok((_, rest)) => Err(LinkError::Undecodable(format!("{} bytes follow the message", rest.len()))),
        Err(error) => Err(LinkError::Undecodable(error.to_string())),
    }
}

/// A buffer that once held a large frame gives back what is beyond this.
const KEPT_BUFFER_BYTES: usize = 1 << 20;

/// Drops what was read of a buffer, up to `start`, and appends the next bytes of the stream.
pub fn feed(buffer: &mut Vec<u8>, start: &mut usize, bytes: &[u8]) {
    if *start > 0 {
        buffer.drain(..*start);
        *start = 0;
        if buffer.capacity() > KEPT_BUFFER_BYTES {
            buffer.shrink_to(KEPT_BUFFER_BYTES);
        }
    }
    buffer.extend_from_slice(bytes);
}

/// Cuts a stream of bytes into the payloads of its frames.
#[derive(Debug)]
pub struct FrameReader {
    most: usize,
    buffer: Vec<u8>,
    /// Where the first frame not yet returned begins.
    start: usize,
}

impl FrameReader {
    /// A reader at the start of a stream, of frames with so many bytes at most.
    pub fn new(most: usize) -> FrameReader {
        FrameReader { most, buffer: Vec::new(), start: 0 }
    }

    /// Takes in the next bytes of the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        feed(&mut self.buffer, &mut self.start, bytes);
    }

    /// The next complete payload. An error means that the rest of the stream cannot be cut
    /// any more.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, LinkError> {
        let rest = &self.buffer[self.start..];
        let Some(header) = rest.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*header) as usize;
        if length > self.most {
            return Err(LinkError::Oversized { bytes: length, most: self.most });
        }
        let Some(payload) = rest[HEADER_BYTES..].get(..length) else {
            return Ok(None);
        };
        self.start += HEADER_BYTES + length;
        Ok(Some(payload))
    }

    /// Bytes that belong to no complete frame yet.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 100;

    fn ended(text: &str) -> FromNode {
        FromNode::Ended(text.to_owned())
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_the_stream_is_cut() {
        let frames = [ended("one"), ended(""), ended("three")];
        let stream: Vec<u8> = frames.iter().flat_map(|frame| encode(frame, MOST).unwrap()).collect();
        for size in [1, 2, 3, 5, 7, 1_000] {
            let mut reader = FrameReader::new(MOST);
            let mut read = Vec::new();
            for chunk in stream.chunks(size) {
                reader.feed(chunk);
                while let Some(payload) = reader.next_frame().unwrap() {
                    read.push(decode::<FromNode>(payload).unwrap());
                }
            }
            assert_eq!((read.as_slice(), reader.pending()), (frames.as_slice(), 0), "in chunks of {size}");
        }
    }

    #[test]
    fn what_is_too_large_is_neither_written_nor_waited_for() {
        let most = encode(&ended(&"x".repeat(MOST - 2)), MOST).unwrap();
        assert_eq!(most.len(), HEADER_BYTES + MOST);
        let large = LinkError::Oversized { bytes: MOST + 1, most: MOST };
        assert_eq!(encode(&ended(&"x".repeat(MOST - 1)), MOST), Err(large.clone()));
        let mut reader = FrameReader::new(MOST);
        reader.feed(&(MOST as u32).to_le_bytes());
        assert_eq!(reader.next_frame(), Ok(None));
        let mut reader = FrameReader::new(MOST);
        reader.feed(&(MOST as u32 + 1).to_le_bytes());
        assert_eq!(reader.next_frame(), Err(large));
    }

    #[test]
    fn garbage_is_told_from_frames() {
        for garbage in [&[9_u8, 9][..], &[1, 1, b'x', 0], &[]] {
            assert!(matches!(decode::<FromNode>(garbage), Err(LinkError::Undecodable(_))), "{garbage:?}");
        }
    }
}

//! What travels on a peer link: one frame per message.
//!
//! Binary: the payload's length as a little-endian `u32`, then the postcard
//! bytes of a [`Frame`], as on a client's link ([`client::link`]). JSON: one object per line.

use crate::config::Encoding;
use crate::tally::Tally;
use bytes::Bytes;
use client::link::{self, LinkError};
use kernel::ReplyBundle;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The largest payload of a frame, in bytes, with its tag if it has one.
pub const MAX_FRAME_BYTES: usize = 64 << 20;
/// Bytes of a tag.
pub(crate) const TAG_BYTES: usize = 16;

/// What a tag adds to a frame: in JSON, its hexadecimal digits and a space.
pub(crate) const fn added_by_tag(encoding: Encoding) -> usize {
    match encoding {
        Encoding::Binary => TAG_BYTES,
        Encoding::Json => 2 * TAG_BYTES + 1,
    }
}

/// A message between nodes. `R` is a reference where a frame is only written.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Frame<M, R = ReplyBundle> {
    /// Of the protocol.
    Protocol(M),
    /// Results for the receiver's clients.
    Reply {
        /// The results.
        bundle: R,
        /// The votes that the sender has received for the slot by now: for people, and
        /// not signed.
        votes: Tally,
    },
}

/// A frame that cannot be written or read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It is larger than [`MAX_FRAME_BYTES`].
    #[error("a frame of {bytes} bytes is too large; the limit is {MAX_FRAME_BYTES} bytes")]
    Oversized {
        /// Its payload, as far as known.
        bytes: usize,
    },
    /// The stream ended inside it.
    #[error("the stream ended inside a frame, {bytes} bytes after the last complete one")]
    Truncated {
        /// Bytes that belong to no complete frame.
        bytes: usize,
    },
    /// Its bytes mean nothing.
    #[error("a frame cannot be decoded: {0}")]
    Undecodable(String),
    /// The tag that should show that it is the peer's does not hold.
    #[error("the tag of a frame does not hold; open another link, with new keys")]
    BadTag,
}

impl FrameError {
    /// The name under which it is counted.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            FrameError::Oversized { .. } => "oversized frame",
            FrameError::Truncated { .. } => "truncated frame",
            FrameError::Undecodable(_) => "undecodable frame",
            FrameError::BadTag => "bad tag",
        }
    }
}

impl From<LinkError> for FrameError {
    fn from(error: LinkError) -> FrameError {
        match error {
            LinkError::Oversized { bytes, .. } => FrameError::Oversized { bytes },
            LinkError::Undecodable(why) => FrameError::Undecodable(why),
        }
    }
}

/// Writes a frame, its header included.
pub fn encode<M: Serialize>(
    frame: &Frame<&M, &ReplyBundle>,
    encoding: Encoding,
) -> Result<Bytes, FrameError> {
    let bytes = match encoding {
        // What is too large is refused below.
        Encoding::Binary => link::encode(frame, usize::MAX)?,
        Encoding::Json => {
            let mut bytes =
                serde_json::to_vec(frame).map_err(|error| FrameError::Undecodable(error.to_string()))?;
            bytes.push(b'\n');
            bytes
        }
    };
    if bytes.len() + added_by_tag(encoding) > MAX_FRAME_BYTES {
        return Err(FrameError::Oversized { bytes: bytes.len() });
    }
    Ok(bytes.into())
}

/// Reads a frame's payload, as [`FrameReader`] cuts it out.
pub fn decode<M: DeserializeOwned>(payload: &[u8], encoding: Encoding) -> Result<Frame<M>, FrameError> {
    match encoding {
        Encoding::Binary => Ok(link::decode(payload)?),
        Encoding::Json => {
            serde_json::from_slice(payload).map_err(|error| FrameError::Undecodable(error.to_string()))
        }
    }
}

/// Cuts a stream of bytes into the payloads of its frames.
#[derive(Debug)]
pub struct FrameReader(Cut);

#[derive(Debug)]
enum Cut {
    Counted(link::FrameReader),
    Lines(Lines),
}

impl FrameReader {
    /// A reader at the start of a stream.
    pub fn new(encoding: Encoding) -> FrameReader {
        FrameReader(match encoding {
            Encoding::Binary => Cut::Counted(link::FrameReader::new(MAX_FRAME_BYTES)),
            Encoding::Json => Cut::Lines(Lines::default()),
        })
    }

    /// How the payloads are written.
    pub fn encoding(&self) -> Encoding {
        match self.0 {
            Cut::Counted(_) => Encoding::Binary,
            Cut::Lines(_) => Encoding::Json,
        }
    }

    /// Takes in the next bytes of the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Cut::Counted(reader) => reader.feed(bytes),
            Cut::Lines(lines) => lines.feed(bytes),
        }
    }

    /// The next complete payload. An error means that the rest of the stream
    /// cannot be cut any more.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        match &mut self.0 {
            Cut::Counted(reader) => Ok(reader.next_frame()?),
            Cut::Lines(lines) => lines.next_line(),
        }
    }

    /// Bytes that belong to no complete frame yet.
    pub fn pending(&self) -> usize {
        match &self.0 {
            Cut::Counted(reader) => reader.pending(),
            Cut::Lines(lines) => lines.pending(),
        }
    }
}

/// Cuts a stream into lines.
#[derive(Debug, Default)]
struct Lines {
    buffer: Vec<u8>,
    /// Where the first line not yet returned begins.
    start: usize,
    /// No line end before here.
    scanned: usize,
}

impl Lines {
    fn feed(&mut self, bytes: &[u8]) {
        self.scanned = self.scanned.saturating_sub(self.start);
        link::feed(&mut self.buffer, &mut self.start, bytes);
    }

    fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    fn next_line(&mut self) -> Result<Option<&[u8]>, FrameError> {
        loop {
            let from = self.scanned.max(self.start);
            let Some(length) = self.buffer[from..].iter().position(|byte| *byte == b'\n') else {
                self.scanned = self.buffer.len();
                return match self.pending() {
                    bytes if bytes > MAX_FRAME_BYTES => Err(FrameError::Oversized { bytes }),
                    _ => Ok(None),
                };
            };
            let line = self.start..from + length;
            self.start = line.end + 1;
            // Empty lines keep a connection alive and mean nothing.
            if !self.buffer[line.clone()].trim_ascii().is_empty() {
                return Ok(Some(&self.buffer[line]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{ReplicaId, Seq, Signature, View};

    const VOTES: Tally = Tally { correct: 3, corrupt: 1 };

    fn reply() -> ReplyBundle {
        ReplyBundle {
            view: View(1),
            seq: Seq(300),
            replica: ReplicaId(2),
            gateway: ReplicaId(0),
            bundles: vec![],
            replies: vec![],
            signature: Signature([7; 64]),
        }
    }

    fn stream(encoding: Encoding) -> Vec<u8> {
        let words = ["one".to_owned(), "two\nlines".to_owned(), String::new()];
        let mut stream = Vec::new();
        for word in &words {
            stream.extend(encode(&Frame::Protocol(word), encoding).unwrap());
        }
        stream.extend(encode::<String>(&Frame::Reply { bundle: &reply(), votes: VOTES }, encoding).unwrap());
        stream
    }

    fn read(reader: &mut FrameReader) -> Vec<Frame<String>> {
        let encoding = reader.encoding();
        let mut frames = Vec::new();
        while let Some(payload) = reader.next_frame().unwrap() {
            frames.push(decode(payload, encoding).unwrap());
        }
        frames
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_the_stream_is_cut() {
        for encoding in [Encoding::Binary, Encoding::Json] {
            let expected = vec![
                Frame::Protocol("one".to_owned()),
                Frame::Protocol("two\nlines".to_owned()),
                Frame::Protocol(String::new()),
                Frame::Reply { bundle: reply(), votes: VOTES },
            ];
            for size in [1, 2, 3, 5, 17, 10_000] {
                let mut reader = FrameReader::new(encoding);
                let mut frames = Vec::new();
                for chunk in stream(encoding).chunks(size) {
                    reader.feed(chunk);
                    frames.extend(read(&mut reader));
                }
                assert_eq!(frames, expected, "{encoding:?} in chunks of {size}");
                assert_eq!(reader.pending(), 0);
            }
        }
    }

    #[test]
    fn the_binary_form_is_length_variant_and_content() {
        let bytes = encode(&Frame::Protocol(&"ab".to_owned()), Encoding::Binary).unwrap();
        assert_eq!(bytes[..], [4, 0, 0, 0, 0, 2, b'a', b'b']);
        let line = encode(&Frame::Protocol(&"ab".to_owned()), Encoding::Json).unwrap();
        assert_eq!(line[..], *b"{\"Protocol\":\"ab\"}\n");
    }

    #[test]
    fn a_truncated_stream_leaves_bytes_pending() {
        for encoding in [Encoding::Binary, Encoding::Json] {
            let whole = stream(encoding);
            let mut reader = FrameReader::new(encoding);
            reader.feed(&whole[..whole.len() - 1]);
            assert_eq!(read(&mut reader).len(), 3);
            assert!(reader.pending() > 0);
        }
    }

    #[test]
    fn an_oversized_length_is_an_error_before_any_payload_came() {
        let mut reader = FrameReader::new(Encoding::Binary);
        let length = MAX_FRAME_BYTES + 1;
        reader.feed(&(length as u32).to_le_bytes());
        assert_eq!(reader.next_frame(), Err(FrameError::Oversized { bytes: length }));

        let mut reader = FrameReader::new(Encoding::Binary);
        reader.feed(&(MAX_FRAME_BYTES as u32).to_le_bytes());
        assert_eq!(reader.next_frame(), Ok(None), "the limit itself is allowed");
    }

    #[test]
    fn an_endless_line_is_oversized() {
        let mut reader = FrameReader::new(Encoding::Json);
        reader.feed(&vec![b'x'; MAX_FRAME_BYTES]);
        assert_eq!(reader.next_frame(), Ok(None));
        reader.feed(b"x");
        let bytes = MAX_FRAME_BYTES + 1;
        assert_eq!(reader.next_frame(), Err(FrameError::Oversized { bytes }));
    }

    #[test]
    fn garbage_is_undecodable_and_the_next_frame_is_still_found() {
        let mut bytes = vec![3, 0, 0, 0, 9, 9, 9];
        bytes.extend(encode(&Frame::Protocol(&"ok".to_owned()), Encoding::Binary).unwrap());
        let mut reader = FrameReader::new(Encoding::Binary);
        reader.feed(&bytes);
        let garbage = decode::<String>(reader.next_frame().unwrap().unwrap(), Encoding::Binary);
        assert!(matches!(garbage, Err(FrameError::Undecodable(_))), "{garbage:?}");
        assert_eq!(read(&mut reader), [Frame::Protocol("ok".to_owned())]);

        let trailing = decode::<String>(&[0, 1, b'a', 0], Encoding::Binary);
        assert!(matches!(trailing, Err(FrameError::Undecodable(_))), "{trailing:?}");
        let json = decode::<String>(b"{\"Protocol\": 3}", Encoding::Json);
        assert!(matches!(json, Err(FrameError::Undecodable(_))), "{json:?}");
    }
}

//! Tags on the frames of a peer link, in flows whose messages have no signatures (`pbft-mac`): a keyed hash of each frame and of its number
//! on the link, under a key that only the two ends have. The key comes of an exchange (X25519) that the
//! handshake signs, and is good for one connection. A frame that was changed, left out, sent again, meant for another node or made with
//! an old key has no tag that holds.

use super::frame::TAG_BYTES;
use super::handshake::{LinkIdentity, Share, Transcript};
use crate::config::Encoding;
use bytes::Bytes;
use kernel::Digest;
use std::fmt;
use std::time::{Duration, Instant};
use x25519_dalek::{EphemeralSecret, PublicKey};

/// A connection gets new keys after so long, and up to half as long again, with the next frame: not all links of a cluster
/// at the same time,
const RENEW_AFTER: Duration = Duration::from_secs(3600);
/// and after so many frames.
const RENEW_AFTER_FRAMES: u64 = 1 << 32;

/// The secret half, for one connection.
pub(crate) struct Secret(EphemeralSecret);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

impl Secret {
    /// A new one, and what the other end gets of it.
    pub(crate) fn new() -> (Secret, Share) {
        let secret = EphemeralSecret::random_from_rng(&mut rand::rng());
        let share = PublicKey::from(&secret).to_bytes();
        (Secret(secret), share)
    }

    /// What makes and checks the tags on this connection. None if the other end's share is one with which everybody
    /// would know the key.
    pub(crate) fn tags(
        self,
        others: Share,
        (identity, transcript): (&LinkIdentity, &Transcript),
        encoding: Encoding,
    ) -> Option<Tags> {
        let shared = self.0.diffie_hellman(&PublicKey::from(others));
        shared
            .was_contributory()
            .then(|| Tags::new(identity.session_key(transcript, shared.as_bytes()), encoding))
    }
}

/// Makes the tags of one direction of one connection, or checks them.
pub struct Tags {
    key: [u8; 32],
    encoding: Encoding,
    frames: u64,
    ends: Instant,
    most_frames: u64,
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tags(after {} frames)", self.frames)
    }
}

impl Tags {
    /// Those of the first frame on, under a key that nobody else has.
    pub fn new(key: [u8; 32], encoding: Encoding) -> Tags {
        Tags {
            key,
            encoding,
            frames: 0,
            ends: Instant::now() + RENEW_AFTER.mul_f64(1.0 + 0.5 * rand::random::<f64>()),
            most_frames: RENEW_AFTER_FRAMES,
        }
    }

    fn next(&mut self, content: &[u8]) -> [u8; TAG_BYTES] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&self.frames.to_le_bytes()).update(content);
        self.frames += 1;
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&hasher.finalize().as_bytes()[..TAG_BYTES]);
        tag
    }

    /// What goes before a frame, as [`encode`](super::frame::encode) made it, instead of its first bytes, of which so many are left out.
    pub fn head(&mut self, frame: &[u8]) -> (Bytes, usize) {
        match self.encoding {
            // The length counts the tag.
            Encoding::Binary => {
                let content = &frame[LENGTH_BYTES..];
                let tag = self.next(content);
                let length = (content.len() + TAG_BYTES) as u32;
                ([&length.to_le_bytes()[..], &tag].concat().into(), LENGTH_BYTES)
            }
            Encoding::Json => {
                let tag = self.next(frame.trim_ascii_end());
                (format!("{} ", hex(&tag)).into(), 0)
            }
        }
    }

    /// The content of a frame that came, if its tag holds.
    pub fn open<'a>(&mut self, payload: &'a [u8]) -> Option<&'a [u8]> {
        let (tag, content) = match self.encoding {
            Encoding::Binary => payload.split_at_checked(TAG_BYTES)?,
            Encoding::Json => {
                let (tag, rest) = payload.split_at_checked(2 * TAG_BYTES)?;
                (tag, rest.strip_prefix(b" ")?.trim_ascii_end())
            }
        };
        let expected = self.next(content);
        let holds = match self.encoding {
            Encoding::Binary => blake3::Hash::from_bytes(padded(&expected)) == padded(tag),
            Encoding::Json => {
                let mut digits = [0; 2 * TAG_BYTES];
                digits.copy_from_slice(hex(&expected).as_bytes());
                blake3::Hash::from_bytes(digits) == <[u8; 2 * TAG_BYTES]>::try_from(tag).ok()?
            }
        };
        holds.then_some(content)
    }

    /// Whether the connection is due for new keys.
    pub(crate) fn are_expired(&self) -> bool {
        self.frames >= self.most_frames || Instant::now() >= self.ends
    }
}

/// The length before a binary frame.
const LENGTH_BYTES: usize = 4;

/// For a comparison that takes the same time wherever the two differ, as that of [`blake3::Hash`] does.
fn padded(tag: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..TAG_BYTES].copy_from_slice(tag);
    bytes
}

fn hex(tag: &[u8; TAG_BYTES]) -> String {
    Digest(padded(tag)).to_string()[..2 * TAG_BYTES].to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::links::frame::{Frame, FrameReader, added_by_tag, decode, encode};
    use crate::links::handshake::tests::{identity, transcript};

    /// What both ends of a connection have, which expires after so many frames.
    pub(crate) fn both_ends(encoding: Encoding, most_frames: u64) -> [Tags; 2] {
        let (opener, openers) = Secret::new();
        let (acceptor, acceptors) = Secret::new();
        let transcript = Transcript { shares: Some([openers, acceptors]), ..transcript() };
        let (one, other) = (identity(1, 0, b"x"), identity(2, 0, b"x"));
        let ends = [
            opener.tags(acceptors, (&one, &transcript), encoding),
            acceptor.tags(openers, (&other, &transcript), encoding),
        ];
        ends.map(|tags| Tags { most_frames, ..tags.expect("both are honest") })
    }

    fn frame(word: &str, encoding: Encoding) -> Bytes {
        encode(&Frame::Protocol(&word.to_owned()), encoding).unwrap()
    }

    pub(crate) fn with_tag(tags: &mut Tags, frame: &[u8]) -> Vec<u8> {
        let (head, left_out) = tags.head(frame);
        [&head, &frame[left_out..]].concat()
    }

    /// What the acceptor reads; none where a tag does not hold.
    fn read(tags: &mut Tags, stream: &[u8], encoding: Encoding) -> Vec<Option<Frame<String>>> {
        let mut reader = FrameReader::new(encoding);
        reader.feed(stream);
        let mut frames = Vec::new();
        while let Some(payload) = reader.next_frame().unwrap() {
            frames.push(tags.open(payload).map(|content| decode(content, encoding).unwrap()));
        }
        frames
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        for encoding in [Encoding::Binary, Encoding::Json] {
            let [mut opener, mut acceptor] = both_ends(encoding, 9);
            let words = ["one", "two\nlines", ""];
            let stream: Vec<u8> =
                words.iter().flat_map(|word| with_tag(&mut opener, &frame(word, encoding))).collect();
            let expected = words.map(|word| Some(Frame::Protocol(word.to_owned())));
            assert_eq!(read(&mut acceptor, &stream, encoding), expected);
            let added = stream.len() - words.map(|word| frame(word, encoding).len()).iter().sum::<usize>();
            assert_eq!(added, 3 * added_by_tag(encoding));
        }
    }

    #[test]
    fn what_was_changed_repeated_left_out_or_is_of_another_connection_has_no_tag_that_holds() {
        for encoding in [Encoding::Binary, Encoding::Json] {
            let [mut opener, _] = both_ends(encoding, 9);
            let frames = ["one", "two"].map(|word| with_tag(&mut opener, &frame(word, encoding)));
            let refused = |stream: &[u8], place: usize| {
                // The same keys once more, as they are at the first frame.
                let mut acceptor = Tags { frames: 0, ..opener };
                let read = read(&mut acceptor, stream, encoding);
                assert_eq!(read[place], None, "{encoding:?}: {read:?}");
            };
            let [one, two] = &frames;
            for place in [one.len() - 2, LENGTH_BYTES + 1] {
                let mut changed = one.clone();
                changed[place] ^= 1;
                refused(&changed, 0);
            }
            refused(&[&one[..], one].concat(), 1);
            refused(two, 0);
            let [mut other, _] = both_ends(encoding, 9);
            refused(&with_tag(&mut other, &frame("one", encoding)), 0);
            refused(&frame("one, without any tag at all", encoding), 0);
            refused(&frame("", encoding), 0);
        }
    }

    #[test]
    fn the_key_is_of_one_transcript_and_nobody_can_choose_it() {
        let (opener, openers) = Secret::new();
        let (_, acceptors) = Secret::new();
        let with = Transcript { shares: Some([openers, acceptors]), ..transcript() };
        let key = identity(1, 0, b"x").session_key(&with, &[7; 32]);
        assert_eq!(identity(2, 0, b"x").session_key(&with, &[7; 32]), key, "both ends have it");
        let other = Transcript { opener_nonce: [9; 32], ..with };
        assert_ne!(identity(1, 0, b"x").session_key(&other, &[7; 32]), key);
        assert_ne!(identity(1, 0, b"x").session_key(&with, &[8; 32]), key);
        assert_ne!(identity(1, 1, b"x").session_key(&with, &[7; 32]), key, "another cluster");
        let weak = opener.tags([0; 32], (&identity(1, 0, b"x"), &with), Encoding::Binary);
        assert!(weak.is_none(), "everybody would know the key");
    }

    #[test]
    fn keys_expire() {
        let [mut opener, _] = both_ends(Encoding::Binary, 2);
        for is_expired in [false, false, true] {
            assert_eq!(opener.are_expired(), is_expired);
            opener.head(&frame("one", Encoding::Binary));
        }
        assert_eq!(format!("{opener:?}"), "Tags(after 3 frames)", "the key is not shown");
    }
}

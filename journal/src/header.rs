//! The first line of every file: whose it is.

use kernel::Micros;
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

/// The format that this program writes. A reader takes no other.
pub const VERSION: u32 = 2;

/// Which build of the program this is: its version, and a digest of the sources that decide what a replica makes of an
/// input. What one build made of an entry, another may not.
pub const PROGRAM: &str = concat!(env!("CARGO_PKG_VERSION"), "+", env!("SOURCES_DIGEST"));

/// The longest first line.
pub(crate) const MOST_BYTES: usize = 4096;
const CHECKSUM_DIGITS: usize = 16;

/// Whose journal it is. A folder of another identity is not this replica's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The cluster's id, in hexadecimal digits.
    pub cluster: String,
    /// The flow.
    pub protocol: String,
    /// What is replicated.
    pub app: String,
    /// Replicas.
    pub n: u16,
    /// Clients with keys of their own.
    pub clients: u16,
    /// The replica.
    pub node: u16,
    /// A digest of all that the replica was made with: what it does with an input depends on it.
    pub settings: String,
}

/// A moment on two clocks: for people, who want to see what several nodes did beside each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct When {
    /// Microseconds since 1970, by the machine's clock.
    pub unix_us: u64,
    /// The time that the replica was lent then.
    pub elapsed: Micros,
}

impl When {
    /// Now, when the replica is lent this time.
    pub fn now(elapsed: Micros) -> When {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        When { unix_us: u64::try_from(since.as_micros()).unwrap_or(u64::MAX), elapsed }
    }

    /// This moment; if the machine's clock was set back since an earlier one, as if it had gone on from there.
    pub fn not_before(self, earlier: When) -> When {
        let passed = self.elapsed.0.saturating_sub(earlier.elapsed.0);
        When { unix_us: self.unix_us.max(earlier.unix_us.saturating_add(passed)), ..self }
    }
}

/// What a file is, and whose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// See [`VERSION`].
    pub journal: u32,
    /// Which build of the program wrote it, see [`PROGRAM`].
    pub program: String,
    /// Files of inputs and of the replica that are numbered alike belong together: the inputs are
    /// what the replica was given since.
    pub generation: u64,
    /// When the file was begun.
    #[serde(flatten)]
    pub began: When,
    /// Where the file of inputs before this one ends, if there is one: what it has lost since is noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<u64>,
    /// A random number: what a client asks for is written as well, and must not pass for a batch.
    pub salt: u64,
    /// Whose it is.
    #[serde(flatten)]
    pub identity: Identity,
}

/// A first line that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    /// It is not there.
    #[error("it does not begin with the line that each file of a journal begins with")]
    None,
    /// It was changed after it was written.
    #[error("its first line is damaged")]
    Damaged,
    /// Another program wrote it.
    #[error(
        "it has format {0}, and this program reads and writes format {VERSION}: use the program that wrote it"
    )]
    Version(u64),
    /// It is not this replica's.
    #[error("it is the journal of another {what}: {theirs}, and this is {own}. {way_out}")]
    Other {
        /// What differs.
        what: &'static str,
        /// What to do.
        way_out: &'static str,
        /// As the file says.
        theirs: String,
        /// As it should be.
        own: String,
    },
}

impl Header {
    /// The header of a file that is begun now.
    pub fn new(identity: Identity, generation: u64, began: When, salt: u64) -> Header {
        let program = PROGRAM.to_owned();
        Header { journal: VERSION, program, generation, began, follows: None, salt, identity }
    }

    /// The line: the header, a tabulator, a checksum in hexadecimal digits, and its end. All that follows in the file
    /// depends on it, and damage to it must not pass for a file without anything behind it.
    pub fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("a header is plain data");
        let checksum = blake3::hash(&line).to_hex();
        line.extend_from_slice(format!("\t{}\n", &checksum[..CHECKSUM_DIGITS]).as_bytes());
        line
    }

    /// Reads the first line; returns where the rest begins as well. None if there is no whole line: a file that was
    /// begun when power was lost.
    ///
    /// # Errors
    ///
    /// If the line is no header, or one of another version.
    pub fn read(bytes: &[u8]) -> Result<Option<(Header, usize)>, BadHeader> {
        let Some(end) = bytes.iter().take(MOST_BYTES).position(|byte| *byte == b'\n') else {
            return if bytes.len() < MOST_BYTES { Ok(None) } else { Err(BadHeader::None) };
        };
        let line = &bytes[..end];
        let tabulator = line.iter().position(|byte| *byte == b'\t').unwrap_or(end);
        let (header, checksum) = (&line[..tabulator], line.get(tabulator + 1..).unwrap_or_default());
        let line: serde_json::Value = serde_json::from_slice(header).map_err(|_| BadHeader::None)?;
        match line.get("journal").and_then(serde_json::Value::as_u64) {
            None => return Err(BadHeader::None),
            Some(version) if version != u64::from(VERSION) => return Err(BadHeader::Version(version)),
            Some(_) => {}
        }
        if blake3::hash(header).to_hex().as_bytes()[..CHECKSUM_DIGITS] != *checksum {
            return Err(BadHeader::Damaged);
        }
        let header = serde_json::from_value(line).map_err(|_| BadHeader::None)?;
        Ok(Some((header, end + 1)))
    }

    /// Whether the file is that of this identity.
    ///
    /// # Errors
    ///
    /// With what differs.
    pub fn check(&self, own: &Identity) -> Result<(), BadHeader> {
        let theirs = &self.identity;
        let start_as_before = "Start the cluster as it was started before, or give it a folder of its own";
        let exchanged = "Folders were exchanged: give each node its own";
        let settings = "A setting differs, such as a wait or the size of batches: start it with those of before, or give it a \
                        folder of its own";
        // The id of a cluster follows from its protocol, among other things.
        let differences = [
            ("protocol", &theirs.protocol, &own.protocol, start_as_before),
            ("application", &theirs.app, &own.app, start_as_before),
            ("number of nodes", &theirs.n.to_string(), &own.n.to_string(), start_as_before),
            ("number of clients", &theirs.clients.to_string(), &own.clients.to_string(), start_as_before),
            ("cluster", &theirs.cluster, &own.cluster, start_as_before),
            ("node", &theirs.node.to_string(), &own.node.to_string(), exchanged),
            ("configuration", &theirs.settings, &own.settings, settings),
        ];
        match differences.into_iter().find(|(_, theirs, own, _)| theirs != own) {
            None => Ok(()),
            Some((what, theirs, own, way_out)) => {
                Err(BadHeader::Other { what, way_out, theirs: theirs.clone(), own: own.clone() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_on_both_clocks() {
        let unix_us = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
        let before = unix_us();
        let now = When::now(Micros(7));
        assert!((before..=unix_us()).contains(&now.unix_us));
        assert_eq!(now.elapsed, Micros(7));
    }

    #[test]
    fn a_first_line_without_an_end_is_one_that_was_being_written_unless_it_is_too_long() {
        assert_eq!(Header::read(&[b'x'; MOST_BYTES - 1]), Ok(None));
        assert_eq!(Header::read(&[b'x'; MOST_BYTES]), Err(BadHeader::None));
    }

    #[test]
    fn a_clock_that_is_set_back_goes_on_from_the_latest_moment() {
        let began = When { unix_us: 5_000, elapsed: Micros(100) };
        let later = |unix_us| When { unix_us, elapsed: Micros(140) }.not_before(began).unix_us;
        assert_eq!((later(9_000), later(5_040), later(5_039), later(0)), (9_000, 5_040, 5_040, 5_040));
    }
}

//! The session table: the last request of every client session, and what became of it.
//! It is part of the state that replicas agree on.

use kernel::{CachedChunks, Chunk, Output, ReplicaId, SESSIONS_KEPT, Seq};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Sessions whose numbers differ in the lowest bits only share a page, which is what is
/// written anew at a checkpoint when one of them has changed.
const PAGE_BITS: u32 = 8;

/// The last request of a session, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) counter: u64,
    pub(crate) seq: Seq,
    pub(crate) result: Output,
}

/// The sessions of all gateways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Sessions {
    gateways: BTreeMap<ReplicaId, Gateway>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Gateway {
    sessions: usize,
    /// By the upper bits of the session numbers.
    pages: BTreeMap<u64, Page>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Page {
    /// By session number.
    answers: BTreeMap<u64, Answer>,
    chunks: CachedChunks,
}

fn page_of(session: u64) -> u64 {
    session >> PAGE_BITS
}

impl Sessions {
    /// The last answer of a session.
    pub(crate) fn get(&self, gateway: ReplicaId, session: u64) -> Option<&Answer> {
        self.gateways.get(&gateway)?.pages.get(&page_of(session))?.answers.get(&session)
    }

    /// Whether a session is not among those kept of a gateway that has too many, as its
    /// number is lower than all of theirs. What it asks may be a replay.
    pub(crate) fn is_forgotten(&self, gateway: ReplicaId, session: u64) -> bool {
        self.gateways.get(&gateway).is_some_and(|gateway| {
            let oldest = gateway.pages.values().next().and_then(|page| page.answers.first_key_value());
            gateway.sessions >= SESSIONS_KEPT && oldest.is_some_and(|(oldest, _)| session < *oldest)
        })
    }

    /// Takes note of the answer to a session's newest request.
    pub(crate) fn insert(&mut self, gateway: ReplicaId, session: u64, answer: Answer) {
        let gateway = self.gateways.entry(gateway).or_default();
        let page = gateway.pages.entry(page_of(session)).or_default();
        page.chunks.clear();
        if page.answers.insert(session, answer).is_none() {
            gateway.sessions += 1;
        }
    }

    /// Forgets the oldest sessions of a gateway that has more than are kept, on all
    /// replicas alike.
    pub(crate) fn forget_oldest(&mut self, gateway: ReplicaId) {
        let Some(gateway) = self.gateways.get_mut(&gateway) else {
            return;
        };
        while gateway.sessions > SESSIONS_KEPT
            && let Some(mut oldest) = gateway.pages.first_entry()
        {
            let page = oldest.get_mut();
            page.chunks.clear();
            page.answers.pop_first();
            gateway.sessions -= 1;
            if page.answers.is_empty() {
                oldest.remove();
            }
        }
    }

    /// Forgets all sessions.
    pub(crate) fn clear(&mut self) {
        self.gateways.clear();
    }

    /// All sessions in chunks; only pages that have changed are written anew.
    pub(crate) fn snapshot(&mut self) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        for (gateway, of_gateway) in &mut self.gateways {
            for page in of_gateway.pages.values_mut() {
                let written = page.chunks.get_or_write(|| {
                    let fields = (gateway, &page.answers);
                    Chunk::cut(&postcard::to_stdvec(&fields).expect("sessions are plain data"))
                });
                chunks.extend_from_slice(written);
            }
        }
        chunks
    }

    /// The sessions that these chunks hold; none if they hold none.
    pub(crate) fn restore(chunks: &[Chunk]) -> Option<Sessions> {
        let bytes: Vec<u8> = chunks.iter().flat_map(Chunk::bytes).copied().collect();
        let mut rest = bytes.as_slice();
        let mut sessions = Sessions::default();
        while !rest.is_empty() {
            let (gateway, answers): (ReplicaId, BTreeMap<u64, Answer>);
            ((gateway, answers), rest) = postcard::take_from_bytes(rest).ok()?;
            for (session, answer) in answers {
                sessions.insert(gateway, session, answer);
            }
        }
        Some(sessions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(counter: u64, result: &[u8]) -> Answer {
        Answer { counter, seq: Seq(counter + 1), result: Output::new(result) }
    }

    fn filled(sessions: u64) -> Sessions {
        let mut table = Sessions::default();
        for session in 0..sessions {
            table.insert(ReplicaId((session % 3) as u16), session, answer(session, b"result"));
        }
        table
    }

    #[test]
    fn what_is_written_is_read_and_written_alike() {
        let mut table = filled(2000);
        table.insert(ReplicaId(3), 7, answer(1, &[5; 3 * Chunk::MOST_BYTES]));
        let chunks = table.snapshot();
        let mut restored = Sessions::restore(&chunks).unwrap();
        assert_eq!(restored, table);
        assert_eq!(restored.snapshot(), chunks);
        assert_eq!(restored.get(ReplicaId(1), 4), Some(&answer(4, b"result")));
        assert_eq!(restored.get(ReplicaId(2), 4), None);
        assert_eq!(Sessions::restore(&chunks[..chunks.len() - 1]), None);
        assert_eq!(Sessions::restore(&[]), Some(Sessions::default()));
    }

    #[test]
    fn only_the_page_that_changed_is_written_anew() {
        let mut table = filled(2048);
        let before = table.snapshot();
        table.insert(ReplicaId(0), 300, answer(900, b"other"));
        let after = table.snapshot();
        assert_eq!(before.len(), after.len());
        assert_eq!(before.iter().zip(&after).filter(|(one, other)| one != other).count(), 1);
        let mut afresh = Sessions::restore(&after).unwrap();
        assert_eq!(afresh.snapshot(), after, "what was kept is what would be written");
    }

    #[test]
    fn a_gateway_with_too_many_sessions_loses_the_oldest() {
        let mut table = Sessions::default();
        for session in 0..SESSIONS_KEPT as u64 + 300 {
            table.insert(ReplicaId(0), session, answer(1, b""));
            table.forget_oldest(ReplicaId(0));
        }
        assert_eq!(table.gateways[&ReplicaId(0)].sessions, SESSIONS_KEPT);
        assert_eq!(table.get(ReplicaId(0), 299), None);
        assert_eq!(table.get(ReplicaId(0), 300), Some(&answer(1, b"")));
        let is_forgotten = |session| table.is_forgotten(ReplicaId(0), session);
        assert_eq!((is_forgotten(299), is_forgotten(300), is_forgotten(1 << 40)), (true, false, false));
        assert!(!filled(300).is_forgotten(ReplicaId(0), 0) && !table.is_forgotten(ReplicaId(1), 0));
        let restored = Sessions::restore(&table.snapshot()).unwrap();
        assert_eq!(restored, table);
    }
}

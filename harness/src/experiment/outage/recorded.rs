//! The history that was recorded during an outage, and what came of judging it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use tokio::task::spawn_blocking;

use crate::history::clients::Clients;
use crate::history::{Judgement, Operation, file, judge};
use crate::results::schema::{NOT_BACK, NOT_JUDGED, VIOLATION};

/// How long the search on one key may take.
const SEARCH_LIMIT: Duration = Duration::from_secs(60);
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A history and its judgement.
#[derive(Debug)]
pub struct Recorded {
    /// What the clients saw.
    pub operations: Vec<Operation>,
    /// Whether that is linearizable.
    pub judgement: Judgement,
}

/// So many clients that ask all these nodes, also while they are killed or cut off.
pub fn clients(count: u32, nodes: &[u16], addresses: &[SocketAddr], seed: u64) -> Clients {
    let nodes = nodes.iter().map(|id| (*id, addresses[usize::from(*id)])).collect();
    Clients { clients: count, nodes, patience: PATIENCE, seed }
}

impl Recorded {
    /// Judges what clients saw.
    ///
    /// # Errors
    /// If the judge itself fails.
    pub async fn judged(operations: Vec<Operation>) -> Result<Recorded> {
        let (operations, judgement) = spawn_blocking(move || {
            let judgement = judge(&operations, SEARCH_LIMIT);
            (operations, judgement)
        })
        .await?;
        Ok(Recorded { operations, judgement })
    }

    /// What is wrong with it, for the run's note.
    pub fn notes(&self) -> Vec<String> {
        let Judgement { operations, unanswered, violations, undetermined, .. } = &self.judgement;
        let mut notes = Vec::new();
        if let Some(first) = violations.first() {
            let answer = &first.around[first.unexplained];
            let answer = answer.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            notes.push(format!(
                "{VIOLATION}: the history is not linearizable on {} keys, the first: {}, which no order explains: {answer}",
                violations.len(),
                first.key
            ));
        }
        if let Some(first) = undetermined.first() {
            notes.push(format!(
                "{NOT_JUDGED}: the search on {} keys took longer than {SEARCH_LIMIT:?}, the first: {first}",
                undetermined.len()
            ));
        }
        if operations == unanswered {
            notes.push(format!("{NOT_BACK}: no client whose history is judged had an answer"));
        }
        notes
    }

    /// Writes the history into a result folder.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, dir: &Path, cell: &str, repetition: u32) -> Result<PathBuf> {
        let path = dir.join(format!("history-{cell}-{repetition}.jsonl"));
        file::write(&path, &self.operations)?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Answer, Call, Returned};

    async fn notes(answers: &[Option<Answer>]) -> Vec<String> {
        let operation = |(at_ns, answer): (u64, &Option<Answer>)| Operation {
            client: 0,
            node: 0,
            key: "k".into(),
            call: Call::Delete,
            called_ns: 2 * at_ns,
            returned: answer.clone().map(|answer| Returned { at_ns: 2 * at_ns + 1, answer }),
        };
        Recorded::judged((0..).zip(answers).map(operation).collect()).await.unwrap().notes()
    }

    #[tokio::test]
    async fn a_run_is_told_what_is_wrong_with_its_history() {
        let deleted = |existed| Some(Answer::Deleted { existed });
        assert_eq!(notes(&[deleted(false), None]).await, Vec::<String>::new());
        let violated = notes(&[deleted(false), deleted(true)]).await;
        assert!(violated.len() == 1 && violated[0].starts_with(VIOLATION), "{violated:?}");
        assert!(
            violated[0].contains("k, which no order explains") && violated[0].ends_with("delete -> deleted")
        );
        for nothing in [&[][..], &[None]] {
            let notes = notes(nothing).await;
            assert!(notes.len() == 1 && notes[0].starts_with(NOT_BACK), "{notes:?}");
        }
    }
}

//! What several participants have to say, put together for one terminal.

use kernel::{Cluster, ReplicaId};

use crate::names::names;

/// Lines of one text each, with those who say it, in the order in which each of them does.
#[derive(Debug, Default)]
pub struct Lines(Vec<(Vec<ReplicaId>, String)>);

impl Lines {
    /// Adds a line of `who`: to the same line of others, if what `who` has said so far
    /// comes before that.
    pub fn add(&mut self, who: ReplicaId, text: String) {
        let after =
            self.0.iter().rposition(|(said_by, _)| said_by.contains(&who)).map_or(0, |place| place + 1);
        match self.0[after..].iter_mut().find(|(_, known)| *known == text) {
            Some((said_by, _)) => said_by.push(who),
            None => self.0.push((vec![who], text)),
        }
    }

    /// Takes all lines, each behind the names of those who say it.
    pub fn take(&mut self, cluster: &Cluster) -> Vec<String> {
        let lines = std::mem::take(&mut self.0).into_iter();
        lines
            .map(|(mut who, text)| {
                who.sort_unstable();
                format!("{}: {text}", names(cluster, &who))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::ClusterId;

    #[test]
    fn the_same_line_of_several_is_one_and_each_keeps_its_order() {
        let cluster = Cluster::new(ClusterId([0; 16]), "pbft", 4);
        let mut lines = Lines::default();
        for (who, text) in [(1, "a"), (1, "b"), (0, "a"), (2, "b"), (2, "a"), (3, "a"), (3, "b")] {
            lines.add(ReplicaId(who), text.into());
        }
        assert_eq!(lines.take(&cluster), ["P0, P1, P3: a", "P1, P2, P3: b", "P2: a"]);
        assert!(lines.take(&cluster).is_empty());
    }
}

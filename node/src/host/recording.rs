//! What is noted of a node that is recorded.

use crate::clock::now_ns;
use crate::config::{LinkConditions, NodeConfig, RecordTo};
use crate::part_file::PartFile;
use kernel::{Falsify, Operation, Reading, Status};
use std::io;
use std::ops::{Deref, DerefMut};
use trace::PartWriter;

/// So much is left for the line that says why a recording ended.
const RESERVE_BYTES: u64 = 1 << 10;

/// The recording of one node. What happens is noted in the part, which is behind `*`, and
/// handed to the file after each iteration of the event loop.
#[derive(Debug)]
pub(super) struct Recording<M: Falsify> {
    part: PartWriter<M>,
    file: PartFile,
    limit_bytes: u64,
    written_bytes: u64,
    links: LinkConditions,
    is_over: bool,
}

impl<M: Falsify> Recording<M> {
    pub(super) fn begin(config: &NodeConfig, to: &RecordTo) -> io::Result<Recording<M>> {
        Ok(Recording {
            part: PartWriter::new(config.id, config.app, now_ns()),
            file: PartFile::create(&to.folder, config.id.0)?,
            limit_bytes: to.limit_bytes.saturating_sub(RESERVE_BYTES),
            written_bytes: 0,
            // What is injected from the start is noted like every change.
            links: LinkConditions::default(),
            is_over: false,
        })
    }

    /// Notes the conditions of the links, if they have changed.
    pub(super) fn links(&mut self, now: &LinkConditions) {
        if *now != self.links {
            self.part.network(now_ns(), &in_words(now));
            self.links = now.clone();
        }
    }

    /// Notes what the replica says of itself and what its application holds, if that may
    /// have changed, and hands over all that was noted. Says whether the recording goes on.
    pub(super) fn hand_over(
        &mut self,
        status: impl FnOnce() -> Status,
        query: impl Fn(&Operation) -> Option<Reading>,
    ) -> bool {
        if self.part.state(now_ns(), status) {
            self.part.contents(now_ns(), query);
        }
        let lines = self.part.take();
        if lines.is_empty() {
            return true;
        }
        self.written_bytes += lines.len() as u64;
        if self.written_bytes > self.limit_bytes {
            let kilobytes = self.limit_bytes / 1_000;
            self.stop(&format!("it has recorded as much as it may, {kilobytes} KB"));
        } else if let Err(error) = self.file.write(lines) {
            self.stop(&error.to_string());
        }
        !self.is_over
    }

    fn stop(&mut self, why: &str) {
        tracing::error!("this node is not recorded any more, and goes on: {why}");
        self.is_over = true;
        self.part.stop(why);
        self.file.write_last(self.part.take());
    }
}

impl<M: Falsify> Drop for Recording<M> {
    fn drop(&mut self) {
        if !self.is_over {
            self.part.end(now_ns());
            // If it cannot be written, the missing end shows it.
            let _ = self.file.write(self.part.take());
        }
    }
}

impl<M: Falsify> Deref for Recording<M> {
    type Target = PartWriter<M>;
    fn deref(&self) -> &PartWriter<M> {
        &self.part
    }
}

impl<M: Falsify> DerefMut for Recording<M> {
    fn deref_mut(&mut self) -> &mut PartWriter<M> {
        &mut self.part
    }
}

fn in_words(links: &LinkConditions) -> String {
    let LinkConditions { delay_us, loss, cut } = links;
    let cut = match cut.as_slice() {
        [] => String::new(),
        peers => {
            let peers: Vec<String> = peers.iter().map(ToString::to_string).collect();
            format!("every message to and from {} is lost", peers.join(", "))
        }
    };
    let loss = if *loss > 0.0 { format!("{:.4} of its messages are lost", loss) } else { String::new() };
    let delay = if *delay_us > 0 { format!("its messages are {delay_us} us late") } else { String::new() };
    let all: Vec<String> = [cut, loss, delay].into_iter().filter(|what| !what.is_empty()).collect();
    if all.is_empty() { "its links are healed".to_owned() } else { all.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::ReplicaId;

    #[test]
    fn the_conditions_of_links_in_words() {
        let links = LinkConditions { delay_us: 500, loss: 0.25, cut: vec![ReplicaId(0), ReplicaId(2)] };
        assert_eq!(
            in_words(&links),
            "every message to and from 0, 2 is lost; 0.2500 of its messages are lost; its messages are 500 us late"
        );
        assert_eq!(in_words(&LinkConditions::default()), "its links are healed");
    }
}

//! A prompt with one participant at it: a terminal for each.

use kernel::{Cluster, ReplicaId};
use pbft::Timer;

use crate::command::{self, Command, Line};
use crate::envelope::Envelope;
use crate::help;
use crate::names::name;
use crate::node::{Out, Setup};
use crate::operation::EXAMPLES;
use crate::participant::{ASKS_FOR_DATA, Answer, Participant};

/// A participant and what it is in the middle of.
#[derive(Clone, Debug)]
pub struct Console {
    cluster: Cluster,
    id: ReplicaId,
    participant: Participant,
    /// A bare `tx` waits for its operation.
    asks: bool,
}

impl Console {
    /// The participant `id`; a replica that lost its memory learns before it votes.
    pub fn new(setup: Setup, id: ReplicaId, recovering: bool) -> Console {
        Console {
            cluster: setup.cluster.clone(),
            id,
            participant: Participant::new(setup, id, recovering),
            asks: false,
        }
    }

    /// What stands before the cursor.
    pub fn prompt(&self) -> String {
        if self.asks { ASKS_FOR_DATA.into() } else { self.participant.prompt(&self.cluster) }
    }

    /// Takes a line that was typed. What it has to say beyond the answer is in
    /// [`Console::take_out`].
    pub fn line(&mut self, typed: &str) -> Answer {
        let asked = std::mem::take(&mut self.asks);
        if asked && typed.trim().is_empty() {
            return Answer::of("nothing is proposed");
        }
        let typed = if asked { format!("tx {}", typed.trim()) } else { typed.to_owned() };
        match command::read(&self.cluster, &typed) {
            Ok(None) => Answer::default(),
            Ok(Some(line)) => self.command(&line),
            Err(wrong) => {
                self.asks = asked;
                Answer::of(wrong)
            }
        }
    }

    fn command(&mut self, Line { who, command }: &Line) -> Answer {
        let other = match command {
            Command::As(id) => Some(id),
            _ => who.iter().find(|id| **id != self.id),
        };
        if let Some(other) = other {
            let (own, other) = (name(&self.cluster, self.id), name(&self.cluster, *other));
            return Answer::of(format!("this terminal is {own}'s; {other} has one of its own"));
        }
        match command {
            Command::Quit => Answer { lines: Vec::new(), quits: true },
            Command::Help(topic) => Answer { lines: help::about(topic.as_deref()), quits: false },
            Command::Tx { operation: None, .. } if self.participant.may_propose() => {
                self.asks = true;
                Answer::of(format!("what is to be proposed? {EXAMPLES}"))
            }
            command => {
                self.participant.act(command);
                Answer::default()
            }
        }
    }

    /// Takes an envelope.
    pub fn receive(&mut self, envelope: Envelope) {
        self.participant.receive(envelope);
    }

    /// A timer ran out.
    pub fn expire(&mut self, timer: Timer) {
        self.participant.expire(timer);
    }

    /// Takes what there is to be done.
    pub fn take_out(&mut self) -> Vec<Out> {
        self.participant.take_out()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::ClusterId;

    fn console(id: u16, first_session: u64, recovering: bool) -> Console {
        let cluster = Cluster::new(ClusterId::derive("demo", 0), "pbft", 4).with_clients(1);
        Console::new(Setup { cluster, seed: 0, first_session }, ReplicaId(id), recovering)
    }

    /// Carries what `from` has for `to`, and returns what `to` says.
    fn carry(from: &mut Console, to: &mut Console) -> Vec<String> {
        for out in from.take_out() {
            if let Out::Envelope(envelope) = out
                && envelope.to == to.id
            {
                to.receive(*envelope);
            }
        }
        let lines = to.take_out().into_iter();
        lines.filter_map(|out| if let Out::Line(line) = out { Some(line) } else { None }).collect()
    }

    #[test]
    fn a_replica_that_is_started_again_as_if_it_were_new_is_told_so_once() {
        for (recovering, times) in [(false, 1), (true, 0)] {
            let (mut commander, mut before) = (console(0, 1, false), console(2, 1, false));
            before.line("progress");
            carry(&mut before, &mut commander);
            let mut again = console(2, 1000, recovering);
            let mut lines = Vec::new();
            for _ in 0..2 {
                commander.line("progress");
                lines.extend(carry(&mut commander, &mut again));
            }
            let told = lines.iter().filter(|line| line.contains("--recovering")).count();
            assert_eq!(told, times, "{lines:#?}");
        }
    }
}

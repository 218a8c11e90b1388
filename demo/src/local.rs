//! The demo in one terminal: all participants in this process, messages that arrive at once
//! and in order.

use std::collections::VecDeque;

use kernel::ReplicaId;
use pbft::Timer;

use crate::command::{self, Command, Line};
use crate::envelope::Envelope;
use crate::help;
use crate::lines::Lines;
use crate::names::name;
use crate::node::{Node, Out, Setup};
use crate::operation;
use crate::participant::{ASKS_FOR_DATA, Answer, Participant};

/// So often replicas send again what may be lost, once one of them is up again: more than
/// the longest way back takes, which is to learn how far the others are, to fetch a state,
/// and to fetch the slots after it.
const ROUNDS: usize = 8;
/// So often, when a replica has lost its memory: slots in which nothing is asked are ordered
/// until it may vote.
const ROUNDS_WITHOUT_MEMORY: usize = 40;

/// All participants and whose turn at the prompt it is.
#[derive(Debug)]
pub struct Local {
    setup: Setup,
    participants: Vec<Participant>,
    current: ReplicaId,
    /// Who gave a bare `tx`.
    asks: Option<Vec<ReplicaId>>,
    lines: Lines,
}

impl Local {
    /// Replicas that know nothing yet, and a client.
    pub fn new(setup: Setup) -> Local {
        let all = (0..=setup.cluster.n).map(ReplicaId);
        let participants = all.map(|id| Participant::new(setup.clone(), id, false)).collect();
        let mut local =
            Local { setup, participants, current: ReplicaId(0), asks: None, lines: Lines::default() };
        local.deliver();
        local
    }

    /// The replicas.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.participants.iter().filter_map(Participant::node)
    }

    /// What stands before the cursor.
    pub fn prompt(&self) -> String {
        match self.asks {
            Some(_) => ASKS_FOR_DATA.into(),
            None => self.participants[usize::from(self.current.0)].prompt(&self.setup.cluster),
        }
    }

    /// Takes a line that was typed.
    pub fn line(&mut self, typed: &str) -> Answer {
        if let Some(who) = self.asks.take() {
            return self.data(typed, who);
        }
        match command::read(&self.setup.cluster, typed) {
            Ok(None) => Answer::default(),
            Ok(Some(line)) => self.command(line),
            Err(wrong) => Answer::of(wrong),
        }
    }

    /// What a bare `tx` asked for.
    fn data(&mut self, typed: &str, who: Vec<ReplicaId>) -> Answer {
        if typed.trim().is_empty() {
            return Answer::of("nothing is proposed");
        }
        match command::read(&self.setup.cluster, &format!("tx {}", typed.trim())) {
            Ok(Some(line)) => self.command(Line { who, ..line }),
            Ok(None) => Answer::default(),
            Err(wrong) => {
                self.asks = Some(who);
                Answer::of(format!("{wrong}; an empty line proposes nothing"))
            }
        }
    }

    fn command(&mut self, Line { who, command }: Line) -> Answer {
        let who = if who.is_empty() { vec![self.current] } else { who };
        match command {
            Command::Quit => return Answer { lines: Vec::new(), quits: true },
            Command::Help(topic) => return Answer { lines: help::about(topic.as_deref()), quits: false },
            Command::As(id) => self.current = id,
            Command::Tx { operation: None, .. } if self.may_propose(&who) => {
                self.asks = Some(who);
                return Answer::of(format!("what is to be proposed? {}", operation::EXAMPLES));
            }
            command => self.act(&who, &command),
        }
        Answer { lines: self.lines.take(&self.setup.cluster), quits: false }
    }

    fn act(&mut self, who: &[ReplicaId], command: &Command) {
        for id in who {
            let lost_memory = self.lost_memory(*id);
            self.participants[usize::from(id.0)].act(command);
            self.deliver();
            if *command == Command::List && *id != self.setup.client() {
                self.list_states(*id);
            }
            if *command == Command::Recover {
                let rounds = if lost_memory { ROUNDS_WITHOUT_MEMORY } else { ROUNDS };
                (0..rounds).for_each(|_| self.send_again());
            }
        }
    }

    fn may_propose(&self, who: &[ReplicaId]) -> bool {
        who.iter().any(|id| self.participants[usize::from(id.0)].may_propose())
    }

    fn lost_memory(&self, id: ReplicaId) -> bool {
        self.participants[usize::from(id.0)].node().is_some_and(Node::has_lost_memory)
    }

    /// What a person who sees all terminals sees.
    fn list_states(&mut self, id: ReplicaId) {
        let states: Vec<String> = self
            .nodes()
            .map(|node| {
                let own = name(&self.setup.cluster, node.id());
                let (view, _) = node.view();
                let state = if node.is_down() { "down".into() } else { format!("view {view}") };
                format!("{own} {state}, executed up to slot {}", node.replica_status().last_executed)
            })
            .collect();
        states.into_iter().for_each(|state| self.lines.add(id, format!("  {state}")));
    }

    /// What would happen as time passes.
    fn send_again(&mut self) {
        for place in 0..self.participants.len() {
            for timer in [Timer::Resend, Timer::Transfer] {
                self.participants[place].expire(timer);
            }
            self.deliver();
        }
    }

    /// Carries envelopes until none is on its way.
    fn deliver(&mut self) {
        let mut envelopes: VecDeque<Envelope> = VecDeque::new();
        loop {
            for place in 0..self.participants.len() {
                for out in self.participants[place].take_out() {
                    match out {
                        Out::Line(line) => self.lines.add(ReplicaId(place as u16), line),
                        Out::Envelope(envelope) => envelopes.push_back(*envelope),
                        Out::SetTimer(..) | Out::CancelTimer(_) => {}
                    }
                }
            }
            let Some(envelope) = envelopes.pop_front() else { return };
            if let Some(participant) = self.participants.get_mut(usize::from(envelope.to.0)) {
                participant.receive(envelope);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{Cluster, ClusterId};

    /// A demo of four replicas in which this was typed.
    fn after(script: &[&str]) -> Local {
        among(4, script)
    }

    fn among(n: u16, script: &[&str]) -> Local {
        let cluster = Cluster::new(ClusterId::derive("demo", 0), "pbft", n).with_clients(1);
        let mut local = Local::new(Setup { cluster, seed: 0, first_session: 1 });
        script.iter().for_each(|typed| drop(local.line(typed)));
        local
    }

    fn executed(local: &Local) -> Vec<u64> {
        local.nodes().map(|node| node.replica_status().last_executed.0).collect()
    }

    const DEPOSIT: &str = "P0: tx account=alice,amount=100,operation=deposit";

    #[test]
    fn a_vote_waits_for_its_person_and_everyone_counts_it_when_it_arrives() {
        let mut local = after(&[DEPOSIT]);
        assert_eq!(
            local.line("P2: prepare yes").lines,
            [
                "P2: sends PREPARE for slot 1: 2/4 (threshold ≥ 3)",
                "P0, P1, P3: PREPARE from P2 for slot 1: 2/4 (threshold ≥ 3)",
            ]
        );
        assert_eq!(
            local.line("P3: ack commit").lines,
            [
                "P3: cannot send COMMIT for slot 1: it is not prepared here (PREPARE 2/4 (threshold ≥ 3), and its own must be among them, §4.2)"
            ]
        );
        assert_eq!(executed(&local), [0; 4]);
    }

    #[test]
    fn one_no_in_four_still_decides_and_two_do_not() {
        let one_no = [DEPOSIT, "P3: prepare no", "P1,P2: prepare yes", "P0,P1,P2: ack commit"];
        // The one that said no executes what the others decided.
        assert_eq!(executed(&after(&one_no)), [1; 4]);
        let two = [DEPOSIT, "P2,P3: prepare no", "P1: prepare yes", "all: ack commit", "all: progress"];
        assert_eq!(executed(&after(&two)), [0; 4]);
        let abort =
            [DEPOSIT, "P1,P2,P3: prepare yes", "P2,P3: ack abort", "P0,P1: ack commit", "all: recover"];
        assert_eq!(executed(&after(&abort)), [0; 4]);
    }

    #[test]
    fn a_vote_to_some_reaches_only_them_however_often_it_is_sent_again() {
        let mut local = after(&[DEPOSIT, "P1: prepare yes to P2", "P1,P2,P3,P0: progress"]);
        let own = local.line("P0: progress").lines.remove(0);
        assert!(own.contains("PREPARE 1/4"), "{own}");
        let rest = local.line("P1: prepare yes to P0,P3").lines;
        assert!(
            rest.contains(&"P0, P3: PREPARE from P1 for slot 1: 2/4 (threshold ≥ 3)".to_owned()),
            "{rest:?}"
        );
    }

    #[test]
    fn a_missing_quorum_is_said_and_nothing_is_decided() {
        let mut local = after(&["P2,P3: crash", DEPOSIT, "P1: prepare yes"]);
        let lines = local.line("P0: progress").lines;
        assert_eq!(
            lines[0],
            "P0: slot 1 has no quorum yet: PREPARE 2/4 (threshold ≥ 3), COMMIT 0/4 (threshold ≥ 3); nothing is decided. Votes are sent again"
        );
        assert_eq!(executed(&local), [0; 4]);
    }

    /// Slot 1 is prepared in view 0, as two COMMITs say, and proposed again in view 1.
    const PROPOSED_AGAIN: [&str; 5] =
        [DEPOSIT, "P1,P2,P3: prepare yes", "P0,P1: ack commit", "P1: view change", "P2: view change"];

    #[test]
    fn a_vote_that_a_new_view_demands_counts_nowhere_before_its_person_has_sent_it() {
        let mut local = after(&PROPOSED_AGAIN);
        assert_eq!(
            local.line("P2: prepare yes").lines,
            [
                "P2: sends PREPARE for slot 1 to P0, P1, P3: 2/4 (threshold ≥ 3)",
                "P0, P1, P3: PREPARE from P2 for slot 1: 2/4 (threshold ≥ 3)",
            ]
        );
        let lines = local.line("P3: prepare yes").lines;
        let prepared: Vec<&String> =
            lines.iter().filter(|line| line.contains("slot 1 is prepared")).collect();
        assert!(!prepared.is_empty() && prepared.iter().all(|line| !line.starts_with("P0")), "{lines:#?}");
        let own = local.line("P0: ack commit").lines;
        assert!(own[0].contains("its own must be among them"), "{own:?}");
        local.line("P1,P2,P3: ack commit");
        // Three COMMITs decide, at the replica that sent no vote as well.
        assert_eq!(executed(&local), [1; 4]);
    }

    #[test]
    fn a_vote_that_a_new_view_demands_is_the_one_that_is_missing() {
        let mut local = after(&PROPOSED_AGAIN);
        local.line("P2,P3: prepare yes");
        local.line("P1,P2: ack commit");
        assert_eq!(executed(&local), [0; 4]);
        let lines = local.line("P0: prepare yes").lines;
        assert!(lines.iter().any(|line| line.starts_with("P0: slot 1 is prepared")), "{lines:#?}");
        local.line("P0: ack commit");
        assert_eq!(executed(&local), [1; 4]);
    }

    #[test]
    fn a_commit_does_not_leave_before_the_prepare_that_a_new_view_demands() {
        let script = [DEPOSIT, "P1: prepare yes", "P0: ack commit", "P0: view change"];
        let mut local = among(2, &script);
        let early = local.line("P0: ack commit").lines;
        assert_eq!(
            early,
            ["P0: sends no COMMIT for slot 1 before its PREPARE: \"prepare yes\" first (§4.2)"]
        );
        local.line("P0: prepare yes");
        local.line("P0: ack commit");
        local.line("P1: ack commit");
        assert_eq!(executed(&local), [1; 2]);
    }

    #[test]
    fn a_gap_in_a_new_view_is_filled_and_said() {
        let second = "P0: tx account=bob,amount=5,operation=deposit";
        let votes = ["P1,P2,P3: prepare yes 2", "P0,P1: ack commit 2", "P0: crash", "P1: view change"];
        let mut local = after(&[&[DEPOSIT, second], &votes[..]].concat());
        let lines = local.line("P2: view change").lines;
        let filled: Vec<&String> = lines.iter().filter(|line| line.contains("null request")).collect();
        assert_eq!(filled.len(), 1, "{lines:#?}");
        assert!(filled[0].starts_with("P1: fills slot 1 with a null request in view 1"), "{filled:?}");
    }

    #[test]
    fn slots_without_a_request_are_explained_where_they_are_ordered() {
        let mut local = after(&["P3: crash forget"]);
        let lines = local.line("P3: recover").lines;
        let explained: Vec<&String> = lines.iter().filter(|line| line.contains("null requests")).collect();
        assert_eq!(explained.len(), 1, "{lines:#?}");
        assert!(explained[0].starts_with("P0: orders slots without a request"), "{explained:?}");
    }

    #[test]
    fn only_the_commander_proposes_and_a_replica_without_memory_does_not_vote() {
        for typed in ["P2: tx", "P2: tx account=alice,amount=1,operation=deposit"] {
            let lines = after(&[]).line(typed).lines;
            assert!(lines[0].contains("P2: does not propose: the commander of view 0 is P0"), "{lines:?}");
        }
        let mut local = after(&["P1,P2: crash", "P3: crash forget", "P3: recover", DEPOSIT]);
        let lines = local.line("P3: prepare yes").lines;
        assert_eq!(
            lines,
            ["P3: does not vote: it has lost its memory and may contradict what it said before"]
        );
    }

    #[test]
    fn a_letter_that_its_sender_did_not_sign_changes_nothing() {
        let mut local = after(&["client: send account=alice,amount=100,operation=deposit"]);
        let mut envelopes = Vec::new();
        local.participants[3].act(&Command::ForgeReply { name: None });
        envelopes.extend(local.participants[3].take_out().into_iter().filter_map(|out| match out {
            Out::Envelope(envelope) => Some(*envelope),
            _ => None,
        }));
        for mut envelope in envelopes {
            envelope.from = ReplicaId(1);
            local.participants[4].receive(envelope);
        }
        local.deliver();
        let said = local.lines.take(&local.setup.cluster);
        assert_eq!(
            said,
            ["client: refused an envelope in the name of P1: bad signature; nothing follows from it"]
        );
    }

    #[test]
    fn a_bare_tx_asks_and_asks_again_after_bad_input() {
        let mut local = after(&["tx"]);
        assert_eq!(local.prompt(), "data> ");
        assert!(local.line("account=alice").lines[0].contains("an empty line proposes nothing"));
        assert_eq!(local.prompt(), "data> ");
        assert_eq!(local.line("").lines, ["nothing is proposed"]);
        assert_eq!(local.prompt(), "P0 (commander, view 0)> ");
        assert!(local.line("quit").quits);
    }
}

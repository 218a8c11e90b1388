//! What each command does, in PBFT and here, and where the paper says so.

/// The paper that sections refer to.
const PAPER: &str =
    "Sections (§) are those of Castro and Liskov, Practical Byzantine Fault Tolerance, OSDI 1999.";

/// A command and its explanation.
struct Topic {
    /// What is typed.
    usage: &'static str,
    /// In a few words.
    short: &'static str,
    /// In full.
    long: &'static str,
}

const TOPICS: [Topic; 18] = [
    Topic {
        usage: "tx",
        short: "commander: propose an operation (PRE-PREPARE)",
        long: "The commander gives the operation the next slot (sequence number) and sends PRE-PREPARE to all backups (§4.2). \
               \"tx\" asks for the operation; \"tx account=alice,amount=100,operation=deposit\" has it at once. Operations: \
               deposit, withdraw, transfer (with to=bob), open, balance. alice, bob and carol have accounts.\n\
               \"tx … to P1,P2 else …\" equivocates: only these get the proposal, the others another one for the same slot. \
               That cannot make two values decided: each needs 2f+1 PREPAREs, and two such quorums share an honest replica.",
    },
    Topic {
        usage: "send",
        short: "client: ask for an operation",
        long: "The client signs the request and sends it (§4.1); here to all replicas at once, so that a dead commander \
               costs nothing. It waits at the commander until \"progress\". The client accepts a result that f+1 replicas \
               have signed: one of them is honest. Example: send account=alice,amount=100,operation=deposit",
    },
    Topic {
        usage: "prepare",
        short: "backup: vote on a proposal (PREPARE), yes or no",
        long: "A backup that accepts a proposal sends PREPARE to all (§4.2). \"prepare yes\" does; \"prepare no\" keeps silent, for \
               PBFT has no vote against. A slot is prepared at a replica that accepted the proposal and has 2f+1 votes for it, \
               the PRE-PREPARE and its own PREPARE among them. With four replicas one \"no\" changes nothing, two keep the slot \
               open until a view change.\n\
               \"prepare yes to P2,P3\" sends the vote to these only. \"prepare no to P1\" sends P1 another vote, for a value that \
               nobody proposed: both together are equivocation, as a faulty replica may do. \"prepare yes 2\" names the slot.",
    },
    Topic {
        usage: "ack",
        short: "vote on a prepared slot (COMMIT), commit or abort",
        long: "Once a slot is prepared, a replica sends COMMIT (§4.2), the commander too. \"ack commit\" does; \"ack abort\" keeps \
               silent. 2f+1 COMMITs decide the slot for good, whatever becomes of the view: replicas execute it in the order of \
               slots and send REPLY to whoever asked. Nobody can abort a slot that is prepared; a view change carries it over \
               (§4.4). \"to P2,P3\" and \"ack abort to P1\" as with prepare.",
    },
    Topic {
        usage: "progress",
        short: "do what waits: propose, or as commander COMMIT; else send again",
        long: "At the commander: proposes the requests that wait (§4.2); else sends the COMMIT that waits; else says which quorum is \
               missing and sends again what may be lost. At a backup: sends again and asks for what it lacks. At the client: \
               sends its unanswered requests again (§4.1). No quorum is ever assumed: nothing is decided by this command.",
    },
    Topic {
        usage: "view change",
        short: "ask for another commander (VIEW-CHANGE)",
        long: "The replica leaves its view, votes in it no more, and sends VIEW-CHANGE for the next, with what is prepared here \
               (§4.4). Its own counts. In PBFT a timer does this; here you do. With f+1 VIEW-CHANGEs the others join, as an \
               honest replica is among them (§4.5.2), and with that of the view's own commander alone. With 2f+1 the new \
               commander, P(view mod n), sends NEW-VIEW: what may be decided is proposed again in its slot, and replicas vote for it again.\n\
               If the new commander is down, \"view change\" once more asks for the view after, once 2f+1 want this one.",
    },
    Topic {
        usage: "checkpoint",
        short: "show checkpoints; at the commander, fill slots up to the next",
        long: "After every 4 slots (K; larger in practice) each replica sends CHECKPOINT with the digest of its state. 2f+1 equal \
               ones make it stable, a proof that others can take over, and the log before it can be forgotten (§4.3). Nobody \
               coordinates that. At the commander, \"checkpoint\" fills the slots up to the next one with requests that do nothing; \
               nobody is asked to vote for these.",
    },
    Topic {
        usage: "crash",
        short: "take this replica down; \"crash forget\" loses its memory too",
        long: "The replica receives and sends nothing. \"crash\" keeps what it knows, as on a disk, which the paper assumes (§3); \
               \"crash forget\" is a killed process without one: it may have voted for anything, and must not contradict that.",
    },
    Topic {
        usage: "recover",
        short: "bring this replica back",
        long: "It tells all how far it is. They send what it lacks: votes and decisions of slots that they still have, else the proof \
               of a stable checkpoint, and the state that belongs to it (§4.3, §4.4). It takes over only what f+1 or 2f+1 vouch \
               for, never one replica's word. After \"crash forget\" it learns first: it votes again after a checkpoint 4K slots \
               beyond the others', and two views on, where it cannot have promised anything. Empty slots are ordered for that.",
    },
    Topic {
        usage: "forge reply",
        short: "lie to the client, also in another's name (\"forge reply as P2\")",
        long: "Sends the client a REPLY that says the account has 1000000. In the replica's own name it is one of f+1 needed; in \
               another's name its signature does not hold, and the client refuses it (§4.1).",
    },
    Topic {
        usage: "status",
        short: "view, commander, members, slots, what waits for you",
        long: "What this replica knows. Another may know more: there is no common state, only quorums.",
    },
    Topic {
        usage: "data",
        short: "the accounts as this replica has executed them",
        long: "A replica that is behind shows old amounts.",
    },
    Topic {
        usage: "list",
        short: "who takes part; at the client, its requests and their REPLYs",
        long: "In one terminal, also how far each replica is.",
    },
    Topic {
        usage: "as",
        short: "go on as another participant: as P2, as client",
        long: "In one terminal for all. \"P1,P2: prepare yes\" and \"all: status\" speak for others, and nothing else changes.",
    },
    Topic {
        usage: "lessons",
        short: "harness demo --lesson NAME explains one thing step by step",
        long: "deposit, withdraw, overdraft, conflict, crash-recover, rotation, checkpoint, equivocation.",
    },
    Topic {
        usage: "quorum",
        short: "why 2f+1, and what x/N (threshold ≥ 2f+1) counts",
        long: "n = 3f+1 replicas, of which f may be faulty in any way. Two sets of 2f+1 share f+1 replicas, so an honest one, and \
               it votes only once per slot and view: two values cannot both be prepared (§4.2). x counts the votes here for one \
               value; the commander's PRE-PREPARE counts as its PREPARE. For other n, the quorum is the smallest with this property.",
    },
    Topic {
        usage: "help",
        short: "this list; \"help COMMAND\" says more",
        long: "help prepare, help view change, help quorum …",
    },
    Topic {
        usage: "quit",
        short: "leave (Ctrl-D does as well)",
        long: "With a terminal for each node, the others go on.",
    },
];

/// What there is help on.
pub fn topics() -> impl Iterator<Item = &'static str> {
    TOPICS.iter().map(|topic| topic.usage)
}

/// The list of commands, or what one of them does.
pub fn about(topic: Option<&str>) -> Vec<String> {
    let Some(asked) = topic else { return overview() };
    let asked = asked.to_ascii_lowercase();
    let first = asked.split_whitespace().next().unwrap_or_default();
    let known = TOPICS.iter().find(|topic| topic.usage == asked);
    let known = known.or_else(|| TOPICS.iter().find(|topic| topic.usage.split(' ').next() == Some(first)));
    let known = known.or_else(|| {
        let mut begun = TOPICS.iter().filter(|topic| !first.is_empty() && topic.usage.starts_with(first));
        begun.next().filter(|_| begun.next().is_none())
    });
    match known {
        Some(topic) => {
            let mut lines = vec![format!("{}: {}", topic.usage, topic.short)];
            lines.extend(topic.long.split('\n').map(str::to_owned));
            if topic.long.contains('§') {
                lines.push(PAPER.to_owned());
            }
            lines
        }
        None => {
            let all: Vec<&str> = topics().collect();
            vec![format!("there is no help on {asked:?}; there is on {}", all.join(", "))]
        }
    }
}

fn overview() -> Vec<String> {
    let mut lines = vec!["A request is decided in three steps: PRE-PREPARE by the commander, PREPARE and COMMIT by a quorum. Your votes wait for you.".into()];
    lines.extend(TOPICS.iter().map(|topic| format!("  {:<12} {}", topic.usage, topic.short)));
    lines.push(PAPER.into());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::WORDS;

    #[test]
    fn there_is_help_on_every_command() {
        for word in WORDS.iter().filter(|word| **word != "all: ") {
            let lines = about(Some(word));
            assert!(!lines[0].contains("there is no help"), "{word}: {lines:?}");
        }
        assert!(about(Some("prep"))[0].starts_with("prepare: "));
        assert!(about(Some("s"))[0].starts_with("there is no help on \"s\""), "send or status");
        assert!(about(None).iter().any(|line| line.contains("view change")));
        assert_eq!(about(Some("jump"))[0].split(';').next(), Some("there is no help on \"jump\""));
    }

    #[test]
    fn the_steps_of_the_protocol_name_their_section() {
        for word in ["tx", "send", "prepare yes", "ack", "view change", "checkpoint", "recover", "quorum"] {
            assert!(about(Some(word)).iter().any(|line| line.contains("(§4")), "{word}");
        }
    }
}

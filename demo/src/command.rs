//! What can be typed at the prompt.

use apps::BankOperation;
use kernel::{Cluster, ReplicaId, Seq};

use crate::names;
use crate::operation;

/// A line that was typed: a command, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The participants that `P1,P2:` or `all:` name; none means whoever the prompt names.
    pub who: Vec<ReplicaId>,
    /// What to do.
    pub command: Command,
}

/// A yes or no, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The vote is cast; else it is kept back, or another one is sent.
    pub yes: bool,
    /// The slot; without it, the first that waits.
    pub slot: Option<Seq>,
    /// To these replicas only; empty means to all.
    pub to: Vec<ReplicaId>,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Who takes part; at the client, its requests.
    List,
    /// What the participant knows.
    Status,
    /// The bank's accounts.
    Data,
    /// The commander proposes; without an operation, it is asked for.
    Tx {
        /// What is proposed.
        operation: Option<BankOperation>,
        /// Only these get it; empty means all do.
        to: Vec<ReplicaId>,
        /// What the others get for the same slot.
        other: Option<BankOperation>,
    },
    /// The client asks.
    Send(BankOperation),
    /// The vote on a proposal.
    Prepare(Choice),
    /// The vote on a prepared slot.
    Ack(Choice),
    /// Does what waits for this participant.
    Progress,
    /// Asks for the next commander.
    ViewChange,
    /// Shows checkpoints, and fills slots up to the next one.
    Checkpoint,
    /// The replica is down.
    Crash {
        /// It loses its memory as well.
        forget: bool,
    },
    /// The replica is up again.
    Recover,
    /// A lie to the client.
    ForgeReply {
        /// In whose name; without it, in its own.
        name: Option<ReplicaId>,
    },
    /// Go on as another participant.
    As(ReplicaId),
    /// What commands do.
    Help(Option<String>),
    /// The end.
    Quit,
}

/// The first words of all commands, as completion offers them.
pub const WORDS: [&str; 21] = [
    "list",
    "status",
    "data",
    "tx",
    "send",
    "prepare yes",
    "prepare no",
    "ack commit",
    "ack abort",
    "progress",
    "view change",
    "checkpoint",
    "crash",
    "crash forget",
    "recover",
    "forge reply",
    "as client",
    "as P",
    "help",
    "quit",
    "all: ",
];

/// Reads a line; none if there is nothing on it.
///
/// # Errors
///
/// A sentence that says what is wrong and what is possible.
pub fn read(cluster: &Cluster, typed: &str) -> Result<Option<Line>, String> {
    let typed = typed.trim();
    if typed.is_empty() || typed.starts_with('#') {
        return Ok(None);
    }
    let (who, rest) = match typed.split_once(':') {
        Some((who, rest)) => (read_who(cluster, who)?, rest.trim()),
        None => (Vec::new(), typed),
    };
    Ok(Some(Line { who, command: read_command(cluster, rest)? }))
}

fn read_who(cluster: &Cluster, list: &str) -> Result<Vec<ReplicaId>, String> {
    if list.trim().eq_ignore_ascii_case("all") {
        return Ok(cluster.replicas().collect());
    }
    list.split(',').map(|name| names::id(cluster, name.trim())).collect()
}

fn read_command(cluster: &Cluster, text: &str) -> Result<Command, String> {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let word = word.to_ascii_lowercase();
    let alone = |command| match rest {
        "" => Ok(command),
        more => Err(format!("{word:?} stands alone, without {more:?}; \"help {word}\" says what it does")),
    };
    match word.as_str() {
        "list" => alone(Command::List),
        "status" => alone(Command::Status),
        "data" => alone(Command::Data),
        "progress" => alone(Command::Progress),
        "checkpoint" => alone(Command::Checkpoint),
        "recover" => alone(Command::Recover),
        "quit" | "exit" => alone(Command::Quit),
        "tx" => {
            let (rest, other) = rest.split_once(" else ").unwrap_or((rest, ""));
            let (data, to) = with_recipients(cluster, rest)?;
            if !other.is_empty() && to.is_empty() {
                return Err("\"else\" says what the others get; say first who gets the proposal: \"tx … to P1,P2 else …\"".into());
            }
            let read = |data: &str| (!data.is_empty()).then(|| operation::read(data)).transpose();
            Ok(Command::Tx { operation: read(data)?, to, other: read(other.trim())? })
        }
        "send" => Ok(Command::Send(operation::read(rest)?)),
        "prepare" => Ok(Command::Prepare(read_choice(cluster, rest, ("prepare", "yes", "no"))?)),
        "ack" => Ok(Command::Ack(read_choice(cluster, rest, ("ack", "commit", "abort"))?)),
        "view" if rest.eq_ignore_ascii_case("change") => Ok(Command::ViewChange),
        "view" => Err("the command is \"view change\"".into()),
        "crash" => match rest {
            "" => Ok(Command::Crash { forget: false }),
            "forget" => Ok(Command::Crash { forget: true }),
            _ => Err("the command is \"crash\", or \"crash forget\" if its memory is lost as well".into()),
        },
        "forge" => read_forgery(cluster, rest),
        "as" => Ok(Command::As(names::id(cluster, rest)?)),
        "help" | "?" => Ok(Command::Help((!rest.is_empty()).then(|| rest.to_owned()))),
        _ => Err(format!("there is no command {word:?}; \"help\" lists all")),
    }
}

/// What stands before ` to P1,P2`, and who that is.
fn with_recipients<'a>(cluster: &Cluster, text: &'a str) -> Result<(&'a str, Vec<ReplicaId>), String> {
    let padded = text.find(" to ").map(|at| (&text[..at], &text[at + 4..]));
    let split = padded.or_else(|| text.strip_prefix("to ").map(|rest| ("", rest)));
    match split {
        Some((before, list)) => Ok((before.trim(), names::replicas(cluster, list)?)),
        None => Ok((text, Vec::new())),
    }
}

fn read_choice(
    cluster: &Cluster,
    text: &str,
    (command, yes, no): (&str, &str, &str),
) -> Result<Choice, String> {
    let usage = || {
        format!(
            "say \"{command} {yes}\" or \"{command} {no}\", if you like with a slot and recipients: \"{command} {yes} 2 to P2,P3\""
        )
    };
    let (before, to) = with_recipients(cluster, text)?;
    let mut words = before.split_whitespace();
    let choice = words.next().map(str::to_ascii_lowercase).ok_or_else(usage)?;
    let yes = match choice {
        word if word == yes => true,
        word if word == no => false,
        _ => return Err(usage()),
    };
    let slot = words.next().map(|word| word.parse().map(Seq).map_err(|_| usage())).transpose()?;
    if words.next().is_some() {
        return Err(usage());
    }
    Ok(Choice { yes, slot, to })
}

fn read_forgery(cluster: &Cluster, rest: &str) -> Result<Command, String> {
    let usage = "the command is \"forge reply\", or \"forge reply as P2\" in another's name";
    let rest = rest.strip_prefix("reply").ok_or(usage)?.trim();
    let name = match rest.strip_prefix("as ") {
        Some(name) => Some(names::id(cluster, name.trim())?),
        None if rest.is_empty() => None,
        None => return Err(usage.into()),
    };
    Ok(Command::ForgeReply { name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::ClusterId;

    fn cluster() -> Cluster {
        Cluster::new(ClusterId([0; 16]), "pbft", 4).with_clients(1)
    }

    fn read_one(typed: &str) -> Line {
        read(&cluster(), typed).unwrap().unwrap()
    }

    #[test]
    fn commands_are_read_with_their_seats_slots_and_recipients() {
        let choice = |yes, slot: Option<u64>, to: &[u16]| Choice {
            yes,
            slot: slot.map(Seq),
            to: to.iter().map(|id| ReplicaId(*id)).collect(),
        };
        for (typed, command) in [
            ("list", Command::List),
            ("  STATUS ", Command::Status),
            ("prepare yes", Command::Prepare(choice(true, None, &[]))),
            ("prepare no 3 to P0,P2", Command::Prepare(choice(false, Some(3), &[0, 2]))),
            ("ack abort", Command::Ack(choice(false, None, &[]))),
            ("ack commit to p3", Command::Ack(choice(true, None, &[3]))),
            ("view  change", Command::ViewChange),
            ("crash forget", Command::Crash { forget: true }),
            ("forge reply", Command::ForgeReply { name: None }),
            ("forge reply as P1", Command::ForgeReply { name: Some(ReplicaId(1)) }),
            ("as client", Command::As(ReplicaId(4))),
            ("tx", Command::Tx { operation: None, to: vec![], other: None }),
            ("tx to P1", Command::Tx { operation: None, to: vec![ReplicaId(1)], other: None }),
            ("help prepare", Command::Help(Some("prepare".into()))),
        ] {
            assert_eq!(read_one(typed), Line { who: vec![], command }, "{typed}");
        }
        assert_eq!(read_one("P1, client: list").who, [ReplicaId(1), ReplicaId(4)]);
        assert_eq!(read_one("all: prepare yes").who.len(), 4);
        assert!(matches!(
            read_one("tx account=a,operation=open to P1,P2 else account=b,operation=open").command,
            Command::Tx { operation: Some(_), to, other: Some(_) } if to == [ReplicaId(1), ReplicaId(2)]
        ));
    }

    #[test]
    fn nothing_is_typed_on_an_empty_line_or_behind_a_hash() {
        for typed in ["", "   ", "# a remark"] {
            assert_eq!(read(&cluster(), typed), Ok(None));
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_what_is_possible() {
        for (typed, part) in [
            ("jump", "there is no command \"jump\"; \"help\" lists all"),
            ("list all", "\"list\" stands alone, without \"all\""),
            ("prepare", "say \"prepare yes\" or \"prepare no\""),
            ("prepare maybe", "say \"prepare yes\" or \"prepare no\""),
            ("prepare yes x", "say \"prepare yes\" or \"prepare no\""),
            ("ack yes", "say \"ack commit\" or \"ack abort\""),
            ("prepare yes to P9", "there is no \"P9\"; there are P0 to P3 and client"),
            ("prepare yes to client", "the client is no replica"),
            ("tx account=a,operation=open else account=b,operation=open", "say first who gets the proposal"),
            ("as P4", "there is no \"P4\""),
            ("view", "\"view change\""),
            ("crash hard", "\"crash forget\""),
            ("forge money", "\"forge reply\""),
            ("P7: list", "there is no \"P7\""),
            ("send amount=1", "operation=… is missing"),
        ] {
            let error = read(&cluster(), typed).unwrap_err();
            assert!(error.contains(part), "{typed:?}: {error}");
        }
    }
}

//! What a faulty node does, and how a person writes it.

use kernel::{Micros, ReplicaId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use std::str::FromStr;

/// One way of misbehaving. The text form is what `--fault` and `POST /faults`
/// take.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Behaviour {
    /// `offline`: hears nothing, says nothing.
    Offline,
    /// `malicious`: votes, certificates and replies carry a wrong digest or
    /// result, correctly signed with the node's own key. Its proposals are left
    /// alone: lying as commander is `equivocate`.
    Malicious,
    /// `equivocate`, `equivocate=victim`: as commander, a different batch for
    /// some nodes; as voter, a different vote for them; as communication node, a
    /// different certificate.
    Equivocate(Equivocation),
    /// `withhold`: takes part but never votes; as communication node it gathers
    /// votes and sends nothing.
    Withhold,
    /// `partial=ID;ID`: as commander or communication node it serves only these.
    Partial(Vec<ReplicaId>),
    /// `delay=5ms`: every outgoing message is held back that long.
    Delay(Micros),
    /// `drop=0.1`: every outgoing message is lost with that probability, which
    /// is kept in millionths.
    Drop(u32),
}

/// Who gets the other story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Equivocation {
    /// Every replica with an odd id.
    Halves,
    /// The replica after the liar in ring order, alone.
    Victim,
}

/// A behaviour that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseBehaviourError {
    /// There is no such behaviour.
    #[error(
        "unknown fault {0:?}; known: offline, malicious, equivocate[=halves|victim], withhold, \
         partial=ID;ID, delay=TIME (5ms, 300us, 1s), drop=PROBABILITY (0 to 1)"
    )]
    UnknownKind(String),
    /// The part after `=` is missing, superfluous or wrong.
    #[error("fault {fault:?}: {problem}")]
    BadArgument {
        /// The fault as given.
        fault: String,
        /// What is wrong and what would do.
        problem: &'static str,
    },
}

impl FromStr for Behaviour {
    type Err = ParseBehaviourError;

    fn from_str(text: &str) -> Result<Behaviour, ParseBehaviourError> {
        let bad = |problem| ParseBehaviourError::BadArgument { fault: text.to_owned(), problem };
        let (kind, argument) = match text.split_once('=') {
            Some((kind, argument)) => (kind, Some(argument)),
            None => (text, None),
        };
        match (kind, argument) {
            ("offline", None) => Ok(Behaviour::Offline),
            ("malicious", None) => Ok(Behaviour::Malicious),
            ("withhold", None) => Ok(Behaviour::Withhold),
            ("offline" | "malicious" | "withhold", Some(_)) => Err(bad("takes no argument")),
            ("equivocate", None | Some("halves")) => Ok(Behaviour::Equivocate(Equivocation::Halves)),
            ("equivocate", Some("victim")) => Ok(Behaviour::Equivocate(Equivocation::Victim)),
            ("equivocate", Some(_)) => Err(bad("the argument is halves or victim")),
            ("partial", argument) => argument
                .and_then(|ids| ids.split(';').map(|id| id.parse().ok().map(ReplicaId)).collect())
                .map(Behaviour::Partial)
                .ok_or_else(|| bad("needs the ids that are served, such as partial=1;2")),
            ("delay", argument) => argument
                .and_then(parse_time)
                .map(Behaviour::Delay)
                .ok_or_else(|| bad("needs a time, such as delay=5ms, delay=300us or delay=1s")),
            ("drop", argument) => argument
                .and_then(|p| p.parse::<f64>().ok())
                .filter(|p| (0.0..=1.0).contains(p))
                .map(|p| Behaviour::Drop((p * 1e6).round() as u32))
                .ok_or_else(|| bad("needs a probability from 0 to 1, such as drop=0.1")),
            _ => Err(ParseBehaviourError::UnknownKind(text.to_owned())),
        }
    }
}

fn parse_time(text: &str) -> Option<Micros> {
    let (number, scale) = if let Some(number) = text.strip_suffix("us") {
        (number, 1.0)
    } else if let Some(number) = text.strip_suffix("ms") {
        (number, 1e3)
    } else {
        (text.strip_suffix('s')?, 1e6)
    };
    let micros = number.parse::<f64>().ok()? * scale;
    // An hour is longer than any experiment here and far from overflow.
    (0.0..=3.6e9).contains(&micros).then_some(Micros(micros as u64))
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Behaviour::Offline => f.write_str("offline"),
            Behaviour::Malicious => f.write_str("malicious"),
            Behaviour::Equivocate(Equivocation::Halves) => f.write_str("equivocate"),
            Behaviour::Equivocate(Equivocation::Victim) => f.write_str("equivocate=victim"),
            Behaviour::Withhold => f.write_str("withhold"),
            Behaviour::Partial(ids) => {
                let ids: Vec<String> = ids.iter().map(ReplicaId::to_string).collect();
                write!(f, "partial={}", ids.join(";"))
            }
            Behaviour::Delay(by) if by.0 % 1000 == 0 => write!(f, "delay={}ms", by.0 / 1000),
            Behaviour::Delay(by) => write!(f, "delay={by}us"),
            Behaviour::Drop(millionths) => write!(f, "drop={}", f64::from(*millionths) / 1e6),
        }
    }
}

impl Serialize for Behaviour {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Behaviour {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Behaviour, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_form_reads_back_as_itself() {
        for text in [
            "offline",
            "malicious",
            "equivocate",
            "equivocate=victim",
            "withhold",
            "partial=1;2",
            "delay=5ms",
            "delay=300us",
            "drop=0.1",
            "drop=0",
        ] {
            assert_eq!(text.parse::<Behaviour>().unwrap().to_string(), text);
        }
        assert_eq!("delay=1s".parse(), Ok(Behaviour::Delay(Micros(1_000_000))));
        assert_eq!("equivocate=halves".parse(), Ok(Behaviour::Equivocate(Equivocation::Halves)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_a_reason() {
        for (text, says) in [
            ("lazy", "known: offline"),
            ("offline=1", "takes no argument"),
            ("equivocate=thirds", "halves or victim"),
            ("partial", "partial=1;2"),
            ("partial=a", "partial=1;2"),
            ("delay", "delay=5ms"),
            ("delay=-1ms", "delay=5ms"),
            ("delay=5", "delay=5ms"),
            ("drop=1.5", "from 0 to 1"),
            ("drop=NaN", "from 0 to 1"),
        ] {
            let message = text.parse::<Behaviour>().unwrap_err().to_string();
            assert!(message.contains(says), "{text}: {message}");
        }
    }
}

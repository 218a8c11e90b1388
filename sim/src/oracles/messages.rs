//! Messages per decision: without faults each flow sends exactly as many
//! messages as its formula says, self-delivery not counted.

use kernel::Path;

/// Messages of the agreement that `n` replicas send for one slot of `protocol`
/// committed by `path`, the communication node being the commander itself or
/// not. None where nothing is promised: a fallback costs what it costs.
pub fn per_decision(protocol: &str, n: u64, path: Path, collocated: bool) -> Option<u64> {
    match (protocol, path) {
        _ if n == 1 => Some(0),
        ("pbft" | "pbft-mac" | "pbft-mac-requests", Path::Direct) => Some(2 * n * (n - 1)),
        ("ccro" | "ccro-aggregate", Path::Fast) if collocated => Some(3 * (n - 1)),
        ("ccro" | "ccro-aggregate", Path::Fast) => Some(3 * n - 4),
        ("ccro" | "ccro-aggregate", Path::TwoPhase) if collocated => Some(5 * (n - 1)),
        ("ccro" | "ccro-aggregate", Path::TwoPhase) => Some(5 * n - 6),
        // The block is stored with all at the end; REPLYs are not counted among
        // the agreement's messages by the host, STORE is.
        ("ccro-paper", Path::Direct) => Some(5 * n - 9),
        _ => None,
    }
}

/// Judges a fault-free run of `decisions` slots in which `sent` messages of the
/// agreement were sent.
pub fn check(sent: u64, decisions: u64, per_decision: u64) -> Result<(), String> {
    let expected = decisions * per_decision;
    if sent == expected {
        return Ok(());
    }
    Err(format!("{decisions} decisions took {sent} messages, not {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_for_four_nodes() {
        for (protocol, path, collocated, messages) in [
            ("pbft", Path::Direct, false, 24),
            ("pbft-mac", Path::Direct, false, 24),
            ("pbft-mac-requests", Path::Direct, false, 24),
            ("ccro", Path::Fast, false, 8),
            ("ccro", Path::TwoPhase, false, 14),
            ("ccro", Path::Fast, true, 9),
            ("ccro", Path::TwoPhase, true, 15),
            ("ccro-aggregate", Path::Fast, false, 8),
            ("ccro-aggregate", Path::TwoPhase, false, 14),
            ("ccro-aggregate", Path::Fast, true, 9),
            ("ccro-aggregate", Path::TwoPhase, true, 15),
            ("ccro-paper", Path::Direct, false, 11),
        ] {
            assert_eq!(per_decision(protocol, 4, path, collocated), Some(messages), "{protocol} {path}");
        }
        assert_eq!(per_decision("ccro", 4, Path::Fallback, false), None);
    }

    #[test]
    fn one_message_more_or_less_is_a_breach() {
        assert_eq!(check(48, 2, 24), Ok(()));
        assert!(check(49, 2, 24).is_err() && check(47, 2, 24).is_err());
    }
}

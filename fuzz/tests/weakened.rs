//! Plays can fail: with a rule of the replicas switched off, one soon does.

use fuzz::Target;
use fuzz::targets::plays::{PLAYS_OF_CCRO, PLAYS_OF_PBFT, PLAYS_OF_PBFT_MAC};
use kernel::weakening::weaken;
use kernel::{Choose as _, SeededChoice, Weakening};
use std::panic::catch_unwind;

const MOST_PLAYS: u32 = 2_000;

/// Random plays until one breaks a property; none if none does.
fn plays_until_broken(target: &Target, rule: Weakening) -> Option<u32> {
    let mut choice = SeededChoice::new(1);
    (1..=MOST_PLAYS).find(|_| {
        let input: Vec<u8> = (0..choice.below(1_500)).map(|_| choice.below(256) as u8).collect();
        catch_unwind(|| weaken(rule, || target.check(&input))).is_err()
    })
}

#[test]
fn a_rule_that_is_switched_off_is_missed() {
    for (target, rule) in [
        (&PLAYS_OF_PBFT, Weakening::QuorumOneLess),
        (&PLAYS_OF_PBFT, Weakening::CommitWithoutPrepared),
        (&PLAYS_OF_PBFT, Weakening::SecondProposalAccepted),
        (&PLAYS_OF_PBFT, Weakening::DigestNotCompared),
        (&PLAYS_OF_PBFT, Weakening::PreparedForgotten),
        (&PLAYS_OF_PBFT_MAC, Weakening::QuorumOneLess),
        (&PLAYS_OF_PBFT_MAC, Weakening::StatementsOneLess),
        (&PLAYS_OF_CCRO, Weakening::QuorumOneLess),
        (&PLAYS_OF_CCRO, Weakening::FastPathOneLess),
        (&PLAYS_OF_CCRO, Weakening::CommanderNotReported),
    ] {
        let plays = plays_until_broken(target, rule);
        println!("{} without {rule:?}: {plays:?} plays", target.name);
        assert!(plays.is_some(), "{}: {MOST_PLAYS} plays do not miss {rule:?}", target.name);
    }
}

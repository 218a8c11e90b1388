//! Small scopes: what the checker finds, what it does not, and that it can.

use harness::check::named::{Finds, NAMED, Named, named};
use harness::check::paper::{FaultyRoles, paper};
use harness::check::scopes;
use kernel::Weakening;
use kernel::weakening::weaken;
use sim::checker::{Report, Search, check};

/// Distinct states after which a test gives up.
const MOST_STATES: usize = 30_000;

fn scope(name: &str) -> &'static Named {
    named(name).expect("a scope of this name")
}

fn explore(named: &Named, rule: Option<Weakening>) -> Report {
    let around = move |step: &mut dyn FnMut()| match rule {
        Some(rule) => weaken(rule, step),
        None => step(),
    };
    named.run(Box::new(around), &mut |progress| {
        (progress.unique >= MOST_STATES).then(|| format!("{MOST_STATES} states"))
    })
}

/// Scopes that a test can afford to see the end of.
const EXHAUSTED: [&str; 10] = [
    "pbft-faulty-backup",
    "pbft-equivocating",
    "pbft-twins",
    "pbft-mac-faulty-backup",
    "pbft-mac-twins",
    "pbft-mac-requests",
    "ccro-equivocating",
    "ccro-aggregate-equivocating",
    "broadcast-double-spend",
    "paper-communication-node",
];

#[test]
fn small_scopes_are_exhausted_without_a_finding() {
    for name in EXHAUSTED {
        let report = explore(scope(name), None);
        assert!(report.is_exhausted(), "{name}: {report:?}");
        // Batches without an order are decided and have no slot that is executed.
        let done = if name.starts_with("broadcast") {
            report.reach.decided.0 >= 1
        } else {
            report.reach.executed.0 == 1
        };
        assert!(report.reach.outcomes > 3 && done, "{name} is vacuous: {report:?}");
    }
}

#[test]
fn larger_scopes_find_nothing_as_far_as_a_test_goes() {
    for name in [
        "pbft-after-a-decision",
        "pbft-mac-equivocating",
        "pbft-mac-after-a-decision",
        "pbft-mac-requests-view-change",
        "ccro-after-two-phases",
        "ccro-aggregate-after-two-phases",
    ] {
        let report = explore(scope(name), None);
        assert!(report.violation.is_none(), "{name}: {}", report.violation.expect("checked").1.text());
        assert!(report.reach.view.0 >= 1 && report.reach.decided.0 == 1, "{name} is vacuous: {report:?}");
    }
}

#[test]
fn the_published_flow_disagrees() {
    for named in NAMED.iter().filter(|named| named.finds == Finds::Disagreement) {
        let (property, diagram) = explore(named, None).violation.expect(named.name);
        assert_eq!(property, "agreement");
        assert!(diagram.text().contains(": A (1 requests)") && diagram.text().contains(": B (1 requests)"));
    }
}

#[test]
fn the_example_in_the_documentation_is_what_the_checker_finds() {
    let (_, diagram) = explore(scope("paper-colluding"), None).violation.expect("a disagreement");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ccro-paper-disagreement.md");
    let written = std::fs::read_to_string(file).expect("the example");
    assert!(
        written.contains(&diagram.mermaid()),
        "run harness check --scope paper-colluding --example docs/ccro-paper-disagreement.md"
    );
}

/// The rule switched off, the scope, and that the run ends in two decisions.
const CAUGHT: [(Weakening, &str); 14] = [
    (Weakening::QuorumOneLess, "pbft-equivocating"),
    (Weakening::DigestNotCompared, "pbft-equivocating"),
    (Weakening::CommitWithoutPrepared, "pbft-unprepared"),
    (Weakening::QuorumOneLess, "pbft-mac-equivocating"),
    (Weakening::StatementsOneLess, "pbft-mac-faulty-backup"),
    (Weakening::TieWonByReports, "ccro-after-two-phases"),
    (Weakening::ReportsOneLess, "ccro-after-the-fast-path"),
    (Weakening::DoubtedRequestsAccepted, "pbft-mac-requests"),
    (Weakening::DoubtedRequestsOneLess, "pbft-mac-requests"),
    (Weakening::SharesNotChecked, "ccro-aggregate-equivocating"),
    (Weakening::TieWonByReports, "ccro-aggregate-after-two-phases"),
    (Weakening::QuorumOneLess, "broadcast-double-spend"),
    (Weakening::ProofNotChecked, "broadcast-double-spend"),
    (Weakening::NumberNotChecked, "broadcast-double-spend"),
];

#[test]
fn rules_switched_off_are_missed() {
    for (rule, name) in CAUGHT {
        let report = explore(scope(name), Some(rule));
        assert!(report.violation.is_some(), "{rule:?} is not caught by {name}: {report:?}");
    }
}

#[test]
fn what_is_left_out_cannot_be_told_from_outside() {
    let seen = |search| {
        let all = check(paper(4, FaultyRoles::CommunicationNode), search, |_| None);
        assert!(all.is_exhausted());
        (all.reach.observable_states, all.reach.outcomes)
    };
    assert_eq!(seen(Search::Lazy), seen(Search::EveryDelivery));
    let votes = |search| {
        let all = check(scopes::pbft_faulty_backup("pbft", 4, 1), search, |_| None);
        assert!(all.is_exhausted());
        (all.reach.observable_states, all.reach.outcomes)
    };
    assert_eq!(votes(Search::OneQuorum), votes(Search::Lazy));
}

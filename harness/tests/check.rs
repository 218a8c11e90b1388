//! Small scopes, explored to the end.

use harness::check::paper::{self, Liars};
use harness::check::scopes;
use sim::checker::{Checkable, Report, Scope, Search, check};

fn explore<P: Checkable>(name: &str, scope: Scope<P>, search: Search) -> Report {
    let began = std::time::Instant::now();
    let report = check(scope, search, |p| (p.unique > 200_000).then(|| "states".to_owned()));
    println!(
        "{name} {search:?}: {:?} {:?} stopped {:?} in {:?}",
        report.progress,
        report.reach,
        report.stopped,
        began.elapsed()
    );
    if let Some((property, chart)) = &report.violation {
        println!("{property}\n{}", chart.text().lines().count());
    }
    report
}

#[test]
fn look() {
    for search in [Search::OneQuorum, Search::Lazy, Search::EveryDelivery] {
        explore("paper 4 comm", paper::paper(4, Liars::CommunicationNode), search);
        explore("paper 4 commander", paper::paper(4, Liars::Commander), search);
        explore("paper 4 both", paper::paper(4, Liars::Both), search);
        explore("paper 6 both", paper::paper(6, Liars::Both), search);
        explore("pbft equivocating", scopes::pbft_equivocating(4, &[1]), search);
        explore("pbft twins", scopes::pbft_twins(4), search);
        explore("pbft liar", scopes::pbft_lying_backup(4, 1), search);
        explore("ccro equivocating", scopes::ccro_equivocating(4, &[0], 1), search);
        explore("ccro twins", scopes::ccro_twins(4, 1), search);
        explore("ccro liar", scopes::ccro_lying_communication_node(4, 1), search);
    }
}

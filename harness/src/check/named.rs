//! The scopes by name.

use sim::checker::{Around, Checkable, Progress, Report, Scope, Search, check};

use super::paper::{FaultyRoles, paper};
use super::scopes;
use super::unordered;

/// What a scope must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finds {
    /// Nothing.
    Nothing,
    /// Honest nodes that disagree.
    Disagreement,
}

/// Asked now and then; a reason ends the search.
pub type Stop<'a> = &'a mut dyn FnMut(Progress) -> Option<String>;

/// A scope with a name.
pub struct Named {
    /// By which it is asked for.
    pub name: &'static str,
    /// What it explores.
    pub about: &'static str,
    /// What it must find.
    pub finds: Finds,
    explore: fn(Around, Stop<'_>) -> Report,
}

impl Named {
    /// Explores the scope.
    pub fn run(&self, around: Around, stop: Stop<'_>) -> Report {
        (self.explore)(around, stop)
    }

    /// Whether the scope found what it must. One that was stopped early excuses
    /// nothing: a disagreement that must be found and was not is not as expected.
    pub fn is_as_expected(&self, report: &Report) -> bool {
        report.violation.is_some() == (self.finds == Finds::Disagreement)
    }
}

fn explore<P: Checkable>(mut scope: Scope<P>, search: Search, around: Around, stop: Stop<'_>) -> Report {
    scope.around = around;
    check(scope, search, stop)
}

/// The scope of this name.
pub fn named(name: &str) -> Option<&'static Named> {
    NAMED.iter().find(|named| named.name == name)
}

macro_rules! named {
    ($($name:literal $finds:ident $search:ident $scope:expr, $about:literal;)*) => {
        &[$(Named {
            name: $name,
            about: $about,
            finds: Finds::$finds,
            explore: |around, stop| explore($scope, Search::$search, around, stop),
        }),*]
    };
}

/// All of them; n = 4 and one slot where nothing else is said.
pub const NAMED: &[Named] = named! {
    "pbft-faulty-backup" Nothing Lazy scopes::pbft_faulty_backup("pbft", 4, 1),
        "view 0, one request, honest commander, a backup that votes for anything";
    "pbft-faulty-backup-2" Nothing OneQuorum scopes::pbft_faulty_backup("pbft", 4, 2),
        "view 0, two requests in two slots, honest commander, a backup that votes for anything";
    "pbft-equivocating" Nothing Lazy scopes::pbft_equivocating("pbft", 4, &[1]),
        "view 0, a commander that proposes two batches for a slot and votes for both";
    "pbft-twins" Nothing OneQuorum scopes::pbft_twins("pbft", 4),
        "view 0, a commander that runs twice, each copy with a request of its own";
    "pbft-view-change" Nothing OneQuorum scopes::pbft_view_change("pbft", 4, 1, 0),
        "an equivocating commander that can be proved guilty at any moment; one view change";
    "pbft-after-a-decision" Nothing OneQuorum scopes::pbft_after_a_decision("pbft", 1, 0),
        "the same from where one replica alone has decided; one view change";
    "pbft-unprepared" Nothing OneQuorum scopes::pbft_unprepared("pbft", 0),
        "the same from where two replicas have accepted and none is prepared; one view change";
    "pbft-view-change-2" Nothing OneQuorum scopes::pbft_view_change("pbft", 4, 2, 2),
        "an equivocating commander, up to two view changes, up to two expirations";
    "pbft-mac-faulty-backup" Nothing OneQuorum scopes::pbft_faulty_backup("pbft-mac", 4, 1),
        "without signatures: view 0, one request, honest commander, a backup that votes for anything and says that anything is decided";
    "pbft-mac-equivocating" Nothing Lazy scopes::pbft_equivocating("pbft-mac", 4, &[1]),
        "without signatures: view 0, a commander that proposes two batches for a slot and votes for both";
    "pbft-mac-twins" Nothing OneQuorum scopes::pbft_twins("pbft-mac", 4),
        "without signatures: view 0, a commander that runs twice, each copy with a request of its own";
    "pbft-mac-view-change" Nothing OneQuorum scopes::pbft_view_change("pbft-mac", 4, 1, 3),
        "an equivocating commander that claims anything; one view change, up to three expirations";
    "pbft-mac-after-a-decision" Nothing OneQuorum scopes::pbft_after_a_decision("pbft-mac", 1, 3),
        "the same from where one replica alone has decided";
    "pbft-mac-view-change-2" Nothing OneQuorum scopes::pbft_view_change("pbft-mac", 4, 2, 4),
        "an equivocating commander that claims anything; up to two view changes, up to four expirations";
    "pbft-mac-requests" Nothing Lazy scopes::pbft_doubted_requests(0, 0),
        "tags on requests: view 0, a commander that proposes a request authentic for one replica alone, and an invented one";
    "pbft-mac-requests-view-change" Nothing OneQuorum scopes::pbft_doubted_requests(1, 3),
        "the same; one view change, up to three expirations";
    "ccro-faulty-communication-node" Nothing OneQuorum scopes::ccro_faulty_communication_node("ccro", 4, 1),
        "view 0, one request, a communication node that sends any certificate it can make; one expiration";
    "ccro-equivocating" Nothing OneQuorum scopes::ccro_equivocating("ccro", 4, &[0], 0),
        "view 0, a commander that equivocates and is its own communication node";
    "ccro-twins" Nothing OneQuorum scopes::ccro_twins("ccro", 4, 1),
        "view 0, a commander that runs twice, each copy with a request of its own; one expiration";
    "ccro-after-the-fast-path" Nothing OneQuorum scopes::ccro_after_the_fast_path("ccro", 0, 1, 1),
        "from where one replica alone holds the FastCertificate of A; one view change, one expiration";
    "ccro-after-the-fast-path-b" Nothing OneQuorum scopes::ccro_after_the_fast_path("ccro", 1, 1, 1),
        "the same with B, whose digest compares the other way";
    "ccro-after-two-phases" Nothing OneQuorum scopes::ccro_after_two_phases("ccro", 0, 1),
        "from where A is decided at one replica and B was given to another; one view change, one expiration";
    "ccro-after-an-honest-fast-path" Nothing OneQuorum scopes::ccro_after_an_honest_fast_path("ccro", 3),
        "from where one replica alone holds the FastCertificate of an honest commander; one view change";
    "ccro-view-change" Nothing OneQuorum scopes::ccro_view_change("ccro", 4, 1, 0),
        "an equivocating commander that is its own communication node; one view change";
    "ccro-view-change-2" Nothing OneQuorum scopes::ccro_view_change("ccro", 4, 2, 2),
        "an equivocating commander, up to two view changes, up to two expirations";
    "ccro-aggregate-faulty-communication-node" Nothing OneQuorum
        scopes::ccro_faulty_communication_node("ccro-aggregate", 4, 1),
        "sums of shares: view 0, one request, a communication node that sends any certificate it can make; one expiration";
    "ccro-aggregate-equivocating" Nothing OneQuorum scopes::ccro_equivocating("ccro-aggregate", 4, &[0], 0),
        "sums of shares: view 0, a commander that equivocates and is its own communication node";
    "ccro-aggregate-after-the-fast-path" Nothing OneQuorum
        scopes::ccro_after_the_fast_path("ccro-aggregate", 0, 1, 1),
        "sums of shares: from where one replica alone holds the FastCertificate of A; one view change, one expiration";
    "ccro-aggregate-after-two-phases" Nothing OneQuorum scopes::ccro_after_two_phases("ccro-aggregate", 0, 1),
        "sums of shares: from where A is decided at one replica and B was given to another; one view change, one expiration";
    "ccro-aggregate-view-change" Nothing OneQuorum scopes::ccro_view_change("ccro-aggregate", 4, 1, 0),
        "sums of shares: an equivocating commander that is its own communication node; one view change";
    "broadcast-double-spend" Nothing Lazy unordered::double_spend(&[1]),
        "secure broadcast, two actors, one of whom pays the same money to two others and proves whatever it can";
    "broadcast-double-spend-2" Nothing OneQuorum unordered::double_spend(&[1, 2]),
        "the same with two batches for each of two numbers";
    "paper-communication-node" Nothing Lazy paper(4, FaultyRoles::CommunicationNode),
        "the published flow, one round, a communication node that announces anything, alone";
    "paper-taking-over" Disagreement Lazy paper(4, FaultyRoles::TakingOver),
        "the published flow, one round, a communication node that is faulty alone and then takes over as commander";
    "paper-taking-over-6" Disagreement Lazy paper(6, FaultyRoles::TakingOver),
        "the same with n = 6, the least that the flow itself counts f = 1 for";
    "paper-commander" Disagreement Lazy paper(4, FaultyRoles::Commander),
        "the published flow, one round, a commander that hands out and stores two blocks, alone";
    "paper-colluding" Disagreement Lazy paper(4, FaultyRoles::Both),
        "the published flow, one round, a commander and a communication node that collude";
    "paper-colluding-6" Disagreement Lazy paper(6, FaultyRoles::Both),
        "the same with n = 6";
};

//! Deliberate weakenings: each switches one rule off, so that a test can show
//! which check catches its absence.
//!
//! Without the feature `weakenings`, which only tests ask for, none can be
//! switched on and [`weakened`] is always false.

/// A rule that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weakening {
    /// A quorum has one replica less than it must.
    QuorumOneLess,
    /// A replica sends COMMIT as soon as it accepted.
    CommitWithoutPrepared,
    /// A backup accepts a second proposal for a slot and votes for it as well.
    SecondProposalAccepted,
    /// A proposal's digest is not compared with its batch.
    DigestNotCompared,
    /// Backups believe a NEW-VIEW's proposals without computing them.
    NewViewNotRecomputed,
    /// Votes reported in VIEW-CHANGEs are ignored: rule (b).
    ReportedVotesIgnored,
    /// Rule (b) counts the reports of each view alone.
    ReportsCountedPerView,
    /// Rule (b) is content with `f` reports.
    ReportsOneLess,
    /// On a tie between (a) and (b), (b) wins.
    TieWonByReports,
    /// A commander does not report its own proposals.
    CommanderNotReported,
    /// What was prepared is forgotten when a view ends.
    PreparedForgotten,
    /// A certificate is taken apart into its votes, and those that others contradict are lost.
    CertificateNotKept,
    /// A FastCertificate needs only `n−1` votes.
    FastPathOneLess,
    /// A certificate may hold one voter twice.
    RepeatedVoterAccepted,
    /// A vote's phase is not part of what is signed.
    PhaseNotSigned,
    /// The session table is emptied when a view begins.
    SessionsLost,
    /// The proof of a checkpoint is not checked.
    CheckpointProofNotChecked,
    /// Slots beyond the high watermark are accepted.
    WatermarkIgnored,
    /// The NEW-VIEW timer never doubles.
    TimerNeverDoubled,
    /// A replica that has left a view alone watches over no requests.
    LoneSuspectRests,
    /// A commander that is late with every proposal is kept.
    SlowCommanderKept,
    /// A commander that leaves requests out of batches with room for them is kept.
    UnfilledBatchesKept,
    /// A commander that leaves a gateway out of one slot after the other is kept.
    UnfairCommanderKept,
    /// Nobody falls back when a communication node does not deliver.
    FallbackNeverTriggered,
    /// A replica that lost its memory votes at once.
    AmnesiacVotes,
    /// A commander that was started again goes on proposing in its view.
    ResumedCommanderProposes,
    /// A backup that was started again casts PREPAREs for slots for which it may have cast others.
    ResumedBackupPrepares,
    /// The chunks of a transferred state are not checked when they come.
    ChunkNotChecked,
    /// Whoever serves a state slowly, wrongly or not at all goes on being asked.
    ServerKeepsItsTurn,
    /// A replica does not compare its state with stable checkpoints.
    DivergenceNotNoticed,
    /// Nothing that may be lost is sent again.
    NothingSentAgain,
    /// A replica votes for proposals of slots below its stable checkpoint that a later view does not know of.
    VotesBelowCheckpoint,
    /// A replica far behind forgets what a view began with, and votes for something else in it.
    BeginningForgotten,
    /// A claim is chosen though a quorum may have prepared something else later (`pbft-mac`).
    HigherClaimIgnored,
    /// A claim is chosen though a quorum may have prepared something else in the same view (`pbft-mac`).
    OtherClaimOfSameView,
    /// The null request is chosen because a single replica claims nothing (`pbft-mac`).
    NullBySilenceOfFew,
    /// What `f` replicas say was decided is believed (`pbft-mac`).
    StatementsOneLess,
    /// A replica that decided a slot does not vote for it in the next view (`pbft-mac`).
    DecidedNotVotedAgain,
    /// A proposal is voted for whose requests are not authentic here (`pbft-mac-requests`).
    DoubtedRequestsAccepted,
    /// A proposal with requests that are not authentic here is one like any other when its view begins (`pbft-mac-requests`).
    DoubtForgotten,
    /// Requests are taken for authentic because `f` replicas vote for them (`pbft-mac-requests`).
    DoubtedRequestsOneLess,
    /// Shares, and sums of shares, are let in unchecked (`ccro-aggregate`).
    SharesNotChecked,
    /// A certificate counts replicas whose shares are known only as part of another sum (`ccro-aggregate`).
    UnknownSharesAdded,
    /// A node believes whoever opens a link to be the peer that it names.
    LinkNotAuthenticated,
    /// A read of the key-value store is answered from the state of the node that is asked.
    StaleReadServed,
    /// A client accepts a result on one matching reply less than it must: `f`.
    FewerRepliesAccepted,
    /// What a replica sends leaves before the inputs behind it are in its journal.
    EffectsBeforeJournal,
    /// A certificate leaves before the vote in it that its maker has sent to nobody is in the journal.
    UnsentVoteNotHeld,
    /// What was written and not synced is taken to be safe.
    UnsyncedTailTrusted,
    /// A journal's torn end is read as if it were whole.
    TornTailTrusted,
    /// A journal goes on after a sync that failed.
    FailedSyncIgnored,
    /// A journal is cut before the replica's new save is whole.
    CutBeforeSaved,
    /// The proof of a broadcast batch is not checked.
    ProofNotChecked,
    /// A member validates a second batch of the same actor and number.
    NumberNotChecked,
    /// What a broadcast batch depends on is not waited for.
    DependencyNotChecked,
    /// Validations by whomever, and of whatever generation of members, make a proof.
    GenerationNotChecked,
    /// A new generation of members does not know what the one before has signed and not proven.
    UnfinishedForgotten,
}

impl Weakening {
    /// All of them.
    pub const ALL: [Weakening; 57] = [
        Weakening::QuorumOneLess,
        Weakening::CommitWithoutPrepared,
        Weakening::SecondProposalAccepted,
        Weakening::DigestNotCompared,
        Weakening::NewViewNotRecomputed,
        Weakening::ReportedVotesIgnored,
        Weakening::ReportsCountedPerView,
        Weakening::ReportsOneLess,
        Weakening::TieWonByReports,
        Weakening::CommanderNotReported,
        Weakening::PreparedForgotten,
        Weakening::CertificateNotKept,
        Weakening::FastPathOneLess,
        Weakening::RepeatedVoterAccepted,
        Weakening::PhaseNotSigned,
        Weakening::SessionsLost,
        Weakening::CheckpointProofNotChecked,
        Weakening::WatermarkIgnored,
        Weakening::TimerNeverDoubled,
        Weakening::LoneSuspectRests,
        Weakening::SlowCommanderKept,
        Weakening::UnfilledBatchesKept,
        Weakening::UnfairCommanderKept,
        Weakening::FallbackNeverTriggered,
        Weakening::AmnesiacVotes,
        Weakening::ResumedCommanderProposes,
        Weakening::ResumedBackupPrepares,
        Weakening::ChunkNotChecked,
        Weakening::ServerKeepsItsTurn,
        Weakening::DivergenceNotNoticed,
        Weakening::NothingSentAgain,
        Weakening::VotesBelowCheckpoint,
        Weakening::BeginningForgotten,
        Weakening::HigherClaimIgnored,
        Weakening::OtherClaimOfSameView,
        Weakening::NullBySilenceOfFew,
        Weakening::StatementsOneLess,
        Weakening::DecidedNotVotedAgain,
        Weakening::DoubtedRequestsAccepted,
        Weakening::DoubtForgotten,
        Weakening::DoubtedRequestsOneLess,
        Weakening::SharesNotChecked,
        Weakening::UnknownSharesAdded,
        Weakening::LinkNotAuthenticated,
        Weakening::StaleReadServed,
        Weakening::FewerRepliesAccepted,
        Weakening::EffectsBeforeJournal,
        Weakening::UnsentVoteNotHeld,
        Weakening::UnsyncedTailTrusted,
        Weakening::TornTailTrusted,
        Weakening::FailedSyncIgnored,
        Weakening::CutBeforeSaved,
        Weakening::ProofNotChecked,
        Weakening::NumberNotChecked,
        Weakening::DependencyNotChecked,
        Weakening::GenerationNotChecked,
        Weakening::UnfinishedForgotten,
    ];
}

/// Whether the rule is switched off.
#[cfg(not(feature = "weakenings"))]
#[inline(always)]
pub fn weakened(_: Weakening) -> bool {
    false
}

#[cfg(feature = "weakenings")]
pub use switch::{assert_detected, weaken, weakened};

#[cfg(feature = "weakenings")]
mod switch {
    use super::Weakening;
    use std::cell::Cell;

    thread_local! {
        static SWITCHED_OFF: Cell<Option<Weakening>> = const { Cell::new(None) };
    }

    /// Whether the rule is switched off on this thread.
    pub fn weakened(rule: Weakening) -> bool {
        SWITCHED_OFF.get() == Some(rule)
    }

    /// Panics unless each check fails without its rule.
    pub fn assert_detected(checks: &[(Weakening, fn())]) {
        for (rule, check) in checks {
            let outcome = std::panic::catch_unwind(|| weaken(*rule, check));
            assert!(outcome.is_err(), "that {rule:?} is off is not detected");
        }
    }

    /// Runs `scenario` on this thread with one rule switched off.
    pub fn weaken<R>(rule: Weakening, scenario: impl FnOnce() -> R) -> R {
        struct Restore;
        impl Drop for Restore {
            fn drop(&mut self) {
                SWITCHED_OFF.set(None);
            }
        }
        let _restore = Restore;
        SWITCHED_OFF.set(Some(rule));
        scenario()
    }
}

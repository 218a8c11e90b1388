//! Every interleaving of small scopes: the replicas that run on HTTP nodes,
//! under [stateright](https://docs.rs/stateright).
//!
//! # The model
//!
//! A *scope* ([`Scope`]) is a cluster, the replicas that run, the requests that
//! they are given at the beginning, what faulty replicas may send, and which timers may
//! expire how often. A state of the model is the local state of every running
//! replica: the replica itself ([`kernel::Protocol`]), its timers, all that it
//! ever sent, and what it decided and executed.
//!
//! * **Network.** What was once sent can be delivered at any later moment, in any
//!   order, any number of times, or never. So loss, delay, duplication and
//!   reordering are all in; safety does not depend on anything else.
//! * **Timers.** A timer that is set may expire at any moment, but only a given
//!   number of times in a run.
//! * **Faulty replicas** have no state. At every moment one may send all that
//!   its [`Forger`] makes of what was sent to it. That is at least as much as any
//!   program with its key could say, as far as the forger's alphabet goes.
//! * **Twins** are running replicas that share an identity. Both get what is sent
//!   to it, and everybody gets what both send: because anything may be lost, that
//!   contains every way of telling them apart by whom they talk to.
//! * Every message goes through [`kernel::Admission`] with symbolic signatures.
//!
//! Properties ([`agree`], [`is_valid`]) are read from marks. Both are broken for
//! good once they are broken, so it is enough to look at some longer run of each
//! run that breaks them.
//!
//! # What is left out, and why that is sound
//!
//! 1. **Pruning.** A delivery that does not change the receiver is no step.
//! 2. **Lazy delivery** ([`Search::Lazy`]). An event at a replica is *silent* if it
//!    sends nothing new and decides nothing: nobody else can tell that it
//!    happened. A *move* is a sequence of silent events and one visible event `m`
//!    at one replica. It is left out if some silent event `x` in it can be put off
//!    to its very end, something visible happens before that, and the replica
//!    ends in the very same state. *Why nothing is lost:* that other order becomes
//!    visible earlier, has the same end, and shows everything no later than the
//!    left-out one: `x` can be delivered later, because nothing that was sent
//!    goes away. By induction over the place of the first visible event, every
//!    run becomes one of moves that are explored, followed by silent events,
//!    which no property looks at. That two orders end alike is not assumed of a
//!    protocol but computed with the replica itself, state by state. For votes
//!    this comes down to: only the set of votes before a threshold matters, and
//!    none that the threshold does not need. One restriction is not computed: no
//!    event comes twice in a move, so a copy of a message counts only after
//!    something visible happened.
//! 3. **One quorum** ([`Search::OneQuorum`]). Of several lazy moves of a replica from
//!    one state that look alike from outside (same messages but for which votes
//!    make up the quorums in them ([`Scope::abstraction`]), same decisions, same timers
//!    expired), the first is kept. They differ in the votes that the replica has
//!    counted. Nor does a move combine votes for different things ([`Scope::topic`]).
//!    *Why nothing should be lost:* the votes of the other moves are still there to
//!    be delivered, a threshold that is passed is not passed again, thresholds count
//!    votes for one thing each, and nothing in PBFT or CCRO is done because a vote
//!    is not there. (Who lacks a share for a certificate of its own in `ccro-aggregate`
//!    sends one that it was sent, which looks alike from outside.)
//!    This is an argument about these protocols and not computed; where a scope
//!    is small enough, a test compares it with the full search.
//!
//! 2 is a partial-order reduction over a network that only grows. Tests compare
//! what can be seen from outside with and without it. Orders of visible moves of different
//! replicas are all explored: choosing one order of each (Foata normal form) was
//! tried and made more states than it saved, because a state then has to know
//! what may still be reordered. There is no symmetry reduction: ids decide who is
//! commander when.
//!
//! # What a result means
//!
//! A scope may begin in the middle of a run ([`Scope::openings`]): then it is every
//! continuation of that beginning that is explored.
//!
//! *Exhausted* means that every state of the scope was seen, up to the 64-bit
//! fingerprints by which stateright tells states apart. It says nothing about
//! more slots, more expirations, other messages of faulty replicas than the forger knows, or
//! messages that the scope loses ([`Scope::lost`]).

mod diagram;
mod history;
mod model;
mod moves;
mod run;
mod scope;
mod table;

pub use diagram::SequenceDiagram;
pub use history::{History, agree, is_valid};
pub use model::Search;
pub use run::{Progress, Report, check};
pub use scope::{Around, Checkable, Forged, Forger, Names, Node, Opening, Scope, requests_of, signers};
pub use table::Reach;

//! The demo: what its participants send each other, and what people type.

use super::text;
use crate::{Limit, Target};
use ::demo::console::Console;
use ::demo::envelope::Envelope;
use ::demo::node::Setup;
use kernel::{Cluster, ClusterId, ReplicaId};
use std::collections::BTreeMap;

/// Envelopes and lines.
pub static DEMO: Target = Target {
    name: "demo",
    reads: "envelopes that come on POST /envelopes of a terminal of harness demo, and lines that are typed there",
    run: demo,
    limit: Limit { bytes: 16 << 20, per_byte: 4096 },
    tries: 100,
};

/// What all participants of the demo know.
pub fn setup() -> Setup {
    let cluster = Cluster::new(ClusterId::derive("demo", 0), "pbft", 4).with_clients(1);
    Setup { cluster, seed: 0, first_session: 1 }
}

/// Each line of an input is an envelope, which the one gets that it is for, or is typed by
/// replica 1. True if there was an envelope.
fn demo(input: &[u8]) -> bool {
    let Some(text) = text(input) else { return false };
    let mut consoles = BTreeMap::new();
    let mut any = false;
    for line in text.lines().take(20) {
        match serde_json::from_str::<Envelope>(line) {
            Ok(envelope) => {
                any = true;
                let console = console_of(&mut consoles, envelope.to.0.min(4));
                console.receive(envelope);
                console.take_out();
            }
            Err(_) => {
                let console = console_of(&mut consoles, 1);
                let _ = (console.line(line), console.prompt(), console.take_out());
            }
        }
    }
    any
}

thread_local! {
    /// The terminals of all participants at their beginning. Making them anew takes longer than an input.
    static FRESH: [Console; 5] = std::array::from_fn(|id| Console::new(setup(), ReplicaId(id as u16), false));
}

/// The terminal of a participant, which begins when it is first needed.
fn console_of(consoles: &mut BTreeMap<u16, Console>, id: u16) -> &mut Console {
    consoles.entry(id).or_insert_with(|| FRESH.with(|fresh| fresh[usize::from(id)].clone()))
}

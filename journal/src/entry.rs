//! One step of a replica, as it is written.

use kernel::record::step_noting;
use kernel::{Bundle, Context, Input, Micros, Protocol, ReplicaId, Verified};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a host did to a replica.
#[derive(Clone, Debug)]
pub enum Given<P: Protocol> {
    /// It gave it an input.
    Input(Input<P>),
    /// It injected these faults into it, each as it is typed, in place of those before.
    Faults(Vec<String>),
}

/// All that a step of a replica depends on.
#[derive(Clone, Debug)]
pub struct Entry<P: Protocol> {
    /// What was done.
    pub given: Given<P>,
    /// The time that was lent, since the replica began first.
    pub now: Micros,
    /// The choices drawn, in order: for each the bound and the number chosen.
    pub choices: Vec<(u64, u64)>,
}

#[derive(Serialize, Deserialize)]
enum Written<M, T> {
    Start,
    Deliver(ReplicaId, M),
    Expire(T),
    Submit(Arc<Bundle>),
    Faults(Vec<String>),
    Resume,
}

/// Bytes that are no entry of this protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{left} bytes from its end, the journal holds no entry of this protocol: {reason}")]
pub struct NoEntry {
    left: usize,
    reason: postcard::Error,
}

/// Gives a replica an input, and writes that as an entry.
pub fn step<P: Protocol>(to: &mut Vec<u8>, replica: &mut P, cx: Context<'_, P>, input: Input<P>) {
    write_input(to, &input);
    let now = cx.now;
    let choices = step_noting(replica, cx, input);
    write_circumstances(to, now, &choices);
}

/// Writes that faults were injected, each as it is typed.
pub fn write_faults<P: Protocol>(to: &mut Vec<u8>, faults: Vec<String>, now: Micros) {
    write::<P>(to, &Entry { given: Given::Faults(faults), now, choices: Vec::new() });
}

/// Writes an entry.
pub fn write<P: Protocol>(to: &mut Vec<u8>, entry: &Entry<P>) {
    match &entry.given {
        Given::Input(input) => write_input(to, input),
        Given::Faults(faults) => append(to, &Written::<&P::Message, P::Timer>::Faults(faults.clone())),
    }
    write_circumstances(to, entry.now, &entry.choices);
}

/// The first part of an entry is what is known before the step, which takes its input by value.
fn write_input<P: Protocol>(to: &mut Vec<u8>, input: &Input<P>) {
    let written: Written<&P::Message, P::Timer> = match input {
        Input::Start => Written::Start,
        Input::Resume => Written::Resume,
        Input::Deliver { from, message } => Written::Deliver(*from, message.get()),
        Input::Expire(timer) => Written::Expire(*timer),
        Input::Submit(bundle) => Written::Submit(Arc::clone(bundle)),
    };
    append(to, &written);
}

fn write_circumstances(to: &mut Vec<u8>, now: Micros, choices: &[(u64, u64)]) {
    append(to, &(now, choices));
}

fn append(to: &mut Vec<u8>, value: &impl Serialize) {
    *to = postcard::to_extend(value, std::mem::take(to)).expect("what a replica is given is plain data");
}

/// Reads the entries that `bytes` hold, one behind the other.
pub fn read<P: Protocol>(mut bytes: &[u8]) -> impl Iterator<Item = Result<Entry<P>, NoEntry>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let left = bytes.len();
        let read = take(bytes);
        // After an error, nothing is known of what follows.
        bytes = read.as_ref().map_or(&[], |(_, rest)| rest);
        Some(read.map(|(entry, _)| entry).map_err(|reason| NoEntry { left, reason }))
    })
}

fn take<P: Protocol>(bytes: &[u8]) -> postcard::Result<(Entry<P>, &[u8])> {
    let (written, rest) = postcard::take_from_bytes::<Written<P::Message, P::Timer>>(bytes)?;
    let ((now, choices), rest) = postcard::take_from_bytes(rest)?;
    let given = match written {
        Written::Start => Given::Input(Input::Start),
        Written::Resume => Given::Input(Input::Resume),
        Written::Deliver(from, message) => {
            Given::Input(Input::Deliver { from, message: Verified::admitted_before(message) })
        }
        Written::Expire(timer) => Given::Input(Input::Expire(timer)),
        Written::Submit(bundle) => Given::Input(Input::Submit(bundle)),
        Written::Faults(faults) => Given::Faults(faults),
    };
    Ok((Entry { given, now, choices }, rest))
}

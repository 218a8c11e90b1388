//! A journal, printed step by step: what the replica saw, did and knew.

use std::io::{self, Write};

use adversary::{Adversary, Timer};
use anyhow::{Context, Result, ensure};
use journal::entry::Given;
use journal::{Durable, Entry};
use kernel::{Bundle, Cluster, Effect, Input, Mark, Protocol, Seq, Status, To, Wire};
use serde_json::{Value, json};

use super::FolderOf;
use super::play::{Moment, Played, Use, Watch};

/// What is printed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown {
    /// Nothing behind the step that executes this slot.
    pub to_seq: Option<Seq>,
    /// Only steps that are about this slot.
    pub slot: Option<Seq>,
    /// What messages hold, and what the replica says of itself after every step.
    pub in_full: bool,
    /// A JSON object in each line.
    pub as_json: bool,
}

/// Prints a journal.
///
/// # Errors
///
/// If it cannot be played, nothing can be printed, or the slot that was asked for is not in it.
pub fn print(folder: &FolderOf, shown: Shown, out: impl Write) -> Result<()> {
    let cluster = folder.cluster()?;
    let mut steps = Steps {
        cluster,
        shown,
        out,
        status: None,
        executed_before: Seq(0),
        is_there: false,
        began_us: 0,
        steps: 0,
        printed: 0,
        failed: Ok(()),
    };
    folder.using(&mut steps)?;
    std::mem::replace(&mut steps.failed, Ok(())).and_then(|()| steps.end(folder)).context("cannot print")?;
    steps.check_that_it_is_there()
}

impl<W: Write> Use for &mut Steps<W> {
    type Output = ();

    fn with<P: Durable>(self, folder: &FolderOf) -> Result<()> {
        folder.play::<P>(self)
    }
}

struct Steps<W> {
    cluster: Cluster,
    shown: Shown,
    out: W,
    status: Option<Status>,
    /// What the replica had executed when the journal begins.
    executed_before: Seq,
    /// The slot behind which nothing is printed was executed.
    is_there: bool,
    began_us: u64,
    steps: u64,
    /// Of these, those that are shown.
    printed: u64,
    failed: io::Result<()>,
}

impl<P: Durable, W: Write> Watch<P> for Steps<W> {
    fn begins(&mut self, replica: &Adversary<P>, at: Moment) {
        self.began_us = at.unix_us;
        let status = replica.status(&self.cluster);
        self.executed_before = status.last_executed;
        self.status = Some(status);
    }

    fn step(&mut self, step: &Played<P>) -> bool {
        let is_in_order = self.is_in_order();
        if self.shown.to_seq.is_some_and(|to| is_in_order && self.executed_before >= to) {
            return false;
        }
        self.steps += 1;
        let status = step.replica.status(&self.cluster);
        if self.shown.slot.is_none_or(|slot| concerns(slot, step.entry, step.effects)) {
            self.printed += 1;
            self.failed = match self.shown.as_json {
                true => self.write_json(step, &status),
                false => self.write_text(step, &status),
            };
        }
        self.is_there = self.shown.to_seq.is_some_and(|to| match is_in_order {
            true => status.last_executed >= to,
            false => decides(to, step.effects),
        });
        self.status = Some(status);
        self.failed.is_ok() && !self.is_there
    }
}

impl<W: Write> Steps<W> {
    /// Whether slots are executed one after the other, as where there are views. In secure broadcast those of each node
    /// are, and what was executed is a number of slots.
    fn is_in_order(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.views.is_some())
    }

    /// Whether the slots that were asked for are in the journal.
    fn check_that_it_is_there(&self) -> Result<()> {
        let before = self.executed_before;
        let executed = self.status.as_ref().map_or(before, |status| status.last_executed);
        if let Some(to) = self.shown.to_seq {
            ensure!(
                self.is_there || self.is_in_order(),
                "slot {to} is not executed in this journal: ask for another one, or leave --to-seq out"
            );
            ensure!(
                self.is_there || to > before,
                "slot {to} is not in this journal: it begins with the state after slot {before}, and what was before \
                 is not kept. Ask for a later one"
            );
            ensure!(
                self.is_there,
                "slot {to} is not in this journal: it ends after slot {executed} was executed. Ask for an earlier one, \
                 or leave --to-seq out"
            );
        }
        if let Some(slot) = self.shown.slot {
            ensure!(
                self.printed > 0,
                "no step of this journal is about slot {slot}{}",
                match (self.is_in_order(), self.shown.to_seq.is_some()) {
                    (false, _) => String::new(),
                    (true, to_seq) => format!(
                        ": it begins with the state after slot {before}, and {} slot {executed} was executed",
                        if to_seq { "was played until" } else { "ends after" }
                    ),
                }
            );
        }
        Ok(())
    }

    fn write_text<P: Durable>(&mut self, step: &Played<P>, status: &Status) -> io::Result<()> {
        let Played { entry, effects, at, .. } = step;
        let seconds = at.unix_us.saturating_sub(self.began_us) as f64 / 1e6;
        writeln!(self.out, "{:>6} {seconds:>11.6} s  {}", at.number, given(entry))?;
        if self.shown.in_full
            && let Some(message) = message_of(entry)
        {
            writeln!(self.out, "{:24}{message}", "")?;
        }
        for (number, effect) in effects.iter().enumerate() {
            // A mark of each kind for each request would hide all else.
            let text = done(effect, self.shown.in_full);
            if !text.is_empty()
                && !effects[..number].iter().any(|earlier| done(earlier, self.shown.in_full) == text)
            {
                writeln!(self.out, "{:24}{text}", "")?;
            }
        }
        if self.shown.in_full || self.status.as_ref().is_none_or(|before| *before != *status) {
            writeln!(self.out, "{:24}now: {}", "", known(status))?;
        }
        Ok(())
    }

    fn write_json<P: Durable>(&mut self, step: &Played<P>, status: &Status) -> io::Result<()> {
        let Played { entry, effects, at, .. } = step;
        let effects: Vec<String> = effects.iter().map(|effect| done(effect, self.shown.in_full)).collect();
        let mut line = json!({
            "step": at.number, "unix_us": at.unix_us, "given": given(entry),
            "effects": effects.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>(), "status": status,
        });
        if self.shown.in_full {
            line["message"] = message_of(entry).unwrap_or(Value::Null);
        }
        writeln!(self.out, "{line}")
    }

    fn end(&mut self, folder: &FolderOf) -> io::Result<()> {
        let known = self.status.as_ref().map_or_else(String::new, known);
        if self.shown.as_json {
            return self.out.flush();
        }
        let torn = match folder.found.torn {
            0 => String::new(),
            torn => format!("; {torn} bytes behind them are torn, as a loss of power leaves them"),
        };
        let node = folder.identity.node;
        writeln!(self.out, "Node {node} after {} steps{torn}: {known}", self.steps)?;
        self.out.flush()
    }
}

fn concerns<P: Protocol>(slot: Seq, entry: &Entry<P>, effects: &[Effect<P>]) -> bool {
    let given = matches!(
        &entry.given,
        Given::Input(Input::Deliver { message, .. }) if message.get().seq() == Some(slot)
    );
    given || effects.iter().any(|effect| seq_of(effect) == Some(slot))
}

/// In secure broadcast, what is decided is executed at once.
fn decides<P: Protocol>(slot: Seq, effects: &[Effect<P>]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Mark(Mark::Committed { seq, .. }) if *seq == slot))
}

fn seq_of<P: Protocol>(effect: &Effect<P>) -> Option<Seq> {
    match effect {
        Effect::Send { message, .. } => message.seq(),
        Effect::Reply { bundle, .. } => Some(bundle.seq),
        Effect::Reject(rejection) => rejection.seq,
        Effect::Mark(mark) => match mark {
            Mark::Proposed { seq, .. }
            | Mark::Accepted { seq, .. }
            | Mark::Committed { seq, .. }
            | Mark::Executed { seq, .. } => Some(*seq),
            _ => None,
        },
        Effect::SetTimer { .. } | Effect::CancelTimer(_) => None,
    }
}

fn given<P: Protocol>(entry: &Entry<Adversary<P>>) -> String {
    match &entry.given {
        Given::Faults(faults) if faults.is_empty() => "no faults are injected any more".into(),
        Given::Faults(faults) => format!("faults are injected: {}", faults.join(", ")),
        Given::Input(Input::Start) => "start".into(),
        Given::Input(Input::Resume) => "started again, with this journal".into(),
        Given::Input(Input::Submit(bundle)) => format!("submitted: {}", requests(bundle)),
        Given::Input(Input::Expire(Timer::Inner { timer, .. })) => format!("timer {timer:?} runs out"),
        Given::Input(Input::Expire(timer)) => format!("timer of a fault runs out: {timer:?}"),
        Given::Input(Input::Deliver { from, message }) => {
            format!("{} from node {from}{}", message.get().kind(), slot(message.get().seq()))
        }
    }
}

fn requests(bundle: &Bundle) -> String {
    let (count, from) = (bundle.requests().len(), bundle.gateway());
    format!("{count} request{} of {from}", if count == 1 { "" } else { "s" })
}

fn slot(seq: Option<Seq>) -> String {
    seq.map_or_else(String::new, |seq| format!(", slot {seq}"))
}

fn message_of<P: Protocol>(entry: &Entry<P>) -> Option<Value> {
    let Given::Input(Input::Deliver { message, .. }) = &entry.given else { return None };
    serde_json::to_value(message.get()).ok()
}

/// What an effect is, in words; nothing for those that only a protocol's author wants to see,
/// unless all is shown.
fn done<P: Protocol>(effect: &Effect<P>, in_full: bool) -> String {
    match effect {
        Effect::Send { to, message } => {
            let to = match to {
                To::All => "all".to_owned(),
                To::One(id) => format!("node {id}"),
            };
            format!("sends {} to {to}{}", message.kind(), slot(message.seq()))
        }
        Effect::Reply { to, bundle } => {
            let count = bundle.replies.len();
            format!(
                "replies to {to}{}: {count} result{}",
                slot(Some(bundle.seq)),
                if count == 1 { "" } else { "s" }
            )
        }
        Effect::Reject(rejection) => format!("refuses what {} sent: {}", rejection.from, rejection.reason),
        Effect::Mark(mark) => in_words(mark, in_full),
        Effect::SetTimer { timer, after } if in_full => format!("sets timer {timer:?} for {} us", after.0),
        Effect::CancelTimer(timer) if in_full => format!("cancels timer {timer:?}"),
        Effect::SetTimer { .. } | Effect::CancelTimer(_) => String::new(),
    }
}

fn in_words(mark: &Mark, in_full: bool) -> String {
    match mark {
        Mark::Committed { seq, path, .. } => format!("decides slot {seq}, {path}"),
        Mark::Executed { seq, .. } => format!("executes slot {seq}"),
        Mark::View(mark) => format!("{mark:?}"),
        Mark::Generation(mark) => format!("{mark:?}"),
        Mark::StateAdopted { .. } | Mark::Diverged { .. } | Mark::Recovered { .. } => format!("{mark:?}"),
        _ if in_full => format!("{mark:?}"),
        _ => String::new(),
    }
}

fn known(status: &Status) -> String {
    let views = status.views.as_ref().map_or_else(String::new, |views| {
        let changing = if views.changing_view { ", which it has left" } else { "" };
        format!("view {}{changing}, stable checkpoint {}, ", views.view, views.stable_checkpoint)
    });
    let (executed, in_flight, waiting) =
        (status.last_executed, status.slots_in_flight, status.requests_waiting);
    let executed = match status.views {
        Some(_) => format!("executed up to {executed}"),
        None => format!("slots executed {executed}"),
    };
    format!("{views}{executed}, slots in flight {in_flight}, requests waiting {waiting}")
}

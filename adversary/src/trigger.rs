//! When a behaviour is in force.

use crate::text::{display_ids, display_time, parse_ids, parse_time};
use kernel::{Micros, ReplicaId, Seq, View};
use std::fmt;

/// Conditions that must all hold. In text each stands in brackets of its own:
/// `drop=0.5[seq=10..20][to=1;2]`.
///
/// `after`, `until` and `view` are about the moment; `seq`, `to` and `kind` are
/// about a message, and no message without a slot is about one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Trigger {
    /// `[after=2s]`: not before the host has run that long.
    pub after: Option<Micros>,
    /// `[until=5s]`: only before.
    pub until: Option<Micros>,
    /// `[view=1..]`: while the node itself is in such a view; never in a protocol
    /// without views.
    pub view: Option<Span>,
    /// `[seq=10..20]`: messages about such a slot.
    pub seq: Option<Span>,
    /// `[to=1;2]`: what passes between the node and these.
    pub to: Vec<ReplicaId>,
    /// `[kind=commit;prepare]`: messages of these kinds.
    pub kind: Vec<String>,
}

/// Numbers from `from` up to but not including `end`; without end if none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first one.
    pub from: u64,
    /// The first one beyond.
    pub end: Option<u64>,
}

/// What triggers know of the present.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Micros,
    pub(crate) view: Option<View>,
}

/// What triggers know of a message; `peer` is none if it goes to all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageTraits {
    pub(crate) seq: Option<Seq>,
    pub(crate) kind: &'static str,
}

impl Span {
    fn contains(self, number: u64) -> bool {
        number >= self.from && self.end.is_none_or(|end| number < end)
    }
}

impl Trigger {
    /// Whether the conditions can be judged without a message.
    pub fn is_about_moments(&self) -> bool {
        self.seq.is_none() && self.to.is_empty() && self.kind.is_empty()
    }

    /// Whether the conditions about the moment hold.
    pub(crate) fn holds(&self, moment: Moment) -> bool {
        self.after.is_none_or(|after| moment.now >= after)
            && self.until.is_none_or(|until| moment.now < until)
            && self.view.is_none_or(|views| moment.view.is_some_and(|view| views.contains(view.0)))
    }

    /// Whether the conditions about a message hold, the peer apart.
    pub(crate) fn covers(&self, message: MessageTraits) -> bool {
        let in_span = |span: Span| message.seq.is_some_and(|seq| span.contains(seq.0));
        self.seq.is_none_or(in_span)
            && (self.kind.is_empty() || self.kind.iter().any(|kind| kind == message.kind))
    }

    /// Whether the condition about the peer holds.
    pub(crate) fn concerns(&self, peer: ReplicaId) -> bool {
        self.to.is_empty() || self.to.contains(&peer)
    }

    /// Adds a condition such as `seq=10..20`.
    pub(crate) fn add(&mut self, condition: &str) -> Result<(), &'static str> {
        const FORMS: &str = "a condition is one of [after=TIME], [until=TIME], [view=A..B], [seq=A..B], [to=ID;ID], [kind=NAME;NAME]";
        let (name, value) = condition.split_once('=').ok_or(FORMS)?;
        let time = || parse_time(value).ok_or("after and until take a time, such as [after=2s]");
        let span = || {
            parse_span(value).ok_or("view and seq take a number or a range, such as [seq=10..20], [seq=7] or [view=1..]; the end is not part of the range")
        };
        let is_new = match name {
            "after" => self.after.replace(time()?).is_none(),
            "until" => self.until.replace(time()?).is_none(),
            "view" => self.view.replace(span()?).is_none(),
            "seq" => self.seq.replace(span()?).is_none(),
            "to" => {
                let ids = parse_ids(value).ok_or("to takes ids, such as [to=1;2]")?;
                std::mem::replace(&mut self.to, ids).is_empty()
            }
            "kind" => {
                let kinds = parse_kinds(value)
                    .ok_or("kind takes kinds of messages, such as [kind=prepare;commit]")?;
                std::mem::replace(&mut self.kind, kinds).is_empty()
            }
            _ => return Err(FORMS),
        };
        is_new.then_some(()).ok_or("each condition can be given once")
    }

    /// Whether the two ends leave anything in between.
    pub(crate) fn is_possible(&self) -> bool {
        let times = self.until.is_none_or(|until| until > self.after.unwrap_or_default());
        let spans = [self.view, self.seq].into_iter().flatten();
        times && spans.into_iter().all(|span| span.end.is_none_or(|end| end > span.from))
    }
}

fn parse_span(text: &str) -> Option<Span> {
    let Some((from, end)) = text.split_once("..") else {
        let number: u64 = text.parse().ok()?;
        return Some(Span { from: number, end: Some(number.checked_add(1)?) });
    };
    if from.is_empty() && end.is_empty() {
        return None;
    }
    let from = if from.is_empty() { 0 } else { from.parse().ok()? };
    let end = if end.is_empty() { None } else { Some(end.parse().ok()?) };
    Some(Span { from, end })
}

fn parse_kinds(text: &str) -> Option<Vec<String>> {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let mut kinds: Vec<String> =
        text.split(';').map(|name| is_name(name).then(|| name.to_owned())).collect::<Option<_>>()?;
    kinds.sort_unstable();
    kinds.dedup();
    Some(kinds)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, self.end) {
            (from, Some(end)) if from.checked_add(1) == Some(end) => write!(f, "{from}"),
            (0, Some(end)) => write!(f, "..{end}"),
            (from, Some(end)) => write!(f, "{from}..{end}"),
            (from, None) => write!(f, "{from}.."),
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(after) = self.after {
            write!(f, "[after={}]", display_time(after))?;
        }
        if let Some(until) = self.until {
            write!(f, "[until={}]", display_time(until))?;
        }
        if let Some(views) = self.view {
            write!(f, "[view={views}]")?;
        }
        if let Some(slots) = self.seq {
            write!(f, "[seq={slots}]")?;
        }
        if !self.to.is_empty() {
            write!(f, "[to={}]", display_ids(&self.to))?;
        }
        if !self.kind.is_empty() {
            write!(f, "[kind={}]", self.kind.join(";"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trigger(conditions: &[&str]) -> Trigger {
        let mut trigger = Trigger::default();
        for condition in conditions {
            trigger.add(condition).unwrap();
        }
        trigger
    }

    #[test]
    fn ranges_leave_their_end_out() {
        let slots = trigger(&["seq=10..12"]);
        let covers = |seq: Option<u64>| slots.covers(MessageTraits { seq: seq.map(Seq), kind: "commit" });
        assert_eq!([9, 10, 11, 12].map(|seq| covers(Some(seq))), [false, true, true, false]);
        assert!(!covers(None), "a message about no slot is about none of these");
        assert!(parse_span("3..").is_some_and(|span| span.contains(u64::MAX) && !span.contains(2)));
        assert!(parse_span("..3").is_some_and(|span| span.contains(0) && !span.contains(3)));
    }

    #[test]
    fn moments_count_from_after_to_until_and_by_view() {
        let trigger = trigger(&["after=2ms", "until=5ms", "view=1"]);
        let holds =
            |millis, view| trigger.holds(Moment { now: Micros::from_millis(millis), view: Some(View(view)) });
        assert_eq!([1, 2, 4, 5].map(|millis| holds(millis, 1)), [false, true, true, false]);
        assert!(!holds(3, 0) && !holds(3, 2));
    }

    #[test]
    fn kinds_and_peers_narrow_it_down() {
        let trigger = trigger(&["kind=prepare;commit", "to=2"]);
        let covers = |kind| trigger.covers(MessageTraits { seq: None, kind });
        assert!(covers("commit") && covers("prepare") && !covers("checkpoint"));
        assert!(trigger.concerns(ReplicaId(2)) && !trigger.concerns(ReplicaId(1)));
    }
}

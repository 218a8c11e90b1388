//! Traces of every kind of line, for properties.

use crate::runs;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trace::{Clock, End, Header, Line, MarkRecord, Message, NodeChange, StateChange, Trace, VotePhase};

const NODES: u16 = 4;
const DEFINED: u32 = 3;

/// Any trace of four nodes, three values and three contents.
pub(crate) fn any_trace() -> impl Strategy<Value = Trace> {
    let bodies = prop::collection::vec(json_value(), DEFINED as usize);
    let timed = prop::collection::vec(timed_line(), 0..40);
    (header(), bodies, timed, any::<u64>(), prop::option::of(".*")).prop_map(
        |(header, bodies, mut timed, t, violation)| {
            timed.sort_by_key(Line::t);
            let values = (0..DEFINED).map(|id| Line::Value { id, digest: format!("{id:064x}") });
            let contents = (0..DEFINED).zip(bodies).map(|(id, body)| Line::Content { id, body });
            let latest = timed.last().and_then(Line::t).unwrap_or(0);
            let lines: Vec<Line> = values.chain(contents).chain(timed).collect();
            let end = End { end: true, lines: lines.len(), t: latest.max(t), digest: None, violation };
            Trace { header, lines, end }
        },
    )
}

fn header() -> impl Strategy<Value = Header> {
    let faults = prop::collection::btree_map(node(), prop::collection::vec(".*", 0..3), 0..3);
    let scenario = prop::option::of(json_value().prop_filter("nothing is no scenario", |it| !it.is_null()));
    (".*", select(vec![Clock::Virtual, Clock::Real]), faults, scenario).prop_map(
        |(title, clock, faults, scenario)| Header { title, clock, faults, scenario, ..runs::header() },
    )
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".*", inner, 0..4).prop_map(|fields| json!(fields)),
        ]
    })
}

fn node() -> impl Strategy<Value = u16> + Clone {
    0..NODES
}

fn value() -> impl Strategy<Value = u32> + Clone {
    0..DEFINED
}

fn phase() -> impl Strategy<Value = VotePhase> {
    select(vec![VotePhase::PrePrepare, VotePhase::Prepare, VotePhase::Commit])
}

/// Small, so that lines are about the same, and now and then at the edge.
fn number() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![0..5u64, 0..2_000_000u64, Just(u64::MAX)]
}

fn timed_line() -> impl Strategy<Value = Line> {
    let vote = (number(), node(), node(), phase(), number(), value(), any::<bool>()).prop_map(
        |(t, node, author, phase, seq, value, contradicts)| Line::Vote {
            t,
            node,
            author,
            phase,
            seq,
            value,
            contradicts,
        },
    );
    prop_oneof![
        4 => message().prop_map(Line::Message),
        2 => vote,
        4 => (number(), node(), deed()).prop_map(|(t, node, mark)| Line::Mark { t, node, mark }),
        1 => (number(), node(), state()).prop_map(|(t, node, state)| Line::State { t, node, state }),
        1 => (number(), node(), change()).prop_map(|(t, node, change)| Line::Node { t, node, change }),
        4 => others(),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let to = prop::collection::vec((node(), prop::collection::vec(number(), 0..3)), 0..4);
    let about = (prop::option::of(number()), prop::option::of(number()), prop::option::of(value()));
    (number(), node(), "[a-z-]{1,12}|.*", value(), about, number(), number(), to).prop_map(
        |(t, from, kind, content, (view, seq, value), bytes, copy, to)| Message {
            t,
            from,
            kind,
            content,
            view,
            seq,
            value,
            bytes,
            copy,
            to,
        },
    )
}

fn deed() -> impl Strategy<Value = MarkRecord> {
    let view = || prop::option::of(number());
    prop_oneof![
        (view(), number(), value(), prop::option::of(node())).prop_map(
            |(view, seq, value, communication_node)| MarkRecord::Proposed {
                view,
                seq,
                value,
                requests: 3,
                communication_node
            }
        ),
        (number(), value()).prop_map(|(seq, value)| MarkRecord::Accepted { seq, value }),
        (phase(), view(), number(), value()).prop_map(|(phase, view, seq, value)| MarkRecord::Voted {
            phase,
            view,
            seq,
            value
        }),
        (view(), number(), value(), ".*").prop_map(|(view, seq, value, path)| MarkRecord::Committed {
            view,
            seq,
            value,
            path
        }),
        (number(), value(), ".*").prop_map(|(seq, value, chain)| MarkRecord::Executed {
            seq,
            value,
            requests: 1,
            chain
        }),
        (view(), any::<u16>(), number()).prop_map(|(seq, gateway, session)| MarkRecord::Applied {
            seq,
            gateway,
            session,
            counter: 1
        }),
        (number(), ".*").prop_map(|(seq, chain)| MarkRecord::StateAdopted { seq, chain }),
        number().prop_map(|seq| MarkRecord::Diverged { seq }),
        (number(), prop::collection::vec(any::<u16>(), 0..4))
            .prop_map(|(number, members)| MarkRecord::GenerationBegan { number, members }),
        number().prop_map(|number| MarkRecord::GenerationAdopted { number }),
        view().prop_map(|view| MarkRecord::Recovered { view }),
        (number(), ".*").prop_map(|(seq, certificate)| MarkRecord::Certified { seq, certificate }),
        (number(), any::<u16>())
            .prop_map(|(seq, communication_node)| MarkRecord::FellBack { seq, communication_node }),
        (any::<u16>(), any::<u16>()).prop_map(|(from, to)| MarkRecord::Rotated { from, to }),
        (number(), prop::collection::vec(any::<u16>(), 0..4)).prop_map(|(seq, trust_milli)| {
            MarkRecord::Trusted { seq, commander: 1, communication_node: 2, trust_milli }
        }),
        number().prop_map(|seq| MarkRecord::Stable { seq }),
        number().prop_map(|view| MarkRecord::LeftFor { view }),
        prop::collection::vec(number(), 0..3).prop_map(|prepared| MarkRecord::Reported {
            stable: 0,
            prepared,
            voted: vec![7]
        }),
        number().prop_map(|view| MarkRecord::ViewBegan { view }),
    ]
}

fn state() -> impl Strategy<Value = StateChange> {
    (prop::option::of(any::<bool>()), prop::option::of(number()), prop::option::of(any::<u16>())).prop_map(
        |(flag, number, node)| StateChange {
            recovering: flag,
            last_executed: number,
            view: number,
            changing_view: flag,
            commander: node,
            communication_node: node,
            ..StateChange::default()
        },
    )
}

fn change() -> impl Strategy<Value = NodeChange> {
    prop_oneof![
        Just(NodeChange::Crashed),
        Just(NodeChange::Restarted),
        prop::collection::vec(".*", 0..3).prop_map(|faults| NodeChange::Behaves { faults }),
    ]
}

fn others() -> impl Strategy<Value = Line> {
    let set = prop::collection::btree_map(".*", ".*", 0..3);
    let gone = prop::collection::vec(".*", 0..3);
    prop_oneof![
        (number(), node(), number(), set, gone).prop_map(
            |(t, node, as_of, set, gone): (_, _, _, BTreeMap<_, _>, _)| {
                Line::App { t, node, as_of, set, gone }
            }
        ),
        (number(), node(), any::<u16>(), prop::option::of(number()), ".*", any::<bool>()).prop_map(
            |(t, node, from, seq, reason, offence)| Line::Rejected { t, node, from, seq, reason, offence }
        ),
        (number(), ".*").prop_map(|(t, change)| Line::Network { t, change }),
        (number(), 0..4u64, node(), json_value()).prop_map(|(t, request, gateway, asks)| Line::Request {
            t,
            request,
            gateway,
            asks
        }),
        (number(), 0..4u64, number(), json_value()).prop_map(|(t, request, seq, result)| Line::Answer {
            t,
            request,
            seq,
            view: 0,
            result
        }),
        (number(), 0..4u64).prop_map(|(t, request)| Line::TimedOut { t, request }),
    ]
}

//! `/metrics`: what a node counts, as Prometheus and other programs read it.

use super::response::{Answer, error, with_type};
use super::status;
use crate::api::{CounterReport, JournalReport, StatusReport};
use crate::host::node::Node;
use hyper::StatusCode;
use kernel::Protocol;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicU64;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics, in the OpenMetrics text format.
pub(super) fn get<P: Protocol>(node: &Node<P>) -> Answer {
    match text(&status::report(node), node.latencies()) {
        Ok(text) => with_type(StatusCode::OK, OPEN_METRICS, text),
        Err(fmt::Error) => error(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written"),
    }
}

fn text(
    report: &StatusReport,
    (latencies, timed_out, refused): (Histogram, u64, u64),
) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("consensus");
    add_replica(&mut registry, report);
    add_traffic(&mut registry, report);
    if let Some(journal) = &report.journal {
        add_journal(&mut registry, journal, &report.counters);
    }
    registry.register(
        "request_seconds",
        "From the receipt of a client's request to the f+1st matching reply, of those decided in time",
        latencies,
    );
    counter(&mut registry, "requests_timed_out", "Requests that were not decided in time", timed_out);
    let help = "Decided requests that the application refused, or for which it found nothing";
    counter(&mut registry, "requests_refused", help, refused);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn add_replica(registry: &mut Registry, report: &StatusReport) {
    let (status, counters) = (&report.replica, &report.counters);
    if let Some(views) = &status.views {
        gauge(registry, "view", "The replica's view", views.view.0);
        let help = "1 while the replica has left its view and waits for the next one";
        gauge(registry, "changing_view", help, u64::from(views.changing_view));
        let help = "1 if the node is the commander of its view";
        gauge(registry, "commander", help, u64::from(views.commander == report.id));
        gauge(registry, "stable_checkpoint", "Slot of the last stable checkpoint", views.stable_checkpoint.0);
    }
    if let Some(membership) = &status.membership {
        gauge(registry, "generation", "Generations of members before this one", membership.generation);
        gauge(registry, "members", "Nodes that are members", membership.members.len() as u64);
    }
    gauge(registry, "last_executed", "The last slot executed", status.last_executed.0);
    gauge(
        registry,
        "recovering",
        "1 while a replica that lost its memory does not vote",
        status.recovering.into(),
    );
    gauge(registry, "diverged", "1 while the replica's state is known to be wrong", status.diverged.into());
    gauge(registry, "slots_in_flight", "Slots begun and not executed", status.slots_in_flight as u64);
    gauge(registry, "requests_waiting", "Requests that are not proposed yet", status.requests_waiting as u64);
    gauge(
        registry,
        "requests_in_flight",
        "Requests whose clients wait here",
        report.requests_in_flight as u64,
    );
    gauge(registry, "peers_reachable", "Peers that take messages now", report.peers_reachable as u64);
    by_label(registry, "commits", "Slots committed, by path", "path", &counters.commits_by_path);
    counter(registry, "view_changes", "Views that began after the first", counters.view_changes);
    let help = "Slots in which this replica gave up on the communication node";
    counter(registry, "fallbacks", help, counters.fallbacks);
    let help = "How often the replica's state was found to be wrong";
    counter(registry, "divergences", help, status.divergences);
}

fn add_journal(registry: &mut Registry, journal: &JournalReport, counters: &CounterReport) {
    let help = "1 if the journal has ended, so that the node takes part in nothing more";
    gauge(registry, "journal_failed", help, u64::from(journal.failure.is_some()));
    let help = "Bytes that would be played if the node were started again now";
    gauge(registry, "journal_bytes", help, journal.bytes);
    let help = "Messages, replies and marks that wait for the disk";
    gauge(registry, "journal_effects_waiting", help, journal.effects_waiting);
    counter(registry, "journal_writes", "How often something was written", journal.writes);
    counter(registry, "journal_syncs", "How often what was written was synced", counters.syncs);
    let seconds = Counter::<f64, AtomicU64>::default();
    seconds.inc_by(counters.sync_us as f64 / 1e6);
    registry.register("journal_sync_seconds", "How long these syncs took together", seconds);
}

fn add_traffic(registry: &mut Registry, report: &StatusReport) {
    let counters = &report.counters;
    by_label(registry, "messages_sent", "Messages to peers, by kind", "kind", &counters.messages_out);
    by_label(registry, "messages_received", "Messages of peers, by kind", "kind", &counters.messages_in);
    counter(registry, "sent_bytes", "Bytes handed to the peer links", counters.bytes_out);
    counter(registry, "received_bytes", "Bytes that came in on the peer links", counters.bytes_in);
    by_label(registry, "messages_rejected", "Messages refused, by reason", "reason", &counters.rejected);
    let help = "Messages that a full queue or an unreachable peer cost";
    counter(registry, "messages_dropped", help, counters.dropped_messages);
    counter(
        registry,
        "votes_corrupt",
        "Votes and proposals that contradict the decision",
        counters.votes_corrupt,
    );
    counter(
        registry,
        "replies_corrupt",
        "Replies that differ from the accepted one",
        counters.corrupt_replies,
    );
    counter(registry, "signatures_made", "Signatures made", counters.signatures_made);
    counter(registry, "signatures_checked", "Signatures checked", counters.signatures_checked);
    if let Some(bytes) = counters.memory_bytes {
        gauge(registry, "memory_bytes", "Resident memory of the process", bytes);
    }
    if let Some(cpu_us) = counters.cpu_us {
        counter(registry, "cpu_microseconds", "CPU time of the process", cpu_us);
    }
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let gauge = Gauge::<i64>::default();
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    registry.register(name, help, gauge);
}

fn counter(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let counter = Counter::<u64>::default();
    counter.inc_by(value);
    registry.register(name, help, counter);
}

fn by_label(
    registry: &mut Registry,
    name: &str,
    help: &str,
    label: &'static str,
    values: &BTreeMap<String, u64>,
) {
    let family = Family::<Vec<(&'static str, String)>, Counter>::default();
    for (value, count) in values {
        family.get_or_create(&vec![(label, value.clone())]).inc_by(*count);
    }
    registry.register(name, help, family);
}

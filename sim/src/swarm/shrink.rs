//! A smaller schedule that breaks the same property.

use super::Flow;
use super::play::play;
use super::schedule::Schedule;
use crate::disk::Disk;
use crate::network::{Delay, Network};
use crate::oracles::Property;
use kernel::Protocol;

/// Runs that shrinking may take.
const MOST_RUNS: usize = 600;

/// Takes away from a schedule what can be spared: clients and their requests,
/// faults, crashes, what the network does, time. What is left breaks the same
/// property, and nothing single of it can be spared any more, if
/// `still_breaks` allows enough runs.
pub fn shrink<P: Protocol + 'static>(flow: &Flow<P>, schedule: &Schedule, property: Property) -> Schedule {
    let breaks = |candidate: &Schedule| {
        flow.must_hold(candidate) == flow.must_hold(schedule)
            && play(flow, candidate).violation.is_some_and(|violation| violation.property == property)
    };
    let mut runs = 0;
    let mut smallest = schedule.clone();
    loop {
        let before = smallest.clone();
        for candidate in candidates(&before) {
            // Candidates were made of an older schedule: each is one step, taken again.
            let step = candidate(&smallest);
            if step == smallest || runs == MOST_RUNS {
                continue;
            }
            runs += 1;
            if breaks(&step) {
                smallest = step;
            }
        }
        if smallest == before || runs == MOST_RUNS {
            return smallest;
        }
    }
}

type Step = Box<dyn Fn(&Schedule) -> Schedule>;

fn step(change: impl Fn(&mut Schedule) + 'static) -> Step {
    Box::new(move |schedule| {
        let mut smaller = schedule.clone();
        change(&mut smaller);
        smaller
    })
}

/// All single steps that could make a schedule smaller, large ones first. Steps
/// that remove by place go from the back, so that places stay right.
fn candidates(schedule: &Schedule) -> Vec<Step> {
    let mut steps = vec![
        step(|s| s.probes = 0),
        step(|s| s.crashes.clear()),
        step(|s| {
            s.disk_faults.clear();
            s.disk = None;
        }),
        step(|s| s.disk_faults.clear()),
        step(|s| s.disk = s.disk.as_ref().map(|_| Disk::quick())),
        step(|s| s.network = Network::default()),
        step(|s| s.network.partitions.clear()),
        step(|s| s.network.loss = 0.0),
        step(|s| s.network.duplication = 0.0),
        step(|s| s.network.reordering = 0.0),
        step(|s| s.network.links.clear()),
        step(|s| s.network.delay = Delay::Constant(100.0)),
    ];
    steps.extend(removals(schedule.clients.len(), |s, place| without(&mut s.clients, place)));
    steps.extend(removals(schedule.faults.len(), |s, place| without(&mut s.faults, place)));
    steps.extend(removals(schedule.crashes.len(), |s, place| without(&mut s.crashes, place)));
    steps.extend(removals(schedule.disk_faults.len(), |s, place| without(&mut s.disk_faults, place)));
    let partitions = schedule.network.partitions.len();
    steps.extend(removals(partitions, |s, place| without(&mut s.network.partitions, place)));
    for (place, fault) in schedule.faults.iter().enumerate() {
        if fault.behaviours.len() > 1 {
            steps.extend(removals(fault.behaviours.len(), move |s, which| {
                if let Some(fault) = s.faults.get_mut(place).filter(|f| f.behaviours.len() > which) {
                    fault.behaviours.remove(which);
                }
            }));
        }
        steps.push(step(move |s| s.faults.iter_mut().skip(place).take(1).for_each(|f| f.from_us = 0)));
    }
    for place in 0..schedule.clients.len() {
        let change = move |change: fn(&mut super::schedule::Client)| {
            step(move |s| s.clients.iter_mut().skip(place).take(1).for_each(change))
        };
        steps.push(change(|client| client.requests = 1));
        steps.push(change(|client| client.requests = client.requests.div_ceil(2)));
        steps.push(change(|client| client.requests = (client.requests - 1).max(1)));
        steps.push(change(|client| client.sessions = 1));
        steps.push(change(|client| client.pause_us = 0));
        steps.push(change(|client| client.begins_us = 0));
    }
    steps.extend(simpler_settings());
    steps
}

fn simpler_settings() -> Vec<Step> {
    vec![
        step(|s| s.heal_us = s.heal_us / 4 + 1),
        step(|s| s.heal_us = s.heal_us / 2 + 1),
        step(|s| s.heal_us = s.heal_us * 9 / 10 + 1),
        step(|s| s.reform = false),
        step(|s| s.settings.batch_max = 1),
        step(|s| s.settings.window = 1),
        step(|s| s.settings.communication = "separate".into()),
        step(|s| s.settings.checkpoint_interval = 128),
    ]
}

/// Takes one entry out, if it is still there.
fn without<T>(entries: &mut Vec<T>, place: usize) {
    if place < entries.len() {
        entries.remove(place);
    }
}

fn removals(count: usize, remove: impl Fn(&mut Schedule, usize) + Copy + 'static) -> Vec<Step> {
    (0..count).rev().map(|place| step(move |s| remove(s, place))).collect()
}

//! `harness compare`: flags to a plan, a plan to an experiment.

use anyhow::{Result, bail};

use crate::cli::{ClusterArgs, CompareArgs, RequestArgs};
use crate::console::warn;
use crate::experiment::Experiment;
use crate::faults;
use crate::floor;
use crate::machine::default_results;
use crate::plan::Plan;
use crate::protocols::ProtocolName;
use crate::stop::Stop;

/// What `compare` measures unless told otherwise.
fn default_plan() -> Plan {
    let scenarios = ["none", "offline:f", "malicious:f", "equivocate@0", "withhold@1"];
    Plan {
        name: "compare".into(),
        protocols: vec![ProtocolName::Pbft, ProtocolName::Ccro, ProtocolName::CcroPaper],
        nodes: vec![4, 7],
        faults: scenarios.map(String::from).into(),
        requests: 100,
        warmup: 10,
        repetitions: 3,
        ..Plan::default()
    }
}

/// The plan that the flags ask for.
pub fn plan_of(args: &CompareArgs) -> Result<Plan> {
    let mut plan = default_plan();
    // Of the defaults, what small clusters cannot have is left out; what was asked
    // for explicitly is refused instead.
    plan.skip_too_small = args.protocol.is_empty();
    plan.skip_impossible_faults = args.cluster.fault.is_empty();
    replace(&mut plan.protocols, &args.protocol);
    replace(&mut plan.nodes, &args.nodes);
    plan.timeout_s = default_timeout_s(&plan.nodes);
    ask(&args.load.asked, &mut plan);
    replace(&mut plan.link_delay_us, &args.load.link_delay_us);
    replace(&mut plan.link_loss, &args.load.link_loss);
    if !args.cluster.fault.is_empty() {
        let scenarios = faults::scenarios(&args.cluster.fault)?;
        plan.faults = scenarios.iter().map(ToString::to_string).collect();
    }
    plan.requests = args.load.requests.unwrap_or(plan.requests);
    plan.warmup = args.load.warmup.unwrap_or(plan.warmup);
    plan.port = args.load.port.or(plan.port);
    plan.give_up_after = args.load.give_up_after.unwrap_or(plan.give_up_after);
    plan.connections = args.load.connections.unwrap_or(plan.connections);
    plan.repetitions = args.load.repetitions.unwrap_or(plan.repetitions);
    apply(&args.cluster, &mut plan);
    Ok(plan)
}

/// Long enough that a request outlives a dead commander, whose successor serves
/// within two request timers; not longer, because every undecided request costs
/// as much time.
fn default_timeout_s(nodes: &[u16]) -> f64 {
    let largest = nodes.iter().max().copied().unwrap_or(4);
    3.0 * pbft::Config::for_cluster(largest).request_after.0 as f64 / 1e6
}

/// Puts the flags about requests into a plan.
pub fn ask(asked: &RequestArgs, plan: &mut Plan) {
    replace(&mut plan.clients, &asked.clients);
    replace(&mut plan.rate, &asked.rate);
    replace(&mut plan.payload_bytes, &asked.payload);
    replace(&mut plan.batch, &asked.batch);
    plan.gateway = asked.gateway.unwrap_or(plan.gateway);
}

fn replace<T: Clone>(list: &mut Vec<T>, given: &[T]) {
    if !given.is_empty() {
        *list = given.to_vec();
    }
}

/// Puts the flags about clusters, faults apart, into a plan.
pub fn apply(args: &ClusterArgs, plan: &mut Plan) {
    plan.seed = args.seed.unwrap_or(plan.seed);
    plan.timeout_s = args.timeout.unwrap_or(plan.timeout_s);
    plan.placement = args.placement.unwrap_or(plan.placement);
    plan.window = args.window.unwrap_or(plan.window);
    plan.fast_wait_ms = args.fast_wait_ms.or(plan.fast_wait_ms);
    plan.fallback_after_ms = args.fallback_after_ms.or(plan.fallback_after_ms);
    plan.request_timer_ms = args.request_timer_ms.or(plan.request_timer_ms);
    plan.resend_after_ms = args.resend_after_ms.or(plan.resend_after_ms);
    plan.communication = args.communication.unwrap_or(plan.communication);
    plan.fast_path &= !args.no_fast_path;
    plan.commander = args.commander.unwrap_or(plan.commander);
    plan.encoding = args.encoding.unwrap_or(plan.encoding);
    plan.pin |= args.pin;
}

/// Runs `harness compare` and returns the exit code.
pub async fn run(args: CompareArgs) -> Result<u8> {
    let plan = plan_of(&args)?;
    if args.out.resume && args.out.out.is_none() {
        bail!("--resume needs the folder of the stopped run: --out DIR");
    }
    let dir = args.out.out.unwrap_or_else(|| default_results(&plan.name));
    let experiment = Experiment::prepare(plan, &dir, args.out.resume)?;
    let stop = Stop::listen()?;
    let floors = tokio::select! {
        floors = floor::measure_quick(experiment.plan(), experiment.dir()) => floors,
        () = stop.wait() => Ok(()),
    };
    if let Err(error) = floors {
        warn(format_args!("The floor could not be measured, so no ratio to it is shown: {error:#}"));
    }
    experiment.run(&stop).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn plan(flags: &[&str]) -> Result<Plan> {
        let cli = Cli::try_parse_from(["harness", "compare"].iter().chain(flags))?;
        let Command::Compare(args) = cli.command else { panic!("not compare") };
        plan_of(&args)
    }

    #[test]
    fn without_flags_three_protocols_two_sizes_five_scenarios() {
        let cells = plan(&[]).unwrap().cells().unwrap();
        assert_eq!(cells.len(), 3 * 2 * 5);
        let names: Vec<&str> = cells.iter().map(|cell| cell.name.as_str()).collect();
        assert!(names.contains(&"ccro-paper-n7-malicious:2"), "{names:?}");
        for cell in &cells {
            // All protocols get the same faulty nodes.
            let alike = cells.iter().find(|c| c.nodes == cell.nodes && c.faults.text == cell.faults.text);
            assert_eq!(cell.faults, alike.unwrap().faults);
        }
    }

    #[test]
    fn small_clusters_leave_out_what_they_cannot_have() {
        for nodes in ["1", "2", "3"] {
            assert!(!plan(&["--nodes", nodes]).unwrap().cells().unwrap().is_empty());
        }
        let refused = plan(&["--nodes", "2", "--protocol", "ccro-paper"]).unwrap().cells();
        assert!(refused.unwrap_err().to_string().contains("at least 3"));
    }

    #[test]
    fn flags_reach_the_plan() {
        let plan = plan(&[
            "--fault",
            "offline:1",
            "--fault",
            "delay=5ms@3",
            "--payload",
            "1,1000000",
            "--rate",
            "50",
            "--timeout",
            "0.25",
            "--no-fast-path",
            "--communication",
            "fixed:2",
            "--seed",
            "9",
        ])
        .unwrap();
        assert_eq!(plan.faults, ["offline:1+delay=5ms@3"]);
        assert_eq!(plan.payload_bytes, [1, 1_000_000]);
        assert_eq!((plan.timeout_us(), plan.fast_path, plan.seed), (250_000, false, 9));
        assert_eq!(plan.rate, [50.0]);
    }
}

//! What work costs in a simulation: nothing, what it costs here, or what is said.

use anyhow::{Context, Result, anyhow, bail};
use sim::Costs;

use crate::console::say;
use crate::floor;
use node::{HopPlan, measure_hops};

const FORMS: &str =
    "give none, measured, or such as sign_us=15,verify_us=40,per_message_us=5,per_byte_ns=1,cores=2";

/// Reads `--costs`. Measured ones are measured when they are asked for, so that
/// bad input is refused first.
pub fn resolve(text: &str) -> Result<Costs> {
    let costs = match text {
        "none" => Costs::default(),
        "measured" => measure()?,
        _ => parse(text)?,
    };
    costs.check().with_context(|| format!("--costs {text}"))?;
    Ok(costs)
}

fn parse(text: &str) -> Result<Costs> {
    let mut costs = Costs::default();
    for part in text.split(',') {
        let (key, value) =
            part.split_once('=').ok_or_else(|| anyhow!("--costs {text}: {part:?} has no value; {FORMS}"))?;
        let number: f64 =
            value.trim().parse().map_err(|_| anyhow!("--costs {text}: {value:?} is no number; {FORMS}"))?;
        match key.trim() {
            "sign_us" => costs.sign_us = number,
            "verify_us" => costs.verify_us = number,
            "per_message_us" => costs.per_message_us = number,
            "per_byte_ns" => costs.per_byte_ns = number,
            "cores" if number.fract() == 0.0 && (1.0..=65_535.0).contains(&number) => {
                costs.cores = Some(number as u16);
            }
            "cores" => bail!("--costs {text}: cores is a whole number, at least 1"),
            other => bail!("--costs {text}: unknown cost {other:?}; {FORMS}"),
        }
    }
    Ok(costs)
}

/// Measures signatures and messages as `harness floor` does: half of a message's
/// CPU time is spent at either end, and what a larger message costs more goes to
/// its bytes. The cores are this machine's.
fn measure() -> Result<Costs> {
    say(format_args!("Measuring what signatures and messages cost on this machine …"));
    let (small, large) = (200, 20_200);
    // On a thread of its own: this one runs the program's own loop already.
    let measured = std::thread::spawn(move || -> Result<(f64, f64)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let plan =
            |message_bytes, burst| HopPlan { message_bytes, round_trips: 200, burst, ..HopPlan::default() };
        let set = tokio::task::LocalSet::new();
        set.block_on(&runtime, async {
            let small = measure_hops(plan(small, 20_000)).await?.streaming.cpu_us_per_message;
            let large = measure_hops(plan(large, 2_000)).await?.streaming.cpu_us_per_message;
            Ok((small, large))
        })
    });
    let (small_us, large_us) = measured
        .join()
        .map_err(|_| anyhow!("the measurement failed"))?
        .context("cannot measure what a message costs; give numbers: --costs per_message_us=5,…")?;
    let per_byte_us = ((large_us - small_us) / (large - small) as f64).max(0.0);
    let signature = floor::signature_costs();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let costs = Costs {
        sign_us: signature.sign_us,
        verify_us: signature.verify_us.min(signature.verify_in_batch_us),
        per_message_us: (small_us - per_byte_us * small as f64).max(0.0) / 2.0,
        per_byte_ns: per_byte_us * 1e3 / 2.0,
        cores: u16::try_from(cores).ok(),
    };
    say(format_args!(
        "Costs: sign_us={:.2},verify_us={:.2},per_message_us={:.2},per_byte_ns={:.3},cores={cores}",
        costs.sign_us, costs.verify_us, costs.per_message_us, costs.per_byte_ns
    ));
    Ok(costs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_read_by_name_and_refused_with_a_way_out() {
        let costs = resolve("sign_us=1.5,cores=2").unwrap();
        assert_eq!((costs.sign_us, costs.cores, costs.verify_us), (1.5, Some(2), 0.0));
        assert!(resolve("none").unwrap().is_free());
        for (bad, says) in [
            ("cheap", "has no value"),
            ("sign_us=x", "no number"),
            ("sign_ms=1", "unknown cost"),
            ("verify_us=-1", "from 0"),
            ("cores=0", "at least 1"),
            ("cores=1.5", "whole number"),
        ] {
            let message = format!("{:#}", resolve(bad).unwrap_err());
            assert!(message.contains(says), "{bad}: {message}");
        }
    }
}

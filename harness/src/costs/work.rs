//! What work costs in a simulation: nothing, what it costs here, or what is said.

use std::hint::black_box;

use anyhow::{Context, Result, anyhow, bail};
use kernel::keys::{seeded, seeded_with_shares};
use kernel::{ShareClaim, Signer};
use node::{Encoding, LinkCostPlan, LinkCosts, Tags, measure_streaming};
use serde::Serialize;
use sim::{Costs, IterationCosts};
use tokio::task::LocalSet;

use super::floor;
use super::overhead;
use crate::base::console::say;
use crate::base::exit::NotMeasured;

const FORMS: &str = "give none, measured, or such as sign_us=15,verify_us=40,per_message_us=5,per_byte_ns=1,cores=2 \
     (and tag_us, tag_per_byte_ns, share_sign_us, share_verify_us, client_us, per_iteration_us, per_chunk_us, batch_us, \
     batch_verify_us, batch_share_us)";

/// Reads `--costs`. Measured ones are measured when they are asked for, so that
/// bad input is refused first.
pub fn resolve(text: &str) -> Result<Costs> {
    let costs = match text {
        "none" => Costs::default(),
        "measured" => {
            say(format_args!("Measuring what signatures and messages cost on this machine …"));
            let costs = measure().context(NotMeasured)?.costs;
            say(format_args!("Costs: {}", as_text(&costs)));
            costs
        }
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
            "tag_us" => costs.tag_us = number,
            "tag_per_byte_ns" => costs.tag_per_byte_ns = number,
            "share_sign_us" => costs.share_sign_us = number,
            "share_verify_us" => costs.share_verify_us = number,
            "client_us" => costs.client_us = number,
            "per_iteration_us" => iteration(&mut costs).per_iteration_us = number,
            "per_chunk_us" => iteration(&mut costs).per_chunk_us = number,
            "batch_us" => iteration(&mut costs).batch_us = number,
            "batch_verify_us" => iteration(&mut costs).batch_verify_us = number,
            "batch_share_us" => iteration(&mut costs).batch_share_us = number,
            "cores" if number.fract() == 0.0 && (1.0..=65_535.0).contains(&number) => {
                costs.cores = Some(number as u16);
            }
            "cores" => bail!("--costs {text}: cores is a whole number, at least 1"),
            other => bail!("--costs {text}: unknown cost {other:?}; {FORMS}"),
        }
    }
    Ok(costs)
}

/// Any cost of iterations makes nodes work in iterations.
fn iteration(costs: &mut Costs) -> &mut IterationCosts {
    costs.iteration.get_or_insert_default()
}

/// What was measured of this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    /// What work costs.
    pub costs: Costs,
    /// What a lone message takes beyond the CPU time of its two ends: waking the
    /// receiver up, microseconds.
    pub wake_us: f64,
}

/// Measures what work costs on this machine: signatures, alone and in batches;
/// messages, in a burst and alone; an answer and the next request, against a server
/// that answers at once. None of these runs a protocol.
pub fn measure() -> Result<Measured> {
    // On a thread of its own: this one runs the program's own loop already.
    let measured = std::thread::spawn(|| -> Result<(LinkFigures, f64)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let plan = LinkCostPlan { message_bytes: SMALL, round_trips: 1_000, ..LinkCostPlan::default() };
        LocalSet::new().block_on(&runtime, async {
            let small = measure_streaming(plan).await?;
            let wide = LinkCostPlan { links: WIDE, burst: 2_000, ..plan };
            let large = LinkCostPlan { message_bytes: LARGE, burst: 2_000, ..plan };
            let figures = LinkFigures {
                small,
                wide_us: measure_streaming(wide).await?.cpu_us_alone,
                large_us: measure_streaming(large).await?.cpu_us_per_message,
            };
            let client = overhead::measure(overhead::answer_at_once()?, 1, 100, 1_000).await?;
            Ok((figures, client.p50_us as f64))
        })
    });
    let (figures, client_us) = measured
        .join()
        .map_err(|_| anyhow!("the measurement failed"))?
        .context("cannot measure what a message costs; give numbers: --costs per_message_us=5,…")?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let costs = Costs { client_us, cores: u16::try_from(cores).ok(), ..signatures(cores)? };
    Ok(Measured {
        costs: with_messages(costs, &figures),
        wake_us: (figures.small.latency_p50_us - figures.small.cpu_us_alone).max(0.0),
    })
}

/// Bytes of the messages measured.
const SMALL: usize = 200;
const LARGE: usize = 20_200;
/// Links of the measurement with many at a time.
const WIDE: usize = 8;

/// What was measured of messages.
struct LinkFigures {
    /// Small ones over one link.
    small: LinkCosts,
    /// CPU time of a small one, alone on its link and beside one on each of the
    /// others, microseconds.
    wide_us: f64,
    /// CPU time of a large one in a burst, microseconds.
    large_us: f64,
}

/// Half of a message's CPU time is spent at either end, and what a larger message
/// costs more goes to its bytes. What a message on one link more costs beyond one in a
/// burst is what writing and reading cost, whatever passes at once; and what the only
/// message of an iteration costs beyond that is the iteration's.
fn with_messages(costs: Costs, figures: &LinkFigures) -> Costs {
    let LinkFigures { small, wide_us, large_us } = figures;
    let per_byte_us = ((large_us - small.cpu_us_per_message) / (LARGE - SMALL) as f64).max(0.0);
    let one_link_more_us = (WIDE as f64 * wide_us - small.cpu_us_alone) / (WIDE - 1) as f64;
    let one_link_more_us = one_link_more_us.clamp(0.0, small.cpu_us_alone);
    let per_chunk_us = (one_link_more_us - small.cpu_us_per_message).max(0.0) / 2.0;
    let per_iteration_us = (small.cpu_us_alone - small.cpu_us_per_message - 2.0 * per_chunk_us).max(0.0);
    Costs {
        per_message_us: (small.cpu_us_per_message - per_byte_us * SMALL as f64).max(0.0) / 2.0,
        per_byte_ns: per_byte_us * 1e3 / 2.0,
        iteration: Some(IterationCosts {
            per_iteration_us,
            per_chunk_us,
            ..costs.iteration.unwrap_or_default()
        }),
        ..costs
    }
}

/// What signatures take where all cores are at work, as they are when nodes share
/// them: the median of threads that measure on all cores at the same time.
fn signatures(cores: usize) -> Result<Costs> {
    let threads: Vec<_> = (0..cores.max(1)).map(|_| std::thread::spawn(signatures_of_one)).collect();
    let measured: Option<Vec<Costs>> = threads.into_iter().map(|thread| thread.join().ok()).collect();
    Ok(median(&measured.context("the measurement of signatures failed")?))
}

/// The median of each, where the floor has the best.
fn signatures_of_one() -> Costs {
    const ROUNDS: usize = 400;
    // So few that both checks below have tables of the signers' keys: they lie on one line.
    const SIGNERS: usize = 8;
    let (signers, keyring) = seeded(1, SIGNERS as u16);
    let claims = floor::claims(&signers);
    let median = |operation: &mut dyn FnMut()| floor::times_us(ROUNDS, operation)[ROUNDS / 2];
    let batch =
        |count: usize| median(&mut || assert!(keyring.verify_all(black_box(&claims[..count]).iter())));
    let (two_us, all_us) = (batch(2), batch(SIGNERS));
    let batch_verify_us = (all_us - two_us).max(0.0) / (SIGNERS - 2) as f64;
    let batch_us = (two_us - 2.0 * batch_verify_us).max(0.0);
    let shares = Shares::measure();
    let batch_share_us = shares.each_more_us;
    let iteration = IterationCosts { batch_us, batch_verify_us, batch_share_us, ..IterationCosts::default() };
    let tag = |bytes: usize| {
        let mut tags = Tags::new([7; 32], Encoding::Binary);
        let frame = vec![0; bytes];
        median(&mut || drop(black_box(tags.head(black_box(&frame)))))
    };
    let (small_us, large_us) = (tag(SMALL), tag(LARGE));
    let tag_per_byte_us = (large_us - small_us).max(0.0) / (LARGE - SMALL) as f64;
    Costs {
        tag_us: (small_us - tag_per_byte_us * SMALL as f64).max(0.0),
        tag_per_byte_ns: tag_per_byte_us * 1e3,
        sign_us: median(&mut || {
            black_box(signers[0].sign(black_box(&claims[0].bytes)));
        }),
        verify_us: median(&mut || assert!(keyring.verify(black_box(&claims[0])))),
        share_sign_us: shares.sign_us,
        share_verify_us: shares.verify_us,
        iteration: Some(iteration),
        ..Costs::default()
    }
}

/// What shares take, medians in microseconds.
struct Shares {
    sign_us: f64,
    verify_us: f64,
    /// One more of the same statement, checked together with others.
    each_more_us: f64,
}

impl Shares {
    fn measure() -> Shares {
        const SHARES: usize = 16;
        const ROUNDS: usize = 20;
        let (signers, keyring) = seeded_with_shares(1, SHARES as u16);
        let statement =
            b"a statement of the length that a vote has, which is some eighty bytes with the digest";
        let claim = |signer: &Signer| ShareClaim {
            voters: [signer.id()].into_iter().collect(),
            bytes: statement.to_vec(),
            sum: signer.sign_share(statement),
        };
        let claims: Vec<ShareClaim> = signers.iter().map(claim).collect();
        let claims: Vec<&ShareClaim> = claims.iter().collect();
        let median = |operation: &mut dyn FnMut()| floor::times_us(ROUNDS, operation)[ROUNDS / 2];
        let verify =
            |count: usize| median(&mut || assert!(keyring.verify_shares(black_box(&claims[..count]))));
        let (one_us, all_us) = (verify(1), verify(SHARES));
        Shares {
            sign_us: median(&mut || {
                black_box(signers[0].sign_share(black_box(statement)));
            }),
            verify_us: one_us,
            each_more_us: (all_us - one_us).max(0.0) / (SHARES - 1) as f64,
        }
    }
}

/// The nearest-rank median of each cost: what disturbed one measurement does not count.
pub fn median(measured: &[Costs]) -> Costs {
    let of = |cost: fn(&Costs) -> f64| {
        let mut values: Vec<f64> = measured.iter().map(cost).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
    };
    Costs {
        sign_us: of(|costs| costs.sign_us),
        verify_us: of(|costs| costs.verify_us),
        per_message_us: of(|costs| costs.per_message_us),
        per_byte_ns: of(|costs| costs.per_byte_ns),
        tag_us: of(|costs| costs.tag_us),
        tag_per_byte_ns: of(|costs| costs.tag_per_byte_ns),
        share_sign_us: of(|costs| costs.share_sign_us),
        share_verify_us: of(|costs| costs.share_verify_us),
        client_us: of(|costs| costs.client_us),
        cores: measured.iter().find_map(|costs| costs.cores),
        iteration: Some(IterationCosts {
            per_iteration_us: of(|costs| costs.iteration.unwrap_or_default().per_iteration_us),
            per_chunk_us: of(|costs| costs.iteration.unwrap_or_default().per_chunk_us),
            batch_us: of(|costs| costs.iteration.unwrap_or_default().batch_us),
            batch_verify_us: of(|costs| costs.iteration.unwrap_or_default().batch_verify_us),
            batch_share_us: of(|costs| costs.iteration.unwrap_or_default().batch_share_us),
        }),
    }
}

/// As `--costs` takes them.
pub fn as_text(costs: &Costs) -> String {
    let mut parts = vec![
        format!("sign_us={:.2}", costs.sign_us),
        format!("verify_us={:.2}", costs.verify_us),
        format!("per_message_us={:.2}", costs.per_message_us),
        format!("per_byte_ns={:.3}", costs.per_byte_ns),
        format!("tag_us={:.2}", costs.tag_us),
        format!("tag_per_byte_ns={:.3}", costs.tag_per_byte_ns),
        format!("share_sign_us={:.1}", costs.share_sign_us),
        format!("share_verify_us={:.1}", costs.share_verify_us),
        format!("client_us={:.1}", costs.client_us),
    ];
    if let Some(iteration) = costs.iteration {
        parts.push(format!("per_iteration_us={:.2}", iteration.per_iteration_us));
        parts.push(format!("per_chunk_us={:.2}", iteration.per_chunk_us));
        parts.push(format!("batch_us={:.2}", iteration.batch_us));
        parts.push(format!("batch_verify_us={:.2}", iteration.batch_verify_us));
        parts.push(format!("batch_share_us={:.1}", iteration.batch_share_us));
    }
    parts.extend(costs.cores.map(|cores| format!("cores={cores}")));
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_read_by_name_and_refused_with_a_way_out() {
        let costs = resolve("sign_us=1.5,cores=2").unwrap();
        assert_eq!((costs.sign_us, costs.cores, costs.verify_us), (1.5, Some(2), 0.0));
        assert!(resolve("none").unwrap().is_free());
        let text = "sign_us=1.50,verify_us=2.00,per_message_us=0.00,per_byte_ns=0.000,tag_us=0.00,tag_per_byte_ns=0.000,share_sign_us=7.0,share_verify_us=8.0,client_us=4.0,\
                    per_iteration_us=5.00,per_chunk_us=3.00,batch_us=0.00,batch_verify_us=0.00,batch_share_us=9.0,cores=2";
        let costs = resolve(text).unwrap();
        assert_eq!(costs.iteration.map(|iteration| iteration.per_chunk_us), Some(3.0));
        assert_eq!(as_text(&costs), text, "what is printed can be given");
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

    #[test]
    fn of_several_measurements_each_cost_is_the_median() {
        let measured = |sign_us, verify_us| Costs { sign_us, verify_us, cores: Some(2), ..Costs::default() };
        let median = median(&[measured(20.0, 9.0), measured(90.0, 3.0), measured(21.0, 1.0)]);
        assert_eq!((median.sign_us, median.verify_us, median.cores), (21.0, 3.0, Some(2)));
    }

    #[test]
    fn a_lone_message_costs_what_one_in_a_burst_does_both_system_calls_and_a_turn() {
        let small = LinkCosts {
            latency_p50_us: 20.0,
            cpu_us_alone: 14.0,
            cpu_us_per_message: 2.0,
            messages_per_s: 0.0,
        };
        // Eight at a time cost 14 and 7 x 8: one link more costs 8, of which 2 are the
        // message's and 6 are for writing and reading; 6 of the 14 are the iteration's.
        let costs =
            with_messages(Costs::default(), &LinkFigures { small, wide_us: 70.0 / 8.0, large_us: 22.0 });
        assert_eq!(costs.per_byte_ns, 0.5);
        assert!((costs.per_message_us - 0.9).abs() < 1e-9, "{costs:?}");
        let iteration = costs.iteration.unwrap();
        assert_eq!((iteration.per_chunk_us, iteration.per_iteration_us), (3.0, 6.0));
        // Where more links at a time cost no less each, there is nothing left for the iteration.
        let costs = with_messages(Costs::default(), &LinkFigures { small, wide_us: 14.0, large_us: 22.0 });
        let iteration = costs.iteration.unwrap();
        assert_eq!((iteration.per_chunk_us, iteration.per_iteration_us), (6.0, 0.0));
    }
}

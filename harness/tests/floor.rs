//! The least time for a decision, from what links, signatures and requests take.

use harness::costs::floor::{RequestCosts, SignatureCosts, floor, work};
use harness::plan::ProtocolName;
use node::{LinkCostReport, LinkCosts};

#[test]
fn the_work_of_a_decision_is_what_the_formulas_say() {
    // Messages of the agreement and n−1 replies to the gateway.
    let pbft = work(ProtocolName::Pbft, 4);
    assert_eq!((pbft.messages, pbft.large), (24.0 + 3.0, 3.0));
    assert_eq!(work(ProtocolName::Ccro, 7).messages, 17.0 + 6.0);
    assert_eq!(work(ProtocolName::CcroPaper, 7).large, 12.0);
    // Bundle, proposal, n−1 PREPAREs, n COMMITs, n replies.
    assert_eq!(pbft.signed, 13.0);
    assert_eq!(work(ProtocolName::Ccro, 4).signed, 9.0);
}

#[test]
fn the_floor_is_the_larger_bound() {
    let figures =
        LinkCosts { latency_p50_us: 10.0, cpu_us_alone: 8.0, cpu_us_per_message: 2.0, messages_per_s: 0.0 };
    let link = LinkCostReport { streaming: figures, one_post_per_message: figures };
    let costs = SignatureCosts { sign_us: 1.0, verify_us: 3.0, verify_in_batch_us: 2.0 };
    let request = RequestCosts { payload_bytes: 1, link_us: 50.0, link_cpu_us: 20.0, hash_us: 5.0 };
    let work = work(ProtocolName::Pbft, 4);
    let floor = floor(ProtocolName::Pbft, 4, 2, work, &link, &request, &costs);
    assert_eq!(floor.critical_path_us, 3.0 * 10.0 + 50.0 + 3.0 * 5.0 + 5.0 + 5.0 * 2.0);
    let total = 24.0 * 2.0 + 3.0 * 20.0 + 8.0 * 5.0 + work.signed + work.checked * 2.0;
    assert_eq!(floor.work_us, total / 2.0);
    assert_eq!(floor.floor_us, floor.critical_path_us.max(floor.work_us));
}

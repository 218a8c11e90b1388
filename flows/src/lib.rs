//! The flows that can be compared, as the simulator plays them: each protocol with the
//! application that it replicates.
//!
//! | module | what it holds |
//! | --- | --- |
//! | this one | the flows for the swarm |
//! | [`waits`] | how long replicas wait for what |
//! | [`options`] | what replicas are configured with |
//! | [`job`] | one run: what it is made of, and how it is played |
//! | [`record`] | a run with a trace of it, and other futures of the same run |

pub mod job;
pub mod options;
pub mod record;
pub mod waits;

use apps::{BankOperation, OpaqueLog};
use broadcast::{Bank, DataType as _};
use kernel::{Application, Micros, ReplicaId, Seq};
use sim::Memory;
use sim::swarm::{Flow, Settings};

/// PBFT.
pub type Pbft = pbft::Replica<OpaqueLog>;
/// CCRO with certificates.
pub type Ccro = ccro::Replica<OpaqueLog>;
/// CCRO as published.
pub type CcroPaper = ccro::paper::Replica<OpaqueLog>;
/// Secure broadcast with a bank.
pub type Broadcast = broadcast::Replica<Bank>;

/// PBFT for the swarm.
pub const PBFT: Flow<Pbft> = Flow {
    name: "pbft",
    make: |settings, n, memory| match memory {
        Memory::Fresh => Pbft::new(pbft_config(settings, n), OpaqueLog::default()),
        Memory::Lost => Pbft::recovering(pbft_config(settings, n), OpaqueLog::default()),
    },
    kept: |replica| kept(replica.core()),
    transferred: |replica| replica.core().transferring().map_or(0, |(received, _)| received),
    state: |replica| replica.core().state_digest(),
    holds: |_, _| Ok(()),
    ask: as_it_is,
    is_total_order: true,
    tolerates: kernel::cluster::max_faulty,
    withstands_faults: true,
};

/// PBFT with authenticators for the swarm: the same replica in a cluster of another name.
pub const PBFT_MAC: Flow<Pbft> = Flow { name: "pbft-mac", ..PBFT };

/// The same with authenticators on requests, for the swarm.
pub const PBFT_MAC_REQUESTS: Flow<Pbft> = Flow { name: "pbft-mac-requests", ..PBFT };

/// CCRO for the swarm.
pub const CCRO: Flow<Ccro> = Flow {
    name: "ccro",
    make: |settings, n, memory| match memory {
        Memory::Fresh => Ccro::new(ccro_config(settings, n), OpaqueLog::default()),
        Memory::Lost => Ccro::recovering(ccro_config(settings, n), OpaqueLog::default()),
    },
    kept: |replica| kept(replica.core()),
    transferred: |replica| replica.core().transferring().map_or(0, |(received, _)| received),
    state: |replica| replica.core().state_digest(),
    holds: |_, _| Ok(()),
    ask: as_it_is,
    is_total_order: true,
    tolerates: kernel::cluster::max_faulty,
    withstands_faults: true,
};

/// CCRO with aggregate certificates for the swarm: the same replica in a cluster of another name.
pub const CCRO_AGGREGATE: Flow<Ccro> = Flow { name: "ccro-aggregate", ..CCRO };

/// The published flow for the swarm: it promises something only where nothing
/// fails.
pub const CCRO_PAPER: Flow<CcroPaper> = Flow {
    name: "ccro-paper",
    make: |settings, n, _| CcroPaper::new(&pbft_config(settings, n), OpaqueLog::default()),
    kept: |_| (0, 0),
    transferred: |_| 0,
    state: CcroPaper::digest,
    holds: |_, _| Ok(()),
    ask: as_it_is,
    is_total_order: true,
    tolerates: ccro::paper::max_faulty,
    withstands_faults: false,
};

/// Secure broadcast for the swarm: all members have an account, and pay each other.
pub const BROADCAST: Flow<Broadcast> = Flow {
    name: "broadcast",
    make: |settings, n, memory| match memory {
        Memory::Fresh => Broadcast::new(broadcast_config(settings), n, funded(n)),
        Memory::Lost => Broadcast::recovering(broadcast_config(settings), n, funded(n)),
    },
    kept: |replica| (replica.batches_kept(), 0),
    transferred: |replica| replica.transferring(),
    state: |member| member.snapshot_digest(),
    holds: is_conserved,
    ask: payment,
    is_total_order: false,
    tolerates: kernel::cluster::max_faulty,
    withstands_faults: true,
};

/// The application takes any bytes.
fn as_it_is(_: ReplicaId, _: u16, asked: &[u8]) -> Vec<u8> {
    asked.to_vec()
}

/// What is in each account at first.
pub const BALANCE: u64 = 100;

/// The account of a node.
pub fn account(owner: u16) -> String {
    format!("{owner}/a")
}

/// A bank in which each node has one account, and the same in it.
pub fn funded(nodes: u16) -> Bank {
    let mut bank = Bank::default();
    for owner in 0..nodes {
        let deposit = BankOperation::Deposit { account: account(owner), amount: BALANCE };
        for operation in [BankOperation::Open { account: account(owner) }, deposit] {
            bank.apply(ReplicaId(owner), &operation.encode());
        }
    }
    bank
}

/// A payment to whomever, of an amount that the account may not have.
fn payment(from: ReplicaId, nodes: u16, asked: &[u8]) -> Vec<u8> {
    let sum: u64 = asked.iter().map(|byte| u64::from(*byte)).sum();
    let to = account((sum % u64::from(nodes)) as u16);
    let transfer = BankOperation::Transfer { from: account(from.0), to, amount: 7 * sum % 60 };
    transfer.encode().0.to_vec()
}

/// No money is made or lost, and no account is below zero.
fn is_conserved(member: &Broadcast, nodes: u16) -> Result<(), String> {
    if let Some((account, balance)) = member.data().balances().find(|(_, balance)| *balance < 0) {
        return Err(format!("{balance} is in account {account}"));
    }
    let (total, paid_in) = (member.data().total(), i128::from(BALANCE) * i128::from(nodes));
    if total == paid_in { Ok(()) } else { Err(format!("{total} is in all accounts, and was {paid_in}")) }
}

fn broadcast_config(settings: &Settings) -> broadcast::Config {
    broadcast::Config {
        batch_max: settings.batch_max,
        resend_after: Micros(settings.resend_after_us),
        checkpoint_interval: settings.checkpoint_interval,
        ..broadcast::Config::default()
    }
}

fn pbft_config(settings: &Settings, n: u16) -> pbft::Config {
    pbft::Config {
        batch_max: settings.batch_max,
        window: settings.window,
        checkpoint_interval: settings.checkpoint_interval,
        request_after: Micros(settings.request_timer_us),
        resend_after: Micros(settings.resend_after_us),
        ..pbft::Config::for_cluster(n)
    }
}

fn ccro_config(settings: &Settings, n: u16) -> ccro::Config {
    ccro::Config {
        pbft: pbft_config(settings, n),
        fast_path: settings.fast_path,
        fast_wait: Micros(settings.fast_wait_us),
        fallback_after: Micros(settings.fallback_after_us),
        communication: settings.communication.parse().expect("schedules are checked when they are read"),
    }
}

/// Slots that are kept, and votes in them.
fn kept<A: Application>(core: &pbft::Core<A>) -> (usize, usize) {
    // Far beyond every watermark: what is kept there is found, too.
    let beyond = core.highest_kept().0 + 16 * core.config().checkpoint_interval;
    let slots = (0..=beyond).filter_map(|seq| core.slot(Seq(seq)));
    slots.fold((0, 0), |(slots, votes), slot| {
        let of_slot: usize =
            slot.rounds.values().map(|round| round.prepares.voters() + round.commits.voters()).sum();
        (slots + 1, votes + of_slot)
    })
}

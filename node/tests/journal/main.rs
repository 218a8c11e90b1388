//! Nodes that keep a journal. A program of its own: one test limits how large its files may be.

#[path = "../node/support/mod.rs"]
#[allow(dead_code, reason = "shared with the other tests, which need more of it")]
mod support;

use journal::{Folder, FolderError, When};
use kernel::Micros;
use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, UsageWho, getrusage, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::time::TimeValLike as _;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::time::Duration;
use support::http::{ask, get_json, post, send};
use support::{Setup, TestCluster, run};

const N: u16 = 4;

async fn start(folder: &std::path::Path, with_journal: &[usize]) -> TestCluster {
    let journals = Some((folder.to_owned(), with_journal.to_vec()));
    TestCluster::start(N, Setup { journals, timeout_ms: Some(3_000), ..Setup::default() }).await
}

async fn decide(cluster: &TestCluster, count: usize) {
    for number in 0..count {
        let answer = ask(cluster.addresses[0], &format!("request {number}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

/// A cluster whose node 3 alone has a journal, and has executed five requests.
async fn start_with_journal_at_3(folder: &std::path::Path) -> TestCluster {
    let cluster = start(folder, &[3]).await;
    decide(&cluster, 5).await;
    cluster.until(3, |status| status["last_executed"] == 5).await;
    cluster
}

#[test]
fn a_node_that_is_killed_is_there_again_as_it_was() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let mut cluster = start(folder.path(), &[0, 1, 2, 3]).await;
        decide(&cluster, 5).await;
        for id in 0..usize::from(N) {
            cluster.until(id, |status| status["last_executed"] == 5).await;
        }
        for id in [1, 0] {
            cluster.kill_node(id).await;
            cluster.restart_node(id).await;
            let status = cluster.status(id).await;
            // Nobody has told it anything since.
            assert_eq!((&status["last_executed"], &status["recovering"]), (&5.into(), &false.into()));
            assert_eq!(status["journal"]["durability"], "fsync");
        }
        // Node 0 orders: it must not order in a slot that it has ordered in before.
        decide(&cluster, 3).await;
        cluster.until(3, |status| status["last_executed"] == 8).await;
        cluster.assert_unharmed();
    });
}

#[test]
fn all_nodes_may_be_killed_at_once() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let mut cluster = start(folder.path(), &[0, 1, 2, 3]).await;
        decide(&cluster, 5).await;
        for id in 0..usize::from(N) {
            cluster.until(id, |status| status["last_executed"] == 5).await;
            cluster.kill_node(id).await;
        }
        for id in 0..usize::from(N) {
            cluster.start_again(id);
        }
        decide(&cluster, 1).await;
        cluster.until(2, |status| status["last_executed"] == 6).await;
    });
}

/// A gateway must not number its sessions as it has before: replicas would take new requests for old ones.
#[test]
fn a_clock_that_is_set_back_harms_nothing() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let mut cluster = start(folder.path(), &[0]).await;
        let session = async |cluster: &TestCluster| {
            let answer = post(cluster.addresses[0], "/preprepare?evidence=true", r#"{"data":"pay"}"#).await;
            let number = &answer.json()["evidence"]["session"]["number"];
            number.as_u64().unwrap_or_else(|| panic!("{}", answer.body))
        };
        let first = session(&cluster).await;
        cluster.kill_node(0).await;
        // As if the clock had been a day ahead, and was set back.
        let path = folder.path().join("node-0");
        let (identity, _) = Folder::look(&path).unwrap().unwrap();
        let ahead = When { unix_us: When::now(Micros(0)).unix_us + 86_400_000_000, elapsed: Micros(0) };
        // What the killed node was still writing ends first.
        let mut opened = Folder::open(&path, identity.clone());
        while let Err(FolderError::InUse(_)) = opened {
            tokio::time::sleep(Duration::from_millis(5)).await;
            opened = Folder::open(&path, identity.clone());
        }
        opened.unwrap().0.begin_generation(ahead).unwrap();
        for _ in 0..2 {
            cluster.restart_node(0).await;
            let later = session(&cluster).await;
            assert!(later >= ahead.unix_us << 12, "{later}, at first {first}");
            cluster.kill_node(0).await;
        }
    });
}

#[test]
fn a_folder_that_is_in_use_is_refused() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let cluster = start(folder.path(), &[0]).await;
        let error = cluster.second_of(0).await.unwrap_err();
        assert!(format!("{error:#}").contains("is in use by a node that runs"), "{error:#}");
    });
}

/// What this process has used.
fn cpu_time() -> Duration {
    let used = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let microseconds = (used.user_time() + used.system_time()).num_microseconds();
    Duration::from_micros(microseconds as u64)
}

/// The limit is that of the whole process, so all that needs it is in one test.
#[test]
#[ignore = "limits the size of all files of the process; run by itself"]
fn with_a_full_disk() {
    // Else the signal would end the process.
    SigSet::from(Signal::SIGXFSZ).thread_block().unwrap();
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let journals = Some((folder.path().to_owned(), vec![3]));
        let patient = Setup { journals, timeout_ms: Some(3_600_000), ..Setup::default() };
        let cluster = TestCluster::start(N, patient).await;
        decide(&cluster, 5).await;
        cluster.until(3, |status| status["last_executed"] == 5).await;
        setrlimit(Resource::RLIMIT_FSIZE, 2_000, 2_000).unwrap();
        // Who asks it when its disk fails is told so, without waiting for an hour; and nothing is tried for ever. Until then, the
        // others decide what it passes on, which promises nothing of its own.
        let asked = async {
            loop {
                let answer = ask(cluster.addresses[3], "lost").await;
                if answer.status != 200 {
                    return answer;
                }
            }
        };
        let lost = tokio::time::timeout(Duration::from_secs(60), asked).await;
        let lost = lost.expect("it does not wait until its time is up");
        assert_eq!(lost.status, 503, "{}", lost.body);
        let says = ["may have been decided or not", "takes part in nothing more"];
        assert!(says.iter().any(|says| lost.body.contains(says)), "{}", lost.body);
        let began = cpu_time();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let spent = cpu_time() - began;
        assert!(spent < Duration::from_millis(500), "{spent:?} of CPU in a second, for nothing");
        // The others decide on.
        decide(&cluster, 30).await;
        let status = cluster.until(3, |status| !status["journal"]["failure"].is_null()).await;
        let executed = status["last_executed"].as_u64().unwrap();
        let failure = status["journal"]["failure"].as_str().unwrap();
        assert!(failure.contains("cannot write the journal"), "{failure}");
        let ready = send(cluster.addresses[3], "GET /ready", "", b"").await;
        assert_eq!(ready.status, 503);
        assert!(ready.body.contains("it has lost its journal"), "{}", ready.body);
        let metrics = send(cluster.addresses[3], "GET /metrics", "", b"").await;
        assert!(metrics.body.contains("consensus_journal_failed 1"), "{}", metrics.body);
        for counted in ["consensus_journal_syncs_total ", "consensus_journal_sync_seconds_total "] {
            let value = metrics.body.lines().find_map(|line| line.strip_prefix(counted));
            assert!(
                value.is_some_and(|value| value.parse::<f64>().is_ok_and(|value| value > 0.0)),
                "{}",
                metrics.body
            );
        }
        let refused = ask(cluster.addresses[3], "too late").await;
        assert_eq!(refused.status, 503, "{}", refused.body);
        // It promises nothing more: not a message leaves it.
        let sent = get_json(cluster.addresses[3], "/status").await["counters"]["messages_out"].clone();
        decide(&cluster, 10).await;
        let status = cluster.status(3).await;
        assert_eq!(status["counters"]["messages_out"], sent);
        assert_eq!(status["last_executed"], executed);
        cluster.assert_unharmed();
    });
}

/// From now on these system calls end with an error, in every thread of the process. A call is given with what must be in
/// its third argument, if that matters.
fn let_fail(calls: &[(i64, Option<i32>)], error: Errno) {
    let rules = calls.iter().map(|(call, flag)| {
        let flag = flag.map(|flag| {
            let has_flag = SeccompCmpOp::MaskedEq(flag as u64);
            SeccompCondition::new(2, SeccompCmpArgLen::Dword, has_flag, flag as u64).unwrap()
        });
        (*call, flag.map(|flag| SeccompRule::new(vec![flag]).unwrap()).into_iter().collect())
    });
    let (fail, architecture) =
        (SeccompAction::Errno(error as u32), std::env::consts::ARCH.try_into().unwrap());
    let filter = SeccompFilter::new(rules.collect(), SeccompAction::Allow, fail, architecture).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    seccompiler::apply_filter_all_threads(&program).unwrap();
}

/// Whatever fails, the node promises nothing more and says why, and the others go on.
async fn node_3_loses_its_journal(cluster: &TestCluster, why: &str) {
    let status = cluster.until(3, |status| !status["journal"]["failure"].is_null()).await;
    let failure = status["journal"]["failure"].as_str().unwrap();
    assert!(failure.contains(why), "{failure}");
    assert_eq!(send(cluster.addresses[3], "GET /ready", "", b"").await.status, 503);
    let sent = status["counters"]["messages_out"].clone();
    decide(cluster, 10).await;
    assert_eq!(cluster.status(3).await["counters"]["messages_out"], sent);
    cluster.assert_unharmed();
}

#[test]
#[ignore = "lets system calls of the whole process fail; run by itself"]
fn with_a_disk_that_cannot_sync() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let cluster = start_with_journal_at_3(folder.path()).await;
        let_fail(&[(libc::SYS_fdatasync, None)], Errno::EIO);
        decide(&cluster, 5).await;
        node_3_loses_its_journal(&cluster, "Input/output error").await;
    });
}

#[test]
#[ignore = "lets system calls of the whole process fail; run by itself"]
fn with_a_folder_made_read_only() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let cluster = start_with_journal_at_3(folder.path()).await;
        // What is open may be written to; the next file cannot be made.
        let_fail(&[(libc::SYS_openat, Some(libc::O_CREAT))], Errno::EROFS);
        // So much that the replica is to be saved.
        let large = "x".repeat(900_000);
        for _ in 0..90 {
            assert_eq!(ask(cluster.addresses[0], &large).await.status, 200);
        }
        node_3_loses_its_journal(&cluster, "Read-only file system").await;
    });
}

#[test]
fn a_disk_that_fails_ends_the_part_of_one_node_and_no_more() {
    for name in ["with_a_full_disk", "with_a_disk_that_cannot_sync", "with_a_folder_made_read_only"] {
        let test = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--ignored", "--nocapture"])
            .output()
            .unwrap();
        let said = [test.stdout, test.stderr].concat();
        assert!(test.status.success(), "{name}: {}", String::from_utf8_lossy(&said));
    }
}

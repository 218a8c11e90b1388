//! The lessons.

use crate::lesson::{End, Lesson, Step};

/// All of them.
pub const LESSONS: [Lesson; 8] =
    [DEPOSIT, WITHDRAW, OVERDRAFT, CONFLICT, CRASH_RECOVER, ROTATION, CHECKPOINT, EQUIVOCATION];

/// The lesson of this name.
///
/// # Errors
///
/// A sentence that says which there are.
pub fn find(name: &str) -> Result<&'static Lesson, String> {
    static ALL: [Lesson; 8] = LESSONS;
    ALL.iter().find(|lesson| lesson.name == name).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|lesson| lesson.name).collect();
        format!("there is no lesson {name:?}; there are {}", names.join(", "))
    })
}

const fn step(text: &'static str, lines: &'static [&'static str], observe: &'static str) -> Step {
    Step { text, lines, observe }
}

/// Alice has 100, decided in slot 1 of view 0.
const ALICE_GETS_100: &[&str] =
    &["P0: tx account=alice,amount=100,operation=deposit", "P1,P2,P3: prepare yes", "all: ack commit"];

const DEPOSIT: Lesson = Lesson {
    name: "deposit",
    title: "a request goes through PRE-PREPARE, PREPARE, COMMIT and REPLY (§4.1, §4.2)",
    steps: &[
        step(
            "The client signs a request and sends it. Nothing is ordered yet.",
            &["client: send account=alice,amount=100,operation=deposit"],
            "The request waits at the commander, P0: only the commander gives out slots.",
        ),
        step(
            "P0 proposes it for slot 1.",
            &["P0: progress"],
            "A proposal counts as P0's vote: 1 of 4. The backups are asked, and say nothing until you do.",
        ),
        step(
            "Two backups accept the proposal.",
            &["P1,P2: prepare yes"],
            "With P0, P1 and P2 there are 2f+1 = 3 votes: the slot is prepared. No other value can get 3 votes in this view, \
             because two sets of 3 out of 4 share two replicas, one of them honest.",
        ),
        step(
            "The third backup accepts as well; it could also be silent.",
            &["P3: prepare yes"],
            "3 of 4 were enough: P3's vote only makes the slot prepared at P3 itself.",
        ),
        step(
            "Each replica that is prepared may send COMMIT.",
            &["P0: progress", "P1: ack commit"],
            "2 of 4: nothing is decided. COMMIT says \"I know of a quorum\": enough replicas must know it, so that every later view learns of it.",
        ),
        step(
            "The third COMMIT decides.",
            &["P2: ack commit"],
            "All replicas execute slot 1 and answer the client. It accepts the result when f+1 = 2 have signed the same.",
        ),
        step(
            "What the replicas and the client know now.",
            &["all: data", "client: list"],
            "The accounts are equal everywhere, also on P3, which sent no COMMIT.",
        ),
    ],
    end: End { executed: 1, view: 0, balances: &[("alice", 100), ("bob", 0), ("carol", 0)] },
    try_next: "Try \"harness demo\" and let two backups say \"prepare no\": the slot stays open until a view change.",
};

const WITHDRAW: Lesson = Lesson {
    name: "withdraw",
    title: "two requests, executed in the order of their slots (§4.2)",
    steps: &[
        step("Alice gets 100 in slot 1.", ALICE_GETS_100, "Decided and executed on all replicas."),
        step(
            "P0 proposes two more: slot 2 takes 30, slot 3 takes 50.",
            &[
                "P0: tx account=alice,amount=30,operation=withdraw",
                "P0: tx account=alice,amount=50,operation=withdraw",
            ],
            "Slots may be in flight together.",
        ),
        step(
            "The later one is decided first.",
            &["P1,P2,P3: prepare yes 3", "all: ack commit 3"],
            "Slot 3 is committed, which is final, but not executed: execution follows the slots without a gap.",
        ),
        step(
            "Now slot 2.",
            &["P1,P2,P3: prepare yes", "all: ack commit"],
            "Slot 2 is executed, and slot 3 right after it: all replicas see the same order.",
        ),
        step("The accounts.", &["all: data"], "100 - 30 - 50 = 20 everywhere."),
    ],
    end: End { executed: 3, view: 0, balances: &[("alice", 20), ("bob", 0), ("carol", 0)] },
    try_next: "Try a transfer: tx account=alice,to=bob,amount=5,operation=transfer",
};

const OVERDRAFT: Lesson = Lesson {
    name: "overdraft",
    title: "consensus orders requests, the bank judges them",
    steps: &[
        step("Alice gets 100 in slot 1.", ALICE_GETS_100, "Decided and executed on all replicas."),
        step(
            "The client asks for more than there is.",
            &["client: send account=alice,amount=500,operation=withdraw", "P0: progress"],
            "The commander does not judge: whether 500 is too much depends on what is ordered before.",
        ),
        step(
            "It is decided like any other request.",
            &["P1,P2,P3: prepare yes", "all: ack commit"],
            "Slot 2 is decided, and its result is a refusal, the same on every replica: the bank is deterministic. f+1 signed it.",
        ),
        step("The accounts.", &["all: data"], "Nothing changed, and nobody had to say no."),
    ],
    end: End { executed: 2, view: 0, balances: &[("alice", 100), ("bob", 0), ("carol", 0)] },
    try_next: "Try an account that does not exist: tx account=dave,amount=1,operation=deposit",
};

const CONFLICT: Lesson = Lesson {
    name: "conflict",
    title: "two commit, two abort: no quorum, no decision, and nothing prepared is lost (§4.2, §4.4)",
    steps: &[
        step(
            "The client asks, P0 proposes, and all accept.",
            &[
                "client: send account=alice,amount=100,operation=deposit",
                "P0: progress",
                "P1,P2,P3: prepare yes",
            ],
            "The slot is prepared on all replicas.",
        ),
        step(
            "P0 and P1 send COMMIT. P2 and P3 do not want to.",
            &["P0,P1: ack commit", "P2,P3: ack abort"],
            "2 of 4 with threshold 3: nothing is decided. PBFT has no abort: silence is all that P2 and P3 have.",
        ),
        step(
            "P3 lies to the client, in its own name and in P2's.",
            &["P3: forge reply", "P3: forge reply as P2", "client: list"],
            "One reply of two needed, and one that P2 did not sign: the client has no result.",
        ),
        step(
            "P1 and P2 ask for another commander.",
            &["P1: view change", "P2: view change"],
            "The others join, as f+1 ask. The VIEW-CHANGEs prove that slot 1 was prepared, so P1 must propose it again.",
        ),
        step(
            "All vote for it in view 1.",
            &["P0,P2,P3: prepare yes", "all: ack commit"],
            "The deposit is decided in view 1: P2 and P3 could delay it, and not undo it.",
        ),
        step(
            "The end.",
            &["all: data", "client: list"],
            "Equal everywhere; the client believes what f+1 have signed.",
        ),
    ],
    end: End { executed: 1, view: 1, balances: &[("alice", 100), ("bob", 0), ("carol", 0)] },
    try_next: "Try one \"ack abort\" instead of two: three COMMITs decide, and the one who said no executes as well.",
};

const CRASH_RECOVER: Lesson = Lesson {
    name: "crash-recover",
    title: "a replica is down, the others go on, and it fetches what it missed (§4.3, §4.4)",
    steps: &[
        step(
            "P3 goes down. Alice gets 100.",
            &[
                "P3: crash",
                "P0: tx account=alice,amount=100,operation=deposit",
                "P1,P2: prepare yes",
                "P0,P1,P2: ack commit",
            ],
            "3 of 4 are a quorum: f = 1 replica may be down or lie, and nobody waits for it.",
        ),
        step("P3 cannot do anything now.", &["P3: prepare yes", "P3: status"], "It knows nothing of slot 1."),
        step(
            "The others go past two checkpoints.",
            &["P0: checkpoint", "P0: checkpoint"],
            "Slots up to 4 are forgotten: nobody can send P3 their votes any more.",
        ),
        step(
            "P3 comes back.",
            &["P3: recover", "P3: status", "all: data"],
            "It got the proof of a stable checkpoint, 2f+1 signatures, and the state that this proves; then the slots after it. \
             It took nobody's word, not even the commander's.",
        ),
        step(
            "P3 is needed again: P2 goes down.",
            &[
                "P2: crash",
                "P0: tx account=alice,amount=1,operation=deposit",
                "P1,P3: prepare yes",
                "P0,P1,P3: ack commit",
                "P2: recover",
            ],
            "P3's votes count as before. P2 gets slot 9 from the others' COMMITs.",
        ),
    ],
    end: End { executed: 9, view: 0, balances: &[("alice", 101), ("bob", 0), ("carol", 0)] },
    try_next: "Try \"crash forget\" and \"recover\": without its memory a replica learns long before it votes.",
};

const ROTATION: Lesson = Lesson {
    name: "rotation",
    title: "the commander is down and is replaced (§4.4)",
    steps: &[
        step(
            "P0, the commander, goes down. The client asks.",
            &["P0: crash", "client: send account=bob,amount=70,operation=deposit"],
            "The backups have the request and may not propose it.",
        ),
        step(
            "P1 asks for a view change.",
            &["P1: view change"],
            "1 of 4: its own vote counts. One replica alone changes nothing, it may be the faulty one.",
        ),
        step(
            "P2 asks too.",
            &["P2: view change"],
            "f+1 = 2 want it, so P3 joins: 3 VIEW-CHANGEs. P1 is commander of view 1 (1 mod 4) and sends NEW-VIEW. It proposes \
             the request that waits.",
        ),
        step(
            "The three decide without P0.",
            &["P2,P3: prepare yes", "P1,P2,P3: ack commit"],
            "The client has its answer: a dead commander costs time, and no request.",
        ),
        step(
            "P0 comes back.",
            &["P0: recover", "P0: status", "P0: tx account=bob,amount=1,operation=deposit"],
            "It gets the NEW-VIEW and slot 1, and is a backup now.",
        ),
    ],
    end: End { executed: 1, view: 1, balances: &[("alice", 0), ("bob", 70), ("carol", 0)] },
    try_next: "Try it with P1 down as well: two of four are more than f, and no view begins until one is back.",
};

const CHECKPOINT: Lesson = Lesson {
    name: "checkpoint",
    title: "2f+1 equal CHECKPOINTs prove a state, and the log can be forgotten (§4.3)",
    steps: &[
        step(
            "Alice gets 100 in slot 1.",
            ALICE_GETS_100,
            "No checkpoint yet: one is due after every 4 slots here.",
        ),
        step(
            "A backup cannot bring it about, and need not.",
            &["P2: checkpoint"],
            "Nobody collects reports: each replica tells all the digest of its own state.",
        ),
        step(
            "P0 fills the slots 2 to 4.",
            &["P0: checkpoint"],
            "After slot 4 each replica signs its state's digest. Three equal ones make the checkpoint stable.",
        ),
        step(
            "What stands now.",
            &["all: status"],
            "The stable checkpoint is the low watermark: a view change starts from it, and a replica that was away fetches it.",
        ),
    ],
    end: End { executed: 4, view: 0, balances: &[("alice", 100), ("bob", 0), ("carol", 0)] },
    try_next: "Try the lesson crash-recover: it shows what the proof is good for.",
};

const EQUIVOCATION: Lesson = Lesson {
    name: "equivocation",
    title: "the commander proposes two values for one slot, a backup votes for two (§4.2)",
    steps: &[
        step(
            "P0 is faulty: P1 and P2 get one proposal for slot 1, P3 gets another.",
            &[
                "P0: tx account=alice,amount=100,operation=deposit to P1,P2 else account=bob,amount=100,operation=deposit",
            ],
            "Both are signed rightly. Nobody sees yet that there are two.",
        ),
        step(
            "All backups vote for what they got.",
            &["P1,P2,P3: prepare yes"],
            "For alice: P0, P1, P2, so 3 of 4. For bob: P0 and P3, so 2. Both cannot reach 3, as P1, P2 and P3 vote once.",
        ),
        step(
            "The prepared ones send COMMIT.",
            &["P0,P1,P2: ack commit"],
            "Alice's deposit is decided. P3 has three COMMITs for a value that it never got: it fetches it from the others and \
             executes the same.",
        ),
        step(
            "Now P3 is faulty: the client asks, and P3 votes one way to P1 and another way to the others.",
            &[
                "client: send account=alice,amount=40,operation=withdraw",
                "P0: progress",
                "P3: prepare no to P1",
                "P3: prepare yes to P0,P2",
                "P1,P2: prepare yes",
            ],
            "P1 does not count what P3 sent it, and has three votes without it.",
        ),
        step(
            "P3 lies in the next phase, and to the client.",
            &[
                "P3: ack abort to P0,P1,P2",
                "P3: forge reply",
                "P3: forge reply as P1",
                "P0,P1,P2: ack commit",
            ],
            "The three honest ones decide. The client refuses what P1 did not sign, and P3 alone is not f+1.",
        ),
        step("The end.", &["all: data", "client: list"], "One liar changed nothing, whatever its role."),
    ],
    end: End { executed: 2, view: 0, balances: &[("alice", 60), ("bob", 0), ("carol", 0)] },
    try_next: "Try a commander that proposes to P1 only: \"tx … to P1\". No quorum, no decision, until a view change.",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lesson::Playing;

    #[test]
    fn every_lesson_ends_as_it_should() {
        for lesson in LESSONS {
            let mut playing = Playing::new(find(lesson.name).unwrap());
            let mut steps = 0;
            while let Some(lines) = playing.step() {
                steps += 1;
                let wrong = lines.iter().find(|line| line.starts_with("there is no"));
                assert_eq!(wrong, None, "{}: {lines:#?}", lesson.name);
            }
            assert_eq!(steps, lesson.steps.len());
            playing.verdict().unwrap_or_else(|wrong| panic!("{}: {wrong}", lesson.name));
        }
    }

    #[test]
    fn a_lesson_that_is_cut_short_does_not_end_as_it_should() {
        for lesson in LESSONS {
            let mut playing = Playing::new(find(lesson.name).unwrap());
            playing.step();
            assert!(playing.verdict().is_err(), "{}", lesson.name);
        }
    }

    #[test]
    fn an_unknown_lesson_is_refused_with_those_that_there_are() {
        let error = find("chaos").unwrap_err();
        assert!(
            error.starts_with("there is no lesson \"chaos\"; there are deposit, withdraw, overdraft"),
            "{error}"
        );
    }
}

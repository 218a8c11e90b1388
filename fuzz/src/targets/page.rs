//! What the page asks of its module, and the lessons that people write for it.

use super::text;
use crate::{Limit, Target};
use serde_json::Value;
use viewer::scenario::Scenario;
use viewer::{ask, lessons};

/// Questions.
pub static QUESTIONS: Target = Target {
    name: "questions",
    reads: "questions of the page as JSON: scenarios from its form and its address, traces and lessons that were \
            dropped on it",
    run: questions,
    limit: Limit { bytes: 64 << 20, per_byte: 4096 },
    tries: 300,
};

/// True if there is an answer without a problem.
fn questions(input: &[u8]) -> bool {
    let Some(text) = text(input) else { return false };
    let question: Value = serde_json::from_str(text).unwrap_or_default();
    if question["do"] == "play" {
        // To play takes as long as the scenario says: only small ones are.
        let Ok(scenario) = serde_json::from_value::<Scenario>(question["scenario"].clone()) else {
            return is_answered(text);
        };
        let Ok(ready) = scenario.ready() else { return is_answered(text) };
        let again = Scenario::of(&ready.job).map(|again| again.ready().is_ok());
        assert_ne!(again, Some(false), "a scenario that is written can be played");
        let is_small = ready.job.nodes <= 4 && ready.limit_us <= 2_000_000;
        return if is_small { is_answered(text) } else { true };
    }
    is_answered(text)
}

fn is_answered(question: &str) -> bool {
    let answer: Value = serde_json::from_str(&ask::answer(question)).expect("an answer is JSON");
    answer.get("errors").is_none()
}

/// Lessons.
pub static LESSONS: Target = Target {
    name: "lessons",
    reads: "lessons of the page, which are TOML",
    run: lessons,
    limit: Limit { bytes: 8 << 20, per_byte: 1024 },
    tries: 300,
};

fn lessons(input: &[u8]) -> bool {
    let Some(text) = text(input) else { return false };
    match lessons::read("own", text) {
        Ok(_) => true,
        Err(problems) => problems.is_empty(),
    }
}

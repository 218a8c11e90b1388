//! The lessons, which are files in `lessons/`; its README says what each field means.

use crate::scenario::{Problem, Scenario};
use serde::{Deserialize, Serialize};

/// Every lesson's file name, without its ending, and text.
const FILES: [(&str, &str); 9] = [
    ("01-why-four", include_str!("../lessons/01-why-four.toml")),
    ("02-equivocating-commander", include_str!("../lessons/02-equivocating-commander.toml")),
    ("03-the-commander-dies", include_str!("../lessons/03-the-commander-dies.toml")),
    ("04-communication-node", include_str!("../lessons/04-communication-node.toml")),
    ("05-ccro-as-published", include_str!("../lessons/05-ccro-as-published.toml")),
    ("06-beyond-f", include_str!("../lessons/06-beyond-f.toml")),
    ("07-without-consensus", include_str!("../lessons/07-without-consensus.toml")),
    ("08-without-signatures", include_str!("../lessons/08-without-signatures.toml")),
    ("09-write-a-lesson", include_str!("../lessons/09-write-a-lesson.toml")),
];

/// Steps at most.
const MOST_STEPS: usize = 12;

/// A run, moments of it to point at, and something to try.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lesson {
    /// The name of its file; not written in it.
    #[serde(default, skip_deserializing)]
    pub name: String,
    /// A line.
    pub title: String,
    /// A sentence or two.
    pub summary: String,
    /// What is played.
    pub scenario: Scenario,
    /// What is shown beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<Scenario>,
    /// One after the other.
    pub steps: Vec<Step>,
    /// What to do at the end.
    pub r#try: Try,
}

/// A step of a lesson.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What to look at.
    pub text: String,
    /// The moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
    /// The node that is marked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select: Option<Selection>,
    /// Where to look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// What is played from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<Scenario>,
}

/// What a lesson ends with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Try {
    /// What to change, and what should be seen.
    pub text: String,
    /// What is loaded for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<Scenario>,
}

/// See [`Step::select`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// By id.
    pub node: u16,
}

/// A part of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are those on the page")]
pub enum Part {
    Graph,
    Spacetime,
    Log,
    State,
    Form,
    Lessons,
    Compare,
}

/// The first event for which all of this holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Moment {
    /// What kind of event it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<Event>,
    /// The name of its mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// The kind of its message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Where it happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<u16>,
    /// The sender of its message, or the author of its vote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u16>,
    /// The recipient of its message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<u16>,
    /// Its slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Its view.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view: Option<u64>,
    /// The phase of its vote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<trace::VotePhase>,
    /// Not the first, but the nth; from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// The end of the run.
    #[serde(skip_serializing_if = "is_false")]
    pub end: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are those of the log")]
pub enum Event {
    Departure,
    Arrival,
    Vote,
    Quorum,
    Mark,
    Rejected,
    Node,
    Network,
    Request,
    Answer,
    TimedOut,
}

/// All lessons of the page.
///
/// # Errors
///
/// What is wrong with which one.
pub fn all() -> Result<Vec<Lesson>, Vec<Problem>> {
    FILES.into_iter().map(|(name, text)| read(name, text)).collect()
}

/// A lesson that somebody wrote.
///
/// # Errors
///
/// What is wrong with it, and where.
pub fn read(name: &str, text: &str) -> Result<Lesson, Vec<Problem>> {
    let mut lesson: Lesson =
        toml::from_str(text).map_err(|error| vec![Problem::new(name, with_line(text, &error))])?;
    lesson.name = name.into();
    let mut problems = Vec::new();
    if !(1..=MOST_STEPS).contains(&lesson.steps.len()) {
        let problem = format!("{} steps; a lesson has 1 to {MOST_STEPS}", lesson.steps.len());
        problems.push(Problem::new(format!("{name}.steps"), problem));
    }
    for (field, scenario) in lesson.scenarios() {
        for problem in scenario.ready().err().into_iter().flatten() {
            problems.push(Problem::new(format!("{name}.{field}.{}", problem.field), problem.problem));
        }
    }
    if problems.is_empty() { Ok(lesson) } else { Err(problems) }
}

/// An error in a sentence, with the line that it is in.
fn with_line(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| format!("line {}: ", before.matches('\n').count() + 1));
    format!("{}{}", line.unwrap_or_default(), error.message().replace('\n', "; "))
}

impl Lesson {
    /// All that it plays, and where it says so.
    fn scenarios(&self) -> Vec<(String, &Scenario)> {
        let steps = self.steps.iter().enumerate();
        let steps = steps
            .filter_map(|(at, step)| Some((format!("step {}.scenario", at + 1), step.scenario.as_ref()?)));
        let of_try = self.r#try.scenario.as_ref();
        let own = [
            ("scenario", Some(&self.scenario)),
            ("compare", self.compare.as_ref()),
            ("try.scenario", of_try),
        ];
        let own = own.into_iter().filter_map(|(field, scenario)| Some((field.to_owned(), scenario?)));
        own.chain(steps).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lesson_can_be_read_and_none_is_left_out() {
        let lessons = all().unwrap();
        let mut names: Vec<String> = lessons.iter().map(|lesson| format!("{}.toml", lesson.name)).collect();
        names.push("README.md".into());
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/lessons")).unwrap();
        let mut files: Vec<String> =
            folder.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        names.sort();
        assert_eq!(names, files);
    }

    #[test]
    fn a_lesson_that_cannot_be_meant_is_refused_by_field() {
        let (_, good) = FILES[0];
        let problem = |text: &str| {
            let problems = read("own", text).unwrap_err();
            format!("{}: {}", problems[0].field, problems[0].problem)
        };
        let unknown = problem(&good.replacen("title", "titel", 1));
        assert!(unknown.starts_with("own: line 1: unknown field `titel`"), "{unknown}");
        let unclosed = problem("title = \"a\"\nsummary = \"b");
        assert!(unclosed.starts_with("own: line 2: "), "{unclosed}");
        let nodes = problem(&good.replacen("nodes = 4", "nodes = 0", 1));
        assert!(nodes.starts_with("own.scenario.nodes: 0 nodes"), "{nodes}");
        let without_steps = "title = \"a\"\nsummary = \"b\"\nsteps = []\n[scenario]\nprotocol = \"pbft\"\nnodes = 4\n[try]\ntext = \"c\"";
        assert_eq!(problem(without_steps), "own.steps: 0 steps; a lesson has 1 to 12");
    }
}

//! Questions of the page, and their answers.

use crate::lessons::{self, Lesson};
use crate::scenario::{Problem, Scenario};
use flows::record::Recorded;
use serde::{Deserialize, Serialize};
use trace::Trace;
use trace::export::{self, Selection};

/// What the page asks.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
enum Question {
    /// Play a scenario.
    Play { scenario: serde_json::Value },
    /// Is this a whole trace?
    Check { trace: String },
    /// Write it in another form.
    Export {
        trace: String,
        #[serde(rename = "as")]
        form: Form,
    },
    /// Which lessons are there?
    Lessons,
    /// Is this text a lesson?
    Lesson { name: String, text: String },
}

/// A form in which a trace can be written.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    Msc,
    Mermaid,
    Svg,
    Chrome,
}

/// What it is told.
#[derive(Debug, Default, Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lessons: Option<Vec<Lesson>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Problem>,
}

/// Answers a question, both as JSON. What is wrong is an answer as well.
pub fn answer(question: &str) -> String {
    let question = serde_json::from_str(question).map_err(|error| vec![Problem::new("", error.to_string())]);
    let answer = question.and_then(answer_to).unwrap_or_else(|errors| Answer { errors, ..Answer::default() });
    serde_json::to_string(&answer).expect("an answer is plain data")
}

fn answer_to(question: Question) -> Result<Answer, Vec<Problem>> {
    let nothing = Answer::default();
    Ok(match question {
        Question::Play { scenario } => Answer { trace: Some(play(scenario)?.to_text()), ..nothing },
        Question::Check { trace } => {
            parse(&trace)?;
            nothing
        }
        Question::Export { trace, form } => Answer { text: Some(export(&parse(&trace)?, form)?), ..nothing },
        Question::Lessons => Answer { lessons: Some(lessons::all()?), ..nothing },
        Question::Lesson { name, text } => {
            Answer { lessons: Some(vec![lessons::read(&name, &text)?]), ..nothing }
        }
    })
}

fn parse(text: &str) -> Result<Trace, Vec<Problem>> {
    Trace::parse(text).map_err(|error| vec![Problem::new("trace", error.to_string())])
}

fn export(trace: &Trace, form: Form) -> Result<String, Vec<Problem>> {
    let all = Selection::default();
    let text = match form {
        Form::Msc => export::msc(trace, &all),
        Form::Mermaid => export::mermaid(trace, &all),
        Form::Svg => export::svg(trace, &all),
        Form::Chrome => export::chrome(trace, &all),
    };
    text.map_err(|error| vec![Problem::new("trace", error.to_string())])
}

/// Plays a scenario.
///
/// # Errors
///
/// Every field that breaks a rule.
pub fn play(scenario: serde_json::Value) -> Result<Trace, Vec<Problem>> {
    let read: Scenario = serde_path_to_error::deserialize(&scenario)
        .map_err(|error| vec![Problem::new(error.path().to_string(), error.inner().to_string())])?;
    let ready = read.ready()?;
    let title = format!("{} with {} nodes, seed {}", read.protocol, read.nodes, read.seed);
    let scenario = Some(scenario);
    Ok(Recorded { job: &ready.job, edits: &ready.edits, limit_us: ready.limit_us, title, scenario }.play())
}

//! One terminal for all participants, by hand or as a lesson.

use std::io::{self, IsTerminal};

use anyhow::Result;
use demo::lesson::{Lesson, Playing};
use demo::local::Local;

use super::prompt::{Prompt, Typed};
use crate::base::console::{say, warn};
use crate::base::exit::NOT_LIVE;

/// What stands before the cursor between two steps.
const GO_ON: &str = "Enter goes on, q leaves> ";

/// Takes lines until the person leaves, and returns the exit code.
///
/// # Errors
///
/// If the terminal or the input cannot be read.
pub fn run(mut local: Local) -> Result<u8> {
    let mut prompt = Prompt::new()?;
    loop {
        match prompt.next(&local.prompt())? {
            Typed::Line(typed) => {
                let answer = local.line(&typed);
                answer.lines.iter().for_each(say);
                if answer.quits {
                    return Ok(0);
                }
            }
            Typed::Interrupted => say("Ctrl-D or \"quit\" leaves the demo"),
            Typed::End => return Ok(0),
        }
    }
}

/// Plays a lesson, step by step where a person can say when, and returns the exit code.
///
/// # Errors
///
/// If the terminal cannot be read.
pub fn play(lesson: &'static Lesson, at_once: bool) -> Result<u8> {
    let mut prompt = if at_once || !io::stdin().is_terminal() { None } else { Some(Prompt::new()?) };
    let mut playing = Playing::new(lesson);
    say(playing.title());
    while let Some(lines) = playing.step() {
        say("");
        lines.iter().for_each(say);
        if let Some(prompt) = &mut prompt {
            match prompt.next(GO_ON)? {
                Typed::Line(typed) if !typed.trim().eq_ignore_ascii_case("q") => {}
                _ => return Ok(0),
            }
        }
    }
    say("");
    match playing.verdict() {
        Ok(verdict) => say(verdict),
        Err(wrong) => {
            warn(format_args!("error: the lesson did not end as it should: {wrong}; please report this"));
            return Ok(NOT_LIVE);
        }
    }
    say(playing.try_next());
    match prompt {
        Some(_) => run(playing.into_local()),
        None => Ok(0),
    }
}

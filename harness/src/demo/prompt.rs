//! Where lines come from: a terminal, with editing, history and completion, or a pipe.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Context as _, Result};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Context, Editor, ExternalPrinter, Helper, Highlighter, Hinter, Validator};

use crate::base::console::{note, say};
use demo::command::WORDS;
use demo::help::topics;
use demo::operation::ACCOUNTS;

/// What came from the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// A line.
    Line(String),
    /// Ctrl-C: the line was given up.
    Interrupted,
    /// Ctrl-D, or the end of the pipe.
    End,
}

/// The terminal or the pipe.
pub enum Prompt {
    /// A person types.
    Terminal(Box<Editor<Words, MemHistory>>),
    /// A script is read. What it types is shown as a terminal would.
    Pipe,
}

impl Prompt {
    /// A terminal if the input is one.
    ///
    /// # Errors
    ///
    /// If the terminal cannot be used.
    pub fn new() -> Result<Prompt> {
        if !io::stdin().is_terminal() {
            return Ok(Prompt::Pipe);
        }
        let config = Config::builder().auto_add_history(true).build();
        let mut editor = Editor::with_history(config, MemHistory::new())
            .context("the terminal cannot be used; a script can be piped in instead")?;
        editor.set_helper(Some(Words));
        Ok(Prompt::Terminal(Box::new(editor)))
    }

    /// Something that prints lines above the one that is being typed; none on a pipe.
    pub fn printer(&mut self) -> Option<Box<dyn ExternalPrinter + Send>> {
        let Prompt::Terminal(editor) = self else { return None };
        let printer = editor.create_external_printer().ok()?;
        Some(Box::new(printer))
    }

    /// Waits for the next line.
    ///
    /// # Errors
    ///
    /// If the input cannot be read.
    pub fn next(&mut self, prompt: &str) -> Result<Typed> {
        match self {
            Prompt::Terminal(editor) => match editor.readline(prompt) {
                Ok(line) => Ok(Typed::Line(line)),
                Err(ReadlineError::Interrupted) => Ok(Typed::Interrupted),
                Err(ReadlineError::Eof) => Ok(Typed::End),
                Err(error) => Err(error).context("the terminal cannot be read"),
            },
            Prompt::Pipe => {
                let mut line = String::new();
                let read = io::stdin().lock().read_line(&mut line);
                if read.context("the input cannot be read; it must be text")? == 0 {
                    return Ok(Typed::End);
                }
                let line = line.trim_end_matches(['\n', '\r']).to_owned();
                say(format_args!("{prompt}{line}"));
                note(io::stdout().flush());
                Ok(Typed::Line(line))
            }
        }
    }
}

/// Completes commands, names and accounts.
#[derive(Helper, Hinter, Highlighter, Validator)]
pub struct Words;

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete(&line[..at]))
    }
}

/// Where the completed part begins, and what it can be.
fn complete(typed: &str) -> (usize, Vec<String>) {
    let begin = typed.find(": ").map_or(0, |at| at + 2);
    let command = &typed[begin..];
    if let Some(topic) = command.strip_prefix("help ") {
        let topics = topics().filter(|known| known.starts_with(topic)).map(str::to_owned);
        return (begin + "help ".len(), topics.collect());
    }
    let words: Vec<String> =
        WORDS.iter().filter(|word| word.starts_with(command)).map(|word| (*word).to_owned()).collect();
    if !words.is_empty() {
        return (begin, words);
    }
    let begin = typed.rfind([' ', ',']).map_or(0, |at| at + 1);
    let part = &typed[begin..];
    let accounts = ACCOUNTS.iter().map(|account| format!("account={account},amount="));
    let operations = ["deposit", "withdraw", "transfer", "open", "balance"];
    let operations = operations.iter().map(|operation| format!("operation={operation}"));
    (begin, accounts.chain(operations).filter(|word| !part.is_empty() && word.starts_with(part)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_the_parts_of_an_operation_are_completed() {
        for (typed, begin, words) in [
            ("prep", 0, &["prepare yes", "prepare no"][..]),
            ("ack c", 0, &["ack commit"]),
            ("P1,P2: vi", 7, &["view change"]),
            ("tx acc", 3, &["account=alice,amount=", "account=bob,amount=", "account=carol,amount="]),
            (
                "send account=bob,amount=5,op",
                26,
                &[
                    "operation=deposit",
                    "operation=withdraw",
                    "operation=transfer",
                    "operation=open",
                    "operation=balance",
                ],
            ),
            ("tx ", 3, &[]),
            ("help v", 5, &["view change"]),
        ] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(complete(typed), (begin, words), "{typed}");
        }
    }
}

//! Plays a lesson: what is explained, what is typed, what comes of it, and whether the end is
//! as it should be.

use kernel::{Cluster, ClusterId};

use crate::local::Local;
use crate::names::name;
use crate::node::{Node, Setup};

/// A script that explains itself. It is played with four replicas.
#[derive(Debug)]
pub struct Lesson {
    /// As it is asked for.
    pub name: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// What happens, in order.
    pub steps: &'static [Step],
    /// How it ends.
    pub end: End,
    /// What to try next.
    pub try_next: &'static str,
}

/// A step of a lesson.
#[derive(Debug)]
pub struct Step {
    /// What is done, and why.
    pub text: &'static str,
    /// What is typed.
    pub lines: &'static [&'static str],
    /// What is to be seen in what comes of it.
    pub observe: &'static str,
}

/// The end of a lesson, on every replica.
#[derive(Debug)]
pub struct End {
    /// The last slot executed.
    pub executed: u64,
    /// The view.
    pub view: u64,
    /// What is in each account.
    pub balances: &'static [(&'static str, u64)],
}

/// A lesson that is being played.
#[derive(Debug)]
pub struct Playing {
    lesson: &'static Lesson,
    local: Local,
    next: usize,
}

impl Playing {
    /// A lesson from its beginning.
    pub fn new(lesson: &'static Lesson) -> Playing {
        let cluster = Cluster::new(ClusterId::derive("demo", 0), "pbft", 4).with_clients(1);
        let local = Local::new(Setup { cluster, seed: 0, first_session: 1 });
        Playing { lesson, local, next: 0 }
    }

    /// The title.
    pub fn title(&self) -> String {
        format!("Lesson {}: {}", self.lesson.name, self.lesson.title)
    }

    /// Plays the next step; none if all are played.
    pub fn step(&mut self) -> Option<Vec<String>> {
        let step = self.lesson.steps.get(self.next)?;
        self.next += 1;
        let mut lines = vec![format!("Step {} of {}. {}", self.next, self.lesson.steps.len(), step.text)];
        for typed in step.lines {
            lines.push(format!("{}{typed}", self.local.prompt()));
            lines.extend(self.local.line(typed).lines);
        }
        lines.push(format!("=> {}", step.observe));
        Some(lines)
    }

    /// Whether the end is as it should be, in a sentence.
    ///
    /// # Errors
    ///
    /// What is different, as a sentence.
    pub fn verdict(&self) -> Result<String, String> {
        let end = &self.lesson.end;
        let expected: Vec<(String, u64)> =
            end.balances.iter().map(|(account, balance)| ((*account).to_owned(), *balance)).collect();
        for node in self.local.nodes() {
            let found = (node.replica_status().last_executed.0, node.view().0.0, node.balances());
            if found != (end.executed, end.view, expected.clone()) {
                return Err(format!(
                    "{} ends with (slot, view, accounts) {found:?} instead of {:?}",
                    self.call(node),
                    (end.executed, end.view, &expected)
                ));
            }
        }
        let balances: Vec<String> =
            end.balances.iter().map(|(account, balance)| format!("{account} {balance}")).collect();
        Ok(format!(
            "The end is as it should be: all replicas have executed up to slot {}, are in view {}, and have {}.",
            end.executed,
            end.view,
            balances.join(", ")
        ))
    }

    /// What to try next.
    pub fn try_next(&self) -> &'static str {
        self.lesson.try_next
    }

    /// The participants, to go on with by hand.
    pub fn into_local(self) -> Local {
        self.local
    }

    fn call(&self, node: &Node) -> String {
        name(&Cluster::new(ClusterId([0; 16]), "pbft", 4), node.id())
    }
}

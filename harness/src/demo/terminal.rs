//! A terminal for one participant: envelopes over HTTP, timers that run, and a person.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use demo::console::Console;
use demo::envelope::Envelope;
use demo::names::name;
use demo::node::{Out, Setup};
use kernel::{Cluster, ReplicaId};
use pbft::Timer;
use rustyline::ExternalPrinter;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::prompt::{Prompt, Typed};
use super::server;
use crate::base::console::say;
use crate::base::exit::INTERRUPTED;
use crate::base::stop::Stop;
use crate::cluster::http::post_json;
use crate::cluster::ports::HOST;

/// How long a peer may take to take an envelope.
const SEND_LIMIT: Duration = Duration::from_secs(2);
/// How long envelopes may still be on their queue when the terminal is left.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);

/// Whose terminal it is, and where all listen.
#[derive(Debug)]
pub struct Settings {
    /// What all share.
    pub setup: Setup,
    /// Whose terminal it is.
    pub id: ReplicaId,
    /// It lost its memory.
    pub recovering: bool,
    /// The port of each participant, by id.
    pub ports: Vec<u16>,
}

/// Runs the terminal until its person leaves it, and returns the exit code.
///
/// # Errors
///
/// If the terminal or the socket cannot be used.
pub async fn run(settings: Settings, listener: TcpListener) -> Result<u8> {
    let stop = Stop::listen()?;
    let (envelopes_in, mut envelopes) = unbounded_channel();
    let mut serving = pin!(server::serve(listener, envelopes_in));
    let mut person = Person::start()?;
    let mut links = Links::new(&settings);
    let mut console = Console::new(settings.setup, settings.id, settings.recovering);
    let mut timers: BTreeMap<Timer, Instant> = BTreeMap::new();
    let code = loop {
        for out in console.take_out() {
            match out {
                Out::Line(line) => person.tell(&line),
                Out::Envelope(envelope) => links.send(*envelope),
                Out::SetTimer(timer, after) => {
                    timers.insert(timer, Instant::now() + Duration::from_micros(after.0));
                }
                Out::CancelTimer(timer) => {
                    timers.remove(&timer);
                }
            }
        }
        person.ask(&console.prompt());
        let due = timers.iter().min_by_key(|(_, due)| **due).map(|(timer, due)| (*timer, *due));
        tokio::select! {
            typed = person.typed() => match typed? {
                Typed::Line(typed) => {
                    let answer = console.line(&typed);
                    answer.lines.iter().for_each(|line| person.tell(line));
                    if answer.quits {
                        break 0;
                    }
                }
                Typed::Interrupted => person.tell("Ctrl-D or \"quit\" leaves this terminal"),
                Typed::End => break 0,
            },
            Some(envelope) = envelopes.recv() => console.receive(envelope),
            Some(news) = links.news.recv() => person.tell(&news),
            timer = expired(due) => {
                timers.remove(&timer);
                console.expire(timer);
            }
            served = &mut serving => served?,
            () = stop.wait() => break INTERRUPTED,
        }
    };
    links.finish().await;
    Ok(code)
}

/// Waits for the timer that is due next, for ever if none runs.
async fn expired(next: Option<(Timer, Instant)>) -> Timer {
    match next {
        Some((timer, due)) => {
            sleep_until(due).await;
            timer
        }
        None => std::future::pending().await,
    }
}

/// The person at the terminal, who types on a thread of its own.
struct Person {
    prompts: mpsc::Sender<String>,
    typed: UnboundedReceiver<Result<Typed>>,
    printer: Option<Box<dyn ExternalPrinter + Send>>,
    /// A line is being typed.
    is_asked: bool,
}

impl Person {
    fn start() -> Result<Person> {
        let (prompts, asked) = mpsc::channel::<String>();
        let (typed_in, typed) = unbounded_channel();
        let (ready, printer) = mpsc::channel();
        std::thread::Builder::new()
            .name("prompt".into())
            .spawn(move || {
                let mut prompt = match Prompt::new() {
                    Ok(mut prompt) => {
                        let _ = ready.send(Ok(prompt.printer()));
                        prompt
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                        return;
                    }
                };
                // Ends when nobody asks any more.
                while let Ok(text) = asked.recv() {
                    if typed_in.send(prompt.next(&text)).is_err() {
                        return;
                    }
                }
            })
            .context("cannot start a thread for the prompt")?;
        let printer = printer.recv().context("the prompt did not start")??;
        Ok(Person { prompts, typed, printer, is_asked: false })
    }

    /// Asks for a line, unless one is being typed.
    fn ask(&mut self, prompt: &str) {
        if !self.is_asked {
            self.is_asked = self.prompts.send(prompt.to_owned()).is_ok();
        }
    }

    async fn typed(&mut self) -> Result<Typed> {
        let typed = self.typed.recv().await.ok_or_else(|| anyhow!("the prompt ended unexpectedly"))?;
        self.is_asked = false;
        typed
    }

    /// Prints a line, above the one that is being typed if there is one.
    fn tell(&mut self, line: &str) {
        let printed = match &mut self.printer {
            Some(printer) if self.is_asked => printer.print(format!("{line}\n")).is_ok(),
            _ => false,
        };
        if !printed {
            say(line);
        }
    }
}

/// The links to the others: envelopes to each leave in order.
struct Links {
    queues: BTreeMap<ReplicaId, UnboundedSender<Envelope>>,
    senders: JoinSet<()>,
    news: UnboundedReceiver<String>,
}

impl Links {
    fn new(settings: &Settings) -> Links {
        let (news_in, news) = unbounded_channel();
        let (mut queues, mut senders) = (BTreeMap::new(), JoinSet::new());
        for (id, port) in (0..).map(ReplicaId).zip(&settings.ports) {
            if id == settings.id {
                continue;
            }
            let (queue, envelopes) = unbounded_channel();
            queues.insert(id, queue);
            let peer = Peer {
                cluster: settings.setup.cluster.clone(),
                id,
                address: SocketAddr::from((HOST, *port)),
            };
            senders.spawn_local(send_all(peer, envelopes, news_in.clone()));
        }
        Links { queues, senders, news }
    }

    fn send(&self, envelope: Envelope) {
        if let Some(queue) = self.queues.get(&envelope.to) {
            // A sender ends only with this terminal.
            let _ = queue.send(envelope);
        }
    }

    /// Waits a moment for envelopes on their queue.
    async fn finish(mut self) {
        self.queues.clear();
        let all = async { while self.senders.join_next().await.is_some() {} };
        let _ = timeout(LEAVE_LIMIT, all).await;
    }
}

struct Peer {
    cluster: Cluster,
    id: ReplicaId,
    address: SocketAddr,
}

/// Sends envelopes to one peer. What it does not take is lost, as on any network; replicas
/// send again what matters.
async fn send_all(peer: Peer, mut envelopes: UnboundedReceiver<Envelope>, news: UnboundedSender<String>) {
    let own_name = name(&peer.cluster, peer.id);
    let mut is_reachable = true;
    while let Some(envelope) = envelopes.recv().await {
        let taken = post_json(peer.address, server::ENVELOPES, &envelope, SEND_LIMIT).await;
        if taken.is_ok() == is_reachable {
            continue;
        }
        is_reachable = taken.is_ok();
        let line = match is_reachable {
            true => format!("{own_name} is reachable again"),
            false => format!(
                "{own_name} does not answer at {}: what is sent to it is lost; the others go on without it",
                peer.address
            ),
        };
        let _ = news.send(line);
    }
}

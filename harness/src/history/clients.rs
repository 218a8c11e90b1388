//! Clients of a key-value store that ask at the same time, about few keys, through all
//! nodes, and note what they see.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use kernel::{Choose, SeededChoice};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::connection::Connection;
use super::operation::{Answer, Call, Operation, Returned};

/// Keys in use at the same time.
const KEYS: usize = 4;
/// After so many operations on all of them there are new keys: what the search for one key
/// has to go through stays small, however long the run.
const OPERATIONS_PER_GENERATION: usize = 1_600;
/// A client rests for up to so long between operations.
const MOST_REST_US: u64 = 30_000;
/// And for so long when nobody listens where it wanted to ask.
const NOBODY_LISTENS: Duration = Duration::from_millis(20);

/// Who asks, and where.
#[derive(Clone, Debug)]
pub struct Clients {
    /// How many.
    pub clients: u32,
    /// The nodes that they ask.
    pub nodes: Vec<(u16, SocketAddr)>,
    /// How long a client waits for an answer before it goes on without one.
    pub patience: Duration,
    /// Seed of what they ask.
    pub seed: u64,
}

/// What all clients have seen.
#[derive(Debug)]
pub struct History {
    began: Instant,
    operations: RefCell<Vec<Operation>>,
}

impl Default for History {
    fn default() -> History {
        History { began: Instant::now(), operations: RefCell::default() }
    }
}

impl History {
    /// What was seen; what was not answered by now is without an answer.
    pub fn finish(&self) -> Vec<Operation> {
        self.operations.take()
    }

    fn now_ns(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    /// A key of the current generation.
    fn key(&self, choice: &mut SeededChoice) -> String {
        let generation = self.operations.borrow().len() / OPERATIONS_PER_GENERATION;
        format!("history-{generation}-{}", choice.below(KEYS as u64))
    }

    fn called(&self, client: u32, node: u16, key: &str, call: &Call) -> usize {
        let mut operations = self.operations.borrow_mut();
        operations.push(Operation {
            client,
            node,
            key: key.into(),
            call: call.clone(),
            called_ns: self.now_ns(),
            returned: None,
        });
        operations.len() - 1
    }

    fn answered(&self, place: usize, answer: Answer) {
        let returned = Returned { at_ns: self.now_ns(), answer };
        self.operations.borrow_mut()[place].returned = Some(returned);
    }
}

impl Clients {
    /// Does some work, and lets the clients ask until it is done. Must run in a `LocalSet`.
    pub async fn beside<T>(&self, history: &Rc<History>, work: impl Future<Output = T>) -> T {
        let mut running = JoinSet::new();
        for number in 0..self.clients {
            let (clients, history) = (self.clone(), Rc::clone(history));
            running.spawn_local(async move { Client::new(number, &clients).run(&clients, &history).await });
        }
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                // No client ends by itself.
                Some(Err(error)) = running.join_next() => {
                    if error.is_panic() {
                        std::panic::resume_unwind(error.into_panic());
                    }
                }
            }
        }
    }
}

/// One client.
struct Client {
    number: u32,
    choice: SeededChoice,
    connections: BTreeMap<u16, Connection>,
    /// The values that it knows: what it swaps for another.
    known: BTreeMap<String, Option<String>>,
    asked: u64,
}

impl Client {
    fn new(number: u32, clients: &Clients) -> Client {
        Client {
            number,
            choice: SeededChoice::new(clients.seed ^ u64::from(number).rotate_left(32)),
            connections: BTreeMap::new(),
            known: BTreeMap::new(),
            asked: 0,
        }
    }

    async fn run(mut self, clients: &Clients, history: &History) {
        loop {
            let (node, address) = clients.nodes[self.choice.below(clients.nodes.len() as u64) as usize];
            match self.connection(node, address, clients.patience).await {
                None => sleep(NOBODY_LISTENS).await,
                Some(connection) => self.ask(node, connection, clients.patience, history).await,
            }
            sleep(Duration::from_micros(self.choice.below(MOST_REST_US))).await;
        }
    }

    /// The connection to a node; none if nobody listens there.
    async fn connection(&mut self, node: u16, address: SocketAddr, patience: Duration) -> Option<Connection> {
        match self.connections.remove(&node) {
            Some(open) if open.is_open() => Some(open),
            _ => timeout(patience, Connection::open(address)).await.ok()?.ok(),
        }
    }

    /// One operation. A connection without an answer is not used again.
    async fn ask(&mut self, node: u16, mut connection: Connection, patience: Duration, history: &History) {
        let key = history.key(&mut self.choice);
        let call = self.next_call(&key);
        let place = history.called(self.number, node, &key, &call);
        if let Ok(Ok(answer)) = timeout(patience, connection.ask(&key, &call)).await {
            self.learn(key, &call, &answer);
            history.answered(place, answer);
            self.connections.insert(node, connection);
        }
    }

    /// Half of all calls read, and no two write the same value.
    fn next_call(&mut self, key: &str) -> Call {
        self.asked += 1;
        let value = format!("{}-{}", self.number, self.asked);
        match self.choice.below(10) {
            0..5 => Call::Get,
            5..7 => Call::Put { value },
            7 => Call::Delete,
            _ => {
                let expected = self.known.get(key).cloned().flatten();
                Call::CompareAndSwap { expected, new: self.choice.chance(0.9).then_some(value) }
            }
        }
    }

    fn learn(&mut self, key: String, call: &Call, answer: &Answer) {
        let value = match (call, answer) {
            (_, Answer::Value { value }) => value.clone(),
            (_, Answer::Compared { current, .. }) => current.clone(),
            (Call::Put { value }, _) => Some(value.clone()),
            _ => None,
        };
        if !self.known.contains_key(&key) && self.known.len() >= KEYS {
            // Those of the last generation.
            self.known.clear();
        }
        self.known.insert(key, value);
    }
}

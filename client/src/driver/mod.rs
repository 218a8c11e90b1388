//! The client as tasks of tokio: connected to all replicas, with a key of its own.
//!
//! No node is trusted. Requests are signed here, so that nobody can change or invent them;
//! replies are checked here, so that nobody can change or invent them either; and a result
//! is accepted when enough replicas have signed the same. A request goes to the commander,
//! as the replies name it, and to all replicas when no result has come for a while (OSDI
//! §4.1). It is the same request each time, under one counter, so that it is executed once.
//!
//! ```no_run
//! use client::driver::{Client, Setup};
//! use kernel::{Cluster, Operation, ReplicaId};
//! # use kernel::keys::{PublicKey, SecretKey};
//! # async fn example(secret: SecretKey, public_keys: Vec<PublicKey>, id: kernel::ClusterId)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = Cluster::new(id, "pbft", 4).with_clients(1);
//! let address = |port: u16| std::net::SocketAddr::from(([127, 0, 0, 1], port));
//! let addresses = (8080..8084).map(address).collect();
//! let client = Client::connect(Setup::new(cluster, ReplicaId(4), secret, public_keys, addresses))?;
//! let decision = client.submit(Operation::new(b"pay 5 to bob")).await?;
//! println!("slot {} says {:?}", decision.seq, decision.result);
//! # Ok(())
//! # }
//! ```

mod connection;
mod run;

use crate::Evidence;
use kernel::keys::{PublicKey, SecretKey};
use kernel::{Cluster, Keyring, Operation, Output, ReplicaId, Seq, View};
use run::{Asked, Driver};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// All that a client has to know.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The cluster.
    pub cluster: Cluster,
    /// The client's own id, `n..n + clients`.
    pub id: ReplicaId,
    /// Its key.
    pub secret: SecretKey,
    /// The replicas' public keys, by id.
    pub public_keys: Vec<PublicKey>,
    /// Where they listen, by id.
    pub addresses: Vec<SocketAddr>,
    /// A result is accepted when so many replicas have signed the same: one more than may
    /// be faulty.
    pub replies_needed: usize,
    /// How long a request may take.
    pub timeout: Duration,
    /// After how long without a result a request goes to all replicas; each further time
    /// after twice as long.
    pub remind_after: Duration,
    /// Requests that go under one signature at most.
    pub batch_max: usize,
}

impl Setup {
    /// The usual settings: `f+1` replies, ten seconds for a request, reminded of after
    /// half a second.
    pub fn new(
        cluster: Cluster,
        id: ReplicaId,
        secret: SecretKey,
        public_keys: Vec<PublicKey>,
        addresses: Vec<SocketAddr>,
    ) -> Setup {
        Setup {
            replies_needed: cluster.weak_quorum(),
            cluster,
            id,
            secret,
            public_keys,
            addresses,
            timeout: Duration::from_secs(10),
            remind_after: Duration::from_millis(500),
            batch_max: 512,
        }
    }

    fn check(&self) -> Result<Keyring, SetupError> {
        let n = usize::from(self.cluster.n);
        if !self.cluster.is_client(self.id) {
            return Err(SetupError::NoClient {
                id: self.id,
                first: self.cluster.n,
                clients: self.cluster.clients,
            });
        }
        if self.public_keys.len() != n || self.addresses.len() != n {
            let (keys, addresses) = (self.public_keys.len(), self.addresses.len());
            return Err(SetupError::Replicas { n, keys, addresses });
        }
        if !(1..=n).contains(&self.replies_needed) {
            return Err(SetupError::Replies { needed: self.replies_needed, n });
        }
        if self.batch_max == 0 || self.timeout.is_zero() || self.remind_after.is_zero() {
            return Err(SetupError::Zero);
        }
        Keyring::new(&self.public_keys).map_err(|error| SetupError::Key(error.to_string()))
    }
}

/// A setup that does not fit together.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The id is no client's.
    #[error("{id} is no client's id; this cluster has {clients} clients, whose ids begin with {first}")]
    NoClient {
        /// The id given.
        id: ReplicaId,
        /// The first client's, if there is one.
        first: u16,
        /// How many there are.
        clients: u16,
    },
    /// Keys or addresses are missing.
    #[error("{n} replicas have {n} public keys and addresses; there are {keys} and {addresses}")]
    Replicas {
        /// Replicas.
        n: usize,
        /// Keys given.
        keys: usize,
        /// Addresses given.
        addresses: usize,
    },
    /// A result cannot be accepted on so many replies.
    #[error("a result is accepted on 1 to {n} replies, not {needed}")]
    Replies {
        /// Replies asked for.
        needed: usize,
        /// Replicas.
        n: usize,
    },
    /// A limit that nothing can keep to.
    #[error("timeout, remind_after and batch_max must be more than 0")]
    Zero,
    /// A public key cannot be one.
    #[error("{0}")]
    Key(String),
}

/// An accepted result, and what proves it.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The result.
    pub result: Output,
    /// The slot that ordered the request, as the last of the replies has it.
    pub seq: Seq,
    /// Likewise the view.
    pub view: View,
    /// Replies that differed from the result when it was accepted.
    pub differing: usize,
    /// What proves it to others: the request and replies of as many replicas as were
    /// needed, all signed.
    pub evidence: Evidence,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Too many requests are in flight.
    #[error("too many requests are in flight; wait for results first")]
    Busy,
    /// No bundle holds it.
    #[error("an operation of {bytes} bytes is too large; the limit is {most} bytes")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest.
        most: usize,
    },
    /// Not enough replicas agreed in time. The request may still be executed, once.
    #[error(
        "no result within {after:?}: {replies} of {needed} matching replies, {connected} of {n} nodes connected{last_error}"
    )]
    TimedOut {
        /// How long was waited.
        after: Duration,
        /// Replies that agree.
        replies: usize,
        /// How many were needed.
        needed: usize,
        /// Nodes with a link now.
        connected: usize,
        /// Nodes.
        n: usize,
        /// What a node without a link said last; empty if nothing.
        last_error: String,
    },
    /// The client's task has ended.
    #[error("this client has ended")]
    Ended,
}

/// What a client has seen so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Nodes with a link now.
    pub connected: usize,
    /// The view that replies tell of.
    pub view: View,
    /// Replies whose signature did not hold, or that were not from a replica.
    pub refused: u64,
    /// Bundles that had to be sent again, to all.
    pub reminders: u64,
    /// What a node said that ended or refused a link last; empty if none did.
    pub last_error: String,
}

/// The largest operation.
const MAX_OPERATION_BYTES: usize = 16 << 20;

/// A handle on a client. Cheap to clone; when the last is dropped, the client ends.
#[derive(Clone, Debug)]
pub struct Client {
    commands: mpsc::UnboundedSender<Command>,
}

#[derive(Debug)]
enum Command {
    Submit(Operation, Asked),
    Seen(oneshot::Sender<Seen>),
}

impl Client {
    /// Begins to connect to all replicas, in tasks of its own, and stays so.
    ///
    /// # Errors
    ///
    /// If the setup does not fit together.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O and time enabled.
    pub fn connect(setup: Setup) -> Result<Client, SetupError> {
        let keyring = setup.check()?;
        let (sender, commands) = mpsc::unbounded_channel();
        tokio::spawn(Driver::new(setup, keyring, commands).run());
        Ok(Client { commands: sender })
    }

    /// Has an operation decided, and returns its result once enough replicas have signed it.
    ///
    /// # Errors
    ///
    /// If there is no result in time. The operation may have been executed all the same, or
    /// may still be; it is never executed twice.
    pub async fn submit(&self, operation: Operation) -> Result<Decision, Failure> {
        let bytes = operation.0.len();
        if bytes > MAX_OPERATION_BYTES {
            return Err(Failure::TooLarge { bytes, most: MAX_OPERATION_BYTES });
        }
        let (asked, outcome) = oneshot::channel();
        self.commands.send(Command::Submit(operation, asked)).map_err(|_| Failure::Ended)?;
        outcome.await.unwrap_or(Err(Failure::Ended))
    }

    /// What the client has seen so far.
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub async fn seen(&self) -> Result<Seen, Failure> {
        let (asked, seen) = oneshot::channel();
        self.commands.send(Command::Seen(asked)).map_err(|_| Failure::Ended)?;
        seen.await.map_err(|_| Failure::Ended)
    }
}

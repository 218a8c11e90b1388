//! The data types that nodes replicate, behind one type, chosen by name.

use crate::bank::Bank;
use crate::data::DataType;
use crate::logs::Logs;
use crate::orswot::Orswot;
use apps::AppName;
use kernel::{Operation, Output, ReplicaId};
use serde::{Deserialize, Serialize};

/// A data type, whichever.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Data {
    /// A log for each actor.
    Logs(Logs),
    /// A bank whose accounts have one owner each.
    Bank(Bank),
    /// A set from which each actor removes what it has seen.
    Set(Orswot),
}

impl Data {
    /// What there is of an application without consensus, in its first state. None if it cannot be had so.
    pub fn new(app: AppName) -> Option<Data> {
        match app {
            AppName::Opaque => Some(Data::Logs(Logs::default())),
            AppName::Bank => Some(Data::Bank(Bank::default())),
            AppName::Set => Some(Data::Set(Orswot::default())),
            // Any node may write any key, and what was written last is read.
            AppName::Kv => None,
        }
    }
}

impl DataType for Data {
    fn prepare(&self, actor: ReplicaId, asked: &Operation) -> Result<Option<Operation>, Output> {
        match self {
            Data::Logs(data) => data.prepare(actor, asked),
            Data::Bank(data) => data.prepare(actor, asked),
            Data::Set(data) => data.prepare(actor, asked),
        }
    }

    fn validate(&self, actor: ReplicaId, operation: &Operation) -> Result<(), Output> {
        match self {
            Data::Logs(data) => data.validate(actor, operation),
            Data::Bank(data) => data.validate(actor, operation),
            Data::Set(data) => data.validate(actor, operation),
        }
    }

    fn apply(&mut self, actor: ReplicaId, operation: &Operation) -> Output {
        match self {
            Data::Logs(data) => data.apply(actor, operation),
            Data::Bank(data) => data.apply(actor, operation),
            Data::Set(data) => data.apply(actor, operation),
        }
    }

    fn try_out(&mut self, actor: ReplicaId, operation: &Operation) {
        match self {
            Data::Logs(data) => data.try_out(actor, operation),
            Data::Bank(data) => data.try_out(actor, operation),
            Data::Set(data) => data.try_out(actor, operation),
        }
    }

    fn query(&self, operation: &Operation) -> Option<Output> {
        match self {
            Data::Logs(data) => data.query(operation),
            Data::Bank(data) => data.query(operation),
            Data::Set(data) => data.query(operation),
        }
    }
}

//! The applications behind one type, chosen by name.

use crate::{Bank, KvStore, OpaqueLog, Set};
use kernel::{Application, Chunk, Operation, Output};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which application is replicated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AppName {
    /// A log of operations that are not interpreted.
    #[default]
    Opaque,
    /// A key-value store.
    Kv,
    /// A bank.
    Bank,
    /// A set; named after the one that needs no consensus, an observed-remove set without tombstones.
    #[serde(rename = "orswot")]
    Set,
}

impl AppName {
    /// All of them.
    pub const ALL: [AppName; 4] = [AppName::Opaque, AppName::Kv, AppName::Bank, AppName::Set];

    /// As it is typed.
    pub fn as_str(self) -> &'static str {
        match self {
            AppName::Opaque => "opaque",
            AppName::Kv => "kv",
            AppName::Bank => "bank",
            AppName::Set => "orswot",
        }
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// There is no application of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no application; there are opaque, kv, bank and orswot")]
pub struct UnknownApp(String);

impl FromStr for AppName {
    type Err = UnknownApp;

    fn from_str(text: &str) -> Result<AppName, UnknownApp> {
        AppName::ALL.into_iter().find(|app| app.as_str() == text).ok_or_else(|| UnknownApp(text.into()))
    }
}

/// An application, whichever.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// A log of operations that are not interpreted.
    Opaque(OpaqueLog),
    /// A key-value store.
    Kv(KvStore),
    /// A bank.
    Bank(Bank),
    /// A set.
    Set(Set),
}

impl Service {
    /// An application in which nothing was done yet.
    pub fn new(app: AppName) -> Service {
        match app {
            AppName::Opaque => Service::Opaque(OpaqueLog::default()),
            AppName::Kv => Service::Kv(KvStore::default()),
            AppName::Bank => Service::Bank(Bank::default()),
            AppName::Set => Service::Set(Set::default()),
        }
    }

    /// Which one it is.
    pub fn name(&self) -> AppName {
        match self {
            Service::Opaque(_) => AppName::Opaque,
            Service::Kv(_) => AppName::Kv,
            Service::Bank(_) => AppName::Bank,
            Service::Set(_) => AppName::Set,
        }
    }

    /// The same application with the state that these chunks hold.
    fn of_own_chunks(&self, chunks: &[Chunk]) -> Option<Service> {
        Some(match self {
            Service::Opaque(app) => Service::Opaque(app.restore_over(chunks)?),
            Service::Kv(app) => Service::Kv(app.restore_over(chunks)?),
            Service::Bank(app) => Service::Bank(app.restore_over(chunks)?),
            Service::Set(app) => Service::Set(app.restore_over(chunks)?),
        })
    }
}

fn named(name: &Chunk) -> Option<AppName> {
    std::str::from_utf8(name.bytes()).ok()?.parse().ok()
}

impl Application for Service {
    fn execute(&mut self, operation: &Operation) -> Output {
        match self {
            Service::Opaque(app) => app.execute(operation),
            Service::Kv(app) => app.execute(operation),
            Service::Bank(app) => app.execute(operation),
            Service::Set(app) => app.execute(operation),
        }
    }

    fn query(&self, operation: &Operation) -> Option<Output> {
        match self {
            Service::Opaque(app) => app.query(operation),
            Service::Kv(app) => app.query(operation),
            Service::Bank(app) => app.query(operation),
            Service::Set(app) => app.query(operation),
        }
    }

    /// The first chunk names the application.
    fn snapshot(&mut self) -> Vec<Chunk> {
        let name = Chunk::new(self.name().as_str().as_bytes());
        let mut chunks = match self {
            Service::Opaque(app) => app.snapshot(),
            Service::Kv(app) => app.snapshot(),
            Service::Bank(app) => app.snapshot(),
            Service::Set(app) => app.snapshot(),
        };
        chunks.insert(0, name);
        chunks
    }

    fn restore(chunks: &[Chunk]) -> Option<Service> {
        let (name, chunks) = chunks.split_first()?;
        Service::new(named(name)?).of_own_chunks(chunks)
    }

    fn restore_over(&self, chunks: &[Chunk]) -> Option<Service> {
        let (name, own) = chunks.split_first()?;
        if named(name)? == self.name() { self.of_own_chunks(own) } else { Service::restore(chunks) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_application_has_a_name_and_comes_back_as_itself() {
        for app in AppName::ALL {
            assert_eq!(app.to_string().parse(), Ok(app));
            let mut service = Service::new(app);
            service.execute(&Operation::new(b"hello"));
            assert_eq!(service.name(), app);
            assert_eq!(Service::restore(&service.snapshot()), Some(service));
        }
        assert_eq!(
            "KV".parse::<AppName>().unwrap_err().to_string(),
            "\"KV\" is no application; there are opaque, kv, bank and orswot"
        );
        assert_eq!(Service::restore(&[]), None);
    }
}

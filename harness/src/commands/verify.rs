//! `harness client verify`: whether an answer proves itself.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use apps::{AppName, BankOperation, BankOutput, KvOperation, KvOutput, SetOperation, SetOutput};
use client::{Evidence, Proven};
use kernel::Keyring;
use serde_json::{Map, Value, json};

use crate::base::console::{say, warn};
use crate::base::exit::NO;
use crate::config::ClusterConfig;

/// Reads an answer that holds evidence, or evidence alone; `-` is standard input. Says what
/// it proves.
pub(super) fn run(file: &Path, config: &ClusterConfig) -> Result<u8> {
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?
    } else {
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
    };
    match verify(&text, config).with_context(|| format!("the answer in {}", file.display()))? {
        Ok(proven) => {
            say(proven);
            Ok(0)
        }
        Err(why) => {
            warn(format_args!("NOT PROVEN: {why}"));
            Ok(NO)
        }
    }
}

/// What is proven by an answer's text, in words, or why nothing is.
///
/// # Errors
///
/// If it holds no evidence that can be read.
pub fn verify(text: &str, config: &ClusterConfig) -> Result<Result<String, String>> {
    let answer: Value = serde_json::from_str(text).context("it is no JSON, or is truncated")?;
    let places = ["/evidence", "/decision/evidence"];
    let found = places.iter().find_map(|place| answer.pointer(place).filter(|found| !found.is_null()));
    let is_evidence = answer.get("requests").is_some();
    let evidence = found.or(is_evidence.then_some(&answer)).ok_or_else(|| {
        anyhow!("it holds no evidence; ask with ?evidence=true, or harness client --evidence FILE")
    })?;
    let evidence: Evidence =
        serde_json::from_value(evidence.clone()).context("its evidence cannot be read")?;
    let n = config.n();
    let nodes = config.nodes.iter().map(|node| node.public_key);
    let keys: Vec<_> = nodes.chain(config.clients.iter().map(|client| client.public_key)).collect();
    let keyring = Keyring::new(&keys)?;
    let proven = match evidence.check(&config.identity(), &keyring, config.protocol.tolerates(n) + 1) {
        Ok(proven) => proven,
        Err(why) => return Ok(Err(why.to_string())),
    };
    let (asked, told) = readings(config.app, &proven)?;
    if !is_evidence && let Some(difference) = difference(&answer, &told) {
        return Ok(Err(difference));
    }
    Ok(Ok(in_words(&proven, &asked, &told)))
}

fn in_words(proven: &Proven, asked: &str, told: &Map<String, Value>) -> String {
    let replicas: Vec<String> = proven.replicas.iter().map(ToString::to_string).collect();
    format!(
        "PROVEN: nodes {} have signed the result of this request\n  slot    {}, view {}\n  asked   {asked}\n  result  {}",
        replicas.join(" and "),
        proven.seq,
        proven.view,
        Value::Object(told.clone())
    )
}

/// Where an answer says something else than what was signed.
fn difference(answer: &Value, told: &Map<String, Value>) -> Option<String> {
    let differs = |(name, signed): &(&String, &Value)| answer.get(name).is_none_or(|said| said != *signed);
    let (name, signed) = told.iter().find(differs)?;
    let said = answer.get(name).unwrap_or(&Value::Null);
    Some(format!("the answer says {name} {said}, and what the nodes have signed says {signed}"))
}

/// What was asked, in words, and what an honest gateway's answer says of the result.
fn readings(app: AppName, proven: &Proven) -> Result<(String, Map<String, Value>)> {
    let Proven { operation, result, .. } = proven;
    let (asked, told) = match app {
        AppName::Opaque => (text(&operation.0), Some(json!({ "result": text(&result.0) }))),
        AppName::Kv => {
            let operation = KvOperation::decode(operation)?;
            (format!("{operation:?}"), KvOutput::decode(result).and_then(|output| kv(&operation, output)))
        }
        AppName::Bank => {
            let operation = BankOperation::decode(operation)?;
            (format!("{operation:?}"), BankOutput::decode(result).map(|output| bank(&operation, output)))
        }
        AppName::Set => {
            let operation = SetOperation::decode(operation)?;
            (format!("{operation:?}"), SetOutput::decode(result).and_then(|output| set(&operation, output)))
        }
    };
    match told {
        Some(Value::Object(told)) => Ok((asked, told)),
        _ => bail!("the signed result is none of the application {app}"),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn kv(operation: &KvOperation, output: KvOutput) -> Option<Value> {
    Some(match (operation, output) {
        (KvOperation::Get { key }, KvOutput::Value(value)) => json!({ "key": key, "value": value }),
        (KvOperation::Put { key, .. }, KvOutput::Stored { created }) => {
            json!({ "key": key, "created": created })
        }
        (KvOperation::Delete { key }, KvOutput::Deleted { existed }) => {
            json!({ "key": key, "existed": existed })
        }
        (KvOperation::CompareAndSwap { key, .. }, KvOutput::Compared { swapped, current }) => {
            json!({ "key": key, "swapped": swapped, "current": current })
        }
        (KvOperation::List { .. }, KvOutput::Listed { entries, more }) => {
            let entry = |(key, value)| json!({ "key": key, "value": value });
            let entries: Vec<Value> = entries.into_iter().map(entry).collect();
            json!({ "entries": entries, "more": more })
        }
        _ => return None,
    })
}

/// Every answer of the bank is about one account.
fn bank(operation: &BankOperation, output: BankOutput) -> Value {
    let account = match operation {
        BankOperation::Open { account }
        | BankOperation::Deposit { account, .. }
        | BankOperation::Withdraw { account, .. }
        | BankOperation::Balance { account } => account,
        BankOperation::Transfer { from, .. } => from,
    };
    match output {
        BankOutput::Opened => json!({ "account": account, "balance": 0 }),
        BankOutput::Balance(balance) => json!({ "account": account, "balance": balance }),
        BankOutput::Done => json!({ "account": account }),
        BankOutput::Refused(refusal) => json!({ "error": refusal.to_string() }),
    }
}

fn set(operation: &SetOperation, output: SetOutput) -> Option<Value> {
    Some(match (operation, output) {
        (SetOperation::Add { member }, SetOutput::Added) => json!({ "added": member }),
        (SetOperation::Remove { member }, SetOutput::Removed) => json!({ "removed": member }),
        (SetOperation::Contains { member }, SetOutput::Contains(contains)) => {
            json!({ "member": member, "contains": contains })
        }
        (SetOperation::List { .. }, SetOutput::Listed { members, more }) => {
            json!({ "members": members, "more": more })
        }
        (_, SetOutput::Refused(refusal)) => json!({ "error": refusal.to_string() }),
        _ => return None,
    })
}

//! Operations and results in words: in a message they are bytes.

use apps::{
    AppName, BankOperation, BankOutput, KvOperation, KvOutput, MembershipOperation, SetOperation, SetOutput,
};
use kernel::{Operation, Output};
use serde_json::{Value, json};

/// What is asked for.
pub fn operation(app: AppName, operation: &Operation) -> Value {
    if let Some(Ok(asked)) = MembershipOperation::decode(operation) {
        return serde_json::to_value(asked).unwrap_or_else(|_| bytes(&operation.0));
    }
    match app {
        AppName::Kv => KvOperation::decode(operation).ok().and_then(|it| serde_json::to_value(it).ok()),
        AppName::Bank => BankOperation::decode(operation).ok().and_then(|it| serde_json::to_value(it).ok()),
        AppName::Set => SetOperation::decode(operation).ok().and_then(|it| serde_json::to_value(it).ok()),
        AppName::Opaque => None,
    }
    .unwrap_or_else(|| bytes(&operation.0))
}

/// What is answered.
pub fn output(app: AppName, output: &Output) -> Value {
    match app {
        AppName::Kv => KvOutput::decode(output).and_then(|it| serde_json::to_value(it).ok()),
        AppName::Bank => BankOutput::decode(output).and_then(|it| serde_json::to_value(it).ok()),
        AppName::Set => SetOutput::decode(output).and_then(|it| serde_json::to_value(it).ok()),
        AppName::Opaque => None,
    }
    .unwrap_or_else(|| bytes(&output.0))
}

/// Text if all of it can be read, else a number of bytes.
fn bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.into(),
        _ => json!({ "bytes": bytes.len(), "hex": hex(bytes) }),
    }
}

/// At most 32 bytes of them.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect()
}

/// Puts words in place of the bytes of all operations and results of a message as JSON.
pub(crate) fn put_into(body: &mut Value, app: AppName) {
    match body {
        Value::Array(items) => items.iter_mut().for_each(|item| put_into(item, app)),
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match name.as_str() {
                    "operation" => {
                        if let Ok(read) = serde_json::from_value::<Operation>(value.clone()) {
                            *value = operation(app, &read);
                        }
                    }
                    "result" => {
                        if let Ok(read) = serde_json::from_value::<Output>(value.clone()) {
                            *value = output(app, &read);
                        }
                    }
                    _ => put_into(value, app),
                }
            }
        }
        _ => {}
    }
}

/// Calls `take` with all operations in a message as JSON that has no words yet.
pub(crate) fn operations_in(body: &Value, take: &mut impl FnMut(Operation)) {
    match body {
        Value::Array(items) => items.iter().for_each(|item| operations_in(item, take)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    "operation" => {
                        serde_json::from_value(value.clone()).ok().into_iter().for_each(&mut *take)
                    }
                    _ => operations_in(value, take),
                }
            }
        }
        _ => {}
    }
}

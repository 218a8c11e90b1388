//! `/openapi.json`: what a node can be asked for, described for programs. It is made from
//! the table of endpoints and from the types of bodies and answers.

use super::endpoints::{ENDPOINTS, EVIDENCE, Endpoint};
use super::response::{Answer, with_type};
use crate::api::ErrorAnswer;
use hyper::StatusCode;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// What any request may be refused with.
const REFUSALS: [(u16, &str); 6] = [
    (400, "The request cannot be meant"),
    (403, "It comes from a foreign web page, or asks for what this node was not started to allow"),
    (408, "The body did not come in time"),
    (413, "The body, or something in it, is too large"),
    (429, "The client sends more requests than it may; the header Retry-After says how long to wait"),
    (503, "The node is offline by fault injection, or has too much to do"),
];

static DESCRIPTION: LazyLock<String> = LazyLock::new(|| describe().to_string());

/// The description.
pub(super) fn get() -> Answer {
    with_type(StatusCode::OK, "application/json", DESCRIPTION.as_str())
}

fn describe() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for endpoint in ENDPOINTS {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[endpoint.method.to_lowercase()] = operation(&mut generator, endpoint);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "A node of a replicated service",
            "description": "Any node takes requests and has them ordered. Every answer that was decided has a \
                            `decision`, or is one.",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "paths": paths,
        "components": { "schemas": generator.take_definitions(true) },
    })
}

fn operation(generator: &mut SchemaGenerator, endpoint: &Endpoint) -> Value {
    let parameters: Vec<Value> = endpoint
        .query
        .iter()
        .chain(endpoint.is_decided().then_some(&EVIDENCE))
        .map(|(name, meaning)| {
            json!({ "name": name, "in": "query", "description": meaning, "schema": { "type": "string" } })
        })
        .collect();
    let mut responses = Map::new();
    for (status, meaning) in REFUSALS {
        let schema = generator.subschema_for::<ErrorAnswer<'_>>();
        responses.insert(status.to_string(), response(meaning, "application/json", json!(schema)));
    }
    for (status, schema) in endpoint.answers {
        let meaning = if *status == 200 { "As asked" } else { "Decided or known, and otherwise than asked" };
        let kind = if endpoint.path == "/metrics" { "text/plain" } else { "application/json" };
        let mut schema = json!(schema(generator));
        // What is refused with the same status has another shape.
        if responses.contains_key(&status.to_string()) || *status == 404 {
            schema = json!({ "anyOf": [schema, generator.subschema_for::<ErrorAnswer<'_>>()] });
        }
        responses.insert(status.to_string(), response(meaning, kind, schema));
    }
    if endpoint.answers.is_empty() {
        responses.insert("200".into(), response("As asked", "application/json", json!({})));
    }
    let mut operation = json!({ "summary": endpoint.summary, "responses": responses });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = endpoint.body {
        let schema = body(generator);
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    operation
}

fn response(meaning: &str, kind: &str, schema: Value) -> Value {
    json!({ "description": meaning, "content": { kind: { "schema": schema } } })
}

#[cfg(test)]
mod tests {
    use super::{ENDPOINTS, describe};
    use serde_json::Value;

    /// All references in a description.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_endpoint_is_described_and_every_reference_leads_somewhere() {
        let description = describe();
        for endpoint in ENDPOINTS {
            let operation = &description["paths"][endpoint.path][endpoint.method.to_lowercase()];
            assert!(operation["responses"]["200"].is_object(), "{} {}", endpoint.method, endpoint.path);
        }
        let mut found = Vec::new();
        references(&description, &mut found);
        assert!(found.len() > ENDPOINTS.len());
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("within the description");
            assert!(description.pointer(pointer).is_some(), "{reference}");
        }
    }
}

//! Everything that a node can be asked for, as a table: the router's refusals and
//! `/openapi.json` are made from it.

use crate::api::bank::{Balance, LocalBalance, Open, Payment, Transfer};
use crate::api::kv::{CompareAndSwap, Compared, Deleted, Listed, LocalList, LocalValue, Put, Stored, Value};
use crate::api::members::{Asked, MemberChange, MembersReport};
use crate::api::set::{Add, Added, Contains, LocalContains, LocalMembers, Members, Removed};
use crate::api::{
    Data, Decided, Faults, LinkConditions, LogReport, Readiness, Refused, StateDigest, StateReport,
    StatusReport, Undecided,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Gives the schema of a type.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One method of one path.
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// What it does, in a line.
    pub(super) summary: &'static str,
    /// Names behind the `?`, and what they mean.
    pub(super) query: &'static [(&'static str, &'static str)],
    pub(super) body: Option<SchemaOf>,
    /// Status and answer of what went as asked, and of what was decided otherwise.
    /// Refusals are added to all.
    pub(super) answers: &'static [(u16, SchemaOf)],
}

impl Endpoint {
    /// Whether its answer needs a decision.
    pub(super) fn is_decided(&self) -> bool {
        self.answers.iter().any(|(status, _)| *status == TIMEOUT.0)
    }
}

const fn get(
    path: &'static str,
    summary: &'static str,
    query: &'static [(&'static str, &'static str)],
    answers: &'static [(u16, SchemaOf)],
) -> Endpoint {
    Endpoint { method: "GET", path, summary, query, body: None, answers }
}

const fn post(
    path: &'static str,
    summary: &'static str,
    body: SchemaOf,
    answers: &'static [(u16, SchemaOf)],
) -> Endpoint {
    Endpoint { method: "POST", path, summary, query: &[], body: Some(body), answers }
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// One of two answers.
fn either<A: JsonSchema, B: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let (a, b) = (generator.subschema_for::<A>(), generator.subschema_for::<B>());
    schemars::json_schema!({ "anyOf": [a, b] })
}

fn text(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({ "type": "string" })
}

const TIMEOUT: (u16, SchemaOf) = (504, of::<Undecided<'_>>);
const KEY: (&str, &str) = ("key", "the key");
const LIST: [(&str, &str); 4] = [
    KEY,
    ("prefix", "instead of a key: what the keys begin with"),
    ("after", "only keys after this one"),
    ("limit", "at most so many entries"),
];
const MEMBER: (&str, &str) = ("member", "the member");
const MEMBERS: [(&str, &str); 4] = [
    MEMBER,
    ("prefix", "instead of a member: what the members begin with"),
    ("after", "only members after this one"),
    ("limit", "at most so many members"),
];
const ACCOUNT: (&str, &str) = ("account", "the account");
/// What everything that is decided takes.
pub(super) const EVIDENCE: (&str, &str) =
    ("evidence", "true: the answer holds what the nodes have signed, to be checked by anybody");
const PAID: &[(u16, SchemaOf)] = &[
    (200, of::<Balance<'_>>),
    (403, of::<Refused<'_>>),
    (404, of::<Refused<'_>>),
    (409, of::<Refused<'_>>),
    TIMEOUT,
];

/// All of them, in the order in which they are shown.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    get("/status", "What the node says of itself, with all it counts", &[], &[(200, of::<StatusReport>)]),
    get("/health", "Whether the node answers", &[], &[(200, of::<Readiness>)]),
    get(
        "/ready",
        "Whether a request that comes now is likely to be decided",
        &[],
        &[(200, of::<Readiness>), (503, of::<Readiness>)],
    ),
    get("/metrics", "What the node counts, as OpenMetrics text", &[], &[(200, text)]),
    get("/openapi.json", "This description", &[], &[]),
    Endpoint {
        method: "POST",
        path: "/preprepare",
        summary: "Has data decided, where the application is the opaque log",
        query: &[("settle", "wait at most so many milliseconds for every node's final tally")],
        body: Some(of::<Data<'_>>),
        answers: &[(200, of::<Decided<'_>>), TIMEOUT],
    },
    get(
        "/log",
        "The record of each slot",
        &[("from", "the first slot"), ("to", "the last slot")],
        &[(200, of::<LogReport>)],
    ),
    get(
        "/api/v1/members",
        "Who the members are, in a protocol whose members change",
        &[],
        &[(200, of::<MembersReport>)],
    ),
    post(
        "/api/v1/members",
        "Has this member be in favour of a change of members",
        of::<MemberChange>,
        &[(200, of::<Asked>), (404, of::<Refused<'_>>), (409, of::<Refused<'_>>), TIMEOUT],
    ),
    get("/faults", "The behaviours on this node", &[], &[(200, of::<Faults>)]),
    post("/faults", "Replaces the behaviours on this node", of::<Faults>, &[(200, of::<Faults>)]),
    get("/links", "The faults injected on this node's links", &[], &[(200, of::<LinkConditions>)]),
    post(
        "/links",
        "Replaces the faults on this node's links",
        of::<LinkConditions>,
        &[(200, of::<LinkConditions>)],
    ),
    get("/api/v1/state", "Role, view and progress of the replica", &[], &[(200, of::<StateReport>)]),
    get(
        "/api/v1/state/digest",
        "A digest of all that the replica has executed, which costs a copy of it",
        &[],
        &[(200, of::<StateDigest>)],
    ),
    get("/api/v1/pbft/state", "The same, where the protocol is pbft", &[], &[(200, of::<StateReport>)]),
    get(
        "/api/v1/kv",
        "The value of a key, or the entries whose keys begin with a prefix, through consensus",
        &LIST,
        &[(200, either::<Value<'_>, Listed>), (404, of::<Value<'_>>), TIMEOUT],
    ),
    post("/api/v1/kv", "Sets the value of a key", of::<Put<'_>>, &[(200, of::<Stored<'_>>), TIMEOUT]),
    Endpoint {
        method: "DELETE",
        path: "/api/v1/kv",
        summary: "Takes a key out",
        query: &[KEY],
        body: None,
        answers: &[(200, of::<Deleted<'_>>), (404, of::<Deleted<'_>>), TIMEOUT],
    },
    post(
        "/api/v1/kv/cas",
        "Sets the value of a key if it is the expected one",
        of::<CompareAndSwap<'_>>,
        &[(200, of::<Compared<'_>>), (409, of::<Compared<'_>>), TIMEOUT],
    ),
    get(
        "/api/v1/kv/local",
        "The same as GET /api/v1/kv from this node's own state, which may be behind",
        &LIST,
        &[(200, either::<LocalValue<'_>, LocalList>), (404, of::<LocalValue<'_>>)],
    ),
    post("/api/v1/bank/accounts", "Opens an account", of::<Open<'_>>, PAID),
    get("/api/v1/bank/accounts", "What is in an account, through consensus", &[ACCOUNT], PAID),
    post("/api/v1/bank/deposit", "Pays money in", of::<Payment<'_>>, PAID),
    post("/api/v1/bank/withdraw", "Takes money out", of::<Payment<'_>>, PAID),
    post("/api/v1/bank/transfer", "Moves money to another account", of::<Transfer<'_>>, PAID),
    get(
        "/api/v1/bank/local",
        "What is in an account by this node's own state, which may be behind",
        &[ACCOUNT],
        &[(200, of::<LocalBalance<'_>>), (404, of::<LocalBalance<'_>>)],
    ),
    get(
        "/api/v1/set",
        "Whether a member is in the set, or the members that begin with a prefix, through consensus",
        &MEMBERS,
        &[(200, either::<Contains<'_>, Members>), TIMEOUT],
    ),
    post("/api/v1/set", "Puts a member in", of::<Add<'_>>, &[(200, of::<Added<'_>>), TIMEOUT]),
    Endpoint {
        method: "DELETE",
        path: "/api/v1/set",
        summary: "Takes a member out",
        query: &[MEMBER],
        body: None,
        answers: &[(200, of::<Removed<'_>>), (404, of::<Refused<'_>>), TIMEOUT],
    },
    get(
        "/api/v1/set/local",
        "The same as GET /api/v1/set from this node's own state, which may be behind",
        &MEMBERS,
        &[(200, either::<LocalContains<'_>, LocalMembers>)],
    ),
];

/// Where the links of peers and of clients with keys end: they take streams of frames, and
/// are not described.
pub(super) const LINKS: [&str; 3] = [PEER, PEER_HELLO, client::link::PATH];
/// Where a peer sends its frames.
pub(super) const PEER: &str = "/peer";
/// Where a peer shows who it is first.
pub(super) const PEER_HELLO: &str = "/peer/hello";

/// The methods that a path takes; none if there is no such path.
pub(super) fn methods(path: &str) -> Option<String> {
    if LINKS.contains(&path) {
        return Some("POST, OPTIONS".into());
    }
    let of_path = ENDPOINTS.iter().filter(|endpoint| endpoint.path == path);
    let mut methods: Vec<&str> = of_path.map(|endpoint| endpoint.method).collect();
    if methods.is_empty() {
        return None;
    }
    if methods.contains(&"GET") {
        methods.insert(1, "HEAD");
    }
    methods.push("OPTIONS");
    Some(methods.join(", "))
}

/// All that a node has, in a line.
pub(super) fn all() -> String {
    let each = ENDPOINTS.iter().map(|Endpoint { method, path, query, .. }| {
        let query: Vec<String> = query.iter().map(|(name, _)| format!("{name}=")).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        format!("{method} {path}{query}")
    });
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::{ENDPOINTS, methods};
    use std::collections::BTreeSet;

    #[test]
    fn a_path_says_what_it_takes() {
        assert_eq!(methods("/status").as_deref(), Some("GET, HEAD, OPTIONS"));
        assert_eq!(methods("/faults").as_deref(), Some("GET, HEAD, POST, OPTIONS"));
        assert_eq!(methods("/api/v1/kv").as_deref(), Some("GET, HEAD, POST, DELETE, OPTIONS"));
        assert_eq!(methods("/preprepare").as_deref(), Some("POST, OPTIONS"));
        assert_eq!(methods("/peer").as_deref(), Some("POST, OPTIONS"));
        assert_eq!(methods("/client").as_deref(), Some("POST, OPTIONS"));
        assert_eq!(methods("/api"), None);
    }

    #[test]
    fn nothing_is_listed_twice() {
        let distinct: BTreeSet<_> = ENDPOINTS.iter().map(|one| (one.method, one.path)).collect();
        assert_eq!(distinct.len(), ENDPOINTS.len());
    }
}

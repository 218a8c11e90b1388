//! The members of a cluster whose members change: `/api/v1/members`.

use super::decision::Decision;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `POST /api/v1/members`: has the node that is asked be in favour of a change.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum MemberChange {
    /// This node becomes a member.
    Join(u16),
    /// This member is none any more.
    Leave(u16),
}

/// The answer: all members know now that this node is in favour. The change comes when `f+1` of them are, or the one
/// who leaves; `GET /api/v1/members` shows it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct Asked {
    /// What was asked for, in words.
    pub asked: String,
    /// How it was decided that this node asks.
    pub decision: Decision,
}

/// `GET /api/v1/members`: who they are, as far as this node knows.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct MembersReport {
    /// How many generations there were before.
    pub generation: u64,
    /// The members' ids.
    pub members: Vec<u16>,
    /// How many of them decide.
    pub quorum: usize,
    /// Changes that are asked for and not agreed upon, in words, and who has asked.
    pub asked: Vec<AskedChange>,
}

/// A change that is not agreed upon.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct AskedChange {
    /// What changes.
    pub change: String,
    /// Who has asked.
    pub by: Vec<u16>,
}

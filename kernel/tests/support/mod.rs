//! What several tests need: a message of no protocol, a protocol that does nothing, and hashes.

use kernel::{
    Choose, Claim, Class, Cluster, Context, Digest, Falsify, Forgery, Input, Protocol, Reason, ReplicaId,
    Seq, Signature, Signer, Status, Subject, View, Wire,
};
use serde::{Deserialize, Serialize};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher as _};

/// Something signed, as a vote or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Word {
    pub(crate) is_vote: bool,
    pub(crate) text: Vec<u8>,
    pub(crate) author: ReplicaId,
    pub(crate) signature: Signature,
}

impl Wire for Word {
    fn kind(&self) -> &'static str {
        "word"
    }
    fn class(&self) -> Class {
        if self.is_vote { Class::Vote } else { Class::Upkeep }
    }
    fn seq(&self) -> Option<Seq> {
        Some(Seq(self.text.len() as u64))
    }
    fn claims(&self, _: ReplicaId, _: &Cluster) -> Result<Vec<Claim>, Reason> {
        Ok(vec![Claim { author: self.author, bytes: self.text.clone(), signature: self.signature }])
    }
}

/// No adversary speaks it.
impl Falsify for Word {
    const KINDS: &'static [&'static str] = &["word"];

    fn falsified(&self, _: &Cluster, _: &Signer) -> Word {
        self.clone()
    }
    fn alternative(&self, _: &Cluster, _: &Signer) -> Option<Word> {
        None
    }
    fn subject(&self) -> Option<Subject> {
        None
    }
    fn with_value(&self, _: Digest, _: &[Word], _: &Cluster, _: &Signer) -> Option<Word> {
        None
    }
    fn forged(&self, _: Forgery, _: &Cluster, _: &Signer) -> Option<Word> {
        None
    }
    fn needless_view_changes(_: View, _: &Cluster, _: &Signer) -> Vec<Word> {
        vec![]
    }
    fn noise(_: Seq, _: &mut dyn Choose, _: &Cluster, signer: &Signer) -> Word {
        word(std::slice::from_ref(signer), 0, b"noise", false)
    }
}

pub(crate) fn word(signers: &[Signer], author: u16, text: &[u8], is_vote: bool) -> Word {
    let signature = signers[usize::from(author)].sign(text);
    Word { is_vote, text: text.to_vec(), author: ReplicaId(author), signature }
}

pub(crate) fn hashed(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Says what every protocol has to say, and does nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Idle;

impl Protocol for Idle {
    type Message = Word;
    type Timer = u8;
    fn step(&mut self, _: &mut Context<'_, Idle>, _: Input<Idle>) {}
    fn status(&self, _: &Cluster) -> Status {
        Status::default()
    }
}

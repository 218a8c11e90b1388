//! How the two ends of a peer link show each other who they are, before the first
//! frame (ADR 20).
//!
//! The opener sends its id and a nonce. The acceptor answers with a nonce of its own
//! and signs both, and the opener signs the same in the request that opens the stream.
//! What is signed names the cluster, the configuration and both ends, and says which end
//! signs: it is worth nothing on any other connection.

use client::link::{Introduction, Nonce};
use kernel::keys::SecretKey;
use kernel::{Claim, ClusterId, Digest, Keyring, ReplicaId, Signature, Signer};

/// The public half of what one end gives to an exchange of keys (X25519).
pub(crate) type Share = [u8; 32];

/// What two ends of one connection agree on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transcript {
    pub(crate) opener: ReplicaId,
    pub(crate) acceptor: ReplicaId,
    pub(crate) opener_nonce: Nonce,
    pub(crate) acceptor_nonce: Nonce,
    /// The opener's and the acceptor's, in a flow whose frames have tags.
    pub(crate) shares: Option<[Share; 2]>,
}

/// One end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Opener,
    Acceptor,
}

/// What a node needs to show who it is, and to check who others are.
#[derive(Debug)]
pub(crate) struct LinkIdentity {
    cluster: ClusterId,
    pub(crate) configuration: Digest,
    /// Not the one whose signatures are counted as the protocol's.
    signer: Signer,
    keyring: Keyring,
}

impl LinkIdentity {
    /// Of the node `own` of a cluster.
    pub(crate) fn new(
        cluster: ClusterId,
        configuration: Digest,
        (own, secret): (ReplicaId, &SecretKey),
        keyring: Keyring,
    ) -> LinkIdentity {
        LinkIdentity { cluster, configuration, signer: Signer::new(own, secret), keyring }
    }

    /// Which node this is.
    pub(crate) fn own(&self) -> ReplicaId {
        self.signer.id()
    }

    /// Signs as one end of a link.
    pub(crate) fn sign(&self, end: End, transcript: &Transcript) -> Signature {
        self.signer.sign(&self.statement(end, transcript))
    }

    /// Whether one end of a link is who the transcript says.
    pub(crate) fn is_authentic(&self, end: End, transcript: &Transcript, signature: Signature) -> bool {
        let author = match end {
            End::Opener => transcript.opener,
            End::Acceptor => transcript.acceptor,
        };
        self.keyring.verify(&Claim { author, bytes: self.statement(end, transcript), signature })
    }

    /// Whether a client is who it says in the answer to a challenge.
    pub(crate) fn is_client(&self, client: ReplicaId, nonce: Nonce, signature: Signature) -> bool {
        let introduction = Introduction { cluster: self.cluster, node: self.own(), client, nonce };
        self.keyring.verify(&introduction.claim(signature))
    }

    fn statement(&self, end: End, transcript: &Transcript) -> Vec<u8> {
        let domain: &[u8] = match end {
            End::Opener => b"link-opener/1",
            End::Acceptor => b"link-acceptor/1",
        };
        let Transcript { opener, acceptor, opener_nonce, acceptor_nonce, shares } = transcript;
        [
            domain,
            &self.cluster.0,
            &self.configuration.0,
            &opener.0.to_le_bytes(),
            &acceptor.0.to_le_bytes(),
            opener_nonce,
            acceptor_nonce,
            shares.as_ref().map_or(&[][..], |shares| shares.as_flattened()),
        ]
        .concat()
    }

    /// The key of one connection, of what its ends agreed upon and of the secret that they share.
    pub(crate) fn session_key(&self, transcript: &Transcript, shared: &[u8; 32]) -> [u8; 32] {
        let material = [&shared[..], &self.statement(End::Opener, transcript)].concat();
        blake3::derive_key("tags on the frames of a peer link, 1", &material)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kernel::keys::key_pairs;

    pub(crate) fn transcript() -> Transcript {
        Transcript {
            opener: ReplicaId(1),
            acceptor: ReplicaId(2),
            opener_nonce: [3; 32],
            acceptor_nonce: [4; 32],
            shares: None,
        }
    }

    pub(crate) fn identity(own: u16, cluster: u8, configuration: &[u8]) -> LinkIdentity {
        let pairs = key_pairs(7, 4);
        let public: Vec<_> = pairs.iter().map(|(_, public)| *public).collect();
        LinkIdentity::new(
            ClusterId([cluster; 16]),
            Digest::of(configuration),
            (ReplicaId(own), &pairs[usize::from(own)].0),
            Keyring::new(&public).unwrap(),
        )
    }

    #[test]
    fn a_signature_holds_for_one_end_of_one_connection() {
        let transcript = transcript();
        let (opener, acceptor) = (identity(1, 0, b"x"), identity(2, 0, b"x"));
        let signature = opener.sign(End::Opener, &transcript);
        assert!(acceptor.is_authentic(End::Opener, &transcript, signature));
        assert!(!acceptor.is_authentic(End::Acceptor, &transcript, signature));
        for other in [
            Transcript { opener: ReplicaId(3), ..transcript },
            Transcript { opener: ReplicaId(9), ..transcript },
            Transcript { acceptor: ReplicaId(3), ..transcript },
            Transcript { opener_nonce: [5; 32], ..transcript },
            Transcript { acceptor_nonce: [5; 32], ..transcript },
            Transcript { shares: Some([[6; 32], [7; 32]]), ..transcript },
        ] {
            assert!(!acceptor.is_authentic(End::Opener, &other, signature), "{other:?}");
        }
        assert!(!identity(2, 1, b"x").is_authentic(End::Opener, &transcript, signature), "another cluster");
        assert!(
            !identity(2, 0, b"y").is_authentic(End::Opener, &transcript, signature),
            "another configuration"
        );
        let forged = identity(3, 0, b"x").sign(End::Opener, &transcript);
        assert!(!acceptor.is_authentic(End::Opener, &transcript, forged), "another's key");
    }
}

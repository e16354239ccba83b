//! Owns signed heads: what a node says of its whole journal at one moment, and can never take back.

use super::hex::Hex;
use super::key::{PublicKey, Signature, SigningKey};
use super::tree::Hash;
use florin_domain::ids::{Seq, ShardId};
use serde::{Deserialize, Serialize};

/// The version of head and encoding.
const VERSION: u8 = 1;

/// What the signed bytes begin with, so that no signature for anything else can be taken for one of a head.
const DOMAIN: &[u8; 20] = b"florin/tree-head/v1\n";

/// A journal up to one of its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// Whose journal.
    pub shard: ShardId,
    /// The last record, and so the number of leaves.
    pub size: Seq,
    /// The root of the tree.
    pub root: Hash,
    /// The chain hash of the last record.
    pub hash: Hash,
    /// When it was signed, in Unix milliseconds.
    pub signed_at_ms: u64,
}

impl TreeHead {
    /// What is signed: fields of fixed sizes, integers little-endian as in the chain.
    fn message(&self) -> [u8; 102] {
        let mut message = [0; 102];
        let (domain, rest) = message.split_at_mut(DOMAIN.len());
        let (shard, rest) = rest.split_at_mut(2);
        let (size, rest) = rest.split_at_mut(8);
        let (root, rest) = rest.split_at_mut(32);
        let (hash, signed_at) = rest.split_at_mut(32);
        domain.copy_from_slice(DOMAIN);
        shard.copy_from_slice(&self.shard.0.to_le_bytes());
        size.copy_from_slice(&self.size.0.to_le_bytes());
        root.copy_from_slice(&self.root);
        hash.copy_from_slice(&self.hash);
        signed_at.copy_from_slice(&self.signed_at_ms.to_le_bytes());
        message
    }
}

/// A head with its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// What is said.
    pub head: TreeHead,
    /// Who says it.
    pub signature: Signature,
}

impl SignedHead {
    /// Signs a head.
    pub fn sign(head: TreeHead, key: &SigningKey) -> Self {
        let signature = key.sign(&head.message());
        Self { head, signature }
    }

    /// Whether the owner of the key signed exactly this.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        key.has_signed(&self.head.message(), &self.signature)
    }
}

/// A signed head as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadForm {
    version: u8,
    shard: u16,
    size: u64,
    root: Hex<32>,
    hash: Hex<32>,
    signed_at_ms: u64,
    signature: Hex<64>,
}

impl From<SignedHead> for HeadForm {
    fn from(signed: SignedHead) -> Self {
        let head = signed.head;
        Self {
            version: VERSION,
            shard: head.shard.0,
            size: head.size.0,
            root: Hex(head.root),
            hash: Hex(head.hash),
            signed_at_ms: head.signed_at_ms,
            signature: Hex(signed.signature),
        }
    }
}

impl TryFrom<HeadForm> for SignedHead {
    type Error = String;

    fn try_from(form: HeadForm) -> Result<Self, String> {
        if form.version != VERSION {
            return Err(format!(
                "it has version {}, and this build reads version {VERSION}",
                form.version
            ));
        }
        let head = TreeHead {
            shard: ShardId(form.shard),
            size: Seq(form.size),
            root: form.root.0,
            hash: form.hash.0,
            signed_at_ms: form.signed_at_ms,
        };
        Ok(Self {
            head,
            signature: form.signature.0,
        })
    }
}

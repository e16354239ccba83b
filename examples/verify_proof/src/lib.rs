//! Checks what `florin audit proof` and `florin audit receipt` write: with SHA-256, Ed25519 and JSON, and nothing of Florin.
//!
//! A record's hash covers the record before, its place and its bytes. Record `n` is leaf `n - 1` of the Merkle tree of RFC 9162, 2.1, whose
//! root is signed. Every field of a document is checked, and no field is unknown, so no character of it can be changed.

use ed25519_dalek::{Signature, VerifyingKey};
use serde::Deserialize;
use sha2::{Digest, Sha256};

type Hash = [u8; 32];

#[derive(Deserialize)]
#[serde(tag = "object")]
enum Document {
    #[serde(rename = "florin.proof")]
    Proof(Proof),
    #[serde(rename = "florin.receipt")]
    Receipt(Receipt),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Proof {
    version: u8,
    public_key: String,
    head: Head,
    records: Vec<Record>,
    consistency: Option<Path>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u8,
    shard: u16,
    size: u64,
    root: String,
    hash: String,
    signed_at_ms: u64,
    signature: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    seq: u64,
    epoch: u64,
    prev_hash: String,
    hash: String,
    bytes: String,
    path: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Path {
    head: Head,
    path: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Receipt {
    version: u8,
    public_key: String,
    payment: String,
    merchant: String,
    livemode: bool,
    status: String,
    currency: String,
    amount_minor: u64,
    captured_minor: u64,
    refunded_minor: u64,
    shard: u16,
    seq: u64,
    record_hash: String,
    issued_at_ms: u64,
    signature: String,
    /// Receipts from the API have none.
    inclusion: Option<Path>,
}

/// What the document proves to somebody who trusts this public key; or the first thing wrong with it.
///
/// # Errors
/// In words.
pub fn verify(document: &str, public_key: &str) -> Result<String, String> {
    let document = serde_json::from_str(document).map_err(|error| error.to_string())?;
    let (version, named) = match &document {
        Document::Proof(proof) => (proof.version, &proof.public_key),
        Document::Receipt(receipt) => (receipt.version, &receipt.public_key),
    };
    check(version == 1, "its version is not 1")?;
    check(named == public_key, "it is of another public key")?;
    let key = VerifyingKey::from_bytes(&fixed(public_key)?).map_err(|error| error.to_string())?;
    match document {
        Document::Proof(proof) => proof.verify(&key),
        Document::Receipt(receipt) => receipt.verify(&key),
    }
}

impl Proof {
    fn verify(&self, key: &VerifyingKey) -> Result<String, String> {
        let root = self.head.verify(key)?;
        check(!self.records.is_empty(), "it has no records")?;
        let mut proved = Vec::new();
        for record in &self.records {
            let (seq, hash) = (record.seq, fixed(&record.hash)?);
            let bytes = unhex(&record.bytes)?;
            let mut sha = Sha256::new();
            sha.update(fixed::<32>(&record.prev_hash)?);
            sha.update(self.head.shard.to_le_bytes());
            for number in [seq, record.epoch, bytes.len() as u64] {
                sha.update(number.to_le_bytes());
            }
            sha.update(bytes);
            check(
                hash == Hash::from(sha.finalize()),
                "a record's hash is not that of its bytes",
            )?;
            self.head.includes(&root, seq, &record.hash, &record.path)?;
            proved.push(format!("record {seq} (hash {}) is in the journal", record.hash));
        }
        if let Some(Path { head: old, path }) = &self.consistency {
            let (old_root, path) = (old.verify(key)?, hashes(path)?);
            check(
                old.shard == self.head.shard && 0 < old.size && old.size <= self.head.size,
                "the older head is no older one",
            )?;
            let roots = consistent(old.size, self.head.size, Some(old_root), &path);
            check(
                roots == Some((old_root, root)),
                "the journal does not begin with that of the older head",
            )?;
            proved.push(format!(
                "that journal begins with the one of {} records signed at {} ms",
                old.size, old.signed_at_ms
            ));
        }
        proved.push(self.head.describe());
        Ok(proved.join("\n"))
    }
}

impl Receipt {
    fn verify(&self, key: &VerifyingKey) -> Result<String, String> {
        let hash: Hash = fixed(&self.record_hash)?;
        let mut message = b"florin/receipt/v1\n".to_vec();
        message.extend(self.shard.to_le_bytes());
        message.extend(self.seq.to_le_bytes());
        message.extend(hash);
        message.extend(self.issued_at_ms.to_le_bytes());
        message.push(u8::from(self.livemode));
        for amount in [self.amount_minor, self.captured_minor, self.refunded_minor] {
            message.extend(amount.to_le_bytes());
        }
        for text in [&self.payment, &self.merchant, &self.status, &self.currency] {
            message.extend(
                u32::try_from(text.len())
                    .map_err(|error| error.to_string())?
                    .to_le_bytes(),
            );
            message.extend(text.as_bytes());
        }
        signed(key, &message, &self.signature)?;
        let place = match &self.inclusion {
            Some(Path { head, path }) => {
                check(head.shard == self.shard, "its head is of another shard")?;
                head.includes(&head.verify(key)?, self.seq, &self.record_hash, path)?;
                format!("record {} is in the journal\n{}", self.seq, head.describe())
            }
            None => format!(
                "by this signature it is record {} of the journal; no path to a signed head comes with it",
                self.seq
            ),
        };
        Ok(format!(
            "payment {} of {} ({} mode) is {}: {} {} minor units, {} captured, {} refunded, as of {} ms\n{place}",
            self.payment,
            self.merchant,
            if self.livemode { "live" } else { "test" },
            self.status,
            self.amount_minor,
            self.currency,
            self.captured_minor,
            self.refunded_minor,
            self.issued_at_ms,
        ))
    }
}

impl Head {
    /// Its root, if it is signed.
    fn verify(&self, key: &VerifyingKey) -> Result<Hash, String> {
        check(self.version == 1, "its head's version is not 1")?;
        let root = fixed(&self.root)?;
        let mut message = b"florin/tree-head/v1\n".to_vec();
        message.extend(self.shard.to_le_bytes());
        message.extend(self.size.to_le_bytes());
        message.extend(root);
        message.extend(fixed::<32>(&self.hash)?);
        message.extend(self.signed_at_ms.to_le_bytes());
        signed(key, &message, &self.signature)?;
        Ok(root)
    }

    fn includes(&self, root: &Hash, seq: u64, hash: &str, path: &[String]) -> Result<(), String> {
        check(0 < seq && seq <= self.size, "a record is beyond its head")?;
        check(
            seq < self.size || hash == self.hash,
            "the last record is not the head's",
        )?;
        let leaf = Sha256::digest([&[0], &fixed::<32>(hash)?[..]].concat()).into();
        check(
            root_over(seq - 1, self.size, leaf, &hashes(path)?) == Some(*root),
            "a path does not lead to the root",
        )
    }

    fn describe(&self) -> String {
        format!(
            "of {} records (shard {}, root {}) signed at {} ms",
            self.size, self.shard, self.root, self.signed_at_ms
        )
    }
}

/// The root of a tree of `size` in which `leaf` stands at `index`, by RFC 9162, 2.1.3.1.
fn root_over(index: u64, size: u64, leaf: Hash, path: &[Hash]) -> Option<Hash> {
    if size == 1 {
        return path.is_empty().then_some(leaf);
    }
    let (sibling, rest) = path.split_last()?;
    let left = size.next_power_of_two() / 2;
    Some(if index < left {
        node(&root_over(index, left, leaf, rest)?, sibling)
    } else {
        node(sibling, &root_over(index - left, size - left, leaf, rest)?)
    })
}

/// The roots of the old and the new tree, by RFC 9162, 2.1.4.1. The root of the whole old tree is not in the path but known.
fn consistent(old: u64, new: u64, known: Option<Hash>, path: &[Hash]) -> Option<(Hash, Hash)> {
    if old == new {
        return match (known, path) {
            (Some(root), []) | (None, &[root]) => Some((root, root)),
            _ => None,
        };
    }
    let (sibling, rest) = path.split_last()?;
    let left = new.next_power_of_two() / 2;
    if old <= left {
        let (was, is) = consistent(old, left, known, rest)?;
        return Some((was, node(&is, sibling)));
    }
    let (was, is) = consistent(old - left, new - left, None, rest)?;
    Some((node(sibling, &was), node(sibling, &is)))
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::digest([&[1], &left[..], right].concat()).into()
}

fn check(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}

fn signed(key: &VerifyingKey, message: &[u8], signature: &str) -> Result<(), String> {
    let signature = Signature::from_bytes(&fixed(signature)?);
    let verified = key.verify_strict(message, &signature);
    verified.map_err(|_| "a signature is not that of the public key".to_owned())
}

fn hashes(path: &[String]) -> Result<Vec<Hash>, String> {
    path.iter().map(|hash| fixed(hash)).collect()
}

fn fixed<const N: usize>(text: &str) -> Result<[u8; N], String> {
    unhex(text)?
        .try_into()
        .map_err(|_| format!("{text} has not {N} bytes"))
}

/// Lower-case digits only, so that bytes have one spelling.
fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let digit = |c: &u8| b"0123456789abcdef".iter().position(|known| known == c);
    let pair = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
    bytes.ok_or_else(|| format!("{text} is not lower-case hexadecimal"))
}

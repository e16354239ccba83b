//! The real program on documents that are made here, by the words of the RFC and of the formats, and by nothing of Florin.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::process::Command;

type Hash = [u8; 32];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn public() -> String {
    hex(key().verifying_key().as_bytes())
}

/// A record's epoch, bytes and hash, each after the one before.
fn records(count: u64) -> Vec<(Hash, Vec<u8>, Hash)> {
    let mut prev = [0; 32];
    let record = |seq: u64| {
        let bytes = format!("record {seq}").into_bytes();
        let mut sha = Sha256::new();
        sha.update(prev);
        sha.update(0_u16.to_le_bytes());
        sha.update(seq.to_le_bytes());
        sha.update(1_u64.to_le_bytes());
        sha.update((bytes.len() as u64).to_le_bytes());
        sha.update(&bytes);
        let (before, hash) = (prev, sha.finalize().into());
        prev = hash;
        (before, bytes, hash)
    };
    (1..=count).map(record).collect()
}

fn tree_hash(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest(b"").into(),
        [leaf] => Sha256::digest([&[0_u8][..], leaf].concat()).into(),
        leaves => {
            let k = leaves.len().next_power_of_two() / 2;
            let (left, right) = (tree_hash(&leaves[..k]), tree_hash(&leaves[k..]));
            Sha256::digest([&[1_u8][..], &left, &right].concat()).into()
        }
    }
}

fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = leaves.len().next_power_of_two() / 2;
    let (mut inner, other) = if m < k {
        (path(m, &leaves[..k]), tree_hash(&leaves[k..]))
    } else {
        (path(m - k, &leaves[k..]), tree_hash(&leaves[..k]))
    };
    inner.push(other);
    inner
}

fn subproof(m: usize, leaves: &[Hash], is_whole: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if is_whole {
            Vec::new()
        } else {
            vec![tree_hash(leaves)]
        };
    }
    let k = leaves.len().next_power_of_two() / 2;
    let (mut inner, other) = if m <= k {
        (subproof(m, &leaves[..k], is_whole), tree_hash(&leaves[k..]))
    } else {
        (subproof(m - k, &leaves[k..], false), tree_hash(&leaves[..k]))
    };
    inner.push(other);
    inner
}

fn head(leaves: &[Hash]) -> Value {
    let (root, hash) = (tree_hash(leaves), leaves[leaves.len() - 1]);
    let size = leaves.len() as u64;
    let mut message = b"florin/tree-head/v1\n".to_vec();
    message.extend(0_u16.to_le_bytes());
    message.extend(size.to_le_bytes());
    message.extend(root);
    message.extend(hash);
    message.extend(1234_u64.to_le_bytes());
    let signature = key().sign(&message).to_bytes();
    json!({"version": 1, "shard": 0, "size": size, "root": hex(&root), "hash": hex(&hash), "signed_at_ms": 1234, "signature": hex(&signature)})
}

fn hexes(path: &[Hash]) -> Vec<String> {
    path.iter().map(|hash| hex(hash)).collect()
}

/// A proof of one record, and that the tree follows from an older one.
fn proof(seq: usize, old: usize, size: usize) -> Value {
    let records = records(size as u64);
    let leaves: Vec<Hash> = records.iter().map(|record| record.2).collect();
    let (prev, bytes, hash) = &records[seq - 1];
    json!({
        "object": "florin.proof",
        "version": 1,
        "public_key": public(),
        "head": head(&leaves),
        "records": [{"seq": seq, "epoch": 1, "prev_hash": hex(prev), "hash": hex(hash), "bytes": hex(bytes), "path": hexes(&path(seq - 1, &leaves))}],
        "consistency": {"head": head(&leaves[..old]), "path": hexes(&subproof(old, &leaves, true))},
    })
}

/// Runs the program; what it said, and whether it was satisfied.
fn run(document: &str, public_key: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proof.json");
    std::fs::write(&file, document).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_verify-proof"))
        .args([file.to_str().unwrap(), public_key])
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn a_proof_convinces_and_says_what_of() {
    let (holds, said) = run(&proof(3, 4, 7).to_string(), &public());
    assert!(holds, "{said}");
    for part in ["record 3 ", "of 7 records", "one of 4 records"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn every_record_of_every_small_journal_is_proved_and_every_older_head_follows() {
    for size in 1..=17 {
        for seq in 1..=size {
            let document = proof(seq, seq, size).to_string();
            let proved = verify_proof::verify(&document, &public());
            assert!(proved.is_ok(), "{seq} of {size}: {proved:?}");
        }
    }
}

#[test]
fn a_proof_that_is_for_somebody_else_or_of_something_else_is_refused() {
    let whole = proof(3, 4, 7);
    let refused = |change: &dyn Fn(&mut Value), expected: &str| {
        let mut changed = whole.clone();
        change(&mut changed);
        let error = verify_proof::verify(&changed.to_string(), &public()).unwrap_err();
        assert!(error.contains(expected), "{error}");
    };
    refused(&|proof| proof["version"] = json!(2), "version");
    refused(&|proof| proof["object"] = json!("florin.prose"), "florin.prose");
    refused(&|proof| proof["more"] = json!(1), "more");
    refused(&|proof| proof["records"] = json!([]), "no records");
    refused(&|proof| proof["records"][0]["seq"] = json!(4), "hash");
    refused(&|proof| proof["head"]["size"] = json!(8), "signature");
    refused(
        &|proof| drop(proof["records"][0]["path"].as_array_mut().unwrap().pop()),
        "path",
    );
    refused(
        &|proof| proof["consistency"]["head"] = proof["head"].clone(),
        "begin",
    );
    let other = hex(SigningKey::from_bytes(&[8; 32]).verifying_key().as_bytes());
    let (holds, said) = run(&whole.to_string(), &other);
    assert!(!holds && said.contains("another public key"), "{said}");
    let mut renamed = whole.clone();
    renamed["public_key"] = json!(other);
    let (holds, said) = run(&renamed.to_string(), &other);
    assert!(!holds && said.contains("signature"), "{said}");
}

#[test]
fn no_byte_of_a_proof_can_be_changed() {
    let whole = proof(3, 4, 7).to_string();
    for index in 0..whole.len() {
        for flip in [0x01, 0x02, 0x10, 0x20] {
            let mut bytes = whole.clone().into_bytes();
            bytes[index] ^= flip;
            let Ok(text) = String::from_utf8(bytes) else {
                continue;
            };
            let proved = verify_proof::verify(&text, &public());
            assert!(proved.is_err(), "byte {index} with {flip}: {text}");
        }
    }
}

mod fuzz {
    use super::*;
    use florin_fuzz::{Target, any_of};

    #[test]
    fn no_changed_document_proves_anything_that_was_not_signed() {
        let seeds = [proof(3, 4, 7), proof(1, 1, 1), proof(7, 7, 7), proof(2, 5, 6)];
        let heads: Vec<Value> = seeds
            .iter()
            .flat_map(|proof| [proof["head"].clone(), proof["consistency"]["head"].clone()])
            .collect();
        let hashes: Vec<String> = records(7).iter().map(|record| hex(&record.2)).collect();
        let words = [
            "null",
            "\"records\"",
            "\"path\"",
            "\"consistency\"",
            "\"head\"",
            "\"seq\"",
            "\"florin.receipt\"",
            "18446744073709551615",
        ];
        let target =
            Target::of_text("proof_document", any_of(seeds.map(|proof| proof.to_string()))).words(words);
        target.cases(5_000).run(|bytes| {
            let Ok(text) = str::from_utf8(bytes) else { return };
            if verify_proof::verify(text, &public()).is_err() {
                return;
            }
            let document: Value = serde_json::from_str(text).unwrap();
            assert!(heads.contains(&document["head"]), "{text}");
            let older = &document["consistency"];
            assert!(older.is_null() || heads.contains(&older["head"]), "{text}");
            for record in document["records"].as_array().unwrap() {
                let seq = usize::try_from(record["seq"].as_u64().unwrap()).unwrap();
                assert_eq!(record["hash"], *hashes[seq - 1], "{text}");
            }
        });
    }
}

//! A run in which all is well, and what is found in it when one thing is not.

use super::{Verdict, check};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;

#[derive(Clone)]
struct Run {
    acknowledged: Vec<Value>,
    payments: Vec<Value>,
    charges: Vec<Value>,
    records: Vec<Value>,
}

fn payment(id: &str, key: &str, status: &str, amount: u64) -> Value {
    let captured = if status == "succeeded" { amount } else { 0 };
    json!({"id": id, "status": status, "amount": amount, "amount_captured": captured, "currency": "USD", "metadata": {"key": key}})
}

fn charge(id: &str, amount: u64, operation: &str) -> Value {
    json!({"payment_id": id, "amount": amount, "currency": "usd", "operation": operation})
}

fn answer(key: &str, payment: &Value) -> Value {
    json!({"key": key, "status": 200, "payment_id": payment["id"], "payment": payment})
}

/// Records that follow each other.
fn records(count: u64) -> Vec<Value> {
    let mut prev = [0_u8; 32];
    let hex = |bytes: &[u8]| -> String {
        bytes
            .iter()
            .fold(String::new(), |all, byte| format!("{all}{byte:02x}"))
    };
    (1..=count)
        .map(|seq| {
            let (bytes, epoch) = (vec![7; usize::try_from(seq).unwrap()], 1 + seq / 3);
            let mut sha = Sha256::new();
            sha.update(prev);
            sha.update(0_u16.to_le_bytes());
            sha.update(seq.to_le_bytes());
            sha.update(epoch.to_le_bytes());
            sha.update((bytes.len() as u64).to_le_bytes());
            sha.update(&bytes);
            prev = sha.finalize().into();
            json!({"shard": 0, "seq": seq, "epoch": epoch, "hash": hex(&prev), "bytes": hex(&bytes)})
        })
        .collect()
}

fn well() -> Run {
    let sold = payment("pay_1", "a", "succeeded", 500);
    let held = payment("pay_2", "b", "authorized", 700);
    let declined = payment("pay_3", "c", "failed", 900);
    Run {
        acknowledged: vec![
            answer("a", &sold),
            answer("b", &held),
            json!({"key": "c", "status": 402, "payment_id": "pay_3", "payment": null}),
        ],
        payments: vec![sold, held, declined],
        charges: vec![charge("pay_1", 500, "sale"), charge("pay_2", 700, "authorize")],
        records: records(7),
    }
}

fn checked(run: &Run) -> Verdict {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("acknowledged", &run.acknowledged),
        ("payments", &run.payments),
        ("charges", &run.charges),
        ("records", &run.records),
    ];
    for (name, lines) in files {
        let text = lines
            .iter()
            .fold(String::new(), |text, line| format!("{text}{line}\n"));
        fs::write(folder.path().join(format!("{name}.jsonl")), text).unwrap();
    }
    check(folder.path()).unwrap()
}

#[test]
fn a_run_in_which_all_is_well_is_clean() {
    let verdict = checked(&well());
    assert_eq!(
        verdict.to_string(),
        "acked=3 lost=0 doubled=0 broken=0",
        "{verdict:?}"
    );
    assert!(verdict.is_clean());
}

#[test]
fn every_thing_that_can_be_wrong_is_found_and_counted() {
    type Change = fn(&mut Run);
    let rows: [(&str, Change, [usize; 3]); 13] = [
        // Of the money, nobody's books know either.
        (
            "an acknowledged payment is gone",
            |run| drop(run.payments.remove(0)),
            [2, 0, 0],
        ),
        (
            "a declined one is gone",
            |run| drop(run.payments.remove(2)),
            [1, 0, 0],
        ),
        (
            "it is another amount now",
            |run| run.payments[0]["amount"] = json!(501),
            [1, 0, 0],
        ),
        (
            "the declined one was paid",
            |run| {
                run.payments[2] = payment("pay_3", "c", "succeeded", 900);
                run.charges.push(charge("pay_3", 900, "sale"));
            },
            [1, 0, 0],
        ),
        (
            "it was never charged",
            |run| drop(run.charges.remove(0)),
            [1, 0, 0],
        ),
        (
            "it was charged twice",
            |run| run.charges.push(charge("pay_1", 500, "sale")),
            [0, 1, 0],
        ),
        (
            "under one key two payments were charged",
            |run| {
                run.payments.push(payment("pay_4", "a", "succeeded", 500));
                run.charges.push(charge("pay_4", 500, "sale"));
            },
            [0, 2, 0],
        ),
        (
            "one key was answered with two payments",
            |run| {
                let other = payment("pay_4", "c", "failed", 500);
                run.acknowledged
                    .push(json!({"key": "c", "status": 402, "payment_id": "pay_4", "payment": null}));
                run.payments.push(other);
            },
            [0, 2, 0],
        ),
        (
            "another amount was charged",
            |run| run.charges[1]["amount"] = json!(701),
            [1, 0, 0],
        ),
        (
            "somebody was charged of whom nothing is known",
            |run| run.charges.push(charge("pay_9", 5, "sale")),
            [1, 0, 0],
        ),
        (
            "a record is missing",
            |run| drop(run.records.remove(3)),
            [0, 0, 1],
        ),
        (
            "a record was changed",
            |run| run.records[2]["bytes"] = json!("00"),
            [0, 0, 1],
        ),
        (
            "an epoch went back",
            |run| run.records[6]["epoch"] = json!(1),
            [0, 0, 1],
        ),
    ];
    for (what, change, expected) in rows {
        let mut run = well();
        change(&mut run);
        let verdict = checked(&run);
        let found = [verdict.lost, verdict.doubled, verdict.broken];
        assert_eq!(found, expected, "{what}: {:?}", verdict.findings);
        assert!(!verdict.is_clean());
    }
}

#[test]
fn a_run_that_was_not_written_down_is_no_clean_one() {
    let folder = tempfile::tempdir().unwrap();
    let missing = check(folder.path()).unwrap_err().to_string();
    assert!(missing.contains("acknowledged.jsonl"), "{missing}");
}

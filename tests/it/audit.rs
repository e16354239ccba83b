//! A journal proves itself: damage is found and named, a lost end is refused, and proofs convince a program that knows nothing of Florin.

use crate::cli::{damaged, make_payments};
use crate::deployment::{Dev, PATIENT, sale};
use crate::process::{Finished, run, run_well, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// A stopped node that was started twice and has made so many payments each time; and the payments.
fn stopped(payments: usize) -> (TempDir, Vec<Value>) {
    let (folder, dev) = Dev::fresh(&[]);
    let mut made = make_payments(&dev, payments);
    dev.stop();
    let dev = Dev::start(folder.path(), &[]);
    for number in 0..payments {
        let body = sale(500 + number as u64, "EUR");
        made.push(dev.pay(&format!("later-{number}"), &body).expect(200).json());
    }
    dev.stop();
    (folder, made)
}

fn verify(folder: &Path) -> Finished {
    run(&["audit", "verify"], folder, &[])
}

/// The lines of an export.
fn export(folder: &Path) -> Vec<Value> {
    let out = folder.join("export.jsonl");
    run_well(&["audit", "export", "--out", out.to_str().unwrap()], folder, &[]);
    let text = fs::read_to_string(out).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn of_kind<'a>(lines: &'a [Value], object: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["object"] == object).collect()
}

fn remove(folder: &Path, names: &[&str]) {
    for name in names {
        let path = folder.join(name);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else if path.exists() {
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn a_whole_journal_verifies_stopped_running_and_after_a_crash_and_is_signed_elsewhere() {
    let second = tempfile::tempdir().unwrap();
    let elsewhere = [("FLORIN_AUDIT_HEADS_DIR", second.path().to_str().unwrap())];
    let (folder, dev) = Dev::fresh(&elsewhere);
    make_payments(&dev, 6);
    let signed_for = wait_for("a signed head of the journal's end", || {
        let finished = run(&["audit", "verify"], folder.path(), &elsewhere);
        assert!(finished.status.success(), "{finished:?}");
        let is_signed =
            finished.stdout.contains(" signed heads fit") && !finished.stdout.contains("not signed for yet");
        is_signed.then_some(finished.stdout)
    });
    assert!(!signed_for.contains("shard 0: 0 signed heads"), "{signed_for}");
    assert!(!folder.path().join("heads").exists());
    let mode = fs::metadata(folder.path().join("audit_key.secret"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    dev.process.kill_9();
    let crashed = run_well(&["audit", "verify"], folder.path(), &elsewhere);
    assert_eq!(crashed, signed_for.trim());
    let dev = Dev::start(folder.path(), &elsewhere);
    dev.pay("after", &sale(500, "USD")).expect(200);
    dev.stop();
    let stopped = run_well(&["audit", "verify"], folder.path(), &elsewhere);
    assert!(
        !stopped.contains("not signed for yet"),
        "the end is signed at the end: {stopped}"
    );
    let later = run_well(&["audit", "verify", "--from", "5"], folder.path(), &elsewhere);
    assert_eq!(later, stopped);
}

#[test]
fn a_flipped_bit_is_found_in_its_commit() {
    let (folder, _) = stopped(8);
    let lines = export(folder.path());
    let records = of_kind(&lines, "florin.record");
    assert_eq!(
        records.len() as u64,
        records.last().unwrap()["seq"].as_u64().unwrap()
    );
    for number in [0, 3, 7] {
        let mark = format!("mark-{number}-mark");
        let first = records
            .iter()
            .find(|record| record["commit"].to_string().contains(&mark));
        let seq = first.unwrap()["seq"].as_u64().unwrap();
        let bad = damaged(folder.path(), &mark, true);
        let finished = verify(bad.path());
        assert_eq!(finished.status.code(), Some(1), "{finished:?}");
        let expected = format!("WRONG: commit {seq}: the hash does not follow");
        assert!(finished.stdout.contains(&expected), "{expected}: {finished:?}");
        let refused = run(&["audit", "proof", "--seq", &seq.to_string()], bad.path(), &[]);
        assert!(
            !refused.status.success() && refused.stderr.contains("damaged"),
            "{refused:?}"
        );
    }
    assert!(verify(folder.path()).status.success());
}

#[test]
fn a_journal_that_was_put_back_is_refused_though_each_record_follows() {
    let (folder, dev) = Dev::fresh(&[]);
    make_payments(&dev, 6);
    dev.stop();
    let earlier = fs::read(folder.path().join("journal.db")).unwrap();
    let end = of_kind(&export(folder.path()), "florin.record").len();
    let dev = Dev::start(folder.path(), &[]);
    dev.pay("lost", &sale(500, "USD")).expect(200);
    dev.stop();
    let signed = of_kind(&export(folder.path()), "florin.record").len();
    assert!(end < signed);
    fs::write(folder.path().join("journal.db"), earlier).unwrap();
    // Nothing else shall tell.
    remove(
        folder.path(),
        &[
            "journal.db-wal",
            "journal.db-shm",
            "keys",
            "snapshots",
            "views.db",
            "views.db-wal",
            "views.db-shm",
        ],
    );
    let missing = end + 1;
    for command in [
        &["dev"][..],
        &["merchant", "create", "--name", "X"],
        &["views", "rebuild"],
    ] {
        let refused = run(command, folder.path(), &PATIENT);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let expected = format!(
            "damaged at {missing}: later commits are missing: a signed head of commit {signed} exists, and the journal ends at commit {end}"
        );
        assert!(refused.stderr.contains(&expected), "{expected}: {refused:?}");
    }
    let finished = verify(folder.path());
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    let expected = format!("WRONG: commit {missing} is missing: a signed head of commit {signed} exists");
    assert!(finished.stdout.contains(&expected), "{expected}: {finished:?}");

    // Whoever takes the signed heads away as well is noticed, and the node runs: a lost disk must not stop payments.
    remove(folder.path(), &["heads"]);
    let dev = Dev::start(folder.path(), &[]);
    let metrics = dev.operator().get("/metrics").expect(200);
    let metrics = metrics.text();
    assert!(
        metrics.contains("florin_alerts_total{alert=\"heads_missing\"} 1"),
        "{metrics}"
    );
    dev.stop();
    assert!(verify(folder.path()).status.success());
}

#[test]
fn signed_heads_of_somebody_else_are_refused() {
    let (folder, _) = stopped(2);
    let (other, _) = stopped(2);
    let file = "heads/heads-0-000001.jsonl";
    fs::copy(other.path().join(file), folder.path().join(file)).unwrap();
    let refused = run(&["dev"], folder.path(), &PATIENT);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("its signature is not of this key"),
        "{refused:?}"
    );
    let finished = verify(folder.path());
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(finished.stdout.contains("bad signed head"), "{finished:?}");
    // Without a key, the records alone are looked at.
    remove(folder.path(), &["audit_key.secret"]);
    let unsigned = run_well(&["audit", "verify"], folder.path(), &[]);
    assert!(unsigned.starts_with("there is no signing key here"), "{unsigned}");
    // With the key that signed them, they are of another journal.
    let key = run_well(&["audit", "key"], other.path(), &[]);
    let finished = run(&["audit", "verify", "--public-key", &key], folder.path(), &[]);
    assert!(finished.stdout.contains("were written anew"), "{finished:?}");
}

/// No change of any one byte leaves a document that convinces.
#[track_caller]
fn assert_every_byte_counts(document: &str, key: &str) {
    for index in 0..document.len() {
        let mut bytes = document.as_bytes().to_vec();
        bytes[index] ^= 0x01;
        let text = String::from_utf8(bytes).unwrap();
        let proved = verify_proof::verify(&text, key);
        assert!(proved.is_err(), "byte {index}: {text}");
    }
}

#[test]
fn a_proof_of_a_payment_convinces_without_florin_and_every_byte_of_it_counts() {
    let (folder, made) = stopped(5);
    let key = run_well(&["audit", "key"], folder.path(), &[]);
    let lines = export(folder.path());
    let heads = of_kind(&lines, "florin.head");
    let sizes: Vec<u64> = heads
        .iter()
        .map(|line| line["head"]["size"].as_u64().unwrap())
        .collect();
    let (older, newest) = (sizes[0].to_string(), sizes[sizes.len() - 1]);
    let id = made[0]["id"].as_str().unwrap();
    let arguments = ["audit", "proof", "--payment", id, "--consistency", &older];
    let document = run_well(&arguments, folder.path(), &[]);
    let proved = verify_proof::verify(&document, &key).unwrap();
    for part in [format!("one of {older} records"), format!("of {newest} records")] {
        assert!(proved.contains(&part), "{part}: {proved}");
    }
    let proof: Value = serde_json::from_str(&document).unwrap();
    let of_payment = of_kind(&lines, "florin.record")
        .into_iter()
        .filter(|line| line["commit"].to_string().contains(id));
    let expected: Vec<&Value> = of_payment.map(|line| &line["hash"]).collect();
    let proved: Vec<&Value> = proof["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| &record["hash"])
        .collect();
    assert_eq!(proved, expected);
    assert!(proved.len() > 1);
    assert_every_byte_counts(&document, &key);

    let out = folder.path().join("proof.json");
    run_well(
        &["audit", "proof", "--seq", "1", "--out", out.to_str().unwrap()],
        folder.path(),
        &[],
    );
    verify_proof::verify(&fs::read_to_string(out).unwrap(), &key).unwrap();
    let refused: [(&[&str], &str); 4] = [
        (&["--seq", "100000"], "no commit 100000"),
        (
            &["--seq", "1", "--consistency", "1000000"],
            "no head of commit 1000000",
        ),
        (&["--payment", "pay_01m7y8deaq0002sgjzdzk0h03e"], "no payment"),
        (&[], "--payment"),
    ];
    for (arguments, expected) in refused {
        let finished = run(&[&["audit", "proof"], arguments].concat(), folder.path(), &[]);
        assert!(
            !finished.status.success() && finished.stderr.contains(expected),
            "{finished:?}"
        );
    }
}

#[test]
fn a_receipt_over_http_is_signed_by_the_node_and_for_those_whose_payment_it_is() {
    let (folder, dev) = Dev::fresh(&[]);
    let paid = dev.pay("k", &sale(501, "EUR")).expect(200).json();
    let path = format!("/v1/payments/{}/receipt", paid["id"].as_str().unwrap());
    let key = run_well(&["audit", "key"], folder.path(), &[]);
    let receipt = dev.merchant().read(&path);
    assert_eq!(
        (
            &receipt["payment"],
            &receipt["status"],
            &receipt["captured_minor"]
        ),
        (&paid["id"], &json!("succeeded"), &json!(501))
    );
    let document = receipt.to_string();
    let proved = verify_proof::verify(&document, &key).unwrap();
    assert!(
        proved.contains("is succeeded: 501 EUR minor units, 501 captured, 0 refunded"),
        "{proved}"
    );
    assert_every_byte_counts(&document, &key);
    verify_proof::verify(&dev.operator().read(&path).to_string(), &key).unwrap();
    // It is about the payment's last record, as the command's is.
    let refund = format!("/v1/payments/{}/refunds", paid["id"].as_str().unwrap());
    dev.merchant()
        .post("r", &refund, &json!({"amount": 1}))
        .expect(200);
    let later = dev.merchant().read(&path);
    assert_eq!(later["refunded_minor"], 1);
    assert!(later["seq"].as_u64() > receipt["seq"].as_u64());
    for missing in [
        "/v1/payments/pay_01m7y92a930001k836eeyy2z3p/receipt",
        "/v1/payments/x/receipt",
    ] {
        dev.merchant().get(missing).expect(404);
        dev.operator().get(missing).expect(404);
    }
    dev.stop();
    let own = run_well(
        &["audit", "receipt", "--payment", paid["id"].as_str().unwrap()],
        folder.path(),
        &[],
    );
    let own: Value = serde_json::from_str(&own).unwrap();
    for field in ["seq", "record_hash", "public_key", "refunded_minor", "shard"] {
        assert_eq!(own[field], later[field], "{field}");
    }
}

#[test]
fn e2e_7_a_receipt_says_what_a_payment_is_and_every_byte_of_it_counts() {
    let (folder, made) = stopped(2);
    let key = run_well(&["audit", "key"], folder.path(), &[]);
    let payment = made.last().unwrap();
    let document = run_well(
        &["audit", "receipt", "--payment", payment["id"].as_str().unwrap()],
        folder.path(),
        &[],
    );
    let receipt: Value = serde_json::from_str(&document).unwrap();
    let told = [
        "amount_minor",
        "captured_minor",
        "refunded_minor",
        "currency",
        "status",
        "payment",
        "livemode",
    ]
    .map(|field| &receipt[field]);
    let shown = [
        "amount",
        "amount_captured",
        "amount_refunded",
        "currency",
        "status",
        "id",
        "livemode",
    ]
    .map(|field| &payment[field]);
    assert_eq!(told, shown);
    assert_eq!(
        (&receipt["amount_minor"], &receipt["status"]),
        (&json!(501), &json!("succeeded"))
    );
    let proved = verify_proof::verify(&document, &key).unwrap();
    assert!(
        proved.contains("is succeeded: 501 EUR minor units, 501 captured, 0 refunded"),
        "{proved}"
    );
    assert_every_byte_counts(&document, &key);
}

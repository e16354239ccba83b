//! The commands, and starts from folders that are in use, cut off or damaged.

use crate::deployment::{Caller, Dev, MERCHANT, OPERATOR, PATIENT, assert_balanced, sale, with_method};
use crate::process::{Process, address_after, command, logged_address, run, run_well};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A new merchant in a stopped node's folder, with other fees than the usual ones; its key.
#[track_caller]
pub(crate) fn merchant_with_fee(folder: &Path, fee_bps: &str, fee_fixed: &str) -> String {
    let arguments = [
        "merchant",
        "create",
        "--name",
        "Another",
        "--fee-bps",
        fee_bps,
        "--fee-fixed",
        fee_fixed,
    ];
    let id = run_well(&arguments, folder, &[]);
    assert!(id.starts_with("mer_"), "{id}");
    let key = run_well(&["key", "create", "--merchant", &id], folder, &[]);
    assert!(key.starts_with("sk_test_"), "{key}");
    key
}

/// A new merchant in a stopped node's folder; its key.
#[track_caller]
pub(crate) fn another_merchant(folder: &Path, variables: &[(&str, &str)]) -> String {
    let id = run_well(&["merchant", "create", "--name", "Another"], folder, variables);
    run_well(&["key", "create", "--merchant", &id], folder, variables)
}

/// The configuration of a node whose one provider is a sandbox that runs elsewhere.
pub(crate) fn write_config(folder: &Path, sandbox: SocketAddr) -> PathBuf {
    let path = folder.join("florin.toml");
    let text = format!(
        "[[provider]]\nkind = \"stripe\"\nid = \"stripe\"\nbase_url = \"http://{sandbox}\"\nsecret_key = \"sk_test_sandbox\"\n"
    );
    fs::write(&path, text).unwrap();
    path
}

/// `florin serve` on a folder.
#[track_caller]
pub(crate) fn serve(config: &Path, data_dir: &Path, variables: &[(&str, &str)]) -> (Process, SocketAddr) {
    let arguments = ["serve", "--config", config.to_str().unwrap()];
    let all = [&PATIENT, variables].concat();
    let mut process = Process::start(&mut command(&arguments, data_dir, &all));
    let api = process.says("the API's address", logged_address);
    (process, api)
}

#[test]
fn merchants_and_keys_are_made_while_the_node_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let merchant = run_well(&["merchant", "create", "--name", "Shop"], folder.path(), &[]);
    assert!(merchant.starts_with("mer_"), "{merchant}");
    let key = run_well(&["key", "create", "--merchant", &merchant], folder.path(), &[]);
    let live = run_well(
        &["key", "create", "--merchant", &merchant, "--live"],
        folder.path(),
        &[],
    );
    let operator = run_well(&["key", "create"], folder.path(), &[]);
    for (secret, prefix) in [(&key, "sk_test_"), (&live, "sk_live_"), (&operator, "ok_test_")] {
        let random = secret
            .strip_prefix(prefix)
            .unwrap_or_else(|| panic!("{secret} starts with {prefix}"));
        assert!(random.len() >= 32, "{secret}");
    }
    let unknown = run(
        &["key", "create", "--merchant", "mer_01m7y8deaq0002sgjzdzk0h03e"],
        folder.path(),
        &[],
    );
    assert!(
        !unknown.status.success() && unknown.stderr.contains("--merchant"),
        "{unknown:?}"
    );
    let malformed = run(
        &["merchant", "create", "--name", "X", "--fee-fixed", "much"],
        folder.path(),
        &[],
    );
    assert!(
        !malformed.status.success() && malformed.stderr.contains("--fee-fixed"),
        "{malformed:?}"
    );

    let dev = Dev::start(folder.path(), &[]);
    let payment = Caller::new(dev.api, &key)
        .pay("k", &sale(10_000, "USD"))
        .expect(200)
        .json();
    assert_eq!(
        (&payment["livemode"], &payment["fee"]),
        (&json!(false), &json!(320))
    );
    Caller::new(dev.api, &operator).read("/v1/ops/tree");
    let live_sees = Caller::new(dev.api, &live).read("/v1/payments");
    assert_eq!(live_sees["data"], json!([]), "live and test mode are apart");
    dev.stop();
    let stored = fs::read(folder.path().join("journal.db")).unwrap();
    for secret in [&key, &live, &operator] {
        let is_there = stored
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!is_there, "only a digest of a secret is stored");
    }
}

#[test]
fn config_check_shows_what_is_in_effect_and_names_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "127.0.0.1:9".parse().unwrap());
    let check = ["config", "check", "--config", config.to_str().unwrap()];
    let shown = run_well(&check, folder.path(), &[("FLORIN_RETRY_TRIES_MAX", "7")]);
    assert!(shown.contains("tries_max = 7"), "{shown}");
    assert!(
        !shown.contains("sk_test_sandbox"),
        "secrets are not shown: {shown}"
    );
    let wrong = [
        (("FLORIN_RETRY_TRIES_MAX", "0"), "retry.tries_max"),
        (("FLORIN_RETRY_TRYS_MAX", "3"), "FLORIN_RETRY_TRYS_MAX"),
        (("FLORIN_LISTEN", "everywhere"), "listen"),
        (
            ("FLORIN_STAGES_AUTHORIZATION_MS", "20000"),
            "stages.authorization_ms",
        ),
    ];
    for (variable, named) in wrong {
        let finished = run(&check, folder.path(), &[variable]);
        assert!(!finished.status.success(), "{variable:?}: {finished:?}");
        assert!(finished.stderr.contains(named), "{variable:?}: {finished:?}");
    }
    let none = run(&["config", "check"], folder.path(), &[]);
    assert!(
        !none.status.success() && none.stderr.contains("provider"),
        "{none:?}"
    );
}

/// Everything that the API shows of payments and books.
fn everything(dev: &Dev) -> Vec<Value> {
    let merchant = dev.merchant();
    let mut all = merchant.read_all("/v1/payments");
    let ids: Vec<String> = all
        .iter()
        .map(|payment| payment["id"].as_str().unwrap().to_owned())
        .collect();
    for id in ids {
        all.push(merchant.read(&format!("/v1/payments/{id}")));
        all.push(merchant.read(&format!("/v1/payments/{id}/history")));
    }
    for account in merchant.read_all("/v1/ledger/accounts") {
        all.extend(merchant.read_all(&format!(
            "/v1/ledger/accounts/{}/entries",
            account["id"].as_str().unwrap()
        )));
    }
    all.push(dev.operator().read("/v1/ledger/trial_balance"));
    all
}

fn make_body(number: usize) -> Value {
    let methods = [
        "pm_card_visa",
        "pm_card_visa_chargeDeclined",
        "pm_card_riskLevelHighest",
        "pm_card_mastercard",
    ];
    let mut body = with_method(methods[number % methods.len()]);
    body["metadata"] = json!({"mark": format!("mark-{number}-mark")});
    body
}

pub(crate) fn make_payments(dev: &Dev, count: usize) -> Vec<Value> {
    let mut made = Vec::new();
    for number in 0..count {
        let answer = dev.pay(&format!("key-{number}"), &make_body(number));
        assert!([200, 402].contains(&answer.status), "{answer:?}");
        let id = match answer.status {
            200 => answer.json()["id"].as_str().unwrap().to_owned(),
            _ => answer.error("payment_id"),
        };
        made.push(dev.merchant().read(&format!("/v1/payments/{id}")));
    }
    made
}

#[test]
fn views_that_are_rebuilt_show_the_same() {
    let (folder, dev) = Dev::fresh(&[]);
    make_payments(&dev, 30);
    let before = everything(&dev);
    dev.stop();
    let said = run_well(&["views", "rebuild"], folder.path(), &[]);
    assert!(said.contains("views rebuilt up to commit "), "{said}");
    let dev = Dev::start(folder.path(), &[]);
    assert_eq!(everything(&dev), before);
    dev.stop();
    fs::remove_file(folder.path().join("views.db")).unwrap();
    let dev = Dev::start(folder.path(), &[]);
    assert_eq!(everything(&dev), before, "also when the views are just gone");
    dev.stop();
}

#[test]
fn a_folder_in_use_is_refused_and_its_owner_goes_on() {
    let (folder, dev) = Dev::fresh(&[]);
    let commands: [&[&str]; 4] = [
        &["dev"],
        &["merchant", "create", "--name", "X"],
        &["key", "create"],
        &["views", "rebuild"],
    ];
    for arguments in commands {
        let second = run(arguments, folder.path(), &[]);
        assert!(
            second.status.code().is_some_and(|code| code != 0),
            "{arguments:?}: {second:?}"
        );
        assert!(
            second.stderr.contains("in use by another process"),
            "{arguments:?}: {second:?}"
        );
        assert!(
            second.stderr.contains(folder.path().to_str().unwrap()),
            "{arguments:?}: {second:?}"
        );
    }
    dev.pay("k", &sale(500, "USD")).expect(200);
    assert_eq!(dev.merchant().read_all("/v1/payments").len(), 1);
    dev.stop();
}

#[test]
fn serve_refuses_the_published_keys_of_development() {
    let (folder, dev) = Dev::fresh(&[]);
    dev.pay("k", &sale(500, "USD")).expect(200);
    dev.stop();
    let own = another_merchant(folder.path(), &[]);
    let config = write_config(folder.path(), "127.0.0.1:9".parse().unwrap());
    let (process, api) = serve(&config, folder.path(), &[]);
    for key in [MERCHANT, OPERATOR] {
        for path in ["/v1/payments", "/v1/ledger/trial_balance"] {
            Caller::new(api, key).get(path).expect(401);
        }
    }
    assert_eq!(Caller::new(api, &own).read("/v1/payments")["data"], json!([]));
    process.stop();
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A copy of a stopped node's folder without what is derived from its journal: as if only the journal had been brought over.
fn copy_of_the_journal(folder: &Path) -> TempDir {
    let target = tempfile::tempdir().unwrap();
    copy(folder, target.path());
    for derived in ["keys", "snapshots", "heads"] {
        fs::remove_dir_all(target.path().join(derived)).unwrap_or_default();
    }
    for derived in ["views.db", "views.db-wal", "views.db-shm", "journal.db-shm"] {
        fs::remove_file(target.path().join(derived)).unwrap_or_default();
    }
    target
}

#[test]
fn a_torn_tail_of_the_journal_leaves_a_prefix() {
    let (folder, dev) = Dev::fresh(&[]);
    let made = make_payments(&dev, 24);
    dev.process.kill_9();
    let wal = folder.path().join("journal.db-wal");
    let length = fs::metadata(&wal).unwrap().len();
    assert!(
        length > 50_000,
        "the log was copied into the file before it could be torn: {length} bytes"
    );
    let mut counts = BTreeSet::new();
    // Whole, inside the last frames, inside the middle, inside a header, and nothing at all.
    for keep in [
        length,
        length - 1,
        length - 5000,
        length * 3 / 4,
        length / 2 + 13,
        length / 4,
        40,
        0,
    ] {
        let torn = copy_of_the_journal(folder.path());
        let file = fs::OpenOptions::new()
            .write(true)
            .open(torn.path().join("journal.db-wal"))
            .unwrap();
        file.set_len(keep).unwrap();
        drop(file);
        let dev = Dev::start(torn.path(), &[]);
        let kept = dev.merchant().read_all("/v1/payments");
        let count = kept.len();
        // A payment that was cut off in its middle is taken up again, and ends as it did.
        for (payment, was) in kept.iter().rev().zip(&made) {
            let now = dev
                .merchant()
                .payment_once(was["id"].as_str().unwrap(), was["status"].as_str().unwrap());
            assert_eq!(payment["id"], was["id"], "{keep}");
            assert_eq!(
                (&now["amount_captured"], &now["net"]),
                (&was["amount_captured"], &was["net"]),
                "{keep}"
            );
        }
        assert_balanced(&dev.operator());
        let after = dev.pay("after", &sale(500, "USD")).expect(200).json();
        assert_eq!(after["status"], "succeeded");
        counts.insert((keep, count));
        dev.stop();
    }
    eprintln!("bytes of log and payments kept: {counts:?}");
    let whole = counts.last().unwrap();
    assert_eq!(*whole, (length, made.len()), "{counts:?}");
    assert!(
        counts.iter().map(|torn| torn.1).is_sorted(),
        "more log, more payments: {counts:?}"
    );
    assert!(
        counts.iter().any(|torn| torn.1 > 0 && torn.1 < made.len()),
        "{counts:?}"
    );
}

#[test]
fn indexes_that_are_ahead_of_a_journal_that_lost_its_tail_invent_nothing() {
    let (folder, dev) = Dev::fresh(&[]);
    let made = make_payments(&dev, 24);
    dev.process.kill_9();
    let torn = tempfile::tempdir().unwrap();
    copy(folder.path(), torn.path());
    let wal = fs::OpenOptions::new()
        .write(true)
        .open(torn.path().join("journal.db-wal"))
        .unwrap();
    wal.set_len(wal.metadata().unwrap().len() / 2).unwrap();
    drop(wal);
    let mut process = Process::start(&mut command(&["dev"], torn.path(), &PATIENT));
    let started = process.says("that it runs, or that it cannot", |line| {
        let refused = line.starts_with("Error:").then_some(None);
        refused.or_else(|| address_after(line, "API").map(Some))
    });
    let Some(api) = started else {
        assert!(process.wait().code().is_some_and(|code| code != 0));
        let (_, error) = process.output();
        assert!(error.contains("journal"), "{error}");
        return;
    };
    let merchant = Caller::new(api, MERCHANT);
    let kept = merchant.read_all("/v1/payments").len();
    assert!(0 < kept && kept < made.len(), "{kept}");
    for (number, was) in made.iter().enumerate() {
        let found = merchant.get(&format!("/v1/payments/{}", was["id"].as_str().unwrap()));
        assert_eq!(
            found.status,
            if number < kept { 200 } else { 404 },
            "{number} of {kept}: {found:?}"
        );
    }
    // Keys used from now on keep their promise, also across a restart.
    let new: Vec<_> = (0..30_u64)
        .map(|number| (format!("new-{number}"), sale(500 + number, "USD")))
        .collect();
    let paid: Vec<_> = new
        .iter()
        .map(|(key, body)| merchant.pay(key, body).expect(200))
        .collect();
    assert_eq!(merchant.read_all("/v1/payments").len(), kept + new.len());
    process.stop();
    let dev = Dev::start(torn.path(), &[]);
    for ((key, body), first) in new.iter().zip(&paid) {
        let again = dev.pay(key, body).expect(200);
        assert_eq!((again.text(), again.is_replay()), (first.text(), true), "{key}");
    }
    // A key whose payment was lost is a new key.
    let lost = made.len() - 1;
    let again = dev.pay(&format!("key-{lost}"), &make_body(lost)).expect(200);
    assert!(!again.is_replay(), "{again:?}");
    assert_eq!(
        dev.merchant().read_all("/v1/payments").len(),
        kept + new.len() + 1
    );
    dev.stop();
}

/// A copy of a folder in whose journal one bit of a text is flipped. Pages that were split keep stale copies of their records;
/// these are flipped as well, which harms nobody.
pub(crate) fn damaged(folder: &Path, text: &str, keep_derived: bool) -> TempDir {
    let target = if keep_derived {
        let target = tempfile::tempdir().unwrap();
        copy(folder, target.path());
        target
    } else {
        copy_of_the_journal(folder)
    };
    let path = target.path().join("journal.db");
    let mut bytes = fs::read(&path).unwrap();
    let starts = 0..bytes.len() - text.len();
    let found: Vec<usize> = starts
        .filter(|start| bytes[*start..].starts_with(text.as_bytes()))
        .collect();
    assert!(!found.is_empty(), "{text} stands in the journal");
    for start in found {
        bytes[start + text.len() - 1] ^= 0x01;
    }
    fs::write(&path, bytes).unwrap();
    target
}

#[track_caller]
fn assert_refused(folder: &Path, what: &str) {
    let finished = run(&["dev"], folder, &PATIENT);
    assert!(
        finished.status.code().is_some_and(|code| code != 0),
        "{what}: {finished:?}"
    );
    assert!(finished.stderr.contains("damaged"), "{what}: {finished:?}");
}

#[test]
fn a_flipped_bit_in_the_journal_is_found_at_the_start_and_named() {
    let (folder, dev) = Dev::fresh(&[]);
    let count = 24;
    make_payments(&dev, count);
    dev.stop();
    for number in [0, count / 2, count - 1] {
        let folder = damaged(folder.path(), &format!("mark-{number}-mark"), false);
        assert_refused(folder.path(), &format!("payment {number} of {count}"));
    }
    let last = damaged(folder.path(), &format!("mark-{}-mark", count - 1), true);
    assert_refused(last.path(), "the last payment, with a snapshot after it");
    let unharmed = tempfile::tempdir().unwrap();
    copy(folder.path(), unharmed.path());
    Dev::start(unharmed.path(), &[]).stop();
}

#[test]
fn a_flipped_bit_before_a_snapshot_is_found_at_the_latest_when_it_is_read() {
    let (folder, dev) = Dev::fresh(&[]);
    let first = make_payments(&dev, 24)[0]["id"].as_str().unwrap().to_owned();
    dev.stop();
    let folder = damaged(folder.path(), "mark-0-mark", true);
    let mut process = Process::start(&mut command(&["dev"], folder.path(), &PATIENT));
    let started = process.says("that it runs, or that it cannot", |line| {
        if line.contains("damaged") {
            return Some(None);
        }
        address_after(line, "API").map(Some)
    });
    if let Some(api) = started {
        let answer = Caller::new(api, MERCHANT).get(&format!("/v1/payments/{first}/history"));
        assert!(answer.status >= 500, "{answer:?}");
        assert!(
            !answer.text().contains("mark-0"),
            "damage is never shown as truth: {answer:?}"
        );
        process.terminate();
    }
    process.wait();
}

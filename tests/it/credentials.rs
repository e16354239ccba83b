//! Merchants with credentials of their own: each is charged under its own, payments keep those that they were made under, and an exchange under load
//! and across crashes loses nothing.

use crate::adyen;
use crate::deployment::{Caller, Dev, MERCHANT, OPERATOR, sale};
use crate::http::{Answer, Client};
use crate::operations::{made, manual};
use crate::operations_recovery::{OFTEN, Shared, assert_nothing_lost_and_nothing_doubled};
use crate::process::{Process, command, run, run_well};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

pub(crate) const CONFIGURED: &str = "sk_test_sandbox";
pub(crate) const FIRST: &str = "sk_test_canaryALPHA_0001_4Tz1";
pub(crate) const SECOND: &str = "sk_test_canaryBRAVO_0002_9Xy2";
const SHOPS: &str = "sk_test_canaryCHARLIE_0003_7Qw3";
const HMAC_KEY: &str = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";
const CLIENTS: usize = 8;

pub(crate) fn path(merchant: &str, provider: &str) -> String {
    format!("/v1/ops/merchants/{merchant}/providers/{provider}/credentials")
}

pub(crate) fn send(dev: &Dev, method: &str, path: &str, body: &Value) -> Answer {
    send_to(dev.api, OPERATOR, (method, path), body)
}

/// The same to a node at this address, with this operator's key.
pub(crate) fn send_to(api: SocketAddr, operator: &str, (method, path): (&str, &str), body: &Value) -> Answer {
    let authorization = format!("Bearer {operator}");
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
    ];
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    Client::new(api)
        .send(method, path, &headers, body.as_bytes())
        .unwrap()
}

#[track_caller]
pub(crate) fn set(dev: &Dev, merchant: &str, key: &str) -> u64 {
    let body = json!({"secret_key": key});
    let answer = send(dev, "PUT", &path(merchant, "stripe"), &body).expect(200);
    answer.json()["version"].as_u64().unwrap()
}

#[track_caller]
pub(crate) fn retire(dev: &Dev, merchant: &str, version: u64) {
    let path = format!("{}?version={version}&falls_back=true", path(merchant, "stripe"));
    send(dev, "DELETE", &path, &Value::Null).expect(200);
}

/// The development merchant.
pub(crate) fn merchant(dev: &Dev) -> String {
    let all = dev.operator().read("/v1/ops/merchants");
    let named = |merchant: &&Value| merchant["name"] == "Development merchant";
    let found = all["data"].as_array().unwrap().iter().find(named);
    found.unwrap()["id"].as_str().unwrap().to_owned()
}

/// The name that the sandbox's log has in place of a key.
fn account(key: &str) -> String {
    let mut digest = Sha256::new();
    digest.update((key.len() as u64).to_le_bytes());
    digest.update(key.as_bytes());
    let mut name = String::new();
    for byte in &digest.finalize()[..8] {
        write!(name, "{byte:02x}").unwrap();
    }
    name
}

/// Under which account each request was executed, by its idempotency key.
fn accounts(folder: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(folder.join("sandbox/witness.jsonl")).unwrap();
    let mut accounts = BTreeMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        find_calls(&line, &mut accounts);
    }
    accounts
}

fn find_calls(value: &Value, accounts: &mut BTreeMap<String, String>) {
    let Some(fields) = value.as_object() else { return };
    if let (Some(account), Some(key)) = (fields.get("account"), fields.get("key"))
        && let (Some(account), Some(key)) = (account.as_str(), key.as_str())
    {
        accounts.insert(key.to_owned(), account.to_owned());
    }
    fields.values().for_each(|field| find_calls(field, accounts));
}

/// Which key the charge, capture or refund of a payment came with.
#[track_caller]
fn came_with(dev: &Dev, folder: &Path, payment: &str, operation: &str) -> &'static str {
    charged_with(&dev.charges(), folder, payment, operation)
}

/// The same of these charges, of which the sandbox in a folder knows more.
#[track_caller]
pub(crate) fn charged_with(rows: &[Value], folder: &Path, payment: &str, operation: &str) -> &'static str {
    let row = rows
        .iter()
        .find(|row| row["payment_id"] == payment && row["operation"] == operation);
    let row = row.unwrap_or_else(|| panic!("no {operation} of {payment} in {rows:?}"));
    let account_seen = &accounts(folder)[row["idempotency_key"].as_str().unwrap()];
    let known = [CONFIGURED, FIRST, SECOND, SHOPS];
    known
        .into_iter()
        .find(|key| account(key) == *account_seen)
        .unwrap()
}

/// No secret is in any file but the sandbox's, which is another party's.
fn assert_no_canary(folder: &Path) {
    let mut folders = vec![folder.to_owned()];
    let mut files = 0;
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.extend((path.file_name().unwrap() != "sandbox").then_some(path));
            } else {
                assert_clean(&path, &fs::read(&path).unwrap());
                files += 1;
            }
        }
    }
    assert!(files > 5, "only {files} files");
}

fn assert_clean(path: &Path, bytes: &[u8]) {
    for canary in ["canaryALPHA", "canaryBRAVO", "canaryCHARLIE"] {
        let is_there = bytes
            .windows(canary.len())
            .any(|window| window == canary.as_bytes());
        assert!(!is_there, "{canary} in {}", path.display());
    }
}

/// A folder in which a second merchant is registered, its id and its key.
pub(crate) fn with_second_merchant() -> (TempDir, String, String) {
    let (folder, dev) = Dev::fresh(&[]);
    dev.stop();
    let shop = run_well(&["merchant", "create", "--name", "Shop"], folder.path(), &[]);
    let key = run_well(&["key", "create", "--merchant", &shop], folder.path(), &[]);
    (folder, shop, key)
}

#[test]
fn each_merchant_is_charged_under_its_own_key_and_each_payment_keeps_its_own() {
    let (folder, shop, shop_key) = with_second_merchant();
    let dev = Dev::start(folder.path(), &[]);
    let own = merchant(&dev);
    let pay = |dev: &Dev, caller: &str, key: &str| {
        let answer = Caller::new(dev.api, caller).pay(key, &sale(1_000, "USD"));
        answer.expect(200).json()["id"].as_str().unwrap().to_owned()
    };
    let before = made(&dev, "before", &manual(2_000, "USD"));
    assert_eq!(set(&dev, &own, FIRST), 1);
    assert_eq!(set(&dev, &shop, SHOPS), 1);
    let first = made(&dev, "first", &manual(2_000, "USD"));
    let other_first = made(&dev, "other-first", &manual(2_000, "USD"));
    let shops = pay(&dev, &shop_key, "shops");
    assert_eq!(set(&dev, &own, SECOND), 2);
    let second = pay(&dev, MERCHANT, "second");
    let with = |dev: &Dev, payment: &str, operation| came_with(dev, folder.path(), payment, operation);
    assert_eq!(with(&dev, &before, "authorize"), CONFIGURED);
    assert_eq!(with(&dev, &first, "authorize"), FIRST);
    assert_eq!(with(&dev, &shops, "sale"), SHOPS);
    assert_eq!(with(&dev, &second, "sale"), SECOND);
    // What was made earlier goes on as it was made, also after a crash.
    dev.process.kill_9();
    let dev = Dev::start(folder.path(), &[]);
    for (payment, key) in [(&before, CONFIGURED), (&first, FIRST)] {
        let path = format!("/v1/payments/{payment}/capture");
        let capture = dev
            .merchant()
            .post(&format!("capture-{payment}"), &path, &json!({}));
        assert_eq!(capture.expect(200).json()["status"], "succeeded");
        assert_eq!(with(&dev, payment, "capture"), key);
    }
    let third = pay(&dev, MERCHANT, "third");
    assert_eq!(with(&dev, &third, "sale"), SECOND);
    // The next one stands in for what is retired.
    retire(&dev, &own, 1);
    let path = format!("/v1/payments/{other_first}/capture");
    dev.merchant()
        .post("capture-other", &path, &json!({}))
        .expect(200);
    assert_eq!(with(&dev, &other_first, "capture"), SECOND);
    retire(&dev, &own, 2);
    let last = pay(&dev, MERCHANT, "last");
    assert_eq!(with(&dev, &last, "sale"), CONFIGURED);
    let (out, err) = dev.process.said_so_far();
    dev.stop();
    assert_clean(Path::new("the log"), out.as_bytes());
    assert_clean(Path::new("the log"), err.as_bytes());
    assert_no_canary(folder.path());
}

#[test]
fn keys_exchanged_under_load_and_crashes_lose_and_double_nothing() {
    let (folder, mut dev) = Dev::fresh(&OFTEN);
    let own = merchant(&dev);
    let shared = Arc::new(Shared::new(dev.api));
    let clients = shared.start(CLIENTS);
    let mut versions: Vec<u64> = Vec::new();
    for round in 0..12 {
        shared.wait_for_more(12);
        let version = set(&dev, &own, &format!("sk_test_canaryALPHA_round_{round:04}"));
        assert!(
            versions.iter().all(|earlier| *earlier < version),
            "{versions:?} {version}"
        );
        versions.push(version);
        if versions.len() > 3 {
            retire(&dev, &own, versions.remove(0));
        }
        if round % 4 == 3 {
            dev.process.kill_9();
            dev = Dev::start(folder.path(), &OFTEN);
            shared.moved_to(dev.api);
        }
    }
    shared.wait_for_more(50);
    let asked = shared.finish(clients);
    assert_nothing_lost_and_nothing_doubled(&dev, &asked);
    let seen: BTreeSet<String> = accounts(folder.path()).into_values().collect();
    assert!(seen.len() > 6, "charges came with many keys: {seen:?}");
    dev.stop();
    assert_no_canary(folder.path());
}

#[test]
fn a_notification_under_a_merchants_own_hmac_key_is_believed_of_its_payments_only() {
    let (_folder, dev) = adyen::fresh(&[]);
    let own = merchant(&dev);
    let body =
        json!({"api_key": "AQE_canaryALPHA_own", "merchant_account": "ShopDE", "hmac_keys": [HMAC_KEY]});
    send(&dev, "PUT", &path(&own, "adyen"), &body).expect(200);
    // The sandbox signs for whichever account it was asked under: here it is the merchant's own, which the configuration does not have.
    let id = made(&dev, "hold", &manual(2_000, "USD"));
    adyen::order(&dev, "capture", &id, "capture", &json!({}));
    adyen::once(&dev, &id, "status", &json!("succeeded"));
    let retire = format!("{}?version=1", path(&own, "adyen"));
    let refused = send(&dev, "DELETE", &retire, &Value::Null).expect(409);
    assert_eq!(refused.json()["error"]["code"], "credentials_last");
    let retire = format!("{retire}&falls_back=true");
    send(&dev, "DELETE", &retire, &Value::Null).expect(200);
    // At another account the same request would be another one: it is not sent.
    let id = made(&dev, "configured", &manual(2_000, "USD"));
    adyen::order(&dev, "capture-configured", &id, "capture", &json!({}));
    adyen::once(&dev, &id, "status", &json!("succeeded"));
    dev.stop();
}

/// A file in the folder that holds this.
fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn commands_set_list_and_retire_credentials_and_take_secrets_from_files_only() {
    let (folder, dev) = Dev::fresh(&[]);
    let outside = tempfile::tempdir().unwrap();
    let key = file(outside.path(), "key", OPERATOR);
    let (own, url) = (merchant(&dev), format!("http://{}", dev.api));
    let place = [
        "--merchant",
        &own,
        "--provider",
        "stripe",
        "--url",
        &url,
        "--api-key-file",
        key.to_str().unwrap(),
    ];
    let words = |verb: &'static str, more: &[&'static str]| {
        let start = ["merchant", "credentials", verb];
        let all = start.iter().chain(place.iter()).chain(more.iter());
        all.map(ToString::to_string).collect::<Vec<String>>()
    };
    let ran = |arguments: &[String]| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run(&arguments, folder.path(), &[])
    };
    let fields = file(
        outside.path(),
        "fields",
        &json!({"secret_key": FIRST}).to_string(),
    );
    let mut with_file = words("set", &[]);
    with_file.extend(["--file".to_owned(), fields.to_str().unwrap().to_owned()]);
    let done = ran(&with_file);
    let shown: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&shown["version"], &shown["hint"]), (&json!(1), &json!("4Tz1")));
    // From the standard input.
    let piped = file(
        outside.path(),
        "piped",
        &json!({"secret_key": SECOND}).to_string(),
    );
    let arguments = words("set", &[]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut reading = command(&arguments, folder.path(), &[]);
    reading.stdin(File::open(piped).unwrap());
    assert!(Process::start(&mut reading).wait().success());
    let retired = ran(&words("retire", &["--version", "1"]));
    assert!(retired.status.success(), "{retired:?}");
    let listed = ran(&words("list", &[]));
    let versions: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(
        (&versions["data"][0]["hint"], &versions["data"][0]["retired"]),
        (&json!("9Xy2"), &Value::Null)
    );
    assert!(versions["data"][1]["retired"].is_u64());
    let again = ran(&words("retire", &["--version", "1"]));
    assert!(
        !again.status.success() && again.stderr.contains("resource_missing"),
        "{again:?}"
    );
    let last = ran(&words("retire", &["--version", "2"]));
    assert!(
        !last.status.success() && last.stderr.contains("credentials_last"),
        "{last:?}"
    );
    let meant = ran(&words("retire", &["--version", "2", "--falls-back"]));
    assert!(meant.status.success(), "{meant:?}");
    for finished in [&done, &retired, &listed, &again] {
        assert_clean(Path::new("stdout"), finished.stdout.as_bytes());
        assert_clean(Path::new("stderr"), finished.stderr.as_bytes());
    }
    dev.stop();
}

#[test]
fn a_node_starts_only_with_its_key_and_with_what_the_journal_says_that_it_has() {
    let (folder, dev) = Dev::fresh(&[]);
    let own = merchant(&dev);
    set(&dev, &own, FIRST);
    let sealed = folder.path().join(format!("credentials/{own}.sealed"));
    let older = fs::read(&sealed).unwrap();
    set(&dev, &own, SECOND);
    let newest = fs::read(&sealed).unwrap();
    dev.stop();
    let refused = |expected: &str| {
        let finished = run(&["dev"], folder.path(), &[]);
        assert!(!finished.status.success(), "{finished:?}");
        assert!(finished.stderr.contains(expected), "{finished:?}");
    };
    assert_ne!(older, newest);
    fs::write(&sealed, &older).unwrap();
    refused("has version 2 of its credentials at stripe");
    fs::remove_file(&sealed).unwrap();
    refused("put the latest copy in its place");
    let mut damaged = newest.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&sealed, &damaged).unwrap();
    refused("it was changed or moved");
    fs::write(&sealed, &newest).unwrap();
    let kek = folder.path().join("kek.secret");
    let old = fs::read(&kek).unwrap();
    fs::remove_file(&kek).unwrap();
    refused("there is no key to open them");
    fs::write(&kek, [7; 32]).unwrap();
    refused("is open to everybody");
    fs::set_permissions(&kek, fs::Permissions::from_mode(0o600)).unwrap();
    refused("which is not here");
    fs::write(&kek, &old).unwrap();
    let said = run_well(&["secrets", "rotate-kek"], folder.path(), &[]);
    // One of them is that of webhook endpoints.
    assert!(said.contains("2 data keys were wrapped anew"), "{said}");
    assert_ne!(fs::read(&kek).unwrap(), old);
    let dev = Dev::start(folder.path(), &[]);
    let paid = dev.pay("paid", &sale(1_000, "USD")).expect(200).json();
    let id = paid["id"].as_str().unwrap();
    assert_eq!(came_with(&dev, folder.path(), id, "sale"), SECOND);
    let held = run(&["secrets", "rotate-kek"], folder.path(), &[]);
    assert!(held.stderr.contains("in use by another process"), "{held:?}");
    dev.stop();
    fs::write(&kek, &old).unwrap();
    refused("which is not here");
}

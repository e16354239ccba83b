//! What the stores beside the journal have at a takeover: saved cards, payment links and webhook endpoints are in the database before they are
//! acknowledged, and a node that could not open them takes nobody's place.

use crate::deployment::{Caller, Dev, MERCHANT, PATIENT, sale};
use crate::http::{Answer, Client};
use crate::process::{Process, address_after, command, wait_for};
use crate::takeover::{Pair, keys, taking_payments};
use crate::webhooks::{Server, check_order, check_signature};
use florin_services::TestDatabase;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const KEK_FILE: &str = "FLORIN_SECRETS_KEK_FILE";

/// A key-encryption key that is 32 times this byte.
fn kek(folder: &Path, byte: u8) -> String {
    let path = folder.join(format!("kek-{byte}"));
    fs::write(&path, [byte; 32]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

pub(crate) fn pair_with_kek() -> Pair {
    let mut pair = Pair::new();
    let file = kek(pair.elsewhere.path(), 1);
    pair.more.push((KEK_FILE, file));
    // Whoever has the shards is reached there: what a link is answered with depends on it.
    pair.more
        .push(("FLORIN_HTTP_PUBLIC_URL", "https://pay.example".to_owned()));
    pair
}

#[track_caller]
pub(crate) fn made(caller: &Caller, key: &str, path: &str, body: &Value) -> Value {
    caller.post(key, path, body).expect(200).json()
}

#[track_caller]
pub(crate) fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

pub(crate) fn card() -> Value {
    json!({"type": "card", "card": {"number": "4242424242424242", "exp_month": 12, "exp_year": 2040, "cvc": "917"}})
}

#[track_caller]
pub(crate) fn pay_with(caller: &Caller, key: &str, method: &Value) -> Answer {
    caller.pay(
        key,
        &json!({"amount": 1_000, "currency": "USD", "payment_method_id": id(method)}),
    )
}

#[test]
fn what_a_killed_node_has_kept_for_merchants_is_there_with_the_one_that_takes_its_place() {
    let pair = pair_with_kek();
    let (key, _) = keys(&pair);
    let first = pair.start_first(0);
    let before = pair.caller(0, &key);
    let method = made(&before, "card", "/v1/payment_methods", &card());
    let customer = made(
        &before,
        "customer",
        "/v1/customers",
        &json!({"name": "Jane Diaz"}),
    );
    let attach = format!("/v1/payment_methods/{}/attach", id(&method));
    made(&before, "attach", &attach, &json!({"customer": id(&customer)}));
    let terms = json!({"amount": 2_500, "currency": "EUR", "single_use": true});
    let link = made(&before, "link", "/v1/payment_links", &terms);
    let url = json!({"url": "https://shop.example/hooks", "enabled_events": ["*"]});
    let endpoint = made(&before, "hook", "/v1/webhook_endpoints", &url);
    let mut second = pair.start_second(1);
    first.kill_9();
    second.says("that it takes payments", taking_payments);

    let after = pair.caller(1, &key);
    let charged = pay_with(&after, "pay", &method).expect(200).json();
    assert_eq!(charged["status"], "succeeded", "{charged}");
    assert_eq!(charged["payment_method_details"]["card"]["last4"], "4242");
    let methods = format!("/v1/customers/{}/payment_methods", id(&customer));
    assert_eq!(after.read(&methods)["data"][0]["id"], method["id"]);
    assert_eq!(after.read(&format!("/v1/payment_links/{}", id(&link))), link);
    let kept = after.read(&format!("/v1/webhook_endpoints/{}", id(&endpoint)));
    assert_eq!(kept["url"], endpoint["url"]);
    // The same under the same keys, as the node that is gone answered it.
    let again = after.post("link", "/v1/payment_links", &terms);
    assert!(again.is_replay(), "{again:?}");
    assert_eq!(again.json(), link);
    let again = after.post("hook", "/v1/webhook_endpoints", &url);
    assert!(again.is_replay(), "{again:?}");
    assert_eq!(again.json()["secret"], endpoint["secret"]);
    second.stop();
    pair.provider.stop();
}

#[test]
fn a_node_that_could_not_open_what_is_sealed_is_refused_and_the_other_one_goes_on() {
    let mut pair = pair_with_kek();
    let (key, _) = keys(&pair);
    let first = pair.start_first(0);
    let caller = pair.caller(0, &key);
    let method = made(&caller, "card", "/v1/payment_methods", &card());

    let right = pair.more.clone();
    let other = kek(pair.elsewhere.path(), 2);
    for (number, (more, expected)) in [
        (
            vec![(KEK_FILE, other)],
            "another key-encryption key (`secrets.kek_file`) than the nodes before it",
        ),
        (
            Vec::new(),
            "the database has customers and cards, and there is no key to open them: set `secrets.kek_file`",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        pair.more = more;
        let mut refused = pair.start(1);
        let status = refused.wait();
        let (_, log) = refused.output();
        assert!(!status.success() && log.contains(expected), "{status} {log}");
        // It has not even waited for its turn.
        assert!(!log.contains("waits for them"), "{log}");
        pay_with(&caller, &format!("pay-{number}"), &method).expect(200);
    }
    pair.more = right;
    first.stop();
    pair.provider.stop();
}

/// Nobody knows any more what the store has, so the process ends; the shards were its own, and it keeps nobody waiting for them.
#[test]
fn a_node_whose_store_must_not_go_on_ends_and_lets_go_of_the_shards() {
    let mut pair = pair_with_kek();
    let (key, _) = keys(&pair);
    // Longer than anybody here waits.
    pair.more.push(("FLORIN_DATABASE_LEASE_MS", "600000".to_owned()));
    let mut first = pair.start_first(0);
    let terms = json!({"amount": 2_500, "currency": "EUR"});
    let link = made(&pair.caller(0, &key), "link", "/v1/payment_links", &terms);
    let mut second = pair.start_second(1);
    let elsewhere = "UPDATE florin.store SET version = version + 1, change_id = 'x' WHERE name = 'links'";
    pair.database.query(elsewhere).unwrap();
    let headers = [
        ("Authorization", format!("Bearer {key}")),
        ("Content-Type", "application/json".to_owned()),
        ("Idempotency-Key", "another".to_owned()),
    ];
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let asked = Client::new(pair.addresses[0]).send(
        "POST",
        "/v1/payment_links",
        &headers,
        terms.to_string().as_bytes(),
    );
    assert!(asked.is_err() || asked.is_ok_and(|answer| answer.status >= 500));
    assert_eq!(first.wait().code(), Some(70));
    second.says("that it takes payments", taking_payments);
    let after = pair.caller(1, &key);
    assert_eq!(after.read(&format!("/v1/payment_links/{}", id(&link))), link);
    made(&after, "another", "/v1/payment_links", &terms);
    second.stop();
    pair.provider.stop();
}

/// Nothing was sealed when it began to wait.
#[test]
fn a_node_without_a_key_that_waits_takes_no_place_once_something_is_sealed() {
    let mut pair = Pair::new();
    let (key, _) = keys(&pair);
    let first = pair.start_first(0);
    let mut second = pair.start_second(1);
    // It must not be faster than the other one, which is started again with a key.
    second.signal("-STOP");
    first.stop();
    let file = kek(pair.elsewhere.path(), 1);
    pair.more.push((KEK_FILE, file));
    let first = pair.start_first(0);
    let caller = pair.caller(0, &key);
    let method = made(&caller, "card", "/v1/payment_methods", &card());
    second.signal("-CONT");
    let status = second.wait();
    let (_, why) = second.output();
    assert!(
        !status.success() && why.contains("the database has customers and cards, and there is no key"),
        "{status} {why}"
    );
    pay_with(&caller, "pay", &method).expect(200);
    first.stop();
    pair.provider.stop();
}

#[test]
fn stores_whose_files_are_lost_are_made_anew_from_the_database() {
    let pair = pair_with_kek();
    let (key, _) = keys(&pair);
    let node = pair.start_first(0);
    let caller = pair.caller(0, &key);
    let method = made(&caller, "card", "/v1/payment_methods", &card());
    let terms = json!({"amount": 2_500, "currency": "EUR"});
    let link = made(&caller, "link", "/v1/payment_links", &terms);
    let url = json!({"url": "https://shop.example/hooks", "enabled_events": ["*"]});
    let endpoint = made(&caller, "hook", "/v1/webhook_endpoints", &url);
    node.stop();
    for name in ["vault.db", "links.db", "webhooks.db"] {
        fs::remove_file(pair.folders[0].path().join(name)).unwrap();
        for end in ["-wal", "-shm"] {
            drop(fs::remove_file(
                pair.folders[0].path().join(format!("{name}{end}")),
            ));
        }
    }
    let node = pair.start_first(0);
    pay_with(&caller, "pay", &method).expect(200);
    assert_eq!(caller.read(&format!("/v1/payment_links/{}", id(&link))), link);
    let again = caller.post("hook", "/v1/webhook_endpoints", &url);
    assert_eq!(again.json()["secret"], endpoint["secret"], "{again:?}");
    node.stop();
    pair.provider.stop();
}

#[test]
fn indexes_whose_deletion_was_interrupted_are_deleted_to_the_end_and_made_anew() {
    let pair = Pair::new();
    let (key, _) = keys(&pair);
    let node = pair.start_first(0);
    let caller = pair.caller(0, &key);
    let charged = caller.pay("k", &sale(500, "USD")).expect(200);
    node.stop();
    let folder = pair.folders[0].path();
    fs::write(folder.join("journal.discarding"), "").unwrap();
    let mut files: Vec<_> = fs::read_dir(folder.join("keys"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        fs::remove_file(file).unwrap();
    }
    let node = pair.start_first(0);
    let again = caller.pay("k", &sale(500, "USD"));
    assert!(again.is_replay(), "{again:?}");
    assert_eq!((again.status, again.text()), (200, charged.text()));
    assert!(!folder.join("journal.discarding").exists());
    node.stop();
    pair.provider.stop();
}

/// A node of development, which tells servers of this machine. It waits for nobody.
fn start_dev(folder: &Path, database: &TestDatabase, kek: &str) -> Option<Dev> {
    let own = [
        ("FLORIN_DATABASE_URL", database.url()),
        ("FLORIN_DATABASE_LEASE_MS", "1500"),
        (KEK_FILE, kek),
    ];
    let mut process = Process::start(&mut command(&["dev"], folder, &[&PATIENT[..], &own[..]].concat()));
    let api = process.says_or_ends("the API's address", |line| address_after(line, "API"))?;
    let sandbox = process.says("the sandbox's address", |line| address_after(line, "sandbox"));
    Some(Dev {
        process,
        api,
        sandbox,
    })
}

#[test]
fn what_a_killed_node_still_had_to_tell_is_told_by_the_next_one_under_the_same_secret() {
    let database = TestDatabase::new().unwrap();
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let kek = kek(folders[2].path(), 1);
    let is_up = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&is_up);
    let server = Server::start(move |_, _| Some(if seen.load(Ordering::SeqCst) { 200 } else { 503 }));
    let first = start_dev(folders[0].path(), &database, &kek).unwrap();
    let body = json!({"url": server.url(), "enabled_events": ["*"]});
    let endpoint = made(&first.merchant(), "hook", "/v1/webhook_endpoints", &body);
    let secret = endpoint["secret"].as_str().unwrap();
    first.pay("before", &sale(500, "USD")).expect(200);
    wait_for("a delivery in vain", || (server.count() > 0).then_some(()));
    let name = "audit_key.secret";
    fs::copy(folders[0].path().join(name), folders[1].path().join(name)).unwrap();
    first.process.kill_9();
    is_up.store(true, Ordering::SeqCst);

    let second = wait_for("the lease to run out", || {
        start_dev(folders[1].path(), &database, &kek)
    });
    second.pay("after", &sale(700, "USD")).expect(200);
    let events = Caller::new(second.api, MERCHANT).read_all("/v1/events");
    wait_for("all events", || {
        let letters = server.all();
        let told = |event: &Value| letters.iter().any(|letter| letter.event()["id"] == event["id"]);
        events.iter().all(told).then_some(())
    });
    let letters = server.all();
    check_order(&letters);
    for letter in &letters {
        check_signature(letter, secret);
    }
    second.stop();
}

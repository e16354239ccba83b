//! What operators and merchants put in force, at a takeover: whatever was acknowledged by one process is what the next one decides by, from its first answer on,
//! and a change that was made against an older state is refused by either.

use crate::deployment::{Caller, sale};
use crate::http::{Answer, Client};
use crate::process::wait_for;
use crate::takeover::{Pair, keys, taking_payments};
use florin_services::Replicated;
use serde_json::{Value, json};
use std::net::SocketAddr;

fn ask(address: SocketAddr, key: &str, (method, path): (&str, &str), body: &Value) -> Answer {
    let authorization = format!("Bearer {key}");
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
    ];
    let body = body.to_string();
    let sent = Client::new(address).send(method, path, &headers, body.as_bytes());
    sent.unwrap()
}

/// Rules that send a card nowhere else, so that they are seen to be the ones that decide.
fn rules(brand: &str, expected_version: u64) -> Value {
    let program = format!("rule: brand is {brand} -> only stripe");
    json!({"program": program, "expected_version": expected_version, "reason": "a test"})
}

/// The routes of a payment, as its history tells them.
#[track_caller]
fn rule_of(merchant: &Caller, paid: &Answer) -> Value {
    let id = paid.json()["id"].as_str().unwrap().to_owned();
    let history = merchant.read_all(&format!("/v1/payments/{id}/history"));
    let routed = history.into_iter().find(|row| row["type"] == "attempt.routed");
    routed.unwrap()["route"]["rule"].clone()
}

#[test]
fn rules_that_were_acknowledged_are_what_the_next_process_decides_by_and_older_ones_are_refused_there() {
    let nodes = Pair::new();
    let (key, operator) = keys(&nodes);
    let set = |node, body: &Value| ask(nodes.addresses[node], &operator, ("PUT", "/v1/ops/routing"), body);
    let first = nodes.start_first(0);
    let before = nodes.caller(0, &key);
    assert_eq!(
        rule_of(&before, &before.pay("a", &sale(500, "USD")).expect(200)),
        Value::Null
    );
    assert_eq!(set(0, &rules("mastercard", 0)).expect(200).json()["version"], 1);
    let made = set(0, &rules("visa", 1)).expect(200).json();
    assert_eq!(made["version"], 2);
    let stale = set(0, &rules("amex", 1)).expect(409);
    assert_eq!(stale.error("code"), "routing_version_stale");
    assert_eq!(
        rule_of(&before, &before.pay("b", &sale(500, "USD")).expect(200)),
        "rule"
    );

    // Who waits has no rules, and so decides nothing by old ones.
    let mut second = nodes.start_second(1);
    let waiting = set(1, &rules("amex", 2)).expect(503);
    assert_eq!(waiting.error("code"), "not_owner");
    assert_eq!(nodes.caller(1, &key).pay("c", &sale(500, "USD")).status, 503);
    first.kill_9();
    second.says("that it takes payments", taking_payments);

    let after = nodes.caller(1, &key);
    assert_eq!(
        rule_of(&after, &after.pay("c", &sale(500, "USD")).expect(200)),
        "rule"
    );
    let present = nodes.caller(1, &operator).read("/v1/ops/routing");
    assert_eq!(
        (&present["version"], &present["program"]),
        (&made["version"], &made["program"])
    );
    let stale = set(1, &rules("amex", 1)).expect(409);
    assert_eq!(stale.error("code"), "routing_version_stale");
    assert_eq!(set(1, &rules("amex", 2)).expect(200).json()["version"], 3);
    second.stop();
    nodes.provider.stop();
}

/// What merchants are charged, and from when on: version, and a change to come that is far away.
fn fee(bps: u64, expected_version: u64, effective_at: Option<u64>) -> Value {
    json!({
        "fee_bps": bps, "fee_fixed": "0.30", "expected_version": expected_version, "effective_at": effective_at,
        "reason": "a contract",
    })
}

/// Where the fees of the only merchant are.
fn fees_path(operator: &Caller) -> String {
    let merchants = operator.read_all("/v1/ops/merchants");
    format!("/v1/ops/merchants/{}/fees", merchants[0]["id"].as_str().unwrap())
}

#[test]
fn cons_16_a_fee_that_was_acknowledged_is_what_every_process_charges() {
    const FAR: u64 = 4_102_444_800;
    let nodes = Pair::new();
    let (key, operator) = keys(&nodes);
    let first = nodes.start_first(0);
    let path = fees_path(&nodes.caller(0, &operator));
    let set = |node, body: &Value| ask(nodes.addresses[node], &operator, ("PUT", &path), body);
    let charged = |node, name: &str| {
        let paid = nodes
            .caller(node, &key)
            .pay(name, &sale(10_000, "USD"))
            .expect(200);
        paid.json()["fee"].as_u64().unwrap()
    };
    assert_eq!(charged(0, "a"), 320);
    set(0, &fee(200, 1, None)).expect(200);
    assert_eq!(charged(0, "b"), 230);
    let made = set(0, &fee(100, 2, Some(FAR))).expect(200).json();
    let mut second = nodes.start_second(1);
    assert_eq!(set(1, &fee(1, 3, None)).expect(503).error("code"), "not_owner");
    first.kill_9();
    second.says("that it takes payments", taking_payments);
    assert_eq!(charged(1, "c"), 230, "the first that it is asked at all");
    assert_eq!(
        nodes.caller(1, &operator).read(&path),
        made,
        "with what is to come"
    );
    let stale = set(1, &fee(1, 2, None)).expect(409);
    assert_eq!(
        (stale.error("code"), stale.error("param")),
        ("version_stale".to_owned(), "expected_version".to_owned())
    );
    assert_eq!(set(1, &fee(150, 3, None)).expect(200).json()["version"], 4);
    assert_eq!(charged(1, "d"), 180);
    second.stop();
    nodes.provider.stop();
}

#[test]
fn of_changes_that_saw_the_same_version_one_is_made_whoever_asks_at_once() {
    let nodes = Pair::new();
    let (_, operator) = keys(&nodes);
    let first = nodes.start_first(0);
    let address = nodes.addresses[0];
    for version in 0..5 {
        let codes: Vec<u16> = std::thread::scope(|scope| {
            let set = || {
                let body = rules("visa", version);
                ask(address, &operator, ("PUT", "/v1/ops/routing"), &body).status
            };
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(set)).collect();
            asking.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        let made = codes.iter().filter(|code| **code == 200).count();
        assert_eq!(made, 1, "{codes:?}");
        assert!(codes.iter().all(|code| matches!(code, 200 | 409)), "{codes:?}");
    }
    let present = nodes.caller(0, &operator).read("/v1/ops/routing");
    assert_eq!(present["version"], 5);
    first.stop();
    nodes.provider.stop();
}

#[test]
fn a_risk_list_and_its_end_are_in_force_at_the_next_process_as_they_were_acknowledged() {
    let nodes = Pair::new();
    let (key, _) = keys(&nodes);
    let first = nodes.start_first(0);
    let list = |node, customer: &str, more: &Value| {
        let mut body = json!({"list": "block", "kind": "customer", "value": customer, "reason": "a test"});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        ask(nodes.addresses[node], &key, ("POST", "/v1/risk/lists"), &body)
    };
    list(0, "cus_never", &json!({})).expect(200);
    list(0, "cus_later", &json!({"expires_at": 4_102_444_800_u64})).expect(200);
    let lifted = list(0, "cus_lifted", &json!({})).expect(200).json();
    let path = format!("/v1/risk/lists/{}", lifted["id"].as_str().unwrap());
    let removed = ask(nodes.addresses[0], &key, ("DELETE", &path), &json!({}));
    assert_eq!(removed.status, 200, "{removed:?}");
    let mut second = nodes.start_second(1);
    first.kill_9();
    second.says("that it takes payments", taking_payments);
    let after = nodes.caller(1, &key);
    let pays = |customer: &str| {
        let mut body = sale(500, "USD");
        body["customer_id"] = json!(customer);
        after.pay(customer, &body).status
    };
    // The first that it is asked at all.
    assert_eq!(pays("cus_never"), 402);
    assert_eq!(pays("cus_later"), 402);
    assert_eq!(pays("cus_lifted"), 200);
    assert_eq!(pays("cus_other"), 200);
    second.stop();
    nodes.provider.stop();
}

#[test]
fn an_account_is_opened_once_whichever_process_is_asked_and_no_id_is_given_twice() {
    let nodes = Pair::new();
    let (_, operator) = keys(&nodes);
    let open = |node, name: &str, kind: &str| {
        let body = json!({"name": name, "type": kind, "currency": "USD"});
        ask(
            nodes.addresses[node],
            &operator,
            ("POST", "/v1/ledger/accounts"),
            &body,
        )
    };
    let id = |answer: &Answer| answer.json()["id"].as_str().unwrap().to_owned();
    let first = nodes.start_first(0);
    let mut ids: Vec<String> = (0..8)
        .map(|n| id(&open(0, &format!("before:{n}"), "asset").expect(200)))
        .collect();
    let mut second = nodes.start_second(1);
    assert_eq!(
        open(1, "elsewhere", "asset").expect(503).error("code"),
        "not_owner"
    );
    first.kill_9();
    second.says("that it takes payments", taking_payments);
    // The same request is answered with what the other process has made, and another one under its name is refused.
    assert_eq!(id(&open(1, "before:3", "asset").expect(200)), ids[3]);
    let taken = open(1, "before:3", "liability").expect(409);
    assert_eq!(taken.error("code"), "account_name_taken");
    let after = (0..8).map(|n| id(&open(1, &format!("after:{n}"), "asset").expect(200)));
    ids.extend(after);
    ids.push(id(&open(1, "elsewhere", "asset").expect(200)));
    let listed = nodes.caller(1, &operator).read_all("/v1/ledger/accounts");
    let mut listed: Vec<String> = listed
        .iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    listed.sort();
    assert_eq!(ids, listed, "each once, and nothing of what was refused");
    ids.dedup();
    assert_eq!(ids.len(), 17);
    second.stop();
    nodes.provider.stop();
}

/// Where every commit must be on a second server: what was answered is there when the first one is lost with the node, and nothing is answered while there is none.
#[test]
fn cons_6_a_change_is_answered_when_all_copies_have_it_and_never_without_them() {
    let mut servers = Replicated::start().unwrap();
    let mut nodes = Pair::new();
    let more = [
        ("FLORIN_DATABASE_URL", servers.url()),
        ("FLORIN_DATABASE_SYNCHRONOUS_STANDBY", "required".to_owned()),
    ];
    nodes.more.extend(more);
    let (_, operator) = keys(&nodes);
    let set = |nodes: &Pair, node, version| {
        let body = rules("visa", version);
        ask(
            nodes.addresses[node],
            &operator,
            ("PUT", "/v1/ops/routing"),
            &body,
        )
    };
    let open = |nodes: &Pair, node| {
        let body = json!({"name": "kept", "type": "asset", "currency": "USD"});
        ask(
            nodes.addresses[node],
            &operator,
            ("POST", "/v1/ledger/accounts"),
            &body,
        )
    };
    let first = nodes.start_first(0);
    assert_eq!(set(&nodes, 0, 0).expect(200).json()["version"], 1);
    let path = fees_path(&nodes.caller(0, &operator));
    let charge = ask(nodes.addresses[0], &operator, ("PUT", &path), &fee(200, 1, None));
    let charge = charge.expect(200).json();
    let account = open(&nodes, 0).expect(200).json();
    servers.kill_primary().unwrap();
    first.kill_9();
    servers.promote().unwrap();
    // What follows has no copies of its own.
    nodes
        .more
        .push(("FLORIN_DATABASE_SYNCHRONOUS_STANDBY", "optional".to_owned()));
    let second = nodes.start_first(1);
    let present = nodes.caller(1, &operator).read("/v1/ops/routing");
    assert_eq!(present["version"], 1);
    assert_eq!(nodes.caller(1, &operator).read(&path), charge);
    assert_eq!(open(&nodes, 1).expect(200).json()["id"], account["id"]);
    assert_eq!(
        set(&nodes, 1, 0).expect(409).error("code"),
        "routing_version_stale"
    );
    second.stop();
    nodes.provider.stop();
}

#[test]
fn a_change_that_the_copies_do_not_get_is_not_answered_as_made() {
    let mut servers = Replicated::start().unwrap();
    let mut nodes = Pair::new();
    let more = [
        ("FLORIN_DATABASE_URL", servers.primary_url()),
        ("FLORIN_DATABASE_STATEMENT_TIMEOUT_MS", "500".to_owned()),
        ("FLORIN_DATABASE_APPEND_PATIENCE_MS", "1000".to_owned()),
        ("FLORIN_DATABASE_LEASE_MS", "60000".to_owned()),
    ];
    nodes.more.extend(more);
    let (_, operator) = keys(&nodes);
    let mut first = nodes.start_first(0);
    servers.kill_standby().unwrap();
    let authorization = format!("Bearer {operator}");
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
    ];
    let body = rules("visa", 0).to_string();
    let answer = Client::new(nodes.addresses[0]).send("PUT", "/v1/ops/routing", &headers, body.as_bytes());
    if let Ok(answer) = answer {
        assert_eq!(answer.status / 100, 5, "{answer:?}");
    }
    // Nobody knows whether it will be there: the node says so by ending, and finds out at its next start.
    let ended = wait_for("the end of the node", || first.has_ended().then(|| first.wait()));
    assert_eq!(ended.code(), Some(70), "{:?}", first.said_so_far());
    nodes.provider.stop();
}

//! Accounts of the general ledger: opened once, listed, limited, and whole under thousands of transfers.

use crate::deployment::{Dev, assert_balanced, sale};
use crate::ledger_transfers::{account, ask, entries, id, made, make, open, pair, refused, two, with};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[test]
fn accounts_are_listed_once_each_page_by_page() {
    let (_folder, dev) = Dev::fresh(&[]);
    dev.pay("k", &sale(10_000, "USD")).expect(200);
    let opened: Vec<String> = (0..23)
        .map(|number| {
            open(
                &dev,
                &format!("a:{number}"),
                "asset",
                &json!({"metadata": {"b": "2", "a": "1"}}),
            )
        })
        .collect();
    let operator = dev.operator();
    let all = operator.read_all("/v1/ledger/accounts");
    let ids: Vec<&str> = all
        .iter()
        .map(|account| account["id"].as_str().unwrap())
        .collect();
    let booked = ids.len() - opened.len();
    assert_eq!(
        (booked, &ids[booked..]),
        (3, &opened.iter().map(String::as_str).collect::<Vec<_>>()[..])
    );
    for limit in [1, 2, 3, 4, 10, 25, 26] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = operator.read(&format!("/v1/ledger/accounts?limit={limit}{after}"));
            seen.extend(
                page["data"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|account| account["id"].as_str().unwrap().to_owned()),
            );
            if page["has_more"] == false {
                break;
            }
            assert_eq!(page["data"].as_array().unwrap().len(), limit);
            after = format!("&starting_after={}", seen.last().unwrap());
        }
        assert_eq!(seen, ids, "{limit} at a time");
    }
    // A merchant sees what it is owed, and nothing of what operators opened.
    let own = dev.merchant().read_all("/v1/ledger/accounts");
    assert_eq!((own.len(), &own[0]["balance"]), (1, &json!(9_680)));
    dev.merchant()
        .get(&format!("/v1/ledger/accounts/{}", opened[0]))
        .expect(404);
    let shown = account(&dev, &opened[7]);
    assert_eq!(
        (&shown["name"], &shown["metadata"]["a"], &shown["min_balance"]),
        (&json!("a:7"), &json!("1"), &Value::Null)
    );
    dev.stop();
}

#[test]
fn eight_thousand_transfers_on_one_hot_account_leave_every_running_balance() {
    const COUNT: u64 = 8_190;
    let (_folder, dev) = Dev::fresh(&[]);
    let (hot, customer) = two(&dev);
    let batch: Vec<Value> = (1..=COUNT)
        .map(|number| pair(number, &hot, &customer, number))
        .collect();
    let answer = make(&dev, &batch).expect(200).json();
    assert_eq!(
        (&answer["recorded"], &answer["exceptions"]),
        (&json!(COUNT), &json!([]))
    );
    let mut expected = COUNT * (COUNT + 1) / 2;
    let entries = entries(&dev, &hot);
    let ids: BTreeSet<&str> = entries
        .iter()
        .map(|entry| entry["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        (entries.len(), ids.len()),
        (8_190, 8_190),
        "no gap, and nothing twice"
    );
    for (entry, number) in entries.iter().zip((1..=COUNT).rev()) {
        assert_eq!(
            (&entry["transfer_id"], &entry["amount"], &entry["balance_after"]),
            (&json!(id(number)), &json!(number), &json!(expected))
        );
        expected -= number;
    }
    assert_eq!(expected, 0);
    let again = make(&dev, &batch).expect(200).json();
    assert_eq!((&again["existed"], &again["seq"]), (&json!(COUNT), &Value::Null));
    let more: Vec<Value> = (1..=COUNT + 1)
        .map(|number| pair(number, &hot, &customer, number))
        .collect();
    refused(&make(&dev, &more), 400, "parameter_invalid");
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn limits_hold_at_their_edge_and_count_what_is_pending() {
    let (_folder, dev) = Dev::fresh(&[]);
    let (bank, _) = two(&dev);
    let edge = open(
        &dev,
        "edge",
        "liability",
        &json!({"min_balance": -100, "max_balance": 1_000}),
    );
    let pending = json!({"pending": true});
    refused(
        &make(&dev, &[pair(1, &edge, &bank, 101)]),
        409,
        "insufficient_funds",
    );
    made(&dev, pair(1, &edge, &bank, 100));
    refused(
        &make(&dev, &[pair(2, &edge, &bank, 1)]),
        409,
        "insufficient_funds",
    );
    refused(
        &make(&dev, &[pair(2, &bank, &edge, 1_101)]),
        409,
        "account_limit_exceeded",
    );
    made(&dev, pair(2, &bank, &edge, 1_100));
    refused(
        &make(&dev, &[pair(3, &bank, &edge, 1)]),
        409,
        "account_limit_exceeded",
    );
    made(&dev, pair(3, &edge, &bank, 400));
    made(&dev, with(pair(4, &bank, &edge, 300), &pending));
    refused(
        &make(&dev, &[pair(5, &bank, &edge, 101)]),
        409,
        "account_limit_exceeded",
    );
    made(&dev, with(pair(5, &edge, &bank, 700), &pending));
    assert_eq!(account(&dev, &edge)["available"], -100);
    refused(
        &make(&dev, &[pair(6, &edge, &bank, 1)]),
        409,
        "insufficient_funds",
    );
    refused(
        &make(&dev, &[with(pair(6, &edge, &bank, 1), &pending)]),
        409,
        "insufficient_funds",
    );
    made(&dev, json!({"id": id(6), "post_pending": id(5)}));
    made(&dev, json!({"id": id(7), "post_pending": id(4)}));
    assert_eq!(account(&dev, &edge)["balance"], 200);
    // An asset's normal side is the other one.
    let till = open(
        &dev,
        "till",
        "asset",
        &json!({"min_balance": 0, "max_balance": 50}),
    );
    refused(
        &make(&dev, &[pair(8, &bank, &till, 1)]),
        409,
        "insufficient_funds",
    );
    refused(
        &make(&dev, &[pair(8, &till, &bank, 51)]),
        409,
        "account_limit_exceeded",
    );
    made(&dev, pair(8, &till, &bank, 50));
    made(&dev, pair(9, &bank, &till, 50));
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
#[expect(clippy::too_many_lines, reason = "a flat table: one row per request")]
fn wrong_accounts_periods_and_requests_are_refused_by_the_name_of_their_field() {
    let (_folder, dev) = Dev::fresh(&[]);
    let good = json!({"name": "a", "type": "asset", "currency": "USD", "min_balance": -5, "max_balance": 5, "metadata": {"x": "y", "z": ""}});
    let first = ask(&dev, "accounts", &good).expect(200).json();
    assert_eq!(
        (&first["name"], &first["min_balance"], &first["max_balance"]),
        (&json!("a"), &json!(-5), &json!(5))
    );
    let reordered = with(
        good.clone(),
        &json!({"metadata": {"z": "", "x": "y"}, "currency": "usd", "livemode": false}),
    );
    assert_eq!(
        ask(&dev, "accounts", &reordered).expect(200).json()["id"],
        first["id"]
    );
    let account = |also: Value| ("accounts", with(good.clone(), &also));
    let close = |through: &str| ("periods/close", json!({"through": through}));
    let many: Vec<Value> = (0..65)
        .map(|_| json!({"account": "bank:USD", "side": "debit", "amount": 1}))
        .collect();
    for ((path, body), status, code, param) in [
        (
            account(json!({"type": "liability"})),
            409,
            "account_name_taken",
            "name",
        ),
        (
            account(json!({"min_balance": -6})),
            409,
            "account_name_taken",
            "name",
        ),
        (
            account(json!({"metadata": {}})),
            409,
            "account_name_taken",
            "name",
        ),
        (account(json!({"name": ""})), 400, "parameter_invalid", "name"),
        (account(json!({"name": "A"})), 400, "parameter_invalid", "name"),
        (account(json!({"name": "a b"})), 400, "parameter_invalid", "name"),
        (account(json!({"name": "ä"})), 400, "parameter_invalid", "name"),
        (
            account(json!({"name": "a".repeat(65)})),
            400,
            "parameter_invalid",
            "name",
        ),
        (account(json!({"type": "cash"})), 400, "parameter_invalid", "type"),
        (
            account(json!({"currency": "XAU"})),
            400,
            "parameter_invalid",
            "currency",
        ),
        (
            account(json!({"name": "b", "min_balance": 6})),
            400,
            "parameter_invalid",
            "max_balance",
        ),
        (
            account(json!({"name": "b", "min_balance": 0.5})),
            400,
            "parameter_invalid_integer",
            "min_balance",
        ),
        (
            account(json!({"name": "b", "max_balance": 1e30})),
            400,
            "parameter_invalid_integer",
            "max_balance",
        ),
        (
            account(json!({"name": "b", "livemode": "no"})),
            400,
            "parameter_invalid",
            "livemode",
        ),
        (
            account(json!({"name": "b", "colour": "red"})),
            400,
            "parameter_unknown",
            "colour",
        ),
        (
            ("accounts", json!({"name": "b", "type": "asset"})),
            400,
            "parameter_missing",
            "currency",
        ),
        (close("9999-12-31"), 400, "parameter_invalid", "through"),
        (close("2020-02-30"), 400, "parameter_invalid", "through"),
        (close("yesterday"), 400, "parameter_invalid", "through"),
        (("periods/close", json!({})), 400, "parameter_missing", "through"),
        (
            ("transfers", json!({"transfers": []})),
            400,
            "parameter_invalid",
            "transfers",
        ),
        (("transfers", json!({})), 400, "parameter_missing", "transfers"),
        (
            (
                "transfers",
                json!({"transfers": [{"id": id(1), "postings": many}]}),
            ),
            400,
            "parameter_invalid",
            "transfers.0.postings",
        ),
        (
            ("transfers", json!({"transfers": [], "atomic": 1})),
            400,
            "parameter_invalid",
            "atomic",
        ),
    ] {
        let answer = ask(&dev, path, &body);
        assert_eq!(
            (
                answer.status,
                answer.error("code").as_str(),
                answer.error("param").as_str()
            ),
            (status, code, param),
            "{body} {answer:?}"
        );
    }
    // One account in all; a currency or a mode more is another one.
    assert_eq!(dev.operator().read_all("/v1/ledger/accounts").len(), 1);
    for also in [
        json!({"currency": "EUR"}),
        json!({"livemode": true}),
        json!({"name": "a".repeat(64)}),
    ] {
        let (path, body) = account(also);
        assert_ne!(ask(&dev, path, &body).expect(200).json()["id"], first["id"]);
    }
    for path in [
        "transfers/x",
        &format!("transfers/{}", id(5)),
        "accounts/acc_00000000000000000000000000",
    ] {
        dev.operator().get(&format!("/v1/ledger/{path}")).expect(404);
    }
    dev.stop();
}

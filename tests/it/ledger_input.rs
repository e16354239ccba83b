//! Wrong input to the general ledger: each kind is refused with its code and leaves nothing behind.

use crate::deployment::{Dev, MERCHANT, OPERATOR, assert_balanced};
use crate::http::Client;
use crate::ledger_transfers::{
    account, ask, balance, entries, id, made, make, open, pair, refused, two, with,
};
use serde_json::{Value, json};

/// Asks for these transfers alone, and finds the balances as they were.
#[track_caller]
fn refuses(dev: &Dev, accounts: &[&str], transfer: &Value, status: u16, code: &str, param: &str) {
    let before: Vec<Value> = accounts.iter().map(|id| account(dev, id)).collect();
    let answer = make(dev, std::slice::from_ref(transfer));
    assert_eq!(
        (
            answer.status,
            answer.error("code").as_str(),
            answer.error("param").as_str()
        ),
        (status, code, param),
        "{transfer} {answer:?}"
    );
    for (id, before) in accounts.iter().zip(&before) {
        let after = account(dev, id);
        for field in ["balance", "pending_debit", "pending_credit", "available"] {
            assert_eq!(after[field], before[field], "{transfer}");
        }
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a flat table: one row per transfer")]
fn every_kind_of_wrong_transfer_is_refused_with_its_code_and_books_nothing() {
    let (_folder, dev) = Dev::fresh(&[]);
    let (bank, customer) = two(&dev);
    let euro = open(&dev, "bank", "asset", &json!({"currency": "EUR"}));
    let real = open(&dev, "bank", "asset", &json!({"livemode": true}));
    made(&dev, pair(1, &bank, &customer, 1_000));
    let all = [bank.as_str(), &customer, &euro, &real];
    let good = || pair(9, &bank, &customer, 100);
    let but = |also: Value| with(good(), &also);
    let mut unknown = bank.clone();
    let last = if unknown.ends_with('0') { "1" } else { "0" };
    unknown.replace_range(4..5, if &unknown[4..5] == "0" { "1" } else { "0" });
    let unknown_number = format!("{}{last}", &bank[..bank.len() - 1]);
    let stranger = "merchant_payable:mer_01m7y92a930001k836eeyy2z3p:USD";
    let line =
        |account: &str, side: &str, amount: u64| json!({"account": account, "side": side, "amount": amount});
    let legs = |lines: Value| json!({"id": id(9), "postings": lines});
    for (transfer, status, code, param) in [
        (
            pair(9, &bank, &bank, 100),
            400,
            "transfer_same_account",
            "transfers.0",
        ),
        (
            pair(9, &bank, &euro, 100),
            400,
            "transfer_mixed_currencies",
            "transfers.0",
        ),
        (
            pair(9, &bank, &real, 100),
            400,
            "transfer_mixed_modes",
            "transfers.0",
        ),
        (
            pair(9, &unknown, &customer, 100),
            404,
            "account_unknown",
            "transfers.0",
        ),
        (
            pair(9, &unknown_number, &customer, 100),
            404,
            "account_unknown",
            "transfers.0",
        ),
        (
            pair(9, stranger, &customer, 100),
            404,
            "account_unknown",
            "transfers.0",
        ),
        (
            but(json!({"amount": 0})),
            400,
            "amount_too_small",
            "transfers.0.amount",
        ),
        (
            but(json!({"amount": -1})),
            400,
            "parameter_invalid_integer",
            "transfers.0.amount",
        ),
        (
            but(json!({"amount": 1.5})),
            400,
            "parameter_invalid_integer",
            "transfers.0.amount",
        ),
        (
            but(json!({"amount": "1"})),
            400,
            "parameter_invalid",
            "transfers.0.amount",
        ),
        (
            but(json!({"amount": 1_000_000_000_000_u64})),
            400,
            "amount_too_large",
            "transfers.0.amount",
        ),
        (
            but(json!({"amount": u64::MAX})),
            400,
            "amount_too_large",
            "transfers.0.amount",
        ),
        (
            but(json!({"id": "x"})),
            400,
            "parameter_invalid",
            "transfers.0.id",
        ),
        (
            but(json!({"debit_account": "x"})),
            400,
            "parameter_invalid",
            "transfers.0.debit_account",
        ),
        (
            but(json!({"debit_account": "acc_x"})),
            400,
            "parameter_invalid",
            "transfers.0.debit_account",
        ),
        (
            but(json!({"colour": "red"})),
            400,
            "parameter_unknown",
            "transfers.0.colour",
        ),
        (
            but(json!({"effective_date": "2026-02-30"})),
            400,
            "parameter_invalid",
            "transfers.0.effective_date",
        ),
        (
            but(json!({"effective_date": "9999-12-31"})),
            400,
            "effective_in_future",
            "transfers.0",
        ),
        (
            but(json!({"exchange_rate": "0"})),
            400,
            "parameter_invalid",
            "transfers.0.exchange_rate",
        ),
        (
            but(json!({"exchange_rate": "-1"})),
            400,
            "parameter_invalid",
            "transfers.0.exchange_rate",
        ),
        (
            but(json!({"exchange_rate": "1_0"})),
            400,
            "parameter_invalid",
            "transfers.0.exchange_rate",
        ),
        (
            but(json!({"exchange_rate": 1.0})),
            400,
            "parameter_invalid",
            "transfers.0.exchange_rate",
        ),
        (
            but(json!({"metadata": {"a": 1}})),
            400,
            "parameter_invalid",
            "transfers.0.metadata.a",
        ),
        (
            but(json!({"linked": true})),
            400,
            "linked_chain_open",
            "transfers.0",
        ),
        (
            but(json!({"expires_at": 4_000_000_000_u64})),
            400,
            "parameter_invalid",
            "transfers.0.expires_at",
        ),
        (
            but(json!({"postings": []})),
            400,
            "parameter_invalid",
            "transfers.0.debit_account",
        ),
        (
            but(json!({"post_pending": id(1)})),
            400,
            "parameter_invalid",
            "transfers.0.debit_account",
        ),
        (
            json!({"id": id(9), "post_pending": id(8)}),
            404,
            "pending_transfer_missing",
            "transfers.0",
        ),
        (
            json!({"id": id(9), "void_pending": id(8)}),
            404,
            "pending_transfer_missing",
            "transfers.0",
        ),
        (
            json!({"id": id(9), "post_pending": id(1)}),
            404,
            "pending_transfer_missing",
            "transfers.0",
        ),
        (
            json!({"id": id(9), "void_pending": id(8), "amount": 1}),
            400,
            "parameter_invalid",
            "transfers.0.amount",
        ),
        (
            json!({"id": id(9), "void_pending": id(8), "post_pending": id(8)}),
            400,
            "parameter_invalid",
            "transfers.0.void_pending",
        ),
        (
            json!({"id": id(9)}),
            400,
            "parameter_missing",
            "transfers.0.debit_account",
        ),
        (
            json!({"debit_account": bank, "credit_account": customer, "amount": 1}),
            400,
            "parameter_missing",
            "transfers.0.id",
        ),
        (legs(json!([])), 400, "transfer_too_few_postings", "transfers.0"),
        (
            legs(json!([line(&bank, "debit", 100), line(&customer, "credit", 99)])),
            400,
            "transfer_unbalanced",
            "transfers.0",
        ),
        (
            legs(json!([line(&bank, "debit", 100), line(&euro, "credit", 100)])),
            400,
            "transfer_unbalanced",
            "transfers.0",
        ),
        (
            legs(json!([line(&bank, "debit", 100), line(&real, "credit", 100)])),
            400,
            "transfer_mixed_modes",
            "transfers.0",
        ),
        (
            legs(json!([line(&bank, "left", 100), line(&customer, "credit", 100)])),
            400,
            "parameter_invalid",
            "transfers.0.postings.0.side",
        ),
        (
            legs(json!([line(&bank, "debit", 0), line(&customer, "credit", 0)])),
            400,
            "amount_too_small",
            "transfers.0.postings.0.amount",
        ),
        (
            legs(json!([line(&bank, "debit", 100), line(&unknown, "credit", 100)])),
            404,
            "account_unknown",
            "transfers.0",
        ),
    ] {
        refuses(&dev, &all, &transfer, status, code, param);
    }
    assert_eq!(entries(&dev, &bank).len(), 1);
    made(&dev, good());
    assert_balanced(&dev.operator());
    dev.stop();
}

/// Posts a part of a reservation (20 of 30), all of one (21 of 31), and all of one among several (22 of 32).
fn post_reservations(dev: &Dev, bank: &str, customer: &str) {
    for number in [30, 31] {
        made(
            dev,
            with(pair(number, bank, customer, 50), &json!({"pending": true})),
        );
    }
    let line =
        |account: &str, side: &str, amount: u64| json!({"account": account, "side": side, "amount": amount});
    let three = [
        line(bank, "debit", 50),
        line(customer, "credit", 20),
        line(customer, "credit", 30),
    ];
    made(dev, json!({"id": id(32), "pending": true, "postings": three}));
    made(dev, json!({"id": id(20), "post_pending": id(30), "amount": 30}));
    made(dev, json!({"id": id(21), "post_pending": id(31)}));
    made(dev, json!({"id": id(22), "post_pending": id(32)}));
}

#[test]
fn an_id_is_used_once_and_the_same_again_is_told_from_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &[]);
    let (bank, customer) = two(&dev);
    let notes = json!({"description": "a", "metadata": {"a": "1", "b": "2"}, "effective_date": "2020-01-01", "exchange_rate": "1.10"});
    let first = with(pair(1, &bank, &customer, 100), &notes);
    let seq = made(&dev, first.clone())["seq"].clone();
    let reserved = with(pair(2, &bank, &customer, 50), &json!({"pending": true}));
    made(&dev, reserved.clone());
    post_reservations(&dev, &bank, &customer);
    let others = || {
        [
            json!({"amount": 101}),
            json!({"debit_account": customer, "credit_account": bank}),
            json!({"description": "b"}),
            json!({"metadata": {"a": "1"}}),
            json!({"effective_date": "2020-01-02"}),
            json!({"exchange_rate": "1.11"}),
            json!({"pending": true}),
        ]
    };
    let check = |dev: &Dev| {
        for same in [
            json!({}),
            json!({"metadata": {"b": "2", "a": "1"}}),
            json!({"exchange_rate": "1.1"}),
            json!({"id": id(1).to_uppercase()}),
        ] {
            let answer = make(dev, &[with(first.clone(), &same)]).expect(200).json();
            assert_eq!(
                (&answer["existed"], &answer["exceptions"][0]["seq"]),
                (&json!(1), &seq),
                "{same} {answer}"
            );
        }
        for other in others() {
            refused(
                &make(dev, &[with(first.clone(), &other)]),
                409,
                "transfer_id_reused",
            );
        }
        assert_eq!(
            make(dev, std::slice::from_ref(&reserved)).expect(200).json()["existed"],
            1
        );
        refused(
            &make(dev, &[pair(2, &bank, &customer, 50)]),
            409,
            "transfer_id_reused",
        );
        // A part of what was reserved is not all of it.
        let post = |number: u64, also: Value| {
            with(json!({"id": id(number), "post_pending": id(10 + number)}), &also)
        };
        for (number, part) in [(20, json!({"amount": 30})), (21, json!({})), (22, json!({}))] {
            let told = make(dev, &[post(number, part)]);
            assert_eq!(told.expect(200).json()["existed"], 1);
        }
        assert_eq!(
            make(dev, &[post(21, json!({"amount": 50}))]).expect(200).json()["existed"],
            1
        );
        assert_eq!(
            make(dev, &[post(22, json!({"amount": 50}))]).expect(200).json()["existed"],
            1
        );
        for (number, other) in [
            (20, json!({})),
            (20, json!({"amount": 31})),
            (21, json!({"amount": 49})),
            (22, json!({"amount": 49})),
            (22, json!({"post_pending": id(31)})),
        ] {
            refused(&make(dev, &[post(number, other)]), 409, "transfer_id_reused");
        }
        // Twice in one request is once too often, even for the same.
        let new = pair(3, &bank, &customer, 1);
        let twice = json!({"atomic": true, "transfers": [new, new]});
        refused(&ask(dev, "transfers", &twice), 409, "transfer_id_reused");
        assert_eq!(balance(dev, &bank), 100 + 30 + 50 + 50);
    };
    check(&dev);
    dev.process.kill_9();
    let dev = Dev::start(folder.path(), &[]);
    check(&dev);
    dev.stop();
    let dev = Dev::start(folder.path(), &[]);
    check(&dev);
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn only_operators_reach_the_general_ledger_and_large_bodies_are_refused() {
    let (_folder, dev) = Dev::fresh(&[]);
    let send = |method: &str, path: &str, key: &str, body: &[u8]| {
        let authorization = format!("Bearer {key}");
        let headers = [
            ("Authorization", authorization.as_str()),
            ("Content-Type", "application/json"),
        ];
        Client::new(dev.api)
            .send(method, &format!("/v1/ledger/{path}"), &headers, body)
            .unwrap()
    };
    let transfer = format!("transfers/{}", id(1));
    for (method, path) in [
        ("POST", "transfers"),
        ("POST", "accounts"),
        ("POST", "periods/close"),
        ("GET", "periods"),
        ("GET", "balance_sheet"),
        ("GET", "income_statement"),
        ("GET", transfer.as_str()),
    ] {
        let body: &[u8] = if method == "POST" { b"{}" } else { b"" };
        refused(&send(method, path, MERCHANT, body), 403, "operator_key_required");
        refused(&send(method, path, "nobody", body), 401, "api_key_invalid");
    }
    let large = vec![b' '; 8 * 1024 * 1024 + 1];
    let answer = send("POST", "transfers", OPERATOR, &large);
    refused(&answer, 413, "body_too_large");
    dev.stop();
}

#[test]
fn led_15_an_imbalance_is_refused_with_both_sums_alerts_and_the_transfer_may_be_sent_again() {
    let (_folder, dev) = Dev::fresh(&[]);
    let (bank, customer) = two(&dev);
    let postings = |credit: u64| {
        json!({"id": id(1), "postings": [
            {"account": bank, "side": "debit", "amount": 10_000}, {"account": customer, "side": "credit", "amount": credit},
        ]})
    };
    let alerts = || {
        let text = dev.operator().get("/metrics").expect(200).text();
        let name = "florin_alerts_total{alert=\"ledger_imbalance\"} ";
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    assert_eq!(alerts(), 0);
    let answer = make(&dev, &[postings(9_900)]);
    refused(&answer, 400, "transfer_unbalanced");
    let seeds_words = format!("Transaction {}: Debits (100.00) != Credits (99.00)", id(1));
    assert_eq!(answer.error("message"), seeds_words);
    assert_eq!(alerts(), 1);
    assert_eq!((balance(&dev, &bank), entries(&dev, &bank).len()), (0, 0));
    made(&dev, postings(10_000));
    assert_eq!((balance(&dev, &bank), balance(&dev, &customer)), (10_000, 10_000));
    dev.stop();
}

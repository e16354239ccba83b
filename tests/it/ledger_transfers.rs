//! The general ledger over HTTP: what is answered is booked, once and whole, and stays so whatever happens to the process.

use crate::deployment::{Dev, OPERATOR, assert_balanced, sale};
use crate::http::{Answer, Client};
use crate::process::wait_for;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Asks as an operator, without an idempotency key.
#[track_caller]
pub(crate) fn ask(dev: &Dev, path: &str, body: &Value) -> Answer {
    try_ask(dev.api, path, body).unwrap()
}

/// The same of a node that may be gone.
pub(crate) fn try_ask(api: SocketAddr, path: &str, body: &Value) -> std::io::Result<Answer> {
    let authorization = format!("Bearer {OPERATOR}");
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
    ];
    let body = body.to_string();
    Client::new(api).send("POST", &format!("/v1/ledger/{path}"), &headers, body.as_bytes())
}

/// The id of an account that is open now, in US dollars unless `also` says otherwise.
#[track_caller]
pub(crate) fn open(dev: &Dev, name: &str, account_type: &str, also: &Value) -> String {
    let mut body = json!({"name": name, "type": account_type, "currency": "USD"});
    for (field, value) in also.as_object().unwrap() {
        body[field] = value.clone();
    }
    let account = ask(dev, "accounts", &body).expect(200).json();
    account["id"].as_str().unwrap().to_owned()
}

/// A bank and a customer.
#[track_caller]
pub(crate) fn two(dev: &Dev) -> (String, String) {
    let bank = open(dev, "bank", "asset", &json!({}));
    (bank, open(dev, "customer", "liability", &json!({})))
}

pub(crate) fn id(number: u64) -> String {
    format!("123e4567-e89b-12d3-a456-{number:012x}")
}

pub(crate) fn pair(number: u64, debit: &str, credit: &str, amount: u64) -> Value {
    json!({"id": id(number), "debit_account": debit, "credit_account": credit, "amount": amount})
}

/// The same saying more.
pub(crate) fn with(mut transfer: Value, also: &Value) -> Value {
    for (field, value) in also.as_object().unwrap() {
        transfer[field] = value.clone();
    }
    transfer
}

#[track_caller]
pub(crate) fn make(dev: &Dev, transfers: &[Value]) -> Answer {
    ask(dev, "transfers", &json!({"transfers": transfers}))
}

/// The same of a node that may be gone.
pub(crate) fn try_make(api: SocketAddr, transfers: &[Value]) -> std::io::Result<Answer> {
    try_ask(api, "transfers", &json!({"transfers": transfers}))
}

/// Makes one transfer that must be new.
#[track_caller]
pub(crate) fn made(dev: &Dev, transfer: Value) -> Value {
    let answer = make(dev, &[transfer]).expect(200).json();
    assert_eq!(
        (&answer["recorded"], &answer["existed"], &answer["refused"]),
        (&json!(1), &json!(0), &json!(0)),
        "{answer}"
    );
    answer
}

#[track_caller]
pub(crate) fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(
        (answer.status, answer.error("code").as_str()),
        (status, code),
        "{answer:?}"
    );
}

#[track_caller]
pub(crate) fn account(dev: &Dev, id: &str) -> Value {
    dev.operator().read(&format!("/v1/ledger/accounts/{id}"))
}

#[track_caller]
pub(crate) fn balance(dev: &Dev, id: &str) -> i64 {
    account(dev, id)["balance"].as_i64().unwrap()
}

#[track_caller]
pub(crate) fn entries(dev: &Dev, id: &str) -> Vec<Value> {
    dev.operator()
        .read_all(&format!("/v1/ledger/accounts/{id}/entries"))
}

#[track_caller]
fn status(dev: &Dev, number: u64) -> String {
    let transfer = dev
        .operator()
        .read(&format!("/v1/ledger/transfers/{}", id(number)));
    transfer["status"].as_str().unwrap().to_owned()
}

#[test]
fn led_1_a_transfer_links_the_entries_of_two_accounts_or_more() {
    let (_folder, dev) = Dev::fresh(&[]);
    let (bank, customer) = two(&dev);
    let fees = open(&dev, "fees", "revenue", &json!({}));
    let journal = "123e4567-e89b-12d3-a456-426614174000";
    let posting =
        |account: &str, side: &str, amount: u64| json!({"account": account, "side": side, "amount": amount});
    let three = json!([
        posting(&bank, "debit", 10_000),
        posting(&customer, "credit", 9_700),
        posting(&fees, "credit", 300),
    ]);
    made(&dev, json!({"id": journal, "postings": three}));
    made(&dev, pair(1, &bank, &customer, 500));
    for (account, lines) in [(&bank, 2), (&customer, 2), (&fees, 1)] {
        let entries = entries(&dev, account);
        assert_eq!(entries.len(), lines);
        let first = entries.last().unwrap();
        assert_eq!(
            (&first["transfer_id"], &first["account"]),
            (&json!(journal), &json!(account))
        );
    }
    let record = dev.operator().read(&format!("/v1/ledger/transfers/{journal}"));
    assert_eq!(
        (&record["status"], &record["step"]),
        (&json!("posted"), &json!("single"))
    );
    let postings = record["postings"].as_array().unwrap();
    let shown: Vec<_> = postings
        .iter()
        .map(|posting| (&posting["account"], &posting["balance_after"]))
        .collect();
    assert_eq!(
        shown,
        [
            (&json!(bank), &json!(10_000)),
            (&json!(customer), &json!(9_700)),
            (&json!(fees), &json!(300))
        ]
    );
    let alone = json!({"id": id(2), "postings": [posting(&bank, "debit", 100)]});
    refused(&make(&dev, &[alone]), 400, "transfer_too_few_postings");
    dev.operator()
        .get(&format!("/v1/ledger/transfers/{}", id(2)))
        .expect(404);
    assert_eq!(balance(&dev, &bank), 10_500);
    dev.stop();
}

#[test]
fn led_2_debits_equal_credits_per_transfer_and_per_currency_or_nothing_is_recorded() {
    let (_folder, dev) = Dev::fresh(&[]);
    let (bank, customer) = two(&dev);
    let euro = json!({"currency": "EUR"});
    let (bank_eur, customer_eur) = (
        open(&dev, "bank", "asset", &euro),
        open(&dev, "customer", "liability", &euro),
    );
    let postings = |amounts: [(&str, &str, u64); 4]| {
        let lines = amounts
            .map(|(account, side, amount)| json!({"account": account, "side": side, "amount": amount}));
        json!({"id": id(1), "postings": lines})
    };
    let four = |usd: u64, eur: u64| {
        postings([
            (&bank, "debit", 10_000),
            (&customer, "credit", usd),
            (&bank_eur, "debit", 9_000),
            (&customer_eur, "credit", eur),
        ])
    };
    // The second one balances in all, but in neither currency; the refusal names the first of them.
    for (usd, eur, debits, credits) in [
        (9_900, 9_000, "100.00", "99.00"),
        (9_000, 10_000, "90.00", "100.00"),
    ] {
        let answer = make(&dev, &[four(usd, eur)]);
        refused(&answer, 400, "transfer_unbalanced");
        assert_eq!(
            answer.error("message"),
            format!("Transaction {}: Debits ({debits}) != Credits ({credits})", id(1))
        );
    }
    for account in [&bank, &customer, &bank_eur, &customer_eur] {
        assert_eq!((balance(&dev, account), entries(&dev, account).len()), (0, 0));
    }
    // The refused id is free, so what was meant can still be sent.
    made(&dev, four(10_000, 9_000));
    assert_eq!(
        [&bank, &customer, &bank_eur, &customer_eur].map(|account| balance(&dev, account)),
        [10_000, 10_000, 9_000, 9_000]
    );
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn led_3_every_answer_is_in_the_balances_that_are_read_after_it() {
    let (_folder, dev) = Dev::fresh(&[]);
    let (bank, _) = two(&dev);
    let customers: Vec<String> = (0..4)
        .map(|number| open(&dev, &format!("customer:{number}"), "liability", &json!({})))
        .collect();
    let (api, operator) = (dev.api, &dev.operator());
    std::thread::scope(|scope| {
        for (client, customer) in customers.iter().enumerate() {
            let bank = &bank;
            let path = format!("/v1/ledger/accounts/{customer}");
            scope.spawn(move || {
                let mut sum = 0;
                for number in 0..25_u64 {
                    let amount = 100 + number;
                    sum += amount;
                    let transfer = pair(client as u64 * 1_000 + number, bank, customer, amount);
                    let answer = try_make(api, &[transfer]).unwrap().expect(200).json();
                    assert_eq!(answer["recorded"], 1, "{answer}");
                    let shown = operator.read(&path);
                    assert_eq!(shown["balance"], sum, "{shown}");
                    assert!(shown["as_of_seq"].as_u64() >= answer["seq"].as_u64(), "{shown}");
                    let newest = operator.read(&format!("{path}/entries?limit=1"));
                    assert_eq!(newest["data"][0]["balance_after"], sum);
                }
            });
        }
    });
    let each: i64 = (0..25).map(|number| 100 + number).sum();
    assert_eq!(balance(&dev, &bank), 4 * each);
    let mut running = 4 * each;
    for entry in entries(&dev, &bank) {
        assert_eq!(entry["balance_after"], running, "{entry}");
        running -= entry["amount"].as_i64().unwrap();
    }
    assert_eq!(running, 0);
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn led_7_an_entry_says_account_side_amount_currency_rate_and_metadata() {
    let (_folder, dev) = Dev::fresh(&[]);
    let (bank, _) = two(&dev);
    let merchant = open(&dev, "merchant_12345", "liability", &json!({}));
    let notes = json!({"exchange_rate": "1.0", "metadata": {"order_id": "xyz"}, "description": "Paid out."});
    made(&dev, with(pair(1, &merchant, &bank, 10_000), &notes));
    let entry = entries(&dev, &merchant).pop().unwrap();
    // 100.00 on the debit side, so 0.00 on the credit side.
    for (field, expected) in [
        ("account", json!(merchant)),
        ("side", json!("debit")),
        ("amount", json!(10_000)),
        ("currency", json!("USD")),
        ("exchange_rate", json!("1.0")),
        ("metadata", json!({"order_id": "xyz"})),
        ("description", json!("Paid out.")),
        ("transfer_id", json!(id(1))),
        ("payment_id", Value::Null),
    ] {
        assert_eq!(entry[field], expected, "{field}: {entry}");
    }
    assert_eq!(account(&dev, &merchant)["name"], "merchant_12345");
    dev.stop();
}

#[test]
fn led_17_an_entry_has_the_rate_of_its_transfer_or_one() {
    let (_folder, dev) = Dev::fresh(&[]);
    let (bank, customer) = two(&dev);
    for (number, rate, shown) in [
        (1, Some("0.92345"), "0.92345"),
        (2, Some("1.0"), "1.0"),
        (3, None, "1.0"),
    ] {
        let also = rate.map_or_else(|| json!({}), |rate| json!({"exchange_rate": rate}));
        made(&dev, with(pair(number, &bank, &customer, 100), &also));
        for account in [&bank, &customer] {
            assert_eq!(entries(&dev, account)[0]["exchange_rate"], shown);
        }
        let record = dev
            .operator()
            .read(&format!("/v1/ledger/transfers/{}", id(number)));
        assert_eq!(record["exchange_rate"], shown);
    }
    dev.stop();
}

#[test]
fn led_11_accounts_have_five_types_and_the_equation_holds_between_them() {
    let (_folder, dev) = Dev::fresh(&[]);
    let of = |name: &str| open(&dev, name, name, &json!({}));
    let [asset, liability, equity, revenue, expense] =
        ["asset", "liability", "equity", "revenue", "expense"].map(of);
    for (number, (debit, credit, amount)) in (1..).zip([
        (&asset, &equity, 100_000),
        (&asset, &liability, 50_000),
        (&asset, &revenue, 30_000),
        (&expense, &asset, 12_000),
        (&liability, &asset, 5_000),
    ]) {
        made(&dev, pair(number, debit, credit, amount));
    }
    let sheet = dev.operator().read("/v1/ledger/balance_sheet");
    let row = json!({
        "currency": "USD", "livemode": false, "assets": 163_000, "liabilities": 45_000, "equity": 100_000, "revenue": 30_000,
        "expenses": 12_000, "net_income": 18_000, "difference": 0,
    });
    assert_eq!(sheet["data"], json!([row]));
    let income = dev.operator().read("/v1/ledger/income_statement");
    let row = json!({"currency": "USD", "livemode": false, "revenue": 30_000, "expenses": 12_000, "net_income": 18_000});
    assert_eq!(income["data"], json!([row]));
    // With payments on their own accounts it holds as well.
    dev.pay("k", &sale(10_000, "USD")).expect(200);
    let row = &dev.operator().read("/v1/ledger/balance_sheet")["data"][0];
    assert_eq!((&row["difference"], &row["revenue"]), (&json!(0), &json!(30_320)));
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn x_25_what_is_pending_is_not_available_and_comes_back_when_it_is_let_go() {
    let (_folder, dev) = Dev::fresh(&[]);
    let (bank, _) = two(&dev);
    let customer = open(&dev, "poor", "liability", &json!({"min_balance": 0}));
    made(&dev, pair(1, &bank, &customer, 10_000));
    let shown = |id: &str| {
        let account = account(&dev, id);
        ["balance", "pending_debit", "pending_credit", "available"]
            .map(|field| account[field].as_i64().unwrap())
    };
    made(
        &dev,
        with(pair(2, &customer, &bank, 6_000), &json!({"pending": true})),
    );
    assert_eq!(shown(&customer), [10_000, 6_000, 0, 4_000], "posted - pending");
    assert_eq!(shown(&bank), [10_000, 0, 6_000, 4_000]);
    refused(
        &make(&dev, &[pair(3, &customer, &bank, 4_001)]),
        409,
        "insufficient_funds",
    );
    made(&dev, pair(3, &customer, &bank, 1_000));
    let post = |number: u64, amount: Value| with(json!({"id": id(number), "post_pending": id(2)}), &amount);
    refused(
        &make(&dev, &[post(4, json!({"amount": 6_001}))]),
        409,
        "amount_exceeds_pending",
    );
    assert_eq!(status(&dev, 2), "pending");
    made(&dev, post(4, json!({"amount": 2_500})));
    assert_eq!(
        shown(&customer),
        [6_500, 0, 0, 6_500],
        "what was not posted is released"
    );
    assert_eq!(
        (status(&dev, 2), status(&dev, 4)),
        ("ended".to_owned(), "posted".to_owned())
    );
    refused(
        &make(&dev, &[post(5, json!({}))]),
        404,
        "pending_transfer_missing",
    );
    made(
        &dev,
        with(pair(6, &customer, &bank, 500), &json!({"pending": true})),
    );
    made(&dev, json!({"id": id(7), "void_pending": id(6)}));
    assert_eq!(
        (status(&dev, 6), status(&dev, 7)),
        ("ended".to_owned(), "voided".to_owned())
    );
    made(
        &dev,
        with(pair(8, &customer, &bank, 6_500), &json!({"pending": true})),
    );
    made(&dev, json!({"id": id(9), "post_pending": id(8)}));
    assert_eq!(shown(&customer), [0, 0, 0, 0]);
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn a_reservation_ends_by_itself_when_its_time_is_over() {
    let (_folder, dev) = Dev::fresh(&[]);
    let (bank, customer) = two(&dev);
    let past = json!({"pending": true, "expires_at": 1_000_000_000});
    made(&dev, with(pair(1, &bank, &customer, 700), &past));
    let late = make(&dev, &[json!({"id": id(2), "post_pending": id(1)})]);
    assert!(
        ["pending_transfer_expired", "pending_transfer_missing"].contains(&late.error("code").as_str()),
        "{late:?}"
    );
    assert_eq!(status(&dev, 1), "ended");
    wait_for("the sweep", || {
        (account(&dev, &customer)["pending_credit"] == 0).then_some(())
    });
    refused(
        &make(&dev, &[json!({"id": id(2), "post_pending": id(1)})]),
        404,
        "pending_transfer_missing",
    );
    assert_eq!((balance(&dev, &bank), entries(&dev, &bank).len()), (0, 0));
    dev.stop();
}

#[test]
fn chains_and_atomic_requests_are_recorded_whole_or_not_at_all() {
    let (_folder, dev) = Dev::fresh(&[]);
    let (bank, _) = two(&dev);
    let poor = open(&dev, "poor", "liability", &json!({"min_balance": 0}));
    let linked = json!({"linked": true});
    let batch = [
        pair(1, &bank, &poor, 1_000),
        with(pair(2, &bank, &poor, 50), &linked),
        with(pair(3, &poor, &bank, 5_000), &linked),
        pair(4, &bank, &poor, 60),
        pair(5, &poor, &bank, 400),
        with(pair(6, &bank, &poor, 7), &linked),
        pair(7, &bank, &poor, 8),
    ];
    let dry = ask(&dev, "transfers", &json!({"transfers": batch, "dry_run": true}))
        .expect(200)
        .json();
    assert_eq!(
        (&dry["seq"], &dry["dry_run"], balance(&dev, &bank)),
        (&Value::Null, &json!(true), 0)
    );
    let answer = make(&dev, &batch).expect(200).json();
    assert_eq!(
        dry["exceptions"], answer["exceptions"],
        "a dry run says what would be"
    );
    assert_eq!((&answer["recorded"], &answer["refused"]), (&json!(4), &json!(3)));
    let exceptions: Vec<_> = answer["exceptions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["index"].as_u64().unwrap(), row["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        exceptions,
        [
            (1, "linked_transfer_failed"),
            (2, "insufficient_funds"),
            (3, "linked_transfer_failed")
        ]
    );
    assert_eq!(balance(&dev, &poor), 615);
    // The same again: what is recorded stays, what was refused is refused.
    let again = make(&dev, &batch).expect(200).json();
    assert_eq!(
        (&again["recorded"], &again["existed"], &again["refused"]),
        (&json!(0), &json!(4), &json!(3))
    );
    let atomic = |transfers: &[Value]| {
        ask(
            &dev,
            "transfers",
            &json!({"atomic": true, "transfers": transfers}),
        )
    };
    let answer = atomic(&[
        pair(11, &bank, &poor, 100),
        pair(12, &poor, &bank, 716),
        pair(13, &bank, &poor, 1),
    ]);
    refused(&answer, 409, "insufficient_funds");
    assert_eq!(answer.error("param"), "transfers.1");
    assert_eq!(balance(&dev, &poor), 615, "nothing of it");
    let whole = [pair(11, &bank, &poor, 100), pair(12, &poor, &bank, 715)];
    assert_eq!(atomic(&whole).expect(200).json()["recorded"], 2);
    assert_eq!(atomic(&whole).expect(200).json()["existed"], 2);
    refused(
        &make(&dev, &[with(pair(14, &bank, &poor, 1), &linked)]),
        400,
        "linked_chain_open",
    );
    assert_eq!(balance(&dev, &poor), 0);
    assert_balanced(&dev.operator());
    dev.stop();
}

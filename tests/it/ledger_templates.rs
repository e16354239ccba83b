//! Posting templates over HTTP: the worked examples, the chart of accounts, templates of one's own, and what does not fit.

use crate::deployment::{Dev, PATIENT, assert_balanced};
use crate::ledger_transfers::{
    account as account_of, ask, balance, entries, id, made, make, open, pair, refused, with,
};
use crate::process::{Process, address_after, command, run};
use serde_json::{Value, json};
use std::path::Path;

/// A transfer by a template.
pub(crate) fn by(number: u64, template: &str, accounts: &Value, amounts: &Value) -> Value {
    json!({"id": id(number), "template": template, "accounts": accounts, "amounts": amounts})
}

/// Side, amount and running balance of each line of a recorded transfer, in its order.
#[track_caller]
pub(crate) fn lines(dev: &Dev, number: u64) -> Vec<(String, String, i64, i64)> {
    let transfer = dev
        .operator()
        .read(&format!("/v1/ledger/transfers/{}", id(number)));
    let line = |posting: &Value| {
        let text = |field: &str| posting[field].as_str().unwrap().to_owned();
        let minor = |field: &str| posting[field].as_i64().unwrap();
        (
            text("account"),
            text("side"),
            minor("amount"),
            minor("balance_after"),
        )
    };
    transfer["postings"]
        .as_array()
        .unwrap()
        .iter()
        .map(line)
        .collect()
}

pub(crate) fn line(account: &str, side: &str, amount: i64, after: i64) -> (String, String, i64, i64) {
    (account.to_owned(), side.to_owned(), amount, after)
}

pub(crate) fn templates(dev: &Dev) -> Value {
    dev.operator().read("/v1/ledger/templates")
}

pub(crate) fn template(dev: &Dev, name: &str) -> Value {
    let all = templates(dev);
    let mut found = all["data"].as_array().unwrap().iter();
    found.find(|one| one["name"] == name).unwrap().clone()
}

/// A customer and a merchant as the platform owes them.
pub(crate) fn customer_and_merchant(dev: &Dev) -> (String, String) {
    let customer = open(dev, "customer:alice", "liability", &json!({}));
    (
        customer,
        open(dev, "merchant_receivable:shop", "liability", &json!({})),
    )
}

#[test]
fn led_8_a_payment_of_100_is_97_for_the_merchant_and_3_for_the_platform() {
    let (folder, dev) = Dev::fresh(&[]);
    let (customer, merchant) = customer_and_merchant(&dev);
    let accounts = json!({"customer": customer, "merchant_receivable": merchant});
    let payment = by(
        1,
        "payment_with_fee",
        &accounts,
        &json!({"gross": 10_000, "fee": 300}),
    );
    let dry = json!({"dry_run": true, "transfers": [payment]});
    assert_eq!(ask(&dev, "transfers", &dry).expect(200).json()["recorded"], 1);
    assert_eq!(entries(&dev, &merchant).len(), 0, "asking books nothing");
    made(&dev, payment.clone());
    // The fee goes where the chart says: the transfer names no account for it.
    let expected = [
        line(&customer, "debit", 10_000, -10_000),
        line(&merchant, "credit", 9_700, 9_700),
        line("fee_revenue:USD", "credit", 300, 300),
    ];
    assert_eq!(lines(&dev, 1), expected);
    let named = with(
        payment.clone(),
        &json!({"accounts": {"customer": customer, "merchant_receivable": merchant, "platform_fee": "fee_revenue:USD"}}),
    );
    dev.process.kill_9();
    let dev = Dev::start(folder.path(), &[]);
    for again in [&payment, &named] {
        let answer = make(&dev, std::slice::from_ref(again)).expect(200).json();
        assert_eq!(answer["existed"], 1, "{answer}");
    }
    let other = with(payment, &json!({"amounts": {"gross": 10_000, "fee": 299}}));
    refused(&make(&dev, &[other]), 409, "transfer_id_reused");
    assert_eq!(lines(&dev, 1), expected);
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn led_9_a_payout_of_97_leaves_the_merchant_nothing_and_takes_97_from_the_bank() {
    let (_folder, dev) = Dev::fresh(&[]);
    let (customer, merchant) = customer_and_merchant(&dev);
    let accounts = json!({"customer": customer, "merchant_receivable": merchant});
    made(
        &dev,
        by(
            1,
            "payment_with_fee",
            &accounts,
            &json!({"gross": 10_000, "fee": 300}),
        ),
    );
    let accounts = json!({"merchant_receivable": merchant});
    made(
        &dev,
        by(2, "merchant_payout", &accounts, &json!({"amount": 9_700})),
    );
    assert_eq!(
        lines(&dev, 2),
        [
            line(&merchant, "debit", 9_700, 0),
            line("bank:USD", "credit", 9_700, -9_700)
        ]
    );
    // Nobody is paid what is not owed, although the account itself may be overdrawn.
    let more = by(3, "merchant_payout", &accounts, &json!({"amount": 500}));
    refused(
        &make(&dev, std::slice::from_ref(&more)),
        409,
        "payout_exceeds_owed",
    );
    made(&dev, pair(4, "bank:USD", &merchant, 500));
    // Reserved first, and paid out later: as any transfer.
    made(&dev, with(more, &json!({"pending": true})));
    let again = by(5, "merchant_payout", &accounts, &json!({"amount": 1}));
    refused(&make(&dev, &[again]), 409, "payout_exceeds_owed");
    assert_eq!(balance(&dev, &merchant), 500);
    made(&dev, json!({"id": id(6), "post_pending": id(3)}));
    assert_eq!(balance(&dev, &merchant), 0);
    dev.stop();
}

#[test]
fn led_12_the_chart_of_accounts_is_configuration() {
    let (_folder, dev) = Dev::fresh(&[]);
    let standing = json!({
        "customer": null, "merchant_receivable": null, "merchant_payable": null, "platform_fee": "fee_revenue",
        "payment_revenue": "payment_revenue", "processing_fees": "processing_fees", "refunds_payable": "refunds_payable",
        "chargebacks": "chargebacks", "equity": "equity", "bank": "bank", "suspense": "suspense", "rounding": "rounding",
    });
    assert_eq!(templates(&dev)["chart"], standing);
    let (customer, merchant) = customer_and_merchant(&dev);
    let of_merchant = json!({"merchant_receivable": merchant});
    let of_customer = json!({"customer": customer});
    let of_both = json!({"customer": customer, "merchant_receivable": merchant});
    let of = |account: &str| json!({account: format!("{account}:USD")});
    let amount = |minor: u64| json!({"amount": minor});
    for (number, template, accounts, amounts) in [
        (1, "capital", of("equity"), amount(100_000)),
        (
            2,
            "payment_with_fee",
            of_both,
            json!({"gross": 10_000, "fee": 300}),
        ),
        (3, "processing_fee", of("processing_fees"), amount(320)),
        (4, "refund_owed", of_merchant.clone(), amount(1_000)),
        (5, "refund_paid", of("refunds_payable"), amount(400)),
        (6, "chargeback", of_customer.clone(), amount(700)),
        (7, "rounding_residue", of_merchant, amount(1)),
        (
            8,
            "payment_recorded",
            of_customer.clone(),
            json!({"gross": 5_000}),
        ),
        (9, "late_charge", of_customer, amount(50)),
    ] {
        made(&dev, by(number, template, &accounts, &amounts));
    }
    for (account, kind, minor) in [
        ("bank:USD", "asset", 100_000 - 320 - 400),
        ("equity:USD", "equity", 100_000),
        ("fee_revenue:USD", "revenue", 300),
        ("processing_fees:USD", "expense", 320),
        ("refunds_payable:USD", "liability", 600),
        ("chargebacks:USD", "expense", 700),
        ("rounding:USD", "equity", 1),
        ("payment_revenue:USD", "revenue", 5_000),
        ("suspense:USD", "liability", 50),
        (merchant.as_str(), "liability", 9_700 - 1_000 - 1),
    ] {
        let shown = account_of(&dev, account);
        assert_eq!(
            (&shown["type"], &shown["balance"]),
            (&json!(kind), &json!(minor)),
            "{account}"
        );
    }
    let row = &dev.operator().read("/v1/ledger/balance_sheet")["data"][0];
    assert_eq!((&row["difference"], &row["equity"]), (&json!(0), &json!(100_001)));
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn led_12_a_role_may_stand_for_an_account_that_operators_opened() {
    let (_folder, dev) = Dev::fresh(&[("FLORIN_LEDGER_CHART_BANK", "bank:city")]);
    assert_eq!(templates(&dev)["chart"]["bank"], "bank:city");
    let capital =
        |number: u64, accounts: &Value| by(number, "capital", accounts, &json!({"amount": 100_000}));
    let dollars = json!({"equity": "equity:USD"});
    let closed = make(&dev, &[capital(1, &dollars)]);
    refused(&closed, 400, "parameter_missing");
    assert_eq!(closed.error("param"), "transfers.0.accounts.bank");
    let message = closed.error("message");
    assert!(
        message.contains("no account of that name is open in USD"),
        "{message}"
    );
    let city = open(&dev, "bank:city", "asset", &json!({}));
    made(&dev, capital(1, &dollars));
    assert_eq!(balance(&dev, &city), 100_000);
    // Nothing was ever booked on the one that it takes the place of.
    dev.operator().get("/v1/ledger/accounts/bank:USD").expect(404);
    // Of the same name in the other currency none is open; one that is named wins over the chart.
    let euros = json!({"equity": "equity:EUR"});
    refused(&make(&dev, &[capital(2, &euros)]), 400, "parameter_missing");
    made(
        &dev,
        capital(2, &json!({"equity": "equity:EUR", "bank": "bank:EUR"})),
    );
    // An account of another type can be opened under the name, and cannot stand for the role.
    open(&dev, "bank:city", "liability", &json!({"currency": "EUR"}));
    refused(&make(&dev, &[capital(3, &euros)]), 400, "parameter_invalid");
    dev.stop();
}

/// A node with a configuration file.
fn start_with(folder: &Path, text: &str) -> Dev {
    let file = folder.join("florin.toml");
    std::fs::write(&file, text).unwrap();
    let arguments = ["dev", "--config", file.to_str().unwrap()];
    let mut process = Process::start(&mut command(&arguments, &folder.join("data"), &PATIENT));
    let api = process.says("the API's address", |line| address_after(line, "API"));
    let sandbox = process.says("the sandbox's address", |line| address_after(line, "sandbox"));
    Dev {
        process,
        api,
        sandbox,
    }
}

const TIP: &str = r#"
[[ledger.templates]]
name = "tip"
description = "A guest tips, and the house keeps a part."
roles = { guest = ["asset", "liability"], waiter = "liability", house = "revenue" }
parameters = { tip = "other", kept = "other" }
derived = { rest = "tip - kept" }
lines = [
  { role = "guest", side = "debit", amount = "tip" },
  { role = "waiter", side = "credit", amount = "rest" },
  { role = "house", side = "credit", amount = "kept" },
]
"#;

#[test]
fn x_26_templates_of_the_configuration_are_listed_tried_and_posted() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    let dev = start_with(folder.path(), TIP);
    let tip = template(&dev, "tip");
    for (field, expected) in [
        (
            "roles",
            json!({"guest": ["asset", "liability"], "waiter": ["liability"], "house": ["revenue"]}),
        ),
        ("parameters", json!({"kept": "other", "tip": "other"})),
        ("derived", json!({"rest": "tip - kept"})),
        ("stage", Value::Null),
        ("recognises_fee_on", json!([])),
        ("unusable", Value::Null),
    ] {
        assert_eq!(tip[field], expected, "{field}");
    }
    assert_eq!(
        tip["lines"][1],
        json!({"role": "waiter", "side": "credit", "amount": "rest"})
    );
    assert_eq!(
        template(&dev, "payment_with_fee")["recognises_fee_on"],
        json!(["platform_fee"])
    );
    dev.merchant().get("/v1/ledger/templates").expect(403);
    let guest = open(&dev, "guest", "asset", &json!({}));
    let waiter = open(&dev, "waiter", "liability", &json!({}));
    let house = open(&dev, "house", "revenue", &json!({}));
    let accounts = json!({"guest": guest, "waiter": waiter, "house": house});
    let tipped =
        |number: u64, tip: u64, kept: u64| by(number, "tip", &accounts, &json!({"tip": tip, "kept": kept}));
    let both = json!({"dry_run": true, "transfers": [tipped(1, 1_000, 100), tipped(1, 1, 1)]});
    let dry = ask(&dev, "transfers", &both).expect(200).json();
    assert_eq!(
        (&dry["recorded"], &dry["refused"]),
        (&json!(1), &json!(1)),
        "{dry}"
    );
    assert_eq!(entries(&dev, &guest).len(), 0);
    made(&dev, tipped(1, 1_000, 100));
    assert_eq!(
        lines(&dev, 1),
        [
            line(&guest, "debit", 1_000, 1_000),
            line(&waiter, "credit", 900, 900),
            line(&house, "credit", 100, 100)
        ]
    );
    // Where a line is nothing, two are left.
    made(&dev, tipped(2, 500, 0));
    assert_eq!(
        lines(&dev, 2),
        [
            line(&guest, "debit", 500, 1_500),
            line(&waiter, "credit", 500, 1_400)
        ]
    );
    refused(&make(&dev, &[tipped(3, 0, 0)]), 400, "transfer_too_few_postings");
    dev.stop();
    let wrong = TIP.replace("amount = \"rest\"", "amount = \"tip\"");
    std::fs::write(folder.path().join("florin.toml"), wrong).unwrap();
    let file = folder.path().join("florin.toml");
    let finished = run(
        &["dev", "--config", file.to_str().unwrap()],
        &folder.path().join("data"),
        &[],
    );
    assert!(!finished.status.success());
    assert!(
        finished.stderr.contains(
            "`ledger.templates.tip.lines` do not balance: `kept` is debited 0 times and credited 1 times"
        ),
        "{}",
        finished.stderr
    );
}

#[test]
fn what_does_not_fit_a_template_is_refused_by_its_field() {
    let (_folder, dev) = Dev::fresh(&[]);
    let (customer, merchant) = customer_and_merchant(&dev);
    let euro = open(&dev, "customer:alice", "liability", &json!({"currency": "EUR"}));
    let asset = open(&dev, "till", "asset", &json!({}));
    let accounts = json!({"customer": customer, "merchant_receivable": merchant});
    let amounts = json!({"gross": 10_000, "fee": 300});
    let right = by(1, "payment_with_fee", &accounts, &amounts);
    let account = |role: &str, id: &Value| {
        let mut accounts = accounts.clone();
        accounts[role] = id.clone();
        json!({"accounts": accounts})
    };
    let amount = |name: &str, value: &Value| {
        let mut amounts = amounts.clone();
        amounts[name] = value.clone();
        json!({"amounts": amounts})
    };
    let (invalid, missing, unknown) = ("parameter_invalid", "parameter_missing", "parameter_unknown");
    for (also, param, code) in [
        (json!({"template": "payment"}), "template", invalid),
        (json!({"template": 7}), "template", invalid),
        (json!({"accounts": {}}), "accounts", missing),
        (json!({"accounts": null}), "accounts", missing),
        (json!({"accounts": [customer]}), "accounts", invalid),
        (
            json!({"accounts": {"customer": customer}}),
            "accounts.merchant_receivable",
            missing,
        ),
        (account("bank", &json!("bank:USD")), "accounts.bank", unknown),
        (account("customer", &json!("alice")), "accounts.customer", invalid),
        (account("customer", &json!(7)), "accounts.customer", invalid),
        (
            account("customer", &json!(euro)),
            "accounts.merchant_receivable",
            invalid,
        ),
        (
            account("merchant_receivable", &json!(asset)),
            "accounts.merchant_receivable",
            invalid,
        ),
        (
            account("platform_fee", &json!("bank:USD")),
            "accounts.platform_fee",
            invalid,
        ),
        (
            account("platform_fee", &json!("fee_revenue:USD:live")),
            "accounts.platform_fee",
            invalid,
        ),
        (json!({"amounts": {"gross": 10_000}}), "amounts.fee", missing),
        (json!({"amounts": {}}), "amounts.gross", missing),
        (json!({"amounts": 7}), "amounts", invalid),
        (amount("tip", &json!(1)), "amounts.tip", unknown),
        (amount("fee", &json!("3.00")), "amounts.fee", invalid),
        (
            amount("fee", &json!(3.5)),
            "amounts.fee",
            "parameter_invalid_integer",
        ),
        (
            amount("fee", &json!(-300)),
            "amounts.fee",
            "parameter_invalid_integer",
        ),
        (
            amount("gross", &json!(1_000_000_000_000_u64)),
            "amounts.gross",
            "amount_too_large",
        ),
        (amount("fee", &json!(10_001)), "amounts", invalid),
        (json!({"amount": 5}), "amount", invalid),
        (json!({"debit_account": customer}), "debit_account", invalid),
        (json!({"postings": []}), "postings", invalid),
        (json!({"post_pending": id(7)}), "template", invalid),
        (json!({"template": null}), "accounts", invalid),
    ] {
        let answer = make(&dev, &[with(right.clone(), &also)]);
        refused(&answer, 400, code);
        assert_eq!(
            answer.error("param"),
            format!("transfers.0.{param}"),
            "{also}: {answer:?}"
        );
        let message = answer.error("message");
        assert!(message.contains(&format!("`transfers.0.{param}`")), "{message}");
    }
    assert_eq!(entries(&dev, &customer).len(), 0);
    // An account that was never opened is the books' own refusal.
    let gone = account("customer", &json!("provider_clearing:nobody:USD"));
    refused(&make(&dev, &[with(right.clone(), &gone)]), 404, "account_unknown");
    made(&dev, right);
    dev.stop();
}

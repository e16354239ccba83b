//! How payments are booked: under each profile, across changes of it, and without a fee that is earned twice.

use crate::deployment::{Dev, assert_balanced, sale};
use crate::http::Answer;
use crate::ledger_templates::{by, customer_and_merchant, line, lines, template, templates};
use crate::ledger_transfers::{balance, made, make, open, refused};
use crate::operations;
use crate::process::run;
use serde_json::{Value, json};

const AT_SETTLEMENT: (&str, &str) = ("FLORIN_LEDGER_FEE_RECOGNITION", "at_settlement");
const OUR_OWN_SALE: (&str, &str) = ("FLORIN_LEDGER_POSTING_PROFILE", "merchant_of_record");

#[test]
fn led_10_a_payment_recorded_is_an_asset_of_100_and_revenue_of_100() {
    let (_folder, dev) = Dev::fresh(&[OUR_OWN_SALE]);
    let customer = open(&dev, "customer_account_123", "asset", &json!({}));
    let revenue = "payment_revenue:USD";
    let recorded = |number: u64, minor: u64| {
        let accounts = json!({"customer": customer});
        by(number, "payment_recorded", &accounts, &json!({"gross": minor}))
    };
    made(&dev, recorded(1, 50_000));
    made(
        &dev,
        by(
            2,
            "payment_recorded",
            &json!({"customer": "bank:USD"}),
            &json!({"gross": 950_000}),
        ),
    );
    made(&dev, recorded(3, 10_000));
    // 500.00 to 600.00, and 10,000.00 to 10,100.00.
    assert_eq!(
        lines(&dev, 3),
        [
            line(&customer, "debit", 10_000, 60_000),
            line(revenue, "credit", 10_000, 1_010_000)
        ]
    );
    // A sale through a provider is booked so as well: nobody is owed anything, and no fee is taken.
    let id = operations::made(&dev, "sold", &sale(10_000, "USD"));
    let payment = operations::shown(&dev, &id);
    assert_eq!(
        (&payment["fee"], &payment["net"]),
        (&json!(0), &json!(10_000)),
        "{payment}"
    );
    assert_eq!(balance(&dev, "provider_clearing:stripe:USD"), 10_000);
    assert_eq!(balance(&dev, revenue), 1_020_000);
    assert_eq!(
        dev.merchant().read_all("/v1/ledger/accounts"),
        Vec::<Value>::new()
    );
    operations::ask(&dev, "back", &id, "refunds", &json!({"amount": 2_500})).expect(200);
    assert_eq!(balance(&dev, revenue), 1_017_500);
    assert_eq!(balance(&dev, "provider_clearing:stripe:USD"), 7_500);
    operations::ask(&dev, "rest", &id, "refunds", &json!({})).expect(200);
    assert_eq!(balance(&dev, revenue), 1_010_000);
    assert_eq!(balance(&dev, "provider_clearing:stripe:USD"), 0);
    assert_eq!(operations::shown(&dev, &id)["fee"], 0);
    let row = &dev.operator().read("/v1/ledger/income_statement")["data"][0];
    assert_eq!(
        (&row["revenue"], &row["expenses"]),
        (&json!(1_010_000), &json!(0))
    );
    assert_balanced(&dev.operator());
    dev.stop();
}

/// The words of a start that was refused.
fn refused_start(variables: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let finished = run(&["dev"], folder.path(), variables);
    assert!(!finished.status.success(), "{finished:?}");
    finished.stderr
}

fn unusable(answer: &Answer, first: &str, second: &str) {
    refused(answer, 400, "parameter_invalid");
    assert_eq!(answer.error("param"), "transfers.0.template");
    let message = answer.error("message");
    for part in ["recognised twice", first, second, "`platform_fee`"] {
        assert!(message.contains(part), "{message}");
    }
}

/// A shop whose payments are settled: what it is to get, and what is due to it.
fn shop(dev: &Dev) -> (Value, Value) {
    let (customer, merchant) = customer_and_merchant(dev);
    let payable = open(dev, "merchant_payable:shop", "liability", &json!({}));
    let payment = json!({"customer": customer, "merchant_receivable": merchant});
    (
        payment,
        json!({"merchant_receivable": merchant, "merchant_payable": payable}),
    )
}

#[test]
fn d_03_no_fee_is_earned_at_the_payment_and_at_the_settlement_again() {
    let (_folder, dev) = Dev::fresh(&[]);
    let (payment, settlement) = shop(&dev);
    let profile = &templates(&dev)["profile"];
    assert_eq!(
        (&profile["posting"], &profile["fee_recognition"]),
        (&json!("marketplace"), &json!("at_payment"))
    );
    // Payments earn 3 of 100, and the settlement would earn 300 of 10,000 again.
    let paid = by(
        1,
        "payment_with_fee",
        &payment,
        &json!({"gross": 10_000, "fee": 300}),
    );
    made(&dev, paid);
    let amounts = json!({"gross": 1_000_000, "fee": 30_000});
    let again = by(2, "settlement_with_fee", &settlement, &amounts);
    unusable(
        &make(&dev, &[again]),
        "`payment_with_fee`",
        "`settlement_with_fee`",
    );
    assert_eq!(balance(&dev, "fee_revenue:USD"), 300);
    let why = template(&dev, "settlement_with_fee")["unusable"].clone();
    assert!(why.as_str().unwrap().contains("twice"), "{why}");
    // Without a fee it is settled in order.
    assert_eq!(template(&dev, "settlement")["unusable"], Value::Null);
    made(&dev, by(3, "settlement", &settlement, &json!({"amount": 9_700})));
    assert_eq!(
        balance(&dev, settlement["merchant_receivable"].as_str().unwrap()),
        0
    );
    let payable = settlement["merchant_payable"].as_str().unwrap();
    assert_eq!(balance(&dev, payable), 9_700);
    // What was settled is paid from there, and not from the account that the settlement has emptied.
    let merchant = json!({"merchant_receivable": settlement["merchant_receivable"]});
    let passing_by = by(4, "merchant_payout", &merchant, &json!({"amount": 9_700}));
    let answer = make(&dev, std::slice::from_ref(&passing_by));
    refused(&answer, 409, "payout_exceeds_owed");
    let message = answer.error("message");
    assert!(
        message.contains("what was settled is on the account that the settlement credited"),
        "{message}"
    );
    let settled = by(
        4,
        "settled_payout",
        &json!({"merchant_payable": payable}),
        &json!({"amount": 9_700}),
    );
    made(&dev, settled);
    assert_eq!((balance(&dev, payable), balance(&dev, "bank:USD")), (0, -9_700));
    dev.stop();

    // What is our own sale has earned all of it: a fee at settlement does not even start.
    let words = refused_start(&[AT_SETTLEMENT, OUR_OWN_SALE]);
    for part in [
        "ledger.fee_recognition",
        "recognised twice",
        "`payment_recorded`",
        "`settlement_with_fee`",
        "`payment_revenue`",
    ] {
        assert!(words.contains(part), "{words}");
    }
}

#[test]
fn d_03_a_fee_at_settlement_takes_300_of_10_000_and_nothing_before() {
    let (_folder, dev) = Dev::fresh(&[AT_SETTLEMENT]);
    let (payment, settlement) = shop(&dev);
    let fee_at_once = by(
        1,
        "payment_with_fee",
        &payment,
        &json!({"gross": 10_000, "fee": 300}),
    );
    unusable(
        &make(&dev, &[fee_at_once]),
        "`payment_with_fee`",
        "`settlement_with_fee`",
    );
    made(
        &dev,
        by(1, "payment_gross", &payment, &json!({"gross": 1_000_000})),
    );
    let amounts = json!({"gross": 1_000_000, "fee": 30_000});
    made(&dev, by(2, "settlement_with_fee", &settlement, &amounts));
    let (merchant, payable) = (
        settlement["merchant_receivable"].as_str().unwrap(),
        settlement["merchant_payable"].as_str().unwrap(),
    );
    assert_eq!(
        lines(&dev, 2),
        [
            line(merchant, "debit", 1_000_000, 0),
            line(payable, "credit", 970_000, 970_000),
            line("fee_revenue:USD", "credit", 30_000, 30_000),
        ]
    );
    let payout = by(
        3,
        "settled_payout",
        &json!({"merchant_payable": payable}),
        &json!({"amount": 970_000}),
    );
    made(&dev, payout);
    assert_eq!(balance(&dev, payable), 0);
    // Paid before it is settled, a merchant would never pay its fee.
    let early = by(
        4,
        "merchant_payout",
        &json!({"merchant_receivable": merchant}),
        &json!({"amount": 1}),
    );
    let answer = make(&dev, &[early]);
    refused(&answer, 400, "parameter_invalid");
    assert!(
        answer.error("message").contains("never be recognised"),
        "{answer:?}"
    );
    // A payment that is refunded after all that gets its fee back, once the policy says so.
    let refund = json!({"customer": payment["customer"], "merchant_receivable": merchant});
    made(&dev, by(5, "refund_gross", &refund, &json!({"gross": 10_000})));
    let back = by(
        6,
        "settled_fee_returned",
        &json!({"merchant_receivable": merchant}),
        &json!({"fee": 300}),
    );
    made(&dev, back);
    assert_eq!(
        lines(&dev, 6),
        [
            line("fee_revenue:USD", "debit", 300, 29_700),
            line(merchant, "credit", 300, -9_700)
        ]
    );
    assert_balanced(&dev.operator());
    dev.stop();
}

/// The row of a payment's history that says how it is booked, if it has one.
fn chosen(dev: &Dev, id: &str) -> Option<Value> {
    let rows = dev.merchant().read_all(&format!("/v1/payments/{id}/history"));
    let mut rows = rows.into_iter();
    rows.find(|row| row["type"] == "payment.posting_profile_chosen")
}

#[test]
fn d_03_a_payment_is_refunded_by_the_rule_that_it_was_taken_by() {
    let (folder, dev) = Dev::fresh(&[]);
    let before = operations::made(&dev, "before", &sale(10_000, "USD"));
    assert_eq!(chosen(&dev, &before), None, "the usual way is said by nothing");
    let owed = dev.merchant().read_all("/v1/ledger/accounts")[0].clone();
    let shop = owed["id"].as_str().unwrap();
    assert_eq!(
        (balance(&dev, shop), balance(&dev, "fee_revenue:USD")),
        (9_680, 320)
    );
    dev.stop();

    // The merchant is credited with all of it until it is settled with.
    let dev = Dev::start(
        folder.path(),
        &[AT_SETTLEMENT, ("FLORIN_REFUNDS_FEE", "returned")],
    );
    let after = operations::made(&dev, "after", &sale(10_000, "USD"));
    let row = chosen(&dev, &after).unwrap();
    assert_eq!(
        (&row["posting"], &row["fee_recognition"]),
        (&json!("marketplace"), &json!("at_settlement"))
    );
    let payment = operations::shown(&dev, &after);
    assert_eq!(
        (&payment["fee"], &payment["net"]),
        (&json!(320), &json!(9_680)),
        "what it will be"
    );
    assert_eq!(
        (balance(&dev, shop), balance(&dev, "fee_revenue:USD")),
        (19_680, 320)
    );
    // Each by its own rule, whatever holds now, also after a crash and with the views read back.
    operations::ask(&dev, "r1", &before, "refunds", &json!({"amount": 4_000})).expect(200);
    assert_eq!(balance(&dev, shop), 15_680, "that one keeps its fee");
    dev.process.kill_9();
    let dev = Dev::start(folder.path(), &[OUR_OWN_SALE]);
    operations::ask(&dev, "r2", &after, "refunds", &json!({})).expect(200);
    operations::ask(&dev, "r3", &before, "refunds", &json!({})).expect(200);
    assert_eq!(
        (balance(&dev, shop), balance(&dev, "fee_revenue:USD")),
        (-320, 320)
    );
    assert_eq!(balance(&dev, "provider_clearing:stripe:USD"), 0);
    assert_eq!(operations::shown(&dev, &after)["fee"], 0);
    assert_balanced(&dev.operator());
    dev.stop();
}

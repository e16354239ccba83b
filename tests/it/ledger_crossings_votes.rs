//! Who must agree before a transfer between shards is decided, and what the no of each of them leaves behind: nothing.

use crate::deployment::{Caller, Dev, assert_balanced, sale};
use crate::ledger_crossings::{assert_short, at_rest, shown, steps, three};
use crate::ledger_shards::THREE;
use crate::ledger_transfers::{ask, balance, entries, id, made, make, pair, refused, with};
use crate::operators::order;
use crate::process::run_well;
use serde_json::{Value, json};

#[test]
fn cons_2_each_side_votes_with_its_reason_and_any_no_aborts_the_transfer_in_both() {
    let (folder, dev) = Dev::fresh(&[THREE]);
    let [bank, customer, vault] = three(&dev);
    // The debited side says no: nothing was begun, and the id is free.
    assert_short(&make(&dev, &[pair(1, &customer, &bank, 1)]));
    dev.operator()
        .get(&format!("/v1/ledger/transfers/{}", id(1)))
        .expect(404);
    // The credited side says no: so it stays, and so it is told again.
    for (number, credit, amount, code) in [
        (2, &vault, 1, "insufficient_funds"),
        (3, &customer, 5_001, "account_limit_exceeded"),
    ] {
        let asked = pair(number, &bank, credit, amount);
        for _ in 0..2 {
            let answer = make(&dev, std::slice::from_ref(&asked));
            refused(&answer, 409, code);
            if number == 2 {
                assert_short(&answer);
            }
        }
        assert_eq!(
            shown(&dev, number),
            ("refused".to_owned(), Value::Null, Value::Null)
        );
        refused(
            &make(&dev, &[pair(number, &bank, credit, amount + 1)]),
            409,
            "transfer_id_reused",
        );
    }
    at_rest(&dev);
    for account in [&bank, &customer, &vault] {
        assert_eq!((balance(&dev, account), entries(&dev, account).len()), (0, 0));
    }
    // Both say yes, each up to its limit.
    made(&dev, pair(1, &bank, &customer, 5_000));
    at_rest(&dev);
    assert_eq!(shown(&dev, 1), ("posted".to_owned(), json!(5_000), json!(5_000)));
    made(&dev, pair(4, &customer, &bank, 5_000));
    at_rest(&dev);
    assert_eq!(shown(&dev, 4), ("posted".to_owned(), json!(0), json!(0)));
    assert_balanced(&dev.operator());
    dev.stop();

    let told = steps(folder.path());
    let of = |number, shard| {
        told.get(&(number, shard))
            .map(Vec::as_slice)
            .unwrap_or_default()
            .to_vec()
    };
    let short = "aborted insufficient_funds";
    assert_eq!(
        (of(2, 0), of(2, 2)),
        (
            vec!["prepared".to_owned(), short.to_owned(), "settled".to_owned()],
            vec![short.to_owned()]
        )
    );
    let over = "aborted exceeds_limit";
    assert_eq!(
        (of(3, 0), of(3, 1)),
        (
            vec!["prepared".to_owned(), over.to_owned(), "settled".to_owned()],
            vec![over.to_owned()]
        )
    );
    for (number, source, target) in [(1, 0, 1), (4, 1, 0)] {
        assert_eq!(of(number, source), ["prepared", "decided", "settled"]);
        assert_eq!(of(number, target), ["reserved", "applied"]);
    }
    assert_eq!(told.len(), 8, "nobody else had to do with them: {told:?}");
}

/// The debit, the credit, the journal and the fraud check, each with a reason of its own to say no; and all of them agreed.
#[test]
fn cons_1_a_no_of_any_of_the_four_participants_aborts_and_nothing_moves() {
    let folder = tempfile::tempdir().unwrap();
    let create = ["merchant", "create", "--name", "Shop", "--shard", "2"];
    let merchant = run_well(&create, folder.path(), &[THREE]);
    let key = run_well(
        &["key", "create", "--merchant", &merchant],
        folder.path(),
        &[THREE],
    );
    let variables = [THREE, ("FLORIN_RISK_TRANSFERS_HOUR_COUNT_MAX", "6")];
    let dev = Dev::start(folder.path(), &variables);
    Caller::new(dev.api, &key)
        .pay("1", &sale(10_000, "USD"))
        .expect(200);
    let shop = format!("merchant_payable:{merchant}:USD");
    let [bank, customer, _] = three(&dev);
    made(&dev, pair(1, &bank, &customer, 3_000));
    at_rest(&dev);
    let all = [&bank, &customer, &shop];
    let before = all.map(|account| balance(&dev, account));

    // The debit.
    refused(
        &make(&dev, &[pair(2, &customer, &bank, 3_001)]),
        409,
        "insufficient_funds",
    );
    // The credit.
    refused(
        &make(&dev, &[pair(3, &bank, &customer, 2_001)]),
        409,
        "account_limit_exceeded",
    );
    // The journal: what it would record is for a day whose books are closed.
    ask(&dev, "periods/close", &json!({"through": "2020-12-31"})).expect(200);
    let late = with(
        pair(4, &bank, &customer, 1),
        &json!({"effective_date": "2020-06-30"}),
    );
    refused(&make(&dev, &[late]), 409, "period_closed");
    // The fraud check, for whom it pays, until that has an end.
    let frozen = json!({"reason": "Card testing."});
    order(&dev, &format!("merchants/{merchant}/freeze"), &frozen).expect(200);
    for _ in 0..2 {
        let answer = make(&dev, &[pair(5, &bank, &shop, 100)]);
        refused(&answer, 409, "fraud_check_refused");
    }
    at_rest(&dev);
    assert_eq!(all.map(|account| balance(&dev, account)), before, "nothing moved");
    assert_eq!(shown(&dev, 5), ("refused".to_owned(), Value::Null, Value::Null));
    order(&dev, &format!("merchants/{merchant}/unfreeze"), &frozen).expect(200);
    refused(
        &make(&dev, &[pair(5, &bank, &shop, 100)]),
        409,
        "fraud_check_refused",
    );

    // All four agree: the fourth from the bank to be counted, and two more.
    for number in 6..9 {
        made(&dev, pair(number, &bank, &shop, 100));
    }
    // The fraud check, for how often.
    refused(
        &make(&dev, &[pair(9, &bank, &shop, 100)]),
        409,
        "fraud_check_refused",
    );
    made(&dev, pair(10, &customer, &bank, 1));
    at_rest(&dev);
    let after = [before[0] + 299, before[1] - 1, before[2] + 300];
    assert_eq!(all.map(|account| balance(&dev, account)), after);
    assert_balanced(&dev.operator());
    dev.stop();

    let told = steps(folder.path());
    let of = |number, shard| told.get(&(number, shard)).cloned().unwrap_or_default();
    assert_eq!(
        (of(2, 1), of(4, 0)),
        (Vec::new(), Vec::new()),
        "nothing was begun"
    );
    assert_eq!(of(3, 0), ["prepared", "aborted exceeds_limit", "settled"]);
    for number in [5, 9] {
        assert_eq!(of(number, 0), ["prepared", "aborted fraud_check", "settled"]);
        assert_eq!(of(number, 2), ["reserved", "aborted fraud_check"]);
    }
    assert_eq!(of(6, 0), ["prepared", "decided", "settled"]);
    assert_eq!(of(6, 2), ["reserved", "applied"]);
}

//! Reverts over HTTP: what was posted is undone, once, however often and from however many sides it is asked for.

use crate::deployment::{Dev, assert_balanced};
use crate::http::Answer;
use crate::ledger_transfers::{
    account, ask, balance, entries, id, made, make, open, pair, refused, try_ask, two, with,
};
use serde_json::{Value, json};
use std::sync::Barrier;

fn revert(number: u64, reverts: u64) -> Value {
    json!({"id": id(number), "reverts": id(reverts)})
}

#[track_caller]
fn undo(dev: &Dev, reverts: &[Value]) -> Answer {
    ask(dev, "transfers/revert", &json!({"transfers": reverts}))
}

#[track_caller]
fn transfer(dev: &Dev, number: u64) -> Value {
    dev.operator()
        .read(&format!("/v1/ledger/transfers/{}", id(number)))
}

#[test]
fn x_27_a_batch_of_transfers_is_reverted_and_each_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &[]);
    let (bank, customer) = two(&dev);
    let batch: Vec<Value> = (1..=8_190)
        .map(|number| pair(number, &bank, &customer, number))
        .collect();
    assert_eq!(make(&dev, &batch).expect(200).json()["recorded"], 8_190);
    made(&dev, pair(9_001, &bank, &customer, 5));
    let reverts: Vec<Value> = (1..=8_190)
        .map(|number| revert(100_000 + number, number))
        .collect();
    let dry = json!({"transfers": reverts, "dry_run": true});
    let dry = ask(&dev, "transfers/revert", &dry).expect(200).json();
    assert_eq!((&dry["recorded"], &dry["seq"]), (&json!(8_190), &Value::Null));
    assert_eq!(
        transfer(&dev, 1)["reverted_by"],
        Value::Null,
        "a dry run records nothing"
    );
    for (recorded, existed) in [(8_190, 0), (0, 8_190)] {
        let answer = undo(&dev, &reverts).expect(200).json();
        assert_eq!(
            (&answer["recorded"], &answer["existed"], &answer["refused"]),
            (&json!(recorded), &json!(existed), &json!(0))
        );
    }
    let one_more = [reverts, vec![revert(200_001, 9_001)]].concat();
    undo(&dev, &one_more).expect(400);
    assert_eq!((balance(&dev, &bank), balance(&dev, &customer)), (5, 5));
    dev.process.kill_9();

    let dev = Dev::start(folder.path(), &[]);
    for number in [1, 77, 8_190] {
        let answer = undo(&dev, &[revert(300_000, number)]);
        refused(&answer, 409, "transfer_already_reverted");
        assert_eq!(transfer(&dev, number)["reverted_by"], json!(id(100_000 + number)));
    }
    assert_eq!(
        undo(&dev, &[revert(300_000, 9_001)]).expect(200).json()["recorded"],
        1
    );
    assert_eq!((balance(&dev, &bank), balance(&dev, &customer)), (0, 0));
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn x_27_a_revert_and_what_it_reverts_name_each_other() {
    let (_folder, dev) = Dev::fresh(&[]);
    let (bank, customer) = two(&dev);
    let fees = open(&dev, "fees", "revenue", &json!({}));
    let posting =
        |account: &str, side: &str, amount: u64| json!({"account": account, "side": side, "amount": amount});
    let split = json!([
        posting(&bank, "debit", 10_000),
        posting(&customer, "credit", 9_700),
        posting(&fees, "credit", 300),
    ]);
    made(&dev, json!({"id": id(1), "postings": split}));
    let notes = json!({"description": "Booked twice.", "metadata": {"ticket": "4711"}});
    let answer = undo(&dev, &[with(revert(2, 1), &notes)]).expect(200).json();
    assert_eq!(answer["recorded"], 1);
    for account in [&bank, &customer, &fees] {
        assert_eq!(balance(&dev, account), 0);
    }
    let (shown, original) = (transfer(&dev, 2), transfer(&dev, 1));
    for (field, expected) in [
        ("step", json!("revert")),
        ("status", json!("posted")),
        ("reverts", json!(id(1))),
        ("reverted_by", Value::Null),
        ("description", json!("Booked twice.")),
        ("metadata", json!({"ticket": "4711"})),
    ] {
        assert_eq!(shown[field], expected, "{field}");
    }
    assert_eq!(
        (&original["reverts"], &original["reverted_by"]),
        (&Value::Null, &json!(id(2)))
    );
    let sides: Vec<_> = shown["postings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|posting| posting["side"].as_str().unwrap())
        .collect();
    // The last line is undone first, so that no limit is in the way that was not in the way of the transfer.
    assert_eq!(sides, ["debit", "debit", "credit"]);
    assert_eq!(entries(&dev, &fees).len(), 2, "nothing is erased");
    dev.stop();
}

#[test]
fn x_27_of_many_reverts_of_one_transfer_at_once_exactly_one_is_recorded() {
    const CLIENTS: u64 = 8;
    let (_folder, dev) = Dev::fresh(&[]);
    let (bank, customer) = two(&dev);
    for round in 1..=20 {
        made(&dev, pair(round, &bank, &customer, 1_000));
        let (api, start) = (dev.api, Barrier::new(8));
        let answers: Vec<Answer> = std::thread::scope(|scope| {
            let clients: Vec<_> = (1..=CLIENTS)
                .map(|client| {
                    let start = &start;
                    scope.spawn(move || {
                        let body = json!({"transfers": [revert(round * 1_000 + client, round)]});
                        start.wait();
                        try_ask(api, "transfers/revert", &body).unwrap()
                    })
                })
                .collect();
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        let done = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(done, 1, "{answers:?}");
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            refused(answer, 409, "transfer_already_reverted");
        }
        assert_eq!((balance(&dev, &bank), balance(&dev, &customer)), (0, 0));
    }
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn x_27_a_batch_that_went_through_an_account_is_reverted_in_whichever_order_it_is_asked_for() {
    let (_folder, dev) = Dev::fresh(&[]);
    let (bank, customer) = two(&dev);
    let through = open(
        &dev,
        "through",
        "liability",
        &json!({"min_balance": 0, "max_balance": 900}),
    );
    let batch: Vec<Value> = (0..20)
        .flat_map(|round| {
            [
                pair(100 + round * 2, &bank, &through, 500 + round),
                pair(101 + round * 2, &through, &customer, 500 + round),
            ]
        })
        .collect();
    assert_eq!(make(&dev, &batch).expect(200).json()["recorded"], 40);
    let lines = json!([
        {"account": bank, "side": "debit", "amount": 800},
        {"account": through, "side": "credit", "amount": 800},
        {"account": through, "side": "debit", "amount": 800},
        {"account": customer, "side": "credit", "amount": 800},
    ]);
    made(&dev, json!({"id": id(200), "postings": lines}));
    let mut reverts: Vec<Value> = (100..140).map(|number| revert(1_000 + number, number)).collect();
    reverts.push(revert(1_200, 200));
    reverts.rotate_left(7);
    let whole = json!({"transfers": reverts, "atomic": true});
    assert_eq!(
        ask(&dev, "transfers/revert", &whole).expect(200).json()["recorded"],
        41
    );
    let again = ask(&dev, "transfers/revert", &whole).expect(200).json();
    assert_eq!((&again["recorded"], &again["existed"]), (&json!(0), &json!(41)));
    for account in [&bank, &through, &customer] {
        assert_eq!(balance(&dev, account), 0);
    }
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn a_revert_keeps_the_rules_of_transfers() {
    let (_folder, dev) = Dev::fresh(&[]);
    let (bank, _) = two(&dev);
    let poor = open(&dev, "poor", "liability", &json!({"min_balance": 0}));
    made(&dev, pair(1, &bank, &poor, 500));
    made(&dev, pair(2, &poor, &bank, 1));
    refused(&undo(&dev, &[revert(10, 1)]), 409, "insufficient_funds");
    refused(&undo(&dev, &[revert(10, 77)]), 404, "reverted_transfer_missing");
    made(&dev, with(pair(3, &bank, &poor, 50), &json!({"pending": true})));
    refused(&undo(&dev, &[revert(10, 3)]), 409, "transfer_not_revertible");
    made(&dev, json!({"id": id(4), "post_pending": id(3), "amount": 30}));
    refused(&undo(&dev, &[revert(10, 3)]), 409, "transfer_not_revertible");
    assert_eq!(undo(&dev, &[revert(10, 4)]).expect(200).json()["recorded"], 1);
    refused(&undo(&dev, &[revert(10, 2)]), 409, "transfer_id_reused");
    // A revert is a transfer: it is reverted once as well.
    assert_eq!(undo(&dev, &[revert(11, 10)]).expect(200).json()["recorded"], 1);
    refused(&undo(&dev, &[revert(12, 10)]), 409, "transfer_already_reverted");
    refused(&undo(&dev, &[revert(12, 4)]), 409, "transfer_already_reverted");
    assert_eq!(account(&dev, &poor)["balance"], 529);
    ask(&dev, "periods/close", &json!({"through": "2020-12-31"})).expect(200);
    let late = with(revert(13, 2), &json!({"effective_date": "2020-12-31"}));
    refused(&undo(&dev, &[late]), 409, "period_closed");
    // All or nothing, and the first refusal that is its own.
    let both = json!({"atomic": true, "transfers": [revert(13, 2), revert(14, 77)]});
    let answer = ask(&dev, "transfers/revert", &both);
    refused(&answer, 404, "reverted_transfer_missing");
    assert_eq!(answer.error("param"), "transfers.1");
    let independent = undo(&dev, &[revert(13, 2), revert(14, 77), revert(15, 2)])
        .expect(200)
        .json();
    let codes: Vec<_> = independent["exceptions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["index"].as_u64().unwrap(), row["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        codes,
        [(1, "reverted_transfer_missing"), (2, "transfer_already_reverted")]
    );
    for (body, param) in [
        (json!({"transfers": []}), "transfers"),
        (
            json!({"transfers": [{"id": "x", "reverts": id(1)}]}),
            "transfers.0.id",
        ),
        (json!({"transfers": [{"id": id(1)}]}), "transfers.0.reverts"),
        (
            json!({"transfers": [{"id": id(1), "reverts": id(1), "amount": 1}]}),
            "transfers.0.amount",
        ),
    ] {
        let answer = ask(&dev, "transfers/revert", &body);
        assert_eq!(
            (answer.status, answer.error("param").as_str()),
            (400, param),
            "{answer:?}"
        );
    }
    assert_balanced(&dev.operator());
    dev.stop();
}

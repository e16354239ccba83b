//! Transfers between shards over HTTP: each side says yes or no with its reason, and nothing is reserved when it is over.

use crate::deployment::{Dev, assert_balanced};
use crate::http::Answer;
use crate::ledger_shards::THREE;
use crate::ledger_transfers::{
    account, ask, balance, entries, id, made, make, open, pair, refused, try_make, with,
};
use crate::process::{run_well, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Waits until nothing is under way between shards and nothing is reserved: the credited side follows the answer.
#[track_caller]
pub(crate) fn at_rest(dev: &Dev) {
    wait_for("transfers between shards to come to rest", || {
        let accounts = dev.operator().read_all("/v1/ledger/accounts");
        let mut clearing = accounts
            .iter()
            .filter(|account| account["id"].as_str().unwrap().starts_with("shard_clearing:"));
        let is_free = |account: &Value| account["pending_debit"] == 0 && account["pending_credit"] == 0;
        let is_at_rest = clearing.all(|part| part["balance"] == 0) && accounts.iter().all(is_free);
        is_at_rest.then_some(())
    });
}

/// What the shards recorded of each transfer: its id's last digits and the shard; the steps in order, with the reason of an abort.
#[track_caller]
pub(crate) fn steps(folder: &Path) -> BTreeMap<(u64, u64), Vec<String>> {
    let out = folder.join("steps.jsonl");
    run_well(&["audit", "export", "--out", out.to_str().unwrap()], folder, &[]);
    let mut told: BTreeMap<(u64, u64), Vec<String>> = BTreeMap::new();
    for line in std::fs::read_to_string(out).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let commit = &line["commit"];
        let crossed = commit["body"]["ledger"]["event"]["ledger.crossed"].as_array();
        for step in crossed.into_iter().flatten() {
            let (name, step) = step.as_object().unwrap().iter().next().unwrap();
            let id = [step, &step["id"], &step["transfer"]["id"], &step["posted"]["id"]];
            let id = id.into_iter().find_map(Value::as_str).unwrap();
            let number = u64::from_str_radix(&id[id.len() - 12..], 16).unwrap();
            let why = step["why"]
                .as_str()
                .map_or_else(String::new, |why| format!(" {why}"));
            let of_shard = told
                .entry((number, commit["shard"].as_u64().unwrap()))
                .or_default();
            of_shard.push(format!("{name}{why}"));
        }
    }
    told
}

/// The status of a transfer and the balances after its two postings.
#[track_caller]
pub(crate) fn shown(dev: &Dev, number: u64) -> (String, Value, Value) {
    let transfer = dev
        .operator()
        .read(&format!("/v1/ledger/transfers/{}", id(number)));
    let postings = transfer["postings"].as_array().unwrap();
    assert_eq!(postings.len(), 2, "{transfer}");
    assert_eq!(
        (&postings[0]["side"], &postings[1]["side"]),
        (&json!("debit"), &json!("credit"))
    );
    let after = |side: usize| postings[side]["balance_after"].clone();
    (
        transfer["status"].as_str().unwrap().to_owned(),
        after(0),
        after(1),
    )
}

/// A bank in the first shard, a customer in the second who may hold from 0 to 5,000, and a vault in the third that cannot be overdrawn.
pub(crate) fn three(dev: &Dev) -> [String; 3] {
    let limits = json!({"shard": 1, "min_balance": 0, "max_balance": 5_000});
    [
        open(dev, "bank", "asset", &json!({"shard": 0})),
        open(dev, "customer", "liability", &limits),
        open(dev, "vault", "asset", &json!({"shard": 2, "min_balance": 0})),
    ]
}

#[track_caller]
pub(crate) fn assert_short(answer: &Answer) {
    refused(answer, 409, "insufficient_funds");
    assert_eq!(answer.error("message"), "Insufficient funds");
}

/// While it is under way, whoever looks at a large request sees that the money is reserved and not gone. The ids that were seen undecided.
fn watched(dev: &Dev, (from, to): (&str, &str), first: u64, count: u64) -> Option<String> {
    let batch: Vec<Value> = (first..first + count)
        .map(|number| pair(number, from, to, 1))
        .collect();
    let api = dev.api;
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| try_make(api, &batch).unwrap().expect(200).json());
        let mut undecided = None;
        while !asked.is_finished() {
            let shown = account(dev, from);
            let [balance, reserved, available] =
                ["balance", "pending_debit", "available"].map(|field| shown[field].as_u64().unwrap());
            let is_known = [(count, 0), (count, count), (0, 0)].contains(&(balance, reserved));
            assert!(is_known && available == balance - reserved, "{shown}");
            if reserved == count && undecided.is_none() {
                let path = format!("/v1/ledger/transfers/{}", id(first));
                let transfer = dev.operator().get(&path);
                let is_undecided = transfer.status == 200 && transfer.json()["status"] == "undecided";
                undecided = is_undecided.then(|| id(first));
            }
        }
        let answer = asked.join().unwrap();
        assert_eq!(answer["recorded"], count, "{answer}");
        undecided
    })
}

#[test]
fn cons_3_the_debit_is_checked_and_reserved_under_the_transfers_id_by_one_at_a_time() {
    const COUNT: u64 = 1_000;
    const CLIENTS: u64 = 4;
    let (folder, dev) = Dev::fresh(&[THREE]);
    let bank = open(&dev, "bank", "asset", &json!({"shard": 1}));
    let poor = |shard: u16| {
        open(
            &dev,
            "poor",
            "liability",
            &json!({"shard": shard, "min_balance": 0}),
        )
    };
    let (left, right) = (poor(1), poor(2));
    made(&dev, pair(1, &bank, &left, COUNT));
    let mut round = 0;
    wait_for("a reservation to be seen", || {
        round += 1;
        let (from, to) = if round % 2 == 1 {
            (&left, &right)
        } else {
            (&right, &left)
        };
        let seen = watched(&dev, (from, to), round * 10_000, COUNT);
        at_rest(&dev);
        assert_eq!((balance(&dev, from), balance(&dev, to)), (0, COUNT.cast_signed()));
        seen
    });
    // Many at once, within the shard and out of it: none of them spends what another one has reserved.
    let spender = open(
        &dev,
        "spender",
        "liability",
        &json!({"shard": 1, "min_balance": 0}),
    );
    let targets = [0, 1, 2].map(|shard| open(&dev, "target", "liability", &json!({"shard": shard})));
    made(&dev, pair(2, &bank, &spender, 100));
    let api = dev.api;
    let spent: usize = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (spender, targets) = (&spender, &targets);
                scope.spawn(move || {
                    let is_made = |number: &u64| {
                        let target = &targets[usize::try_from(number % 3).unwrap()];
                        let answer =
                            try_make(api, &[pair(client * 100 + number, spender, target, 2)]).unwrap();
                        if answer.status != 200 {
                            assert_short(&answer);
                        }
                        answer.status == 200
                    };
                    (10..40_u64).filter(is_made).count()
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    at_rest(&dev);
    assert_eq!((spent, balance(&dev, &spender)), (50, 0));
    let arrived: i64 = targets.iter().map(|target| balance(&dev, target)).sum();
    assert_eq!(arrived, 100);
    assert_balanced(&dev.operator());
    dev.stop();
    let told = steps(folder.path());
    for number in [10_000, 10_000 + COUNT - 1] {
        assert_eq!(told[&(number, 1)], ["prepared", "decided", "settled"]);
        assert_eq!(told[&(number, 2)], ["reserved", "applied"]);
    }
}

#[test]
fn a_transfer_between_shards_is_made_once_for_its_id_and_shown_with_all_that_it_says() {
    let (_folder, dev) = Dev::fresh(&[THREE]);
    let [bank, customer, vault] = three(&dev);
    let notes = json!({"exchange_rate": "0.92345", "metadata": {"order_id": "xyz"}, "description": "Paid in.",
        "effective_date": "2020-02-29"});
    let asked = with(pair(1, &bank, &customer, 1_000), &notes);
    made(&dev, asked.clone());
    for _ in 0..2 {
        let again = make(&dev, std::slice::from_ref(&asked)).expect(200).json();
        assert_eq!(
            (&again["recorded"], &again["existed"]),
            (&json!(0), &json!(1)),
            "{again}"
        );
    }
    for other in [
        pair(1, &bank, &customer, 1_000),
        with(pair(1, &bank, &customer, 1_001), &notes),
        with(pair(1, &customer, &bank, 1_000), &notes),
        with(pair(1, &bank, &vault, 1_000), &notes),
        with(pair(1, &vault, &customer, 1_000), &notes),
        json!({"id": id(1), "debit_account": bank, "credit_account": "suspense:USD", "amount": 1_000}),
    ] {
        refused(&make(&dev, &[other]), 409, "transfer_id_reused");
    }
    at_rest(&dev);
    let record = dev.operator().read(&format!("/v1/ledger/transfers/{}", id(1)));
    for (field, expected) in [
        ("status", json!("posted")),
        ("step", json!("single")),
        ("exchange_rate", json!("0.92345")),
        ("metadata", json!({"order_id": "xyz"})),
        ("description", json!("Paid in.")),
        ("effective_date", json!("2020-02-29")),
    ] {
        assert_eq!(record[field], expected, "{field}: {record}");
        if ["status", "step"].contains(&field) {
            continue;
        }
        for account in [&bank, &customer] {
            let lines = entries(&dev, account);
            assert_eq!((lines.len(), &lines[0][field]), (1, &expected), "{lines:?}");
            assert_eq!(lines[0]["transfer_id"], id(1));
        }
    }
    assert_eq!(shown(&dev, 1), ("posted".to_owned(), json!(1_000), json!(1_000)));
    // Each side keeps what passed through it; over all shards it is nothing.
    let clearing = |part: &str| balance(&dev, &format!("shard_clearing:USD{part}"));
    assert_eq!(["@0", "@1", ""].map(clearing), [1_000, -1_000, 0]);
    let hidden = pair(2, "shard_clearing:USD", &customer, 1);
    refused(&make(&dev, &[hidden]), 404, "account_unknown");
    // A day that is closed is closed on both sides.
    ask(&dev, "periods/close", &json!({"through": "2020-12-31"})).expect(200);
    let late = with(
        pair(3, &bank, &customer, 1),
        &json!({"effective_date": "2020-12-31"}),
    );
    refused(&make(&dev, &[late]), 409, "period_closed");
    assert_eq!(make(&dev, &[asked]).expect(200).json()["existed"], 1);
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn an_id_that_another_shard_refused_stays_that_of_the_transfer_that_was_made() {
    let (_folder, dev) = Dev::fresh(&[THREE]);
    let [bank, customer, vault] = three(&dev);
    let payer = open(&dev, "payer", "liability", &json!({"shard": 1}));
    let is_still = |asked: &Value| {
        let again = make(&dev, std::slice::from_ref(asked)).expect(200).json();
        assert_eq!(
            (&again["existed"], &again["recorded"]),
            (&json!(1), &json!(0)),
            "{again}"
        );
        let path = format!("/v1/ledger/transfers/{}", asked["id"].as_str().unwrap());
        let record = dev.operator().read(&path);
        assert_eq!(
            record["postings"][0]["account"], asked["debit_account"],
            "{record}"
        );
        record["status"].as_str().unwrap().to_owned()
    };
    // Within one shard, then asked of two.
    let within = pair(1, &payer, &customer, 100);
    made(&dev, within.clone());
    refused(
        &make(&dev, &[pair(1, &bank, &customer, 100)]),
        409,
        "transfer_id_reused",
    );
    assert_eq!(is_still(&within), "posted");
    // Between two shards, and in the same request of a third one.
    let between = pair(2, &bank, &customer, 7);
    let answer = make(&dev, &[between.clone(), pair(2, &vault, &customer, 1)])
        .expect(200)
        .json();
    assert_eq!(
        (&answer["recorded"], &answer["refused"]),
        (&json!(1), &json!(1)),
        "{answer}"
    );
    assert_eq!(is_still(&between), "posted");
    refused(
        &make(&dev, &[pair(2, &vault, &customer, 1)]),
        409,
        "transfer_id_reused",
    );
    // What is reserved under it can still be posted.
    let reserved = with(pair(3, &payer, &customer, 9), &json!({"pending": true}));
    made(&dev, reserved.clone());
    refused(
        &make(&dev, &[pair(3, &vault, &customer, 1)]),
        409,
        "transfer_id_reused",
    );
    assert_eq!(is_still(&reserved), "pending");
    made(&dev, json!({"id": id(4), "post_pending": id(3)}));
    at_rest(&dev);
    assert_eq!(
        [&bank, &customer, &vault, &payer].map(|id| balance(&dev, id)),
        [7, 116, 0, -109]
    );
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn a_request_mixes_transfers_within_and_between_shards_and_binds_only_those_within_one() {
    let (_folder, dev) = Dev::fresh(&[THREE]);
    let [bank, customer, vault] = three(&dev);
    let near = open(&dev, "near", "liability", &json!({"shard": 0, "min_balance": 0}));
    let posting =
        |account: &str, side: &str, amount: u64| json!({"account": account, "side": side, "amount": amount});
    let linked = |transfer| with(transfer, &json!({"linked": true}));
    let batch = [
        // What comes in within its shard is there before it goes out.
        pair(1, &near, &customer, 700),
        pair(2, &bank, &near, 1_000),
        pair(3, &bank, &customer, 4_301),
        pair(4, &vault, &customer, 300),
        linked(pair(5, &bank, &near, 10)),
        pair(6, &near, &bank, 5),
        linked(pair(7, &bank, &near, 1)),
        pair(8, &near, &customer, 1),
        with(pair(9, &bank, &customer, 1), &json!({"pending": true})),
        json!({"id": id(10), "postings": [posting(&bank, "debit", 9), posting(&near, "credit", 4), posting(&customer, "credit", 5)]}),
        json!({"id": id(11), "postings": [posting(&bank, "debit", 9), posting(&near, "credit", 4), posting("suspense:USD", "credit", 5)]}),
        with(pair(12, &bank, &near, 8), &json!({"pending": true})),
        json!({"id": id(13), "post_pending": id(12)}),
        pair(14, &bank, "suspense:USD", 5),
        pair(1, &vault, &customer, 1),
    ];
    let expected = [
        (2, "account_limit_exceeded"),
        (6, "transfer_crosses_shards"),
        (7, "transfer_crosses_shards"),
        (8, "transfer_crosses_shards"),
        (9, "transfer_crosses_shards"),
        (14, "transfer_id_reused"),
    ];
    let answer = make(&dev, &batch).expect(200).json();
    let refused_ones: Vec<_> = answer["exceptions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["index"].as_u64().unwrap(), row["code"].as_str().unwrap()))
        .collect();
    assert_eq!(refused_ones, expected, "{answer}");
    assert_eq!((&answer["recorded"], &answer["refused"]), (&json!(9), &json!(6)));
    at_rest(&dev);
    let stand = || [&bank, &customer, &vault, &near].map(|id| balance(&dev, id));
    let stood = [
        1_000 + 10 - 5 + 9 + 8 + 5,
        1_000,
        300,
        1_000 - 700 + 10 - 5 + 4 + 8,
    ];
    assert_eq!(stand(), stood);
    let again = make(&dev, &batch).expect(200).json();
    assert_eq!(
        (&again["recorded"], &again["existed"], &again["refused"]),
        (&json!(0), &json!(9), &json!(6)),
        "{again}"
    );

    let all = |how: Value, transfers: &[Value]| {
        ask(&dev, "transfers", &with(how, &json!({"transfers": transfers})))
    };
    let both = [pair(20, &bank, &near, 1), pair(21, &bank, &customer, 1)];
    refused(
        &all(json!({"atomic": true}), &both),
        400,
        "transfer_crosses_shards",
    );
    let apart = [pair(20, &bank, &near, 1), pair(21, &customer, "suspense:USD", 1)];
    refused(
        &all(json!({"atomic": true}), &apart),
        400,
        "transfer_crosses_shards",
    );
    let within = [pair(22, &bank, &near, 1), pair(23, &near, &bank, 1)];
    assert_eq!(
        all(json!({"atomic": true}), &within).expect(200).json()["recorded"],
        2
    );
    // Only asked: both sides answer and keep nothing.
    let ask_only = |number, amount| {
        all(
            json!({"dry_run": true}),
            &[pair(number, &bank, &customer, amount)],
        )
    };
    let dry = ask_only(24, 4_000).expect(200).json();
    assert_eq!(
        (&dry["dry_run"], &dry["recorded"]),
        (&json!(true), &json!(1)),
        "{dry}"
    );
    refused(&ask_only(24, 4_001), 409, "account_limit_exceeded");
    assert_short(&all(
        json!({"dry_run": true}),
        &[pair(24, &customer, &bank, 1_001)],
    ));
    dev.operator()
        .get(&format!("/v1/ledger/transfers/{}", id(24)))
        .expect(404);
    at_rest(&dev);
    assert_eq!(stand(), stood);
    assert_balanced(&dev.operator());
    dev.stop();
}

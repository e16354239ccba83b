//! A node of three shards as its users meet it: merchants at home in each, books over all, and lists that show every shard.

use crate::deployment::{Caller, Dev, PATIENT, add_fault, assert_balanced, clear_faults, sale};
use crate::ledger_crossings::at_rest;
use crate::ledger_transfers::{ask, balance, made, make, open, pair, refused};
use crate::operations::manual;
use crate::operators::order;
use crate::process::{run, run_well, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

pub(crate) const THREE: (&str, &str) = ("FLORIN_JOURNAL_SHARDS", "3");

/// A merchant in a stopped node's folder, at home in a shard.
#[derive(Debug)]
struct Settled {
    shard: u16,
    id: String,
    key: String,
}

impl Settled {
    #[track_caller]
    fn new(folder: &Path, shard: u16) -> Self {
        let number = shard.to_string();
        let create = ["merchant", "create", "--name", "Settled", "--shard", &number];
        let id = run_well(&create, folder, &[THREE]);
        let key = run_well(&["key", "create", "--merchant", &id], folder, &[THREE]);
        Self { shard, id, key }
    }

    fn caller(&self, dev: &Dev) -> Caller {
        Caller::new(dev.api, &self.key)
    }

    fn payable(&self) -> String {
        format!("merchant_payable:{}:USD", self.id)
    }
}

/// Merchants at home in shards 0, 1 and 2.
#[track_caller]
fn settled(folder: &Path) -> [Settled; 3] {
    [0, 1, 2].map(|shard| Settled::new(folder, shard))
}

#[track_caller]
fn id_of(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

/// Ids begin with 48 bits of time and 16 bits of their shard: this one names a shard that nobody has.
fn of_no_shard(id: &str) -> String {
    let (kind, code) = id.split_once('_').unwrap();
    format!("{kind}_{}003{}", &code[..10], &code[13..])
}

#[track_caller]
fn assert_missing(answer: crate::http::Answer) {
    assert_eq!(answer.expect(404).error("code"), "resource_missing");
}

/// A payment that is refunded in part, and one that is captured in part; both shown, listed and told as they are.
#[track_caller]
fn trade(dev: &Dev, merchant: &Settled) -> [String; 2] {
    let caller = merchant.caller(dev);
    let paid = caller.pay("k", &sale(10_000, "USD")).expect(200);
    let again = caller.pay("k", &sale(10_000, "USD")).expect(200);
    assert!(again.is_replay() && !paid.is_replay());
    assert_eq!(again.body, paid.body);
    let other = caller.pay("k", &sale(10_001, "USD")).expect(422);
    assert_eq!(other.error("code"), "idempotency_key_reused");
    let paid = id_of(&paid.json());
    let held = id_of(&caller.pay("held", &manual(5_000, "USD")).expect(200).json());
    let after = |key: &str, id: &str, what: &str, body: Value| {
        let path = format!("/v1/payments/{id}/{what}");
        let first = caller.post(key, &path, &body).expect(200);
        let again = caller.post(key, &path, &body).expect(200);
        assert!(again.is_replay() && !first.is_replay());
        assert_eq!(again.body, first.body);
    };
    after("refund", &paid, "refunds", json!({"amount": 1_000}));
    after(
        "capture",
        &held,
        "capture",
        json!({"amount": 3_000, "final": true}),
    );
    [paid, held]
}

/// What the merchant is shown of all that.
#[track_caller]
fn assert_traded(dev: &Dev, merchant: &Settled, [paid, held]: &[String; 2]) {
    let caller = merchant.caller(dev);
    let listed = caller.read_all("/v1/payments");
    assert_eq!(
        listed.iter().map(id_of).collect::<Vec<_>>(),
        [held.clone(), paid.clone()]
    );
    for payment in &listed {
        assert_eq!(payment, &caller.read(&format!("/v1/payments/{}", id_of(payment))));
    }
    let minor = |payment: &Value| {
        ["amount_captured", "amount_refunded"].map(|field| payment[field].as_i64().unwrap())
    };
    assert_eq!(
        [minor(&listed[0]), minor(&listed[1])],
        [[3_000, 0], [10_000, 1_000]]
    );
    let history = caller.read(&format!("/v1/payments/{paid}/history"));
    let posted = history["data"].as_array().unwrap().iter();
    assert_eq!(
        posted.filter(|row| row["type"] == "ledger.entry_posted").count(),
        2
    );

    let account = caller.read(&format!("/v1/ledger/accounts/{}", merchant.payable()));
    let net: i64 = listed
        .iter()
        .map(|payment| payment["net"].as_i64().unwrap())
        .sum();
    assert_eq!(
        (&account["balance"], &account["shard"]),
        (&json!(net), &json!(merchant.shard))
    );
    assert!(account["as_of_seq"].as_u64() > Some(0), "{account}");
    let lines = caller.read_all(&format!("/v1/ledger/accounts/{}/entries", merchant.payable()));
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["balance_after"], net);
    let path = format!(
        "/v1/ledger/accounts/{}?at={}",
        merchant.payable(),
        lines[2]["seq"]
    );
    assert_eq!(caller.read(&path)["balance"], lines[2]["balance_after"]);
}

/// What every shard has a part of: the sum and the parts.
#[track_caller]
fn assert_summed(operator: &Caller, account: &str, lines_of_each: usize) {
    let path = format!("/v1/ledger/accounts/{account}");
    let whole = operator.read(&path);
    assert_eq!(
        (&whole["shard"], &whole["as_of_seq"]),
        (&Value::Null, &Value::Null)
    );
    let mut sum = 0;
    for shard in 0..3 {
        let part = operator.read(&format!("{path}@{shard}"));
        let named = (&part["id"], &part["shard"]);
        assert_eq!(named, (&json!(format!("{account}@{shard}")), &json!(shard)));
        let balance = part["balance"].as_i64().unwrap();
        let lines = operator.read_all(&format!("{path}@{shard}/entries"));
        assert_eq!(
            (lines.len(), &lines[0]["balance_after"]),
            (lines_of_each, &json!(balance))
        );
        let first = lines.last().unwrap();
        let then = operator.read(&format!("{path}@{shard}?at={}", first["seq"]));
        assert_eq!(then["balance"], first["balance_after"]);
        sum += balance;
    }
    assert_eq!(whole["balance"], sum);
    for asked in [format!("{path}/entries"), format!("{path}?at=1")] {
        let answer = operator.get(&asked).expect(400);
        assert_eq!(
            (answer.error("code").as_str(), answer.error("param").as_str()),
            ("parameter_invalid", "id")
        );
        let message = answer.error("message");
        assert!(
            message.contains("name one, as in `fee_revenue:USD@0`"),
            "{message}"
        );
    }
    for part in ["@3", "@65535", "@65536", "@", "@-1", "@x", "@0@0"] {
        assert_missing(operator.get(&format!("{path}{part}")));
    }
}

#[test]
fn payments_are_made_and_shown_in_the_home_of_their_merchant_and_the_books_are_one() {
    let folder = tempfile::tempdir().unwrap();
    let merchants = settled(folder.path());
    let unknown = run(
        &["merchant", "create", "--name", "X", "--shard", "3"],
        folder.path(),
        &[THREE],
    );
    assert!(
        !unknown.status.success() && unknown.stderr.contains("--shard must be below 3"),
        "{unknown:?}"
    );
    let dev = Dev::start(folder.path(), &[THREE]);
    let made = merchants.each_ref().map(|merchant| trade(&dev, merchant));
    let operator = dev.operator();
    let check = |dev: &Dev| {
        for (merchant, made) in merchants.iter().zip(&made) {
            assert_traded(dev, merchant, made);
        }
    };
    check(&dev);
    let everybody: BTreeSet<&String> = made.iter().flatten().collect();
    assert_eq!(everybody.len(), 6, "one key of three merchants is three keys");
    for merchant in &merchants {
        let caller = merchant.caller(&dev);
        for (other, made) in merchants.iter().zip(&made) {
            if other.shard != merchant.shard {
                assert_missing(caller.get(&format!("/v1/payments/{}", made[0])));
                assert_missing(caller.get(&format!("/v1/ledger/accounts/{}", other.payable())));
            }
        }
        assert_missing(operator.get(&format!(
            "/v1/ledger/accounts/{}@{}",
            merchant.payable(),
            merchant.shard
        )));
    }
    assert_summed(&operator, "fee_revenue:USD", 2);
    assert_summed(&operator, "provider_clearing:stripe:USD", 3);

    assert_balanced(&operator);
    let totals = operator.read("/v1/ledger/trial_balance");
    let sheet = operator.read("/v1/ledger/balance_sheet");
    assert_eq!(sheet["as_of_seq"], Value::Null);
    let (total, row) = (&totals["data"][0], &sheet["data"][0]);
    assert_eq!(
        (&row["difference"], &row["assets"]),
        (&json!(0), &json!(3 * 12_000))
    );
    assert!(total["debits"].as_i64() >= Some(3 * 12_000), "{totals}");
    let fees = operator.read("/v1/ledger/accounts/fee_revenue:USD");
    assert_eq!(
        (&row["revenue"], &row["net_income"]),
        (&fees["balance"], &fees["balance"])
    );
    let all = operator.read_all("/v1/ledger/accounts");
    assert_eq!(by_twos(&operator, "/v1/ledger/accounts"), all);
    assert!(all.len() >= 5, "{all:?}");
    dev.process.kill_9();

    let dev = Dev::start(folder.path(), &[THREE]);
    check(&dev);
    let path = "/v1/ledger/balance_sheet";
    assert_eq!(dev.operator().read(path)["data"], sheet["data"]);
    dev.stop();
}

/// A list in pages of two.
#[track_caller]
fn by_twos(operator: &Caller, path: &str) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let after = all
            .last()
            .map_or_else(String::new, |last| format!("&starting_after={}", id_of(last)));
        let page = operator.read(&format!("{path}?limit=2{after}"));
        let data = page["data"].as_array().unwrap();
        all.extend_from_slice(data);
        if page["has_more"] != true {
            return all;
        }
        assert_eq!(data.len(), 2, "{page}");
    }
}

#[test]
fn what_is_in_a_shard_that_is_not_there_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let merchant = Settled::new(folder.path(), 1);
    let dev = Dev::start(folder.path(), &[THREE]);
    let (caller, operator) = (merchant.caller(&dev), dev.operator());
    let nobody = of_no_shard(&id_of(&caller.pay("k", &sale(10_000, "USD")).expect(200).json()));
    for path in ["", "/history"] {
        assert_missing(caller.get(&format!("/v1/payments/{nobody}{path}")));
    }
    for what in ["capture", "void", "refunds"] {
        assert_missing(caller.post(what, &format!("/v1/payments/{nobody}/{what}"), &json!({})));
    }
    for what in ["approve", "reject"] {
        assert_missing(operator.post(what, &format!("/v1/ops/reviews/{nobody}/{what}"), &json!({})));
    }
    assert_missing(order(&dev, &format!("tree/payment:{nobody}/kill"), &json!({})));
    assert_missing(order(&dev, "tree/projection:3-0/kill", &json!({})));
    let theirs = format!("merchant_payable:{}:USD", of_no_shard(&merchant.id));
    assert_missing(operator.get(&format!("/v1/ledger/accounts/{theirs}")));
    let here = open(&dev, "here", "asset", &json!({"shard": 2}));
    let gone = of_no_shard(&here);
    for path in ["", "/entries"] {
        assert_missing(operator.get(&format!("/v1/ledger/accounts/{gone}{path}")));
    }
    for (number, (debit, credit)) in (1..).zip([(&here, &gone), (&gone, &here), (&here, &theirs)]) {
        refused(
            &make(&dev, &[pair(number, debit, credit, 1)]),
            404,
            "account_unknown",
        );
    }
    let elsewhere = json!({"name": "x", "type": "asset", "currency": "USD", "shard": 3});
    let answer = ask(&dev, "accounts", &elsewhere).expect(400);
    assert_eq!(answer.error("param"), "shard");
    assert_eq!(answer.error("message"), "`shard` is a whole number from 0 to 2.");
    dev.stop();
}

/// Every payment is reviewed, and a provider is asked once.
const HASTY: [(&str, &str); 4] = [
    THREE,
    ("FLORIN_RISK_REVIEW_ABOVE", "0.01"),
    ("FLORIN_RETRY_TRIES_MAX", "1"),
    ("FLORIN_RESOLUTION_WAITS_S", "3600"),
];

#[test]
fn operators_see_the_reviews_the_unresolved_attempts_and_the_actors_of_every_shard() {
    let folder = tempfile::tempdir().unwrap();
    let merchants = settled(folder.path());
    let second = run_well(&["key", "create"], folder.path(), &[THREE]);
    let dev = Dev::start(folder.path(), &HASTY);
    let operator = dev.operator();
    // One after the other, each time in another shard.
    let mut reviewed = Vec::new();
    for round in 0..2 {
        for merchant in &merchants {
            let payment = merchant
                .caller(&dev)
                .pay(&format!("r-{round}"), &sale(1_000, "USD"));
            let payment = payment.expect(200).json();
            assert_eq!(payment["status"], "in_review");
            reviewed.push(id_of(&payment));
        }
    }
    let listed = || -> Vec<String> { by_twos(&operator, "/v1/ops/reviews").iter().map(id_of).collect() };
    assert_eq!(
        listed(),
        reviewed,
        "the earliest deadline first, whichever shard it is of"
    );
    for id in &reviewed[..3] {
        let path = format!("/v1/ops/reviews/{id}/approve");
        let approved = operator.post(id, &path, &json!({})).expect(200).json();
        assert_eq!(approved["status"], "succeeded");
    }
    let path = format!("/v1/ops/reviews/{}/reject", reviewed[5]);
    assert_eq!(
        operator.post("no", &path, &json!({})).expect(200).json()["status"],
        "blocked"
    );
    assert_eq!(listed(), reviewed[3..5]);

    add_fault(dev.sandbox, "http_500", &json!({"operation": "refund"}));
    for (merchant, id) in merchants.iter().zip(&reviewed) {
        let path = format!("/v1/payments/{id}/refunds");
        merchant
            .caller(&dev)
            .post("r", &path, &json!({"amount": 400}))
            .expect(202);
    }
    clear_faults(dev.sandbox);
    let attempts = wait_for("an unresolved attempt in each shard", || {
        let list = operator.read("/v1/ops/unresolved");
        list["data"].as_array().filter(|data| data.len() == 3).cloned()
    });
    let payments = attempts
        .iter()
        .map(|attempt| attempt["payment_id"].as_str().unwrap());
    assert_eq!(
        payments.collect::<BTreeSet<_>>(),
        reviewed[..3].iter().map(String::as_str).collect()
    );
    let last = attempts
        .iter()
        .find(|attempt| attempt["payment_id"] == reviewed[2])
        .unwrap();
    let word = json!({"outcome": "not_executed", "evidence": "the statement", "reason": "ticket 7"});
    let path = format!("/v1/ops/attempts/{}/resolve", id_of(last));
    let ada = Caller::new(dev.api, &second);
    ada.post("1", &path, &word).expect(200);
    let resolved = operator.post("2", &path, &word).expect(200).json();
    assert_eq!(resolved["resolution"]["status"], "confirmed", "{resolved}");
    let left = operator.read("/v1/ops/unresolved");
    assert_eq!(left["data"].as_array().unwrap().len(), 2, "{left}");

    kill_in_the_last_shard(&dev);
    for merchant in &merchants {
        let payments = wait_for("payments that can be read again", || {
            let answer = merchant.caller(&dev).get("/v1/payments");
            (answer.status == 200).then(|| answer.json())
        });
        assert_eq!(payments["data"].as_array().unwrap().len(), 2, "{payments}");
    }
    assert_balanced(&operator);
    dev.stop();
}

/// The actors of every shard are in the tree, and one of the last shard comes back when it is killed.
#[track_caller]
fn kill_in_the_last_shard(dev: &Dev) {
    let restarts = || {
        let tree = dev.operator().read("/v1/ops/tree");
        let mut of_each: Vec<(String, u64)> = Vec::new();
        for actor in tree["children"].as_array().unwrap() {
            of_each.push((id_of(actor), actor["restarts"].as_u64().unwrap()));
        }
        of_each
    };
    let ids: BTreeSet<String> = restarts().into_iter().map(|(id, _)| id).collect();
    for kind in [
        "journal_writer",
        "account_shard",
        "projection",
        "crossings",
        "payment_guardian",
    ] {
        for key in ["0", "1-0", "2-0"] {
            assert!(ids.contains(&format!("{kind}:{key}")), "{kind}:{key} in {ids:?}");
        }
    }
    let fatal = order(dev, "tree/account_shard:2-0/kill", &json!({})).expect(409);
    assert_eq!(fatal.error("code"), "actor_not_restartable");
    order(dev, "tree/projection:2-0/kill", &json!({"reason": "a drill"})).expect(200);
    wait_for("the projection of shard 2 to be back", || {
        let struck: Vec<(String, u64)> = restarts().into_iter().filter(|(_, times)| *times > 0).collect();
        (struck == [("projection:2-0".to_owned(), 1)]).then_some(())
    });
}

#[test]
fn a_node_takes_more_shards_and_never_fewer() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &[]);
    let bank = open(&dev, "bank", "asset", &json!({}));
    let customer = open(&dev, "customer", "liability", &json!({}));
    made(&dev, pair(1, &bank, &customer, 10_000));
    dev.pay("k", &sale(10_000, "USD")).expect(200);
    dev.stop();

    let dev = Dev::start(folder.path(), &[THREE]);
    let far = open(&dev, "far", "liability", &json!({"shard": 2}));
    made(&dev, pair(2, &customer, &far, 4_000));
    let before = dev.operator().read("/v1/ledger/balance_sheet")["data"].clone();
    dev.process.kill_9();
    for command in [
        &["dev"][..],
        &["merchant", "create", "--name", "X"],
        &["views", "rebuild"],
    ] {
        for shards in ["1", "2"] {
            let fewer = [&PATIENT, &[("FLORIN_JOURNAL_SHARDS", shards)][..]].concat();
            let finished = run(command, folder.path(), &fewer);
            assert_eq!(finished.status.code(), Some(1), "{finished:?}");
            let expected = "has a shard 2: `journal.shards` must be at least 3";
            assert!(finished.stderr.contains(expected), "{command:?}: {finished:?}");
        }
    }
    let dev = Dev::start(folder.path(), &[("FLORIN_JOURNAL_SHARDS", "4")]);
    assert_eq!(dev.operator().read("/v1/ledger/balance_sheet")["data"], before);
    let farther = open(&dev, "farther", "liability", &json!({"shard": 3}));
    made(&dev, pair(3, &far, &farther, 4_000));
    at_rest(&dev);
    assert_eq!([&far, &farther].map(|id| balance(&dev, id)), [0, 4_000]);
    assert_balanced(&dev.operator());
    dev.stop();
    let verified = run_well(&["audit", "verify"], folder.path(), &[]);
    for shard in 0..4 {
        assert!(verified.contains(&format!("shard {shard}: ")), "{verified}");
    }
}

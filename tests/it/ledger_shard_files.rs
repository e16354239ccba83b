//! Exports, imports, reverts and receipts of a node with several shards.

use crate::deployment::{Caller, Dev, OPERATOR, assert_balanced, sale};
use crate::ledger_transfers::{ask, balance, id, made, open, pair, refused, two};
use crate::process::{Finished, run, run_well, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

const TWO: [(&str, &str); 1] = [("FLORIN_JOURNAL_SHARDS", "2")];

#[track_caller]
fn export(dev: &Dev, what: &str) -> String {
    let path = format!("/v1/ledger/entries/export.{what}");
    dev.operator().get(&path).expect(200).text()
}

#[track_caller]
fn rows(dev: &Dev, filters: &str) -> Vec<Value> {
    export(dev, &format!("jsonl?{filters}"))
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn import(dev: &Dev, folder: &Path, text: &str) -> Finished {
    let (key, file) = (folder.join("operator.key"), folder.join("history.jsonl"));
    std::fs::write(&key, OPERATOR).unwrap();
    std::fs::write(&file, text).unwrap();
    let url = format!("http://{}", dev.api);
    let (key, file) = (key.to_str().unwrap(), file.to_str().unwrap());
    let arguments = ["ledger", "import", file, "--url", &url, "--api-key-file", key];
    run(&arguments, folder, &[])
}

/// Accounts of the other shard.
fn far(dev: &Dev) -> (String, String) {
    let there = json!({"shard": 1});
    let bank = open(dev, "far:bank", "asset", &there);
    (bank, open(dev, "far:customer", "liability", &there))
}

/// Debits and credits of each shard's lines by currency.
fn sums(rows: &[Value]) -> BTreeMap<(u64, String), (i64, i64)> {
    let mut sums: BTreeMap<(u64, String), (i64, i64)> = BTreeMap::new();
    for row in rows {
        let currency = row["currency"].as_str().unwrap().to_owned();
        let sum = sums
            .entry((row["shard"].as_u64().unwrap(), currency))
            .or_default();
        let minor = row["amount_minor"].as_i64().unwrap();
        match row["side"].as_str().unwrap() {
            "debit" => sum.0 += minor,
            "credit" => sum.1 += minor,
            other => panic!("{other}"),
        }
    }
    sums
}

/// A ledger with transfers in both shards, between them, and a payment.
fn filled(dev: &Dev) -> [String; 4] {
    let ((bank, customer), (far_bank, far_customer)) = (two(dev), far(dev));
    made(dev, pair(1, &bank, &customer, 1_000));
    made(dev, pair(2, &far_bank, &far_customer, 500));
    made(dev, pair(3, &far_bank, &far_customer, 7));
    dev.pay("k", &sale(10_000, "USD")).expect(200);
    made(dev, pair(4, &customer, &far_customer, 300));
    wait_for("the other half", || {
        (balance(dev, &far_customer) == 807).then_some(())
    });
    [bank, customer, far_bank, far_customer]
}

#[test]
fn an_export_has_the_lines_of_every_shard_and_each_balances() {
    let (_folder, dev) = Dev::fresh(&TWO);
    let [_, customer, _, far_customer] = filled(&dev);
    let all = rows(&dev, "");
    let parts = [rows(&dev, "shard=0"), rows(&dev, "shard=1")];
    assert_eq!(parts.concat(), all);
    for (number, part) in parts.iter().enumerate() {
        let seqs: Vec<u64> = part.iter().map(|row| row["seq"].as_u64().unwrap()).collect();
        assert!(seqs.is_sorted() && !seqs.is_empty());
        assert!(part.iter().all(|row| row["shard"] == number));
    }
    for (of, (debits, credits)) in sums(&all) {
        assert_eq!(debits, credits, "{of:?}");
    }
    let crossing: Vec<Value> = all
        .iter()
        .filter(|row| row["transfer_id"] == id(4))
        .map(|row| json!([row["shard"], row["side"], row["account"], row["amount_minor"]]))
        .collect();
    let clearing = "shard_clearing:USD";
    assert_eq!(
        crossing,
        [
            json!([0, "debit", customer, 300]),
            json!([0, "credit", clearing, 300]),
            json!([1, "debit", clearing, 300]),
            json!([1, "credit", far_customer, 300]),
        ]
    );
    let own = rows(&dev, &format!("account={far_customer}"));
    assert!(own.iter().all(|row| row["account_name"] == "far:customer"));
    let after: Vec<&Value> = own.iter().map(|row| &row["balance_after_minor"]).collect();
    assert_eq!(after, [500, 507, 807]);
    let between: Vec<Value> = ["", "@0", "@1"]
        .map(|part| rows(&dev, &format!("account={clearing}{part}")).len().into())
        .to_vec();
    assert_eq!(between, [2, 1, 1]);
    // Where a file broke off, the next one goes on, in its shard.
    let middle = own[1]["seq"].as_u64().unwrap();
    let head = rows(&dev, &format!("shard=1&seq[lte]={}", middle - 1));
    let tail = rows(&dev, &format!("shard=1&seq[gte]={middle}"));
    assert_eq!([head, tail].concat(), parts[1]);
    for (filters, code, param) in [
        ("seq[gte]=1", "parameter_missing", "shard"),
        ("seq[lte]=1", "parameter_missing", "shard"),
        ("shard=2", "parameter_invalid_integer", "shard"),
        ("account=bank:USD@0&shard=1", "parameter_invalid", "shard"),
    ] {
        let path = format!("/v1/ledger/entries/export.csv?{filters}");
        let answer = dev.operator().get(&path);
        refused(&answer, 400, code);
        assert_eq!(answer.error("param"), param, "{filters}");
    }
    let csv = export(&dev, "csv");
    let (names, lines) = csv.split_once("\r\n").unwrap();
    assert!(names.ends_with(",metadata,shard"), "{names}");
    assert_eq!(lines.matches("\r\n").count(), all.len());
    assert!(lines.contains(",0\r\n") && lines.ends_with(",1\r\n"), "{lines}");
    dev.stop();
}

#[test]
fn an_import_takes_one_shard_and_no_half_of_a_transfer_between_two() {
    let (folder, dev) = Dev::fresh(&TWO);
    let [bank, ..] = filled(&dev);
    let wrong = |text: &str, why: &str| {
        let finished = import(&dev, folder.path(), text);
        assert_eq!(finished.status.code(), Some(1), "{finished:?}");
        assert!(finished.stderr.contains(why), "{finished:?}");
    };
    wrong(
        &export(&dev, "jsonl"),
        "account: shard_clearing:USD has half of a transfer between two shards",
    );
    let without_halves = |filters: &str| -> String {
        let own = rows(&dev, filters)
            .into_iter()
            .filter(|row| row["transfer_id"] != id(4));
        let own: Vec<String> = own.map(|row| row.to_string()).collect();
        own.join("\n")
    };
    wrong(&without_halves(""), "shard: the file has lines of several");
    let (other, target) = Dev::fresh(&[]);
    let finished = import(&target, other.path(), &without_halves("shard=1"));
    assert!(finished.status.success(), "{finished:?}");
    let said = finished.stdout.trim();
    assert!(
        said.starts_with("transfers: 2 created, 0 existed, 0 refused"),
        "{said}"
    );
    assert!(said.contains("accounts: 2 opened"), "{said}");
    assert_balanced(&target.operator());
    target.stop();
    // A name is there once in each shard, so it may name two accounts.
    open(&dev, "bank", "asset", &json!({"shard": 1}));
    let line = |account: &str| {
        let line = json!({"id": id(70), "debit_account": account, "credit_account": "suspense:USD", "amount": 1, "currency": "USD"});
        line.to_string()
    };
    wrong(
        &line("bank"),
        "line 1: several shards have an account called bank in USD: say its id",
    );
    let finished = import(&dev, folder.path(), &line(&bank));
    assert!(finished.status.success(), "{finished:?}");
    dev.stop();
}

#[test]
fn reverts_over_http_are_made_in_the_shard_of_the_transfer() {
    let (_folder, dev) = Dev::fresh(&TWO);
    let [bank, customer, far_bank, far_customer] = filled(&dev);
    let undo = |pairs: &[(u64, u64)], is_atomic: bool| {
        let reverts: Vec<Value> = pairs
            .iter()
            .map(|(number, reverts)| json!({"id": id(*number), "reverts": id(*reverts)}))
            .collect();
        let body = json!({"transfers": reverts, "atomic": is_atomic});
        ask(&dev, "transfers/revert", &body)
    };
    refused(&undo(&[(11, 1), (13, 3)], true), 400, "transfer_crosses_shards");
    refused(&undo(&[(14, 4)], false), 400, "transfer_crosses_shards");
    refused(&undo(&[(19, 99)], false), 404, "reverted_transfer_missing");
    let answer = undo(&[(13, 3), (14, 4)], false).expect(200).json();
    assert_eq!(
        (&answer["recorded"], &answer["refused"]),
        (&json!(1), &json!(1)),
        "{answer}"
    );
    refused(&undo(&[(23, 3)], false), 409, "transfer_already_reverted");
    let transfer = |number: u64| {
        let path = format!("/v1/ledger/transfers/{}", id(number));
        dev.operator().read(&path)
    };
    assert_eq!(transfer(3)["reverted_by"], id(13));
    assert_eq!(transfer(13)["reverts"], id(3));
    assert_eq!(
        (&transfer(4)["status"], &transfer(4)["reverted_by"]),
        (&json!("posted"), &Value::Null)
    );
    let balances = [bank, customer, far_bank, far_customer].map(|id| balance(&dev, &id));
    assert_eq!(balances, [1_000, 700, 500, 800]);
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn a_receipt_is_signed_for_the_shard_of_its_payment() {
    let (folder, dev) = Dev::fresh(&TWO);
    dev.stop();
    let create = ["merchant", "create", "--name", "Far", "--shard", "1"];
    let merchant = run_well(&create, folder.path(), &TWO);
    let key = run_well(&["key", "create", "--merchant", &merchant], folder.path(), &TWO);
    let dev = Dev::start(folder.path(), &TWO);
    let signed_with = run_well(&["audit", "key"], folder.path(), &TWO);
    for number in 0..3 {
        dev.pay(&format!("home{number}"), &sale(700, "EUR")).expect(200);
    }
    let caller = Caller::new(dev.api, &key);
    let paid = caller.pay("k", &sale(501, "EUR")).expect(200).json();
    let payment = paid["id"].as_str().unwrap();
    let receipt = caller.read(&format!("/v1/payments/{payment}/receipt"));
    assert_eq!((&receipt["shard"], &receipt["payment"]), (&json!(1), &paid["id"]));
    let proved = verify_proof::verify(&receipt.to_string(), &signed_with).unwrap();
    assert!(proved.contains("is succeeded: 501 EUR minor units"), "{proved}");
    dev.stop();
    let own = run_well(&["audit", "receipt", "--payment", payment], folder.path(), &TWO);
    let own: Value = serde_json::from_str(&own).unwrap();
    for field in ["seq", "shard", "record_hash", "public_key"] {
        assert_eq!(own[field], receipt[field], "{field}");
    }
}

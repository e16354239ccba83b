//! The journal as the audit log of the books: every balance comes from it, and no byte of it changes unseen.

use crate::deployment::{Dev, sale};
use crate::ledger_crossings::at_rest;
use crate::ledger_shards::THREE;
use crate::ledger_transfers::{entries, id, made, make, open, pair, with};
use crate::operations::{ask, made as paid, manual};
use crate::process::{run, run_well};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The records of an export.
fn records(folder: &Path) -> Vec<Value> {
    let out = folder.join("export.jsonl");
    run_well(&["audit", "export", "--out", out.to_str().unwrap()], folder, &[]);
    let text = fs::read_to_string(out).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter(|line: &Value| line["object"] == "florin.record")
        .collect()
}

/// Payments and transfers of every kind, in all shards.
fn busy(dev: &Dev) {
    let sold = paid(dev, "sale", &sale(10_000, "USD"));
    ask(dev, "part", &sold, "refunds", &json!({"amount": 123})).expect(200);
    let held = paid(dev, "held", &manual(7_501, "EUR"));
    ask(
        dev,
        "capture",
        &held,
        "capture",
        &json!({"amount": 3_333, "final": true}),
    )
    .expect(200);
    let released = paid(dev, "released", &manual(900, "EUR"));
    ask(dev, "void", &released, "void", &json!({})).expect(200);

    let poor = |shard: u16| {
        open(
            dev,
            "customer",
            "liability",
            &json!({"shard": shard, "min_balance": 0}),
        )
    };
    let customers = [0, 1, 2].map(poor);
    let bank = open(dev, "bank", "asset", &json!({"shard": 1}));
    let posting =
        |account: &str, side: &str, amount: u64| json!({"account": account, "side": side, "amount": amount});
    for (number, customer) in (1..).zip(&customers) {
        made(dev, pair(number, &bank, customer, 1_000 * number));
    }
    at_rest(dev);
    let many = [
        posting(&bank, "debit", 900),
        posting(&customers[1], "credit", 873),
        posting("fee_revenue:USD", "credit", 27),
    ];
    made(dev, json!({"id": id(10), "postings": many}));
    made(
        dev,
        with(pair(11, &customers[1], &bank, 600), &json!({"pending": true})),
    );
    made(dev, json!({"id": id(12), "post_pending": id(11), "amount": 250}));
    made(
        dev,
        with(pair(13, &bank, &customers[1], 70), &json!({"pending": true})),
    );
    made(dev, json!({"id": id(14), "void_pending": id(13)}));
    made(dev, pair(15, &customers[2], &customers[0], 333));
    make(dev, &[pair(16, &customers[2], &customers[0], 1_000_000)]).expect(409);
    at_rest(dev);
}

/// An account as the API names it.
fn named(account: &Value) -> String {
    if let Some(opened) = account["opened"].as_str() {
        return opened.to_owned();
    }
    let account = account.get("other").unwrap_or(account);
    let currency = account["currency"].as_str().unwrap();
    match account["name"].as_str() {
        Some(name) => format!("{name}:{currency}"),
        None => match account["name"].as_object().unwrap().iter().next().unwrap() {
            (kind, id) if kind == "general" => id.as_str().unwrap().to_owned(),
            (kind, of) => format!("{kind}:{}:{currency}", of.as_str().unwrap()),
        },
    }
}

/// Account, side, amount and balance after it, of every line that a commit posted.
fn lines(commit: &Value) -> Vec<(String, bool, i64, i64)> {
    let minor = |line: &Value, field: &str| line[field].as_i64().unwrap();
    let of_list = |list: &Value| -> Vec<_> {
        let lines = list.as_array().into_iter().flatten();
        lines
            .map(|line| {
                let is_debit = line["side"] == "debit";
                let (amount, after) = (minor(line, "amount_minor"), minor(line, "balance_after_minor"));
                (named(&line["account"]), is_debit, amount, after)
            })
            .collect()
    };
    let mut all = of_list(&commit["body"]["payment"]["entry"]);
    let event = &commit["body"]["ledger"]["event"];
    let transferred = event["ledger.transferred"].as_array().into_iter().flatten();
    let crossed = event["ledger.crossed"].as_array().into_iter().flatten();
    let halves = crossed
        .flat_map(|step| step.as_object().unwrap().values())
        .map(|step| &step["posted"]);
    for posted in transferred.chain(halves) {
        all.extend(of_list(&posted["legs"]["many"]));
        let pair = &posted["legs"]["pair"];
        for (side, is_debit) in [("debit", true), ("credit", false)] {
            if pair.is_object() {
                let after = minor(pair, &format!("{side}_balance_after_minor"));
                all.push((named(&pair[side]), is_debit, minor(pair, "amount_minor"), after));
            }
        }
    }
    all
}

#[test]
fn led_4_every_balance_is_what_the_audit_log_adds_up_to() {
    let (folder, dev) = Dev::fresh(&[THREE]);
    busy(&dev);
    let accounts = dev.operator().read_all("/v1/ledger/accounts");
    // Of what every shard has a part of, the parts.
    let mut shown: BTreeMap<(String, u64), (bool, i64, usize)> = BTreeMap::new();
    for account in &accounts {
        let name = account["id"].as_str().unwrap();
        let is_debit_normal = ["asset", "expense"].contains(&account["type"].as_str().unwrap());
        let parts: Vec<(u64, String)> = match account["shard"].as_u64() {
            Some(shard) => vec![(shard, name.to_owned())],
            None => (0..3).map(|shard| (shard, format!("{name}@{shard}"))).collect(),
        };
        for (shard, part) in parts {
            let answer = dev.operator().get(&format!("/v1/ledger/accounts/{part}"));
            if answer.status == 200 {
                let balance = answer.json()["balance"].as_i64().unwrap();
                let row = (is_debit_normal, balance, entries(&dev, &part).len());
                shown.insert((name.to_owned(), shard), row);
            }
        }
    }
    dev.stop();

    let mut added: BTreeMap<(String, u64), (i64, usize)> = BTreeMap::new();
    for record in records(folder.path()) {
        let shard = record["commit"]["shard"].as_u64().unwrap();
        for (account, is_debit, amount, after) in lines(&record["commit"]) {
            let key = (account, shard);
            let (is_debit_normal, _, _) = shown[&key];
            let (balance, count) = added.entry(key.clone()).or_default();
            *balance += if is_debit == is_debit_normal {
                amount
            } else {
                -amount
            };
            *count += 1;
            assert_eq!(*balance, after, "{key:?}: {record}");
        }
    }
    let shown: BTreeMap<_, _> = shown
        .into_iter()
        .map(|(key, (_, balance, count))| (key, (balance, count)))
        .collect();
    // An account that was only opened has nothing in the log.
    let moved: BTreeMap<_, _> = shown.into_iter().filter(|(_, (_, count))| *count > 0).collect();
    assert_eq!(added, moved);
    assert!(
        added.values().any(|(balance, _)| *balance < 0),
        "clearing is owed in one of the shards"
    );
    for kind in [
        "merchant_payable:",
        "provider_clearing:",
        "fee_revenue:",
        "shard_clearing:",
        "acc_",
    ] {
        assert!(
            added.keys().any(|(name, _)| name.starts_with(kind)),
            "{kind} in {added:?}"
        );
    }
}

/// A shard's journal on disk.
struct Journal {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Journal {
    fn of(folder: &Path, shard: u64) -> Self {
        let path = match shard {
            0 => folder.join("journal.db"),
            _ => folder.join(format!("shards/{shard:04}/journal.db")),
        };
        Self {
            bytes: fs::read(&path).unwrap(),
            path,
        }
    }

    /// Changes one byte of a stored text and runs `look`; then all is as before. Pages that SQLite no longer uses may have it as well.
    fn changed<T>(&self, text: &[u8], at: usize, look: impl FnOnce() -> T) -> T {
        let mut bytes = self.bytes.clone();
        let found: Vec<usize> = (0..=bytes.len() - text.len())
            .filter(|start| bytes[*start..].starts_with(text))
            .collect();
        assert!(!found.is_empty(), "it stands in {}", self.path.display());
        for start in found {
            bytes[start + at] ^= 1 << (at % 8);
        }
        fs::write(&self.path, bytes).unwrap();
        let seen = look();
        fs::write(&self.path, &self.bytes).unwrap();
        seen
    }
}

fn unhex(text: &Value) -> Vec<u8> {
    let digits = text.as_str().unwrap();
    let byte = |start: usize| u8::from_str_radix(&digits[start..start + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

#[test]
fn led_5_a_byte_that_changes_anywhere_in_the_history_is_seen_and_its_commit_is_named() {
    let (folder, dev) = Dev::fresh(&[THREE]);
    busy(&dev);
    dev.stop();
    let whole = run_well(&["audit", "verify"], folder.path(), &[]);
    let all = records(folder.path());
    let journals = [0, 1, 2].map(|shard| Journal::of(folder.path(), shard));
    let is_seen = |record: &Value, text: &[u8], at: usize| {
        let (shard, seq) = (record["commit"]["shard"].as_u64().unwrap(), &record["seq"]);
        let journal = &journals[usize::try_from(shard).unwrap()];
        let finished = journal.changed(text, at, || run(&["audit", "verify"], folder.path(), &[]));
        assert_eq!(
            finished.status.code(),
            Some(1),
            "byte {at} of {record}: {finished:?}"
        );
        let named = finished.stdout.lines().find(|line| line.contains("WRONG"));
        let expected = format!("shard {shard}: WRONG: commit {seq}: the hash does not follow");
        assert!(
            named.is_some_and(|line| line.starts_with(&expected)),
            "{expected}: byte {at} of {record}: {finished:?}"
        );
    };
    // A byte of each commit, in another place each time; and of one commit, its hash as well, each.
    for (number, record) in all.iter().enumerate() {
        let text = unhex(&record["bytes"]);
        is_seen(record, &text, number * 37 % text.len());
    }
    let of_last_shard = all.iter().filter(|record| record["commit"]["shard"] == 2);
    let shortest = of_last_shard
        .min_by_key(|record| record["bytes"].as_str().unwrap().len())
        .unwrap();
    for field in ["bytes", "hash"] {
        let text = unhex(&shortest[field]);
        for at in 0..text.len() {
            is_seen(shortest, &text, at);
        }
    }
    assert_eq!(
        run_well(&["audit", "verify"], folder.path(), &[]),
        whole,
        "all was put back"
    );
    for shard in 0..3 {
        assert!(
            all.iter()
                .filter(|record| record["commit"]["shard"] == shard)
                .count()
                > 3
        );
    }
}

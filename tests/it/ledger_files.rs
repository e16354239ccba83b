//! The ledger as files: what an export writes, an import reads, into any node and as often as one likes.

use crate::deployment::{Dev, OPERATOR, assert_balanced, sale};
use crate::ledger_transfers::{account, ask, balance, entries, id, made, make, open, pair, two, with};
use crate::process::{Finished, run};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Imports a file, with whatever else is said.
fn import(dev: &Dev, folder: &Path, file: &Path, also: &[&str]) -> Finished {
    let key = folder.join("operator.key");
    std::fs::write(&key, format!("{OPERATOR}\n")).unwrap();
    let url = format!("http://{}", dev.api);
    let (key, file) = (key.to_str().unwrap(), file.to_str().unwrap());
    let arguments = ["ledger", "import", file, "--url", &url, "--api-key-file", key];
    run(&[&arguments, also].concat(), folder, &[])
}

/// The sums that an import prints.
#[track_caller]
fn well(finished: &Finished) -> String {
    assert!(finished.status.success(), "{finished:?}");
    finished.stdout.trim().to_owned()
}

#[track_caller]
fn badly(finished: &Finished) -> &str {
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    &finished.stderr
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[track_caller]
fn export(dev: &Dev, what: &str) -> String {
    let path = format!("/v1/ledger/entries/export.{what}");
    dev.operator().get(&path).expect(200).text()
}

fn rows(jsonl: &str) -> Vec<Value> {
    jsonl
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What an entry says on any node.
fn said(entry: &Value) -> Vec<Value> {
    let fields = [
        "effective_date",
        "transfer_id",
        "side",
        "amount",
        "currency",
        "balance_after",
        "exchange_rate",
        "description",
        "metadata",
    ];
    fields.map(|field| entry[field].clone()).to_vec()
}

/// A ledger with something of everything, and its accounts by name.
fn filled(dev: &Dev) -> Vec<String> {
    let (bank, customer) = two(dev);
    let fees = open(dev, "fees", "revenue", &json!({}));
    let euro = open(
        dev,
        "bank",
        "asset",
        &json!({"currency": "EUR", "livemode": true}),
    );
    let owed = open(
        dev,
        "customer",
        "liability",
        &json!({"currency": "EUR", "livemode": true}),
    );
    let texts = ["=1+1", "'quoted", "''twice", "a, \"b\"; c", "- minus", "ü"];
    let noted: Vec<Value> = (1..)
        .zip(texts)
        .map(|(number, text)| {
            let also =
                json!({"description": text, "metadata": {"note": text}, "effective_date": "2020-02-29"});
            with(pair(number, &bank, &customer, 100 + number), &also)
        })
        .collect();
    assert_eq!(make(dev, &noted).expect(200).json()["recorded"], 6);
    let line =
        |account: &str, side: &str, amount: u64| json!({"account": account, "side": side, "amount": amount});
    let split = [
        line(&bank, "debit", 10_000),
        line(&customer, "credit", 9_700),
        line(&fees, "credit", 300),
    ];
    made(
        dev,
        json!({"id": id(20), "postings": split, "exchange_rate": "0.92345"}),
    );
    made(dev, pair(21, &euro, &owed, 55));
    made(
        dev,
        with(pair(22, &bank, &customer, 70), &json!({"pending": true})),
    );
    made(dev, json!({"id": id(23), "post_pending": id(22), "amount": 40}));
    let undo = json!({"transfers": [{"id": id(24), "reverts": id(20)}]});
    ask(dev, "transfers/revert", &undo).expect(200);
    dev.pay("k", &sale(10_000, "USD")).expect(200);
    made(dev, pair(25, "bank:USD", &fees, 7));
    vec![bank, customer, fees, euro, owed]
}

#[test]
fn x_28_what_an_export_writes_an_import_reads_into_another_ledger() {
    let (folder, dev) = Dev::fresh(&[]);
    let accounts = filled(&dev);
    let names: Vec<Value> = accounts.iter().map(|id| account(&dev, id)).collect();
    for what in ["jsonl", "csv"] {
        let text = export(&dev, what);
        let (_other, target) = Dev::fresh(&[]);
        let file = write(folder.path(), &format!("history.{what}"), &text);
        let dry = well(&import(&target, folder.path(), &file, &["--dry-run"]));
        assert!(dry.contains("accounts: 5 would be opened"), "{dry}");
        let summary = well(&import(&target, folder.path(), &file, &[]));
        assert_eq!(
            summary.lines().collect::<Vec<_>>(),
            [
                "transfers: 11 created, 0 existed, 0 refused",
                "accounts: 5 opened, 0 existed",
                "3 lines of payments were left out: their own node books them",
            ],
            "{text}"
        );
        let all = target.operator().read_all("/v1/ledger/accounts");
        for original in &names {
            let same = |account: &&Value| {
                ["name", "type", "currency", "livemode"]
                    .iter()
                    .all(|field| account[*field] == original[*field])
            };
            let copy = all.iter().find(same).unwrap();
            assert_eq!(copy["balance"], original["balance"], "{original}");
            let said_of = |dev: &Dev, account: &Value| -> Vec<Vec<Value>> {
                entries(dev, account["id"].as_str().unwrap())
                    .iter()
                    .map(said)
                    .collect()
            };
            assert_eq!(said_of(&target, copy), said_of(&dev, original));
        }
        let again = well(&import(&target, folder.path(), &file, &[]));
        assert!(
            again.starts_with("transfers: 0 created, 11 existed, 0 refused"),
            "{again}"
        );
        assert_balanced(&target.operator());
        target.stop();
    }
    dev.stop();
}

#[test]
fn x_28_an_export_has_every_line_once_in_order_and_filters() {
    let (_folder, dev) = Dev::fresh(&[]);
    let accounts = filled(&dev);
    let all = rows(&export(&dev, "jsonl"));
    let per_account: Vec<Value> = dev.operator().read_all("/v1/ledger/accounts");
    let mut count = 0;
    for account in &per_account {
        let id = account["id"].as_str().unwrap();
        let mut lines = entries(&dev, id);
        lines.reverse();
        let own: Vec<&Value> = all.iter().filter(|row| row["account"] == id).collect();
        count += own.len();
        assert_eq!(own.len(), lines.len(), "{id}");
        for (row, line) in own.iter().zip(&lines) {
            for (field, other) in [
                ("id", "id"),
                ("seq", "seq"),
                ("recorded", "at"),
                ("balance_after_minor", "balance_after"),
                ("amount_minor", "amount"),
                ("payment_id", "payment_id"),
                ("description", "description"),
            ] {
                assert_eq!(row[field], line[other], "{field}");
            }
            assert_eq!(
                (&row["account_name"], &row["account_type"]),
                (&account["name"], &account["type"])
            );
        }
        let filtered = rows(&export(&dev, &format!("jsonl?account={id}")));
        assert_eq!(filtered.iter().collect::<Vec<_>>(), own, "{id}");
    }
    assert_eq!(count, all.len());
    let seqs: Vec<u64> = all.iter().map(|row| row["seq"].as_u64().unwrap()).collect();
    assert!(seqs.is_sorted());
    // Where a file broke off, the next one goes on.
    let middle = seqs[seqs.len() / 2];
    let head = rows(&export(&dev, &format!("jsonl?seq[lte]={}", middle - 1)));
    let tail = rows(&export(&dev, &format!("jsonl?seq[gte]={middle}")));
    assert_eq!([head, tail].concat(), all);
    let first = all[0]["recorded"].as_u64().unwrap();
    let last = all[all.len() - 1]["recorded"].as_u64().unwrap();
    assert_eq!(
        rows(&export(
            &dev,
            &format!("jsonl?created[gte]={first}&created[lte]={last}")
        )),
        all
    );
    for nothing in [
        format!("created[lt]={first}"),
        format!("created[gt]={last}"),
        "created[gte]=9&created[lte]=8".to_owned(),
        "seq[gte]=99999".to_owned(),
    ] {
        assert_eq!(export(&dev, &format!("jsonl?{nothing}")), "", "{nothing}");
    }
    let csv = export(&dev, "csv");
    assert!(
        csv.starts_with("id,seq,recorded,recorded_utc,effective_date,account,"),
        "{csv}"
    );
    assert!(
        csv.contains(",'=1+1,") && csv.contains(",\"a, \"\"b\"\"; c\","),
        "{csv}"
    );
    assert_eq!(
        csv.matches("\r\n").count(),
        all.len() + 1,
        "the names, and a line each"
    );
    for (path, status) in [
        ("csv?account=nobody", 400),
        ("csv?limit=5", 400),
        ("jsonl?seq[gte]=-1", 400),
    ] {
        dev.operator()
            .get(&format!("/v1/ledger/entries/export.{path}"))
            .expect(status);
    }
    dev.merchant().get("/v1/ledger/entries/export.csv").expect(403);
    drop(accounts);
    dev.stop();
}

#[test]
fn x_28_an_import_of_many_batches_goes_on_where_another_one_ended() {
    let (folder, dev) = Dev::fresh(&[]);
    let (bank, customer) = two(&dev);
    let line = |number: u64| {
        format!(
            "{},{bank},customer,{},2021-03-04,USD\n",
            id(number),
            1 + number % 7
        )
    };
    let names = "id,debit_account,credit_account,amount_minor,effective_date,currency\n";
    let all: String = (0..20_000).map(line).collect();
    let some: String = (0..9_000).map(line).collect();
    let first = write(folder.path(), "some.csv", &format!("{names}{some}"));
    let whole = write(folder.path(), "all.csv", &format!("{names}{all}"));
    let dry = well(&import(&dev, folder.path(), &first, &["--dry-run"]));
    assert_eq!(dry, "transfers: 9000 would be created, 0 existed, 0 refused");
    assert_eq!(balance(&dev, &bank), 0);
    assert_eq!(
        well(&import(&dev, folder.path(), &first, &[])),
        "transfers: 9000 created, 0 existed, 0 refused"
    );
    assert_eq!(
        well(&import(&dev, folder.path(), &whole, &[])),
        "transfers: 11000 created, 9000 existed, 0 refused"
    );
    let rows = rows(&export(&dev, "jsonl"));
    assert_eq!(rows.len(), 40_000, "a file of many stretches");
    let last = rows
        .iter()
        .rev()
        .find(|row| row["account"] == json!(bank))
        .unwrap();
    assert_eq!(last["balance_after_minor"], balance(&dev, &bank));
    let sum: i64 = (0..20_000).map(|number| 1 + number % 7).sum();
    assert_eq!((balance(&dev, &bank), balance(&dev, &customer)), (sum, sum));
    assert_eq!(
        entries(&dev, &bank).first().unwrap()["effective_date"],
        "2021-03-04"
    );
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn x_28_what_is_wrong_is_said_by_line_and_nothing_is_half_done() {
    let (folder, dev) = Dev::fresh(&[]);
    let (bank, _) = two(&dev);
    let poor = open(&dev, "poor", "liability", &json!({"min_balance": 0}));
    let names = "id,debit_account,credit_account,amount_minor,currency\n";
    let row = |number: u64, debit: &str, credit: &str, minor: &str| {
        format!("{},{debit},{credit},{minor},USD\n", id(number))
    };
    // One slip anywhere, and nothing is sent.
    let text = [
        names,
        &row(1, &bank, &poor, "5"),
        &row(2, &bank, &poor, "5.00"),
        &row(3, &bank, &poor, "0"),
    ]
    .concat();
    let file = write(folder.path(), "slip.csv", &text);
    let finished = import(&dev, folder.path(), &file, &[]);
    let said = badly(&finished);
    assert!(
        said.contains("line 3: amount_minor: 5.00 is no whole number"),
        "{said}"
    );
    assert!(
        said.contains("line 4: amount_minor: ") && said.contains("nothing was sent"),
        "{said}"
    );
    assert_eq!(entries(&dev, &bank).len(), 0);
    // What the books refuse is refused by itself, with its line.
    let text = [
        names,
        &row(1, &bank, &poor, "5"),
        &row(2, &poor, &bank, "6"),
        &row(3, &bank, "nobody", "1"),
        &row(4, &poor, &bank, "4"),
    ]
    .concat();
    let file = write(folder.path(), "poor.csv", &text);
    let finished = import(&dev, folder.path(), &file, &["--atomic"]);
    assert!(
        badly(&finished).contains("line 3: insufficient_funds: Insufficient funds"),
        "{finished:?}"
    );
    assert_eq!(balance(&dev, &poor), 0, "nothing of the batch");
    let finished = import(&dev, folder.path(), &file, &[]);
    let said = badly(&finished);
    for line in [
        "line 3: insufficient_funds: Insufficient funds",
        "line 4: no account is called nobody in USD",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert_eq!(
        finished.stdout.trim(),
        "transfers: 2 created, 0 existed, 2 refused"
    );
    assert_eq!(balance(&dev, &poor), 1);
    // Accounts are opened by lines of their own, on their terms.
    let text = json!({"name": "nobody", "type": "equity", "currency": "USD", "max_balance": 9}).to_string()
        + "\n"
        + &json!({"name": "poor", "type": "asset", "currency": "USD"}).to_string();
    let file = write(folder.path(), "accounts.jsonl", &text);
    let finished = import(&dev, folder.path(), &file, &[]);
    assert!(
        badly(&finished).contains("line 2: account poor is open, of type liability"),
        "{finished:?}"
    );
    let file = folder.path().join("poor.csv");
    let finished = import(&dev, folder.path(), &file, &[]);
    assert_eq!(
        finished.stdout.trim(),
        "transfers: 1 created, 2 existed, 1 refused",
        "{finished:?}"
    );
    // Nobody else's node, and no key.
    std::fs::write(folder.path().join("wrong.key"), "ok_test_wrong").unwrap();
    let finished = import(&dev, folder.path(), &file, &["--format", "csv"]);
    assert_eq!(finished.status.code(), Some(1));
    let wrong = folder.path().join("wrong.key");
    let url = format!("http://{}", dev.api);
    let arguments = [
        "ledger",
        "import",
        file.to_str().unwrap(),
        "--url",
        &url,
        "--api-key-file",
        wrong.to_str().unwrap(),
    ];
    let finished = run(&arguments, folder.path(), &[]);
    assert!(badly(&finished).contains("api_key_invalid"), "{finished:?}");
    assert_balanced(&dev.operator());
    dev.stop();
}

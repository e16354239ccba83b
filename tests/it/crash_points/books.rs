//! Owns an independent reading of what a node and its provider left behind: the lines of an export, the provider's witness, and
//! the sums that follow from them. Nothing here is the product's.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A record of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) shard: u64,
    pub(crate) seq: u64,
    pub(crate) epoch: u64,
    pub(crate) prev_hash: String,
    pub(crate) hash: String,
    pub(crate) bytes: String,
    /// The commit's body, for people.
    pub(crate) body: Value,
}

/// What a provider executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) operation: String,
    pub(crate) amount: i128,
    pub(crate) currency: String,
    pub(crate) key: String,
    pub(crate) payment: String,
}

/// An account as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) is_debit_normal: bool,
    pub(crate) balance: i128,
    pub(crate) pending: i128,
}

/// A payment as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) id: String,
    pub(crate) captured: i128,
    pub(crate) refunded: i128,
}

/// Everything that is held against each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) records: Vec<Record>,
    pub(crate) witness: Vec<Row>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) payments: Vec<Shown>,
}

#[track_caller]
fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("text: {value}"))
        .to_owned()
}

/// Minor units, which are text where JSON's numbers end.
#[track_caller]
pub(crate) fn minor(value: &Value) -> i128 {
    let number = value.as_i64().map(i128::from);
    let number = number.or_else(|| value.as_u64().map(i128::from));
    let number = number.or_else(|| value.as_str()?.parse().ok());
    number.unwrap_or_else(|| panic!("an amount: {value}"))
}

/// The records of an export.
#[track_caller]
pub(crate) fn records(export: &str) -> Vec<Record> {
    let lines = export.lines().map(|line| serde_json::from_str(line).unwrap());
    let records = lines.filter(|line: &Value| line["object"] == "florin.record");
    let read = |line: Value| Record {
        shard: line["commit"]["shard"].as_u64().unwrap(),
        seq: line["seq"].as_u64().unwrap(),
        epoch: line["epoch"].as_u64().unwrap(),
        prev_hash: text(&line["prev_hash"]),
        hash: text(&line["hash"]),
        bytes: text(&line["bytes"]),
        body: line["commit"]["body"].clone(),
    };
    records.map(read).collect()
}

/// The rows of a witness.
#[track_caller]
pub(crate) fn witness(log: &str) -> Vec<Row> {
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let rows = lines.filter_map(|mut line: Value| Some(line["row"].take()).filter(Value::is_object));
    rows.map(|row| Row {
        operation: text(&row["operation"]),
        amount: minor(&row["amount"]),
        currency: text(&row["currency"]).to_uppercase(),
        key: text(&row["idempotency_key"]),
        payment: text(&row["payment_id"]),
    })
    .collect()
}

/// An account of a list of the API.
#[track_caller]
pub(crate) fn account(shown: &Value) -> Account {
    let kind = text(&shown["type"]);
    Account {
        id: text(&shown["id"]),
        is_debit_normal: ["asset", "expense"].contains(&kind.as_str()),
        balance: minor(&shown["balance"]),
        pending: minor(&shown["pending_debit"]) + minor(&shown["pending_credit"]),
    }
}

/// A payment of a list of the API.
#[track_caller]
pub(crate) fn payment(shown: &Value) -> Shown {
    Shown {
        id: text(&shown["id"]),
        captured: minor(&shown["amount_captured"]),
        refunded: minor(&shown["amount_refunded"]),
    }
}

/// One line of an entry.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// As the API names it.
    pub(crate) account: String,
    /// Empty where the account is an opened one: its id says it, and the other side.
    pub(crate) currency: String,
    pub(crate) debit: i128,
    pub(crate) balance_after: i128,
}

/// Lines that belong together.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) shard: u64,
    pub(crate) seq: u64,
    pub(crate) payment: Option<String>,
    pub(crate) lines: Vec<Line>,
}

fn account_id(account: &Value) -> String {
    let currency = text(&account["currency"]);
    match &account["name"] {
        Value::String(name) => format!("{name}:{currency}"),
        name => {
            let (kind, value) = name.as_object().unwrap().iter().next().unwrap();
            let value = text(value);
            if kind == "general" {
                value
            } else {
                format!("{kind}:{value}:{currency}")
            }
        }
    }
}

fn line(line: &Value) -> Line {
    let amount = minor(&line["amount_minor"]);
    Line {
        account: account_id(&line["account"]),
        currency: text(&line["account"]["currency"]),
        debit: if line["side"] == "debit" { amount } else { -amount },
        balance_after: minor(&line["balance_after_minor"]),
    }
}

/// The lines of a transfer's legs; none where it moved nothing.
fn legs(legs: &Value) -> Vec<Line> {
    if let Some(many) = legs["many"].as_array() {
        return many.iter().map(line).collect();
    }
    let pair = &legs["pair"];
    if !pair.is_object() {
        return Vec::new();
    }
    let amount = minor(&pair["amount_minor"]);
    let side = |side: &str, debit: i128| {
        let (kind, value) = pair[side].as_object().unwrap().iter().next().unwrap();
        let is_opened = kind == "opened";
        Line {
            account: if is_opened { text(value) } else { account_id(value) },
            currency: if is_opened {
                String::new()
            } else {
                text(&value["currency"])
            },
            debit,
            balance_after: minor(&pair[format!("{side}_balance_after_minor")]),
        }
    };
    vec![side("debit", amount), side("credit", -amount)]
}

/// A transfer as a shard recorded it: what it is called, and what happened to it.
pub(crate) fn transfers(record: &Record) -> Vec<(&'static str, String, Vec<Line>)> {
    let event = &record.body["ledger"]["event"];
    let mut all = Vec::new();
    for transfer in event["ledger.transferred"].as_array().into_iter().flatten() {
        all.push(("transferred", text(&transfer["id"]), legs(&transfer["legs"])));
    }
    for step in event["ledger.crossed"].as_array().into_iter().flatten() {
        for name in ["decided", "applied"] {
            let posted = &step[name]["posted"];
            if posted.is_object() {
                all.push((name, text(&posted["id"]), legs(&posted["legs"])));
            }
        }
        if step["aborted"].is_object() {
            all.push(("aborted", text(&step["aborted"]["transfer"]["id"]), Vec::new()));
        }
    }
    all
}

impl Evidence {
    /// Everything that moved money, in the order of the export.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for record in &self.records {
            let mut add = |payment: Option<String>, lines: Vec<Line>| {
                if !lines.is_empty() {
                    entries.push(Entry {
                        shard: record.shard,
                        seq: record.seq,
                        payment,
                        lines,
                    });
                }
            };
            let of_payment = &record.body["payment"];
            if let Some(lines) = of_payment["entry"].as_array() {
                add(
                    Some(text(&of_payment["payment"])),
                    lines.iter().map(line).collect(),
                );
            }
            for (_, _, lines) in transfers(record) {
                add(None, lines);
            }
        }
        entries
    }
}

/// An operation of a payment, as its events tell it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Operation {
    pub(crate) payment: String,
    pub(crate) kind: String,
    pub(crate) amount: i128,
    /// The keys under which a provider was asked, by the attempts' numbers.
    pub(crate) keys: BTreeMap<u64, String>,
    pub(crate) succeeded: Vec<u64>,
}

/// All operations, by their ids.
pub(crate) fn operations(records: &[Record]) -> BTreeMap<String, Operation> {
    let mut all: BTreeMap<String, Operation> = BTreeMap::new();
    for record in records {
        let body = &record.body["payment"];
        for event in body["events"].as_array().into_iter().flatten() {
            let (name, fields) = event.as_object().unwrap().iter().next().unwrap();
            let Some(operation) = fields["operation"].as_object() else {
                continue;
            };
            let id = text(operation.values().next().unwrap());
            let operation = all.entry(id).or_default();
            operation.payment = text(&body["payment"]);
            let number = || fields["number"].as_u64().unwrap();
            match name.as_str() {
                "operation.opened" => {
                    operation.kind = text(&fields["kind"]);
                    operation.amount = minor(&fields["amount_minor"]);
                }
                "attempt.planned" => {
                    operation.keys.insert(number(), text(&fields["key"]));
                }
                "attempt.succeeded" => operation.succeeded.push(number()),
                _ => {}
            }
        }
    }
    all
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// The hash that a record must have.
pub(crate) fn hash(record: &Record) -> Option<String> {
    let (prev, bytes) = (unhex(&record.prev_hash)?, unhex(&record.bytes)?);
    let mut sha = Sha256::new();
    sha.update(prev);
    sha.update(u16::try_from(record.shard).ok()?.to_le_bytes());
    for number in [record.seq, record.epoch, bytes.len() as u64] {
        sha.update(number.to_le_bytes());
    }
    sha.update(bytes);
    let mut digits = String::new();
    for byte in sha.finalize() {
        write!(digits, "{byte:02x}").ok()?;
    }
    Some(digits)
}

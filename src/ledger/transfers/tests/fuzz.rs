//! Files of an import that were changed: what is to be booked balances and was in the file, and every line that is passed over is told.

use super::*;
use florin_fuzz::{Target, any_of};
use std::collections::BTreeSet;

const JSON: [&str; 4] = [
    r#"{"id": "123e4567-e89b-12d3-a456-426614174000", "debit_account": "bank:USD", "credit_account": "customer:alice", "amount": 700, "currency": "USD", "description": "paid"}
{"id": "123e4567-e89b-12d3-a456-426614174001", "debit_account": "bank:USD", "credit_account": "customer:bob", "amount": 1, "currency": "USD", "effective_date": "2026-11-21"}
"#,
    r#"{"id": "123e4567-e89b-12d3-a456-426614174002", "postings": [{"account": "bank:USD", "side": "debit", "amount": 700}, {"account": "customer:alice", "side": "credit", "amount": 700}], "currency": "USD", "metadata": {"a": "b"}}
"#,
    r#"{"object": "entry", "id": "5-0", "transfer_id": "123e4567-e89b-12d3-a456-426614174003", "account": "bank:USD", "side": "debit", "amount_minor": 700, "currency": "USD", "seq": 5, "shard": 0}
{"object": "entry", "id": "5-1", "transfer_id": "123e4567-e89b-12d3-a456-426614174003", "account": "acc_x", "account_name": "customer:alice", "account_type": "liability", "side": "credit", "amount_minor": 700, "currency": "USD", "seq": 5, "shard": 0}
"#,
    r#"{"name": "customer:alice", "type": "liability", "currency": "USD", "livemode": false, "min_balance": 0, "metadata": {"a": "b"}}
{"object": "entry", "payment_id": "pay_00000000000000000000000007", "account": "bank:USD", "side": "debit", "amount_minor": 5, "currency": "USD"}
"#,
];
const CSV: [&str; 3] = [
    "id,debit_account,credit_account,amount_minor,currency,description\r\n123e4567-e89b-12d3-a456-426614174000,bank:USD,customer:alice,700,USD,\"two, or\r\n\"\"more\"\"\"\r\n",
    "transfer_id,account,account_name,side,amount_minor,amount,currency,shard\n123e4567-e89b-12d3-a456-426614174000,bank:USD,,debit,700,7.00,USD,0\n123e4567-e89b-12d3-a456-426614174000,acc_x,customer:alice,credit,700,7.00,USD,0\n",
    "name,type,currency,livemode,min_balance,metadata\ncustomer:alice,liability,USD,false,0,\"{\"\"a\"\": \"\"b\"\"}\"\n",
];
const WORDS: [&str; 16] = [
    "\"\"",
    "\r\n",
    "\n",
    "123e4567-e89b-12d3-a456-426614174000",
    "bank:USD",
    "equity:EUR",
    "bank:USD:live",
    "\"side\"",
    "debit",
    "credit",
    "700",
    "amount_minor",
    "USD",
    "EUR",
    "'=1+1",
    "\"metadata\"",
];

fn check(bytes: &[u8], format: FileFormat) {
    let mut items = Items::new(bytes, format);
    let (mut booked, mut count) = (BTreeSet::new(), 0_usize);
    while let Some(item) = items.next().unwrap() {
        count += 1;
        assert!(count <= 2 * bytes.len() + 2, "it does not end");
        match item {
            Ok(Item::Transfer(transfer)) => {
                assert!((2..=POSTINGS_MAX).contains(&transfer.postings.len()));
                let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
                for posting in &transfer.postings {
                    let currency = match &posting.account {
                        AccountRef::Id(key) => key.currency.code(),
                        AccountRef::Named(name) => name.currency.code(),
                    };
                    let amount_minor = posting.amount.minor();
                    let digits = amount_minor.to_string();
                    let is_there = bytes
                        .windows(digits.len())
                        .any(|window| window == digits.as_bytes());
                    assert!(is_there, "{digits} is nowhere in the file");
                    *sums.entry(currency).or_default() += match posting.side {
                        Side::Debit => amount_minor,
                        Side::Credit => -amount_minor,
                    };
                }
                assert!(sums.values().all(|sum| *sum == 0), "{transfer:?}");
                booked.insert(transfer.id);
            }
            Ok(Item::Account(line, _)) => assert!(line > 0),
            Ok(Item::OfPayment) => {}
            Err(Wrong { line, why }) => {
                assert!(line > 0 && !why.is_empty(), "{line}: {why}");
            }
        }
    }
    assert!(items.next().unwrap().is_none());
    assert!(items.read() <= bytes.len() as u64);
}

#[test]
fn lines_of_json_are_transfers_that_balance_or_wrong_by_their_numbers() {
    let target = Target::of_text("import_jsonl", any_of(JSON))
        .words(WORDS)
        .cases(10_000);
    target.run(|bytes| check(bytes, FileFormat::Jsonl));
}

#[test]
fn lines_of_cells_are_transfers_that_balance_or_wrong_by_their_numbers() {
    let target = Target::of_text("import_csv", any_of(CSV))
        .words(WORDS)
        .cases(10_000);
    target.run(|bytes| check(bytes, FileFormat::Csv));
}

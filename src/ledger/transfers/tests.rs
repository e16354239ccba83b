//! Files put together to transfers.

mod fuzz;

use super::*;

const ID: &str = "123e4567-e89b-12d3-a456-426614174000";

fn all(text: &str, format: FileFormat) -> Vec<Result<Item, Wrong>> {
    let mut items = Items::new(text.as_bytes(), format);
    std::iter::from_fn(|| items.next().unwrap()).collect()
}

fn wrongs(text: &str, format: FileFormat) -> Vec<(u64, String)> {
    let wrong = all(text, format).into_iter().filter_map(Result::err);
    wrong.map(|wrong| (wrong.line, wrong.why)).collect()
}

fn one(text: &str, format: FileFormat) -> FileTransfer {
    match all(text, format).as_slice() {
        [Ok(Item::Transfer(transfer))] => transfer.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_form_of_a_transfer_comes_to_the_same() {
    let pair = format!(
        r#"{{"id": "{ID}", "debit_account": "bank:USD", "credit_account": "customer:alice", "amount": 700, "currency": "USD", "description": "=paid"}}"#
    );
    let postings = format!(
        r#"{{"id": "{ID}", "postings": [{{"account": "bank:USD", "side": "debit", "amount": 700}}, {{"account": "customer:alice", "side": "credit", "amount": 700}}], "currency": "USD", "description": "=paid"}}"#
    );
    let line = |account: &str, side: &str| {
        format!(
            r#"{{"object": "entry", "transfer_id": "{ID}", {account}, "side": "{side}", "amount_minor": 700, "currency": "USD", "description": "=paid", "seq": 7}}"#
        )
    };
    let lines = [
        line(r#""account": "bank:USD""#, "debit"),
        line(
            r#""account": "acc_x", "account_name": "customer:alice""#,
            "credit",
        ),
    ]
    .join("\n");
    let csv = format!(
        "id,debit_account,credit_account,amount_minor,currency,description\r\n{ID},bank:USD,customer:alice,700,USD,'=paid\r\n"
    );
    let csv_lines = format!(
        "transfer_id,account,account_name,side,amount_minor,amount,currency,description\n{ID},bank:USD,,debit,700,7.00,USD,'=paid\n{ID},acc_x,customer:alice,credit,700,7.00,USD,'=paid\n"
    );
    let expected = one(&pair, FileFormat::Jsonl);
    assert_eq!(expected.said.description.as_deref(), Some("=paid"));
    assert_eq!(one(&postings, FileFormat::Jsonl), expected);
    assert_eq!(one(&lines, FileFormat::Jsonl), expected);
    for (text, line) in [(csv, 2), (csv_lines, 2)] {
        assert_eq!(
            FileTransfer {
                line: 1,
                ..one(&text, FileFormat::Csv)
            },
            expected
        );
        assert_eq!(one(&text, FileFormat::Csv).line, line);
    }
}

#[test]
fn lines_that_come_twice_are_not_booked_twice() {
    let line = |id: &str, place: u8, account: &str, side: &str| {
        format!(
            r#"{{"object": "entry", "id": "5-{place}", "transfer_id": "{id}", "account": "{account}", "side": "{side}", "amount_minor": 700, "currency": "USD"}}"#
        )
    };
    let whole = |id: &str| {
        [
            line(id, 0, "bank:USD", "debit"),
            line(id, 0, "suspense:USD", "credit"),
        ]
        .join("\n")
    };
    let other = ID.replace('e', "f");
    // Two parts of one export, of which the second begins with the commit that the first ends with.
    let again = [whole(ID), whole(ID)].join("\n");
    let wrong = wrongs(&again, FileFormat::Jsonl);
    assert_eq!(
        wrong.iter().map(|wrong| wrong.0).collect::<Vec<_>>(),
        [3, 4],
        "{wrong:?}"
    );
    assert!(wrong[0].1.contains("drop the lines"), "{wrong:?}");
    let apart = [whole(ID), whole(&other), whole(ID)].join("\n");
    let wrong = wrongs(&apart, FileFormat::Jsonl);
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(
        wrong[0].0 == 5 && wrong[0].1.contains("must be together"),
        "{wrong:?}"
    );
    assert_eq!(
        wrongs(&[whole(ID), whole(&other)].join("\n"), FileFormat::Jsonl),
        []
    );
}

#[test]
fn a_line_about_other_money_than_its_account_is_wrong() {
    let pair = |said: &str| {
        format!(
            r#"{{"id": "{ID}", "debit_account": "bank:USD", "credit_account": "suspense:USD", "amount": 5{said}}}"#
        )
    };
    for (said, field) in [
        (r#", "currency": "EUR""#, "currency: EUR"),
        (r#", "livemode": true"#, "livemode: "),
    ] {
        let wrong = wrongs(&pair(said), FileFormat::Jsonl);
        assert!(wrong.len() == 1 && wrong[0].1.starts_with(field), "{wrong:?}");
    }
    let agreed = pair(r#", "currency": "USD", "livemode": false"#);
    assert_eq!(wrongs(&agreed, FileFormat::Jsonl), []);
}

#[test]
fn what_is_wrong_is_said_by_line_and_field() {
    let good = |id: u8| {
        format!(
            r#"{{"id": "123e4567-e89b-12d3-a456-4266141740{id:02x}", "debit_account": "bank:USD", "credit_account": "suspense:USD", "amount": 5}}"#
        )
    };
    for (bad, why) in [
        ("{", "EOF while parsing an object at line 1 column 1"),
        (
            r#"{"id": "x", "debit_account": "bank:USD", "credit_account": "suspense:USD", "amount": 5}"#,
            "id: x is no UUID",
        ),
        (
            r#"{"amount": 1.5}"#,
            "amount: invalid type: floating point `1.5`, expected i64 at line 1 column 14",
        ),
        (
            r#"{"id": "a", "id": "b"}"#,
            "duplicate field `id` at line 1 column 16",
        ),
        (r#"{"pending": true}"#, "pending: unknown field `pending`"),
        (
            r#"{"object": "receipt"}"#,
            "object: receipt is no `entry`, `transfer` or `account`",
        ),
        (
            r#"{"name": "x", "type": "asset", "amount": 5}"#,
            "amount: has no place in an account line",
        ),
        (
            r#"{"name": "x", "type": "assets", "currency": "USD"}"#,
            "type: assets is no type of account",
        ),
    ] {
        let text = format!("{}\n{bad}\n{}\n", good(1), good(2));
        let found = all(&text, FileFormat::Jsonl);
        assert_eq!(
            found.iter().filter(|item| item.is_ok()).count(),
            2,
            "{bad}: {found:?}"
        );
        let wrongs = wrongs(&text, FileFormat::Jsonl);
        assert!(
            matches!(wrongs.as_slice(), [(2, found)] if found.starts_with(why)),
            "{bad}: {wrongs:?}"
        );
    }
    let with = |field: &str, value: &str| {
        format!(
            r#"{{"id": "{ID}", "debit_account": "bank:USD", "credit_account": "suspense:USD", "amount": 5, "{field}": {value}}}"#
        )
    };
    for (field, value, why) in [
        (
            "effective_date",
            r#""2026-02-30""#,
            "effective_date: 2026-02-30 is no day written as YYYY-MM-DD",
        ),
        (
            "exchange_rate",
            r#""-1""#,
            "exchange_rate: -1 is no positive decimal",
        ),
        (
            "side",
            r#""debit""#,
            "debit_account: has no place in an entry line",
        ),
    ] {
        assert_eq!(
            wrongs(&with(field, value), FileFormat::Jsonl),
            [(1, why.to_owned())]
        );
    }
    let zero = with("description", r#""x""#).replace(": 5", ": 0");
    assert!(
        wrongs(&zero, FileFormat::Jsonl)[0].1.starts_with("amount: "),
        "{zero}"
    );
}

#[test]
fn a_transfer_balances_in_each_currency_and_its_lines_agree() {
    let line = |account: &str, side: &str, minor: u32, description: &str| {
        format!("{ID},{account},{side},{minor},{description}\n")
    };
    let names = "transfer_id,account,side,amount_minor,description\n";
    let unbalanced = [
        names.to_owned(),
        line("bank:USD", "debit", 5, ""),
        line("suspense:EUR", "credit", 5, ""),
    ];
    let why = format!("transfer {ID}: debits of 0 and credits of 5 in EUR differ");
    assert_eq!(wrongs(&unbalanced.concat(), FileFormat::Csv), [(2, why)]);
    let alone = [names.to_owned(), line("bank:USD", "debit", 5, "")].concat();
    let why = format!("transfer {ID} has 1 postings, and not 2 to 64");
    assert_eq!(wrongs(&alone, FileFormat::Csv), [(2, why)]);
    let unlike = [
        names.to_owned(),
        line("bank:USD", "debit", 5, "rent"),
        line("suspense:USD", "credit", 5, "loan"),
    ];
    let why = format!("it says something else of transfer {ID} than line 2");
    assert_eq!(wrongs(&unlike.concat(), FileFormat::Csv), [(3, why)]);
}

#[test]
fn columns_are_known_and_cells_are_all_there() {
    for (text, expected) in [
        (
            "id,amount\n",
            (
                1,
                "no column is called `amount`; amounts are in minor units, in a column `amount_minor`",
            ),
        ),
        ("id,id\n", (1, "two columns are called `id`")),
        ("id,debit_account\n1\n", (2, "it has 1 cells and not 2")),
        (
            "id,amount_minor\nx,1.5\n",
            (2, "amount_minor: 1.5 is no whole number"),
        ),
        ("id,description\n\"x\n", (2, "a quote is not closed")),
    ] {
        assert_eq!(
            wrongs(text, FileFormat::Csv),
            [(expected.0, expected.1.to_owned())],
            "{text}"
        );
    }
}

#[test]
fn lines_of_payments_are_left_to_their_node() {
    let text = r#"{"object": "entry", "payment_id": "pay_1", "transfer_id": null, "account": "bank:USD", "side": "debit", "amount_minor": 5}"#;
    assert_eq!(all(text, FileFormat::Jsonl), [Ok(Item::OfPayment)]);
}

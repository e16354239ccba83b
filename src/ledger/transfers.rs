//! Puts the records of a file together to whole transfers: the postings of one stand next to each other.

use super::line::{AccountLine, AccountRef, Columns, Parsed, Posting, Said, of_json};
use super::records::{Broken, Lines};
use florin_domain::ledger::{Side, TransferId};
use florin_domain::money::Currency;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufRead};

/// Postings of one transfer.
const POSTINGS_MAX: usize = 64;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FileFormat {
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values behind a line of names
    Csv,
}

/// A transfer of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileTransfer {
    /// Its first line.
    pub(crate) line: u64,
    pub(crate) id: TransferId,
    pub(crate) postings: Vec<Posting>,
    pub(crate) said: Said,
}

/// What a file has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Transfer(FileTransfer),
    Account(u64, AccountLine),
    /// A line that its own node books.
    OfPayment,
}

/// What is wrong, and in which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) line: u64,
    pub(crate) why: String,
}

/// Reads a file item by item.
#[derive(Debug)]
pub(crate) struct Items<R> {
    lines: Lines<R>,
    format: FileFormat,
    columns: Option<Columns>,
    /// The transfer whose postings are being read.
    open: Option<FileTransfer>,
    /// The shard that the first exported line names.
    shard: Option<u16>,
    ready: VecDeque<Result<Item, Wrong>>,
    is_over: bool,
}

impl<R: BufRead> Items<R> {
    pub(crate) fn new(file: R, format: FileFormat) -> Self {
        Self {
            lines: Lines::new(file),
            format,
            columns: None,
            open: None,
            shard: None,
            ready: VecDeque::new(),
            is_over: false,
        }
    }

    /// Bytes read so far.
    pub(crate) fn read(&self) -> u64 {
        self.lines.read
    }

    /// The next item, or what is wrong with a line; nothing at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Result<Item, Wrong>>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            if self.is_over {
                return Ok(None);
            }
            match self.parsed() {
                Ok(Some((line, parsed))) => self.take(line, parsed),
                Ok(None) => {
                    self.is_over = true;
                    self.close();
                }
                Err(Stop::Io(error)) => return Err(error),
                Err(Stop::Wrong(wrong, is_end)) => {
                    self.is_over = is_end;
                    self.ready.push_back(Err(wrong));
                }
            }
        }
    }

    fn parsed(&mut self) -> Result<Option<(u64, Parsed)>, Stop> {
        let before = self.lines.number();
        let broken = |broken| match broken {
            Broken::Io(error) => Stop::Io(error),
            // Where the next record begins is not known.
            Broken::Malformed(why) => Stop::Wrong(
                Wrong {
                    line: before + 1,
                    why: why.to_owned(),
                },
                true,
            ),
        };
        let wrong = |line, why| Stop::Wrong(Wrong { line, why }, false);
        if self.format == FileFormat::Jsonl {
            let Some((line, text)) = self.lines.next_text().map_err(broken)? else {
                return Ok(None);
            };
            return of_json(text.trim())
                .map(|parsed| Some((line, parsed)))
                .map_err(|why| wrong(line, why));
        }
        let Some((line, cells)) = self.lines.next_cells().map_err(broken)? else {
            return Ok(None);
        };
        if let Some(columns) = &self.columns {
            let parsed = columns.parse(cells);
            return parsed
                .map(|parsed| Some((line, parsed)))
                .map_err(|why| wrong(line, why));
        }
        let columns = Columns::of(cells).map_err(|why| Stop::Wrong(Wrong { line, why }, true))?;
        self.columns = Some(columns);
        self.parsed()
    }

    fn take(&mut self, line: u64, parsed: Parsed) {
        match parsed {
            Parsed::Posting(id, posting, said) => {
                if self.open.as_ref().is_some_and(|open| open.id != id) {
                    self.close();
                }
                let open = self.open.get_or_insert_with(|| FileTransfer {
                    line,
                    id,
                    postings: Vec::new(),
                    said: said.clone(),
                });
                if open.said != said {
                    let why = format!("it says something else of transfer {id} than line {}", open.line);
                    self.ready.push_back(Err(Wrong { line, why }));
                }
                open.postings.push(posting);
            }
            Parsed::Transfer(id, postings, said) => {
                self.close();
                self.open = Some(FileTransfer {
                    line,
                    id,
                    postings,
                    said,
                });
                self.close();
            }
            Parsed::Account(account) => {
                self.close();
                self.ready.push_back(Ok(Item::Account(line, account)));
            }
            Parsed::OfPayment => {
                self.close();
                self.ready.push_back(Ok(Item::OfPayment));
            }
        }
    }

    /// The transfer at hand is whole.
    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let line = open.line;
        self.shard = self.shard.or(open.said.shard);
        let is_elsewhere = open.said.shard.is_some() && open.said.shard != self.shard;
        self.ready.push_back(match checked(&open) {
            // Accounts of the same name would become one.
            Ok(()) if is_elsewhere => Err(Wrong {
                line,
                why: "shard: the file has lines of several; export and import one shard at a time".to_owned(),
            }),
            Ok(()) => Ok(Item::Transfer(open)),
            Err(why) => Err(Wrong { line, why }),
        });
    }
}

/// Why reading stops, for now or for good.
enum Stop {
    Io(io::Error),
    Wrong(Wrong, bool),
}

/// Whether it can be a transfer at all, whatever the books are like.
fn checked(transfer: &FileTransfer) -> Result<(), String> {
    let (id, count) = (transfer.id, transfer.postings.len());
    if !(2..=POSTINGS_MAX).contains(&count) {
        return Err(format!(
            "transfer {id} has {count} postings, and not 2 to {POSTINGS_MAX}"
        ));
    }
    let mut sums: BTreeMap<Currency, (i128, i128)> = BTreeMap::new();
    for posting in &transfer.postings {
        let currency = match &posting.account {
            AccountRef::Id(key) => key.currency,
            AccountRef::Named(name) => name.currency,
        };
        let (debits, credits) = sums.entry(currency).or_default();
        match posting.side {
            Side::Debit => *debits += posting.amount.minor(),
            Side::Credit => *credits += posting.amount.minor(),
        }
    }
    match sums.iter().find(|(_, (debits, credits))| debits != credits) {
        Some((currency, (debits, credits))) => Err(format!(
            "transfer {id}: debits of {debits} and credits of {credits} in {} differ",
            currency.code()
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
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
}

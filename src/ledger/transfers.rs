//! Puts the records of a file together to whole transfers: the postings of one stand next to each other.

use super::line::{AccountLine, AccountRef, Columns, Parsed, Posting, Said, of_json};
use super::records::{Broken, Lines};
use florin_domain::ledger::{Side, TransferId};
use florin_domain::money::Currency;
use std::collections::{BTreeMap, HashSet, VecDeque};
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
    /// The places of its lines in the export that they are from.
    places: HashSet<String>,
    /// Transfers that came as lines of their postings.
    parted: HashSet<TransferId>,
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
            places: HashSet::new(),
            parted: HashSet::new(),
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
            Parsed::Posting(id, posting, said, place) => {
                if self.open.as_ref().is_some_and(|open| open.id != id) {
                    self.close();
                }
                self.check_once(line, id, place);
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

    /// Lines that came before must not become part of the transfer once more, nor a transfer of their own: a file put together of
    /// two exports has the lines of one commit twice, and one that was sorted has a transfer in parts.
    fn check_once(&mut self, line: u64, id: TransferId, place: Option<String>) {
        let is_new = self.open.is_none();
        if is_new {
            self.places.clear();
        }
        let why = if is_new && !self.parted.insert(id) {
            format!(
                "lines of transfer {id} came before, and others between them and this one; they must be together"
            )
        } else if place.is_some_and(|place| !self.places.insert(place)) {
            format!(
                "this line of transfer {id} came before; drop the lines that an earlier part of the export has"
            )
        } else {
            return;
        };
        self.ready.push_back(Err(Wrong { line, why }));
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
mod tests;

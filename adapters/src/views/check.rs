//! Owns comparing the payments view with the journal: the state in every row must be the fold of its payment's commits, the index of
//! announcements must have what those commits announce, the lists an entry of every payment as it stands, and those of refunds and of balance transactions
//! those of the payments, all of it, under the payment's merchant and mode, and nothing else.

use super::entry::{self, Entry};
use super::writer::VERSION;
use super::{announced, moved, refunded};
use crate::journal::StoredRecord;
use crate::schema::v1;
use florin_domain::commit::Body;
use florin_domain::ids::{MerchantId, PaymentId, RefundId, Seq};
use florin_domain::payment::{Payment, evolve_announcing};
use florin_domain::ports::{AnnouncingCommit, MovedPlace, MovedRow, ReadError, moved_of, refunds_of};
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// What the comparison gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewsCompared {
    /// How far the view has come.
    pub watermark: Seq,
    /// Payments in it.
    pub payments: u64,
    /// Payments whose row is missing, is of no commit, or is not what the journal says, or of which something else was announced.
    pub differences: u64,
    /// One of them.
    pub example: Option<PaymentId>,
    /// Why the view cannot be read; it counts as one difference.
    pub unreadable: Option<String>,
}

type Digest32 = [u8; 32];

/// What is known of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    /// Its commit has not been met yet.
    Waiting(Seq, Digest32),
    /// It is what the journal says up to its commit.
    Right,
    /// It is not.
    Wrong,
}

/// Whose, and in which mode.
type Tenant = (MerchantId, bool);

/// What the view has.
struct Held {
    watermark: Seq,
    rows: HashMap<PaymentId, Row>,
    announced: HashMap<Seq, AnnouncingCommit>,
    indexes: Indexes,
}

/// What follows from a payment's state.
struct Indexes {
    entries: HashMap<(Tenant, PaymentId), Entry>,
    /// Those whose lists would show them twice.
    twice: Vec<PaymentId>,
    refunds: HashMap<(Tenant, RefundId), PaymentId>,
    moved: HashMap<(Tenant, MovedPlace), MovedRow>,
}

impl Indexes {
    /// Takes out what they must have of a payment; says whether it was there.
    fn take(&mut self, payment: &Payment) -> bool {
        let (id, tenant) = (payment.id(), (payment.spec.merchant, payment.spec.livemode));
        let mut is_whole = self.entries.remove(&(tenant, id)) == Some(Entry::of(payment));
        for refund in refunds_of(payment) {
            is_whole &= self.refunds.remove(&(tenant, refund)) == Some(id);
        }
        for row in moved_of(payment) {
            is_whole &= self.moved.remove(&(tenant, row.place)) == Some(row);
        }
        is_whole
    }

    /// The payments of what is left.
    fn left(self) -> impl Iterator<Item = PaymentId> {
        let entries = self.entries.into_keys().map(|(_, payment)| payment);
        let moved = self.moved.into_values().map(|row| row.payment);
        let refunds = self.refunds.into_values();
        entries.chain(self.twice).chain(refunds).chain(moved)
    }
}

/// Whether the file says that it has other tables than these.
fn is_of_another_build(path: &Path) -> bool {
    let version = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .and_then(|file| file.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)));
    version.is_ok_and(|version| version != VERSION)
}

fn read(path: &Path) -> rusqlite::Result<Held> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    let state = connection.unchecked_transaction()?;
    let watermark: i64 = state.query_row("SELECT watermark FROM progress", [], |row| row.get(0))?;
    let mut rows = HashMap::new();
    let mut statement = state.prepare("SELECT id, seq, state FROM payment")?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let id = PaymentId::from_bits(u128::from_be_bytes(row.get(0)?));
        let seq: i64 = row.get(1)?;
        let digest = Sha256::digest(row.get_ref(2)?.as_blob()?).into();
        rows.insert(id, Row::Waiting(Seq(seq.cast_unsigned()), digest));
    }
    let mut announced = HashMap::new();
    announced::each(&state, |commit| drop(announced.insert(commit.seq, commit)))?;
    let mut moved = HashMap::new();
    moved::each(&state, |tenant, row| {
        moved.insert((tenant, row.place), row);
    })?;
    let (mut entries, mut twice) = (HashMap::new(), Vec::new());
    entry::each(&state, |tenant, id, entry| {
        twice.extend(entries.insert((tenant, id), entry).map(|_| id));
    })?;
    let refunds = refunded::all(&state)?.into_iter();
    Ok(Held {
        watermark: Seq(watermark.cast_unsigned()),
        rows,
        announced,
        indexes: Indexes {
            entries,
            twice,
            refunds: refunds
                .map(|(tenant, (id, payment))| ((tenant, id), payment))
                .collect(),
            moved,
        },
    })
}

/// Compares the view in a file with the records of a journal, from the first on; nothing if there is no such file, or one of another build, because the
/// next start makes one.
/// It keeps some hundred bytes in memory for each payment. What lies behind the end of a copy that `is_late` is not compared.
pub fn compare(
    path: &Path,
    records: impl Iterator<Item = Result<StoredRecord, ReadError>>,
    is_late: bool,
) -> Result<Option<ViewsCompared>, ReadError> {
    if !path.exists() || is_of_another_build(path) {
        return Ok(None);
    }
    let Held {
        watermark,
        mut rows,
        mut announced,
        mut indexes,
    } = match read(path) {
        Ok(held) => held,
        Err(error) => {
            return Ok(Some(ViewsCompared {
                differences: 1,
                unreadable: Some(error.to_string()),
                ..ViewsCompared::default()
            }));
        }
    };
    let mut wrong: HashSet<PaymentId> = HashSet::new();
    let mut open: HashMap<PaymentId, Payment> = HashMap::new();
    let mut end = Seq::ZERO;
    for record in records {
        let record = record?;
        if record.seq > watermark {
            break;
        }
        end = record.seq;
        let Body::Payment(body) = &record.commit.body else {
            continue;
        };
        let id = body.payment;
        let Some(Row::Waiting(last, digest)) = rows.get(&id).copied() else {
            // No row, or one that knows nothing of this commit.
            wrong.insert(id);
            continue;
        };
        let folded = evolve_announcing(open.remove(&id), &body.events, record.commit.at);
        let Ok((Some(payment), said)) = folded else {
            rows.insert(id, Row::Wrong);
            continue;
        };
        if announced.remove(&record.seq) != AnnouncingCommit::of(&record.commit, &payment, &said) {
            wrong.insert(id);
        }
        if record.seq < last {
            open.insert(id, payment);
            continue;
        }
        if !indexes.take(&payment) {
            wrong.insert(id);
        }
        let mut state = Vec::new();
        v1::payment::encode(&payment, &mut state);
        let is_right = record.seq == last && <Digest32>::from(Sha256::digest(&state)) == digest;
        rows.insert(id, if is_right { Row::Right } else { Row::Wrong });
    }
    let is_wrong = |row: &Row| match row {
        Row::Waiting(seq, _) => !is_late || *seq <= end,
        Row::Right => false,
        Row::Wrong => true,
    };
    wrong.extend(rows.iter().filter(|(_, row)| is_wrong(row)).map(|(id, _)| *id));
    let invented = announced.values().filter(|commit| !is_late || commit.seq <= end);
    wrong.extend(invented.map(|commit| commit.payment));
    let is_later = |payment: &PaymentId| matches!(rows.get(payment), Some(Row::Waiting(seq, _)) if is_late && *seq > end);
    wrong.extend(indexes.left().filter(|payment| !is_later(payment)));
    Ok(Some(ViewsCompared {
        watermark,
        payments: rows.len() as u64,
        differences: wrong.len() as u64,
        example: wrong.iter().min().copied(),
        unreadable: None,
    }))
}

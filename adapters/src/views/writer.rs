//! Writing the payments view: one thread, one transaction per batch, the watermark in the same transaction as its rows.
//!
//! A list entry, see [`entry`], goes into `recent`, which is small, so that the entries of a batch share pages whatever their tenants; now and then
//! all of it moves into `listed` in the order of that table. Straight into `listed`, every entry would rewrite a page of its
//! own, which costs more than the payment itself.
//!
//! `synchronous` is off, which survives the death of the process but not that of the machine. The file therefore names the
//! boot under which it is open and is only believed under that same boot, or when it was closed and synced in between.

use super::entry::{self, Entry};
use super::{announced, moved, refunded, waiting};
use crate::schema::v1;
use florin_domain::ids::{MerchantId, Seq};
use florin_domain::ports::{AnnouncingCommit, PaymentRow, ViewError};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, params};
use std::collections::HashMap;
use std::collections::hash_map;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

/// Of the tables below and of the states in them.
pub(super) const VERSION: i64 = 19;
/// Large pages: with the writes gathered, a touched page gets many rows.
const PAGE_BYTES: i64 = 16_384;
/// Entries of `recent` that are worth moving; the pause is some 50 ms.
const RECENT_MAX: u32 = if cfg!(test) { 8 } else { 65_536 };
/// About 32 MiB of log before it is folded into the file.
const CHECKPOINT_PAGES: i64 = 2000;

const TABLES: &str = "
    CREATE TABLE progress (watermark INTEGER NOT NULL, boot TEXT NOT NULL, closes INTEGER NOT NULL) STRICT;
    INSERT INTO progress VALUES (0, '', 0);
    CREATE TABLE tenant (number INTEGER PRIMARY KEY, merchant BLOB NOT NULL, livemode INTEGER NOT NULL, UNIQUE (merchant, livemode)) STRICT;
    CREATE TABLE payment (id BLOB PRIMARY KEY, seq INTEGER NOT NULL, state BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE listed (tenant INTEGER, id BLOB, {entry}, PRIMARY KEY (tenant, id)) STRICT, WITHOUT ROWID;
    CREATE TABLE recent (tenant INTEGER, id BLOB, {entry}, PRIMARY KEY (tenant, id)) STRICT, WITHOUT ROWID;";
const INSERT: &str = "INSERT INTO payment (id, seq, state) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING";
const REPLACE: &str = "UPDATE payment SET seq = ?2, state = ?3 WHERE id = ?1 AND seq < ?2";
const LIST: &str = "INSERT INTO recent (tenant, id, status, currency, amount_minor, customer, metadata) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const RELIST_RECENT: &str =
    "UPDATE recent SET status = ?3, amount_minor = ?4, metadata = ?5 WHERE tenant = ?1 AND id = ?2";
const RELIST: &str =
    "UPDATE listed SET status = ?3, amount_minor = ?4, metadata = ?5 WHERE tenant = ?1 AND id = ?2
    AND (status <> ?3 OR amount_minor <> ?4 OR metadata <> ?5)";
const MERGE: &str = "INSERT INTO listed SELECT * FROM recent ORDER BY tenant, id; DELETE FROM recent;";
const ADVANCE: &str = "UPDATE progress SET watermark = ?1 WHERE watermark < ?1";

/// A batch to apply.
#[derive(Debug)]
pub(super) struct Apply {
    pub(super) rows: Vec<PaymentRow>,
    pub(super) announced: Vec<AnnouncingCommit>,
    pub(super) up_to: Seq,
    pub(super) reply: oneshot::Sender<Result<(), ViewError>>,
}

#[derive(Debug, Error)]
enum OpenError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Distrusted(&'static str),
}

impl OpenError {
    /// Whether an empty file in its place may fare better.
    fn is_of_the_content(&self) -> bool {
        match self {
            Self::Distrusted(_) => true,
            Self::Io(_) => false,
            Self::Sqlite(error) => !matches!(
                error.sqlite_error_code(),
                Some(
                    ErrorCode::CannotOpen
                        | ErrorCode::PermissionDenied
                        | ErrorCode::ReadOnly
                        | ErrorCode::DiskFull
                        | ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::OutOfMemory
                )
            ),
        }
    }
}

/// Names this boot of the machine; empty where the system does not tell, so that only a proper close is believed.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn delete(path: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = OsString::from(path);
        name.push(suffix);
        match fs::remove_file(PathBuf::from(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn signed(seq: Seq) -> i64 {
    seq.0.cast_signed()
}

/// The only connection that writes.
pub(super) struct Writer {
    connection: Connection,
    /// Tenants by number, so that an index entry needs few bytes; a cache of the table.
    tenants: Tenants,
    /// Entries of `recent`.
    recent: u32,
    /// Rows of `announced_recent`; at least so many.
    announced: u32,
    /// Rows of `moved_recent`; at least so many.
    moved: u32,
    /// Payments that wait; at least so many.
    waiting: u64,
}

type Tenants = HashMap<(MerchantId, bool), i64>;

impl Writer {
    /// Opens the file, or a new one in its place; says how far it has come.
    pub(super) fn open(path: &Path, cache_kib: u32) -> Result<(Self, Seq), ViewError> {
        let opened = Self::open_existing(path, cache_kib, &boot()).or_else(|error| {
            if !error.is_of_the_content() {
                return Err(error);
            }
            tracing::warn!(path = %path.display(), why = %error, "the payments view starts anew");
            delete(path)?;
            Self::open_existing(path, cache_kib, &boot())
        });
        opened.map_err(|error| ViewError::Store(error.to_string()))
    }

    fn open_existing(path: &Path, cache_kib: u32, boot: &str) -> Result<(Self, Seq), OpenError> {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        if mode != "wal" {
            return Err(OpenError::Distrusted("it has no write-ahead log"));
        }
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        connection.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
        let is_new: bool =
            connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| {
                row.get(0)
            })?;
        if is_new {
            let create = connection.transaction()?;
            create.execute_batch(&TABLES.replace("{entry}", entry::COLUMN_TYPES))?;
            create.execute_batch(waiting::TABLES)?;
            create.execute_batch(announced::TABLES)?;
            create.execute_batch(refunded::TABLE)?;
            create.execute_batch(moved::TABLES)?;
            create.pragma_update(None, "user_version", VERSION)?;
            create.commit()?;
        }
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version != VERSION {
            return Err(OpenError::Distrusted("it is of another version"));
        }
        let (watermark, open_under): (i64, String) =
            connection.query_row("SELECT watermark, boot FROM progress", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        if !open_under.is_empty() && open_under != boot {
            return Err(OpenError::Distrusted("the machine went down while it was open"));
        }
        let tenants = connection
            .prepare("SELECT merchant, livemode, number FROM tenant")?
            .query_map([], |row| {
                let merchant = MerchantId::from_bits(u128::from_be_bytes(row.get(0)?));
                Ok(((merchant, row.get(1)?), row.get(2)?))
            })?
            .collect::<Result<_, _>>()?;
        let recent = connection.query_row("SELECT count(*) FROM recent", [], |row| row.get(0))?;
        let waiting = waiting::count(&connection)?;
        let announced = announced::count_recent(&connection)?;
        let moved = moved::count_recent(&connection)?;
        // Durable before the first write that is not: an unknown boot is one that never comes again.
        let named = if boot.is_empty() { "unknown" } else { boot };
        connection.execute("UPDATE progress SET boot = ?1", [named])?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        Ok((
            Self {
                connection,
                tenants,
                recent,
                announced,
                moved,
                waiting,
            },
            Seq(watermark.cast_unsigned()),
        ))
    }

    /// Applies batches until there are no more senders, then closes.
    pub(super) fn run(mut self, mut inbox: mpsc::Receiver<Apply>, watermark: &AtomicU64) {
        while let Some(Apply {
            rows,
            announced,
            up_to,
            reply,
        }) = inbox.blocking_recv()
        {
            let applied = self
                .apply(&rows, &announced, up_to)
                .map_err(|error| ViewError::Store(error.to_string()));
            if applied.is_ok() {
                watermark.fetch_max(up_to.0, Ordering::AcqRel);
            }
            // Whoever asked may have given up; the batch stands all the same.
            drop(reply.send(applied));
        }
        if let Err(error) = self.close() {
            tracing::warn!(%error, "the payments view was not closed properly");
        }
    }

    fn apply(
        &mut self,
        rows: &[PaymentRow],
        announced: &[AnnouncingCommit],
        up_to: Seq,
    ) -> Result<(), rusqlite::Error> {
        let gathered = u32::try_from(announced.len()).unwrap_or(u32::MAX);
        let gathered = self.announced.saturating_add(gathered);
        let transaction = self.connection.transaction()?;
        let written = write(&transaction, (&mut self.tenants, &mut self.waiting), rows, up_to);
        let applied = written.and_then(|added| {
            for commit in announced {
                let tenant = (commit.merchant, commit.livemode);
                let tenant = tenant_number(&transaction, &mut self.tenants, tenant)?;
                announced::enter(&transaction, tenant, commit)?;
            }
            let gathered = announced::merge(&transaction, gathered)?;
            let moved = moved::merge(&transaction, self.moved.saturating_add(added.moved))?;
            let recent = self.recent.saturating_add(added.payments);
            if recent < RECENT_MAX {
                return Ok((recent, gathered, moved));
            }
            transaction.execute_batch(MERGE)?;
            Ok((0, gathered, moved))
        });
        match applied.and_then(|counts| transaction.commit().map(|()| counts)) {
            Ok(counts) => {
                (self.recent, self.announced, self.moved) = counts;
                Ok(())
            }
            Err(error) => {
                // Numbers given in the transaction are gone with it.
                self.tenants.clear();
                // The count may be of a batch that is gone: too many does no harm.
                self.waiting = u64::MAX;
                Err(error)
            }
        }
    }

    /// Syncs everything, then says that it is whole.
    fn close(self) -> Result<(), rusqlite::Error> {
        let connection = self.connection;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // A checkpoint syncs the file only if it has something to copy.
        connection.execute("UPDATE progress SET closes = closes + 1", [])?;
        let was_prevented: bool =
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if !was_prevented {
            connection.execute("UPDATE progress SET boot = ''", [])?;
        }
        connection.close().map_err(|(_, error)| error)
    }
}

/// What a batch has added.
#[derive(Clone, Copy, Debug, Default)]
struct Added {
    /// To `recent`.
    payments: u32,
    /// To `moved_recent`; at most so many.
    moved: u32,
}

/// Writes the rows and the watermark; says what is new.
fn write(
    transaction: &Transaction<'_>,
    (tenants, waiting): (&mut Tenants, &mut u64),
    rows: &[PaymentRow],
    up_to: Seq,
) -> Result<Added, rusqlite::Error> {
    let mut insert = transaction.prepare_cached(INSERT)?;
    let mut replace = transaction.prepare_cached(REPLACE)?;
    let mut list = transaction.prepare_cached(LIST)?;
    let mut relist_recent = transaction.prepare_cached(RELIST_RECENT)?;
    let mut relist = transaction.prepare_cached(RELIST)?;
    let mut added = Added::default();
    let mut state = Vec::new();
    for row in rows {
        let spec = &row.payment.spec;
        let id = spec.id.bits().to_be_bytes();
        state.clear();
        v1::payment::encode(&row.payment, &mut state);
        let is_new = insert.execute(params![id, signed(row.seq), state])? == 1;
        if !is_new && replace.execute(params![id, signed(row.seq), state])? == 0 {
            continue;
        }
        let tenant = tenant_number(transaction, tenants, (spec.merchant, spec.livemode))?;
        let entry = Entry::of(&row.payment);
        waiting::enter(transaction, waiting, (id, &row.payment), is_new)?;
        refunded::enter(transaction, tenant, &row.payment)?;
        let moved = moved::enter(transaction, tenant, &row.payment)?;
        added.moved = added.moved.saturating_add(moved);
        if !is_new {
            let metadata = entry.metadata.column();
            let listed = params![tenant, id, entry.status, entry.amount_minor, metadata];
            if relist_recent.execute(listed)? == 0 {
                relist.execute(listed)?;
            }
            continue;
        }
        list.execute(params![
            tenant,
            id,
            entry.status,
            entry.currency,
            entry.amount_minor,
            entry.customer,
            entry.metadata.column()
        ])?;
        added.payments = added.payments.saturating_add(1);
    }
    transaction.prepare_cached(ADVANCE)?.execute([signed(up_to)])?;
    Ok(added)
}

/// The number of a tenant.
fn tenant_number(
    transaction: &Transaction<'_>,
    tenants: &mut Tenants,
    tenant: (MerchantId, bool),
) -> Result<i64, rusqlite::Error> {
    match tenants.entry(tenant) {
        hash_map::Entry::Occupied(known) => Ok(*known.get()),
        hash_map::Entry::Vacant(unknown) => Ok(*unknown.insert(number(transaction, tenant.0, tenant.1)?)),
    }
}

/// The number of a tenant that is not in the cache.
fn number(
    transaction: &Transaction<'_>,
    merchant: MerchantId,
    livemode: bool,
) -> Result<i64, rusqlite::Error> {
    let merchant = merchant.bits().to_be_bytes();
    let known = transaction
        .prepare_cached("SELECT number FROM tenant WHERE merchant = ?1 AND livemode = ?2")?
        .query_row(params![merchant, livemode], |row| row.get(0))
        .optional()?;
    if let Some(number) = known {
        return Ok(number);
    }
    transaction
        .prepare_cached("INSERT INTO tenant (merchant, livemode) VALUES (?1, ?2)")?
        .execute(params![merchant, livemode])?;
    Ok(transaction.last_insert_rowid())
}

//! Owns the tables: how they are made, what holds between them, and how a shard changes hands.
//!
//! `commit_record.position` is `shard << 47 | seq`. So records are rows of one table in append order, without a second index, and
//! the position of shard 0 is the seq.

use super::OpenError;
use crate::journal::chain::{GENESIS, Hash, Verifier, damaged};
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::{Head, ReadError};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

pub(super) const VERSION: i64 = 1;

pub(super) const DDL: &str = "
    CREATE TABLE commit_record (
        position INTEGER PRIMARY KEY,
        epoch INTEGER NOT NULL,
        hash BLOB NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
    CREATE TABLE shard_head (
        shard INTEGER PRIMARY KEY,
        epoch INTEGER NOT NULL,
        head INTEGER NOT NULL,
        hash BLOB NOT NULL,
        batch_id BLOB
    ) STRICT;
    PRAGMA user_version = 1;
";

const SEQ_BITS: u32 = 47;
pub(super) const SEQ_MAX: u64 = (1 << SEQ_BITS) - 1;

/// How many of the last records are verified on opening: enough to meet a damaged tail early, little enough not to be felt.
const CHECKED_ON_OPEN: u8 = 16;

/// How long to wait for another process that holds the file, a backup tool say.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What a shard's owner knows of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owned {
    pub(super) head: Head,
    pub(super) last_batch: Option<u128>,
}

/// The row of a commit; seqs beyond 2^47, ten thousand years at the highest rate, share the last row.
pub(in crate::journal) fn position(shard: ShardId, seq: Seq) -> i64 {
    (i64::from(shard.0) << SEQ_BITS) | seq.0.min(SEQ_MAX).cast_signed()
}

/// The seq in a position.
pub(super) fn seq_of(position: i64) -> Seq {
    Seq(position.cast_unsigned() & SEQ_MAX)
}

/// Opens the file for writing and makes its tables if it has none.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    let store = |error: rusqlite::Error| OpenError::Store {
        path: path.to_owned(),
        why: error.to_string(),
    };
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(store)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(store)?;
    let mode: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(store)?;
    if mode != "wal" {
        let why = format!("its file system allows journal mode {mode} only");
        return Err(OpenError::Store {
            path: path.to_owned(),
            why,
        });
    }
    // The writer checkpoints itself, after it has answered: SQLite's own checkpoint would swallow a failed fsync.
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;")
        .map_err(store)?;

    let making = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(store)?;
    let found: i64 = making
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(store)?;
    let tables: i64 = making
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(store)?;
    match (found, tables) {
        (VERSION, _) => {}
        (0, 0) => making.execute_batch(DDL).map_err(store)?,
        (found, _) => {
            return Err(OpenError::Version {
                found,
                known: VERSION,
            });
        }
    }
    making.commit().map_err(store)?;
    Ok(connection)
}

/// Opens the file for reading.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, OpenError> {
    let store = |error: rusqlite::Error| OpenError::Store {
        path: path.to_owned(),
        why: error.to_string(),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(store)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(store)?;
    Ok(connection)
}

/// Takes ownership of a shard whose head agrees with its records.
pub(super) fn take(connection: &Connection, shard: ShardId, path: &Path) -> Result<Owned, OpenError> {
    let owned = take_checked(connection, shard).map_err(|error| match error {
        ReadError::Damaged { seq, why } => OpenError::Damaged { seq, why },
        ReadError::Store(why) => OpenError::Store {
            path: path.to_owned(),
            why,
        },
    })?;
    tracing::info!(
        shard = shard.0,
        head = owned.head.seq.0,
        epoch = owned.head.epoch.0,
        "journal opened"
    );
    Ok(owned)
}

fn take_checked(connection: &Connection, shard: ShardId) -> Result<Owned, ReadError> {
    let taking = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
        .map_err(|error| store(&error))?;
    let before = owned(&taking, shard)?;
    let mut owned = before.unwrap_or(Owned {
        head: Head::default(),
        last_batch: None,
    });
    check_tail(&taking, shard, &owned.head)?;
    owned.head.epoch = Epoch(owned.head.epoch.0.saturating_add(1));
    let epoch = owned.head.epoch.0.cast_signed();
    let sql = "INSERT INTO shard_head (shard, epoch, head, hash) VALUES (?1, ?2, 0, ?3)
               ON CONFLICT (shard) DO UPDATE SET epoch = excluded.epoch";
    taking
        .execute(sql, params![shard.0, epoch, GENESIS])
        .map_err(|error| store(&error))?;
    taking.commit().map_err(|error| store(&error))?;
    Ok(owned)
}

/// Walks the last records up to the head.
fn check_tail(connection: &Connection, shard: ShardId, head: &Head) -> Result<(), ReadError> {
    let before = Seq(head.seq.0.saturating_sub(CHECKED_ON_OPEN.into()));
    let mut verifier = verifier_after(connection, shard, before)?;
    // One more than there should be, to see that nothing stands after the head.
    walk(
        connection,
        shard,
        before,
        usize::from(CHECKED_ON_OPEN) + 1,
        |seq, epoch, hash, bytes| {
            let accepted = verifier.accept(seq, epoch, hash, bytes);
            accepted.map(|_| ControlFlow::Continue(()))
        },
    )?;
    verifier.finish(head.seq, &head.hash, head.epoch)
}

/// A verifier that expects the record after `seq`.
pub(super) fn verifier_after(
    connection: &Connection,
    shard: ShardId,
    seq: Seq,
) -> Result<Verifier, ReadError> {
    if seq == Seq::ZERO {
        return Ok(Verifier::after(shard, seq, GENESIS, Epoch::default()));
    }
    let (epoch, hash) =
        link_at(connection, shard, seq)?.ok_or_else(|| damaged(seq, "the record is missing".to_owned()))?;
    Ok(Verifier::after(shard, seq, hash, epoch))
}

/// Epoch and hash of a record.
pub(super) fn link_at(
    connection: &Connection,
    shard: ShardId,
    seq: Seq,
) -> Result<Option<(Epoch, Hash)>, ReadError> {
    let sql = "SELECT epoch, hash FROM commit_record WHERE position = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(|error| store(&error))?;
    let row = statement.query_row(params![position(shard, seq)], |row| {
        let epoch: i64 = row.get(0)?;
        Ok((epoch, row.get_ref(1)?.as_blob()?.try_into().ok()))
    });
    match row.optional().map_err(|error| store(&error))? {
        Some((epoch, Some(hash))) => Ok(Some((Epoch(epoch.cast_unsigned()), hash))),
        Some((_, None)) => Err(damaged(seq, "the hash has not 32 bytes".to_owned())),
        None => Ok(None),
    }
}

/// Shows the records after `after`, at most `limit` of them, in order, as they are stored, until `visit` breaks off.
pub(super) fn walk(
    connection: &Connection,
    shard: ShardId,
    after: Seq,
    limit: usize,
    mut visit: impl FnMut(Seq, Epoch, &[u8], &[u8]) -> Result<ControlFlow<()>, ReadError>,
) -> Result<(), ReadError> {
    let sql = "SELECT position, epoch, hash, bytes FROM commit_record
               WHERE position > ?1 AND position <= ?2 ORDER BY position LIMIT ?3";
    let mut statement = connection.prepare_cached(sql).map_err(|error| store(&error))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let range = params![position(shard, after), position(shard, Seq(SEQ_MAX)), limit];
    let mut rows = statement.query(range).map_err(|error| store(&error))?;
    let mut last = after;
    // A page that SQLite itself finds malformed is damage at the record that could not be reached.
    while let Some(row) = rows.next().map_err(|error| broken(&error, last.next()))? {
        let seq = seq_of(row.get(0).map_err(|error| broken(&error, last.next()))?);
        let epoch: i64 = row.get(1).map_err(|error| broken(&error, seq))?;
        let blob = |index| row.get_ref(index)?.as_blob().map_err(rusqlite::Error::from);
        let hash = blob(2).map_err(|error| broken(&error, seq))?;
        let bytes = blob(3).map_err(|error| broken(&error, seq))?;
        if visit(seq, Epoch(epoch.cast_unsigned()), hash, bytes)?.is_break() {
            break;
        }
        last = seq;
    }
    Ok(())
}

/// Shows the hashes of the records after `after`, at most `limit` of them, in order.
pub(super) fn walk_hashes(
    connection: &Connection,
    shard: ShardId,
    after: Seq,
    limit: usize,
    mut visit: impl FnMut(Seq, &Hash) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let sql = "SELECT position, hash FROM commit_record
               WHERE position > ?1 AND position <= ?2 ORDER BY position LIMIT ?3";
    let mut statement = connection.prepare_cached(sql).map_err(|error| store(&error))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let range = params![position(shard, after), position(shard, Seq(SEQ_MAX)), limit];
    let mut rows = statement.query(range).map_err(|error| store(&error))?;
    let mut last = after;
    while let Some(row) = rows.next().map_err(|error| broken(&error, last.next()))? {
        let seq = seq_of(row.get(0).map_err(|error| broken(&error, last.next()))?);
        let hash = row.get_ref(1).map_err(|error| broken(&error, seq))?;
        let hash = hash.as_blob().map_err(|error| broken(&error.into(), seq))?;
        let hash = hash
            .try_into()
            .map_err(|_| damaged(seq, "the hash has not 32 bytes".to_owned()))?;
        visit(seq, hash)?;
        last = seq;
    }
    Ok(())
}

/// What is known of a shard; nothing if it never had an owner.
pub(super) fn owned(connection: &Connection, shard: ShardId) -> Result<Option<Owned>, ReadError> {
    let sql = "SELECT epoch, head, hash, batch_id FROM shard_head WHERE shard = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(|error| store(&error))?;
    let row = statement.query_row(params![shard.0], |row| {
        let (epoch, head): (i64, i64) = (row.get(0)?, row.get(1)?);
        let hash: Option<Hash> = row.get_ref(2)?.as_blob()?.try_into().ok();
        let batch = row.get_ref(3)?.as_blob_or_null()?.map(<[u8; 16]>::try_from);
        Ok((epoch, head, hash, batch))
    });
    let Some((epoch, head, hash, batch)) = row.optional().map_err(|error| store(&error))? else {
        return Ok(None);
    };
    let seq = Seq(head.cast_unsigned());
    let (Some(hash), Ok(batch)) = (hash, batch.transpose()) else {
        return Err(damaged(
            seq,
            "the head's hash or batch has the wrong size".to_owned(),
        ));
    };
    let head = Head {
        seq,
        hash,
        epoch: Epoch(epoch.cast_unsigned()),
    };
    Ok(Some(Owned {
        head,
        last_batch: batch.map(u128::from_be_bytes),
    }))
}

/// An error of the store that says nothing about the journal.
pub(super) fn store(error: &rusqlite::Error) -> ReadError {
    ReadError::Store(error.to_string())
}

/// An error met while reading one record.
fn broken(error: &rusqlite::Error, seq: Seq) -> ReadError {
    use rusqlite::{Error, ErrorCode};
    let is_damage = match error {
        Error::InvalidColumnType(..)
        | Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..) => true,
        other => matches!(
            other.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        ),
    };
    if is_damage {
        damaged(seq, error.to_string())
    } else {
        store(error)
    }
}

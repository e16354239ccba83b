//! Owns looking at a journal's file without owning the journal: beside the node that runs on it, or while none does. Nothing here waits in the
//! queue of the node's own reads.

use super::OpenError;
use super::tables::{self, open_for_reading, owned, store, verifier_after};
use crate::data_dir::JOURNAL;
use crate::journal::chain::damaged;
use crate::journal::walk::{Page, RawPage, RawRecord, StoredJournal, Walk};
use crate::journal::{PAGE_BYTES_MAX, PageRoom};
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{Head, ReadError};
use rusqlite::Connection;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Records that are read at once, fewer if they are large. Each page is a transaction of its own: a longer one would keep the log from being copied into the file.
const PAGE: usize = 1024;

/// A journal's file, for reading.
#[derive(Debug)]
pub struct JournalFile {
    connection: Connection,
}

impl JournalFile {
    /// Whether a data directory has one.
    pub fn is_in(data_dir: &Path) -> bool {
        data_dir.join(JOURNAL).exists()
    }

    /// Opens the journal of a data directory, which must have one.
    pub fn open(data_dir: &Path) -> Result<Self, OpenError> {
        Self::open_file(data_dir.join(JOURNAL))
    }

    /// The same of a file by its own name.
    pub(crate) fn open_file(path: PathBuf) -> Result<Self, OpenError> {
        let connection = open_for_reading(&path)?;
        let found: i64 = connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(|error| OpenError::Store {
                path,
                why: error.to_string(),
            })?;
        if found != tables::VERSION {
            let known = tables::VERSION;
            return Err(OpenError::Version { found, known });
        }
        Ok(Self { connection })
    }

    /// The shards that ever had an owner.
    pub fn shards(&self) -> Result<Vec<ShardId>, ReadError> {
        let read = || -> rusqlite::Result<Vec<ShardId>> {
            let sql = "SELECT shard FROM shard_head ORDER BY shard";
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| row.get(0).map(ShardId))?;
            rows.collect()
        };
        read().map_err(|error| store(&error))
    }

    /// The end of a shard's journal.
    pub fn head(&self, shard: ShardId) -> Result<Head, ReadError> {
        Ok(owned(&self.connection, shard)?
            .map(|owned| owned.head)
            .unwrap_or_default())
    }

    /// The chain hash of a commit, as it is stored.
    pub fn hash_at(&self, shard: ShardId, seq: Seq) -> Result<Option<[u8; 32]>, ReadError> {
        Ok(tables::link_at(&self.connection, shard, seq)?.map(|(_, hash)| hash))
    }

    /// Shows the chain hashes after `after` up to `until`, in order, as they are stored: not verified, and much faster for it.
    pub fn hashes(
        &self,
        shard: ShardId,
        after: Seq,
        until: Seq,
        mut visit: impl FnMut(Seq, &[u8; 32]),
    ) -> Result<(), ReadError> {
        let mut last = after;
        while last < until {
            let limit = PAGE.min(usize::try_from(until.0 - last.0).unwrap_or(PAGE));
            let before = last;
            tables::walk_hashes(&self.connection, shard, before, limit, |seq, hash| {
                let expected = last.next();
                if seq != expected {
                    return Err(damaged(
                        expected,
                        format!("the record is missing; the next one is {seq}"),
                    ));
                }
                visit(seq, hash);
                last = seq;
                Ok(())
            })?;
            if last == before {
                return Err(damaged(last.next(), "the record is missing".to_owned()));
            }
        }
        Ok(())
    }

    /// Walks along the records after `after`, each verified, and at the end compares with the head.
    pub fn walk(&self, shard: ShardId, after: Seq) -> Result<Walk<'_>, ReadError> {
        let verifier = verifier_after(&self.connection, shard, after)?;
        Ok(Walk::new(self, shard, verifier, self.head(shard)?))
    }

    /// Whether it holds more than one record that belongs to other shards.
    pub(crate) fn has_other_shards(&self, shard: ShardId) -> Result<bool, ReadError> {
        let sql = "SELECT count(*) FROM
                   (SELECT 1 FROM commit_record WHERE position <= ?1 OR position > ?2 LIMIT 2)";
        let range = [Seq::ZERO, Seq(tables::SEQ_MAX)].map(|seq| tables::position(shard, seq));
        let count: i64 = self
            .connection
            .query_row(sql, range, |row| row.get(0))
            .map_err(|error| store(&error))?;
        Ok(count > 1)
    }

    /// The head and the records after `after` in one state of the file.
    fn page(&self, shard: ShardId, after: Seq) -> Result<Page, ReadError> {
        let state = self
            .connection
            .unchecked_transaction()
            .map_err(|error| store(&error))?;
        let head = owned(&state, shard)?.map(|owned| owned.head).unwrap_or_default();
        Ok(Page {
            head,
            raw: raw_page(&state, shard, after),
        })
    }
}

impl StoredJournal for JournalFile {
    fn head(&self, shard: ShardId) -> Result<Head, ReadError> {
        Self::head(self, shard)
    }

    fn hash_at(&self, shard: ShardId, seq: Seq) -> Result<Option<[u8; 32]>, ReadError> {
        Self::hash_at(self, shard, seq)
    }

    fn hashes(
        &self,
        shard: ShardId,
        after: Seq,
        until: Seq,
        visit: &mut dyn FnMut(Seq, &[u8; 32]),
    ) -> Result<(), ReadError> {
        Self::hashes(self, shard, after, until, visit)
    }

    fn walk(&self, shard: ShardId, after: Seq) -> Result<Walk<'_>, ReadError> {
        Self::walk(self, shard, after)
    }

    fn page(&self, shard: ShardId, after: Seq) -> Result<Page, ReadError> {
        Self::page(self, shard, after)
    }

    fn raw(&self, shard: ShardId, after: Seq) -> RawPage {
        raw_page(&self.connection, shard, after)
    }

    fn has_other_shards(&self, shard: ShardId) -> Result<bool, ReadError> {
        Self::has_other_shards(self, shard)
    }

    fn is_remote(&self) -> bool {
        false
    }
}

fn raw_page(connection: &Connection, shard: ShardId, after: Seq) -> RawPage {
    let mut records = Vec::with_capacity(PAGE);
    let mut room = PageRoom::of(PAGE_BYTES_MAX);
    let walked = tables::walk(connection, shard, after, PAGE, |seq, epoch, hash, bytes| {
        if !room.takes(bytes.len()) {
            return Ok(ControlFlow::Break(()));
        }
        records.push(RawRecord {
            seq,
            epoch,
            hash: hash.to_vec(),
            bytes: bytes.to_vec(),
        });
        Ok(ControlFlow::Continue(()))
    });
    RawPage {
        is_last: records.len() < PAGE && !room.is_full(),
        records,
        broken: walked.err(),
    }
}

//! Owns making a journal's file from records that exist already: bytes and hashes are copied, nothing is encoded, and only what follows is taken.

use super::OpenError;
use super::tables::{DDL, position};
use crate::journal::chain::{GENESIS, Hash, Verifier};
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::ReadError;
use rusqlite::{Connection, OpenFlags, params};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// A file that grows and that nobody uses yet. What is left of one after a crash is worth nothing.
#[derive(Debug)]
pub(crate) struct JournalBuilder {
    connection: Connection,
    path: PathBuf,
    shard: ShardId,
    verifier: Verifier,
    epoch: Epoch,
}

impl JournalBuilder {
    /// Begins a new file, in the place of an unfinished one.
    pub(crate) fn create(path: &Path, shard: ShardId) -> Result<Self, OpenError> {
        match fs::remove_file(path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                let path = path.to_owned();
                return Err(OpenError::Io { path, source });
            }
            Ok(()) | Err(_) => {}
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let begun = Connection::open_with_flags(path, flags).and_then(|connection| {
            // Nothing of it has to survive a crash before it is finished; then the whole file is synced.
            connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN;")?;
            connection.execute_batch(DDL)?;
            Ok(connection)
        });
        Ok(Self {
            connection: begun.map_err(|error| refused(path, &error))?,
            path: path.to_owned(),
            shard,
            verifier: Verifier::after(shard, Seq::ZERO, GENESIS, Epoch::default()),
            epoch: Epoch::default(),
        })
    }

    /// Takes the next record.
    pub(crate) fn push(
        &mut self,
        seq: Seq,
        epoch: Epoch,
        hash: &[u8],
        bytes: &[u8],
    ) -> Result<(), ReadError> {
        self.verifier.follow(seq, epoch, hash, bytes)?;
        self.epoch = epoch;
        let sql = "INSERT INTO commit_record (position, epoch, hash, bytes) VALUES (?1, ?2, ?3, ?4)";
        let row = params![position(self.shard, seq), epoch.0.cast_signed(), hash, bytes];
        let inserted = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut insert| insert.execute(row));
        inserted
            .map(drop)
            .map_err(|error| ReadError::Store(error.to_string()))
    }

    /// Has whoever opens the file count epochs on from at least this one.
    pub(crate) fn reached(&mut self, epoch: Epoch) {
        self.epoch = self.epoch.max(epoch);
    }

    /// Writes the end and makes the file durable; answers last commit and hash.
    pub(crate) fn finish(self) -> Result<(Seq, Hash), OpenError> {
        let (end, hash) = (self.verifier.last(), self.verifier.hash());
        let sql = "INSERT INTO shard_head (shard, epoch, head, hash) VALUES (?1, ?2, ?3, ?4)";
        let row = params![
            self.shard.0,
            self.epoch.0.cast_signed(),
            end.0.cast_signed(),
            hash
        ];
        let done = self
            .connection
            .execute(sql, row)
            .and_then(|_| self.connection.execute_batch("COMMIT"));
        done.map_err(|error| refused(&self.path, &error))?;
        self.connection
            .close()
            .map_err(|(_, error)| refused(&self.path, &error))?;
        let path = self.path;
        let synced = File::open(&path).and_then(|file| file.sync_all());
        synced.map_err(|source| OpenError::Io { path, source })?;
        Ok((end, hash))
    }
}

fn refused(path: &Path, error: &rusqlite::Error) -> OpenError {
    OpenError::Store {
        path: path.to_owned(),
        why: error.to_string(),
    }
}

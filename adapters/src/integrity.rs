//! Owns the check over three sources and the repair: the journal, its byte replica and an export are verified each for itself and compared record by
//! record, the views are compared with their fold, and what differs is restored from what does not.
//!
//! # Layout
//! * [`compare`] says which source differs, and where; `lanes` is one source each, `heads` what was signed
//! * [`plan`] decides what can be done, and what a person must decide; `splice` is the restored journal, record by record
//! * [`mend`] does it in a folder, [`restore`] in a database; `swap` puts a new journal into the place of the old one; [`unfinished`] notes that it is under way
//! * [`lost`] is what is known of a shard whose folder is gone

pub mod compare;
mod heads;
mod lanes;
pub mod lost;
pub mod mend;
pub mod plan;
pub mod restore;
mod splice;
mod swap;
#[cfg(test)]
mod tests;
pub mod unfinished;

use crate::audit::key::PublicKey;
use crate::journal::{OpenError, StoredJournal};
use crate::replica::follower::ReplicaError;
use crate::replica::noted_end;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::ReadError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Where the copies of one shard's journal are.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// The data folder with the journal and the views.
    pub data_dir: &'a Path,
    /// Which shard.
    pub shard: ShardId,
    /// The folder of the signed heads.
    pub heads: &'a Path,
    /// With which key they are checked; without one nobody knows what was signed.
    pub key: Option<PublicKey>,
    /// The journal, if it is in a database; the data folder has only the views then.
    pub database: Option<&'a dyn StoredJournal>,
    /// The replica, if there is one.
    pub replica: Option<Replica<'a>>,
    /// The export, if there is one.
    pub export: Option<&'a Path>,
}

/// Where the replica is.
#[derive(Clone, Copy, Debug)]
pub enum Replica<'a> {
    /// The files in which a node keeps the bytes of its own journal.
    Folder(&'a Path),
    /// A server that follows the database.
    Standby(&'a dyn StoredJournal),
}

impl Places<'_> {
    /// Whether a source is somewhere else, so that it may be out of reach and whole.
    fn is_remote(&self, source: Source) -> bool {
        match source {
            Source::Primary => self.database.is_some_and(StoredJournal::is_remote),
            Source::Replica => match self.replica {
                Some(Replica::Standby(journal)) => journal.is_remote(),
                Some(Replica::Folder(_)) | None => false,
            },
            Source::Audit => false,
        }
    }

    /// How far the replica in files is noted to have come.
    fn noted_end(&self) -> Option<Seq> {
        match self.database {
            Some(_) => None,
            None => noted_end(self.data_dir),
        }
    }

    /// The folder of the replica, if that is where it is.
    fn replica_folder(&self) -> Option<&Path> {
        match self.replica {
            Some(Replica::Folder(folder)) => Some(folder),
            Some(Replica::Standby(_)) | None => None,
        }
    }
}

/// A copy of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The journal that the node runs on.
    Primary,
    /// Its byte replica.
    Replica,
    /// The audit export.
    Audit,
}

impl Source {
    /// Its name in results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
            Self::Audit => "audit",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why nothing can be said or done.
#[derive(Debug, Error)]
pub enum IntegrityError {
    /// A file that is not a source cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A journal's file cannot be made or opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A source cannot be read any longer.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A source that is somewhere else cannot be read: that says nothing about what it has.
    #[error("the {0} cannot be read, so nothing is said about it: {1}")]
    Unreachable(Source, String),
    /// The replica cannot be written.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// The restored journal is not what it was planned to be; the old one is still in its place.
    #[error("the restored journal does not verify, and nothing was replaced: {0}")]
    NotRestored(String),
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> IntegrityError {
    let path = path.to_owned();
    |source| IntegrityError::Io { path, source }
}

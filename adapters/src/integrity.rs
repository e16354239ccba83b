//! Owns the check over three sources and the repair: the journal, its byte replica and an export are verified each for itself and compared record by
//! record, the views are compared with their fold, and what differs is restored from what does not.
//!
//! # Layout
//! * [`compare`] says which source differs, and where; `lanes` is one source each, `heads` what was signed
//! * [`plan`] decides what can be done, and what a person must decide; `splice` is the restored journal, record by record
//! * [`mend`] does it; `swap` puts a new journal into the place of the old one; [`unfinished`] notes that it is under way
//! * [`lost`] is what is known of a shard whose folder is gone

pub mod compare;
mod heads;
mod lanes;
pub mod lost;
pub mod mend;
pub mod plan;
mod splice;
mod swap;
#[cfg(test)]
mod tests;
pub mod unfinished;

use crate::audit::key::PublicKey;
use crate::journal::OpenError;
use crate::replica::follower::ReplicaError;
use florin_domain::ids::ShardId;
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
    /// The folder of the replica, if there is one.
    pub replica: Option<&'a Path>,
    /// The export, if there is one.
    pub export: Option<&'a Path>,
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

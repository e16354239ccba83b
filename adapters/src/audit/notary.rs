//! Owns signing for a running node: it follows the journal's end, and at the start it compares the journal with the newest signed head.
//!
//! It reads the file on a connection of its own, on a thread of its caller's, so that no payment ever waits for a signature.

use super::head::{SignedHead, TreeHead};
use super::heads::{self, BadLine, HeadsWriter};
use super::key::SigningKey;
use super::tree::Frontier;
use crate::journal::{JournalFile, OpenError};
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::ReadError;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a journal cannot be signed for.
#[derive(Debug, Error)]
pub enum NotaryError {
    /// The journal does not follow from the newest signed head, or cannot be read.
    #[error(transparent)]
    Journal(#[from] ReadError),
    /// The journal cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There may be a newer head than the newest that can be read.
    #[error(
        "the newest signed head may be hidden by {0}; run `florin audit verify`, then restore the signed heads, or put them away \
         to start without"
    )]
    Hidden(BadLine),
    /// Key or heads cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What a person should look at, though the node may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// This folder was signed for before, and no signed head is left to compare its journal with.
    HeadsMissing,
    /// A line among older heads is bad.
    BadHead(BadLine),
}

/// Signs for one shard.
#[derive(Debug)]
pub struct Notary {
    journal: JournalFile,
    shard: ShardId,
    key: SigningKey,
    writer: HeadsWriter,
    folder: PathBuf,
    tree: Frontier,
    signed: Seq,
}

impl Notary {
    /// Compares the journal of a shard, in a folder of its own or in the data directory, with the newest signed head, and is then ready
    /// to sign what follows. `progress` is told how many commits of how many have been read.
    pub fn open(
        data_dir: &Path,
        (shard, journal): (ShardId, &Path),
        folder: &Path,
        progress: &dyn Fn(u64, u64),
    ) -> Result<(Self, Vec<Notice>), NotaryError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            |source| NotaryError::Io { path, source }
        };
        let was_signed_for = SigningKey::exists(data_dir).map_err(io(data_dir))?;
        let key = SigningKey::load_or_create(data_dir).map_err(io(data_dir))?;
        let journal = JournalFile::open(journal)?;
        let newest = heads::newest(folder, shard, key.public()).map_err(io(folder))?;
        if let Some(bad) = newest.after.into_iter().next() {
            return Err(NotaryError::Hidden(bad));
        }
        let mut notices: Vec<Notice> = newest.before.into_iter().map(Notice::BadHead).collect();
        let end = journal.head(shard)?.seq;
        if newest.head.is_none() && was_signed_for && end > Seq::ZERO {
            notices.push(Notice::HeadsMissing);
        }
        let writer = HeadsWriter::open(folder, shard).map_err(io(folder))?;
        let mut notary = Self {
            journal,
            shard,
            key,
            writer,
            folder: folder.to_owned(),
            tree: newest.frontier,
            signed: Seq::ZERO,
        };
        match newest.head {
            Some(signed) => {
                notary.compare(&signed, end)?;
                notary.signed = signed.head.size;
                notary.read_up_to(end, progress)?;
            }
            None => notary.verify_all(progress)?,
        }
        Ok((notary, notices))
    }

    /// The shard that it signs for.
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// Refuses a journal that is not the one of which the head was signed.
    fn compare(&mut self, signed: &SignedHead, end: Seq) -> Result<(), ReadError> {
        let TreeHead { size, root, hash, .. } = signed.head;
        if end < size {
            let why = format!(
                "later commits are missing: a signed head of commit {size} exists, and the journal ends at commit {end}; restore a whole \
                 copy of the data folder"
            );
            return Err(ReadError::Damaged { seq: end.next(), why });
        }
        let other = || {
            let why = format!(
                "another commit {size} was signed: the journal was changed there or before, or lost its end and was written on since; \
                 `florin audit verify` says more; restore a whole copy of the data folder"
            );
            ReadError::Damaged { seq: size, why }
        };
        self.read_up_to(size, &|_, _| {})?;
        if self.journal.hash_at(self.shard, size)? != Some(hash) || self.tree.root() != root {
            return Err(other());
        }
        Ok(())
    }

    /// Grows the tree by records that may be old: a hash that has rotted must not be signed for, or a repaired journal would not fit.
    fn verify_all(&mut self, progress: &dyn Fn(u64, u64)) -> Result<(), ReadError> {
        let mut walk = self.journal.walk(self.shard, Seq::ZERO)?;
        while let Some(record) = walk.next() {
            let record = record?;
            self.tree.push(&record.hash);
            if record.seq.0.is_multiple_of(8192) {
                progress(record.seq.0, walk.head().seq.0);
            }
        }
        Ok(())
    }

    /// Grows the tree by the stored hashes: of records that this node wrote a moment ago, or whose root was signed.
    fn read_up_to(&mut self, until: Seq, progress: &dyn Fn(u64, u64)) -> Result<(), ReadError> {
        let after = Seq(self.tree.size());
        let total = until.0.saturating_sub(after.0);
        let tree = &mut self.tree;
        self.journal.hashes(self.shard, after, until, |seq, hash| {
            tree.push(hash);
            let done = seq.0 - after.0;
            if done.is_multiple_of(8192) {
                progress(done, total);
            }
        })
    }

    /// The last commit that is signed for.
    pub fn signed(&self) -> Seq {
        self.signed
    }

    /// Signs what the journal has by now, and makes that durable; nothing if it has not grown.
    pub fn sign(&mut self, now_ms: u64) -> Result<Option<SignedHead>, NotaryError> {
        let end = self.journal.head(self.shard)?;
        if end.seq < self.signed {
            let why = format!(
                "later commits are missing: they were signed for up to commit {}",
                self.signed
            );
            return Err(ReadError::Damaged {
                seq: end.seq.next(),
                why,
            }
            .into());
        }
        if end.seq == self.signed {
            return Ok(None);
        }
        self.read_up_to(end.seq, &|_, _| {})?;
        if Seq(self.tree.size()) != end.seq || self.journal.hash_at(self.shard, end.seq)? != Some(end.hash) {
            let why = "the hash is not the head's".to_owned();
            return Err(ReadError::Damaged { seq: end.seq, why }.into());
        }
        let head = TreeHead {
            shard: self.shard,
            size: end.seq,
            root: self.tree.root(),
            hash: end.hash,
            signed_at_ms: now_ms,
        };
        let signed = SignedHead::sign(head, &self.key);
        let io = |source| NotaryError::Io {
            path: self.folder.clone(),
            source,
        };
        self.writer.append(&signed, &self.tree).map_err(io)?;
        self.signed = end.seq;
        Ok(Some(signed))
    }
}

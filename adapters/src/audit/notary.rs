//! Owns signing for a running node: it follows the journal's end, and at the start it compares the journal with the newest signed head.
//!
//! It reads the journal on a connection of its own, on a thread of its caller's, so that no payment ever waits for a signature.
//!
//! A journal in a database has commits of other nodes, which this one has not read. They are verified before they are signed for, but not at the start:
//! whoever takes the place of a node that is gone must not be kept from it by a long journal.

use super::head::{SignedHead, TreeHead};
use super::heads::{self, BadLine, HeadsWriter};
use super::key::SigningKey;
use super::tree::Frontier;
use crate::folder_note;
use crate::journal::{JournalFile, OpenError, StoredJournal};
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{Head, ReadError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// The note in a data folder that heads of a shard in a database were signed here; the number of the shard follows. The key says that of an embedded
/// journal, but is the same for all nodes of a database.
const SIGNED_FOR: &str = "signed_for";

/// Records of other nodes that are verified before a look is taken at whether to stop.
const CAUGHT_UP_AT_ONCE: usize = 8192;

/// A journal that is read by the thread that signs.
type Journal = Box<dyn StoredJournal + Send>;

/// Signs for one shard.
#[derive(Debug)]
pub struct Notary {
    journal: Journal,
    shard: ShardId,
    key: SigningKey,
    writer: HeadsWriter,
    folder: PathBuf,
    tree: Frontier,
    signed: Seq,
    /// Up to where records may be those of other nodes.
    unverified: Option<Seq>,
    /// Up to where this node may sign, if that is not the journal's end.
    acknowledged: Option<Arc<AtomicU64>>,
    /// Where it is to be noted, and under which name, that heads were signed here.
    to_note: Option<(PathBuf, String)>,
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
        let journal = Box::new(JournalFile::open(journal)?);
        let (mut notary, newest, end, notices) =
            Self::begin(data_dir, (shard, journal), folder, was_signed_for)?;
        match newest {
            Some(signed) => {
                notary.compare(&signed, end)?;
                notary.signed = signed.head.size;
                notary.read_up_to(end, progress)?;
            }
            None => notary.verify_all(progress)?,
        }
        Ok((notary, notices))
    }

    /// The same of a journal that other nodes may have written as well. This folder's heads are those that its own node has signed, so they may be
    /// older than those of others: what the journal has behind them is verified later, before it is signed for. Of what this node appends only that is
    /// signed for which is `acknowledged`: a head of a commit that a failover loses, and of which nobody was told, would refuse the next start.
    pub fn open_shared(
        data_dir: &Path,
        (shard, journal): (ShardId, Journal),
        acknowledged: Arc<AtomicU64>,
        folder: &Path,
    ) -> Result<(Self, Vec<Notice>), NotaryError> {
        let io = |source| NotaryError::Io {
            path: data_dir.to_owned(),
            source,
        };
        let note = format!("{SIGNED_FOR}-{:04}", shard.0);
        let was_signed_for = folder_note::read(data_dir, &note).map_err(io)?.is_some();
        let (mut notary, newest, end, notices) =
            Self::begin(data_dir, (shard, journal), folder, was_signed_for)?;
        if !was_signed_for {
            notary.to_note = Some((data_dir.to_owned(), note));
        }
        if let Some(signed) = newest {
            notary.compare(&signed, end)?;
            notary.signed = signed.head.size;
        }
        notary.unverified = Some(Seq(acknowledged.load(Ordering::Acquire)));
        notary.acknowledged = Some(acknowledged);
        Ok((notary, notices))
    }

    /// What is the same wherever the journal is: with the newest head, and where the journal ends.
    fn begin(
        data_dir: &Path,
        (shard, journal): (ShardId, Journal),
        folder: &Path,
        was_signed_for: bool,
    ) -> Result<(Self, Option<SignedHead>, Seq, Vec<Notice>), NotaryError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            |source| NotaryError::Io { path, source }
        };
        let key = SigningKey::load_or_create(data_dir).map_err(io(data_dir))?;
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
        let notary = Self {
            journal,
            shard,
            key,
            writer,
            folder: folder.to_owned(),
            tree: newest.frontier,
            signed: Seq::ZERO,
            unverified: None,
            acknowledged: None,
            to_note: None,
        };
        Ok((notary, newest.head, end, notices))
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
        self.journal.hashes(self.shard, after, until, &mut |seq, hash| {
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

    /// Grows the tree by some of the records that other nodes have written, each verified. Whether none is left.
    fn catch_up(&mut self, until: Seq) -> Result<bool, ReadError> {
        let after = Seq(self.tree.size());
        if after >= until {
            return Ok(true);
        }
        // Not behind that: what is there may not be acknowledged yet.
        let left = usize::try_from(until.0 - after.0).unwrap_or(CAUGHT_UP_AT_ONCE);
        let some = left.min(CAUGHT_UP_AT_ONCE);
        for record in self.journal.walk(self.shard, after)?.take(some) {
            self.tree.push(&record?.hash);
        }
        Ok(Seq(self.tree.size()) >= until)
    }

    /// Where what may be signed for ends.
    fn end(&self) -> Result<Head, ReadError> {
        let head = self.journal.head(self.shard)?;
        let acknowledged = self.acknowledged.as_ref();
        let Some(seq) = acknowledged.map(|end| Seq(end.load(Ordering::Acquire))) else {
            return Ok(head);
        };
        if seq >= head.seq {
            return Ok(head);
        }
        let hash = self.journal.hash_at(self.shard, seq)?;
        Ok(Head {
            seq,
            hash: hash.unwrap_or_default(),
            ..head
        })
    }

    /// Signs what the journal has by now, and makes that durable; nothing if it has not grown, or if what other nodes have written is not all
    /// verified yet.
    pub fn sign(&mut self, now_ms: u64) -> Result<Option<SignedHead>, NotaryError> {
        if let Some(until) = self.unverified {
            if !self.catch_up(until)? {
                return Ok(None);
            }
            self.unverified = None;
        }
        let end = self.end()?;
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
        if let Some((data_dir, note)) = &self.to_note {
            folder_note::write(data_dir, note, "heads").map_err(io)?;
            self.to_note = None;
        }
        Ok(Some(signed))
    }
}

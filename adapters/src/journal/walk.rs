//! Owns looking at a journal that somebody else may own: what every place where journals are kept can be asked, and the walk along its records, which
//! verifies each.

use super::chain::{Hash, Verifier};
use florin_domain::commit::Commit;
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::{Head, ReadError};
use std::fmt;
use std::vec;

/// A journal for reading, beside the node that runs on it or while none does. Whoever asks waits for the answer on its own thread.
pub trait StoredJournal: fmt::Debug {
    /// The end of a shard's journal.
    fn head(&self, shard: ShardId) -> Result<Head, ReadError>;

    /// The chain hash of a commit, as it is stored.
    fn hash_at(&self, shard: ShardId, seq: Seq) -> Result<Option<[u8; 32]>, ReadError>;

    /// Shows the chain hashes after `after` up to `until`, in order, as they are stored: not verified, and much faster for it.
    fn hashes(
        &self,
        shard: ShardId,
        after: Seq,
        until: Seq,
        visit: &mut dyn FnMut(Seq, &[u8; 32]),
    ) -> Result<(), ReadError>;

    /// Walks along the records after `after`, each verified, and at the end compares with the head.
    fn walk(&self, shard: ShardId, after: Seq) -> Result<Walk<'_>, ReadError>;

    /// The head and the records after `after` in one state of the journal.
    fn page(&self, shard: ShardId, after: Seq) -> Result<Page, ReadError>;

    /// The records after `after` as they are stored, whatever they are worth.
    fn raw(&self, shard: ShardId, after: Seq) -> RawPage;

    /// Whether it holds records of other shards where only those of this one belong.
    fn has_other_shards(&self, shard: ShardId) -> Result<bool, ReadError>;

    /// Whether a failure to read it says nothing about what is stored, because it is somewhere else.
    fn is_remote(&self) -> bool;
}

/// A record as it is stored, verified.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRecord {
    /// Where it stands.
    pub seq: Seq,
    /// Under which epoch it was appended.
    pub epoch: Epoch,
    /// The hash of the record before.
    pub prev: [u8; 32],
    /// Its own hash.
    pub hash: [u8; 32],
    /// What is stored.
    pub bytes: Vec<u8>,
    /// What the bytes say.
    pub commit: Commit,
}

/// Records that were read at once, and the journal's end as it was then.
#[derive(Debug)]
pub struct Page {
    /// The end.
    pub head: Head,
    /// The records.
    pub raw: RawPage,
}

/// Records that were read at once.
#[derive(Debug)]
pub struct RawPage {
    /// In their order.
    pub records: Vec<RawRecord>,
    /// What kept it from reading more of them.
    pub broken: Option<ReadError>,
    /// Whether the journal has no more of them.
    pub is_last: bool,
}

/// A record as it is stored, not verified.
#[derive(Clone, Debug)]
pub struct RawRecord {
    /// Where it stands.
    pub seq: Seq,
    /// Under which epoch it was appended.
    pub epoch: Epoch,
    /// Its hash.
    pub hash: Vec<u8>,
    /// What is stored.
    pub bytes: Vec<u8>,
}

/// A walk along a journal. It ends with the first error.
#[derive(Debug)]
pub struct Walk<'a> {
    journal: &'a dyn StoredJournal,
    shard: ShardId,
    verifier: Verifier,
    page: vec::IntoIter<RawRecord>,
    /// Met behind the page.
    broken: Option<ReadError>,
    head: Head,
    is_last_page: bool,
    has_ended: bool,
}

impl<'a> Walk<'a> {
    /// Begins behind the record at which the verifier stands.
    pub(super) fn new(
        journal: &'a dyn StoredJournal,
        shard: ShardId,
        verifier: Verifier,
        head: Head,
    ) -> Self {
        Self {
            journal,
            shard,
            verifier,
            page: Vec::new().into_iter(),
            broken: None,
            head,
            is_last_page: false,
            has_ended: false,
        }
    }

    /// The journal's end, as it was when the walk last looked.
    pub fn head(&self) -> Head {
        self.head
    }

    fn step(&mut self) -> Result<Option<StoredRecord>, ReadError> {
        loop {
            if let Some(raw) = self.page.next() {
                let prev: Hash = self.verifier.hash();
                let commit = self.verifier.accept(raw.seq, raw.epoch, &raw.hash, &raw.bytes)?;
                return Ok(Some(StoredRecord {
                    seq: raw.seq,
                    epoch: raw.epoch,
                    prev,
                    hash: self.verifier.hash(),
                    bytes: raw.bytes,
                    commit,
                }));
            }
            if let Some(error) = self.broken.take() {
                return Err(error);
            }
            if self.is_last_page {
                self.verifier
                    .finish(self.head.seq, &self.head.hash, self.head.epoch)?;
                return Ok(None);
            }
            let page = self.journal.page(self.shard, self.verifier.last())?;
            (self.head, self.is_last_page) = (page.head, page.raw.is_last);
            (self.page, self.broken) = (page.raw.records.into_iter(), page.raw.broken);
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<StoredRecord, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let step = self.step();
        self.has_ended = !matches!(step, Ok(Some(_)));
        step.transpose()
    }
}

//! Owns the hash chain: what a record's hash covers, how a batch is sealed, and how records are verified when they are read.

use crate::schema;
use florin_domain::commit::Commit;
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::{Batch, ReadError};
use sha2::{Digest, Sha256};
use std::ops::Range;

/// The hash of a record.
pub(crate) type Hash = [u8; 32];

/// What the first record follows.
pub(crate) const GENESIS: Hash = [0; 32];

/// Bytes of a record's header: previous hash, shard, seq, epoch, length.
const HEADER_BYTES: usize = 32 + 2 + 8 + 8 + 8;

/// Where a record stands; integers are little-endian in its hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) shard: ShardId,
    pub(super) seq: Seq,
    pub(super) epoch: Epoch,
}

/// SHA-256 over header and bytes. The header has a fixed size and says how many bytes follow, so no two records hash alike.
fn link(prev: &Hash, place: Place, bytes: &[u8]) -> Hash {
    let mut sha = Sha256::new();
    sha.update(header(prev, place, bytes.len()));
    sha.update(bytes);
    sha.finalize().into()
}

fn header(prev: &Hash, place: Place, len: usize) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let (hash, rest) = header.split_at_mut(32);
    let (shard, rest) = rest.split_at_mut(2);
    let (seq, rest) = rest.split_at_mut(8);
    let (epoch, length) = rest.split_at_mut(8);
    hash.copy_from_slice(prev);
    shard.copy_from_slice(&place.shard.0.to_le_bytes());
    seq.copy_from_slice(&place.seq.0.to_le_bytes());
    epoch.copy_from_slice(&place.epoch.0.to_le_bytes());
    length.copy_from_slice(&(len as u64).to_le_bytes());
    header
}

/// The encoded and chained records of one batch. Kept between batches for its memory.
#[derive(Debug, Default)]
pub(super) struct Sealed {
    bytes: Vec<u8>,
    records: Vec<(Range<usize>, Hash)>,
}

/// A record ready to be stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) seq: Seq,
    pub(super) hash: &'a Hash,
    pub(super) bytes: &'a [u8],
}

impl Sealed {
    /// Encodes the commits and chains them to `prev`; answers the last hash.
    pub(super) fn seal(&mut self, batch: &Batch, prev: Hash) -> Hash {
        self.bytes.clear();
        self.records.clear();
        let mut last = prev;
        for commit in batch.commits.iter() {
            let start = self.bytes.len();
            schema::encode(commit, &mut self.bytes);
            let range = start..self.bytes.len();
            let place = Place {
                shard: batch.shard,
                seq: commit.seq,
                epoch: batch.epoch,
            };
            last = link(&last, place, &self.bytes[range.clone()]);
            self.records.push((range, last));
        }
        last
    }

    /// The records in order; `after` is the head that they follow.
    pub(super) fn records(&self, after: Seq) -> impl ExactSizeIterator<Item = Record<'_>> {
        let mut seq = after;
        self.records.iter().map(move |(range, hash)| {
            seq = seq.next();
            Record {
                seq,
                hash,
                bytes: &self.bytes[range.clone()],
            }
        })
    }

    /// Bytes of all records.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// Walks along the chain and accepts only what follows.
#[derive(Clone, Debug)]
pub(crate) struct Verifier {
    shard: ShardId,
    last: Seq,
    hash: Hash,
    epoch: Epoch,
}

impl Verifier {
    /// Expects the record after `last`, whose hash and epoch are given.
    pub(crate) fn after(shard: ShardId, last: Seq, hash: Hash, epoch: Epoch) -> Self {
        Self {
            shard,
            last,
            hash,
            epoch,
        }
    }

    /// The last accepted record.
    pub(crate) fn last(&self) -> Seq {
        self.last
    }

    /// Its hash.
    pub(crate) fn hash(&self) -> Hash {
        self.hash
    }

    /// Accepts the record found at `seq`, or says where the journal is damaged.
    pub(crate) fn accept(
        &mut self,
        seq: Seq,
        epoch: Epoch,
        hash: &[u8],
        bytes: &[u8],
    ) -> Result<Commit, ReadError> {
        let link = self.linked(seq, epoch, hash, bytes)?;
        let commit =
            schema::decode(self.shard, seq, bytes).map_err(|error| damaged(seq, error.to_string()))?;
        (self.last, self.hash, self.epoch) = (seq, link, epoch);
        Ok(commit)
    }

    /// Goes past a record that was accepted at this very place before.
    pub(super) fn pass(&mut self, seq: Seq, epoch: Epoch, hash: Hash) {
        (self.last, self.hash, self.epoch) = (seq, hash, epoch);
    }

    /// The same where nobody asks what the bytes say.
    pub(crate) fn follow(
        &mut self,
        seq: Seq,
        epoch: Epoch,
        hash: &[u8],
        bytes: &[u8],
    ) -> Result<(), ReadError> {
        let link = self.linked(seq, epoch, hash, bytes)?;
        (self.last, self.hash, self.epoch) = (seq, link, epoch);
        Ok(())
    }

    /// The hash of the record found at `seq`, if it is the next one.
    fn linked(&self, seq: Seq, epoch: Epoch, hash: &[u8], bytes: &[u8]) -> Result<Hash, ReadError> {
        let expected = self.last.next();
        if seq != expected {
            return Err(damaged(
                expected,
                format!("the record is missing; the next one is {seq}"),
            ));
        }
        if epoch < self.epoch {
            return Err(damaged(
                seq,
                format!("epoch {} follows epoch {}", epoch.0, self.epoch.0),
            ));
        }
        let place = Place {
            shard: self.shard,
            seq,
            epoch,
        };
        let link = link(&self.hash, place, bytes);
        if link == hash {
            Ok(link)
        } else {
            let why = "the hash does not follow from the record before and the bytes";
            Err(damaged(seq, why.to_owned()))
        }
    }

    /// Checks that a walk to the journal's end came to its head.
    pub(crate) fn finish(&self, head: Seq, hash: &Hash, epoch: Epoch) -> Result<(), ReadError> {
        if self.last < head {
            return Err(damaged(
                self.last.next(),
                format!("the record is missing; the head is {head}"),
            ));
        }
        if self.last > head {
            return Err(damaged(
                self.last,
                format!("the record stands after the head, which is {head}"),
            ));
        }
        if self.hash != *hash {
            return Err(damaged(head, "the hash is not the head's".to_owned()));
        }
        if self.epoch > epoch {
            return Err(damaged(
                head,
                format!("epoch {} is later than the head's {}", self.epoch.0, epoch.0),
            ));
        }
        Ok(())
    }
}

/// Damage at a record.
pub(crate) fn damaged(seq: Seq, why: String) -> ReadError {
    ReadError::Damaged { seq, why }
}

//! Owns proofs: files that show that records are in a journal to somebody who has only the public key.

use super::head::{HeadForm, SignedHead};
use super::heads::HeadsReader;
use super::hex::{self, Hex};
use super::key::PublicKey;
use super::tree::PathBuilder;
use crate::journal::{StoredJournal, StoredRecord};
use crate::schema;
use florin_domain::commit::{Body, Commit};
use florin_domain::ids::{PaymentId, Seq, ShardId};
use florin_domain::ports::ReadError;
use serde::Serialize;
use serde_json::{Value, json};
use std::io;
use thiserror::Error;

/// Why there is no proof.
#[derive(Debug, Error)]
pub enum ProofError {
    /// The journal is damaged, or cannot be read.
    #[error(transparent)]
    Journal(#[from] ReadError),
    /// The signed heads cannot be read.
    #[error("the signed heads cannot be read: {0}")]
    Heads(#[from] io::Error),
    /// There is no such commit.
    #[error("the journal has no commit {0}")]
    NoCommit(Seq),
    /// There is no such payment.
    #[error("the journal has no payment {0}")]
    NoPayment(PaymentId),
    /// Nothing is signed yet, or not far enough.
    #[error(
        "commit {0} is not signed for yet: a running node does so within a second, a stopped one when it starts"
    )]
    NotSigned(Seq),
    /// The journal does not fit its signed heads.
    #[error("the journal is not the one of the signed head of commit {0}: see `florin audit verify`")]
    OtherJournal(Seq),
    /// No head was signed just then.
    #[error("no head of commit {size} was signed; the ones next to it are of {before} and {after}")]
    NoHead {
        /// The commit asked for.
        size: Seq,
        /// The last one before, or 0.
        before: Seq,
        /// The first one after, or 0.
        after: Seq,
    },
    /// A signature for money that cannot be.
    #[error("the payment's amounts are out of range")]
    Amount,
}

/// What is to be proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One commit.
    Commit(Seq),
    /// All commits of a payment.
    Payment(PaymentId),
}

/// A record with its place in the tree.
#[derive(Clone, Debug, Serialize)]
pub struct RecordForm {
    seq: u64,
    epoch: u64,
    prev_hash: Hex<32>,
    hash: Hex<32>,
    bytes: String,
    path: Vec<Hex<32>>,
}

/// That the tree of the head begins with the tree of an older one.
#[derive(Clone, Debug, Serialize)]
pub struct ConsistencyForm {
    head: HeadForm,
    path: Vec<Hex<32>>,
}

/// A proof as it is written.
#[derive(Clone, Debug, Serialize)]
pub struct ProofForm {
    object: &'static str,
    version: u8,
    public_key: Hex<32>,
    head: HeadForm,
    records: Vec<RecordForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consistency: Option<ConsistencyForm>,
}

/// The signed heads that a proof needs.
#[derive(Clone, Copy, Debug)]
pub struct ProofHeads {
    /// The newest one, in whose tree the records are shown.
    pub head: SignedHead,
    /// The older one that it is shown to follow from.
    pub older: Option<SignedHead>,
}

/// Finds the heads for a proof. Lines that are no heads are passed over: `florin audit verify` is there to report them.
pub fn heads_for(reader: HeadsReader, older: Option<Seq>) -> Result<ProofHeads, ProofError> {
    let (mut newest, mut found): (Option<SignedHead>, Option<SignedHead>) = (None, None);
    let (mut before, mut after) = (Seq::ZERO, Seq::ZERO);
    for line in reader {
        let Ok(kept) = line? else { continue };
        let size = kept.signed.head.size;
        if let Some(wanted) = older {
            if size == wanted {
                found = Some(kept.signed);
            } else if size < wanted {
                before = before.max(size);
            } else if after == Seq::ZERO {
                after = size;
            }
        }
        newest = Some(kept.signed);
    }
    match (older, found, newest) {
        (_, _, None) => Err(ProofError::NotSigned(Seq(1))),
        (Some(size), None, Some(_)) => Err(ProofError::NoHead { size, before, after }),
        (_, older, Some(head)) => Ok(ProofHeads { head, older }),
    }
}

/// The records of a subject, verified, up to a signed head.
pub fn records_of(
    journal: &dyn StoredJournal,
    shard: ShardId,
    subject: Subject,
    head: &SignedHead,
) -> Result<Vec<StoredRecord>, ProofError> {
    let signed = head.head.size;
    let found = match subject {
        Subject::Commit(seq) => {
            if seq == Seq::ZERO || seq > journal.head(shard)?.seq {
                return Err(ProofError::NoCommit(seq));
            }
            let mut walk = journal.walk(shard, Seq(seq.0 - 1))?;
            vec![walk.next().ok_or(ProofError::NoCommit(seq))??]
        }
        Subject::Payment(id) => {
            let is_of = |record: &Result<StoredRecord, ReadError>| {
                record
                    .as_ref()
                    .map_or(true, |record| payment_of(&record.commit) == Some(id))
            };
            let found: Result<Vec<_>, _> = journal.walk(shard, Seq::ZERO)?.filter(is_of).collect();
            found?
        }
    };
    match (found.last(), subject) {
        (None, Subject::Payment(id)) => Err(ProofError::NoPayment(id)),
        (None, Subject::Commit(seq)) => Err(ProofError::NoCommit(seq)),
        (Some(last), _) if last.seq > signed => Err(ProofError::NotSigned(last.seq)),
        (Some(_), _) => Ok(found),
    }
}

fn payment_of(commit: &Commit) -> Option<PaymentId> {
    match &commit.body {
        Body::Payment(body) => Some(body.payment),
        Body::Control(_) | Body::Ledger(_) => None,
    }
}

/// Proves records.
pub fn prove(
    journal: &dyn StoredJournal,
    records: &[StoredRecord],
    heads: &ProofHeads,
    key: &PublicKey,
) -> Result<ProofForm, ProofError> {
    let (paths, consistency) = paths(journal, records, heads)?;
    let forms = records.iter().zip(paths).map(|(record, path)| RecordForm {
        seq: record.seq.0,
        epoch: record.epoch.0,
        prev_hash: Hex(record.prev),
        hash: Hex(record.hash),
        bytes: hex::digits(&record.bytes),
        path,
    });
    Ok(ProofForm {
        object: "florin.proof",
        version: 1,
        public_key: Hex(key.0),
        head: HeadForm::from(heads.head),
        records: forms.collect(),
        consistency,
    })
}

/// The paths of records, and of the older head if there is one, from one pass over the journal's hashes.
pub(super) fn paths(
    journal: &dyn StoredJournal,
    records: &[StoredRecord],
    heads: &ProofHeads,
) -> Result<(Vec<Vec<Hex<32>>>, Option<ConsistencyForm>), ProofError> {
    let head = heads.head.head;
    let size = head.size;
    let not_signed = |seq: Seq| move || ProofError::NotSigned(seq);
    let mut builders = Vec::new();
    for record in records {
        let index = record.seq.0.saturating_sub(1);
        builders.push(PathBuilder::inclusion(index, size.0).ok_or_else(not_signed(record.seq))?);
    }
    if let Some(older) = &heads.older {
        let old = older.head.size;
        builders.push(PathBuilder::consistency(old.0, size.0).ok_or_else(not_signed(old))?);
    }
    let mut tree = super::tree::Frontier::default();
    journal.hashes(head.shard, Seq::ZERO, size, &mut |_, hash| {
        tree.push(hash);
        for builder in &mut builders {
            builder.push(hash);
        }
    })?;
    if tree.root() != head.root {
        return Err(ProofError::OtherJournal(size));
    }
    let mut paths = Vec::new();
    for builder in builders {
        let path = builder.finish().ok_or(ProofError::OtherJournal(size))?;
        paths.push(path.into_iter().map(Hex).collect());
    }
    let consistency = heads.older.map(|older| ConsistencyForm {
        head: HeadForm::from(older),
        path: paths.pop().unwrap_or_default(),
    });
    Ok((paths, consistency))
}

/// A record for people and other programs, with what it says.
pub(super) fn exported(record: &StoredRecord) -> Value {
    json!({
        "object": "florin.record",
        "seq": record.seq.0,
        "epoch": record.epoch.0,
        "prev_hash": Hex(record.prev),
        "hash": Hex(record.hash),
        "bytes": hex::digits(&record.bytes),
        "commit": schema::to_json(&record.commit),
    })
}

/// The first line of an export.
pub(super) fn exported_key(key: &PublicKey) -> Value {
    json!({ "object": "florin.export", "version": 1, "public_key": Hex(key.0) })
}

/// A signed head as a line of an export.
pub(super) fn exported_head(signed: &SignedHead) -> Value {
    json!({ "object": "florin.head", "head": HeadForm::from(*signed) })
}

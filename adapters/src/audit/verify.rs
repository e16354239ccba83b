//! Owns looking at everything: every record against the chain, and every signed head against the tree that the records make.

use super::heads::{BadLine, HeadsReader};
use super::tree::{Frontier, Hash};
use crate::journal::StoredJournal;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::ReadError;
use std::fmt;
use std::io;
use thiserror::Error;

/// Why nothing can be said.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The store failed.
    #[error(transparent)]
    Journal(#[from] ReadError),
    /// The signed heads cannot be read.
    #[error("the signed heads cannot be read: {0}")]
    Heads(#[from] io::Error),
}

/// Something wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A record does not hash, decode or follow. It is the first one; behind it nothing has been looked at.
    Damaged {
        /// Which commit.
        seq: Seq,
        /// How it shows.
        why: String,
    },
    /// The end is gone.
    Cut {
        /// The first commit that is missing.
        missing: Seq,
        /// The commit of the newest signed head.
        signed: Seq,
    },
    /// The records follow each other, and are not those that were signed.
    Rewritten {
        /// The first commit that may be another one.
        from: Seq,
        /// The first signed head that does not fit.
        signed: Seq,
    },
    /// The head's hash fits and its root does not.
    OtherRoot {
        /// The signed head.
        signed: Seq,
    },
    /// A line that is no signed head.
    BadHead(BadLine),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { seq, why } => write!(f, "commit {seq}: {why}"),
            Self::Cut { missing, signed } => {
                let end = missing.0.saturating_sub(1);
                write!(
                    f,
                    "commit {missing} is missing: a signed head of commit {signed} exists, and the journal ends at commit {end}"
                )
            }
            Self::Rewritten { from, signed } => write!(
                f,
                "commits {from} to {signed} were written anew: another commit {signed} was signed, though each record follows from the \
                 one before"
            ),
            Self::OtherRoot { signed } => write!(
                f,
                "the signed head of commit {signed} has another root: a hash before the place where this began is damaged; verify from the \
                 first commit"
            ),
            Self::BadHead(bad) => write!(f, "bad signed head: {bad}"),
        }
    }
}

/// What was looked at and found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whose journal.
    pub shard: ShardId,
    /// The last commit that is known to be whole.
    pub end: Seq,
    /// Its chain hash.
    pub hash: Hash,
    /// The root of the tree up to there.
    pub root: Hash,
    /// Signed heads that fit.
    pub heads: u64,
    /// The newest of them.
    pub newest_head: Option<Seq>,
    /// What is wrong; nothing if all is well.
    pub findings: Vec<Finding>,
}

/// Compares signed heads with a tree that grows.
#[derive(Debug)]
struct Heads {
    reader: HeadsReader,
    /// Read, and of a commit that is still to come.
    waiting: Option<(Seq, Hash, Hash)>,
    fit: u64,
    newest: Option<Seq>,
    bad: Vec<BadLine>,
    misfit: Option<Finding>,
}

impl Heads {
    fn new(reader: HeadsReader) -> Self {
        Self {
            reader,
            waiting: None,
            fit: 0,
            newest: None,
            bad: Vec::new(),
            misfit: None,
        }
    }

    /// The next head that can be read.
    fn next(&mut self) -> io::Result<Option<(Seq, Hash, Hash)>> {
        if let Some(waiting) = self.waiting.take() {
            return Ok(Some(waiting));
        }
        for line in self.reader.by_ref() {
            match line? {
                Ok(kept) => {
                    let head = kept.signed.head;
                    return Ok(Some((head.size, head.hash, head.root)));
                }
                Err(bad) => self.bad.push(bad),
            }
        }
        Ok(None)
    }

    /// Looks at the heads of the tree's last commit. Only the first misfit says where it happened: those behind it must not fit either.
    fn compare(&mut self, hash: &Hash, tree: &Frontier) -> io::Result<()> {
        let at = Seq(tree.size());
        while let Some((size, signed_hash, signed_root)) = self.next()? {
            if size > at {
                self.waiting = Some((size, signed_hash, signed_root));
                break;
            }
            if self.misfit.is_some() {
                continue;
            }
            if signed_hash != *hash {
                let from = self.newest.unwrap_or_default().next();
                self.misfit = Some(Finding::Rewritten { from, signed: size });
            } else if signed_root != tree.root() {
                self.misfit = Some(Finding::OtherRoot { signed: size });
            } else {
                self.fit += 1;
                self.newest = Some(size);
            }
        }
        Ok(())
    }

    /// What the heads of later commits than the journal has say. The node may have gone on meanwhile.
    fn finish(
        &mut self,
        journal: &dyn StoredJournal,
        shard: ShardId,
        end: Seq,
    ) -> Result<Option<Finding>, VerifyError> {
        let mut newest = None;
        while let Some((size, ..)) = self.next()? {
            newest = Some(size);
        }
        let missing = match newest {
            Some(signed) if signed > journal.head(shard)?.seq => Some(Finding::Cut {
                missing: end.next(),
                signed,
            }),
            Some(_) | None => None,
        };
        Ok(missing)
    }
}

/// Verifies a shard's journal, the records up to and including `trusted` by their stored hashes only. `progress` is told how many commits of how
/// many it has come along.
pub fn verify(
    journal: &dyn StoredJournal,
    shard: ShardId,
    trusted: Seq,
    heads: HeadsReader,
    progress: &dyn Fn(u64, u64),
) -> Result<Verified, VerifyError> {
    let mut heads = Heads::new(heads);
    let mut seen = Seen::default();
    let walked = look(journal, shard, trusted, (&mut heads, &mut seen), progress);
    let mut findings = Vec::new();
    match walked {
        Ok(()) => findings.extend(heads.finish(journal, shard, Seq(seen.tree.size()))?),
        Err(VerifyError::Journal(ReadError::Damaged { seq, why })) => {
            findings.push(Finding::Damaged { seq, why });
        }
        Err(error) => return Err(error),
    }
    findings.extend(heads.misfit);
    findings.extend(heads.bad.into_iter().map(Finding::BadHead));
    Ok(Verified {
        shard,
        end: Seq(seen.tree.size()),
        hash: seen.hash,
        root: seen.tree.root(),
        heads: heads.fit,
        newest_head: heads.newest,
        findings,
    })
}

/// How far the look has come.
#[derive(Debug, Default)]
struct Seen {
    tree: Frontier,
    hash: Hash,
}

fn look(
    journal: &dyn StoredJournal,
    shard: ShardId,
    trusted: Seq,
    (heads, seen): (&mut Heads, &mut Seen),
    progress: &dyn Fn(u64, u64),
) -> Result<(), VerifyError> {
    let mut failed = None;
    journal.hashes(shard, Seq::ZERO, trusted, &mut |_, hash| {
        seen.tree.push(hash);
        seen.hash = *hash;
        if failed.is_none() {
            failed = heads.compare(hash, &seen.tree).err();
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    let mut walk = journal.walk(shard, trusted)?;
    while let Some(record) = walk.next() {
        let record = record?;
        seen.tree.push(&record.hash);
        seen.hash = record.hash;
        heads.compare(&record.hash, &seen.tree)?;
        if record.seq.0.is_multiple_of(4096) {
            progress(record.seq.0, walk.head().seq.0);
        }
    }
    Ok(())
}

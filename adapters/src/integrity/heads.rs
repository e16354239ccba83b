//! Owns what was signed, for comparing: the signed heads of the folder and of an export, in the order of their commits.

use super::{IntegrityError, Places, io_error};
use crate::audit::export::Export;
use crate::audit::heads::{self, HeadsReader};
use crate::audit::key::PublicKey;
use crate::journal::Hash;
use florin_domain::ids::Seq;
use std::iter::Peekable;

/// A commit that was signed for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed {
    pub(super) size: Seq,
    pub(super) hash: Hash,
}

/// Signed heads as they come up.
#[derive(Debug)]
pub(super) struct Heads {
    folder: Peekable<HeadsReader>,
    exported: Peekable<std::vec::IntoIter<Signed>>,
    /// Lines that are no signed heads.
    pub(super) bad: Vec<String>,
    /// The newest signed commit so far; after [`Heads::finish`] of all.
    pub(super) newest: Option<Seq>,
}

impl Heads {
    pub(super) fn open(places: &Places<'_>, export: Option<&Export>) -> Result<Self, IntegrityError> {
        let reader = match places.key {
            Some(key) => {
                HeadsReader::open(places.heads, places.shard, key).map_err(io_error(places.heads))?
            }
            None => HeadsReader::none(places.shard),
        };
        let exported = export.map(Export::heads).unwrap_or_default().iter();
        let exported: Vec<Signed> = exported
            .map(|head| Signed {
                size: head.size,
                hash: head.hash,
            })
            .collect();
        Ok(Self {
            folder: reader.peekable(),
            exported: exported.into_iter().peekable(),
            bad: Vec::new(),
            newest: None,
        })
    }

    /// The next head of a commit up to `seq`. One that comes late is answered late, and compared with nothing.
    pub(super) fn up_to(&mut self, places: &Places<'_>, seq: Seq) -> Result<Option<Signed>, IntegrityError> {
        let found = match self.exported.next_if(|signed| signed.size <= seq) {
            Some(signed) => Some(signed),
            None => self.of_folder(places, seq)?,
        };
        if let Some(signed) = &found {
            self.newest = self.newest.max(Some(signed.size));
        }
        Ok(found)
    }

    fn of_folder(&mut self, places: &Places<'_>, seq: Seq) -> Result<Option<Signed>, IntegrityError> {
        let is_wanted = |line: &_| match line {
            Ok(Ok(kept)) => {
                let kept: &heads::KeptHead = kept;
                kept.signed.head.size <= seq
            }
            Ok(Err(_)) | Err(_) => true,
        };
        while let Some(line) = self.folder.next_if(is_wanted) {
            match line.map_err(io_error(places.heads))? {
                Ok(kept) => {
                    let head = kept.signed.head;
                    return Ok(Some(Signed {
                        size: head.size,
                        hash: head.hash,
                    }));
                }
                Err(bad) => self.bad.push(bad.to_string()),
            }
        }
        Ok(None)
    }

    /// Reads the rest: heads of commits that no source has.
    pub(super) fn finish(&mut self, places: &Places<'_>) -> Result<(), IntegrityError> {
        while self.up_to(places, Seq(u64::MAX))?.is_some() {}
        Ok(())
    }
}

/// Whether a bad line stands behind the newest head, so that nobody knows which one is the newest.
pub(super) fn may_hide_newer(places: &Places<'_>) -> Result<bool, IntegrityError> {
    let Some(key) = places.key else {
        return Ok(false);
    };
    let newest = heads::newest(places.heads, places.shard, key).map_err(io_error(places.heads))?;
    Ok(!newest.after.is_empty())
}

/// Whether the folder has heads, or what may be some.
pub(super) fn has_heads(places: &Places<'_>) -> Result<bool, IntegrityError> {
    let nobody = PublicKey([0; 32]);
    let mut lines = HeadsReader::open(places.heads, places.shard, nobody).map_err(io_error(places.heads))?;
    Ok(lines.next().is_some())
}

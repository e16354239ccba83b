//! Owns the stored forms of what the journal, the snapshots and the views keep: one module per version, named by the first byte of
//! every stored value. A released version never changes; a change of meaning is a new version beside the old one.

#[cfg(test)]
mod fuzz;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod strategies;
#[cfg(test)]
mod tests;
pub(crate) mod v1;

use florin_domain::commit::Commit;
use florin_domain::ids::{Seq, ShardId};
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The version that is written.
pub(crate) const VERSION: u8 = 1;

/// Why stored bytes cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Not even a version.
    #[error("the record is empty")]
    Empty,
    /// Written by a later build.
    #[error("the record has version {found}, and this build reads version {VERSION}")]
    Version {
        /// The version found.
        found: u8,
    },
    /// The bytes are not the version's form.
    #[error("the record is malformed: {0}")]
    Malformed(String),
    /// The form ends before the bytes do.
    #[error("the record has {0} bytes too many")]
    Trailing(usize),
    /// Well formed, but no value that the domain allows.
    #[error("the record's {what} is impossible: {why}")]
    Impossible {
        /// Which part.
        what: &'static str,
        /// What the domain said.
        why: String,
    },
}

/// Appends the stored form of a commit; its place in the journal is not part of it.
pub fn encode(commit: &Commit, out: &mut Vec<u8>) {
    write(&v1::CommitDto::of(commit), out);
}

/// Reads back the commit that stands at `seq` of a shard's journal, through the same checks as when it was made.
pub fn decode(shard: ShardId, seq: Seq, bytes: &[u8]) -> Result<Commit, DecodeError> {
    read::<v1::CommitDto<'_>>(bytes)?.into_commit(shard, seq)
}

/// A commit for people. Nothing reads it back.
pub fn to_json(commit: &Commit) -> serde_json::Value {
    let body = serde_json::to_value(v1::CommitDto::of(commit))
        .expect("a commit's form has no maps, and numbers too large for JSON are written as text");
    let mut json = serde_json::json!({ "version": VERSION, "shard": commit.shard.0, "seq": commit.seq.0 });
    if let (Some(all), serde_json::Value::Object(body)) = (json.as_object_mut(), body) {
        all.extend(body);
    }
    json
}

/// Appends the version and a form of it.
pub(crate) fn write<T: Serialize + ?Sized>(form: &T, out: &mut Vec<u8>) {
    out.push(VERSION);
    postcard::serialize_with_flavor(form, Growing(out))
        .expect("a vector takes every byte, and no form has a sequence of unknown length");
}

/// Reads a form that fills `bytes` after their version.
pub(crate) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    let (version, body) = bytes.split_first().ok_or(DecodeError::Empty)?;
    if *version != VERSION {
        return Err(DecodeError::Version { found: *version });
    }
    let (form, rest) =
        postcard::take_from_bytes(body).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    if rest.is_empty() {
        Ok(form)
    } else {
        Err(DecodeError::Trailing(rest.len()))
    }
}

/// Writes behind what the vector holds, whole slices at once.
struct Growing<'a>(&'a mut Vec<u8>);

impl Flavor for Growing<'_> {
    type Output = ();

    #[inline]
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

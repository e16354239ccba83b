//! Owns the list of what belongs to a copy: it is written last, so that what was interrupted has none, and says what must be there.

use super::{BackupError, files};
use crate::audit::hex;
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::Head;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The file that has it.
const NAME: &str = "backup.json";

/// Which form the list has.
const FORM: u32 = 1;

/// The list.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    form: u32,
    shards: Vec<End>,
    /// Bytes of each file, by its path in the copy.
    files: BTreeMap<String, u64>,
}

/// Where a shard's journal ends.
#[derive(Debug, Serialize, Deserialize)]
struct End {
    shard: u16,
    seq: u64,
    hash: String,
}

impl Manifest {
    /// Of what is in a folder.
    pub(super) fn of(folder: &Path, heads: &[(ShardId, Head)]) -> Result<Self, BackupError> {
        let end = |(shard, head): &(ShardId, Head)| End {
            shard: shard.0,
            seq: head.seq.0,
            hash: hex::digits(&head.hash),
        };
        Ok(Self {
            form: FORM,
            shards: heads.iter().map(end).collect(),
            files: files::sizes(folder)?,
        })
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), BackupError> {
        let path = folder.join(NAME);
        let text = serde_json::to_string_pretty(self).map_err(std::io::Error::other);
        let written = text.and_then(|text| fs::write(&path, text));
        written.map_err(|error| BackupError::Io(path, error))
    }

    pub(super) fn read(folder: &Path) -> Result<Self, BackupError> {
        let path = folder.join(NAME);
        let unfit = |why: String| BackupError::Unfit(format!("{} is no whole copy: {why}", folder.display()));
        let text = fs::read(&path).map_err(|error| unfit(format!("{}: {error}", path.display())))?;
        let read: Self = serde_json::from_slice(&text).map_err(|error| unfit(error.to_string()))?;
        if read.form == FORM {
            Ok(read)
        } else {
            Err(unfit(format!(
                "its list has form {}, and this build knows {FORM}",
                read.form
            )))
        }
    }

    /// Refuses a folder that lacks something of it, or has it in another length.
    pub(super) fn check_files(&self, folder: &Path) -> Result<(), BackupError> {
        for (path, bytes) in &self.files {
            let found = fs::metadata(folder.join(path)).map(|found| found.len());
            if found.as_ref().ok() != Some(bytes) {
                return Err(BackupError::Unfit(format!(
                    "{} is no whole copy: {path} is missing, or has not {bytes} bytes",
                    folder.display()
                )));
            }
        }
        Ok(())
    }

    /// Copies what is listed, and nothing else.
    pub(super) fn copy_files(&self, from: &Path, to: &Path) -> Result<(), BackupError> {
        for path in self.files.keys() {
            let copied = to.join(path);
            files::make(copied.parent().unwrap_or(to))?;
            files::copy(&from.join(path), &copied)?;
        }
        Ok(())
    }

    /// Where the journal of each shard ends.
    pub(super) fn heads(&self) -> Result<Vec<(ShardId, Head)>, BackupError> {
        let head = |end: &End| {
            let hash = hex::bytes(&end.hash);
            hash.map(|hash| {
                let (seq, epoch) = (Seq(end.seq), Epoch::default());
                (ShardId(end.shard), Head { seq, hash, epoch })
            })
        };
        let heads: Option<Vec<(ShardId, Head)>> = self.shards.iter().map(head).collect();
        heads.ok_or_else(|| BackupError::Unfit(format!("{NAME} has a hash that is none")))
    }
}

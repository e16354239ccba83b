//! Whether what a data folder has of a database's journal was made from that very journal: a database that was restored, or that failed over with a
//! loss, may have other commits under the same numbers, and an index of those that are gone would let a payment be made a second time.
//!
//! Beside the indexes is a note of the shard as this folder last took it. Up to there its hash decides. What was indexed behind that was appended
//! by this folder's node under the noted epoch, which is given to nobody else, so there the epoch of the newest indexed commit decides.

use anyhow::Context as _;
use florin_adapters::data_dir::DataDir;
use florin_adapters::folder_note;
use florin_adapters::journal::PostgresJournal;
use florin_adapters::snapshots::FileSnapshots;
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::{Head, Snapshots as _};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::Path;

const NOTE: &str = "journal.taken";

/// What begins when they are deleted, and ends with them.
const DISCARDING: &str = "journal.discarding";

/// A shard as it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    epoch: Epoch,
    seq: Seq,
    hash: [u8; 32],
}

impl Note {
    fn text(&self) -> String {
        let mut text = format!("{} {} ", self.epoch.0, self.seq.0);
        for byte in self.hash {
            write!(text, "{byte:02x}").expect("a string takes every text");
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (epoch, seq) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let digits = words.next()?;
        let byte = |place: usize| u8::from_str_radix(digits.get(place * 2..place * 2 + 2)?, 16).ok();
        let hash: Vec<u8> = (0..32).map(byte).collect::<Option<_>>()?;
        Some(Self {
            epoch: Epoch(epoch),
            seq: Seq(seq),
            hash: hash.try_into().ok()?,
        })
    }
}

/// Whether indexes that have come to `indexed` were made from this journal. Nothing is known of them without a note.
pub(crate) async fn fit(
    folder: &Path,
    journal: &PostgresJournal,
    shard: ShardId,
    indexed: Seq,
) -> anyhow::Result<bool> {
    if indexed == Seq::ZERO {
        return Ok(true);
    }
    let Some(note) = read(folder)? else {
        return Ok(false);
    };
    if note.seq != Seq::ZERO {
        let there = journal.link_at(shard, note.seq).await?;
        if there.map(|(_, hash)| hash) != Some(note.hash) {
            return Ok(false);
        }
    }
    if indexed <= note.seq {
        return Ok(true);
    }
    let there = journal.link_at(shard, indexed).await?;
    Ok(there.map(|(epoch, _)| epoch) == Some(note.epoch))
}

/// Whether all snapshots that can be read were taken of this journal.
pub(crate) async fn snapshots_fit(
    snapshots: &FileSnapshots,
    journal: &PostgresJournal,
    shard: ShardId,
) -> anyhow::Result<bool> {
    for seq in snapshots.kept(shard)? {
        // One that cannot be read is passed over by the recovery.
        let Ok(snapshot) = snapshots.load(shard, seq) else {
            continue;
        };
        let there = journal.link_at(shard, seq).await?;
        if there.map(|(_, hash)| hash) != Some(snapshot.hash) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Notes durably as what the shard was taken. Before anything of it is indexed.
pub(crate) fn note(folder: &Path, head: &Head) -> anyhow::Result<()> {
    let note = Note {
        epoch: head.epoch,
        seq: head.seq,
        hash: head.hash,
    };
    folder_note::write(folder, NOTE, &note.text()).with_context(|| folder.join(NOTE).display().to_string())
}

/// Deletes the indexes and snapshots of a shard; the journal has all that they had. What is interrupted is finished by [`finish_discard`].
pub(crate) fn discard(data: &DataDir) -> anyhow::Result<()> {
    let mark = data.path().join(DISCARDING);
    let begin = || -> io::Result<()> {
        File::create(&mark)?.sync_all()?;
        File::open(data.path())?.sync_all()
    };
    begin().with_context(|| mark.display().to_string())?;
    delete(data)?;
    let end = || -> io::Result<()> {
        // What was deleted stays so, also if the machine stops.
        File::open(data.path())?.sync_all()?;
        gone(fs::remove_file(&mark))?;
        File::open(data.path())?.sync_all()
    };
    end().with_context(|| mark.display().to_string())
}

/// Deletes what is left of them if a deletion was interrupted. Before they are opened, which halves of them may not be.
pub(crate) fn finish_discard(data: &DataDir) -> anyhow::Result<()> {
    if data.path().join(DISCARDING).exists() {
        tracing::warn!(
            folder = %data.path().display(),
            "the indexes of this folder were being deleted when the process ended; the rest is deleted now"
        );
        discard(data)?;
    }
    Ok(())
}

fn delete(data: &DataDir) -> anyhow::Result<()> {
    gone(fs::remove_dir_all(data.snapshots())).context("the snapshots cannot be deleted")?;
    delete_views(data)?;
    gone(fs::remove_dir_all(data.keys())).context("the key index cannot be deleted")
}

/// Deletes the payments view of a shard, durably.
pub(crate) fn delete_views(data: &DataDir) -> anyhow::Result<()> {
    let views = data.views();
    for suffix in ["", "-wal", "-shm"] {
        let mut file = views.clone().into_os_string();
        file.push(suffix);
        gone(fs::remove_file(&file)).context("the views cannot be deleted")?;
    }
    let synced = File::open(data.path()).and_then(|folder| folder.sync_all());
    synced.with_context(|| data.path().display().to_string())
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The note, if there is one that can be read.
fn read(folder: &Path) -> anyhow::Result<Option<Note>> {
    let text = folder_note::read(folder, NOTE).with_context(|| folder.join(NOTE).display().to_string())?;
    Ok(text.and_then(|text| Note::parse(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written_and_not_at_all_if_it_is_not_whole() {
        let mut hash = [0xa5; 32];
        hash[31] = 7;
        let note = Note {
            epoch: Epoch(1_795_391_242_000),
            seq: Seq(17),
            hash,
        };
        assert_eq!(Note::parse(&note.text()), Some(note.clone()));
        let text = note.text();
        for end in 0..text.len() {
            assert_eq!(Note::parse(&text[..end]), None, "{end}");
        }
    }

    fn put(data: &DataDir) {
        for folder in [data.keys(), data.snapshots()] {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("one"), "").unwrap();
        }
        fs::write(data.views(), "").unwrap();
    }

    fn left(data: &DataDir) -> Vec<bool> {
        let mark = data.path().join(DISCARDING);
        [data.keys(), data.snapshots(), data.views(), mark]
            .iter()
            .map(|path| path.exists())
            .collect()
    }

    #[test]
    fn a_deletion_that_was_interrupted_is_finished_and_nothing_is_deleted_without_one() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        put(&data);
        finish_discard(&data).unwrap();
        assert_eq!(left(&data), [true, true, true, false]);
        // What cannot be deleted as a file ends it in the middle.
        fs::remove_file(data.views()).unwrap();
        fs::create_dir(data.views()).unwrap();
        discard(&data).unwrap_err();
        assert_eq!(left(&data), [true, false, true, true]);
        fs::remove_dir(data.views()).unwrap();
        finish_discard(&data).unwrap();
        assert_eq!(left(&data), [false; 4]);
    }
}

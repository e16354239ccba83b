//! Owns writing a replica: it follows the journal's end on a connection of its own, page by page, and each page is durable before the next.

use super::place;
use super::segment::{self, Opened, Piece, SEGMENT_BYTES_MAX, Segment};
use crate::journal::{GENESIS, JournalFile, OpenError, StoredJournal as _, Verifier};
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::ReadError;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a replica cannot be written.
#[derive(Debug, Error)]
pub enum ReplicaError {
    /// What it has is not what the journal has. Nothing was touched: one of the two is wrong, and only a comparison says which.
    #[error("the replica is not of this journal: {0}; see `florin audit compare`")]
    Diverged(String),
    /// The journal is damaged or cannot be read; nothing is copied from there on.
    #[error(transparent)]
    Journal(#[from] ReadError),
    /// The journal cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The replica cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The last commit that is durable in the replica.
    pub copied: Seq,
    /// The journal's last commit.
    pub head: Seq,
}

/// Writes the replica of one shard.
#[derive(Debug)]
pub struct Replica {
    journal: JournalFile,
    data_dir: PathBuf,
    folder: PathBuf,
    shard: ShardId,
    /// Stands at the last record that is durable in the replica.
    verifier: Verifier,
    /// The file that is written and how much of it is durable; none before the first record.
    segment: Option<(PathBuf, u64)>,
    /// Nothing after a failure: nobody knows what of the last write is there, so it is cut off and written again.
    file: Option<File>,
    segment_bytes_max: u64,
    shortened: bool,
}

/// The end of a replica as it was found.
struct Found {
    verifier: Verifier,
    segment: Option<(PathBuf, u64)>,
    /// Files without even a header.
    empty: Vec<PathBuf>,
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ReplicaError {
    let path = path.to_owned();
    |source| ReplicaError::Io { path, source }
}

impl Replica {
    /// Opens or makes the replica in `folder` of the journal in `data_dir`: finds its end, which must be of this journal, and cuts off what a
    /// crash has left behind it.
    pub fn open(data_dir: &Path, folder: &Path, shard: ShardId) -> Result<Self, ReplicaError> {
        let mut folders = DirBuilder::new();
        folders.recursive(true).mode(0o700);
        folders.create(folder).map_err(failed(folder))?;
        let journal = JournalFile::open(data_dir)?;
        let found = find_end(folder, shard)?;
        let (last, head) = (found.verifier.last(), journal.head(shard)?.seq);
        if last > head {
            return Err(ReplicaError::Diverged(format!(
                "it goes on to commit {last}, and the journal ends at commit {head}"
            )));
        }
        if last > Seq::ZERO && journal.hash_at(shard, last)? != Some(found.verifier.hash()) {
            return Err(ReplicaError::Diverged(format!("it has another commit {last}")));
        }
        if let Some((path, len)) = &found.segment {
            let cut = OpenOptions::new().write(true).open(path).and_then(|file| {
                file.set_len(*len)?;
                file.sync_all()
            });
            cut.map_err(failed(path))?;
        }
        for path in &found.empty {
            fs::remove_file(path).map_err(failed(path))?;
        }
        Ok(Self {
            shortened: place::read(data_dir).is_some_and(|noted| noted > last),
            journal,
            data_dir: data_dir.to_owned(),
            folder: folder.to_owned(),
            shard,
            verifier: found.verifier,
            segment: found.segment,
            file: None,
            segment_bytes_max: SEGMENT_BYTES_MAX,
        })
    }

    /// The same with smaller files.
    #[cfg(test)]
    pub(super) fn with_segments_of(mut self, bytes_max: u64) -> Self {
        self.segment_bytes_max = bytes_max;
        self
    }

    /// Whether it was found shorter than it had been. It is written again from the journal.
    pub fn was_shortened(&self) -> bool {
        self.shortened
    }

    /// The last commit that is durable in the replica.
    pub fn copied(&self) -> Seq {
        self.verifier.last()
    }

    /// Copies a page of the journal and makes it durable.
    pub fn step(&mut self) -> Result<Progress, ReplicaError> {
        let head = self.journal.head(self.shard)?.seq;
        let last = self.verifier.last();
        if head < last {
            return Err(ReplicaError::Diverged(format!(
                "it goes on to commit {last}, and the journal ends at commit {head}"
            )));
        }
        let page = self.journal.raw(self.shard, last);
        let mut verifier = self.verifier.clone();
        let mut refused = page.broken;
        let mut frames = Vec::new();
        for record in &page.records {
            let prev = verifier.hash();
            if let Err(error) = verifier.follow(record.seq, record.epoch, &record.hash, &record.bytes) {
                refused = Some(error);
                break;
            }
            if segment::push_frame(&mut frames, &prev, record).is_none() {
                let why = format!("commit {} is too large for a replica", record.seq);
                return Err(ReadError::Store(why).into());
            }
        }
        if verifier.last() > last {
            self.write(&frames)?;
            self.verifier = verifier;
            place::write(&self.data_dir, self.verifier.last()).map_err(failed(&self.data_dir))?;
        }
        match refused {
            Some(error) => Err(error.into()),
            None => Ok(Progress {
                copied: self.verifier.last(),
                head: head.max(self.verifier.last()),
            }),
        }
    }

    /// Appends frames behind what is durable.
    fn write(&mut self, frames: &[u8]) -> Result<(), ReplicaError> {
        let is_full = |(_, len): &(PathBuf, u64)| *len >= self.segment_bytes_max;
        let mut header = Vec::new();
        let (path, len) = self.segment.take_if(|open| !is_full(open)).unwrap_or_else(|| {
            self.file = None;
            let first = self.verifier.last().next();
            segment::push_header(&mut header, self.shard, first, &self.verifier.hash());
            (self.folder.join(segment::file_name(self.shard, first)), 0)
        });
        let before = (path.clone(), len);
        let is_new = !header.is_empty();
        let written = self.append(&path, len, &[&header, frames]);
        match written {
            Ok(()) => {
                let added = (header.len() + frames.len()) as u64;
                self.segment = Some((path, len + added));
                Ok(())
            }
            Err(source) => {
                self.file = None;
                // A full file stays as it is, and the new one is begun again.
                if !is_new {
                    self.segment = Some(before);
                }
                Err(ReplicaError::Io { path, source })
            }
        }
    }

    fn append(&mut self, path: &Path, len: u64, parts: &[&[u8]]) -> io::Result<()> {
        let mut file = if let Some(file) = self.file.take() {
            file
        } else {
            let mut options = OpenOptions::new();
            options.create(true).truncate(false).write(true).mode(0o600);
            let mut file = options.open(path)?;
            if file.metadata()?.len() < len {
                return Err(io::Error::other("the file lost what it had"));
            }
            file.set_len(len)?;
            file.seek(SeekFrom::Start(len))?;
            File::open(&self.folder)?.sync_all()?;
            file
        };
        for part in parts {
            file.write_all(part)?;
        }
        file.sync_data()?;
        self.file = Some(file);
        Ok(())
    }
}

/// Reads the newest file that has a header; those before it have been left behind whole.
fn find_end(folder: &Path, shard: ShardId) -> Result<Found, ReplicaError> {
    let mut files = segment::files(folder, shard).map_err(failed(folder))?;
    let mut empty = Vec::new();
    while let Some((first, path)) = files.pop() {
        let bad = |why: &str| ReplicaError::Diverged(format!("{}: {why}", path.display()));
        let mut segment = match Segment::open(&path, shard).map_err(failed(&path))? {
            Opened::Torn => {
                empty.push(path);
                continue;
            }
            Opened::Bad(why) => return Err(bad(why)),
            Opened::Segment(segment) if segment.first != first => {
                return Err(bad("its name is not of its first record"));
            }
            Opened::Segment(segment) => segment,
        };
        let before = Seq(first.0.saturating_sub(1));
        let mut verifier = Verifier::after(shard, before, segment.prev, Epoch::default());
        loop {
            match segment.next().map_err(failed(&path))? {
                Piece::End | Piece::Torn => break,
                Piece::Bad(why) => return Err(bad(why)),
                Piece::Frame { record, .. } => verifier
                    .follow(record.seq, record.epoch, &record.hash, &record.bytes)
                    .map_err(|error| bad(&error.to_string()))?,
            }
        }
        return Ok(Found {
            verifier,
            segment: Some((path, segment.whole_bytes)),
            empty,
        });
    }
    Ok(Found {
        verifier: Verifier::after(shard, Seq::ZERO, GENESIS, Epoch::default()),
        segment: None,
        empty,
    })
}

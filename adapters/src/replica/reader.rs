//! Owns reading a replica back: every record of it is verified against the chain.

use super::place;
use super::segment::{self, Opened, Piece, Segment};
use crate::journal::{GENESIS, StoredRecord, Verifier, damaged};
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::ReadError;
use std::io;
use std::path::{Path, PathBuf};
use std::vec;

/// The records of a shard's replica in order. It ends with the first error.
#[derive(Debug)]
pub struct ReplicaReader {
    shard: ShardId,
    files: vec::IntoIter<(Seq, PathBuf)>,
    open: Option<(PathBuf, Segment)>,
    verifier: Verifier,
    noted: Seq,
    has_ended: bool,
}

impl ReplicaReader {
    /// Reads the replica in `folder` of the journal in `data_dir`, which has a note of how far the replica has come.
    pub fn open(data_dir: &Path, folder: &Path, shard: ShardId) -> Result<Self, ReadError> {
        let files = segment::files(folder, shard).map_err(|error| unreadable(folder, &error))?;
        Ok(Self {
            shard,
            files: files.into_iter(),
            open: None,
            verifier: Verifier::after(shard, Seq::ZERO, GENESIS, Epoch::default()),
            noted: place::read(data_dir).unwrap_or_default(),
            has_ended: false,
        })
    }

    fn step(&mut self) -> Result<Option<StoredRecord>, ReadError> {
        loop {
            let expected = self.verifier.last().next();
            let Some((path, segment)) = &mut self.open else {
                match self.files.next() {
                    None if expected <= self.noted => {
                        let why = format!("the record is missing: the replica had commit {}", self.noted);
                        return Err(damaged(expected, why));
                    }
                    None => return Ok(None),
                    Some((first, path)) => self.open_next(first, path)?,
                }
                continue;
            };
            match segment.next().map_err(|error| unreadable(path, &error))? {
                Piece::End => self.open = None,
                Piece::Torn if self.files.len() == 0 && expected > self.noted => {
                    // Not yet durable when the machine or the process went down, and nobody has been told of it.
                    self.open = None;
                }
                Piece::Torn => return Err(bad(expected, path, "it is cut off in the middle of a frame")),
                Piece::Bad(why) => return Err(bad(expected, path, why)),
                Piece::Frame { prev, record } => {
                    let before = self.verifier.hash();
                    if prev != before {
                        return Err(bad(expected, path, "the frame follows another record"));
                    }
                    let (seq, epoch) = (record.seq, record.epoch);
                    let commit = self.verifier.accept(seq, epoch, &record.hash, &record.bytes)?;
                    return Ok(Some(StoredRecord {
                        seq,
                        epoch,
                        prev,
                        hash: self.verifier.hash(),
                        bytes: record.bytes,
                        commit,
                    }));
                }
            }
        }
    }

    fn open_next(&mut self, first: Seq, path: PathBuf) -> Result<(), ReadError> {
        let expected = self.verifier.last().next();
        if first != expected {
            return Err(bad(expected, &path, "the file before it is missing or too short"));
        }
        match Segment::open(&path, self.shard).map_err(|error| unreadable(&path, &error))? {
            Opened::Segment(segment) => {
                if segment.first != first || segment.prev != self.verifier.hash() {
                    return Err(bad(expected, &path, "it does not follow the file before it"));
                }
                self.open = Some((path, segment));
                Ok(())
            }
            Opened::Torn if self.files.len() == 0 && expected > self.noted => Ok(()),
            Opened::Torn => Err(bad(expected, &path, "its header is cut off")),
            Opened::Bad(why) => Err(bad(expected, &path, why)),
        }
    }
}

impl Iterator for ReplicaReader {
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

fn bad(seq: Seq, path: &Path, why: &str) -> ReadError {
    damaged(seq, format!("{}: {why}", path.display()))
}

fn unreadable(path: &Path, error: &io::Error) -> ReadError {
    ReadError::Store(format!("{}: {error}", path.display()))
}

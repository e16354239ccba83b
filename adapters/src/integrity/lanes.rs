//! Owns one source each while sources are compared: its records as far as they verify, and what was found about it.

use super::compare::{Fault, FaultKind};
use super::{IntegrityError, Places, Replica, Source, io_error};
use crate::audit::export::{Export, FileFault};
use crate::data_dir::JOURNAL;
use crate::journal::{Hash, JournalFile, OpenError, StoredJournal, StoredRecord, Walk, damaged};
use crate::replica::reader::ReplicaReader;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::ReadError;
use std::path::Path;

/// Records of a source, verified; it ends with the first error.
pub(super) type Records<'a> = Box<dyn Iterator<Item = Result<StoredRecord, ReadError>> + 'a>;

/// The sources as they were opened.
pub(super) struct Sources<'a> {
    /// The journal, or why it cannot be opened.
    primary: Result<Opened<'a>, String>,
    /// The export, read through once.
    pub(super) export: Option<Export>,
}

/// A journal that was opened for this, or is looked at as it was given.
enum Opened<'a> {
    File(JournalFile),
    Given(&'a dyn StoredJournal),
}

impl Opened<'_> {
    fn journal(&self) -> &dyn StoredJournal {
        match self {
            Self::File(file) => file,
            Self::Given(journal) => *journal,
        }
    }
}

impl<'a> Sources<'a> {
    pub(super) fn open(places: &Places<'a>) -> Result<Self, IntegrityError> {
        let open = |path| Export::open(path, places.shard, places.key).map_err(io_error(path));
        Ok(Self {
            primary: match places.database {
                Some(journal) => Ok(Opened::Given(journal)),
                None => open_file(places.data_dir)?.map(Opened::File),
            },
            export: places.export.map(open).transpose()?,
        })
    }

    /// The journal, if it can be opened.
    pub(super) fn journal(&self) -> Option<&dyn StoredJournal> {
        self.primary.as_ref().ok().map(Opened::journal)
    }

    /// The records of a source; nothing if it was not given.
    pub(super) fn records(&self, places: &Places<'a>, source: Source) -> Option<Records<'_>> {
        let broken = |why: ReadError| -> Records<'_> { Box::new(std::iter::once(Err(why))) };
        let growing = |journal| Growing {
            journal,
            shard: places.shard,
            last: Seq::ZERO,
            walk: None,
        };
        match source {
            Source::Primary => Some(match &self.primary {
                Ok(opened) => Box::new(growing(opened.journal())),
                Err(why) => broken(damaged(Seq(1), why.clone())),
            }),
            Source::Replica => Some(match places.replica? {
                Replica::Folder(folder) => {
                    let opened = ReplicaReader::open(places.data_dir, folder, places.shard);
                    opened.map_or_else(broken, |reader| Box::new(reader) as Records<'_>)
                }
                // As far as it has come when it is looked at: what comes later the primary has as well.
                Replica::Standby(journal) => journal
                    .walk(places.shard, Seq::ZERO)
                    .map_or_else(broken, |walk| Box::new(walk) as Records<'_>),
            }),
            Source::Audit => {
                let opened = self.export.as_ref()?.records();
                let unreadable = |error: std::io::Error| broken(ReadError::Store(error.to_string()));
                Some(opened.map_or_else(unreadable, |reader| Box::new(reader) as Records<'_>))
            }
        }
    }
}

/// The journal's file, or why it cannot be opened.
fn open_file(data_dir: &Path) -> Result<Result<JournalFile, String>, IntegrityError> {
    let path = data_dir.join(JOURNAL);
    // A file that we may not read is no damaged one.
    match std::fs::File::open(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io_error(&path)(error)),
        Ok(_) | Err(_) => {}
    }
    match JournalFile::open(data_dir) {
        Ok(journal) => Ok(Ok(journal)),
        Err(error @ OpenError::Io { .. }) => Err(error.into()),
        Err(error @ (OpenError::Store { .. } | OpenError::Version { .. } | OpenError::Damaged { .. })) => {
            Ok(Err(error.to_string()))
        }
    }
}

/// The journal's records; asked again at the end, it looks whether a running node has added some.
struct Growing<'a> {
    journal: &'a dyn StoredJournal,
    shard: ShardId,
    last: Seq,
    walk: Option<Walk<'a>>,
}

impl Iterator for Growing<'_> {
    type Item = Result<StoredRecord, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let walk = match &mut self.walk {
            Some(walk) => walk,
            None => match self.journal.walk(self.shard, self.last) {
                Ok(walk) => self.walk.insert(walk),
                Err(error) => return Some(Err(error)),
            },
        };
        let next = walk.next();
        match &next {
            Some(Ok(record)) => self.last = record.seq,
            Some(Err(_)) | None => self.walk = None,
        }
        next
    }
}

/// A source under comparison.
pub(super) struct Lane<'a> {
    pub(super) source: Source,
    records: Records<'a>,
    /// Whether a failure to read it says nothing about it, and so ends the comparison.
    is_remote: bool,
    /// What is wrong with the file of an export.
    file_fault: Option<FileFault>,
    is_done: bool,
    /// Its last record that verifies.
    pub(super) end: Seq,
    pub(super) hash: Hash,
    /// The hash of its record at the place that is compared now.
    pub(super) here: Option<Hash>,
    /// The last commit of it that was signed for.
    pub(super) confirmed: Seq,
    /// The first commit for which another one was signed.
    pub(super) contradicted: Option<Seq>,
    pub(super) fault: Option<Fault>,
}

impl<'a> Lane<'a> {
    pub(super) fn new(
        places: &Places<'_>,
        source: Source,
        records: Records<'a>,
        export: Option<&Export>,
    ) -> Self {
        Self {
            source,
            records,
            is_remote: places.is_remote(source),
            file_fault: match source {
                Source::Audit => export.and_then(Export::fault).cloned(),
                Source::Primary | Source::Replica => None,
            },
            is_done: false,
            end: Seq::ZERO,
            hash: Hash::default(),
            here: None,
            confirmed: Seq::ZERO,
            contradicted: None,
            fault: None,
        }
    }

    /// Goes to the next record.
    pub(super) fn step(&mut self) -> Result<(), IntegrityError> {
        self.here = None;
        if self.is_done {
            return Ok(());
        }
        match self.records.next() {
            Some(Ok(record)) => {
                (self.end, self.hash) = (record.seq, record.hash);
                self.here = Some(record.hash);
            }
            Some(Err(ReadError::Store(why))) if self.is_remote => {
                return Err(IntegrityError::Unreachable(self.source, why));
            }
            Some(Err(error)) => {
                self.is_done = true;
                let (seq, why) = match error {
                    ReadError::Damaged { seq, why } => (seq, why),
                    ReadError::Store(why) => (self.end.next(), format!("it cannot be read: {why}")),
                };
                self.fault = Some(Fault {
                    seq: Some(seq),
                    kind: FaultKind::Damaged,
                    why,
                });
            }
            None => {
                self.is_done = true;
                self.fault = self.file_fault.take().map(|fault| match fault {
                    FileFault::Cut => Fault {
                        seq: Some(self.end.next()),
                        kind: FaultKind::Cut,
                        why: "its end is missing".to_owned(),
                    },
                    FileFault::Changed(why) => Fault {
                        seq: None,
                        kind: FaultKind::Damaged,
                        why,
                    },
                });
            }
        }
        Ok(())
    }
}

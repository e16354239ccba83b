//! Owns exports: every record and every signed head as lines of JSON. An export ends with a line that says how many records there are and gives the
//! SHA-256 of all lines before it, so that it can be read back as a copy that shows its own damage.

use super::head::{HeadForm, SignedHead, TreeHead};
use super::hex::{self, Hex};
use super::key::PublicKey;
use super::proof::{exported, exported_head, exported_key};
use crate::journal::{GENESIS, StoredRecord, Verifier, damaged};
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::ReadError;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

/// Writes an export.
pub struct ExportWriter<'a> {
    out: &'a mut dyn Write,
    digest: Sha256,
    records: u64,
}

impl std::fmt::Debug for ExportWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ExportWriter({} records)", self.records)
    }
}

impl<'a> ExportWriter<'a> {
    /// Begins with the key with which its heads are checked.
    pub fn new(out: &'a mut dyn Write, key: &PublicKey) -> io::Result<Self> {
        let mut writer = Self {
            out,
            digest: Sha256::new(),
            records: 0,
        };
        writer.line(&exported_key(key))?;
        Ok(writer)
    }

    fn line(&mut self, value: &Value) -> io::Result<()> {
        let line = format!("{value}\n");
        self.digest.update(&line);
        self.out.write_all(line.as_bytes())
    }

    /// Adds a signed head. Those of a shard come before its records.
    pub fn head(&mut self, signed: &SignedHead) -> io::Result<()> {
        self.line(&exported_head(signed))
    }

    /// Adds a record. Those of a shard come in order.
    pub fn record(&mut self, record: &StoredRecord) -> io::Result<()> {
        self.records += 1;
        self.line(&exported(record))
    }

    /// Ends it; answers how many records it has.
    pub fn finish(self) -> io::Result<u64> {
        self.out
            .write_all(end_line(self.records, self.digest).as_bytes())?;
        Ok(self.records)
    }
}

fn end_line(records: u64, digest: Sha256) -> String {
    let digest: [u8; 32] = digest.finalize().into();
    format!(
        "{}\n",
        json!({ "object": "florin.end", "records": records, "sha256": Hex(digest) })
    )
}

#[derive(Deserialize)]
struct KindLine<'a> {
    #[serde(borrow)]
    object: Cow<'a, str>,
}

#[derive(Deserialize)]
struct KeyLine {
    public_key: Hex<32>,
}

#[derive(Deserialize)]
struct HeadLine {
    head: HeadForm,
}

#[derive(Deserialize)]
struct CommitPart {
    shard: u16,
}

#[derive(Deserialize)]
struct RecordLine<'a> {
    seq: u64,
    epoch: u64,
    prev_hash: Hex<32>,
    hash: Hex<32>,
    #[serde(borrow)]
    bytes: Cow<'a, str>,
    commit: CommitPart,
}

/// A kind of line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Key,
    Head,
    Record,
    End,
}

fn kind(line: &[u8]) -> Option<Kind> {
    let line: KindLine<'_> = serde_json::from_slice(line).ok()?;
    match line.object.as_ref() {
        "florin.export" => Some(Kind::Key),
        "florin.head" => Some(Kind::Head),
        "florin.record" => Some(Kind::Record),
        "florin.end" => Some(Kind::End),
        _ => None,
    }
}

/// What is wrong with the file itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// Its last line is missing, and nobody knows how many with it.
    Cut,
    /// A line is not what was written.
    Changed(String),
}

/// An export that was read through once.
#[derive(Debug)]
pub struct Export {
    path: PathBuf,
    shard: ShardId,
    heads: Vec<TreeHead>,
    fault: Option<FileFault>,
}

/// Reads a file line by line, with the line breaks.
#[derive(Debug)]
struct Lines {
    input: BufReader<File>,
    number: u64,
    line: Vec<u8>,
}

impl Lines {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            input: BufReader::new(File::open(path)?),
            number: 0,
            line: Vec::new(),
        })
    }

    fn next(&mut self) -> io::Result<bool> {
        self.line.clear();
        self.number += 1;
        Ok(self.input.read_until(b'\n', &mut self.line)? > 0)
    }
}

impl Export {
    /// Reads the signed heads of a shard, and whether the file as a whole is as it was written. Without a key, heads are not looked at.
    pub fn open(path: &Path, shard: ShardId, key: Option<PublicKey>) -> io::Result<Self> {
        let mut lines = Lines::open(path)?;
        let mut export = Self {
            path: path.to_owned(),
            shard,
            heads: Vec::new(),
            fault: None,
        };
        let (mut digest, mut records, mut ended) = (Sha256::new(), 0, false);
        while lines.next()? {
            let number = lines.number;
            let line = lines.line.as_slice();
            let found = kind(line);
            if !line.ends_with(b"\n") {
                export.fault.get_or_insert(FileFault::Cut);
            }
            if ended {
                export.changed(number, "it stands behind the end");
            }
            match found {
                Some(Kind::End) => {
                    ended = true;
                    if line != end_line(records, digest.clone()).as_bytes() {
                        export.changed(number, "the file is not the one that it was the end of");
                    }
                }
                Some(Kind::Key) if number == 1 => export.read_key(line, key),
                Some(Kind::Head) if key.is_some() => export.read_head(number, line, key),
                Some(Kind::Record) => records += 1,
                Some(Kind::Head) => {}
                Some(Kind::Key) | None => export.changed(number, "it cannot be read"),
            }
            digest.update(line);
        }
        if !ended {
            export.fault.get_or_insert(FileFault::Cut);
        }
        Ok(export)
    }

    /// Only the first finding says where it happened.
    fn changed(&mut self, number: u64, why: &str) {
        let said = format!("line {number}: {why}");
        self.fault.get_or_insert(FileFault::Changed(said));
    }

    fn read_key(&mut self, line: &[u8], key: Option<PublicKey>) {
        let found = serde_json::from_slice::<KeyLine>(line).map(|line| PublicKey(line.public_key.0));
        match (found, key) {
            (Ok(found), Some(key)) if found != key => self.changed(1, "it was signed under another key"),
            (Ok(found), _) if format!("{}\n", exported_key(&found)).as_bytes() == line => {}
            (Ok(_) | Err(_), _) => self.changed(1, "it cannot be read"),
        }
    }

    fn read_head(&mut self, number: u64, line: &[u8], key: Option<PublicKey>) {
        let read = serde_json::from_slice::<HeadLine>(line).map(|line| SignedHead::try_from(line.head));
        let Ok(Ok(signed)) = read else {
            return self.changed(number, "it is no signed head");
        };
        let is_signed = key.is_some_and(|key| signed.is_signed_by(&key));
        if !is_signed || format!("{}\n", exported_head(&signed)).as_bytes() != line {
            return self.changed(number, "the signed head is not of this key");
        }
        if signed.head.shard == self.shard {
            self.heads.push(signed.head);
        }
    }

    /// The signed heads of the shard.
    pub fn heads(&self) -> &[TreeHead] {
        &self.heads
    }

    /// What is wrong with the file as a whole. Where it was changed inside the shard's records, reading these says so first.
    pub fn fault(&self) -> Option<&FileFault> {
        self.fault.as_ref()
    }

    /// The records of the shard, each verified.
    pub fn records(&self) -> io::Result<ExportReader> {
        Ok(ExportReader {
            lines: Lines::open(&self.path)?,
            path: self.path.clone(),
            shard: self.shard,
            verifier: Verifier::after(self.shard, Seq::ZERO, GENESIS, Epoch::default()),
            is_strict: self.fault.is_some(),
            has_ended: false,
        })
    }
}

/// The records of a shard in an export. It ends with the first error.
#[derive(Debug)]
pub struct ExportReader {
    lines: Lines,
    path: PathBuf,
    shard: ShardId,
    verifier: Verifier,
    /// The file was changed somewhere: then what is written beside the bytes is compared with them as well, to find out where.
    is_strict: bool,
    has_ended: bool,
}

impl ExportReader {
    fn step(&mut self) -> Result<Option<StoredRecord>, ReadError> {
        loop {
            let read = self.lines.next();
            let unreadable = |error: io::Error| ReadError::Store(format!("{}: {error}", self.path.display()));
            if !read.map_err(unreadable)? {
                return Ok(None);
            }
            let next = self.verifier.last().next();
            let (number, line) = (self.lines.number, self.lines.line.as_slice());
            let bad = |why: &str| damaged(next, format!("line {number}: {why}"));
            match kind(line) {
                Some(Kind::Record) => {}
                Some(Kind::Key | Kind::Head | Kind::End) => continue,
                None => return Err(bad("it cannot be read")),
            }
            let read: Option<RecordLine<'_>> = serde_json::from_slice(line).ok();
            let form = read.ok_or_else(|| bad("it is no record"))?;
            if form.commit.shard != self.shard.0 {
                continue;
            }
            let bytes = hex::all_bytes(&form.bytes).ok_or_else(|| bad("its bytes cannot be read"))?;
            let (seq, epoch, prev) = (Seq(form.seq), Epoch(form.epoch), self.verifier.hash());
            if form.prev_hash.0 != prev {
                return Err(bad("the record follows another one"));
            }
            let commit = self.verifier.accept(seq, epoch, &form.hash.0, &bytes)?;
            let record = StoredRecord {
                seq,
                epoch,
                prev,
                hash: form.hash.0,
                bytes,
                commit,
            };
            if self.is_strict && format!("{}\n", exported(&record)).as_bytes() != line {
                return Err(bad("what it says beside its bytes was changed"));
            }
            return Ok(Some(record));
        }
    }
}

impl Iterator for ExportReader {
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

//! Owns the files in which signed heads are kept: one line of JSON for each head, appended and made durable, and a next file when one is
//! full. They belong on another disk, or better on another machine, than the journal that they speak for.

use super::head::{HeadForm, SignedHead};
use super::hex::Hex;
use super::key::PublicKey;
use super::tree::Frontier;
use florin_domain::ids::{Seq, ShardId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes after which a file is full: the signatures of one file are checked at a start, and these take a fifth of a second. A node that is never
/// idle writes half a kilobyte in a second.
pub(super) const FILE_BYTES_MAX: u64 = 2 << 20;

/// Records after which a line carries the frontier again: so many hashes at most are read at a start.
const RECORDS_BETWEEN_FRONTIERS: u64 = 1 << 16;

/// A line of a file of heads.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    head: HeadForm,
    /// Not signed itself: it gives the signed root, or the line is bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frontier: Option<Vec<Hex<32>>>,
}

/// A head as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptHead {
    /// The head, whose signature is right.
    pub signed: SignedHead,
    /// The tree that it is the head of, on some lines.
    pub frontier: Option<Frontier>,
}

/// A line that is no head of this journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// In which file.
    pub file: PathBuf,
    /// Which line, counted from one.
    pub line: usize,
    /// How it shows.
    pub why: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}: {}", self.file.display(), self.line, self.why)
    }
}

/// The heads of one shard, read from its folder in the order written.
#[derive(Debug)]
pub struct HeadsReader {
    shard: ShardId,
    key: PublicKey,
    files: std::vec::IntoIter<PathBuf>,
    lines: std::vec::IntoIter<Result<KeptHead, BadLine>>,
    last: Seq,
}

impl HeadsReader {
    /// Reads those that this key has signed. A folder that is not there has none.
    pub fn open(folder: &Path, shard: ShardId, key: PublicKey) -> io::Result<Self> {
        let files: Vec<PathBuf> = files(folder, shard)?.into_iter().map(|(_, path)| path).collect();
        Ok(Self {
            shard,
            key,
            files: files.into_iter(),
            lines: Vec::new().into_iter(),
            last: Seq::ZERO,
        })
    }

    /// Reads none, where there is no key to check them with.
    pub fn none(shard: ShardId) -> Self {
        Self {
            shard,
            key: PublicKey([0; 32]),
            files: Vec::new().into_iter(),
            lines: Vec::new().into_iter(),
            last: Seq::ZERO,
        }
    }

    /// One file. A last line without its end was never durable, and nobody has been told of it: it is left out.
    fn read(&mut self, path: &Path) -> io::Result<Vec<Result<KeptHead, BadLine>>> {
        let bytes = fs::read(path)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        let mut lines = Vec::new();
        for (index, line) in bytes[..whole].split(|byte| *byte == b'\n').enumerate() {
            if whole == 0 {
                break;
            }
            let kept = self.parse(line).map_err(|why| BadLine {
                file: path.to_owned(),
                line: index + 1,
                why,
            });
            if let Ok(kept) = &kept {
                self.last = kept.signed.head.size;
            }
            lines.push(kept);
        }
        Ok(lines)
    }

    fn parse(&self, line: &[u8]) -> Result<KeptHead, String> {
        let line: Line =
            serde_json::from_slice(line).map_err(|error| format!("it cannot be read: {error}"))?;
        let signed = SignedHead::try_from(line.head)?;
        if !signed.is_signed_by(&self.key) {
            return Err("its signature is not of this key".to_owned());
        }
        let head = signed.head;
        if head.shard != self.shard {
            return Err(format!("it is of shard {}", head.shard.0));
        }
        if head.size < self.last {
            return Err(format!(
                "a head of commit {} follows one of commit {}",
                head.size, self.last
            ));
        }
        let frontier = line.frontier.map(|peaks| {
            let peaks = peaks.into_iter().map(|peak| peak.0).collect();
            let frontier = Frontier::from_peaks(head.size.0, peaks);
            frontier
                .filter(|frontier| frontier.root() == head.root)
                .ok_or("its frontier does not give its root")
        });
        Ok(KeptHead {
            signed,
            frontier: frontier.transpose()?,
        })
    }
}

impl Iterator for HeadsReader {
    type Item = io::Result<Result<KeptHead, BadLine>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(line) = self.lines.next() {
                return Some(Ok(line));
            }
            let path = self.files.next()?;
            match self.read(&path) {
                Ok(lines) => self.lines = lines.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// What the newest files say.
#[derive(Clone, Debug, Default)]
pub struct Newest {
    /// The newest head.
    pub head: Option<SignedHead>,
    /// The newest tree that was kept; nothing where the tree must be made from the begin.
    pub frontier: Frontier,
    /// Bad lines before the newest head.
    pub before: Vec<BadLine>,
    /// Bad lines after it: one of them may have been a newer head.
    pub after: Vec<BadLine>,
}

/// Reads the newest head. Older files are opened only while newer ones have none.
pub fn newest(folder: &Path, shard: ShardId, key: PublicKey) -> io::Result<Newest> {
    let mut newest = Newest::default();
    let mut files = files(folder, shard)?;
    while let Some((_, path)) = files.pop() {
        let mut reader = HeadsReader {
            key,
            ..HeadsReader::none(shard)
        };
        let mut after = Vec::new();
        for line in reader.read(&path)? {
            match line {
                Ok(kept) => {
                    newest.head = Some(kept.signed);
                    newest.frontier = kept.frontier.unwrap_or(newest.frontier);
                    newest.before.append(&mut after);
                }
                Err(bad) => after.push(bad),
            }
        }
        newest.after.append(&mut after);
        if newest.head.is_some() {
            break;
        }
    }
    Ok(newest)
}

/// The files of a shard, the oldest first.
fn files(folder: &Path, shard: ShardId) -> io::Result<Vec<(u64, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let prefix = format!("heads-{}-", shard.0);
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let number = name
            .strip_prefix(&prefix)
            .and_then(|rest| rest.strip_suffix(".jsonl"));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            found.push((number, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Appends heads.
#[derive(Debug)]
pub struct HeadsWriter {
    folder: PathBuf,
    shard: ShardId,
    number: u64,
    /// Nothing after a failure: what is in the file then is found out by opening it again.
    file: Option<(File, u64)>,
    /// Up to where the frontier is kept, in the file that is written; nothing if it has none.
    frontier_at: Option<u64>,
}

impl HeadsWriter {
    /// Opens or makes the newest file, and cuts off a line that was never finished.
    pub fn open(folder: &Path, shard: ShardId) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let number = files(folder, shard)?.last().map_or(1, |(number, _)| *number);
        let mut writer = Self {
            folder: folder.to_owned(),
            shard,
            number,
            file: None,
            frontier_at: None,
        };
        writer.file = Some(writer.open_file()?);
        Ok(writer)
    }

    fn path(&self) -> PathBuf {
        self.folder
            .join(format!("heads-{}-{:06}.jsonl", self.shard.0, self.number))
    }

    fn open_file(&self) -> io::Result<(File, u64)> {
        let path = self.path();
        let mut options = OpenOptions::new();
        options
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600);
        let mut file = options.open(&path)?;
        let bytes = fs::read(&path)?;
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        if whole < bytes.len() {
            file.set_len(whole as u64)?;
        }
        file.seek(SeekFrom::Start(whole as u64))?;
        file.sync_all()?;
        File::open(&self.folder)?.sync_all()?;
        Ok((file, whole as u64))
    }

    /// Makes a head durable.
    pub fn append(&mut self, signed: &SignedHead, tree: &Frontier) -> io::Result<()> {
        let (mut file, mut len) = match self.file.take() {
            Some(open) => open,
            None => self.open_file()?,
        };
        if len >= FILE_BYTES_MAX {
            self.number += 1;
            self.frontier_at = None;
            (file, len) = self.open_file()?;
        }
        let is_due = |at: u64| tree.size() - at >= RECORDS_BETWEEN_FRONTIERS;
        let with_frontier = self.frontier_at.is_none_or(is_due);
        let peaks = || tree.peaks().iter().map(|peak| Hex(*peak)).collect();
        let line = Line {
            head: HeadForm::from(*signed),
            frontier: with_frontier.then(peaks),
        };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        file.write_all(&text)?;
        file.sync_data()?;
        if with_frontier {
            self.frontier_at = Some(tree.size());
        }
        self.file = Some((file, len + text.len() as u64));
        Ok(())
    }
}

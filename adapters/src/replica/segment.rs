//! Owns the files of a replica. A file has a header and then one frame for each record, and takes its name from its first record:
//!
//! ```text
//! header = "FLORREPL" | version u8 | shard u16 | first seq u64 | hash before it [32] | check [8]
//! frame  = length of bytes u32 | seq u64 | epoch u64 | prev hash [32] | hash [32] | check [8] | bytes
//! ```
//!
//! Integers are little-endian; a check is the begin of the SHA-256 of what stands before it in its header or frame. The bytes need none: the
//! record's own hash covers them.

use crate::journal::{Hash, RawRecord};
use florin_domain::ids::{Epoch, Seq, ShardId};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

const MARK: &[u8; 8] = b"FLORREPL";
const VERSION: u8 = 1;
const CHECK_BYTES: usize = 8;
pub(super) const HEADER_BYTES: usize = 8 + 1 + 2 + 8 + 32 + CHECK_BYTES;
pub(super) const FRAME_HEAD_BYTES: usize = 4 + 8 + 8 + 32 + 32 + CHECK_BYTES;

/// Bytes after which the next file begins.
pub(super) const SEGMENT_BYTES_MAX: u64 = 64 << 20;

pub(super) fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest[..CHECK_BYTES]);
    check
}

/// Appends the header of a file.
pub(super) fn push_header(out: &mut Vec<u8>, shard: ShardId, first: Seq, prev: &Hash) {
    let start = out.len();
    out.extend_from_slice(MARK);
    out.push(VERSION);
    out.extend_from_slice(&shard.0.to_le_bytes());
    out.extend_from_slice(&first.0.to_le_bytes());
    out.extend_from_slice(prev);
    let check = check(&out[start..]);
    out.extend_from_slice(&check);
}

/// Appends a record; `None` if it is too large for a frame.
pub(super) fn push_frame(out: &mut Vec<u8>, prev: &Hash, record: &RawRecord) -> Option<()> {
    let start = out.len();
    let len = u32::try_from(record.bytes.len()).ok()?;
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&record.seq.0.to_le_bytes());
    out.extend_from_slice(&record.epoch.0.to_le_bytes());
    out.extend_from_slice(prev);
    out.extend_from_slice(&record.hash);
    let check = check(&out[start..]);
    out.extend_from_slice(&check);
    out.extend_from_slice(&record.bytes);
    Some(())
}

/// Takes fixed pieces from the front of a header.
struct Pieces<'a>(&'a [u8]);

impl Pieces<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut piece = [0; N];
        let (front, rest) = self.0.split_at(N.min(self.0.len()));
        piece[..front.len()].copy_from_slice(front);
        self.0 = rest;
        piece
    }
}

/// What stands next in a file.
#[derive(Debug)]
pub(super) enum Piece {
    /// A record, with the hash that it says it follows.
    Frame { prev: Hash, record: RawRecord },
    /// Nothing: the file ends with a whole frame.
    End,
    /// Less than a frame: what a crash leaves of the last one.
    Torn,
    /// Bytes that are no frame.
    Bad(&'static str),
}

/// How a file begins.
#[derive(Debug)]
pub(super) enum Opened {
    /// As it should.
    Segment(Segment),
    /// With less than a header: what a crash leaves of a new file.
    Torn,
    /// With bytes that are no header of this shard.
    Bad(&'static str),
}

/// A file that is read.
#[derive(Debug)]
pub(super) struct Segment {
    input: BufReader<File>,
    /// The first record.
    pub(super) first: Seq,
    /// The hash before it.
    pub(super) prev: Hash,
    /// Bytes read, all of them whole pieces.
    pub(super) whole_bytes: u64,
}

impl Segment {
    pub(super) fn open(path: &Path, shard: ShardId) -> io::Result<Opened> {
        let mut input = BufReader::new(File::open(path)?);
        let mut header = [0; HEADER_BYTES];
        if read_up_to(&mut input, &mut header)? < HEADER_BYTES {
            return Ok(Opened::Torn);
        }
        let (body, found) = header.split_at(HEADER_BYTES - CHECK_BYTES);
        if check(body) != found {
            return Ok(Opened::Bad("its header is damaged"));
        }
        let mut pieces = Pieces(body);
        if &pieces.take::<8>() != MARK || pieces.take::<1>() != [VERSION] {
            return Ok(Opened::Bad("it is no replica that this build reads"));
        }
        if u16::from_le_bytes(pieces.take()) != shard.0 {
            return Ok(Opened::Bad("it is of another shard"));
        }
        Ok(Opened::Segment(Self {
            input,
            first: Seq(u64::from_le_bytes(pieces.take())),
            prev: pieces.take(),
            whole_bytes: HEADER_BYTES as u64,
        }))
    }

    pub(super) fn next(&mut self) -> io::Result<Piece> {
        let mut head = [0; FRAME_HEAD_BYTES];
        match read_up_to(&mut self.input, &mut head)? {
            0 => return Ok(Piece::End),
            FRAME_HEAD_BYTES => {}
            _ => return Ok(Piece::Torn),
        }
        let (body, found) = head.split_at(FRAME_HEAD_BYTES - CHECK_BYTES);
        if check(body) != found {
            return Ok(Piece::Bad("the head of its frame is damaged"));
        }
        let mut pieces = Pieces(body);
        let len = u32::from_le_bytes(pieces.take());
        let (seq, epoch) = (
            u64::from_le_bytes(pieces.take()),
            u64::from_le_bytes(pieces.take()),
        );
        let prev = pieces.take();
        let hash = pieces.take::<32>().to_vec();
        let mut bytes = Vec::new();
        let read = self.input.by_ref().take(len.into()).read_to_end(&mut bytes)?;
        if read as u64 != u64::from(len) {
            return Ok(Piece::Torn);
        }
        self.whole_bytes += (FRAME_HEAD_BYTES + read) as u64;
        Ok(Piece::Frame {
            prev,
            record: RawRecord {
                seq: Seq(seq),
                epoch: Epoch(epoch),
                hash,
                bytes,
            },
        })
    }
}

/// Fills the buffer as far as the file reaches.
fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The name of the file that begins with a record.
pub(super) fn file_name(shard: ShardId, first: Seq) -> String {
    format!("replica-{}-{:020}.seg", shard.0, first.0)
}

/// The files of a shard by their first records, in order. A folder that is not there has none.
pub(super) fn files(folder: &Path, shard: ShardId) -> io::Result<Vec<(Seq, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let prefix = format!("replica-{}-", shard.0);
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let first = name
            .strip_prefix(&prefix)
            .and_then(|rest| rest.strip_suffix(".seg"));
        if let Some(first) = first.and_then(|first| first.parse().ok()) {
            found.push((Seq(first), path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Puts the files from the one with `from` on under other names, the last first, so that what is left always is a begin; answers the new names.
pub(crate) fn set_aside(folder: &Path, shard: ShardId, from: Seq, mark: &str) -> io::Result<Vec<PathBuf>> {
    let files = files(folder, shard)?;
    let kept = files
        .partition_point(|(first, _)| *first <= from)
        .saturating_sub(1);
    let mut aside = Vec::new();
    for (_, path) in files[kept..].iter().rev() {
        let mut name = path.clone().into_os_string();
        name.push(format!(".{mark}"));
        let name = PathBuf::from(name);
        fs::rename(path, &name)?;
        aside.push(name);
    }
    if !aside.is_empty() {
        File::open(folder)?.sync_all()?;
    }
    Ok(aside)
}

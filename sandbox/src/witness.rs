//! The witness: an append-only log with one JSON line for each thing that a simulated provider executed.
//!
//! A line holds the row that `/charges` shows (only when money moved) and the provider's own entry, from which its objects
//! and its idempotency store come back after a restart. Lines are buffered by [`Log::push`] and made durable by
//! [`Log::commit`]. A last line without its newline was never answered: it is cut off on start. Damage anywhere else refuses
//! to start, because a witness that guesses is none.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{adyen, stripe};

const FILE_NAME: &str = "witness.jsonl";
const FORMAT_VERSION: u32 = 1;

/// What moved money, as `/charges` shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) provider: Provider,
    pub(crate) operation: RowOperation,
    #[serde(rename = "amount")]
    pub(crate) amount_minor: u64,
    pub(crate) currency: stripe::Currency,
    pub(crate) idempotency_key: Option<Box<str>>,
    pub(crate) payment_id: Option<Box<str>>,
    pub(crate) reference: Option<Box<str>>,
    /// Unix seconds.
    pub(crate) at: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Provider {
    Stripe,
    Adyen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RowOperation {
    /// Authorized and captured at once.
    Sale,
    /// Reserved; an authorization that grows adds a row with what was added.
    Authorize,
    Capture,
    /// The amount is what was still authorized.
    Void,
    Refund,
}

/// Where a line lies in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    offset: u64,
    length: u32,
}

/// What a provider stores with a line; one variant for each provider.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    Stripe(Box<stripe::Line>),
    Adyen(Box<adyen::Line>),
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EntryRef<'a> {
    Stripe(&'a stripe::Line),
    Adyen(&'a adyen::Line),
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    witness: u32,
    salt: u32,
}

#[derive(Debug, Serialize)]
struct StoredLine<'a> {
    // First, so that `/charges` finds it without reading the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<&'a Row>,
    entry: EntryRef<'a>,
}

#[derive(Debug, Deserialize)]
struct StoredEntry {
    entry: Entry,
}

#[derive(Debug, Deserialize)]
struct StoredRow<'a> {
    #[serde(borrow, default)]
    row: Option<&'a RawValue>,
}

/// The row of one line, as it was written, if the line has one.
pub(crate) fn row_of(line: &[u8]) -> io::Result<Option<&str>> {
    // Lines start with their row or have none, and most of a line is not the row.
    if !line.starts_with(br#"{"row":"#) {
        return Ok(None);
    }
    let stored: StoredRow<'_> = serde_json::from_slice(line)?;
    Ok(stored.row.map(RawValue::get))
}

#[derive(Debug)]
pub(crate) struct Log {
    store: Store,
    salt: u32,
    /// Bytes that are durable.
    durable_len: u64,
    /// Bytes after `durable_len` that the next commit writes.
    pending: Vec<u8>,
}

#[derive(Debug)]
enum Store {
    File(Arc<File>),
    /// One segment for each commit, in order, with the offset where it begins.
    Memory(Vec<(u64, Bytes)>),
}

impl Log {
    /// A log that lives in memory and dies with the process.
    pub(crate) fn in_memory(salt: u32) -> Self {
        let mut log = Self {
            store: Store::Memory(Vec::new()),
            salt,
            durable_len: 0,
            pending: Vec::new(),
        };
        log.push_header();
        log
    }

    /// Opens or creates the log of `dir` and hands every line already in it to `visit`, in order.
    ///
    /// `fresh_salt` is used only for a log that does not exist yet.
    pub(crate) fn open(
        dir: &Path,
        fresh_salt: u32,
        mut visit: impl FnMut(Entry, Span, u32) -> io::Result<()>,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join(FILE_NAME))?;
        file.try_lock().map_err(|error| {
            io::Error::other(format!("the witness is in use by another sandbox: {error}"))
        })?;
        let mut log = Self {
            store: Store::Memory(Vec::new()),
            salt: fresh_salt,
            durable_len: 0,
            pending: Vec::new(),
        };
        let mut reader = BufReader::with_capacity(1 << 20, &file);
        let mut line = Vec::new();
        loop {
            line.clear();
            reader.read_until(b'\n', &mut line)?;
            if line.last() != Some(&b'\n') {
                break;
            }
            let span = Span {
                offset: log.durable_len,
                length: line_length(&line)?,
            };
            let damaged = |error: &dyn std::fmt::Display| {
                let message = format!("{FILE_NAME} is damaged at byte {}: {error}", span.offset);
                io::Error::new(io::ErrorKind::InvalidData, message)
            };
            if span.offset == 0 {
                let header: Header = serde_json::from_slice(&line).map_err(|error| damaged(&error))?;
                if header.witness != FORMAT_VERSION {
                    return Err(damaged(&format!("unknown version {}", header.witness)));
                }
                log.salt = header.salt;
            } else {
                let stored: StoredEntry = serde_json::from_slice(&line).map_err(|error| damaged(&error))?;
                visit(stored.entry, span, log.salt).map_err(|error| damaged(&error))?;
            }
            log.durable_len += u64::from(span.length);
        }
        if file.metadata()?.len() > log.durable_len {
            tracing::warn!(
                offset = log.durable_len,
                "cutting off a torn last line of the witness"
            );
            file.set_len(log.durable_len)?;
            file.sync_all()?;
        }
        log.store = Store::File(Arc::new(file));
        if log.durable_len == 0 {
            log.push_header();
            log.commit()?;
            File::open(dir)?.sync_all()?;
        }
        Ok(log)
    }

    pub(crate) fn salt(&self) -> u32 {
        self.salt
    }

    fn push_header(&mut self) {
        let header = Header {
            witness: FORMAT_VERSION,
            salt: self.salt,
        };
        serde_json::to_writer(&mut self.pending, &header)
            .expect("a header of two integers serializes into memory");
        self.pending.push(b'\n');
    }

    /// Buffers one line; it is durable after the next [`Log::commit`].
    pub(crate) fn push(&mut self, row: Option<&Row>, entry: EntryRef<'_>) -> Span {
        let start = self.pending.len();
        let offset = self.durable_len + u64::try_from(start).expect("a buffer's length fits in 64 bits");
        serde_json::to_writer(&mut self.pending, &StoredLine { row, entry })
            .expect("lines have string keys only and are written into memory");
        self.pending.push(b'\n');
        let length = line_length(&self.pending[start..]).expect("a request body is far below 4 GiB");
        Span { offset, length }
    }

    /// Makes everything pushed so far durable. After an error the log must not be used again: whether the bytes
    /// reached the disk is unknown, and a second sync may claim success for pages that the first one lost.
    pub(crate) fn commit(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let written = u64::try_from(self.pending.len()).expect("a buffer's length fits in 64 bits");
        match &mut self.store {
            Store::File(file) => {
                file.write_all_at(&self.pending, self.durable_len)?;
                file.sync_data()?;
                self.pending.clear();
            }
            Store::Memory(segments) => {
                segments.push((self.durable_len, Bytes::from(std::mem::take(&mut self.pending))));
            }
        }
        self.durable_len += written;
        Ok(())
    }

    /// The entry of the line at `span`, durable or still pending.
    pub(crate) fn entry(&self, span: Span) -> io::Result<Entry> {
        let mut line = vec![0; usize::try_from(span.length).map_err(io::Error::other)?];
        if span.offset >= self.durable_len {
            let start = usize::try_from(span.offset - self.durable_len).map_err(io::Error::other)?;
            let end = start + line.len();
            line.copy_from_slice(&self.pending[start..end]);
        } else {
            match &self.store {
                Store::File(file) => file.read_exact_at(&mut line, span.offset)?,
                Store::Memory(segments) => read_segments(segments, &mut line, span.offset)?,
            }
        }
        let stored: StoredEntry = serde_json::from_slice(&line)?;
        Ok(stored.entry)
    }

    /// A view of what is durable now.
    pub(crate) fn reader(&self) -> LogReader {
        let source = match &self.store {
            Store::File(file) => Source::File(Arc::clone(file)),
            Store::Memory(segments) => Source::Memory(segments.clone()),
        };
        LogReader {
            source,
            length: self.durable_len,
        }
    }
}

fn line_length(line: &[u8]) -> io::Result<u32> {
    u32::try_from(line.len()).map_err(io::Error::other)
}

/// Reads the durable part of a log while its owner goes on appending.
#[derive(Debug)]
pub(crate) struct LogReader {
    source: Source,
    length: u64,
}

#[derive(Debug)]
enum Source {
    File(Arc<File>),
    Memory(Vec<(u64, Bytes)>),
}

impl LogReader {
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match &self.source {
            Source::File(file) => file.read_exact_at(buffer, offset),
            Source::Memory(segments) => read_segments(segments, buffer, offset),
        }
    }
}

fn read_segments(segments: &[(u64, Bytes)], buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let mut index = segments
        .partition_point(|(begins, _)| *begins <= offset)
        .saturating_sub(1);
    let mut filled = 0;
    let mut position = offset;
    while filled < buffer.len() {
        let (begins, segment) = segments.get(index).ok_or(io::ErrorKind::UnexpectedEof)?;
        let piece = &segment[usize::try_from(position - begins).map_err(io::Error::other)?..];
        let taken = piece.len().min(buffer.len() - filled);
        buffer[filled..filled + taken].copy_from_slice(&piece[..taken]);
        filled += taken;
        position += u64::try_from(taken).map_err(io::Error::other)?;
        index += 1;
    }
    Ok(())
}

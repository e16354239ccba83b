//! `/charges`: the rows of the log, in order, streamed in pieces.

use std::io;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::witness::{LogReader, row_of};

const READ_BYTES: usize = 256 * 1024;

/// Sends the document to `sink`, an error last if the log cannot be read. Blocks: for a blocking thread.
pub(crate) fn stream(reader: &LogReader, sink: &mpsc::Sender<io::Result<Bytes>>) {
    let sent = write_document(reader, |piece| sink.blocking_send(Ok(piece)).is_ok());
    if let Err(error) = sent {
        // Without its end the document is visibly incomplete.
        drop(sink.blocking_send(Err(error)));
    }
}

/// Calls `send` with the pieces of the document until it returns false.
pub(crate) fn write_document(reader: &LogReader, mut send: impl FnMut(Bytes) -> bool) -> io::Result<()> {
    let mut piece = br#"{"data":["#.to_vec();
    let mut is_first = true;
    // Bytes read and not yet used up: at most one read and one unfinished line.
    let mut unused: Vec<u8> = Vec::new();
    let mut offset = 0;
    while offset < reader.length() {
        let wanted = usize::try_from(reader.length() - offset)
            .unwrap_or(usize::MAX)
            .min(READ_BYTES);
        let kept = unused.len();
        unused.resize(kept + wanted, 0);
        reader.read_exact_at(&mut unused[kept..], offset)?;
        offset += u64::try_from(wanted).map_err(io::Error::other)?;
        let mut used = 0;
        while let Some(length) = unused[used..].iter().position(|byte| *byte == b'\n') {
            if let Some(row) = row_of(&unused[used..used + length])? {
                if !is_first {
                    piece.push(b',');
                }
                is_first = false;
                piece.extend_from_slice(row.as_bytes());
            }
            used += length + 1;
        }
        unused.drain(..used);
        if !send(Bytes::from(std::mem::take(&mut piece))) {
            return Ok(());
        }
    }
    piece.extend_from_slice(b"]}");
    send(Bytes::from(piece));
    Ok(())
}

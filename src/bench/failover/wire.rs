//! One HTTP/1.1 message at a time, as far as a bench needs it: those that say how long their body is.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Larger heads are none of ours.
const HEAD_BYTES_MAX: usize = 64 << 10;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// A whole message, as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    bytes: Vec<u8>,
    head_len: usize,
}

impl Message {
    /// Everything, to pass it on.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.bytes[self.head_len..]
    }

    /// Of an answer.
    pub(super) fn status(&self) -> Option<u16> {
        let line = str::from_utf8(self.bytes.get(..self.head_len)?).ok()?;
        line.split(' ').nth(1)?.parse().ok()
    }
}

/// Reads the next message; nothing if the stream ends before it begins. What comes behind it stays in `unread`.
pub(super) async fn read_message(
    stream: &mut (impl AsyncRead + Unpin),
    unread: &mut Vec<u8>,
) -> io::Result<Option<Message>> {
    loop {
        if let Some((head_len, len)) = extent(unread)?
            && unread.len() >= len
        {
            let rest = unread.split_off(len);
            let bytes = std::mem::replace(unread, rest);
            return Ok(Some(Message { bytes, head_len }));
        }
        if stream.read_buf(unread).await? == 0 {
            return if unread.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
    }
}

/// The lengths of the head and of all, once the head is there.
fn extent(bytes: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let Some(end) = bytes
        .windows(END_OF_HEAD.len())
        .position(|window| window == END_OF_HEAD)
    else {
        return if bytes.len() > HEAD_BYTES_MAX {
            Err(bad("a head without an end"))
        } else {
            Ok(None)
        };
    };
    let head = str::from_utf8(&bytes[..end]).map_err(|_| bad("a head that is no text"))?;
    let mut body_len = 0;
    for (name, value) in head.lines().filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(bad("a body without its length"));
        }
        if name.eq_ignore_ascii_case("content-length") {
            body_len = value.trim().parse().map_err(|_| bad("a length that is none"))?;
        }
    }
    let head_len = end + END_OF_HEAD.len();
    Ok(Some((head_len, head_len + body_len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_are_told_apart_by_the_lengths_they_name() {
        let mut stream: &[u8] =
            b"HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\nabHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let mut unread = Vec::new();
        let first = read_message(&mut stream, &mut unread).await.unwrap().unwrap();
        assert_eq!((first.status(), first.body()), (Some(503), b"ab".as_slice()));
        let second = read_message(&mut stream, &mut unread).await.unwrap().unwrap();
        assert_eq!((second.status(), second.body()), (Some(200), b"".as_slice()));
        assert_eq!(read_message(&mut stream, &mut unread).await.unwrap(), None);
    }

    #[tokio::test]
    async fn half_a_message_is_an_error_and_so_is_one_of_unknown_length() {
        let cases: [&[u8]; 3] = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        ];
        for mut stream in cases {
            let read = read_message(&mut stream, &mut Vec::new()).await;
            assert!(read.is_err(), "{read:?}");
        }
    }
}

//! The HTTP/1.1 answers that a load generator needs to understand: status, length, and whether to reconnect.
//!
//! Bodies are counted, not kept. One request is in flight per connection, so bytes after a complete answer are
//! an error. Chunked answers are refused by name: no endpoint under load sends them.

/// What is known of a complete answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The server will close the connection after this answer.
    pub(crate) close: bool,
}

/// Bytes that are not an answer this parser accepts; the connection is of no further use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResponseError {
    #[error("the status line is malformed")]
    StatusLine,
    #[error("a header line is malformed")]
    Header,
    #[error("the content length is missing, malformed or contradictory")]
    ContentLength,
    #[error("a transfer encoding is not supported")]
    TransferEncoding,
    #[error("the head is longer than {HEAD_BYTES_MAX} bytes")]
    HeadTooLong,
    #[error("bytes follow a complete answer")]
    Surplus,
}

/// Far above any sensible head; bounds what a wrong server can make us keep.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEAD_END: &[u8; 4] = b"\r\n\r\n";

#[derive(Debug, Clone, Copy)]
enum State {
    Head,
    Body { answer: Answer, bytes_left: u64 },
}

/// Parses the answers of one connection, however the network cuts them.
#[derive(Debug)]
pub(crate) struct ResponseParser {
    state: State,
    /// A head seen only in part; empty in the usual case of a head that arrives whole.
    partial_head: Vec<u8>,
}

impl ResponseParser {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Head,
            partial_head: Vec::new(),
        }
    }

    /// Takes the next bytes; an answer when these complete it, `None` when more must come.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<Option<Answer>, ResponseError> {
        loop {
            match self.state {
                State::Head => {
                    let Some((head, rest)) = self.take_head(bytes)? else {
                        return Ok(None);
                    };
                    bytes = rest;
                    // Interim answers (1xx) announce the real one.
                    if head.answer.status >= 200 {
                        self.state = State::Body {
                            answer: head.answer,
                            bytes_left: head.body_bytes,
                        };
                    }
                }
                State::Body { answer, bytes_left } => {
                    let have = bytes.len() as u64;
                    if have > bytes_left {
                        return Err(ResponseError::Surplus);
                    }
                    if have < bytes_left {
                        self.state = State::Body {
                            answer,
                            bytes_left: bytes_left - have,
                        };
                        return Ok(None);
                    }
                    self.state = State::Head;
                    return Ok(Some(answer));
                }
            }
        }
    }

    /// The head, once it is whole, and the bytes behind it.
    fn take_head<'b>(&mut self, bytes: &'b [u8]) -> Result<Option<(Head, &'b [u8])>, ResponseError> {
        if self.partial_head.is_empty()
            && let Some(length) = head_length(bytes)
        {
            let (head, rest) = bytes.split_at(length);
            return Ok(Some((Head::parse(head)?, rest)));
        }
        let known = self.partial_head.len();
        self.partial_head.extend_from_slice(bytes);
        // The end mark may straddle the old and the new bytes.
        let searched = known.saturating_sub(HEAD_END.len() - 1);
        let Some(length) = head_length(&self.partial_head[searched..]) else {
            if self.partial_head.len() > HEAD_BYTES_MAX {
                return Err(ResponseError::HeadTooLong);
            }
            return Ok(None);
        };
        let head_bytes = searched + length;
        let head = Head::parse(&self.partial_head[..head_bytes])?;
        self.partial_head.clear();
        Ok(Some((head, &bytes[head_bytes - known..])))
    }
}

/// Length of the head including the empty line, by comparing from the mark's last byte and skipping ahead.
fn head_length(bytes: &[u8]) -> Option<usize> {
    let mut last = HEAD_END.len() - 1;
    while let Some(byte) = bytes.get(last) {
        last += match byte {
            b'\n' if bytes[last - 3..=last] == *HEAD_END => return Some(last + 1),
            b'\n' => 2,
            b'\r' => 1,
            _ => 4,
        };
    }
    None
}

struct Head {
    answer: Answer,
    body_bytes: u64,
}

impl Head {
    /// `head` ends with the empty line.
    fn parse(head: &[u8]) -> Result<Self, ResponseError> {
        let mut lines = head[..head.len() - HEAD_END.len()].split(|byte| *byte == b'\n');
        let status_line = lines.next().unwrap_or_default().trim_ascii_end();
        let (status, mut close) = parse_status_line(status_line)?;
        let mut content_length = None;
        for line in lines {
            let colon = line
                .iter()
                .position(|byte| *byte == b':')
                .ok_or(ResponseError::Header)?;
            let (name, value) = (&line[..colon], &line[colon + 1..]);
            if name.eq_ignore_ascii_case(b"content-length") {
                let length = parse_length(value.trim_ascii())?;
                if content_length
                    .replace(length)
                    .is_some_and(|earlier| earlier != length)
                {
                    return Err(ResponseError::ContentLength);
                }
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                return Err(ResponseError::TransferEncoding);
            } else if name.eq_ignore_ascii_case(b"connection") {
                close |= value
                    .split(|byte| *byte == b',')
                    .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"close"));
            }
        }
        let bodiless = status < 200 || status == 204 || status == 304;
        let body_bytes = if bodiless {
            0
        } else {
            content_length.ok_or(ResponseError::ContentLength)?
        };
        Ok(Self {
            answer: Answer { status, close },
            body_bytes,
        })
    }
}

/// The status, and whether the version alone (1.0) means that the connection closes.
fn parse_status_line(line: &[u8]) -> Result<(u16, bool), ResponseError> {
    let rest = line.strip_prefix(b"HTTP/1.").ok_or(ResponseError::StatusLine)?;
    let [
        version @ (b'0' | b'1'),
        b' ',
        hundreds @ b'1'..=b'5',
        tens @ b'0'..=b'9',
        ones @ b'0'..=b'9',
        reason @ ..,
    ] = rest
    else {
        return Err(ResponseError::StatusLine);
    };
    if !(reason.is_empty() || reason.starts_with(b" ")) {
        return Err(ResponseError::StatusLine);
    }
    let digit = |byte: &u8| u16::from(byte - b'0');
    Ok((
        digit(hundreds) * 100 + digit(tens) * 10 + digit(ones),
        *version == b'0',
    ))
}

fn parse_length(value: &[u8]) -> Result<u64, ResponseError> {
    if value.is_empty() {
        return Err(ResponseError::ContentLength);
    }
    value.iter().try_fold(0_u64, |length, byte| {
        if !byte.is_ascii_digit() {
            return Err(ResponseError::ContentLength);
        }
        length
            .checked_mul(10)
            .and_then(|length| length.checked_add(u64::from(byte - b'0')))
            .ok_or(ResponseError::ContentLength)
    })
}

#[cfg(test)]
mod tests;

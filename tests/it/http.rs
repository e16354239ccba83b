//! Owns talking HTTP/1.1 to the binary: a blocking client with one kept connection, and nothing that hides what was sent or received.

use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// No answer takes longer unless something hangs; it fails the test instead of the machine that runs it.
const PATIENCE: Duration = Duration::from_secs(90);

/// An answer, whole.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, self.text())
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|header| header.0 == name);
        found.next().map(|header| header.1.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// A field of the error envelope; empty if it is not there.
    pub(crate) fn error(&self, field: &str) -> String {
        self.json()["error"][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Passes the answer on if it has this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Another request under the same key did the work.
    pub(crate) fn is_replay(&self) -> bool {
        self.header("idempotent-replayed") == Some("true")
    }
}

/// A request's bytes.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: florin\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if !body.is_empty() || method == "POST" {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// How far an answer has come.
pub(crate) enum Parsed {
    /// More bytes are needed.
    Partial,
    /// The answer, and how many bytes it took.
    Whole(Answer, usize),
}

/// Reads an answer from the bytes that have arrived. `closed` says that no more will come.
pub(crate) fn parse(bytes: &[u8], closed: bool) -> io::Result<Parsed> {
    let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(Parsed::Partial);
    };
    let head = str::from_utf8(&bytes[..end]).map_err(|_| bad("the head is no text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status: u16 = status.ok_or_else(|| bad("no status"))?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let answer = |body: Vec<u8>| Answer {
        status,
        headers: headers.clone(),
        body,
    };
    let find = |name: &str| {
        headers
            .iter()
            .find(|header| header.0 == name)
            .map(|header| header.1.as_str())
    };
    let rest = &bytes[end + 4..];
    if find("transfer-encoding") == Some("chunked") {
        return Ok(unchunk(rest).map_or(Parsed::Partial, |(body, used)| {
            Parsed::Whole(answer(body), end + 4 + used)
        }));
    }
    let length: Option<usize> = find("content-length").and_then(|length| length.parse().ok());
    match length {
        Some(length) if rest.len() >= length => {
            Ok(Parsed::Whole(answer(rest[..length].to_vec()), end + 4 + length))
        }
        None if closed => Ok(Parsed::Whole(answer(rest.to_vec()), bytes.len())),
        Some(_) | None => Ok(Parsed::Partial),
    }
}

/// The joined chunks and the bytes they took, once the last one is there.
fn unchunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = bytes[at..].windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(str::from_utf8(&bytes[at..at + line]).ok()?.trim(), 16).ok()?;
        let start = at + line + 2;
        body.extend_from_slice(bytes.get(start..start + size)?);
        bytes.get(start + size..start + size + 2)?;
        at = start + size + 2;
        if size == 0 {
            return Some((body, at));
        }
    }
}

/// One client, which keeps its connection while the server does.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
        }
    }

    /// Sends bytes and reads one answer. An error says nothing about whether the request arrived.
    pub(crate) fn exchange(&mut self, bytes: &[u8]) -> io::Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address)?,
        };
        // A server that refuses early may close before it has read everything: what it said still counts.
        let sent = stream.write_all(bytes);
        let (answer, closed) = match read_answer(&mut stream) {
            Ok(read) => read,
            Err(error) => return Err(sent.err().unwrap_or(error)),
        };
        let keeps = sent.is_ok() && !closed && answer.header("connection") != Some("close");
        self.stream = keeps.then_some(stream);
        Ok(answer)
    }

    /// Sends a request; one that fails on a connection the server had closed meanwhile fails here as well.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        self.exchange(&request(method, path, headers, body))
    }
}

pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn read_answer(stream: &mut TcpStream) -> io::Result<(Answer, bool)> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let read = stream.read(&mut buffer)?;
        bytes.extend_from_slice(&buffer[..read]);
        match parse(&bytes, read == 0)? {
            Parsed::Whole(answer, _) => return Ok((answer, read == 0)),
            Parsed::Partial if read == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Parsed::Partial => {}
        }
    }
}

/// Sends bytes on a connection of their own, and nothing after them; the answer, or `None` if the server just closed.
pub(crate) fn raw(address: SocketAddr, bytes: &[u8]) -> Option<Answer> {
    let mut stream = connect(address).unwrap();
    // Either may fail when the server has closed already.
    drop(stream.write_all(bytes));
    drop(stream.shutdown(Shutdown::Write));
    read_answer(&mut stream).ok().map(|read| read.0)
}

#[test]
fn answers_are_read_with_either_framing() {
    let whole = |bytes: &[u8]| match parse(bytes, false).unwrap() {
        Parsed::Whole(answer, used) => Some((answer.status, answer.text(), used)),
        Parsed::Partial => None,
    };
    let sized = b"HTTP/1.1 402 Payment Required\r\nContent-Length: 3\r\n\r\nabcHTTP";
    assert_eq!(whole(sized), Some((402, "abc".to_owned(), sized.len() - 4)));
    assert_eq!(whole(&sized[..sized.len() - 5]), None);
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
    assert_eq!(whole(chunked), Some((200, "abc".to_owned(), chunked.len())));
    assert_eq!(whole(&chunked[..chunked.len() - 1]), None);
}

//! One keep-alive connection: at most one request in flight, sent and answered without blocking.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream as BlockingStream};
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::response::{Answer, ResponseError, ResponseParser};

/// Opens a connection ready for the event loop; waits for the server at most `timeout`.
pub(crate) fn connect(addr: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = BlockingStream::connect_timeout(&addr, timeout)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream))
}

/// What a readable connection had to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// Nothing complete yet.
    Pending,
    Answer(Answer),
    /// Closed by the server.
    Closed,
}

/// Why a connection is of no further use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error("the socket failed")]
    Socket(#[from] io::Error),
    #[error("the answer is not one")]
    Response(#[from] ResponseError),
    #[error("an answer came to no question")]
    Unasked,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    parser: ResponseParser,
    request: Vec<u8>,
    /// Bytes of `request` that the socket has taken.
    written: usize,
    /// When the request in flight counts as sent: the moment of sending, or its place in the schedule.
    in_flight_since: Option<Instant>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            parser: ResponseParser::new(),
            request: Vec::new(),
            written: 0,
            in_flight_since: None,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight_since.is_none()
    }

    /// Ends the request in flight, if any, and tells since when it was.
    pub(crate) fn take_in_flight(&mut self) -> Option<Instant> {
        self.in_flight_since.take()
    }

    /// Starts on another socket; what was in flight must have been taken.
    pub(crate) fn replace(&mut self, stream: TcpStream) {
        debug_assert!(self.is_idle());
        self.stream = stream;
        self.parser = ResponseParser::new();
        self.request.clear();
        self.written = 0;
    }

    /// Sends what `fill` writes; the latency will count from `since`.
    pub(crate) fn send(&mut self, since: Instant, fill: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        debug_assert!(self.is_idle());
        self.request.clear();
        self.written = 0;
        fill(&mut self.request);
        self.in_flight_since = Some(since);
        self.flush()
    }

    /// Writes what the socket will take; the rest goes when it turns writable.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.written < self.request.len() {
            match self.stream.write(&self.request[self.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads until an answer is complete or nothing is left.
    ///
    /// A read that does not fill `scratch` has emptied the socket, so no second read is spent on hearing that,
    /// unless the poll said that the other side is done (`read_closed`): that event does not come twice.
    pub(crate) fn receive(
        &mut self,
        scratch: &mut [u8],
        read_closed: bool,
    ) -> Result<Received, ConnectionError> {
        let mut received = None;
        loop {
            let count = match self.stream.read(scratch) {
                Ok(0) => return Ok(received.map_or(Received::Closed, closing)),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return received.map(closing).ok_or(error.into()),
            };
            if self.is_idle() {
                return Err(ConnectionError::Unasked);
            }
            if received.is_some() {
                return Err(ResponseError::Surplus.into());
            }
            received = self.parser.feed(&scratch[..count])?;
            if count < scratch.len() && !read_closed {
                break;
            }
        }
        // A server that answers before it has the whole request will not make sense of its rest.
        let unfinished = self.written < self.request.len();
        Ok(match received {
            Some(answer) if unfinished => closing(answer),
            Some(answer) => Received::Answer(answer),
            None => Received::Pending,
        })
    }
}

/// The answer counts; the connection must not be used again.
fn closing(answer: Answer) -> Received {
    Received::Answer(Answer {
        close: true,
        ..answer
    })
}

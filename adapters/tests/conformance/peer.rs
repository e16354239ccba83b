//! A server in the provider's place that does one thing with every connection, and counts them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// What happens with a connection.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Read one request, answer this byte for byte, and close.
    Answer(Vec<u8>),
    /// Wait until the request has begun to arrive, read nothing of it, and close: a reset.
    CloseUnread,
    /// Read one request and close.
    Close,
    /// Read one request and say nothing until the caller goes away.
    Silence,
    /// Pass one request on, wait until it is answered there, and close.
    ExecuteAndClose(SocketAddr),
    /// Pass one request on, wait until it is answered there, and say nothing until the caller goes away.
    ExecuteAndSilence(SocketAddr),
}

pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Act {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Whatever\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    Act::Answer([head.as_bytes(), body.as_bytes()].concat())
}

/// Nobody listens there.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    is_stopping: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Peer {
    pub(crate) fn start(act: Act) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let is_stopping = Arc::new(AtomicBool::new(false));
        let connections = Arc::new(AtomicUsize::new(0));
        let (stopping, counted) = (Arc::clone(&is_stopping), Arc::clone(&connections));
        let thread = std::thread::spawn(move || {
            loop {
                let socket = listener.accept().unwrap().0;
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                counted.fetch_add(1, Ordering::SeqCst);
                perform(socket, &act);
            }
        });
        Self {
            address,
            is_stopping,
            connections,
            thread,
        }
    }

    /// How many connections there were, when the last one is done with. Does not hold up the runtime.
    pub(crate) async fn stop(self) -> usize {
        self.is_stopping.store(true, Ordering::SeqCst);
        tokio::task::spawn_blocking(move || {
            // Wakes it.
            drop(TcpStream::connect(self.address).unwrap());
            self.thread.join().unwrap();
            self.connections.load(Ordering::SeqCst)
        })
        .await
        .unwrap()
    }
}

fn perform(mut socket: TcpStream, act: &Act) {
    match act {
        Act::Answer(bytes) => {
            read_request(&mut socket);
            // The caller may have had enough before the end.
            drop(socket.write_all(bytes));
        }
        Act::CloseUnread => {
            socket.peek(&mut [0]).unwrap();
        }
        Act::Close => {
            read_request(&mut socket);
        }
        Act::Silence => {
            read_request(&mut socket);
            until_gone(&mut socket);
        }
        Act::ExecuteAndClose(there) => pass_on(&read_request(&mut socket), *there),
        Act::ExecuteAndSilence(there) => {
            pass_on(&read_request(&mut socket), *there);
            until_gone(&mut socket);
        }
    }
}

fn until_gone(socket: &mut TcpStream) {
    drop(socket.read_to_end(&mut Vec::new()));
}

fn read_request(socket: &mut TcpStream) -> Vec<u8> {
    let mut reader = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(
            reader.read_line(&mut head).unwrap(),
            0,
            "the request ends in its head: {head}"
        );
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    [head.into_bytes(), body].concat()
}

fn pass_on(request: &[u8], there: SocketAddr) {
    let first = request.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let (line, rest) = request.split_at(first);
    let mut socket = TcpStream::connect(there).unwrap();
    socket
        .write_all(&[line, b"connection: close\r\n", rest].concat())
        .unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 "), "{answer:?}");
}

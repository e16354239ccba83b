//! What stands before a provider on a socket of its own, and can die as a provider does, while the provider's witness lives on.

use super::wire::{Message, read_message};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const BACKLOG: u32 = 1024;
const UNAVAILABLE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

/// How the provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It answers.
    Well,
    /// Nobody listens, and the connections that there were are reset.
    Refuses,
    /// It takes connections and requests, and never answers. What it had taken may have been executed.
    Hangs,
    /// It answers everything with 503. What it had taken is answered as usual.
    Unavailable,
}

/// The gate; dropping it ends it.
#[derive(Debug)]
pub(super) struct Gate {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    forwarded: Arc<AtomicU64>,
    _accepting: JoinHandle<io::Result<()>>,
}

#[derive(Clone, Debug)]
struct Passage {
    provider: SocketAddr,
    forwarded: Arc<AtomicU64>,
    mode: watch::Receiver<Mode>,
}

/// How a connection ends.
#[derive(Debug)]
enum End {
    Closed,
    Reset,
}

impl Gate {
    /// Opens one before the provider that answers there.
    pub(super) async fn open(provider: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (mode, watched) = watch::channel(Mode::Well);
        let forwarded = Arc::<AtomicU64>::default();
        let passage = Passage {
            provider,
            forwarded: Arc::clone(&forwarded),
            mode: watched,
        };
        Ok(Self {
            address,
            mode,
            forwarded,
            _accepting: tokio::spawn(accept(listener, address, passage)),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Requests that the provider was given so far.
    pub(super) fn forwarded(&self) -> u64 {
        self.forwarded.load(Ordering::Relaxed)
    }
}

async fn accept(mut listener: TcpListener, address: SocketAddr, mut passage: Passage) -> io::Result<()> {
    loop {
        if *passage.mode.borrow_and_update() == Mode::Refuses {
            drop(listener);
            // Bound and not listening: the system refuses every connection, and gives the port to nobody else.
            let held = TcpSocket::new_v4()?;
            held.set_reuseaddr(true)?;
            held.bind(address)?;
            let back = passage.mode.wait_for(|mode| *mode != Mode::Refuses).await;
            if back.is_err() {
                return Ok(());
            }
            listener = held.listen(BACKLOG)?;
        }
        tokio::select! {
            changed = passage.mode.changed() => if changed.is_err() {
                return Ok(());
            },
            accepted = listener.accept() => {
                let (client, _) = accepted?;
                client.set_nodelay(true)?;
                tokio::spawn(passage.clone().serve(client));
            }
        }
    }
}

impl Passage {
    async fn serve(mut self, mut client: TcpStream) {
        match self.carry(&mut client).await {
            Ok(End::Closed) => {}
            Ok(End::Reset) => {
                if let Err(error) = client.set_zero_linger() {
                    tracing::debug!(%error, "a connection was closed instead of reset");
                }
            }
            Err(error) => tracing::debug!(%error, "a connection through the gate ended early"),
        }
    }

    async fn carry(&mut self, client: &mut TcpStream) -> io::Result<End> {
        let mut unread = Vec::new();
        let mut provider = None;
        loop {
            let request = tokio::select! {
                biased;
                () = became(&mut self.mode, &[Mode::Refuses]) => return Ok(End::Reset),
                read = read_message(client, &mut unread) => match read? {
                    Some(request) => request,
                    None => return Ok(End::Closed),
                },
            };
            let mode = *self.mode.borrow();
            let answer = match mode {
                Mode::Refuses => return Ok(End::Reset),
                Mode::Unavailable => {
                    client.write_all(UNAVAILABLE).await?;
                    continue;
                }
                Mode::Hangs => None,
                Mode::Well => {
                    self.forwarded.fetch_add(1, Ordering::Relaxed);
                    let mut silenced = self.mode.clone();
                    tokio::select! {
                        biased;
                        () = became(&mut silenced, &[Mode::Refuses, Mode::Hangs]) => None,
                        answer = self.ask(&mut provider, &request) => Some(answer?),
                    }
                }
            };
            let Some(answer) = answer else {
                // One that hung is another one when it comes back.
                became(&mut self.mode, &[Mode::Refuses, Mode::Well, Mode::Unavailable]).await;
                return Ok(End::Reset);
            };
            client.write_all(answer.bytes()).await?;
        }
    }

    async fn ask(
        &self,
        connection: &mut Option<(TcpStream, Vec<u8>)>,
        request: &Message,
    ) -> io::Result<Message> {
        if connection.is_none() {
            let stream = TcpStream::connect(self.provider).await?;
            stream.set_nodelay(true)?;
            *connection = Some((stream, Vec::new()));
        }
        let Some((stream, unread)) = connection else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        stream.write_all(request.bytes()).await?;
        let answer = read_message(stream, unread).await?;
        answer.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// Resolves when the mode is one of these, or nobody is left to change it.
async fn became(mode: &mut watch::Receiver<Mode>, wanted: &[Mode]) {
    drop(mode.wait_for(|mode| wanted.contains(mode)).await);
}

//! Owns a bad network: a proxy in front of a server on this machine that holds back, swallows, cuts, or takes connections and says nothing.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

/// How often it looks whether it still listens.
const LOOK: Duration = Duration::from_millis(2);

/// A proxy on a port of its own. What it is told is about the connections of that moment, unless it says otherwise; new ones are whole.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    listening: Option<Arc<()>>,
    is_black_hole: bool,
    connections: Vec<Arc<Connection>>,
}

/// Two sockets and what becomes of the bytes between them.
#[derive(Debug)]
struct Connection {
    client: TcpStream,
    server: TcpStream,
    way: Mutex<Way>,
}

#[derive(Debug, Default)]
struct Way {
    holds_requests: bool,
    swallows_answers: bool,
    held: Vec<u8>,
    swallowed: usize,
    has_client_gone: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Listens, and passes everything on to `target`.
    pub fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
        let proxy = Self {
            address: listener.local_addr().context("a port without a number")?,
            shared: Arc::new(Shared {
                target,
                state: Mutex::default(),
            }),
        };
        proxy.listen(listener)?;
        Ok(proxy)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Keeps what clients send from now on, also after they have gone, until it is let go.
    pub fn hold_requests(&self) {
        self.each(|way| way.holds_requests = true);
    }

    /// Bytes that are held back.
    pub fn held(&self) -> usize {
        self.sum(|way| way.held.len())
    }

    /// Delivers what was held back, late.
    pub fn let_go(&self) -> Result<()> {
        for connection in self.connections() {
            let mut way = locked(&connection.way);
            way.holds_requests = false;
            let held = std::mem::take(&mut way.held);
            (&connection.server)
                .write_all(&held)
                .context("the server is gone")?;
            if way.has_client_gone {
                drop(connection.server.shutdown(Shutdown::Write));
            }
        }
        Ok(())
    }

    /// Lets no answer of the server through any more.
    pub fn swallow_answers(&self) {
        self.each(|way| way.swallows_answers = true);
    }

    /// Bytes of answers that nobody got.
    pub fn swallowed(&self) -> usize {
        self.sum(|way| way.swallowed)
    }

    /// Takes everything and says nothing, on connections that are and that come.
    pub fn black_hole(&self) {
        locked(&self.shared.state).is_black_hole = true;
        self.each(|way| {
            way.holds_requests = true;
            way.swallows_answers = true;
        });
    }

    /// Ends connections: to the client at once, to the server too unless something for it is held back.
    pub fn cut(&self) {
        for connection in self.connections() {
            drop(connection.client.shutdown(Shutdown::Both));
            if !locked(&connection.way).holds_requests {
                drop(connection.server.shutdown(Shutdown::Both));
            }
        }
    }

    /// Is no longer there: refuses who comes, and ends who is.
    pub fn close(&self) {
        locked(&self.shared.state).listening = None;
        self.cut();
        // Until it is refused, it is still taken.
        while TcpStream::connect(self.address).is_ok() {
            self.cut();
            std::thread::sleep(LOOK);
        }
    }

    /// Is there again, on the same port, and whole.
    pub fn open(&self) -> Result<()> {
        locked(&self.shared.state).is_black_hole = false;
        if locked(&self.shared.state).listening.is_some() {
            return Ok(());
        }
        let listener = TcpListener::bind(self.address).context("the port was taken meanwhile")?;
        self.listen(listener)
    }

    fn listen(&self, listener: TcpListener) -> Result<()> {
        listener
            .set_nonblocking(true)
            .context("a listener that cannot be asked")?;
        let listening = Arc::new(());
        let wanted = Arc::downgrade(&listening);
        locked(&self.shared.state).listening = Some(listening);
        let shared = Arc::clone(&self.shared);
        std::thread::spawn(move || {
            while wanted.strong_count() > 0 {
                match listener.accept() {
                    Ok((client, _)) => shared.take(client),
                    Err(_) => std::thread::sleep(LOOK),
                }
            }
        });
        Ok(())
    }

    fn connections(&self) -> Vec<Arc<Connection>> {
        locked(&self.shared.state).connections.clone()
    }

    fn each(&self, change: impl Fn(&mut Way)) {
        for connection in self.connections() {
            change(&mut locked(&connection.way));
        }
    }

    fn sum(&self, of: impl Fn(&Way) -> usize) -> usize {
        let connections = self.connections();
        connections.iter().map(|one| of(&locked(&one.way))).sum()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        locked(&self.shared.state).listening = None;
        for connection in self.connections() {
            connection.end();
        }
    }
}

impl Shared {
    /// Joins a client with the server, if that is there.
    fn take(&self, client: TcpStream) {
        let connected = TcpStream::connect(self.target).and_then(|server| {
            client.set_nonblocking(false)?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            Ok(server)
        });
        let Ok(server) = connected else {
            return;
        };
        let mut state = locked(&self.state);
        let way = Way {
            holds_requests: state.is_black_hole,
            swallows_answers: state.is_black_hole,
            ..Way::default()
        };
        let connection = Arc::new(Connection {
            client,
            server,
            way: Mutex::new(way),
        });
        state.connections.push(Arc::clone(&connection));
        drop(state);
        let other = Arc::clone(&connection);
        std::thread::spawn(move || connection.carry_requests());
        std::thread::spawn(move || other.carry_answers());
    }
}

impl Connection {
    fn carry_requests(&self) {
        let mut bytes = [0; 16 << 10];
        while let Ok(count @ 1..) = (&self.client).read(&mut bytes) {
            let mut way = locked(&self.way);
            let sent = bytes.get(..count).unwrap_or_default();
            if way.holds_requests {
                way.held.extend_from_slice(sent);
            } else if (&self.server).write_all(sent).is_err() {
                break;
            }
        }
        let mut way = locked(&self.way);
        way.has_client_gone = true;
        if !way.holds_requests {
            drop(self.server.shutdown(Shutdown::Write));
        }
    }

    fn carry_answers(&self) {
        let mut bytes = [0; 16 << 10];
        while let Ok(count @ 1..) = (&self.server).read(&mut bytes) {
            let mut way = locked(&self.way);
            if way.swallows_answers {
                way.swallowed += count;
                continue;
            }
            drop(way);
            // Whether or not anybody is there to read it: the server must not be held up.
            drop((&self.client).write_all(bytes.get(..count).unwrap_or_default()));
        }
        if !locked(&self.way).swallows_answers {
            drop(self.client.shutdown(Shutdown::Both));
        }
    }

    fn end(&self) {
        drop(self.client.shutdown(Shutdown::Both));
        drop(self.server.shutdown(Shutdown::Both));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers every byte with the same one, and its address.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                std::thread::spawn(move || std::io::copy(&mut client.try_clone().unwrap(), &mut client));
            }
        });
        address
    }

    fn joined(proxy: &Proxy) -> TcpStream {
        let mut client = TcpStream::connect(proxy.address()).unwrap();
        assert_eq!(answer(&mut client, b'0'), Some(b'0'));
        client
    }

    fn answer(client: &mut TcpStream, byte: u8) -> Option<u8> {
        client.write_all(&[byte]).ok()?;
        let mut answer = [0];
        client.read_exact(&mut answer).ok()?;
        Some(answer[0])
    }

    fn until(what: impl Fn() -> bool) {
        while !what() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_is_held_back_arrives_after_its_sender_has_gone() {
        let proxy = Proxy::start(echo()).unwrap();
        let mut first = joined(&proxy);
        proxy.hold_requests();
        proxy.swallow_answers();
        first.write_all(b"late").unwrap();
        until(|| proxy.held() == 4);
        proxy.cut();
        assert_eq!(first.read(&mut [0]).unwrap_or(0), 0, "it has ended");
        assert_eq!(
            answer(&mut joined(&proxy), b'n'),
            Some(b'n'),
            "a new one is whole"
        );
        assert_eq!(proxy.swallowed(), 0, "nothing has arrived");
        proxy.let_go().unwrap();
        until(|| proxy.swallowed() == 4);
    }

    #[test]
    fn a_swallowed_answer_was_asked_for_and_is_not_given() {
        let proxy = Proxy::start(echo()).unwrap();
        let mut client = joined(&proxy);
        proxy.swallow_answers();
        client.write_all(b"x").unwrap();
        until(|| proxy.swallowed() == 1);
        proxy.cut();
        assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
    }

    #[test]
    fn a_black_hole_takes_connections_and_a_closed_one_does_not() {
        let proxy = Proxy::start(echo()).unwrap();
        let mut old = joined(&proxy);
        proxy.black_hole();
        old.write_all(b"old").unwrap();
        TcpStream::connect(proxy.address())
            .unwrap()
            .write_all(b"new")
            .unwrap();
        until(|| proxy.held() == 6);
        proxy.close();
        assert!(TcpStream::connect(proxy.address()).is_err());
        proxy.open().unwrap();
        joined(&proxy);
    }
}

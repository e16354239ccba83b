//! Owns a passage between a node and its provider: it counts the node's connections, and holds back what they carry while it is shut.

use std::io::{Read, Write, copy};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// Every connection has two threads, which end with it.
#[derive(Clone, Debug)]
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    passage: Arc<Passage>,
}

#[derive(Debug, Default)]
struct Passage {
    open: AtomicUsize,
    held: AtomicUsize,
    is_shut: Mutex<bool>,
    changed: Condvar,
}

impl Relay {
    pub(crate) fn before(provider: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let passage = Arc::<Passage>::default();
        let of_all = Arc::clone(&passage);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, passage) = (client.unwrap(), Arc::clone(&of_all));
                passage.open.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    passage.carry(client, provider);
                    passage.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, passage }
    }

    /// From now on nothing that the node sends arrives.
    pub(crate) fn shut(&self) {
        *self.passage.is_shut.lock().unwrap() = true;
    }

    /// What was held back arrives.
    pub(crate) fn let_pass(&self) {
        *self.passage.is_shut.lock().unwrap() = false;
        self.passage.changed.notify_all();
    }

    /// Connections that the node has.
    pub(crate) fn open(&self) -> usize {
        self.passage.open.load(Ordering::SeqCst)
    }

    /// Those on which something waits.
    pub(crate) fn held(&self) -> usize {
        self.passage.held.load(Ordering::SeqCst)
    }
}

impl Passage {
    /// Until the node closes it, or the provider does.
    fn carry(&self, mut client: TcpStream, provider: SocketAddr) {
        let Ok(mut provider) = TcpStream::connect(provider) else {
            return;
        };
        let (mut answers, mut answered) = (provider.try_clone().unwrap(), client.try_clone().unwrap());
        let back = std::thread::spawn(move || {
            // Either side may be gone; then so is the other one.
            drop(copy(&mut answers, &mut answered));
            drop(answered.shutdown(Shutdown::Both));
        });
        let mut piece = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = client.read(&mut piece) {
            self.wait();
            if provider.write_all(&piece[..length]).is_err() {
                break;
            }
        }
        drop(provider.shutdown(Shutdown::Both));
        back.join().unwrap();
    }

    fn wait(&self) {
        let is_shut = self.is_shut.lock().unwrap();
        if *is_shut {
            self.held.fetch_add(1, Ordering::SeqCst);
            drop(self.changed.wait_while(is_shut, |is_shut| *is_shut).unwrap());
            self.held.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

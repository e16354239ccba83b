//! Owns a passage between a node and its provider: it counts the node's connections, and holds back what they carry, in either direction, while
//! it is shut.

use std::io::{Read, Write};
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
    asked: Gate,
    answered: Gate,
}

/// Of one direction.
#[derive(Debug, Default)]
struct Gate {
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
        self.passage.asked.set(true);
    }

    /// From now on the node hears nothing of what it has asked for.
    pub(crate) fn shut_answers(&self) {
        self.passage.answered.set(true);
    }

    /// What was held back arrives.
    pub(crate) fn let_pass(&self) {
        self.passage.asked.set(false);
        self.passage.answered.set(false);
    }

    /// Connections that the node has.
    pub(crate) fn open(&self) -> usize {
        self.passage.open.load(Ordering::SeqCst)
    }

    /// Those on which something waits.
    pub(crate) fn held(&self) -> usize {
        self.passage.asked.held.load(Ordering::SeqCst)
    }

    /// Those on which an answer waits.
    pub(crate) fn held_answers(&self) -> usize {
        self.passage.answered.held.load(Ordering::SeqCst)
    }
}

impl Passage {
    /// Until the node closes it, or the provider does.
    fn carry(self: &Arc<Self>, mut client: TcpStream, provider: SocketAddr) {
        let Ok(mut provider) = TcpStream::connect(provider) else {
            return;
        };
        let (mut answers, mut answered) = (provider.try_clone().unwrap(), client.try_clone().unwrap());
        let passage = Arc::clone(self);
        let back = std::thread::spawn(move || {
            passage.answered.pass(&mut answers, &mut answered);
            drop(answered.shutdown(Shutdown::Both));
        });
        self.asked.pass(&mut client, &mut provider);
        drop(provider.shutdown(Shutdown::Both));
        back.join().unwrap();
    }
}

impl Gate {
    fn set(&self, is_shut: bool) {
        *self.is_shut.lock().unwrap() = is_shut;
        self.changed.notify_all();
    }

    /// Until either side is gone; then so is the other one.
    fn pass(&self, from: &mut TcpStream, to: &mut TcpStream) {
        let mut piece = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut piece) {
            self.wait();
            if to.write_all(&piece[..length]).is_err() {
                break;
            }
        }
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

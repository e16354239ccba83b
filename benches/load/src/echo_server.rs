//! The yardstick: what the HTTP server alone can do with a payment's bytes.
//!
//! One route parses a body of a payment request's shape and answers one of a payment's size, both through typed
//! structs; nothing else happens. What Florin does on top is the distance to this.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use actix_web::{App, HttpServer, Responder, web};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// A running echo on a port of its own; dropping it stops it.
#[derive(Debug)]
pub struct EchoServer {
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl EchoServer {
    /// Serves on 127.0.0.1 with `workers` worker threads (Florin's own default is 2).
    pub fn start(workers: usize) -> io::Result<Self> {
        let (addr_tx, addr_rx) = mpsc::sync_channel(1);
        let (stop_tx, stop_rx) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("echo-server".to_owned())
            .spawn(move || actix_web::rt::System::new().block_on(serve(workers, &addr_tx, stop_rx)))?;
        let mut server = Self {
            addr: (Ipv4Addr::LOCALHOST, 0).into(),
            stop: Some(stop_tx),
            thread: Some(thread),
        };
        match addr_rx.recv() {
            Ok(addr) => {
                server.addr = addr;
                Ok(server)
            }
            // The sender is gone without an address: the thread's own result says why.
            Err(_) => Err(server
                .join()
                .err()
                .unwrap_or_else(|| io::Error::other("the echo ended at once"))),
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends the server without waiting for open connections, and tells how it went.
    pub fn stop(mut self) -> io::Result<()> {
        self.join()
    }

    fn join(&mut self) -> io::Result<()> {
        if let Some(stop) = self.stop.take() {
            // A server that has ended by itself no longer listens; joining tells why it did.
            stop.send(()).ok();
        }
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the echo panicked")),
            None => Ok(()),
        }
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        // Nobody is left to hear how it went; `stop` is for those who want to.
        self.join().ok();
    }
}

async fn serve(
    workers: usize,
    addr_tx: &mpsc::SyncSender<SocketAddr>,
    stop: oneshot::Receiver<()>,
) -> io::Result<()> {
    let server = HttpServer::new(|| App::new().route("/echo", web::post().to(echo)))
        .workers(workers)
        .disable_signals()
        .bind((Ipv4Addr::LOCALHOST, 0))?;
    let addr = server
        .addrs()
        .first()
        .copied()
        .ok_or_else(|| io::Error::other("the echo has no address"))?;
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(async move {
        // A dropped sender means the same as a sent stop.
        stop.await.ok();
        handle.stop(false).await;
    });
    if addr_tx.send(addr).is_err() {
        return Ok(());
    }
    server.await
}

/// The shape of a payment request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EchoRequest {
    amount: u64,
    currency: String,
    payment_method_id: String,
    customer_id: String,
}

/// The shape and size of a payment answer.
#[derive(Debug, Serialize)]
struct EchoAnswer {
    object: &'static str,
    id: &'static str,
    payment_id: &'static str,
    status: &'static str,
    amount: u64,
    amount_capturable: u64,
    amount_captured: u64,
    amount_refunded: u64,
    currency: String,
    fee: u64,
    net: u64,
    capture_method: &'static str,
    payment_method_id: String,
    payment_method_details: EchoMethod,
    customer_id: String,
    provider: &'static str,
    processor_transaction_id: &'static str,
    risk: EchoRisk,
    captures: [EchoCapture; 1],
    refunds: [(); 0],
    created: u64,
    authorization_expires_at: Option<u64>,
    livemode: bool,
    description: Option<&'static str>,
    failure_code: Option<&'static str>,
    decline_code: Option<&'static str>,
    next_action: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct EchoMethod {
    r#type: &'static str,
    brand: &'static str,
    last4: &'static str,
}

#[derive(Debug, Serialize)]
struct EchoRisk {
    score: u32,
    action: &'static str,
    reasons: [&'static str; 0],
}

#[derive(Debug, Serialize)]
struct EchoCapture {
    id: &'static str,
    amount: u64,
    status: &'static str,
}

async fn echo(request: web::Json<EchoRequest>) -> impl Responder {
    let EchoRequest {
        amount,
        currency,
        payment_method_id,
        customer_id,
    } = request.into_inner();
    web::Json(answer(amount, currency, payment_method_id, customer_id))
}

fn answer(amount: u64, currency: String, payment_method_id: String, customer_id: String) -> EchoAnswer {
    EchoAnswer {
        object: "payment",
        id: "pay_000000000000000000000000",
        payment_id: "pay_000000000000000000000000",
        status: "succeeded",
        amount,
        amount_capturable: 0,
        amount_captured: amount,
        amount_refunded: 0,
        currency,
        fee: 0,
        net: amount,
        capture_method: "automatic",
        payment_method_id,
        payment_method_details: EchoMethod {
            r#type: "card",
            brand: "visa",
            last4: "4242",
        },
        customer_id,
        provider: "echo",
        processor_transaction_id: "txn_000000000000000000000000",
        risk: EchoRisk {
            score: 0,
            action: "allow",
            reasons: [],
        },
        captures: [EchoCapture {
            id: "cap_000000000000000000000000",
            amount,
            status: "succeeded",
        }],
        refunds: [],
        created: 0,
        authorization_expires_at: None,
        livemode: false,
        description: None,
        failure_code: None,
        decline_code: None,
        next_action: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_size_of_a_payments() {
        let answer = answer(
            8_419,
            "USD".to_owned(),
            "pm_card_visa".to_owned(),
            "cus_70001".to_owned(),
        );
        let bytes = serde_json::to_vec(&answer).unwrap().len();
        assert!((650..=850).contains(&bytes), "{bytes} bytes");
    }
}

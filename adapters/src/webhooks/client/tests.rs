//! The client against a receiver on this machine: what it sends, where it does not connect to, and what it does not wait for or follow.

use super::*;
use florin_domain::ids::MerchantId;
use florin_domain::vault::Owner;
use rustls::RootCertStore;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

mod bounds;

/// How a connection begins that asks for a certificate.
const TLS_RECORD: &[u8] = &[22];

/// Somebody who answers every request with the same bytes.
struct Receiver {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Receiver {
    /// Answers with `answer`; if it is empty, never.
    async fn start(answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let receiver = Self {
            port: listener.local_addr().unwrap().port(),
            requests: Arc::default(),
            connections: Arc::default(),
        };
        let (requests, connections) = (Arc::clone(&receiver.requests), Arc::clone(&receiver.connections));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let (requests, answer) = (Arc::clone(&requests), answer.clone());
                tokio::spawn(async move {
                    let mut text = Vec::new();
                    while !text.ends_with(b"}") {
                        let mut some = [0; 4096];
                        let read = stream.read(&mut some).await.unwrap();
                        if read == 0 {
                            return;
                        }
                        text.extend_from_slice(&some[..read]);
                        if text.starts_with(TLS_RECORD) {
                            // In the clear, which is no answer to that.
                            drop(stream.write_all(&answer).await);
                            return;
                        }
                    }
                    requests.lock().unwrap().push(String::from_utf8(text).unwrap());
                    if answer.is_empty() {
                        std::future::pending::<()>().await;
                    }
                    drop(stream.write_all(&answer).await);
                });
            }
        });
        receiver
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn status(line: &str, more: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\nconnection: close\r\n{more}content-length: 0\r\n\r\n").into_bytes()
}

/// Every name stands for these.
fn client(allows_local: bool, addresses: &'static [&'static str]) -> VettedClient {
    client_that(
        allows_local,
        Arc::new(move |_| {
            let found = addresses
                .iter()
                .map(|address| SocketAddr::new(address.parse().unwrap(), 0));
            Ok(found.collect())
        }),
    )
}

fn client_that(allows_local: bool, look_up: LookUp) -> VettedClient {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let settings = ClientSettings {
        allows_local,
        connect_timeout: Duration::from_secs(20),
        place_timeout: Duration::ZERO,
        timeout: Duration::from_mins(1),
    };
    VettedClient::with(settings, look_up, tls)
}

fn delivery(url: &str) -> Delivery {
    Delivery {
        owner: Owner {
            merchant: MerchantId::from_bits(7),
            livemode: false,
        },
        url: url.into(),
        headers: vec![("webhook-id", "evt_1".to_owned())],
        body: b"{}".to_vec(),
    }
}

const ANSWERED: fn(u16) -> DeliveryEnd = |status| DeliveryEnd::Answered {
    status,
    retry_after: None,
};

fn why(end: DeliveryEnd) -> String {
    match end {
        DeliveryEnd::Unanswered { why } | DeliveryEnd::NotSent { why } => why.to_string(),
        DeliveryEnd::Answered { status, .. } => panic!("it was answered {status}"),
    }
}

#[tokio::test]
async fn a_delivery_arrives_as_it_is_under_the_name_of_its_host() {
    let receiver = Receiver::start(status("204 No Content", "")).await;
    let client = client(true, &["127.0.0.1"]);
    let url = format!("http://shop.example:{}/hooks?a=1", receiver.port);
    assert_eq!(client.post(delivery(&url)).await, ANSWERED(204));
    let [request] = &receiver.requests()[..] else {
        panic!("one request")
    };
    assert!(request.starts_with("POST /hooks?a=1 HTTP/1.1\r\n"), "{request}");
    for line in [
        format!("host: shop.example:{}", receiver.port),
        "webhook-id: evt_1".to_owned(),
        "content-type: application/json".to_owned(),
    ] {
        assert!(request.contains(&line), "{line} in {request}");
    }
    assert!(request.ends_with("\r\n\r\n{}"), "{request}");
    let url = format!("http://shop.example:{}?a=1", receiver.port);
    assert_eq!(client.post(delivery(&url)).await, ANSWERED(204));
    let request = receiver.requests().remove(1);
    assert!(request.starts_with("POST /?a=1 HTTP/1.1\r\n"), "{request}");
}

#[tokio::test]
async fn addresses_that_are_not_public_are_never_connected_to() {
    let receiver = Receiver::start(status("200 OK", "")).await;
    let port = receiver.port;
    let strict = client(false, &["127.0.0.1"]);
    for host in [
        "shop.example",
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "localhost",
    ] {
        let end = strict.post(delivery(&format!("https://{host}:{port}/"))).await;
        let why = why(end);
        assert!(why.contains(OUT_OF_REACH), "{host}: {why}");
    }
    // Numbers that some resolvers take for addresses.
    for host in ["2130706433", "0x7f000001", "0177.0.0.1", "127.1"] {
        let why = why(strict.post(delivery(&format!("https://{host}:{port}/"))).await);
        let is_refused = why.contains(OUT_OF_REACH) || why.contains("invalid dns name");
        assert!(is_refused, "{host}: {why}");
    }
    // One bad address among good ones, wherever it stands.
    let mixed = client(false, &["93.184.216.34", "10.0.0.1"]);
    assert!(why(mixed.post(delivery("https://shop.example/")).await).contains(OUT_OF_REACH));
    for (url, expected) in [
        (format!("http://shop.example:{port}/"), "https://"),
        (format!("ftp://shop.example:{port}/"), "https://"),
        (format!("https://user@shop.example:{port}/"), "user"),
        ("/hooks".to_owned(), "https://"),
        ("https://".to_owned(), "URL"),
    ] {
        let why = why(strict.post(delivery(&url)).await);
        assert!(why.contains(expected), "{url}: {why}");
    }
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn redirects_are_answers_and_are_not_followed() {
    let target = Receiver::start(status("200 OK", "")).await;
    let location = format!("location: http://127.0.0.1:{}/\r\n", target.port);
    let receiver = Receiver::start(status("307 Temporary Redirect", &location)).await;
    let client = client(true, &["127.0.0.1"]);
    let url = format!("http://shop.example:{}/", receiver.port);
    assert_eq!(client.post(delivery(&url)).await, ANSWERED(307));
    assert_eq!(target.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_answer_counts_by_its_status_however_long_it_is() {
    let client = client(true, &["127.0.0.1"]);
    let mut long = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    long.extend(vec![b'x'; 10 * 1024 * 1024]);
    let cut = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1000\r\n\r\nx".to_vec();
    for answer in [long, cut] {
        let receiver = Receiver::start(answer).await;
        let url = format!("http://shop.example:{}/", receiver.port);
        assert_eq!(client.post(delivery(&url)).await, ANSWERED(200));
    }
    for (said, expected) in [
        ("120", Some(Millis::from_s(120))),
        ("999999999", Some(RETRY_AFTER_MAX)),
        ("soon", None),
    ] {
        let answer = status("429 Too Many Requests", &format!("retry-after: {said}\r\n"));
        let receiver = Receiver::start(answer).await;
        let url = format!("http://shop.example:{}/", receiver.port);
        let end = DeliveryEnd::Answered {
            status: 429,
            retry_after: expected,
        };
        assert_eq!(client.post(delivery(&url)).await, end, "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_never_answers_is_not_waited_for() {
    let receiver = Receiver::start(Vec::new()).await;
    let mut client = client(true, &["127.0.0.1"]);
    client.settings.timeout = Duration::from_millis(100);
    let url = format!("http://shop.example:{}/", receiver.port);
    assert!(why(client.post(delivery(&url)).await).contains("in time"));
}

#[tokio::test]
async fn what_cannot_prove_its_name_gets_nothing() {
    let receiver = Receiver::start(status("200 OK", "")).await;
    let client = client(true, &["127.0.0.1"]);
    let url = format!("https://shop.example:{}/", receiver.port);
    why(client.post(delivery(&url)).await);
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 1);
    assert!(receiver.requests().is_empty());
}

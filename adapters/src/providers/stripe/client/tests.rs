//! Tests of the module beside it.

mod used_keys;

use super::super::StripeProvider;
use super::super::config::SecretKey;
use super::super::sample::attempt;
use super::*;
use crate::providers::connection::{BODY_BYTES_MAX, tls_builder};
use florin_domain::payment::OperationKind::{Capture, Refund, Sale, Void};
use florin_domain::ports::{AttemptRequest, Provider};
use florin_domain::provider::{Outcome, ProviderId};
use rustls::RootCertStore;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

const SUCCEEDED: &str = r#"{"id":"pi_1","status":"succeeded","currency":"usd","amount":1500,"amount_received":1500,
    "latest_charge":"ch_1","description":"caf\u00e9","metadata":{}}"#;
const CANCELED: &str =
    r#"{"id":"pi_1","status":"canceled","currency":"usd","amount":1500,"amount_received":0}"#;
const UNEXPECTED_STATE: &str = r#"{"error":{"code":"payment_intent_unexpected_state","message":"no"}}"#;
const INTERNAL: &str = r#"{"error":{"type":"api_error"}}"#;

/// What the server does with one connection, after it has read one request.
enum Act {
    /// Answers this, byte for byte, and closes.
    Answer(Vec<u8>),
    /// Says nothing until the client goes away.
    Silence,
    /// Closes in the middle of the request, which resets the connection.
    Reset,
    /// Closes without an answer.
    Close,
}

fn answer(status: u16, body: &str) -> Act {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    Act::Answer([head.as_bytes(), body.as_bytes()].concat())
}

/// Serves one connection per act; the thread ends with the requests that it read.
fn serve(acts: Vec<Act>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let requests = acts
            .into_iter()
            .map(|act| perform(listener.accept().unwrap().0, &act));
        requests.collect()
    });
    (address, server)
}

fn perform(mut socket: TcpStream, act: &Act) -> String {
    match act {
        Act::Reset => {
            // What stays unread turns the close into a reset.
            socket.read_exact(&mut [0]).unwrap();
            String::new()
        }
        Act::Answer(bytes) => {
            let request = read_request(&mut socket);
            // The client may have had enough before the end.
            drop(socket.write_all(bytes));
            request
        }
        Act::Silence => {
            let request = read_request(&mut socket);
            drop(socket.read_to_end(&mut Vec::new()));
            request
        }
        Act::Close => read_request(&mut socket),
    }
}

fn read_request(socket: &mut TcpStream) -> String {
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
    head + str::from_utf8(&body).unwrap()
}

fn config(base_url: String) -> StripeConfig {
    StripeConfig::new(base_url, SecretKey::new("sk_test_1"))
}

fn provider(address: SocketAddr, request_timeout: Duration) -> StripeProvider {
    let config = StripeConfig {
        request_timeout,
        ..config(format!("http://{address}"))
    };
    StripeProvider::new(ProviderId::parse("stripe").unwrap(), config).unwrap()
}

/// Long enough never to matter.
const PATIENT: Duration = Duration::from_mins(1);
/// For requests that can only end by it.
const IMPATIENT: Duration = Duration::from_millis(50);

async fn execute(act: Act, request_timeout: Duration) -> Outcome {
    let (address, server) = serve(vec![act]);
    let outcome = provider(address, request_timeout).execute(&attempt(Sale)).await;
    ended(server).await;
    outcome
}

/// Waits without holding up the runtime, whose tasks close the client's side of the connections.
async fn ended<T: Send + 'static>(server: JoinHandle<T>) -> T {
    tokio::task::spawn_blocking(|| server.join().unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_request_arrives_as_written_and_its_answer_counts() {
    let (address, server) = serve(vec![answer(200, SUCCEEDED)]);
    let outcome = provider(address, PATIENT).execute(&attempt(Capture)).await;
    let Outcome::Succeeded {
        transaction,
        amount_minor,
        ..
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!((&*transaction, amount_minor), ("ch_1", 1500));

    let requests = ended(server).await;
    let (head, form) = requests[0].split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /v1/payment_intents/pi_1/capture HTTP/1.1");
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "authorization: Bearer sk_test_1",
            &*format!("content-length: {}", form.len()),
            "content-type: application/x-www-form-urlencoded",
            &*format!("host: {address}"),
            "idempotency-key: flo_k",
            "stripe-version: 2026-07-29.dahlia",
            concat!("user-agent: florin/", env!("CARGO_PKG_VERSION")),
        ]
    );
    assert!(form.starts_with("amount_to_capture=1500&"), "{form}");
}

#[tokio::test]
async fn what_never_left_this_process_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let provider = provider(address, PATIENT);
    let (sale, refund) = (attempt(Sale), attempt(Refund));
    assert!(matches!(
        provider.prepare(&sale).await,
        Err(Outcome::NotSent { .. })
    ));
    for outcome in [
        provider.execute(&sale).await,
        provider.query(&sale).await,
        provider.cancel(&sale).await,
        provider.query(&refund).await,
    ] {
        assert!(matches!(outcome, Outcome::NotSent { .. }), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_handshake_that_fails_or_never_ends_is_not_sent() {
    let ways = [
        (
            "not TLS",
            Act::Answer(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
            PATIENT,
            PATIENT,
        ),
        (
            "silent until the connect timeout",
            Act::Silence,
            PATIENT,
            IMPATIENT,
        ),
        (
            "silent until the request timeout",
            Act::Silence,
            IMPATIENT,
            PATIENT,
        ),
    ];
    for (name, act, request_timeout, connect_timeout) in ways {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("https://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let mut socket = listener.accept().unwrap().0;
            if let Act::Answer(bytes) = act {
                socket.write_all(&bytes).unwrap();
            }
            drop(socket.read_to_end(&mut Vec::new()));
        });
        let config = StripeConfig {
            request_timeout,
            connect_timeout,
            ..config(base_url)
        };
        let tls = tls_builder()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let endpoint = config.endpoint().unwrap();
        let client = Client::with_tls(config, endpoint, tls).unwrap();
        let provider = StripeProvider::over(
            ProviderId::parse("stripe").unwrap(),
            florin_domain::time::Millis::from_s(5),
            client,
        );
        let outcome = provider.execute(&attempt(Sale)).await;
        assert!(matches!(outcome, Outcome::NotSent { .. }), "{name}: {outcome:?}");
        drop(provider);
        ended(server).await;
    }
}

#[tokio::test]
async fn what_may_have_arrived_and_has_no_whole_answer_is_unknown() {
    let huge = "x".repeat(BODY_BYTES_MAX + 1);
    let chunk = format!("{:x}\r\n{huge}\r\n0\r\n\r\n", huge.len());
    let chunked =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n{chunk}");
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n{\"id\":\"pi_1\",".to_vec();
    let declined_and_cut =
        b"HTTP/1.1 402 Payment Required\r\ncontent-length: 400\r\n\r\n{\"error\":".to_vec();
    let ways = [
        ("silence", Act::Silence, IMPATIENT),
        ("a reset", Act::Reset, PATIENT),
        ("a close", Act::Close, PATIENT),
        (
            "another language",
            Act::Answer(b"220 mail.example ESMTP\r\n".to_vec()),
            PATIENT,
        ),
        ("garbage", answer(200, "{]"), PATIENT),
        ("nothing", answer(200, ""), PATIENT),
        ("too much", answer(200, &huge), PATIENT),
        (
            "too much of unknown length",
            Act::Answer(chunked.into_bytes()),
            PATIENT,
        ),
        ("half an answer", Act::Answer(cut), PATIENT),
        ("half a decline", Act::Answer(declined_and_cut), PATIENT),
        ("an error", answer(500, INTERNAL), PATIENT),
    ];
    for (name, act, request_timeout) in ways {
        let outcome = execute(act, request_timeout).await;
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{name}: {outcome:?}");
    }
}

#[tokio::test]
async fn the_wait_after_a_rate_limit_is_read_from_its_header() {
    let limited =
        b"HTTP/1.1 429 Slow\r\nretry-after: 7\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec();
    let outcome = execute(Act::Answer(limited), PATIENT).await;
    assert!(
        matches!(outcome, Outcome::RateLimited { retry_after } if retry_after.0 == 7000),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn an_attempt_that_cannot_be_asked_about_stays_unknown() {
    let unprepared = AttemptRequest {
        reference: None,
        ..attempt(Sale)
    };
    let (address, server) = serve(Vec::new());
    let provider = provider(address, PATIENT);
    assert!(matches!(
        provider.execute(&unprepared).await,
        Outcome::Rejected { .. }
    ));
    assert!(matches!(
        provider.query(&unprepared).await,
        Outcome::Unknown { .. }
    ));
    assert!(matches!(
        provider.cancel(&unprepared).await,
        Outcome::Unknown { .. }
    ));
    assert!(ended(server).await.is_empty());
}

fn first_lines(requests: &[String]) -> Vec<&str> {
    requests
        .iter()
        .map(|request| request.lines().next().unwrap())
        .collect()
}

#[tokio::test]
async fn an_intent_that_cannot_be_cancelled_is_looked_at() {
    let (address, server) = serve(vec![answer(400, UNEXPECTED_STATE), answer(200, SUCCEEDED)]);
    let outcome = provider(address, PATIENT).cancel(&attempt(Sale)).await;
    assert!(
        matches!(
            outcome,
            Outcome::Succeeded {
                amount_minor: 1500,
                ..
            }
        ),
        "{outcome:?}"
    );
    assert_eq!(
        first_lines(&ended(server).await),
        [
            "POST /v1/payment_intents/pi_1/cancel HTTP/1.1",
            "GET /v1/payment_intents/pi_1 HTTP/1.1"
        ]
    );
}

/// An intent over 1500 cents of which 700 were captured.
fn partly_captured(status: &str) -> String {
    format!(r#"{{"id":"pi_1","status":"{status}","currency":"usd","amount":1500,"amount_received":700}}"#)
}

#[tokio::test]
async fn what_is_left_after_a_capture_is_released_where_it_cannot_be_cancelled() {
    let refused = format!(
        r#"{{"error":{{"code":"payment_intent_unexpected_state","payment_intent":{}}}}}"#,
        partly_captured("requires_capture")
    );
    let released = answer(200, &partly_captured("succeeded"));
    let (address, server) = serve(vec![answer(400, &refused), released]);
    let outcome = provider(address, PATIENT).execute(&attempt(Void)).await;
    assert!(
        matches!(
            outcome,
            Outcome::Succeeded {
                amount_minor: 800,
                ..
            }
        ),
        "{outcome:?}"
    );
    let requests = ended(server).await;
    assert_eq!(
        first_lines(&requests),
        [
            "POST /v1/payment_intents/pi_1/cancel HTTP/1.1",
            "POST /v1/payment_intents/pi_1/capture HTTP/1.1"
        ]
    );
    assert!(
        requests[1].contains("idempotency-key: flo_k-release\r\n"),
        "{}",
        requests[1]
    );
    assert!(
        requests[1].ends_with("amount_to_capture=0&final_capture=true"),
        "{}",
        requests[1]
    );
}

#[tokio::test]
async fn closing_a_capture_only_looks_and_never_cancels_its_parent() {
    let (address, server) = serve(vec![answer(200, CANCELED)]);
    let outcome = provider(address, PATIENT).cancel(&attempt(Capture)).await;
    assert!(matches!(outcome, Outcome::Cancelled { .. }), "{outcome:?}");
    assert_eq!(
        first_lines(&ended(server).await),
        ["GET /v1/payment_intents/pi_1 HTTP/1.1"]
    );
}

#[tokio::test]
async fn refunds_are_looked_through_page_by_page() {
    let refund = |id: &str, operation: &str| {
        format!(
            r#"{{"id":"{id}","status":"succeeded","currency":"usd","amount":1500,"metadata":{{"operation_id":"{operation}"}}}}"#
        )
    };
    let page = |refund: &str, has_more: bool| {
        answer(200, &format!(r#"{{"data":[{refund}],"has_more":{has_more}}}"#))
    };
    let operation = attempt(Refund).operation.to_string();
    let (address, server) = serve(vec![
        page(&refund("re_9", "ref_x"), true),
        page(&refund("re_1", &operation), false),
    ]);
    let outcome = provider(address, PATIENT).query(&attempt(Refund)).await;
    let Outcome::Succeeded { reference, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(&*reference, "re_1");
    assert_eq!(
        first_lines(&ended(server).await),
        [
            "GET /v1/refunds?payment_intent=pi_1&limit=100 HTTP/1.1",
            "GET /v1/refunds?payment_intent=pi_1&limit=100&starting_after=re_9 HTTP/1.1",
        ]
    );
}

#[tokio::test]
async fn a_printed_provider_hides_its_secret() {
    let provider = provider(SocketAddr::from(([127, 0, 0, 1], 9)), PATIENT);
    assert!(!format!("{provider:?}").contains("sk_test_1"));
}

//! One key is one payment, whoever asks however often, and whatever happens between two requests.

use crate::cli::{another_merchant, serve, write_config};
use crate::deployment::{Caller, Dev, MERCHANT, add_fault, charges, sale, with_method};
use crate::http::{Answer, Client, Parsed, connect, parse, request};
use crate::process::{lasting_address, wait_for};
use crate::recovery::start_sandbox;
use serde_json::{Value, json};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

/// Requests that are under way at once.
const CONCURRENT: usize = 10_000;

/// File descriptors that everything else in this process may need.
const SPARE_FILES: usize = 2_000;

/// The first connection is silent until the last one is open, which takes seconds where the listen queue runs over and
/// connections are tried again; the node must not take that for a client that sends nothing.
const PATIENT: (&str, &str) = ("FLORIN_HTTP_HEAD_TIMEOUT_MS", "600000");

/// Sockets that this process may have open.
fn files_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    line.split_whitespace()
        .nth(3)
        .unwrap()
        .parse()
        .unwrap_or(usize::MAX)
}

fn payment_request(key: &str, body: &Value) -> Vec<u8> {
    let authorization = format!("Bearer {MERCHANT}");
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
        ("Idempotency-Key", key),
        ("Connection", "close"),
    ];
    request("POST", "/v1/payments", &headers, body.to_string().as_bytes())
}

/// Sends the bytes on a connection of its own once everybody has one, and reads the answer.
async fn one_of_many(address: SocketAddr, bytes: Arc<Vec<u8>>, connected: Arc<Barrier>) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    connected.wait().await;
    stream.write_all(&bytes).await.unwrap();
    let mut received = Vec::new();
    loop {
        let closed = stream.read_buf(&mut received).await.unwrap() == 0;
        match parse(&received, closed).unwrap() {
            Parsed::Whole(answer, _) => return answer,
            Parsed::Partial => assert!(!closed, "no answer"),
        }
    }
}

/// Sends the same bytes over so many connections; nobody sends before all are connected.
fn at_once(address: SocketAddr, count: usize, bytes: Vec<u8>) -> Vec<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (bytes, connected) = (Arc::new(bytes), Arc::new(Barrier::new(count)));
    runtime.block_on(async move {
        let one = |_| tokio::spawn(one_of_many(address, Arc::clone(&bytes), Arc::clone(&connected)));
        let tasks: Vec<_> = (0..count).map(one).collect();
        let mut answers = Vec::with_capacity(count);
        for task in tasks {
            answers.push(task.await.unwrap());
        }
        answers
    })
}

#[test]
fn ten_thousand_concurrent_requests_with_one_key_are_one_charge() {
    let count = CONCURRENT.min(files_max().saturating_sub(SPARE_FILES));
    if count < CONCURRENT {
        eprintln!("{count} requests instead of {CONCURRENT}: more files cannot be opened here");
    }
    let (_folder, dev) = Dev::fresh(&[("FLORIN_HTTP_MAX_CONNECTIONS", "20000"), PATIENT]);
    // Long enough for many to arrive while the first one is under way; nothing below depends on how many do.
    add_fault(dev.sandbox, "slow", &json!({"delay_ms": 1000}));
    let body = sale(10_000, "USD");
    let answers = at_once(dev.api, count, payment_request("one key", &body));
    let (paid, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!(!paid.is_empty());
    let originals = paid.iter().filter(|answer| !answer.is_replay()).count();
    assert_eq!(
        originals,
        1,
        "one request did the work, {} shared its answer",
        paid.len()
    );
    for answer in &paid {
        assert_eq!(answer.text(), paid[0].text());
    }
    for answer in &refused {
        assert_eq!(answer.status, 429, "{answer:?}");
        assert!(
            answer
                .header("retry-after")
                .is_some_and(|wait| wait.parse::<u64>().is_ok()),
            "{answer:?}"
        );
    }
    assert_eq!(dev.charges().len(), 1);
    assert_eq!(dev.merchant().read_all("/v1/payments").len(), 1);
    let again = dev.pay("one key", &body).expect(200);
    assert!(again.is_replay());
    assert_eq!(
        again.text(),
        paid[0].text(),
        "also for whoever was told to come back"
    );
    dev.stop();
}

#[test]
fn idem_12_concurrent_duplicates_get_the_same_response() {
    let (_folder, dev) = Dev::fresh(&[PATIENT]);
    add_fault(dev.sandbox, "slow", &json!({"delay_ms": 300}));
    for (method, status) in [("pm_card_visa", 200), ("pm_card_visa_chargeDeclined", 402)] {
        let answers = at_once(dev.api, 500, payment_request(method, &with_method(method)));
        for answer in &answers {
            assert_eq!((answer.status, answer.text()), (status, answers[0].text()));
        }
        assert_eq!(answers.iter().filter(|answer| !answer.is_replay()).count(), 1);
    }
    assert_eq!(dev.charges().len(), 1);
    assert_eq!(dev.merchant().read_all("/v1/payments").len(), 2);
    dev.stop();
}

#[test]
fn waiters_beyond_the_cap_are_told_to_come_back() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (provider, sandbox) = start_sandbox(elsewhere.path(), lasting_address());
    let config = write_config(elsewhere.path(), sandbox);
    let key = another_merchant(folder.path(), &[]);
    let variables = [
        ("FLORIN_LIMITS_WAITERS_PER_KEY_MAX", "3"),
        ("FLORIN_STAGES_AUTHORIZATION_MS", "50000"),
        ("FLORIN_PROVIDER_STRIPE_REQUEST_TIMEOUT_MS", "50000"),
    ];
    let (node, api) = serve(&config, folder.path(), &variables);
    // The provider charges and says nothing, until it is stopped.
    add_fault(sandbox, "slow", &json!({"delay_ms": 600_000}));
    let (sender, answers) = std::sync::mpsc::channel();
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let (caller, sender) = (Caller::new(api, &key), sender.clone());
            std::thread::spawn(move || sender.send(caller.pay("k", &sale(500, "USD"))).unwrap())
        })
        .collect();
    for _ in 0..17 {
        let refused = answers.recv().unwrap().expect(429);
        assert_eq!(refused.error("code"), "idempotency_key_in_use");
        assert!(
            refused
                .header("retry-after")
                .is_some_and(|wait| wait.parse::<u64>().is_ok()),
            "{refused:?}"
        );
    }
    wait_for("the charge", || charges(sandbox).pop());
    provider.stop();
    let (provider, _) = start_sandbox(elsewhere.path(), sandbox);
    let shared: Vec<Answer> = (0..3).map(|_| answers.recv().unwrap().expect(200)).collect();
    assert!(
        shared.iter().all(|answer| answer.text() == shared[0].text()),
        "{shared:?}"
    );
    for client in clients {
        client.join().unwrap();
    }
    assert_eq!(charges(sandbox).len(), 1);
    node.stop();
    provider.stop();
}

#[test]
fn another_request_under_a_used_key_is_a_422() {
    let (_folder, dev) = Dev::fresh(&[]);
    let first = dev.pay("k", &sale(500, "USD")).expect(200);
    let mut described = sale(500, "USD");
    described["description"] = json!("another");
    let others = [
        sale(501, "USD"),
        sale(500, "EUR"),
        with_method("pm_card_amex"),
        described,
    ];
    for other in others {
        let answer = dev.pay("k", &other).expect(422);
        assert_eq!(answer.error("type"), "idempotency_error");
        assert_eq!(answer.error("param"), "Idempotency-Key");
    }
    let same = dev
        .pay(
            "k",
            &json!({"payment_method_id": "pm_card_visa", "currency": "usd", "amount": 500}),
        )
        .expect(200);
    assert_eq!(
        (same.text(), same.is_replay()),
        (first.text(), true),
        "the same parameters, written otherwise"
    );
    assert_eq!(dev.charges().len(), 1);
    dev.stop();
}

#[test]
fn idem_1_a_missing_or_empty_key_is_a_400_that_says_so() {
    let (_folder, dev) = Dev::fresh(&[]);
    let authorization = format!("Bearer {MERCHANT}");
    let body = sale(500, "USD").to_string();
    let usual = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
    ];
    for key in [None, Some(""), Some("   ")] {
        let headers: Vec<_> = usual
            .iter()
            .copied()
            .chain(key.map(|key| ("Idempotency-Key", key)))
            .collect();
        let answer = Client::new(dev.api)
            .send("POST", "/v1/payments", &headers, body.as_bytes())
            .unwrap()
            .expect(400);
        assert_eq!(
            answer.error("message"),
            "Idempotency-Key header required",
            "{key:?}"
        );
        assert_eq!(answer.error("param"), "Idempotency-Key", "{key:?}");
    }
    assert_eq!(
        (dev.charges(), dev.merchant().read_all("/v1/payments")),
        (vec![], vec![])
    );
    dev.stop();
}

#[test]
fn a_key_has_at_most_255_characters_and_comes_once() {
    let (_folder, dev) = Dev::fresh(&[]);
    let body = sale(500, "USD");
    let longest = "k".repeat(255);
    let too_long = dev.pay(&"k".repeat(256), &body).expect(400);
    assert_eq!(too_long.error("param"), "Idempotency-Key");
    let twice = format!("a\r\nIdempotency-Key: b\r\nX: {}", "");
    assert_eq!(
        dev.pay(&twice, &body).expect(400).error("param"),
        "Idempotency-Key"
    );
    assert_eq!(dev.charges(), Vec::<Value>::new());
    let first = dev.pay(&longest, &body).expect(200);
    let again = dev.pay(&longest, &body).expect(200);
    assert_eq!((again.text(), again.is_replay()), (first.text(), true));
    assert_eq!(dev.charges().len(), 1);
    dev.stop();
}

#[test]
fn idem_4_a_replay_has_the_same_status_and_body() {
    let (_folder, dev) = Dev::fresh(&[]);
    let cases = [
        ("pm_card_visa", 200),
        ("pm_card_visa_chargeDeclined", 402),
        ("pm_card_riskLevelHighest", 402),
        ("pm_card_authenticationRequired", 200),
    ];
    for (method, status) in cases {
        let first = dev.pay(method, &with_method(method)).expect(status);
        assert!(!first.is_replay(), "{method}");
        for _ in 0..2 {
            let again = dev.pay(method, &with_method(method)).expect(status);
            assert!(again.is_replay(), "{method}");
            assert_eq!(again.text(), first.text(), "{method}");
        }
    }
    assert_eq!(dev.merchant().read_all("/v1/payments").len(), cases.len());
    dev.stop();
}

#[test]
fn replays_after_a_restart_are_the_same_bytes() {
    let (folder, dev) = Dev::fresh(&[]);
    let methods = [
        "pm_card_visa",
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        "pm_card_riskLevelHighest",
    ];
    let firsts = methods.map(|method| dev.pay(method, &with_method(method)));
    dev.stop();
    let dev = Dev::start(folder.path(), &[]);
    for (method, first) in methods.into_iter().zip(&firsts) {
        let again = dev.pay(method, &with_method(method)).expect(first.status);
        assert_eq!(
            (again.text(), again.is_replay()),
            (first.text(), true),
            "{method}"
        );
        dev.pay(method, &sale(1, "USD")).expect(422);
    }
    dev.process.kill_9();
    let dev = Dev::start(folder.path(), &[]);
    for (method, first) in methods.into_iter().zip(&firsts) {
        let again = dev.pay(method, &with_method(method)).expect(first.status);
        assert_eq!(
            (again.text(), again.is_replay()),
            (first.text(), true),
            "{method}, after a crash"
        );
    }
    assert_eq!(dev.charges().len(), 1);
    dev.stop();
}

#[test]
fn idem_5_keys_are_found_again_after_their_index_is_lost() {
    let (folder, dev) = Dev::fresh(&[]);
    let first = dev.pay("k", &sale(500, "USD")).expect(200);
    let declined = dev
        .pay("d", &with_method("pm_card_visa_chargeDeclined"))
        .expect(402);
    dev.stop();
    std::fs::remove_dir_all(folder.path().join("keys")).unwrap();
    for round in 0..2 {
        let dev = Dev::start(folder.path(), &[]);
        let again = dev.pay("k", &sale(500, "USD")).expect(200);
        assert_eq!((again.text(), again.is_replay()), (first.text(), true), "{round}");
        let again = dev
            .pay("d", &with_method("pm_card_visa_chargeDeclined"))
            .expect(402);
        assert_eq!(
            (again.text(), again.is_replay()),
            (declined.text(), true),
            "{round}"
        );
        assert_eq!(dev.charges().len(), 1);
        dev.stop();
    }
}

#[test]
fn a_request_whose_client_has_gone_is_finished_anyway() {
    let (_folder, dev) = Dev::fresh(&[]);
    add_fault(dev.sandbox, "slow", &json!({"delay_ms": 500}));
    let body = sale(4_200, "USD");
    let mut stream = connect(dev.api).unwrap();
    stream.write_all(&payment_request("gone", &body)).unwrap();
    // It is only known to have arrived once the provider has been asked; then the client leaves without its answer.
    let charge = wait_for("the charge", || dev.charges().pop());
    drop(stream);
    let answer = dev.pay("gone", &body).expect(200);
    let payment = answer.json();
    assert_eq!(
        (&payment["id"], &payment["status"]),
        (&charge["payment_id"], &json!("succeeded"))
    );
    assert!(answer.is_replay(), "the first request did the work");
    assert_eq!(dev.charges().len(), 1);
    dev.stop();
}

#[test]
fn clients_that_leave_at_once_leave_one_charge_per_key() {
    let (_folder, dev) = Dev::fresh(&[]);
    let keys: Vec<String> = (0..20).map(|number| format!("left-{number}")).collect();
    for key in &keys {
        let mut stream = connect(dev.api).unwrap();
        stream
            .write_all(&payment_request(key, &sale(700, "USD")))
            .unwrap();
        stream.shutdown(std::net::Shutdown::Both).unwrap();
    }
    for key in &keys {
        // Whether the request was read before its connection broke is open; that the key stands for one payment is not.
        let answer = dev.pay(key, &sale(700, "USD")).expect(200);
        assert_eq!(answer.json()["status"], "succeeded");
    }
    assert_eq!(dev.charges().len(), keys.len());
    assert_eq!(dev.merchant().read_all("/v1/payments").len(), keys.len());
    dev.stop();
}

#[test]
fn the_same_key_of_another_merchant_is_another_key() {
    let (folder, dev) = Dev::fresh(&[]);
    let ours = dev.pay("shared", &sale(500, "USD")).expect(200).json();
    dev.stop();
    let other = another_merchant(folder.path(), &[]);
    let dev = Dev::start(folder.path(), &[]);
    let theirs = Caller::new(dev.api, &other)
        .pay("shared", &sale(900, "USD"))
        .expect(200);
    assert!(!theirs.is_replay());
    assert_ne!(theirs.json()["id"], ours["id"]);
    assert_eq!(dev.charges().len(), 2);
    dev.stop();
}

#[test]
fn an_answer_that_takes_longer_than_the_budget_is_a_202_for_everyone_who_waits() {
    let (_folder, dev) = Dev::fresh(&[
        ("FLORIN_LIMITS_ANSWER_BUDGET_MS", "1000"),
        ("FLORIN_STAGES_AUTHORIZATION_MS", "900"),
        ("FLORIN_PROVIDER_STRIPE_REQUEST_TIMEOUT_MS", "60000"),
    ]);
    add_fault(dev.sandbox, "slow", &json!({"delay_ms": 6000, "count": 1}));
    let answers = at_once(dev.api, 3, payment_request("slow", &sale(500, "USD")));
    for answer in &answers {
        assert_eq!(answer.status, 202, "{answer:?}");
        let payment = answer.json();
        assert_eq!(payment["status"], "processing");
        let location = format!("/v1/payments/{}", payment["id"].as_str().unwrap());
        assert_eq!(answer.header("location"), Some(location.as_str()));
    }
    let id = answers[0].json()["id"].as_str().unwrap().to_owned();
    dev.merchant().payment_once(&id, "succeeded");
    let last = dev.pay("slow", &sale(500, "USD")).expect(200);
    assert_eq!(
        (last.json()["id"].as_str(), last.is_replay()),
        (Some(id.as_str()), true)
    );
    assert_eq!(dev.charges().len(), 1);
    dev.stop();
}

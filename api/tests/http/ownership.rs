//! A process that may have lost its shards answers nothing from memory, and one that waits for them says where they are.

use crate::world::{Answer, World};
use crate::{VISA, pay};
use florin_api::server::ApiOptions;
use florin_api::standby::{self, Owner};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const MERCHANT: Option<&str> = Some("sk_test_a");
const OPERATOR: Option<&str> = Some("ok_test_op");

fn refused(answer: &Answer) -> (u16, String) {
    (answer.status, answer.error("code"))
}

#[test]
fn nothing_is_answered_from_memory_while_another_process_may_have_the_shards() {
    let world = World::start();
    let paid = pay(&world, "one", VISA);
    let path = format!("/v1/payments/{}", paid.json()["id"].as_str().unwrap());
    assert_eq!(world.get(&path, MERCHANT).status, 200);

    world.ownership.are_in_doubt(true);
    let not_owner = (503, "not_owner".to_owned());
    let read = world.get(&path, MERCHANT);
    assert_eq!(refused(&read), not_owner);
    assert_eq!(read.header("retry-after"), Some("1"));
    assert_eq!(read.header("florin-owner"), None);
    assert_eq!(refused(&pay(&world, "two", VISA)), not_owner);
    assert_eq!(world.get("/healthz", None).status, 200);
    let ready = world.get("/readyz", None);
    assert_eq!(
        (ready.status, &ready.json()["reason"]),
        (503, &"not_owner".into())
    );
    assert_eq!(world.get("/metrics", OPERATOR).status, 200);

    world.ownership.are_in_doubt(false);
    assert_eq!(world.get(&path, MERCHANT).status, 200);
    assert_eq!(world.get("/readyz", None).status, 200);
    let listed = world.get("/v1/payments", MERCHANT).json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");
    world.stop();
}

/// Paths that are answered whoever has the shards, and why.
const OF_THE_PROCESS: [(&str, &str); 3] = [
    ("/healthz", "says that the process lives"),
    (
        "/readyz",
        "says that it is not ready, to whoever shares out requests",
    ),
    ("/metrics", "says how the process is, also while it waits"),
];

/// Every path of the router, from its own text: one that is new is among them.
fn routed() -> Vec<String> {
    let source = include_str!("../../src/routes.rs");
    let quoted = source.split('"').skip(1).step_by(2);
    let mut paths: Vec<String> = quoted
        .filter(|text| text.starts_with('/'))
        .map(str::to_owned)
        .collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// A path with something in the place of each of its parts.
fn filled(path: &str) -> String {
    let mut filled = String::new();
    for part in path.split_inclusive('/') {
        match part.strip_prefix('{') {
            Some(named) if named.ends_with('/') => filled.push_str("one/"),
            Some(_) => filled.push_str("one"),
            None => filled.push_str(part),
        }
    }
    filled
}

/// What is made there without a word being said of it, durably, so that it may be answered whatever happens meanwhile.
const NEED_NOTHING: [&str; 2] = ["/v1/customers", "/v1/setup_intents"];

fn is_of_the_process(path: &str) -> bool {
    OF_THE_PROCESS.iter().any(|(allowed, _)| *allowed == path)
}

#[test]
fn every_path_is_closed_while_another_process_may_have_the_shards_but_for_a_few() {
    let world = World::start();
    let described = world.get("/openapi.json", None).json();
    let paths = routed();
    for path in described["paths"].as_object().unwrap().keys() {
        assert!(paths.contains(path), "{path} is described and not routed");
    }
    let key = |path: &str| {
        if path.starts_with("/v1/ops") {
            OPERATOR
        } else {
            MERCHANT
        }
    };
    let more = ["/", "/v1/nothing"];
    let closed = paths.iter().map(String::as_str).chain(more);
    for path in closed.filter(|path| !is_of_the_process(path)) {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE"] {
            // From before it began.
            world.ownership.are_in_doubt(true);
            let before = world.send(method, &filled(path), key(path), &[], b"");
            // While it was under way: everything that is read or refused.
            world.ownership.are_in_doubt(false);
            world.ownership.are_lost_after(1);
            let during = world.send(method, &filled(path), key(path), &[], b"");
            world.ownership.are_in_doubt(false);
            if method == "POST" && NEED_NOTHING.contains(&path) && during.status == 200 {
                continue;
            }
            for answer in [before, during] {
                assert_eq!(answer.status, 503, "{method} {path}: {answer:?}");
                if method != "HEAD" {
                    assert_eq!(answer.error("code"), "not_owner", "{method} {path}");
                }
            }
        }
    }
    world.ownership.are_in_doubt(true);
    for (path, _) in OF_THE_PROCESS {
        let answer = world.get(path, OPERATOR);
        let is_closed = String::from_utf8_lossy(&answer.body).contains(r#""code":"not_owner""#);
        assert!(!is_closed, "{path}: {answer:?}");
    }
    world.stop();
}

/// A path, whose key, the headers and the body.
type Asked<'a> = (&'a str, Option<&'a str>, &'a [(&'a str, &'a str)], &'a str);

const FORM: [(&str, &str); 1] = [("Content-Type", "application/x-www-form-urlencoded")];
const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

#[test]
fn what_was_done_before_is_not_told_again_once_another_process_may_have_the_shards() {
    let world = World::start();
    let ask = |path: &str, key: Option<&str>, kind: &[(&str, &str)], body: &str| {
        let headers = [kind, &[("Idempotency-Key", path)]].concat();
        world.send("POST", path, key, &headers, body.as_bytes())
    };
    let paid = pay(&world, "paid", VISA).json();
    let payment = format!("/v1/payments/{}", paid["id"].as_str().unwrap());
    let account = r#"{"name":"bank","currency":"USD","type":"asset"}"#;
    let table: [Asked<'_>; 9] = [
        ("/v1/payments", MERCHANT, &JSON, VISA),
        (
            "/v1/payment_intents",
            MERCHANT,
            &FORM,
            "amount=100&currency=usd&payment_method=pm_card_visa&confirm=true",
        ),
        (&format!("{payment}/refunds"), MERCHANT, &JSON, r#"{"amount":10}"#),
        ("/v1/customers", MERCHANT, &FORM, "name=Jane"),
        (
            "/v1/payment_links",
            MERCHANT,
            &JSON,
            r#"{"amount":100,"currency":"USD"}"#,
        ),
        (
            "/v1/webhook_endpoints",
            MERCHANT,
            &JSON,
            r#"{"url":"https://shop.example/hooks","enabled_events":["*"]}"#,
        ),
        ("/v1/ledger/accounts", OPERATOR, &JSON, account),
        (&format!("{payment}/what_if"), MERCHANT, &[], ""),
        ("/v1/ops/consistency/run", OPERATOR, &[], ""),
    ];
    for (path, key, kind, body) in table {
        let first = ask(path, key, kind, body);
        assert_eq!(first.status, 200, "{path}: {first:?}");
        world.ownership.are_lost_after(1);
        assert_eq!(
            refused(&ask(path, key, kind, body)),
            (503, "not_owner".to_owned()),
            "{path}"
        );
        world.ownership.are_in_doubt(false);
        assert_eq!(ask(path, key, kind, body).status, 200, "{path}");
    }
    // What is done now has asked the journal.
    world.ownership.are_lost_after(1);
    assert_eq!(pay(&world, "now", VISA).status, 200);
    world.ownership.are_in_doubt(false);
    world.stop();
}

#[test]
fn a_stream_of_events_ends_when_another_process_may_have_the_shards() {
    let world = World::start();
    let mut stream = TcpStream::connect(world.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(
        stream,
        "GET /v1/events/stream HTTP/1.1\r\nHost: florin\r\nAuthorization: Bearer sk_test_a\r\n\r\n"
    )
    .unwrap();
    let mut told = Vec::new();
    while !String::from_utf8_lossy(&told).contains("retry: 1000") {
        let mut some = [0; 256];
        let length = stream.read(&mut some).unwrap();
        assert!(length > 0, "{}", String::from_utf8_lossy(&told));
        told.extend_from_slice(&some[..length]);
    }
    world.ownership.are_in_doubt(true);
    // Read to its end, which comes by itself.
    stream.read_to_end(&mut told).unwrap();
    let told = String::from_utf8_lossy(&told);
    assert!(!told.contains("event:"), "{told}");
    world.stop();
}

fn asked(at: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: florin\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.to_ascii_lowercase()
}

#[test]
fn a_process_that_waits_for_the_shards_says_where_they_are() {
    let owner = Owner::default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let api = standby::serve(listener, owner.clone(), ApiOptions::default(), 7).unwrap();
    let at = api.local_addr();
    assert!(asked(at, "/healthz").starts_with("http/1.1 200"));
    let ready = asked(at, "/readyz");
    assert!(
        ready.starts_with("http/1.1 503") && ready.contains(r#""reason":"standby""#),
        "{ready}"
    );
    let unknown = asked(at, "/v1/payments");
    assert!(
        unknown.starts_with("http/1.1 503") && !unknown.contains("florin-owner"),
        "{unknown}"
    );
    for path in routed().iter().filter(|path| *path != "/healthz") {
        let answer = asked(at, &filled(path));
        assert!(answer.starts_with("http/1.1 503"), "{path}: {answer}");
    }
    owner.is_at(Some("https://east.example"));
    let known = asked(at, "/v1/payments");
    for part in [
        "http/1.1 503",
        "florin-owner: https://east.example",
        "retry-after: 1",
        "request-id: req_",
        r#""code":"not_owner""#,
        "another node answers for this one, at https://east.example",
    ] {
        assert!(known.contains(part), "{part} in {known}");
    }
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(api.stop())
        .unwrap();
}

//! What was announced: lists, single events and the stream, through the whole platform.

use crate::world::{Answer, World};
use crate::{VISA, pay};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const A: Option<&str> = Some("sk_test_a");

#[track_caller]
fn page(world: &World, query: &str) -> Value {
    let answer = world.get(&format!("/v1/events?{query}"), A);
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    answer.json()
}

fn data(page: &Value) -> Vec<Value> {
    page["data"].as_array().unwrap().clone()
}

fn types(page: &Value) -> Vec<String> {
    let data = data(page);
    let types = data
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned());
    types.collect()
}

fn id(event: &Value) -> &str {
    event["id"].as_str().unwrap()
}

fn change(world: &World, payment: &str, what: &str, body: &str) -> Answer {
    let headers = [
        ("Idempotency-Key", format!("{payment}-{what}-{body}")),
        ("Content-Type", "application/json".to_owned()),
    ];
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let path = format!("/v1/payments/{payment}/{what}");
    let answer = world.send("POST", &path, A, &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// A payment that was authorized, captured in part and refunded in part.
fn life(world: &World, key: &str) -> String {
    let hold = VISA.replace('}', r#","capture_method":"manual"}"#);
    let payment = pay(world, key, &hold).json()["id"].as_str().unwrap().to_owned();
    change(world, &payment, "capture", r#"{"amount":4000,"final":true}"#);
    change(world, &payment, "refunds", r#"{"amount":1000}"#);
    payment
}

#[test]
fn a_life_is_told_in_order_and_each_event_shows_its_own_moment() {
    let world = World::start();
    let payment = life(&world, "k1");
    let all = page(&world, "limit=100");
    assert_eq!(
        (&all["url"], &all["has_more"]),
        (&json!("/v1/events"), &json!(false))
    );
    let mut events = data(&all);
    events.reverse();
    let told: Vec<&str> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        told,
        [
            "payment.charged",
            "payment.amount_capturable_updated",
            "payment.captured",
            "payment.succeeded",
            "refund.created",
            "payment.refunded",
            "refund.updated",
        ]
    );
    let numbers: Vec<u64> = events
        .iter()
        .map(|event| event["sequence"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=7).collect::<Vec<_>>());
    assert!(events.iter().all(|event| event["payment_id"] == payment.as_str()));
    let shown: Vec<(&Value, &Value)> = events
        .iter()
        .map(|event| {
            (
                &event["data"]["object"]["object"],
                &event["data"]["object"]["status"],
            )
        })
        .collect();
    assert_eq!(shown[0], (&json!("payment"), &json!("authorized")));
    assert_eq!(shown[3], (&json!("payment"), &json!("succeeded")));
    assert_eq!(shown[4], (&json!("refund"), &json!("pending")));
    assert_eq!(shown[6], (&json!("refund"), &json!("succeeded")));
    let (captured, refunded) = (&events[3]["data"]["object"], &events[5]["data"]["object"]);
    assert_eq!(
        (&captured["amount_captured"], &captured["amount_refunded"]),
        (&json!(4000), &json!(0))
    );
    assert_eq!(refunded["amount_refunded"], 1000);
    // One event is the same wherever it is read, also after more has happened.
    change(&world, &payment, "refunds", r#"{"amount":500}"#);
    for event in &events {
        let one = world.get(&format!("/v1/events/{}", id(event)), A);
        assert_eq!((one.status, &one.json()), (200, event));
    }
    world.stop();
}

#[test]
fn lists_are_filtered_and_go_on_in_both_directions() {
    let world = World::start();
    let (first, second) = (life(&world, "k1"), life(&world, "k2"));
    let refunds = page(&world, "type=refund.*");
    assert_eq!(
        types(&refunds),
        [
            "refund.updated",
            "refund.created",
            "refund.updated",
            "refund.created"
        ]
    );
    assert_eq!(
        types(&page(&world, "type=payment.succeeded")),
        types(&page(&world, "type=payment_intent.succeeded"))
    );
    assert_eq!(
        types(&page(&world, "type=payment.succeeded,charge.captured")).len(),
        4
    );
    let all = data(&page(&world, "limit=100"));
    assert_eq!(all.len(), 14);
    assert!(
        all[..7]
            .iter()
            .all(|event| event["payment_id"] == second.as_str())
    );
    assert!(all[7..].iter().all(|event| event["payment_id"] == first.as_str()));
    // Page by page, from the newest back and from an event that is known on.
    let (mut back, mut after) = (Vec::new(), String::new());
    loop {
        let page = page(&world, &format!("limit=3{after}"));
        back.extend(data(&page));
        if page["has_more"] == false {
            break;
        }
        after = format!("&starting_after={}", id(back.last().unwrap()));
    }
    assert_eq!(back, all);
    let (mut on, mut seen) = (vec![all[13].clone()], id(&all[13]).to_owned());
    loop {
        let page = page(&world, &format!("limit=4&ending_before={seen}"));
        on.extend(data(&page).into_iter().rev());
        seen = id(on.last().unwrap()).to_owned();
        if page["has_more"] == false {
            break;
        }
    }
    on.reverse();
    assert_eq!(on, all);
    let created = all[0]["created"].as_u64().unwrap();
    assert_eq!(
        data(&page(&world, &format!("created[gt]={}", created + 600))),
        [] as [Value; 0]
    );
    assert_eq!(
        data(&page(
            &world,
            &format!("created[lte]={}&limit=100", created + 600)
        )),
        all
    );
    world.stop();
}

#[test]
fn what_is_no_event_of_the_merchant_is_refused_by_name() {
    let world = World::start();
    life(&world, "k1");
    let known = data(&page(&world, "limit=1"))[0].clone();
    let known = id(&known).to_owned();
    let none = "evt_00000000000000000000000000";
    for (path, key, status, param) in [
        (format!("/v1/events/{known}"), "sk_test_b", 404, None),
        (format!("/v1/events/{none}"), "sk_test_a", 404, None),
        ("/v1/events/evt_nonsense".to_owned(), "sk_test_a", 404, None),
        ("/v1/events".to_owned(), "ok_test_op", 403, None),
        (
            format!("/v1/events?starting_after={known}"),
            "sk_test_b",
            400,
            Some("starting_after"),
        ),
        (
            format!("/v1/events?starting_after={none}"),
            "sk_test_a",
            400,
            Some("starting_after"),
        ),
        (
            format!("/v1/events?ending_before={none}"),
            "sk_test_a",
            400,
            Some("ending_before"),
        ),
        (
            format!("/v1/events?ending_before={known}&starting_after={known}"),
            "sk_test_a",
            400,
            Some("ending_before"),
        ),
        (
            "/v1/events?type=payment.won".to_owned(),
            "sk_test_a",
            400,
            Some("type"),
        ),
        ("/v1/events?type=".to_owned(), "sk_test_a", 400, Some("type")),
        ("/v1/events?limit=101".to_owned(), "sk_test_a", 400, Some("limit")),
        (
            format!("/v1/events/stream?after={none}"),
            "sk_test_a",
            400,
            Some("after"),
        ),
        (
            format!("/v1/events/stream?after={known}"),
            "sk_test_b",
            400,
            Some("after"),
        ),
        (
            "/v1/events/stream?limit=3".to_owned(),
            "sk_test_a",
            400,
            Some("limit"),
        ),
    ] {
        let answer = world.get(&path, Some(key));
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        if let Some(param) = param {
            assert_eq!(answer.error("param"), param, "{path}");
        }
    }
    assert_eq!(
        data(&world.get("/v1/events", Some("sk_test_b")).json()),
        [] as [Value; 0]
    );
    world.stop();
}

/// An open stream.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(world: &World, query: &str, header: &str) -> Self {
        let mut socket = TcpStream::connect(world.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let request = format!(
            "GET /v1/events/stream{query} HTTP/1.1\r\nHost: florin\r\nAuthorization: Bearer sk_test_a\r\n{header}\r\n"
        );
        socket.write_all(request.as_bytes()).unwrap();
        let mut stream = Self(BufReader::new(socket));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.0.read_line(&mut head).unwrap() > 0, "{head}");
        }
        assert!(
            head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"),
            "{head}"
        );
        stream
    }

    /// The next event, with its fields as the stream tells them.
    fn next(&mut self) -> (String, String, Value) {
        let (mut id, mut kind, mut line) = (String::new(), String::new(), String::new());
        loop {
            line.clear();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended");
            let line = line.trim_end();
            if let Some(value) = line.strip_prefix("id: ") {
                value.clone_into(&mut id);
            } else if let Some(value) = line.strip_prefix("event: ") {
                value.clone_into(&mut kind);
            } else if let Some(value) = line.strip_prefix("data: ") {
                return (id, kind, serde_json::from_str(value).unwrap());
            }
        }
    }
}

#[test]
fn a_stream_tells_what_happens_and_whoever_comes_back_misses_nothing() {
    let world = World::start();
    life(&world, "k1");
    let mut live = Stream::open(&world, "", "");
    life(&world, "k2");
    let mut all = data(&page(&world, "limit=100"));
    all.reverse();
    for event in &all[7..] {
        let (id, kind, told) = live.next();
        assert_eq!(
            (&told, id.as_str(), json!(kind)),
            (event, self::id(event), event["type"].clone())
        );
    }
    // It came back after the third event, once by its address and once as a browser does.
    let seen = id(&all[2]);
    let mut again = Stream::open(&world, &format!("?after={seen}"), "");
    let stale = id(&all[0]);
    let mut browser = Stream::open(
        &world,
        &format!("?after={stale}"),
        &format!("Last-Event-ID: {seen}\r\n"),
    );
    for event in &all[3..] {
        assert_eq!(&again.next().2, event);
        assert_eq!(&browser.next().2, event);
    }
    let mut refunds = Stream::open(&world, &format!("?type=refund.*&after={stale}"), "");
    for event in all
        .iter()
        .filter(|event| event["type"].as_str().unwrap().starts_with("refund."))
    {
        assert_eq!(&refunds.next().2, event);
    }
    // Open streams end when the server stops, and do not hold it up.
    let stopped = std::thread::spawn(move || world.stop());
    let mut rest = String::new();
    live.0.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "{rest:?}");
    stopped.join().unwrap();
}

#[test]
fn a_merchant_follows_events_in_eight_streams_at_most() {
    let world = World::start();
    let mut open: Vec<Stream> = (0..8).map(|_| Stream::open(&world, "", "")).collect();
    let refused = world.get("/v1/events/stream", Some("sk_test_a"));
    assert_eq!(
        (
            refused.status,
            refused.error("code").as_str(),
            refused.header("retry-after")
        ),
        (429, "rate_limited", Some("5")),
        "{refused:?}"
    );
    assert!(refused.error("message").contains("8 streams"), "{refused:?}");
    // Those that are open go on.
    life(&world, "k1");
    for stream in &mut open {
        assert_eq!(stream.next().1, "payment.charged");
    }
    world.stop();
}

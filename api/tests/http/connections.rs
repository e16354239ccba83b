//! What a connection may cost: the size of a head, and how long each part of an exchange may take.

use crate::world::World;
use crate::{VISA, pay};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Far less than the server would otherwise wait for anything.
const TINY: Duration = Duration::from_millis(20);

/// Sends these bytes and nothing more, and reads until the server closes. The test would not end if it did not.
fn until_closed(world: &World, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(world.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    // The server may have closed before everything was sent.
    drop(stream.write_all(bytes));
    let (mut said, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => said.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the server does not close: {error}"),
        }
    }
    String::from_utf8(said).unwrap()
}

fn status(said: &str) -> &str {
    said.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn a_head_that_does_not_arrive_is_given_up() {
    let world = World::start_with(|options| options.head_timeout = TINY);
    for started in ["GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ", "G"] {
        let said = until_closed(&world, started.as_bytes());
        assert_eq!(status(&said), "408", "{said}");
    }
    world.stop();
}

#[test]
fn an_idle_connection_is_closed_and_one_that_is_used_is_kept() {
    let world = World::start_with(|options| options.keep_alive = TINY);
    let one = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let said = until_closed(&world, one.repeat(3).as_bytes());
    assert_eq!(said.matches("HTTP/1.1 200 OK").count(), 3, "{said}");
    world.stop();
}

#[test]
fn a_body_that_stops_is_given_up_and_its_key_stays_free() {
    let world = World::start_with(|options| options.body_timeout = TINY);
    let head = concat!(
        "POST /v1/payments HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk_test_a\r\nIdempotency-Key: k\r\n",
        "Content-Type: application/json\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{\"amount\""
    );
    let said = until_closed(&world, head.as_bytes());
    assert_eq!(status(&said), "408", "{said}");
    assert!(said.contains("body_timeout"), "{said}");
    world.stop();
}

#[test]
fn a_large_head_is_refused_by_name_and_a_huge_one_without_a_word() {
    let world = World::start_with(|options| options.head_limit_bytes = 2048);
    let large = [("X-Filling", &*"x".repeat(2048))];
    let answer = world.send("GET", "/healthz", None, &large, b"");
    assert_eq!(answer.status, 431);
    assert_eq!(answer.error("code"), "head_too_large");
    assert!(answer.header("request-id").is_some());
    let path = format!("/healthz?{}", "x".repeat(2048));
    assert_eq!(world.get(&path, None).status, 431);
    let filling: Vec<String> = (0..97).map(|number| format!("X-{number}")).collect();
    let many: Vec<(&str, &str)> = filling.iter().map(|name| (name.as_str(), "")).collect();
    for (headers, what) in [
        (&many[..], "97 headers"),
        (&[("X", &*"x".repeat(140_000))][..], "140 kB"),
    ] {
        let mut head = "GET /healthz HTTP/1.1\r\nHost: a\r\n".to_owned();
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        let said = until_closed(&world, format!("{head}\r\n").as_bytes());
        // A reset may overtake the answer when the server closes with bytes unread.
        assert!(["431", ""].contains(&status(&said)), "{what}: {said}");
    }
    assert_eq!(pay(&world, "k", VISA).status, 200);
    world.stop();
}

#[test]
fn a_body_whose_length_is_stated_twice_is_refused_and_what_follows_is_not_a_request() {
    let world = World::start();
    let smuggled = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    for (version, lengths) in [
        ("1.1", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        ("1.1", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        ("1.0", "Transfer-Encoding: chunked\r\n"),
    ] {
        let head = format!("POST /v1/payments HTTP/{version}\r\nHost: a\r\n{lengths}\r\n0\r\n\r\n{smuggled}");
        let said = until_closed(&world, head.as_bytes());
        assert_eq!(status(&said), "400", "{said}");
        assert_eq!(
            said.matches("HTTP/1.").count(),
            1,
            "one answer, and then the end: {said}"
        );
    }
    world.stop();
}

#[test]
fn a_name_that_a_caller_brings_is_not_used() {
    let world = World::start();
    let brought = [("X-Request-Id", "mine"), ("Request-Id", "req_mine")];
    let answer = world.send("GET", "/healthz", None, &brought, b"");
    assert!(
        answer
            .header("request-id")
            .unwrap()
            .starts_with("req_0000000000000007")
    );
    assert_eq!(answer.header("x-request-id"), None);
    world.stop();
}

//! Requests that nobody should send: each is refused by name, and none leaves anything behind.

mod bodies;
mod corpus;

use crate::deployment::{Dev, MERCHANT, OPERATOR, sale};
use crate::http::{Answer, Client, raw, request};
use bodies::{Case, amounts, fields, malformed, with};
use serde_json::{Value, json};

/// Sends a body under a key that no request may use up.
#[track_caller]
fn post(dev: &Dev, body: &[u8]) -> Answer {
    let authorization = format!("Bearer {MERCHANT}");
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
        ("Idempotency-Key", "the key"),
    ];
    Client::new(dev.api)
        .send("POST", "/v1/payments", &headers, body)
        .unwrap()
}

/// Nothing was stored and nothing charged; the key is free.
#[track_caller]
fn assert_untouched(dev: Dev) {
    assert_eq!(dev.merchant().read("/v1/payments")["data"], json!([]));
    assert_eq!(dev.operator().read("/v1/ledger/trial_balance")["data"], json!([]));
    assert_eq!(dev.operator().read("/v1/ledger/accounts")["data"], json!([]));
    assert_eq!(dev.charges(), Vec::<Value>::new());
    let paid = dev.pay("the key", &sale(10_000, "USD")).expect(200);
    assert!(!paid.is_replay());
    assert_eq!(paid.json()["status"], "succeeded");
    assert_eq!(dev.charges().len(), 1);
    dev.stop();
}

#[test]
fn a_body_that_means_nothing_is_refused_by_the_name_of_its_fault() {
    let (_folder, dev) = Dev::fresh(&[]);
    let mut wrong = Vec::new();
    for Case { name, body, param } in malformed().into_iter().chain(fields()).chain(amounts()) {
        let answer = post(&dev, &body);
        let named = answer.json()["error"]["param"].as_str().map(str::to_owned);
        let clear = answer.status == 400
            && answer.error("type") == "invalid_request_error"
            && !answer.error("code").is_empty()
            && !answer.error("message").is_empty();
        if !clear || named.as_deref() != param {
            wrong.push(format!(
                "{name}: expected 400 {param:?}, got {} {}",
                answer.status,
                answer.text()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_untouched(dev);
}

#[test]
fn every_request_of_the_corpus_gets_its_refusal_and_leaves_nothing() {
    // Most of the corpus is refused before anybody asks whose it is.
    let (_folder, dev) = Dev::fresh(&[("FLORIN_LIMITS_FAILED_AUTH_PER_MIN", "0")]);
    let corpus = corpus::corpus();
    assert!(corpus.len() >= 200, "{}", corpus.len());
    let names: std::collections::BTreeSet<&str> = corpus.iter().map(corpus::Hostile::name).collect();
    assert_eq!(names.len(), corpus.len(), "each is told apart by its name");
    let wrong: Vec<String> = corpus
        .iter()
        .filter_map(|hostile| hostile.send(dev.api).err())
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        corpus.len(),
        wrong.join("\n")
    );
    assert_untouched(dev);
}

#[test]
fn the_largest_and_the_smallest_amount_are_taken() {
    let (_folder, dev) = Dev::fresh(&[]);
    for amount in [1, 999_999_999_999_u64] {
        let payment = dev
            .pay(&amount.to_string(), &sale(amount, "JPY"))
            .expect(200)
            .json();
        assert_eq!(
            (&payment["status"], &payment["amount"]),
            (&json!("succeeded"), &json!(amount))
        );
    }
    dev.stop();
}

#[test]
fn a_body_beyond_the_limit_is_a_413_however_it_is_framed() {
    let (_folder, dev) = Dev::fresh(&[]);
    let large = with("description", &format!("\"{}\"", "x".repeat(300 * 1024)));
    assert_eq!(post(&dev, large.as_bytes()).status, 413);
    let authorization = format!("Bearer {MERCHANT}");
    let mut headers = vec![
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
        ("Idempotency-Key", "the key"),
    ];
    let announced = request("POST", "/v1/payments", &headers, b"");
    let announced = String::from_utf8(announced)
        .unwrap()
        .replace("Content-Length: 0", "Content-Length: 99999999999");
    assert_eq!(
        raw(dev.api, announced.as_bytes()).map(|answer| answer.status),
        Some(413)
    );
    headers.push(("Transfer-Encoding", "chunked"));
    let mut chunked = String::from_utf8(request("POST", "/v1/payments", &headers, b"")).unwrap();
    chunked = chunked.replace("Content-Length: 0\r\n", "");
    for piece in large.as_bytes().chunks(64 * 1024) {
        chunked.extend([format!("{:x}\r\n", piece.len())]);
        chunked.push_str(str::from_utf8(piece).unwrap());
        chunked.push_str("\r\n");
    }
    chunked.push_str("0\r\n\r\n");
    assert_eq!(
        raw(dev.api, chunked.as_bytes()).map(|answer| answer.status),
        Some(413)
    );
    assert_untouched(dev);
}

#[test]
fn a_request_that_breaks_off_leaves_nothing_behind() {
    let (_folder, dev) = Dev::fresh(&[]);
    let authorization = format!("Bearer {MERCHANT}");
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
        ("Idempotency-Key", "the key"),
    ];
    let whole = request(
        "POST",
        "/v1/payments",
        &headers,
        sale(10_000, "USD").to_string().as_bytes(),
    );
    for cut in [1, 20, whole.len() / 2, whole.len() - 30, whole.len() - 1] {
        let answer = raw(dev.api, &whole[..cut]);
        assert!(
            answer
                .as_ref()
                .is_none_or(|answer| (400..500).contains(&answer.status)),
            "{cut}: {answer:?}"
        );
    }
    let text = String::from_utf8(whole).unwrap();
    let smuggled = [
        text.replace("Content-Length", "Content-Length: 5\r\nContent-Length"),
        text.replace("Content-Length", "Transfer-Encoding: chunked\r\nContent-Length"),
        text.replace("Content-Length: ", "Content-Length: -"),
        text.replace("HTTP/1.1", "HTTP/9.9"),
        text.replace("POST /v1/payments", "POST /v1/pay\u{1}ments"),
        "\0\0\0\0\r\n\r\n".to_owned(),
    ];
    for bytes in smuggled {
        let answer = raw(dev.api, bytes.as_bytes());
        assert!(
            answer
                .as_ref()
                .is_none_or(|answer| (400..600).contains(&answer.status)),
            "{bytes:?}: {answer:?}"
        );
    }
    assert_untouched(dev);
}

#[test]
fn other_content_types_are_refused() {
    let (_folder, dev) = Dev::fresh(&[]);
    let body = sale(10_000, "USD").to_string();
    let authorization = format!("Bearer {MERCHANT}");
    let types = [
        None,
        Some(""),
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/jsonx"),
        Some("application/json; charset=utf-16"),
        Some("multipart/form-data; boundary=x"),
    ];
    for content_type in types {
        let mut headers = vec![
            ("Authorization", authorization.as_str()),
            ("Idempotency-Key", "the key"),
        ];
        headers.extend(content_type.map(|value| ("Content-Type", value)));
        let answer = Client::new(dev.api)
            .send("POST", "/v1/payments", &headers, body.as_bytes())
            .unwrap();
        assert_eq!(answer.status, 415, "{content_type:?}: {answer:?}");
        assert!(answer.error("message").contains("application/json"), "{answer:?}");
    }
    assert_untouched(dev);
}

#[test]
fn whoever_has_no_valid_key_is_told_nothing_more() {
    let (_folder, dev) = Dev::fresh(&[]);
    let long = format!("Bearer {}", "s".repeat(5000));
    let wrong = [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("Bearer sk_test_wrong"),
        Some("Bearer sk_live_florin_dev"),
        Some("Bearer SK_TEST_FLORIN_DEV"),
        Some("Bearer sk_test_florin_dev x"),
        Some("Basic !!!"),
        Some("Basic c2tfdGVzdF93cm9uZzo="),
        Some("Digest sk_test_florin_dev"),
        Some("sk_test_florin_dev"),
        Some(long.as_str()),
    ];
    let body = sale(10_000, "USD").to_string();
    let mut bodies = std::collections::BTreeSet::new();
    let requests = [
        ("POST", "/v1/payments"),
        ("GET", "/v1/payments"),
        ("GET", "/v1/payments/pay_01m7y8dg6p0000emgyq7269te1"),
        ("GET", "/v1/ledger/accounts"),
        ("GET", "/v1/ledger/trial_balance"),
        ("GET", "/v1/ops/tree"),
    ];
    for authorization in wrong {
        for (method, path) in requests {
            let mut headers = vec![
                ("Content-Type", "application/json"),
                ("Idempotency-Key", "the key"),
            ];
            headers.extend(authorization.map(|value| ("Authorization", value)));
            let body = if method == "POST" { body.as_bytes() } else { b"" };
            let answer = Client::new(dev.api).send(method, path, &headers, body).unwrap();
            assert_eq!(
                answer.status, 401,
                "{authorization:?} {method} {path}: {answer:?}"
            );
            assert!(answer.header("www-authenticate").is_some(), "{answer:?}");
            bodies.insert(answer.text());
        }
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert_untouched(dev);
}

#[test]
fn keys_open_only_what_they_are_for() {
    let (_folder, dev) = Dev::fresh(&[]);
    let operator_pays =
        crate::deployment::Caller::new(dev.api, OPERATOR).pay("the key", &sale(10_000, "USD"));
    assert_eq!(operator_pays.status, 403, "{operator_pays:?}");
    for path in ["/v1/ops/tree", "/v1/ledger/trial_balance"] {
        assert_eq!(dev.merchant().get(path).status, 403, "{path}");
    }
    assert_untouched(dev);
}

#[test]
fn other_methods_and_paths_are_refused() {
    let (_folder, dev) = Dev::fresh(&[]);
    let authorization = format!("Bearer {MERCHANT}");
    let cases = [
        ("PUT", "/v1/payments", 405),
        ("DELETE", "/v1/payments", 405),
        ("PATCH", "/v1/payments/pay_01m7y8dg6p0000emgyq7269te1", 405),
        ("POST", "/v1/payments/", 404),
        ("POST", "/v1/payments?amount=1", 400),
        ("POST", "/V1/payments", 404),
        ("POST", "/v1//payments", 404),
        ("POST", "/v1/payments/../payments", 404),
        ("GET", "/", 404),
        ("GET", "/v1", 404),
        ("GET", "/v1/payments/pay_unknown", 404),
        ("GET", "/v1/payments/pay_01m7y8dg6p0000emgyq7269te1", 404),
        ("GET", "/v1/payments/pay_01m7y8dg6p0000emgyq7269te1/history", 404),
        ("GET", "/v1/payments?limit=0", 400),
        ("GET", "/v1/payments?limit=101", 400),
        ("GET", "/v1/payments?limit=ten", 400),
        ("GET", "/v1/payments?limit=1&limit=2", 400),
        ("GET", "/v1/payments?unknown=1", 400),
        ("GET", "/v1/payments?starting_after=x", 400),
    ];
    let body = sale(10_000, "USD").to_string();
    for (method, path, status) in cases {
        let headers = [
            ("Authorization", authorization.as_str()),
            ("Content-Type", "application/json"),
            ("Idempotency-Key", "the key"),
        ];
        let body = if method == "POST" { body.as_bytes() } else { b"" };
        let answer = Client::new(dev.api).send(method, path, &headers, body).unwrap();
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert!(!answer.error("message").is_empty(), "{answer:?}");
    }
    assert_untouched(dev);
}

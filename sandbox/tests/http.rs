//! The sandbox over real sockets, spoken to by hand.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its tools as well"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use florin_sandbox::{Options, Sandbox, SandboxHandle};
use serde_json::Value;

const SALE: &str =
    "amount=1500&currency=usd&payment_method=pm_card_visa&confirm=true&metadata[operation_id]=op_1";

#[derive(Debug)]
struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// One keep-alive connection.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(to: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(to).unwrap()))
    }

    fn send(&mut self, method: &str, target: &str, headers: &str, body: &str) {
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: sandbox\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
    }

    /// None when the connection closes without an answer.
    fn receive(&mut self) -> Option<Response> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut response = Response {
            status,
            headers,
            body: Vec::new(),
        };
        if let Some(length) = response.header("content-length") {
            response.body = vec![0; length.parse().unwrap()];
            self.0.read_exact(&mut response.body).unwrap();
        } else {
            loop {
                let length = usize::from_str_radix(&self.line()?, 16).unwrap();
                let mut chunk = vec![0; length + 2];
                self.0.read_exact(&mut chunk).unwrap();
                response.body.extend_from_slice(&chunk[..length]);
                if length == 0 {
                    break;
                }
            }
        }
        Some(response)
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
        }
    }

    fn request(&mut self, method: &str, target: &str, headers: &str, body: &str) -> Response {
        self.send(method, target, headers, body);
        self.receive().expect("an answer")
    }

    fn post(&mut self, target: &str, body: &str, key: &str) -> Response {
        self.request("POST", target, &keyed(key), body)
    }

    fn get(&mut self, target: &str) -> Response {
        self.request("GET", target, "Authorization: Bearer sk_test_florin\r\n", "")
    }

    fn rows(&mut self) -> Vec<Value> {
        self.get("/charges").json()["data"].as_array().unwrap().clone()
    }
}

fn keyed(key: &str) -> String {
    format!(
        "Authorization: Bearer sk_test_florin\r\nIdempotency-Key: {key}\r\nStripe-Version: 2026-01-01.test\r\n"
    )
}

async fn start(data_dir: Option<&Path>) -> SandboxHandle {
    let options = Options::new(
        SocketAddr::from(([127, 0, 0, 1], 0)),
        data_dir.map(Path::to_owned),
    );
    Sandbox::start(options).await.unwrap()
}

/// Runs `script` on a blocking thread against a fresh sandbox in memory, then stops it.
async fn with_sandbox(script: impl FnOnce(SocketAddr) + Send + 'static) {
    let sandbox = start(None).await;
    let address = sandbox.local_addr();
    tokio::task::spawn_blocking(move || script(address))
        .await
        .unwrap();
    sandbox.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_is_made_replayed_and_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = start(Some(dir.path())).await;
    let address = sandbox.local_addr();
    let first = tokio::task::spawn_blocking(move || {
        let mut connection = Connection::open(address);
        let first = connection.post("/v1/payment_intents", SALE, "key-1");
        assert_eq!(first.status, 200);
        assert_eq!(first.json()["status"], "succeeded");
        assert!(first.header("request-id").unwrap().starts_with("req_"));
        assert_eq!(first.header("idempotency-key"), Some("key-1"));
        assert_eq!(first.header("stripe-version"), Some("2026-01-01.test"));
        assert_eq!(first.header("idempotent-replayed"), None);
        assert_eq!(connection.rows().len(), 1);
        first
    })
    .await
    .unwrap();
    sandbox.stop().await.unwrap();

    let sandbox = start(Some(dir.path())).await;
    let address = sandbox.local_addr();
    tokio::task::spawn_blocking(move || {
        let mut connection = Connection::open(address);
        let again = connection.post("/v1/payment_intents", SALE, "key-1");
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(again.header("original-request"), first.header("request-id"));
        assert_ne!(again.header("request-id"), first.header("request-id"));
        let search = "/v1/payment_intents/search?query=metadata['operation_id']:'op_1'&limit=1";
        assert_eq!(connection.get(search).json()["data"][0], first.json());
        let rows = connection.rows();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0]["id"], first.json()["latest_charge"]);
    })
    .await
    .unwrap();
    sandbox.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_have_the_envelope_and_headers_of_the_provider() {
    with_sandbox(|address| {
        let mut connection = Connection::open(address);
        let table = [
            ("POST", "/v1/payment_intents", "", SALE, 401),
            (
                "POST",
                "/v1/payment_intents",
                "Authorization: Bearer sk_live_x\r\n",
                SALE,
                401,
            ),
            ("POST", "/v1/payment_intents", &keyed("k")[..], "amount=x", 400),
            ("POST", "/v1/payment_intents", &keyed(&"k".repeat(256)), SALE, 400),
            ("GET", "/v1/payment_intents/pi_unknown", &keyed("k"), "", 404),
            ("GET", "/v1/unheard_of", &keyed("k"), "", 404),
            ("GET", "/", "", "", 404),
        ];
        for (method, target, headers, body, status) in table {
            let response = connection.request(method, target, headers, body);
            assert_eq!(response.status, status, "{method} {target}");
            assert_eq!(response.json()["error"]["type"], "invalid_request_error");
            assert!(response.header("request-id").is_some());
        }
        let declined = connection.post(
            "/v1/payment_intents",
            &SALE.replace("visa", "visa_chargeDeclined"),
            "d",
        );
        assert_eq!(
            (declined.status, &declined.json()["error"]["type"]),
            (402, &"card_error".into())
        );
        assert_eq!(connection.get("/healthz").status, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_over_the_limit_is_refused() {
    with_sandbox(|address| {
        let mut connection = Connection::open(address);
        let body = format!("description={}", "x".repeat(300_000));
        assert_eq!(connection.post("/v1/payment_intents", &body, "k").status, 413);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_are_set_listed_and_removed() {
    with_sandbox(|address| {
        let mut connection = Connection::open(address);
        let refused = connection.request(
            "POST",
            "/faults",
            "",
            r#"{"provider":"stripe","operation":"refund"}"#,
        );
        assert_eq!(
            (refused.status, &refused.json()["error"]["param"]),
            (400, &"mode".into())
        );
        let fault =
            r#"{"provider":"stripe","operation":"authorize","mode":"rate_limit","probability":1.0,"seed":4}"#;
        assert_eq!(connection.request("POST", "/faults", "", fault).status, 200);
        let limited = connection.post("/v1/payment_intents", SALE, "k");
        assert_eq!((limited.status, limited.header("retry-after")), (429, Some("1")));
        let listed = connection.get("/faults").json();
        assert_eq!(
            (&listed["data"][0]["mode"], &listed["data"][0]["fired"]),
            (&"rate_limit".into(), &1.into())
        );
        assert_eq!(
            connection.request("DELETE", "/faults", "", "").json()["deleted"],
            1
        );
        assert_eq!(connection.post("/v1/payment_intents", SALE, "k").status, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_connection_executes_nothing() {
    with_sandbox(|address| {
        let mut connection = Connection::open(address);
        let fault = r#"{"provider":"stripe","operation":"authorize","mode":"drop_connection","count":1}"#;
        connection.request("POST", "/faults", "", fault);
        connection.send("POST", "/v1/payment_intents", &keyed("k"), SALE);
        assert!(connection.receive().is_none());
        let mut connection = Connection::open(address);
        assert!(connection.rows().is_empty());
        let made = connection.post("/v1/payment_intents", SALE, "k");
        assert_eq!((made.status, made.header("idempotent-replayed")), (200, None));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_replayed_to_the_retry() {
    with_sandbox(|address| {
        let mut silent = Connection::open(address);
        let fault = r#"{"provider":"stripe","operation":"authorize","mode":"timeout_after_charge"}"#;
        silent.request("POST", "/faults", "", fault);
        silent.send("POST", "/v1/payment_intents", &keyed("k"), SALE);
        let mut connection = Connection::open(address);
        while connection.rows().is_empty() {}
        let retried = connection.post("/v1/payment_intents", SALE, "k");
        assert_eq!(
            (retried.status, retried.header("idempotent-replayed")),
            (200, Some("true"))
        );
        assert_eq!(connection.rows().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_in_use_until_the_silent_caller_hangs_up() {
    with_sandbox(|address| {
        let mut silent = Connection::open(address);
        let fault = r#"{"provider":"stripe","operation":"authorize","mode":"timeout_before","count":1}"#;
        silent.request("POST", "/faults", "", fault);
        silent.send("POST", "/v1/payment_intents", &keyed("k"), SALE);
        let mut connection = Connection::open(address);
        while connection.get("/faults").json()["data"][0]["fired"] == 0 {}
        let in_use = connection.post("/v1/payment_intents", SALE, "k");
        assert_eq!(
            (in_use.status, &in_use.json()["error"]["code"]),
            (409, &"idempotency_key_in_use".into())
        );
        assert_eq!(in_use.header("stripe-should-retry"), Some("true"));
        drop(silent);
        let made = loop {
            let answered = connection.post("/v1/payment_intents", SALE, "k");
            if answered.status != 409 {
                break answered;
            }
        };
        assert_eq!((made.status, made.header("idempotent-replayed")), (200, None));
        assert_eq!(connection.rows().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_requests_with_one_key_execute_once() {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = start(Some(dir.path())).await;
    let address = sandbox.local_addr();
    let callers: Vec<_> = (0..16)
        .map(|_| {
            tokio::task::spawn_blocking(move || {
                let mut connection = Connection::open(address);
                (0..20)
                    .map(|number| {
                        connection
                            .post("/v1/payment_intents", SALE, &format!("key-{number}"))
                            .body
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let mut answers = Vec::new();
    for caller in callers {
        answers.push(caller.await.unwrap());
    }
    assert!(
        answers.iter().all(|bodies| *bodies == answers[0]),
        "every caller hears the same"
    );
    let rows = tokio::task::spawn_blocking(move || Connection::open(address).rows())
        .await
        .unwrap();
    assert_eq!(rows.len(), 20);
    sandbox.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_ends_silent_connections() {
    let sandbox = start(None).await;
    let address = sandbox.local_addr();
    let mut silent = tokio::task::spawn_blocking(move || {
        let mut silent = Connection::open(address);
        let fault = r#"{"provider":"stripe","operation":"query","mode":"timeout_before"}"#;
        silent.request("POST", "/faults", "", fault);
        silent.send("GET", "/v1/payment_intents", &keyed("k"), "");
        let mut other = Connection::open(address);
        while other.get("/faults").json()["data"][0]["fired"] == 0 {}
        silent
    })
    .await
    .unwrap();
    sandbox.stop().await.unwrap();
    let closed = tokio::task::spawn_blocking(move || silent.receive().is_none())
        .await
        .unwrap();
    assert!(closed);
    assert!(TcpStream::connect(address).is_err());
}

const CHALLENGED: &str = "amount=1500&currency=usd&payment_method=pm_card_authenticationRequired&confirm=true\
    &metadata[operation_id]=op_1&return_url=http://127.0.0.1/back";

/// Path and query of an address at the sandbox.
fn target(url: &Value, address: SocketAddr) -> String {
    let base = format!("http://{address}");
    url.as_str().unwrap().strip_prefix(&base).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_is_completed_in_a_browser_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = start(Some(dir.path())).await;
    let address = sandbox.local_addr();
    let (id, page) = tokio::task::spawn_blocking(move || {
        let mut connection = Connection::open(address);
        let intent = connection.post("/v1/payment_intents", CHALLENGED, "key-1").json();
        assert_eq!(intent["status"], "requires_action");
        let id = intent["id"].as_str().unwrap().to_owned();
        (
            id,
            target(&intent["next_action"]["redirect_to_url"]["url"], address),
        )
    })
    .await
    .unwrap();
    sandbox.stop().await.unwrap();

    let sandbox = start(Some(dir.path())).await;
    let address = sandbox.local_addr();
    let (id, charged) = tokio::task::spawn_blocking(move || {
        let mut browser = Connection::open(address);
        let shown = browser.request("GET", &page, "", "");
        assert_eq!(shown.status, 200);
        assert_eq!(shown.header("content-type"), Some("text/html; charset=utf-8"));
        let html = String::from_utf8(shown.body).unwrap();
        for verb in ["complete", "fail"] {
            let form = format!("<form method=\"post\" action=\"{page}/{verb}\">");
            assert!(html.contains(&form), "{html}");
        }
        assert!(browser.rows().is_empty());
        let sent = browser.request("POST", &format!("{page}/complete"), "", "");
        assert_eq!(sent.status, 303);
        let location = sent.header("location").unwrap().to_owned();
        assert!(
            location.starts_with(&format!("http://127.0.0.1/back?payment_intent={id}&")),
            "{location}"
        );
        assert!(location.ends_with("&redirect_status=succeeded"), "{location}");
        let charged = browser.get(&format!("/v1/payment_intents/{id}")).json();
        assert_eq!(charged["status"], "succeeded");
        assert_eq!(browser.request("GET", "/3ds/pi_unknown", "", "").status, 404);
        assert_eq!(browser.request("POST", &page, "", "").status, 404);
        (id, charged)
    })
    .await
    .unwrap();
    sandbox.stop().await.unwrap();

    let sandbox = start(Some(dir.path())).await;
    let address = sandbox.local_addr();
    tokio::task::spawn_blocking(move || {
        let mut connection = Connection::open(address);
        assert_eq!(
            connection.get(&format!("/v1/payment_intents/{id}")).json(),
            charged
        );
        let again = connection.request("POST", &format!("/3ds/{id}/fail"), "", "");
        assert_eq!(again.status, 303);
        assert_eq!(
            connection.get(&format!("/v1/payment_intents/{id}")).json(),
            charged
        );
        let rows = connection.rows();
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (&rows[0]["idempotency_key"], &rows[0]["reference"]),
            (&"key-1".into(), &"op_1".into())
        );
    })
    .await
    .unwrap();
    sandbox.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_refused_for_as_long_as_was_asked_for() {
    with_sandbox(|address| {
        let refuse = |for_ms: &str| {
            let body = format!(r#"{{"for_ms":{for_ms}}}"#);
            Connection::open(address).request("PUT", "/refusal", "", &body)
        };
        for bad in ["0", "600001", "-1", "\"soon\""] {
            let refused = refuse(bad);
            assert_eq!(refused.status, 400, "{bad}");
            assert_eq!(refused.json()["error"]["param"], "for_ms");
        }
        let mut idle = Connection::open(address);
        assert_eq!(idle.post("/v1/payment_intents", SALE, "k").status, 200);
        assert_eq!(refuse("20").status, 200);
        assert!(idle.receive().is_none(), "it is closed");
        // It listens again by itself, and has forgotten nothing.
        while TcpStream::connect(address).is_err() {}
        let mut back = Connection::open(address);
        assert_eq!(back.rows().len(), 1);
        drop(back);
        // Longer than this test takes.
        assert_eq!(refuse("600000").status, 200);
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    })
    .await;
}

//! A client without sockets, and recovery from every torn tail.

use std::path::Path;

use serde_json::Value;

use super::*;
use crate::charges;
use crate::stripe::{Idempotency, RawRequest, Request};

mod random;

const SILENCE_MS: u64 = 30_000;
const START: UnixMillis = UnixMillis(1_800_000_000_000);

/// Speaks to a world as the server does, committing after each request.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) world: World,
    pub(crate) now: UnixMillis,
    pub(crate) api_key: String,
}

pub(crate) fn ok((status, body): (u16, Value)) -> Value {
    assert_eq!(status, 200, "{body}");
    body
}

fn options(intents_max: usize, keys_max: usize) -> WorldOptions {
    WorldOptions {
        limits: Limits {
            intents_max,
            keys_max,
        },
        silence_ms: SILENCE_MS,
        origin: "http://sandbox".to_owned(),
    }
}

impl Client {
    pub(crate) fn in_memory() -> Self {
        Self::with_limits(1000, 1000)
    }

    pub(crate) fn with_limits(intents_max: usize, keys_max: usize) -> Self {
        Self::of(World::open(None, &options(intents_max, keys_max), START).unwrap())
    }

    fn in_dir(dir: &Path) -> Self {
        Self::of(World::open(Some(dir), &options(1000, 1000), START).unwrap())
    }

    fn of(world: World) -> Self {
        Self {
            world,
            now: START,
            api_key: "sk_test_florin".to_owned(),
        }
    }

    fn request(
        &self,
        method: &str,
        target: &str,
        body: &str,
        key: Option<&str>,
    ) -> Result<Request, ApiError> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let parsed = stripe::parse(RawRequest {
            method,
            path,
            query,
            body: body.as_bytes(),
        })?;
        let account = stripe::account_of(Some(format!("Bearer {}", self.api_key).as_bytes()))?;
        let idempotency = key.map(|key| Idempotency::new(account, key, parsed.fingerprint));
        Ok(Request {
            call: parsed.call,
            idempotency,
        })
    }

    pub(crate) fn slot(&self, target: &str, body: &str, key: &str) -> Digest {
        self.request("POST", target, body, Some(key))
            .unwrap()
            .idempotency
            .unwrap()
            .slot()
    }

    pub(crate) fn send(&mut self, method: &str, target: &str, body: &str, key: Option<&str>) -> Answered {
        let answered = match self.request(method, target, body, key) {
            Ok(request) => self.world.handle(&request, self.now).unwrap(),
            Err(error) => Answered {
                reply: Some(refusal(&error)),
                delivery: Delivery::Now,
            },
        };
        self.world.commit().unwrap();
        answered
    }

    pub(crate) fn raw_post(&mut self, target: &str, body: &str, key: &str) -> Reply {
        self.send("POST", target, body, Some(key))
            .reply
            .expect("no fault swallows this answer")
    }

    pub(crate) fn post(&mut self, target: &str, body: &str, key: &str) -> (u16, Value) {
        parsed(&self.raw_post(target, body, key))
    }

    pub(crate) fn get(&mut self, target: &str) -> (u16, Value) {
        parsed(
            &self
                .send("GET", target, "", None)
                .reply
                .expect("no fault swallows this answer"),
        )
    }

    pub(crate) fn fault(&mut self, operation: &str, mode: &str, extra: &str) {
        let body = format!(r#"{{"provider":"stripe","operation":"{operation}","mode":"{mode}"{extra}}}"#);
        self.world.faults.add(body.as_bytes()).unwrap();
    }

    pub(crate) fn rows(&self) -> Vec<Value> {
        let document: Value = serde_json::from_slice(&self.charges()).unwrap();
        document["data"].as_array().unwrap().clone()
    }

    fn charges(&self) -> Vec<u8> {
        let mut document = Vec::new();
        charges::write_document(&self.world.reader(), |piece| {
            document.extend_from_slice(&piece);
            true
        })
        .unwrap();
        document
    }
}

fn parsed(reply: &Reply) -> (u16, Value) {
    let body = serde_json::from_slice(&reply.body).expect("every answer is JSON");
    (reply.status, body)
}

/// Requests of every kind that executes, with all that comes back.
fn lived_in(client: &mut Client) -> Vec<(String, String, String, Reply)> {
    let mut done = Vec::new();
    let mut post = |client: &mut Client, target: &str, body: &str, key: &str| {
        let reply = client.raw_post(target, body, key);
        done.push((target.to_owned(), body.to_owned(), key.to_owned(), reply.clone()));
        let value: Value = serde_json::from_slice(&reply.body).unwrap();
        value["id"].as_str().map(str::to_owned).unwrap_or_default()
    };
    let intents = "/v1/payment_intents";
    let meta =
        "metadata[payment_id]=p%22%C3%A9&metadata[operation_id]=op_1&description=a+%22quoted%22%0Aline";
    let confirmed = format!("amount=900&currency=usd&payment_method=pm_card_visa&confirm=true&{meta}");
    post(client, intents, "amount=700&currency=jpy", "bare");
    post(
        client,
        intents,
        &confirmed.replace("visa", "visa_chargeDeclined"),
        "declined",
    );
    client.fault("authorize", "http_500", r#","count":1"#);
    post(client, intents, &confirmed, "broken");
    let options = "payment_method_options[card][request_multicapture]=if_available\
        &payment_method_options[card][request_incremental_authorization]=if_available";
    let manual = format!("{confirmed}&capture_method=manual&expand[]=latest_charge&{options}");
    let voided = post(client, intents, &manual, "to void");
    post(
        client,
        &format!("{intents}/{voided}/increment_authorization"),
        "amount=1000",
        "more",
    );
    post(client, &format!("{intents}/{voided}/cancel"), "", "void");
    let captured = post(client, intents, &manual, "to capture");
    post(
        client,
        &format!("{intents}/{captured}/capture"),
        "amount_to_capture=5&final_capture=false",
        "part",
    );
    post(
        client,
        &format!("{intents}/{captured}/confirm"),
        "",
        "refused by state",
    );
    post(
        client,
        "/v1/refunds",
        &format!("payment_intent={captured}&amount=2&reason=duplicate"),
        "refund",
    );
    let asked = confirmed.replace("visa", "threeDSecure2Required");
    for (key, passed) in [("passed", true), ("failed", false)] {
        let challenged = post(client, intents, &asked, key);
        client
            .world
            .challenge(&challenged, Some(passed), client.now)
            .unwrap();
        client.world.commit().unwrap();
    }
    done
}

fn replays_the_same(client: &mut Client, done: &[(String, String, String, Reply)]) {
    for (target, body, key, first) in done {
        let again = client.raw_post(target, body, key);
        assert!(again.replayed, "{key}");
        assert_eq!((again.status, &again.body), (first.status, &first.body), "{key}");
        assert_eq!(again.executed_as, first.executed_as, "{key}");
    }
}

#[test]
fn a_restart_keeps_objects_keys_and_rows() {
    let dir = tempfile::tempdir().unwrap();
    let mut client = Client::in_dir(dir.path());
    let done = lived_in(&mut client);
    let charges = client.charges();
    let list = client.get("/v1/payment_intents?limit=100&expand[]=data.latest_charge");
    drop(client);
    let mut client = Client::in_dir(dir.path());
    assert_eq!(client.charges(), charges);
    assert_eq!(
        client.get("/v1/payment_intents?limit=100&expand[]=data.latest_charge"),
        list
    );
    replays_the_same(&mut client, &done);
    assert_eq!(client.charges(), charges);
    let fresh = client.raw_post("/v1/payment_intents", "amount=1&currency=usd", "fresh");
    assert!(
        !done
            .iter()
            .any(|(_, _, _, reply)| reply.executed_as == fresh.executed_as)
    );
}

#[test]
fn a_last_line_torn_at_any_byte_was_never_executed() {
    let dir = tempfile::tempdir().unwrap();
    let mut client = Client::in_dir(dir.path());
    let done = lived_in(&mut client);
    let before_last = client.charges();
    let last = (
        "/v1/payment_intents",
        "amount=3&currency=usd&payment_method=pm_card_amex&confirm=true",
    );
    assert_eq!(client.raw_post(last.0, last.1, "last").status, 200);
    drop(client);
    let file = dir.path().join("witness.jsonl");
    let bytes = std::fs::read(&file).unwrap();
    let start = bytes[..bytes.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .unwrap()
        + 1;
    for cut in start..bytes.len() {
        std::fs::write(&file, &bytes[..cut]).unwrap();
        let mut client = Client::in_dir(dir.path());
        assert_eq!(client.charges(), before_last, "cut at {cut}");
        assert_eq!(
            std::fs::metadata(&file).unwrap().len(),
            u64::try_from(start).unwrap()
        );
        let reply = client.raw_post(last.0, last.1, "last");
        assert_eq!((reply.status, reply.replayed), (200, false), "cut at {cut}");
        if cut % 97 == 0 {
            replays_the_same(&mut client, &done);
        }
        drop(client);
        let client = Client::in_dir(dir.path());
        assert_eq!(client.rows().len(), 8, "cut at {cut}");
    }
}

#[test]
fn a_torn_header_starts_anew() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("witness.jsonl"), r#"{"witness":1,"sa"#).unwrap();
    let mut client = Client::in_dir(dir.path());
    lived_in(&mut client);
    drop(client);
    assert_eq!(Client::in_dir(dir.path()).rows().len(), 7);
}

#[test]
fn damage_inside_refuses_to_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut client = Client::in_dir(dir.path());
    lived_in(&mut client);
    drop(client);
    let file = dir.path().join("witness.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let missing = [&lines[..3], &lines[4..]].concat().concat();
    let garbled = text.replacen("\"seq\":3", "\"seq\":x", 1);
    let newer = text.replacen("{\"witness\":1", "{\"witness\":2", 1);
    for damaged in [missing, garbled, newer] {
        assert_ne!(damaged, text);
        std::fs::write(&file, damaged).unwrap();
        let error = World::open(Some(dir.path()), &options(10, 10), START).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    }
}

#[test]
fn one_directory_serves_one_sandbox() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::in_dir(dir.path());
    assert!(World::open(Some(dir.path()), &options(10, 10), START).is_err());
    drop(client);
    Client::in_dir(dir.path());
}

#[test]
fn a_replay_within_one_commit_reads_what_is_not_written_yet() {
    let mut client = Client::in_memory();
    let form = "amount=3&currency=usd&payment_method=pm_card_visa&confirm=true";
    let request = client
        .request("POST", "/v1/payment_intents", form, Some("key"))
        .unwrap();
    let first = client.world.handle(&request, START).unwrap().reply.unwrap();
    let second = client.world.handle(&request, START).unwrap().reply.unwrap();
    assert!(second.replayed);
    assert_eq!(second.body, first.body);
    assert!(client.rows().is_empty(), "nothing is shown before it is durable");
    client.world.commit().unwrap();
    assert_eq!(client.rows().len(), 1);
}

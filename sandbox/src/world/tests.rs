//! A client without sockets, the property that no key executes twice, and recovery from every torn tail.

use std::collections::HashMap;
use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::charges;
use crate::stripe::{Idempotency, RawRequest, Request};

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
    }
}

impl Client {
    pub(crate) fn in_memory() -> Self {
        Self::with_limits(1000, 1000)
    }

    pub(crate) fn with_limits(intents_max: usize, keys_max: usize) -> Self {
        Self::of(World::open(None, options(intents_max, keys_max), START).unwrap())
    }

    fn in_dir(dir: &Path) -> Self {
        Self::of(World::open(Some(dir), options(1000, 1000), START).unwrap())
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
    let manual = format!("{confirmed}&capture_method=manual&expand[]=latest_charge");
    let voided = post(client, intents, &manual, "to void");
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
        assert_eq!(client.rows().len(), 6, "cut at {cut}");
    }
}

#[test]
fn a_torn_header_starts_anew() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("witness.jsonl"), r#"{"witness":1,"sa"#).unwrap();
    let mut client = Client::in_dir(dir.path());
    lived_in(&mut client);
    drop(client);
    assert_eq!(Client::in_dir(dir.path()).rows().len(), 5);
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
        let error = World::open(Some(dir.path()), options(10, 10), START).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    }
}

#[test]
fn one_directory_serves_one_sandbox() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::in_dir(dir.path());
    assert!(World::open(Some(dir.path()), options(10, 10), START).is_err());
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

/// One step of a caller that retries, mistakes parameters and meets faults.
#[derive(Debug, Clone)]
enum Step {
    Sale { key: u8, amount: u8 },
    Authorize { key: u8 },
    Capture { key: u8, target: u8, amount: u8 },
    Cancel { key: u8, target: u8 },
    Refund { key: u8, target: u8, amount: u8 },
    Fault { operation: u8, mode: u8 },
    ClearFaults,
    Wait { seconds: u8 },
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..6_u8;
    let target = 0..4_u8;
    let step = prop_oneof![
        4 => (key.clone(), 1..3_u8).prop_map(|(key, amount)| Step::Sale { key, amount }),
        3 => key.clone().prop_map(|key| Step::Authorize { key }),
        3 => (key.clone(), target.clone(), 1..120_u8)
            .prop_map(|(key, target, amount)| Step::Capture { key, target, amount }),
        2 => (key.clone(), target.clone()).prop_map(|(key, target)| Step::Cancel { key, target }),
        3 => (key, target, 1..120_u8).prop_map(|(key, target, amount)| Step::Refund { key, target, amount }),
        2 => (0..4_u8, 0..7_u8).prop_map(|(operation, mode)| Step::Fault { operation, mode }),
        1 => Just(Step::ClearFaults),
        1 => (0..60_u8).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

fn intent_ids(client: &mut Client) -> Vec<String> {
    // Not through a query: those would use up faults.
    client
        .rows()
        .iter()
        .filter_map(|row| {
            row["id"]
                .as_str()?
                .strip_prefix("ch_")
                .map(|id| format!("pi_{id}"))
        })
        .collect()
}

/// A key charges at most once, so it can stand for the payment.
fn charged(key: u8) -> String {
    format!("currency=usd&payment_method=pm_card_visa&confirm=true&metadata[payment_id]={key}")
}

fn take(client: &mut Client, dir: &Path, step: &Step) {
    let intents = "/v1/payment_intents";
    let ids = intent_ids(client);
    let target = |index: u8| {
        ids.get(usize::from(index))
            .cloned()
            .unwrap_or_else(|| "pi_none".to_owned())
    };
    let (path, form, key) = match step {
        Step::Sale { key, amount } => {
            let form = format!("amount={amount}&{}", charged(*key));
            (intents.to_owned(), form, key)
        }
        Step::Authorize { key } => {
            let form = format!("amount=100&capture_method=manual&{}", charged(*key));
            (intents.to_owned(), form, key)
        }
        Step::Capture {
            key,
            target: index,
            amount,
        } => {
            let form = format!("amount_to_capture={amount}&final_capture=false");
            (format!("{intents}/{}/capture", target(*index)), form, key)
        }
        Step::Cancel { key, target: index } => {
            (format!("{intents}/{}/cancel", target(*index)), String::new(), key)
        }
        Step::Refund {
            key,
            target: index,
            amount,
        } => (
            "/v1/refunds".to_owned(),
            format!("payment_intent={}&amount={amount}", target(*index)),
            key,
        ),
        Step::Fault { operation, mode } => {
            let operation = ["authorize", "capture", "void", "refund"][usize::from(*operation)];
            let mode = [
                "decline",
                "timeout_before",
                "timeout_after_charge",
                "http_500",
                "rate_limit",
                "slow",
                "drop_connection",
            ][usize::from(*mode)];
            return client.fault(operation, mode, r#","count":2,"probability":0.7"#);
        }
        Step::ClearFaults => {
            client.world.faults.clear();
            return;
        }
        Step::Wait { seconds } => {
            client.now = client.now.plus_ms(u64::from(*seconds) * 1000);
            return;
        }
        Step::Restart => {
            // The lock on the directory must be gone before it is opened again.
            client.world = World::open(None, options(1, 1), START).unwrap();
            client.world = World::open(Some(dir), options(1000, 1000), START).unwrap();
            return;
        }
    };
    client.send("POST", &path, &form, Some(&key.to_string()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_interleaving_gives_a_key_two_rows_or_refunds_more_than_was_captured(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let mut client = Client::in_dir(dir.path());
        let mut seen: Vec<Value> = Vec::new();
        for step in &steps {
            take(&mut client, dir.path(), step);
            let rows = client.rows();
            prop_assert_eq!(&rows[..seen.len()], &seen[..], "rows are only ever appended");
            seen = rows;
        }
        let mut by_key: HashMap<&str, usize> = HashMap::new();
        let mut net: HashMap<(&str, &str), i64> = HashMap::new();
        for row in &seen {
            *by_key.entry(row["idempotency_key"].as_str().unwrap()).or_default() += 1;
            let amount = row["amount"].as_i64().unwrap();
            let (bucket, signed) = match row["operation"].as_str().unwrap() {
                "sale" | "capture" => ("captured", amount),
                "refund" => ("captured", -amount),
                "authorize" => ("authorized", amount),
                "void" => ("authorized", -amount),
                other => panic!("unknown operation {other}"),
            };
            *net.entry((row["payment_id"].as_str().unwrap(), bucket)).or_default() += signed;
        }
        prop_assert!(by_key.values().all(|rows| *rows == 1), "{:?}", by_key);
        prop_assert!(net.values().all(|amount| *amount >= 0), "{:?}", net);
    }
}

//! What a key was answered for good it is answered by every later build, byte for byte: journals that an earlier build wrote, with the
//! requests that made them and the answers that it gave, are in `tests/data/answers`. `FLORIN_BLESS=1` writes those that are missing and
//! never changes one.

use crate::VISA;
use crate::fake_provider::DECLINED_LATER_MINOR;
use crate::stand_ins::StandingClock;
use crate::with_method;
use crate::world::World;
use florin_actors::options::Options;
use florin_adapters::journal::{MemoryJournal, MemoryStore};
use florin_adapters::schema::{decode, encode};
use florin_domain::commit::Commit;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::limits::ATTEMPTS_MAX;
use florin_domain::ports::{Batch, Clock, Journal};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

const DECLINED: &str = "pm_card_visa_chargeDeclinedInsufficientFunds";
const CHALLENGED: &str = "pm_card_threeDSecure2Required";
const MERCHANT: &str = "sk_test_a";
const OPERATOR: &str = "ok_test_op";

/// When all of them were written.
fn then() -> Arc<dyn Clock> {
    Arc::new(StandingClock::default())
}

/// One request under a key; `{id}` in its path is the first request's payment.
struct Asked {
    path: &'static str,
    body: String,
    status: u16,
}

fn ask(path: &'static str, body: impl Into<String>, status: u16) -> Asked {
    Asked {
        path,
        body: body.into(),
        status,
    }
}

fn pay(body: impl Into<String>, status: u16) -> Asked {
    ask("/v1/payments", body, status)
}

fn held() -> Asked {
    pay(VISA.replace('}', r#","capture_method":"manual"}"#), 200)
}

fn capture(body: &str, status: u16) -> Asked {
    ask("/v1/payments/{id}/capture", body, status)
}

fn refund(body: &str) -> Asked {
    ask("/v1/payments/{id}/refunds", body, 200)
}

fn of_sum(currency: &str, amount_minor: i128) -> String {
    json!({"amount": amount_minor, "currency": currency, "payment_method_id": "pm_card_visa"}).to_string()
}

fn with_everything() -> String {
    let body = json!({
        "amount": 12_345, "currency": "EUR", "payment_method_id": "pm_card_mastercard", "capture_method": "automatic",
        "customer_id": "cus_42", "description": "Añil № 7", "metadata": {"order": "17", "note": "\"quoted\""},
        "return_url": "https://shop.example/back?order=17", "routing": {"prefer": ["fake"]},
        "device": {"fingerprint": "dev_1", "ip": "203.0.113.9", "country": "DE"},
    });
    body.to_string()
}

fn review_all(options: &mut Options) {
    options.risk.review_above_bps = 1;
}

fn block_all(options: &mut Options) {
    (options.risk.review_above_bps, options.risk.block_above_bps) = (1, 2);
}

fn as_usual(_: &mut Options) {}

/// A kind of final answer: how its journal is made, by which requests, and whether the provider is away for the last one.
struct Case {
    name: &'static str,
    options: fn(&mut Options),
    requests: Vec<Asked>,
    last_reaches_nobody: bool,
}

fn case(name: &'static str, requests: impl Into<Vec<Asked>>) -> Case {
    Case {
        name,
        options: as_usual,
        requests: requests.into(),
        last_reaches_nobody: false,
    }
}

fn cases() -> Vec<Case> {
    let declined_later = || json!({ "amount": i64::try_from(DECLINED_LATER_MINOR).unwrap() }).to_string();
    let confirm = |status| {
        let other = r#"{"payment_method_id":"pm_card_visa"}"#;
        ask("/v1/payments/{id}/confirm", other, status)
    };
    let review = |name, what, status| Case {
        options: review_all,
        ..case(name, [pay(VISA, 200), ask(what, "{}", status)])
    };
    let exhausted = |name, requests| Case {
        last_reaches_nobody: true,
        ..case(name, requests)
    };
    vec![
        case("succeeded", [pay(VISA, 200)]),
        case("succeeded_with_everything", [pay(with_everything(), 200)]),
        case("succeeded_without_decimals", [pay(of_sum("JPY", 1_500), 200)]),
        case(
            "succeeded_with_three_decimals",
            [pay(of_sum("BHD", 1_234_567), 200)],
        ),
        case(
            "succeeded_by_another_card",
            [pay(with_method(DECLINED), 402), confirm(200)],
        ),
        case("requires_capture", [held()]),
        case("captured", [held(), capture("{}", 200)]),
        case(
            "captured_in_parts",
            [
                held(),
                capture(r#"{"amount":2500}"#, 200),
                capture(r#"{"amount":1500,"final":true}"#, 200),
            ],
        ),
        case("capture_declined", [held(), capture(&declined_later(), 402)]),
        case("canceled", [held(), ask("/v1/payments/{id}/void", "{}", 200)]),
        case(
            "authorization_grown",
            [
                held(),
                ask(
                    "/v1/payments/{id}/increment_authorization",
                    r#"{"amount":15000}"#,
                    200,
                ),
            ],
        ),
        case("refunded", [pay(VISA, 200), refund("{}")]),
        case(
            "refunded_in_parts",
            [
                pay(VISA, 200),
                refund(r#"{"amount":4000,"reason":"duplicate"}"#),
                refund(r#"{"amount":100}"#),
            ],
        ),
        case("refund_failed", [pay(VISA, 200), refund(&declined_later())]),
        case("requires_action", [pay(with_method(CHALLENGED), 200)]),
        case("declined", [pay(with_method(DECLINED), 402)]),
        Case {
            options: block_all,
            ..case("blocked", [pay(VISA, 402)])
        },
        Case {
            options: review_all,
            ..case("in_review", [pay(VISA, 200)])
        },
        review("review_approved", "/v1/ops/reviews/{id}/approve", 200),
        review("review_rejected", "/v1/ops/reviews/{id}/reject", 200),
        exhausted("too_many_attempts", vec![pay(VISA, 409)]),
        exhausted("capture_reached_nobody", vec![held(), capture("{}", 409)]),
    ]
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/answers/v1")
}

fn secret_of(path: &str) -> &'static str {
    if path.starts_with("/v1/ops/") {
        OPERATOR
    } else {
        MERCHANT
    }
}

fn send(world: &World, path: &str, key: &str, body: &str) -> crate::world::Answer {
    let headers = [("Idempotency-Key", key), ("Content-Type", "application/json")];
    world.send("POST", path, Some(secret_of(path)), &headers, body.as_bytes())
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn from_hex(text: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    text.as_bytes().chunks(2).map(byte).collect()
}

/// Makes a case's journal with this build, and what it answers.
fn write(case: &Case) -> Value {
    let store = MemoryStore::default();
    let world = World::start_on(
        (&store, then()),
        |_| {},
        |options| {
            // Behind an open breaker no attempt would be made.
            options.breaker.failures_max = u32::MAX;
            (case.options)(options);
        },
    );
    let (mut id, mut answers) = (String::new(), Vec::new());
    for (place, asked) in case.requests.iter().enumerate() {
        let is_last = place + 1 == case.requests.len();
        let (path, key) = (asked.path.replace("{id}", &id), format!("{}-{place}", case.name));
        let tries = if is_last && case.last_reaches_nobody {
            world.provider_leaves(true);
            ATTEMPTS_MAX
        } else {
            1
        };
        let mut answer = send(&world, &path, &key, &asked.body);
        for _ in 1..tries {
            answer = send(&world, &path, &key, &asked.body);
        }
        assert_eq!(answer.status, asked.status, "{} {path}: {answer:?}", case.name);
        if place == 0 {
            let shown = answer.json();
            let said = shown["id"]
                .as_str()
                .or_else(|| shown["error"]["payment_id"].as_str());
            said.unwrap().clone_into(&mut id);
        }
        answers.push(json!({
            "path": path, "key": key, "body": asked.body, "status": answer.status, "answer": text(&answer.body),
        }));
    }
    let journal = world.runtime.block_on(async {
        let journal = &world.platform.context().ports.journal;
        journal.read(ShardId::FIRST, Seq(1), usize::MAX).await.unwrap()
    });
    world.stop();
    let stored = |commit: &Commit| {
        let mut bytes = Vec::new();
        encode(commit, &mut bytes);
        to_hex(&bytes)
    };
    json!({ "answers": answers, "journal": journal.iter().map(|commit| stored(commit)).collect::<Vec<_>>() })
}

/// What is kept of a case.
fn kept(case: &Case) -> Value {
    let path = folder().join(format!("{}.json", case.name));
    if env::var_os("FLORIN_BLESS").is_some_and(|value| value == "1") && !path.exists() {
        fs::create_dir_all(folder()).unwrap();
        fs::write(&path, format!("{:#}\n", write(case))).unwrap();
    }
    let kept = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; FLORIN_BLESS=1 writes it", path.display()));
    serde_json::from_str(&kept).unwrap()
}

/// The kept records as a journal; each is written as it was read.
fn journal_of(name: &str, records: &Value) -> MemoryStore {
    let (store, shard) = (MemoryStore::default(), ShardId::FIRST);
    let mut commits = Vec::new();
    for (seq, record) in (1..).zip(records.as_array().unwrap()) {
        let bytes = from_hex(record.as_str().unwrap());
        let commit = decode(shard, Seq(seq), &bytes).unwrap_or_else(|error| panic!("{name} {seq}: {error}"));
        let mut again = Vec::new();
        encode(&commit, &mut again);
        assert_eq!(to_hex(&again), to_hex(&bytes), "{name} {seq}");
        commits.push(Arc::new(commit));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let journal = MemoryJournal::open(&store, shard);
        let head = journal.head(shard).await.unwrap();
        let batch = Batch {
            id: 1,
            shard,
            epoch: head.epoch,
            expected_head: head.seq,
            commits: commits.into(),
        };
        journal.append(batch).await.unwrap();
    });
    store
}

#[test]
fn final_answers_of_earlier_builds_are_given_again_byte_for_byte() {
    for case in cases() {
        let kept = kept(&case);
        let store = journal_of(case.name, &kept["journal"]);
        let world = World::start_on((&store, then()), |_| {}, as_usual);
        let answers = kept["answers"].as_array().unwrap();
        assert_eq!(answers.len(), case.requests.len(), "{}", case.name);
        // In any order, and more than once.
        for answered in answers.iter().rev().chain(answers) {
            let said = |name: &str| answered[name].as_str().unwrap();
            let path = said("path");
            let again = send(&world, path, said("key"), said("body"));
            assert_eq!(
                (u64::from(again.status), text(&again.body)),
                (answered["status"].as_u64().unwrap(), said("answer")),
                "{} {path}",
                case.name
            );
            assert_eq!(
                again.header("idempotent-replayed"),
                Some("true"),
                "{} {path}",
                case.name
            );
        }
        assert_eq!(world.charges(), 0, "{}", case.name);
        world.stop();
    }
}

#[test]
fn every_kept_answer_is_looked_at() {
    let cases = cases();
    let names: BTreeSet<String> = cases.iter().map(|case| format!("{}.json", case.name)).collect();
    let files = fs::read_dir(folder()).unwrap();
    let files: BTreeSet<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, names);
}

//! Crashes under a load of payments that are captured, refunded, voided and confirmed again: nothing is lost and nothing is doubled.

use crate::deployment::{Caller, Dev, MERCHANT};
use crate::http::Answer;
use crate::operations::assert_books_are_true;
use crate::process::wait_for;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const CLIENTS: usize = 16;
const ROUNDS: u64 = 5;
/// Between two tries of a client whose server is gone or busy.
const RETRY: Duration = Duration::from_millis(20);

/// A request with its final answer.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    path: String,
    body: Value,
    answer: Answer,
}

/// Clients of one merchant, and everything that they were answered.
#[derive(Debug)]
pub(crate) struct Shared {
    api: Mutex<SocketAddr>,
    stop: AtomicBool,
    count: AtomicUsize,
    repeats: AtomicUsize,
    asked: Mutex<HashMap<String, Asked>>,
}

impl Shared {
    pub(crate) fn new(api: SocketAddr) -> Self {
        Self {
            api: Mutex::new(api),
            stop: AtomicBool::new(false),
            count: AtomicUsize::new(0),
            repeats: AtomicUsize::new(0),
            asked: Mutex::default(),
        }
    }

    /// Starts clients, each of which goes on until it is told to stop.
    pub(crate) fn start(self: &Arc<Self>, clients: usize) -> Vec<JoinHandle<()>> {
        let client = |client| {
            let shared = Arc::clone(self);
            std::thread::spawn(move || shared.go_on(client))
        };
        (0..clients).map(client).collect()
    }

    /// Lets every client end what it has begun; all requests with their answers.
    pub(crate) fn finish(&self, clients: Vec<JoinHandle<()>>) -> HashMap<String, Asked> {
        self.stop.store(true, Ordering::SeqCst);
        for client in clients {
            client.join().unwrap();
        }
        self.asked.lock().unwrap().clone()
    }

    /// Answers that will not change, and requests that had to be sent again.
    pub(crate) fn so_far(&self) -> (usize, usize) {
        (
            self.count.load(Ordering::SeqCst),
            self.repeats.load(Ordering::SeqCst),
        )
    }

    /// Asks until there is an answer that will not change.
    fn ask(&self, key: String, path: String, body: Value) -> Answer {
        let answer = wait_for(&format!("the answer of {key}"), || {
            let api = *self.api.lock().unwrap();
            match Caller::new(api, MERCHANT).try_post(&key, &path, &body) {
                Ok(answer) if [200, 402].contains(&answer.status) => Some(answer),
                Ok(answer) if ![202, 429, 503].contains(&answer.status) => panic!("{key}: {answer:?}"),
                Ok(_) | Err(_) => {
                    self.repeats.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(RETRY);
                    None
                }
            }
        });
        self.note(key, path, body, answer)
    }

    /// Asks once: there is an answer that will not change.
    #[track_caller]
    fn ask_once(&self, key: String, path: String, body: Value) -> Answer {
        let api = *self.api.lock().unwrap();
        let answer = Caller::new(api, MERCHANT).post(&key, &path, &body);
        assert!([200, 402].contains(&answer.status), "{key} at {path}: {answer:?}");
        self.note(key, path, body, answer)
    }

    fn note(&self, key: String, path: String, body: Value, answer: Answer) -> Answer {
        let asked = Asked {
            path,
            body,
            answer: answer.clone(),
        };
        self.asked.lock().unwrap().insert(key, asked);
        self.count.fetch_add(1, Ordering::SeqCst);
        answer
    }

    /// One payment after the other, each with something asked of it.
    fn go_on(&self, client: usize) {
        for number in 0.. {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let key = format!("client-{client}-{number}");
            pay_and_ask(&key, client + number, |key, path, body| self.ask(key, path, body));
        }
    }

    /// One payment of every kind at the same time, each with something asked of it: every request is answered at its first try.
    #[track_caller]
    pub(crate) fn go_well(&self, name: &str) {
        std::thread::scope(|scope| {
            for kind in 0..KINDS {
                let key = format!("{name}-{kind}");
                scope.spawn(move || {
                    pay_and_ask(&key, kind, |key, path, body| self.ask_once(key, path, body));
                });
            }
        });
    }

    /// From now on the node is here.
    pub(crate) fn moved_to(&self, api: SocketAddr) {
        *self.api.lock().unwrap() = api;
    }

    pub(crate) fn wait_for_more(&self, answers: u64) {
        let goal = self.count.load(Ordering::SeqCst) + usize::try_from(answers).unwrap();
        wait_for("answers", || {
            (self.count.load(Ordering::SeqCst) >= goal).then_some(())
        });
    }
}

/// Kinds of payments that clients make.
const KINDS: usize = 4;

/// Makes a payment under a key, and asks something of it under others.
fn pay_and_ask(key: &str, number: usize, ask: impl Fn(String, String, Value) -> Answer) {
    let mut body = json!({"amount": 1_000, "currency": "USD", "payment_method_id": "pm_card_visa"});
    let kind = number % KINDS;
    if kind < 2 {
        body["capture_method"] = json!("manual");
    } else if kind == 3 {
        body["payment_method_id"] = json!("pm_card_visa_chargeDeclined");
    }
    let made = ask(key.to_owned(), "/v1/payments".to_owned(), body);
    let id = match made.status {
        200 => made.json()["id"].as_str().unwrap().to_owned(),
        _ => made.error("payment_id"),
    };
    let steps = match kind {
        0 => vec![
            ("capture", json!({"amount": 300})),
            ("capture", json!({"amount": 200, "final": true})),
            ("refunds", json!({"amount": 100})),
        ],
        1 => vec![("capture", json!({"amount": 400})), ("void", json!({}))],
        2 => vec![("refunds", json!({"amount": 600})), ("refunds", json!({}))],
        _ => vec![
            ("confirm", json!({"payment_method_id": "pm_card_mastercard"})),
            ("refunds", json!({"amount": 250})),
        ],
    };
    for (step, (what, body)) in steps.into_iter().enumerate() {
        ask(format!("{key}-{step}"), format!("/v1/payments/{id}/{what}"), body);
    }
}

/// What a payment of each kind comes to once everything asked of it was answered: captured, refunded, and the witness's rows.
fn assert_each_is_whole(dev: &Dev, asked: &HashMap<String, Asked>) {
    let mut witness: BTreeMap<String, Vec<(String, i64)>> = BTreeMap::new();
    for row in dev.charges() {
        let rows = witness
            .entry(row["payment_id"].as_str().unwrap().to_owned())
            .or_default();
        rows.push((
            row["operation"].as_str().unwrap().to_owned(),
            row["amount"].as_i64().unwrap(),
        ));
    }
    let creations = asked.iter().filter(|(_, asked)| asked.path == "/v1/payments");
    let payments = dev.merchant().read_all("/v1/payments");
    assert_eq!(payments.len(), creations.clone().count(), "one payment per key");
    for (key, made) in creations {
        let id = match made.answer.status {
            200 => made.answer.json()["id"].as_str().unwrap().to_owned(),
            _ => made.answer.error("payment_id"),
        };
        let manual = made.body["capture_method"] == "manual";
        let steps = (0..3)
            .map_while(|step| asked.get(&format!("{key}-{step}")))
            .count();
        let (sums, rows) = match (manual, steps, made.answer.status) {
            (true, 3, 200) => (
                (500, 100),
                vec![
                    ("authorize", 1_000),
                    ("capture", 300),
                    ("capture", 200),
                    ("refund", 100),
                ],
            ),
            (true, 2, 200) => (
                (400, 0),
                vec![("authorize", 1_000), ("capture", 400), ("void", 600)],
            ),
            (false, 2, 200) => (
                (1_000, 1_000),
                vec![("sale", 1_000), ("refund", 600), ("refund", 400)],
            ),
            (false, 2, 402) => ((1_000, 250), vec![("sale", 1_000), ("refund", 250)]),
            other => panic!("{key}: {other:?}"),
        };
        let payment = payments
            .iter()
            .find(|payment| payment["id"] == id.as_str())
            .unwrap();
        let shown = (&payment["amount_captured"], &payment["amount_refunded"]);
        assert_eq!(shown, (&json!(sums.0), &json!(sums.1)), "{key} {payment}");
        let rows: Vec<_> = rows
            .into_iter()
            .map(|(what, minor)| (what.to_owned(), minor))
            .collect();
        assert_eq!(witness.remove(&id), Some(rows), "{key}");
    }
    assert!(witness.is_empty(), "executed for nobody: {witness:?}");
}

#[track_caller]
pub(crate) fn assert_nothing_lost_and_nothing_doubled(dev: &Dev, asked: &HashMap<String, Asked>) {
    assert!(asked.len() > 100, "there was a load: {}", asked.len());
    let before = dev.charges();
    for (key, Asked { path, body, answer }) in asked {
        let replay = dev.merchant().post(key, path, body);
        assert!(replay.is_replay(), "{key}: {replay:?}");
        assert_eq!(
            (replay.status, replay.text()),
            (answer.status, answer.text()),
            "{key}"
        );
    }
    assert_eq!(dev.charges(), before, "replays execute nothing");
    assert_each_is_whole(dev, asked);
    assert_books_are_true(dev);
}

/// Snapshots are taken often, so that recovery meets them; an unresolved operation is asked about soon.
pub(crate) const OFTEN: [(&str, &str); 2] = [
    ("FLORIN_JOURNAL_SNAPSHOT_EVERY_COMMITS", "100"),
    ("FLORIN_RESOLUTION_WAITS_S", "1"),
];

#[test]
fn no_operation_is_lost_or_doubled_by_five_crashes_under_load() {
    let (folder, mut dev) = Dev::fresh(&OFTEN);
    let shared = Arc::new(Shared::new(dev.api));
    let clients = shared.start(CLIENTS);
    for round in 0..ROUNDS {
        shared.wait_for_more(23 + round * 31 % 101);
        dev.process.kill_9();
        dev = Dev::start(folder.path(), &OFTEN);
        shared.moved_to(dev.api);
    }
    shared.wait_for_more(50);
    let asked = shared.finish(clients);
    assert_nothing_lost_and_nothing_doubled(&dev, &asked);
    dev.process.kill_9();
    let dev = Dev::start(folder.path(), &OFTEN);
    assert_nothing_lost_and_nothing_doubled(&dev, &asked);
    dev.stop();
}

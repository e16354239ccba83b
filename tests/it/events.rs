//! What merchants are told by the real binary: whoever keeps the last id that it has seen misses nothing, at whatever instruction the
//! process ends, and everybody is told the same again from a view that was made anew.

use crate::deployment::{Dev, MERCHANT, sale};
use crate::http::Client;
use crate::process::wait_for;
use crate::recovery::{Load, OFTEN};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const ROUNDS: usize = 4;
/// Between two questions of a follower that has seen everything or finds nobody.
const REST: Duration = Duration::from_millis(10);

/// A client that asks for what follows the last event it has seen, and knows nothing else.
#[derive(Debug)]
struct Follower {
    api: Arc<Mutex<SocketAddr>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Value>>,
}

impl Follower {
    fn start(api: SocketAddr, first: Value) -> Self {
        let (api, stop) = (Arc::new(Mutex::new(api)), Arc::new(AtomicBool::new(false)));
        let (place, stops) = (Arc::clone(&api), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut seen = vec![first];
            loop {
                // Asked before the page is: what is there by now is still read.
                let is_last = stops.load(Ordering::SeqCst);
                let last = seen.last().unwrap()["id"].as_str().unwrap();
                let path = format!("/v1/events?limit=100&ending_before={last}");
                let authorization = format!("Bearer {MERCHANT}");
                let headers = [("Authorization", authorization.as_str())];
                let api = *place.lock().unwrap();
                let answer = Client::new(api).send("GET", &path, &headers, b"");
                let Some(answer) = answer.ok().filter(|answer| answer.status != 503) else {
                    std::thread::sleep(REST);
                    continue;
                };
                let page = answer.expect(200).json();
                let data = page["data"].as_array().unwrap();
                seen.extend(data.iter().rev().cloned());
                if data.is_empty() && is_last {
                    return seen;
                }
                if data.is_empty() {
                    std::thread::sleep(REST);
                }
            }
        });
        Self { api, stop, thread }
    }

    fn move_to(&self, api: SocketAddr) {
        *self.api.lock().unwrap() = api;
    }

    fn finish(self) -> Vec<Value> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

fn told(dev: &Dev) -> Vec<Value> {
    let mut events = dev.merchant().read_all("/v1/events");
    events.reverse();
    events
}

#[test]
fn cons_17_whoever_follows_events_misses_none_across_crashes_under_load() {
    let (folder, mut dev) = Dev::fresh(&OFTEN);
    dev.pay("first", &sale(500, "USD")).expect(200);
    let follower = Follower::start(dev.api, told(&dev)[0].clone());
    let load = Load::start(dev.api, MERCHANT);
    for round in 0..ROUNDS {
        load.wait_for_more(40 + 30 * round);
        dev.process.kill_9();
        dev = Dev::start(folder.path(), &OFTEN);
        load.move_to(dev.api);
        follower.move_to(dev.api);
    }
    load.wait_for_more(50);
    let acknowledged = load.finish();
    // Whatever the crashes left open is asked about, and told.
    wait_for("all payments to end", || {
        let unresolved = dev.operator().read("/v1/ops/unresolved");
        unresolved["data"].as_array().unwrap().is_empty().then_some(())
    });
    let seen = follower.finish();
    let all = told(&dev);
    assert_eq!(seen, all, "the follower and the list");
    let mut of: HashMap<&str, Vec<&Value>> = HashMap::new();
    for event in &all {
        of.entry(event["payment_id"].as_str().unwrap())
            .or_default()
            .push(event);
    }
    for events in of.values() {
        let numbers: Vec<u64> = events
            .iter()
            .map(|event| event["sequence"].as_u64().unwrap())
            .collect();
        assert_eq!(
            numbers,
            (1..=events.len() as u64).collect::<Vec<_>>(),
            "{events:?}"
        );
    }
    for answered in acknowledged.values() {
        let (id, expected) = match answered.answer.status {
            200 => {
                let payment = answered.answer.json();
                let word = match payment["status"].as_str().unwrap() {
                    "succeeded" => "payment.succeeded",
                    "authorized" => "payment.amount_capturable_updated",
                    other => panic!("{other}: {payment}"),
                };
                (payment["id"].as_str().unwrap().to_owned(), word)
            }
            _ => (answered.answer.error("payment_id"), "payment.failed"),
        };
        let events = of
            .get(id.as_str())
            .unwrap_or_else(|| panic!("{id} was never told of"));
        let last = events.last().unwrap();
        assert_eq!(last["type"], json!(expected), "{events:?}");
        if answered.answer.status == 200 {
            assert_eq!(last["data"]["object"], answered.answer.json());
        }
    }
    // The same ids, numbers and contents from a view that is made anew of the journal.
    dev.stop();
    fs::remove_file(folder.path().join("views.db")).unwrap();
    let dev = Dev::start(folder.path(), &OFTEN);
    assert_eq!(told(&dev), all);
    dev.stop();
}

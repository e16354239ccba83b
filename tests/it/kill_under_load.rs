//! Operators kill one actor after the other under load: each comes back, requests succeed again at their first try, and nothing
//! that merchants asked for is lost or doubled.

use crate::deployment::{Dev, add_fault};
use crate::http::Answer;
use crate::operations_recovery::{OFTEN, Shared, assert_nothing_lost_and_nothing_doubled};
use crate::operators::order;
use crate::ops::figure;
use crate::process::wait_for;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const CLIENTS: usize = 12;

/// Times that an actor of every kind is killed; as many as an actor may fail, so that the last one leaves no budget.
const ROUNDS: u64 = 3;

/// As many failures as rounds, and a window that outlasts the test: what is left of a budget depends on no clock.
const BUDGET: [(&str, &str); 2] = [
    ("FLORIN_ACTORS_SINGLETON_RESTARTS_MAX", "3"),
    ("FLORIN_ACTORS_SINGLETON_RESTART_WINDOW_MS", "3600000"),
];

/// What a provider takes for an answer: payments stay in memory long enough to be met there.
const PROVIDER_DELAY_MS: u64 = 40;

/// An actor as the tree shows it.
#[derive(Clone, Debug)]
struct Seat {
    id: String,
    kind: String,
    key: String,
    restarts: u64,
    budget_left: Option<u64>,
    payments: Vec<String>,
}

/// The singletons of the tree.
fn seats(dev: &Dev) -> Vec<Seat> {
    let tree = dev.operator().read("/v1/ops/tree?payments_max=100");
    let text = |node: &Value, field: &str| node[field].as_str().unwrap().to_owned();
    let seat = |node: &Value| Seat {
        id: text(node, "id"),
        kind: text(node, "kind"),
        key: text(node, "key"),
        restarts: node["restarts"].as_u64().unwrap(),
        budget_left: node["restart_budget_left"].as_u64(),
        payments: node["children"]
            .as_array()
            .unwrap()
            .iter()
            .map(|payment| {
                assert_eq!(payment["kind"], "payment", "set aside: {payment}");
                text(payment, "id")
            })
            .collect(),
    };
    tree["children"].as_array().unwrap().iter().map(seat).collect()
}

fn seat(dev: &Dev, id: &str) -> Seat {
    seats(dev).into_iter().find(|seat| seat.id == id).unwrap()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counters are small whole numbers"
)]
fn count(dev: &Dev, name: &str, labels: &str) -> u64 {
    let metrics = dev.operator().get("/metrics").expect(200).text();
    let value = figure(&metrics, name, labels);
    value
        .unwrap_or_else(|| panic!("{name} {labels} in {metrics}"))
        .round() as u64
}

fn restarts(dev: &Dev, kind: &str) -> u64 {
    count(dev, "florin_actor_restarts_total", &format!("kind=\"{kind}\""))
}

fn alive(dev: &Dev, kind: &str) -> u64 {
    count(dev, "florin_actors_live", &format!("kind=\"{kind}\""))
}

fn kill(dev: &Dev, id: &str) -> Answer {
    order(dev, &format!("tree/{id}/kill"), &json!({"reason": "a drill"}))
}

/// Nobody is killed whose end would end the process, or who is not there.
#[track_caller]
fn assert_refused(dev: &Dev, exhausted: &[String]) {
    let ends_the_process = [
        "journal_writer:0",
        "journal_writer",
        "account_shard:0",
        "account_shard",
        "root:florin",
    ];
    let exhausted = exhausted.iter().map(String::as_str);
    for id in ends_the_process.into_iter().chain(exhausted) {
        let refused = kill(dev, id).expect(409);
        assert_eq!(refused.error("code"), "actor_not_restartable", "{id}");
    }
    // A kind names nobody where there are several.
    let nobody = [
        "nobody",
        "nobody:0",
        "risk:9999",
        "payment_guardian",
        "payment:nobody",
        "journal_writer:1",
    ];
    for id in nobody {
        let refused = kill(dev, id).expect(404);
        assert_eq!(refused.error("code"), "resource_missing", "{id}");
    }
    for seat in seats(dev) {
        let fails_once = ["journal_writer", "account_shard"].contains(&seat.kind.as_str());
        assert_eq!(seat.budget_left.is_none(), fails_once, "{seat:?}");
        assert!(!fails_once || seat.restarts == 0, "{seat:?}");
    }
}

/// Kills a singleton of a kind and waits until it is back.
#[track_caller]
fn kill_and_wait(dev: &Dev, target: &Seat) {
    let (before, live) = (restarts(dev, &target.kind), alive(dev, &target.kind));
    kill(dev, &target.id).expect(200);
    wait_for(&format!("{} to be back", target.id), || {
        let is_back =
            seat(dev, &target.id).restarts == target.restarts + 1 && alive(dev, &target.kind) == live;
        is_back.then_some(())
    });
    assert_eq!(restarts(dev, &target.kind), before + 1, "{}", target.id);
    let left = target.budget_left.map(|left| left - 1);
    assert_eq!(seat(dev, &target.id).budget_left, left, "{}", target.id);
    let labels = format!("kind=\"{}\",index=\"{}\"", target.kind, target.key);
    if target.key.parse::<u64>().is_ok() {
        assert_eq!(
            Some(count(dev, "florin_restart_budget_left", &labels)),
            left,
            "{labels}"
        );
    }
}

/// Kills payments until one was met before its end, since who was ending anyway does not come back; each at most once, so that none
/// is set aside.
fn kill_a_payment(dev: &Dev, struck: &mut BTreeSet<String>) {
    let before = restarts(dev, "payment");
    wait_for("a payment to be killed", || {
        let live = seats(dev).into_iter().flat_map(|seat| seat.payments);
        let new: Vec<String> = live.filter(|payment| !struck.contains(payment)).collect();
        if let Some(payment) = new.first() {
            let answer = kill(dev, payment);
            if answer.status == 200 {
                struck.insert(payment.clone());
            } else {
                // It left memory between the two requests.
                assert_eq!(answer.expect(404).error("code"), "resource_missing");
            }
        }
        (restarts(dev, "payment") > before).then_some(())
    });
}

/// Nobody has to send anything twice any more.
fn wait_for_calm(shared: &Shared) {
    wait_for("requests that succeed at their first try", || {
        let (_, before) = shared.so_far();
        shared.wait_for_more(CLIENTS as u64);
        (shared.so_far().1 == before).then_some(())
    });
}

#[test]
fn whichever_actor_is_killed_under_load_requests_soon_succeed_at_their_first_try_and_nothing_is_doubled() {
    let (_folder, dev) = Dev::fresh(&[OFTEN, BUDGET].concat());
    for operation in ["authorize", "capture", "void", "refund"] {
        let slow = json!({"operation": operation, "delay_ms": PROVIDER_DELAY_MS});
        add_fault(dev.sandbox, "slow", &slow);
    }
    let restartable = seats(&dev).into_iter().filter(|seat| seat.budget_left.is_some());
    let kinds: BTreeSet<String> = restartable.map(|seat| seat.kind).collect();
    let expected = [
        "crossings",
        "deadlines",
        "idempotency",
        "monitor",
        "payment_guardian",
        "projection",
        "provider",
        "resolution",
        "risk",
        "scrub",
        "webhook_guardian",
    ];
    assert_eq!(kinds, expected.map(str::to_owned).into());
    let shared = Arc::new(Shared::new(dev.api));
    let clients = shared.start(CLIENTS);
    shared.wait_for_more(CLIENTS as u64);
    assert_refused(&dev, &[]);
    let mut struck = BTreeSet::new();
    for round in 0..ROUNDS {
        for kind in &kinds {
            let of_kind = seats(&dev).into_iter().filter(|seat| seat.kind == *kind);
            // The one with the most payments, else the one that was spared longest.
            let target = of_kind
                .max_by_key(|seat| (seat.payments.len(), seat.budget_left))
                .unwrap();
            kill_and_wait(&dev, &target);
            shared.go_well(&format!("after-{kind}-{round}"));
            wait_for_calm(&shared);
        }
        kill_a_payment(&dev, &mut struck);
        shared.go_well(&format!("after-payment-{round}"));
        wait_for_calm(&shared);
    }
    let exhausted = seats(&dev).into_iter().filter(|seat| seat.budget_left == Some(0));
    let exhausted: Vec<String> = exhausted.map(|seat| seat.id).collect();
    assert!(
        exhausted.len() >= 6,
        "those that are alone of their kind: {exhausted:?}"
    );
    assert_refused(&dev, &exhausted);
    shared.go_well("exhausted");
    let asked = shared.finish(clients);
    assert_nothing_lost_and_nothing_doubled(&dev, &asked);

    let counted: BTreeMap<&str, u64> = expected.map(|kind| (kind, restarts(&dev, kind))).into();
    assert_eq!(counted, expected.map(|kind| (kind, ROUNDS)).into());
    let (payments, root) = (restarts(&dev, "payment"), dev.operator().read("/v1/ops/tree"));
    assert!(payments >= ROUNDS, "{payments}");
    assert_eq!(root["restarts"], ROUNDS * expected.len() as u64 + payments);
    dev.stop();
}

/// A projection that fails again and again is down for longer each time: nobody can read a payment back meanwhile.
#[test]
fn payments_that_cannot_be_read_while_the_projection_is_down_are_not_blamed_for_it() {
    const KILLS: usize = 8;
    let (_folder, dev) = Dev::fresh(&[OFTEN.as_slice(), &BUDGET[1..]].concat());
    let shared = Arc::new(Shared::new(dev.api));
    let clients = shared.start(CLIENTS);
    shared.wait_for_more(CLIENTS as u64);
    for _ in 0..KILLS {
        kill_and_wait(&dev, &seat(&dev, "projection:0"));
    }
    wait_for_calm(&shared);
    shared.go_well("after");
    let asked = shared.finish(clients);
    assert_nothing_lost_and_nothing_doubled(&dev, &asked);
    assert_eq!(restarts(&dev, "payment"), 0, "nobody killed a payment");
    let metrics = dev.operator().get("/metrics").expect(200).text();
    let set_aside = figure(&metrics, "florin_alerts_total", "alert=\"payment_set_aside\"");
    assert_eq!(set_aside, None, "{metrics}");
    dev.stop();
}

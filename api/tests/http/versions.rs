//! Fees, routing rules and thresholds of risk in versions: each follows the one that was seen, begins at once or at its time, and is what payments go by from
//! then on, also after a restart.

use crate::stand_ins::StandingClock;
use crate::world::{Answer, World};
use crate::{VISA, pay};
use florin_adapters::journal::MemoryStore;
use florin_domain::ports::Clock;
use florin_domain::time::Millis;
use serde_json::{Value, json};
use std::sync::Arc;

const OPERATOR: &str = "ok_test_op";
const FEES: &str = "/v1/ops/merchants/mer_00000000000000000000000001/fees";
const OTHER_FEES: &str = "/v1/ops/merchants/mer_00000000000000000000000002/fees";
const PROFILE: &str = "/v1/ops/risk_profile";
const ROUTING: &str = "/v1/ops/routing";
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn put(world: &World, path: &str, body: &Value) -> Answer {
    let body = body.to_string();
    world.send("PUT", path, Some(OPERATOR), &[JSON], body.as_bytes())
}

fn read(world: &World, path: &str) -> Value {
    let answer = world.get(path, Some(OPERATOR));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn fee(bps: u32, fixed: &str, expected_version: u32, effective_at: Option<u64>) -> Value {
    let mut body = json!({
        "fee_bps": bps, "fee_fixed": fixed, "expected_version": expected_version, "reason": "a contract",
    });
    if let Some(time) = effective_at {
        body["effective_at"] = json!(time);
    }
    body
}

#[track_caller]
fn charged(world: &World, key: &str) -> i64 {
    let paid = pay(world, key, VISA);
    assert_eq!(paid.status, 200, "{paid:?}");
    paid.json()["fee"].as_i64().unwrap()
}

fn order(world: &World, path: &str, key: &str, body: &Value) -> Answer {
    let headers = [("Idempotency-Key", key), JSON];
    let body = body.to_string();
    world.send("POST", path, Some("sk_test_a"), &headers, body.as_bytes())
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, param: &str) -> String {
    let seen = (answer.status, answer.error("code"), answer.error("param"));
    assert_eq!(seen, (status, code.to_owned(), param.to_owned()), "{answer:?}");
    answer.error("message")
}

#[test]
fn cons_5_a_fee_is_one_version_more_and_counts_from_its_effective_date_on() {
    let (store, clock) = (MemoryStore::default(), Arc::<StandingClock>::default());
    let start = || World::start_on((&store, Arc::clone(&clock) as _), |_| {}, |_| {});
    let world = start();
    let first = read(&world, FEES);
    assert_eq!(
        (
            &first["version"],
            &first["fee_bps"],
            &first["fee_fixed"],
            &first["set_by"]
        ),
        (&json!(1), &json!(290), &json!("0.3"), &Value::Null)
    );
    assert_eq!(charged(&world, "a"), 320);
    // At once.
    let set = put(&world, FEES, &fee(250, "0.25", 1, None));
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!(set.json(), read(&world, FEES));
    let seen = set.json();
    assert_eq!(
        (
            &seen["version"],
            &seen["latest_version"],
            &seen["fee_bps"],
            &seen["reason"]
        ),
        (&json!(2), &json!(2), &json!(250), &json!("a contract"))
    );
    assert_eq!(charged(&world, "b"), 275);
    assert_eq!(
        read(&world, OTHER_FEES)["version"],
        1,
        "another merchant's is its own"
    );
    // From tomorrow on.
    let tomorrow_s = clock.now().unix_s() + 86_400;
    let set = put(&world, FEES, &fee(100, "0", 2, Some(tomorrow_s))).json();
    assert_eq!((&set["version"], &set["latest_version"]), (&json!(2), &json!(3)));
    assert_eq!(
        set["to_come"],
        json!([{"version": 3, "fee_bps": 100, "fee_fixed": "0", "effective_at": tomorrow_s,
            "set_by": "key_00000000000000000000000003", "reason": "a contract"}])
    );
    assert_eq!(charged(&world, "c"), 275);
    world.stop();

    // Another process knows what is to come.
    let world = start();
    assert_eq!(charged(&world, "d"), 275);
    clock.advance(Millis(86_400_000 - clock.now().unix_ms() % 1000 - 1));
    assert_eq!(charged(&world, "e"), 275, "a millisecond early");
    clock.advance(Millis(1));
    assert_eq!(charged(&world, "f"), 100);
    let seen = read(&world, FEES);
    assert_eq!(
        (&seen["version"], &seen["effective_at"], &seen["to_come"]),
        (&json!(3), &json!(tomorrow_s), &json!([]))
    );
    world.stop();
}

#[test]
fn a_payment_keeps_the_fee_of_when_it_was_asked_for() {
    let world = World::start();
    let body = json!({
        "amount": 10_000, "currency": "usd", "payment_method_id": "pm_card_visa", "capture_method": "manual",
    });
    let held = order(&world, "/v1/payments", "held", &body).json();
    assert_eq!(held["status"], "authorized");
    assert_eq!(put(&world, FEES, &fee(1_000, "1", 1, None)).status, 200);
    let path = format!("/v1/payments/{}/capture", held["id"].as_str().unwrap());
    let captured = order(&world, &path, "capture", &json!({})).json();
    assert_eq!((&captured["fee"], &captured["net"]), (&json!(320), &json!(9_680)));
    assert_eq!(charged(&world, "new"), 1_100);
    // The answer to the same request is the one that was given.
    let again = order(&world, "/v1/payments", "held", &body);
    assert_eq!(again.header("idempotent-replayed"), Some("true"), "{again:?}");
    world.stop();
}

#[test]
fn of_changes_that_saw_the_same_version_one_is_made() {
    let world = World::start();
    let now_s = 4_000_000_000;
    for (path, body) in [
        (FEES, fee(1, "0", 1, Some(now_s))),
        (
            PROFILE,
            json!({"block_above": 0.9, "expected_version": 0, "effective_at": now_s, "reason": "x"}),
        ),
        (
            ROUTING,
            json!({"program": "", "expected_version": 0, "effective_at": now_s, "reason": "x"}),
        ),
    ] {
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| put(&world, path, &body).status))
                .collect();
            asking.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        let made = statuses.iter().filter(|status| **status == 200).count();
        assert_eq!(
            (made, statuses.iter().filter(|status| **status == 409).count()),
            (1, 7),
            "{path}"
        );
        assert_eq!(
            read(&world, path)["to_come"].as_array().unwrap().len(),
            1,
            "{path}"
        );
    }
    let message = refused(
        &put(&world, FEES, &fee(1, "0", 1, None)),
        409,
        "version_stale",
        "expected_version",
    );
    assert_eq!(message, "The latest fee has version 2.");
    let stale = json!({"expected_version": 7, "reason": "x"});
    let message = refused(
        &put(&world, PROFILE, &stale),
        409,
        "version_stale",
        "expected_version",
    );
    assert_eq!(message, "The latest risk profile has version 1.");
    world.stop();
}

#[test]
fn what_was_to_come_is_called_off_by_what_counts_at_once() {
    let clock = Arc::<StandingClock>::default();
    let world = World::start_at(Arc::clone(&clock) as _, |_| {}, |_| {});
    let later_s = clock.now().unix_s() + 60;
    assert_eq!(put(&world, FEES, &fee(100, "0", 1, Some(later_s))).status, 200);
    let set = put(&world, FEES, &fee(290, "0.30", 2, None)).json();
    assert_eq!((&set["version"], &set["to_come"]), (&json!(3), &json!([])));
    clock.advance(Millis(120_000));
    assert_eq!(charged(&world, "a"), 320);
    world.stop();
}

#[test]
fn thresholds_of_risk_count_from_their_time_on() {
    let clock = Arc::<StandingClock>::default();
    let world = World::start_at(Arc::clone(&clock) as _, |_| {}, |_| {});
    let first = read(&world, PROFILE);
    assert_eq!(
        (
            &first["version"],
            &first["block_above"],
            &first["review_above"],
            &first["hour_count_high"]
        ),
        (&json!(0), &json!(0.8), &json!(0.5), &json!(10))
    );
    // 2,000 dollars: a base of 0.1, and 0.15 for more than 1,000.
    let large = VISA.replace("10000", "200000");
    let status = |key: &str| {
        let paid = pay(&world, key, &large);
        (paid.status, paid.json()["status"].as_str().map(str::to_owned))
    };
    let passed = (200, Some("succeeded".to_owned()));
    assert_eq!(status("a"), passed);
    let later_s = clock.now().unix_s() + 60;
    let stricter = json!({
        "block_above": 0.2, "review_above": 0.15, "expected_version": 0, "effective_at": later_s, "reason": "a ring",
    });
    let set = put(&world, PROFILE, &stricter);
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!(set.json()["version"], 0);
    assert_eq!(status("b"), passed);
    clock.advance(Millis(60_000));
    assert_eq!(status("c").0, 402);
    // What is not named is the configuration's again.
    let looser = json!({"amount_limits": {"USD": 500_000}, "expected_version": 1, "reason": "sales"});
    let set = put(&world, PROFILE, &looser).json();
    assert_eq!(
        (&set["version"], &set["block_above"], &set["amount_limits"]),
        (&json!(2), &json!(0.8), &json!({"EUR": 100_000, "USD": 500_000}))
    );
    let paid = pay(&world, "d", &large).json();
    assert_eq!(
        (&paid["status"], &paid["risk"]["score"]),
        (&json!("succeeded"), &json!(0.1))
    );
    world.stop();
}

#[test]
fn more_payments_of_one_customer_in_an_hour_may_be_usual_than_the_configuration_says() {
    let world = World::start();
    let usual =
        json!({"hour_count_high": 12, "expected_version": 0, "reason": "a shop of many small payments"});
    assert_eq!(put(&world, PROFILE, &usual).status, 200);
    let body = VISA.replace('{', r#"{"customer_id":"cus_busy","#);
    let scores: Vec<f64> = (1..=13)
        .map(|n| {
            let paid = pay(&world, &format!("k{n}"), &body).json();
            paid["risk"]["score"].as_f64().unwrap()
        })
        .collect();
    let expected: Vec<f64> = (1..=13).map(|n| if n < 12 { 0.1 } else { 0.3 }).collect();
    assert_eq!(scores, expected);
    world.stop();
}

#[test]
fn intents_and_drafts_go_by_the_fee_in_force_when_they_are_made() {
    let world = World::start();
    let made = |form: &str, key: &str| {
        let headers = [
            ("Idempotency-Key", key),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let answer = world.send(
            "POST",
            "/v1/payment_intents",
            Some("sk_test_a"),
            &headers,
            form.as_bytes(),
        );
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    };
    let paid = "amount=10000&currency=usd&payment_method=pm_card_visa&confirm=true";
    let draft = made("amount=10000&currency=usd&payment_method=pm_card_visa", "draft");
    let before = made(paid, "before");
    assert_eq!(put(&world, FEES, &fee(100, "0", 1, None)).status, 200);
    let after = made(paid, "after");
    let confirm = format!("/v1/payment_intents/{draft}/confirm");
    let headers = [
        ("Idempotency-Key", "confirm"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let confirmed = world.send("POST", &confirm, Some("sk_test_a"), &headers, b"");
    assert_eq!(confirmed.json()["status"], "succeeded", "{confirmed:?}");
    let listed = world.get("/v1/payments?limit=10", Some("sk_test_a")).json();
    let mut fees: Vec<i64> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|payment| payment["fee"].as_i64().unwrap())
        .collect();
    fees.sort_unstable();
    assert_eq!(fees, [100, 320, 320], "{before} {after} {draft}");
    world.stop();
}

#[test]
fn routing_rules_count_from_their_time_on() {
    let clock = Arc::<StandingClock>::default();
    let world = World::start_at(Arc::clone(&clock) as _, |_| {}, |_| {});
    let rule = |key: &str| {
        let id = pay(&world, key, VISA).json()["id"].as_str().unwrap().to_owned();
        let history = world
            .get(&format!("/v1/payments/{id}/history"), Some("sk_test_a"))
            .json();
        let rows = history["data"].as_array().unwrap();
        let routed = rows.iter().find(|row| row["type"] == "attempt.routed");
        routed.unwrap()["route"]["rule"].clone()
    };
    let later_s = clock.now().unix_s() + 60;
    let visa = json!({
        "program": "visa: brand is visa -> fake", "expected_version": 0, "effective_at": later_s, "reason": "a price",
    });
    let set = put(&world, ROUTING, &visa).json();
    assert_eq!(
        (
            &set["version"],
            &set["latest_version"],
            &set["to_come"][0]["program"]
        ),
        (&json!(0), &json!(1), &visa["program"])
    );
    assert_eq!(rule("a"), Value::Null);
    clock.advance(Millis(60_000));
    assert_eq!(rule("b"), "visa");
    assert_eq!(read(&world, ROUTING)["effective_at"], later_s);
    world.stop();
}

#[test]
fn what_is_wrong_with_a_change_is_named_and_changes_nothing() {
    let clock = Arc::<StandingClock>::default();
    let world = World::start_at(Arc::clone(&clock) as _, |_| {}, |_| {});
    let before = [FEES, PROFILE, ROUTING].map(|path| read(&world, path));
    let changed = |name: &str, value: Value| {
        let mut body = fee(290, "0.30", 1, None);
        body[name] = value;
        body
    };
    let past = clock.now().unix_s();
    for (name, value, code) in [
        ("fee_bps", json!(10_001), "parameter_invalid_integer"),
        ("fee_bps", json!(-1), "parameter_invalid_integer"),
        ("fee_bps", json!(2.9), "parameter_invalid_integer"),
        ("fee_fixed", json!("-1"), "parameter_invalid"),
        ("fee_fixed", json!("0.123456789"), "parameter_invalid"),
        ("fee_fixed", json!("1e3"), "parameter_invalid"),
        ("fee_fixed", json!(""), "parameter_invalid"),
        ("fee_fixed", json!("."), "parameter_invalid"),
        ("fee_fixed", json!("1."), "parameter_invalid"),
        ("fee_fixed", json!(".5"), "parameter_invalid"),
        (
            "fee_fixed",
            json!("0.29999999999999999999999999999999"),
            "parameter_invalid",
        ),
        ("fee_fixed", json!("1000000000.1"), "parameter_invalid"),
        ("expected_version", json!(-1), "parameter_invalid_integer"),
        ("effective_at", json!(past), "parameter_invalid"),
        ("effective_at", json!("2027-01-01"), "parameter_invalid"),
        (
            "effective_at",
            json!(253_402_300_800_u64),
            "parameter_invalid_integer",
        ),
        ("reason", json!(" "), "parameter_invalid"),
    ] {
        let answer = put(&world, FEES, &changed(name, value.clone()));
        assert_eq!(
            (answer.status, answer.error("param").as_str()),
            (400, name),
            "{value}: {answer:?}"
        );
        assert_eq!(answer.error("code"), code, "{name} {value}");
    }
    for (body, param) in [
        (json!({"block_above": 0.4}), "review_above"),
        (json!({"block_above": 1.1}), "block_above"),
        (json!({"hour_count_high": 0}), "hour_count_high"),
        (json!({"hour_count_high": 101}), "hour_count_high"),
        (json!({"amount_limits": {"XYZ": 1}}), "amount_limits"),
        (json!({"block_over": 1}), "block_over"),
    ] {
        let mut body = body;
        (body["expected_version"], body["reason"]) = (json!(0), json!("x"));
        let answer = put(&world, PROFILE, &body);
        assert_eq!(
            (answer.status, answer.error("param").as_str()),
            (400, param),
            "{body}: {answer:?}"
        );
    }
    let nobody = put(
        &world,
        "/v1/ops/merchants/mer_00000000000000000000000009/fees",
        &fee(1, "0", 1, None),
    );
    assert_eq!(
        (nobody.status, nobody.error("code").as_str()),
        (404, "resource_missing")
    );
    for path in [FEES, PROFILE] {
        let asked = |method, key| world.send(method, path, key, &[JSON], b"{}").status;
        assert_eq!(
            (asked("GET", Some("sk_test_a")), asked("GET", None)),
            (403, 401),
            "{path}"
        );
        assert_eq!(
            (asked("PUT", Some("sk_test_a")), asked("PUT", None)),
            (403, 401),
            "{path}"
        );
        let posted = world.send("POST", path, Some(OPERATOR), &[JSON], b"{}");
        assert_eq!(
            (posted.status, posted.header("allow")),
            (405, Some("GET, HEAD, PUT"))
        );
    }
    assert_eq!([FEES, PROFILE, ROUTING].map(|path| read(&world, path)), before);
    world.stop();
}

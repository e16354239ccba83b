//! What risk does with payments over HTTP: the second seed's rules, block and allow lists, velocity limits, and what a restart leaves.

use crate::deployment::{Dev, MERCHANT, OPERATOR, add_fault, faults, sale};
use crate::http::{Answer, Client};
use crate::process::wait_for;
use serde_json::{Value, json};

#[track_caller]
fn send(dev: &Dev, key: &str, (method, path): (&str, &str), body: Option<&Value>) -> Answer {
    let authorization = format!("Bearer {key}");
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
    ];
    let body = body.map(Value::to_string).unwrap_or_default();
    Client::new(dev.api)
        .send(method, path, &headers, body.as_bytes())
        .unwrap()
}

#[track_caller]
fn add(dev: &Dev, key: &str, (list, kind, value): (&str, &str, &str)) -> Value {
    let body = json!({"list": list, "kind": kind, "value": value, "reason": format!("because of {value}")});
    send(dev, key, ("POST", "/v1/risk/lists"), Some(&body))
        .expect(200)
        .json()
}

#[track_caller]
fn remove(dev: &Dev, key: &str, entry: &Value) -> Answer {
    let path = format!("/v1/risk/lists/{}", entry["id"].as_str().unwrap());
    send(dev, key, ("DELETE", &path), None)
}

/// A payment of 50 dollars by a customer of its own unless the fields say otherwise; what is kept of it.
#[track_caller]
fn paid(dev: &Dev, key: &str, fields: &Value) -> Value {
    let mut body = sale(5_000, "USD");
    body["customer_id"] = json!(format!("cus_of_{key}"));
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    let answer = dev.pay(key, &body);
    if answer.status == 402 {
        let id = answer.error("payment_id");
        return dev.merchant().read(&format!("/v1/payments/{id}"));
    }
    answer.expect(200).json()
}

#[track_caller]
fn reasons(payment: &Value) -> Vec<&str> {
    let reasons = payment["risk"]["reasons"].as_array().unwrap();
    // That a customer pays the same again is told as well, and is not what these tests are about.
    let reasons = reasons.iter().map(|reason| reason.as_str().unwrap());
    reasons
        .filter(|reason| *reason != "duplicate_suspected")
        .collect()
}

#[test]
fn risk_21_two_payments_in_an_hour_are_normal_and_ten_are_high() {
    let (_folder, dev) = Dev::fresh(&[]);
    let pay = |number: u32| paid(&dev, &number.to_string(), &json!({"customer_id": "cus_21"}));
    let payments: Vec<Value> = (1..=10).map(pay).collect();
    assert_eq!(reasons(&payments[1]), Vec::<&str>::new());
    assert_eq!(payments[1]["risk"]["score"], 0.1);
    assert_eq!(reasons(&payments[8]), Vec::<&str>::new());
    assert_eq!(reasons(&payments[9]), ["velocity"]);
    assert_eq!(payments[9]["risk"]["score"], 0.3);
    assert_eq!(
        reasons(&paid(&dev, "other", &json!({}))),
        Vec::<&str>::new(),
        "another customer"
    );
    dev.stop();
}

#[test]
fn risk_22_fifty_dollars_are_within_the_limit_and_five_thousand_are_flagged() {
    let (_folder, dev) = Dev::fresh(&[]);
    for (amount, expected) in [
        (5_000, &[][..]),
        (100_000, &[]),
        (100_001, &["amount_limit"]),
        (500_000, &["amount_limit"]),
    ] {
        let payment = paid(&dev, &amount.to_string(), &json!({"amount": amount}));
        assert_eq!(reasons(&payment), expected, "{amount}");
        assert_eq!(payment["risk"]["action"], "allow");
    }
    dev.stop();
}

#[test]
fn risk_23_the_cards_own_country_is_usual_and_another_one_is_not() {
    let (_folder, dev) = Dev::fresh(&[]);
    for (country, expected) in [("US", &[][..]), ("RU", &["country_mismatch"])] {
        let payment = paid(&dev, country, &json!({"device": {"country": country}}));
        assert_eq!(reasons(&payment), expected, "{country}");
    }
    dev.stop();
}

#[test]
fn risk_28_what_is_on_the_block_list_is_denied_before_any_provider_is_called() {
    let (_folder, dev) = Dev::fresh(&[]);
    add_fault(dev.sandbox, "slow", &json!({"delay_ms": 0}));
    let entry = add(&dev, MERCHANT, ("block", "ip", "198.51.100.0/24"));
    for (field, value) in [
        ("object", "risk_list_entry"),
        ("scope", "merchant"),
        ("value", "198.51.100.0/24"),
    ] {
        assert_eq!(entry[field], value, "{entry}");
    }
    let mut body = sale(5_000, "USD");
    body["device"] = json!({"ip": "::ffff:198.51.100.7"});
    let answer = dev.pay("blocked", &body).expect(402);
    assert_eq!(answer.error("decline_code"), "fraudulent");
    let path = format!("/v1/payments/{}", answer.error("payment_id"));
    let payment = dev.merchant().read(&path);
    assert_eq!(payment["status"], "blocked");
    assert_eq!(
        payment["risk"],
        json!({"score": 1.0, "action": "block", "reasons": ["blocklist_ip"]})
    );
    let history = dev.merchant().read(&format!("{path}/history"));
    let matched = &history["data"][1];
    for (field, value) in [
        ("type", json!("risk.list_matched")),
        ("list", json!("block")),
        ("kind", json!("ip")),
        ("entry_id", entry["id"].clone()),
        ("reason", json!("because of 198.51.100.0/24")),
    ] {
        assert_eq!(matched[field], value, "{history}");
    }
    assert_eq!(
        faults(dev.sandbox)["data"][0]["covered"],
        0,
        "no provider heard of it"
    );

    remove(&dev, MERCHANT, &entry).expect(200);
    remove(&dev, MERCHANT, &entry).expect(404);
    dev.pay("passes", &body).expect(200);
    assert_eq!(faults(dev.sandbox)["data"][0]["covered"], 1, "the counter counts");
    dev.stop();
}

#[test]
fn risk_28_every_kind_that_is_known_of_a_payment_blocks_it_by_its_own_word() {
    let (_folder, dev) = Dev::fresh(&[]);
    let body = json!({"customer_id": "cus_1", "device": {"fingerprint": "dev_1", "ip": "2001:db8::7", "country": "DE"}});
    for (kind, value) in [
        ("card_fingerprint", "pm_card_visa"),
        ("customer", "cus_1"),
        ("device", "dev_1"),
        ("ip", "2001:db8::/32"),
        ("country", "de"),
        ("bin", "424242"),
    ] {
        let entry = add(&dev, OPERATOR, ("block", kind, value));
        let payment = paid(&dev, kind, &body);
        assert_eq!(payment["status"], "blocked", "{kind}");
        assert_eq!(reasons(&payment), [format!("blocklist_{kind}")]);
        let path = format!("/v1/payments/{}/history", payment["id"].as_str().unwrap());
        let matched = &dev.merchant().read(&path)["data"][1];
        assert_eq!(matched["entry_id"], entry["id"]);
        assert_eq!(matched["reason"], Value::Null, "the platform's own business");
        remove(&dev, OPERATOR, &entry).expect(200);
    }
    dev.stop();
}

#[test]
fn risk_28_an_allowance_beats_the_score_and_the_limits_and_not_a_block() {
    let (_folder, dev) = Dev::fresh(&[("FLORIN_RISK_VELOCITY_MINUTE_COUNT_MAX", "1")]);
    let body = json!({"amount": 500_000, "customer_id": "cus_1", "device": {"country": "RU"}});
    let first = paid(&dev, "1", &body);
    assert_eq!(reasons(&first), ["amount_limit", "country_mismatch"]);
    let second = paid(&dev, "2", &body);
    assert_eq!(second["status"], "blocked");
    assert_eq!(reasons(&second).last(), Some(&"velocity_minute"));

    add(&dev, MERCHANT, ("allow", "customer", "cus_1"));
    let allowed = paid(&dev, "3", &body);
    assert_eq!(
        (&allowed["status"], &allowed["risk"]["action"]),
        (&json!("succeeded"), &json!("allow"))
    );
    assert_eq!(
        reasons(&allowed),
        ["allowlist_customer", "amount_limit", "country_mismatch"]
    );

    add(&dev, OPERATOR, ("block", "country", "RU"));
    assert_eq!(reasons(&paid(&dev, "4", &body)), ["blocklist_country"]);
    let worst = json!({"customer_id": "cus_1", "payment_method_id": "pm_card_riskLevelHighest"});
    let worst = paid(&dev, "5", &worst);
    assert_eq!(worst["status"], "blocked", "the network's own word stands");
    assert_eq!(reasons(&worst)[0], "card_risk_highest");
    dev.stop();
}

#[test]
fn risk_28_lists_are_paged_filtered_and_kept_apart_by_owner() {
    let (_folder, dev) = Dev::fresh(&[]);
    let own: Vec<Value> = (1..=5)
        .map(|number| add(&dev, MERCHANT, ("block", "customer", &format!("cus_{number}"))))
        .collect();
    let allowed = add(&dev, MERCHANT, ("allow", "country", "DE"));
    let platforms = add(&dev, OPERATOR, ("block", "customer", "cus_1"));
    assert_eq!(platforms["scope"], "platform");

    let ids = |key: &str, query: &str| -> Vec<Value> {
        let answer = send(&dev, key, ("GET", &format!("/v1/risk/lists{query}")), None).expect(200);
        let data = answer.json()["data"].as_array().unwrap().clone();
        data.iter().map(|entry| entry["id"].clone()).collect()
    };
    assert_eq!(ids(OPERATOR, ""), [platforms["id"].clone()]);
    assert_eq!(ids(MERCHANT, "?list=allow"), [allowed["id"].clone()]);
    assert_eq!(ids(MERCHANT, "?kind=country"), [allowed["id"].clone()]);
    // Ids are in the order of time, to the millisecond.
    let mut newest_first: Vec<Value> = own.iter().map(|entry| entry["id"].clone()).collect();
    newest_first.sort_by(|one, other| other.as_str().cmp(&one.as_str()));
    assert_eq!(ids(MERCHANT, "?list=block"), newest_first);
    let after = format!(
        "?kind=customer&limit=2&starting_after={}",
        newest_first[1].as_str().unwrap()
    );
    assert_eq!(ids(MERCHANT, &after), newest_first[2..4]);

    remove(&dev, MERCHANT, &platforms).expect(404);
    let strange = format!(
        "/v1/risk/lists?starting_after={}",
        platforms["id"].as_str().unwrap()
    );
    let answer = send(&dev, MERCHANT, ("GET", &strange), None).expect(400);
    assert_eq!(answer.error("param"), "starting_after");

    // The same again is the same entry; another reason replaces the first.
    assert_eq!(add(&dev, MERCHANT, ("block", "customer", "cus_1")), own[0]);
    let other = json!({"list": "block", "kind": "customer", "value": "cus_1", "reason": "another"});
    let changed = send(&dev, MERCHANT, ("POST", "/v1/risk/lists"), Some(&other))
        .expect(200)
        .json();
    assert_eq!(
        (&changed["id"], &changed["reason"]),
        (&own[0]["id"], &json!("another"))
    );
    assert_eq!(ids(MERCHANT, "?list=block").len(), 5);
    dev.stop();
}

#[test]
fn risk_28_an_entry_that_makes_no_sense_is_refused_by_the_name_of_its_fault() {
    let (_folder, dev) = Dev::fresh(&[]);
    let good = json!({"list": "block", "kind": "ip", "value": "192.0.2.1", "reason": "r"});
    for (field, value, code) in [
        ("list", json!("deny"), "parameter_invalid"),
        ("kind", json!("email"), "parameter_invalid"),
        ("value", json!("192.0.2.1/24"), "parameter_invalid"),
        ("value", json!("0.0.0.0/0"), "parameter_invalid"),
        ("value", json!(""), "parameter_invalid"),
        ("reason", json!(" "), "parameter_invalid"),
        ("expires_at", json!(1), "parameter_invalid"),
        ("expires_at", json!(1.5), "parameter_invalid_integer"),
        ("expires_at", json!(-1), "parameter_invalid_integer"),
        ("owner", json!("me"), "parameter_unknown"),
    ] {
        let mut body = good.clone();
        body[field] = value.clone();
        let answer = send(&dev, MERCHANT, ("POST", "/v1/risk/lists"), Some(&body)).expect(400);
        assert_eq!(
            (answer.error("param"), answer.error("code")),
            (field.to_owned(), code.to_owned()),
            "{value}"
        );
    }
    for missing in ["list", "kind", "value", "reason"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(missing);
        let answer = send(&dev, MERCHANT, ("POST", "/v1/risk/lists"), Some(&body)).expect(400);
        assert_eq!(
            (answer.error("param"), answer.error("code")),
            (missing.to_owned(), "parameter_missing".to_owned())
        );
    }
    for key in ["sk_test_nobody", ""] {
        send(&dev, key, ("GET", "/v1/risk/lists"), None).expect(401);
        send(&dev, key, ("DELETE", "/v1/risk/lists/rle_1"), None).expect(401);
    }
    send(&dev, MERCHANT, ("DELETE", "/v1/risk/lists/rle_1"), None).expect(404);
    send(&dev, MERCHANT, ("DELETE", "/v1/risk/lists"), None).expect(405);
    dev.stop();
}

/// What becomes of payments of these amounts, one after the other.
type Payments = &'static [(&'static str, u64)];

#[test]
fn risk_17_18_19_20_each_limit_lets_through_what_it_says_and_then_fires_by_name() {
    let cases: [(&str, &str, &str, Payments); 3] = [
        (
            "MINUTE_COUNT_MAX",
            "2",
            "velocity_minute",
            &[("succeeded", 1), ("succeeded", 1), ("blocked", 1)],
        ),
        (
            "HOUR_COUNT_MAX",
            "2",
            "velocity_hour",
            &[("succeeded", 1), ("succeeded", 1), ("blocked", 1)],
        ),
        // What is beyond the day is not counted, so that what fits may follow.
        (
            "DAY_AMOUNTS_USD",
            "100.00",
            "velocity_day_amount",
            &[
                ("succeeded", 6_000),
                ("blocked", 4_001),
                ("succeeded", 4_000),
                ("blocked", 1),
            ],
        ),
    ];
    for (key, limit, reason, payments) in cases {
        let variable = format!("FLORIN_RISK_VELOCITY_{key}");
        let (_folder, dev) = Dev::fresh(&[(&variable, limit)]);
        for (number, (status, amount)) in payments.iter().enumerate() {
            let fields = json!({"customer_id": "cus_1", "amount": amount});
            let payment = paid(&dev, &number.to_string(), &fields);
            assert_eq!(payment["status"], *status, "{key} {number}");
            let expected: &[&str] = if *status == "blocked" { &[reason] } else { &[] };
            assert_eq!(reasons(&payment), expected, "{key} {number}");
        }
        assert_eq!(
            paid(&dev, "other", &json!({}))["status"],
            "succeeded",
            "another customer"
        );
        dev.stop();
    }
    let (_folder, dev) = Dev::fresh(&[
        ("FLORIN_RISK_VELOCITY_HOUR_DECLINES_MAX", "2"),
        ("FLORIN_RISK_VELOCITY_ACTION", "review"),
    ]);
    let declined = json!({"customer_id": "cus_1", "payment_method_id": "pm_card_visa_chargeDeclined"});
    for number in 0..2 {
        assert_eq!(paid(&dev, &number.to_string(), &declined)["status"], "failed");
    }
    let held = paid(&dev, "third", &json!({"customer_id": "cus_1"}));
    assert_eq!(
        (&held["status"], reasons(&held)),
        (&json!("in_review"), vec!["velocity_hour_declines"])
    );
    dev.stop();
}

#[test]
fn payments_from_one_address_are_counted_whoever_makes_them() {
    let (_folder, dev) = Dev::fresh(&[("FLORIN_RISK_VELOCITY_IP_HOUR_COUNT_MAX", "2")]);
    let from = |ip: &str| json!({"device": {"ip": ip}});
    assert_eq!(paid(&dev, "1", &from("192.0.2.1"))["status"], "succeeded");
    let mut nobody = sale(100, "USD");
    nobody["device"] = json!({"ip": "::ffff:192.0.2.1"});
    dev.pay("2", &nobody).expect(200);
    let third = paid(&dev, "3", &from("192.0.2.1"));
    assert_eq!(
        (&third["status"], reasons(&third)),
        (&json!("blocked"), vec!["velocity_ip_hour"])
    );
    assert_eq!(paid(&dev, "4", &from("192.0.2.2"))["status"], "succeeded");
    dev.stop();
}

#[test]
fn lists_and_the_last_hour_survive_a_kill() {
    let limits = [
        ("FLORIN_RISK_VELOCITY_HOUR_COUNT_MAX", "3"),
        ("FLORIN_RISK_VELOCITY_DAY_AMOUNTS_USD", "200.00"),
    ];
    let (folder, dev) = Dev::fresh(&limits);
    let entry = add(&dev, MERCHANT, ("block", "device", "dev_1"));
    let gone = add(&dev, MERCHANT, ("block", "device", "dev_2"));
    remove(&dev, MERCHANT, &gone).expect(200);
    for number in 0..3 {
        assert_eq!(
            paid(&dev, &number.to_string(), &json!({"customer_id": "cus_1"}))["status"],
            "succeeded"
        );
    }
    // First killed, so that the journal is folded; then stopped, so that the snapshot is.
    dev.process.kill_9();
    for how in ["after a kill", "after a stop"] {
        let dev = Dev::start(folder.path(), &limits);
        wait_for("velocity to be read back", || {
            let metrics = dev.operator().get("/metrics").expect(200).text();
            let recalled = metrics.lines().find_map(|line| {
                line.strip_prefix("florin_velocity_recalled_total ")?
                    .parse::<u32>()
                    .ok()
            });
            recalled.filter(|count| *count >= 3)
        });
        let entries = send(&dev, MERCHANT, ("GET", "/v1/risk/lists"), None)
            .expect(200)
            .json();
        assert_eq!(entries["data"], json!([entry]), "{how}");
        let blocked = paid(
            &dev,
            &format!("device {how}"),
            &json!({"device": {"fingerprint": "dev_1"}}),
        );
        assert_eq!(reasons(&blocked), ["blocklist_device"], "{how}");
        let passed = paid(
            &dev,
            &format!("other device {how}"),
            &json!({"device": {"fingerprint": "dev_2"}}),
        );
        assert_eq!(passed["status"], "succeeded", "{how}");
        let fourth = paid(&dev, how, &json!({"customer_id": "cus_1", "amount": 5_001}));
        assert_eq!(
            reasons(&fourth),
            ["velocity_hour", "velocity_day_amount"],
            "{how}"
        );
        dev.stop();
    }
}

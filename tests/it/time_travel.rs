//! The past of a payment: as it stood after any commit, its history row by row, and what other rules would have decided.

use crate::cli::another_merchant;
use crate::deployment::{Caller, Dev, MERCHANT, OPERATOR, sale, with_method};
use crate::http::{Answer, Client};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Posts with a merchant's key and, if there is one, an idempotency key.
#[track_caller]
fn post(dev: &Dev, caller: &str, key: Option<&str>, path: &str, body: &str) -> Answer {
    let authorization = format!("Bearer {caller}");
    let mut headers = vec![("Authorization", authorization.as_str())];
    if !body.is_empty() {
        headers.push(("Content-Type", "application/json"));
    }
    headers.extend(key.map(|key| ("Idempotency-Key", key)));
    Client::new(dev.api)
        .send("POST", path, &headers, body.as_bytes())
        .unwrap()
}

#[track_caller]
fn ask(dev: &Dev, key: &str, path: &str, what: &str, body: &Value) -> Answer {
    post(
        dev,
        MERCHANT,
        Some(key),
        &format!("{path}/{what}"),
        &body.to_string(),
    )
}

/// The path of a payment that was made or declined.
#[track_caller]
fn path_of(answer: &Answer) -> String {
    let id = match answer.status {
        402 => answer.error("payment_id"),
        _ => answer.json()["id"].as_str().unwrap().to_owned(),
    };
    format!("/v1/payments/{id}")
}

fn manual(amount_minor: u64) -> Value {
    let mut body = sale(amount_minor, "USD");
    body["capture_method"] = json!("manual");
    body
}

/// A state as it is shown: the commit that made it so, and the body's bytes.
type Shown = (u64, Vec<u8>);

#[track_caller]
fn shown(caller: &Caller, path: &str) -> Shown {
    let answer = caller.get(path).expect(200);
    let seq = answer.header("florin-sequence").unwrap().parse().unwrap();
    (seq, answer.body)
}

fn rows(caller: &Caller, path: &str) -> Vec<Value> {
    caller.read_all(&format!("{path}/history"))
}

fn seqs(rows: &[Value]) -> BTreeSet<u64> {
    rows.iter().map(|row| row["seq"].as_u64().unwrap()).collect()
}

/// Every state that was seen live is what is shown of its commit, and of those that follow until the payment's next one.
#[track_caller]
fn assert_past(dev: &Dev, path: &str, seen: &[Shown]) {
    let merchant = dev.merchant();
    let commits: Vec<u64> = seqs(&rows(&merchant, path)).into_iter().collect();
    let first = commits[0];
    for (seq, body) in seen {
        assert!(commits.contains(seq), "{seq} is in the history: {commits:?}");
        assert_eq!(
            shown(&merchant, &format!("{path}?at={seq}")),
            (*seq, body.clone()),
            "at {seq}"
        );
    }
    for pair in commits.windows(2) {
        let standing = shown(&merchant, &format!("{path}?at={}", pair[0]));
        assert_eq!(standing.0, pair[0]);
        assert_eq!(
            shown(&merchant, &format!("{path}?at={}", pair[1] - 1)),
            standing,
            "nothing of this payment happened until {}",
            pair[1]
        );
    }
    let last = *commits.last().unwrap();
    assert_eq!(
        shown(&merchant, &format!("{path}?at={last}")),
        shown(&merchant, path)
    );
    for before in [0, first - 1] {
        merchant.get(&format!("{path}?at={before}")).expect(404);
    }
}

#[test]
fn a_payment_is_shown_as_it_stood_at_any_commit_and_for_ever() {
    let (folder, dev) = Dev::fresh(&[]);
    let merchant = dev.merchant();
    let captured = path_of(&dev.pay("a", &manual(10_000)).expect(200));
    let declined = path_of(
        &dev.pay("d", &with_method("pm_card_visa_chargeDeclined"))
            .expect(402),
    );
    let voided = path_of(&dev.pay("v", &manual(5_000)).expect(200));
    let steps = [
        (&captured, "capture", json!({"amount": 4_000, "final": false})),
        (
            &declined,
            "confirm",
            json!({"payment_method_id": "pm_card_mastercard"}),
        ),
        (&captured, "capture", json!({"amount": 3_000, "final": true})),
        (&voided, "void", json!({})),
        (
            &captured,
            "refunds",
            json!({"amount": 1_000, "reason": "duplicate"}),
        ),
        (&declined, "refunds", json!({})),
    ];
    let mut seen: Vec<(&String, Shown)> = [&captured, &declined, &voided]
        .map(|path| (path, shown(&merchant, path)))
        .to_vec();
    for (number, (path, what, body)) in steps.iter().enumerate() {
        ask(&dev, &format!("step-{number}"), path, what, body).expect(200);
        seen.push((path, shown(&merchant, path)));
    }
    let of = |path: &String| -> Vec<Shown> {
        let of_path = seen.iter().filter(|(other, _)| *other == path);
        of_path.map(|(_, shown)| shown.clone()).collect()
    };
    let status = |shown: &Shown| serde_json::from_slice::<Value>(&shown.1).unwrap()["status"].clone();
    assert_eq!(
        of(&declined).iter().map(status).collect::<Vec<_>>(),
        ["failed", "succeeded", "succeeded"]
    );
    assert_eq!(
        of(&voided).iter().map(status).collect::<Vec<_>>(),
        ["authorized", "voided"]
    );
    for path in [&captured, &declined, &voided] {
        assert_past(&dev, path, &of(path));
    }
    // Before the provider had answered, a payment was under way.
    let created = *seqs(&rows(&merchant, &captured)).first().unwrap();
    let created = merchant.read(&format!("{captured}?at={created}"));
    assert_eq!(
        (&created["status"], &created["processor_transaction_id"]),
        (&json!("processing"), &Value::Null)
    );
    dev.stop();
    let dev = Dev::start(folder.path(), &[]);
    for path in [&captured, &declined, &voided] {
        assert_past(&dev, path, &of(path));
    }
    dev.stop();
}

#[test]
fn a_sequence_that_is_no_number_or_yet_to_come_is_refused_by_name() {
    let (folder, dev) = Dev::fresh(&[]);
    let merchant = dev.merchant();
    let path = path_of(&dev.pay("k", &sale(500, "USD")).expect(200));
    for at in [
        "",
        "x",
        "-1",
        "%2B1",
        "1.5",
        "0x1",
        "1%20",
        "2026-01-01T00:00:00Z",
        "99999999999999999999",
        "9999999",
        "18446744073709551615",
    ] {
        let answer = merchant.get(&format!("{path}?at={at}")).expect(400);
        assert_eq!(answer.error("param"), "at", "{at}: {answer:?}");
    }
    let twice = merchant.get(&format!("{path}?at=1&at=1")).expect(400);
    assert_eq!(twice.error("param"), "at");
    let (last, _) = shown(&merchant, &path);
    let beyond = merchant.get(&format!("{path}?at={}", last + 1)).expect(400);
    assert_eq!(beyond.error("param"), "at", "nothing was committed since");
    dev.pay("next", &sale(500, "USD")).expect(200);
    assert_eq!(
        shown(&merchant, &format!("{path}?at={}", last + 1)).0,
        last,
        "now something was, which is another payment's"
    );
    dev.stop();
    let key = another_merchant(folder.path(), &[]);
    let dev = Dev::start(folder.path(), &[]);
    let stranger = Caller::new(dev.api, &key);
    for at in [0, last, 9_999_999] {
        let answer = stranger.get(&format!("{path}?at={at}")).expect(404);
        assert_eq!(answer.error("code"), "resource_missing");
    }
    dev.stop();
}

#[test]
fn a_long_history_is_read_page_by_page_and_no_row_is_skipped_or_told_twice() {
    let (_folder, dev) = Dev::fresh(&[]);
    let merchant = dev.merchant();
    let path = path_of(&dev.pay("k", &manual(10_000)).expect(200));
    for number in 0..25 {
        let part = json!({"amount": 100, "final": false});
        ask(&dev, &format!("c{number}"), &path, "capture", &part).expect(200);
    }
    let history = format!("{path}/history");
    let first = merchant.read(&history);
    assert_eq!(
        (first["data"].as_array().unwrap().len(), &first["has_more"]),
        (100, &json!(true)),
        "a hundred when nothing is said"
    );
    let all = merchant.read_all(&history);
    assert!(all.len() > 100 && all.starts_with(first["data"].as_array().unwrap()));
    let mut expected = (0, 0);
    for row in &all {
        let seq = row["seq"].as_u64().unwrap();
        expected = if seq == expected.0 {
            (seq, expected.1 + 1)
        } else {
            (seq, 0)
        };
        assert_eq!(row["id"], format!("{}-{}", expected.0, expected.1), "{row}");
        assert!(row["type"].is_string() && row["at"].is_u64(), "{row}");
    }
    let count = |name: &str| all.iter().filter(|row| row["type"] == name).count();
    assert_eq!(
        ["request.accepted", "attempt.succeeded", "ledger.entry_posted"].map(count),
        [25, 26, 25]
    );
    for limit in [1, 7, 99] {
        let mut walked: Vec<Value> = Vec::new();
        loop {
            let after = walked.last().map_or_else(String::new, |row: &Value| {
                format!("&starting_after={}", row["id"].as_str().unwrap())
            });
            let page = merchant.read(&format!("{history}?limit={limit}{after}"));
            let data = page["data"].as_array().unwrap();
            assert!(!data.is_empty() && data.len() <= limit, "{page}");
            walked.extend_from_slice(data);
            assert_eq!(page["has_more"], walked.len() < all.len());
            if page["has_more"] == false {
                break;
            }
        }
        assert_eq!(walked, all, "by {limit}");
    }
    let last = all.last().unwrap()["id"].as_str().unwrap();
    let beyond = merchant.read(&format!("{history}?starting_after={last}"));
    assert_eq!(
        (&beyond["data"], &beyond["has_more"]),
        (&json!([]), &json!(false))
    );
    let seq = all[0]["seq"].as_u64().unwrap();
    for (query, param) in [
        (format!("starting_after={seq}"), "starting_after"),
        (format!("starting_after={seq}-99"), "starting_after"),
        (format!("starting_after=0{seq}-0"), "starting_after"),
        (format!("starting_after={seq}-%2B0"), "starting_after"),
        ("starting_after=9999999-0".to_owned(), "starting_after"),
        ("limit=0".to_owned(), "limit"),
        ("limit=101".to_owned(), "limit"),
        ("ending_before=1-0".to_owned(), "ending_before"),
    ] {
        let answer = merchant.get(&format!("{history}?{query}")).expect(400);
        assert_eq!(answer.error("param"), param, "{query}");
    }
    dev.stop();
}

/// What other rules would have decided.
#[track_caller]
fn what_if(dev: &Dev, path: &str, rules: &Value) -> Value {
    post(
        dev,
        MERCHANT,
        None,
        &format!("{path}/what_if"),
        &rules.to_string(),
    )
    .expect(200)
    .json()
}

/// Score, action and provider of a side of the answer.
fn course(side: &Value) -> (f64, &str, Option<&str>) {
    (
        side["score"].as_f64().unwrap(),
        side["action"].as_str().unwrap(),
        side["provider"].as_str(),
    )
}

#[test]
fn under_another_profile_an_allowed_payment_would_have_been_reviewed_or_blocked() {
    let (_folder, dev) = Dev::fresh(&[]);
    let mut body = sale(500_000, "USD");
    body["device"] = json!({"country": "RU"});
    let payment = dev.pay("k", &body).expect(200);
    let path = path_of(&payment);
    let risk = payment.json()["risk"].clone();
    // A tenth, 0.15 for the amount and 0.2 for the country.
    assert_eq!((&risk["score"], &risk["action"]), (&json!(0.45), &json!("allow")));
    let before = rows(&dev.merchant(), &path);
    let charges = dev.charges();
    let cases = [
        (json!({}), (0.45, "allow", Some("stripe"))),
        (
            json!({"risk": {}, "providers": {}}),
            (0.45, "allow", Some("stripe")),
        ),
        (json!({"risk": {"review_above": 0.44}}), (0.45, "review", None)),
        (
            json!({"risk": {"review_above": 0.45}}),
            (0.45, "allow", Some("stripe")),
        ),
        (
            json!({"risk": {"review_above": 0.1, "block_above": 0.4499}}),
            (0.45, "block", None),
        ),
        (
            json!({"risk": {"amount_limits": {"usd": 500_000}}}),
            (0.3, "allow", Some("stripe")),
        ),
        (
            json!({"risk": {"amount_limits": {"USD": null}}}),
            (0.3, "allow", Some("stripe")),
        ),
        (
            json!({"risk": {"amount_limits": {"EUR": 0}}}),
            (0.45, "allow", Some("stripe")),
        ),
        (
            json!({"providers": {"disabled": ["stripe"]}}),
            (0.45, "allow", None),
        ),
    ];
    for (rules, expected) in cases {
        let answer = what_if(&dev, &path, &rules);
        assert_eq!(answer["object"], "what_if");
        assert_eq!(answer["payment_id"], payment.json()["id"]);
        assert_eq!(course(&answer["was"]), (0.45, "allow", Some("stripe")), "{rules}");
        assert_eq!(answer["was"]["reasons"], risk["reasons"]);
        assert_eq!(course(&answer["would_be"]), expected, "{rules}");
        let assumed = answer["assumed"].as_array().unwrap();
        let inputs: Vec<&str> = assumed.iter().map(|row| row["input"].as_str().unwrap()).collect();
        let expected = if expected.1 == "allow" {
            &["providers.enabled"][..]
        } else {
            &[]
        };
        assert_eq!(
            inputs, expected,
            "nothing identified the customer, so nothing was counted"
        );
    }
    let no_body = post(&dev, MERCHANT, None, &format!("{path}/what_if"), "").expect(200);
    assert_eq!(no_body.json(), what_if(&dev, &path, &json!({})));
    let operator = post(&dev, OPERATOR, None, &format!("{path}/what_if"), "").expect(200);
    assert_eq!(operator.json(), no_body.json());
    assert_eq!(
        (rows(&dev.merchant(), &path), dev.charges()),
        (before, charges),
        "nothing happened"
    );
    dev.stop();
}

#[test]
fn a_velocity_that_is_not_recorded_is_assumed_and_said_to_matter_where_it_does() {
    let (_folder, dev) = Dev::fresh(&[]);
    let mut body = sale(1_000, "USD");
    body["customer_id"] = json!("cus_1");
    let made: Vec<String> = (0..11)
        .map(|number| path_of(&dev.pay(&number.to_string(), &body).expect(200)))
        .collect();
    // The third payment in an hour, and the eleventh: only the latter was flagged.
    let (third, eleventh) = (&made[2], &made[10]);
    let high = |count: u32| json!({"risk": {"hour_count_high": count}});
    for (path, rules, score, assumed, decisive) in [
        (third, high(10), 0.1, 1, false),
        (third, high(99), 0.1, 1, false),
        (third, high(3), 0.1, 1, true),
        (third, high(1), 0.3, 1, false),
        (eleventh, high(10), 0.3, 10, false),
        (eleventh, high(3), 0.3, 10, false),
        (eleventh, high(20), 0.1, 10, true),
    ] {
        let answer = what_if(&dev, path, &rules);
        assert_eq!(answer["would_be"]["score"], score, "{rules}: {answer}");
        let input = |name: &str| {
            let found = answer["assumed"]
                .as_array()
                .unwrap()
                .iter()
                .find(|row| row["input"] == name);
            let row = found.unwrap_or_else(|| panic!("{name} in {answer}"));
            (row["value"].clone(), row["decisive"] == true)
        };
        assert_eq!(
            input("velocity.hour_count"),
            (json!(assumed), decisive),
            "{rules}"
        );
        assert_eq!(input("velocity.hour_declines"), (json!(0), decisive), "{rules}");
    }
    dev.stop();
}

#[test]
fn what_if_goes_by_the_latest_method_and_refuses_rules_that_make_no_sense() {
    let (folder, dev) = Dev::fresh(&[]);
    let declined = path_of(
        &dev.pay("d", &with_method("pm_card_visa_chargeDeclined"))
            .expect(402),
    );
    let method = json!({"payment_method_id": "pm_card_riskLevelHighest"});
    ask(&dev, "c", &declined, "confirm", &method).expect(402);
    let lenient = json!({"risk": {"block_above": 1, "review_above": 1}});
    let answer = what_if(&dev, &declined, &lenient);
    for side in ["was", "would_be"] {
        assert_eq!(course(&answer[side]), (1.0, "block", None), "{side}: {answer}");
        assert_eq!(answer[side]["reasons"], json!(["card_risk_highest"]));
    }
    for (rules, param) in [
        (json!({"risk": {"block_above": 1.1}}), "risk.block_above"),
        (json!({"risk": {"block_above": 0.12345}}), "risk.block_above"),
        (json!({"risk": {"review_above": -0.1}}), "risk.review_above"),
        (json!({"risk": {"review_above": 0.9}}), "risk.review_above"),
        (json!({"risk": {"hour_count_high": 0}}), "risk.hour_count_high"),
        (json!({"risk": {"hour_count_high": 1.5}}), "risk.hour_count_high"),
        (
            json!({"risk": {"amount_limits": {"XAU": 1}}}),
            "risk.amount_limits",
        ),
        (
            json!({"risk": {"amount_limits": {"USD": 1, "usd": 2}}}),
            "risk.amount_limits",
        ),
        (
            json!({"risk": {"amount_limits": {"USD": -1}}}),
            "risk.amount_limits",
        ),
        (json!({"risk": {"weights": 1}}), "risk.weights"),
        (
            json!({"providers": {"disabled": ["nobody"]}}),
            "providers.disabled",
        ),
        (
            json!({"providers": {"disabled": ["No Name"]}}),
            "providers.disabled",
        ),
        (json!({"amount": 1}), "amount"),
    ] {
        let path = format!("{declined}/what_if");
        let answer = post(&dev, MERCHANT, None, &path, &rules.to_string()).expect(400);
        assert_eq!(answer.error("param"), param, "{rules}: {answer:?}");
    }
    let nobody = "/v1/payments/pay_01m7y8dg6p0000emgyq7269te1/what_if";
    post(&dev, OPERATOR, None, nobody, "").expect(404);
    dev.stop();
    let key = another_merchant(folder.path(), &[]);
    let dev = Dev::start(folder.path(), &[]);
    post(&dev, &key, None, &format!("{declined}/what_if"), "").expect(404);
    dev.stop();
}

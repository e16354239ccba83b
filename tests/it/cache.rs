//! Copies in memory and in Redis: what is written is read from them at once, and losing them changes no answer.

use crate::deployment::{Dev, sale};
use crate::ops::figure;
use crate::process::{run, wait_for};
use florin_services::{Redis, RedisProgram};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const CUSTOMER: &str = "cus_cached";
/// As long as a busy machine takes, so that what was written is there.
const PATIENT_REDIS: (&str, &str) = ("FLORIN_REDIS_TIMEOUT_MS", "20000");

fn server() -> Redis {
    Redis::start_anywhere(&RedisProgram::find().unwrap(), &[]).unwrap()
}

fn body(amount_minor: u64) -> Value {
    let mut body = sale(amount_minor, "USD");
    body["customer_id"] = json!(CUSTOMER);
    body
}

/// The one name that ends so, once it is there.
fn name(redis: &Redis, end: &str) -> String {
    wait_for("what is kept", || {
        let names = redis.names(&format!("florin:*:{end}")).unwrap();
        assert!(names.len() < 2, "{names:?}");
        names.into_iter().next()
    })
}

/// Seconds for which something is still kept.
fn left_s(redis: &Redis, name: &str) -> u64 {
    let answer = redis.ask(&format!("TTL {name}")).unwrap();
    answer.trim().trim_start_matches(':').parse().unwrap()
}

fn reads(dev: &Dev, cache: &str, tier: &str) -> u64 {
    let metrics = dev.operator().get("/metrics").expect(200).text();
    let labels = format!("cache=\"{cache}\",tier=\"{tier}\"");
    let counted = figure(&metrics, "florin_cache_reads_total", &labels).unwrap_or_default();
    format!("{counted:.0}").parse().unwrap()
}

#[test]
fn cons_8_what_was_written_is_read_from_the_write_cache_which_keeps_it_for_300_s() {
    let redis = server();
    let (_folder, dev) = Dev::fresh(&[("FLORIN_REDIS_URL", &redis.url()), PATIENT_REDIS]);
    let paid = dev.pay("paid", &body(500)).expect(200).json();
    let id = paid["id"].as_str().unwrap();
    let path = format!("/v1/payments/{id}");
    let kept = name(&redis, &format!("payment:{id}"));
    let left_s = left_s(&redis, &kept);
    assert!(0 < left_s && left_s <= 300, "{left_s}");
    // It was written as it was made: the view is never asked for it.
    wait_for("a read from memory", || {
        assert_eq!(dev.merchant().read(&path), paid);
        (reads(&dev, "payments", "memory") > 0).then_some(())
    });
    assert_eq!(
        reads(&dev, "payments", "store") + reads(&dev, "payments", "redis"),
        0
    );
    let refund = json!({"amount": 200});
    dev.merchant()
        .post("refund", &format!("{path}/refunds"), &refund)
        .expect(200);
    assert_eq!(dev.merchant().read(&path)["amount_refunded"], 200);
    dev.stop();
}

#[test]
fn cons_9_the_write_cache_has_a_key_for_each_payment_and_one_for_the_list_of_each_customer() {
    let redis = server();
    let (_folder, dev) = Dev::fresh(&[("FLORIN_REDIS_URL", &redis.url()), PATIENT_REDIS]);
    let merchant = dev.merchant();
    let list = format!("/v1/payments?customer_id={CUSTOMER}");
    let mut made: Vec<Value> = Vec::new();
    for number in 0..6 {
        let paid = dev
            .pay(&format!("paid-{number}"), &body(500 + number))
            .expect(200)
            .json();
        made.insert(0, paid);
        // Each is in the list as soon as it is answered.
        assert_eq!(merchant.read(&list)["data"], json!(made));
    }
    wait_for("a list from memory", || {
        assert_eq!(merchant.read(&list)["data"], json!(made));
        (reads(&dev, "customer_payments", "memory") > 0).then_some(())
    });
    let own = dev.operator().read("/v1/ops/merchants")["data"][0]["id"].clone();
    let list = name(
        &redis,
        &format!("user_payments:{}:test:{CUSTOMER}", own.as_str().unwrap()),
    );
    let left_s = left_s(&redis, &list);
    assert!(0 < left_s && left_s <= 300, "{left_s}");
    let wanted: BTreeSet<String> = made
        .iter()
        .map(|paid| format!("payment:{}", paid["id"].as_str().unwrap()))
        .collect();
    wait_for("all payments", || {
        let names = redis.names("florin:*:payment:*").unwrap();
        let kept: BTreeSet<String> = names
            .iter()
            .map(|name| name[name.find("payment:").unwrap()..].to_owned())
            .collect();
        (kept == wanted).then_some(())
    });
    dev.stop();
}

#[test]
fn cache_10_a_changed_payment_method_is_taken_from_both_tiers_and_nothing_else_is() {
    let redis = server();
    let (_folder, dev) = Dev::fresh(&[("FLORIN_REDIS_URL", &redis.url()), PATIENT_REDIS]);
    let merchant = dev.merchant();
    let card = json!({"number": "4242424242424242", "exp_month": 12, "exp_year": 2040, "cvc": "917"});
    let saved = ["first", "second"].map(|key| {
        let saved = merchant.post(key, "/v1/payment_methods", &json!({"type": "card", "card": card}));
        let id = saved.expect(200).json()["id"].as_str().unwrap().to_owned();
        merchant.read(&format!("/v1/payment_methods/{id}"));
        let kept = name(&redis, &format!("payment_method:*:{id}"));
        let left_s = left_s(&redis, &kept);
        assert!(300 < left_s && left_s <= 3600, "{left_s}");
        (id, kept)
    });
    let path = format!("/v1/payment_methods/{}", saved[0].0);
    merchant.read(&path);
    assert!(reads(&dev, "payment_methods", "memory") > 0);
    let read = reads(&dev, "payment_methods", "store");
    let change = json!({"billing_details": {"name": "Jane Diaz"}});
    merchant.post("change", &path, &change).expect(200);
    assert_eq!(
        redis.names("florin:*:payment_method:*").unwrap(),
        [saved[1].1.as_str()]
    );
    assert_eq!(merchant.read(&path)["billing_details"]["name"], "Jane Diaz");
    merchant.read(&format!("/v1/payment_methods/{}", saved[1].0));
    assert_eq!(
        reads(&dev, "payment_methods", "store"),
        read + 1,
        "the other one is still remembered"
    );
    dev.stop();
}

#[test]
fn idem_8_a_key_charges_once_and_is_answered_alike_while_redis_is_down() {
    let mut redis = server();
    let (_folder, dev) = Dev::fresh(&[("FLORIN_REDIS_URL", &redis.url())]);
    let before = dev.pay("before", &body(500)).expect(200);
    redis.kill().unwrap();
    let replayed = dev.pay("before", &body(500)).expect(200);
    assert!(replayed.is_replay());
    assert_eq!(replayed.text(), before.text());
    let during = dev.pay("during", &body(700)).expect(200);
    assert_eq!(dev.pay("during", &body(700)).expect(200).text(), during.text());
    redis.start_again().unwrap();
    for (key, amount_minor, paid) in [("before", 500, &before), ("during", 700, &during)] {
        assert_eq!(dev.pay(key, &body(amount_minor)).expect(200).text(), paid.text());
    }
    assert_eq!(dev.charges().len(), 2);
    dev.stop();
}

#[test]
fn whatever_becomes_of_redis_each_answer_is_the_one_that_it_would_be_without_it() {
    let mut redis = server();
    let (_folder, dev) = Dev::fresh(&[("FLORIN_REDIS_URL", &redis.url())]);
    let merchant = dev.merchant();
    let list = format!("/v1/payments?customer_id={CUSTOMER}&limit=5");
    let mut made: Vec<Value> = Vec::new();
    let mut check = |round: &str| {
        for number in 0..4 {
            let paid = dev
                .pay(&format!("{round}-{number}"), &body(500 + number))
                .expect(200)
                .json();
            made.insert(0, paid);
            made.truncate(5);
            assert_eq!(merchant.read(&list)["data"], json!(made), "{round}");
            for paid in &made {
                let path = format!("/v1/payments/{}", paid["id"].as_str().unwrap());
                assert_eq!(&merchant.read(&path), paid, "{round}");
            }
        }
    };
    let hold = |redis: &Redis, signal: &str| {
        let pid = redis.process_id().to_string();
        let held = std::process::Command::new("kill").args([signal, &pid]).status();
        assert!(held.unwrap().success());
    };
    check("begin");
    redis.ask("SAVE").unwrap();
    check("saved");
    redis.ask("FLUSHALL").unwrap();
    check("emptied");
    hold(&redis, "-STOP");
    check("held");
    hold(&redis, "-CONT");
    check("let go");
    redis.kill().unwrap();
    check("ended");
    // With what it had long ago.
    redis.start_again().unwrap();
    check("old");
    redis.ask("CONFIG SET maxmemory 1").unwrap();
    check("full");
    redis.ask("CONFIG SET maxmemory 0").unwrap();
    redis.ask("CONFIG SET requirepass another").unwrap();
    redis.kill().unwrap();
    check("gone");
    dev.stop();
}

#[test]
fn a_redis_that_is_none_is_refused_at_start_with_its_setting() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("FLORIN_REDIS_URL", "http://127.0.0.1:6379")];
    let refused = run(&["dev"], folder.path(), &variables);
    assert!(!refused.status.success());
    assert!(refused.stderr.contains("FLORIN_REDIS_URL"), "{refused:?}");
}

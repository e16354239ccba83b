//! Nodes with caches in Redis, which is emptied, held still and killed under load while they change places.

use super::{ANSWERS, Nodes, RECORDS, answers, verdict};
use crate::deployment::sale;
use crate::recovery::Load;
use florin_services::{Redis, RedisProgram, TestDatabase};
use serde_json::{Value, json};
use std::process::Command;

const CUSTOMER: &str = "cus_copied";

/// Pays, and reads it back by itself and first in its customer's list.
fn pay_and_read(nodes: &Nodes, owner: usize, key: &str) -> Value {
    let mut body = sale(500, "USD");
    body["customer_id"] = json!(CUSTOMER);
    body["metadata"] = json!({"key": key});
    let caller = nodes.caller(owner);
    let paid = caller.pay(key, &body).expect(200).json();
    let id = paid["id"].as_str().unwrap();
    assert_eq!(caller.read(&format!("/v1/payments/{id}")), paid);
    let list = caller.read(&format!("/v1/payments?customer_id={CUSTOMER}&limit=1"));
    assert_eq!(list["data"][0], paid);
    json!({"key": key, "status": 200, "payment_id": id, "payment": paid})
}

fn hold(redis: &Redis, signal: &str) {
    let pid = redis.process_id().to_string();
    assert!(
        Command::new("kill")
            .args([signal, &pid])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn nothing_is_lost_or_doubled_or_shown_as_it_was_whatever_becomes_of_redis() {
    let (database, mut redis) = (
        TestDatabase::new().unwrap(),
        Redis::start_anywhere(&RedisProgram::find().unwrap(), &[]).unwrap(),
    );
    let mut nodes = Nodes::new(database.url());
    for own in &mut nodes.own {
        *own = vec![("FLORIN_REDIS_URL", redis.url())];
    }
    nodes.start(0);
    let first = nodes.owner();
    nodes.start(1);
    let load = Load::start(nodes.addresses[first], &nodes.key);
    let mut read_back = Vec::new();
    for trouble in 0..6 {
        let owner = nodes.go_on(&load, ANSWERS);
        read_back.push(pay_and_read(&nodes, owner, &format!("before-{trouble}")));
        match trouble {
            0 => drop(redis.ask("SAVE").unwrap()),
            1 => drop(redis.ask("FLUSHALL").unwrap()),
            2 => hold(&redis, "-STOP"),
            3 => hold(&redis, "-CONT"),
            4 => redis.kill().unwrap(),
            // With what it had at the beginning; and another node has the shards.
            _ => {
                redis.start_again().unwrap();
                nodes.processes[owner].take().unwrap().kill_9();
                load.move_to(nodes.addresses[1 - owner]);
                nodes.owner();
                nodes.start(owner);
            }
        }
        let owner = nodes.go_on(&load, ANSWERS);
        read_back.push(pay_and_read(&nodes, owner, &format!("after-{trouble}")));
    }
    let owner = nodes.go_on(&load, ANSWERS);
    let mut acknowledged = answers(&load.finish());
    acknowledged.extend(read_back);
    let records = database.query(RECORDS).unwrap();
    let verdict = verdict("copies", &acknowledged, (&nodes, owner), &records);
    assert!(verdict.is_clean(), "{:#?}", verdict.findings);
    assert!(verdict.acknowledged > 12 * ANSWERS);
    nodes.stop();
}

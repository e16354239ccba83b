//! A server that has no connection left, because others have them all; and a node that may have only one for its reads.

use super::{ANSWERS, Nodes, RECORDS, answers, verdict};
use crate::deployment::sale;
use crate::http::Client;
use crate::process::wait_for;
use crate::recovery::Load;
use florin_services::{Session, TestDatabase};
use serde_json::json;

/// Those who take every place that the server has.
fn crowd(database: &TestDatabase) -> Vec<Session> {
    let mut crowd = Vec::new();
    while let Ok(session) = database.session("SELECT 1") {
        crowd.push(session);
    }
    crowd
}

#[test]
fn nothing_is_lost_or_doubled_when_others_take_every_connection_of_the_server() {
    let database = TestDatabase::private(&["max_connections=20"]).unwrap();
    let (way, url) = database.proxied().unwrap();
    let mut nodes = Nodes::new(&url);
    // It must not end meanwhile for a lease that it cannot renew.
    let lease = ("FLORIN_DATABASE_LEASE_MS", "600000".to_owned());
    // Nor for a batch of which it hears nothing.
    let patience = ("FLORIN_DATABASE_APPEND_PATIENCE_MS", "600000".to_owned());
    // Whoever waits for a batch is told soon that it is under way.
    let budget = ("FLORIN_LIMITS_ANSWER_BUDGET_MS", "6000".to_owned());
    nodes.own[0] = vec![lease, patience, budget];
    nodes.start(0);
    assert_eq!(nodes.owner(), 0);
    let load = Load::start(nodes.addresses[0], &nodes.key);
    for round in 0..3 {
        load.wait_for_more(2 * ANSWERS);
        // Its own places are others' before it can have them again.
        way.close();
        let crowd = crowd(&database);
        assert!(crowd.len() > 10, "{}", crowd.len());
        way.open().unwrap();
        let mut body = sale(500, "USD");
        let key = format!("crowded-{round}");
        body["metadata"] = json!({"key": key});
        // Told within its budget that it is under way, or that nothing was begun; and at last the latter.
        wait_for("a refusal", || {
            let answer = nodes.caller(0).pay(&key, &body);
            assert!([202, 503].contains(&answer.status), "{answer:?}");
            (answer.status == 503).then(|| {
                let code = answer.error("code");
                assert!(
                    ["overloaded", "temporarily_unavailable"].contains(&code.as_str()),
                    "{answer:?}"
                );
            })
        });
        // What is only read is refused as well, and may be asked for again.
        let read = nodes.caller(0).get("/v1/events?limit=20");
        assert_eq!(
            (read.status, read.error("code").as_str()),
            (503, "temporarily_unavailable")
        );
        assert!(!nodes.node(0).has_ended(), "{:?}", nodes.node(0).said_so_far());
        drop(crowd);
        wait_for("its payment", || {
            let paid = nodes.caller(0).pay(&key, &body);
            (paid.status == 200).then_some(())
        });
    }
    load.wait_for_more(2 * ANSWERS);
    let acknowledged = load.finish();
    assert!(!nodes.node(0).has_ended(), "{:?}", nodes.node(0).said_so_far());
    let records = database.query(RECORDS).unwrap();
    let mut answers = answers(&acknowledged);
    for round in 0..3 {
        let (key, mut body) = (format!("crowded-{round}"), sale(500, "USD"));
        body["metadata"] = json!({"key": key});
        let payment = nodes.caller(0).pay(&key, &body).expect(200).json();
        answers.push(json!({"key": key, "status": 200, "payment_id": payment["id"], "payment": payment}));
    }
    let verdict = verdict("crowd", &answers, (&nodes, 0), &records);
    assert!(verdict.is_clean(), "{:#?}", verdict.findings);
    assert!(verdict.acknowledged > 8 * ANSWERS);
    nodes.stop();
}

#[test]
fn a_node_with_one_connection_for_its_reads_answers_them_all_under_load() {
    let database = TestDatabase::new().unwrap();
    let mut nodes = Nodes::new(database.url());
    nodes.own[0] = vec![("FLORIN_DATABASE_CONNECTIONS_MAX", "1".to_owned())];
    nodes.start(0);
    assert_eq!(nodes.owner(), 0);
    let paid = nodes.caller(0).pay("read", &sale(500, "USD")).expect(200).json();
    let load = Load::start(nodes.addresses[0], &nodes.key);
    load.wait_for_more(ANSWERS);
    // What is read from the journal, by many more than there are connections.
    let authorization = format!("Bearer {}", nodes.key);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..3 {
                    let headers = [("Authorization", authorization.as_str())];
                    // They wait in a queue, for a time, and are told to come again.
                    wait_for("what was asked for", || {
                        let read =
                            Client::new(nodes.addresses[0]).send("GET", "/v1/events?limit=20", &headers, b"");
                        let read = read.unwrap();
                        if read.status == 200 {
                            return Some(());
                        }
                        assert_eq!(
                            (read.status, read.error("code").as_str()),
                            (503, "temporarily_unavailable")
                        );
                        None
                    });
                }
            });
        }
    });
    load.wait_for_more(ANSWERS);
    let mut acknowledged = answers(&load.finish());
    acknowledged.push(json!({"key": "read", "status": 200, "payment_id": paid["id"], "payment": paid}));
    let records = database.query(RECORDS).unwrap();
    let verdict = verdict("one-connection", &acknowledged, (&nodes, 0), &records);
    assert!(verdict.is_clean(), "{:#?}", verdict.findings);
    nodes.stop();
}

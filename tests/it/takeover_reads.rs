//! A node with a standby beside its database: what decides nothing is read there, is the same from either, and goes on when the standby lags or is gone.

use crate::deployment::{Caller, sale};
use crate::http::{Answer, Client};
use crate::process::wait_for;
use crate::takeover::{Pair, keys};
use florin_services::Replicated;
use serde_json::Value;

const REPLICA: &str = "FLORIN_DATABASE_REPLICA_URL";
const TOKEN: &str = "florin-consistency-token";

/// Nodes whose database is the primary of a pair.
fn nodes_on(servers: &Replicated, replica: String) -> Pair {
    let mut nodes = Pair::new();
    nodes.more.push(("FLORIN_DATABASE_URL", servers.primary_url()));
    nodes.more.push((REPLICA, replica));
    // Between its rounds nobody reads but who is asked to.
    nodes
        .more
        .push(("FLORIN_LEDGER_MONITOR_EVERY_S", "3600".to_owned()));
    nodes
}

/// Reads of the past that were answered from there.
#[track_caller]
fn reads_from(operator: &Caller, source: &str) -> u64 {
    let name = format!("florin_past_reads_total{{source=\"{source}\"}} ");
    let text = operator.get("/metrics").expect(200).text();
    let value = text.lines().find_map(|line| line.strip_prefix(&name));
    value.unwrap_or("0").parse().unwrap()
}

fn token(answer: &Answer) -> String {
    answer.header(TOKEN).unwrap().to_owned()
}

fn id(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// All that is shown of a payment from the journal's past, by whoever brings the token of its answer.
#[track_caller]
fn shown(nodes: &Pair, (key, operator): (&str, &str), payment: &str, token: &str) -> Vec<Vec<u8>> {
    let read = |key: &str, path: &str, token: Option<&str>| {
        let authorization = format!("Bearer {key}");
        let mut headers = vec![("Authorization", authorization.as_str())];
        headers.extend(token.map(|token| (TOKEN, token)));
        let answer = Client::new(nodes.addresses[0]).send("GET", path, &headers, b"");
        answer.unwrap().expect(200).body
    };
    let history = format!("/v1/payments/{payment}/history");
    let rows: Value = serde_json::from_slice(&read(key, &history, Some(token))).unwrap();
    let rows = rows["data"].as_array().unwrap().clone();
    let entry = rows.iter().filter(|row| row["type"] == "ledger.entry_posted");
    assert!(entry.count() > 0, "what was answered is in its history: {rows:?}");
    let first = rows[0]["seq"].as_u64().unwrap();
    vec![
        read(key, &history, Some(token)),
        read(key, &format!("/v1/payments/{payment}?at={first}"), Some(token)),
        read(key, "/v1/events?limit=100", Some(token)),
        read(operator, "/v1/ledger/entries/export.jsonl", None),
    ]
}

#[test]
fn what_decides_nothing_is_read_from_the_standby_and_is_exact_while_it_lags_and_when_it_is_gone() {
    let mut servers = Replicated::start_loosely().unwrap();
    let nodes = nodes_on(&servers, servers.standby_url());
    let (key, operator_key) = keys(&nodes);
    let node = nodes.start_first(0);
    let (merchant, operator) = (nodes.caller(0, &key), nodes.caller(0, &operator_key));
    let keys = (key.as_str(), operator_key.as_str());

    let first = merchant.pay("first", &sale(500, "USD")).expect(200);
    wait_for("a read that the standby answers", || {
        shown(&nodes, keys, &id(&first), &token(&first));
        (reads_from(&operator, "replica") > 0).then_some(())
    });

    servers.query_standby("SELECT pg_wal_replay_pause()").unwrap();
    wait_for("the standby to stand still", || {
        let state = servers
            .query_standby("SELECT pg_get_wal_replay_pause_state()")
            .unwrap();
        (state.trim() == "paused").then_some(())
    });
    let second = merchant.pay("second", &sale(700, "USD")).expect(200);
    let before = reads_from(&operator, "fallback");
    let lagging = shown(&nodes, keys, &id(&second), &token(&second));
    assert!(
        reads_from(&operator, "fallback") > before,
        "it does not have the second payment"
    );
    let has_it = "SELECT max(seq) FROM florin.commit_record";
    assert_ne!(
        servers.query_standby(has_it).unwrap(),
        servers.query(has_it).unwrap()
    );

    servers.query_standby("SELECT pg_wal_replay_resume()").unwrap();
    let before = reads_from(&operator, "replica");
    wait_for("the standby to answer again", || {
        let read = shown(&nodes, keys, &id(&second), &token(&second));
        assert_eq!(read, lagging, "it is the same from either");
        (reads_from(&operator, "replica") >= before + 4).then_some(())
    });

    servers.kill_standby().unwrap();
    assert_eq!(shown(&nodes, keys, &id(&second), &token(&second)), lagging);
    let third = merchant.pay("third", &sale(900, "USD")).expect(200);
    shown(&nodes, keys, &id(&third), &token(&third));
    assert_eq!(nodes.charges().len(), 3);
    node.stop();

    // It is told, and no reason not to start.
    let mut node = nodes.start(0);
    node.says("that the replica is away", |line| {
        line.contains("the replica cannot be asked now").then_some(())
    });
    node.says("that it takes payments", crate::takeover::taking_payments);
    shown(&nodes, keys, &id(&third), &token(&third));
    node.stop();
    nodes.provider.stop();
}

#[test]
fn a_replica_that_is_none_is_refused_before_anything_is_taken() {
    let servers = Replicated::start_loosely().unwrap();
    let nodes = nodes_on(&servers, servers.primary_url());
    let finished = nodes.finished(0, &["merchant", "create", "--name", "Shop"]);
    assert!(!finished.status.success(), "{finished:?}");
    let why = &finished.stderr;
    assert!(
        why.contains("cannot be the replica (`database.replica_url`): it is no standby"),
        "{why}"
    );
    let secret = servers.primary_url();
    let (_, secret) = secret.split_once("florin:").unwrap();
    let (secret, _) = secret.split_once('@').unwrap();
    assert!(!why.contains(secret), "{why}");
    let taken = "SELECT count(*) FROM florin.shard WHERE epoch > 0";
    assert_eq!(servers.query(taken).unwrap().trim(), "0");
    nodes.provider.stop();
}

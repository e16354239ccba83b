//! Balance alerts: raised once for each time that their condition becomes true, wherever the process is killed.

use crate::deployment::{Caller, Dev, OPERATOR, sale};
use crate::http::{Answer, Client};
use crate::ledger_crossings::at_rest;
use crate::ledger_shards::THREE;
use crate::ledger_transfers::{ask, entries, id, made, make, open, pair, refused, try_make, two, with};
use crate::ops::figure;
use crate::process::{run_well, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

fn alert(number: u64, account: &str, when: (&str, &str), amount_minor: i64) -> Value {
    json!({
        "id": id(number), "account": account, "field": when.0, "condition": when.1, "amount_minor": amount_minor,
    })
}

/// Makes an alert, which is shown as it stands.
#[track_caller]
fn watch(dev: &Dev, alert: &Value) -> Value {
    ask(dev, "alerts", alert).expect(200).json()
}

#[track_caller]
fn delete(dev: &Dev, number: u64) -> Answer {
    let authorization = format!("Bearer {OPERATOR}");
    let headers = [("Authorization", authorization.as_str())];
    let path = format!("/v1/ledger/alerts/{}", id(number));
    Client::new(dev.api).send("DELETE", &path, &headers, b"").unwrap()
}

#[track_caller]
fn shown(operator: &Caller, number: u64) -> Value {
    operator.read(&format!("/v1/ledger/alerts/{}", id(number)))
}

/// Whether it is raised, how often it was, and the values of its history, the newest first.
#[track_caller]
fn stands(dev: &Dev, number: u64) -> (bool, u64, Vec<i64>) {
    let alert = shown(&dev.operator(), number);
    let history = alert["history"].as_array().unwrap();
    for (field, of_edge) in [
        ("state", "state"),
        ("since_seq", "seq"),
        ("since", "at"),
        ("since_value_minor", "value_minor"),
    ] {
        assert_eq!(alert[field], history[0][of_edge], "{alert}");
    }
    let values = history.iter().map(|edge| edge["value_minor"].as_i64().unwrap());
    (
        alert["state"] == "raised",
        alert["times_raised"].as_u64().unwrap(),
        values.collect(),
    )
}

/// All alerts with all they remember; the journal goes on with the start of the process.
#[track_caller]
fn all(dev: &Dev) -> Vec<Value> {
    let operator = dev.operator();
    let listed = operator.read_all("/v1/ledger/alerts");
    let whole = listed.iter().map(|alert| {
        let id = alert["id"].as_str().unwrap();
        let mut whole = operator.read(&format!("/v1/ledger/alerts/{id}"));
        whole.as_object_mut().unwrap().remove("as_of_seq");
        whole
    });
    whole.collect()
}

/// Raises there ever were, alerts that are raised, and raises that this process has told of.
#[track_caller]
fn figures(dev: &Dev) -> [u64; 3] {
    let metrics = dev.operator().get("/metrics").expect(200).text();
    let value = |name: &str, labels: &str| figure(&metrics, name, labels).unwrap_or_default();
    [
        value("florin_ledger_alerts_raised_total", ""),
        value("florin_ledger_alerts_raised", ""),
        value("florin_alerts_total", "alert=\"balance_alert\""),
    ]
    .map(|value| format!("{value:.0}").parse().unwrap())
}

/// A line tells of all raises of its alert within a second.
fn raises_in(lines: &[String]) -> usize {
    let raises = lines.iter().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        usize::try_from(line["fields"]["raises"].as_u64().unwrap()).unwrap()
    });
    raises.sum()
}

/// The log tells of so many raises, and of the first one it says this.
#[track_caller]
fn assert_told(dev: &Dev, raises: usize, first: &[&str]) {
    let told = wait_for("the log to tell of every raise", || {
        let (out, err) = dev.process.said_so_far();
        let told: Vec<String> = [out, err].concat().lines().map(str::to_owned).collect();
        let is_raise = |line: &String| line.contains("a balance alert was raised");
        let told: Vec<String> = told.into_iter().filter(is_raise).collect();
        (raises_in(&told) >= raises).then_some(told)
    });
    assert_eq!(raises_in(&told), raises, "{told:?}");
    for part in first {
        assert!(told[0].contains(part), "{part} in {told:?}");
    }
}

#[test]
fn x_36_an_alert_is_raised_once_and_stands_as_it_did_after_kills_and_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &[]);
    let (bank, customer) = two(&dev);
    let described = json!({"description": "Top up Alice.", "metadata": {"team": "treasury"}});
    let low = with(alert(1, &customer, ("available", "below"), 1_000), &described);
    let created = watch(&dev, &low);
    assert_eq!(
        (
            &created["state"],
            &created["since_value_minor"],
            &created["times_raised"]
        ),
        (&json!("raised"), &json!(0), &json!(1)),
        "true already: {created}"
    );
    assert_eq!(created["metadata"]["team"], "treasury");
    watch(&dev, &alert(2, &customer, ("pending_debits", "above"), 0));
    watch(&dev, &alert(3, &bank, ("balance", "at_or_above"), 5_000));
    watch(
        &dev,
        &alert(4, "fee_revenue:USD", ("balance", "at_or_above"), 640),
    );
    assert_eq!(figures(&dev), [1, 1, 1]);

    made(&dev, pair(1, &bank, &customer, 1_000));
    assert_eq!(stands(&dev, 1), (false, 1, vec![1_000, 0]));
    // What is rehearsed, refused, or made up for in the same commit is nothing.
    let out = |number, amount| pair(number, &customer, &bank, amount);
    let rehearsed = json!({"transfers": [out(2, 1)], "dry_run": true});
    assert_eq!(
        ask(&dev, "transfers", &rehearsed).expect(200).json()["recorded"],
        1
    );
    let aborted = json!({"transfers": [out(2, 1), pair(3, &bank, &bank, 1)], "atomic": true});
    refused(&ask(&dev, "transfers", &aborted), 400, "transfer_same_account");
    make(&dev, &[out(4, 500), pair(5, &bank, &customer, 500)]).expect(200);
    assert_eq!(stands(&dev, 1), (false, 1, vec![1_000, 0]));
    // A reservation takes what is available, and its end gives it back.
    made(&dev, with(out(6, 1), &json!({"pending": true})));
    assert_eq!(stands(&dev, 1), (true, 2, vec![999, 1_000, 0]));
    assert_eq!(stands(&dev, 2), (true, 1, vec![1, 0]));
    made(&dev, json!({"id": id(7), "void_pending": id(6)}));
    assert_eq!(stands(&dev, 2), (false, 1, vec![0, 1, 0]));
    made(&dev, pair(8, &bank, &customer, 4_000));
    assert_eq!(stands(&dev, 3), (true, 1, vec![5_000, 0]));
    dev.pay("first", &sale(10_000, "USD")).expect(200);
    assert_eq!(stands(&dev, 4), (false, 0, vec![0]));
    dev.pay("second", &sale(10_000, "USD")).expect(200);
    assert_eq!(stands(&dev, 4), (true, 1, vec![640, 0]), "payments count as well");
    assert_eq!(figures(&dev), [5, 2, 5]);
    assert_told(&dev, 5, &["WARN", &id(1), &customer]);
    let before = all(&dev);
    dev.process.kill_9();

    let dev = Dev::start(folder.path(), &[]);
    assert_eq!(all(&dev), before, "from the journal");
    assert_eq!(figures(&dev), [5, 2, 0], "nothing is raised twice");
    // An orderly stop leaves a snapshot, and the start after it reads nothing else.
    dev.stop();

    let dev = Dev::start(folder.path(), &[]);
    assert_eq!(all(&dev), before, "from a snapshot");
    made(&dev, out(9, 4_500));
    assert_eq!(stands(&dev, 1), (true, 3, vec![500, 1_000, 999, 1_000, 0]));
    assert_eq!(stands(&dev, 3), (false, 1, vec![500, 5_000, 0]));
    let gone = delete(&dev, 4).expect(200).json();
    assert_eq!(
        gone,
        json!({"object": "balance_alert", "id": id(4), "deleted": true})
    );
    assert_eq!(figures(&dev), [6, 1, 1]);
    let before = all(&dev);
    assert_eq!(before.len(), 3);
    dev.process.kill_9();

    // Without its index, which is read again from the journal.
    std::fs::remove_dir_all(folder.path().join("keys")).unwrap();
    let dev = Dev::start(folder.path(), &[]);
    assert_eq!(all(&dev), before, "from a snapshot and what followed it");
    assert_eq!(figures(&dev), [6, 1, 0]);
    let again = watch(&dev, &low);
    assert_eq!(again["times_raised"], 3, "it is there already: {again}");
    for used in [1, 4] {
        let other = alert(used, &customer, ("balance", "above"), 7);
        refused(&ask(&dev, "alerts", &other), 409, "alert_id_reused");
    }
    refused(&delete(&dev, 4), 404, "resource_missing");
    let unnamed = json!({"account": bank, "field": "balance", "condition": "below", "amount_minor": 0});
    let ids: Vec<Value> = (0..2).map(|_| watch(&dev, &unnamed)["id"].clone()).collect();
    assert!(ids[0] != ids[1], "{ids:?}");
    dev.process.kill_9();
    run_well(&["audit", "verify"], folder.path(), &[]);
    let out = folder.path().join("export.jsonl");
    run_well(
        &["audit", "export", "--out", out.to_str().unwrap()],
        folder.path(),
        &[],
    );
    let export = std::fs::read_to_string(out).unwrap();
    for (event, times) in [("\"ledger.alert_created\"", 6), ("\"ledger.alert_deleted\"", 1)] {
        assert_eq!(export.matches(event).count(), times, "{event}");
    }
}

/// What an alert on `balance` `below` comes to for whoever reads the account's lines: its edges, the newest first.
#[track_caller]
fn polled(dev: &Dev, account: &str, alert: &Value) -> Vec<(bool, u64, i64)> {
    let amount = alert["amount_minor"].as_i64().unwrap();
    // The last line of an account in a commit has the balance after all of it.
    let mut after: BTreeMap<u64, (u64, i64)> = BTreeMap::new();
    for entry in entries(dev, account) {
        let (seq, place) = entry["id"].as_str().unwrap().split_once('-').unwrap();
        let line = (place.parse().unwrap(), entry["balance_after"].as_i64().unwrap());
        let known = after.entry(seq.parse().unwrap()).or_insert(line);
        *known = line.max(*known);
    }
    let created = alert["created_seq"].as_u64().unwrap();
    let mut edges = vec![(0 < amount, created, 0)];
    for (seq, (_, balance)) in after {
        assert!(seq > created, "nothing was moved before");
        if (balance < amount) != edges.last().unwrap().0 {
            edges.push((balance < amount, seq, balance));
        }
    }
    edges.reverse();
    edges
}

#[test]
fn x_36_raises_are_those_of_the_accounts_lines_wherever_the_process_is_killed() {
    const CLIENTS: u64 = 4;
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &[("FLORIN_JOURNAL_SNAPSHOT_EVERY_COMMITS", "50")]);
    let (bank, customer) = two(&dev);
    watch(&dev, &alert(1, &customer, ("balance", "below"), 100));
    dev.stop();
    for round in 0..3_u64 {
        // A start of the second round has a snapshot and what followed it to read.
        let dev = Dev::start(folder.path(), &[("FLORIN_JOURNAL_SNAPSHOT_EVERY_COMMITS", "50")]);
        let done = AtomicU64::new(0);
        let api = dev.api;
        let mut process = Some(dev.process);
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (bank, customer, done) = (&bank, &customer, &done);
                scope.spawn(move || {
                    for number in 0_u64.. {
                        let new = (round * CLIENTS + client) * 1_000_000 + number;
                        let (debit, credit) = if number % 2 == 0 {
                            (bank, customer)
                        } else {
                            (customer, bank)
                        };
                        // Each client alone is enough to cross the line, and so are all of them.
                        match try_make(api, &[pair(new, debit, credit, 100 + client)]) {
                            Ok(answer) if answer.status == 200 => done.fetch_add(1, Ordering::Relaxed),
                            Ok(_) | Err(_) => return,
                        };
                    }
                });
            }
            wait_for("some transfers", || {
                (done.load(Ordering::Relaxed) > 80).then_some(())
            });
            process.take().unwrap().kill_9();
        });
        let dev = Dev::start(folder.path(), &[]);
        let alert = shown(&dev.operator(), 1);
        let edges = polled(&dev, &customer, &alert);
        let raises = edges.iter().filter(|edge| edge.0).count() as u64;
        assert!(raises > 3, "{raises} raises in round {round}");
        assert_eq!(alert["times_raised"], raises, "round {round}");
        assert_eq!(figures(&dev), [raises, u64::from(edges[0].0), 0]);
        let history = alert["history"].as_array().unwrap();
        assert_eq!(history.len(), edges.len().min(32));
        for (told, (is_raised, seq, value)) in history.iter().zip(&edges) {
            let state = if *is_raised { "raised" } else { "armed" };
            assert_eq!(
                (&told["state"], &told["seq"], &told["value_minor"]),
                (&json!(state), &json!(seq), &json!(value)),
                "round {round}"
            );
        }
        dev.stop();
    }
}

#[test]
fn x_36_each_shard_watches_its_own_accounts_and_the_parts_that_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &[THREE]);
    let left = open(&dev, "left", "asset", &json!({"shard": 1}));
    let right = open(&dev, "right", "liability", &json!({"shard": 2}));
    let summed = alert(1, "bank:USD", ("balance", "above"), 0);
    let answer = ask(&dev, "alerts", &summed).expect(400);
    assert_eq!(
        (answer.error("code").as_str(), answer.error("param").as_str()),
        ("parameter_invalid", "account")
    );
    assert!(answer.error("message").contains("`bank:USD@0`"), "{answer:?}");
    refused(
        &ask(&dev, "alerts", &alert(1, "bank:USD@3", ("balance", "above"), 0)),
        400,
        "parameter_invalid",
    );

    let on_left = watch(&dev, &alert(1, &left, ("balance", "above"), 50));
    assert_eq!(
        (&on_left["shard"], &on_left["state"]),
        (&json!(1), &json!("armed"))
    );
    watch(&dev, &alert(2, &right, ("balance", "above"), 50));
    let part = watch(&dev, &alert(3, "bank:USD@2", ("balance", "below"), 0));
    assert_eq!(
        (&part["account"], &part["shard"]),
        (&json!("bank:USD@2"), &json!(2))
    );
    watch(&dev, &alert(4, "bank:USD@1", ("balance", "below"), 0));
    // An id is unique over all shards.
    refused(
        &ask(&dev, "alerts", &alert(1, &right, ("balance", "above"), 50)),
        409,
        "alert_id_reused",
    );
    assert_eq!(
        watch(&dev, &alert(2, &right, ("balance", "above"), 50))["shard"],
        2
    );

    made(&dev, pair(1, &left, &right, 60));
    at_rest(&dev);
    assert_eq!(
        stands(&dev, 1),
        (true, 1, vec![60, 0]),
        "the half of the debited side"
    );
    assert_eq!(
        stands(&dev, 2),
        (true, 1, vec![60, 0]),
        "the half of the credited side"
    );
    made(&dev, pair(2, &right, "bank:USD", 5));
    assert_eq!(
        stands(&dev, 3),
        (true, 1, vec![-5, 0]),
        "the part of the shard that booked it"
    );
    assert_eq!(stands(&dev, 4), (false, 0, vec![0]), "and no other one");
    let listed = |query: &str| -> Vec<Value> {
        let page = dev.operator().read(&format!("/v1/ledger/alerts?{query}"));
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|alert| alert["id"].clone())
            .collect()
    };
    let ids = |numbers: &[u64]| -> Vec<Value> { numbers.iter().map(|number| json!(id(*number))).collect() };
    assert_eq!(listed(""), ids(&[1, 2, 3, 4]), "by id, over all shards");
    assert_eq!(
        listed("limit=2&starting_after=123e4567-e89b-12d3-a456-000000000001"),
        ids(&[2, 3])
    );
    assert_eq!(listed("state=armed"), ids(&[4]));
    assert_eq!(listed("account=bank:USD"), ids(&[3, 4]));
    assert_eq!(listed("account=bank:USD@1&state=armed"), ids(&[4]));
    assert_eq!(listed(&format!("account={left}")), ids(&[1]));
    delete(&dev, 4).expect(200);
    let before = all(&dev);
    assert_eq!(figures(&dev), [3, 3, 3]);
    dev.process.kill_9();

    let dev = Dev::start(folder.path(), &[THREE]);
    assert_eq!(all(&dev), before);
    assert_eq!(figures(&dev), [3, 3, 0]);
    // The id of a deleted alert stays used, whichever shard had it.
    refused(
        &ask(&dev, "alerts", &alert(4, &right, ("balance", "above"), 50)),
        409,
        "alert_id_reused",
    );
    dev.stop();
}

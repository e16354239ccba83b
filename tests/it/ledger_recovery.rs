//! What the general ledger answered survives a kill, from the journal alone and from a snapshot; closed days stay closed.

use crate::deployment::{Dev, assert_balanced};
use crate::ledger_transfers::{
    account, ask, balance, entries, id, made, make, open, pair, refused, two, with,
};
use crate::process::{run_well, wait_for};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

/// Every account, and what is closed.
fn books(dev: &Dev) -> (Vec<Value>, Value) {
    let mut accounts = dev.operator().read_all("/v1/ledger/accounts");
    for account in &mut accounts {
        // The journal goes on with the start of the process.
        account.as_object_mut().unwrap().remove("as_of_seq");
    }
    (accounts, dev.operator().read("/v1/ledger/periods"))
}

#[test]
fn balances_reservations_and_closed_days_survive_a_kill_with_and_without_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &[]);
    let (bank, _) = two(&dev);
    let limits = json!({"min_balance": -500, "max_balance": 1_000_000, "metadata": {"crm_id": "4711"}});
    let customer = open(&dev, "customer:alice", "liability", &limits);
    let batch: Vec<Value> = (1..=50)
        .map(|number| pair(number, &bank, &customer, 100 + number))
        .collect();
    assert_eq!(make(&dev, &batch).expect(200).json()["recorded"], 50);
    let later = json!({"pending": true, "expires_at": 4_000_000_000_u64});
    made(&dev, with(pair(60, &customer, &bank, 900), &later));
    made(
        &dev,
        with(pair(61, &bank, &customer, 70), &json!({"pending": true})),
    );
    ask(&dev, "periods/close", &json!({"through": "2020-12-31"})).expect(200);
    let before = books(&dev);
    let lines = entries(&dev, &customer);
    dev.process.kill_9();

    let dev = Dev::start(folder.path(), &[]);
    assert_eq!(books(&dev), before, "from the journal");
    assert_eq!(entries(&dev, &customer), lines);
    // An orderly stop leaves a snapshot, and the start after it reads nothing else.
    dev.stop();

    let dev = Dev::start(folder.path(), &[]);
    assert_eq!(books(&dev), before, "from a snapshot");
    made(&dev, pair(70, &bank, &customer, 5));
    dev.process.kill_9();

    let dev = Dev::start(folder.path(), &[]);
    assert_eq!(
        balance(&dev, &bank),
        50 * 100 + 25 * 51 + 5,
        "from a snapshot and what followed it"
    );
    let again = make(&dev, &batch).expect(200).json();
    assert_eq!((&again["existed"], &again["recorded"]), (&json!(50), &json!(0)));
    let other = pair(7, &bank, &customer, 1);
    refused(&make(&dev, &[other]), 409, "transfer_id_reused");
    made(&dev, json!({"id": id(71), "post_pending": id(60)}));
    made(&dev, json!({"id": id(72), "void_pending": id(61)}));
    assert_eq!(account(&dev, &customer)["available"], balance(&dev, &customer));
    let old = with(
        pair(73, &bank, &customer, 1),
        &json!({"effective_date": "2020-12-31"}),
    );
    refused(&make(&dev, &[old]), 409, "period_closed");
    refused(
        &make(&dev, &[pair(74, &bank, &customer, 999_999)]),
        409,
        "account_limit_exceeded",
    );
    let same = ask(
        &dev,
        "accounts",
        &with(
            limits,
            &json!({"name": "customer:alice", "type": "liability", "currency": "USD"}),
        ),
    );
    assert_eq!(same.expect(200).json()["id"], json!(customer));
    assert_balanced(&dev.operator());
    dev.process.kill_9();
    run_well(&["audit", "verify"], folder.path(), &[]);
    let out = folder.path().join("export.jsonl");
    run_well(
        &["audit", "export", "--out", out.to_str().unwrap()],
        folder.path(),
        &[],
    );
    let export = std::fs::read_to_string(out).unwrap();
    for event in [
        "ledger.account_opened",
        "ledger.transferred",
        "ledger.period_closed",
    ] {
        assert!(export.contains(event), "no {event} in the export");
    }
}

#[test]
fn led_16_both_entries_of_a_transfer_are_there_or_neither_wherever_the_process_is_killed() {
    const CLIENTS: u64 = 4;
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &[]);
    let (bank, customer) = two(&dev);
    dev.stop();
    let mut answered: Vec<u64> = Vec::new();
    for round in 0..3_u64 {
        let dev = Dev::start(folder.path(), &[]);
        let done = AtomicU64::new(0);
        let api = dev.api;
        let mut process = Some(dev.process);
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let (bank, customer, done) = (&bank, &customer, &done);
                    scope.spawn(move || {
                        let mut told = Vec::new();
                        for number in 0.. {
                            let number = (round * CLIENTS + client) * 1_000_000 + number;
                            match crate::ledger_transfers::try_make(api, &[pair(number, bank, customer, 3)]) {
                                Ok(answer) if answer.status == 200 => told.push(number),
                                Ok(_) | Err(_) => return told,
                            }
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                        told
                    })
                })
                .collect();
            wait_for("some transfers", || {
                (done.load(Ordering::Relaxed) > 40).then_some(())
            });
            process.take().unwrap().kill_9();
            answered.extend(clients.into_iter().flat_map(|client| client.join().unwrap()));
        });
    }
    let dev = Dev::start(folder.path(), &[]);
    let ids = |account: &str| {
        let mut ids: Vec<String> = entries(&dev, account)
            .iter()
            .map(|entry| entry["transfer_id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    let (debits, credits) = (ids(&bank), ids(&customer));
    assert_eq!(debits, credits, "the same transfers on both accounts");
    assert!(answered.len() > 120);
    for number in &answered {
        assert!(
            debits.binary_search(&id(*number)).is_ok(),
            "{number} was answered"
        );
    }
    let mut once = debits.clone();
    once.dedup();
    assert_eq!(once.len(), debits.len(), "none is there twice");
    assert_eq!(balance(&dev, &bank), 3 * i64::try_from(debits.len()).unwrap());
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn x_24_a_transfer_counts_on_its_day_and_closed_days_take_none() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &[]);
    let (bank, customer) = two(&dev);
    let live = json!({"livemode": true});
    let (live_bank, live_customer) = (
        open(&dev, "bank", "asset", &live),
        open(&dev, "customer", "liability", &live),
    );
    let on = |number: u64, day: &str| {
        with(
            pair(number, &bank, &customer, 100),
            &json!({"effective_date": day}),
        )
    };
    made(&dev, on(1, "2019-06-30"));
    let entry = entries(&dev, &bank).remove(0);
    assert_eq!(entry["effective_date"], "2019-06-30");
    assert!(
        entry["at"].as_u64().unwrap() > 1_577_836_800,
        "recorded later than it counts: {entry}"
    );
    refused(&make(&dev, &[on(2, "9999-12-31")]), 400, "effective_in_future");

    let close = |through: &str| ask(&dev, "periods/close", &json!({"through": through}));
    let closed = |test: Value, live: Value| {
        json!({"object": "ledger_periods", "data": [
            {"livemode": false, "closed_through": test},
            {"livemode": true, "closed_through": live},
        ]})
    };
    let operator = dev.operator();
    assert_eq!(
        operator.read("/v1/ledger/periods"),
        closed(Value::Null, Value::Null)
    );
    assert_eq!(
        close("2019-12-31").expect(200).json(),
        closed(json!("2019-12-31"), Value::Null)
    );
    assert_eq!(
        close("2018-12-31").expect(200).json(),
        closed(json!("2019-12-31"), Value::Null),
        "what is closed stays closed"
    );
    for day in ["2019-06-30", "2019-12-31", "1970-01-01"] {
        refused(&make(&dev, &[on(2, day)]), 409, "period_closed");
    }
    // Neither may what was reserved before be posted into it, nor may it be reserved.
    made(&dev, with(on(3, "2020-01-01"), &json!({"pending": true})));
    let post = |day: &str| json!({"id": id(4), "post_pending": id(3), "effective_date": day});
    refused(&make(&dev, &[post("2019-12-31")]), 409, "period_closed");
    refused(
        &make(&dev, &[with(on(5, "2019-12-31"), &json!({"pending": true}))]),
        409,
        "period_closed",
    );
    made(&dev, post("2020-01-01"));
    // The same again is still the same, although its day is closed by now.
    assert_eq!(
        make(&dev, &[on(1, "2019-06-30")]).expect(200).json()["existed"],
        1
    );
    // The other mode has books of its own.
    let other = with(
        pair(6, &live_bank, &live_customer, 100),
        &json!({"effective_date": "2019-06-30"}),
    );
    made(&dev, other);
    let both = ask(
        &dev,
        "periods/close",
        &json!({"through": "2019-12-31", "livemode": true}),
    );
    assert_eq!(
        both.expect(200).json(),
        closed(json!("2019-12-31"), json!("2019-12-31"))
    );
    dev.process.kill_9();
    let dev = Dev::start(folder.path(), &[]);
    refused(&make(&dev, &[on(2, "2019-12-31")]), 409, "period_closed");
    made(&dev, on(2, "2020-01-01"));
    assert_eq!(balance(&dev, &bank), 300);
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn x_23_an_account_shows_the_balance_that_it_had_after_a_commit_at_a_time_and_on_a_day() {
    let (_folder, dev) = Dev::fresh(&[]);
    let (bank, customer) = two(&dev);
    let quiet = open(&dev, "quiet", "liability", &json!({}));
    let mut known: Vec<(u64, i64)> = Vec::new();
    let mut sum = 0;
    for number in 1..=60_u64 {
        // Each second time three lines in one commit, and once in a while a commit on other accounts only.
        let batch: Vec<Value> = (0..=(number % 2) * 2)
            .map(|part| pair(number * 10 + part, &bank, &customer, number + part))
            .collect();
        sum += batch
            .iter()
            .map(|transfer| transfer["amount"].as_i64().unwrap())
            .sum::<i64>();
        let answer = make(&dev, &batch).expect(200).json();
        known.push((answer["seq"].as_u64().unwrap(), sum));
        if number % 20 == 7 {
            made(
                &dev,
                pair(
                    number * 10 + 9,
                    &quiet,
                    &open(&dev, "other", "liability", &json!({})),
                    1,
                ),
            );
        }
    }
    let read = |account: &str, at: &str| {
        dev.operator()
            .get(&format!("/v1/ledger/accounts/{account}?at={at}"))
    };
    let stood = |account: &str, at: &str| read(account, at).expect(200).json()["balance"].as_i64().unwrap();
    let (first, last) = (known[0].0, known[known.len() - 1].0);
    for seq in 0..=last {
        let expected = known
            .iter()
            .rev()
            .find(|(posted, _)| *posted <= seq)
            .map_or(0, |(_, sum)| *sum);
        for account in [&bank, &customer] {
            assert_eq!(stood(account, &seq.to_string()), expected, "after {seq}");
        }
        let shown = read(&bank, &seq.to_string()).json();
        assert_eq!(
            (&shown["as_of_seq"], &shown["available"]),
            (&json!(seq), &Value::Null)
        );
    }
    assert_eq!([first, last].map(|seq| stood(&quiet, &seq.to_string())), [0, -3]);
    // By the clock: before all of it, and after a second in which nothing else happened.
    assert_eq!(
        (
            stood(&bank, "2020-02-29"),
            stood(&bank, "2020-02-29T12:00:00%2B02:00")
        ),
        (0, 0)
    );
    let newest = entries(&dev, &bank).remove(0);
    let (second, day) = (
        newest["at"].as_u64().unwrap(),
        newest["effective_date"].as_str().unwrap(),
    );
    let now = || {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    wait_for("the next second", || (now() > second + 1).then_some(()));
    made(&dev, pair(9_999, &bank, &customer, 1_000));
    assert_eq!(balance(&dev, &bank), sum + 1_000);
    let clock = |second: u64| {
        format!(
            "{:02}:{:02}:{:02}",
            second / 3_600 % 24,
            second / 60 % 60,
            second % 60
        )
    };
    assert_eq!(
        stood(&bank, &format!("{day}T{}.999Z", clock(second))),
        sum,
        "before the last one"
    );
    for (at, status) in [
        ("x", 400),
        ("2026-13-01", 400),
        ("9999-12-31", 400),
        (&(last + 1_000).to_string(), 400),
        ("1&at=1", 400),
    ] {
        let answer = read(&bank, at);
        assert_eq!(
            (answer.status, answer.error("param").as_str()),
            (status, "at"),
            "{answer:?}"
        );
    }
    dev.stop();
}

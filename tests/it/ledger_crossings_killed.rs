//! Nodes that are killed while money is on its way between shards: what was answered is there once, and nothing stays reserved.

use crate::deployment::{Dev, PATIENT, assert_balanced};
use crate::http::Answer;
use crate::ledger_crossings::at_rest;
use crate::ledger_shards::THREE;
use crate::ledger_transfers::{account, balance, entries, id, made, make, open, pair, try_make, with};
use crate::operators::order;
use crate::ops::figure;
use crate::process::{run, run_well, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

const CLIENTS: u64 = 4;

/// Answered in each round before the process is killed.
const ANSWERED: u64 = 60;

/// Clients that send one transfer after the other until the process is killed: what they sent, and what they were told. In the middle
/// something else may happen.
fn until_killed(
    dev: Dev,
    round: u64,
    plan: &(dyn Fn(u64) -> Value + Sync),
    meanwhile: impl FnOnce(&Dev),
) -> Vec<(Value, Option<Answer>)> {
    let done = AtomicU64::new(0);
    let api = dev.api;
    let count_to = |count: u64| {
        wait_for("some transfers", || {
            (done.load(Ordering::Relaxed) >= count).then_some(())
        });
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let done = &done;
                scope.spawn(move || {
                    let mut told = Vec::new();
                    for number in 0.. {
                        let transfer = plan((round * CLIENTS + client) * 1_000_000 + number);
                        let answer = try_make(api, std::slice::from_ref(&transfer)).ok();
                        let is_over = answer.is_none();
                        told.push((transfer, answer));
                        if is_over {
                            break;
                        }
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    told
                })
            })
            .collect();
        count_to(ANSWERED / 2);
        meanwhile(&dev);
        count_to(ANSWERED);
        dev.process.kill_9();
        clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    })
}

/// What becomes of transfers that are sent again, in one request: `recorded`, `existed`, or why one was refused.
#[track_caller]
fn fates(dev: &Dev, tried: &[(Value, Option<Answer>)]) -> Vec<String> {
    let transfers: Vec<Value> = tried.iter().map(|(transfer, _)| transfer.clone()).collect();
    let answer = make(dev, &transfers).expect(200).json();
    let mut fates = vec!["recorded".to_owned(); tried.len()];
    for row in answer["exceptions"].as_array().unwrap() {
        let index = usize::try_from(row["index"].as_u64().unwrap()).unwrap();
        row["code"]
            .as_str()
            .unwrap_or("existed")
            .clone_into(&mut fates[index]);
    }
    fates
}

/// Sends everything again, and holds the answers against those of before.
#[track_caller]
fn assert_answers_stand(dev: &Dev, tried: &[(Value, Option<Answer>)]) {
    for (fate, (transfer, answer)) in fates(dev, tried).iter().zip(tried) {
        let possible: &[&str] = match answer.as_ref().map(|answer| answer.status) {
            Some(200) => &["existed"],
            Some(409) => &["transfer_given_up"],
            Some(_) | None => &["existed", "recorded", "transfer_given_up"],
        };
        assert!(possible.contains(&fate.as_str()), "{fate}: {transfer} {answer:?}");
    }
}

/// The first accounts of each shard, then the second ones.
fn six(dev: &Dev, also: &Value) -> Vec<String> {
    let open_one = |number: u16| {
        let also = with(also.clone(), &json!({"shard": number % 3}));
        open(dev, &format!("account:{number}"), "liability", &also)
    };
    (0..6).map(open_one).collect()
}

/// From each account to each other one in turn, mostly between shards.
fn around(accounts: &[String], number: u64, amount: u64) -> Value {
    let place = |number: u64| &accounts[usize::try_from(number % 6).unwrap()];
    pair(number, place(number), place(number + 1 + number / 6 % 5), amount)
}

fn has(account: &Value, field: &str) -> i64 {
    account[field].as_i64().unwrap()
}

#[test]
fn a_transfer_between_shards_that_was_answered_is_there_once_wherever_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &[THREE]);
    let accounts = six(&dev, &json!({}));
    dev.stop();
    let plan = |number: u64| around(&accounts, number, 1 + number % 7);
    let mut tried = Vec::new();
    for round in 0..3 {
        let dev = Dev::start(folder.path(), &[THREE]);
        // At once, while the node still takes up what was left.
        if round > 0 {
            assert_answers_stand(&dev, &tried);
        }
        tried.extend(until_killed(dev, round, &plan, |_| {}));
    }
    let dev = Dev::start(folder.path(), &[THREE]);
    assert_answers_stand(&dev, &tried);
    at_rest(&dev);
    let known = fates(&dev, &tried);
    at_rest(&dev);
    assert!(
        !known.contains(&"recorded".to_owned()),
        "each was sent again already"
    );
    let answered = tried
        .iter()
        .filter(|(_, answer)| answer.as_ref().is_some_and(|answer| answer.status == 200));
    assert!(answered.count() > 100);

    // Each posted one is once on either account, and nothing else is.
    let mut expected: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for ((transfer, _), _) in tried.iter().zip(&known).filter(|(_, fate)| *fate == "existed") {
        let text = |field: &str| transfer[field].as_str().unwrap();
        let amount = has(transfer, "amount");
        expected.insert((text("debit_account"), text("id")), -amount);
        expected.insert((text("credit_account"), text("id")), amount);
    }
    let mut lines = 0;
    for account in &accounts {
        let mut sum = 0;
        for entry in entries(&dev, account) {
            let signed = if entry["side"] == "credit" {
                has(&entry, "amount")
            } else {
                -has(&entry, "amount")
            };
            let transfer = entry["transfer_id"].as_str().unwrap();
            assert_eq!(
                expected.get(&(account.as_str(), transfer)),
                Some(&signed),
                "{entry}"
            );
            sum += signed;
            lines += 1;
        }
        assert_eq!(balance(&dev, account), sum);
    }
    assert_eq!(lines, expected.len(), "none is there twice");
    let total: i64 = accounts.iter().map(|account| balance(&dev, account)).sum();
    assert_eq!((total, balance(&dev, "shard_clearing:USD")), (0, 0));
    assert_balanced(&dev.operator());
    dev.process.kill_9();

    let verified = run_well(&["audit", "verify"], folder.path(), &[]);
    for shard in 0..3 {
        assert!(verified.contains(&format!("shard {shard}: ")), "{verified}");
    }
    let fewer = [&PATIENT, &[("FLORIN_JOURNAL_SHARDS", "2")][..]].concat();
    let refused = run(&["dev"], folder.path(), &fewer);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("`journal.shards` must be at least 3"),
        "{refused:?}"
    );
}

#[test]
fn cons_4_whatever_ends_a_transfer_before_its_decision_nothing_of_it_stays_reserved() {
    const GRANT: u64 = 1_000;
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &[THREE]);
    let accounts = six(&dev, &json!({"min_balance": 0, "max_balance": 1_500}));
    let banks = [0, 1, 2].map(|shard| open(&dev, "bank", "asset", &json!({"shard": shard})));
    for (number, account) in (0..).zip(&accounts) {
        made(
            &dev,
            pair(
                900_000_000 + number,
                &banks[usize::try_from(number % 3).unwrap()],
                account,
                GRANT,
            ),
        );
    }
    let total = |dev: &Dev| -> i64 { accounts.iter().map(|account| balance(dev, account)).sum() };
    let granted = 6 * GRANT.cast_signed();

    // Refused by the one side, by the other one, and only asked.
    for number in 0..12 {
        let amount = [1_001, 501][usize::try_from(number % 2).unwrap()];
        let answer = make(&dev, &[around(&accounts, 800_000_000 + number, amount)]);
        assert_eq!(answer.expect(409).error("type"), "invalid_request_error");
    }
    let dry = json!({"dry_run": true, "transfers": [pair(800_000_100, &accounts[0], &accounts[1], 400)]});
    crate::ledger_transfers::ask(&dev, "transfers", &dry).expect(200);
    at_rest(&dev);
    assert_eq!(total(&dev), granted);
    dev.stop();

    // Whoever carries them is crashed, and then the process, with transfers of which many are refused by either side.
    let plan = |number: u64| around(&accounts, number, 200 + number % 700);
    let mut tried = Vec::new();
    for round in 0..3 {
        let dev = Dev::start(folder.path(), &[THREE]);
        let crash = |dev: &Dev| {
            for shard in ["0", "1-0", "2-0"] {
                order(
                    dev,
                    &format!("tree/crossings:{shard}/kill"),
                    &json!({"reason": "a drill"}),
                )
                .expect(200);
            }
        };
        tried.extend(until_killed(dev, round, &plan, crash));
    }
    let codes: Vec<String> = tried
        .iter()
        .flat_map(|(_, answer)| answer)
        .map(|answer| {
            if answer.status == 200 {
                "made".to_owned()
            } else {
                answer.error("code")
            }
        })
        .collect();
    for code in ["made", "insufficient_funds", "account_limit_exceeded"] {
        assert!(codes.iter().any(|told| told == code), "{code} in {codes:?}");
    }

    let dev = Dev::start(folder.path(), &[THREE]);
    at_rest(&dev);
    assert_eq!(total(&dev), granted, "nothing is lost or doubled");
    let left = || {
        let metrics = dev.operator().get("/metrics").expect(200).text();
        figure(&metrics, "florin_crossings_left", "")
    };
    wait_for("nothing to be left", || left().filter(|left| *left < 0.5));
    for account_id in &accounts {
        let shown = account(&dev, account_id);
        assert_eq!(shown["available"], shown["balance"], "{shown}");
        assert!((0..=1_500).contains(&has(&shown, "balance")), "{shown}");
    }
    // All of it can be spent, and all of the room be filled.
    for (number, account) in (0..).zip(&accounts) {
        let bank = &banks[usize::try_from(number % 3).unwrap()];
        let held = balance(&dev, account).cast_unsigned();
        if held > 0 {
            made(&dev, pair(900_001_000 + number, account, bank, held));
        }
        made(&dev, pair(900_002_000 + number, bank, account, 1_500));
        assert_eq!(balance(&dev, account), 1_500);
    }
    let stays = dev
        .operator()
        .get(&format!("/v1/ledger/transfers/{}", id(800_000_100)));
    assert_eq!(stays.status, 404, "it was only asked about");
    assert_balanced(&dev.operator());
    dev.stop();
    run_well(&["audit", "verify"], folder.path(), &[]);
}

//! The consistency monitor of a running node: that it runs by itself, what it compares, and how people hear of what it finds.

use crate::acceptance_stages::usual;
use crate::cli::{damaged, make_payments};
use crate::deployment::{Dev, assert_balanced, sale};
use crate::ledger_transfers::{made, pair, two};
use crate::ops::figure;
use crate::process::{run_well, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const CHECKS: [&str; 5] = ["ledger", "balances", "payments", "views", "settlement"];
/// None but those that a test asks for.
const BY_HAND: (&str, &str) = ("FLORIN_LEDGER_MONITOR_EVERY_S", "0");

/// What the monitor finds now.
#[track_caller]
fn run(dev: &Dev) -> Value {
    let answer = dev.operator().post("k", "/v1/ops/consistency/run", &json!({}));
    answer.expect(200).json()
}

fn check<'a>(found: &'a Value, name: &str) -> &'a Value {
    let checks = found["rounds"][0]["checks"].as_array().unwrap();
    let mut named = checks.iter().filter(|check| check["check"] == name);
    named.next().unwrap_or_else(|| panic!("no {name} in {found}"))
}

#[track_caller]
fn is_clean(found: &Value) {
    assert_eq!(found["consistent"], true, "{found}");
    for name in CHECKS {
        let state = if name == "settlement" { "absent" } else { "done" };
        let check = check(found, name);
        assert_eq!(
            (&check["state"], &check["issues"]),
            (&json!(state), &json!(0)),
            "{found}"
        );
        assert_eq!(check["differences"], json!([]), "{found}");
    }
}

fn metrics(dev: &Dev) -> String {
    dev.operator().get("/metrics").expect(200).text()
}

fn issues(dev: &Dev) -> [Option<f64>; 5] {
    let metrics = metrics(dev);
    CHECKS.map(|check| {
        figure(
            &metrics,
            "florin_consistency_issues",
            &format!("check=\"{check}\""),
        )
    })
}

fn alerts(dev: &Dev, alert: &str) -> Option<f64> {
    let label = format!("alert=\"{alert}\"");
    figure(&metrics(dev), "florin_alerts_total", &label)
}

#[test]
fn recon_11_everything_is_checked_by_itself_every_60_seconds() {
    assert_eq!(usual("ledger", "monitor_every_s"), "60");
    let (_folder, dev) = Dev::fresh(&[("FLORIN_LEDGER_MONITOR_EVERY_S", "1")]);
    make_payments(&dev, 10);
    let read = || dev.operator().read("/v1/ops/consistency");
    let number = |found: &Value| found["rounds"][0]["number"].as_u64();
    let first = wait_for("a round", || Some(read()).filter(|found| number(found).is_some()));
    let later = wait_for("rounds after it", || {
        Some(read()).filter(|found| number(found) >= number(&first).map(|number| number + 3))
    });
    is_clean(&later);
    assert!(later["rounds"][0]["created"].as_u64() > first["rounds"][0]["created"].as_u64());
    let merchant = dev.merchant();
    merchant.get("/v1/ops/consistency").expect(403);
    merchant
        .post("k", "/v1/ops/consistency/run", &json!({}))
        .expect(403);
    dev.stop();

    let (_folder, dev) = Dev::fresh(&[BY_HAND]);
    let none = dev.operator().read("/v1/ops/consistency");
    assert_eq!(
        none,
        json!({"object": "consistency", "consistent": null, "rounds": []})
    );
    assert_eq!(number(&run(&dev)), Some(1), "none came by itself");
    assert_eq!(number(&run(&dev)), Some(2));
    dev.stop();
}

#[test]
fn recon_12_the_entries_of_the_last_5_minutes_balance() {
    assert_eq!(usual("ledger", "monitor_window_s"), "300");
    let (folder, dev) = Dev::fresh(&[BY_HAND]);
    for number in 0..12_u64 {
        dev.pay(&number.to_string(), &sale(100 + number, "USD"))
            .expect(200);
    }
    let (debit, credit) = two(&dev);
    for number in 0..5 {
        made(&dev, pair(number, &debit, &credit, 10));
    }
    let found = run(&dev);
    is_clean(&found);
    // Twelve sales and five transfers, one entry each.
    assert_eq!(check(&found, "ledger")["compared"], 17, "{found}");
    // They are recent for five minutes, so the next round counts them again, and after a restart as well.
    assert_eq!(check(&run(&dev), "ledger")["compared"], 17);
    dev.stop();
    let dev = Dev::start(folder.path(), &[BY_HAND]);
    assert_eq!(check(&run(&dev), "ledger")["compared"], 17);
    dev.stop();
    // Of a shorter time, fewer.
    let dev = Dev::start(folder.path(), &[BY_HAND, ("FLORIN_LEDGER_MONITOR_WINDOW_S", "1")]);
    let found = wait_for("all of it to be older than a second", || {
        Some(run(&dev)).filter(|found| check(found, "ledger")["compared"] == 0)
    });
    is_clean(&found);
    let accounts = check(&found, "balances")["compared"].as_u64().unwrap();
    assert!(accounts >= 5, "balances come of all entries: {found}");
    dev.stop();
}

/// Flips a bit of a text in the payments view.
fn spoil_view(folder: &Path, text: &str) {
    let path = folder.join("views.db");
    let mut bytes = fs::read(&path).unwrap();
    let starts = 0..bytes.len() - text.len();
    let found: Vec<usize> = starts
        .filter(|start| bytes[*start..].starts_with(text.as_bytes()))
        .collect();
    assert!(!found.is_empty(), "{text} stands in the view");
    for start in found {
        bytes[start + text.len() - 1] ^= 0x01;
    }
    fs::write(&path, bytes).unwrap();
}

#[test]
fn recon_14_the_issues_of_every_check_are_a_metric() {
    let (folder, dev) = Dev::fresh(&[BY_HAND]);
    let paid = make_payments(&dev, 12);
    is_clean(&run(&dev));
    assert_eq!(issues(&dev), [Some(0.0); 5]);
    let text = metrics(&dev);
    for check in &CHECKS[..4] {
        let label = format!("check=\"{check}\"");
        let ran = figure(&text, "florin_consistency_checks_total", &label);
        assert_eq!(ran, Some(1.0), "{check} in {text}");
    }
    for name in ["last_round_timestamp_seconds", "round_seconds"] {
        let name = format!("florin_consistency_{name}");
        assert!(figure(&text, &name, "").is_some(), "{name} in {text}");
    }
    dev.stop();

    // Somebody has changed a row behind Florin's back.
    spoil_view(folder.path(), "mark-3-mark");
    let dev = Dev::start(folder.path(), &[BY_HAND]);
    let found = run(&dev);
    assert_eq!(found["consistent"], false, "{found}");
    let differences = &check(&found, "views")["differences"];
    assert_eq!(differences[0]["subject"], paid[3]["id"], "{found}");
    assert_eq!(differences.as_array().unwrap().len(), 1, "{found}");
    assert_eq!(
        issues(&dev),
        [Some(0.0), Some(0.0), Some(0.0), Some(1.0), Some(0.0)]
    );
    assert_eq!(alerts(&dev, "views_inconsistent"), Some(1.0));
    assert_eq!(alerts(&dev, "ledger_inconsistent"), None);
    run(&dev);
    assert_eq!(
        alerts(&dev, "views_inconsistent"),
        Some(2.0),
        "as long as it lies"
    );
    dev.pay("meanwhile", &sale(500, "USD")).expect(200);
    dev.stop();
    run_well(&["views", "rebuild"], folder.path(), &[]);
    let dev = Dev::start(folder.path(), &[BY_HAND]);
    is_clean(&run(&dev));
    assert_eq!(issues(&dev), [Some(0.0); 5]);
    dev.stop();
}

/// Lines of the log about a check that could not be run.
fn failures(dev: &Dev) -> Vec<Value> {
    let (out, err) = dev.process.said_so_far();
    let logged = out.lines().chain(err.lines());
    logged
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["fields"]["message"] == "Consistency monitoring failure")
        .collect()
}

/// The same once there are at least so many: what a node has said is read off its output a moment later.
fn logged(dev: &Dev, at_least: usize) -> Vec<Value> {
    wait_for("the lines of the log", || {
        let lines = failures(dev);
        (lines.len() >= at_least).then_some(lines)
    })
}

#[test]
fn recon_15_a_check_that_cannot_be_run_is_a_critical_alert_and_is_tried_again() {
    let alert = "consistency_monitoring_failure";
    let (folder, dev) = Dev::fresh(&[BY_HAND]);
    make_payments(&dev, 24);
    is_clean(&run(&dev));
    assert_eq!(alerts(&dev, alert), None);
    assert_eq!(failures(&dev), Vec::<Value>::new());

    // The monitor itself ends: also that is said, and it comes back.
    dev.operator()
        .post("kill", "/v1/ops/tree/monitor/kill", &json!({"reason": "a drill"}))
        .expect(200);
    wait_for("the alert", || (alerts(&dev, alert) >= Some(1.0)).then_some(()));
    is_clean(&run(&dev));
    assert_eq!(logged(&dev, 1).len(), 1);
    dev.stop();

    // It starts from a snapshot, so the damage is met by whoever reads all of the journal.
    let folder = damaged(folder.path(), "mark-0-mark", true);
    let dev = Dev::start(folder.path(), &[BY_HAND]);
    for tries in 1..=2_u32 {
        let found = run(&dev);
        assert_eq!(found["consistent"], false, "{found}");
        let balances = check(&found, "balances");
        assert_eq!(balances["state"], "failed", "{found}");
        let why = balances["why"].as_str().unwrap();
        assert!(why.contains("the journal is damaged at"), "{why}");
        assert_eq!(alerts(&dev, alert), Some(f64::from(tries)));
        let lines = logged(&dev, tries as usize);
        assert_eq!(lines.len(), tries as usize, "{lines:?}");
        for line in lines {
            assert_eq!(
                (&line["level"], &line["fields"]["severity"]),
                (&json!("ERROR"), &json!("critical"))
            );
        }
        dev.pay(&format!("after-{tries}"), &sale(500, "USD")).expect(200);
    }
    assert_balanced(&dev.operator());
    dev.stop();
}

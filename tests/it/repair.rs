//! Three copies of the journal: which one is wrong is found and named, it is restored from the others, and where several are wrong nothing is touched.

use crate::cli::{copy, damaged, make_payments};
use crate::deployment::{Dev, assert_balanced, balances, sale};
use crate::process::{Finished, run, run_well, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A stopped node with a replica and an export of it; and what it showed.
pub(crate) struct Stopped {
    pub(crate) data: TempDir,
    copies: TempDir,
    shown: Shown,
}

/// What callers see of a node.
#[derive(Debug, PartialEq)]
struct Shown {
    payments: Vec<Value>,
    balances: BTreeMap<String, i64>,
}

const PAYMENTS: usize = 5;

fn shown(dev: &Dev, ids: &[String]) -> Shown {
    let merchant = dev.merchant();
    assert_balanced(&dev.operator());
    Shown {
        payments: ids
            .iter()
            .map(|id| merchant.read(&format!("/v1/payments/{id}")))
            .collect(),
        balances: balances(&dev.operator(), ""),
    }
}

impl Stopped {
    pub(crate) fn new() -> Self {
        let copies = tempfile::tempdir().unwrap();
        let replica = copies.path().join("replica");
        let variables = [("FLORIN_JOURNAL_REPLICA_DIR", replica.to_str().unwrap())];
        let (data, dev) = Dev::fresh(&variables);
        make_payments(&dev, PAYMENTS);
        dev.stop();
        let dev = Dev::start(data.path(), &variables);
        dev.pay("last", &sale(700, "EUR")).expect(200);
        let ids: Vec<String> = dev
            .merchant()
            .read_all("/v1/payments")
            .iter()
            .map(|payment| payment["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(ids.len(), PAYMENTS + 1);
        let shown = shown(&dev, &ids);
        dev.stop();
        let export = copies.path().join("export.jsonl");
        run_well(
            &["audit", "export", "--out", export.to_str().unwrap()],
            data.path(),
            &[],
        );
        Self { data, copies, shown }
    }

    /// The same with a bit of a payment's record flipped in the journal.
    pub(crate) fn hurt(self, payment: usize) -> Self {
        let data = damaged(self.data.path(), &format!("mark-{payment}-mark"), true);
        Self { data, ..self }
    }

    fn replica(&self) -> PathBuf {
        self.copies.path().join("replica")
    }

    pub(crate) fn export(&self) -> PathBuf {
        self.copies.path().join("export.jsonl")
    }

    fn run(&self, command: &[&str]) -> Finished {
        let (replica, export) = (self.replica(), self.export());
        let copies = ["--export", export.to_str().unwrap(), "--json"];
        let variables = [("FLORIN_JOURNAL_REPLICA_DIR", replica.to_str().unwrap())];
        run(&[command, &copies].concat(), self.data.path(), &variables)
    }

    /// What a comparison says, and its exit code.
    fn compare(&self) -> (Value, i32) {
        said(&self.run(&["audit", "compare"]))
    }

    pub(crate) fn repair(&self, how: &str) -> (Value, i32) {
        said(&self.run(&["repair", how]))
    }

    /// All files, the lock and what SQLite makes to read left out.
    fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.data.path().to_owned(), self.copies.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.to_str().unwrap();
                if path.is_dir() {
                    folders.push(path);
                } else if !name.ends_with("-shm") && !name.ends_with("-wal") {
                    let bytes = fs::read(&path).unwrap();
                    found.insert(path, bytes);
                }
            }
        }
        found
    }

    /// The node starts again and shows what it showed; its keys are known, and it takes new payments.
    pub(crate) fn assert_all_there(&self) {
        let replica = self.replica();
        let variables = [("FLORIN_JOURNAL_REPLICA_DIR", replica.to_str().unwrap())];
        let dev = Dev::start(self.data.path(), &variables);
        let ids: Vec<String> = self
            .shown
            .payments
            .iter()
            .map(|payment| payment["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(shown(&dev, &ids), self.shown);
        let charged = dev.charges().len();
        let again = dev.pay("last", &sale(700, "EUR")).expect(200).json();
        assert_eq!(again["id"], self.shown.payments[0]["id"]);
        assert_eq!(dev.charges().len(), charged, "nobody is charged twice");
        dev.pay("new", &sale(900, "EUR")).expect(200);
        dev.stop();
        let (result, code) = self.compare();
        assert_eq!((&result["valid"], code), (&json!(true), 0), "{result}");
    }
}

pub(crate) fn said(finished: &Finished) -> (Value, i32) {
    let result = serde_json::from_str(finished.stdout.trim());
    let result = result.unwrap_or_else(|error| panic!("{error}: {finished:?}"));
    (result, finished.status.code().unwrap())
}

/// Flips a bit in the middle of a file.
pub(crate) fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn only_file(folder: &Path) -> PathBuf {
    let mut files = fs::read_dir(folder).unwrap();
    let file = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    file
}

#[test]
fn fail_5_journal_replica_and_audit_export_are_compared_record_by_record_and_the_views_with_them() {
    let stopped = Stopped::new();
    let (result, code) = stopped.compare();
    assert_eq!(code, 0, "{result}");
    let shard = &result["shards"][0];
    let sources = shard["sources"].as_object().unwrap();
    assert_eq!(
        sources.keys().collect::<Vec<_>>(),
        ["audit", "primary", "replica"]
    );
    let records = sources["primary"]["records"].as_u64().unwrap();
    assert!(records > PAYMENTS as u64);
    for (name, source) in sources {
        assert_eq!(source["records"], records, "{name}");
        assert_eq!(source["hash"], sources["primary"]["hash"], "{name}");
        assert_eq!(source["first_bad"], Value::Null, "{name}");
    }
    assert_eq!(shard["signed"], records);
    assert_eq!(shard["views"]["payments"], PAYMENTS as u64 + 1);
    assert_eq!(shard["views"]["differences"], 0);
    // Each of them is named when it is the one that differs.
    let journal = stopped.data.path().join("journal.db");
    let files = [
        ("replica", only_file(&stopped.replica())),
        ("audit", stopped.export()),
    ];
    for (name, file) in files {
        let whole = fs::read(&file).unwrap();
        flip(&file);
        let (result, code) = stopped.compare();
        assert_eq!(
            (&result["corruption_source"], code),
            (&json!(name), 1),
            "{result}"
        );
        assert!(
            result["shards"][0]["sources"][name]["first_bad"]
                .as_u64()
                .unwrap()
                <= records,
            "{result}"
        );
        fs::write(&file, whole).unwrap();
    }
    let hidden = journal.with_extension("hidden");
    fs::rename(&journal, &hidden).unwrap();
    let (result, code) = stopped.compare();
    assert_eq!(
        (&result["corruption_source"], code),
        (&json!("primary"), 1),
        "{result}"
    );
    assert_eq!(result["shards"][0]["sources"]["primary"]["first_bad"], 1);
}

#[test]
fn fail_6_copies_that_all_match_are_valid_while_the_node_runs_as_well() {
    let copies = tempfile::tempdir().unwrap();
    let replica = copies.path().to_str().unwrap();
    let variables = [("FLORIN_JOURNAL_REPLICA_DIR", replica)];
    let (folder, dev) = Dev::fresh(&variables);
    make_payments(&dev, 4);
    wait_for("a replica that has everything", || {
        let finished = run(&["audit", "compare", "--json"], folder.path(), &variables);
        let (result, code) = said(&finished);
        assert_eq!((&result["valid"], code), (&json!(true), 0), "{result}");
        assert_eq!(result["corruption_source"], "none");
        let sources = &result["shards"][0]["sources"];
        assert_eq!(sources["audit"], Value::Null);
        (sources["replica"]["records"] == sources["primary"]["records"]).then_some(())
    });
    let metrics = dev.operator().get("/metrics").expect(200);
    assert!(
        metrics
            .text()
            .contains("florin_replica_lag_commits{shard=\"0\"} 0")
    );
    let refused = run(&["repair", "--dry-run"], folder.path(), &variables);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        refused.stderr.contains("in use by another process"),
        "{refused:?}"
    );
    dev.process.kill_9();
    let finished = run(&["repair", "--dry-run", "--json"], folder.path(), &variables);
    let (result, code) = said(&finished);
    assert_eq!((&result["valid"], code), (&json!(true), 0), "{result}");
    assert_eq!((&result["actions"], &result["decide"]), (&json!([]), &json!([])));
    let text = run_well(&["audit", "compare"], folder.path(), &variables);
    assert!(text.ends_with("corruption source: none"), "{text}");
}

#[test]
fn fail_7_a_journal_that_differs_is_named_and_restored_from_the_copies_that_agree() {
    let stopped = Stopped::new().hurt(2);
    let before = stopped.contents();
    let (result, code) = stopped.compare();
    assert_eq!((&result["valid"], code), (&json!(false), 1), "{result}");
    assert_eq!(result["corruption_source"], "primary");
    let bad = &result["shards"][0]["sources"]["primary"];
    assert_eq!(bad["fault"], "damaged");
    let export = fs::read_to_string(stopped.export()).unwrap();
    let lines = export
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut hurt = lines.filter(|line| line["commit"].to_string().contains("mark-2-mark"));
    assert_eq!(bad["first_bad"], hurt.next().unwrap()["seq"]);

    let (planned, code) = stopped.repair("--dry-run");
    assert_eq!((&planned["recovered"], code), (&json!(false), 1), "{planned}");
    assert!(!planned["actions"].as_array().unwrap().is_empty());
    assert_eq!(stopped.contents(), before, "a dry run changes nothing");

    let (result, code) = stopped.repair("--apply");
    assert_eq!(code, 0, "{result}");
    assert_eq!(
        (
            &result["valid"],
            &result["corruption_source"],
            &result["recovered"]
        ),
        (&json!(false), &json!("primary"), &json!(true))
    );
    assert_eq!(result["actions"], planned["actions"]);
    let kept = Path::new(result["kept"][0].as_str().unwrap());
    assert_eq!(
        fs::read(kept.join("journal.db")).unwrap(),
        before[&stopped.data.path().join("journal.db")]
    );
    run_well(&["audit", "verify"], stopped.data.path(), &[]);
    let (result, code) = stopped.compare();
    assert_eq!((&result["valid"], code), (&json!(true), 0), "{result}");
    stopped.assert_all_there();
}

#[test]
fn fail_7_a_journal_that_lost_its_end_or_is_gone_is_restored_as_far_as_was_signed() {
    let stopped = Stopped::new();
    let earlier = tempfile::tempdir().unwrap();
    copy(stopped.data.path(), earlier.path());
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        let path = stopped.data.path().join(name);
        if path.exists() {
            fs::remove_file(path).unwrap();
        }
    }
    let (result, code) = stopped.repair("--apply");
    assert_eq!(
        (&result["corruption_source"], &result["recovered"], code),
        (&json!("primary"), &json!(true), 0),
        "{result}"
    );
    stopped.assert_all_there();
    // The journal of before the last payments, without anything else that could tell.
    let later = fs::read(only_file(&stopped.replica())).unwrap();
    let behind = Stopped {
        data: earlier,
        ..stopped
    };
    let (result, code) = behind.repair("--dry-run");
    assert_eq!(
        (&result["corruption_source"], code),
        (&json!("primary"), 1),
        "{result}"
    );
    assert_eq!(result["shards"][0]["sources"]["primary"]["fault"], "cut");
    let (result, code) = behind.repair("--apply");
    assert_eq!((&result["recovered"], code), (&json!(true), 0), "{result}");
    assert_eq!(fs::read(only_file(&behind.replica())).unwrap(), later);
    let dev = Dev::start(behind.data.path(), &[]);
    assert_eq!(dev.merchant().read_all("/v1/payments").len(), PAYMENTS + 2);
    dev.stop();
}

#[test]
fn fail_8_several_copies_that_differ_stop_for_an_operator_and_one_bad_copy_is_made_again() {
    let stopped = Stopped::new();
    // What the journal is not to blame for: its copies are made again from it.
    let files = [
        ("replica", only_file(&stopped.replica())),
        ("audit", stopped.export()),
    ];
    for (name, file) in &files {
        let whole = fs::read(file).unwrap();
        flip(file);
        let (result, code) = stopped.repair("--apply");
        assert_eq!(code, 0, "{result}");
        assert_eq!(
            (&result["corruption_source"], &result["recovered"]),
            (&json!(name), &json!(true))
        );
        assert_eq!(fs::read(file).unwrap(), whole, "{name}");
        let kept = Path::new(result["kept"][0].as_str().unwrap());
        assert_ne!(fs::read(kept).unwrap(), whole, "{name}");
        fs::remove_file(kept).unwrap();
    }
    let stopped = stopped.hurt(1);
    flip(&files[0].1);
    let before = stopped.contents();
    let (result, code) = stopped.compare();
    assert_eq!(
        (&result["corruption_source"], code),
        (&json!("multiple"), 1),
        "{result}"
    );
    for how in ["--dry-run", "--apply"] {
        let finished = stopped.run(&["repair", how]);
        assert!(finished.stderr.contains("repair_needs_operator"), "{finished:?}");
        let (result, code) = said(&finished);
        assert_eq!(code, 3, "{result}");
        assert_eq!(
            (
                &result["valid"],
                &result["corruption_source"],
                &result["recovered"]
            ),
            (&json!(false), &json!("multiple"), &json!(false))
        );
        let decide = result["decide"].to_string();
        for part in [
            "more than one copy is wrong",
            "primary: damaged at commit",
            "replica: damaged at commit",
        ] {
            assert!(decide.contains(part), "{part}: {decide}");
        }
        assert_eq!(stopped.contents(), before, "nothing is touched");
    }
}

#[test]
fn a_replica_of_another_node_or_a_place_that_cannot_be_written_stops_no_payment() {
    let replica = tempfile::tempdir().unwrap();
    let variables = [("FLORIN_JOURNAL_REPLICA_DIR", replica.path().to_str().unwrap())];
    let (_other, dev) = Dev::fresh(&variables);
    make_payments(&dev, 2);
    dev.stop();
    let file = only_file(replica.path());
    let before = fs::read(&file).unwrap();
    let not_a_folder = file.join("below");
    let cases = [
        (replica.path().to_owned(), "replica_diverged"),
        (not_a_folder, "replica_failing"),
    ];
    for (place, alert) in cases {
        let (_folder, dev) = Dev::fresh(&[("FLORIN_JOURNAL_REPLICA_DIR", place.to_str().unwrap())]);
        let expected = format!("florin_alerts_total{{alert=\"{alert}\"}} 1");
        wait_for("the alert", || {
            let metrics = dev.operator().get("/metrics").expect(200);
            metrics.text().contains(&expected).then_some(())
        });
        dev.pay("goes-on", &sale(500, "USD")).expect(200);
        dev.stop();
        assert_eq!(fs::read(&file).unwrap(), before, "nothing of it is touched");
    }
}

#[test]
fn every_shard_has_a_replica_and_is_compared_and_repaired_for_itself() {
    let copies = tempfile::tempdir().unwrap();
    let replica = copies.path().join("replica");
    let variables = [
        ("FLORIN_JOURNAL_REPLICA_DIR", replica.to_str().unwrap()),
        ("FLORIN_JOURNAL_SHARDS", "2"),
    ];
    let (folder, dev) = Dev::fresh(&variables);
    make_payments(&dev, 4);
    dev.stop();
    let compare = || said(&run(&["audit", "compare", "--json"], folder.path(), &variables));
    let (result, code) = compare();
    assert_eq!((&result["valid"], code), (&json!(true), 0), "{result}");
    let shards = result["shards"].as_array().unwrap();
    assert_eq!(shards.len(), 2);
    for (number, shard) in shards.iter().enumerate() {
        let sources = &shard["sources"];
        assert_eq!(shard["shard"], number);
        assert_eq!(sources["replica"]["records"], sources["primary"]["records"]);
    }
    // The one with the payments.
    let number = shards
        .iter()
        .position(|shard| shard["views"]["payments"] != 0)
        .unwrap();
    let journal = match number {
        0 => folder.path().join("journal.db"),
        _ => folder.path().join("shards/0001/journal.db"),
    };
    fs::remove_file(&journal).unwrap();
    let (broken, _) = compare();
    let found: Vec<&Value> = broken["shards"]
        .as_array()
        .unwrap()
        .iter()
        .map(|shard| &shard["corruption_source"])
        .collect();
    assert_eq!(found[number], "primary");
    assert_eq!(found[1 - number], "none");
    let repaired = run(&["repair", "--apply", "--json"], folder.path(), &variables);
    let (repaired, code) = said(&repaired);
    assert_eq!((&repaired["recovered"], code), (&json!(true), 0), "{repaired}");
    let (after, _) = compare();
    assert_eq!(
        after["shards"][number]["sources"],
        result["shards"][number]["sources"]
    );
    let dev = Dev::start(folder.path(), &variables);
    dev.pay("after", &sale(500, "USD")).expect(200);
    dev.stop();
}

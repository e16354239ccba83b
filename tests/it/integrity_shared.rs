//! Three copies of a journal in a database: the primary, its standby, and an export. Real servers, of which one follows the other; what they have stored
//! is changed in their files, as by a disk that fails, or as a superuser.

use crate::deployment::sale;
use crate::process::Finished;
use crate::repair::flip;
use crate::takeover::{Pair, keys};
use florin_services::Replicated;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

const TABLE: &str = "florin.commit_record";

/// What the first node is asked to charge.
const PAYMENTS: u64 = 4;

/// Two nodes that are stopped, of which the first has taken payments; a database with a standby that has everything, and an export.
struct Copies {
    pair: Pair,
    servers: Replicated,
    key: String,
    export: PathBuf,
}

impl Copies {
    fn new() -> Self {
        let servers = Replicated::start().unwrap();
        let mut pair = Pair::new();
        pair.more = vec![
            ("FLORIN_DATABASE_URL", servers.primary_url()),
            ("FLORIN_DATABASE_REPLICA_URL", servers.standby_url()),
        ];
        let (key, _) = keys(&pair);
        let export = pair.elsewhere.path().join("export.jsonl");
        let copies = Self {
            pair,
            servers,
            key,
            export,
        };
        copies.pays(0..PAYMENTS);
        copies.exports();
        copies.servers.caught_up().unwrap();
        copies
    }

    /// Starts the first node for some payments.
    fn pays(&self, numbers: std::ops::Range<u64>) {
        let node = self.pair.start_first(0);
        for number in numbers {
            let key = format!("mark-{number}-mark");
            let caller = self.pair.caller(0, &self.key);
            caller.pay(&key, &sale(500 + number, "EUR")).expect(200);
        }
        node.stop();
    }

    fn exports(&self) {
        let out = self.export.to_str().unwrap();
        self.pair.run(0, &["audit", "export", "--out", out]);
    }

    fn run(&self, command: &[&str]) -> Finished {
        let copies = ["--json", "--export", self.export.to_str().unwrap()];
        self.pair.finished(0, &[command, &copies].concat())
    }

    fn compare(&self) -> (Value, i32) {
        said(&self.run(&["audit", "compare"]))
    }

    fn repair(&self, how: &str) -> (Value, i32) {
        said(&self.run(&["repair", how]))
    }

    /// The commits that say this, by the export.
    fn commits_with(&self, mark: &str) -> Vec<u64> {
        let text = fs::read_to_string(&self.export).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .filter(|line| line["commit"].to_string().contains(mark))
            .map(|line| line["seq"].as_u64().unwrap())
            .collect()
    }

    /// All that the primary has stored of the journal.
    fn rows(&self) -> String {
        let sql = format!("SELECT * FROM {TABLE} ORDER BY shard, seq");
        let heads = "SELECT id, head, hash FROM florin.shard ORDER BY id";
        [sql.as_str(), heads]
            .map(|sql| self.servers.query(sql).unwrap())
            .concat()
    }

    /// Changes rows of the primary as a superuser, behind the trigger.
    fn tampers(&self, sql: &str) {
        let sql = format!("SET session_replication_role = replica; {sql}");
        self.servers.query(&sql).unwrap();
    }

    fn has_kept(&self) -> bool {
        let sql = "SELECT to_regclass('florin.damaged_record') IS NOT NULL";
        self.servers.query(sql).unwrap().trim() == "t"
    }
}

#[track_caller]
fn said(finished: &Finished) -> (Value, i32) {
    let result = serde_json::from_str(&finished.stdout);
    let result = result.unwrap_or_else(|error| panic!("{error}: {finished:?}"));
    (result, finished.status.code().unwrap())
}

#[track_caller]
fn assert_blames(source: &str, (result, code): &(Value, i32)) {
    let valid = source == "none";
    assert_eq!(
        (&result["corruption_source"], &result["valid"], *code),
        (&json!(source), &json!(valid), i32::from(!valid)),
        "{result}"
    );
}

fn of<'a>(result: &'a Value, source: &str) -> &'a Value {
    &result["shards"][0]["sources"][source]
}

/// Changes a bit of the record behind the first one; done twice, it is as it was.
const TURN_A_BIT: &str = "UPDATE florin.commit_record SET bytes = set_byte(bytes, 9, get_byte(bytes, 9) # 1) WHERE shard = 0 AND seq = 2";

#[test]
fn fail_5_postgres_primary_its_standby_and_an_export_are_compared_record_by_record() {
    let mut copies = Copies::new();
    let compared = copies.compare();
    assert_blames("none", &compared);
    let shard = &compared.0["shards"][0];
    let sources = shard["sources"].as_object().unwrap();
    let names: Vec<&String> = sources.keys().collect();
    assert_eq!(names, ["audit", "primary", "replica"]);
    let end: u64 = {
        let end = copies.servers.query("SELECT head FROM florin.shard").unwrap();
        end.trim().parse().unwrap()
    };
    for (name, source) in sources {
        assert_eq!(source["records"], end, "{name}");
        assert_eq!(source["hash"], sources["primary"]["hash"], "{name}");
        assert_eq!(source["fault"], Value::Null, "{name}");
    }
    assert_eq!(shard["signed"], end);
    assert_eq!(shard["views"]["payments"], PAYMENTS);
    // Each of them is named when it is the one that differs, and where it does.
    let whole = fs::read(&copies.export).unwrap();
    flip(&copies.export);
    assert_blames("audit", &copies.compare());
    fs::write(&copies.export, whole).unwrap();

    copies.servers.hold_standby_back().unwrap();
    copies.tampers(TURN_A_BIT);
    let compared = copies.compare();
    assert_blames("primary", &compared);
    let primary = of(&compared.0, "primary");
    assert_eq!(
        (&primary["fault"], &primary["first_bad"]),
        (&json!("damaged"), &json!(2))
    );
    copies.tampers(TURN_A_BIT);
    copies.servers.caught_up().unwrap();
    assert_blames("none", &copies.compare());

    copies.servers.rot_standby(TABLE, "mark-1-mark").unwrap();
    let compared = copies.compare();
    assert_blames("replica", &compared);
    let first_bad = of(&compared.0, "replica")["first_bad"].as_u64().unwrap();
    assert!(
        copies.commits_with("mark-1-mark").contains(&first_bad),
        "{compared:?}"
    );
    copies.pair.provider.stop();
}

#[test]
fn fail_6_postgres_copies_that_all_match_are_valid_also_while_a_node_runs_and_a_standby_is_behind() {
    let copies = Copies::new();
    copies.servers.hold_standby_back().unwrap();
    let node = copies.pair.start_first(0);
    let caller = copies.pair.caller(0, &copies.key);
    caller.pay("behind", &sale(700, "EUR")).expect(200);
    let compared = copies.compare();
    assert_blames("none", &compared);
    let records = |source| of(&compared.0, source)["records"].as_u64().unwrap();
    assert!(records("replica") < records("primary"), "{compared:?}");
    assert!(records("audit") < records("primary"), "{compared:?}");
    copies.servers.caught_up().unwrap();
    let compared = copies.compare();
    assert_blames("none", &compared);
    let records = |source| of(&compared.0, source)["records"].as_u64().unwrap();
    assert!(records("replica") > records("audit"), "{compared:?}");
    node.stop();
    // What is no standby of this journal is no copy of it.
    let not_a_standby = copies.servers.primary_url();
    let other = copies.pair.database.url().to_owned();
    for (url, expected) in [
        (not_a_standby.as_str(), "it takes writes by itself"),
        (other.as_str(), "it has no journal of Florin's"),
        ("postgres://florin@127.0.0.1:1/none", "cannot be the replica"),
        ("nonsense", "is not understood"),
    ] {
        let refused = copies.run(&["audit", "compare", "--replica-url", url]);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(refused.stderr.contains(expected), "{expected}: {refused:?}");
        assert!(refused.stdout.is_empty(), "nothing is said about it: {refused:?}");
    }
    copies.pair.provider.stop();
}

#[test]
fn fail_7_postgres_a_primary_that_differs_is_restored_from_the_copies_that_agree() {
    let mut copies = Copies::new();
    copies.servers.rot_primary(TABLE, "mark-2-mark").unwrap();
    let compared = copies.compare();
    assert_blames("primary", &compared);
    let first_bad = of(&compared.0, "primary")["first_bad"].as_u64().unwrap();
    assert!(
        copies.commits_with("mark-2-mark").contains(&first_bad),
        "{compared:?}"
    );
    for source in ["replica", "audit"] {
        assert_eq!(of(&compared.0, source)["fault"], Value::Null);
    }
    let damaged = copies.rows();
    let (planned, code) = copies.repair("--dry-run");
    assert_eq!((&planned["recovered"], code), (&json!(false), 1), "{planned}");
    assert!(!planned["actions"].as_array().unwrap().is_empty());
    assert_eq!(copies.rows(), damaged, "a dry run changes nothing");
    assert!(!copies.has_kept());

    // Not while a node has the shards, whichever.
    copies
        .servers
        .query("UPDATE florin.shard SET owner = 'x', node = 'west', lease_until = '9999-01-01'")
        .unwrap();
    let refused = copies.run(&["repair", "--apply"]);
    assert!(
        refused.stderr.contains("the node `west` has the shards"),
        "{refused:?}"
    );
    copies
        .servers
        .query("UPDATE florin.shard SET owner = '', lease_until = '-infinity'")
        .unwrap();
    assert_eq!(copies.rows(), damaged);

    let (result, code) = copies.repair("--apply");
    assert_eq!(
        (
            &result["valid"],
            &result["corruption_source"],
            &result["recovered"],
            code
        ),
        (&json!(false), &json!("primary"), &json!(true), 0),
        "{result}"
    );
    assert_eq!(result["actions"], planned["actions"]);
    let kept = result["kept"].to_string();
    assert!(kept.contains("1 records in florin.damaged_record"), "{kept}");
    let same = format!(
        "SELECT kept.seq, kept.hash = now.hash, kept.bytes = now.bytes FROM florin.damaged_record AS kept JOIN {TABLE} AS now USING (shard, seq)"
    );
    let same = copies.servers.query(&same).unwrap();
    assert_eq!(same.trim(), format!("{first_bad}|t|f"));
    // The standby has got what was restored, and the table is as well guarded as before.
    copies.servers.caught_up().unwrap();
    assert_blames("none", &copies.compare());
    copies.pair.run(0, &["audit", "verify"]);
    let guarded = copies.servers.query(TURN_A_BIT).unwrap_err().to_string();
    assert!(guarded.contains("never changed or deleted"), "{guarded}");
    let (again, code) = copies.repair("--apply");
    assert_eq!((&again["actions"], code), (&json!([]), 0), "{again}");

    let node = copies.pair.start_first(0);
    let caller = copies.pair.caller(0, &copies.key);
    assert_eq!(caller.read_all("/v1/payments").len() as u64, PAYMENTS);
    let again = caller.pay("mark-2-mark", &sale(502, "EUR")).expect(200);
    assert!(again.is_replay(), "{again:?}");
    caller.pay("after", &sale(900, "EUR")).expect(200);
    node.stop();
    copies.pair.provider.stop();
}

#[test]
fn fail_8_postgres_several_copies_that_differ_or_a_bad_standby_stop_for_an_operator() {
    let mut copies = Copies::new();
    copies.servers.rot_standby(TABLE, "mark-1-mark").unwrap();
    let finished = copies.run(&["repair", "--apply"]);
    let (result, code) = said(&finished);
    assert_eq!(
        (&result["corruption_source"], &result["recovered"], code),
        (&json!("replica"), &json!(false), 3),
        "{result}"
    );
    let decide = result["decide"].to_string();
    assert!(decide.contains("nothing can be written to a standby"), "{decide}");
    assert!(finished.stderr.contains("repair_needs_operator"), "{finished:?}");

    copies.servers.rot_primary(TABLE, "mark-1-mark").unwrap();
    assert_blames("multiple", &copies.compare());
    let before = copies.rows();
    for how in ["--dry-run", "--apply"] {
        let finished = copies.run(&["repair", how]);
        let (result, code) = said(&finished);
        assert_eq!(
            (
                &result["valid"],
                &result["corruption_source"],
                &result["recovered"],
                code
            ),
            (&json!(false), &json!("multiple"), &json!(false), 3),
            "{result}"
        );
        assert!(finished.stderr.contains("repair_needs_operator"), "{finished:?}");
        let decide = result["decide"].to_string();
        for part in [
            "more than one copy is wrong",
            "primary: damaged at commit",
            "replica: damaged at commit",
        ] {
            assert!(decide.contains(part), "{part}: {decide}");
        }
    }
    assert_eq!(copies.rows(), before, "nothing is touched");
    assert!(!copies.has_kept());
    copies.pair.provider.stop();
}

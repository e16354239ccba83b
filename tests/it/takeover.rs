//! Two processes on one database: one takes payments, the other waits and takes its place when it is no longer heard of. Whatever happens to the first,
//! nothing that was acknowledged is lost and nothing is charged twice.

use crate::cli::write_config;
use crate::deployment::{Caller, PATIENT, charges, sale, with_method};
use crate::http::Client;
use crate::process::{Finished, Process, command, lasting_address, run, run_well, wait_for};
use crate::recovery::{Load, OFTEN, assert_nothing_lost_and_nothing_doubled, start_sandbox};
use florin_services::TestDatabase;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use tempfile::TempDir;

const NAMES: [&str; 2] = ["east", "west"];

/// Exit code of a process that must not go on.
const FATAL: i32 = 70;

/// A database, a provider, and two nodes with folders of their own.
pub(crate) struct Pair {
    pub(crate) database: TestDatabase,
    pub(crate) folders: [TempDir; 2],
    pub(crate) addresses: [SocketAddr; 2],
    pub(crate) elsewhere: TempDir,
    pub(crate) provider: Process,
    sandbox: SocketAddr,
    config: PathBuf,
    /// Variables of both, the later of which win.
    pub(crate) more: Vec<(&'static str, String)>,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let elsewhere = tempfile::tempdir().unwrap();
        let (provider, sandbox) = start_sandbox(elsewhere.path(), lasting_address());
        let config = write_config(elsewhere.path(), sandbox);
        Self {
            database: TestDatabase::new().unwrap(),
            folders: [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()],
            addresses: [lasting_address(), lasting_address()],
            elsewhere,
            provider,
            sandbox,
            config,
            more: Vec::new(),
        }
    }

    /// A command for a node, which listens at its own address.
    fn with_variables<T>(&self, node: usize, run: impl FnOnce(&[(&str, &str)]) -> T) -> T {
        let listen = self.addresses[node].to_string();
        let own = [
            ("FLORIN_LISTEN", listen.as_str()),
            ("FLORIN_DATABASE_URL", self.database.url()),
            ("FLORIN_DATABASE_NODE", NAMES[node]),
            ("FLORIN_DATABASE_LEASE_MS", "1500"),
            ("FLORIN_BREAKER_OPEN_MS", "1"),
        ];
        let more: Vec<(&str, &str)> = self
            .more
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        run(&[&PATIENT[..], &OFTEN[..], &own[..], &more[..]].concat())
    }

    pub(crate) fn run(&self, node: usize, arguments: &[&str]) -> String {
        self.with_variables(node, |variables| {
            run_well(arguments, self.folders[node].path(), variables)
        })
    }

    pub(crate) fn finished(&self, node: usize, arguments: &[&str]) -> Finished {
        self.with_variables(node, |variables| {
            run(arguments, self.folders[node].path(), variables)
        })
    }

    pub(crate) fn charges(&self) -> Vec<Value> {
        charges(self.sandbox)
    }

    pub(crate) fn start(&self, node: usize) -> Process {
        self.with_variables(node, |variables| {
            let arguments = ["serve", "--config", self.config.to_str().unwrap()];
            Process::start(&mut command(&arguments, self.folders[node].path(), variables))
        })
    }

    pub(crate) fn start_first(&self, node: usize) -> Process {
        let mut process = self.start(node);
        process.says("that it takes payments", taking_payments);
        process
    }

    pub(crate) fn start_second(&self, node: usize) -> Process {
        let mut process = self.start(node);
        process.says("that another node has the shards", |line| {
            said(line, "another node has the shards; this one waits for them")
        });
        process
    }

    pub(crate) fn caller(&self, node: usize, key: &str) -> Caller {
        Caller::new(self.addresses[node], key)
    }
}

pub(crate) fn said(line: &str, message: &str) -> Option<()> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["fields"]["message"] == message).then_some(())
}

pub(crate) fn taking_payments(line: &str) -> Option<()> {
    said(line, "taking payments")
}

/// A merchant's and an operator's key.
pub(crate) fn keys(pair: &Pair) -> (String, String) {
    let merchant = pair.run(0, &["merchant", "create", "--name", "Shop"]);
    let key = pair.run(0, &["key", "create", "--merchant", &merchant]);
    // What every node must have the same of.
    let name = "audit_key.secret";
    std::fs::copy(
        pair.folders[0].path().join(name),
        pair.folders[1].path().join(name),
    )
    .unwrap();
    (key, pair.run(0, &["key", "create"]))
}

#[test]
fn a_node_that_waits_says_where_the_other_one_is_and_takes_its_place_when_that_stops() {
    let pair = Pair::new();
    let (key, _) = keys(&pair);
    let first = pair.start_first(0);
    let answer = pair.caller(0, &key).pay("k", &sale(500, "USD")).expect(200);
    let mut second = pair.start_second(1);

    let refused = pair.caller(1, &key).pay("k", &sale(500, "USD"));
    assert_eq!(
        (refused.status, refused.error("code").as_str()),
        (503, "not_owner")
    );
    let first_url = format!("http://{}", pair.addresses[0]);
    assert_eq!(refused.header("florin-owner"), Some(first_url.as_str()));
    let ready = Client::new(pair.addresses[1])
        .send("GET", "/readyz", &[], b"")
        .unwrap();
    assert_eq!((ready.status, &ready.json()["reason"]), (503, &"standby".into()));

    first.stop();
    second.says("that it takes payments", taking_payments);
    let again = pair.caller(1, &key).pay("k", &sale(500, "USD"));
    assert!(again.is_replay(), "{again:?}");
    assert_eq!((again.status, again.text()), (200, answer.text()));
    second.stop();
    pair.provider.stop();
}

#[test]
fn a_node_that_is_stopped_while_it_recovers_ends_well_and_lets_go_of_the_shards() {
    let mut pair = Pair::new();
    let (key, _) = keys(&pair);
    let first = pair.start_first(0);
    pair.caller(0, &key).pay("k", &sale(500, "USD")).expect(200);
    // Longer than anybody here waits: only what is let go of can be taken.
    pair.more.push(("FLORIN_DATABASE_LEASE_MS", "600000".to_owned()));
    let mut second = pair.start_second(1);
    // Nobody reads the journal meanwhile.
    let lock = "BEGIN; LOCK TABLE florin.commit_record IN ACCESS EXCLUSIVE MODE";
    let shut = pair.database.session(lock).unwrap();
    first.kill_9();
    second.says("that it has the shards", |line| {
        said(line, "the shards are ours now")
    });
    second.terminate();
    let status = second.wait();
    let (_, log) = second.output();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        log.contains("stopped while starting") && !log.contains("taking payments"),
        "{log}"
    );
    drop(shut);
    let first = pair.start_first(0);
    assert!(pair.caller(0, &key).pay("k", &sale(500, "USD")).is_replay());
    first.stop();
    pair.provider.stop();
}

#[test]
fn nodes_that_are_killed_under_load_are_replaced_and_nothing_is_lost_or_doubled() {
    let pair = Pair::new();
    let (key, operator) = keys(&pair);
    let mut owner = 0;
    let mut first = pair.start_first(owner);
    let load = Load::start(pair.addresses[owner], &key);
    for _ in 0..4 {
        load.wait_for_more(40);
        let mut second = pair.start_second(1 - owner);
        first.kill_9();
        owner = 1 - owner;
        load.move_to(pair.addresses[owner]);
        second.says("that it takes payments", taking_payments);
        first = second;
    }
    load.wait_for_more(40);
    let acknowledged = load.finish();
    let parties = (
        &pair.caller(owner, &key),
        &pair.caller(owner, &operator),
        pair.sandbox,
    );
    assert_nothing_lost_and_nothing_doubled(&acknowledged, parties);
    first.stop();
    pair.provider.stop();
}

#[test]
fn a_node_that_was_stopped_for_longer_than_its_lease_is_fenced_and_ends() {
    let pair = Pair::new();
    let (key, operator) = keys(&pair);
    let other = pair.run(0, &["merchant", "create", "--name", "Bystander"]);
    let bystander = pair.run(0, &["key", "create", "--merchant", &other]);
    let mut owner = 0;
    let mut first = pair.start_first(owner);
    let load = Load::start(pair.addresses[owner], &key);
    for round in 0..2 {
        load.wait_for_more(60);
        let mut second = pair.start_second(1 - owner);
        first.signal("-STOP");
        load.move_to(pair.addresses[1 - owner]);
        second.says("that it takes payments", taking_payments);
        // The clients wait for the one that was stopped; somebody else goes on meanwhile, and is declined, so that no charge is theirs.
        for number in 0..5 {
            let caller = pair.caller(1 - owner, &bystander);
            let body = with_method("pm_card_visa_chargeDeclined");
            caller.pay(&format!("{round}-{number}"), &body).expect(402);
        }
        first.signal("-CONT");
        // Until it has ended it answers nothing from what it remembers.
        let zombie = pair.addresses[owner];
        let authorization = format!("Bearer {key}");
        let ended = wait_for("the end of the fenced node", || {
            let headers = [("Authorization", authorization.as_str())];
            if let Ok(answer) = Client::new(zombie).send("GET", "/v1/payments", &headers, b"") {
                assert_eq!(answer.status, 503, "{answer:?}");
            }
            first.has_ended().then(|| first.wait())
        });
        assert_eq!(ended.code(), Some(FATAL), "{:?}", first.said_so_far());
        owner = 1 - owner;
        first = second;
    }
    load.wait_for_more(40);
    let acknowledged = load.finish();
    let parties = (
        &pair.caller(owner, &key),
        &pair.caller(owner, &operator),
        pair.sandbox,
    );
    assert_nothing_lost_and_nothing_doubled(&acknowledged, parties);
    first.stop();
    pair.provider.stop();
}

#[test]
fn two_nodes_of_one_name_and_a_folder_of_another_journal_are_refused() {
    let pair = Pair::new();
    let (key, _) = keys(&pair);
    let first = pair.start_first(0);
    pair.caller(0, &key).pay("k", &sale(500, "USD")).expect(200);
    let listen = lasting_address().to_string();
    let variables = [
        ("FLORIN_LISTEN", listen.as_str()),
        ("FLORIN_DATABASE_URL", pair.database.url()),
        ("FLORIN_DATABASE_NODE", NAMES[0]),
        ("FLORIN_DATABASE_LEASE_MS", "1500"),
    ];
    let refused = |folder: &std::path::Path, arguments: &[&str], variables: &[(&str, &str)]| {
        let finished = run(arguments, folder, variables);
        assert!(!finished.status.success(), "{finished:?}");
        finished.stderr
    };
    let serve = ["serve", "--config", pair.config.to_str().unwrap()];
    let same_name = refused(pair.folders[1].path(), &serve, &variables);
    assert!(
        same_name.contains("another process that calls itself `east`"),
        "{same_name}"
    );
    // A command has nobody to wait for.
    let held = refused(pair.folders[1].path(), &["key", "create"], &variables);
    assert!(
        held.contains("has the shards") && held.contains("stop it first"),
        "{held}"
    );
    let stranger = tempfile::tempdir().unwrap();
    let other_key = refused(stranger.path(), &["key", "create"], &variables);
    assert!(
        other_key.contains("another audit_key.secret than the nodes before it"),
        "{other_key}"
    );
    first.stop();

    let without = refused(pair.folders[0].path(), &["key", "create"], &[]);
    assert!(
        without.contains("is in a database: set `database.url`"),
        "{without}"
    );
    let embedded = tempfile::tempdir().unwrap();
    run_well(&["key", "create"], embedded.path(), &[]);
    let behind = refused(embedded.path(), &["key", "create"], &variables);
    assert!(behind.contains("has an embedded journal"), "{behind}");
    let other = TestDatabase::new().unwrap();
    let elsewhere = [("FLORIN_DATABASE_URL", other.url())];
    let other = refused(pair.folders[0].path(), &["key", "create"], &elsewhere);
    assert!(other.contains("belongs to the journal"), "{other}");
    let unreachable = [(
        "FLORIN_DATABASE_URL",
        "postgres://ada:lovelace@127.0.0.1:1/florin",
    )];
    let unreachable = refused(pair.folders[1].path(), &["key", "create"], &unreachable);
    assert!(
        unreachable.contains("the database at 127.0.0.1:1/florin cannot be reached")
            && !unreachable.contains("lovelace"),
        "{unreachable}"
    );
    pair.provider.stop();
}

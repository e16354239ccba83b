//! Nodes on a shared store whose nodes and servers are killed, stopped and replaced under load: each run is written down, and a checker that knows none of
//! our code compares what clients were answered, what the provider charged, the books and the journal (`tests/store_check`). The last run is made
//! without the fence, and must be found.
//!
//! - `copies`: caches in a Redis that fails; `crowd`: no connection is left for a node; `silence`: a way to the database that swallows everything; `clocks`: nodes whose clocks are wrong.

mod clocks;
mod copies;
mod crowd;
mod silence;

use crate::cli::write_config;
use crate::deployment::{Caller, PATIENT, charges, sale};
use crate::http::Client;
use crate::process::{Process, command, lasting_address, run_well, wait_for};
use crate::recovery::{Acknowledged, Load, OFTEN, start_sandbox};
use florin_services::{Replicated, TestDatabase};
use florin_store_check::{Verdict, check};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const NAMES: [&str; 2] = ["north", "south"];

/// Exit code of a process that must not go on.
const FATAL: i32 = 70;

/// Answers between two troubles.
const ANSWERS: usize = 40;

/// All records, as the checker reads them.
const RECORDS: &str = "SELECT json_build_object('shard', shard, 'seq', seq, 'epoch', epoch,
    'hash', encode(hash, 'hex'), 'bytes', encode(bytes, 'hex')) FROM florin.commit_record ORDER BY shard, seq";

/// A provider, and two nodes with folders of their own on one database.
struct Nodes {
    url: String,
    /// Variables of each, which win.
    own: [Vec<(&'static str, String)>; 2],
    folders: [TempDir; 2],
    addresses: [SocketAddr; 2],
    _elsewhere: TempDir,
    provider: Process,
    sandbox: SocketAddr,
    config: PathBuf,
    key: String,
    processes: [Option<Process>; 2],
    /// Nodes that ended because another one had their shards, or might have.
    fenced: usize,
}

impl Nodes {
    fn new(url: &str) -> Self {
        let elsewhere = tempfile::tempdir().unwrap();
        let (provider, sandbox) = start_sandbox(elsewhere.path(), lasting_address());
        let config = write_config(elsewhere.path(), sandbox);
        let mut nodes = Self {
            url: url.to_owned(),
            own: [Vec::new(), Vec::new()],
            folders: [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()],
            addresses: [lasting_address(), lasting_address()],
            _elsewhere: elsewhere,
            provider,
            sandbox,
            config,
            key: String::new(),
            processes: [None, None],
            fenced: 0,
        };
        let merchant = nodes.run(&["merchant", "create", "--name", "Shop"]);
        nodes.key = nodes.run(&["key", "create", "--merchant", &merchant]);
        let name = "audit_key.secret";
        fs::copy(
            nodes.folders[0].path().join(name),
            nodes.folders[1].path().join(name),
        )
        .unwrap();
        nodes
    }

    fn with_variables<T>(&self, node: usize, run: impl FnOnce(&[(&str, &str)]) -> T) -> T {
        let listen = self.addresses[node].to_string();
        let own = [
            ("FLORIN_LISTEN", listen.as_str()),
            ("FLORIN_DATABASE_URL", self.url.as_str()),
            ("FLORIN_DATABASE_NODE", NAMES[node]),
            ("FLORIN_DATABASE_LEASE_MS", "1500"),
            ("FLORIN_BREAKER_OPEN_MS", "1"),
        ];
        let of_node: Vec<(&str, &str)> = self.own[node]
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        run(&[&PATIENT[..], &OFTEN[..], &own[..], &of_node[..]].concat())
    }

    fn run(&self, arguments: &[&str]) -> String {
        self.with_variables(0, |variables| {
            run_well(arguments, self.folders[0].path(), variables)
        })
    }

    fn start(&mut self, node: usize) {
        let process = self.with_variables(node, |variables| {
            let arguments = ["serve", "--config", self.config.to_str().unwrap()];
            Process::start(&mut command(&arguments, self.folders[node].path(), variables))
        });
        self.processes[node] = Some(process);
    }

    fn node(&mut self, node: usize) -> &mut Process {
        self.processes[node].as_mut().expect("it was started")
    }

    /// Starts a node again that has ended, as a supervisor of the system does.
    fn supervise(&mut self) {
        for node in 0..2 {
            let Some(process) = &mut self.processes[node] else {
                continue;
            };
            if process.has_ended() {
                let ended = process.wait();
                self.fenced += usize::from(ended.code() == Some(FATAL));
                self.start(node);
            }
        }
    }

    fn ready(&self, node: usize) -> bool {
        let asked = Client::new(self.addresses[node]).send("GET", "/readyz", &[], b"");
        asked.is_ok_and(|answer| answer.status == 200)
    }

    /// Waits until one of the nodes takes payments, and says which.
    fn owner(&mut self) -> usize {
        wait_for("a node that takes payments", || {
            self.supervise();
            (0..2).find(|node| self.processes[*node].is_some() && self.ready(*node))
        })
    }

    /// Waits for so many more answers, wherever the shards are meanwhile; and then says where.
    fn go_on(&mut self, load: &Load, answers: usize) -> usize {
        let goal = load.answered() + answers;
        wait_for("answers", || {
            let owner = self.owner();
            load.move_to(self.addresses[owner]);
            (load.answered() >= goal).then_some(owner)
        })
    }

    fn caller(&self, node: usize) -> Caller {
        Caller::new(self.addresses[node], &self.key)
    }

    fn stop(mut self) {
        for process in self.processes.iter_mut().filter_map(Option::take) {
            process.stop();
        }
        self.provider.stop();
    }
}

/// Where runs are written down, if somebody wants to keep them.
fn run_folder(name: &str) -> (Option<TempDir>, PathBuf) {
    if let Some(kept) = std::env::var_os("FLORIN_STORE_TEST_FOLDER") {
        let folder = Path::new(&kept).join(name);
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).unwrap();
        return (None, folder);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    (Some(folder), path)
}

fn write(folder: &Path, name: &str, lines: &[Value]) {
    let text = lines.iter().fold(String::new(), |mut text, line| {
        writeln!(text, "{line}").unwrap();
        text
    });
    fs::write(folder.join(name), text).unwrap();
}

/// Writes a run down, and has it checked.
fn verdict(name: &str, acknowledged: &[Value], (nodes, owner): (&Nodes, usize), records: &str) -> Verdict {
    let (_temporary, folder) = run_folder(name);
    write(&folder, "acknowledged.jsonl", acknowledged);
    write(
        &folder,
        "payments.jsonl",
        &nodes.caller(owner).read_all("/v1/payments"),
    );
    write(&folder, "charges.jsonl", &charges(nodes.sandbox));
    fs::write(folder.join("records.jsonl"), records).unwrap();
    fs::write(folder.join("fenced"), nodes.fenced.to_string()).unwrap();
    let verdict = check(&folder).unwrap();
    println!("{name}: {verdict} fenced={}", nodes.fenced);
    verdict
}

fn answers(acknowledged: &HashMap<String, Acknowledged>) -> Vec<Value> {
    let answer = |(key, Acknowledged { answer, .. }): (&String, &Acknowledged)| {
        if answer.status == 200 {
            let payment = answer.json();
            json!({"key": key, "status": 200, "payment_id": payment["id"], "payment": payment})
        } else {
            json!({"key": key, "status": answer.status, "payment_id": answer.error("payment_id"), "payment": null})
        }
    };
    acknowledged.iter().map(answer).collect()
}

#[test]
fn nothing_is_lost_or_doubled_while_nodes_are_killed_and_stopped_in_turn() {
    let database = TestDatabase::new().unwrap();
    let mut nodes = Nodes::new(database.url());
    nodes.start(0);
    let first = nodes.owner();
    nodes.start(1);
    let load = Load::start(nodes.addresses[first], &nodes.key);
    for round in 0..4 {
        let owner = nodes.go_on(&load, ANSWERS);
        let other = 1 - owner;
        if round % 2 == 0 {
            nodes.processes[owner].take().unwrap().kill_9();
            load.move_to(nodes.addresses[other]);
            nodes.owner();
            nodes.start(owner);
        } else {
            nodes.node(owner).signal("-STOP");
            load.move_to(nodes.addresses[other]);
            wait_for("the other node to take payments", || {
                nodes.ready(other).then_some(())
            });
            nodes.node(owner).signal("-CONT");
            let before = nodes.fenced;
            wait_for("the end of the one that was stopped", || {
                nodes.supervise();
                (nodes.fenced > before).then_some(())
            });
        }
    }
    let owner = nodes.go_on(&load, ANSWERS);
    let acknowledged = load.finish();
    let records = database.query(RECORDS).unwrap();
    let verdict = verdict("nodes", &answers(&acknowledged), (&nodes, owner), &records);
    assert!(verdict.is_clean(), "{:#?}", verdict.findings);
    assert!(verdict.acknowledged > 5 * ANSWERS && nodes.fenced >= 2);
    nodes.stop();
}

#[test]
fn nothing_is_lost_or_doubled_when_the_database_is_killed_and_its_standby_promoted() {
    let mut servers = Replicated::start().unwrap();
    let mut nodes = Nodes::new(&servers.url());
    nodes.start(0);
    let owner = nodes.owner();
    nodes.start(1);
    let load = Load::start(nodes.addresses[owner], &nodes.key);
    load.wait_for_more(2 * ANSWERS);
    servers.kill_primary().unwrap();
    servers.promote().unwrap();
    let owner = nodes.go_on(&load, 2 * ANSWERS);
    let acknowledged = load.finish();
    let records = servers.query_standby(RECORDS).unwrap();
    let verdict = verdict("database", &answers(&acknowledged), (&nodes, owner), &records);
    assert!(verdict.is_clean(), "{:#?}", verdict.findings);
    assert!(verdict.acknowledged > 3 * ANSWERS);
    nodes.stop();
}

/// Two servers that both take writes: what only the old one has is acknowledged to nobody.
#[test]
fn nothing_is_lost_or_doubled_when_a_standby_is_promoted_while_its_primary_lives() {
    let mut servers = Replicated::start().unwrap();
    let mut nodes = Nodes::new(&servers.url());
    nodes.start(0);
    let owner = nodes.owner();
    nodes.start(1);
    let load = Load::start(nodes.addresses[owner], &nodes.key);
    load.wait_for_more(2 * ANSWERS);
    servers.promote().unwrap();
    wait_for("the end of the node whose commits nobody copies", || {
        nodes.supervise();
        (nodes.fenced > 0).then_some(())
    });
    servers.kill_primary().unwrap();
    let owner = nodes.go_on(&load, 2 * ANSWERS);
    let acknowledged = load.finish();
    let records = servers.query_standby(RECORDS).unwrap();
    let verdict = verdict("split", &answers(&acknowledged), (&nodes, owner), &records);
    assert!(verdict.is_clean(), "{:#?}", verdict.findings);
    assert!(verdict.acknowledged > 3 * ANSWERS);
    nodes.stop();
}

/// Takes the fence away: whoever asks gets the shards, whoever had them goes on, and what a batch finds in its place stays there.
const UNFENCED: &str = "
    CREATE OR REPLACE FUNCTION florin.take_shards(
        in_shards integer[], in_owner text, in_node text, in_url text, in_lease_ms bigint, in_epoch_min bigint
    ) RETURNS TABLE (shard integer, epoch bigint, head bigint, hash bytea, batch_id bytea)
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT id, epoch, head, hash, batch_id FROM florin.shard WHERE id = ANY (in_shards)
    $$;
    CREATE OR REPLACE FUNCTION florin.renew_shards(in_owner text, in_lease_ms bigint) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT count(*) FROM florin.shard $$;
    CREATE OR REPLACE FUNCTION florin.append_batch(
        in_shard integer, in_epoch bigint, in_head bigint, in_prev bytea, in_hash bytea, in_batch bytea, in_hashes bytea[], in_records bytea[],
        in_needs_copy boolean
    ) RETURNS smallint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        UPDATE florin.shard SET head = in_head + cardinality(in_records), hash = in_hash, batch_id = in_batch WHERE id = in_shard;
        INSERT INTO florin.commit_record (shard, seq, epoch, hash, bytes)
            SELECT in_shard, in_head + place, in_epoch, record_hash, record_bytes
            FROM unnest(in_hashes, in_records) WITH ORDINALITY AS record (record_hash, record_bytes, place)
            ON CONFLICT DO NOTHING;
        RETURN 0;
    END $$;";

/// What the fence is for, and that the checker would see it missing: two nodes that both believe to have the shards, asked for the same.
#[test]
fn without_the_fence_the_checker_finds_what_is_lost_and_doubled() {
    let database = TestDatabase::new().unwrap();
    let mut nodes = Nodes::new(database.url());
    nodes.start(0);
    assert_eq!(nodes.owner(), 0);
    database.query(UNFENCED).unwrap();
    nodes.start(1);
    wait_for("a second owner", || nodes.ready(1).then_some(()));
    let mut acknowledged = Vec::new();
    for number in 0..10 {
        let key = format!("control-{number}");
        let mut body = sale(100 + number, "USD");
        body["metadata"] = json!({"key": key});
        for node in 0..2 {
            let payment = nodes.caller(node).pay(&key, &body).expect(200).json();
            acknowledged
                .push(json!({"key": key, "status": 200, "payment_id": payment["id"], "payment": payment}));
        }
    }
    let records = database.query(RECORDS).unwrap();
    let verdict = verdict("control", &acknowledged, (&nodes, 1), &records);
    assert_eq!(verdict.doubled, 20, "{:#?}", verdict.findings);
    assert!(verdict.lost >= 10, "{:#?}", verdict.findings);
    for process in nodes.processes.iter_mut().filter_map(Option::take) {
        process.kill_9();
    }
    nodes.provider.stop();
}

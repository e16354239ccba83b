//! Owns a node and its provider in folders of their own: made once, copied for each point, ended there, started again and examined.

use super::books::{self, Evidence};
use super::checks::{findings, leaks, words_in};
use super::disk::{Disk, Fault, Point};
use super::script::{
    Addresses, CARD_NUMBER, Parties, SECURITY_CODE, Told, ask_once, ask_until_answered, broken_promises,
};
use crate::cli::write_config;
use crate::deployment::{Caller, PATIENT};
use crate::process::{Process, command, lasting_address, logged_address, run, run_well, wait_for};
use crate::recovery::start_sandbox;
use serde_json::{Value, json};
use std::any::Any;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Two shards, snapshots often enough to be met, and waits that a test can sit out.
const SETTINGS: [(&str, &str); 8] = [
    ("FLORIN_LIMITS_REQUESTS_PER_S", "0"),
    ("FLORIN_JOURNAL_SHARDS", "2"),
    ("FLORIN_JOURNAL_SNAPSHOT_EVERY_COMMITS", "16"),
    ("FLORIN_RESOLUTION_WAITS_S", "1"),
    ("FLORIN_RETRY_TIMEOUT_WAIT_MS", "50"),
    ("FLORIN_RETRY_NETWORK_ERROR_WAIT_MS", "50"),
    ("FLORIN_LIMITS_ANSWER_BUDGET_MS", "8000"),
    ("FLORIN_BREAKER_OPEN_MS", "1"),
];

/// Where nothing will be answered any more, nobody waits for it long.
const HASTY: [(&str, &str); 3] = [
    ("FLORIN_STAGES_AUTHORIZATION_MS", "1000"),
    ("FLORIN_LIMITS_ANSWER_BUDGET_MS", "1500"),
    ("FLORIN_DRAIN_LIMIT_MS", "500"),
];

/// How long the provider may take: short, because one step of the load waits it out.
const REQUEST_TIMEOUT_MS: u32 = 400;

fn settings() -> Vec<(&'static str, &'static str)> {
    [&PATIENT[..], &SETTINGS[..]].concat()
}

/// A data folder with merchants, keys and accounts.
#[derive(Debug)]
pub(crate) struct Template {
    folder: TempDir,
    pub(crate) parties: Parties,
}

/// A place for one run: data, provider and configuration, beside each other.
#[derive(Debug)]
pub(crate) struct World {
    place: TempDir,
    sandbox: Process,
    pub(crate) provider: SocketAddr,
    config: PathBuf,
}

/// A running node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) process: Process,
    pub(crate) to: Addresses,
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

impl Template {
    #[track_caller]
    pub(crate) fn make() -> Self {
        let world = World::empty();
        let data = world.data();
        let create = |shard: &str| {
            let arguments = ["merchant", "create", "--name", "Shop", "--shard", shard];
            run_well(&arguments, &data, &settings())
        };
        let key = |arguments: &[&str]| {
            let all = [&["key", "create"], arguments].concat();
            run_well(&all, &data, &settings())
        };
        let merchants = [create("0"), create("1"), create("0")];
        let [near, far] = [0, 1].map(|place| key(&["--merchant", &merchants[place]]));
        let operator = key(&[]);
        let node = world.start();
        let open = |(name, kind, shard): (&str, &str, u16)| {
            let body = json!({"name": name, "type": kind, "currency": "USD", "shard": shard});
            let answer = Caller::new(node.to.api, &operator).post("-", "/v1/ledger/accounts", &body);
            answer.expect(200).json()["id"].as_str().unwrap().to_owned()
        };
        let accounts = [
            ("bank", "asset", 0),
            ("one", "liability", 0),
            ("two", "liability", 0),
            ("bank", "asset", 1),
            ("far", "liability", 1),
        ];
        let accounts = accounts.map(open);
        node.process.stop();
        let folder = tempfile::tempdir().unwrap();
        copy(&data, folder.path());
        let [_, _, frozen] = merchants;
        let parties = Parties {
            near,
            far,
            operator,
            frozen,
            accounts,
        };
        Self { folder, parties }
    }
}

impl World {
    /// A provider, and a folder without anything in it.
    #[track_caller]
    pub(crate) fn empty() -> Self {
        let place = tempfile::tempdir().unwrap();
        let (data, elsewhere) = (place.path().join("data"), place.path().join("provider"));
        fs::create_dir(&data).unwrap();
        fs::create_dir(&elsewhere).unwrap();
        let (sandbox, provider) = start_sandbox(&elsewhere, lasting_address());
        let config = write_config(place.path(), provider);
        let text = fs::read_to_string(&config).unwrap();
        fs::write(
            &config,
            format!("{text}request_timeout_ms = {REQUEST_TIMEOUT_MS}\n"),
        )
        .unwrap();
        Self {
            place,
            sandbox,
            provider,
            config,
        }
    }

    #[track_caller]
    pub(crate) fn of(template: &Template) -> Self {
        let world = Self::empty();
        copy(template.folder.path(), &world.data());
        world
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    /// Where files of a test's own may lie.
    pub(crate) fn beside(&self) -> &Path {
        self.place.path()
    }

    fn command(&self) -> std::process::Command {
        let arguments = ["serve", "--config", self.config.to_str().unwrap()];
        command(&arguments, &self.data(), &settings())
    }

    fn node(&self, process: Process, api: SocketAddr) -> Node {
        let to = Addresses {
            api,
            sandbox: self.provider,
        };
        Node { process, to }
    }

    /// A node with a disk that works.
    #[track_caller]
    pub(crate) fn start(&self) -> Node {
        let mut process = Process::start(&mut self.command());
        let api = process.says("the API's address", logged_address);
        self.node(process, api)
    }

    /// A node with a disk that does not; itself, or what is left of it if it never came to listen.
    #[track_caller]
    fn start_on(&self, disk: &Disk, fault: Fault) -> Result<Node, Process> {
        let mut command = self.command();
        if fault == Fault::Full {
            command.envs(HASTY);
        }
        disk.stand_before(&mut command);
        let mut process = Process::start(&mut command);
        match process.says_or_ends("the API's address", logged_address) {
            Some(api) => Ok(self.node(process, api)),
            None => Err(process),
        }
    }

    /// Reads everything that there is about money, and ends the node.
    #[track_caller]
    pub(crate) fn evidence(&self, node: Node, parties: &Parties) -> Evidence {
        let operator = Caller::new(node.to.api, &parties.operator);
        wait_for("transfers between shards to come to rest", || {
            let accounts = operator.read_all("/v1/ledger/accounts");
            let clearing = |account: &&Value| account["id"].as_str().unwrap().starts_with("shard_clearing:");
            let mut parts = accounts.iter().filter(clearing);
            parts.all(|part| books::account(part).balance == 0).then_some(())
        });
        let accounts = operator.read_all("/v1/ledger/accounts");
        let merchants = [&parties.near, &parties.far].map(|key| Caller::new(node.to.api, key));
        let payments = merchants
            .iter()
            .flat_map(|merchant| merchant.read_all("/v1/payments"));
        let payments = payments.map(|shown| books::payment(&shown)).collect();
        node.process.stop();
        let export = self.place.path().join("export.jsonl");
        let arguments = ["audit", "export", "--out", export.to_str().unwrap()];
        run_well(&arguments, &self.data(), &settings());
        let witness = self.place.path().join("provider/sandbox/witness.jsonl");
        Evidence {
            records: books::records(&fs::read_to_string(&export).unwrap()),
            witness: books::witness(&fs::read_to_string(witness).unwrap()),
            accounts: accounts.iter().map(books::account).collect(),
            payments,
        }
    }

    /// Where card data lies: in the folder's files, or in what a node said.
    fn leaked(&self, said: &str) -> Vec<String> {
        let words = [CARD_NUMBER, SECURITY_CODE];
        let mut wrong = leaks(&self.data(), &words);
        wrong.extend(words_in(said.as_bytes(), &words).map(|word| format!("{word} was logged")));
        wrong
    }

    /// What is wrong with the journal as the product itself reads it, and with what lies in the folder.
    pub(crate) fn verified(&self) -> Vec<String> {
        let mut wrong = self.leaked("");
        let verified = run(&["audit", "verify"], &self.data(), &settings());
        if !verified.status.success() {
            wrong.push(format!("florin audit verify: {verified:?}"));
        }
        wrong
    }

    pub(crate) fn stop(self) {
        self.sandbox.stop();
    }
}

/// What became of a node at a point.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The call that fared badly; `None` if the process never came so far.
    pub(crate) met: Option<String>,
    /// All numbered calls.
    pub(crate) calls: Vec<String>,
    /// Whether the process ended before it was told to.
    pub(crate) ended: bool,
    pub(crate) answered: usize,
    pub(crate) wrong: Vec<String>,
}

impl Outcome {
    /// Of a run that could not be brought to its end.
    pub(crate) fn broken_off(why: &(dyn Any + Send)) -> Self {
        let text = why.downcast_ref::<String>().cloned();
        let text = text.or_else(|| Some((*why.downcast_ref::<&str>()?).to_owned()));
        Self {
            met: None,
            calls: Vec::new(),
            ended: false,
            answered: 0,
            wrong: vec![text.unwrap_or_else(|| "something that is no text".to_owned())],
        }
    }
}

/// Runs the load on a node that meets a point, and ends it; then starts it with a disk that works, asks everything again, and
/// examines what is there.
#[track_caller]
pub(crate) fn meet(template: &Template, point: Point) -> Outcome {
    let (world, parties) = (World::of(template), &template.parties);
    let disk = Disk::new(&world.data(), world.beside(), point);
    let (told, mut wrong, mut process) = match world.start_on(&disk, point.fault) {
        Ok(node) => {
            let gives_up_after = if point.fault == Fault::Full { 3 } else { usize::MAX };
            let (told, wrong) = ask_once(node.to, parties, gives_up_after);
            (told, wrong, node.process)
        }
        Err(process) => (Told::new(), Vec::new(), process),
    };
    // What a journal could not sync is lost, and whoever goes on with it would lie: the process ends by itself.
    let must_end = point.fault == Fault::Eio && disk.met().as_deref().is_some_and(is_journal_sync);
    let ended = must_end || process.has_ended();
    if !ended {
        // The point may lie in what a node does last.
        process.terminate();
    }
    let status = process.wait();
    if must_end && status.success() {
        wrong.push("it ended well after its journal could not be synced".to_owned());
    }
    let (out, err) = process.output();
    // It is searched while its folder is there.
    drop(process);
    let said = out + &err;
    let met = disk.met();
    if met.is_none() && status.code() != Some(0) {
        wrong.push(format!(
            "nothing happened to it, and it ended with {status}: {said}"
        ));
    }
    if point.fault.kills() && met.is_some() && status.code().is_some() {
        wrong.push(format!("it outlived its end: {status}"));
    }
    if said.contains("panicked") {
        wrong.push(format!("it panicked: {said}"));
    }
    let met_in_journal = met.as_deref().is_some_and(is_journal_sync);
    if point.fault.cuts_power() || point.fault == Fault::Eio && met_in_journal {
        disk.lose_unsynced(point.number as u64);
    }
    wrong.extend(world.leaked(&said));
    let node = world.start();
    wrong.extend(lost_orders(&node, parties, &told));
    let after = ask_until_answered(node.to, parties);
    wrong.extend(broken_promises(parties, &told, &after));
    let again = ask_until_answered(node.to, parties);
    wrong.extend(broken_promises(parties, &after, &again));
    let evidence = world.evidence(node, parties);
    wrong.extend(findings(&evidence));
    let waiting = evidence.accounts.iter().filter(|account| account.pending != 0);
    wrong.extend(waiting.map(|account| format!("something is still expected of {account:?}")));
    wrong.extend(world.verified());
    let calls = disk.calls();
    world.stop();
    Outcome {
        met,
        calls,
        ended,
        answered: told.len(),
        wrong,
    }
}

/// Makes a merchant in an empty folder and meets a point; then again with a disk that works, and a payment of that merchant's.
#[track_caller]
pub(crate) fn meet_at_first_start(point: Point) -> Outcome {
    let world = World::empty();
    let disk = Disk::new(&world.data(), world.beside(), point);
    let create = ["merchant", "create", "--name", "Shop"];
    let mut first = command(&create, &world.data(), &settings());
    disk.stand_before(&mut first);
    let mut process = Process::start(&mut first);
    let status = process.wait();
    let (out, err) = process.output();
    drop(process);
    let mut wrong = Vec::new();
    let met = disk.met();
    if met.is_none() && !status.success() {
        wrong.push(format!(
            "nothing happened to it, and it ended with {status}: {err}"
        ));
    }
    if err.contains("panicked") {
        wrong.push(format!("it panicked: {err}"));
    }
    if point.fault.cuts_power() {
        disk.lose_unsynced(point.number as u64);
    }
    // Whoever was told a merchant's id has that merchant.
    let merchant = match out.trim() {
        "" => run_well(&create, &world.data(), &settings()),
        made => made.to_owned(),
    };
    let key = run_well(
        &["key", "create", "--merchant", &merchant],
        &world.data(),
        &settings(),
    );
    let node = world.start();
    let sale = json!({"amount": 500, "currency": "USD", "payment_method_id": "pm_card_visa"});
    let made = Caller::new(node.to.api, &key).pay("k", &sale);
    if made.status != 200 {
        wrong.push(format!("no payment can be made: {made:?}"));
    }
    node.process.stop();
    wrong.extend(world.verified());
    let calls = disk.calls();
    world.stop();
    Outcome {
        met,
        calls,
        ended: !status.success(),
        answered: usize::from(!out.is_empty()),
        wrong,
    }
}

/// A sync of what the journal's commits are in.
fn is_journal_sync(call: &str) -> bool {
    let (call, path) = call.split_once(' ').unwrap_or_default();
    call.contains("sync") && path.ends_with("journal.db-wal")
}

/// Orders that were answered and are not in effect.
fn lost_orders(node: &Node, parties: &Parties, told: &Told) -> Vec<String> {
    if !told.contains_key("freeze") {
        return Vec::new();
    }
    let merchants = Caller::new(node.to.api, &parties.operator).read_all("/v1/ops/merchants");
    let shown = merchants
        .iter()
        .find(|merchant| merchant["id"] == parties.frozen.as_str());
    let is_frozen = shown.is_some_and(|merchant| merchant["frozen"] == true);
    let lost = (!is_frozen).then(|| format!("the merchant is not frozen any more: {shown:?}"));
    lost.into_iter().collect()
}

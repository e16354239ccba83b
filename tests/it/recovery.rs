//! Nothing that was acknowledged is lost and nothing is charged twice, at whatever instruction the process ends.

use crate::cli::{damaged, make_payments, serve, write_config};
use crate::deployment::{
    Caller, Dev, MERCHANT, OPERATOR, PATIENT, add_fault, assert_balanced, balances, charges, sale,
};
use crate::http::{Answer, Client};
use crate::ops::figure;
use crate::process::{Process, address_after, command, lasting_address, run_well, wait_for};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const CLIENTS: usize = 32;
const ROUNDS: usize = 5;

/// Between two tries of a client whose server is gone or busy.
const RETRY: Duration = Duration::from_millis(20);

/// SplitMix64: the same moments in every run, as far as threads allow.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// A request with its final answer.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    body: Value,
    pub(crate) answer: Answer,
}

#[derive(Debug)]
struct Shared {
    key: String,
    api: Mutex<SocketAddr>,
    stop: AtomicBool,
    count: AtomicUsize,
    acknowledged: Mutex<HashMap<String, Acknowledged>>,
}

/// Clients that make one payment after the other and do not give up on any.
#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(api: SocketAddr, key: &str) -> Self {
        let shared = Arc::new(Shared {
            key: key.to_owned(),
            api: Mutex::new(api),
            stop: AtomicBool::new(false),
            count: AtomicUsize::new(0),
            acknowledged: Mutex::default(),
        });
        let clients = (0..CLIENTS).map(|number| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.pay_on(number))
        });
        Self {
            clients: clients.collect(),
            shared,
        }
    }

    pub(crate) fn move_to(&self, api: SocketAddr) {
        *self.shared.api.lock().unwrap() = api;
    }

    /// How many answers there were.
    pub(crate) fn answered(&self) -> usize {
        self.shared.count.load(Ordering::SeqCst)
    }

    /// Waits for so many more answers.
    pub(crate) fn wait_for_more(&self, answers: usize) {
        let goal = self.answered() + answers;
        wait_for("answers", || (self.answered() >= goal).then_some(()));
    }

    /// Lets every client end what it has begun.
    pub(crate) fn finish(self) -> HashMap<String, Acknowledged> {
        self.shared.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.join().unwrap();
        }
        self.shared.acknowledged.lock().unwrap().clone()
    }
}

impl Shared {
    fn pay_on(&self, client: usize) {
        let methods = [
            "pm_card_visa",
            "pm_card_visa_chargeDeclinedInsufficientFunds",
            "pm_card_mastercard",
            "pm_card_visa",
        ];
        for number in 0.. {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let key = format!("client-{client}-{number}");
            let currency = ["USD", "EUR", "JPY"][number % 3];
            let mut body = json!({
                "amount": 100 + 100 * number + client,
                "currency": currency,
                "payment_method_id": methods[(client + number) % methods.len()],
                "metadata": {"key": key},
            });
            if (client + number).is_multiple_of(7) {
                body["capture_method"] = json!("manual");
            }
            let answer = self.pay_until_answered(&key, &body);
            self.acknowledged
                .lock()
                .unwrap()
                .insert(key, Acknowledged { body, answer });
            self.count.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn pay_until_answered(&self, key: &str, body: &Value) -> Answer {
        let authorization = format!("Bearer {}", self.key);
        let headers = [
            ("Authorization", authorization.as_str()),
            ("Content-Type", "application/json"),
            ("Idempotency-Key", key),
        ];
        let text = body.to_string();
        wait_for(&format!("the answer of {key}"), || {
            let api = *self.api.lock().unwrap();
            match Client::new(api).send("POST", "/v1/payments", &headers, text.as_bytes()) {
                Ok(answer) if [200, 402].contains(&answer.status) => Some(answer),
                Ok(answer) if [202, 429, 503].contains(&answer.status) => {
                    std::thread::sleep(RETRY);
                    None
                }
                Ok(answer) => panic!("{key}: {answer:?}"),
                Err(_) => {
                    std::thread::sleep(RETRY);
                    None
                }
            }
        })
    }
}

/// What must hold whenever every request has its answer.
#[track_caller]
pub(crate) fn assert_nothing_lost_and_nothing_doubled(
    acknowledged: &HashMap<String, Acknowledged>,
    (merchant, operator, sandbox): (&Caller, &Caller, SocketAddr),
) {
    let listed: HashMap<String, Value> = merchant
        .read_all("/v1/payments")
        .into_iter()
        .map(|payment| (payment["id"].as_str().unwrap().to_owned(), payment))
        .collect();
    assert!(
        acknowledged.len() > 100,
        "there was a load: {}",
        acknowledged.len()
    );
    assert_eq!(listed.len(), acknowledged.len(), "one payment per key");
    let mut seen = HashSet::new();
    for (key, Acknowledged { body, answer }) in acknowledged {
        let id = match answer.status {
            200 => answer.json()["id"].as_str().unwrap().to_owned(),
            _ => answer.error("payment_id"),
        };
        assert!(seen.insert(id.clone()), "{id} answers two keys");
        let payment = merchant.read(&format!("/v1/payments/{id}"));
        assert_eq!(Some(&payment), listed.get(&id), "{key}");
        for field in ["amount", "currency", "payment_method_id", "metadata"] {
            assert_eq!(payment[field], body[field], "{field} of {key}");
        }
        if answer.status == 200 {
            assert_eq!(payment, answer.json(), "{key}");
        } else {
            assert_eq!(payment["status"], "failed", "{key}");
        }
        let replay = merchant.pay(key, body);
        assert!(replay.is_replay(), "{key}: {replay:?}");
        assert_eq!(
            (replay.status, replay.text()),
            (answer.status, answer.text()),
            "{key}"
        );
    }

    let mut charged: HashMap<String, Value> = HashMap::new();
    let mut sold: BTreeMap<String, i64> = BTreeMap::new();
    for charge in charges(sandbox) {
        let id = charge["payment_id"].as_str().unwrap().to_owned();
        let payment = listed
            .get(&id)
            .unwrap_or_else(|| panic!("charged without a payment: {charge}"));
        assert_eq!(charge["amount"], payment["amount"], "{id}");
        match charge["operation"].as_str().unwrap() {
            "sale" => {
                assert_eq!(payment["status"], "succeeded", "{id}");
                let sum = sold
                    .entry(charge["currency"].as_str().unwrap().to_uppercase())
                    .or_default();
                *sum += charge["amount"].as_i64().unwrap();
            }
            "authorize" => assert_eq!(payment["status"], "authorized", "{id}"),
            other => panic!("nobody asked for {other}: {charge}"),
        }
        let before = charged.insert(id, charge);
        assert!(before.is_none(), "charged twice: {before:?}");
    }
    let mut captured: BTreeMap<String, i64> = BTreeMap::new();
    for (id, payment) in &listed {
        let amount = payment["amount_captured"].as_i64().unwrap();
        if amount > 0 {
            *captured
                .entry(payment["currency"].as_str().unwrap().to_owned())
                .or_default() += amount;
        }
        let is_charged = ["succeeded", "authorized"].contains(&payment["status"].as_str().unwrap());
        assert_eq!(charged.contains_key(id), is_charged, "{payment}");
    }
    assert_eq!(sold, captured, "the provider's money and ours");
    assert_eq!(
        balances(operator, "provider_clearing:"),
        captured,
        "the books and the payments"
    );
    assert_balanced(operator);
}

/// Snapshots are taken often, so that recovery meets them; an unresolved payment is asked about soon.
pub(crate) const OFTEN: [(&str, &str); 2] = [
    ("FLORIN_JOURNAL_SNAPSHOT_EVERY_COMMITS", "100"),
    ("FLORIN_RESOLUTION_WAITS_S", "1"),
];

#[test]
fn nfr_5_no_payment_is_lost_or_doubled_by_five_crashes_under_load() {
    let (folder, mut dev) = Dev::fresh(&OFTEN);
    let load = Load::start(dev.api, MERCHANT);
    let mut random = Random(20_261_121);
    for _ in 0..ROUNDS {
        load.wait_for_more(usize::try_from(20 + random.below(150)).unwrap());
        dev.process.kill_9();
        dev = Dev::start(folder.path(), &OFTEN);
        load.move_to(dev.api);
    }
    load.wait_for_more(50);
    let acknowledged = load.finish();
    assert_nothing_lost_and_nothing_doubled(&acknowledged, (&dev.merchant(), &dev.operator(), dev.sandbox));
    dev.process.kill_9();
    let dev = Dev::start(folder.path(), &OFTEN);
    assert_nothing_lost_and_nothing_doubled(&acknowledged, (&dev.merchant(), &dev.operator(), dev.sandbox));
    dev.stop();
}

/// `florin sandbox` on a folder and an address of its own.
#[track_caller]
pub(crate) fn start_sandbox(folder: &Path, listen: SocketAddr) -> (Process, SocketAddr) {
    let listen = listen.to_string();
    let variables = [("FLORIN_SANDBOX_LISTEN", listen.as_str())];
    let mut process = Process::start(&mut command(&["sandbox"], folder, &variables));
    let address = process.says("the sandbox's address", |line| address_after(line, "sandbox on"));
    (process, address)
}

#[test]
fn a_node_that_crashes_while_its_provider_goes_on_finds_out_what_was_charged() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (provider, sandbox) = start_sandbox(elsewhere.path(), lasting_address());
    let config = write_config(elsewhere.path(), sandbox);
    let merchant = run_well(&["merchant", "create", "--name", "Shop"], folder.path(), &[]);
    let key = run_well(&["key", "create", "--merchant", &merchant], folder.path(), &[]);
    let operator = run_well(&["key", "create"], folder.path(), &[]);
    let (mut node, mut api) = serve(&config, folder.path(), &OFTEN);
    let load = Load::start(api, &key);
    let mut random = Random(7);
    for _ in 0..3 {
        load.wait_for_more(usize::try_from(20 + random.below(100)).unwrap());
        node.kill_9();
        (node, api) = serve(&config, folder.path(), &OFTEN);
        load.move_to(api);
    }
    load.wait_for_more(50);
    let acknowledged = load.finish();
    let parties = (&Caller::new(api, &key), &Caller::new(api, &operator), sandbox);
    assert_nothing_lost_and_nothing_doubled(&acknowledged, parties);
    node.stop();
    provider.stop();
}

#[test]
fn a_node_that_is_told_to_stop_under_load_answers_what_it_took_and_loses_nothing() {
    let (folder, dev) = Dev::fresh(&OFTEN);
    let load = Load::start(dev.api, MERCHANT);
    load.wait_for_more(100);
    dev.stop();
    let dev = Dev::start(folder.path(), &OFTEN);
    load.move_to(dev.api);
    load.wait_for_more(50);
    let acknowledged = load.finish();
    let operator = Caller::new(dev.api, OPERATOR);
    assert_nothing_lost_and_nothing_doubled(&acknowledged, (&dev.merchant(), &operator, dev.sandbox));
    dev.stop();
    let dev = Dev::start(folder.path(), &PATIENT);
    assert_nothing_lost_and_nothing_doubled(&acknowledged, (&dev.merchant(), &dev.operator(), dev.sandbox));
    dev.stop();
}

#[test]
fn a_request_that_is_under_way_when_the_node_is_told_to_stop_gets_its_answer() {
    let (folder, dev) = Dev::fresh(&[]);
    add_fault(dev.sandbox, "slow", &json!({"delay_ms": 1500}));
    let merchant = dev.merchant();
    let client = std::thread::spawn(move || merchant.pay("k", &sale(500, "USD")));
    wait_for("the charge", || dev.charges().pop());
    dev.stop();
    let answer = client.join().unwrap().expect(200);
    let dev = Dev::start(folder.path(), &[]);
    let again = dev.pay("k", &sale(500, "USD")).expect(200);
    assert_eq!((again.text(), again.is_replay()), (answer.text(), true));
    assert_eq!(dev.charges().len(), 1);
    dev.stop();
}

/// The metrics, once the scrub has come to the end of its first pass or to damage.
#[track_caller]
fn metrics_after_a_scrub(dev: &Dev, head_at_least: f64) -> String {
    wait_for("the scrub", || {
        let metrics = dev.operator().get("/metrics").expect(200).text();
        let damaged = figure(&metrics, "florin_journal_damaged", "") == Some(1.0);
        let read = figure(&metrics, "florin_journal_scrubbed_commits_total", "").unwrap_or_default();
        (damaged || read >= head_at_least).then_some(metrics)
    })
}

/// How many times an alert was given.
fn alerts(metrics: &str, alert: &str) -> Option<f64> {
    figure(metrics, "florin_alerts_total", &format!("alert=\"{alert}\""))
}

/// What was logged as an error about the journal: each line with the commit that it names.
fn journal_errors((out, err): &(String, String)) -> Vec<(String, u64)> {
    let lines = out.lines().chain(err.lines());
    let logged = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let errors = logged.filter(|line| line["level"] == "ERROR");
    let named = |line: Value| {
        let message = line["fields"]["message"].as_str()?.to_owned();
        Some((message, line["fields"]["seq"].as_u64()?))
    };
    errors.filter_map(named).collect()
}

#[test]
fn damage_in_an_old_record_is_found_by_the_scrub_while_payments_go_on() {
    let (folder, dev) = Dev::fresh(&[]);
    make_payments(&dev, 24);
    let accounts = dev.operator().read("/v1/ledger/accounts");
    dev.stop();
    let folder = damaged(folder.path(), "mark-0-mark", true);
    let mut dev = Dev::start(folder.path(), &[]);
    let metrics = metrics_after_a_scrub(&dev, f64::INFINITY);
    assert_eq!(alerts(&metrics, "journal_damaged"), Some(1.0), "{metrics}");
    assert_eq!(dev.operator().read("/v1/ledger/accounts"), accounts);
    dev.pay("after", &sale(500, "USD")).expect(200);
    assert_balanced(&dev.operator());
    dev.process.terminate();
    assert!(dev.process.wait().success());
    // All that it said: a line may come later than the figure.
    let errors = journal_errors(&dev.process.output());
    let [(message, seq)] = errors.as_slice() else {
        panic!("one error names the first bad commit: {errors:?}");
    };
    assert!(message.contains("the journal is damaged"), "{message}");
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let before = (seq - 1) as f64;
    assert_eq!(
        figure(&metrics, "florin_journal_scrubbed_seq", ""),
        Some(before),
        "{metrics}"
    );
}

/// The snapshots of a node, the newest first.
fn snapshots(folder: &Path) -> Vec<(u64, std::path::PathBuf)> {
    let files = std::fs::read_dir(folder.join("snapshots")).unwrap();
    let mut found: Vec<(u64, std::path::PathBuf)> = files
        .map(|file| file.unwrap().path())
        .filter_map(|path| {
            let name = path.file_stem()?.to_str()?.strip_prefix("shard-0-")?.parse();
            Some((name.ok()?, path.clone()))
        })
        .collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found
}

#[test]
fn a_node_whose_snapshots_are_bad_starts_from_its_journal_and_finds_that_whole() {
    let (folder, dev) = Dev::fresh(&[]);
    let made = make_payments(&dev, 12);
    dev.stop();
    let dev = Dev::start(folder.path(), &[]);
    dev.pay("later", &sale(500, "USD")).expect(200);
    let accounts = dev.operator().read("/v1/ledger/accounts");
    dev.stop();
    let kept = snapshots(folder.path());
    assert_eq!(kept.len(), 2, "{kept:?}");
    for bad in 1..=kept.len() {
        let (_, path) = &kept[bad - 1];
        let mut bytes = std::fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        std::fs::write(path, bytes).unwrap();
        let dev = Dev::start(folder.path(), &[]);
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let (head, bad) = (kept[0].0 as f64, bad as f64);
        let metrics = metrics_after_a_scrub(&dev, head);
        assert_eq!(
            figure(&metrics, "florin_journal_damaged", ""),
            Some(0.0),
            "{metrics}"
        );
        assert_eq!(alerts(&metrics, "snapshot_unusable"), Some(bad), "{metrics}");
        assert_eq!(dev.operator().read("/v1/ledger/accounts"), accounts);
        let payments = dev.merchant().read_all("/v1/payments");
        assert_eq!(payments.len(), made.len() + 1);
        // A stop in good order would keep a new snapshot.
        dev.process.kill_9();
    }
    // Ahead of the journal, it refuses the start even if nobody can read it.
    let (newest, path) = &kept[0];
    std::fs::copy(
        path,
        path.with_file_name(format!("shard-0-{}.snap", newest + 1000)),
    )
    .unwrap();
    let finished = crate::process::run(&["dev"], folder.path(), &[]);
    assert!(!finished.status.success(), "{finished:?}");
    assert!(
        finished.stderr.contains("later commits are missing"),
        "{finished:?}"
    );
}

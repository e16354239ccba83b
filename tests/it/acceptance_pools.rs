//! How much of a provider is used at once, and what is asked of it only once, each by the id of the feature that asks for it.

use crate::acceptance_stages::usual;
use crate::deployment::{
    Caller, Dev, PATIENT, add_fault, assert_balanced, balances, charges, clear_faults, faults, sale,
};
use crate::http::{Answer, Client};
use crate::ledger_transfers::{made, make, pair, two};
use crate::process::{Process, address_after, command, lasting_address, run_well, wait_for};
use crate::recovery::start_sandbox;
use crate::relay::Relay;
use crate::two_providers::{FIRST, Protocol, SECOND, TwoProviders, attempts, history, left_out};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::JoinHandle;
use tempfile::TempDir;

/// Nothing that waits runs out of time.
const LASTING: [(&str, &str); 2] = [
    ("FLORIN_STAGES_AUTHORIZATION_MS", "50000"),
    ("FLORIN_PROVIDER_FIRST_REQUEST_TIMEOUT_MS", "50000"),
];

/// A node with one provider behind a relay.
struct Pooled {
    dev: Dev,
    relay: Relay,
    provider: Process,
    at: SocketAddr,
    config: PathBuf,
    _folders: [TempDir; 2],
}

impl Pooled {
    #[track_caller]
    fn start(protocol: Protocol, variables: &[(&str, &str)]) -> Self {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (provider, at) = start_sandbox(elsewhere.path(), lasting_address());
        let relay = Relay::before(at);
        let config = folder.path().join("florin.toml");
        // By a name, which has to be looked up.
        let place = format!("localhost:{}", relay.address.port());
        std::fs::write(&config, protocol.section(FIRST, &place, 290)).unwrap();
        let arguments = ["dev", "--config", config.to_str().unwrap()];
        let all = [&PATIENT, LASTING.as_slice(), variables].concat();
        let mut process = Process::start(&mut command(&arguments, &folder.path().join("data"), &all));
        let api = process.says("the API's address", |line| address_after(line, "API"));
        let sandbox = process.says("the sandbox's address", |line| address_after(line, "sandbox"));
        let dev = Dev {
            process,
            api,
            sandbox,
        };
        Self {
            dev,
            relay,
            provider,
            at,
            config,
            _folders: [folder, elsewhere],
        }
    }

    /// What is in effect for a key of the provider.
    #[track_caller]
    fn setting(&self, key: &str) -> String {
        let check = ["config", "check", "--config", self.config.to_str().unwrap()];
        let shown = run_well(&check, self.config.parent().unwrap(), &[]);
        let mut pairs = shown.lines().filter_map(|line| line.split_once(" = "));
        pairs.find(|pair| pair.0 == key).unwrap().1.to_owned()
    }

    /// Pays in threads of their own, each of which has its place before the next one begins.
    #[track_caller]
    fn pay_at_once(&self, count: usize) -> Vec<JoinHandle<Answer>> {
        (1..=count)
            .map(|number| {
                let merchant = self.dev.merchant();
                let paying =
                    std::thread::spawn(move || merchant.pay(&format!("k-{number}"), &sale(1_000, "USD")));
                wait_for("a place", || {
                    let standing = standing(&self.dev.operator(), FIRST);
                    let places = figure(&standing, "in_flight") + figure(&standing, "waiting");
                    (places == number).then_some(())
                });
                paying
            })
            .collect()
    }

    #[track_caller]
    fn stop(self) {
        self.dev.stop();
        self.provider.stop();
    }
}

/// How a provider stands, by the tree.
#[track_caller]
fn standing(operator: &Caller, provider: &str) -> Value {
    let tree = operator.read("/v1/ops/tree?payments_max=0");
    let mut nodes = tree["children"].as_array().unwrap().iter();
    let node = nodes.find(|node| node["kind"] == "provider" && node["key"] == provider);
    node.unwrap()["standing"].clone()
}

#[track_caller]
fn figure(standing: &Value, name: &str) -> usize {
    usize::try_from(standing[name].as_u64().unwrap()).unwrap()
}

/// So many requests are under way at one provider, on as many connections, and so many wait; of the connections so many stay, for five
/// minutes, and addresses are kept as long.
#[track_caller]
fn assert_pool(protocol: Protocol, under_way: usize, waiting: usize, kept: usize) {
    let pooled = Pooled::start(protocol, &[]);
    let kept_max = kept.to_string();
    for (key, expected) in [
        ("connections_kept_max", kept_max.as_str()),
        ("connection_idle_ms", "300000"),
        ("dns_cache_ms", "300000"),
    ] {
        assert_eq!(pooled.setting(key), expected, "{key}");
    }
    let limits = standing(&pooled.dev.operator(), FIRST);
    assert_eq!(figure(&limits, "permits"), under_way);
    assert_eq!(figure(&limits, "queue_max"), waiting);

    pooled.relay.shut();
    let paying = pooled.pay_at_once(under_way + waiting);
    let full = standing(&pooled.dev.operator(), FIRST);
    assert_eq!(figure(&full, "in_flight"), under_way);
    assert_eq!(figure(&full, "waiting"), waiting);
    wait_for("the requests", || {
        (pooled.relay.held() == under_way).then_some(())
    });
    let beyond = pooled.dev.pay("beyond", &sale(1_000, "USD")).expect(503);
    assert_eq!(beyond.error("code"), "overloaded");
    assert_eq!(beyond.header("retry-after"), Some("1"));
    assert_eq!(pooled.relay.open(), under_way);

    pooled.relay.let_pass();
    for paid in paying {
        assert_eq!(paid.join().unwrap().expect(200).json()["status"], "succeeded");
    }
    wait_for("connections to be closed", || {
        (pooled.relay.open() == kept).then_some(())
    });
    pooled.dev.pay("beyond", &sale(1_000, "USD")).expect(200);
    assert_eq!(charges(pooled.at).len(), under_way + waiting + 1);
    pooled.stop();

    // The same with a time that a test can wait for.
    let pooled = Pooled::start(protocol, &[("FLORIN_PROVIDER_FIRST_CONNECTION_IDLE_MS", "100")]);
    pooled.dev.pay("k", &sale(1_000, "USD")).expect(200);
    wait_for("the idle connection to be closed", || {
        (pooled.relay.open() == 0).then_some(())
    });
    pooled.stop();
}

#[test]
fn pool_1_a_stripe_gets_100_requests_at_once_and_50_connections_to_its_host_stay() {
    assert_pool(Protocol::Stripe, 100, 50, 50);
}

#[test]
fn pool_2_an_adyen_gets_80_requests_at_once_and_40_connections_to_its_host_stay() {
    assert_pool(Protocol::Adyen, 80, 40, 40);
}

#[test]
fn pool_5_what_finds_no_connection_waits_in_a_bounded_queue_and_what_finds_no_room_goes_elsewhere() {
    let few = [
        ("FLORIN_PROVIDER_FIRST_PERMITS", "3"),
        ("FLORIN_PROVIDER_FIRST_QUEUE_MAX", "2"),
        ("FLORIN_RETRY_TRIES_MAX", "1"),
    ];
    let mut two = TwoProviders::start(Protocol::Adyen, &[LASTING.as_slice(), &few].concat());
    let (merchant, operator) = (two.dev.merchant(), two.dev.operator());
    // It takes requests and never answers.
    two.fault("slow", &json!({"delay_ms": 600_000}));
    let paying: Vec<_> = (1..=5)
        .map(|number| {
            let merchant = merchant.clone();
            let paying =
                std::thread::spawn(move || merchant.pay(&format!("k-{number}"), &sale(1_000, "USD")));
            wait_for("a place", || {
                let standing = standing(&operator, FIRST);
                let places = (figure(&standing, "in_flight"), figure(&standing, "waiting"));
                (places == (number.min(3), number.saturating_sub(3))).then_some(())
            });
            paying
        })
        .collect();
    wait_for("the requests", || (two.requests() == 3).then_some(()));
    for number in 0..3 {
        let elsewhere = merchant.pay(&format!("elsewhere-{number}"), &sale(1_000, "USD"));
        let payment = elsewhere.expect(200).json();
        let rows = history(&merchant, payment["id"].as_str().unwrap());
        assert_eq!(attempts(&rows), [(1, SECOND)]);
        assert_eq!(left_out(&rows, 1, FIRST), Some("busy"));
    }
    let stop = json!({"reason": "nobody else is to be asked"});
    let path = |verb: &str| format!("/v1/ops/providers/{SECOND}/{verb}");
    operator.post("disable", &path("disable"), &stop).expect(200);
    let nowhere = merchant.pay("nowhere", &sale(1_000, "USD")).expect(503);
    assert_eq!(nowhere.error("code"), "overloaded");
    operator.post("enable", &path("enable"), &stop).expect(200);
    assert_eq!(two.requests(), 3, "what waits has not been sent");
    // The three are unknown then. The two that wait have sent nothing, find nobody who takes a connection, and go to the other one.
    let refusal = Client::new(two.first_at).send("PUT", "/refusal", &[], br#"{"for_ms":600000}"#);
    refusal.unwrap().expect(200);
    two.kill_first();
    let mut statuses: Vec<u16> = paying
        .into_iter()
        .map(|paid| paid.join().unwrap().status)
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 202, 202, 202]);
    assert_eq!(two.dev.charges().len(), 5);
    two.dev.stop();
}

#[test]
fn idem_13_concurrent_duplicates_share_one_request_to_the_provider() {
    let waiters = [("FLORIN_LIMITS_WAITERS_PER_KEY_MAX", "20")];
    let pooled = Pooled::start(Protocol::Adyen, &waiters);
    // It counts the requests that arrive, and does nothing else.
    let count = json!({"provider": "adyen", "probability": 0});
    add_fault(pooled.at, "decline", &count);
    pooled.relay.shut();
    let (sender, answers) = std::sync::mpsc::channel();
    for _ in 0..25 {
        let (merchant, sender) = (pooled.dev.merchant(), sender.clone());
        std::thread::spawn(move || sender.send(merchant.pay("k", &sale(1_000, "USD"))));
    }
    // Those beyond the cap are told so, and then all the others are there.
    for _ in 0..5 {
        let refused = answers.recv().unwrap().expect(429);
        assert_eq!(refused.error("code"), "idempotency_key_in_use");
    }
    wait_for("the request", || (pooled.relay.held() == 1).then_some(()));
    assert_eq!(pooled.relay.open(), 1);
    pooled.relay.let_pass();
    let first = answers.recv().unwrap().expect(200);
    for _ in 1..20 {
        assert_eq!(answers.recv().unwrap().expect(200).text(), first.text());
    }
    assert_eq!(faults(pooled.at)["data"][0]["covered"], 1);
    assert_eq!(charges(pooled.at).len(), 1);
    pooled.stop();
}

/// The request is repeated at each level under its key, and each level alone does it once.
#[test]
fn idem_10_the_edge_the_payment_the_provider_and_the_ledger_each_do_it_once() {
    let hasty = [
        ("FLORIN_RETRY_TIMEOUT_WAIT_MS", "20"),
        ("FLORIN_PROVIDER_STRIPE_REQUEST_TIMEOUT_MS", "300"),
    ];
    let (folder, mut dev) = Dev::fresh(&hasty);
    // The provider: what it charged and did not answer is asked for again under the same key.
    add_fault(dev.sandbox, "timeout_after_charge", &json!({"count": 1}));
    let paid = dev.pay("k", &sale(1_000, "USD")).expect(200);
    let id = paid.json()["id"].as_str().unwrap().to_owned();
    let rows = history(&dev.merchant(), &id);
    assert_eq!(attempts(&rows).len(), 1, "{rows:?}");
    let planned = rows.iter().find(|row| row["type"] == "attempt.planned").unwrap();
    let witnessed = dev.charges();
    assert_eq!(witnessed.len(), 1);
    let key = planned["provider_key"].as_str().unwrap();
    let sent = witnessed[0]["idempotency_key"].as_str().unwrap();
    assert!(sent.starts_with(key), "{sent} is not of {key}");
    assert_eq!(faults(dev.sandbox)["data"][0]["fired"], 1);

    // The edge and the payment: whoever of them is new, the key is not.
    let assert_known = |dev: &Dev| {
        let asked = |amount_minor| {
            // An actor that has just been killed may leave a caller without an answer, who then asks again.
            wait_for("an answer", || {
                Some(dev.pay("k", &sale(amount_minor, "USD"))).filter(|answer| answer.status != 503)
            })
        };
        let again = asked(1_000).expect(200);
        assert_eq!((again.text(), again.is_replay()), (paid.text(), true));
        let other = asked(1_001).expect(422);
        assert_eq!(other.error("code"), "idempotency_key_reused");
        assert_eq!(history(&dev.merchant(), &id), rows);
    };
    assert_known(&dev);
    let drill = json!({"reason": "a drill"});
    for actor in ["idempotency:0", "payment_guardian:0", "provider:stripe"] {
        let path = format!("/v1/ops/tree/{actor}/kill");
        dev.operator().post(actor, &path, &drill).expect(200);
        assert_known(&dev);
    }
    // The ledger: an id is booked once.
    let (bank, customer) = two(&dev);
    let transfer = pair(1, &bank, &customer, 700);
    made(&dev, transfer.clone());
    let again = make(&dev, &[transfer]).expect(200).json();
    assert_eq!((&again["recorded"], &again["existed"]), (&json!(0), &json!(1)));
    dev.process.kill_9();
    dev = Dev::start(folder.path(), &hasty);
    assert_known(&dev);
    let taken = balances(&dev.operator(), "provider_clearing:");
    assert_eq!(taken, [("USD".to_owned(), 1_000)].into());
    assert_balanced(&dev.operator());
    assert_eq!(dev.charges().len(), 1);
    dev.stop();
}

#[test]
fn x_3_an_unknown_outcome_is_a_state_and_the_provider_is_asked_until_it_is_known() {
    let minutes = "[10, 30, 60, 300, 300, 300, 300, 300, 1800]";
    assert_eq!(usual("resolution", "waits_s").replace('\n', ""), minutes);
    let hasty = [
        ("FLORIN_RESOLUTION_WAITS_S", "1"),
        ("FLORIN_RETRY_TRIES_MAX", "1"),
        ("FLORIN_PROVIDER_FIRST_REQUEST_TIMEOUT_MS", "1000"),
    ];
    let pooled = Pooled::start(Protocol::Stripe, &hasty);
    let merchant = pooled.dev.merchant();
    // The provider charges and says nothing, and then nothing reaches it any more.
    add_fault(pooled.at, "timeout_after_charge", &json!({}));
    let paying = std::thread::spawn({
        let merchant = merchant.clone();
        move || merchant.pay("k", &sale(1_000, "USD"))
    });
    wait_for("the charge", || (charges(pooled.at).len() == 1).then_some(()));
    pooled.relay.shut();
    let unknown = paying.join().unwrap().expect(202).json();
    assert_eq!(unknown["status"], "processing");
    let id = unknown["id"].as_str().unwrap();
    let rows = history(&merchant, id);
    assert!(
        rows.iter().any(|row| row["type"] == "attempt.unknown"),
        "{rows:?}"
    );
    // Nobody but the node itself asks.
    wait_for("several questions", || (pooled.relay.held() >= 3).then_some(()));
    let still = merchant.read(&format!("/v1/payments/{id}"));
    assert_eq!(still["status"], "processing", "questions in vain change nothing");
    clear_faults(pooled.at);
    pooled.relay.let_pass();
    merchant.payment_once(id, "succeeded");
    let known = merchant.pay("k", &sale(1_000, "USD")).expect(200).json();
    assert_eq!(known["id"], unknown["id"]);
    assert_eq!(charges(pooled.at).len(), 1);
    pooled.stop();
}

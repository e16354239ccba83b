//! A node that dies between making the intent of a saved card and charging it. Its security code dies with it, so that what is sent again
//! differs from what was sent: the payment ends as if nothing had happened, and is charged once.

use crate::deployment::{Dev, PATIENT, add_fault, charges, clear_faults, faults};
use crate::process::{Process, address_after, command, lasting_address, wait_for};
use crate::recovery::start_sandbox;
use crate::relay::Relay;
use crate::two_providers::{FIRST, Protocol};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use tempfile::TempDir;

/// The node never gives a charge up before it is killed, and is no further from its provider afterwards than before.
const LASTING: [(&str, &str); 3] = [
    ("FLORIN_STAGES_AUTHORIZATION_MS", "50000"),
    ("FLORIN_PROVIDER_FIRST_REQUEST_TIMEOUT_MS", "50000"),
    ("FLORIN_BREAKER_OPEN_MS", "1"),
];

/// A node whose provider lives on, behind a relay.
struct Survived {
    dev: Dev,
    relay: Relay,
    provider: Process,
    at: SocketAddr,
    folder: TempDir,
    _elsewhere: TempDir,
}

fn start_node(folder: &Path) -> Dev {
    let config = folder.join("florin.toml");
    let arguments = ["dev", "--config", config.to_str().unwrap()];
    let all = [PATIENT.as_slice(), &LASTING].concat();
    let mut process = Process::start(&mut command(&arguments, &folder.join("data"), &all));
    let api = process.says("the API's address", |line| address_after(line, "API"));
    let sandbox = process.says("the sandbox's address", |line| address_after(line, "sandbox"));
    Dev {
        process,
        api,
        sandbox,
    }
}

impl Survived {
    #[track_caller]
    fn start() -> Self {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (provider, at) = start_sandbox(elsewhere.path(), lasting_address());
        let relay = Relay::before(at);
        let section = Protocol::Stripe.section(FIRST, relay.address, 290);
        std::fs::write(folder.path().join("florin.toml"), section).unwrap();
        Self {
            dev: start_node(folder.path()),
            relay,
            provider,
            at,
            folder,
            _elsewhere: elsewhere,
        }
    }

    /// Saves a card with its code and begins to pay with it; what it is paid with.
    #[track_caller]
    fn begin(&self) -> Value {
        let merchant = self.dev.merchant();
        let card = json!({"number": "4242424242424242", "exp_month": 12, "exp_year": 2040, "cvc": "917"});
        let saved = merchant.post(
            "save",
            "/v1/payment_methods",
            &json!({"type": "card", "card": card}),
        );
        let method = saved.expect(200).json()["id"].clone();
        let body = json!({"amount": 1_000, "currency": "USD", "payment_method_id": method});
        let asked = body.clone();
        // Nobody hears the answer: its node dies before.
        std::thread::spawn(move || drop(merchant.try_post("pay", "/v1/payments", &asked)));
        body
    }

    /// The node dies, its provider has recovered from what was wrong with it, and the node comes back; then the payment is asked for again.
    #[track_caller]
    fn dies_and_pays(mut self, body: &Value, wrong: impl FnOnce(SocketAddr)) {
        self.dev.process.kill_9();
        self.relay.let_pass();
        wrong(self.at);
        self.dev = start_node(self.folder.path());
        let merchant = self.dev.merchant();
        let paid = wait_for("an answer", || {
            let answer = merchant.pay("pay", body);
            (answer.status != 202).then_some(answer)
        });
        let paid = paid.expect(200).json();
        assert_eq!(paid["status"], "succeeded", "{paid}");
        assert_eq!(merchant.read_all("/v1/payments").len(), 1);
        let charged = charges(self.at);
        assert_eq!(charged.len(), 1, "{charged:?}");
        assert_eq!(charged[0]["payment_id"], paid["id"]);
        assert_eq!(
            (&charged[0]["operation"], &charged[0]["amount"]),
            (&json!("sale"), &json!(1_000))
        );
        self.dev.stop();
        self.provider.stop();
    }
}

#[test]
fn a_node_that_dies_before_it_hears_of_the_intent_that_it_made_charges_once_all_the_same() {
    let survived = Survived::start();
    survived.relay.shut_answers();
    let body = survived.begin();
    wait_for("the intent", || {
        (survived.relay.held_answers() == 1).then_some(())
    });
    assert!(charges(survived.at).is_empty());
    survived.dies_and_pays(&body, |_| {});
}

#[test]
fn a_node_that_dies_before_its_confirmation_arrives_charges_once_all_the_same() {
    let survived = Survived::start();
    add_fault(
        survived.at,
        "drop_connection",
        &json!({"provider": "stripe", "operation": "authorize"}),
    );
    let body = survived.begin();
    wait_for("a confirmation", || {
        (faults(survived.at)["data"][0]["fired"] != 0).then_some(())
    });
    survived.dies_and_pays(&body, clear_faults);
}

/// Not even the first look tells: the confirmation is sent again without the code, which its key refuses, and the intent is read.
#[test]
fn a_node_that_dies_before_it_hears_of_its_charge_reads_what_became_of_it() {
    let survived = Survived::start();
    let lost = json!({"provider": "stripe", "operation": "authorize", "count": 1});
    add_fault(survived.at, "timeout_after_charge", &lost);
    let body = survived.begin();
    wait_for("a charge", || (!charges(survived.at).is_empty()).then_some(()));
    survived.dies_and_pays(&body, |at| {
        let blind = json!({"provider": "stripe", "operation": "query", "count": 1});
        add_fault(at, "http_503", &blind);
    });
}

//! Many charges while the preferred of two providers loses answers and is again and again not there at all: wherever each was made, it
//! was made once, and a charge leaves a provider only with proof.
//!
//! What a caller can prove: that nobody accepted its connection, so that nothing was sent. A connection that is reset under a request
//! proves nothing, so some of the charges that are under way when the provider dies are unknown, and stay with it until it is back.

use crate::deployment::{Caller, assert_balanced, balances, clear_faults, faults, sale, with_method};
use crate::http::Answer;
use crate::process::wait_for;
use crate::two_providers::{FIRST, Protocol, SECOND, TwoProviders, attempts, history, left_out};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

const CALLERS: usize = 8;
const ROUNDS: usize = 5;
/// Payments of a round while the provider is there, and while it is not: it refuses a fifth.
const WITH_FAULTS: usize = 64;
const WITHOUT_IT: usize = 16;

/// Short waits, so that what takes minutes in production takes seconds here; and no verdict on the provider's health, which would take
/// all charges elsewhere after the first twenty. The breaker does its work.
const HASTY: [(&str, &str); 7] = [
    ("FLORIN_STAGES_AUTHORIZATION_MS", "4000"),
    ("FLORIN_PROVIDER_FIRST_REQUEST_TIMEOUT_MS", "300"),
    ("FLORIN_RETRY_NETWORK_ERROR_WAIT_MS", "20"),
    ("FLORIN_RETRY_TIMEOUT_WAIT_MS", "20"),
    ("FLORIN_RESOLUTION_WAITS_S", "1"),
    ("FLORIN_BREAKER_OPEN_MS", "100"),
    ("FLORIN_HEALTH_CALLS_MIN", "1000000"),
];

/// A ninth of them is declined.
fn body(number: usize) -> Value {
    let mut body = if number % 9 == 8 {
        with_method("pm_card_visa_chargeDeclined")
    } else {
        sale(1_000 + u64::try_from(number).unwrap(), "USD")
    };
    // One card would not be tried again after so many declines.
    body["customer_id"] = json!(format!("cus_{number}"));
    body
}

#[derive(Debug, Default)]
struct Shared {
    next: AtomicUsize,
    /// Payments that may begin.
    allowed: AtomicUsize,
    stop: AtomicBool,
    answers: Mutex<Vec<(usize, Answer)>>,
}

/// Callers that make as many payments as they are allowed, each once.
struct Load {
    shared: Arc<Shared>,
    callers: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(merchant: &Caller) -> Self {
        let shared = Arc::<Shared>::default();
        let callers = (0..CALLERS)
            .map(|_| {
                let (shared, merchant) = (Arc::clone(&shared), merchant.clone());
                std::thread::spawn(move || shared.call(&merchant))
            })
            .collect();
        Self { shared, callers }
    }

    /// Lets so many more begin, and waits until all but the last few are answered: some are always under way.
    #[track_caller]
    fn let_begin(&self, count: usize) {
        let allowed = self.shared.allowed.fetch_add(count, Ordering::SeqCst) + count;
        wait_for("answers", || {
            let answered = self.shared.answers.lock().unwrap().len();
            (answered + CALLERS / 2 >= allowed).then_some(())
        });
    }

    /// Waits for the last ones.
    #[track_caller]
    fn end(self) -> Vec<(usize, Answer)> {
        let allowed = self.shared.allowed.load(Ordering::SeqCst);
        wait_for("the last answers", || {
            (self.shared.answers.lock().unwrap().len() == allowed).then_some(())
        });
        self.shared.stop.store(true, Ordering::SeqCst);
        for caller in self.callers {
            caller.join().unwrap();
        }
        std::mem::take(&mut self.shared.answers.lock().unwrap())
    }
}

impl Shared {
    fn call(&self, merchant: &Caller) {
        while !self.stop.load(Ordering::SeqCst) {
            let begun = self
                .next
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |next| {
                    (next < self.allowed.load(Ordering::SeqCst)).then_some(next + 1)
                });
            let Ok(number) = begun else {
                std::thread::yield_now();
                continue;
            };
            let answer = merchant.pay(&key(number), &body(number));
            self.answers.lock().unwrap().push((number, answer));
        }
    }
}

fn key(number: usize) -> String {
    format!("charge-{number}")
}

/// What a payment was charged at both, and how often.
#[derive(Debug, Default, PartialEq, Eq)]
struct Net {
    count: i64,
    amount_minor: i64,
}

/// By the witnesses alone.
fn nets(sandboxes: [SocketAddr; 2]) -> BTreeMap<String, Net> {
    let mut nets: BTreeMap<String, Net> = BTreeMap::new();
    for row in sandboxes.into_iter().flat_map(crate::deployment::charges) {
        let sign = match row["operation"].as_str().unwrap() {
            "sale" => 1,
            "refund" => -1,
            other => panic!("{other} was not asked for: {row}"),
        };
        let net = nets
            .entry(row["payment_id"].as_str().unwrap().to_owned())
            .or_default();
        net.count += sign;
        net.amount_minor += sign * row["amount"].as_i64().unwrap();
    }
    nets
}

/// Each payment's end is what both witnesses say of it.
#[track_caller]
fn assert_made_once(two: &TwoProviders, payments: &[Value]) {
    let mut nets = nets([two.first_at, two.dev.sandbox]);
    let mut taken = 0;
    for payment in payments {
        let net = nets.remove(payment["id"].as_str().unwrap()).unwrap_or_default();
        let amount_minor = payment["amount"].as_i64().unwrap();
        let expected = match payment["status"].as_str().unwrap() {
            "succeeded" => Net {
                count: 1,
                amount_minor,
            },
            "failed" => Net::default(),
            other => panic!("{other} is no end: {payment}"),
        };
        assert_eq!(net, expected, "{payment}");
        taken += net.amount_minor;
    }
    assert_eq!(nets, BTreeMap::new(), "charged without a payment");
    let operator = two.dev.operator();
    assert_eq!(
        balances(&operator, "provider_clearing:"),
        [("USD".to_owned(), taken)].into()
    );
    assert_balanced(&operator);
}

/// Those that left the preferred provider did so with proof, and say why.
#[track_caller]
fn assert_explained(merchant: &Caller, payments: &[Value]) -> usize {
    let mut failed_over = 0;
    for payment in payments {
        let rows = history(merchant, payment["id"].as_str().unwrap());
        let providers: Vec<&str> = attempts(&rows).into_iter().map(|(_, at)| at).collect();
        if providers == [FIRST] {
            continue;
        }
        if providers == [SECOND] {
            let why = left_out(&rows, 1, FIRST);
            assert_eq!(why, Some("breaker_open"), "{rows:?}");
            continue;
        }
        assert_eq!(providers, [FIRST, SECOND], "{rows:?}");
        assert_eq!(left_out(&rows, 2, FIRST), Some("tried"), "{rows:?}");
        let second = rows
            .iter()
            .position(|row| row["type"] == "attempt.planned" && row["attempt"] == 2)
            .unwrap();
        let is_proven = rows[..second].iter().any(|row| {
            let proofs = ["attempt.not_sent", "attempt.cancelled", "attempt.rejected"];
            row["attempt"] == 1 && proofs.contains(&row["type"].as_str().unwrap())
        });
        assert!(is_proven, "{rows:?}");
        failed_over += 1;
    }
    failed_over
}

/// What is left once the faults are gone: every payment has an end, was made once wherever that was, and its key says so. Returns how
/// many failed over.
#[track_caller]
fn assert_settled(two: &TwoProviders, answers: Vec<(usize, Answer)>, total: usize) -> usize {
    let merchant = two.dev.merchant();
    clear_faults(two.first_at);
    assert_eq!(answers.len(), total);
    for (number, answer) in &answers {
        assert!([200, 202, 402].contains(&answer.status), "{number}: {answer:?}");
    }
    let payments = wait_for("the end of every payment", || {
        let payments = merchant.read_all("/v1/payments");
        let is_over = |payment: &Value| payment["status"] != "processing";
        (payments.len() == total && payments.iter().all(is_over)).then_some(payments)
    });
    assert_eq!(two.dev.operator().read("/v1/ops/unresolved")["data"], json!([]));
    assert_made_once(two, &payments);
    let failed_over = assert_explained(&merchant, &payments);
    let failed: BTreeSet<usize> = answers
        .iter()
        .filter(|(_, answer)| answer.status == 402)
        .map(|(number, _)| *number)
        .collect();
    assert!(failed.iter().all(|number| number % 9 == 8), "{failed:?}");
    // The keys say what became of the payments, and charge nothing again.
    for (number, _) in answers {
        let status = if number % 9 == 8 { 402 } else { 200 };
        merchant.pay(&key(number), &body(number)).expect(status);
    }
    assert_made_once(two, &payments);
    failed_over
}

fn run(protocol: Protocol) {
    let mut two = TwoProviders::start(protocol, &HASTY);
    let merchant = two.dev.merchant();
    let load = Load::start(&merchant);
    for round in 0..ROUNDS {
        two.fault(
            "timeout_after_charge",
            &json!({"probability": 0.3, "seed": round}),
        );
        load.let_begin(WITH_FAULTS);
        two.kill_first();
        load.let_begin(WITHOUT_IT);
        two.revive_first();
    }
    let failed_over = assert_settled(&two, load.end(), ROUNDS * (WITH_FAULTS + WITHOUT_IT));
    assert!(failed_over >= ROUNDS, "only {failed_over} failed over");
    two.stop();
}

#[test]
fn four_hundred_charges_are_made_once_while_a_stripe_loses_answers_and_dies_five_times() {
    run(Protocol::Stripe);
}

#[test]
fn four_hundred_charges_are_made_once_while_an_adyen_loses_answers_and_dies_five_times() {
    run(Protocol::Adyen);
}

/// Of all requests, questions included, three in ten fail, each in one of four ways; the others take as long as they happen to.
fn run_in_part(protocol: Protocol) {
    const TOTAL: usize = 200;
    let two = TwoProviders::start(protocol, &HASTY);
    let load = Load::start(&two.dev.merchant());
    let outage = json!({"operation": "any", "probability": 0.3, "seed": 11});
    two.fault("outage", &outage);
    let latencies = json!({"operation": "any", "delays_ms": [0, 0, 0, 0, 5, 10, 40, 120], "seed": 12});
    two.fault("slow", &latencies);
    load.let_begin(TOTAL);
    let answers = load.end();
    let fired = faults(two.first_at)["data"][0]["fired"].clone();
    assert!(fired.as_u64().unwrap() >= 20, "only {fired} requests failed");
    assert_settled(&two, answers, TOTAL);
    assert!(
        two.first_charges().len() > TOTAL / 3,
        "what works is used on: {}",
        two.first_charges().len()
    );
    two.stop();
}

#[test]
fn two_hundred_charges_are_made_once_at_a_stripe_that_fails_three_requests_in_ten() {
    run_in_part(Protocol::Stripe);
}

#[test]
fn two_hundred_charges_are_made_once_at_an_adyen_that_fails_three_requests_in_ten() {
    run_in_part(Protocol::Adyen);
}

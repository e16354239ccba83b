//! Owns the fixed load: what clients ask in turn, how long they insist, and what they were told.

use crate::deployment::add_fault;
use crate::http::{Answer, Client};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// A card number and a security code, which belong into no file and no log: no system that we keep ever needs them.
pub(crate) const CARD_NUMBER: &str = "4000056655665556";
pub(crate) const SECURITY_CODE: &str = "913746028551";

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// At home in the first shard.
    Near,
    /// At home in the second one.
    Far,
    Operator,
}

/// What an answer promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// The same answer for ever, under the same key.
    Replayed,
    /// So many transfers are recorded, now or before; or the one between shards was given up for good, and nothing moved.
    Recorded(u64),
    /// It is so until somebody changes it.
    InEffect,
    /// Nothing: it was refused with this status.
    Refused(u16),
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) who: Who,
    pub(crate) path: String,
    pub(crate) body: String,
    pub(crate) promise: Promise,
    /// Given to the sandbox before the request is sent for the first time.
    pub(crate) fault: Option<(&'static str, Value)>,
}

/// The keys of those who ask, and the accounts that are open.
#[derive(Clone, Debug)]
pub(crate) struct Parties {
    pub(crate) near: String,
    pub(crate) far: String,
    pub(crate) operator: String,
    /// The merchant that operators freeze.
    pub(crate) frozen: String,
    /// An asset and two liabilities in the first shard, an asset and a liability in the second one.
    pub(crate) accounts: [String; 5],
}

impl Parties {
    pub(crate) fn secret(&self, who: Who) -> &str {
        match who {
            Who::Near => &self.near,
            Who::Far => &self.far,
            Who::Operator => &self.operator,
        }
    }
}

/// Where requests go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) api: SocketAddr,
    pub(crate) sandbox: SocketAddr,
}

/// Answers by the names of their steps.
pub(crate) type Told = BTreeMap<String, Answer>;

pub(crate) fn keyed(name: &str, who: Who, path: String, body: &Value) -> Step {
    Step {
        name: name.to_owned(),
        who,
        path,
        body: body.to_string(),
        promise: Promise::Replayed,
        fault: None,
    }
}

pub(crate) fn payment(name: &str, who: Who, amount: u64, currency: &str, method: &str) -> Step {
    let body = json!({"amount": amount, "currency": currency, "payment_method_id": method});
    keyed(name, who, "/v1/payments".to_owned(), &body)
}

pub(crate) fn held(name: &str, who: Who, amount: u64, currency: &str) -> Step {
    let body = json!({
        "amount": amount, "currency": currency, "payment_method_id": "pm_card_visa", "capture_method": "manual",
    });
    keyed(name, who, "/v1/payments".to_owned(), &body)
}

pub(crate) fn refused(name: &str, path: &str, body: String, status: u16) -> Step {
    Step {
        name: name.to_owned(),
        who: Who::Near,
        path: path.to_owned(),
        body,
        promise: Promise::Refused(status),
        fault: None,
    }
}

/// The payment that an answer is about.
pub(crate) fn payment_of(answer: &Answer) -> String {
    match answer.status {
        200 => answer.json()["id"].as_str().unwrap().to_owned(),
        _ => answer.error("payment_id"),
    }
}

fn about(told: &Told, name: &str, who: Who, (of, what): (&str, &str), body: &Value) -> Option<Step> {
    let id = payment_of(told.get(of)?);
    Some(keyed(name, who, format!("/v1/payments/{id}/{what}"), body))
}

pub(crate) fn transfer_id(number: u64) -> String {
    format!("0c4a5e00-0000-4000-8000-{number:012x}")
}

pub(crate) fn transfers(name: &str, body: Value, count: u64) -> Step {
    let mut body = body;
    if body.is_array() {
        body = json!({ "transfers": body });
    }
    Step {
        name: name.to_owned(),
        who: Who::Operator,
        path: "/v1/ledger/transfers".to_owned(),
        body: body.to_string(),
        promise: Promise::Recorded(count),
        fault: None,
    }
}

pub(crate) fn pair(number: u64, debit: &str, credit: &str, amount: u64) -> Value {
    json!({"id": transfer_id(number), "debit_account": debit, "credit_account": credit, "amount": amount})
}

/// Requests about payments, with the places where a provider or the client itself misbehaves.
fn payments(told: &Told) -> Vec<Option<Step>> {
    let near = Who::Near;
    let late = |name, amount| {
        let mut step = payment(name, near, amount, "USD", "pm_card_visa");
        step.fault = Some(("timeout_after_charge", json!({"count": 1})));
        step
    };
    let card = json!({
        "amount": 100, "currency": "USD", "payment_method_id": "pm_card_visa",
        "card": {"number": CARD_NUMBER, "cvc": SECURITY_CODE},
    });
    let cut = format!("{{\"amount\": 100, \"number\": \"{CARD_NUMBER}\", \"cvc\": \"{SECURITY_CODE}");
    vec![
        Some(payment("sale", near, 10_000, "USD", "pm_card_visa")),
        Some(payment("sale-far", Who::Far, 2_500, "EUR", "pm_card_mastercard")),
        Some(payment(
            "declined",
            near,
            900,
            "USD",
            "pm_card_visa_chargeDeclined",
        )),
        Some(refused("card", "/v1/payments", card.to_string(), 400)),
        Some(refused("cut", "/v1/payments", cut, 400)),
        about(
            told,
            "confirmed",
            near,
            ("declined", "confirm"),
            &json!({"payment_method_id": "pm_card_visa"}),
        ),
        Some(held("held", near, 9_000, "USD")),
        about(
            told,
            "capture-1",
            near,
            ("held", "capture"),
            &json!({"amount": 300}),
        ),
        about(
            told,
            "capture-2",
            near,
            ("held", "capture"),
            &json!({"amount": 200}),
        ),
        about(told, "void", near, ("held", "void"), &json!({})),
        Some(late("late", 700)),
        Some(held("held-far", Who::Far, 5_000, "JPY")),
        about(
            told,
            "capture-far",
            Who::Far,
            ("held-far", "capture"),
            &json!({"amount": 4_000, "final": true}),
        ),
        about(
            told,
            "refund-far",
            Who::Far,
            ("held-far", "refunds"),
            &json!({"amount": 1_000}),
        ),
        about(
            told,
            "refund-1",
            near,
            ("sale", "refunds"),
            &json!({"amount": 600}),
        ),
        about(told, "refund-2", near, ("sale", "refunds"), &json!({})),
    ]
}

/// Requests about the general ledger, and an operator's order.
fn books(parties: &Parties) -> Vec<Option<Step>> {
    let [bank, one, two, far_bank, far] = &parties.accounts;
    let pending = |number| {
        let mut transfer = pair(number, bank, one, 70);
        transfer["pending"] = json!(true);
        transfer
    };
    let linked = |number, amount| {
        let mut transfer = pair(number, one, two, amount);
        transfer["linked"] = json!(true);
        transfer
    };
    let freeze = Step {
        name: "freeze".to_owned(),
        who: Who::Operator,
        path: format!("/v1/ops/merchants/{}/freeze", parties.frozen),
        body: json!({"reason": "a drill"}).to_string(),
        promise: Promise::InEffect,
        fault: None,
    };
    let batch = json!([
        linked(7, 10),
        linked(8, 20),
        pair(9, two, one, 5),
        pair(10, bank, two, 1)
    ]);
    let all = json!({"atomic": true, "transfers": [pair(11, bank, one, 3), pair(12, bank, two, 4)]});
    [
        transfers("single", json!([pair(1, bank, one, 1_000)]), 1),
        transfers("reserve", json!([pending(2)]), 1),
        transfers(
            "post",
            json!([{"id": transfer_id(3), "post_pending": transfer_id(2)}]),
            1,
        ),
        transfers("reserve-2", json!([pending(4)]), 1),
        transfers(
            "release",
            json!([{"id": transfer_id(5), "void_pending": transfer_id(4)}]),
            1,
        ),
        transfers("cross", json!([pair(6, bank, far, 500)]), 1),
        freeze,
        transfers("batch", batch, 4),
        transfers("cross-back", json!([pair(13, far_bank, two, 250)]), 1),
        transfers("all", all, 2),
    ]
    .map(Some)
    .into()
}

/// All steps, in order, as far as what they follow was answered.
fn steps(parties: &Parties, told: &Told) -> Vec<Option<Step>> {
    let mut steps = payments(told);
    let mut rest = books(parties);
    // In turn, so that neither shard ever waits long for its next commit.
    for (place, step) in rest.drain(..).enumerate() {
        steps.insert(place * 2 + 1, step);
    }
    steps
}

/// Names of all steps in order.
fn count(parties: &Parties) -> usize {
    steps(parties, &Told::new()).len()
}

impl Step {
    /// Sends it once.
    pub(crate) fn send(&self, api: SocketAddr, secret: &str) -> io::Result<Answer> {
        let authorization = format!("Bearer {secret}");
        let mut headers = vec![
            ("Authorization", authorization.as_str()),
            ("Content-Type", "application/json"),
        ];
        if self.who != Who::Operator {
            headers.push(("Idempotency-Key", &self.name));
        }
        Client::new(api).send("POST", &self.path, &headers, self.body.as_bytes())
    }

    /// Whether this answer is the last one that there will be: a promise.
    pub(crate) fn is_final(&self, answer: &Answer) -> bool {
        match self.promise {
            Promise::Replayed => [200, 402].contains(&answer.status),
            Promise::Recorded(_) => answer.status == 200 || is_given_up(answer),
            Promise::InEffect => answer.status == 200,
            Promise::Refused(status) => answer.status == status,
        }
    }

    /// Whether a second answer keeps what the first one promised.
    pub(crate) fn holds(&self, first: &Answer, second: &Answer) -> bool {
        match self.promise {
            Promise::Replayed => {
                second.is_replay() && (first.status, &first.body) == (second.status, &second.body)
            }
            Promise::Recorded(_) if is_given_up(first) => is_given_up(second),
            Promise::Recorded(count) => second.status == 200 && second.json()["existed"] == count,
            Promise::Refused(_) => (first.status, &first.body) == (second.status, &second.body),
            Promise::InEffect => second.status == 200,
        }
    }
}

/// A transfer between shards that was not decided when the process ended: its id is used up.
fn is_given_up(answer: &Answer) -> bool {
    answer.status == 409 && answer.error("code") == "transfer_given_up"
}

/// Answers that say neither yes nor no: whoever gets one asks again.
pub(crate) fn is_open(answer: &Answer) -> bool {
    [202, 409, 429, 500, 503].contains(&answer.status)
}

/// Asks everything once, as long as there is somebody to ask, and until so many requests were not answered for good; what was.
pub(crate) fn ask_once(to: Addresses, parties: &Parties, gives_up_after: usize) -> (Told, Vec<String>) {
    let (mut told, mut wrong, mut open) = (Told::new(), Vec::new(), 0);
    for place in 0..count(parties) {
        let Some(step) = steps(parties, &told).swap_remove(place) else {
            continue;
        };
        if let Some((mode, fields)) = &step.fault {
            add_fault(to.sandbox, mode, fields);
        }
        match step.send(to.api, parties.secret(step.who)) {
            Ok(answer) if step.is_final(&answer) => {
                told.insert(step.name, answer);
            }
            Ok(answer) if is_open(&answer) => {
                open += 1;
                if open >= gives_up_after {
                    break;
                }
            }
            Ok(answer) => wrong.push(format!("{}: {answer:?}", step.name)),
            Err(_) => break,
        }
    }
    (told, wrong)
}

/// Between two tries of a client whose server is busy.
pub(crate) const RETRY: Duration = Duration::from_millis(20);

/// How often something is asked: longer than anything that resolves itself takes.
pub(crate) const ASKED_MAX: u32 = 1_000;

/// Asks everything until it is answered for good.
#[track_caller]
pub(crate) fn ask_until_answered(to: Addresses, parties: &Parties) -> Told {
    let mut told = Told::new();
    for place in 0..count(parties) {
        let step = steps(parties, &told)
            .swap_remove(place)
            .expect("all before it were answered");
        let mut asked = 0;
        let answer = loop {
            let answer = step.send(to.api, parties.secret(step.who)).unwrap();
            if step.is_final(&answer) {
                break answer;
            }
            asked += 1;
            let goes_on = is_open(&answer) && asked < ASKED_MAX;
            assert!(goes_on, "{} after {asked} requests: {answer:?}", step.name);
            std::thread::sleep(RETRY);
        };
        told.insert(step.name, answer);
    }
    told
}

/// What answers promised and the second ones break.
pub(crate) fn broken_promises(parties: &Parties, before: &Told, after: &Told) -> Vec<String> {
    let mut broken = Vec::new();
    for step in steps(parties, after).into_iter().flatten() {
        let Some(first) = before.get(&step.name) else {
            continue;
        };
        let Some(second) = after.get(&step.name) else {
            broken.push(format!(
                "{} was answered {first:?}, and then not at all",
                step.name
            ));
            continue;
        };
        if !step.holds(first, second) {
            broken.push(format!(
                "{} was answered {first:?}, and then {second:?}",
                step.name
            ));
        }
    }
    broken
}

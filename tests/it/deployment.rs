//! Owns a running node with its sandbox, and what every test asks of them.

use crate::http::{Answer, Client};
use crate::process::{Process, address_after, command, wait_for};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use tempfile::TempDir;

pub(crate) const MERCHANT: &str = "sk_test_florin_dev";
pub(crate) const OPERATOR: &str = "ok_test_florin_dev";

/// No stage runs out of time only because the machine is busy; tests of time limits set their own.
pub(crate) const PATIENT: [(&str, &str); 5] = [
    ("FLORIN_STAGES_IDEMPOTENCY_MS", "30000"),
    ("FLORIN_STAGES_RISK_MS", "30000"),
    ("FLORIN_STAGES_SELECTION_MS", "30000"),
    ("FLORIN_LIMITS_ANSWER_BUDGET_MS", "60000"),
    ("FLORIN_LOG", "warn,florin=info"),
];

/// `florin dev`: the API and the sandbox in one process.
#[derive(Debug)]
pub(crate) struct Dev {
    pub(crate) process: Process,
    pub(crate) api: SocketAddr,
    pub(crate) sandbox: SocketAddr,
}

impl Dev {
    /// Starts on a folder. Later variables win over earlier ones.
    #[track_caller]
    pub(crate) fn start(folder: &Path, variables: &[(&str, &str)]) -> Self {
        let all = [&PATIENT, variables].concat();
        let mut process = Process::start(&mut command(&["dev"], folder, &all));
        let api = process.says("the API's address", |line| address_after(line, "API"));
        let sandbox = process.says("the sandbox's address", |line| address_after(line, "sandbox"));
        Self {
            process,
            api,
            sandbox,
        }
    }

    /// Starts on a new folder, which lives as long as what is returned with it.
    #[track_caller]
    pub(crate) fn fresh(variables: &[(&str, &str)]) -> (TempDir, Self) {
        let folder = tempfile::tempdir().unwrap();
        let dev = Self::start(folder.path(), variables);
        (folder, dev)
    }

    pub(crate) fn merchant(&self) -> Caller {
        Caller::new(self.api, MERCHANT)
    }

    pub(crate) fn operator(&self) -> Caller {
        Caller::new(self.api, OPERATOR)
    }

    /// Makes a payment under a key of the development merchant.
    #[track_caller]
    pub(crate) fn pay(&self, key: &str, body: &Value) -> Answer {
        self.merchant().pay(key, body)
    }

    pub(crate) fn charges(&self) -> Vec<Value> {
        charges(self.sandbox)
    }

    #[track_caller]
    pub(crate) fn stop(self) {
        self.process.stop();
    }
}

/// Somebody with a key.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    api: SocketAddr,
    authorization: String,
}

impl Caller {
    pub(crate) fn new(api: SocketAddr, key: &str) -> Self {
        Self {
            api,
            authorization: format!("Bearer {key}"),
        }
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        let headers = [("Authorization", self.authorization.as_str())];
        Client::new(self.api).send("GET", path, &headers, b"").unwrap()
    }

    /// The body of an answer that must be 200.
    #[track_caller]
    pub(crate) fn read(&self, path: &str) -> Value {
        self.get(path).expect(200).json()
    }

    #[track_caller]
    pub(crate) fn pay(&self, key: &str, body: &Value) -> Answer {
        self.post(key, "/v1/payments", body)
    }

    /// Asks for something under a key.
    #[track_caller]
    pub(crate) fn post(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.try_post(key, path, body).unwrap()
    }

    /// The same of a node that may be gone.
    pub(crate) fn try_post(&self, key: &str, path: &str, body: &Value) -> std::io::Result<Answer> {
        let headers = [
            ("Authorization", self.authorization.as_str()),
            ("Content-Type", "application/json"),
            ("Idempotency-Key", key),
        ];
        let body = body.to_string();
        Client::new(self.api).send("POST", path, &headers, body.as_bytes())
    }

    /// Every entry of a list, read page by page.
    #[track_caller]
    pub(crate) fn read_all(&self, path: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all.last().map_or_else(String::new, |last| {
                let cursor = last["id"]
                    .as_str()
                    .map_or_else(|| last["seq"].to_string(), str::to_owned);
                format!("&starting_after={cursor}")
            });
            let page = self.read(&format!("{path}?limit=100{after}"));
            let data = page["data"].as_array().unwrap();
            all.extend_from_slice(data);
            if page["has_more"] != true {
                return all;
            }
            assert!(!data.is_empty(), "an empty page says that there is more: {page}");
        }
    }

    /// The payment once its status is this.
    #[track_caller]
    pub(crate) fn payment_once(&self, id: &str, status: &str) -> Value {
        let path = format!("/v1/payments/{id}");
        wait_for(&format!("{id} to be {status}"), || {
            Some(self.read(&path)).filter(|payment| payment["status"] == status)
        })
    }
}

/// A payment of some amount.
pub(crate) fn sale(amount_minor: u64, currency: &str) -> Value {
    json!({"amount": amount_minor, "currency": currency, "payment_method_id": "pm_card_visa"})
}

/// The same with another method.
pub(crate) fn with_method(method: &str) -> Value {
    json!({"amount": 10_000, "currency": "USD", "payment_method_id": method})
}

/// What the simulated providers really executed, in order.
#[track_caller]
pub(crate) fn charges(sandbox: SocketAddr) -> Vec<Value> {
    let answer = Client::new(sandbox)
        .send("GET", "/charges", &[], b"")
        .unwrap()
        .expect(200);
    answer.json()["data"].as_array().unwrap().clone()
}

/// Makes the sandbox misbehave on charges.
#[track_caller]
pub(crate) fn add_fault(sandbox: SocketAddr, mode: &str, fields: &Value) {
    let mut fault =
        json!({"provider": "stripe", "operation": "authorize", "mode": mode, "probability": 1.0, "seed": 1});
    fault
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    let answer = Client::new(sandbox)
        .send("POST", "/faults", &[], fault.to_string().as_bytes())
        .unwrap();
    assert!((200..300).contains(&answer.status), "{answer:?}");
}

#[track_caller]
pub(crate) fn clear_faults(sandbox: SocketAddr) {
    let answer = Client::new(sandbox).send("DELETE", "/faults", &[], b"").unwrap();
    assert!((200..300).contains(&answer.status), "{answer:?}");
}

/// The active faults, with what each has covered.
#[track_caller]
pub(crate) fn faults(sandbox: SocketAddr) -> Value {
    Client::new(sandbox)
        .send("GET", "/faults", &[], b"")
        .unwrap()
        .expect(200)
        .json()
}

/// The balances of all accounts whose id starts with this, summed per currency.
#[track_caller]
pub(crate) fn balances(operator: &Caller, prefix: &str) -> std::collections::BTreeMap<String, i64> {
    let mut sums = std::collections::BTreeMap::new();
    for account in operator.read_all("/v1/ledger/accounts") {
        if account["id"].as_str().unwrap().starts_with(prefix) {
            let sum: &mut i64 = sums
                .entry(account["currency"].as_str().unwrap().to_owned())
                .or_default();
            *sum += account["balance"].as_i64().unwrap();
        }
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

/// Debits equal credits in every currency.
#[track_caller]
pub(crate) fn assert_balanced(operator: &Caller) {
    let totals = operator.read("/v1/ledger/trial_balance");
    for total in totals["data"].as_array().unwrap() {
        assert_eq!(total["difference"], 0, "{totals}");
        assert_eq!(total["debits"], total["credits"], "{totals}");
    }
}

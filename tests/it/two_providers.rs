//! Owns a node with two providers, each with a witness of its own: the preferred one is a process that can be killed and come back on
//! its address, the backup is in the sandbox of the node itself. They speak different protocols.

use crate::deployment::{Caller, Dev, PATIENT, add_fault, charges, faults};
use crate::ops::figure;
use crate::process::{Process, address_after, command, lasting_address, wait_for};
use crate::recovery::start_sandbox;
use serde_json::{Value, json};
use std::fmt::Display;
use std::net::SocketAddr;
use tempfile::TempDir;

const HMAC_KEY: &str = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";

/// The names of the two, in order of preference.
pub(crate) const FIRST: &str = "first";
pub(crate) const SECOND: &str = "second";

/// What the preferred one speaks; the backup speaks the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Stripe,
    Adyen,
}

impl Protocol {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Adyen => "adyen",
        }
    }

    /// The section of a provider that is played by a sandbox.
    pub(crate) fn section(self, id: &str, sandbox: impl Display, cost_bps: u32) -> String {
        let terms = format!("[[provider]]\nid = \"{id}\"\ncost_bps = {cost_bps}\n");
        match self {
            Self::Stripe => format!(
                "{terms}kind = \"stripe\"\nbase_url = \"http://{sandbox}\"\nsecret_key = \"sk_test_sandbox\"\n"
            ),
            Self::Adyen => format!(
                "{terms}kind = \"adyen\"\nbase_url = \"http://{sandbox}/adyen\"\nmerchant_account = \"ShopNL\"\napi_key = \"AQE_sandbox\"\n\
                 hmac_key = \"{HMAC_KEY}\"\n"
            ),
        }
    }
}

/// The node and what it talks to.
#[derive(Debug)]
pub(crate) struct TwoProviders {
    pub(crate) dev: Dev,
    pub(crate) first_at: SocketAddr,
    protocol: Protocol,
    first: Option<Process>,
    elsewhere: TempDir,
    _folder: TempDir,
}

impl TwoProviders {
    /// Both are there. Later variables win over earlier ones.
    #[track_caller]
    pub(crate) fn start(protocol: Protocol, variables: &[(&str, &str)]) -> Self {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (first, first_at) = start_sandbox(elsewhere.path(), lasting_address());
        let other = match protocol {
            Protocol::Stripe => Protocol::Adyen,
            Protocol::Adyen => Protocol::Stripe,
        };
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        // The cheaper one is the better one as long as they do equally well.
        let text = protocol.section(FIRST, first_at, 100) + &other.section(SECOND, anywhere, 290);
        let config = folder.path().join("florin.toml");
        std::fs::write(&config, text).unwrap();
        let arguments = ["dev", "--config", config.to_str().unwrap()];
        let all = [&PATIENT, variables].concat();
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
            first_at,
            protocol,
            first: Some(first),
            elsewhere,
            _folder: folder,
        }
    }

    /// The preferred provider is gone at once: its listener is closed, and its connections are reset.
    pub(crate) fn kill_first(&mut self) {
        self.first.take().unwrap().kill_9();
    }

    /// It comes back on its address, with its witness and without its faults.
    #[track_caller]
    pub(crate) fn revive_first(&mut self) {
        let (process, address) = start_sandbox(self.elsewhere.path(), self.first_at);
        assert_eq!(address, self.first_at);
        self.first = Some(process);
    }

    /// Makes the preferred one misbehave on charges.
    #[track_caller]
    pub(crate) fn fault(&self, mode: &str, fields: &Value) {
        let mut all = json!({"provider": self.protocol.as_str()});
        all.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        add_fault(self.first_at, mode, &all);
    }

    /// From now on the requests to charge that reach the preferred one are counted; nothing else changes.
    #[track_caller]
    pub(crate) fn count_requests(&self) {
        self.fault("decline", &json!({"probability": 0}));
    }

    /// How many there were, by its oldest fault.
    #[track_caller]
    pub(crate) fn requests(&self) -> u64 {
        faults(self.first_at)["data"][0]["covered"].as_u64().unwrap()
    }

    /// What the preferred one really executed.
    #[track_caller]
    pub(crate) fn first_charges(&self) -> Vec<Value> {
        charges(self.first_at)
    }

    /// A metric of the preferred one's breaker before charges.
    #[track_caller]
    fn breaker(&self, name: &str, label: &str) -> Option<f64> {
        let metrics = self.dev.operator().get("/metrics").expect(200).text();
        let provider = format!("provider=\"{FIRST}\"");
        let of_charges: String = metrics
            .lines()
            .filter(|line| line.contains(&provider) && line.contains("operation=\"charge\""))
            .flat_map(|line| [line, "\n"])
            .collect();
        figure(&of_charges, name, label)
    }

    /// Waits until the breaker stands so: 0 is closed, 1 half-open, 2 open.
    #[track_caller]
    pub(crate) fn breaker_once(&self, state: u8) {
        wait_for(&format!("the breaker to be at {state}"), || {
            let value = self.breaker("florin_provider_breaker", "");
            value
                .is_some_and(|value| (value - f64::from(state)).abs() < 0.1)
                .then_some(())
        });
    }

    /// Waits until it has come to this state so many times.
    #[track_caller]
    pub(crate) fn breaker_has(&self, became: &str, times: u32) {
        wait_for(&format!("the breaker to be {became} {times} times"), || {
            let label = format!("to=\"{became}\"");
            let count = self.breaker("florin_provider_breaker_changes_total", &label);
            (count.unwrap_or_default() > f64::from(times) - 0.5).then_some(())
        });
    }

    #[track_caller]
    pub(crate) fn history(&self, id: &str) -> Vec<Value> {
        history(&self.dev.merchant(), id)
    }

    #[track_caller]
    pub(crate) fn stop(mut self) {
        self.dev.stop();
        if let Some(first) = self.first.take() {
            first.stop();
        }
    }
}

/// What happened to a payment, oldest first.
#[track_caller]
pub(crate) fn history(merchant: &Caller, id: &str) -> Vec<Value> {
    let history = merchant.read(&format!("/v1/payments/{id}/history"));
    history["data"].as_array().unwrap().clone()
}

/// The number and the provider of each attempt.
#[track_caller]
pub(crate) fn attempts(rows: &[Value]) -> Vec<(u64, &str)> {
    rows.iter()
        .filter(|row| row["type"] == "attempt.planned")
        .map(|row| {
            (
                row["attempt"].as_u64().unwrap(),
                row["provider"].as_str().unwrap(),
            )
        })
        .collect()
}

/// Why routing left a provider out of an attempt, if it did.
#[track_caller]
pub(crate) fn left_out<'a>(rows: &'a [Value], attempt: u64, provider: &str) -> Option<&'a str> {
    let routed = rows
        .iter()
        .find(|row| row["type"] == "attempt.routed" && row["attempt"] == attempt)
        .unwrap_or_else(|| panic!("attempt {attempt} has no route: {rows:?}"));
    let mut barred = routed["route"]["left_out"].as_array().unwrap().iter();
    let barred = barred.find(|barred| barred["provider"] == provider)?;
    Some(barred["why"].as_str().unwrap())
}

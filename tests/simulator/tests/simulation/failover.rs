//! Providers that charge and then say nothing, and refuse connections: no payment is charged twice, and those that were refused go on
//! elsewhere. The rule "on a time limit, try the next provider" fails the same checks.

use florin_domain::credentials::KeyOwner;
use florin_domain::ids::MerchantId;
use florin_domain::ports::{AttemptRequest, BoxFuture, KeyOwners, Provider};
use florin_domain::provider::{Capabilities, Outcome, ProviderReference};
use florin_domain::time::Timestamp;
use florin_simulator::{Scenario, Settings, Tally, Wiring, simulate};
use std::sync::Arc;

/// Runs and purchases of each: all in all 150,000 payments where the code is optimized.
const RUNS: (u64, u64) = if cfg!(debug_assertions) {
    (20, 60)
} else {
    (175, 1_000)
};

fn settings(seed: u64, ops: u64) -> Settings {
    Settings {
        seed,
        ops,
        scenario: Scenario::Failover,
        keeps_trace: false,
        goes_on: true,
    }
}

#[test]
fn nothing_is_charged_twice_while_providers_charge_silently_and_refuse_connections() {
    let mut seen = Tally::default();
    let (runs, ops) = RUNS;
    for seed in 0..runs {
        let report = simulate(settings(seed, ops), &Wiring::default()).unwrap();
        assert_eq!(
            report.breaches,
            Vec::<String>::new(),
            "replay: florin simulate --scenario failover --seed {seed} --ops {ops} --trace"
        );
        seen.add(&report.tally);
    }
    let count = |group, name| seen.count(group, name);
    println!(
        "{} payments, {} silent charges, {} refused connections, {} and {} charges that went on elsewhere",
        count("event", "created"),
        count("fault", "provider charges, then silence"),
        count("fault", "provider not reached"),
        count("failover", "after not sent"),
        count("failover", "after a cancellation"),
    );
    assert!(
        count("event", "created") >= runs * ops * 3 / 4,
        "payments were made"
    );
    // Two connections in ten are refused, and most charges have another provider to go to.
    assert!(count("failover", "after not sent") * 20 > count("event", "created"));
    assert!(
        count("event", "attempt unknown") > 0,
        "and what was charged in silence waits"
    );
}

/// The literal rule: no answer counts as no charge.
#[derive(Debug)]
struct Literal(Arc<dyn Provider>);

impl KeyOwners for Literal {
    fn key_owner(&self, _merchant: MerchantId, _made_at: Timestamp) -> Option<KeyOwner> {
        Some(KeyOwner::Platform)
    }
}

impl Provider for Literal {
    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn prepare<'a>(
        &'a self,
        request: &'a AttemptRequest,
    ) -> BoxFuture<'a, Result<ProviderReference, Outcome>> {
        self.0.prepare(request)
    }

    fn execute<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match self.0.execute(request).await {
                Outcome::Unknown { reason, .. } => Outcome::not_sent(reason),
                other => other,
            }
        })
    }

    fn query<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        self.0.query(request)
    }

    fn cancel<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        self.0.cancel(request)
    }
}

#[test]
fn trying_the_next_provider_after_a_time_limit_is_caught() {
    let wiring = Wiring {
        provider: Box::new(|inner, _| Arc::new(Literal(inner))),
        ..Wiring::default()
    };
    let report = simulate(settings(1, 100), &wiring).unwrap();
    let twice = |breach: &&String| breach.contains("was done 2 times");
    assert!(
        report.breaches.iter().any(|breach| twice(&breach)),
        "{:#?}",
        report.breaches
    );
}

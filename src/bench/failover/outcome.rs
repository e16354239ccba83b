//! What the bench prints: the same figures for people and for programs.

use super::books::Books;
use super::figures::{Phase, SLOT, median};
use super::gate::Mode;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::time::Duration;

/// How the provider died, and what came of it.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) death: Mode,
    pub(super) before: Phase,
    /// From the death until the provider was well again.
    pub(super) during: Phase,
    pub(super) after: Phase,
    /// From the death until successes came as before; nothing if they did not.
    pub(super) recovered: Option<Duration>,
    /// Charges that went on at the backup after an attempt that was proven to have charged nothing.
    pub(super) failovers: u64,
    /// From the provider's return until its breaker was closed; nothing if it was not in time.
    pub(super) closed: Option<Duration>,
    /// From then until it got the first request.
    pub(super) traffic: Option<Duration>,
    /// Requests that it got for each payment after that, in parts of what it got before it died.
    pub(super) traffic_ratio: f64,
    pub(super) books: Books,
}

/// All of it.
#[derive(Debug)]
pub(super) struct FailoverReport {
    pub(super) rate_per_s: u32,
    pub(super) connections: u32,
    pub(super) request_timeout: Duration,
    pub(super) breaker_open: Duration,
    pub(super) scenarios: Vec<Scenario>,
}

const fn name(death: Mode) -> &'static str {
    match death {
        Mode::Well => "well",
        Mode::Refuses => "refuses",
        Mode::Hangs => "hangs",
        Mode::Unavailable => "http_503",
    }
}

fn ms(time: Option<Duration>) -> Value {
    time.map_or(Value::Null, |time| {
        json!(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    })
}

fn words(time: Option<Duration>) -> String {
    time.map_or_else(
        || "not in time".to_owned(),
        |time| format!("{} ms", time.as_millis()),
    )
}

#[expect(clippy::cast_precision_loss, reason = "a measured figure")]
fn ratio(of: u64, to: u64) -> f64 {
    rounded(of as f64 / to.max(1) as f64)
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

impl FailoverReport {
    /// What must never be.
    pub(super) fn breaches(&self) -> usize {
        self.scenarios
            .iter()
            .map(|scenario| scenario.books.breaches.len())
            .sum()
    }

    pub(super) fn write(&self, out: &mut impl Write, as_json: bool) -> io::Result<()> {
        writeln!(
            out,
            "bench failover, {} payments/s over {} connections, request timeout {} ms, breaker open for {} ms",
            self.rate_per_s,
            self.connections,
            self.request_timeout.as_millis(),
            self.breaker_open.as_millis()
        )?;
        for scenario in &self.scenarios {
            scenario.write(out)?;
        }
        writeln!(out, "breaches {}", self.breaches())?;
        if as_json {
            writeln!(out, "{}", self.to_json())?;
        }
        Ok(())
    }

    fn to_json(&self) -> Value {
        let scenarios: Vec<Value> = self.scenarios.iter().map(Scenario::to_json).collect();
        json!({
            "bench": "failover",
            "rate_per_s": self.rate_per_s,
            "connections": self.connections,
            "request_timeout_ms": ms(Some(self.request_timeout)),
            "breaker_open_ms": ms(Some(self.breaker_open)),
            "slot_ms": ms(Some(SLOT)),
            "scenarios": scenarios,
            "breaches": self.breaches(),
        })
    }
}

impl Scenario {
    fn phases(&self) -> [(&'static str, &Phase); 3] {
        [
            ("before", &self.before),
            ("during", &self.during),
            ("after", &self.after),
        ]
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let books = &self.books;
        writeln!(out, "\nthe preferred provider {}", name(self.death))?;
        for (name, phase) in self.phases() {
            writeln!(
                out,
                "  {name:<8}{:>9.1} payments/s   p50 {:>8} us   p99 {:>8} us   {} succeeded, {} declined, {} processing, {} refused, {} lost",
                phase.succeeded_per_s(),
                phase.p50_us,
                phase.p99_us,
                phase.succeeded,
                phase.declined,
                phase.processing,
                phase.refused,
                phase.lost
            )?;
        }
        writeln!(
            out,
            "  back to 95 % of the usual {} per {} ms after {}; {} failovers",
            median(&self.before.slots),
            SLOT.as_millis(),
            words(self.recovered),
            self.failovers
        )?;
        writeln!(
            out,
            "  well again: breaker closed after {}, first request {} later, then {:.0} % of the traffic it had",
            words(self.closed),
            words(self.traffic),
            self.traffic_ratio * 100.0
        )?;
        writeln!(
            out,
            "  {} payments: {} succeeded, {} not charged, {} unresolved; {} charges at the preferred provider, {} at the backup",
            books.payments,
            books.succeeded,
            books.not_charged,
            books.unresolved.len(),
            books.charges[0],
            books.charges[1]
        )?;
        for id in &books.unresolved {
            writeln!(out, "  unresolved {id}")?;
        }
        for breach in &books.breaches {
            writeln!(out, "  BREACH {breach}")?;
        }
        Ok(())
    }

    fn to_json(&self) -> Value {
        let books = &self.books;
        let mut scenario = json!({
            "death": name(self.death),
            "usual_per_slot": median(&self.before.slots),
            "recovered_ms": ms(self.recovered),
            "failovers": self.failovers,
            "breaker_closed_ms": ms(self.closed),
            "traffic_ms": ms(self.traffic),
            "ratios": {
                "during_to_before": rounded(self.during.succeeded_per_s() / self.before.succeeded_per_s().max(1e-9)),
                "after_to_before": rounded(self.after.succeeded_per_s() / self.before.succeeded_per_s().max(1e-9)),
                "p99_during_to_before": ratio(self.during.p99_us, self.before.p99_us),
                "p99_after_to_before": ratio(self.after.p99_us, self.before.p99_us),
                "traffic_after_to_before": rounded(self.traffic_ratio),
            },
            "payments": books.payments,
            "succeeded": books.succeeded,
            "not_charged": books.not_charged,
            "unresolved": books.unresolved,
            "charges_preferred": books.charges[0],
            "charges_backup": books.charges[1],
            "breaches": books.breaches,
        });
        for (name, phase) in self.phases() {
            scenario[name] = json!({
                "seconds": rounded(phase.seconds),
                "payments_per_s": rounded(phase.succeeded_per_s()),
                "succeeded": phase.succeeded,
                "declined": phase.declined,
                "processing": phase.processing,
                "refused": phase.refused,
                "lost": phase.lost,
                "p50_us": phase.p50_us,
                "p99_us": phase.p99_us,
                "slots": phase.slots,
            });
        }
        scenario
    }
}

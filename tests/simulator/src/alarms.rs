//! Owns what the platform alerts its operators of, as their own systems would count it.

use crate::clock::lock;
use crate::tally::ALERTED;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// The one figure that is looked at.
const ALERTS: &str = "florin_alerts_total";

/// How often each alert was raised.
#[derive(Debug, Default)]
pub(crate) struct Alarms(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Alarms {
    /// How often an alert was raised so far.
    pub(crate) fn count(&self, alert: &str) -> u64 {
        lock(&self.0)
            .get(alert)
            .map_or(0, |count| count.load(Ordering::SeqCst))
    }

    /// Those that the simulation drives, and were raised.
    pub(crate) fn raised(&self) -> impl Iterator<Item = &'static str> {
        ALERTED.iter().copied().filter(|alert| self.count(alert) > 0)
    }
}

impl Recorder for Alarms {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let alert = key.labels().find(|label| label.key() == "alert");
        let Some(alert) = alert.filter(|_| key.name() == ALERTS) else {
            return Counter::noop();
        };
        let mut all = lock(&self.0);
        let count = all.entry(alert.value().to_owned()).or_default();
        Counter::from_arc(Arc::clone(count))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

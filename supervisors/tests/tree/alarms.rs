//! Owns the alerts that operators are given in a test, counted as their own systems would count them.

use crate::ports::lock;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// How often each was raised.
#[derive(Debug, Default)]
pub(crate) struct Alarms(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Alarms {
    pub(crate) fn count(&self, alert: &str) -> u64 {
        let counts = lock(&self.0);
        counts.get(alert).map_or(0, |count| count.load(Ordering::SeqCst))
    }
}

impl Recorder for Alarms {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let alert = key.labels().find(|label| label.key() == "alert");
        alert.map_or_else(Counter::noop, |alert| {
            let mut counts = lock(&self.0);
            Counter::from_arc(Arc::clone(counts.entry(alert.value().to_owned()).or_default()))
        })
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

//! Copies of what velocity counts of customers, in Redis, under names that everybody knows: `velocity:user:{id}:1m`, `:1h`, `:amount:1d` and
//! `:failed:1h`. They are for whoever wants to see them; risk decides by what it counts itself, exactly and without waiting for anybody.
//!
//! They are written behind what happens. What waits is lost with the process, and with a server that does not take it in time: at most
//! [`NOTES_MAX`] events of each. Each counter begins with the first event and is gone when its time is over.

use crate::redis::{Redis, Unreachable};
use florin_domain::payment::Spec;
use florin_domain::ports::{BoxFuture, CountedEvent, VelocityCopies};
use fred::prelude::Value;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

#[cfg(test)]
mod tests;

/// Events that wait to be written.
pub const NOTES_MAX: usize = 8_192;
/// Events that are written at once.
const BATCH_MAX: usize = 256;
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Adds to each counter, which begins to run out with the first addition. What is something else is left as it is.
const COUNT: &str = "
for i = 1, #KEYS do
  local field, by, lifetime = ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i]
  local sum
  if field == '' then sum = redis.pcall('INCRBY', KEYS[i], by) else sum = redis.pcall('HINCRBY', KEYS[i], field, by) end
  if type(sum) == 'number' and redis.call('TTL', KEYS[i]) == -1 then redis.call('EXPIRE', KEYS[i], lifetime) end
end
return #KEYS";

/// What is added to a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// Its name.
    pub key: String,
    /// Which of several under that name, if there are several.
    pub field: Option<&'static str>,
    /// How much: events, or an amount in minor units.
    pub by: i64,
    /// For how long it is kept from its first event on.
    pub lifetime: Duration,
}

/// A store of counters. It answers in a bounded time, if only that it does not know.
pub trait Counters: Send + Sync + fmt::Debug {
    /// Adds all of it. After an error it may have been added, or be added later.
    fn add(&self, added: Vec<Added>) -> BoxFuture<'_, Result<(), Unreachable>>;
}

impl Counters for Redis {
    fn add(&self, added: Vec<Added>) -> BoxFuture<'_, Result<(), Unreachable>> {
        let mut keys = Vec::with_capacity(added.len());
        let mut arguments: Vec<Value> = Vec::with_capacity(added.len() * 3);
        for Added {
            key,
            field,
            by,
            lifetime,
        } in added
        {
            keys.push(key);
            arguments.push(field.unwrap_or_default().into());
            arguments.push(by.into());
            arguments.push(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX).into());
        }
        Box::pin(async move { self.run::<i64>(COUNT, keys, arguments).await.map(drop) })
    }
}

/// The copies.
#[derive(Debug)]
pub struct CopiedVelocity {
    notes: mpsc::Sender<Vec<Added>>,
}

impl CopiedVelocity {
    /// In these counters. Belongs to the runtime that it is started on.
    pub fn start(counters: Arc<dyn Counters>) -> Self {
        let (notes, inbox) = mpsc::channel(NOTES_MAX);
        tokio::spawn(write_behind(counters, inbox));
        Self { notes }
    }
}

impl VelocityCopies for CopiedVelocity {
    fn tell(&self, spec: &Spec, event: CountedEvent) {
        let Some(user) = user(spec) else { return };
        if self.notes.try_send(added(&user, spec, event)).is_err() {
            left_out(1);
        }
    }
}

fn left_out(events: usize) {
    metrics::counter!("florin_velocity_copies_left_out_total")
        .increment(u64::try_from(events).unwrap_or(u64::MAX));
}

/// A customer's own name says nothing without whose customer it is.
fn user(spec: &Spec) -> Option<String> {
    let customer = spec.customer.as_deref()?;
    let mode = if spec.livemode { "live" } else { "test" };
    // So that no customer's name ends as a counter's does.
    let customer = customer.replace('%', "%25").replace(':', "%3A");
    Some(format!("velocity:user:{}:{mode}:{customer}", spec.merchant))
}

fn added(user: &str, spec: &Spec, event: CountedEvent) -> Vec<Added> {
    let one = |counter: &str, lifetime| Added {
        key: format!("{user}:{counter}"),
        field: None,
        by: 1,
        lifetime,
    };
    match event {
        CountedEvent::Decline => vec![one("failed:1h", HOUR)],
        CountedEvent::Payment => {
            let amount = Added {
                field: Some(spec.currency.code()),
                // More than a counter takes: it shows the most that it can.
                by: i64::try_from(spec.amount.minor()).unwrap_or(i64::MAX),
                ..one("amount:1d", DAY)
            };
            vec![one("1m", MINUTE), one("1h", HOUR), amount]
        }
    }
}

async fn write_behind(counters: Arc<dyn Counters>, mut inbox: mpsc::Receiver<Vec<Added>>) {
    let mut notes = Vec::with_capacity(BATCH_MAX);
    while inbox.recv_many(&mut notes, BATCH_MAX).await > 0 {
        let events = notes.len();
        let added = notes.drain(..).flatten().collect();
        if counters.add(added).await.is_err() {
            left_out(events);
        }
    }
}

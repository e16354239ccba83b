//! Velocity shards: how often a customer (else a device) paid and was declined in the last hour. A subject lives in one shard,
//! so its counters need no lock. Counters are bounded in number and are lost with their shard: risk then knows less, money is
//! not touched.

use crate::context::{Context, Step};
use crate::mailbox::{Envelope, Mailbox};
use crate::payment::PaymentMail;
use florin_domain::time::Timestamp;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

/// Whom velocity is counted for: a digest of merchant and customer or device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject(u64);

impl Subject {
    /// The subject of a customer (else a device) of a merchant; `None` when nothing identifies one.
    pub fn of(spec: &florin_domain::payment::Spec) -> Option<Self> {
        let name = spec.customer.as_deref().or(spec.device.fingerprint.as_deref())?;
        let mut hasher = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default().build_hasher();
        hasher.write_u128(spec.merchant.bits());
        hasher.write(name.as_bytes());
        Some(Self(hasher.finish()))
    }

    /// Which of `shards` owns it.
    pub fn shard(self, shards: usize) -> usize {
        usize::try_from(self.0 % shards.max(1) as u64).unwrap_or(0)
    }
}

/// Velocity of a subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Velocity {
    /// Payments in the last hour, the present one included.
    pub hour_count: u32,
    /// Declines in the last hour.
    pub hour_declines: u32,
}

/// Answers a payment; when it is dropped unanswered (the shard died) the payment is told that nothing is known.
#[derive(Debug)]
pub struct VelocityReply(Option<Mailbox<PaymentMail>>);

impl VelocityReply {
    /// For this payment.
    pub fn new(payment: Mailbox<PaymentMail>) -> Self {
        Self(Some(payment))
    }

    fn answer(mut self, velocity: Velocity) {
        if let Some(payment) = self.0.take() {
            payment.step(PaymentMail::Assessed(Some(velocity)));
        }
    }
}

impl Drop for VelocityReply {
    fn drop(&mut self) {
        if let Some(payment) = self.0.take() {
            payment.step(PaymentMail::Assessed(None));
        }
    }
}

/// What a shard is told.
#[derive(Debug)]
pub enum RiskMail {
    /// Count a payment and say how many there are.
    Count {
        /// Of whom.
        subject: Subject,
        /// When.
        at: Timestamp,
        /// Who asks.
        reply: VelocityReply,
    },
    /// Count a decline.
    Declined {
        /// Of whom.
        subject: Subject,
        /// When.
        at: Timestamp,
    },
}

const BUCKETS: usize = 6;
const BUCKET_MS: u64 = 3_600_000 / BUCKETS as u64;

/// An hour in six buckets: at most ten minutes too long, never too short.
#[derive(Clone, Copy, Debug, Default)]
struct Hour {
    bucket: u64,
    counts: [u16; BUCKETS + 1],
    declines: [u16; BUCKETS + 1],
}

impl Hour {
    fn advance(&mut self, at: Timestamp) -> usize {
        let now = at.unix_ms() / BUCKET_MS;
        let span = BUCKETS as u64 + 1;
        let stale = now.saturating_sub(self.bucket).min(span);
        for step in 1..=stale {
            let index = usize::try_from((self.bucket + step) % span).unwrap_or(0);
            self.counts[index] = 0;
            self.declines[index] = 0;
        }
        self.bucket = self.bucket.max(now);
        usize::try_from(self.bucket % span).unwrap_or(0)
    }

    fn velocity(&self) -> Velocity {
        let sum = |counts: &[u16]| counts.iter().map(|count| u32::from(*count)).sum();
        Velocity {
            hour_count: sum(&self.counts),
            hour_declines: sum(&self.declines),
        }
    }
}

/// A shard's state.
#[derive(Debug)]
pub struct RiskState {
    context: Arc<Context>,
    hours: HashMap<Subject, Hour>,
    /// Subjects in the order first seen: the oldest leaves when there are too many.
    order: VecDeque<Subject>,
}

impl RiskState {
    fn hour(&mut self, subject: Subject) -> &mut Hour {
        if !self.hours.contains_key(&subject) {
            if self.order.len() >= self.context.options.risk_subjects_max
                && let Some(oldest) = self.order.pop_front()
            {
                self.hours.remove(&oldest);
            }
            self.order.push_back(subject);
        }
        self.hours.entry(subject).or_default()
    }
}

/// A velocity shard.
#[derive(Clone, Copy, Debug)]
pub struct RiskShard;

impl Actor for RiskShard {
    type Msg = Envelope<RiskMail>;
    type State = RiskState;
    type Arguments = Arc<Context>;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        context: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(RiskState {
            context,
            hours: HashMap::new(),
            order: VecDeque::new(),
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (mail, _slot) = envelope.open();
        match mail {
            RiskMail::Count { subject, at, reply } => {
                state.context.ports.probe.reached(Step::RiskAssessing);
                let hour = state.hour(subject);
                let index = hour.advance(at);
                hour.counts[index] = hour.counts[index].saturating_add(1);
                reply.answer(hour.velocity());
            }
            RiskMail::Declined { subject, at } => {
                let hour = state.hour(subject);
                let index = hour.advance(at);
                hour.declines[index] = hour.declines[index].saturating_add(1);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_leave_after_an_hour_and_at_most_ten_minutes_later() {
        let mut hour = Hour::default();
        let minute = |n: u64| Timestamp::from_unix_ms(1_700_000_400_000 + n * 60_000);
        for n in 0..3 {
            let index = hour.advance(minute(n));
            hour.counts[index] += 1;
        }
        hour.advance(minute(59));
        assert_eq!(hour.velocity().hour_count, 3);
        hour.advance(minute(75));
        assert_eq!(hour.velocity().hour_count, 0);
    }

    #[test]
    fn a_clock_that_steps_back_loses_no_count() {
        let mut hour = Hour::default();
        let at = |ms| Timestamp::from_unix_ms(ms);
        let index = hour.advance(at(10 * BUCKET_MS));
        hour.counts[index] += 1;
        let index = hour.advance(at(9 * BUCKET_MS));
        hour.counts[index] += 1;
        assert_eq!(hour.velocity().hour_count, 2);
    }
}

//! Due times of unresolved attempts: small entries instead of waiting actors. When one is due its payment is brought back to
//! ask the provider. Nothing is ever given up by this clock: it only decides when to ask again. After a restart the
//! schedule is rebuilt from the journal's open payments.

use crate::context::{Context, Step};
use crate::guardian::GuardianMail;
use crate::mailbox::Envelope;
use crate::ticks::keep_ticking;
use florin_domain::ids::PaymentId;
use florin_domain::time::Millis;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What the schedule is told.
#[derive(Debug)]
pub enum ResolutionMail {
    /// Ask about this payment again after its next wait.
    Schedule(PaymentId),
    /// The same, once a day: only people can end it, and asking is a courtesy to a provider that may have learned better.
    ScheduleDaily(PaymentId),
    /// These were open when the process started: resume them, a page at a time, behind live traffic.
    Adopt(Vec<PaymentId>),
    /// Look what is due.
    Tick,
}

/// The schedule's state.
#[derive(Debug)]
pub struct ResolutionState {
    context: Arc<Context>,
    due: BTreeSet<(Instant, PaymentId)>,
    waits: HashMap<PaymentId, Wait>,
    adopted: Vec<PaymentId>,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    due: Instant,
    asked: usize,
}

/// The schedule.
#[derive(Clone, Copy, Debug)]
pub struct ResolutionSchedule;

/// Questions in vain after which an attempt that may still be repeated is closed at the provider instead, if that is possible.
const CLOSE_AFTER: usize = 3;
/// By how much waits differ at least, also where nothing else is to be left to chance.
const JITTER_BPS_MIN: u32 = 1_000;
/// How often a payment is asked about that only people can end.
const DAY: Duration = Duration::from_hours(24);
/// A payment that was asked about and did not come back within this time is resolved: its count starts anew.
const FORGET: Duration = Duration::from_mins(1);

impl Actor for ResolutionSchedule {
    type Msg = Envelope<ResolutionMail>;
    type State = ResolutionState;
    type Arguments = Arc<Context>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        context: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let mailbox = context.resolution.clone();
        keep_ticking(myself, mailbox, context.options.ticks.resolution, || {
            ResolutionMail::Tick
        });
        Ok(ResolutionState {
            context,
            due: BTreeSet::new(),
            waits: HashMap::new(),
            adopted: Vec::new(),
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
            ResolutionMail::Schedule(payment) => {
                state.context.ports.probe.reached(Step::ResolutionScheduled);
                state.schedule(payment, None);
            }
            ResolutionMail::ScheduleDaily(payment) => {
                state.context.ports.probe.reached(Step::ResolutionScheduled);
                state.schedule(payment, Some(DAY));
            }
            ResolutionMail::Adopt(payments) => state.adopted.extend(payments),
            ResolutionMail::Tick => state.tick(),
        }
        Ok(())
    }
}

impl ResolutionState {
    fn schedule(&mut self, payment: PaymentId, every: Option<Duration>) {
        let waits = &self.context.options.resolution_waits;
        let asked = match self.waits.get(&payment) {
            Some(wait) if wait.due > Instant::now() => return,
            Some(wait) => wait.asked.saturating_add(1),
            None => 0,
        };
        let usual = Duration::from_millis(waits[asked.min(waits.len() - 1)].0);
        let due = Instant::now() + self.jittered(every.unwrap_or(usual));
        self.due.insert((due, payment));
        self.waits.insert(payment, Wait { due, asked });
    }

    /// Those that are due together do not all find room before their provider: without this, the last ones would be the last ones
    /// every time, and never be asked about.
    fn jittered(&self, wait: Duration) -> Duration {
        let wait_ms = Millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        let random = self.context.ports.entropy.next_u64();
        let mut policy = self.context.options.retry;
        policy.jitter_bps = policy.jitter_bps.max(JITTER_BPS_MIN);
        Duration::from_millis(policy.jittered(wait_ms, random).0)
    }

    fn tick(&mut self) {
        let now = Instant::now();
        // A page at a time: after an outage everything is due at once, and each payment that is asked about is in memory.
        for _ in 0..self.context.options.resume_page {
            let Some(&(due, payment)) = self.due.first() else {
                break;
            };
            if due > now {
                break;
            }
            self.due.pop_first();
            let closes = self
                .waits
                .get(&payment)
                .is_some_and(|wait| wait.asked >= CLOSE_AFTER);
            self.context
                .guardian(payment)
                .step(GuardianMail::Resume { payment, closes });
        }
        self.waits.retain(|_, wait| wait.due + FORGET > now);
        let page = self.context.options.resume_page.min(self.adopted.len());
        for payment in self.adopted.drain(..page) {
            let closes = false;
            self.context
                .guardian(payment)
                .step(GuardianMail::Resume { payment, closes });
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("florin_unresolved_payments", "shard" => self.context.shard.0.to_string())
            .set((self.due.len() + self.adopted.len()) as f64);
    }
}

//! What whoever waits is told, and when a payment may leave memory.

use super::{Action, IDLE_TIME, NotStored, PaymentMail, PaymentState, Stage};
use crate::context::Step;
use crate::idempotency::{IdempotencyMail, Reply, SubmissionId};
use crate::kind::Kind;
use crate::load::{Loaded, load_patiently};
use crate::owed::Owed;
use crate::resolution::ResolutionMail;
use florin_domain::idempotency::KeyDigest;
use florin_domain::payment::{Answer, Attempt, AttemptState, Refusal};
use florin_domain::ports::ReadError;
use ractor::{ActorProcessingErr, ActorStatus};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl PaymentState {
    /// Tells whoever waits, if there is something to tell.
    pub(super) fn answer(&mut self) {
        if matches!(self.stage, Stage::Idle) {
            self.answer_creation();
            self.answer_requests();
            self.answer_notices();
        }
    }

    fn answer_creation(&mut self) {
        let Some(payment) = &self.payment else { return };
        if !self.key_waits {
            return;
        }
        let (shown, answer) = match &self.answers.creation {
            Some(answered) => (answered, answered.answer()),
            None => (payment, payment.answer()),
        };
        let given_up = !self.is_driving(payment.authorize_id());
        if answer == Answer::Unresolved && !given_up {
            return;
        }
        self.context.ports.probe.reached(Step::PaymentAnswering);
        self.key_waits = false;
        if let Some(admitted_at) = self.admitted_at.take() {
            let total = admitted_at.elapsed();
            let figures = &self.context.figures;
            figures.end_to_end_seconds.record(total.as_secs_f64());
            figures
                .own_seconds
                .record(total.saturating_sub(self.provider_time).as_secs_f64());
            figures.count_outcome(answer.as_str());
        }
        let reply = Reply::Answered {
            payment: Arc::clone(shown),
            answer,
            operation: None,
        };
        self.context.idempotency.step(IdempotencyMail::Answered {
            key: payment.spec.key_digest,
            payment: self.id,
            reply,
        });
    }

    /// Gives up before anything was stored.
    pub(super) fn refuse(&mut self, why: NotStored) {
        self.stage = Stage::Idle;
        self.gone = true;
        self.lets_go_of_card();
        if let Some(key) = self.key.take() {
            let reply = Reply::NotStored(why);
            self.context.idempotency.step(IdempotencyMail::Answered {
                key,
                payment: self.id,
                reply,
            });
        }
    }

    pub(super) fn load(&mut self) {
        self.stage = Stage::Loading;
        let (context, id, asks) = (Arc::clone(&self.context), self.id, self.mailbox.actor());
        let died = ReadError::Store("the task that reads it died".to_owned());
        let owed = Owed::new(self.mailbox.clone(), PaymentMail::Loaded(Err(died)));
        tokio::spawn(async move {
            let still_asks = || {
                asks.as_ref()
                    .is_some_and(|actor| actor.get_status() <= ActorStatus::Running)
            };
            let loaded = load_patiently(&context, id, still_asks).await;
            owed.say(PaymentMail::Loaded(loaded.map(|loaded| loaded.map(Box::new))));
        });
    }

    pub(super) fn loaded(
        &mut self,
        result: Result<Option<Box<Loaded>>, ReadError>,
    ) -> Result<(), ActorProcessingErr> {
        self.context.ports.probe.reached(Step::PaymentLoaded);
        let Some(loaded) = result? else {
            for mail in std::mem::take(&mut self.deferred) {
                self.tell_nothing_is_stored(&mail);
            }
            self.refuse(NotStored::Failed);
            return Ok(());
        };
        self.stage = Stage::Idle;
        self.seq = loaded.seq;
        // Mail that asks is still to come: it may drive the payment again, and only then is there an answer.
        let creation = loaded.payment.spec.key_digest;
        let asks = |mail: &PaymentMail| matches!(mail, PaymentMail::KeyAsked(key, _) if *key == creation);
        self.key_waits = self.key == Some(creation) && !self.deferred.iter().any(asks);
        self.answers = loaded.answers;
        self.payment = Some(loaded.payment);
        self.doubt_everything();
        // Whoever is about to say what became of an attempt does not want it to be asked about at the same moment. What an earlier incarnation
        // may have left open is asked about all the same.
        let resolves = |mail: &PaymentMail| match mail {
            PaymentMail::Operate(operate) => matches!(operate.action, Action::Resolve { .. }),
            PaymentMail::Noticed(noticed) => noticed.is_of_object() && !self.has_open_attempt(),
            PaymentMail::KeyAsked(..)
            | PaymentMail::Begin(_)
            | PaymentMail::Resume { .. }
            | PaymentMail::Loaded(_)
            | PaymentMail::Assessed(_)
            | PaymentMail::Committed(_)
            | PaymentMail::Reported { .. }
            | PaymentMail::Retry { .. }
            | PaymentMail::CheckDeadlines
            | PaymentMail::Passivate => false,
        };
        let is_due = self.asks_when_loaded;
        if !self.deferred.iter().any(resolves) {
            self.resume();
            self.check_overdue()?;
        } else if is_due {
            // Whatever they say may resolve nothing, and nobody would ask before the next question is due.
            let closes = self.closes;
            self.deferred.push_back(PaymentMail::Resume { closes });
        }
        self.asks_when_loaded = false;
        self.answer();
        Ok(())
    }

    fn tell_nothing_is_stored(&mut self, mail: &PaymentMail) {
        match mail {
            PaymentMail::Operate(operate) => {
                let why = NotStored::Refused(Refusal::NoSuchPayment);
                self.refuse_request(operate.request.key_digest, why);
            }
            PaymentMail::KeyAsked(key, submission) if self.key != Some(*key) => {
                self.say_unknown(*key, *submission);
            }
            // Dropped with its sender, a notice is sent again, and says of nobody's payment what it says.
            PaymentMail::Noticed(_)
            | PaymentMail::KeyAsked(..)
            | PaymentMail::Begin(_)
            | PaymentMail::Resume { .. }
            | PaymentMail::Loaded(_)
            | PaymentMail::Assessed(_)
            | PaymentMail::Committed(_)
            | PaymentMail::Reported { .. }
            | PaymentMail::Retry { .. }
            | PaymentMail::CheckDeadlines
            | PaymentMail::Passivate => {}
        }
    }

    /// Somebody waits for one of its keys; without a submission, because the request has just come again.
    pub(super) fn key_asked(
        &mut self,
        key: KeyDigest,
        submission: Option<SubmissionId>,
    ) -> Result<(), ActorProcessingErr> {
        let Some(payment) = self.payment.clone() else {
            return Ok(());
        };
        if payment.spec.key_digest != key {
            return self.request_asked(key, submission);
        }
        self.key = Some(key);
        self.key_waits = true;
        if self.answers.creation.is_none() && payment.answer() == Answer::NoProvider {
            self.asks_to_drive_again(&payment);
            return Ok(());
        }
        if self.answers.creation.is_none() && !self.is_driving_any() {
            self.resume();
        }
        self.answer();
        Ok(())
    }

    /// What the next incarnation is to do first, in order.
    #[must_use]
    pub fn left_behind(mut self) -> Vec<PaymentMail> {
        let mut left = std::mem::take(&mut self.left_behind);
        left.retain(|mail| match mail {
            PaymentMail::Operate(_)
            | PaymentMail::KeyAsked(..)
            | PaymentMail::Resume { .. }
            | PaymentMail::Noticed(_)
            | PaymentMail::CheckDeadlines => true,
            // Answers to what was begun here: with any of them to come it would not have left.
            PaymentMail::Begin(_)
            | PaymentMail::Loaded(_)
            | PaymentMail::Assessed(_)
            | PaymentMail::Committed(_)
            | PaymentMail::Reported { .. }
            | PaymentMail::Retry { .. }
            | PaymentMail::Passivate => false,
        });
        left
    }

    /// Whether there is nothing left to do here. What is unresolved is left to the due-time schedule.
    pub(super) fn rest(&mut self) -> bool {
        let idle = matches!(self.stage, Stage::Idle) && self.deferred.is_empty();
        if !idle || self.is_driving_any() {
            return false;
        }
        if self.gone {
            return true;
        }
        let Some(payment) = &self.payment else { return true };
        let attempts = payment.unresolved().filter_map(|op| op.attempt.as_ref());
        let mut waits_for_provider = attempts
            .filter(|attempt| attempt.state != AttemptState::ActionRequired)
            .peekable();
        if waits_for_provider.peek().is_some() {
            let schedule = if waits_for_provider.all(Attempt::is_abandoned) {
                ResolutionMail::ScheduleDaily(self.id)
            } else {
                ResolutionMail::Schedule(self.id)
            };
            self.context.resolution.step(schedule);
            return true;
        }
        if payment.is_settled() {
            return true;
        }
        let live = self
            .context
            .figures
            .kind(Kind::Payment)
            .live
            .load(Ordering::Relaxed);
        let room = i64::try_from(self.context.options.idle_payments_max).unwrap_or(i64::MAX);
        if live > room.saturating_add(i64::try_from(self.context.admission.in_flight()).unwrap_or(0)) {
            return true;
        }
        self.admitted_at = None;
        if std::mem::take(&mut self.active) {
            let mailbox = self.mailbox.clone();
            tokio::spawn(async move {
                tokio::time::sleep(IDLE_TIME).await;
                mailbox.step(PaymentMail::Passivate);
            });
            return false;
        }
        true
    }
}

impl Drop for PaymentState {
    fn drop(&mut self) {
        self.context
            .figures
            .kind(Kind::Payment)
            .live
            .fetch_sub(1, Ordering::Relaxed);
    }
}

//! Driving attempts: which request comes next, what an answer to it means after earlier answers, and when it is repeated.

use super::heard::count_stale;
use super::{PaymentMail, PaymentState, Report, reversal};
use crate::context::Step;
use crate::provider::{Ask, Call, ProviderMail};
use florin_domain::ids::{OperationId, VoidId};
use florin_domain::payment::{
    Attempt, AttemptState, Command, Effect, Operation, OperationKind, Payment, Status,
};
use florin_domain::ports::{AttemptRequest, ParentCharge};
use florin_domain::provider::Outcome;
use ractor::ActorProcessingErr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

fn request(
    payment: &Payment,
    op: &Operation,
    attempt: &Attempt,
    details: Option<Arc<str>>,
) -> Option<AttemptRequest> {
    let parent = match op.kind {
        OperationKind::Sale | OperationKind::Authorize => None,
        OperationKind::Capture | OperationKind::Void | OperationKind::Refund | OperationKind::Increment => {
            payment.provider_reference().map(|reference| ParentCharge {
                reference: Arc::clone(reference),
                authorized: payment.authorized,
            })
        }
        OperationKind::Reversal => reversal::parent(op),
    };
    Some(AttemptRequest {
        merchant: payment.spec.merchant,
        made_at: payment
            .operations
            .first()
            .map_or(op.opened_at, |charge| charge.opened_at),
        payment: payment.id(),
        operation: op.id,
        kind: op.asked_kind(),
        amount: op.amount,
        currency: payment.spec.currency,
        method: payment.method.clone()?,
        key: Arc::clone(&attempt.key),
        reference: attempt.reference.clone(),
        parent,
        is_final: op.is_final,
        return_url: payment.spec.return_url.clone(),
        off_session: payment.is_off_session(),
        details,
    })
}

/// What an answer means when an earlier request of the same attempt may have reached the provider: "not sent" and "refused
/// before execution" are then proof of nothing.
pub(super) fn after_earlier_requests(tainted: bool, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::NotSent { reason, .. } | Outcome::Rejected { reason, .. } if tainted => Outcome::Unknown {
            reason,
            reference: None,
        },
        Outcome::RateLimited { .. } if tainted => Outcome::Unknown {
            reason: Arc::from("rate limited after an unknown outcome"),
            reference: None,
        },
        outcome => outcome,
    }
}

impl PaymentState {
    /// Does what was decided, once that is durable or where nothing had to be.
    pub(super) fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Call(operation) => self.call(operation),
                Effect::Query(operation) => self.query(operation),
                Effect::Close(operation) => self.send_closing(operation),
                Effect::Alert(alert) => {
                    metrics::counter!("florin_alerts_total", "alert" => alert).increment(1);
                    tracing::error!(payment = %self.id, alert, "a payment needs an operator");
                }
            }
        }
    }

    /// Sends the open attempt of an operation.
    pub(super) fn call(&mut self, operation: OperationId) {
        let Some((op, attempt)) = self.open_attempt(operation) else {
            return;
        };
        let ask = if self.is_unsendable(&op, &attempt) {
            Ask::Prepare
        } else if attempt.is_closing_asked() {
            // What its provider was asked to close is never sent again: the answer might be the one from before.
            Ask::Query
        } else {
            Ask::Execute
        };
        self.ask(&op, &attempt, ask);
    }

    pub(super) fn open_attempt(&self, operation: OperationId) -> Option<(Operation, Attempt)> {
        let op = self.payment.as_ref()?.operation(operation)?;
        let attempt = op.attempt.as_ref()?;
        attempt
            .state
            .is_unresolved()
            .then(|| (op.clone(), attempt.clone()))
    }

    pub(super) fn ask(&mut self, op: &Operation, attempt: &Attempt, ask: Ask) {
        let Some(payment) = &self.payment else { return };
        self.context.ports.probe.reached(Step::PaymentCalling);
        let Some(seat) = self.context.provider(attempt.provider) else {
            tracing::error!(payment = %self.id, provider = %attempt.provider, "an attempt's provider is not configured");
            return;
        };
        // They are good for one question about a challenge, and for no other; whoever asks again brings them again.
        let details = match ask {
            Ask::Query | Ask::Complete
                if attempt.state == AttemptState::ActionRequired && !attempt.is_closing() =>
            {
                self.details.take()
            }
            Ask::Query | Ask::Complete | Ask::Prepare | Ask::Execute | Ask::Cancel => None,
        };
        let Some(request) = request(payment, op, attempt, details) else {
            tracing::error!(payment = %self.id, "an attempt has no payment method");
            return;
        };
        let asker = (self.mailbox.clone(), self.incarnation);
        let mut call = Call::new(ask, (op.id, attempt.number), request, asker);
        if attempt.state == AttemptState::Unknown {
            call = call.to_resolve();
        }
        let mailbox = seat.mailbox.clone();
        if std::mem::take(&mut self.drive(op.id).repeats) {
            call = call.again();
        }
        let drive = self.drive(op.id);
        drive.calls = drive.calls.saturating_add(1);
        self.promise = None;
        self.active = true;
        self.called_at = Some(Instant::now());
        mailbox.step(ProviderMail::Call(Box::new(call)));
    }

    pub(super) fn call_again(&mut self, operation: OperationId, number: u32) {
        if self.is_open(operation, number) {
            self.drive(operation).repeats = true;
            self.call(operation);
        } else {
            self.answer();
        }
    }

    pub(super) fn reported(
        &mut self,
        operation: OperationId,
        number: u32,
        report: Report,
    ) -> Result<(), ActorProcessingErr> {
        self.context.ports.probe.reached(Step::PaymentReported);
        let drive = self.drive(operation);
        drive.calls = drive.calls.saturating_sub(1);
        if let Some(called_at) = self.called_at {
            self.provider_time += called_at.elapsed();
        }
        let may_be_old = self.may_be_old(operation, number, &report);
        match report {
            Report::Outcome { outcome, .. } if self.is_older_than_end((operation, number), &outcome) => {
                count_stale("report");
            }
            Report::Outcome { outcome, .. } if may_be_old => {
                self.hear(operation, number, after_earlier_requests(true, outcome))?;
            }
            // Another making of the object, perhaps of an earlier incarnation, came back first: what it made may be confirmed by now,
            // so that this one proves nothing.
            Report::Prepared(Err(_))
            | Report::TurnedAway {
                ask: Ask::Prepare, ..
            }
            | Report::Outcome {
                ask: Ask::Prepare, ..
            } if self.has_object(operation, number) => {}
            Report::Prepared(Ok(reference)) => {
                if self.is_open(operation, number) {
                    self.doubts(operation, number).tries = 0;
                }
                self.decide(
                    None,
                    Command::Reference {
                        operation,
                        number,
                        reference,
                    },
                )?;
            }
            Report::Prepared(Err(outcome)) => {
                // An object of which we hold no reference is never confirmed, so it cannot charge.
                let outcome = match outcome {
                    Outcome::Unknown { reason, .. } => Outcome::not_sent(reason),
                    outcome => outcome,
                };
                self.retry_or_record(operation, number, outcome)?;
            }
            Report::TurnedAway { away, .. } => self.turned_away(operation, number, away)?,
            // A challenge goes on until its time is over, whatever cannot be found out meanwhile.
            Report::Outcome {
                ask: ask @ (Ask::Query | Ask::Cancel | Ask::Complete),
                outcome:
                    Outcome::Unknown { .. }
                    | Outcome::NotSent { .. }
                    | Outcome::RateLimited { .. }
                    | Outcome::Rejected { .. },
            } if self.is_challenged(operation) => {
                if ask != Ask::Cancel {
                    self.close_challenge(operation, number)?;
                }
            }
            Report::Outcome {
                ask: Ask::Query,
                outcome: Outcome::Unknown { reason, reference },
            } => {
                self.after_fruitless_query(operation, number, Outcome::Unknown { reason, reference })?;
            }
            Report::Outcome {
                ask: Ask::Query,
                outcome: Outcome::NotSent { .. } | Outcome::RateLimited { .. } | Outcome::Rejected { .. },
            } => {}
            Report::Outcome {
                ask: Ask::Query | Ask::Complete,
                outcome: Outcome::ActionRequired { .. },
            } if self.close_challenge(operation, number)? => {}
            // Closed, but not by us just now: whoever did it may not want the charge at all.
            Report::Outcome {
                ask: Ask::Query | Ask::Execute,
                outcome: outcome @ Outcome::Cancelled { .. },
            } => self.record_and_go_on(operation, number, outcome, None)?,
            Report::Outcome {
                ask: Ask::Query | Ask::Cancel | Ask::Complete,
                outcome,
            } => {
                self.record(operation, number, after_earlier_requests(true, outcome))?;
            }
            Report::Outcome {
                ask: Ask::Prepare | Ask::Execute,
                outcome,
            } => {
                self.retry_or_record(operation, number, outcome)?;
            }
        }
        self.answer();
        Ok(())
    }

    pub(super) fn is_open(&self, operation: OperationId, number: u32) -> bool {
        self.open_attempt(operation)
            .is_some_and(|(_, attempt)| attempt.number == number)
    }

    /// The attempt's provider tells by itself what becomes of what it took on: it is neither asked again nor stopped meanwhile.
    pub(super) fn tells(&self, attempt: &Attempt) -> bool {
        self.context
            .provider(attempt.provider)
            .is_some_and(|seat| seat.port.capabilities().recovery.notifies)
    }

    /// The provider's object of an open attempt is known.
    fn has_object(&self, operation: OperationId, number: u32) -> bool {
        self.open_attempt(operation)
            .is_some_and(|(_, attempt)| attempt.number == number && attempt.reference.is_some())
    }

    fn retry_or_record(
        &mut self,
        operation: OperationId,
        number: u32,
        outcome: Outcome,
    ) -> Result<(), ActorProcessingErr> {
        let Some((_, attempt)) = self
            .open_attempt(operation)
            .filter(|(_, attempt)| attempt.number == number)
        else {
            // A word about an attempt that is over: what it means depends on nothing that is remembered of the present one.
            return self.record(operation, number, outcome);
        };
        let doubts = self.doubts(operation, number);
        doubts.tries = doubts.tries.saturating_add(1);
        doubts.tainted |= matches!(outcome, Outcome::Unknown { .. });
        let (tries, tainted) = (doubts.tries, doubts.tainted);
        let is_worth_leaving = match &outcome {
            Outcome::NotSent { .. } => true,
            // Whoever asks for more patience than a caller has is left.
            Outcome::RateLimited { retry_after } => *retry_after > self.context.options.retry.timeout_wait,
            Outcome::Succeeded { .. }
            | Outcome::Declined { .. }
            | Outcome::ActionRequired { .. }
            | Outcome::Pending { .. }
            | Outcome::Cancelled { .. }
            | Outcome::Rejected { .. }
            | Outcome::Unknown { .. } => false,
        };
        // Nothing was done, and nothing may have been: another provider is asked at once, if there is one.
        if is_worth_leaving
            && !tainted
            && let Some(next) = self.elsewhere(operation, number, &outcome)
        {
            return self.record_and_go_on(operation, number, outcome, Some(next));
        }
        let policy = &self.context.options.retry;
        let wait = policy
            .wait_after(tries, &outcome)
            .map(|wait| policy.jittered(wait, self.context.ports.entropy.next_u64()));
        let now = self.context.ports.clock.now();
        match wait {
            Some(wait) if now.plus(wait) < attempt.deadline => {
                let drive = self.drive(operation);
                drive.retries = drive.retries.saturating_add(1);
                let (mailbox, asked_by) = (self.mailbox.clone(), self.incarnation);
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(wait.0)).await;
                    mailbox.step(PaymentMail::Retry {
                        operation,
                        number,
                        asked_by,
                    });
                });
                Ok(())
            }
            Some(_) | None if self.close_instead(operation, number, &outcome)? => Ok(()),
            Some(_) | None => self.record_at_last(operation, number, tainted, outcome),
        }
    }

    /// Looks whether a challenge, a review or an authorization has run out.
    pub(super) fn check_deadlines(&mut self) -> Result<(), ActorProcessingErr> {
        let Some(payment) = self.payment.clone() else {
            return Ok(());
        };
        let now = self.context.ports.clock.now();
        let operation = payment.authorize_id();
        match &payment.status {
            Status::RequiresAction(next) if next.expires_at <= now => {
                self.end_challenge(operation, next)?;
            }
            Status::RequiresAction(_)
            | Status::RequiresPaymentMethod
            | Status::RequiresConfirmation
            | Status::InReview { .. }
            | Status::Processing
            | Status::Authorized
            | Status::Succeeded
            | Status::Failed
            | Status::Blocked
            | Status::Voided => {
                let void = VoidId::from_bits(self.context.new_id_bits());
                if let Some(plan) = self.plan_at_holder(OperationId::Void(void), 1) {
                    self.decide(None, Command::CheckDeadlines { plan, void })?;
                }
            }
        }
        self.answer();
        Ok(())
    }

    /// A query that found nothing out: the request is repeated under its key while that is safe, later the attempt is closed.
    fn after_fruitless_query(
        &mut self,
        operation: OperationId,
        number: u32,
        outcome: Outcome,
    ) -> Result<(), ActorProcessingErr> {
        let Some((op, attempt)) = self.open_attempt(operation) else {
            return Ok(());
        };
        if attempt.number != number {
            return Ok(());
        }
        if self.context.ports.clock.now() < attempt.deadline && !attempt.is_closing_asked() {
            self.ask(&op, &attempt, Ask::Execute);
            return Ok(());
        }
        if self.can_close(&op, &attempt) {
            return self.close(&op, &attempt);
        }
        self.record(operation, number, outcome)
    }

    /// Goes on with whatever is unresolved: an attempt that may have been sent is asked about first.
    pub(super) fn resume(&mut self) {
        let Some(payment) = self.payment.clone() else {
            return;
        };
        let now = self.context.ports.clock.now();
        for op in payment.unresolved() {
            let Some(attempt) = &op.attempt else { continue };
            if self.is_driving(op.id) {
                continue;
            }
            let unsendable = self.is_unsendable(op, attempt);
            let charges = matches!(op.kind, OperationKind::Sale | OperationKind::Authorize);
            let tells = self.tells(attempt);
            match attempt.state {
                AttemptState::Open if unsendable && now < attempt.deadline => self.call(op.id),
                AttemptState::Open | AttemptState::Unknown if unsendable => {
                    // Never confirmed and past its time: the object it may have made can no longer be reached by us.
                    let outcome = Outcome::Cancelled { reference: None };
                    let (operation, number) = (op.id, attempt.number);
                    let report = Report::Outcome {
                        ask: Ask::Cancel,
                        outcome,
                    };
                    let drive = self.drive(operation);
                    drive.calls = drive.calls.saturating_add(1);
                    self.mailbox.step(PaymentMail::Reported {
                        operation,
                        number,
                        asked_by: self.incarnation,
                        report,
                    });
                }
                // Where it can be asked, it is asked at last.
                AttemptState::Pending if tells && !self.may_be_asked_late(attempt) => {}
                AttemptState::Open | AttemptState::Unknown | AttemptState::Pending => {
                    let tries = self.context.options.retry.tries_max;
                    let doubts = self.doubts(op.id, attempt.number);
                    doubts.tainted = true;
                    doubts.tries = tries;
                    let is_over = now >= attempt.deadline || attempt.is_closing_asked();
                    if attempt.is_closing() && self.can_close(op, attempt) {
                        // Only the answer to the closing itself says how that ended: any other may be older.
                        self.ask(op, attempt, Ask::Cancel);
                    } else if attempt.reference.is_some() || !charges || is_over {
                        self.ask(op, attempt, Ask::Query);
                    } else {
                        self.call(op.id);
                    }
                }
                AttemptState::ActionRequired
                | AttemptState::Succeeded
                | AttemptState::Declined
                | AttemptState::NotSent
                | AttemptState::Rejected
                | AttemptState::Cancelled
                | AttemptState::GivenUp => {}
            }
        }
    }
}

//! Driving attempts: which request comes next, what an answer to it means after earlier answers, and when it is repeated.

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
) -> AttemptRequest {
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
    AttemptRequest {
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
        method: payment.method.clone(),
        key: Arc::clone(&attempt.key),
        reference: attempt.reference.clone(),
        parent,
        is_final: op.is_final,
        return_url: payment.spec.return_url.clone(),
        details,
    }
}

/// What an answer means when an earlier request of the same attempt may have reached the provider: "not sent" and "refused
/// before execution" are then proof of nothing.
pub(super) fn after_earlier_requests(tainted: bool, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::NotSent { reason } | Outcome::Rejected { reason } if tainted => Outcome::Unknown {
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
            Ask::Query if attempt.state == AttemptState::ActionRequired => self.details.take(),
            Ask::Query | Ask::Prepare | Ask::Execute | Ask::Cancel => None,
        };
        let request = request(payment, op, attempt, details);
        let asker = (self.mailbox.clone(), self.incarnation);
        let mut call = Call::new(ask, (op.id, attempt.number), request, asker);
        if attempt.state == AttemptState::Unknown {
            call = call.to_resolve();
        }
        let mailbox = seat.mailbox.clone();
        let drive = self.drive(op.id);
        drive.calls = drive.calls.saturating_add(1);
        self.promise = None;
        self.active = true;
        self.called_at = Some(Instant::now());
        mailbox.step(ProviderMail::Call(Box::new(call)));
    }

    pub(super) fn call_again(&mut self, operation: OperationId, number: u32) {
        if self.is_open(operation, number) {
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
        match report {
            // Another making of the object, perhaps of an earlier incarnation, came back first: what it made may be confirmed by now,
            // so that this one proves nothing.
            Report::Prepared(Err(_))
            | Report::TurnedAway { ask: Ask::Prepare }
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
                    Outcome::Unknown { reason, .. } => Outcome::NotSent { reason },
                    outcome => outcome,
                };
                self.retry_or_record(operation, number, outcome)?;
            }
            Report::TurnedAway { .. } => self.turned_away(operation, number)?,
            // A challenge goes on until its time is over, whatever cannot be found out meanwhile.
            Report::Outcome {
                ask: ask @ (Ask::Query | Ask::Cancel),
                outcome:
                    Outcome::Unknown { .. }
                    | Outcome::NotSent { .. }
                    | Outcome::RateLimited { .. }
                    | Outcome::Rejected { .. },
            } if self.is_challenged(operation) => {
                if ask == Ask::Query {
                    self.close_challenge(operation, number);
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
                ask: Ask::Query,
                outcome: Outcome::ActionRequired { .. },
            } if self.close_challenge(operation, number) => {}
            // Closed, but not by us just now: whoever did it may not want the charge at all.
            Report::Outcome {
                ask: Ask::Query | Ask::Execute,
                outcome: outcome @ Outcome::Cancelled { .. },
            } => self.record_and_go_on(operation, number, outcome, None)?,
            Report::Outcome {
                ask: Ask::Query | Ask::Cancel,
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
        let wait = self.context.options.retry.wait_after(tries, &outcome);
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
            Some(_) | None if self.close_instead(operation, number, &outcome) => Ok(()),
            Some(_) | None => self.record_at_last(operation, number, tainted, outcome),
        }
    }

    /// An attempt that was asked about, repeated, and is unknown still: a provider that stored its own error under the key would
    /// answer it for ever. Closing the object is safe at any time: either it can no longer charge, or it turns out that it has.
    pub(super) fn close_instead(&mut self, operation: OperationId, number: u32, outcome: &Outcome) -> bool {
        let Some((op, attempt)) = self.open_attempt(operation) else {
            return false;
        };
        let resumed = self.closes && attempt.state == AttemptState::Unknown && attempt.number == number;
        if !resumed || !matches!(outcome, Outcome::Unknown { .. }) || !self.can_close(&op, &attempt) {
            return false;
        }
        self.ask(&op, &attempt, Ask::Cancel);
        true
    }

    fn is_challenged(&self, operation: OperationId) -> bool {
        self.open_attempt(operation)
            .is_some_and(|(_, attempt)| attempt.state == AttemptState::ActionRequired)
    }

    /// A challenge whose time is over is closed at the provider: either it can no longer charge, or it turns out that it has.
    fn close_challenge(&mut self, operation: OperationId, number: u32) -> bool {
        let now = self.context.ports.clock.now();
        let is_over = self.payment.as_ref().is_some_and(
            |payment| matches!(&payment.status, Status::RequiresAction(next) if next.expires_at <= now),
        );
        let Some((op, attempt)) = self.open_attempt(operation) else {
            return false;
        };
        if !is_over || attempt.number != number || !self.can_close(&op, &attempt) {
            return false;
        }
        self.ask(&op, &attempt, Ask::Cancel);
        true
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
                if !self.is_driving(operation) {
                    self.query(operation);
                }
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

    /// Whether the provider can close what the attempt made, so that it never charges.
    fn can_close(&self, op: &Operation, attempt: &Attempt) -> bool {
        let seat = self.context.provider(attempt.provider);
        matches!(op.kind, OperationKind::Sale | OperationKind::Authorize)
            && seat.is_some_and(|seat| {
                let can = seat.port.capabilities();
                can.cancel_closes && (attempt.reference.is_some() || can.recovery.voids.needs_no_object())
            })
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
        if self.context.ports.clock.now() < attempt.deadline {
            self.ask(&op, &attempt, Ask::Execute);
            return Ok(());
        }
        if self.can_close(&op, &attempt) {
            self.ask(&op, &attempt, Ask::Cancel);
            return Ok(());
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
                    if attempt.reference.is_some() || !charges || now >= attempt.deadline {
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
                | AttemptState::Cancelled => {}
            }
        }
    }
}

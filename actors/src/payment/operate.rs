//! Requests about a payment that exists: each is decided once for its key, and answered when it is final or can go no further.

use super::{NotStored, PaymentState};
use crate::context::Step;
use crate::idempotency::{IdempotencyMail, Reply, SubmissionId};
use florin_domain::idempotency::KeyDigest;
use florin_domain::ids::{CaptureId, IncrementId, MerchantId, OperationId, PaymentId, RefundId, VoidId};
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency, MinorSum};
use florin_domain::payment::{
    Amendment, Answer, AttemptPlan, AttemptState, CaptureMethod, Command, Note, Refusal, Request,
    RequestKind, Resolution, Status,
};
use florin_domain::provider::ProviderId;
use florin_domain::risk::CardBar;
use ractor::ActorProcessingErr;
use std::sync::Arc;
use tokio::time::Instant;

/// What is asked of a payment that exists.
#[derive(Clone, Debug)]
pub enum Action {
    /// Take reserved money.
    Capture {
        /// Identity.
        id: CaptureId,
        /// How much; all that is left if `None`.
        amount: Option<Amount>,
        /// No other capture follows.
        is_final: bool,
    },
    /// Reserve more.
    Increment {
        /// Identity.
        id: IncrementId,
        /// What is to be reserved afterwards, all in all.
        total: Amount,
    },
    /// Release reserved money.
    Void(VoidId),
    /// Give taken money back.
    Refund {
        /// Identity.
        id: RefundId,
        /// How much; all that is left if `None`.
        amount: Option<Amount>,
        /// Why.
        reason: Option<Arc<str>>,
    },
    /// Pay a draft, with its own method if none is named; or try again with another method. If a price is named, it is that or nothing.
    Confirm(Option<PaymentMethod>, Option<(Amount, Currency)>),
    /// Confirm or change it with a method that is no longer there: only what was asked under the key before is answered.
    MethodGone,
    /// Change a draft, or what is said about the payment.
    Amend(Amendment),
    /// Find out how the challenge ended, with what the customer brought back from it.
    Complete(Option<Arc<str>>),
    /// Let a reviewed payment pass; what is held is captured under this id.
    ApproveReview(CaptureId),
    /// Forbid it; what is held is released under this id.
    RejectReview(VoidId),
    /// Say what became of an attempt that no provider resolves.
    Resolve {
        /// Of which operation.
        operation: OperationId,
        /// What.
        resolution: Resolution,
    },
    /// Say that a person has looked at what is open about an operation.
    Note {
        /// Which operation.
        operation: OperationId,
        /// What was done.
        note: Note,
        /// How many matters that person saw.
        seen: usize,
    },
}

impl Action {
    /// Its kind, and the operation of `payment` that it is about.
    pub fn subject(&self, payment: PaymentId) -> (RequestKind, OperationId) {
        let authorize = OperationId::Authorize(payment);
        match self {
            Self::Capture { id, .. } => (RequestKind::Capture, OperationId::Capture(*id)),
            Self::Increment { id, .. } => (RequestKind::Increment, OperationId::Increment(*id)),
            Self::Void(id) => (RequestKind::Void, OperationId::Void(*id)),
            Self::Refund { id, .. } => (RequestKind::Refund, OperationId::Refund(*id)),
            Self::Confirm(..) | Self::MethodGone => (RequestKind::Confirm, authorize),
            Self::Amend(_) => (RequestKind::Amend, authorize),
            Self::Complete(_) => (RequestKind::Complete, authorize),
            Self::ApproveReview(_) => (RequestKind::ApproveReview, authorize),
            Self::RejectReview(_) => (RequestKind::RejectReview, authorize),
            Self::Resolve { operation, .. } | Self::Note { operation, .. } => {
                (RequestKind::Resolve, *operation)
            }
        }
    }
}

/// A request about a payment, parsed and authenticated.
#[derive(Clone, Debug)]
pub struct Operate {
    /// About which.
    pub payment: PaymentId,
    /// Whose payment it must be, and in which mode; an operator may ask about any.
    pub owner: Option<(MerchantId, bool)>,
    /// Its key.
    pub request: Request,
    /// What.
    pub action: Action,
    /// When it was admitted.
    pub admitted_at: Instant,
}

impl PaymentState {
    pub(super) fn operate(&mut self, operate: Box<Operate>) -> Result<(), ActorProcessingErr> {
        let key = operate.request.key_digest;
        let Some(payment) = &self.payment else {
            self.refuse_request(key, NotStored::Refused(Refusal::NoSuchPayment));
            return Ok(());
        };
        let spec = &payment.spec;
        if operate
            .owner
            .is_some_and(|owner| owner != (spec.merchant, spec.livemode))
        {
            self.refuse_request(key, NotStored::Refused(Refusal::NoSuchPayment));
            return Ok(());
        }
        if spec.key_digest == key {
            // The key that made the payment; key owners have forgotten it.
            self.refuse_mismatch(key);
            return Ok(());
        }
        if let Action::Complete(details) = &operate.action {
            self.details.clone_from(details);
        }
        if let Some(taken) = payment.request(key) {
            // Key owners forget: after the retention, and when they are restarted. What was taken under the key is here.
            if taken.fingerprint != operate.request.fingerprint {
                self.refuse_mismatch(key);
                return Ok(());
            }
            return self.key_asked(key, None);
        }
        match operate.action {
            Action::Confirm(..) => {
                self.assess_confirmation(operate);
                Ok(())
            }
            Action::MethodGone => {
                self.refuse_request(key, NotStored::MethodGone);
                Ok(())
            }
            Action::Capture { .. }
            | Action::Increment { .. }
            | Action::Void(_)
            | Action::Refund { .. }
            | Action::Complete(_)
            | Action::RejectReview(_)
            | Action::Amend(_)
            | Action::Resolve { .. }
            | Action::Note { .. } => self.take_request(*operate, None),
            // What is held was tried when it was authorized.
            Action::ApproveReview(_)
                if self.is_held() || !matches!(payment.status, Status::InReview { .. }) =>
            {
                self.take_request(*operate, None)
            }
            Action::ApproveReview(_) => {
                self.assess_approval(operate);
                Ok(())
            }
        }
    }

    /// Decides what was asked; `barred` is why the card of a reviewed payment may not be tried any more.
    pub(super) fn take_request(
        &mut self,
        operate: Operate,
        barred: Option<CardBar>,
    ) -> Result<(), ActorProcessingErr> {
        let Operate {
            mut request, action, ..
        } = operate;
        let key = request.key_digest;
        if self.is_held() {
            // What is held is taken or released by an operation of its own; the merchant captures what the merchant captures.
            match &action {
                Action::ApproveReview(capture) if self.captures_itself() => {
                    request.operation = OperationId::Capture(*capture);
                }
                Action::RejectReview(void) => request.operation = OperationId::Void(*void),
                Action::ApproveReview(_)
                | Action::Capture { .. }
                | Action::Increment { .. }
                | Action::Void(_)
                | Action::Refund { .. }
                | Action::Confirm(..)
                | Action::MethodGone
                | Action::Complete(_)
                | Action::Amend(_)
                | Action::Resolve { .. }
                | Action::Note { .. } => {}
            }
        }
        let operation = request.operation;
        if matches!(action, Action::Resolve { .. }) && self.is_driving(operation) {
            // The provider is being asked at this moment.
            self.refuse_request(key, NotStored::Refused(Refusal::OperationInProgress));
            return Ok(());
        }
        let command = match action {
            Action::Capture { id, amount, is_final } => {
                self.plan_at_holder(operation, 1).map(|plan| Command::Capture {
                    id,
                    amount,
                    is_final,
                    plan,
                })
            }
            Action::Increment { id, total } => self
                .plan_at_holder(operation, 1)
                .map(|plan| Command::Increment { id, total, plan }),
            Action::Void(id) => self
                .plan_at_holder(operation, 1)
                .map(|plan| Command::Void { id, plan }),
            Action::Refund { id, amount, reason } => {
                self.plan_at_holder(operation, 1).map(|plan| Command::Refund {
                    id,
                    amount,
                    reason,
                    plan,
                })
            }
            Action::ApproveReview(capture) => match self.plan_approval(capture, barred) {
                Ok(plan) => Some(Command::ApproveReview {
                    plan,
                    barred,
                    capture,
                }),
                Err(why) => {
                    self.refuse_request(key, why);
                    return Ok(());
                }
            },
            Action::RejectReview(void) => self
                .plan_at_holder(OperationId::Void(void), 1)
                .map(|plan| Command::RejectReview { plan, void }),
            Action::Resolve {
                operation,
                resolution,
            } => Some(Command::Resolve {
                operation,
                resolution,
            }),
            Action::Note {
                operation,
                note,
                seen,
            } => Some(Command::Note {
                operation,
                note,
                seen,
            }),
            Action::Complete(_) => Some(Command::Complete),
            Action::Amend(amendment) => Some(Command::Amend(amendment)),
            Action::Confirm(..) | Action::MethodGone => None,
        };
        let Some(command) = command else {
            self.refuse_request(key, NotStored::NoProvider);
            return Ok(());
        };
        self.asked.push(key);
        self.decide(Some(request), command)
    }

    /// The plan of a reviewed payment's charge, or of the capture of what is held for it.
    fn plan_approval(
        &mut self,
        capture: CaptureId,
        barred: Option<CardBar>,
    ) -> Result<AttemptPlan, NotStored> {
        let merchant = self.payment.as_ref().map(|payment| payment.spec.merchant);
        let frozen = &self.context.directory.load().stops.merchants;
        if merchant.is_some_and(|merchant| frozen.contains_key(&merchant)) {
            return Err(NotStored::MerchantFrozen);
        }
        // Where the card is not tried nothing is sent, so no provider has to be there for it.
        if self.is_held() || barred.is_some() {
            let plan = self.plan_at_holder(OperationId::Capture(capture), 1);
            return plan.ok_or(NotStored::NoProvider);
        }
        let operation = OperationId::Authorize(self.id);
        let Some(payment) = self.payment.clone() else {
            return Err(NotStored::NoProvider);
        };
        let Some(method) = &payment.method else {
            return Err(NotStored::Refused(Refusal::WrongStatus));
        };
        self.begin_round(operation);
        let charge = (payment.spec.as_ref(), method);
        self.plan(charge, operation, self.next_attempt(operation), &[])
    }

    /// A provider holds money for it that a person has not let pass yet.
    fn is_held(&self) -> bool {
        self.payment.as_ref().is_some_and(|payment| {
            payment.authorized != MinorSum::ZERO && matches!(payment.status, Status::InReview { .. })
        })
    }

    fn captures_itself(&self) -> bool {
        self.payment
            .as_ref()
            .is_some_and(|payment| payment.spec.capture_method == CaptureMethod::Automatic)
    }

    pub(super) fn next_attempt(&self, operation: OperationId) -> u32 {
        self.payment
            .as_ref()
            .map_or(1, |payment| payment.next_attempt(operation))
    }

    /// The plan of an attempt at the provider that holds the payment's money; where nobody holds any, at the first one: then
    /// nothing is sent.
    pub(super) fn plan_at_holder(&self, operation: OperationId, number: u32) -> Option<AttemptPlan> {
        let holder = self
            .payment
            .as_ref()
            .and_then(|payment| payment.holding_provider());
        let provider: ProviderId = match holder {
            Some(provider) => provider,
            None => self.context.providers.first()?.id,
        };
        Some(self.plan_at(provider, operation, number))
    }

    /// Somebody waits for a request that this payment took before, or lost before it was durable.
    pub(super) fn request_asked(
        &mut self,
        key: KeyDigest,
        submission: Option<SubmissionId>,
    ) -> Result<(), ActorProcessingErr> {
        let Some(payment) = self.payment.clone() else {
            return Ok(());
        };
        let Some(request) = payment.request(key) else {
            if let Some(submission) = submission {
                self.say_unknown(key, submission);
            }
            return Ok(());
        };
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        let operation = request.operation;
        if self.answers.of(key).is_none() && !self.is_driving(operation) {
            match (request.kind, payment.request_answer(request)) {
                (_, Answer::NoProvider) if operation != payment.authorize_id() => {
                    let number = payment.next_attempt(operation);
                    if let Some(plan) = self.plan_at_holder(operation, number) {
                        self.begin_round(operation);
                        self.decide(None, Command::RedriveOperation { operation, plan })?;
                    }
                }
                (_, Answer::NoProvider) => {
                    self.asks_to_drive_again(&payment);
                    return Ok(());
                }
                (RequestKind::Complete, Answer::Unresolved) => self.query(operation),
                (_, Answer::Unresolved) => self.resume(),
                (_, Answer::Shown | Answer::Declined | Answer::Blocked | Answer::Exhausted) => {}
            }
        }
        self.answer();
        Ok(())
    }

    /// Asks the provider what became of the open attempt of an operation.
    pub(super) fn query(&mut self, operation: OperationId) {
        if let Some((op, attempt)) = self.open_attempt(operation) {
            if attempt.state == AttemptState::Pending && self.tells(&attempt) {
                return;
            }
            self.doubts(operation, attempt.number).tainted = true;
            let ask = self.question(&attempt);
            self.ask(&op, &attempt, ask);
        }
    }

    /// Tells whoever waits for a request, if there is something to tell.
    pub(super) fn answer_requests(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        let Some(payment) = self.payment.clone() else {
            return;
        };
        let asked = std::mem::take(&mut self.asked);
        for key in asked {
            let Some(request) = payment.request(key) else {
                self.refuse_request(key, NotStored::Failed);
                continue;
            };
            let shown = self.answers.of(key).unwrap_or(&payment);
            let answer = shown.request_answer(request);
            if answer == Answer::Unresolved && self.is_driving(request.operation) {
                self.asked.push(key);
                continue;
            }
            self.context.ports.probe.reached(Step::PaymentAnswering);
            let reply = Reply::Answered {
                payment: Arc::clone(shown),
                answer,
                operation: Some(request.operation),
            };
            metrics::counter!("florin_requests_total", "kind" => request.kind.as_str(), "answer" => answer.as_str())
                .increment(1);
            self.context.idempotency.step(IdempotencyMail::Answered {
                key,
                payment: self.id,
                reply,
            });
        }
    }

    /// The key was used for something else.
    fn refuse_mismatch(&self, key: KeyDigest) {
        self.context.idempotency.step(IdempotencyMail::Answered {
            key,
            payment: self.id,
            reply: Reply::Mismatch,
        });
    }

    /// Nothing is known of what was submitted: it was lost on its way.
    pub(super) fn say_unknown(&self, key: KeyDigest, submission: SubmissionId) {
        self.context.idempotency.step(IdempotencyMail::Unknown {
            key,
            payment: self.id,
            submission,
        });
    }

    /// Gives up a request of which nothing was stored; the payment stays as it is.
    pub(super) fn refuse_request(&mut self, key: KeyDigest, why: NotStored) {
        self.asked.retain(|asked| *asked != key);
        self.lets_go_of_card();
        let reply = Reply::NotStored(why);
        self.context.idempotency.step(IdempotencyMail::Answered {
            key,
            payment: self.id,
            reply,
        });
    }
}

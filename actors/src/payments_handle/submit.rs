//! Submitting work under idempotency keys, and what its callers are told.

use super::{NewPayment, PaymentsHandle};
use crate::admission::Shed;
use crate::idempotency::{IdempotencyMail, KeyReply, Reply, Submission, Work};
use crate::load::{locate, stream};
use crate::mailbox::{Class, Refused};
use crate::payment::Start;
use crate::payment::{Action, Begin, NotStored, Operate};
use florin_domain::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use florin_domain::ids::{CaptureId, IncrementId, MerchantId, OperationId, PaymentId, RefundId, Seq, VoidId};
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency};
use florin_domain::payment::{Amendment, Answer, Note, Payment, Request, Resolution, Spec};
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// What is asked of a payment that exists.
#[derive(Clone, Debug)]
pub enum Change {
    /// Take reserved money.
    Capture {
        /// How much; all that is left if `None`.
        amount: Option<Amount>,
        /// No other capture follows.
        is_final: bool,
    },
    /// Reserve more, before anything is taken.
    Increment {
        /// What is to be reserved afterwards, all in all.
        total: Amount,
    },
    /// Release reserved money.
    Void,
    /// Give taken money back.
    Refund {
        /// How much; all that is left if `None`.
        amount: Option<Amount>,
        /// Why.
        reason: Option<Arc<str>>,
    },
    /// Pay a draft, with its own method if none is named; or try again with another method after a decline.
    Confirm(Option<PaymentMethod>),
    /// The same for a customer who was shown a price: it is refused if the payment costs anything else by then.
    ConfirmFor {
        /// The customer's.
        method: PaymentMethod,
        /// What they were shown.
        price: (Amount, Currency),
    },
    /// Confirm or change it with a method that is no longer there: only what was asked under the key before is answered.
    MethodGone,
    /// Change a draft, or what is said about the payment.
    Amend(Amendment),
    /// Find out how the customer's challenge ended.
    Complete {
        /// What the customer brought back from it, if the provider sends something along.
        details: Option<Arc<str>>,
    },
    /// Let a reviewed payment pass.
    ApproveReview,
    /// Forbid it.
    RejectReview,
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

/// A request about a payment, checked.
#[derive(Clone, Debug)]
pub struct ChangeRequest {
    /// About which.
    pub payment: PaymentId,
    /// Whose payment it must be, and in which mode; `None` for an operator, who may ask about any.
    pub owner: Option<(MerchantId, bool)>,
    /// The operator's name.
    pub operator: Option<Arc<str>>,
    /// The key.
    pub key: IdempotencyKey,
    /// Digest of who asks, mode and key.
    pub key_digest: KeyDigest,
    /// Digest of the request.
    pub fingerprint: Fingerprint,
    /// What.
    pub change: Change,
}

/// An answered request.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The state that the answer shows.
    pub payment: Arc<Payment>,
    /// What kind of answer.
    pub answer: Answer,
    /// The operation that was asked for; nothing when it was the payment itself.
    pub operation: Option<OperationId>,
    /// Another request under the same key did the work.
    pub replayed: bool,
}

/// Why a request has no payment to show. In every case the same key may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// Refused at the edge.
    #[error("the platform takes no more work now")]
    Shed(Shed),
    /// The key was used for another request.
    #[error("the idempotency key was used for another request")]
    Mismatch,
    /// Too many requests wait for the key.
    #[error("too many requests wait for this idempotency key")]
    TooManyWaiters,
    /// Nothing was stored.
    #[error("{0}")]
    NotStored(NotStored),
    /// Nobody can say now what became of it.
    #[error("the request's owner was lost; send the same key again")]
    Lost,
}

impl PaymentsHandle {
    /// Makes a payment, or says what its key was answered.
    pub async fn create(&self, new: NewPayment) -> Result<Answered, RequestError> {
        let home = self.at(new.merchant.shard());
        let begin = home.begin(new);
        let key = begin.spec.key_digest;
        home.submit(key, Work::Begin(Box::new(begin))).await
    }

    /// Asks something of a payment, or says what its key was answered.
    pub async fn change(&self, change: ChangeRequest) -> Result<Answered, RequestError> {
        let home = self.at(change.payment.shard());
        let operate = home.operate(change);
        let key = operate.request.key_digest;
        home.submit(key, Work::Operate(Box::new(operate))).await
    }

    async fn submit(&self, key: KeyDigest, work: Work) -> Result<Answered, RequestError> {
        let in_flight = self.context.admission.enter().map_err(RequestError::Shed)?;
        let (reply, waits) = oneshot::channel();
        let submission = Submission {
            work,
            reply,
            in_flight,
        };
        let sent = self
            .context
            .idempotency
            .send(Class::New, IdempotencyMail::Submit(submission));
        if let Err(returned) = sent {
            return Err(match returned.why {
                Refused::Full { .. } => RequestError::Shed(Shed::InFlight),
                Refused::Gone => RequestError::Lost,
            });
        }
        let Ok(KeyReply { reply, replayed }) = waits.await else {
            return Err(RequestError::Lost);
        };
        match reply {
            Reply::Answered {
                payment,
                answer,
                operation,
            } => Ok(Answered {
                payment,
                answer,
                operation,
                replayed,
            }),
            Reply::NotStored(why) => Err(RequestError::NotStored(why)),
            Reply::Mismatch => Err(RequestError::Mismatch),
            Reply::TooManyWaiters => Err(RequestError::TooManyWaiters),
            Reply::IndexUnavailable => Err(RequestError::Lost),
            Reply::OutOfTime(payment) | Reply::NotHanded(payment) => {
                self.out_of_time(payment, key, replayed).await
            }
        }
    }

    /// After the answer budget: what is durable is shown for what it is; if nothing is, nothing was started.
    async fn out_of_time(
        &self,
        id: PaymentId,
        key: KeyDigest,
        replayed: bool,
    ) -> Result<Answered, RequestError> {
        let Ok(Some(row)) = locate(&self.context, id).await else {
            return Err(RequestError::Lost);
        };
        // What was answered first is shown again.
        let answers = match stream(&self.context, id, row.seq).await {
            Ok(loaded) => Some(loaded.answers),
            Err(error) => {
                tracing::warn!(payment = %id, %error, "a payment's commits cannot be read");
                None
            }
        };
        let latest = &row.payment;
        let (first, answer, operation) = if latest.spec.key_digest == key {
            let first = answers.as_ref().and_then(|answers| answers.creation.as_ref());
            (first, first.unwrap_or(latest).answer(), None)
        } else {
            let request = latest.request(key).ok_or(RequestError::Lost)?;
            let first = answers.as_ref().and_then(|answers| answers.of(key));
            let answer = first.unwrap_or(latest).request_answer(request);
            (first, answer, Some(request.operation))
        };
        // It may have been answered already, with what cannot be read now: another answer that is final would not be the same.
        if answers.is_none() && answer.is_final() {
            return Err(RequestError::Lost);
        }
        Ok(Answered {
            payment: Arc::clone(first.unwrap_or(latest)),
            answer,
            operation,
            replayed,
        })
    }

    fn operate(&self, change: ChangeRequest) -> Operate {
        let bits = self.context.new_id_bits();
        let action = match change.change {
            Change::Capture { amount, is_final } => Action::Capture {
                id: CaptureId::from_bits(bits),
                amount,
                is_final,
            },
            Change::Increment { total } => Action::Increment {
                id: IncrementId::from_bits(bits),
                total,
            },
            Change::Void => Action::Void(VoidId::from_bits(bits)),
            Change::Refund { amount, reason } => Action::Refund {
                id: RefundId::from_bits(bits),
                amount,
                reason,
            },
            Change::Confirm(method) => Action::Confirm(method, None),
            Change::ConfirmFor { method, price } => Action::Confirm(Some(method), Some(price)),
            Change::MethodGone => Action::MethodGone,
            Change::Amend(amendment) => Action::Amend(amendment),
            Change::Complete { details } => Action::Complete(details),
            Change::ApproveReview => Action::ApproveReview(CaptureId::from_bits(bits)),
            Change::RejectReview => Action::RejectReview(VoidId::from_bits(bits)),
            Change::Resolve {
                operation,
                resolution,
            } => Action::Resolve {
                operation,
                resolution,
            },
            Change::Note {
                operation,
                note,
                seen,
            } => Action::Note {
                operation,
                note,
                seen,
            },
        };
        let (kind, operation) = action.subject(change.payment);
        let request = Request {
            key: change.key,
            key_digest: change.key_digest,
            fingerprint: change.fingerprint,
            kind,
            operation,
            operator: change.operator,
        };
        Operate {
            payment: change.payment,
            owner: change.owner,
            request,
            action,
            admitted_at: Instant::now(),
        }
    }

    fn begin(&self, new: NewPayment) -> Begin {
        let id = new.id.unwrap_or_else(|| self.context.new_payment_id());
        let spec = Spec {
            id,
            merchant: new.merchant,
            livemode: new.livemode,
            key: new.key,
            key_digest: new.key_digest,
            fingerprint: new.fingerprint,
            amount: new.amount,
            currency: new.currency,
            capture_method: new.capture_method,
            after_decline: new.after_decline,
            customer: new.customer,
            description: new.description,
            metadata: new.metadata,
            return_url: new.return_url,
            device: new.device,
            fee: new.fee,
            fee_return: self.context.options.fee_return,
            routing: new.routing,
            // Who confirms a draft says nothing of it.
            off_session: new.off_session && !matches!(new.start, Start::Draft(_)),
            created_at: id.drawn_at(),
        };
        Begin {
            spec: Arc::new(spec),
            start: new.start,
            admitted_at: Instant::now(),
            missed_behind: Seq::ZERO,
        }
    }
}

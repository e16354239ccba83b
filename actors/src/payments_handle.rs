//! The face of payments: what the API calls. Commands belong to the actors once they are submitted; callers only watch.

use crate::admission::Shed;
use crate::context::Context;
use crate::idempotency::{IdempotencyMail, KeyReply, Reply, Submission};
use crate::load::{Loaded, locate, stream};
use crate::mailbox::{Class, Refused};
use crate::payment::{Begin, NotStored};
use crate::projection::ProjectionMail;
use florin_domain::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use florin_domain::ids::{MerchantId, PaymentId};
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency, FeeSchedule};
use florin_domain::payment::{Answer, CaptureMethod, DeclinePolicy, Device, FeeReturn, Payment, Spec};
use florin_domain::ports::{PaymentRow, PaymentsQuery, ReadError, ViewError};
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// A request for a new payment, checked.
#[derive(Clone, Debug)]
pub struct NewPayment {
    /// Whose.
    pub merchant: MerchantId,
    /// Live or test mode.
    pub livemode: bool,
    /// The merchant's terms.
    pub fee: FeeSchedule,
    /// The key.
    pub key: IdempotencyKey,
    /// Digest of merchant, mode and key.
    pub key_digest: KeyDigest,
    /// Digest of the request.
    pub fingerprint: Fingerprint,
    /// How much.
    pub amount: Amount,
    /// Of what.
    pub currency: Currency,
    /// How it is paid.
    pub method: PaymentMethod,
    /// When the money is taken.
    pub capture_method: CaptureMethod,
    /// The merchant's customer.
    pub customer: Option<Arc<str>>,
    /// Free text.
    pub description: Option<Arc<str>>,
    /// The merchant's pairs.
    pub metadata: Vec<(Arc<str>, Arc<str>)>,
    /// Where the customer returns.
    pub return_url: Option<Arc<str>>,
    /// The customer's device.
    pub device: Device,
}

/// An answered request.
#[derive(Clone, Debug)]
pub struct Created {
    /// The state that the answer shows.
    pub payment: Arc<Payment>,
    /// What kind of answer.
    pub answer: Answer,
    /// Another request under the same key did the work.
    pub replayed: bool,
}

/// Why a request has no payment to show. In every case the same key may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CreateError {
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

/// The face of payments.
#[derive(Clone, Debug)]
pub struct PaymentsHandle {
    context: Arc<Context>,
}

impl PaymentsHandle {
    /// A handle on these actors.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Makes a payment, or says what its key was answered.
    pub async fn create(&self, new: NewPayment) -> Result<Created, CreateError> {
        let in_flight = self.context.admission.enter().map_err(CreateError::Shed)?;
        let begin = self.begin(new);
        let id = begin.spec.id;
        let (reply, waits) = oneshot::channel();
        let submission = Submission {
            begin: Box::new(begin),
            reply,
            in_flight,
        };
        let sent = self
            .context
            .idempotency
            .send(Class::New, IdempotencyMail::Submit(submission));
        if let Err(returned) = sent {
            return Err(match returned.why {
                Refused::Full { .. } => CreateError::Shed(Shed::InFlight),
                Refused::Gone => CreateError::Lost,
            });
        }
        let Ok(KeyReply { reply, replayed }) = waits.await else {
            return Err(CreateError::Lost);
        };
        match reply {
            Reply::Answered { payment, answer } => Ok(Created {
                payment,
                answer,
                replayed,
            }),
            Reply::NotStored(why) => Err(CreateError::NotStored(why)),
            Reply::Mismatch => Err(CreateError::Mismatch),
            Reply::TooManyWaiters => Err(CreateError::TooManyWaiters),
            Reply::IndexUnavailable => Err(CreateError::Lost),
            Reply::OutOfTime(payment) => {
                debug_assert!(
                    replayed || payment == id,
                    "a first request waits for its own payment"
                );
                self.out_of_time(payment, replayed).await
            }
        }
    }

    /// After the answer budget: what is durable is shown for what it is; if nothing is, nothing was started.
    async fn out_of_time(&self, id: PaymentId, replayed: bool) -> Result<Created, CreateError> {
        match locate(&self.context, id).await {
            Ok(Some(row)) => {
                let answer = row.payment.answer();
                Ok(Created {
                    payment: row.payment,
                    answer,
                    replayed,
                })
            }
            Ok(None) | Err(ViewError::Busy | ViewError::Store(_)) => Err(CreateError::Lost),
        }
    }

    fn begin(&self, new: NewPayment) -> Begin {
        let spec = Spec {
            id: self.context.new_payment_id(),
            merchant: new.merchant,
            livemode: new.livemode,
            key: new.key,
            key_digest: new.key_digest,
            fingerprint: new.fingerprint,
            amount: new.amount,
            currency: new.currency,
            capture_method: new.capture_method,
            after_decline: DeclinePolicy::Fail,
            customer: new.customer,
            description: new.description,
            metadata: new.metadata,
            return_url: new.return_url,
            device: new.device,
            fee: new.fee,
            fee_return: FeeReturn::Kept,
            created_at: self.context.ports.clock.now(),
        };
        Begin {
            spec: Arc::new(spec),
            method: new.method,
            admitted_at: Instant::now(),
        }
    }

    /// A merchant's payment; another merchant's is not there.
    pub async fn get(
        &self,
        (merchant, livemode): (MerchantId, bool),
        id: PaymentId,
    ) -> Result<Option<PaymentRow>, ViewError> {
        let row = locate(&self.context, id).await?;
        Ok(row.filter(|row| row.payment.spec.merchant == merchant && row.payment.spec.livemode == livemode))
    }

    /// A merchant's payments, newest first, and whether more follow. What was answered is in it.
    pub async fn list(&self, query: PaymentsQuery) -> Result<(Vec<PaymentRow>, bool), ViewError> {
        let limit = query.limit;
        let query = PaymentsQuery {
            limit: limit.saturating_add(1),
            ..query
        };
        let (reply, waits) = oneshot::channel();
        let gone = || ViewError::Store("the projection is gone".to_owned());
        let list = ProjectionMail::List {
            query: query.clone(),
            reply,
        };
        self.context
            .projection
            .send(Class::New, list)
            .map_err(|returned| match returned.why {
                Refused::Full { .. } => ViewError::Busy,
                Refused::Gone => gone(),
            })?;
        let tail = waits.await.map_err(|_| gone())?;
        let viewed = self.context.ports.views.payments(query).await?;
        let mut rows: BTreeMap<PaymentId, PaymentRow> = BTreeMap::new();
        for row in viewed.into_iter().chain(tail) {
            let newest = rows.entry(row.payment.id()).or_insert_with(|| row.clone());
            if newest.seq < row.seq {
                *newest = row;
            }
        }
        let has_more = rows.len() > limit;
        Ok((rows.into_values().rev().take(limit).collect(), has_more))
    }

    /// Every commit of a merchant's payment, oldest first.
    pub async fn history(
        &self,
        owner: (MerchantId, bool),
        id: PaymentId,
    ) -> Result<Option<Loaded>, ReadError> {
        let row = self
            .get(owner, id)
            .await
            .map_err(|error| ReadError::Store(error.to_string()))?;
        match row {
            None => Ok(None),
            Some(row) => stream(&self.context, id, row.seq).await.map(Some),
        }
    }
}

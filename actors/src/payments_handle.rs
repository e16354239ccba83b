//! The face of payments: what the API calls. Commands belong to the actors once they are submitted; callers only watch.

mod events;
mod list;
mod moved;
mod notices;
mod past;
mod pending;
mod refunds;
mod seen;
mod submit;
mod what_if;

pub use events::{EventsError, EventsList};
pub(crate) use events::{announced_from, shown, stretch};
pub use list::{Cursor, ListError, PaymentsList};
pub use moved::MovedList;
pub use notices::NoticeError;
pub use past::{AsOf, PastError, RecordedPayment};
pub use pending::UnresolvedPage;
pub use refunds::RefundsPage;
pub use seen::Seen;
pub use submit::{Answered, Change, ChangeRequest, RequestError};
pub use what_if::{Alternative, Course, WhatIf, WhatIfError};

use crate::context::Context;
use crate::load::{locate, locate_shown};
use crate::payment::Start;
use crate::shards::Shards;
use florin_domain::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use florin_domain::ids::{MerchantId, PaymentId, ShardId};
use florin_domain::money::{Amount, Currency, FeeSchedule};
use florin_domain::payment::{CaptureMethod, DeclinePolicy, Device};
use florin_domain::ports::{PaymentRow, ViewError};
use florin_domain::routing::Wishes;
use std::sync::Arc;

/// A request for a new payment, checked.
#[derive(Clone, Debug)]
pub struct NewPayment {
    /// Its id, if it was drawn before; the payment that the key has already has its own.
    pub id: Option<PaymentId>,
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
    /// How it begins.
    pub start: Start,
    /// What a decline does.
    pub after_decline: DeclinePolicy,
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
    /// What the merchant wants of routing.
    pub routing: Wishes,
    /// The customer is not there. It is meant for what is charged at once, and a draft has none of it.
    pub off_session: bool,
}

/// The face of payments.
#[derive(Clone, Debug)]
pub struct PaymentsHandle {
    shards: Shards,
    /// The shard at hand.
    context: Arc<Context>,
}

impl PaymentsHandle {
    /// A handle on these actors.
    pub fn new(shards: Shards) -> Self {
        let context = Arc::clone(shards.home());
        Self { shards, context }
    }

    /// The same at the shard of an id. An id of a shard that is not here names nothing, as the home will find.
    fn at(&self, shard: ShardId) -> Self {
        let context = self.shards.get(shard).unwrap_or(self.shards.home());
        Self {
            context: Arc::clone(context),
            shards: self.shards.clone(),
        }
    }

    /// An id for a merchant's next payment, for whoever has to name it before it is made.
    pub fn draw_id(&self, merchant: MerchantId) -> PaymentId {
        self.at(merchant.shard()).context.new_payment_id()
    }

    /// A merchant's payment; another merchant's is not there.
    pub async fn get(
        &self,
        owner: (MerchantId, bool),
        id: PaymentId,
    ) -> Result<Option<PaymentRow>, ViewError> {
        let row = locate(&self.at(id.shard()).context, id).await?;
        Ok(row.filter(|row| row.is_of(owner)))
    }

    /// The same for whoever only shows it: it may come from a copy that is as new.
    pub async fn get_shown(
        &self,
        owner: (MerchantId, bool),
        id: PaymentId,
    ) -> Result<Option<PaymentRow>, ViewError> {
        let row = locate_shown(&self.at(id.shard()).context, id).await?;
        Ok(row.filter(|row| row.is_of(owner)))
    }
}

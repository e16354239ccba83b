//! Payment providers.

use super::BoxFuture;
use crate::credentials::KeyOwner;
use crate::ids::{MerchantId, OperationId, PaymentId};
use crate::method::PaymentMethod;
use crate::money::{Amount, Currency, MinorSum};
use crate::payment::OperationKind;
use crate::provider::{
    Capabilities, Compared, Letter, Notice, NoticeRefusal, Outcome, ProviderId, ProviderKey,
    ProviderReference,
};
use crate::time::Timestamp;
use std::fmt;
use std::sync::Arc;

/// The charge that a capture, void, refund or increment is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentCharge {
    /// The provider's object that holds the authorization.
    pub reference: ProviderReference,
    /// What it has authorized before this operation, in minor units.
    pub authorized: MinorSum,
}

/// Everything that a provider needs to know of an attempt. The same attempt always gives the same request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRequest {
    /// Whose it is.
    pub merchant: MerchantId,
    /// When the payment's charge was asked for: under the credentials of that time is what is asked about it.
    pub made_at: Timestamp,
    /// Of which payment.
    pub payment: PaymentId,
    /// Of which operation.
    pub operation: OperationId,
    /// What is asked.
    pub kind: OperationKind,
    /// How much.
    pub amount: Amount,
    /// Of what.
    pub currency: Currency,
    /// From what.
    pub method: PaymentMethod,
    /// The key that every request of this attempt carries.
    pub key: ProviderKey,
    /// The provider's object, once known.
    pub reference: Option<ProviderReference>,
    /// The charge that a capture, void, refund or increment is about.
    pub parent: Option<ParentCharge>,
    /// A capture after which no other follows.
    pub is_final: bool,
    /// Where the customer returns after a challenge.
    pub return_url: Option<Arc<str>>,
    /// The customer is not there, and cannot be challenged.
    pub off_session: bool,
    /// What the customer brought back from a challenge; only a query takes it, and at some providers that is what charges.
    pub details: Option<Arc<str>>,
}

/// Port of whose keys a provider's requests carry: routing asks it, before anything is sent.
pub trait KeyOwners {
    /// Under whose key a merchant's request goes about a payment that was asked for at `made_at`; `None` while that is not settled. Where no
    /// merchant has a key of its own it is the platform's.
    fn key_owner(&self, merchant: MerchantId, made_at: Timestamp) -> Option<KeyOwner>;
}

/// Port of a provider. Implementations never decide whether to repeat: they say what came back, and `Unknown` when in doubt.
pub trait Provider: KeyOwners + Send + Sync + fmt::Debug {
    /// What it can do.
    fn capabilities(&self) -> &Capabilities;

    /// Makes the object that a later [`Provider::execute`] confirms; must not be able to charge. `Ok` is its reference.
    fn prepare<'a>(
        &'a self,
        request: &'a AttemptRequest,
    ) -> BoxFuture<'a, Result<ProviderReference, Outcome>>;

    /// Does it. Repeating it with the same request does it at most once.
    fn execute<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome>;

    /// Asks what became of it, without doing it.
    fn query<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome>;

    /// Closes an attempt so that it can no longer charge; `Cancelled` is the proof.
    fn cancel<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome>;
}

/// Port of what providers send by themselves. Nothing is believed that is not signed.
pub trait NoticeReader: Send + Sync + fmt::Debug {
    /// The header in which this provider sends its signature, unless it is in the body.
    fn seal(&self, provider: ProviderId) -> Option<&'static str>;

    /// The payment that a letter says to be about, before anything of it is believed: whose secrets it is to be compared with follows from
    /// that. Nothing if it names none, or if nobody's secrets but a few need comparing anyway.
    fn names(&self, provider: ProviderId, letter: Letter<'_>) -> Option<PaymentId>;

    /// The notices in what was sent for this provider; what is not about an operation of ours is left out.
    fn read(
        &self,
        provider: ProviderId,
        letter: Letter<'_>,
        compared: Compared,
    ) -> Result<Vec<Notice>, NoticeRefusal>;
}

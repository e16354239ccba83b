//! What is known of a payment.

use super::operation::{AttemptState, Operation, OperationKind};
use super::request::Request;
use crate::decline::NetworkDecline;
use crate::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use crate::ids::{MerchantId, OperationId, PaymentId};
use crate::ledger::PostingProfile;
use crate::method::PaymentMethod;
use crate::money::{Amount, Currency, Fee, FeeSchedule, MinorSum};
use crate::provider::{ProviderId, ProviderReference};
use crate::risk::Assessment;
use crate::routing::Wishes;
use crate::time::Timestamp;
use std::sync::Arc;

/// When the money is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureMethod {
    /// Authorized and captured at once.
    Automatic,
    /// Authorized now, captured by a later request.
    Manual,
}

/// What a decline does to the payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeclinePolicy {
    /// The payment has failed.
    Fail,
    /// Another payment method may follow.
    AwaitMethod,
}

/// Whether a refund gives Florin's fee back to the merchant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeeReturn {
    /// The fee stays with the platform.
    Kept,
    /// The fee is returned in proportion to the refund.
    Returned,
}

/// What the merchant said of the customer's device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// A stable device name.
    pub fingerprint: Option<Arc<str>>,
    /// The address the customer came from.
    pub ip: Option<Arc<str>>,
    /// ISO 3166 alpha-2 of that address.
    pub country: Option<[u8; 2]>,
}

/// What was asked for. States share it; of what is in it only what an amendment names ever changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Identity.
    pub id: PaymentId,
    /// Whose payment it is.
    pub merchant: MerchantId,
    /// Live or test mode.
    pub livemode: bool,
    /// The key of the request that made it.
    pub key: IdempotencyKey,
    /// Digest of merchant, mode and key.
    pub key_digest: KeyDigest,
    /// Digest of the request that made it.
    pub fingerprint: Fingerprint,
    /// How much.
    pub amount: Amount,
    /// Of what.
    pub currency: Currency,
    /// When to take it.
    pub capture_method: CaptureMethod,
    /// What a decline does.
    pub after_decline: DeclinePolicy,
    /// The merchant's customer.
    pub customer: Option<Arc<str>>,
    /// Free text.
    pub description: Option<Arc<str>>,
    /// The merchant's own pairs, in the order sent.
    pub metadata: Vec<(Arc<str>, Arc<str>)>,
    /// Where the customer returns after a challenge.
    pub return_url: Option<Arc<str>>,
    /// The customer's device.
    pub device: Device,
    /// The merchant's fee at the time.
    pub fee: FeeSchedule,
    /// What a refund does with it.
    pub fee_return: FeeReturn,
    /// What the merchant wants of routing.
    pub routing: Wishes,
    /// The customer is not there when it is charged first, so nobody can be asked to authenticate.
    pub off_session: bool,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// What the customer must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextAction {
    /// Where to send the customer, if the provider says.
    pub redirect_url: Option<Arc<str>>,
    /// When the challenge ends.
    pub expires_at: Timestamp,
}

/// Where the payment stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Declined, or nobody has said yet how it is paid: a method may follow.
    RequiresPaymentMethod,
    /// Not charged because no provider could be reached, and may be driven again; or a draft that nobody has confirmed.
    RequiresConfirmation,
    /// The customer must act.
    RequiresAction(NextAction),
    /// A person must decide.
    InReview {
        /// When the review ends by itself.
        deadline: Timestamp,
    },
    /// An attempt is open, pending or unknown.
    Processing,
    /// Money is reserved and not yet all taken.
    Authorized,
    /// Money was taken.
    Succeeded,
    /// Nothing was charged and nothing will be.
    Failed,
    /// Risk forbade it.
    Blocked,
    /// Given up before any capture.
    Voided,
}

impl Status {
    /// The word on the wire.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction(_) => "requires_action",
            Self::InReview { .. } => "in_review",
            Self::Processing => "processing",
            Self::Authorized => "authorized",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Voided => "voided",
        }
    }

    /// Nothing was charged, and another payment method may be tried.
    pub(super) const fn takes_method(&self) -> bool {
        match self {
            Self::RequiresPaymentMethod | Self::RequiresConfirmation | Self::Failed => true,
            Self::RequiresAction(_)
            | Self::InReview { .. }
            | Self::Processing
            | Self::Authorized
            | Self::Succeeded
            | Self::Blocked
            | Self::Voided => false,
        }
    }
}

/// Why the payment is not charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Stable code (`card_declined`).
    pub code: &'static str,
    /// The network's reason, if there is one.
    pub decline_code: Option<Arc<str>>,
    /// The network's own codes, if the provider passed them on.
    pub network: NetworkDecline,
}

impl Failure {
    /// The code of a payment of which as many attempts were made as there may be.
    pub const ATTEMPTS_EXHAUSTED: &'static str = "too_many_attempts";

    /// Nobody declined it; nobody could be reached either.
    pub fn is_exhaustion(&self) -> bool {
        self.code == Self::ATTEMPTS_EXHAUSTED
    }
}

/// A payment, folded from its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// What was asked for.
    pub spec: Arc<Spec>,
    /// The method in use; only a draft may have none.
    pub method: Option<PaymentMethod>,
    /// The latest risk assessment.
    pub risk: Option<Assessment>,
    /// Where it stands.
    pub status: Status,
    /// Why it failed or was blocked.
    pub failure: Option<Failure>,
    /// Reserved at the provider, captured part included.
    pub authorized: MinorSum,
    /// Taken.
    pub captured: MinorSum,
    /// Given back.
    pub refunded: MinorSum,
    /// Florin's fee on what was taken, less what refunds returned of it, in minor units.
    pub fee_minor: i128,
    /// What is authorized is not taken before a person has looked at it.
    pub held_for_review: bool,
    /// No further capture: the last one was final, or the rest was voided or expired.
    pub capture_closed: bool,
    /// Until when the authorization stands.
    pub authorization_expires_at: Option<Timestamp>,
    /// Every operation, in the order opened; the first is the authorization.
    pub operations: Vec<Operation>,
    /// What providers took on attempts already closed, less what they gave back on such and what reversals gave back, in minor units: in
    /// suspense until it is reversed or a person settles it.
    pub late_minor: i128,
    /// Requests after the first, each under its own key, in the order taken.
    pub requests: Vec<Request>,
    /// How it is booked, from its creation on.
    pub posting_profile: PostingProfile,
    /// How much of it merchants were told so far: the sequence number of its latest announcement, without a gap from 1 on.
    pub announced: u64,
}

/// What a caller that waits for the creation of the payment can be told now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Final: the payment stands as it is shown.
    Shown,
    /// Final: the issuer declined.
    Declined,
    /// Final: risk forbade it.
    Blocked,
    /// Final: as many attempts were made as there may be, and none of them did anything.
    Exhausted,
    /// Not final: nobody could be reached and nothing was charged; the same key drives it again.
    NoProvider,
    /// Not final: the outcome is not known yet.
    Unresolved,
}

impl Answer {
    /// Stable word for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::Declined => "declined",
            Self::Blocked => "blocked",
            Self::Exhausted => "exhausted",
            Self::NoProvider => "no_provider",
            Self::Unresolved => "unresolved",
        }
    }

    /// Stored under the key and replayed.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Shown | Self::Declined | Self::Blocked | Self::Exhausted => true,
            Self::NoProvider | Self::Unresolved => false,
        }
    }
}

impl Payment {
    /// Identity.
    pub fn id(&self) -> PaymentId {
        self.spec.id
    }

    /// The operation that authorizes the payment.
    pub fn authorize_id(&self) -> OperationId {
        OperationId::Authorize(self.spec.id)
    }

    /// The operation with this id.
    pub fn operation(&self, id: OperationId) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.id == id)
    }

    pub(super) fn operation_mut(&mut self, id: OperationId) -> Option<&mut Operation> {
        self.operations.iter_mut().find(|operation| operation.id == id)
    }

    /// The number that the next attempt of `id` will have; the first is 1.
    pub fn next_attempt(&self, id: OperationId) -> u32 {
        self.operation(id)
            .map_or(0, |operation| operation.attempts)
            .saturating_add(1)
    }

    /// Operations that wait for a provider's word, in the order opened.
    pub fn unresolved(&self) -> impl Iterator<Item = &Operation> {
        self.operations
            .iter()
            .filter(|operation| operation.is_unresolved())
    }

    /// A further attempt to charge is safe, if somebody asks for it: no void may still close the payment, and what a provider charged on an
    /// attempt given up for dead was given back, by its own word. Without that last part a payment could never be paid again.
    pub(super) fn may_charge(&self) -> bool {
        let charged = self
            .operation(self.authorize_id())
            .is_some_and(|op| !self.late_is_reversed(op));
        !charged && self.unresolved().next().is_none()
    }

    /// Attempts to charge that were declined, under whichever method.
    pub fn declined_charges(&self) -> usize {
        let charge = self.operation(self.authorize_id()).into_iter();
        charge
            .flat_map(|op| op.earlier.iter().chain(&op.attempt))
            .filter(|attempt| attempt.state == AttemptState::Declined)
            .count()
    }

    /// What is still on its way in open operations of `kind`, in minor units.
    pub(super) fn in_flight_minor(&self, kind: OperationKind) -> i128 {
        let open = self
            .operations
            .iter()
            .filter(|operation| operation.kind == kind && operation.is_open());
        open.map(|operation| operation.amount.minor())
            .fold(0, i128::saturating_add)
    }

    /// What the payment is about now, in minor units: what was asked for, and what was authorized on top of it.
    pub fn amount_minor(&self) -> i128 {
        self.spec.amount.minor().max(self.authorized.minor())
    }

    /// What may still be captured, in minor units.
    pub fn capturable_minor(&self) -> i128 {
        if self.status != Status::Authorized || self.capture_closed {
            return 0;
        }
        let taken = self
            .captured
            .minor()
            .saturating_add(self.in_flight_minor(OperationKind::Capture));
        self.authorized.minor().saturating_sub(taken).max(0)
    }

    /// What may still be refunded, in minor units.
    pub fn refundable_minor(&self) -> i128 {
        let given = self
            .refunded
            .minor()
            .saturating_add(self.in_flight_minor(OperationKind::Refund));
        self.captured.minor().saturating_sub(given).max(0)
    }

    /// What the merchant is expected to be credited with, in minor units: reserved or about to be, and not yet taken.
    pub fn hold_credit_minor(&self) -> i128 {
        let expected = match &self.status {
            Status::Processing | Status::RequiresAction(_) => {
                if self.captured.minor() > 0 {
                    self.authorized.minor()
                } else {
                    self.spec.amount.minor()
                }
            }
            Status::Authorized if !self.capture_closed => self.authorized.minor(),
            // Nothing, unless it was authorized first.
            Status::InReview { .. } => self.authorized.minor(),
            Status::Authorized
            | Status::RequiresPaymentMethod
            | Status::RequiresConfirmation
            | Status::Succeeded
            | Status::Failed
            | Status::Blocked
            | Status::Voided => return 0,
        };
        expected.saturating_sub(self.captured.minor()).max(0)
    }

    /// What open refunds will take from the merchant, in minor units.
    pub fn hold_debit_minor(&self) -> i128 {
        self.in_flight_minor(OperationKind::Refund)
    }

    /// The fee that capturing `amount` adds, in minor units; the fixed part is charged with the first capture only. Nobody owes a fee
    /// for what is our own sale.
    pub fn fee_of_capture_minor(&self, amount: Amount) -> i128 {
        if !self.posting_profile.owes_merchant() {
            return 0;
        }
        let schedule = &self.spec.fee;
        let fee = if self.captured.minor() == 0 {
            schedule.fee(amount, self.spec.currency)
        } else {
            schedule.percent_fee(amount)
        };
        fee.map_or(0, Fee::minor)
    }

    /// The part of the fee that refunding `amount` returns, in minor units; rounded down, so the parts never exceed the fee.
    pub fn fee_of_refund_minor(&self, amount: Amount) -> i128 {
        match self.spec.fee_return {
            FeeReturn::Kept => 0,
            FeeReturn::Returned => {
                let left = self.captured.minor().saturating_sub(self.refunded.minor());
                if amount.minor() >= left {
                    return self.fee_minor;
                }
                self.fee_minor
                    .saturating_mul(amount.minor())
                    .checked_div(left)
                    .unwrap_or(0)
            }
        }
    }

    /// What a caller waiting for the creation can be told.
    pub fn answer(&self) -> Answer {
        match &self.status {
            Status::Processing => Answer::Unresolved,
            // Nobody was asked, and nobody is before it is confirmed.
            Status::RequiresPaymentMethod | Status::RequiresConfirmation if self.is_draft() => Answer::Shown,
            Status::RequiresConfirmation => Answer::NoProvider,
            Status::Failed if self.failure.as_ref().is_some_and(Failure::is_exhaustion) => Answer::Exhausted,
            Status::Failed | Status::RequiresPaymentMethod => Answer::Declined,
            Status::Blocked => Answer::Blocked,
            Status::RequiresAction(_)
            | Status::InReview { .. }
            | Status::Authorized
            | Status::Succeeded
            | Status::Voided => Answer::Shown,
        }
    }

    /// Nothing will happen to it unless somebody asks: its actor may leave memory.
    pub fn is_settled(&self) -> bool {
        self.unresolved().next().is_none()
            && match &self.status {
                Status::Succeeded | Status::Failed | Status::Blocked | Status::Voided => true,
                Status::RequiresPaymentMethod
                | Status::RequiresConfirmation
                | Status::RequiresAction(_)
                | Status::InReview { .. }
                | Status::Processing
                | Status::Authorized => false,
            }
    }

    /// The reference of the provider's object that holds the authorization.
    pub fn provider_reference(&self) -> Option<&ProviderReference> {
        let attempt = self.operations.first()?.attempt.as_ref()?;
        attempt.reference.as_ref()
    }

    /// The provider of the latest attempt to authorize: once one succeeded, the holder of the money.
    pub fn holding_provider(&self) -> Option<ProviderId> {
        Some(self.operations.first()?.attempt.as_ref()?.provider)
    }

    /// The attempt that authorized the payment, if one succeeded.
    pub fn authorizing_attempt(&self) -> Option<&super::operation::Attempt> {
        let attempt = self.operations.first()?.attempt.as_ref()?;
        (attempt.state == AttemptState::Succeeded).then_some(attempt)
    }
}

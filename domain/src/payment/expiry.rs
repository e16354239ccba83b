//! The end of an authorization that nobody captured in time: what is still reserved is released at the provider, so that the
//! customer's money is free when the merchant can no longer take it.

use super::command::AttemptPlan;
use super::decide::{Decision, Effect, changes_what_is_held, release};
use super::event::Event;
use super::operation::{Operation, OperationKind};
use super::refusal::Refusal;
use super::state::{Payment, Status};
use crate::ids::{OperationId, VoidId};
use crate::time::{Millis, Timestamp};

/// The reason of a void that ends an authorization whose time is over.
pub(super) const AUTHORIZATION_EXPIRED: &str = "authorization_expired";

/// The reason of a void that ends a review whose time is over.
pub(super) const REVIEW_EXPIRED: &str = "review_expired";

/// Releases that may fail before the authorization is given up for expired without one: with growing waits the last is some
/// hours after the first.
const RELEASES_MAX: usize = 8;

/// Releases what is left, unless something changes it at this moment; gives up what the provider does not release.
pub(super) fn expire(
    payment: &Payment,
    plan: AttemptPlan,
    void: VoidId,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    if payment.status != Status::Authorized || changes_what_is_held(payment) {
        return Ok(Decision::default());
    }
    let failed = payment
        .operations
        .iter()
        .filter(|op| releases_expired(op))
        .count();
    if failed >= RELEASES_MAX {
        return Ok(Decision {
            events: vec![Event::AuthorizationExpired],
            effects: vec![Effect::Alert("expired_authorization_not_released")],
        });
    }
    if !may_release_again(payment, now) {
        return Ok(Decision::default());
    }
    let operation = OperationId::Void(void);
    release(payment, operation, Some(AUTHORIZATION_EXPIRED), plan, now)
}

/// A void that ends an authorization whose time is over.
pub(super) fn releases_expired(op: &Operation) -> bool {
    op.kind == OperationKind::Void && op.reason.as_deref() == Some(AUTHORIZATION_EXPIRED)
}

/// A void that ends an authorization or a review whose time is over.
fn releases_in_time(op: &Operation) -> bool {
    releases_expired(op) || op.kind == OperationKind::Void && op.reason.as_deref() == Some(REVIEW_EXPIRED)
}

/// A release that failed is tried again after growing waits, so that a provider that is gone for days does not use up the
/// operations that a payment may have. What a merchant asked for in vain puts off nothing.
pub(super) fn may_release_again(payment: &Payment, now: Timestamp) -> bool {
    let mut voids = payment.operations.iter().filter(|op| releases_in_time(op));
    let failed = u32::try_from(voids.clone().count()).unwrap_or(u32::MAX);
    let wait = Millis::from_s(60_u64.saturating_mul(1 << failed.min(9)));
    voids
        .next_back()
        .is_none_or(|last| last.opened_at.plus(wait) <= now)
}

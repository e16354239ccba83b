//! The statuses of what the ledger refuses.

use super::Code;
use actix_web::http::StatusCode;
use florin_domain::ledger::{AlertRefusal, TransferRefusal};

/// What is wrong with the request itself is 400; what the books do not allow now is 409.
pub(super) const fn transfer_status(refusal: &TransferRefusal) -> StatusCode {
    match refusal {
        TransferRefusal::Unbalanced(_)
        | TransferRefusal::TooFewPostings
        | TransferRefusal::MixedCurrencies
        | TransferRefusal::MixedModes
        | TransferRefusal::SameAccount
        | TransferRefusal::EffectiveInFuture
        | TransferRefusal::LinkedOpen
        | TransferRefusal::CrossesShards => StatusCode::BAD_REQUEST,
        TransferRefusal::UnknownAccount(_)
        | TransferRefusal::PendingNotFound
        | TransferRefusal::RevertedNotFound => StatusCode::NOT_FOUND,
        TransferRefusal::IdReused
        | TransferRefusal::PendingExpired
        | TransferRefusal::ExceedsPending
        | TransferRefusal::InsufficientFunds(_)
        | TransferRefusal::ExceedsLimit(_)
        | TransferRefusal::PeriodClosed
        | TransferRefusal::LinkedFailed
        | TransferRefusal::Overflow
        | TransferRefusal::NothingToRevert
        | TransferRefusal::AlreadyReverted
        | TransferRefusal::GivenUp
        | TransferRefusal::ExceedsOwed(_)
        | TransferRefusal::FraudCheckRefused => StatusCode::CONFLICT,
    }
}

/// The same of alerts.
pub(super) const fn alert_class(refusal: &AlertRefusal) -> (StatusCode, Code) {
    match refusal {
        AlertRefusal::UnknownAccount(_) => (StatusCode::NOT_FOUND, Code::AccountUnknown),
        AlertRefusal::IdReused => (StatusCode::CONFLICT, Code::AlertIdReused),
        AlertRefusal::AccountFull | AlertRefusal::ShardFull => (StatusCode::CONFLICT, Code::AlertsFull),
    }
}

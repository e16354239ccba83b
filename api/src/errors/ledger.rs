//! What the ledger refuses, and the statuses of that.

use super::{ApiError, Code, Invalid};
use actix_web::http::StatusCode;
use florin_actors::ledger_handle::LedgerError;
use florin_domain::ledger::{AlertRefusal, TransferRefusal};

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Busy | LedgerError::Gone => Self::Overloaded { retry_after_s: 1 },
            LedgerError::Shed(shed) => Self::Overloaded {
                retry_after_s: shed.retry_after().as_secs(),
            },
            LedgerError::Read(error) => error.into(),
            LedgerError::Unknown => Self::TryAgain,
            LedgerError::Striped => {
                let message = "Every shard has a part of this account: name one, as in `fee_revenue:USD@0`.";
                Invalid::new("id", Code::ParameterInvalid, message).into()
            }
        }
    }
}

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

//! How long callers are asked to wait.

use super::{ApiError, READ_ONLY_RETRY_S};

impl ApiError {
    /// How long to wait, for every status that asks to wait.
    pub(super) fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::Overloaded { retry_after_s }
            | Self::AccountNotAgreed { retry_after_s }
            | Self::RateLimited { retry_after_s }
            | Self::TooManyStreams { retry_after_s }
            | Self::TooManyStrangers { retry_after_s } => Some(*retry_after_s),
            Self::TooManyWaiters
            | Self::NoProvider { .. }
            | Self::TryAgain
            | Self::NotOwner { .. }
            | Self::NodeBehind
            | Self::MethodGone => Some(1),
            Self::ReadOnly => Some(READ_ONLY_RETRY_S),
            Self::Unauthenticated
            | Self::OperatorOnly
            | Self::MerchantOnly
            | Self::NoSuchRoute
            | Self::MethodNotAllowed { .. }
            | Self::NoSuchObject { .. }
            | Self::UnsupportedMedia(_)
            | Self::BodyTooLarge { .. }
            | Self::BodyTimeout
            | Self::BodyBroken
            | Self::HeadTooLarge { .. }
            | Self::Invalid(_)
            | Self::IdempotencyKey(_)
            | Self::IdempotencyKeyUnreadable
            | Self::KeyMismatch
            | Self::KeyReused
            | Self::CardRefused { .. }
            | Self::Refused(_)
            | Self::UnexpectedState { .. }
            | Self::Declined { .. }
            | Self::OperationDeclined { .. }
            | Self::Exhausted { .. }
            | Self::TransferRefused { .. }
            | Self::AccountNameTaken
            | Self::AlertRefused(_)
            | Self::EndpointRefused(_)
            | Self::MerchantFrozen
            | Self::RoutingVersionStale { .. }
            | Self::VersionStale { .. }
            | Self::CredentialsLast { .. }
            | Self::ActorNotRestartable
            | Self::Internal => None,
        }
    }
}

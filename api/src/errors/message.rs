//! What callers are told of an error in words.

use super::ApiError;
use crate::streams::STREAMS_PER_OWNER_MAX;
use std::borrow::Cow;

impl ApiError {
    pub(super) fn message(&self) -> Cow<'_, str> {
        match self {
            Self::Unauthenticated => "A valid API key is required.".into(),
            Self::OperatorOnly => "This needs an operator's API key.".into(),
            Self::MerchantOnly => "This needs a merchant's API key.".into(),
            Self::NoSuchRoute => "There is no such path.".into(),
            Self::MethodNotAllowed { allow } => format!("This path answers {allow} only.").into(),
            Self::NoSuchObject { kind } => format!("No such {kind}.").into(),
            Self::UnsupportedMedia(message) | Self::CardRefused { message, .. } => (*message).into(),
            Self::BodyTooLarge { limit_bytes } => {
                format!("The request body is larger than {limit_bytes} bytes.").into()
            }
            Self::BodyTimeout => "The request body did not arrive in time.".into(),
            Self::BodyBroken => "The request body could not be read to its end.".into(),
            Self::HeadTooLarge { limit_bytes } => {
                format!("The path and headers are larger than {limit_bytes} bytes.").into()
            }
            Self::RateLimited { .. } => "Too many requests with this API key.".into(),
            Self::TooManyStrangers { .. } => "Too many requests without a valid API key.".into(),
            Self::TooManyStreams { .. } => {
                format!("{STREAMS_PER_OWNER_MAX} streams of events are open already, as many as a merchant may have in one mode; close one first.").into()
            }
            Self::Invalid(invalid) => invalid.message.as_str().into(),
            Self::IdempotencyKey(error) => error.to_string().into(),
            Self::IdempotencyKeyUnreadable => "Send one Idempotency-Key header, in UTF-8.".into(),
            Self::KeyMismatch | Self::KeyReused => {
                "This Idempotency-Key was used with other parameters.".into()
            }
            Self::TooManyWaiters => "Too many requests wait for this Idempotency-Key.".into(),
            Self::NodeBehind => "This node does not yet show all that you have seen; nothing was started.".into(),
            Self::NotOwner { owner: Some(owner) } => {
                format!("Another node answers for this one, at {owner}; nothing was started.").into()
            }
            Self::NotOwner { owner: None } => {
                "This node does not know whether another one answers in its place; nothing was started.".into()
            }
            Self::AccountNotAgreed { .. } => {
                "Failed to achieve consensus on account creation. Send the same request again: an account is opened once.".into()
            }
            Self::Overloaded { .. } => "Florin takes no more requests now; nothing was started.".into(),
            Self::NoProvider { .. } => {
                "No payment provider is available; nothing was charged. The same request may be sent again."
                    .into()
            }
            Self::TryAgain | Self::MethodGone => {
                "The request could not be finished. Send it again with the same Idempotency-Key.".into()
            }
            Self::Refused(refusal) => format!("Refused: {refusal}.").into(),
            Self::UnexpectedState { status, cannot } => {
                format!("A payment that is `{status}` {cannot}.").into()
            }
            Self::Declined { .. } => "Your card was declined.".into(),
            Self::TransferRefused { refusal, .. } => refusal.to_string().into(),
            Self::AccountNameTaken => "An account of this name is open on other terms.".into(),
            Self::AlertRefused(refusal) => refusal.to_string().into(),
            Self::EndpointRefused(refusal) => format!("Refused: {refusal}.").into(),
            Self::OperationDeclined { .. } => "The provider refused it; the payment stays as it is.".into(),
            Self::Exhausted { .. } => {
                "It was tried as often as it may be; nothing was done. Start anew.".into()
            }
            Self::MerchantFrozen => "This merchant is frozen; nothing was charged.".into(),
            Self::ReadOnly => "Florin changes nothing now; nothing was started.".into(),
            Self::RoutingVersionStale { latest } => {
                format!("The latest routing rules have version {latest}.").into()
            }
            Self::VersionStale { what, latest } => format!("The latest {what} has version {latest}.").into(),
            Self::CredentialsLast { livemode } => {
                let mode = if *livemode { "live" } else { "test" };
                format!("Without this {mode} version new charges would go on in another account. Say `falls_back=true` if they may.").into()
            }
            Self::ActorNotRestartable => "The end of this actor would end the process.".into(),
            Self::Internal => "Something went wrong here; the request may be sent again.".into(),
        }
    }
}

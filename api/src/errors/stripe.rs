//! The same refusals as Stripe's SDKs expect them: what they take for a card's fault, for the caller's and for ours goes by the status, and so does
//! what they send again by themselves.

use super::{ApiError, Code, KEY, REQUEST};
use crate::stripe::body::{card_code, decline_message};
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use florin_domain::card_details::masked;
use florin_domain::decline::{Advice, Decline};
use florin_domain::payment::Refusal;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

impl ApiError {
    /// Status, type and code as Stripe has them, and the code whose page explains it.
    fn stripe_class(&self) -> (StatusCode, &'static str, Cow<'_, str>, Code) {
        let (status, kind, code) = self.class();
        let text = Cow::Borrowed(code.as_str());
        match self {
            Self::KeyMismatch => (StatusCode::BAD_REQUEST, KEY, text, code),
            Self::TooManyWaiters => (StatusCode::CONFLICT, KEY, text, code),
            Self::Refused(Refusal::NothingLeft) => (
                StatusCode::BAD_REQUEST,
                REQUEST,
                "charge_already_refunded".into(),
                code,
            ),
            Self::Refused(Refusal::WrongStatus) | Self::UnexpectedState { .. } => (
                StatusCode::BAD_REQUEST,
                REQUEST,
                "payment_intent_unexpected_state".into(),
                code,
            ),
            Self::Declined { decline_code, .. } => (
                status,
                kind,
                card_code(code.as_str(), decline_code.as_deref()).into(),
                code,
            ),
            // SDKs send a conflict again by themselves, and none of these would end better.
            _ if status == StatusCode::CONFLICT => (StatusCode::BAD_REQUEST, kind, text, code),
            _ => (status, kind, text, code),
        }
    }

    /// Whether the same request may end better, so that an SDK should send it again.
    pub(crate) fn may_be_repeated(&self) -> bool {
        match self {
            Self::TooManyWaiters
            | Self::Overloaded { .. }
            | Self::NodeBehind
            | Self::NotOwner { .. }
            | Self::NoProvider { .. }
            | Self::TryAgain
            | Self::AccountNotAgreed { .. }
            | Self::MethodGone
            | Self::Internal => true,
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
            | Self::RateLimited { .. }
            | Self::TooManyStreams { .. }
            | Self::TooManyStrangers { .. }
            | Self::Invalid(_)
            | Self::IdempotencyKey(_)
            | Self::IdempotencyKeyUnreadable
            | Self::KeyMismatch
            | Self::KeyReused
            | Self::CardRefused { .. }
            | Self::Refused(_)
            | Self::UnexpectedState { .. }
            | Self::Declined { .. }
            | Self::TransferRefused { .. }
            | Self::AccountNameTaken
            | Self::AlertRefused(_)
            | Self::EndpointRefused(_)
            | Self::OperationDeclined { .. }
            | Self::Exhausted { .. }
            | Self::MerchantFrozen
            | Self::ReadOnly
            | Self::RoutingVersionStale { .. }
            | Self::VersionStale { .. }
            | Self::CredentialsLast { .. }
            | Self::ActorNotRestartable => false,
        }
    }

    /// The answer, with what else it shows of the objects that it is about.
    pub(crate) fn stripe_response(&self, objects: Map<String, Value>) -> HttpResponse {
        let (status, kind, text, code) = self.stripe_class();
        let mut error = objects;
        error.insert("type".to_owned(), kind.into());
        error.insert("code".to_owned(), text.as_ref().into());
        let mut message = self.message();
        if let Self::Declined {
            decline_code,
            network,
            ..
        } = self
        {
            let decline_code = decline_code.as_deref();
            let advice = decline_code
                .and_then(|code| Decline::of(code).advice())
                .map(Advice::as_str);
            message = decline_message(decline_code).into();
            for (name, said) in [
                ("decline_code", decline_code),
                ("advice_code", advice),
                ("network_decline_code", network.decline_code.as_deref()),
                ("network_advice_code", network.advice_code.as_deref()),
            ] {
                if let Some(said) = said {
                    error.insert(name.to_owned(), said.into());
                }
            }
        }
        // What was said of the objects themselves is said in their own words.
        error.entry("message").or_insert_with(|| masked(&message).into());
        if let Some(param) = self.param() {
            error.insert("param".to_owned(), masked(param).into());
        }
        error.insert("doc_url".to_owned(), code.location().into());
        let mut response = HttpResponse::build(status);
        response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        if let Some(seconds) = self.retry_after_s() {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if let Self::Unauthenticated = self {
            response.insert_header((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        if let Self::MethodNotAllowed { allow } = self {
            response.insert_header((ALLOW, HeaderValue::from_static(allow)));
        }
        let mut response = response.body(json!({"error": error}).to_string());
        response.extensions_mut().insert(self.outcome());
        response
    }
}

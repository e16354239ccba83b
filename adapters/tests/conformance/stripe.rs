//! The suite on Stripe.

use crate::subject::{Class, Opened, Subject};
use crate::{money, record, wire};
use florin_adapters::providers::stripe::{SecretKey, StripeConfig, StripeProvider};
use florin_domain::payment::OperationKind;
use florin_domain::ports::AttemptRequest;
use florin_domain::provider::ProviderId;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const SUBJECT: Subject = Subject {
    base: "",
    operations: &[
        OperationKind::Sale,
        OperationKind::Authorize,
        OperationKind::Capture,
        OperationKind::Void,
        OperationKind::Refund,
        OperationKind::Increment,
    ],
    open,
    refusal,
    altered,
    // The key was taken on by another request. A charge is read then: whoever asks again without its security code meets this.
    reused: Class::Succeeded,
    declined: "pm_card_visa_chargeDeclined",
    challenged: "pm_card_threeDSecure2Required",
};

fn open(base_url: String, request_timeout: Duration) -> Opened {
    let config = StripeConfig {
        request_timeout,
        ..StripeConfig::new(base_url, SecretKey::new("sk_test_florin"))
    };
    Ok(Arc::new(StripeProvider::new(
        ProviderId::parse("stripe")?,
        config,
    )?))
}

fn refusal(status: u16) -> String {
    let kind = match status {
        409 => "idempotency_error",
        400..500 => "invalid_request_error",
        _ => "api_error",
    };
    json!({"error": {"type": kind, "message": "no"}}).to_string()
}

/// A charge's amount is in the intent; what confirms it says where the customer comes back to.
fn altered(request: AttemptRequest) -> AttemptRequest {
    AttemptRequest {
        return_url: Some(Arc::from("https://shop.example/elsewhere")),
        ..request
    }
}

#[test]
fn the_record_agrees_with_itself() {
    record::agrees_with_itself(&SUBJECT);
}

#[tokio::test]
async fn what_it_does_not_have_is_refused_before_anybody_is_connected_to() {
    record::is_what_the_adapter_does(&SUBJECT).await;
}

#[tokio::test]
async fn what_may_have_been_sent_and_has_no_answer_of_the_provider_is_unknown() {
    wire::is_read_as_it_must_be(&SUBJECT).await;
}

#[tokio::test]
async fn one_key_moves_money_once() {
    money::moves_once_under_one_key(&SUBJECT).await;
}

#[tokio::test]
async fn a_decline_and_a_challenge_move_nothing() {
    money::stays_where_it_is_without_consent(&SUBJECT).await;
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_found_again_under_its_key() {
    money::is_found_again_when_the_answer_was_lost(&SUBJECT).await;
}

#[tokio::test]
async fn an_error_of_the_provider_is_no_proof() {
    money::is_not_lost_sight_of_when_the_provider_fails(&SUBJECT).await;
}

//! The suite on Adyen.

use crate::subject::{Class, Opened, Subject};
use crate::{money, record, wire};
use florin_adapters::providers::adyen::{AdyenConfig, AdyenProvider, ApiKey};
use florin_domain::money::Amount;
use florin_domain::payment::OperationKind;
use florin_domain::ports::AttemptRequest;
use florin_domain::provider::ProviderId;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const SUBJECT: Subject = Subject {
    base: "/adyen",
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
    // The key was taken on by another request, which may have charged.
    reused: Class::Unknown,
    declined: "pm_card_visa_chargeDeclined",
    challenged: "pm_card_threeDSecure2Required",
};

fn open(base_url: String, request_timeout: Duration) -> Opened {
    let config = AdyenConfig {
        request_timeout,
        ..AdyenConfig::new(base_url, "ShopNL", ApiKey::new("AQE_sandbox"))
    };
    Ok(Arc::new(AdyenProvider::new(ProviderId::parse("adyen")?, config)?))
}

fn refusal(status: u16) -> String {
    let (code, kind) = if status < 500 {
        ("000", "security")
    } else {
        ("905", "internal")
    };
    let (code, kind) = if status == 409 {
        ("704", "validation")
    } else {
        (code, kind)
    };
    json!({"status": status, "errorCode": code, "message": "no", "errorType": kind}).to_string()
}

fn altered(request: AttemptRequest) -> AttemptRequest {
    AttemptRequest {
        amount: Amount::new(1600).unwrap(),
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

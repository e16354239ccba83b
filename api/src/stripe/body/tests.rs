//! Every field of every object, and what each status becomes.

use super::*;
use crate::v1::payment_body::tests::{operation, payment, spec};
use florin_domain::decline::NetworkDecline;
use florin_domain::ids::{CaptureId, OperationId, RefundId, VoidId};
use florin_domain::ledger::{FeeRecognition, PostingModel, PostingProfile};
use florin_domain::money::MinorSum;
use florin_domain::payment::{AttemptState, FeeReturn, NextAction, OperationKind, Status};
use florin_domain::ports::{charged_last, entries_of};
use florin_domain::time::Timestamp;
use serde_json::json;
use std::sync::Arc;

/// As the published description of the API has them (fixtures of 2026-08-21).
pub(crate) const PAYMENT_INTENT: &str = "amount amount_capturable amount_details amount_received application application_fee_amount \
    automatic_payment_methods canceled_at cancellation_reason capture_method client_secret confirmation_method created currency customer \
    description id last_payment_error latest_charge livemode metadata next_action object on_behalf_of payment_method \
    payment_method_configuration_details payment_method_options payment_method_types processing receipt_email review setup_future_usage \
    shipping statement_descriptor statement_descriptor_suffix status transfer_data transfer_group source excluded_payment_method_types \
    customer_account managed_payments";
pub(crate) const CHARGE: &str = "amount amount_captured amount_refunded application application_fee application_fee_amount \
    balance_transaction billing_details calculated_statement_descriptor captured created currency customer description disputed \
    failure_balance_transaction failure_code failure_message fraud_details id livemode metadata object on_behalf_of outcome paid \
    payment_intent payment_method payment_method_details receipt_email receipt_number receipt_url refunded refunds review shipping \
    source_transfer statement_descriptor statement_descriptor_suffix status transfer_data transfer_group source";
pub(crate) const REFUND: &str = "amount balance_transaction charge created currency destination_details id metadata object payment_intent \
    reason receipt_number source_transfer_reversal status transfer_reversal customer customer_account payment_method";
pub(crate) const BALANCE_TRANSACTION: &str = "amount available_on created currency description exchange_rate fee fee_details id net object \
    reporting_category source status type balance_type";

fn shown(payment: &Payment) -> Shown<'_> {
    Shown {
        payment,
        client_secret: Some("pi_x_secret_y"),
    }
}

#[track_caller]
fn has_exactly(object: &Value, fields: &str) {
    let mut wanted: Vec<&str> = fields.split_whitespace().collect();
    wanted.sort_unstable();
    let mut found: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    found.sort_unstable();
    assert_eq!(found, wanted);
}

fn expanding(kind: super::super::expand::Kind, paths: &[&str]) -> Expand {
    let mut expand = Expand::default();
    for path in paths {
        expand.add(kind, false, path).unwrap();
    }
    expand
}

fn refunded(returned: FeeReturn, parts: &[(u128, i128)]) -> Payment {
    let mut payment = payment();
    payment.spec = Arc::new(florin_domain::payment::Spec {
        fee_return: returned,
        ..spec()
    });
    for (bits, minor) in parts {
        let id = OperationId::Refund(RefundId::from_bits(*bits));
        payment.operations.push(operation(
            id,
            OperationKind::Refund,
            *minor,
            AttemptState::Succeeded,
        ));
    }
    let sum = parts.iter().map(|part| part.1).sum();
    payment.refunded = MinorSum::from_minor(sum).unwrap();
    payment
}

#[test]
fn a_sale_is_an_intent_with_a_charge_and_nothing_is_left_out() {
    let payment = payment();
    let intent = payment_intent(shown(&payment), Expand::NONE);
    has_exactly(&intent, PAYMENT_INTENT);
    for (name, wanted) in [
        ("id", json!("pi_00000000000000000000000001")),
        ("object", json!("payment_intent")),
        ("amount", json!(10_000)),
        ("amount_received", json!(10_000)),
        ("amount_capturable", json!(0)),
        ("capture_method", json!("automatic")),
        ("client_secret", json!("pi_x_secret_y")),
        ("currency", json!("usd")),
        ("created", json!(1_700_000_000)),
        ("latest_charge", json!("ch_00000000000000000000000001")),
        ("metadata", json!({"order_id": "xyz", "a": ""})),
        ("payment_method", json!("pm_card_visa")),
        ("status", json!("succeeded")),
        ("last_payment_error", Value::Null),
    ] {
        assert_eq!(intent[name], wanted, "{name}");
    }
    let charge = charge(shown(&payment), Expand::NONE);
    has_exactly(&charge, CHARGE);
    for (name, wanted) in [
        ("id", json!("ch_00000000000000000000000001")),
        ("payment_intent", json!("pi_00000000000000000000000001")),
        ("balance_transaction", json!("txn_00000000000000000000000001")),
        ("amount_captured", json!(10_000)),
        ("captured", json!(true)),
        ("paid", json!(true)),
        ("refunded", json!(false)),
        ("refunds", Value::Null),
        ("status", json!("succeeded")),
        ("failure_code", Value::Null),
    ] {
        assert_eq!(charge[name], wanted, "{name}");
    }
    assert_eq!(charge["outcome"]["risk_level"], "normal");
    assert_eq!(charge["outcome"]["risk_score"], 10);
    assert_eq!(charge["payment_method_details"]["card"]["last4"], "4242");
    let entry = charged_last(&payment).unwrap();
    let moved = moved(&payment, &entry);
    has_exactly(&moved, BALANCE_TRANSACTION);
    assert_eq!((&moved["fee"], &moved["net"]), (&json!(320), &json!(9_680)));
    assert_eq!(moved["source"], "ch_00000000000000000000000001");
    assert_eq!(charge["created"], 1_700_000_001, "when it was asked for");
    for at in ["created", "available_on"] {
        assert_eq!(moved[at], 1_700_000_003, "when it was booked");
    }
    let quiet = Shown {
        payment: &payment,
        client_secret: None,
    };
    assert_eq!(payment_intent(quiet, Expand::NONE)["client_secret"], Value::Null);
}

#[test]
fn every_status_is_one_of_stripes_and_keeps_its_promise() {
    let failure = |code: &'static str| Failure {
        code,
        decline_code: Some(Arc::from("insufficient_funds")),
        network: NetworkDecline::of(Some("51"), None),
    };
    let declined = Some(failure("card_declined"));
    let action = Status::RequiresAction(NextAction {
        redirect_url: Some(Arc::from("https://bank.example")),
        expires_at: Timestamp::from_unix_ms(5000),
    });
    let review = Status::InReview {
        deadline: Timestamp::from_unix_ms(5000),
    };
    for (status, failure, wanted, charged) in [
        (
            Status::RequiresPaymentMethod,
            None,
            "requires_payment_method",
            None,
        ),
        (
            Status::RequiresPaymentMethod,
            declined.clone(),
            "requires_payment_method",
            Some("failed"),
        ),
        (
            Status::Failed,
            declined.clone(),
            "requires_payment_method",
            Some("failed"),
        ),
        (
            Status::Failed,
            Some(failure(Failure::ATTEMPTS_EXHAUSTED)),
            "canceled",
            Some("failed"),
        ),
        (Status::Blocked, declined.clone(), "canceled", Some("failed")),
        (Status::RequiresConfirmation, None, "requires_confirmation", None),
        (action, None, "requires_action", None),
        (review, None, "processing", None),
        (Status::Processing, None, "processing", Some("pending")),
        (Status::Voided, None, "canceled", None),
    ] {
        let name = status.as_str();
        let is_declined = failure.is_some();
        let mut payment = payment();
        payment.status = status;
        payment.failure = failure;
        (payment.authorized, payment.captured) = (MinorSum::ZERO, MinorSum::ZERO);
        payment.operations[0].booked = None;
        let expand = expanding(super::super::expand::Kind::PaymentIntent, &["latest_charge"]);
        let intent = payment_intent(shown(&payment), &expand);
        assert_eq!(intent["status"], wanted, "{name}");
        assert_eq!(intent["latest_charge"]["status"].as_str(), charged, "{name}");
        let error = &intent["last_payment_error"];
        assert_eq!(error.is_object(), is_declined, "{name}");
        if is_declined {
            assert_eq!(error["decline_code"], "insufficient_funds");
            assert_eq!(error["network_decline_code"], "51");
            assert_eq!(error["message"], "Your card has insufficient funds.");
            assert_eq!(intent["latest_charge"]["paid"], false);
            assert_eq!(intent["latest_charge"]["balance_transaction"], Value::Null);
        }
        assert_eq!(intent["review"].is_string(), name == "in_review");
        assert_eq!(
            intent["next_action"]["type"] == "redirect_to_url",
            name == "requires_action"
        );
    }
}

#[test]
fn what_is_held_waits_for_a_capture_and_what_is_on_its_way_for_its_end() {
    let mut held = payment();
    held.status = Status::Authorized;
    held.capture_closed = false;
    held.captured = MinorSum::ZERO;
    held.operations[0].kind = OperationKind::Authorize;
    held.operations[0].booked = None;
    let intent = payment_intent(shown(&held), Expand::NONE);
    assert_eq!(
        (&intent["status"], &intent["amount_capturable"]),
        (&json!("requires_capture"), &json!(10_000))
    );
    let expand = expanding(super::super::expand::Kind::Charge, &["balance_transaction"]);
    let held_charge = charge(shown(&held), &expand);
    assert_eq!(
        (&held_charge["captured"], &held_charge["balance_transaction"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(
        (&held_charge["paid"], &held_charge["status"]),
        (&json!(true), &json!("succeeded"))
    );
    for (id, kind) in [
        (
            OperationId::Capture(CaptureId::from_bits(3)),
            OperationKind::Capture,
        ),
        (OperationId::Void(VoidId::from_bits(3)), OperationKind::Void),
    ] {
        for (state, wanted) in [
            (AttemptState::Unknown, "processing"),
            (AttemptState::Declined, "requires_capture"),
        ] {
            let mut changing = held.clone();
            changing.operations.push(operation(id, kind, 10_000, state));
            assert_eq!(status(&changing), wanted, "{kind:?} {state:?}");
        }
    }
    let mut given_up = held;
    given_up.status = Status::Voided;
    let id = OperationId::Void(VoidId::from_bits(3));
    given_up.operations.push(operation(
        id,
        OperationKind::Void,
        10_000,
        AttemptState::Succeeded,
    ));
    let intent = payment_intent(shown(&given_up), Expand::NONE);
    assert_eq!(
        (&intent["status"], &intent["canceled_at"]),
        (&json!("canceled"), &json!(1_700_000_001))
    );
}

#[test]
fn a_draft_has_no_charge_and_may_have_no_method() {
    let mut draft = payment();
    draft.status = Status::RequiresPaymentMethod;
    draft.method = None;
    (draft.authorized, draft.captured, draft.risk) = (MinorSum::ZERO, MinorSum::ZERO, None);
    draft.operations.clear();
    let intent = payment_intent(shown(&draft), Expand::NONE);
    has_exactly(&intent, PAYMENT_INTENT);
    assert_eq!(
        (&intent["payment_method"], &intent["latest_charge"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        charge(shown(&draft), Expand::NONE)["payment_method_details"],
        Value::Null
    );
}

#[test]
fn declines_have_the_codes_and_words_that_sdk_users_know() {
    for (decline_code, code, message) in [
        (
            Some("insufficient_funds"),
            "card_declined",
            "Your card has insufficient funds.",
        ),
        (Some("expired_card"), "expired_card", "Your card has expired."),
        (
            Some("incorrect_cvc"),
            "incorrect_cvc",
            "Your card's security code is incorrect.",
        ),
        (Some("do_not_honor"), "card_declined", "Your card was declined."),
        (None, "card_declined", "Your card was declined."),
    ] {
        assert_eq!(card_code("card_declined", decline_code), code);
        assert_eq!(decline_message(decline_code), message);
    }
}

#[test]
fn references_are_ids_until_they_are_expanded() {
    use super::super::expand::Kind;
    let payment = refunded(FeeReturn::Kept, &[(4, 2_500), (9, 500)]);
    let expand = expanding(
        Kind::PaymentIntent,
        &[
            "latest_charge.balance_transaction",
            "latest_charge.refunds.data.balance_transaction",
        ],
    );
    let intent = payment_intent(shown(&payment), &expand);
    let charge = &intent["latest_charge"];
    has_exactly(charge, CHARGE);
    has_exactly(&charge["balance_transaction"], BALANCE_TRANSACTION);
    assert_eq!(charge["payment_intent"], "pi_00000000000000000000000001");
    let newest = &charge["refunds"]["data"][0];
    has_exactly(newest, REFUND);
    assert_eq!(
        (&newest["id"], &newest["amount"]),
        (&json!("re_00000000000000000000000009"), &json!(500))
    );
    assert_eq!(newest["charge"], "ch_00000000000000000000000001");
    assert_eq!(
        newest["balance_transaction"]["id"],
        "txn_00000000000000000000000009"
    );
    assert_eq!(charge["amount_refunded"], 3_000);
}

#[test]
fn ten_refunds_are_shown_inside_a_charge_and_that_there_are_more() {
    use super::super::expand::Kind;
    let expand = expanding(Kind::Charge, &["refunds"]);
    for (made, shown_of_them, has_more) in [(10, 10, false), (12, 10, true)] {
        let parts: Vec<(u128, i128)> = (0..made).map(|number| (100 + number, 50)).collect();
        let payment = refunded(FeeReturn::Kept, &parts);
        let refunds = charge(shown(&payment), &expand)["refunds"].clone();
        assert_eq!(refunds["data"].as_array().unwrap().len(), shown_of_them);
        assert_eq!(refunds["has_more"], has_more);
        let newest = RefundId::from_bits(99 + made);
        assert_eq!(
            refunds["data"][0]["id"],
            newest.to_string().replace("ref_", "re_")
        );
    }
}

#[test]
fn what_moves_sums_up_to_what_the_merchant_is_owed() {
    let profile = |posting, fee_recognition| PostingProfile {
        posting,
        fee_recognition,
    };
    // What is charged and returned of the fee is as it was booked; the ledger's own tests hold every life of a payment against its postings.
    for (profile, booked, nets) in [
        (
            profile(PostingModel::Marketplace, FeeRecognition::AtPayment),
            [320, 0, -288],
            vec![9_680, -93, -9_031 + 288],
        ),
        (
            profile(PostingModel::Marketplace, FeeRecognition::AtSettlement),
            [320, 0, -288],
            vec![10_000, -93, -9_031],
        ),
        (
            profile(PostingModel::MerchantOfRecord, FeeRecognition::AtPayment),
            [0, 0, 0],
            vec![],
        ),
    ] {
        let mut payment = refunded(FeeReturn::Returned, &[(4, 93), (5, 9_031)]);
        payment.posting_profile = profile;
        for (operation, fee_minor) in payment.operations.iter_mut().zip(booked) {
            operation.booked.as_mut().unwrap().fee_minor = fee_minor;
        }
        let entries = entries_of(&payment).map(|entry| moved(&payment, &entry));
        let found: Vec<i64> = entries.map(|entry| entry["net"].as_i64().unwrap()).collect();
        assert_eq!(found, nets, "{profile:?}");
        let is_listed = !nets.is_empty();
        let charge = charge(shown(&payment), Expand::NONE);
        assert_eq!(
            charge["balance_transaction"].is_string(),
            is_listed,
            "{profile:?}"
        );
        assert_eq!(charge["captured"], true);
        let (id, given_back) = newest_first(&payment).remove(0);
        let refund = refund(shown(&payment), id, given_back, Expand::NONE);
        assert_eq!(
            refund["balance_transaction"].is_string(),
            is_listed,
            "{profile:?}"
        );
    }
}

#[test]
fn a_refund_says_how_it_ended() {
    for (state, wanted, moved) in [
        (AttemptState::Succeeded, "succeeded", true),
        (AttemptState::Unknown, "pending", false),
        (AttemptState::Declined, "failed", false),
    ] {
        let mut payment = payment();
        let id = RefundId::from_bits(4);
        payment.operations.push(operation(
            OperationId::Refund(id),
            OperationKind::Refund,
            50,
            state,
        ));
        let body = refund(shown(&payment), id, &payment.operations[1], Expand::NONE);
        has_exactly(&body, REFUND);
        assert_eq!(body["status"], wanted);
        assert_eq!(body["balance_transaction"].is_string(), moved, "{wanted}");
        assert_eq!(body["payment_intent"], "pi_00000000000000000000000001");
    }
}

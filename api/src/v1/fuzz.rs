//! Bodies that were changed: each is read by every endpoint, and comes to a command or to a refusal that a person can use. What becomes a
//! payment says the same to another reader.

use super::account_create::AccountRequest;
use super::alert_create::AlertRequest;
use super::payment_request::PaymentRequest;
use super::routing_evaluate::EvaluateRequest;
use super::transfer_request::TransfersRequest;
use super::transfer_revert::RevertsBody;
use super::transfer_template::Booking;
use super::{
    attempt_resolve, payment_capture, payment_confirm, payment_increment, payment_what_if, refund_create,
};
use crate::errors::{Code, Invalid};
use crate::json::read;
use florin_domain::ids::ApiKeyId;
use florin_domain::ledger::{AlertId, LedgerRules, TransferLegs};
use florin_fuzz::{Target, any_of};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

const BODIES: [&str; 23] = [
    r#"{"amount":10000,"currency":"USD","payment_method_id":"pm_card_visa"}"#,
    r#"{"amount":500,"currency":"jpy","payment_method_id":"pm_card_visa","capture_method":"manual","customer_id":"c1","description":"Zwei Stühle","metadata":{"order":"7","note":"a\nb"},"return_url":"https://shop.example/back","device":{"fingerprint":"f1","ip":"192.0.2.1","country":"DE"}}"#,
    "{}",
    r#"{"amount":2500,"final":false}"#,
    r#"{"amount":2500,"reason":"requested_by_customer"}"#,
    r#"{"payment_method_id":"pm_card_visa"}"#,
    r#"{"amount":999999999999}"#,
    r#"{"risk":{"block_above":0.9,"review_above":0.5,"hour_count_high":3,"amount_limits":{"USD":10000,"EUR":null}},"providers":{"disabled":["stripe"]}}"#,
    r#"{"outcome":"executed","transaction":"ch_1","evidence":"statement of May","reason":"seen there"}"#,
    r#"{"outcome":"not_executed","evidence":"a letter","reason":"it says so"}"#,
    r#"{"transfers":[{"id":"123e4567-e89b-12d3-a456-426614174000","debit_account":"bank:USD","credit_account":"suspense:USD","amount":700}]}"#,
    r#"{"atomic":true,"dry_run":true,"transfers":[{"id":"123e4567-e89b-12d3-a456-426614174001","postings":[{"account":"bank:EUR","side":"debit","amount":5},{"account":"equity:EUR","side":"credit","amount":5}],"linked":true,"effective_date":"2026-11-21","exchange_rate":"1.0845","description":"x","metadata":{"b":"1","a":"2"}}]}"#,
    r#"{"transfers":[{"id":"123e4567-e89b-12d3-a456-426614174002","pending":true,"expires_at":1795255200,"debit_account":"bank:USD:live","credit_account":"equity:USD:live","amount":1},{"id":"123e4567-e89b-12d3-a456-426614174003","post_pending":"123e4567-e89b-12d3-a456-426614174002","amount":1},{"id":"123e4567-e89b-12d3-a456-426614174004","void_pending":"123e4567-e89b-12d3-a456-426614174002"}]}"#,
    r#"{"transfers":[{"id":"123e4567-e89b-12d3-a456-426614174005","template":"payment_captured","accounts":{"merchant":"merchant_payable:mer_00000000000000000000000009:USD","provider":"provider_clearing:stripe:USD"},"amounts":{"amount":700,"fee":20}}]}"#,
    r#"{"atomic":false,"transfers":[{"id":"123e4567-e89b-12d3-a456-426614174006","reverts":"123e4567-e89b-12d3-a456-426614174000","effective_date":"2026-11-21","description":"undone"}]}"#,
    r#"{"name":"customer:alice","type":"liability","currency":"USD","livemode":true,"min_balance":0,"max_balance":100000,"metadata":{"a":"b"}}"#,
    r#"{"id":"123e4567-e89b-12d3-a456-426614174007","account":"merchant_payable:mer_00000000000000000000000009:USD","field":"balance","condition":"below","amount_minor":-100,"description":"low","metadata":{"a":"b"}}"#,
    r#"{"account":"bank:USD","field":"available","condition":"above","amount_minor":100}"#,
    " {\"amount\" : 1 ,\n\"currency\":\"BHD\",\"payment_method_id\":\"pm_card_visa\"}\n",
    r#"{"amount":10000,"currency":"USD","payment_method_id":"pm_card_visa","routing":{"prefer":["stripe"],"exclude":["adyen","wise"]}}"#,
    r#"{"program":"visa: brand is visa -> stripe","disabled":["stripe"],"excluded":[],"draw_bps":42,"payment":{"amount":1,"currency":"EUR","merchant_id":"mer_00000000000000000000000009","brand":"visa","country":"de","metadata":{"a":"b"},"routing":{"pin":"stripe"}}}"#,
    r#"{"latest":1000,"merchant_id":"mer_00000000000000000000000009"}"#,
    "[]",
];
const WORDS: [&str; 24] = [
    "\"amount\"",
    "\"currency\"",
    "\"metadata\"",
    "\"device\"",
    "\"ip\"",
    "\"transfers\"",
    "\"postings\"",
    "\"id\"",
    "\"template\"",
    "\"accounts\"",
    "\"amounts\"",
    "\"pending\"",
    "\"post_pending\"",
    "\"USD\"",
    "\"CLF\"",
    "\"pm_card_visa\"",
    "\"pm_card_none\"",
    "\"debit\"",
    "\"payment_captured\"",
    "\"2024-02-30\"",
    "\"javascript:alert(1)\"",
    "\"::ffff:192.0.2.1\"",
    "\"min_balance\"",
    "1e-400",
];

/// What a refusal may look like, whatever the body was.
fn is_usable(invalid: &Invalid, body: &[u8]) {
    let Invalid { param, code, message } = invalid;
    let shown = body.escape_ascii();
    assert!(
        !message.is_empty() && message.len() < 2_000,
        "{code:?} {message:?} of {shown}"
    );
    // A body is a name's only source, and it may name what it likes.
    assert!(
        param.as_ref().is_none_or(|param| param.len() < 2_000),
        "{param:?} of {shown}"
    );
    assert!(
        param.is_some() || matches!(code, Code::BodyInvalid | Code::ParameterInvalid),
        "{code:?} {message} of {shown}"
    );
    assert!(message.ends_with('.'), "{message:?} of {shown}");
}

/// An accepted payment against another reading of the same bytes.
fn payment(body: &[u8]) -> Result<(), Invalid> {
    let checked = read::<PaymentRequest<'_>>(body)?.check(false, None)?;
    let other: Value = serde_json::from_slice(body).expect("a payment out of what is no JSON");
    assert_eq!(
        other["amount"].as_u64().map(i128::from),
        Some(checked.amount.minor())
    );
    assert!(
        other["currency"]
            .as_str()
            .is_some_and(|code| code.eq_ignore_ascii_case(checked.currency.code()))
    );
    assert_eq!(other["payment_method_id"].as_str(), Some(&*checked.method.id));
    assert_eq!(
        other["metadata"].as_object().map_or(0, serde_json::Map::len),
        checked.metadata.len()
    );
    let said = [
        ("customer_id", &checked.customer),
        ("return_url", &checked.return_url),
    ];
    for (name, value) in said.into_iter().filter(|(_, value)| value.is_some()) {
        assert_eq!(other[name].as_str(), value.as_deref(), "{name}");
    }
    Ok(())
}

fn transfers(body: &[u8], rules: &LedgerRules) -> Result<(), Invalid> {
    let opened = BTreeMap::new();
    let request = read::<TransfersRequest<'_>>(body)?;
    let checked = request.check(&Booking {
        rules,
        opened: &opened,
    })?;
    let other: Value = serde_json::from_slice(body).expect("transfers out of what is no JSON");
    let listed = other["transfers"].as_array().unwrap();
    assert_eq!(checked.transfers.len(), listed.len());
    for (transfer, other) in checked.transfers.iter().zip(listed) {
        if let TransferLegs::Pair { amount, .. } = transfer.legs {
            assert!(
                !other["amount"].is_u64() || other["amount"].as_u64().map(i128::from) == Some(amount.minor())
            );
        }
    }
    Ok(())
}

#[test]
fn bodies_become_commands_or_refusals_that_a_person_can_use() {
    let rules = LedgerRules::default();
    let operator: Arc<str> = Arc::from("key_00000000000000000000000001");
    let attempt = "pay_00000000000000000000000007";
    let target = Target::of_text("api_body", any_of(BODIES))
        .words(WORDS)
        .cases(10_000);
    target.run(|body| {
        let read_by_all = [
            payment(body),
            transfers(body, &rules),
            payment_capture::check(body).map(drop),
            payment_increment::check(body).map(drop),
            payment_confirm::check_alone(body, false).map(drop),
            payment_confirm::check_alone(body, true).map(drop),
            refund_create::check(body).map(drop),
            payment_what_if::check(body).map(drop),
            read::<EvaluateRequest<'_>>(body).and_then(|request| request.check().map(drop)),
            attempt_resolve::check(body, attempt, &operator).map(drop),
            read::<AccountRequest<'_>>(body)
                .and_then(|request| request.check(ApiKeyId::from_bits(1)).map(drop)),
            read::<AlertRequest<'_>>(body).and_then(|request| request.check(2, || AlertId(7)).map(drop)),
            read::<RevertsBody<'_>>(body).and_then(|request| request.check().map(drop)),
        ];
        for refused in read_by_all.into_iter().filter_map(Result::err) {
            is_usable(&refused, body);
        }
    });
}

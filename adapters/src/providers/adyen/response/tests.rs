//! Every answer that decides something, and those that must not.

use super::super::sample::{OURS, PSP, attempt, line, reply};
use super::*;
use bytes::Bytes;
use florin_domain::credentials::KeyOwner;
use florin_domain::payment::OperationKind;
use florin_domain::provider::KeyRefusal;

#[test]
fn the_result_of_a_charge_is_what_adyen_says_and_no_more() {
    let table = [
        (200, "authorised", format!("succeeded {PSP} {PSP} 1500")),
        (
            200,
            "authorised_without_amount",
            format!("succeeded {PSP} {PSP} 1500"),
        ),
        // Less than was asked for: the core holds it against the operation's amount and has a person look.
        (200, "partially_authorised", format!("succeeded {PSP} {PSP} 900")),
        (
            200,
            "refused",
            "declined insufficient_funds HPQ9Q6C5V7LZNN82".to_owned(),
        ),
        (
            200,
            "refused_unlisted",
            "declined issuer_unavailable HPQ9Q6C5V7LZNN82".to_owned(),
        ),
        (
            200,
            "redirect",
            format!("action {OURS} https://checkoutshopper-test.example/threeDS/redirect?MD=M2R"),
        ),
        (200, "challenge", "action V4HZ4RBFJGXXGN82 -".to_owned()),
        (200, "pending", "pending WNS7WQ756L2GWR82".to_owned()),
        (200, "received", "pending WNS7WQ756L2GWR82".to_owned()),
        (200, "error", "unknown WNS7WQ756L2GWR82".to_owned()),
        (
            200,
            "cancelled",
            "declined cancelled_by_customer WNS7WQ756L2GWR82".to_owned(),
        ),
        (200, "capture_received", "unknown -".to_owned()),
        (422, "error_validation", "rejected".to_owned()),
        (422, "error_key_in_use", "unknown -".to_owned()),
        (422, "error_key_reused", "unknown -".to_owned()),
        (401, "error_security", "rejected".to_owned()),
        (500, "error_internal", "unknown -".to_owned()),
        (503, "error_validation", "unknown -".to_owned()),
        (429, "error_validation", "rate limited 1000".to_owned()),
    ];
    for (status, name, expected) in table {
        let outcome = charged(&attempt(OperationKind::Sale), &reply(status, name));
        assert_eq!(line(&outcome), expected, "{status} {name}: {outcome:?}");
    }
}

#[test]
fn a_modification_that_was_received_is_pending_until_a_notification_comes() {
    let table = [
        (
            OperationKind::Capture,
            "capture_received",
            "pending NC6HT9CRT65ZGN82",
        ),
        (OperationKind::Void, "cancel_received", "pending NC6HT9CRT65ZGN82"),
        (
            OperationKind::Refund,
            "refund_received",
            "pending NC6HT9CRT65ZGN82",
        ),
        // An answer about another operation.
        (OperationKind::Refund, "capture_received", "unknown -"),
        (OperationKind::Refund, "authorised", "unknown -"),
    ];
    for (kind, name, expected) in table {
        let outcome = acknowledged(&attempt(kind), &reply(201, name));
        assert_eq!(line(&outcome), expected, "{kind:?} {name}: {outcome:?}");
    }
    let refused = acknowledged(&attempt(OperationKind::Capture), &reply(422, "error_validation"));
    assert_eq!(line(&refused), "rejected");
}

/// What is told besides may be cut in the middle of a character, or be anything.
#[test]
fn what_is_told_besides_spoils_no_answer() {
    for told in [
        r#"{"cardHolderName":"\ud83d"}"#,
        r#"{"refusalReasonRaw":"\ud83d"}"#,
        r#"{"x":1e999}"#,
        "[]",
    ] {
        let body = format!(
            r#"{{"resultCode":"Authorised","pspReference":"{PSP}","merchantReference":"{OURS}","additionalData":{told}}}"#
        );
        let refused = body.replace("Authorised", "Refused");
        for (body, expected) in [(body, "succeeded"), (refused, "declined")] {
            let reply = Reply {
                status: 200,
                retry_after_s: None,
                body: Bytes::from(body),
                key: KeyOwner::Platform,
            };
            let outcome = charged(&attempt(OperationKind::Sale), &reply);
            assert!(line(&outcome).starts_with(expected), "{told}: {outcome:?}");
        }
    }
}

#[test]
fn the_codes_of_the_card_network_come_without_their_texts() {
    let table = [
        (serde_json::json!({}), ""),
        (serde_json::json!("something else"), ""),
        (
            serde_json::json!({"refusalReasonRaw": 51, "merchantAdviceCode": null}),
            "",
        ),
        (
            serde_json::json!({"refusalReasonRaw": "51 : Insufficient funds"}),
            " 51",
        ),
        (
            serde_json::json!({"refusalReasonRaw": "DECLINED", "merchantAdviceCode": "02 : Try again later"}),
            " DECLINED 02",
        ),
        (
            serde_json::json!({"cardSummary": "1111", "merchantAdviceCode": "03"}),
            " 03",
        ),
    ];
    for (told, expected) in table {
        let answer = serde_json::json!({
            "resultCode": "Refused", "pspReference": PSP, "merchantReference": OURS, "refusalReasonCode": "12",
            "additionalData": told,
        });
        let reply = Reply {
            status: 200,
            retry_after_s: None,
            body: Bytes::from(answer.to_string()),
            key: KeyOwner::Platform,
        };
        let outcome = charged(&attempt(OperationKind::Sale), &reply);
        let expected = format!("declined insufficient_funds {PSP}{expected}");
        assert_eq!(line(&outcome), expected, "{told}");
    }
}

#[test]
fn asking_for_a_closing_proves_nothing() {
    let request = attempt(OperationKind::Authorize);
    for (status, name) in [
        (201, "closing_received"),
        (201, "cancel_received"),
        (422, "error_validation"),
        (500, "error_internal"),
    ] {
        let outcome = closing(&request, &reply(status, name));
        assert_eq!(line(&outcome), "unknown -", "{status} {name}");
    }
}

#[test]
fn details_that_are_refused_leave_the_challenge_open() {
    let request = attempt(OperationKind::Sale);
    assert_eq!(
        line(&detailed(&request, &reply(422, "error_validation"))),
        "unknown -"
    );
    assert_eq!(
        line(&detailed(&request, &reply(200, "refused"))),
        "declined insufficient_funds HPQ9Q6C5V7LZNN82"
    );
    let named = |reference: &str| {
        let answer = serde_json::json!({"resultCode": "Authorised", "pspReference": PSP, "merchantReference": reference});
        let body = Bytes::from(answer.to_string());
        line(&detailed(
            &request,
            &Reply {
                status: 200,
                retry_after_s: None,
                body,
                key: KeyOwner::Platform,
            },
        ))
    };
    assert_eq!(named(OURS), format!("succeeded {PSP} {PSP} 1500"));
    // A customer may bring what belongs to a cheaper payment.
    assert_eq!(named("pay_00000000000000000000000008.flo_k"), "unknown -");
    let silent = Reply {
        status: 200,
        retry_after_s: None,
        body: Bytes::from_static(br#"{"resultCode":"Authorised","pspReference":"A1"}"#),
        key: KeyOwner::Platform,
    };
    assert_eq!(line(&detailed(&request, &silent)), "unknown -");
}

#[test]
fn what_is_no_answer_of_adyens_decides_nothing() {
    for (status, body) in [
        (200, ""),
        (200, "<html>"),
        (200, r#"{"resultCode":"Authorised"}"#),
        (200, r#"{"resultCode":"Authorised","pspReference":"../x"}"#),
        (
            200,
            r#"{"resultCode":"Authorised","pspReference":"A1","merchantReference":"order-1"}"#,
        ),
        (
            200,
            r#"{"resultCode":"Authorised","pspReference":"A1","amount":{"currency":"EUR","value":1500}}"#,
        ),
        (400, "{}"),
        (422, "nonsense"),
        (409, r#"{"errorCode":"704","errorType":"validation"}"#),
        // Something was sent under the key, and it is no proof that it was not this.
        (
            422,
            r#"{"errorCode":"703","errorType":"validation","message":"The idempotency key was used for another request"}"#,
        ),
        // An error of Adyen's own under the status of one of ours.
        (422, r#"{"errorCode":"000","errorType":"internal"}"#),
        (302, r#"{"errorCode":"1"}"#),
    ] {
        let reply = Reply {
            status,
            retry_after_s: None,
            body: Bytes::from_static(body.as_bytes()),
            key: KeyOwner::Platform,
        };
        let outcome = charged(&attempt(OperationKind::Sale), &reply);
        assert!(
            matches!(outcome, Outcome::Unknown { .. }),
            "{status} {body}: {outcome:?}"
        );
    }
}

#[test]
fn a_refusal_says_whose_key_was_refused_at_401_and_403_only() {
    let merchant = florin_domain::ids::MerchantId::from_bits(9);
    let body =
        r#"{"errorCode":"000","errorType":"security","message":"HTTP Status Response - Unauthorized"}"#;
    for owner in [KeyOwner::Platform, KeyOwner::Merchant { merchant, version: 3 }] {
        for (status, expected) in [
            (400, None),
            (401, Some(KeyRefusal::Unknown(owner))),
            (403, Some(KeyRefusal::Forbidden(owner))),
            (422, None),
        ] {
            let answer = crate::providers::sample::reply(status, body).under(owner);
            for outcome in [
                charged(&attempt(OperationKind::Sale), &answer),
                acknowledged(&attempt(OperationKind::Refund), &answer),
            ] {
                let Outcome::Rejected { refused_key, .. } = outcome else {
                    panic!("{status}: {outcome:?}")
                };
                assert_eq!(refused_key, expected, "{status}");
            }
        }
    }
}

#[test]
fn a_number_in_a_refusal_without_a_word_of_its_own_is_masked() {
    let word = decline_code(Some("999"), Some("Card 4000 0566 5566 5556 blocked"));
    assert_eq!(&*word, "card_5556_blocked");
}

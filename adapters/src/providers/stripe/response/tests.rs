//! Tests of the module beside it.

use super::super::sample::{CAPTURE, INTENT, attempt, check, error, intent, refund, reply, unexpected_state};
use super::*;
use OperationKind::{Authorize, Capture, Refund as Refunding, Sale, Void};
use bytes::Bytes;
use florin_domain::credentials::KeyOwner;
use florin_domain::provider::KeyRefusal;
use serde_json::{Value, json};

#[test]
fn refusals_are_proof_only_where_stripe_refuses_before_it_does_anything() {
    let card = error(&json!({"type": "card_error", "code": "card_declined", "decline_code": "do_not_honor"}));
    let by_network = error(&json!({
        "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
        "network_decline_code": "51", "network_advice_code": "02",
    }));
    let odd = error(&json!({
        "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
        "network_decline_code": 51, "network_advice_code": null,
    }));
    let coded = error(&json!({"type": "card_error", "code": "expired_card"}));
    let bare = error(&json!({"type": "card_error"}));
    let with = |status: &str| {
        error(
            &json!({"type": "card_error", "code": "card_declined", "payment_intent": intent(status, &Value::Null)}),
        )
    };
    let (charged, retryable) = (with("succeeded"), with("requires_payment_method"));
    let invalid =
        error(&json!({"type": "invalid_request_error", "code": "parameter_missing", "message": "no"}));
    let reused = error(&json!({"type": "idempotency_error", "message": "Keys ..."}));
    let reused_code = error(&json!({"type": "invalid_request_error", "code": "idempotency_error"}));
    let in_use = error(&json!({"type": "idempotency_error", "code": "idempotency_key_in_use"}));
    let locked = error(&json!({"type": "invalid_request_error", "code": "lock_timeout"}));
    let limited = error(&json!({"type": "invalid_request_error", "code": "rate_limit"}));
    let internal = error(&json!({"type": "api_error"}));
    let page = json!("<html>Bad gateway</html>");
    let rows: Vec<(&str, u16, &Value, &str)> = vec![
        ("a decline", 402, &card, "declined do_not_honor pi_1"),
        (
            "a decline with its network's codes",
            402,
            &by_network,
            "declined insufficient_funds pi_1 51 02",
        ),
        (
            "a decline with something else in their place",
            402,
            &odd,
            "declined insufficient_funds pi_1",
        ),
        (
            "a decline with a code only",
            402,
            &coded,
            "declined expired_card pi_1",
        ),
        (
            "a decline without words",
            402,
            &bare,
            "declined generic_decline pi_1",
        ),
        (
            "a decline with its intent",
            402,
            &retryable,
            "declined card_declined pi_1",
        ),
        ("a decline that charged", 402, &charged, "unknown pi_1"),
        ("a decline that nobody signed", 402, &page, "unknown pi_1"),
        ("our mistake", 400, &invalid, "rejected"),
        ("a wrong secret", 401, &invalid, "rejected"),
        ("a secret without the right", 403, &invalid, "rejected"),
        ("no such thing", 404, &invalid, "rejected"),
        ("a page of a proxy", 404, &page, "unknown pi_1"),
        ("a key with other parameters", 400, &reused, "unknown pi_1"),
        ("the same, by its code", 400, &reused_code, "unknown pi_1"),
        ("a key in use", 409, &in_use, "unknown pi_1"),
        ("a rate limit", 429, &limited, "rate limited 1000"),
        ("a rate limit of the edge", 429, &page, "rate limited 1000"),
        ("a locked object", 429, &locked, "unknown pi_1"),
        ("an internal error", 500, &internal, "unknown pi_1"),
        ("a bad gateway", 502, &page, "unknown pi_1"),
        ("an overload", 503, &internal, "unknown pi_1"),
        ("a gateway timeout", 504, &page, "unknown pi_1"),
        ("a failed dependency", 424, &internal, "unknown pi_1"),
        ("a redirect", 302, &page, "unknown pi_1"),
    ];
    for (name, status, body, expected) in rows {
        check(name, &executed(&attempt(Sale), &reply(status, &body)), expected);
    }
    for body in [
        "",
        "{",
        "null",
        "[]",
        r#"{"id":"pi_1"}"#,
        r#"{"id":"pi_1","status":"succ"#,
    ] {
        check(
            body,
            &executed(&attempt(Sale), &reply(200, &body)),
            "unknown pi_1",
        );
        check(
            body,
            &executed(&attempt(Refunding), &reply(200, &body)),
            "unknown -",
        );
    }
}

#[test]
fn a_key_used_with_other_parameters_is_named_to_operators() {
    let reused = error(&json!({"type": "idempotency_error", "message": "Keys ..."}));
    let outcome = executed(&attempt(Sale), &reply(400, &reused));
    let Outcome::Unknown { reason, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        &*reason,
        "the key was used with other parameters: 400 idempotency_error: Keys ..."
    );
}

#[test]
fn a_refusal_by_state_is_answered_by_the_intent_itself() {
    let partly_refunded = json!({"amount_received": 1500, "metadata": {CAPTURE: "1500"}});
    let rows: Vec<(OperationKind, Value, &str)> = vec![
        (
            Sale,
            intent("succeeded", &Value::Null),
            "succeeded pi_1 pi_1 1500",
        ),
        (Sale, intent("canceled", &Value::Null), "cancelled pi_1"),
        (Sale, intent("processing", &Value::Null), "pending pi_1"),
        (
            Sale,
            intent("requires_confirmation", &Value::Null),
            "unknown pi_1",
        ),
        (Sale, Value::Null, "unknown pi_1"),
        (
            Authorize,
            intent("requires_capture", &Value::Null),
            "succeeded pi_1 pi_1 1500",
        ),
        (
            Capture,
            intent("succeeded", &partly_refunded),
            "succeeded pi_1 pi_1 1500",
        ),
        (Capture, intent("succeeded", &Value::Null), "rejected"),
        (Capture, intent("canceled", &Value::Null), "cancelled pi_1"),
        (Capture, Value::Null, "rejected"),
        (Void, intent("canceled", &Value::Null), "succeeded pi_1 pi_1 1500"),
        (Void, intent("succeeded", &Value::Null), "rejected"),
        (Refunding, intent("canceled", &Value::Null), "rejected"),
    ];
    for (kind, found, expected) in rows {
        let outcome = executed(&attempt(kind), &reply(400, &unexpected_state(&found)));
        check(&format!("{kind:?} {found}"), &outcome, expected);
    }
}

#[test]
fn a_refund_is_found_by_its_operation_and_its_absence_proves_nothing() {
    let other = refund(
        "succeeded",
        &json!({"id": "re_8", "metadata": {"operation_id": "ref_x"}}),
    );
    let bare = refund("succeeded", &json!({"id": "re_9", "metadata": null}));
    let page = |data: Value, has_more: bool| {
        reply(
            200,
            &json!({"object": "list", "data": data, "has_more": has_more}),
        )
    };
    let found = listed_refund(
        &attempt(Refunding),
        &page(json!([other, refund("succeeded", &Value::Null)]), true),
    );
    let Listed::Ended(outcome) = found else {
        panic!("{found:?}")
    };
    check("found", &outcome, "succeeded re_1 re_1 1500");
    assert_eq!(
        listed_refund(&attempt(Refunding), &page(json!([other, bare]), true)),
        Listed::After("re_9".to_owned())
    );
    let unhelpful = [
        page(json!([other, bare]), false),
        page(json!([]), true),
        page(json!([]), false),
        reply(200, &"{}"),
        reply(404, &error(&json!({"type": "invalid_request_error"}))),
        reply(500, &"oops"),
    ];
    for reply in unhelpful {
        let got = listed_refund(&attempt(Refunding), &reply);
        let Listed::Ended(outcome) = got else {
            panic!("{got:?}")
        };
        check(&format!("{reply:?}"), &outcome, "unknown -");
    }
}

#[test]
fn looking_in_vain_is_unknown() {
    let missing = error(&json!({"type": "invalid_request_error", "code": "resource_missing"}));
    let rows = [
        (400, "unknown pi_1"),
        (401, "unknown pi_1"),
        (404, "unknown pi_1"),
        (402, "unknown pi_1"),
    ];
    for (status, expected) in rows
        .into_iter()
        .chain([(500, "unknown pi_1"), (429, "rate limited 1000")])
    {
        check(
            &status.to_string(),
            &read_intent(&attempt(Sale), &reply(status, &missing)),
            expected,
        );
    }
}

#[test]
fn an_intent_is_made_or_there_is_a_reason() {
    let ours = intent("requires_confirmation", &Value::Null);
    assert_eq!(
        prepared(&attempt(Sale), &reply(200, &ours)).as_deref(),
        Ok(INTENT)
    );
    let invalid = error(&json!({"type": "invalid_request_error", "code": "parameter_missing"}));
    let reused = error(&json!({"type": "idempotency_error"}));
    let card = error(&json!({"type": "card_error", "decline_code": "stolen_card"}));
    let dearer = intent("requires_confirmation", &json!({"amount": 1501}));
    let euros = intent("requires_confirmation", &json!({"currency": "eur"}));
    let no_intent = intent("requires_confirmation", &json!({"id": "seti_1"}));
    let hostile = intent("requires_confirmation", &json!({"id": "pi_1/../x"}));
    let rows: Vec<(u16, &Value, &str)> = vec![
        (200, &dearer, "unknown pi_1"),
        (200, &euros, "unknown pi_1"),
        (200, &no_intent, "unknown -"),
        (200, &hostile, "unknown -"),
        (200, &invalid, "unknown -"),
        (400, &invalid, "rejected"),
        (400, &reused, "rejected"),
        (401, &invalid, "rejected"),
        (402, &card, "declined stolen_card -"),
        (403, &invalid, "rejected"),
        (404, &invalid, "rejected"),
        (409, &reused, "unknown -"),
        (429, &invalid, "rate limited 1000"),
        (500, &invalid, "unknown -"),
    ];
    for (status, body, expected) in rows {
        let request = AttemptRequest {
            reference: None,
            ..attempt(Sale)
        };
        check(
            &format!("{status} {body}"),
            &prepared(&request, &reply(status, &body)).unwrap_err(),
            expected,
        );
    }
}

#[test]
fn only_a_canceled_intent_is_closed() {
    let other = error(&json!({"type": "invalid_request_error", "code": "resource_missing"}));
    for (status, expected) in [
        ("canceled", "cancelled pi_1"),
        ("succeeded", "unknown pi_1"),
        ("requires_capture", "unknown pi_1"),
        ("requires_confirmation", "unknown pi_1"),
        ("processing", "unknown pi_1"),
    ] {
        let closed = cancelled(&attempt(Authorize), &reply(200, &intent(status, &Value::Null)));
        let Closed::Ended(outcome) = closed else {
            panic!("{closed:?}")
        };
        check(status, &outcome, expected);
    }
    let state = unexpected_state(&intent("succeeded", &Value::Null));
    assert_eq!(cancelled(&attempt(Sale), &reply(400, &state)), Closed::Look);
    assert!(matches!(
        cancelled(&attempt(Sale), &reply(404, &other)),
        Closed::Ended(Outcome::Unknown { .. })
    ));
    assert!(matches!(
        cancelled(&attempt(Sale), &reply(500, &other)),
        Closed::Failed(Outcome::Unknown { .. })
    ));
    assert!(matches!(
        cancelled(&attempt(Sale), &reply(429, &other)),
        Closed::Ended(Outcome::RateLimited { .. })
    ));
}

#[test]
fn waits_are_believed_up_to_an_hour() {
    for (given_s, expected) in [
        (None, 1000),
        (Some(7), 7000),
        (Some(0), 0),
        (Some(u64::MAX), 3_600_000),
    ] {
        let reply = Reply {
            status: 429,
            retry_after_s: given_s,
            body: Bytes::new(),
            key: KeyOwner::Platform,
        };
        check(
            "429",
            &executed(&attempt(Sale), &reply),
            &format!("rate limited {expected}"),
        );
    }
}

#[test]
fn a_refusal_says_whose_key_was_refused_at_401_and_403_only() {
    let merchant = florin_domain::ids::MerchantId::from_bits(9);
    let body = error(&json!({"type": "invalid_request_error", "message": "Invalid API Key provided"}));
    for owner in [KeyOwner::Platform, KeyOwner::Merchant { merchant, version: 3 }] {
        for (status, expected) in [
            (400, None),
            (401, Some(KeyRefusal::Unknown(owner))),
            (403, Some(KeyRefusal::Forbidden(owner))),
            (404, None),
        ] {
            let answer = reply(status, &body).under(owner);
            let outcomes = [
                prepared(&attempt(Sale), &answer).unwrap_err(),
                executed(&attempt(Sale), &answer),
                executed(&attempt(Refunding), &answer),
            ];
            for outcome in outcomes {
                let Outcome::Rejected { refused_key, .. } = outcome else {
                    panic!("{status}: {outcome:?}")
                };
                assert_eq!(refused_key, expected, "{status}");
            }
        }
    }
    // Who says so must be Stripe: anything on the way may answer 401.
    let strange = executed(&attempt(Sale), &reply(401, "<html>").under(KeyOwner::Platform));
    assert!(matches!(strange, Outcome::Unknown { .. }), "{strange:?}");
}

#[test]
fn a_number_in_the_word_for_a_decline_is_masked() {
    let numbered = error(&json!({"type": "card_error", "decline_code": "no_4000056655665556"}));
    let outcome = executed(&attempt(Sale), &reply(402, &numbered));
    let Outcome::Declined { decline_code, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(&*decline_code, "no_************5556");
}

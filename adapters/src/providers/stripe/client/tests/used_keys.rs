//! Keys that were used: stuck on an error, or for another form of the same request.

use super::*;
use crate::providers::stripe::sample::check;

#[tokio::test]
async fn a_cancellation_whose_key_is_stuck_on_an_error_is_repeated_without_it() {
    let (address, server) = serve(vec![answer(500, INTERNAL), answer(200, CANCELED)]);
    let outcome = provider(address, PATIENT).cancel(&attempt(Sale)).await;
    assert!(matches!(outcome, Outcome::Cancelled { .. }), "{outcome:?}");
    let requests = ended(server).await;
    assert!(
        requests[0].contains("idempotency-key: flo_k-cancel\r\n"),
        "{}",
        requests[0]
    );
    assert!(!requests[1].contains("idempotency-key"), "{}", requests[1]);
}

/// Whoever confirms again without the security code, or after a change of the form, is told that the key was used for something else.
#[tokio::test]
async fn a_confirmation_that_was_sent_otherwise_before_is_read_and_not_repeated() {
    let reused =
        r#"{"error":{"type":"idempotency_error","message":"Keys for idempotent requests can only be used"}}"#;
    let waiting = r#"{"id":"pi_1","status":"requires_payment_method","currency":"usd","amount":1500,"amount_received":0}"#;
    for (seen, expected) in [
        (answer(200, SUCCEEDED), "succeeded pi_1 ch_1 1500"),
        (answer(200, CANCELED), "cancelled pi_1"),
        (answer(200, waiting), "unknown pi_1"),
        (answer(404, "{}"), "unknown pi_1"),
        (answer(429, "{}"), "unknown pi_1"),
        (Act::Close, "unknown pi_1"),
    ] {
        let (address, server) = serve(vec![answer(400, reused), seen]);
        let outcome = provider(address, PATIENT).execute(&attempt(Sale)).await;
        check(expected, &outcome, expected);
        let requests = ended(server).await;
        assert_eq!(
            first_lines(&requests),
            [
                "POST /v1/payment_intents/pi_1/confirm HTTP/1.1",
                "GET /v1/payment_intents/pi_1 HTTP/1.1"
            ]
        );
        assert!(
            requests[0].contains("idempotency-key: flo_k\r\n"),
            "{}",
            requests[0]
        );
    }
}

#[tokio::test]
async fn a_void_whose_key_is_stuck_on_an_error_is_repeated_without_it() {
    let (address, server) = serve(vec![answer(500, INTERNAL), answer(200, CANCELED)]);
    let outcome = provider(address, PATIENT).execute(&attempt(Void)).await;
    assert!(
        matches!(
            outcome,
            Outcome::Succeeded {
                amount_minor: 1500,
                ..
            }
        ),
        "{outcome:?}"
    );
    let requests = ended(server).await;
    assert!(
        requests[0].contains("idempotency-key: flo_k\r\n"),
        "{}",
        requests[0]
    );
    assert!(!requests[1].contains("idempotency-key"), "{}", requests[1]);
}

#[tokio::test]
async fn a_void_that_met_an_error_stays_unknown_until_an_answer_says_more() {
    let rejected = r#"{"error":{"type":"invalid_request_error","code":"resource_missing"}}"#;
    for second in [
        answer(500, INTERNAL),
        answer(429, "{}"),
        answer(404, rejected),
        answer(400, UNEXPECTED_STATE),
        Act::Close,
    ] {
        let (address, server) = serve(vec![answer(500, INTERNAL), second]);
        let outcome = provider(address, PATIENT).execute(&attempt(Void)).await;
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
        ended(server).await;
    }
}

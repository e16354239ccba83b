//! Answers that are not as they should be. Whatever they are, they come to an outcome, and none that moves money without the provider's word
//! for it: another reading of the same bytes, by nothing of the code under test, must find that word.

use super::super::sample::{
    CAPTURE, INTENT, OTHER_CAPTURE, REFUND, attempt, error, intent, refund, unexpected_state,
};
use super::*;
use bytes::Bytes;
use florin_domain::credentials::KeyOwner;
use florin_fuzz::{Target, any_of};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

const KINDS: [OperationKind; 6] = [
    OperationKind::Sale,
    OperationKind::Authorize,
    OperationKind::Capture,
    OperationKind::Void,
    OperationKind::Refund,
    OperationKind::Increment,
];
const STATUSES: [u16; 20] = [
    0, 100, 199, 200, 201, 204, 299, 300, 302, 400, 401, 402, 403, 404, 409, 424, 429, 499, 500, 503,
];
const STATES: [&str; 7] = [
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "processing",
    "requires_capture",
    "canceled",
    "succeeded",
];

fn seeds() -> Vec<String> {
    let mut seeds = Vec::new();
    for state in STATES {
        let plain = intent(state, &Value::Null);
        let captured = json!({"amount_received": 1500, "metadata": {CAPTURE: "1000", OTHER_CAPTURE: "500"}});
        let failed = json!({"last_payment_error": {"code": "card_declined", "decline_code": "do_not_honor"}});
        let declined = json!({"type": "card_error", "code": "card_declined", "payment_intent": plain});
        seeds.extend([plain.clone(), intent(state, &captured), intent(state, &failed)]);
        seeds.extend([unexpected_state(&plain), error(&declined)]);
    }
    for state in ["pending", "requires_action", "succeeded", "failed", "canceled"] {
        let one = refund(state, &Value::Null);
        let other = refund(state, &json!({"id": "re_2", "metadata": {}}));
        seeds.push(json!({"data": [other, one.clone()], "has_more": true}));
        seeds.push(one);
    }
    seeds.push(error(
        &json!({"type": "idempotency_error", "message": "Keys ..."}),
    ));
    seeds.iter().map(Value::to_string).collect()
}

/// All of a body; nothing if a number that the adapter does not read is larger than any type.
fn whole(body: &[u8]) -> Option<Value> {
    let _: IgnoredAny = serde_json::from_slice(body).expect("a success out of what is no JSON");
    serde_json::from_slice(body).ok()
}

/// What one outcome may be the outcome of.
fn check(request: &AttemptRequest, reply: &Reply, outcome: &Outcome) {
    let Outcome::Succeeded {
        reference,
        transaction,
        amount_minor,
    } = outcome
    else {
        return;
    };
    let Some(body) = whole(&reply.body) else { return };
    let object = match reply.status {
        200..=299 if body["data"].is_array() => {
            let data = body["data"].as_array().unwrap();
            data.iter()
                .find(|refund| refund["id"] == **reference && refund["status"] == "succeeded")
                .unwrap()
        }
        200..=299 => &body,
        400 => &body["error"]["payment_intent"],
        status => panic!("a success out of a status {status}"),
    };
    let words: &[&str] = match request.kind {
        OperationKind::Sale | OperationKind::Refund => &["succeeded"],
        OperationKind::Authorize => &["requires_capture"],
        OperationKind::Capture => &["succeeded", "requires_capture", "canceled"],
        OperationKind::Void => &["succeeded", "canceled"],
        OperationKind::Increment => &["succeeded", "requires_capture"],
        OperationKind::Reversal => &[],
    };
    assert!(words.iter().any(|word| object["status"] == **word), "{object}");
    assert_eq!(object["id"], **reference);
    assert_eq!(
        object["currency"]
            .as_str()
            .map(str::to_ascii_lowercase)
            .as_deref(),
        Some("usd")
    );
    assert!(!transaction.is_empty(), "a success without a transaction");
    let known: Vec<i128> = ["amount", "amount_received", "amount_capturable"]
        .iter()
        .filter_map(|name| object[name].as_u64())
        .map(i128::from)
        .collect();
    assert!(
        (0..=known.iter().copied().max().unwrap_or(0)).contains(amount_minor),
        "{amount_minor} out of {object}"
    );
}

#[test]
fn no_answer_is_taken_for_a_success_that_it_does_not_tell() {
    let words = STATES.into_iter().chain([
        INTENT,
        CAPTURE,
        OTHER_CAPTURE,
        REFUND,
        "usd",
        "eur",
        "re_1",
        "pi_2",
        "amount",
        "amount_received",
        "amount_capturable",
        "payment_intent",
        "error",
        "code",
        "status",
        "metadata",
        "latest_charge",
        "card_declined",
        "lock_timeout",
    ]);
    let target = Target::of_text("stripe_answer", any_of(seeds()))
        .words(words)
        .cases(4_000);
    target.run(|bytes| {
        // Any status for any body, and the same one each time that the body comes.
        let place = bytes
            .iter()
            .fold(0_usize, |sum, byte| sum.wrapping_mul(31) + usize::from(*byte));
        for status in [200, 400, STATUSES[place % STATUSES.len()]] {
            let reply = Reply {
                status,
                retry_after_s: [None, Some(0), Some(u64::MAX)][place % 3],
                body: Bytes::copy_from_slice(bytes),
                key: KeyOwner::Platform,
            };
            for kind in KINDS {
                let request = attempt(kind);
                let looked = match kind {
                    OperationKind::Refund => match listed_refund(&request, &reply) {
                        Listed::Ended(outcome) => vec![read_refund(&request, &reply), outcome],
                        Listed::After(_) => vec![read_refund(&request, &reply)],
                    },
                    OperationKind::Sale
                    | OperationKind::Authorize
                    | OperationKind::Capture
                    | OperationKind::Void
                    | OperationKind::Increment
                    | OperationKind::Reversal => vec![read_intent(&request, &reply)],
                };
                for outcome in looked.iter().chain([&executed(&request, &reply)]) {
                    check(&request, &reply, outcome);
                }
                if let Closed::Ended(outcome) | Closed::Failed(outcome) = cancelled(&request, &reply) {
                    let is_success = matches!(outcome, Outcome::Succeeded { .. });
                    assert!(!is_success, "closing is no success: {outcome:?}");
                }
            }
            let sale = attempt(OperationKind::Sale);
            if let Ok(reference) = prepared(&sale, &reply) {
                if let Some(body) = whole(bytes) {
                    assert_eq!(
                        (body["id"].as_str(), body["amount"].as_u64()),
                        (Some(&*reference), Some(1500))
                    );
                }
                assert!(reply.is_success());
            }
            let _: (bool, bool) = (is_partly_captured(&reply), says_more(&sale, &reply));
        }
    });
}

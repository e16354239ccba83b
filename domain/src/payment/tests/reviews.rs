//! Reviews: before any provider hears of a payment, or with the money held.

use super::script::{Script, check};

#[test]
fn reviews_end_by_a_person_or_by_their_deadline() {
    check(&[
        ("create auth review", "reject", "review.rejected => blocked"),
        ("create auth review; later 23", "check", "nothing => in_review"),
        (
            "create auth review; later 24",
            "check",
            "review.expired => voided",
        ),
        (
            "create auth review; later 24; check",
            "approve",
            "refused payment_unexpected_state",
        ),
        (
            "create auth review; approve",
            "approve",
            "refused payment_unexpected_state",
        ),
        (
            "create auth review; approve",
            "auth ok",
            "attempt.succeeded => authorized",
        ),
    ]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_payment_held_for_review_is_taken_or_released_at_the_provider() {
    let held = "create sale hold; auth ok";
    check(&[
        (
            "",
            "create sale hold",
            "payment.created risk.assessed review.held operation.opened attempt.planned => processing",
        ),
        (
            "create sale hold",
            "auth ok",
            "attempt.succeeded review.opened => in_review",
        ),
        ("create sale hold", "auth declined", "attempt.declined => failed"),
        (
            "create auth hold",
            "auth ok",
            "attempt.succeeded review.opened => in_review",
        ),
        (
            held,
            "approve",
            "review.approved operation.opened attempt.planned => authorized",
        ),
        (
            "create auth hold; auth ok",
            "approve",
            "review.approved => authorized",
        ),
        (
            "create sale hold; auth ok; approve",
            "cap900 ok",
            "attempt.succeeded => succeeded",
        ),
        (
            "create sale hold; auth ok; approve",
            "cap900 declined",
            "attempt.declined => authorized",
        ),
        (held, "reject", "operation.opened attempt.planned => in_review"),
        (
            "create sale hold; auth ok; reject",
            "void901 ok",
            "review.rejected attempt.succeeded => blocked",
        ),
        (
            "create sale hold; auth ok; reject",
            "void901 declined",
            "attempt.declined => in_review",
        ),
        (
            "create sale hold; auth ok; reject",
            "approve",
            "refused operation_in_progress",
        ),
        (
            "create sale hold; auth ok; reject",
            "reject",
            "refused operation_in_progress",
        ),
        (
            "create sale hold; auth ok; reject; void901 declined",
            "approve",
            "review.approved operation.opened attempt.planned => authorized",
        ),
        (held, "capture 1 all", "refused payment_unexpected_state"),
        (held, "refund 1 all", "refused payment_unexpected_state"),
        (held, "void 1", "operation.opened attempt.planned => in_review"),
        (
            "create sale hold; auth ok; void 1",
            "void1 ok",
            "attempt.succeeded => voided",
        ),
        (
            "create sale hold; auth ok; later 23",
            "check",
            "nothing => in_review",
        ),
        (
            "create sale hold; auth ok; later 24",
            "check",
            "operation.opened attempt.planned => in_review",
        ),
        (
            "create sale hold; auth ok; later 24; check",
            "check",
            "nothing => in_review",
        ),
        (
            "create sale hold; auth ok; later 24; check",
            "void901 ok",
            "attempt.succeeded => voided",
        ),
    ]);
    let state = |steps: &str| Script::after(steps).state().clone();
    assert_eq!(state(held).hold_credit_minor(), 1_000, "what is held is expected");
    assert_eq!(
        state("create sale hold; auth ok; reject; void901 ok").hold_credit_minor(),
        0
    );
    assert_eq!(
        state("create sale hold; auth ok; approve; cap900 ok")
            .captured
            .minor(),
        1_000
    );
}

#[test]
fn an_approval_is_answered_by_what_became_of_its_capture() {
    use super::super::{Answer, Request, RequestKind};
    use super::script::operation_id;
    use crate::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
    for (kind, operation, given, answer) in [
        (
            RequestKind::ApproveReview,
            "cap900",
            "approve",
            Answer::Unresolved,
        ),
        (
            RequestKind::ApproveReview,
            "cap900",
            "approve; cap900 unknown",
            Answer::Unresolved,
        ),
        (
            RequestKind::ApproveReview,
            "cap900",
            "approve; cap900 not-sent",
            Answer::NoProvider,
        ),
        (
            RequestKind::ApproveReview,
            "cap900",
            "approve; cap900 declined",
            Answer::Declined,
        ),
        (
            RequestKind::ApproveReview,
            "cap900",
            "approve; cap900 ok",
            Answer::Shown,
        ),
        (RequestKind::RejectReview, "void901", "reject", Answer::Unresolved),
        (
            RequestKind::RejectReview,
            "void901",
            "reject; void901 not-sent",
            Answer::NoProvider,
        ),
        (
            RequestKind::RejectReview,
            "void901",
            "reject; void901 ok",
            Answer::Shown,
        ),
    ] {
        let script = Script::after(&format!("create sale hold; auth ok; {given}"));
        let request = Request {
            key: IdempotencyKey::parse("k").unwrap(),
            key_digest: KeyDigest([7; 16]),
            fingerprint: Fingerprint([8; 16]),
            kind,
            operation: operation_id(operation),
            operator: Some("ada".into()),
        };
        assert_eq!(script.state().request_answer(&request), answer, "{given}");
    }
}

#[test]
fn what_cannot_be_released_is_tried_again_after_growing_waits() {
    let mut script = Script::after("create sale hold; auth ok; later 24");
    let mut opened = 0;
    // Looked at once an hour for ten days, with a provider that is never there.
    for _ in 0..240 {
        if script.then("check") != "nothing => in_review" {
            opened += 1;
            let void = format!("void{}", 900 + opened);
            script.run(&format!("{void} not-sent"));
        }
        script.run("later 1");
    }
    assert!((20..60).contains(&opened), "{opened}");
}

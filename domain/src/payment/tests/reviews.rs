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

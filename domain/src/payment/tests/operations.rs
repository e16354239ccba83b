//! Captures, voids and refunds.

use super::script::{Script, check};

const AUTHORIZED: &str = "create auth; auth ok";
const SOLD: &str = "create sale; auth ok";

#[test]
fn captures_take_what_is_reserved_and_never_more() {
    check(&[
        (AUTHORIZED, "capture 1 1001", "refused amount_exceeds_capturable"),
        (AUTHORIZED, "capture 1 all @b", "refused provider_mismatch"),
        (
            "create auth; auth ok; capture 1 600",
            "capture 2 401",
            "refused amount_exceeds_capturable",
        ),
        (
            "create auth; auth ok; capture 1 600",
            "capture 2 400",
            "operation.opened attempt.planned => authorized",
        ),
        (
            "create auth; auth ok; capture 1 all",
            "capture 2 1",
            "refused nothing_left",
        ),
        (
            "create auth; auth ok; capture 1 600",
            "capture 1 1",
            "refused operation_exists",
        ),
        (
            "create auth; auth ok; capture 1 600; cap1 declined",
            "capture 1 600",
            "refused operation_exists",
        ),
        (
            "create auth; auth ok; capture 1 600; cap1 unknown",
            "capture 2 401",
            "refused amount_exceeds_capturable",
        ),
        (
            "create auth; auth ok; capture 1 600",
            "cap1 ok",
            "attempt.succeeded => authorized",
        ),
        (
            "create auth; auth ok; capture 1 all",
            "cap1 ok",
            "attempt.succeeded => succeeded",
        ),
        (
            "create auth; auth ok; capture 1 600 final",
            "cap1 ok",
            "attempt.succeeded => succeeded",
        ),
        (
            "create auth; auth ok; capture 1 600 final; cap1 ok",
            "capture 2 1",
            "refused payment_unexpected_state",
        ),
        (
            "create auth; auth ok; capture 1 600; cap1 ok; capture 2 all",
            "cap2 ok",
            "attempt.succeeded => succeeded",
        ),
        (
            "create auth; auth ok; capture 1 600",
            "cap1 declined",
            "attempt.declined => authorized",
        ),
        (
            "create auth; auth ok; capture 1 600; cap1 declined",
            "capture 2 all",
            "operation.opened attempt.planned => authorized",
        ),
        // A customer cannot be challenged for what the merchant does.
        (
            "create auth; auth ok; capture 1 600",
            "cap1 action",
            "nothing => authorized",
        ),
        (
            "create auth; auth ok; void 1",
            "void1 action",
            "nothing => authorized",
        ),
        (
            "create sale; auth ok; refund 1 600",
            "ref1 action",
            "nothing => succeeded",
        ),
    ]);
}

#[test]
fn several_captures_add_up_and_the_rest_stays_expected() {
    let mut script = Script::after(AUTHORIZED);
    for (step, captured, capturable, hold) in [
        ("capture 1 300", 0, 700, 1_000),
        ("capture 2 200", 0, 500, 1_000),
        ("cap2 ok", 200, 500, 800),
        ("cap1 ok", 500, 500, 500),
        ("capture 3 100 final", 500, 400, 500),
        ("cap3 ok", 600, 0, 0),
    ] {
        script.run(step);
        let payment = script.state();
        let seen = (
            payment.captured.minor(),
            payment.capturable_minor(),
            payment.hold_credit_minor(),
        );
        assert_eq!(seen, (captured, capturable, hold), "after `{step}`");
    }
    // 0.30 once, and 2.9 % of 200, 300 and 100, each rounded half to even.
    assert_eq!(script.state().fee_minor, 36 + 9 + 3);
    assert!(script.state().is_settled());
}

#[test]
fn a_capture_that_another_final_one_overtook_still_counts() {
    let mut script = Script::after("create auth; auth ok; capture 1 300; capture 2 200 final; cap2 ok");
    assert!(!script.state().is_settled(), "a capture is still on its way");
    script.run("cap1 ok");
    assert_eq!(script.state().captured.minor(), 500);
    assert_eq!(script.state().status.as_str(), "succeeded");
}

#[test]
fn voids_release_what_is_left() {
    check(&[
        (
            "create auth; auth ok; void 1",
            "void1 ok",
            "attempt.succeeded => voided",
        ),
        (
            "create auth; auth ok; void 1",
            "void1 declined",
            "attempt.declined => authorized",
        ),
        (
            "create auth; auth ok; void 1",
            "void1 unknown",
            "attempt.unknown => authorized",
        ),
        (
            "create auth; auth ok; void 1",
            "void 2",
            "refused operation_in_progress",
        ),
        (
            "create auth; auth ok; void 1",
            "capture 1 1",
            "refused operation_in_progress",
        ),
        (
            "create auth; auth ok; void 1; void1 unknown",
            "capture 1 1",
            "refused operation_in_progress",
        ),
        (
            "create auth; auth ok; void 1; void1 declined",
            "capture 1 1",
            "operation.opened attempt.planned => authorized",
        ),
        (
            "create auth; auth ok; capture 1 1",
            "void 1",
            "refused operation_in_progress",
        ),
        (
            "create auth; auth ok; capture 1 400; cap1 ok; void 1",
            "void1 ok",
            "attempt.succeeded => succeeded",
        ),
        (AUTHORIZED, "void 1 @b", "refused provider_mismatch"),
        (
            "create sale; auth pending",
            "void 1",
            "refused operation_in_progress",
        ),
    ]);
    let script = Script::after("create auth; auth ok; capture 1 400; cap1 ok; void 1; void1 ok");
    assert_eq!(
        (
            script.state().captured.minor(),
            script.state().hold_credit_minor()
        ),
        (400, 0)
    );
    assert_eq!(script.state().operations[2].amount.minor(), 600);
}

#[test]
fn refunds_give_back_what_was_taken_and_never_more() {
    check(&[
        (SOLD, "refund 1 1001", "refused amount_exceeds_refundable"),
        (SOLD, "refund 1 all @b", "refused provider_mismatch"),
        (
            SOLD,
            "refund 1 all",
            "operation.opened attempt.planned => succeeded",
        ),
        (
            "create sale; auth ok; refund 1 600",
            "refund 2 401",
            "refused amount_exceeds_refundable",
        ),
        (
            "create sale; auth ok; refund 1 600; ref1 unknown",
            "refund 2 401",
            "refused amount_exceeds_refundable",
        ),
        (
            "create sale; auth ok; refund 1 600; ref1 pending",
            "refund 2 401",
            "refused amount_exceeds_refundable",
        ),
        (
            "create sale; auth ok; refund 1 600; ref1 ok",
            "refund 2 401",
            "refused amount_exceeds_refundable",
        ),
        (
            "create sale; auth ok; refund 1 600",
            "refund 2 400",
            "operation.opened attempt.planned => succeeded",
        ),
        (
            "create sale; auth ok; refund 1 all",
            "refund 2 1",
            "refused nothing_left",
        ),
        (
            "create sale; auth ok; refund 1 all; ref1 ok",
            "refund 2 1",
            "refused nothing_left",
        ),
        (
            "create sale; auth ok; refund 1 600; ref1 declined",
            "refund 2 all",
            "operation.opened attempt.planned => succeeded",
        ),
        (
            "create sale; auth ok; refund 1 600",
            "refund 1 1",
            "refused operation_exists",
        ),
        (
            "create sale; auth ok; refund 1 600",
            "ref1 ok",
            "attempt.succeeded => succeeded",
        ),
        (
            "create auth; auth ok; capture 1 400; cap1 ok",
            "refund 1 401",
            "refused amount_exceeds_refundable",
        ),
        (
            "create auth; auth ok; capture 1 400",
            "refund 1 1",
            "refused payment_unexpected_state",
        ),
    ]);
    let mut script = Script::after(SOLD);
    for (step, refunded, refundable, hold) in [
        ("refund 1 300", 0, 700, 300),
        ("refund 2 200", 0, 500, 500),
        ("ref1 ok", 300, 500, 200),
        ("ref2 declined", 300, 700, 0),
        ("refund 3 all", 300, 0, 700),
        ("ref3 ok", 1_000, 0, 0),
    ] {
        script.run(step);
        let payment = script.state();
        let seen = (
            payment.refunded.minor(),
            payment.refundable_minor(),
            payment.hold_debit_minor(),
        );
        assert_eq!(seen, (refunded, refundable, hold), "after `{step}`");
    }
}

#[test]
fn what_reached_nobody_is_driven_again_under_the_same_limits() {
    check(&[
        (
            "create auth; auth ok; capture 1 600; cap1 not-sent",
            "redrive cap1",
            "attempt.planned => authorized",
        ),
        (
            "create auth; auth ok; capture 1 600; cap1 rejected",
            "redrive cap1",
            "attempt.planned => authorized",
        ),
        (
            "create auth; auth ok; capture 1 600; cap1 not-sent",
            "redrive cap1 @b",
            "refused provider_mismatch",
        ),
        (
            "create auth; auth ok; capture 1 600; cap1 not-sent; capture 2 500",
            "redrive cap1",
            "refused amount_exceeds_capturable",
        ),
        (
            "create auth; auth ok; capture 1 600; cap1 not-sent; void 1",
            "redrive cap1",
            "refused operation_in_progress",
        ),
        (
            "create auth; auth ok; capture 1 600",
            "redrive cap1",
            "refused operation_in_progress",
        ),
        (
            "create auth; auth ok; capture 1 600; cap1 unknown",
            "redrive cap1",
            "refused operation_in_progress",
        ),
        (
            "create auth; auth ok; capture 1 600; cap1 ok",
            "redrive cap1",
            "refused payment_unexpected_state",
        ),
        (
            "create auth; auth ok; capture 1 600; cap1 declined",
            "redrive cap1",
            "refused payment_unexpected_state",
        ),
        (
            "create sale; auth ok; refund 1 600; ref1 not-sent",
            "redrive ref1",
            "attempt.planned => succeeded",
        ),
        (
            "create sale; auth ok; refund 1 600; ref1 not-sent; refund 2 500",
            "redrive ref1",
            "refused amount_exceeds_refundable",
        ),
        (
            "create auth; auth ok; void 1; void1 not-sent",
            "redrive void1",
            "attempt.planned => authorized",
        ),
        (
            "create sale; auth action; void 1; void1 not-sent",
            "redrive void1",
            "attempt.planned => requires_action",
        ),
        (
            "create auth; auth ok; void 1; void1 not-sent; void 2",
            "redrive void1",
            "refused operation_in_progress",
        ),
        (
            "create auth; auth ok; void 1; void1 not-sent; capture 1 100; cap1 ok",
            "redrive void1",
            "refused payment_unexpected_state",
        ),
        (
            "create auth; auth ok; void 1; void1 not-sent; void 2; void2 ok",
            "redrive void1",
            "refused payment_unexpected_state",
        ),
        (
            "create sale; auth not-sent",
            "redrive auth",
            "refused payment_unexpected_state",
        ),
    ]);
}

#[test]
fn one_payment_collects_a_bounded_number_of_operations_and_attempts() {
    let mut script = Script::after(SOLD);
    for id in 1..256 {
        script.run(&format!("refund {id} 1; ref{id} declined"));
    }
    assert_eq!(script.then("refund 256 1"), "refused too_many_operations");

    let mut script = Script::after("create sale; auth ok; refund 1 1; ref1 not-sent");
    for _ in 2..=16 {
        script.run("redrive ref1; ref1 not-sent");
    }
    assert_eq!(script.then("redrive ref1"), "refused too_many_attempts");
}

//! Attempts to charge: what outcomes make of them, when another may follow, and deadlines.

use super::super::{AttemptState, Status};
use super::script::{Script, check};
use crate::ids::OperationId;

#[test]
fn outcomes_of_an_open_attempt_lead_where_they_say() {
    check(&[
        ("create sale", "auth ok", "attempt.succeeded => succeeded"),
        ("create auth", "auth ok", "attempt.succeeded => authorized"),
        ("create sale", "auth declined", "attempt.declined => failed"),
        (
            "create sale await",
            "auth declined",
            "attempt.declined => requires_payment_method",
        ),
        (
            "create sale",
            "auth action",
            "attempt.action_required => requires_action",
        ),
        ("create sale", "auth pending", "attempt.pending => processing"),
        (
            "create sale",
            "auth cancelled",
            "attempt.cancelled => requires_confirmation",
        ),
        (
            "create sale",
            "auth not-sent",
            "attempt.not_sent => requires_confirmation",
        ),
        (
            "create sale",
            "auth limited",
            "attempt.not_sent => requires_confirmation",
        ),
        (
            "create sale",
            "auth rejected",
            "attempt.rejected => requires_confirmation",
        ),
        ("create sale", "auth unknown", "attempt.unknown => processing"),
        (
            "create sale",
            "auth wrong",
            "attempt.unknown !amount_mismatch => processing",
        ),
        ("create sale", "auth#2 ok", "refused attempt_missing"),
        ("create sale", "auth#0 ok", "refused attempt_missing"),
        ("create sale", "cap1 ok", "refused attempt_missing"),
    ]);
}

#[test]
fn what_was_perhaps_sent_is_closed_by_evidence_only() {
    for given in [
        "create sale; auth unknown",
        "create sale; auth pending",
        "create sale; auth wrong",
    ] {
        for outcome in ["auth not-sent", "auth limited", "auth rejected"] {
            assert_eq!(
                Script::after(given).then(outcome),
                "nothing => processing",
                "given `{given}`"
            );
        }
        check(&[
            (given, "auth ok", "attempt.succeeded => succeeded"),
            (
                given,
                "auth cancelled",
                "attempt.cancelled => requires_confirmation",
            ),
            (given, "redrive", "refused payment_unexpected_state"),
            (given, "confirm", "refused payment_unexpected_state"),
        ]);
        let mut script = Script::after(given);
        script.run("later 9999");
        assert_eq!(
            script.then("check"),
            "nothing => processing",
            "no clock ends `{given}`"
        );
    }
    // A sum that was told of is evidence as well, so a denial is none there.
    for given in ["create sale; auth unknown", "create sale; auth pending"] {
        check(&[
            (given, "auth declined", "attempt.declined => failed"),
            (given, "auth action", "attempt.action_required => requires_action"),
        ]);
    }
}

#[test]
fn repeated_words_change_nothing() {
    check(&[
        (
            "create sale; auth unknown",
            "auth unknown",
            "nothing => processing",
        ),
        (
            "create sale; auth pending",
            "auth pending",
            "nothing => processing",
        ),
        (
            "create sale; auth action",
            "auth action",
            "nothing => requires_action",
        ),
        ("create sale; auth ok", "auth ok", "nothing => succeeded"),
        ("create sale; auth wrong", "auth wrong", "nothing => processing"),
        (
            "create sale; auth wrong; auth unknown",
            "auth wrong",
            "nothing => processing",
        ),
        (
            "create sale; reference auth",
            "reference auth",
            "nothing => processing",
        ),
        (
            "create sale; auth not-sent; redrive",
            "reference auth#1",
            "nothing => processing",
        ),
    ]);
}

#[test]
fn another_amount_is_alerted_even_if_the_attempt_was_unknown_with_its_reference_before() {
    check(&[
        (
            "create sale; auth unknown",
            "auth wrong",
            "attempt.unknown !amount_mismatch => processing",
        ),
        (
            "create sale; reference auth; auth unknown",
            "auth wrong",
            "attempt.unknown !amount_mismatch => processing",
        ),
        (
            "create sale; auth pending; auth unknown",
            "auth wrong",
            "attempt.unknown !amount_mismatch => processing",
        ),
        (
            "create auth; auth ok; capture 1 5",
            "cap1 wrong",
            "attempt.unknown !amount_mismatch => authorized",
        ),
        (
            "create sale; auth ok; refund 1 5",
            "ref1 wrong",
            "attempt.unknown !amount_mismatch => succeeded",
        ),
    ]);
    let script = Script::after("create auth; auth ok; capture 1 5; cap1 wrong");
    assert_eq!(
        script.state().captured.minor(),
        0,
        "nothing is booked by a word that contradicts ours"
    );
    assert_eq!(script.state().capturable_minor(), 995);
}

#[test]
fn after_another_amount_no_denial_opens_the_way_for_a_second_charge() {
    let denials = [
        "declined", "action", "pending", "not-sent", "limited", "rejected", "unknown",
    ];
    for denial in denials {
        for ask in ["auth", "auth hear"] {
            for given in [
                "create sale await; auth wrong",
                "create sale await; auth wrong; auth close",
            ] {
                check(&[
                    (given, &format!("{ask} {denial}"), "nothing => processing"),
                    (
                        &format!("{given}; {ask} {denial}"),
                        "auth wrong",
                        "nothing => processing",
                    ),
                ]);
            }
        }
    }
    check(&[
        (
            "create auth; auth ok; capture 1 5; cap1 wrong",
            "cap1 declined",
            "nothing => authorized",
        ),
        (
            "create sale; auth ok; refund 1 5; ref1 wrong",
            "ref1 declined",
            "nothing => succeeded",
        ),
        // What was let go of again is no charge.
        (
            "create sale await; auth wrong",
            "auth cancelled",
            "attempt.cancelled => requires_confirmation",
        ),
    ]);
}

#[test]
fn a_challenge_ends_in_success_decline_or_void() {
    let given = "create sale await; auth action";
    check(&[
        (given, "auth ok", "attempt.succeeded => succeeded"),
        (
            given,
            "auth declined",
            "attempt.declined => requires_payment_method",
        ),
        (given, "auth pending", "attempt.pending => processing"),
        (given, "auth unknown", "attempt.unknown => processing"),
        (
            given,
            "auth cancelled",
            "attempt.declined => requires_payment_method",
        ),
        (given, "auth not-sent", "nothing => requires_action"),
        (
            given,
            "void 1",
            "operation.opened attempt.planned => requires_action",
        ),
        (
            "create sale; auth action; void 1",
            "void1 ok",
            "attempt.succeeded => voided",
        ),
        (
            "create sale; auth action; void 1",
            "void1 declined",
            "attempt.declined => requires_action",
        ),
        (
            "create sale; auth action; void 1",
            "auth ok",
            "attempt.succeeded => succeeded",
        ),
        (
            "create sale; auth action; void 1; auth ok",
            "void1 declined",
            "attempt.declined => succeeded",
        ),
        (
            "create auth; auth action; void 1; auth ok",
            "capture 1 all",
            "refused operation_in_progress",
        ),
        (
            "create auth; auth action; void 1; auth ok",
            "void1 ok",
            "attempt.succeeded => voided",
        ),
    ]);
    let script = Script::after("create sale; auth action; void 1; void1 ok");
    let authorization = script.state().operation(script.state().authorize_id()).unwrap();
    assert_eq!(authorization.state(), Some(AttemptState::Cancelled));
    assert!(script.state().is_settled());
}

#[test]
fn a_declined_payment_may_be_confirmed_with_another_method() {
    let mut script = Script::after("create sale await; auth declined");
    assert_eq!(
        script.state().failure.as_ref().unwrap().decline_code.as_deref(),
        Some("insufficient_funds")
    );
    assert_eq!(script.state().hold_credit_minor(), 0);
    script.run("confirm @b");
    assert_eq!(
        (
            script.state().method.as_ref().unwrap().last4(),
            script.state().failure.is_none()
        ),
        ("4444", true)
    );
    assert_eq!(script.state().hold_credit_minor(), 1_000);
    script.run("auth ok");
    assert_eq!(
        (script.state().captured.minor(), script.state().authorized.minor()),
        (1_000, 1_000)
    );
    let attempt = script.state().authorizing_attempt().unwrap();
    assert_eq!((attempt.number, attempt.provider.as_str()), (2, "b"));

    let review = "payment.method_replaced risk.assessed review.opened => in_review";
    let approved = "review.approved attempt.planned => processing";
    check(&[
        ("create sale await; auth declined", "confirm review", review),
        (
            "create sale await; auth declined; confirm review",
            "approve",
            approved,
        ),
        (
            "create sale await; auth declined; confirm review; approve",
            "auth ok",
            "attempt.succeeded => succeeded",
        ),
        (
            "create sale await; auth declined",
            "confirm block",
            "payment.method_replaced risk.assessed payment.blocked => blocked",
        ),
    ]);
}

#[test]
fn a_confirmation_waits_for_a_void_that_could_close_its_charge() {
    for ended in ["auth declined", "auth cancelled"] {
        let given = format!("create sale await; auth action; void 1; {ended}");
        for command in ["confirm", "void 2"] {
            assert_eq!(
                Script::after(&given).then(command),
                "refused operation_in_progress",
                "{given}: {command}"
            );
        }
        assert_eq!(
            Script::after(&given).then("void1 ok"),
            "attempt.succeeded => voided"
        );
        let mut script = Script::after(&format!("{given}; void1 declined"));
        script.run("confirm; auth ok");
        assert_eq!(script.state().status, Status::Succeeded);
    }
    check(&[(
        "create sale; auth action; void 1; auth cancelled",
        "redrive",
        "refused operation_in_progress",
    )]);
}

#[test]
fn a_payment_that_reached_nobody_is_driven_again_a_bounded_number_of_times() {
    let mut script = Script::after("create sale; auth not-sent");
    for number in 2..=16 {
        script.run("redrive @b");
        assert_eq!(script.state().operations[0].attempts, number);
        script.run("auth not-sent");
    }
    assert_eq!(script.then("redrive"), "refused payment_unexpected_state");
    assert_eq!(script.then("confirm"), "refused too_many_attempts");
    assert_eq!(script.then("void 1"), "refused payment_unexpected_state");
}

#[test]
fn earlier_attempts_are_remembered_with_their_providers() {
    let script = Script::after("create sale; auth not-sent; redrive @b; auth declined; confirm @c");
    let op = script
        .state()
        .operation(OperationId::Authorize(script.spec.id))
        .unwrap();
    let seen: Vec<_> = (1..=3)
        .map(|n| op.attempt_numbered(n).unwrap().provider.to_string())
        .collect();
    assert_eq!(seen, ["a", "b", "c"]);
    assert_eq!(op.attempt_numbered(4), None);
}

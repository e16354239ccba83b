//! After a decline: what may go on elsewhere in the same commit, and what its network does not let out at all.

use super::super::{AttemptState, Event, Status, evolve};
use super::script::{Script, check};
use crate::ids::OperationId;

const ON: &str = "attempt.declined attempt.decline_retried attempt.planned => processing";

#[test]
fn a_soft_decline_may_go_on_elsewhere_and_no_other_ever_does() {
    check(&[
        ("create sale", "auth declined=do_not_honor @b", ON),
        ("create auth await", "auth declined=generic_decline @b", ON),
        // Unless somebody plans it, it is the end.
        (
            "create sale",
            "auth declined=do_not_honor",
            "attempt.declined => failed",
        ),
        // Not at the same provider, and not once it was unknown: whoever waited has been answered.
        (
            "create sale",
            "auth declined=do_not_honor @a",
            "attempt.declined => failed",
        ),
        (
            "create sale; auth unknown",
            "auth declined=do_not_honor @b",
            "attempt.declined => failed",
        ),
        (
            "create sale; auth pending",
            "auth declined=do_not_honor @b",
            "attempt.declined => failed",
        ),
        (
            "create sale",
            "auth declined=insufficient_funds @b",
            "attempt.declined => failed",
        ),
        (
            "create sale",
            "auth declined=fraudulent @b",
            "attempt.declined => failed",
        ),
        (
            "create sale",
            "auth declined=stolen_card @b",
            "attempt.declined => failed",
        ),
        (
            "create sale",
            "auth declined=expired_card @b",
            "attempt.declined => failed",
        ),
        (
            "create sale",
            "auth declined=who_knows @b",
            "attempt.declined => failed",
        ),
        // Nothing but a charge leaves its provider.
        (
            "create sale; auth ok; refund 1 all",
            "ref1 declined=do_not_honor @b",
            "attempt.declined => succeeded",
        ),
    ]);
}

#[test]
fn what_went_on_elsewhere_ends_as_it_ends_there() {
    let given = "create sale; auth declined=do_not_honor @b";
    check(&[
        (given, "auth ok", "attempt.succeeded => succeeded"),
        (given, "auth declined", "attempt.declined => failed"),
        (given, "auth unknown", "attempt.unknown => processing"),
        // Nobody could be reached there: the same key drives it again.
        (
            given,
            "auth not-sent",
            "attempt.not_sent => requires_confirmation",
        ),
        (given, "auth declined=do_not_honor @c", ON),
    ]);
    let mut script = Script::after(given);
    assert_eq!(script.state().failure, None);
    script.run("auth declined=do_not_honor @c; auth ok");
    let op = script.state().operation(script.state().authorize_id()).unwrap();
    let states: Vec<AttemptState> = op
        .earlier
        .iter()
        .chain(&op.attempt)
        .map(|attempt| attempt.state)
        .collect();
    assert_eq!(
        states,
        [
            AttemptState::Declined,
            AttemptState::Declined,
            AttemptState::Succeeded
        ]
    );
    assert_eq!(script.state().declined_charges(), 2, "each of them counts");
}

#[test]
fn only_the_latest_decline_of_a_charge_can_be_taken_back() {
    let operation = OperationId::Authorize(Script::new().spec.id);
    let retried = |number| Event::DeclineRetried { operation, number };
    for (given, number) in [
        ("create sale", 1),
        ("create sale; auth not-sent", 1),
        ("create sale; auth ok", 1),
        ("create sale; auth declined=do_not_honor @b", 1),
        ("create sale; auth declined; confirm", 1),
        ("create sale; auth declined", 2),
        ("create sale block", 1),
    ] {
        let Script { payment, now, .. } = Script::after(given);
        assert!(evolve(payment, &retried(number), now).is_err(), "{given}");
    }
}

#[test]
fn a_barred_card_is_declined_before_any_provider_is_asked_and_another_one_may_follow() {
    let refused = "payment.created risk.assessed payment.retry_refused => failed";
    check(&[
        ("", "create sale barred", refused),
        ("", "create auth barred hold", refused),
        ("", "create sale barred review", refused),
        (
            "",
            "create sale barred block",
            "payment.created risk.assessed payment.blocked => blocked",
        ),
        (
            "",
            "create sale barred await",
            "payment.created risk.assessed payment.retry_refused => requires_payment_method",
        ),
        (
            "create sale barred",
            "confirm",
            "payment.method_replaced risk.assessed operation.opened attempt.planned => processing",
        ),
        (
            "create sale barred",
            "confirm barred",
            "payment.method_replaced risk.assessed payment.retry_refused => failed",
        ),
        (
            "create sale barred; confirm",
            "auth ok",
            "attempt.succeeded => succeeded",
        ),
        (
            "create sale; auth declined",
            "confirm barred",
            "payment.method_replaced risk.assessed payment.retry_refused => failed",
        ),
        ("create sale barred", "void 1", "refused payment_unexpected_state"),
        (
            "create sale barred await",
            "void 1",
            "payment.abandoned => voided",
        ),
        (
            "create sale barred",
            "redrive",
            "refused payment_unexpected_state",
        ),
        // Declined elsewhere since it was asked for the first time.
        (
            "create sale; auth not-sent",
            "redrive barred",
            "payment.retry_refused => failed",
        ),
        (
            "create sale await; auth rejected",
            "redrive barred",
            "payment.retry_refused => requires_payment_method",
        ),
        (
            "create sale review",
            "approve barred",
            "review.approved payment.retry_refused => failed",
        ),
    ]);
    let script = Script::after("create sale barred");
    let failure = script.state().failure.clone().unwrap();
    assert_eq!(
        (failure.code, failure.decline_code.as_deref()),
        ("card_declined", Some("retry_limit_month"))
    );
    assert!(script.state().operations.is_empty());
    assert_eq!(
        (script.state().status.clone(), script.state().is_settled()),
        (Status::Failed, true)
    );
    let late = Event::RetryRefused {
        decline_code: "retry_limit_month".into(),
    };
    let Script { payment, now, .. } = Script::after("create sale; auth unknown");
    assert!(evolve(payment, &late, now).is_err());
}

//! Attempts that are used up: the payment, or what was asked of it, has failed for good, and nothing was done.

use super::super::{Answer, AttemptState, Event, Failure, IllegalEvent, Status, evolve};
use super::script::{Script, check, operation_id};
use crate::decline::NetworkDecline;
use crate::limits::ATTEMPTS_MAX;

/// Every attempt but the last one was made, and reached nobody.
fn all_but_one() -> String {
    let mut steps = "create sale; auth not-sent".to_owned();
    for _ in 2..ATTEMPTS_MAX {
        steps.push_str("; redrive; auth not-sent");
    }
    steps
}

#[test]
fn the_last_attempt_that_reaches_nobody_ends_the_payment() {
    for closed in ["not-sent", "rejected", "cancelled", "limited"] {
        let mut script = Script::after(&all_but_one());
        assert_eq!(
            script.state().answer(),
            Answer::NoProvider,
            "one may still be made"
        );
        script.run("redrive");
        let then = script.then(&format!("auth {closed} @b"));
        assert!(
            then.ends_with("payment.attempts_exhausted => failed"),
            "{closed}: {then}"
        );
        let payment = script.state();
        let failure = Failure {
            code: "too_many_attempts",
            decline_code: None,
            network: NetworkDecline::NONE,
        };
        assert_eq!(
            (payment.failure.as_ref(), payment.answer()),
            (Some(&failure), Answer::Exhausted)
        );
        assert!(payment.answer().is_final() && payment.is_settled());
        assert_eq!((payment.captured.minor(), payment.hold_credit_minor()), (0, 0));
        // For good: no key and no other method charges it any more.
        assert_eq!(script.then("redrive"), "refused payment_unexpected_state");
        assert_eq!(script.then("confirm"), "refused too_many_attempts");
    }
}

#[test]
fn what_ends_the_last_attempt_otherwise_ends_it_as_ever() {
    let last = format!("{}; redrive", all_but_one());
    check(&[
        (&last, "auth ok", "attempt.succeeded => succeeded"),
        (&last, "auth declined", "attempt.declined => failed"),
        (&last, "auth unknown", "attempt.unknown => processing"),
        // It may have charged, so that it is not given up before that is known.
        (
            &format!("{last}; auth unknown"),
            "auth not-sent",
            "nothing => processing",
        ),
        (
            &format!("{last}; auth unknown"),
            "auth cancelled",
            "attempt.cancelled payment.attempts_exhausted => failed",
        ),
    ]);
    let declined = Script::after(&format!("{last}; auth declined"));
    assert_eq!(declined.state().answer(), Answer::Declined);
}

#[test]
fn a_late_charge_is_given_back_before_the_payment_is_given_up() {
    let mut script = Script::after(&all_but_one());
    script.run("auth#1 ok rev 1");
    assert_eq!(script.then("redrive"), "refused operation_in_progress");
    script.run("rev1 ok; redrive");
    assert_eq!(
        script.then("auth not-sent"),
        "attempt.not_sent => requires_confirmation",
        "whoever asks again hears of the end"
    );
    assert_eq!(script.then("redrive"), "payment.attempts_exhausted => failed");
}

#[test]
fn a_payment_that_an_earlier_version_left_without_attempts_ends_when_its_key_is_sent_again() {
    let mut script = Script::after(&format!("{}; redrive; auth not-sent", all_but_one()));
    // As it was journaled before there was an end.
    let left: Vec<Event> = script
        .events
        .iter()
        .filter(|event| **event != Event::AttemptsExhausted)
        .cloned()
        .collect();
    script.payment = super::super::evolve_all(None, &left, script.now).unwrap();
    assert_eq!(script.state().status, Status::RequiresConfirmation);
    assert_eq!(script.then("redrive"), "payment.attempts_exhausted => failed");
}

#[test]
fn a_payment_with_an_attempt_left_is_not_given_up() {
    let early = Script::after(&all_but_one());
    let given_up = evolve(early.payment.clone(), &Event::AttemptsExhausted, early.now);
    let why = "it may still be charged";
    assert_eq!(
        given_up,
        Err(IllegalEvent {
            event: "payment.attempts_exhausted",
            why
        })
    );
}

#[test]
fn a_capture_that_was_tried_as_often_as_it_may_be_is_answered_for_good() {
    let mut script = Script::after("create auth; auth ok; capture 1 300; cap1 not-sent");
    for _ in 1..ATTEMPTS_MAX {
        script.run("redrive cap1; cap1 not-sent");
    }
    let op = script.state().operation(operation_id("cap1")).unwrap();
    assert_eq!(
        (op.attempts, op.state()),
        (ATTEMPTS_MAX, Some(AttemptState::NotSent))
    );
    assert_eq!(script.then("redrive cap1"), "refused too_many_attempts");
    // Nothing of it is kept: another one may be asked for.
    assert_eq!(script.state().capturable_minor(), 1_000);
    assert_eq!(
        script.then("capture 2 all"),
        "operation.opened attempt.planned => authorized"
    );
}

//! Refunds that reached nobody, and their end.

use super::super::{
    AttemptState, Command, Effect, Event, Matter, MatterKind, Note, Request, RequestKind, WaitKind,
    decide_request, evolve_all,
};
use super::script::{Script, operation_id};
use crate::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use crate::limits::{ATTEMPTS_MAX, IDEMPOTENCY_RETENTION, Lifetimes};
use crate::money::Currency;

const SOLD: &str = "create sale; auth ok";

fn state_of(script: &Script, name: &str) -> Option<AttemptState> {
    script.state().operation(operation_id(name)).unwrap().state()
}

#[test]
fn a_refund_that_nobody_sends_again_has_failed_after_a_day() {
    let mut script = Script::after(&format!("{SOLD}; refund 1 400"));
    assert_eq!(script.state().waits_for(), None);
    let asked_at = script.now;
    assert_eq!(script.then("ref1 not-sent"), "attempt.not_sent => succeeded");
    let due = asked_at.plus(IDEMPOTENCY_RETENTION);
    assert_eq!(script.state().waits_for(), Some((WaitKind::Resend, due)));
    script.run("later 23");
    assert_eq!(script.then("check"), "nothing => succeeded");
    script.run("later 1");
    assert_eq!(script.then("check"), "operation.given_up => succeeded");
    assert_eq!(state_of(&script, "ref1"), Some(AttemptState::GivenUp));
    assert_eq!(script.state().waits_for(), None);
    assert_eq!(script.then("check"), "nothing => succeeded");
    assert_eq!(script.then("redrive ref1"), "refused payment_unexpected_state");
    // Nothing of it is kept.
    assert_eq!(script.state().refundable_minor(), 1_000);
    assert_eq!(
        script.then("refund 2 all"),
        "operation.opened attempt.planned => succeeded"
    );
}

#[test]
fn a_refund_that_is_sent_again_in_time_is_not_given_up() {
    let mut script = Script::after(&format!(
        "{SOLD}; refund 1 400; ref1 not-sent; later 23; redrive ref1; later 2"
    ));
    assert_eq!(script.then("check"), "nothing => succeeded");
    assert_eq!(script.then("ref1 ok"), "attempt.succeeded => succeeded");
    assert_eq!(script.then("check"), "nothing => succeeded");
    assert_eq!(script.state().refundable_minor(), 600);
}

#[test]
fn every_refund_has_its_own_day_and_only_refunds_have_one() {
    let mut script = Script::after(
        "create auth; auth ok; capture 1 500; cap1 ok; capture 2 100; cap2 not-sent; refund 1 100; ref1 not-sent; later 5; refund 2 100; ref2 limited; later 19",
    );
    assert_eq!(script.then("check"), "operation.given_up => authorized");
    assert_eq!(state_of(&script, "ref2"), Some(AttemptState::NotSent));
    script.run("later 5");
    assert_eq!(script.then("check"), "operation.given_up => authorized");
    assert_eq!(state_of(&script, "cap2"), Some(AttemptState::NotSent));
    // The authorization still ends in its time.
    assert_eq!(script.state().waits_for().unwrap().0, WaitKind::Capture);
    script.run("later 200");
    assert_eq!(
        script.then("check"),
        "operation.opened attempt.planned => authorized"
    );
}

#[test]
fn a_refund_that_was_sent_as_often_as_it_may_be_is_not_told_as_failed_twice() {
    let mut script = Script::after(&format!("{SOLD}; refund 1 400; ref1 not-sent"));
    for _ in 1..ATTEMPTS_MAX {
        script.run("redrive ref1; ref1 not-sent");
    }
    assert_eq!(script.state().waits_for(), None);
    script.run("later 30");
    assert_eq!(script.then("check"), "nothing => succeeded");
}

#[test]
fn a_provider_that_refunds_after_all_is_booked_or_left_to_people_as_ever() {
    let given_up = format!("{SOLD}; refund 1 400; ref1 not-sent; later 24; check");
    let late = "attempt.late_success !late_success => succeeded";
    for given in [format!("{SOLD}; refund 1 400; ref1 not-sent"), given_up] {
        let mut script = Script::after(&given);
        assert_eq!(script.then("ref1 ok"), late, "{given}");
        script.run("later 48");
        assert_eq!(script.then("check"), "nothing => succeeded", "{given}");
    }
}

/// Asks for a refund under this key, which reaches nobody.
fn refused(key: IdempotencyKey) -> Vec<&'static str> {
    let mut script = Script::after(SOLD);
    let command = script.command("refund 1 400");
    let request = Request {
        key,
        key_digest: KeyDigest([9; 16]),
        fingerprint: Fingerprint([3; 16]),
        kind: RequestKind::Refund,
        operation: operation_id("ref1"),
        operator: None,
    };
    let asked = decide_request(
        script.payment.as_ref(),
        request,
        command,
        &Lifetimes::STANDARD,
        script.now,
    );
    let asked = asked.unwrap();
    assert!(matches!(asked.effects.as_slice(), [Effect::Call(_)]));
    script.payment = evolve_all(script.payment.clone(), &asked.events, script.now).unwrap();
    let command: Command = script.command("ref1 not-sent");
    let decided = script.decide(command).unwrap();
    decided.events.iter().map(Event::name).collect()
}

#[test]
fn a_refund_under_a_key_that_nobody_knows_has_failed_at_once() {
    let own = IdempotencyKey::own("req_1").unwrap();
    assert_eq!(refused(own), ["attempt.not_sent", "operation.given_up"]);
    let theirs = IdempotencyKey::given("order-1-refund").unwrap();
    assert_eq!(refused(theirs), ["attempt.not_sent"]);
}

#[test]
fn a_refund_of_which_a_provider_says_odd_things_waits_for_people() {
    let mut script = Script::after(&format!("{SOLD}; refund 1 400; ref1 not-sent"));
    let odd = Matter {
        number: 1,
        kind: MatterKind::DoneInOtherCurrency,
        said: "re_9".into(),
        amount_minor: 400,
        currency: Currency::EUR,
        at: script.now,
    };
    let operation = operation_id("ref1");
    let raised = script.decide(Command::Raise {
        operation,
        matter: odd,
    });
    assert_eq!(raised.unwrap().events.len(), 1);
    assert_eq!(script.state().waits_for(), None);
    script.run("later 30");
    assert_eq!(script.then("check"), "nothing => succeeded");
    assert_eq!(script.then("redrive ref1"), "refused operation_in_progress");
    let note = Note {
        evidence: "statement of 3 May, line 12".into(),
        reason: "ticket 4711".into(),
        operator: "Ada".into(),
    };
    script
        .decide(Command::Note {
            operation,
            note,
            seen: 1,
        })
        .unwrap();
    assert_eq!(script.then("check"), "operation.given_up => succeeded");
}

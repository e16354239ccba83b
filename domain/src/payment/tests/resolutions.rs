//! What two people say of an attempt, and what a late word of the provider does to it.

use super::super::{AttemptState, Command, Refusal, Resolution, Status, WaitKind, decide};
use super::script::{Script, operation_id};
use crate::limits::Lifetimes;

pub(crate) fn said(operation: &str, transaction: Option<&str>, operator: &str) -> Command {
    Command::Resolve {
        operation: operation_id(operation),
        resolution: Resolution {
            transaction: transaction.map(Into::into),
            evidence: "statement of 3 May".into(),
            reason: "ticket 7".into(),
            operator: operator.into(),
        },
    }
}

fn names(script: &mut Script, command: Command) -> Result<Vec<&'static str>, Refusal> {
    let decision = script.decide(command)?;
    Ok(decision.events.iter().map(super::super::Event::name).collect())
}

#[test]
fn one_person_proposes_and_another_one_confirms() {
    for (given, operation, transaction, event, status) in [
        (
            "create sale; auth unknown",
            "auth",
            Some("ch_1"),
            "attempt.succeeded",
            "succeeded",
        ),
        (
            "create sale; auth unknown",
            "auth",
            None,
            "attempt.declined",
            "failed",
        ),
        (
            "create auth; auth unknown",
            "auth",
            Some("ch_1"),
            "attempt.succeeded",
            "authorized",
        ),
        (
            "create sale; auth pending",
            "auth",
            None,
            "attempt.declined",
            "failed",
        ),
        (
            "create sale; auth ok; refund 1 all; ref1 unknown",
            "ref1",
            Some("re_1"),
            "attempt.succeeded",
            "succeeded",
        ),
        (
            "create sale; auth ok; refund 1 all; ref1 unknown",
            "ref1",
            None,
            "attempt.declined",
            "succeeded",
        ),
        (
            "create auth; auth ok; capture 1 all; cap1 unknown",
            "cap1",
            None,
            "attempt.declined",
            "authorized",
        ),
    ] {
        let mut script = Script::after(given);
        let before = script.state().clone();
        let proposed = names(&mut script, said(operation, transaction, "ada"));
        assert_eq!(proposed, Ok(vec!["resolution.proposed"]), "{given}");
        assert_eq!(
            script.state().status,
            before.status,
            "a proposal moves nothing: {given}"
        );
        let again = names(&mut script, said(operation, transaction, "ada"));
        assert_eq!(again, Err(Refusal::SecondPersonRequired), "{given}");
        let confirmed = names(&mut script, said(operation, transaction, "grace"));
        assert_eq!(confirmed, Ok(vec!["resolution.confirmed", event]), "{given}");
        assert_eq!(script.state().status.as_str(), status, "{given}");
        let after = names(&mut script, said(operation, transaction, "ada"));
        assert_eq!(after, Err(Refusal::WrongStatus), "{given}");
    }
}

#[test]
fn who_disagrees_makes_a_proposal_of_their_own() {
    let mut script = Script::after("create sale; auth unknown");
    for (transaction, operator) in [
        (Some("ch_1"), "ada"),
        (None, "grace"),
        (Some("ch_2"), "ada"),
        (Some("ch_3"), "grace"),
    ] {
        let proposed = names(&mut script, said("auth", transaction, operator));
        assert_eq!(
            proposed,
            Ok(vec!["resolution.proposed"]),
            "{transaction:?} {operator}"
        );
    }
    assert_eq!(script.state().operations[0].state(), Some(AttemptState::Unknown));
    names(&mut script, said("auth", Some("ch_3"), "ada")).unwrap();
    assert_eq!(script.state().operations[0].transaction.as_deref(), Some("ch_3"));
}

#[test]
fn only_what_a_provider_was_asked_about_in_vain_is_resolved_by_people() {
    for (given, operation, refusal) in [
        ("create sale", "auth", Refusal::OperationInProgress),
        ("create sale; auth action", "auth", Refusal::OperationInProgress),
        ("create sale; auth ok", "auth", Refusal::WrongStatus),
        ("create sale; auth declined", "auth", Refusal::WrongStatus),
        ("create sale; auth ok", "ref1", Refusal::NoSuchAttempt),
    ] {
        let mut script = Script::after(given);
        assert_eq!(
            names(&mut script, said(operation, None, "ada")),
            Err(refusal),
            "{given}"
        );
    }
}

#[test]
fn a_charge_that_people_denied_goes_to_suspense_when_it_shows() {
    let mut script = Script::after("create sale; auth unknown");
    names(&mut script, said("auth", None, "ada")).unwrap();
    names(&mut script, said("auth", None, "grace")).unwrap();
    assert_eq!(
        script.then("auth ok"),
        "attempt.late_success matter.raised !late_success !late_charge_not_reversed => failed"
    );
}

#[test]
fn a_payment_says_for_what_it_waits() {
    for (given, kind, hours) in [
        ("create sale; auth action", WaitKind::Challenge, 0.25),
        ("create sale review", WaitKind::Review, 24.0),
        ("create auth; auth ok", WaitKind::Capture, 7.0 * 24.0),
    ] {
        let script = Script::after(given);
        let (found, due) = script.state().waits_for().unwrap();
        let wait_ms = due.since(script.now).0;
        assert_eq!(found, kind, "{given}");
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few hours"
        )]
        let expected_ms = (hours * 3_600_000.0) as u64;
        assert_eq!(wait_ms, expected_ms, "{given}");
    }
    for given in [
        "create sale",
        "create sale; auth ok",
        "create sale; auth declined",
        "create sale block",
    ] {
        assert_eq!(Script::after(given).state().waits_for(), None, "{given}");
    }
}

#[test]
fn lifetimes_are_those_that_were_configured() {
    let lifetimes = Lifetimes {
        review: crate::time::Millis(1500),
        ..Lifetimes::STANDARD
    };
    let script = Script::new();
    let command = script.command("create sale review");
    let decision = decide(None, command, &lifetimes, script.now).unwrap();
    let payment = super::super::evolve_all(None, &decision.events, script.now)
        .unwrap()
        .unwrap();
    let deadline = script.now.plus(crate::time::Millis(1500));
    assert_eq!(payment.status, Status::InReview { deadline });
}

#[test]
fn another_sum_than_was_asked_for_is_never_booked_as_if_it_were_the_same() {
    let mut script = Script::after("create sale; auth wrong");
    let executed = names(&mut script, said("auth", Some("ch_1"), "ada"));
    assert_eq!(executed, Err(Refusal::AmountMismatch));
    names(&mut script, said("auth", None, "ada")).unwrap();
}

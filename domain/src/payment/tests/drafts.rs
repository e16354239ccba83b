//! Payments that nobody has confirmed: nobody is asked for anything, and what they cost may still change.

use super::super::{Answer, Effect, Event};
use super::script::{Script, amount, check};

#[test]
fn a_draft_waits_for_what_it_lacks_and_asks_nobody() {
    check(&[
        ("", "draft sale", "payment.drafted => requires_payment_method"),
        (
            "",
            "draft auth method",
            "payment.drafted => requires_confirmation",
        ),
        ("create sale", "draft sale", "refused payment_exists"),
        ("draft sale", "create sale", "refused payment_exists"),
        ("draft sale method", "redrive", "refused payment_unexpected_state"),
        ("draft sale", "capture 1 all", "refused payment_unexpected_state"),
        ("draft sale", "refund 1 all", "refused payment_unexpected_state"),
        (
            "draft sale method; later 9999",
            "check",
            "nothing => requires_confirmation",
        ),
    ]);
    for steps in ["draft sale", "draft sale method"] {
        let script = Script::after(steps);
        let draft = script.state();
        assert_eq!(draft.answer(), Answer::Shown, "{steps}");
        assert_eq!(
            (draft.hold_credit_minor(), draft.unresolved().count()),
            (0, 0),
            "{steps}"
        );
    }
}

#[test]
fn a_draft_is_charged_once_it_is_confirmed_like_any_other_payment() {
    check(&[
        (
            "draft sale",
            "confirm",
            "payment.confirmed risk.assessed operation.opened attempt.planned => processing",
        ),
        (
            "draft sale method; confirm",
            "auth ok",
            "attempt.succeeded => succeeded",
        ),
        (
            "draft auth; confirm",
            "auth ok",
            "attempt.succeeded => authorized",
        ),
        (
            "draft sale await; confirm",
            "auth declined",
            "attempt.declined => requires_payment_method",
        ),
        (
            "draft sale; confirm",
            "auth declined",
            "attempt.declined => failed",
        ),
        (
            "draft sale; confirm",
            "confirm",
            "refused payment_unexpected_state",
        ),
        (
            "draft sale",
            "confirm block",
            "payment.confirmed risk.assessed payment.blocked => blocked",
        ),
        (
            "draft sale",
            "confirm review",
            "payment.confirmed risk.assessed review.opened => in_review",
        ),
        (
            "draft sale; confirm review",
            "approve",
            "review.approved operation.opened attempt.planned => processing",
        ),
        (
            "draft sale await; confirm; auth declined",
            "confirm",
            "payment.method_replaced risk.assessed attempt.planned => processing",
        ),
        (
            "draft sale; confirm; auth not-sent",
            "redrive",
            "attempt.planned => processing",
        ),
    ]);
    let mut script = Script::after("draft sale");
    let decision = script.decide(script.command("confirm")).unwrap();
    assert!(matches!(decision.effects[..], [Effect::Call(_)]), "{decision:?}");
    assert_eq!(script.state().hold_credit_minor(), 1_000);
}

#[test]
fn a_draft_may_be_given_up_and_is_over_then() {
    check(&[
        ("draft sale", "void 1", "payment.abandoned => voided"),
        ("draft sale method", "void 1", "payment.abandoned => voided"),
        (
            "draft sale method; void 1",
            "confirm",
            "refused payment_unexpected_state",
        ),
        (
            "draft sale; void 1",
            "amend 500",
            "refused payment_unexpected_state",
        ),
    ]);
}

#[test]
fn what_a_payment_costs_changes_only_before_it_is_confirmed_and_what_is_said_of_it_at_any_time() {
    check(&[
        (
            "draft sale",
            "amend 500",
            "payment.amended => requires_payment_method",
        ),
        (
            "draft sale",
            "amend - method",
            "payment.amended => requires_confirmation",
        ),
        (
            "draft sale method",
            "amend 500 method named",
            "payment.amended => requires_confirmation",
        ),
        ("draft sale", "amend 1000", "nothing => requires_payment_method"),
        ("draft sale", "amend -", "nothing => requires_payment_method"),
        (
            "draft sale; confirm",
            "amend 500",
            "refused payment_unexpected_state",
        ),
        (
            "draft sale; confirm; auth ok",
            "amend - method",
            "refused payment_unexpected_state",
        ),
        (
            "draft sale; confirm; auth ok",
            "amend - named",
            "payment.amended => succeeded",
        ),
        ("create sale", "amend - named", "payment.amended => processing"),
        (
            "create sale; auth not-sent",
            "amend 500",
            "refused payment_unexpected_state",
        ),
        (
            "create sale await; auth declined",
            "amend 500",
            "refused payment_unexpected_state",
        ),
    ]);
    let script = Script::after("draft sale; amend 700 method named; confirm; auth ok");
    let paid = script.state();
    assert_eq!((paid.spec.amount, paid.captured.minor()), (amount(700), 700));
    assert_eq!(paid.spec.description.as_deref(), Some("renamed"));
    assert_eq!(
        paid.method.as_ref().map(|method| &*method.id),
        Some("pm_card_mastercard")
    );
}

#[test]
fn only_a_draft_says_how_it_is_confirmed_by_somebody_who_names_no_method() {
    let named = |steps: &str| Script::after(steps).state().method_to_confirm().is_some();
    assert!(named("draft sale method"));
    assert!(!named("draft sale"));
    assert!(!named("create sale await; auth declined"));
    assert!(!named("create sale; auth not-sent"));
}

#[test]
fn events_of_drafts_follow_only_where_they_may() {
    use super::super::evolve;
    let confirmed = Event::Confirmed {
        method: super::script::method(),
    };
    let replaced = Event::MethodReplaced {
        method: super::script::method(),
    };
    let of = |steps: &str| Some(Script::after(steps).state().clone());
    let rows = [
        (None, &confirmed, "the payment does not exist"),
        (of("draft sale; confirm"), &confirmed, "it was confirmed already"),
        (
            of("create sale await; auth declined"),
            &confirmed,
            "it was confirmed already",
        ),
        (of("draft sale"), &replaced, "it was not confirmed yet"),
    ];
    for (state, event, why) in rows {
        assert_eq!(
            evolve(state, event, crate::time::Timestamp::default())
                .unwrap_err()
                .why,
            why
        );
    }
}

#[test]
fn pairs_of_the_merchant_are_set_and_taken_away_one_by_one() {
    use super::super::{Amendment, Command, Refusal};
    let pairs = |pairs: &[(&str, &str)]| -> Vec<_> {
        let arcs = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
        pairs.iter().map(arcs).collect()
    };
    let mut script = Script::after("draft sale");
    let mut set = |changes: Vec<(std::sync::Arc<str>, std::sync::Arc<str>)>| {
        let amendment = Amendment {
            metadata: changes,
            ..Amendment::default()
        };
        script
            .decide(Command::Amend(amendment))
            .map(|_| script.state().spec.metadata.clone())
    };
    assert_eq!(
        set(pairs(&[("a", "1"), ("b", "2")])),
        Ok(pairs(&[("a", "1"), ("b", "2")]))
    );
    assert_eq!(
        set(pairs(&[("b", "3"), ("c", "")])),
        Ok(pairs(&[("a", "1"), ("b", "3")]))
    );
    assert_eq!(
        set(pairs(&[("a", ""), ("d", "4")])),
        Ok(pairs(&[("b", "3"), ("d", "4")]))
    );
    let many: Vec<_> = (0..50).map(|n| (format!("n{n}").into(), "x".into())).collect();
    assert_eq!(set(many.clone()), Err(Refusal::TooMuchMetadata));
    assert_eq!(set(many[..48].to_vec()).unwrap().len(), 50);
}

//! What merchants are told: a table of what each step announces, and that over any life nothing is left out, invented or numbered wrongly.

use super::super::{Payment, Status, evolve_announcing, follow_shared};
use super::random::{Step, payments, steps};
use super::script::Script;
use crate::announcement::AnnouncementKind as Kind;
use crate::risk::Action;
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::Arc;

/// What a step announces after others, by its own names.
fn told(given: &str, when: &str) -> String {
    let mut script = Script::after(given);
    let before = script.payment.clone();
    let command = script.command(when);
    let decision = script.decide(command).unwrap();
    let mut quiet = before.clone().map(Arc::new);
    let (after, said) = evolve_announcing(before, &decision.events, script.now).unwrap();
    assert_eq!(after, script.payment);
    follow_shared(&mut quiet, &decision.events, script.now).unwrap();
    assert_eq!(quiet.as_deref(), script.payment.as_ref(), "without a word");
    let names: Vec<&str> = said.iter().map(|one| one.kind.native()).collect();
    names.join(" ")
}

#[test]
#[expect(clippy::too_many_lines, reason = "one flat table: what each step announces")]
fn every_step_announces_what_a_merchant_sees_of_it() {
    let rows = [
        ("", "create sale", ""),
        ("", "draft sale", ""),
        ("draft sale", "amend 500 method", ""),
        ("draft sale method", "confirm", ""),
        ("draft sale method", "void 1", "payment.voided"),
        ("", "create sale block", "payment.failed"),
        ("", "create sale barred", "payment.failed"),
        ("", "create sale review", "payment.review_opened"),
        ("create sale", "auth ok", "payment.charged payment.succeeded"),
        (
            "create auth",
            "auth ok",
            "payment.charged payment.amount_capturable_updated",
        ),
        (
            "create auth hold",
            "auth ok",
            "payment.charged payment.review_opened",
        ),
        (
            "create sale",
            "auth declined",
            "payment.charge_failed payment.failed",
        ),
        (
            "create sale await",
            "auth declined",
            "payment.charge_failed payment.failed",
        ),
        // It goes on elsewhere, so it is nobody's news.
        ("create sale", "auth declined=do_not_honor @b", ""),
        ("create sale", "auth not-sent", ""),
        // The same key still makes it.
        ("create sale; auth ok; refund 1 300", "ref1 not-sent", ""),
        (
            "create sale; auth ok; refund 1 300",
            "ref1 declined",
            "refund.failed",
        ),
        ("create sale", "auth action", "payment.requires_action"),
        (
            "create sale; auth action",
            "auth ok",
            "payment.charged payment.succeeded",
        ),
        ("create sale", "auth pending", "payment.processing"),
        ("create sale", "auth unknown", "payment.processing"),
        ("create sale; auth unknown", "auth pending", ""),
        ("create sale; auth action", "auth pending", "payment.processing"),
        ("create sale review", "approve", "payment.review_closed"),
        (
            "create sale review",
            "reject",
            "payment.review_closed payment.failed",
        ),
        (
            "create auth hold; auth ok",
            "approve",
            "payment.review_closed payment.amount_capturable_updated",
        ),
        // However it ends, the review is over first.
        (
            "create sale review",
            "void 1",
            "payment.review_closed payment.voided",
        ),
        (
            "create auth hold; auth ok; void 1",
            "void1 ok",
            "payment.review_closed payment.voided",
        ),
        ("create auth; auth ok", "capture 1 400", ""),
        (
            "create auth; auth ok; capture 1 400",
            "cap1 ok",
            "payment.captured payment.amount_capturable_updated",
        ),
        (
            "create auth; auth ok; capture 1 all",
            "cap1 ok",
            "payment.captured payment.succeeded",
        ),
        (
            "create auth; auth ok; capture 1 400 final",
            "cap1 ok",
            "payment.captured payment.succeeded",
        ),
        ("create auth; auth ok; capture 1 400", "cap1 declined", ""),
        ("create auth; auth ok; void 1", "void1 ok", "payment.voided"),
        (
            "create auth; auth ok; capture 1 400; cap1 ok; void 1",
            "void1 ok",
            "payment.succeeded",
        ),
        (
            "create auth; auth ok; increment 1 1500",
            "inc1 ok",
            "payment.amount_capturable_updated",
        ),
        ("create sale; auth ok", "refund 1 300", "refund.created"),
        (
            "create sale; auth ok; refund 1 300",
            "ref1 ok",
            "payment.refunded refund.updated",
        ),
        (
            "create sale; auth ok; refund 1 300",
            "ref1 declined",
            "refund.failed",
        ),
        ("create sale; auth ok; refund 1 300", "ref1 unknown", ""),
        // Money in suspense is no news of the payment.
        ("create sale; auth declined", "auth ok", ""),
    ];
    for (given, when, then) in rows {
        assert_eq!(told(given, when), then, "given `{given}` when `{when}`");
    }
}

#[test]
fn a_refund_is_announced_with_its_identity() {
    let mut script = Script::after("create sale; auth ok");
    let before = script.payment.clone();
    let command = script.command("refund 7 300");
    let decision = script.decide(command).unwrap();
    let (_, said) = evolve_announcing(before, &decision.events, script.now).unwrap();
    let of: Vec<_> = said.iter().map(|one| (one.kind, one.operation)).collect();
    assert_eq!(
        of,
        [(Kind::RefundCreated, Some(super::script::operation_id("ref7")))]
    );
}

/// The word for where a payment stands, if that is news by itself.
fn word(payment: &Payment) -> Option<Kind> {
    match payment.status {
        Status::Failed | Status::Blocked => Some(Kind::Failed),
        // A draft waits for its first method.
        Status::RequiresPaymentMethod => payment.failure.as_ref().map(|_| Kind::Failed),
        Status::RequiresAction(_) => Some(Kind::RequiresAction),
        Status::InReview { .. } => Some(Kind::ReviewOpened),
        Status::Authorized => Some(Kind::AmountCapturableUpdated),
        Status::Succeeded => Some(Kind::Succeeded),
        Status::Voided => Some(Kind::Canceled),
        Status::RequiresConfirmation | Status::Processing => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn numbers_have_no_gap_and_nothing_visible_goes_unsaid(
        mut script in payments(), review in any::<bool>(), steps in vec(steps(), 0..60)
    ) {
        let first = Step::Create(if review { Action::Review } else { Action::Allow }, "a");
        for step in std::iter::once(&first).chain(&steps) {
            let before = script.payment.clone();
            let Some(command) = step.meet(&mut script) else { continue };
            let Ok(decision) = script.decide(command) else { continue };
            let (after, said) = evolve_announcing(before.clone(), &decision.events, script.now).unwrap();
            prop_assert_eq!(&after, &script.payment);
            let Some(after) = after else { continue };
            let numbered = before.as_ref().map_or(0, |before| before.announced);
            prop_assert_eq!(after.announced, numbered + said.len() as u64);
            let has = |kind| said.iter().any(|one| one.kind == kind);
            let stood = before.as_ref().and_then(word);
            if let Some(stands) = word(&after).filter(|stands| Some(*stands) != stood) {
                prop_assert!(has(stands), "{:?} is not said in {:?}", after.status, said);
            }
            let in_review = |payment: &Payment| matches!(payment.status, Status::InReview { .. });
            let leaves = before.as_ref().is_some_and(in_review) && !in_review(&after);
            prop_assert_eq!(leaves, said.first().is_some_and(|one| one.kind == Kind::ReviewClosed));
            let sums = |of: fn(&Payment) -> i128| (before.as_ref().map_or(0, of), of(&after));
            let (was, is) = sums(|payment| payment.captured.minor());
            prop_assert_eq!(is > was, has(Kind::ChargeCaptured) || has(Kind::ChargeSucceeded) && is > 0);
            let (was, is) = sums(|payment| payment.refunded.minor());
            prop_assert_eq!(is > was, has(Kind::ChargeRefunded));
        }
    }
}

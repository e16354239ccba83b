//! What is left to people: it is in the journal, listed until somebody has seen to it, and found again by every later process.

use crate::notices::{declined, succeeded, taken_back};
use crate::operations::{Ask, ask, payment_of, refund};
use crate::provider::{Script, Scripted};
use crate::reversals::{lying, paid_twice, reversals, tell};
use crate::world::{World, amount_minor, let_settle, options, submit};
use florin_actors::payments_handle::{Answered, Change, ChangeRequest};
use florin_domain::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use florin_domain::ids::{OperationId, PaymentId};
use florin_domain::limits::ATTEMPTS_MAX;
use florin_domain::money::Currency;
use florin_domain::payment::{
    Answer, AttemptState, CaptureMethod, Failure, MatterKind, Note, Operation, Payment, Status,
};
use florin_domain::provider::{Named, Notice};
use florin_supervisors::platform::Platform;
use std::sync::Arc;
use std::time::Duration;

const DAY_S: u64 = 24 * 3_600;
/// Longer than the longest wait between two questions.
const A_QUESTION_LATER: Duration = Duration::from_mins(31);

async fn listed(platform: &Platform) -> Vec<OperationId> {
    let page = platform.payments().unresolved(None, 10).await.unwrap().unwrap();
    assert!(!page.has_more);
    page.attempts.iter().map(|(_, operation)| *operation).collect()
}

fn open_kinds(op: &Operation) -> Vec<MatterKind> {
    op.open_matters().iter().map(|matter| matter.kind).collect()
}

/// A person has looked.
async fn note(platform: &Platform, payment: PaymentId, operation: OperationId) -> Answered {
    let note = Note {
        evidence: Arc::from("statement of May, line 12"),
        reason: Arc::from("settled by hand"),
        operator: Arc::from("Ada"),
    };
    let request = ChangeRequest {
        payment,
        owner: None,
        operator: Some(Arc::from("Ada")),
        key: IdempotencyKey::parse("note").unwrap(),
        key_digest: KeyDigest([0xa0; 16]),
        fingerprint: Fingerprint([1; 16]),
        change: Change::Note {
            operation,
            note,
            seen: 3,
        },
    };
    platform.payments().change(request).await.unwrap()
}

/// Sold, and a part of it is given back, of which the provider says only that it has taken it on.
async fn taken_on(world: &World, platform: &Platform) -> (PaymentId, OperationId) {
    let payments = platform.payments();
    let made = payments
        .create(payment_of(0, 1_000, CaptureMethod::Automatic))
        .await
        .unwrap();
    world.provider.script(300, Script::TakesOn);
    let payment = made.payment.id();
    let back = Ask {
        key: 1,
        payment,
        change: refund(300),
    };
    let answered = ask(&payments, &back).await.unwrap();
    (payment, answered.operation.expect("a refund is an operation"))
}

#[test]
fn a_notice_that_never_comes_is_told_of_once_listed_and_turned_into_nothing() {
    let world = World::with(301, options(), Scripted::new(false, false).settling(2 * DAY_S));
    let (payment, refund) = world.life(async |world, platform| {
        let (payment, refund) = taken_on(world, &platform).await;
        world.clock.advance_s(2 * DAY_S - 1);
        tokio::time::sleep(A_QUESTION_LATER).await;
        let attempt = world.attempt_of(refund);
        assert_eq!(
            (attempt.state, attempt.overdue_since),
            (AttemptState::Pending, None)
        );
        world.clock.advance_s(2);
        tokio::time::sleep(A_QUESTION_LATER).await;
        let attempt = world.attempt_of(refund);
        assert_eq!(attempt.state, AttemptState::Pending, "no clock ends it");
        assert!(attempt.overdue_since.is_some());
        assert_eq!(listed(&platform).await, [refund]);
        let head = world.truth().head;
        world.clock.advance_s(30 * DAY_S);
        tokio::time::sleep(Duration::from_hours(2)).await;
        assert_eq!(world.truth().head, head, "told once");
        (payment, refund)
    });
    world.lose_indexes();
    world.life(async |world, platform| {
        let head = world.truth().head;
        tokio::time::sleep(A_QUESTION_LATER).await;
        assert_eq!(world.truth().head, head, "and not once for each process");
        assert_eq!(listed(&platform).await, [refund]);
        let notice = world.said_of(payment, refund, succeeded("psp_r", 300));
        assert!(platform.payments().notice(notice).await.unwrap());
        assert_eq!(listed(&platform).await, []);
        assert_eq!(world.truth().payments[&payment].refunded.minor(), 300);
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn what_a_provider_has_taken_on_is_asked_about_where_it_can_be_asked() {
    World::new(302).life(async |world, platform| {
        let (payment, refund) = taken_on(world, &platform).await;
        world.clock.advance_s(8 * DAY_S);
        tokio::time::sleep(A_QUESTION_LATER).await;
        let attempt = world.attempt_of(refund);
        assert_eq!(attempt.state, AttemptState::Pending);
        assert!(attempt.overdue_since.is_some(), "the usual week is over");
        world.provider.tell_the_truth();
        tokio::time::sleep(A_QUESTION_LATER).await;
        assert_eq!(world.truth().payments[&payment].refunded.minor(), 300);
        assert_eq!(listed(&platform).await, []);
    });
}

#[test]
fn what_is_done_or_undone_in_another_currency_is_left_to_a_person_and_found_after_a_restart() {
    let world = World::new(303);
    let (payment, charge) = world.life(async |world, platform| {
        let payments = platform.payments();
        let made = payments
            .create(payment_of(0, 1_000, CaptureMethod::Automatic))
            .await
            .unwrap();
        let (payment, charge) = (made.payment.id(), made.payment.authorize_id());
        let before = world.truth().payments[&payment].clone();
        let said = [
            succeeded("psp_other", 900),
            taken_back("psp_back", 900, None),
            florin_domain::provider::Said::Became(declined()),
        ];
        for _ in 0..2 {
            for said in said.clone() {
                let notice = Notice {
                    currency: Currency::EUR,
                    ..world.said_of(payment, charge, said)
                };
                assert!(payments.notice(notice).await.unwrap());
            }
        }
        let after = world.truth().payments[&payment].clone();
        let kinds = [
            MatterKind::DoneInOtherCurrency,
            MatterKind::UndoneInOtherCurrency,
            MatterKind::DeclinedAfterSuccess,
        ];
        assert_eq!(open_kinds(&after.operations[0]), kinds, "each once");
        let sums = |payment: &Payment| (payment.captured, payment.late_minor, payment.fee_minor);
        assert_eq!(sums(&after), sums(&before), "nothing is booked");
        assert_eq!(listed(&platform).await, [charge]);
        (payment, charge)
    });
    for loses in [true, false] {
        if loses {
            world.lose_indexes();
        }
        world.life(async |_, platform| assert_eq!(listed(&platform).await, [charge]));
    }
    world.life(async |world, platform| {
        let noted = note(&platform, payment, charge).await;
        assert_eq!(noted.answer, Answer::Shown);
        assert_eq!(listed(&platform).await, []);
        assert!(note(&platform, payment, charge).await.replayed);
        world.check_at_rest(&platform).await;
        crate::monitor::is_clean(&crate::monitor::run(&platform).await);
    });
    world.lose_indexes();
    world.life(async |_, platform| assert_eq!(listed(&platform).await, []));
}

#[test]
fn a_late_charge_in_another_currency_is_no_money_and_no_silence() {
    let world = lying(304, options(), 0);
    world.life(async |world, platform| {
        let id = paid_twice(world, &platform).await;
        let payment = world.truth().payments[&id].clone();
        let closed = payment.operations[0].attempt_numbered(1).unwrap();
        let notice = Notice {
            currency: Currency::EUR,
            attempt: Named::KeyEnd(Arc::clone(&closed.key)),
            ..world.said_of(id, payment.authorize_id(), succeeded("psp_eur", amount_minor(0)))
        };
        assert!(platform.payments().notice(notice).await.unwrap());
        let payment = world.truth().payments[&id].clone();
        assert_eq!(
            (payment.late_minor, reversals(&payment).len()),
            (0, 0),
            "nobody gives back what is not booked"
        );
        assert_eq!(
            open_kinds(&payment.operations[0]),
            [MatterKind::DoneInOtherCurrency]
        );
        assert_eq!(listed(&platform).await, [payment.authorize_id()]);
    });
}

#[test]
fn a_charge_that_its_provider_undoes_after_it_was_given_back_is_left_to_a_person() {
    let world = lying(305, options(), 0);
    let charge = world.life(async |world, platform| {
        let id = paid_twice(world, &platform).await;
        tell(world, &platform, id).await;
        let_settle().await;
        let payment = world.truth().payments[&id].clone();
        assert_eq!(payment.late_minor, 0, "it was given back");
        let closed = payment.operations[0].attempt_numbered(1).unwrap();
        let charge = payment.authorize_id();
        let notice = Notice {
            attempt: Named::KeyEnd(Arc::clone(&closed.key)),
            ..world.said_of(id, charge, taken_back("psp_undone", amount_minor(0), None))
        };
        for _ in 0..2 {
            assert!(platform.payments().notice(notice.clone()).await.unwrap());
        }
        let payment = world.truth().payments[&id].clone();
        assert_eq!(payment.late_minor, 0);
        assert_eq!(
            open_kinds(&payment.operations[0]),
            [MatterKind::UndoneBeyondWhatStood]
        );
        assert_eq!(listed(&platform).await, [charge]);
        world.check_at_rest(&platform).await;
        charge
    });
    world.life(async |_, platform| assert_eq!(listed(&platform).await, [charge]));
}

#[test]
fn a_reversal_that_is_refused_is_left_to_a_person_at_whichever_try() {
    for deaf in [0, 3, 6] {
        let world = lying(306, options(), 0);
        world.script(0, Script::Refuses { deaf });
        let operation = world.life(async |world, platform| {
            let id = paid_twice(world, &platform).await;
            tell(world, &platform, id).await;
            tokio::time::sleep(Duration::from_mins(40)).await;
            let payment = world.truth().payments[&id].clone();
            let reversal = reversals(&payment)[0];
            assert_eq!(open_kinds(reversal), [MatterKind::NotGivenBack], "{deaf}");
            let expected = if deaf == 0 {
                AttemptState::Rejected
            } else {
                AttemptState::Unknown
            };
            assert_eq!(reversal.state(), Some(expected), "{deaf}");
            assert_eq!(payment.late_minor, amount_minor(0), "the money is not back");
            assert_eq!(listed(&platform).await, [reversal.id]);
            reversal.id
        });
        world.lose_indexes();
        world.life(async |_, platform| assert_eq!(listed(&platform).await, [operation], "{deaf}"));
    }
}

#[test]
fn a_charge_that_was_tried_as_often_as_it_may_be_fails_for_good() {
    let world = World::new(307);
    world.script(0, Script::NotSent { times: u32::MAX });
    let id = world.life(async |_, platform| {
        let payments = platform.payments();
        for number in 1..ATTEMPTS_MAX {
            let shown = submit(&payments, 0).await.unwrap();
            assert_eq!(
                (shown.answer, shown.payment.operations[0].attempts),
                (Answer::NoProvider, number)
            );
        }
        let last = submit(&payments, 0).await.unwrap();
        assert_eq!(last.answer, Answer::Exhausted);
        assert!(last.payment.failure.as_ref().is_some_and(Failure::is_exhaustion));
        last.payment.id()
    });
    world.script(0, Script::Succeed);
    world.life(async |world, platform| {
        let again = submit(&platform.payments(), 0).await.unwrap();
        assert_eq!((again.answer, again.replayed), (Answer::Exhausted, true));
        assert_eq!((again.payment.id(), &again.payment.status), (id, &Status::Failed));
        assert_eq!(world.provider.charges_of_amount(amount_minor(0)), 0);
        assert_eq!(listed(&platform).await, []);
        let other = submit(&platform.payments(), 1).await.unwrap();
        assert_eq!(
            other.answer,
            Answer::Shown,
            "a new payment under a key of its own is made"
        );
        world.check_at_rest(&platform).await;
    });
}

/// It is kept nowhere, so each time that the same key brings it, the payment needs it again.
#[test]
fn what_a_customer_brings_back_is_handed_over_again_under_the_same_key() {
    World::new(308).life(async |world, platform| {
        let payments = platform.payments();
        world.script(0, Script::Challenge);
        let challenged = submit(&payments, 0).await.unwrap();
        let brought = Ask {
            key: 4,
            payment: challenged.payment.id(),
            change: Change::Complete {
                details: Some(Arc::from("brought")),
            },
        };
        for times in 1..=3 {
            assert_eq!(ask(&payments, &brought).await.unwrap().answer, Answer::Unresolved);
            assert_eq!(world.provider.brought(), times);
        }
        world.provider.tell_the_truth();
        assert_eq!(ask(&payments, &brought).await.unwrap().answer, Answer::Shown);
    });
}

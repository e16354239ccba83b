//! Words about objects to which a call is under way: whether the word or the answer comes first, the payment and the books are the same.

use crate::monitor::{is_clean, run};
use crate::notices::succeeded;
use crate::objects::{released, reserved};
use crate::operations::{Ask, ask, ask_all, capture, payment_of, refund, replies};
use crate::provider::{Script, Scripted};
use crate::world::{World, all_cases, amount_minor, let_settle, options, until};
use florin_actors::payments_handle::{Change, PaymentsHandle};
use florin_domain::ids::{OperationId, PaymentId};
use florin_domain::payment::{AttemptState, CaptureMethod, OperationKind, Payment, Status};
use florin_domain::provider::{Notice, Outcome, Said};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// What is under way.
const CALLS: [OperationKind; 5] = [
    OperationKind::Sale,
    OperationKind::Authorize,
    OperationKind::Capture,
    OperationKind::Void,
    OperationKind::Refund,
];

/// A call that waits at the latch until somebody opens it.
async fn begun(
    world: &World,
    payments: &PaymentsHandle,
    kind: OperationKind,
) -> (PaymentId, OperationId, JoinHandle<()>) {
    let is_sale = matches!(kind, OperationKind::Sale | OperationKind::Refund);
    let method = if is_sale {
        CaptureMethod::Automatic
    } else {
        CaptureMethod::Manual
    };
    let charge = payment_of(0, amount_minor(0), method);
    let (calls, asked) = match kind {
        OperationKind::Capture => (2, Some((400, capture(400, false)))),
        OperationKind::Refund => (2, Some((300, refund(300)))),
        OperationKind::Void => (2, Some((amount_minor(0), Change::Void))),
        _ => (1, None),
    };
    let task = if let Some((minor, change)) = asked {
        let id = payments.create(charge).await.unwrap().payment.id();
        world.provider.script(minor, Script::Held);
        world.provider.latch.close();
        let asked = Ask {
            key: 1,
            payment: id,
            change,
        };
        let asked = ask_all(payments, &[asked]);
        tokio::spawn(async move {
            replies(asked).await[0].1.as_ref().unwrap();
        })
    } else {
        world.script(0, Script::Held);
        world.provider.latch.close();
        let payments = payments.clone();
        tokio::spawn(async move { drop(payments.create(charge).await.unwrap()) })
    };
    let only = || world.truth().payments.keys().next().copied();
    until("it is under way", || {
        only().is_some_and(|id| world.provider.executes(id) == calls)
    })
    .await;
    let id = only().unwrap();
    let operation = world.payment(id).unresolved().next().unwrap().id;
    (id, operation, task)
}

/// What the provider says by itself of what it does there.
fn word(world: &World, id: PaymentId, operation: OperationId) -> Notice {
    let payment = world.payment(id);
    let op = payment.operation(operation).unwrap();
    let key = Arc::clone(&op.attempt.as_ref().unwrap().key);
    let name = format!("ch_{key}");
    let minor = op.amount.minor();
    match op.kind {
        OperationKind::Sale | OperationKind::Capture => {
            world.of_object(id, operation, succeeded(&name, minor))
        }
        OperationKind::Authorize => world.of_charge(id, reserved(&name, minor)),
        OperationKind::Void => {
            let charge = payment.operations[0].transaction.clone();
            let said = Said::Released {
                transaction: charge,
                released_minor: minor,
                taken_minor: 0,
                is_closed: true,
            };
            world.of_charge(id, said)
        }
        OperationKind::Refund => {
            let object = format!("pi_{key}");
            let said = Said::Became(Outcome::Succeeded {
                reference: Arc::from(object.as_str()),
                transaction: Arc::from(name),
                amount_minor: minor,
            });
            world.of_refund(id, operation, (&object, said))
        }
        kind @ (OperationKind::Increment | OperationKind::Reversal) => panic!("{kind:?} is not begun here"),
    }
}

fn sums(payment: &Payment) -> (Status, i128, i128, i128) {
    (
        payment.status.clone(),
        payment.captured.minor(),
        payment.refunded.minor(),
        payment.late_minor,
    )
}

#[test]
fn a_word_about_a_call_that_is_under_way_and_its_answer_come_to_the_same_in_either_order() {
    let cases = CALLS.into_iter().flat_map(|kind| [(kind, true), (kind, false)]);
    all_cases(cases, |(kind, word_is_first)| {
        World::with(780, options(), Scripted::new(true, false)).life(async |world, platform| {
            let payments = platform.payments();
            let (id, operation, asked) = begun(world, &payments, *kind).await;
            let word = word(world, id, operation);
            let ends = match kind {
                OperationKind::Sale => (Status::Succeeded, 1_000, 0, 0),
                OperationKind::Capture => (Status::Authorized, 400, 0, 0),
                OperationKind::Void => (Status::Voided, 0, 0, 0),
                OperationKind::Refund => (Status::Succeeded, 1_000, 300, 0),
                _ => (Status::Authorized, 0, 0, 0),
            };
            let is_there = || sums(&world.payment(id)) == ends;
            if *word_is_first {
                assert!(payments.notice(word.clone()).await.unwrap());
                assert!(is_there(), "before it is answered: {:?}", world.payment(id));
            }
            world.provider.latch.open();
            asked.await.unwrap();
            for _ in 0..2 {
                assert!(is_there(), "{:?}", world.payment(id));
                assert!(payments.notice(word.clone()).await.unwrap());
            }
            let_settle().await;
            assert!(is_there(), "{:?}", world.payment(id));
            for op in &world.payment(id).operations {
                let extras = (op.state(), op.attempts, op.late.len(), op.matters.len());
                assert_eq!(extras, (Some(AttemptState::Succeeded), 1, 0, 0), "{op:?}");
                assert_eq!(world.provider.executed()[&op.id], 1);
            }
            is_clean(&run(&platform).await);
        });
    });
}

#[test]
fn the_rest_of_a_hold_that_is_released_by_hand_is_told_to_people_once_and_what_was_taken_stays() {
    World::with(781, options(), Scripted::new(true, false)).life(async |world, platform| {
        let payments = platform.payments();
        let hold = payment_of(0, amount_minor(0), CaptureMethod::Manual);
        let id = payments.create(hold).await.unwrap().payment.id();
        let take = Ask {
            key: 1,
            payment: id,
            change: capture(400, false),
        };
        ask(&payments, &take).await.unwrap();
        let rest = world.of_charge(id, reserved("ch_1", 600));
        let gone = world.of_charge(id, released(600, 400, true));
        for notice in [rest.clone(), gone.clone(), rest, gone] {
            assert!(payments.notice(notice).await.unwrap());
        }
        let payment = world.payment(id);
        let charge = &payment.operations[0];
        let late: Vec<i128> = charge.late.iter().map(|late| late.amount.minor()).collect();
        assert_eq!((late, charge.matters.len()), (vec![600], 0), "{charge:?}");
        assert_eq!(sums(&payment), (Status::Authorized, 400, 0, 0));
        is_clean(&run(&platform).await);
    });
}

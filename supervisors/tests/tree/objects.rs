//! What a provider says of its objects: believed of the attempt that made the object, in any order and however often, and asked about where
//! the word alone is not enough.

use crate::monitor::{is_clean, run};
use crate::notices::{declined, mute, succeeded, taken_back};
use crate::operations::{Ask, ask, capture, confirm, payment_of, refund};
use crate::provider::{Script, Scripted, provider_id};
use crate::world::{World, all_cases, amount_minor, merchant, options, until};
use florin_actors::payments_handle::{Change, PaymentsHandle};
use florin_domain::ids::{OperationId, PaymentId};
use florin_domain::money::Currency;
use florin_domain::payment::{Answer, AttemptState, CaptureMethod, Payment, Status};
use florin_domain::provider::{Named, Notice, Outcome, ProviderReference, Said, Signer};
use std::sync::Arc;
use std::time::Duration;

/// One whose objects have names before they charge.
fn world(seed: u64) -> World {
    World::with(seed, options(), Scripted::new(true, true))
}

impl World {
    pub(crate) fn payment(&self, id: PaymentId) -> Payment {
        self.truth().payments[&id].clone()
    }

    /// The object of the latest attempt to charge.
    pub(crate) fn object(&self, id: PaymentId) -> ProviderReference {
        let payment = self.payment(id);
        Arc::clone(payment.provider_reference().expect("it was prepared"))
    }

    /// What is said of an operation by its charge's object, which is the one that it names.
    pub(crate) fn of_object(&self, id: PaymentId, operation: OperationId, mut said: Said) -> Notice {
        if let Said::Reserved { reference, .. }
        | Said::Became(
            Outcome::Succeeded { reference, .. }
            | Outcome::Pending { reference }
            | Outcome::ActionRequired { reference, .. },
        ) = &mut said
        {
            *reference = self.object(id);
        }
        Notice {
            provider: provider_id(),
            signer: Signer::Platform,
            payment: id,
            operation,
            attempt: Named::Charge(self.object(id)),
            currency: Currency::USD,
            said,
        }
    }

    pub(crate) fn of_charge(&self, id: PaymentId, said: Said) -> Notice {
        self.of_object(id, OperationId::Authorize(id), said)
    }

    pub(crate) fn of_refund(
        &self,
        id: PaymentId,
        operation: OperationId,
        (name, said): (&str, Said),
    ) -> Notice {
        Notice {
            attempt: Named::Refund {
                refund: Arc::from(name),
                charge: self.object(id),
            },
            said,
            ..self.of_object(id, operation, Said::Changed)
        }
    }
}

pub(crate) fn reserved(transaction: &str, amount_minor: i128) -> Said {
    Said::Reserved {
        reference: Arc::from("pi"),
        transaction: Arc::from(transaction),
        amount_minor,
    }
}

pub(crate) fn released(released_minor: i128, taken_minor: i128, is_closed: bool) -> Said {
    Said::Released {
        transaction: Some(Arc::from("ch_1")),
        released_minor,
        taken_minor,
        is_closed,
    }
}

fn pending(reference: &str) -> Said {
    Said::Became(Outcome::Pending {
        reference: Arc::from(reference),
    })
}

fn action() -> Said {
    Said::Became(Outcome::ActionRequired {
        reference: Arc::from("pi"),
        redirect_url: None,
    })
}

/// Everything that was truthfully said so far. Whenever there is more, all of it comes again, twice, in another order.
struct Mail {
    said: Vec<Notice>,
    dice: u64,
}

impl Mail {
    fn draw(&mut self, below: usize) -> usize {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.dice >> 33).unwrap() % below
    }

    async fn tell(&mut self, payments: &PaymentsHandle, more: impl IntoIterator<Item = Notice>) {
        self.said.extend(more);
        let mut left = [self.said.clone(), self.said.clone()].concat();
        while !left.is_empty() {
            let place = self.draw(left.len());
            let notice = left.swap_remove(place);
            assert!(payments.notice(notice.clone()).await.unwrap(), "{notice:?}");
        }
    }
}

/// Asks for something of which nothing usable is answered; its operation.
pub(crate) async fn mute_change(
    world: &World,
    payments: &PaymentsHandle,
    (key, id): (usize, PaymentId),
    (minor, change): (i128, Change),
) -> OperationId {
    world.provider.script(minor, Script::Mute { charged: true });
    let asked = Ask {
        key,
        payment: id,
        change,
    };
    let answered = ask(payments, &asked).await.unwrap();
    assert_eq!(answered.answer, Answer::Unresolved, "{asked:?}");
    answered.operation.unwrap()
}

/// A hold, a capture of a part, a refund of a part of that, and the release of the rest: of each the answer is lost and events come instead.
#[test]
fn any_order_and_any_number_of_events_lead_to_the_same_payment_and_books() {
    all_cases(0..48_u64, |seed| {
        world(700 + seed).life(async |world, platform| {
            let payments = platform.payments();
            let mut mail = Mail {
                said: Vec::new(),
                dice: *seed,
            };
            let (id, _) = mute(world, &payments, 0, CaptureMethod::Manual).await;
            mail.tell(
                &payments,
                [
                    world.of_charge(id, reserved("ch_1", 1_000)),
                    world.of_charge(id, pending("pi")),
                    world.of_charge(id, action()),
                ],
            )
            .await;
            assert_eq!(world.payment(id).status, Status::Authorized);

            let taken = mute_change(world, &payments, (1, id), (400, capture(400, false))).await;
            mail.tell(
                &payments,
                [
                    world.of_object(id, taken, succeeded("ch_1", 400)),
                    world.of_charge(id, reserved("ch_1", 600)),
                    world.of_charge(id, Said::Changed),
                ],
            )
            .await;
            let given = mute_change(world, &payments, (2, id), (300, refund(300))).await;
            mail.tell(
                &payments,
                [
                    world.of_refund(id, given, ("re_1", pending("re_1"))),
                    world.of_refund(id, given, ("re_1", succeeded("re_1", 300))),
                ],
            )
            .await;
            mute_change(world, &payments, (3, id), (600, Change::Void)).await;
            mail.tell(&payments, [world.of_charge(id, released(600, 400, false))])
                .await;

            let payment = world.payment(id);
            assert_eq!(
                (
                    &payment.status,
                    payment.captured.minor(),
                    payment.refunded.minor(),
                    payment.late_minor
                ),
                (&Status::Succeeded, 400, 300, 0)
            );
            for op in &payment.operations {
                let extras = (op.state(), op.attempts, op.late.len(), op.matters.len());
                assert_eq!(extras, (Some(AttemptState::Succeeded), 1, 0, 0), "{op:?}");
            }
            assert_eq!(payment.operations.len(), 4);
            // And the provider did each of them once.
            assert_eq!(world.provider.sum_minor(), 100);
            is_clean(&run(&platform).await);
        });
    });
}

#[test]
fn an_earlier_attempts_object_ends_neither_the_void_nor_the_payment() {
    world(750).life(async |world, platform| {
        let payments = platform.payments();
        world.script(0, Script::DeclineFirst);
        let made = payments
            .create(payment_of(0, amount_minor(0), CaptureMethod::Manual))
            .await
            .unwrap();
        let id = made.payment.id();
        let old = world.object(id);
        let again = Ask {
            key: 1,
            payment: id,
            change: confirm(),
        };
        ask(&payments, &again).await.unwrap();
        assert_eq!(world.payment(id).status, Status::Authorized);
        assert_ne!(old, world.object(id));
        let of_old = Notice {
            attempt: Named::Charge(Arc::clone(&old)),
            ..world.of_charge(id, released(1_000, 0, true))
        };
        assert!(payments.notice(of_old.clone()).await.unwrap());
        assert_eq!(world.payment(id).status, Status::Authorized);

        let void = mute_change(world, &payments, (2, id), (amount_minor(0), Change::Void)).await;
        for _ in 0..2 {
            assert!(payments.notice(of_old.clone()).await.unwrap());
        }
        let payment = world.payment(id);
        assert!(payment.operation(void).unwrap().is_unresolved());
        assert_eq!((&payment.status, payment.late_minor), (&Status::Authorized, 0));
        let own = world.of_charge(id, released(1_000, 0, true));
        assert!(payments.notice(own).await.unwrap());
        assert_eq!(world.payment(id).status, Status::Voided);
        // And somebody else's object is nobody's here.
        let strange = Notice {
            attempt: Named::Charge(Arc::from("pi_other")),
            ..world.of_charge(id, reserved("ch_9", 1_000))
        };
        assert!(!payments.notice(strange).await.unwrap());
    });
}

#[test]
fn what_a_partial_capture_lets_go_is_no_void_of_the_payment() {
    world(751).life(async |world, platform| {
        let payments = platform.payments();
        let (id, charge) = mute(world, &payments, 0, CaptureMethod::Manual).await;
        let hold = world.of_charge(id, reserved("ch_1", 1_000));
        assert!(payments.notice(hold).await.unwrap());
        let taken = mute_change(world, &payments, (1, id), (400, capture(400, true))).await;
        for _ in 0..2 {
            let let_go = world.of_charge(id, released(600, 400, false));
            assert!(payments.notice(let_go).await.unwrap());
        }
        let payment = world.payment(id);
        assert_eq!(
            (&payment.status, payment.captured.minor()),
            (&Status::Authorized, 0)
        );
        let done = world.of_object(id, taken, succeeded("ch_1", 400));
        assert!(payments.notice(done).await.unwrap());
        // Closed by its last capture: that the rest is gone is no news.
        let closed = world.of_charge(id, released(600, 400, true));
        assert!(payments.notice(closed).await.unwrap());
        let payment = world.payment(id);
        let late = payment.operation(charge).unwrap().late.len();
        assert_eq!(
            (
                &payment.status,
                payment.captured.minor(),
                payment.late_minor,
                late
            ),
            (&Status::Succeeded, 400, 0, 0)
        );
    });
}

#[test]
fn a_hold_that_is_told_of_after_its_closing_is_no_late_charge() {
    // Told by an event, or found out by asking.
    for is_told in [true, false] {
        world(752).life(async |world, platform| {
            let payments = platform.payments();
            world.script(0, Script::Mute { charged: false });
            let made = payments
                .create(payment_of(0, amount_minor(0), CaptureMethod::Manual))
                .await
                .unwrap();
            let id = made.payment.id();
            let closed = world.of_charge(id, released(1_000, 0, true));
            if is_told {
                assert!(payments.notice(closed.clone()).await.unwrap());
            } else {
                world
                    .provider
                    .script(amount_minor(0), Script::Mute { charged: false });
                world.provider.close_all();
                world.provider.tell_the_truth();
                until("it is found out", || {
                    world.payment(id).status == Status::RequiresConfirmation
                })
                .await;
            }
            let before = world.payment(id);
            assert_eq!(before.status, Status::RequiresConfirmation);
            for notice in [world.of_charge(id, reserved("ch_1", 1_000)), closed] {
                assert!(payments.notice(notice).await.unwrap());
            }
            let payment = world.payment(id);
            let op = &payment.operations[0];
            assert_eq!(
                (&payment.status, op.late.len()),
                (&Status::RequiresConfirmation, 0)
            );
            assert_eq!(payment.operations.len(), 1, "nothing is given back");
        });
    }
}

#[test]
fn what_nobody_here_released_is_told_to_people_once() {
    world(753).life(async |world, platform| {
        let payments = platform.payments();
        let made = payments
            .create(payment_of(0, amount_minor(0), CaptureMethod::Manual))
            .await
            .unwrap();
        let id = made.payment.id();
        for _ in 0..2 {
            let gone = world.of_charge(id, released(1_000, 0, true));
            assert!(payments.notice(gone).await.unwrap());
        }
        let payment = world.payment(id);
        assert_eq!(
            (&payment.status, payment.operations[0].late.len()),
            (&Status::Authorized, 1)
        );
        is_clean(&run(&platform).await);
    });
}

#[test]
fn a_refund_that_failed_is_undone_and_its_older_success_is_no_news() {
    // First the success, or first the failure.
    for is_in_order in [true, false] {
        world(754).life(async |world, platform| {
            let payments = platform.payments();
            let made = payments
                .create(payment_of(0, 1_000, CaptureMethod::Automatic))
                .await
                .unwrap();
            let id = made.payment.id();
            let given = mute_change(world, &payments, (1, id), (300, refund(300))).await;
            let failed = Outcome::declined(Arc::from("expired_or_canceled_card"), Some(Arc::from("re_1")));
            let mut words = [
                world.of_refund(id, given, ("re_1", succeeded("re_1", 300))),
                world.of_refund(id, given, ("re_1", taken_back("re_1", 300, Some(failed)))),
            ];
            if !is_in_order {
                words.reverse();
            }
            for notice in words.iter().chain(&words) {
                assert!(payments.notice(notice.clone()).await.unwrap());
            }
            let payment = world.payment(id);
            let op = payment.operation(given).unwrap();
            let expected = if is_in_order { (300, 300, 1) } else { (0, 0, 0) };
            assert_eq!(
                (payment.refunded.minor(), payment.late_minor, op.late.len()),
                expected,
                "{op:?}"
            );
            is_clean(&run(&platform).await);
        });
    }
}

#[test]
fn a_word_that_is_not_enough_has_the_provider_asked_at_once() {
    world(755).life(async |world, platform| {
        let payments = platform.payments();
        let (id, charge) = mute(world, &payments, 0, CaptureMethod::Automatic).await;
        world.provider.tell_the_truth();
        let asked_before = world.provider.requests(charge);
        let changed = world.of_charge(id, Said::Changed);
        assert!(payments.notice(changed).await.unwrap());
        // Less than the first wait of the schedule.
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(world.payment(id).status, Status::Succeeded);
        assert_eq!(world.provider.requests(charge), asked_before + 1);
        // Nothing waits for a word any more.
        let changed = world.of_charge(id, Said::Changed);
        assert!(payments.notice(changed).await.unwrap());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(world.provider.requests(charge), asked_before + 1);
    });
}

#[test]
fn a_charge_that_goes_on_does_not_go_back_to_its_challenge() {
    world(756).life(async |world, platform| {
        let payments = platform.payments();
        world.script(0, Script::TakesOn);
        let made = payments
            .create(payment_of(0, amount_minor(0), CaptureMethod::Automatic))
            .await
            .unwrap();
        let id = made.payment.id();
        for said in [action(), pending("pi"), action()] {
            assert!(payments.notice(world.of_charge(id, said)).await.unwrap());
        }
        let attempt = world.attempt_of(OperationId::Authorize(id));
        assert_eq!(
            (attempt.state, &world.payment(id).status),
            (AttemptState::Pending, &Status::Processing)
        );
    });
}

#[test]
fn contradictions_other_sums_and_other_currencies_are_for_people() {
    world(757).life(async |world, platform| {
        let payments = platform.payments();
        let paid = payments
            .create(payment_of(0, amount_minor(0), CaptureMethod::Automatic))
            .await
            .unwrap();
        let id = paid.payment.id();
        for _ in 0..2 {
            let refused = world.of_charge(id, Said::Became(declined()));
            assert!(payments.notice(refused).await.unwrap());
        }
        let payment = world.payment(id);
        assert_eq!(
            (&payment.status, payment.operations[0].matters.len()),
            (&Status::Succeeded, 1)
        );
        for (n, minor, currency) in [(1, amount_minor(1), Currency::EUR), (2, 5, Currency::USD)] {
            let (id, charge) = mute(world, &payments, n, CaptureMethod::Manual).await;
            let notice = Notice {
                currency,
                ..world.of_charge(id, reserved("ch_1", minor))
            };
            assert!(payments.notice(notice).await.unwrap());
            assert_eq!(world.payment(id).status, Status::Processing);
            let reason = world.attempt_of(charge).unknown_reason;
            assert_eq!(reason.as_deref(), Some("the provider's amount differs from ours"));
        }
    });
}

/// The scripted provider charges everybody under the platform's key.
#[test]
fn a_merchants_secret_says_nothing_of_what_was_charged_under_another_key() {
    world(758).life(async |world, platform| {
        let payments = platform.payments();
        let (id, _) = mute(world, &payments, 0, CaptureMethod::Manual).await;
        let hold = world.of_charge(id, reserved("ch_1", 1_000));
        let forged = Notice {
            signer: Signer::Merchants(vec![merchant()]),
            ..hold.clone()
        };
        assert!(!payments.notice(forged).await.unwrap());
        assert_eq!(world.payment(id).status, Status::Processing);
        assert!(payments.notice(hold).await.unwrap());
        assert_eq!(world.payment(id).status, Status::Authorized);
    });
}

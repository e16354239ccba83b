//! What providers say by themselves: believed of the attempt that it names and of no other, taken once, and durable before it is
//! acknowledged.

use crate::operations::{Ask, ask, ask_all, capture, payment_of, refund, replies};
use crate::provider::{Script, Scripted, provider_id};
use crate::world::{World, amount_minor, let_settle, merchant, options, until};
use florin_actors::payments_handle::{Change, PaymentsHandle};
use florin_domain::ids::{MerchantId, OperationId, PaymentId};
use florin_domain::money::Currency;
use florin_domain::payment::{Answer, Attempt, AttemptState, CaptureMethod, Operation, Status};
use florin_domain::provider::{Named, Notice, Outcome, ProviderId, Said, Signer};
use std::sync::Arc;

pub(crate) fn succeeded(transaction: &str, amount_minor: i128) -> Said {
    Said::Became(Outcome::Succeeded {
        reference: Arc::from(transaction),
        transaction: Arc::from(transaction),
        amount_minor,
    })
}

pub(crate) fn declined() -> Outcome {
    Outcome::declined(Arc::from("refused"), None)
}

pub(crate) fn taken_back(reference: &str, amount_minor: i128, unheard: Option<Outcome>) -> Said {
    Said::TakenBack {
        unheard,
        reference: Arc::from(reference),
        amount_minor,
    }
}

impl World {
    pub(crate) fn attempt_of(&self, operation: OperationId) -> Attempt {
        let truth = self.truth();
        let mut operations = truth.payments.values().flat_map(|payment| &payment.operations);
        let found = operations
            .find(|op| op.id == operation)
            .and_then(|op| op.attempt.clone());
        found.expect("it was attempted")
    }

    /// What the provider says of the latest attempt of an operation.
    pub(crate) fn said_of(&self, payment: PaymentId, operation: OperationId, said: Said) -> Notice {
        let key = self.attempt_of(operation).key;
        Notice {
            provider: provider_id(),
            signer: Signer::Platform,
            payment,
            operation,
            attempt: Named::KeyEnd(Arc::from(&key[key.len() - 12..])),
            currency: Currency::USD,
            said,
        }
    }
}

/// A charge, captured at once or reserved, of which its provider says nothing usable.
pub(crate) async fn mute(
    world: &World,
    payments: &PaymentsHandle,
    n: usize,
    method: CaptureMethod,
) -> (PaymentId, OperationId) {
    world.script(n, Script::Mute { charged: true });
    let made = payments
        .create(payment_of(n, amount_minor(n), method))
        .await
        .unwrap();
    assert_eq!(made.answer, Answer::Unresolved);
    (made.payment.id(), made.payment.authorize_id())
}

#[test]
fn a_notice_resolves_what_is_unknown_once_and_is_durable_when_it_is_taken() {
    let world = World::new(61);
    let notice = world.life(async |world, platform| {
        let payments = platform.payments();
        let (id, charge) = mute(world, &payments, 0, CaptureMethod::Automatic).await;
        let notice = world.said_of(id, charge, succeeded("psp_1", amount_minor(0)));
        assert!(payments.notice(notice.clone()).await.unwrap());
        assert_eq!(world.truth().payments[&id].status, Status::Succeeded);
        notice
    });
    // The process was killed at that moment; the notice comes again, and again.
    world.life(async |world, platform| {
        let payments = platform.payments();
        for _ in 0..3 {
            assert!(payments.notice(notice.clone()).await.unwrap());
        }
        let_settle().await;
        let payment = world.truth().payments[&notice.payment].clone();
        assert_eq!(
            (payment.captured.minor(), payment.late_minor, &payment.status),
            (amount_minor(0), 0, &Status::Succeeded)
        );
        assert_eq!(world.provider.charges()[&notice.payment], 1);
    });
}

#[test]
fn a_notice_is_about_the_attempt_that_it_names_and_about_no_other() {
    World::new(62).life(async |world, platform| {
        let payments = platform.payments();
        let (id, charge) = mute(world, &payments, 0, CaptureMethod::Automatic).await;
        let good = world.said_of(id, charge, succeeded("psp_1", amount_minor(0)));
        let others = [
            Notice {
                // The key of another account's webhooks is no key to this one's payments.
                provider: ProviderId::parse("other").unwrap(),
                ..good.clone()
            },
            Notice {
                // Nor is the key that another merchant gave.
                signer: Signer::Merchants(vec![MerchantId::from_bits(8)]),
                ..good.clone()
            },
            Notice {
                attempt: Named::KeyEnd(Arc::from("|2")),
                ..good.clone()
            },
            Notice {
                // Everybody's key ends so.
                attempt: Named::KeyEnd(Arc::from("|1")),
                ..good.clone()
            },
            Notice {
                attempt: Named::KeyEnd(Arc::from("")),
                ..good.clone()
            },
            Notice {
                payment: PaymentId::from_bits(5),
                ..good.clone()
            },
            Notice {
                operation: OperationId::Authorize(PaymentId::from_bits(5)),
                ..good.clone()
            },
        ];
        for other in others {
            assert!(!payments.notice(other.clone()).await.unwrap(), "{other:?}");
            assert_eq!(
                world.truth().payments[&id].status,
                Status::Processing,
                "{other:?}"
            );
        }
        world.provider.own_keys.give(merchant());
        let signer = Signer::Merchants(vec![MerchantId::from_bits(8), merchant()]);
        assert!(payments.notice(Notice { signer, ..good }).await.unwrap());
        assert_eq!(world.truth().payments[&id].status, Status::Succeeded);
    });
}

#[test]
fn another_sum_or_currency_is_held_for_a_person() {
    World::new(63).life(async |world, platform| {
        let payments = platform.payments();
        for (n, minor, currency) in [
            (0, amount_minor(0), Currency::EUR),
            (1, amount_minor(1) - 1, Currency::USD),
        ] {
            let (id, charge) = mute(world, &payments, n, CaptureMethod::Automatic).await;
            let notice = Notice {
                currency,
                ..world.said_of(id, charge, succeeded("psp_1", minor))
            };
            assert!(payments.notice(notice).await.unwrap());
            let payment = world.truth().payments[&id].clone();
            assert_eq!(
                (&payment.status, payment.captured.minor()),
                (&Status::Processing, 0)
            );
            let attempt = world.attempt_of(charge);
            assert_eq!(
                (attempt.state, attempt.unknown_reason.as_deref()),
                (
                    AttemptState::Unknown,
                    Some("the provider's amount differs from ours")
                )
            );
        }
    });
}

#[test]
fn what_is_undone_later_is_in_suspense_and_a_refusal_after_a_success_changes_nothing() {
    World::new(64).life(async |world, platform| {
        let payments = platform.payments();
        let made = payments
            .create(payment_of(0, 1_000, CaptureMethod::Automatic))
            .await
            .unwrap();
        let (id, charge) = (made.payment.id(), made.payment.authorize_id());
        let back = Ask {
            key: 1,
            payment: id,
            change: refund(300),
        };
        let refunded = ask(&payments, &back).await.unwrap();
        let refund = refunded.operation.expect("a refund is an operation");
        let take = async |notice| assert!(payments.notice(notice).await.unwrap());

        take(world.said_of(id, charge, Said::Became(declined()))).await;
        take(Notice {
            currency: Currency::EUR,
            ..world.said_of(id, refund, taken_back("psp_r", 300, Some(declined())))
        })
        .await;
        let payment = world.truth().payments[&id].clone();
        assert_eq!((&payment.status, payment.late_minor), (&Status::Succeeded, 0));

        for _ in 0..2 {
            take(world.said_of(id, refund, taken_back("psp_r", 300, Some(declined())))).await;
        }
        let payment = world.truth().payments[&id].clone();
        assert_eq!(
            (&payment.status, payment.refunded.minor(), payment.late_minor),
            (&Status::Succeeded, 300, 300)
        );
        // The monitor, which shares nothing with what books, agrees.
        crate::monitor::is_clean(&crate::monitor::run(&platform).await);
    });
}

#[test]
fn an_undoing_waits_until_what_it_undoes_was_heard_of() {
    World::new(65).life(async |world, platform| {
        let payments = platform.payments();
        let (id, charge) = mute(world, &payments, 0, CaptureMethod::Automatic).await;
        let minor = amount_minor(0);
        let undone = world.said_of(id, charge, taken_back("psp_c", minor, None));
        assert!(
            payments.notice(undone.clone()).await.is_err(),
            "it is to be sent again"
        );
        assert_eq!(world.truth().payments[&id].status, Status::Processing);
        let done = world.said_of(id, charge, succeeded("psp_1", minor));
        assert!(payments.notice(done).await.unwrap());
        assert!(payments.notice(undone).await.unwrap());
        assert_eq!(world.truth().payments[&id].late_minor, -minor);
    });
}

#[test]
fn a_closing_that_is_told_after_the_charge_takes_it_back_and_before_it_ends_it() {
    World::new(66).life(async |world, platform| {
        let payments = platform.payments();
        let cancelled = || Some(Outcome::Cancelled { reference: None });
        let (id, charge) = mute(world, &payments, 0, CaptureMethod::Manual).await;
        let closed = world.said_of(id, charge, taken_back("psp_c", amount_minor(0), cancelled()));
        assert!(payments.notice(closed).await.unwrap());
        assert_eq!(world.truth().payments[&id].status, Status::RequiresConfirmation);

        let (id, charge) = mute(world, &payments, 1, CaptureMethod::Manual).await;
        let done = world.said_of(id, charge, succeeded("psp_1", amount_minor(1)));
        assert!(payments.notice(done).await.unwrap());
        let closed = world.said_of(id, charge, taken_back("psp_c", amount_minor(1), cancelled()));
        assert!(payments.notice(closed).await.unwrap());
        let payment = world.truth().payments[&id].clone();
        let late = payment.operation(charge).map(|op: &Operation| op.late.len());
        assert_eq!((&payment.status, late), (&Status::Authorized, Some(1)));
    });
}

/// What a customer brought back is about a challenge. Handed to a question about a capture, the provider's word about the charge would be
/// taken for one about the capture.
#[test]
fn what_a_customer_brings_back_is_used_for_a_challenge_only() {
    World::with(67, options(), Scripted::new(false, true)).life(async |world, platform| {
        let payments = platform.payments();
        let made = payments
            .create(payment_of(0, 1_000, CaptureMethod::Manual))
            .await
            .unwrap();
        let id = made.payment.id();
        let brought = Ask {
            key: 1,
            payment: id,
            change: Change::Complete {
                details: Some(Arc::from("brought")),
            },
        };
        let take = |key, minor| Ask {
            key,
            payment: id,
            change: capture(minor, false),
        };
        // One capture is on its way all the time, so the payment stays in memory.
        world.provider.script(300, Script::Held);
        world.provider.latch.close();
        let held = ask_all(&payments, &[take(2, 300)]);
        until("it is asked for", || world.provider.executes(id) == 2).await;
        assert!(ask(&payments, &brought).await.is_err(), "no challenge is open");
        world.provider.script(400, Script::Mute { charged: false });
        for _ in 0..2 {
            assert_eq!(
                ask(&payments, &take(3, 400)).await.unwrap().answer,
                Answer::Unresolved
            );
        }
        world.provider.latch.open();
        assert_eq!(replies(held).await.len(), 1);
        assert_eq!(world.provider.brought(), 0);

        world.script(3, Script::Challenge);
        let challenged = payments
            .create(payment_of(3, amount_minor(3), CaptureMethod::Manual))
            .await
            .unwrap();
        let brought = Ask {
            key: 4,
            payment: challenged.payment.id(),
            ..brought
        };
        ask(&payments, &brought).await.unwrap();
        assert_eq!(world.provider.brought(), 1);
    });
}

#[test]
fn a_merchants_own_notices_raise_a_hundred_matters_a_day_and_nobody_elses_are_limited_by_that() {
    World::new(74).life(async |world, platform| {
        let payments = platform.payments();
        world.provider.own_keys.give(merchant());
        let own = Signer::Merchants(vec![merchant()]);
        let mut sold = Vec::new();
        for n in 0..3 {
            let made = payments.create(payment_of(n, amount_minor(n), CaptureMethod::Automatic));
            let made = made.await.unwrap();
            sold.push((made.payment.id(), made.payment.authorize_id()));
        }
        // Each is about another transaction, in a currency in which nothing was charged.
        let strange = |n: usize, number: usize, signer: &Signer| {
            let said = succeeded(&format!("psp_{number}"), amount_minor(n));
            Notice {
                signer: signer.clone(),
                currency: Currency::EUR,
                ..world.said_of(sold[n].0, sold[n].1, said)
            }
        };
        for number in 0..100 {
            let notice = strange(number / 50, number, &own);
            assert!(payments.notice(notice.clone()).await.unwrap());
            assert!(payments.notice(notice).await.unwrap(), "said twice it is one");
        }
        let one_more = strange(2, 100, &own);
        assert!(
            payments.notice(one_more.clone()).await.is_err(),
            "to be sent again"
        );
        let raised = || {
            let truth = world.truth();
            let operations = truth.payments.values().flat_map(|payment| &payment.operations);
            operations.map(|op| op.matters.len()).sum::<usize>()
        };
        assert_eq!(raised(), 100);
        // What says nothing that people must look at is taken, and so is what the platform's key says.
        let known = world.truth().payments[&sold[2].0].operations[0].clone();
        let transaction = known.transaction.as_deref().unwrap().to_owned();
        let same = Notice {
            signer: own.clone(),
            ..world.said_of(sold[2].0, sold[2].1, succeeded(&transaction, amount_minor(2)))
        };
        assert!(payments.notice(same).await.unwrap());
        assert!(payments.notice(strange(2, 101, &Signer::Platform)).await.unwrap());
        assert_eq!(raised(), 101);
        world.clock.advance_s(24 * 3_600);
        assert!(payments.notice(one_more).await.unwrap());
        assert_eq!(raised(), 102);
        world.check_always();
    });
}

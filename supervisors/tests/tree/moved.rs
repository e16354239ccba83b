//! What moved a merchant's money, over all of its payments: the same whether its index was followed or made anew, and nobody else's whatever an index says.

use crate::operations::{Ask, ask, capture, payment_of, refund};
use crate::world::{World, let_settle, merchant};
use florin_domain::ids::{MerchantId, PaymentId};
use florin_domain::payment::CaptureMethod;
use florin_domain::ports::{MovedEntry, MovedQuery, RefundsQuery};
use florin_supervisors::platform::Platform;

const OWNER: (MerchantId, bool) = (MerchantId::from_bits(7), false);

/// A sale and two payments with captures in turns, and refunds of all.
async fn live(world: &World, platform: &Platform) {
    let (payments, mut ids): (_, Vec<PaymentId>) = (platform.payments(), Vec::new());
    for (n, method) in [
        (0, CaptureMethod::Automatic),
        (1, CaptureMethod::Manual),
        (2, CaptureMethod::Manual),
    ] {
        let made = payments.create(payment_of(n, 5_000, method)).await.unwrap();
        ids.push(made.payment.id());
    }
    let changes = [
        (1, capture(1_000, false)),
        (2, capture(700, false)),
        (1, capture(2_000, false)),
        (0, refund(400)),
        (2, capture(800, false)),
        (1, refund(2_500)),
        (2, refund(50)),
    ];
    for (key, (n, change)) in changes.into_iter().enumerate() {
        let payment = ids[n];
        let asked = Ask { key, payment, change };
        assert!(ask(&payments, &asked).await.is_ok(), "{key}");
        // Always two in the same moment.
        world.clock.advance_s((key % 2) as u64);
    }
}

async fn listed(platform: &Platform) -> Vec<MovedEntry> {
    let query = MovedQuery::newest(OWNER.0, OWNER.1, 100);
    let list = platform.payments().moved(query).await.unwrap();
    assert!(!list.has_more);
    list.rows.into_iter().map(|(entry, _)| entry).collect()
}

#[test]
fn an_index_that_is_made_anew_lists_what_the_one_listed_that_followed() {
    assert_eq!(OWNER.0, merchant());
    let world = World::new(91);
    let followed = world.life(async |world, platform| {
        live(world, &platform).await;
        listed(&platform).await
    });
    let amounts: Vec<i128> = followed.iter().map(|entry| entry.amount_minor).collect();
    let mut sorted = amounts.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [-2_500, -400, -50, 700, 800, 1_000, 2_000, 5_000]);
    world.lose_indexes();
    let anew = world.life(async |_, platform| listed(&platform).await);
    assert_eq!(anew, followed);
}

#[test]
fn what_an_index_has_under_another_merchant_or_mode_is_shown_to_nobody() {
    let world = World::new(92);
    world.life(async |world, platform| {
        live(world, &platform).await;
        let_settle().await;
        let payments = platform.payments();
        let own = listed(&platform).await;
        let (of_own, _) = payments
            .refunds(RefundsQuery::newest(OWNER.0, OWNER.1, 100))
            .await
            .unwrap();
        assert_eq!((own.len(), of_own.len()), (8, 3));
        world.views().mixed_up.set(|owner| *owner = OWNER);
        for (other, livemode) in [(MerchantId::from_bits(8), false), (OWNER.0, true)] {
            let found = payments
                .moved(MovedQuery::newest(other, livemode, 100))
                .await
                .unwrap();
            assert!(found.rows.is_empty(), "{other} {livemode}: {found:?}");
            let (found, _) = payments
                .refunds(RefundsQuery::newest(other, livemode, 100))
                .await
                .unwrap();
            assert!(found.is_empty(), "{other} {livemode}: {found:?}");
            for entry in &own {
                let found = payments
                    .moved_by((other, livemode), entry.row.place.id)
                    .await
                    .unwrap();
                assert!(found.is_none(), "{other} {livemode}: {found:?}");
            }
            let found = payments
                .payment_of_refund((other, livemode), of_own[0].0)
                .await
                .unwrap();
            assert!(found.is_none(), "{other} {livemode}: {found:?}");
        }
        assert_eq!(listed(&platform).await, own, "the owner has it still");
    });
}

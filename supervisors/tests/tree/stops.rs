//! What operators stop is durable, in order, and stops nothing that was begun.

use crate::provider::{Script, provider_id};
use crate::world::{World, answers, merchant, submit, submit_all};
use florin_actors::payment::NotStored;
use florin_actors::payments_handle::RequestError;
use florin_domain::ids::ApiKeyId;
use florin_domain::merchant::{Control, ControlEvent, OperatorAction};
use florin_domain::payment::{Answer, Status};
use florin_supervisors::platform::Platform;
use std::sync::Arc;
use std::time::Duration;

fn because(reason: &str) -> OperatorAction {
    OperatorAction {
        operator: ApiKeyId::from_bits(77),
        reason: Some(Arc::from(reason)),
    }
}

async fn record(platform: &Platform, event: ControlEvent) {
    platform.ledger().record_control(event).await.unwrap();
}

fn control(platform: &Platform) -> Arc<Control> {
    platform.context().directory.load_full()
}

/// Request `n` finds no provider, and nothing of it is stored.
async fn check_refused(world: &World, platform: &Platform, n: usize) {
    let refused = submit(&platform.payments(), n).await;
    let why = refused.as_ref().err();
    assert_eq!(why, Some(&RequestError::NotStored(NotStored::NoProvider)), "{n}");
    world.check_not_stored(&[(n, refused)]);
}

#[test]
fn stops_outlive_crashes_with_and_without_a_snapshot_until_they_are_lifted() {
    let world = World::new(34);
    let stopped = world.life(async |world, platform| {
        record(
            &platform,
            ControlEvent::ProviderDisabled(provider_id(), because("it hangs")),
        )
        .await;
        record(
            &platform,
            ControlEvent::MerchantFrozen(merchant(), because("chargebacks")),
        )
        .await;
        record(&platform, ControlEvent::ReadOnlyEntered(because("moving"))).await;
        check_refused(world, &platform, 0).await;
        control(&platform).stops.clone()
    });
    assert_eq!(stopped.providers.get(&provider_id()), Some(&because("it hangs")));
    assert_eq!(stopped.merchants.get(&merchant()), Some(&because("chargebacks")));
    assert_eq!(stopped.read_only, Some(because("moving")));
    world.life(async |world, platform| {
        assert_eq!(control(&platform).stops, stopped);
        check_refused(world, &platform, 0).await;
        platform.ledger().snapshot().await.unwrap();
    });
    world.life(async |world, platform| {
        assert_eq!(control(&platform).stops, stopped, "from the snapshot");
        check_refused(world, &platform, 0).await;
        record(
            &platform,
            ControlEvent::ProviderEnabled(provider_id(), because("it is back")),
        )
        .await;
        let paid = submit(&platform.payments(), 0).await.unwrap();
        assert_eq!(paid.answer, Answer::Shown, "the same key");
    });
    world.life(async |world, platform| {
        let stops = &control(&platform).stops;
        assert!(stops.providers.is_empty(), "the tail after the snapshot");
        assert_eq!(stops.read_only, stopped.read_only);
        assert_eq!(
            submit(&platform.payments(), 1).await.unwrap().answer,
            Answer::Shown
        );
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn a_disabled_provider_is_still_asked_what_it_may_have_charged() {
    World::new(35).life(async |world, platform| {
        for n in 0..10 {
            world.script(n, Script::Mute { charged: n % 2 == 0 });
        }
        for (n, answer) in answers(submit_all(&platform.payments(), 0..10)).await {
            assert_eq!(answer.unwrap().answer, Answer::Unresolved, "{n}");
        }
        record(
            &platform,
            ControlEvent::ProviderDisabled(provider_id(), because("it is mute")),
        )
        .await;
        record(&platform, ControlEvent::ReadOnlyEntered(because("wait"))).await;
        check_refused(world, &platform, 10).await;
        world.provider.tell_the_truth();
        tokio::time::sleep(Duration::from_hours(1)).await;
        let truth = world.check_always();
        assert_eq!(truth.payments.len(), 10);
        for payment in truth.payments.values() {
            assert_eq!(payment.status, Status::Succeeded, "{}", payment.id());
        }
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn of_changes_that_come_at_once_the_last_one_holds() {
    World::new(36).busy_life(async |_, platform| {
        for _ in 0..50 {
            let changes = (0..8_u8).map(|n| {
                let (ledger, action) = (platform.ledger(), because(&n.to_string()));
                tokio::spawn(async move {
                    let event = if n % 2 == 0 {
                        ControlEvent::ReadOnlyEntered(action)
                    } else {
                        ControlEvent::ReadOnlyLeft(action)
                    };
                    (ledger.record_control(event.clone()).await.unwrap(), event)
                })
            });
            let mut recorded = Vec::new();
            for change in changes.collect::<Vec<_>>() {
                recorded.push(change.await.unwrap());
            }
            let (_, last) = recorded.into_iter().max_by_key(|(seq, _)| *seq).unwrap();
            let is_read_only = matches!(last, ControlEvent::ReadOnlyEntered(_));
            let shown = control(&platform).stops.read_only.clone();
            assert_eq!(shown.is_some(), is_read_only, "{last:?}, but {shown:?} holds");
        }
    });
}

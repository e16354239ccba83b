//! Starts of several shards that fail, and starts that nothing may refuse.

use crate::crossings_land::{Land, asked, check_at_rest, settlers, single};
use florin_actors::account_shard::{GeneralMail, ShardMail};
use florin_actors::context::Step;
use florin_actors::ledger_handle::Told;
use florin_actors::mailbox::Class;
use florin_domain::ids::{ApiKeyId, ShardId};
use florin_domain::ledger::EffectiveDate;
use florin_supervisors::platform::{Platform, StartError};
use tokio::sync::oneshot;

#[test]
fn trees_that_were_started_are_stopped_before_a_start_fails() {
    for nth in 1..=3 {
        let land = Land::new(20 + nth);
        let accounts = land.life(async |_, platform| settlers(&platform.ledger()).await);
        land.world.probe.arm(Step::TreeStarting, nth);
        let refused = land.refusal();
        assert!(matches!(refused, StartError::Tree(_)), "{refused}");
        assert_eq!(land.world.probe.fired(), 1);
        assert_eq!(land.world.fatal.count(), 0, "ends are expected");
        land.world.probe.disarm();
        // Nothing of it is in the way of the next start.
        land.life(async |land, platform| {
            let moved = single(7, accounts[0], accounts[4], 400);
            let answer = platform.ledger().transfer(asked(vec![moved])).await.unwrap();
            assert_eq!(answer.told, [Told::Done]);
            land.settle().await;
            check_at_rest(&platform, &accounts).await;
        });
    }
}

/// Closes a day in one shard only, as a crash between two shards leaves it.
async fn close_in(platform: &Platform, shard: ShardId, through: EffectiveDate) {
    let (reply, closed) = oneshot::channel();
    let mail = GeneralMail::ClosePeriod {
        through,
        livemode: false,
        by: Some(ApiKeyId::from_bits(1)),
        held: None,
        reply,
    };
    let context = platform.shards().get(shard).expect("it was started");
    context
        .account_shard
        .send(Class::Internal, ShardMail::General(mail))
        .expect("its account shard is there");
    closed.await.expect("it is durable");
}

#[test]
fn periods_are_levelled_at_a_start_whatever_admission_would_refuse() {
    let land = Land::new(30);
    let (first, second) = (EffectiveDate(19_000), EffectiveDate(19_001));
    land.life(async |_, platform| {
        let (ledger, context) = (platform.ledger(), platform.context());
        // No room, an index that lags, and no operation admitted any more: each refuses new work.
        context.admission.set_no_room(ShardId(2), true);
        context.lag.set_keys(u64::MAX);
        for day in [first, second] {
            close_in(&platform, ShardId(1), day).await;
            assert_ne!(ledger.closed_periods().await.unwrap().test, Some(day));
            ledger.level_periods().await.unwrap();
            assert_eq!(ledger.closed_periods().await.unwrap().test, Some(day));
            context.admission.drain();
        }
        let refused = ledger.close_period(second, false, ApiKeyId::from_bits(1)).await;
        refused.expect_err("people are refused as before");
        close_in(&platform, ShardId(1), EffectiveDate(19_002)).await;
    });
    land.life(async |_, platform| {
        let closed = platform.ledger().closed_periods().await.unwrap();
        assert_eq!(closed.test, Some(EffectiveDate(19_002)), "the next start does it");
    });
}

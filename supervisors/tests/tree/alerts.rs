//! Balance alerts where the disk is slow: nobody is told of what is not durable.

use crate::crossings_land::{Land, SHARDS, settlers};
use florin_actors::account_shard::{AlertCreation, AlertMail, ShardMail};
use florin_domain::ids::{ApiKeyId, ShardId};
use florin_domain::ledger::{AlertCondition, AlertField, AlertId, AlertRefusal, AlertTerms};
use std::time::Duration;
use tokio::sync::oneshot;

#[test]
fn that_an_id_is_used_is_said_when_it_is_durable() {
    Land::new(31).life(async |land, platform| {
        let ledger = platform.ledger();
        let accounts = settlers(&ledger).await;
        let last = ShardId(SHARDS - 1);
        let (id, by) = (AlertId(7), ApiKeyId::from_bits(1));
        let terms = |account| AlertTerms {
            id,
            account,
            field: AlertField::Balance,
            condition: AlertCondition::Below,
            amount_minor: 1,
            description: None,
            metadata: Vec::new(),
        };
        let appends = &land.faults(usize::from(last.0)).appends;
        appends.close();
        let making = tokio::spawn({
            let (ledger, terms) = (ledger.clone(), terms(accounts[4]));
            async move { ledger.create_alert((last, terms), by).await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (reply, mut said) = oneshot::channel();
        let context = platform.shards().get(last).unwrap();
        context
            .account_shard
            .step(ShardMail::Alert(AlertMail::IsUsed { id, reply }));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(said.try_recv().is_err(), "a crash would take it back");
        assert!(!making.is_finished());
        appends.open();
        assert!(said.await.unwrap());
        let made = making.await.unwrap().unwrap();
        assert!(matches!(made, AlertCreation::Created(_)), "{made:?}");
        let twice = ledger
            .create_alert((ShardId::FIRST, terms(accounts[0])), by)
            .await;
        assert_eq!(
            twice.unwrap(),
            AlertCreation::Refused(AlertRefusal::IdReused),
            "in whichever shard"
        );
    });
}

//! Balance alerts over all shards. An alert is in the shard of its account; its id is unique over all of them.

use super::{LedgerError, LedgerHandle};
use crate::account_shard::{AlertCreation, AlertMail, AlertPage, ShardMail, ShownAlert};
use florin_domain::ids::{ApiKeyId, ShardId};
use florin_domain::ledger::{AlertId, AlertRefusal, AlertTerms};

impl LedgerHandle {
    /// A fresh id.
    pub fn new_alert_id(&self) -> AlertId {
        let entropy = &self.context.ports.entropy;
        AlertId::random((u128::from(entropy.next_u64()) << 64) | u128::from(entropy.next_u64()))
    }

    /// Makes an alert in the shard of its account, or says that it is there already.
    pub async fn create_alert(
        &self,
        (shard, terms): (ShardId, AlertTerms),
        by: ApiKeyId,
    ) -> Result<AlertCreation, LedgerError> {
        let (id, terms) = (terms.id, Box::new(terms));
        // Two requests with one id for two shards would each find it unused in the other. Alerts are made rarely, so they may queue.
        let _one_at_a_time = self.shards.home().alert_ids.lock().await;
        for context in self.shards.iter().filter(|context| context.shard != shard) {
            let asked = |reply| ShardMail::Alert(AlertMail::IsUsed { id, reply });
            if self.on(context).ask(asked).await? {
                return Ok(AlertCreation::Refused(AlertRefusal::IdReused));
            }
        }
        let Some(context) = self.shards.get(shard) else {
            return Ok(AlertCreation::Refused(AlertRefusal::UnknownAccount(
                terms.account,
            )));
        };
        let held = self.held(0)?;
        let mail = |reply| AlertMail::Create {
            terms,
            by,
            held,
            reply,
        };
        self.on(context).ask(|reply| ShardMail::Alert(mail(reply))).await
    }

    /// Deletes an alert. `false` if there is none.
    pub async fn delete_alert(&self, id: AlertId, by: ApiKeyId) -> Result<bool, LedgerError> {
        for context in self.shards.iter() {
            let held = self.held(0)?;
            let mail = |reply| AlertMail::Delete { id, by, held, reply };
            if self
                .on(context)
                .ask(|reply| ShardMail::Alert(mail(reply)))
                .await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// An alert.
    pub async fn alert(&self, id: AlertId) -> Result<Option<ShownAlert>, LedgerError> {
        for context in self.shards.iter() {
            let asked = |reply| ShardMail::Alert(AlertMail::Get { id, reply });
            let found = self.on(context).ask(asked).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Alerts by id, those of all shards or of one.
    pub async fn alerts(
        &self,
        page: AlertPage,
        only: Option<ShardId>,
    ) -> Result<Vec<ShownAlert>, LedgerError> {
        let mut found = Vec::new();
        let wanted = |shard| only.is_none_or(|only| only == shard);
        for context in self.shards.iter().filter(|context| wanted(context.shard)) {
            let asked = |reply| ShardMail::Alert(AlertMail::List { page, reply });
            found.extend(self.on(context).ask(asked).await?);
        }
        found.sort_by_key(|shown| shown.alert.terms.id);
        found.truncate(page.limit);
        Ok(found)
    }
}

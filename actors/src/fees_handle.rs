//! The face of fees: what a merchant is charged, from when on, and changes of it. A change is answered when it is durable and every payment that is
//! asked for from then on goes by it.

use crate::context::Context;
use crate::ledger_handle::LedgerHandle;
use crate::next_version::{NextVersion, PutError};
use crate::shards::Shards;
use florin_domain::ids::MerchantId;
use florin_domain::merchant::{ControlEvent, FIRST_FEE, FeeVersion, Merchant};
use florin_domain::money::FeeSchedule;
use std::sync::Arc;

/// What a merchant is charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fees {
    /// Whose fees they are.
    pub merchant: MerchantId,
    /// The number of the one that counts now; 1 for the first.
    pub version: u32,
    /// What is charged now.
    pub schedule: FeeSchedule,
    /// The change that brought it; nothing for the first fee.
    pub change: Option<FeeVersion>,
    /// The number that the next change must follow.
    pub latest: u32,
    /// Changes to come, the earliest first.
    pub to_come: Vec<FeeVersion>,
}

/// The face of fees.
#[derive(Clone, Debug)]
pub struct FeesHandle {
    shards: Shards,
    context: Arc<Context>,
}

impl FeesHandle {
    pub(crate) fn new(shards: Shards) -> Self {
        let context = Arc::clone(shards.home());
        Self { shards, context }
    }

    /// What a payment of this merchant costs that is asked for now.
    pub fn due(&self, merchant: &Merchant) -> FeeSchedule {
        let control = self.context.directory.load();
        if control.fees.is_empty() {
            return merchant.first_fee;
        }
        control.fee(merchant, self.context.ports.clock.now())
    }

    /// A merchant's fees, now and to come. `None` if there is no such merchant.
    pub fn of(&self, id: MerchantId) -> Option<Fees> {
        let control = self.context.directory.load();
        let merchant = control.merchant(id)?;
        let now = self.context.ports.clock.now();
        let unchanged = FIRST_FEE;
        let versions = control.fees.get(&id).unwrap_or(&unchanged);
        Some(Fees {
            merchant: id,
            version: versions.number_in_force(now),
            schedule: control.fee(merchant, now),
            change: versions.in_force(now).cloned(),
            latest: versions.latest(),
            to_come: versions.to_come(now).cloned().collect(),
        })
    }

    /// Changes what a merchant is charged. `None` if there is no such merchant.
    ///
    /// # Errors
    /// If another change came first, it would begin in the past, there are too many, or it could not be made durable.
    pub async fn set(
        &self,
        id: MerchantId,
        schedule: FeeSchedule,
        next: NextVersion,
    ) -> Result<Option<Fees>, PutError> {
        let version = {
            let control = self.context.directory.load();
            if control.merchant(id).is_none() {
                return Ok(None);
            }
            let unchanged = FIRST_FEE;
            let versions = control.fees.get(&id).unwrap_or(&unchanged);
            next.of(versions, self.context.ports.clock.now(), schedule)?
        };
        let recorded = LedgerHandle::new(self.shards.clone())
            .record_version(ControlEvent::FeeSet(id, version))
            .await?;
        let set = self.of(id);
        if recorded.is_none() {
            let latest = set.map_or(FIRST_FEE.latest(), |fees| fees.latest);
            return Err(PutError::Stale { latest });
        }
        Ok(set)
    }
}

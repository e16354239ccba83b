//! Payments as they were: at any commit of the journal, for good. What was once shown of a commit is shown of it for ever.

use super::PaymentsHandle;
use crate::load::{PastPayment, barrier, locate, past};
use florin_domain::ids::{MerchantId, PaymentId, Seq, ShardId};
use florin_domain::payment::Payment;
use florin_domain::ports::{PaymentRow, ReadError, ViewError};
use florin_domain::time::Timestamp;
use std::sync::Arc;
use thiserror::Error;

/// Whose payments are asked for, in which mode; `None` for an operator, who may ask for any.
type Owner = Option<(MerchantId, bool)>;

/// A payment as of a commit.
#[derive(Clone, Debug)]
pub enum AsOf {
    /// There was no such payment, or there never is for whoever asks.
    Missing,
    /// The journal has not come so far.
    Beyond,
    /// It stood like this.
    Stood {
        /// Its state.
        payment: Arc<Payment>,
        /// The commit that made it so.
        seq: Seq,
    },
}

/// A payment with what says where it is recorded.
#[derive(Clone, Debug)]
pub struct RecordedPayment {
    /// The payment and its last record.
    pub row: PaymentRow,
    /// The journal that has it.
    pub shard: ShardId,
    /// The chain hash of that record.
    pub record_hash: [u8; 32],
    /// Now.
    pub issued_at: Timestamp,
}

/// Why the past cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PastError {
    /// The payment's latest row cannot be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl PaymentsHandle {
    async fn row(&self, owner: Owner, id: PaymentId) -> Result<Option<PaymentRow>, ViewError> {
        let row = locate(&self.at(id.shard()).context, id).await?;
        let is_theirs = |row: &PaymentRow| {
            let spec = &row.payment.spec;
            owner.is_none_or(|owner| owner == (spec.merchant, spec.livemode))
        };
        Ok(row.filter(is_theirs))
    }

    /// A merchant's payment after commit `at` of the journal and before the next one.
    pub async fn as_of(&self, owner: (MerchantId, bool), id: PaymentId, at: Seq) -> Result<AsOf, PastError> {
        let context = &self.at(id.shard()).context;
        let Some(mut row) = self.row(Some(owner), id).await? else {
            return Ok(AsOf::Missing);
        };
        if at > row.seq {
            // What becomes durable in this moment could still be a commit before `at`: only behind the barrier is the past over.
            if at > barrier(context).await? {
                return Ok(AsOf::Beyond);
            }
            row = match self.row(Some(owner), id).await? {
                Some(row) => row,
                None => return Ok(AsOf::Missing),
            };
        }
        if at >= row.seq {
            return Ok(AsOf::Stood {
                payment: row.payment,
                seq: row.seq,
            });
        }
        let found = past(context, id, (row.seq, at)).await?;
        Ok(found.map_or(AsOf::Missing, |past| AsOf::Stood {
            payment: past.payment,
            seq: past.seq,
        }))
    }

    /// Every commit of a merchant's payment, or of anybody's, oldest first.
    pub async fn history(
        &self,
        owner: Option<(MerchantId, bool)>,
        id: PaymentId,
    ) -> Result<Option<PastPayment>, PastError> {
        self.past(owner, id).await
    }

    /// A payment, a merchant's or anybody's, with the chain hash of its last record.
    pub async fn with_record_hash(
        &self,
        owner: Option<(MerchantId, bool)>,
        id: PaymentId,
    ) -> Result<Option<RecordedPayment>, PastError> {
        let Some(row) = self.row(owner, id).await? else {
            return Ok(None);
        };
        let context = &self.at(id.shard()).context;
        let shard = context.shard;
        let hash = context.ports.journal.hash_at(shard, row.seq).await?;
        let missing = || ReadError::Damaged {
            seq: row.seq,
            why: "a record that was durable is missing".to_owned(),
        };
        Ok(Some(RecordedPayment {
            shard,
            record_hash: hash.ok_or_else(missing)?,
            issued_at: context.ports.clock.now(),
            row,
        }))
    }

    pub(super) async fn past(&self, owner: Owner, id: PaymentId) -> Result<Option<PastPayment>, PastError> {
        match self.row(owner, id).await? {
            None => Ok(None),
            Some(row) => Ok(past(&self.at(id.shard()).context, id, (row.seq, row.seq)).await?),
        }
    }
}

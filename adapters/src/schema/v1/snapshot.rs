//! Owns the form of a shard snapshot.

use super::scalar::{List, MinorDto, Raw, Stored};
use crate::schema::DecodeError;
use florin_domain::ids::{PaymentId, Seq};
use florin_domain::ledger::{AccountKey, AccountState};
use florin_domain::merchant::{ApiKey, Control, Merchant};
use florin_domain::ports::ShardSnapshot;
use serde::{Deserialize, Serialize};

/// A snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SnapshotDto<'a> {
    seq: u64,
    hash: Raw<32>,
    #[serde(borrow)]
    accounts: List<'a, (AccountKey, AccountState)>,
    open_payments: List<'a, (PaymentId, Seq)>,
    merchants: List<'a, Merchant>,
    keys: List<'a, ApiKey>,
}

/// An account's standing.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct AccountStateDto {
    posted_minor: MinorDto,
    pending_credit_minor: MinorDto,
    pending_debit_minor: MinorDto,
    last_posted: u64,
}

impl Stored<'_> for AccountState {
    type Dto = AccountStateDto;

    fn store(&self) -> AccountStateDto {
        AccountStateDto {
            posted_minor: self.posted.store(),
            pending_credit_minor: self.pending_credit_minor.store(),
            pending_debit_minor: self.pending_debit_minor.store(),
            last_posted: self.last_posted.store(),
        }
    }

    fn load(dto: AccountStateDto) -> Result<Self, DecodeError> {
        Ok(Self {
            posted: Stored::load(dto.posted_minor)?,
            pending_credit_minor: Stored::load(dto.pending_credit_minor)?,
            pending_debit_minor: Stored::load(dto.pending_debit_minor)?,
            last_posted: Stored::load(dto.last_posted)?,
        })
    }
}

impl<'a> Stored<'a> for ShardSnapshot {
    type Dto = SnapshotDto<'a>;

    fn store(&'a self) -> SnapshotDto<'a> {
        SnapshotDto {
            seq: self.seq.store(),
            hash: self.hash.store(),
            accounts: List::Values(&self.accounts),
            open_payments: List::Values(&self.open_payments),
            merchants: List::Values(&self.control.merchants),
            keys: List::Values(&self.control.keys),
        }
    }

    fn load(dto: SnapshotDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            seq: Stored::load(dto.seq)?,
            hash: Stored::load(dto.hash)?,
            accounts: dto.accounts.load()?,
            open_payments: dto.open_payments.load()?,
            control: Control {
                merchants: dto.merchants.load()?,
                keys: dto.keys.load()?,
            },
        })
    }
}

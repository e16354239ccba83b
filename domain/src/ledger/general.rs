//! Accounts that operators open for their own chart, besides those that payments are booked on. An id says all that a posting
//! has to know of its account (type, currency, mode), so that entries can be read without looking anything up.

use super::account::{AccountKey, AccountName, AccountType};
use super::alert::BalanceAlert;
use super::books::Books;
use super::crossing::Crossing;
use super::pending::PendingTransfer;
use super::transfer::{EffectiveDate, TransferId};
use crate::ids::{LedgerAccountId, ShardId, compose};
use crate::money::Currency;
use crate::time::Timestamp;
use std::sync::Arc;

/// Bounds on what an account may hold, on its normal side, in minor units. What pending transfers may still take counts as
/// taken, and what they may still bring as brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountLimits {
    /// No less than this may be available; zero forbids an overdraft.
    pub min_minor: Option<i128>,
    /// No more than this may be held.
    pub max_minor: Option<i128>,
}

/// An account as it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneralAccount {
    /// Identity.
    pub id: LedgerAccountId,
    /// What its owner calls it (`customer:alice`); unique with currency and mode.
    pub name: Arc<str>,
    /// What it may hold.
    pub limits: AccountLimits,
    /// The owner's own pairs.
    pub metadata: Vec<(Arc<str>, Arc<str>)>,
}

/// All of the general ledger but the standings of its accounts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GeneralLedger {
    /// By number.
    pub accounts: Vec<GeneralAccount>,
    /// Reservations that stand, by id.
    pub pending: Vec<(TransferId, PendingTransfer)>,
    /// Transfers between shards that this one still has to do with.
    pub crossings: Vec<Crossing>,
    /// Alerts on its accounts, by id.
    pub alerts: Vec<BalanceAlert>,
    /// Raises of all alerts there ever were.
    pub alerts_raised_total: u64,
    /// The last closed day of test money.
    pub closed_test: Option<EffectiveDate>,
    /// The last closed day of real money.
    pub closed_live: Option<EffectiveDate>,
}

impl Books {
    /// What a snapshot keeps of the general ledger besides the standings.
    pub fn general_ledger(&self) -> GeneralLedger {
        let pending = self.pending_transfers();
        GeneralLedger {
            accounts: self
                .general_accounts()
                .map(|(account, _)| account.clone())
                .collect(),
            pending: pending.map(|(id, pending)| (id, pending.clone())).collect(),
            crossings: self.crossings().cloned().collect(),
            alerts: self.alerts().all().cloned().collect(),
            alerts_raised_total: self.alerts().raised_total(),
            closed_test: self.closed_through(false),
            closed_live: self.closed_through(true),
        }
    }

    /// Puts the general ledger back into empty books; the standings follow. `false` if it contradicts itself.
    pub fn restore_general(&mut self, general: GeneralLedger) -> bool {
        let all_open = general
            .accounts
            .into_iter()
            .all(|account| self.open_account(account));
        for (id, pending) in general.pending {
            self.restore_pending(id, pending);
        }
        for crossing in general.crossings {
            self.restore_crossing(crossing);
        }
        for (livemode, closed) in [(false, general.closed_test), (true, general.closed_live)] {
            if let Some(day) = closed {
                self.close_through(livemode, day);
            }
        }
        self.restore_alerts(general.alerts, general.alerts_raised_total) && all_open
    }
}

const NUMBER_BITS: u32 = 32;
const CURRENCY_BITS: u32 = 10;

impl LedgerAccountId {
    /// The id of the account with this number in its shard.
    pub fn pack(
        at: Timestamp,
        shard: ShardId,
        (account_type, currency, livemode): (AccountType, Currency, bool),
        number: u32,
    ) -> Self {
        let kind = match account_type {
            AccountType::Asset => 0_u64,
            AccountType::Liability => 1,
            AccountType::Equity => 2,
            AccountType::Revenue => 3,
            AccountType::Expense => 4,
        };
        let terms =
            (kind << (CURRENCY_BITS + 1)) | (u64::from(currency.numeric()) << 1) | u64::from(livemode);
        Self::from_bits(compose(at, shard, (terms << NUMBER_BITS) | u64::from(number)))
    }

    /// The number of the account in its shard, from 0.
    pub const fn number(self) -> u32 {
        (self.bits() & 0xffff_ffff) as u32
    }

    const fn terms(self) -> u64 {
        ((self.bits() >> NUMBER_BITS) & 0xffff_ffff) as u64
    }

    /// The type of the account; nothing if no such id was ever given.
    pub const fn account_type(self) -> Option<AccountType> {
        Some(match self.terms() >> (CURRENCY_BITS + 1) {
            0 => AccountType::Asset,
            1 => AccountType::Liability,
            2 => AccountType::Equity,
            3 => AccountType::Revenue,
            4 => AccountType::Expense,
            _ => return None,
        })
    }

    /// The account that postings name; nothing if no such id was ever given.
    pub fn key(self) -> Option<AccountKey> {
        self.account_type()?;
        let numeric = u16::try_from((self.terms() >> 1) & ((1 << CURRENCY_BITS) - 1)).ok()?;
        Some(AccountKey {
            name: AccountName::General(self),
            currency: Currency::from_numeric(numeric)?,
            livemode: self.terms() & 1 == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_says_what_a_posting_has_to_know(
            number: u32, livemode: bool, currency in prop::sample::select(Currency::all().collect::<Vec<_>>()), kind in 0..5_usize
        ) {
            let types = [AccountType::Asset, AccountType::Liability, AccountType::Equity, AccountType::Revenue, AccountType::Expense];
            let at = Timestamp::from_unix_ms(1_700_000_000_123);
            let id = LedgerAccountId::pack(at, ShardId(3), (types[kind], currency, livemode), number);
            prop_assert_eq!((id.number(), id.shard(), id.drawn_at()), (number, ShardId(3), at));
            prop_assert_eq!(id.account_type(), Some(types[kind]));
            let key = id.key().unwrap();
            prop_assert_eq!((key.currency, key.livemode), (currency, livemode));
            prop_assert_eq!(AccountKey::parse(&key.to_string()), Ok(key));
            prop_assert_eq!(key.name.account_type(), types[kind]);
        }

        #[test]
        fn any_bits_are_an_account_or_none(bits: u128) {
            let id = LedgerAccountId::from_bits(bits);
            if let Some(key) = id.key() {
                prop_assert_eq!(key.name, AccountName::General(id));
            }
        }
    }
}

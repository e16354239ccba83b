//! A ledger account as it is shown, and who may see it.

use super::list::Displayed;
use super::payment_body::Metadata;
use crate::auth::Who;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ledger::{AccountKey, AccountName, AccountState, GeneralAccount, Side};
use florin_domain::money::Balance;
use serde::Serialize;
use std::fmt;

/// An account, or the part that one shard has of it (`fee_revenue:USD@1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) key: AccountKey,
    pub(crate) part: Option<ShardId>,
}

impl From<AccountKey> for Named {
    fn from(key: AccountKey) -> Self {
        Self { key, part: None }
    }
}

impl Named {
    /// Reads the form that `Display` writes. Only what every shard has a part of is named by part.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (key, part) = match text.split_once('@') {
            None => (text, None),
            Some((key, part)) => (key, Some(part)),
        };
        let key = AccountKey::parse(key).ok()?;
        let is_number = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
        let part = match part {
            None => None,
            Some(part) if key.home().is_none() => Some(ShardId(Some(part).filter(is_number)?.parse().ok()?)),
            Some(_) => return None,
        };
        Some(Self { key, part })
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)?;
        self.part.map_or(Ok(()), |shard| write!(f, "@{}", shard.0))
    }
}

/// The account object.
#[derive(Debug, Serialize)]
pub(crate) struct AccountBody<'a> {
    object: &'static str,
    id: Displayed<Named>,
    #[serde(rename = "type")]
    kind: &'static str,
    currency: &'static str,
    livemode: bool,
    balance: i128,
    /// What is expected is known of the present only.
    pending_credit: Option<i128>,
    pending_debit: Option<i128>,
    available: Option<i128>,
    /// The shard that has it; null if each has a part.
    shard: Option<u16>,
    /// Nothing if it is the sum of several shards' parts.
    as_of_seq: Option<u64>,
    /// Of accounts that operators opened.
    #[serde(flatten)]
    terms: Option<TermsBody<'a>>,
}

/// On which terms an account was opened.
#[derive(Debug, Serialize)]
struct TermsBody<'a> {
    name: &'a str,
    min_balance: Option<i128>,
    max_balance: Option<i128>,
    metadata: Metadata<'a>,
}

impl<'a> AccountBody<'a> {
    /// An account that payments are booked on.
    pub(crate) fn of(named: Named, state: &AccountState, as_of: Option<Seq>) -> Self {
        let kind = named.key.name.account_type();
        let (credit, debit) = (state.pending_credit_minor, state.pending_debit_minor);
        // What is expected to leave is not there to be used; what is expected to come, not yet.
        let leaving = match kind.normal_side() {
            Side::Credit => debit,
            Side::Debit => credit,
        };
        Self {
            pending_credit: Some(credit),
            pending_debit: Some(debit),
            available: Some(state.posted.minor().saturating_sub(leaving)),
            as_of_seq: as_of.map(|seq| seq.0),
            ..Self::past(named, state.posted, Seq::ZERO)
        }
    }

    /// What it once held.
    pub(crate) fn past(named: Named, balance: Balance, as_of: Seq) -> Self {
        let key = named.key;
        Self {
            object: "account",
            id: Displayed(named),
            kind: key.name.account_type().as_str(),
            currency: key.currency.code(),
            livemode: key.livemode,
            balance: balance.minor(),
            pending_credit: None,
            pending_debit: None,
            available: None,
            shard: named.part.or(key.home()).map(|shard| shard.0),
            as_of_seq: Some(as_of.0),
            terms: None,
        }
    }

    /// The same with the terms on which it was opened.
    pub(crate) fn on(self, account: Option<&'a GeneralAccount>) -> Self {
        let terms = account.map(|account| TermsBody {
            name: &account.name,
            min_balance: account.limits.min_minor,
            max_balance: account.limits.max_minor,
            metadata: Metadata(&account.metadata),
        });
        Self { terms, ..self }
    }
}

/// Merchants see what they are owed, in the mode of their key; operators see everything.
pub(crate) fn may_see(who: Who<'_>, account: &AccountKey) -> bool {
    match who {
        Who::Operator => true,
        Who::Merchant(merchant, livemode) => {
            account.name == AccountName::MerchantPayable(merchant.id) && account.livemode == livemode
        }
    }
}

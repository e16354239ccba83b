//! A ledger account as it is shown, and who may see it.

use super::list::Displayed;
use crate::auth::Who;
use florin_domain::ids::Seq;
use florin_domain::ledger::{AccountKey, AccountName, AccountState, Side};
use serde::Serialize;

/// The account object.
#[derive(Debug, Serialize)]
pub(crate) struct AccountBody {
    object: &'static str,
    id: Displayed<AccountKey>,
    #[serde(rename = "type")]
    kind: &'static str,
    currency: &'static str,
    livemode: bool,
    balance: i128,
    pending_credit: i128,
    pending_debit: i128,
    available: i128,
    as_of_seq: u64,
}

impl AccountBody {
    pub(crate) fn of(key: AccountKey, state: &AccountState, as_of: Seq) -> Self {
        let kind = key.name.account_type();
        let (credit, debit) = (state.pending_credit_minor, state.pending_debit_minor);
        // What is expected to leave is not there to be used; what is expected to come, not yet.
        let leaving = match kind.normal_side() {
            Side::Credit => debit,
            Side::Debit => credit,
        };
        Self {
            object: "account",
            id: Displayed(key),
            kind: kind.as_str(),
            currency: key.currency.code(),
            livemode: key.livemode,
            balance: state.posted.minor(),
            pending_credit: credit,
            pending_debit: debit,
            available: state.posted.minor().saturating_sub(leaving),
            as_of_seq: as_of.0,
        }
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

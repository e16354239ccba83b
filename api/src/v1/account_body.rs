//! A ledger account as it is shown, and who may see it.

use super::list::Displayed;
use super::payment_body::Metadata;
use crate::auth::Who;
use florin_domain::ids::Seq;
use florin_domain::ledger::{AccountKey, AccountName, AccountState, GeneralAccount, Side};
use florin_domain::money::Balance;
use serde::Serialize;

/// The account object.
#[derive(Debug, Serialize)]
pub(crate) struct AccountBody<'a> {
    object: &'static str,
    id: Displayed<AccountKey>,
    #[serde(rename = "type")]
    kind: &'static str,
    currency: &'static str,
    livemode: bool,
    balance: i128,
    /// What is expected is known of the present only.
    pending_credit: Option<i128>,
    pending_debit: Option<i128>,
    available: Option<i128>,
    as_of_seq: u64,
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
    pub(crate) fn of(key: AccountKey, state: &AccountState, as_of: Seq) -> Self {
        let kind = key.name.account_type();
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
            ..Self::past(key, state.posted, as_of)
        }
    }

    /// What it once held.
    pub(crate) fn past(key: AccountKey, balance: Balance, as_of: Seq) -> Self {
        Self {
            object: "account",
            id: Displayed(key),
            kind: key.name.account_type().as_str(),
            currency: key.currency.code(),
            livemode: key.livemode,
            balance: balance.minor(),
            pending_credit: None,
            pending_debit: None,
            available: None,
            as_of_seq: as_of.0,
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

//! The chart of accounts. System accounts are striped: each shard has its own, and a logical balance is the sum of the stripes.

use crate::ids::{IdError, LedgerAccountId, MerchantId, ShardId};
use crate::money::Currency;
use crate::provider::ProviderId;
use std::fmt;

/// The five types of the accounting equation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountType {
    /// What is owned or owed to us.
    Asset,
    /// What we owe.
    Liability,
    /// The owners' part.
    Equity,
    /// Earned.
    Revenue,
    /// Spent.
    Expense,
}

/// A side of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Left.
    Debit,
    /// Right.
    Credit,
}

impl Side {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debit => "debit",
            Self::Credit => "credit",
        }
    }
}

impl AccountType {
    /// The side on which the balance grows.
    pub const fn normal_side(self) -> Side {
        match self {
            Self::Asset | Self::Expense => Side::Debit,
            Self::Liability | Self::Equity | Self::Revenue => Side::Credit,
        }
    }

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asset => "asset",
            Self::Liability => "liability",
            Self::Equity => "equity",
            Self::Revenue => "revenue",
            Self::Expense => "expense",
        }
    }
}

/// What an account is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountName {
    /// What we owe a merchant.
    MerchantPayable(MerchantId),
    /// What a provider owes us.
    ProviderClearing(ProviderId),
    /// Our fees.
    FeeRevenue,
    /// What providers charge us.
    ProcessingFees,
    /// Money in the bank.
    Bank,
    /// What could not be assigned yet; watched by operators.
    Suspense,
    /// Parts of minor units that rounding left over.
    Rounding,
    /// Between the halves of transfers from shard to shard; over all shards it comes to zero but for what is under way.
    ShardClearing,
    /// What customers paid for what is our own sale.
    PaymentRevenue,
    /// Refunds that are agreed on and not paid yet.
    RefundsPayable,
    /// Payments that customers' banks took back.
    Chargebacks,
    /// What the owners put in.
    Equity,
    /// One that operators opened.
    General(LedgerAccountId),
}

impl AccountName {
    /// The id of an account that operators opened.
    pub const fn general(self) -> Option<LedgerAccountId> {
        match self {
            Self::General(id) => Some(id),
            Self::MerchantPayable(_)
            | Self::ProviderClearing(_)
            | Self::FeeRevenue
            | Self::ProcessingFees
            | Self::Bank
            | Self::Suspense
            | Self::Rounding
            | Self::ShardClearing
            | Self::PaymentRevenue
            | Self::RefundsPayable
            | Self::Chargebacks
            | Self::Equity => None,
        }
    }

    /// What its written form starts with.
    pub const fn word(self) -> &'static str {
        match self {
            Self::MerchantPayable(_) => "merchant_payable",
            Self::ProviderClearing(_) => "provider_clearing",
            Self::FeeRevenue => "fee_revenue",
            Self::ProcessingFees => "processing_fees",
            Self::Bank => "bank",
            Self::Suspense => "suspense",
            Self::Rounding => "rounding",
            Self::PaymentRevenue => "payment_revenue",
            Self::RefundsPayable => "refunds_payable",
            Self::Chargebacks => "chargebacks",
            Self::Equity => "equity",
            Self::ShardClearing => "shard_clearing",
            Self::General(_) => LedgerAccountId::PREFIX,
        }
    }

    /// The type of the account.
    pub const fn account_type(self) -> AccountType {
        match self {
            // Only ids with a type become names.
            Self::General(id) => match id.account_type() {
                Some(account_type) => account_type,
                None => AccountType::Liability,
            },
            Self::MerchantPayable(_) | Self::Suspense | Self::RefundsPayable | Self::ShardClearing => {
                AccountType::Liability
            }
            Self::ProviderClearing(_) | Self::Bank => AccountType::Asset,
            Self::FeeRevenue | Self::PaymentRevenue => AccountType::Revenue,
            Self::ProcessingFees | Self::Chargebacks => AccountType::Expense,
            Self::Rounding | Self::Equity => AccountType::Equity,
        }
    }
}

/// One account in one currency and mode: what was paid in test mode is nobody's money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey {
    /// What it is for.
    pub name: AccountName,
    /// In what.
    pub currency: Currency,
    /// Whether its money is real.
    pub livemode: bool,
}

/// Ends the written form of a live account; that of a test account ends with its currency.
const LIVE_SUFFIX: &str = ":live";

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.name.word();
        match self.name {
            AccountName::MerchantPayable(merchant) => write!(f, "{word}:{merchant}")?,
            AccountName::ProviderClearing(provider) => write!(f, "{word}:{provider}")?,
            // The id says the currency and the mode.
            AccountName::General(id) => return id.fmt(f),
            AccountName::FeeRevenue
            | AccountName::ProcessingFees
            | AccountName::Bank
            | AccountName::Suspense
            | AccountName::Rounding
            | AccountName::PaymentRevenue
            | AccountName::RefundsPayable
            | AccountName::Chargebacks
            | AccountName::Equity
            | AccountName::ShardClearing => f.write_str(word)?,
        }
        let suffix = if self.livemode { LIVE_SUFFIX } else { "" };
        write!(f, ":{}{suffix}", self.currency.code())
    }
}

impl AccountKey {
    /// The shard that has the account; nothing for those of which each shard has a part.
    pub const fn home(&self) -> Option<ShardId> {
        match self.name {
            AccountName::General(id) => Some(id.shard()),
            AccountName::MerchantPayable(merchant) => Some(merchant.shard()),
            AccountName::ProviderClearing(_)
            | AccountName::FeeRevenue
            | AccountName::ProcessingFees
            | AccountName::Bank
            | AccountName::Suspense
            | AccountName::Rounding
            | AccountName::PaymentRevenue
            | AccountName::RefundsPayable
            | AccountName::Chargebacks
            | AccountName::Equity
            | AccountName::ShardClearing => None,
        }
    }

    /// Reads the form that `Display` writes.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let malformed = IdError::Body("account");
        if text.starts_with(LedgerAccountId::PREFIX) {
            return LedgerAccountId::parse(text)?.key().ok_or(malformed);
        }
        let live = text.strip_suffix(LIVE_SUFFIX);
        let (name, currency) = live.unwrap_or(text).rsplit_once(':').ok_or(malformed)?;
        let currency = Currency::parse(currency).map_err(|_| malformed)?;
        let name = match name.split_once(':') {
            Some(("merchant_payable", id)) => AccountName::MerchantPayable(MerchantId::parse(id)?),
            Some(("provider_clearing", id)) => {
                AccountName::ProviderClearing(ProviderId::parse(id).map_err(|_| malformed)?)
            }
            None if name == "fee_revenue" => AccountName::FeeRevenue,
            None if name == "processing_fees" => AccountName::ProcessingFees,
            None if name == "bank" => AccountName::Bank,
            None if name == "suspense" => AccountName::Suspense,
            None if name == "rounding" => AccountName::Rounding,
            None if name == "shard_clearing" => AccountName::ShardClearing,
            None if name == "payment_revenue" => AccountName::PaymentRevenue,
            None if name == "refunds_payable" => AccountName::RefundsPayable,
            None if name == "chargebacks" => AccountName::Chargebacks,
            None if name == "equity" => AccountName::Equity,
            Some(_) | None => return Err(malformed),
        };
        Ok(Self {
            name,
            currency,
            livemode: live.is_some(),
        })
    }
}

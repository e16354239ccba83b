//! Owns the forms of accounts, journal entries and holds.

use super::scalar::{CurrencyDto, IdDto, List, MinorDto, Stored, impossible};
use super::spec::words;
use crate::schema::DecodeError;
use florin_domain::ids::{LedgerAccountId, MerchantId};
use florin_domain::ledger::{AccountKey, AccountName, HoldChange, Line, PostedEntry, Posting, Side};
use serde::{Deserialize, Serialize};

words! {
    SideDto of Side { Debit Credit }
}

/// What an account is for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccountNameDto<'a> {
    MerchantPayable(IdDto<MerchantId>),
    ProviderClearing(&'a str),
    FeeRevenue,
    ProcessingFees,
    Bank,
    Suspense,
    Rounding,
    General(IdDto<LedgerAccountId>),
    ShardClearing,
    PaymentRevenue,
    RefundsPayable,
    Chargebacks,
    Equity,
}

/// An account.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct AccountKeyDto<'a> {
    #[serde(borrow)]
    name: AccountNameDto<'a>,
    currency: CurrencyDto,
    livemode: bool,
}

/// One line of an entry.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct LineDto<'a> {
    #[serde(borrow)]
    account: AccountKeyDto<'a>,
    side: SideDto,
    amount_minor: u64,
    balance_after_minor: MinorDto,
    account_prev: u64,
}

/// A change of what is expected.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct HoldChangeDto<'a> {
    #[serde(borrow)]
    account: AccountKeyDto<'a>,
    credit_delta_minor: MinorDto,
    debit_delta_minor: MinorDto,
}

impl<'a> Stored<'a> for AccountKey {
    type Dto = AccountKeyDto<'a>;

    fn store(&'a self) -> AccountKeyDto<'a> {
        let name = match &self.name {
            AccountName::MerchantPayable(merchant) => AccountNameDto::MerchantPayable(merchant.store()),
            AccountName::ProviderClearing(provider) => AccountNameDto::ProviderClearing(provider.store()),
            AccountName::FeeRevenue => AccountNameDto::FeeRevenue,
            AccountName::ProcessingFees => AccountNameDto::ProcessingFees,
            AccountName::Bank => AccountNameDto::Bank,
            AccountName::Suspense => AccountNameDto::Suspense,
            AccountName::Rounding => AccountNameDto::Rounding,
            AccountName::ShardClearing => AccountNameDto::ShardClearing,
            AccountName::General(id) => AccountNameDto::General(id.store()),
            AccountName::PaymentRevenue => AccountNameDto::PaymentRevenue,
            AccountName::RefundsPayable => AccountNameDto::RefundsPayable,
            AccountName::Chargebacks => AccountNameDto::Chargebacks,
            AccountName::Equity => AccountNameDto::Equity,
        };
        AccountKeyDto {
            name,
            currency: self.currency.store(),
            livemode: self.livemode,
        }
    }

    fn load(dto: AccountKeyDto<'a>) -> Result<Self, DecodeError> {
        let name = match dto.name {
            AccountNameDto::MerchantPayable(merchant) => {
                AccountName::MerchantPayable(Stored::load(merchant)?)
            }
            AccountNameDto::ProviderClearing(provider) => {
                AccountName::ProviderClearing(Stored::load(provider)?)
            }
            AccountNameDto::FeeRevenue => AccountName::FeeRevenue,
            AccountNameDto::ProcessingFees => AccountName::ProcessingFees,
            AccountNameDto::Bank => AccountName::Bank,
            AccountNameDto::Suspense => AccountName::Suspense,
            AccountNameDto::Rounding => AccountName::Rounding,
            AccountNameDto::ShardClearing => AccountName::ShardClearing,
            AccountNameDto::PaymentRevenue => AccountName::PaymentRevenue,
            AccountNameDto::RefundsPayable => AccountName::RefundsPayable,
            AccountNameDto::Chargebacks => AccountName::Chargebacks,
            AccountNameDto::Equity => AccountName::Equity,
            AccountNameDto::General(id) => {
                let id = LedgerAccountId::load(id)?;
                let is_said =
                    |key: &Self| key.currency.store().0 == dto.currency.0 && key.livemode == dto.livemode;
                let key = id.key().filter(is_said);
                return key.ok_or_else(|| impossible("account")(&id));
            }
        };
        Ok(Self {
            name,
            currency: Stored::load(dto.currency)?,
            livemode: dto.livemode,
        })
    }
}

impl<'a> Stored<'a> for Line {
    type Dto = LineDto<'a>;

    fn store(&'a self) -> LineDto<'a> {
        LineDto {
            account: self.posting.account.store(),
            side: self.posting.side.store(),
            amount_minor: self.posting.amount.store(),
            balance_after_minor: self.balance_after.store(),
            account_prev: self.account_prev.store(),
        }
    }

    fn load(dto: LineDto<'a>) -> Result<Self, DecodeError> {
        let posting = Posting {
            account: Stored::load(dto.account)?,
            side: Stored::load(dto.side)?,
            amount: Stored::load(dto.amount_minor)?,
        };
        Ok(Self {
            posting,
            balance_after: Stored::load(dto.balance_after_minor)?,
            account_prev: Stored::load(dto.account_prev)?,
        })
    }
}

impl<'a> Stored<'a> for PostedEntry {
    type Dto = List<'a, Line>;

    fn store(&'a self) -> List<'a, Line> {
        List::Values(self.lines())
    }

    fn load(dto: List<'a, Line>) -> Result<Self, DecodeError> {
        Self::checked("as recorded", dto.load()?).map_err(|why| impossible("entry")(&why))
    }
}

impl<'a> Stored<'a> for HoldChange {
    type Dto = HoldChangeDto<'a>;

    fn store(&'a self) -> HoldChangeDto<'a> {
        HoldChangeDto {
            account: self.account.store(),
            credit_delta_minor: self.credit_delta_minor.store(),
            debit_delta_minor: self.debit_delta_minor.store(),
        }
    }

    fn load(dto: HoldChangeDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            account: Stored::load(dto.account)?,
            credit_delta_minor: Stored::load(dto.credit_delta_minor)?,
            debit_delta_minor: Stored::load(dto.debit_delta_minor)?,
        })
    }
}

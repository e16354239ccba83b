//! Owns the forms of the general ledger: opened accounts, transfers, reservations.

use super::alert::AlertTermsDto;
use super::entry::AccountKeyDto;
use super::scalar::{IdDto, List, MinorDto, Raw, Stored, impossible};
use crate::schema::DecodeError;
use florin_domain::ids::{ApiKeyId, LedgerAccountId};
use florin_domain::ledger::{
    AccountKey, AccountLimits, AccountName, AlertId, CrossingStep, EffectiveDate, GeneralAccount,
    GeneralLedger, LedgerCommit, LedgerEvent, Legs, Line, Notes, PendingTransfer, PostedEntry, PostedPair,
    PostedTransfer, Posting, TransferId, TransferStep,
};
use florin_domain::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A commit of the general ledger.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LedgerCommitDto<'a> {
    #[serde(borrow)]
    event: LedgerEventDto<'a>,
    by: Option<IdDto<ApiKeyId>>,
}

/// What happened.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum LedgerEventDto<'a> {
    #[serde(rename = "ledger.account_opened", borrow)]
    AccountOpened(GeneralAccountDto<'a>),
    #[serde(rename = "ledger.transferred")]
    Transferred(List<'a, PostedTransfer>),
    #[serde(rename = "ledger.pending_expired")]
    PendingExpired(Vec<Raw<16>>),
    #[serde(rename = "ledger.period_closed")]
    PeriodClosed { through: u32, livemode: bool },
    #[serde(rename = "ledger.crossed")]
    Crossed(List<'a, CrossingStep>),
    #[serde(rename = "ledger.alert_created")]
    AlertCreated(AlertTermsDto<'a>),
    #[serde(rename = "ledger.alert_deleted")]
    AlertDeleted(Raw<16>),
}

/// An opened account.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct GeneralAccountDto<'a> {
    id: IdDto<LedgerAccountId>,
    name: &'a str,
    min_minor: Option<MinorDto>,
    max_minor: Option<MinorDto>,
    #[serde(borrow)]
    metadata: List<'a, (Arc<str>, Arc<str>)>,
}

/// A recorded transfer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TransferDto<'a> {
    id: Raw<16>,
    step: StepDto,
    #[serde(borrow)]
    legs: LegsDto<'a>,
    effective_day: u32,
    notes: Option<NotesDto<'a>>,
}

/// Which step.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StepDto {
    Single,
    Pending { expires_at_ms: Option<u64> },
    Post { pending: Raw<16> },
    Void { pending: Raw<16> },
    Revert { reverts: Raw<16> },
}

/// What it did.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LegsDto<'a> {
    #[serde(borrow)]
    Pair(PairDto<'a>),
    Many(List<'a, Line>),
    Reserved(List<'a, Posting>),
    Released,
}

/// One debit and one credit.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PairDto<'a> {
    #[serde(borrow)]
    debit: ShortAccountDto<'a>,
    credit: ShortAccountDto<'a>,
    amount_minor: u64,
    debit_balance_after_minor: MinorDto,
    credit_balance_after_minor: MinorDto,
    debit_prev: u64,
    credit_prev: u64,
}

/// An account: the id of an opened one says its currency and mode.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ShortAccountDto<'a> {
    Opened(IdDto<LedgerAccountId>),
    #[serde(borrow)]
    Other(AccountKeyDto<'a>),
}

/// What else a transfer says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NotesDto<'a> {
    description: Option<&'a str>,
    /// As people write it.
    exchange_rate: Option<String>,
    #[serde(borrow)]
    metadata: List<'a, (Arc<str>, Arc<str>)>,
}

/// A posting that moved nothing yet.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PostingDto<'a> {
    #[serde(borrow)]
    account: AccountKeyDto<'a>,
    side: super::entry::SideDto,
    amount_minor: u64,
}

/// A reservation that stands.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PendingDto<'a> {
    #[serde(borrow)]
    postings: List<'a, Posting>,
    expires_at_ms: Option<u64>,
}

/// All of the general ledger but the standings of its accounts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct GeneralLedgerDto<'a> {
    #[serde(borrow)]
    accounts: List<'a, GeneralAccount>,
    pending: List<'a, (TransferId, PendingTransfer)>,
    closed_test_day: Option<u32>,
    closed_live_day: Option<u32>,
}

impl Stored<'_> for TransferId {
    type Dto = Raw<16>;

    fn store(&self) -> Raw<16> {
        Raw(self.0.to_be_bytes())
    }

    fn load(dto: Raw<16>) -> Result<Self, DecodeError> {
        Ok(Self(u128::from_be_bytes(dto.0)))
    }
}

impl<'a> Stored<'a> for LedgerCommit {
    type Dto = LedgerCommitDto<'a>;

    fn store(&'a self) -> LedgerCommitDto<'a> {
        let event = match &self.event {
            LedgerEvent::AccountOpened(account) => LedgerEventDto::AccountOpened(account.store()),
            LedgerEvent::Transferred(transfers) => LedgerEventDto::Transferred(List::Values(transfers)),
            LedgerEvent::PendingExpired(ids) => {
                LedgerEventDto::PendingExpired(ids.iter().map(TransferId::store).collect())
            }
            LedgerEvent::Crossed(steps) => LedgerEventDto::Crossed(List::Values(steps)),
            LedgerEvent::PeriodClosed { through, livemode } => LedgerEventDto::PeriodClosed {
                through: through.0,
                livemode: *livemode,
            },
            LedgerEvent::AlertCreated(terms) => LedgerEventDto::AlertCreated(terms.store()),
            LedgerEvent::AlertDeleted(id) => LedgerEventDto::AlertDeleted(id.store()),
        };
        LedgerCommitDto {
            event,
            by: self.by.store(),
        }
    }

    fn load(dto: LedgerCommitDto<'a>) -> Result<Self, DecodeError> {
        let event = match dto.event {
            LedgerEventDto::AccountOpened(account) => LedgerEvent::AccountOpened(Stored::load(account)?),
            LedgerEventDto::Transferred(transfers) => LedgerEvent::Transferred(transfers.load()?),
            LedgerEventDto::PendingExpired(ids) => {
                let ids: Result<_, _> = ids.into_iter().map(TransferId::load).collect();
                LedgerEvent::PendingExpired(ids?)
            }
            LedgerEventDto::Crossed(steps) => LedgerEvent::Crossed(steps.load()?),
            LedgerEventDto::PeriodClosed { through, livemode } => LedgerEvent::PeriodClosed {
                through: EffectiveDate(through),
                livemode,
            },
            LedgerEventDto::AlertCreated(terms) => LedgerEvent::AlertCreated(Stored::load(terms)?),
            LedgerEventDto::AlertDeleted(id) => LedgerEvent::AlertDeleted(AlertId::load(id)?),
        };
        Ok(Self {
            event,
            by: Stored::load(dto.by)?,
        })
    }
}

impl<'a> Stored<'a> for GeneralAccount {
    type Dto = GeneralAccountDto<'a>;

    fn store(&'a self) -> GeneralAccountDto<'a> {
        GeneralAccountDto {
            id: self.id.store(),
            name: self.name.store(),
            min_minor: self.limits.min_minor.store(),
            max_minor: self.limits.max_minor.store(),
            metadata: List::Values(&self.metadata),
        }
    }

    fn load(dto: GeneralAccountDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: opened(dto.id)?,
            name: Stored::load(dto.name)?,
            limits: AccountLimits {
                min_minor: Stored::load(dto.min_minor)?,
                max_minor: Stored::load(dto.max_minor)?,
            },
            metadata: dto.metadata.load()?,
        })
    }
}

/// Only ids that say a type and a currency are ids of accounts.
fn opened(dto: IdDto<LedgerAccountId>) -> Result<LedgerAccountId, DecodeError> {
    let id = LedgerAccountId::load(dto)?;
    match id.key() {
        Some(_) => Ok(id),
        None => Err(impossible("account")(&id)),
    }
}

impl<'a> Stored<'a> for PostedTransfer {
    type Dto = TransferDto<'a>;

    fn store(&'a self) -> TransferDto<'a> {
        let step = match &self.step {
            TransferStep::Single => StepDto::Single,
            TransferStep::Pending { expires_at } => StepDto::Pending {
                expires_at_ms: expires_at.store(),
            },
            TransferStep::Post { pending } => StepDto::Post {
                pending: pending.store(),
            },
            TransferStep::Void { pending } => StepDto::Void {
                pending: pending.store(),
            },
            TransferStep::Revert { reverts } => StepDto::Revert {
                reverts: reverts.store(),
            },
        };
        let legs = match &self.legs {
            Legs::Pair(pair) => LegsDto::Pair(pair.store()),
            Legs::Many(entry) => LegsDto::Many(entry.store()),
            Legs::Reserved(postings) => LegsDto::Reserved(List::Values(postings)),
            Legs::Released => LegsDto::Released,
        };
        TransferDto {
            id: self.id.store(),
            step,
            legs,
            effective_day: self.effective.0,
            notes: self.notes.as_deref().map(Notes::store),
        }
    }

    fn load(dto: TransferDto<'a>) -> Result<Self, DecodeError> {
        let step = match dto.step {
            StepDto::Single => TransferStep::Single,
            StepDto::Pending { expires_at_ms } => TransferStep::Pending {
                expires_at: Stored::load(expires_at_ms)?,
            },
            StepDto::Post { pending } => TransferStep::Post {
                pending: Stored::load(pending)?,
            },
            StepDto::Void { pending } => TransferStep::Void {
                pending: Stored::load(pending)?,
            },
            StepDto::Revert { reverts } => TransferStep::Revert {
                reverts: Stored::load(reverts)?,
            },
        };
        let legs = match dto.legs {
            LegsDto::Pair(pair) => Legs::Pair(Stored::load(pair)?),
            LegsDto::Many(lines) => Legs::Many(PostedEntry::load(lines)?),
            LegsDto::Reserved(postings) => Legs::Reserved(postings.load()?),
            LegsDto::Released => Legs::Released,
        };
        Ok(Self {
            id: Stored::load(dto.id)?,
            step,
            legs,
            effective: EffectiveDate(dto.effective_day),
            notes: dto.notes.map(Notes::load).transpose()?.map(Box::new),
        })
    }
}

impl<'a> Stored<'a> for PostedPair {
    type Dto = PairDto<'a>;

    fn store(&'a self) -> PairDto<'a> {
        PairDto {
            debit: short(&self.debit),
            credit: short(&self.credit),
            amount_minor: self.amount.store(),
            debit_balance_after_minor: self.balances_after[0].store(),
            credit_balance_after_minor: self.balances_after[1].store(),
            debit_prev: self.account_prevs[0].store(),
            credit_prev: self.account_prevs[1].store(),
        }
    }

    fn load(dto: PairDto<'a>) -> Result<Self, DecodeError> {
        let (debit, credit) = (long(dto.debit)?, long(dto.credit)?);
        if debit == credit || (debit.currency, debit.livemode) != (credit.currency, credit.livemode) {
            return Err(impossible("pair")(&credit));
        }
        Ok(Self {
            debit,
            credit,
            amount: Stored::load(dto.amount_minor)?,
            balances_after: [
                Stored::load(dto.debit_balance_after_minor)?,
                Stored::load(dto.credit_balance_after_minor)?,
            ],
            account_prevs: [Stored::load(dto.debit_prev)?, Stored::load(dto.credit_prev)?],
        })
    }
}

fn short(key: &AccountKey) -> ShortAccountDto<'_> {
    match &key.name {
        AccountName::General(id) => ShortAccountDto::Opened(id.store()),
        _ => ShortAccountDto::Other(key.store()),
    }
}

fn long(dto: ShortAccountDto<'_>) -> Result<AccountKey, DecodeError> {
    match dto {
        ShortAccountDto::Opened(id) => {
            let id = LedgerAccountId::load(id)?;
            id.key().ok_or_else(|| impossible("account")(&id))
        }
        ShortAccountDto::Other(key) => Stored::load(key),
    }
}

impl<'a> Stored<'a> for Notes {
    type Dto = NotesDto<'a>;

    fn store(&'a self) -> NotesDto<'a> {
        NotesDto {
            description: self.description.as_deref(),
            exchange_rate: self.exchange_rate.map(|rate| rate.to_string()),
            metadata: List::Values(&self.metadata),
        }
    }

    fn load(dto: NotesDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            description: dto.description.map(Arc::from),
            exchange_rate: dto.exchange_rate.as_deref().map(exchange_rate).transpose()?,
            metadata: dto.metadata.load()?,
        })
    }
}

/// A rate has one form: digits that nobody wrote are not read.
fn exchange_rate(text: &str) -> Result<Decimal, DecodeError> {
    match Decimal::from_str_exact(text) {
        Ok(rate) if rate.to_string() == text => Ok(rate),
        Ok(_) | Err(_) => Err(impossible("exchange rate")(&text)),
    }
}

impl<'a> Stored<'a> for Posting {
    type Dto = PostingDto<'a>;

    fn store(&'a self) -> PostingDto<'a> {
        PostingDto {
            account: self.account.store(),
            side: self.side.store(),
            amount_minor: self.amount.store(),
        }
    }

    fn load(dto: PostingDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            account: Stored::load(dto.account)?,
            side: Stored::load(dto.side)?,
            amount: Stored::load(dto.amount_minor)?,
        })
    }
}

impl<'a> Stored<'a> for PendingTransfer {
    type Dto = PendingDto<'a>;

    fn store(&'a self) -> PendingDto<'a> {
        PendingDto {
            postings: List::Values(&self.postings),
            expires_at_ms: self.expires_at.store(),
        }
    }

    fn load(dto: PendingDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            postings: dto.postings.load()?,
            expires_at: dto.expires_at_ms.map(Timestamp::load).transpose()?,
        })
    }
}

impl<'a> Stored<'a> for GeneralLedger {
    type Dto = GeneralLedgerDto<'a>;

    fn store(&'a self) -> GeneralLedgerDto<'a> {
        GeneralLedgerDto {
            accounts: List::Values(&self.accounts),
            pending: List::Values(&self.pending),
            closed_test_day: self.closed_test.map(|day| day.0),
            closed_live_day: self.closed_live.map(|day| day.0),
        }
    }

    fn load(dto: GeneralLedgerDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            accounts: dto.accounts.load()?,
            pending: dto.pending.load()?,
            // A snapshot keeps these behind its other parts.
            crossings: Vec::new(),
            alerts: Vec::new(),
            alerts_raised_total: 0,
            closed_test: dto.closed_test_day.map(EffectiveDate),
            closed_live: dto.closed_live_day.map(EffectiveDate),
        })
    }
}

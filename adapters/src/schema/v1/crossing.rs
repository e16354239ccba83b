//! Owns the forms of transfers between shards: their steps, and those that a shard still has to do with.

use super::entry::AccountKeyDto;
use super::ledger::{NotesDto, TransferDto};
use super::scalar::{List, Raw, Stored};
use super::spec::words;
use crate::schema::DecodeError;
use florin_domain::ledger::{
    AbortReason, CrossOutcome, CrossPhase, CrossTransfer, Crossing, CrossingStep, EffectiveDate, Notes,
};
use serde::{Deserialize, Serialize};

words! {
    AbortReasonDto of AbortReason {
        InsufficientFunds ExceedsLimit UnknownAccount PeriodClosed Overflow IdReused GivenUp FraudCheck
    }
}

/// A transfer between shards.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CrossTransferDto<'a> {
    id: Raw<16>,
    #[serde(borrow)]
    debit: AccountKeyDto<'a>,
    credit: AccountKeyDto<'a>,
    amount_minor: u64,
    effective_day: u32,
    notes: Option<NotesDto<'a>>,
}

/// One step of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CrossingStepDto<'a> {
    #[serde(borrow)]
    Prepared(CrossTransferDto<'a>),
    Reserved(CrossTransferDto<'a>),
    Decided {
        posted: TransferDto<'a>,
        credit: AccountKeyDto<'a>,
    },
    Applied {
        posted: TransferDto<'a>,
        debit: AccountKeyDto<'a>,
    },
    Aborted {
        transfer: CrossTransferDto<'a>,
        why: AbortReasonDto,
    },
    Settled(Raw<16>),
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CrossPhaseDto {
    Prepared,
    Reserved,
    Decided,
    Aborted(AbortReasonDto),
}

/// One that a shard still has to do with.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CrossingDto<'a> {
    #[serde(borrow)]
    transfer: CrossTransferDto<'a>,
    phase: CrossPhaseDto,
    since_ms: u64,
}

/// Those of a snapshot.
pub(crate) type CrossingsDto<'a> = List<'a, Crossing>;

impl<'a> Stored<'a> for CrossTransfer {
    type Dto = CrossTransferDto<'a>;

    fn store(&'a self) -> CrossTransferDto<'a> {
        CrossTransferDto {
            id: self.id.store(),
            debit: self.debit.store(),
            credit: self.credit.store(),
            amount_minor: self.amount.store(),
            effective_day: self.effective.0,
            notes: self.notes.as_deref().map(Notes::store),
        }
    }

    fn load(dto: CrossTransferDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: Stored::load(dto.id)?,
            debit: Stored::load(dto.debit)?,
            credit: Stored::load(dto.credit)?,
            amount: Stored::load(dto.amount_minor)?,
            effective: EffectiveDate(dto.effective_day),
            notes: dto.notes.map(Notes::load).transpose()?.map(Box::new),
        })
    }
}

impl<'a> Stored<'a> for CrossingStep {
    type Dto = CrossingStepDto<'a>;

    fn store(&'a self) -> CrossingStepDto<'a> {
        match self {
            Self::Prepared(transfer) => CrossingStepDto::Prepared(transfer.store()),
            Self::Reserved(transfer) => CrossingStepDto::Reserved(transfer.store()),
            Self::Decided { posted, credit } => CrossingStepDto::Decided {
                posted: posted.store(),
                credit: credit.store(),
            },
            Self::Applied { posted, debit } => CrossingStepDto::Applied {
                posted: posted.store(),
                debit: debit.store(),
            },
            Self::Aborted { transfer, why } => CrossingStepDto::Aborted {
                transfer: transfer.store(),
                why: why.store(),
            },
            Self::Settled(id) => CrossingStepDto::Settled(id.store()),
        }
    }

    fn load(dto: CrossingStepDto<'a>) -> Result<Self, DecodeError> {
        Ok(match dto {
            CrossingStepDto::Prepared(transfer) => Self::Prepared(Stored::load(transfer)?),
            CrossingStepDto::Reserved(transfer) => Self::Reserved(Stored::load(transfer)?),
            CrossingStepDto::Decided { posted, credit } => Self::Decided {
                posted: Stored::load(posted)?,
                credit: Stored::load(credit)?,
            },
            CrossingStepDto::Applied { posted, debit } => Self::Applied {
                posted: Stored::load(posted)?,
                debit: Stored::load(debit)?,
            },
            CrossingStepDto::Aborted { transfer, why } => Self::Aborted {
                transfer: Stored::load(transfer)?,
                why: Stored::load(why)?,
            },
            CrossingStepDto::Settled(id) => Self::Settled(Stored::load(id)?),
        })
    }
}

impl Stored<'_> for CrossPhase {
    type Dto = CrossPhaseDto;

    fn store(&self) -> CrossPhaseDto {
        match self {
            Self::Prepared => CrossPhaseDto::Prepared,
            Self::Reserved => CrossPhaseDto::Reserved,
            Self::Over(CrossOutcome::Decided) => CrossPhaseDto::Decided,
            Self::Over(CrossOutcome::Aborted(why)) => CrossPhaseDto::Aborted(why.store()),
        }
    }

    fn load(dto: CrossPhaseDto) -> Result<Self, DecodeError> {
        Ok(match dto {
            CrossPhaseDto::Prepared => Self::Prepared,
            CrossPhaseDto::Reserved => Self::Reserved,
            CrossPhaseDto::Decided => Self::Over(CrossOutcome::Decided),
            CrossPhaseDto::Aborted(why) => Self::Over(CrossOutcome::Aborted(Stored::load(why)?)),
        })
    }
}

impl<'a> Stored<'a> for Crossing {
    type Dto = CrossingDto<'a>;

    fn store(&'a self) -> CrossingDto<'a> {
        CrossingDto {
            transfer: self.transfer.store(),
            phase: self.phase.store(),
            since_ms: self.since.store(),
        }
    }

    fn load(dto: CrossingDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            transfer: Stored::load(dto.transfer)?,
            phase: Stored::load(dto.phase)?,
            since: Stored::load(dto.since_ms)?,
        })
    }
}

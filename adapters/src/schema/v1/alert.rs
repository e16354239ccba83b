//! Owns the forms of balance alerts: their terms, and how they stand.

use super::entry::AccountKeyDto;
use super::scalar::{List, MinorDto, Raw, Stored};
use super::spec::words;
use crate::schema::DecodeError;
use florin_domain::ledger::{
    AlertCondition, AlertEdge, AlertField, AlertId, AlertTerms, BalanceAlert, GeneralLedger,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

words! {
    AlertFieldDto of AlertField { Balance Available PendingDebits PendingCredits }
    AlertConditionDto of AlertCondition { Below Above AtOrBelow AtOrAbove }
}

/// What an alert is about.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AlertTermsDto<'a> {
    id: Raw<16>,
    #[serde(borrow)]
    account: AccountKeyDto<'a>,
    field: AlertFieldDto,
    condition: AlertConditionDto,
    amount_minor: MinorDto,
    description: Option<&'a str>,
    metadata: List<'a, (Arc<str>, Arc<str>)>,
}

/// A moment at which an alert was raised or armed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct AlertEdgeDto {
    is_raised: bool,
    seq: u64,
    at_ms: u64,
    value_minor: MinorDto,
}

/// An alert as it stands.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BalanceAlertDto<'a> {
    #[serde(borrow)]
    terms: AlertTermsDto<'a>,
    created_seq: u64,
    created_at_ms: u64,
    times_raised: u64,
    last: AlertEdgeDto,
    earlier: Vec<AlertEdgeDto>,
}

/// The alerts of a shard.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AlertsDto<'a> {
    #[serde(borrow)]
    alerts: List<'a, BalanceAlert>,
    raised_total: u64,
}

impl<'a> AlertsDto<'a> {
    /// Those of a general ledger.
    pub(crate) fn of(general: &'a GeneralLedger) -> Self {
        Self {
            alerts: List::Values(&general.alerts),
            raised_total: general.alerts_raised_total,
        }
    }

    /// The same ledger with these.
    pub(crate) fn into(self, general: GeneralLedger) -> Result<GeneralLedger, DecodeError> {
        Ok(GeneralLedger {
            alerts: self.alerts.load()?,
            alerts_raised_total: self.raised_total,
            ..general
        })
    }
}

impl Stored<'_> for AlertId {
    type Dto = Raw<16>;

    fn store(&self) -> Raw<16> {
        Raw(self.0.to_be_bytes())
    }

    fn load(dto: Raw<16>) -> Result<Self, DecodeError> {
        Ok(Self(u128::from_be_bytes(dto.0)))
    }
}

impl<'a> Stored<'a> for AlertTerms {
    type Dto = AlertTermsDto<'a>;

    fn store(&'a self) -> AlertTermsDto<'a> {
        AlertTermsDto {
            id: self.id.store(),
            account: self.account.store(),
            field: self.field.store(),
            condition: self.condition.store(),
            amount_minor: self.amount_minor.store(),
            description: self.description.store(),
            metadata: List::Values(&self.metadata),
        }
    }

    fn load(dto: AlertTermsDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: Stored::load(dto.id)?,
            account: Stored::load(dto.account)?,
            field: Stored::load(dto.field)?,
            condition: Stored::load(dto.condition)?,
            amount_minor: Stored::load(dto.amount_minor)?,
            description: Stored::load(dto.description)?,
            metadata: dto.metadata.load()?,
        })
    }
}

impl Stored<'_> for AlertEdge {
    type Dto = AlertEdgeDto;

    fn store(&self) -> AlertEdgeDto {
        AlertEdgeDto {
            is_raised: self.is_raised,
            seq: self.seq.store(),
            at_ms: self.at.store(),
            value_minor: self.value_minor.store(),
        }
    }

    fn load(dto: AlertEdgeDto) -> Result<Self, DecodeError> {
        Ok(Self {
            is_raised: dto.is_raised,
            seq: Stored::load(dto.seq)?,
            at: Stored::load(dto.at_ms)?,
            value_minor: Stored::load(dto.value_minor)?,
        })
    }
}

impl<'a> Stored<'a> for BalanceAlert {
    type Dto = BalanceAlertDto<'a>;

    fn store(&'a self) -> BalanceAlertDto<'a> {
        BalanceAlertDto {
            terms: self.terms.store(),
            created_seq: self.created_seq.store(),
            created_at_ms: self.created_at.store(),
            times_raised: self.times_raised,
            last: self.last.store(),
            earlier: self.earlier.iter().map(AlertEdge::store).collect(),
        }
    }

    fn load(dto: BalanceAlertDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            terms: Stored::load(dto.terms)?,
            created_seq: Stored::load(dto.created_seq)?,
            created_at: Stored::load(dto.created_at_ms)?,
            times_raised: dto.times_raised,
            last: Stored::load(dto.last)?,
            earlier: dto
                .earlier
                .into_iter()
                .map(AlertEdge::load)
                .collect::<Result<_, _>>()?,
        })
    }
}

//! Owns the forms of what people must look at, and of what they say when they have.

use super::scalar::{CurrencyDto, MinorDto, Stored};
use super::spec::words;
use crate::schema::DecodeError;
use florin_domain::payment::{Matter, MatterKind, Note};
use serde::{Deserialize, Serialize};

words! {
    MatterKindDto of MatterKind {
        DoneInOtherCurrency DoneWithImpossibleAmount UndoneInOtherCurrency UndoneBeyondWhatStood DeclinedAfterSuccess
        NotGivenBack GivenBackTwice
    }
}

/// Something that is booked nowhere.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MatterDto<'a> {
    number: u32,
    kind: MatterKindDto,
    said: &'a str,
    amount_minor: MinorDto,
    currency: CurrencyDto,
    at_ms: u64,
}

impl<'a> Stored<'a> for Matter {
    type Dto = MatterDto<'a>;

    fn store(&'a self) -> MatterDto<'a> {
        MatterDto {
            number: self.number,
            kind: self.kind.store(),
            said: &self.said,
            amount_minor: self.amount_minor.store(),
            currency: self.currency.store(),
            at_ms: self.at.store(),
        }
    }

    fn load(dto: MatterDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            number: dto.number,
            kind: Stored::load(dto.kind)?,
            said: dto.said.into(),
            amount_minor: Stored::load(dto.amount_minor)?,
            currency: Stored::load(dto.currency)?,
            at: Stored::load(dto.at_ms)?,
        })
    }
}

/// What a person says of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NoteDto<'a> {
    evidence: &'a str,
    reason: &'a str,
    operator: &'a str,
}

impl<'a> Stored<'a> for Note {
    type Dto = NoteDto<'a>;

    fn store(&'a self) -> NoteDto<'a> {
        NoteDto {
            evidence: &self.evidence,
            reason: &self.reason,
            operator: &self.operator,
        }
    }

    fn load(dto: NoteDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            evidence: dto.evidence.into(),
            reason: dto.reason.into(),
            operator: dto.operator.into(),
        })
    }
}

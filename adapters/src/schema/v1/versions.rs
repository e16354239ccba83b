//! Owns the forms of what is put in force version by version.

use super::control::ActionDto;
use super::scalar::{CurrencyDto, IdDto, List, MinorDto, Stored, impossible};
use super::spec::FeeDto;
use crate::schema::DecodeError;
use florin_domain::ids::MerchantId;
use florin_domain::merchant::{
    Control, ControlEvent, FIRST_FEE, FeeVersion, FeeVersions, NO_PROFILE, NO_ROUTING, ProfileVersions,
    RoutingVersions,
};
use florin_domain::money::{Currency, FeeSchedule};
use florin_domain::risk::{ProfileChange, ProfileVersion};
use florin_domain::routing::WrittenProgram;
use florin_domain::versions::{Version, Versions};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A version.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct VersionDto<'a, T> {
    version: u32,
    effective_ms: Option<u64>,
    #[serde(borrow)]
    by: ActionDto<'a>,
    value: T,
}

/// A merchant's fee from a time on.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FeeSetDto<'a> {
    merchant: IdDto<MerchantId>,
    #[serde(borrow)]
    fee: VersionDto<'a, FeeDto>,
}

/// What is otherwise in a risk profile.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProfileChangeDto {
    block_above_bps: Option<u32>,
    review_above_bps: Option<u32>,
    hour_count_high: Option<u32>,
    amount_limits: Vec<(CurrencyDto, Option<MinorDto>)>,
}

/// A merchant's fees, as a snapshot has them.
#[derive(Debug, Serialize, Deserialize)]
struct FeesDto<'a> {
    merchant: IdDto<MerchantId>,
    #[serde(borrow)]
    versions: List<'a, Version<FeeSchedule>>,
}

/// All that control data has in versions.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct InForceDto<'a> {
    #[serde(borrow)]
    routing: List<'a, Version<WrittenProgram>>,
    fees: Vec<FeesDto<'a>>,
    profile: List<'a, ProfileVersion>,
}

impl<'a, T: Stored<'a>> Stored<'a> for Version<T> {
    type Dto = VersionDto<'a, T::Dto>;

    fn store(&'a self) -> Self::Dto {
        VersionDto {
            version: self.number,
            effective_ms: self.effective_at.store(),
            by: self.by.store(),
            value: self.value.store(),
        }
    }

    fn load(dto: Self::Dto) -> Result<Self, DecodeError> {
        Ok(Self {
            number: dto.version,
            effective_at: Stored::load(dto.effective_ms)?,
            by: Stored::load(dto.by)?,
            value: Stored::load(dto.value)?,
        })
    }
}

impl<'a> FeeSetDto<'a> {
    pub(crate) fn of(merchant: MerchantId, fee: &'a FeeVersion) -> Self {
        Self {
            merchant: merchant.store(),
            fee: fee.store(),
        }
    }

    pub(crate) fn load(self) -> Result<ControlEvent, DecodeError> {
        Ok(ControlEvent::FeeSet(
            Stored::load(self.merchant)?,
            Stored::load(self.fee)?,
        ))
    }
}

impl<'a> Stored<'a> for WrittenProgram {
    type Dto = &'a str;

    fn store(&'a self) -> &'a str {
        self.text()
    }

    fn load(dto: &'a str) -> Result<Self, DecodeError> {
        Self::new(dto.into()).map_err(|why| impossible("routing program")(&why))
    }
}

impl Stored<'_> for ProfileChange {
    type Dto = ProfileChangeDto;

    fn store(&self) -> ProfileChangeDto {
        let limit = |(currency, minor): &(Currency, Option<i128>)| (currency.store(), minor.map(MinorDto));
        ProfileChangeDto {
            block_above_bps: self.block_above_bps,
            review_above_bps: self.review_above_bps,
            hour_count_high: self.hour_count_high,
            amount_limits: self.amount_limits.iter().map(limit).collect(),
        }
    }

    fn load(dto: ProfileChangeDto) -> Result<Self, DecodeError> {
        let limit = |(currency, minor): (CurrencyDto, Option<MinorDto>)| {
            Ok((Stored::load(currency)?, minor.map(|minor| minor.0)))
        };
        let amount_limits: Result<_, DecodeError> = dto.amount_limits.into_iter().map(limit).collect();
        Ok(Self {
            block_above_bps: dto.block_above_bps,
            review_above_bps: dto.review_above_bps,
            hour_count_high: dto.hour_count_high,
            amount_limits: amount_limits?,
        })
    }
}

/// Versions as a snapshot has kept them.
fn kept<'a, T: Stored<'a>>(
    none: &Versions<T>,
    versions: List<'a, Version<T>>,
) -> Result<Versions<T>, DecodeError> {
    Versions::kept_after(none.latest(), versions.load()?).ok_or_else(|| {
        let why = "their numbers or times do not follow each other";
        impossible("versions")(&why)
    })
}

impl<'a> InForceDto<'a> {
    pub(crate) fn of(control: &'a Control) -> Self {
        let fees = |(merchant, fees): (&MerchantId, &'a FeeVersions)| FeesDto {
            merchant: merchant.store(),
            versions: List::Values(fees.kept()),
        };
        Self {
            routing: List::Values(control.routing.kept()),
            fees: control.fees.iter().map(fees).collect(),
            profile: List::Values(control.profile.kept()),
        }
    }

    pub(crate) fn into(self, control: &mut Control) -> Result<(), DecodeError> {
        let fees = |dto: FeesDto<'a>| Ok((Stored::load(dto.merchant)?, kept(&FIRST_FEE, dto.versions)?));
        let fees: Result<BTreeMap<_, _>, DecodeError> = self.fees.into_iter().map(fees).collect();
        let (routing, profile): (RoutingVersions, ProfileVersions) =
            (kept(&NO_ROUTING, self.routing)?, kept(&NO_PROFILE, self.profile)?);
        (control.routing, control.fees, control.profile) = (routing, fees?, profile);
        Ok(())
    }
}

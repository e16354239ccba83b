//! Owns the forms of routing rules in force, and of what merchants want of routing.

use super::control::ActionDto;
use super::scalar::{List, Stored, impossible};
use crate::schema::DecodeError;
use florin_domain::provider::ProviderId;
use florin_domain::routing::{RoutingVersion, Wishes};
use serde::{Deserialize, Serialize};

/// Rules as they were put in force. What they say is read from their text again.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RoutingVersionDto<'a> {
    version: u32,
    program: &'a str,
    #[serde(borrow)]
    by: ActionDto<'a>,
}

/// What a merchant wants for one payment.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WishesDto<'a> {
    pin: Option<&'a str>,
    #[serde(borrow)]
    prefer: List<'a, ProviderId>,
    exclude: List<'a, ProviderId>,
}

impl<'a> Stored<'a> for RoutingVersion {
    type Dto = RoutingVersionDto<'a>;

    fn store(&'a self) -> RoutingVersionDto<'a> {
        RoutingVersionDto {
            version: self.number(),
            program: self.text(),
            by: self.by().store(),
        }
    }

    fn load(dto: RoutingVersionDto<'a>) -> Result<Self, DecodeError> {
        Self::new(dto.version, dto.program.into(), Stored::load(dto.by)?)
            .map_err(|why| impossible("routing program")(&why))
    }
}

impl<'a> Stored<'a> for Wishes {
    type Dto = WishesDto<'a>;

    fn store(&'a self) -> WishesDto<'a> {
        WishesDto {
            pin: self.pin.store(),
            prefer: List::Values(&self.prefer),
            exclude: List::Values(&self.exclude),
        }
    }

    fn load(dto: WishesDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            pin: Stored::load(dto.pin)?,
            prefer: dto.prefer.load()?,
            exclude: dto.exclude.load()?,
        })
    }
}

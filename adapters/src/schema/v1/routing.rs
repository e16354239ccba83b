//! Owns the forms of routing rules in force, and of what merchants want of routing.

use super::control::ActionDto;
use super::scalar::{List, Stored};
use crate::schema::DecodeError;
use florin_domain::provider::ProviderId;
use florin_domain::routing::{RoutingVersion, Wishes};
use florin_domain::versions::Version;
use serde::{Deserialize, Serialize};

/// Rules as they were put in force at once. What they say is read from their text again.
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

impl<'a> RoutingVersionDto<'a> {
    /// The form of rules that count from their commit on; the others have another one.
    pub(crate) fn at_once(version: &'a RoutingVersion) -> Option<Self> {
        version.effective_at.is_none().then(|| Self {
            version: version.number,
            program: version.value.text(),
            by: version.by.store(),
        })
    }

    pub(crate) fn load(self) -> Result<RoutingVersion, DecodeError> {
        Ok(Version {
            number: self.version,
            effective_at: None,
            by: Stored::load(self.by)?,
            value: Stored::load(self.program)?,
        })
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

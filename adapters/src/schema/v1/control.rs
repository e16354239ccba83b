//! Owns the forms of merchants, API keys and changes of them.

use super::scalar::{IdDto, Raw, Stored};
use super::spec::FeeDto;
use crate::schema::DecodeError;
use florin_domain::ids::{ApiKeyId, MerchantId};
use florin_domain::merchant::{ApiKey, ApiKeyRole, ControlEvent, Merchant};
use serde::{Deserialize, Serialize};

/// A merchant.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MerchantDto<'a> {
    id: IdDto<MerchantId>,
    name: &'a str,
    fee: FeeDto,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ApiKeyRoleDto {
    Merchant(IdDto<MerchantId>),
    Operator,
}

/// An API key.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ApiKeyDto {
    id: IdDto<ApiKeyId>,
    role: ApiKeyRoleDto,
    livemode: bool,
    secret_sha256: Raw<32>,
}

/// A change of control data.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ControlEventDto<'a> {
    #[serde(rename = "merchant.created", borrow)]
    MerchantCreated(MerchantDto<'a>),
    #[serde(rename = "api_key.created")]
    ApiKeyCreated(ApiKeyDto),
}

impl<'a> Stored<'a> for Merchant {
    type Dto = MerchantDto<'a>;

    fn store(&'a self) -> MerchantDto<'a> {
        MerchantDto {
            id: self.id.store(),
            name: self.name.store(),
            fee: self.fee.store(),
        }
    }

    fn load(dto: MerchantDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: Stored::load(dto.id)?,
            name: Stored::load(dto.name)?,
            fee: Stored::load(dto.fee)?,
        })
    }
}

impl Stored<'_> for ApiKeyRole {
    type Dto = ApiKeyRoleDto;

    fn store(&self) -> ApiKeyRoleDto {
        match self {
            Self::Merchant(merchant) => ApiKeyRoleDto::Merchant(merchant.store()),
            Self::Operator => ApiKeyRoleDto::Operator,
        }
    }

    fn load(dto: ApiKeyRoleDto) -> Result<Self, DecodeError> {
        Ok(match dto {
            ApiKeyRoleDto::Merchant(merchant) => Self::Merchant(Stored::load(merchant)?),
            ApiKeyRoleDto::Operator => Self::Operator,
        })
    }
}

impl Stored<'_> for ApiKey {
    type Dto = ApiKeyDto;

    fn store(&self) -> ApiKeyDto {
        ApiKeyDto {
            id: self.id.store(),
            role: self.role.store(),
            livemode: self.livemode,
            secret_sha256: self.secret_sha256.store(),
        }
    }

    fn load(dto: ApiKeyDto) -> Result<Self, DecodeError> {
        Ok(Self {
            id: Stored::load(dto.id)?,
            role: Stored::load(dto.role)?,
            livemode: dto.livemode,
            secret_sha256: Stored::load(dto.secret_sha256)?,
        })
    }
}

impl<'a> Stored<'a> for ControlEvent {
    type Dto = ControlEventDto<'a>;

    fn store(&'a self) -> ControlEventDto<'a> {
        match self {
            Self::MerchantCreated(merchant) => ControlEventDto::MerchantCreated(merchant.store()),
            Self::ApiKeyCreated(key) => ControlEventDto::ApiKeyCreated(key.store()),
        }
    }

    fn load(dto: ControlEventDto<'a>) -> Result<Self, DecodeError> {
        Ok(match dto {
            ControlEventDto::MerchantCreated(merchant) => Self::MerchantCreated(Stored::load(merchant)?),
            ControlEventDto::ApiKeyCreated(key) => Self::ApiKeyCreated(Stored::load(key)?),
        })
    }
}

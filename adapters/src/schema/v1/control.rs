//! Owns the forms of merchants, API keys and changes of them, and of what operators decided.

use super::lists::ListEntryDto;
use super::routing::RoutingVersionDto;
use super::scalar::{IdDto, Raw, Stored};
use super::spec::FeeDto;
use super::versions::{FeeSetDto, ProfileChangeDto, VersionDto};
use crate::schema::DecodeError;
use florin_domain::credentials::{JournaledCredentials, JournaledVersion, JournaledVersions};
use florin_domain::ids::{ApiKeyId, ListEntryId, MerchantId};
use florin_domain::merchant::{ApiKey, ApiKeyRole, ControlEvent, Merchant, OperatorAction, Stops};
use florin_domain::provider::ProviderId;
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
    #[serde(rename = "actor.kill_ordered")]
    ActorKillOrdered { actor: &'a str, action: ActionDto<'a> },
    #[serde(rename = "provider.disabled")]
    ProviderDisabled {
        provider: &'a str,
        action: ActionDto<'a>,
    },
    #[serde(rename = "provider.enabled")]
    ProviderEnabled {
        provider: &'a str,
        action: ActionDto<'a>,
    },
    #[serde(rename = "merchant.frozen")]
    MerchantFrozen {
        merchant: IdDto<MerchantId>,
        action: ActionDto<'a>,
    },
    #[serde(rename = "merchant.unfrozen")]
    MerchantUnfrozen {
        merchant: IdDto<MerchantId>,
        action: ActionDto<'a>,
    },
    #[serde(rename = "read_only.entered")]
    ReadOnlyEntered(ActionDto<'a>),
    #[serde(rename = "read_only.left")]
    ReadOnlyLeft(ActionDto<'a>),
    #[serde(rename = "risk_list_entry.added")]
    ListEntryAdded(ListEntryDto<'a>),
    #[serde(rename = "risk_list_entry.removed")]
    ListEntryRemoved {
        entry: IdDto<ListEntryId>,
        by: IdDto<ApiKeyId>,
    },
    #[serde(rename = "routing.set")]
    RoutingSet(RoutingVersionDto<'a>),
    #[serde(rename = "credentials.changed")]
    CredentialsChanged(CredentialsDto<'a>),
    #[serde(rename = "credentials.retired")]
    CredentialsRetired(CredentialsDto<'a>),
    #[serde(rename = "credentials.changed_from")]
    CredentialsChangedFrom {
        #[serde(borrow)]
        version: CredentialsDto<'a>,
        from_ms: u64,
    },
    #[serde(rename = "credentials.retired_from")]
    CredentialsRetiredFrom {
        #[serde(borrow)]
        version: CredentialsDto<'a>,
        from_ms: u64,
    },
    #[serde(rename = "routing.set_from")]
    RoutingSetFrom(VersionDto<'a, &'a str>),
    #[serde(rename = "merchant.fee_set")]
    FeeSet(FeeSetDto<'a>),
    #[serde(rename = "risk_profile.set")]
    ProfileSet(VersionDto<'a, ProfileChangeDto>),
}

/// A version of a merchant's credentials, and who changed it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CredentialsDto<'a> {
    merchant: IdDto<MerchantId>,
    provider: &'a str,
    version: u32,
    by: IdDto<ApiKeyId>,
}

impl<'a> CredentialsDto<'a> {
    fn of(merchant: &MerchantId, provider: &'a ProviderId, version: u32, by: ApiKeyId) -> Self {
        Self {
            merchant: merchant.store(),
            provider: provider.store(),
            version,
            by: by.store(),
        }
    }

    fn changed(self, from_ms: Option<u64>) -> Result<ControlEvent, DecodeError> {
        Ok(ControlEvent::CredentialsChanged {
            merchant: Stored::load(self.merchant)?,
            provider: Stored::load(self.provider)?,
            version: self.version,
            by: Stored::load(self.by)?,
            from: Stored::load(from_ms)?,
        })
    }

    fn retired(self, from_ms: Option<u64>) -> Result<ControlEvent, DecodeError> {
        Ok(ControlEvent::CredentialsRetired {
            merchant: Stored::load(self.merchant)?,
            provider: Stored::load(self.provider)?,
            version: self.version,
            by: Stored::load(self.by)?,
            from: Stored::load(from_ms)?,
        })
    }
}

/// What the journal said of a merchant's credentials at a provider to earlier releases, which kept no times.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UntimedVersionsDto<'a> {
    merchant: IdDto<MerchantId>,
    provider: &'a str,
    latest: u32,
    present: Vec<u32>,
}

/// What the journal says of a merchant's credentials at a provider.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct JournaledVersionsDto<'a> {
    merchant: IdDto<MerchantId>,
    provider: &'a str,
    versions: Vec<JournaledVersionDto>,
}

/// One version of them.
#[derive(Debug, Serialize, Deserialize)]
struct JournaledVersionDto {
    version: u32,
    created_ms: Option<u64>,
    retired_ms: Option<u64>,
}

impl<'a> JournaledVersionsDto<'a> {
    pub(crate) fn of(all: &'a JournaledCredentials) -> Vec<Self> {
        let version = |(version, about): (&u32, &JournaledVersion)| JournaledVersionDto {
            version: *version,
            created_ms: about.created_at.store(),
            retired_ms: about.retired_at.store(),
        };
        let one =
            |((merchant, provider), versions): (&'a (MerchantId, ProviderId), &JournaledVersions)| Self {
                merchant: merchant.store(),
                provider: provider.store(),
                versions: versions.iter().map(version).collect(),
            };
        all.iter().map(one).collect()
    }

    pub(crate) fn load(all: Vec<Self>) -> Result<JournaledCredentials, DecodeError> {
        let version = |dto: JournaledVersionDto| {
            let about = JournaledVersion {
                created_at: Stored::load(dto.created_ms)?,
                retired_at: Stored::load(dto.retired_ms)?,
            };
            Ok((dto.version, about))
        };
        let one = |dto: Self| {
            let versions: Result<JournaledVersions, DecodeError> =
                dto.versions.into_iter().map(version).collect();
            Ok((
                (Stored::load(dto.merchant)?, Stored::load(dto.provider)?),
                versions?,
            ))
        };
        all.into_iter().map(one).collect()
    }
}

#[cfg(test)]
impl<'a> UntimedVersionsDto<'a> {
    /// What an earlier release wrote.
    pub(crate) fn of(all: &'a JournaledCredentials) -> Vec<Self> {
        let one =
            |((merchant, provider), versions): (&'a (MerchantId, ProviderId), &JournaledVersions)| Self {
                merchant: merchant.store(),
                provider: provider.store(),
                latest: versions.keys().next_back().copied().unwrap_or(0),
                present: versions
                    .iter()
                    .filter(|(_, about)| about.retired_at.is_none())
                    .map(|(version, _)| *version)
                    .collect(),
            };
        all.iter().map(one).collect()
    }
}

/// Who decided, and why.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ActionDto<'a> {
    operator: IdDto<ApiKeyId>,
    #[serde(borrow)]
    reason: Option<&'a str>,
}

/// What operators have stopped.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StopsDto<'a> {
    #[serde(borrow)]
    providers: Vec<(&'a str, ActionDto<'a>)>,
    merchants: Vec<(IdDto<MerchantId>, ActionDto<'a>)>,
    read_only: Option<ActionDto<'a>>,
}

impl<'a> Stored<'a> for Stops {
    type Dto = StopsDto<'a>;

    fn store(&'a self) -> StopsDto<'a> {
        let (providers, merchants) = (self.providers.iter(), self.merchants.iter());
        StopsDto {
            providers: providers
                .map(|(id, action)| (id.store(), action.store()))
                .collect(),
            merchants: merchants
                .map(|(id, action)| (id.store(), action.store()))
                .collect(),
            read_only: self.read_only.store(),
        }
    }

    fn load(dto: StopsDto<'a>) -> Result<Self, DecodeError> {
        let (providers, merchants) = (dto.providers.into_iter(), dto.merchants.into_iter());
        Ok(Self {
            providers: providers.map(Stored::load).collect::<Result<_, _>>()?,
            merchants: merchants.map(Stored::load).collect::<Result<_, _>>()?,
            read_only: Stored::load(dto.read_only)?,
        })
    }
}

impl<'a> Stored<'a> for OperatorAction {
    type Dto = ActionDto<'a>;

    fn store(&'a self) -> ActionDto<'a> {
        ActionDto {
            operator: self.operator.store(),
            reason: self.reason.store(),
        }
    }

    fn load(dto: ActionDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            operator: Stored::load(dto.operator)?,
            reason: Stored::load(dto.reason)?,
        })
    }
}

impl<'a> Stored<'a> for Merchant {
    type Dto = MerchantDto<'a>;

    fn store(&'a self) -> MerchantDto<'a> {
        MerchantDto {
            id: self.id.store(),
            name: self.name.store(),
            fee: self.first_fee.store(),
        }
    }

    fn load(dto: MerchantDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: Stored::load(dto.id)?,
            name: Stored::load(dto.name)?,
            first_fee: Stored::load(dto.fee)?,
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
            Self::ActorKillOrdered(actor, action) => ControlEventDto::ActorKillOrdered {
                actor: actor.store(),
                action: action.store(),
            },
            Self::ProviderDisabled(provider, action) => ControlEventDto::ProviderDisabled {
                provider: provider.store(),
                action: action.store(),
            },
            Self::ProviderEnabled(provider, action) => ControlEventDto::ProviderEnabled {
                provider: provider.store(),
                action: action.store(),
            },
            Self::MerchantFrozen(merchant, action) => ControlEventDto::MerchantFrozen {
                merchant: merchant.store(),
                action: action.store(),
            },
            Self::MerchantUnfrozen(merchant, action) => ControlEventDto::MerchantUnfrozen {
                merchant: merchant.store(),
                action: action.store(),
            },
            Self::ReadOnlyEntered(action) => ControlEventDto::ReadOnlyEntered(action.store()),
            Self::ReadOnlyLeft(action) => ControlEventDto::ReadOnlyLeft(action.store()),
            Self::ListEntryAdded(entry) => ControlEventDto::ListEntryAdded(entry.store()),
            Self::ListEntryRemoved { entry, by } => ControlEventDto::ListEntryRemoved {
                entry: entry.store(),
                by: by.store(),
            },
            Self::RoutingSet(version) => match RoutingVersionDto::at_once(version) {
                Some(version) => ControlEventDto::RoutingSet(version),
                None => ControlEventDto::RoutingSetFrom(version.store()),
            },
            Self::FeeSet(merchant, fee) => ControlEventDto::FeeSet(FeeSetDto::of(*merchant, fee)),
            Self::ProfileSet(profile) => ControlEventDto::ProfileSet(profile.store()),
            Self::CredentialsChanged {
                merchant,
                provider,
                version,
                by,
                from,
            } => {
                let version = CredentialsDto::of(merchant, provider, *version, *by);
                match from.store() {
                    Some(from_ms) => ControlEventDto::CredentialsChangedFrom { version, from_ms },
                    None => ControlEventDto::CredentialsChanged(version),
                }
            }
            Self::CredentialsRetired {
                merchant,
                provider,
                version,
                by,
                from,
            } => {
                let version = CredentialsDto::of(merchant, provider, *version, *by);
                match from.store() {
                    Some(from_ms) => ControlEventDto::CredentialsRetiredFrom { version, from_ms },
                    None => ControlEventDto::CredentialsRetired(version),
                }
            }
        }
    }

    fn load(dto: ControlEventDto<'a>) -> Result<Self, DecodeError> {
        Ok(match dto {
            ControlEventDto::MerchantCreated(merchant) => Self::MerchantCreated(Stored::load(merchant)?),
            ControlEventDto::ApiKeyCreated(key) => Self::ApiKeyCreated(Stored::load(key)?),
            ControlEventDto::ActorKillOrdered { actor, action } => {
                Self::ActorKillOrdered(Stored::load(actor)?, Stored::load(action)?)
            }
            ControlEventDto::ProviderDisabled { provider, action } => {
                Self::ProviderDisabled(Stored::load(provider)?, Stored::load(action)?)
            }
            ControlEventDto::ProviderEnabled { provider, action } => {
                Self::ProviderEnabled(Stored::load(provider)?, Stored::load(action)?)
            }
            ControlEventDto::MerchantFrozen { merchant, action } => {
                Self::MerchantFrozen(Stored::load(merchant)?, Stored::load(action)?)
            }
            ControlEventDto::MerchantUnfrozen { merchant, action } => {
                Self::MerchantUnfrozen(Stored::load(merchant)?, Stored::load(action)?)
            }
            ControlEventDto::ReadOnlyEntered(action) => Self::ReadOnlyEntered(Stored::load(action)?),
            ControlEventDto::ReadOnlyLeft(action) => Self::ReadOnlyLeft(Stored::load(action)?),
            ControlEventDto::ListEntryAdded(entry) => Self::ListEntryAdded(Stored::load(entry)?),
            ControlEventDto::ListEntryRemoved { entry, by } => Self::ListEntryRemoved {
                entry: Stored::load(entry)?,
                by: Stored::load(by)?,
            },
            ControlEventDto::RoutingSet(version) => Self::RoutingSet(version.load()?),
            ControlEventDto::RoutingSetFrom(version) => Self::RoutingSet(Stored::load(version)?),
            ControlEventDto::FeeSet(dto) => dto.load()?,
            ControlEventDto::ProfileSet(profile) => Self::ProfileSet(Stored::load(profile)?),
            ControlEventDto::CredentialsChanged(dto) => dto.changed(None)?,
            ControlEventDto::CredentialsRetired(dto) => dto.retired(None)?,
            ControlEventDto::CredentialsChangedFrom { version, from_ms } => version.changed(Some(from_ms))?,
            ControlEventDto::CredentialsRetiredFrom { version, from_ms } => version.retired(Some(from_ms))?,
        })
    }
}

//! Owns the forms of block and allow lists: their entries, and what a payment found in them.

use super::scalar::{IdDto, Letters, Stored, impossible};
use super::spec::words;
use crate::schema::DecodeError;
use florin_domain::ids::{ApiKeyId, ListEntryId, MerchantId};
use florin_domain::risk::{
    ListEntry, ListKind, ListMatch, ListName, ListOwner, Network, RiskLists, Target, TargetError,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

words! {
    ListNameDto of ListName { Block Allow }
    ListKindDto of ListKind { CardFingerprint Customer Device Ip Country Bin }
}

/// Whose an entry is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ListOwnerDto {
    Platform,
    Merchant { id: IdDto<MerchantId>, livemode: bool },
}

/// What an entry is about.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TargetDto<'a> {
    CardFingerprint(&'a str),
    Customer(&'a str),
    Device(&'a str),
    Ip { first: IpAddr, prefix: u8 },
    Country(Letters<2>),
    Bin(&'a str),
}

/// An entry.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ListEntryDto<'a> {
    id: IdDto<ListEntryId>,
    owner: ListOwnerDto,
    list: ListNameDto,
    #[serde(borrow)]
    target: TargetDto<'a>,
    reason: &'a str,
    expires_at_ms: Option<u64>,
    by: IdDto<ApiKeyId>,
}

/// What a payment found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ListMatchDto<'a> {
    list: ListNameDto,
    kind: ListKindDto,
    entry: IdDto<ListEntryId>,
    is_of_platform: bool,
    reason: &'a str,
}

impl Stored<'_> for ListOwner {
    type Dto = ListOwnerDto;

    fn store(&self) -> ListOwnerDto {
        match self {
            Self::Platform => ListOwnerDto::Platform,
            Self::Merchant(id, livemode) => ListOwnerDto::Merchant {
                id: id.store(),
                livemode: *livemode,
            },
        }
    }

    fn load(dto: ListOwnerDto) -> Result<Self, DecodeError> {
        Ok(match dto {
            ListOwnerDto::Platform => Self::Platform,
            ListOwnerDto::Merchant { id, livemode } => Self::Merchant(Stored::load(id)?, livemode),
        })
    }
}

impl<'a> Stored<'a> for Target {
    type Dto = TargetDto<'a>;

    fn store(&'a self) -> TargetDto<'a> {
        match self {
            Self::CardFingerprint(text) => TargetDto::CardFingerprint(text),
            Self::Customer(text) => TargetDto::Customer(text),
            Self::Device(text) => TargetDto::Device(text),
            Self::Ip(network) => TargetDto::Ip {
                first: network.first(),
                prefix: network.prefix(),
            },
            Self::Country(letters) => TargetDto::Country(letters.store()),
            Self::Bin(text) => TargetDto::Bin(text),
        }
    }

    fn load(dto: TargetDto<'a>) -> Result<Self, DecodeError> {
        let (kind, text) = match dto {
            TargetDto::CardFingerprint(text) => (ListKind::CardFingerprint, text),
            TargetDto::Customer(text) => (ListKind::Customer, text),
            TargetDto::Device(text) => (ListKind::Device, text),
            TargetDto::Bin(text) => (ListKind::Bin, text),
            TargetDto::Country(letters) => return Ok(Self::Country(Stored::load(letters)?)),
            TargetDto::Ip { first, prefix } => {
                let bits = if first.is_ipv6() { 128 } else { 32 };
                let network = Network::of(first, prefix.min(bits));
                if network.first() != first || network.prefix() != prefix {
                    return Err(impossible("list target")(&TargetError::Ip));
                }
                return Ok(Self::Ip(network));
            }
        };
        Self::parse(kind, text).map_err(|why| impossible("list target")(&why))
    }
}

impl<'a> Stored<'a> for ListEntry {
    type Dto = ListEntryDto<'a>;

    fn store(&'a self) -> ListEntryDto<'a> {
        ListEntryDto {
            id: self.id.store(),
            owner: self.owner.store(),
            list: self.list.store(),
            target: self.target.store(),
            reason: self.reason.store(),
            expires_at_ms: self.expires_at.store(),
            by: self.by.store(),
        }
    }

    fn load(dto: ListEntryDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: Stored::load(dto.id)?,
            owner: Stored::load(dto.owner)?,
            list: Stored::load(dto.list)?,
            target: Stored::load(dto.target)?,
            reason: Stored::load(dto.reason)?,
            expires_at: Stored::load(dto.expires_at_ms)?,
            by: Stored::load(dto.by)?,
        })
    }
}

impl<'a> Stored<'a> for ListMatch {
    type Dto = ListMatchDto<'a>;

    fn store(&'a self) -> ListMatchDto<'a> {
        ListMatchDto {
            list: self.list.store(),
            kind: self.kind.store(),
            entry: self.entry.store(),
            is_of_platform: self.is_of_platform,
            reason: self.reason.store(),
        }
    }

    fn load(dto: ListMatchDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            list: Stored::load(dto.list)?,
            kind: Stored::load(dto.kind)?,
            entry: Stored::load(dto.entry)?,
            is_of_platform: dto.is_of_platform,
            reason: Stored::load(dto.reason)?,
        })
    }
}

impl<'a> Stored<'a> for RiskLists {
    type Dto = Vec<ListEntryDto<'a>>;

    fn store(&'a self) -> Self::Dto {
        self.iter().map(|entry| entry.as_ref().store()).collect()
    }

    fn load(dto: Self::Dto) -> Result<Self, DecodeError> {
        let mut lists = Self::default();
        for entry in dto {
            lists.add(&Stored::load(entry)?);
        }
        Ok(lists)
    }
}

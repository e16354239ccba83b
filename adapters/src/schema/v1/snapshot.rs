//! Owns the form of a shard snapshot. It grows at its end, and the shorter forms are still read.

use super::alert::AlertsDto;
use super::control::{JournaledVersionsDto, StopsDto, UntimedVersionsDto};
use super::crossing::CrossingsDto;
use super::ledger::GeneralLedgerDto;
use super::lists::ListEntryDto;
use super::routing::RoutingVersionDto;
use super::scalar::{List, MinorDto, Raw, Stored};
use super::versions::InForceDto;
use crate::schema::DecodeError;
use florin_domain::ids::{PaymentId, Seq};
use florin_domain::ledger::{AccountKey, AccountState, GeneralLedger};
use florin_domain::merchant::{ApiKey, Control, Merchant, NO_ROUTING, Stops};
use florin_domain::ports::ShardSnapshot;
use florin_domain::risk::RiskLists;
use florin_domain::versions::Versions;
use serde::{Deserialize, Serialize};

/// A snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SnapshotDto<'a> {
    /// Without routing: it is behind it.
    #[serde(borrow)]
    earlier: UnversionedSnapshotDto<'a>,
    in_force: InForceDto<'a>,
}

/// A snapshot from before anything could be put in force at a later time.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UnversionedSnapshotDto<'a> {
    /// Without credentials: they are behind it.
    #[serde(borrow)]
    earlier: UntimedSnapshotDto<'a>,
    credentials: Vec<JournaledVersionsDto<'a>>,
}

/// A snapshot from before the times of merchants' credentials were kept. One that has any is not read: from a snapshot without the times
/// nobody could tell a store of credentials that is older than the journal, and the journal has them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UntimedSnapshotDto<'a> {
    #[serde(borrow)]
    earlier: OneKeySnapshotDto<'a>,
    credentials: Vec<UntimedVersionsDto<'a>>,
}

/// A snapshot from before merchants had credentials of their own.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OneKeySnapshotDto<'a> {
    #[serde(borrow)]
    earlier: UnroutedSnapshotDto<'a>,
    routing: Option<RoutingVersionDto<'a>>,
}

/// A snapshot from before there were routing rules.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UnroutedSnapshotDto<'a> {
    #[serde(borrow)]
    earlier: UnwatchedSnapshotDto<'a>,
    alerts: AlertsDto<'a>,
}

/// A snapshot from before there were balance alerts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UnwatchedSnapshotDto<'a> {
    #[serde(borrow)]
    earlier: OneShardSnapshotDto<'a>,
    crossings: CrossingsDto<'a>,
}

/// A snapshot from before there were several shards.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OneShardSnapshotDto<'a> {
    #[serde(borrow)]
    earlier: EarlierSnapshotDto<'a>,
    general: GeneralLedgerDto<'a>,
}

/// A snapshot from before there was a general ledger.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EarlierSnapshotDto<'a> {
    #[serde(borrow)]
    first: EarliestSnapshotDto<'a>,
    stops: StopsDto<'a>,
    lists: Vec<ListEntryDto<'a>>,
}

/// A snapshot from before operators could stop anything and there were lists.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EarliestSnapshotDto<'a> {
    seq: u64,
    hash: Raw<32>,
    #[serde(borrow)]
    accounts: List<'a, (AccountKey, AccountState)>,
    open_payments: List<'a, (PaymentId, Seq)>,
    merchants: List<'a, Merchant>,
    keys: List<'a, ApiKey>,
}

/// An account's standing.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct AccountStateDto {
    posted_minor: MinorDto,
    pending_credit_minor: MinorDto,
    pending_debit_minor: MinorDto,
    last_posted: u64,
}

impl Stored<'_> for AccountState {
    type Dto = AccountStateDto;

    fn store(&self) -> AccountStateDto {
        AccountStateDto {
            posted_minor: self.posted.store(),
            pending_credit_minor: self.pending_credit_minor.store(),
            pending_debit_minor: self.pending_debit_minor.store(),
            last_posted: self.last_posted.store(),
        }
    }

    fn load(dto: AccountStateDto) -> Result<Self, DecodeError> {
        Ok(Self {
            posted: Stored::load(dto.posted_minor)?,
            pending_credit_minor: Stored::load(dto.pending_credit_minor)?,
            pending_debit_minor: Stored::load(dto.pending_debit_minor)?,
            last_posted: Stored::load(dto.last_posted)?,
        })
    }
}

impl<'a> EarliestSnapshotDto<'a> {
    pub(crate) fn of(snapshot: &'a ShardSnapshot) -> Self {
        Self {
            seq: snapshot.seq.store(),
            hash: snapshot.hash.store(),
            accounts: List::Values(&snapshot.accounts),
            open_payments: List::Values(&snapshot.open_payments),
            merchants: List::Values(&snapshot.control.merchants),
            keys: List::Values(&snapshot.control.keys),
        }
    }

    pub(crate) fn into_snapshot(self, stops: Stops, lists: RiskLists) -> Result<ShardSnapshot, DecodeError> {
        Ok(ShardSnapshot {
            seq: Stored::load(self.seq)?,
            hash: Stored::load(self.hash)?,
            accounts: self.accounts.load()?,
            open_payments: self.open_payments.load()?,
            control: Control {
                merchants: self.merchants.load()?,
                keys: self.keys.load()?,
                stops,
                lists,
                ..Control::default()
            },
            general: GeneralLedger::default(),
        })
    }
}

impl<'a> EarlierSnapshotDto<'a> {
    pub(crate) fn of(snapshot: &'a ShardSnapshot) -> Self {
        Self {
            first: EarliestSnapshotDto::of(snapshot),
            stops: snapshot.control.stops.store(),
            lists: snapshot.control.lists.store(),
        }
    }

    pub(crate) fn into_snapshot(self, general: GeneralLedger) -> Result<ShardSnapshot, DecodeError> {
        let snapshot = self
            .first
            .into_snapshot(Stored::load(self.stops)?, Stored::load(self.lists)?)?;
        Ok(ShardSnapshot { general, ..snapshot })
    }
}

impl<'a> OneShardSnapshotDto<'a> {
    pub(crate) fn of(snapshot: &'a ShardSnapshot) -> Self {
        Self {
            earlier: EarlierSnapshotDto::of(snapshot),
            general: snapshot.general.store(),
        }
    }

    pub(crate) fn into_snapshot(self) -> Result<ShardSnapshot, DecodeError> {
        self.earlier.into_snapshot(Stored::load(self.general)?)
    }
}

impl<'a> UnwatchedSnapshotDto<'a> {
    pub(crate) fn of(snapshot: &'a ShardSnapshot) -> Self {
        Self {
            earlier: OneShardSnapshotDto::of(snapshot),
            crossings: List::Values(&snapshot.general.crossings),
        }
    }

    pub(crate) fn into_snapshot(self) -> Result<ShardSnapshot, DecodeError> {
        let mut snapshot = self.earlier.into_snapshot()?;
        snapshot.general.crossings = self.crossings.load()?;
        Ok(snapshot)
    }
}

#[cfg(test)]
impl<'a> OneKeySnapshotDto<'a> {
    /// What an earlier release wrote: the rules in force, which were so at once.
    pub(crate) fn of(snapshot: &'a ShardSnapshot) -> Self {
        let at_once = snapshot.control.routing.kept().first();
        Self {
            earlier: UnroutedSnapshotDto::of(snapshot),
            routing: at_once.and_then(RoutingVersionDto::at_once),
        }
    }
}

impl OneKeySnapshotDto<'_> {
    pub(crate) fn into_snapshot(self) -> Result<ShardSnapshot, DecodeError> {
        let mut snapshot = self.earlier.into_snapshot()?;
        let routing = self.routing.map(RoutingVersionDto::load).transpose()?;
        let routing = Versions::kept_after(NO_ROUTING.latest(), routing.into_iter().collect());
        snapshot.control.routing = routing.ok_or_else(|| DecodeError::Impossible {
            what: "routing",
            why: "its version is 0".to_owned(),
        })?;
        Ok(snapshot)
    }
}

impl<'a> UnroutedSnapshotDto<'a> {
    pub(crate) fn of(snapshot: &'a ShardSnapshot) -> Self {
        Self {
            earlier: UnwatchedSnapshotDto::of(snapshot),
            alerts: AlertsDto::of(&snapshot.general),
        }
    }

    pub(crate) fn into_snapshot(self) -> Result<ShardSnapshot, DecodeError> {
        let snapshot = self.earlier.into_snapshot()?;
        Ok(ShardSnapshot {
            general: self.alerts.into(snapshot.general)?,
            ..snapshot
        })
    }
}

#[cfg(test)]
impl<'a> UntimedSnapshotDto<'a> {
    /// What an earlier release wrote.
    pub(crate) fn of(snapshot: &'a ShardSnapshot) -> Self {
        Self {
            earlier: OneKeySnapshotDto::of(snapshot),
            credentials: UntimedVersionsDto::of(&snapshot.control.credentials),
        }
    }
}

impl UntimedSnapshotDto<'_> {
    pub(crate) fn into_snapshot(self) -> Result<ShardSnapshot, DecodeError> {
        if self.credentials.is_empty() {
            return self.earlier.into_snapshot();
        }
        Err(DecodeError::Impossible {
            what: "credentials",
            why: "their times were not kept yet".to_owned(),
        })
    }
}

#[cfg(test)]
impl<'a> UnversionedSnapshotDto<'a> {
    /// What an earlier release wrote.
    pub(crate) fn of(snapshot: &'a ShardSnapshot) -> Self {
        Self {
            earlier: UntimedSnapshotDto {
                earlier: OneKeySnapshotDto::of(snapshot),
                credentials: Vec::new(),
            },
            credentials: JournaledVersionsDto::of(&snapshot.control.credentials),
        }
    }
}

impl UnversionedSnapshotDto<'_> {
    pub(crate) fn into_snapshot(self) -> Result<ShardSnapshot, DecodeError> {
        let mut snapshot = self.earlier.into_snapshot()?;
        snapshot.control.credentials = JournaledVersionsDto::load(self.credentials)?;
        Ok(snapshot)
    }
}

impl<'a> Stored<'a> for ShardSnapshot {
    type Dto = SnapshotDto<'a>;

    fn store(&'a self) -> SnapshotDto<'a> {
        let unrouted = OneKeySnapshotDto {
            earlier: UnroutedSnapshotDto::of(self),
            routing: None,
        };
        SnapshotDto {
            earlier: UnversionedSnapshotDto {
                earlier: UntimedSnapshotDto {
                    earlier: unrouted,
                    credentials: Vec::new(),
                },
                credentials: JournaledVersionsDto::of(&self.control.credentials),
            },
            in_force: InForceDto::of(&self.control),
        }
    }

    fn load(dto: SnapshotDto<'a>) -> Result<Self, DecodeError> {
        let mut snapshot = dto.earlier.into_snapshot()?;
        dto.in_force.into(&mut snapshot.control)?;
        Ok(snapshot)
    }
}

//! Tenants, their API keys and what operators decided: the control records that every other part reads.

use crate::credentials::{JournaledCredentials, JournaledVersion};
use crate::ids::{ApiKeyId, ListEntryId, MerchantId};
use crate::money::FeeSchedule;
use crate::provider::ProviderId;
use crate::risk::{ListEntry, ProfileChange, ProfileVersion, RiskLists};
use crate::routing::{RoutingVersion, WrittenProgram};
use crate::time::Timestamp;
use crate::versions::{Version, Versions};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A merchant and the terms it trades under.
#[derive(Clone, Debug, PartialEq)]
pub struct Merchant {
    /// Identity, and the tenant root of all it owns.
    pub id: MerchantId,
    /// Name shown to operators.
    pub name: String,
    /// What Florin charged for each captured payment at first; what it charges now is [`Control::fee`].
    pub first_fee: FeeSchedule,
}

/// What Florin charges a merchant from a time on. The first fee has the number 1.
pub type FeeVersion = Version<FeeSchedule>;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyRole {
    /// Acts for one merchant.
    Merchant(MerchantId),
    /// Operates the platform.
    Operator,
}

/// An API key as stored: only a digest of the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Public identity.
    pub id: ApiKeyId,
    /// What it may do.
    pub role: ApiKeyRole,
    /// Live or test mode.
    pub livemode: bool,
    /// SHA-256 of the secret text.
    pub secret_sha256: [u8; 32],
}

/// Who among the operators decided something, and why. When is the time of the commit that says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorAction {
    /// The operator's key.
    pub operator: ApiKeyId,
    /// In the operator's words.
    pub reason: Option<Arc<str>>,
}

/// A change of control data, or an order of an operator.
#[derive(Clone, Debug, PartialEq)]
pub enum ControlEvent {
    /// A merchant was registered.
    MerchantCreated(Merchant),
    /// A key was issued.
    ApiKeyCreated(ApiKey),
    /// An operator has an actor crashed. It changes no control data.
    ActorKillOrdered(Arc<str>, OperatorAction),
    /// A provider gets no new charges.
    ProviderDisabled(ProviderId, OperatorAction),
    /// A provider gets new charges again.
    ProviderEnabled(ProviderId, OperatorAction),
    /// A merchant takes no money.
    MerchantFrozen(MerchantId, OperatorAction),
    /// A merchant takes money again.
    MerchantUnfrozen(MerchantId, OperatorAction),
    /// Merchants change nothing.
    ReadOnlyEntered(OperatorAction),
    /// Merchants change things again.
    ReadOnlyLeft(OperatorAction),
    /// An entry of a block or allow list was made, or the one about the same thing was changed.
    ListEntryAdded(ListEntry),
    /// An entry of a block or allow list was taken away.
    ListEntryRemoved {
        /// Which.
        entry: ListEntryId,
        /// By which key.
        by: ApiKeyId,
    },
    /// Other routing rules were put in force. One that does not follow the latest version changes nothing.
    RoutingSet(RoutingVersion),
    /// A merchant's fee was changed. One that does not follow the latest version changes nothing.
    FeeSet(MerchantId, FeeVersion),
    /// Risk goes by other thresholds. One that does not follow the latest version changes nothing.
    ProfileSet(ProfileVersion),
    /// A merchant has new credentials at a provider. Only that: secrets are elsewhere.
    CredentialsChanged {
        /// Whose.
        merchant: MerchantId,
        /// Where.
        provider: ProviderId,
        /// Which version of them it is.
        version: u32,
        /// By which key.
        by: ApiKeyId,
        /// From when on payments are made under it; events of earlier releases do not say.
        from: Option<Timestamp>,
    },
    /// A version of a merchant's credentials is no longer used.
    CredentialsRetired {
        /// Whose.
        merchant: MerchantId,
        /// Where.
        provider: ProviderId,
        /// Which version.
        version: u32,
        /// By which key.
        by: ApiKeyId,
        /// From when on nothing is made under it; events of earlier releases do not say.
        from: Option<Timestamp>,
    },
}

/// All control data, folded from its events.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// Merchants in order of creation.
    pub merchants: Vec<Merchant>,
    /// Keys in order of creation.
    pub keys: Vec<ApiKey>,
    /// What operators have stopped.
    pub stops: Stops,
    /// Block and allow lists.
    pub lists: RiskLists,
    /// The routing rules that operators put in force.
    pub routing: RoutingVersions,
    /// Fees that were changed.
    pub fees: BTreeMap<MerchantId, FeeVersions>,
    /// The thresholds of risk that operators put in force.
    pub profile: ProfileVersions,
    /// Which credentials merchants have at providers.
    pub credentials: JournaledCredentials,
}

/// Routing rules. Version 0 are those of the configuration.
pub type RoutingVersions = Versions<WrittenProgram>;
/// A merchant's fees. Version 1 is the first.
pub type FeeVersions = Versions<FeeSchedule>;
/// Thresholds of risk. Version 0 are those of the configuration.
pub type ProfileVersions = Versions<ProfileChange>;

/// Before operators put any rules in force.
pub const NO_ROUTING: RoutingVersions = Versions::after(0);
/// Before a merchant's fee was changed.
pub const FIRST_FEE: FeeVersions = Versions::after(1);
/// Before operators put any thresholds in force.
pub const NO_PROFILE: ProfileVersions = Versions::after(0);

impl Default for Control {
    fn default() -> Self {
        Self {
            merchants: Vec::new(),
            keys: Vec::new(),
            stops: Stops::default(),
            lists: RiskLists::default(),
            routing: NO_ROUTING,
            fees: BTreeMap::new(),
            profile: NO_PROFILE,
            credentials: JournaledCredentials::default(),
        }
    }
}

/// What operators have stopped and not yet let go on, each with the latest action that says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stops {
    /// Providers that get no new charges.
    pub providers: BTreeMap<ProviderId, OperatorAction>,
    /// Merchants that take no money.
    pub merchants: BTreeMap<MerchantId, OperatorAction>,
    /// Nothing of any merchant is changed.
    pub read_only: Option<OperatorAction>,
}

impl Control {
    /// Applies one event that was recorded at `at`.
    pub fn apply(&mut self, event: &ControlEvent, at: Timestamp) {
        if !self.takes(event) {
            return;
        }
        let stops = &mut self.stops;
        match event {
            ControlEvent::MerchantCreated(merchant) => self.merchants.push(merchant.clone()),
            ControlEvent::ApiKeyCreated(key) => self.keys.push(key.clone()),
            ControlEvent::ActorKillOrdered(..) => {}
            ControlEvent::ProviderDisabled(provider, action) => {
                stops.providers.insert(*provider, action.clone());
            }
            ControlEvent::ProviderEnabled(provider, _) => {
                stops.providers.remove(provider);
            }
            ControlEvent::MerchantFrozen(merchant, action) => {
                stops.merchants.insert(*merchant, action.clone());
            }
            ControlEvent::MerchantUnfrozen(merchant, _) => {
                stops.merchants.remove(merchant);
            }
            ControlEvent::ReadOnlyEntered(action) => stops.read_only = Some(action.clone()),
            ControlEvent::ReadOnlyLeft(_) => stops.read_only = None,
            ControlEvent::ListEntryAdded(entry) => self.lists.add(entry),
            ControlEvent::ListEntryRemoved { entry, by: _ } => self.lists.remove(*entry),
            ControlEvent::RoutingSet(version) => {
                self.routing.put(version.clone(), at);
            }
            ControlEvent::FeeSet(merchant, version) => {
                let fees = self.fees.entry(*merchant).or_insert(FIRST_FEE);
                fees.put(version.clone(), at);
            }
            ControlEvent::ProfileSet(version) => {
                self.profile.put(version.clone(), at);
            }
            ControlEvent::CredentialsChanged {
                merchant,
                provider,
                version,
                by: _,
                from,
            } => {
                let made = JournaledVersion {
                    created_at: *from,
                    retired_at: None,
                };
                let versions = self.credentials.entry((*merchant, *provider)).or_default();
                versions.insert(*version, made);
            }
            ControlEvent::CredentialsRetired {
                merchant,
                provider,
                version,
                by: _,
                from,
            } => {
                let versions = self.credentials.get_mut(&(*merchant, *provider));
                if let Some(retired) = versions.and_then(|versions| versions.get_mut(version)) {
                    retired.retired_at = Some(from.unwrap_or(at));
                }
            }
        }
    }

    /// Whether an event would change what it is about: a version that does not follow the latest would not.
    pub fn takes(&self, event: &ControlEvent) -> bool {
        match event {
            ControlEvent::RoutingSet(version) => self.routing.takes(version.number),
            ControlEvent::FeeSet(merchant, version) => {
                let fees = self.fees.get(merchant);
                fees.unwrap_or(&FIRST_FEE).takes(version.number)
            }
            ControlEvent::ProfileSet(version) => self.profile.takes(version.number),
            ControlEvent::MerchantCreated(_)
            | ControlEvent::ApiKeyCreated(_)
            | ControlEvent::ActorKillOrdered(..)
            | ControlEvent::ProviderDisabled(..)
            | ControlEvent::ProviderEnabled(..)
            | ControlEvent::MerchantFrozen(..)
            | ControlEvent::MerchantUnfrozen(..)
            | ControlEvent::ReadOnlyEntered(_)
            | ControlEvent::ReadOnlyLeft(_)
            | ControlEvent::ListEntryAdded(_)
            | ControlEvent::ListEntryRemoved { .. }
            | ControlEvent::CredentialsChanged { .. }
            | ControlEvent::CredentialsRetired { .. } => true,
        }
    }

    /// What Florin charges a merchant for a payment that is asked for now.
    pub fn fee(&self, merchant: &Merchant, now: Timestamp) -> FeeSchedule {
        let later = self.fees.get(&merchant.id);
        let later = later.and_then(|fees| fees.in_force(now));
        later.map_or(merchant.first_fee, |version| version.value)
    }

    /// The merchant with this id.
    pub fn merchant(&self, id: MerchantId) -> Option<&Merchant> {
        self.merchants.iter().find(|merchant| merchant.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_unix_ms(9);

    fn action(operator: u128, reason: &str) -> OperatorAction {
        OperatorAction {
            operator: ApiKeyId::from_bits(operator),
            reason: Some(Arc::from(reason)),
        }
    }

    #[test]
    fn rules_fees_and_thresholds_follow_their_own_latest_version_each_number_once() {
        let merchants = [1, 2].map(|bits| Merchant {
            id: MerchantId::from_bits(bits),
            name: String::new(),
            first_fee: FeeSchedule::new(290, 0.into()).unwrap(),
        });
        let fee = |merchant: usize, number, effective_at, bps| {
            let value = FeeSchedule::new(bps, 0.into()).unwrap();
            let by = action(1, "a better price");
            let version = Version {
                number,
                effective_at,
                by,
                value,
            };
            ControlEvent::FeeSet(merchants[merchant].id, version)
        };
        let rules = |number, text: &str| {
            let value = WrittenProgram::new(Arc::from(text)).unwrap();
            let (by, effective_at) = (action(2, "why"), None);
            ControlEvent::RoutingSet(Version {
                number,
                effective_at,
                by,
                value,
            })
        };
        let thresholds = |number, block_above_bps| {
            let value = ProfileChange {
                block_above_bps: Some(block_above_bps),
                ..ProfileChange::default()
            };
            let (by, effective_at) = (action(3, "fewer"), None);
            ControlEvent::ProfileSet(Version {
                number,
                effective_at,
                by,
                value,
            })
        };
        let later = Timestamp::from_unix_ms(20);
        let mut control = Control::default();
        // Of each: the rules, the first merchant's fee now and later, the second one's, and the thresholds.
        for (event, expected) in [
            (rules(2, "a: otherwise -> x"), ("", 290, 290, 290, None)),
            (
                rules(1, "b: otherwise -> x"),
                ("b: otherwise -> x", 290, 290, 290, None),
            ),
            (
                rules(1, "c: otherwise -> x"),
                ("b: otherwise -> x", 290, 290, 290, None),
            ),
            (rules(2, "# by score"), ("# by score", 290, 290, 290, None)),
            (fee(0, 1, None, 1), ("# by score", 290, 290, 290, None)),
            (fee(0, 2, None, 250), ("# by score", 250, 250, 290, None)),
            (fee(0, 3, Some(later), 310), ("# by score", 250, 310, 290, None)),
            (fee(0, 3, None, 1), ("# by score", 250, 310, 290, None)),
            (fee(1, 2, None, 100), ("# by score", 250, 310, 100, None)),
            (thresholds(1, 7000), ("# by score", 250, 310, 100, Some(7000))),
            (thresholds(1, 1), ("# by score", 250, 310, 100, Some(7000))),
        ] {
            let (before, takes) = (control.clone(), control.takes(&event));
            control.apply(&event, AT);
            assert_eq!(takes, control != before, "{event:?}");
            let bps = |merchant: usize, now| control.fee(&merchants[merchant], now).percent_bps();
            let rules = control.routing.in_force(AT);
            let thresholds = control.profile.in_force(AT);
            let seen = (
                rules.map_or("", |version| &**version.value.text()),
                bps(0, AT),
                bps(0, later),
                bps(1, AT),
                thresholds.and_then(|version| version.value.block_above_bps),
            );
            assert_eq!(seen, expected, "{event:?}");
        }
    }

    #[test]
    fn a_stop_holds_until_it_is_lifted_and_says_who_decided_it_last() {
        let (provider, merchant) = (ProviderId::parse("stripe").unwrap(), MerchantId::from_bits(1));
        let (first, later) = (action(1, "a hunch"), action(2, "evidence"));
        let mut control = Control::default();
        let stopped = |control: &Control| {
            let stops = &control.stops;
            (
                stops.providers.get(&provider).cloned(),
                stops.merchants.get(&merchant).cloned(),
                stops.read_only.clone(),
            )
        };
        for action in [&first, &later] {
            for event in [
                ControlEvent::ProviderDisabled(provider, action.clone()),
                ControlEvent::MerchantFrozen(merchant, action.clone()),
                ControlEvent::ReadOnlyEntered(action.clone()),
                ControlEvent::ActorKillOrdered(Arc::from("risk:0"), action.clone()),
            ] {
                control.apply(&event, AT);
            }
            let expected = Some(action.clone());
            assert_eq!(stopped(&control), (expected.clone(), expected.clone(), expected));
        }
        control.apply(&ControlEvent::ProviderEnabled(provider, first.clone()), AT);
        assert_eq!(
            stopped(&control),
            (None, Some(later.clone()), Some(later.clone()))
        );
        control.apply(&ControlEvent::MerchantUnfrozen(merchant, first.clone()), AT);
        assert_eq!(stopped(&control), (None, None, Some(later)));
        control.apply(&ControlEvent::ReadOnlyLeft(first), AT);
        assert_eq!(control, Control::default());
    }

    #[test]
    fn every_version_of_credentials_is_remembered_with_its_times() {
        let pair = (MerchantId::from_bits(1), ProviderId::parse("stripe").unwrap());
        let (by, mut control) = (ApiKeyId::from_bits(1), Control::default());
        let (merchant, provider) = pair;
        let time = Timestamp::from_unix_ms;
        for (version, from) in [(1, None), (3, Some(time(5))), (4, Some(time(6)))] {
            let event = ControlEvent::CredentialsChanged {
                merchant,
                provider,
                version,
                by,
                from,
            };
            control.apply(&event, AT);
        }
        for (version, from) in [(1, None), (3, Some(time(7))), (2, Some(time(8)))] {
            let event = ControlEvent::CredentialsRetired {
                merchant,
                provider,
                version,
                by,
                from,
            };
            control.apply(&event, AT);
        }
        let version = |created_at, retired_at| JournaledVersion {
            created_at,
            retired_at,
        };
        let expected = [
            (1, version(None, Some(AT))),
            (3, version(Some(time(5)), Some(time(7)))),
            (4, version(Some(time(6)), None)),
        ];
        assert_eq!(control.credentials[&pair], expected.into());
    }
}

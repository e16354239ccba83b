//! Merchants, keys, lists, credentials, and what operators decided.

use super::{AT, MERCHANT, provider};
use florin_domain::credentials::{JournaledCredentials, JournaledVersion};
use florin_domain::ids::{ApiKeyId, ListEntryId, MerchantId};
use florin_domain::merchant::{
    ApiKey, ApiKeyRole, ControlEvent, FeeVersion, FeeVersions, Merchant, OperatorAction, ProfileVersions,
    RoutingVersions,
};
use florin_domain::money::{Currency, FeeSchedule};
use florin_domain::risk::{ListEntry, ListKind, ListName, ListOwner, ProfileChange, ProfileVersion, Target};
use florin_domain::routing::{RoutingVersion, WrittenProgram};
use florin_domain::time::Timestamp;
use florin_domain::versions::{Version, Versions};
use rust_decimal::Decimal;

pub(crate) fn list_entry() -> ListEntry {
    ListEntry {
        id: ListEntryId::from_bits(0x11e),
        owner: ListOwner::Merchant(MERCHANT, true),
        list: ListName::Block,
        target: Target::parse(ListKind::Ip, "2001:db8::/32").unwrap(),
        reason: "a ring, ½ caught".into(),
        expires_at: Some(AT),
        by: ApiKeyId::from_bits(2),
    }
}

fn by() -> OperatorAction {
    OperatorAction {
        operator: ApiKeyId::from_bits(2),
        reason: Some("a better price".into()),
    }
}

fn routing_version(number: u32, effective_at: Option<Timestamp>) -> RoutingVersion {
    let program = "# seldom\nvisa: brand is visa -> stripe\nrest: otherwise -> split stripe 70, adyen 30\n";
    Version {
        number,
        effective_at,
        by: by(),
        value: WrittenProgram::new(program.into()).unwrap(),
    }
}

pub(crate) fn routing_versions() -> RoutingVersions {
    let kept = vec![routing_version(3, None), routing_version(4, Some(AT))];
    Versions::kept_after(0, kept).unwrap()
}

fn fee_version() -> FeeVersion {
    Version {
        number: 2,
        effective_at: Some(AT),
        by: by(),
        value: FeeSchedule::new(250, Decimal::new(125, 3)).unwrap(),
    }
}

pub(crate) fn fee_versions() -> FeeVersions {
    Versions::kept_after(1, vec![fee_version()]).unwrap()
}

fn profile_version() -> ProfileVersion {
    let value = ProfileChange {
        block_above_bps: Some(7_500),
        review_above_bps: None,
        hour_count_high: Some(20),
        amount_limits: vec![(Currency::USD, Some(250_000)), (Currency::EUR, None)],
    };
    Version {
        number: 9,
        effective_at: None,
        by: by(),
        value,
    }
}

pub(crate) fn profile_versions() -> ProfileVersions {
    Versions::kept_after(0, vec![profile_version()]).unwrap()
}

/// Two merchants' credentials, of which one has none present any more.
pub(crate) fn journaled_credentials() -> JournaledCredentials {
    let version = |created_ms: Option<u64>, retired_ms: Option<u64>| JournaledVersion {
        created_at: created_ms.map(Timestamp::from_unix_ms),
        retired_at: retired_ms.map(Timestamp::from_unix_ms),
    };
    let other = MerchantId::from_bits(0x2);
    [
        (
            (MERCHANT, provider()),
            [
                (299, version(None, None)),
                (300, version(Some(AT.unix_ms()), None)),
            ]
            .into(),
        ),
        (
            (other, provider()),
            [(1, version(Some(3), Some(u64::MAX)))].into(),
        ),
    ]
    .into()
}

/// One of every control event, with its name.
pub(crate) fn control_events() -> Vec<(&'static str, ControlEvent)> {
    let merchant = ControlEvent::MerchantCreated(Merchant {
        id: MERCHANT,
        name: "Æther & Söhne".to_owned(),
        first_fee: FeeSchedule::new(0, Decimal::ZERO).unwrap(),
    });
    let key = ControlEvent::ApiKeyCreated(ApiKey {
        id: ApiKeyId::from_bits(1),
        role: ApiKeyRole::Merchant(MERCHANT),
        livemode: false,
        secret_sha256: [0xab; 32],
    });
    let action = |reason: Option<&str>| OperatorAction {
        operator: ApiKeyId::from_bits(2),
        reason: reason.map(Into::into),
    };
    let why = || action(Some("an outage, ½ of it ours"));
    let name = |event: &ControlEvent| match event {
        ControlEvent::MerchantCreated(_) => "merchant.created",
        ControlEvent::ApiKeyCreated(_) => "api_key.created",
        ControlEvent::ActorKillOrdered(..) => "actor.kill_ordered",
        ControlEvent::ProviderDisabled(..) => "provider.disabled",
        ControlEvent::ProviderEnabled(..) => "provider.enabled",
        ControlEvent::MerchantFrozen(..) => "merchant.frozen",
        ControlEvent::MerchantUnfrozen(..) => "merchant.unfrozen",
        ControlEvent::ReadOnlyEntered(_) => "read_only.entered",
        ControlEvent::ReadOnlyLeft(_) => "read_only.left",
        ControlEvent::ListEntryAdded(_) => "risk_list_entry.added",
        ControlEvent::ListEntryRemoved { .. } => "risk_list_entry.removed",
        ControlEvent::RoutingSet(version) if version.effective_at.is_none() => "routing.set",
        ControlEvent::RoutingSet(_) => "routing.set_from",
        ControlEvent::FeeSet(..) => "merchant.fee_set",
        ControlEvent::ProfileSet(_) => "risk_profile.set",
        ControlEvent::CredentialsChanged { from: None, .. } => "credentials.changed",
        ControlEvent::CredentialsRetired { from: None, .. } => "credentials.retired",
        ControlEvent::CredentialsChanged { from: Some(_), .. } => "credentials.changed_from",
        ControlEvent::CredentialsRetired { from: Some(_), .. } => "credentials.retired_from",
    };
    let events = [
        merchant,
        key,
        ControlEvent::ActorKillOrdered("provider:stripe".into(), why()),
        ControlEvent::ProviderDisabled(provider(), why()),
        ControlEvent::ProviderEnabled(provider(), action(None)),
        ControlEvent::MerchantFrozen(MERCHANT, why()),
        ControlEvent::MerchantUnfrozen(MERCHANT, why()),
        ControlEvent::ReadOnlyEntered(why()),
        ControlEvent::ReadOnlyLeft(why()),
        ControlEvent::ListEntryAdded(list_entry()),
        ControlEvent::ListEntryRemoved {
            entry: ListEntryId::from_bits(0x11e),
            by: ApiKeyId::from_bits(2),
        },
        ControlEvent::RoutingSet(routing_version(3, None)),
        credentials_changed(None),
        credentials_retired(None),
        credentials_changed(Some(AT)),
        credentials_retired(Some(AT)),
        ControlEvent::RoutingSet(routing_version(3, Some(AT))),
        ControlEvent::FeeSet(MERCHANT, fee_version()),
        ControlEvent::ProfileSet(profile_version()),
    ];
    events.map(|event| (name(&event), event)).into()
}

fn credentials_changed(from: Option<Timestamp>) -> ControlEvent {
    ControlEvent::CredentialsChanged {
        merchant: MERCHANT,
        provider: provider(),
        version: 300,
        by: ApiKeyId::from_bits(2),
        from,
    }
}

fn credentials_retired(from: Option<Timestamp>) -> ControlEvent {
    ControlEvent::CredentialsRetired {
        merchant: MERCHANT,
        provider: provider(),
        version: 299,
        by: ApiKeyId::from_bits(1),
        from,
    }
}

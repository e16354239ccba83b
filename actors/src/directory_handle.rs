//! The face of the directory: whose API key this is, by the digest of its secret.

use crate::context::Context;
use crate::fees_handle::FeesHandle;
use crate::risk_lists_handle::RiskListsHandle;
use crate::risk_profile_handle::RiskProfileHandle;
use crate::routing_handle::RoutingHandle;
use crate::shards::Shards;
use arc_swap::ArcSwap;
use florin_domain::ids::MerchantId;
use florin_domain::merchant::{ApiKey, ApiKeyRole, Control, Merchant};
use florin_domain::provider::ProviderId;
use std::collections::HashMap;
use std::sync::Arc;

/// A key with the merchant it acts for.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyOwner {
    /// The key.
    pub key: ApiKey,
    /// Its merchant; nothing for an operator's key.
    pub merchant: Option<Merchant>,
    /// An operator has stopped its merchant from taking money.
    pub is_frozen: bool,
}

/// Keys by digest, and the control data that they were read from.
#[derive(Debug)]
struct Index {
    source: Arc<Control>,
    owners: HashMap<[u8; 32], Arc<KeyOwner>>,
}

impl Index {
    fn of(source: Arc<Control>) -> Self {
        let merchants: HashMap<MerchantId, &Merchant> = source
            .merchants
            .iter()
            .map(|merchant| (merchant.id, merchant))
            .collect();
        let owner = |key: &ApiKey| {
            let (merchant, is_frozen) = match key.role {
                // A key without its merchant opens nothing.
                ApiKeyRole::Merchant(id) => {
                    let is_frozen = source.stops.merchants.contains_key(&id);
                    (Some((*merchants.get(&id)?).clone()), is_frozen)
                }
                ApiKeyRole::Operator => (None, false),
            };
            Some((
                key.secret_sha256,
                Arc::new(KeyOwner {
                    key: key.clone(),
                    merchant,
                    is_frozen,
                }),
            ))
        };
        let owners = source.keys.iter().filter_map(owner).collect();
        Self { source, owners }
    }
}

/// The face of the directory.
#[derive(Clone, Debug)]
pub struct DirectoryHandle {
    shards: Shards,
    context: Arc<Context>,
    index: Arc<ArcSwap<Index>>,
}

impl DirectoryHandle {
    /// A handle on the merchants and keys of this context.
    pub fn new(shards: Shards) -> Self {
        let context = Arc::clone(shards.home());
        let index = Index::of(context.directory.load_full());
        Self {
            shards,
            context,
            index: Arc::new(ArcSwap::from_pointee(index)),
        }
    }

    /// Whose key has a secret with this SHA-256. The time taken depends on the digest alone, which tells nothing useful of a
    /// secret with much entropy.
    pub fn lookup(&self, secret_sha256: &[u8; 32]) -> Option<Arc<KeyOwner>> {
        let index = self.index.load();
        let newest = self.context.directory.load();
        if Arc::ptr_eq(&index.source, &newest) {
            return index.owners.get(secret_sha256).map(Arc::clone);
        }
        let index = Arc::new(Index::of(Arc::clone(&newest)));
        self.index.store(Arc::clone(&index));
        index.owners.get(secret_sha256).map(Arc::clone)
    }
}

impl DirectoryHandle {
    /// Merchants, keys and what operators have stopped, as of the last durable change.
    pub fn control(&self) -> Arc<Control> {
        self.context.directory.load_full()
    }

    /// Block and allow lists.
    pub fn risk_lists(&self) -> RiskListsHandle {
        RiskListsHandle::new(self.shards.clone())
    }

    /// Routing rules.
    pub fn routing(&self) -> RoutingHandle {
        RoutingHandle::new(self.shards.clone())
    }

    /// What merchants are charged.
    pub fn fees(&self) -> FeesHandle {
        FeesHandle::new(self.shards.clone())
    }

    /// Thresholds of risk.
    pub fn risk_profile(&self) -> RiskProfileHandle {
        RiskProfileHandle::new(self.shards.clone())
    }

    /// Whether merchants change nothing.
    pub fn is_read_only(&self) -> bool {
        self.context.directory.load().stops.read_only.is_some()
    }

    /// The configured provider with this name.
    pub fn provider(&self, name: &str) -> Option<ProviderId> {
        let id = ProviderId::parse(name).ok()?;
        self.context.provider(id).map(|seat| seat.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_domain::ids::ApiKeyId;
    use florin_domain::merchant::{OperatorAction, Stops};
    use florin_domain::money::FeeSchedule;

    #[test]
    fn a_key_finds_its_merchant_and_a_key_without_one_finds_nobody() {
        let merchant = |bits: u128| Merchant {
            id: MerchantId::from_bits(bits),
            name: format!("merchant {bits}"),
            first_fee: FeeSchedule::new(290, 0.into()).unwrap(),
        };
        let key = |byte: u8, role| ApiKey {
            id: ApiKeyId::from_bits(u128::from(byte)),
            role,
            livemode: false,
            secret_sha256: [byte; 32],
        };
        let action = OperatorAction {
            operator: ApiKeyId::from_bits(2),
            reason: None,
        };
        let control = Control {
            merchants: vec![merchant(1), merchant(2)],
            keys: vec![
                key(1, ApiKeyRole::Merchant(MerchantId::from_bits(1))),
                key(2, ApiKeyRole::Operator),
                key(3, ApiKeyRole::Merchant(MerchantId::from_bits(9))),
                key(4, ApiKeyRole::Merchant(MerchantId::from_bits(2))),
            ],
            stops: Stops {
                merchants: [(MerchantId::from_bits(2), action)].into(),
                ..Stops::default()
            },
            ..Control::default()
        };
        let index = Index::of(Arc::new(control));
        let name = |byte: u8| {
            let owner = index.owners.get(&[byte; 32])?;
            Some(
                owner
                    .merchant
                    .as_ref()
                    .map_or("operator".to_owned(), |merchant| merchant.name.clone()),
            )
        };
        assert_eq!(name(1).as_deref(), Some("merchant 1"));
        assert_eq!(name(2).as_deref(), Some("operator"));
        assert_eq!(name(3), None, "its merchant is not there");
        assert_eq!(name(4).as_deref(), Some("merchant 2"));
        assert_eq!(name(5), None);
        let is_frozen = |byte: u8| index.owners[&[byte; 32]].is_frozen;
        assert_eq!([1, 2, 4].map(is_frozen), [false, false, true]);
    }
}

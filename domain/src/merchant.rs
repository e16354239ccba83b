//! Tenants and their API keys: the control records that every other part reads.

use crate::ids::{ApiKeyId, MerchantId};
use crate::money::FeeSchedule;

/// A merchant and the terms it trades under.
#[derive(Clone, Debug, PartialEq)]
pub struct Merchant {
    /// Identity, and the tenant root of all it owns.
    pub id: MerchantId,
    /// Name shown to operators.
    pub name: String,
    /// What Florin charges for each captured payment.
    pub fee: FeeSchedule,
}

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

/// A change of control data.
#[derive(Clone, Debug, PartialEq)]
pub enum ControlEvent {
    /// A merchant was registered.
    MerchantCreated(Merchant),
    /// A key was issued.
    ApiKeyCreated(ApiKey),
}

/// All control data, folded from its events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Control {
    /// Merchants in order of creation.
    pub merchants: Vec<Merchant>,
    /// Keys in order of creation.
    pub keys: Vec<ApiKey>,
}

impl Control {
    /// Applies one event.
    pub fn apply(&mut self, event: &ControlEvent) {
        match event {
            ControlEvent::MerchantCreated(merchant) => self.merchants.push(merchant.clone()),
            ControlEvent::ApiKeyCreated(key) => self.keys.push(key.clone()),
        }
    }

    /// The merchant with this id.
    pub fn merchant(&self, id: MerchantId) -> Option<&Merchant> {
        self.merchants.iter().find(|merchant| merchant.id == id)
    }
}

//! Credentials of merchants at providers: which fields a set has, and which version of a merchant's sets a request is made under.

use crate::ids::MerchantId;
use crate::provider::ProviderId;
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;
use zeroize::Zeroizing;

/// Characters of a secret at least; a shorter one is a slip.
pub const SECRET_CHARS_MIN: usize = 8;
/// Characters of a secret at most.
pub const SECRET_CHARS_MAX: usize = 512;
/// HMAC keys of a set at most: an account has as many while one of them is exchanged for another.
pub const HMAC_KEYS_MAX: usize = 4;
/// Versions of one merchant's sets of one mode at one provider that may be present at once; versions that are retired do not count.
pub const PRESENT_VERSIONS_MAX: usize = 8;
/// How many of its mode may be present for a merchant's own key to put another one: whoever has stolen it must leave room for operators.
pub const PRESENT_FOR_OWN_KEY_MAX: usize = 4;
/// Digits of an HMAC key.
const HMAC_KEY_DIGITS: usize = 64;
/// Characters of a secret that a hint shows, and how long the secret must be to have one.
const HINT_CHARS: usize = 4;
const HINTED_CHARS_MIN: usize = 16;

/// A secret. It shows itself nowhere, is never copied, and its bytes are overwritten when it is dropped.
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes a copy; the caller wipes its own.
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// The text itself, to be sent or sealed and never shown.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether both are the same, in a time that depends on their lengths only.
    pub fn is(&self, other: &Self) -> bool {
        let (a, b) = (self.0.as_bytes(), other.0.as_bytes());
        let differs = a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b));
        a.len() == b.len() && differs == 0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The protocol that a set of credentials is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// Stripe's API.
    Stripe,
    /// Adyen's Checkout API.
    Adyen,
}

/// A field of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CredentialField {
    /// Stripe: the key that requests carry.
    SecretKey,
    /// Stripe: what webhooks are signed with.
    WebhookSecret,
    /// Adyen: the key that requests carry.
    ApiKey,
    /// Adyen: whose payments they are. It is in every notification, and is treated as a secret all the same.
    MerchantAccount,
    /// Adyen: what notifications are signed with, one or several.
    HmacKeys,
}

impl CredentialField {
    /// Every field.
    pub const ALL: [Self; 5] = [
        Self::SecretKey,
        Self::WebhookSecret,
        Self::ApiKey,
        Self::MerchantAccount,
        Self::HmacKeys,
    ];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SecretKey => "secret_key",
            Self::WebhookSecret => "webhook_secret",
            Self::ApiKey => "api_key",
            Self::MerchantAccount => "merchant_account",
            Self::HmacKeys => "hmac_keys",
        }
    }

    /// The field with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == word)
    }

    const fn kind(self) -> CredentialKind {
        match self {
            Self::SecretKey | Self::WebhookSecret => CredentialKind::Stripe,
            Self::ApiKey | Self::MerchantAccount | Self::HmacKeys => CredentialKind::Adyen,
        }
    }

    const fn is_needed(self) -> bool {
        match self {
            Self::SecretKey | Self::ApiKey | Self::MerchantAccount | Self::HmacKeys => true,
            Self::WebhookSecret => false,
        }
    }
}

/// Why fields are no set of credentials. It names the field, and never what was in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{}` {why}", field.as_str())]
pub struct CredentialError {
    /// Which field.
    pub field: CredentialField,
    /// What is wrong with it, as the end of a sentence that begins with its name.
    pub why: &'static str,
}

/// What a merchant has at a provider that speaks Stripe's protocol.
#[derive(Debug)]
pub struct StripeCredentials {
    /// The key that requests carry.
    pub secret_key: SecretText,
    /// What webhooks are signed with.
    pub webhook_secret: Option<SecretText>,
}

/// What a merchant has at a provider that speaks Adyen's protocol.
#[derive(Debug)]
pub struct AdyenCredentials {
    /// The key that requests carry.
    pub api_key: SecretText,
    /// Whose payments they are.
    pub merchant_account: SecretText,
    /// What notifications are signed with: 64 hexadecimal digits each, at least one.
    pub hmac_keys: Vec<SecretText>,
}

/// A set of credentials, checked.
#[derive(Debug)]
pub enum Credentials {
    /// For Stripe's protocol.
    Stripe(StripeCredentials),
    /// For Adyen's protocol.
    Adyen(AdyenCredentials),
}

/// Fields by their names; a field that may have several values is there several times.
pub type CredentialFields = Vec<(CredentialField, SecretText)>;

impl Credentials {
    /// Checks that the fields are a whole set for this protocol.
    ///
    /// # Errors
    /// By the field that is missing, said twice, malformed, or that the protocol does not have.
    pub fn parse(kind: CredentialKind, fields: CredentialFields) -> Result<Self, CredentialError> {
        let mut found: BTreeMap<CredentialField, Vec<SecretText>> = BTreeMap::new();
        for (field, secret) in fields {
            if field.kind() != kind {
                let why = "is no field of this provider";
                return Err(CredentialError { field, why });
            }
            check(field, &secret)?;
            let values = found.entry(field).or_default();
            let values_max = if field == CredentialField::HmacKeys {
                HMAC_KEYS_MAX
            } else {
                1
            };
            if values.len() >= values_max {
                let why = "has too many values";
                return Err(CredentialError { field, why });
            }
            values.push(secret);
        }
        let needed = CredentialField::ALL
            .into_iter()
            .filter(|field| field.kind() == kind && field.is_needed());
        for field in needed {
            if !found.contains_key(&field) {
                let why = "is required";
                return Err(CredentialError { field, why });
            }
        }
        let mut one = |field| {
            let why = "is required";
            let value = found.remove(&field).and_then(|mut values| values.pop());
            value.ok_or(CredentialError { field, why })
        };
        Ok(match kind {
            CredentialKind::Stripe => Self::Stripe(StripeCredentials {
                secret_key: one(CredentialField::SecretKey)?,
                webhook_secret: one(CredentialField::WebhookSecret).ok(),
            }),
            CredentialKind::Adyen => Self::Adyen(AdyenCredentials {
                api_key: one(CredentialField::ApiKey)?,
                merchant_account: one(CredentialField::MerchantAccount)?,
                hmac_keys: found.remove(&CredentialField::HmacKeys).unwrap_or_default(),
            }),
        })
    }

    /// For which protocol.
    pub const fn kind(&self) -> CredentialKind {
        match self {
            Self::Stripe(_) => CredentialKind::Stripe,
            Self::Adyen(_) => CredentialKind::Adyen,
        }
    }

    /// Every field with its secret; reading them back with [`Credentials::parse`] gives the same set.
    pub fn fields(&self) -> Vec<(CredentialField, &SecretText)> {
        match self {
            Self::Stripe(set) => {
                let secret_key = (CredentialField::SecretKey, &set.secret_key);
                let webhook_secret = set.webhook_secret.iter();
                let webhook_secret = webhook_secret.map(|secret| (CredentialField::WebhookSecret, secret));
                std::iter::once(secret_key).chain(webhook_secret).collect()
            }
            Self::Adyen(set) => {
                let single = [
                    (CredentialField::ApiKey, &set.api_key),
                    (CredentialField::MerchantAccount, &set.merchant_account),
                ];
                let keys = set.hmac_keys.iter().map(|key| (CredentialField::HmacKeys, key));
                single.into_iter().chain(keys).collect()
            }
        }
    }

    /// Whether both say the same.
    pub fn are(&self, other: &Self) -> bool {
        let (a, b) = (self.fields(), other.fields());
        let mut pairs = a.iter().zip(&b);
        a.len() == b.len() && pairs.all(|((a, x), (b, y))| a == b && x.is(y))
    }

    /// The key that requests carry.
    pub const fn request_key(&self) -> &SecretText {
        match self {
            Self::Stripe(set) => &set.secret_key,
            Self::Adyen(set) => &set.api_key,
        }
    }

    /// The end of the key that requests carry, for people who look for it; nothing if that would tell much of it.
    pub fn hint(&self) -> Option<Arc<str>> {
        let key = self.request_key().expose();
        if key.len() < HINTED_CHARS_MIN {
            return None;
        }
        let (end, _) = key.char_indices().rev().nth(HINT_CHARS.saturating_sub(1))?;
        key.get(end..).map(Arc::from)
    }
}

fn check(field: CredentialField, secret: &SecretText) -> Result<(), CredentialError> {
    let text = secret.expose();
    let refused = |why| Err(CredentialError { field, why });
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refused("must be visible ASCII characters");
    }
    match field {
        CredentialField::HmacKeys => {
            if text.len() != HMAC_KEY_DIGITS || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return refused("must be 64 hexadecimal digits each");
            }
        }
        CredentialField::MerchantAccount => {
            if text.is_empty() || text.len() > SECRET_CHARS_MAX {
                return refused("must be 1 to 512 characters");
            }
        }
        CredentialField::SecretKey | CredentialField::WebhookSecret | CredentialField::ApiKey => {
            if !(SECRET_CHARS_MIN..=SECRET_CHARS_MAX).contains(&text.len()) {
                return refused("must be 8 to 512 characters");
            }
        }
    }
    Ok(())
}

/// What may be said of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialVersion {
    /// 1, 2, ...; numbers may be left out, and never come twice.
    pub version: u32,
    /// Payments from then on are made under it, until the next one.
    pub created_at: Timestamp,
    /// Nothing is made under it from then on, and its secrets are gone.
    pub retired_at: Option<Timestamp>,
    /// Which fields it has.
    pub fields: Vec<CredentialField>,
    /// The end of the key that requests carry.
    pub hint: Option<Arc<str>>,
    /// It moves real money.
    pub livemode: bool,
    /// Where a request that is repeated elsewhere would be another request: whose payments they are.
    pub account: Option<Arc<str>>,
}

/// Under what a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The key of the configuration: the merchant had none of its own.
    Configured,
    /// The merchant's own of this version.
    Version(u32),
    /// Nothing: what it was made under is retired, and nothing that is present may stand in.
    Gone,
}

/// Under what a request about something is made that was made at `made_at`; `versions` from the oldest on. What is in force at a time never
/// changes afterwards, so every request about one object chooses the same, also after a restart. What stands in for a retired version is of
/// the same account, and stays the same as well until it is retired itself.
pub fn choose(versions: &[CredentialVersion], made_at: Timestamp) -> Choice {
    let was_in_force = |version: &&CredentialVersion| {
        version.created_at <= made_at && version.retired_at.is_none_or(|at| made_at < at)
    };
    let Some(made_under) = versions.iter().rev().find(was_in_force) else {
        return Choice::Configured;
    };
    let mut standing_in = made_under;
    while let Some(retired_at) = standing_in.retired_at {
        let Some(next) = stand_in(versions, standing_in, retired_at) else {
            return Choice::Gone;
        };
        standing_in = next;
    }
    Choice::Version(standing_in.version)
}

/// What stands in for a version from its retirement on: of those of its account that were present then the oldest newer one, else the newest
/// older one; if none was, the first that was made later. It follows from what was so at that time, so no later version takes its place.
fn stand_in<'a>(
    versions: &'a [CredentialVersion],
    retired: &CredentialVersion,
    retired_at: Timestamp,
) -> Option<&'a CredentialVersion> {
    // One that was retired no later could not stand in any longer; so what stands in for another one is retired later, and chains end.
    let outlived = |other: &&CredentialVersion| {
        other.retired_at.is_none_or(|at| at > retired_at) && other.account == retired.account
    };
    let was_there = |other: &&CredentialVersion| outlived(other) && other.created_at <= retired_at;
    let newer = |other: &&CredentialVersion| other.version > retired.version;
    let present_then = versions
        .iter()
        .find(|other| newer(other) && was_there(other))
        .or_else(|| {
            versions
                .iter()
                .rev()
                .find(|other| !newer(other) && was_there(other))
        });
    present_then.or_else(|| versions.iter().find(|other| newer(other) && outlived(other)))
}

/// What is to happen where no set of a version's mode is left once it is retired: new charges would be made under what is left, in another
/// account, and be taken all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastSet {
    /// It is not retired.
    Kept,
    /// It is retired: somebody has said that this is meant.
    FallsBack,
}

/// What the journal says of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournaledVersion {
    /// Payments from then on are made under it; nothing where the journal did not say yet.
    pub created_at: Option<Timestamp>,
    /// Nothing is made under it from then on; where the journal did not say yet, when it recorded that.
    pub retired_at: Option<Timestamp>,
}

/// What the journal says of the versions of one merchant at one provider: every one there ever was, by its number.
pub type JournaledVersions = BTreeMap<u32, JournaledVersion>;

/// All of it.
pub type JournaledCredentials = BTreeMap<(MerchantId, ProviderId), JournaledVersions>;

/// Whose key a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyOwner {
    /// The platform's, from the configuration.
    Platform,
    /// A merchant's own.
    Merchant {
        /// Whose.
        merchant: MerchantId,
        /// Which version of it.
        version: u32,
    },
}

impl fmt::Display for KeyOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform => f.write_str("platform"),
            Self::Merchant { merchant, version: _ } => fmt::Display::fmt(merchant, f),
        }
    }
}

#[cfg(test)]
mod tests;

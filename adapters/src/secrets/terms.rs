//! What a configured provider takes as a merchant's credentials, and what may be said of them.

use florin_domain::credentials::{CredentialError, CredentialField, CredentialKind, Credentials};
use florin_domain::ports::SecretsError;
use std::sync::Arc;

/// What test keys of Stripe begin with, and what live keys have in them.
const TEST_KEYS: [&str; 2] = ["sk_test_", "rk_test_"];
const LIVE_KEY: &str = "_live_";

/// What a configured provider takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Its protocol.
    pub kind: CredentialKind,
    /// What is sent there can be read on the way.
    pub is_clear: bool,
    /// Its address may be that of real money; for a protocol whose keys do not say it.
    pub is_live: bool,
    /// Development takes no key of real money.
    pub refuses_live: bool,
}

/// A key of Stripe's that moves no real money.
pub(crate) fn is_stripe_test_key(key: &str) -> bool {
    TEST_KEYS.iter().any(|prefix| key.starts_with(prefix))
}

pub(super) fn names(set: &Credentials) -> Vec<CredentialField> {
    let mut names: Vec<_> = set.fields().into_iter().map(|(field, _)| field).collect();
    names.dedup();
    names
}

/// Whose payments they are, where a request that is repeated under another account would be another request. At Stripe a repetition
/// names the object of the first request, which another account does not have.
pub(super) fn account(set: &Credentials) -> Option<Arc<str>> {
    match set {
        Credentials::Stripe(_) => None,
        Credentials::Adyen(set) => Some(Arc::from(set.merchant_account.expose())),
    }
}

pub(super) fn livemode(set: &Credentials, terms: Terms) -> Result<bool, SecretsError> {
    let refused = |field, why| SecretsError::Unfit(CredentialError { field, why });
    match set {
        Credentials::Stripe(set) => {
            let key = set.secret_key.expose();
            let is_test = is_stripe_test_key(key);
            if terms.refuses_live && key.contains(LIVE_KEY) {
                let why = "must be a test key: development takes no live key";
                return Err(refused(CredentialField::SecretKey, why));
            }
            if terms.is_clear && !is_test {
                let why = "must be a test key, because the provider is not reached over https";
                return Err(refused(CredentialField::SecretKey, why));
            }
            Ok(!is_test)
        }
        Credentials::Adyen(_) => Ok(terms.is_live),
    }
}

/// Refuses what is of the other mode than the one that is allowed: a merchant's test key must not bring in real money, nor its live key
/// have real customers charged in a sandbox.
pub(super) fn check_mode(set: &Credentials, livemode: bool, only: Option<bool>) -> Result<(), SecretsError> {
    if only.is_none_or(|only| only == livemode) {
        return Ok(());
    }
    let (field, why) = match (set, livemode) {
        (Credentials::Stripe(_), true) => (
            CredentialField::SecretKey,
            "must be a test key, because the request came with a test key",
        ),
        (Credentials::Stripe(_), false) => (
            CredentialField::SecretKey,
            "must be a live key, because the request came with a live key",
        ),
        (Credentials::Adyen(_), true) => (
            CredentialField::ApiKey,
            "is one of real money, because the provider's address is no test address, and the request came with a test key",
        ),
        (Credentials::Adyen(_), false) => (
            CredentialField::ApiKey,
            "moves no real money, because the provider's address is a test address, and the request came with a live key",
        ),
    };
    Err(SecretsError::Unfit(CredentialError { field, why }))
}

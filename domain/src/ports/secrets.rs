//! Where secrets of merchants are kept.

use super::BoxFuture;
use crate::credentials::{CredentialError, CredentialFields, CredentialVersion, Credentials, LastSet};
use crate::ids::MerchantId;
use crate::provider::ProviderId;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;
use zeroize::Zeroizing;

/// Why credentials are not kept, or not to be had. No text of it has a secret in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SecretsError {
    /// The node has no key under which it could seal anything.
    #[error("no key-encryption key is configured")]
    NotConfigured,
    /// No provider of this name takes credentials of merchants.
    #[error("the provider takes no credentials of merchants")]
    NoSuchProvider,
    /// They are no set of credentials for this provider.
    #[error(transparent)]
    Unfit(#[from] CredentialError),
    /// Another change of the same credentials is under way.
    #[error("another change of these credentials is under way")]
    Busy,
    /// So many versions are present already: one must be retired first.
    #[error("too many versions are present")]
    TooMany,
    /// No other set of its mode is present, or the one that would follow is of another mode or account: new charges would go on there.
    #[error("new charges would go on in another account")]
    LastOfMode {
        /// It moves real money.
        livemode: bool,
    },
    /// There is no such version, or it is retired.
    #[error("there is no such version")]
    NoSuchVersion,
    /// The store failed; what was there before is there still.
    #[error("the store of secrets failed: {0}")]
    Store(String),
}

/// A set that is present.
#[derive(Clone, Debug)]
pub struct PresentCredentials {
    /// What may be said of it.
    pub about: CredentialVersion,
    /// The secrets.
    pub credentials: Arc<Credentials>,
}

/// Port of the store of merchants' credentials. A change has three steps: it is begun here, the journal says that it happened, and it is
/// settled here. From the begin on, requests that its outcome decides wait for the end.
pub trait Secrets: Send + Sync + fmt::Debug {
    /// Makes a set durable as the next version, to be in force from the time that is returned; [`Secrets::settle`] must follow. The same set
    /// as the newest that is present changes nothing, returns it and needs no settling: then its time is the one it had. With `only_livemode`
    /// a set that moves real money is refused, or one that does not; it is said by a merchant's own key, for which fewer may be present.
    fn put(
        &self,
        merchant: MerchantId,
        provider: ProviderId,
        fields: CredentialFields,
        only_livemode: Option<bool>,
    ) -> BoxFuture<'_, Result<Begun, SecretsError>>;

    /// Begins to retire a version; [`Secrets::settle`] must follow, and destroys its secrets. The last one of its mode is refused unless it is
    /// said that new charges may fall back to what is left.
    fn retire(
        &self,
        merchant: MerchantId,
        provider: ProviderId,
        version: u32,
        last: LastSet,
    ) -> BoxFuture<'_, Result<CredentialVersion, SecretsError>>;

    /// Ends the change that was begun: it is in force if the journal has it, and forgotten otherwise.
    fn settle(
        &self,
        merchant: MerchantId,
        provider: ProviderId,
        is_journaled: bool,
    ) -> BoxFuture<'_, Result<(), SecretsError>>;

    /// The sets that are present, from the newest on.
    ///
    /// # Errors
    /// If the node keeps no secrets, or the provider takes none.
    fn present(
        &self,
        merchant: MerchantId,
        provider: ProviderId,
    ) -> Result<Vec<PresentCredentials>, SecretsError>;

    /// Every version that ever was, from the newest on, without its secrets.
    ///
    /// # Errors
    /// If the node keeps no secrets, or the provider takes none.
    fn list(
        &self,
        merchant: MerchantId,
        provider: ProviderId,
    ) -> Result<Vec<CredentialVersion>, SecretsError>;
}

/// What became of a set that was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is a new version and needs settling.
    New(CredentialVersion),
    /// It is the newest version already.
    Known(CredentialVersion),
}

/// The public name of a key-encryption key; it tells nothing of the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KekId(pub [u8; 8]);

impl fmt::Display for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A data key, overwritten when it is dropped.
pub type DataKey = Zeroizing<[u8; 32]>;

/// Why a data key cannot be wrapped or unwrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KekError {
    /// The wrapped key, or what it is bound to, is not what was wrapped under this key.
    #[error("the wrapped key does not open")]
    Refused,
    /// The key's device does not work.
    #[error("the key-encryption key does not work")]
    Failed,
}

/// Port of a key-encryption key: a file, or a device that never lets it out.
pub trait Kek: Send + Sync + fmt::Debug {
    /// Its name.
    fn id(&self) -> KekId;

    /// Wraps a data key, bound to what `about` says.
    fn wrap(&self, key: &DataKey, about: &[u8]) -> Result<Vec<u8>, KekError>;

    /// Unwraps it for whoever says the same.
    fn unwrap(&self, wrapped: &[u8], about: &[u8]) -> Result<DataKey, KekError>;
}

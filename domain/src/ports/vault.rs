//! Where customers and saved cards are kept, and how a provider's adapter comes to a card.

use super::BoxFuture;
use crate::ids::{CustomerId, MandateId, MerchantId, MethodId, SetupId};
use crate::time::Timestamp;
use crate::token::CardToken;
use crate::vault::{Changed, ChargedCard, Once, Owner, VaultChange, VaultObject, VaultPage, VaultRefusal};
use std::fmt;
use thiserror::Error;

/// Why the vault has no answer. No text of it has anything of a card or a person in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VaultError {
    /// The node has no key under which it could seal anything.
    #[error("no key-encryption key is configured")]
    NotConfigured,
    /// Too many wait for it; nothing was begun.
    #[error("too many wait for the vault")]
    Busy,
    /// The change is refused, and nothing was changed.
    #[error(transparent)]
    Refused(#[from] VaultRefusal),
    /// The store failed. What was to be changed may have been or not.
    #[error("the vault failed: {0}")]
    Store(String),
}

/// Which single thing is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VaultKey {
    /// A customer.
    Customer(CustomerId),
    /// A saved card.
    Method(MethodId),
    /// A token.
    Token(CardToken),
    /// A card that is being set up.
    Setup(SetupId),
    /// A consent.
    Mandate(MandateId),
}

/// A page of things, and whether there are more.
pub type VaultObjects = (Vec<VaultObject>, bool);

/// Port of the store of customers and saved cards. What it answers is durable.
pub trait CardVault: Send + Sync + fmt::Debug {
    /// Makes a change, all of it or nothing; with `once`, one time only, and is answered the same again for a day.
    fn change(
        &self,
        owner: Owner,
        change: VaultChange,
        once: Option<Once>,
    ) -> BoxFuture<'_, Result<Changed, VaultError>>;

    /// One thing of an owner.
    fn get(&self, owner: Owner, key: VaultKey) -> BoxFuture<'_, Result<Option<VaultObject>, VaultError>>;

    /// A page of things, and whether there are more. `None` if there is no such customer.
    fn list(&self, owner: Owner, page: VaultPage) -> BoxFuture<'_, Result<Option<VaultObjects>, VaultError>>;

    /// The time by which it dates what it keeps.
    fn now(&self) -> Timestamp;
}

/// Port through which an adapter comes to a saved card when it sends it. Neither the journal nor a mailbox ever has it.
pub trait ChargedCards: Send + Sync + fmt::Debug {
    /// The card, opened; `None` if it is erased or another merchant's.
    fn open(
        &self,
        merchant: MerchantId,
        method: MethodId,
    ) -> BoxFuture<'_, Result<Option<ChargedCard>, VaultError>>;

    /// A provider has answered a charge of it: its security code is forgotten.
    fn answered(&self, method: MethodId);
}

/// Port of saved cards for whoever only shows them. What it tells is as new as the vault, but may come from a copy.
pub trait ShownCards: Send + Sync + fmt::Debug {
    /// A saved card, as it may be shown.
    fn method_shown(
        &self,
        owner: Owner,
        id: MethodId,
    ) -> BoxFuture<'_, Result<Option<VaultObject>, VaultError>>;
}

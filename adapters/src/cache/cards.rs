//! The card vault with saved cards in front of it, as they may be shown. Numbers and security codes are not among them: whoever charges opens the
//! vault itself.

use super::fences::Fences;
use super::kind::PAYMENT_METHODS;
use super::shared::Shared;
use super::tiers::{Found, Remembered, Tiers};
use crate::card_vault;
use florin_domain::ids::MethodId;
use florin_domain::ports::{BoxFuture, CardVault, VaultError, VaultKey, VaultObjects};
use florin_domain::time::Timestamp;
use florin_domain::vault::{Changed, Once, Owner, SavedMethod, VaultChange, VaultObject, VaultPage};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Whose, and which.
type Key = (Owner, MethodId);

impl Remembered for SavedMethod {
    type Key = Key;

    fn name((owner, id): &Key) -> String {
        let mode = if owner.livemode { "live" } else { "test" };
        format!("{}:{mode}:{id}", owner.merchant)
    }

    fn write(&self) -> Option<Zeroizing<Vec<u8>>> {
        card_vault::written(&VaultObject::Method(self.clone()))
    }

    fn read((_, id): &Key, bytes: &[u8]) -> Option<Self> {
        match card_vault::read(bytes)? {
            VaultObject::Method(method) => (method.id == *id).then_some(method),
            VaultObject::Customer(_)
            | VaultObject::CustomerDeleted(_)
            | VaultObject::Token(_)
            | VaultObject::Setup(_)
            | VaultObject::Mandate(_) => None,
        }
    }
}

/// Which saved cards a change touches.
enum Touched {
    /// At most this one.
    One(MethodId),
    /// None that was there before.
    None,
    /// Nobody can tell before it has happened.
    Any,
}

impl Touched {
    fn by(change: &VaultChange) -> Self {
        match change {
            VaultChange::UpdateMethod { id, .. }
            | VaultChange::Attach { id, .. }
            | VaultChange::Detach { id }
            | VaultChange::CreateCustomer { method: Some(id), .. } => Self::One(*id),
            VaultChange::CreateCustomer { method: None, .. }
            | VaultChange::UpdateCustomer { .. }
            | VaultChange::CreateMethod { .. }
            | VaultChange::UseToken { .. }
            | VaultChange::CreateToken { .. }
            | VaultChange::CancelSetup { .. }
            | VaultChange::UpdateSetup { .. }
            | VaultChange::CreateSetup { confirmed: None, .. } => Self::None,
            VaultChange::CreateSetup { .. }
            | VaultChange::ConfirmSetup { .. }
            | VaultChange::DeleteCustomer { .. } => Self::Any,
        }
    }
}

/// A change under way: its keys are read from the vault itself until it has ended, and so is everything if it cannot be told which they are.
struct Changing<'a> {
    fences: &'a Fences,
    key: Option<Key>,
}

impl<'a> Changing<'a> {
    fn begin(fences: &'a Fences, key: Option<Key>) -> Self {
        match &key {
            Some(key) => fences.begin(key),
            None => fences.begin_any(),
        }
        Self { fences, key }
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        match &self.key {
            Some(key) => self.fences.end(key),
            None => self.fences.end_any(),
        }
    }
}

#[derive(Debug)]
struct Cards {
    vault: Arc<dyn CardVault>,
    methods: Tiers<SavedMethod>,
}

impl Cards {
    async fn method(&self, owner: Owner, id: MethodId) -> Result<Option<VaultObject>, VaultError> {
        let key = (owner, id);
        let read = || self.vault.get(owner, VaultKey::Method(id));
        if self.methods.fences().is_changing(&key) {
            return read().await;
        }
        let mark = match self.methods.find(&key).await {
            Found::Here(method) => return Ok(Some(VaultObject::Method(method))),
            Found::Missing(mark) => mark,
        };
        let found = read().await?;
        if let Some(VaultObject::Method(method)) = &found {
            self.methods.fill(mark, &key, method);
        }
        Ok(found)
    }

    async fn change_all(
        &self,
        owner: Owner,
        change: VaultChange,
        once: Option<Once>,
    ) -> Result<Changed, VaultError> {
        let key = match Touched::by(&change) {
            Touched::None => return self.vault.change(owner, change, once).await,
            Touched::One(id) => Some((owner, id)),
            Touched::Any => None,
        };
        let fences = self.methods.fences();
        let _changing = Changing::begin(fences, key);
        let doubt = self.methods.in_doubt();
        let changed = self.vault.change(owner, change, once).await;
        if let Some(key) = key {
            self.methods.changed(vec![(key, None)]).await;
            doubt.settle();
        }
        changed
    }
}

/// A card vault behind what is remembered of it.
#[derive(Clone, Debug)]
pub struct CachedCards(Arc<Cards>);

impl CachedCards {
    /// Nothing else may change what the vault has.
    pub fn new(vault: Arc<dyn CardVault>, shared: Option<Arc<Shared>>) -> Self {
        Self(Arc::new(Cards {
            vault,
            methods: Tiers::new(PAYMENT_METHODS, shared),
        }))
    }

    #[cfg(test)]
    pub(super) fn forget_memory(&self) {
        self.0.methods.forget_memory();
    }
}

impl CardVault for CachedCards {
    fn change(
        &self,
        owner: Owner,
        change: VaultChange,
        once: Option<Once>,
    ) -> BoxFuture<'_, Result<Changed, VaultError>> {
        let cards = Arc::clone(&self.0);
        Box::pin(async move {
            // A change that was begun happens whether or not whoever asked for it stays, and so must be watched to its end.
            let changing = tokio::spawn(async move { cards.change_all(owner, change, once).await });
            let died = |_| VaultError::Store("the task that changes it died".to_owned());
            changing.await.map_err(died)?
        })
    }

    fn get(&self, owner: Owner, key: VaultKey) -> BoxFuture<'_, Result<Option<VaultObject>, VaultError>> {
        match key {
            VaultKey::Method(id) => Box::pin(self.0.method(owner, id)),
            VaultKey::Customer(_) | VaultKey::Token(_) | VaultKey::Setup(_) | VaultKey::Mandate(_) => {
                self.0.vault.get(owner, key)
            }
        }
    }

    fn list(&self, owner: Owner, page: VaultPage) -> BoxFuture<'_, Result<Option<VaultObjects>, VaultError>> {
        self.0.vault.list(owner, page)
    }

    fn now(&self) -> Timestamp {
        self.0.vault.now()
    }
}

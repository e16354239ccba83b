//! The card vault with saved cards in front of it, for whoever shows them. Numbers and security codes are not among them; whoever charges or decides
//! asks the vault itself.

use super::kind::PAYMENT_METHODS;
use super::shared::Shared;
use super::tiers::{Found, Remembered, Tiers};
use crate::card_vault;
use florin_domain::ids::MethodId;
use florin_domain::ports::{BoxFuture, CardVault, ShownCards, VaultError, VaultKey, VaultObjects};
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

#[derive(Debug)]
struct Cards {
    vault: Arc<dyn CardVault>,
    methods: Tiers<SavedMethod>,
}

impl Cards {
    async fn shown(&self, owner: Owner, id: MethodId) -> Result<Option<VaultObject>, VaultError> {
        let key = (owner, id);
        let found = self.methods.find(&key).await;
        if let Found::Here(method) = found {
            return Ok(Some(VaultObject::Method(method)));
        }
        let read = self.vault.get(owner, VaultKey::Method(id)).await?;
        if let (Found::Missing(mark), Some(VaultObject::Method(method))) = (found, &read) {
            self.methods.fill(mark, &key, method);
        }
        Ok(read)
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
        // Ends after the doubt does.
        let _changing = match &key {
            Some(key) => self.methods.changing(std::iter::once(key)),
            None => self.methods.changing_any(),
        };
        let doubt = self.methods.in_doubt();
        let changed = self.vault.change(owner, change, once).await;
        match (&changed, key) {
            (Err(VaultError::NotConfigured | VaultError::Busy | VaultError::Refused(_)), _) => doubt.settle(),
            (Ok(_) | Err(VaultError::Store(_)), Some(key)) => {
                self.methods.changed(vec![(key, None)]).await;
                doubt.settle();
            }
            // Everything is forgotten.
            (Ok(_) | Err(VaultError::Store(_)), None) => drop(doubt),
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
        self.0.vault.get(owner, key)
    }

    fn list(&self, owner: Owner, page: VaultPage) -> BoxFuture<'_, Result<Option<VaultObjects>, VaultError>> {
        self.0.vault.list(owner, page)
    }

    fn now(&self) -> Timestamp {
        self.0.vault.now()
    }
}

impl ShownCards for CachedCards {
    fn method_shown(
        &self,
        owner: Owner,
        id: MethodId,
    ) -> BoxFuture<'_, Result<Option<VaultObject>, VaultError>> {
        Box::pin(self.0.shown(owner, id))
    }
}

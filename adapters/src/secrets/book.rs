//! What is present, in memory: read by every call to a provider without a lock, replaced as a whole by every change.

use arc_swap::ArcSwap;
use florin_domain::credentials::{Choice, CredentialVersion, Credentials, KeyOwner, choose};
use florin_domain::ids::MerchantId;
use florin_domain::provider::ProviderId;
use florin_domain::time::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a call waits for the end of a change that decides under what it is made.
const CHANGED_WITHIN: Duration = Duration::from_secs(4);

/// Whose credentials, and where.
pub(crate) type Place = (MerchantId, ProviderId);

/// Why a call cannot be made now. Nothing of it has left this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unavailable {
    /// They are being changed, and it takes long.
    #[error("the merchant's credentials are being changed")]
    Changing,
    /// Those that it was made under are retired, and none of the same account are present.
    #[error("the merchant's credentials that it was made under are retired")]
    Retired,
}

/// A set that is present, and which version it is.
#[derive(Clone, Debug)]
pub struct Held {
    /// 1, 2, ...
    pub version: u32,
    /// The secrets.
    pub credentials: Arc<Credentials>,
}

/// One merchant's versions at one provider.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf {
    /// From the oldest on, the retired ones too.
    pub(super) versions: Vec<CredentialVersion>,
    pub(super) present: Vec<Held>,
    /// What is made from then on waits for the end of a change.
    pub(super) changes_from: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Shelves {
    /// Before the journal has been compared, nothing is believed.
    is_compared: bool,
    shelves: HashMap<Place, Arc<Shelf>>,
}

/// What every call looks into.
#[derive(Debug)]
pub struct Book {
    shelves: ArcSwap<Shelves>,
    changes: watch::Sender<u64>,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            shelves: ArcSwap::default(),
            changes: watch::Sender::new(0),
        }
    }
}

impl Book {
    /// Under what a request is made about something of a merchant that was made at `made_at`: the merchant's own set, or `None` for the
    /// configured one. Waits only while a change is under way that decides it.
    ///
    /// # Errors
    /// If the change takes too long, or nothing is left to make it under.
    pub async fn find(
        &self,
        at: (MerchantId, ProviderId),
        made_at: Timestamp,
    ) -> Result<Option<Held>, Unavailable> {
        if let Some(found) = self.look(at, made_at) {
            return found;
        }
        let mut changes = self.changes.subscribe();
        let waiting = async {
            loop {
                if let Some(found) = self.look(at, made_at) {
                    return found;
                }
                if changes.changed().await.is_err() {
                    return Err(Unavailable::Changing);
                }
            }
        };
        timeout(CHANGED_WITHIN, waiting)
            .await
            .unwrap_or(Err(Unavailable::Changing))
    }

    /// Nothing while a change decides it.
    fn look(&self, at: Place, made_at: Timestamp) -> Option<Result<Option<Held>, Unavailable>> {
        let all = self.shelves.load();
        if !all.is_compared {
            return None;
        }
        let Some(kept) = all.shelves.get(&at) else {
            return Some(Ok(None));
        };
        if kept.changes_from.is_some_and(|from| from <= made_at) {
            return None;
        }
        Some(match choose(&kept.versions, made_at) {
            Choice::Configured => Ok(None),
            Choice::Gone => Err(Unavailable::Retired),
            Choice::Version(version) => {
                let held = kept.present.iter().find(|held| held.version == version);
                held.cloned().map(Some).ok_or(Unavailable::Retired)
            }
        })
    }

    /// Whose key a merchant's request about something of that time carries, if that is settled and anything may be sent.
    pub fn key_owner(&self, at: (MerchantId, ProviderId), made_at: Timestamp) -> Option<KeyOwner> {
        let merchant = at.0;
        let held = self.look(at, made_at)?.ok()?;
        Some(held.map_or(KeyOwner::Platform, |held| KeyOwner::Merchant {
            merchant,
            version: held.version,
        }))
    }

    /// The present sets of all merchants at a provider, for what comes from there.
    pub fn everybodys(&self, provider: ProviderId) -> Vec<(MerchantId, Held)> {
        let all = self.shelves.load();
        let of_provider = all.shelves.iter().filter(|(place, _)| place.1 == provider);
        of_provider
            .flat_map(|((merchant, _), shelf)| shelf.present.iter().map(|held| (*merchant, held.clone())))
            .collect()
    }

    /// One shelf.
    pub(super) fn shelf(&self, at: Place) -> Option<Arc<Shelf>> {
        self.shelves.load().shelves.get(&at).map(Arc::clone)
    }

    /// Puts a shelf in the place of another one.
    pub(super) fn put(&self, at: Place, kept: Shelf) {
        let kept = Arc::new(kept);
        self.shelves.rcu(|all| {
            let mut shelves = all.shelves.clone();
            shelves.insert(at, Arc::clone(&kept));
            Shelves {
                is_compared: all.is_compared,
                shelves,
            }
        });
        self.tell();
    }

    /// Puts all of them in their places: what is here is what the journal says.
    pub(super) fn open(&self, shelves: HashMap<Place, Arc<Shelf>>) {
        let is_compared = true;
        self.shelves.store(Arc::new(Shelves { is_compared, shelves }));
        self.tell();
    }

    /// No merchant has anything of its own.
    pub fn open_empty(&self) {
        self.open(HashMap::new());
    }

    /// For tests of adapters: each of these has been present from the beginning.
    #[cfg(test)]
    pub(crate) fn holding(sets: Vec<(Place, Credentials)>) -> Arc<Self> {
        let beginning = Timestamp::from_unix_ms(0);
        let sets = sets.into_iter().map(|(place, set)| (place, set, beginning));
        Self::holding_since(sets.collect())
    }

    /// The same, each since its own time; of one place the oldest first.
    #[cfg(test)]
    pub(crate) fn holding_since(sets: Vec<(Place, Credentials, Timestamp)>) -> Arc<Self> {
        let book = Self::default();
        let mut shelves: HashMap<Place, Shelf> = HashMap::new();
        for (place, set, created_at) in sets {
            let kept = shelves.entry(place).or_default();
            let version = u32::try_from(kept.versions.len() + 1).unwrap();
            kept.versions.push(CredentialVersion {
                version,
                created_at,
                retired_at: None,
                fields: Vec::new(),
                hint: None,
                livemode: false,
                account: None,
            });
            let credentials = Arc::new(set);
            kept.present.push(Held { version, credentials });
        }
        book.open(
            shelves
                .into_iter()
                .map(|(place, kept)| (place, Arc::new(kept)))
                .collect(),
        );
        Arc::new(book)
    }

    fn tell(&self) {
        self.changes
            .send_modify(|changes| *changes = changes.wrapping_add(1));
    }
}

//! The store of merchants' credentials: files at rest, the book in memory, and changes in two steps around the journal.

use super::book::{Book, Held, Place, Shelf};
use super::comparing::{CompareError, StaleError, follow, lack, retire};
use super::folder::{Folder, unwatched};
use super::kept::{Files, Kept, OpenError};
use super::record::Record;
use super::sealed_file::SealedFile;
use super::terms::{Terms, account, check_mode, livemode, names};
use crate::mirror::MirrorIn;
use florin_domain::credentials::{
    CredentialFields, CredentialVersion, Credentials, JournaledCredentials, LastSet, PRESENT_FOR_OWN_KEY_MAX,
    PRESENT_VERSIONS_MAX,
};
use florin_domain::ids::MerchantId;
use florin_domain::ports::{Begun, BoxFuture, Clock, Kek, PresentCredentials, Secrets, SecretsError};
use florin_domain::provider::ProviderId;
use florin_domain::time::{Millis, Timestamp};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// A change begins so far ahead that every call which it decides finds it announced.
const AHEAD: Millis = Millis(5);
/// As fine as the clock is.
const TICK: Duration = Duration::from_millis(1);

/// A change between its begin and its end.
#[derive(Clone, Copy, Debug)]
enum Change {
    Put { version: u32, at: Timestamp },
    Retire { version: u32, at: Timestamp },
}

/// What is in the files, and which changes are under way.
#[derive(Debug)]
struct Desk {
    kept: Kept,
    files: HashMap<MerchantId, SealedFile>,
    changes: HashMap<Place, Change>,
}

struct Inner {
    /// New files are sealed under the first.
    keks: Vec<Arc<dyn Kek>>,
    terms: HashMap<ProviderId, Terms>,
    clock: Arc<dyn Clock>,
    desk: Mutex<Desk>,
    book: Arc<Book>,
}

/// Credentials in sealed files, one for each merchant.
#[derive(Clone)]
pub struct SecretStore(Arc<Inner>);

impl fmt::Debug for SecretStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretStore")
            .field("keks", &self.0.keks)
            .finish_non_exhaustive()
    }
}

impl SecretStore {
    /// Opens every file. Nothing is believed before it was compared with the journal ([`SecretStore::compare`]).
    ///
    /// # Errors
    /// If a file was changed, moved, or is sealed under none of the keys.
    pub fn open(
        folder: &Path,
        keks: Vec<Arc<dyn Kek>>,
        terms: HashMap<ProviderId, Terms>,
        clock: Arc<dyn Clock>,
        book: Arc<Book>,
    ) -> Result<Self, OpenError> {
        Self::open_mirrored(folder, keks, (terms, clock, book), None)
    }

    /// The same of credentials that are kept in a database as well.
    ///
    /// # Errors
    /// If a file was changed, moved, or is sealed under none of the keys, or the database cannot be used.
    pub fn open_mirrored(
        folder: &Path,
        keks: Vec<Arc<dyn Kek>>,
        (terms, clock, book): (HashMap<ProviderId, Terms>, Arc<dyn Clock>, Arc<Book>),
        mirror: Option<&MirrorIn>,
    ) -> Result<Self, OpenError> {
        let folder = Folder::new(folder, unwatched());
        let kept = match mirror {
            Some(place) => Kept::in_database(folder, place)?,
            None => Kept::here(folder)?,
        };
        Self::open_kept(kept, keks, (terms, clock, book))
    }

    /// The same with something that watches each step of a change of the files.
    #[cfg(test)]
    pub(super) fn open_watched(
        folder: Folder,
        keks: Vec<Arc<dyn Kek>>,
        terms: HashMap<ProviderId, Terms>,
        clock: Arc<dyn Clock>,
        book: Arc<Book>,
    ) -> Result<Self, OpenError> {
        Self::open_kept(Kept::here(folder)?, keks, (terms, clock, book))
    }

    fn open_kept(
        (kept, sealed): (Kept, Files),
        keks: Vec<Arc<dyn Kek>>,
        (terms, clock, book): (HashMap<ProviderId, Terms>, Arc<dyn Clock>, Arc<Book>),
    ) -> Result<Self, OpenError> {
        let mut files = HashMap::new();
        for (merchant, bytes) in sealed {
            let file = SealedFile::open(merchant, &bytes, &keks).map_err(|error| OpenError::File {
                path: kept.folder.file(merchant),
                why: error.to_string(),
            })?;
            files.insert(merchant, file);
        }
        let desk = Desk {
            kept,
            files,
            changes: HashMap::new(),
        };
        Ok(Self(Arc::new(Inner {
            keks,
            terms,
            clock,
            desk: Mutex::new(desk),
            book,
        })))
    }

    /// Compares the files with what the journal says, and puts into force what both have. A version that the journal does not have was
    /// never answered, and is forgotten; one that it retired is destroyed. A database that never had any gets what is here.
    ///
    /// # Errors
    /// If the journal has a version, retired or not, that the files do not have as it was made, or a database does not take them.
    pub fn compare(&self, journaled: &JournaledCredentials) -> Result<(), CompareError> {
        self.0.compare(journaled)
    }
}

impl Inner {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        // Whoever failed with it wrote whole files or none.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn compare(&self, journaled: &JournaledCredentials) -> Result<(), CompareError> {
        let mut desk = self.desk();
        let Desk { kept, files, .. } = &mut *desk;
        for ((merchant, provider), versions) in journaled {
            let records = files.get(merchant).map_or(&[][..], |file| &file.records);
            if let Some(lack) = lack(records, *provider, versions) {
                return Err(CompareError::Stale(StaleError {
                    merchant: *merchant,
                    provider: *provider,
                    lack,
                    path: kept.folder.file(*merchant),
                    advice: kept.advice(),
                }));
            }
        }
        let mut behind = Vec::new();
        for (merchant, file) in &mut *files {
            if follow(&mut file.records, *merchant, journaled) {
                behind.push(*merchant);
            }
        }
        kept.begin(files).map_err(CompareError::Database)?;
        for merchant in behind {
            let Some(file) = files.get(&merchant) else {
                continue;
            };
            let written = file
                .bytes(&file.records)
                .and_then(|bytes| kept.replace(merchant, &bytes));
            if let Err(error) = written {
                tracing::error!(%merchant, %error, "retired credentials could not be destroyed yet");
            }
        }
        let mut shelves: HashMap<Place, Arc<Shelf>> = HashMap::new();
        for (merchant, file) in &desk.files {
            for record in &file.records {
                let place = (*merchant, record.provider);
                shelves
                    .entry(place)
                    .or_insert_with(|| Arc::new(shelf_of(&file.records, record.provider)));
            }
        }
        drop(desk);
        self.book.open(shelves);
        Ok(())
    }

    /// Announces that what is made from some instant on waits, and returns that instant: every call that finds no announcement is about
    /// something that was made before.
    fn announce(&self, place: Place) -> Timestamp {
        loop {
            let from = self.clock.now().plus(AHEAD);
            let mut kept = self
                .book
                .shelf(place)
                .map(|shelf| (*shelf).clone())
                .unwrap_or_default();
            kept.changes_from = Some(from);
            self.book.put(place, kept);
            if self.clock.now() < from {
                return from;
            }
        }
    }

    /// Shows what the records say.
    fn show(&self, desk: &Desk, place: Place) {
        let records = desk.files.get(&place.0).map_or(&[][..], |file| &file.records);
        self.book.put(place, shelf_of(records, place.1));
    }

    fn put(&self, place: Place, fields: CredentialFields, only: Option<bool>) -> Result<Begun, SecretsError> {
        let (merchant, provider) = place;
        let terms = *self.terms.get(&provider).ok_or(SecretsError::NoSuchProvider)?;
        let set = Credentials::parse(terms.kind, fields)?;
        let livemode = livemode(&set, terms)?;
        check_mode(&set, livemode, only)?;
        let mut desk = self.desk();
        if desk.changes.contains_key(&place) {
            return Err(SecretsError::Busy);
        }
        if let Entry::Vacant(free) = desk.files.entry(merchant) {
            let kek = self.keks.first().ok_or(SecretsError::NotConfigured)?;
            free.insert(SealedFile::new(merchant, &**kek).map_err(failed)?);
        }
        let file = desk.files.get(&merchant).ok_or_else(lost)?;
        let own = || file.records.iter().filter(|record| record.provider == provider);
        let mut present = own().filter(|record| record.credentials.is_some());
        // Only a merchant's own key is bound to its mode.
        let present_max = match only {
            Some(_) => PRESENT_FOR_OWN_KEY_MAX,
            None => PRESENT_VERSIONS_MAX,
        };
        // Each mode has room of its own, so that whoever has a test key locks nobody out of live sets.
        let of_mode = present.clone().filter(|record| record.about.livemode == livemode);
        if of_mode.count() >= present_max {
            return Err(SecretsError::TooMany);
        }
        if let Some(known) = present.next_back()
            && known.credentials.as_ref().is_some_and(|known| known.are(&set))
        {
            return Ok(Begun::Known(known.about.clone()));
        }
        let version = own().map(|record| record.about.version).max().unwrap_or(0) + 1;
        let about = CredentialVersion {
            version,
            created_at: self.announce(place),
            retired_at: None,
            fields: names(&set),
            hint: set.hint(),
            livemode,
            account: account(&set),
        };
        let mut records = file.records.clone();
        records.push(Record {
            provider,
            about: about.clone(),
            credentials: Some(Arc::new(set)),
        });
        if let Err(error) = Self::write(&mut desk, merchant, records) {
            self.show(&desk, place);
            return Err(error);
        }
        let at = about.created_at;
        desk.changes.insert(place, Change::Put { version, at });
        Ok(Begun::New(about))
    }

    fn retire(&self, place: Place, version: u32, last: LastSet) -> Result<CredentialVersion, SecretsError> {
        if !self.terms.contains_key(&place.1) {
            return Err(SecretsError::NoSuchProvider);
        }
        let mut desk = self.desk();
        if desk.changes.contains_key(&place) {
            return Err(SecretsError::Busy);
        }
        let records = desk.files.get(&place.0).map_or(&[][..], |file| &file.records);
        let present = || {
            let is_present = |record: &&Record| record.provider == place.1 && record.credentials.is_some();
            records.iter().filter(is_present).map(|record| &record.about)
        };
        let known = present().find(|about| about.version == version);
        let mut about = known.ok_or(SecretsError::NoSuchVersion)?.clone();
        let livemode = about.livemode;
        let others = || present().filter(|other| other.version != version);
        let is_last = !others().any(|other| other.livemode == livemode);
        // New charges are made under the newest set, whatever its mode.
        let next = others().max_by_key(|other| other.version);
        let moves = next.is_some_and(|next| {
            next.version < version && (next.livemode, &next.account) != (livemode, &about.account)
        });
        if (is_last || moves) && last == LastSet::Kept {
            return Err(SecretsError::LastOfMode { livemode });
        }
        let at = self.announce(place);
        about.retired_at = Some(at);
        desk.changes.insert(place, Change::Retire { version, at });
        Ok(about)
    }

    /// Since when it is in force.
    fn settle(&self, place: Place, is_journaled: bool) -> Result<Option<Timestamp>, SecretsError> {
        let mut desk = self.desk();
        let Some(change) = desk.changes.remove(&place) else {
            return Ok(None);
        };
        let mut records = desk
            .files
            .get(&place.0)
            .map_or_else(Vec::new, |file| file.records.clone());
        let is_it = |record: &Record, version| record.provider == place.1 && record.about.version == version;
        let written = match change {
            Change::Put { .. } if is_journaled => Ok(()),
            Change::Put { version, .. } => {
                records.retain(|record| !is_it(record, version));
                Self::write_or_keep(&mut desk, place.0, records)
            }
            Change::Retire { version, at } if is_journaled => {
                let mut retired = records.iter_mut().filter(|record| is_it(record, version));
                if let Some(record) = retired.next() {
                    retire(record, at);
                }
                Self::write_or_keep(&mut desk, place.0, records)
            }
            Change::Retire { .. } => Ok(()),
        };
        self.show(&desk, place);
        let (Change::Put { at, .. } | Change::Retire { at, .. }) = change;
        written.map(|()| is_journaled.then_some(at))
    }

    /// Makes the records those of a merchant, in its file first.
    fn write(desk: &mut Desk, merchant: MerchantId, records: Vec<Record>) -> Result<(), SecretsError> {
        let Desk { kept, files, .. } = desk;
        let file = files.get_mut(&merchant).ok_or_else(lost)?;
        let bytes = file.bytes(&records).map_err(failed)?;
        kept.replace(merchant, &bytes).map_err(failed)?;
        file.records = records;
        Ok(())
    }

    /// The same where the journal has spoken already: what the file still has beyond that is put away by the next start.
    fn write_or_keep(
        desk: &mut Desk,
        merchant: MerchantId,
        records: Vec<Record>,
    ) -> Result<(), SecretsError> {
        let written = Self::write(desk, merchant, records.clone());
        if written.is_err()
            && let Some(file) = desk.files.get_mut(&merchant)
        {
            file.records = records;
        }
        written
    }
}

fn shelf_of(records: &[Record], provider: ProviderId) -> Shelf {
    let own = || records.iter().filter(|record| record.provider == provider);
    let held = |record: &Record| {
        Some(Held {
            version: record.about.version,
            credentials: Arc::clone(record.credentials.as_ref()?),
        })
    };
    Shelf {
        versions: own().map(|record| record.about.clone()).collect(),
        present: own().filter_map(held).collect(),
        changes_from: None,
    }
}

fn lost() -> SecretsError {
    SecretsError::Store("the merchant's file is not open".to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` gives")]
fn failed(error: io::Error) -> SecretsError {
    SecretsError::Store(error.to_string())
}

/// Files are written on threads that may wait.
async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SecretsError> + Send + 'static,
) -> Result<T, SecretsError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(SecretsError::Store(error.to_string())))
}

impl Secrets for SecretStore {
    fn put(
        &self,
        merchant: MerchantId,
        provider: ProviderId,
        fields: CredentialFields,
        only_livemode: Option<bool>,
    ) -> BoxFuture<'_, Result<Begun, SecretsError>> {
        let inner = Arc::clone(&self.0);
        Box::pin(off_the_runtime(move || {
            inner.put((merchant, provider), fields, only_livemode)
        }))
    }

    fn retire(
        &self,
        merchant: MerchantId,
        provider: ProviderId,
        version: u32,
        last: LastSet,
    ) -> BoxFuture<'_, Result<CredentialVersion, SecretsError>> {
        let inner = Arc::clone(&self.0);
        Box::pin(off_the_runtime(move || {
            inner.retire((merchant, provider), version, last)
        }))
    }

    fn settle(
        &self,
        merchant: MerchantId,
        provider: ProviderId,
        is_journaled: bool,
    ) -> BoxFuture<'_, Result<(), SecretsError>> {
        Box::pin(async move {
            let inner = Arc::clone(&self.0);
            let settled = off_the_runtime(move || inner.settle((merchant, provider), is_journaled));
            if let Some(at) = settled.await? {
                // Whoever hears of it finds it in force.
                while self.0.clock.now() < at {
                    sleep(TICK).await;
                }
            }
            Ok(())
        })
    }

    fn present(
        &self,
        merchant: MerchantId,
        provider: ProviderId,
    ) -> Result<Vec<PresentCredentials>, SecretsError> {
        let kept = self.0.shelf(merchant, provider)?;
        let present = kept.present.iter().rev().filter_map(|held| {
            let mut versions = kept.versions.iter();
            Some(PresentCredentials {
                about: versions.find(|about| about.version == held.version)?.clone(),
                credentials: Arc::clone(&held.credentials),
            })
        });
        Ok(present.collect())
    }

    fn list(
        &self,
        merchant: MerchantId,
        provider: ProviderId,
    ) -> Result<Vec<CredentialVersion>, SecretsError> {
        let kept = self.0.shelf(merchant, provider)?;
        Ok(kept.versions.iter().rev().cloned().collect())
    }
}

impl Inner {
    fn shelf(&self, merchant: MerchantId, provider: ProviderId) -> Result<Arc<Shelf>, SecretsError> {
        if !self.terms.contains_key(&provider) {
            return Err(SecretsError::NoSuchProvider);
        }
        Ok(self.book.shelf((merchant, provider)).unwrap_or_default())
    }
}

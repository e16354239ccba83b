//! The sealed files beside the journal: what the journal knows of and the files do not makes them an older copy, which is refused. Under what a
//! payment was made follows from the times of all versions there ever were, so one that is missing would move payments to another account,
//! also if it is retired.

use super::record::Record;
use florin_domain::credentials::{JournaledCredentials, JournaledVersion, JournaledVersions};
use florin_domain::ids::MerchantId;
use florin_domain::provider::ProviderId;
use florin_domain::time::Timestamp;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// What is wrong with a version in the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Lack {
    /// It is present, and its secrets are not there.
    #[error("has version {0} of its credentials at")]
    Present(u32),
    /// It is retired, and nothing is known of it there.
    #[error("had version {0} of its credentials, which is retired now, at")]
    Retired(u32),
    /// The version of that number that is there was made at another time.
    #[error("was given another version {0} of its credentials at")]
    Other(u32),
}

/// Why what is kept is not believed.
#[derive(Debug, Error)]
pub enum CompareError {
    /// It is behind the journal.
    #[error(transparent)]
    Stale(#[from] StaleError),
    /// The database that is to have it does not take it.
    #[error("merchants' credentials could not be put into the database")]
    Database(#[source] io::Error),
}

/// The files are behind the journal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the journal says that {merchant} {lack} {provider}, and {path} does not have it: {advice}", path = path.display())]
pub struct StaleError {
    pub(super) merchant: MerchantId,
    pub(super) provider: ProviderId,
    pub(super) lack: Lack,
    pub(super) path: PathBuf,
    pub(super) advice: &'static str,
}

/// The first version that the journal has of a merchant at a provider and the merchant's records do not have as it says.
pub(super) fn lack(records: &[Record], provider: ProviderId, versions: &JournaledVersions) -> Option<Lack> {
    versions.iter().find_map(|(version, journaled)| {
        let is_it = |record: &&Record| record.provider == provider && record.about.version == *version;
        let Some(record) = records.iter().find(is_it) else {
            return Some(match journaled.retired_at {
                None => Lack::Present(*version),
                Some(_) => Lack::Retired(*version),
            });
        };
        if journaled.retired_at.is_none() && record.credentials.is_none() {
            return Some(Lack::Present(*version));
        }
        let is_other = journaled
            .created_at
            .is_some_and(|at| at != record.about.created_at);
        is_other.then_some(Lack::Other(*version))
    })
}

/// Takes away the records of which the journal knows nothing: they were never answered. Destroys those that it has retired, as of the time
/// that it says. Whether anything has changed.
pub(super) fn follow(
    records: &mut Vec<Record>,
    merchant: MerchantId,
    journaled: &JournaledCredentials,
) -> bool {
    let mut is_changed = false;
    records.retain_mut(|record| {
        let versions = journaled.get(&(merchant, record.provider));
        let known = versions.and_then(|versions| versions.get(&record.about.version));
        let is_right = match known {
            None => false,
            Some(JournaledVersion { retired_at: None, .. }) => true,
            Some(JournaledVersion {
                retired_at: Some(_), ..
            }) => record.credentials.is_none(),
        };
        if is_right {
            return true;
        }
        tracing::warn!(
            %merchant, provider = %record.provider, version = record.about.version,
            "credentials that the journal does not have, or has retired, are put away"
        );
        is_changed = true;
        match known.and_then(|known| known.retired_at) {
            Some(at) => {
                retire(record, at);
                true
            }
            None => false,
        }
    });
    is_changed
}

/// Destroys the secrets of a record.
pub(super) fn retire(record: &mut Record, at: Timestamp) {
    record.about.retired_at = Some(at);
    record.credentials = None;
}

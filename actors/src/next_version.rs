//! The next version of what is put in force: which one it follows, when it begins, and who decided it.

use crate::ledger_handle::LedgerError;
use florin_domain::merchant::OperatorAction;
use florin_domain::time::Timestamp;
use florin_domain::versions::{Version, Versions};
use thiserror::Error;

/// Versions of one thing that are kept. Those that wait for their time are, and those that were superseded within a day.
pub const VERSIONS_MAX: usize = 100;

/// Which version is put in force, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextVersion {
    /// The number of the latest version as whoever asks for this one has seen it.
    pub expected: u32,
    /// From when on it counts; at once if nothing is said.
    pub effective_at: Option<Timestamp>,
    /// Who decided it, and why.
    pub by: OperatorAction,
}

/// Why a version was not put in force.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PutError {
    /// Another version came first.
    #[error("version {latest} is the latest")]
    Stale {
        /// The one that did.
        latest: u32,
    },
    /// What happened already would have been decided otherwise.
    #[error("the version would begin in the past")]
    InThePast,
    /// There is no room for another one.
    #[error("{VERSIONS_MAX} versions are kept already")]
    TooMany,
    /// It could not be made durable.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl NextVersion {
    /// The version that follows these.
    pub(crate) fn of<T: Clone>(
        self,
        versions: &Versions<T>,
        now: Timestamp,
        value: T,
    ) -> Result<Version<T>, PutError> {
        let latest = versions.latest();
        let stale = PutError::Stale { latest };
        if self.expected != latest {
            return Err(stale);
        }
        if self.effective_at.is_some_and(|begins| begins <= now) {
            return Err(PutError::InThePast);
        }
        let version = Version {
            number: latest.checked_add(1).ok_or(stale)?,
            effective_at: self.effective_at,
            by: self.by,
            value,
        };
        let mut kept = versions.clone();
        kept.put(version.clone(), now);
        if kept.kept().len() > VERSIONS_MAX {
            return Err(PutError::TooMany);
        }
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_domain::ids::ApiKeyId;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_000);

    fn next(expected: u32, effective_ms: Option<u64>) -> NextVersion {
        NextVersion {
            expected,
            effective_at: effective_ms.map(Timestamp::from_unix_ms),
            by: OperatorAction {
                operator: ApiKeyId::from_bits(1),
                reason: None,
            },
        }
    }

    #[test]
    fn a_version_follows_the_latest_and_begins_later_or_at_once() {
        let mut versions = Versions::after(1);
        let mut put = |expected, begins_ms| {
            let version = next(expected, begins_ms).of(&versions, NOW, ())?;
            assert!(versions.put(version, NOW));
            Ok(versions.latest())
        };
        for (expected, begins_ms, outcome) in [
            (0, None, Err(PutError::Stale { latest: 1 })),
            (1, None, Ok(2)),
            (1, Some(2_000), Err(PutError::Stale { latest: 2 })),
            (2, Some(1_000), Err(PutError::InThePast)),
            (2, Some(0), Err(PutError::InThePast)),
            (2, Some(1_001), Ok(3)),
            (4, None, Err(PutError::Stale { latest: 3 })),
            (3, None, Ok(4)),
        ] {
            assert_eq!(put(expected, begins_ms), outcome, "{expected} at {begins_ms:?}");
        }
    }

    #[test]
    fn there_are_only_so_many_to_come_and_at_once_there_is_always_room() {
        let mut versions = Versions::after(0);
        for (number, begins_ms) in (0..).zip(2_000..).take(VERSIONS_MAX) {
            let version = next(number, Some(begins_ms)).of(&versions, NOW, ()).unwrap();
            assert!(versions.put(version, NOW));
        }
        let latest = versions.latest();
        let refused = next(latest, Some(9_000)).of(&versions, NOW, ());
        assert_eq!(refused, Err(PutError::TooMany));
        // Those whose place it takes make room, and so do those that are long over.
        for (begins_ms, now) in [
            (Some(2_000), NOW),
            (Some(300_000_000), Timestamp::from_unix_ms(200_000_000)),
            (None, NOW),
        ] {
            let version = next(latest, begins_ms).of(&versions, now, ()).unwrap();
            let mut versions = versions.clone();
            assert!(versions.put(version, now));
            assert!(versions.kept().len() <= 2, "{begins_ms:?}");
        }
    }
}

//! The face of risk's thresholds: those in force, those to come, and changes of them. A change is answered when it is durable and every
//! payment that is asked for from then on is assessed by it.

use crate::context::Context;
use crate::ledger_handle::LedgerHandle;
use crate::next_version::{NextVersion, PutError};
use crate::options::Options;
use crate::shards::Shards;
use florin_domain::merchant::{Control, ControlEvent};
use florin_domain::risk::{Profile, ProfileChange, ProfileError, ProfileVersion};
use florin_domain::time::Timestamp;
use std::borrow::Cow;
use std::sync::Arc;
use thiserror::Error;

/// The most that `hour_count_high` may be put to without a restart, unless the configuration says more: so many payments of one customer in an
/// hour are remembered for it.
pub const HOUR_COUNT_HIGH_MAX: u32 = 100;

/// The most that is remembered for it.
fn hour_count_high_max(options: &Options) -> u32 {
    options.risk.hour_count_high.max(HOUR_COUNT_HIGH_MAX)
}

/// The profile that payments are assessed by now.
pub(crate) fn in_force<'a>(options: &'a Options, control: &Control, now: Timestamp) -> Cow<'a, Profile> {
    let Some(version) = control.profile.in_force(now) else {
        return Cow::Borrowed(&options.risk);
    };
    // The configuration may have changed since, so that both make no sense together: then it counts alone, as is shown.
    let Ok(mut changed) = options.risk.changed(&version.value) else {
        return Cow::Borrowed(&options.risk);
    };
    // What is counted no further would never be flagged.
    changed.hour_count_high = changed.hour_count_high.min(hour_count_high_max(options));
    Cow::Owned(changed)
}

/// The thresholds of risk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// The number of those that count now; 0 for the configuration's.
    pub version: u32,
    /// What payments are assessed by.
    pub profile: Profile,
    /// The change that brought them; nothing for the configuration's.
    pub change: Option<ProfileVersion>,
    /// Why the change does not count: it makes no sense with the configuration as it is now.
    pub problem: Option<ProfileError>,
    /// The number that the next change must follow.
    pub latest: u32,
    /// Changes to come, the earliest first.
    pub to_come: Vec<ProfileVersion>,
}

/// Why thresholds were not put in force.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProfileSetError {
    /// They make no sense with the configuration's others.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// More payments in an hour than are remembered.
    #[error("at most {most} payments of one customer in an hour are remembered")]
    HourCountTooHigh {
        /// How many.
        most: u32,
    },
    /// They are not the next version.
    #[error(transparent)]
    Put(#[from] PutError),
}

/// The face of risk's thresholds.
#[derive(Clone, Debug)]
pub struct RiskProfileHandle {
    shards: Shards,
    context: Arc<Context>,
}

impl RiskProfileHandle {
    pub(crate) fn new(shards: Shards) -> Self {
        let context = Arc::clone(shards.home());
        Self { shards, context }
    }

    /// The thresholds now and to come.
    pub fn thresholds(&self) -> Thresholds {
        let (control, now) = (self.context.directory.load(), self.context.ports.clock.now());
        let (options, versions) = (&self.context.options, &control.profile);
        let change = versions.in_force(now);
        let problem = change.and_then(|change| options.risk.changed(&change.value).err());
        Thresholds {
            version: versions.number_in_force(now),
            profile: in_force(options, &control, now).into_owned(),
            change: change.cloned(),
            problem,
            latest: versions.latest(),
            to_come: versions.to_come(now).cloned().collect(),
        }
    }

    /// Puts thresholds in force. What a change does not name is what the configuration says.
    ///
    /// # Errors
    /// If they make no sense, another change came first, it would begin in the past, there are too many, or it could not be made durable.
    pub async fn set(&self, change: ProfileChange, next: NextVersion) -> Result<Thresholds, ProfileSetError> {
        let options = &self.context.options;
        options.risk.changed(&change)?;
        let most = hour_count_high_max(options);
        if change.hour_count_high.is_some_and(|count| count > most) {
            return Err(ProfileSetError::HourCountTooHigh { most });
        }
        let now = self.context.ports.clock.now();
        let version = next.of(&self.context.directory.load().profile, now, change)?;
        let recorded = LedgerHandle::new(self.shards.clone())
            .record_version(ControlEvent::ProfileSet(version))
            .await
            .map_err(PutError::from)?;
        let set = self.thresholds();
        match recorded {
            Some(_) => Ok(set),
            None => Err(PutError::Stale { latest: set.latest }.into()),
        }
    }
}

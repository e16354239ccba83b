//! Owns what is put in force version by version: each follows the one before it, and each may begin at a later time.

use crate::merchant::OperatorAction;
use crate::time::{Millis, Timestamp};

/// How long a version whose time is over is still kept: more than the clocks of two processes differ, so that none which is in force by
/// anybody's clock is forgotten.
const SUPERSEDED_KEPT: Millis = Millis::from_s(24 * 3600);

/// A value with its number, from when on it counts, and whoever decided it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version<T> {
    /// One more than the one before it.
    pub number: u32,
    /// From when on it counts; from its commit on if nothing is said.
    pub effective_at: Option<Timestamp>,
    /// Who decided it, and why.
    pub by: OperatorAction,
    /// What counts then.
    pub value: T,
}

impl<T> Version<T> {
    /// Whether its time has come.
    pub fn has_begun(&self, now: Timestamp) -> bool {
        self.effective_at.is_none_or(|begins| begins <= now)
    }
}

/// Versions of one thing, of which one counts at a time.
///
/// A later version takes the place of every earlier one from its own time on. One that was to begin then or later never will: to call off what
/// is to come, put in force at once what is in force.
///
/// ```
/// use florin_domain::ids::ApiKeyId;
/// use florin_domain::merchant::OperatorAction;
/// use florin_domain::time::Timestamp;
/// use florin_domain::versions::{Version, Versions};
///
/// let time = Timestamp::from_unix_ms;
/// let by = OperatorAction { operator: ApiKeyId::from_bits(1), reason: None };
/// let version = |number, effective_at, value| Version { number, effective_at, by: by.clone(), value };
/// let mut prices = Versions::after(0);
/// assert!(prices.put(version(1, None, "low"), time(5)));
/// assert!(prices.put(version(2, Some(time(90)), "high"), time(6)));
/// assert!(!prices.put(version(2, None, "late"), time(7)), "somebody else was first");
/// let counts = |now| prices.in_force(time(now)).map(|version| version.value);
/// assert_eq!((counts(89), counts(90)), (Some("low"), Some("high")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions<T> {
    /// The number of what counts before any of them.
    base: u32,
    /// In the order of their numbers, and of their times.
    kept: Vec<Version<T>>,
}

impl<T> Versions<T> {
    /// None yet. What counts until there are any has this number.
    pub const fn after(base: u32) -> Self {
        Self {
            base,
            kept: Vec::new(),
        }
    }

    /// Those that a snapshot has kept, in the order of their numbers. Nothing if they cannot have been kept.
    pub fn kept_after(base: u32, kept: Vec<Version<T>>) -> Option<Self> {
        let mut previous: Option<&Version<T>> = None;
        for version in &kept {
            let follows = previous.map_or(version.number > base, |previous| {
                previous.number < version.number && previous.effective_at < version.effective_at
            });
            if !follows {
                return None;
            }
            previous = Some(version);
        }
        Some(Self { base, kept })
    }

    /// The number of the latest, whether its time has come or not.
    pub fn latest(&self) -> u32 {
        self.kept.last().map_or(self.base, |version| version.number)
    }

    /// Whether this number is the next.
    pub fn takes(&self, number: u32) -> bool {
        self.latest().checked_add(1) == Some(number)
    }

    /// Takes the next version, recorded at `at`, and says whether it was the next: any other changes nothing.
    pub fn put(&mut self, version: Version<T>, at: Timestamp) -> bool {
        if !self.takes(version.number) {
            return false;
        }
        // No time comes before all others, as it is ordered.
        self.kept
            .retain(|earlier| earlier.effective_at < version.effective_at);
        self.kept.push(version);
        self.forget_superseded(at);
        true
    }

    fn forget_superseded(&mut self, at: Timestamp) {
        let long_ago = at.minus(SUPERSEDED_KEPT);
        let begun = self.kept.iter().rposition(|version| version.has_begun(long_ago));
        self.kept.drain(..begun.unwrap_or(0));
    }

    /// The one that counts, if any does yet.
    pub fn in_force(&self, now: Timestamp) -> Option<&Version<T>> {
        self.kept.iter().rfind(|version| version.has_begun(now))
    }

    /// The number of what counts.
    pub fn number_in_force(&self, now: Timestamp) -> u32 {
        self.in_force(now).map_or(self.base, |version| version.number)
    }

    /// Those whose time will come, the earliest first.
    pub fn to_come(&self, now: Timestamp) -> impl Iterator<Item = &Version<T>> {
        self.kept.iter().filter(move |version| !version.has_begun(now))
    }

    /// All that are kept, in the order of their numbers.
    pub fn kept(&self) -> &[Version<T>] {
        &self.kept
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of the tests' own")]
mod tests {
    use super::*;
    use crate::ids::ApiKeyId;
    use proptest::prelude::*;

    const DAY_MS: u64 = 86_400_000;
    const NOW: u64 = 1_000 * DAY_MS;

    fn version(number: u32, effective_ms: Option<u64>) -> Version<u32> {
        Version {
            number,
            effective_at: effective_ms.map(Timestamp::from_unix_ms),
            by: OperatorAction {
                operator: ApiKeyId::from_bits(1),
                reason: None,
            },
            value: number,
        }
    }

    fn numbers(versions: &Versions<u32>) -> Vec<u32> {
        versions.kept().iter().map(|version| version.number).collect()
    }

    #[test]
    fn a_version_takes_the_place_of_all_before_it_from_its_time_on() {
        let at = Timestamp::from_unix_ms;
        let mut versions = Versions::after(1);
        assert_eq!((versions.latest(), versions.number_in_force(at(NOW))), (1, 1));
        for (number, begins_ms, is_taken, kept) in [
            (3, None, false, &[][..]),
            (1, None, false, &[]),
            (2, Some(NOW + 50), true, &[2]),
            (3, Some(NOW + 90), true, &[2, 3]),
            (3, Some(NOW + 10), false, &[2, 3]),
            (4, Some(NOW + 50), true, &[4]),
            (5, Some(NOW + 60), true, &[4, 5]),
        ] {
            assert_eq!(
                versions.put(version(number, begins_ms), at(NOW)),
                is_taken,
                "{number}"
            );
            assert_eq!(numbers(&versions), kept, "{number}");
        }
        let in_force = |now| versions.number_in_force(at(now));
        let seen = [NOW, NOW + 49, NOW + 50, NOW + 59, NOW + 60].map(in_force);
        assert_eq!(seen, [1, 1, 4, 4, 5]);
        let to_come = |now| versions.to_come(at(now)).count();
        assert_eq!([NOW, NOW + 50, NOW + 60].map(to_come), [2, 1, 0]);
        assert!(
            versions.put(version(6, None), at(NOW)),
            "calls off what was to come"
        );
        assert_eq!((numbers(&versions), versions.latest()), (vec![6], 6));
        assert_eq!(versions.number_in_force(at(0)), 6, "by any clock");
    }

    #[test]
    fn what_is_over_for_a_day_is_forgotten_and_nothing_else() {
        let at = Timestamp::from_unix_ms;
        let mut versions = Versions::after(0);
        for (number, begins_ms) in [(1, NOW), (2, NOW + 10), (3, NOW + DAY_MS)] {
            assert!(versions.put(version(number, Some(begins_ms)), at(NOW)));
        }
        assert_eq!(numbers(&versions), [1, 2, 3]);
        let later = NOW + DAY_MS + 9;
        assert!(versions.put(version(4, Some(NOW + 9 * DAY_MS)), at(later)));
        assert_eq!(
            numbers(&versions),
            [1, 2, 3, 4],
            "2 is not in force for a day yet"
        );
        assert!(versions.put(version(5, Some(NOW + 10 * DAY_MS)), at(later + 1)));
        assert_eq!(numbers(&versions), [2, 3, 4, 5]);
    }

    #[test]
    fn a_snapshot_of_impossible_versions_is_none() {
        let kept = |versions: &[(u32, Option<u64>)]| {
            let versions = versions.iter().map(|(number, begins)| version(*number, *begins));
            Versions::kept_after(1, versions.collect()).is_some()
        };
        for possible in [
            &[][..],
            &[(2, None)],
            &[(7, None), (9, Some(1))],
            &[(2, Some(0)), (3, Some(1))],
        ] {
            assert!(kept(possible), "{possible:?}");
        }
        for impossible in [
            &[(1, None)][..],
            &[(2, None), (3, None)],
            &[(3, None), (2, Some(1))],
            &[(2, Some(1)), (3, Some(1))],
            &[(2, Some(1)), (3, None)],
        ] {
            assert!(!kept(impossible), "{impossible:?}");
        }
    }

    proptest! {
        /// Whoever kept all of them would say the same: the latest number whose time has come counts.
        #[test]
        fn what_counts_is_the_latest_whose_time_has_come(
            steps in proptest::collection::vec((0..3 * DAY_MS, proptest::option::of(0..4 * DAY_MS)), 1..30),
            skew_ms in 0..2 * 30_000_u64,
        ) {
            let (mut versions, mut all, mut at_ms) = (Versions::after(0), Vec::new(), NOW);
            for (number, (pause_ms, ahead_ms)) in (1..).zip(steps) {
                at_ms += pause_ms;
                let next = version(number, ahead_ms.map(|ahead_ms| at_ms + ahead_ms));
                prop_assert!(versions.put(next.clone(), Timestamp::from_unix_ms(at_ms)));
                all.push(next);
                // Another process may be behind.
                for now_ms in [at_ms - skew_ms, at_ms, at_ms + DAY_MS, at_ms + 5 * DAY_MS] {
                    let now = Timestamp::from_unix_ms(now_ms);
                    let expected = all.iter().rfind(|version| version.has_begun(now));
                    prop_assert_eq!(versions.in_force(now), expected);
                }
                let again = Versions::kept_after(0, versions.kept().to_vec());
                prop_assert_eq!(again.as_ref(), Some(&versions));
            }
        }
    }
}

//! What risk would say of a payment under another profile, from what was recorded of it.
//!
//! Everything that the rules look at is recorded with the payment but its velocity, of which only the flag is. So the fewest payments
//! and declines that fit the recorded reasons are assumed, and the answer says whether others that fit would change it.

use super::rules::VELOCITY;
use super::{
    Assessment, CardStanding, DUPLICATE, Features, ListMatch, ListName, Profile, VelocityCounts,
    VelocityLimits, screen,
};
use crate::money::Currency;
use crate::versions::Version;
use thiserror::Error;

/// What is to be otherwise in a profile; what is not named stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// Another score above which a payment is blocked, in basis points.
    pub block_above_bps: Option<u32>,
    /// Another score above which a payment is reviewed, in basis points.
    pub review_above_bps: Option<u32>,
    /// Other payments per hour from which velocity is flagged.
    pub hour_count_high: Option<u32>,
    /// Other limits in minor units, or none, of these currencies.
    pub amount_limits: Vec<(Currency, Option<i128>)>,
}

/// Thresholds that operators have put in force, or will, instead of those of the configuration.
pub type ProfileVersion = Version<ProfileChange>;

/// The changed profile makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProfileError {
    /// What is blocked is never reviewed.
    #[error("reviews would begin above the score that blocks")]
    ReviewAboveBlock,
}

impl Profile {
    /// This profile with a change.
    ///
    /// # Errors
    /// If reviews would begin above the score that blocks.
    pub fn changed(&self, change: &ProfileChange) -> Result<Self, ProfileError> {
        let mut changed = self.clone();
        changed.block_above_bps = change.block_above_bps.unwrap_or(self.block_above_bps);
        changed.review_above_bps = change.review_above_bps.unwrap_or(self.review_above_bps);
        changed.hour_count_high = change.hour_count_high.unwrap_or(self.hour_count_high);
        for (currency, limit_minor) in &change.amount_limits {
            changed.amount_limits.retain(|(other, _)| other != currency);
            changed
                .amount_limits
                .extend(limit_minor.map(|minor| (*currency, minor)));
        }
        if changed.review_above_bps > changed.block_above_bps {
            return Err(ProfileError::ReviewAboveBlock);
        }
        Ok(changed)
    }
}

/// A velocity that was not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssumedVelocity {
    /// Payments in the hour before, the payment included.
    pub hour_count: u32,
    /// Declines in the hour before.
    pub hour_declines: u32,
    /// Another velocity that fits what was recorded gives another assessment.
    pub is_decisive: bool,
}

/// What a payment would have been assessed as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassessment {
    /// Under the other profile.
    pub assessment: Assessment,
    /// The velocity that it goes by; `None` when nothing identified the customer, for then none was counted.
    pub velocity: Option<AssumedVelocity>,
    /// The present profile gives what was recorded. If it does not, another one was in force then.
    pub is_reproduced: bool,
}

/// What was recorded of an assessment.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// What the payment and its method say; their velocity does not matter.
    pub features: Features,
    /// What risk said.
    pub assessment: &'a Assessment,
    /// The entry of a list that decided.
    pub listed: Option<&'a ListMatch>,
    /// The customer was known, so velocity was counted.
    pub is_counted: bool,
}

/// Assesses a payment again under `other`. `present` is the profile in force; lists and limits say what they said then.
pub fn reassess(
    recorded: Recorded<'_>,
    limits: &VelocityLimits,
    present: &Profile,
    other: &Profile,
) -> Reassessment {
    let counts = counts(&recorded, limits);
    let under = |profile: &Profile, velocity: Option<[u32; 2]>| {
        let features = Features {
            hour_count: velocity.map(|[count, _]| count),
            hour_declines: velocity.map_or(0, |[_, declines]| declines),
            ..recorded.features
        };
        screen((profile, limits), &features, &counts, recorded.listed.cloned())
    };
    let (assumed, others) = fitting(&recorded, present);
    let assumed = recorded.is_counted.then_some(assumed);
    let assessment = under(other, assumed);
    let is_decisive = || {
        others
            .iter()
            .any(|velocity| under(other, Some(*velocity)) != assessment)
    };
    let again = under(present, assumed);
    let was = recorded.assessment;
    Reassessment {
        velocity: assumed.map(|[hour_count, hour_declines]| AssumedVelocity {
            hour_count,
            hour_declines,
            is_decisive: is_decisive(),
        }),
        is_reproduced: (again.score_bps, again.action, &again.reasons)
            == (was.score_bps, was.action, &was.reasons),
        assessment,
    }
}

/// The smallest velocity (payments, declines) that fits, and the extremes of the others that do: more never unraises a flag.
fn fitting(recorded: &Recorded<'_>, present: &Profile) -> ([u32; 2], [[u32; 2]; 2]) {
    let (count_high, declines_high) = (present.hour_count_high.max(1), present.hour_declines_high);
    let anything = [u32::MAX, u32::MAX];
    let is_blocked_anyway = recorded.features.method_is_highest_risk
        || recorded
            .listed
            .is_some_and(|listed| listed.list == ListName::Block);
    if is_blocked_anyway {
        // Then nobody wrote down what the velocity was.
        ([1, 0], [[1, 0], anything])
    } else if has_reason(recorded, VELOCITY) {
        ([count_high, 0], [[1, declines_high], anything])
    } else {
        let most = [
            count_high.saturating_sub(1).max(1),
            declines_high.saturating_sub(1),
        ];
        ([1, 0], [[1, 0], most])
    }
}

fn has_reason(recorded: &Recorded<'_>, name: &str) -> bool {
    let mut reasons = recorded.assessment.reasons.iter();
    reasons.any(|reason| reason.as_ref() == name)
}

/// Counts that are beyond the limits that were recorded as exceeded, and beyond no other.
fn counts(recorded: &Recorded<'_>, limits: &VelocityLimits) -> VelocityCounts {
    let none = VelocityCounts::default();
    let was_beyond = |counts: VelocityCounts| {
        limits
            .exceeded(recorded.features.currency, &counts)
            .any(|name| has_reason(recorded, name))
    };
    let many = |is_beyond: bool| if is_beyond { u32::MAX } else { 0 };
    VelocityCounts {
        minute_count: many(was_beyond(VelocityCounts {
            minute_count: u32::MAX,
            ..none
        })),
        hour_count: many(was_beyond(VelocityCounts {
            hour_count: u32::MAX,
            ..none
        })),
        hour_declines: many(was_beyond(VelocityCounts {
            hour_declines: u32::MAX,
            ..none
        })),
        day_amount_minor: was_beyond(VelocityCounts {
            day_amount_minor: Some(i128::MAX),
            ..none
        })
        .then_some(i128::MAX),
        ip_hour_count: was_beyond(VelocityCounts {
            ip_hour_count: Some(u32::MAX),
            ..none
        })
        .then_some(u32::MAX),
        twins: u32::from(has_reason(recorded, DUPLICATE)),
        twin: None,
        // No assessment says it: it is a word of its own.
        card: CardStanding::Fresh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ListEntryId;
    use crate::money::Amount;
    use crate::risk::{Action, ListKind, assess};
    use proptest::prelude::*;

    fn features() -> Features {
        Features {
            amount: Amount::new(5000).unwrap(),
            currency: Currency::USD,
            hour_count: None,
            hour_declines: 0,
            device_country: Some(*b"US"),
            card_country: *b"US",
            method_is_new: false,
            method_is_highest_risk: false,
        }
    }

    fn recorded(features: Features, is_counted: bool, assessment: &Assessment) -> Recorded<'_> {
        Recorded {
            features,
            assessment,
            listed: None,
            is_counted,
        }
    }

    fn again(recorded: Recorded<'_>, present: &Profile, other: &Profile) -> Reassessment {
        reassess(recorded, &VelocityLimits::default(), present, other)
    }

    fn counted(count: u32) -> Assessment {
        let features = Features {
            hour_count: Some(count),
            ..features()
        };
        assess(&Profile::deep_dive(), &features)
    }

    #[test]
    fn a_velocity_that_was_not_recorded_is_decisive_only_where_the_other_profile_tells_it_apart() {
        let present = Profile::deep_dive();
        // Counted then, high under the other profile: score, assumed count, decisive.
        let rows = [
            (2, 10, 1000, 1, false),
            (2, 50, 1000, 1, false),
            (2, 5, 1000, 1, true),
            (9, 5, 1000, 1, true),
            (9, 1, 3000, 1, false),
            (10, 10, 3000, 10, false),
            (10, 3, 3000, 10, false),
            (10, 11, 1000, 10, true),
            (99, 50, 1000, 10, true),
        ];
        for (count, high, score_bps, assumed, is_decisive) in rows {
            let change = ProfileChange {
                hour_count_high: Some(high),
                ..ProfileChange::default()
            };
            let other = present.changed(&change).unwrap();
            let was = counted(count);
            let answer = again(recorded(features(), true, &was), &present, &other);
            let velocity = AssumedVelocity {
                hour_count: assumed,
                hour_declines: 0,
                is_decisive,
            };
            assert_eq!(
                (answer.assessment.score_bps, answer.velocity, answer.is_reproduced),
                (score_bps, Some(velocity), true),
                "{count} under {high}"
            );
        }
    }

    #[test]
    fn nothing_is_assumed_of_a_payment_whose_velocity_nobody_counted() {
        let present = Profile::deep_dive();
        let other = present
            .changed(&ProfileChange {
                review_above_bps: Some(999),
                hour_count_high: Some(1),
                ..ProfileChange::default()
            })
            .unwrap();
        let was = assess(&present, &features());
        let answer = again(recorded(features(), false, &was), &present, &other);
        assert_eq!((answer.velocity, answer.is_reproduced), (None, true));
        assert_eq!(
            (answer.assessment.score_bps, answer.assessment.action),
            (1000, Action::Review)
        );
    }

    #[test]
    fn an_assessment_of_another_time_is_not_said_to_be_reproduced() {
        let present = Profile::deep_dive();
        let was = Assessment {
            score_bps: 1234,
            ..counted(2)
        };
        for is_counted in [true, false] {
            assert!(!again(recorded(features(), is_counted, &was), &present, &present).is_reproduced);
        }
    }

    #[test]
    fn a_changed_profile_keeps_what_is_not_named_and_must_make_sense() {
        let present = Profile::deep_dive();
        assert_eq!(present.changed(&ProfileChange::default()), Ok(present.clone()));
        let change = ProfileChange {
            amount_limits: vec![
                (Currency::USD, None),
                (Currency::EUR, Some(7)),
                (Currency::JPY, Some(8)),
            ],
            ..ProfileChange::default()
        };
        let changed = present.changed(&change).unwrap();
        assert_eq!(
            changed.amount_limits,
            [(Currency::EUR, 7), (Currency::JPY, 8)],
            "dollars have no limit now"
        );
        let upside_down = ProfileChange {
            block_above_bps: Some(4999),
            ..ProfileChange::default()
        };
        assert_eq!(present.changed(&upside_down), Err(ProfileError::ReviewAboveBlock));
    }

    #[test]
    fn lists_and_limits_say_what_they_said_then() {
        let limits = VelocityLimits {
            minute_count_max: Some(3),
            hour_declines_max: Some(5),
            ip_hour_count_max: Some(30),
            day_amounts: vec![(Currency::USD, 5000)],
            action: Action::Review,
            ..VelocityLimits::default()
        };
        let listed = |list| ListMatch {
            list,
            kind: ListKind::Ip,
            entry: ListEntryId::from_bits(1),
            is_of_platform: false,
            reason: "a ring".into(),
        };
        let (block, allow) = (listed(ListName::Block), listed(ListName::Allow));
        let few = VelocityCounts::default();
        let beyond = VelocityCounts {
            minute_count: 4,
            ip_hour_count: Some(31),
            ..few
        };
        let present = Profile::deep_dive();
        let strict = present
            .changed(&ProfileChange {
                review_above_bps: Some(900),
                block_above_bps: Some(900),
                ..ProfileChange::default()
            })
            .unwrap();
        let real = Features {
            hour_count: Some(3),
            ..features()
        };
        // Then: counts and list; what it was, and what it would be where everything is blocked that no list lets pass.
        let rows = [
            (few, None, Action::Allow, Action::Block),
            (beyond, None, Action::Review, Action::Block),
            (beyond, Some(&allow), Action::Allow, Action::Allow),
            (few, Some(&block), Action::Block, Action::Block),
        ];
        for (counts, listed, was, would_be) in rows {
            let assessment = screen((&present, &limits), &real, &counts, listed.cloned());
            assert_eq!(assessment.action, was);
            let recorded = Recorded {
                listed,
                ..recorded(features(), true, &assessment)
            };
            let answer = reassess(recorded, &limits, &present, &strict);
            assert!(answer.is_reproduced, "{answer:?}");
            assert_eq!(answer.assessment.action, would_be, "{assessment:?}");
            assert_eq!(answer.assessment.reasons, assessment.reasons);
        }
    }

    proptest! {
        #[test]
        fn whatever_was_counted_the_answer_is_right_or_says_that_it_may_not_be(
            (count, declines) in (1_u32..30, 0_u32..30),
            (high, minor) in (1_u32..30, 1_i128..300_000),
            (is_new, is_highest) in any::<(bool, bool)>(),
        ) {
            let present = Profile::deep_dive();
            let change = ProfileChange { hour_count_high: Some(high), ..ProfileChange::default() };
            let other = present.changed(&change).unwrap();
            let known = Features {
                amount: Amount::new(minor).unwrap(),
                method_is_new: is_new,
                method_is_highest_risk: is_highest,
                ..features()
            };
            let real = Features { hour_count: Some(count), hour_declines: declines, ..known };
            let was = assess(&present, &real);
            let answer = again(recorded(known, true, &was), &present, &other);
            prop_assert!(answer.is_reproduced);
            let is_decisive = answer.velocity.is_some_and(|velocity| velocity.is_decisive);
            prop_assert!(is_decisive || answer.assessment == assess(&other, &real));
            let same = again(recorded(known, true, &was), &present, &present);
            prop_assert_eq!(same.assessment, was, "nothing changed, so nothing may differ");
            prop_assert!(!same.velocity.is_some_and(|velocity| velocity.is_decisive));
        }
    }
}

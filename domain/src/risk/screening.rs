//! The whole risk stage: lists, then rules, then velocity limits.

use super::{
    Action, Assessment, DUPLICATE, Features, ListMatch, ListName, Profile, VelocityCounts, VelocityLimits,
    assess,
};
use std::sync::Arc;

/// Assesses a payment. An entry of the block list settles it; an allowance lifts what score and limits would do, but not the network's
/// own word that a card is highly risky.
pub fn screen(
    (profile, limits): (&Profile, &VelocityLimits),
    features: &Features,
    counts: &VelocityCounts,
    listed: Option<ListMatch>,
) -> Assessment {
    let mut assessment = assess(profile, features);
    match listed {
        Some(listed) if listed.list == ListName::Block => {
            return Assessment {
                score_bps: 10_000,
                action: Action::Block,
                reasons: vec![Arc::from(listed.word())],
                listed: Some(listed),
            };
        }
        Some(listed) if !features.method_is_highest_risk => {
            assessment.action = Action::Allow;
            assessment.reasons.insert(0, Arc::from(listed.word()));
            assessment.listed = Some(listed);
        }
        Some(_) | None => {
            let mut exceeded = limits.exceeded(features.currency, counts).peekable();
            if exceeded.peek().is_some() {
                assessment.action = severer(assessment.action, limits.action);
            }
            assessment.reasons.extend(exceeded.map(Arc::from));
        }
    }
    if counts.twins > 0 {
        // An allowance is about who pays, not about paying twice.
        assessment.action = severer(assessment.action, limits.duplicates.action);
        assessment.reasons.push(Arc::from(DUPLICATE));
    }
    assessment
}

const fn severer(a: Action, b: Action) -> Action {
    match (a, b) {
        (Action::Block, _) | (_, Action::Block) => Action::Block,
        (Action::Review, _) | (_, Action::Review) => Action::Review,
        (Action::Allow, Action::Allow) => Action::Allow,
    }
}

#[cfg(test)]
mod tests {
    use super::super::ListKind;
    use super::*;
    use crate::ids::ListEntryId;
    use crate::money::{Amount, Currency};

    fn features(minor: i128) -> Features {
        Features {
            amount: Amount::new(minor).unwrap(),
            currency: Currency::USD,
            hour_count: Some(10),
            hour_declines: 0,
            device_country: Some(*b"RU"),
            card_country: *b"US",
            method_is_new: true,
            method_is_highest_risk: false,
        }
    }

    fn listed(list: ListName) -> ListMatch {
        ListMatch {
            list,
            kind: ListKind::Ip,
            entry: ListEntryId::from_bits(1),
            is_of_platform: false,
            reason: "a ring".into(),
        }
    }

    fn words(assessment: &Assessment) -> Vec<&str> {
        assessment.reasons.iter().map(AsRef::as_ref).collect()
    }

    #[test]
    fn a_block_entry_settles_it_and_an_allowance_lifts_score_and_limits_only() {
        let (profile, counts) = (
            Profile::deep_dive(),
            VelocityCounts {
                minute_count: 9,
                ..Default::default()
            },
        );
        let limits = VelocityLimits {
            minute_count_max: Some(1),
            ..Default::default()
        };
        let screened = |features: &Features, listed| screen((&profile, &limits), features, &counts, listed);
        let bad = features(500_000);
        let rules = screened(&bad, None);
        assert_eq!((rules.score_bps, rules.action), (8500, Action::Block));
        assert!(words(&rules).contains(&"velocity_minute"));

        let blocked = screened(&features(1), Some(listed(ListName::Block)));
        assert_eq!((blocked.score_bps, blocked.action), (10_000, Action::Block));
        assert_eq!(words(&blocked), ["blocklist_ip"]);

        let allowed = screened(&bad, Some(listed(ListName::Allow)));
        assert_eq!(
            (allowed.score_bps, allowed.action),
            (8500, Action::Allow),
            "the score is still told"
        );
        assert_eq!(words(&allowed)[0], "allowlist_ip");
        assert!(!words(&allowed).contains(&"velocity_minute"));

        let worst = Features {
            method_is_highest_risk: true,
            ..bad
        };
        let worst = screened(&worst, Some(listed(ListName::Allow)));
        assert_eq!((worst.action, worst.listed), (Action::Block, None));
    }

    #[test]
    fn a_twin_is_told_and_meets_what_is_configured_whoever_pays() {
        let usual = Features {
            hour_count: Some(1),
            device_country: None,
            method_is_new: false,
            ..features(100)
        };
        let counts = VelocityCounts {
            twins: 1,
            ..VelocityCounts::default()
        };
        for action in [Action::Allow, Action::Review, Action::Block] {
            let mut limits = VelocityLimits::default();
            limits.duplicates.action = action;
            for list in [None, Some(listed(ListName::Allow))] {
                let assessment = screen((&Profile::deep_dive(), &limits), &usual, &counts, list);
                assert_eq!(assessment.action, action);
                assert_eq!(words(&assessment).last(), Some(&DUPLICATE));
            }
            let blocked = screen(
                (&Profile::deep_dive(), &limits),
                &usual,
                &counts,
                Some(listed(ListName::Block)),
            );
            assert_eq!(words(&blocked), ["blocklist_ip"], "an entry settles it");
        }
    }

    #[test]
    fn each_limit_has_its_reason_and_allows_exactly_what_it_says() {
        let limits = VelocityLimits {
            minute_count_max: Some(3),
            hour_count_max: Some(20),
            hour_declines_max: Some(4),
            ip_hour_count_max: Some(30),
            day_amounts: vec![(Currency::USD, 500)],
            action: Action::Review,
            ..VelocityLimits::default()
        };
        let at = VelocityCounts {
            minute_count: 3,
            hour_count: 20,
            hour_declines: 3,
            ip_hour_count: Some(30),
            day_amount_minor: Some(500),
            ..VelocityCounts::default()
        };
        let names = |counts: VelocityCounts| limits.exceeded(Currency::USD, &counts).collect::<Vec<_>>();
        assert!(names(at).is_empty());
        let cases = [
            (
                VelocityCounts {
                    minute_count: 4,
                    ..at
                },
                "velocity_minute",
            ),
            (VelocityCounts { hour_count: 21, ..at }, "velocity_hour"),
            (
                VelocityCounts {
                    hour_declines: 4,
                    ..at
                },
                "velocity_hour_declines",
            ),
            (
                VelocityCounts {
                    ip_hour_count: Some(31),
                    ..at
                },
                "velocity_ip_hour",
            ),
            (
                VelocityCounts {
                    day_amount_minor: Some(501),
                    ..at
                },
                "velocity_day_amount",
            ),
        ];
        let usual = Features {
            hour_count: Some(1),
            device_country: None,
            method_is_new: false,
            ..features(100)
        };
        for (counts, name) in cases {
            assert_eq!(names(counts), [name]);
            let assessment = screen((&Profile::deep_dive(), &limits), &usual, &counts, None);
            assert_eq!(
                (assessment.action, words(&assessment)),
                (Action::Review, vec![name])
            );
        }
        assert!(
            VelocityLimits::default()
                .exceeded(Currency::USD, &cases[0].0)
                .next()
                .is_none()
        );
        let other = limits.exceeded(Currency::JPY, &cases[4].0);
        assert_eq!(other.count(), 0, "a currency without a limit");
    }
}

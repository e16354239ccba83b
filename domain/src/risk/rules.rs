//! The rules of the second seed (RISK-12, RISK-21..24): velocity, amount, location, new method. One flag adds its weight to a
//! base; all four come to 0.85, which the `deep-dive` bands (block above 0.8, review above 0.5) deny.

use super::{Action, Assessment};
use crate::method::PaymentMethod;
use crate::money::{Amount, Currency};
use crate::payment::Spec;
use std::sync::Arc;

/// The reason that too many payments, or declines, in an hour are.
pub(super) const VELOCITY: &str = "velocity";

/// What the rules look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// How much.
    pub amount: Amount,
    /// Of what.
    pub currency: Currency,
    /// Payments of the same customer (else device) in the last hour, this one included; `None` when nothing identifies them.
    pub hour_count: Option<u32>,
    /// Declines of the same customer (else device) in the last hour.
    pub hour_declines: u32,
    /// Country of the customer's address.
    pub device_country: Option<[u8; 2]>,
    /// Country of the card's issuer.
    pub card_country: [u8; 2],
    /// The method was added less than a day ago.
    pub method_is_new: bool,
    /// The network calls the card highly risky.
    pub method_is_highest_risk: bool,
}

impl Features {
    /// Those of a payment as it was asked for, with a velocity that somebody counted.
    pub fn of(spec: &Spec, method: &PaymentMethod, hour_count: Option<u32>, hour_declines: u32) -> Self {
        Self {
            amount: spec.amount,
            currency: spec.currency,
            hour_count,
            hour_declines,
            device_country: spec.device.country,
            card_country: method.country,
            method_is_new: method.is_new,
            method_is_highest_risk: method.is_highest_risk,
        }
    }
}

/// What each raised flag adds, in basis points of the score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleWeights {
    /// Score of a payment with no flag.
    pub base_bps: u32,
    /// Too many payments, or too many declines, in an hour.
    pub velocity_bps: u32,
    /// Above the amount limit.
    pub amount_bps: u32,
    /// Another country than the card's.
    pub location_bps: u32,
    /// A method younger than a day.
    pub new_method_bps: u32,
}

/// Thresholds and weights under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Name in configuration and events.
    pub name: &'static str,
    /// Score above which a payment is blocked; at it, it is reviewed.
    pub block_above_bps: u32,
    /// Score above which a payment is reviewed; at it, it is allowed.
    pub review_above_bps: u32,
    /// Payments per hour from which velocity is flagged.
    pub hour_count_high: u32,
    /// Declines per hour from which velocity is flagged.
    pub hour_declines_high: u32,
    /// Largest unflagged amount per currency, in minor units; other currencies have no limit.
    pub amount_limits: Vec<(Currency, i128)>,
    /// What flags weigh.
    pub weights: RuleWeights,
}

impl Profile {
    /// The second seed's profile: block above 0.8, review above 0.5; ten payments an hour are high; 1,000 dollars.
    pub fn deep_dive() -> Self {
        Self {
            name: "deep-dive",
            block_above_bps: 8000,
            review_above_bps: 5000,
            hour_count_high: 10,
            hour_declines_high: 10,
            amount_limits: vec![(Currency::USD, 100_000), (Currency::EUR, 100_000)],
            weights: RuleWeights {
                base_bps: 1000,
                velocity_bps: 2000,
                amount_bps: 1500,
                location_bps: 2000,
                new_method_bps: 2000,
            },
        }
    }

    /// The action for a score.
    pub const fn action(&self, score_bps: u32) -> Action {
        if score_bps > self.block_above_bps {
            Action::Block
        } else if score_bps > self.review_above_bps {
            Action::Review
        } else {
            Action::Allow
        }
    }
}

/// Scores a payment by rules alone.
pub fn assess(profile: &Profile, features: &Features) -> Assessment {
    if features.method_is_highest_risk {
        return Assessment {
            score_bps: 10_000,
            action: Action::Block,
            reasons: vec![Arc::from("card_risk_highest")],
            listed: None,
        };
    }
    let weights = &profile.weights;
    let velocity = features
        .hour_count
        .is_some_and(|count| count >= profile.hour_count_high)
        || features.hour_declines >= profile.hour_declines_high;
    let limit = profile
        .amount_limits
        .iter()
        .find(|(currency, _)| *currency == features.currency);
    let amount = limit.is_some_and(|(_, limit_minor)| features.amount.minor() > *limit_minor);
    let location = features.device_country.is_some_and(|country| {
        features.card_country != PaymentMethod::UNKNOWN_COUNTRY && country != features.card_country
    });
    let flags = [
        (velocity, weights.velocity_bps, VELOCITY),
        (amount, weights.amount_bps, "amount_limit"),
        (location, weights.location_bps, "country_mismatch"),
        (
            features.method_is_new,
            weights.new_method_bps,
            "new_payment_method",
        ),
    ];
    let raised = || flags.iter().filter(|flag| flag.0);
    let score_bps = raised()
        .fold(weights.base_bps, |score, flag| score.saturating_add(flag.1))
        .min(10_000);
    Assessment {
        score_bps,
        action: profile.action(score_bps),
        reasons: raised().map(|flag| Arc::from(flag.2)).collect(),
        listed: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features() -> Features {
        Features {
            amount: Amount::new(5000).unwrap(),
            currency: Currency::USD,
            hour_count: Some(2),
            hour_declines: 0,
            device_country: Some(*b"US"),
            card_country: *b"US",
            method_is_new: false,
            method_is_highest_risk: false,
        }
    }

    #[test]
    fn the_seeds_usual_payment_scores_a_tenth_and_its_suspicious_one_is_blocked_at_0_85() {
        let profile = Profile::deep_dive();
        let usual = assess(&profile, &features());
        assert_eq!((usual.score_bps, usual.action), (1000, Action::Allow));
        let suspicious = Features {
            amount: Amount::new(500_000).unwrap(),
            hour_count: Some(10),
            device_country: Some(*b"RU"),
            method_is_new: true,
            ..features()
        };
        let suspicious = assess(&profile, &suspicious);
        assert_eq!((suspicious.score_bps, suspicious.action), (8500, Action::Block));
        assert_eq!(suspicious.reasons.len(), 4);
    }

    #[test]
    fn a_score_at_a_threshold_takes_the_milder_action() {
        let profile = Profile::deep_dive();
        let cases = [
            (5000, Action::Allow),
            (5001, Action::Review),
            (8000, Action::Review),
            (8001, Action::Block),
            (10_000, Action::Block),
        ];
        for (score_bps, expected) in cases {
            assert_eq!(profile.action(score_bps), expected, "{score_bps}");
        }
    }

    #[test]
    fn the_amount_limit_itself_is_not_above_the_limit() {
        let at = Features {
            amount: Amount::new(100_000).unwrap(),
            ..features()
        };
        let above = Features {
            amount: Amount::new(100_001).unwrap(),
            ..features()
        };
        let profile = Profile::deep_dive();
        assert!(assess(&profile, &at).reasons.is_empty());
        assert_eq!(assess(&profile, &above).reasons, [Arc::from("amount_limit")]);
    }
}

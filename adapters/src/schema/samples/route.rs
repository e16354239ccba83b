//! A route with one of everything that it can say.

use super::provider;
use florin_domain::health::Health;
use florin_domain::routing::{Bar, Choice, Route, Score};

/// A decision with every reason that leaves a provider out.
pub(super) fn route() -> Route {
    let reasons = [
        Bar::Disabled,
        Bar::Unwanted,
        Bar::NotNamed,
        Bar::BreakerOpen,
        Bar::Busy,
        Bar::Tried,
    ];
    let healths = [
        Health::Healthy,
        Health::Degraded,
        Health::Reduced,
        Health::Excluded,
    ];
    let choice = |(score, health)| Choice {
        provider: provider(),
        health,
        score: Score::from_hundredths(score),
    };
    Route {
        rule: Some("visa".into()),
        choices: [8_745, 0, 127, 10_000]
            .into_iter()
            .zip(healths)
            .map(choice)
            .collect(),
        left_out: reasons.map(|bar| (provider(), bar)).to_vec(),
    }
}

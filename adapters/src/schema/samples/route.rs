//! A route with one of everything that it can say, and what rules and wishes are stored as.

use super::{AUTHORIZE, method, provider, spec};
use florin_domain::decline::NetworkDecline;
use florin_domain::health::Health;
use florin_domain::payment::{Event, Spec};
use florin_domain::provider::ProviderId;
use florin_domain::routing::{AfterDecline, Bar, Choice, Route, Score, Wishes};
use std::sync::Arc;

/// A decision with every reason that left a provider out when it was first stored; [`late_reasons`] has those that came later.
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
        after_decline: None,
    }
}

/// A creation of a payment whose merchant wants something of routing.
pub(crate) fn wished_creation() -> Event {
    let [stripe, adyen, wise] = ["stripe", "adyen", "wise"].map(|name| ProviderId::parse(name).unwrap());
    Event::Created {
        spec: Arc::new(Spec {
            routing: Wishes {
                pin: Some(stripe),
                prefer: vec![adyen, stripe],
                exclude: vec![wise],
            },
            ..spec()
        }),
        method: method("pm_card_visa"),
    }
}

/// A creation of a payment whose customer is not there.
pub(crate) fn unattended_creation() -> Event {
    Event::Created {
        spec: Arc::new(Spec {
            off_session: true,
            ..spec()
        }),
        method: method("pm_card_visa"),
    }
}

/// A decision by the reasons that came later.
pub(crate) fn late_reasons() -> Event {
    Event::Routed {
        operation: AUTHORIZE,
        number: 2,
        route: Arc::new(Route {
            rule: None,
            choices: Vec::new(),
            left_out: vec![(provider(), Bar::KeyRefused)],
            after_decline: None,
        }),
    }
}

/// A decision by the reason that came last.
pub(crate) fn last_reason() -> Event {
    Event::Routed {
        operation: AUTHORIZE,
        number: 2,
        route: Arc::new(Route {
            rule: None,
            choices: Vec::new(),
            left_out: vec![(provider(), Bar::KeyLimited)],
            after_decline: None,
        }),
    }
}

/// A decline with its network's own codes.
pub(crate) fn network_decline() -> Event {
    Event::AttemptDeclined {
        operation: AUTHORIZE,
        number: 1,
        decline_code: "insufficient_funds".into(),
        reference: None,
        network: NetworkDecline::of(Some("51"), Some("02")),
    }
}

/// Decisions by rules that say what follows a decline.
pub(crate) fn decline_rules() -> [Event; 2] {
    AfterDecline::ALL.map(|after_decline| Event::Routed {
        operation: AUTHORIZE,
        number: 1,
        route: Arc::new(Route {
            after_decline: Some(after_decline),
            ..route()
        }),
    })
}

//! A routing decision as histories and dry runs show it.

use florin_domain::routing::{AfterDecline, Route};
use serde::Serialize;

/// A provider that might get the charge.
#[derive(Debug, Serialize)]
pub(crate) struct ChoiceRow {
    provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
}

/// A provider that might not.
#[derive(Debug, Serialize)]
pub(crate) struct LeftOutRow {
    provider: String,
    why: &'static str,
}

/// Who might get the charge, the best first, who might not, and by which rule.
#[derive(Debug, Serialize)]
pub(crate) struct RouteRow<'a> {
    rule: Option<&'a str>,
    choices: Vec<ChoiceRow>,
    left_out: Vec<LeftOutRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_decline: Option<&'static str>,
}

impl<'a> From<&'a Route> for RouteRow<'a> {
    fn from(route: &'a Route) -> Self {
        Self {
            rule: route.rule.as_deref(),
            choices: route
                .choices
                .iter()
                .map(|choice| ChoiceRow {
                    provider: choice.provider.to_string(),
                    health: Some(choice.health.as_str()),
                    score: Some(f64::from(choice.score.hundredths()) / 100.0),
                })
                .collect(),
            left_out: route
                .left_out
                .iter()
                .map(|(provider, bar)| LeftOutRow {
                    provider: provider.to_string(),
                    why: bar.as_str(),
                })
                .collect(),
            after_decline: route.after_decline.map(AfterDecline::as_str),
        }
    }
}

impl RouteRow<'_> {
    /// What a merchant may see: where its charge goes and why, not how the platform's providers are doing.
    pub(crate) fn for_merchant(mut self) -> Self {
        for choice in &mut self.choices {
            choice.health = None;
            choice.score = None;
        }
        self
    }
}

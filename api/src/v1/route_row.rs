//! A routing decision as histories and dry runs show it.

use florin_domain::routing::Route;
use serde::Serialize;

/// A provider that might get the charge.
#[derive(Debug, Serialize)]
pub(crate) struct ChoiceRow {
    provider: String,
    health: &'static str,
    score: f64,
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
                    health: choice.health.as_str(),
                    score: f64::from(choice.score.hundredths()) / 100.0,
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
        }
    }
}

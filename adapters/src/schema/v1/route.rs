//! Owns the form of routing decisions.

use super::scalar::{List, Stored};
use super::spec::words;
use crate::schema::DecodeError;
use florin_domain::health::Health;
use florin_domain::provider::ProviderId;
use florin_domain::routing::{AfterDecline, Bar, Choice, Route, Score};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

words! {
    HealthDto of Health { Healthy Degraded Reduced Excluded }
    BarDto of Bar { Disabled Unwanted NotNamed BreakerOpen Busy Tried KeyRefused KeyLimited }
    AfterDeclineDto of AfterDecline { Answer NextProvider }
}

/// A provider that might get a charge.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ChoiceDto<'a> {
    provider: &'a str,
    health: HealthDto,
    #[serde(rename = "score_hundredths")]
    score: u16,
}

impl<'a> Stored<'a> for Choice {
    type Dto = ChoiceDto<'a>;

    fn store(&'a self) -> ChoiceDto<'a> {
        ChoiceDto {
            provider: self.provider.store(),
            health: self.health.store(),
            score: self.score.hundredths(),
        }
    }

    fn load(dto: ChoiceDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            provider: ProviderId::load(dto.provider)?,
            health: Health::load(dto.health)?,
            score: Score::from_hundredths(dto.score),
        })
    }
}

/// A decision.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RouteDto<'a> {
    rule: Option<&'a str>,
    #[serde(borrow)]
    choices: List<'a, Choice>,
    #[serde(borrow)]
    left_out: List<'a, (ProviderId, Bar)>,
}

impl<'a> Stored<'a> for Arc<Route> {
    type Dto = RouteDto<'a>;

    fn store(&'a self) -> RouteDto<'a> {
        RouteDto {
            rule: self.rule.store(),
            choices: List::Values(&self.choices),
            left_out: List::Values(&self.left_out),
        }
    }

    fn load(dto: RouteDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self::new(Route {
            rule: Stored::load(dto.rule)?,
            choices: dto.choices.load()?,
            left_out: dto.left_out.load()?,
            // What was decided by a rule that says so has a form of its own.
            after_decline: None,
        }))
    }
}

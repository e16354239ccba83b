//! The serialized shape of what concerns repetitions: retries of one request, cards that were declined, payments that look like another
//! one once more. Zero is no limit.

use crate::kind;
use florin_actors::options::Options;
use florin_domain::retry::{BudgetPolicy, RetryPolicy};
use florin_domain::risk::{Action, CardLimits, DuplicateRule};
use florin_domain::time::Millis;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRetry {
    pub(crate) tries_max: u32,
    pub(crate) network_error_wait_ms: u64,
    pub(crate) timeout_wait_ms: u64,
    pub(crate) jitter: f64,
    pub(crate) budget_share: f64,
    pub(crate) budget_min: u32,
    pub(crate) soft_declines: String,
    pub(crate) cards: RawCards,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "they are the keys of the file")]
pub(crate) struct RawCards {
    pub(crate) month_max: u32,
    pub(crate) mastercard_day_max: u32,
    pub(crate) mastercard_month_max: u32,
    pub(crate) recall_commits_max: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawDuplicates {
    pub(crate) window_s: u64,
    pub(crate) action: String,
}

/// What goes on after a soft decline.
const NEXT_PROVIDER: &str = "next_provider";
/// What ends with one.
const ANSWER: &str = "answer";
/// A duplicate is only told.
const TELL: &str = "tell";

impl From<&Options> for RawRetry {
    fn from(options: &Options) -> Self {
        let (retry, cards) = (&options.retry, &options.card_limits);
        Self {
            tries_max: retry.tries_max,
            network_error_wait_ms: retry.network_error_wait.0,
            timeout_wait_ms: retry.timeout_wait.0,
            jitter: f64::from(retry.jitter_bps) / 10_000.0,
            budget_share: f64::from(retry.budget.share_bps) / 10_000.0,
            budget_min: retry.budget.retries_min,
            soft_declines: if options.soft_declines_go_on {
                NEXT_PROVIDER
            } else {
                ANSWER
            }
            .to_owned(),
            cards: RawCards {
                month_max: cards.month_max.unwrap_or(0),
                mastercard_day_max: cards.mastercard_day_max.unwrap_or(0),
                mastercard_month_max: cards.mastercard_month_max.unwrap_or(0),
                recall_commits_max: options.card_recall_commits_max,
            },
        }
    }
}

impl RawRetry {
    pub(crate) fn policy(&self) -> RetryPolicy {
        let bps = |share| kind::ratio_bps(share).expect("accepted as a ratio");
        RetryPolicy {
            tries_max: self.tries_max,
            network_error_wait: Millis(self.network_error_wait_ms),
            timeout_wait: Millis(self.timeout_wait_ms),
            jitter_bps: bps(self.jitter),
            budget: BudgetPolicy {
                share_bps: bps(self.budget_share),
                retries_min: self.budget_min,
            },
        }
    }

    pub(crate) fn soft_declines_go_on(&self) -> bool {
        self.soft_declines == NEXT_PROVIDER
    }
}

impl RawCards {
    pub(crate) fn limits(&self) -> CardLimits {
        let max = |count: u32| (count > 0).then_some(count);
        CardLimits {
            month_max: max(self.month_max),
            mastercard_day_max: max(self.mastercard_day_max),
            mastercard_month_max: max(self.mastercard_month_max),
            ..CardLimits::default()
        }
    }
}

impl From<&Options> for RawDuplicates {
    fn from(options: &Options) -> Self {
        let rule = options.velocity.duplicates;
        Self {
            window_s: rule.window.0 / 1000,
            action: match rule.action {
                Action::Allow => TELL,
                Action::Review | Action::Block => rule.action.as_str(),
            }
            .to_owned(),
        }
    }
}

impl RawDuplicates {
    pub(crate) fn rule(&self) -> DuplicateRule {
        DuplicateRule {
            window: Millis::from_s(self.window_s),
            action: match self.action.as_str() {
                "block" => Action::Block,
                "review" => Action::Review,
                _ => Action::Allow,
            },
        }
    }
}

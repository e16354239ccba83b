//! What the ledger books by: the `ledger` section, from its serialized shape to the domain's rules and back.

use crate::error::ConfigError;
use crate::templates::{RawTemplate, TEMPLATES};
use florin_actors::options::Options;
use florin_domain::ledger::{
    Chart, ChartAccount, FeeRecognition, LedgerRules, PostingModel, PostingProfile, RulesError,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawLedger {
    pub(crate) monitor_every_s: u64,
    pub(crate) monitor_window_s: u64,
    posting_profile: String,
    fee_recognition: String,
    /// Every role of the domain's chart, each with a key of its own.
    chart: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    templates: Vec<RawTemplate>,
}

impl From<&Options> for RawLedger {
    fn from(options: &Options) -> Self {
        let rules = &options.ledger;
        let profile = rules.profile();
        Self {
            monitor_every_s: options.monitor_every.as_secs(),
            monitor_window_s: options.monitor_window.as_secs(),
            posting_profile: profile.posting.as_str().to_owned(),
            fee_recognition: profile.fee_recognition.as_str().to_owned(),
            chart: rules
                .chart()
                .accounts()
                .map(|(role, account)| (role.to_owned(), account.as_str().to_owned()))
                .collect(),
            templates: rules
                .own_templates()
                .iter()
                .map(|template| RawTemplate::from(&**template))
                .collect(),
        }
    }
}

impl RawLedger {
    /// The rules, or the first thing that does not fit.
    pub(crate) fn checked(&self) -> Result<LedgerRules, ConfigError> {
        let models = [PostingModel::Marketplace, PostingModel::MerchantOfRecord];
        let times = [FeeRecognition::AtPayment, FeeRecognition::AtSettlement];
        let is_model = |model: &PostingModel| model.as_str() == self.posting_profile;
        let is_time = |time: &FeeRecognition| time.as_str() == self.fee_recognition;
        let profile = PostingProfile {
            posting: models
                .into_iter()
                .find(is_model)
                .expect("accepted as one of the words"),
            fee_recognition: times
                .into_iter()
                .find(is_time)
                .expect("accepted as one of the words"),
        };
        let roles = self.chart.iter();
        let chart = Chart::with(roles.map(|(role, text)| (role.as_str(), ChartAccount::parse(text))));
        let chart = chart.map_err(|error| ConfigError::Conflict {
            key: format!("ledger.chart.{}", error.role),
            value: format!("\"{}\"", error.account),
            why: format!(
                "that account is of type {}, and the role of type {}",
                error.found, error.wanted
            ),
        })?;
        let own = self.templates.iter().map(RawTemplate::checked);
        let own = own.collect::<Result<_, _>>()?;
        LedgerRules::new(profile, chart, own).map_err(|error| match error {
            RulesError::Profile(why) => ConfigError::Conflict {
                key: "ledger.fee_recognition".to_owned(),
                value: format!("\"{}\"", self.fee_recognition),
                why: format!("`ledger.posting_profile` is \"{}\": {why}", self.posting_profile),
            },
            RulesError::Twice(name) => ConfigError::Template {
                key: format!("{TEMPLATES}.{name}.name"),
                why: "is the name of another template".to_owned(),
            },
            RulesError::Unfit { template, why } => ConfigError::Template {
                key: format!("{TEMPLATES}.{template}.stage"),
                why: format!("does not go with how payments are booked: {why}"),
            },
        })
    }
}

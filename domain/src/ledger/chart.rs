//! The chart of accounts: which account stands for a role where a transfer names none; and, with the profile and the templates, the
//! rules that a node books by.

use super::account::{AccountName, AccountType};
use super::profile::{LifeError, PostingProfile};
use super::template::{Template, standard_templates};
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;

/// A role of the chart: its name, the types of account that may stand for it, and the account of the platform that does.
pub type ChartRole = (&'static str, &'static [AccountType], Option<AccountName>);

/// Every role that the chart knows. Templates may have others; their accounts are named by each transfer.
pub const CHART_ROLES: [ChartRole; 12] = [
    ("customer", &[AccountType::Asset, AccountType::Liability], None),
    // Credited with what a merchant is to get: a claim on us, and so a liability, whatever its name says.
    ("merchant_receivable", &[AccountType::Liability], None),
    ("merchant_payable", &[AccountType::Liability], None),
    (
        "platform_fee",
        &[AccountType::Revenue],
        Some(AccountName::FeeRevenue),
    ),
    (
        "payment_revenue",
        &[AccountType::Revenue],
        Some(AccountName::PaymentRevenue),
    ),
    (
        "processing_fees",
        &[AccountType::Expense],
        Some(AccountName::ProcessingFees),
    ),
    (
        "refunds_payable",
        &[AccountType::Liability],
        Some(AccountName::RefundsPayable),
    ),
    (
        "chargebacks",
        &[AccountType::Expense],
        Some(AccountName::Chargebacks),
    ),
    ("equity", &[AccountType::Equity], Some(AccountName::Equity)),
    ("bank", &[AccountType::Asset], Some(AccountName::Bank)),
    ("suspense", &[AccountType::Liability], Some(AccountName::Suspense)),
    ("rounding", &[AccountType::Equity], Some(AccountName::Rounding)),
];

/// What stands for a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChartAccount {
    /// An account that the platform has in every currency and mode.
    System(AccountName),
    /// The opened account with this name, in the currency and mode of the transfer.
    Opened(Arc<str>),
    /// Each transfer says.
    Named,
}

impl ChartAccount {
    /// Reads what [`ChartAccount::as_str`] writes. The word of an account of the platform is that account.
    pub fn parse(text: &str) -> Self {
        if text.is_empty() {
            return Self::Named;
        }
        let system = CHART_ROLES.iter().filter_map(|(.., account)| *account);
        match system.clone().find(|name| system_word(*name) == Some(text)) {
            Some(name) => Self::System(name),
            None => Self::Opened(Arc::from(text)),
        }
    }

    /// The word in the configuration; empty where each transfer says.
    pub fn as_str(&self) -> &str {
        match self {
            Self::System(name) => system_word(*name).unwrap_or_default(),
            Self::Opened(name) => name,
            Self::Named => "",
        }
    }
}

/// The word of an account that there is once in each currency and mode.
const fn system_word(name: AccountName) -> Option<&'static str> {
    match name {
        AccountName::FeeRevenue
        | AccountName::ProcessingFees
        | AccountName::Bank
        | AccountName::Suspense
        | AccountName::Rounding
        | AccountName::PaymentRevenue
        | AccountName::RefundsPayable
        | AccountName::Chargebacks
        | AccountName::Equity => Some(name.word()),
        AccountName::MerchantPayable(_)
        | AccountName::ProviderClearing(_)
        | AccountName::ShardClearing
        | AccountName::General(_) => None,
    }
}

/// Which account stands for each role of [`CHART_ROLES`], in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart(Vec<ChartAccount>);

/// An account that cannot stand for its role.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{account}` is of type {found}, and `{role}` is of type {wanted}")]
pub struct ChartError {
    /// The role.
    pub role: &'static str,
    /// The account.
    pub account: String,
    /// Its type.
    pub found: &'static str,
    /// The types that the role takes.
    pub wanted: String,
}

impl Chart {
    /// The standing chart with some roles given to other accounts; roles that it does not know are left out.
    ///
    /// # Errors
    /// An account of the platform whose type is none of the role's. Opened accounts are looked at when they are used.
    pub fn with<'a>(others: impl IntoIterator<Item = (&'a str, ChartAccount)>) -> Result<Self, ChartError> {
        let mut chart = Self::default();
        for (role, account) in others {
            let roles = CHART_ROLES.iter().zip(&mut chart.0);
            for ((name, types, _), place) in roles.filter(|((name, ..), _)| *name == role) {
                if let ChartAccount::System(system) = &account
                    && !types.contains(&system.account_type())
                {
                    let wanted: Vec<&str> = types.iter().map(|one| one.as_str()).collect();
                    return Err(ChartError {
                        role: name,
                        account: account.as_str().to_owned(),
                        found: system.account_type().as_str(),
                        wanted: wanted.join(" or "),
                    });
                }
                *place = account.clone();
            }
        }
        Ok(chart)
    }

    /// What stands for a role.
    pub fn account(&self, role: &str) -> &ChartAccount {
        let mut accounts = self.accounts();
        let found = accounts.find(|(name, _)| *name == role);
        found.map_or(&ChartAccount::Named, |(_, account)| account)
    }

    /// Every role with what stands for it.
    pub fn accounts(&self) -> impl Iterator<Item = (&'static str, &ChartAccount)> {
        CHART_ROLES.iter().map(|(name, ..)| *name).zip(&self.0)
    }
}

impl Default for Chart {
    fn default() -> Self {
        let account = |(.., account): &ChartRole| account.map_or(ChartAccount::Named, ChartAccount::System);
        Self(CHART_ROLES.iter().map(account).collect())
    }
}

/// What a node books by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRules {
    profile: PostingProfile,
    chart: Chart,
    /// The standard ones first.
    templates: Vec<Arc<Template>>,
    /// Those that cannot be used beside the profile's, by name.
    unfit: BTreeMap<Arc<str>, LifeError>,
}

/// Why rules do not go together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RulesError {
    /// The profile.
    #[error("{0}")]
    Profile(LifeError),
    /// Two templates of one name.
    #[error("template `{0}` is there already")]
    Twice(Arc<str>),
    /// A template that payments cannot be booked beside.
    #[error("template `{template}` does not fit how payments are booked: {why}")]
    Unfit {
        /// Which.
        template: Arc<str>,
        /// Why.
        why: LifeError,
    },
}

impl LedgerRules {
    /// The standard templates and `own` ones, with payments booked by `profile`.
    ///
    /// # Errors
    /// See [`RulesError`].
    pub fn new(profile: PostingProfile, chart: Chart, own: Vec<Template>) -> Result<Self, RulesError> {
        profile.check().map_err(RulesError::Profile)?;
        let mut templates = standard_templates().to_vec();
        for template in own {
            let name = Arc::clone(&template.terms().name);
            if templates.iter().any(|other| other.name() == &*name) {
                return Err(RulesError::Twice(name));
            }
            if let Err(why) = profile.check_fits(&template) {
                return Err(RulesError::Unfit { template: name, why });
            }
            templates.push(Arc::new(template));
        }
        let unfit = templates.iter().filter_map(|template| {
            let why = profile.check_fits(template).err()?;
            Some((Arc::clone(&template.terms().name), why))
        });
        let unfit = unfit.collect();
        Ok(Self {
            profile,
            chart,
            templates,
            unfit,
        })
    }

    /// By which profile new payments are booked.
    pub const fn profile(&self) -> PostingProfile {
        self.profile
    }

    /// Which account stands for a role.
    pub const fn chart(&self) -> &Chart {
        &self.chart
    }

    /// Every template, the standard ones first.
    pub fn templates(&self) -> &[Arc<Template>] {
        &self.templates
    }

    /// The templates that are not standard.
    pub fn own_templates(&self) -> &[Arc<Template>] {
        self.templates
            .get(standard_templates().len()..)
            .unwrap_or_default()
    }

    /// Why a template cannot be used while payments are booked by this profile: a fee would be earned twice, or never.
    pub fn why_unfit(&self, template: &Template) -> Option<&LifeError> {
        self.unfit.get(template.name())
    }

    /// The template with this name.
    pub fn template(&self, name: &str) -> Option<&Template> {
        let found = self.templates.iter().find(|template| template.name() == name);
        found.map(AsRef::as_ref)
    }
}

impl Default for LedgerRules {
    fn default() -> Self {
        Self::new(PostingProfile::default(), Chart::default(), Vec::new())
            .expect("the default profile is checked by a test")
    }
}

//! Posting templates as data: which roles take part, which amounts are named, and which lines they make. A template is checked when
//! it is made, for all amounts at once: the sides are sums of parameters, so they are equal for every amount if and only if the
//! coefficients of each parameter are.

mod fill;
mod formula;
mod standard;

pub use fill::FillError;
pub use standard::standard_templates;

pub(super) use standard::payment_template;

use super::account::{AccountType, Side};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// Roles, parameters and derived amounts of one template, each.
const NAMES_MAX: usize = 16;
/// Lines of one template: as many as a transfer has postings.
const LINES_MAX: usize = 64;
/// Bytes of a description.
const DESCRIPTION_BYTES_MAX: usize = 500;

/// Which step in the life of a payment a template books. Of each step a payment goes through one template at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The customer's money is taken.
    Payment,
    /// It is given back.
    Refund,
    /// It is taken outside the plan, and nobody's until a person settles it.
    LateCharge,
    /// What a merchant is owed is worked out.
    Settlement,
    /// It is paid to the merchant.
    Payout,
}

impl Stage {
    /// All of them, in the order of a payment's life.
    pub const ALL: [Self; 5] = [
        Self::Payment,
        Self::Refund,
        Self::LateCharge,
        Self::Settlement,
        Self::Payout,
    ];

    /// The word on the wire and in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Refund => "refund",
            Self::LateCharge => "late_charge",
            Self::Settlement => "settlement",
            Self::Payout => "payout",
        }
    }
}

/// What a parameter measures. Templates of one payment's life are compared by this, whatever they call their parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// All that the customer pays, the fee included.
    Gross,
    /// The fee for it.
    Fee,
    /// Anything else.
    Other,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gross, Self::Fee, Self::Other];

    /// The word on the wire and in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gross => "gross",
            Self::Fee => "fee",
            Self::Other => "other",
        }
    }
}

/// One line, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateLine {
    /// Whose account.
    pub role: Arc<str>,
    /// On which side.
    pub side: Side,
    /// How much: a parameter, a derived amount, or a sum of them.
    pub amount: Arc<str>,
}

/// A template as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateTerms {
    /// What transfers call it.
    pub name: Arc<str>,
    /// What it is for.
    pub description: Arc<str>,
    /// Which step in the life of a payment it books; nothing if it is about no payment.
    pub stage: Option<Stage>,
    /// Who takes part, and the types of account that may stand for each.
    pub roles: Vec<(Arc<str>, Vec<AccountType>)>,
    /// The amounts that each use gives, and what they measure.
    pub parameters: Vec<(Arc<str>, Measure)>,
    /// Sums of them that have a name (`gross - fee`).
    pub derived: Vec<(Arc<str>, Arc<str>)>,
    /// What is posted.
    pub lines: Vec<TemplateLine>,
}

/// Why something is no template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("template `{template}`: `{field}` {why}")]
pub struct TemplateError {
    /// Which.
    pub template: Arc<str>,
    /// Where in it, such as `lines.2.amount`, counted from one.
    pub field: String,
    /// What is wrong, in words that follow the field's name.
    pub why: String,
}

/// A checked template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    terms: TemplateTerms,
    /// Of each line, how often each parameter is in its amount.
    weights: Vec<Vec<i64>>,
}

/// The part of one role in what a template recognises of a fee: once, or minus once where it is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognition {
    /// The role, whose account is one of revenue.
    pub role: Arc<str>,
    /// How often.
    pub times: i64,
}

impl Template {
    /// Checks what is written.
    ///
    /// # Errors
    /// Names that are malformed, missing, unknown, unused or there twice; an amount that does not come from parameters; sides that
    /// are not equal for all amounts; a fee of payments that is recognised at no stage of their life; a role that mixes revenue with other types, so that nobody could say what is earned.
    pub fn checked(terms: TemplateTerms) -> Result<Self, TemplateError> {
        let wrong = |(field, why): (String, String)| TemplateError {
            template: Arc::clone(&terms.name),
            field,
            why,
        };
        check_names(&terms).map_err(wrong)?;
        check_roles(&terms).map_err(wrong)?;
        let weights = formula::weights(&terms).map_err(wrong)?;
        check_use(&terms, &weights).map_err(wrong)?;
        let template = Self { terms, weights };
        template.check_balance().map_err(|why| TemplateError {
            template: Arc::clone(&template.terms.name),
            field: "lines".to_owned(),
            why,
        })?;
        match template.recognises().first() {
            Some(Recognition { role, .. }) if template.terms.stage.is_none() => Err(TemplateError {
                template: Arc::clone(&template.terms.name),
                field: "stage".to_owned(),
                why: format!("is required: the template recognises the fee of payments, on `{role}`"),
            }),
            Some(_) | None => Ok(template),
        }
    }

    /// As it was written.
    pub const fn terms(&self) -> &TemplateTerms {
        &self.terms
    }

    /// What transfers call it.
    pub fn name(&self) -> &str {
        &self.terms.name
    }

    /// Lines with how often each parameter is in them, in the order of the parameters.
    pub(super) fn weighted(&self) -> impl Iterator<Item = (&TemplateLine, &[i64])> {
        let weights = self.weights.iter().map(Vec::as_slice);
        self.terms.lines.iter().zip(weights)
    }

    /// What each role is credited with of each parameter, debits subtracted.
    pub(super) fn credits(&self) -> BTreeMap<(&str, &str), i64> {
        let mut credits = BTreeMap::new();
        for (line, weights) in self.weighted() {
            for ((parameter, _), weight) in self.terms.parameters.iter().zip(weights) {
                let credit: &mut i64 = credits.entry((&*line.role, &**parameter)).or_default();
                *credit = match line.side {
                    Side::Credit => credit.saturating_add(*weight),
                    Side::Debit => credit.saturating_sub(*weight),
                };
            }
        }
        credits
    }

    /// On which accounts of revenue it recognises the fee, or takes it back. What earns the gross amount earns the fee that is in it.
    pub fn recognises(&self) -> Vec<Recognition> {
        let credits = self.credits();
        let revenue = |(_, types): &&(Arc<str>, Vec<AccountType>)| types.contains(&AccountType::Revenue);
        let part = |(role, _): &(Arc<str>, Vec<AccountType>)| {
            let of = |(parameter, measure): &(Arc<str>, Measure)| match measure {
                Measure::Gross | Measure::Fee => credits.get(&(&**role, &**parameter)).copied().unwrap_or(0),
                Measure::Other => 0,
            };
            let times = self.terms.parameters.iter().map(of);
            Recognition {
                role: Arc::clone(role),
                times: times.fold(0, i64::saturating_add),
            }
        };
        let parts = self.terms.roles.iter().filter(revenue).map(part);
        parts.filter(|part| part.times != 0).collect()
    }

    /// For each parameter, debits and credits take it equally often.
    fn check_balance(&self) -> Result<(), String> {
        for (place, (parameter, _)) in self.terms.parameters.iter().enumerate() {
            let on = |side| {
                let lines = self.weighted().filter(|(line, _)| line.side == side);
                let weights = lines.filter_map(|(_, weights)| weights.get(place));
                weights.fold(0_i64, |sum, weight| sum.saturating_add(*weight))
            };
            let (debits, credits) = (on(Side::Debit), on(Side::Credit));
            if debits != credits {
                return Err(format!(
                    "do not balance: `{parameter}` is debited {debits} times and credited {credits} times"
                ));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A field and what is wrong with it.
type Wrong = (String, String);

/// A name is a word of the configuration and of JSON alike.
fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn check_names(terms: &TemplateTerms) -> Result<(), Wrong> {
    const WORD: &str = "must be 1 to 64 characters of a-z, 0-9 and _ that start with a letter";
    let wrong = |field: &str, why: &str| Err((field.to_owned(), why.to_owned()));
    if !is_name(&terms.name) {
        return wrong("name", WORD);
    }
    if terms.description.len() > DESCRIPTION_BYTES_MAX {
        return wrong("description", "must be at most 500 bytes");
    }
    let parameters: Vec<&Arc<str>> = terms.parameters.iter().map(|(name, _)| name).collect();
    let derived: Vec<&Arc<str>> = terms.derived.iter().map(|(name, _)| name).collect();
    let roles: Vec<&Arc<str>> = terms.roles.iter().map(|(name, _)| name).collect();
    for (field, names) in [
        ("roles", &roles),
        ("parameters", &parameters),
        ("derived", &derived),
    ] {
        if names.len() > NAMES_MAX {
            return wrong(field, "has more than 16 entries");
        }
        for (place, name) in names.iter().enumerate() {
            let field = format!("{field}.{name}");
            if !is_name(name) {
                return wrong(&field, &format!("has a name that {WORD}"));
            }
            if names.iter().take(place).any(|earlier| earlier == name) {
                return wrong(&field, "is there twice");
            }
        }
    }
    match derived.iter().find(|name| parameters.contains(name)) {
        Some(name) => wrong(&format!("derived.{name}"), "is the name of a parameter"),
        None if (2..=LINES_MAX).contains(&terms.lines.len()) => Ok(()),
        None => wrong("lines", "must be 2 to 64"),
    }
}

fn check_roles(terms: &TemplateTerms) -> Result<(), Wrong> {
    for (role, types) in &terms.roles {
        let why = if types.is_empty() {
            "needs a type of account"
        } else if types.len() > 1 && types.contains(&AccountType::Revenue) {
            "may stand for revenue or for other types, but not for both"
        } else {
            continue;
        };
        return Err((format!("roles.{role}"), why.to_owned()));
    }
    for (place, line) in (1..).zip(&terms.lines) {
        if !terms.roles.iter().any(|(role, _)| *role == line.role) {
            let why = format!("is `{}`, which is not among the roles", line.role);
            return Err((format!("lines.{place}.role"), why));
        }
    }
    Ok(())
}

/// What nothing is posted of is a mistake.
fn check_use(terms: &TemplateTerms, weights: &[Vec<i64>]) -> Result<(), Wrong> {
    let unused = "is in no line".to_owned();
    for (role, _) in &terms.roles {
        if !terms.lines.iter().any(|line| line.role == *role) {
            return Err((format!("roles.{role}"), unused));
        }
    }
    for (place, (parameter, _)) in terms.parameters.iter().enumerate() {
        let is_used = |line: &Vec<i64>| line.get(place).is_some_and(|weight| *weight != 0);
        if !weights.iter().any(is_used) {
            return Err((format!("parameters.{parameter}"), unused));
        }
    }
    match weights
        .iter()
        .position(|line| line.iter().all(|weight| *weight == 0))
    {
        None => Ok(()),
        Some(place) => {
            let field = format!("lines.{}.amount", place.saturating_add(1));
            Err((field, "is always zero".to_owned()))
        }
    }
}

//! A transfer that names a template instead of accounts and sides: which accounts it needs, and the legs that it comes to.

use super::transfer_request::{TransferRequest, account, amount, wrong};
use crate::errors::{Code, Invalid};
use crate::json::{Number, Text};
use florin_actors::ledger_handle::AccountTitle;
use florin_domain::ledger::{
    AccountKey, ChartAccount, FillError, LedgerRules, Stage, Template, TransferLegs,
};
use std::collections::{BTreeMap, BTreeSet};

/// Characters of a name in a request that a message repeats.
const NAME_CHARS_MAX: usize = 64;

/// What templates are filled by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Booking<'a> {
    /// The templates and the chart.
    pub(super) rules: &'a LedgerRules,
    /// The opened accounts of the chart that the request needs.
    pub(super) opened: &'a BTreeMap<AccountTitle, Vec<AccountKey>>,
}

fn shown(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).collect()
}

impl TransferRequest<'_> {
    fn accounts_given(&self) -> impl Iterator<Item = &(Text<'_>, Text<'_>)> {
        self.accounts.iter().flat_map(|pairs| &pairs.0)
    }

    /// How many postings it may come to.
    pub(super) fn template_lines(&self, rules: &LedgerRules) -> Option<usize> {
        let template = rules.template(self.template.as_ref()?.as_str())?;
        Some(template.terms().lines.len())
    }

    /// Whether its template pays somebody what is owed.
    pub(super) fn is_payout(&self, rules: &LedgerRules) -> bool {
        let template = self
            .template
            .as_ref()
            .and_then(|name| rules.template(name.as_str()));
        template.is_some_and(|template| template.terms().stage == Some(Stage::Payout))
    }

    /// Adds the opened accounts that the chart has for roles of which nothing is said. What is wrong is found later.
    pub(super) fn titles(&self, rules: &LedgerRules, titles: &mut BTreeSet<AccountTitle>) {
        let name = self.template.as_ref().map(Text::as_str);
        let Some(template) = name.and_then(|name| rules.template(name)) else {
            return;
        };
        let given = || self.accounts_given().map(|(role, _)| role.as_str());
        let mut keys = self
            .accounts_given()
            .filter_map(|(_, id)| AccountKey::parse(id.as_str()).ok());
        let Some(terms) = keys.next() else { return };
        for (role, _) in &template.terms().roles {
            if let ChartAccount::Opened(name) = rules.chart().account(role)
                && !given().any(|other| other == &**role)
            {
                titles.insert((name.clone(), terms.currency, terms.livemode));
            }
        }
    }

    /// The legs of a transfer by this template.
    pub(super) fn filled(&self, name: &Text<'_>, booking: &Booking<'_>) -> Result<TransferLegs, Invalid> {
        self.forbid_legs()?;
        let Some(template) = booking.rules.template(name.as_str()) else {
            let message = "`template` names none that there is; `/v1/ledger/templates` lists them.";
            return Err(wrong("template", message));
        };
        if let Some(why) = booking.rules.why_unfit(template) {
            return Err(wrong("template", &format!("`template` cannot be used: {why}.")));
        }
        let accounts = self.accounts(template, booking)?;
        let amounts = self.amounts()?;
        let accounts: Vec<_> = accounts.iter().map(|(role, key)| (role.as_str(), *key)).collect();
        let amounts: Vec<_> = amounts
            .iter()
            .map(|(name, minor)| (name.as_str(), *minor))
            .collect();
        template.fill(&accounts, &amounts).map_err(|error| unfit(&error))
    }

    fn forbid_legs(&self) -> Result<(), Invalid> {
        for (name, is_there) in [
            ("debit_account", self.debit_account.is_some()),
            ("credit_account", self.credit_account.is_some()),
            ("amount", self.amount.is_some()),
            ("postings", self.postings.is_some()),
        ] {
            if is_there {
                let message = format!("`{name}` has no place beside `template`.");
                return Err(wrong(name, &message));
            }
        }
        Ok(())
    }

    /// What only templates take.
    pub(super) fn forbid_template(&self, why: &str) -> Result<(), Invalid> {
        for (name, is_there) in [
            ("template", self.template.is_some()),
            ("accounts", self.accounts.is_some()),
            ("amounts", self.amounts.is_some()),
        ] {
            if is_there {
                return Err(wrong(name, &format!("`{name}` {why}.")));
            }
        }
        Ok(())
    }

    /// The accounts that are named, and for the other roles those of the chart.
    fn accounts(
        &self,
        template: &Template,
        booking: &Booking<'_>,
    ) -> Result<Vec<(String, AccountKey)>, Invalid> {
        let mut accounts = Vec::new();
        for (role, id) in self.accounts_given() {
            let field = shown(role.as_str());
            let key = account("account", id)
                .map_err(|invalid| renamed(invalid, "account", &format!("accounts.{field}")))?;
            accounts.push((field, key));
        }
        let Some((_, first)) = accounts.first() else {
            let message = "`accounts` names at least one account, which says the currency and the mode.";
            return Err(Invalid::new("accounts", Code::ParameterMissing, message));
        };
        let (currency, livemode) = (first.currency, first.livemode);
        let home = accounts.iter().find_map(|(_, key)| key.home());
        for (role, _) in &template.terms().roles {
            if accounts.iter().any(|(given, _)| *given == **role) {
                continue;
            }
            let key = match booking.rules.chart().account(role) {
                ChartAccount::Named => continue,
                ChartAccount::System(name) => AccountKey {
                    name: *name,
                    currency,
                    livemode,
                },
                ChartAccount::Opened(name) => {
                    let title = (name.clone(), currency, livemode);
                    let found = booking.opened.get(&title).map_or(&[][..], Vec::as_slice);
                    // Of several, the one that no transfer between shards is needed for.
                    let near = found.iter().find(|key| home.is_some() && key.home() == home);
                    *near
                        .or_else(|| found.first())
                        .ok_or_else(|| not_open(role, &title))?
                }
            };
            accounts.push((role.to_string(), key));
        }
        Ok(accounts)
    }

    fn amounts(&self) -> Result<Vec<(String, i128)>, Invalid> {
        let numbers = self.amounts.iter().flat_map(|numbers| &numbers.0);
        let number = |(name, number): &(Text<'_>, Number)| {
            let name = shown(name.as_str());
            // A fee may be nothing.
            let minor = match number {
                Number::Whole(0) => 0,
                number => amount(*number)
                    .map_err(|invalid| renamed(invalid, "amount", &format!("amounts.{name}")))?
                    .minor(),
            };
            Ok((name, minor))
        };
        numbers.map(number).collect()
    }
}

/// The same of another field.
fn renamed(invalid: Invalid, from: &str, to: &str) -> Invalid {
    let Invalid { code, message, .. } = invalid;
    Invalid {
        message: message.replacen(&format!("`{from}`"), &format!("`{to}`"), 1),
        param: Some(to.to_owned()),
        code,
    }
}

fn not_open(role: &str, (name, currency, livemode): &AccountTitle) -> Invalid {
    let field = format!("accounts.{role}");
    let mode = if *livemode { "live" } else { "test" };
    let message = format!(
        "`{field}` is required: the chart says `{name}`, and no account of that name is open in {} in {mode} mode.",
        currency.code()
    );
    Invalid::new(field, Code::ParameterMissing, message)
}

fn unfit(error: &FillError) -> Invalid {
    let code = match error {
        FillError::UnknownRole(_) | FillError::UnknownParameter(_) => Code::ParameterUnknown,
        FillError::RoleMissing(_) | FillError::ParameterMissing(_) => Code::ParameterMissing,
        FillError::WrongType { .. } | FillError::Mixed { .. } | FillError::Negative { .. } => {
            Code::ParameterInvalid
        }
        FillError::TooLarge { .. } => Code::AmountTooLarge,
    };
    Invalid::new(error.field(), code, format!("{error}."))
}

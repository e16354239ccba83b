//! A template with accounts and amounts: the legs of a transfer.

use super::super::account::{AccountKey, AccountType};
use super::super::entry::Posting;
use super::super::transfer::TransferLegs;
use super::Template;
use crate::money::Amount;
use thiserror::Error;

/// Why accounts or amounts do not fit a template. Each names the field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FillError {
    /// The template has no such role.
    #[error("`accounts.{0}` is no role of the template")]
    UnknownRole(String),
    /// A role without an account.
    #[error("`accounts.{0}` is required: the chart of accounts has none for it")]
    RoleMissing(String),
    /// An account of a type that cannot stand for the role.
    #[error("`accounts.{role}` must be of type {types}; {account} is of type {found}", found = found.as_str())]
    WrongType {
        /// The role.
        role: String,
        /// Which types can.
        types: String,
        /// The account.
        account: AccountKey,
        /// Its type.
        found: AccountType,
    },
    /// A template is about one currency in one mode.
    #[error("`accounts.{role}` is {account}: all accounts are of one currency and one mode")]
    Mixed {
        /// The role.
        role: String,
        /// The account.
        account: AccountKey,
    },
    /// The template has no such parameter.
    #[error("`amounts.{0}` is no parameter of the template")]
    UnknownParameter(String),
    /// A parameter without an amount.
    #[error("`amounts.{0}` is required")]
    ParameterMissing(String),
    /// What is taken off is more than what it is taken off from.
    #[error("`amounts` make `{amount}` of `{role}` less than zero")]
    Negative {
        /// The amount of the line, as the template writes it.
        amount: String,
        /// The line's role.
        role: String,
    },
    /// More than an amount can be.
    #[error("`amounts` make `{amount}` of `{role}` more than an amount can be")]
    TooLarge {
        /// The amount of the line, as the template writes it.
        amount: String,
        /// The line's role.
        role: String,
    },
}

impl FillError {
    /// The field that is wrong.
    pub fn field(&self) -> String {
        match self {
            Self::UnknownRole(role)
            | Self::RoleMissing(role)
            | Self::WrongType { role, .. }
            | Self::Mixed { role, .. } => format!("accounts.{role}"),
            Self::UnknownParameter(name) | Self::ParameterMissing(name) => format!("amounts.{name}"),
            Self::Negative { .. } | Self::TooLarge { .. } => "amounts".to_owned(),
        }
    }
}

impl Template {
    /// The legs that these accounts and amounts (in minor units, not negative) make: a pair where two lines are left. Lines of zero
    /// are left out, so there may be too few of them; the books refuse that.
    ///
    /// # Errors
    /// See [`FillError`].
    pub fn fill(
        &self,
        accounts: &[(&str, AccountKey)],
        amounts: &[(&str, i128)],
    ) -> Result<TransferLegs, FillError> {
        let accounts = self.accounts(accounts)?;
        let amounts = self.amounts(amounts)?;
        let mut postings = Vec::with_capacity(self.terms.lines.len());
        for (line, weights) in self.weighted() {
            let (amount, role) = (line.amount.to_string(), line.role.to_string());
            let minor = weights
                .iter()
                .zip(&amounts)
                .try_fold(0_i128, |sum, (weight, minor)| {
                    sum.checked_add(i128::from(*weight).checked_mul(*minor)?)
                });
            let account = accounts.iter().find(|(name, _)| *name == &*line.role);
            let Some((_, account)) = account else {
                return Err(FillError::RoleMissing(role));
            };
            match minor {
                Some(0) => continue,
                Some(..0) => return Err(FillError::Negative { amount, role }),
                Some(_) | None => {}
            }
            let Some(Ok(amount)) = minor.map(Amount::new) else {
                return Err(FillError::TooLarge { amount, role });
            };
            postings.push(Posting {
                account: *account,
                side: line.side,
                amount,
            });
        }
        Ok(match postings.as_slice() {
            [one, other] if one.side != other.side && one.amount == other.amount => {
                let is_debit_first = one.side == super::Side::Debit;
                let (debit, credit) = if is_debit_first {
                    (one, other)
                } else {
                    (other, one)
                };
                TransferLegs::Pair {
                    debit: debit.account,
                    credit: credit.account,
                    amount: one.amount,
                }
            }
            _ => TransferLegs::Many(postings),
        })
    }

    /// An account for every role, each of a type that may stand for it.
    fn accounts<'a>(&'a self, given: &[(&str, AccountKey)]) -> Result<Vec<(&'a str, AccountKey)>, FillError> {
        let roles = &self.terms.roles;
        if let Some((unknown, _)) = given
            .iter()
            .find(|(name, _)| !roles.iter().any(|(role, _)| &**role == *name))
        {
            return Err(FillError::UnknownRole((*unknown).to_owned()));
        }
        let mut accounts: Vec<(&str, AccountKey)> = Vec::with_capacity(roles.len());
        for (role, types) in roles {
            let account = given.iter().find(|(name, _)| *name == &**role);
            let Some((_, account)) = account else {
                return Err(FillError::RoleMissing(role.to_string()));
            };
            let (role, account) = (&**role, *account);
            let found = account.name.account_type();
            if !types.contains(&found) {
                let words: Vec<&str> = types.iter().map(|one| one.as_str()).collect();
                return Err(FillError::WrongType {
                    role: role.to_owned(),
                    types: words.join(" or "),
                    account,
                    found,
                });
            }
            let first = accounts.first().map_or(account, |(_, first)| *first);
            if (account.currency, account.livemode) != (first.currency, first.livemode) {
                let role = role.to_owned();
                return Err(FillError::Mixed { role, account });
            }
            accounts.push((role, account));
        }
        Ok(accounts)
    }

    /// An amount for every parameter, in their order.
    fn amounts(&self, given: &[(&str, i128)]) -> Result<Vec<i128>, FillError> {
        let parameters = &self.terms.parameters;
        if let Some((unknown, _)) = given
            .iter()
            .find(|(name, _)| !parameters.iter().any(|(parameter, _)| &**parameter == *name))
        {
            return Err(FillError::UnknownParameter((*unknown).to_owned()));
        }
        let amount = |(parameter, _): &(std::sync::Arc<str>, super::Measure)| {
            let found = given.iter().find(|(name, _)| *name == &**parameter);
            let missing = || FillError::ParameterMissing(parameter.to_string());
            found.map(|(_, minor)| *minor).ok_or_else(missing)
        };
        parameters.iter().map(amount).collect()
    }
}

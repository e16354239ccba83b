//! What the books come to by the five types of accounts: the balance sheet, the income statement, and the equation between them.

use super::account::AccountType;
use super::books::Books;
use crate::money::Currency;
use std::collections::BTreeMap;

/// The sums of all accounts of one currency and mode by type, in minor units on each type's normal side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Of what.
    pub currency: Currency,
    /// Whether its money is real.
    pub livemode: bool,
    /// What is owned or owed to us.
    pub assets_minor: i128,
    /// What we owe.
    pub liabilities_minor: i128,
    /// The owners' part, without what was earned and spent.
    pub equity_minor: i128,
    /// Earned.
    pub revenue_minor: i128,
    /// Spent.
    pub expenses_minor: i128,
}

impl Statement {
    /// This and another part of the same books.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            currency: self.currency,
            livemode: self.livemode,
            assets_minor: self.assets_minor.saturating_add(other.assets_minor),
            liabilities_minor: self.liabilities_minor.saturating_add(other.liabilities_minor),
            equity_minor: self.equity_minor.saturating_add(other.equity_minor),
            revenue_minor: self.revenue_minor.saturating_add(other.revenue_minor),
            expenses_minor: self.expenses_minor.saturating_add(other.expenses_minor),
        }
    }

    /// Revenue less expenses.
    pub const fn net_income_minor(&self) -> i128 {
        self.revenue_minor.saturating_sub(self.expenses_minor)
    }

    /// Assets less liabilities, equity and net income: zero, or the books are broken.
    pub const fn difference_minor(&self) -> i128 {
        self.assets_minor
            .saturating_sub(self.liabilities_minor)
            .saturating_sub(self.equity_minor)
            .saturating_sub(self.net_income_minor())
    }
}

impl Books {
    /// One statement for each currency and mode in which there is an account.
    pub fn statements(&self) -> Vec<Statement> {
        let mut statements: BTreeMap<(Currency, bool), Statement> = BTreeMap::new();
        for (key, state) in self.accounts() {
            let (currency, livemode) = (key.currency, key.livemode);
            let statement = statements.entry((currency, livemode)).or_insert(Statement {
                currency,
                livemode,
                assets_minor: 0,
                liabilities_minor: 0,
                equity_minor: 0,
                revenue_minor: 0,
                expenses_minor: 0,
            });
            let sum = match key.name.account_type() {
                AccountType::Asset => &mut statement.assets_minor,
                AccountType::Liability => &mut statement.liabilities_minor,
                AccountType::Equity => &mut statement.equity_minor,
                AccountType::Revenue => &mut statement.revenue_minor,
                AccountType::Expense => &mut statement.expenses_minor,
            };
            *sum = sum.saturating_add(state.posted.minor());
        }
        statements.into_values().collect()
    }
}

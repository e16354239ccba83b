//! The query of a search as Stripe has it: clauses `field operator value`, side by side or joined by `AND`, or else joined by `OR`, each of them
//! negated by a `-` in front of it. What it asks for and cannot be answered exactly is refused, with the place where that stands.

use crate::errors::{Code, Invalid};
use florin_domain::limits::{METADATA_KEY_BYTES_MAX, METADATA_VALUE_BYTES_MAX};
use florin_domain::money::Currency;
use florin_domain::payment::IntentStatus;
use florin_domain::ports::search::{Clause, Joined, Search, Test, TextTest};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The parameter that it is in.
pub(super) const PARAM: &str = "query";
/// Clauses of one query: each is asked of every payment that is looked at.
const CLAUSES_MAX: usize = 10;
/// The largest number, as in filters.
const NUMBER_MAX: u64 = 999_999_999_999;
/// Characters of a part of a text, as Stripe has it.
const PART_CHARS_MIN: usize = 3;
/// As in a request for a payment.
const CUSTOMER_BYTES_MAX: usize = 255;

/// Reads a query.
pub(super) fn read(text: &str) -> Result<Search, Invalid> {
    let mut rest = Rest { text, left: text };
    rest.skip_blanks();
    if rest.left.is_empty() {
        return Err(Invalid::new(
            PARAM,
            Code::ParameterMissing,
            "`query` is required.",
        ));
    }
    let mut clauses = vec![rest.clause()?];
    let mut joined = None;
    while let Some(next) = rest.joint()? {
        if *joined.get_or_insert(next) != next {
            return Err(rest.wrong(
                "`AND` and `OR` cannot both be in one query; clauses side by side are joined by `AND`",
            ));
        }
        if clauses.len() == CLAUSES_MAX {
            return Err(rest.wrong(&format!("a query has at most {CLAUSES_MAX} clauses")));
        }
        clauses.push(rest.clause()?);
    }
    Ok(Search {
        joined: joined.unwrap_or_default(),
        clauses,
    })
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Is,
    Contains,
    Above,
    AtLeast,
    Below,
    AtMost,
}

const OPERATORS: [(&str, Operator); 6] = [
    (":", Operator::Is),
    ("~", Operator::Contains),
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    (">", Operator::Above),
    ("<", Operator::Below),
];

/// What stands behind an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Null,
    Text(String),
}

/// What is left to read of a query.
struct Rest<'a> {
    text: &'a str,
    left: &'a str,
}

impl<'a> Rest<'a> {
    /// A refusal of what stands here.
    fn wrong(&self, why: &str) -> Invalid {
        let read = self.text.len().saturating_sub(self.left.len());
        let place = self.text.get(..read).map_or(0, |read| read.chars().count());
        let message = format!("`query`, at character {}: {why}.", place.saturating_add(1));
        Invalid::new(PARAM, Code::ParameterInvalid, message)
    }

    fn skip_blanks(&mut self) {
        self.left = self.left.trim_start();
    }

    /// Takes these very characters, if they are next.
    fn takes(&mut self, token: &str) -> bool {
        let behind = self.left.strip_prefix(token);
        self.left = behind.unwrap_or(self.left);
        behind.is_some()
    }

    /// Takes characters as long as they are such.
    fn take_while(&mut self, is_such: impl Fn(char) -> bool) -> &'a str {
        let end = self
            .left
            .find(|letter| !is_such(letter))
            .unwrap_or(self.left.len());
        let (taken, left) = self.left.split_at(end);
        self.left = left;
        taken
    }

    /// How the next clause is joined to those before; nothing at the end.
    fn joint(&mut self) -> Result<Option<Joined>, Invalid> {
        let is_apart = self.left.starts_with(char::is_whitespace);
        self.skip_blanks();
        if self.left.is_empty() {
            return Ok(None);
        }
        if !is_apart {
            return Err(self.wrong("a space is between clauses"));
        }
        let end = self
            .left
            .find(|letter: char| !letter.is_ascii_alphabetic())
            .unwrap_or(self.left.len());
        let (word, behind) = self.left.split_at(end);
        let joined = match word {
            _ if word.eq_ignore_ascii_case("and") => Joined::All,
            _ if word.eq_ignore_ascii_case("or") => Joined::Any,
            _ => return Ok(Some(Joined::All)),
        };
        if !behind.starts_with(char::is_whitespace) || behind.trim().is_empty() {
            return Err(self.wrong("a clause is behind `AND` or `OR`"));
        }
        self.left = behind;
        self.skip_blanks();
        Ok(Some(joined))
    }

    fn clause(&mut self) -> Result<Clause, Invalid> {
        let is_negated = self.takes("-");
        if self.left.starts_with('(') {
            return Err(self.wrong("there are no parentheses"));
        }
        let start = self.left;
        let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.');
        let field = self.take_while(is_of_name);
        let test = match field {
            "amount" => {
                let (range, is_negated) = self.range(is_negated)?;
                return Ok(Clause {
                    is_negated,
                    test: Test::AmountMinor(range),
                });
            }
            "created" => {
                let (range, is_negated) = self.range(is_negated)?;
                return Ok(Clause {
                    is_negated,
                    test: Test::CreatedS(range),
                });
            }
            "currency" => Test::Currency(self.currency()?),
            "status" => Test::Status(self.status()?),
            "customer" => Test::Customer(self.text_test(CUSTOMER_BYTES_MAX)?),
            "metadata" => {
                let key = self.key()?;
                Test::Metadata(key.into(), self.text_test(METADATA_VALUE_BYTES_MAX)?)
            }
            _ => {
                self.left = start;
                return Err(self.wrong(
                    "a clause begins with `amount`, `created`, `currency`, `customer`, `status` or `metadata[\"a key\"]`, in front of which may be a `-`",
                ));
            }
        };
        Ok(Clause { is_negated, test })
    }

    /// The key in `metadata["key"]`.
    fn key(&mut self) -> Result<String, Invalid> {
        const WHY: &str =
            "`metadata` is followed by a key in brackets and quotes, as in `metadata[\"order\"]`";
        if !self.takes("[") {
            return Err(self.wrong(WHY));
        }
        let key = self.quoted()?.ok_or_else(|| self.wrong(WHY))?;
        if !(1..=METADATA_KEY_BYTES_MAX).contains(&key.len()) {
            let why = format!("a key of `metadata` is 1 to {METADATA_KEY_BYTES_MAX} bytes long");
            return Err(self.wrong(&why));
        }
        if !self.takes("]") {
            return Err(self.wrong(WHY));
        }
        Ok(key)
    }

    fn operator(&mut self, allowed: &[Operator]) -> Result<Operator, Invalid> {
        let found = OPERATORS.iter().find(|(token, _)| self.left.starts_with(token));
        let Some((token, operator)) = found.filter(|(_, operator)| allowed.contains(operator)) else {
            let tokens: Vec<&str> = OPERATORS
                .iter()
                .filter(|(_, operator)| allowed.contains(operator))
                .map(|(token, _)| *token)
                .collect();
            return Err(self.wrong(&format!("this field is followed by `{}`", tokens.join("`, `"))));
        };
        self.takes(token);
        Ok(*operator)
    }

    /// A text in quotes, if one is next.
    fn quoted(&mut self) -> Result<Option<String>, Invalid> {
        let Some(quote @ ('"' | '\'')) = self.left.chars().next() else {
            return Ok(None);
        };
        let mut text = String::new();
        let mut letters = self.left.char_indices().skip(1);
        while let Some((at, letter)) = letters.next() {
            if letter == quote {
                self.left = self.left.get(at.saturating_add(1)..).unwrap_or_default();
                return Ok(Some(text));
            }
            let meant = if letter == '\\' {
                letters.next().map(|(_, meant)| meant)
            } else {
                Some(letter)
            };
            text.extend(meant);
        }
        Err(self.wrong("a quote is not closed"))
    }

    fn value(&mut self) -> Result<Value, Invalid> {
        if let Some(text) = self.quoted()? {
            return Ok(Value::Text(text));
        }
        let is_plain =
            |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.' | '@' | '/');
        let text = self.take_while(is_plain);
        if text.is_empty() {
            return Err(
                self.wrong("a value is behind the operator, in quotes unless it is of letters and digits")
            );
        }
        Ok(if text.eq_ignore_ascii_case("null") {
            Value::Null
        } else {
            Value::Text(text.to_owned())
        })
    }

    /// What an exact comparison asks for, of a field that is never absent.
    fn exact(&mut self) -> Result<String, Invalid> {
        self.operator(&[Operator::Is])?;
        match self.value()? {
            Value::Text(text) => Ok(text),
            Value::Null => Err(self.wrong("this field is never null")),
        }
    }

    fn currency(&mut self) -> Result<Currency, Invalid> {
        let code = self.exact()?;
        Currency::parse(&code).map_err(|error| self.wrong(&format!("`currency`: {error}")))
    }

    fn status(&mut self) -> Result<IntentStatus, Invalid> {
        let word = self.exact()?;
        IntentStatus::parse(&word.to_ascii_lowercase()).ok_or_else(|| {
            let words = IntentStatus::ALL.map(IntentStatus::as_str).join("`, `");
            self.wrong(&format!("`status` is one of `{words}`"))
        })
    }

    fn text_test(&mut self, bytes_max: usize) -> Result<TextTest, Invalid> {
        let operator = self.operator(&[Operator::Is, Operator::Contains])?;
        let text: Arc<str> = match (self.value()?, operator) {
            (Value::Null, Operator::Is) => return Ok(TextTest::Absent),
            (Value::Null, _) => return Err(self.wrong("`null` is behind `:`")),
            (Value::Text(text), _) => text.into(),
        };
        if text.len() > bytes_max {
            return Err(self.wrong(&format!("no value of this field has more than {bytes_max} bytes")));
        }
        if operator == Operator::Is {
            return Ok(TextTest::Is(text));
        }
        if text.chars().count() < PART_CHARS_MIN {
            let why = format!("behind `~` are at least {PART_CHARS_MIN} characters");
            return Err(self.wrong(&why));
        }
        Ok(TextTest::Contains(text))
    }

    /// The numbers that are asked for. What a negated bound leaves is a bound as well, so that a search by time need not look elsewhere.
    fn range(&mut self, is_negated: bool) -> Result<(RangeInclusive<u64>, bool), Invalid> {
        let operators = [
            Operator::Is,
            Operator::AtLeast,
            Operator::AtMost,
            Operator::Above,
            Operator::Below,
        ];
        let operator = self.operator(&operators)?;
        let at = self.left;
        let number = match self.value()? {
            Value::Text(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().ok().filter(|number: &u64| *number <= NUMBER_MAX)
            }
            Value::Text(_) | Value::Null => None,
        };
        let Some(number) = number else {
            self.left = at;
            return Err(self.wrong(&format!("a whole number from 0 to {NUMBER_MAX} is here")));
        };
        let above = || number.saturating_add(1)..=u64::MAX;
        let below = || {
            number
                .checked_sub(1)
                .map_or(RangeInclusive::new(1, 0), |last| 0..=last)
        };
        Ok(match (operator, is_negated) {
            (Operator::Above, false) | (Operator::AtMost, true) => (above(), false),
            (Operator::AtLeast, false) | (Operator::Below, true) => (number..=u64::MAX, false),
            (Operator::Below, false) | (Operator::AtLeast, true) => (below(), false),
            (Operator::AtMost, false) | (Operator::Above, true) => (0..=number, false),
            (Operator::Is | Operator::Contains, _) => (number..=number, is_negated),
        })
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

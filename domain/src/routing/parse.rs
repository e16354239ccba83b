//! Reads a routing program: recursive descent over the tokens of one line after another.

mod condition;
mod target;

use super::program::{
    Condition, DEPTH_MAX, PROGRAM_BYTES_MAX, Program, RULE_NAME_BYTES_MAX, RULES_MAX, Rule,
};
use super::token::{Kind, Token, tokens};
use crate::money::DecimalError;
use crate::provider::ProviderId;
use std::sync::Arc;
use thiserror::Error;

/// Why a text is no program, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct ProgramError {
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1, counted in characters.
    pub column: u32,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a program.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// Something else should stand there.
    #[error("found {found}, expected {expected}")]
    Unexpected {
        /// What stands there.
        found: String,
        /// What should.
        expected: String,
    },
    /// The text is too long.
    #[error("the program is longer than {PROGRAM_BYTES_MAX} bytes")]
    TooLong,
    /// There are too many rules.
    #[error("there are more than {RULES_MAX} rules")]
    TooManyRules,
    /// The condition is nested too deep.
    #[error("parentheses and `not` are nested more than {DEPTH_MAX} deep")]
    TooDeep,
    /// Another rule has this name.
    #[error("there is a rule `{0}` already")]
    NameTaken(Arc<str>),
    /// A provider is named twice.
    #[error("`{0}` is named twice")]
    NamedTwice(ProviderId),
    /// The shares of a split are not the whole.
    #[error("the shares come to {0} percent, expected 100")]
    Shares(u32),
    /// The amount is none of its currency.
    #[error("the amount is none of its currency: {0}")]
    Amount(DecimalError),
    /// A rule names a provider that is not there.
    #[error(
        "the rule `{rule}` names the provider `{provider}`, which is not configured; configured: {configured}"
    )]
    NoSuchProvider {
        /// The rule.
        rule: Arc<str>,
        /// The provider.
        provider: ProviderId,
        /// Those that are there.
        configured: String,
    },
}

impl Program {
    /// Reads a program.
    ///
    /// # Errors
    /// What is wrong first, and where.
    pub fn parse(text: &str) -> Result<Self, ProgramError> {
        if text.len() > PROGRAM_BYTES_MAX {
            return Err(ProgramError {
                line: 1,
                column: 1,
                problem: Problem::TooLong,
            });
        }
        let mut rules: Vec<Rule> = Vec::new();
        for (line, text) in (1_u32..).zip(text.split('\n')) {
            let at = |(column, problem)| ProgramError {
                line,
                column,
                problem,
            };
            let tokens = tokens(text).map_err(at)?;
            if matches!(tokens.as_slice(), [] | [_]) {
                continue;
            }
            let mut reader = Reader {
                tokens: &tokens,
                next: 0,
                depth: 0,
                line,
            };
            let rule = reader.rule().map_err(at)?;
            let column = tokens.first().map_or(1, |token| token.column);
            if rules.iter().any(|other| other.name == rule.name) {
                return Err(at((column, Problem::NameTaken(rule.name))));
            }
            if rules.len() == RULES_MAX {
                return Err(at((column, Problem::TooManyRules)));
            }
            rules.push(rule);
        }
        Ok(Self { rules })
    }

    /// Whether every provider that a rule names is configured.
    ///
    /// # Errors
    /// The first that is not, and where.
    pub fn check(&self, configured: &[ProviderId]) -> Result<(), ProgramError> {
        for rule in &self.rules {
            let named = rule.target.order.named();
            let Some(provider) = named.into_iter().find(|name| !configured.contains(name)) else {
                continue;
            };
            let configured: Vec<&str> = configured.iter().map(ProviderId::as_str).collect();
            return Err(ProgramError {
                line: rule.line,
                column: rule.target_column,
                problem: Problem::NoSuchProvider {
                    rule: Arc::clone(&rule.name),
                    provider,
                    configured: if configured.is_empty() {
                        "none".into()
                    } else {
                        configured.join(", ")
                    },
                },
            });
        }
        Ok(())
    }
}

/// A part that was read, or the column where it goes wrong, and how.
type Read<T> = Result<T, (u32, Problem)>;

#[derive(Debug)]
struct Reader<'a, 'b> {
    tokens: &'b [Token<'a>],
    next: usize,
    depth: u32,
    line: u32,
}

impl<'a, 'b> Reader<'a, 'b> {
    fn kind(&self) -> &'b Kind<'a> {
        self.tokens.get(self.next).map_or(&Kind::End, |token| &token.kind)
    }

    fn column(&self) -> u32 {
        let token = self.tokens.get(self.next).or(self.tokens.last());
        token.map_or(1, |token| token.column)
    }

    fn advance(&mut self) {
        self.next = self.next.saturating_add(1);
    }

    fn expected<T>(&self, expected: impl Into<String>) -> Read<T> {
        Err((
            self.column(),
            Problem::Unexpected {
                found: self.kind().to_string(),
                expected: expected.into(),
            },
        ))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_it = matches!(self.kind(), Kind::Word(found) if *found == word);
        if is_it {
            self.advance();
        }
        is_it
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let is_it = matches!(self.kind(), Kind::Sign(found) if *found == sign);
        if is_it {
            self.advance();
        }
        is_it
    }

    fn sign(&mut self, sign: &str) -> Read<()> {
        if self.take_sign(sign) {
            Ok(())
        } else {
            self.expected(format!("`{sign}`"))
        }
    }

    /// `name: condition -> target`
    fn rule(&mut self) -> Read<Rule> {
        let name: Arc<str> = match self.kind() {
            Kind::Word(word) | Kind::Number(word)
                if word.len() <= RULE_NAME_BYTES_MAX && !word.contains('.') =>
            {
                Arc::from(*word)
            }
            Kind::Word(_) | Kind::Number(_) | Kind::Text(_) | Kind::Sign(_) | Kind::End => {
                let what = format!(
                    "the rule's name, 1 to {RULE_NAME_BYTES_MAX} letters, digits, `_` and `-`, and a `:`"
                );
                return self.expected(what);
            }
        };
        self.advance();
        self.sign(":")?;
        let condition = if self.take_word("otherwise") {
            Condition::Otherwise
        } else {
            self.any()?
        };
        if !matches!(self.kind(), Kind::Sign("->")) {
            let more = match condition {
                Condition::Otherwise => "`->`",
                Condition::Among(_)
                | Condition::NotAmong(_)
                | Condition::Amount(..)
                | Condition::Not(_)
                | Condition::All(_)
                | Condition::Any(_) => "`and`, `or` or `->`",
            };
            return self.expected(more);
        }
        self.advance();
        let target_column = self.column();
        let target = self.target()?;
        let after_decline = self.after_decline()?;
        if *self.kind() != Kind::End {
            return self.expected(match after_decline {
                None => "`after decline` or the end of the line",
                Some(_) => "the end of the line",
            });
        }
        Ok(Rule {
            name,
            condition,
            target,
            after_decline,
            line: self.line,
            target_column,
        })
    }
}

#[cfg(test)]
mod tests;

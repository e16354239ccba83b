//! Reads the target of a rule.

use super::{Problem, Read, Reader};
use crate::provider::ProviderId;
use crate::routing::AfterDecline;
use crate::routing::program::{NAMES_MAX, Order, Target};
use crate::routing::token::Kind;

/// Words that start a target, so no providers are called so.
const RESERVED: [&str; 3] = ["only", "score", "split"];

impl Reader<'_, '_> {
    pub(super) fn target(&mut self) -> Read<Target> {
        let only = self.take_word("only");
        if self.take_word("split") {
            let order = Order::Split(self.shares()?);
            return Ok(Target { only, order });
        }
        if self.take_word("score") {
            let names = if self.take_sign("(") {
                let names = self.names()?;
                if !self.take_sign(")") {
                    return self.expected("`,` or `)`");
                }
                names
            } else if only {
                return self.expected("`(` and the providers that are the only ones");
            } else {
                Vec::new()
            };
            let order = Order::ByScore(names);
            return Ok(Target { only, order });
        }
        let order = Order::Named(self.names()?);
        Ok(Target { only, order })
    }

    /// `after decline next_provider`
    pub(super) fn after_decline(&mut self) -> Read<Option<AfterDecline>> {
        if !self.take_word("after") {
            return Ok(None);
        }
        if !self.take_word("decline") {
            return self.expected("`decline`");
        }
        for after in AfterDecline::ALL {
            if self.take_word(after.as_str()) {
                return Ok(Some(after));
            }
        }
        self.expected("`next_provider` or `answer`")
    }

    fn names(&mut self) -> Read<Vec<ProviderId>> {
        let mut names = Vec::new();
        loop {
            names.push(self.provider(names.iter().copied())?);
            if !self.take_sign(",") {
                return Ok(names);
            }
        }
    }

    fn shares(&mut self) -> Read<Vec<(ProviderId, u32)>> {
        const EXPECTED: &str = "a share in whole percent, from 0 to 100";
        let column = self.column();
        let mut shares: Vec<(ProviderId, u32)> = Vec::new();
        loop {
            let name = self.provider(shares.iter().map(|(name, _)| *name))?;
            let percent = match self.kind() {
                Kind::Number(digits) => digits.parse().ok().filter(|percent| *percent <= 100),
                Kind::Word(_) | Kind::Text(_) | Kind::Sign(_) | Kind::End => None,
            };
            let Some(percent) = percent else {
                return self.expected(EXPECTED);
            };
            self.advance();
            shares.push((name, percent));
            if !self.take_sign(",") {
                break;
            }
        }
        let sum = shares.iter().map(|(_, percent)| *percent).sum();
        if sum == 100 {
            Ok(shares)
        } else {
            Err((column, Problem::Shares(sum)))
        }
    }

    /// A provider that was not named before.
    fn provider(&mut self, named: impl ExactSizeIterator<Item = ProviderId>) -> Read<ProviderId> {
        let name = match self.kind() {
            Kind::Word(word) | Kind::Number(word) if !RESERVED.contains(word) => ProviderId::parse(word).ok(),
            Kind::Word(_) | Kind::Number(_) | Kind::Text(_) | Kind::Sign(_) | Kind::End => None,
        };
        let Some(name) = name else {
            let is_first = self
                .tokens
                .get(self.next.wrapping_sub(1))
                .map(|token| &token.kind)
                == Some(&Kind::Sign("->"));
            return self.expected(if is_first {
                "a provider's name, `only`, `split` or `score`"
            } else {
                "a provider's name"
            });
        };
        if named.len() >= NAMES_MAX {
            return self.expected(format!("at most {NAMES_MAX} providers"));
        }
        let mut named = named;
        if named.any(|other| other == name) {
            return Err((self.column(), Problem::NamedTwice(name)));
        }
        self.advance();
        Ok(name)
    }
}

//! Reads the condition of a rule.

use super::{Problem, Read, Reader};
use crate::ids::MerchantId;
use crate::method::CardBrand;
use crate::money::{Amount, Currency, DecimalError, parse_decimal};
use crate::payment::CaptureMethod;
use crate::routing::facts::MethodKind;
use crate::routing::program::{Among, Comparison, Condition, DEPTH_MAX, capture_word};
use crate::routing::token::Kind;
use std::sync::Arc;

pub(super) const BRANDS: [CardBrand; 3] = [CardBrand::Visa, CardBrand::Mastercard, CardBrand::Amex];
pub(super) const CAPTURES: [CaptureMethod; 2] = [CaptureMethod::Automatic, CaptureMethod::Manual];
const FACTS: &str = "`brand`, `country`, `currency`, `amount`, `merchant`, `metadata`, `customer`, `capture`, `method`, `not`, \
                     `otherwise` or `(`";
const OPERATORS: &str = "`is`, `is not`, `in` or `not in`";

impl Reader<'_, '_> {
    pub(super) fn any(&mut self) -> Read<Condition> {
        let first = self.all()?;
        let mut parts = vec![first];
        while self.take_word("or") {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Condition::Any))
    }

    fn all(&mut self) -> Read<Condition> {
        let first = self.not()?;
        let mut parts = vec![first];
        while self.take_word("and") {
            parts.push(self.not()?);
        }
        Ok(one_or(parts, Condition::All))
    }

    fn not(&mut self) -> Read<Condition> {
        let column = self.column();
        if self.take_word("not") {
            let inner = self.deeper(column, Self::not)?;
            return Ok(Condition::Not(Box::new(inner)));
        }
        if self.take_sign("(") {
            let inner = self.deeper(column, Self::any)?;
            if !self.take_sign(")") {
                return self.expected("`and`, `or` or `)`");
            }
            return Ok(inner);
        }
        self.test()
    }

    fn deeper(&mut self, column: u32, read: impl FnOnce(&mut Self) -> Read<Condition>) -> Read<Condition> {
        if self.depth >= DEPTH_MAX {
            return Err((column, Problem::TooDeep));
        }
        self.depth = self.depth.saturating_add(1);
        let inner = read(self)?;
        self.depth = self.depth.saturating_sub(1);
        Ok(inner)
    }

    fn test(&mut self) -> Read<Condition> {
        let Kind::Word(fact) = self.kind() else {
            return self.expected(FACTS);
        };
        let fact = *fact;
        if !["brand", "country", "currency", "amount", "merchant"].contains(&fact)
            && !["metadata", "customer", "capture", "method"].contains(&fact)
        {
            return self.expected(FACTS);
        }
        self.advance();
        if fact == "amount" {
            return self.amount();
        }
        let key = if fact == "metadata" {
            Some(self.metadata_key()?)
        } else {
            None
        };
        let (is_in, has_many) = self.operator()?;
        let among = match fact {
            "brand" => Among::Brand(self.values(has_many, &words(&BRANDS, |brand| brand.as_str()), brand)?),
            "country" => Among::Country(self.values(has_many, "two letters such as `DE`", country)?),
            "currency" => Among::Currency(self.values(has_many, "a currency such as `EUR`", currency)?),
            "merchant" => Among::Merchant(self.values(
                has_many,
                "a merchant's id, which begins with `mer_`",
                merchant,
            )?),
            "capture" => Among::Capture(self.values(
                has_many,
                &words(&CAPTURES, |value| capture_word(*value)),
                capture,
            )?),
            "method" => {
                let expected = words(&MethodKind::ALL, |kind| kind.as_str());
                Among::Method(self.values(has_many, &expected, method)?)
            }
            "customer" => {
                self.values(has_many, "`present`", present)?;
                Among::CustomerPresent
            }
            _ => Among::Metadata(
                key.unwrap_or_default(),
                self.values(has_many, "a text in double quotes", text)?,
            ),
        };
        Ok(if is_in {
            Condition::Among(among)
        } else {
            Condition::NotAmong(among)
        })
    }

    /// `.key` or `."key"`
    fn metadata_key(&mut self) -> Read<Arc<str>> {
        const EXPECTED: &str =
            "`.` and a key of the metadata, such as `metadata.tier` or `metadata.\"the tier\"`";
        if !self.take_sign(".") {
            return self.expected(EXPECTED);
        }
        let key: Arc<str> = match self.kind() {
            Kind::Word(word) => Arc::from(*word),
            Kind::Text(text) if !text.is_empty() => Arc::from(text.as_str()),
            Kind::Text(_) | Kind::Number(_) | Kind::Sign(_) | Kind::End => return self.expected(EXPECTED),
        };
        self.advance();
        Ok(key)
    }

    /// Whether the fact shall be among the values, and whether several follow in parentheses.
    fn operator(&mut self) -> Read<(bool, bool)> {
        if self.take_word("is") {
            return Ok((!self.take_word("not"), false));
        }
        if self.take_word("in") {
            return Ok((true, true));
        }
        if self.take_word("not") {
            if self.take_word("in") {
                return Ok((false, true));
            }
            return self.expected("`in`");
        }
        self.expected(OPERATORS)
    }

    fn values<T>(
        &mut self,
        has_many: bool,
        expected: &str,
        read: fn(&Kind<'_>) -> Option<T>,
    ) -> Read<Vec<T>> {
        if has_many {
            self.sign("(")?;
        }
        let mut values = Vec::new();
        loop {
            let Some(value) = read(self.kind()) else {
                return self.expected(expected);
            };
            self.advance();
            values.push(value);
            if !has_many || self.take_sign(")") {
                return Ok(values);
            }
            if !self.take_sign(",") {
                return self.expected("`,` or `)`");
            }
        }
    }

    /// `< 5.00 USD`
    fn amount(&mut self) -> Read<Condition> {
        const EXPECTED: &str = "an amount with its currency, such as `100.00 USD`";
        let sign = match self.kind() {
            Kind::Sign(sign) => Comparison::ALL.into_iter().find(|found| found.as_str() == *sign),
            Kind::Word(_) | Kind::Number(_) | Kind::Text(_) | Kind::End => None,
        };
        let Some(comparison) = sign else {
            return self.expected("`<`, `<=`, `>`, `>=`, `=` or `!=`");
        };
        self.advance();
        let column = self.column();
        let Kind::Number(digits) = self.kind() else {
            return self.expected(EXPECTED);
        };
        self.advance();
        let Some(currency) = currency(self.kind()) else {
            return self.expected(format!("the amount's currency: {EXPECTED}"));
        };
        self.advance();
        let minor = parse_decimal(digits, currency).map_err(|why| (column, Problem::Amount(why)))?;
        // What no payment can amount to is a slip.
        if minor != 0 && Amount::new(minor).is_err() {
            return Err((column, Problem::Amount(DecimalError::TooLarge)));
        }
        Ok(Condition::Amount(comparison, minor, currency))
    }
}

fn one_or(mut parts: Vec<Condition>, several: fn(Vec<Condition>) -> Condition) -> Condition {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            several(parts)
        }
        None => several(parts),
    }
}

fn words<T>(values: &[T], word: impl Fn(&T) -> &'static str) -> String {
    let words: Vec<String> = values.iter().map(|value| format!("`{}`", word(value))).collect();
    match words.split_last() {
        Some((last, front)) if !front.is_empty() => format!("{} or {last}", front.join(", ")),
        Some(_) | None => words.concat(),
    }
}

fn word<'a>(kind: &Kind<'a>) -> Option<&'a str> {
    match kind {
        Kind::Word(word) => Some(word),
        Kind::Number(_) | Kind::Text(_) | Kind::Sign(_) | Kind::End => None,
    }
}

fn brand(kind: &Kind<'_>) -> Option<CardBrand> {
    let word = word(kind)?;
    BRANDS.into_iter().find(|brand| brand.as_str() == word)
}

fn country(kind: &Kind<'_>) -> Option<[u8; 2]> {
    let letters: [u8; 2] = word(kind)?.as_bytes().try_into().ok()?;
    let is_written = letters.iter().all(u8::is_ascii_uppercase);
    is_written.then_some(letters)
}

fn currency(kind: &Kind<'_>) -> Option<Currency> {
    Currency::parse(word(kind)?).ok()
}

fn merchant(kind: &Kind<'_>) -> Option<MerchantId> {
    MerchantId::parse(word(kind)?).ok()
}

fn capture(kind: &Kind<'_>) -> Option<CaptureMethod> {
    let word = word(kind)?;
    CAPTURES
        .into_iter()
        .find(|capture| capture_word(*capture) == word)
}

fn method(kind: &Kind<'_>) -> Option<MethodKind> {
    let word = word(kind)?;
    MethodKind::ALL.into_iter().find(|method| method.as_str() == word)
}

fn present(kind: &Kind<'_>) -> Option<()> {
    (word(kind)? == "present").then_some(())
}

fn text(kind: &Kind<'_>) -> Option<Arc<str>> {
    match kind {
        Kind::Text(text) => Some(Arc::from(text.as_str())),
        Kind::Word(_) | Kind::Number(_) | Kind::Sign(_) | Kind::End => None,
    }
}

//! What a routing program says, as data, and how it is written.

use super::AfterDecline;
use super::facts::MethodKind;
use crate::ids::MerchantId;
use crate::method::CardBrand;
use crate::money::{Currency, decimal_string};
use crate::payment::CaptureMethod;
use crate::provider::ProviderId;
use std::fmt;
use std::sync::Arc;

/// Bytes of a program's text: small enough to be journaled and snapshotted whole.
pub const PROGRAM_BYTES_MAX: usize = 16 << 10;
/// Rules of one program: each may be looked at for every charge.
pub const RULES_MAX: usize = 64;
/// How deep parentheses and `not` may be nested: reading and evaluating recurse as deep.
pub const DEPTH_MAX: u32 = 32;
/// Providers that one rule may name.
pub const NAMES_MAX: usize = 32;
/// Bytes of a rule's name.
pub const RULE_NAME_BYTES_MAX: usize = 32;

/// Rules in the order in which they are tried. None at all: everything goes by score.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    pub(super) rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, unique in its program.
    pub name: Arc<str>,
    /// When it applies.
    pub condition: Condition,
    /// Where it sends charges.
    pub target: Target,
    /// What follows a decline for no reason in particular; if nothing is said, that is as configured.
    pub after_decline: Option<AfterDecline>,
    /// The line it is written on, from 1.
    pub line: u32,
    /// The column its target begins in, from 1.
    pub(super) target_column: u32,
}

/// When a rule applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    Otherwise,
    /// A fact is among some values.
    Among(Among),
    /// A fact is not among some values.
    NotAmong(Among),
    /// The amount compares so with this one, in its currency. False in any other.
    Amount(Comparison, i128, Currency),
    /// The other way round.
    Not(Box<Condition>),
    /// All of them; at least two.
    All(Vec<Condition>),
    /// Any of them; at least two.
    Any(Vec<Condition>),
}

/// A fact and the values asked for; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Among {
    /// The card's scheme.
    Brand(Vec<CardBrand>),
    /// Its issuer's country.
    Country(Vec<[u8; 2]>),
    /// The payment's currency.
    Currency(Vec<Currency>),
    /// Whose payment it is.
    Merchant(Vec<MerchantId>),
    /// An entry of its metadata.
    Metadata(Arc<str>, Vec<Arc<str>>),
    /// When the money is taken.
    Capture(Vec<CaptureMethod>),
    /// What is paid with.
    Method(Vec<MethodKind>),
    /// Whether it names a customer.
    CustomerPresent,
}

/// How two amounts of one currency compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `=`
    Equal,
    /// `!=`
    Unequal,
}

impl Comparison {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Less,
        Self::AtMost,
        Self::More,
        Self::AtLeast,
        Self::Equal,
        Self::Unequal,
    ];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
            Self::Equal => "=",
            Self::Unequal => "!=",
        }
    }

    /// Whether `left` compares so with `right`, both in minor units.
    pub const fn holds(self, left: i128, right: i128) -> bool {
        match self {
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::More => left > right,
            Self::AtLeast => left >= right,
            Self::Equal => left == right,
            Self::Unequal => left != right,
        }
    }
}

/// Where a rule sends charges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Nobody but those named.
    pub only: bool,
    /// Who comes first.
    pub order: Order,
}

/// Who comes first; the others follow by score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// These, as they stand.
    Named(Vec<ProviderId>),
    /// One of these by lot, with these shares in percent, which sum to 100; then the others of them as they stand.
    Split(Vec<(ProviderId, u32)>),
    /// These by score; none of them: all by score.
    ByScore(Vec<ProviderId>),
}

impl Order {
    /// The providers that are named, as they stand.
    pub fn named(&self) -> Vec<ProviderId> {
        match self {
            Self::Named(names) | Self::ByScore(names) => names.clone(),
            Self::Split(shares) => shares.iter().map(|(name, _)| *name).collect(),
        }
    }
}

impl Program {
    /// The rules in the order in which they are tried.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.iter().try_for_each(|rule| writeln!(f, "{rule}"))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.name, self.condition, self.target)?;
        match self.after_decline {
            Some(after) => write!(f, " after decline {}", after.as_str()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.only {
            f.write_str("only ")?;
        }
        match &self.order {
            Order::Named(names) => listed(f, names),
            Order::Split(shares) => {
                f.write_str("split ")?;
                let shares: Vec<String> = shares
                    .iter()
                    .map(|(name, percent)| format!("{name} {percent}"))
                    .collect();
                listed(f, &shares)
            }
            Order::ByScore(names) if names.is_empty() => f.write_str("score"),
            Order::ByScore(names) => {
                f.write_str("score(")?;
                listed(f, names)?;
                f.write_str(")")
            }
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Otherwise => f.write_str("otherwise"),
            Self::Among(among) => among.write(f, ["is", "in"]),
            Self::NotAmong(among) => among.write(f, ["is not", "not in"]),
            Self::Amount(comparison, minor, currency) => {
                let amount = decimal_string(*minor, *currency);
                write!(f, "amount {} {amount} {}", comparison.as_str(), currency.code())
            }
            Self::Not(inner) => {
                f.write_str("not ")?;
                inner.write_within(f, matches!(**inner, Self::All(_) | Self::Any(_)))
            }
            Self::All(parts) => joined(f, parts, " and "),
            Self::Any(parts) => joined(f, parts, " or "),
        }
    }
}

impl Condition {
    fn write_within(&self, f: &mut fmt::Formatter<'_>, in_parentheses: bool) -> fmt::Result {
        if in_parentheses {
            write!(f, "({self})")
        } else {
            write!(f, "{self}")
        }
    }
}

/// Parts that were read as a group of their own are written as one, so that what is written is read as it was.
fn joined(f: &mut fmt::Formatter<'_>, parts: &[Condition], word: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(word)?;
        }
        let is_group = match part {
            Condition::Any(_) => true,
            Condition::All(_) => word == " and ",
            Condition::Otherwise
            | Condition::Among(_)
            | Condition::NotAmong(_)
            | Condition::Amount(..)
            | Condition::Not(_) => false,
        };
        part.write_within(f, is_group)?;
    }
    Ok(())
}

fn listed<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

impl Among {
    fn write(&self, f: &mut fmt::Formatter<'_>, operators: [&str; 2]) -> fmt::Result {
        let (fact, values): (String, Vec<String>) = match self {
            Self::Brand(values) => ("brand".into(), values.iter().map(ToString::to_string).collect()),
            Self::Country(values) => {
                let letters = |letters: &[u8; 2]| letters.iter().copied().map(char::from).collect();
                ("country".into(), values.iter().map(letters).collect())
            }
            Self::Currency(values) => {
                let code = |currency: &Currency| currency.code().to_owned();
                ("currency".into(), values.iter().map(code).collect())
            }
            Self::Merchant(values) => (
                "merchant".into(),
                values.iter().map(ToString::to_string).collect(),
            ),
            Self::Metadata(key, values) => {
                let fact = if is_plain_key(key) {
                    format!("metadata.{key}")
                } else {
                    format!("metadata.{}", quoted(key))
                };
                (fact, values.iter().map(|value| quoted(value)).collect())
            }
            Self::Capture(values) => {
                let word = |capture: &CaptureMethod| capture_word(*capture).to_owned();
                ("capture".into(), values.iter().map(word).collect())
            }
            Self::Method(values) => {
                let word = |kind: &MethodKind| kind.as_str().to_owned();
                ("method".into(), values.iter().map(word).collect())
            }
            Self::CustomerPresent => ("customer".into(), vec!["present".into()]),
        };
        let [is, within] = operators;
        match values.as_slice() {
            [value] => write!(f, "{fact} {is} {value}"),
            values => {
                write!(f, "{fact} {within} (")?;
                listed(f, values)?;
                f.write_str(")")
            }
        }
    }
}

/// The word for when money is taken.
pub(super) const fn capture_word(capture: CaptureMethod) -> &'static str {
    match capture {
        CaptureMethod::Automatic => "automatic",
        CaptureMethod::Manual => "manual",
    }
}

/// Whether a key of metadata can be written without quotes, as the reader takes words.
fn is_plain_key(key: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    key.bytes().all(is_inner) && key.bytes().any(|byte| !byte.is_ascii_digit()) && !key.starts_with('-')
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

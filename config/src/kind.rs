//! What a single value may be: the checks, and the words that say what is allowed.

use crate::redis::is_redis;
use crate::secret::{HIDDEN, KeySecret};
use florin_domain::money::{Amount, Currency, parse_decimal};
use florin_domain::placement::LetterRange;
use florin_domain::provider::ProviderId;
use std::net::SocketAddr;
use toml::Value;
use tracing_subscriber::EnvFilter;

/// What turns a limit off.
pub(crate) const NO_LIMIT: &str = "none";

/// What an API key is.
pub(crate) const API_KEY: &str = "visible ASCII characters without spaces";

/// What the secret of the provider keys is.
pub(crate) const KEY_SECRET: &str = "64 to 128 hexadecimal digits";

/// The type and range of one value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// An IP address and a port.
    Address,
    /// A path.
    Path,
    /// A path, or nothing.
    OptionalPath,
    /// Which log lines are written.
    LogFilter,
    /// One of some words.
    Choice(&'static [&'static str]),
    /// A whole number within bounds.
    Whole(i64, i64),
    /// A share from 0 to 1 in basis points.
    Ratio,
    /// The waits of a repetition, in seconds.
    Waits,
    /// Ranges of letters, or none.
    LetterRanges,
    /// An amount of this currency, or none.
    AmountLimit(Currency),
    /// A provider's API key, or nothing.
    ApiKey,
    /// The secret of the provider keys, or nothing.
    KeySecret,
    /// Where a provider answers.
    Url,
    /// Where customers reach us, or nothing.
    PublicUrl,
    /// A database, with the password of its user, or nothing.
    DatabaseUrl,
    /// A server of Redis, with its password, or nothing.
    RedisUrl,
    /// A provider's name.
    ProviderName,
    /// The name of our account at a provider, or nothing.
    MerchantAccount,
    /// An account of the platform, the name of an opened one, or nothing.
    ChartAccount,
    /// Routing rules, or none. What is wrong with them is said with its place, later.
    Rules,
}

/// The longest wait: a day.
const WAIT_S_MAX: i64 = 86_400;
const WAITS_MAX: usize = 32;

impl Kind {
    /// What is allowed, to follow the words "must be".
    pub(crate) fn allowed(self) -> String {
        match self {
            Self::Address => "an IP address and a port such as \"127.0.0.1:8080\"".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::OptionalPath => "a path, or empty for none".to_owned(),
            Self::LogFilter => "a log filter such as \"info,ractor=warn\"".to_owned(),
            Self::Choice(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                quoted.join(" or ")
            }
            Self::Whole(min, max) => format!("a whole number from {min} to {max}"),
            Self::Ratio => "a number from 0 to 1 with at most four decimals".to_owned(),
            Self::Waits => {
                format!("1 to {WAITS_MAX} whole numbers of seconds, each from 1 to {WAIT_S_MAX}")
            }
            Self::LetterRanges => {
                "a list of ranges of capital letters such as [\"A-D\", \"E-H\"], or an empty one".to_owned()
            }
            Self::AmountLimit(currency) => format!(
                "a quoted decimal number above zero with at most {} decimals, or \"{NO_LIMIT}\"",
                currency.exponent()
            ),
            Self::ApiKey => format!("{API_KEY}, or empty for none"),
            Self::KeySecret => format!("{KEY_SECRET}, or empty for none"),
            Self::Url => "an http or https URL without user, query or fragment".to_owned(),
            Self::PublicUrl => {
                "an https URL without user, path, query or fragment, http only to this machine, or empty for none".to_owned()
            }
            Self::DatabaseUrl => {
                "a URL such as \"postgres://florin:password@db.example/florin\", or empty for none".to_owned()
            }
            Self::RedisUrl => {
                "a URL such as \"redis://:password@cache.example:6379\" or \"rediss://...\", or empty for none"
                    .to_owned()
            }
            Self::ProviderName => "1 to 16 characters of a-z, 0-9 and _".to_owned(),
            Self::MerchantAccount => {
                "the name of a merchant account in at most 80 visible ASCII characters, or empty for none"
                    .to_owned()
            }
            Self::ChartAccount => {
                "the name of an account, of 1 to 64 characters of a-z, 0-9, _, ., : and -, or empty for none"
                    .to_owned()
            }
            Self::Rules => "routing rules, one per line, or empty for none".to_owned(),
        }
    }

    /// The value in the form that the rest of the crate relies on; nothing if it is not allowed.
    pub(crate) fn accept(self, value: &Value) -> Option<Value> {
        match self {
            Self::Whole(min, max) => value
                .as_integer()
                .filter(|number| (min..=max).contains(number))
                .map(Value::Integer),
            Self::Ratio => ratio(value),
            Self::Waits => waits(value),
            Self::LetterRanges => letter_ranges(value),
            Self::Address
            | Self::Path
            | Self::OptionalPath
            | Self::LogFilter
            | Self::Choice(_)
            | Self::AmountLimit(_)
            | Self::ApiKey
            | Self::KeySecret
            | Self::Url
            | Self::PublicUrl
            | Self::DatabaseUrl
            | Self::RedisUrl
            | Self::ProviderName
            | Self::MerchantAccount
            | Self::ChartAccount
            | Self::Rules => {
                let text = value.as_str()?;
                self.accepts_text(text).then(|| Value::String(text.to_owned()))
            }
        }
    }

    fn accepts_text(self, text: &str) -> bool {
        match self {
            Self::Address => text.parse::<SocketAddr>().is_ok(),
            Self::Path => !text.is_empty() && !text.contains('\0'),
            Self::OptionalPath => !text.contains('\0'),
            Self::LogFilter => EnvFilter::builder().parse(text).is_ok(),
            Self::Choice(words) => words.contains(&text),
            Self::AmountLimit(currency) => text == NO_LIMIT || amount_limit(text, currency).is_some(),
            Self::ApiKey => text.bytes().all(|byte| byte.is_ascii_graphic()),
            Self::KeySecret => text.is_empty() || KeySecret::from_hex(text).is_some(),
            Self::Url => is_url(text),
            Self::PublicUrl => text.is_empty() || is_origin(text),
            Self::DatabaseUrl => text.is_empty() || is_database(text),
            Self::RedisUrl => text.is_empty() || is_redis(text),
            Self::ProviderName => ProviderId::parse(text).is_ok(),
            Self::MerchantAccount => text.len() <= 80 && text.bytes().all(|byte| byte.is_ascii_graphic()),
            Self::ChartAccount => is_account_name(text),
            Self::Rules => true,
            Self::Whole(..) | Self::Ratio | Self::Waits | Self::LetterRanges => false,
        }
    }

    /// A variable's text as the value that it would be in a file. What is not one stays text, which `accept` refuses.
    pub(crate) fn read_variable(self, text: &str) -> Value {
        let whole = |text: &str| text.trim().replace('_', "").parse::<i64>().ok();
        let read = match self {
            Self::Whole(..) => whole(text).map(Value::Integer),
            Self::Ratio => text.trim().parse().ok().map(Value::Float),
            Self::Waits => {
                let waits: Option<Vec<Value>> = text
                    .split(',')
                    .map(|wait| whole(wait).map(Value::Integer))
                    .collect();
                waits.map(Value::Array)
            }
            Self::LetterRanges => {
                let ranges = text.split(',').map(str::trim).map(Value::from);
                let ranges = if text.trim().is_empty() {
                    Vec::new()
                } else {
                    ranges.collect()
                };
                Some(Value::Array(ranges))
            }
            Self::Address
            | Self::Path
            | Self::OptionalPath
            | Self::LogFilter
            | Self::Choice(_)
            | Self::AmountLimit(_)
            | Self::ApiKey
            | Self::KeySecret
            | Self::Url
            | Self::PublicUrl
            | Self::ProviderName
            | Self::MerchantAccount
            | Self::ChartAccount
            | Self::DatabaseUrl
            | Self::RedisUrl
            | Self::Rules => None,
        };
        read.unwrap_or_else(|| Value::String(text.to_owned()))
    }

    /// The value as an error may show it.
    pub(crate) fn show(self, value: &Value) -> String {
        let has_password = matches!(self, Self::Url | Self::PublicUrl)
            && value.as_str().is_some_and(|url| url.contains('@'));
        let is_secret = matches!(
            self,
            Self::ApiKey | Self::KeySecret | Self::DatabaseUrl | Self::RedisUrl
        );
        if has_password || is_secret {
            return HIDDEN.to_owned();
        }
        // A section under a wrong name may have secrets in it.
        if holds_tables(value) {
            return format!("of type {}", value.type_str());
        }
        value.to_string()
    }
}

fn holds_tables(value: &Value) -> bool {
    value.is_table()
        || value
            .as_array()
            .is_some_and(|items| items.iter().any(holds_tables))
}

/// As accounts are opened, or nothing.
fn is_account_name(text: &str) -> bool {
    text.len() <= 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.:-".contains(&byte))
}

/// An amount limit in minor units.
pub(crate) fn amount_limit(text: &str, currency: Currency) -> Option<i128> {
    let minor = parse_decimal(text, currency).ok()?;
    Amount::new(minor).ok().map(Amount::minor)
}

/// A share in basis points. It is read from the digits as people write them, so that nothing is rounded.
pub(crate) fn ratio_bps(share: f64) -> Option<u32> {
    let text = share.to_string();
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    if decimals.len() > 4 {
        return None;
    }
    let bps: u32 = format!("{whole}{decimals:0<4}").parse().ok()?;
    (bps <= 10_000).then_some(bps)
}

fn ratio(value: &Value) -> Option<Value> {
    let share = match value {
        Value::Float(share) => *share,
        Value::Integer(0) => 0.0,
        Value::Integer(1) => 1.0,
        _ => return None,
    };
    ratio_bps(share).map(|_| Value::Float(share))
}

fn waits(value: &Value) -> Option<Value> {
    let waits = value.as_array()?;
    let each = |wait: &Value| wait.as_integer().is_some_and(|s| (1..=WAIT_S_MAX).contains(&s));
    let allowed = (1..=WAITS_MAX).contains(&waits.len()) && waits.iter().all(each);
    allowed.then(|| value.clone())
}

fn letter_ranges(value: &Value) -> Option<Value> {
    let is_range = |range: &Value| {
        range
            .as_str()
            .is_some_and(|text| LetterRange::parse(text).is_some())
    };
    value.as_array()?.iter().all(is_range).then(|| value.clone())
}

/// An origin: what a browser says in `Origin`, and what paths are written behind.
fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<http::Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default();
    let is_here = ["127.0.0.1", "[::1]", "localhost"].contains(&host);
    let is_safe = uri.scheme_str() == Some("https") || is_here;
    let is_bare = uri
        .authority()
        .is_some_and(|authority| text.ends_with(authority.as_str()));
    is_url(text) && is_safe && is_bare
}

/// Whether it names a scheme of PostgreSQL and something behind it. What the rest means is said by whoever connects.
fn is_database(text: &str) -> bool {
    let rest = ["postgres://", "postgresql://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    rest.is_some_and(|rest| !rest.is_empty()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<http::Uri>() else {
        return false;
    };
    // A `Uri` drops a fragment in silence, so it is looked for in the text.
    matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.host().is_some_and(|host| !host.is_empty())
        && uri.query().is_none()
        && !text.contains(['#', '@'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_read_by_its_digits() {
        let cases = [
            (0.8, Some(8000)),
            (0.0, Some(0)),
            (1.0, Some(10_000)),
            (0.0001, Some(1)),
            (0.29, Some(2900)),
            (0.123_45, None),
            (1.0001, None),
            (-0.5, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ];
        for (share, bps) in cases {
            assert_eq!(ratio_bps(share), bps, "{share}");
        }
        for bps in 0..=10_000 {
            assert_eq!(ratio_bps(f64::from(bps) / 10_000.0), Some(bps));
        }
    }

    #[test]
    fn customers_reach_us_at_an_origin_over_https() {
        for (text, expected) in [
            ("", true),
            ("https://pay.example.com", true),
            ("https://pay.example.com:8443", true),
            ("http://127.0.0.1:8080", true),
            ("http://localhost", true),
            ("http://[::1]:8080", true),
            ("http://pay.example.com", false),
            ("http://localhost.example.com", false),
            ("https://pay.example.com/", false),
            ("https://pay.example.com/florin", false),
            ("https://pay.example.com?a", false),
            ("https://a@pay.example.com", false),
            ("pay.example.com", false),
            ("ftp://127.0.0.1", false),
        ] {
            assert_eq!(Kind::PublicUrl.accepts_text(text), expected, "{text}");
        }
    }

    #[test]
    fn a_url_is_a_place_and_nothing_more() {
        let cases = [
            ("http://127.0.0.1:9090", true),
            ("https://api.example.com/v1", true),
            ("https://[::1]:9090", true),
            ("ftp://example.com", false),
            ("api.example.com", false),
            ("/v1", false),
            ("https://", false),
            ("https://user:pw@example.com", false),
            ("https://example.com?a=b", false),
            ("https://example.com#a", false),
            ("https://exa mple.com", false),
        ];
        for (text, allowed) in cases {
            assert_eq!(is_url(text), allowed, "{text}");
        }
    }
}

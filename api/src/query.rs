//! Reads query strings: what is not known, or said twice, is refused by name.

mod alerts;
mod entries;
mod events;
#[cfg(test)]
mod fuzz;
mod list_entries;
mod moment;
mod payments;
mod vault;
mod webhooks;

pub(crate) use alerts::alerts;
pub(crate) use entries::{EntriesQuery, described_entries, exported_entries};
pub(crate) use events::{described_created, listed_events, streamed_events};
pub(crate) use list_entries::{list_entries, list_kind, list_name};
pub(crate) use moment::moment;
pub(crate) use payments::{CREATED, created, described_filters, exported_payments, listed, listed_payments};
pub(crate) use vault::{listed_customers, listed_links, listed_methods, listed_setups, vault_object};
pub(crate) use webhooks::listed_endpoints;

use crate::errors::{Code, Invalid};
use actix_web::HttpRequest;
use actix_web::web::Query;
use florin_domain::credentials::LastSet;
use florin_domain::ids::Seq;

/// Entries on a page when nothing is said.
pub(crate) const LIMIT_DEFAULT: usize = 10;
/// Characters of a name that a refusal repeats.
const ECHO_CHARS_MAX: usize = 100;
/// Entries on a page at most.
const LIMIT_MAX: usize = 100;

/// Name and value pairs whose names are all in `known`, each at most once.
fn pairs(request: &HttpRequest, known: &[&str]) -> Result<Vec<(String, String)>, Invalid> {
    pairs_of(request, |name| known.contains(&name))
}

/// The same where not all names can be listed.
fn pairs_of(
    request: &HttpRequest,
    is_known: impl Fn(&str) -> bool,
) -> Result<Vec<(String, String)>, Invalid> {
    if request.query_string().is_empty() {
        return Ok(Vec::new());
    }
    let parsed = Query::<Vec<(String, String)>>::from_query(request.query_string());
    let malformed = |_| Invalid {
        param: None,
        code: Code::QueryInvalid,
        message: "The query string is malformed.".to_owned(),
    };
    let pairs = parsed.map_err(malformed)?.into_inner();
    for (index, (name, _)) in pairs.iter().enumerate() {
        let shown: String = name.chars().take(ECHO_CHARS_MAX).collect();
        if !is_known(name) {
            let message = format!("Unknown query parameter `{shown}`.");
            return Err(Invalid::new(shown, Code::ParameterUnknown, message));
        }
        if pairs
            .iter()
            .skip(index.saturating_add(1))
            .any(|(other, _)| other == name)
        {
            let message = format!("`{shown}` appears twice.");
            return Err(Invalid::new(shown, Code::ParameterInvalid, message));
        }
    }
    Ok(pairs)
}

fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs
        .iter()
        .find(|pair| pair.0 == name)
        .map(|pair| pair.1.as_str())
}

/// A whole number between `min` and `max`, written with digits only.
fn number(name: &str, text: &str, (min, max): (usize, usize)) -> Result<usize, Invalid> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text
        .parse()
        .ok()
        .filter(|number| digits && (min..=max).contains(number));
    let refused = || {
        let message = format!("`{name}` is a whole number from {min} to {max}.");
        Invalid::new(name, Code::ParameterInvalidInteger, message)
    };
    number.ok_or_else(refused)
}

/// Refuses every parameter.
pub(crate) fn none(request: &HttpRequest) -> Result<(), Invalid> {
    pairs(request, &[]).map(drop)
}

/// `name` as a number between 0 and `max`, or `default`.
pub(crate) fn only_number(
    request: &HttpRequest,
    name: &str,
    max: usize,
    default: usize,
) -> Result<usize, Invalid> {
    let pairs = pairs(request, &[name])?;
    value(&pairs, name).map_or(Ok(default), |text| number(name, text, (0, max)))
}

/// The version that `version` names, which it must, and what is to happen if it is the last one (`falls_back`).
pub(crate) fn retired_version(request: &HttpRequest) -> Result<(u32, LastSet), Invalid> {
    let pairs = pairs(request, &["version", "falls_back"])?;
    let last = match value(&pairs, "falls_back") {
        None | Some("false") => LastSet::Kept,
        Some("true") => LastSet::FallsBack,
        Some(_) => {
            let message = "`falls_back` is `true` or `false`.";
            return Err(Invalid::new("falls_back", Code::ParameterInvalid, message));
        }
    };
    let missing = || Invalid::new("version", Code::ParameterMissing, "`version` is required.");
    let text = value(&pairs, "version").ok_or_else(missing)?;
    let number = number("version", text, (1, 1_000_000_000))?;
    let refused = |_| {
        Invalid::new(
            "version",
            Code::ParameterInvalidInteger,
            "`version` is too large.",
        )
    };
    Ok((u32::try_from(number).map_err(refused)?, last))
}

/// A commit of the journal, if `at` names one.
pub(crate) fn at(request: &HttpRequest) -> Result<Option<Seq>, Invalid> {
    let pairs = pairs(request, &["at"])?;
    let Some(text) = value(&pairs, "at") else {
        return Ok(None);
    };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let seq = text.parse().ok().filter(|_| digits).map(Seq);
    let refused = || {
        let message = "`at` is the sequence number of a commit, a whole number.";
        Invalid::new("at", Code::ParameterInvalidInteger, message)
    };
    seq.map(Some).ok_or_else(refused)
}

/// Which page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page<T> {
    /// At most so many entries.
    pub(crate) limit: usize,
    /// Only what follows this one.
    pub(crate) starting_after: Option<T>,
}

/// Reads `limit` and `starting_after`; `read` understands the latter.
pub(crate) fn page<T>(request: &HttpRequest, read: impl Fn(&str) -> Option<T>) -> Result<Page<T>, Invalid> {
    page_of(request, LIMIT_DEFAULT, read)
}

/// The same with the largest page when nothing is said.
pub(crate) fn long_page<T>(
    request: &HttpRequest,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Page<T>, Invalid> {
    page_of(request, LIMIT_MAX, read)
}

fn page_of<T>(
    request: &HttpRequest,
    usual: usize,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Page<T>, Invalid> {
    let pairs = pairs(request, &["limit", "starting_after"])?;
    Ok(Page {
        limit: limit_or(&pairs, usual)?,
        starting_after: cursor(&pairs, "starting_after", read)?,
    })
}

pub(crate) fn limit(pairs: &[(String, String)]) -> Result<usize, Invalid> {
    limit_or(pairs, LIMIT_DEFAULT)
}

fn limit_or(pairs: &[(String, String)], usual: usize) -> Result<usize, Invalid> {
    value(pairs, "limit").map_or(Ok(usual), |text| number("limit", text, (1, LIMIT_MAX)))
}

fn cursor<T>(
    pairs: &[(String, String)],
    name: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Invalid> {
    let named = |text| read(text).ok_or_else(|| no_entry(name));
    value(pairs, name).map(named).transpose()
}

/// A cursor that is of no use, whether it is malformed, unknown or somebody else's.
pub(crate) fn no_entry(name: &str) -> Invalid {
    Invalid::new(
        name,
        Code::ParameterInvalid,
        format!("`{name}` names no entry of this list."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    type Refused = (Option<String>, &'static str);

    fn read(query: &str) -> Result<(usize, Option<u64>), Refused> {
        let request = TestRequest::with_uri(&format!("/v1/payments?{query}")).to_http_request();
        page(&request, |text| text.parse().ok())
            .map(|page| (page.limit, page.starting_after))
            .map_err(|invalid| (invalid.param, invalid.code.as_str()))
    }

    #[test]
    fn a_commit_is_named_by_digits_alone() {
        let read = |query: &str| {
            let request = TestRequest::with_uri(&format!("/v1/payments/x?{query}")).to_http_request();
            at(&request).map_err(|invalid| (invalid.param, invalid.code.as_str()))
        };
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("at=0"), Ok(Some(Seq::ZERO)));
        assert_eq!(read("at=18446744073709551615"), Ok(Some(Seq(u64::MAX))));
        let refused = |code| Err((Some("at".to_owned()), code));
        for text in ["", "+1", "-1", "1.0", "1e3", "x", "18446744073709551616"] {
            // In a query a plus sign is a space.
            let text = text.replace('+', "%2B");
            assert_eq!(
                read(&format!("at={text}")),
                refused("parameter_invalid_integer"),
                "{text}"
            );
        }
        assert_eq!(read("at=1&at=1"), refused("parameter_invalid"));
    }

    #[test]
    fn pages_are_read_strictly() {
        let fails = |param: &str, code| Err((Some(param.to_owned()), code));
        assert_eq!(read(""), Ok((10, None)));
        assert_eq!(read("limit=1&starting_after=7"), Ok((1, Some(7))));
        assert_eq!(read("limit=%31%30%30"), Ok((100, None)));
        for limit in [
            "",
            "0",
            "101",
            "-1",
            "+5",
            "5.0",
            "ten",
            "99999999999999999999999",
        ] {
            assert_eq!(
                read(&format!("limit={limit}")),
                fails("limit", "parameter_invalid_integer"),
                "{limit}"
            );
        }
        assert_eq!(read("limit=1&limit=1"), fails("limit", "parameter_invalid"));
        assert_eq!(
            read("starting_after=x"),
            fails("starting_after", "parameter_invalid")
        );
        assert_eq!(
            read("starting_after="),
            fails("starting_after", "parameter_invalid")
        );
        assert_eq!(
            read("ending_before=7"),
            fails("ending_before", "parameter_unknown")
        );
        assert_eq!(
            read("limit=5&created[gte]=7"),
            fails("created[gte]", "parameter_unknown")
        );
    }
}

//! Which lines of the ledger an export has.

use super::payments::{CREATED, range};
use super::{number, pairs, value};
use crate::errors::{Code, Invalid};
use crate::openapi::{AMOUNT_MAX, Endpoint, account_id, bounded};
use actix_web::HttpRequest;
use florin_domain::ids::Seq;
use florin_domain::ledger::AccountKey;
use std::ops::RangeInclusive;

const FIRST: &str = "seq[gte]";
const LAST: &str = "seq[lte]";
/// Commits are counted with 63 bits.
const SEQ_MAX: usize = isize::MAX.unsigned_abs();

/// Which lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntriesQuery {
    /// Only those of this account.
    pub(crate) account: Option<AccountKey>,
    /// Only those recorded in these seconds.
    pub(crate) created_s: Option<RangeInclusive<u64>>,
    /// Only those of this commit and later ones.
    pub(crate) first: Option<Seq>,
    /// Only those of this commit and earlier ones.
    pub(crate) last: Option<Seq>,
}

/// Tells the filters.
pub(crate) fn described_entries(endpoint: Endpoint) -> Endpoint {
    let seq = |description: &str| bounded(description, (0, isize::MAX));
    let endpoint = endpoint
        .query("account", account_id())
        .query(FIRST, seq("Only lines of this commit and later ones."))
        .query(LAST, seq("Only lines of this commit and earlier ones."));
    CREATED.into_iter().fold(endpoint, |endpoint, name| {
        let when = "When it was recorded, in seconds since the Unix epoch.";
        endpoint.query(name, bounded(when, (0, AMOUNT_MAX)))
    })
}

/// Reads them.
pub(crate) fn exported_entries(request: &HttpRequest) -> Result<EntriesQuery, Invalid> {
    let pairs = pairs(request, &[&["account", FIRST, LAST], &CREATED[..]].concat())?;
    let account = value(&pairs, "account").map(|text| {
        AccountKey::parse(text).map_err(|_| {
            let message = "`account` is the id of an account, as `/v1/ledger/accounts` shows it.";
            Invalid::new("account", Code::ParameterInvalid, message)
        })
    });
    let seq = |name: &str| -> Result<Option<Seq>, Invalid> {
        let read = value(&pairs, name).map(|text| number(name, text, (0, SEQ_MAX)));
        Ok(read.transpose()?.map(|seq| Seq(seq as u64)))
    };
    Ok(EntriesQuery {
        account: account.transpose()?,
        created_s: range(&pairs, CREATED)?,
        first: seq(FIRST)?,
        last: seq(LAST)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn read(query: &str) -> Result<EntriesQuery, (Option<String>, &'static str)> {
        let request =
            TestRequest::with_uri(&format!("/v1/ledger/entries/export.csv?{query}")).to_http_request();
        exported_entries(&request).map_err(|invalid| (invalid.param, invalid.code.as_str()))
    }

    #[test]
    fn filters_are_read_strictly() {
        let all = EntriesQuery {
            account: None,
            created_s: None,
            first: None,
            last: None,
        };
        assert_eq!(read(""), Ok(all.clone()));
        let some = EntriesQuery {
            account: Some(AccountKey::parse("bank:USD").unwrap()),
            created_s: Some(5..=8),
            first: Some(Seq(7)),
            last: Some(Seq(i64::MAX as u64)),
        };
        let query = "account=bank:USD&created[gte]=5&created[lt]=9&seq[gte]=7&seq[lte]=9223372036854775807";
        assert_eq!(read(query), Ok(some));
        for (query, param, code) in [
            ("account=bank", "account", "parameter_invalid"),
            ("seq[gte]=-1", "seq[gte]", "parameter_invalid_integer"),
            (
                "seq[lte]=9223372036854775808",
                "seq[lte]",
                "parameter_invalid_integer",
            ),
            ("seq[gte]=1&seq[gte]=2", "seq[gte]", "parameter_invalid"),
            ("created=x", "created", "parameter_invalid_integer"),
            ("limit=5", "limit", "parameter_unknown"),
        ] {
            assert_eq!(read(query), Err((Some(param.to_owned()), code)), "{query}");
        }
    }
}

//! Which lines of the ledger an export has.

use super::payments::{CREATED, range};
use super::{number, pairs, value};
use crate::errors::{Code, Invalid};
use crate::openapi::{AMOUNT_MAX, Endpoint, account_id, bounded};
use crate::v1::account_body::Named;
use actix_web::HttpRequest;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ledger::AccountKey;
use std::ops::RangeInclusive;

const FIRST: &str = "seq[gte]";
const LAST: &str = "seq[lte]";
const SHARD: &str = "shard";
/// Commits are counted with 63 bits.
const SEQ_MAX: usize = isize::MAX.unsigned_abs();

/// Which lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntriesQuery {
    /// Only those of this account.
    pub(crate) account: Option<AccountKey>,
    /// Only those of this shard.
    pub(crate) shard: Option<ShardId>,
    /// Only those recorded in these seconds.
    pub(crate) created_s: Option<RangeInclusive<u64>>,
    /// Only those of this commit and later ones.
    pub(crate) first: Option<Seq>,
    /// Only those of this commit and earlier ones.
    pub(crate) last: Option<Seq>,
}

impl EntriesQuery {
    /// Whether the lines of a shard can be among them.
    pub(crate) fn is_of(&self, shard: ShardId) -> bool {
        let home = self.account.and_then(|account| account.home());
        self.shard.is_none_or(|asked| asked == shard) && home.is_none_or(|home| home == shard)
    }
}

/// Tells the filters.
pub(crate) fn described_entries(endpoint: Endpoint) -> Endpoint {
    let seq = |description: &str| bounded(description, (0, isize::MAX));
    let endpoint = endpoint
        .query("account", account_id())
        .query(
            SHARD,
            bounded(
                "Only lines of this shard; those of all, one shard behind another, when absent.",
                (0, isize::from(i16::MAX)),
            ),
        )
        .query(FIRST, seq("Only lines of this commit and later ones. Where there are several shards, say `shard` too."))
        .query(LAST, seq("Only lines of this commit and earlier ones. Where there are several shards, say `shard` too."));
    CREATED.into_iter().fold(endpoint, |endpoint, name| {
        let when = "When it was recorded, in seconds since the Unix epoch.";
        endpoint.query(name, bounded(when, (0, AMOUNT_MAX)))
    })
}

/// Reads them, for a ledger of so many shards.
pub(crate) fn exported_entries(request: &HttpRequest, shards: usize) -> Result<EntriesQuery, Invalid> {
    let pairs = pairs(
        request,
        &[&["account", SHARD, FIRST, LAST], &CREATED[..]].concat(),
    )?;
    let account = value(&pairs, "account").map(|text| {
        Named::parse(text).ok_or_else(|| {
            let message = "`account` is the id of an account, as `/v1/ledger/accounts` shows it.";
            Invalid::new("account", Code::ParameterInvalid, message)
        })
    });
    let account = account.transpose()?;
    let shard = value(&pairs, SHARD).map(|text| number(SHARD, text, (0, shards.saturating_sub(1))));
    let shard = shard.transpose()?;
    // There are no more shards than their numbers have room for.
    let shard = shard.and_then(|shard| u16::try_from(shard).ok()).map(ShardId);
    let seq = |name: &str| -> Result<Option<Seq>, Invalid> {
        let read = value(&pairs, name).map(|text| number(name, text, (0, SEQ_MAX)));
        Ok(read.transpose()?.map(|seq| Seq(seq as u64)))
    };
    let (first, last) = (seq(FIRST)?, seq(LAST)?);
    // A part of an account names the shard that has it.
    let part = account.and_then(|named| named.part);
    if let Some(part) = part.filter(|part| usize::from(part.0) >= shards) {
        let message = format!("`account` names shard {}, and there is none.", part.0);
        return Err(Invalid::new("account", Code::ParameterInvalid, message));
    }
    if let (Some(asked), Some(part)) = (shard, part)
        && asked != part
    {
        let message = format!(
            "`shard` is {}, and the part of the account is another's.",
            asked.0
        );
        return Err(Invalid::new(SHARD, Code::ParameterInvalid, message));
    }
    let shard = shard.or(part);
    if shard.is_none() && shards > 1 && (first.is_some() || last.is_some()) {
        let message = "Each shard counts its own commits: `shard` says whose are meant.";
        return Err(Invalid::new(SHARD, Code::ParameterMissing, message));
    }
    Ok(EntriesQuery {
        account: account.map(|named| named.key),
        shard,
        created_s: range(&pairs, CREATED)?,
        first,
        last,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    type Outcome = Result<EntriesQuery, (Option<String>, &'static str)>;

    fn read(query: &str) -> Outcome {
        read_of(query, 1)
    }

    fn read_of(query: &str, shards: usize) -> Outcome {
        let request =
            TestRequest::with_uri(&format!("/v1/ledger/entries/export.csv?{query}")).to_http_request();
        exported_entries(&request, shards).map_err(|invalid| (invalid.param, invalid.code.as_str()))
    }

    #[test]
    fn filters_are_read_strictly() {
        let all = EntriesQuery {
            account: None,
            shard: None,
            created_s: None,
            first: None,
            last: None,
        };
        assert_eq!(read(""), Ok(all.clone()));
        let some = EntriesQuery {
            account: Some(AccountKey::parse("bank:USD").unwrap()),
            shard: None,
            created_s: Some(5..=8),
            first: Some(Seq(7)),
            last: Some(Seq(i64::MAX as u64)),
        };
        let query = "account=bank:USD&created[gte]=5&created[lt]=9&seq[gte]=7&seq[lte]=9223372036854775807";
        assert_eq!(read(query), Ok(some));
        for (query, param, code) in [
            ("account=bank", "account", "parameter_invalid"),
            ("account=bank:USD@1", "account", "parameter_invalid"),
            ("shard=1", "shard", "parameter_invalid_integer"),
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

    #[test]
    fn commits_are_counted_by_shard() {
        for (query, param, code) in [
            ("seq[gte]=1", "shard", "parameter_missing"),
            ("account=bank:USD&seq[lte]=1", "shard", "parameter_missing"),
            ("account=bank:USD@1&shard=0", "shard", "parameter_invalid"),
            ("shard=3", "shard", "parameter_invalid_integer"),
        ] {
            assert_eq!(read_of(query, 3), Err((Some(param.to_owned()), code)), "{query}");
        }
        let opened = florin_domain::ids::LedgerAccountId::pack(
            florin_domain::time::Timestamp::default(),
            ShardId(1),
            (
                florin_domain::ledger::AccountType::Asset,
                florin_domain::money::Currency::parse("USD").unwrap(),
                false,
            ),
            7,
        );
        for (query, shards) in [
            ("", &[0, 1, 2][..]),
            ("account=bank:USD", &[0, 1, 2]),
            ("account=bank:USD@1&seq[gte]=5", &[1]),
            ("shard=2&seq[gte]=5", &[2]),
            (&format!("account={opened}"), &[1]),
            (&format!("account={opened}&shard=2"), &[]),
        ] {
            let read = read_of(query, 3).unwrap();
            let found: Vec<u16> = (0..3).filter(|shard| read.is_of(ShardId(*shard))).collect();
            assert_eq!(found, shards, "{query}");
        }
    }
}

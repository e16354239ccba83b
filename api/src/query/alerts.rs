//! What a list of balance alerts asks for.

use super::{cursor, limit, pairs, value};
use crate::errors::{Code, Invalid};
use crate::v1::account_body::Named;
use actix_web::HttpRequest;
use florin_actors::account_shard::AlertPage;
use florin_domain::ids::ShardId;
use florin_domain::ledger::AlertId;

/// Reads `account`, `state`, `limit` and `starting_after`; also the shard whose part the account is, if one is named.
pub(crate) fn alerts(request: &HttpRequest) -> Result<(AlertPage, Option<ShardId>), Invalid> {
    let pairs = pairs(request, &["account", "state", "limit", "starting_after"])?;
    let account = value(&pairs, "account").map(|text| {
        let message = "`account` is the id of an account, as `/v1/ledger/accounts` shows it.";
        Named::parse(text).ok_or_else(|| Invalid::new("account", Code::ParameterInvalid, message))
    });
    let account = account.transpose()?;
    let is_raised = match value(&pairs, "state") {
        None => None,
        Some("raised") => Some(true),
        Some("armed") => Some(false),
        Some(_) => {
            let message = "`state` is `armed` or `raised`.";
            return Err(Invalid::new("state", Code::ParameterInvalid, message));
        }
    };
    let page = AlertPage {
        after: cursor(&pairs, "starting_after", AlertId::parse)?,
        limit: limit(&pairs)?,
        is_raised,
        account: account.map(|named| named.key),
    };
    Ok((page, account.and_then(|named| named.part)))
}

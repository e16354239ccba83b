//! What a list of block and allow entries asks for.

use super::{cursor, limit, pairs, value};
use crate::errors::{Code, Invalid};
use actix_web::HttpRequest;
use florin_actors::risk_lists_handle::ListQuery;
use florin_domain::ids::ListEntryId;
use florin_domain::risk::{ListKind, ListName, ListOwner};

/// Reads `list`, `kind`, `limit` and `starting_after`.
pub(crate) fn list_entries(request: &HttpRequest, owner: ListOwner) -> Result<ListQuery, Invalid> {
    let pairs = pairs(request, &["list", "kind", "limit", "starting_after"])?;
    Ok(ListQuery {
        owner,
        list: value(&pairs, "list").map(list_name).transpose()?,
        kind: value(&pairs, "kind").map(list_kind).transpose()?,
        starting_after: cursor(&pairs, "starting_after", |text| ListEntryId::parse(text).ok())?,
        limit: limit(&pairs)?,
    })
}

/// `list`, in a query or a body.
pub(crate) fn list_name(word: &str) -> Result<ListName, Invalid> {
    let refused = || Invalid::new("list", Code::ParameterInvalid, "`list` is `block` or `allow`.");
    ListName::parse(word).ok_or_else(refused)
}

/// `kind`, in a query or a body.
pub(crate) fn list_kind(word: &str) -> Result<ListKind, Invalid> {
    let refused = || {
        let words: Vec<String> = ListKind::ALL
            .iter()
            .map(|kind| format!("`{}`", kind.as_str()))
            .collect();
        let message = format!("`kind` is one of {}.", words.join(", "));
        Invalid::new("kind", Code::ParameterInvalid, message)
    };
    ListKind::parse(word).ok_or_else(refused)
}

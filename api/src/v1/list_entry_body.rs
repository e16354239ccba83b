//! An entry of a block or allow list as it is shown, and whose entries a caller deals with.

use super::list::Displayed;
use crate::auth::{Caller, Who};
use crate::errors::ApiError;
use crate::openapi::{flag, id, must, or_null, record, text, time, word};
use florin_domain::ids::{ApiKeyId, ListEntryId};
use florin_domain::risk::{ListEntry, ListKind, ListName, ListOwner, Target};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::openapi::schema::ObjectBuilder;

#[derive(Debug, Serialize)]
pub(super) struct ListEntryBody<'a> {
    object: &'static str,
    id: Displayed<ListEntryId>,
    scope: &'static str,
    livemode: Option<bool>,
    list: &'static str,
    kind: &'static str,
    value: Displayed<&'a Target>,
    reason: &'a str,
    expires_at: Option<u64>,
    created: u64,
    created_by: Displayed<ApiKeyId>,
}

impl<'a> ListEntryBody<'a> {
    pub(super) fn of(entry: &'a ListEntry) -> Self {
        let (scope, livemode) = match entry.owner {
            ListOwner::Platform => ("platform", None),
            ListOwner::Merchant(_, livemode) => ("merchant", Some(livemode)),
        };
        Self {
            object: "risk_list_entry",
            id: Displayed(entry.id),
            scope,
            livemode,
            list: entry.list.as_str(),
            kind: entry.target.kind().as_str(),
            value: Displayed(&entry.target),
            reason: &entry.reason,
            expires_at: entry.expires_at.map(florin_domain::time::Timestamp::unix_s),
            created: entry.id.drawn_at().unix_s(),
            created_by: Displayed(entry.by),
        }
    }
}

/// Whose entries these are: an operator deals with the platform's, a merchant with its own of the key's mode.
pub(super) fn owner(caller: &Caller) -> Result<ListOwner, ApiError> {
    Ok(match caller.who()? {
        Who::Operator => ListOwner::Platform,
        Who::Merchant(merchant, livemode) => ListOwner::Merchant(merchant.id, livemode),
    })
}

/// An entry for examples.
pub(super) const ENTRY_ID: &str = "rle_01m7y92a930001k836eeyy2z3r";

pub(super) fn example() -> Value {
    json!({
        "object": "risk_list_entry", "id": ENTRY_ID, "scope": "merchant", "livemode": false, "list": "block", "kind": "ip",
        "value": "192.0.2.0/24", "reason": "Card testing in November.", "expires_at": 1_798_761_600,
        "created": 1_795_238_734, "created_by": "key_01m7y92a930001k836eeyy2z3q",
    })
}

pub(super) fn list_word() -> ObjectBuilder {
    let words = [ListName::Block, ListName::Allow].map(ListName::as_str);
    word("What a match does.", words)
}

pub(super) fn kind_word() -> ObjectBuilder {
    word("What the entry is about.", ListKind::ALL.map(ListKind::as_str))
}

pub(super) fn shape() -> ObjectBuilder {
    record([
        must("object", word("What it is.", ["risk_list_entry"])),
        must("id", id("The entry.", "rle_")),
        must(
            "scope",
            word("Whose payments it is about.", ["platform", "merchant"]),
        ),
        must(
            "livemode",
            or_null(flag(
                "About live or test payments; null for both, as the platform's are.",
            )),
        ),
        must("list", list_word()),
        must("kind", kind_word()),
        must("value", text("Which one, in its usual form.")),
        must(
            "reason",
            text(
                "Why. The history of payments that match tells a merchant its own reasons, not the platform's.",
            ),
        ),
        must(
            "expires_at",
            or_null(time("From when on it does not count any more.")),
        ),
        must("created", time("When it was made.")),
        must("created_by", id("The key that said so last.", "key_")),
    ])
}

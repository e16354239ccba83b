//! What goes to Adyen and what it answers with, as far as it matters here; other fields are skipped.

use crate::providers::aside::Aside;
use florin_domain::decline::NetworkDecline;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// Text that borrows from the body unless it holds escapes.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Text<'_> {
    pub(super) fn is(&self, word: &str) -> bool {
        self.0 == word
    }
}

/// In Adyen's minor units.
#[derive(Debug, Serialize)]
pub(super) struct AmountOut {
    pub(super) currency: &'static str,
    pub(super) value: i64,
}

/// `POST /payments`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Charge<'a> {
    pub(super) merchant_account: &'a str,
    pub(super) reference: &'a str,
    pub(super) amount: AmountOut,
    pub(super) payment_method: Paid<'a>,
    pub(super) shopper_reference: &'a str,
    pub(super) shopper_interaction: &'static str,
    pub(super) recurring_processing_model: &'static str,
    pub(super) channel: &'static str,
    pub(super) return_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) capture_delay_hours: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) additional_data: Option<CaptureTerms>,
}

/// With what is paid.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Paid<'a> {
    Stored(StoredMethod<'a>),
    Card(TypedCard<'a>),
}

impl fmt::Debug for Paid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored(stored) => stored.fmt(f),
            Self::Card(_) => f.write_str("a card"),
        }
    }
}

/// A card with its number.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TypedCard<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) number: &'a str,
    pub(super) expiry_month: &'a str,
    pub(super) expiry_year: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cvc: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) holder_name: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredMethod<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) stored_payment_method_id: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CaptureTerms {
    pub(super) manual_capture: &'static str,
}

/// Captures, refunds, cancels and updates of amounts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Modification<'a> {
    pub(super) merchant_account: &'a str,
    pub(super) reference: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) amount: Option<AmountOut>,
    /// The charge, where Adyen's own name of it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payment_reference: Option<&'a str>,
}

/// `POST /payments/details`.
#[derive(Debug, Serialize)]
pub(super) struct Details<'a> {
    pub(super) details: BroughtBack<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BroughtBack<'a> {
    pub(super) redirect_result: &'a str,
}

/// The answer to a charge, or to its details.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Charged<'a> {
    #[serde(borrow)]
    pub(super) result_code: Text<'a>,
    pub(super) psp_reference: Option<Text<'a>>,
    pub(super) merchant_reference: Option<Text<'a>>,
    pub(super) refusal_reason: Option<Text<'a>>,
    pub(super) refusal_reason_code: Option<Text<'a>>,
    pub(super) amount: Option<AmountIn<'a>>,
    pub(super) action: Option<Action<'a>>,
}

fn code<'a>(word: Option<&'a Aside<Text<'_>>>) -> Option<&'a str> {
    let word = word.and_then(Aside::told)?;
    Some(word.split_once(" : ").map_or(word, |(code, _)| code))
}

/// What the card's network said of a refusal. Both are told only to accounts that have asked Adyen for them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw<'a> {
    #[serde(borrow)]
    refusal_reason_raw: Option<Aside<Text<'a>>>,
    #[serde(borrow)]
    merchant_advice_code: Option<Aside<Text<'a>>>,
}

/// What is told besides an answer or a notification. Read apart from it: whatever cannot be read here spoils neither.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Besides<'a> {
    #[serde(borrow)]
    additional_data: Option<Raw<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AllBesides<'a> {
    #[serde(borrow)]
    notification_items: Vec<ItemBesides<'a>>,
}

#[derive(Debug, Deserialize)]
struct ItemBesides<'a> {
    #[serde(rename = "NotificationRequestItem", borrow)]
    item: Besides<'a>,
}

impl Besides<'_> {
    fn network(&self) -> NetworkDecline {
        let raw = self.additional_data.as_ref();
        raw.map(Raw::network).unwrap_or_default()
    }
}

/// What the card's network said, in an answer to a charge.
pub(super) fn network(answer: &[u8]) -> NetworkDecline {
    let besides = serde_json::from_slice::<Besides<'_>>(answer);
    besides.map(|besides| besides.network()).unwrap_or_default()
}

/// The same in each of a body's notifications; fewer if they cannot be read.
pub(super) fn networks(body: &[u8]) -> Vec<NetworkDecline> {
    let all = serde_json::from_slice::<AllBesides<'_>>(body);
    let items = all.map(|all| all.notification_items).unwrap_or_default();
    items.iter().map(|item| item.item.network()).collect()
}

impl Raw<'_> {
    /// The codes alone: Adyen says `51 : Insufficient funds`.
    fn network(&self) -> NetworkDecline {
        NetworkDecline::of(
            code(self.refusal_reason_raw.as_ref()),
            code(self.merchant_advice_code.as_ref()),
        )
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct AmountIn<'a> {
    #[serde(borrow)]
    pub(super) currency: Text<'a>,
    pub(super) value: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Action<'a> {
    #[serde(borrow)]
    pub(super) url: Option<Text<'a>>,
}

/// The answer to a modification.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Acknowledged<'a> {
    #[serde(borrow)]
    pub(super) status: Text<'a>,
    pub(super) psp_reference: Text<'a>,
    pub(super) reference: Option<Text<'a>>,
}

/// Every refusal.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiError<'a> {
    #[serde(borrow)]
    pub(super) error_code: Option<Text<'a>>,
    pub(super) message: Option<Text<'a>>,
    pub(super) error_type: Option<Text<'a>>,
}

/// A body of notifications.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Notifications<'a> {
    #[serde(borrow)]
    pub(super) notification_items: Vec<Item<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Item<'a> {
    #[serde(rename = "NotificationRequestItem", borrow)]
    pub(super) item: Notification<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Notification<'a> {
    #[serde(borrow)]
    pub(super) event_code: Text<'a>,
    pub(super) success: Text<'a>,
    pub(super) psp_reference: Text<'a>,
    pub(super) original_reference: Option<Text<'a>>,
    pub(super) merchant_account_code: Text<'a>,
    pub(super) merchant_reference: Text<'a>,
    pub(super) amount: AmountIn<'a>,
    pub(super) reason: Option<Text<'a>>,
    pub(super) additional_data: Option<Signed<'a>>,
    /// Of [`networks`].
    #[serde(skip)]
    pub(super) network: NetworkDecline,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Signed<'a> {
    #[serde(borrow)]
    pub(super) hmac_signature: Option<Text<'a>>,
}

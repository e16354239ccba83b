//! `POST /v1/payments/{id}/confirm`: with another payment method after a decline, or without one to find out how the customer's
//! challenge ended.

use super::change::{Checked, REFUSED, begin};
use super::{answer, payment_request};
use crate::errors::{ApiError, Code, Invalid};
use crate::json::{self, Text};
use crate::openapi::{
    Access, Endpoint, PAYMENT_ID, bounded_text, chapter, id, may, named, payment_example,
    payment_example_with, strict,
};
use crate::reply::Reply;
use crate::state::State;
use crate::vault::{Saved, saved};
use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use florin_actors::payments_handle::Change;
use florin_domain::method::PaymentMethod;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfirmRequest<'a> {
    #[serde(borrow, default)]
    payment_method_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    redirect_result: Option<Text<'a>>,
}

/// Longer is nothing that a provider gives a browser along.
const REDIRECT_RESULT_BYTES_MAX: usize = 4096;

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let confirm = async {
        let begun = begin(&state, &request, payload).await?;
        let body: ConfirmRequest<'_> = json::read(&begun.bytes)?;
        let card = match &body.payment_method_id {
            Some(id) => saved(&state, begun.owner, id.as_str()).await,
            None => Saved::Other,
        };
        let method = body.payment_method_id.as_ref();
        let method = method.and_then(|id| card.method(id.as_str()));
        let mut checked = check(body, begun.owner.livemode, method)?;
        let gone = card.gone();
        if gone.is_some() {
            checked.change = Change::MethodGone;
        }
        match (begun.make(&state, "confirm", checked).await, gone) {
            // Nothing else was known under the key.
            (Err(ApiError::MethodGone), Some(why)) => Err(why),
            (answered, _) => answered,
        }
    };
    let answered = confirm.await;
    Reply(answered.and_then(|answered| answer::payment(&answered, &request)))
}

/// What a body means, for which no saved card was looked up.
#[cfg(test)]
pub(super) fn check_alone(bytes: &[u8], livemode: bool) -> Result<Checked, Invalid> {
    check(json::read(bytes)?, livemode, None)
}

fn check(body: ConfirmRequest<'_>, livemode: bool, saved: Option<PaymentMethod>) -> Result<Checked, Invalid> {
    let Some(id) = body.payment_method_id else {
        let details = body.redirect_result.map(|text| brought_back(text.as_str()));
        let details = details.transpose()?;
        return Ok(Checked {
            canonical: details
                .as_ref()
                .map_or_else(|| "1".to_owned(), |details| format!("1 details {details}")),
            change: Change::Complete { details },
        });
    };
    if body.redirect_result.is_some() {
        let message = "A `redirect_result` is about the challenge that is open, not about another method.";
        return Err(Invalid::new("redirect_result", Code::ParameterInvalid, message));
    }
    let method = payment_request::method(id.as_str(), livemode, saved)?;
    Ok(Checked {
        canonical: format!("1 {}", method.id),
        change: Change::Confirm(Some(method)),
    })
}

fn brought_back(text: &str) -> Result<Arc<str>, Invalid> {
    let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || text.len() > REDIRECT_RESULT_BYTES_MAX || !is_visible {
        let message =
            format!("`redirect_result` is 1 to {REDIRECT_RESULT_BYTES_MAX} visible ASCII characters.");
        return Err(Invalid::new("redirect_result", Code::ParameterInvalid, message));
    }
    Ok(Arc::from(text))
}

pub(crate) fn described() -> Endpoint {
    let method = bounded_text(
        "The method to try now; without one, the provider is asked how the challenge ended.",
        (1, 255),
    );
    let brought = bounded_text(
        "What the provider gave the customer's browser along on its way back (Adyen's `redirectResult`). Not together with a method.",
        (1, REDIRECT_RESULT_BYTES_MAX),
    )
    .pattern(Some("^[!-~]*$"));
    let shape = strict([may("payment_method_id", method), may("redirect_result", brought)]);
    let processing = json!({"status": "processing", "amount_captured": 0, "fee": 0, "net": 0});
    Endpoint::post("/v1/payments/{id}/confirm", Access::Merchants)
        .called(
            "confirmPayment",
            "Go on with a payment",
            "With another payment method after a decline that is not final, or without one when the customer is back from a challenge.",
        )
        .in_chapter(chapter::PAYMENTS)
        .path_part("id", id("The payment.", "pay_"), PAYMENT_ID)
        .may_take(
            shape,
            &[
                ("The customer is back", json!({})),
                (
                    "The customer is back, and brings something",
                    json!({"redirect_result": "X6XtfGC3!Y"}),
                ),
                ("Another method", json!({"payment_method_id": "pm_card_mastercard"})),
            ],
        )
        .answers(200, "The payment.", named("Payment"), payment_example())
        .answers(
            202,
            "The customer or the provider has not finished; `Location` is where the payment will tell.",
            named("Payment"),
            payment_example_with(&processing),
        )
        .refuses(400, &[Code::ResourceMissing, Code::PaymentMethodUnexpectedState])
        .refuses(403, &[Code::MerchantFrozen])
        .refuses(402, &[Code::CardDeclined, Code::OperationDeclined])
        .refuses(404, &[Code::ResourceMissing])
        .refuses(409, &REFUSED)
        .refuses(503, &[Code::NoProviderAvailable])
}

//! `POST /v1/payments`.

use super::answer;
use super::payment_request::{Checked, NAME_BYTES_MAX, PaymentRequest};
use super::routing_wishes::{self, check_known};
use crate::auth::Caller;
use crate::body::read_json;
use crate::errors::{ApiError, Code};
use crate::openapi::{
    Access, Endpoint, amount, bounded_text, chapter, flag, may, metadata, must, named, payment_example,
    payment_example_with, strict, text, word,
};
use crate::reply::Reply;
use crate::state::State;
use crate::vault::saved;
use crate::{idempotency_key, json as strict, query};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payment::Start;
use florin_actors::payments_handle::NewPayment;
use florin_domain::limits::TEXT_BYTES_MAX;
use florin_domain::payment::DeclinePolicy;
use florin_domain::vault::Owner;
use serde_json::json;

const PATH: &str = "/v1/payments";

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(create(&state, &request, payload).await)
}

async fn create(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let (merchant, livemode) = caller.merchant()?;
    caller.may_take_money()?;
    query::none(request)?;
    let key = idempotency_key::read(request.headers())?;
    let bytes = read_json(state, request, payload).await?;
    let asked = strict::read::<PaymentRequest<'_>>(&bytes)?;
    let owner = Owner {
        merchant: merchant.id,
        livemode,
    };
    let card = saved(state, owner, asked.method_id()).await;
    let checked = asked.check(livemode, card.method(asked.method_id()))?;
    let gone = card.gone();
    check_known(&checked.routing, "routing", |name| {
        state.directory.provider(name.as_str()).is_some()
    })?;
    let key_digest = (state.digests.key)(merchant.id, livemode, key.as_str());
    let fingerprint = (state.digests.fingerprint)("POST", PATH, &checked.canonical());
    let Checked {
        amount,
        currency,
        method,
        capture_method,
        customer,
        description,
        metadata,
        return_url,
        device,
        routing,
        off_session,
    } = checked;
    let new = NewPayment {
        id: None,
        merchant: merchant.id,
        livemode,
        fee: state.directory.fees().due(merchant),
        key,
        key_digest,
        fingerprint,
        amount,
        currency,
        start: if gone.is_some() {
            Start::MethodGone
        } else {
            Start::Charge(method)
        },
        after_decline: DeclinePolicy::Fail,
        capture_method,
        customer,
        description,
        metadata,
        return_url,
        device,
        routing,
        off_session,
    };
    match (state.payments.create(new).await.map_err(ApiError::from), gone) {
        (Err(ApiError::MethodGone), Some(why)) => Err(why),
        (answered, _) => answer::payment(&answered?, request),
    }
}

/// How a payment is asked for.
fn shape() -> utoipa::openapi::schema::ObjectBuilder {
    let device = strict([
        may(
            "fingerprint",
            bounded_text("The device's name.", (1, NAME_BYTES_MAX)),
        ),
        may(
            "ip",
            bounded_text("An IPv4 or IPv6 address.", (1, NAME_BYTES_MAX)),
        ),
        may(
            "country",
            text("A two-letter ISO 3166 code.").pattern(Some("^[A-Za-z]{2}$")),
        ),
    ])
    .description(Some("What the customer pays with, for risk."));
    strict([
        must("amount", amount("How much.")),
        must("currency", named("Currency")),
        must(
            "payment_method_id",
            bounded_text(
                "How it is paid: a saved card. Test mode knows `pm_card_visa` and others by name, too.",
                (1, NAME_BYTES_MAX),
            ),
        ),
        may(
            "capture_method",
            word("When it is captured.", ["automatic", "manual"]).default(Some("automatic".into())),
        ),
        may(
            "customer_id",
            bounded_text(
                "Your name for the customer. Payments of one customer are counted together.",
                (1, NAME_BYTES_MAX),
            ),
        ),
        may("description", bounded_text("Your words.", (0, TEXT_BYTES_MAX))),
        may("metadata", metadata()),
        may(
            "return_url",
            bounded_text(
                "An absolute http or https URL that the customer comes back to.",
                (8, TEXT_BYTES_MAX),
            )
            .pattern(Some(
                r"^https?://[^/\s\u0000-\u001F\u007F-\u009F][^\s\u0000-\u001F\u007F-\u009F]*$",
            )),
        ),
        may("device", device),
        may("routing", routing_wishes::shape()),
        may(
            "off_session",
            flag(
                "The customer is not there: a card that needs authentication is declined (`authentication_required`) instead of challenged. \
                 Whoever confirms the payment afterwards has the customer at hand again.",
            )
            .default(Some(false.into())),
        ),
    ])
}

pub(crate) fn described() -> Endpoint {
    let sale = json!({"amount": 10_000, "currency": "USD", "payment_method_id": "pm_card_visa"});
    let authorization = json!({
        "amount": 4_999, "currency": "EUR", "payment_method_id": "pm_card_mastercard", "capture_method": "manual",
        "customer_id": "cus_42", "description": "Order 1001", "metadata": {"order_id": "1001"},
        "return_url": "https://shop.example/back", "device": {"fingerprint": "d-1", "ip": "192.0.2.7", "country": "US"},
    });
    let processing = json!({
        "status": "processing", "amount_captured": 0, "fee": 0, "net": 0, "processor_transaction_id": null,
    });
    Endpoint::post(PATH, Access::Merchants)
        .called(
            "createPayment",
            "Take a payment",
            "Charges the payment method once for its key, or holds the amount for a later capture. Under review, or while the customer \
             must act, it is 200 with that status. Send no other `Idempotency-Key` when the answer is lost: the same one finds the payment.",
        )
        .in_chapter(chapter::PAYMENTS)
        .takes(shape(), &[("A sale", sale), ("An authorization", authorization)])
        .answers(200, "The payment.", named("Payment"), payment_example())
        .answers(
            202,
            "The provider has not said yet; `Location` is where the payment will tell.",
            named("Payment"),
            payment_example_with(&processing),
        )
        .refuses(
            400,
            &[
                Code::AmountTooLarge,
                Code::AmountTooSmall,
                Code::ParameterInvalidInteger,
                Code::ResourceMissing,
                Code::CardNumberMisplaced,
                Code::PaymentMethodUnexpectedState,
            ],
        )
        .refuses(403, &[Code::MerchantFrozen])
        .refuses(402, &[Code::CardDeclined])
        .refuses(409, &[Code::TooManyAttempts])
        .refuses(503, &[Code::NoProviderAvailable])
        .leads_to(&["getPayment", "getPaymentHistory", "capturePayment", "voidPayment", "confirmPayment", "createRefund"])
}

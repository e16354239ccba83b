//! `POST /v1/providers/{id}/notices`: what a provider says by itself. Its signature is its key: nothing else is asked for.

use crate::body;
use crate::errors::{ApiError, Code, Invalid};
use crate::openapi::{Access, Endpoint, array, chapter, flag, may, must, record, text};
use crate::query;
use crate::reply::Reply;
use crate::state::State;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::provider::{Letter, NoticeRefusal, Outcome, ProviderId, Said};
use serde_json::json;

/// What Adyen wants to read.
const ACCEPTED: &str = "[accepted]";

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(take(&state, &request, payload).await)
}

async fn take(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    query::none(request)?;
    let missing = || ApiError::NoSuchObject { kind: "provider" };
    let name = request.match_info().get("id").unwrap_or_default();
    let provider = ProviderId::parse(name).map_err(|_| missing())?;
    let bytes = body::read_json(state, request, payload).await?;
    // What is no text is no signature.
    let seal = state.notices.seal(provider);
    let seal = seal.and_then(|header| request.headers().get(header));
    let letter = Letter {
        body: &bytes,
        seal: seal.map(|seal| seal.to_str().unwrap_or_default()),
    };
    let notices = state
        .notices
        .read(provider, letter)
        .map_err(|refusal| refused(state, request, refusal))?;
    for notice in notices {
        let (payment, operation) = (notice.payment, notice.operation);
        let moved = match &notice.said {
            Said::Became(outcome) => matches!(outcome, Outcome::Succeeded { .. }),
            Said::TakenBack { .. } | Said::Reserved { .. } => true,
            // What was let go never moved.
            Said::NotClosed | Said::Released { .. } | Said::Changed => false,
        };
        match state.payments.notice(notice).await {
            Ok(true) => {}
            // Sending it again would not help; whoever lost the end of a journal must hear of it.
            Ok(false) if moved => {
                metrics::counter!("florin_alerts_total", "alert" => "notice_orphaned").increment(1);
                tracing::error!(%provider, %payment, %operation, "money moved for an operation that is not here");
            }
            Ok(false) => {
                tracing::warn!(%provider, %payment, %operation, "a notice is about an operation that is not here");
            }
            // Not acknowledged, so it comes again.
            Err(error) => {
                tracing::warn!(%provider, %payment, %operation, %error, "a notice could not be taken");
                return Err(ApiError::Overloaded { retry_after_s: 1 });
            }
        }
    }
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"));
    Ok(response.body(ACCEPTED))
}

/// Everybody who is not believed counts as a stranger: a signature costs work to check.
fn refused(state: &State, request: &HttpRequest, refusal: NoticeRefusal) -> ApiError {
    let stranger = || {
        let peer = request.peer_addr().map(|peer| peer.ip());
        state.rate_limits.refuse_stranger(peer)
    };
    let invalid = |param: &str, why: &str| {
        let message = format!("`{param}` {why}.");
        Invalid::new(param, Code::ParameterInvalid, message).into()
    };
    match refusal {
        NoticeRefusal::NoSuchProvider => ApiError::NoSuchObject { kind: "provider" },
        NoticeRefusal::Unsigned => stranger(),
        NoticeRefusal::Seal { header, why } => match stranger() {
            ApiError::Unauthenticated => invalid(header, why),
            too_many => too_many,
        },
        NoticeRefusal::Malformed { field, why } => invalid(field, why),
    }
}

pub(crate) fn described() -> Endpoint {
    let item = record([must(
        "NotificationRequestItem",
        record([]).description(Some(
            "Adyen's notification, signed in `additionalData.hmacSignature`.",
        )),
    )]);
    let object = record([]).description(Some("The object, as it stood when it happened."));
    let shape = record([
        may(
            "notificationItems",
            array(item, "Adyen: what happened, each item signed by itself."),
        ),
        may("type", text("Stripe: what happened.")),
        may("livemode", flag("Stripe: whether it is about real money.")),
        may(
            "data",
            record([must("object", object)]).description(Some("Stripe: what it is about.")),
        ),
    ]);
    let event = json!({"id": "evt_1NG8Du2eZvKYlo2CUI79vXWy", "object": "event", "created": 1_795_261_600, "livemode": false,
    "type": "payment_intent.succeeded", "data": {"object": {
        "id": "pi_3MtwBwLkdIwHu7ix28a3tqPa", "object": "payment_intent", "status": "succeeded", "currency": "usd", "amount": 4_000,
        "amount_received": 4_000, "capture_method": "automatic", "latest_charge": "ch_3MtwBwLkdIwHu7ix28a3tqPb",
        "metadata": {"payment_id": "pay_01m7y92a930001k836eeyy2z3p", "operation_id": "pay_01m7y92a930001k836eeyy2z3p"},
    }}});
    let example = json!({"live": "false", "notificationItems": [{"NotificationRequestItem": {
        "additionalData": {"hmacSignature": "VLdUuGvEyWGoFeMXa6qZMSEU7dcQB6sN4tPDhTzmUGU="},
        "amount": {"currency": "USD", "value": 4_000}, "eventCode": "CAPTURE", "eventDate": "2026-11-21T10:00:00+00:00",
        "merchantAccountCode": "ShopNL",
        "merchantReference": "pay_01m7y92a930001k836eeyy2z3p.cap_01m7y92a930001k836eeyy2z3q",
        "originalReference": "QFQTPCQ8HXSKGK82", "pspReference": "NC6HT9CRT65ZGN82", "reason": "", "success": "true",
    }}]});
    Endpoint::order("/v1/providers/{id}/notices", Access::Everybody)
        .called(
            "takeNotices",
            "Take what a provider says by itself",
            "The address of a provider's webhooks. It takes no key: what is not signed with the provider's is refused. Answered once what \
             was said is durable, so a provider that gets no 200 sends it again, which changes nothing that was taken before.",
        )
        .in_chapter(chapter::OPERATIONS)
        .path_part(
            "id",
            text("The provider's name.").pattern(Some("^[a-z0-9_]{1,16}$")),
            "adyen",
        )
        .may_have_header(
            "Stripe-Signature",
            text("Stripe's signature of the body as it was sent: the time, and an HMAC with a secret of the webhook endpoint."),
            "t=1795261600,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd",
        )
        .takes(shape, &[("A capture at Adyen", example), ("A sale at Stripe", event)])
        .answers_as(
            "text/plain",
            200,
            "Taken.",
            text("What Adyen wants to read."),
            json!(ACCEPTED),
        )
        .refuses(400, &[Code::QueryInvalid, Code::ParameterInvalid])
        .refuses(401, &[Code::ApiKeyInvalid])
        .refuses(404, &[Code::ResourceMissing])
        .refuses(429, &[Code::RateLimited])
        .refuses(500, &[Code::InternalError])
}

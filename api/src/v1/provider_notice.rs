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
use florin_domain::provider::{Compared, Letter, Notice, NoticeRefusal, ProviderId};
use serde_json::json;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::task::Poll;

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
    let compared = compared(state, request, (provider, letter)).await?;
    let notices = state
        .notices
        .read(provider, letter, compared)
        .map_err(|refusal| refused(state, request, refusal))?;
    take_each(state, notices).await?;
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"));
    Ok(response.body(ACCEPTED))
}

/// With whose secrets a letter is compared. Comparing it with everybody's costs more the more merchants have their own, so that is not done
/// for strangers who have failed too often; whoever names a payment needs no more than that of its merchant.
async fn compared(
    state: &State,
    request: &HttpRequest,
    (provider, letter): (ProviderId, Letter<'_>),
) -> Result<Compared, ApiError> {
    if let Some(payment) = state.notices.names(provider, letter) {
        let merchant = state.payments.merchant_of(payment).await;
        let merchant = merchant.map_err(|error| {
            tracing::warn!(%provider, %payment, %error, "the payment of a notice could not be looked for");
            ApiError::Overloaded { retry_after_s: 1 }
        })?;
        if let Some(merchant) = merchant {
            return Ok(Compared::Only(merchant));
        }
    }
    Ok(if state.rate_limits.has_failed_too_often(peer(request)) {
        Compared::PlatformsOnly
    } else {
        Compared::Everybodys
    })
}

/// Each is taken for itself: what cannot be taken now keeps nothing else from being taken, nor does what takes long. All of it comes again,
/// which changes nothing more.
async fn take_each(state: &State, notices: Vec<Notice>) -> Result<(), ApiError> {
    let taking = notices
        .into_iter()
        .map(|notice| Some(Box::pin(one(state, notice))));
    let mut taking: Vec<_> = taking.collect();
    let mut whole = Ok(());
    poll_fn(|context| {
        for slot in &mut taking {
            if let Some(one) = slot
                && let Poll::Ready(taken) = one.as_mut().poll(context)
            {
                *slot = None;
                if whole.is_ok() {
                    whole = taken;
                }
            }
        }
        if taking.iter().all(Option::is_none) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    whole
}

async fn one(state: &State, notice: Notice) -> Result<(), ApiError> {
    let (provider, payment, operation) = (notice.provider, notice.payment, notice.operation);
    // What is about nothing here is told of there: sending it again would not help.
    let taken = state.payments.notice(notice).await;
    // Not acknowledged, so it comes again.
    taken.map(drop).map_err(|error| {
        tracing::warn!(%provider, %payment, %operation, %error, "a notice could not be taken");
        ApiError::Overloaded { retry_after_s: 1 }
    })
}

fn peer(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|peer| peer.ip())
}

/// Everybody who is not believed counts as a stranger: a signature costs work to check.
fn refused(state: &State, request: &HttpRequest, refusal: NoticeRefusal) -> ApiError {
    let stranger = || state.rate_limits.refuse_stranger(peer(request));
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

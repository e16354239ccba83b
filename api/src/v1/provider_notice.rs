//! `POST /v1/providers/{id}/notices`: what a provider says by itself. Its signature is its key: nothing else is asked for.

use crate::body;
use crate::errors::{ApiError, Code, Invalid};
use crate::openapi::{Access, Endpoint, array, chapter, must, record, text};
use crate::query;
use crate::reply::Reply;
use crate::state::State;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::provider::{NoticeRefusal, Outcome, ProviderId, Said};
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
    let notices = state
        .notices
        .read(provider, &bytes)
        .map_err(|refusal| match refusal {
            NoticeRefusal::NoSuchProvider => missing(),
            NoticeRefusal::Unsigned => state
                .rate_limits
                .refuse_stranger(request.peer_addr().map(|peer| peer.ip())),
            NoticeRefusal::Malformed => {
                let message = "The body is no list of notification items.";
                Invalid::new("notificationItems", Code::ParameterInvalid, message).into()
            }
        })?;
    for notice in notices {
        let (payment, operation) = (notice.payment, notice.operation);
        let moved = match &notice.said {
            Said::Became(outcome) => matches!(outcome, Outcome::Succeeded { .. }),
            Said::TakenBack { .. } => true,
            Said::NotClosed => false,
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

pub(crate) fn described() -> Endpoint {
    let item = record([must(
        "NotificationRequestItem",
        record([]).description(Some(
            "Adyen's notification, signed in `additionalData.hmacSignature`.",
        )),
    )]);
    let shape = record([must(
        "notificationItems",
        array(item, "What happened, each item signed by itself."),
    )]);
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
        .takes(shape, &[("A capture", example)])
        .answers_as(
            "text/plain",
            200,
            "Taken.",
            text("What Adyen wants to read."),
            json!(ACCEPTED),
        )
        .refuses(400, &[Code::QueryInvalid])
        .refuses(401, &[Code::ApiKeyInvalid])
        .refuses(404, &[Code::ResourceMissing])
        .refuses(429, &[Code::RateLimited])
        .refuses(500, &[Code::InternalError])
}

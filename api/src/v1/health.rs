//! `GET /healthz`: the process answers. `GET /readyz`: it also takes payments.

use crate::openapi::{Access, Endpoint, chapter, named};
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::web::Data;
use serde::Serialize;
use serde_json::json;

#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

pub(crate) async fn live() -> Reply {
    Reply(json(
        StatusCode::OK,
        &Health {
            status: "ok",
            reason: None,
        },
    ))
}

pub(crate) async fn ready(state: Data<State>) -> Reply {
    let not_ours = (!state.ownership.is_ours()).then_some("not_owner");
    let Some(reason) = not_ours.or_else(|| state.ops.not_ready()) else {
        return Reply(json(
            StatusCode::OK,
            &Health {
                status: "ready",
                reason: None,
            },
        ));
    };
    let answer = json(
        StatusCode::SERVICE_UNAVAILABLE,
        &Health {
            status: "not_ready",
            reason: Some(reason),
        },
    );
    Reply(answer.map(|mut response| {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("1"));
        response
    }))
}

pub(crate) fn described_live() -> Endpoint {
    Endpoint::get("/healthz", Access::Everybody)
        .called(
            "getHealth",
            "Ask whether the process answers",
            "For a supervisor of processes.",
        )
        .in_chapter(chapter::OPERATIONS)
        .answers(200, "It does.", named("Health"), json!({"status": "ok"}))
}

pub(crate) fn described_ready() -> Endpoint {
    let not_ready = json!({"status": "not_ready", "reason": "draining"});
    Endpoint::get("/readyz", Access::Everybody)
        .called(
            "getReadiness",
            "Ask whether payments are taken",
            "For a load balancer.",
        )
        .in_chapter(chapter::OPERATIONS)
        .answers(200, "They are.", named("Health"), json!({"status": "ready"}))
        .answers(503, "Not now.", named("Health"), not_ready)
}

//! `GET /healthz`: the process answers. `GET /readyz`: it also takes payments.

use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::web::Data;
use serde::Serialize;

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
    let Some(reason) = state.ops.not_ready() else {
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

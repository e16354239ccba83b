//! Refusals and their envelope fields. `render` writes the JSON.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::methods::Failure;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    #[serde(rename = "type")]
    pub(crate) kind: ErrorKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<Cow<'static, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) decline_code: Option<Cow<'static, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) param: Option<Cow<'static, str>>,
    pub(crate) message: Cow<'static, str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ErrorKind {
    #[serde(rename = "api_error")]
    Api,
    #[serde(rename = "card_error")]
    Card,
    #[serde(rename = "idempotency_error")]
    Idempotency,
    #[serde(rename = "invalid_request_error")]
    InvalidRequest,
}

impl ErrorKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Api => "api_error",
            Self::Card => "card_error",
            Self::Idempotency => "idempotency_error",
            Self::InvalidRequest => "invalid_request_error",
        }
    }
}

impl ApiError {
    fn new(status: u16, kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            kind,
            code: None,
            decline_code: None,
            param: None,
            message: message.into(),
        }
    }

    fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(Cow::Borrowed(code));
        self
    }

    fn with_param(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.param = Some(param.into());
        self
    }

    pub(crate) fn invalid(
        code: &'static str,
        param: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(400, ErrorKind::InvalidRequest, message)
            .with_code(code)
            .with_param(param)
    }

    pub(crate) fn missing(param: &'static str) -> Self {
        Self::invalid(
            "parameter_missing",
            param,
            format!("Missing required param: {param}."),
        )
    }

    pub(crate) fn state(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, ErrorKind::InvalidRequest, message).with_code(code)
    }

    /// `in_path` tells an object named by the URL (404) from one named by a parameter (400).
    pub(crate) fn no_such(object: &str, id: &str, param: &'static str, in_path: bool) -> Self {
        let status = if in_path { 404 } else { 400 };
        Self::new(
            status,
            ErrorKind::InvalidRequest,
            format!("No such {object}: '{id}'"),
        )
        .with_code("resource_missing")
        .with_param(param)
    }

    pub(crate) fn unknown_url(method: &str, path: &str) -> Self {
        let message = format!("Unrecognized request URL ({method}: {path}).");
        Self::new(404, ErrorKind::InvalidRequest, message)
    }

    pub(crate) fn unauthorized() -> Self {
        let message =
            "Invalid API key: expected a test key (sk_test_...) as bearer token or as basic user name.";
        Self::new(401, ErrorKind::InvalidRequest, message)
    }

    pub(crate) fn body_too_large(bytes_max: usize) -> Self {
        let message = format!("The request body is larger than {bytes_max} bytes.");
        Self::new(413, ErrorKind::InvalidRequest, message)
    }

    pub(crate) fn declined(failure: Failure) -> Self {
        let mut error = Self::new(402, ErrorKind::Card, failure.message()).with_code(failure.code());
        error.decline_code = Some(Cow::Borrowed(failure.decline_code()));
        error
    }

    pub(crate) fn key_reused(key: &str) -> Self {
        let message = format!(
            "Keys for idempotent requests can only be used with the same endpoint and parameters they were first used \
             with. The key '{key}' was first used for another request."
        );
        Self::new(400, ErrorKind::Idempotency, message)
    }

    pub(crate) fn key_in_use(key: &str) -> Self {
        let message = format!("Another request with the idempotent key '{key}' is still in progress.");
        Self::new(409, ErrorKind::Idempotency, message).with_code("idempotency_key_in_use")
    }

    pub(crate) fn rate_limited() -> Self {
        Self::new(
            429,
            ErrorKind::InvalidRequest,
            "Too many requests: a sandbox fault limits the rate.",
        )
        .with_code("rate_limit")
    }

    pub(crate) fn internal() -> Self {
        Self::new(500, ErrorKind::Api, "An unknown error occurred: a sandbox fault.")
    }

    pub(crate) fn unavailable() -> Self {
        Self::new(
            503,
            ErrorKind::Api,
            "The sandbox is stopping or its witness can no longer be written.",
        )
    }
}

//! The routes, and how an answer becomes HTTP.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::sync::{mpsc, oneshot, watch};

use super::body::AnswerBody;
use super::challenge::{self, Visit};
use super::refusal::{Asked, Refusal};
use super::stopped;
use crate::adyen;
use crate::charges;
use crate::owner::{Command, FaultReply};
use crate::stripe::{self, ApiError, Delivery, Digest, Idempotency, Parsed, RawRequest};
use crate::world::{Answered, Reply};

const BODY_BYTES_MAX: usize = 256 * 1024;
const KEY_BYTES_MAX: usize = 255;
/// Pieces of `/charges` that wait for a slow reader.
const PIECES_MAX: usize = 4;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const PSP_REFERENCE: HeaderName = HeaderName::from_static("pspreference");
const TRANSIENT_ERROR: HeaderName = HeaderName::from_static("transient-error");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const ORIGINAL_REQUEST: HeaderName = HeaderName::from_static("original-request");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("stripe-should-retry");
const RATE_LIMITED_REASON: HeaderName = HeaderName::from_static("stripe-rate-limited-reason");

#[derive(Debug)]
pub(crate) struct Routes {
    owner: mpsc::Sender<Command>,
    refusals: mpsc::Sender<Refusal>,
    salt: u32,
    silence: Duration,
    stop: watch::Receiver<bool>,
    /// Numbers the requests that executed nothing; the others are named after their line.
    requests: AtomicU64,
}

/// The connection closes without an answer.
#[derive(Debug)]
pub(crate) struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed without an answer")
    }
}

impl std::error::Error for Closed {}

type Answer = Result<Response<AnswerBody>, Closed>;

impl Routes {
    pub(crate) fn new(
        (owner, refusals): (mpsc::Sender<Command>, mpsc::Sender<Refusal>),
        salt: u32,
        silence_ms: u64,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            owner,
            refusals,
            salt,
            silence: Duration::from_millis(silence_ms),
            stop,
            requests: AtomicU64::new(0),
        }
    }

    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path();
        if path.starts_with("/v1/") {
            return self.stripe(request).await;
        }
        if let Some(path) = path.strip_prefix("/adyen/v72/") {
            let path = path.to_owned();
            return self.adyen(&path, request).await;
        }
        if let Some(Visit { intent, passed }) = Visit::parse(request.method(), path) {
            let intent = intent.to_owned();
            // The buttons send nothing.
            if read_body(request.into_body()).await?.is_none() {
                return Ok(self.refuse(&ApiError::body_too_large(BODY_BYTES_MAX)));
            }
            let challenged = self
                .ask(|reply| Command::Challenge {
                    intent,
                    passed,
                    reply,
                })
                .await?;
            return Ok(challenge::answer(challenged));
        }
        match (request.method(), path) {
            (&Method::GET, "/charges") => self.charges().await,
            (&Method::GET, "/healthz") => Ok(match self.ask(|reply| Command::Ping { reply }).await {
                Ok(()) => json(StatusCode::OK, r#"{"status":"ok"}"#),
                Err(Closed) => self.refuse(&ApiError::unavailable()),
            }),
            (&Method::GET, "/faults") => self
                .ask(|reply| Command::ListFaults { reply })
                .await
                .map(fault_response),
            (&Method::DELETE, "/faults") => self
                .ask(|reply| Command::ClearFaults { reply })
                .await
                .map(fault_response),
            (&Method::POST, "/faults") => match read_body(request.into_body()).await? {
                Some(body) => self
                    .ask(|reply| Command::AddFault { body, reply })
                    .await
                    .map(fault_response),
                None => Ok(self.refuse(&ApiError::body_too_large(BODY_BYTES_MAX))),
            },
            (&Method::PUT, "/adyen/webhook") => self.subscribe(request).await,
            (&Method::PUT, "/stripe/webhook") => self.tell_stripe(request).await,
            (&Method::PUT, "/refusal") => self.refuse_connections(request).await,
            (method, path) => Ok(self.refuse(&ApiError::unknown_url(method.as_str(), path))),
        }
    }

    /// Closes the connection when the owner is gone.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Closed> {
        let (reply, answer) = oneshot::channel();
        self.owner.send(command(reply)).await.map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }

    async fn charges(&self) -> Answer {
        let reader = self.ask(|reply| Command::Charges { reply }).await?;
        let (sink, pieces) = mpsc::channel(PIECES_MAX);
        tokio::task::spawn_blocking(move || charges::stream(&reader, &sink));
        Ok(response(StatusCode::OK, AnswerBody::Streamed(pieces)))
    }

    async fn subscribe(&self, request: Request<Incoming>) -> Answer {
        let Some(body) = read_body(request.into_body()).await? else {
            return Ok(self.refuse(&ApiError::body_too_large(BODY_BYTES_MAX)));
        };
        match adyen::parse_target(&body) {
            Ok(target) => {
                self.ask(|reply| Command::Subscribe { target, reply }).await?;
                Ok(json(StatusCode::OK, body))
            }
            Err(message) => Ok(invalid(message)),
        }
    }

    async fn tell_stripe(&self, request: Request<Incoming>) -> Answer {
        let Some(body) = read_body(request.into_body()).await? else {
            return Ok(self.refuse(&ApiError::body_too_large(BODY_BYTES_MAX)));
        };
        match stripe::parse_target(&body) {
            Ok(target) => {
                self.ask(|reply| Command::TellStripe { target, reply }).await?;
                Ok(json(StatusCode::OK, body))
            }
            Err(message) => Ok(invalid(message)),
        }
    }

    /// Answered once it has begun, and nothing else on this connection.
    async fn refuse_connections(&self, request: Request<Incoming>) -> Answer {
        let Some(body) = read_body(request.into_body()).await? else {
            return Ok(self.refuse(&ApiError::body_too_large(BODY_BYTES_MAX)));
        };
        let asked = match Asked::parse(&body) {
            Ok(asked) => asked,
            Err(message) => return Ok(invalid(&message)),
        };
        let (begun, begins) = oneshot::channel();
        let refusal = Refusal { asked, begun };
        self.refusals.send(refusal).await.map_err(|_| Closed)?;
        begins.await.map_err(|_| Closed)?;
        Ok(json(StatusCode::OK, serde_json::json!(asked).to_string()))
    }

    async fn adyen(&self, path: &str, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let refuse = |refusal: &adyen::Refusal| {
            let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Ok(json(status, refusal.body().to_string()))
        };
        let Some(body) = read_body(body).await? else {
            return refuse(&adyen::Refusal::MALFORMED);
        };
        if head.method != Method::POST {
            return refuse(&adyen::Refusal::NOT_FOUND);
        }
        let key = head.headers.get(IDEMPOTENCY_KEY);
        let has_api_key = head.headers.get(API_KEY).is_some_and(|key| !key.is_empty());
        let key_text = key.map(|key| key.to_str().unwrap_or_default());
        let command = match adyen::parse(path, key_text, has_api_key, &body) {
            Ok(command) => command,
            Err(refusal) => return refuse(&refusal),
        };
        let Answered { reply, delivery } = self
            .ask(|reply| Command::Adyen {
                request: command,
                reply,
            })
            .await?;
        self.deliver(delivery).await?;
        let reply = reply.ok_or(Closed)?;
        let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json(status, reply.body);
        let headers = response.headers_mut();
        let executed_as = reply.executed_as.and_then(|id| HeaderValue::try_from(id).ok());
        headers.extend(executed_as.map(|id| (PSP_REFERENCE, id)));
        headers.extend(key.map(|key| (IDEMPOTENCY_KEY, key.clone())));
        if status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(TRANSIENT_ERROR, HeaderValue::from_static("true"));
        }
        Ok(response)
    }

    async fn stripe(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let Some(body) = read_body(body).await? else {
            return Ok(self.refuse(&ApiError::body_too_large(BODY_BYTES_MAX)));
        };
        let command = match stripe_request(&head, &body) {
            Ok(command) => command,
            Err(error) => return Ok(self.refuse(&error)),
        };
        let key = command
            .idempotency
            .as_ref()
            .and_then(|_| head.headers.get(IDEMPOTENCY_KEY));
        let Answered { reply, delivery } = self
            .ask(|reply| Command::Stripe {
                request: command,
                reply,
            })
            .await?;
        self.deliver(delivery).await?;
        let mut response = self.response(reply.ok_or(Closed)?);
        let headers = response.headers_mut();
        for (name, value) in [
            (IDEMPOTENCY_KEY, key),
            (STRIPE_VERSION, head.headers.get(STRIPE_VERSION)),
        ] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
        Ok(response)
    }

    /// Waits as long as the answer is to take; an error when there is to be none.
    async fn deliver(&self, delivery: Delivery) -> Result<(), Closed> {
        let mut stop = self.stop.clone();
        match delivery {
            Delivery::Now => {}
            Delivery::After { delay_ms } => tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(delay_ms)) => {}
                () = stopped(&mut stop) => return Err(Closed),
            },
            Delivery::Silence { release } => {
                // Released as well when the caller hangs up and this future is dropped.
                let _release = release.map(|slot| Release {
                    owner: &self.owner,
                    slot,
                });
                tokio::select! {
                    () = tokio::time::sleep(self.silence) => {}
                    () = stopped(&mut stop) => {}
                }
                return Err(Closed);
            }
            Delivery::Close => return Err(Closed),
        }
        Ok(())
    }

    fn response(&self, reply: Reply) -> Response<AnswerBody> {
        let Reply {
            status,
            body,
            executed_as,
            replayed,
        } = reply;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json(status, body);
        let headers = response.headers_mut();
        let executed_as = executed_as.and_then(|id| HeaderValue::try_from(id).ok());
        if replayed {
            headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
            headers.extend(executed_as.map(|id| (ORIGINAL_REQUEST, id)));
            headers.extend(self.fresh_request_id().map(|id| (REQUEST_ID, id)));
        } else {
            headers.extend(
                executed_as
                    .or_else(|| self.fresh_request_id())
                    .map(|id| (REQUEST_ID, id)),
            );
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            headers.insert(RATE_LIMITED_REASON, HeaderValue::from_static("endpoint-rate"));
        }
        if status == StatusCode::CONFLICT {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("true"));
        }
        response
    }

    fn refuse(&self, error: &ApiError) -> Response<AnswerBody> {
        let body = stripe::refusal_body(error);
        self.response(Reply {
            status: error.status,
            body,
            executed_as: None,
            replayed: false,
        })
    }

    fn fresh_request_id(&self) -> Option<HeaderValue> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        HeaderValue::try_from(format!("req_{:08x}q{number:015x}", self.salt)).ok()
    }
}

/// Frees a key when the silence that kept it in use ends.
struct Release<'a> {
    owner: &'a mpsc::Sender<Command>,
    slot: Digest,
}

impl Drop for Release<'_> {
    fn drop(&mut self) {
        // When the queue is full the key becomes free by itself when the silence was to end.
        drop(self.owner.try_send(Command::Release(self.slot)));
    }
}

fn stripe_request(head: &http::request::Parts, body: &Bytes) -> Result<stripe::Request, ApiError> {
    let account = stripe::account_of(head.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes))?;
    let raw = RawRequest {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        body,
    };
    let Parsed { call, fingerprint } = stripe::parse(raw)?;
    let key = if head.method == Method::POST {
        idempotency_key(&head.headers)?
    } else {
        None
    };
    let idempotency = key.map(|key| Idempotency::new(account, key, fingerprint));
    Ok(stripe::Request { call, idempotency })
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let key = value
        .to_str()
        .ok()
        .filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX);
    key.map(Some).ok_or_else(|| {
        let message = format!("An Idempotency-Key has 1 to {KEY_BYTES_MAX} visible ASCII characters.");
        ApiError::invalid("parameter_invalid", "Idempotency-Key", message)
    })
}

/// None when the body is too large; an error when the connection broke.
async fn read_body(body: Incoming) -> Result<Option<Bytes>, Closed> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(collected) => Ok(Some(collected.to_bytes())),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Ok(None),
        Err(_) => Err(Closed),
    }
}

/// The message begins with the name of the field.
fn invalid(message: &str) -> Response<AnswerBody> {
    let (param, _) = message.split_once(':').unwrap_or((message, ""));
    let error = serde_json::json!({ "error": {
        "type": "invalid_request_error", "param": param, "message": message,
    } });
    json(StatusCode::BAD_REQUEST, error.to_string())
}

fn fault_response(reply: FaultReply) -> Response<AnswerBody> {
    json(
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        reply.body,
    )
}

fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<AnswerBody> {
    response(status, AnswerBody::whole(body))
}

fn response(status: StatusCode, body: AnswerBody) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

//! What is sent: each request about an attempt as method, path, key and body. No I/O.

use crate::providers::connection::Outgoing;
use crate::providers::exchange::Unsendable;
use bytes::Bytes;
use florin_domain::payment::OperationKind;
use florin_domain::ports::AttemptRequest;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;

const IDEMPOTENCY_KEY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// A POST under a key. The same attempt must give the same bytes: nothing here may read a clock or draw a random number.
#[expect(dead_code, reason = "no operation is written yet")]
fn post(path: &str, key: &str, body: &impl Serialize) -> Result<Outgoing, Unsendable> {
    let body = serde_json::to_vec(body).map_err(|_| Unsendable("the request cannot be written as JSON"))?;
    let key = HeaderValue::try_from(key).map_err(|_| Unsendable("the key cannot be a header"))?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(IDEMPOTENCY_KEY_HEADER, key);
    Ok(Outgoing {
        method: Method::POST,
        path: path.to_owned(),
        headers,
        body: Bytes::from(body),
    })
}

/// Does what the attempt is for.
pub(super) fn execute(request: &AttemptRequest) -> Result<Outgoing, Unsendable> {
    match request.kind {
        OperationKind::Sale
        | OperationKind::Authorize
        | OperationKind::Capture
        | OperationKind::Void
        | OperationKind::Refund
        | OperationKind::Increment => Err(Unsendable("not supported by nameless")),
        OperationKind::Reversal => Err(Unsendable("a reversal is asked for as a refund or a void")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::OPERATIONS;
    use super::*;
    use crate::providers::sample::attempt;

    #[test]
    fn what_is_written_can_be_sent_and_nothing_else() {
        for kind in [
            OperationKind::Sale,
            OperationKind::Authorize,
            OperationKind::Capture,
            OperationKind::Void,
            OperationKind::Refund,
            OperationKind::Increment,
        ] {
            let sent = execute(&attempt(kind, "REFERENCE1", 1500));
            assert_eq!(sent.is_ok(), OPERATIONS.contains(&kind), "{kind:?}: {sent:?}");
        }
    }
}

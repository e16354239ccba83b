//! The key that makes a request happen once, as its header says it.

use crate::errors::ApiError;
use crate::vault::check_text;
use actix_web::http::header::{HeaderMap, HeaderName};
use florin_domain::idempotency::{IdempotencyKey, KeyError};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Whether the header is there, whatever it says.
pub(crate) fn is_said(headers: &HeaderMap) -> bool {
    headers.contains_key(IDEMPOTENCY_KEY)
}

/// Exactly one key; two would leave it to chance which request this is.
pub(crate) fn read(headers: &HeaderMap) -> Result<IdempotencyKey, ApiError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY);
    let value = values.next().ok_or(ApiError::IdempotencyKey(KeyError::Empty))?;
    if values.next().is_some() {
        return Err(ApiError::IdempotencyKeyUnreadable);
    }
    let text = str::from_utf8(value.as_bytes()).map_err(|_| ApiError::IdempotencyKeyUnreadable)?;
    // Keys are journaled as they are.
    check_text("Idempotency-Key", text)?;
    IdempotencyKey::given(text.trim()).map_err(ApiError::IdempotencyKey)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn read_all(values: &[&[u8]]) -> Result<String, ApiError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
        }
        read(&headers).map(|key| key.as_str().to_owned())
    }

    #[test]
    fn a_request_carries_exactly_one_usable_key() {
        assert_eq!(read_all(&[b"a key"]), Ok("a key".to_owned()));
        assert_eq!(read_all(&["ключ".as_bytes()]), Ok("ключ".to_owned()));
        assert_eq!(read_all(&["x".repeat(255).as_bytes()]), Ok("x".repeat(255)));
        let nothing: [&[&[u8]]; 3] = [&[], &[b""], &[b"  "]];
        for empty in nothing {
            assert_eq!(read_all(empty), Err(ApiError::IdempotencyKey(KeyError::Empty)));
        }
        assert_eq!(
            read_all(&["x".repeat(256).as_bytes()]),
            Err(ApiError::IdempotencyKey(KeyError::TooLong))
        );
        assert_eq!(
            read_all(&[b"florin-req_1"]),
            Err(ApiError::IdempotencyKey(KeyError::Reserved))
        );
        assert_eq!(read_all(&[b"a", b"b"]), Err(ApiError::IdempotencyKeyUnreadable));
        assert_eq!(read_all(&[b"\xff"]), Err(ApiError::IdempotencyKeyUnreadable));
    }
}

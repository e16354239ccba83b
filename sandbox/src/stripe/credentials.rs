//! Who calls: the test key of a request, as bearer token or as basic user name.

use serde::{Deserialize, Serialize};

use super::error::ApiError;
use super::keys::DigestBuilder;

const TEST_KEY_PREFIX: &str = "sk_test_";

/// Stands for an API key without containing it: keys are not written to the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Account(Box<str>);

impl Account {
    pub(crate) fn name(&self) -> &str {
        &self.0
    }
}

/// Reads an `Authorization` header.
pub(crate) fn account_of(authorization: Option<&[u8]>) -> Result<Account, ApiError> {
    let key = authorization
        .and_then(api_key)
        .ok_or_else(ApiError::unauthorized)?;
    let mut digest = DigestBuilder::default();
    digest.text(&key);
    let mut name = digest.finish().to_string();
    name.truncate(16);
    Ok(Account(name.into()))
}

fn api_key(authorization: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(authorization).ok()?;
    let (scheme, credentials) = text.split_once(' ')?;
    let credentials = credentials.trim();
    let key = if scheme.eq_ignore_ascii_case("bearer") {
        credentials.to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let decoded = String::from_utf8(base64_decode(credentials.as_bytes())?).ok()?;
        decoded
            .split_once(':')
            .map_or(decoded.clone(), |(user, _)| user.to_owned())
    } else {
        return None;
    };
    (key.starts_with(TEST_KEY_PREFIX) && key.len() > TEST_KEY_PREFIX.len()).then_some(key)
}

/// Standard alphabet, padding optional.
fn base64_decode(text: &[u8]) -> Option<Vec<u8>> {
    let unpadded = text
        .strip_suffix(b"==")
        .or_else(|| text.strip_suffix(b"="))
        .unwrap_or(text);
    if unpadded.len() % 4 == 1 {
        return None;
    }
    let mut decoded = Vec::with_capacity(unpadded.len() / 4 * 3 + 2);
    for group in unpadded.chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * (4 - group.len());
        decoded.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_and_basic_name_the_same_account() {
        let bearer = account_of(Some(b"Bearer sk_test_florin")).unwrap();
        for same in [
            "bearer sk_test_florin",
            "Basic c2tfdGVzdF9mbG9yaW46",
            "basic c2tfdGVzdF9mbG9yaW4=",
        ] {
            assert_eq!(account_of(Some(same.as_bytes())).unwrap(), bearer, "{same}");
        }
        assert_ne!(account_of(Some(b"Bearer sk_test_other")).unwrap(), bearer);
        assert!(!bearer.name().contains("florin"));
    }

    #[test]
    fn anything_but_a_test_key_is_refused() {
        for header in [
            "",
            "Bearer",
            "Bearer sk_live_x",
            "Bearer sk_test_",
            "Digest sk_test_x",
            "Basic !!!!",
        ] {
            assert_eq!(
                account_of(Some(header.as_bytes())).unwrap_err().status,
                401,
                "{header}"
            );
        }
        assert_eq!(account_of(None).unwrap_err().status, 401);
    }

    #[test]
    fn base64_decodes_every_tail_length() {
        let table: [(&str, &[u8]); 4] = [("", b""), ("Zg==", b"f"), ("Zm8=", b"fo"), ("Zm9v", b"foo")];
        for (text, bytes) in table {
            assert_eq!(base64_decode(text.as_bytes()).as_deref(), Some(bytes));
        }
        assert_eq!(base64_decode(b"Zm9vY"), None);
    }
}

//! Whose key a request carries: `Bearer`, or `Basic` with the key as the user.

use crate::consistency_token::{self, Told};
use crate::errors::ApiError;
use crate::rate_limits::Taken;
use crate::state::State;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::{HttpMessage, HttpRequest};
use florin_actors::directory_handle::KeyOwner;
use florin_domain::ids::ApiKeyId;
use florin_domain::merchant::{ApiKeyRole, Merchant};
use std::borrow::Cow;
use std::sync::Arc;

/// No key of ours is longer; what is, need not be digested.
const SECRET_BYTES_MAX: usize = 256;
/// How the two keys end that development mode prints for everybody to read. They have no rate limit.
const DEVELOPMENT_SUFFIX: &str = "_test_florin_dev";

/// Who asks.
#[derive(Debug)]
pub(crate) struct Caller {
    owner: Arc<KeyOwner>,
}

/// Who a caller is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who<'a> {
    /// A merchant, in live or test mode.
    Merchant(&'a Merchant, bool),
    /// An operator.
    Operator,
}

impl Caller {
    /// Who asks, or the one refusal that tells nothing of what was wrong.
    /// Beyond a key's limit its request ends here, before anything of it was looked at.
    pub(crate) fn of(state: &State, request: &HttpRequest) -> Result<Self, ApiError> {
        let known = secret(request.headers()).and_then(|secret| Some((owner(state, &secret)?, secret)));
        let Some((owner, secret)) = known else {
            let peer = request.peer_addr().map(|peer| peer.ip());
            return Err(state.rate_limits.refuse_stranger(peer));
        };
        let taken = state
            .rate_limits
            .take(&owner.key, || secret.ends_with(DEVELOPMENT_SUFFIX));
        match taken {
            Taken::Unlimited => {}
            Taken::Within(standing) => drop(request.extensions_mut().insert(standing)),
            Taken::Over(standing, retry_after_s) => {
                request.extensions_mut().insert(standing);
                return Err(ApiError::RateLimited { retry_after_s });
            }
        }
        if let Some(merchant) = &owner.merchant {
            consistency_token::check(state, request.headers())?;
            request.extensions_mut().insert(Told(merchant.id));
        }
        // Reading goes on, and operators do what they must.
        // A question that is too long for a query string changes nothing either.
        let is_question = request.path().ends_with("/what_if");
        let changes = !request.method().is_safe() && !is_question;
        if changes && owner.merchant.is_some() && state.directory.is_read_only() {
            return Err(ApiError::ReadOnly);
        }
        Ok(Self { owner })
    }

    /// Refuses merchants that an operator has stopped from taking money.
    pub(crate) fn may_take_money(&self) -> Result<(), ApiError> {
        if self.owner.is_frozen {
            return Err(ApiError::MerchantFrozen);
        }
        Ok(())
    }

    pub(crate) fn who(&self) -> Result<Who<'_>, ApiError> {
        match (self.owner.key.role, &self.owner.merchant) {
            (ApiKeyRole::Operator, _) => Ok(Who::Operator),
            (ApiKeyRole::Merchant(_), Some(merchant)) => Ok(Who::Merchant(merchant, self.owner.key.livemode)),
            (ApiKeyRole::Merchant(_), None) => Err(ApiError::Unauthenticated),
        }
    }

    /// The merchant and the mode, or a refusal.
    pub(crate) fn merchant(&self) -> Result<(&Merchant, bool), ApiError> {
        match self.who()? {
            Who::Merchant(merchant, livemode) => Ok((merchant, livemode)),
            Who::Operator => Err(ApiError::MerchantOnly),
        }
    }

    /// Under which name an operator's orders are journaled, or a refusal.
    pub(crate) fn operator_id(&self) -> Result<ApiKeyId, ApiError> {
        self.operator()?;
        Ok(self.owner.key.id)
    }

    /// The key that asks.
    pub(crate) fn key_id(&self) -> ApiKeyId {
        self.owner.key.id
    }

    /// Refuses everybody but operators.
    pub(crate) fn operator(&self) -> Result<(), ApiError> {
        match self.who()? {
            Who::Operator => Ok(()),
            Who::Merchant(..) => Err(ApiError::OperatorOnly),
        }
    }
}

/// Whose key has this secret, if it may be used here.
fn owner(state: &State, secret: &str) -> Option<Arc<KeyOwner>> {
    if !state.options.accepts_development_keys && secret.ends_with(DEVELOPMENT_SUFFIX) {
        return None;
    }
    let owner = state.directory.lookup(&(state.digests.secret)(secret))?;
    let claims_other_mode = claimed_livemode(secret).is_some_and(|livemode| livemode != owner.key.livemode);
    (!claims_other_mode).then_some(owner)
}

/// The mode that a secret's own text claims (`sk_live_...`).
fn claimed_livemode(secret: &str) -> Option<bool> {
    match secret.split('_').nth(1)? {
        "live" => Some(true),
        "test" => Some(false),
        _ => None,
    }
}

pub(crate) fn secret(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let mut values = headers.get_all(AUTHORIZATION);
    let (value, second) = (values.next()?, values.next());
    let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
    let secret = if scheme.eq_ignore_ascii_case("bearer") {
        Cow::Borrowed(credentials.trim())
    } else if scheme.eq_ignore_ascii_case("basic") {
        let text = String::from_utf8(base64(credentials.trim())?).ok()?;
        Cow::Owned(
            text.split_once(':')
                .map_or(text.as_str(), |(user, _)| user)
                .to_owned(),
        )
    } else {
        return None;
    };
    (second.is_none() && !secret.is_empty() && secret.len() <= SECRET_BYTES_MAX).then_some(secret)
}

/// Decodes base 64 in the standard alphabet, padded or not.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if digits.len() > SECRET_BYTES_MAX.saturating_mul(2) || digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len());
    let (mut bits, mut count) = (0_u32, 0_u32);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit.wrapping_sub(b'A'),
            b'a'..=b'z' => digit.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => digit.wrapping_sub(b'0').wrapping_add(52),
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = ((bits << 6) | u32::from(value)) & 0xffff;
        count = count.saturating_add(6);
        if count >= 8 {
            count = count.saturating_sub(8);
            bytes.push(u8::try_from((bits >> count) & 0xff).unwrap_or(0));
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn read(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        secret(&headers).map(Cow::into_owned)
    }

    #[test]
    fn a_key_arrives_as_a_bearer_or_as_the_basic_user() {
        let key = Some("sk_test_a".to_owned());
        assert_eq!(read(&["Bearer sk_test_a"]), key);
        assert_eq!(read(&["bearer   sk_test_a"]), key);
        // sk_test_a: and sk_test_a:ignored
        assert_eq!(read(&["Basic c2tfdGVzdF9hOg=="]), key);
        assert_eq!(read(&["Basic c2tfdGVzdF9hOmlnbm9yZWQ="]), key);
        for none in [
            &[][..],
            &["Bearer"],
            &["Bearer "],
            &["Digest x"],
            &["Basic !!"],
            &["Basic Og=="],
            &["sk_test_a"],
        ] {
            assert_eq!(read(none), None, "{none:?}");
        }
        assert_eq!(read(&["Bearer a", "Bearer b"]), None, "which of the two?");
        assert_eq!(read(&[&format!("Bearer {}", "a".repeat(257))]), None);
    }

    #[test]
    fn a_secret_says_its_mode() {
        assert_eq!(claimed_livemode("sk_live_x"), Some(true));
        assert_eq!(claimed_livemode("ok_test_florin_dev"), Some(false));
        assert_eq!(claimed_livemode("opaque"), None);
    }
}

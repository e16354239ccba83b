//! The header that tells a merchant up to where an answer may have shown what there is. Sent back with a later request, whoever answers that
//! shows at least as much, or says that it cannot yet.

use crate::errors::{ApiError, Code, Invalid};
use crate::state::State;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use florin_actors::payments_handle::Seen;
use florin_domain::ids::MerchantId;

/// As it is written for people.
const NAME: &str = "Florin-Consistency-Token";
const HEADER: HeaderName = HeaderName::from_static("florin-consistency-token");

/// Whom an answer is for, kept with its request until the answer is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told(pub(crate) MerchantId);

/// Refuses a request whose sender has seen more than is shown here.
pub(crate) fn check(state: &State, headers: &HeaderMap) -> Result<(), ApiError> {
    let mut values = headers.get_all(&HEADER);
    let Some(value) = values.next() else {
        return Ok(());
    };
    let seen = value.to_str().ok().and_then(Seen::parse);
    let shows = seen
        .filter(|_| values.next().is_none())
        .and_then(|seen| state.payments.shows(seen));
    match shows {
        Some(true) => Ok(()),
        Some(false) => Err(ApiError::NodeBehind),
        None => {
            let message = format!("Send one {NAME} header, as an answer has had it, or none.");
            Err(Invalid::new(NAME, Code::ParameterInvalid, message).into())
        }
    }
}

/// Says up to where the answer may show what there is.
pub(crate) fn announce(state: &State, told: Told, headers: &mut HeaderMap) {
    let seen = state.payments.seen(told.0).to_string();
    if let Ok(value) = HeaderValue::try_from(seen) {
        headers.insert(HEADER, value);
    }
}

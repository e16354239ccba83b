//! What the endpoints of customers, saved cards and tokens share.
//!
//! # Layout
//! * `asked` a request about one of them; `said` what is said in it, and where no card number may stand; `typed` a card in it;
//!   `saved` a saved card that pays; `setup` cards that are set up for later
//! * `body` how they are shown, under Stripe's names; `refused` why not; `shapes` all of it for the OpenAPI document

mod asked;
mod body;
mod refused;
mod said;
mod saved;
mod setup;
mod shapes;
mod typed;

pub(crate) use asked::{Asked, object, owner, read, read_of};
pub(crate) use body::{brand_title, shown};
pub(crate) use refused::refused;
pub(crate) use said::{check_text, check_texts, customer, method, setup};
pub(crate) use saved::{Saved, saved};
pub(crate) use setup::{
    MANDATE_ID, SETUP_ID, consent, consent_shape, mandate_example, mandate_shape, setup_example,
    setup_fields, setup_shape,
};
pub(crate) use shapes::{
    CUSTOMER_ID, METHOD_ID, TOKEN_ID, card_shape, customer_example, customer_fields, customer_shape,
    exactly_one_key, method_example, method_fields, method_shape, token_example, token_shape,
};
pub(crate) use typed::{Card, card, expiry, holder, token_card, token_of};

use crate::errors::{ApiError, Code, Invalid};
use actix_web::HttpRequest;
use florin_domain::ids::{CustomerId, MethodId};

/// The customer that the path names.
pub(crate) fn customer_in(request: &HttpRequest) -> Result<CustomerId, ApiError> {
    let named = request.match_info().get("id").unwrap_or_default();
    CustomerId::parse(named).map_err(|_| ApiError::NoSuchObject { kind: "customer" })
}

/// The saved card that the path names.
pub(crate) fn method_in(request: &HttpRequest) -> Result<MethodId, ApiError> {
    let named = request.match_info().get("id").unwrap_or_default();
    MethodId::parse(named).map_err(|_| ApiError::NoSuchObject {
        kind: "payment method",
    })
}

/// A customer that a parameter names.
pub(crate) fn customer_of(name: &str, text: &str) -> Result<CustomerId, Invalid> {
    let missing = || {
        Invalid::new(
            name,
            Code::ResourceMissing,
            format!("`{name}`: there is no such customer."),
        )
    };
    CustomerId::parse(text).map_err(|_| missing())
}

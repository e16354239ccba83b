//! A saved card that pays: looked up for the payment that names it, and never for the names of test mode.

use super::refused;
use crate::errors::{ApiError, Code, Invalid};
use crate::state::State;
use florin_domain::ids::MethodId;
use florin_domain::method::PaymentMethod;
use florin_domain::ports::VaultKey;
use florin_domain::vault::{Owner, VaultObject};

/// The card of this id as payments know it; nothing if the text is no such id.
pub(crate) async fn saved(state: &State, owner: Owner, id: &str) -> Result<Option<PaymentMethod>, ApiError> {
    let Ok(key) = MethodId::parse(id) else {
        return Ok(None);
    };
    let found = state
        .cards
        .get(owner, VaultKey::Method(key))
        .await
        .map_err(refused)?;
    let Some(VaultObject::Method(method)) = found else {
        // Told as any other name that is not known.
        return Ok(None);
    };
    if method.is_detached {
        let message = "`payment_method_id`: the payment method was detached, and cannot be used again.";
        return Err(Invalid::new("payment_method_id", Code::PaymentMethodUnexpectedState, message).into());
    }
    Ok(Some(method.payment_method(state.cards.now())))
}

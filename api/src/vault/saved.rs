//! A saved card that pays: looked up for the payment that names it, and never for the names of test mode.

use super::refused;
use crate::errors::{ApiError, Code, Invalid};
use crate::state::State;
use florin_domain::ids::{CustomerId, MethodId};
use florin_domain::method::PaymentMethod;
use florin_domain::ports::VaultKey;
use florin_domain::vault::{Owner, VaultObject};

/// What the text of a payment method names.
#[derive(Debug)]
pub(crate) enum Saved {
    /// No saved card: perhaps one of test mode.
    Other,
    /// A saved card.
    Card {
        /// As payments know it.
        method: PaymentMethod,
        /// Whose it is, if it is attached.
        customer: Option<CustomerId>,
    },
    /// A saved card that cannot pay now, and why. What was asked under the same key when it could is answered as then.
    Gone(ApiError),
}

impl Saved {
    /// The method in the meaning of a request: in place of a card that is gone, its name.
    pub(crate) fn method(&self, id: &str) -> Option<PaymentMethod> {
        match self {
            Self::Other => None,
            Self::Card { method, .. } => Some(method.clone()),
            Self::Gone(_) => Some(PaymentMethod::gone(id)),
        }
    }

    /// Why it cannot pay.
    pub(crate) fn gone(self) -> Option<ApiError> {
        match self {
            Self::Gone(why) => Some(why),
            Self::Other | Self::Card { .. } => None,
        }
    }
}

/// Looks up what the text names.
pub(crate) async fn saved(state: &State, owner: Owner, id: &str) -> Saved {
    let Ok(key) = MethodId::parse(id) else {
        return Saved::Other;
    };
    let gone = |code, message: &str| {
        let message = format!("`payment_method_id`: {message}");
        Saved::Gone(Invalid::new("payment_method_id", code, message).into())
    };
    match state.cards.get(owner, VaultKey::Method(key)).await {
        Err(error) => Saved::Gone(refused(error)),
        Ok(Some(VaultObject::Method(method))) if method.is_detached => gone(
            Code::PaymentMethodUnexpectedState,
            "the payment method was detached, and cannot be used again.",
        ),
        Ok(Some(VaultObject::Method(method))) => Saved::Card {
            method: method.payment_method(state.cards.now()),
            customer: method.customer,
        },
        // Told as any other name that is not known.
        Ok(_) => {
            let mode = if owner.livemode { "live" } else { "test" };
            let message = format!("there is no such payment method in {mode} mode.");
            gone(Code::ResourceMissing, &message)
        }
    }
}

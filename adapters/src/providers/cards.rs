//! The saved card of a request, fetched when it is sent and at no other time.

use crate::card_vault::NoCards;
use florin_domain::ids::MethodId;
use florin_domain::ports::{AttemptRequest, ChargedCards};
use florin_domain::provider::{Hindrance, Outcome};
use florin_domain::vault::ChargedCard;
use std::fmt;
use std::sync::Arc;

/// Where the adapter of a provider finds cards.
#[derive(Clone, Debug)]
pub(super) struct Cards(pub(super) Arc<dyn ChargedCards>);

impl Default for Cards {
    fn default() -> Self {
        Self(Arc::new(NoCards))
    }
}

/// The saved card that a request charges, if it charges one.
fn saved(request: &AttemptRequest) -> Option<MethodId> {
    request.method.stored.as_ref()?;
    MethodId::parse(&request.method.id).ok()
}

impl Cards {
    /// The card of a charge; nothing if the method is one that the provider knows by its name. `Err` if it cannot be sent: nothing was, and
    /// nothing was learnt of the provider.
    pub(super) async fn of(&self, request: &AttemptRequest) -> Result<Option<ChargedCard>, Outcome> {
        let Some(method) = saved(request) else {
            return Ok(None);
        };
        match self.0.open(request.merchant, method).await {
            Ok(Some(card)) => Ok(Some(card)),
            Ok(None) => Err(unsendable("it was erased")),
            Err(error) => Err(unsendable(error)),
        }
    }

    /// A provider has said how a charge ended, so the card's security code has done its duty.
    pub(super) fn answered(&self, request: &AttemptRequest, outcome: &Outcome) {
        match outcome {
            Outcome::Unknown { .. } | Outcome::NotSent { .. } => {}
            _ => {
                if let Some(method) = saved(request) {
                    self.0.answered(method);
                }
            }
        }
    }
}

fn unsendable(why: impl fmt::Display) -> Outcome {
    Outcome::NotSent {
        reason: Arc::from(format!("the saved card cannot be sent: {why}")),
        hindrance: Hindrance::Credentials,
    }
}

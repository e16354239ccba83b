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

    /// A provider has done something with a charge, so the card's security code has done its duty. Where nothing was done, or nobody knows,
    /// the charge is sent once more, and needs it.
    pub(super) fn answered(&self, request: &AttemptRequest, outcome: &Outcome) {
        match outcome {
            Outcome::Unknown { .. }
            | Outcome::NotSent { .. }
            | Outcome::RateLimited { .. }
            | Outcome::Rejected { .. } => {}
            Outcome::Succeeded { .. }
            | Outcome::Declined { .. }
            | Outcome::ActionRequired { .. }
            | Outcome::Pending { .. }
            | Outcome::Cancelled { .. } => {
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

#[cfg(test)]
mod tests {
    //! Tests of the module around it.

    use super::*;
    use crate::providers::sample::attempt;
    use florin_domain::ids::MerchantId;
    use florin_domain::method::StoredCard;
    use florin_domain::payment::OperationKind;
    use florin_domain::ports::{BoxFuture, VaultError};
    use florin_domain::time::Millis;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[derive(Debug, Default)]
    struct Told(AtomicU32);

    impl ChargedCards for Told {
        fn open(&self, _: MerchantId, _: MethodId) -> BoxFuture<'_, Result<Option<ChargedCard>, VaultError>> {
            Box::pin(async { Ok(None) })
        }

        fn answered(&self, _: MethodId) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_code_is_kept_while_the_charge_may_be_sent_once_more() {
        let mut request = attempt(OperationKind::Sale, "", 1500);
        request.method.id = Arc::from(MethodId::from_bits(7).to_string());
        request.method.stored = Some(Arc::new(StoredCard {
            first_digits: "40000566".into(),
            fingerprint: [0; 16],
        }));
        let pending = Outcome::Pending {
            reference: Arc::from("pi_1"),
        };
        let unknown = Outcome::Unknown {
            reason: Arc::from("no answer"),
            reference: None,
        };
        let limited = Outcome::RateLimited {
            retry_after: Millis(1),
        };
        for (outcome, forgets) in [
            (pending, 1),
            (Outcome::declined(Arc::from("card_declined"), None), 1),
            (unknown, 0),
            (limited, 0),
            (Outcome::rejected("no such key"), 0),
            (Outcome::not_sent("refused"), 0),
        ] {
            let told = Arc::new(Told::default());
            let cards = Cards(Arc::clone(&told) as _);
            cards.answered(&request, &outcome);
            assert_eq!(told.0.load(Ordering::Relaxed), forgets, "{outcome:?}");
        }
    }
}

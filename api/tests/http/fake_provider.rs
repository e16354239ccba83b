//! A provider that decides by the payment method, and counts what it charges.

use florin_domain::credentials::KeyOwner;
use florin_domain::ids::MerchantId;
use florin_domain::payment::OperationKind;
use florin_domain::ports::{AttemptRequest, BoxFuture, KeyOwners, Provider};
use florin_domain::provider::{Capabilities, Outcome, ProviderId, ProviderReference, Recovery};
use florin_domain::time::{Millis, Timestamp};
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Captures, refunds and increments of this sum are declined.
pub(crate) const DECLINED_LATER_MINOR: i128 = 7_778;

/// The provider.
#[derive(Debug)]
pub(crate) struct FakeProvider {
    capabilities: Capabilities,
    charges: AtomicUsize,
    is_away: AtomicBool,
}

impl Default for FakeProvider {
    fn default() -> Self {
        let capabilities = Capabilities {
            id: ProviderId::parse("fake").unwrap(),
            prepares: false,
            key_lifetime: Millis::from_s(86_400),
            query_by_reference: true,
            cancel_closes: true,
            time_limit: Millis::from_s(5),
            recovery: Recovery::default(),
        };
        Self {
            capabilities,
            charges: AtomicUsize::new(0),
            is_away: AtomicBool::new(false),
        }
    }
}

impl FakeProvider {
    /// From now on no request reaches it, or all do again.
    pub(crate) fn leaves(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }

    /// Charges that it executed.
    pub(crate) fn charges(&self) -> usize {
        self.charges.load(Ordering::Relaxed)
    }

    fn outcome(request: &AttemptRequest) -> Outcome {
        let reference: Arc<str> = Arc::from(format!("pi_{}", request.key));
        // A refund of an odd sum takes the bank days.
        if request.kind == OperationKind::Refund && request.amount.minor() % 2 == 1 {
            return Outcome::Pending { reference };
        }
        let is_own = matches!(request.kind, OperationKind::Sale | OperationKind::Authorize);
        if !is_own && request.amount.minor() == DECLINED_LATER_MINOR {
            return Outcome::declined(Arc::from("generic_decline"), Some(reference));
        }
        // Of cards that were typed, by their last digits.
        match &request.method.last4 {
            _ if request.method.stored.is_none() => {}
            b"9995" => {
                return Outcome::declined(Arc::from("insufficient_funds"), Some(reference));
            }
            b"0259" => {
                return Outcome::Unknown {
                    reason: Arc::from("the answer was lost"),
                    reference: Some(reference),
                };
            }
            b"3220" => {
                return Outcome::ActionRequired {
                    reference,
                    redirect_url: Some(Arc::from("https://bank.example/3ds?a=1&b=2")),
                };
            }
            _ => {}
        }
        match request.method.id.as_ref() {
            "pm_card_visa_chargeDeclinedInsufficientFunds" => {
                Outcome::declined(Arc::from("insufficient_funds"), Some(reference))
            }
            "pm_card_createDispute" => Outcome::Unknown {
                reason: Arc::from("the answer was lost"),
                reference: Some(reference),
            },
            "pm_card_threeDSecure2Required" => Outcome::ActionRequired {
                reference,
                redirect_url: None,
            },
            _ => Outcome::Succeeded {
                transaction: Arc::from(format!("ch_{}", request.key)),
                reference,
                amount_minor: request.amount.minor(),
            },
        }
    }
}

impl KeyOwners for FakeProvider {
    fn key_owner(&self, _merchant: MerchantId, _made_at: Timestamp) -> Option<KeyOwner> {
        Some(KeyOwner::Platform)
    }
}

impl Provider for FakeProvider {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn prepare<'a>(
        &'a self,
        request: &'a AttemptRequest,
    ) -> BoxFuture<'a, Result<ProviderReference, Outcome>> {
        Box::pin(ready(Ok(Arc::from(format!("pi_{}", request.key)))))
    }

    fn execute<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        if self.is_away.load(Ordering::Relaxed) {
            return Box::pin(ready(Outcome::not_sent("nobody is there")));
        }
        let outcome = Self::outcome(request);
        if matches!(outcome, Outcome::Succeeded { .. }) {
            self.charges.fetch_add(1, Ordering::Relaxed);
        }
        Box::pin(ready(outcome))
    }

    fn query<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        let reference: Arc<str> = Arc::from(format!("pi_{}", request.key));
        let outcome = match request.details.as_deref() {
            Some(_) if self.is_away.load(Ordering::Relaxed) => Outcome::Unknown {
                reason: Arc::from("nobody is there"),
                reference: Some(reference),
            },
            // Money is taken by what the customer brought back from a challenge, as at Adyen.
            Some("passed") => {
                self.charges.fetch_add(1, Ordering::Relaxed);
                Outcome::Succeeded {
                    transaction: Arc::from(format!("ch_{}", request.key)),
                    reference,
                    amount_minor: request.amount.minor(),
                }
            }
            Some("failed") => Outcome::declined(Arc::from("authentication_failed"), Some(reference)),
            _ => Self::outcome(request),
        };
        Box::pin(ready(outcome))
    }

    fn cancel<'a>(&'a self, _request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(ready(Outcome::Cancelled { reference: None }))
    }
}

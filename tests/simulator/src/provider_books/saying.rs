//! Owns what a simulated provider says by itself of its books, and what it says that is not so.

use super::{Books, REFERENCE, Speaks, State, reference};
use crate::fault::Fault;
use florin_domain::ids::OperationId;
use florin_domain::payment::OperationKind;
use florin_domain::ports::AttemptRequest;
use florin_domain::provider::{Named, Notice, Outcome, ProviderKey, ProviderReference, Said, Signer};
use std::sync::Arc;

/// The transaction that made an object.
fn transaction_of(object: &ProviderReference) -> ProviderReference {
    Arc::from(format!(
        "txn_{}",
        object.strip_prefix(REFERENCE).unwrap_or(object)
    ))
}

impl Books {
    /// It says that nothing is done under this key, or will be; it is not so.
    pub(crate) fn deny(&mut self, key: &ProviderKey) {
        self.denied.insert(Arc::clone(key));
    }

    /// What it said is closed goes on, and is decided at this time.
    pub(crate) fn go_on(&mut self, request: &AttemptRequest, until_ms: u64) {
        let succeeds = true;
        let object = self.object(&request.key);
        object.request.get_or_insert_with(|| request.clone());
        match object.state {
            State::Challenged => {
                object.state = State::Pending { until_ms, succeeds };
                self.pends(&request.key, until_ms);
            }
            State::Fresh => self.queue(request, until_ms),
            State::Pending { .. } | State::Done | State::Declined(_) | State::Closed => {}
        }
    }

    /// Whether it can no longer charge under a key.
    pub(crate) fn is_over(&self, key: &ProviderKey) -> bool {
        let state = self.objects.get(key).map(|object| &object.state);
        match state {
            Some(State::Done | State::Declined(_) | State::Closed) => true,
            Some(State::Fresh | State::Challenged | State::Pending { .. }) | None => false,
        }
    }

    /// Says by itself how the object under a key stands.
    pub(super) fn tell(&mut self, key: &ProviderKey) {
        let Some(request) = self.objects.get(key).and_then(|object| object.request.clone()) else {
            return;
        };
        match self.speaks {
            Speaks::Never => {}
            Speaks::OfKeys => match self.word(&request) {
                // Nothing that anybody would write about.
                Outcome::Unknown { .. } => {}
                outcome => self.say(&request, Said::Became(outcome)),
            },
            Speaks::OfObjects => {
                if let Some((operation, attempt, said)) = self.shown(&request) {
                    self.write(&request, (operation, attempt, said), false);
                }
            }
        }
    }

    fn say(&self, request: &AttemptRequest, said: Said) {
        let is_certain = self.denied.contains(&request.key) || matches!(said, Said::TakenBack { .. });
        let attempt = Named::KeyEnd(Arc::clone(&request.key));
        self.write(request, (request.operation, attempt, said), is_certain);
    }

    fn write(
        &self,
        request: &AttemptRequest,
        (operation, attempt, said): (OperationId, Named, Said),
        is_certain: bool,
    ) {
        let by_platform = self.world.chance(Fault::NoticeForged, |dice| dice.hits(5_000));
        let signer = if by_platform {
            Signer::Platform
        } else {
            Signer::Merchants(vec![request.merchant])
        };
        let notice = Notice {
            provider: self.id,
            signer,
            payment: request.payment,
            operation,
            attempt,
            currency: request.currency,
            said,
        };
        self.world.post(notice, is_certain);
    }

    /// How the object that a request made or changed stands, of which operation that is said, and by what name. Of a refusal to change
    /// an object nobody writes.
    fn shown(&self, request: &AttemptRequest) -> Option<(OperationId, Named, Said)> {
        let own = reference(&request.key);
        let parent = request
            .parent
            .as_ref()
            .map(|parent| Arc::clone(&parent.reference));
        let charge = parent.unwrap_or_else(|| Arc::clone(&own));
        let (operation, of_charge) = (request.operation, Named::Charge(Arc::clone(&charge)));
        let minor = request.amount.minor();
        let outcome = self.word(request);
        let said = match (request.kind, outcome) {
            (
                _,
                Outcome::Unknown { .. }
                | Outcome::NotSent { .. }
                | Outcome::RateLimited { .. }
                | Outcome::Rejected { .. },
            )
            | (OperationKind::Reversal, _)
            | (OperationKind::Refund, Outcome::Cancelled { .. } | Outcome::ActionRequired { .. }) => {
                return None;
            }
            (
                OperationKind::Authorize,
                Outcome::Succeeded {
                    reference,
                    transaction,
                    amount_minor,
                },
            ) => Said::Reserved {
                reference,
                transaction,
                amount_minor,
            },
            (OperationKind::Sale | OperationKind::Authorize, Outcome::Cancelled { .. }) => Said::Released {
                transaction: None,
                released_minor: minor,
                taken_minor: 0,
                is_closed: true,
            },
            (OperationKind::Sale | OperationKind::Authorize, outcome) => Said::Became(outcome),
            (OperationKind::Void, Outcome::Succeeded { .. }) => {
                let operation = OperationId::Authorize(request.payment);
                return Some((operation, of_charge, self.released(&charge, minor)));
            }
            (
                OperationKind::Capture | OperationKind::Increment,
                Outcome::Succeeded {
                    transaction,
                    amount_minor,
                    ..
                },
            ) => {
                let held = self.charges.get(&charge).map(|charge| charge.authorized_minor);
                Said::Became(Outcome::Succeeded {
                    reference: charge,
                    transaction,
                    // All that is reserved now.
                    amount_minor: held
                        .filter(|_| request.kind == OperationKind::Increment)
                        .unwrap_or(amount_minor),
                })
            }
            (OperationKind::Capture | OperationKind::Increment | OperationKind::Void, _) => return None,
            (OperationKind::Refund, outcome) => {
                let named = Named::Refund {
                    refund: Arc::clone(&own),
                    charge,
                };
                let said = match outcome {
                    outcome @ Outcome::Declined { .. } => Said::TakenBack {
                        unheard: Some(outcome),
                        reference: own,
                        amount_minor: minor,
                    },
                    outcome => Said::Became(outcome),
                };
                return Some((operation, named, said));
            }
        };
        Some((operation, of_charge, said))
    }

    fn released(&self, charge: &ProviderReference, asked_minor: i128) -> Said {
        let made = self
            .charges
            .get(charge)
            .filter(|charge| charge.authorized_minor > 0);
        let taken_minor = made.map_or(0, |charge| charge.captured_minor);
        Said::Released {
            transaction: made.map(|_| transaction_of(charge)),
            released_minor: made.map_or(asked_minor, |charge| charge.authorized_minor - taken_minor),
            taken_minor,
            is_closed: true,
        }
    }

    /// What it calls what it did. Whoever writes by keys has one name for this and for the object, so that nothing is taken for something
    /// else; whoever writes of objects releases what was charged by its name.
    pub(super) fn transaction(&self, request: &AttemptRequest) -> ProviderReference {
        let own = reference(&request.key);
        match (self.speaks, request.kind, &request.parent) {
            (Speaks::OfKeys, _, _) => own,
            (Speaks::OfObjects, OperationKind::Void, Some(parent)) => {
                let made = self.charges.get(&parent.reference);
                if made.is_some_and(|charge| charge.authorized_minor > 0) {
                    transaction_of(&parent.reference)
                } else {
                    Arc::clone(&parent.reference)
                }
            }
            (Speaks::Never | Speaks::OfObjects, _, _) => transaction_of(&own),
        }
    }

    /// It undoes what it has just done.
    pub(super) fn take_back(&mut self, request: &AttemptRequest) {
        let can = match request.kind {
            OperationKind::Capture | OperationKind::Refund => true,
            OperationKind::Sale
            | OperationKind::Authorize
            | OperationKind::Increment
            | OperationKind::Void
            | OperationKind::Reversal => false,
        };
        let is_reversal = matches!(request.operation, OperationId::Reversal(_));
        if !can || is_reversal || self.speaks != Speaks::OfKeys || !self.world.hits(Fault::TakenBack) {
            return;
        }
        let Some(deed) = self.deeds.last_mut().filter(|deed| !deed.is_other) else {
            return;
        };
        deed.is_taken_back = true;
        let said = Said::TakenBack {
            unheard: None,
            reference: reference(&request.key),
            amount_minor: request.amount.minor(),
        };
        self.say(request, said);
    }
}

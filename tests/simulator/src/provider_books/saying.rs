//! Owns what a simulated provider says by itself of its books, and what it says that is not so.

use super::{Books, State, reference};
use crate::fault::Fault;
use florin_domain::ids::OperationId;
use florin_domain::payment::OperationKind;
use florin_domain::ports::AttemptRequest;
use florin_domain::provider::{Named, Notice, Outcome, ProviderKey, Said, Signer};
use std::sync::Arc;

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
        let said = match self.word(&request) {
            // Nothing that anybody would write about.
            Outcome::Unknown { .. } => return,
            outcome => Said::Became(outcome),
        };
        self.say(&request, said);
    }

    fn say(&self, request: &AttemptRequest, said: Said) {
        if !self.notifies {
            return;
        }
        let is_certain = self.denied.contains(&request.key) || matches!(said, Said::TakenBack { .. });
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
            operation: request.operation,
            attempt: Named::KeyEnd(Arc::clone(&request.key)),
            currency: request.currency,
            said,
        };
        self.world.post(notice, is_certain);
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
        if !can || is_reversal || !self.notifies || !self.world.hits(Fault::TakenBack) {
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

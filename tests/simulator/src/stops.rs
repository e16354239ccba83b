//! Owns what operators have stopped, from the moment at which they were told so: whatever is decided later keeps to it.

use crate::clock::lock;
use crate::tally::went_on;
use florin_domain::commit::{Commit, PaymentCommit};
use florin_domain::ids::{MerchantId, OperationId};
use florin_domain::payment::Event;
use florin_domain::provider::ProviderId;
use florin_domain::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Something that operators decide.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stop {
    /// A provider gets no new charges.
    Provider(ProviderId),
    /// A merchant takes no money.
    Merchant(MerchantId),
    /// A customer is on the block list.
    Blocked(Arc<str>),
    /// A customer is on the allow list as well.
    Allowed(Arc<str>),
}

/// All that is stopped, and since when by the clock of the process.
#[derive(Debug, Default)]
pub(crate) struct Stopped(Mutex<BTreeMap<Stop, Timestamp>>);

impl Stopped {
    /// Somebody was told that it is stopped.
    pub(crate) fn stop(&self, what: Stop, now: Timestamp) {
        lock(&self.0).entry(what).or_insert(now);
    }

    /// Somebody is about to let it go on.
    pub(crate) fn let_go(&self, what: &Stop) {
        lock(&self.0).remove(what);
    }

    /// What a commit says that was decided although it was stopped. A decision in the same millisecond may have come first.
    pub(crate) fn broken(
        &self,
        commit: &Commit,
        body: &PaymentCommit,
        merchant: Option<MerchantId>,
    ) -> Vec<String> {
        let stopped = lock(&self.0);
        let is_stopped = |what: &Stop| stopped.get(what).is_some_and(|since| *since < commit.at);
        let mut wrong = Vec::new();
        for event in &body.events {
            if let Event::AttemptPlanned {
                operation: OperationId::Authorize(_),
                provider,
                ..
            } = event
                && is_stopped(&Stop::Provider(*provider))
            {
                wrong.push(format!(
                    "{} is charged at {provider}, which is disabled",
                    body.payment
                ));
            }
            if *event == Event::ReviewApproved
                && merchant.is_some_and(|merchant| is_stopped(&Stop::Merchant(merchant)))
            {
                wrong.push(format!(
                    "{} is let pass for a merchant that is frozen",
                    body.payment
                ));
            }
            if let Event::AttemptPlanned {
                operation: OperationId::Authorize(_),
                ..
            } = event
                && went_on(&body.events).is_some()
                && merchant.is_some_and(|merchant| is_stopped(&Stop::Merchant(merchant)))
            {
                wrong.push(format!(
                    "{} goes on elsewhere for a merchant that is frozen",
                    body.payment
                ));
            }
            if let Event::Created { spec, .. } = event
                && let Some(customer) = &spec.customer
            {
                let is_blocked = is_stopped(&Stop::Blocked(Arc::clone(customer)));
                let is_allowed = stopped.contains_key(&Stop::Allowed(Arc::clone(customer)));
                if is_blocked && !is_allowed && !body.events.contains(&Event::Blocked) {
                    wrong.push(format!(
                        "{} is of {customer}, who is on the block list",
                        body.payment
                    ));
                }
            }
        }
        wrong
    }
}

//! Payments that nobody has confirmed yet: they are made and changed without anybody being asked for money.

use super::command::Command;
use super::decide::Decision;
use super::event::Event;
use super::refusal::Refusal;
use super::state::{Payment, Spec, Status};
use crate::ledger::PostingProfile;
use crate::limits::METADATA_ENTRIES_MAX;
use crate::method::PaymentMethod;
use crate::money::Amount;
use std::sync::Arc;

/// The merchant's own pairs, in the order sent.
type Metadata = Vec<(Arc<str>, Arc<str>)>;

/// What is to be said of a payment from now on; whatever is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amendment {
    /// How much; of a draft only.
    pub amount: Option<Amount>,
    /// How it will be paid; of a draft only.
    pub method: Option<PaymentMethod>,
    /// Free text, or none any more.
    pub description: Option<Option<Arc<str>>>,
    /// The merchant's pairs to be set; one with an empty value is taken away.
    pub metadata: Metadata,
}

/// What may be changed, as it is after a change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    pub(super) amount: Amount,
    pub(super) method: Option<&'a PaymentMethod>,
    pub(super) description: Option<&'a Arc<str>>,
    pub(super) metadata: &'a [(Arc<str>, Arc<str>)],
}

impl Payment {
    /// Nobody has confirmed it, so nobody was asked for anything.
    pub fn is_draft(&self) -> bool {
        let waits = match self.status {
            Status::RequiresPaymentMethod | Status::RequiresConfirmation => true,
            Status::RequiresAction(_)
            | Status::InReview { .. }
            | Status::Processing
            | Status::Authorized
            | Status::Succeeded
            | Status::Failed
            | Status::Blocked
            | Status::Voided => false,
        };
        waits && self.operations.is_empty() && self.risk.is_none()
    }

    /// Where it stands another method may be tried, unless something is under way.
    pub fn takes_method(&self) -> bool {
        self.status.takes_method()
    }

    /// Whether it may be confirmed now, with whatever method.
    pub fn may_be_confirmed(&self) -> bool {
        self.status.takes_method() && self.may_charge()
    }

    /// With which method it is confirmed by somebody who names none: that of a draft, never one that was declined.
    pub fn method_to_confirm(&self) -> Option<&PaymentMethod> {
        self.method.as_ref().filter(|_| self.is_draft())
    }
}

/// What an event begins a payment with: what was asked for, the method, and where it stands.
pub(super) fn begun(event: &Event) -> Option<(&Arc<Spec>, Option<PaymentMethod>, Status)> {
    if let Event::Created { spec, method } = event {
        return Some((spec, Some(method.clone()), Status::Processing));
    }
    let Event::Drafted { spec, method } = event else {
        return None;
    };
    Some((spec, method.clone(), status(method.as_ref())))
}

/// The status of a draft.
pub(super) const fn status(method: Option<&PaymentMethod>) -> Status {
    match method {
        Some(_) => Status::RequiresConfirmation,
        None => Status::RequiresPaymentMethod,
    }
}

/// Makes it, if that is what is asked for. The usual way to book it is said by saying nothing.
pub(super) fn draft(command: Command) -> Result<Decision, Refusal> {
    let Command::Draft {
        spec,
        method,
        profile,
    } = command
    else {
        return Err(Refusal::NoSuchPayment);
    };
    let mut events = vec![Event::Drafted { spec, method }];
    if profile != PostingProfile::default() {
        events.push(Event::PostingProfileChosen { profile });
    }
    Ok(Decision::events(events))
}

/// Changes it: what it costs and how it is paid only before it is confirmed, what is said about it at any time.
pub(super) fn amend(payment: &Payment, amendment: Amendment) -> Result<Decision, Refusal> {
    let spec = &payment.spec;
    let Amendment {
        amount,
        method,
        description,
        metadata,
    } = amendment;
    if (amount.is_some() || method.is_some()) && !payment.is_draft() {
        return Err(Refusal::WrongStatus);
    }
    let amended = Event::Amended {
        amount: amount.unwrap_or(spec.amount),
        method: method.or_else(|| payment.method.clone()),
        description: description.unwrap_or_else(|| spec.description.clone()),
        metadata: merged(&spec.metadata, metadata)?,
    };
    let changes_nothing = matches!(&amended, Event::Amended { amount, method, description, metadata }
        if *amount == spec.amount && *method == payment.method && *description == spec.description && *metadata == spec.metadata);
    Ok(if changes_nothing {
        Decision::default()
    } else {
        Decision::events(vec![amended])
    })
}

/// The merchant's pairs after some of them were set or taken away, in the order in which they came first.
fn merged(present: &[(Arc<str>, Arc<str>)], changes: Metadata) -> Result<Metadata, Refusal> {
    let mut pairs = present.to_vec();
    for (name, value) in changes {
        match pairs.iter().position(|(known, _)| *known == name) {
            Some(at) if value.is_empty() => drop(pairs.remove(at)),
            Some(at) => {
                if let Some(pair) = pairs.get_mut(at) {
                    pair.1 = value;
                }
            }
            None if value.is_empty() => {}
            None => pairs.push((name, value)),
        }
    }
    if pairs.len() > METADATA_ENTRIES_MAX {
        return Err(Refusal::TooMuchMetadata);
    }
    Ok(pairs)
}

/// What was amended holds from now on.
pub(super) fn amended(payment: &mut Payment, terms: Terms<'_>) -> Result<(), &'static str> {
    let changes_terms = terms.amount != payment.spec.amount || terms.method != payment.method.as_ref();
    if changes_terms {
        if !payment.is_draft() {
            return Err("it was confirmed already");
        }
        payment.method = terms.method.cloned();
        payment.status = status(terms.method);
    }
    let spec = Arc::make_mut(&mut payment.spec);
    spec.amount = terms.amount;
    spec.description = terms.description.cloned();
    spec.metadata = terms.metadata.to_vec();
    Ok(())
}

/// It is to be paid.
pub(super) fn confirmed(payment: &mut Payment, method: &PaymentMethod) -> Result<(), &'static str> {
    if !payment.is_draft() {
        return Err("it was confirmed already");
    }
    payment.method = Some(method.clone());
    payment.status = Status::Processing;
    Ok(())
}

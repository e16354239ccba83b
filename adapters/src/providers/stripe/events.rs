//! What Stripe's events say. An event shows an object as it stood when something happened to it. It is read like the answer to a look at
//! that object, without knowing the attempt: which one is meant follows from the object's name and from what we wrote into its metadata,
//! never from its sums.
//!
//! A charge is told by its transaction, so that the same one is never taken for two: an event of an old version of Stripe's API, whose
//! intents do not name their charge, is a reason to ask and nothing else.

use super::objects::Status;
use super::request::is_object_id;
use super::wire::{Charge, Event, EventOf, Intent, Labelled, Metadata, Refund, Text};
use crate::providers::exchange::shortened;
use florin_domain::ids::{CaptureId, IncrementId, OperationId, PaymentId, RefundId, ReversalId};
use florin_domain::money::Currency;
use florin_domain::provider::{
    Named, Notice, NoticeRefusal, Outcome, ProviderId, ProviderReference, Said, Signer,
};
use std::sync::Arc;

/// An event whose signature is known.
#[derive(Debug)]
pub(super) struct Opened<'a> {
    pub(super) livemode: bool,
    kind: Text<'a>,
    body: &'a [u8],
}

/// What an event says of one operation.
#[derive(Debug)]
pub(super) struct Told {
    payment: PaymentId,
    operation: OperationId,
    attempt: Named,
    currency: Currency,
    said: Said,
}

impl Told {
    pub(super) fn noticed(self, provider: ProviderId, signer: Signer) -> Notice {
        Notice {
            provider,
            signer,
            payment: self.payment,
            operation: self.operation,
            attempt: self.attempt,
            currency: self.currency,
            said: self.said,
        }
    }
}

/// Which object an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Intent,
    /// A charge that was made.
    Charge,
    /// A charge about which an event of its intent or of a refund says more.
    Hint,
    Refund,
    /// What nobody asked for here.
    Dispute,
}

/// Nothing for all others: they are acknowledged, and say nothing that decides.
fn shown(kind: &str) -> Option<Shown> {
    Some(match kind {
        "payment_intent.succeeded"
        | "payment_intent.payment_failed"
        | "payment_intent.canceled"
        | "payment_intent.amount_capturable_updated"
        | "payment_intent.requires_action"
        | "payment_intent.processing" => Shown::Intent,
        "charge.succeeded" => Shown::Charge,
        "charge.failed" | "charge.captured" | "charge.refunded" => Shown::Hint,
        "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => Shown::Refund,
        kind if kind.starts_with("charge.dispute.") => Shown::Dispute,
        _ => return None,
    })
}

const fn malformed(field: &'static str) -> NoticeRefusal {
    NoticeRefusal::Malformed {
        field,
        why: "is not as Stripe's events have it",
    }
}

/// Reads the envelope.
pub(super) fn parse(body: &[u8]) -> Result<Opened<'_>, NoticeRefusal> {
    let event: Event<'_> = serde_json::from_slice(body).map_err(|_| malformed("type"))?;
    Ok(Opened {
        livemode: event.livemode,
        kind: event.kind,
        body,
    })
}

/// The payment that a body names, whoever wrote it.
pub(super) fn payment_named(body: &[u8]) -> Option<PaymentId> {
    let event: EventOf<Labelled<'_>> = serde_json::from_slice(body).ok()?;
    payment_of(event.data.object.metadata.as_ref())
}

/// What it says, of each operation that it is about.
pub(super) fn told(event: &Opened<'_>) -> Result<Vec<Told>, NoticeRefusal> {
    let Some(shown) = shown(&event.kind) else {
        return Ok(Vec::new());
    };
    let unreadable = |_| malformed("data.object");
    let told = match shown {
        Shown::Intent => {
            let event: EventOf<Intent<'_>> = serde_json::from_slice(event.body).map_err(unreadable)?;
            of_intent(&event.data.object)
        }
        Shown::Charge | Shown::Hint => {
            let event: EventOf<Charge<'_>> = serde_json::from_slice(event.body).map_err(unreadable)?;
            of_charge(&event.data.object, shown)
        }
        Shown::Refund => {
            let event: EventOf<Refund<'_>> = serde_json::from_slice(event.body).map_err(unreadable)?;
            of_refund(&event.data.object).map(|told| vec![told])
        }
        Shown::Dispute => {
            tracing::error!(
                event = &*event.kind,
                "a charge is disputed at Stripe; the books do not show it"
            );
            None
        }
    };
    Ok(told.unwrap_or_default())
}

fn payment_of(metadata: Option<&Metadata<'_>>) -> Option<PaymentId> {
    PaymentId::parse(metadata?.get("payment_id")?).ok()
}

fn reference(id: &str) -> Option<ProviderReference> {
    is_object_id(id).then(|| Arc::from(id))
}

/// What an intent's events have in common.
struct Seen<'a> {
    intent: &'a Intent<'a>,
    payment: PaymentId,
    reference: ProviderReference,
    /// The charge.
    transaction: Option<ProviderReference>,
    currency: Currency,
    received_minor: i128,
}

impl Seen<'_> {
    fn told(&self, operation: OperationId, said: Said) -> Told {
        Told {
            payment: self.payment,
            operation,
            attempt: Named::Charge(Arc::clone(&self.reference)),
            currency: self.currency,
            said,
        }
    }

    fn of_charge(&self, said: Said) -> Vec<Told> {
        vec![self.told(OperationId::Authorize(self.payment), said)]
    }

    fn succeeded(&self, amount_minor: i128) -> Said {
        let reference = Arc::clone(&self.reference);
        match self.transaction.clone() {
            Some(transaction) => Said::Became(Outcome::Succeeded {
                reference,
                transaction,
                amount_minor,
            }),
            None => Said::Changed,
        }
    }

    /// Captures that are recorded in the intent, each with what is its own: the total less the other records.
    fn captures(&self, said: impl Fn(i128) -> Said) -> Vec<Told> {
        let Some(records) = self.records() else {
            return self.of_charge(Said::Changed);
        };
        let total_minor: i128 = records.iter().map(|(_, minor)| minor).sum();
        let of_record = |(capture, minor): &(CaptureId, i128)| {
            let own_minor = self.received_minor - (total_minor - minor);
            let said = if own_minor < 0 {
                Said::Changed
            } else {
                said(own_minor)
            };
            self.told(OperationId::Capture(*capture), said)
        };
        records.iter().map(of_record).collect()
    }

    /// Nothing if one of them cannot be read: then none can be told from the others.
    fn records(&self) -> Option<Vec<(CaptureId, i128)>> {
        let pairs = self.intent.metadata.iter().flat_map(Metadata::pairs);
        pairs
            .filter(|(name, _)| name.starts_with(CaptureId::PREFIX))
            .map(|(name, value)| Some((CaptureId::parse(name).ok()?, value.parse::<u64>().ok()?.into())))
            .collect()
    }

    fn released(&self, is_closed: bool) -> Option<Told> {
        let released_minor = i128::from(self.intent.amount_minor) - self.received_minor;
        let said = Said::Released {
            transaction: self.transaction.clone(),
            released_minor,
            taken_minor: self.received_minor,
            is_closed,
        };
        let operation = OperationId::Authorize(self.payment);
        (released_minor > 0).then(|| self.told(operation, said))
    }

    /// The authorization that grew last.
    fn increment(&self) -> Option<Told> {
        let metadata = self.intent.metadata.as_ref()?;
        let increment = IncrementId::parse(metadata.get("operation_id")?).ok()?;
        let total_minor = i128::from(self.intent.amount_minor);
        Some(self.told(OperationId::Increment(increment), self.succeeded(total_minor)))
    }

    fn reserved(&self) -> Said {
        let (Some(transaction), Some(capturable_minor)) =
            (self.transaction.clone(), self.intent.capturable_minor)
        else {
            return Said::Changed;
        };
        Said::Reserved {
            reference: Arc::clone(&self.reference),
            transaction,
            amount_minor: capturable_minor.into(),
        }
    }

    fn declined(&self) -> Option<Said> {
        let error = self.intent.last_payment_error.as_ref()?;
        let word = error.decline_code.as_deref().or(error.code.as_deref());
        Some(Said::Became(Outcome::Declined {
            decline_code: Arc::from(shortened(word.unwrap_or("generic_decline"))),
            reference: Some(Arc::clone(&self.reference)),
            network: error.network(),
        }))
    }
}

/// Nothing if it is none of ours.
fn of_intent(intent: &Intent<'_>) -> Option<Vec<Told>> {
    let seen = Seen {
        payment: payment_of(intent.metadata.as_ref())?,
        reference: reference(&intent.id)?,
        transaction: intent.latest_charge.as_deref().and_then(reference),
        currency: Currency::parse(&intent.currency).ok()?,
        received_minor: intent.received_minor.unwrap_or(0).into(),
        intent,
    };
    let is_manual = intent.capture_method.as_deref() == Some("manual");
    let pending = || {
        Said::Became(Outcome::Pending {
            reference: Arc::clone(&seen.reference),
        })
    };
    let taken = |own_minor| seen.succeeded(own_minor);
    Some(match (Status::parse(&intent.status)?, is_manual) {
        (Status::Succeeded, false) => {
            // Every version names what it received.
            intent.received_minor?;
            seen.of_charge(taken(seen.received_minor))
        }
        (Status::Succeeded, true) => {
            intent.received_minor?;
            seen.captures(taken)
                .into_iter()
                .chain(seen.released(false))
                .collect()
        }
        (Status::RequiresCapture, _) => {
            let grown_or_taken = seen.increment().into_iter().chain(seen.captures(taken));
            seen.of_charge(seen.reserved())
                .into_iter()
                .chain(grown_or_taken)
                .collect()
        }
        (Status::RequiresAction, _) => seen.of_charge(Said::Became(Outcome::ActionRequired {
            reference: Arc::clone(&seen.reference),
            redirect_url: None,
        })),
        (Status::Processing, false) => seen.of_charge(pending()),
        (Status::Processing, true) => seen.captures(|_| pending()),
        (Status::RequiresPaymentMethod, _) => seen.declined().map(|said| seen.of_charge(said))?,
        (Status::Canceled, _) => seen
            .captures(taken)
            .into_iter()
            .chain(seen.released(true))
            .collect(),
        (Status::RequiresConfirmation, _) => return None,
    })
}

/// Nothing if it is none of ours.
fn of_charge(charge: &Charge<'_>, shown: Shown) -> Option<Vec<Told>> {
    let intent = reference(charge.payment_intent.as_deref()?)?;
    let transaction = reference(&charge.id)?;
    let payment = payment_of(charge.metadata.as_ref())?;
    let said = match (shown, charge.captured) {
        (Shown::Charge, true) => Said::Became(Outcome::Succeeded {
            reference: Arc::clone(&intent),
            transaction,
            amount_minor: charge.captured_minor.unwrap_or(charge.amount_minor).into(),
        }),
        (Shown::Charge, false) => Said::Reserved {
            reference: Arc::clone(&intent),
            transaction,
            amount_minor: charge.amount_minor.into(),
        },
        (Shown::Intent | Shown::Hint | Shown::Refund | Shown::Dispute, _) => Said::Changed,
    };
    Some(vec![Told {
        payment,
        operation: OperationId::Authorize(payment),
        attempt: Named::Charge(intent),
        currency: Currency::parse(&charge.currency).ok()?,
        said,
    }])
}

/// Nothing if it is none of ours: what people give back at Stripe themselves has no operation.
fn of_refund(refund: &Refund<'_>) -> Option<Told> {
    let metadata = refund.metadata.as_ref();
    let payment = payment_of(metadata)?;
    let operation = metadata?.get("operation_id")?;
    let operation = RefundId::parse(operation)
        .map(OperationId::Refund)
        .or_else(|_| ReversalId::parse(operation).map(OperationId::Reversal))
        .ok()?;
    let own = reference(&refund.id)?;
    let amount_minor = i128::from(refund.amount_minor);
    let undone = |unheard| Said::TakenBack {
        unheard: Some(unheard),
        reference: Arc::clone(&own),
        amount_minor,
    };
    let said = match refund.status.as_deref()? {
        "succeeded" => Said::Became(Outcome::Succeeded {
            reference: Arc::clone(&own),
            transaction: Arc::clone(&own),
            amount_minor,
        }),
        "pending" | "requires_action" => Said::Became(Outcome::Pending {
            reference: Arc::clone(&own),
        }),
        "failed" => undone(Outcome::declined(
            Arc::from(shortened(
                refund.failure_reason.as_deref().unwrap_or("refund_failed"),
            )),
            Some(Arc::clone(&own)),
        )),
        "canceled" => undone(Outcome::Cancelled { reference: None }),
        _ => return None,
    };
    Some(Told {
        payment,
        operation,
        attempt: Named::Refund {
            refund: own,
            charge: reference(refund.payment_intent.as_deref()?)?,
        },
        currency: Currency::parse(&refund.currency).ok()?,
        said,
    })
}

#[cfg(test)]
mod tests;

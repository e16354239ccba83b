//! What a provider says of its objects. An object tells how it stood when the word was made, which may be long ago: words come twice, late
//! and in any order. So a word is believed of the attempt that made the object, or that does something to it, and only as far as what it
//! says cannot have been undone since. Whatever else may have changed is asked about.

use super::PaymentState;
use super::notice::{Heard, in_our_terms};
use florin_domain::ids::OperationId;
use florin_domain::money::Amount;
use florin_domain::payment::{
    Attempt, AttemptState, Command, MatterKind, Operation, OperationKind, Payment, Undoing,
};
use florin_domain::provider::{Named, Notice, Outcome, ProviderReference, Said};
use std::sync::Arc;

/// What is said of an object that holds nothing any more.
#[derive(Debug)]
struct Release {
    object: ProviderReference,
    transaction: Option<ProviderReference>,
    released_minor: i128,
    taken_minor: i128,
    is_closed: bool,
}

/// The attempt that a word is about, and whether its sum is in another currency than the payment's.
#[derive(Clone, Copy, Debug)]
struct About<'a> {
    payment: &'a Payment,
    op: &'a Operation,
    attempt: &'a Attempt,
    notice: &'a Notice,
}

impl About<'_> {
    fn is_foreign(&self) -> bool {
        self.notice.currency != self.payment.spec.currency
    }

    fn target(&self) -> (OperationId, u32) {
        (self.op.id, self.attempt.number)
    }

    /// The object that made the charge.
    fn charge(&self) -> &ProviderReference {
        match &self.notice.attempt {
            Named::KeyEnd(charge) | Named::Charge(charge) | Named::Refund { charge, .. } => charge,
        }
    }
}

impl PaymentState {
    /// A request of some attempt may be on its way: of those that are only unknown or pending, the schedule asks.
    pub(super) fn has_open_attempt(&self) -> bool {
        let payment = self.payment.as_ref();
        payment.is_some_and(|payment| {
            let mut unresolved = payment.unresolved();
            unresolved.any(|op| op.state() == Some(AttemptState::Open))
        })
    }

    /// What is said of an object.
    pub(super) fn told_of_object(&mut self, notice: &Notice) -> Heard {
        let Some(payment) = self.payment.clone() else {
            return Heard::NotOurs;
        };
        let Some((op, attempt)) = meant(&payment, notice) else {
            return Heard::NotOurs;
        };
        let about = About {
            payment: &payment,
            op,
            attempt,
            notice,
        };
        match notice.said.clone() {
            Said::Became(outcome) => self.became(about, outcome),
            Said::Reserved {
                reference,
                transaction,
                amount_minor,
            } => {
                if op.kind != OperationKind::Authorize {
                    return self.look_at(about);
                }
                // Closed objects stay closed: this word is the older one.
                if payment.has_let_go(op.id, attempt.number) {
                    return Heard::Nothing;
                }
                let outcome = Outcome::Succeeded {
                    reference,
                    transaction,
                    amount_minor,
                };
                self.succeeded(about, outcome)
            }
            Said::Released {
                transaction,
                released_minor,
                taken_minor,
                is_closed,
            } => {
                let release = Release {
                    object: Arc::clone(about.charge()),
                    transaction,
                    released_minor,
                    taken_minor,
                    is_closed,
                };
                self.released(about, &release)
            }
            Said::TakenBack {
                unheard,
                reference,
                amount_minor,
            } => self.taken_back(about, (reference, amount_minor), unheard),
            Said::Changed => self.look_at(about),
            // Nobody says that of an object.
            Said::NotClosed => Heard::Nothing,
        }
    }

    fn became(&mut self, about: About<'_>, outcome: Outcome) -> Heard {
        let About { op, attempt, .. } = about;
        match outcome {
            // What was taken of a hold is a capture's to say.
            Outcome::Succeeded { .. } if op.kind == OperationKind::Authorize => self.look_at(about),
            outcome @ Outcome::Succeeded { .. } => self.succeeded(about, outcome),
            Outcome::Declined {
                decline_code,
                reference,
                network: _,
            } if attempt.state == AttemptState::Succeeded => {
                let said = reference.unwrap_or(decline_code);
                let amount = (op.amount.minor(), about.notice.currency);
                let command = self.raise(about.target(), MatterKind::DeclinedAfterSuccess, said, amount);
                Heard::Word(Box::new(command))
            }
            // The answer that is awaited may be older than the end of the object: that is told again behind it.
            Outcome::Cancelled { .. } if self.is_driving(op.id) => Heard::TooEarly,
            // What was not answered before may not be answered now either, and then only this word ends it.
            Outcome::Declined { .. }
                if self.is_driving(op.id)
                    && attempt.state.is_unresolved()
                    && attempt.state != AttemptState::Open =>
            {
                Heard::TooEarly
            }
            // The answer that is awaited says the same, and whether the charge goes on elsewhere is decided with it.
            _ if self.is_driving(op.id) => Heard::Nothing,
            outcome @ (Outcome::Declined { .. } | Outcome::Cancelled { .. }) => self.hear_of(about, outcome),
            // Once it goes on, there is no way back to the challenge.
            outcome @ Outcome::Pending { .. } => match attempt.state {
                AttemptState::Open | AttemptState::Unknown | AttemptState::ActionRequired => {
                    self.hear_of(about, outcome)
                }
                AttemptState::Pending
                | AttemptState::Succeeded
                | AttemptState::Declined
                | AttemptState::NotSent
                | AttemptState::Rejected
                | AttemptState::Cancelled
                | AttemptState::GivenUp => Heard::Nothing,
            },
            // The customer may have passed it since.
            Outcome::ActionRequired { .. } => self.look_at(about),
            Outcome::NotSent { .. }
            | Outcome::RateLimited { .. }
            | Outcome::Rejected { .. }
            | Outcome::Unknown { .. } => Heard::Nothing,
        }
    }

    fn hear_of(&self, about: About<'_>, outcome: Outcome) -> Heard {
        let (operation, number) = about.target();
        Heard::Word(Box::new(Command::Hear {
            operation,
            number,
            reversal: self.reversal(operation, number, &outcome),
            outcome,
        }))
    }

    fn succeeded(&self, about: About<'_>, outcome: Outcome) -> Heard {
        let About {
            payment, op, attempt, ..
        } = about;
        let Outcome::Succeeded {
            reference,
            transaction,
            amount_minor,
        } = &outcome
        else {
            return Heard::Nothing;
        };
        // One object does one thing once.
        if attempt.state == AttemptState::Succeeded {
            return Heard::Nothing;
        }
        // A refund that failed does not succeed any more: this word is the older one.
        let is_refund = matches!(about.notice.attempt, Named::Refund { .. });
        let is_over = attempt.state.is_closed_without_charge();
        if is_refund && is_over && attempt.reference.as_ref() == Some(reference) {
            return Heard::Nothing;
        }
        if about.is_foreign() && is_over {
            let amount = (*amount_minor, about.notice.currency);
            let said = Arc::clone(transaction);
            let command = self.raise(about.target(), MatterKind::DoneInOtherCurrency, said, amount);
            return Heard::Word(Box::new(command));
        }
        let authorized_minor = (!about.is_foreign()).then_some(payment.authorized.minor());
        self.hear_of(about, in_our_terms(op, outcome, authorized_minor))
    }

    /// What was reserved is gone. That ends the payment's own void, or the reversal of this very object, if they wait for it; else it was
    /// nobody's here.
    fn released(&mut self, about: About<'_>, release: &Release) -> Heard {
        let About {
            payment, op, attempt, ..
        } = about;
        if !matches!(op.kind, OperationKind::Sale | OperationKind::Authorize) {
            return Heard::Nothing;
        }
        if let Some((waiting, waits)) = release.awaited(payment, attempt) {
            // By any other name than the charge's the answer that is awaited would look like another release.
            let Some(transaction) = release.of_charge(op, waiting) else {
                return self.look_at(about);
            };
            let outcome = Outcome::Succeeded {
                reference: Arc::clone(&release.object),
                transaction,
                amount_minor: release.released_minor,
            };
            let (op, attempt) = (waiting, waits);
            return self.hear_of(About { op, attempt, ..about }, outcome);
        }
        // What a last capture lets go is that capture's, and what was released by us is no news.
        if !release.is_closed || release.is_ours(payment, op, attempt) {
            return Heard::Nothing;
        }
        if attempt.state.is_unresolved() && release.taken_minor > 0 {
            return self.look_at(about);
        }
        // Nothing was ever made that could be told of late.
        if attempt.state.is_closed_without_charge() && release.transaction.is_none() {
            return Heard::Nothing;
        }
        let reference = release.transaction.clone();
        let unheard = Some(Outcome::Cancelled { reference });
        let amount_minor = if attempt.state.is_unresolved() {
            op.amount.minor()
        } else {
            release.released_minor
        };
        let name = release.of_charge(op, op).unwrap_or(release.object.clone());
        self.taken_back(about, (name, amount_minor), unheard)
    }

    fn taken_back(
        &self,
        about: About<'_>,
        (reference, amount_minor): (ProviderReference, i128),
        unheard: Option<Outcome>,
    ) -> Heard {
        let About { op, attempt, .. } = about;
        // The answer that is awaited may be older than this, and whether the charge goes on elsewhere is decided with it: this is
        // told again behind it.
        if attempt.state.is_unresolved() && self.is_driving(op.id) {
            return Heard::TooEarly;
        }
        if about.is_foreign() {
            let amount = (amount_minor, about.notice.currency);
            let kind = MatterKind::UndoneInOtherCurrency;
            return Heard::Word(Box::new(self.raise(about.target(), kind, reference, amount)));
        }
        let (operation, number) = about.target();
        Heard::Word(Box::new(Command::TakeBack(Undoing {
            operation,
            number,
            amount: Amount::new(amount_minor).unwrap_or(op.amount),
            reference,
            unheard,
        })))
    }

    /// An answer to what was asked before the object of a hold was closed: closed objects stay closed, so the hold went with it. Where a
    /// transaction is an object of its own, it may be another one.
    pub(super) fn is_older_than_end(
        &self,
        (operation, number): (OperationId, u32),
        outcome: &Outcome,
    ) -> bool {
        let Outcome::Succeeded {
            reference,
            transaction,
            ..
        } = outcome
        else {
            return false;
        };
        let Some(payment) = self.payment.as_ref().filter(|_| reference != transaction) else {
            return false;
        };
        let op = payment.operation(operation);
        let hold = op.filter(|op| op.kind == OperationKind::Authorize);
        let attempt = hold.and_then(|op| op.attempt_numbered(number));
        let is_same = attempt.is_some_and(|attempt| attempt.reference.as_ref() == Some(reference));
        is_same && payment.has_let_go(operation, number)
    }

    /// Asks about whatever waits for a word about this charge. The word itself is acknowledged: nothing follows from it alone, and what is
    /// open is asked about for as long as it is.
    fn look_at(&mut self, about: About<'_>) -> Heard {
        let provider = about.notice.provider;
        for op in about.payment.unresolved() {
            let is_asked_about = op.attempt.as_ref().is_some_and(|attempt| {
                let waits = matches!(attempt.state, AttemptState::Unknown | AttemptState::Pending);
                let charge = charge_of(about.payment, op, attempt);
                waits && attempt.provider == provider && charge == Some(about.charge())
            });
            if is_asked_about && !self.is_driving(op.id) {
                self.query(op.id);
            }
        }
        Heard::Nothing
    }
}

impl Release {
    /// The transaction that made the charge, as the word has it or as it is known here: some words do not name it.
    fn of_charge(&self, charge: &Operation, waiting: &Operation) -> Option<ProviderReference> {
        let known = match &waiting.reverses {
            Some(reversed) => Some(&reversed.transaction),
            None => charge.transaction.as_ref(),
        };
        self.transaction.as_ref().or(known).cloned()
    }

    /// The void or the reversal that waits for this. A void is of the object that holds the money now, and of no earlier attempt's.
    fn awaited<'a>(&self, payment: &'a Payment, charge: &Attempt) -> Option<(&'a Operation, &'a Attempt)> {
        let is_held_there = payment.provider_reference() == Some(&self.object);
        let waiting = payment.unresolved().find(|op| match op.kind {
            OperationKind::Void => is_held_there && payment.holding_provider() == Some(charge.provider),
            OperationKind::Reversal => {
                let reversed = op.reverses.as_ref();
                op.asked_kind() == OperationKind::Void
                    && reversed.is_some_and(|reversed| {
                        reversed.reference == self.object && reversed.provider == charge.provider
                    })
            }
            OperationKind::Sale
            | OperationKind::Authorize
            | OperationKind::Capture
            | OperationKind::Refund
            | OperationKind::Increment => false,
        })?;
        Some((waiting, waiting.attempt.as_ref()?))
    }

    /// A void, a last capture or a reversal of ours has released it before.
    fn is_ours(&self, payment: &Payment, charge: &Operation, attempt: &Attempt) -> bool {
        let is_latest = charge.attempts == attempt.number;
        let by_other = payment.operations.iter().any(|op| {
            let reversed = op.reverses.as_ref();
            let is_about_it = match op.kind {
                OperationKind::Void => is_latest,
                OperationKind::Reversal => reversed.is_some_and(|reversed| reversed.reference == self.object),
                OperationKind::Sale
                | OperationKind::Authorize
                | OperationKind::Capture
                | OperationKind::Refund
                | OperationKind::Increment => false,
            };
            is_about_it && op.state() == Some(AttemptState::Succeeded)
        });
        by_other || is_latest && payment.capture_closed && payment.captured.minor() > 0
    }
}

/// The object of the charge that an attempt makes, or does something to.
fn charge_of<'a>(
    payment: &'a Payment,
    op: &'a Operation,
    attempt: &'a Attempt,
) -> Option<&'a ProviderReference> {
    match op.kind {
        OperationKind::Sale | OperationKind::Authorize => attempt.reference.as_ref(),
        OperationKind::Capture | OperationKind::Void | OperationKind::Refund | OperationKind::Increment => {
            payment.provider_reference()
        }
        OperationKind::Reversal => op.reverses.as_ref().map(|reversed| &reversed.reference),
    }
}

/// The attempt at this provider that the object names.
fn meant<'a>(payment: &'a Payment, notice: &Notice) -> Option<(&'a Operation, &'a Attempt)> {
    let op = payment.operation(notice.operation)?;
    let here = |attempt: &&Attempt| attempt.provider == notice.provider;
    let attempts = || (1..=op.attempts).filter_map(|number| op.attempt_numbered(number));
    let attempt = match &notice.attempt {
        Named::KeyEnd(_) => None,
        Named::Charge(object) if matches!(op.kind, OperationKind::Sale | OperationKind::Authorize) => {
            attempts()
                .filter(here)
                .find(|attempt| attempt.reference.as_ref() == Some(object))
        }
        Named::Charge(object) => {
            let attempt = op.attempt.as_ref().filter(here);
            attempt.filter(|attempt| charge_of(payment, op, attempt) == Some(object))
        }
        Named::Refund { refund, charge } => {
            if !matches!(op.asked_kind(), OperationKind::Refund) {
                return None;
            }
            let of_charge = |attempt: &&Attempt| charge_of(payment, op, attempt) == Some(charge);
            let named = attempts().find(|attempt| attempt.reference.as_ref() == Some(refund));
            // Its name was in an answer that did not come.
            let nameless = || op.attempt.as_ref().filter(|attempt| attempt.reference.is_none());
            named.or_else(nameless).filter(here).filter(of_charge)
        }
    };
    Some((op, attempt?))
}

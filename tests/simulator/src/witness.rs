//! Owns the comparison of the payments with what providers have really done: what is said to be done was done once, what is said not to
//! be done was not, and what a provider did after all was given back, or is in suspense with an alert.

use crate::clock::lock;
use crate::life::Run;
use crate::provider_books::Deed;
use crate::shop::is_charge;
use florin_domain::ids::{OperationId, PaymentId};
use florin_domain::ledger::{AccountKey, AccountName};
use florin_domain::money::Currency;
use florin_domain::payment::{Attempt, AttemptState, Event, Operation, OperationKind, Payment};
use florin_domain::ports::Provider;
use florin_domain::provider::ProviderKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything that providers did, by the key under which they did it; each with whether it was let go of again.
type Done = BTreeMap<ProviderKey, Vec<(Deed, bool)>>;

/// What operators should have been alerted of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Due {
    late_successes: u64,
    late_reversals: u64,
}

/// The reversal of a late charge.
fn reversal_of(payment: &Payment, of: OperationId, number: u32) -> Option<&Operation> {
    payment.operations.iter().find(|operation| {
        let reversed = operation.reverses.as_ref();
        reversed.is_some_and(|reversed| (reversed.of, reversed.number) == (of, number))
    })
}

fn attempts(operation: &Operation) -> impl Iterator<Item = &Attempt> {
    operation.earlier.iter().chain(&operation.attempt)
}

/// A charge that was made although its provider had said that it was not, or would not be: known as late.
fn is_late(operation: &Operation, attempt: &Attempt, deed: &Deed) -> bool {
    let is_known = operation.late.iter().any(|late| late.number == attempt.number);
    deed.is_denied && is_known && attempt.state != AttemptState::Succeeded
}

/// Compares one operation with what was done of it.
fn operation_wrong(payment: &Payment, operation: &Operation, done: &mut Done) -> Vec<String> {
    let (mut wrong, mut times, mut is_released, mut is_other) = (Vec::new(), 0_u64, false, false);
    for attempt in attempts(operation) {
        let deeds = done.remove(&attempt.key).unwrap_or_default();
        for (deed, released) in deeds {
            if is_late(operation, attempt, &deed) {
                if reversal_of(payment, operation.id, attempt.number).is_none() {
                    wrong.push(format!(
                        "{} was charged late under {} and nobody gives it back",
                        operation.id, attempt.key
                    ));
                }
                continue;
            }
            times += 1;
            is_other |= deed.is_other;
            is_released |= released && is_charge(deed.kind);
        }
    }
    let said = u64::from(operation.state() == Some(AttemptState::Succeeded));
    if said == 1 && is_other {
        wrong.push(format!(
            "{} was done for another amount and has succeeded",
            operation.id
        ));
    }
    // A void may meet an authorization that nobody knows of yet: then nothing is held, and nothing was authorized.
    let came_to_nothing = said == 0 && times == 1 && is_released;
    if times != said && !came_to_nothing && !operation.is_unresolved() {
        let state = operation.state();
        wrong.push(format!(
            "{} was done {times} times and is {state:?}",
            operation.id
        ));
    }
    wrong
}

impl Run {
    fn done(&self) -> Done {
        let mut done = Done::new();
        for (deed, is_released) in self.providers.iter().flat_map(|provider| provider.deeds()) {
            done.entry(Arc::clone(&deed.key))
                .or_default()
                .push((deed, is_released));
        }
        done
    }

    /// What was really done is what the payments say.
    pub(crate) fn check_witness(&self) {
        let mut done = self.done();
        let mut wrong = Vec::new();
        {
            let journaled = lock(&self.world.journaled);
            let payments = journaled
                .payments
                .values()
                .filter_map(|history| history.states.last());
            for payment in payments {
                for operation in &payment.operations {
                    wrong.extend(operation_wrong(payment, operation, &mut done));
                }
            }
        }
        wrong.extend(
            done.into_keys()
                .map(|key| format!("{key} was done and is in no journal")),
        );
        for what in wrong {
            self.world.breach(what);
        }
    }

    /// Keys of what is not resolved yet and in no books: a challenge that was passed just now, or what was done for another amount.
    fn open(&self) -> BTreeSet<ProviderKey> {
        lock(&self.world.journaled)
            .payments
            .values()
            .filter_map(|history| history.states.last())
            .flat_map(|payment| {
                payment
                    .unresolved()
                    .filter_map(|operation| operation.attempt.as_ref())
            })
            .map(|attempt| Arc::clone(&attempt.key))
            .collect()
    }

    /// Provider clearing against the providers' own books.
    pub(crate) fn owed_wrong(&self, held: &BTreeMap<AccountKey, i128>) -> Vec<String> {
        let open = self.open();
        let mut wrong = Vec::new();
        for provider in &self.providers {
            let mut sums = BTreeMap::new();
            for (deed, _) in provider.deeds() {
                if deed.is_taken_back || open.contains(&deed.key) {
                    continue;
                }
                *sums.entry(deed.currency).or_insert(0) += moved_minor(&deed);
            }
            for (currency, minor) in sums {
                let key = AccountKey {
                    name: AccountName::ProviderClearing(provider.capabilities().id),
                    currency,
                    livemode: false,
                };
                let owed = held.get(&key).copied().unwrap_or(0);
                if owed != minor {
                    wrong.push(format!("{key} holds {owed} and the provider took {minor}"));
                }
            }
        }
        wrong
    }

    /// In suspense is what was charged late and not given back, and what providers have undone.
    pub(crate) fn suspense_wrong(&self, held: &BTreeMap<AccountKey, i128>) -> Vec<String> {
        let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
        let done = self.done();
        {
            let journaled = lock(&self.world.journaled);
            let latest = |id: &PaymentId| journaled.latest(*id);
            for payment in journaled.payments.keys().filter_map(latest) {
                for operation in &payment.operations {
                    for attempt in attempts(operation) {
                        let deeds = done.get(&attempt.key).map_or(&[][..], Vec::as_slice);
                        let minor: i128 = deeds
                            .iter()
                            .map(|(deed, _)| suspended_minor((payment, operation, attempt), deed))
                            .sum();
                        *sums.entry(payment.spec.currency).or_default() += minor;
                    }
                }
            }
        }
        let mut wrong = Vec::new();
        for currency in [Currency::USD, Currency::EUR] {
            let key = AccountKey {
                name: AccountName::Suspense,
                currency,
                livemode: false,
            };
            let (is, due) = (
                held.get(&key).copied().unwrap_or(0),
                sums.get(&currency).copied().unwrap_or(0),
            );
            if is != due {
                wrong.push(format!("{key} holds {is} and {due} waits for somebody"));
            }
        }
        wrong
    }

    /// Late words in the journals, and what was alerted of them so far.
    pub(crate) fn alarms_due(&self) -> (Due, Due) {
        let (late_successes, late_reversals) = lock(&self.world.journaled).late_words;
        let due = Due {
            late_successes,
            late_reversals,
        };
        let told = Due {
            late_successes: self.alarms.count("late_success"),
            late_reversals: self.alarms.count("late_reversal"),
        };
        (due, told)
    }

    /// Operators were alerted of every late word since then; nothing went wrong meanwhile that could have kept it from them.
    pub(crate) fn check_alarms(&self, (due_before, told_before): (Due, Due)) {
        let (due, told) = self.alarms_due();
        let since = |now: Due, before: Due| {
            (
                now.late_successes - before.late_successes,
                now.late_reversals - before.late_reversals,
            )
        };
        let (due, told) = (since(due, due_before), since(told, told_before));
        if due != told {
            self.world.breach(format!(
                "of late charges and of what was taken back there were {due:?}, and operators were alerted of {told:?}"
            ));
        }
        for alert in self.alarms.raised() {
            self.world.see("payment alert", alert);
        }
    }
}

/// Late words of a commit: charges after all, and what was undone.
pub(crate) fn late_words(events: &[Event]) -> (u64, u64) {
    let mut words = (0, 0);
    for event in events {
        if let Event::LateSuccess { .. } = event {
            words.0 += 1;
        }
        if let Event::LateReversal { .. } = event {
            words.1 += 1;
        }
    }
    words
}

/// What a deed makes a provider owe.
fn moved_minor(deed: &Deed) -> i128 {
    match deed.kind {
        OperationKind::Sale | OperationKind::Capture => deed.minor,
        OperationKind::Refund => -deed.minor,
        OperationKind::Authorize
        | OperationKind::Increment
        | OperationKind::Void
        | OperationKind::Reversal => 0,
    }
}

fn suspended_minor((payment, operation, attempt): (&Payment, &Operation, &Attempt), deed: &Deed) -> i128 {
    if deed.is_taken_back {
        return -moved_minor(deed);
    }
    if !is_late(operation, attempt, deed) {
        return 0;
    }
    let reversal = reversal_of(payment, operation.id, attempt.number);
    let is_given_back = reversal.is_some_and(|reversal| reversal.state() == Some(AttemptState::Succeeded));
    if is_given_back { 0 } else { moved_minor(deed) }
}

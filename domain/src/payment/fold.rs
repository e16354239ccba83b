//! Folding events into a payment, and what they announce on the way.

use super::draft;
use super::event::Event;
use super::evolve::change;
use super::state::Payment;
use crate::announcement::{Announcement, Before, announce};
use crate::ledger::PostingProfile;
use crate::money::MinorSum;
use crate::time::Timestamp;
use std::sync::Arc;
use thiserror::Error;

/// The event cannot follow: the stream is damaged or written by a later version. The payment must be set aside, not guessed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("event `{event}` cannot follow here: {why}")]
pub struct IllegalEvent {
    /// The event's name.
    pub event: &'static str,
    /// What is wrong.
    pub why: &'static str,
}

/// Folds all events of one commit, which was decided at that time.
pub fn evolve_all(
    state: Option<Payment>,
    events: &[Event],
    at: Timestamp,
) -> Result<Option<Payment>, IllegalEvent> {
    evolve_announcing(state, events, at).map(|(payment, _)| payment)
}

/// The same, with what the commit announces, in order.
pub fn evolve_announcing(
    mut state: Option<Payment>,
    events: &[Event],
    at: Timestamp,
) -> Result<(Option<Payment>, Vec<Announcement>), IllegalEvent> {
    let said = advance(&mut state, events, at)?;
    Ok((state, said))
}

/// The same in its place: a payment is too large to be moved for every commit. After an error the state is of no use.
pub fn advance(
    state: &mut Option<Payment>,
    events: &[Event],
    at: Timestamp,
) -> Result<Vec<Announcement>, IllegalEvent> {
    let mut said = Vec::new();
    let (payment, rest) = match (state, events) {
        (_, []) => return Ok(said),
        (Some(payment), events) => (payment, events),
        (state @ None, [first, rest @ ..]) => (state.insert(begun(first)?), rest),
    };
    steps(payment, (rest, at), Some(&mut said))?;
    Ok(said)
}

/// The same for a payment that others may show: it is copied only if somebody does.
pub fn advance_shared(
    state: &mut Option<Arc<Payment>>,
    events: &[Event],
    at: Timestamp,
) -> Result<Vec<Announcement>, IllegalEvent> {
    let mut said = Vec::new();
    shared(state, (events, at), Some(&mut said))?;
    Ok(said)
}

/// The same for whoever tells nobody.
pub fn follow_shared(
    state: &mut Option<Arc<Payment>>,
    events: &[Event],
    at: Timestamp,
) -> Result<(), IllegalEvent> {
    shared(state, (events, at), None)
}

fn shared(
    state: &mut Option<Arc<Payment>>,
    (events, at): (&[Event], Timestamp),
    said: Option<&mut Vec<Announcement>>,
) -> Result<(), IllegalEvent> {
    let (payment, rest) = match (state, events) {
        (_, []) => return Ok(()),
        (Some(payment), events) => (payment, events),
        (state @ None, [first, rest @ ..]) => (state.insert(Arc::new(begun(first)?)), rest),
    };
    steps(Arc::make_mut(payment), (rest, at), said)
}

/// Folds one event of a commit that was decided at that time.
pub fn evolve(state: Option<Payment>, event: &Event, at: Timestamp) -> Result<Payment, IllegalEvent> {
    let Some(mut payment) = state else {
        return begun(event);
    };
    step(&mut payment, (event, at), None)?;
    Ok(payment)
}

fn steps(
    payment: &mut Payment,
    (events, at): (&[Event], Timestamp),
    mut said: Option<&mut Vec<Announcement>>,
) -> Result<(), IllegalEvent> {
    events
        .iter()
        .try_for_each(|event| step(payment, (event, at), said.as_deref_mut()))
}

fn step(
    payment: &mut Payment,
    (event, at): (&Event, Timestamp),
    said: Option<&mut Vec<Announcement>>,
) -> Result<(), IllegalEvent> {
    let before = Before::of(payment);
    change(payment, event, at)
        .and_then(|()| announce(before, event, payment, said))
        .map_err(|why| IllegalEvent {
            event: event.name(),
            why,
        })
}

/// The payment that a first event makes.
fn begun(event: &Event) -> Result<Payment, IllegalEvent> {
    let (spec, method, status) = draft::begun(event).ok_or_else(|| IllegalEvent {
        event: event.name(),
        why: "the payment does not exist",
    })?;
    Ok(Payment {
        spec: Arc::clone(spec),
        method,
        risk: None,
        status,
        failure: None,
        authorized: MinorSum::ZERO,
        captured: MinorSum::ZERO,
        refunded: MinorSum::ZERO,
        fee_minor: 0,
        held_for_review: false,
        capture_closed: false,
        authorization_expires_at: None,
        operations: Vec::new(),
        late_minor: 0,
        requests: Vec::new(),
        posting_profile: PostingProfile::default(),
        announced: 0,
    })
}

//! What is sent to one endpoint next: the announcements of each object one after the other, different objects beside each other. An object whose
//! announcement did not arrive is parked: its later ones wait behind that one, and all other objects go on.
//!
//! Announcements are read in the order of the journal, a window of them at a time. Of a parked object nothing is held but the number of the first
//! announcement that is missing; the later ones are found again by their numbers. So what is held is bounded, however long an endpoint is down.

use super::schedule::{DISABLED_AFTER, again};
use super::{DeliveryOutcome, Failing, Parked, Then, WhyDisabled};
use crate::announcement::{EventPlace, EventRow};
use crate::ids::PaymentId;
use crate::time::{Millis, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Announcements that are held at a time.
pub const WINDOW_MAX: usize = 512;
/// Parked objects beyond which nothing new is read. Those in the window may still join them.
pub const PARKED_MAX: usize = 10_000;
/// Deliveries to one endpoint at the same time.
pub const SENT_MAX: usize = 16;
/// So many deliveries in vain, one after the other, say that the endpoint is down: then it gets one at a time until one arrives.
pub const DOWN_AFTER: u32 = 16;

/// One that is down is tried so often at least.
const PROBE_EVERY: Millis = Millis::from_s(15 * 60);
/// Fewer deliveries in vain than these disable nothing, however long ago the first one was: perhaps nobody was here to send.
const DISABLES_FROM: u32 = 10;
/// What is sent again at somebody's wish is tried so often, so that a wish ends.
const REPLAY_TRIES_MAX: u32 = 4;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Send this.
    Send(EventRow),
    /// Find the first wanted announcement of this parked object from this number on, among those up to [`Deliveries::read_to`], and send it.
    /// If there is none, say [`Deliveries::caught_up`] with the place up to which there is none.
    Resume(PaymentId, u64),
}

#[derive(Clone, Copy, Debug)]
struct ParkedAt {
    parked: Parked,
    /// Everything of the object before this place is settled.
    place: EventPlace,
    /// The last one of the object that was read and not held.
    passed: EventPlace,
}

/// How far one endpoint has been told, and what is on its way to it.
#[derive(Clone, Debug)]
pub struct Deliveries {
    read_to: EventPlace,
    end: EventPlace,
    window: BTreeMap<EventPlace, EventRow>,
    /// Places in the window of each object, in order; the first one may be on its way.
    lines: BTreeMap<PaymentId, VecDeque<EventPlace>>,
    /// First in their lines, and not on their way.
    ready: BTreeSet<EventPlace>,
    parked: BTreeMap<PaymentId, ParkedAt>,
    /// Parked objects that are not on their way, by their time.
    dues: BTreeSet<(Timestamp, PaymentId)>,
    /// Objects of which something is on its way.
    sent: BTreeSet<PaymentId>,
    failing: Option<Failing>,
    /// When the last delivery ended.
    tried_at: Option<Timestamp>,
    /// Sent again at somebody's wish.
    is_replay: bool,
    /// Parked objects that are not noted as they are.
    changed: BTreeSet<PaymentId>,
}

impl Deliveries {
    /// Of an endpoint that was told everything up to a place but for the parked objects.
    pub fn new(told: EventPlace, parked: &[(PaymentId, Parked)], failing: Option<Failing>) -> Self {
        let at = |parked| ParkedAt {
            parked,
            place: EventPlace::START,
            passed: EventPlace::START,
        };
        Self {
            failing,
            is_replay: false,
            parked: parked
                .iter()
                .map(|(payment, parked)| (*payment, at(*parked)))
                .collect(),
            dues: parked
                .iter()
                .map(|(payment, parked)| (parked.due, *payment))
                .collect(),
            ..Self::stretch(told, EventPlace::END)
        }
    }

    /// Of a stretch: what comes behind one place, up to another.
    pub fn stretch(behind: EventPlace, end: EventPlace) -> Self {
        Self {
            read_to: behind,
            end,
            window: BTreeMap::new(),
            lines: BTreeMap::new(),
            ready: BTreeSet::new(),
            parked: BTreeMap::new(),
            dues: BTreeSet::new(),
            sent: BTreeSet::new(),
            failing: None,
            tried_at: None,
            is_replay: true,
            changed: BTreeSet::new(),
        }
    }

    /// Up to where the journal's announcements were read.
    pub fn read_to(&self) -> EventPlace {
        self.read_to
    }

    /// The last place of the stretch.
    pub fn end(&self) -> EventPlace {
        self.end
    }

    /// Nothing has arrived for a while.
    pub fn failing(&self) -> Option<Failing> {
        self.failing
    }

    /// How many objects are parked.
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// Deliveries on their way.
    pub fn sent(&self) -> usize {
        self.sent.len()
    }

    fn is_down(&self) -> bool {
        self.failing.is_some_and(|failing| failing.in_a_row >= DOWN_AFTER)
    }

    /// How many more announcements may be read now.
    pub fn room(&self) -> usize {
        let waits_for_parked = self.is_down() && !self.parked.is_empty();
        if waits_for_parked || self.parked.len() >= PARKED_MAX || self.read_to >= self.end {
            return 0;
        }
        WINDOW_MAX.saturating_sub(self.window.len())
    }

    /// Takes in what was read, in order; all that is wanted up to `read_to` is in it or was before.
    pub fn take(&mut self, rows: &[EventRow], read_to: EventPlace) {
        for row in rows {
            // Those of a parked object are found when their turn comes.
            if let Some(at) = self.parked.get_mut(&row.payment) {
                at.passed = row.place;
                continue;
            }
            self.window.insert(row.place, *row);
            let line = self.lines.entry(row.payment).or_default();
            if line.is_empty() {
                self.ready.insert(row.place);
            }
            line.push_back(row.place);
        }
        self.read_to = self.read_to.max(read_to);
    }

    /// What is to be done now, but for objects that are held. What comes of each task is to be said later.
    pub fn due(&mut self, now: Timestamp, is_held: impl Fn(PaymentId) -> bool) -> Vec<Task> {
        let most = if self.is_down() { 1 } else { SENT_MAX };
        let mut tasks = Vec::new();
        while self.sent.len() < most
            && let Some(task) = self.next(now, &is_held)
        {
            tasks.push(task);
        }
        tasks
    }

    fn next(&mut self, now: Timestamp, is_held: &impl Fn(PaymentId) -> bool) -> Option<Task> {
        let mut due = self.dues.iter().filter(|(_, payment)| !is_held(*payment));
        if let Some(&(due, payment)) = due.next()
            && (due <= now || self.is_to_be_probed(now))
        {
            self.dues.remove(&(due, payment));
            self.sent.insert(payment);
            let next = self.parked.get(&payment)?.parked.next;
            return Some(Task::Resume(payment, next));
        }
        if self.is_down() && !self.parked.is_empty() {
            return None;
        }
        let is_free = |place: &&EventPlace| self.window.get(place).is_some_and(|row| !is_held(row.payment));
        let place = *self.ready.iter().find(is_free)?;
        self.ready.remove(&place);
        let row = *self.window.get(&place)?;
        self.sent.insert(row.payment);
        Some(Task::Send(row))
    }

    fn is_to_be_probed(&self, now: Timestamp) -> bool {
        let waits = self
            .tried_at
            .is_none_or(|tried_at| now.since(tried_at) >= PROBE_EVERY);
        self.is_down() && self.sent.is_empty() && waits
    }

    /// Whether something of an object is on its way or waits to be.
    pub fn has(&self, payment: PaymentId) -> bool {
        self.parked.contains_key(&payment)
            || self.lines.contains_key(&payment)
            || self.sent.contains(&payment)
    }

    /// Somebody has seen to the endpoint: nothing waits longer for it.
    pub fn hurry(&mut self, now: Timestamp) {
        self.failing = None;
        self.wake(now);
    }

    /// How often the announcement that is next of an object was sent in vain.
    pub fn attempts(&self, payment: PaymentId) -> u32 {
        self.parked.get(&payment).map_or(0, |at| at.parked.attempts)
    }

    /// A parked object has nothing more up to a place. It is looked at again if more of it was read meanwhile.
    pub fn caught_up(&mut self, payment: PaymentId, up_to: EventPlace, now: Timestamp) {
        self.sent.remove(&payment);
        self.changed.insert(payment);
        match self.parked.get_mut(&payment) {
            Some(at) if at.passed > up_to => {
                at.parked.due = now;
                self.dues.insert((now, payment));
            }
            Some(_) | None => {
                self.parked.remove(&payment);
            }
        }
    }

    /// What was to be done about an object could not be, for a reason that is not the endpoint's. It is tried again at that time.
    pub fn put_off(&mut self, task: Task, until: Timestamp) {
        match task {
            Task::Send(row) => {
                self.sent.remove(&row.payment);
                let parked = Parked {
                    next: row.number,
                    attempts: 0,
                    due: until,
                };
                self.park(&row, parked, row.place);
            }
            Task::Resume(payment, next) => {
                self.sent.remove(&payment);
                if let Some(at) = self.parked.get_mut(&payment) {
                    at.parked.due = until;
                    if self.is_replay {
                        at.parked.attempts = at.parked.attempts.saturating_add(1);
                        if at.parked.attempts >= REPLAY_TRIES_MAX {
                            (at.parked.next, at.parked.attempts) = (next.saturating_add(1), 0);
                        }
                    }
                    self.dues.insert((until, payment));
                    self.changed.insert(payment);
                }
            }
        }
    }

    /// A delivery was not even begun, for a reason that is not the endpoint's. It is tried again at that time.
    pub fn not_sent(&mut self, row: &EventRow, until: Timestamp) {
        let task = if self.parked.contains_key(&row.payment) {
            Task::Resume(row.payment, row.number)
        } else {
            Task::Send(*row)
        };
        self.put_off(task, until);
    }

    /// A delivery ended. `random` is any random number.
    pub fn ended(
        &mut self,
        row: &EventRow,
        (outcome, retry_after): (&DeliveryOutcome, Option<Millis>),
        now: Timestamp,
        random: u64,
    ) -> Then {
        self.sent.remove(&row.payment);
        self.tried_at = Some(now);
        if outcome.is_delivered() {
            let was_down = self.is_down();
            self.failing = None;
            self.delivered(row, now);
            if was_down {
                self.wake(now);
            }
            return Then::Delivered;
        }
        let failing = self.failing.get_or_insert(Failing {
            since: now,
            in_a_row: 0,
        });
        failing.in_a_row = failing.in_a_row.saturating_add(1);
        let failing = *failing;
        let attempts = self.attempts(row.payment).saturating_add(1);
        let is_last = self.is_replay && attempts >= REPLAY_TRIES_MAX;
        let again = again(attempts, now, retry_after, random).filter(|_| !is_last);
        let why = disables(outcome, now, failing).filter(|why| !self.is_replay || *why == WhyDisabled::Gone);
        let parked = |next, attempts, due| Parked { next, attempts, due };
        match (why, again) {
            (Some(why), _) => {
                self.park(row, parked(row.number, attempts, again.unwrap_or(now)), row.place);
                Then::Disabled(why)
            }
            (None, Some(due)) => {
                self.park(row, parked(row.number, attempts, due), row.place);
                Then::Again(due)
            }
            (None, None) => {
                self.park(
                    row,
                    parked(row.number.saturating_add(1), 0, now),
                    row.place.next(),
                );
                Then::GivenUp
            }
        }
    }

    fn delivered(&mut self, row: &EventRow, now: Timestamp) {
        if self.parked.contains_key(&row.payment) {
            let next = row.number.saturating_add(1);
            let parked = Parked {
                next,
                attempts: 0,
                due: now,
            };
            return self.park(row, parked, row.place.next());
        }
        self.window.remove(&row.place);
        if let Some(line) = self.lines.get_mut(&row.payment) {
            line.pop_front();
            match line.front() {
                Some(place) => {
                    self.ready.insert(*place);
                }
                None => {
                    self.lines.remove(&row.payment);
                }
            }
        }
    }

    /// Whatever is held of the object is let go: it is found again by its numbers.
    fn park(&mut self, row: &EventRow, parked: Parked, place: EventPlace) {
        let line = self.lines.remove(&row.payment);
        let last = line.as_ref().and_then(|line| line.back().copied());
        for place in line.into_iter().flatten() {
            self.window.remove(&place);
            self.ready.remove(&place);
        }
        self.dues.insert((parked.due, row.payment));
        let passed = self.parked.get(&row.payment).map(|at| at.passed);
        let at = ParkedAt {
            parked,
            place,
            passed: passed.max(last).unwrap_or(EventPlace::START),
        };
        self.parked.insert(row.payment, at);
        self.changed.insert(row.payment);
    }

    /// The endpoint is back: nothing waits longer for it.
    fn wake(&mut self, now: Timestamp) {
        let waiting = std::mem::take(&mut self.dues);
        for (_, payment) in waiting {
            if let Some(at) = self.parked.get_mut(&payment) {
                at.parked.due = at.parked.due.min(now);
                self.dues.insert((at.parked.due, payment));
                self.changed.insert(payment);
            }
        }
    }

    /// Everything up to here was delivered or is parked.
    pub fn told(&self) -> EventPlace {
        match self.window.first_key_value() {
            Some((place, _)) => place.previous().unwrap_or(EventPlace::START),
            None => self.read_to,
        }
    }

    /// Everything up to here was delivered or given up, also of parked objects: where a stretch may begin again.
    pub fn settled(&self) -> EventPlace {
        let parked = self.parked.values().map(|at| at.place).min();
        let parked = parked.and_then(EventPlace::previous);
        parked.map_or(self.told(), |parked| parked.min(self.told()))
    }

    /// Everything of the stretch was delivered or given up.
    pub fn is_done(&self) -> bool {
        self.read_to >= self.end && self.window.is_empty() && self.parked.is_empty()
    }

    /// Parked objects that changed since this was asked last, as they are.
    pub fn changes(&mut self) -> Vec<(PaymentId, Option<Parked>)> {
        let now = |payment| (payment, self.parked.get(&payment).map(|at| at.parked));
        std::mem::take(&mut self.changed).into_iter().map(now).collect()
    }
}

fn disables(outcome: &DeliveryOutcome, now: Timestamp, failing: Failing) -> Option<WhyDisabled> {
    const GONE: u16 = 410;
    match outcome {
        DeliveryOutcome::Status(GONE) => Some(WhyDisabled::Gone),
        DeliveryOutcome::Status(_) | DeliveryOutcome::Unanswered(_) => {
            let is_long = now.since(failing.since) >= DISABLED_AFTER && failing.in_a_row >= DISABLES_FROM;
            is_long.then_some(WhyDisabled::Failing)
        }
    }
}

#[cfg(test)]
mod tests;

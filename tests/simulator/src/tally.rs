//! Owns what was seen in a run, and what must be seen over many: every fault, every step of an actor, every way in which an
//! attempt, a request, a transfer or a process may end. The lists come from exhaustive matches, so what is new in the platform
//! does not compile here before somebody has said how it is seen.

use crate::fault::Fault;
use florin_actors::context::Step;
use florin_actors::ledger_handle::Told;
use florin_actors::payment::NotStored;
use florin_actors::payments_handle::{NoticeError, RequestError};
use florin_domain::ledger::{CrossingStep, LedgerEvent};
use florin_domain::payment::{Answer, Event, Status};
use florin_domain::provider::{Outcome, Said};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

/// How often each thing was seen, by its kind and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<(&'static str, &'static str), u64>);

/// A list of names, and the exhaustive match that gives each value of a type one of them.
macro_rules! sightings {
    ($($list:ident $of:ident($type:ty) { $($pattern:pat => $name:literal,)* })*) => {$(
        const $list: &[&str] = &[$($name,)*];

        pub(crate) const fn $of(value: &$type) -> &'static str {
            match value {
                $($pattern => $name,)*
            }
        }
    )*};
}

sightings! {
    STEPS step(Step) {
        Step::KeySubmitted => "key submitted",
        Step::KeyAnswered => "key answered",
        Step::PaymentStarting => "payment starting",
        Step::PaymentBegun => "payment begun",
        Step::PaymentAssessed => "payment assessed",
        Step::PaymentCommitting => "payment committing",
        Step::PaymentCommitted => "payment committed",
        Step::PaymentCalling => "payment calling",
        Step::PaymentReported => "payment reported",
        Step::PaymentAnswering => "payment answering",
        Step::PaymentLoaded => "payment loaded",
        Step::PaymentLeaving => "payment leaving",
        Step::RiskAssessing => "risk assessing",
        Step::ProviderQueued => "provider queued",
        Step::ProviderFinished => "provider finished",
        Step::ProviderTurnedAway => "provider turned away",
        Step::ProviderProbing => "provider probing",
        Step::ShardSequencing => "shard sequencing",
        Step::ShardTransferring => "shard transferring",
        Step::ShardCrossing => "shard crossing",
        Step::CrossingBegun => "crossing begun",
        Step::CrossingPrepared => "crossing prepared",
        Step::CrossingReserved => "crossing reserved",
        Step::CrossingDecided => "crossing decided",
        Step::CrossingFinished => "crossing finished",
        Step::CrossingsSwept => "crossings swept",
        Step::WriterQueued => "writer queued",
        Step::WriterFlushed => "writer flushed",
        Step::ProjectionFollowed => "projection followed",
        Step::ProjectionLocated => "projection located",
        Step::ResolutionScheduled => "resolution scheduled",
        Step::GuardianStarting => "guardian starting",
        Step::GuardianForwarding => "guardian forwarding",
        Step::GuardianHanding => "guardian handing",
        Step::JournalScrubbed => "journal scrubbed",
        Step::DeadlinesMet => "deadlines met",
        Step::MonitorEnded => "monitor ended",
        Step::WebhookGuarding => "webhook guarding",
        Step::WebhookTold => "webhook told",
        Step::TreeStarting => "tree starting",
    }
    OUTCOMES outcome(Outcome) {
        Outcome::Succeeded { .. } => "succeeded",
        Outcome::Declined { .. } => "declined",
        Outcome::ActionRequired { .. } => "action required",
        Outcome::Pending { .. } => "pending",
        Outcome::Cancelled { .. } => "cancelled",
        Outcome::NotSent { .. } => "not sent",
        Outcome::RateLimited { .. } => "rate limited",
        Outcome::Rejected { .. } => "rejected",
        Outcome::Unknown { .. } => "unknown",
    }
    ANSWERS answer(Answer) {
        Answer::Shown => "shown",
        Answer::Declined => "declined",
        Answer::Blocked => "blocked",
        Answer::Exhausted => "exhausted",
        Answer::NoProvider => "no provider",
        Answer::Unresolved => "unresolved",
    }
    REFUSALS refusal(RequestError) {
        RequestError::Shed(_) => "shed",
        RequestError::Mismatch => "key reused",
        RequestError::TooManyWaiters => "too many waiters",
        RequestError::NotStored(NotStored::StageTimeout(_)) => "stage timeout",
        RequestError::NotStored(NotStored::NoProvider) => "no provider",
        RequestError::NotStored(NotStored::Busy) => "providers busy",
        RequestError::NotStored(NotStored::MerchantFrozen) => "merchant frozen",
        RequestError::NotStored(NotStored::Ledger) => "ledger cannot take it",
        RequestError::NotStored(NotStored::Failed) => "could not be started",
        RequestError::NotStored(NotStored::Quarantined) => "set aside",
        RequestError::NotStored(NotStored::Refused(_)) => "refused by the payment",
        RequestError::NotStored(NotStored::MethodGone) => "method is gone",
        RequestError::Lost => "lost",
    }
    STATUSES status(Status) {
        Status::RequiresPaymentMethod => "requires payment method",
        Status::RequiresConfirmation => "requires confirmation",
        Status::RequiresAction(_) => "requires action",
        Status::InReview { .. } => "in review",
        Status::Processing => "processing",
        Status::Authorized => "authorized",
        Status::Succeeded => "succeeded",
        Status::Failed => "failed",
        Status::Blocked => "blocked",
        Status::Voided => "voided",
    }
    EVENTS event(Event) {
        Event::Created { .. } => "created",
        Event::RiskAssessed(_) => "risk assessed",
        Event::Blocked => "blocked",
        Event::ReviewOpened { .. } => "review opened",
        Event::ReviewApproved => "review approved",
        Event::ReviewRejected => "review rejected",
        Event::ReviewExpired => "review expired",
        Event::MethodReplaced { .. } => "method replaced",
        Event::OperationOpened { .. } => "operation opened",
        Event::AttemptPlanned { .. } => "attempt planned",
        Event::AttemptReferenced { .. } => "attempt referenced",
        Event::AttemptSucceeded { .. } => "attempt succeeded",
        Event::AttemptDeclined { .. } => "attempt declined",
        Event::AttemptActionRequired { .. } => "attempt challenged",
        Event::AttemptPending { .. } => "attempt pending",
        Event::AttemptUnknown { .. } => "attempt unknown",
        Event::AttemptNotSent { .. } => "attempt not sent",
        Event::AttemptRejected { .. } => "attempt rejected",
        Event::AttemptCancelled { .. } => "attempt cancelled",
        Event::LateSuccess { .. } => "late success",
        Event::LateReversal { .. } => "late reversal",
        Event::ReversalOpened { .. } => "reversal opened",
        Event::AttemptClosingAsked { .. } => "closing asked",
        Event::AttemptClosingRefused { .. } => "closing refused",
        Event::AttemptToldMade { .. } => "told made",
        Event::TransactionClosed { .. } => "transaction closed",
        Event::AttemptOverdue { .. } => "attempt overdue",
        Event::MatterRaised { .. } => "matter raised",
        Event::MattersNoted { .. } => "matters noted",
        Event::AttemptsExhausted => "attempts exhausted",
        Event::Abandoned => "abandoned",
        Event::AuthorizationExpired => "authorization expired",
        Event::Requested { .. } => "requested",
        Event::ResolutionProposed { .. } => "resolution proposed",
        Event::ResolutionConfirmed { .. } => "resolution confirmed",
        Event::ListMatched { .. } => "list matched",
        Event::HeldForReview => "held for review",
        Event::PostingProfileChosen { .. } => "posting profile chosen",
        Event::Routed { .. } => "routed",
        Event::RetryRefused { .. } => "retry refused",
        Event::DeclineRetried { .. } => "decline retried",
        Event::Drafted { .. } => "drafted",
        Event::Amended { .. } => "amended",
        Event::Confirmed { .. } => "confirmed",
        Event::OperationGivenUp { .. } => "operation given up",
    }
    LEDGER_EVENTS ledger_event(LedgerEvent) {
        LedgerEvent::AccountOpened(_) => "account opened",
        LedgerEvent::Transferred(_) => "transferred",
        LedgerEvent::PendingExpired(_) => "pending expired",
        LedgerEvent::Crossed(_) => "crossed",
        LedgerEvent::PeriodClosed { .. } => "period closed",
        LedgerEvent::AlertCreated(_) => "alert created",
        LedgerEvent::AlertDeleted(_) => "alert deleted",
    }
    CROSSINGS crossing(CrossingStep) {
        CrossingStep::Prepared(_) => "prepared",
        CrossingStep::Reserved(_) => "reserved",
        CrossingStep::Decided { .. } => "decided",
        CrossingStep::Applied { .. } => "applied",
        CrossingStep::Aborted { .. } => "aborted",
        CrossingStep::Settled(_) => "settled",
    }
    TOLD told(Told) {
        Told::Done => "done",
        Told::Existed(_) => "existed",
        Told::Refused(_) => "refused",
    }
    SAID said(Said) {
        Said::Became(Outcome::Succeeded { .. }) => "succeeded",
        Said::Became(Outcome::Declined { .. }) => "declined",
        Said::Became(Outcome::ActionRequired { .. }) => "action required",
        Said::Became(Outcome::Pending { .. }) => "pending",
        Said::Became(Outcome::Cancelled { .. }) => "cancelled",
        Said::Became(
            Outcome::NotSent { .. }
                | Outcome::RateLimited { .. }
                | Outcome::Rejected { .. }
                | Outcome::Unknown { .. }
        ) => "nothing",
        Said::NotClosed => "not closed",
        Said::TakenBack { .. } => "taken back",
        Said::Reserved { .. } => "reserved",
        Said::Released { .. } => "released",
        Said::Changed => "changed",
    }
    NOT_TAKEN notice_error(NoticeError) {
        NoticeError::Shed(_) => "shed",
        NoticeError::View(_) => "view fails",
        NoticeError::NotTaken => "not taken",
    }
    ENDS end(Death) {
        Death::Crashed => "crashed",
        Death::Fatal => "ended itself",
        Death::Drained => "drained",
        Death::Refused => "refused to start",
        Death::Done => "done",
    }
}

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// The process was killed.
    Crashed,
    /// The process ended itself, because going on would have been wrong.
    Fatal,
    /// The process was stopped, and drained.
    Drained,
    /// The process did not start on what it found.
    Refused,
    /// All there was to do is done.
    Done,
}

const GROUPS: &[(&str, &[&str])] = &[
    ("step", STEPS),
    ("provider", OUTCOMES),
    ("answer", ANSWERS),
    ("no answer", REFUSALS),
    ("payment", STATUSES),
    ("event", EVENTS),
    ("ledger", LEDGER_EVENTS),
    ("crossing", CROSSINGS),
    ("transfer", TOLD),
    ("life", ENDS),
    ("alert", ALERTS),
    ("fraud check", VOTES),
    ("id used again", MISUSES),
    ("resolution", RESOLUTIONS),
    ("failover", PROOFS),
    ("notice taken", SAID),
    ("notice", NOT_TAKEN),
    ("notice", STRANGERS),
    ("payment alert", ALERTED),
    ("start", STARTS),
];

/// What is said to who may not speak of a payment.
const STRANGERS: &[&str] = &["not ours"];
/// What operators are alerted of when money moves otherwise than it was asked to.
pub(crate) const ALERTED: &[&str] = &[
    "late_success",
    "late_reversal",
    "late_charge_not_reversed",
    "amount_mismatch",
];

/// With what the accounts after a start are compared.
const STARTS: &[&str] = &[
    "after a snapshot",
    "from the journals alone",
    "the journal went on",
];

/// After what a charge goes on at another provider.
const PROOFS: &[&str] = &[
    "after not sent",
    "after a rejection",
    "after a cancellation",
    "after a decline",
];

/// The proof after which a charge goes on, if a commit says that it does.
pub(crate) fn went_on(events: &[Event]) -> Option<&'static str> {
    let [proof, .., Event::AttemptPlanned { .. }] = events else {
        return None;
    };
    match proof {
        Event::AttemptNotSent { .. } => Some("after not sent"),
        Event::AttemptRejected { .. } => Some("after a rejection"),
        Event::AttemptCancelled { .. } => Some("after a cancellation"),
        Event::AttemptDeclined { .. } => Some("after a decline"),
        _ => None,
    }
}

/// What is said of balance alerts.
const ALERTS: &[&str] = &[
    "created",
    "existed",
    "name used",
    "deleted",
    "not there",
    "raised",
    "armed",
];
/// What the fraud check said of transfers between shards.
const VOTES: &[&str] = &["refused"];
/// What is said to somebody who uses the id of a transfer for another one.
const MISUSES: &[&str] = &["refused"];
/// Who resolves what no provider says.
const RESOLUTIONS: &[&str] = &["alone", "against another", "agreed"];

/// What cannot be seen here, and why.
const NEVER: &[(&str, &str)] = &[
    // No amount of the simulation overflows an account.
    ("no answer", "ledger cannot take it"),
    // Methods of the simulation are those of the sandbox, which nobody erases.
    ("no answer", "method is gone"),
    // Who writes by himself has something to say.
    ("notice taken", "nothing"),
    // The simulated providers know what they are asked to close, and say so.
    ("event", "closing refused"),
    ("event", "transaction closed"),
    ("notice taken", "not closed"),
    // Who writes of an object tells how it stands, and never only that it changed.
    ("notice taken", "changed"),
];

/// What is seen too rarely to be waited for: sixteen attempts of one charge take a key that is sent again as often.
const RARE: &[(&str, &str)] = &[
    // Nothing is pending for a week, unless the clock jumps so far.
    ("event", "attempt overdue"),
    ("event", "matter raised"),
    ("event", "matters noted"),
    ("event", "attempts exhausted"),
    ("answer", "exhausted"),
    // A word that a charge was made, on its way while it is being closed.
    ("event", "told made"),
];

/// What one run sees, counted by where the words are: they are all constants, and each may be at several places.
#[derive(Debug)]
pub(crate) struct Sightings {
    by_place: HashMap<(usize, usize, usize), Sighting, BuildHasherDefault<PlaceHasher>>,
    /// The steps by their numbers, with their names once they were reached: most of what is seen is a step.
    steps: [(&'static str, u64); STEPS.len()],
}

impl Default for Sightings {
    fn default() -> Self {
        Self {
            by_place: HashMap::default(),
            steps: [("", 0); STEPS.len()],
        }
    }
}

/// Mixes the three numbers of a place. Nobody chooses them, so nobody need be kept from choosing badly.
#[derive(Debug, Default)]
struct PlaceHasher(u64);

impl Hasher for PlaceHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn write_usize(&mut self, number: usize) {
        let mixed = (self.0.rotate_left(29) ^ number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Debug)]
struct Sighting {
    group: &'static str,
    name: &'static str,
    count: u64,
}

impl Sightings {
    /// Counts it.
    pub(crate) fn see(&mut self, group: &'static str, name: &'static str) {
        let place = (group.as_ptr().addr(), name.as_ptr().addr(), name.len());
        let new = Sighting {
            group,
            name,
            count: 0,
        };
        let seen = self.by_place.entry(place).or_insert(new);
        seen.count = seen.count.saturating_add(1);
    }

    /// Counts a step, and says what it is called.
    pub(crate) fn see_step(&mut self, at: Step) -> &'static str {
        let name = step(&at);
        let seen = &mut self.steps[at as usize];
        *seen = (name, seen.1.saturating_add(1));
        name
    }

    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        let reached = self.steps.iter().filter(|(_, count)| *count > 0);
        tally
            .0
            .extend(reached.map(|(name, count)| (("step", *name), *count)));
        for seen in self.by_place.values() {
            let sum = tally.0.entry((seen.group, seen.name)).or_default();
            *sum = sum.saturating_add(seen.count);
        }
        tally
    }
}

impl Tally {
    /// Adds what another run saw.
    pub fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            let sum = self.0.entry(*what).or_default();
            *sum = sum.saturating_add(*count);
        }
    }

    /// How often it was seen.
    pub fn count(&self, group: &str, name: &str) -> u64 {
        let found = self.0.iter().find(|(what, _)| **what == (group, name));
        found.map_or(0, |(_, count)| *count)
    }

    /// How many faults happened.
    pub fn faults(&self) -> u64 {
        let faults = self.0.iter().filter(|((group, _), _)| *group == "fault");
        faults.map(|(_, count)| *count).fold(0, u64::saturating_add)
    }

    /// What has not been seen, of all that there is.
    pub fn missing(&self) -> Vec<(&'static str, &'static str)> {
        let faults = Fault::ALL.iter().map(|fault| ("fault", fault.name()));
        let named = GROUPS
            .iter()
            .flat_map(|(group, names)| names.iter().map(move |name| (*group, *name)));
        let is_missing =
            |what: &(&str, &str)| !self.0.contains_key(what) && !NEVER.contains(what) && !RARE.contains(what);
        faults.chain(named).filter(is_missing).collect()
    }

    /// What was seen although it is said that it cannot be.
    pub fn unforeseen(&self) -> Vec<(&'static str, &'static str)> {
        NEVER
            .iter()
            .filter(|what| self.0.contains_key(what))
            .copied()
            .collect()
    }

    /// Everything with its count.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        self.0
            .iter()
            .map(|((group, name), count)| (*group, *name, *count))
    }
}

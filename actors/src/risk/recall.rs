//! After a start, and when a velocity shard comes back after it failed: what it counts is read back from the journal's end, newest first,
//! in the background. Payments go on meanwhile and are counted as they come, so for the first moments velocity may know less than it will.
//!
//! What is told is told to one incarnation. A shard that fails while it is told begins anew, and another reader tells it all.

use super::record::{DAY_MS, HOUR_MS};
use super::{Book, Card, Recalled, RiskMail, Subject, What};
use crate::context::Context;
use crate::journal_range::read_range;
use crate::mailbox::{Class, Refused};
use crate::source::ToDecide;
use florin_domain::commit::{Body, Commit, PaymentCommit};
use florin_domain::decline::Decline;
use florin_domain::ids::{DrawnIdHasher, OperationId, PaymentId, Seq};
use florin_domain::ledger::{CrossingStep, LedgerEvent};
use florin_domain::limits::TRANSFERS_IN_FLIGHT_MAX;
use florin_domain::method::PaymentMethod;
use florin_domain::money::Amount;
use florin_domain::payment::{Event, Spec};
use florin_domain::ports::ReadError;
use florin_domain::risk::MONTH_MS;
use florin_domain::time::Timestamp;
use ractor::ActorId;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::time::Duration;

/// Commits read at once.
const PAGE: u64 = 1024;
/// Transfers between shards that a page is read back for at most; of more, some are not counted again.
const FOUND_MAX: usize = TRANSFERS_IN_FLIGHT_MAX;
/// A shard that has work to do comes first.
const BUSY_WAIT: Duration = Duration::from_millis(10);

/// The incarnations that a reader tells, by velocity shard: those that had counted nothing when the journal ended where it begins.
#[derive(Clone, Debug)]
pub struct Told(Vec<Option<ActorId>>);

impl Told {
    /// The incarnation of each of `shards` velocity shards that is to be told.
    pub fn of(shards: usize, told: impl IntoIterator<Item = (usize, ActorId)>) -> Self {
        let mut all = vec![None; shards];
        for (shard, incarnation) in told {
            if let Some(place) = all.get_mut(shard) {
                *place = Some(incarnation);
            }
        }
        Self(all)
    }

    fn has(&self, subject: Subject) -> bool {
        self.0
            .get(subject.shard(self.0.len()))
            .is_some_and(Option::is_some)
    }

    /// Tells nobody any more who has failed since; whether there is anybody left.
    fn forget_dead(&mut self, context: &Context) -> bool {
        for (told, shard) in self.0.iter_mut().zip(&context.risk) {
            let lives = shard.actor().map(|actor| actor.get_id());
            *told = told.filter(|incarnation| lives == Some(*incarnation));
        }
        self.0.iter().any(Option::is_some)
    }
}

/// Reads the commits up to `head` back, and tells the shards: velocity as far as the longest window that is configured and at most
/// `velocity_recall_commits_max`, cards as far as a month and at most `card_recall_commits_max`. A journal that cannot be read is the
/// scrub's to report.
pub async fn recall(context: Arc<Context>, head: Seq, mut told: Told) {
    let reach = Reach::of(&context, head);
    let mut reader = Reader::default();
    let mut commits = Vec::new();
    let (mut end, mut count, mut cards) = (head.0, 0_u64, 0_u64);
    while end > reach.stop() && told.forget_dead(&context) {
        let start = end.saturating_sub(PAGE).max(reach.stop());
        // A commit of the ledger is not held: one such may be as large as a page of others, and says at most how much went between shards.
        let mut oldest = None;
        commits.clear();
        commits.reserve(usize::try_from(end - start).unwrap_or(0));
        let keep = |commit: Arc<Commit>| {
            oldest = oldest.or(Some(commit.at));
            if reach.velocity.has(&commit) {
                reader.prepared(&context, &commit);
            }
            if matches!(commit.body, Body::Payment(_)) {
                commits.push(commit);
            }
        };
        match read_range(ToDecide(&context), (Seq(start), Seq(end)), keep).await {
            Ok(()) => {}
            Err(error) => {
                let why = match error {
                    ReadError::Store(why) => why,
                    // To find damage and to say what it means is the scrub's business.
                    ReadError::Damaged { seq, .. } => format!("commit {seq} cannot be trusted"),
                };
                tracing::warn!(why, "velocity begins anew: the journal's end cannot be read back");
                return;
            }
        }
        for commit in commits.iter().rev() {
            if reach.velocity.has(commit) {
                reader.read(&context, commit);
            }
            if reach.cards.has(commit) {
                reader.cards(&context, commit);
            }
        }
        for (found, count) in [
            (&mut reader.found, &mut count),
            (&mut reader.of_cards, &mut cards),
        ] {
            found.retain(|recalled| told.has(recalled.subject));
            *count += u64::try_from(found.len()).unwrap_or(0);
        }
        reader.found.append(&mut reader.of_cards);
        tell(&context, &mut reader.found, &mut told).await;
        if oldest.is_none_or(|oldest| reach.is_before_all(oldest)) {
            break;
        }
        end = start;
    }
    metrics::counter!("florin_velocity_recalled_total").increment(count);
    metrics::counter!("florin_card_retries_recalled_total").increment(cards);
}

/// How far back something is read.
#[derive(Clone, Copy, Debug)]
struct Part {
    from: Timestamp,
    stop: u64,
    is_read: bool,
}

impl Part {
    fn of((now, head): (Timestamp, Seq), window_ms: u64, commits_max: u64) -> Self {
        Self {
            from: Timestamp::from_unix_ms(now.unix_ms().saturating_sub(window_ms)),
            stop: head.0.saturating_sub(commits_max),
            is_read: commits_max > 0,
        }
    }

    fn has(&self, commit: &Commit) -> bool {
        self.is_read && commit.at >= self.from && commit.seq.0 > self.stop
    }
}

/// How far back all is read.
#[derive(Clone, Copy, Debug)]
struct Reach {
    velocity: Part,
    cards: Part,
}

impl Reach {
    fn of(context: &Context, head: Seq) -> Self {
        let (options, now) = (&context.options, context.ports.clock.now());
        let window_ms = if options.velocity.day_amounts.is_empty() {
            HOUR_MS
        } else {
            DAY_MS
        };
        let cards_ms = MONTH_MS.max(options.velocity.duplicates.window.0);
        Self {
            velocity: Part::of((now, head), window_ms, options.velocity_recall_commits_max),
            cards: Part::of((now, head), cards_ms, options.card_recall_commits_max),
        }
    }

    fn stop(&self) -> u64 {
        self.velocity.stop.min(self.cards.stop)
    }

    fn is_before_all(&self, at: Timestamp) -> bool {
        [self.velocity, self.cards]
            .iter()
            .all(|part| !part.is_read || at < part.from)
    }
}

/// A decline whose payment's creation, or the method that it was of, is still to come.
#[derive(Debug)]
struct CardDecline {
    at: Timestamp,
    is_final: bool,
    method: Option<PaymentMethod>,
}

type ByPayment<V> = HashMap<PaymentId, V, BuildHasherDefault<DrawnIdHasher>>;

/// Commits from the newest to the oldest: a decline comes before the payment that says whose it was.
#[derive(Debug, Default)]
struct Reader {
    found: Vec<Recalled>,
    /// The same of cards.
    of_cards: Vec<Recalled>,
    /// The earliest decline of each payment whose creation is still to come.
    declines: ByPayment<Timestamp>,
    /// All of them.
    card_declines: ByPayment<Vec<CardDecline>>,
    /// Whether a payment that is young enough to have a twin came to nothing, by the newest of its events that says so or otherwise.
    came_to_nothing: ByPayment<bool>,
    /// When drafts were confirmed whose making is still to come, and whether risk forbade them then.
    begun: ByPayment<(Timestamp, bool)>,
    /// With which card.
    confirmed: ByPayment<Confirmation>,
    /// What they came to cost.
    amounts: ByPayment<Amount>,
}

/// A draft is counted as the payment that it became when it was confirmed.
#[derive(Debug)]
struct Confirmation {
    at: Timestamp,
    method: PaymentMethod,
    is_sent: bool,
}

/// Something is to be sent to a provider.
fn sends(body: &PaymentCommit) -> bool {
    let mut events = body.events.iter();
    events.any(|event| matches!(event, Event::AttemptPlanned { .. }))
}

impl Reader {
    /// What was declined to which card, and which payments are young enough to have a twin.
    fn cards(&mut self, context: &Context, commit: &Commit) {
        let Body::Payment(body) = &commit.body else {
            return;
        };
        let window = context.options.velocity.duplicates.window;
        let may_have_twin = |at: Timestamp| at.plus(window) > context.ports.clock.now();
        for event in body.events.iter().rev() {
            if let Some(came_to_nothing) = comes_to_nothing(event).filter(|_| may_have_twin(commit.at)) {
                self.came_to_nothing
                    .entry(body.payment)
                    .or_insert(came_to_nothing);
            }
            if let Event::AttemptDeclined {
                operation: OperationId::Authorize(_),
                decline_code,
                ..
            } = event
                && let Some(is_final) = Decline::of(decline_code).at_network()
            {
                let declines = self.card_declines.entry(body.payment).or_default();
                declines.push(CardDecline {
                    at: commit.at,
                    is_final,
                    method: None,
                });
            }
            if let Event::MethodReplaced { method } = event {
                // Of what came before it the first card paid nothing.
                if let Some(came_to_nothing) = self.came_to_nothing.get_mut(&body.payment) {
                    *came_to_nothing = true;
                }
                let declines = self.card_declines.get_mut(&body.payment);
                for decline in declines.into_iter().flatten() {
                    decline.method.get_or_insert_with(|| method.clone());
                }
            }
            match event {
                Event::Created { spec, method } => {
                    self.card_of(context, (spec, method), spec.created_at, sends(body));
                }
                Event::Drafted { spec, .. } => {
                    let spec = self.as_amended(spec);
                    if let Some(confirmed) = self.confirmed.remove(&body.payment) {
                        let (at, is_sent) = (confirmed.at, confirmed.is_sent);
                        self.card_of(context, (&spec, &confirmed.method), at, is_sent);
                    }
                }
                Event::Confirmed { method } => {
                    let confirmation = Confirmation {
                        at: commit.at,
                        method: method.clone(),
                        is_sent: sends(body),
                    };
                    self.confirmed.insert(body.payment, confirmation);
                }
                // The newest comes first, and is what holds.
                Event::Amended { amount, .. } => {
                    self.amounts.entry(body.payment).or_insert(*amount);
                }
                _ => {}
            }
        }
    }

    /// What the card of a payment that began at `at` was used for.
    fn card_of(
        &mut self,
        context: &Context,
        (spec, method): (&Spec, &PaymentMethod),
        at: Timestamp,
        is_sent: bool,
    ) {
        let window = context.options.velocity.duplicates.window;
        let may_have_twin = at.plus(window) > context.ports.clock.now();
        let declines = self.card_declines.remove(&spec.id);
        let came_to_nothing = self.came_to_nothing.remove(&spec.id).unwrap_or(false);
        if is_sent && !came_to_nothing && may_have_twin {
            self.of_cards.push(Recalled {
                subject: Card::of(spec, method).subject,
                at,
                what: What::Seen(spec.id),
            });
        }
        for decline in declines.into_iter().flatten() {
            let method = decline.method.as_ref().unwrap_or(method);
            let is_final = decline.is_final;
            let Some((book, subject)) = Card::of(spec, method).counted() else {
                continue;
            };
            self.of_cards.push(Recalled {
                subject,
                at: decline.at,
                what: What::CardDeclined { book, is_final },
            });
        }
    }

    /// A draft's specification as it was in the end.
    fn as_amended(&self, spec: &Arc<Spec>) -> Arc<Spec> {
        let mut spec = Arc::clone(spec);
        if let Some(amount) = self.amounts.get(&spec.id) {
            Arc::make_mut(&mut spec).amount = *amount;
        }
        spec
    }

    fn read(&mut self, context: &Context, commit: &Commit) {
        let Body::Payment(body) = &commit.body else {
            return;
        };
        let (mut is_declined, mut is_blocked, mut begins) = (false, false, false);
        for event in &body.events {
            match event {
                Event::Blocked => (is_declined, is_blocked) = (true, true),
                Event::AttemptDeclined {
                    operation: OperationId::Authorize(_),
                    ..
                } => is_declined = true,
                Event::Created { .. }
                | Event::Drafted { .. }
                | Event::Confirmed { .. }
                | Event::Amended { .. } => begins = true,
                _ => {}
            }
        }
        if is_declined {
            self.declines.insert(body.payment, commit.at);
        }
        // Of most commits nothing more is told.
        if !begins {
            return;
        }
        for event in &body.events {
            match event {
                Event::Created { spec, .. } => self.began(context, spec, (spec.created_at, is_blocked)),
                Event::Drafted { spec, .. } => {
                    if let Some(begun) = self.begun.remove(&body.payment) {
                        self.began(context, &self.as_amended(spec), begun);
                    }
                }
                Event::Confirmed { .. } => {
                    self.begun.insert(body.payment, (commit.at, is_blocked));
                }
                Event::Amended { amount, .. } => {
                    self.amounts.entry(body.payment).or_insert(*amount);
                }
                _ => {}
            }
        }
    }

    /// Transfers to other shards, as they were counted when they were made: as many from each account as a limit asks for.
    fn prepared(&mut self, context: &Context, commit: &Commit) {
        let (Body::Ledger(ledger), Some(max)) =
            (&commit.body, context.options.transfer_limits.hour_count_max)
        else {
            return;
        };
        let LedgerEvent::Crossed(steps) = &ledger.event else {
            return;
        };
        let mut counts: BTreeMap<Subject, u32> = BTreeMap::new();
        for step in steps {
            if let CrossingStep::Prepared(transfer) = step
                && self.found.len() < FOUND_MAX
            {
                let subject = Subject::of_account(&transfer.debit);
                let count = counts.entry(subject).or_default();
                if *count <= max {
                    *count = count.saturating_add(1);
                    let (at, what) = (commit.at, What::Transferred);
                    self.found.push(Recalled { subject, at, what });
                }
            }
        }
    }

    /// A payment began at `at`.
    fn began(&mut self, context: &Context, spec: &Spec, (at, is_blocked): (Timestamp, bool)) {
        let declined_at = self.declines.remove(&spec.id);
        let limits = &context.options.velocity;
        let book = Book::of(spec);
        if let Some(subject) = Subject::of(spec) {
            let counts = !is_blocked && limits.day_amount(spec.currency).is_some();
            let asked = counts.then_some((spec.currency, spec.amount));
            self.found.push(Recalled {
                subject,
                at,
                what: What::Paid { book, asked },
            });
            self.found.extend(declined_at.map(|at| Recalled {
                subject,
                at,
                what: What::Declined(book),
            }));
        }
        let address = limits.ip_hour_count_max.and_then(|_| Subject::of_address(spec));
        self.found.extend(address.map(|subject| Recalled {
            subject,
            at,
            what: What::Paid { book, asked: None },
        }));
    }
}

/// Whether a payment is nobody's twin after this, as it is told while it lives; nothing if that does not follow from it.
fn comes_to_nothing(event: &Event) -> Option<bool> {
    let is_over = matches!(
        event,
        Event::AttemptDeclined {
            operation: OperationId::Authorize(_),
            ..
        } | Event::RetryRefused { .. }
            | Event::Blocked
            | Event::ReviewRejected
    );
    // It goes on, at another provider or with another card.
    let goes_on = matches!(
        event,
        Event::AttemptPlanned {
            operation: OperationId::Authorize(_),
            ..
        }
    );
    (is_over || goes_on).then_some(is_over)
}

/// Tells every shard its share, after waiting for those that are busy.
async fn tell(context: &Context, found: &mut Vec<Recalled>, told: &mut Told) {
    // Most are spread evenly.
    let room = found.len().div_ceil(context.risk.len().max(1)).saturating_mul(5) / 4;
    let mut shares: Vec<Vec<Recalled>> = context.risk.iter().map(|_| Vec::with_capacity(room)).collect();
    for recalled in found.drain(..) {
        shares[recalled.subject.shard(context.risk.len())].push(recalled);
    }
    for ((shard, share), told) in context.risk.iter().zip(shares).zip(&mut told.0) {
        let Some(incarnation) = told.filter(|_| !share.is_empty()) else {
            continue;
        };
        let mut mail = RiskMail::Recalled(incarnation, share);
        while let Err(returned) = shard.send(Class::New, mail) {
            if matches!(returned.why, Refused::Gone) {
                // It has failed: who comes after it is told all by somebody else.
                *told = None;
                break;
            }
            mail = returned.message;
            tokio::time::sleep(BUSY_WAIT).await;
        }
    }
}

//! Owns what providers say by themselves: notices that are lost, late, doubled and out of order, that strangers forge, and that are sent
//! again until somebody acknowledges them. They outlive the processes.

use crate::clock::lock;
use crate::fault::Fault;
use crate::life::Run;
use crate::tally::{notice_error, said};
use crate::world::World;
use florin_actors::payments_handle::{NoticeError, PaymentsHandle};
use florin_domain::ids::MerchantId;
use florin_domain::payment::{Attempt, AttemptState, Operation};
use florin_domain::provider::{Named, Notice, Outcome, ProviderId, Said, Signer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// Longer than the platform takes to answer a notice.
const ANSWERED_WITHIN_MS: u64 = 20_000;
/// The longest wait before a notice is sent again.
const AGAIN_MAX_MS: u64 = 300_000;
/// Who is not answered so often is not heard. What was written just now, because something came due, is on its way.
const IGNORED_AFTER: u32 = 3;
/// Times that a healed platform may be asked to take a notice.
const TRIES_MAX: u32 = 40;

/// A notice on its way.
#[derive(Clone, Debug)]
struct Letter {
    due_ms: u64,
    tries: u32,
    notice: Notice,
    /// Its sender may not speak of that payment.
    is_forged: bool,
}

#[derive(Debug, Default)]
struct Letters {
    /// Those that nobody has acknowledged, by number.
    open: BTreeMap<u64, Letter>,
    /// When each of them is due, so that the next one is found at once.
    due: BTreeSet<(u64, u64)>,
    /// When something is to be carried out at a provider.
    wakes: BTreeSet<u64>,
    written: u64,
}

/// All notices that are on their way.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    letters: Mutex<Letters>,
    news: Notify,
}

impl Letters {
    fn put(&mut self, letter: Letter) {
        self.written += 1;
        self.due.insert((letter.due_ms, self.written));
        self.open.insert(self.written, letter);
    }

    fn put_off(&mut self, number: u64, due_ms: u64) {
        if let Some(letter) = self.open.get_mut(&number) {
            self.due.remove(&(letter.due_ms, number));
            letter.due_ms = due_ms;
            self.due.insert((due_ms, number));
        }
    }

    fn end(&mut self, number: u64) {
        if let Some(letter) = self.open.remove(&number) {
            self.due.remove(&(letter.due_ms, number));
        }
    }
}

impl Outbox {
    /// Somebody has to look after the providers at this time.
    pub(crate) fn wake_at(&self, due_ms: u64) {
        lock(&self.letters).wakes.insert(due_ms);
        self.news.notify_one();
    }

    /// When the next thing is to be done.
    fn next_ms(&self) -> Option<u64> {
        let letters = lock(&self.letters);
        let due = letters.due.first().map(|(due_ms, _)| *due_ms);
        due.into_iter().chain(letters.wakes.first().copied()).min()
    }

    /// Those that are due; each will be due again unless it is acknowledged.
    fn take(&self, now_ms: u64) -> Vec<(u64, Letter)> {
        let mut letters = lock(&self.letters);
        let due: Vec<u64> = letters
            .due
            .iter()
            .take_while(|(due_ms, _)| *due_ms <= now_ms)
            .map(|(_, number)| *number)
            .collect();
        let mut taken = Vec::new();
        for number in due {
            letters.put_off(number, now_ms.saturating_add(ANSWERED_WITHIN_MS));
            if let Some(letter) = letters.open.get_mut(&number) {
                letter.tries += 1;
                taken.push((number, letter.clone()));
            }
        }
        taken
    }

    fn is_empty(&self) -> bool {
        lock(&self.letters).open.is_empty()
    }

    /// Whether something is to be carried out at a provider by now.
    fn takes_wakes(&self, now_ms: u64) -> bool {
        let mut letters = lock(&self.letters);
        let later = letters.wakes.split_off(&now_ms.saturating_add(1));
        let due = std::mem::replace(&mut letters.wakes, later);
        !due.is_empty()
    }

    /// Everything that is on its way is due now.
    fn hurry(&self, now_ms: u64) {
        let mut letters = lock(&self.letters);
        let numbers: Vec<u64> = letters.open.keys().copied().collect();
        for number in numbers {
            letters.put_off(number, now_ms);
        }
        self.news.notify_one();
    }

    /// Notices that were sent again and again, and nobody has acknowledged.
    fn ignored(&self) -> Vec<String> {
        let letters = lock(&self.letters);
        let open = letters
            .open
            .values()
            .filter(|letter| letter.tries >= IGNORED_AFTER);
        open.map(|letter| format!("{:?} after {} times", letter.notice, letter.tries))
            .collect()
    }
}

impl World {
    /// A provider writes. What only a notice says is `certain` to be sent some time.
    pub(crate) fn post(&self, notice: Notice, is_certain: bool) {
        if !is_certain && self.hits(Fault::NoticeLost) {
            return;
        }
        let now_ms = self.clock.true_ms();
        let copies = if self.hits(Fault::NoticeTwice) {
            self.chance(Fault::NoticeTwice, |dice| dice.within(2, 3))
        } else {
            1
        };
        for _ in 0..copies {
            let draw = |fault, from, to| self.chance(fault, |dice| dice.within(from, to));
            let wait_ms = if self.hits(Fault::NoticeLate) {
                draw(Fault::NoticeLate, 60_000, 7_200_000)
            } else if self.hits(Fault::NoticeOvertaken) {
                draw(Fault::NoticeOvertaken, 0, 90_000)
            } else {
                draw(Fault::NoticeEarly, 0, 1_500)
            };
            let letter = Letter {
                due_ms: now_ms.saturating_add(wait_ms),
                tries: 0,
                notice: notice.clone(),
                is_forged: false,
            };
            lock(&self.outbox.letters).put(letter);
        }
        if self.hits(Fault::NoticeForged) {
            let how = self.chance(Fault::NoticeForged, |dice| dice.below(3));
            let wait_ms = self.chance(Fault::NoticeForged, |dice| dice.within(0, 20_000));
            let letter = Letter {
                due_ms: now_ms.saturating_add(wait_ms),
                tries: 0,
                notice: forged(notice, how),
                is_forged: true,
            };
            lock(&self.outbox.letters).put(letter);
        }
        self.outbox.news.notify_one();
    }
}

/// The word of somebody else, who says that it was done.
fn forged(notice: Notice, how: u64) -> Notice {
    let said = Said::Became(Outcome::Succeeded {
        reference: Arc::from("obj_forged"),
        transaction: Arc::from("obj_forged"),
        amount_minor: 1_000,
    });
    let notice = Notice { said, ..notice };
    match how {
        0 => Notice {
            signer: Signer::Merchants(vec![MerchantId::from_bits(7)]),
            ..notice
        },
        1 => Notice {
            attempt: Named::KeyEnd(Arc::from(format!("{}~", notice.attempt.as_str()))),
            ..notice
        },
        _ => Notice {
            provider: ProviderId::parse("gamma").unwrap_or(notice.provider),
            ..notice
        },
    }
}

/// Carries notices for as long as the process lives.
pub(crate) async fn carry(run: Arc<Run>, payments: PaymentsHandle) {
    let world = &run.world;
    loop {
        world.alive().await;
        let now_ms = world.clock.true_ms();
        if world.outbox.takes_wakes(now_ms) {
            for provider in &run.providers {
                provider.settle();
            }
        }
        for (number, letter) in world.outbox.take(now_ms) {
            drop(tokio::spawn(deliver(
                Arc::clone(&run),
                payments.clone(),
                number,
                letter,
            )));
        }
        let wait_ms = world
            .outbox
            .next_ms()
            .map_or(u64::MAX / 2, |next_ms| next_ms.saturating_sub(now_ms));
        tokio::select! {
            biased;
            () = world.outbox.news.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(wait_ms.min(86_400_000))) => {}
        }
    }
}

async fn deliver(run: Arc<Run>, payments: PaymentsHandle, number: u64, letter: Letter) {
    let world = &run.world;
    let answer = payments.notice(letter.notice.clone()).await;
    world.alive().await;
    let notice = &letter.notice;
    let name = said(&notice.said);
    let key = notice.attempt.as_str();
    match answer {
        Ok(taken) => {
            world.note(format_args!("notice {key} {name}: taken {taken}"));
            if taken == letter.is_forged {
                world.breach(format!(
                    "a notice of {key} ({name}) is answered by {taken}: {notice:?}"
                ));
            }
            if taken {
                world.see("notice taken", name);
                run.check_taken(notice);
            } else {
                world.see("notice", "not ours");
            }
            if world.hits(Fault::NoticeUnheard) {
                let wait_ms = world.chance(Fault::NoticeUnheard, |dice| dice.within(100, 60_000));
                lock(&world.outbox.letters).put_off(number, world.clock.true_ms().saturating_add(wait_ms));
            } else {
                lock(&world.outbox.letters).end(number);
            }
        }
        Err(error) => {
            let why = notice_error(&error);
            world.see("notice", why);
            world.note(format_args!("notice {key} {name}: {why}"));
            run.check_refused(&letter, &error);
            let wait_ms = (1_000_u64 << letter.tries.min(10)).min(AGAIN_MAX_MS);
            lock(&world.outbox.letters).put_off(number, world.clock.true_ms().saturating_add(wait_ms));
        }
    }
}

/// The attempt that a notice names.
fn meant<'a>(op: &'a Operation, name: &Named) -> Option<&'a Attempt> {
    let mut attempts = op.earlier.iter().chain(&op.attempt);
    match name {
        Named::KeyEnd(key) => attempts.find(|attempt| *attempt.key == **key),
        Named::Charge(object) | Named::Refund { refund: object, .. } => attempts
            .find(|attempt| attempt.reference.as_ref() == Some(object))
            // It changed an object that another attempt made.
            .or(op.attempt.as_ref()),
    }
}

/// Whether what a notice says of an attempt is in the books, or nothing that could be.
fn is_taken(op: &Operation, attempt: &Attempt, said: &Said, is_of_object: bool) -> bool {
    let is_late = op.late.iter().any(|late| late.number == attempt.number);
    match said {
        // Another amount than was asked for is for people: it stays unresolved, with the reason.
        Said::Became(Outcome::Succeeded { .. }) => {
            attempt.state == AttemptState::Succeeded
                || is_late
                // While the charge is being closed, that it was made is kept until its end is told.
                || attempt.closing.made.is_some()
                || attempt.unknown_reason.is_some() && attempt.state.is_unresolved()
        }
        // Said of an object, it may be awaited as the answer to a call.
        Said::Became(Outcome::Declined { .. } | Outcome::Cancelled { .. }) => {
            !attempt.state.is_unresolved() || attempt.state == AttemptState::Open && is_of_object
        }
        // A hold of an object that was closed since is no news.
        Said::Reserved { .. } => {
            !attempt.state.is_unresolved()
                || is_late
                || attempt.closing.made.is_some()
                || attempt.unknown_reason.is_some()
        }
        // Nothing was there that could be undone.
        Said::TakenBack { unheard: Some(_), .. } => !attempt.state.is_unresolved(),
        Said::TakenBack { unheard: None, .. } => is_late || !op.matters.is_empty(),
        Said::NotClosed
        | Said::Released { .. }
        | Said::Changed
        | Said::Became(
            Outcome::ActionRequired { .. }
            | Outcome::Pending { .. }
            | Outcome::NotSent { .. }
            | Outcome::RateLimited { .. }
            | Outcome::Rejected { .. }
            | Outcome::Unknown { .. },
        ) => true,
    }
}

impl Run {
    /// Whoever is told that a notice was taken finds what it says in the journal.
    fn check_taken(&self, notice: &Notice) {
        let payment = lock(&self.world.journaled).latest(notice.payment).cloned();
        let op = payment
            .as_ref()
            .and_then(|payment| payment.operation(notice.operation));
        let is_durable = op.is_some_and(|op| {
            meant(op, &notice.attempt).is_some_and(|attempt| {
                let is_of_object = !matches!(notice.attempt, Named::KeyEnd(_));
                is_taken(op, attempt, &notice.said, is_of_object)
            })
        });
        if !is_durable {
            self.world.breach(format!(
                "a notice of {} ({}) is acknowledged and is not durable",
                notice.attempt.as_str(),
                said(&notice.said)
            ));
        }
    }

    /// Where nothing goes wrong, a notice is taken at once, unless something must be heard of first. In the end none is left.
    fn check_refused(&self, letter: &Letter, error: &NoticeError) {
        let may_wait = match (&letter.notice.said, error) {
            // The end of an object is told again behind the answer that is awaited.
            (Said::TakenBack { .. } | Said::Released { .. }, _) | (_, NoticeError::Shed(_)) => true,
            // So is a decline of an object that is being asked about: the answer under way may be of another try.
            (Said::Became(Outcome::Declined { .. }), NoticeError::NotTaken)
                if !matches!(letter.notice.attempt, Named::KeyEnd(_)) =>
            {
                true
            }
            (
                Said::Became(_) | Said::NotClosed | Said::Reserved { .. } | Said::Changed,
                NoticeError::View(_) | NoticeError::NotTaken,
            ) => false,
        };
        if self.world.is_healed() && !may_wait {
            self.world.breach(format!(
                "nothing is wrong, and a notice is not taken ({error}): {:?}",
                letter.notice
            ));
        }
    }

    /// Everything that was ever written arrives, however late.
    pub(crate) async fn all_notices_arrive(&self) {
        for _ in 0..TRIES_MAX {
            self.world.outbox.hurry(self.world.clock.true_ms());
            tokio::time::sleep(Duration::from_secs(5)).await;
            if self.world.outbox.is_empty() {
                return;
            }
        }
    }

    /// Nobody has anything left to say.
    pub(crate) fn check_notices(&self) {
        for letter in self.world.outbox.ignored() {
            self.world.breach(format!("a notice is never taken: {letter}"));
        }
    }
}

//! Owns what a customer does: asks, waits, leaves, asks again under the same key, and looks at every answer.

use crate::clock::lock;
use crate::fault::Fault;
use crate::life::Run;
use crate::shop::{Reply, Wish, is_charge};
use crate::tally::{answer, refusal};
use florin_actors::payment::NotStored;
use florin_actors::payments_handle::{Answered, ChangeRequest, NewPayment, PaymentsHandle, RequestError};
use florin_domain::idempotency::KeyDigest;
use florin_domain::ids::PaymentId;
use florin_domain::payment::{AttemptState, Payment, Status};
use florin_domain::ports::PaymentsQuery;
use florin_domain::provider::ProviderKey;
use std::sync::Arc;
use std::time::Duration;

/// Times that a customer asks before it gives up for this life.
const PATIENCE: u32 = 12;

pub(crate) async fn ask(payments: &PaymentsHandle, wish: Wish) -> Reply {
    match wish {
        Wish::Create(new) => payments.create(NewPayment::clone(&new)).await,
        Wish::Change(change) => payments.change(ChangeRequest::clone(&change)).await,
    }
}

/// What a customer still wants is asked until it is answered for good, and then the next thing.
pub(crate) async fn customer(run: Arc<Run>, payments: PaymentsHandle, number: usize) {
    let world = &run.world;
    loop {
        let (wish, wait_ms) = {
            let mut purchase = lock(&run.shop.purchases[number]);
            let most = world.scenario.wait_max_ms(purchase.sent);
            let Some(wish) = purchase.wish.clone() else {
                return;
            };
            if purchase.sent >= PATIENCE {
                return;
            }
            (wish, purchase.wait_ms(most))
        };
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        if world.hits(Fault::RequestReordered) {
            let earlier = lock(&run.shop.finals)
                .values()
                .next_back()
                .map(|(wish, _)| wish.clone());
            if let Some(earlier) = earlier {
                let reply = ask(&payments, earlier.clone()).await;
                run.replied(&earlier, &reply);
            }
        }
        if world.hits(Fault::RequestLate) {
            let ms = world.chance(Fault::RequestLate, |dice| dice.within(1_000, 30_000));
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        run.competes(&payments, &wish, number);
        let reply = run.send(&payments, &wish, number).await;
        world.alive().await;
        if let Some(Ok(answered)) = &reply {
            run.passes_later(&answered.payment);
        }
        let is_over = reply.is_some_and(|reply| {
            run.replied(&wish, &reply);
            run.settled(number, &wish, &reply)
        });
        if is_over && world.chance(Fault::ReplyLost, |dice| dice.hits(2_000)) {
            run.reads(&payments, &wish).await;
            run.misuses(&payments, &wish).await;
        }
    }
}

impl Run {
    /// Sends a request over a bad line. Nothing comes back if the request or its answer is lost.
    async fn send(self: &Arc<Self>, payments: &PaymentsHandle, wish: &Wish, number: usize) -> Option<Reply> {
        let world = &self.world;
        let is_first = {
            let mut purchase = lock(&self.shop.purchases[number]);
            purchase.sent += 1;
            std::mem::take(&mut purchase.is_new)
        };
        if world.hits(Fault::RequestLost) {
            return None;
        }
        self.customer_acts(wish);
        if world.hits(Fault::RequestDuplicated) {
            let (run, payments, wish) = (Arc::clone(self), payments.clone(), wish.clone());
            drop(tokio::spawn(async move {
                let reply = ask(&payments, wish.clone()).await;
                run.world.alive().await;
                run.replied(&wish, &reply);
            }));
        } else if is_first {
            let known = lock(&world.journaled).keys.contains_key(&wish.key());
            let reply = self.answered_in_time(payments, wish).await?;
            if !known {
                self.check_nothing_stored(wish, &reply);
            }
            return Some(reply);
        }
        self.answered_in_time(payments, wish).await
    }

    /// Two clerks of a merchant ask for something of the same payment at the same time.
    fn competes(self: &Arc<Self>, payments: &PaymentsHandle, wish: &Wish, number: usize) {
        let Wish::Change(change) = wish else { return };
        if !self
            .world
            .chance(Fault::RequestDuplicated, |dice| dice.hits(1_500))
        {
            return;
        }
        let Some(payment) = lock(&self.world.journaled).latest(change.payment).cloned() else {
            return;
        };
        let rival = lock(&self.shop.purchases[number]).rival(&payment);
        let (run, payments) = (Arc::clone(self), payments.clone());
        let wait_ms = self
            .world
            .chance(Fault::RequestDuplicated, |dice| dice.below(400));
        drop(tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            let reply = ask(&payments, rival.clone()).await;
            run.world.alive().await;
            run.replied(&rival, &reply);
        }));
    }

    async fn answered_in_time(&self, payments: &PaymentsHandle, wish: &Wish) -> Option<Reply> {
        let world = &self.world;
        let asking = ask(payments, wish.clone());
        if world.hits(Fault::ReplyLost) {
            let ms = world.chance(Fault::ReplyLost, |dice| dice.below(2_000));
            return tokio::time::timeout(Duration::from_millis(ms), asking).await.ok();
        }
        Some(asking.await)
    }

    /// Who comes back from a challenge has passed it.
    fn customer_acts(&self, wish: &Wish) {
        let Wish::Change(change) = wish else { return };
        let payment = lock(&self.world.journaled).latest(change.payment).cloned();
        let Some(payment) = payment else { return };
        for key in challenges(&payment) {
            self.passes(&key);
        }
    }

    fn passes(&self, key: &ProviderKey) {
        for provider in &self.providers {
            provider.customer_acts(key);
        }
    }

    /// A customer may pass a challenge at any time, and tell nobody.
    fn passes_later(self: &Arc<Self>, payment: &Payment) {
        if !self.world.chance(Fault::RequestLate, |dice| dice.hits(5_000)) {
            return;
        }
        for key in challenges(payment) {
            let run = Arc::clone(self);
            let wait_ms = self
                .world
                .chance(Fault::RequestLate, |dice| dice.within(1_000, 200_000));
            drop(tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                run.world.alive().await;
                run.passes(&key);
            }));
        }
    }

    /// Looks at an answer: what it shows is durable, and what was final once is so for ever.
    pub(crate) fn replied(&self, wish: &Wish, reply: &Reply) {
        let world = &self.world;
        match reply {
            Ok(answered) => {
                let name = answer(&answered.answer);
                world.see("answer", name);
                world.note(format_args!("told {} {name}", answered.payment.id()));
                self.check_durable(&answered.payment);
                if answered.answer.is_final() {
                    self.check_final(wish, answered);
                }
            }
            Err(error) => {
                world.see("no answer", refusal(error));
                world.note(format_args!("told {error}"));
                // Who is set aside has what it stored.
                if matches!(error, RequestError::NotStored(NotStored::Quarantined)) {
                    self.check_nothing_stored(wish, reply);
                }
            }
        }
    }

    fn check_durable(&self, payment: &Payment) {
        let journaled = lock(&self.world.journaled);
        let history = journaled.payments.get(&payment.id());
        let is_durable = history.is_some_and(|history| history.place_of(payment).is_some());
        drop(journaled);
        if !is_durable {
            self.world.breach(format!(
                "{} was shown in a state that is not durable",
                payment.id()
            ));
        }
    }

    fn check_final(&self, wish: &Wish, answered: &Answered) {
        let mut finals = lock(&self.shop.finals);
        let Some((_, before)) = finals.get(&wish.key()) else {
            finals.insert(wish.key(), (wish.clone(), answered.clone()));
            return;
        };
        let same = before.payment == answered.payment
            && before.answer == answered.answer
            && before.operation == answered.operation;
        if !same || !answered.replayed {
            let what = format!(
                "{:?} was answered {:?} and is answered {:?} (replayed: {})",
                wish.key(),
                before.answer,
                answered.answer,
                answered.replayed
            );
            drop(finals);
            self.world.breach(what);
        }
    }

    /// Who is told that nothing was stored finds nothing.
    fn check_nothing_stored(&self, wish: &Wish, reply: &Reply) {
        let is_denied = match reply {
            Err(RequestError::NotStored(_) | RequestError::Shed(_)) => true,
            Ok(_) | Err(RequestError::Mismatch | RequestError::TooManyWaiters | RequestError::Lost) => false,
        };
        let journaled = lock(&self.world.journaled);
        let stored = match wish {
            Wish::Create(new) => journaled.keys.contains_key(&new.key_digest),
            Wish::Change(change) => journaled
                .latest(change.payment)
                .is_some_and(|payment| payment.request(change.key_digest).is_some()),
        };
        drop(journaled);
        if is_denied && stored {
            self.world.breach(format!(
                "{:?} was told that nothing is stored, and it is",
                wish.key()
            ));
        }
    }

    /// Whether the request is over; then the next one is chosen.
    pub(crate) fn settled(&self, number: usize, wish: &Wish, reply: &Reply) -> bool {
        let mut purchase = lock(&self.shop.purchases[number]);
        if purchase.wish.as_ref().map(Wish::key) != Some(wish.key()) {
            return false;
        }
        match reply {
            Ok(answered) if answered.answer.is_final() => {
                purchase.next(&answered.payment);
                true
            }
            // A challenge that nobody passes is never answered; the customer does something else.
            Ok(answered) => {
                let is_stuck = purchase.sent >= 4 && shows_wait(&answered.payment);
                if is_stuck {
                    purchase.next(&answered.payment);
                }
                is_stuck
            }
            Err(RequestError::NotStored(NotStored::Refused(_))) => {
                let latest = purchase
                    .payment
                    .and_then(|id| lock(&self.world.journaled).latest(id).cloned());
                match latest {
                    Some(payment) => purchase.next(&payment),
                    None => purchase.wish = None,
                }
                true
            }
            Err(_) => false,
        }
    }

    /// Who was told finds what it was told, by itself and in the list.
    async fn reads(&self, payments: &PaymentsHandle, wish: &Wish) {
        let known = lock(&self.shop.finals)
            .get(&wish.key())
            .map(|(_, answered)| Arc::clone(&answered.payment));
        let Some(shown) = known else { return };
        let (id, merchant) = (shown.id(), shown.spec.merchant);
        match payments.get((merchant, false), id).await {
            Ok(Some(row)) => self.check_not_older(&shown, &row.payment),
            Ok(None) => self
                .world
                .breach(format!("{id} was answered and cannot be found")),
            Err(error) => self.world.note(format_args!("cannot read: {error}")),
        }
        let mut query = PaymentsQuery::newest(merchant, false, 5);
        query.starting_after = next_id(id);
        if let Ok(list) = payments.list(query).await {
            match list.rows.first().filter(|row| row.payment.id() == id) {
                Some(row) => self.check_not_older(&shown, &row.payment),
                None => self.world.breach(format!(
                    "{id} was answered and is not in the list of its merchant"
                )),
            }
        }
    }

    /// A key that was answered for good is never taken for something else.
    async fn misuses(&self, payments: &PaymentsHandle, wish: &Wish) {
        if !lock(&self.shop.finals).contains_key(&wish.key()) {
            return;
        }
        let reply = ask(payments, wish.misused()).await;
        match &reply {
            Err(error) => self.world.see("no answer", refusal(error)),
            Ok(_) => self
                .world
                .breach(format!("{:?} was taken for something else", wish.key())),
        }
    }

    fn check_not_older(&self, shown: &Payment, read: &Payment) {
        let journaled = lock(&self.world.journaled);
        let place = |payment: &Payment| {
            let history = journaled.payments.get(&payment.id())?;
            history.place_of(payment)
        };
        let (shown_at, read_at) = (place(shown), place(read));
        drop(journaled);
        if read_at.is_none() || read_at < shown_at {
            self.world.breach(format!(
                "{} was shown after commit {shown_at:?} and is read as of {read_at:?}",
                shown.id()
            ));
        }
    }
}

/// The keys under which a customer is challenged.
fn challenges(payment: &Payment) -> Vec<ProviderKey> {
    let charges = payment.operations.iter().filter(|op| is_charge(op.kind));
    charges
        .filter_map(|op| op.attempt.as_ref())
        .filter(|attempt| attempt.state == AttemptState::ActionRequired)
        .map(|attempt| Arc::clone(&attempt.key))
        .collect()
}

fn next_id(id: PaymentId) -> Option<PaymentId> {
    id.bits().checked_add(1).map(PaymentId::from_bits)
}

/// Whether a person is waited for.
fn shows_wait(payment: &Payment) -> bool {
    match payment.status {
        Status::RequiresAction(_) | Status::InReview { .. } => true,
        Status::RequiresPaymentMethod
        | Status::RequiresConfirmation
        | Status::Processing
        | Status::Authorized
        | Status::Succeeded
        | Status::Failed
        | Status::Blocked
        | Status::Voided => false,
    }
}

impl std::fmt::Debug for Wish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key: KeyDigest = self.key();
        match self {
            Self::Create(_) => write!(f, "Create({key:?})"),
            Self::Change(change) => write!(f, "Change({key:?}, {:?})", change.change),
        }
    }
}

//! Owns the end of a run: everything is healed, everybody asks until answered, and then all that must hold is looked at, before and
//! after another start.

use crate::clock::lock;
use crate::customer::{ask, customer};
use crate::fault::{Fault, Scenario};
use crate::journaled::Mark;
use crate::life::{Run, Wiring};
use crate::notices::carry;
use crate::operator::let_go;
use crate::provider_books::reference;
use crate::restart::{Share, Standing};
use crate::shop::{resolution_of, waits};
use crate::tally::Death;
use crate::treasurer::{open_tills, send, treasurer};
use crate::treasury::asked;
use florin_actors::ledger_handle::{LedgerHandle, Told};
use florin_actors::payments_handle::PaymentsHandle;
use florin_domain::ids::{OperationId, PaymentId, ShardId};
use florin_domain::ledger::{AccountKey, AccountName, AccountState, Linkage};
use florin_domain::payment::AttemptState;
use florin_domain::ports::{Clock, OpsView};
use florin_supervisors::platform::Platform;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Longer than every call and every retry takes, and than the wait of five minutes between two questions about an attempt; what is not resolved by then is on the operators' list.
const REST: Duration = Duration::from_mins(7);

/// The longest wait between two questions about an attempt, and then some.
const SCHEDULE: Duration = Duration::from_mins(40);

/// A call and its retries take no longer.
const AGE_MS: u64 = 60_000;

pub(crate) type Accounts = Vec<(AccountKey, AccountState)>;

impl Run {
    /// The last lives, in which nothing goes wrong any more.
    pub(crate) fn conclude(self: &Arc<Self>, wiring: &Wiring, lives: u64) -> Result<(), std::io::Error> {
        self.world.heal();
        self.disks.repair();
        let mut standing = None;
        let end = self.life(async |run| match run.start(wiring, lives).await {
            Ok(platform) => {
                run.check_start(&platform);
                standing = run.come_to_rest(platform).await;
                Death::Drained
            }
            Err(error) => {
                run.world
                    .breach(format!("the healed process does not start: {error}"));
                Death::Refused
            }
        })?;
        let Some(mut standing) = standing.filter(|_| end == Death::Drained) else {
            if end != Death::Refused {
                self.world
                    .breach("the healed process does not come to rest".to_owned());
            }
            return Ok(());
        };
        self.starts_the_same(wiring, lives, &mut standing, ("after a snapshot", Share::Even))?;
        self.disks.lose_all_but_journals();
        self.starts_the_same(
            wiring,
            lives,
            &mut standing,
            ("from the journals alone", Share::Odd),
        )
    }

    async fn come_to_rest(self: &Arc<Self>, platform: Platform) -> Option<Standing> {
        let ledger = platform.ledger();
        let before = self.alarms_due();
        drop(tokio::spawn(carry(Arc::clone(self), platform.payments())));
        let_go(self, &ledger).await;
        open_tills(self, &ledger).await;
        // What waits for the operators' word can go on after it.
        for _ in 0..2 {
            self.everybody_asks(&platform).await;
            tokio::time::sleep(REST).await;
            if self.world.scenario == Scenario::Failover {
                self.check_resolved(&platform.payments()).await;
            }
            self.resolve(&platform.payments()).await;
            self.all_notices_arrive().await;
        }
        tokio::time::sleep(REST).await;
        self.check_notices();
        self.check_receivers().await;
        self.ask_again(&platform, Share::All).await;
        self.check_payments(&platform.payments()).await;
        self.check_lists(&platform.payments()).await;
        self.check_deadlines();
        self.check_alerts(&ledger, "at rest").await;
        self.check_witness();
        self.check_alarms(before);
        self.check_transfers(&ledger).await;
        let standing = self.check_books(&ledger).await;
        let ops = platform.ops(Box::new(String::new));
        self.check_bounds(&ops.tree(50).await);
        drop(ops);
        self.check_idle(&platform);
        self.check_monitor(&platform).await;
        platform.drain(Duration::from_secs(30)).await;
        standing
    }

    /// All who want something still, until they are answered or give up.
    async fn everybody_asks(self: &Arc<Self>, platform: &Platform) {
        let mut tasks = Vec::new();
        for number in self.shop.open() {
            lock(&self.shop.purchases[number]).sent = 0;
            tasks.push(tokio::spawn(customer(
                Arc::clone(self),
                platform.payments(),
                number,
            )));
        }
        for number in self.treasury.open() {
            lock(&self.treasury.errands[number]).sent = 0;
            tasks.push(tokio::spawn(treasurer(
                Arc::clone(self),
                platform.ledger(),
                number,
            )));
        }
        for task in tasks {
            if let Err(error) = task.await {
                self.world.breach(format!("a caller failed: {error}"));
            }
        }
    }

    /// What was answered for good is answered so again.
    pub(crate) async fn ask_again(&self, platform: &Platform, share: Share) {
        let finals: Vec<_> = share.of(lock(&self.shop.finals).values());
        let payments = platform.payments();
        for (wish, _) in finals {
            let reply = ask(&payments, wish.clone()).await;
            if !reply.as_ref().is_ok_and(|reply| reply.answer.is_final()) {
                self.world
                    .breach(format!("{wish:?} had a final answer and is told {reply:?}"));
            }
            self.replied(&wish, &reply);
        }
        let recorded: Vec<_> = share.of(lock(&self.treasury.recorded).values());
        for transfer in recorded {
            let id = transfer.id;
            let mut alone = transfer;
            alone.linked = false;
            let answer = send(&platform.ledger(), asked(vec![alone], Linkage::Independent)).await;
            let told = answer.map(|answer| answer.told);
            if !matches!(told.as_deref(), Ok([Told::Existed(_)])) {
                self.world
                    .breach(format!("transfer {id} was recorded and is told {told:?}"));
            }
        }
    }

    /// Providers that answer again leave no outcome to people: the schedule alone resolves everything.
    async fn check_resolved(&self, payments: &PaymentsHandle) {
        tokio::time::sleep(SCHEDULE).await;
        match payments.unresolved(None, 10_000).await {
            Ok(None) => {}
            Ok(Some(page)) if page.attempts.iter().all(|(row, id)| !waits(row, *id)) => {}
            other => self
                .world
                .breach(format!("after the schedule this is left: {other:?}")),
        }
    }

    /// What nobody could resolve is on the operators' list; two of them look it up and say what really happened.
    async fn resolve(&self, payments: &PaymentsHandle) {
        let (mut done, mut other) = (BTreeSet::new(), BTreeSet::new());
        for (deed, _) in self.providers.iter().flat_map(|provider| provider.deeds()) {
            if deed.is_other {
                other.insert(Arc::clone(&deed.key));
            }
            done.insert(deed.key);
        }
        let listed = match payments.unresolved(None, 10_000).await {
            Ok(Some(page)) => page.attempts,
            Ok(None) => Vec::new(),
            Err(error) => {
                return self
                    .world
                    .breach(format!("no list of unresolved attempts: {error}"));
            }
        };
        for (row, operation) in listed {
            let id = row.payment.id();
            self.world.note(format_args!("on the list: {operation} of {id}"));
            if let Some(wish) = self.shop.note(&row.payment, operation) {
                let reply = ask(payments, wish.clone()).await;
                self.replied(&wish, &reply);
            }
            if !waits(&row, operation) {
                continue;
            }
            // The report names the object, so that what is asked of it later reaches it.
            let attempt = row
                .payment
                .operation(operation)
                .and_then(|op| op.attempt.as_ref());
            let seen = attempt.map(|attempt| reference(&attempt.key));
            let was_asked = |key| self.providers.iter().any(|provider| provider.was_asked(key));
            if attempt.is_some_and(|attempt| !was_asked(&attempt.key)) {
                self.world.breach(format!(
                    "{operation} of {id} is unresolved, and no provider was asked"
                ));
            }
            // Neither "done" nor "not done" is true of what was done for another amount, or of what a bank is still to say.
            let is_open = attempt.is_some_and(|attempt| {
                let mut providers = self.providers.iter();
                providers.any(|provider| provider.is_pending(&attempt.key))
            });
            if is_open || attempt.is_some_and(|attempt| other.contains(&attempt.key)) {
                continue;
            }
            let is_done = attempt.is_some_and(|attempt| done.contains(&attempt.key));
            // Some say what is not so, and some say it twice: neither counts for two.
            let words: &[(&str, bool)] = match self.world.chance(Fault::QueryWrong, |dice| dice.below(3)) {
                0 => &[("first", true), ("first", true), ("second", true)],
                1 => &[("third", false), ("first", true), ("second", true)],
                _ => &[("first", true), ("second", true)],
            };
            self.world.see("resolution", resolution_of(words));
            for (operator, is_true) in words {
                let happened = seen.clone().filter(|_| is_done == *is_true);
                let wish = self.shop.resolution(id, operation, happened, operator);
                let reply = ask(payments, wish.clone()).await;
                self.replied(&wish, &reply);
            }
        }
    }

    /// Nothing is unresolved but what is on the operators' list.
    async fn check_payments(&self, payments: &PaymentsHandle) {
        let listed: BTreeSet<(PaymentId, OperationId)> = match payments.unresolved(None, 10_000).await {
            Ok(page) => page
                .into_iter()
                .flat_map(|page| page.attempts)
                .map(|(row, operation)| (row.payment.id(), operation))
                .collect(),
            Err(error) => {
                return self
                    .world
                    .breach(format!("no list of unresolved attempts: {error}"));
            }
        };
        let (mut forgotten, now) = (Vec::new(), self.world.clock.now());
        for (id, history) in &lock(&self.world.journaled).payments {
            let Some(payment) = history.states.last() else {
                continue;
            };
            for operation in payment.unresolved() {
                let waits_for_customer = operation.state() == Some(AttemptState::ActionRequired);
                // One that a deadline has opened just now is on its way.
                let age_ms = now.unix_ms().saturating_sub(operation.opened_at.unix_ms());
                if age_ms > AGE_MS && !waits_for_customer && !listed.contains(&(*id, operation.id)) {
                    forgotten.push(format!(
                        "{} of {id} is {:?} and nobody knows",
                        operation.id,
                        operation.state()
                    ));
                }
            }
        }
        for what in forgotten {
            self.world.breach(what);
        }
    }

    /// Transfers between shards are whole, requests that are all or nothing are so, and clearing comes to nothing.
    async fn check_transfers(&self, ledger: &LedgerHandle) {
        let mut wrong = Vec::new();
        {
            let journaled = lock(&self.world.journaled);
            for id in journaled.half_done() {
                wrong.push(format!("transfer {id} is on one side only"));
            }
            let recorded = |id| {
                let mut shards = (0..self.world.shards).map(ShardId);
                shards.find_map(|shard| {
                    journaled
                        .transfers
                        .get(&(id, shard, Mark::Recorded))
                        .map(|seq| (shard, *seq))
                })
            };
            for ids in lock(&self.treasury.atomic).iter() {
                let places: BTreeSet<_> = ids.iter().map(|id| recorded(*id)).collect();
                if places.len() > 1 {
                    wrong.push(format!("of {ids:?} a part is recorded: {places:?}"));
                }
            }
        }
        match ledger.crossings().await {
            Ok(under_way) if under_way.is_empty() => {}
            other => wrong.push(format!("transfers between shards are still under way: {other:?}")),
        }
        for what in wrong {
            self.world.breach(what);
        }
    }

    /// The books are the sum of the journals' entries, and what providers owe is what they really took.
    async fn check_books(&self, ledger: &LedgerHandle) -> Option<Standing> {
        let standing = self.standing(ledger).await?;
        let accounts = &standing.accounts;
        let counted = lock(&self.world.journaled).balances();
        let held: BTreeMap<AccountKey, i128> = accounts
            .iter()
            .map(|(key, state)| (*key, state.posted.minor()))
            .collect();
        let keys: BTreeSet<AccountKey> = counted.keys().chain(held.keys()).copied().collect();
        let mut wrong = self.expected_wrong(accounts);
        for key in keys {
            let of = |balances: &BTreeMap<AccountKey, i128>| balances.get(&key).copied().unwrap_or(0);
            if of(&counted) != of(&held) {
                wrong.push(format!(
                    "{key} holds {} and its entries come to {}",
                    of(&held),
                    of(&counted)
                ));
            }
            if key.name == AccountName::ShardClearing && of(&held) != 0 {
                wrong.push(format!("{key} holds {}", of(&held)));
            }
        }
        match ledger.trial_balance().await {
            Ok(totals) => {
                let off = totals
                    .iter()
                    .filter(|total| total.debits_minor != total.credits_minor);
                wrong.extend(off.map(|total| format!("the trial balance is off: {total:?}")));
            }
            Err(error) => wrong.push(format!("no trial balance: {error}")),
        }
        wrong.extend(self.owed_wrong(&held));
        wrong.extend(self.suspense_wrong(&held));
        for what in wrong {
            self.world.breach(what);
        }
        Some(standing)
    }

    /// The platform's own monitor agrees.
    async fn check_monitor(&self, platform: &Platform) {
        match platform.consistency().run().await {
            Ok(rounds) => {
                let reports = rounds.iter().flat_map(|round| &round.checks);
                for report in reports.filter(|report| report.findings.issues > 0) {
                    self.world.breach(format!("the monitor objects: {report:?}"));
                }
            }
            Err(error) => self.world.breach(format!("the monitor does not run: {error}")),
        }
    }
}

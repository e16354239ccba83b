//! Owns one round: its checks in their order, and what the next round goes on from.

use super::pace::Budget;
use super::{balances, recent, rows};
use crate::context::Context;
use florin_domain::consistency::{
    Check, CheckReport, CheckState, Findings, JournalFold, Round, check_totals,
};
use florin_domain::ids::{PaymentId, Seq};
use florin_domain::ledger::AccountKey;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use tokio::time::Instant;

/// What rounds go on from. Lost with the monitor, it is made again from the journal.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) fold: JournalFold,
    pub(super) recent: recent::Recent,
    pub(super) rolling: balances::Rolling,
    /// Accounts to compare in any case: they differed, or were to be compared when a round broke off.
    pub(super) differing: BTreeSet<AccountKey>,
    /// Payments whose rows differed, and a commit of each.
    pub(super) suspects: BTreeMap<PaymentId, Seq>,
}

impl Work {
    /// Whether the fold is where the commits of the last minutes are read, and so goes on with them.
    pub(super) fn folds_along(&self) -> bool {
        self.fold.seq() == self.recent.through()
    }
}

/// Why a check could not be run.
#[derive(Clone, Debug)]
pub(super) struct Failure(pub(super) String);

impl<E: fmt::Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// What a check came to, if it could be run.
pub(super) struct Outcome {
    /// How far the journal was read for it, if that is not the end.
    pub(super) behind: Option<Seq>,
    pub(super) compared: u64,
    pub(super) findings: Findings,
}

fn report(check: Check, outcome: Result<Outcome, Failure>, head: Seq) -> CheckReport {
    match outcome {
        Ok(Outcome {
            behind,
            compared,
            findings,
        }) => CheckReport {
            check,
            state: behind.map_or(CheckState::Done, |read| CheckState::Behind { read, head }),
            compared,
            findings,
        },
        Err(Failure(why)) => CheckReport {
            check,
            state: CheckState::Failed(why),
            compared: 0,
            findings: Findings::default(),
        },
    }
}

/// Runs all checks once.
pub(super) async fn run(context: &Context, work: &mut Box<Work>, number: u64) -> Round {
    let (began, began_at) = (Instant::now(), context.ports.clock.now());
    let head = match context.ports.journal.head(context.shard).await {
        Ok(head) => head.seq,
        Err(error) => return Round::failed(context.shard, number, began_at, &error.to_string()),
    };
    let mut sample = rows::Sample::new(head);
    let looked = recent::look(context, work, (head, began), &mut sample).await;
    let budget = Budget::of_fold(began, work.folds_along());
    let balances = balances::check(context, work, (head, budget)).await;
    let totals = balances::totals(context, work).await;
    let (views, view_lag) = rows::check(context, work, sample).await;

    let recent = &work.recent;
    let behind = Some(recent.through()).filter(|read| *read < head);
    let ledger = looked.clone().and_then(|()| {
        let mut findings = recent.ledger();
        check_totals(&totals?, head, &mut findings);
        Ok(Outcome {
            behind,
            compared: recent.entries(),
            findings,
        })
    });
    let payments = looked.map(|()| Outcome {
        behind,
        compared: recent.payments(),
        findings: recent.of_payments(),
    });
    let mut outcomes = BTreeMap::from([
        (Check::Ledger, ledger),
        (Check::Balances, balances),
        (Check::Payments, payments),
        (Check::Views, views),
    ]);
    let checked = |check| match check {
        Check::Ledger | Check::Balances | Check::Payments | Check::Views => {
            let nothing = || Err(Failure("it was not run".to_owned()));
            report(check, outcomes.remove(&check).unwrap_or_else(nothing), head)
        }
        // Nothing is settled yet: whoever settles compares it here.
        Check::Settlement => CheckReport {
            check,
            state: CheckState::Absent,
            compared: 0,
            findings: Findings::default(),
        },
    };
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Round {
        shard: context.shard,
        number,
        began_at,
        took: florin_domain::time::Millis(took_ms),
        commits: work.recent.commits(),
        through: work.recent.through(),
        view_lag,
        checks: Check::ALL.map(checked).into(),
    }
}

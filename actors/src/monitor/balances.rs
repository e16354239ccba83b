//! Owns the comparison of the account shard's balances with the fold of the journal. The fold begins at the first commit, so it
//! proves the snapshots as well. Compared are the accounts touched since the last round and a slice of all, one after the other.

use super::pace::{Budget, pause};
use super::recent::read_page;
use super::round::{Failure, Outcome, Work};
use crate::account_shard::{GeneralMail, PaymentAccounts, Question, ShardMail};
use crate::context::Context;
use crate::mailbox::Class;
use florin_domain::consistency::{Difference, Findings};
use florin_domain::ids::Seq;
use florin_domain::ledger::{AccountKey, CurrencyTotal};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// Accounts that the shard is asked for at once: it looks them up between two commits.
const ASKED: usize = 1_024;
/// How often it is asked for touched accounts, and for a part of the slice, in one round.
const QUESTIONS: usize = 8;
/// Up to so many accounts the shard is asked for its trial balance; with more, it follows from comparing them.
const TRIAL_BALANCE_MAX: usize = 50_000;

/// Where the slice begins that the next round compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rolling {
    /// Behind this account of those on which payments are booked.
    Payments(Option<AccountKey>),
    /// At this number of those that were opened.
    General(usize),
}

impl Default for Rolling {
    fn default() -> Self {
        Self::Payments(None)
    }
}

/// What a round has compared.
#[derive(Default)]
struct Compared {
    count: u64,
    wrong: BTreeMap<AccountKey, Difference>,
}

async fn ask<T>(context: &Context, mail: impl FnOnce(oneshot::Sender<T>) -> ShardMail) -> Result<T, Failure> {
    let gone = || Failure("the account shard is gone".to_owned());
    let (reply, waits) = oneshot::channel();
    let sent = context.account_shard.send(Class::Internal, mail(reply));
    sent.map_err(|_| gone())?;
    waits.await.map_err(|_| gone())
}

/// Folds up to and including `until`; whether it came there in time.
async fn fold_to(
    context: &Context,
    work: &mut Box<Work>,
    until: Seq,
    budget: Option<Budget>,
) -> Result<bool, Failure> {
    while work.fold.seq() < until {
        if budget.is_some_and(Budget::is_over) {
            return Ok(false);
        }
        let read = work.fold.seq();
        let commits = read_page(context, read.next(), until.0 - read.0).await?;
        let (count, mut taken) = (commits.len(), std::mem::take(work));
        let (entries, taken, folded) = context
            .aside(move || {
                let folded = commits.iter().try_for_each(|commit| taken.fold.fold(commit));
                (
                    commits.iter().map(|commit| entries_of(commit)).sum(),
                    taken,
                    folded,
                )
            })
            .await;
        *work = taken;
        folded?;
        pause(count, entries).await;
    }
    Ok(true)
}

fn entries_of(commit: &florin_domain::commit::Commit) -> u64 {
    use florin_domain::commit::Body;
    use florin_domain::ledger::LedgerEvent;
    let entries = match &commit.body {
        Body::Payment(_) | Body::Control(_) => 1,
        Body::Ledger(ledger) => match &ledger.event {
            LedgerEvent::Transferred(transfers) => transfers.len(),
            LedgerEvent::PendingExpired(ids) => ids.len(),
            LedgerEvent::Crossed(steps) => steps.len(),
            LedgerEvent::AccountOpened(_)
            | LedgerEvent::PeriodClosed { .. }
            | LedgerEvent::AlertCreated(_)
            | LedgerEvent::AlertDeleted(_) => 1,
        },
    };
    u64::try_from(entries).unwrap_or(u64::MAX)
}

/// Brings the fold up to date and compares.
pub(super) async fn check(
    context: &Context,
    work: &mut Box<Work>,
    (head, budget): (Seq, Budget),
) -> Result<Outcome, Failure> {
    let mut findings = Findings::default();
    if !fold_to(context, work, head, Some(budget)).await? {
        findings.merge(work.fold.found());
        return Ok(Outcome {
            behind: Some(work.fold.seq()),
            compared: 0,
            findings,
        });
    }
    let mut compared = Compared::default();
    compare_touched(context, work, &mut compared).await?;
    compare_slice(context, work, &mut compared).await?;
    findings.merge(work.fold.found());
    let room = (ASKED * QUESTIONS).saturating_sub(work.differing.len());
    work.differing.extend(compared.wrong.keys().copied().take(room));
    findings.extend(compared.wrong.into_values());
    Ok(Outcome {
        behind: None,
        compared: compared.count,
        findings,
    })
}

async fn compare_touched(
    context: &Context,
    work: &mut Box<Work>,
    compared: &mut Compared,
) -> Result<(), Failure> {
    // If the round breaks off, they are compared in the next one.
    let room = (ASKED * QUESTIONS).saturating_sub(work.differing.len());
    let touched = work.fold.take_touched(room);
    work.differing.extend(touched);
    let keys: Vec<AccountKey> = work.differing.iter().copied().collect();
    for keys in keys.chunks(ASKED) {
        let question = |reply| Question::Standings {
            keys: keys.to_vec(),
            reply,
        };
        let (standings, seq) = ask(context, |reply| ShardMail::Question(question(reply))).await?;
        fold_to(context, work, seq, None).await?;
        for (key, standing) in keys.iter().zip(standings) {
            compared.count += 1;
            match work.fold.difference(key, standing.as_ref()) {
                Some(difference) => drop(compared.wrong.insert(*key, difference)),
                None => drop(work.differing.remove(key)),
            }
        }
    }
    Ok(())
}

async fn compare_slice(
    context: &Context,
    work: &mut Box<Work>,
    compared: &mut Compared,
) -> Result<(), Failure> {
    let began = work.rolling;
    for _ in 0..QUESTIONS {
        work.rolling = match work.rolling {
            Rolling::Payments(after) => {
                let page = PaymentAccounts {
                    of: None,
                    after,
                    limit: ASKED,
                };
                let question = |reply| Question::PaymentAccounts { page, reply };
                let (page, seq) = ask(context, |reply| ShardMail::Question(question(reply))).await?;
                fold_to(context, work, seq, None).await?;
                let is_last = page.len() < ASKED;
                compared.count += page.len() as u64;
                compared
                    .wrong
                    .extend(work.fold.compare_page(after, &page, is_last));
                match page.last() {
                    Some((last, _)) if !is_last => Rolling::Payments(Some(*last)),
                    Some(_) | None => Rolling::General(0),
                }
            }
            Rolling::General(from) => {
                let question = |reply| GeneralMail::Page {
                    from,
                    limit: ASKED,
                    reply,
                };
                let (page, seq) = ask(context, |reply| ShardMail::General(question(reply))).await?;
                fold_to(context, work, seq, None).await?;
                compared.count += page.len() as u64;
                for (account, state) in &page {
                    let Some(key) = account.id.key() else { continue };
                    let differs = work.fold.difference(&key, Some(state));
                    compared.wrong.extend(differs.map(|difference| (key, difference)));
                }
                if page.len() < ASKED {
                    Rolling::Payments(None)
                } else {
                    Rolling::General(from + page.len())
                }
            }
        };
        if work.rolling == began || work.rolling == Rolling::Payments(None) {
            break;
        }
    }
    Ok(())
}

/// The shard's own trial balance; nothing if it has so many accounts that summing them up would hold it up.
pub(super) async fn totals(context: &Context, work: &Work) -> Result<Vec<CurrencyTotal>, Failure> {
    // A fold that is behind does not know how many there are.
    let head = context.ports.journal.head(context.shard).await?;
    if work.fold.seq() < head.seq || work.fold.accounts() > TRIAL_BALANCE_MAX {
        return Ok(Vec::new());
    }
    ask(context, ShardMail::TrialBalance).await
}

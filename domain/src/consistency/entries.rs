//! Owns the check that every entry balances per currency and mode, and that all balances together do.

use super::{Difference, ENTRY, Findings, apart};
use crate::commit::{Body, Commit};
use crate::ids::Seq;
use crate::ledger::{CrossingStep, CurrencyTotal, LedgerEvent, Legs, PostedTransfer, Posting, Side};
use crate::money::{Currency, decimal_string};
use std::collections::BTreeMap;
use std::fmt;

/// Debits and credits by currency and mode, in minor units.
type Sums = BTreeMap<(Currency, bool), (i128, i128)>;

/// Looks at every entry of a commit, also at what transfers reserve. Returns how many there were.
pub fn check_entries(commit: &Commit, findings: &mut Findings) -> u64 {
    match &commit.body {
        Body::Control(_) => 0,
        Body::Payment(body) => {
            let Some(entry) = &body.entry else { return 0 };
            let postings = entry.lines().iter().map(|line| line.posting);
            check_entry(&body.payment, postings, commit.seq, findings);
            1
        }
        Body::Ledger(ledger) => match &ledger.event {
            LedgerEvent::Transferred(transfers) => {
                let checked = transfers
                    .iter()
                    .filter(|transfer| check_transfer(transfer, commit.seq, findings));
                u64::try_from(checked.count()).unwrap_or(u64::MAX)
            }
            LedgerEvent::Crossed(steps) => {
                let halves = steps.iter().filter_map(|step| match step {
                    CrossingStep::Decided { posted, .. } | CrossingStep::Applied { posted, .. } => {
                        Some(posted)
                    }
                    CrossingStep::Prepared(_)
                    | CrossingStep::Reserved(_)
                    | CrossingStep::Aborted { .. }
                    | CrossingStep::Settled(_) => None,
                });
                let checked = halves.filter(|posted| check_transfer(posted, commit.seq, findings));
                u64::try_from(checked.count()).unwrap_or(u64::MAX)
            }
            LedgerEvent::AccountOpened(_)
            | LedgerEvent::PendingExpired(_)
            | LedgerEvent::PeriodClosed { .. }
            | LedgerEvent::AlertCreated(_)
            | LedgerEvent::AlertDeleted(_) => 0,
        },
    }
}

/// Whether there was anything to check.
fn check_transfer(transfer: &PostedTransfer, seq: Seq, findings: &mut Findings) -> bool {
    match &transfer.legs {
        Legs::Pair(pair) => {
            let postings = pair.lines().into_iter().map(|line| line.posting);
            check_entry(&transfer.id, postings, seq, findings);
        }
        Legs::Many(entry) => {
            let postings = entry.lines().iter().map(|line| line.posting);
            check_entry(&transfer.id, postings, seq, findings);
        }
        Legs::Reserved(postings) => check_entry(&transfer.id, postings.iter().copied(), seq, findings),
        Legs::Released => return false,
    }
    true
}

/// One entry: what differs is added for every currency and mode.
pub(super) fn check_entry(
    transaction: &impl fmt::Display,
    postings: impl Iterator<Item = Posting>,
    seq: Seq,
    findings: &mut Findings,
) {
    let mut sums = Sums::new();
    for posting in postings {
        let account = &posting.account;
        let (debits, credits) = sums.entry((account.currency, account.livemode)).or_default();
        let sum = match posting.side {
            Side::Debit => debits,
            Side::Credit => credits,
        };
        *sum = sum.saturating_add(posting.amount.minor());
    }
    for ((currency, _), (debits, credits)) in sums {
        findings.extend(sides(transaction, currency, (debits, credits), seq));
    }
}

fn sides(
    transaction: &impl fmt::Display,
    currency: Currency,
    (debits, credits): (i128, i128),
    seq: Seq,
) -> Option<Difference> {
    (debits != credits).then(|| Difference {
        subject: transaction.to_string(),
        figure: ENTRY,
        expected: decimal_string(debits, currency),
        found: decimal_string(credits, currency),
        difference_minor: Some(apart(debits, credits)),
        seq,
    })
}

/// The trial balance: what all accounts hold, by currency and mode.
pub fn check_totals(totals: &[CurrencyTotal], seq: Seq, findings: &mut Findings) {
    for total in totals {
        let mode = if total.livemode { "live" } else { "test" };
        let subject = format!("trial_balance:{}:{mode}", total.currency.code());
        let both = (total.debits_minor, total.credits_minor);
        findings.extend(sides(&subject, total.currency, both, seq));
    }
}

//! Owns the monitor's own fold of the journal into balances. It reads amounts and sides only; the running balances that the
//! journal says are compared with, never taken over.

use super::{Difference, Findings};
use crate::commit::{Body, Commit};
use crate::ids::Seq;
use crate::ledger::{
    AccountKey, AccountName, AccountState, CrossingStep, HoldChange, LedgerEvent, Legs, Line, PostedEntry,
    PostedTransfer, Posting, Side, TransferId, TransferStep,
};
use crate::money::Amount;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use thiserror::Error;

/// What an account comes to, in minor units; what is posted is positive on its normal side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Posted.
    pub posted_minor: i128,
    /// Expected credits.
    pub pending_credit_minor: i128,
    /// Expected debits.
    pub pending_debit_minor: i128,
    /// The commit that last posted to it.
    pub last_posted: Seq,
}

impl Standing {
    /// The same of the books.
    pub fn of(state: &AccountState) -> Self {
        Self {
            posted_minor: state.posted.minor(),
            pending_credit_minor: state.pending_credit_minor,
            pending_debit_minor: state.pending_debit_minor,
            last_posted: state.last_posted,
        }
    }

    /// The first figure in which an account stands differently in the books. Both are sums of minor units but for the last one.
    fn differs(&self, key: &AccountKey, books: &Self, seq: Seq) -> Option<Difference> {
        let figures = [
            ("posted balance", self.posted_minor, books.posted_minor),
            (
                "pending credits",
                self.pending_credit_minor,
                books.pending_credit_minor,
            ),
            (
                "pending debits",
                self.pending_debit_minor,
                books.pending_debit_minor,
            ),
        ];
        let of_sums = figures
            .into_iter()
            .find_map(|(figure, journal, books)| Difference::of_minor(key, figure, (journal, books), seq));
        of_sums.or_else(|| {
            (self.last_posted != books.last_posted).then(|| {
                let both = (self.last_posted.to_string(), books.last_posted.to_string());
                Difference::of_words(key, "last commit", both, seq)
            })
        })
    }
}

/// A commit that is not the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("commit {found} came where {expected} was expected")]
pub struct OutOfOrder {
    /// The next one.
    pub expected: Seq,
    /// What came.
    pub found: Seq,
}

/// The account on which the halves of a transfer between shards meet.
const fn clearing(of: AccountKey) -> AccountKey {
    AccountKey {
        name: AccountName::ShardClearing,
        ..of
    }
}

/// How many touched accounts are remembered; the others are met by the slices that go round.
const TOUCHED_MAX: usize = 65_536;

/// The balances that the journal comes to, up to a commit.
#[derive(Clone, Debug, Default)]
pub struct JournalFold {
    seq: Seq,
    accounts: BTreeMap<AccountKey, Standing>,
    reserved: BTreeMap<TransferId, Vec<Posting>>,
    touched: BTreeSet<AccountKey>,
    found: Findings,
}

impl JournalFold {
    /// The last commit folded in.
    pub const fn seq(&self) -> Seq {
        self.seq
    }

    /// Accounts that were ever posted or reserved to, or opened.
    pub fn accounts(&self) -> usize {
        self.accounts.len()
    }

    /// What the journal says that it does not come to itself. It stays so: records are never changed.
    pub const fn found(&self) -> &Findings {
        &self.found
    }

    /// What an account comes to; one that was never touched stands at zero.
    pub fn standing(&self, key: &AccountKey) -> Standing {
        self.accounts.get(key).copied().unwrap_or_default()
    }

    /// Takes at most `limit` of the accounts touched since they were taken the last time.
    pub fn take_touched(&mut self, limit: usize) -> Vec<AccountKey> {
        let taken: Vec<AccountKey> = self.touched.iter().copied().take(limit).collect();
        for key in &taken {
            self.touched.remove(key);
        }
        taken
    }

    /// Folds the next commit.
    pub fn fold(&mut self, commit: &Commit) -> Result<(), OutOfOrder> {
        let expected = self.seq.next();
        if commit.seq != expected {
            let found = commit.seq;
            return Err(OutOfOrder { expected, found });
        }
        self.seq = commit.seq;
        match &commit.body {
            Body::Control(_) => {}
            Body::Payment(body) => {
                for hold in &body.holds {
                    self.hold(hold);
                }
                for line in body.entry.iter().flat_map(PostedEntry::lines) {
                    self.post(line);
                }
            }
            Body::Ledger(ledger) => match &ledger.event {
                LedgerEvent::AccountOpened(account) => {
                    if let Some(key) = account.id.key() {
                        self.touch(key);
                    }
                }
                LedgerEvent::Transferred(transfers) => {
                    for transfer in transfers {
                        self.transfer(transfer);
                    }
                }
                LedgerEvent::PendingExpired(ids) => {
                    for id in ids {
                        self.release(*id);
                    }
                }
                LedgerEvent::PeriodClosed { .. }
                | LedgerEvent::AlertCreated(_)
                | LedgerEvent::AlertDeleted(_) => {}
                LedgerEvent::Crossed(steps) => steps.iter().for_each(|step| self.cross(step)),
            },
        }
        Ok(())
    }

    fn transfer(&mut self, transfer: &PostedTransfer) {
        match transfer.step {
            // A revert posts like any other.
            TransferStep::Single | TransferStep::Pending { .. } | TransferStep::Revert { .. } => {}
            TransferStep::Post { pending } | TransferStep::Void { pending } => self.release(pending),
        }
        match &transfer.legs {
            Legs::Pair(pair) => pair.lines().iter().for_each(|line| self.post(line)),
            Legs::Many(entry) => entry.lines().iter().for_each(|line| self.post(line)),
            Legs::Reserved(postings) => {
                for posting in postings {
                    self.reserve(posting, posting.amount.minor());
                }
                self.reserved.insert(transfer.id, postings.clone());
            }
            Legs::Released => {}
        }
    }

    /// A step of a transfer to or from another shard: its half here is between the account and clearing.
    fn cross(&mut self, step: &CrossingStep) {
        match step {
            CrossingStep::Prepared(transfer) => {
                self.reserve_half(
                    transfer.id,
                    (transfer.debit, clearing(transfer.debit)),
                    transfer.amount,
                );
            }
            CrossingStep::Reserved(transfer) => {
                self.reserve_half(
                    transfer.id,
                    (clearing(transfer.debit), transfer.credit),
                    transfer.amount,
                );
            }
            CrossingStep::Decided { posted, .. } => {
                self.release(posted.id);
                self.transfer(posted);
            }
            CrossingStep::Applied { posted, .. } => {
                self.release_if_reserved(posted.id);
                self.transfer(posted);
            }
            CrossingStep::Aborted { transfer, .. } => self.release_if_reserved(transfer.id),
            CrossingStep::Settled(_) => {}
        }
    }

    fn reserve_half(&mut self, id: TransferId, (debit, credit): (AccountKey, AccountKey), amount: Amount) {
        let posting = |account, side| Posting {
            account,
            side,
            amount,
        };
        let half = vec![posting(debit, Side::Debit), posting(credit, Side::Credit)];
        for posting in &half {
            self.reserve(posting, amount.minor());
        }
        self.reserved.insert(id, half);
    }

    fn release_if_reserved(&mut self, id: TransferId) {
        if self.reserved.contains_key(&id) {
            self.release(id);
        }
    }

    fn touch(&mut self, key: AccountKey) -> &mut Standing {
        if self.touched.len() < TOUCHED_MAX {
            self.touched.insert(key);
        }
        self.accounts.entry(key).or_default()
    }

    fn post(&mut self, line: &Line) {
        let (posting, seq) = (&line.posting, self.seq);
        let amount = posting.amount.minor();
        let grows = posting.account.name.account_type().normal_side() == posting.side;
        let standing = self.touch(posting.account);
        let posted = if grows {
            standing.posted_minor.saturating_add(amount)
        } else {
            standing.posted_minor.saturating_sub(amount)
        };
        (standing.posted_minor, standing.last_posted) = (posted, seq);
        let both = (posted, line.balance_after.minor());
        self.found.extend(Difference::of_minor(
            &posting.account,
            "running balance",
            both,
            seq,
        ));
    }

    fn hold(&mut self, change: &HoldChange) {
        let standing = self.touch(change.account);
        standing.pending_credit_minor = standing
            .pending_credit_minor
            .saturating_add(change.credit_delta_minor);
        standing.pending_debit_minor = standing
            .pending_debit_minor
            .saturating_add(change.debit_delta_minor);
    }

    fn reserve(&mut self, posting: &Posting, delta_minor: i128) {
        let (credit_delta_minor, debit_delta_minor) = match posting.side {
            Side::Debit => (0, delta_minor),
            Side::Credit => (delta_minor, 0),
        };
        self.hold(&HoldChange {
            account: posting.account,
            credit_delta_minor,
            debit_delta_minor,
        });
    }

    fn release(&mut self, id: TransferId) {
        let Some(postings) = self.reserved.remove(&id) else {
            let both = ("a reservation that stands".to_owned(), "none".to_owned());
            let difference = Difference::of_words(&id, "reservation", both, self.seq);
            return self.found.add(difference);
        };
        for posting in &postings {
            self.reserve(posting, posting.amount.minor().saturating_neg());
        }
    }

    /// How an account differs in the books, which must be as of the same commit; there it may never have been touched.
    pub fn difference(&self, key: &AccountKey, books: Option<&AccountState>) -> Option<Difference> {
        let books = books.map(Standing::of).unwrap_or_default();
        self.standing(key).differs(key, &books, self.seq)
    }

    /// Compares a page of the accounts on which payments are booked: all that the books have behind `after` up to the last one
    /// of the page, or to the end of them. What the books lack there differs as well, unless it stands at zero.
    pub fn compare_page(
        &self,
        after: Option<AccountKey>,
        page: &[(AccountKey, AccountState)],
        is_last: bool,
    ) -> Vec<(AccountKey, Difference)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let until = match page.last() {
            _ if is_last => Bound::Unbounded,
            Some((last, _)) => Bound::Included(*last),
            None => return Vec::new(),
        };
        let in_books: BTreeMap<&AccountKey, &AccountState> =
            page.iter().map(|(key, state)| (key, state)).collect();
        let lacking = self
            .accounts
            .range((from, until))
            .map(|(key, _)| key)
            .filter(|key| key.name.general().is_none() && !in_books.contains_key(key))
            .filter_map(|key| Some((*key, self.difference(key, None)?)));
        let there = in_books
            .iter()
            .filter_map(|(key, state)| Some((**key, self.difference(key, Some(state))?)));
        there.chain(lacking).collect()
    }
}

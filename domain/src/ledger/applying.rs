//! One request on its way through the books: what each transfer changes, what was before, and the way back.

use super::account::{AccountKey, AccountName, AccountType, Side};
use super::books::{AccountState, Books, moved};
use super::entry::{Line, PostedEntry, Posting, PostingError};
use super::legs::{balanced, check_pair, part_of, postings_of, refusal_of};
use super::pending::PendingTransfer;
use super::transfer::{
    EffectiveDate, Legs, PostedPair, PostedTransfer, Transfer, TransferId, TransferLegs, TransferRefusal,
    TransferStep,
};
use super::transfers::{Linkage, Once, Transferred, Verdict};
use crate::ids::Seq;
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// One request on its way through the books.
pub(super) struct Applying<'a> {
    books: &'a mut Books,
    at: Timestamp,
    seq: Seq,
    /// The last commit before this one that posted to an account which this one posts to.
    prevs: BTreeMap<AccountKey, Seq>,
    /// Ids asked for by this request, whatever became of them: asked again, the request must come to the same.
    taken: BTreeSet<TransferId>,
    /// What was before, in the order in which it changed; nothing for an account that was not there.
    changed: Vec<(AccountKey, Option<AccountState>)>,
    reserved: Vec<(TransferId, Option<PendingTransfer>)>,
    /// Transfers that this request reverts so far, and the order in which it did.
    reverted: BTreeSet<TransferId>,
    reverts: Vec<TransferId>,
    /// What is applied are halves of transfers between shards.
    is_crossing: bool,
    /// What is applied now pays out what is owed.
    is_payout: bool,
}

/// A point to go back to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    changed: usize,
    reserved: usize,
    reverts: usize,
}

impl<'a> Applying<'a> {
    pub(super) fn new(books: &'a mut Books, at: Timestamp, seq: Seq) -> Self {
        Self {
            books,
            at,
            seq,
            prevs: BTreeMap::new(),
            taken: BTreeSet::new(),
            changed: Vec::new(),
            reserved: Vec::new(),
            reverted: BTreeSet::new(),
            reverts: Vec::new(),
            is_crossing: false,
            is_payout: false,
        }
    }

    /// For halves of transfers between shards.
    pub(super) fn crossing(books: &'a mut Books, at: Timestamp, seq: Seq) -> Self {
        Self {
            is_crossing: true,
            ..Self::new(books, at, seq)
        }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            changed: self.changed.len(),
            reserved: self.reserved.len(),
            reverts: self.reverts.len(),
        }
    }

    /// Puts back what was before a mark.
    pub(super) fn undo(&mut self, to: Mark) {
        while self.changed.len() > to.changed {
            if let Some((key, state)) = self.changed.pop() {
                self.books.put(key, state);
            }
        }
        if self.changed.is_empty() {
            // A dry run, or a refusal of everything so far: the accounts are as the commit found them.
            self.books.alerts.untouch();
        }
        while self.reserved.len() > to.reserved {
            if let Some((id, before)) = self.reserved.pop() {
                self.put_pending(id, before);
            }
        }
        for id in self.reverts.drain(to.reverts.min(self.reverts.len())..) {
            self.reverted.remove(&id);
        }
    }

    pub(super) fn take_all(
        &mut self,
        asked: &[Transfer],
        linkage: Linkage,
        is_used: &impl Fn(Once) -> bool,
    ) -> Transferred {
        let mut done = Transferred::default();
        let mut rest = asked;
        while !rest.is_empty() {
            // A chain goes up to and including its first transfer that is not linked to a next one.
            let last = match linkage {
                Linkage::Atomic => None,
                Linkage::Independent => rest.iter().position(|transfer| !transfer.linked),
            };
            let is_open = linkage == Linkage::Independent && last.is_none();
            let (chain, later) = rest.split_at(last.map_or(rest.len(), |last| last.saturating_add(1)));
            self.take_chain(chain, is_open, is_used, &mut done);
            rest = later;
        }
        done
    }

    /// All of it, or nothing.
    fn take_chain(
        &mut self,
        chain: &[Transfer],
        is_open: bool,
        is_used: &impl Fn(Once) -> bool,
        done: &mut Transferred,
    ) {
        let (mark, first, recorded) = (self.mark(), done.verdicts.len(), done.recorded.len());
        for transfer in chain {
            let verdict = self.take(transfer, is_used, &mut done.recorded);
            done.verdicts.push(verdict);
        }
        if is_open && let Some(last) = done.verdicts.last_mut() {
            *last = Verdict::Refused(TransferRefusal::LinkedOpen);
        }
        let verdicts = done.verdicts.get_mut(first..).unwrap_or_default();
        if verdicts.iter().all(|verdict| *verdict == Verdict::Done) {
            return;
        }
        self.undo(mark);
        done.recorded.truncate(recorded);
        for verdict in verdicts {
            if *verdict == Verdict::Done {
                *verdict = Verdict::Refused(TransferRefusal::LinkedFailed);
            }
        }
    }

    fn put_pending(&mut self, id: TransferId, pending: Option<PendingTransfer>) -> Option<PendingTransfer> {
        let before = match pending {
            Some(pending) => {
                self.books.due.extend(pending.expires_at.map(|at| (at, id)));
                self.books.pending.insert(id, pending)
            }
            None => self.books.pending.remove(&id),
        };
        if let Some(at) = before.as_ref().and_then(|before| before.expires_at)
            && !self.books.pending.contains_key(&id)
        {
            self.books.due.remove(&(at, id));
        }
        before
    }

    /// One transfer. Refused, it has changed nothing.
    fn take(
        &mut self,
        transfer: &Transfer,
        is_used: &impl Fn(Once) -> bool,
        recorded: &mut Vec<PostedTransfer>,
    ) -> Verdict {
        let id = transfer.id;
        if is_used(Once::Transfer(id)) {
            return Verdict::Exists;
        }
        if !self.taken.insert(id) {
            return Verdict::Refused(TransferRefusal::IdReused);
        }
        let mark = self.mark();
        match self.apply(transfer, is_used) {
            Ok(transfer) => {
                recorded.push(transfer);
                Verdict::Done
            }
            Err(refusal) => {
                self.undo(mark);
                Verdict::Refused(refusal)
            }
        }
    }

    fn apply(
        &mut self,
        transfer: &Transfer,
        is_used: &impl Fn(Once) -> bool,
    ) -> Result<PostedTransfer, TransferRefusal> {
        let (id, step) = (transfer.id, transfer.step);
        self.begin(transfer);
        let effective = self.effective(transfer)?;
        let legs = match step {
            TransferStep::Single => {
                self.check_open(&transfer.legs, effective)?;
                self.post(id, &transfer.legs)?
            }
            TransferStep::Pending { expires_at } => {
                self.check_open(&transfer.legs, effective)?;
                let postings = postings_of(id, &transfer.legs)?;
                self.check_accounts(&postings)?;
                self.reserve(id, postings.clone(), expires_at)?;
                Legs::Reserved(postings)
            }
            TransferStep::Post { pending } => {
                let reserved = self.ended(pending)?;
                let legs = part_of(reserved, &transfer.legs)?;
                self.check_open(&legs, effective)?;
                self.post(id, &legs)?
            }
            TransferStep::Void { pending } => {
                self.ended(pending)?;
                match &transfer.legs {
                    TransferLegs::OfPending(_) => Legs::Released,
                    TransferLegs::Pair { .. } | TransferLegs::Many(_) | TransferLegs::Irreversible(_) => {
                        return Err(TransferRefusal::PendingNotFound);
                    }
                }
            }
            TransferStep::Revert { reverts } => {
                self.check_open(&transfer.legs, effective)?;
                if is_used(Once::RevertOf(reverts)) || !self.reverted.insert(reverts) {
                    return Err(TransferRefusal::AlreadyReverted);
                }
                self.reverts.push(reverts);
                self.post(id, &transfer.legs)?
            }
        };
        Ok(PostedTransfer {
            id,
            step,
            legs,
            effective,
            notes: transfer.notes.clone(),
        })
    }

    /// Judges what follows as part of this transfer.
    pub(super) const fn begin(&mut self, transfer: &Transfer) {
        self.is_payout = transfer.is_payout;
    }

    /// The day on which it is to count.
    pub(super) fn effective(&self, transfer: &Transfer) -> Result<EffectiveDate, TransferRefusal> {
        let today = EffectiveDate::of(self.at);
        let effective = transfer.effective.unwrap_or(today);
        if effective > today {
            return Err(TransferRefusal::EffectiveInFuture);
        }
        Ok(effective)
    }

    /// Ends a reservation that still stands.
    fn ended(&mut self, pending: TransferId) -> Result<PendingTransfer, TransferRefusal> {
        let found = self.books.pending.get(&pending);
        if found.ok_or(TransferRefusal::PendingNotFound)?.is_over(self.at) {
            return Err(TransferRefusal::PendingExpired);
        }
        self.release(pending)
    }

    pub(super) fn release(&mut self, id: TransferId) -> Result<PendingTransfer, TransferRefusal> {
        let pending = self
            .put_pending(id, None)
            .ok_or(TransferRefusal::PendingNotFound)?;
        self.reserved.push((id, Some(pending.clone())));
        for posting in &pending.postings {
            self.hold(posting, posting.amount.minor().saturating_neg())?;
        }
        Ok(pending)
    }

    pub(super) fn reserve(
        &mut self,
        id: TransferId,
        postings: Vec<Posting>,
        expires_at: Option<Timestamp>,
    ) -> Result<(), TransferRefusal> {
        for posting in &postings {
            self.hold(posting, posting.amount.minor())?;
        }
        let pending = PendingTransfer { postings, expires_at };
        let before = self.put_pending(id, Some(pending));
        self.reserved.push((id, before));
        Ok(())
    }

    /// Adds to what is expected on an account.
    pub(super) fn hold(&mut self, posting: &Posting, delta_minor: i128) -> Result<(), TransferRefusal> {
        let before = self.books.account(&posting.account);
        let mut after = before;
        let pending = match posting.side {
            Side::Debit => &mut after.pending_debit_minor,
            Side::Credit => &mut after.pending_credit_minor,
        };
        *pending = pending
            .checked_add(delta_minor)
            .ok_or(TransferRefusal::Overflow)?;
        self.change(posting.account, before, after)
    }

    /// Sets an account's standing, unless its limits forbid it.
    fn change(
        &mut self,
        key: AccountKey,
        before: AccountState,
        after: AccountState,
    ) -> Result<(), TransferRefusal> {
        let limits = self.books.limits(&key);
        if self.is_payout && key.name.account_type() == AccountType::Liability {
            let side = key.name.account_type().normal_side();
            let (was, is) = (Reach::of(&before, side), Reach::of(&after, side));
            if is.least < was.least && is.least < 0 {
                return Err(TransferRefusal::ExceedsOwed(key));
            }
        }
        if limits.min_minor.is_some() || limits.max_minor.is_some() {
            let side = key.name.account_type().normal_side();
            let (was, is) = (Reach::of(&before, side), Reach::of(&after, side));
            if is.least < was.least && limits.min_minor.is_some_and(|min| is.least < min) {
                return Err(TransferRefusal::InsufficientFunds(key));
            }
            if is.most > was.most && limits.max_minor.is_some_and(|max| is.most > max) {
                return Err(TransferRefusal::ExceedsLimit(key));
            }
        }
        self.changed.push((key, self.books.put(key, Some(after))));
        Ok(())
    }

    pub(super) fn post(&mut self, id: TransferId, legs: &TransferLegs) -> Result<Legs, TransferRefusal> {
        match legs {
            TransferLegs::Pair {
                debit,
                credit,
                amount,
            } => {
                let (debit, credit, amount) = (*debit, *credit, *amount);
                check_pair(&debit, &credit)?;
                let posting = |account, side| Posting {
                    account,
                    side,
                    amount,
                };
                let debited = self.line(posting(debit, Side::Debit))?;
                let credited = self.line(posting(credit, Side::Credit))?;
                Ok(Legs::Pair(PostedPair {
                    debit,
                    credit,
                    amount,
                    balances_after: [debited.balance_after, credited.balance_after],
                    account_prevs: [debited.account_prev, credited.account_prev],
                }))
            }
            TransferLegs::Many(postings) => {
                let entry = balanced(id, postings)?;
                let lines: Result<Vec<Line>, TransferRefusal> = entry
                    .postings()
                    .iter()
                    .map(|posting| self.line(*posting))
                    .collect();
                let posted = PostedEntry::checked(&id.to_string(), lines?);
                Ok(Legs::Many(posted.map_err(|error| refusal_of(&error))?))
            }
            TransferLegs::OfPending(_) => Err(TransferRefusal::PendingNotFound),
            TransferLegs::Irreversible(why) => Err(why.refusal()),
        }
    }

    /// Posts one line.
    fn line(&mut self, posting: Posting) -> Result<Line, TransferRefusal> {
        let key = posting.account;
        self.check_account(&key)?;
        let before = self.books.account(&key);
        let balance_after = moved(before.posted, &posting).map_err(|error| refusal_of(&error))?;
        let account_prev = *self.prevs.entry(key).or_insert(before.last_posted);
        let after = AccountState {
            posted: balance_after,
            last_posted: self.seq,
            ..before
        };
        self.change(key, before, after)?;
        Ok(Line {
            posting,
            balance_after,
            account_prev,
        })
    }

    pub(super) fn replay(&mut self, lines: &[Line]) -> Result<(), PostingError> {
        for line in lines {
            let key = line.posting.account;
            let mut state = self.books.account(&key);
            if moved(state.posted, &line.posting)? != line.balance_after {
                return Err(PostingError::BalanceMismatch(key));
            }
            state.posted = line.balance_after;
            state.last_posted = self.seq;
            self.books.set(key, state);
        }
        Ok(())
    }

    pub(super) fn check_accounts(&self, postings: &[Posting]) -> Result<(), TransferRefusal> {
        postings
            .iter()
            .try_for_each(|posting| self.check_account(&posting.account))
    }

    /// Accounts must be opened before; those of payments are there from the first posting on.
    fn check_account(&self, key: &AccountKey) -> Result<(), TransferRefusal> {
        let is_known = match key.name {
            AccountName::General(_) | AccountName::MerchantPayable(_) | AccountName::ProviderClearing(_) => {
                self.books.has(key)
            }
            AccountName::FeeRevenue
            | AccountName::ProcessingFees
            | AccountName::Bank
            | AccountName::Suspense
            | AccountName::Rounding
            | AccountName::PaymentRevenue
            | AccountName::RefundsPayable
            | AccountName::Chargebacks
            | AccountName::Equity => true,
            // Whoever else posted to it would hide money that is between two shards.
            AccountName::ShardClearing => self.is_crossing,
        };
        if is_known {
            Ok(())
        } else {
            Err(TransferRefusal::UnknownAccount(*key))
        }
    }

    pub(super) fn check_open(&self, legs: &TransferLegs, day: EffectiveDate) -> Result<(), TransferRefusal> {
        let livemode = match legs {
            TransferLegs::Pair { debit, .. } => debit.livemode,
            TransferLegs::Many(postings) => postings.iter().any(|posting| posting.account.livemode),
            TransferLegs::OfPending(_) => return Err(TransferRefusal::PendingNotFound),
            TransferLegs::Irreversible(why) => return Err(why.refusal()),
        };
        if self
            .books
            .closed_through(livemode)
            .is_some_and(|closed| day <= closed)
        {
            return Err(TransferRefusal::PeriodClosed);
        }
        Ok(())
    }
}

/// How far an account's holding may go either way, if every pending transfer that takes, or that brings, is posted.
struct Reach {
    least: i128,
    most: i128,
}

impl Reach {
    fn of(state: &AccountState, normal_side: Side) -> Self {
        let (takes, brings) = match normal_side {
            Side::Debit => (state.pending_credit_minor, state.pending_debit_minor),
            Side::Credit => (state.pending_debit_minor, state.pending_credit_minor),
        };
        let posted = state.posted.minor();
        Self {
            least: posted.saturating_sub(takes),
            most: posted.saturating_add(brings),
        }
    }
}

//! What many callers saw of shared accounts, and whether one caller after the other could have seen the same: the history and
//! its checker, and a sequential ledger as plain as it can be, which shares no code with the books.
//!
//! Every commit sequence number that was answered fixes the place of a write, every balance carries the one it stands for. What
//! recorded nothing (refusals, retries, rehearsals, questions about reservations) is put at the earliest place that explains its
//! answer and comes after all that was over before it was asked; if any order explains the history, this one does.

use florin_actors::ledger_handle::{Answer, Told};
use florin_domain::ids::Seq;
use florin_domain::ledger::{
    AccountKey, AccountLimits, AccountState, Legs, Linkage, PostedTransfer, Side, Transfer, TransferId,
    TransferLegs, TransferRefusal, TransferStep,
};
use florin_domain::money::Amount;
use std::collections::{BTreeMap, BTreeSet};

/// An account, which side, and how much in minor units.
type Leg = (AccountKey, Side, i128);

/// What a transfer came to: its step, and what it posted, reserved or let go.
pub(crate) type Trace = (TransferId, TransferStep, Vec<Leg>);

/// How an account stands, in minor units: posted, expected debits, expected credits; and the commit that last posted to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) posted: i128,
    pub(crate) debits: i128,
    pub(crate) credits: i128,
    pub(crate) last: u64,
}

impl Standing {
    pub(crate) fn of(state: &AccountState) -> Self {
        Self {
            posted: state.posted.minor(),
            debits: state.pending_debit_minor,
            credits: state.pending_credit_minor,
            last: state.last_posted.0,
        }
    }
}

/// What one caller after the other would find.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) seq: u64,
    /// Whether debits make it grow, and its limits.
    terms: BTreeMap<AccountKey, (bool, AccountLimits)>,
    pub(crate) standings: BTreeMap<AccountKey, Standing>,
    pub(crate) reserved: BTreeMap<TransferId, Vec<Leg>>,
    pub(crate) made: BTreeMap<TransferId, (Seq, TransferStep, Vec<Leg>)>,
    reverted: BTreeSet<TransferId>,
}

impl Ledger {
    pub(crate) fn at(seq: Seq) -> Self {
        Self {
            seq: seq.0,
            ..Self::default()
        }
    }

    pub(crate) fn open(&mut self, key: AccountKey, grows_by_debit: bool, limits: AccountLimits) {
        self.terms.insert(key, (grows_by_debit, limits));
        self.standings.insert(key, Standing::default());
    }

    /// What the next request comes to, the ledger after it, and what it left behind.
    pub(crate) fn next(&self, asked: &[Transfer], linkage: Linkage) -> (Answer, Self, Vec<Trace>) {
        let mut after = self.clone();
        after.seq += 1;
        let (mut told, mut traces, mut named) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut rest = asked;
        while !rest.is_empty() {
            let end = rest.iter().position(|transfer| !transfer.linked);
            let (count, is_open) = match (linkage, end) {
                (Linkage::Atomic, _) => (rest.len(), false),
                (Linkage::Independent, Some(end)) => (end + 1, false),
                (Linkage::Independent, None) => (rest.len(), true),
            };
            let (chain, later) = rest.split_at(count);
            let (before, kept) = (after.clone(), traces.len());
            let mut chain: Vec<Told> = chain
                .iter()
                .map(|transfer| {
                    if let Some(seen) = self.seen(transfer) {
                        return seen;
                    }
                    if !named.insert(transfer.id) {
                        return Told::Refused(TransferRefusal::IdReused);
                    }
                    let mut tried = after.clone();
                    match tried.make(transfer) {
                        Ok(trace) => {
                            after = tried;
                            traces.push(trace);
                            Told::Done
                        }
                        Err(refusal) => Told::Refused(refusal),
                    }
                })
                .collect();
            if is_open && let Some(last) = chain.last_mut() {
                *last = Told::Refused(TransferRefusal::LinkedOpen);
            }
            if chain.iter().any(|one| *one != Told::Done) {
                after = before;
                traces.truncate(kept);
                for one in chain.iter_mut().filter(|one| **one == Told::Done) {
                    *one = Told::Refused(TransferRefusal::LinkedFailed);
                }
            }
            told.extend(chain);
            rest = later;
        }
        let seq = (!traces.is_empty()).then_some(Seq(after.seq));
        (Answer { seq, told }, after, traces)
    }

    /// What is said of an id that an earlier request used.
    fn seen(&self, asked: &Transfer) -> Option<Told> {
        let (seq, step, legs) = self.made.get(&asked.id)?;
        let same = *step == asked.step
            && match (&asked.legs, step) {
                (TransferLegs::OfPending(_), TransferStep::Void { .. }) => true,
                (TransferLegs::OfPending(part), TransferStep::Post { pending }) => {
                    let whole = &self.made[pending].2;
                    part_of(whole, part.map(Amount::minor)).as_ref() == Ok(legs)
                }
                (legs_asked, _) => legs_of(legs_asked).as_ref() == Some(legs),
            };
        Some(if same {
            Told::Existed(*seq)
        } else {
            Told::Refused(TransferRefusal::IdReused)
        })
    }

    fn make(&mut self, transfer: &Transfer) -> Result<Trace, TransferRefusal> {
        let legs = match transfer.step {
            TransferStep::Single | TransferStep::Pending { .. } => {
                let legs = legs_of(&transfer.legs).ok_or(TransferRefusal::PendingNotFound)?;
                if matches!(transfer.legs, TransferLegs::Pair { .. }) && legs[0].0 == legs[1].0 {
                    return Err(TransferRefusal::SameAccount);
                }
                legs
            }
            TransferStep::Post { pending } => {
                let whole = self.let_go(pending)?;
                let TransferLegs::OfPending(part) = transfer.legs else {
                    return Err(TransferRefusal::PendingNotFound);
                };
                part_of(&whole, part.map(Amount::minor))?
            }
            TransferStep::Void { pending } => {
                self.let_go(pending)?;
                Vec::new()
            }
            TransferStep::Revert { reverts } => {
                if !self.reverted.insert(reverts) {
                    return Err(TransferRefusal::AlreadyReverted);
                }
                let legs = legs_of(&transfer.legs).ok_or(TransferRefusal::RevertedNotFound)?;
                if legs[0].0 == legs[1].0 {
                    return Err(TransferRefusal::SameAccount);
                }
                legs
            }
        };
        let is_pending = matches!(transfer.step, TransferStep::Pending { .. });
        let unknown = legs.iter().find(|leg| !self.terms.contains_key(&leg.0));
        if let Some((key, ..)) = unknown.filter(|_| is_pending) {
            return Err(TransferRefusal::UnknownAccount(*key));
        }
        for leg in &legs {
            self.add(*leg, is_pending)?;
        }
        if is_pending {
            self.reserved.insert(transfer.id, legs.clone());
        }
        let made = (Seq(self.seq), transfer.step, legs.clone());
        self.made.insert(transfer.id, made);
        Ok((transfer.id, transfer.step, legs))
    }

    fn let_go(&mut self, pending: TransferId) -> Result<Vec<Leg>, TransferRefusal> {
        let legs = self.reserved.remove(&pending);
        let legs = legs.ok_or(TransferRefusal::PendingNotFound)?;
        for (key, side, minor) in &legs {
            let standing = self.standings.get_mut(key).expect("it was reserved there");
            match side {
                Side::Debit => standing.debits -= minor,
                Side::Credit => standing.credits -= minor,
            }
        }
        Ok(legs)
    }

    /// Posts or reserves, and refuses what goes further beyond a limit than before.
    fn add(&mut self, (key, side, minor): Leg, is_pending: bool) -> Result<(), TransferRefusal> {
        let unknown = TransferRefusal::UnknownAccount(key);
        let (grows_by_debit, limits) = *self.terms.get(&key).ok_or(unknown)?;
        let standing = self.standings.get_mut(&key).expect("it is open");
        match (is_pending, side) {
            (true, Side::Debit) => standing.debits += minor,
            (true, Side::Credit) => standing.credits += minor,
            (false, _) => {
                let grows = (side == Side::Debit) == grows_by_debit;
                standing.posted += if grows { minor } else { -minor };
                standing.last = self.seq;
            }
        }
        let (comes, goes) = if grows_by_debit {
            (standing.debits, standing.credits)
        } else {
            (standing.credits, standing.debits)
        };
        let takes = (side == Side::Credit) == grows_by_debit;
        if takes && limits.min_minor.is_some_and(|min| standing.posted - goes < min) {
            return Err(TransferRefusal::InsufficientFunds(key));
        }
        if !takes && limits.max_minor.is_some_and(|max| standing.posted + comes > max) {
            return Err(TransferRefusal::ExceedsLimit(key));
        }
        Ok(())
    }
}

fn legs_of(asked: &TransferLegs) -> Option<Vec<Leg>> {
    match asked {
        TransferLegs::Pair {
            debit,
            credit,
            amount,
        } => {
            let minor = amount.minor();
            Some(vec![(*debit, Side::Debit, minor), (*credit, Side::Credit, minor)])
        }
        TransferLegs::Many(postings) => {
            let legs = postings.iter();
            Some(
                legs.map(|leg| (leg.account, leg.side, leg.amount.minor()))
                    .collect(),
            )
        }
        TransferLegs::OfPending(_) | TransferLegs::Irreversible(_) => None,
    }
}

fn part_of(whole: &[Leg], part: Option<i128>) -> Result<Vec<Leg>, TransferRefusal> {
    match (whole, part) {
        (_, None) => Ok(whole.to_vec()),
        ([debit, credit], Some(part)) if part <= debit.2 => {
            Ok(vec![(debit.0, debit.1, part), (credit.0, credit.1, part)])
        }
        (_, Some(part)) => {
            let debits = whole.iter().filter(|leg| leg.1 == Side::Debit);
            if whole.len() > 2 && debits.map(|leg| leg.2).sum::<i128>() == part {
                Ok(whole.to_vec())
            } else {
                Err(TransferRefusal::ExceedsPending)
            }
        }
    }
}

/// What a record left behind.
pub(crate) fn trace_of(record: &PostedTransfer) -> Trace {
    let legs = match &record.legs {
        Legs::Reserved(postings) => postings
            .iter()
            .map(|leg| (leg.account, leg.side, leg.amount.minor()))
            .collect(),
        Legs::Pair(_) | Legs::Many(_) | Legs::Released => {
            let lines = record.lines().into_iter().map(|line| line.posting);
            lines
                .map(|leg| (leg.account, leg.side, leg.amount.minor()))
                .collect()
        }
    };
    (record.id, record.step, legs)
}

/// What was asked, and what was answered.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Transfers {
        asked: Vec<Transfer>,
        linkage: Linkage,
        is_dry_run: bool,
        answer: Answer,
    },
    /// Some balances, all as of one commit.
    Balances {
        seen: Vec<(AccountKey, Standing)>,
        seq: Seq,
    },
    /// Whether a reservation stands, and what it comes to.
    Reservation { id: TransferId, seen: Option<Vec<Leg>> },
}

/// One call: when it was made, when it was over (in ticks that all callers share), and what it was.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) invoked: u64,
    pub(crate) returned: u64,
    pub(crate) deed: Deed,
}

impl Deed {
    /// The commit that recorded it, if it is a write that was recorded.
    pub(crate) fn seq(&self) -> Option<Seq> {
        match self {
            Self::Transfers { answer, .. } => answer.seq,
            Self::Balances { .. } | Self::Reservation { .. } => None,
        }
    }
}

impl Call {
    pub(crate) fn seq(&self) -> Option<Seq> {
        self.deed.seq()
    }

    /// Whether it may have been answered so when the ledger stood like this.
    fn is_explained_by(&self, ledger: &Ledger) -> bool {
        match &self.deed {
            Deed::Transfers {
                asked,
                linkage,
                is_dry_run,
                answer,
            } => {
                let mut next = ledger.next(asked, *linkage).0;
                if *is_dry_run {
                    next.seq = None;
                }
                next == *answer
            }
            Deed::Balances { seen, seq } => {
                let same = |(key, standing)| ledger.standings.get(key) == Some(standing);
                seq.0 == ledger.seq && seen.iter().map(|(key, standing)| (key, standing)).all(same)
            }
            Deed::Reservation { id, seen } => ledger.reserved.get(id) == seen.as_ref(),
        }
    }
}

/// Why no order of one caller after the other explains a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Objection {
    /// No call or more than one was answered with this commit, or it was before the history.
    Commit(Seq),
    /// The write of this commit came to something else.
    Write(Seq),
    /// These balances never stood together as of this commit.
    Balances(Seq),
    /// Nothing after what was over before explains the answer of the call that was made at this tick.
    Unexplained(u64),
    /// The call that was made at this tick comes before one that was over by then.
    TooEarly(u64),
}

/// Every state of the ledger from `first` on, if one order explains the history.
pub(crate) fn check(first: &Ledger, history: &[Call]) -> Result<Vec<Ledger>, Objection> {
    let mut writes: Vec<(Seq, &Call)> = history
        .iter()
        .filter_map(|call| call.seq().map(|seq| (seq, call)))
        .collect();
    writes.sort_by_key(|(seq, _)| *seq);
    let mut states = vec![first.clone()];
    for (seq, call) in writes {
        let ledger = states.last().expect("the first one");
        if seq.0 != ledger.seq + 1 {
            return Err(Objection::Commit(seq));
        }
        let Deed::Transfers {
            asked,
            linkage,
            is_dry_run: false,
            answer,
        } = &call.deed
        else {
            return Err(Objection::Write(seq));
        };
        let (next, after, _) = ledger.next(asked, *linkage);
        if next != *answer {
            return Err(Objection::Write(seq));
        }
        states.push(after);
    }
    check_times(&states, history)?;
    Ok(states)
}

/// Puts every call at a place: on an even one between two writes, on an odd one if it is a write.
fn check_times(states: &[Ledger], history: &[Call]) -> Result<(), Objection> {
    let mut calls: Vec<&Call> = history.iter().collect();
    calls.sort_by_key(|call| call.invoked);
    let first = states[0].seq;
    let mut placed: Vec<(u64, usize)> = Vec::with_capacity(calls.len());
    for call in calls {
        let over = placed.iter().filter(|(returned, _)| *returned < call.invoked);
        let from = over.map(|(_, place)| *place).max().unwrap_or(0);
        let state_at = |seq: Seq| usize::try_from(seq.0.checked_sub(first)?).ok();
        let place = match (&call.deed, call.seq()) {
            (_, Some(seq)) => 2 * state_at(seq).ok_or(Objection::Commit(seq))? - 1,
            (Deed::Balances { seq, .. }, None) => {
                let state = state_at(*seq).filter(|state| *state < states.len());
                let state = state.ok_or(Objection::Balances(*seq))?;
                if !call.is_explained_by(&states[state]) {
                    return Err(Objection::Balances(*seq));
                }
                2 * state
            }
            (Deed::Transfers { .. } | Deed::Reservation { .. }, None) => {
                let mut candidates = from.div_ceil(2)..states.len();
                let state = candidates.find(|state| call.is_explained_by(&states[*state]));
                2 * state.ok_or(Objection::Unexplained(call.invoked))?
            }
        };
        if place < from {
            return Err(Objection::TooEarly(call.invoked));
        }
        placed.push((call.returned, place));
    }
    Ok(())
}

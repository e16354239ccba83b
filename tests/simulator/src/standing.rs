//! Owns what the checker knows of accounts besides their balances, by its own counting: what is expected on them, what they may hold,
//! and which days are closed.

use florin_domain::commit::Commit;
use florin_domain::ids::ShardId;
use florin_domain::ledger::{
    AccountKey, AccountLimits, AccountName, AccountType, CrossTransfer, CrossingStep, EffectiveDate,
    HoldChange, LedgerEvent, Legs, PostedTransfer, Posting, PostingModel, Side, TransferId, TransferStep,
};
use florin_domain::money::Amount;
use florin_domain::payment::{AttemptState, OperationKind, Payment, Status};
use florin_domain::time::Timestamp;
use std::collections::BTreeMap;

/// A reservation whose time is over goes within this time, if nothing goes wrong.
const LATE_MS: u64 = 60_000;

/// What may still be posted to an account, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) debit_minor: i128,
    pub(crate) credit_minor: i128,
}

impl Expected {
    fn add(&mut self, debit_minor: i128, credit_minor: i128) {
        self.debit_minor += debit_minor;
        self.credit_minor += credit_minor;
    }

    /// What may leave an account and what may come to it, on its normal side.
    pub(crate) fn leaving_and_coming(self, of: AccountType) -> (i128, i128) {
        match of {
            AccountType::Asset | AccountType::Expense => (self.credit_minor, self.debit_minor),
            AccountType::Liability | AccountType::Equity | AccountType::Revenue => {
                (self.debit_minor, self.credit_minor)
            }
        }
    }
}

#[derive(Debug)]
struct Reservation {
    postings: Vec<Posting>,
    expires_at: Option<Timestamp>,
}

/// All accounts.
#[derive(Debug, Default)]
pub(crate) struct Standings {
    expected: BTreeMap<(ShardId, AccountKey), Expected>,
    limits: BTreeMap<AccountKey, AccountLimits>,
    reserved: BTreeMap<(ShardId, TransferId), Reservation>,
    /// Halves of transfers between shards that are reserved.
    halves: BTreeMap<(ShardId, TransferId), Vec<Posting>>,
    /// The last closed day of each shard; all money here is test money.
    closed: BTreeMap<ShardId, EffectiveDate>,
}

/// How far the holding of an account may go, in minor units.
pub(crate) type Reach = BTreeMap<AccountKey, (i128, i128)>;

impl Standings {
    /// What is expected on an account in a shard.
    pub(crate) fn expected(&self, shard: ShardId, key: &AccountKey) -> Expected {
        self.expected.get(&(shard, *key)).copied().unwrap_or_default()
    }

    /// What is expected on each account, in all shards together.
    pub(crate) fn sums(&self) -> BTreeMap<AccountKey, Expected> {
        let mut sums: BTreeMap<AccountKey, Expected> = BTreeMap::new();
        for ((_, key), expected) in &self.expected {
            let sum = sums.entry(*key).or_default();
            sum.add(expected.debit_minor, expected.credit_minor);
        }
        sums
    }

    /// Reservations that stand although their time has long been over.
    pub(crate) fn overdue(&self, now: Timestamp) -> Vec<TransferId> {
        let is_over = |reservation: &Reservation| {
            reservation
                .expires_at
                .is_some_and(|at| at.unix_ms().saturating_add(LATE_MS) < now.unix_ms())
        };
        let overdue = self
            .reserved
            .iter()
            .filter(|(_, reservation)| is_over(reservation));
        overdue.map(|((_, id), _)| *id).collect()
    }

    /// How far the holding of each limited account may go, with what was posted to it.
    pub(crate) fn reach(&self, posted: impl Fn(ShardId, &AccountKey) -> i128) -> Reach {
        let reach = |key: &AccountKey| {
            let shard = key.home()?;
            let minor = posted(shard, key);
            let of = key.name.account_type();
            let (leaving, coming) = self.expected(shard, key).leaving_and_coming(of);
            Some((*key, (minor - leaving, minor + coming)))
        };
        self.limits.keys().filter_map(reach).collect()
    }

    /// Accounts that went where they must not.
    pub(crate) fn beyond(&self, before: &Reach, after: &Reach) -> Vec<String> {
        let mut wrong = Vec::new();
        for (key, (least, most)) in after {
            let (was_least, was_most) = before.get(key).copied().unwrap_or_default();
            let limits = self.limits.get(key).copied().unwrap_or_default();
            if *least < was_least && limits.min_minor.is_some_and(|min| *least < min) {
                wrong.push(format!(
                    "{key} may fall to {least}, which is less than it may hold"
                ));
            }
            if *most > was_most && limits.max_minor.is_some_and(|max| *most > max) {
                wrong.push(format!(
                    "{key} may rise to {most}, which is more than it may hold"
                ));
            }
        }
        wrong
    }

    /// A payment has gone from one state to another: what is expected of it is what its holds say.
    pub(crate) fn payment(
        &mut self,
        commit: &Commit,
        (before, after): (Option<&Payment>, &Payment),
        holds: &[HoldChange],
    ) -> Option<String> {
        let (was, is) = (before.map(expected_of).unwrap_or_default(), expected_of(after));
        let (debit, credit) = (
            is.debit_minor - was.debit_minor,
            is.credit_minor - was.credit_minor,
        );
        let key = AccountKey {
            name: AccountName::MerchantPayable(after.spec.merchant),
            currency: after.spec.currency,
            livemode: after.spec.livemode,
        };
        let mut said = Expected::default();
        for hold in holds {
            said.add(hold.debit_delta_minor, hold.credit_delta_minor);
        }
        if (debit, credit) != (0, 0) {
            let expected = self.expected.entry((commit.shard, key)).or_default();
            expected.add(debit, credit);
        }
        let is_elsewhere = holds.iter().any(|hold| hold.account != key);
        let same = said.debit_minor == debit && said.credit_minor == credit && !is_elsewhere;
        (!same).then(|| {
            format!(
                "{} changes what is expected by ({debit}, {credit}) and holds {holds:?}",
                after.id()
            )
        })
    }

    /// Something has happened in the general ledger.
    pub(crate) fn ledger(&mut self, commit: &Commit, event: &LedgerEvent) -> Vec<String> {
        let mut wrong = Vec::new();
        match event {
            LedgerEvent::AccountOpened(account) => {
                if let Some(key) = account.id.key() {
                    self.limits.insert(key, account.limits);
                }
            }
            LedgerEvent::Transferred(transfers) => {
                for transfer in transfers {
                    wrong.extend(self.transfer(commit, transfer).err());
                }
            }
            LedgerEvent::PendingExpired(ids) => {
                for id in ids {
                    wrong.extend(self.release(commit.shard, *id).err());
                }
            }
            LedgerEvent::Crossed(steps) => {
                for step in steps {
                    wrong.extend(self.step(commit, step).err());
                }
            }
            LedgerEvent::PeriodClosed { through, .. } => {
                let closed = self.closed.entry(commit.shard).or_insert(*through);
                *closed = (*closed).max(*through);
            }
            LedgerEvent::AlertCreated(_) | LedgerEvent::AlertDeleted(_) => {}
        }
        wrong
    }

    fn transfer(&mut self, commit: &Commit, transfer: &PostedTransfer) -> Result<(), String> {
        let (shard, id) = (commit.shard, transfer.id);
        match transfer.step {
            TransferStep::Single | TransferStep::Revert { .. } => {
                self.check_day(shard, id, transfer.effective)
            }
            TransferStep::Pending { expires_at } => {
                self.check_day(shard, id, transfer.effective)?;
                let Legs::Reserved(postings) = &transfer.legs else {
                    return Err(format!("{id} is pending and reserves nothing"));
                };
                self.hold(shard, postings, 1);
                let postings = postings.clone();
                let reservation = Reservation { postings, expires_at };
                self.reserved.insert((shard, id), reservation);
                Ok(())
            }
            TransferStep::Post { pending } => {
                self.release(shard, pending)?;
                self.check_day(shard, id, transfer.effective)
            }
            TransferStep::Void { pending } => self.release(shard, pending),
        }
    }

    fn step(&mut self, commit: &Commit, step: &CrossingStep) -> Result<(), String> {
        let (shard, id) = (commit.shard, step.id());
        match step {
            CrossingStep::Prepared(transfer) | CrossingStep::Reserved(transfer) => {
                let leads = matches!(step, CrossingStep::Prepared(_));
                let half = half_of(transfer, leads);
                self.hold(shard, &half, 1);
                self.halves.insert((shard, id), half);
                self.check_day(shard, id, transfer.effective)
            }
            CrossingStep::Decided { .. } => {
                if self.let_go(shard, id) {
                    Ok(())
                } else {
                    Err(format!("{id} is decided and was not prepared"))
                }
            }
            // The other shard may be told of what it never reserved.
            CrossingStep::Applied { .. } | CrossingStep::Aborted { .. } => {
                self.let_go(shard, id);
                Ok(())
            }
            CrossingStep::Settled(_) => Ok(()),
        }
    }

    fn check_day(&self, shard: ShardId, id: TransferId, day: EffectiveDate) -> Result<(), String> {
        match self.closed.get(&shard) {
            Some(closed) if day <= *closed => Err(format!("{id} counts on a day that is closed")),
            Some(_) | None => Ok(()),
        }
    }

    fn hold(&mut self, shard: ShardId, postings: &[Posting], times: i128) {
        for posting in postings {
            let minor = posting.amount.minor() * times;
            let expected = self.expected.entry((shard, posting.account)).or_default();
            match posting.side {
                Side::Debit => expected.add(minor, 0),
                Side::Credit => expected.add(0, minor),
            }
        }
    }

    fn release(&mut self, shard: ShardId, id: TransferId) -> Result<(), String> {
        let Some(reservation) = self.reserved.remove(&(shard, id)) else {
            return Err(format!("the reservation {id} is ended and does not stand"));
        };
        self.hold(shard, &reservation.postings, -1);
        Ok(())
    }

    fn let_go(&mut self, shard: ShardId, id: TransferId) -> bool {
        let half = self.halves.remove(&(shard, id));
        if let Some(half) = &half {
            self.hold(shard, half, -1);
        }
        half.is_some()
    }
}

fn half_of(transfer: &CrossTransfer, leads: bool) -> Vec<Posting> {
    let clearing = AccountKey {
        name: AccountName::ShardClearing,
        ..transfer.debit
    };
    let (debit, credit) = if leads {
        (transfer.debit, clearing)
    } else {
        (clearing, transfer.credit)
    };
    let posting = |account, side| Posting {
        account,
        side,
        amount: transfer.amount,
    };
    vec![posting(debit, Side::Debit), posting(credit, Side::Credit)]
}

/// What a payment lets its merchant expect: credits of what is asked for or reserved and not taken yet, debits of refunds under way.
fn expected_of(payment: &Payment) -> Expected {
    if payment.posting_profile.posting == PostingModel::MerchantOfRecord {
        return Expected::default();
    }
    let (authorized, captured) = (payment.authorized.minor(), payment.captured.minor());
    let most = match &payment.status {
        Status::Processing | Status::RequiresAction(_) if captured == 0 => payment.spec.amount.minor(),
        Status::Processing | Status::RequiresAction(_) | Status::InReview { .. } => authorized,
        Status::Authorized if !payment.capture_closed => authorized,
        Status::Authorized
        | Status::RequiresPaymentMethod
        | Status::RequiresConfirmation
        | Status::Succeeded
        | Status::Failed
        | Status::Blocked
        | Status::Voided => 0,
    };
    let is_under_way = |state: Option<AttemptState>| state.is_none_or(AttemptState::is_unresolved);
    let refunds = payment
        .operations
        .iter()
        .filter(|operation| operation.kind == OperationKind::Refund && is_under_way(operation.state()));
    Expected {
        debit_minor: refunds.map(|refund| Amount::minor(refund.amount)).sum(),
        credit_minor: (most - captured).max(0),
    }
}

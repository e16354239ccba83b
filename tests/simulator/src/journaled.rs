//! Owns what the checker knows of the journals, by its own counting: it is told of every commit that became durable and objects
//! at once to what must never be.

use crate::history::History;
use crate::rules;
use crate::standing::Standings;
use crate::votes::Votes;
use crate::watched::Watched;
use crate::witness::late_words;
use florin_domain::commit::{Body, Commit, PaymentCommit};
use florin_domain::idempotency::KeyDigest;
use florin_domain::ids::{PaymentId, Seq, ShardId};
use florin_domain::ledger::{
    AccountKey, AccountName, AccountType, AlertField, AlertTerms, CrossingStep, LedgerEvent, Line,
    PostedTransfer, Side, TransferId, TransferStep,
};
use florin_domain::merchant::Control;
use florin_domain::money::Currency;
use florin_domain::payment::{Payment, follow_shared};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A transfer's marks in a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// Recorded by one commit.
    Recorded,
    /// Posted in the leading shard.
    Decided,
    /// Posted in the other one.
    Applied,
    /// Let go.
    Aborted,
}

/// All journals.
#[derive(Debug, Default)]
pub(crate) struct Journaled {
    heads: BTreeMap<ShardId, Seq>,
    pub(crate) payments: BTreeMap<PaymentId, History>,
    pub(crate) keys: BTreeMap<KeyDigest, PaymentId>,
    /// Balances on each account's normal side and the commit that last posted to it.
    accounts: BTreeMap<(ShardId, AccountKey), (i128, Seq)>,
    pub(crate) transfers: BTreeMap<(TransferId, ShardId, Mark), Seq>,
    /// Transfers that were undone, and by which others.
    reverted: BTreeMap<TransferId, TransferId>,
    pub(crate) standings: Standings,
    pub(crate) watched: Watched,
    pub(crate) votes: Votes,
    /// What operators have decided, by all their durable words.
    pub(crate) control: Control,
    /// Charges after all, and what was undone after its end, in all commits.
    pub(crate) late_words: (u64, u64),
    objections: Vec<String>,
}

/// What an entry gives to fee revenue, in minor units.
fn fee_of(lines: &[Line]) -> i128 {
    let fees = lines
        .iter()
        .filter(|line| line.posting.account.name == AccountName::FeeRevenue);
    fees.map(|line| match line.posting.side {
        Side::Credit => line.posting.amount.minor(),
        Side::Debit => -line.posting.amount.minor(),
    })
    .sum()
}

fn credits_raise(of: AccountType) -> bool {
    match of {
        AccountType::Asset | AccountType::Expense => false,
        AccountType::Liability | AccountType::Equity | AccountType::Revenue => true,
    }
}

impl Journaled {
    /// A process starts.
    pub(crate) fn begin(&mut self) {
        self.votes.begin();
    }

    /// Hears of commits that are durable, and gives what it objects to.
    pub(crate) fn hear(&mut self, commits: &[Arc<Commit>]) -> Vec<String> {
        for commit in commits {
            let head = self.heads.entry(commit.shard).or_default();
            if commit.seq != head.next() {
                let gap = format!("{} follows {head} in shard {:?}", commit.seq, commit.shard);
                self.objections.push(gap);
            }
            *head = commit.seq;
            match &commit.body {
                Body::Payment(body) => self.payment(commit, body),
                Body::Control(event) => self.control.apply(event, commit.at),
                Body::Ledger(ledger) => self.ledger(commit, &ledger.event),
            }
            self.look(commit);
        }
        std::mem::take(&mut self.objections)
    }

    /// The last durable commit of a shard.
    pub(crate) fn head(&self, shard: ShardId) -> Seq {
        self.heads.get(&shard).copied().unwrap_or_default()
    }

    /// The ends of the journals of the first `shards` shards.
    pub(crate) fn heads(&self, shards: u16) -> Vec<Seq> {
        (0..shards).map(|shard| self.head(ShardId(shard))).collect()
    }

    /// The sums of all shards' parts of each account.
    pub(crate) fn balances(&self) -> BTreeMap<AccountKey, i128> {
        let mut sums = BTreeMap::new();
        for ((_, key), (minor, _)) in &self.accounts {
            *sums.entry(*key).or_default() += minor;
        }
        sums
    }

    /// The latest state of a payment.
    pub(crate) fn latest(&self, id: PaymentId) -> Option<&Arc<Payment>> {
        self.payments.get(&id)?.states.last()
    }

    fn object(&mut self, commit: &Commit, what: &str) {
        let text = format!("shard {:?} commit {}: {what}", commit.shard, commit.seq);
        self.objections.push(text);
    }

    fn payment(&mut self, commit: &Commit, body: &PaymentCommit) {
        let history = self.payments.entry(body.payment).or_default();
        let mut wrong = Vec::new();
        if history.last != body.prev {
            wrong.push(format!("follows {} and not {}", body.prev, history.last));
        }
        history.last = commit.seq;
        let (charged, undone) = late_words(&body.events);
        self.late_words.0 += charged;
        self.late_words.1 += undone;
        let before = history.states.last().cloned();
        let mut after = before.clone();
        match follow_shared(&mut after, &body.events, commit.at) {
            Ok(()) => match after {
                Some(payment) => history.states.push(payment),
                None => wrong.push("makes no payment".to_owned()),
            },
            Err(error) => wrong.push(error.to_string()),
        }
        for event in &body.events {
            wrong.extend(history.tell(event).err());
        }
        wrong.extend(history.sums().err());
        let after = history.states.last();
        let earned =
            after.map_or(0, |after| after.fee_minor) - before.as_ref().map_or(0, |before| before.fee_minor);
        if earned != fee_of(body.entry.as_ref().map_or(&[], |entry| entry.lines())) {
            wrong.push(format!("earns {earned} and books another fee"));
        }
        if let Some(before) = &before {
            wrong.extend(rules::broken(before, &body.events));
        }
        if let Some(after) = after {
            let change = (before.as_deref(), after.as_ref());
            wrong.extend(self.standings.payment(commit, change, &body.holds));
        }
        let key = history.states.first().map(|state| state.spec.key_digest);
        for what in wrong {
            self.object(commit, &format!("{}: {what}", body.payment));
        }
        if let Some(key) = key
            && *self.keys.entry(key).or_insert(body.payment) != body.payment
        {
            self.object(
                commit,
                &format!("{} has the key of another payment", body.payment),
            );
        }
        if let Some(entry) = &body.entry {
            self.entry(commit, entry.lines());
        }
    }

    fn posted(&self, shard: ShardId, key: &AccountKey) -> i128 {
        self.accounts.get(&(shard, *key)).map_or(0, |(minor, _)| *minor)
    }

    /// At the end of a commit alerts are looked at.
    fn look(&mut self, commit: &Commit) {
        let (standings, accounts) = (&self.standings, &self.accounts);
        let value = |terms: &AlertTerms| {
            let posted = accounts
                .get(&(commit.shard, terms.account))
                .map_or(0, |(minor, _)| *minor);
            let expected = standings.expected(commit.shard, &terms.account);
            let of = terms.account.name.account_type();
            match terms.field {
                AlertField::Balance => posted,
                AlertField::Available => posted - expected.leaving_and_coming(of).0,
                AlertField::PendingDebits => expected.debit_minor,
                AlertField::PendingCredits => expected.credit_minor,
            }
        };
        self.watched.look(commit, value);
    }

    fn ledger(&mut self, commit: &Commit, event: &LedgerEvent) {
        let before = self.standings.reach(|shard, key| self.posted(shard, key));
        let mut wrong = self.standings.ledger(commit, event);
        wrong.extend(self.watched.ledger(commit, event));
        self.post(commit, event);
        let after = self.standings.reach(|shard, key| self.posted(shard, key));
        wrong.extend(self.standings.beyond(&before, &after));
        for what in wrong {
            self.object(commit, &what);
        }
    }

    fn post(&mut self, commit: &Commit, event: &LedgerEvent) {
        match event {
            LedgerEvent::Transferred(transfers) => {
                for transfer in transfers {
                    self.transfer(commit, transfer, Mark::Recorded);
                }
            }
            LedgerEvent::Crossed(steps) => {
                for step in steps {
                    if let Some(what) = self.votes.step(commit, step) {
                        self.object(commit, &what);
                    }
                    match step {
                        CrossingStep::Decided { posted, .. } => self.transfer(commit, posted, Mark::Decided),
                        CrossingStep::Applied { posted, .. } => self.transfer(commit, posted, Mark::Applied),
                        CrossingStep::Aborted { transfer, .. } => {
                            // A shard may say so to another one more than once.
                            let mark = (transfer.id, commit.shard, Mark::Aborted);
                            self.transfers.insert(mark, commit.seq);
                        }
                        CrossingStep::Prepared(_) | CrossingStep::Reserved(_) | CrossingStep::Settled(_) => {}
                    }
                }
            }
            LedgerEvent::AccountOpened(_)
            | LedgerEvent::PendingExpired(_)
            | LedgerEvent::PeriodClosed { .. }
            | LedgerEvent::AlertCreated(_)
            | LedgerEvent::AlertDeleted(_) => {}
        }
    }

    fn transfer(&mut self, commit: &Commit, transfer: &PostedTransfer, mark: Mark) {
        let before = self
            .transfers
            .insert((transfer.id, commit.shard, mark), commit.seq);
        if let Some(before) = before {
            self.object(
                commit,
                &format!("{} was {mark:?} by {before} already", transfer.id),
            );
        }
        if let TransferStep::Revert { reverts } = transfer.step
            && let Some(other) = self.reverted.insert(reverts, transfer.id)
        {
            self.object(commit, &format!("{reverts} is reverted again, after {other}"));
        }
        self.entry(commit, &transfer.lines());
    }

    /// An entry balances per currency, and says what its accounts hold afterwards.
    fn entry(&mut self, commit: &Commit, lines: &[Line]) {
        let mut sums: BTreeMap<(Currency, bool), i128> = BTreeMap::new();
        let mut wrong = Vec::new();
        for line in lines {
            let (key, minor) = (line.posting.account, line.posting.amount.minor());
            let is_credit = line.posting.side == Side::Credit;
            *sums.entry((key.currency, key.livemode)).or_default() += if is_credit { minor } else { -minor };
            let raises = credits_raise(key.name.account_type()) == is_credit;
            let account = self.accounts.entry((commit.shard, key)).or_default();
            if line.account_prev != account.1 && account.1 != commit.seq {
                wrong.push(format!("{key} was last posted to by {}", account.1));
            }
            account.0 += if raises { minor } else { -minor };
            account.1 = commit.seq;
            if line.balance_after.minor() != account.0 {
                wrong.push(format!(
                    "{key} holds {} and not {}",
                    account.0,
                    line.balance_after.minor()
                ));
            }
        }
        if sums.values().any(|sum| *sum != 0) {
            wrong.push(format!("debits are not credits: {sums:?}"));
        }
        for what in wrong {
            self.object(commit, &what);
        }
    }

    /// Transfers between shards that are decided and not applied, or the other way round.
    pub(crate) fn half_done(&self) -> Vec<TransferId> {
        let of = |wanted: Mark| -> BTreeSet<TransferId> {
            let marks = self.transfers.keys().filter(|(_, _, mark)| *mark == wanted);
            marks.map(|(id, _, _)| *id).collect()
        };
        let (decided, applied) = (of(Mark::Decided), of(Mark::Applied));
        decided.symmetric_difference(&applied).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_domain::ids::ApiKeyId;
    use florin_domain::merchant::{ControlEvent, OperatorAction};
    use florin_domain::time::Timestamp;

    fn commit(shard: u16, seq: u64) -> Arc<Commit> {
        let action = OperatorAction {
            operator: ApiKeyId::from_bits(1),
            reason: None,
        };
        Arc::new(Commit {
            shard: ShardId(shard),
            seq: Seq(seq),
            at: Timestamp::from_unix_ms(1),
            body: Body::Control(ControlEvent::ReadOnlyEntered(action)),
        })
    }

    #[test]
    fn a_gap_and_a_repetition_are_objected_to_in_each_shard() {
        let mut journaled = Journaled::default();
        assert!(
            journaled
                .hear(&[commit(0, 1), commit(0, 2), commit(1, 1)])
                .is_empty()
        );
        assert_eq!(journaled.hear(&[commit(0, 4)]).len(), 1);
        assert_eq!(journaled.hear(&[commit(1, 1)]).len(), 1);
        assert_eq!(journaled.head(ShardId(0)), Seq(4));
    }
}

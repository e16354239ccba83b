//! One shard with all that must agree: its books, what folds from its records, what its index knows, and the plain shard.

use super::*;
use crate::time::Timestamp;

/// What each account has at first, and what it may hold.
pub(super) const GRANTED_MINOR: i128 = 60;
pub(super) const MOST_MINOR: i128 = 100;

/// The two accounts of a shard: one that grows by credits, and one that grows by debits.
pub(super) fn account(shard: u16, number: u32) -> AccountKey {
    let account_type = [AccountType::Liability, AccountType::Asset][number as usize % 2];
    let terms = (account_type, Currency::USD, false);
    LedgerAccountId::pack(NOON, ShardId(shard), terms, number)
        .key()
        .unwrap()
}

#[derive(Clone)]
pub(super) struct Node {
    pub(super) books: Books,
    pub(super) plain: PlainShard,
    /// Folded from all records, and from a snapshot and the records since.
    folded: [Books; 2],
    recorded: Vec<(LedgerEvent, (Timestamp, Seq))>,
    known: BTreeSet<TransferId>,
    drawn: u128,
    /// What transfers within the shard brought to each account, on its normal side.
    own: BTreeMap<AccountKey, i128>,
    /// Of each alert whether it is raised and how often it was, by whoever polls.
    polled: BTreeMap<AlertId, (bool, u64)>,
}

impl Node {
    pub(super) fn new(shard: u16) -> Self {
        let mut node = Self {
            books: Books::default(),
            plain: PlainShard::default(),
            folded: <[Books; 2]>::default(),
            recorded: Vec::new(),
            known: BTreeSet::new(),
            drawn: u128::MAX,
            own: BTreeMap::new(),
            polled: BTreeMap::new(),
        };
        for number in 0..2 {
            let key = account(shard, number);
            let opened = GeneralAccount {
                id: key.name.general().unwrap(),
                name: format!("account {number}").into(),
                limits: AccountLimits {
                    min_minor: Some(0),
                    max_minor: Some(MOST_MINOR),
                },
                metadata: Vec::new(),
            };
            let account_type = key.name.account_type();
            node.plain.ledger.open(key, account_type, opened.limits);
            assert!(node.books.open_account(opened.clone()));
            node.record(LedgerEvent::AccountOpened(opened));
            node.watch(key, number);
            node.shift(key, GRANTED_MINOR);
        }
        node
    }

    /// Watches an account in every field.
    fn watch(&mut self, account: AccountKey, number: u32) {
        let amounts = [GRANTED_MINOR, GRANTED_MINOR, 1, 1];
        let kinds = AlertField::ALL.into_iter().zip(AlertCondition::ALL);
        for (place, ((field, condition), amount_minor)) in kinds.zip(amounts).enumerate() {
            let terms = AlertTerms {
                id: AlertId(u128::from(number) * 4 + place as u128),
                account,
                field,
                condition,
                amount_minor,
                description: None,
                metadata: Vec::new(),
            };
            assert_eq!(self.books.check_alert(&terms), Ok(()));
            self.books.create_alert(terms.clone(), self.place()).unwrap();
            self.record(LedgerEvent::AlertCreated(terms));
        }
    }

    /// The alerts are those of whoever looks at every account after every commit.
    fn poll(&mut self) {
        for alert in self.books.alerts().all() {
            let (terms, plain) = (&alert.terms, &self.plain.ledger);
            let value = match terms.field {
                AlertField::Balance => plain.posted(&terms.account),
                AlertField::Available => plain.available(&terms.account),
                AlertField::PendingDebits => plain.expected(&terms.account, true),
                AlertField::PendingCredits => plain.expected(&terms.account, false),
            };
            let is_raised = terms.condition.holds(value, terms.amount_minor);
            let (was_raised, times) = self.polled.entry(terms.id).or_default();
            *times += u64::from(is_raised && !*was_raised);
            *was_raised = is_raised;
            assert_eq!(
                (alert.last.is_raised, alert.times_raised),
                (is_raised, *times),
                "{terms:?}"
            );
        }
    }

    fn place(&self) -> (Timestamp, Seq) {
        let seq = self.recorded.len() as u64 + 1;
        (Timestamp::from_unix_ms(NOON.unix_ms() + seq), Seq(seq))
    }

    fn record(&mut self, event: LedgerEvent) {
        let place = self.place();
        self.books.evaluate_alerts(place);
        self.poll();
        for folded in &mut self.folded {
            folded.replay_ledger(&event, place).unwrap();
            assert_eq!(*folded, self.books, "{event:?}");
        }
        self.recorded.push((event, place));
        self.check();
    }

    /// Records steps in one commit, if there are any, as the shard does.
    fn record_steps(&mut self, steps: Vec<CrossingStep>) {
        if steps.is_empty() {
            return;
        }
        let said = steps
            .iter()
            .filter(|step| !matches!(step, CrossingStep::Settled(_)));
        self.known.extend(said.map(CrossingStep::id));
        self.record(LedgerEvent::Crossed(steps));
    }

    /// All steps of transfers between shards so far.
    pub(super) fn steps(&self) -> impl Iterator<Item = &CrossingStep> {
        self.recorded.iter().flat_map(|(event, _)| {
            let LedgerEvent::Crossed(steps) = event else {
                return [].as_slice();
            };
            steps.as_slice()
        })
    }

    /// The books are those of the plain shard, within all limits, and balance by themselves.
    fn check(&self) {
        for total in self.books.trial_balance() {
            assert_eq!(total.debits_minor, total.credits_minor);
        }
        for (key, state) in self.books.accounts() {
            let plain = &self.plain.ledger;
            assert_eq!(state.posted.minor(), plain.posted(&key), "{key}");
            assert_eq!(state.pending_debit_minor, plain.expected(&key, true), "{key}");
            assert_eq!(state.pending_credit_minor, plain.expected(&key, false), "{key}");
            if key.name.general().is_some() {
                let range = 0..=MOST_MINOR;
                assert!(range.contains(&plain.available(&key)) && range.contains(&plain.reached(&key)));
            }
        }
        let open = self.books.crossings().map(|crossing| {
            let standing = match crossing.phase {
                CrossPhase::Prepared => Standing::Prepared,
                CrossPhase::Reserved => Standing::Reserved,
                CrossPhase::Over(CrossOutcome::Decided) => Standing::Decided,
                CrossPhase::Over(CrossOutcome::Aborted(why)) => Standing::Aborted(why),
            };
            (crossing.transfer.id.0, standing)
        });
        assert_eq!(open.collect::<BTreeMap<_, _>>(), self.plain.open());
    }

    /// Moves money between an account and the bank of the same shard, if its limits let it. Above zero the account grows.
    pub(super) fn shift(&mut self, key: AccountKey, minor: i128) {
        if minor == 0 {
            return;
        }
        let bank = AccountKey {
            name: AccountName::Bank,
            ..key
        };
        self.drawn -= 1;
        let is_credit = (key.name.account_type() == AccountType::Liability) == (minor > 0);
        let (debited, credited) = if is_credit { (bank, key) } else { (key, bank) };
        let asked = [single(self.drawn, debited, credited, minor.abs())];
        let place = self.place();
        let done = self.books.transfer(&asked, Linkage::Atomic, place, |_| false);
        let words = self
            .plain
            .ledger
            .request(&asked, true, place.0.unix_ms(), &BTreeSet::new());
        assert_eq!(
            done.verdicts == [Verdict::Done],
            words == ["done"],
            "{words:?} {:?}",
            done.verdicts
        );
        if !done.recorded.is_empty() {
            *self.own.entry(key).or_default() += minor;
            // The bank grows by debits.
            *self.own.entry(bank).or_default() += if is_credit { minor.abs() } else { -minor.abs() };
            self.record(LedgerEvent::Transferred(done.recorded));
        }
    }

    pub(super) fn own_minor(&self, key: &AccountKey) -> i128 {
        self.own.get(key).copied().unwrap_or(0)
    }

    pub(super) fn close(&mut self, through: EffectiveDate) {
        self.books.close_through(false, through);
        let closed = self.plain.ledger.closed_through.entry(false).or_default();
        *closed = (*closed).max(through.0);
        self.record(LedgerEvent::PeriodClosed {
            through,
            livemode: false,
        });
    }

    /// Says what a dry run says first, and that a dry run changes nothing.
    fn dry<T>(&mut self, act: impl Fn(&mut Books, bool) -> T) -> (T, T) {
        let before = self.books.clone();
        let dry = act(&mut self.books, true);
        assert_eq!(self.books, before, "a dry run left something");
        (dry, act(&mut self.books, false))
    }

    /// One word for each.
    pub(super) fn prepare(&mut self, asked: &[CrossTransfer]) -> Vec<&'static str> {
        let transfers: Vec<Transfer> = asked.iter().map(request_for).collect();
        let (place, known) = (self.place(), self.known.clone());
        let (dry, crossed) = self.dry(|books, is_dry| {
            books.prepare_crossings(&transfers, place, is_dry, |id| known.contains(&id))
        });
        assert_eq!(dry, crossed);
        let words: Vec<&str> = crossed.said.iter().map(word_of).collect();
        let mut plain = Vec::new();
        for transfer in asked {
            plain.push(if known.contains(&transfer.id) {
                "exists"
            } else if self.plain.ids.contains_key(&transfer.id.0) {
                "transfer_id_reused"
            } else {
                self.plain.prepare(transfer).err().unwrap_or("done")
            });
        }
        assert_eq!(words, plain, "{asked:?}");
        self.record_steps(crossed.steps);
        words
    }

    /// The votes.
    pub(super) fn reserve(&mut self, asked: &[CrossTransfer]) -> Vec<Result<(), AbortReason>> {
        let (place, known) = (self.place(), self.known.clone());
        let (dry, crossed) =
            self.dry(|books, is_dry| books.reserve_crossings(asked, place, is_dry, |id| known.contains(&id)));
        assert_eq!(dry, crossed);
        for (transfer, said) in asked.iter().zip(&crossed.said) {
            let word = said.map_err(|why| why.refusal(transfer).code());
            assert_eq!(word, self.plain.reserve(transfer), "{transfer:?}");
        }
        self.record_steps(crossed.steps);
        crossed.said
    }

    pub(super) fn decide(&mut self, asked: &[(TransferId, CrossOutcome)]) -> Vec<Option<CrossOutcome>> {
        let place = self.place();
        let Crossed { steps, said } = self.books.decide_crossings(asked, place);
        let plain = asked.iter().map(|(id, wanted)| self.plain.decide(*id, *wanted));
        assert_eq!(said, plain.collect::<Vec<_>>(), "{asked:?}");
        self.record_steps(steps);
        said
    }

    pub(super) fn finish(&mut self, asked: &[(CrossTransfer, CrossOutcome)]) {
        let (place, known) = (self.place(), self.known.clone());
        let finished = self
            .books
            .finish_crossings(asked, place, |id| known.contains(&id));
        for (transfer, outcome) in asked {
            self.plain.finish(transfer, *outcome);
        }
        self.record_steps(finished.unwrap());
        self.check();
    }

    pub(super) fn settle(&mut self, ids: &[TransferId]) {
        let steps = self.books.settle_crossings(ids);
        for id in ids {
            self.plain.settle(*id);
        }
        self.record_steps(steps);
        self.check();
    }

    /// Takes the second fold up from a snapshot, and goes on with it.
    pub(super) fn restart(&mut self) {
        let mut restored = Books::default();
        assert!(restored.restore_general(self.books.general_ledger()));
        for (key, state) in self.books.accounts() {
            restored.restore(key, *state);
        }
        assert_eq!(restored, self.books);
        self.books = self.folded[0].clone();
        self.folded[1] = restored;
    }

    /// What the latest record that says something of it says.
    pub(super) fn outcome(&self, id: TransferId) -> Option<CrossOutcome> {
        let said = self
            .steps()
            .filter(|step| step.id() == id && !matches!(step, CrossingStep::Settled(_)));
        said.last()?.outcome()
    }
}

fn request_for(transfer: &CrossTransfer) -> Transfer {
    Transfer {
        effective: Some(transfer.effective),
        ..single(
            transfer.id.0,
            transfer.debit,
            transfer.credit,
            transfer.amount.minor(),
        )
    }
}

fn word_of(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Done => "done",
        Verdict::Exists => "exists",
        Verdict::Refused(refusal) => refusal.code(),
    }
}

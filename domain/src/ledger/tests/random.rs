//! Random requests: the books say what the plain ledger says, and what they record folds into the same books.

mod alerts;
mod drafts;

use super::plain::{PlainLedger, Promise};
use super::*;
use crate::ids::Seq;
use crate::time::Timestamp;
use alerts::PlainAlerts;
use drafts::{Draft, TYPES, Terms, opened};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};

const START_MS: u64 = 1_700_000_000_000;
const HOUR_MS: u64 = 3_600_000;

/// One step of a run: what it is, and the transfers if it is a request.
type Step = ([u8; 3], Vec<Draft>);

enum Recorded {
    Ledger(LedgerEvent),
    Payment(PostedEntry, HoldChange),
}

struct World {
    books: Books,
    plain: PlainLedger,
    alerts: PlainAlerts,
    /// Folded from what was recorded, one of them once by way of a snapshot.
    folded: [Books; 2],
    recorded: BTreeMap<Seq, Recorded>,
    lines: BTreeMap<Seq, Vec<Line>>,
    /// The balances that the lines say, and the commits that they were in.
    history: BTreeMap<AccountKey, (i128, Vec<Seq>)>,
    /// Accounts to ask about, also such as were never opened.
    keys: Vec<AccountKey>,
    unopened: Vec<GeneralAccount>,
    used: BTreeSet<u128>,
    /// The transfers recorded, and those among them that are reverted.
    posted: BTreeMap<TransferId, PostedTransfer>,
    reverted: BTreeSet<TransferId>,
    /// Ids asked for, and those of transfers asked to be pending.
    drawn: Vec<u128>,
    promised: Vec<u128>,
    now_ms: u64,
    seq: Seq,
    within: BTreeSet<(AccountKey, bool)>,
    /// How often each verdict was given.
    said: BTreeMap<&'static str, u32>,
}

impl World {
    fn new(terms: &[Terms], last: usize) -> Self {
        let types = TYPES.into_iter().chain([TYPES[last]]);
        let accounts = types.zip(terms).zip(0..);
        let accounts: Vec<GeneralAccount> = accounts
            .map(|((account_type, terms), number)| opened(number, account_type, *terms))
            .collect();
        let foreign = opened(0, TYPES[4], (0, 0, 0, 0)).id.key().unwrap();
        let mut keys: Vec<AccountKey> = accounts.iter().map(|account| account.id.key().unwrap()).collect();
        let late = keys.pop().unwrap();
        keys.extend([
            usd(AccountName::Bank),
            usd(AccountName::Suspense),
            live(usd(AccountName::Bank)),
            AccountKey {
                currency: Currency::EUR,
                ..usd(AccountName::Suspense)
            },
            usd(AccountName::MerchantPayable(MerchantId::from_bits(7))),
            usd(AccountName::ProviderClearing(provider("stripe"))),
            late,
            usd(AccountName::MerchantPayable(MerchantId::from_bits(8))),
            foreign,
        ]);
        let mut world = Self {
            books: Books::default(),
            plain: PlainLedger::default(),
            alerts: PlainAlerts::default(),
            folded: <[Books; 2]>::default(),
            recorded: BTreeMap::new(),
            lines: BTreeMap::new(),
            history: BTreeMap::new(),
            keys,
            unopened: accounts,
            used: BTreeSet::new(),
            posted: BTreeMap::new(),
            reverted: BTreeSet::new(),
            drawn: Vec::new(),
            promised: Vec::new(),
            now_ms: START_MS,
            seq: Seq::ZERO,
            within: BTreeSet::new(),
            said: BTreeMap::new(),
        };
        // The last one is opened somewhere in the middle, or never.
        for _ in 0..5 {
            world.open();
        }
        if last > 0 {
            world.pay(100);
        }
        world
    }

    fn at(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.now_ms)
    }

    fn today(&self) -> u32 {
        u32::try_from(self.now_ms / (24 * HOUR_MS)).unwrap()
    }

    /// Writes down what happened, and folds it.
    fn record(&mut self, recorded: Recorded) {
        self.seq = self.seq.next();
        self.end_commit();
        let place = (self.at(), self.seq);
        let lines = match &recorded {
            Recorded::Ledger(event) => event.lines(),
            Recorded::Payment(entry, _) => entry.lines().to_vec(),
        };
        for books in &mut self.folded {
            replay(books, &recorded, place);
        }
        for line in &lines {
            let (balance, seqs) = self.history.entry(line.posting.account).or_default();
            let grows = match self.plain.account_type(&line.posting.account) {
                AccountType::Asset | AccountType::Expense => Side::Debit,
                AccountType::Liability | AccountType::Equity | AccountType::Revenue => Side::Credit,
            };
            let minor = line.posting.amount.minor();
            *balance += if line.posting.side == grows { minor } else { -minor };
            assert_eq!(line.balance_after.minor(), *balance, "{}", line.posting.account);
            if seqs.last() != Some(&self.seq) {
                seqs.push(self.seq);
            }
        }
        self.lines.insert(self.seq, lines);
        self.recorded.insert(self.seq, recorded);
    }

    fn open(&mut self) {
        if self.unopened.is_empty() {
            return;
        }
        let account = self.unopened.remove(0);
        let key = account.id.key().unwrap();
        let account_type = account.id.account_type().unwrap();
        self.plain.open(key, account_type, account.limits);
        assert!(self.books.open_account(account.clone()));
        assert!(!self.books.open_account(account.clone()), "twice");
        self.record(Recorded::Ledger(LedgerEvent::AccountOpened(account)));
    }

    /// A payment is booked between requests.
    fn pay(&mut self, minor: i128) {
        let clearing = usd(AccountName::ProviderClearing(provider("stripe")));
        let payable = usd(AccountName::MerchantPayable(MerchantId::from_bits(7)));
        let hold = HoldChange {
            account: payable,
            credit_delta_minor: minor,
            debit_delta_minor: 1,
        };
        let entry = Entry::balanced("pay_1", vec![debit(clearing, minor), credit(payable, minor)]).unwrap();
        let posted = self.books.post("pay_1", &entry, self.seq.next()).unwrap();
        self.books.hold(&[hold]).unwrap();
        self.plain.add((clearing, true, minor));
        self.plain.add((payable, false, minor));
        self.plain.expect((payable, false, minor));
        self.plain.expect((payable, true, 1));
        self.record(Recorded::Payment(posted, hold));
    }

    fn close(&mut self, livemode: bool, days_ago: u32) {
        let through = EffectiveDate(self.today() - days_ago);
        self.books.close_through(livemode, through);
        let closed = self.plain.closed_through.entry(livemode).or_default();
        *closed = (*closed).max(through.0);
        self.record(Recorded::Ledger(LedgerEvent::PeriodClosed { through, livemode }));
    }

    fn sweep(&mut self, limit: usize) {
        let over = self.books.pending_over(self.at(), limit);
        if over.is_empty() {
            return;
        }
        for id in &over {
            self.books.expire_pending(*id).unwrap();
            assert!(self.books.expire_pending(*id).is_err(), "twice");
            self.plain.release(id.0);
        }
        self.record(Recorded::Ledger(LedgerEvent::PendingExpired(over)));
    }

    fn request(&mut self, is_atomic: bool, drafts: &[Draft]) {
        let asked: Vec<Transfer> = drafts.iter().map(|draft| self.transfer(*draft)).collect();
        let linkage = if is_atomic {
            Linkage::Atomic
        } else {
            Linkage::Independent
        };
        let (place, before, now_ms) = ((self.at(), self.seq.next()), self.books.clone(), self.now_ms);
        let (used, reverted) = (&self.used, &self.reverted);
        let is_used = |once: Once| match once {
            Once::Transfer(id) => used.contains(&id.0),
            Once::RevertOf(id) => reverted.contains(&id),
            Once::Alert(_) => false,
        };
        let expected = self.plain.request(&asked, is_atomic, now_ms, used);
        let dry = self.books.dry_transfer(&asked, linkage, place, is_used);
        assert_eq!(self.books, before, "a dry run leaves a trace");
        let done = self.books.transfer(&asked, linkage, place, is_used);
        assert_eq!(dry, done);
        let words: Vec<&str> = done.verdicts.iter().map(word).collect();
        assert_eq!(words, expected, "{asked:#?}");
        for word in words {
            *self.said.entry(word).or_default() += 1;
        }
        let expected = asked.iter().zip(&expected).filter(|(_, word)| **word == "done");
        let expected: Vec<&Transfer> = expected.map(|(transfer, _)| transfer).collect();
        assert_eq!(done.recorded.len(), expected.len());
        for (recorded, asked) in done.recorded.iter().zip(expected) {
            assert!(recorded.is_of(asked), "{recorded:?} of {asked:?}");
            assert_eq!(
                recorded.effective.0,
                asked.effective.map_or(self.today(), |day| day.0)
            );
        }
        if done.recorded.is_empty() {
            assert_eq!(self.books, before, "a refusal leaves a trace");
            return;
        }
        for transfer in &done.recorded {
            self.used.insert(transfer.id.0);
            if let TransferStep::Revert { reverts } = transfer.step {
                assert!(self.reverted.insert(reverts), "reverted twice");
            }
            self.posted.insert(transfer.id, transfer.clone());
        }
        self.record(Recorded::Ledger(LedgerEvent::Transferred(done.recorded)));
    }

    /// Goes on from what a snapshot of the second fold keeps.
    fn restart(&mut self) {
        let mut restored = Books::default();
        assert!(restored.restore_general(self.folded[1].general_ledger()));
        for (key, state) in self.folded[1].accounts() {
            restored.restore(key, *state);
        }
        self.folded[1] = restored;
    }

    fn check(&mut self) {
        for books in &self.folded {
            assert_eq!(books, &self.books);
        }
        for key in &self.keys {
            let (state, plain) = (self.books.account(key), &self.plain);
            assert_eq!(self.books.has(key), plain.there.contains(key), "{key}");
            assert_eq!(state.posted.minor(), plain.posted(key), "{key}");
            assert_eq!(state.pending_debit_minor, plain.expected(key, true), "{key}");
            assert_eq!(state.pending_credit_minor, plain.expected(key, false), "{key}");
            let limits = plain.limits(key);
            if !plain.there.contains(key) {
                continue;
            }
            // An account starts at zero, which may lie outside of its limits; once inside, it stays there.
            for (is_min, is_within) in [
                (
                    true,
                    limits.min_minor.is_none_or(|min| plain.available(key) >= min),
                ),
                (
                    false,
                    limits.max_minor.is_none_or(|max| plain.reached(key) <= max),
                ),
            ] {
                assert!(is_within || !self.within.contains(&(*key, is_min)), "{key}");
                if is_within {
                    self.within.insert((*key, is_min));
                }
            }
        }
        let there: BTreeSet<AccountKey> = self.books.accounts().map(|(key, _)| key).collect();
        assert_eq!(there, self.plain.there);
        let pending = self.books.pending_transfers();
        let pending: BTreeMap<u128, Promise> =
            pending.map(|(id, pending)| (id.0, promise(pending))).collect();
        assert_eq!(pending, self.plain.promises);
        let over = self.books.pending_over(self.at(), usize::MAX);
        assert_eq!(
            over.iter().map(|id| id.0).collect::<BTreeSet<_>>(),
            self.plain.over(self.now_ms)
        );
        self.check_totals();
        self.check_alerts();
    }

    /// Debits are credits, and what is owned is what is owed, put in and earned, in each currency and mode.
    fn check_totals(&self) {
        let mut equation: BTreeMap<(&str, bool), i128> = BTreeMap::new();
        for (key, state) in self.books.accounts() {
            let sum = equation.entry((key.currency.code(), key.livemode)).or_default();
            let minor = state.posted.minor();
            // Assets = liabilities + equity + revenue - expenses.
            *sum += match self.plain.account_type(&key) {
                AccountType::Asset | AccountType::Expense => minor,
                AccountType::Liability | AccountType::Equity | AccountType::Revenue => -minor,
            };
        }
        assert!(equation.values().all(|sum| *sum == 0), "{equation:?}");
        for total in self.books.trial_balance() {
            assert_eq!(total.debits_minor, total.credits_minor, "{total:?}");
        }
    }

    /// From its last commit, an account's history walks back through all of them.
    fn walk_back(&self) {
        for (key, (_, seqs)) in &self.history {
            let (mut at, mut walked) = (self.books.account(key).last_posted, Vec::new());
            while at != Seq::ZERO {
                walked.push(at);
                let own = self.lines[&at].iter().filter(|line| line.posting.account == *key);
                let prevs: BTreeSet<Seq> = own.map(|line| line.account_prev).collect();
                assert_eq!(prevs.len(), 1, "{key}: all its lines in {at} point to one commit");
                at = *prevs.first().unwrap();
            }
            walked.reverse();
            assert_eq!(&walked, seqs, "{key}");
        }
    }
}

fn promise(pending: &PendingTransfer) -> Promise {
    let leg = |posting: &Posting| {
        (
            posting.account,
            posting.side == Side::Debit,
            posting.amount.minor(),
        )
    };
    Promise {
        legs: pending.postings.iter().map(leg).collect(),
        until_ms: pending.expires_at.map(Timestamp::unix_ms),
    }
}

fn replay(books: &mut Books, recorded: &Recorded, place: (Timestamp, Seq)) {
    match recorded {
        Recorded::Ledger(event) => books.replay_ledger(event, place).unwrap(),
        Recorded::Payment(entry, hold) => {
            books.replay(entry, place.1).unwrap();
            books.hold(&[*hold]).unwrap();
            books.evaluate_alerts(place);
        }
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Done => "done",
        Verdict::Exists => "exists",
        Verdict::Refused(refusal) => refusal.code(),
    }
}

fn run(terms: &[Terms], last: usize, steps: &[Step], restarted_at: usize) -> World {
    let mut world = World::new(terms, last);
    for (number, ([kind, more, hours], drafts)) in steps.iter().enumerate() {
        world.now_ms += u64::from(hours % 8) * HOUR_MS;
        match kind {
            0..196 => world.request(more % 8 == 7, drafts),
            196..206 => world.watch_many([*more, drafts[0][4], drafts[0][5]]),
            206..210 => world.unwatch(*more),
            210..220 => world.open(),
            220..230 => world.pay(1 + i128::from(*more)),
            230..240 => world.close(more % 3 == 0, 1 + u32::from(more / 64)),
            240.. => world.sweep(1 + usize::from(more % 4)),
        }
        if number == restarted_at {
            world.restart();
        }
        world.check();
    }
    world.walk_back();
    world
}

type Run = (Vec<Terms>, usize, Vec<Step>, Index);

fn runs() -> impl Strategy<Value = Run> {
    let terms = vec(any::<Terms>(), 6..=6);
    let steps = vec((any::<[u8; 3]>(), vec(any::<Draft>(), 1..=12)), 1..=60);
    (terms, 0..5_usize, steps, any::<Index>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_books_say_what_the_plain_ledger_says_and_fold_into_themselves((terms, last, steps, at) in runs()) {
        run(&terms, last, &steps, at.index(steps.len()));
    }
}

#[test]
fn random_requests_come_to_every_verdict_but_the_overflow() {
    let mut runner = TestRunner::deterministic();
    let (mut said, mut edges): (BTreeMap<&str, u32>, u32) = (BTreeMap::new(), 0);
    for _ in 0..100 {
        let (terms, last, steps, at) = runs().new_tree(&mut runner).unwrap().current();
        let world = run(&terms, last, &steps, at.index(steps.len()));
        edges += world.alerts.edges;
        for (word, times) in world.said {
            *said.entry(word).or_default() += times;
        }
    }
    assert!(edges > 100, "{edges} edges of alerts");
    let all = [
        "account_limit_exceeded",
        "account_unknown",
        "amount_exceeds_pending",
        "done",
        "effective_in_future",
        "exists",
        "insufficient_funds",
        "linked_chain_open",
        "linked_transfer_failed",
        "payout_exceeds_owed",
        "pending_transfer_expired",
        "pending_transfer_missing",
        "period_closed",
        "reverted_transfer_missing",
        "transfer_already_reverted",
        "transfer_id_reused",
        "transfer_mixed_currencies",
        "transfer_mixed_modes",
        "transfer_not_revertible",
        "transfer_same_account",
        "transfer_too_few_postings",
        "transfer_unbalanced",
    ];
    assert!(said.keys().copied().eq(all), "{said:?}");
    assert!(said["done"] * 3 > said.values().sum::<u32>(), "{said:?}");
}

//! When alerts are raised, and that whoever folds the records comes to the same.

use super::requests::*;
use super::*;
use crate::ids::Seq;
use crate::time::Timestamp;
use std::collections::BTreeSet;

/// Books with what was recorded of them.
#[derive(Default)]
struct Shard {
    books: Books,
    recorded: Vec<(LedgerEvent, (Timestamp, Seq))>,
}

impl Shard {
    fn new() -> (Self, AccountKey, AccountKey) {
        let mut shard = Self::default();
        let bank = key(0, AccountType::Asset, Currency::USD, false);
        let customer = key(1, AccountType::Liability, Currency::USD, false);
        for account in [bank, customer] {
            open(&mut shard.books, account, None, None);
            let id = account.name.general().unwrap();
            let opened = shard.books.general_account(id).unwrap().clone();
            shard.record(LedgerEvent::AccountOpened(opened));
        }
        (shard, bank, customer)
    }

    fn place(&self) -> (Timestamp, Seq) {
        let seq = self.recorded.len() as u64 + 1;
        (Timestamp::from_unix_ms(NOON.unix_ms() + seq), Seq(seq))
    }

    /// Ends a commit, as the account shard does.
    fn record(&mut self, event: LedgerEvent) -> Vec<AlertChange> {
        let place = self.place();
        let changes = self.books.evaluate_alerts(place);
        self.recorded.push((event, place));
        changes
    }

    fn watch(&mut self, terms: AlertTerms) -> AlertEdge {
        assert_eq!(self.books.check_alert(&terms), Ok(()));
        let change = self.books.create_alert(terms.clone(), self.place()).unwrap();
        assert_eq!((change.id, change.account), (terms.id, terms.account));
        assert_eq!(self.record(LedgerEvent::AlertCreated(terms)), []);
        change.edge
    }

    fn request(&mut self, linkage: Linkage, asked: &[Transfer]) -> Vec<AlertChange> {
        let done = self.books.transfer(asked, linkage, self.place(), |_| false);
        if done.recorded.is_empty() {
            return Vec::new();
        }
        self.record(LedgerEvent::Transferred(done.recorded))
    }

    /// One transfer, and what it raises (`true`) and arms.
    fn moves(
        &mut self,
        id: u128,
        (debit, credit): (AccountKey, AccountKey),
        minor: i128,
    ) -> Vec<(u128, bool)> {
        let changes = self.request(Linkage::Atomic, &[single(id, debit, credit, minor)]);
        changes
            .iter()
            .map(|change| (change.id.0, change.edge.is_raised))
            .collect()
    }

    fn alert(&self, id: u128) -> &BalanceAlert {
        self.books.alerts().get(AlertId(id)).unwrap()
    }

    /// Folded from all records, and from a snapshot of each moment and the records since.
    fn check_folds(&self) {
        for taken in 0..=self.recorded.len() {
            let (before, after) = self.recorded.split_at(taken);
            let mut folded = Books::default();
            for (event, place) in before {
                folded.replay_ledger(event, *place).unwrap();
            }
            let mut restored = Books::default();
            assert!(restored.restore_general(folded.general_ledger()));
            for (key, state) in folded.accounts() {
                restored.restore(key, *state);
            }
            assert_eq!(restored, folded, "a snapshot after {taken}");
            for (event, place) in after {
                restored.replay_ledger(event, *place).unwrap();
            }
            assert_eq!(
                restored, self.books,
                "a snapshot after {taken}, and what followed"
            );
        }
    }
}

fn terms(
    id: u128,
    account: AccountKey,
    kind: (AlertField, AlertCondition),
    amount_minor: i128,
) -> AlertTerms {
    AlertTerms {
        id: AlertId(id),
        account,
        field: kind.0,
        condition: kind.1,
        amount_minor,
        description: None,
        metadata: Vec::new(),
    }
}

const LOW: (AlertField, AlertCondition) = (AlertField::Balance, AlertCondition::Below);

#[test]
fn a_condition_holds_on_its_side_of_the_amount() {
    for (condition, below, at, above) in [
        (AlertCondition::Below, true, false, false),
        (AlertCondition::Above, false, false, true),
        (AlertCondition::AtOrBelow, true, true, false),
        (AlertCondition::AtOrAbove, false, true, true),
    ] {
        for amount in [-7, 0, 7, i128::from(i64::MAX)] {
            let holds = [amount - 1, amount, amount + 1].map(|value| condition.holds(value, amount));
            assert_eq!(holds, [below, at, above], "{} {amount}", condition.as_str());
        }
    }
}

#[test]
fn what_is_looked_at_is_what_the_account_shows() {
    let state = AccountState {
        posted: crate::money::Balance::from_minor(100).unwrap(),
        pending_credit_minor: 30,
        pending_debit_minor: 4,
        last_posted: Seq(1),
    };
    for (account_type, available) in [
        (AccountType::Asset, 70),
        (AccountType::Expense, 70),
        (AccountType::Liability, 96),
        (AccountType::Equity, 96),
        (AccountType::Revenue, 96),
    ] {
        let account = key(0, account_type, Currency::USD, false);
        let values = AlertField::ALL.map(|field| field.value_minor(&account, &state));
        assert_eq!(values, [100, available, 4, 30], "{account_type:?}");
    }
}

#[test]
fn x_36_an_alert_is_raised_once_and_armed_again() {
    let (mut shard, bank, customer) = Shard::new();
    let (pay_in, pay_out) = ((bank, customer), (customer, bank));
    let created = shard.watch(terms(1, customer, LOW, 100));
    assert!(created.is_raised, "it is true already: {created:?}");
    assert_eq!((created.value_minor, created.seq), (0, Seq(3)));
    assert_eq!(shard.moves(1, pay_in, 99), [], "still below");
    assert_eq!(shard.moves(2, pay_in, 1), [(1, false)], "not below any more");
    assert_eq!(shard.moves(3, pay_in, 500), []);
    assert_eq!(shard.moves(4, pay_out, 500), [], "at the amount");
    assert_eq!(shard.moves(5, pay_out, 1), [(1, true)]);
    assert_eq!(shard.moves(6, pay_out, 98), [], "raised once");
    assert_eq!(shard.moves(7, pay_in, 200), [(1, false)]);
    let alert = shard.alert(1);
    let history: Vec<_> = alert
        .history()
        .map(|edge| (edge.is_raised, edge.seq.0, edge.value_minor))
        .collect();
    assert_eq!(
        history,
        [(false, 10, 201), (true, 8, 99), (false, 5, 100), (true, 3, 0)]
    );
    let at = |seq: u64| Timestamp::from_unix_ms(NOON.unix_ms() + seq);
    assert!(alert.history().all(|edge| edge.at == at(edge.seq.0)), "{alert:?}");
    assert_eq!(
        (alert.times_raised, alert.created_seq, alert.created_at),
        (2, Seq(3), at(3))
    );
    assert_eq!(
        (shard.books.alerts().raised(), shard.books.alerts().raised_total()),
        (0, 2)
    );
    shard.check_folds();
}

#[test]
fn what_dips_and_recovers_within_one_commit_raises_nothing() {
    let (mut shard, bank, customer) = Shard::new();
    assert_eq!(shard.moves(1, (bank, customer), 100), []);
    assert!(!shard.watch(terms(1, customer, LOW, 100)).is_raised);
    let dips = [single(2, customer, bank, 60), single(3, bank, customer, 60)];
    for linkage in [Linkage::Atomic, Linkage::Independent] {
        let place = shard.place();
        let rehearsed = shard.books.dry_transfer(&dips, linkage, place, |_| false);
        assert_eq!(rehearsed.recorded.len(), 2);
    }
    assert_eq!(shard.request(Linkage::Independent, &dips), []);
    let dives = [single(4, bank, customer, 60), single(5, customer, bank, 61)];
    let raised = shard.request(Linkage::Atomic, &dives);
    assert_eq!(raised.len(), 1);
    assert_eq!((raised[0].edge.is_raised, raised[0].edge.value_minor), (true, 99));
    shard.check_folds();
}

#[test]
fn what_is_rehearsed_or_refused_raises_nothing() {
    let (mut shard, bank, customer) = Shard::new();
    shard.moves(1, (bank, customer), 100);
    shard.watch(terms(1, customer, LOW, 100));
    let before = shard.books.clone();
    let out = [single(2, customer, bank, 1)];
    let place = shard.place();
    let done = shard.books.dry_transfer(&out, Linkage::Atomic, place, |_| false);
    assert_eq!(done.verdicts, [Verdict::Done]);
    assert_eq!(shard.books, before, "not even a mark is left");
    let other = key(9, AccountType::Asset, Currency::USD, false);
    let aborted = [out[0].clone(), single(3, customer, other, 1)];
    assert_eq!(shard.request(Linkage::Atomic, &aborted), []);
    let linked = [linked(out[0].clone()), single(3, customer, other, 1)];
    assert_eq!(shard.request(Linkage::Independent, &linked), []);
    assert_eq!(shard.books, before);
    // Of a request that is refused in part, what is recorded counts.
    let partly = [single(3, customer, other, 1), out[0].clone()];
    assert_eq!(shard.request(Linkage::Independent, &partly).len(), 1);
    shard.check_folds();
}

#[test]
fn pending_money_is_watched_from_its_reservation_to_its_end() {
    let (mut shard, bank, customer) = Shard::new();
    shard.moves(1, (bank, customer), 100);
    shard.watch(terms(
        1,
        customer,
        (AlertField::Available, AlertCondition::AtOrBelow),
        40,
    ));
    shard.watch(terms(
        2,
        customer,
        (AlertField::PendingDebits, AlertCondition::Above),
        50,
    ));
    shard.watch(terms(
        3,
        bank,
        (AlertField::PendingCredits, AlertCondition::AtOrAbove),
        60,
    ));
    shard.watch(terms(4, bank, LOW, 100));
    let edges = |changes: Vec<AlertChange>| {
        let edge = |change: &AlertChange| (change.id.0, change.edge.is_raised, change.edge.value_minor);
        changes.iter().map(edge).collect::<Vec<_>>()
    };
    let until = Timestamp::from_unix_ms(NOON.unix_ms() + 1_000);
    let later = |id| {
        transfer(
            id,
            TransferStep::Pending {
                expires_at: Some(until),
            },
            pair(customer, bank, 60),
        )
    };
    let all = |is_raised: bool, values: [i128; 3]| {
        let [available, debits, credits] = values;
        vec![
            (3, is_raised, credits),
            (1, is_raised, available),
            (2, is_raised, debits),
        ]
    };
    let reserved = shard.request(Linkage::Atomic, &[later(2)]);
    assert_eq!(edges(reserved), all(true, [40, 60, 60]), "by account, then by id");
    let voided = shard.request(Linkage::Atomic, &[void_of(3, 2)]);
    assert_eq!(edges(voided), all(false, [100, 0, 0]));
    assert_eq!(shard.request(Linkage::Atomic, &[later(4)]).len(), 3);
    shard.books.expire_pending(TransferId(4)).unwrap();
    let expired = shard.record(LedgerEvent::PendingExpired(vec![TransferId(4)]));
    assert_eq!(edges(expired), all(false, [100, 0, 0]), "time arms them as well");
    assert_eq!(shard.request(Linkage::Atomic, &[later(5)]).len(), 3);
    let posted = shard.request(Linkage::Atomic, &[post_of(6, 5, Some(10))]);
    let expected = [(3, false, 0), (4, true, 90), (1, false, 90), (2, false, 0)];
    assert_eq!(edges(posted), expected, "ten moved, and the rest is free");
    shard.check_folds();
}

#[test]
fn a_payments_entry_and_hold_are_looked_at_as_one_commit() {
    let mut books = Books::default();
    let payable = usd(AccountName::MerchantPayable(MerchantId::from_bits(7)));
    let clearing = usd(AccountName::ProviderClearing(provider("stripe")));
    let place = |seq: u64| (NOON, Seq(seq));
    let asked = terms(1, payable, (AlertField::PendingCredits, AlertCondition::Above), 0);
    let unknown = AlertRefusal::UnknownAccount(payable);
    assert_eq!(
        books.check_alert(&asked),
        Err(unknown),
        "nothing was booked on it yet"
    );
    let hold = |minor| HoldChange {
        account: payable,
        credit_delta_minor: minor,
        debit_delta_minor: 0,
    };
    books.hold(&[hold(100)]).unwrap();
    assert_eq!(books.evaluate_alerts(place(1)), []);
    assert_eq!(books.check_alert(&asked), Ok(()));
    assert!(books.create_alert(asked, place(2)).unwrap().edge.is_raised);
    assert!(
        !books
            .create_alert(
                terms(
                    2,
                    payable,
                    (AlertField::Available, AlertCondition::AtOrAbove),
                    100
                ),
                place(3)
            )
            .unwrap()
            .edge
            .is_raised
    );
    let entry = Entry::balanced("pay_1", vec![debit(clearing, 100), credit(payable, 100)]).unwrap();
    books.post("pay_1", &entry, Seq(4)).unwrap();
    books.hold(&[hold(-100)]).unwrap();
    let changes = books.evaluate_alerts(place(4));
    let changes: Vec<_> = changes
        .iter()
        .map(|change| (change.id.0, change.edge.is_raised))
        .collect();
    assert_eq!(changes, [(1, false), (2, true)]);
    assert_eq!(books.evaluate_alerts(place(5)), [], "nothing has changed since");
}

#[test]
fn the_last_edges_are_remembered_and_all_are_counted() {
    let (mut shard, bank, customer) = Shard::new();
    shard.watch(terms(
        1,
        customer,
        (AlertField::Balance, AlertCondition::Above),
        0,
    ));
    for round in 0..50 {
        assert_eq!(shard.moves(2 * round, (bank, customer), 1), [(1, true)]);
        assert_eq!(shard.moves(2 * round + 1, (customer, bank), 1), [(1, false)]);
    }
    let alert = shard.alert(1);
    assert_eq!(
        (alert.times_raised, alert.history().count()),
        (50, ALERT_HISTORY_MAX)
    );
    let seqs: Vec<u64> = alert.history().map(|edge| edge.seq.0).collect();
    let newest = shard.recorded.len() as u64;
    assert_eq!(seqs, (newest - 31..=newest).rev().collect::<Vec<_>>());
    assert!(
        alert
            .history()
            .zip([false, true].into_iter().cycle())
            .all(|(edge, raised)| edge.is_raised == raised)
    );
}

#[test]
fn there_are_only_so_many_alerts() {
    let mut books = Books::default();
    let place = (NOON, Seq(1));
    let accounts: Vec<AccountKey> = (0..63)
        .map(|number| key(number, AccountType::Asset, Currency::USD, false))
        .collect();
    for account in &accounts {
        open(&mut books, *account, None, None);
    }
    let mut id = 0;
    for account in &accounts {
        for _ in 0..ALERTS_OF_ACCOUNT_MAX {
            let asked = terms(id, *account, LOW, 0);
            if id == ALERTS_OF_SHARD_MAX as u128 {
                assert_eq!(books.check_alert(&asked), Err(AlertRefusal::ShardFull));
                continue;
            }
            assert_eq!(books.check_alert(&asked), Ok(()));
            books.create_alert(asked, place).unwrap();
            id += 1;
        }
        if id < ALERTS_OF_SHARD_MAX as u128 {
            assert_eq!(
                books.check_alert(&terms(id, *account, LOW, 0)),
                Err(AlertRefusal::AccountFull)
            );
        }
    }
    assert_eq!(books.alerts().all().len(), ALERTS_OF_SHARD_MAX);
    assert_eq!(
        books.check_alert(&terms(5, accounts[0], LOW, 0)),
        Err(AlertRefusal::IdReused)
    );
    assert!(books.delete_alert(AlertId(3)).is_some());
    assert_eq!(
        books.check_alert(&terms(3, accounts[0], LOW, 0)),
        Ok(()),
        "there is room again"
    );
    let stranger = key(63, AccountType::Asset, Currency::USD, false);
    let unknown = AlertRefusal::UnknownAccount(stranger);
    assert_eq!(books.check_alert(&terms(9_999, stranger, LOW, 0)), Err(unknown));
    assert_eq!(
        books.check_alert(&terms(9_999, usd(AccountName::Bank), LOW, 0)),
        Ok(()),
        "the platform's own are always there"
    );
}

#[test]
fn a_deleted_alert_is_silent_and_its_neighbour_is_not() {
    let (mut shard, bank, customer) = Shard::new();
    shard.watch(terms(1, customer, LOW, 100));
    shard.watch(terms(2, customer, LOW, 50));
    assert_eq!(shard.books.alerts().raised(), 2);
    assert!(shard.books.delete_alert(AlertId(1)).is_some());
    shard.record(LedgerEvent::AlertDeleted(AlertId(1)));
    assert!(shard.books.delete_alert(AlertId(1)).is_none());
    assert_eq!(shard.moves(1, (bank, customer), 200), [(2, false)]);
    assert!(shard.books.delete_alert(AlertId(2)).is_some());
    shard.record(LedgerEvent::AlertDeleted(AlertId(2)));
    assert_eq!(shard.moves(2, (customer, bank), 200), []);
    let alerts = shard.books.alerts();
    assert_eq!(
        (alerts.raised(), alerts.raised_total(), alerts.all().len()),
        (0, 2, 0)
    );
    shard.check_folds();
}

#[test]
fn a_record_that_cannot_follow_is_refused() {
    let (mut shard, _, customer) = Shard::new();
    shard.watch(terms(1, customer, LOW, 100));
    let place = shard.place();
    for event in [
        LedgerEvent::AlertCreated(terms(1, customer, LOW, 5)),
        LedgerEvent::AlertDeleted(AlertId(2)),
    ] {
        let mut folded = shard.books.clone();
        let refused = folded.replay_ledger(&event, place);
        assert!(
            matches!(refused, Err(PostingError::IllegalRecord(_))),
            "{event:?}"
        );
        assert_eq!(folded, shard.books);
    }
    let mut twice = shard.books.general_ledger();
    twice.alerts.push(shard.alert(1).clone());
    assert!(!Books::default().restore_general(twice));
}

#[test]
fn an_id_that_is_made_is_a_random_uuid() {
    let mut seen = BTreeSet::new();
    for bits in [0, u128::MAX, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef] {
        let id = AlertId::random(bits);
        let text = id.to_string();
        assert_eq!(AlertId::parse(&text), Some(id));
        let (version, variant) = (&text[14..15], &text[19..20]);
        assert!(version == "4" && "89ab".contains(variant), "{text}");
        assert!(seen.insert(id));
    }
    let written = AlertId::random(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef).to_string();
    assert_eq!(written, "01234567-89ab-4def-8123-456789abcdef");
}

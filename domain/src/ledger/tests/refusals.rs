//! One row for each refusal of a transfer, and for what it means to the others of its request.

use super::requests::*;
use super::*;
use crate::ids::Seq;
use crate::money::Balance;

/// Accounts of a merchant with nothing in them (the second one may have at most 500), and two more.
struct Chart {
    books: Books,
    cash: AccountKey,
    owed: AccountKey,
    bounded: AccountKey,
    euros: AccountKey,
    real: AccountKey,
}

fn chart() -> Chart {
    let mut books = Books::default();
    let [cash, owed, bounded, euros, real] = [
        key(0, AccountType::Asset, Currency::USD, false),
        key(1, AccountType::Liability, Currency::USD, false),
        key(2, AccountType::Liability, Currency::USD, false),
        key(3, AccountType::Asset, Currency::EUR, false),
        key(4, AccountType::Asset, Currency::USD, true),
    ];
    for account in [cash, owed] {
        open(&mut books, account, None, None);
    }
    open(&mut books, bounded, Some(0), Some(500));
    for account in [euros, real] {
        open(&mut books, account, None, None);
    }
    // 1: 300 are promised to `owed`; 2: the same, until a moment ago; 3: among three.
    let reserved = [
        transfer(1, PENDING, pair(cash, owed, 300)),
        transfer(
            2,
            TransferStep::Pending {
                expires_at: Some(NOON),
            },
            pair(cash, owed, 300),
        ),
        transfer(
            3,
            PENDING,
            TransferLegs::Many(vec![debit(cash, 50), credit(owed, 30), credit(bounded, 20)]),
        ),
    ];
    assert_eq!(
        codes(&mut books, Linkage::Independent, &reserved),
        ["done", "done", "done"]
    );
    books.close_through(false, EffectiveDate(TODAY.0 - 10));
    Chart {
        books,
        cash,
        owed,
        bounded,
        euros,
        real,
    }
}

type Refused = (Transfer, &'static str, &'static str);

const UNPENDING: &str = "no transfer is pending under this id: it was never made, or it has ended";

/// What no books would take.
fn refused_for_itself(chart: &Chart) -> Vec<Refused> {
    let Chart {
        cash,
        owed,
        euros,
        real,
        ..
    } = *chart;
    let many = |postings| transfer(10, TransferStep::Single, TransferLegs::Many(postings));
    let step_of = |asked: Transfer, legs| Transfer { legs, ..asked };
    vec![
        (
            many(vec![debit(cash, 10_000), credit(owed, 9_900)]),
            "transfer_unbalanced",
            "Transaction 00000000-0000-0000-0000-00000000000a: Debits (100.00) != Credits (99.00)",
        ),
        (
            many(vec![debit(cash, 5)]),
            "transfer_too_few_postings",
            "an entry needs at least two postings",
        ),
        (
            single(10, cash, euros, 1),
            "transfer_mixed_currencies",
            "the accounts are in different currencies",
        ),
        (
            single(10, cash, real, 1),
            "transfer_mixed_modes",
            "one account is live and another one is not",
        ),
        (
            many(vec![
                debit(cash, 1),
                credit(owed, 1),
                debit(real, 1),
                credit(real, 1),
            ]),
            "transfer_mixed_modes",
            "one account is live and another one is not",
        ),
        (
            single(10, cash, cash, 1),
            "transfer_same_account",
            "debit and credit are the same account",
        ),
        (
            transfer(10, TransferStep::Single, TransferLegs::OfPending(None)),
            "pending_transfer_missing",
            UNPENDING,
        ),
        (
            transfer(10, PENDING, TransferLegs::OfPending(None)),
            "pending_transfer_missing",
            UNPENDING,
        ),
        (
            step_of(post_of(10, 1, None), pair(cash, owed, 300)),
            "pending_transfer_missing",
            UNPENDING,
        ),
        (
            step_of(void_of(10, 1), pair(cash, owed, 300)),
            "pending_transfer_missing",
            UNPENDING,
        ),
        (
            revert_of(10, 77, None),
            "reverted_transfer_missing",
            "no transfer is recorded under the id that is to be reverted",
        ),
        (
            revert_of(
                10,
                1,
                Some(TransferLegs::Irreversible(Irreversible::NothingPosted)),
            ),
            "transfer_not_revertible",
            "the transfer posted nothing that could be reverted; what is pending is voided",
        ),
        (
            revert_of(
                10,
                1,
                Some(TransferLegs::Irreversible(Irreversible::BetweenShards)),
            ),
            "transfer_crosses_shards",
            "its accounts are in several shards: only a transfer of one step between two accounts, bound to no other, may be",
        ),
        (
            on(TODAY.0 - 10, revert_of(10, 77, Some(pair(owed, cash, 1)))),
            "period_closed",
            "the books are closed up to that day",
        ),
    ]
}

/// What these books do not take.
fn refused_here(chart: &Chart) -> Vec<Refused> {
    let Chart {
        cash, owed, bounded, ..
    } = *chart;
    vec![
        (post_of(10, 77, None), "pending_transfer_missing", UNPENDING),
        (void_of(10, 77), "pending_transfer_missing", UNPENDING),
        (
            post_of(10, 2, None),
            "pending_transfer_expired",
            "the pending transfer has expired",
        ),
        (
            void_of(10, 2),
            "pending_transfer_expired",
            "the pending transfer has expired",
        ),
        (
            post_of(10, 1, Some(301)),
            "amount_exceeds_pending",
            "the amount exceeds what is pending",
        ),
        (
            post_of(10, 3, Some(49)),
            "amount_exceeds_pending",
            "the amount exceeds what is pending",
        ),
        (
            single(10, bounded, owed, 1),
            "insufficient_funds",
            "Insufficient funds",
        ),
        (
            single(10, cash, bounded, 481),
            "account_limit_exceeded",
            "the account would hold more than it may",
        ),
        (
            on(TODAY.0 - 10, single(10, cash, owed, 1)),
            "period_closed",
            "the books are closed up to that day",
        ),
        (
            on(TODAY.0 - 10, post_of(10, 1, None)),
            "period_closed",
            "the books are closed up to that day",
        ),
        (
            on(TODAY.0 + 1, single(10, cash, owed, 1)),
            "effective_in_future",
            "the effective day has not come yet",
        ),
        (
            on(TODAY.0 + 1, void_of(10, 1)),
            "effective_in_future",
            "the effective day has not come yet",
        ),
    ]
}

/// Accounts that are not there, in every place.
fn refused_for_its_accounts(chart: &Chart) -> Vec<(Transfer, &'static str, String)> {
    let Chart { cash, owed, .. } = *chart;
    let nobody = key(9, AccountType::Asset, Currency::USD, false);
    let impostor = key(0, AccountType::Expense, Currency::USD, false);
    let stranger = usd(AccountName::MerchantPayable(MerchantId::from_bits(8)));
    let clearing = usd(AccountName::ProviderClearing(provider("stripe")));
    let mut rows = Vec::new();
    for account in [nobody, impostor, stranger, clearing] {
        let text = format!("there is no account {account}");
        let many = TransferLegs::Many(vec![debit(cash, 2), credit(owed, 1), credit(account, 1)]);
        for legs in [pair(account, owed, 1), pair(cash, account, 1), many] {
            for step in [TransferStep::Single, PENDING] {
                rows.push((transfer(10, step, legs.clone()), "account_unknown", text.clone()));
            }
        }
    }
    rows
}

#[test]
fn every_refusal_has_its_code_and_its_words_and_leaves_nothing_behind() {
    let mut chart = chart();
    let before = chart.books.clone();
    let fixed = [refused_for_itself(&chart), refused_here(&chart)].concat();
    let fixed = fixed
        .into_iter()
        .map(|(asked, code, text)| (asked, code, text.to_owned()));
    for (asked, code, text) in fixed.chain(refused_for_its_accounts(&chart)) {
        let done = chart.books.transfer(
            std::slice::from_ref(&asked),
            Linkage::Independent,
            (NOON, Seq(10)),
            |_| false,
        );
        let [Verdict::Refused(refusal)] = done.verdicts.as_slice() else {
            panic!("{asked:?}: {:?}", done.verdicts);
        };
        assert_eq!((refusal.code(), refusal.to_string()), (code, text), "{asked:?}");
        assert_eq!(done.recorded, []);
        assert_eq!(chart.books, before, "{code} leaves a trace");
    }
}

#[test]
fn the_last_possible_one_before_a_refusal_is_done() {
    let rows: Vec<fn(&Chart) -> Transfer> = vec![
        |chart| single(10, chart.cash, chart.bounded, 480),
        |chart| on(TODAY.0 - 9, single(10, chart.cash, chart.owed, 1)),
        |chart| on(TODAY.0, single(10, chart.cash, chart.owed, 1)),
        |_| on(TODAY.0 - 9, post_of(10, 1, Some(300))),
        |_| post_of(10, 1, Some(1)),
        |_| post_of(10, 3, Some(50)),
        |_| on(TODAY.0 - 10, void_of(10, 1)),
        |chart| single(10, chart.real, live(usd(AccountName::Suspense)), 1),
        |chart| on(0, single(10, chart.real, live(usd(AccountName::Suspense)), 1)),
    ];
    for (number, row) in rows.into_iter().enumerate() {
        let mut chart = chart();
        let asked = row(&chart);
        assert_eq!(
            codes(&mut chart.books, Linkage::Independent, &[asked]),
            ["done"],
            "row {number}"
        );
    }
}

#[test]
fn a_balance_beyond_all_bounds_is_refused() {
    let mut chart = chart();
    let posted = Balance::from_minor(10_i128.pow(27)).unwrap();
    let full = AccountState {
        posted,
        ..AccountState::default()
    };
    chart.books.restore(chart.owed, full);
    let before = chart.books.clone();
    let asked = [single(10, chart.cash, chart.owed, 1)];
    assert_eq!(
        codes(&mut chart.books, Linkage::Independent, &asked),
        ["balance_overflow"]
    );
    assert_eq!(chart.books, before);
    let full = AccountState {
        pending_credit_minor: i128::MAX,
        ..AccountState::default()
    };
    chart.books.restore(chart.owed, full);
    let asked = [transfer(10, PENDING, pair(chart.cash, chart.owed, 1))];
    assert_eq!(
        codes(&mut chart.books, Linkage::Independent, &asked),
        ["balance_overflow"]
    );
    assert_eq!(TransferRefusal::Overflow.to_string(), "a balance would overflow");
}

/// How a request is taken, its transfers, and what each comes to.
type Row = (Linkage, Vec<Transfer>, &'static [&'static str]);

#[test]
fn what_one_transfer_means_for_the_others_of_its_request() {
    use Linkage::{Atomic, Independent};
    let ok = |chart: &Chart, id| single(id, chart.cash, chart.owed, 1);
    let poor = |chart: &Chart, id| single(id, chart.bounded, chart.owed, 1);
    let c = chart();
    let rows: Vec<Row> = vec![
        (
            Independent,
            vec![ok(&c, 10), poor(&c, 11), ok(&c, 12)],
            &["done", "insufficient_funds", "done"],
        ),
        (
            Atomic,
            vec![ok(&c, 10), poor(&c, 11), ok(&c, 12)],
            &[
                "linked_transfer_failed",
                "insufficient_funds",
                "linked_transfer_failed",
            ],
        ),
        (
            Atomic,
            vec![linked(ok(&c, 10)), linked(ok(&c, 11))],
            &["done", "done"],
        ),
        (
            Independent,
            vec![ok(&c, 10), linked(ok(&c, 11)), poor(&c, 12), ok(&c, 13)],
            &["done", "linked_transfer_failed", "insufficient_funds", "done"],
        ),
        (
            Independent,
            vec![linked(poor(&c, 10)), ok(&c, 11), linked(ok(&c, 12)), ok(&c, 13)],
            &["insufficient_funds", "linked_transfer_failed", "done", "done"],
        ),
        (
            Independent,
            vec![ok(&c, 10), linked(ok(&c, 11)), linked(ok(&c, 12))],
            &["done", "linked_transfer_failed", "linked_chain_open"],
        ),
        (Independent, vec![linked(ok(&c, 10))], &["linked_chain_open"]),
        (Independent, vec![ok(&c, 900), ok(&c, 10)], &["exists", "done"]),
        (
            Atomic,
            vec![ok(&c, 900), ok(&c, 10)],
            &["exists", "linked_transfer_failed"],
        ),
        (
            Independent,
            vec![ok(&c, 10), ok(&c, 10)],
            &["done", "transfer_id_reused"],
        ),
        (
            Independent,
            vec![poor(&c, 10), ok(&c, 10)],
            &["insufficient_funds", "transfer_id_reused"],
        ),
        (
            Independent,
            vec![linked(ok(&c, 10)), poor(&c, 11), ok(&c, 10)],
            &[
                "linked_transfer_failed",
                "insufficient_funds",
                "transfer_id_reused",
            ],
        ),
        (
            Independent,
            vec![post_of(10, 1, None), void_of(11, 1)],
            &["done", "pending_transfer_missing"],
        ),
        (
            Independent,
            vec![
                transfer(10, PENDING, pair(c.cash, c.owed, 5)),
                post_of(11, 10, Some(4)),
            ],
            &["done", "done"],
        ),
        // What the first one brings, the second one may take.
        (
            Independent,
            vec![single(10, c.cash, c.bounded, 7), single(11, c.bounded, c.owed, 7)],
            &["done", "done"],
        ),
    ];
    for (linkage, asked, expected) in rows {
        let mut books = chart().books;
        let before = books.clone();
        assert_eq!(
            codes(&mut books, linkage, &asked),
            expected,
            "{linkage:?}: {asked:#?}"
        );
        let any_done = expected.contains(&"done");
        assert_eq!(books == before, !any_done, "{linkage:?}: {asked:#?}");
    }
}

#[test]
fn a_record_is_of_what_was_asked_and_of_nothing_else() {
    let mut chart = chart();
    let (cash, owed, bounded) = (chart.cash, chart.owed, chart.bounded);
    let three = TransferLegs::Many(vec![debit(cash, 5), credit(owed, 3), credit(bounded, 2)]);
    let notes = Notes {
        description: Some("rent".into()),
        ..Notes::default()
    };
    let with_notes = Transfer {
        notes: Some(Box::new(notes)),
        ..single(15, cash, owed, 7)
    };
    let asked = [
        single(10, cash, owed, 7),
        transfer(11, PENDING, pair(cash, owed, 7)),
        transfer(12, PENDING, three.clone()),
        transfer(13, TransferStep::Single, three),
        post_of(14, 1, Some(7)),
        with_notes,
        void_of(16, 3),
        on(TODAY.0 - 1, single(17, cash, owed, 8)),
    ];
    let done = chart
        .books
        .transfer(&asked, Linkage::Independent, (NOON, Seq(9)), |_| false);
    assert_eq!(done.recorded.len(), asked.len());
    for recorded in &done.recorded {
        for other in &asked {
            let under_its_id = Transfer {
                id: recorded.id,
                ..other.clone()
            };
            assert_eq!(recorded.is_of(other), recorded.id == other.id, "{other:?}");
            assert_eq!(
                recorded.is_of(&under_its_id),
                recorded.id == other.id,
                "{under_its_id:?}"
            );
        }
    }
    let recorded = &done.recorded[0];
    let two = |from, to| TransferLegs::Many(vec![debit(from, 7), credit(to, 7)]);
    for (changed, is_same) in [
        (single(10, owed, cash, 7), false),
        (single(10, cash, bounded, 7), false),
        (single(10, cash, owed, 8), false),
        (on(TODAY.0, single(10, cash, owed, 7)), true),
        (on(TODAY.0 - 1, single(10, cash, owed, 7)), false),
        (linked(single(10, cash, owed, 7)), true),
        (transfer(10, TransferStep::Single, two(cash, owed)), true),
        (transfer(10, TransferStep::Single, two(owed, cash)), false),
        (transfer(10, PENDING, pair(cash, owed, 7)), false),
    ] {
        assert_eq!(recorded.is_of(&changed), is_same, "{changed:?}");
    }
}

//! Worked examples, number by number: a payment split into its parts, a payout, running balances, and an entry that does not
//! balance.

use super::requests::*;
use super::*;
use crate::ids::Seq;
use crate::money::decimal_string;

/// Books with these accounts, without limits.
fn opened<const N: usize>(types: [AccountType; N]) -> (Books, [AccountKey; N]) {
    let mut books = Books::default();
    let mut number = 0;
    let keys = types.map(|account_type| {
        let account = key(number, account_type, Currency::USD, false);
        open(&mut books, account, None, None);
        number += 1;
        account
    });
    (books, keys)
}

/// Asks for one transfer, as commit `seq`; the lines that it posted as people read them.
fn done(books: &mut Books, seq: u64, asked: &Transfer) -> Vec<(AccountKey, Side, String, String)> {
    let asked = std::slice::from_ref(asked);
    let done = books.transfer(asked, Linkage::Independent, (NOON, Seq(seq)), |_| false);
    assert_eq!(done.verdicts, [Verdict::Done]);
    let lines = done.recorded[0].lines();
    let decimal = |minor| decimal_string(minor, Currency::USD);
    let line = |line: &Line| {
        let posting = line.posting;
        let amount = decimal(posting.amount.minor());
        (
            posting.account,
            posting.side,
            amount,
            decimal(line.balance_after.minor()),
        )
    };
    lines.iter().map(line).collect()
}

fn line(account: AccountKey, side: Side, amount: &str, after: &str) -> (AccountKey, Side, String, String) {
    (account, side, amount.to_owned(), after.to_owned())
}

/// The sums of the five types, in the order assets, liabilities, equity, revenue, expenses.
fn sums(books: &Books) -> [i128; 5] {
    let mut sums = [0; 5];
    for (key, state) in books.accounts() {
        let place = match key.name.account_type() {
            AccountType::Asset => 0,
            AccountType::Liability => 1,
            AccountType::Equity => 2,
            AccountType::Revenue => 3,
            AccountType::Expense => 4,
        };
        sums[place] += state.posted.minor();
    }
    sums
}

#[test]
fn a_payment_of_100_is_97_for_the_merchant_and_3_for_the_platform_and_is_paid_out() {
    let types = [
        AccountType::Liability,
        AccountType::Liability,
        AccountType::Revenue,
    ];
    let (mut books, [customer, merchant, fees]) = opened(types);
    let bank = usd(AccountName::Bank);
    let split = vec![
        debit(customer, 10_000),
        credit(merchant, 9_700),
        credit(fees, 300),
    ];
    let split = transfer(1, TransferStep::Single, TransferLegs::Many(split));
    let expected = [
        line(customer, Side::Debit, "100.00", "-100.00"),
        line(merchant, Side::Credit, "97.00", "97.00"),
        line(fees, Side::Credit, "3.00", "3.00"),
    ];
    assert_eq!(done(&mut books, 1, &split), expected);
    let expected = [
        line(merchant, Side::Debit, "97.00", "0.00"),
        line(bank, Side::Credit, "97.00", "-97.00"),
    ];
    assert_eq!(done(&mut books, 2, &single(2, merchant, bank, 9_700)), expected);
    assert_eq!(sums(&books), [-9_700, -10_000, 0, 300, 0]);
}

#[test]
fn a_payment_of_100_takes_the_customer_from_500_to_600_and_revenue_from_10_000_to_10_100() {
    let types = [AccountType::Asset, AccountType::Revenue, AccountType::Equity];
    let (mut books, [customer, revenue, equity]) = opened(types);
    done(&mut books, 1, &single(1, customer, equity, 50_000));
    done(
        &mut books,
        2,
        &single(2, usd(AccountName::Bank), revenue, 1_000_000),
    );
    let expected = [
        line(customer, Side::Debit, "100.00", "600.00"),
        line(revenue, Side::Credit, "100.00", "10100.00"),
    ];
    assert_eq!(
        done(&mut books, 3, &single(3, customer, revenue, 10_000)),
        expected
    );
    let [assets, liabilities, equity, revenue, expenses] = sums(&books);
    assert_eq!(assets, 1_060_000);
    assert_eq!(assets, liabilities + equity + revenue - expenses);
    let totals = books.trial_balance();
    assert_eq!(
        totals
            .iter()
            .map(|total| (total.debits_minor, total.credits_minor))
            .collect::<Vec<_>>(),
        [(1_060_000, 1_060_000)]
    );
}

#[test]
fn each_of_the_five_types_grows_on_its_side() {
    let types = [
        AccountType::Asset,
        AccountType::Liability,
        AccountType::Equity,
        AccountType::Revenue,
        AccountType::Expense,
    ];
    for (account_type, grows) in
        types
            .into_iter()
            .zip([Side::Debit, Side::Credit, Side::Credit, Side::Credit, Side::Debit])
    {
        let (mut books, [account]) = opened([account_type]);
        let rest = usd(AccountName::Suspense);
        let lines = done(&mut books, 1, &single(1, account, rest, 100));
        let after = if grows == Side::Debit { "1.00" } else { "-1.00" };
        assert_eq!(lines[0], line(account, Side::Debit, "1.00", after));
        let [assets, liabilities, equity, revenue, expenses] = sums(&books);
        assert_eq!(
            assets,
            liabilities + equity + revenue - expenses,
            "{account_type:?}"
        );
    }
}

#[test]
fn an_entry_that_does_not_balance_is_named_with_both_sums_and_may_be_asked_for_again() {
    let (mut books, [customer, revenue]) = opened([AccountType::Asset, AccountType::Revenue]);
    let before = books.clone();
    let id = TransferId::parse("123e4567-e89b-12d3-a456-426614174000").unwrap();
    let of = |credited| {
        let legs = TransferLegs::Many(vec![debit(customer, 10_000), credit(revenue, credited)]);
        transfer(id.0, TransferStep::Single, legs)
    };
    let refused = books.transfer(&[of(9_900)], Linkage::Independent, (NOON, Seq(1)), |_| false);
    let message = "Transaction 123e4567-e89b-12d3-a456-426614174000: Debits (100.00) != Credits (99.00)";
    assert_eq!(
        refused.verdicts,
        [Verdict::Refused(TransferRefusal::Unbalanced(message.to_owned()))]
    );
    let Verdict::Refused(refusal) = &refused.verdicts[0] else {
        unreachable!("compared above")
    };
    assert_eq!(refusal.to_string(), message);
    assert_eq!((refused.recorded.len(), &books), (0, &before));
    let expected = [
        line(customer, Side::Debit, "100.00", "100.00"),
        line(revenue, Side::Credit, "100.00", "100.00"),
    ];
    assert_eq!(done(&mut books, 1, &of(10_000)), expected);
}

#[test]
fn a_reservation_among_three_is_posted_as_a_whole_or_let_go() {
    let types = [AccountType::Asset, AccountType::Liability, AccountType::Revenue];
    let (mut books, [cash, owed, fees]) = opened(types);
    let legs = TransferLegs::Many(vec![debit(cash, 10_000), credit(owed, 9_700), credit(fees, 300)]);
    for id in [1, 2] {
        assert_eq!(done(&mut books, 1, &transfer(id, PENDING, legs.clone())), []);
    }
    assert_eq!(books.account(&owed).pending_credit_minor, 19_400);
    assert_eq!(done(&mut books, 2, &void_of(3, 1)), []);
    assert_eq!(sums(&books), [0; 5]);
    let expected = [
        line(cash, Side::Debit, "100.00", "100.00"),
        line(owed, Side::Credit, "97.00", "97.00"),
        line(fees, Side::Credit, "3.00", "3.00"),
    ];
    assert_eq!(done(&mut books, 3, &post_of(4, 2, None)), expected);
    assert_eq!(books.account(&owed).pending_credit_minor, 0);
    assert_eq!(books.pending_transfers().len(), 0);
}

#[test]
fn both_sides_of_one_account_can_be_reserved_and_posted() {
    let (mut books, [cash]) = opened([AccountType::Asset]);
    let legs = TransferLegs::Many(vec![debit(cash, 5), credit(cash, 5)]);
    done(&mut books, 1, &transfer(1, PENDING, legs));
    assert_eq!(done(&mut books, 2, &post_of(2, 1, None)).len(), 2);
    assert_eq!(books.account(&cash).posted.minor(), 0);
}

#[test]
fn a_refused_transfer_leaves_no_account_behind() {
    let (mut books, [cash]) = opened([AccountType::Asset]);
    let before = books.clone();
    let stranger = key(7, AccountType::Asset, Currency::USD, false);
    for asked in [
        vec![single(1, usd(AccountName::Bank), stranger, 1)],
        vec![
            linked(single(1, usd(AccountName::Bank), cash, 1)),
            single(2, cash, stranger, 1),
        ],
    ] {
        let done = books.transfer(&asked, Linkage::Independent, (NOON, Seq(1)), |_| false);
        assert_eq!(done.recorded, []);
        assert_eq!(books, before);
        assert!(!books.has(&usd(AccountName::Bank)));
    }
}

#[test]
fn a_tampered_record_is_refused() {
    let (mut books, [cash, owed]) = opened([AccountType::Asset, AccountType::Liability]);
    let asked = [single(1, cash, owed, 100)];
    let before = books.clone();
    let done = books.transfer(&asked, Linkage::Independent, (NOON, Seq(1)), |_| false);
    let replay = |change: fn(&mut PostedTransfer)| {
        let mut transfer = done.recorded[0].clone();
        change(&mut transfer);
        let event = LedgerEvent::Transferred(vec![transfer]);
        before.clone().replay_ledger(&event, (NOON, Seq(1)))
    };
    assert_eq!(replay(|_| ()), Ok(()));
    let balance = replay(|transfer| {
        if let Legs::Pair(pair) = &mut transfer.legs {
            pair.balances_after[1] = crate::money::Balance::from_minor(101).unwrap();
        }
    });
    assert_eq!(balance, Err(PostingError::BalanceMismatch(owed)));
    for change in [
        (|transfer| {
            transfer.step = TransferStep::Post {
                pending: TransferId(9),
            }
        }) as fn(&mut PostedTransfer),
        |transfer| {
            transfer.step = TransferStep::Void {
                pending: TransferId(9),
            };
            transfer.legs = Legs::Released;
        },
        |transfer| transfer.legs = Legs::Reserved(Vec::new()),
    ] {
        assert!(matches!(replay(change), Err(PostingError::IllegalRecord(_))));
    }
    let again = LedgerEvent::Transferred(done.recorded);
    assert_eq!(
        books.replay_ledger(&again, (NOON, Seq(2))),
        Err(PostingError::BalanceMismatch(cash)),
        "twice"
    );
    let expired = LedgerEvent::PendingExpired(vec![TransferId(1)]);
    assert!(
        books.replay_ledger(&expired, (NOON, Seq(2))).is_err(),
        "nothing is pending"
    );
}

//! The checks against what is right, and against everything that may be wrong with it.

mod balances;
mod payments;

use super::entries::check_entry;
use super::*;
use crate::commit::{Body, Commit};
use crate::ledger::{AccountKey, AccountName, CurrencyTotal, Posting, Side};
use crate::money::{Amount, Currency};

const AT: Timestamp = Timestamp::from_unix_ms(1_700_000_000_000);

fn amount(minor: i128) -> Amount {
    Amount::new(minor).unwrap()
}

fn system(name: AccountName) -> AccountKey {
    AccountKey {
        name,
        currency: Currency::USD,
        livemode: false,
    }
}

fn posting(account: AccountKey, side: Side, minor: i128) -> Posting {
    Posting {
        account,
        side,
        amount: amount(minor),
    }
}

fn commit(seq: u64, body: Body) -> Commit {
    Commit {
        shard: ShardId::FIRST,
        seq: Seq(seq),
        at: AT,
        body,
    }
}

fn messages(findings: &Findings) -> Vec<String> {
    findings.differences.iter().map(ToString::to_string).collect()
}

#[test]
fn an_entry_whose_sides_differ_is_found_in_every_currency_and_mode_with_both_sums() {
    let (bank, fees) = (system(AccountName::Bank), system(AccountName::FeeRevenue));
    let euros = AccountKey {
        currency: Currency::EUR,
        ..fees
    };
    let live = AccountKey {
        livemode: true,
        ..fees
    };
    let cases: [(&str, Vec<Posting>, &[&str], i128); 6] = [
        (
            "balanced",
            vec![posting(bank, Side::Debit, 100), posting(fees, Side::Credit, 100)],
            &[],
            0,
        ),
        (
            "one unit lost",
            vec![
                posting(bank, Side::Debit, 10_000),
                posting(fees, Side::Credit, 9_999),
            ],
            &["Transaction t: Debits (100.00) != Credits (99.99)"],
            1,
        ),
        (
            "a lost posting",
            vec![posting(bank, Side::Debit, 10_000)],
            &["Transaction t: Debits (100.00) != Credits (0.00)"],
            10_000,
        ),
        (
            "a currency that became another one",
            vec![posting(bank, Side::Debit, 100), posting(euros, Side::Credit, 100)],
            &[
                "Transaction t: Debits (0.00) != Credits (1.00)",
                "Transaction t: Debits (1.00) != Credits (0.00)",
            ],
            100,
        ),
        (
            "test money that became real",
            vec![posting(bank, Side::Debit, 100), posting(live, Side::Credit, 100)],
            &[
                "Transaction t: Debits (1.00) != Credits (0.00)",
                "Transaction t: Debits (0.00) != Credits (1.00)",
            ],
            100,
        ),
        ("nothing", vec![], &[], 0),
    ];
    for (what, postings, expected, apart) in cases {
        let mut findings = Findings::default();
        check_entry(&"t", postings.into_iter(), Seq(3), &mut findings);
        let mut found = messages(&findings);
        found.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{what}");
        for difference in findings.differences {
            assert_eq!(difference.difference_minor, Some(apart), "{what}");
            assert_eq!(difference.seq, Seq(3), "{what}");
        }
    }
}

#[test]
fn a_trial_balance_that_is_off_is_found() {
    let total = |debits_minor, credits_minor| CurrencyTotal {
        currency: Currency::USD,
        livemode: true,
        debits_minor,
        credits_minor,
    };
    let mut findings = Findings::default();
    check_totals(&[total(5, 5)], Seq(1), &mut findings);
    assert_eq!(findings, Findings::default());
    check_totals(&[total(500, 498)], Seq(1), &mut findings);
    assert_eq!(
        messages(&findings),
        ["Transaction trial_balance:USD:live: Debits (5.00) != Credits (4.98)"]
    );
}

#[test]
fn all_differences_are_counted_and_the_first_twenty_kept() {
    let difference = |n: i128| Difference::of_minor(&n, "figure", (0, n), Seq(1)).unwrap();
    let (mut one, mut other) = (Findings::default(), Findings::default());
    one.extend((1..=15).map(difference));
    other.extend((16..=45).map(difference));
    assert_eq!((other.issues, other.differences.len()), (30, KEPT_MAX));
    one.merge(&other);
    assert_eq!((one.issues, one.differences.len()), (45, KEPT_MAX));
    assert_eq!(one.differences.last().unwrap().subject, "20");
}

//! What entries and books refuse, and what a payment's commits post.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow here fails the test, as it should"
)]

mod alerts;
mod books;
mod canonical;
mod crossings;
mod examples;
mod limits;
mod payouts;
mod plain;
mod profiles;
mod random;
mod refusals;
mod requests;
mod reverts;
mod templates;

use super::*;
use crate::ids::MerchantId;
use crate::money::{Amount, Currency};
use crate::provider::ProviderId;

fn amount(minor: i128) -> Amount {
    Amount::new(minor).unwrap()
}

fn usd(name: AccountName) -> AccountKey {
    AccountKey {
        name,
        currency: Currency::USD,
        livemode: false,
    }
}

fn live(account: AccountKey) -> AccountKey {
    AccountKey {
        livemode: true,
        ..account
    }
}

fn provider(name: &str) -> ProviderId {
    ProviderId::parse(name).unwrap()
}

fn debit(account: AccountKey, minor: i128) -> Posting {
    Posting {
        account,
        side: Side::Debit,
        amount: amount(minor),
    }
}

fn credit(account: AccountKey, minor: i128) -> Posting {
    Posting {
        account,
        side: Side::Credit,
        amount: amount(minor),
    }
}

fn names() -> Vec<AccountName> {
    vec![
        AccountName::MerchantPayable(MerchantId::from_bits(7)),
        AccountName::MerchantPayable(MerchantId::from_bits(u128::MAX)),
        AccountName::ProviderClearing(provider("a")),
        AccountName::ProviderClearing(provider("sixteen_letters_")),
        AccountName::FeeRevenue,
        AccountName::ProcessingFees,
        AccountName::Bank,
        AccountName::Suspense,
        AccountName::Rounding,
        AccountName::PaymentRevenue,
        AccountName::RefundsPayable,
        AccountName::Chargebacks,
        AccountName::Equity,
    ]
}

#[test]
fn an_account_reads_back_from_its_written_form() {
    for name in names() {
        for currency in Currency::all() {
            for livemode in [false, true] {
                let key = AccountKey {
                    name,
                    currency,
                    livemode,
                };
                assert_eq!(AccountKey::parse(&key.to_string()), Ok(key));
            }
        }
    }
    let clearing = usd(AccountName::ProviderClearing(provider("stripe")));
    assert_eq!(clearing.to_string(), "provider_clearing:stripe:USD");
    assert_eq!(live(clearing).to_string(), "provider_clearing:stripe:USD:live");
    let named_live = usd(AccountName::ProviderClearing(provider("live")));
    assert_eq!(AccountKey::parse("provider_clearing:live:USD"), Ok(named_live));
}

#[test]
fn what_is_no_account_is_not_read() {
    for text in [
        "",
        "USD",
        ":USD",
        "bank",
        "bank:",
        "bank:US",
        "bank:usd:",
        "bank:live",
        "bank:USD:",
        "bank:USD:test",
        "bank:USD:Live",
        "bank:USD:live:",
        "bank:USD:live:live",
        "bank:live:USD",
        ":live",
        "Bank:USD",
        "bank:extra:USD",
        "savings:USD",
        "merchant_payable:USD",
        "merchant_payable::USD",
        "merchant_payable:pay_00000000000000000000000007:USD",
        "provider_clearing::USD",
        "provider_clearing:Stripe:USD",
        "provider_clearing:seventeen_letters:USD",
    ] {
        assert!(AccountKey::parse(text).is_err(), "{text}");
    }
}

#[test]
fn an_imbalance_is_refused_with_both_sums() {
    let (bank, fees) = (usd(AccountName::Bank), usd(AccountName::FeeRevenue));
    let refused = Entry::balanced("pay_1", vec![debit(bank, 10_000), credit(fees, 9_900)]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Transaction pay_1: Debits (100.00) != Credits (99.00)"
    );

    let yen = AccountKey {
        name: AccountName::Bank,
        currency: Currency::JPY,
        livemode: false,
    };
    let refused = Entry::balanced("t", vec![debit(yen, 100), debit(yen, 1)]).unwrap_err();
    assert_eq!(refused.to_string(), "Transaction t: Debits (101) != Credits (0)");
}

#[test]
fn every_currency_balances_by_itself() {
    let key = |name, currency| AccountKey {
        name,
        currency,
        livemode: false,
    };
    let (usd, eur) = (Currency::USD, Currency::EUR);
    let crossed = vec![
        debit(key(AccountName::Bank, usd), 100),
        credit(key(AccountName::Suspense, eur), 100),
    ];
    assert!(matches!(
        Entry::balanced("t", crossed),
        Err(PostingError::Imbalance { .. })
    ));
    let both = vec![
        debit(key(AccountName::Bank, usd), 100),
        credit(key(AccountName::Suspense, usd), 100),
        debit(key(AccountName::Suspense, eur), 90),
        credit(key(AccountName::Bank, eur), 90),
    ];
    assert!(Entry::balanced("t", both).is_ok());
}

#[test]
fn an_entry_that_mixes_test_and_live_money_is_refused() {
    let (bank, suspense) = (usd(AccountName::Bank), usd(AccountName::Suspense));
    for mixed in [
        vec![debit(bank, 100), credit(live(suspense), 100)],
        vec![debit(live(bank), 100), credit(suspense, 100)],
        vec![
            debit(live(bank), 100),
            credit(live(suspense), 99),
            credit(suspense, 1),
        ],
    ] {
        let refused = Entry::balanced("t", mixed);
        assert!(
            matches!(refused, Err(PostingError::Imbalance { .. })),
            "{refused:?}"
        );
    }
    let entry = Entry::balanced("t", vec![debit(live(bank), 100), credit(live(suspense), 100)]).unwrap();
    let mut lines = Books::default()
        .post("t", &entry, crate::ids::Seq(1))
        .unwrap()
        .lines()
        .to_vec();
    lines[1].posting.account = suspense;
    assert!(
        matches!(
            PostedEntry::checked("t", lines),
            Err(PostingError::Imbalance { .. })
        ),
        "nor is it read back from a record"
    );
}

#[test]
fn an_entry_has_at_least_two_postings() {
    assert_eq!(Entry::balanced("t", Vec::new()), Err(PostingError::TooFew));
    assert_eq!(
        Entry::balanced("t", vec![debit(usd(AccountName::Bank), 1)]),
        Err(PostingError::TooFew)
    );
}

#[test]
fn a_recorded_entry_is_checked_again() {
    let mut books = Books::default();
    let postings = vec![
        debit(usd(AccountName::Bank), 5),
        credit(usd(AccountName::Suspense), 5),
    ];
    let entry = Entry::balanced("t", postings).unwrap();
    let mut lines = books
        .post("t", &entry, crate::ids::Seq(1))
        .unwrap()
        .lines()
        .to_vec();
    assert!(PostedEntry::checked("t", lines.clone()).is_ok());
    lines[0].posting.amount = amount(6);
    assert!(matches!(
        PostedEntry::checked("t", lines),
        Err(PostingError::Imbalance { .. })
    ));
}

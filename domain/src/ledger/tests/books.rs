//! Running balances, holds and replays.

use super::*;
use crate::ids::Seq;
use crate::money::Balance;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Postings of one currency and mode, evened out by a last one on the suspense account.
fn balanced_postings() -> impl Strategy<Value = Vec<Posting>> {
    let currency = select(vec![Currency::USD, Currency::EUR, Currency::JPY]);
    let posting = (select(names()), any::<bool>(), 1..=1_000_000_i128);
    (currency, any::<bool>(), vec(posting, 1..6)).prop_map(|(currency, livemode, drafts)| {
        let key = |name| AccountKey {
            name,
            currency,
            livemode,
        };
        let mut postings: Vec<Posting> = Vec::new();
        let mut debits = 0;
        for (name, is_debit, minor) in drafts {
            debits += if is_debit { minor } else { -minor };
            postings.push(if is_debit {
                debit(key(name), minor)
            } else {
                credit(key(name), minor)
            });
        }
        let rest = key(AccountName::Suspense);
        if debits > 0 {
            postings.push(credit(rest, debits));
        } else if debits < 0 {
            postings.push(debit(rest, -debits));
        }
        postings
    })
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = balanced_postings()
        .prop_filter("one posting is no entry", |postings| postings.len() > 1)
        .prop_map(|postings| Entry::balanced("t", postings).unwrap());
    vec(entry, 1..20)
}

fn posted(entries: &[Entry]) -> (Books, Vec<(PostedEntry, Seq)>) {
    let mut books = Books::default();
    let mut journal = Vec::new();
    for (entry, seq) in entries.iter().zip(1..) {
        journal.push((books.post("t", entry, Seq(seq)).unwrap(), Seq(seq)));
    }
    (books, journal)
}

proptest! {
    #[test]
    fn balanced_entries_keep_the_trial_balance_even(entries in entries()) {
        let (books, _) = posted(&entries);
        for total in books.trial_balance() {
            prop_assert_eq!(total.debits_minor, total.credits_minor, "{}", total.currency.code());
        }
    }

    #[test]
    fn a_balance_is_the_sum_of_its_postings(entries in entries()) {
        let (books, _) = posted(&entries);
        for (key, state) in books.accounts() {
            let own = entries.iter().flat_map(Entry::postings).filter(|posting| posting.account == key);
            let grows = |posting: &Posting| posting.side == key.name.account_type().normal_side();
            let sum: i128 = own.map(|p| if grows(p) { p.amount.minor() } else { -p.amount.minor() }).sum();
            prop_assert_eq!(state.posted.minor(), sum);
        }
    }

    #[test]
    fn replaying_what_was_posted_gives_equal_books(entries in entries()) {
        let (books, journal) = posted(&entries);
        let mut replayed = Books::default();
        for (entry, seq) in &journal {
            replayed.replay(entry, *seq).unwrap();
        }
        prop_assert_eq!(replayed, books);
    }

    #[test]
    fn an_account_links_to_the_commit_that_last_posted_to_it(entries in entries()) {
        let (_, journal) = posted(&entries);
        for (entry, seq) in &journal {
            for line in entry.lines() {
                let touches = |entry: &PostedEntry| entry.lines().iter().any(|l| l.posting.account == line.posting.account);
                let earlier = journal.iter().filter(|(earlier, at)| at < seq && touches(earlier));
                prop_assert_eq!(line.account_prev, earlier.map(|(_, at)| *at).max().unwrap_or(Seq::ZERO));
            }
        }
    }

    #[test]
    fn a_tampered_running_balance_is_refused_and_changes_nothing(
        entries in entries(), pick in any::<prop::sample::Index>(), line in any::<prop::sample::Index>(), off in 1..100_i128
    ) {
        let (_, journal) = posted(&entries);
        let at = pick.index(journal.len());
        let mut books = Books::default();
        for (entry, seq) in &journal[..at] {
            books.replay(entry, *seq).unwrap();
        }
        let mut lines = journal[at].0.lines().to_vec();
        let line = line.index(lines.len());
        lines[line].balance_after = Balance::from_minor(lines[line].balance_after.minor() + off).unwrap();
        let account = lines[line].posting.account;
        let tampered = PostedEntry::checked("t", lines).unwrap();
        let before = books.clone();
        prop_assert_eq!(books.replay(&tampered, journal[at].1), Err(PostingError::BalanceMismatch(account)));
        prop_assert_eq!(books, before);
    }

    #[test]
    fn a_commit_replayed_twice_is_refused(entries in entries()) {
        let (mut books, journal) = posted(&entries);
        let (last, seq) = journal.last().unwrap();
        let before = books.clone();
        // Only an entry whose postings cancel out on every account says the same twice.
        let moves = last.lines().iter().any(|line| {
            let own = last.lines().iter().filter(|other| other.posting.account == line.posting.account);
            own.map(|l| if l.posting.side == Side::Debit { l.posting.amount.minor() } else { -l.posting.amount.minor() })
                .sum::<i128>() != 0
        });
        prop_assume!(moves);
        prop_assert!(matches!(books.replay(last, *seq), Err(PostingError::BalanceMismatch(_))));
        prop_assert_eq!(books, before);
    }
}

/// Books in which the payable of one merchant has no room left.
fn full_books() -> (Books, AccountKey) {
    let payable = usd(AccountName::MerchantPayable(MerchantId::from_bits(7)));
    let mut books = Books::default();
    let posted = Balance::from_minor(10_i128.pow(27)).unwrap();
    books.restore(
        payable,
        AccountState {
            posted,
            last_posted: Seq(3),
            ..AccountState::default()
        },
    );
    (books, payable)
}

#[test]
fn an_entry_that_would_overflow_changes_nothing() {
    let (mut books, payable) = full_books();
    let before = books.clone();
    let entry = Entry::balanced("t", vec![debit(usd(AccountName::Bank), 1), credit(payable, 1)]).unwrap();
    assert_eq!(books.post("t", &entry, Seq(4)), Err(PostingError::Overflow));
    assert_eq!(books, before);
    let entry = Entry::balanced("t", vec![credit(usd(AccountName::Bank), 1), debit(payable, 1)]).unwrap();
    assert!(
        books.post("t", &entry, Seq(4)).is_ok(),
        "the other way there is room"
    );
}

#[test]
fn several_postings_to_one_account_run_on_within_an_entry() {
    let mut books = Books::default();
    let bank = usd(AccountName::Bank);
    let entry = Entry::balanced(
        "t",
        vec![
            debit(bank, 7),
            credit(bank, 2),
            credit(usd(AccountName::Suspense), 5),
        ],
    );
    let posted = books.post("t", &entry.unwrap(), Seq(9)).unwrap();
    let after: Vec<i128> = posted
        .lines()
        .iter()
        .map(|line| line.balance_after.minor())
        .collect();
    assert_eq!(after, [7, 5, 5]);
    assert_eq!(
        (
            books.account(&bank).posted.minor(),
            books.account(&bank).last_posted
        ),
        (5, Seq(9))
    );
}

#[test]
fn holds_add_up_beside_the_balance_and_an_overflow_changes_nothing() {
    let (mut books, payable) = full_books();
    let change = |account, credit_delta_minor, debit_delta_minor| HoldChange {
        account,
        credit_delta_minor,
        debit_delta_minor,
    };
    books
        .hold(&[change(payable, 100, 0), change(payable, -40, 7)])
        .unwrap();
    let state = books.account(&payable);
    assert_eq!((state.pending_credit_minor, state.pending_debit_minor), (60, 7));
    assert_eq!(
        (state.posted.minor(), state.last_posted),
        (10_i128.pow(27), Seq(3))
    );

    let before = books.clone();
    let bank = usd(AccountName::Bank);
    let refused = books.hold(&[change(bank, 1, 1), change(payable, i128::MAX, 0)]);
    assert_eq!(refused, Err(PostingError::Overflow));
    assert_eq!(books, before);
}

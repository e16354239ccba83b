//! The bounds of lists, as tables.

use super::search::{Clause, Joined, Search, Test, TextTest, possible};
use super::{ListOrder, PaymentsFilter, PaymentsQuery, StatusName, dated_s};
use crate::ids::{MerchantId, PaymentId, ShardId, compose};
use crate::payment::{IntentStatus, NextAction, Status};
use crate::time::Timestamp;
use std::ops::RangeInclusive;

fn id(ms: u64) -> PaymentId {
    PaymentId::from_bits(compose(Timestamp::from_unix_ms(ms), ShardId(9), 77))
}

fn query(
    created_s: Option<RangeInclusive<u64>>,
    starting_after: Option<PaymentId>,
    ending_before: Option<PaymentId>,
) -> PaymentsQuery {
    PaymentsQuery {
        filter: PaymentsFilter {
            created_s,
            ..PaymentsFilter::default()
        },
        starting_after,
        ending_before,
        ..PaymentsQuery::newest(MerchantId::from_bits(1), true, 10)
    }
}

#[test]
fn cursors_and_times_bound_the_ids() {
    let lowest = PaymentId::from_bits(0);
    let highest = PaymentId::from_bits(u128::MAX);
    let everything = query(None, None, None).ids();
    assert_eq!((*everything.start(), *everything.end()), (lowest, highest));
    let between = query(None, Some(id(2_000)), Some(id(1_000))).ids();
    for (probe, is_within) in [
        (id(999), false),
        (id(1_000), false),
        (id(1_001), true),
        (id(1_999), true),
        (id(2_000), false),
    ] {
        assert_eq!(between.contains(&probe), is_within, "{probe}");
    }
    for (created_s, inside, outside) in [
        (
            100..=100,
            &[100_000, 100_500, 100_999][..],
            &[98_999, 102_001][..],
        ),
        (0..=0, &[0, 999], &[2_001]),
        (100..=u64::MAX, &[100_000, (1 << 48) - 1], &[98_999]),
        (u64::MAX..=u64::MAX, &[(1 << 48) - 1], &[100_000]),
    ] {
        let ids = query(Some(created_s.clone()), None, None).ids();
        for ms in inside {
            assert!(ids.contains(&id(*ms)), "{ms} in {created_s:?}");
        }
        for ms in outside {
            assert!(!ids.contains(&id(*ms)), "{ms} in {created_s:?}");
        }
    }
}

#[test]
fn contradictions_leave_no_ids() {
    let (first, last) = (200, 100);
    for query in [
        query(Some(first..=last), None, None),
        query(None, Some(PaymentId::from_bits(0)), None),
        query(None, None, Some(PaymentId::from_bits(u128::MAX))),
        query(None, Some(id(1_000)), Some(id(1_000))),
    ] {
        assert!(query.ids().is_empty(), "{query:?}");
    }
}

#[test]
fn a_list_goes_on_in_its_own_direction() {
    let newest = query(None, None, None);
    assert_eq!(newest.clone().behind(id(5)).starting_after, Some(id(5)));
    let oldest = PaymentsQuery {
        order: ListOrder::OldestFirst,
        ..newest
    };
    assert_eq!(oldest.behind(id(5)).ending_before, Some(id(5)));
}

#[test]
fn names_of_statuses_are_the_words_on_the_wire() {
    let at = Timestamp::from_unix_ms(1);
    let action = NextAction {
        redirect_url: None,
        expires_at: at,
    };
    for (status, name) in [
        (Status::RequiresPaymentMethod, StatusName::RequiresPaymentMethod),
        (Status::RequiresConfirmation, StatusName::RequiresConfirmation),
        (Status::RequiresAction(action), StatusName::RequiresAction),
        (Status::InReview { deadline: at }, StatusName::InReview),
        (Status::Processing, StatusName::Processing),
        (Status::Authorized, StatusName::Authorized),
        (Status::Succeeded, StatusName::Succeeded),
        (Status::Failed, StatusName::Failed),
        (Status::Blocked, StatusName::Blocked),
        (Status::Voided, StatusName::Voided),
    ] {
        assert_eq!(StatusName::of(&status), name);
        assert_eq!(name.as_str(), status.as_str());
        assert_eq!(StatusName::parse(status.as_str()), Some(name));
    }
    for word in ["", "Succeeded", "succeeded ", "unknown"] {
        assert_eq!(StatusName::parse(word), None, "{word}");
    }
}

#[test]
fn words_of_intents_are_read_back() {
    for status in IntentStatus::ALL {
        assert_eq!(IntentStatus::parse(status.as_str()), Some(status));
        let mut names = StatusName::ALL.into_iter();
        let any = names.any(|name| possible(name).contains(&status));
        assert!(any, "{status:?} is of some payment");
    }
    assert_eq!(IntentStatus::parse("authorized"), None);
}

#[test]
fn texts_are_compared_whole_or_in_part_in_either_case_of_ascii() {
    let (is, part) = (
        |text: &str| TextTest::Is(text.into()),
        |text: &str| TextTest::Contains(text.into()),
    );
    for (test, text, holds) in [
        (TextTest::Absent, None, true),
        (TextTest::Absent, Some(""), false),
        (is(""), None, false),
        (is(""), Some(""), true),
        (is("Order 1"), Some("order 1"), true),
        (is("order 1"), Some("order 12"), false),
        (is("STÜHLE"), Some("STüHLE"), false),
        (is("STÜHLE"), Some("stÜhle"), true),
        (part("DER"), Some("order 1"), true),
        (part("der 1"), Some("order 1"), true),
        (part("der 2"), Some("order 1"), false),
        (part("order 1 and more"), Some("order 1"), false),
        (part("ühl"), Some("Stühle"), true),
        (part("abc"), None, false),
        (part("abc"), Some(""), false),
    ] {
        assert_eq!(test.takes(text), holds, "{test:?} of {text:?}");
    }
}

#[test]
fn a_search_by_time_says_where_nothing_is() {
    let created = |is_negated, from: u64, to: u64| Clause {
        is_negated,
        test: Test::CreatedS(from..=to),
    };
    let other = Clause {
        is_negated: false,
        test: Test::AmountMinor(0..=1),
    };
    let search = |joined, clauses: &[&Clause]| Search {
        joined,
        clauses: clauses.iter().copied().cloned().collect(),
    };
    let (early, late, not) = (
        created(false, 0, 9),
        created(false, 5, u64::MAX),
        created(true, 7, 7),
    );
    let apart = created(false, 20, 30);
    for (joined, clauses, seconds) in [
        (Joined::All, &[&other][..], None),
        (Joined::All, &[&early], Some(0..=9)),
        (Joined::All, &[&early, &other, &late], Some(5..=9)),
        (Joined::All, &[&early, &not], Some(0..=9)),
        (Joined::All, &[&not], None),
        (Joined::Any, &[&early, &late], None),
    ] {
        assert_eq!(search(joined, clauses).created_s(), seconds, "{clauses:?}");
    }
    let none = search(Joined::All, &[&early, &apart]).created_s();
    assert!(none.is_some_and(|seconds| seconds.is_empty()));
}

#[test]
fn an_id_says_about_when_its_payment_was_asked_for() {
    assert_eq!(dated_s(id(10_500)), 9..=11);
    assert_eq!(dated_s(id(0)), 0..=1);
}

//! What is found by metadata and by searches: exactly what the states say, whatever the entries leave out, also when metadata changes and after
//! the entries were moved or the view was made anew.

use super::*;
use crate::views::entry::{self, Entry};
use crate::views::reader::MISSES_MAX;
use florin_domain::decline::NetworkDecline;
use florin_domain::payment::{Failure, IntentStatus, NextAction};
use florin_domain::ports::search::{Clause, Joined, Search, Test, TextTest, possible};

type Metadata = Vec<(Arc<str>, Arc<str>)>;

/// Payment `n` of merchant 7 as commit `seq` left it.
fn marked(n: u64, seq: u64, metadata: &[(&str, &str)]) -> PaymentRow {
    let row = row(n, 7, true, seq);
    let pair = |(key, value): &(&str, &str)| ((*key).into(), (*value).into());
    let spec = Spec {
        metadata: metadata.iter().map(pair).collect(),
        ..Spec::clone(&row.payment.spec)
    };
    let payment = Payment {
        spec: Arc::new(spec),
        ..Payment::clone(&row.payment)
    };
    PaymentRow {
        payment: Arc::new(payment),
        ..row
    }
}

fn with_pair(key: &str, value: &str) -> PaymentsQuery {
    PaymentsQuery {
        filter: PaymentsFilter {
            metadata: vec![(key.into(), value.into())],
            ..PaymentsFilter::default()
        },
        ..query(7, true, None, 99)
    }
}

fn searched(search: Search, limit: usize) -> PaymentsQuery {
    PaymentsQuery {
        filter: PaymentsFilter {
            search: Some(search),
            ..PaymentsFilter::default()
        },
        ..query(7, true, None, limit)
    }
}

fn one(test: Test) -> Search {
    Search {
        joined: Joined::All,
        clauses: vec![Clause {
            is_negated: false,
            test,
        }],
    }
}

#[test]
fn metadata_is_found_as_it_is_now_whether_its_entry_is_recent_or_was_moved() {
    each(|views| {
        let apply = |rows: Vec<PaymentRow>, seq| wait(views.apply(rows, Vec::new(), Seq(seq))).unwrap();
        apply(vec![marked(1, 1, &[("order", "1")])], 1);
        assert_eq!(list(views, with_pair("order", "1")), [id(1)]);
        apply(vec![marked(1, 2, &[("order", "2")])], 2);
        assert_eq!(list(views, with_pair("order", "1")), []);
        assert_eq!(list(views, with_pair("order", "2")), [id(1)]);
        // Enough for all entries to be moved into their order.
        apply((2..=20).map(|n| marked(n, 2 + n, &[])).collect(), 22);
        apply(vec![marked(1, 23, &[("order", "3"), ("gift", "yes")])], 23);
        assert_eq!(list(views, with_pair("order", "2")), []);
        for (key, value) in [("order", "3"), ("gift", "yes")] {
            assert_eq!(list(views, with_pair(key, value)), [id(1)], "{key}");
        }
        apply(vec![marked(1, 24, &[])], 24);
        assert_eq!(list(views, with_pair("order", "3")), []);
        let without = one(Test::Metadata("order".into(), TextTest::Absent));
        assert_eq!(list(views, searched(without, 99)).len(), 20);
        // What arrives late changes nothing.
        apply(vec![marked(1, 23, &[("order", "3")])], 24);
        assert_eq!(list(views, with_pair("order", "3")), []);
    });
}

#[test]
fn a_read_that_fetches_states_in_vain_ends_early_and_is_gone_on_with() {
    let dir = TempDir::new().unwrap();
    let views = open(&file(&dir));
    let note = |n: u64| if n == 1 { "a rare word" } else { "nothing" };
    let rows = (1..=40).map(|n| marked(n, n, &[("note", note(n))])).collect();
    wait(views.apply(rows, Vec::new(), Seq(40))).unwrap();
    let part = |part: &str| Test::Metadata("note".into(), TextTest::Contains(part.into()));
    let rare = searched(one(part("RARE")), 1);
    let page = wait(views.payments(rare.clone())).unwrap();
    assert!(page.rows.is_empty());
    assert_eq!(page.stopped_at, Some(id(41 - MISSES_MAX as u64)));
    assert_eq!(list(&views, rare), [id(1)]);
    // No entry has the pair, so none is fetched.
    let page = wait(views.payments(with_pair("note", "something else"))).unwrap();
    assert_eq!(page.stopped_at, Some(id(41 - ENTRIES_MAX as u64)));
}

#[test]
fn no_intent_stands_where_its_status_says_that_it_cannot() {
    let at = Timestamp::from_unix_ms(1);
    let action = NextAction {
        redirect_url: None,
        expires_at: at,
    };
    let failure = |code| Failure {
        code,
        decline_code: None,
        network: NetworkDecline::default(),
    };
    for status in [
        Status::RequiresPaymentMethod,
        Status::RequiresConfirmation,
        Status::RequiresAction(action),
        Status::InReview { deadline: at },
        Status::Processing,
        Status::Authorized,
        Status::Succeeded,
        Status::Failed,
        Status::Blocked,
        Status::Voided,
    ] {
        for failure in [
            None,
            Some(failure("declined")),
            Some(failure(Failure::ATTEMPTS_EXHAUSTED)),
        ] {
            let payment = Payment {
                status: status.clone(),
                failure,
                ..Payment::clone(&row(1, 7, true, 1).payment)
            };
            let stands = IntentStatus::of(&payment);
            assert!(
                possible(StatusName::of(&status)).contains(&stands),
                "{status:?}: {stands:?}"
            );
        }
    }
}

fn entries(path: &Path) -> BTreeMap<(MerchantId, bool, PaymentId), Entry> {
    let mut found = BTreeMap::new();
    let mut count = 0;
    entry::each(
        &Connection::open(path).unwrap(),
        |(merchant, livemode), id, entry| {
            count += 1;
            found.insert((merchant, livemode, id), entry);
        },
    )
    .unwrap();
    assert_eq!(found.len(), count, "an entry is there once");
    found
}

const KEYS: [&str; 3] = ["order", "Order", "note"];
const VALUES: [&str; 5] = ["", "1", "abcd", "ABCD", "xabcdx"];

fn metadata() -> impl Strategy<Value = Metadata> {
    let value = prop::option::of(prop::sample::select(&VALUES[..]));
    prop::collection::vec(value, KEYS.len()).prop_map(|values| {
        let pairs = KEYS.iter().zip(values);
        pairs
            .filter_map(|(key, value)| Some((Arc::from(*key), Arc::from(value?))))
            .collect()
    })
}

prop_compose! {
    /// A payment of the other tests with metadata that each commit may change, and a state that does not follow from its number.
    fn any_marked()(row in any_row(), metadata in metadata(), status in 0..4_u8) -> PaymentRow {
        let spec = Spec { metadata, ..Spec::clone(&row.payment.spec) };
        let status = match status {
            0 => Status::Authorized,
            1 => Status::Voided,
            2 => Status::Processing,
            _ => row.payment.status.clone(),
        };
        let payment = Payment { spec: Arc::new(spec), status, ..Payment::clone(&row.payment) };
        PaymentRow { payment: Arc::new(payment), ..row }
    }
}

fn text_test(values: &'static [&'static str]) -> impl Strategy<Value = TextTest> {
    let value = prop::sample::select(values);
    prop_oneof![
        1 => Just(TextTest::Absent),
        3 => value.clone().prop_map(|text| TextTest::Is(text.into())),
        2 => value.prop_map(|text| TextTest::Contains(text.into())),
    ]
}

fn test() -> impl Strategy<Value = Test> {
    let range = |max: u64| (0..max, 0..max).prop_map(|(from, to)| from..=to);
    prop_oneof![
        1 => prop::sample::select(&IntentStatus::ALL[..]).prop_map(Test::Status),
        1 => range(50).prop_map(Test::AmountMinor),
        1 => range(3).prop_map(Test::CreatedS),
        1 => prop::sample::select(&[Currency::JPY, Currency::EUR][..]).prop_map(Test::Currency),
        1 => text_test(&["cus_a", "CUS_B", "s_a"]).prop_map(Test::Customer),
        3 => (prop::sample::select(&KEYS[..]), text_test(&VALUES))
            .prop_map(|(key, test)| Test::Metadata(key.into(), test)),
    ]
}

fn search() -> impl Strategy<Value = Search> {
    let clause = (any::<bool>(), test()).prop_map(|(is_negated, test)| Clause { is_negated, test });
    let joined = prop_oneof![Just(Joined::All), Just(Joined::Any)];
    (joined, prop::collection::vec(clause, 1..4)).prop_map(|(joined, clauses)| Search { joined, clauses })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_view_finds_exactly_what_the_states_say(
        batches in prop::collection::vec(prop::collection::vec(any_marked(), 0..20), 1..5),
        searches in prop::collection::vec(search(), 8),
        wanted in metadata(),
        limit in 1..8_usize,
    ) {
        let (dir, memory) = (TempDir::new().unwrap(), MemoryViews::default());
        let mut sqlite = open(&file(&dir));
        let shared = open_shared(&taken());
        let mut newest: BTreeMap<PaymentId, PaymentRow> = BTreeMap::new();
        for (n, batch) in batches.into_iter().enumerate() {
            for row in &batch {
                let held = newest.entry(row.payment.id()).or_insert_with(|| row.clone());
                if held.seq < row.seq {
                    *held = row.clone();
                }
            }
            let up_to = Seq((n as u64 + 1) * 10);
            wait(memory.apply(batch.clone(), Vec::new(), up_to)).unwrap();
            wait(sqlite.apply(batch.clone(), Vec::new(), up_to)).unwrap();
            wait(shared.apply(batch, Vec::new(), up_to)).unwrap();
            if n % 2 == 1 {
                drop(sqlite);
                sqlite = open(&file(&dir));
            }
        }
        let by_search = searches.into_iter().map(|search| PaymentsFilter {
            created_s: search.created_s(),
            search: Some(search),
            ..PaymentsFilter::default()
        });
        let by_metadata = PaymentsFilter { metadata: wanted, ..PaymentsFilter::default() };
        for filter in by_search.chain([by_metadata]) {
            for (merchant, livemode) in [(0, true), (1, false), (2, true)] {
                let query = PaymentsQuery { filter: filter.clone(), ..query(merchant, livemode, None, limit) };
                let is_ours = |row: &&PaymentRow| {
                    let spec = &row.payment.spec;
                    (spec.merchant, spec.livemode) == (query.merchant, livemode)
                };
                let mut expected: Vec<PaymentRow> = newest
                    .values()
                    .filter(is_ours)
                    .filter(|row| filter.takes(&row.payment))
                    .cloned()
                    .collect();
                query.sort(&mut expected);
                expected.truncate(limit);
                let expected: Vec<PaymentId> = expected.iter().map(|row| row.payment.id()).collect();
                prop_assert_eq!(&list(&memory, query.clone()), &expected);
                prop_assert_eq!(&list(&sqlite, query.clone()), &expected);
                prop_assert_eq!(&list(&shared, query), &expected);
            }
        }
        // A view that is made of the states as they are now has the same entries as one that saw them change.
        drop(sqlite);
        let anew = TempDir::new().unwrap();
        let rebuilt = open(&file(&anew));
        wait(rebuilt.apply(newest.into_values().collect(), Vec::new(), Seq(99))).unwrap();
        drop(rebuilt);
        prop_assert_eq!(entries(&file(&dir)), entries(&file(&anew)));
    }
}

//! One thing after another: what is shown is what the view shows, whatever the store loses between.

use super::lossy::{Fault, Lossy};
use super::{CUSTOMERS, PAYMENTS_MADE, cached, listed, row, settle, shown};
use crate::views::MemoryViews;
use florin_domain::ids::Seq;
use florin_domain::ports::{Follower as _, PaymentRow};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug)]
enum Step {
    /// Commits of these payments, some of them old ones once more.
    Commit(Vec<(u64, u64)>),
    Look(u64),
    List(usize, usize),
    /// What is in memory runs out.
    ForgetMemory,
    Lose(usize),
    Flush,
    Evict(usize),
    FailRead,
    FailWrite(Fault),
    Arrive,
    /// Longer than the store is left alone after it failed.
    Wait,
}

fn any_step() -> impl Strategy<Value = Step> {
    let fault = prop::sample::select(&[Fault::Refused, Fault::Unanswered, Fault::Late][..]);
    prop_oneof![
        4 => prop::collection::vec((0..PAYMENTS_MADE, 0..12_u64), 1..4).prop_map(Step::Commit),
        6 => (0..PAYMENTS_MADE).prop_map(Step::Look),
        4 => (0..CUSTOMERS.len(), 1..4_usize).prop_map(|(whose, limit)| Step::List(whose, limit)),
        5 => Just(Step::ForgetMemory),
        2 => (1..4_usize).prop_map(Step::Lose),
        1 => Just(Step::Flush),
        1 => (0..40_usize).prop_map(Step::Evict),
        1 => Just(Step::FailRead),
        2 => fault.prop_map(Step::FailWrite),
        2 => Just(Step::Arrive),
        3 => Just(Step::Wait),
    ]
}

/// The first thing that is shown otherwise than by the view, if there is one.
async fn differs(store: Lossy, steps: &[Step]) -> Option<String> {
    let (plain, store) = (MemoryViews::default(), Arc::new(store));
    let (views, cache) = cached(MemoryViews::default(), Arc::clone(&store) as _);
    let mut head = 0;
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Commit(made) => {
                let (before_all, mut rows) = (head, Vec::<PaymentRow>::new());
                for (n, before) in made {
                    head += 1;
                    rows.push(row(*n, if *before == 0 { before_all.max(1) } else { head }));
                }
                plain.apply(rows.clone(), Vec::new(), Seq(head)).await.unwrap();
                views.apply(rows, Vec::new(), Seq(head)).await.unwrap();
            }
            Step::Look(n) => {
                if shown(&views, *n).await != shown(&plain, *n).await {
                    return Some(format!("payment {n} after step {at}"));
                }
            }
            Step::List(whose, limit) => {
                let customer = CUSTOMERS[*whose];
                if listed(&views, customer, *limit).await != listed(&plain, customer, *limit).await {
                    return Some(format!("the list of {customer} after step {at}"));
                }
            }
            Step::ForgetMemory => cache.forget_memory(),
            Step::Lose(writes) => store.lose(*writes),
            Step::Flush => store.flush(),
            Step::Evict(which) => store.evict(*which),
            Step::FailRead => store.fail_read(),
            Step::FailWrite(fault) => store.fail_write(*fault),
            Step::Arrive => store.arrive(),
            Step::Wait => tokio::time::sleep(Duration::from_secs(2)).await,
        }
        settle().await;
    }
    None
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_the_store_loses_the_answers_are_those_of_the_view(
        steps in prop::collection::vec(any_step(), 1..60),
    ) {
        prop_assert_eq!(run(differs(Lossy::default(), &steps)), None);
    }
}

/// Payment 1 changes, the store forgets that it did, something else is written, and memory runs out.
fn a_loss() -> Vec<Step> {
    vec![
        Step::Commit(vec![(1, 1)]),
        Step::Commit(vec![(1, 1)]),
        Step::Lose(1),
        Step::Commit(vec![(2, 1)]),
        Step::ForgetMemory,
        Step::Look(1),
        Step::List(0, 3),
    ]
}

#[test]
fn a_loss_that_could_not_be_seen_would_show_what_was() {
    assert_eq!(run(differs(Lossy::default(), &a_loss())), None);
    let differs = run(differs(Lossy::hiding(), &a_loss()));
    assert_eq!(differs.as_deref(), Some("payment 1 after step 5"));
}

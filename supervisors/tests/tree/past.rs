//! The past of payments: every state is the fold of what had happened by then, and what was once shown stays true for ever.

use crate::operations::{Ask, ask, capture, confirm, payment_of, refund};
use crate::ports::all_commits;
use crate::provider::{Script, Scripted};
use crate::world::{World, let_settle, merchant, options};
use florin_actors::payments_handle::{AsOf, Change};
use florin_domain::commit::{Body, Commit};
use florin_domain::ids::{MerchantId, PaymentId, Seq};
use florin_domain::payment::{CaptureMethod, Payment, evolve};
use florin_supervisors::platform::Platform;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The mode of every payment here.
const LIVEMODE: bool = false;

#[derive(Clone, Debug)]
struct Case {
    seed: u64,
    prepares: bool,
    payments: Vec<(Script, CaptureMethod)>,
    /// What is asked of which payment, one after the other.
    asks: Vec<(usize, Change)>,
}

fn script() -> impl Strategy<Value = Script> {
    prop_oneof![
        4 => Just(Script::Succeed),
        2 => Just(Script::DeclineFirst),
        1 => Just(Script::Decline),
        1 => Just(Script::Challenge),
        1 => (any::<bool>(), 1_u32..4).prop_map(|(charged, times)| Script::Unknown { charged, times }),
        1 => (1_u32..5).prop_map(|times| Script::NotSent { times }),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (1_i128..6_000, any::<bool>()).prop_map(|(minor, is_final)| capture(minor, is_final)),
        1 => Just(Change::Capture { amount: None, is_final: true }),
        2 => Just(Change::Void),
        3 => (1_i128..6_000).prop_map(refund),
        2 => Just(confirm()),
        1 => Just(Change::Complete { details: None }),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let method = prop_oneof![
        3 => Just(CaptureMethod::Manual),
        1 => Just(CaptureMethod::Automatic),
    ];
    let payments = prop::collection::vec((script(), method), 1..4);
    let asks = prop::collection::vec((0_usize..4, change()), 0..14);
    (any::<u64>(), any::<bool>(), payments, asks).prop_map(|(seed, prepares, payments, asks)| Case {
        seed,
        prepares,
        payments,
        asks,
    })
}

/// A payment as of a commit, with the commit that made it so.
async fn as_of(platform: &Platform, owner: MerchantId, id: PaymentId, at: u64) -> Option<(Payment, Seq)> {
    match platform
        .payments()
        .as_of((owner, LIVEMODE), id, Seq(at))
        .await
        .unwrap()
    {
        AsOf::Stood { payment, seq } => Some((payment.as_ref().clone(), seq)),
        AsOf::Missing => None,
        AsOf::Beyond => panic!("{at} is not beyond the head"),
    }
}

async fn live(platform: &Platform, id: PaymentId) -> (Payment, Seq) {
    let row = platform
        .payments()
        .get((merchant(), LIVEMODE), id)
        .await
        .unwrap()
        .unwrap();
    (row.payment.as_ref().clone(), row.seq)
}

/// Each payment's states by the commits that made them, folded event by event.
fn folded(journal: &[Arc<Commit>]) -> BTreeMap<PaymentId, BTreeMap<u64, Payment>> {
    let mut states: BTreeMap<PaymentId, BTreeMap<u64, Payment>> = BTreeMap::new();
    for commit in journal {
        let Body::Payment(body) = &commit.body else {
            continue;
        };
        let known = states.entry(body.payment).or_default();
        let before = known.last_key_value().map(|(_, payment)| payment.clone());
        let after = body.events.iter().fold(before, |payment, event| {
            Some(evolve(payment, event, commit.at).unwrap())
        });
        known.insert(commit.seq.0, after.unwrap());
    }
    states
}

async fn check(platform: &Platform, shown: &[(PaymentId, (Payment, Seq))]) {
    let ports = &platform.context().ports;
    let journal = all_commits(ports.journal.as_ref()).await;
    let head = journal.last().unwrap().seq;
    let states = folded(&journal);
    for (id, states) in &states {
        let history = platform
            .payments()
            .history(Some((merchant(), LIVEMODE)), *id)
            .await
            .unwrap()
            .unwrap();
        let commits: BTreeSet<u64> = history.commits.iter().map(|commit| commit.seq.0).collect();
        assert!(
            commits.iter().eq(states.keys()),
            "the history has every commit of {id} and no other"
        );
        for at in 0..=head.0 {
            let expected = states.range(..=at).next_back();
            let expected = expected.map(|(seq, payment)| (payment.clone(), Seq(*seq)));
            assert_eq!(
                as_of(platform, merchant(), *id, at).await,
                expected,
                "{id} at {at}"
            );
        }
        assert_eq!(
            as_of(platform, merchant(), *id, head.0).await,
            Some(live(platform, *id).await)
        );
        let stranger = MerchantId::from_bits(merchant().bits() + 1);
        assert_eq!(as_of(platform, stranger, *id, head.0).await, None);
        let beyond = platform
            .payments()
            .as_of((merchant(), LIVEMODE), *id, head.next())
            .await;
        assert!(matches!(beyond, Ok(AsOf::Beyond)), "{beyond:?}");
    }
    for (id, once) in shown {
        assert_eq!(
            as_of(platform, merchant(), *id, once.1.0).await.as_ref(),
            Some(once),
            "{id} as it was shown"
        );
    }
}

fn run(case: &Case) {
    let world = World::with(case.seed, options(), Scripted::new(case.prepares, true));
    let minor = |n: usize| 10_000 + i128::try_from(n).unwrap();
    for (n, (script, _)) in case.payments.iter().enumerate() {
        world.provider.script(minor(n), *script);
    }
    let shown = world.life(async |_, platform| {
        let payments = platform.payments();
        let (mut ids, mut shown) = (Vec::new(), Vec::new());
        for (n, (_, method)) in case.payments.iter().enumerate() {
            let made = payments.create(payment_of(n, minor(n), *method)).await;
            if let Ok(made) = made {
                ids.push(made.payment.id());
            }
        }
        for (key, (n, change)) in case.asks.iter().enumerate() {
            let Some(id) = ids.get(n % ids.len().max(1)) else {
                continue;
            };
            let asked = Ask {
                key,
                payment: *id,
                change: change.clone(),
            };
            // Refusals leave the payment as it is; what is said no to has no past either.
            drop(ask(&payments, &asked).await);
            shown.push((*id, live(&platform, *id).await));
        }
        let_settle().await;
        check(&platform, &shown).await;
        shown
    });
    // Another process, whose indexes are rebuilt from the journal, says the same.
    world.lose_indexes();
    world.life(async |_, platform| {
        let_settle().await;
        check(&platform, &shown).await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_payment_at_any_commit_is_the_fold_of_its_events_until_then(case in case()) {
        run(&case);
    }
}

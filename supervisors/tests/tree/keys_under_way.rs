//! A key belongs to its payment from the first moment, also while that payment's first commit is on its way to a slow disk and
//! nobody drives the payment any more: sent again, the key makes no second payment.

use crate::provider::Scripted;
use crate::world::{Answered, World, amount_minor, let_settle, options, patient, submit, submit_all, until};
use florin_actors::context::Step;
use florin_actors::guardian::{GuardianMail, LivePayment};
use florin_actors::options::Options;
use florin_actors::payment::{Begin, Start};
use florin_actors::payments_handle::RequestError;
use florin_domain::ids::{PaymentId, Seq};
use florin_domain::method::PaymentMethod;
use florin_domain::payment::{Answer, Payment, Spec};
use florin_supervisors::platform::Platform;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

fn one_guardian() -> World {
    let options = Options {
        guardians: 1,
        answer_budget: patient().answer_budget,
        ..options()
    };
    World::with(21, options, Scripted::new(false, true))
}

async fn live(platform: &Platform) -> Vec<LivePayment> {
    let (reply, waits) = oneshot::channel();
    let limit = usize::MAX;
    platform.context().guardians[0].step(GuardianMail::Live { limit, reply });
    waits.await.unwrap()
}

async fn kill(platform: &Platform, payment: PaymentId) -> bool {
    let (reply, waits) = oneshot::channel();
    platform.context().guardians[0].step(GuardianMail::Kill { payment, reply });
    waits.await.unwrap()
}

/// Asks for payment 0, whose first commit then waits at the disk.
async fn creation_on_its_way(
    world: &World,
    platform: &Platform,
) -> (PaymentId, Vec<(usize, JoinHandle<Answered>)>) {
    world.faults.appends.close();
    let before = world.probe.reached_so_far(Step::WriterQueued);
    let asked = submit_all(&platform.payments(), [0]);
    until("its first commit is on its way", || {
        world.probe.reached_so_far(Step::WriterQueued) > before
    })
    .await;
    let live = live(platform).await;
    assert_eq!(live.len(), 1);
    (live[0].payment, asked)
}

async fn set_aside(platform: &Platform, payment: PaymentId) {
    for _ in 0..1000 {
        if live(platform).await.iter().any(|payment| payment.quarantined) {
            return;
        }
        kill(platform, payment).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it is never set aside");
}

/// The key is sent again while the disk hangs, then the disk takes the commit, and the key is sent once more.
async fn sent_again(world: &World, platform: &Platform, payment: PaymentId) {
    let again = submit_all(&platform.payments(), [0, 0]);
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.faults.appends.open();
    for (_, again) in again {
        match again.await.unwrap() {
            Ok(shown) => assert_eq!(shown.payment.id(), payment),
            Err(RequestError::Lost) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    let_settle().await;
    let last = submit(&platform.payments(), 0).await.unwrap();
    assert_eq!((last.payment.id(), last.answer), (payment, Answer::Shown));
    assert_eq!(
        world.check_always().payments.len(),
        1,
        "one payment under the key"
    );
    assert_eq!(world.provider.charges_of_amount(amount_minor(0)), 1);
    world.check_at_rest(platform).await;
    until("no key is held", || {
        platform.context().keys_held.load(Ordering::SeqCst) == 0
    })
    .await;
}

#[test]
fn a_key_stays_with_a_payment_that_is_set_aside_while_its_creation_is_on_its_way() {
    one_guardian().life(async |world, platform| {
        let (payment, asked) = creation_on_its_way(world, &platform).await;
        set_aside(&platform, payment).await;
        for (_, first) in asked {
            assert!(matches!(first.await.unwrap(), Err(RequestError::Lost)));
        }
        sent_again(world, &platform, payment).await;
    });
}

#[test]
fn a_key_stays_with_a_payment_that_cannot_be_started_again_while_its_creation_is_on_its_way() {
    one_guardian().life(async |world, platform| {
        let (payment, asked) = creation_on_its_way(world, &platform).await;
        world.probe.arm(Step::PaymentStarting, 1);
        assert!(kill(&platform, payment).await);
        for (_, first) in asked {
            assert!(matches!(first.await.unwrap(), Err(RequestError::Lost)));
        }
        assert_eq!(world.probe.fired(), 1);
        sent_again(world, &platform, payment).await;
    });
}

/// Begins another payment under the key of `first`, as if the owner of the keys had found it free up to `missed_behind`.
fn begin_another(platform: &Platform, first: &Payment, missed_behind: Seq) {
    let spec = Spec {
        id: platform.context().new_payment_id(),
        ..Spec::clone(&first.spec)
    };
    let begin = Begin {
        spec: Arc::new(spec),
        start: Start::Charge(PaymentMethod::test("pm_card_visa").unwrap()),
        admitted_at: Instant::now(),
        missed_behind,
    };
    platform.context().guardians[0].step(GuardianMail::Start(Box::new(begin)));
}

#[test]
fn the_sequencer_takes_no_second_payment_under_a_key_whoever_begins_it() {
    one_guardian().life(async |world, platform| {
        let template = submit(&platform.payments(), 1).await.unwrap().payment;
        begin_another(&platform, &template, Seq::ZERO);
        let_settle().await;
        assert_eq!(world.truth().payments.len(), 1, "its key is in the index");

        // Another key, whose payment is on its way: the index does not have it yet.
        let mut request = Payment::clone(&template);
        let mut spec = Spec::clone(&template.spec);
        spec.key_digest = crate::world::key_digest(0);
        request.spec = Arc::new(spec);
        let free_up_to = platform.context().published();
        let (payment, asked) = creation_on_its_way(world, &platform).await;
        begin_another(&platform, &request, free_up_to);
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.faults.appends.open();
        for (_, first) in asked {
            // The owner of the keys takes no word of another payment than the key's for its answer.
            assert_eq!(first.await.unwrap().unwrap().payment.id(), payment);
        }
        let_settle().await;
        assert_eq!(world.check_always().payments.len(), 2);
        world.check_at_rest(&platform).await;

        // A key that nobody has used is taken.
        let mut spec = Spec::clone(&template.spec);
        spec.key_digest = crate::world::key_digest(7);
        request.spec = Arc::new(spec);
        begin_another(&platform, &request, platform.context().published());
        let_settle().await;
        assert_eq!(world.truth().payments.len(), 3);
    });
}

//! Tasks that actors start panic inside a port: nobody waits for their word for ever.

use crate::audit::shown;
use crate::world::{World, let_settle, live_payments, merchant, submit, submit_all, until};
use florin_actors::context::Step;
use florin_actors::kind::Kind;
use florin_domain::payment::{Answer, Status, WaitKind};
use florin_supervisors::platform::Platform;
use std::sync::atomic::Ordering;

fn restarts(platform: &Platform, kind: Kind) -> u64 {
    platform
        .context()
        .figures
        .kind(kind)
        .restarts
        .load(Ordering::SeqCst)
}

#[test]
fn an_append_that_panics_ends_the_process_and_the_next_one_has_lost_nothing() {
    let world = World::new(91);
    world.life(async |world, platform| {
        submit(&platform.payments(), 0).await.unwrap();
        world.faults.traps[0].set(1);
        let asked = submit_all(&platform.payments(), [1]);
        until("the process ends", || world.fatal.count() == 1).await;
        drop(asked);
    });
    world.life(async |world, platform| {
        for n in [0, 1] {
            assert_eq!(
                submit(&platform.payments(), n).await.unwrap().answer,
                Answer::Shown
            );
        }
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn a_view_that_panics_is_brought_up_to_date_by_the_next_projection() {
    World::new(92).life(async |world, platform| {
        world.views().traps[0].set(1);
        let made = submit(&platform.payments(), 0).await.unwrap();
        until("the projection is restarted", || {
            restarts(&platform, Kind::Projection) == 1
        })
        .await;
        // Its successor cannot read what it lacks either.
        world.faults.traps[1].set(1);
        until("it is restarted again", || {
            restarts(&platform, Kind::Projection) == 2
        })
        .await;
        let_settle().await;
        let owner = (merchant(), false);
        let row = platform.payments().get(owner, made.payment.id()).await.unwrap();
        assert_eq!(row.unwrap().payment.status, Status::Succeeded);
        assert_eq!(platform.context().lag.commits(), 0);
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn a_payment_whose_reading_panics_is_restarted_and_answers() {
    World::new(93).life(async |world, platform| {
        let first = submit(&platform.payments(), 0).await.unwrap();
        until("it has left memory", || live_payments(&platform) == 0).await;
        world.faults.traps[2].set(1);
        let again = submit(&platform.payments(), 0).await.unwrap();
        assert_eq!(shown(&again), shown(&first));
        assert_eq!(restarts(&platform, Kind::Payment), 1);
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn deadlines_are_looked_for_again_after_every_question_about_them_has_panicked() {
    World::new(94).life(async |world, platform| {
        let kinds = u64::try_from(WaitKind::ALL.len()).unwrap();
        world.views().traps[1].set(kinds);
        let before = world.probe.reached_so_far(Step::DeadlinesMet);
        until("they are met again", || {
            world.probe.reached_so_far(Step::DeadlinesMet) > before + 3 * kinds
        })
        .await;
        assert_eq!(restarts(&platform, Kind::Deadlines), 0);
    });
}

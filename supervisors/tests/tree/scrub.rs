//! The scrub meets damage, a busy store and its own end, while payments go on.

use crate::ports::lock;
use crate::provider::Scripted;
use crate::world::{World, answers, let_settle, options, submit_all, until};
use florin_actors::kind::Kind;
use florin_actors::options::Options;
use florin_actors::scrub::ScrubPlace;
use florin_domain::ids::Seq;
use florin_domain::payment::Answer;
use florin_supervisors::platform::Platform;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn world(seed: u64, scrub_commits_per_s: u64, scrub_every: Duration) -> World {
    let options = Options {
        scrub_commits_per_s,
        scrub_every,
        ..options()
    };
    World::with(seed, options, Scripted::new(false, true))
}

fn place(platform: &Platform) -> ScrubPlace {
    **platform.context().scrub_place.load()
}

async fn pay(platform: &Platform, requests: std::ops::Range<usize>) {
    for (n, answer) in answers(submit_all(&platform.payments(), requests)).await {
        assert_eq!(answer.unwrap().answer, Answer::Shown, "{n}");
    }
}

async fn another_pass(platform: &Platform) {
    // The one under way may have begun too early.
    let passes = place(platform).passes() + 2;
    until("a pass", || place(platform).passes() >= passes).await;
}

#[test]
fn damage_in_an_old_record_is_found_while_payments_go_on_and_shown_until_a_pass_finds_none() {
    world(61, 1000, Duration::from_secs(1)).life(async |world, platform| {
        pay(&platform, 0..40).await;
        another_pass(&platform).await;
        assert_eq!(place(&platform).damaged(), None);
        *lock(&world.faults.rotten) = Some(Seq(5));
        until("it is found", || place(&platform).damaged() == Some(Seq(5))).await;
        pay(&platform, 40..60).await;
        another_pass(&platform).await;
        assert_eq!(place(&platform).damaged(), Some(Seq(5)), "found again");
        *lock(&world.faults.rotten) = None;
        another_pass(&platform).await;
        assert_eq!(place(&platform).damaged(), None);
        assert_eq!(
            platform
                .context()
                .figures
                .kind(Kind::Scrub)
                .restarts
                .load(Ordering::SeqCst),
            0
        );
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn a_store_that_is_busy_is_asked_again_and_is_not_called_damaged() {
    world(62, 1000, Duration::from_secs(1)).life(async |world, platform| {
        pay(&platform, 0..40).await;
        another_pass(&platform).await;
        world.faults.busy.store(3, Ordering::SeqCst);
        until("it was busy", || world.faults.busy.load(Ordering::SeqCst) == 0).await;
        assert_eq!(place(&platform).damaged(), None);
        another_pass(&platform).await;
        assert_eq!(place(&platform).damaged(), None);
    });
}

#[test]
fn a_restarted_scrub_goes_on_where_it_was() {
    world(63, 160, Duration::from_mins(1)).life(async |world, platform| {
        pay(&platform, 0..40).await;
        let_settle().await;
        lock(&world.faults.pages_from).clear();
        until("the middle of a pass", || {
            lock(&world.faults.pages_from).len() >= 10
        })
        .await;
        let (context, passes) = (platform.context(), place(&platform).passes());
        context.scrub.actor().unwrap().kill();
        let restarts = &context.figures.kind(Kind::Scrub).restarts;
        until("it is back", || restarts.load(Ordering::SeqCst) == 1).await;
        until("the end of the pass", || place(&platform).passes() > passes).await;
        let pages = lock(&world.faults.pages_from).clone();
        assert_eq!(
            pages.iter().filter(|from| **from == Seq(1)).count(),
            1,
            "{pages:?}"
        );
        assert_eq!(pages.first(), Some(&Seq(1)), "{pages:?}");
        assert!(pages.is_sorted(), "{pages:?}");
        let last = pages.last().unwrap().next();
        assert!(last >= world.truth().head, "pages of two commits: {pages:?}");
    });
}

#[test]
fn a_rate_of_nothing_reads_nothing() {
    world(64, 0, Duration::from_secs(1)).life(async |world, platform| {
        pay(&platform, 0..10).await;
        lock(&world.faults.pages_from).clear();
        let_settle().await;
        assert_eq!(*lock(&world.faults.pages_from), []);
        assert_eq!(place(&platform), ScrubPlace::default());
    });
}

#[test]
fn a_drained_platform_scrubs_no_more() {
    world(65, 1000, Duration::from_secs(1)).life(async |world, platform| {
        pay(&platform, 0..40).await;
        another_pass(&platform).await;
        platform.drain(Duration::from_secs(8)).await;
        lock(&world.faults.pages_from).clear();
        let_settle().await;
        assert_eq!(*lock(&world.faults.pages_from), []);
    });
}

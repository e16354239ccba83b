//! What a provider's last minutes are worth: its health, its score, and what routing makes of both. Times are those of the clock that
//! the platform is given; what is asserted is what operators see in the tree, and where charges go.

use crate::provider::{Script, Scripted};
use crate::world::{Answered, World, amount_minor, answers, options, request};
use florin_actors::options::{Options, ProviderCaps, ProviderTerms};
use florin_actors::payments_handle::NewPayment;
use florin_domain::health::{Health, HealthPolicy};
use florin_domain::ports::{OpsView as _, ProviderStanding, TreeNode};
use florin_domain::provider::ProviderId;
use florin_domain::retry::RetryPolicy;
use florin_domain::routing::Wishes;
use florin_supervisors::platform::Platform;
use std::sync::Arc;
use tokio::task::JoinHandle;

const ANSWERS: Script = Script::Takes {
    ms: 200,
    is_there: true,
};
const FAILS: Script = Script::Takes {
    ms: 200,
    is_there: false,
};
/// Requests to one life, each with a number of its own.
struct Load<'a> {
    world: &'a World,
    platform: &'a Platform,
    next: usize,
}

fn named(name: &str) -> ProviderId {
    ProviderId::parse(name).unwrap()
}

/// A preferred provider and a dearer one. An attempt is one request.
fn two(seed: u64) -> World {
    let retry = RetryPolicy {
        tries_max: 1,
        ..RetryPolicy::default()
    };
    // Nobody waits for a permit: what is sent at once is under way at once.
    let caps = ProviderCaps {
        permits: 5_000,
        queue_max: 0,
    };
    let of = |cost_bps| ProviderTerms {
        caps,
        cost_bps,
        settles_within: None,
    };
    let options = Options {
        retry,
        provider_terms: of(290),
        terms_of_providers: [(named("backup"), of(900))].into(),
        health: HealthPolicy::default(),
        ..options()
    };
    let mut world = World::with(seed, options, Scripted::new(false, false));
    world.backup = Some(Arc::new(Scripted::named("backup", false, false)));
    world
}

impl<'a> Load<'a> {
    fn new(world: &'a World, platform: &'a Platform) -> Self {
        Self {
            world,
            platform,
            next: 0,
        }
    }

    /// So many charges at once, which the preferred provider treats like this. With `pinned` nobody else may have them.
    async fn send(&mut self, count: usize, script: Script, pinned: bool) -> Vec<(usize, Answered)> {
        let numbers = self.next..self.next + count;
        self.next += count;
        let one = |n| -> (usize, JoinHandle<Answered>) {
            self.world.script(n, script);
            let routing = Wishes {
                pin: pinned.then(|| named("scripted")),
                ..Wishes::default()
            };
            let payment = NewPayment {
                routing,
                customer: None,
                ..request(n)
            };
            let payments = self.platform.payments();
            (n, tokio::spawn(async move { payments.create(payment).await }))
        };
        answers(numbers.map(one).collect()).await
    }

    /// Requests to the preferred provider, wherever routing would send them.
    async fn feed(&mut self, count: usize, script: Script) {
        self.send(count, script, true).await;
    }

    /// How many of so many free charges the preferred provider gets.
    async fn keeps(&mut self, count: usize) -> usize {
        let first = self.next;
        for (n, answer) in self.send(count, Script::Succeed, false).await {
            answer.unwrap_or_else(|error| panic!("{n}: {error}"));
        }
        (first..self.next)
            .map(|n| self.world.provider.charges_of_amount(amount_minor(n)))
            .sum()
    }

    /// The preferred provider, as operators see it.
    async fn seen(&self) -> ProviderStanding {
        let tree = self.platform.ops(Box::new(String::new)).tree(0).await;
        let is_it = |node: &&TreeNode| node.kind == "provider" && node.key == "scripted";
        let node = tree.children.iter().find(is_it).expect("the provider's node");
        node.standing.clone().expect("its standing")
    }

    async fn health(&self) -> Health {
        self.seen().await.health
    }

    fn advance_s(&self, seconds: u64) {
        self.world.clock.advance_s(seconds);
    }
}

#[test]
fn rte_18_more_than_5_percent_errors_over_5_minutes_degrade_a_provider() {
    two(101).life(async |world, platform| {
        let mut load = Load::new(world, &platform);
        // What came before keeps it from being excluded, which is looked at over fifteen minutes.
        load.feed(300, ANSWERS).await;
        load.advance_s(6 * 60);
        load.feed(95, ANSWERS).await;
        load.feed(5, FAILS).await;
        assert_eq!(load.health().await, Health::Healthy, "5 % are not more than 5 %");
        assert_eq!(load.keeps(20).await, 20);
        // 7 of 122.
        load.feed(2, FAILS).await;
        assert_eq!(load.health().await, Health::Degraded);
        assert_eq!(load.keeps(20).await, 0, "healthy ones come first");
        load.advance_s(4 * 60);
        load.feed(1, ANSWERS).await;
        assert_eq!(load.health().await, Health::Degraded, "within the five minutes");
        load.advance_s(60);
        load.feed(1, ANSWERS).await;
        assert_eq!(load.health().await, Health::Healthy, "after them");
        assert_eq!(load.keeps(20).await, 20);
    });
}

#[test]
fn rte_19_more_than_10_percent_timeouts_over_5_minutes_halve_a_providers_traffic() {
    two(102).life(async |world, platform| {
        let mut load = Load::new(world, &platform);
        load.feed(1_000, ANSWERS).await;
        load.advance_s(11 * 60);
        load.feed(90, ANSWERS).await;
        load.feed(10, Script::TimesOut).await;
        assert_eq!(
            load.health().await,
            Health::Degraded,
            "10 % are not more than 10 %"
        );
        load.feed(1, Script::TimesOut).await;
        assert_eq!(load.health().await, Health::Reduced);
        let kept = load.keeps(400).await;
        assert!((160..=240).contains(&kept), "{kept} of 400 are no half");
    });
    for (passed_s, expected) in [(4 * 60 + 30, Health::Reduced), (5 * 60, Health::Healthy)] {
        two(103).life(async |world, platform| {
            let mut load = Load::new(world, &platform);
            load.feed(1_000, ANSWERS).await;
            load.advance_s(7 * 60);
            // Too few to go by, until the others come.
            load.feed(11, Script::TimesOut).await;
            load.advance_s(passed_s);
            load.feed(89, ANSWERS).await;
            assert_eq!(load.health().await, expected, "after {passed_s} s");
        });
    }
}

#[test]
fn rte_20_less_than_95_percent_success_over_15_minutes_excludes_a_provider() {
    two(105).life(async |world, platform| {
        let mut load = Load::new(world, &platform);
        load.feed(95, ANSWERS).await;
        load.feed(5, FAILS).await;
        assert_eq!(
            load.health().await,
            Health::Healthy,
            "95 % are not less than 95 %"
        );
        load.feed(1, FAILS).await;
        assert_eq!(load.health().await, Health::Excluded);
        let kept = load.keeps(400).await;
        assert!(kept <= 12, "{kept} of 400 are more than a trickle");
    });
    for (passed_s, expected) in [(14 * 60 + 30, Health::Excluded), (15 * 60, Health::Healthy)] {
        two(106).life(async |world, platform| {
            let mut load = Load::new(world, &platform);
            // Too few to go by, until the others come: 95 of 101, or of 96.
            load.feed(5, FAILS).await;
            load.advance_s(passed_s);
            load.feed(1, FAILS).await;
            load.feed(95, ANSWERS).await;
            assert_eq!(load.health().await, expected, "after {passed_s} s");
        });
    }
}

#[test]
fn rte_21_more_than_99_percent_success_over_10_minutes_restore_a_providers_traffic() {
    two(107).life(async |world, platform| {
        let mut load = Load::new(world, &platform);
        load.feed(20, FAILS).await;
        assert_eq!(load.health().await, Health::Excluded);
        load.advance_s(9 * 60);
        load.feed(1, FAILS).await;
        load.advance_s(60);
        load.feed(98, ANSWERS).await;
        assert_eq!(load.health().await, Health::Excluded);
        load.feed(1, ANSWERS).await;
        assert_eq!(
            load.health().await,
            Health::Excluded,
            "99 % are not more than 99 %"
        );
        load.feed(1, ANSWERS).await;
        assert_eq!(load.health().await, Health::Healthy);
        assert_eq!(load.keeps(20).await, 20, "it has its traffic back");
    });
    for (passed_s, expected) in [(9 * 60 + 30, Health::Excluded), (10 * 60, Health::Healthy)] {
        two(108).life(async |world, platform| {
            let mut load = Load::new(world, &platform);
            load.feed(20, FAILS).await;
            load.advance_s(60);
            load.feed(1, FAILS).await;
            load.advance_s(300);
            load.feed(1, FAILS).await;
            load.advance_s(passed_s - 300);
            // 198 of 199, or of 200 with the failure of so long ago.
            load.feed(198, ANSWERS).await;
            assert_eq!(load.health().await, expected, "after {passed_s} s");
        });
    }
}

/// The points of a provider after so many requests of 200 ms each.
async fn points(world: &World, platform: &Platform, (answered, failed): (usize, usize)) -> String {
    let mut load = Load::new(world, platform);
    load.feed(answered, ANSWERS).await;
    load.feed(failed, FAILS).await;
    load.seen().await.score.to_string()
}

#[test]
fn rte_8_the_worked_example_has_87_45_points() {
    // 98.5 % of 200, in 200 ms each, for 2.9 %: 0.5 x 98.5 + 0.3 x 80 + 0.2 x 71.
    two(109).life(async |world, platform| {
        assert_eq!(points(world, &platform, (197, 3)).await, "87.45");
    });
}

#[test]
fn rte_7_success_counts_half_speed_three_tenths_and_price_two_tenths() {
    // Success in percent, milliseconds, price in hundredths of a percent.
    let cases = [
        ((100, 0), 0, 0, "100.00"),
        ((0, 100), 0, 0, "50.00"),
        ((50, 50), 0, 0, "75.00"),
        ((100, 0), 500, 0, "85.00"),
        ((100, 0), 1_000, 0, "70.00"),
        ((100, 0), 0, 500, "90.00"),
        ((100, 0), 0, 1_000, "80.00"),
        ((80, 20), 400, 150, "75.00"),
    ];
    for ((answered, failed), ms, cost_bps, expected) in cases {
        let mut world = two(110);
        world.options.provider_terms.cost_bps = cost_bps;
        world.life(async |world, platform| {
            let mut load = Load::new(world, &platform);
            let (is_there, is_not) = (true, false);
            load.feed(answered, Script::Takes { ms, is_there }).await;
            let is_there = is_not;
            load.feed(failed, Script::Takes { ms, is_there }).await;
            assert_eq!(load.seen().await.score.to_string(), expected);
        });
    }
}

#[test]
fn rte_11_each_outcome_changes_what_is_known_of_its_provider() {
    let mut world = two(111);
    // The first one counts.
    world.options.health.calls_min = 1;
    world.life(async |world, platform| {
        let mut load = Load::new(world, &platform);
        let outcomes = [
            // 50 + 24 + 14.20; then a half, two thirds and three quarters of the 50.
            (ANSWERS, "88.20"),
            (FAILS, "63.20"),
            (ANSWERS, "71.53"),
            (ANSWERS, "75.70"),
            // A decline is an answer, and it takes no time here.
            (Script::Decline, "79.40"),
        ];
        for (script, expected) in outcomes {
            load.feed(1, script).await;
            assert_eq!(load.seen().await.score.to_string(), expected, "{script:?}");
        }
    });
}

/// Who is asked for a charge that nobody takes, in order.
async fn order(load: &mut Load<'_>) -> Vec<String> {
    let amount = amount_minor(load.next);
    for provider in load.world.backup.iter().chain(&load.world.last) {
        provider.script(amount, FAILS);
    }
    let shown = load.send(1, FAILS, false).await.remove(0).1.unwrap();
    let charge = &shown.payment.operations[0];
    let all = charge.earlier.iter().chain(&charge.attempt);
    all.map(|attempt| attempt.provider.to_string()).collect()
}

#[test]
fn rte_9_health_is_asked_before_scores_are_compared() {
    let mut world = two(112);
    world.last = Some(Arc::new(Scripted::named("last", false, false)));
    // The cheapest of the three is the best one by its score.
    let usual = world.options.provider_terms;
    let of = |cost_bps| ProviderTerms { cost_bps, ..usual };
    world.options.terms_of_providers = [
        (named("scripted"), of(0)),
        (named("backup"), of(100)),
        (named("last"), of(200)),
    ]
    .into();
    world.life(async |world, platform| {
        let mut load = Load::new(world, &platform);
        load.feed(300, ANSWERS).await;
        assert_eq!(order(&mut load).await, ["scripted", "backup", "last"]);
        load.advance_s(6 * 60);
        load.feed(94, ANSWERS).await;
        load.feed(6, FAILS).await;
        let seen = load.seen().await;
        assert_eq!(seen.health, Health::Degraded);
        let backup = platform.context().providers[1].standing.load();
        assert!(seen.score > backup.score, "it is still the better one by score");
        assert_eq!(backup.health, Health::Healthy);
        assert_eq!(order(&mut load).await, ["backup", "last", "scripted"]);
    });
}

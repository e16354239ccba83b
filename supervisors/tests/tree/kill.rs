//! Operators crash actors on purpose: whatever they name comes back, and what would end the process is refused.

use crate::audit::is_final;
use crate::ports::all_commits;
use crate::provider::Script;
use crate::webhooks;
use crate::world::{Answered, World, answers, let_settle, live_payments, submit_all, until};
use florin_actors::kind::Kind;
use florin_domain::commit::Body;
use florin_domain::ids::{ApiKeyId, PaymentId, Seq};
use florin_domain::merchant::{ControlEvent, OperatorAction};
use florin_domain::payment::Answer;
use florin_domain::ports::{KillRefusal, OpsView, TreeNode};
use florin_supervisors::ops::Ops;
use florin_supervisors::platform::Platform;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Requests in flight when an actor is killed, and as many after it has come back.
const WAVE: usize = 16;
/// A merchant's, which hears of every payment.
const SERVER: &str = "https://a.example";

fn ops(platform: &Platform) -> Ops {
    platform.ops(Box::new(String::new))
}

fn because(reason: &str) -> OperatorAction {
    OperatorAction {
        operator: ApiKeyId::from_bits(77),
        reason: Some(Arc::from(reason)),
    }
}

pub(crate) async fn kill(platform: &Platform, actor: &str) -> Result<Seq, KillRefusal> {
    ops(platform).kill(Arc::from(actor), because("a drill")).await
}

fn name(node: &TreeNode) -> String {
    format!("{}:{}", node.kind, node.key)
}

/// The first actor of every kind in the tree that comes back.
async fn one_of_each(platform: &Platform) -> BTreeMap<&'static str, String> {
    let mut targets = BTreeMap::new();
    for seat in ops(platform).tree(1).await.children {
        if seat.restart_budget_left.is_some() {
            targets.entry(seat.kind).or_insert_with(|| name(&seat));
        }
        for payment in &seat.children {
            targets.entry(payment.kind).or_insert_with(|| name(payment));
        }
    }
    targets
}

/// Kills the first payment of the tree.
pub(crate) async fn kill_payment(platform: &Platform) -> PaymentId {
    let target = one_of_each(platform)
        .await
        .remove(Kind::Payment.as_str())
        .unwrap();
    kill(platform, &target).await.unwrap();
    PaymentId::parse(target.rsplit(':').next().unwrap()).unwrap()
}

pub(crate) fn figures(platform: &Platform, kind: &str) -> (u64, i64) {
    let kinds = platform.context().figures.kinds();
    let stats = kinds.iter().find(|stats| stats.kind.as_str() == kind).unwrap();
    (
        stats.restarts.load(Ordering::SeqCst),
        stats.live.load(Ordering::SeqCst),
    )
}

/// Kills the first actor of a kind while a wave of requests is in flight; the next wave is answered as if nothing had happened.
async fn kill_under_load(
    world: &World,
    platform: &Platform,
    kind: &'static str,
    first: usize,
) -> Vec<(usize, Answered)> {
    let (struck, after) = (first..first + WAVE, first + WAVE..first + 2 * WAVE);
    for n in struck.clone().filter(|n| n % 2 == 0) {
        world.script(n, Script::Held);
    }
    world.provider.latch.close();
    let asked = submit_all(&platform.payments(), struck.clone());
    until("payments wait at the provider", || live_payments(platform) > 0).await;
    let target = one_of_each(platform).await.remove(kind).unwrap();
    let (restarts, live) = figures(platform, kind);
    kill(platform, &target).await.unwrap();
    until("it was restarted", || {
        let now = figures(platform, kind);
        now.0 == restarts + 1 && (kind == Kind::Payment.as_str() || now.1 == live)
    })
    .await;
    world.provider.latch.open();
    let struck = answers(asked).await;
    world.check_replies(&struck);
    let calm = answers(submit_all(&platform.payments(), after)).await;
    world.check_replies(&calm);
    for (n, answer) in &calm {
        let shown = answer.as_ref().is_ok_and(|shown| shown.answer == Answer::Shown);
        assert!(shown, "{target}: request {n} after the restart: {answer:?}");
    }
    assert_eq!(
        figures(platform, kind).0,
        restarts + 1,
        "{target} was restarted once"
    );
    let_settle().await;
    world.check_not_stored(&struck);
    struck.into_iter().chain(calm).collect()
}

async fn kill_orders(platform: &Platform) -> Vec<(String, OperatorAction)> {
    let commits = all_commits(platform.context().ports.journal.as_ref()).await;
    let order = |body: Body| match body {
        Body::Control(ControlEvent::ActorKillOrdered(actor, action)) => Some((actor.to_string(), action)),
        Body::Control(_) | Body::Payment(_) | Body::Ledger(_) => None,
    };
    commits
        .into_iter()
        .filter_map(|commit| order(commit.body.clone()))
        .collect()
}

#[test]
fn whatever_is_killed_under_load_comes_back_and_nothing_is_lost_or_doubled() {
    let (world, merchants) = webhooks::world(31, |_, _| Some(webhooks::answered(200)));
    let restartable = Kind::ALL.into_iter().filter(|kind| kind.is_restartable());
    let kinds: BTreeSet<&str> = restartable.map(Kind::as_str).collect();
    let before = world.life(async |world, platform| {
        let mut asked = Vec::new();
        webhooks::make(&platform.webhooks(), SERVER, "*").await;
        for kind in &kinds {
            let first = asked.len();
            asked.extend(kill_under_load(world, &platform, kind, first).await);
        }
        world.resolve_all(&platform, &asked).await;
        world.check_at_rest(&platform).await;
        let announced: u64 = world
            .truth()
            .payments
            .values()
            .map(|payment| payment.announced)
            .sum();
        let announced = usize::try_from(announced).unwrap();
        webhooks::passes(world, "everything arrives", || {
            merchants.taken(SERVER) == announced
        })
        .await;
        merchants.check_order(SERVER);
        let orders = kill_orders(&platform).await;
        let ordered = |(actor, _): &(String, OperatorAction)| actor.split(':').next().unwrap().to_owned();
        let ordered: Vec<String> = orders.iter().map(ordered).collect();
        assert!(
            ordered.iter().map(String::as_str).eq(kinds.iter().copied()),
            "{ordered:?}"
        );
        assert!(orders.iter().all(|(_, action)| *action == because("a drill")));
        world.truth().head
    });
    assert_eq!(world.fatal.count(), 0);
    world.life(async |world, platform| {
        assert_eq!(world.truth().head, before);
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn nobody_is_killed_whose_end_would_end_the_process_or_who_is_not_there() {
    let world = World::new(32);
    world.life(async |world, platform| {
        let before = world.truth().head;
        for actor in [
            "journal_writer",
            "journal_writer:0",
            "account_shard",
            "root",
            "root:florin",
        ] {
            let refused = kill(&platform, actor).await;
            assert_eq!(refused, Err(KillRefusal::NotRestartable), "{actor}");
        }
        let nobody = [
            "",
            "nobody",
            "scrub:1",
            "root:other",
            "payment",
            "payment:pay_00000000000000000000000001",
            "payment:1",
            "payment_set_aside:pay_00000000000000000000000001",
            "webhook_endpoint",
            "webhook_endpoint:0",
            "webhook_endpoint:we_00000000000000000000000001",
        ];
        for actor in nobody {
            assert_eq!(
                kill(&platform, actor).await,
                Err(KillRefusal::NoSuchActor),
                "{actor}"
            );
        }
        assert!(platform.context().guardians.len() > 1);
        let ambiguous = kill(&platform, "payment_guardian").await;
        assert_eq!(ambiguous, Err(KillRefusal::NoSuchActor));
        assert_eq!(world.truth().head, before, "nothing is ordered");
    });
    assert_eq!(world.fatal.count(), 0);
}

#[test]
fn an_actor_that_has_used_up_its_restarts_is_not_killed() {
    let world = World::new(33);
    world.life(async |world, platform| {
        let restarts_max = platform.context().options.singleton_restarts.restarts_max;
        for count in 1..=u64::from(restarts_max) {
            kill(&platform, "scrub").await.unwrap();
            until("it is back", || figures(&platform, "scrub") == (count, 1)).await;
        }
        assert_eq!(kill(&platform, "scrub").await, Err(KillRefusal::NotRestartable));
        let asked = answers(submit_all(&platform.payments(), 0..WAVE)).await;
        assert!(asked.iter().all(|(_, answer)| is_final(answer)), "{asked:?}");
        world.check_at_rest(&platform).await;
    });
    assert_eq!(world.fatal.count(), 0);
}

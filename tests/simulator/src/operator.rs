//! Owns what operators do while the platform works, and the faults that come at a time of their own: an end of the process, a stop,
//! a jump of the clock.

use crate::acquirer::Acquirer;
use crate::fault::Fault;
use crate::life::Run;
use crate::shop::{CUSTOMERS, MERCHANTS, customer_name, merchant};
use crate::stops::Stop;
use crate::tally::Death;
use crate::treasury::treasurer;
use florin_actors::directory_handle::DirectoryHandle;
use florin_actors::ledger_handle::LedgerHandle;
use florin_actors::risk_lists_handle::{NewListEntry, RiskListsHandle};
use florin_domain::ledger::EffectiveDate;
use florin_domain::merchant::{ControlEvent, OperatorAction};
use florin_domain::ports::{Clock, OpsView, Provider, TreeNode};
use florin_domain::risk::{ListName, ListOwner, Target};
use florin_supervisors::ops::Ops;
use florin_supervisors::platform::Platform;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Who may be killed; some of them may not, and say so.
const NAMES: &[&str] = &[
    "projection",
    "resolution",
    "idempotency",
    "scrub",
    "deadlines",
    "crossings",
    "monitor",
    "provider:alpha",
    "provider:beta",
    "payment_guardian:0",
    "payment_guardian:1",
    "risk:0",
    "account_shard",
    "projection:1",
    "idempotency:1",
];

fn action() -> OperatorAction {
    OperatorAction {
        operator: treasurer(),
        reason: Some(Arc::from("a drill")),
    }
}

/// Starts what interferes with this life.
pub(crate) fn interfere(run: &Arc<Run>, platform: &Platform, leave: &Arc<Notify>) {
    let world = &run.world;
    let after = |fault, most_ms| Duration::from_millis(world.chance(fault, |dice| dice.within(1, most_ms)));
    if world.hits(Fault::CrashAnywhere) {
        let (world, wait) = (Arc::clone(world), after(Fault::CrashAnywhere, 30_000));
        drop(tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            world.die(Death::Crashed);
        }));
    }
    if world.hits(Fault::Shutdown) {
        let (leave, wait) = (Arc::clone(leave), after(Fault::Shutdown, 30_000));
        drop(tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            leave.notify_one();
        }));
    }
    for (fault, sign) in [(Fault::ClockAhead, 1), (Fault::ClockBack, -1)] {
        if world.hits(fault) {
            let (world, wait) = (Arc::clone(world), after(fault, 30_000));
            let far = [2_000, 60_000, 600_000, 7_200_000];
            let near = [500, 2_000, 30_000, 300_000];
            let ms = world.chance(fault, |dice| *dice.pick(if sign > 0 { &far } else { &near }));
            drop(tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                world.clock.jump(sign * ms);
            }));
        }
    }
    let ops = Arc::new(platform.ops(Box::new(String::new)));
    if world.hits(Fault::ActorKill) {
        drop(tokio::spawn(kill(Arc::clone(run), Arc::clone(&ops))));
    }
    drop(tokio::spawn(look(Arc::clone(run), ops)));
    if world.plan.rate(Fault::ActorKill) > 0 {
        // Where operators do nothing else, nothing is stopped either: what needs no fault is seen without any.
        drop(tokio::spawn(stop_and_go(Arc::clone(run), platform.ledger())));
        let lists = DirectoryHandle::new(platform.shards().clone()).risk_lists();
        drop(tokio::spawn(govern(Arc::clone(run), platform.ledger(), lists)));
    }
}

async fn kill(run: Arc<Run>, ops: Arc<Ops>) {
    for _ in 0..3 {
        let (wait_ms, name) = run.world.chance(Fault::ActorKill, |dice| {
            (dice.within(100, 8_000), *dice.pick(NAMES))
        });
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        let killed = ops.kill(Arc::from(name), action()).await;
        run.world
            .note(format_args!("kill {name}: {:?}", killed.map(|seq| seq.0)));
    }
}

/// Looks at every mailbox now and then: none holds more than it may.
async fn look(run: Arc<Run>, ops: Arc<Ops>) {
    loop {
        tokio::time::sleep(Duration::from_millis(2_700)).await;
        let tree = ops.tree(50).await;
        run.check_bounds(&tree);
    }
}

/// Stops providers or merchants or everything for a while, and closes no door for good.
async fn stop_and_go(run: Arc<Run>, ledger: LedgerHandle) {
    loop {
        let (wait_ms, what, long_ms) = run.world.chance(Fault::ActorKill, |dice| {
            (
                dice.within(1_000, 25_000),
                dice.below(4),
                dice.within(2_000, 20_000),
            )
        });
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        let stopped = stops(&run, what);
        for (stop, _) in &stopped {
            if ledger.record_control(stop.clone()).await.is_ok()
                && let Some(what) = stop_of(stop)
            {
                run.world.stopped.stop(what, run.world.clock.now());
            }
        }
        tokio::time::sleep(Duration::from_millis(long_ms)).await;
        for (stop, go) in stopped {
            if let Some(what) = stop_of(&stop) {
                run.world.stopped.let_go(&what);
            }
            drop(ledger.record_control(go).await);
        }
    }
}

/// What a word of an operator stops, of what is looked after here.
fn stop_of(event: &ControlEvent) -> Option<Stop> {
    if let ControlEvent::ProviderDisabled(provider, _) = event {
        return Some(Stop::Provider(*provider));
    }
    if let ControlEvent::MerchantFrozen(merchant, _) = event {
        return Some(Stop::Merchant(*merchant));
    }
    None
}

fn stops(run: &Run, what: u64) -> Vec<(ControlEvent, ControlEvent)> {
    let provider = |provider: &Arc<Acquirer>| {
        let id = provider.capabilities().id;
        let stop = ControlEvent::ProviderDisabled(id, action());
        (stop, ControlEvent::ProviderEnabled(id, action()))
    };
    let frozen = |number| {
        let id = merchant(number, run.world.shards);
        let stop = ControlEvent::MerchantFrozen(id, action());
        (stop, ControlEvent::MerchantUnfrozen(id, action()))
    };
    match what {
        0 => run.providers.iter().take(1).map(provider).collect(),
        1 => run.providers.iter().map(provider).collect(),
        2 => (0..MERCHANTS).map(frozen).collect(),
        _ => vec![(
            ControlEvent::ReadOnlyEntered(action()),
            ControlEvent::ReadOnlyLeft(action()),
        )],
    }
}

/// Puts customers on lists, and closes periods.
async fn govern(run: Arc<Run>, ledger: LedgerHandle, lists: RiskListsHandle) {
    for list in [ListName::Block, ListName::Allow] {
        let customer = run.world.chance(Fault::ActorKill, |dice| dice.below(CUSTOMERS));
        let customer: Arc<str> = Arc::from(customer_name(customer));
        if list == ListName::Allow {
            let now = run.world.clock.now();
            run.world.stopped.stop(Stop::Allowed(Arc::clone(&customer)), now);
        }
        let entry = NewListEntry {
            owner: ListOwner::Platform,
            list,
            target: Target::Customer(Arc::clone(&customer)),
            reason: Arc::from("a drill"),
            expires_at: None,
            by: treasurer(),
        };
        match lists.add(entry).await {
            Ok(_) if list == ListName::Block => {
                let now = run.world.clock.now();
                run.world.stopped.stop(Stop::Blocked(customer), now);
            }
            Ok(_) => {}
            Err(error) => run.world.note(format_args!("no entry: {error}")),
        }
    }
    // Days are closed one after the other, while transfers that count on them are under way.
    for _ in 0..3 {
        let (days, wait_ms) = run.world.chance(Fault::ActorKill, |dice| {
            (dice.within(2, 40), dice.within(0, 12_000))
        });
        let today = EffectiveDate::of(run.world.clock.now()).0;
        let through = EffectiveDate(today.saturating_sub(u32::try_from(days).unwrap_or(2)));
        if let Err(error) = ledger.close_period(through, false, treasurer()).await {
            run.world.note(format_args!("no period closed: {error}"));
        }
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    }
}

/// Lets everything go on that may be stopped still.
pub(crate) async fn let_go(run: &Run, ledger: &LedgerHandle) {
    for provider in &run.providers {
        let id = provider.capabilities().id;
        run.world.stopped.let_go(&Stop::Provider(id));
        drop(
            ledger
                .record_control(ControlEvent::ProviderEnabled(id, action()))
                .await,
        );
    }
    for number in 0..MERCHANTS {
        let id = merchant(number, run.world.shards);
        run.world.stopped.let_go(&Stop::Merchant(id));
        drop(
            ledger
                .record_control(ControlEvent::MerchantUnfrozen(id, action()))
                .await,
        );
    }
    drop(ledger.record_control(ControlEvent::ReadOnlyLeft(action())).await);
}

impl Run {
    /// No mailbox holds more than it may.
    pub(crate) fn check_bounds(&self, tree: &TreeNode) {
        for what in overfull(tree, self.options.internal_capacity()) {
            self.world.breach(what);
        }
    }
}

/// Mailboxes that hold more than they may; steps of admitted work are paid for in advance, and may exceed the cap by as much.
fn overfull(node: &TreeNode, paid_for: usize) -> Vec<String> {
    let most = node.mailbox_hard_cap.max(paid_for);
    let own = (node.mailbox_hard_cap > 0 && node.mailbox_depth > most).then(|| {
        let TreeNode {
            kind,
            key,
            mailbox_depth,
            ..
        } = node;
        format!("{kind}:{key} has {mailbox_depth} messages and may have {most}")
    });
    let below = node.children.iter().flat_map(|child| overfull(child, paid_for));
    own.into_iter().chain(below).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_beyond_its_bound_is_objected_to_wherever_it_is_in_the_tree() {
        let node = |mailbox_depth, children| TreeNode {
            mailbox_depth,
            mailbox_hard_cap: 64,
            children,
            ..TreeNode::default()
        };
        assert!(overfull(&node(64, vec![node(100, Vec::new())]), 100).is_empty());
        let full = node(1, vec![node(101, vec![node(101, Vec::new())])]);
        assert_eq!(overfull(&full, 100).len(), 2);
    }
}

//! Takes up transfers between shards that nobody carries on any more.

use super::{Unanswered, ask, decide, finish};
use crate::account_shard::{CrossingMail, leads};
use crate::context::Context;
use florin_domain::ids::ShardId;
use florin_domain::ledger::{AbortReason, CrossOutcome, CrossPhase, Crossing};
use florin_domain::time::Millis;
use std::collections::BTreeMap;

/// After so long nobody carries a transfer on: a run takes a few commits.
const PATIENCE: Millis = Millis::from_s(30);

/// Taken up in one sweep.
const SWEPT_MAX: usize = 1024;

/// Takes up what nobody carries on: what this shard leads is given up unless it was decided, and brought to its end; of what it has
/// only reserved for another one, that one is asked, which gives it up before it answers unless it was decided.
pub(super) async fn take_up(context: &Context) -> Result<(), Unanswered> {
    let here = context.shard;
    let asked = |reply| CrossingMail::Left {
        patience: PATIENCE,
        limit: SWEPT_MAX,
        reply,
    };
    let left = ask(context, here, asked).await?;
    publish(context, &left);
    let mut by_shard: BTreeMap<(bool, ShardId), Vec<Crossing>> = BTreeMap::new();
    for crossing in left {
        let is_led = leads(&crossing);
        let other = if is_led {
            crossing.transfer.target()
        } else {
            crossing.transfer.debit.home()
        };
        if let Some(other) = other {
            by_shard.entry((is_led, other)).or_default().push(crossing);
        }
    }
    let mut taken_up = Ok(());
    for ((is_led, other), crossings) in by_shard {
        let between = if is_led { (here, other) } else { (other, here) };
        // One shard that does not answer leaves the others to be gone on with.
        let done = take_up_between(context, between, crossings).await;
        taken_up = taken_up.and(done);
    }
    taken_up
}

async fn take_up_between(
    context: &Context,
    (source, target): (ShardId, ShardId),
    crossings: Vec<Crossing>,
) -> Result<(), Unanswered> {
    let given_up = CrossOutcome::Aborted(AbortReason::GivenUp);
    let is_over = |crossing: &Crossing| matches!(crossing.phase, CrossPhase::Over(_));
    let (over, open): (Vec<_>, Vec<_>) = crossings.into_iter().partition(is_over);
    let open: Vec<_> = open
        .into_iter()
        .map(|crossing| (crossing.transfer, given_up))
        .collect();
    let count = open.len();
    let mut decided = decide(context, source, open).await?;
    if source != context.shard && decided.len() < count {
        // It may have been settled in this moment; if it goes on, the shards are not of one time.
        tracing::error!(
            source = source.0,
            target = target.0,
            "a shard does not know a transfer that another one reserved for it"
        );
        metrics::counter!("florin_alerts_total", "alert" => "crossing_unknown").increment(1);
    }
    decided.extend(over.into_iter().filter_map(|crossing| match crossing.phase {
        CrossPhase::Over(outcome) => Some((crossing.transfer, outcome)),
        CrossPhase::Prepared | CrossPhase::Reserved => None,
    }));
    finish(context, source, target, decided).await
}

/// How many transfers of this shard nobody carried on, for operators: some after a crash, and then none.
fn publish(context: &Context, left: &[Crossing]) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    metrics::gauge!("florin_crossings_left", "shard" => context.shard.0.to_string()).set(left.len() as f64);
}

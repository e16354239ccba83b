//! Asks the risk side for its vote on transfers between shards, before they are decided. Where nothing is limited nobody is asked.

use crate::context::Context;
use crate::risk::{RiskMail, Subject, TransferCount};
use florin_domain::ledger::{AccountName, CrossTransfer, TransferId};
use florin_domain::risk::FraudVote;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// The vote on each transfer, in the order in which they are asked about.
pub(super) async fn votes(
    context: &Context,
    asked: &[CrossTransfer],
    is_dry_run: bool,
) -> BTreeMap<TransferId, FraudVote> {
    let limits = context.options.transfer_limits;
    let counted = if limits.hour_count_max.is_some() {
        counted(context, asked, is_dry_run).await
    } else {
        BTreeMap::new()
    };
    let control = context.directory.load();
    // Those of one request come one after the other.
    let mut before: BTreeMap<Subject, u32> = counted;
    let mut votes = BTreeMap::new();
    for transfer in asked {
        let pays_stopped = match transfer.credit.name {
            AccountName::MerchantPayable(merchant) => control.stops.merchants.contains_key(&merchant),
            AccountName::ProviderClearing(_)
            | AccountName::FeeRevenue
            | AccountName::ProcessingFees
            | AccountName::Bank
            | AccountName::Suspense
            | AccountName::Rounding
            | AccountName::PaymentRevenue
            | AccountName::RefundsPayable
            | AccountName::Chargebacks
            | AccountName::Equity
            | AccountName::ShardClearing
            | AccountName::General(_) => false,
        };
        let hour_count = before
            .get_mut(&Subject::of_account(&transfer.debit))
            .map(|count| {
                *count = count.saturating_add(1);
                *count
            });
        votes.insert(transfer.id, limits.vote(pays_stopped, hour_count));
    }
    votes
}

/// How many went from each account within an hour before these; nothing for an account whose counters did not answer.
async fn counted(context: &Context, asked: &[CrossTransfer], is_dry_run: bool) -> BTreeMap<Subject, u32> {
    let mut accounts: BTreeMap<Subject, u32> = BTreeMap::new();
    for transfer in asked {
        let times = accounts.entry(Subject::of_account(&transfer.debit)).or_default();
        *times = times.saturating_add(1);
    }
    let shards = context.risk.len();
    let mut of_shard: BTreeMap<usize, Vec<TransferCount>> = BTreeMap::new();
    for (subject, times) in accounts {
        let times = if is_dry_run { 0 } else { times };
        let count = TransferCount { subject, times };
        of_shard.entry(subject.shard(shards)).or_default().push(count);
    }
    let (at, mut counted) = (context.ports.clock.now(), BTreeMap::new());
    // One after the other: an admitted operation has room for one message at a time.
    for (shard, counts) in of_shard {
        let (reply, waits) = oneshot::channel();
        let subjects: Vec<Subject> = counts.iter().map(|count| count.subject).collect();
        let Some(risk) = context.risk.get(shard) else {
            continue;
        };
        risk.step(RiskMail::CountTransfers { counts, at, reply });
        if let Ok(before) = waits.await {
            counted.extend(subjects.into_iter().zip(before));
        }
    }
    counted
}

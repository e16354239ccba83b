//! What the clearing accounts of all shards come to beyond what transfers under way explain. Shards are read one after the other while transfers go
//! on, so the same transfer may be seen with one half, with both or with none; what the shards recorded behind the reading tells which.
//!
//! This relies on the order of a transfer's steps, each of which follows from the answer to the one before: prepared, reserved, decided, applied,
//! settled. And on the order of a look: all shards are read, then all are asked for what they recorded since (the first time), then all again (the second
//! time), then all once more. So whatever led to something that was read, or was asked for, has been recorded in what is asked for next.

use super::account::AccountKey;
use super::crossing::{CrossOutcome, CrossPhase, CrossTransfer, Crossing, CrossingStep};
use super::transfer::TransferId;
use crate::ids::ShardId;
use crate::money::Currency;
use std::collections::{BTreeMap, BTreeSet};

/// What clearing accounts come to, in minor units, credits above zero, by currency and mode.
pub type Nets = BTreeMap<(Currency, bool), i128>;

/// One shard as a look found it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClearingView {
    /// Which shard.
    pub shard: ShardId,
    /// What its clearing accounts held when it was read, in minor units, credits above zero.
    pub held_minor: Vec<(AccountKey, i128)>,
    /// What was open there in the same moment.
    pub open: Vec<Crossing>,
    /// What it recorded since, in order, up to the third time that it was asked.
    pub since: Vec<CrossingStep>,
    /// How many of those it had recorded when it was asked the first and the second time.
    pub asked: [usize; 2],
}

/// A transfer, told from others that use its id.
type Named = (TransferId, AccountKey, AccountKey, i128);

fn named(transfer: &CrossTransfer) -> Named {
    let minor = transfer.amount.minor();
    (transfer.id, transfer.debit, transfer.credit, minor)
}

/// A view with what is looked for in it.
struct Read<'a> {
    view: &'a ClearingView,
    open: BTreeMap<Named, CrossPhase>,
    /// Prepared here after it was read.
    prepared: BTreeSet<Named>,
    /// Decided here after it was read, and before it was asked the first time.
    decided: BTreeSet<Named>,
    /// Applied here after it was read, and before it was asked the second time.
    applied: BTreeSet<Named>,
    /// Of which anything was recorded in that time.
    met: BTreeSet<Named>,
}

impl<'a> Read<'a> {
    fn new(view: &'a ClearingView) -> Self {
        let open = view.open.iter();
        let mut read = Self {
            view,
            open: open
                .map(|crossing| (named(&crossing.transfer), crossing.phase))
                .collect(),
            prepared: BTreeSet::new(),
            decided: BTreeSet::new(),
            applied: BTreeSet::new(),
            met: BTreeSet::new(),
        };
        let [first, second] = view.asked;
        for (place, step) in view.since.iter().enumerate() {
            let Some(transfer) = step.transfer().map(|transfer| named(&transfer)) else {
                continue;
            };
            if place < second {
                read.met.insert(transfer);
            }
            match step {
                CrossingStep::Prepared(_) => drop(read.prepared.insert(transfer)),
                CrossingStep::Decided { .. } if place < first => drop(read.decided.insert(transfer)),
                CrossingStep::Applied { .. } if place < second => drop(read.applied.insert(transfer)),
                CrossingStep::Decided { .. }
                | CrossingStep::Applied { .. }
                | CrossingStep::Reserved(_)
                | CrossingStep::Aborted { .. }
                | CrossingStep::Settled(_) => {}
            }
        }
        read
    }

    /// Transfers to this shard that may have been decided, and had not been applied here, when it was read.
    fn not_applied(&self) -> impl Iterator<Item = &Named> {
        let reserved = self.open.iter();
        let reserved = reserved.filter(|(_, phase)| **phase == CrossPhase::Reserved);
        let later = self.met.iter();
        let here = Some(self.view.shard);
        let later = later.filter(move |(_, _, credit, _)| credit.home() == here);
        reserved
            .map(|(transfer, _)| transfer)
            .chain(later.filter(|transfer| !self.open.contains_key(*transfer)))
    }

    /// Whether this shard, which leads it, had decided a transfer when it was read. One that is not open here was not begun, or it was over.
    fn had_decided(&self, transfer: &Named, is_applied_later: bool) -> bool {
        match self.open.get(transfer) {
            Some(CrossPhase::Over(CrossOutcome::Decided)) => true,
            Some(
                CrossPhase::Over(CrossOutcome::Aborted(_)) | CrossPhase::Prepared | CrossPhase::Reserved,
            ) => false,
            None => is_applied_later && !self.prepared.contains(transfer),
        }
    }

    /// Whether this shard had applied a transfer when it was read that another one decided before it was asked the first time.
    fn had_applied(&self, transfer: &Named) -> bool {
        !self.open.contains_key(transfer) && !self.met.contains(transfer)
    }
}

/// What is left of the sum over all shards when the halves of transfers under way are taken out: zero, unless money is on one side only.
pub fn unexplained(views: &[ClearingView]) -> Nets {
    let mut nets = Nets::new();
    let mut add = |key: AccountKey, minor: i128| {
        let net = nets.entry((key.currency, key.livemode)).or_default();
        *net = net.saturating_add(minor);
    };
    let reads: BTreeMap<ShardId, Read<'_>> = views.iter().map(|view| (view.shard, Read::new(view))).collect();
    let at = |account: &AccountKey| reads.get(&account.home()?);
    for read in reads.values() {
        for (key, minor) in &read.view.held_minor {
            add(*key, *minor);
        }
        // The leading half is there, the other one is not.
        for transfer in read.not_applied() {
            let (_, debit, _, minor) = transfer;
            let is_applied_later = read.applied.contains(transfer);
            if at(debit).is_some_and(|lead| lead.had_decided(transfer, is_applied_later)) {
                add(*debit, minor.saturating_neg());
            }
        }
        // Or the leading shard was read before it decided, and the other one after it applied.
        for transfer in &read.decided {
            let (_, debit, credit, minor) = transfer;
            if at(credit).is_some_and(|target| target.had_applied(transfer)) {
                add(*debit, *minor);
            }
        }
    }
    nets
}

//! Owns what a treasurer does: opens accounts, moves money between them, asks again under the same id, and looks at every answer.

use crate::clock::lock;
use crate::fault::Fault;
use crate::journaled::Mark;
use crate::life::Run;
use crate::tally::told;
use crate::treasury::{Treasury, asked};
use florin_actors::account_shard::{Opening, TransferRequest};
use florin_actors::ledger_handle::{Answer, LedgerHandle, RevertError, RevertRequest, Told};
use florin_domain::ids::ShardId;
use florin_domain::ledger::{Linkage, Revert, Transfer, TransferId, TransferLegs, TransferStep};
use florin_domain::money::Amount;
use florin_domain::ports::Clock;
use std::sync::Arc;
use std::time::Duration;

/// Times that a treasurer asks before it gives up for this life.
const PATIENCE: u32 = 12;

/// Opens the tills, or finds them open, and fills them once.
pub(crate) async fn open_tills(run: &Run, ledger: &LedgerHandle) {
    let mut tills = Vec::new();
    for open in run.treasury.openings() {
        loop {
            match ledger.open_account(open.clone()).await {
                Ok(Opening::Opened(account) | Opening::Existed(account)) => {
                    tills.extend(account.id.key());
                    break;
                }
                Ok(other) => return run.world.breach(format!("a till cannot be opened: {other:?}")),
                Err(error) => run.world.note(format_args!("no till: {error}")),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    for (number, till) in tills.iter().enumerate() {
        let request = asked(vec![Treasury::grant(number, *till)], Linkage::Independent);
        loop {
            match ledger.transfer(request.clone()).await {
                Ok(answer) => {
                    run.told(&request, &answer);
                    break;
                }
                Err(error) => {
                    run.world.note(format_args!("no grant: {error}"));
                    // Nobody watches this for hours.
                    if run.disks.repair() {
                        run.world.note(format_args!("a copy is restored"));
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    *lock(&run.treasury.tills) = tills;
}

/// Asks for transfers, or for reverts: no request has both.
pub(crate) async fn send(ledger: &LedgerHandle, request: TransferRequest) -> Result<Answer, RevertError> {
    let revert = |transfer: &Transfer| match transfer.step {
        TransferStep::Revert { reverts } => Some(Revert {
            id: transfer.id,
            reverts,
            effective: transfer.effective,
            notes: transfer.notes.clone(),
        }),
        TransferStep::Single
        | TransferStep::Pending { .. }
        | TransferStep::Post { .. }
        | TransferStep::Void { .. } => None,
    };
    let reverts: Vec<Revert> = request.transfers.iter().filter_map(revert).collect();
    if reverts.is_empty() {
        return ledger.transfer(request).await.map_err(RevertError::Ledger);
    }
    let request = RevertRequest {
        reverts,
        linkage: request.linkage,
        is_dry_run: request.is_dry_run,
        by: request.by,
        lines_max: 1_000,
    };
    ledger.revert(request).await
}

/// What a treasurer still wants is asked until it is answered.
pub(crate) async fn treasurer(run: Arc<Run>, ledger: LedgerHandle, number: usize) {
    let world = &run.world;
    loop {
        let (request, wait_ms, is_first) = {
            let mut errand = lock(&run.treasury.errands[number]);
            let tills = lock(&run.treasury.tills).clone();
            if let Some(ids) = errand.begin(&tills, world.clock.now()) {
                lock(&run.treasury.atomic).push(ids);
            }
            let Some(request) = errand.request.clone() else {
                return;
            };
            if errand.sent >= PATIENCE {
                return;
            }
            errand.sent += 1;
            (request, errand.wait_ms(6_000), std::mem::take(&mut errand.is_new))
        };
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        if is_first && world.chance(Fault::RequestLate, |dice| dice.hits(1_000)) {
            run.rehearses(&ledger, &request).await;
        }
        if world.hits(Fault::RequestLost) {
            continue;
        }
        if world.hits(Fault::RequestDuplicated) {
            let (run, ledger, request) = (Arc::clone(&run), ledger.clone(), request.clone());
            drop(tokio::spawn(async move {
                if let Ok(answer) = send(&ledger, request.clone()).await {
                    run.world.alive().await;
                    run.told(&request, &answer);
                }
            }));
        }
        let asking = send(&ledger, request.clone());
        let reply = if world.hits(Fault::ReplyLost) {
            let ms = world.chance(Fault::ReplyLost, |dice| dice.below(500));
            match tokio::time::timeout(Duration::from_millis(ms), asking).await {
                Ok(reply) => reply,
                Err(_) => continue,
            }
        } else {
            asking.await
        };
        world.alive().await;
        match reply {
            Ok(answer) => {
                run.told(&request, &answer);
                if world.chance(Fault::RequestDuplicated, |dice| dice.hits(2_000)) {
                    run.misuses_id(&ledger, &request, &answer).await;
                }
                lock(&run.treasury.errands[number]).next(&request, &answer.told);
            }
            Err(error) => world.note(format_args!("no transfer: {error}")),
        }
    }
}

impl Run {
    /// Asks what would become of a request: nothing is recorded by that.
    async fn rehearses(&self, ledger: &LedgerHandle, request: &TransferRequest) {
        let ids = || request.transfers.iter().map(|transfer| transfer.id);
        let before = ids().any(|id| self.is_recorded(id));
        let rehearsal = TransferRequest {
            is_dry_run: true,
            ..request.clone()
        };
        let said = send(ledger, rehearsal).await;
        self.world.alive().await;
        self.world.note(format_args!("rehearsed {:?}", said.is_ok()));
        if !before && ids().any(|id| self.is_recorded(id)) {
            self.world
                .breach(format!("a rehearsal of {:?} was recorded", ids().next()));
        }
    }

    /// The id of what is recorded is never taken for another amount.
    async fn misuses_id(&self, ledger: &LedgerHandle, request: &TransferRequest, answer: &Answer) {
        let is_done = |told: &Told| matches!(told, Told::Done | Told::Existed(_));
        let recorded = request
            .transfers
            .iter()
            .zip(&answer.told)
            .find_map(|(transfer, told)| {
                let TransferLegs::Pair {
                    debit,
                    credit,
                    amount,
                } = transfer.legs
                else {
                    return None;
                };
                let more = Amount::new(amount.minor() + 1).ok()?;
                is_done(told).then(|| Transfer {
                    legs: TransferLegs::Pair {
                        debit,
                        credit,
                        amount: more,
                    },
                    linked: false,
                    ..transfer.clone()
                })
            });
        let Some(other) = recorded else { return };
        let id = other.id;
        let said = send(ledger, asked(vec![other], Linkage::Independent)).await;
        self.world.alive().await;
        let Ok(said) = said else { return };
        if said.told.iter().any(is_done) {
            self.world.breach(format!("{id} was taken for another transfer"));
        } else {
            self.world.see("id used again", "refused");
        }
    }

    /// Looks at an answer: what is said to be recorded is durable.
    pub(crate) fn told(&self, request: &TransferRequest, answer: &Answer) {
        let world = &self.world;
        self.treasury.told(request, &answer.told);
        for (transfer, said) in request.transfers.iter().zip(&answer.told) {
            let name = told(said);
            world.see("transfer", name);
            world.note(format_args!("transfer {} {name}", transfer.id));
            match said {
                Told::Done | Told::Existed(_) if !self.is_recorded(transfer.id) => {
                    world.breach(format!(
                        "transfer {} is said to be recorded, and is not",
                        transfer.id
                    ));
                }
                Told::Done | Told::Existed(_) | Told::Refused(_) => {}
            }
        }
    }

    /// Whether a transfer is recorded by one shard, or decided between two.
    pub(crate) fn is_recorded(&self, id: TransferId) -> bool {
        let journaled = lock(&self.world.journaled);
        let has = |mark| {
            (0..self.world.shards).any(|shard| journaled.transfers.contains_key(&(id, ShardId(shard), mark)))
        };
        has(Mark::Recorded) || has(Mark::Decided)
    }
}

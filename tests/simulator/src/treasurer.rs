//! Owns what a treasurer does: opens accounts, moves money between them, asks again under the same id, and looks at every answer.

use crate::clock::lock;
use crate::fault::Fault;
use crate::journaled::Mark;
use crate::life::Run;
use crate::tally::told;
use crate::treasury::{Treasury, asked};
use florin_actors::account_shard::{Opening, TransferRequest};
use florin_actors::ledger_handle::{Answer, LedgerHandle, Told};
use florin_domain::ids::ShardId;
use florin_domain::ledger::{Linkage, TransferId};
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
                Err(error) => run.world.note(format_args!("no grant: {error}")),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    *lock(&run.treasury.tills) = tills;
}

/// What a treasurer still wants is asked until it is answered.
pub(crate) async fn treasurer(run: Arc<Run>, ledger: LedgerHandle, number: usize) {
    let world = &run.world;
    loop {
        let (request, wait_ms) = {
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
            (request, errand.wait_ms(6_000))
        };
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        if world.hits(Fault::RequestLost) {
            continue;
        }
        if world.hits(Fault::RequestDuplicated) {
            let (run, ledger, request) = (Arc::clone(&run), ledger.clone(), request.clone());
            drop(tokio::spawn(async move {
                if let Ok(answer) = ledger.transfer(request.clone()).await {
                    run.world.alive().await;
                    run.told(&request, &answer);
                }
            }));
        }
        let asking = ledger.transfer(request.clone());
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
                lock(&run.treasury.errands[number]).next(&request, &answer.told);
            }
            Err(error) => world.note(format_args!("no transfer: {error}")),
        }
    }
}

impl Run {
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

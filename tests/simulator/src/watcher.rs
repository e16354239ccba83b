//! Owns what an operator does who watches accounts: makes balance alerts, finds them there again, deletes some, and tries to use the
//! name of a deleted one again.

use crate::clock::lock;
use crate::dice::Dice;
use crate::life::Run;
use crate::shop::{MERCHANTS, merchant};
use crate::treasury::treasurer;
use florin_actors::account_shard::{AlertCreation, AlertPage};
use florin_actors::ledger_handle::{LedgerError, LedgerHandle};
use florin_domain::ids::ShardId;
use florin_domain::ledger::{
    AccountKey, AccountName, AlertCondition, AlertField, AlertId, AlertRefusal, AlertTerms,
};
use florin_domain::money::Currency;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Alerts of a run.
const ALERTS: u64 = 8;
/// What an operator does in one life.
const DEEDS: u64 = 12;

/// The operator's own chance; it outlives the processes.
#[derive(Debug)]
pub(crate) struct Watcher(Mutex<Dice>);

impl Watcher {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(Dice::new(seed, "watcher")))
    }
}

/// What an alert is about: the same in every life.
fn terms(run: &Run, number: u64) -> Option<(ShardId, AlertTerms)> {
    let mut dice = Dice::of(run.world.seed, "alert", number);
    let account = if dice.hits(3_000) {
        AccountKey {
            name: AccountName::MerchantPayable(merchant(dice.below(MERCHANTS), run.world.shards)),
            currency: Currency::USD,
            livemode: false,
        }
    } else {
        let tills = lock(&run.treasury.tills);
        if tills.is_empty() {
            return None;
        }
        *dice.pick(&tills)
    };
    let amount_minor = dice.below(7_000);
    let id = AlertId::random((1 << 100) | u128::from(number));
    let terms = AlertTerms {
        id,
        account,
        field: *dice.pick(&AlertField::ALL),
        condition: *dice.pick(&AlertCondition::ALL),
        // What every till has at first, and nothing, so that edges are met as well.
        amount_minor: *dice.pick(&[0, 5_000, 5_000, i128::from(amount_minor)]),
        description: None,
        metadata: Vec::new(),
    };
    Some((account.home()?, terms))
}

/// Watches for as long as the process lives.
pub(crate) async fn watch(run: Arc<Run>, ledger: LedgerHandle) {
    let draw = |most| lock(&run.watcher.0).below(most);
    for _ in 0..DEEDS {
        tokio::time::sleep(Duration::from_millis(500 + draw(9_000))).await;
        let (number, deletes) = (draw(ALERTS), draw(10) < 2);
        let Some((shard, terms)) = terms(&run, number) else {
            continue;
        };
        if deletes {
            run.deletes(&ledger, terms.id).await;
        } else {
            run.creates(&ledger, (shard, terms)).await;
        }
    }
}

impl Run {
    async fn creates(&self, ledger: &LedgerHandle, (shard, terms): (ShardId, AlertTerms)) {
        let world = &self.world;
        let id = terms.id;
        let answer = ledger.create_alert((shard, terms), treasurer()).await;
        world.alive().await;
        let (is_there, is_used) = {
            let journaled = lock(&world.journaled);
            (journaled.watched.has(id), journaled.watched.is_used(id))
        };
        let (name, is_right) = match &answer {
            Ok(AlertCreation::Created(_)) => ("created", is_there),
            Ok(AlertCreation::Existed(_)) => ("existed", is_there),
            Ok(AlertCreation::Refused(AlertRefusal::IdReused)) => ("name used", is_used && !is_there),
            Ok(AlertCreation::Refused(_)) => ("refused", !is_used),
            Err(error) => {
                world.note(format_args!("no alert: {error}"));
                return;
            }
        };
        world.see("alert", name);
        world.note(format_args!("alert {id} {name}"));
        if !is_right {
            world.breach(format!(
                "alert {id} is said to be {name} (it is there: {is_there}, it was: {is_used})"
            ));
        }
    }

    async fn deletes(&self, ledger: &LedgerHandle, id: AlertId) {
        let world = &self.world;
        let answer = ledger.delete_alert(id, treasurer()).await;
        world.alive().await;
        let is_there = lock(&world.journaled).watched.has(id);
        match answer {
            Ok(was_there) => {
                let name = if was_there { "deleted" } else { "not there" };
                world.see("alert", name);
                world.note(format_args!("alert {id} {name}"));
            }
            Err(error) => {
                world.note(format_args!("no alert deleted: {error}"));
                return;
            }
        }
        if is_there {
            world.breach(format!("alert {id} is said to be gone and is there"));
        }
    }

    /// Every alert stands as the journals say.
    pub(crate) async fn check_alerts(&self, ledger: &LedgerHandle, when: &str) {
        let page = AlertPage {
            limit: 1_000,
            ..AlertPage::default()
        };
        let mut read = ledger.alerts(page, None).await;
        for _ in 0..50 {
            // Where everything has little room, a question may have to be asked again.
            if !matches!(read, Err(LedgerError::Busy | LedgerError::Shed(_))) {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            read = ledger.alerts(page, None).await;
        }
        let wrong = match read {
            Ok(shown) => {
                let changes = shown
                    .iter()
                    .flat_map(|shown| shown.alert.history().take(shown.alert.earlier.len()));
                for edge in changes {
                    let name = if edge.is_raised { "raised" } else { "armed" };
                    self.world.see("alert", name);
                }
                lock(&self.world.journaled).watched.wrong(&shown)
            }
            Err(error) => vec![format!("alerts cannot be read: {error}")],
        };
        for what in wrong {
            self.world.breach(format!("{when}: {what}"));
        }
    }
}

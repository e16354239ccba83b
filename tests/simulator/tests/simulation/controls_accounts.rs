//! Wrong journals and snapshots about what is expected on accounts, earned, limited, watched and decided, and the checks that object.

use crate::controls::{forging_reads, forging_writes, is_caught};
use florin_domain::commit::{Body, Commit};
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ledger::{EffectiveDate, LedgerEvent};
use florin_domain::merchant::ControlEvent;
use florin_domain::money::FeeSchedule;
use florin_domain::payment::Event;
use florin_domain::ports::{ReadError, ShardSnapshot, SnapshotError, Snapshots};
use florin_simulator::Wiring;
use std::sync::Arc;

/// Changes events of payments.
fn of_events(
    change: impl Fn(&mut Event) + Send + Sync + Copy + 'static,
) -> impl Fn(&mut Commit) + Send + Sync + Copy + 'static {
    move |commit: &mut Commit| {
        if let Body::Payment(body) = &mut commit.body {
            body.events.iter_mut().for_each(change);
        }
    }
}

/// Changes events of the general ledger.
fn of_ledger(
    change: impl Fn(&mut LedgerEvent) + Send + Sync + Copy + 'static,
) -> impl Fn(&mut Commit) + Send + Sync + Copy + 'static {
    move |commit: &mut Commit| {
        if let Body::Ledger(ledger) = &mut commit.body {
            change(&mut ledger.event);
        }
    }
}

#[test]
fn holds_that_are_not_recorded_are_caught() {
    let forgets = |commit: &mut Commit| {
        if let Body::Payment(body) = &mut commit.body {
            body.holds.clear();
        }
    };
    is_caught(&forging_writes(forgets), "changes what is expected by");
}

#[test]
fn a_fee_by_another_schedule_is_caught() {
    let dearer = of_events(|event| {
        if let Event::Created { spec, .. } = event {
            Arc::make_mut(spec).fee = FeeSchedule::new(500, 30.into()).unwrap();
        }
    });
    is_caught(&forging_writes(dearer), "and books another fee");
}

#[test]
fn a_resolution_that_only_one_person_has_spoken_for_is_caught() {
    let alone = of_events(|event| {
        if let Event::ResolutionConfirmed { resolution, .. } = event {
            resolution.operator = Arc::from("first");
        }
    });
    is_caught(&forging_writes(alone), "is resolved on the word of one person");
}

#[test]
fn an_account_that_holds_more_than_it_may_is_caught() {
    let narrower = of_ledger(|event| {
        if let LedgerEvent::AccountOpened(account) = event {
            account.limits.max_minor = Some(5_500);
        }
    });
    is_caught(&forging_writes(narrower), "which is more than it may hold");
}

#[test]
fn an_account_that_falls_below_what_it_may_is_caught() {
    let narrower = of_ledger(|event| {
        if let LedgerEvent::AccountOpened(account) = event {
            account.limits.min_minor = Some(4_500);
        }
    });
    is_caught(&forging_writes(narrower), "which is less than it may hold");
}

#[test]
fn a_transfer_that_counts_on_a_closed_day_is_caught() {
    let closes_all = of_ledger(|event| {
        if let LedgerEvent::PeriodClosed { through, .. } = event {
            *through = EffectiveDate(through.0 + 1_000);
        }
    });
    is_caught(&forging_writes(closes_all), "counts on a day that is closed");
}

#[test]
fn an_alert_that_stands_otherwise_after_a_restart_is_caught() {
    let higher = of_ledger(|event| {
        if let LedgerEvent::AlertCreated(terms) = event {
            terms.amount_minor += 100_000;
        }
    });
    is_caught(&forging_reads(higher), "stands otherwise");
}

#[test]
fn a_stop_that_is_forgotten_with_the_process_is_caught() {
    let forgets = |commit: &mut Commit| {
        if let Body::Control(event) = &mut commit.body
            && let ControlEvent::MerchantFrozen(merchant, action) = event
        {
            *event = ControlEvent::MerchantUnfrozen(*merchant, action.clone());
        }
    };
    is_caught(&forging_reads(forgets), "is governed otherwise");
}

/// Hides every snapshot, and with them what they would prove.
#[derive(Debug)]
struct Hidden(Arc<dyn Snapshots>);

impl Snapshots for Hidden {
    fn save(&self, shard: ShardId, snapshot: &ShardSnapshot) -> Result<(), ReadError> {
        self.0.save(shard, snapshot)
    }

    fn kept(&self, _: ShardId) -> Result<Vec<Seq>, ReadError> {
        Ok(Vec::new())
    }

    fn load(&self, shard: ShardId, seq: Seq) -> Result<ShardSnapshot, SnapshotError> {
        self.0.load(shard, seq)
    }
}

#[test]
fn a_start_on_what_the_journal_does_not_explain_is_caught() {
    let wiring = Wiring {
        snapshots: Box::new(|inner| Arc::new(Hidden(inner))),
        ..Wiring::default()
    };
    is_caught(&wiring, "starts on what its journal does not explain");
}

#[test]
fn a_reservation_that_never_ends_is_caught() {
    let lasts = of_ledger(|event| {
        if let LedgerEvent::PendingExpired(ids) = event {
            ids.clear();
        }
    });
    is_caught(&forging_writes(lasts), "is reserved although its time is over");
}

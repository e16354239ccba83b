//! Owns the comparison of processes that start one after the other: each has the accounts of the one before, whatever it is started from.

use crate::clock::lock;
use crate::life::{Run, Wiring};
use crate::tally::Death;
use crate::verdict::Accounts;
use florin_actors::ledger_handle::{LedgerError, LedgerHandle};
use florin_domain::ids::Seq;
use florin_domain::ledger::{AccountKey, AccountState};
use std::sync::Arc;
use std::time::Duration;

/// How much of everything is asked again: all of it once, and then each half of one of the processes that follow.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Share {
    All,
    Even,
    Odd,
}

impl Share {
    pub(crate) fn of<'a, T: Clone + 'a>(self, all: impl Iterator<Item = &'a T>) -> Vec<T> {
        let is_in = |index: usize| match self {
            Self::All => true,
            Self::Even => index.is_multiple_of(2),
            Self::Odd => !index.is_multiple_of(2),
        };
        let taken = all.enumerate().filter(|(index, _)| is_in(*index));
        taken.map(|(_, one)| one.clone()).collect()
    }
}

/// All accounts, and where the journals ended when they were read.
pub(crate) struct Standing {
    heads: Vec<Seq>,
    pub(crate) accounts: Accounts,
}

impl Standing {
    /// The rows that only one of the two has.
    fn changed<'a>(&'a self, other: &'a Self) -> Vec<&'a (AccountKey, AccountState)> {
        let gone = self.accounts.iter().filter(|row| !other.accounts.contains(row));
        let new = other.accounts.iter().filter(|row| !self.accounts.contains(row));
        gone.chain(new).collect()
    }
}

impl Run {
    /// A process that starts now has the same accounts, and answers what was answered.
    pub(crate) fn starts_the_same(
        self: &Arc<Self>,
        wiring: &Wiring,
        lives: u64,
        standing: &mut Standing,
        (how, share): (&'static str, Share),
    ) -> Result<(), std::io::Error> {
        self.life(async |run| {
            let platform = match run.start(wiring, lives).await {
                Ok(platform) => platform,
                Err(error) => {
                    run.world.breach(format!("no start {how}: {error}"));
                    return Death::Refused;
                }
            };
            run.check_start(&platform);
            run.check_alerts(&platform.ledger(), how).await;
            if let Some(again) = run.standing(&platform.ledger()).await {
                run.compare(standing, again, how);
            }
            run.ask_again(&platform, share).await;
            Death::Crashed
        })?;
        Ok(())
    }

    /// What a deadline or a schedule has moved since, or while the process stopped, is no difference.
    fn compare(&self, standing: &mut Standing, again: Standing, how: &'static str) {
        let is_still = again.heads == standing.heads;
        self.world
            .see("start", if is_still { how } else { "the journal went on" });
        let others = standing.changed(&again);
        if is_still && !others.is_empty() {
            self.world
                .breach(format!("the accounts are not the same {how}: {others:?}"));
        }
        *standing = again;
    }

    pub(crate) async fn standing(&self, ledger: &LedgerHandle) -> Option<Standing> {
        for _ in 0..50 {
            let heads = lock(&self.world.journaled).heads(self.world.shards);
            match ledger.accounts().await {
                Ok(rows) => {
                    return Some(Standing {
                        heads,
                        accounts: rows.0,
                    });
                }
                // Where everything has little room, a question may have to be asked again.
                Err(LedgerError::Busy | LedgerError::Shed(_)) => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => {
                    self.world.breach(format!("the accounts cannot be read: {error}"));
                    return None;
                }
            }
        }
        self.world.breach("the accounts can never be read".to_owned());
        None
    }
}

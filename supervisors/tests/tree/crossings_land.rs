//! A land of three shards in one process: what outlives it, and accounts in each that send money to each other.

use crate::ports::{FaultyJournal, GatedViews, JournalFaults, MemorySnapshots};
use crate::world::World;
use florin_actors::account_shard::{OpenAccount, Opening, TransferRequest};
use florin_actors::context::Ports;
use florin_actors::ledger_handle::{LedgerHandle, Told};
use florin_adapters::journal::MemoryJournal;
use florin_adapters::keys::MemoryKeyIndex;
use florin_domain::ids::{ApiKeyId, ShardId};
use florin_domain::ledger::{
    AccountKey, AccountLimits, AccountName, AccountState, AccountType, Linkage, Transfer, TransferId,
    TransferLegs, TransferStep,
};
use florin_domain::money::{Amount, Currency};
use florin_supervisors::platform::{Platform, StartError};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const SHARDS: u16 = 3;
/// What each account has at first.
pub(crate) const GRANTED_MINOR: i128 = 1_000;
/// No account of the land may hold more.
pub(crate) const MOST_MINOR: i128 = 1_600;

/// What the other shards keep outside the process.
#[derive(Debug, Default)]
struct Folder {
    keys: Arc<MemoryKeyIndex>,
    views: Arc<GatedViews>,
    snapshots: Arc<MemorySnapshots>,
    faults: Arc<JournalFaults>,
}

pub(crate) struct Land {
    pub(crate) world: World,
    folders: Vec<Folder>,
}

impl Land {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            world: World::new(seed),
            folders: (1..SHARDS).map(|_| Folder::default()).collect(),
        }
    }

    /// What is wrong with a shard's journal.
    pub(crate) fn faults(&self, shard: usize) -> Arc<JournalFaults> {
        Arc::clone(match shard.checked_sub(1) {
            None => &self.world.faults,
            Some(other) => &self.folders[other].faults,
        })
    }

    /// What a crash takes when the indexes and snapshots were only in memory.
    pub(crate) fn lose_indexes(&mut self) {
        self.world.lose_indexes();
        self.world.snapshots.forget();
        for folder in &mut self.folders {
            *folder = Folder::default();
        }
    }

    async fn start(&self, shards: usize) -> Platform {
        self.try_start(shards).await.unwrap()
    }

    async fn try_start(&self, shards: usize) -> Result<Platform, StartError> {
        let home = self.world.ports();
        let folders = self.folders.iter().take(shards - 1);
        let others = (1..).zip(folders).map(|(number, folder)| {
            let inner = MemoryJournal::open(&self.world.store, ShardId(number));
            Ports {
                journal: Arc::new(FaultyJournal {
                    inner,
                    faults: Arc::clone(&folder.faults),
                }),
                transfers: Arc::clone(&folder.keys) as _,
                keys: Arc::clone(&folder.keys) as _,
                views: Arc::clone(&folder.views) as _,
                snapshots: Arc::clone(&folder.snapshots) as _,
                ..home.clone()
            }
        });
        let (others, options) = (others.collect(), self.world.options.clone());
        let started = Platform::start_shards(home.clone(), others, options, &|_, _| {});
        started.await
    }

    /// Why a platform of all shards does not start. Whatever of it did start has ended before that is said, or `self` would be in use.
    pub(crate) fn refusal(&self) -> StartError {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let refused = self.try_start(usize::from(SHARDS)).await.expect_err("it starts");
            // Tasks that only wait for somebody who has ended end by themselves.
            tokio::time::sleep(Duration::from_secs(1)).await;
            for (number, folder) in (1..).zip(&self.folders) {
                let users = Arc::strong_count(&folder.views);
                assert_eq!(users, 1, "shard {number} still runs");
            }
            refused
        })
    }

    /// One life on one thread in virtual time; it ends in a crash.
    pub(crate) fn life<T>(&self, live: impl AsyncFnOnce(&Self, Platform) -> T) -> T {
        self.life_of(usize::from(SHARDS), live)
    }

    /// The same with so many of the shards.
    pub(crate) fn life_of<T>(&self, shards: usize, live: impl AsyncFnOnce(&Self, Platform) -> T) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let whole = async { live(self, self.start(shards).await).await };
            let lived = tokio::time::timeout(Duration::from_hours(4), whole).await;
            lived.expect("the life hangs")
        })
    }

    /// Whoever was left behind is taken up.
    pub(crate) async fn settle(&self) {
        for _ in 0..4 {
            self.world.clock.advance_s(60);
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }
}

pub(crate) fn amount(minor: i128) -> Amount {
    Amount::new(minor).unwrap()
}

pub(crate) fn single(id: u128, debit: AccountKey, credit: AccountKey, minor: i128) -> Transfer {
    Transfer {
        id: TransferId(id),
        step: TransferStep::Single,
        legs: TransferLegs::Pair {
            debit,
            credit,
            amount: amount(minor),
        },
        linked: false,
        is_payout: false,
        effective: None,
        notes: None,
    }
}

pub(crate) fn asked(transfers: Vec<Transfer>) -> TransferRequest {
    TransferRequest {
        transfers,
        linkage: Linkage::Independent,
        is_dry_run: false,
        by: ApiKeyId::from_bits(1),
    }
}

pub(crate) async fn open(ledger: &LedgerHandle, shard: u16, name: &str, limits: AccountLimits) -> AccountKey {
    let open = OpenAccount {
        name: Arc::from(name),
        account_type: AccountType::Liability,
        currency: Currency::USD,
        livemode: false,
        limits,
        metadata: Vec::new(),
        shard: ShardId(shard),
        by: ApiKeyId::from_bits(1),
    };
    match ledger.open_account(open).await.unwrap() {
        Opening::Opened(account) => account.id.key().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Two accounts in each shard that cannot be overdrawn, each with [`GRANTED_MINOR`] from its shard's bank.
pub(crate) async fn settlers(ledger: &LedgerHandle) -> Vec<AccountKey> {
    let limits = AccountLimits {
        min_minor: Some(0),
        max_minor: Some(MOST_MINOR),
    };
    let mut accounts = Vec::new();
    for number in 0..SHARDS * 2 {
        let key = open(ledger, number / 2, &format!("settler:{number}"), limits).await;
        let bank = AccountKey {
            name: AccountName::Bank,
            ..key
        };
        let granted = single(u128::from(number) << 64, bank, key, GRANTED_MINOR);
        let answer = ledger.transfer(asked(vec![granted])).await.unwrap();
        assert_eq!(answer.told, [Told::Done]);
        accounts.push(key);
    }
    accounts
}

pub(crate) async fn standing(ledger: &LedgerHandle, key: AccountKey) -> AccountState {
    ledger.account(key).await.unwrap().0
}

pub(crate) async fn clearing(ledger: &LedgerHandle) -> AccountState {
    let key = AccountKey {
        name: AccountName::ShardClearing,
        currency: Currency::USD,
        livemode: false,
    };
    standing(ledger, key).await
}

/// Nothing is under way: no reservation is left, clearing comes to zero, and every shard balances by itself.
pub(crate) async fn check_at_rest(platform: &Platform, accounts: &[AccountKey]) -> Vec<i128> {
    let ledger = platform.ledger();
    assert_eq!(ledger.crossings().await.unwrap(), []);
    let between = clearing(&ledger).await;
    let left = (
        between.posted.minor(),
        between.pending_credit_minor,
        between.pending_debit_minor,
    );
    assert_eq!(left, (0, 0, 0));
    for shard in 0..SHARDS {
        let part = ledger.in_shard(ShardId(shard)).unwrap();
        for total in part.trial_balance().await.unwrap() {
            assert_eq!(total.debits_minor, total.credits_minor, "shard {shard}");
        }
    }
    let mut balances = Vec::new();
    for key in accounts {
        let state = standing(&ledger, *key).await;
        assert_eq!(
            (state.pending_credit_minor, state.pending_debit_minor),
            (0, 0),
            "{key}"
        );
        assert!(
            (0..=MOST_MINOR).contains(&state.posted.minor()),
            "{key}: {state:?}"
        );
        balances.push(state.posted.minor());
    }
    let all: i128 = balances.iter().sum();
    assert_eq!(all, GRANTED_MINOR * i128::from(SHARDS * 2), "money came or went");
    balances
}

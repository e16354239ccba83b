//! `florin bench ledger`: transfers between opened accounts. In batches through the handle, over many accounts and then onto one
//! hot account; one posting at a time; and one by one over HTTP. Every one is fsynced before it is answered.

use super::BenchArguments;
use super::http::{drive, options};
use super::instant_provider::InstantProvider;
use super::setup::{self, Folder};
use crate::node::Node;
use crate::providers::Providers;
use crate::{control, edge, node};
use anyhow::Context as _;
use florin_actors::account_shard::{OpenAccount, Opening, TransferRequest};
use florin_actors::ledger_handle::{LedgerHandle, Told};
use florin_domain::ids::{ApiKeyId, LedgerAccountId, ShardId};
use florin_domain::ledger::{
    AccountKey, AccountLimits, AccountType, Linkage, Transfer, TransferId, TransferLegs, TransferStep,
};
use florin_domain::merchant::ApiKeyRole;
use florin_domain::money::{Amount, Currency};
use florin_load::histogram::Histogram;
use florin_load::socket_load::{Bound, LoadOptions};
use florin_load::transfer_source::TransferSource;
use serde_json::json;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const ACCOUNTS: usize = 10_000;
/// As many as others put into one request.
const BATCH: u64 = 8_189;
/// Requests under way at once: while one is made durable the next are applied.
const CALLERS: usize = 6;
const CONNECTIONS: usize = 64;
/// Neighbouring transfers touch distant accounts; prime.
const ACCOUNT_STRIDE: u64 = 7_919;

/// Runs number their transfers by themselves, each under a number of its own.
const RUN_UNIFORM: u64 = 1;
const RUN_HOT: u64 = 2;
const RUN_HTTP: u64 = 3;
const RUN_ALONE: u64 = 4;

/// What a posting may take: 5 ms for the debit, 5 ms for the credit, 2 ms to verify both, and what is around them.
const POSTING_BUDGET_MS: u64 = 15;

#[expect(clippy::cast_precision_loss, reason = "measured figures")]
fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

/// What the bench prints.
#[derive(Debug)]
pub(super) struct LedgerReport {
    /// Batched, over all accounts.
    transfers_per_s: f64,
    batch_p50_us: u64,
    batch_p99_us: u64,
    cpu_us_per_transfer: f64,
    /// Batched, every transfer crediting one account.
    hot_transfers_per_s: f64,
    /// The hot rate as a part of the other.
    hot_ratio: f64,
    /// One transfer alone, from the request to the answer: its debit, its credit, the check that they balance, and the fsync.
    posting_p50_us: u64,
    posting_p99_us: u64,
    /// One transfer per HTTP request.
    unbatched_per_s: f64,
    unbatched_p50_us: u64,
    unbatched_p99_us: u64,
    unbatched_errors: u64,
}

impl LedgerReport {
    pub(super) fn write(&self, out: &mut impl Write, as_json: bool) -> anyhow::Result<()> {
        self.write_table(out)?;
        if as_json {
            writeln!(out, "{}", self.to_json())?;
        }
        Ok(())
    }

    fn to_json(&self) -> serde_json::Value {
        json!({
            "bench": "ledger",
            "accounts": ACCOUNTS,
            "transfers_per_batch": BATCH,
            "batches_under_way": CALLERS,
            "connections": CONNECTIONS,
            "transfers_per_s": self.transfers_per_s,
            "batch_p50_us": self.batch_p50_us,
            "batch_p99_us": self.batch_p99_us,
            "cpu_us_per_transfer": self.cpu_us_per_transfer,
            "hot_transfers_per_s": self.hot_transfers_per_s,
            "hot_ratio": self.hot_ratio,
            "posting_ms": {"p50": ms(self.posting_p50_us), "p99": ms(self.posting_p99_us)},
            "posting_budget_ms": POSTING_BUDGET_MS,
            "unbatched_per_s": self.unbatched_per_s,
            "unbatched_p50_us": self.unbatched_p50_us,
            "unbatched_p99_us": self.unbatched_p99_us,
            "unbatched_errors": self.unbatched_errors,
        })
    }

    fn write_table(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "bench ledger, {ACCOUNTS} accounts, {BATCH} transfers per batch, {CALLERS} batches under way"
        )?;
        writeln!(
            out,
            "batched    {:>10.0} transfers/s   batch p50 {} us, p99 {} us   {:.2} us CPU each",
            self.transfers_per_s, self.batch_p50_us, self.batch_p99_us, self.cpu_us_per_transfer
        )?;
        writeln!(
            out,
            "hot        {:>10.0} transfers/s   {:.0} % of the above",
            self.hot_transfers_per_s,
            self.hot_ratio * 100.0
        )?;
        writeln!(
            out,
            "posting    {:>10.2} ms alone, p50   p99 {:.2} ms   budget {POSTING_BUDGET_MS} ms",
            ms(self.posting_p50_us),
            ms(self.posting_p99_us)
        )?;
        writeln!(
            out,
            "unbatched  {:>10.0} transfers/s   {CONNECTIONS} HTTP connections, p50 {} us, p99 {} us, {} errors",
            self.unbatched_per_s, self.unbatched_p50_us, self.unbatched_p99_us, self.unbatched_errors
        )
    }
}

/// Which accounts a load touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pattern {
    Uniform,
    Hot,
}

#[derive(Debug)]
struct BatchLoad {
    ledger: LedgerHandle,
    accounts: Vec<AccountKey>,
    pattern: Pattern,
    run: u64,
    counter: AtomicU64,
    stop: AtomicBool,
}

impl BatchLoad {
    fn new(node: &Node, accounts: &[AccountKey], pattern: Pattern, run: u64) -> Self {
        Self {
            ledger: node.platform.ledger(),
            accounts: accounts.to_vec(),
            pattern,
            run,
            counter: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        }
    }

    /// The next so many transfers.
    fn batch(&self, size: u64) -> anyhow::Result<TransferRequest> {
        let first = self.counter.fetch_add(size, Ordering::Relaxed);
        let mut transfers = Vec::with_capacity(usize::try_from(size)?);
        let count = self.accounts.len() as u64;
        for number in first..first + size {
            let debit = 1 + (number * ACCOUNT_STRIDE) % (count - 1);
            let credit = match self.pattern {
                Pattern::Uniform => (debit + 1) % count,
                Pattern::Hot => 0,
            };
            transfers.push(Transfer {
                id: TransferId((u128::from(self.run) << 64) | u128::from(number)),
                step: TransferStep::Single,
                legs: TransferLegs::Pair {
                    debit: self.accounts[usize::try_from(debit)?],
                    credit: self.accounts[usize::try_from(credit)?],
                    amount: Amount::new(i128::from(1 + number % 10_000))?,
                },
                linked: false,
                is_payout: false,
                effective: None,
                notes: None,
            });
        }
        Ok(TransferRequest {
            transfers,
            linkage: Linkage::Independent,
            is_dry_run: false,
            by: ApiKeyId::from_bits(1),
        })
    }

    async fn caller(self: Arc<Self>, size: u64) -> anyhow::Result<Histogram> {
        let mut latencies = Histogram::new();
        while !self.stop.load(Ordering::Relaxed) {
            let batch = self.batch(size)?;
            let began = Instant::now();
            let answer = self.ledger.transfer(batch).await?;
            let all = answer.told.iter().all(|told| *told == Told::Done);
            anyhow::ensure!(all, "a transfer was refused");
            latencies.record(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
        Ok(latencies)
    }
}

struct Batched {
    latencies: Histogram,
    transfers_per_s: f64,
    cpu_us_each: f64,
}

/// Measures all three.
pub(super) async fn report(
    arguments: &BenchArguments,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
) -> anyhow::Result<LedgerReport> {
    let folder = Folder::new(&arguments.data_dir)?;
    let mut settings = setup::settings(&folder)?;
    // One operator asks for everything.
    settings.rates.requests_per_s = 0;
    let node = node::start(
        &settings,
        Providers::of(vec![Arc::new(InstantProvider::new()?)]),
        metrics,
    )
    .await?;
    let ids = open(&node).await?;
    let keys: Option<Vec<AccountKey>> = ids.iter().map(|id| id.key()).collect();
    let keys = keys.context("an account without its terms")?;
    let uniform = batched(&node, &keys, Pattern::Uniform, arguments.seconds).await?;
    let hot = batched(&node, &keys, Pattern::Hot, arguments.seconds).await?;
    let posting = alone(&node, &keys, arguments.seconds).await?;

    let platform = &node.platform;
    let secret = control::new_secret(platform, ApiKeyRole::Operator, false)?;
    control::create_key(platform, ApiKeyRole::Operator, false, &secret).await?;
    let api = edge::serve(&node, &settings, false)?;
    let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let load = LoadOptions {
        connections: CONNECTIONS,
        ..options(
            arguments,
            api.local_addr(),
            Duration::from_secs(arguments.seconds),
        )
    };
    debug_assert!(matches!(load.bound, Bound::Duration(_)));
    let source = TransferSource::new(RUN_HTTP, &secret, &names);
    let single = drive(load, source, arguments.seconds).await?;
    if single.statuses.errors() > 0 {
        tracing::warn!(statuses = ?single.statuses, "transfers were refused");
    }
    api.stop().await?;
    node.platform.drain(Duration::from_secs(5)).await;
    Ok(LedgerReport {
        transfers_per_s: uniform.transfers_per_s,
        batch_p50_us: uniform.latencies.p50_us(),
        batch_p99_us: uniform.latencies.p99_us(),
        cpu_us_per_transfer: uniform.cpu_us_each,
        hot_transfers_per_s: hot.transfers_per_s,
        hot_ratio: hot.transfers_per_s / uniform.transfers_per_s,
        posting_p50_us: posting.p50_us(),
        posting_p99_us: posting.p99_us(),
        unbatched_per_s: single.requests_per_s,
        unbatched_p50_us: single.latencies.p50_us(),
        unbatched_p99_us: single.p99_us,
        unbatched_errors: single.statuses.errors(),
    })
}

async fn open(node: &Node) -> anyhow::Result<Vec<LedgerAccountId>> {
    let ledger = node.platform.ledger();
    let mut opening = tokio::task::JoinSet::new();
    let (mut ids, mut next) = (vec![None; ACCOUNTS], 0);
    while ids.iter().any(Option::is_none) {
        while next < ACCOUNTS && opening.len() < 256 {
            let (ledger, number) = (ledger.clone(), next);
            let open = OpenAccount {
                name: format!("bench:{number}").into(),
                account_type: AccountType::Liability,
                currency: Currency::USD,
                livemode: false,
                limits: AccountLimits::default(),
                metadata: Vec::new(),
                shard: ShardId::FIRST,
                by: ApiKeyId::from_bits(1),
            };
            opening.spawn(async move { (number, ledger.open_account(open).await) });
            next += 1;
        }
        let Some(opened) = opening.join_next().await else {
            break;
        };
        let (number, opened) = opened?;
        match opened? {
            Opening::Opened(account) | Opening::Existed(account) => ids[number] = Some(account.id),
            Opening::NameTaken(_) | Opening::Full => anyhow::bail!("account {number} was not opened"),
        }
    }
    ids.into_iter()
        .collect::<Option<_>>()
        .context("an account is missing")
}

/// One transfer at a time, and nothing else under way.
async fn alone(node: &Node, accounts: &[AccountKey], seconds: u64) -> anyhow::Result<Histogram> {
    let load = Arc::new(BatchLoad::new(node, accounts, Pattern::Uniform, RUN_ALONE));
    let caller = tokio::spawn(Arc::clone(&load).caller(1));
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    load.stop.store(true, Ordering::Relaxed);
    caller.await?
}

async fn batched(
    node: &Node,
    accounts: &[AccountKey],
    pattern: Pattern,
    seconds: u64,
) -> anyhow::Result<Batched> {
    let run = match pattern {
        Pattern::Uniform => RUN_UNIFORM,
        Pattern::Hot => RUN_HOT,
    };
    let load = Arc::new(BatchLoad::new(node, accounts, pattern, run));
    let began = Instant::now();
    let cpu_before = florin_load::cpu::CpuSnapshot::take()?;
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| tokio::spawn(Arc::clone(&load).caller(BATCH)))
        .collect();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    load.stop.store(true, Ordering::Relaxed);
    let mut latencies = Histogram::new();
    for caller in callers {
        latencies.merge(&caller.await??);
    }
    let cpu_ns = florin_load::cpu::CpuSnapshot::take()?
        .since(&cpu_before)
        .total_ns();
    #[expect(clippy::cast_precision_loss, reason = "measured figures")]
    let transfers = (latencies.count() * BATCH) as f64;
    #[expect(clippy::cast_precision_loss, reason = "measured figures")]
    let cpu_us_each = cpu_ns as f64 / 1000.0 / transfers;
    Ok(Batched {
        latencies,
        transfers_per_s: transfers / began.elapsed().as_secs_f64(),
        cpu_us_each,
    })
}

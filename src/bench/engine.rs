//! `florin bench engine` and `hot-key`: payments through the handle, without HTTP and without a provider's latency. Everything
//! else is real: idempotency, risk, both commits, fsync, chain, postings, views, metrics, one actor per payment.

use super::instant_provider::InstantProvider;
use super::setup::{self, Folder};
use super::tenths::Tenths;
use super::{BenchArguments, Measured};
use crate::node::{self, Node};
use crate::ownership::Ownership;
use crate::providers::Providers;
use anyhow::Context as _;
use florin_actors::kind::Kind;
use florin_actors::payment::Start;
use florin_actors::payments_handle::{NewPayment, PaymentsHandle, RequestError};
use florin_adapters::digests;
use florin_config::Settings;
use florin_domain::idempotency::IdempotencyKey;
use florin_domain::ids::{MerchantId, ShardId, compose};
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency};
use florin_domain::payment::{Answer, CaptureMethod, DeclinePolicy, Device};
use florin_load::histogram::Histogram;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a run is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// What is told where the place of the journal cannot be used.
const NEEDS: &str = "a bench needs an empty folder, or an empty database of its own";

/// What every client shares.
#[derive(Debug)]
struct EngineLoad {
    payments: PaymentsHandle,
    merchants: Vec<MerchantId>,
    method: PaymentMethod,
    run: String,
    counter: AtomicU64,
    /// Payments to make; nothing while time decides.
    limit: Option<u64>,
    stop: AtomicBool,
    answered: AtomicU64,
    /// How many did not succeed, by why.
    failed: Mutex<BTreeMap<String, u64>>,
}

impl EngineLoad {
    fn new(
        payments: PaymentsHandle,
        merchants: Vec<MerchantId>,
        (run, limit): (&str, Option<u64>),
    ) -> anyhow::Result<Arc<Self>> {
        let method = PaymentMethod::test("pm_card_visa").ok_or_else(|| anyhow::anyhow!("no test method"))?;
        Ok(Arc::new(Self {
            payments,
            merchants,
            method,
            run: run.to_owned(),
            counter: AtomicU64::new(0),
            limit,
            stop: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            failed: Mutex::default(),
        }))
    }

    /// The next payment; none once there were as many as were asked for.
    fn next(&self) -> anyhow::Result<Option<NewPayment>> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        if self.limit.is_some_and(|limit| number >= limit) {
            return Ok(None);
        }
        let key = format!("{}-{number}", self.run);
        let turn = usize::try_from(number)? % self.merchants.len();
        let merchant = self.merchants[turn];
        // No customer buys for the same amount twice within minutes: two numbers without a common factor.
        let amount_minor = 100 + number % 49_999;
        // What the API would have hashed: a body of the usual size.
        let body = format!(
            r#"{{"amount":{},"currency":"USD","payment_method_id":"pm_card_visa","customer_id":"cus_{}"}}"#,
            amount_minor,
            number % 100_000
        );
        Ok(Some(NewPayment {
            id: None,
            merchant,
            livemode: false,
            fee: crate::control::standard_fee()?,
            key_digest: digests::key_digest(merchant, false, &key),
            key: IdempotencyKey::parse(&key)?,
            fingerprint: digests::fingerprint("POST", "/v1/payments", body.as_bytes()),
            amount: Amount::new(i128::from(amount_minor))?,
            currency: Currency::USD,
            start: Start::Charge(self.method.clone()),
            after_decline: DeclinePolicy::Fail,
            capture_method: CaptureMethod::Automatic,
            customer: Some(Arc::from(format!("cus_{}", number % 100_000))),
            description: None,
            metadata: Vec::new(),
            return_url: None,
            routing: florin_domain::routing::Wishes::default(),
            off_session: false,
            device: Device::default(),
        }))
    }

    fn count_failed(&self, why: String) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        *failed.entry(why).or_default() += 1;
    }

    async fn client(self: Arc<Self>) -> Histogram {
        let mut latencies = Histogram::new();
        while !self.stop.load(Ordering::Relaxed) {
            let Ok(Some(new)) = self.next() else { break };
            let began = Instant::now();
            match self.payments.create(new).await {
                Ok(created) if created.answer == Answer::Shown => {
                    latencies.record(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
                    self.answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok(created) => {
                    let payment = &created.payment;
                    let code = payment.failure.as_ref().map_or("", |failure| failure.code);
                    self.count_failed(format!("{} {code}", payment.status.as_str()));
                }
                Err(RequestError::Shed(shed)) => {
                    self.count_failed("shed".to_owned());
                    tokio::time::sleep(shed.retry_after()).await;
                }
                Err(error) => self.count_failed(error.to_string()),
            }
        }
        latencies
    }
}

/// Measures payments spread over `merchants` merchants.
pub(super) async fn report(
    arguments: &BenchArguments,
    merchants: usize,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
) -> anyhow::Result<florin_load::report::BenchReport> {
    let folder = Folder::new(&arguments.data_dir)?;
    let database = arguments.database.as_ref();
    let more: Vec<_> = database
        .map(|url| ("FLORIN_DATABASE_URL".to_owned(), url.clone()))
        .into_iter()
        .collect();
    let settings = setup::settings_with(&folder, &more)?;
    let node = start(&settings, metrics).await?;
    let now = node.platform.context().ports.clock.now();
    let ids = (0..merchants.max(1) as u64).map(|n| MerchantId::from_bits(compose(now, ShardId::FIRST, n)));
    let name = format!("m{merchants}");
    let limits = (name.as_str(), arguments.payments);
    let load = EngineLoad::new(node.platform.payments(), ids.collect(), limits)?;
    let bar = setup::progress_bar(arguments.seconds)?;
    let mut tenths = arguments.payments.map(Tenths::of);
    let measured = run(&load, arguments, (&node, &bar, &mut tenths)).await?;
    bar.finish_and_clear();
    let mut report = setup::report(&node, "engine", &measured).await?;
    report.memory = tenths.map(Tenths::figures);
    report.journal = database.map(|_| "PostgreSQL".to_owned());
    // Lets go of a database, too.
    node.stop(Duration::from_secs(5)).await;
    drop(folder);
    Ok(report)
}

/// A node whose journal is empty. One in a database might be somebody's, like a folder that exists.
async fn start(
    settings: &Settings,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
) -> anyhow::Result<Node> {
    let ownership = Ownership::now(settings);
    let ownership = ownership.await.context(NEEDS)?;
    if ownership.has_history() {
        if let Some(lease) = ownership.into_lease() {
            lease.release().await;
        }
        anyhow::bail!("the database has a journal: {NEEDS}");
    }
    let providers = Providers::of(vec![Arc::new(InstantProvider::new()?)]);
    let started = node::start_with(settings, providers, metrics, (ownership, std::future::pending()));
    started.await?.context("nobody stops it")
}

/// Runs `clients` closed-loop clients for the given time, or until the payments are made.
async fn run(
    load: &Arc<EngineLoad>,
    arguments: &BenchArguments,
    (node, progress, tenths): (&Node, &indicatif::ProgressBar, &mut Option<Tenths>),
) -> anyhow::Result<Measured> {
    let began = Instant::now();
    let cpu_before = florin_load::cpu::CpuSnapshot::take()?;
    let clients: Vec<_> = (0..arguments.clients)
        .map(|_| tokio::spawn(Arc::clone(load).client()))
        .collect();
    let total = Duration::from_secs(arguments.seconds);
    if let Some(payments) = arguments.payments {
        progress.set_length(payments);
    }
    loop {
        tokio::time::sleep(LOOK).await;
        let answered = load.answered.load(Ordering::Relaxed);
        match tenths {
            None if began.elapsed() >= total => break,
            None => progress.set_position(began.elapsed().as_millis().try_into().unwrap_or(u64::MAX)),
            Some(tenths) => {
                let live = node
                    .platform
                    .context()
                    .figures
                    .kind(Kind::Payment)
                    .live
                    .load(Ordering::Relaxed);
                tenths.look(answered, u64::try_from(live).unwrap_or(0))?;
                progress.set_position(answered);
                if clients.iter().all(tokio::task::JoinHandle::is_finished) {
                    break;
                }
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "shown only")]
        let rate = answered as f64 / began.elapsed().as_secs_f64();
        progress.set_message(format!("{rate:.0} payments/s"));
    }
    load.stop.store(true, Ordering::Relaxed);
    let mut latencies = Histogram::new();
    for client in clients {
        latencies.merge(&client.await?);
    }
    let elapsed = began.elapsed();
    let cpu_ns = florin_load::cpu::CpuSnapshot::take()?
        .since(&cpu_before)
        .total_ns();
    let failed = load.failed.lock().unwrap_or_else(PoisonError::into_inner);
    for (why, count) in &*failed {
        tracing::warn!(why, count, "payments did not succeed");
    }
    Ok(Measured {
        latencies,
        elapsed,
        cpu_ns,
        failed: failed.values().sum(),
    })
}

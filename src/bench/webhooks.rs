//! `florin bench webhooks`: how many deliveries to merchants' servers are signed and sent in a second, to a receiver in this process that
//! reads each whole. Beside it, in the same run: the same bytes over bare sockets, a connection for each as well.

use super::BenchArguments;
use anyhow::{Context as _, ensure};
use florin_adapters::webhooks::{ClientSettings, TwoSchemes, VettedClient};
use florin_domain::ids::{EventId, MerchantId};
use florin_domain::ports::{Delivery, DeliveryEnd, WebhookClient, WebhookSigner};
use florin_domain::time::Timestamp;
use florin_domain::vault::Owner;
use florin_domain::webhook::SigningSecret;
use florin_load::cpu::CpuSnapshot;
use florin_load::histogram::Histogram;
use serde::Serialize;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Deliveries under way: as many as a node has to so many merchants.
const UNDER_WAY: u128 = 64;
/// Merchants that they are spread over.
const OWNERS: u128 = 8;
/// The load before it counts.
const WARM_UP: Duration = Duration::from_millis(500);
/// As long as an event of a payment usually is.
const BODY_BYTES: usize = 1400;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What was measured.
#[derive(Debug, Serialize)]
struct WebhooksReport {
    bench: &'static str,
    deliveries: u64,
    deliveries_per_s: f64,
    p50_us: u64,
    p99_us: u64,
    p999_us: u64,
    /// Of this process, so the receiver's as well.
    cpu_us_per_delivery: f64,
    /// Signing alone, on one core.
    sign_us: f64,
    bare_per_s: f64,
    /// Deliveries in bare exchanges of the same bytes.
    bare_ratio: f64,
}

/// One kind of load.
struct Load {
    latencies: Histogram,
    per_s: f64,
    cpu_us_each: f64,
}

/// Measures and prints.
pub(super) async fn run(arguments: &BenchArguments) -> anyhow::Result<()> {
    ensure!(arguments.seconds > 0, "--seconds must be at least 1");
    let seconds = Duration::from_secs(arguments.seconds);
    let receiver = Receiver::start().await?;
    let sender = Arc::new(Sender::new(receiver.address)?);
    let bare = Arc::new(sender.bare()?);
    let target = receiver.address;
    let bare = drive(seconds, move |_| exchange(target, Arc::clone(&bare))).await?;
    let before = receiver.heard.load(Ordering::Relaxed);
    let signing = Arc::clone(&sender);
    let sent = drive(seconds, move |number| Arc::clone(&signing).deliver(number)).await?;
    let heard = receiver.heard.load(Ordering::Relaxed) - before;
    ensure!(
        heard >= sent.latencies.count(),
        "the receiver has heard {heard} of {} deliveries",
        sent.latencies.count()
    );
    let report = WebhooksReport {
        bench: "webhooks",
        deliveries: sent.latencies.count(),
        deliveries_per_s: sent.per_s,
        p50_us: sent.latencies.p50_us(),
        p99_us: sent.latencies.p99_us(),
        p999_us: sent.latencies.p999_us(),
        cpu_us_per_delivery: sent.cpu_us_each,
        sign_us: sender.sign_us(),
        bare_per_s: bare.per_s,
        bare_ratio: sent.per_s / bare.per_s,
    };
    let mut out = std::io::stdout().lock();
    report.write_table(&mut out)?;
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    }
    Ok(())
}

/// Runs as many of a kind as may be under way, each after the other, until the time is over.
async fn drive<F, E>(seconds: Duration, exchange: F) -> anyhow::Result<Load>
where
    F: Fn(u128) -> E + Clone + Send + 'static,
    E: Future<Output = anyhow::Result<()>> + Send,
{
    let counts_from = Instant::now() + WARM_UP;
    let until = counts_from + seconds;
    let callers: Vec<_> = (0..UNDER_WAY)
        .map(|caller| {
            let exchange = exchange.clone();
            tokio::spawn(async move {
                let (mut latencies, mut number) = (Histogram::new(), caller);
                while Instant::now() < until {
                    let began = Instant::now();
                    exchange(number).await?;
                    number += UNDER_WAY;
                    if began >= counts_from {
                        latencies.record(u64::try_from(began.elapsed().as_micros())?);
                    }
                }
                anyhow::Ok(latencies)
            })
        })
        .collect();
    tokio::time::sleep_until(counts_from.into()).await;
    let cpu_before = CpuSnapshot::take()?;
    let mut latencies = Histogram::new();
    for caller in callers {
        latencies.merge(&caller.await??);
    }
    let cpu_ns = CpuSnapshot::take()?.since(&cpu_before).total_ns();
    ensure!(latencies.count() > 0, "nothing came to an end in {seconds:?}");
    #[expect(clippy::cast_precision_loss, reason = "measured figures")]
    let (count, cpu_ns) = (latencies.count() as f64, cpu_ns as f64);
    Ok(Load {
        per_s: count / counts_from.elapsed().as_secs_f64(),
        cpu_us_each: cpu_ns / 1000.0 / count,
        latencies,
    })
}

/// Signs and sends as the endpoints' actors do.
struct Sender {
    client: VettedClient,
    secret: SigningSecret,
    url: Arc<str>,
    body: Vec<u8>,
}

impl Sender {
    fn new(target: SocketAddr) -> anyhow::Result<Self> {
        let settings = ClientSettings {
            allows_local: true,
            ..ClientSettings::default()
        };
        Ok(Self {
            client: VettedClient::new(settings)?,
            secret: TwoSchemes.new_secret().context("no random numbers")?,
            url: Arc::from(format!("http://{target}/webhook")),
            body: body(),
        })
    }

    fn delivery(&self, number: u128) -> Delivery {
        let id = EventId::from_bits(number);
        Delivery {
            owner: Owner {
                merchant: MerchantId::from_bits(number % OWNERS),
                livemode: false,
            },
            url: Arc::clone(&self.url),
            headers: TwoSchemes.sign(&[&self.secret], id, AT, &self.body),
            body: self.body.clone(),
        }
    }

    async fn deliver(self: Arc<Self>, number: u128) -> anyhow::Result<()> {
        match self.client.post(self.delivery(number)).await {
            DeliveryEnd::Answered { status: 200, .. } => Ok(()),
            end => anyhow::bail!("a delivery was not taken: {end:?}"),
        }
    }

    /// What is on the wire of a delivery, to be sent by nobody in particular.
    fn bare(&self) -> anyhow::Result<Vec<u8>> {
        let mut request = Vec::new();
        let length = self.body.len();
        write!(
            request,
            "POST /webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n"
        )?;
        for (name, value) in self.delivery(1).headers {
            write!(request, "{name}: {value}\r\n")?;
        }
        request.extend(b"Connection: close\r\n\r\n");
        request.extend(&self.body);
        Ok(request)
    }

    fn sign_us(&self) -> f64 {
        let began = Instant::now();
        for number in 0..SIGNED {
            std::hint::black_box(TwoSchemes.sign(
                &[&self.secret],
                EventId::from_bits(u128::from(number)),
                AT,
                &self.body,
            ));
        }
        began.elapsed().as_secs_f64() * 1e6 / f64::from(SIGNED)
    }
}

/// When the events are said to have been signed.
const AT: Timestamp = Timestamp::from_unix_ms(1_700_000_000_000);
/// Signatures, to know what one takes.
const SIGNED: u32 = 20_000;

fn body() -> Vec<u8> {
    let mut body = br#"{"object":"event","data":""#.to_vec();
    body.resize(BODY_BYTES - 2, b'x');
    body.extend(br#""}"#);
    body
}

async fn exchange(target: SocketAddr, request: Arc<Vec<u8>>) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&request).await?;
    let mut answer = Vec::with_capacity(ANSWER.len());
    stream.read_to_end(&mut answer).await?;
    ensure!(answer == ANSWER, "the receiver answered something else");
    Ok(())
}

/// A merchant's server that takes everything.
struct Receiver {
    address: SocketAddr,
    heard: Arc<AtomicU64>,
}

impl Receiver {
    async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, heard) = (listener.local_addr()?, Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counted = Arc::clone(&counted);
                tokio::spawn(async move {
                    // Whoever sent this hears of an error by itself.
                    if take(stream, &counted).await.is_err() {
                        tracing::warn!("a delivery broke off");
                    }
                });
            }
        });
        Ok(Self { address, heard })
    }
}

/// Reads one delivery whole and says that it is there.
async fn take(mut stream: TcpStream, heard: &AtomicU64) -> anyhow::Result<()> {
    let mut read = Vec::with_capacity(4096);
    loop {
        ensure!(stream.read_buf(&mut read).await? > 0, "it ended early");
        let blank = read.windows(4).position(|four| four == b"\r\n\r\n");
        if blank.is_some_and(|blank| read.len() >= blank + 4 + BODY_BYTES) {
            break;
        }
    }
    heard.fetch_add(1, Ordering::Relaxed);
    stream.write_all(ANSWER).await?;
    stream.shutdown().await?;
    Ok(())
}

impl WebhooksReport {
    fn write_table(&self, out: &mut impl Write) -> anyhow::Result<()> {
        writeln!(out, "webhooks, signed and sent, {UNDER_WAY} under way")?;
        writeln!(
            out,
            "  deliveries       {:>9.0} /s   p50 {} us   p99 {} us   p999 {} us",
            self.deliveries_per_s, self.p50_us, self.p99_us, self.p999_us
        )?;
        writeln!(
            out,
            "  cpu              {:>9.1} us each, the receiver's included; signing {:.1} us",
            self.cpu_us_per_delivery, self.sign_us
        )?;
        writeln!(
            out,
            "  bare exchanges   {:>9.0} /s   deliveries are {:.0} % of them",
            self.bare_per_s,
            self.bare_ratio * 100.0
        )?;
        Ok(())
    }
}

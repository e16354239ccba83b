//! `florin bench start`: how long it takes from the start of the binary on a fresh folder (`florin dev`) to its first answered payment
//! over HTTP. Beside it, in the same run: how long a start takes that does nothing (`florin --version`), and one fsync of that disk.

use super::BenchArguments;
use super::setup::Folder;
use crate::dev::MERCHANT_KEY;
use anyhow::{Context as _, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// An answer that takes longer has failed.
const PATIENCE: Duration = Duration::from_mins(1);

const PAYMENT: &str = r#"{"amount": 10000, "currency": "USD", "payment_method_id": "pm_card_visa"}"#;

/// What was measured, in milliseconds.
#[derive(Debug, Serialize)]
struct StartReport {
    bench: &'static str,
    rounds: usize,
    /// Until the first payment was answered.
    first_payment_ms_p50: f64,
    first_payment_ms_max: f64,
    /// Until the node said that it takes payments.
    ready_ms_p50: f64,
    /// A start that does nothing.
    version_ms_p50: f64,
    /// One fsync.
    fsync_ms_p50: f64,
    /// The first payment in starts that do nothing.
    version_ratio: f64,
    /// The first payment in fsyncs.
    fsync_ratio: f64,
}

/// One round, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Round {
    ready: f64,
    first_payment: f64,
    version: f64,
    fsync: f64,
}

/// Measures and prints.
pub(super) async fn run(arguments: &BenchArguments) -> anyhow::Result<()> {
    let (rounds, folder) = (arguments.rounds, Folder::new(&arguments.data_dir)?);
    let rounds = tokio::task::spawn_blocking(move || measure(rounds, folder.path())).await??;
    let report = StartReport::of(&rounds);
    let mut out = std::io::stdout().lock();
    report.write_table(&mut out)?;
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    }
    Ok(())
}

fn measure(rounds: u32, folder: &Path) -> anyhow::Result<Vec<Round>> {
    std::fs::create_dir_all(folder)?;
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} starts")?;
    let bar = ProgressBar::new(u64::from(rounds)).with_style(style);
    let mut measured = Vec::new();
    for number in 0..rounds {
        let version = version()?;
        let fsync = fsync(&folder.join("fsync"))?;
        let data = folder.join(format!("round-{number}"));
        let (ready, first_payment) = first_payment(&data)?;
        std::fs::remove_dir_all(&data)?;
        measured.push(Round {
            ready,
            first_payment,
            version,
            fsync,
        });
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(measured)
}

fn ms(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}

/// This binary, with no setting from outside.
fn florin() -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("this binary's path")?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FLORIN_") {
            command.env_remove(name);
        }
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    Ok(command)
}

fn version() -> anyhow::Result<f64> {
    let began = Instant::now();
    let said = florin()?.arg("--version").output()?;
    ensure!(said.status.success(), "`--version` ended with {}", said.status);
    Ok(ms(began))
}

fn fsync(path: &Path) -> anyhow::Result<f64> {
    let mut file = File::create(path)?;
    file.write_all(&[7; 4096])?;
    let began = Instant::now();
    file.sync_all()?;
    Ok(ms(began))
}

/// A process that does not outlive this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Until it was ready, and until its first payment was answered.
fn first_payment(data: &Path) -> anyhow::Result<(f64, f64)> {
    let began = Instant::now();
    let mut command = florin()?;
    command
        .arg("dev")
        .env("FLORIN_DATA_DIR", data)
        .env("FLORIN_LISTEN", "127.0.0.1:0")
        .env("FLORIN_SANDBOX_LISTEN", "127.0.0.1:0");
    let mut running = Running(command.spawn().context("`florin dev` cannot be started")?);
    let said = running.0.stdout.take().context("its output")?;
    let mut lines = BufReader::new(said).lines();
    let address = loop {
        let line = lines.next().context("`florin dev` ended before it was ready")??;
        if let Some(address) = address(&line) {
            break address;
        }
    };
    let ready = ms(began);
    pay(address)?;
    Ok((ready, ms(began)))
}

/// The address in the line of the welcome that has it: `  API        http://127.0.0.1:4242`.
fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.trim_start().strip_prefix("API")?.split_once("http://")?;
    rest.trim().parse().ok()
}

fn pay(address: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = PAYMENT.len();
    let request = format!(
        "POST /v1/payments HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {MERCHANT_KEY}\r\n\
         Content-Type: application/json\r\nIdempotency-Key: first-payment\r\nContent-Length: {length}\r\n\r\n{PAYMENT}"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if !answer.starts_with("HTTP/1.1 200 ") || !answer.contains(r#""status":"succeeded""#) {
        bail!("the first payment was answered: {answer}");
    }
    Ok(())
}

impl StartReport {
    fn of(rounds: &[Round]) -> Self {
        let sorted = |figure: fn(&Round) -> f64| {
            let mut all: Vec<f64> = rounds.iter().map(figure).collect();
            all.sort_by(f64::total_cmp);
            all
        };
        let median = |figure| {
            let all = sorted(figure);
            all.get(all.len() / 2).copied().unwrap_or(0.0)
        };
        let first_payment = median(|round| round.first_payment);
        let (version, fsync) = (median(|round| round.version), median(|round| round.fsync));
        let slowest = sorted(|round| round.first_payment).pop();
        Self {
            bench: "start",
            rounds: rounds.len(),
            first_payment_ms_p50: rounded(first_payment),
            first_payment_ms_max: rounded(slowest.unwrap_or(0.0)),
            ready_ms_p50: rounded(median(|round| round.ready)),
            version_ms_p50: rounded(version),
            fsync_ms_p50: rounded(fsync),
            version_ratio: rounded(first_payment / version),
            fsync_ratio: rounded(first_payment / fsync),
        }
    }

    fn write_table(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(
            out,
            "start ({} times `florin dev` on a fresh folder)",
            self.rounds
        )?;
        let rows = [
            ("first payment, p50", self.first_payment_ms_p50),
            ("first payment, max", self.first_payment_ms_max),
            ("ready, p50", self.ready_ms_p50),
            ("`--version`, p50", self.version_ms_p50),
            ("fsync, p50", self.fsync_ms_p50),
        ];
        for (name, ms) in rows {
            writeln!(out, "  {name:<20}{ms:>11.1} ms")?;
        }
        writeln!(out, "  {:<20}{:>11.1} x", "of `--version`", self.version_ratio)
    }
}

/// Three decimals are all a measurement means.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_off_the_welcome() {
        assert_eq!(
            address("  API        http://127.0.0.1:4242"),
            Some(SocketAddr::from(([127, 0, 0, 1], 4242)))
        );
        for other in [
            "Florin is ready.",
            "  sandbox    http://127.0.0.1:1/charges",
            "  API",
        ] {
            assert_eq!(address(other), None, "{other}");
        }
    }

    #[test]
    fn the_middle_and_the_slowest_round_are_told_and_parts_of_them() {
        let round = |first_payment| Round {
            ready: first_payment - 1.0,
            first_payment,
            version: 4.0,
            fsync: 0.5,
        };
        let report = StartReport::of(&[round(90.0), round(30.0), round(40.0)]);
        assert_eq!(
            (report.first_payment_ms_p50, report.first_payment_ms_max),
            (40.0, 90.0)
        );
        assert_eq!((report.ready_ms_p50, report.version_ratio), (39.0, 10.0));
        assert_eq!((report.fsync_ratio, report.rounds), (80.0, 3));
    }
}

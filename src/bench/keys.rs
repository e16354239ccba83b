//! `florin bench keys`: whether the time of a refusal tells how near a wrong API key is to a right one. Keys of three kinds are tried in
//! turns, in an order that is drawn: some that nobody has, and a real one with its first or its last random character changed.
//!
//! The kinds are compared as dudect does (Reparaz, Balasch, Verbauwhede: "Dude, is my code constant time?", 2017): the slowest tenth of all
//! times is left out, and Welch's t of what remains says how sure it is that two kinds differ. Below 4.5 nothing was found.

use super::BenchArguments;
use super::http::keys;
use super::instant_provider::InstantProvider;
use super::setup::{self, Folder};
use crate::edge;
use crate::node;
use crate::providers::Providers;
use anyhow::{Context as _, ensure};
use florin_adapters::entropy::OsEntropy;
use florin_domain::ports::Entropy;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Tries of each kind.
const TRIES: usize = 10_000;
/// Tries before they count.
const WARM_UP: usize = 500;
/// From here on, a difference is no chance any more.
const T_FOUND: f64 = 4.5;
const ALPHABET: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// A kind of wrong key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    Unknown,
    FirstChanged,
    LastChanged,
}

const KINDS: [Wrong; 3] = [Wrong::Unknown, Wrong::FirstChanged, Wrong::LastChanged];

/// What was measured.
#[derive(Debug, Serialize)]
struct KeysReport {
    bench: &'static str,
    tries_of_each: usize,
    unknown_p50_us: f64,
    first_changed_p50_us: f64,
    last_changed_p50_us: f64,
    /// The largest of the three comparisons, without its sign.
    t_max: f64,
    /// Whether that is more than chance.
    found: bool,
}

/// Measures and prints.
pub(super) async fn run(arguments: &BenchArguments, metrics: PrometheusHandle) -> anyhow::Result<()> {
    let folder = Folder::new(&arguments.data_dir)?;
    let mut settings = setup::settings(&folder)?;
    settings.listen.set_port(0);
    // Whoever guesses is slowed down after a few tries, and that would be all that is measured.
    settings.rates.failed_auth_per_min = 0;
    let provider = Providers::of(vec![Arc::new(InstantProvider::new()?)]);
    let node = node::start(&settings, provider, metrics).await?;
    let real = keys(&node).await?.swap_remove(0);
    let api = edge::serve(&node, &settings, false)?;
    let target = api.local_addr();
    let times = tokio::task::spawn_blocking(move || tried(target, &real)).await??;
    api.stop().await?;
    node.platform.drain(Duration::from_secs(5)).await;
    let report = KeysReport::of(&times)?;
    let mut out = std::io::stdout().lock();
    report.write_table(&mut out)?;
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    }
    Ok(())
}

/// The times of each kind, in microseconds.
type Times = BTreeMap<Wrong, Vec<f64>>;

fn tried(target: SocketAddr, real: &str) -> anyhow::Result<Times> {
    let random = OsEntropy::new();
    let mut order: Vec<Wrong> = KINDS.iter().flat_map(|kind| [*kind; TRIES]).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, below(&random, last + 1)?);
    }
    let warm_up = KINDS.into_iter().cycle().take(WARM_UP);
    let mut stream = TcpStream::connect(target)?;
    stream.set_nodelay(true)?;
    let mut times = Times::new();
    for (number, kind) in warm_up.chain(order).enumerate() {
        let key = wrong(real, kind, &random)?;
        let request = format!(
            "GET /v1/payments/pay_00000000000000000000000001 HTTP/1.1\r\nHost: florin\r\nAuthorization: Bearer {key}\r\n\r\n"
        );
        let began = Instant::now();
        stream.write_all(request.as_bytes())?;
        refused(&mut stream)?;
        let took_us = began.elapsed().as_secs_f64() * 1e6;
        if number >= WARM_UP {
            times.entry(kind).or_default().push(took_us);
        }
    }
    Ok(times)
}

/// One of `0..count`, near enough to evenly.
fn below(random: &dyn Entropy, count: usize) -> anyhow::Result<usize> {
    Ok(usize::try_from(random.next_u64() % u64::try_from(count)?)?)
}

/// A key of the same length and form as the real one.
fn wrong(real: &str, kind: Wrong, random: &dyn Entropy) -> anyhow::Result<String> {
    let start = real.rfind('_').context("a key has no prefix")? + 1;
    let mut bytes = real.as_bytes().to_vec();
    let changed = match kind {
        Wrong::Unknown => start..bytes.len(),
        Wrong::FirstChanged => start..start + 1,
        Wrong::LastChanged => bytes.len() - 1..bytes.len(),
    };
    for byte in &mut bytes[changed] {
        let old = *byte;
        while *byte == old {
            *byte = ALPHABET[below(random, ALPHABET.len())?];
        }
    }
    Ok(String::from_utf8(bytes)?)
}

/// Reads one answer whole.
fn refused(stream: &mut TcpStream) -> anyhow::Result<()> {
    let (mut read, mut buffer) = (Vec::with_capacity(1024), [0; 1024]);
    loop {
        let count = stream.read(&mut buffer)?;
        ensure!(count > 0, "the server hung up");
        read.extend_from_slice(&buffer[..count]);
        let text = std::str::from_utf8(&read)?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        ensure!(
            head.starts_with("HTTP/1.1 401 "),
            "a wrong key was answered: {head}"
        );
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.parse::<usize>().ok())?
        });
        if body.len() >= length.context("an answer has no length")? {
            return Ok(());
        }
    }
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// How sure it is that the means of two samples differ, in standard errors.
fn welch_t(one: &[f64], other: &[f64]) -> f64 {
    let ((mean, error), (other_mean, other_error)) = (moments(one), moments(other));
    (mean - other_mean) / (error + other_error).sqrt()
}

/// The mean, and the square of its standard error.
#[expect(clippy::cast_precision_loss, reason = "measured figures")]
fn moments(sample: &[f64]) -> (f64, f64) {
    let count = sample.len() as f64;
    let mean = sample.iter().sum::<f64>() / count;
    let squares: f64 = sample.iter().map(|time| (time - mean).powi(2)).sum();
    (mean, squares / (count - 1.0) / count)
}

impl KeysReport {
    fn of(times: &Times) -> anyhow::Result<Self> {
        let of = |kind: Wrong| times.get(&kind).context("a kind was not tried");
        let mut all: Vec<f64> = times.values().flatten().copied().collect();
        all.sort_by(f64::total_cmp);
        let slow = all[all.len() * 9 / 10];
        let usual = |kind| -> anyhow::Result<Vec<f64>> {
            Ok(of(kind)?.iter().copied().filter(|time| *time < slow).collect())
        };
        let (unknown, first, last) = (
            usual(Wrong::Unknown)?,
            usual(Wrong::FirstChanged)?,
            usual(Wrong::LastChanged)?,
        );
        let pairs = [(&unknown, &first), (&unknown, &last), (&first, &last)];
        let t_max = pairs
            .into_iter()
            .map(|(one, other)| welch_t(one, other).abs())
            .fold(0.0, f64::max);
        Ok(Self {
            bench: "keys",
            tries_of_each: TRIES,
            unknown_p50_us: median(of(Wrong::Unknown)?),
            first_changed_p50_us: median(of(Wrong::FirstChanged)?),
            last_changed_p50_us: median(of(Wrong::LastChanged)?),
            t_max,
            found: t_max >= T_FOUND,
        })
    }

    fn write_table(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "keys ({} tries of each kind)", self.tries_of_each)?;
        let rows = [
            ("unknown, p50", self.unknown_p50_us),
            ("first character changed, p50", self.first_changed_p50_us),
            ("last character changed, p50", self.last_changed_p50_us),
        ];
        for (name, time_us) in rows {
            writeln!(out, "  {name:<30}{time_us:>8.1} us")?;
        }
        let found = if self.found {
            "they differ"
        } else {
            "no difference found"
        };
        writeln!(out, "  {:<30}{:>8.2}    {found}", "t, at most", self.t_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(slower_us: f64) -> Times {
        // Spread evenly over 20 us, in an order of their own.
        let spread = |n: usize| 100.0 + f64::from(u32::try_from(n * 7919 % 2000).unwrap()) / 100.0;
        let sample = |added: f64| (0..TRIES).map(|n| spread(n) + added).collect();
        KINDS
            .into_iter()
            .map(|kind| {
                (
                    kind,
                    sample(if kind == Wrong::LastChanged {
                        slower_us
                    } else {
                        0.0
                    }),
                )
            })
            .collect()
    }

    #[test]
    fn a_difference_of_a_hundredth_is_found_and_none_where_there_is_none() {
        let same = KeysReport::of(&times(0.0)).unwrap();
        assert!(!same.found && same.t_max < T_FOUND, "{same:?}");
        let slower = KeysReport::of(&times(1.0)).unwrap();
        assert!(slower.found, "{slower:?}");
    }

    #[test]
    fn wrong_keys_look_like_the_real_one() {
        let random = OsEntropy::new();
        let real = "sk_test_abcdefgh";
        for kind in KINDS {
            let key = wrong(real, kind, &random).unwrap();
            assert_eq!(key.len(), real.len());
            assert!(key.starts_with("sk_test_") && key != real, "{key}");
        }
        let last = wrong(real, Wrong::LastChanged, &random).unwrap();
        assert_eq!(last[..15], real[..15]);
    }
}

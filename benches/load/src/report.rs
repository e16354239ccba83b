//! The result of one benchmark as people read it and as programs do.

use std::io::{self, Write};

use serde::{Serialize, Serializer};

/// One benchmark's figures. The optional ones are shown only where they were measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchReport {
    /// Which benchmark: `engine`, `http`, ...
    pub bench: String,
    /// What stood for the payment providers.
    pub provider: String,
    /// Where the journal was, if not in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<String>,
    #[serde(serialize_with = "rounded")]
    pub payments_per_s: f64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    #[serde(serialize_with = "rounded")]
    pub cpu_us_per_payment: f64,
    #[serde(serialize_with = "rounded")]
    pub commits_per_payment: f64,
    pub fsyncs: u64,
    /// How far the views were behind the journal when the load ended.
    pub views_lag_ms: u64,
    /// How long the views then took to catch up.
    #[serde(serialize_with = "rounded")]
    pub catch_up_s: f64,
    /// Payments per second in parts of what the bare echo reached in the same run.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rounded_option")]
    pub echo_ratio: Option<f64>,
    /// Latency that 99 % of requests stayed below at half of that rate, sent on schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub half_load_p99_us: Option<u64>,
    /// CPU per request of all threads but the generator's.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rounded_option")]
    pub server_cpu_us: Option<f64>,
    /// CPU per request of the load generator.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rounded_option")]
    pub generator_cpu_us: Option<f64>,
    /// Throughput with everything on one hot merchant, in parts of the uniform case.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rounded_option")]
    pub uniform_ratio: Option<f64>,
    /// Payments made under overload, in parts of the peak.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rounded_option")]
    pub goodput_ratio: Option<f64>,
    /// Requests refused under overload, per second.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rounded_option")]
    pub refused_per_s: Option<f64>,
    /// Latency without the provider's that 99 % of accepted requests stayed below under overload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_p99_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<u64>,
    #[serde(flatten)]
    pub memory: Option<MemoryFigures>,
}

/// What the process held after each tenth of a number of payments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MemoryFigures {
    /// How many payments that was.
    pub payments: u64,
    /// Memory that was resident, in KiB.
    pub rss_kib_at_tenths: Vec<u64>,
    /// Payments that were actors.
    pub live_at_tenths: Vec<u64>,
}

impl BenchReport {
    /// Writes the table, one figure a line.
    pub fn write_table(&self, out: &mut impl Write) -> io::Result<()> {
        let journal = match &self.journal {
            Some(place) => format!(", journal: {place}"),
            None => String::new(),
        };
        writeln!(out, "{} (providers: {}{journal})", self.bench, self.provider)?;
        let mut row = |name: &str, value: String| writeln!(out, "  {name:<20}{value:>14}");
        row("payments/s", grouped(self.payments_per_s))?;
        row("latency p50", format!("{} us", self.p50_us))?;
        row("latency p99", format!("{} us", self.p99_us))?;
        row("latency p99.9", format!("{} us", self.p999_us))?;
        row("CPU per payment", format!("{:.1} us", self.cpu_us_per_payment))?;
        row("commits per payment", format!("{:.2}", self.commits_per_payment))?;
        row("fsyncs", self.fsyncs.to_string())?;
        row("views lag", format!("{} ms", self.views_lag_ms))?;
        row("views catch up", format!("{:.2} s", self.catch_up_s))?;
        if let Some(p99_us) = self.half_load_p99_us {
            row("p99 at half load", format!("{p99_us} us"))?;
        }
        if let Some(ratio) = self.echo_ratio {
            row("of the bare echo", format!("{:.1} %", ratio * 100.0))?;
        }
        if let Some(cpu_us) = self.server_cpu_us {
            row("server CPU", format!("{cpu_us:.1} us"))?;
        }
        if let Some(cpu_us) = self.generator_cpu_us {
            row("generator CPU", format!("{cpu_us:.1} us"))?;
        }
        if let Some(ratio) = self.uniform_ratio {
            row("of uniform load", format!("{:.1} %", ratio * 100.0))?;
        }
        if let Some(ratio) = self.goodput_ratio {
            row("of the peak", format!("{:.1} %", ratio * 100.0))?;
        }
        if let Some(refused) = self.refused_per_s {
            row("refused/s", grouped(refused))?;
        }
        if let Some(p99_us) = self.own_p99_us {
            row("own p99", format!("{p99_us} us"))?;
        }
        if let Some(errors) = self.errors {
            row("errors", errors.to_string())?;
        }
        let memory = self.memory.iter();
        for (tenth, (kib, live)) in (1..).zip(memory.flat_map(|memory| {
            let live = &memory.live_at_tenths;
            memory.rss_kib_at_tenths.iter().zip(live)
        })) {
            row(&format!("memory at {tenth}/10"), format!("{} MiB", kib / 1024))?;
            row("  live payments", live.to_string())?;
        }
        Ok(())
    }

    /// The same on one line, without a line end; figures that are no numbers become `null`.
    pub fn to_json_line(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// Three decimals are all a measurement means.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn rounded<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((value * 1_000.0).round() / 1_000.0)
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn rounded_option<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => rounded(value, serializer),
        None => serializer.serialize_none(),
    }
}

/// Whole units with a comma between thousands.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && digit.is_ascii_digit() && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> BenchReport {
        BenchReport {
            bench: "http".to_owned(),
            provider: "in-process".to_owned(),
            journal: None,
            payments_per_s: 52_123.456_78,
            p50_us: 4_100,
            p99_us: 9_200,
            p999_us: 15_000,
            cpu_us_per_payment: 17.25,
            commits_per_payment: 2.0,
            fsyncs: 1_234,
            views_lag_ms: 120,
            catch_up_s: 0.35,
            echo_ratio: None,
            half_load_p99_us: None,
            server_cpu_us: None,
            generator_cpu_us: None,
            uniform_ratio: None,
            goodput_ratio: None,
            refused_per_s: None,
            own_p99_us: None,
            errors: None,
            memory: None,
        }
    }

    #[test]
    fn json_is_one_line_without_what_was_not_measured() {
        assert_eq!(
            report().to_json_line().unwrap(),
            "{\"bench\":\"http\",\"provider\":\"in-process\",\"payments_per_s\":52123.457,\"p50_us\":4100,\
             \"p99_us\":9200,\"p999_us\":15000,\"cpu_us_per_payment\":17.25,\"commits_per_payment\":2.0,\
             \"fsyncs\":1234,\"views_lag_ms\":120,\"catch_up_s\":0.35}"
        );
        let full = BenchReport {
            journal: Some("PostgreSQL".to_owned()),
            echo_ratio: Some(0.4512),
            errors: Some(0),
            ..report()
        };
        let line = full.to_json_line().unwrap();
        assert!(line.contains("\"provider\":\"in-process\",\"journal\":\"PostgreSQL\",\"payments_per_s\""));
        assert!(line.ends_with("\"catch_up_s\":0.35,\"echo_ratio\":0.451,\"errors\":0}"));
        let memory = MemoryFigures {
            payments: 20,
            rss_kib_at_tenths: vec![2048, 4096],
            live_at_tenths: vec![3, 4],
        };
        let with_memory = BenchReport {
            memory: Some(memory),
            ..report()
        };
        assert!(with_memory.to_json_line().unwrap().ends_with(
            "\"catch_up_s\":0.35,\"payments\":20,\"rss_kib_at_tenths\":[2048,4096],\"live_at_tenths\":[3,4]}"
        ));
    }

    #[test]
    fn the_table_has_a_row_for_each_figure_that_was_measured() {
        let table = |report: &BenchReport| {
            let mut out = Vec::new();
            report.write_table(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let plain = table(&report());
        assert!(
            plain.starts_with("http (providers: in-process)\n  payments/s                  52,123\n"),
            "{plain}"
        );
        assert_eq!(plain.lines().count(), 10);
        let full = BenchReport {
            journal: Some("PostgreSQL".to_owned()),
            echo_ratio: Some(0.4512),
            server_cpu_us: Some(18.0),
            generator_cpu_us: Some(5.0),
            uniform_ratio: Some(0.9),
            goodput_ratio: Some(0.97),
            refused_per_s: Some(4000.0),
            own_p99_us: Some(21_000),
            errors: Some(3),
            ..report()
        };
        let full = table(&full);
        assert!(
            full.starts_with("http (providers: in-process, journal: PostgreSQL)\n"),
            "{full}"
        );
        assert_eq!(full.lines().count(), 18);
        assert!(full.contains("  of the bare echo            45.1 %\n"), "{full}");
    }

    #[test]
    fn thousands_are_grouped() {
        for (value, text) in [
            (0.4, "0"),
            (999.0, "999"),
            (1_000.0, "1,000"),
            (1_234_567.0, "1,234,567"),
        ] {
            assert_eq!(grouped(value), text);
        }
    }
}

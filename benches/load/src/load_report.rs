//! What one run of the generator found.

use std::time::Duration;

use crate::histogram::Histogram;

/// Answers by status class, and requests that got none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusCounts {
    /// 2xx other than 202.
    pub ok: u64,
    /// 202: taken on, outcome not known yet. Neither a success nor an error.
    pub accepted: u64,
    pub redirect: u64,
    pub client_error: u64,
    pub server_error: u64,
    /// Lost with their connection, answered with something that is not HTTP, or never answered.
    pub unanswered: u64,
}

impl StatusCounts {
    /// Requests that ended neither `ok` nor `accepted`.
    pub fn errors(&self) -> u64 {
        self.redirect + self.client_error + self.server_error + self.unanswered
    }

    /// Counts one answer; whether it is an error.
    pub(crate) fn count(&mut self, status: u16) -> bool {
        let class = match status {
            202 => &mut self.accepted,
            ..300 => &mut self.ok,
            300..400 => &mut self.redirect,
            400..500 => &mut self.client_error,
            500.. => &mut self.server_error,
        };
        *class += 1;
        status >= 300
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.ok += other.ok;
        self.accepted += other.accepted;
        self.redirect += other.redirect;
        self.client_error += other.client_error;
        self.server_error += other.server_error;
        self.unanswered += other.unanswered;
    }
}

/// One run, all generator threads together.
#[derive(Debug, Clone)]
pub struct LoadReport {
    /// Requests answered, whatever the status.
    pub requests: u64,
    pub statuses: StatusCounts,
    /// Open loop only: requests whose time had come but for which no connection was free until the end.
    /// Anything but a small number says that the rate was too much.
    pub unsent: u64,
    /// Connections that broke and could not be opened again.
    pub connections_lost: usize,
    /// From the start to the last answer.
    pub elapsed: Duration,
    pub requests_per_s: f64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub max_us: u64,
    /// CPU of the generator's own threads per answer; `None` where the system does not tell.
    pub generator_cpu_us_per_request: Option<f64>,
    /// CPU of all other threads of this process per answer: the server's, when it runs in this process.
    pub server_cpu_us_per_request: Option<f64>,
    /// All latencies of answered requests, to merge or to look closer.
    pub latencies: Histogram,
    /// Those of requests answered with `ok` alone.
    pub ok_latencies: Histogram,
}

/// CPU time of a run; `None` where the system does not tell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunCpu {
    pub(crate) generator_ns: Option<u64>,
    pub(crate) server_ns: Option<u64>,
}

impl LoadReport {
    pub(crate) fn new(latencies: Histogram, statuses: StatusCounts, elapsed: Duration, cpu: RunCpu) -> Self {
        let requests = latencies.count();
        let per_request_us = |cpu_ns: u64| approximate(cpu_ns) / 1_000.0 / approximate(requests.max(1));
        Self {
            requests,
            statuses,
            unsent: 0,
            connections_lost: 0,
            elapsed,
            requests_per_s: approximate(requests) / elapsed.as_secs_f64().max(1e-9),
            p50_us: latencies.p50_us(),
            p99_us: latencies.p99_us(),
            p999_us: latencies.p999_us(),
            max_us: latencies.max_us(),
            generator_cpu_us_per_request: cpu.generator_ns.map(per_request_us),
            server_cpu_us_per_request: cpu.server_ns.map(per_request_us),
            latencies,
            ok_latencies: Histogram::new(),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a measured figure; 53 bits are more than it deserves"
)]
fn approximate(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_fall_into_their_classes() {
        let mut counts = StatusCounts::default();
        let errors: Vec<bool> = [200, 201, 202, 302, 402, 429, 500, 503]
            .map(|status| counts.count(status))
            .to_vec();
        assert_eq!(errors, [false, false, false, true, true, true, true, true]);
        let expected = StatusCounts {
            ok: 2,
            accepted: 1,
            redirect: 1,
            client_error: 2,
            server_error: 2,
            unanswered: 0,
        };
        assert_eq!(counts, expected);
        assert_eq!(counts.errors(), 5);
        counts.merge(&StatusCounts {
            unanswered: 3,
            ..expected
        });
        assert_eq!((counts.ok, counts.errors()), (4, 13));
    }

    #[test]
    fn figures_are_per_answered_request() {
        let mut latencies = Histogram::new();
        for latency_us in [10, 20, 30, 40] {
            latencies.record(latency_us);
        }
        let cpu = RunCpu {
            generator_ns: Some(10_000),
            server_ns: None,
        };
        let report = LoadReport::new(
            latencies,
            StatusCounts::default(),
            Duration::from_millis(500),
            cpu,
        );
        assert_eq!((report.requests, report.p50_us, report.max_us), (4, 20, 40));
        assert_eq!(format!("{:.1}", report.requests_per_s), "8.0");
        assert_eq!(
            report
                .generator_cpu_us_per_request
                .map(|us| format!("{us:.2}"))
                .as_deref(),
            Some("2.50")
        );
        assert_eq!(report.server_cpu_us_per_request, None);
    }
}

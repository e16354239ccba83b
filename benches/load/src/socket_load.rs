//! HTTP/1.1 load over raw sockets: many connections on few threads, each thread one event loop.
//!
//! Hand-written requests and a parser that only counts keep the generator's own CPU per request near the
//! price of its two system calls, because every core it uses is missing from the server it measures.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::{Duration, Instant};

use crate::connection;
use crate::cpu::CpuSnapshot;
use crate::histogram::Histogram;
use crate::load_report::{LoadReport, RunCpu, StatusCounts};
use crate::progress::Progress;
use crate::request_source::RequestSource;
use crate::worker::{Plan, Worker, WorkerResult};

/// Generator threads are named with this and a number.
pub const THREAD_NAME_PREFIX: &str = "load-thread-";

/// When requests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Each connection asks again as soon as it was answered: finds the highest throughput.
    ClosedLoop,
    /// A fixed schedule, whatever the server does. Latency counts from the scheduled moment, so a server that
    /// stalls is charged for everybody who had to wait.
    OpenLoop { rate_per_s: u32 },
}

/// When a run ends. What is in flight then is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    Requests(u64),
    Duration(Duration),
}

/// How to load a server.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    pub target: SocketAddr,
    pub pace: Pace,
    pub bound: Bound,
    /// All threads together.
    pub connections: usize,
    pub threads: usize,
    /// How long to connect, and how long to wait for the last answers.
    pub patience: Duration,
}

impl LoadOptions {
    /// 256 connections on one thread, closed loop, ten seconds of patience.
    pub fn new(target: SocketAddr, bound: Bound) -> Self {
        Self {
            target,
            pace: Pace::ClosedLoop,
            bound,
            connections: 256,
            threads: 1,
            patience: Duration::from_secs(10),
        }
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    #[error("cannot connect to {target}")]
    Connect { target: SocketAddr, source: io::Error },
    #[error("the event loop of a generator thread failed")]
    EventLoop(#[source] io::Error),
    #[error("cannot start a generator thread")]
    Thread(#[source] io::Error),
    #[error("a generator thread panicked")]
    Panicked,
}

/// Loads the target until the bound is reached; blocks the caller.
///
/// `source_for` makes one source for each thread; what must be unique over all of them, they must share.
pub fn run<S: RequestSource>(
    options: &LoadOptions,
    progress: &Arc<Progress>,
    mut source_for: impl FnMut(usize) -> S,
) -> Result<LoadReport, LoadError> {
    validate(options)?;
    let mut streams = (0..options.connections)
        .map(|_| connection::connect(options.target, options.patience))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| LoadError::Connect {
            target: options.target,
            source,
        })?;

    let threads = options.threads.min(options.connections);
    let tickets = AtomicU64::new(0);
    let cpu_before = CpuSnapshot::take();
    let plan = Plan::new(options, Instant::now());
    let results = thread::scope(|scope| {
        let mut workers = Vec::with_capacity(threads);
        for index in 0..threads {
            let share = streams.len() / (threads - index);
            let first_connection = streams.len() - share;
            let mine = streams.split_off(first_connection);
            let (source, progress, tickets, plan) = (source_for(index), progress.as_ref(), &tickets, &plan);
            let drive = move || Worker::new(plan, tickets, progress, source, (first_connection, mine))?.run();
            let handle = thread::Builder::new()
                .name(format!("{THREAD_NAME_PREFIX}{index}"))
                .spawn_scoped(scope, drive)
                .map_err(|error| {
                    // The scope waits for the threads that did start.
                    progress.stop();
                    LoadError::Thread(error)
                })?;
            workers.push(handle);
        }
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .map_err(|_| LoadError::Panicked)?
                    .map_err(LoadError::EventLoop)
            })
            .collect::<Result<Vec<_>, _>>()
    })?;
    // The generator's threads have ended, so what is left is everybody else.
    let server_ns = cpu_before
        .and_then(|before| Ok(CpuSnapshot::take()?.since(&before).others_ns(THREAD_NAME_PREFIX)))
        .ok();
    let unsent = results
        .iter()
        .map(|result| result.ended)
        .max()
        .map_or(0, |ended| plan.unsent(&tickets, ended));
    Ok(summary(&results, &plan, unsent, server_ns))
}

fn validate(options: &LoadOptions) -> Result<(), LoadError> {
    let rate_per_s = match options.pace {
        Pace::ClosedLoop => None,
        Pace::OpenLoop { rate_per_s } => Some(rate_per_s),
    };
    if options.connections == 0 {
        Err(LoadError::Zero("connections"))
    } else if options.threads == 0 {
        Err(LoadError::Zero("threads"))
    } else if rate_per_s == Some(0) {
        Err(LoadError::Zero("rate_per_s"))
    } else {
        Ok(())
    }
}

fn summary(results: &[WorkerResult], plan: &Plan, unsent: u64, server_ns: Option<u64>) -> LoadReport {
    let mut latencies = Histogram::new();
    let mut ok_latencies = Histogram::new();
    let mut statuses = StatusCounts::default();
    for result in results {
        latencies.merge(&result.latencies);
        ok_latencies.merge(&result.ok_latencies);
        statuses.merge(&result.statuses);
    }
    let last_answer = results.iter().map(|result| result.last_answer).max();
    let elapsed = last_answer.map_or(Duration::ZERO, |last| plan.elapsed_until(last));
    let generator_ns = results.iter().map(|result| result.cpu_ns).sum();
    let mut report = LoadReport::new(
        latencies,
        statuses,
        elapsed,
        RunCpu {
            generator_ns,
            server_ns,
        },
    );
    report.unsent = unsent;
    report.ok_latencies = ok_latencies;
    report.connections_lost = results.iter().map(|result| result.connections_lost).sum();
    report
}

#[cfg(test)]
mod tests;

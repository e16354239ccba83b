//! The event loop of one generator thread: its share of the connections, one poll, one request source.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::connection::{self, Connection, Received};
use crate::cpu;
use crate::histogram::Histogram;
use crate::load_report::StatusCounts;
use crate::progress::Progress;
use crate::request_source::RequestSource;
use crate::socket_load::{Bound, LoadOptions, Pace};

/// Larger than any answer under load, so that one read takes all there is.
const SCRATCH_BYTES: usize = 64 * 1024;
/// Bounds how late a stop or a deadline is noticed while nothing arrives.
const POLL_LONGEST: Duration = Duration::from_millis(20);
/// The poll counts whole milliseconds. Shorter waits for the schedule are slept in steps of this instead: it is
/// the price in latency of not spinning on a core that the server needs.
const NAP: Duration = Duration::from_micros(50);
const INTERESTS: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// The schedule that all threads share. Requests take numbered tickets; the number fixes their time.
#[derive(Debug)]
pub(crate) struct Plan {
    target: SocketAddr,
    patience: Duration,
    start: Instant,
    deadline: Option<Instant>,
    tickets_max: u64,
    rate_per_s: Option<u32>,
}

impl Plan {
    pub(crate) fn new(options: &LoadOptions, start: Instant) -> Self {
        let (deadline, tickets_max) = match options.bound {
            Bound::Requests(count) => (None, count),
            // A duration beyond the clock's range is no bound.
            Bound::Duration(duration) => (start.checked_add(duration), u64::MAX),
        };
        let rate_per_s = match options.pace {
            Pace::ClosedLoop => None,
            Pace::OpenLoop { rate_per_s } => Some(rate_per_s),
        };
        Self {
            target: options.target,
            patience: options.patience,
            start,
            deadline,
            tickets_max,
            rate_per_s,
        }
    }

    /// When the schedule sends `ticket`.
    fn due(&self, ticket: u64, rate_per_s: u32) -> Instant {
        let rate = u64::from(rate_per_s);
        let within_second_ns = ticket % rate * 1_000_000_000 / rate;
        self.start + Duration::from_secs(ticket / rate) + Duration::from_nanos(within_second_ns)
    }

    pub(crate) fn elapsed_until(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.start)
    }

    /// How many of the requests scheduled before `ended` took no ticket.
    pub(crate) fn unsent(&self, tickets: &AtomicU64, ended: Instant) -> u64 {
        let Some(rate_per_s) = self.rate_per_s else {
            return 0;
        };
        let ended = self.deadline.map_or(ended, |deadline| deadline.min(ended));
        let elapsed_ns = ended.saturating_duration_since(self.start).as_nanos();
        let came_due = (elapsed_ns * u128::from(rate_per_s)).div_ceil(1_000_000_000);
        let scheduled = u64::try_from(came_due).unwrap_or(u64::MAX).min(self.tickets_max);
        scheduled.saturating_sub(tickets.load(Ordering::Relaxed))
    }
}

/// What one thread found.
#[derive(Debug)]
pub(crate) struct WorkerResult {
    pub(crate) latencies: Histogram,
    pub(crate) ok_latencies: Histogram,
    pub(crate) statuses: StatusCounts,
    pub(crate) last_answer: Instant,
    /// When it stopped sending.
    pub(crate) ended: Instant,
    pub(crate) connections_lost: usize,
    pub(crate) cpu_ns: Option<u64>,
}

/// What the schedule says to a connection that is free.
enum Turn {
    /// Send; the latency counts from this moment.
    Send(Instant),
    Wait(Duration),
    Finished,
}

pub(crate) struct Worker<'run, S> {
    plan: &'run Plan,
    tickets: &'run AtomicU64,
    progress: &'run Progress,
    source: S,
    poll: Poll,
    first_connection: usize,
    connections: Vec<Connection>,
    /// Free connections in the order they became free, so that all are used and none is closed for idling.
    /// Holds every connection that has nothing in flight, and those retired while they were waiting here.
    idle: VecDeque<usize>,
    /// Connections that broke and could not be opened again.
    retired: Vec<bool>,
    live: usize,
    in_flight: usize,
    finished: bool,
    last_answer: Instant,
    latencies: Histogram,
    ok_latencies: Histogram,
    statuses: StatusCounts,
}

impl<'run, S: RequestSource> Worker<'run, S> {
    /// `streams` comes with the number of its first connection over all threads.
    pub(crate) fn new(
        plan: &'run Plan,
        tickets: &'run AtomicU64,
        progress: &'run Progress,
        source: S,
        (first_connection, streams): (usize, Vec<TcpStream>),
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut connections: Vec<Connection> = streams.into_iter().map(Connection::new).collect();
        for (index, connection) in connections.iter_mut().enumerate() {
            poll.registry()
                .register(&mut connection.stream, Token(index), INTERESTS)?;
        }
        Ok(Self {
            plan,
            tickets,
            progress,
            source,
            poll,
            first_connection,
            idle: (0..connections.len()).collect(),
            retired: vec![false; connections.len()],
            live: connections.len(),
            connections,
            in_flight: 0,
            finished: false,
            last_answer: plan.start,
            latencies: Histogram::new(),
            ok_latencies: Histogram::new(),
            statuses: StatusCounts::default(),
        })
    }

    /// Sends and receives until the plan is done.
    pub(crate) fn run(mut self) -> io::Result<WorkerResult> {
        let cpu_before = cpu::thread_cpu_ns().ok();
        let mut scratch = vec![0; SCRATCH_BYTES];
        let mut events = Events::with_capacity(self.connections.len().clamp(1, 1024));
        let mut finished_at = None;
        let ended = loop {
            let now = Instant::now();
            let wait = if self.finished {
                POLL_LONGEST
            } else {
                self.send_due(now)
            };
            if self.finished {
                let ended = *finished_at.get_or_insert(now);
                if self.in_flight == 0 || now - ended >= self.plan.patience {
                    break ended;
                }
            }
            self.wait_for_events(&mut events, wait)?;
            for event in &events {
                self.handle(event, &mut scratch);
            }
        };
        for _ in 0..self.in_flight {
            self.count_unanswered();
        }
        let cpu_ns = cpu::thread_cpu_ns()
            .ok()
            .zip(cpu_before)
            .map(|(after, before)| after.saturating_sub(before));
        Ok(WorkerResult {
            latencies: self.latencies,
            ok_latencies: self.ok_latencies,
            statuses: self.statuses,
            last_answer: self.last_answer,
            ended,
            connections_lost: self.connections.len() - self.live,
            cpu_ns,
        })
    }

    /// Sends on free connections whatever may be sent; how long the schedule has nothing more to do.
    fn send_due(&mut self, now: Instant) -> Duration {
        if self.progress.stopping() || self.live == 0 {
            self.finished = true;
            return Duration::ZERO;
        }
        // Each at most once: a connection that breaks at once comes back to the end of the queue.
        for _ in 0..self.idle.len() {
            let Some(index) = self.idle.pop_front() else { break };
            if self.retired[index] {
                continue;
            }
            match self.turn(now) {
                Turn::Send(since) => self.send(index, since),
                Turn::Wait(wait) => {
                    self.idle.push_front(index);
                    return wait;
                }
                Turn::Finished => {
                    self.finished = true;
                    return Duration::ZERO;
                }
            }
        }
        // Nothing is free: only answers matter, and the deadline.
        if self.plan.deadline.is_some_and(|deadline| now >= deadline) {
            self.finished = true;
        }
        POLL_LONGEST
    }

    /// Takes the next ticket if its time has come.
    fn turn(&self, now: Instant) -> Turn {
        if self.plan.deadline.is_some_and(|deadline| now >= deadline) {
            return Turn::Finished;
        }
        let mut ticket = self.tickets.load(Ordering::Relaxed);
        loop {
            if ticket >= self.plan.tickets_max {
                return Turn::Finished;
            }
            let since = match self.plan.rate_per_s {
                None => now,
                Some(rate_per_s) => self.plan.due(ticket, rate_per_s),
            };
            if since > now {
                return Turn::Wait(since - now);
            }
            // Relaxed: the ticket is only a number, nothing else is published with it.
            match self
                .tickets
                .compare_exchange_weak(ticket, ticket + 1, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Turn::Send(since),
                Err(current) => ticket = current,
            }
        }
    }

    fn send(&mut self, index: usize, since: Instant) {
        let number = self.first_connection + index;
        let source = &mut self.source;
        let sent = self.connections[index].send(since, |out| source.next(number, out));
        self.in_flight += 1;
        self.progress.note_sent();
        if sent.is_err() {
            self.lose(index);
        }
    }

    fn wait_for_events(&mut self, events: &mut Events, wait: Duration) -> io::Result<()> {
        let mut timeout = wait.min(POLL_LONGEST);
        if timeout < Duration::from_millis(1) {
            if !timeout.is_zero() {
                thread::sleep(timeout.min(NAP));
            }
            timeout = Duration::ZERO;
        } else {
            // Whole milliseconds, rounded down: the poll itself would round up and oversleep the schedule.
            timeout = Duration::from_millis(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        }
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            polled => polled,
        }
    }

    fn handle(&mut self, event: &Event, scratch: &mut [u8]) {
        let index = event.token().0;
        if self.retired[index] {
            return;
        }
        let connection = &mut self.connections[index];
        if event.is_writable() && connection.flush().is_err() {
            self.lose(index);
            return;
        }
        if !event.is_readable() && !event.is_read_closed() && !event.is_error() {
            return;
        }
        match connection.receive(scratch, event.is_read_closed() || event.is_error()) {
            Ok(Received::Pending) => {}
            Ok(Received::Answer(answer)) => {
                let now = Instant::now();
                self.count_answer(index, answer.status, now);
                if answer.close {
                    self.reconnect(index);
                }
                self.next_on(index, now);
            }
            Ok(Received::Closed) | Err(_) => self.lose(index),
        }
    }

    /// Goes on with a connection that has just become free.
    fn next_on(&mut self, index: usize, now: Instant) {
        if self.finished || self.retired[index] || self.progress.stopping() {
            return;
        }
        // In the closed loop the connection that was answered asks at once; a schedule serves the longest free.
        if self.plan.rate_per_s.is_some() {
            self.idle.push_back(index);
            return;
        }
        match self.turn(now) {
            Turn::Send(since) => self.send(index, since),
            Turn::Wait(_) => self.idle.push_back(index),
            Turn::Finished => self.finished = true,
        }
    }

    fn count_answer(&mut self, index: usize, status: u16, now: Instant) {
        let Some(since) = self.connections[index].take_in_flight() else {
            return;
        };
        self.in_flight -= 1;
        self.last_answer = now;
        let latency_us = now.saturating_duration_since(since).as_micros();
        let latency_us = u64::try_from(latency_us).unwrap_or(u64::MAX);
        self.latencies.record(latency_us);
        if matches!(status, 200 | 201) {
            self.ok_latencies.record(latency_us);
        }
        self.progress.note_answered();
        if self.statuses.count(status) {
            self.progress.note_failed();
        }
    }

    fn count_unanswered(&mut self) {
        self.statuses.unanswered += 1;
        self.progress.note_failed();
    }

    /// The connection broke or was closed: its request, if any, is never sent again, for only the server knows
    /// whether it was carried out.
    fn lose(&mut self, index: usize) {
        if self.connections[index].take_in_flight().is_some() {
            self.in_flight -= 1;
            self.count_unanswered();
            self.idle.push_back(index);
        }
        self.reconnect(index);
    }

    /// Gives the connection a new socket, or retires it.
    fn reconnect(&mut self, index: usize) {
        let stream = connection::connect(self.plan.target, self.plan.patience).and_then(|mut stream| {
            self.poll
                .registry()
                .register(&mut stream, Token(index), INTERESTS)?;
            Ok(stream)
        });
        if let Ok(stream) = stream {
            // Dropping the old socket takes it out of the poll.
            self.connections[index].replace(stream);
        } else {
            self.retired[index] = true;
            self.live -= 1;
        }
    }
}

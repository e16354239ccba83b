//! Runs over real sockets. Only counts are asserted: time belongs to the machine.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

use super::*;
use crate::echo_server::EchoServer;
use crate::echo_source::EchoSource;
use crate::request_source::push_decimal;

fn load(options: &LoadOptions, progress: &Arc<Progress>) -> LoadReport {
    let source = EchoSource::new();
    run(options, progress, |_| source.clone()).unwrap()
}

fn assert_all_ok(report: &LoadReport, progress: &Progress, requests: u64) {
    assert_eq!(report.requests, requests);
    assert_eq!(
        report.statuses,
        StatusCounts {
            ok: requests,
            ..StatusCounts::default()
        }
    );
    assert_eq!((report.unsent, report.connections_lost), (0, 0));
    assert_eq!(report.latencies.count(), requests);
    assert_eq!(
        (progress.sent(), progress.answered(), progress.failed()),
        (requests, requests, 0)
    );
}

#[test]
fn a_closed_loop_sends_exactly_its_count_over_any_number_of_threads() {
    let server = EchoServer::start(1).unwrap();
    for (requests, connections, threads) in [
        (1, 1, 1),
        (500, 7, 1),
        (500, 7, 3),
        (3, 8, 2),
        (20, 2, 5),
        (0, 2, 1),
    ] {
        let mut options = LoadOptions::new(server.addr(), Bound::Requests(requests));
        (options.connections, options.threads) = (connections, threads);
        let progress = Arc::new(Progress::default());
        assert_all_ok(&load(&options, &progress), &progress, requests);
    }
    server.stop().unwrap();
}

#[test]
fn an_open_loop_sends_exactly_its_count() {
    let server = EchoServer::start(1).unwrap();
    for rate_per_s in [700, 1_000_000] {
        let mut options = LoadOptions::new(server.addr(), Bound::Requests(200));
        (options.connections, options.threads) = (6, 2);
        options.pace = Pace::OpenLoop { rate_per_s };
        let progress = Arc::new(Progress::default());
        assert_all_ok(&load(&options, &progress), &progress, 200);
    }
    server.stop().unwrap();
}

#[test]
fn a_run_of_a_duration_answers_everything_it_sent() {
    let server = EchoServer::start(1).unwrap();
    for pace in [Pace::ClosedLoop, Pace::OpenLoop { rate_per_s: 500 }] {
        let mut options = LoadOptions::new(server.addr(), Bound::Duration(Duration::from_millis(200)));
        (options.connections, options.pace) = (4, pace);
        let progress = Arc::new(Progress::default());
        let report = load(&options, &progress);
        assert_eq!(report.requests, progress.sent());
        assert_eq!(report.statuses.errors(), 0);
        if pace != Pace::ClosedLoop {
            assert_eq!(
                report.requests + report.unsent,
                100,
                "the schedule of a fifth of a second"
            );
        }
    }
    server.stop().unwrap();
}

#[test]
fn a_stopped_run_ends_and_still_reports() {
    let server = EchoServer::start(1).unwrap();
    let progress = Arc::new(Progress::default());
    progress.stop();
    let report = load(
        &LoadOptions::new(server.addr(), Bound::Requests(u64::MAX)),
        &progress,
    );
    assert_eq!((report.requests, progress.sent()), (0, 0));
    server.stop().unwrap();
}

#[test]
fn refusals_are_counted_by_class() {
    let server = EchoServer::start(1).unwrap();
    let mut options = LoadOptions::new(server.addr(), Bound::Requests(40));
    options.connections = 3;
    let progress = Arc::new(Progress::default());
    // The echo knows no such path.
    let source = crate::payment_source::PaymentSource::new("run", &["sk".to_owned()]).unwrap();
    let report = run(&options, &progress, |_| source.clone()).unwrap();
    assert_eq!(
        report.statuses,
        StatusCounts {
            client_error: 40,
            ..StatusCounts::default()
        }
    );
    assert_eq!((progress.answered(), progress.failed()), (40, 40));
    server.stop().unwrap();
}

/// Numbers its requests in the path and notes which connection asked.
struct Numbered<'seen> {
    next: u64,
    connections: &'seen Mutex<Vec<usize>>,
}

impl RequestSource for Numbered<'_> {
    fn next(&mut self, connection: usize, out: &mut Vec<u8>) {
        self.connections.lock().unwrap().push(connection);
        out.extend_from_slice(b"GET /");
        push_decimal(out, self.next);
        out.extend_from_slice(b" HTTP/1.1\r\nHost: x\r\n\r\n");
        self.next += 1;
    }
}

/// Serves one connection after the other: each answers the bytes of its script in turn, then closes.
fn scripted_server(scripts: Vec<Vec<&'static [u8]>>) -> (SocketAddr, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    let serve = move || {
        let mut asked = Vec::new();
        for script in scripts {
            let (mut stream, _) = listener.accept().unwrap();
            for answer in script {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    request.extend_from_slice(&byte);
                }
                let line = String::from_utf8(request).unwrap();
                asked.push(line.split(' ').nth(1).unwrap().to_owned());
                stream.write_all(answer).unwrap();
            }
        }
        asked
    };
    (addr, thread::spawn(serve))
}

#[test]
fn a_broken_connection_loses_its_request_and_is_opened_again() {
    let ok: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    let half: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{";
    let last: &[u8] = b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let nonsense: &[u8] = b"no http at all\r\n\r\n";
    let (addr, server) = scripted_server(vec![vec![ok, half], vec![last], vec![nonsense], vec![ok]]);
    let mut options = LoadOptions::new(addr, Bound::Requests(5));
    options.connections = 1;
    let progress = Arc::new(Progress::default());
    let connections = Mutex::new(Vec::new());
    let report = run(&options, &progress, |_| Numbered {
        next: 0,
        connections: &connections,
    })
    .unwrap();
    let expected = StatusCounts {
        ok: 2,
        accepted: 1,
        unanswered: 2,
        ..StatusCounts::default()
    };
    assert_eq!(report.statuses, expected);
    assert_eq!(report.requests, 3);
    assert_eq!(
        (progress.sent(), progress.answered(), progress.failed()),
        (5, 3, 2)
    );
    assert_eq!(
        server.join().unwrap(),
        ["/0", "/1", "/2", "/3", "/4"],
        "no request was sent twice"
    );
    assert_eq!(*connections.lock().unwrap(), [0; 5]);
}

#[test]
fn a_server_that_is_gone_ends_the_run() {
    let (addr, server) = scripted_server(vec![vec![b"HTTP/1.1 204 No Content\r\n\r\n"]]);
    let mut options = LoadOptions::new(addr, Bound::Duration(Duration::from_hours(1)));
    options.connections = 1;
    let progress = Arc::new(Progress::default());
    let connections = Mutex::new(Vec::new());
    let report = run(&options, &progress, |_| Numbered {
        next: 0,
        connections: &connections,
    })
    .unwrap();
    assert_eq!((report.statuses.ok, report.connections_lost), (1, 1));
    assert_eq!(report.statuses.unanswered, progress.sent() - 1);
    server.join().unwrap();
}

#[test]
fn a_schedule_uses_the_connection_that_was_free_the_longest() {
    let server = EchoServer::start(1).unwrap();
    let mut options = LoadOptions::new(server.addr(), Bound::Requests(60));
    options.connections = 10;
    options.pace = Pace::OpenLoop { rate_per_s: 100_000 };
    let connections = Mutex::new(Vec::new());
    run(&options, &Arc::default(), |_| Numbered {
        next: 0,
        connections: &connections,
    })
    .unwrap();
    let used = connections.into_inner().unwrap();
    assert_eq!(used.len(), 60);
    assert_eq!(used[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    server.stop().unwrap();
}

/// Stops the run once each of so many connections has asked.
struct RollCall<'run> {
    absent: &'run Mutex<BTreeSet<usize>>,
    progress: &'run Progress,
    requests: EchoSource,
}

impl RequestSource for RollCall<'_> {
    fn next(&mut self, connection: usize, out: &mut Vec<u8>) {
        let mut absent = self.absent.lock().unwrap();
        absent.remove(&connection);
        if absent.is_empty() {
            self.progress.stop();
        }
        self.requests.next(connection, out);
    }
}

#[test]
fn threads_number_their_connections_together_and_a_run_can_be_stopped() {
    let server = EchoServer::start(1).unwrap();
    let mut options = LoadOptions::new(server.addr(), Bound::Requests(u64::MAX));
    (options.connections, options.threads) = (5, 3);
    let absent = Mutex::new((0..5).collect());
    let progress = Arc::new(Progress::default());
    let requests = EchoSource::new();
    let roll_call = |_| RollCall {
        absent: &absent,
        progress: &progress,
        requests: requests.clone(),
    };
    let report = run(&options, &progress, roll_call).unwrap();
    assert_eq!(
        report.statuses,
        StatusCounts {
            ok: progress.sent(),
            ..StatusCounts::default()
        }
    );
    server.stop().unwrap();
}

#[test]
fn senseless_options_and_absent_servers_are_errors() {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let result = |change: fn(&mut LoadOptions)| {
        let mut options = LoadOptions::new(nobody, Bound::Requests(1));
        change(&mut options);
        let source = EchoSource::new();
        run(&options, &Arc::default(), |_| source.clone())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        result(|options| options.connections = 0),
        "connections must be at least 1"
    );
    assert_eq!(
        result(|options| options.threads = 0),
        "threads must be at least 1"
    );
    let never = |options: &mut LoadOptions| options.pace = Pace::OpenLoop { rate_per_s: 0 };
    assert_eq!(result(never), "rate_per_s must be at least 1");
    assert_eq!(result(|_| {}), format!("cannot connect to {nobody}"));
}

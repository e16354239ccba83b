//! Tests of the module beside it: what is found out about a host, and for how long it is believed.

use super::super::addresses::LookUp;
use super::*;
use hyper_util::client::legacy::connect::dns::Name;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";

/// Somebody who answers every connection once and closes it.
async fn provider() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            stream.write_all(ANSWER).await.unwrap();
        }
    });
    address
}

/// A name that stands for these, one after the other, and then for the last one.
fn moving(hosts: &'static [[u8; 4]], asked: &Arc<AtomicUsize>) -> Addresses {
    let asked = Arc::clone(asked);
    let look_up: LookUp = Arc::new(move |_: Name| {
        let number = asked.fetch_add(1, Ordering::SeqCst);
        let host = hosts[number.min(hosts.len() - 1)];
        Box::pin(async move { Ok(vec![SocketAddr::new(IpAddr::from(host), 0)]) })
    });
    Addresses::found_by(look_up, Duration::from_mins(5))
}

fn connection(addresses: Addresses, port: u16) -> Connection {
    within(Duration::from_mins(1), addresses, port)
}

/// Each request may take so long, and longer to connect.
fn within(request: Duration, addresses: Addresses, port: u16) -> Connection {
    let endpoint = Endpoint::parse(&format!("http://pay.example:{port}")).unwrap();
    let patience = Patience {
        request,
        connect: Duration::from_mins(1),
    };
    let tls = tls(&endpoint).unwrap();
    Connection::found_at(addresses, endpoint, patience, Keeping::default(), tls)
}

async fn ask(connection: &Connection) -> Result<Reply, Failure> {
    let outgoing = Outgoing {
        method: Method::GET,
        path: "/".to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    };
    connection.send(outgoing).await
}

#[tokio::test]
async fn new_connections_do_not_ask_for_the_name_again() {
    let asked = Arc::default();
    let here = moving(&[[127, 0, 0, 1]], &asked);
    let connection = connection(here, provider().await.port());
    for _ in 0..5 {
        assert_eq!(ask(&connection).await.unwrap().status, 200);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_provider_that_has_moved_is_found_by_the_next_request() {
    let asked = Arc::default();
    // Nobody listens at this port there.
    let moved = moving(&[[127, 0, 0, 77], [127, 0, 0, 1]], &asked);
    let connection = connection(moved, provider().await.port());
    let refused = ask(&connection).await.unwrap_err();
    assert!(matches!(refused, Failure::NotSent(_)), "{refused:?}");
    assert_eq!(ask(&connection).await.unwrap().status, 200);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_question_about_the_name_that_nobody_answers_keeps_no_later_request_waiting() {
    let asked = Arc::<AtomicUsize>::default();
    let port = provider().await.port();
    // The first question is never answered, so that no connection comes of it in time.
    let (first, counted) = (AtomicUsize::new(0), Arc::clone(&asked));
    let look_up: LookUp = Arc::new(move |_: Name| {
        counted.fetch_add(1, Ordering::SeqCst);
        let is_first = first.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move {
            if is_first {
                std::future::pending::<()>().await;
            }
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], 0))])
        })
    });
    let addresses = Addresses::found_by(look_up, Duration::from_mins(5));
    let impatient = within(Duration::from_millis(50), addresses.clone(), port);
    let late = ask(&impatient).await.unwrap_err();
    assert!(matches!(late, Failure::NotSent(_)), "{late:?}");
    let patient = connection(addresses, port);
    assert_eq!(ask(&patient).await.unwrap().status, 200);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn addresses_under_which_no_connection_came_about_in_time_are_asked_for_again() {
    // It accepts connections, and never begins to speak TLS.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let endpoint = Endpoint::parse(&format!("https://pay.example:{port}")).unwrap();
    let (long, short) = (Duration::from_mins(1), Duration::from_millis(50));
    for (request, connect) in [(long, short), (short, long)] {
        let asked = Arc::default();
        let addresses = moving(&[[127, 0, 0, 1]], &asked);
        let tls = tls_builder()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let patience = Patience { request, connect };
        let keeping = Keeping::default();
        let connection = Connection::found_at(addresses, endpoint.clone(), patience, keeping, tls);
        for number in 1..=2 {
            let late = ask(&connection).await.unwrap_err();
            assert!(matches!(late, Failure::NotSent(_)), "{late:?}");
            assert_eq!(asked.load(Ordering::SeqCst), number);
        }
    }
}

//! What servers and resolvers that are slow at some point can hold: no sockets beyond their deliveries, and no places of other owners.

use super::super::look_up::LookUp;
use super::*;
use std::sync::mpsc as blocking;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Somebody who waits for the first bytes on each connection, answers them or not, and waits for its end.
struct Slow {
    port: u16,
    /// Connections ever, those on which something came, and those that are open.
    seen: watch::Receiver<[usize; 3]>,
}

const ALL: usize = 0;
const SPOKEN: usize = 1;
const OPEN: usize = 2;

impl Slow {
    async fn start(answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seeing, seen) = watch::channel([0; 3]);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let seeing = seeing.clone();
                seeing.send_modify(|seen| {
                    seen[ALL] += 1;
                    seen[OPEN] += 1;
                });
                tokio::spawn(async move {
                    let mut some = [0; 4096];
                    if stream.read(&mut some).await.is_ok_and(|read| read > 0) {
                        seeing.send_modify(|seen| seen[SPOKEN] += 1);
                        drop(stream.write_all(answer).await);
                    }
                    while stream.read(&mut some).await.is_ok_and(|read| read > 0) {}
                    seeing.send_modify(|seen| seen[OPEN] -= 1);
                });
            }
        });
        Self { port, seen }
    }

    async fn until(&mut self, which: usize, number: usize) {
        self.seen.wait_for(|seen| seen[which] == number).await.unwrap();
    }
}

fn of(merchant: u128, url: &str) -> Delivery {
    let owner = Owner {
        merchant: MerchantId::from_bits(merchant),
        livemode: false,
    };
    Delivery {
        owner,
        ..delivery(url)
    }
}

fn begin(client: &Arc<VettedClient>, delivery: Delivery) -> JoinHandle<DeliveryEnd> {
    let client = Arc::clone(client);
    tokio::spawn(async move { client.post(delivery).await })
}

async fn give_up(all: Vec<JoinHandle<DeliveryEnd>>) {
    for one in all {
        one.abort();
        assert!(one.await.unwrap_err().is_cancelled());
    }
}

fn is_not_sent(end: &DeliveryEnd) -> bool {
    matches!(end, DeliveryEnd::NotSent { .. })
}

#[tokio::test]
async fn a_connection_carries_one_delivery_and_ends_with_it() {
    let mut server = Slow::start(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let client = Arc::new(client(true, &["127.0.0.1"]));
    let url = format!("http://shop.example:{}", server.port);
    for _ in 0..3 {
        assert_eq!(client.post(of(1, &url)).await, ANSWERED(200));
    }
    let at_once: Vec<_> = (0..20).map(|_| begin(&client, of(1, &url))).collect();
    for one in at_once {
        assert_eq!(one.await.unwrap(), ANSWERED(200));
    }
    server.until(OPEN, 0).await;
    assert_eq!(*server.seen.borrow(), [23, 23, 0]);
}

#[tokio::test]
async fn who_stalls_a_handshake_or_an_answer_has_no_sockets_once_the_deliveries_have_ended() {
    for scheme in ["https", "http"] {
        let mut server = Slow::start(b"").await;
        let client = Arc::new(client(true, &["127.0.0.1"]));
        let url = format!("{scheme}://shop.example:{}/", server.port);
        let all: Vec<_> = (0..30).map(|_| begin(&client, of(1, &url))).collect();
        server.until(SPOKEN, 30).await;
        assert_eq!(server.seen.borrow()[OPEN], 30);
        give_up(all).await;
        server.until(OPEN, 0).await;
    }
}

#[tokio::test]
async fn an_owner_has_so_many_deliveries_under_way_and_others_have_theirs() {
    let mut silent = Slow::start(b"").await;
    let client = Arc::new(client(true, &["127.0.0.1"]));
    let url = format!("http://shop.example:{}/", silent.port);
    let mut all: Vec<_> = (0..64).map(|_| begin(&client, of(1, &url))).collect();
    silent.until(SPOKEN, 64).await;
    let end = client.post(of(1, &url)).await;
    assert!(is_not_sent(&end), "{end:?}");
    let server = Receiver::start(status("200 OK", "")).await;
    let other = format!("http://shop.example:{}/", server.port);
    assert_eq!(client.post(of(2, &other)).await, ANSWERED(200));
    give_up(all.split_off(63)).await;
    assert_eq!(client.post(of(1, &other)).await, ANSWERED(200));
    give_up(all).await;
    silent.until(OPEN, 0).await;
}

#[tokio::test]
async fn the_node_has_so_many_deliveries_under_way_whosever_they_are() {
    let server = Receiver::start(status("200 OK", "")).await;
    let client = client(true, &["127.0.0.1"]);
    let url = format!("http://shop.example:{}/", server.port);
    let mut held = Vec::new();
    for number in 0..512 {
        let owner = of(number / 64, &url).owner;
        held.push(client.under_way.take(owner, Duration::ZERO).await.unwrap());
    }
    let end = client.post(of(9, &url)).await;
    assert!(is_not_sent(&end), "{end:?}");
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
    held.pop();
    assert_eq!(client.post(of(9, &url)).await, ANSWERED(200));
}

#[tokio::test]
async fn names_that_are_never_found_hold_four_threads_of_their_owner_and_delay_nobody_else() {
    let (entered, mut enters) = mpsc::unbounded_channel();
    let (gate, shut) = blocking::channel::<()>();
    let shut = Mutex::new(shut);
    let look_up: LookUp = Arc::new(move |name| {
        if name == "slow.example" {
            entered.send(()).unwrap();
            shut.lock().unwrap().recv().unwrap_err();
        }
        Ok(vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)])
    });
    let client = Arc::new(client_that(true, look_up));
    let server = Receiver::start(status("200 OK", "")).await;
    let [slow, quick] = ["slow", "quick"].map(|name| format!("http://{name}.example:{}/", server.port));
    let all: Vec<_> = (0..6).map(|_| begin(&client, of(1, &slow))).collect();
    for _ in 0..4 {
        enters.recv().await.unwrap();
    }
    assert_eq!(client.post(of(2, &quick)).await, ANSWERED(200));
    assert!(enters.try_recv().is_err(), "a fifth look-up of the first owner");
    // That nobody waits for them any more does not free their threads.
    give_up(all).await;
    let places = &client.look_ups.places;
    let first = of(1, &slow).owner;
    assert!(places.take(first, Duration::ZERO).await.is_none());
    drop(gate);
    assert!(places.take(first, Duration::from_mins(1)).await.is_some());
    assert_eq!(client.post(of(1, &quick)).await, ANSWERED(200));
}

#[tokio::test(start_paused = true)]
async fn a_place_for_a_look_up_is_not_waited_for_without_end() {
    let mut client = client(true, &["127.0.0.1"]);
    client.look_ups.places = Arc::new(Places::new(0, 4));
    let end = client.post(delivery("http://shop.example/")).await;
    assert!(is_not_sent(&end), "{end:?}");
    assert!(why(end).contains("too many names"));
}

#[tokio::test]
async fn a_resolver_that_could_ask_nobody_says_nothing_of_the_server() {
    let table: [(fn() -> io::Error, bool); 4] = [
        (
            || io::Error::other("failed to lookup address information: Temporary failure in name resolution"),
            true,
        ),
        (|| io::Error::from_raw_os_error(24), true),
        (
            || io::Error::other("failed to lookup address information: Name or service not known"),
            false,
        ),
        (|| io::ErrorKind::NotFound.into(), false),
    ];
    for (error, expected) in table {
        let client = client_that(true, Arc::new(move |_| Err(error())));
        let end = client.post(delivery("http://shop.example/")).await;
        assert_eq!(is_not_sent(&end), expected, "{end:?}");
    }
}

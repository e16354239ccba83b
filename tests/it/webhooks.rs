//! What merchants' own servers are sent by the real binary: everything, each payment's own in its order, under the same id whenever it comes
//! again, and signed; whatever the server does, and at whatever instruction the process ends.

use crate::deployment::{Dev, MERCHANT};
use crate::process::wait_for;
use crate::recovery::{Load, OFTEN};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Events of the long test.
const EVENTS: usize = 10_000;
/// After so many payments the process is killed.
const BETWEEN_KILLS: usize = 1_300;

/// A delivery as it came.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
    is_taken: bool,
}

impl Letter {
    pub(crate) fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What came to a server.
#[derive(Debug, Default)]
struct Inbox {
    letters: Vec<Letter>,
    times: HashMap<String, usize>,
    taken: HashSet<String>,
}

type Letters = Arc<Mutex<Inbox>>;
/// What a server does with the n-th delivery of an event, of all the so-manieth: answers with a status, or drops the connection.
type Manners = Arc<dyn Fn(usize, usize) -> Option<u16> + Send + Sync>;

/// A merchant's server. Its threads end with the connections.
pub(crate) struct Server {
    address: SocketAddr,
    letters: Letters,
}

impl Server {
    pub(crate) fn start(manners: impl Fn(usize, usize) -> Option<u16> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (letters, manners): (Letters, Manners) = (Arc::default(), Arc::new(manners));
        let all = Arc::clone(&letters);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (letters, manners) = (Arc::clone(&all), Arc::clone(&manners));
                std::thread::spawn(move || serve(stream, &letters, &manners));
            }
        });
        Self { address, letters }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks?from=florin", self.address)
    }

    pub(crate) fn all(&self) -> Vec<Letter> {
        self.letters.lock().unwrap().letters.clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.letters.lock().unwrap().letters.len()
    }

    /// Different events that it has taken.
    fn taken(&self) -> usize {
        self.letters.lock().unwrap().taken.len()
    }
}

fn serve(stream: TcpStream, letters: &Letters, manners: &Manners) {
    let mut answers = stream.try_clone().unwrap();
    let mut requests = BufReader::new(stream);
    while let Some((headers, body)) = read(&mut requests) {
        let status = {
            let mut inbox = letters.lock().unwrap();
            let id = headers["webhook-id"].clone();
            let times = inbox.times.entry(id.clone()).or_default();
            let nth = *times;
            *times += 1;
            let status = manners(nth, inbox.letters.len());
            let is_taken = status.is_some_and(|status| status < 300);
            if is_taken {
                inbox.taken.insert(id);
            }
            inbox.letters.push(Letter {
                headers,
                body,
                is_taken,
            });
            status
        };
        let Some(status) = status else { return };
        let answer = format!("HTTP/1.1 {status} Answer\r\nContent-Length: 0\r\n\r\n");
        if answers.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(requests: &mut BufReader<TcpStream>) -> Option<(HashMap<String, String>, Vec<u8>)> {
    let mut line = String::new();
    requests.read_line(&mut line).ok()?;
    let mut headers = HashMap::new();
    loop {
        line.clear();
        requests.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    requests.read_exact(&mut body).ok()?;
    Some((headers, body))
}

/// HMAC-SHA256 after RFC 2104, so that signatures are not checked by what made them.
fn hmac(key: &[u8], parts: &[&[u8]]) -> String {
    let mut block = [0_u8; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let mut inner = Sha256::new_with_prefix(block.map(|byte| byte ^ 0x36));
    for part in parts {
        inner.update(part);
    }
    let outer = Sha256::new_with_prefix(block.map(|byte| byte ^ 0x5c)).chain_update(inner.finalize());
    let mut text = String::new();
    for byte in outer.finalize() {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

#[track_caller]
pub(crate) fn check_signature(letter: &Letter, secret: &str) {
    let signature = &letter.headers["stripe-signature"];
    let (at, signed) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    assert_eq!(
        signed,
        hmac(secret.as_bytes(), &[at.as_bytes(), b".", &letter.body]),
        "{letter:?}"
    );
    assert_eq!(letter.headers["webhook-timestamp"], at);
}

fn make(dev: &Dev, url: &str) -> (String, String) {
    let body = json!({"url": url, "enabled_events": ["*"]});
    let made = dev
        .merchant()
        .post("make", "/v1/webhook_endpoints", &body)
        .expect(200)
        .json();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

/// Each payment's events came for the first time in their order, all of them, always with the same id and the same bytes.
#[track_caller]
pub(crate) fn check_order(letters: &[Letter]) -> BTreeMap<String, Vec<String>> {
    let mut seen: BTreeMap<String, Vec<(String, Vec<u8>)>> = BTreeMap::new();
    for letter in letters {
        let event = letter.event();
        let id = event["id"].as_str().unwrap();
        assert_eq!(letter.headers["webhook-id"], id);
        let of_payment = seen
            .entry(event["payment_id"].as_str().unwrap().to_owned())
            .or_default();
        let place = usize::try_from(event["sequence"].as_u64().unwrap()).unwrap() - 1;
        assert!(place <= of_payment.len(), "{id} came before those before it");
        match of_payment.get(place) {
            Some(first) => assert_eq!((first.0.as_str(), &first.1), (id, &letter.body)),
            None => of_payment.push((id.to_owned(), letter.body.clone())),
        }
    }
    let ids = |events: Vec<(String, Vec<u8>)>| events.into_iter().map(|event| event.0).collect();
    seen.into_iter()
        .map(|(payment, events)| (payment, ids(events)))
        .collect()
}

#[test]
fn x_06_ten_thousand_events_reach_a_server_that_fails_at_random_in_order_and_complete_across_crashes() {
    // One in eight is refused or dropped the first time that it comes.
    let server = Server::start(|nth, count| match (nth, count * 2_654_435_761 % 16) {
        (0, 3) => Some(500),
        (0, 11) => None,
        _ => Some(200),
    });
    let (folder, mut dev) = Dev::fresh(&OFTEN);
    let (_, secret) = make(&dev, &server.url());
    let load = Load::start(dev.api, MERCHANT);
    loop {
        load.wait_for_more(BETWEEN_KILLS);
        let so_far = server.count();
        if so_far >= EVENTS {
            break;
        }
        dev.process.kill_9();
        dev = Dev::start(folder.path(), &OFTEN);
        load.move_to(dev.api);
        wait_for("deliveries after the start", || {
            (server.count() > so_far).then_some(())
        });
    }
    drop(load.finish());
    wait_for("all payments to end", || {
        let unresolved = dev.operator().read("/v1/ops/unresolved");
        unresolved["data"].as_array().unwrap().is_empty().then_some(())
    });
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut events = dev.merchant().read_all("/v1/events");
    events.reverse();
    for event in &events {
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        all.entry(text("payment_id")).or_default().push(text("id"));
    }
    assert!(events.len() >= EVENTS, "{}", events.len());
    wait_for("everything to arrive", || {
        (server.taken() == events.len()).then_some(())
    });
    let letters = server.all();
    assert_eq!(check_order(&letters), all);
    assert!(letters.iter().any(|letter| !letter.is_taken));
    for letter in letters.iter().step_by(97) {
        check_signature(letter, &secret);
    }
    dev.stop();
}

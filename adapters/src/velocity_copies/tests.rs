//! What is added to which counter, and a server that has them, or has not.

use super::*;
use crate::schema::v1::payment::samples::{payment_id, spec as sample};
use florin_domain::ids::MerchantId;
use florin_domain::money::{Amount, Currency};
use florin_domain::time::Timestamp;
use florin_services::{Redis as Server, RedisProgram};
use std::sync::Mutex;
use tokio::sync::Semaphore;

const MERCHANT: MerchantId = MerchantId::from_bits(7);

fn spec(customer: Option<&str>, amount_minor: i128) -> Spec {
    Spec {
        customer: customer.map(Into::into),
        currency: Currency::EUR,
        amount: Amount::new(amount_minor).unwrap(),
        ..sample(payment_id(1, 1), MERCHANT, false, Timestamp::from_unix_ms(1))
    }
}

/// Counters that take what they are given once they may.
#[derive(Debug)]
struct Gated {
    gate: Semaphore,
    taken: Mutex<Vec<Added>>,
}

impl Counters for Gated {
    fn add(&self, added: Vec<Added>) -> BoxFuture<'_, Result<(), Unreachable>> {
        Box::pin(async move {
            self.gate.acquire().await.unwrap().forget();
            self.taken.lock().unwrap().extend(added);
            Ok(())
        })
    }
}

fn gated(open: usize) -> Arc<Gated> {
    Arc::new(Gated {
        gate: Semaphore::new(open),
        taken: Mutex::default(),
    })
}

#[tokio::test(start_paused = true)]
async fn each_event_counts_under_the_names_of_its_rows_for_their_times() {
    let counters = gated(9);
    let copies = CopiedVelocity::start(Arc::clone(&counters) as _);
    copies.tell(&spec(Some("cus_a"), 1_250), CountedEvent::Payment);
    copies.tell(&spec(Some("cus_a"), 1_250), CountedEvent::Decline);
    copies.tell(&spec(None, 9), CountedEvent::Payment);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let user = format!("velocity:user:{MERCHANT}:test:cus_a");
    let wanted = [
        ("1m", None, 1, 60),
        ("1h", None, 1, 3_600),
        ("amount:1d", Some("EUR"), 1_250, 86_400),
        ("failed:1h", None, 1, 3_600),
    ]
    .map(|(counter, field, by, lifetime_s)| Added {
        key: format!("{user}:{counter}"),
        field,
        by,
        lifetime: Duration::from_secs(lifetime_s),
    });
    assert_eq!(*counters.taken.lock().unwrap(), wanted);
}

#[test]
fn no_customer_is_called_as_anothers_counter_is() {
    let user = |customer: &str| user(&spec(Some(customer), 1)).unwrap();
    let [one, other] = ["x:failed", "x%3Afailed"].map(user);
    assert!(one.ends_with(":x%3Afailed") && other.ends_with(":x%253Afailed"));
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_is_left_out_and_nobody_waits() {
    let counters = gated(0);
    let copies = CopiedVelocity::start(Arc::clone(&counters) as _);
    for _ in 0..3 * NOTES_MAX {
        copies.tell(&spec(Some("cus_a"), 1), CountedEvent::Decline);
    }
    counters.gate.add_permits(3 * NOTES_MAX);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(counters.taken.lock().unwrap().len(), NOTES_MAX);
    copies.tell(&spec(Some("cus_b"), 1), CountedEvent::Decline);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(counters.taken.lock().unwrap().len(), NOTES_MAX + 1, "it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_counts_and_leaves_alone_what_is_none_of_ours() {
    let server = Server::start_anywhere(&RedisProgram::find().unwrap(), &[]).unwrap();
    let redis = Redis::start(&server.url(), Duration::from_secs(20)).unwrap();
    redis.connected().await;
    let begins = |customer: &str| {
        let spec = spec(Some(customer), 1_250);
        let user = user(&spec).unwrap();
        [
            CountedEvent::Payment,
            CountedEvent::Payment,
            CountedEvent::Decline,
        ]
        .into_iter()
        .flat_map(|event| added(&user, &spec, event))
        .collect::<Vec<Added>>()
    };
    let name = |customer: &str, counter: &str| format!("velocity:user:{MERCHANT}:test:{customer}:{counter}");
    let ask = |command: String| server.ask(&command).unwrap().trim_end().to_owned();
    ask(format!("SET {} text", name("cus_b", "1h")));
    redis.add(begins("cus_a")).await.unwrap();
    redis.add(begins("cus_b")).await.unwrap();
    for customer in ["cus_a", "cus_b"] {
        assert_eq!(ask(format!("GET {}", name(customer, "1m"))), "$1\r\n2");
        assert_eq!(ask(format!("GET {}", name(customer, "failed:1h"))), "$1\r\n1");
        assert_eq!(
            ask(format!("HGET {} EUR", name(customer, "amount:1d"))),
            "$4\r\n2500"
        );
    }
    assert_eq!(ask(format!("GET {}", name("cus_b", "1h"))), "$4\r\ntext");
    assert_eq!(ask(format!("TTL {}", name("cus_b", "1h"))), ":-1");
    for (counter, lifetime_s) in [
        ("1m", 60),
        ("1h", 3_600),
        ("failed:1h", 3_600),
        ("amount:1d", 86_400),
    ] {
        let left: i64 = ask(format!("TTL {}", name("cus_a", counter)))[1..]
            .parse()
            .unwrap();
        assert!(lifetime_s / 60 < left && left <= lifetime_s, "{counter}: {left}");
    }
}

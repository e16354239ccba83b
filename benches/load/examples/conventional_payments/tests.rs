//! The conventional design does what it promises: it would be no yardstick if it were wrong.

use std::collections::BTreeSet;
use std::sync::Arc;

use florin_services::{TestDatabase, TestRedis};

use super::load::payment;
use super::service::{Answer, Locks, Service};
use super::{Arguments, books};

struct World {
    database: TestDatabase,
    redis: TestRedis,
}

impl World {
    async fn new(merchants: u64) -> Self {
        let (database, redis) = (TestDatabase::new().unwrap(), TestRedis::new().unwrap());
        books::make_tables(database.url(), merchants).await.unwrap();
        Self { database, redis }
    }

    async fn service(&self, locks: Locks) -> Arc<Service> {
        let places = (self.database.url(), self.redis.url());
        Arc::new(Service::connect(places, locks, 4).await.unwrap())
    }
}

#[tokio::test]
async fn many_who_ask_for_the_same_payment_at_once_get_one_answer_and_one_is_written() {
    let world = World::new(1).await;
    let service = world.service(Locks::Key).await;
    let mut wanted = payment(7, 1).unwrap();
    wanted.key = format!("same-{}", std::process::id());
    let asking: Vec<_> = (0..8)
        .map(|number| {
            let (service, mut mine) = (Arc::clone(&service), wanted.clone());
            // Each would give it an id of its own.
            mine.id = number;
            tokio::spawn(async move { service.pay(&mine).await.unwrap() })
        })
        .collect();
    let mut answers: Vec<Answer> = Vec::new();
    for asked in asking {
        answers.push(asked.await.unwrap());
    }
    let ids: BTreeSet<i64> = answers.iter().map(|answer| answer.id).collect();
    assert_eq!(ids.len(), 1, "{answers:?}");
    books::audit(world.database.url(), 1).await.unwrap();
    // A service of later, whose first answer comes from Redis.
    let again = world.service(Locks::Key).await.pay(&wanted).await.unwrap();
    assert_eq!(again, answers[0]);
}

#[tokio::test]
async fn payments_of_one_merchant_meet_and_all_are_written() {
    let world = World::new(1).await;
    for (first, locks) in [(0, Locks::Key), (100, Locks::KeyAndAccount)] {
        let service = world.service(locks).await;
        let paying: Vec<_> = (first..first + 20)
            .map(|number| {
                let service = Arc::clone(&service);
                let mut payment = payment(number, 1).unwrap();
                payment.key = format!("{}-{}", payment.key, std::process::id());
                tokio::spawn(async move { service.pay(&payment).await.map(drop) })
            })
            .collect();
        for paid in paying {
            paid.await.unwrap().unwrap();
        }
    }
    books::audit(world.database.url(), 40).await.unwrap();
    assert!(books::audit(world.database.url(), 41).await.is_err());
}

#[test]
fn arguments_have_defaults_and_refuse_what_is_no_number() {
    let parse = |words: &[&str]| {
        Arguments::parse(words.iter().map(|&word| word.to_owned())).map_err(|fault| fault.to_string())
    };
    let of = |seconds, callers, connections, hot_connections| {
        Ok(Arguments {
            seconds,
            callers,
            connections,
            hot_connections,
        })
    };
    assert_eq!(parse(&[]), of(8, 512, 16, 4));
    assert_eq!(parse(&["2", "64", "8", "3"]), of(2, 64, 8, 3));
    for (words, part) in [
        (vec!["0"], "seconds must be"),
        (vec!["2", "many"], "callers must be"),
        (vec!["2", "3", "-4"], "connections must be"),
        (vec!["2", "3", "4", "5", "6"], "`6` is one argument too many"),
    ] {
        let error = parse(&words).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

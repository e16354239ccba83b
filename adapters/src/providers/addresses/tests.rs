//! Tests of the module beside it, in virtual time.

use super::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// A system that counts what it is asked, and answers with what it has at the time.
#[derive(Debug, Default)]
struct System {
    asked: AtomicUsize,
    /// The last byte of the address; nobody has 0.
    host: AtomicUsize,
    /// Questions wait for it, if there is one.
    gate: Option<Notify>,
    /// It says nothing at all.
    is_mute: AtomicBool,
}

impl System {
    fn answering(host: usize) -> Arc<Self> {
        Arc::new(Self {
            host: AtomicUsize::new(host),
            ..Self::default()
        })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn moves_to(&self, host: usize) {
        self.host.store(host, Ordering::SeqCst);
    }

    fn addresses(self: &Arc<Self>) -> Addresses {
        let system = Arc::clone(self);
        let look_up = move |_name| -> Looking {
            let system = Arc::clone(&system);
            Box::pin(async move {
                system.asked.fetch_add(1, Ordering::SeqCst);
                if let Some(gate) = &system.gate {
                    gate.notified().await;
                }
                if system.is_mute.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                match u8::try_from(system.host.load(Ordering::SeqCst)).unwrap() {
                    0 => Err(io::Error::new(io::ErrorKind::NotFound, "no such host")),
                    255 => Ok(Vec::new()),
                    host => Ok(vec![address(host)]),
                }
            })
        };
        Addresses::found_by(Arc::new(look_up), Duration::from_mins(5))
    }
}

fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], 0))
}

async fn ask(addresses: &Addresses, name: &str) -> io::Result<Vec<SocketAddr>> {
    let found = addresses.clone().call(name.parse().unwrap()).await;
    found.map(Iterator::collect)
}

#[tokio::test(start_paused = true)]
async fn addresses_are_kept_for_five_minutes_and_asked_for_again_afterwards() {
    let system = System::answering(1);
    let addresses = system.addresses();
    for _ in 0..3 {
        assert_eq!(ask(&addresses, "pay.example").await.unwrap(), [address(1)]);
    }
    system.moves_to(2);
    tokio::time::advance(Duration::from_millis(299_999)).await;
    assert_eq!(ask(&addresses, "pay.example").await.unwrap(), [address(1)]);
    assert_eq!(system.asked(), 1);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(ask(&addresses, "pay.example").await.unwrap(), [address(2)]);
    assert_eq!(system.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn addresses_under_which_nobody_was_reached_are_asked_for_at_once() {
    let system = System::answering(1);
    let addresses = system.addresses();
    ask(&addresses, "pay.example").await.unwrap();
    system.moves_to(2);
    addresses.clone().forget();
    assert_eq!(ask(&addresses, "pay.example").await.unwrap(), [address(2)]);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_not_found_is_asked_for_again_after_a_second() {
    for nobody in [0, 255] {
        let system = System::answering(nobody);
        let addresses = system.addresses();
        for _ in 0..3 {
            let missing = ask(&addresses, "pay.example").await.unwrap_err();
            assert_eq!(missing.kind(), io::ErrorKind::NotFound);
            // Whoever asked has not reached anybody.
            addresses.forget();
        }
        system.moves_to(1);
        tokio::time::advance(Duration::from_millis(999)).await;
        assert!(ask(&addresses, "pay.example").await.is_err());
        assert_eq!(system.asked(), 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(ask(&addresses, "pay.example").await.unwrap(), [address(1)]);
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_at_the_same_time_shares_one_answer() {
    let system = Arc::new(System {
        host: AtomicUsize::new(1),
        gate: Some(Notify::new()),
        ..System::default()
    });
    let addresses = system.addresses();
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let addresses = addresses.clone();
            tokio::spawn(async move { ask(&addresses, "pay.example").await })
        })
        .collect();
    // One that no longer wants to know leaves the question to the others, and nobody who was not reached waits for the answer.
    while system.asked() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(system.asked(), 1);
    addresses.forget();
    asking[0].abort();
    let gate = system.gate.as_ref().unwrap();
    gate.notify_one();
    let mut answered = 0;
    for asked in asking {
        if let Ok(found) = asked.await {
            assert_eq!(found.unwrap(), [address(1)]);
            answered += 1;
        }
        // Whoever asks in place of the one that left is let through as well.
        gate.notify_one();
    }
    assert_eq!(answered, 99);
    assert!(system.asked() <= 2, "{} questions", system.asked());
}

#[tokio::test(start_paused = true)]
async fn another_name_is_not_answered_with_what_is_kept() {
    let system = System::answering(1);
    let addresses = system.addresses();
    ask(&addresses, "pay.example").await.unwrap();
    system.moves_to(2);
    assert_eq!(ask(&addresses, "pay2.example").await.unwrap(), [address(2)]);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_not_answered_ends_after_two_seconds() {
    let system = System::answering(1);
    system.is_mute.store(true, Ordering::SeqCst);
    for kept_for in [Duration::from_mins(5), Duration::ZERO] {
        let addresses = Addresses {
            kept_for,
            ..system.addresses()
        };
        let began = Instant::now();
        let missing = ask(&addresses, "pay.example").await.unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), Duration::from_secs(2));
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_system_fails_the_last_addresses_stand_in_for_an_hour() {
    for is_mute in [false, true] {
        let system = System::answering(1);
        let addresses = system.addresses();
        ask(&addresses, "pay.example").await.unwrap();
        let found = Instant::now();
        system.moves_to(0);
        system.is_mute.store(is_mute, Ordering::SeqCst);
        let may_last = Duration::from_mins(5) + Duration::from_hours(1);
        for after in [
            Duration::from_mins(5),
            may_last.saturating_sub(Duration::from_secs(20)),
        ] {
            tokio::time::advance(after.saturating_sub(found.elapsed())).await;
            // Who waits for a connection does not wait long, and another name's addresses are none of its.
            let began = Instant::now();
            assert_eq!(ask(&addresses, "pay.example").await.unwrap(), [address(1)]);
            assert!(began.elapsed() <= Duration::from_millis(500));
            assert!(ask(&addresses, "pay2.example").await.is_err());
        }
        // The provider was not there when it was asked for; that ends nothing.
        addresses.forget();
        assert_eq!(ask(&addresses, "pay.example").await.unwrap(), [address(1)]);
        tokio::time::advance(may_last.saturating_sub(found.elapsed())).await;
        assert!(ask(&addresses, "pay.example").await.is_err(), "an hour is over");
        system.moves_to(2);
        system.is_mute.store(false, Ordering::SeqCst);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(ask(&addresses, "pay.example").await.unwrap(), [address(2)]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_late_is_kept_for_the_next_one() {
    let system = Arc::new(System {
        host: AtomicUsize::new(1),
        gate: Some(Notify::new()),
        ..System::default()
    });
    let (addresses, gate) = (system.addresses(), system.gate.as_ref().unwrap());
    gate.notify_one();
    ask(&addresses, "pay.example").await.unwrap();
    tokio::time::advance(Duration::from_mins(5)).await;
    system.moves_to(2);
    assert_eq!(ask(&addresses, "pay.example").await.unwrap(), [address(1)]);
    gate.notify_one();
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    assert_eq!(ask(&addresses, "pay.example").await.unwrap(), [address(2)]);
    assert_eq!(system.asked(), 2);
}

#[tokio::test]
async fn the_system_knows_this_machine() {
    let addresses = Addresses::of_system(Duration::from_mins(5));
    let found = ask(&addresses, "localhost").await.unwrap();
    assert!(
        found.iter().all(|address| address.ip().is_loopback()),
        "{found:?}"
    );
}

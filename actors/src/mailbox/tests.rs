//! The gate admits exactly as many messages as it may, gives every other one back, and frees each place once.

use super::{Caps, Class, Envelope, Mailbox, Refused};
use crate::kind::{Kind, KindStats};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Handles one message per permit.
struct Stalled;

impl Actor for Stalled {
    type Msg = Envelope<u64>;
    type State = Arc<Semaphore>;
    type Arguments = Arc<Semaphore>;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        permits: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(permits)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        permits: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (message, _slot) = envelope.open();
        permits.acquire().await?.forget();
        if message == POISON {
            Err("poisoned".into())
        } else {
            Ok(())
        }
    }
}

const POISON: u64 = u64::MAX;
const CAPS: Caps = Caps { soft: 8, hard: 12 };

fn mailbox(caps: Caps) -> Mailbox<u64> {
    Mailbox::new(caps, Arc::new(KindStats::new(Kind::Payment)))
}

async fn stalled(caps: Caps) -> (Mailbox<u64>, Arc<Semaphore>) {
    let (mailbox, permits) = (mailbox(caps), Arc::new(Semaphore::new(0)));
    let (actor, _) = Actor::spawn(None, Stalled, Arc::clone(&permits)).await.unwrap();
    mailbox.attach(actor);
    (mailbox, permits)
}

async fn until_depth(mailbox: &Mailbox<u64>, depth: usize) {
    let reached = async {
        while mailbox.gate().depth() != depth {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let found = || format!("the depth stays at {}, not {depth}", mailbox.gate().depth());
    tokio::time::timeout(Duration::from_secs(30), reached)
        .await
        .unwrap_or_else(|_| panic!("{}", found()));
}

/// Sends until a message of this class is refused; how many were accepted.
fn fill(mailbox: &Mailbox<u64>, class: Class) -> usize {
    (0..1000).take_while(|n| mailbox.send(class, *n).is_ok()).count()
}

#[tokio::test]
async fn each_class_is_admitted_exactly_up_to_its_cap_and_internal_messages_always() {
    let (mailbox, permits) = stalled(CAPS).await;
    assert_eq!(fill(&mailbox, Class::New), CAPS.soft);
    assert_eq!(fill(&mailbox, Class::FollowUp), CAPS.hard - CAPS.soft);
    for class in [Class::New, Class::FollowUp] {
        let returned = mailbox.send(class, 77).unwrap_err();
        assert_eq!(
            (returned.message, returned.why),
            (77, Refused::Full { depth: CAPS.hard })
        );
    }
    assert_eq!(fill(&mailbox, Class::Internal), 1000);
    assert_eq!(mailbox.gate().depth(), CAPS.hard + 1000);
    let stats = &mailbox.gate().stats;
    assert_eq!(stats.shed.load(Ordering::SeqCst), 4, "each refusal is counted");

    permits.add_permits(1000 + CAPS.hard);
    until_depth(&mailbox, 0).await;
    assert_eq!(stats.depth(), 0);
    assert_eq!(
        fill(&mailbox, Class::New),
        CAPS.soft,
        "every place was freed once"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn senders_in_parallel_never_exceed_the_cap() {
    let caps = Caps {
        soft: 1000,
        hard: 1000,
    };
    let (mailbox, permits) = stalled(caps).await;
    let senders: Vec<_> = (0..8)
        .map(|_| {
            let mailbox = mailbox.clone();
            tokio::task::spawn_blocking(move || {
                (0..1000).filter(|n| mailbox.send(Class::New, *n).is_ok()).count()
            })
        })
        .collect();
    let mut accepted = 0;
    for sender in senders {
        accepted += sender.await.unwrap();
    }
    assert_eq!(accepted, caps.soft);
    permits.add_permits(accepted);
    until_depth(&mailbox, 0).await;
}

#[tokio::test]
async fn a_place_is_held_until_its_message_has_been_handled() {
    let (mailbox, permits) = stalled(Caps { soft: 2, hard: 2 }).await;
    assert_eq!(fill(&mailbox, Class::New), 2);
    // The first is being handled by now, and still counts.
    tokio::task::yield_now().await;
    assert!(mailbox.send(Class::New, 3).is_err());
    permits.add_permits(1);
    until_depth(&mailbox, 1).await;
    mailbox.send(Class::New, 4).unwrap();
}

#[tokio::test]
async fn without_an_actor_or_behind_a_closed_gate_messages_come_back() {
    let nobody = mailbox(CAPS);
    for class in [Class::New, Class::FollowUp, Class::Internal] {
        let returned = nobody.send(class, 5).unwrap_err();
        assert_eq!((returned.message, returned.why), (5, Refused::Gone));
    }
    assert_eq!(nobody.gate().depth(), 0);

    let (mailbox, _permits) = stalled(CAPS).await;
    mailbox.gate().close();
    for class in [Class::New, Class::FollowUp] {
        let returned = mailbox.send(class, 6).unwrap_err();
        assert_eq!((returned.message, returned.why), (6, Refused::Gone));
    }
    mailbox.send(Class::Internal, 7).unwrap();
    assert_eq!(mailbox.gate().depth(), 1);
}

#[tokio::test]
async fn the_places_of_an_actor_that_is_killed_or_crashes_are_freed_and_its_successor_is_found() {
    for crash in [false, true] {
        let (mailbox, permits) = stalled(CAPS).await;
        mailbox.send(Class::New, POISON).unwrap();
        assert_eq!(fill(&mailbox, Class::FollowUp), CAPS.hard - 1);
        if crash {
            permits.add_permits(1);
        } else {
            mailbox.actor().unwrap().kill();
        }
        until_depth(&mailbox, 0).await;
        let returned = mailbox.send(Class::Internal, 8).unwrap_err();
        assert_eq!((returned.message, returned.why), (8, Refused::Gone));

        let (successor, _) = Actor::spawn(None, Stalled, Arc::clone(&permits)).await.unwrap();
        mailbox.attach(successor);
        assert_eq!(fill(&mailbox, Class::New), CAPS.soft);
        permits.add_permits(CAPS.soft);
        until_depth(&mailbox, 0).await;
    }
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn two_million_sends_to_a_stalled_actor_are_refused_at_once_and_take_no_memory() {
    const SENDS: u64 = 2_000_000;
    let caps = Caps {
        soft: 4096,
        hard: 8192,
    };
    let (mailbox, permits) = stalled(caps).await;
    let before = resident_kib();
    let (mut accepted, mut returned) = (0, 0);
    for n in 0..SENDS {
        match mailbox.send(Class::New, n) {
            Ok(()) => accepted += 1,
            Err(refused) => {
                assert_eq!(refused.message, n);
                returned += 1;
            }
        }
    }
    let grown = resident_kib().saturating_sub(before);
    assert_eq!((accepted, returned), (caps.soft, SENDS - caps.soft as u64));
    assert!(grown < 16 * 1024, "the process grew by {grown} KiB");
    permits.add_permits(accepted);
    until_depth(&mailbox, 0).await;
}

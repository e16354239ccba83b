//! What is refused, and that a refusal stores nothing.

use crate::provider::{Script, Scripted};
use crate::world::{Answered, World, answers, let_settle, options, submit, submit_all, until};
use florin_actors::admission::{AdmissionCaps, Shed};
use florin_actors::options::{Options, ProviderCaps, ProviderTerms};
use florin_actors::payment::NotStored;
use florin_actors::payments_handle::RequestError;
use florin_domain::payment::Answer;
use florin_domain::ports::OpsView as _;
use florin_supervisors::platform::Platform;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn with_caps(in_flight_max: usize, index_lag_max: u64) -> World {
    let admission = AdmissionCaps {
        in_flight_max,
        index_lag_max,
    };
    World::with(
        31,
        Options {
            admission,
            ..options()
        },
        Scripted::new(false, true),
    )
}

/// What a load balancer is told.
fn not_ready(platform: &Platform) -> Option<&'static str> {
    platform.ops(Box::new(String::new)).not_ready()
}

fn shed(answer: &Answered) -> Option<Shed> {
    match answer {
        Err(RequestError::Shed(why)) => Some(*why),
        Ok(_) | Err(_) => None,
    }
}

#[test]
fn as_many_operations_as_allowed_are_in_flight_and_the_rest_is_refused_at_once() {
    with_caps(10, 200_000).life(async |world, platform| {
        for n in 0..30 {
            world.script(n, Script::Held);
        }
        world.provider.latch.close();
        let admitted = submit_all(&platform.payments(), 0..10);
        until("all are in flight", || {
            platform.context().admission.in_flight() == 10
        })
        .await;
        let refused = answers(submit_all(&platform.payments(), 10..30)).await;
        assert!(
            refused
                .iter()
                .all(|(_, answer)| shed(answer) == Some(Shed::InFlight)),
            "{refused:?}"
        );
        world.provider.latch.open();
        let admitted = answers(admitted).await;
        assert!(
            admitted
                .iter()
                .all(|(_, answer)| answer.as_ref().is_ok_and(|ok| ok.answer == Answer::Shown))
        );
        world.check_not_stored(&refused);
        let all: Vec<_> = admitted.into_iter().chain(refused).collect();
        world.resolve_all(&platform, &all).await;
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn new_work_waits_for_an_index_that_has_fallen_behind() {
    with_caps(100, 6).life(async |world, platform| {
        world.views().gate();
        let mut refused = Vec::new();
        for n in 0..10 {
            let answer = submit(&platform.payments(), n).await;
            match shed(&answer) {
                None => assert_eq!(answer.unwrap().answer, Answer::Shown),
                Some(why) => {
                    assert_eq!(why, Shed::IndexLag);
                    refused.push((n, answer));
                }
            }
        }
        // Two commits each: the fourth payment takes the lag above six.
        assert_eq!(refused.len(), 6);
        assert_eq!(not_ready(&platform), Some("indexes_behind"));
        world.check_not_stored(&refused);
        world.views().ungate();
        until("the view has caught up", || platform.context().lag.commits() == 0).await;
        assert_eq!(not_ready(&platform), None);
        world.resolve_all(&platform, &refused).await;
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn an_index_of_keys_that_has_caught_up_is_noticed_although_nothing_is_written() {
    with_caps(100, 6).life(async |world, platform| {
        // As the last append has found it.
        platform.context().lag.set_keys(7);
        assert_eq!(not_ready(&platform), Some("indexes_behind"));
        let refused = vec![(0, submit(&platform.payments(), 0).await)];
        assert_eq!(shed(&refused[0].1), Some(Shed::IndexLag));
        until("payments are taken again", || not_ready(&platform).is_none()).await;
        world.resolve_all(&platform, &refused).await;
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn a_full_store_refuses_new_work_and_lands_what_is_in_flight_when_there_is_room() {
    // Before the first commit, and between charge and second commit.
    for first_commit_lands in [false, true] {
        World::new(32).life(async |world, platform| {
            let (payments, context) = (platform.payments(), platform.context());
            for n in 0..10 {
                world.script(n, Script::Held);
            }
            world.provider.latch.close();
            if !first_commit_lands {
                world.faults.no_room.store(true, Ordering::SeqCst);
            }
            let in_flight = submit_all(&payments, 0..10);
            if first_commit_lands {
                until("all are stored", || world.truth().payments.len() == 10).await;
                world.faults.no_room.store(true, Ordering::SeqCst);
            }
            world.provider.latch.open();
            tokio::time::sleep(Duration::from_secs(2)).await;
            let refused = vec![(20, submit(&payments, 20).await)];
            assert_eq!(shed(&refused[0].1), Some(Shed::NoRoom));
            assert_eq!(not_ready(&platform), Some("journal_full"));
            assert!(
                in_flight.iter().all(|(_, task)| !task.is_finished()),
                "nothing is answered before it is durable"
            );
            assert_eq!(context.admission.in_flight(), 10);

            world.faults.no_room.store(false, Ordering::SeqCst);
            let in_flight = answers(in_flight).await;
            world.check_replies(&in_flight);
            for (n, answer) in in_flight {
                assert_eq!(answer.unwrap().answer, Answer::Shown, "{n}");
            }
            assert_eq!(not_ready(&platform), None);
            world.check_not_stored(&refused);
            world.resolve_all(&platform, &refused).await;
            world.check_at_rest(&platform).await;
        });
    }
}

#[test]
fn a_store_that_stays_full_beyond_the_budget_leaves_callers_with_a_true_answer() {
    World::new(33).life(async |world, platform| {
        world.faults.no_room.store(true, Ordering::SeqCst);
        let asked = answers(submit_all(&platform.payments(), 0..10)).await;
        assert!(
            asked
                .iter()
                .all(|(_, answer)| matches!(answer, Err(RequestError::Lost))),
            "{asked:?}"
        );
        world.faults.no_room.store(false, Ordering::SeqCst);
        let_settle().await;
        world.resolve_all(&platform, &asked).await;
        assert_eq!(
            world.check_always().payments.len(),
            10,
            "what was admitted lands once"
        );
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn calls_that_their_callers_left_behind_do_not_pile_up_at_a_provider_that_hangs() {
    let admission = AdmissionCaps {
        in_flight_max: 2,
        index_lag_max: 200_000,
    };
    let caps = ProviderCaps {
        permits: 1,
        queue_max: 1000,
    };
    let options = Options {
        admission,
        provider_terms: ProviderTerms {
            caps,
            cost_bps: 290,
            settles_within: None,
        },
        ..options()
    };
    World::with(37, options, Scripted::new(false, true)).life(async |world, platform| {
        for n in 0..10 {
            world.script(n, Script::Held);
        }
        world.provider.latch.close();
        let mut not_sent = 0;
        for first in [0, 2, 4, 6, 8] {
            let round = answers(submit_all(&platform.payments(), first..first + 2)).await;
            for (_, answer) in round {
                match answer.unwrap().answer {
                    Answer::Unresolved => {}
                    Answer::NoProvider => not_sent += 1,
                    other => panic!("the provider hangs, yet the answer is {other:?}"),
                }
            }
            let seat = &platform.context().providers[0];
            assert!(seat.waiting.load(Ordering::SeqCst) <= 2);
        }
        assert!(not_sent > 0, "the bound was never reached");
        world.provider.latch.open();
        let_settle().await;
        for n in 0..10 {
            let answer = submit(&platform.payments(), n).await.unwrap().answer;
            assert_eq!(answer, Answer::Shown);
        }
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn a_provider_without_terms_of_its_own_takes_50_requests_and_25_more_wait() {
    let options = Options {
        provider_terms: Options::default().provider_terms,
        ..options()
    };
    World::with(38, options, Scripted::new(false, true)).life(async |world, platform| {
        world.provider.latch.close();
        let seat = &platform.context().providers[0];
        let places = || {
            (
                seat.in_flight.load(Ordering::SeqCst),
                seat.waiting.load(Ordering::SeqCst),
            )
        };
        let mut asked = Vec::new();
        for n in 0..75_usize {
            world.script(n, Script::Held);
            asked.extend(submit_all(&platform.payments(), [n]));
            let expected = ((n + 1).min(50), (n + 1).saturating_sub(50));
            until("it has its place", || places() == expected).await;
        }
        let beyond = submit(&platform.payments(), 75).await;
        assert!(
            matches!(beyond, Err(RequestError::NotStored(NotStored::Busy))),
            "{beyond:?}"
        );
        world.provider.latch.open();
        for (n, answer) in answers(asked).await {
            assert_eq!(answer.unwrap().answer, Answer::Shown, "{n}");
        }
        world.check_at_rest(&platform).await;
    });
}

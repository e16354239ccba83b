//! What the endpoints in memory promise; the store on disk promises the same.

use super::*;
use crate::webhooks::samples::{At, create, noted, owner, page, place, row, secret};
use zeroize::Zeroizing;

fn endpoints() -> (Arc<At>, MemoryEndpoints) {
    let clock = Arc::new(At::default());
    (Arc::clone(&clock), MemoryEndpoints::new(clock))
}

fn once(key: u8, asked: &[u8]) -> Once {
    Once {
        key: KeyDigest([key; 16]),
        asked: Zeroizing::new(asked.to_vec()),
    }
}

const ID: EndpointId = EndpointId::from_bits(1);

async fn progress(endpoints: &MemoryEndpoints) -> Progress {
    endpoints.open(ID).await.unwrap().unwrap().1
}

#[tokio::test]
async fn one_that_was_failing_goes_on_where_it_stopped_and_another_does_not() {
    let (_, endpoints) = endpoints();
    endpoints.change(owner(1), create(1, 5), None).await.unwrap();
    let payment = PaymentId::from_bits(9);
    let parked = Parked {
        next: 3,
        attempts: 10,
        due: Timestamp::from_unix_ms(77),
    };
    let failing = Noted {
        parked: vec![(payment, Some(parked))],
        disabled: Some(WhyDisabled::Failing),
        ..noted(1, 8)
    };
    endpoints.note(failing).await.unwrap();
    let enable = EndpointChange::Enable(ID, place(50));
    endpoints.change(owner(1), enable.clone(), None).await.unwrap();
    let due = Timestamp::default();
    let goes_on = Progress {
        generation: 2,
        told: place(8),
        parked: vec![(payment, Parked { due, ..parked })],
        failing: None,
        replays: Vec::new(),
    };
    assert_eq!(progress(&endpoints).await, goes_on);
    let again = endpoints.change(owner(1), enable.clone(), None).await.unwrap();
    assert_eq!(again.kept.endpoint.status, EndpointStatus::Enabled);
    assert_eq!(progress(&endpoints).await, goes_on, "it was enabled");
    let disable = EndpointChange::Disable(ID);
    endpoints.change(owner(1), disable, None).await.unwrap();
    endpoints.change(owner(1), enable, None).await.unwrap();
    let anew = Progress {
        generation: 3,
        told: place(50),
        parked: Vec::new(),
        ..goes_on
    };
    assert_eq!(progress(&endpoints).await, anew);
    // What was on its way when it was disabled is late.
    let late = Noted {
        disabled: Some(WhyDisabled::Gone),
        rows: vec![row(1)],
        ..noted(1, 9)
    };
    endpoints.note(late).await.unwrap();
    assert_eq!(progress(&endpoints).await, anew);
    let kept = endpoints.get(owner(1), ID).await.unwrap().unwrap();
    assert_eq!(kept.status, EndpointStatus::Enabled);
    let rows = endpoints.deliveries(owner(1), ID, (10, None)).await.unwrap();
    assert_eq!(rows, Some((vec![(1, row(1))], false)));
}

#[tokio::test]
async fn a_change_under_a_key_is_made_once_a_day_and_never_again_once_its_endpoint_is_deleted() {
    let (clock, endpoints) = endpoints();
    let first = endpoints
        .change(owner(1), create(1, 5), Some(once(7, b"a")))
        .await;
    let first = first.unwrap();
    let rotate = EndpointChange::Rotate {
        id: ID,
        secret: secret(2),
        old_until: Timestamp::from_unix_ms(10),
    };
    endpoints.change(owner(1), rotate, None).await.unwrap();
    let again = endpoints
        .change(owner(1), create(2, 5), Some(once(7, b"a")))
        .await;
    let expected = EndpointChanged {
        was_before: true,
        ..first
    };
    assert_eq!(again, Ok(expected));
    let other = endpoints
        .change(owner(1), create(2, 5), Some(once(7, b"b")))
        .await;
    assert_eq!(other, Err(EndpointRefusal::KeyMismatch.into()));
    endpoints
        .change(owner(1), EndpointChange::Delete(ID), None)
        .await
        .unwrap();
    let late = endpoints
        .change(owner(1), create(2, 5), Some(once(7, b"a")))
        .await;
    assert_eq!(late, Err(EndpointRefusal::Deleted.into()));
    clock.is(IDEMPOTENCY_RETENTION.0);
    let next_day = endpoints
        .change(owner(1), create(2, 5), Some(once(7, b"a")))
        .await;
    assert!(!next_day.unwrap().was_before);
}

#[tokio::test]
async fn what_is_another_owners_is_not_there() {
    let (_, endpoints) = endpoints();
    endpoints.change(owner(1), create(1, 5), None).await.unwrap();
    let test_mode = Owner {
        livemode: !owner(1).livemode,
        ..owner(1)
    };
    for other in [owner(2), test_mode] {
        assert_eq!(endpoints.get(other, ID).await, Ok(None));
        assert_eq!(endpoints.deliveries(other, ID, (1, None)).await, Ok(None));
        assert_eq!(
            endpoints.list(other, page(9)).await,
            Ok(Some((Vec::new(), false)))
        );
        let refused = endpoints.change(other, EndpointChange::Delete(ID), None).await;
        assert_eq!(refused, Err(EndpointRefusal::NoSuchEndpoint.into()));
    }
    assert!(endpoints.get(owner(1), ID).await.unwrap().is_some());
}

#[tokio::test]
async fn there_are_so_many_endpoints_and_stretches_and_deliveries_and_no_more() {
    let (_, endpoints) = endpoints();
    for id in 1..=ENDPOINTS_MAX as u128 {
        endpoints.change(owner(1), create(id, 5), None).await.unwrap();
    }
    let more = endpoints.change(owner(1), create(99, 5), None).await;
    assert_eq!(more, Err(EndpointRefusal::TooManyEndpoints.into()));
    assert!(endpoints.change(owner(2), create(99, 5), None).await.is_ok());
    let replay = |asked_ms| {
        let replay = Replay {
            asked_at: Timestamp::from_unix_ms(asked_ms),
            from: place(1),
            to: place(3),
        };
        EndpointChange::Replay(ID, replay)
    };
    for asked_ms in 0..REPLAYS_MAX as u64 {
        let asked_ms = asked_ms / 2 * 2;
        endpoints.change(owner(1), replay(asked_ms), None).await.unwrap();
    }
    let more = endpoints.change(owner(1), replay(99), None).await;
    assert_eq!(more, Err(EndpointRefusal::TooManyReplays.into()));
    let asked_ms: Vec<u64> = progress(&endpoints)
        .await
        .replays
        .iter()
        .map(|one| one.asked_at.unix_ms())
        .collect();
    let expected: Vec<u64> = (0..REPLAYS_MAX as u64).collect();
    assert_eq!(
        asked_ms, expected,
        "two that were asked for at the same time are told apart"
    );
    let under_way = Noted {
        replay: Some((Timestamp::from_unix_ms(0), Some(place(2)))),
        rows: (0..=DELIVERIES_KEPT_MAX as u64).map(row).collect(),
        ..noted(1, 5)
    };
    endpoints.note(under_way).await.unwrap();
    assert_eq!(progress(&endpoints).await.replays[0].from, place(2));
    let done = Noted {
        replay: Some((Timestamp::from_unix_ms(0), None)),
        ..noted(1, 5)
    };
    endpoints.note(done).await.unwrap();
    assert_eq!(progress(&endpoints).await.replays.len(), REPLAYS_MAX - 1);
    let (rows, has_more) = endpoints
        .deliveries(owner(1), ID, (2, Some(4)))
        .await
        .unwrap()
        .unwrap();
    let numbers: Vec<u64> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!((numbers, has_more), (vec![3, 2], false), "the first one has gone");
    let disable = EndpointChange::Disable(ID);
    endpoints.change(owner(1), disable, None).await.unwrap();
    let disabled = endpoints.change(owner(1), replay(99), None).await;
    assert_eq!(disabled, Err(EndpointRefusal::Disabled.into()));
}

#[tokio::test]
async fn pages_are_newest_first_from_either_side_of_one_that_is_there() {
    let (_, endpoints) = endpoints();
    for id in 1..=4 {
        endpoints.change(owner(1), create(id, 5), None).await.unwrap();
    }
    let ids = |page| {
        let list = endpoints.list(owner(1), page);
        async {
            list.await.unwrap().map(|(found, has_more)| {
                let ids: Vec<u128> = found.iter().map(|endpoint| endpoint.id.bits()).collect();
                (ids, has_more)
            })
        }
    };
    assert_eq!(ids(page(3)).await, Some((vec![4, 3, 2], true)));
    let after = EndpointPage {
        starting_after: Some(3),
        ..page(9)
    };
    assert_eq!(ids(after).await, Some((vec![2, 1], false)));
    let before = EndpointPage {
        ending_before: Some(1),
        ..page(2)
    };
    assert_eq!(ids(before).await, Some((vec![3, 2], true)));
    let nothing = EndpointPage {
        starting_after: Some(9),
        ..page(2)
    };
    assert_eq!(ids(nothing).await, None);
}

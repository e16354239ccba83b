//! Whatever happens in whatever order, the store on disk answers and shows what the one in memory does, also after it was opened again.

use super::*;
use crate::webhooks::MemoryEndpoints;
use florin_domain::ids::{PaymentId, ShardId};
use florin_domain::limits::IDEMPOTENCY_RETENTION;
use florin_domain::ports::EndpointPage;
use florin_domain::webhook::{EndpointSaid, EndpointStatus, WantedEvents};
use proptest::prelude::*;

/// What happens: of which sort, to which endpoint, and a number that says the rest.
type Happening = (u8, u8, u64);

const IDS: u8 = 4;

fn id(number: u8) -> EndpointId {
    // Two of them are at home in another shard.
    EndpointId::from_bits((u128::from(number / 2) << 64) | u128::from(number))
}

fn whose(number: u64) -> Owner {
    Owner {
        livemode: number.is_multiple_of(3),
        ..owner(1)
    }
}

fn change((sort, number, more): Happening) -> Option<EndpointChange> {
    let id = id(number);
    Some(match sort {
        0 | 1 => match create(id.bits(), more) {
            EndpointChange::Create {
                mut endpoint,
                secret,
                behind,
            } => {
                if more.is_multiple_of(5) {
                    endpoint.status = EndpointStatus::Disabled(WhyDisabled::Asked);
                }
                EndpointChange::Create {
                    endpoint,
                    secret,
                    behind,
                }
            }
            other => other,
        },
        2 => {
            let said = EndpointSaid {
                url: more
                    .is_multiple_of(2)
                    .then(|| Arc::from(format!("https://{more}.example"))),
                wanted: more
                    .is_multiple_of(3)
                    .then(|| WantedEvents::read(vec![Arc::from("*")]).unwrap()),
                description: more
                    .is_multiple_of(5)
                    .then(|| more.is_multiple_of(2).then(|| Arc::from("words"))),
                metadata: more
                    .is_multiple_of(7)
                    .then(|| vec![(Arc::from("a"), Arc::from(more.to_string()))]),
            };
            EndpointChange::Say(id, said)
        }
        3 => EndpointChange::Disable(id),
        4 | 5 => EndpointChange::Enable(id, place(more)),
        6 => EndpointChange::Rotate {
            id,
            secret: secret(more),
            old_until: Timestamp::from_unix_ms(more),
        },
        7 if more.is_multiple_of(2) => EndpointChange::Delete(id),
        8 => EndpointChange::Replay(id, replay(more % 3)),
        _ => return None,
    })
}

fn note((_, number, more): Happening) -> Noted {
    let payment = |of: u64| PaymentId::from_bits(u128::from(of % 3));
    let parked = Parked {
        next: more,
        attempts: 1,
        due: Timestamp::from_unix_ms(more),
    };
    let why = WhyDisabled::ALL[usize::from(number % 3)];
    let goes_on = more.is_multiple_of(2).then(|| place(more));
    Noted {
        endpoint: id(number),
        generation: 1 + more % 3,
        parked: vec![
            (payment(more), more.is_multiple_of(2).then_some(parked)),
            (payment(more + 1), Some(parked)),
        ],
        failing: more.is_multiple_of(3).then_some(Failing {
            since: Timestamp::from_unix_ms(more),
            in_a_row: 2,
        }),
        replay: Some((Timestamp::from_unix_ms(more % 3), goes_on)),
        disabled: more.is_multiple_of(4).then_some(why),
        rows: (0..more % 4).map(row).collect(),
        ..noted(1, more)
    }
}

fn key((sort, _, more): Happening) -> Option<Once> {
    let asked = u8::try_from(more % 3).unwrap();
    more.is_multiple_of(2).then(|| once(sort, asked))
}

/// Does everything at once, and tells what was answered, in order.
async fn all_of<S: EndpointStore + DeliveryBook>(store: &S, happenings: &[Happening]) -> Vec<String> {
    let waiting: Vec<_> = happenings
        .iter()
        .map(|happening| match change(*happening) {
            Some(change) => Ok(store.change(whose(happening.2), change, key(*happening))),
            None => Err(store.note(note(*happening))),
        })
        .collect();
    let mut said = Vec::new();
    for one in waiting {
        said.push(match one {
            Ok(change) => match change.await {
                Ok(changed) => format!("{changed:?} {}", *changed.kept.secrets.current.0),
                Err(error) => format!("{error:?}"),
            },
            Err(note) => format!("{:?}", note.await),
        });
    }
    said
}

/// Everything that can be asked.
async fn seen<S: EndpointStore + DeliveryBook>(store: &S) -> Vec<String> {
    let mut seen = Vec::new();
    for shard in [0, 1] {
        seen.push(format!("{:?}", store.endpoints(ShardId(shard)).await));
    }
    for number in 0..IDS {
        let opened = store.open(id(number)).await.unwrap();
        let secrets = opened.as_ref().map(|(kept, _)| {
            let previous = kept
                .secrets
                .previous
                .as_ref()
                .map(|(secret, _)| secret.0.to_string());
            (kept.secrets.current.0.to_string(), previous)
        });
        seen.push(format!("{opened:?} {secrets:?}"));
    }
    for owner in [whose(0), whose(1)] {
        for number in 0..IDS {
            seen.push(format!("{:?}", store.get(owner, id(number)).await));
            let page = EndpointPage {
                starting_after: Some(id(number).bits()),
                ..page(1)
            };
            seen.push(format!("{:?}", store.list(owner, page).await));
            let rows = store.deliveries(owner, id(number), (2, Some(9))).await;
            seen.push(format!("{rows:?}"));
            let rows = store.deliveries(owner, id(number), (5000, None)).await;
            seen.push(format!("{rows:?}"));
        }
        seen.push(format!("{:?}", store.list(owner, page(9)).await));
    }
    seen
}

/// The errors of a store that is given an id twice say so in their own words.
fn told(mut said: Vec<String>) -> Vec<String> {
    for one in &mut said {
        if one.starts_with("Store(") && one.contains("is there already") {
            "twice".clone_into(one);
        }
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_store_on_disk_does_what_the_one_in_memory_does(
        batches in prop::collection::vec(
            (prop::collection::vec((0_u8..14, 0..IDS, 0_u64..40), 1..12), 0_u64..3), 1..8)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut bench = Bench::new();
            let memory = MemoryEndpoints::new(Arc::clone(&bench.clock) as _);
            let mut now_ms = 0;
            for (happenings, days) in &batches {
                now_ms += days * IDEMPOTENCY_RETENTION.0 / 2;
                bench.clock.is(now_ms);
                let expected = told(all_of(&memory, happenings).await);
                assert_eq!(told(all_of(bench.store(), happenings).await), expected);
                assert_eq!(seen(bench.store()).await, seen(&memory).await);
            }
            bench.reopen("kek").unwrap();
            assert_eq!(seen(bench.store()).await, seen(&memory).await);
        });
    }
}

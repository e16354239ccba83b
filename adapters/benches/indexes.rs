//! What the two indexes behind the journal cost: publishing and looking up idempotency keys, and applying payments to the view.
//! Every figure is of the caller's waiting time; `apply` waits for the one thread that does the work.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use florin_adapters::keys::{FjallKeyIndex, KeyIndexOptions};
use florin_adapters::views::{SqliteViews, ViewsOptions};
use florin_domain::announcement::AnnouncementKind;
use florin_domain::commit::{Body, Commit, PaymentCommit};
use florin_domain::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use florin_domain::ids::{MerchantId, OperationId, PaymentId, Seq, ShardId, compose};
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency, FeeSchedule};
use florin_domain::payment::{
    CaptureMethod, DeclinePolicy, Device, Event, FeeReturn, OperationKind, Payment, Spec, Status, evolve_all,
};
use florin_domain::ports::{
    AnnouncingCommit, Follower, KeyIndex, PaymentRow, PaymentsFilter, PaymentsQuery, StatusName, Views,
};
use florin_domain::provider::ProviderId;
use florin_domain::risk::{Action, Assessment};
use florin_domain::routing::Wishes;
use florin_domain::time::{Millis, Timestamp};
use std::hint::black_box;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

const START_MS: u64 = 1_700_000_000_000;
const MERCHANTS: u64 = 1000;
const KEYS_BEFORE: u64 = 1_000_000;
const PAYMENTS_BEFORE: u64 = 200_000;

/// Spreads a counter over all bits.
fn mixed(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

fn digest(n: u64) -> KeyDigest {
    KeyDigest(((u128::from(mixed(n)) << 64) | u128::from(mixed(!n))).to_be_bytes())
}

/// Fifty payments a millisecond.
fn time(n: u64) -> Timestamp {
    Timestamp::from_unix_ms(START_MS + n / 50)
}

fn id(n: u64) -> PaymentId {
    PaymentId::from_bits(compose(time(n), ShardId::FIRST, mixed(n)))
}

fn spec(n: u64) -> Arc<Spec> {
    Arc::new(Spec {
        id: id(n),
        merchant: MerchantId::from_bits(u128::from(mixed(mixed(n) % MERCHANTS)) << 40),
        livemode: true,
        key: IdempotencyKey::parse(&format!("order-{n:012}")).expect("it is short"),
        key_digest: digest(n),
        fingerprint: Fingerprint(digest(n).0),
        amount: Amount::new(10_000).expect("it is in range"),
        currency: Currency::EUR,
        capture_method: CaptureMethod::Automatic,
        after_decline: DeclinePolicy::Fail,
        customer: Some("cus_00000000000000000001".into()),
        description: None,
        metadata: vec![("order".into(), "4711".into())],
        return_url: None,
        device: Device {
            fingerprint: None,
            ip: Some("192.0.2.7".into()),
            country: Some(*b"DE"),
        },
        fee: FeeSchedule::new(290, 0.into()).expect("it is in range"),
        fee_return: FeeReturn::Kept,
        routing: Wishes::default(),
        off_session: false,
        created_at: time(n),
    })
}

fn method() -> PaymentMethod {
    PaymentMethod::test("pm_card_visa").expect("it is a test method")
}

fn commit(n: u64) -> Arc<Commit> {
    let events = vec![Event::Created {
        spec: spec(n),
        method: method(),
    }];
    let body = PaymentCommit {
        payment: id(n),
        prev: Seq::ZERO,
        events,
        holds: Vec::new(),
        entry: None,
    };
    Arc::new(Commit {
        shard: ShardId::FIRST,
        seq: Seq(n),
        at: time(n),
        body: Body::Payment(body),
    })
}

/// A payment that was charged at its first attempt.
fn paid(n: u64) -> Payment {
    let operation = OperationId::Authorize(id(n));
    let events = [
        Event::Created {
            spec: spec(n),
            method: method(),
        },
        Event::RiskAssessed(Assessment {
            score_bps: 120,
            action: Action::Allow,
            reasons: Vec::new(),
            listed: None,
        }),
        Event::OperationOpened {
            operation,
            kind: OperationKind::Sale,
            amount: Amount::new(10_000).expect("it is in range"),
            is_final: true,
            reason: None,
            at: time(n),
        },
        Event::AttemptPlanned {
            operation,
            number: 1,
            provider: ProviderId::parse("sandbox").expect("it is a name"),
            key: "0123456789abcdef0123456789abcdef".into(),
            deadline: time(n).plus(Millis::from_s(1800)),
        },
        Event::AttemptSucceeded {
            operation,
            number: 1,
            reference: format!("pi_{n:024}").into(),
            transaction: format!("ch_{n:024}").into(),
            authorization_expires_at: None,
        },
    ];
    evolve_all(None, &events, time(n))
        .ok()
        .flatten()
        .expect("the events follow")
}

fn rows(from: u64, count: u64) -> Vec<PaymentRow> {
    (from..from + count)
        .map(|n| PaymentRow {
            seq: Seq(n),
            payment: Arc::new(paid(n)),
        })
        .collect()
}

fn keys(criterion: &mut Criterion) {
    let dir = TempDir::new().expect("a folder");
    let index = FjallKeyIndex::open(dir.path(), KeyIndexOptions::default()).expect("a new index");
    let mut next = 1;
    let mut commits = |count: u64| {
        let batch: Vec<_> = (next..next + count).map(commit).collect();
        next += count;
        batch
    };
    while index.watermark().0 < KEYS_BEFORE {
        index.publish(&commits(10_000));
        index.flush().expect("the store works");
    }
    let mut group = criterion.benchmark_group("keys");
    for batch in [16, 256] {
        group.throughput(Throughput::Elements(batch));
        group.bench_function(format!("publish {batch} commits"), |bencher| {
            let quiet = || {
                index.flush().expect("the store works");
                commits(batch)
            };
            bencher.iter_batched_ref(quiet, |commits| index.publish(commits), BatchSize::PerIteration);
        });
    }
    // What it costs with the writing of it, on however many cores there are.
    group.throughput(Throughput::Elements(10_000));
    group.sample_size(20);
    group.bench_function("publish and flush 10,000 commits", |bencher| {
        let publish = |commits: &mut Vec<_>| {
            index.publish(commits);
            index.flush().expect("the store works");
        };
        bencher.iter_batched_ref(|| commits(10_000), publish, BatchSize::PerIteration);
    });
    group.throughput(Throughput::Elements(1));
    let now = time(KEYS_BEFORE);
    let mut n = 0;
    group.bench_function("miss", |bencher| {
        bencher.iter(|| {
            n += 1;
            assert!(
                index
                    .lookup(digest(n << 40), now)
                    .expect("the store works")
                    .is_none()
            );
        });
    });
    group.bench_function("hit", |bencher| {
        bencher.iter(|| {
            n += 1;
            assert!(
                index
                    .lookup(digest(mixed(n) % KEYS_BEFORE + 1), now)
                    .expect("it works")
                    .is_some()
            );
        });
    });
    group.finish();
}

fn apply(runtime: &Runtime, views: &SqliteViews, rows: Vec<PaymentRow>) {
    apply_telling(runtime, views, (rows, Vec::new()));
}

/// What a sale announces.
fn told_of(rows: Vec<PaymentRow>) -> (Vec<PaymentRow>, Vec<AnnouncingCommit>) {
    let announced = rows.iter().map(|row| AnnouncingCommit {
        seq: row.seq,
        at: row.payment.spec.created_at,
        merchant: row.payment.spec.merchant,
        livemode: row.payment.spec.livemode,
        payment: row.payment.id(),
        first_number: 1,
        kinds: vec![AnnouncementKind::ChargeSucceeded, AnnouncementKind::Succeeded],
    });
    let announced = announced.collect();
    (rows, announced)
}

fn apply_telling(
    runtime: &Runtime,
    views: &SqliteViews,
    (rows, announced): (Vec<PaymentRow>, Vec<AnnouncingCommit>),
) {
    let up_to = rows.last().map_or(Seq::ZERO, |row| row.seq);
    runtime
        .block_on(views.apply(rows, announced, up_to))
        .expect("the store works");
}

fn views(criterion: &mut Criterion) {
    let dir = TempDir::new().expect("a folder");
    let views =
        SqliteViews::open(&dir.path().join("views.db"), &ViewsOptions::default()).expect("a new view");
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let mut next = 1;
    let mut fresh = |count| {
        let batch = rows(next, count);
        next += count;
        batch
    };
    while views.watermark().expect("it is known").0 < PAYMENTS_BEFORE {
        apply(&runtime, &views, fresh(4000));
    }
    let mut group = criterion.benchmark_group("views");
    group.sample_size(40);
    for batch in [1000, 4000] {
        group.throughput(Throughput::Elements(batch));
        group.bench_function(format!("apply {batch} payments"), |bencher| {
            bencher.iter_batched(
                || fresh(batch),
                |rows| apply(&runtime, &views, rows),
                BatchSize::PerIteration,
            );
        });
    }
    group.bench_function("apply 4000 payments and what they announce", |bencher| {
        bencher.iter_batched(
            || told_of(fresh(4000)),
            |told| apply_telling(&runtime, &views, told),
            BatchSize::PerIteration,
        );
    });
    // What follows a payment's first commit: another status, of payments that are no longer recent.
    let mut round = 0;
    group.throughput(Throughput::Elements(4000));
    group.bench_function("change 4000 payments", |bencher| {
        let changed = || {
            round += 1;
            let status = |n: u64| {
                if n.is_multiple_of(2) {
                    Status::Failed
                } else {
                    Status::Succeeded
                }
            };
            let change = |row: PaymentRow| PaymentRow {
                seq: Seq(row.seq.0 + (round << 40)),
                payment: Arc::new(Payment {
                    status: status(round),
                    ..Payment::clone(&row.payment)
                }),
            };
            rows(1 + round % 39 * 4000, 4000)
                .into_iter()
                .map(change)
                .collect::<Vec<_>>()
        };
        bencher.iter_batched(
            changed,
            |rows| apply(&runtime, &views, rows),
            BatchSize::PerIteration,
        );
    });
    group.throughput(Throughput::Elements(1));
    let mut n = 0;
    group.bench_function("one payment", |bencher| {
        bencher.iter(|| {
            n += 1;
            let one = id(mixed(n) % PAYMENTS_BEFORE + 1);
            assert!(black_box(runtime.block_on(views.payment(one)).expect("it works")).is_some());
        });
    });
    group.bench_function("a list of 20", |bencher| {
        bencher.iter(|| {
            n += 1;
            let of = &spec(mixed(n) % PAYMENTS_BEFORE + 1);
            let query = PaymentsQuery::newest(of.merchant, true, 20);
            let page = black_box(runtime.block_on(views.payments(query)).expect("it works"));
            assert_eq!(page.rows.len(), 20);
        });
    });
    group.finish();
    rare(criterion, &runtime, &views);
}

/// As far as one read goes when a filter takes nothing.
fn rare(criterion: &mut Criterion, runtime: &Runtime, views: &SqliteViews) {
    let busy = MerchantId::from_bits(1);
    let of_one = |row: PaymentRow| {
        let mut payment = Payment::clone(&row.payment);
        payment.spec = Arc::new(Spec {
            merchant: busy,
            ..Spec::clone(&payment.spec)
        });
        PaymentRow {
            seq: row.seq,
            payment: Arc::new(payment),
        }
    };
    let many = rows(1 << 32, 40_000).into_iter().map(of_one).collect();
    apply(runtime, views, many);
    criterion.bench_function("views/a filter without hits", |bencher| {
        let query = PaymentsQuery {
            filter: PaymentsFilter {
                status: Some(StatusName::Blocked),
                ..PaymentsFilter::default()
            },
            ..PaymentsQuery::newest(busy, true, 20)
        };
        bencher.iter(|| {
            let page = black_box(runtime.block_on(views.payments(query.clone())).expect("it works"));
            assert!(page.rows.is_empty() && page.stopped_at.is_some());
        });
    });
}

criterion_group!(indexes, keys, views);
criterion_main!(indexes);

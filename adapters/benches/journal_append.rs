//! What one commit costs: encoding, decoding, appending to SQLite in batches of 256, and reading back with verification.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use florin_adapters::journal::SqliteJournal;
use florin_adapters::schema;
use florin_domain::commit::{Body, Commit, PaymentCommit};
use florin_domain::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use florin_domain::ids::{Epoch, MerchantId, OperationId, PaymentId, Seq, ShardId};
use florin_domain::ledger::{AccountKey, AccountName, HoldChange};
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency, FeeSchedule};
use florin_domain::payment::{CaptureMethod, DeclinePolicy, Device, Event, FeeReturn, OperationKind, Spec};
use florin_domain::ports::{Batch, Journal};
use florin_domain::provider::ProviderId;
use florin_domain::risk::{Action, Assessment};
use florin_domain::routing::Wishes;
use florin_domain::time::Timestamp;
use rust_decimal::Decimal;
use std::hint::black_box;
use std::sync::Arc;

const BATCH: u64 = 256;

/// Commits of the journal that is read.
const STORED: u64 = 64 * BATCH;

/// The first commit of a sale by a known customer.
fn creation(seq: u64) -> Commit {
    let id = PaymentId::from_bits(u128::from(seq) << 80 | 0x9e37_79b9_7f4a_7c15);
    let merchant = MerchantId::from_bits(0x0193_0000_0001_0000_1111_2222_3333_4444);
    let at = Timestamp::from_unix_ms(1_731_000_000_000 + seq);
    let amount = Amount::new(10_000).expect("in range");
    let operation = OperationId::Authorize(id);
    let spec = Spec {
        id,
        merchant,
        livemode: false,
        key: IdempotencyKey::parse(&format!("order-{seq:026}")).expect("printable"),
        key_digest: KeyDigest([7; 16]),
        fingerprint: Fingerprint([9; 16]),
        amount,
        currency: Currency::USD,
        capture_method: CaptureMethod::Automatic,
        after_decline: DeclinePolicy::Fail,
        customer: Some("cus_0123456789".into()),
        description: None,
        metadata: vec![("order_id".into(), "4711".into())],
        return_url: None,
        device: Device::default(),
        fee: FeeSchedule::new(290, Decimal::new(30, 2)).expect("a usual fee"),
        fee_return: FeeReturn::Kept,
        routing: Wishes::default(),
        off_session: false,
        created_at: at,
    };
    let method = PaymentMethod::test("pm_card_visa").expect("a test method");
    let assessment = Assessment {
        score_bps: 1_000,
        action: Action::Allow,
        reasons: Vec::new(),
        listed: None,
    };
    let key = "0123456789abcdef".repeat(4).into();
    let provider = ProviderId::parse("stripe").expect("a name");
    let account = AccountKey {
        name: AccountName::MerchantPayable(merchant),
        currency: Currency::USD,
        livemode: false,
    };
    let kind = OperationKind::Sale;
    let body = PaymentCommit {
        payment: id,
        prev: Seq::ZERO,
        events: vec![
            Event::Created {
                spec: Arc::new(spec),
                method,
            },
            Event::RiskAssessed(assessment),
            Event::OperationOpened {
                operation,
                kind,
                amount,
                is_final: false,
                reason: None,
                at,
            },
            Event::AttemptPlanned {
                operation,
                number: 1,
                provider,
                key,
                deadline: at,
            },
        ],
        holds: vec![HoldChange {
            account,
            credit_delta_minor: 10_000,
            debit_delta_minor: 0,
        }],
        entry: None,
    };
    Commit {
        shard: ShardId::FIRST,
        seq: Seq(seq),
        at,
        body: Body::Payment(body),
    }
}

fn batch(after: u64) -> Batch {
    Batch {
        id: u128::from(after),
        shard: ShardId::FIRST,
        epoch: Epoch(1),
        expected_head: Seq(after),
        commits: (after + 1..=after + BATCH)
            .map(|seq| Arc::new(creation(seq)))
            .collect(),
    }
}

fn form(criterion: &mut Criterion) {
    let commit = creation(1);
    let mut bytes = Vec::new();
    schema::encode(&commit, &mut bytes);
    let mut group = criterion.benchmark_group(format!("commit of {} bytes", bytes.len()));
    let mut buffer = Vec::with_capacity(4096);
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            schema::encode(black_box(&commit), &mut buffer);
            buffer.len()
        });
    });
    group.bench_function("decode", |bencher| {
        bencher.iter(|| schema::decode(ShardId::FIRST, Seq(1), black_box(&bytes)).expect("just encoded"));
    });
    group.finish();
}

fn journal(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let journal = SqliteJournal::open(folder.path(), ShardId::FIRST).expect("an empty journal");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let append = |batch| runtime.block_on(journal.append(batch)).expect("there is room");
    let mut head = 0;
    while head < STORED {
        append(batch(head));
        head += BATCH;
    }
    let mut group = criterion.benchmark_group("journal on SQLite");
    group.throughput(Throughput::Elements(STORED));
    group.bench_function("read and verify", |bencher| {
        bencher.iter(|| {
            let mut last = Seq::ZERO;
            while last < Seq(STORED) {
                let limit = usize::try_from(STORED - last.0).expect("small");
                let read = journal.read(ShardId::FIRST, last.next(), limit);
                let page = runtime.block_on(read).expect("undamaged");
                last = page.last().expect("so many are stored").seq;
            }
            last
        });
    });
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("append 256", |bencher| {
        let next = || {
            let batch = batch(head);
            head += BATCH;
            batch
        };
        bencher.iter_batched(next, append, BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, form, journal);
criterion_main!(benches);

//! What the rules cost: a sale from command to state, without any I/O.

#![expect(clippy::unwrap_used, reason = "fixed data that is known to be right")]

use criterion::{Criterion, criterion_group, criterion_main};
use florin_domain::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use florin_domain::ids::{MerchantId, OperationId, PaymentId};
use florin_domain::ledger::{PostingProfile, consequences};
use florin_domain::limits::Lifetimes;
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency, FeeSchedule};
use florin_domain::payment::{
    AttemptPlan, CaptureMethod, Command, DeclinePolicy, Device, FeeReturn, Payment, ReviewMode, Spec, decide,
    evolve_all,
};
use florin_domain::provider::{Outcome, ProviderId};
use florin_domain::risk::{Features, Profile, assess};
use florin_domain::routing::Wishes;
use florin_domain::time::Timestamp;
use std::hint::black_box;
use std::sync::Arc;

fn spec() -> Arc<Spec> {
    Arc::new(Spec {
        id: PaymentId::from_bits(1),
        merchant: MerchantId::from_bits(2),
        livemode: false,
        key: IdempotencyKey::parse("bench").unwrap(),
        key_digest: KeyDigest([1; 16]),
        fingerprint: Fingerprint([2; 16]),
        amount: Amount::new(10_000).unwrap(),
        currency: Currency::USD,
        capture_method: CaptureMethod::Automatic,
        after_decline: DeclinePolicy::Fail,
        customer: Some(Arc::from("cus_1")),
        description: None,
        metadata: Vec::new(),
        return_url: None,
        device: Device::default(),
        fee: FeeSchedule::new(290, "0.30".parse().unwrap()).unwrap(),
        fee_return: FeeReturn::Kept,
        routing: Wishes::default(),
        off_session: false,
        created_at: Timestamp::default(),
    })
}

fn create(spec: &Arc<Spec>, method: &PaymentMethod, profile: &Profile, provider: ProviderId) -> Command {
    let features = Features {
        amount: spec.amount,
        currency: spec.currency,
        hour_count: Some(2),
        hour_declines: 0,
        device_country: None,
        card_country: method.country,
        method_is_new: false,
        method_is_highest_risk: false,
    };
    let plan = AttemptPlan {
        provider,
        key: Arc::from("flo_bench"),
        deadline: Timestamp::default(),
        route: None,
    };
    let assessment = assess(profile, &features);
    Command::Create {
        spec: Arc::clone(spec),
        method: method.clone(),
        assessment,
        plan,
        barred: None,
        review: ReviewMode::BeforeAuth,
        profile: PostingProfile::default(),
    }
}

fn apply(state: Option<&Payment>, command: Command) -> Payment {
    let decision = decide(state, command, &Lifetimes::STANDARD, Timestamp::default()).unwrap();
    let after = evolve_all(state.cloned(), &decision.events, Timestamp::default())
        .unwrap()
        .unwrap();
    black_box(consequences(state, &decision.events, &after).unwrap());
    after
}

fn benches(criterion: &mut Criterion) {
    let (spec, method) = (spec(), PaymentMethod::test("pm_card_visa").unwrap());
    let (profile, provider) = (Profile::deep_dive(), ProviderId::parse("stripe").unwrap());
    criterion.bench_function("sale: decide, evolve and post, both commits", |bencher| {
        bencher.iter(|| {
            let payment = apply(None, create(&spec, &method, &profile, provider));
            let outcome = Outcome::Succeeded {
                reference: Arc::from("pi_1"),
                transaction: Arc::from("ch_1"),
                amount_minor: 10_000,
            };
            let operation = OperationId::Authorize(payment.id());
            black_box(apply(
                Some(&payment),
                Command::Record {
                    operation,
                    number: 1,
                    outcome,
                    next: None,
                    reversal: None,
                },
            ))
        });
    });
}

criterion_group!(decide_benches, benches);
criterion_main!(decide_benches);

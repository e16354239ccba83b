//! Tests of the module beside it.

use super::*;

fn faults(bodies: &[&str]) -> Faults {
    let mut faults = Faults::default();
    for body in bodies {
        faults.add(body.as_bytes()).unwrap();
    }
    faults
}

#[test]
fn the_generator_matches_the_published_sequence_of_splitmix64() {
    let mut random = SplitMix64(1_234_567);
    assert_eq!(random.next(), 6_457_827_717_110_365_317);
    assert_eq!(random.next(), 3_203_168_211_198_807_973);
}

#[test]
fn the_same_seed_fires_on_the_same_requests() {
    let body = r#"{"provider":"stripe","operation":"authorize","mode":"decline","probability":0.3,"seed":7}"#;
    let run = || -> Vec<bool> {
        let mut faults = faults(&[body]);
        (0..1000)
            .map(|_| {
                faults
                    .draw(Provider::Stripe, Operation::Authorize, None)
                    .hit
                    .is_some()
            })
            .collect()
    };
    let fired = run().iter().filter(|fired| **fired).count();
    assert_eq!(run(), run());
    assert!((200..400).contains(&fired), "{fired} of 1000 fired at 0.3");
}

#[test]
fn a_fault_leaves_other_operations_alone() {
    let mut faults = faults(&[r#"{"provider":"stripe","operation":"capture","mode":"http_500"}"#]);
    assert_eq!(
        faults.draw(Provider::Stripe, Operation::Authorize, None),
        Drawn::default()
    );
    assert_eq!(
        faults.draw(Provider::Stripe, Operation::Capture, None).hit,
        Some(Hit::Http500)
    );
}

#[test]
fn delays_add_up_and_the_oldest_hit_wins() {
    let mut faults = faults(&[
        r#"{"provider":"stripe","operation":"refund","mode":"slow","delay_ms":10}"#,
        r#"{"provider":"stripe","operation":"refund","mode":"rate_limit","count":1}"#,
        r#"{"provider":"stripe","operation":"refund","mode":"http_500"}"#,
        r#"{"provider":"stripe","operation":"refund","mode":"slow"}"#,
    ]);
    let draw = |faults: &mut Faults| faults.draw(Provider::Stripe, Operation::Refund, None);
    assert_eq!(
        draw(&mut faults),
        Drawn {
            delay_ms: 2010,
            hit: Some(Hit::RateLimit),
            ..Drawn::default()
        }
    );
    assert_eq!(
        draw(&mut faults),
        Drawn {
            delay_ms: 2010,
            hit: Some(Hit::Http500),
            ..Drawn::default()
        }
    );
}

#[test]
fn bad_input_names_its_field() {
    let table = [
        ("nonsense", "body"),
        ("[]", "body"),
        (r#"{"operation":"capture","mode":"slow"}"#, "provider"),
        (
            r#"{"provider":"paypal","operation":"capture","mode":"slow"}"#,
            "provider",
        ),
        (r#"{"provider":"stripe","mode":"slow"}"#, "operation"),
        (
            r#"{"provider":"stripe","operation":"sale","mode":"slow"}"#,
            "operation",
        ),
        (r#"{"provider":"stripe","operation":"capture"}"#, "mode"),
        (
            r#"{"provider":"stripe","operation":"capture","mode":"explode"}"#,
            "mode",
        ),
        (
            r#"{"provider":"stripe","operation":"query","mode":"duplicate_webhook"}"#,
            "mode",
        ),
        (
            r#"{"provider":"stripe","operation":"query","mode":"decline"}"#,
            "mode",
        ),
        (
            r#"{"provider":"stripe","operation":"authorize","mode":"late_execution"}"#,
            "mode",
        ),
        (
            r#"{"provider":"stripe","operation":"capture","mode":"slow","probability":1.5}"#,
            "probability",
        ),
        (
            r#"{"provider":"stripe","operation":"capture","mode":"slow","seed":-1}"#,
            "seed",
        ),
        (
            r#"{"provider":"stripe","operation":"capture","mode":"slow","count":0}"#,
            "count",
        ),
        (
            r#"{"provider":"stripe","operation":"capture","mode":"slow","delay_ms":"1"}"#,
            "delay_ms",
        ),
        (
            r#"{"provider":"stripe","operation":"capture","mode":"decline","delay_ms":1}"#,
            "delay_ms",
        ),
        (
            r#"{"provider":"stripe","operation":"any","mode":"decline"}"#,
            "mode",
        ),
        (
            r#"{"provider":"adyen","operation":"any","mode":"late_execution"}"#,
            "mode",
        ),
        (
            r#"{"provider":"stripe","operation":"capture","mode":"outage","delays_ms":[1]}"#,
            "delays_ms",
        ),
        (
            r#"{"provider":"stripe","operation":"capture","mode":"slow","delays_ms":[]}"#,
            "delays_ms",
        ),
        (
            r#"{"provider":"stripe","operation":"capture","mode":"slow","delays_ms":[1,-1]}"#,
            "delays_ms",
        ),
        (
            r#"{"provider":"stripe","operation":"capture","mode":"slow","delays_ms":[1],"delay_ms":1}"#,
            "delay_ms",
        ),
        (
            r#"{"provider":"stripe","operation":"any","mode":"slow","payment_method":"pm_card_gold"}"#,
            "payment_method",
        ),
        (
            r#"{"provider":"stripe","operation":"query","mode":"slow","payment_method":"pm_card_visa"}"#,
            "payment_method",
        ),
        (
            r#"{"provider":"stripe","operation":"capture","mode":"slow","colour":"red"}"#,
            "colour",
        ),
    ];
    for (body, param) in table {
        let rejected = Faults::default().add(body.as_bytes()).unwrap_err();
        assert_eq!(rejected.param, param, "{body}");
    }
}

#[test]
fn an_outage_hits_its_share_of_all_operations_in_four_ways() {
    let body = r#"{"provider":"adyen","operation":"any","mode":"outage","probability":0.3,"seed":5}"#;
    let run = || -> Vec<Option<Hit>> {
        let mut faults = faults(&[body]);
        let operations = [Operation::Authorize, Operation::Refund, Operation::Query];
        (0..1000)
            .map(|number| {
                let operation = operations[number % operations.len()];
                assert_eq!(faults.draw(Provider::Stripe, operation, None), Drawn::default());
                faults.draw(Provider::Adyen, operation, None).hit
            })
            .collect()
    };
    let hits = run();
    assert_eq!(run(), hits);
    let count = |wanted: Hit| hits.iter().filter(|hit| **hit == Some(wanted)).count();
    let counts = OUTAGE.map(count);
    assert!(counts.iter().all(|count| (40..120).contains(count)), "{counts:?}");
    let all: usize = counts.iter().sum();
    assert_eq!(all, hits.iter().flatten().count(), "in no other way");
    assert!((240..360).contains(&all), "{all} of 1000 at 0.3");
}

#[test]
fn latencies_are_drawn_from_those_that_are_given() {
    let body =
        r#"{"provider":"stripe","operation":"capture","mode":"slow","delays_ms":[5,5,5,800],"seed":3}"#;
    let run = || -> Vec<u64> {
        let mut faults = faults(&[body]);
        (0..1000)
            .map(|_| faults.draw(Provider::Stripe, Operation::Capture, None).delay_ms)
            .collect()
    };
    let delays = run();
    assert_eq!(run(), delays);
    let slow = delays.iter().filter(|delay_ms| **delay_ms == 800).count();
    assert_eq!(
        delays.iter().filter(|delay_ms| **delay_ms == 5).count(),
        1000 - slow
    );
    assert!((200..300).contains(&slow), "{slow} of 1000 are slow");
}

#[test]
fn a_fault_of_one_payment_method_leaves_the_others_alone() {
    let mut faults = faults(&[
        r#"{"provider":"stripe","operation":"any","mode":"http_503","payment_method":"pm_card_mastercard"}"#,
    ]);
    let methods = [
        (Some(TestMethod::Mastercard), Some(Hit::Http503)),
        (Some(TestMethod::Visa), None),
        (None, None),
    ];
    for (method, expected) in methods {
        let drawn = faults.draw(Provider::Stripe, Operation::Authorize, method);
        assert_eq!(drawn.hit, expected, "{method:?}");
    }
    assert_eq!(faults.active()[0].covered, 1);
}

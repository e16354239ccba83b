//! What becomes of a charge whose provider fails, refuses or is barred, each by the id of the feature that asks for it.

use crate::acceptance_stages::usual;
use crate::deployment::{add_fault, clear_faults, faults, sale, with_method};
use crate::process::wait_for;
use crate::two_providers::{FIRST, Protocol, SECOND, TwoProviders, attempts, left_out};
use serde_json::{Value, json};

/// Each wait that a test must not need is long, and the others are short.
const SHORT: [(&str, &str); 3] = [
    ("FLORIN_RETRY_TRIES_MAX", "1"),
    ("FLORIN_RESOLUTION_WAITS_S", "1"),
    ("FLORIN_RETRY_NETWORK_ERROR_WAIT_MS", "60000"),
];
/// A breaker that stays open for as long as a test takes.
const LASTING: [(&str, &str); 1] = [("FLORIN_BREAKER_OPEN_MS", "3600000")];
/// A breaker that is half-open after the shortest time.
const BRIEF: [(&str, &str); 1] = [("FLORIN_BREAKER_OPEN_MS", "1")];

/// A payment that succeeds; its id and the provider that charged.
#[track_caller]
fn paid(two: &TwoProviders, key: &str) -> (String, String) {
    let payment = two.dev.pay(key, &sale(10_000, "USD")).expect(200).json();
    assert_eq!(payment["status"], "succeeded", "{payment}");
    let text = |field: &str| payment[field].as_str().unwrap().to_owned();
    (text("id"), text("provider"))
}

/// Payments that find nobody at the preferred provider, one after the other.
#[track_caller]
fn fail_over(two: &TwoProviders, count: usize, name: &str) {
    for number in 0..count {
        let (id, provider) = paid(two, &format!("{name}-{number}"));
        assert_eq!(provider, SECOND);
        let rows = two.history(&id);
        assert_eq!(attempts(&rows), [(1, FIRST), (2, SECOND)], "{rows:?}");
    }
}

/// Kills the preferred provider, and lets its breaker open.
#[track_caller]
fn open_breaker(two: &mut TwoProviders) {
    two.kill_first();
    fail_over(two, 5, "failing");
}

#[track_caller]
fn rows_of<'a>(rows: &'a [Value], name: &str) -> Vec<&'a Value> {
    rows.iter().filter(|row| row["type"] == name).collect()
}

/// What became of the attempts, without how they were prepared.
fn ends(rows: &[Value]) -> Vec<(&str, u64)> {
    rows.iter()
        .filter_map(|row| Some((row["type"].as_str()?, row["attempt"].as_u64()?)))
        .filter(|(name, _)| !["attempt.routed", "attempt.referenced"].contains(name))
        .collect()
}

/// The design this began with says: on a timeout, the next provider. That charges twice, so it waits for proof.
#[test]
fn rte_12_a_charge_that_timed_out_goes_to_the_next_provider_once_it_can_no_longer_be_made() {
    let hasty = [
        ("FLORIN_PROVIDER_FIRST_REQUEST_TIMEOUT_MS", "300"),
        ("FLORIN_RETRY_TIMEOUT_WAIT_MS", "20"),
        ("FLORIN_RESOLUTION_WAITS_S", "1"),
    ];
    let two = TwoProviders::start(Protocol::Stripe, &hasty);
    // Made and not told: the same key finds that out, and nobody else is asked.
    two.fault("timeout_after_charge", &json!({"count": 1}));
    let (id, provider) = paid(&two, "made");
    assert_eq!(provider, FIRST);
    let rows = two.history(&id);
    assert_eq!(ends(&rows), [("attempt.planned", 1), ("attempt.succeeded", 1)]);
    clear_faults(two.first_at);

    // Never made: that is found out by closing it, and then it goes on by itself.
    two.fault("timeout_before", &json!({}));
    let unknown = two.dev.pay("lost", &sale(10_000, "USD")).expect(202).json();
    assert_eq!(unknown["status"], "processing");
    let id = unknown["id"].as_str().unwrap();
    let payment = two.dev.merchant().payment_once(id, "succeeded");
    assert_eq!(payment["provider"], SECOND);
    let rows = two.history(id);
    assert_eq!(attempts(&rows), [(1, FIRST), (2, SECOND)]);
    assert_eq!(
        ends(&rows),
        [
            ("attempt.planned", 1),
            ("attempt.unknown", 1),
            ("attempt.closing_asked", 1),
            ("attempt.cancelled", 1),
            ("attempt.planned", 2),
            ("attempt.succeeded", 2),
        ]
    );
    assert_eq!(left_out(&rows, 2, FIRST), Some("tried"));
    let again = two.dev.pay("lost", &sale(10_000, "USD")).expect(200).json();
    assert_eq!(again, payment);
    assert_eq!((two.first_charges().len(), two.dev.charges().len()), (1, 1));
    two.stop();
}

#[test]
fn rte_13_a_charge_whose_provider_is_unavailable_goes_to_the_next_one_within_the_same_request() {
    // A wait before the next provider would be seen: there is none that short.
    for protocol in [Protocol::Stripe, Protocol::Adyen] {
        let mut two = TwoProviders::start(protocol, &SHORT);
        two.kill_first();
        let answer = two.dev.pay("k", &sale(10_000, "USD")).expect(200);
        let payment = answer.json();
        assert_eq!(
            (&payment["status"], &payment["provider"]),
            (&json!("succeeded"), &json!(SECOND))
        );
        let rows = two.history(payment["id"].as_str().unwrap());
        assert_eq!(attempts(&rows), [(1, FIRST), (2, SECOND)]);
        assert_eq!(rows_of(&rows, "attempt.not_sent")[0]["attempt"], 1);
        assert_eq!(rows_of(&rows, "attempt.succeeded")[0]["attempt"], 2);
        assert_eq!(left_out(&rows, 2, FIRST), Some("tried"));
        assert_eq!(two.dev.pay("k", &sale(10_000, "USD")).text(), answer.text());
        two.revive_first();
        assert_eq!(two.first_charges(), Vec::<Value>::new());
        assert_eq!(two.dev.charges().len(), 1);
        two.stop();
    }
}

#[test]
fn rte_14_a_rate_limited_charge_waits_and_repeats_its_key_and_then_goes_elsewhere() {
    let two = TwoProviders::start(Protocol::Adyen, &[("FLORIN_RETRY_NETWORK_ERROR_WAIT_MS", "20")]);
    two.fault("rate_limit", &json!({"count": 1}));
    let (id, provider) = paid(&two, "once");
    assert_eq!(provider, FIRST, "what it waited for has passed");
    assert_eq!(two.requests(), 2);
    assert_eq!(attempts(&two.history(&id)), [(1, FIRST)]);
    clear_faults(two.first_at);

    two.fault("rate_limit", &json!({}));
    let (id, provider) = paid(&two, "always");
    assert_eq!(provider, SECOND);
    assert_eq!(two.requests(), 3, "three tries");
    let rows = two.history(&id);
    assert_eq!(attempts(&rows), [(1, FIRST), (2, SECOND)]);
    assert_eq!(rows_of(&rows, "attempt.not_sent")[0]["attempt"], 1);
    // An attempt has one key, and each of the two waits is the second that the provider asks for.
    let planned = rows_of(&rows, "attempt.planned");
    assert_ne!(planned[0]["provider_key"], planned[1]["provider_key"]);
    let at = |row: &Value| row["at"].as_u64().unwrap();
    assert!(at(planned[1]) >= at(planned[0]) + 2, "{rows:?}");
    assert_eq!((two.first_charges().len(), two.dev.charges().len()), (1, 1));
    two.stop();
}

/// A decline is the issuer's word, and another provider would ask the same issuer: an error, one attempt, one request.
#[track_caller]
fn assert_declined_once(methods: &[(&str, &str)]) {
    for protocol in [Protocol::Stripe, Protocol::Adyen] {
        let two = TwoProviders::start(protocol, &[]);
        two.count_requests();
        // It counts at the backup, too.
        add_fault(
            two.dev.sandbox,
            "slow",
            &json!({"provider": if protocol == Protocol::Stripe { "adyen" } else { "stripe" }, "delay_ms": 0}),
        );
        for (number, (method, code)) in (1..).zip(methods) {
            let body = with_method(method);
            let declined = two.dev.pay(method, &body).expect(402);
            assert_eq!(declined.error("decline_code"), *code);
            let rows = two.history(&declined.error("payment_id"));
            assert_eq!(attempts(&rows), [(1, FIRST)]);
            assert_eq!(rows_of(&rows, "attempt.declined").len(), 1);
            let again = two.dev.pay(method, &body).expect(402);
            assert_eq!((again.text(), again.is_replay()), (declined.text(), true));
            assert_eq!(two.requests(), number);
        }
        let at_backup = faults(two.dev.sandbox)["data"][0]["covered"].clone();
        assert_eq!(at_backup, json!(0));
        assert_eq!((two.first_charges(), two.dev.charges()), (vec![], vec![]));
        two.stop();
    }
}

#[test]
fn rte_15_an_invalid_card_is_an_error_and_is_asked_for_once() {
    assert_declined_once(&[
        ("pm_card_visa_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_card_visa_chargeDeclinedIncorrectCvc", "incorrect_cvc"),
    ]);
}

#[test]
fn rte_16_insufficient_funds_are_an_error_and_are_asked_for_once() {
    assert_declined_once(&[(
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        "insufficient_funds",
    )]);
}

#[test]
fn rte_17_a_fraud_block_is_an_error_and_no_provider_hears_of_it() {
    let two = TwoProviders::start(Protocol::Adyen, &[]);
    two.count_requests();
    let body = with_method("pm_card_riskLevelHighest");
    let blocked = two.dev.pay("k", &body).expect(402);
    assert_eq!(blocked.error("decline_code"), "fraudulent");
    let rows = two.history(&blocked.error("payment_id"));
    assert_eq!(attempts(&rows), [], "{rows:?}");
    assert_eq!(rows_of(&rows, "payment.blocked").len(), 1, "{rows:?}");
    let again = two.dev.pay("k", &body).expect(402);
    assert_eq!((again.text(), again.is_replay()), (blocked.text(), true));
    assert_eq!(two.requests(), 0);
    assert_eq!((two.first_charges(), two.dev.charges()), (vec![], vec![]));
    two.stop();
}

/// The warnings that name both providers.
fn warnings(two: &TwoProviders, beginning: &str) -> usize {
    let (_, log) = two.dev.process.said_so_far();
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| {
            let fields = &line["fields"];
            let message = fields["message"].as_str().unwrap_or_default();
            line["level"] == "WARN"
                && message.starts_with(beginning)
                && message.ends_with("failing over to the next one")
                && fields["from"] == FIRST
                && fields["to"] == SECOND
        })
        .count()
}

#[test]
fn rte_23_while_the_circuit_is_open_the_backup_charges_and_the_log_warns_of_it() {
    let mut two = TwoProviders::start(Protocol::Stripe, &[SHORT.as_slice(), &LASTING].concat());
    assert_eq!(paid(&two, "before").1, FIRST);
    open_breaker(&mut two);
    two.breaker_once(2);
    two.revive_first();
    for number in 0..3 {
        let (id, provider) = paid(&two, &format!("open-{number}"));
        assert_eq!(provider, SECOND);
        let rows = two.history(&id);
        assert_eq!(attempts(&rows), [(1, SECOND)]);
        assert_eq!(left_out(&rows, 1, FIRST), Some("breaker_open"));
    }
    assert_eq!(two.first_charges().len(), 1, "from before");
    // One for each charge that left the provider, and one for the opening: not one for each charge that passes by.
    wait_for("the warnings", || {
        let seen = [
            warnings(&two, "nothing was charged at a provider"),
            warnings(&two, "the circuit breaker of a provider is open"),
        ];
        (seen == [5, 1]).then_some(())
    });
    two.stop();
}

#[test]
fn cb_1_five_failures_in_a_row_open_the_circuit() {
    assert_eq!(usual("breaker", "failures_max"), "5");
    let mut two = TwoProviders::start(Protocol::Adyen, &[SHORT.as_slice(), &LASTING].concat());
    // An answer between them begins the count anew.
    two.kill_first();
    fail_over(&two, 4, "four");
    two.revive_first();
    assert_eq!(paid(&two, "between").1, FIRST);
    two.kill_first();
    // Each of the five is asked there, so it was closed before each.
    fail_over(&two, 5, "five");
    two.breaker_once(2);
    let (id, _) = paid(&two, "sixth");
    let rows = two.history(&id);
    assert_eq!(attempts(&rows), [(1, SECOND)]);
    assert_eq!(left_out(&rows, 1, FIRST), Some("breaker_open"));
    two.dev.stop();
}

/// A provider that makes the objects of charges and then fails to charge them is one that fails.
#[test]
fn cb_1_objects_that_are_made_end_no_row_of_failures() {
    // What is unknown is not asked about before the row is full, and the provider does not close what it made.
    let later = ("FLORIN_RESOLUTION_WAITS_S", "3");
    let two = TwoProviders::start(Protocol::Stripe, &[SHORT.as_slice(), &LASTING, &[later]].concat());
    two.fault("drop_connection", &json!({}));
    for number in 0..5 {
        let unknown = two
            .dev
            .pay(&format!("lost-{number}"), &sale(10_000, "USD"))
            .expect(202)
            .json();
        let rows = two.history(unknown["id"].as_str().unwrap());
        assert_eq!(attempts(&rows), [(1, FIRST)], "no proof, no other provider");
        assert_eq!(rows_of(&rows, "attempt.referenced").len(), 1, "{rows:?}");
    }
    two.breaker_has("opened", 1);
    assert_eq!(paid(&two, "sixth").1, SECOND);
    clear_faults(two.first_at);
    for payment in two.dev.merchant().read_all("/v1/payments") {
        let id = payment["id"].as_str().unwrap();
        two.dev.merchant().payment_once(id, "succeeded");
    }
    assert_eq!((two.first_charges().len(), two.dev.charges().len()), (5, 1));
    two.stop();
}

#[test]
fn cb_2_an_open_circuit_fails_fast_and_the_provider_hears_nothing() {
    let mut two = TwoProviders::start(Protocol::Adyen, &[SHORT.as_slice(), &LASTING].concat());
    open_breaker(&mut two);
    two.breaker_once(2);
    // It is well again, and nobody asks it.
    two.revive_first();
    two.count_requests();
    for number in 0..5 {
        assert_eq!(paid(&two, &format!("open-{number}")).1, SECOND);
    }
    let disable = json!({"reason": "nobody else is to be asked"});
    two.dev
        .operator()
        .post(
            "disable",
            &format!("/v1/ops/providers/{SECOND}/disable"),
            &disable,
        )
        .expect(200);
    for number in 0..5 {
        let refused = two
            .dev
            .pay(&format!("alone-{number}"), &sale(10_000, "USD"))
            .expect(503);
        assert_eq!(refused.error("code"), "no_provider_available");
    }
    assert_eq!((two.requests(), two.first_charges()), (0, vec![]));
    assert_eq!(two.dev.charges().len(), 10);
    two.stop();
}

#[test]
fn cb_3_after_a_minute_one_request_is_let_through_as_a_test() {
    assert_eq!(usual("breaker", "open_ms"), "60000");
    let patient = [
        ("FLORIN_STAGES_AUTHORIZATION_MS", "50000"),
        ("FLORIN_PROVIDER_FIRST_REQUEST_TIMEOUT_MS", "50000"),
    ];
    let mut two = TwoProviders::start(Protocol::Adyen, &[SHORT.as_slice(), &patient, &BRIEF].concat());
    two.kill_first();
    // While the breaker is open for a millisecond, single ones may pass it by.
    for number in 0..7 {
        assert_eq!(paid(&two, &format!("failing-{number}")).1, SECOND);
    }
    two.breaker_once(1);
    two.revive_first();
    two.fault("timeout_before", &json!({}));
    let merchant = two.dev.merchant();
    let test = std::thread::spawn(move || merchant.pay("test", &sale(10_000, "USD")));
    wait_for("the test request", || (two.requests() == 1).then_some(()));
    for number in 0..5 {
        let (id, provider) = paid(&two, &format!("meanwhile-{number}"));
        assert_eq!(provider, SECOND);
        let rows = two.history(&id);
        assert_eq!(attempts(&rows), [(1, SECOND)]);
        assert_eq!(left_out(&rows, 1, FIRST), Some("breaker_open"));
    }
    assert_eq!(two.requests(), 1);
    two.kill_first();
    let tested = test.join().unwrap().expect(202).json();
    assert_eq!(tested["status"], "processing", "what it did is not known");
    two.dev.stop();
}

#[test]
fn cb_4_a_test_that_succeeds_closes_the_circuit_and_one_that_fails_opens_it_again() {
    let brief = ("FLORIN_BREAKER_OPEN_MS", "1500");
    let mut two = TwoProviders::start(Protocol::Adyen, &[SHORT.as_slice(), &[brief]].concat());
    open_breaker(&mut two);
    two.breaker_has("opened", 1);
    two.revive_first();
    two.fault("http_503", &json!({}));
    two.breaker_once(1);
    let failed = two.dev.pay("fails", &sale(10_000, "USD")).expect(202).json();
    two.breaker_has("opened", 2);
    clear_faults(two.first_at);
    two.breaker_once(1);
    let (id, provider) = paid(&two, "succeeds");
    assert_eq!(provider, FIRST);
    assert_eq!(attempts(&two.history(&id)), [(1, FIRST)]);
    two.breaker_has("closed", 1);
    for number in 0..5 {
        assert_eq!(paid(&two, &format!("closed-{number}")).1, FIRST);
    }
    // What the failed test did becomes known without any breaker in the way.
    let id = failed["id"].as_str().unwrap();
    two.dev.merchant().payment_once(id, "succeeded");
    assert_eq!(two.first_charges().len(), 7);
    assert_eq!(two.dev.charges().len(), 5);
    two.stop();
}

/// The scores of both providers, as operators see them, in hundredths of a point.
#[track_caller]
fn scores(two: &TwoProviders) -> [i64; 2] {
    let routing = two.dev.operator().read("/v1/ops/routing");
    let providers = routing["providers"].as_array().unwrap();
    [FIRST, SECOND].map(|name| {
        let found = providers.iter().find(|provider| provider["provider"] == name);
        let points = found.unwrap()["score"].as_f64().unwrap();
        format!("{:.0}", points * 100.0).parse().unwrap()
    })
}

#[track_caller]
fn first_scores(two: &TwoProviders, hundredths: i64) {
    wait_for(&format!("a score of {hundredths} hundredths"), || {
        (scores(two)[0] == hundredths).then_some(())
    });
}

/// Payments of which none may go elsewhere, all at once.
#[track_caller]
fn pinned_at_once(two: &TwoProviders, count: usize, name: &str) {
    let mut body = sale(10_000, "USD");
    body["routing"] = json!({"pin": FIRST});
    std::thread::scope(|scope| {
        for number in 0..count {
            let (merchant, body) = (two.dev.merchant(), &body);
            scope.spawn(move || merchant.pay(&format!("{name}-{number}"), body).expect(200));
        }
    });
}

/// Everything takes longer than a second, so that speed counts nothing whatever the machine does beside it.
#[track_caller]
fn slow_first() -> TwoProviders {
    let two = TwoProviders::start(Protocol::Adyen, &[("FLORIN_RETRY_TIMEOUT_WAIT_MS", "1")]);
    two.fault("slow", &json!({"delay_ms": 1500}));
    two
}

#[test]
fn rte_7_a_score_is_half_success_three_tenths_speed_and_two_tenths_price() {
    let two = slow_first();
    // 0.5 x 100 + 0.3 x (100 - 200 / 10) + 0.2 x (100 - 1 x 10) and, at 2.9 %, + 0.2 x (100 - 2.9 x 10).
    assert_eq!(scores(&two), [9_200, 8_820]);
    pinned_at_once(&two, 20, "slow");
    first_scores(&two, 6_800);
    // 21 of 22 requests: 95.45 % of the half.
    two.fault("http_503", &json!({"count": 1}));
    pinned_at_once(&two, 1, "fails once");
    first_scores(&two, 6_572);
    assert_eq!(scores(&two)[1], 8_820, "nobody has asked the other one");
    // The better score gets the next charge.
    assert_eq!(paid(&two, "next").1, SECOND);
    two.stop();
}

#[test]
fn rte_11_each_outcome_of_a_call_changes_what_is_known_of_its_provider() {
    let two = slow_first();
    pinned_at_once(&two, 19, "few");
    assert_eq!(scores(&two)[0], 9_200, "fewer than 20 say nothing");
    pinned_at_once(&two, 1, "enough");
    first_scores(&two, 6_800);
    two.fault("http_503", &json!({"count": 1}));
    pinned_at_once(&two, 1, "failed, then repeated");
    first_scores(&two, 6_572);
    // A decline is an answer: 22 of 23.
    let mut declined = with_method("pm_card_visa_chargeDeclinedInsufficientFunds");
    declined["routing"] = json!({"pin": FIRST});
    two.dev.pay("declined", &declined).expect(402);
    first_scores(&two, 6_582);
    let metrics = two.dev.operator().get("/metrics").expect(200).text();
    let gauge = format!("florin_provider_score{{provider=\"{FIRST}\"}} 65.82");
    assert!(metrics.contains(&gauge), "{gauge}");
    two.stop();
}

//! What a provider's last minutes are worth, as operators and merchants see it: health and score at `/v1/ops/tree` and
//! `/v1/ops/routing`, and where charges go. What requests take and the time of day are exact.

use crate::pay;
use crate::still::{Deed, Manner, Still};
use florin_actors::options::Options;
use florin_domain::provider::ProviderId;
use florin_domain::time::Millis;
use serde_json::{Value, json};

const OPERATOR: &str = "ok_test_op";
const MERCHANT: &str = "sk_test_a";

const ANSWERS: Manner = Manner {
    deed: Deed::Charges,
    takes_ms: 200,
};
const FAILS: Manner = Manner {
    deed: Deed::Missing,
    takes_ms: 200,
};
/// As long as a request may take.
const TIMES_OUT: Manner = Manner {
    deed: Deed::Silent,
    takes_ms: 5_000,
};

/// Charges, one after another, at a world of several providers, of which the first is looked at.
struct Load {
    still: Still,
    next: usize,
}

impl Load {
    /// The price of each in basis points. An attempt is one request, and no breaker opens.
    fn start(providers: &[(&str, u32)]) -> Self {
        Self::start_with(providers, |_| {})
    }

    fn start_with(providers: &[(&str, u32)], change: impl FnOnce(&mut Options)) -> Self {
        let names: Vec<&str> = providers.iter().map(|(name, _)| *name).collect();
        let still = Still::start(&names, 0, |options| {
            options.breaker.failures_max = u32::MAX;
            for (name, cost_bps) in providers {
                let mut terms = options.provider_terms;
                terms.cost_bps = *cost_bps;
                let id = ProviderId::parse(name).unwrap();
                options.terms_of_providers.insert(id, terms);
            }
            change(options);
        });
        Self { still, next: 0 }
    }

    /// One charge; each has a key and an amount of its own.
    #[track_caller]
    fn charge(&mut self, routing: &Value, status: u16) -> Value {
        self.next += 1;
        let body = json!({
            "amount": 1_000 + self.next, "currency": "USD", "payment_method_id": "pm_card_visa", "routing": routing,
        });
        let answer = pay(
            &self.still.world,
            &format!("charge-{}", self.next),
            &body.to_string(),
        );
        assert_eq!(answer.status, status, "{answer:?}");
        answer.json()
    }

    /// So many charges that nobody but the first provider may have, and what it makes of them.
    #[track_caller]
    fn feed(&mut self, count: usize, manner: Manner) {
        let first = &self.still.providers[0];
        first.behaves(manner);
        let pinned = json!({"pin": first.name()});
        let status = match manner.deed {
            Deed::Charges => 200,
            Deed::Declines => 402,
            Deed::Missing => 503,
            Deed::Silent => 202,
        };
        for _ in 0..count {
            self.charge(&pinned, status);
        }
        self.still.providers[0].behaves(ANSWERS);
    }

    /// How many of ten free charges it gets. Each goes where a dry run of it says.
    #[track_caller]
    fn gets(&mut self) -> usize {
        let mut got = 0;
        for _ in 0..10 {
            let paid = self.charge(&json!({}), 200);
            let first = self.first_of(lot(paid["id"].as_str().unwrap()));
            assert_eq!(paid["provider"], first.as_str());
            got += usize::from(first == self.still.providers[0].name());
        }
        got
    }

    /// Who would be asked first for a charge that draws this lot.
    #[track_caller]
    fn first_of(&self, draw_bps: u64) -> String {
        let payment = json!({
            "amount": 1_000, "currency": "USD", "merchant_id": "mer_00000000000000000000000001",
            "payment_method_id": "pm_card_visa",
        });
        let body = json!({"payment": payment, "draw_bps": draw_bps}).to_string();
        let headers = [("Content-Type", "application/json")];
        let path = "/v1/ops/routing/evaluate";
        let answer = self
            .still
            .world
            .send("POST", path, Some(OPERATOR), &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        let route = &answer.json()["route"];
        route["choices"][0]["provider"].as_str().unwrap().to_owned()
    }

    /// How many of two hundred lots, spread evenly over all that there are, leave the first provider its place.
    #[track_caller]
    fn keeps_of_200(&self) -> usize {
        let name = self.still.providers[0].name();
        (0..200).filter(|n| self.first_of(n * 50) == name).count()
    }

    /// How it stands, by the tree.
    #[track_caller]
    fn standing(&self) -> Value {
        let name = self.still.providers[0].name();
        let tree = self
            .still
            .world
            .get("/v1/ops/tree?payments_max=0", Some(OPERATOR))
            .json();
        let mut nodes = tree["children"].as_array().unwrap().iter();
        let node = nodes.find(|node| node["kind"] == "provider" && node["key"] == name);
        node.unwrap()["standing"].clone()
    }

    /// Its health and score, which operators see alike in both places.
    #[track_caller]
    fn seen(&self) -> (String, String) {
        let of = |row: &Value| {
            let health = row["health"].as_str().unwrap().to_owned();
            (health, row["score"].to_string())
        };
        let name = self.still.providers[0].name();
        let routing = self.still.world.get("/v1/ops/routing", Some(OPERATOR)).json();
        let rows = routing["providers"].as_array().unwrap();
        let row = rows.iter().find(|row| row["provider"] == name).unwrap();
        assert_eq!(of(row), of(&self.standing()));
        of(row)
    }

    #[track_caller]
    fn assert_is(&self, health: &str, why: &str) {
        assert_eq!(self.seen().0, health, "{why}");
    }

    fn advance_s(&self, seconds: u64) {
        self.still.clock.advance(Millis::from_s(seconds));
    }
}

/// What a payment draws: the low half of its id, modulo 10,000.
fn lot(id: &str) -> u64 {
    let alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
    let digits = id.strip_prefix("pay_").unwrap().chars();
    let bits = digits.fold(0_u128, |bits, digit| {
        (bits << 5) | alphabet.find(digit).unwrap() as u128
    });
    u64::try_from(bits & u128::from(u64::MAX)).unwrap() % 10_000
}

/// A provider at 2.9 % and a dearer one.
fn two() -> Load {
    Load::start(&[("first", 290), ("second", 900)])
}

#[test]
fn rte_7_success_counts_half_speed_three_tenths_and_price_two_tenths() {
    // Requests that succeed and that fail, milliseconds, price in hundredths of a percent.
    let cases = [
        ((100, 0), 0, 0, "100.0"),
        ((0, 100), 0, 0, "50.0"),
        ((50, 50), 0, 0, "75.0"),
        ((100, 0), 500, 0, "85.0"),
        ((100, 0), 1_000, 0, "70.0"),
        ((100, 0), 0, 500, "90.0"),
        ((100, 0), 0, 1_000, "80.0"),
        ((80, 20), 400, 150, "75.0"),
    ];
    for ((answered, failed), takes_ms, cost_bps, expected) in cases {
        let mut load = Load::start(&[("first", cost_bps)]);
        load.feed(answered, Manner { takes_ms, ..ANSWERS });
        load.feed(failed, Manner { takes_ms, ..FAILS });
        let case = format!("{answered} and {failed} of {takes_ms} ms at {cost_bps}");
        assert_eq!(load.seen().1, expected, "{case}");
        load.still.stop();
    }
}

#[test]
fn rte_8_the_worked_example_has_87_45_points() {
    let mut load = two();
    assert_eq!(load.seen().1, "88.2", "as long as nothing is known");
    // 98.5 % of 200, in 200 ms each, for 2.9 %: 0.5 x 98.5 + 0.3 x 80 + 0.2 x 71.
    load.feed(197, ANSWERS);
    assert_eq!(load.seen().1, "88.2");
    load.feed(3, FAILS);
    let measures = json!({"success_bps": 9_850, "latency_ms": 200, "cost_bps": 290});
    assert_eq!(load.standing()["measures"], measures);
    assert_eq!(load.seen().1, "87.45");
    load.still.stop();
}

/// Who is asked for a charge that nobody takes, in order.
#[track_caller]
fn order(load: &mut Load) -> Vec<String> {
    for provider in &load.still.providers {
        provider.behaves(FAILS);
    }
    let refused = load.charge(&json!({}), 503);
    for provider in &load.still.providers {
        provider.behaves(ANSWERS);
    }
    let id = refused["error"]["payment_id"].as_str().unwrap();
    let path = format!("/v1/payments/{id}/history");
    let history = load.still.world.get(&path, Some(MERCHANT)).json();
    let rows = history["data"].as_array().unwrap().iter();
    let planned = rows.filter(|row| row["type"] == "attempt.planned");
    planned
        .map(|row| row["provider"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn rte_9_health_is_asked_before_scores_are_compared() {
    // The cheapest of the three is the best one by its score.
    let mut load = Load::start(&[("first", 0), ("second", 100), ("third", 200)]);
    load.feed(300, ANSWERS);
    assert_eq!(order(&mut load), ["first", "second", "third"]);
    load.advance_s(6 * 60);
    load.feed(94, ANSWERS);
    load.feed(6, FAILS);
    // 394 of 401 within the fifteen minutes: 0.5 x 98.25 + 0.3 x 80 + 0.2 x 100, and the second has 92.
    let (health, score) = load.seen();
    assert_eq!((health.as_str(), score.as_str()), ("degraded", "93.12"));
    assert_eq!(order(&mut load), ["second", "third", "first"]);
    load.still.stop();
}

#[test]
fn rte_11_each_outcome_changes_what_is_known_of_its_provider() {
    // The first one counts.
    let mut load = Load::start_with(&[("first", 290)], |options| options.health.calls_min = 1);
    let declines = Manner {
        deed: Deed::Declines,
        takes_ms: 0,
    };
    let outcomes = [
        // 50 + 24 + 14.20; then a half, two thirds and three quarters of the 50.
        (ANSWERS, "88.2"),
        (FAILS, "63.2"),
        (ANSWERS, "71.53"),
        (ANSWERS, "75.7"),
        // A decline is an answer, and it takes no time here.
        (declines, "79.4"),
    ];
    for (manner, expected) in outcomes {
        load.feed(1, manner);
        assert_eq!(load.seen().1, expected, "{manner:?}");
    }
    load.still.stop();
}

#[test]
fn rte_18_more_than_5_percent_errors_over_5_minutes_degrade_a_provider() {
    let mut load = two();
    // What came before keeps it from being excluded, which is looked at over fifteen minutes.
    load.feed(300, ANSWERS);
    load.advance_s(6 * 60);
    load.feed(95, ANSWERS);
    load.feed(5, FAILS);
    load.assert_is("healthy", "5 % are not more than 5 %");
    assert_eq!((load.keeps_of_200(), load.gets()), (200, 10));
    // 6 of 111.
    load.feed(1, FAILS);
    load.assert_is("degraded", "5.4 %");
    assert_eq!(
        (load.keeps_of_200(), load.gets()),
        (0, 0),
        "healthy ones come first"
    );
    load.advance_s(4 * 60);
    load.feed(1, ANSWERS);
    load.assert_is("degraded", "within the five minutes");
    load.advance_s(60);
    load.feed(1, ANSWERS);
    load.assert_is("healthy", "after them");
    assert_eq!((load.keeps_of_200(), load.gets()), (200, 10));
    load.still.stop();
}

#[test]
fn rte_19_more_than_10_percent_timeouts_over_5_minutes_halve_a_providers_traffic() {
    let mut load = two();
    load.feed(200, ANSWERS);
    load.advance_s(11 * 60);
    load.feed(90, ANSWERS);
    load.feed(10, TIMES_OUT);
    load.assert_is("degraded", "10 % are not more than 10 %");
    load.feed(1, TIMES_OUT);
    load.assert_is("reduced", "10.9 %");
    assert_eq!(load.keeps_of_200(), 100);
    load.gets();
    load.still.stop();
    for (passed_s, expected) in [(4 * 60 + 30, "reduced"), (5 * 60, "healthy")] {
        let mut load = two();
        load.feed(300, ANSWERS);
        load.advance_s(7 * 60);
        // Too few to go by, until the others come.
        load.feed(11, TIMES_OUT);
        load.advance_s(passed_s);
        load.feed(89, ANSWERS);
        load.assert_is(expected, &format!("after {passed_s} s"));
        load.still.stop();
    }
}

#[test]
fn rte_20_less_than_95_percent_success_over_15_minutes_excludes_a_provider() {
    let mut load = two();
    load.feed(95, ANSWERS);
    load.feed(5, FAILS);
    load.assert_is("healthy", "95 % are not less than 95 %");
    load.feed(1, FAILS);
    load.assert_is("excluded", "94.1 %");
    // A trickle, to see whether it has recovered.
    assert_eq!(load.keeps_of_200(), 2);
    load.gets();
    load.still.stop();
    for (passed_s, expected) in [(14 * 60 + 30, "excluded"), (15 * 60, "healthy")] {
        let mut load = two();
        // Too few to go by, until the others come: 95 of 101, or of 96.
        load.feed(5, FAILS);
        load.advance_s(passed_s);
        load.feed(1, FAILS);
        load.feed(95, ANSWERS);
        load.assert_is(expected, &format!("after {passed_s} s"));
        load.still.stop();
    }
}

#[test]
fn rte_21_more_than_99_percent_success_over_10_minutes_restore_a_providers_traffic() {
    let mut load = two();
    load.feed(20, FAILS);
    load.assert_is("excluded", "nothing succeeded");
    load.advance_s(9 * 60);
    load.feed(1, FAILS);
    load.advance_s(60);
    load.feed(98, ANSWERS);
    load.assert_is("excluded", "98 of 99");
    load.feed(1, ANSWERS);
    load.assert_is("excluded", "99 % are not more than 99 %");
    assert_eq!(load.keeps_of_200(), 2);
    load.feed(1, ANSWERS);
    load.assert_is("healthy", "100 of 101");
    assert_eq!(
        (load.keeps_of_200(), load.gets()),
        (200, 10),
        "it has its traffic back"
    );
    load.still.stop();
    for (passed_s, expected) in [(9 * 60 + 30, "excluded"), (10 * 60, "healthy")] {
        let mut load = two();
        load.feed(20, FAILS);
        load.advance_s(60);
        load.feed(1, FAILS);
        load.advance_s(300);
        load.feed(1, FAILS);
        load.advance_s(passed_s - 300);
        // 198 of 199, or of 200 with the failure of so long ago.
        load.feed(198, ANSWERS);
        load.assert_is(expected, &format!("after {passed_s} s"));
        load.still.stop();
    }
}

//! Lists in Stripe's words that are read by time: what moved money, refunds, and disputes, of which there are none.

use crate::stand_ins::StandingClock;
use crate::world::{Answer, World};
use florin_actors::options::Options;
use florin_domain::ports::Clock as _;
use florin_domain::time::Millis;
use serde_json::{Value, json};
use std::cell::Cell;
use std::sync::Arc;

const A: &str = "sk_test_a";
pub(crate) const MOVED: &str = "/v1/balance_transactions";
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
pub(crate) const STEP: Millis = Millis::from_s(10);

/// A world whose clock is moved by hand, ten seconds behind everything that is asked for.
pub(crate) struct Timed {
    pub(crate) world: World,
    pub(crate) clock: Arc<StandingClock>,
    asked: Cell<u32>,
}

impl Timed {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub(crate) fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        let clock = Arc::new(StandingClock::default());
        let world = World::start_at(Arc::clone(&clock) as _, |_| {}, change);
        let asked = Cell::new(0);
        Self { world, clock, asked }
    }

    /// Asks for something; what was told, and the second in which it was.
    #[track_caller]
    pub(crate) fn told(&self, path: &str, body: &str) -> (Value, u64) {
        let at_s = self.clock.now().unix_s();
        let told = self.told_at_once(path, body);
        self.clock.advance(STEP);
        (told, at_s)
    }

    /// The same, and the clock stands.
    #[track_caller]
    pub(crate) fn told_at_once(&self, path: &str, body: &str) -> Value {
        self.asked.set(self.asked.get() + 1);
        let key = self.asked.get().to_string();
        let headers = [FORM, ("Idempotency-Key", key.as_str())];
        let answer = self.world.send("POST", path, Some(A), &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.world.get(path, Some(A))
    }

    #[track_caller]
    fn ids(&self, path: &str) -> Vec<String> {
        ids(&self.get(path).json())
    }

    /// A list is the same in pages of any size, in both directions, also with filters.
    #[track_caller]
    pub(crate) fn assert_listed(&self, path: &str, filters: &str, expected: &[String]) {
        for limit in 1..=expected.len() + 1 {
            let (mut forwards, mut after) = (Vec::new(), String::new());
            loop {
                let page = self.get(&format!("{path}?limit={limit}{filters}{after}")).json();
                forwards.extend(ids(&page));
                if page["has_more"] == false {
                    break;
                }
                after = format!("&starting_after={}", forwards.last().unwrap());
            }
            assert_eq!(forwards, expected, "{limit} {filters}");
            let mut backwards: Vec<String> = expected.last().cloned().into_iter().collect();
            while let Some(first) = backwards.first().cloned() {
                let before = format!("{path}?limit={limit}{filters}&ending_before={first}");
                let page = self.get(&before).json();
                backwards.splice(0..0, ids(&page));
                if page["has_more"] == false {
                    break;
                }
            }
            assert_eq!(backwards, expected, "{limit} {filters}");
        }
    }

    /// What is refused, and by which parameter.
    #[track_caller]
    fn assert_refused(&self, path: &str, param: &str) {
        let refused = self.get(path);
        let error = &refused.json()["error"];
        assert_eq!(
            (refused.status, &error["param"], &error["type"]),
            (400, &json!(param), &json!("invalid_request_error")),
            "{path}: {error}"
        );
    }
}

#[track_caller]
fn ids(page: &Value) -> Vec<String> {
    let data = page["data"].as_array().unwrap_or_else(|| panic!("{page}"));
    data.iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}

pub(crate) fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap()
}

#[test]
fn what_moved_is_listed_by_time_in_pages_of_any_size_and_by_every_filter() {
    const PATH: &str = MOVED;
    let timed = Timed::start();
    let sale = |amount: u32, currency: &str, more: &str| {
        let body =
            format!("amount={amount}&currency={currency}&payment_method=pm_card_visa&confirm=true{more}");
        timed.told("/v1/payment_intents", &body)
    };
    assert_eq!(timed.ids(PATH), Vec::<String>::new());
    let (first, first_s) = sale(10_000, "usd", "");
    let (held, held_s) = sale(700, "usd", "&capture_method=manual");
    let (second, second_s) = sale(5_000, "eur", "");
    let back = |amount: u32| {
        let body = format!("payment_intent={}&amount={amount}", text(&first, "id"));
        timed.told("/v1/refunds", &body)
    };
    let (refund, refund_s) = back(2_500);
    let (pending, _) = back(101);
    assert_eq!(
        (text(&refund, "status"), text(&pending, "status")),
        ("succeeded", "pending")
    );
    let path = format!("/v1/payment_intents/{}/capture", text(&held, "id"));
    let (_, captured_s) = timed.told(&path, "");

    // What was captured later is called by its capture, and by the charge.
    let charge = timed
        .get(&format!("/v1/charges/{}", text(&held, "latest_charge")))
        .json();
    let captured = text(&charge, "balance_transaction").to_owned();
    let moved = |object: &Value| text(object, "id").replace("pi_", "txn_").replace("re_", "txn_");
    assert_ne!(captured, moved(&held));
    let [refund_id, second_id, first_id] = [&refund, &second, &first].map(moved);
    let all = [captured, refund_id, second_id, first_id];
    timed.assert_listed(PATH, "", &all);
    let page = timed.get(&format!("{PATH}?limit=100")).json();
    assert_eq!((&page["object"], &page["url"]), (&json!("list"), &json!(PATH)));
    let mut owed = 0;
    for (entry, at_s) in page["data"]
        .as_array()
        .unwrap()
        .iter()
        .zip([captured_s, refund_s, second_s, first_s])
    {
        let alone = timed.get(&format!("{PATH}/{}", text(entry, "id"))).json();
        assert_eq!((entry, &entry["created"]), (&alone, &json!(at_s)));
        if entry["currency"] == "usd" {
            owed += entry["net"].as_i64().unwrap();
        }
    }
    let balance = timed.get("/v1/balance").json();
    let available = balance["available"].as_array().unwrap().iter();
    let available: Vec<&Value> = available.filter(|one| one["currency"] == "usd").collect();
    // What is on its way back is owed no more, and has not moved yet.
    assert_eq!(available[0]["amount"], owed - 101);

    let [held_id, refund_id, second_id, first_id] = all.clone();
    for (filters, expected) in [
        ("&type=charge".to_owned(), vec![&held_id, &second_id, &first_id]),
        ("&type=refund".to_owned(), vec![&refund_id]),
        ("&type=payout".to_owned(), vec![]),
        ("&payout=po_1".to_owned(), vec![]),
        ("&currency=usd".to_owned(), vec![&held_id, &refund_id, &first_id]),
        ("&currency=EUR&type=charge".to_owned(), vec![&second_id]),
        ("&currency=eur&type=refund".to_owned(), vec![]),
        (
            format!("&source={}", text(&first, "latest_charge")),
            vec![&first_id],
        ),
        (format!("&source={}", text(&refund, "id")), vec![&refund_id]),
        (format!("&source={}", text(&pending, "id")), vec![]),
        (format!("&source={}&type=charge", text(&refund, "id")), vec![]),
        ("&source=ch_nothing".to_owned(), vec![]),
        (format!("&created={captured_s}"), vec![&held_id]),
        (format!("&created={held_s}"), vec![]),
        (
            format!("&created[gte]={second_s}&created[lt]={captured_s}"),
            vec![&refund_id, &second_id],
        ),
        (
            format!("&created[gt]={second_s}&created[lte]={captured_s}"),
            vec![&held_id, &refund_id],
        ),
        (
            format!("&created[gt]={first_s}&type=charge&currency=usd"),
            vec![&held_id],
        ),
        (format!("&created[gt]={captured_s}"), vec![]),
    ] {
        let expected: Vec<String> = expected.into_iter().cloned().collect();
        assert_eq!(
            timed.ids(&format!("{PATH}?limit=100{filters}")),
            expected,
            "{filters}"
        );
        if !filters.contains("source=") {
            timed.assert_listed(PATH, &filters, &expected);
        }
    }
    timed.world.stop();
}

#[test]
fn what_is_asked_of_movements_is_checked_and_others_see_none() {
    const PATH: &str = MOVED;
    let timed = Timed::start();
    let body = "amount=10000&currency=usd&payment_method=pm_card_visa&confirm=true";
    let (sale, _) = timed.told("/v1/payment_intents", body);
    let held = "amount=700&currency=usd&payment_method=pm_card_visa&confirm=true&capture_method=manual";
    let (held, _) = timed.told("/v1/payment_intents", held);
    let moved = text(&sale, "id").replace("pi_", "txn_");
    let nothing = text(&held, "id").replace("pi_", "txn_");
    for (query, param) in [
        ("type=shoe".to_owned(), "type"),
        ("currency=us".to_owned(), "currency"),
        ("limit=0".to_owned(), "limit"),
        ("limit=101".to_owned(), "limit"),
        ("created[gte]=soon".to_owned(), "created[gte]"),
        ("created[from]=1".to_owned(), "created[from]"),
        ("starting_after=txn_x".to_owned(), "starting_after"),
        (format!("starting_after={nothing}"), "starting_after"),
        (format!("ending_before={}", text(&sale, "id")), "ending_before"),
        (
            format!("starting_after={moved}&ending_before={moved}"),
            "ending_before",
        ),
        ("shoe=1".to_owned(), "shoe"),
    ] {
        timed.assert_refused(&format!("{PATH}?{query}"), param);
    }
    let others = |path: &str| timed.world.get(path, Some("sk_test_b"));
    assert_eq!(others(PATH).json()["data"], json!([]));
    let strange = others(&format!("{PATH}?starting_after={moved}"));
    assert_eq!(
        (strange.status, &strange.json()["error"]["param"]),
        (400, &json!("starting_after"))
    );
    assert_eq!(
        others(&format!("{PATH}?source={}", text(&sale, "latest_charge"))).json()["data"],
        json!([])
    );
    assert_eq!(timed.world.get(PATH, Some("ok_test_op")).status, 403);
    timed.world.stop();
}

#[test]
fn refunds_are_listed_by_when_they_were_asked_for() {
    let timed = Timed::start();
    let body = "amount=10000&currency=usd&payment_method=pm_card_visa&confirm=true";
    let payments = [0, 1].map(|_| timed.told("/v1/payment_intents", body).0);
    let back = |payment: usize| {
        let body = format!("payment_intent={}&amount=100", text(&payments[payment], "id"));
        let (refund, at_s) = timed.told("/v1/refunds", &body);
        assert_eq!(refund["created"], at_s);
        (text(&refund, "id").to_owned(), at_s)
    };
    // Ten seconds between each two: what is looked at behind the bounds is left out again.
    let made = [0, 1, 0, 1, 0, 1].map(back);
    let newest = |places: &[usize]| -> Vec<String> {
        let ids = places.iter().rev().map(|place| made[*place].0.clone());
        ids.collect()
    };
    let at = |place: usize| made[place].1;
    let of_first = format!("&payment_intent={}", text(&payments[0], "id"));
    for (bounds, of_all) in [
        (String::new(), vec![0, 1, 2, 3, 4, 5]),
        (format!("&created={}", at(2)), vec![2]),
        (format!("&created={}", at(2) + 1), vec![]),
        (format!("&created[gte]={}", at(3)), vec![3, 4, 5]),
        (format!("&created[gt]={}", at(3)), vec![4, 5]),
        (format!("&created[lte]={}", at(1)), vec![0, 1]),
        (format!("&created[lt]={}", at(1)), vec![0]),
        (
            format!("&created[gte]={}&created[lt]={}", at(1), at(5)),
            vec![1, 2, 3, 4],
        ),
        (format!("&created[gte]={}&created[lt]={}", at(5), at(1)), vec![]),
    ] {
        timed.assert_listed("/v1/refunds", &bounds, &newest(&of_all));
        let of_one: Vec<usize> = of_all.into_iter().filter(|place| place % 2 == 0).collect();
        timed.assert_listed("/v1/refunds", &format!("{of_first}{bounds}"), &newest(&of_one));
    }
    timed.assert_refused("/v1/refunds?created[gte]=soon", "created[gte]");
    timed.assert_refused("/v1/refunds?created[from]=1", "created[from]");
    timed.world.stop();
}

#[test]
fn there_are_no_disputes_and_what_is_asked_of_them_is_checked() {
    let timed = Timed::start();
    let body = "amount=10000&currency=usd&payment_method=pm_card_visa&confirm=true";
    let (sale, at_s) = timed.told("/v1/payment_intents", body);
    for query in [
        String::new(),
        format!("limit=3&created[gte]={at_s}"),
        format!("payment_intent={}", text(&sale, "id")),
        format!("charge={}", text(&sale, "latest_charge")),
    ] {
        let none = timed.get(&format!("/v1/disputes?{query}"));
        assert_eq!(
            (none.status, none.json()),
            (
                200,
                json!({"object": "list", "url": "/v1/disputes", "has_more": false, "data": []})
            ),
            "{query}"
        );
    }
    for (query, param) in [
        ("limit=0", "limit"),
        ("created[gte]=soon", "created[gte]"),
        ("starting_after=dp_1", "starting_after"),
        ("ending_before=dp_1", "ending_before"),
        ("status=lost", "status"),
    ] {
        timed.assert_refused(&format!("/v1/disputes?{query}"), param);
    }
    for path in [
        "/v1/disputes/dp_1",
        "/v1/disputes?payment_intent=pi_00000000000000000000000001",
    ] {
        let missing = timed.get(path);
        let error = &missing.json()["error"];
        assert_eq!(
            (missing.status, &error["code"]),
            (404, &json!("resource_missing")),
            "{path}"
        );
    }
    assert_eq!(timed.world.get("/v1/disputes", Some("ok_test_op")).status, 403);
    timed.world.stop();
}
